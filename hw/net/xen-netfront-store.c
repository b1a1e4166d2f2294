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

static bool store_feature(Netfront *nf, const char *key)
{
    return xenbus_front_feature(&nf->bus, key, 0) != 0;
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
    uint64_t max = xenbus_front_feature(&nf->bus, "multi-queue-max-queues", 0);

    if (!store_feature(nf, "feature-rx-copy")) {
        NETFRONT_FAIL(error, "the backend %s does not copy (feature-rx-copy)", nf->bus.be);
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
    g_autofree char *path = g_strdup_printf("%s/%s", nf->bus.fe, key);

    return xen_store_clear(nf->bus.store, tx, path);
}

/* A connection with more queues, or with one, left keys that would be read now. */
static bool store_clear_old(Netfront *nf, XenTx tx)
{
    static const char *const flat[] = { "tx-ring-ref", "rx-ring-ref", "event-channel",
                                        "event-channel-tx", "event-channel-rx",
                                        "multi-queue-num-queues" };
    g_auto(GStrv) names = xen_store_list(nf->bus.store, tx, nf->bus.fe);

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
    XenStore *s = nf->bus.store;

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
    XenStore *s = nf->bus.store;

    if (plan->max_queues > 0 &&
        !xen_store_printf(s, tx, nf->bus.fe, "multi-queue-num-queues", "%u", nf->queues.n)) {
        return false;
    }
    if (nf->queues.n == 1) {
        return store_write_queue(nf, tx, nf->bus.fe, netfront_queue(nf, 0));
    }
    for (unsigned i = 0; i < nf->queues.n; i++) {
        g_autofree char *dir = g_strdup_printf("%s/queue-%u", nf->bus.fe, i);

        if (!store_write_queue(nf, tx, dir, netfront_queue(nf, i))) {
            return false;
        }
    }
    return true;
}

static bool store_write_flag(Netfront *nf, XenTx tx, const char *key, bool value)
{
    return xen_store_printf(nf->bus.store, tx, nf->bus.fe, key, "%d", value);
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

    if (!xen_store_transaction(nf->bus.store, keys_write, &w)) {
        NETFRONT_FAIL(error, "cannot write %s: %s", nf->bus.fe, g_strerror(errno));
        return false;
    }
    return true;
}
