/*
 * For scripts/bench virtio: sends UDP frames to an interface of its network namespace, as fast as
 * it can, until SIGTERM.
 *
 * usage: tap-flood IFNAME SIZE
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "tap-bench.h"

int main(int argc, char **argv)
{
    TapBenchSender sender;

    if (argc != 3) {
        fprintf(stderr, "usage: tap-flood IFNAME SIZE\n");
        return 2;
    }
    tap_bench_sender_init(&sender, argv[1], tap_bench_number(argv[2], 60, 1514));
    puts("ready");
    fflush(stdout);
    for (;;) {
        tap_bench_send(&sender);
    }
}
