/*
 * The types of netdevs: what -netdev, netdev_add, their help and the schema know of.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

typedef Netdev *NetdevOpen(System *s, void *config, TapFdByName *by_name, void *opaque,
                           GError **error);

static Netdev *open_tap(System *s, void *config, TapFdByName *by_name, void *opaque,
                        GError **error)
{
    TapConfig *tap = config;

    tap->at_start = !s->up;
    return tap_new(tap, by_name, opaque, error);
}

/* The three go together, in the order of netdev_types[]. */
const char *const netdev_types[] = { "tap", NULL };
const OptBranch netdev_branches[] = { { "tap", &tap_options }, { 0 } };
static NetdevOpen *const openers[] = { open_tap };
_Static_assert(G_N_ELEMENTS(netdev_types) == G_N_ELEMENTS(openers) + 1 &&
               G_N_ELEMENTS(netdev_branches) == G_N_ELEMENTS(openers) + 1, "one each");

const OptBranch *netdev_type_find(const char *type)
{
    for (const OptBranch *b = netdev_branches; b->value; b++) {
        if (g_str_equal(b->value, type)) {
            return b;
        }
    }
    return NULL;
}

Netdev *netdev_type_open(System *s, const OptBranch *type, void *config, TapFdByName *by_name,
                         void *opaque, GError **error)
{
    return openers[type - netdev_branches](s, config, by_name, opaque, error);
}
