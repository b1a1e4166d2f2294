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

#include <string.h>

#include "netif-mac.h"
#include "util/host-id.h"

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

/*
 * A split pair, else a single event channel: as Linux netback, which an old half beside the
 * single one does not disturb.
 */
static bool keys_read_ports(const XenKeysDir *d, XenQueueKeys *q, GError **error)
{
    g_autoptr(GError) split_error = NULL;
    bool split = xen_store_has(d->store, d->tx, d->path, "event-channel-tx");

    if (split && xen_keys_port(d, "event-channel-tx", &q->port[0], &split_error) &&
        xen_keys_port(d, "event-channel-rx", &q->port[1], &split_error)) {
        q->n_ports = q->port[0] == q->port[1] ? 1 : 2;
        return true;
    }
    if (split && !xen_store_has(d->store, d->tx, d->path, "event-channel")) {
        g_propagate_error(error, g_steal_pointer(&split_error));
        return false;
    }
    q->n_ports = 1;
    return xen_keys_port(d, "event-channel", &q->port[0], error);
}

static bool keys_read_queue(XenKeys *k, const XenKeysDir *d, XenQueueKeys *q, GError **error)
{
    q->n_refs = 2;
    if (!xen_keys_required(d, "tx-ring-ref", UINT32_MAX, &q->ref[NETBACK_TX], error) ||
        !xen_keys_required(d, "rx-ring-ref", UINT32_MAX, &q->ref[NETBACK_RX], error) ||
        !keys_read_ports(d, q, error)) {
        return false;
    }
    if (q->ref[NETBACK_TX] == q->ref[NETBACK_RX]) {
        NETBACK_FAIL(error, "queue %u: tx-ring-ref and rx-ring-ref are both %u",
                     (unsigned)(q - k->queue), q->ref[NETBACK_TX]);
        return false;
    }
    return true;
}

static bool keys_read_features(NetbackKeys *k, const XenKeysDir *d, GError **error)
{
    bool rx_copy = false, no_csum4 = false, csum6 = false, gso4 = false, gso6 = false;

    if (!xen_keys_flag(d, "request-rx-copy", &rx_copy, error) ||
        !xen_keys_flag(d, "feature-rx-notify", &k->rx_notify, error) ||
        !xen_keys_flag(d, "feature-sg", &k->sg, error) ||
        !xen_keys_flag(d, "feature-gso-tcpv4", &gso4, error) ||
        !xen_keys_flag(d, "feature-gso-tcpv6", &gso6, error) ||
        !xen_keys_flag(d, "feature-no-csum-offload", &no_csum4, error) ||
        !xen_keys_flag(d, "feature-ipv6-csum-offload", &csum6, error)) {
        return false;
    }
    if (!rx_copy) {
        NETBACK_FAIL(error, "%s/request-rx-copy is not 1: page flipping is not supported",
                     d->path);
        return false;
    }
    k->offload = no_csum4 ? 0 : NETDEV_CSUM4;
    k->offload |= csum6 ? NETDEV_CSUM6 : 0;
    /* a segment needs its checksum made, and more than one slot */
    k->offload |= gso4 && k->sg && (k->offload & NETDEV_CSUM4) ? NETDEV_TSO4 : 0;
    k->offload |= gso6 && k->sg && (k->offload & NETDEV_CSUM6) ? NETDEV_TSO6 : 0;
    k->offload &= k->usable;
    return true;
}

static bool keys_read_headroom(const XenKeysDir *d, unsigned *ret, GError **error)
{
    uint64_t v = 0;

    if (!xen_keys_optional(d, "xdp-headroom", UINT32_MAX, &v, error)) {
        return false;
    }
    *ret = (unsigned)MIN(v, NETIF_XDP_HEADROOM_MAX);
    return true;
}

static bool keys_read_device(XenKeys *base, const XenKeysDir *d, GError **error)
{
    NetbackKeys *k = container_of(base, NetbackKeys, base);

    return keys_read_headroom(d, &k->headroom, error) && keys_read_features(k, d, error);
}

bool netback_store_read_headroom(Netback *nb, unsigned *ret, GError **error)
{
    XenKeysDir d = { nb->bus.store, 0, nb->bus.fe };

    return keys_read_headroom(&d, ret, error);
}

XenKeys *netback_store_keys_new(const Netback *nb)
{
    static const XenKeysOps ops = {
        .read_device = keys_read_device,
        .read_queue = keys_read_queue,
    };
    NetbackKeys *k = g_new0(NetbackKeys, 1);

    xen_keys_init(&k->base, &ops, nb->max_queues);
    k->usable = nb->to_guest;
    return &k->base;
}

void netback_store_keys_free(XenKeys *k)
{
    xen_keys_done(k);
    g_free(container_of(k, NetbackKeys, base));
}
