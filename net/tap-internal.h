/*
 * What the tap's files share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_TAP_INTERNAL_H
#define NET_TAP_INTERNAL_H

#include "net/tap.h"
#include "tap-ring.h"

typedef struct TapQueue {
    NetdevQueue q;
    bool attached; /* to the interface; packets flow */
    TapRing *ring; /* NULL: no buffer is known that packets are sent from */
} TapQueue;

typedef struct Tap {
    Netdev nd;
    int ifindex;
    bool multi_queue;
    bool given;       /* descriptors came from outside */
    bool carrier_off; /* we set it */
    char *script;     /* NULL: none */
    char *downscript; /* NULL: none */
    bool script_ran;  /* or there was none to run: tear down what is set up */
    int link_fd;      /* rtnetlink's news; -1: not followed */
    unsigned link_source;
} Tap;

extern const NetdevOps tap_ops;

/* Sets the error, with strerror(@err) behind it unless @err is 0. Always false. */
bool tap_fail(GError **error, int err, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* tap-fds.c: queues whose descriptors come from outside */
typedef struct TapFdLookup {
    TapFdByName *by_name;
    void *opaque;
} TapFdLookup;

/*
 * "X:Y:Z", where one ':' at the end is nothing. NULL: none, too many, or one twice. The
 * same descriptor in another spelling is found by tap_adopt_fds(), as it is in use then.
 */
char **tap_split_fds(const char *fds, unsigned *ret_n, GError **error);
bool tap_adopt_fds(Tap *tap, char **fds, const TapFdLookup *lookup, GError **error);

/* tap-link.c: what the kernel says about an interface */
typedef struct TapLink {
    int ifindex;
    unsigned mtu;
    bool carrier;
    bool is_tap;      /* the following mean something */
    bool multi_queue;
    bool vnet_hdr;
    unsigned n_queues; /* attached ones, of all programs */
} TapLink;

/* Of the interface @ifname, or number @ifindex if that is NULL. 0 or -errno. */
int tap_link_query(const char *ifname, int ifindex, TapLink *ret_link);

/* Follows MTU and carrier from now on, and reads them. */
bool tap_link_follow(Tap *tap, GError **error);
void tap_link_unfollow(Tap *tap);

/* tap-script.c: runs @script with @ifname and waits for it, but not forever. */
bool tap_script_run(const char *script, const char *ifname, GError **error);

/* Takes the half-built. Gives up all descriptors: a tap that we made is gone then. */
void tap_free(Netdev *nd);

#endif
