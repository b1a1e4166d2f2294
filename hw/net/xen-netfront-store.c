/*
 * Netfront's XenStore: what it reads of the backend, what it writes for it. Keys:
 * docs/xenstore-keys.rst, and the comments of Xen's public/io/netif.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netfront-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define NETFRONT_FAIL(error, ...) \
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, __VA_ARGS__)

bool netfront_store_set_state(Netfront *nf, enum xenbus_state state)
{
    nf->state = state;
    return xen_store_printf(nf->env.store, 0, nf->fe, "state", "%u", state);
}

static enum xenbus_state store_read_state(Netfront *nf, const char *dir)
{
    uint64_t v;

    if (!xen_store_read_uint(nf->env.store, 0, dir, "state", XenbusStateReconfigured, &v)) {
        return XenbusStateUnknown;
    }
    return (enum xenbus_state)v;
}

enum xenbus_state netfront_store_own_state(Netfront *nf)
{
    return store_read_state(nf, nf->fe);
}

enum xenbus_state netfront_store_backend_state(Netfront *nf)
{
    return store_read_state(nf, nf->be);
}

bool netfront_store_carrier(Netfront *nf)
{
    uint64_t v;

    return !xen_store_read_uint(nf->env.store, 0, nf->be, "carrier", UINT32_MAX, &v) || v != 0;
}

bool netfront_store_released(Netfront *nf, const char *be)
{
    uint64_t v;

    if (!xen_store_read_uint(nf->env.store, 0, be, "state", XenbusStateReconfigured, &v)) {
        /* who may not read the directory is not told that the node is gone */
        return errno == ENOENT || errno == EACCES;
    }
    return v == XenbusStateInitialising || v == XenbusStateInitWait || v == XenbusStateClosed;
}

bool netfront_store_backend_online(Netfront *nf)
{
    uint64_t v;

    /* a backend whose toolstack does not know the key never goes away by it */
    if (!xen_store_read_uint(nf->env.store, 0, nf->be, "online", UINT32_MAX, &v)) {
        return errno == ENOENT;
    }
    return v != 0;
}

char *netfront_store_backend(Netfront *nf, uint16_t *ret_id)
{
    g_autofree char *path = g_strdup_printf("%s/backend", nf->fe);
    g_autofree char *backend = xen_store_read(nf->env.store, 0, path);
    uint64_t id;

    if (!backend || !*backend ||
        !xen_store_read_uint(nf->env.store, 0, nf->fe, "backend-id", UINT16_MAX, &id)) {
        return NULL;
    }
    *ret_id = (uint16_t)id;
    return g_steal_pointer(&backend);
}

static uint64_t store_feature(Netfront *nf, const char *key)
{
    uint64_t v;

    return xen_store_read_uint(nf->env.store, 0, nf->be, key, UINT32_MAX, &v) ? v : 0;
}

static unsigned plan_offload(Netfront *nf, bool sg)
{
    const NetfrontConfig *c = &nf->config;
    unsigned offload = 0;

    if (!nf->env.peer->has_vnet_hdr) {
        return 0; /* nothing comes unfinished */
    }
    if (c->csum && !store_feature(nf, "feature-no-csum-offload")) {
        offload |= NETDEV_CSUM4;
        offload |= sg && c->gso && store_feature(nf, "feature-gso-tcpv4") ? NETDEV_TSO4 : 0;
    }
    if (c->ipv6_csum && store_feature(nf, "feature-ipv6-csum-offload")) {
        offload |= NETDEV_CSUM6;
        offload |= sg && c->gso && store_feature(nf, "feature-gso-tcpv6") ? NETDEV_TSO6 : 0;
    }
    return offload;
}

bool netfront_store_plan(Netfront *nf, NetfrontPlan *ret, GError **error)
{
    bool sg = nf->config.sg && store_feature(nf, "feature-sg");
    uint64_t max = store_feature(nf, "multi-queue-max-queues");

    if (!store_feature(nf, "feature-rx-copy")) {
        NETFRONT_FAIL(error, "the backend %s does not copy (feature-rx-copy)", nf->be);
        return false;
    }
    *ret = (NetfrontPlan) {
        .max_queues = (unsigned)max,
        .n_queues = MIN(nf->max_queues, max > 0 ? (unsigned)max : 1),
        .split = nf->config.split_event_channels &&
                 store_feature(nf, "feature-split-event-channels"),
        .tx_offload = plan_offload(nf, sg),
        .tx_max_len = sg ? XEN_NETIF_MAX_TX_SIZE : NETFRONT_FRAME_MAX,
    };
    return true;
}

static bool store_clear(Netfront *nf, XenTx tx, const char *key)
{
    g_autofree char *path = g_strdup_printf("%s/%s", nf->fe, key);

    return xen_store_clear(nf->env.store, tx, path);
}

/* A connection with more queues, or with one, left keys that would be read now. */
static bool store_clear_old(Netfront *nf, XenTx tx)
{
    static const char *const flat[] = { "tx-ring-ref", "rx-ring-ref", "event-channel",
                                        "event-channel-tx", "event-channel-rx",
                                        "multi-queue-num-queues" };
    g_auto(GStrv) names = xen_store_list(nf->env.store, tx, nf->fe);

    for (unsigned i = 0; i < G_N_ELEMENTS(flat); i++) {
        if (!store_clear(nf, tx, flat[i])) {
            return false;
        }
    }
    for (char **name = names; name && *name; name++) {
        if (g_str_has_prefix(*name, "queue-") && !store_clear(nf, tx, *name)) {
            return false;
        }
    }
    return names != NULL;
}

static bool store_write_queue(Netfront *nf, XenTx tx, const char *dir, const NetfrontQueue *q)
{
    XenStore *s = nf->env.store;

    if (!xen_store_printf(s, tx, dir, "tx-ring-ref", "%u", q->ring_refs[0]) ||
        !xen_store_printf(s, tx, dir, "rx-ring-ref", "%u", q->ring_refs[1])) {
        return false;
    }
    if (q->base.n_ports == 1) {
        return xen_store_printf(s, tx, dir, "event-channel", "%u", q->base.port[0].port);
    }
    return xen_store_printf(s, tx, dir, "event-channel-tx", "%u", q->base.port[0].port) &&
           xen_store_printf(s, tx, dir, "event-channel-rx", "%u", q->base.port[1].port);
}

static bool store_write_queues(Netfront *nf, XenTx tx, const NetfrontPlan *plan)
{
    XenStore *s = nf->env.store;

    if (plan->max_queues > 0 &&
        !xen_store_printf(s, tx, nf->fe, "multi-queue-num-queues", "%u", nf->n_queues)) {
        return false;
    }
    if (nf->n_queues == 1) {
        return store_write_queue(nf, tx, nf->fe, nf->queue[0]);
    }
    for (unsigned i = 0; i < nf->n_queues; i++) {
        g_autofree char *dir = g_strdup_printf("%s/queue-%u", nf->fe, i);

        if (!store_write_queue(nf, tx, dir, nf->queue[i])) {
            return false;
        }
    }
    return true;
}

static bool store_write_flag(Netfront *nf, XenTx tx, const char *key, bool value)
{
    return xen_store_printf(nf->env.store, tx, nf->fe, key, "%d", value);
}

static bool store_write_features(Netfront *nf, XenTx tx)
{
    const NetfrontConfig *c = &nf->config;

    return store_write_flag(nf, tx, "request-rx-copy", true) &&
           store_write_flag(nf, tx, "feature-rx-notify", c->rx_notify) &&
           store_write_flag(nf, tx, "feature-sg", c->sg) &&
           store_write_flag(nf, tx, "feature-gso-tcpv4", c->gso && c->sg && c->csum) &&
           store_write_flag(nf, tx, "feature-gso-tcpv6", c->gso && c->sg && c->ipv6_csum) &&
           store_write_flag(nf, tx, "feature-no-csum-offload", !c->csum) &&
           store_write_flag(nf, tx, "feature-ipv6-csum-offload", c->ipv6_csum);
}

typedef struct KeysWrite {
    Netfront *nf;
    const NetfrontPlan *plan;
} KeysWrite;

static bool keys_write(XenStore *s, XenTx tx, void *opaque)
{
    const KeysWrite *w = opaque;

    return store_clear_old(w->nf, tx) && store_write_queues(w->nf, tx, w->plan) &&
           store_write_features(w->nf, tx);
}

bool netfront_store_write_keys(Netfront *nf, const NetfrontPlan *plan, GError **error)
{
    KeysWrite w = { nf, plan };

    if (!xen_store_transaction(nf->env.store, keys_write, &w)) {
        NETFRONT_FAIL(error, "cannot write %s: %s", nf->fe, g_strerror(errno));
        return false;
    }
    return true;
}
