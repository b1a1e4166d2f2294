/*
 * A network namespace of the test's own, and what tests do to interfaces in it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_NETNS_H
#define TESTS_LIB_NETNS_H

#include <glib.h>
#include <stdbool.h>

/*
 * Puts the process into a new namespace, with a user namespace around it where root is
 * not to be had. The host's IPv6 is off in it: it would send packets of its own. False: not
 * possible or no /dev/net/tun; the test was marked as skipped.
 */
bool netns_enter(void);

/* Runs a shell command; true if it succeeded. */
bool netns_sh(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

bool netns_has_interface(const char *name);

/*
 * An AF_PACKET socket on @ifname, all protocols; with @vnet_hdr each frame has a header of
 * 10 bytes. Non-blocking.
 */
int netns_packet_socket(const char *ifname, bool vnet_hdr);

/* Waits for @fd to be readable, at most two seconds. */
bool netns_wait(int fd);

#endif
