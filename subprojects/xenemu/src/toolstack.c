/*
 * What a toolstack does to XenStore around a domain; the directories are libxl's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host.h"

#include <string.h>

/* Makes @dir/@name if it is missing; keeps what is in it. */
static void make_dir(Store *store, const char *dir, const char *name, uint16_t owner,
                     uint16_t reader)
{
    g_autofree char *path = g_strconcat(dir, name, NULL);

    if (!store_exists(store, path)) {
        store_set(store, path, "");
    }
    store_set_access(store, path, owner, reader);
}

static void set_leaf(Store *store, const char *dir, const char *name, const char *value)
{
    g_autofree char *path = g_strconcat(dir, name, NULL);

    store_set(store, path, value);
}

void toolstack_start(Store *store)
{
    store_set(store, "/tool/xenstored", "");
    store_set(store, "/local/domain/0/domid", "0");
    store_set(store, "/local/domain/0/name", "Domain-0");
}

void toolstack_domain_created(Store *store, uint16_t domid, const char *name)
{
    static const char *const for_reading[] = {
        "", "/cpu", "/memory", "/device", "/control",
    };
    static const char *const for_writing[] = {
        "/device/suspend", "/device/suspend/event-channel", "/control/shutdown", "/data",
        "/drivers", "/feature", "/attr", "/error",
    };
    g_autofree char *dir = g_strdup_printf("/local/domain/%u", domid);
    g_autofree char *number = g_strdup_printf("%u", domid);
    g_autofree char *any_name = g_strdup_printf("guest-%u", domid);

    for (size_t i = 0; i < G_N_ELEMENTS(for_reading); i++) {
        make_dir(store, dir, for_reading[i], 0, domid);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(for_writing); i++) {
        make_dir(store, dir, for_writing[i], domid, 0);
    }
    set_leaf(store, dir, "/name", name[0] ? name : any_name);
    set_leaf(store, dir, "/domid", number);
    store_introduce(store, domid);
}

void toolstack_domain_destroyed(Store *store, uint16_t domid, bool keep_nodes)
{
    g_autofree char *dir = g_strdup_printf("/local/domain/%u", domid);

    store_release(store, domid); /* which tells the toolstack, too */
    if (!keep_nodes) {
        store_remove(store, dir);
    }
}
