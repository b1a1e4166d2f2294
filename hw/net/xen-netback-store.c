/*
 * Netback's XenStore: what a vif adds to the nodes of a device, what it offers, what it reads
 * of the frontend. Keys: docs/xenstore-keys.rst, and the comments of Xen's public/io/netif.h.
 *
 * The MAC is taken from the backend directory only: the frontend's directory belongs to the
 * guest, who may write there what it likes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netback-internal.h"

#include <errno.h>
#include <string.h>

#include "netif-mac.h"
#include "util/host-id.h"

#define MAX_PORT  (1u << 17) /* ports of the FIFO event channel ABI */
#define KEYS_STEP 8u         /* queues whose keys are read in one go, some 6 round trips each */

G_DEFINE_QUARK(netback-error-quark, netback_error)

/*
 * The same again for the same guest and vif, and another one than on other hosts of its LAN: a
 * guest is known by the uuid that its toolstack gave it, else by its domid and our host.
 */
static void store_set_default_mac(Netback *nb, XenTx tx)
{
    XenStore *s = nb->bus.store;
    g_autofree char *vm_path = g_strdup_printf("/local/domain/%u/vm", nb->bus.frontend_id);
    g_autofree char *vm = xen_store_read(s, tx, vm_path);
    g_autofree char *uuid_path = vm && vm[0] == '/' ? g_strdup_printf("%s/uuid", vm) : NULL;
    g_autofree char *guest = uuid_path ? xen_store_read(s, tx, uuid_path) : NULL;

    if (!guest) {
        g_autofree char *host = host_id();

        guest = g_strdup_printf("domain %u on %s", nb->bus.frontend_id, host);
    }
    netif_default_mac(guest, nb->bus.idx, nb->mac);
}

static void store_read_mac(Netback *nb, XenTx tx)
{
    g_autofree char *mac = xenbus_back_read(&nb->bus, tx, "mac");

    if (mac) {
        g_strlcpy(nb->mac, mac, sizeof(nb->mac));
    }
}

bool netback_store_write_nodes(Netback *nb, XenTx tx)
{
    XenStore *s = nb->bus.store;
    const XenbusBack *b = &nb->bus;

    if (!nb->mac[0] && b->resumed) {
        store_read_mac(nb, tx); /* the guest knows it already */
    }
    if (!nb->mac[0]) {
        store_set_default_mac(nb, tx);
    }
    return xen_store_printf(s, tx, b->be, "handle", "%u", b->idx) &&
           xen_store_printf(s, tx, b->be, "type", "vif") &&
           xen_store_printf(s, tx, b->be, "mac", "%s", nb->mac) &&
           xen_store_printf(s, tx, b->fe, "handle", "%u", b->idx) &&
           xen_store_printf(s, tx, b->fe, "mac", "%s", nb->mac);
}

void netback_store_take_over(Netback *nb)
{
    g_autofree char *rate = xenbus_back_read(&nb->bus, 0, "rate");

    if (rate && rate[0]) {
        g_autofree char *text = g_strdup_printf("%s/rate is '%s': no limit is kept", nb->bus.be,
                                                rate);

        nb->bus.ops->event(&nb->bus, XENBUS_WARNING, text);
    }
    store_read_mac(nb, 0);
    if (!nb->mac[0]) {
        store_set_default_mac(nb, 0);
    }
}

/* --- what we say --- */

bool netback_store_publish(Netback *nb, XenTx tx)
{
    const struct {
        const char *key;
        bool value;
    } features[] = {
        { "feature-sg", true },
        { "feature-gso-tcpv4", nb->from_guest & NETDEV_TSO4 },
        { "feature-gso-tcpv6", nb->from_guest & NETDEV_TSO6 },
        { "feature-no-csum-offload", !(nb->from_guest & NETDEV_CSUM4) },
        { "feature-ipv6-csum-offload", nb->from_guest & NETDEV_CSUM6 },
        { "feature-rx-copy", true },
        { "feature-rx-flip", false },
        { "feature-split-event-channels", true },
        { "feature-xdp-headroom", true },
    };
    XenStore *s = nb->bus.store;

    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        if (!xen_store_printf(s, tx, nb->bus.be, features[i].key, "%d", features[i].value)) {
            return false;
        }
    }
    return xen_store_printf(s, tx, nb->bus.be, "multi-queue-max-queues", "%u", nb->max_queues);
}

/*
 * The one node of the frontend's directory that belongs to the backend, so that the guest
 * cannot change it.
 */
static bool store_write_mtu(XenStore *s, XenTx tx, void *opaque)
{
    Netback *nb = opaque;
    g_autofree char *mtu = g_strdup_printf("%s/mtu", nb->bus.fe);

    return xen_store_mkdir(s, tx, mtu, nb->bus.xen->domid, nb->bus.frontend_id) &&
           xen_store_printf(s, tx, nb->bus.fe, "mtu", "%u", netback_guest_mtu(nb));
}

/* netif.h documents both keys. */
void netback_store_set_link(Netback *nb)
{
    const Netdev *peer = nb->env.peer;

    xenbus_back_write(&nb->bus, "carrier", peer->link_up);
    if (nb->bus.created && peer->mtu != 0) {
        xenbus_back_update(&nb->bus, true, store_write_mtu, nb);
    }
}

/* --- what the frontend says --- */

/* Absent: @ret stays. False: there is something, but no number up to @max. */
static bool keys_optional(XenStore *s, XenTx tx, const char *dir, const char *key, uint64_t max,
                          uint64_t *ret, GError **error)
{
    if (xen_store_read_uint(s, tx, dir, key, max, ret) || errno == ENOENT) {
        return true;
    }
    NETBACK_FAIL(error, "%s/%s is not a number from 0 to %" G_GUINT64_FORMAT, dir, key, max);
    return false;
}

static bool keys_flag(XenStore *s, XenTx tx, const char *dir, const char *key, bool *ret,
                      GError **error)
{
    uint64_t v = 0;

    if (!keys_optional(s, tx, dir, key, UINT32_MAX, &v, error)) {
        return false;
    }
    *ret = v != 0;
    return true;
}

static bool keys_required(XenStore *s, XenTx tx, const char *dir, const char *key, uint64_t max,
                          uint32_t *ret, GError **error)
{
    uint64_t v = 0;

    if (!xen_store_read_uint(s, tx, dir, key, max, &v)) {
        if (errno == ENOENT) {
            NETBACK_FAIL(error, "%s/%s is missing", dir, key);
        } else {
            NETBACK_FAIL(error, "%s/%s is not a number from 0 to %" G_GUINT64_FORMAT, dir, key,
                         max);
        }
        return false;
    }
    *ret = (uint32_t)v;
    return true;
}

/*
 * A split pair, else a single event channel: as Linux netback, which an old half beside the
 * single one does not disturb.
 */
static bool keys_read_ports(XenStore *s, XenTx tx, const char *dir, NetbackQueueKeys *q,
                            GError **error)
{
    g_autoptr(GError) split_error = NULL;
    bool split = xen_store_has(s, tx, dir, "event-channel-tx");

    if (split &&
        keys_required(s, tx, dir, "event-channel-tx", MAX_PORT - 1, &q->tx_port, &split_error) &&
        keys_required(s, tx, dir, "event-channel-rx", MAX_PORT - 1, &q->rx_port, &split_error)) {
        return true;
    }
    if (split && !xen_store_has(s, tx, dir, "event-channel")) {
        g_propagate_error(error, g_steal_pointer(&split_error));
        return false;
    }
    if (!keys_required(s, tx, dir, "event-channel", MAX_PORT - 1, &q->tx_port, error)) {
        return false;
    }
    q->rx_port = q->tx_port;
    return true;
}

static bool keys_read_queue(XenStore *s, XenTx tx, const char *dir, NetbackQueueKeys *q,
                            GError **error)
{
    return keys_required(s, tx, dir, "tx-ring-ref", UINT32_MAX, &q->tx_ref, error) &&
           keys_required(s, tx, dir, "rx-ring-ref", UINT32_MAX, &q->rx_ref, error) &&
           keys_read_ports(s, tx, dir, q, error);
}

static bool keys_read_features(XenStore *s, XenTx tx, const char *fe, NetbackKeys *k,
                               unsigned usable, GError **error)
{
    bool rx_copy = false, no_csum4 = false, csum6 = false, gso4 = false, gso6 = false;

    if (!keys_flag(s, tx, fe, "request-rx-copy", &rx_copy, error) ||
        !keys_flag(s, tx, fe, "feature-rx-notify", &k->rx_notify, error) ||
        !keys_flag(s, tx, fe, "feature-sg", &k->sg, error) ||
        !keys_flag(s, tx, fe, "feature-gso-tcpv4", &gso4, error) ||
        !keys_flag(s, tx, fe, "feature-gso-tcpv6", &gso6, error) ||
        !keys_flag(s, tx, fe, "feature-no-csum-offload", &no_csum4, error) ||
        !keys_flag(s, tx, fe, "feature-ipv6-csum-offload", &csum6, error)) {
        return false;
    }
    if (!rx_copy) {
        NETBACK_FAIL(error, "%s/request-rx-copy is not 1: page flipping is not supported", fe);
        return false;
    }
    k->offload = no_csum4 ? 0 : NETDEV_CSUM4;
    k->offload |= csum6 ? NETDEV_CSUM6 : 0;
    /* a segment needs its checksum made, and more than one slot */
    k->offload |= gso4 && k->sg && (k->offload & NETDEV_CSUM4) ? NETDEV_TSO4 : 0;
    k->offload |= gso6 && k->sg && (k->offload & NETDEV_CSUM6) ? NETDEV_TSO6 : 0;
    k->offload &= usable;
    return true;
}

bool netback_store_read_headroom(Netback *nb, XenTx tx, unsigned *ret, GError **error)
{
    uint64_t v = 0;

    if (!keys_optional(nb->bus.store, tx, nb->bus.fe, "xdp-headroom", UINT32_MAX, &v, error)) {
        return false;
    }
    *ret = (unsigned)MIN(v, NETIF_XDP_HEADROOM_MAX);
    return true;
}

/* What is there of the vif as a whole. */
static bool keys_read_head(Netback *nb, XenTx tx, NetbackKeys *k, GError **error)
{
    XenStore *s = nb->bus.store;
    uint64_t n = 1;

    if (!keys_optional(s, tx, nb->bus.fe, "multi-queue-num-queues", UINT32_MAX, &n, error)) {
        return false;
    }
    if (n == 0 || n > nb->max_queues) {
        NETBACK_FAIL(error,
                     "%s/multi-queue-num-queues is %" G_GUINT64_FORMAT ", must be 1 to %u",
                     nb->bus.fe, n, nb->max_queues);
        return false;
    }
    k->n_queues = (unsigned)n;
    return netback_store_read_headroom(nb, tx, &k->headroom, error) &&
           keys_read_features(s, tx, nb->bus.fe, k, nb->to_guest, error);
}

static bool keys_read_some(Netback *nb, XenTx tx, NetbackKeys *k, GError **error)
{
    unsigned end;

    if (k->n_queues == 0 && !keys_read_head(nb, tx, k, error)) {
        return false;
    }
    end = MIN(k->n_queues, k->n_read + KEYS_STEP);
    for (unsigned i = k->n_read; i < end; i++) {
        g_autofree char *dir = k->n_queues == 1
                                   ? g_strdup(nb->bus.fe)
                                   : g_strdup_printf("%s/queue-%u", nb->bus.fe, i);

        if (!keys_read_queue(nb->bus.store, tx, dir, &k->queue[i], error)) {
            return false;
        }
    }
    k->n_read = end;
    return true;
}

/* No ring may be shared between queues or directions, and no port between queues. */
static bool keys_check_unique(const NetbackKeys *k, GError **error)
{
    for (unsigned i = 0; i < k->n_queues; i++) {
        const NetbackQueueKeys *a = &k->queue[i];

        if (a->tx_ref == a->rx_ref) {
            NETBACK_FAIL(error, "queue %u: tx-ring-ref and rx-ring-ref are both %u", i, a->tx_ref);
            return false;
        }
        for (unsigned j = 0; j < i; j++) {
            const NetbackQueueKeys *b = &k->queue[j];

            if (a->tx_ref == b->tx_ref || a->tx_ref == b->rx_ref || a->rx_ref == b->tx_ref ||
                a->rx_ref == b->rx_ref) {
                NETBACK_FAIL(error, "queues %u and %u have the same ring-ref", j, i);
                return false;
            }
            if (a->tx_port == b->tx_port || a->tx_port == b->rx_port ||
                a->rx_port == b->tx_port || a->rx_port == b->rx_port) {
                NETBACK_FAIL(error, "queues %u and %u have the same event-channel", j, i);
                return false;
            }
        }
    }
    return true;
}

typedef struct KeysRead {
    Netback *nb;
    const NetbackKeys *before;
    NetbackKeys *keys;
    bool ok;
    GError *error;
} KeysRead;

/* What is wrong with the keys counts only once the transaction has seen all of them at once. */
static bool keys_read(XenStore *s, XenTx tx, void *opaque)
{
    KeysRead *r = opaque;

    g_clear_error(&r->error);
    *r->keys = *r->before;
    r->ok = keys_read_some(r->nb, tx, r->keys, &r->error);
    return true;
}

XenbusStep netback_store_read_keys(Netback *nb, NetbackKeys *keys, GError **error)
{
    g_autofree NetbackKeys *before = g_memdup2(keys, sizeof(*keys));
    KeysRead r = { .nb = nb, .before = before, .keys = keys };

    if (!xen_store_transaction(nb->bus.store, keys_read, &r)) {
        int saved = errno;

        g_clear_error(&r.error);
        NETBACK_FAIL(error, "cannot read %s: %s", nb->bus.fe, g_strerror(saved));
        return XENBUS_STEP_FAILED;
    }
    if (!r.ok) {
        g_propagate_error(error, r.error);
        return XENBUS_STEP_FAILED;
    }
    if (keys->n_read < keys->n_queues) {
        return XENBUS_STEP_MORE;
    }
    return keys_check_unique(keys, error) ? XENBUS_STEP_DONE : XENBUS_STEP_FAILED;
}
