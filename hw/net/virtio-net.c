/*
 * virtio-net: the life of a NIC; its queue pairs come and go as its transport says.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nic-announce.h"
#include "virtio-net-ctrl.h"
#include "virtio-net-features.h"
#include "virtio-net-state.h"
#include "virtio-net-vhost.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <netinet/ether.h>
#include <string.h>

#define BIT(n) (1ull << (n))

/* --- rings --- */

static void virtio_net_drain(void *opaque, unsigned pair)
{
    VirtioNet *vn = opaque;

    if (vn->queue[pair]) {
        virtio_net_queue_drain(vn->queue[pair]);
    }
}

static bool virtio_net_rx_runs(const VirtioNet *vn, unsigned pair)
{
    return (vn->queue[pair] && vn->queue[pair]->rx.ring.running) ||
           virtio_net_vhost_serves(vn, pair);
}

/* Pairs up to the last one that has an rx ring which runs and is wanted; 0: there is none. */
static unsigned virtio_net_pairs_wanted(const VirtioNet *vn)
{
    unsigned n = vn->dev.n_rings / 2;

    while (n > 0 && !(virtio_net_rx_runs(vn, n - 1) && vn->enabled[2 * (n - 1)])) {
        n--;
    }
    return n;
}

/* As many pairs have a queue of the netdev, one at least. False: it has another number of them. */
static bool virtio_net_update_active(VirtioNet *vn)
{
    g_autoptr(GError) error = NULL;
    Netdev *peer = vn->env.peer;
    unsigned wanted = virtio_net_pairs_wanted(vn);
    unsigned n = MAX(wanted, 1);

    g_clear_handle_id(&vn->update_tag, g_source_remove);
    if (n != peer->n_active && !netdev_set_active(peer, n, virtio_net_drain, vn, &error) &&
        vn->env.failed) {
        vn->env.failed(vn->env.opaque, error->message);
    }
    if (peer->nic_carrier != (wanted > 0)) {
        netdev_set_carrier(peer, wanted > 0);
    }
    return peer->n_active == n;
}

static gboolean virtio_net_update_now(gpointer opaque)
{
    VirtioNet *vn = opaque;

    vn->update_tag = 0;
    virtio_net_update_active(vn);
    return G_SOURCE_REMOVE;
}

/*
 * More pairs are wanted at once. Fewer may be so for a moment only, while rings stop as memory
 * changes, one after the other: the host is to see none of that.
 */
static void virtio_net_follow_rings(VirtioNet *vn)
{
    unsigned wanted = virtio_net_pairs_wanted(vn);

    if (wanted > 0 && (wanted > vn->env.peer->n_active || !vn->env.peer->nic_carrier)) {
        virtio_net_update_active(vn);
    } else if (vn->update_tag == 0) {
        vn->update_tag = g_idle_add(virtio_net_update_now, vn);
    }
}

/* The transport enabled it, and its pair is one that the driver uses. */
static bool virtio_net_ring_wanted(const VirtioNet *vn, unsigned index)
{
    return vn->asked[index] && index / 2 < virtio_net_pairs(vn);
}

static void virtio_net_ring_follow(VirtioNet *vn, unsigned index, bool on)
{
    VirtioNetQueue *q = vn->queue[index / 2];

    if (virtio_net_ring_wanted(vn, index) == on) {
        vn->enabled[index] = on;
        if (q) {
            virtio_net_queue_enable_ring(q, index % 2, on);
        }
        virtio_net_vhost_enabled(vn, index, on);
    }
}

/* What the netdev's queues have for pairs that go is the guest's still: they go first. */
bool virtio_net_follow_pairs(VirtioNet *vn)
{
    unsigned n = vn->dev.n_rings & ~1u;

    for (unsigned i = 0; i < n; i++) {
        vn->enabled[i] &= virtio_net_ring_wanted(vn, i);
    }
    virtio_net_vhost_follow_all(vn);
    virtio_net_update_active(vn);
    for (unsigned i = 0; i < n; i++) {
        virtio_net_ring_follow(vn, i, false);
    }
    for (unsigned i = 0; i < n; i++) {
        virtio_net_ring_follow(vn, i, true);
    }
    return virtio_net_update_active(vn);
}

#define RING_SIZE      256u
#define CTRL_RING_SIZE 64u /* as in QEMU */

static uint16_t virtio_net_ring_size(VirtioDevice *d, unsigned index)
{
    VirtioNet *vn = virtio_net_of(d);
    uint16_t size = index % 2 ? vn->config.tx_queue_size : vn->config.rx_queue_size;

    if (index == virtio_net_ctrl_index(vn)) {
        return CTRL_RING_SIZE;
    }
    if (index / 2 >= virtio_net_max_pairs(vn)) {
        return 0;
    }
    return size ? size : RING_SIZE;
}

static bool virtio_net_ring_start(VirtioDevice *d, unsigned index, const VirtioRing *ring,
                                  GError **error)
{
    VirtioNet *vn = virtio_net_of(d);
    unsigned pair = index / 2;
    VirtioRing r = *ring;

    if (index == virtio_net_ctrl_index(vn)) {
        return virtio_net_ctrl_start(vn->ctrl, ring, error);
    }
    if (pair >= virtio_net_max_pairs(vn)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "there is no ring %u with the features that were negotiated", index);
        return false;
    }
    vn->asked[index] = ring->enabled;
    r.enabled = virtio_net_ring_wanted(vn, index);
    if (!vn->queue[pair]) {
        vn->queue[pair] = virtio_net_queue_new(vn, pair, error);
    }
    if (!vn->queue[pair] || !virtio_net_queue_start_ring(vn->queue[pair], index % 2, &r, error)) {
        return false;
    }
    vn->enabled[index] = r.enabled;
    virtio_net_follow_rings(vn);
    virtio_net_vhost_started(vn, index, &r);
    return true;
}

static uint32_t virtio_net_ring_stop(VirtioDevice *d, unsigned index)
{
    VirtioNet *vn = virtio_net_of(d);
    uint32_t base;

    if (index == virtio_net_ctrl_index(vn)) {
        return virtio_net_ctrl_stop(vn->ctrl);
    }
    vn->asked[index] = false;
    vn->enabled[index] = false;
    virtio_net_follow_rings(vn);
    return virtio_net_vhost_stop(vn, index, &base)
               ? base
               : virtio_net_queue_stop_ring(vn->queue[index / 2], index % 2);
}

static void virtio_net_ring_enable(VirtioDevice *d, unsigned index, bool on)
{
    VirtioNet *vn = virtio_net_of(d);

    if (index == virtio_net_ctrl_index(vn)) {
        virtio_net_ctrl_enable(vn->ctrl, on);
        return;
    }
    vn->asked[index] = on;
    on = virtio_net_ring_wanted(vn, index);
    vn->enabled[index] = on;
    if (!on) {
        virtio_net_vhost_follow(vn, index / 2);
        virtio_net_update_active(vn); /* what its queue of the netdev has is the guest's still */
    }
    virtio_net_queue_enable_ring(vn->queue[index / 2], index % 2, on);
    if (on) {
        virtio_net_follow_rings(vn);
    }
    virtio_net_vhost_enabled(vn, index, on);
}

static void virtio_net_ring_set_call(VirtioDevice *d, unsigned index, int call_fd)
{
    VirtioNet *vn = virtio_net_of(d);

    if (index == virtio_net_ctrl_index(vn)) {
        virtio_net_ctrl_set_call(vn->ctrl, call_fd);
    } else if (!virtio_net_vhost_set_call(vn, index, call_fd)) {
        virtio_net_queue_set_call(vn->queue[index / 2], index % 2, call_fd);
    }
}

void virtio_net_config_changed(VirtioNet *vn)
{
    if (vn->dev.transport) {
        vn->dev.transport->config_changed(vn->dev.transport_opaque);
    }
}

/* Also of a NIC that no driver has yet: the netdev's first queue is attached all the time. */
static void virtio_net_announce(VirtioDevice *d, const uint8_t mac[6])
{
    VirtioNet *vn = virtio_net_of(d);

    virtio_net_vhost_announce(vn, mac);
    if (vn->queue[0]) {
        virtio_net_queue_announce(vn->queue[0], mac);
    } else {
        nic_announce(vn->env.peer->queue[0], mac);
    }
    /* the guest knows of VLANs and IP addresses, too; where the ring is not ours, nor is the bit */
    if (vn->ctrl && (vn->features & BIT(VIRTIO_NET_F_GUEST_ANNOUNCE))) {
        vn->status |= VIRTIO_NET_S_ANNOUNCE;
        virtio_net_config_changed(vn);
    }
}

static void virtio_net_reset(VirtioDevice *d)
{
    VirtioNet *vn = virtio_net_of(d);

    for (unsigned i = 0; i < d->n_rings / 2; i++) {
        virtio_net_queue_free(g_steal_pointer(&vn->queue[i]));
    }
    memset(vn->asked, 0, d->n_rings * sizeof(vn->asked[0]));
    memset(vn->enabled, 0, d->n_rings * sizeof(vn->enabled[0]));
    vn->features = 0;
    if (vn->ctrl) {
        memcpy(vn->mac, vn->first_mac, sizeof(vn->mac));
        vn->status &= (uint16_t)~VIRTIO_NET_S_ANNOUNCE;
        virtio_net_ctrl_reset(vn->ctrl);
    }
    vn->config.host_mtu = vn->host_mtu;
    vn->env.peer->inherited = false;
    virtio_net_update_active(vn);
}

static const VirtioDeviceOps virtio_net_ops = {
    .features = virtio_net_features,
    .set_features = virtio_net_set_features,
    .get_config = virtio_net_get_config,
    .set_config = virtio_net_set_config,
    .ring_size = virtio_net_ring_size,
    .ring_start = virtio_net_ring_start,
    .ring_stop = virtio_net_ring_stop,
    .ring_enable = virtio_net_ring_enable,
    .ring_set_call = virtio_net_ring_set_call,
    .announce = virtio_net_announce,
    .set_mtu = virtio_net_set_mtu,
    .save = virtio_net_save,
    .load = virtio_net_load,
    .reset = virtio_net_reset,
};

/* --- what happens to its queues and its netdev --- */

/* A pair's thread found that its driver broke the rules. */
static void virtio_net_fault(void *opaque)
{
    VirtioNet *vn = opaque;

    for (unsigned i = 0; i < vn->dev.n_rings / 2; i++) {
        VirtioNetQueue *q = vn->queue[i];
        const char *fault = q ? device_queue_fault(&q->dq) : NULL;

        if (fault && !q->told && vn->dev.transport) {
            q->told = true;
            virtio_net_queue_update(q); /* it takes no frames of other pairs' */
            vn->dev.transport->ring_broken(vn->dev.transport_opaque,
                                           2 * i + (q->tx.ring.vq.violation != NULL), fault);
        }
    }
}

static void virtio_net_peer_changed(void *opaque)
{
    VirtioNet *vn = opaque;
    const char *error = vn->env.peer->error;
    uint16_t link = vn->env.peer->link_off || error ? 0 : VIRTIO_NET_S_LINK_UP;
    uint16_t status = (uint16_t)((vn->status & ~VIRTIO_NET_S_LINK_UP) | link);

    if (error && !vn->peer_failed && vn->env.failed) {
        vn->env.failed(vn->env.opaque, error);
    }
    if (vn->peer_failed && !error) {
        virtio_net_vhost_retry(vn);
    }
    vn->peer_failed = error != NULL;
    virtio_net_vhost_follow_all(vn);
    if (status != vn->status) {
        vn->status = status;
        virtio_net_config_changed(vn);
    }
}

static void virtio_net_peer_reopened(void *opaque)
{
    VirtioNet *vn = opaque;

    virtio_net_vhost_hold(vn);
    for (unsigned i = 0; i < vn->dev.n_rings / 2; i++) {
        if (vn->queue[i]) {
            nic_peer_reopened(&vn->queue[i]->peer);
        }
    }
    virtio_net_vhost_follow_all(vn);
}

/* --- public --- */

void virtio_net_announce_now(VirtioNet *vn)
{
    if (vn->has_mac) {
        virtio_net_announce(&vn->dev, vn->mac);
    }
}

VirtioDevice *virtio_net_device(VirtioNet *vn)
{
    return &vn->dev;
}

static bool virtio_net_set_mac(VirtioNet *vn, const char *mac, GError **error)
{
    vn->has_mac = mac != NULL;
    if (mac && !ether_aton_r(mac, (struct ether_addr *)vn->mac)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "'%s' is not a MAC address", mac);
        return false;
    }
    return true;
}

VirtioNet *virtio_net_new(const VirtioNetConfig *config, const VirtioNetEnv *env, GError **error)
{
    g_autoptr(VirtioNet) vn = g_new0(VirtioNet, 1);
    bool several = config->f.mq || config->f.rss;
    unsigned pairs = several ? MIN(env->peer->n_queues, VIRTIO_NET_MAX_PAIRS) : 1;

    vn->dev = (VirtioDevice){ .ops = &virtio_net_ops, .n_rings = 2 * pairs + config->ctrl };
    vn->config = *config;
    vn->config.mac = NULL;
    vn->host_mtu = config->host_mtu;
    vn->env = *env;
    vn->env.threads = NULL;
    vn->env.n_threads = MIN(env->n_threads, pairs);
    vn->name = g_strdup(env->name);
    vn->threads = g_memdup2(env->threads, vn->env.n_threads * sizeof(vn->threads[0]));
    vn->queue = g_new0(VirtioNetQueue *, pairs);
    vn->asked = g_new0(bool, vn->dev.n_rings);
    vn->enabled = g_new0(bool, vn->dev.n_rings);
    vn->stats = g_aligned_alloc0(pairs, sizeof(NicQueueStats), 64);
    vn->status = VIRTIO_NET_S_LINK_UP;
    if (!virtio_net_set_mac(vn, config->mac, error) ||
        (vn->host_mtu != 0 && !virtio_net_check_mtu(vn, vn->host_mtu, error)) ||
        !virtio_net_vhost_init(vn, error) ||
        !device_faults_init(&vn->faults, virtio_net_fault, vn, error)) {
        return NULL;
    }
    memcpy(vn->first_mac, vn->mac, sizeof(vn->mac));
    vn->ctrl = config->ctrl ? virtio_net_ctrl_new(vn) : NULL;
    env->peer->changed = virtio_net_peer_changed;
    env->peer->reopened = virtio_net_peer_reopened;
    env->peer->changed_opaque = vn;
    env->peer->short_frames = true; /* as in QEMU, whose tests send such */
    virtio_net_peer_changed(vn);
    netdev_set_carrier(env->peer, false);
    virtio_net_update_active(vn);
    return g_steal_pointer(&vn);
}

void virtio_net_free(VirtioNet *vn)
{
    if (!vn) {
        return;
    }
    virtio_net_reset(&vn->dev);
    if (vn->env.peer->changed_opaque == vn) {
        vn->env.peer->changed = NULL;
        vn->env.peer->reopened = NULL;
        vn->env.peer->short_frames = false;
    }
    virtio_net_vhost_done(vn);
    device_faults_done(&vn->faults);
    virtio_net_ctrl_free(vn->ctrl);
    g_aligned_free(vn->stats);
    g_free(vn->enabled);
    g_free(vn->asked);
    g_free(vn->queue);
    g_free(vn->threads);
    g_free(vn->name);
    g_free(vn);
}

void virtio_net_pause(VirtioNet *vn, bool paused)
{
    vn->paused = paused;
    if (!paused) {
        virtio_net_vhost_follow_all(vn); /* pairs of the kernel's are never their threads' */
    }
    for (unsigned i = 0; i < vn->dev.n_rings / 2; i++) {
        if (vn->queue[i]) {
            device_queue_set_paused(&vn->queue[i]->dq, paused);
        }
    }
    if (paused) {
        virtio_net_vhost_follow_all(vn); /* their threads take them, which rest */
    }
    virtio_net_ctrl_resume(vn->ctrl);
    virtio_net_follow_rings(vn); /* a netdev that was given away, and is back, missed it */
}

void virtio_net_info(VirtioNet *vn, VirtioNetInfo *ret_info)
{
    *ret_info = (VirtioNetInfo){
        .error = vn->env.peer->error,
        .max_pairs = vn->dev.n_rings / 2,
        .stats = vn->stats,
    };
    if (vn->has_mac) {
        g_snprintf(ret_info->mac, sizeof(ret_info->mac), "%02x:%02x:%02x:%02x:%02x:%02x",
                   vn->mac[0], vn->mac[1], vn->mac[2], vn->mac[3], vn->mac[4], vn->mac[5]);
    }
    for (unsigned i = 0; i < ret_info->max_pairs; i++) {
        const VirtioNetQueue *q = vn->queue[i];

        if (q && q->dq.running && vn->env.peer->nic_carrier && i < vn->env.peer->n_active) {
            ret_info->n_pairs = i + 1;
            ret_info->tids[i] = io_thread_tid(q->dq.thread);
        }
    }
}
