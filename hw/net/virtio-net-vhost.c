/*
 * Which of the two has a pair, its thread or vhost, and how it moves from one to the other. What
 * vhost can't go on with, a bad ring for one, comes back to the thread, which judges it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-vhost.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/virtio_config.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hw/virtio/vhost-kernel.h"
#include "util/fd.h"
#include "util/log.h"

#define BIT(n) (1ull << (n))
#define RINGS VHOST_RINGS

typedef struct Pair {
    VirtioNet *vn;
    unsigned index;
    int err_fd;          /* vhost found something that it can't go on with */
    guint err_tag;
    bool serves;         /* vhost has both rings */
    bool barred;         /* it could not: not again before one of them starts anew */
    VirtioRing ring[RINGS]; /* as it was started, with the base that it would go on at */
    bool runs[RINGS];    /* for the transport, whoever has it */
    bool lost[RINGS];    /* its thread did not take it back: nobody has it */
} Pair;

typedef struct VirtioNetVhost {
    const VhostOps *ops;
    bool held;
    LogLimit limit;      /* of what a driver can cause */
    unsigned n;
    Pair pair[];
} VirtioNetVhost;

/* NULL: no ring of a pair, or there is no vhost. */
static Pair *pair_of(const VirtioNet *vn, unsigned pair)
{
    return vn->vhost && pair < vn->vhost->n ? &vn->vhost->pair[pair] : NULL;
}

/* --- where a pair belongs --- */

/* The header as it is between us and the netdev, where it is handed through. */
static bool header_suits(const VirtioNet *vn)
{
    return !vn->vhost->ops->over_netdev ||
           vn->features & (BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_F_VERSION_1));
}

static bool ring_suits(const Pair *p, unsigned i)
{
    const VirtioRing *r = &p->ring[i];

    /* nobody would look without kicks; and the kernel keeps no record of what is under way */
    return p->runs[i] && !p->lost[i] && p->vn->enabled[RINGS * p->index + i] && r->kick_fd >= 0 &&
           !r->setup.inflight;
}

static bool belongs_to_vhost(const Pair *p)
{
    const VirtioNet *vn = p->vn;
    const Netdev *peer = vn->env.peer;

    return !vn->vhost->held && !p->barred && !vn->paused && !peer->link_off && !peer->error &&
           header_suits(vn) && ring_suits(p, 0) && ring_suits(p, 1) &&
           !device_queue_fault(&vn->queue[p->index]->dq);
}

/* --- from one to the other --- */

/* What nobody serves any more: the transport is told, as of a ring whose driver broke it. */
static void lose(Pair *p, unsigned i)
{
    VirtioDevice *d = &p->vn->dev;

    p->lost[i] = true;
    if (d->transport) {
        d->transport->ring_broken(d->transport_opaque, RINGS * p->index + i,
                                  "its thread could not take it back from vhost");
    }
}

static void to_thread(Pair *p, unsigned i)
{
    g_autoptr(GError) error = NULL;

    if (!virtio_net_queue_start_ring(p->vn->queue[p->index], i == 1, &p->ring[i], &error)) {
        lose(p, i);
    }
}

static void set_serves(Pair *p, bool serves)
{
    p->serves = serves;
    p->vn->env.peer->queue[p->index]->vhost_serves = serves;
}

static void take_back(Pair *p, const uint32_t base[RINGS])
{
    set_serves(p, false);
    virtio_net_queue_rest(p->vn->queue[p->index], false);
    for (unsigned i = 0; i < RINGS; i++) {
        p->ring[i].setup.base = base[i];
        if (p->runs[i]) {
            to_thread(p, i);
        }
    }
}

static VhostPair vhost_pair(const Pair *p)
{
    const VirtioNet *vn = p->vn;
    const NetdevQueue *q = vn->env.peer->queue[p->index];

    return (VhostPair){
        .mem = vn->dev.mem,
        .features = vn->features,
        .ring = p->ring,
        .err_fd = p->err_fd,
        .mtu = vn->config.host_mtu,
        .vhost_fd = q->vhost_fd,
        .backend_fd = q->fd,
        .remote = vn->env.peer->vhost_remote,
        .index = p->index,
    };
}

static const char *without_vhost(const VirtioNet *vn)
{
    return vn->vhost->ops->over_netdev ? ": falling back on userspace virtio" : "";
}

static void to_vhost(Pair *p)
{
    g_autoptr(GError) error = NULL;
    VirtioNet *vn = p->vn;
    VirtioNetQueue *q = vn->queue[p->index];
    uint32_t base[RINGS];
    VhostPair v;

    for (unsigned i = 0; i < RINGS; i++) {
        p->ring[i].setup.base = virtio_net_queue_stop_ring(q, i == 1);
    }
    virtio_net_queue_rest(q, true);
    v = vhost_pair(p);
    set_serves(p, vn->vhost->ops->start(&v, base, &error));
    if (!p->serves) {
        p->barred = true;
        warn_report_limited(&vn->vhost->limit, "%s: queue %u: unable to start %s: %s%s", vn->name,
                            p->index, vn->vhost->ops->name, error->message, without_vhost(vn));
        take_back(p, base);
    }
}

static void from_vhost(Pair *p)
{
    const VhostPair v = vhost_pair(p);
    uint32_t base[RINGS];

    p->vn->vhost->ops->stop(&v, base);
    take_back(p, base);
}

static void follow(Pair *p)
{
    bool wanted = belongs_to_vhost(p);

    if (wanted && !p->serves) {
        to_vhost(p);
    } else if (!wanted && p->serves) {
        from_vhost(p);
    }
}

static gboolean ring_failed(gint fd, GIOCondition condition, gpointer opaque)
{
    Pair *p = opaque;
    VirtioNet *vn = p->vn;
    uint64_t n;

    if (read(fd, &n, sizeof(n)) == sizeof(n) && p->serves) {
        warn_report_limited(&vn->vhost->limit, "%s: queue %u: %s failed%s", vn->name, p->index,
                            vn->vhost->ops->name, without_vhost(vn));
        p->barred = true;
        follow(p);
    }
    return G_SOURCE_CONTINUE;
}

/* --- what virtio-net.c tells --- */

bool virtio_net_vhost_serves(const VirtioNet *vn, unsigned pair)
{
    const Pair *p = pair_of(vn, pair);

    return p && p->serves;
}

void virtio_net_vhost_follow(VirtioNet *vn, unsigned pair)
{
    Pair *p = pair_of(vn, pair);

    if (p) {
        follow(p);
    }
}

void virtio_net_vhost_follow_all(VirtioNet *vn)
{
    if (vn->vhost) {
        vn->vhost->held = false;
    }
    for (unsigned i = 0; vn->vhost && i < vn->vhost->n; i++) {
        follow(&vn->vhost->pair[i]);
    }
}

void virtio_net_vhost_hold(VirtioNet *vn)
{
    if (vn->vhost) {
        vn->vhost->held = true;
    }
    for (unsigned i = 0; vn->vhost && i < vn->vhost->n; i++) {
        follow(&vn->vhost->pair[i]);
    }
}

void virtio_net_vhost_retry(VirtioNet *vn)
{
    for (unsigned i = 0; vn->vhost && i < vn->vhost->n; i++) {
        vn->vhost->pair[i].barred = false;
    }
}

void virtio_net_vhost_started(VirtioNet *vn, unsigned index, const VirtioRing *ring)
{
    Pair *p = pair_of(vn, index / RINGS);

    if (p) {
        p->ring[index % RINGS] = *ring;
        p->runs[index % RINGS] = true;
        p->lost[index % RINGS] = false;
        p->barred = false;
        follow(p);
    }
}

void virtio_net_vhost_enabled(VirtioNet *vn, unsigned index, bool on)
{
    Pair *p = pair_of(vn, index / RINGS);

    if (p) {
        p->ring[index % RINGS].enabled = on;
        follow(p);
    }
}

bool virtio_net_vhost_stop(VirtioNet *vn, unsigned index, uint32_t *ret_base)
{
    Pair *p = pair_of(vn, index / RINGS);
    unsigned i = index % RINGS;
    bool had;

    if (!p) {
        return false;
    }
    had = p->serves || p->lost[i];
    p->runs[i] = false;
    follow(p);
    p->lost[i] = false;
    *ret_base = p->ring[i].setup.base;
    return had;
}

bool virtio_net_vhost_set_call(VirtioNet *vn, unsigned index, int call_fd)
{
    Pair *p = pair_of(vn, index / RINGS);
    unsigned i = index % RINGS;
    VhostPair v;

    if (!p) {
        return false;
    }
    p->ring[i].call_fd = call_fd;
    v = vhost_pair(p);
    if (p->serves && !vn->vhost->ops->set_call(&v, i, NULL)) {
        p->barred = true;
        follow(p); /* its thread takes it with the new one */
        return true;
    }
    return p->serves || p->lost[i];
}

/* --- its life --- */

static bool pair_init(Pair *p, GError **error)
{
    p->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->err_fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot create an eventfd: %s", g_strerror(errno));
        return false;
    }
    p->err_tag = g_unix_fd_add(p->err_fd, G_IO_IN, ring_failed, p);
    return true;
}

bool virtio_net_vhost_init(VirtioNet *vn, GError **error)
{
    const Netdev *peer = vn->env.peer;
    const VhostOps *ops = peer->queue[0]->vhost_fd >= 0 ? &vhost_kernel_ops : peer->vhost;
    unsigned n = vn->dev.n_rings / RINGS;
    VirtioNetVhost *v;

    if (!ops) {
        return true;
    }
    /* a VMM's memory, of a NIC whose control queue is the VMM's, is not ours to hand on */
    if (!peer->has_vnet_hdr || (!ops->over_netdev && !vn->config.ctrl)) {
        return netdev_without_vhost(peer, vn->name, "the netdev has no vnet_hdr", error);
    }
    v = g_malloc0(sizeof(*v) + n * sizeof(v->pair[0]));
    v->ops = ops;
    v->limit = (LogLimit){ .burst = 5, .interval_ms = 60000 };
    v->n = n;
    vn->vhost = v;
    for (unsigned i = 0; i < n; i++) {
        v->pair[i] = (Pair){ .vn = vn, .index = i, .err_fd = -1 };
    }
    for (unsigned i = 0; i < n; i++) {
        if (!pair_init(&v->pair[i], error)) {
            return false;
        }
    }
    return true;
}

void virtio_net_vhost_done(VirtioNet *vn)
{
    for (unsigned i = 0; vn->vhost && i < vn->vhost->n; i++) {
        Pair *p = &vn->vhost->pair[i];

        g_assert(!p->serves);
        g_clear_handle_id(&p->err_tag, g_source_remove);
        fd_close(&p->err_fd);
    }
    g_clear_pointer(&vn->vhost, g_free);
}

void virtio_net_vhost_announce(const VirtioNet *vn, const uint8_t mac[6])
{
    const VirtioNetVhost *v = vn->vhost;

    if (v && v->ops->announce) {
        const VhostPair first = vhost_pair(&v->pair[0]);

        v->ops->announce(&first, mac);
    }
}

uint64_t virtio_net_vhost_features(const VirtioNet *vn, uint64_t features)
{
    const VirtioNetVhost *v = vn->vhost;
    VhostPair first;

    if (!v) {
        return features;
    }
    first = vhost_pair(&v->pair[0]);
    return features & (v->ops->features(&first) | ~v->ops->feature_mask);
}
