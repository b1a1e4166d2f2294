/*
 * Netfront: what a vif is, on top of what any frontend of a Xen device has (xenbus-front.h):
 * its keys, its netdev, its queues.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netfront-internal.h"

/* --- connection --- */

static Netfront *netfront_of(XenbusFront *f)
{
    return container_of(f, Netfront, bus);
}

static void netfront_free_queues(XenbusFront *f)
{
    Netfront *nf = netfront_of(f);

    while (nf->queues.n > 0) {
        netfront_queue_free(container_of(xen_queues_take(&nf->queues), NetfrontQueue, base));
    }
}

/* The netdev's carrier: packets flow, and the backend has a link. */
static void netfront_follow_carrier(XenbusFront *f)
{
    Netfront *nf = netfront_of(f);
    bool up = f->running && xenbus_front_feature(f, "carrier", 1) != 0;

    if (up != nf->carrier) {
        nf->carrier = up;
        netdev_set_carrier(nf->env.peer, up);
    }
}

/*
 * As many queues as there is room for: a domain's grants are limited (a real one's
 * gntalloc to 1024 pages, if nobody raised that), and one queue is better than none.
 */
static bool netfront_make_queues(Netfront *nf, NetfrontPlan *plan, GError **error)
{
    for (unsigned i = 0; i < plan->n_queues; i++) {
        g_autoptr(GError) err = NULL;
        NetfrontQueue *q = netfront_queue_new(nf, i, plan, &err);

        if (q) {
            xen_queues_add(&nf->queues, &q->base);
            continue;
        }
        if (i == 0) {
            g_propagate_error(error, g_steal_pointer(&err));
            return false;
        }
        g_autofree char *warning = g_strdup_printf("%s; using %u of %u queues", err->message, i,
                                                   plan->n_queues);

        plan->n_queues = i;
        xenbus_front_warn(&nf->bus, warning);
    }
    return true;
}

static bool netfront_prepare(Netfront *nf, NetfrontPlan *plan, GError **error)
{
    Netdev *peer = nf->env.peer;

    return netfront_make_queues(nf, plan, error) &&
           peer->ops->set_offload(peer, plan->tx_offload, error) &&
           netdev_set_active(peer, plan->n_queues, NULL, NULL, error) &&
           netfront_store_write_keys(nf, plan, error);
}

static bool netfront_connect(XenbusFront *f, GError **error)
{
    Netfront *nf = netfront_of(f);
    NetfrontPlan plan;

    return netfront_store_plan(nf, &plan, error) && netfront_prepare(nf, &plan, error);
}

static bool netfront_run(XenbusFront *f, GError **error)
{
    Netfront *nf = netfront_of(f);

    for (unsigned i = 0; i < nf->queues.n; i++) {
        if (!netfront_queue_start(netfront_queue(nf, i), error)) {
            return false;
        }
    }
    return true;
}

static void netfront_event(XenbusFront *f, XenbusEvent event, const char *detail)
{
    Netfront *nf = netfront_of(f);

    if (nf->env.event) {
        nf->env.event(nf->env.opaque, event, detail);
    }
}

static const XenbusFrontOps netfront_ops = {
    .kind = "vif",
    .follow = "carrier",
    .connect = netfront_connect,
    .run = netfront_run,
    .disconnect = netfront_free_queues,
    .changed = netfront_follow_carrier,
    .event = netfront_event,
};

/* --- what happens to its queues and its netdev --- */

/* A queue's thread found a protocol violation. */
static void netfront_fault(void *opaque)
{
    Netfront *nf = opaque;
    g_autofree char *fault = xen_queues_fault(&nf->queues);

    if (fault) {
        xenbus_front_fail(&nf->bus, fault);
    }
}

/* There may be nothing behind the netdev any more; its MTU and carrier are not the backend's. */
static void netfront_peer_changed(void *opaque)
{
    Netfront *nf = opaque;
    const char *error = nf->env.peer->error;

    if (error && !nf->peer_failed) {
        netfront_event(&nf->bus, XENBUS_ERROR, error);
    }
    nf->peer_failed = error != NULL;
}

static void netfront_peer_reopened(void *opaque)
{
    Netfront *nf = opaque;

    for (unsigned i = 0; i < nf->queues.n; i++) {
        netfront_queue_peer_reopened(netfront_queue(nf, i));
    }
}

/* --- public --- */

static bool netfront_check(const NetfrontConfig *config, const NetfrontEnv *env, GError **error)
{
    if (!env->xen->ops->share_open) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
                    "xen-netfront needs a domain that can grant pages to another one");
        return false;
    }
    if (config->idx < 0) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "idx must not be negative");
        return false;
    }
    return true;
}

Netfront *netfront_new(const NetfrontConfig *config, const NetfrontEnv *env, GError **error)
{
    g_autoptr(Netfront) nf = NULL;
    unsigned limit = config->queues ? config->queues : NETIF_MAX_QUEUES;

    if (!netfront_check(config, env, error)) {
        return NULL;
    }
    nf = g_new0(Netfront, 1);
    nf->env = *env;
    nf->config = *config;
    nf->config.id = nf->config.netdev = NULL;
    nf->id = g_strdup(config->id);
    nf->idx = (unsigned)config->idx;
    nf->max_queues = MIN(MIN(env->peer->n_queues, limit), NETIF_MAX_QUEUES);
    nf->stats = g_aligned_alloc0(nf->max_queues, sizeof(NicQueueStats), 64);
    netdev_set_carrier(env->peer, false);
    env->peer->changed = netfront_peer_changed;
    env->peer->reopened = netfront_peer_reopened;
    env->peer->changed_opaque = nf;
    if (!device_faults_init(&nf->faults, netfront_fault, nf, error) ||
        !xenbus_front_init(&nf->bus, &netfront_ops, env->xen, env->store, nf->idx, error)) {
        return NULL;
    }
    return g_steal_pointer(&nf);
}

void netfront_start(Netfront *nf)
{
    xenbus_front_start(&nf->bus);
}

void netfront_pause(Netfront *nf, bool paused)
{
    nf->paused = paused;
    xen_queues_set_paused(&nf->queues, paused);
}

void netfront_close(Netfront *nf, unsigned timeout_ms)
{
    xenbus_front_close(&nf->bus, timeout_ms);
}

void netfront_free(Netfront *nf)
{
    if (!nf) {
        return;
    }
    nf->env.peer->changed = NULL;
    nf->env.peer->reopened = NULL;
    xenbus_front_done(&nf->bus);
    device_faults_done(&nf->faults);
    g_aligned_free(nf->stats);
    g_free(nf->id);
    g_free(nf);
}

void netfront_info(Netfront *nf, NetfrontInfo *ret_info)
{
    *ret_info = (NetfrontInfo) {
        .id = nf->id,
        .idx = nf->idx,
        .state = xenbus_state_name(nf->bus.state),
        .error = nf->bus.error ? nf->bus.error : nf->env.peer->error,
        .n_queues = nf->bus.running ? nf->queues.n : 0,
        .max_queues = nf->max_queues,
        .stats = nf->stats,
    };
    if (nf->bus.running) {
        xen_queues_tids(&nf->queues, ret_info->tids);
    }
}
