/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_LIB_OPEN_TAP_H
#define TESTS_LIB_OPEN_TAP_H

#include "net/tap.h"

/* A tap of that name without scripts, up, in the namespace of the test (netns.h). */
Netdev *open_tap(const char *ifname, unsigned queues, OnOffAuto vnet_hdr);

/* The kernel has an io_uring as net/tap-ring.c wants it; else the test is marked as skipped. */
bool open_tap_has_io_uring(void);

#endif
