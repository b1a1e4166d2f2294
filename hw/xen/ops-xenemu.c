/*
 * The emulated Xen, this process being its host and dom0. The rules are in
 * subprojects/xenemu; Xen.opaque is the XenemuHost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xen-ops.h"

#include <errno.h>

#include "ops-xenemu-ports.h"

struct XenGnttab {
    XenemuGnttab *h;
};

static void host_close(Xen *xen)
{
    xenemu_host_free(xen->opaque);
}

static XenEvtchn *host_evtchn_open(Xen *xen, GError **error)
{
    return ops_xenemu_evtchn_new(xenemu_host_evtchn_open(xen->opaque), error);
}

static XenGnttab *host_gnttab_open(Xen *xen, GError **error)
{
    XenGnttab *g = g_new0(XenGnttab, 1);

    g->h = xenemu_gnttab_open(xen->opaque);
    if (!g->h) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "could not open grants of the emulated Xen: %s", g_strerror(errno));
        g_free(g);
        return NULL;
    }
    return g;
}

static void host_gnttab_close(XenGnttab *g)
{
    xenemu_gnttab_close(g->h);
    g_free(g);
}

static void *host_gnttab_map(XenGnttab *g, uint16_t domid, const uint32_t *refs,
                             unsigned count, bool writable)
{
    return xenemu_gnttab_map(g->h, domid, refs, count, writable);
}

static int host_gnttab_unmap(XenGnttab *g, void *addr, unsigned count)
{
    return xenemu_gnttab_unmap(g->h, addr, count);
}

static int host_gnttab_copy(XenGnttab *g, uint16_t domid, bool to_guest, XenCopySeg *seg,
                            unsigned n)
{
    /* One struct by two names: nothing is converted on the way. */
    G_STATIC_ASSERT(sizeof(XenCopySeg) == sizeof(XenemuCopySeg));
    G_STATIC_ASSERT(offsetof(XenCopySeg, local) == offsetof(XenemuCopySeg, local));
    G_STATIC_ASSERT(offsetof(XenCopySeg, ref) == offsetof(XenemuCopySeg, ref));
    G_STATIC_ASSERT(offsetof(XenCopySeg, offset) == offsetof(XenemuCopySeg, offset));
    G_STATIC_ASSERT(offsetof(XenCopySeg, len) == offsetof(XenemuCopySeg, len));
    G_STATIC_ASSERT(offsetof(XenCopySeg, status) == offsetof(XenemuCopySeg, status));
    G_STATIC_ASSERT(XEN_COPY_MAX <= XENEMU_COPY_MAX);
    return xenemu_gnttab_copy(g->h, domid, to_guest, (XenemuCopySeg *)seg, n);
}

static int host_gnttab_copy_between(XenGnttab *g, uint16_t from, uint16_t to,
                                    XenCopyBetween *seg, unsigned n)
{
    G_STATIC_ASSERT(sizeof(XenCopyBetween) == sizeof(XenemuCopyBetween));
    G_STATIC_ASSERT(offsetof(XenCopyBetween, local) == offsetof(XenemuCopyBetween, local));
    G_STATIC_ASSERT(offsetof(XenCopyBetween, from_ref) == offsetof(XenemuCopyBetween, from_ref));
    G_STATIC_ASSERT(offsetof(XenCopyBetween, to_ref) == offsetof(XenemuCopyBetween, to_ref));
    G_STATIC_ASSERT(offsetof(XenCopyBetween, from_offset) ==
                    offsetof(XenemuCopyBetween, from_offset));
    G_STATIC_ASSERT(offsetof(XenCopyBetween, to_offset) == offsetof(XenemuCopyBetween, to_offset));
    G_STATIC_ASSERT(offsetof(XenCopyBetween, len) == offsetof(XenemuCopyBetween, len));
    G_STATIC_ASSERT(offsetof(XenCopyBetween, status) == offsetof(XenemuCopyBetween, status));
    return xenemu_gnttab_copy_between(g->h, from, to, (XenemuCopyBetween *)seg, n);
}

static void *host_gnttab_buffer(XenGnttab *g, size_t size)
{
    return xenemu_gnttab_buffer(g->h, size);
}

static bool host_gnttab_buffer_free(XenGnttab *g, void *addr)
{
    return xenemu_gnttab_buffer_free(g->h, addr);
}

static bool host_gnttab_use_hypercall(XenGnttab *g, GError **error)
{
    int r = xenemu_gnttab_use_hypercall(g->h);

    if (r < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-r),
                    "could not open privcmd of the emulated Xen: %s", g_strerror(-r));
    }
    return r == 0;
}

static XenShare *host_share_open(Xen *xen, GError **error)
{
    g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
                        "the host of an emulated Xen grants nothing: only its guests do");
    return NULL;
}

static const XenOps host_ops = {
    .name = "xenemu",
    .close = host_close,
    .evtchn_open = host_evtchn_open,
    .evtchn_close = ops_xenemu_evtchn_close,
    .evtchn_fd = ops_xenemu_evtchn_fd,
    .evtchn_bind_interdomain = ops_xenemu_evtchn_bind_interdomain,
    .evtchn_alloc_unbound = ops_xenemu_evtchn_alloc_unbound,
    .evtchn_unbind = ops_xenemu_evtchn_unbind,
    .evtchn_notify = ops_xenemu_evtchn_notify,
    .evtchn_pending = ops_xenemu_evtchn_pending,
    .evtchn_unmask = ops_xenemu_evtchn_unmask,
    .gnttab_open = host_gnttab_open,
    .gnttab_close = host_gnttab_close,
    .gnttab_map = host_gnttab_map,
    .gnttab_unmap = host_gnttab_unmap,
    .gnttab_copy = host_gnttab_copy,
    .gnttab_copy_between = host_gnttab_copy_between,
    .gnttab_buffer = host_gnttab_buffer,
    .gnttab_buffer_free = host_gnttab_buffer_free,
    .gnttab_use_hypercall = host_gnttab_use_hypercall,
    .share_open = host_share_open,
};

Xen *xen_xenemu_open_host(const char *path, GError **error)
{
    char *errmsg = NULL;
    XenemuHost *host = xenemu_host_new(path, &errmsg);
    Xen *xen;

    if (!host) {
        ops_xenemu_set_error(error, errmsg);
        return NULL;
    }
    xen = g_new0(Xen, 1);
    xen->ops = &host_ops;
    xen->emulated = true;
    xen->store_path = g_strdup(xenemu_host_store_path(host));
    xen->opaque = host;
    return xen;
}
