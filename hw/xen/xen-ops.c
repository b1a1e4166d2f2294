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
