/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "open-tap.h"

#include <liburing.h>

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

bool open_tap_has_io_uring(void)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
    };
    struct io_uring ring;

    if (io_uring_queue_init_params(64, &ring, &params) < 0) {
        g_test_skip("no io_uring as we need it (Linux 6.1): packets go one by one");
        return false;
    }
    io_uring_queue_exit(&ring);
    return true;
}
