/*
 * Netfront's life: what the backend's state asks for, and what we answer.
 * xen/include/public/io/xenbus.h names the states, io/netif.h the keys.
 *
 *              device/vif/IDX/backend appears
 *     (none) ----------------------------------> Initialising <---------------+
 *        |                                            |                       |
 *        | backend in use by                          | backend InitWait:     | backend Closed
 *        | a former frontend                          | rings, ports, keys    | and online,
 *        v                                            v                       | or InitWait
 *     Closed <-------------------------------- Connected                      |
 *        |          backend Closing, Closed     packets flow once the         |
 *        |                                      backend is Connected, too     |
 *        +--------------------------------------------------------------------+
 *
 * All of it happens in netfront_update(), which looks at what is there now and not at what
 * changed: watches merge, and a device that was removed and made again may look
 * as if nothing had happened.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netfront-internal.h"

#include <glib-unix.h>

#include "hw/xen/xenbus-state.h"

#define MAX_STEPS    8     /* states that one update may walk through */
#define RETRY_MIN_MS 500   /* between two connections */
#define RETRY_MAX_MS 30000

static void netfront_update(void *opaque);
static void netfront_finish_close(Netfront *nf);

static void netfront_event(Netfront *nf, XenbusEvent event, const char *detail)
{
    if (nf->env.event) {
        nf->env.event(nf->env.opaque, event, detail);
    }
}

static void clear_source(guint *id)
{
    if (*id) {
        g_source_remove(*id);
        *id = 0;
    }
}

/* --- connection --- */

static void netfront_free_queues(Netfront *nf)
{
    for (unsigned i = 0; i < nf->n_queues; i++) {
        netfront_queue_free(g_steal_pointer(&nf->queue[i]));
    }
    nf->n_queues = 0;
    nf->offered = false;
}

/* The netdev's carrier: packets flow, and the backend has a link. */
static void netfront_follow_carrier(Netfront *nf)
{
    bool up = nf->running && netfront_store_carrier(nf);

    if (up != nf->carrier) {
        nf->carrier = up;
        netdev_set_carrier(nf->env.peer, up);
    }
}

/*
 * Ends a connection, or the beginning of one. The backend may go on until it sees us
 * Closed, and longer: it has our pages until then.
 */
static void netfront_disconnect(Netfront *nf)
{
    bool was = nf->running;

    nf->running = false;
    netfront_free_queues(nf);
    netfront_pages_try(nf);
    netfront_follow_carrier(nf);
    if (was) {
        netfront_event(nf, XENBUS_DISCONNECTED, NULL);
    }
}

/* Reports a reason, once for as long as it stays the same. */
static void netfront_set_error(Netfront *nf, const char *reason)
{
    if (g_strcmp0(nf->error, reason) == 0) {
        return;
    }
    g_free(nf->error);
    nf->error = g_strdup(reason);
    netfront_event(nf, XENBUS_ERROR, nf->error);
}

static void netfront_fail(Netfront *nf, const char *reason)
{
    netfront_disconnect(nf);
    netfront_store_set_state(nf, XenbusStateClosed);
    netfront_set_error(nf, reason);
    netfront_pages_settled(nf);
}

/*
 * As many queues as there is room for: a domain's grants are limited (a real one's
 * gntalloc to 1024 pages, if nobody raised that), and one queue is better than none.
 */
static bool netfront_make_queues(Netfront *nf, NetfrontPlan *plan, GError **error)
{
    for (unsigned i = 0; i < plan->n_queues; i++) {
        g_autoptr(GError) err = NULL;

        nf->queue[i] = netfront_queue_new(nf, i, plan, &err);
        if (nf->queue[i]) {
            nf->n_queues = i + 1;
            continue;
        }
        if (i == 0) {
            g_propagate_error(error, g_steal_pointer(&err));
            return false;
        }
        g_autofree char *warning = g_strdup_printf("%s; using %u of %u queues", err->message, i,
                                                   plan->n_queues);

        plan->n_queues = i;
        netfront_set_error(nf, warning);
    }
    return true;
}

static bool netfront_prepare(Netfront *nf, NetfrontPlan *plan, GError **error)
{
    Netdev *peer = nf->env.peer;

    return netfront_make_queues(nf, plan, error) &&
           peer->ops->set_offload(peer, plan->tx_offload, error) &&
           peer->ops->set_active(peer, plan->n_queues, error) &&
           netfront_store_write_keys(nf, plan, error);
}

/* The backend waits for us: make what it needs, and tell it. */
static void netfront_connect(Netfront *nf)
{
    g_autoptr(GError) error = NULL;
    NetfrontPlan plan;

    nf->retry_at_us = g_get_monotonic_time() + (gint64)nf->retry_ms * 1000;
    nf->retry_ms = MIN(nf->retry_ms * 2, RETRY_MAX_MS);
    if (!netfront_store_plan(nf, &plan, &error) || !netfront_prepare(nf, &plan, &error)) {
        netfront_fail(nf, error->message);
        return;
    }
    nf->offered = true;
    netfront_store_set_state(nf, XenbusStateConnected);
}

/* The backend is connected: packets may flow. */
static void netfront_run(Netfront *nf)
{
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < nf->n_queues; i++) {
        if (!netfront_queue_start(nf->queue[i], &error)) {
            netfront_fail(nf, error->message);
            return;
        }
    }
    nf->running = true;
    nf->retry_ms = RETRY_MIN_MS;
    g_clear_pointer(&nf->error, g_free);
    netfront_follow_carrier(nf);
    netfront_event(nf, XENBUS_CONNECTED, NULL);
}

/* --- states --- */

static gboolean netfront_retry(gpointer opaque)
{
    Netfront *nf = opaque;

    nf->retry_timer = 0;
    netfront_update(nf);
    return G_SOURCE_REMOVE;
}

/* A backend that refuses us again and again is not asked again at once. */
static bool netfront_may_retry(Netfront *nf)
{
    gint64 wait_us = nf->retry_at_us - g_get_monotonic_time();

    if (wait_us <= 0) {
        return true;
    }
    if (!nf->retry_timer) {
        nf->retry_timer = g_timeout_add((guint)(wait_us / 1000) + 1, netfront_retry, nf);
    }
    return false;
}

/* No device until now. One whose backend serves a former frontend is closed first. */
static void netfront_step_none(Netfront *nf, enum xenbus_state back)
{
    bool fresh = back == XenbusStateUnknown || back == XenbusStateInitialising ||
                 back == XenbusStateInitWait;

    netfront_store_set_state(nf, fresh ? XenbusStateInitialising : XenbusStateClosed);
}

static void netfront_step_initialising(Netfront *nf, enum xenbus_state back)
{
    if (back == XenbusStateInitWait) {
        netfront_connect(nf);
    } else if (back == XenbusStateClosing || back == XenbusStateConnected) {
        netfront_store_set_state(nf, XenbusStateClosed);
    }
}

static void netfront_step_connected(Netfront *nf, enum xenbus_state back)
{
    switch (back) {
    case XenbusStateConnected:
        if (!nf->running) {
            netfront_run(nf);
        }
        break;
    case XenbusStateClosing:
    case XenbusStateClosed:
        netfront_disconnect(nf);
        netfront_store_set_state(nf, XenbusStateClosed);
        break;
    case XenbusStateInitWait:
        if (!nf->running && netfront_store_own_state(nf) == XenbusStateConnected) {
            break; /* it has not looked at our keys yet */
        }
        G_GNUC_FALLTHROUGH;
    case XenbusStateUnknown:
    case XenbusStateInitialising:
        /* another backend than the one that we were connected to */
        netfront_disconnect(nf);
        netfront_store_set_state(nf, XenbusStateInitialising);
        break;
    case XenbusStateInitialised:
    case XenbusStateReconfiguring:
    case XenbusStateReconfigured:
    default:
        break;
    }
}

static void netfront_step_closed(Netfront *nf, enum xenbus_state back)
{
    bool served = back == XenbusStateUnknown || back == XenbusStateInitialising ||
                  back == XenbusStateInitWait ||
                  (back == XenbusStateClosed && netfront_store_backend_online(nf));

    if (served && netfront_may_retry(nf)) {
        netfront_store_set_state(nf, XenbusStateInitialising);
    }
}

static void netfront_step_closing(Netfront *nf, enum xenbus_state back)
{
    if (back == XenbusStateUnknown || back == XenbusStateClosing || back == XenbusStateClosed) {
        netfront_disconnect(nf);
        netfront_store_set_state(nf, XenbusStateClosed);
    }
}

static void netfront_step(Netfront *nf, enum xenbus_state back)
{
    switch (nf->state) {
    case XenbusStateUnknown:
        netfront_step_none(nf, back);
        break;
    case XenbusStateInitialising:
        netfront_step_initialising(nf, back);
        break;
    case XenbusStateConnected:
        netfront_step_connected(nf, back);
        break;
    case XenbusStateClosing:
        netfront_step_closing(nf, back);
        break;
    case XenbusStateClosed:
        if (!nf->closing) {
            netfront_step_closed(nf, back);
        }
        break;
    case XenbusStateInitWait:
    case XenbusStateInitialised:
    case XenbusStateReconfiguring:
    case XenbusStateReconfigured:
    default:
        g_assert_not_reached(); /* none of ours */
    }
}

static void netfront_unwatch_backend(Netfront *nf)
{
    g_clear_pointer(&nf->watch_state, xen_store_unwatch);
    g_clear_pointer(&nf->watch_online, xen_store_unwatch);
    g_clear_pointer(&nf->watch_carrier, xen_store_unwatch);
}

static bool netfront_watch(Netfront *nf, XenWatch **w, const char *dir, const char *key,
                           GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s", dir, key);

    *w = xen_store_watch(nf->env.store, path, netfront_update, nf, error);
    return *w != NULL;
}

/* Another backend than before, or none. False: there is none. */
static bool netfront_follow_backend(Netfront *nf)
{
    uint16_t id = 0;
    g_autofree char *be = netfront_store_backend(nf, &id);
    g_autoptr(GError) error = NULL;

    if (g_strcmp0(be, nf->be) == 0 && id == nf->backend_id) {
        return be != NULL;
    }
    netfront_disconnect(nf);
    netfront_unwatch_backend(nf);
    g_free(nf->be);
    nf->be = g_steal_pointer(&be);
    nf->backend_id = id;
    nf->state = XenbusStateUnknown;
    if (!nf->be) {
        nf->backend_id = 0;
        return false;
    }
    if (!netfront_watch(nf, &nf->watch_state, nf->be, "state", &error) ||
        !netfront_watch(nf, &nf->watch_online, nf->be, "online", &error) ||
        !netfront_watch(nf, &nf->watch_carrier, nf->be, "carrier", &error)) {
        netfront_set_error(nf, error->message);
    }
    return true;
}

static void netfront_update(void *opaque)
{
    Netfront *nf = opaque;

    if (!nf->started || nf->closed_sent || nf->lost) {
        return;
    }
    if (!netfront_follow_backend(nf) || (nf->closing && nf->state == XenbusStateUnknown)) {
        if (nf->closing) {
            netfront_finish_close(nf);
        }
        return;
    }
    for (unsigned i = 0; i < MAX_STEPS && !nf->closed_sent; i++) {
        enum xenbus_state before = nf->state;

        netfront_step(nf, netfront_store_backend_state(nf));
        if (nf->state == before) {
            break;
        }
    }
    netfront_follow_carrier(nf);
    netfront_pages_try(nf);
    netfront_pages_settled(nf);
}

/* A queue's thread found a protocol violation. */
static void netfront_fault(void *opaque)
{
    Netfront *nf = opaque;

    for (unsigned i = 0; i < nf->n_queues; i++) {
        const char *fault = xen_queue_fault(&nf->queue[i]->base);

        if (fault) {
            g_autofree char *reason = g_strdup_printf("queue %u: %s", i, fault);

            netfront_fail(nf, reason);
            break;
        }
    }
}

/* There is nobody left to talk to, and there will not be: no XenStore either. */
static gboolean netfront_lost(gint fd, GIOCondition cond, gpointer opaque)
{
    Netfront *nf = opaque;

    nf->lost_source = 0;
    nf->lost = true;
    nf->state = XenbusStateUnknown;
    netfront_disconnect(nf);
    netfront_set_error(nf, "the Xen host is gone");
    return G_SOURCE_REMOVE;
}

/* --- the end --- */

static gboolean netfront_send_closed(gpointer opaque)
{
    Netfront *nf = opaque;

    nf->closed_idle = 0;
    netfront_event(nf, XENBUS_CLOSED, NULL); /* may free nf */
    return G_SOURCE_REMOVE;
}

static void netfront_finish_close(Netfront *nf)
{
    if (nf->closed_sent) {
        return;
    }
    nf->closed_sent = true;
    clear_source(&nf->close_timer);
    clear_source(&nf->retry_timer);
    netfront_disconnect(nf);
    if (nf->state == XenbusStateClosing) {
        netfront_store_set_state(nf, XenbusStateClosed); /* without the backend's consent */
    }
    nf->closed_idle = g_idle_add(netfront_send_closed, nf);
}

void netfront_pages_settled(Netfront *nf)
{
    if (nf->closing && nf->state == XenbusStateClosed && !nf->pages_timer) {
        netfront_finish_close(nf);
    }
}

static gboolean netfront_close_timeout(gpointer opaque)
{
    Netfront *nf = opaque;

    nf->close_timer = 0;
    netfront_finish_close(nf);
    return G_SOURCE_REMOVE;
}

void netfront_close(Netfront *nf, unsigned timeout_ms)
{
    if (nf->closed_sent || nf->closing) {
        return;
    }
    nf->closing = true;
    if (!nf->started || nf->state == XenbusStateUnknown) {
        netfront_finish_close(nf); /* nothing of ours is in use */
        return;
    }
    nf->close_timer = g_timeout_add(timeout_ms, netfront_close_timeout, nf);
    if (nf->state != XenbusStateClosed) {
        netfront_store_set_state(nf, XenbusStateClosing);
    }
    netfront_update(nf);
}

/* There may be nothing behind the netdev any more; its MTU and carrier are not the backend's. */
static void netfront_peer_changed(void *opaque)
{
    Netfront *nf = opaque;
    const char *error = nf->env.peer->error;

    if (error && !nf->peer_failed) {
        netfront_event(nf, XENBUS_ERROR, error);
    }
    nf->peer_failed = error != NULL;
}

static void netfront_peer_reopened(void *opaque)
{
    Netfront *nf = opaque;

    for (unsigned i = 0; i < nf->n_queues; i++) {
        netfront_queue_peer_reopened(nf->queue[i]);
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
    nf->fe = g_strdup_printf("/local/domain/%u/device/vif/%u", env->xen->domid, nf->idx);
    nf->max_queues = MIN(MIN(env->peer->n_queues, limit), NETIF_MAX_QUEUES);
    nf->stats = g_aligned_alloc0(nf->max_queues, sizeof(NetifQueueStats), 64);
    nf->pages = netfront_pages_new();
    nf->retry_ms = RETRY_MIN_MS;
    nf->state = XenbusStateUnknown;
    nf->share = env->xen->ops->share_open(env->xen, error);
    if (!nf->share) {
        return NULL;
    }
    if (!xen_faults_init(&nf->faults, netfront_fault, nf, error)) {
        return NULL;
    }
    if (env->xen->ops->lost_fd) {
        nf->lost_source = g_unix_fd_add(env->xen->ops->lost_fd(env->xen),
                                        G_IO_IN | G_IO_HUP, netfront_lost, nf);
    }
    netdev_set_carrier(env->peer, false);
    env->peer->changed = netfront_peer_changed;
    env->peer->reopened = netfront_peer_reopened;
    env->peer->changed_opaque = nf;
    if (!netfront_watch(nf, &nf->watch_front, nf->fe, "backend", error)) {
        return NULL;
    }
    return g_steal_pointer(&nf);
}

void netfront_start(Netfront *nf)
{
    nf->started = true;
    netfront_update(nf);
}

void netfront_pause(Netfront *nf, bool paused)
{
    nf->paused = paused;
    for (unsigned i = 0; i < nf->n_queues; i++) {
        xen_queue_set_paused(&nf->queue[i]->base, paused);
    }
}

void netfront_free(Netfront *nf)
{
    if (!nf) {
        return;
    }
    netfront_unwatch_backend(nf);
    xen_store_unwatch(nf->watch_front);
    netfront_free_queues(nf);
    nf->env.peer->changed = NULL;
    nf->env.peer->reopened = NULL;
    xen_faults_done(&nf->faults);
    clear_source(&nf->lost_source);
    clear_source(&nf->close_timer);
    clear_source(&nf->retry_timer);
    clear_source(&nf->closed_idle);
    if (nf->share) {
        netfront_pages_close(nf);
    }
    clear_source(&nf->pages_timer);
    g_array_unref(nf->pages);
    g_aligned_free(nf->stats);
    g_free(nf->error);
    g_free(nf->be);
    g_free(nf->fe);
    g_free(nf->id);
    g_free(nf);
}

void netfront_info(Netfront *nf, NetfrontInfo *ret_info)
{
    *ret_info = (NetfrontInfo) {
        .id = nf->id,
        .idx = nf->idx,
        .state = xenbus_state_name(nf->state),
        .error = nf->error ? nf->error : nf->env.peer->error,
        .n_queues = nf->running ? nf->n_queues : 0,
        .max_queues = nf->max_queues,
        .stats = nf->stats,
    };
    for (unsigned i = 0; i < ret_info->n_queues; i++) {
        ret_info->tids[i] = io_thread_tid(nf->queue[i]->base.thread);
    }
}
