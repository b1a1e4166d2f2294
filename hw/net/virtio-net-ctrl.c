/*
 * The control queue's ring, in the main thread: commands are rare, and what they change is the main
 * thread's. A kick makes a round of a few commands; what a round changed is handed to the queues'
 * threads once, before its commands are answered.
 *
 * A command that makes no sense is answered with an error. A chain without room for an answer ends
 * the ring, as in QEMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-ctrl.h"
#include "virtio-net-slots.h"

#include <glib-unix.h>
#include <limits.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/uio.h>

#define CTRL_ROUND   8u  /* commands; the main loop has others to serve */
#define CTRL_LOOK_MS 10u /* at a ring whose driver does not kick */

/* --- a round --- */

static void ctrl_break(VirtioNetCtrl *c, const char *reason)
{
    const VirtioDevice *d = &c->vn->dev;

    c->broken = true;
    if (d->transport) {
        d->transport->ring_broken(d->transport_opaque, virtio_net_ctrl_index(c->vn), reason);
    }
}

/* False: the ring is broken. */
static bool ctrl_answer(VirtioNetCtrl *c, VirtqChain *chain)
{
    VirtioNetCtrlData d = { .iov = chain->iov, .left = chain->out_len };
    uint8_t *ack;

    if (chain->bad) {
        virtq_push(&c->vq, chain, 0);
        return true;
    }
    if (chain->in_len == 0) {
        ctrl_break(c, "virtio-net ctrl missing headers");
        return false;
    }
    ack = chain->iov[chain->n_out].iov_base;
    *ack = virtio_net_ctrl_run(c, &d) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
    if (guest_mem_logs(c->vq.mem)) {
        guest_mem_dirty_host(c->vq.mem, ack, sizeof(*ack));
    }
    virtq_push(&c->vq, chain, sizeof(*ack));
    return true;
}

/* True: there may be more. */
static bool ctrl_round(VirtioNetCtrl *c)
{
    for (unsigned i = 0; i < CTRL_ROUND; i++) {
        VirtqChain chain;
        int n = virtq_pop(&c->vq, &chain, 1, c->iov, VIRTQ_MAX_IOV);

        if (n == 0) {
            return virtq_arm(&c->vq);
        }
        if (n < 0) {
            ctrl_break(c, c->vq.violation);
        }
        if (n < 0 || !ctrl_answer(c, &chain)) {
            return false;
        }
    }
    return true;
}

static gboolean ctrl_more(gpointer opaque);

/* A driver may change its mind as often as it likes: that is told once until somebody looks. */
static void ctrl_tell_filter(VirtioNetCtrl *c)
{
    if (!c->filter_told && c->vn->env.filter_changed) {
        c->filter_told = true;
        c->vn->env.filter_changed(c->vn->env.opaque);
    }
}

const VirtioNetFilter *virtio_net_rx_filter(VirtioNet *vn)
{
    if (!vn->ctrl) {
        return NULL;
    }
    vn->ctrl->filter_told = false;
    return &vn->ctrl->filter;
}

/* In the end, as ring_broken() may have stopped the ring. */
static void ctrl_work(VirtioNetCtrl *c)
{
    bool filtered;
    bool more;

    if (!c->running || !c->enabled || c->broken || c->vn->paused) {
        return;
    }
    more = ctrl_round(c);
    if (!c->running) {
        return;
    }
    filtered = c->filter_changed;
    virtio_net_ctrl_publish(c); /* what is answered is so */
    if (filtered) {
        ctrl_tell_filter(c);
    }
    if (virtq_flush(&c->vq)) {
        event_call(&c->call, c->call_fd);
    }
    if (more && c->more_tag == 0) {
        c->more_tag = g_idle_add(ctrl_more, c);
    }
}

static gboolean ctrl_more(gpointer opaque)
{
    VirtioNetCtrl *c = opaque;

    c->more_tag = 0;
    ctrl_work(c);
    return G_SOURCE_REMOVE;
}

/* The eventfd may be another process's, too: a read of one that it has emptied must not wait. */
static gboolean ctrl_kicked(gint fd, GIOCondition condition, gpointer opaque)
{
    uint64_t n;
    struct iovec iov = { .iov_base = &n, .iov_len = sizeof(n) };

    if (preadv2(fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(n)) {
        ctrl_work(opaque);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean ctrl_look(gpointer opaque)
{
    ctrl_work(opaque);
    return G_SOURCE_CONTINUE;
}

/* --- which ring it is --- */

/* A driver that steers has several pairs, whatever it says of VIRTIO_NET_F_MQ. */
static bool ctrl_multiqueue(const VirtioNet *vn)
{
    return (vn->features & (1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_RSS)) != 0;
}

unsigned virtio_net_max_pairs(const VirtioNet *vn)
{
    return !vn->ctrl || ctrl_multiqueue(vn) ? vn->dev.n_rings / 2 : 1;
}

unsigned virtio_net_pairs(const VirtioNet *vn)
{
    return vn->ctrl ? vn->ctrl->pairs : vn->dev.n_rings / 2;
}

unsigned virtio_net_ctrl_index(const VirtioNet *vn)
{
    return vn->ctrl ? 2 * virtio_net_max_pairs(vn) : UINT_MAX;
}

/* --- the ring comes and goes --- */

bool virtio_net_ctrl_start(VirtioNetCtrl *c, const VirtioRing *ring, GError **error)
{
    const char *why = NULL;

    g_assert(!c->running);
    if (!virtq_start(&c->vq, c->vn->dev.mem, &ring->setup, &why)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "control ring: %s", why);
        return false;
    }
    c->running = true;
    c->broken = false;
    c->enabled = ring->enabled;
    c->kick_fd = ring->kick_fd;
    c->call_fd = ring->call_fd;
    c->kick_tag = c->kick_fd >= 0 ? g_unix_fd_add(c->kick_fd, G_IO_IN, ctrl_kicked, c)
                                  : g_timeout_add(CTRL_LOOK_MS, ctrl_look, c);
    virtio_net_ctrl_resume(c); /* what is there already was perhaps told to who had it before */
    return true;
}

uint32_t virtio_net_ctrl_stop(VirtioNetCtrl *c)
{
    g_assert(c->running);
    c->running = false;
    g_clear_handle_id(&c->kick_tag, g_source_remove);
    g_clear_handle_id(&c->more_tag, g_source_remove);
    return virtq_stop(&c->vq);
}

void virtio_net_ctrl_enable(VirtioNetCtrl *c, bool on)
{
    c->enabled = on;
    virtio_net_ctrl_resume(c);
}

void virtio_net_ctrl_set_call(VirtioNetCtrl *c, int fd)
{
    c->call_fd = fd;
}

void virtio_net_ctrl_resume(VirtioNetCtrl *c)
{
    if (c && c->running && c->more_tag == 0) {
        c->more_tag = g_idle_add(ctrl_more, c);
    }
}

/* --- what it was told --- */

static void ctrl_update_queues(const VirtioNetCtrl *c)
{
    const VirtioNet *vn = c->vn;

    for (unsigned i = 0; i < vn->dev.n_rings / 2; i++) {
        if (vn->queue[i]) {
            virtio_net_queue_update(vn->queue[i]);
        }
    }
}

bool virtio_net_ctrl_can_steer(VirtioNetCtrl *c)
{
    if (!c->slots) {
        c->slots = slots_new(c->vn->dev.n_rings / 2);
    }
    return c->slots != NULL;
}

/* Whether a packet's header has its hash, which is computed for that alone. */
static bool ctrl_reports(const VirtioNetCtrl *c)
{
    return c->hash.types != 0 && !c->rss.on &&
           (c->vn->features & (1ull << VIRTIO_NET_F_HASH_REPORT));
}

/*
 * All threads take frames of others before one sends any, and none sends any before the first
 * takes no more.
 */
static void ctrl_publish_slots(VirtioNetCtrl *c)
{
    if (c->rss.on && !c->live_slots) {
        c->live_slots = c->slots;
        ctrl_update_queues(c);
    }
}

static void ctrl_withdraw_slots(VirtioNetCtrl *c)
{
    if (!c->rss.on && c->live_slots) {
        c->live_slots = NULL;
        ctrl_update_queues(c);
    }
    if (!c->rss.on) {
        g_clear_pointer(&c->slots, slots_free);
    }
}

void virtio_net_ctrl_publish_hash(VirtioNetCtrl *c)
{
    g_autofree VirtioNetHash *hash_before G_GNUC_UNUSED = c->live_hash;
    g_autofree VirtioNetSteering *steering_before G_GNUC_UNUSED = c->live_steering;

    ctrl_publish_slots(c);
    c->live_hash = ctrl_reports(c) ? g_memdup2(&c->hash, sizeof(c->hash)) : NULL;
    c->live_steering = c->rss.on ? virtio_net_steering_new(&c->hash, &c->rss) : NULL;
    c->hash_changed = false;
    ctrl_update_queues(c);
    ctrl_withdraw_slots(c);
}

static void ctrl_publish_filter(VirtioNetCtrl *c)
{
    g_autofree VirtioNetFilter *before G_GNUC_UNUSED = c->live;

    c->live = virtio_net_filter_is_open(&c->filter)
                  ? NULL : g_memdup2(&c->filter, sizeof(c->filter));
    c->filter_changed = false;
    ctrl_update_queues(c);
}

void virtio_net_ctrl_publish(VirtioNetCtrl *c)
{
    if (c->filter_changed) {
        ctrl_publish_filter(c);
    }
    if (c->hash_changed) {
        virtio_net_ctrl_publish_hash(c);
    }
}

const VirtioNetFilter *virtio_net_live_filter(const VirtioNet *vn)
{
    return vn->ctrl ? vn->ctrl->live : NULL;
}

const VirtioNetHash *virtio_net_live_hash(const VirtioNet *vn)
{
    return vn->ctrl ? vn->ctrl->live_hash : NULL;
}

SlotSet *virtio_net_live_slots(const VirtioNet *vn)
{
    return vn->ctrl ? vn->ctrl->live_slots : NULL;
}

const VirtioNetSteering *virtio_net_live_steering(const VirtioNet *vn)
{
    return vn->ctrl ? vn->ctrl->live_steering : NULL;
}

/* Nothing is hashed: the driver has not said what. */
static void ctrl_reset_hash(VirtioNetCtrl *c)
{
    virtio_net_hash_init(&c->hash, 0, NULL, 0);
    c->rss = (VirtioNetRss){ .on = false };
    c->hash_changed = true;
}

void virtio_net_ctrl_set_mac(VirtioNetCtrl *c)
{
    if (c) {
        memcpy(c->filter.mac, c->vn->mac, sizeof(c->filter.mac));
        c->filter_changed = true;
        virtio_net_ctrl_publish(c);
    }
}

void virtio_net_ctrl_negotiated(VirtioNetCtrl *c)
{
    if (c) {
        c->filter.by_vlan = (c->vn->features & (1ull << VIRTIO_NET_F_CTRL_VLAN)) != 0;
        memset(c->filter.vlans, 0, sizeof(c->filter.vlans));
        c->filter_changed = true;
        ctrl_reset_hash(c);
        virtio_net_ctrl_publish(c);
    }
}

void virtio_net_ctrl_reset(VirtioNetCtrl *c)
{
    if (c) {
        g_assert(!c->running);
        c->pairs = 1;
        virtio_net_filter_init(&c->filter, c->vn->mac);
        c->filter_changed = true;
        ctrl_reset_hash(c);
        virtio_net_ctrl_publish(c);
    }
}

VirtioNetCtrl *virtio_net_ctrl_new(VirtioNet *vn)
{
    VirtioNetCtrl *c = g_new0(VirtioNetCtrl, 1);

    c->vn = vn;
    c->kick_fd = -1;
    c->call_fd = -1;
    virtio_net_ctrl_reset(c);
    return c;
}

void virtio_net_ctrl_free(VirtioNetCtrl *c)
{
    if (c) {
        g_assert(!c->running);
        event_call_done(&c->call);
        g_free(c->live);
        g_free(c->live_hash);
        g_assert(!c->live_slots && !c->live_steering); /* virtio_net_ctrl_reset() came before */
        slots_free(c->slots);
        g_free(c);
    }
}
