/*
 * -netdev tap: an interface of the host's network stack with one file descriptor a
 * queue (docs: Documentation/networking/tuntap.rst of Linux; options as in QEMU).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_TAP_H
#define NET_TAP_H

#include "net/netdev.h"
#include "util/options.h"

#define TAP_MAX_QUEUES 256 /* MAX_TAP_QUEUES of drivers/net/tun.c */

typedef struct TapConfig {
    char *id;
    char *ifname;
    char *fd;
    char *fds;
    char *script;
    char *downscript;
    OnOffAuto vnet_hdr;
    uint64_t sndbuf;
    bool has_sndbuf;
    uint32_t queues;
    bool has_queues;
    /* what QEMU's other ways to open and to serve a tap say */
    char *br;
    char *helper;
    OnOffAuto vhost;
    char *vhostfd;
    char *vhostfds;
    bool vhostforce;
    uint32_t poll_us;
    bool at_start; /* no option: the caller may wait for a program that is just ending */
} TapConfig;

extern const OptTable tap_options;

/*
 * Resolves a name given by QMP getfd (one that does not start with a digit); the
 * descriptor is the caller's from then on. -1 if there is none. On the command line, NULL:
 * there are only numbers.
 */
typedef int TapFdByName(void *opaque, const char *name);

/*
 * All or nothing: on failure nothing is left behind, and the error names what is wrong
 * in QEMU's words where QEMU has them. @config is not kept. Main thread.
 */
Netdev *tap_new(const TapConfig *config, TapFdByName *by_name, void *opaque, GError **error);

#endif
