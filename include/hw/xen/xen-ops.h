/*
 * Xen, as the rest of the program sees it: event channels and grants behind one table
 * of functions, so that a real Xen (ops-libxen.c), the emulated one as its host
 * (ops-xenemu.c) and the emulated one as its guest (ops-xenemu-guest.c) look alike.
 * XenStore is the same in all three: hw/xen/xen-store.h.
 *
 * Every handle belongs to one thread at a time, unless said. Results: 0 or -errno, unless said.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XEN_OPS_H
#define HW_XEN_XEN_OPS_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XEN_PAGE_SIZE  4096u
#define XEN_COPY_MAX   512u /* segments in one xen_gnttab_copy */

typedef struct XenOps XenOps;

/* A connection to a Xen of whatever kind; handles are opened on it. */
typedef struct Xen {
    const XenOps *ops;
    uint16_t domid;          /* our own: 0 in dom0 */
    bool emulated;
    char *store_path;        /* XenStore's socket, NULL: libxenstore's default */
    void *opaque;            /* the implementation's */
    GSList *shares;          /* XenShare: left behind by xen_leave_share() */
    /* A file that all backends on this kernel can open; NULL: they are all in this process. */
    const char *claim_file;
    GSList *claims;
    unsigned max_pages; /* that may be mapped one by one; 0: not known yet */
    unsigned pages;     /* that are, or are to be; atomic: xen_gnttab_reserve() */
    void *net; /* hw/net's: what its vifs have in common; NULL: nothing */
} Xen;

typedef struct XenEvtchn XenEvtchn; /* some ports that are waited for together */
typedef struct XenGnttab XenGnttab; /* maps and copies what others granted */
typedef struct XenShare XenShare;   /* pages of ours, granted to another domain */

/*
 * One piece of a grant copy. The foreign side is one page: offset + len <= 4096, else
 * the whole call fails. @local may cross pages, at the price of more work: avoid it.
 */
typedef struct XenCopySeg {
    void *local;
    uint32_t ref;
    uint16_t offset;
    uint16_t len;
    int16_t status;          /* out: GNTST_okay (0) or a negative GNTST_* */
} XenCopySeg;

/*
 * One piece of a copy from a guest to a guest, or of what we put in front of it. Each foreign
 * side is one page, as above.
 */
typedef struct XenCopyBetween {
    void *local;             /* where it comes from; NULL: from_ref, at from_offset */
    uint32_t from_ref;
    uint32_t to_ref;
    uint16_t from_offset;
    uint16_t to_offset;
    uint16_t len;
    int16_t status;          /* out, as above */
} XenCopyBetween;

struct XenOps {
    const char *name;
    void (*close)(Xen *xen); /* frees ->opaque only; all handles are closed */
    /* Hung up (POLLHUP) once the host is gone, which only an emulated one does; NULL: never. */
    int (*lost_fd)(Xen *xen);

    /* Event channels (xen/include/public/event_channel.h). */
    XenEvtchn *(*evtchn_open)(Xen *xen, GError **error);
    void (*evtchn_close)(XenEvtchn *e); /* closes its ports */
    int (*evtchn_fd)(XenEvtchn *e);     /* readable while a port of it is pending */
    /* Binds to a port that @domid left unbound for us. Our new local port, or -errno. */
    int (*evtchn_bind_interdomain)(XenEvtchn *e, uint16_t domid, uint32_t remote_port);
    /* A fresh port that @domid may bind to. The port, or -errno. */
    int (*evtchn_alloc_unbound)(XenEvtchn *e, uint16_t domid);
    int (*evtchn_unbind)(XenEvtchn *e, uint32_t port);
    int (*evtchn_notify)(XenEvtchn *e, uint32_t port); /* any thread */
    /* A pending port, which is masked from now on, or -EAGAIN. Never blocks. */
    int (*evtchn_pending)(XenEvtchn *e);
    int (*evtchn_unmask)(XenEvtchn *e, uint32_t port);

    /* Grants of others (xen/include/public/grant_table.h). */
    XenGnttab *(*gnttab_open)(Xen *xen, GError **error);
    void (*gnttab_close)(XenGnttab *g); /* all is unmapped: closing does not */
    /*
     * Maps @count pages next to each other, all or nothing; NULL and errno on failure.
     * Unmapped as a whole.
     */
    void *(*gnttab_map)(XenGnttab *g, uint16_t domid, const uint32_t *refs, unsigned count,
                        bool writable);
    int (*gnttab_unmap)(XenGnttab *g, void *addr, unsigned count);
    /*
     * Copies @n <= XEN_COPY_MAX segments from or to @domid's pages. 0: each segment
     * has its status. -errno: none of the statuses means anything.
     */
    int (*gnttab_copy)(XenGnttab *g, uint16_t domid, bool to_guest, XenCopySeg *seg, unsigned n);
    /* The same from @from's pages to @to's, which never get into our memory. */
    int (*gnttab_copy_between)(XenGnttab *g, uint16_t from, uint16_t to, XenCopyBetween *seg,
                               unsigned n);
    /*
     * Zeroed memory for the local side of @g's copies, @size bytes in whole pages. It is granted
     * to ourselves, so that a copy names both sides by grant and nothing is pinned for it, which
     * costs a tenth of a large packet. NULL: not here, or no more of it; memory of any other kind
     * does as well then. Main thread.
     */
    void *(*gnttab_buffer)(XenGnttab *g, size_t size);
    bool (*gnttab_buffer_free)(XenGnttab *g, void *addr); /* false: it is none of these */
    /*
     * From now on a copy of @g whose local sides are all in its buffers is one hypercall of our
     * own, not one of the kernel's for each 16 pieces. It takes the right to make any hypercall:
     * false, if we do not have it. NULL: not here. Main thread.
     */
    bool (*gnttab_use_hypercall)(XenGnttab *g, GError **error);

    /* Pages of ours that @domid may use: a frontend's side. NULL if it is not one. */
    XenShare *(*share_open)(Xen *xen, GError **error);
    void (*share_close)(XenShare *s);
    /* @count zeroed pages next to each other; @ret_refs has room for @count. NULL and errno. */
    void *(*share_alloc)(XenShare *s, uint16_t domid, unsigned count, bool writable,
                         uint32_t *ret_refs);
    /* Ends access and frees. -EBUSY: the peer still uses a page; nothing was freed. */
    int (*share_free)(XenShare *s, void *addr, unsigned count);
    /*
     * The peer has a page mapped at the moment: for those that look whether a backend unmaps what
     * it has to. Any thread. NULL: not here, where nobody tells.
     */
    bool (*share_in_use)(XenShare *s, uint32_t ref);
};

/*
 * Maps @count pages each for itself, so that each is unmapped for itself (count 1) and kept as
 * long as it is of use; @ret_pages has room for @count. How many, in order: less than @count
 * with errno, and those before it stay mapped. @g's thread.
 */
unsigned xen_gnttab_map_pages(Xen *xen, XenGnttab *g, uint16_t domid, const uint32_t *refs,
                              unsigned count, bool writable, void **ret_pages);

/*
 * Mappings of single pages, those of all devices of this process: the kernel lets a process have
 * so many (vm.max_map_count), and all kinds of calls fail when it has. xen_gnttab_reserve() says
 * how many of @n may be mapped, xen_gnttab_unreserve() that so many are not any more. Half of all
 * is for these. The first is for the main thread, the others are for any.
 */
void xen_gnttab_reserve_init(Xen *xen);
unsigned xen_gnttab_reserve(Xen *xen, unsigned n);
void xen_gnttab_unreserve(Xen *xen, unsigned n);

/* @s is closed with @xen and not before: a peer that never answered may use its pages. */
void xen_leave_share(Xen *xen, XenShare *s);

/*
 * Makes this the only backend of the device @idx of @kind of the domain @domid, until xen_unclaim()
 * or the end of the process, however it comes. NULL and errno: EBUSY, there is another one, here
 * or in another program. Main thread.
 */
typedef struct XenClaim XenClaim;
XenClaim *xen_claim(Xen *xen, const char *kind, uint16_t domid, unsigned idx);
void xen_unclaim(Xen *xen, XenClaim *c); /* NULL is fine */
/* Whether it is claimed by this process. Main thread. */
bool xen_is_claimed_here(const Xen *xen, const char *kind, uint16_t domid, unsigned idx);

/* What an operation's errno means: an emulated Xen has limits at either end. */
const char *xen_strerror(const Xen *xen, int err);

/* Closes the connection and frees @xen; NULL is fine. */
void xen_close(Xen *xen);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Xen, xen_close)

/* The real one: needs /dev/xen/evtchn and /dev/xen/gntdev. ops-libxen.c */
bool xen_libxen_available(void);
Xen *xen_libxen_open(GError **error);

/*
 * The emulated one, this process being the host: domains attach to the socket @path.
 * XenStore listens at @path.xenstore. Both are removed by xen_close(). ops-xenemu.c
 */
Xen *xen_xenemu_open_host(const char *path, GError **error);

/*
 * The emulated one, this process being a guest of the host at @path, with @ram_size
 * bytes. @domid -1: the host chooses. ops-xenemu-guest.c
 */
Xen *xen_xenemu_open_guest(const char *path, int domid, size_t ram_size, GError **error);

#endif
