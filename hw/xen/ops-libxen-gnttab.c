/*
 * A real Xen: what other domains granted, by libxengnttab.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ops-libxen-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xengnttab.h>

struct XenGnttab {
    xengnttab_handle *h;
    xengnttab_grant_copy_segment_t seg[XEN_COPY_MAX]; /* so that a copy allocates nothing */
};

XenGnttab *ops_libxen_gnttab_open(Xen *xen, GError **error)
{
    XenGnttab *g = g_new0(XenGnttab, 1);

    g->h = xengnttab_open(xen->opaque, 0);
    if (!g->h) {
        ops_libxen_set_open_error(error, GNTDEV_DEVICE);
        g_free(g);
        return NULL;
    }
    return g;
}

void ops_libxen_gnttab_close(XenGnttab *g)
{
    xengnttab_close(g->h);
    g_free(g);
}

int ops_libxen_gnttab_unmap(XenGnttab *g, void *addr, unsigned count)
{
    return xengnttab_unmap(g->h, addr, count) < 0 ? -errno : 0;
}

void *ops_libxen_gnttab_map(XenGnttab *g, uint16_t domid, const uint32_t *refs, unsigned count,
                            bool writable)
{
    int prot = PROT_READ | (writable ? PROT_WRITE : 0);
    uint32_t list[64];
    void *addr;

    /* The library wants refs that it may write to, and does not. */
    if (count == 0 || count > G_N_ELEMENTS(list)) {
        errno = EINVAL;
        return NULL;
    }
    memcpy(list, refs, count * sizeof(list[0]));
    addr = xengnttab_map_domain_grant_refs(g->h, count, domid, list, prot);
    if (!addr) {
        return NULL;
    }
    /*
     * A child of fork() would keep the guest's pages mapped after we let go of them.
     * A PV dom0 does not hand them on anyway, other kinds of domain do.
     */
    if (madvise(addr, (size_t)count * XEN_PAGE_SIZE, MADV_DONTFORK) < 0) {
        int err = errno;

        xengnttab_unmap(g->h, addr, count);
        errno = err;
        return NULL;
    }
    return addr;
}

int ops_libxen_gnttab_copy(XenGnttab *g, uint16_t domid, bool to_guest, XenCopySeg *seg,
                           unsigned n)
{
    if (n > XEN_COPY_MAX) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < n; i++) {
        xengnttab_grant_copy_segment_t *s = &g->seg[i];

        if (to_guest) {
            s->source.virt = seg[i].local;
            s->dest.foreign.ref = seg[i].ref;
            s->dest.foreign.offset = seg[i].offset;
            s->dest.foreign.domid = domid;
            s->flags = GNTCOPY_dest_gref;
        } else {
            s->source.foreign.ref = seg[i].ref;
            s->source.foreign.offset = seg[i].offset;
            s->source.foreign.domid = domid;
            s->dest.virt = seg[i].local;
            s->flags = GNTCOPY_source_gref;
        }
        s->len = seg[i].len;
        s->status = GNTST_general_error;
    }
    if (xengnttab_grant_copy(g->h, n, g->seg) < 0) {
        return -errno;
    }
    for (unsigned i = 0; i < n; i++) {
        seg[i].status = g->seg[i].status;
    }
    return 0;
}
