/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "open-tap.h"

#include "netns.h"

Netdev *open_tap(const char *ifname, unsigned queues, OnOffAuto vnet_hdr)
{
    TapConfig config = { .id = (char *)"n0", .ifname = (char *)ifname, .queues = queues,
                         .has_queues = true, .vnet_hdr = vnet_hdr, .script = (char *)"no",
                         .downscript = (char *)"no" };
    g_autoptr(GError) error = NULL;
    Netdev *nd = tap_new(&config, NULL, NULL, &error);

    g_assert_no_error(error);
    g_assert_true(netns_sh("ip link set %s up", ifname));
    return nd;
}
