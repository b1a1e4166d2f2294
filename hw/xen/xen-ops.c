/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/xen/xen-ops.h"

void xen_leave_share(Xen *xen, XenShare *s)
{
    xen->shares = g_slist_prepend(xen->shares, s);
}

void xen_close(Xen *xen)
{
    if (!xen) {
        return;
    }
    for (const GSList *l = xen->shares; l; l = l->next) {
        xen->ops->share_close(l->data);
    }
    g_slist_free(xen->shares);
    xen->ops->close(xen);
    g_free(xen->store_path);
    g_free(xen);
}

unsigned xen_gnttab_map_pages(Xen *xen, XenGnttab *g, uint16_t domid, const uint32_t *refs,
                              unsigned count, bool writable, void **ret_pages)
{
    for (unsigned i = 0; i < count; i++) {
        ret_pages[i] = xen->ops->gnttab_map(g, domid, &refs[i], 1, writable);
        if (!ret_pages[i]) {
            return i;
        }
    }
    return count;
}
