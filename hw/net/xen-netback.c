/*
 * Netback's life: what the frontend's state and the toolstack ask for, and what we
 * answer. xen/include/public/io/xenbus.h names the states, io/netif.h the keys.
 *
 *                      netback_start()
 *     Initialising ------------------------> InitWait <--------------+
 *                                               |                    |
 *                    frontend Connected, keys good, hotplug done     |
 *                                               v                    |
 *                                           Connected                |
 *                                               |                    | frontend
 *        frontend Closing, keys bad, lying queue, netback_close()    | Initialising
 *                                               v                    |
 *                                            Closing ----------------+
 *                                               |                    |
 *                                        frontend Closed             |
 *                                               v                    |
 *                                            Closed -----------------+
 *
 * Every step is really published, in this order: frontends wait for each of them. All of it
 * happens in netback_update(), which looks at what is there now and not at what
 * changed: a guest may toggle its state as fast as it likes, it costs one look.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netback-internal.h"

#include <string.h>

#include "hw/xen/xenbus-state.h"

static void netback_event(Netback *nb, NetbackEvent event, const char *detail)
{
    if (nb->env.event) {
        nb->env.event(nb->env.opaque, event, detail);
    }
}

/* --- connection --- */

static void netback_stop_queues(Netback *nb)
{
    for (unsigned i = 0; i < nb->n_queues; i++) {
        netback_queue_stop(g_steal_pointer(&nb->queue[i]));
    }
    nb->n_queues = 0;
}

static void netback_disconnect(Netback *nb)
{
    bool was = nb->n_queues > 0;

    netback_stop_queues(nb);
    if (was) {
        netdev_set_carrier(nb->env.peer, false);
        netback_event(nb, NETBACK_DISCONNECTED, NULL);
    }
}

/*
 * The device stops, the reason is written where people look, and the frontend is
 * asked to close; it may come back through Initialising.
 */
static void netback_fail(Netback *nb, const char *reason)
{
    g_free(nb->error);
    nb->error = g_strdup(reason);
    netback_disconnect(nb);
    netback_store_set_error(nb, nb->error);
    netback_store_set_state(nb, XenbusStateClosing);
    netback_event(nb, NETBACK_ERROR, nb->error);
}

static bool netback_prepare_peer(Netback *nb, const NetbackKeys *k, GError **error)
{
    Netdev *peer = nb->env.peer;

    return peer->ops->set_offload(peer, k->offload, error) &&
           peer->ops->set_active(peer, k->n_queues, error);
}

static bool netback_start_queues(Netback *nb, const NetbackKeys *k, GError **error)
{
    for (unsigned i = 0; i < k->n_queues; i++) {
        nb->queue[i] = netback_queue_start(nb, i, k, error);
        if (!nb->queue[i]) {
            return false;
        }
        nb->n_queues = i + 1;
    }
    return true;
}

static void netback_connect(Netback *nb)
{
    g_autofree NetbackKeys *k = g_new0(NetbackKeys, 1);
    g_autoptr(GError) error = NULL;

    if (!netback_store_read_keys(nb, k, &error) || !netback_prepare_peer(nb, k, &error) ||
        !netback_start_queues(nb, k, &error)) {
        netback_stop_queues(nb);
        netback_fail(nb, error->message);
        return;
    }
    g_clear_pointer(&nb->error, g_free);
    netback_store_set_error(nb, NULL);
    netdev_set_carrier(nb->env.peer, true);
    netback_store_set_state(nb, XenbusStateConnected);
    netback_event(nb, NETBACK_CONNECTED, NULL);
}

/* --- states --- */

/* Walks to InitWait, with every state between published. */
static void netback_to_init_wait(Netback *nb)
{
    g_autoptr(GError) error = NULL;

    if (nb->state == XenbusStateConnected) {
        netback_disconnect(nb);
        netback_store_set_state(nb, XenbusStateClosing);
    }
    if (nb->state == XenbusStateClosing) {
        netback_store_set_state(nb, XenbusStateClosed);
    }
    if (nb->state == XenbusStateInitWait) {
        return;
    }
    if (!netback_store_publish(nb, &error)) {
        netback_fail(nb, error->message);
        return;
    }
    netback_store_set_state(nb, XenbusStateInitWait);
}

static void netback_to_closing(Netback *nb)
{
    netback_disconnect(nb);
    if (nb->state != XenbusStateClosing && nb->state != XenbusStateClosed) {
        netback_store_set_state(nb, XenbusStateClosing);
    }
}

static void netback_to_closed(Netback *nb)
{
    netback_to_closing(nb);
    if (nb->state != XenbusStateClosed) {
        netback_store_set_state(nb, XenbusStateClosed);
    }
}

static gboolean netback_send_closed(gpointer opaque)
{
    Netback *nb = opaque;

    nb->closed_idle = 0;
    netback_event(nb, NETBACK_CLOSED, NULL); /* may free nb */
    return G_SOURCE_REMOVE;
}

static void netback_finish_close(Netback *nb)
{
    if (nb->closed_sent) {
        return;
    }
    nb->closed_sent = true;
    if (nb->close_timer) {
        g_source_remove(nb->close_timer);
        nb->close_timer = 0;
    }
    netback_to_closed(nb);
    nb->closed_idle = g_idle_add_full(G_PRIORITY_DEFAULT, netback_send_closed, nb, NULL);
}

static gboolean netback_send_gone(gpointer opaque)
{
    Netback *nb = opaque;

    nb->closed_idle = 0;
    netback_event(nb, NETBACK_GONE, NULL); /* may free nb */
    return G_SOURCE_REMOVE;
}

/* Nobody is left to talk to: the domain died, or the directories are gone. */
static void netback_gone(Netback *nb)
{
    netback_disconnect(nb);
    if (nb->closing) {
        netback_finish_close(nb);
    } else if (!nb->closed_sent) {
        nb->closed_sent = true;
        netback_store_set_state(nb, XenbusStateClosed);
        nb->closed_idle = g_idle_add_full(G_PRIORITY_DEFAULT, netback_send_gone, nb, NULL);
    }
}

/* What the frontend's state asks for, while the device is offered. */
static void netback_follow_front(Netback *nb, enum xenbus_state front, bool online, bool hotplug)
{
    switch (front) {
    case XenbusStateInitialising:
        if (online) {
            netback_to_init_wait(nb);
        } else {
            netback_gone(nb); /* unplugged before a driver took it */
        }
        break;
    case XenbusStateConnected:
        if (nb->state == XenbusStateInitWait && hotplug) {
            netback_connect(nb);
        }
        break;
    case XenbusStateReconfiguring:
        /* Linux's netfront waits for this answer without an end */
        if (nb->state == XenbusStateConnected) {
            netback_store_update(nb, "state", XenbusStateReconfigured);
        }
        break;
    case XenbusStateClosing:
        netback_to_closing(nb);
        break;
    case XenbusStateClosed:
        netback_to_closed(nb);
        if (!online) {
            netback_gone(nb);
        }
        break;
    case XenbusStateUnknown: /* no node: judged by netback_update() */
    case XenbusStateInitWait:
    case XenbusStateInitialised: /* not a state of a vif's frontend */
    case XenbusStateReconfigured:
    default:
        break;
    }
}

/* A frontend in one of these has nothing of ours in use and need not be waited for. */
static bool netback_front_idle(enum xenbus_state front)
{
    return front == XenbusStateUnknown || front == XenbusStateInitialising ||
           front == XenbusStateClosed;
}

static void netback_update(void *opaque)
{
    Netback *nb = opaque;
    bool online = false, hotplug = false;
    enum xenbus_state front;

    if (!nb->started || nb->closed_sent) {
        return;
    }
    front = netback_store_front_state(nb);
    nb->front_seen |= front != XenbusStateUnknown;
    if (xen_store_domain_alive(nb->env.store, nb->env.frontend_id)) {
        nb->domain_seen = true;
    } else if (nb->domain_seen) {
        netback_gone(nb); /* it was there, so this is its end */
        return;
    }
    if (!netback_store_read_control(nb, &online, &hotplug) ||
        (front == XenbusStateUnknown && nb->front_seen)) {
        netback_gone(nb);
        return;
    }
    if (nb->closing) {
        if (netback_front_idle(front)) {
            netback_finish_close(nb);
        }
        return;
    }
    netback_follow_front(nb, front, online, hotplug);
}

/* A queue's thread found a protocol violation. */
static void netback_fault(void *opaque)
{
    Netback *nb = opaque;

    for (unsigned i = 0; i < nb->n_queues; i++) {
        const char *fault = xen_queue_fault(&nb->queue[i]->base);

        if (fault) {
            g_autofree char *reason = g_strdup_printf("queue %u: %s", i, fault);

            netback_fail(nb, reason);
            break;
        }
    }
}

/* The netdev's MTU or carrier is another one, or there is nothing behind it any more. */
static void netback_peer_changed(void *opaque)
{
    Netback *nb = opaque;
    const char *error = nb->env.peer->error;

    netback_store_set_link(nb);
    if (error && !nb->peer_failed) {
        netback_event(nb, NETBACK_ERROR, error); /* the guest keeps its vif, without a link */
    }
    nb->peer_failed = error != NULL;
}

static void netback_peer_reopened(void *opaque)
{
    Netback *nb = opaque;

    for (unsigned i = 0; i < nb->n_queues; i++) {
        netback_queue_peer_reopened(nb->queue[i]);
    }
}

/* --- public --- */

static bool netback_watch(Netback *nb, XenWatch **w, const char *dir, const char *key,
                          GError **error)
{
    g_autofree char *path = dir ? g_strdup_printf("%s/%s", dir, key) : g_strdup(key);

    *w = xen_store_watch(nb->env.store, path, netback_update, nb, error);
    return *w != NULL;
}

/* Each queue opens its own, but only once a guest comes: too late to say that none can. */
static bool netback_can_map(const NetbackEnv *env, GError **error)
{
    XenGnttab *g = env->xen->ops->gnttab_open(env->xen, error);

    if (!g) {
        return false;
    }
    env->xen->ops->gnttab_close(g);
    return true;
}

Netback *netback_new(const NetbackConfig *config, const NetbackEnv *env, GError **error)
{
    g_autoptr(Netback) nb = NULL;

    if (!netback_can_map(env, error)) {
        return NULL;
    }
    nb = g_new0(Netback, 1);
    nb->env = *env;
    nb->env.threads = g_memdup2(env->threads, sizeof(env->threads[0]) * env->n_threads);
    nb->id = g_strdup(config->id);
    nb->max_queues = MIN(env->peer->n_queues, NETIF_MAX_QUEUES);
    nb->stats = g_aligned_alloc0(nb->max_queues, sizeof(NetifQueueStats), 64);
    nb->state = XenbusStateInitialising;
    if (!xen_faults_init(&nb->faults, netback_fault, nb, error) ||
        !netback_store_create(nb, config, error)) {
        return NULL;
    }
    netdev_set_carrier(env->peer, false);
    env->peer->changed = netback_peer_changed;
    env->peer->reopened = netback_peer_reopened;
    env->peer->changed_opaque = nb;
    netback_store_set_link(nb);
    if (!netback_watch(nb, &nb->watch_front, nb->fe, "state", error) ||
        !netback_watch(nb, &nb->watch_online, nb->be, "online", error) ||
        !netback_watch(nb, &nb->watch_hotplug, nb->be, "hotplug-status", error) ||
        !netback_watch(nb, &nb->watch_domain, NULL, "@releaseDomain", error)) {
        return NULL;
    }
    return g_steal_pointer(&nb);
}

void netback_start(Netback *nb)
{
    if (nb->started) {
        return;
    }
    nb->started = true;
    if (netback_store_front_state(nb) != XenbusStateClosed) {
        netback_to_init_wait(nb);
    }
    netback_update(nb);
}

void netback_pause(Netback *nb, bool paused)
{
    nb->paused = paused;
    for (unsigned i = 0; i < nb->n_queues; i++) {
        xen_queue_set_paused(&nb->queue[i]->base, paused);
    }
}

static gboolean netback_close_timeout(gpointer opaque)
{
    Netback *nb = opaque;

    nb->close_timer = 0;
    netback_finish_close(nb);
    return G_SOURCE_REMOVE;
}

void netback_close(Netback *nb, unsigned timeout_ms)
{
    if (nb->closed_sent) {
        return; /* its event is on the way */
    }
    if (nb->close_timer) {
        g_source_remove(nb->close_timer);
    }
    nb->closing = true;
    nb->started = true;
    netback_store_update(nb, "online", 0);
    if (nb->state != XenbusStateClosing && nb->state != XenbusStateClosed) {
        /* the queues go on until the frontend has let go of them */
        netback_store_set_state(nb, XenbusStateClosing);
    }
    nb->close_timer = g_timeout_add(timeout_ms, netback_close_timeout, nb);
    netback_update(nb);
}

void netback_free(Netback *nb)
{
    if (!nb) {
        return;
    }
    xen_store_unwatch(nb->watch_front);
    xen_store_unwatch(nb->watch_online);
    xen_store_unwatch(nb->watch_hotplug);
    xen_store_unwatch(nb->watch_domain);
    if (nb->close_timer) {
        g_source_remove(nb->close_timer);
    }
    if (nb->closed_idle) {
        g_source_remove(nb->closed_idle);
    }
    netback_stop_queues(nb);
    xen_faults_done(&nb->faults);
    nb->env.peer->changed = NULL;
    nb->env.peer->reopened = NULL;
    netback_store_remove(nb);
    g_aligned_free(nb->stats);
    g_free(nb->env.threads);
    g_free(nb->error);
    g_free(nb->error_path);
    g_free(nb->be);
    g_free(nb->fe);
    g_free(nb->id);
    g_free(nb);
}

void netback_info(Netback *nb, NetbackInfo *ret_info)
{
    *ret_info = (NetbackInfo) {
        .id = nb->id,
        .idx = nb->idx,
        .frontend_id = nb->env.frontend_id,
        .state = xenbus_state_name(nb->state),
        .error = nb->error ? nb->error : nb->env.peer->error,
        .n_queues = nb->n_queues,
        .max_queues = nb->max_queues,
        .stats = nb->stats,
    };
    memcpy(ret_info->mac, nb->mac, sizeof(ret_info->mac));
    for (unsigned i = 0; i < nb->n_queues; i++) {
        ret_info->tids[i] = io_thread_tid(nb->queue[i]->base.thread);
    }
}
