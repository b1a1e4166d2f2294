/*
 * What the tap's files share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_TAP_INTERNAL_H
#define NET_TAP_INTERNAL_H

#include "net/tap.h"
#include "tap-ring.h"

/* Written in each batch, so no two of them are on one line of the cache. */
typedef struct TapQueue {
    NetdevQueue q;
    bool attached; /* to the interface; packets flow */
    TapRing *ring; /* NULL: nobody said what packets are sent from */
    void *send_buffer;
    size_t send_size; /* of it; 0: there is none */
    bool bursts;      /* from any memory */
    bool busy;        /* as many packets were there as could be read */
} __attribute__((aligned(64))) TapQueue;

/* Where a tap's interface is at present. */
typedef enum TapPlace {
    TAP_FOLLOWED,  /* in the network namespace nsid */
    TAP_ELSEWHERE, /* in one that we may not ask about */
    TAP_GONE,      /* nowhere: it was deleted */
} TapPlace;

#define TAP_NSID_OURS (-1)

typedef struct Tap {
    Netdev nd;
    bool multi_queue;
    bool given;       /* descriptors came from outside */
    bool carrier_off; /* we set it */
    bool persist;     /* the interface is ours, and stays over our end */
    bool has_sndbuf;
    uint64_t sndbuf;
    unsigned offload; /* as the NIC asked last */
    bool has_offload; /* it was told to the kernel, as tun_offload */
    unsigned tun_offload;
    char *script;     /* NULL: none */
    char *downscript; /* NULL: none */
    bool script_ran;  /* or there was none to run: tear down what is set up */
    int script_timeout_ms;
    TapScript *again; /* script= of an interface that came back; NULL: not running */

    /* tap-follow.c */
    TapPlace place;
    int nsid;             /* the number that our namespace has for the interface's */
    int ifindex;          /* in that namespace */
    int link_fd;          /* rtnetlink's news; -1: not followed */
    unsigned link_source;
    unsigned end_source;  /* the descriptor's own word for the end of the interface */
    unsigned reopen_timer;
    unsigned reopen_tries; /* left */
    char *reopen_error;    /* what was said last */
} Tap;

extern const NetdevOps tap_ops;

/* Sets the error, with strerror(@err) behind it unless @err is 0. Always false. */
bool tap_fail(GError **error, int err, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* tap-recv.c: NetdevOps.recv and recv_into */
unsigned tap_recv(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov, unsigned max);
unsigned tap_recv_into(NetdevQueue *q, PktBuffers *b, Pkt *pkt, unsigned max);

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
/* Queue @i has @fd, which is taken if it is a tap's. *ret_flags: as TUNGETIFF has them. */
bool tap_adopt_queue(Tap *tap, unsigned i, int fd, unsigned *ret_flags, GError **error);

typedef struct TapGivenFd {
    int fd;
    bool ours; /* good or bad: it had a name of getfd; else it stays its owner's if it is bad */
} TapGivenFd;
/* The open descriptor that @text names; not one of this program's own. */
bool tap_resolve_fd(const char *id, const char *text, const TapFdLookup *lookup, TapGivenFd *ret,
                    GError **error);

/*
 * tap-vhost.c: what the options about vhost say of @n_queues, before anything is opened; and a
 * descriptor of it for each queue if that is wanted, or for none with a warning if it may be.
 */
bool tap_vhost_check(const TapConfig *config, unsigned n_queues, GError **error);
bool tap_vhost_open(Tap *tap, const TapConfig *config, const TapFdLookup *lookup, GError **error);

/* tap-link.c: what the kernel says about an interface */
typedef struct TapLink {
    int ifindex;
    unsigned mtu;
    uint8_t mac[6];
    bool carrier;
    bool is_tap;      /* the following mean something */
    bool multi_queue;
    bool vnet_hdr;
    unsigned n_queues;   /* attached ones, of all programs */
    unsigned n_disabled; /* opened ones that are not attached */
} TapLink;

/* Of the interface @ifname in the network namespace @nsid. 0 or -errno. */
int tap_link_query(int nsid, const char *ifname, TapLink *ret_link);

/* The number that our network namespace has for another, given now if need be; or -errno. */
int tap_link_nsid(int netns_fd);

/* A socket for requests, and for the news of @groups; or -errno. */
int tap_link_socket(unsigned groups);

/*
 * tap-follow.c: MTU, carrier and end of the interface that the descriptors belong to, from now
 * on, wherever it is; never those of another one with its name.
 */
bool tap_follow(Tap *tap, GError **error);
void tap_unfollow(Tap *tap);

/* Its name means the same interface to us as to its descriptor. */
bool tap_is_ours_to_see(const Tap *tap);

/* tap-features.c: the features of an interface that ethtool -K changes. 0 or -errno. */
#define TAP_FEATURE_WORDS 4u
typedef struct TapFeatures {
    unsigned n;
    uint32_t changeable[TAP_FEATURE_WORDS];
    uint32_t wanted[TAP_FEATURE_WORDS];
} TapFeatures;
int tap_features_read(const char *ifname, TapFeatures *ret_features);
int tap_features_want(const char *ifname, const TapFeatures *features);

/* tap-open.c: without descriptors, and all that is known without them. */
Tap *tap_alloc(const char *id, unsigned n_queues);
void tap_set_scripts(Tap *tap, const TapConfig *config);

/* tap-move.c: one whose descriptors are to come; NetdevOps.give, take_back and receive. */
Tap *tap_new_awaited(const TapConfig *config, unsigned n_queues, GError **error);
void tap_give(Netdev *nd, GByteArray *out, int *ret_fds);
void tap_take_back(Netdev *nd);
Netdev *tap_receive(Netdev *nd, StateReader *in, const int *fds, unsigned n_fds, GError **error);

/* tap-reopen.c: NetdevOps.take; and opens what has the name of the interface that is gone. */
bool tap_take(Netdev *nd, Netdev *from, GError **error);
bool tap_reopen(Tap *tap, GError **error);

/* Takes the half-built. Gives up all descriptors: a tap that we made is gone then. */
void tap_free(Netdev *nd);

#endif
