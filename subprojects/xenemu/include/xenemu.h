/*
 * xenemu: an emulated Xen host in a process.
 *
 * The process that makes a XenemuHost is dom0: it maps and copies what guests grant and
 * owns one end of their event channels. A guest is any process (the host's own too) that
 * attaches over a unix socket and then shares a memfd, its RAM, with the host. The rules
 * are Xen's: grants as in xen/grant_table.h (version 1), ports as in xen/event_channel.h,
 * XenStore with the wire protocol of xen/io/xs_wire.h, so that libxenstore and the
 * xenstore-* tools talk to it. README.md tells what is the same and what differs.
 *
 * Results are 0 (or a number that is asked for) or -errno, unless said. A handle
 * (XenemuEvtchn, XenemuGnttab) belongs to one thread at a time; different ones
 * may be opened, used and closed in different threads at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_H
#define XENEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XENEMU_PAGE_SIZE    4096u
/*
 * The grant table is the beginning of a guest's RAM. A vif of 64 queues needs 514 references
 * for each.
 */
#define XENEMU_GRANT_FRAMES 128u
#define XENEMU_GRANT_REFS   (XENEMU_GRANT_FRAMES * XENEMU_PAGE_SIZE / 8u)
#define XENEMU_GRANT_FIRST  8u /* those below are reserved, as in Xen */
#define XENEMU_PORTS        256u /* ports of a guest: 1 to 255 */
#define XENEMU_COPY_MAX     512u /* segments in one xenemu_gnttab_copy() */
#define XENEMU_RAM_MIN      (1u << 20)
#define XENEMU_RAM_MAX      (1ull << 32)

typedef struct XenemuHost XenemuHost;
typedef struct XenemuGuest XenemuGuest;
typedef struct XenemuEvtchn XenemuEvtchn;
typedef struct XenemuGnttab XenemuGnttab;

/* --- the host (dom0) --- */

/*
 * Serves until xenemu_host_free() in a thread of its own: domains attach at the unix
 * socket @path, XenStore (with dom0's rights) is at @path.xenstore, and each guest's at
 * @path.xenstore.DOMID. NULL: *errmsg tells why, free() it. Sockets of a dead host are
 * replaced, those of a living one are not.
 */
XenemuHost *xenemu_host_new(const char *path, char **errmsg);

/* All handles are closed. Guests see their domain die. NULL is fine. */
void xenemu_host_free(XenemuHost *host);

const char *xenemu_host_store_path(const XenemuHost *host);

/*
 * @keep: as if no toolstack looked after the domains, the nodes of one that dies stay. Else
 * they are removed, once its death was told. Before domains attach.
 */
void xenemu_host_keep_nodes(XenemuHost *host, bool keep);

bool xenemu_host_domain_alive(XenemuHost *host, uint16_t domid);

/* What dom0 holds: pages of guests that are mapped, and its own ports. Any thread. */
void xenemu_host_usage(XenemuHost *host, unsigned *ret_mapped, unsigned *ret_ports);

/* What xenemu_host_fail() can make fail. */
typedef enum XenemuOp {
    XENEMU_OP_GNTTAB_MAP,    /* a call; status: GNTST_* */
    XENEMU_OP_GNTTAB_COPY,   /* a segment; status: GNTST_* */
    XENEMU_OP_GNTTAB_BATCH,  /* a call of copy; status: -errno */
    XENEMU_OP_EVTCHN_ALLOC,  /* status: -errno, the same below */
    XENEMU_OP_EVTCHN_BIND,
    XENEMU_OP_EVTCHN_UNBIND,
    XENEMU_OP_EVTCHN_NOTIFY,
    XENEMU_OP_EVTCHN_UNMASK,
    XENEMU_OP_COUNT,
} XenemuOp;

/*
 * The @k-th operation of the kind from now on (1: the next) that dom0 does fails with
 * @status and has no effect; once. @k 0: forget it. Any thread.
 */
void xenemu_host_fail(XenemuHost *host, XenemuOp op, unsigned k, int status);

/* --- grants, as dom0 uses those of guests --- */

/* NULL and errno. */
XenemuGnttab *xenemu_gnttab_open(XenemuHost *host);
/*
 * All is unmapped: a mapping that is left is the caller's error, and ends the process. A real
 * Xen would keep the page, and with it the guest's memory. NULL is fine.
 */
void xenemu_gnttab_close(XenemuGnttab *g);

/*
 * Maps @count pages next to each other, all or nothing. NULL and errno (EINVAL, as
 * /dev/xen/gntdev has it); xenemu_gnttab_status() has the reason.
 */
void *xenemu_gnttab_map(XenemuGnttab *g, uint16_t domid, const uint32_t *refs, unsigned count,
                        bool writable);
/* GNTST_* of the last map. */
int xenemu_gnttab_status(const XenemuGnttab *g);
int xenemu_gnttab_unmap(XenemuGnttab *g, void *addr, unsigned count);

typedef struct XenemuCopySeg {
    void *local;
    uint32_t ref;
    uint16_t offset;
    uint16_t len;
    int16_t status; /* out: GNTST_* */
} XenemuCopySeg;

/*
 * Memory that dom0 grants to itself, as /dev/xen/gntalloc has it: @size bytes in whole pages,
 * zeroed, for copies with @g. NULL and errno: EINVAL, ENOMEM, or ENOSPC beyond the limit of
 * xenemu_host_limit_buffers().
 */
void *xenemu_gnttab_buffer(XenemuGnttab *g, size_t size);
/* False: it is none of @g. */
bool xenemu_gnttab_buffer_free(XenemuGnttab *g, void *addr);

/* Pages that all buffers together may have; at first as many as there is memory for. */
void xenemu_host_limit_buffers(XenemuHost *host, uint32_t pages);

/* Segments that were copied whose local side was not in a buffer of @g, and had to be pinned. */
uint64_t xenemu_host_pinned(const XenemuHost *host);

/*
 * From now on a copy of @g whose local sides are all in its buffers is one hypercall of dom0's own,
 * as through /dev/xen/privcmd. Others stay the grant device's, as all are at first.
 */
int xenemu_gnttab_use_hypercall(XenemuGnttab *g);

/* The above fails with -@err from now on: no privcmd (ENOENT), or no right to it. 0: no more. */
void xenemu_host_forbid_hypercalls(XenemuHost *host, int err);

/* Copies that were made by hypercalls of dom0's own: calls, not segments. */
uint64_t xenemu_host_hypercalls(const XenemuHost *host);

/* offset + len > 4096 anywhere, or @n > XENEMU_COPY_MAX: -EINVAL, nothing was done. */
int xenemu_gnttab_copy(XenemuGnttab *g, uint16_t domid, bool to_guest, XenemuCopySeg *seg,
                       unsigned n);

typedef struct XenemuCopyBetween {
    void *local; /* the source; NULL: a page of the guest @from */
    uint32_t from_ref;
    uint32_t to_ref;
    uint16_t from_offset;
    uint16_t to_offset;
    uint16_t len;
    int16_t status; /* out: GNTST_* */
} XenemuCopyBetween;

/* The same with a guest on either side: GNTTABOP_copy takes references of any two domains. */
int xenemu_gnttab_copy_between(XenemuGnttab *g, uint16_t from, uint16_t to,
                               XenemuCopyBetween *seg, unsigned n);

/* --- event channels, of dom0 and of guests alike --- */

/* NULL and errno. */
XenemuEvtchn *xenemu_host_evtchn_open(XenemuHost *host);
XenemuEvtchn *xenemu_guest_evtchn_open(XenemuGuest *guest);
/* Closes its ports. NULL is fine. */
void xenemu_evtchn_close(XenemuEvtchn *e);

/* Readable while a port is pending and not masked. An epoll: three deep, mind the nesting. */
int xenemu_evtchn_fd(const XenemuEvtchn *e);

/*
 * The new port. -ENOSPC: too many; -ENOTCONN: the host is gone; -ETIMEDOUT: it does not answer;
 * -ENFILE: it has no descriptors left; -EMFILE: we have none.
 */
int xenemu_evtchn_alloc_unbound(XenemuEvtchn *e, uint16_t domid);
/*
 * The new local port, pending from birth. -ESRCH: no such domain; -EINVAL: the remote
 * port is not unbound, or not reserved for us; -EOPNOTSUPP: from guest to guest.
 */
int xenemu_evtchn_bind_interdomain(XenemuEvtchn *e, uint16_t domid, uint32_t remote_port);
/* The peer goes back to unbound, reserved for us. -ENOTCONN: not a port of this handle. */
int xenemu_evtchn_unbind(XenemuEvtchn *e, uint32_t port);
/* -ENOTCONN as above, the same below. To an unbound port: dropped, 0. */
int xenemu_evtchn_notify(XenemuEvtchn *e, uint32_t port);
/* A pending port, no longer pending and masked from now on; or -EAGAIN. */
int xenemu_evtchn_pending(XenemuEvtchn *e);
int xenemu_evtchn_unmask(XenemuEvtchn *e, uint32_t port);
/* 1: it was pending, masked or not, and is not any more; 0: it was not. */
int xenemu_evtchn_test_and_clear(XenemuEvtchn *e, uint32_t port);
/* EVTCHNSTAT_closed, _unbound or _interdomain: of a port of the same domain. */
int xenemu_evtchn_status(XenemuEvtchn *e, uint32_t port);

/* --- a guest --- */

/*
 * Attaches to the host at @path as domain @domid (-1: it chooses) with @ram_size bytes,
 * a multiple of the page size between XENEMU_RAM_MIN and _MAX. @name NULL: "guest-DOMID".
 * NULL: *errmsg tells why, free() it. Any thread may use the result.
 */
XenemuGuest *xenemu_guest_attach(const char *path, int domid, size_t ram_size,
                                 const char *name, char **errmsg);
/* The domain dies, and is dead when this returns. All handles are closed. NULL is fine. */
void xenemu_guest_detach(XenemuGuest *guest);

uint16_t xenemu_guest_domid(const XenemuGuest *guest);
const char *xenemu_guest_store_path(const XenemuGuest *guest);

/* All of the RAM: page 0 is the first of the grant table. */
void *xenemu_guest_ram(XenemuGuest *guest);
size_t xenemu_guest_ram_size(const XenemuGuest *guest);

/* POLLHUP once the host is gone. Readable is no sign: an answer may be late. Only to be polled. */
int xenemu_guest_fd(const XenemuGuest *guest);

/*
 * Zeroed pages next to each other, never of the grant table; NULL: no room. A guest
 * that manages its RAM and its grant table by itself uses neither these nor the next.
 */
void *xenemu_guest_alloc_pages(XenemuGuest *guest, unsigned count);
void xenemu_guest_free_pages(XenemuGuest *guest, void *addr, unsigned count);

/* Lets @domid use the page at @page, of our RAM. The reference, or -ENOSPC, -EINVAL. */
int xenemu_guest_grant_access(XenemuGuest *guest, uint16_t domid, void *page, bool writable);
/* -EBUSY: it is mapped still, and stays granted. -EINVAL: not granted by the above. */
int xenemu_guest_end_access(XenemuGuest *guest, uint32_t ref);
/* It is mapped, or copied from or to, at the moment. Any thread. */
bool xenemu_guest_in_use(XenemuGuest *guest, uint32_t ref);

#ifdef __cplusplus
}
#endif

#endif
