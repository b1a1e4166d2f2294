/*
 * The keys of a frontend's queues: in its directory for one, in queue-N below it for more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xenbus-front.h"

#include "hw/xen/xen-queues.h"

static bool keys_clear(XenbusFront *f, XenTx tx, const char *key)
{
    g_autofree char *path = g_strdup_printf("%s/%s", f->fe, key);

    return xen_store_clear(f->store, tx, path);
}

bool xenbus_front_clear_queues(XenbusFront *f, XenTx tx, const char *const *keys)
{
    g_auto(GStrv) names = xen_store_list(f->store, tx, f->fe);

    for (; *keys; keys++) {
        if (!keys_clear(f, tx, *keys)) {
            return false;
        }
    }
    if (!keys_clear(f, tx, "multi-queue-num-queues")) {
        return false;
    }
    for (char **name = names; name && *name; name++) {
        if (g_str_has_prefix(*name, "queue-") && !keys_clear(f, tx, *name)) {
            return false;
        }
    }
    return names != NULL;
}

bool xenbus_front_write_queues(XenbusFront *f, XenTx tx, const XenQueues *qs,
                               XenbusFrontQueueFn *fn)
{
    for (unsigned i = 0; i < qs->n; i++) {
        g_autofree char *dir = qs->n == 1 ? g_strdup(f->fe)
                                          : g_strdup_printf("%s/queue-%u", f->fe, i);

        if (!fn(f->store, tx, dir, qs->queue[i])) {
            return false;
        }
    }
    return true;
}
