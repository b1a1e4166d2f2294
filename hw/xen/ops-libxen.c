/*
 * A real Xen, by the libraries of its toolstack: libxenevtchn and libxengnttab, whose
 * interface is stable, and nothing that needs privcmd, unless it is asked for
 * (ops-libxen-call.c). A thin layer: what a function means is written in hw/xen/xen-ops.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ops-libxen-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xentoollog.h>

#include "hw/xen/xen-store.h"
#include "util/fd.h"

#define EVTCHN_DEVICE "/dev/xen/evtchn"

struct XenEvtchn {
    xenevtchn_handle *h;
    uint32_t pending[16]; /* what one read() gave, */
    unsigned n_pending;   /* less those that were handed out, */
    unsigned next;
    bool more;            /* and there may be more */
};

struct XenShare {
    xengntshr_handle *h;
};

/*
 * Without a logger of ours the libraries write to stderr, and a guest that names bad
 * grants could fill a disk with that. Each failure reaches the caller by errno anyway.
 */
static void G_GNUC_PRINTF(5, 0) log_nothing(xentoollog_logger *logger, xentoollog_level level,
                                            int errnoval, const char *context,
                                            const char *format, va_list ap)
{
}

void ops_libxen_set_open_error(GError **error, const char *device)
{
    int err = errno;

    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(err), "could not open %s: %s",
                device, g_strerror(err));
    if (err == ENOENT && !g_str_equal(device, HYPERCALL_DEVICE)) {
        /* its module is called as it is; that one is of privcmd's, or the kernel older than 4.18 */
        g_prefix_error(error, "no Xen here, or modprobe xen-%s is wanted: ",
                       strrchr(device, '/') + 1);
    }
}

bool ops_libxen_device_opens(const char *device)
{
    AUTO_FD int fd = open(device, O_RDWR | O_CLOEXEC);

    return fd >= 0;
}

static void libxen_close(Xen *xen)
{
    g_free(xen->opaque);
}

/* --- event channels --- */

static void evtchn_close(XenEvtchn *e)
{
    xenevtchn_close(e->h);
    g_free(e);
}

static XenEvtchn *evtchn_open(Xen *xen, GError **error)
{
    XenEvtchn *e = g_new0(XenEvtchn, 1);
    int r;

    e->h = xenevtchn_open(xen->opaque, 0);
    if (!e->h) {
        ops_libxen_set_open_error(error, EVTCHN_DEVICE);
        g_free(e);
        return NULL;
    }
    /* xenevtchn_pending() is a read(): this makes it answer EAGAIN instead of waiting. */
    r = fd_set_nonblock(xenevtchn_fd(e->h), true);
    if (r < 0) {
        errno = -r;
        ops_libxen_set_open_error(error, EVTCHN_DEVICE);
        evtchn_close(e);
        return NULL;
    }
    return e;
}

static int evtchn_fd(XenEvtchn *e)
{
    return xenevtchn_fd(e->h);
}

/* A port or 0, as the libraries return it, or -errno. */
static int result(int r)
{
    return r < 0 ? -errno : r;
}

static int evtchn_bind_interdomain(XenEvtchn *e, uint16_t domid, uint32_t remote_port)
{
    return result(xenevtchn_bind_interdomain(e->h, domid, remote_port));
}

static int evtchn_alloc_unbound(XenEvtchn *e, uint16_t domid)
{
    return result(xenevtchn_bind_unbound_port(e->h, domid));
}

static int evtchn_unbind(XenEvtchn *e, uint32_t port)
{
    return result(xenevtchn_unbind(e->h, port));
}

static int evtchn_notify(XenEvtchn *e, uint32_t port)
{
    return result(xenevtchn_notify(e->h, port));
}

/*
 * xenevtchn_pending() reads one port, and a second time to find that there is none. The device
 * gives as many as there is room for (linux/drivers/xen/evtchn.c): fewer are all there are.
 */
static int evtchn_pending(XenEvtchn *e)
{
    ssize_t n;

    if (e->next == e->n_pending) {
        if (e->n_pending > 0 && !e->more) {
            e->n_pending = e->next = 0;
            return -EAGAIN;
        }
        e->n_pending = e->next = 0;
        n = read(xenevtchn_fd(e->h), e->pending, sizeof(e->pending));
        if (n < 0) {
            return -errno;
        }
        e->n_pending = (unsigned)n / sizeof(e->pending[0]);
        e->more = e->n_pending == G_N_ELEMENTS(e->pending);
    }
    return e->n_pending > 0 ? (int)e->pending[e->next++] : -EAGAIN;
}

static int evtchn_unmask(XenEvtchn *e, uint32_t port)
{
    return result(xenevtchn_unmask(e->h, port));
}

/* --- pages of ours --- */

static XenShare *share_open(Xen *xen, GError **error)
{
    XenShare *s = g_new0(XenShare, 1);

    s->h = xengntshr_open(xen->opaque, 0);
    if (!s->h) {
        ops_libxen_set_open_error(error, GNTALLOC_DEVICE);
        g_free(s);
        return NULL;
    }
    return s;
}

static void share_close(XenShare *s)
{
    xengntshr_close(s->h);
    g_free(s);
}

static void *share_alloc(XenShare *s, uint16_t domid, unsigned count, bool writable,
                         uint32_t *ret_refs)
{
    return xengntshr_share_pages(s->h, domid, count, ret_refs, writable);
}

/* Never EBUSY: the kernel keeps a page that the peer still uses, until it lets go. */
static int share_free(XenShare *s, void *addr, unsigned count)
{
    return result(xengntshr_unshare(s->h, addr, count));
}

static const XenOps libxen_ops = {
    .name = "xen",
    .close = libxen_close,
    .evtchn_open = evtchn_open,
    .evtchn_close = evtchn_close,
    .evtchn_fd = evtchn_fd,
    .evtchn_bind_interdomain = evtchn_bind_interdomain,
    .evtchn_alloc_unbound = evtchn_alloc_unbound,
    .evtchn_unbind = evtchn_unbind,
    .evtchn_notify = evtchn_notify,
    .evtchn_pending = evtchn_pending,
    .evtchn_unmask = evtchn_unmask,
    .gnttab_open = ops_libxen_gnttab_open,
    .gnttab_close = ops_libxen_gnttab_close,
    .gnttab_map = ops_libxen_gnttab_map,
    .gnttab_unmap = ops_libxen_gnttab_unmap,
    .gnttab_copy = ops_libxen_gnttab_copy,
    .gnttab_copy_between = ops_libxen_gnttab_copy_between,
    .gnttab_buffer = ops_libxen_gnttab_buffer,
    .gnttab_buffer_free = ops_libxen_gnttab_buffer_free,
    .gnttab_use_hypercall = ops_libxen_gnttab_use_hypercall,
    .share_open = share_open,
    .share_close = share_close,
    .share_alloc = share_alloc,
    .share_free = share_free,
};

/* A backend maps grants, a frontend makes them; each says so itself if its device is missing. */
static bool has_grants(void)
{
    return ops_libxen_device_opens(GNTDEV_DEVICE) || ops_libxen_device_opens(GNTALLOC_DEVICE);
}

bool xen_libxen_available(void)
{
    return ops_libxen_device_opens(EVTCHN_DEVICE) && has_grants();
}

/* Our own number is in XenStore; a dom0 that was set up by hand may not have written it. */
static bool own_domid(uint16_t *ret_domid, GError **error)
{
    g_autoptr(XenStore) s = xen_store_open(NULL, error);
    uint64_t domid = 0;

    if (!s) {
        return false;
    }
    if (!xen_store_read_uint(s, 0, "", "domid", DOMID_FIRST_RESERVED - 1, &domid) &&
        errno != ENOENT) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "could not read our domain's number from XenStore: %s", g_strerror(errno));
        return false;
    }
    *ret_domid = (uint16_t)domid;
    return true;
}

Xen *xen_libxen_open(GError **error)
{
    xentoollog_logger *quiet;
    uint16_t domid;
    Xen *xen;

    if (!ops_libxen_device_opens(EVTCHN_DEVICE)) {
        ops_libxen_set_open_error(error, EVTCHN_DEVICE);
        return NULL;
    }
    if (!has_grants()) {
        ops_libxen_set_open_error(error, GNTDEV_DEVICE);
        return NULL;
    }
    if (!own_domid(&domid, error)) {
        return NULL;
    }
    quiet = g_new0(xentoollog_logger, 1);
    quiet->vmessage = log_nothing;
    xen = g_new0(Xen, 1);
    xen->ops = &libxen_ops;
    xen->domid = domid;
    xen->opaque = quiet;
    xen->claim_file = EVTCHN_DEVICE;
    return xen;
}
