/*
 * Netback: what a vif is, on top of what any backend of a Xen device has (xenbus-back.h):
 * its keys, its netdev, its queues.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nic-announce.h"
#include "xen-netback-direct.h"

#include <netinet/ether.h>
#include <string.h>

#define MAX_VIFS 100u /* QEMU's limit for idx, too */

/* --- connection --- */

static Netback *netback_of(XenbusBack *b)
{
    return container_of(b, Netback, bus);
}

static void netback_event(XenbusBack *b, XenbusEvent event, const char *detail)
{
    Netback *nb = netback_of(b);

    if (nb->env.event) {
        nb->env.event(nb->env.opaque, event, detail);
    }
}

/* A guest without scatter-gather is told the MTU that it can have, and no larger one. */
static void netback_check_mtu(Netback *nb)
{
    unsigned mtu = netback_guest_mtu(nb);

    if (mtu < nb->env.peer->mtu && nb->env.peer->mtu != nb->warned_mtu) {
        g_autofree char *text = g_strdup_printf(
            "the guest has no feature-sg: its mtu is %u instead of %u, and frames of more than "
            "%u bytes to it are lost", mtu, nb->env.peer->mtu, XEN_PAGE_SIZE);

        netback_event(&nb->bus, XENBUS_WARNING, text);
    }
    nb->warned_mtu = nb->no_sg ? nb->env.peer->mtu : 0;
}

static void netback_set_sg(Netback *nb, bool sg)
{
    if (nb->no_sg != !sg) {
        nb->no_sg = !sg;
        netback_store_set_link(nb);
        netback_check_mtu(nb);
    }
}

static XenbusStep netback_disconnect(XenbusBack *b)
{
    Netback *nb = netback_of(b);
    XenbusStep step;

    if (nb->connected) {
        nb->connected = false;
        netback_direct_update(nb);
    }
    step = xen_back_queues_disconnect(&nb->queues);
    if (step != XENBUS_STEP_DONE) {
        return step;
    }
    netdev_set_carrier(nb->env.peer, false);
    netback_set_sg(nb, true); /* the next frontend may have it */
    return XENBUS_STEP_DONE;
}

static XenKeys *netback_keys_new(XenBackQueues *qs)
{
    return netback_store_keys_new(container_of(qs, Netback, queues));
}

static bool netback_prepare_peer(XenBackQueues *qs, const XenKeys *k, GError **error)
{
    Netdev *peer = container_of(qs, Netback, queues)->env.peer;
    unsigned offload = container_of(k, const NetbackKeys, base)->offload;

    return peer->ops->set_offload(peer, offload, error) &&
           netdev_set_active(peer, k->n_queues, NULL, NULL, error);
}

static XenQueue *netback_start_queue(XenBackQueues *qs, const XenKeys *k, unsigned index,
                                     GError **error)
{
    NetbackQueue *q = netback_queue_start(container_of(qs, Netback, queues), index,
                                          container_of(k, const NetbackKeys, base), error);

    return q ? &q->base : NULL;
}

static bool netback_stop_queue(XenBackQueues *qs, XenQueue *q)
{
    netback_queue_stop(container_of(q, NetbackQueue, base));
    return true;
}

static void netback_connected(XenBackQueues *qs, const XenKeys *base)
{
    Netback *nb = container_of(qs, Netback, queues);
    const NetbackKeys *k = container_of(base, const NetbackKeys, base);

    netback_set_sg(nb, k->sg);
    nb->headroom = k->headroom;
    netdev_set_carrier(nb->env.peer, true);
    nb->connected = true;
    netback_direct_update(nb);
}

static const XenBackQueuesOps netback_queues_ops = {
    .keys_new = netback_keys_new,
    .keys_free = netback_store_keys_free,
    .prepare = netback_prepare_peer,
    .start = netback_start_queue,
    .connected = netback_connected,
    .stop = netback_stop_queue,
};

static XenbusStep netback_connect(XenbusBack *b, GError **error)
{
    return xen_back_queues_connect(&netback_of(b)->queues, error);
}

/* Linux's netfront does so before and after it has an XDP program. */
static void netback_reconfigure(XenbusBack *b)
{
    Netback *nb = netback_of(b);
    g_autoptr(GError) error = NULL;
    unsigned headroom;

    if (!netback_store_read_headroom(nb, &headroom, &error)) {
        netback_event(b, XENBUS_WARNING, error->message);
        return;
    }
    if (headroom == nb->headroom) {
        return;
    }
    nb->headroom = MAX(headroom, nb->headroom);
    netback_direct_update(nb); /* packets of other guests have none */
    for (unsigned i = 0; i < nb->queues.run.n; i++) {
        netback_queue_set_headroom(netback_queue(nb, i), headroom);
    }
    nb->headroom = headroom;
    netback_direct_update(nb);
}

static bool netback_write_nodes(XenbusBack *b, XenTx tx)
{
    return netback_store_write_nodes(netback_of(b), tx);
}

static bool netback_take_over(XenbusBack *b, GError **error)
{
    netback_store_take_over(netback_of(b));
    return true;
}

static bool netback_publish(XenbusBack *b, XenTx tx)
{
    return netback_store_publish(netback_of(b), tx);
}

static const XenbusBackOps netback_ops = {
    .kind = "vif",
    .toolstack_key = "script",
    .max_idx = MAX_VIFS,
    .write_nodes = netback_write_nodes,
    .take_over = netback_take_over,
    .publish = netback_publish,
    .connect = netback_connect,
    .disconnect = netback_disconnect,
    .reconfigure = netback_reconfigure,
    .event = netback_event,
};

/* --- what happens to its queues and its netdev --- */

/* A queue's thread found a protocol violation. */
static void netback_fault(void *opaque)
{
    Netback *nb = opaque;
    g_autofree char *fault = xen_queues_fault(&nb->queues.run);

    if (fault) {
        xenbus_back_fail(&nb->bus, fault);
    }
}

/* The netdev's MTU or carrier is another one, or there is nothing behind it any more. */
static void netback_peer_changed(void *opaque)
{
    Netback *nb = opaque;
    const char *error = nb->env.peer->error;

    netback_store_set_link(nb);
    netback_check_mtu(nb);
    netback_direct_update(nb);
    if (error && !nb->peer_failed) {
        netback_event(&nb->bus, XENBUS_ERROR, error); /* the guest keeps its vif, without a link */
    }
    nb->peer_failed = error != NULL;
}

static void netback_peer_reopened(void *opaque)
{
    Netback *nb = opaque;

    for (unsigned i = 0; i < nb->queues.run.n; i++) {
        netback_queue_peer_reopened(netback_queue(nb, i));
    }
}

/* --- public --- */

/* Of a buffer a page is enough to see that there is none at all. */
static bool netback_try_hypercall(const NetbackEnv *env, XenGnttab *g, GError **error)
{
    const XenOps *ops = env->xen->ops;
    void *page;

    if (!ops->gnttab_use_hypercall(g, error)) {
        return false;
    }
    page = ops->gnttab_buffer(g, XEN_PAGE_SIZE);
    if (page) {
        ops->gnttab_buffer_free(g, page);
    } else if (env->event) {
        env->event(env->opaque, XENBUS_WARNING, "grant-copy=hypercall has no effect without "
                   "memory that is granted to ourselves (xen-gntalloc)");
    }
    return true;
}

/* Each queue opens its own, but only once a guest comes: too late to say that none can. */
static bool netback_can_copy(const NetbackEnv *env, bool hypercall, GError **error)
{
    XenGnttab *g = env->xen->ops->gnttab_open(env->xen, error);
    bool ok = g && (!hypercall || netback_try_hypercall(env, g, error));

    if (g) {
        env->xen->ops->gnttab_close(g);
    }
    return ok;
}

/* Segments need their checksums made. */
static void netback_set_offloads(Netback *nb, const NetbackConfig *c)
{
    nb->from_guest = c->csum ? NETDEV_CSUM4 | NETDEV_CSUM6 : 0;
    nb->from_guest |= c->csum && c->gso && c->host_tso4 ? NETDEV_TSO4 : 0;
    nb->from_guest |= c->csum && c->gso && c->host_tso6 ? NETDEV_TSO6 : 0;
    nb->to_guest = c->guest_csum ? NETDEV_CSUM4 | NETDEV_CSUM6 : 0;
    nb->to_guest |= c->guest_csum && c->guest_tso4 ? NETDEV_TSO4 : 0;
    nb->to_guest |= c->guest_csum && c->guest_tso6 ? NETDEV_TSO6 : 0;
}

Netback *netback_new(const NetbackConfig *config, const NetbackEnv *env, GError **error)
{
    g_autoptr(Netback) nb = NULL;
    bool hypercall = config->grant_copy == NETBACK_COPY_HYPERCALL;

    if (!netback_can_copy(env, hypercall, error)) {
        return NULL;
    }
    nb = g_new0(Netback, 1);
    nb->env = *env;
    nb->env.threads = g_memdup2(env->threads, sizeof(env->threads[0]) * env->n_threads);
    nb->id = g_strdup(config->id);
    nb->queues = (XenBackQueues) { .ops = &netback_queues_ops, .bus = &nb->bus };
    nb->hypercall = hypercall;
    netback_set_offloads(nb, config);
    if (config->mac) {
        g_strlcpy(nb->mac, config->mac, sizeof(nb->mac));
    }
    nb->max_queues = MIN(env->peer->n_queues, NETIF_MAX_QUEUES);
    nb->stats = g_aligned_alloc0(nb->max_queues, sizeof(NicQueueStats), 64);
    if (!device_faults_init(&nb->faults, netback_fault, nb, error) ||
        !xenbus_back_init(&nb->bus, &netback_ops, env->xen, env->store, env->frontend_id,
                          config->idx, error)) {
        return NULL;
    }
    netdev_set_carrier(env->peer, false);
    env->peer->changed = netback_peer_changed;
    env->peer->reopened = netback_peer_reopened;
    env->peer->changed_opaque = nb;
    netback_store_set_link(nb);
    if (config->direct) {
        netback_direct_join(nb);
    }
    return g_steal_pointer(&nb);
}

void netback_start(Netback *nb)
{
    xenbus_back_start(&nb->bus);
}

void netback_pause(Netback *nb, bool paused)
{
    nb->paused = true;
    netback_direct_update(nb); /* nobody else fills its rings, either */
    xen_queues_set_paused(&nb->queues.run, paused);
    nb->paused = paused;
    netback_direct_update(nb);
}

/* Also while no frontend is connected: the tap's first queue is always attached. */
void netback_announce(Netback *nb)
{
    struct ether_addr mac;

    if (!ether_aton_r(nb->mac, &mac)) {
        return; /* it has none yet */
    }
    if (nb->queues.run.n > 0) {
        netback_queue_announce(netback_queue(nb, 0), mac.ether_addr_octet);
    } else {
        nic_announce(nb->env.peer->queue[0], mac.ether_addr_octet);
    }
}

void netback_close(Netback *nb, unsigned timeout_ms)
{
    xenbus_back_close(&nb->bus, timeout_ms);
}

void netback_free(Netback *nb)
{
    if (!nb) {
        return;
    }
    nb->env.peer->changed = NULL;
    nb->env.peer->reopened = NULL;
    xenbus_back_done(&nb->bus);
    netback_direct_leave(nb);
    device_faults_done(&nb->faults);
    g_aligned_free(nb->stats);
    g_free(nb->env.threads);
    g_free(nb->id);
    g_free(nb);
}

void netback_info(Netback *nb, NetbackInfo *ret_info)
{
    *ret_info = (NetbackInfo) {
        .id = nb->id,
        .idx = nb->bus.idx,
        .frontend_id = nb->bus.frontend_id,
        .state = xenbus_state_name(nb->bus.state),
        .error = nb->bus.error ? nb->bus.error : nb->env.peer->error,
        .n_queues = nb->bus.connected ? nb->queues.run.n : 0,
        .max_queues = nb->max_queues,
        .stats = nb->stats,
    };
    memcpy(ret_info->mac, nb->mac, sizeof(ret_info->mac));
    if (nb->bus.connected) {
        xen_queues_tids(&nb->queues.run, ret_info->tids);
    }
}
