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

/*
 * Makes @fd this process's if it is of /dev/vhost-net, its rings polled for @poll_us before it
 * waits for a kick, 0: not at all. False: vhost is not there, or too old for that.
 */
typedef bool TapVhostInit(int fd, uint32_t poll_us, GError **error);

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
    bool persist;
    /* what QEMU's other way to open a tap says */
    char *br;
    char *helper;
    /* vhost-net; see NetdevQueue.vhost_fd */
    OnOffAuto vhost;
    char *vhostfd;
    char *vhostfds;
    bool vhostforce;
    uint32_t poll_us;
    TapVhostInit *vhost_init;   /* no option: hw/virtio has it; NULL: there is no vhost */
    const char *vhost_path;     /* no option: for tests; NULL: /dev/vhost-net */
    unsigned script_timeout_ms; /* no option: for tests; 0: 30 s */
    bool local_migration_supported;
    bool incoming_fds;
    /* no option: nothing is opened, all comes from the program that has it (incoming_fds is one
     * reason for that); which is an error if that is not to be */
    bool awaited;
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
 * in QEMU's words where QEMU has them. @config is not kept. Main thread. script= is not
 * run yet.
 */
Netdev *tap_new(const TapConfig *config, TapFdByName *by_name, void *opaque, GError **error);

/*
 * The script that is to be run next with the interface of @nd: script= (@up) before a NIC has
 * it, downscript= before it is freed. NULL: there is none, it has run, or @nd is no tap.
 */
const char *tap_script(const Netdev *nd, bool up);

/*
 * Starts tap_script(). It has 30 seconds; then it is killed with all that it started. @nd stays
 * until @done was called, in the main loop, with what went wrong or NULL.
 */
typedef struct TapScript TapScript;
typedef void TapScriptDone(void *opaque, const GError *error);
TapScript *tap_script_start(Netdev *nd, bool up, TapScriptDone *done, void *opaque,
                            GError **error);
/* @s is spent, and @done not called: waits for its end here, or makes one. */
bool tap_script_wait(TapScript *s, GError **error);
void tap_script_cancel(TapScript *s);

/* The next script has half a second only: nobody is to be kept waiting. */
void tap_script_hurry(Netdev *nd);

/* Runs tap_script(), if there is one, and waits: where there is no main loop to go on. */
bool tap_script_run(Netdev *nd, bool up, GError **error);

#endif
