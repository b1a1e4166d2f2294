/*
 * A netdev: the host side of a NIC, with N queues. QEMU's -netdev.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_NETDEV_H
#define NET_NETDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/pkt-buffers.h"
#include "net/pkt.h"
#include "util/state.h"

typedef struct Netdev Netdev;
typedef struct NetdevQueue NetdevQueue;
struct VhostOps;        /* hw/virtio/vhost.h, for NICs that know of it */
struct VhostUserRemote; /* hw/virtio/vhost-user-remote.h */

/*
 * What a side takes unfinished. Segmentation is nothing without the checksums of its family.
 * UDP tunnels (Linux 6.17) are left out: their vnet header has 12 bytes more than PKT_HDR_LEN.
 */
typedef enum NetdevOffload {
    NETDEV_CSUM4 = 1 << 0,   /* TCP and UDP over IPv4 with the checksum still to do */
    NETDEV_CSUM6 = 1 << 1,
    NETDEV_TSO4 = 1 << 2,    /* TCPv4 packets of up to 64 KiB */
    NETDEV_TSO6 = 1 << 3,
    NETDEV_TSO_ECN = 1 << 4, /* with these: CWR may be set, of which the first segment has it */
    NETDEV_UFO = 1 << 5,     /* UDP packets that become fragments; Linux makes none any more */
    NETDEV_USO = 1 << 6,     /* UDP packets that become packets, over IPv4 and IPv6; Linux 6.2 */
} NetdevOffload;

typedef struct NetdevOps {
    const char *type;
    bool tells_writable; /* a full queue's descriptor tells EPOLLOUT when it has room again */
    /*
     * Sends up to @n packets, in order. Returns how many were dealt with: fewer than
     * @n only if the netdev is full, and then the caller may drop or try later. A packet
     * that the netdev refuses (bad header) is counted in q->refused and dealt with.
     */
    unsigned (*send)(NetdevQueue *q, Pkt *pkt, unsigned n);
    /* What was not sent will not come again, as netdev_send_stop(). Optional. */
    void (*send_stop)(NetdevQueue *q);
    /*
     * Reads up to @max packets into @arena (one iovec of @iov each) until there are no more, @max
     * is reached or the arena is too full. Returns how many.
     */
    unsigned (*recv)(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov, unsigned max);
    /* netdev_recv_into(), by way of pkt_buffers_gather(). Optional: else packets are copied. */
    unsigned (*recv_into)(NetdevQueue *q, PktBuffers *b, Pkt *pkt, unsigned max);
    /*
     * The memory that most packets to be sent will be in, headers included; NULL before
     * it goes away. A netdev may pin it. Main thread, @q not running. Optional.
     */
    void (*set_send_buffer)(NetdevQueue *q, void *base, size_t size);
    /* Packets come in bursts, and from any memory, or no more (@on false). Likewise. Optional. */
    void (*set_bursts)(NetdevQueue *q, bool on);
    /* The offloads that packets to the guest may ask for, of those in nd->host_offload. */
    bool (*set_offload)(Netdev *nd, unsigned offload, GError **error);
    /* Queues 0..n-1 carry traffic from now on, the others are detached: netdev_set_active(). */
    bool (*set_active)(Netdev *nd, unsigned n, GError **error);
    /* Carrier as the host's network stack shall see it. Optional. */
    void (*set_carrier)(Netdev *nd, bool up);
    /*
     * Goes on with the descriptors and the interface of @from, which has as many queues
     * and is of the same kind; on failure it may be without any. Optional.
     */
    bool (*take)(Netdev *nd, Netdev *from, GError **error);
    /*
     * netdev_give(), netdev_take_back() and netdev_receive(), whose @fds are the callee's. All of
     * them or none.
     */
    void (*give)(Netdev *nd, GByteArray *out, int *ret_fds);
    void (*take_back)(Netdev *nd);
    Netdev *(*receive)(Netdev *nd, StateReader *in, const int *fds, unsigned n_fds,
                       GError **error);
    /* QEMU's info_str of one queue: "ifname=tap0,script=no,downscript=no". Free it. */
    char *(*info)(Netdev *nd, unsigned queue);
    void (*free)(Netdev *nd);
} NetdevOps;

struct NetdevQueue {
    Netdev *nd;
    unsigned index;
    int fd;           /* readable when recv would find something; for epoll, edge or level */
    /* Of /dev/vhost-net, for a NIC that lets the kernel serve it; -1: none. All or none. */
    int vhost_fd;
    bool vhost_serves; /* the NIC let the kernel have it; main thread */
    uint64_t refused; /* packets that the netdev did not take because of their form */
    bool full;        /* netdev_send() ended because of that */
    struct NetdevScratch *scratch; /* netdev_send()'s; NULL where packets may be unfinished */
};

struct Netdev {
    const NetdevOps *ops;
    char *id;
    char *ifname;       /* NULL if there is no interface */
    unsigned n_queues;  /* 1..256 */
    unsigned n_active;  /* of these carry traffic */
    NetdevQueue **queue;
    bool has_vnet_hdr;  /* false: packets must be complete both ways */
    unsigned host_offload; /* NETDEV_* that packets to netdev_send() may ask for; stays */
    unsigned mtu;       /* of the interface, followed */
    bool mtu_is_nics;   /* there is no interface: a NIC may have any MTU, of which it tells */
    bool link_up;       /* what the interface's carrier and set_link leave of it */
    bool carrier;       /* of the interface, followed; on while it is us who set it off */
    bool link_off;      /* by netdev_set_link(); relaxed atomic */
    bool nic_carrier;   /* the NIC's last word to netdev_set_carrier() */
    /* Who alone can serve a NIC's rings, and which one of those; NULL: we do, by send and recv. */
    const struct VhostOps *vhost;
    struct VhostUserRemote *vhost_remote;
    bool vhost_forced;  /* its queues have one each, and a NIC without use for them is refused */
    bool in_use;        /* a NIC has it */
    bool short_frames;  /* which takes some without a whole Ethernet header, as sockets have */
    bool found;         /* its interface was there already */
    bool keep;          /* and what was made for it stays when it is freed: it will be back */
    bool movable;       /* netdev_give() may give it away */
    bool awaited;       /* what is behind it comes from another process: netdev_receive() */
    bool given_away;    /* another process has what is behind it: see netdev_give() */
    bool inherited;     /* its queues have packets for the driver that its NIC has */
    char *error;        /* why there is nothing behind it at present; NULL: there is */
    bool deleted;       /* by netdev_del while a NIC has it: waits for a new one of its id */
    /*
     * Called in the main thread when mtu, link_up or error changed, and when the queues'
     * descriptors are of other files, which epoll does not know. Set by the NIC.
     */
    void (*changed)(void *opaque);
    void (*reopened)(void *opaque);
    void *changed_opaque;
};

/*
 * Threads: send and recv belong to the thread that owns the queue; everything else, and creation
 * and removal, to the main thread, with no queue running unless it says so.
 */

/*
 * As ops->send, but finishes checksums and segments GSO packets first where the netdev
 * has no vnet header. Needs no memory for packets that are complete. Fewer than @n: the netdev
 * is full if q->full says so; else it was enough work for a round. In both cases the first of
 * the others may be half sent: it comes first in the next call, where it stood (the Pkt, too),
 * or netdev_send_stop() says that it does not.
 */
unsigned netdev_send(NetdevQueue *q, Pkt *pkt, unsigned n);

/* What was not sent will not come again; also before the packets' memory goes. */
void netdev_send_stop(NetdevQueue *q);

static inline void netdev_set_send_buffer(NetdevQueue *q, void *base, size_t size)
{
    if (q->nd->ops->set_send_buffer) {
        q->nd->ops->set_send_buffer(q, base, size);
    }
}

static inline void netdev_set_bursts(NetdevQueue *q, bool on)
{
    if (q->nd->ops->set_bursts) {
        q->nd->ops->set_bursts(q, on);
    }
}

static inline bool netdev_link_off(const Netdev *nd)
{
    return __atomic_load_n(&nd->link_off, __ATOMIC_RELAXED);
}

/* Reads what there is, and forgets it. Always 0, and nothing is taken of @arena. */
unsigned netdev_discard(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov, unsigned max);

static inline unsigned netdev_recv(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                                   unsigned max)
{
    if (netdev_link_off(q->nd)) {
        return netdev_discard(q, arena, pkt, iov, max);
    }
    return q->nd->ops->recv(q, arena, pkt, iov, max);
}

/*
 * The same into a guest's buffers, of any netdev. Returns how many packets are complete. Of each,
 * pkt[].hdr is private memory of the caller's, for the header (zeros if the netdev has none), with
 * the buffers taken in num_buffers; pkt[].iov and n_iov are all pieces of these as they are in @b,
 * headroom and room behind the frame included; pkt[].len is the frame's length alone.
 */
unsigned netdev_recv_into(NetdevQueue *q, PktBuffers *b, Pkt *pkt, unsigned max);

/*
 * Queues 0..n-1 carry traffic from now on, and what the others are sent is sent all the same. Main
 * thread, which waits for the kernel: 0.1 to 0.5 ms for each that is detached, more on a busy
 * machine. Queues may be running; those that stay lose nothing.
 *
 * What is in a queue when it is detached is lost. So @drain(@opaque, index) has its thread read all
 * that there is, then it is detached at once, and its thread goes on reading: lost is what comes in
 * between, or has no buffers. The last queue goes first, its flows are spread over those before it.
 * @drain NULL: none of them is running. False: nd->n_active says how far that went.
 */
typedef void NetdevDrain(void *opaque, unsigned queue);
bool netdev_set_active(Netdev *nd, unsigned n, NetdevDrain *drain, void *opaque, GError **error);

/*
 * What the NIC knows of its guest: the host's network stack sees a carrier if @up, unless
 * the link is off. Nothing to do for a netdev that has none. Main thread, queues may be running.
 */
void netdev_set_carrier(Netdev *nd, bool up);

/*
 * QMP's set_link: a link that is off stays down whatever the carrier says, and packets
 * get lost on it both ways, as in QEMU. Main thread, queues may be running.
 */
void netdev_set_link(Netdev *nd, bool up);

/*
 * For a NIC that cannot have vhost serve it. False: the netdev's was forced; else it is said that
 * there is none, if it was asked for.
 */
bool netdev_without_vhost(const Netdev *nd, const char *nic, const char *why, GError **error);
#define NETDEV_NO_VHOST_XEN "it serves virtio-net alone, and this is a NIC of Xen"

/*
 * Puts @fresh, which is spent, in the place of @nd, which keeps its NIC. False: they do not
 * fit, and nothing changed but @fresh; or the error is in nd->error, too. Main thread.
 */
bool netdev_replace(Netdev *nd, Netdev *fresh, GError **error);

/*
 * What is behind @nd goes to another process of this machine, which goes on with it: what that one
 * needs is appended to @out, and @ret_fds, of n_queues, are what it has to have copies of. From
 * then on both have it, and only one may use it. So nothing that @nd is told or asked for reaches
 * it any more, whatever it is; what is told is kept. No queue runs. Where netdev_is_movable().
 */
bool netdev_is_movable(const Netdev *nd);
void netdev_give(Netdev *nd, GByteArray *out, int *ret_fds);
/* Nobody else uses it: all that @nd was told is so again. Packets that came meanwhile are there. */
void netdev_take_back(Netdev *nd);
/*
 * What another process gave, for @nd, which is awaited. Takes @fds. Looks at all of it and touches
 * nothing: the other one may have it back. netdev_replace() with what is returned makes it @nd's,
 * as it was, and it can be freed instead. On success @nd knows what it will be able to do.
 */
Netdev *netdev_receive(Netdev *nd, StateReader *in, const int *fds, unsigned n_fds,
                       GError **error);

void netdev_free(Netdev *nd); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Netdev, netdev_free)

#endif
