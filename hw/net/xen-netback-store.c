/*
 * Netback's XenStore: the nodes it makes, what it offers, what it reads of the
 * frontend. Keys: docs/xenstore-keys.rst, and the comments of Xen's public/io/netif.h.
 *
 * Identity (frontend path, domid, MAC) is taken from the backend directory only: the
 * frontend's directory belongs to the guest, who may write there what it likes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netback-internal.h"

#include <errno.h>
#include <string.h>

#define MAX_VIFS      100u     /* QEMU's limit for idx, too */
#define MAX_PORT      (1u << 17) /* ports of the FIFO event channel ABI */

G_DEFINE_QUARK(netback-error-quark, netback_error)

/* Makes @path readable for the guest, unless it is there. */
static bool store_ensure_dir(Netback *nb, XenTx tx, const char *path)
{
    g_autofree char *old = xen_store_read(nb->env.store, tx, path);

    if (old) {
        return true;
    }
    return xen_store_mkdir(nb->env.store, tx, path, nb->env.xen->domid, nb->env.frontend_id);
}

/*
 * The parents as a toolstack makes them: ours, readable by the guest, who scans them
 * for its devices.
 */
static bool store_make_parents(Netback *nb, XenTx tx)
{
    static const char *const parents[] = { "", "/device", "/device/vif" };

    for (unsigned i = 0; i < G_N_ELEMENTS(parents); i++) {
        g_autofree char *path =
            g_strdup_printf("/local/domain/%u%s", nb->env.frontend_id, parents[i]);

        if (!store_ensure_dir(nb, tx, path)) {
            return false;
        }
    }
    return true;
}

static bool store_write_front(Netback *nb, XenTx tx)
{
    XenStore *s = nb->env.store;

    return xen_store_mkdir(s, tx, nb->fe, nb->env.frontend_id, nb->env.xen->domid) &&
           xen_store_printf(s, tx, nb->fe, "backend", "%s", nb->be) &&
           xen_store_printf(s, tx, nb->fe, "backend-id", "%u", nb->env.xen->domid) &&
           xen_store_printf(s, tx, nb->fe, "handle", "%u", nb->idx) &&
           xen_store_printf(s, tx, nb->fe, "mac", "%s", nb->mac) &&
           xen_store_printf(s, tx, nb->fe, "state", "%d", XenbusStateInitialising);
}

static bool store_write_back(Netback *nb, XenTx tx)
{
    XenStore *s = nb->env.store;

    return xen_store_mkdir(s, tx, nb->be, nb->env.xen->domid, nb->env.frontend_id) &&
           xen_store_printf(s, tx, nb->be, "frontend", "%s", nb->fe) &&
           xen_store_printf(s, tx, nb->be, "frontend-id", "%u", nb->env.frontend_id) &&
           xen_store_printf(s, tx, nb->be, "online", "1") &&
           xen_store_printf(s, tx, nb->be, "handle", "%u", nb->idx) &&
           xen_store_printf(s, tx, nb->be, "type", "vif") &&
           xen_store_printf(s, tx, nb->be, "mac", "%s", nb->mac) &&
           xen_store_printf(s, tx, nb->be, "hotplug-status", "connected") &&
           xen_store_printf(s, tx, nb->be, "state", "%d", XenbusStateInitialising);
}

static bool store_write_nodes(XenStore *s, XenTx tx, void *opaque)
{
    Netback *nb = opaque;

    return xen_store_clear(s, tx, nb->be) && xen_store_clear(s, tx, nb->fe) &&
           store_make_parents(nb, tx) && store_write_back(nb, tx) && store_write_front(nb, tx);
}

/* All or nothing. */
static bool store_create_nodes(Netback *nb, GError **error)
{
    if (!xen_store_transaction(nb->env.store, store_write_nodes, nb)) {
        NETBACK_FAIL(error, "cannot create XenStore nodes for vif %u: %s", nb->idx,
                     g_strerror(errno));
        return false;
    }
    return true;
}

static void store_set_paths(Netback *nb, unsigned idx)
{
    unsigned us = nb->env.xen->domid;
    unsigned fe = nb->env.frontend_id;

    g_free(nb->be);
    g_free(nb->fe);
    g_free(nb->error_path);
    nb->idx = idx;
    nb->be = g_strdup_printf("/local/domain/%u/backend/vif/%u/%u", us, fe, idx);
    nb->fe = g_strdup_printf("/local/domain/%u/device/vif/%u", fe, idx);
    nb->error_path = g_strdup_printf("/local/domain/%u/error/backend/vif/%u/%u", us, fe, idx);
}

static bool store_choose_idx(Netback *nb, int32_t idx, GError **error)
{
    if (idx >= 0) {
        store_set_paths(nb, (unsigned)idx);
        return true;
    }
    for (unsigned i = 0; i < MAX_VIFS; i++) {
        store_set_paths(nb, i);
        if (!xen_store_has(nb->env.store, 0, nb->be, "frontend") &&
            !xen_store_has(nb->env.store, 0, nb->fe, "backend")) {
            return true;
        }
    }
    NETBACK_FAIL(error, "cannot find device index for netdev device");
    return false;
}

/* What a toolstack made: its MAC counts, and its frontend must be the one we expect. */
static bool store_take_over(Netback *nb, const char *frontend, GError **error)
{
    g_autofree char *mac_path = g_strdup_printf("%s/mac", nb->be);
    g_autofree char *mac = xen_store_read(nb->env.store, 0, mac_path);

    if (strcmp(frontend, nb->fe) != 0) {
        NETBACK_FAIL(error, "%s/frontend is %s, not %s", nb->be, frontend, nb->fe);
        return false;
    }
    if (mac) {
        g_strlcpy(nb->mac, mac, sizeof(nb->mac));
    }
    return true;
}

bool netback_store_create(Netback *nb, const NetbackConfig *config, GError **error)
{
    g_autofree char *path = NULL;
    g_autofree char *frontend = NULL;

    if (config->idx >= (int32_t)MAX_VIFS) {
        NETBACK_FAIL(error, "idx must be less than %u", MAX_VIFS);
        return false;
    }
    if (config->idx < -1) {
        NETBACK_FAIL(error, "idx must not be negative, apart from -1: the first that is free");
        return false;
    }
    if (!store_choose_idx(nb, config->idx, error)) {
        return false;
    }
    if (config->mac) {
        g_strlcpy(nb->mac, config->mac, sizeof(nb->mac));
    } else {
        /* Xen's OUI; the same again for the same guest and vif */
        g_snprintf(nb->mac, sizeof(nb->mac), "00:16:3e:%02x:%02x:%02x",
                   (nb->env.frontend_id >> 8) & 0x7fu, nb->env.frontend_id & 0xffu, nb->idx);
    }
    path = g_strdup_printf("%s/frontend", nb->be);
    frontend = xen_store_read(nb->env.store, 0, path);
    /* libxl always writes a script; what is left of a backend of our own has none */
    if (frontend && xen_store_has(nb->env.store, 0, nb->be, "script")) {
        return store_take_over(nb, frontend, error);
    }
    nb->created = store_create_nodes(nb, error);
    return nb->created;
}

void netback_store_remove(Netback *nb)
{
    g_autofree char *parent = NULL;
    g_auto(GStrv) others = NULL;

    if (!nb->be) {
        return;
    }
    netback_store_set_error(nb, NULL);
    if (!nb->created) {
        return;
    }
    xen_store_remove(nb->env.store, 0, nb->be);
    xen_store_remove(nb->env.store, 0, nb->fe);
    parent = g_path_get_dirname(nb->be);
    others = xen_store_list(nb->env.store, 0, parent);
    if (others && !others[0]) {
        xen_store_remove(nb->env.store, 0, parent);
    }
}

/* --- what we say --- */

typedef bool StoreWriteFn(Netback *nb, XenTx tx, const void *what);

typedef struct StoreWrite {
    Netback *nb;
    const char *dir;
    const char *key;
    StoreWriteFn *write;
    const void *what;
} StoreWrite;

static bool store_write_if_there(XenStore *s, XenTx tx, void *opaque)
{
    const StoreWrite *w = opaque;

    return !xen_store_has(s, tx, w->dir, w->key) || w->write(w->nb, tx, w->what);
}

/*
 * Calls @write in a transaction, unless @dir has no @key any more: whoever removed it does
 * not want it to come back with what we write. False: errno.
 */
static bool store_write_if(Netback *nb, const char *dir, const char *key, StoreWriteFn *write,
                           const void *what)
{
    StoreWrite w = { nb, dir, key, write, what };

    return xen_store_transaction(nb->env.store, store_write_if_there, &w);
}

static bool store_write_features(Netback *nb, XenTx tx, const void *what)
{
    static const struct {
        const char *key;
        const char *value;
    } features[] = {
        { "feature-sg", "1" },
        { "feature-gso-tcpv4", "1" },
        { "feature-gso-tcpv6", "1" },
        { "feature-ipv6-csum-offload", "1" },
        { "feature-rx-copy", "1" },
        { "feature-rx-flip", "0" },
        { "feature-split-event-channels", "1" },
    };
    XenStore *s = nb->env.store;

    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        if (!xen_store_printf(s, tx, nb->be, features[i].key, "%s", features[i].value)) {
            return false;
        }
    }
    return xen_store_printf(s, tx, nb->be, "multi-queue-max-queues", "%u", nb->max_queues);
}

bool netback_store_publish(Netback *nb, GError **error)
{
    if (store_write_if(nb, nb->be, "frontend", store_write_features, NULL)) {
        return true;
    }
    NETBACK_FAIL(error, "cannot write %s: %s", nb->be, g_strerror(errno));
    return false;
}

typedef struct StoreNumber {
    const char *key;
    unsigned value;
} StoreNumber;

static bool store_write_number(Netback *nb, XenTx tx, const void *what)
{
    const StoreNumber *n = what;

    return xen_store_printf(nb->env.store, tx, nb->be, n->key, "%u", n->value);
}

void netback_store_update(Netback *nb, const char *key, unsigned value)
{
    const StoreNumber n = { key, value };

    store_write_if(nb, nb->be, "frontend", store_write_number, &n);
}

void netback_store_set_state(Netback *nb, enum xenbus_state state)
{
    nb->state = state;
    netback_store_update(nb, "state", state);
}

/*
 * The one node of the frontend's directory that belongs to the backend, so that the guest
 * cannot change it.
 */
static bool store_write_mtu(Netback *nb, XenTx tx, const void *what)
{
    g_autofree char *mtu = g_strdup_printf("%s/mtu", nb->fe);

    return xen_store_mkdir(nb->env.store, tx, mtu, nb->env.xen->domid, nb->env.frontend_id) &&
           xen_store_printf(nb->env.store, tx, nb->fe, "mtu", "%u", nb->env.peer->mtu);
}

/* netif.h documents both keys. */
void netback_store_set_link(Netback *nb)
{
    const Netdev *peer = nb->env.peer;

    netback_store_update(nb, "carrier", peer->link_up);
    if (nb->created && peer->mtu != 0) {
        store_write_if(nb, nb->fe, "backend", store_write_mtu, NULL);
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

static bool keys_read_queue(XenStore *s, XenTx tx, const char *dir, NetbackQueueKeys *q,
                            GError **error)
{
    g_autofree char *split = g_strdup_printf("%s/event-channel-tx", dir);
    g_autofree char *value = NULL;

    if (!keys_required(s, tx, dir, "tx-ring-ref", UINT32_MAX, &q->tx_ref, error) ||
        !keys_required(s, tx, dir, "rx-ring-ref", UINT32_MAX, &q->rx_ref, error)) {
        return false;
    }
    value = xen_store_read(s, tx, split);
    if (value) {
        return keys_required(s, tx, dir, "event-channel-tx", MAX_PORT - 1, &q->tx_port, error) &&
               keys_required(s, tx, dir, "event-channel-rx", MAX_PORT - 1, &q->rx_port, error);
    }
    if (!keys_required(s, tx, dir, "event-channel", MAX_PORT - 1, &q->tx_port, error)) {
        return false;
    }
    q->rx_port = q->tx_port;
    return true;
}

static bool keys_read_features(XenStore *s, XenTx tx, const char *fe, NetbackKeys *k,
                               GError **error)
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
    return true;
}

static bool keys_read_all(Netback *nb, XenTx tx, NetbackKeys *k, GError **error)
{
    XenStore *s = nb->env.store;
    uint64_t n = 1;

    if (!keys_optional(s, tx, nb->fe, "multi-queue-num-queues", UINT32_MAX, &n, error)) {
        return false;
    }
    if (n == 0 || n > nb->max_queues) {
        NETBACK_FAIL(error,
                     "%s/multi-queue-num-queues is %" G_GUINT64_FORMAT ", must be 1 to %u",
                     nb->fe, n, nb->max_queues);
        return false;
    }
    k->n_queues = (unsigned)n;
    for (unsigned i = 0; i < k->n_queues; i++) {
        g_autofree char *dir = k->n_queues == 1
                                   ? g_strdup(nb->fe)
                                   : g_strdup_printf("%s/queue-%u", nb->fe, i);

        if (!keys_read_queue(s, tx, dir, &k->queue[i], error)) {
            return false;
        }
    }
    return keys_read_features(s, tx, nb->fe, k, error);
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
    NetbackKeys *keys;
    bool ok;
    GError *error;
} KeysRead;

/* What is wrong with the keys counts only once the transaction has seen all of them at once. */
static bool keys_read(XenStore *s, XenTx tx, void *opaque)
{
    KeysRead *r = opaque;

    g_clear_error(&r->error);
    *r->keys = (NetbackKeys){ 0 };
    r->ok = keys_read_all(r->nb, tx, r->keys, &r->error) && keys_check_unique(r->keys, &r->error);
    return true;
}

/*
 * In one transaction, so that a frontend which rewrites its keys meanwhile is seen
 * before or after, not in between.
 */
bool netback_store_read_keys(Netback *nb, NetbackKeys *ret, GError **error)
{
    KeysRead r = { .nb = nb, .keys = ret };

    if (!xen_store_transaction(nb->env.store, keys_read, &r)) {
        int saved = errno;

        g_clear_error(&r.error);
        NETBACK_FAIL(error, "cannot read %s: %s", nb->fe, g_strerror(saved));
        return false;
    }
    if (!r.ok) {
        g_propagate_error(error, r.error);
    }
    return r.ok;
}

enum xenbus_state netback_store_front_state(Netback *nb)
{
    uint64_t v;

    if (xen_store_read_uint(nb->env.store, 0, nb->fe, "state", XenbusStateReconfigured, &v)) {
        return v != XenbusStateUnknown ? (enum xenbus_state)v : XenbusStateInitialised;
    }
    return errno == ENOENT ? XenbusStateUnknown : XenbusStateInitialised;
}

bool netback_store_read_control(Netback *nb, bool *ret_online, bool *ret_hotplug_done)
{
    g_autofree char *path = g_strdup_printf("%s/hotplug-status", nb->be);
    g_autofree char *hotplug = xen_store_read(nb->env.store, 0, path);
    uint64_t online = 0;

    if (!xen_store_read_uint(nb->env.store, 0, nb->be, "online", 1, &online) &&
        !xen_store_has(nb->env.store, 0, nb->be, "frontend")) {
        return false;
    }
    *ret_online = online != 0;
    *ret_hotplug_done = hotplug && strcmp(hotplug, "connected") == 0;
    return true;
}

void netback_store_set_error(Netback *nb, const char *reason)
{
    if (reason) {
        xen_store_printf(nb->env.store, 0, nb->error_path, "error", "%s", reason);
    } else {
        xen_store_remove(nb->env.store, 0, nb->error_path);
    }
}
