/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/xen/xen-ops.h"

void xen_close(Xen *xen)
{
    if (!xen) {
        return;
    }
    xen->ops->close(xen);
    g_free(xen->store_path);
    g_free(xen);
}
