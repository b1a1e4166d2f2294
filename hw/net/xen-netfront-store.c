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

static bool store_write_queue(XenStore *s, XenTx tx, const char *dir, const XenQueue *base)
{
    const NetfrontQueue *q = container_of(base, NetfrontQueue, base);

    if (!xen_store_printf(s, tx, dir, "tx-ring-ref", "%u", q->ring_refs[0]) ||
        !xen_store_printf(s, tx, dir, "rx-ring-ref", "%u", q->ring_refs[1])) {
        return false;
    }
    if (base->n_ports == 1) {
        return xen_store_printf(s, tx, dir, "event-channel", "%u", base->port[0].port);
    }
    return xen_store_printf(s, tx, dir, "event-channel-tx", "%u", base->port[0].port) &&
           xen_store_printf(s, tx, dir, "event-channel-rx", "%u", base->port[1].port);
}

static bool store_write_queues(Netfront *nf, XenTx tx, const NetfrontPlan *plan)
{
    static const char *const old[] = { "tx-ring-ref", "rx-ring-ref", "event-channel",
                                       "event-channel-tx", "event-channel-rx", NULL };
    XenbusFront *f = &nf->bus;

    return xenbus_front_clear_queues(f, tx, old) &&
           (plan->max_queues == 0 || xen_store_printf(f->store, tx, f->fe,
                                                      "multi-queue-num-queues", "%u",
                                                      nf->queues.n)) &&
           xenbus_front_write_queues(f, tx, &nf->queues, store_write_queue);
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

    return store_write_queues(w->nf, tx, w->plan) && store_write_features(w->nf, tx);
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
