/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "hw/xen/xen-store.h"

#define MAX_TRIES 64 /* of a transaction that others disturb */

bool xen_store_transaction(XenStore *s, XenTxFn *fn, void *opaque)
{
    for (unsigned i = 0; i < MAX_TRIES; i++) {
        XenTx tx = xen_store_begin(s);

        if (tx == 0) {
            return false;
        }
        if (!fn(s, tx, opaque)) {
            int saved = errno;

            xen_store_end(s, tx, true);
            errno = saved;
            return false;
        }
        if (xen_store_end(s, tx, false)) {
            return true;
        }
        if (errno != EAGAIN) {
            return false;
        }
    }
    return false;
}

bool xen_store_clear(XenStore *s, XenTx tx, const char *path)
{
    return xen_store_remove(s, tx, path) || errno == ENOENT;
}

void xen_store_remove_empty(XenStore *s, const char *path)
{
    g_auto(GStrv) left = xen_store_list(s, 0, path);

    if (left && !left[0]) {
        xen_store_remove(s, 0, path);
    }
}

bool xen_store_has(XenStore *s, XenTx tx, const char *dir, const char *key)
{
    g_autofree char *path = g_strdup_printf("%s/%s", dir, key);
    g_autofree char *value = xen_store_read(s, tx, path);

    return value != NULL;
}
