/*
 * Blkback's XenStore: what a vbd adds to the nodes of a device, what it offers, what it reads of
 * the frontend. Keys: docs/xenstore-keys.rst, and the comments of Xen's public/io/blkif.h.
 *
 * Whether the disk may be written to is taken from the backend directory and the image only: the
 * frontend's directory belongs to the guest, who may write there what it likes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "xen-blkback-internal.h"
#include "xen-vdev.h"

G_DEFINE_QUARK(blkback-error-quark, blkback_error)

/* Bits of "info": blkif.h has those of a CD-ROM and the like by these names. */
#define INFO_CDROM     1u
#define INFO_REMOVABLE 2u
#define INFO_READONLY  4u

bool blkback_store_write_nodes(XenBlkback *d, XenTx tx)
{
    XenStore *s = d->bus.store;
    const XenbusBack *b = &d->bus;
    const char *type = d->env.cdrom ? "cdrom" : "disk";
    g_autofree char *name = xen_vdev_name(b->idx);

    return xen_store_printf(s, tx, b->be, "dev", "%s", name) &&
           xen_store_printf(s, tx, b->be, "mode", d->read_only ? "r" : "w") &&
           xen_store_printf(s, tx, b->be, "device-type", "%s", type) &&
           xen_store_printf(s, tx, b->be, "removable", "%d", d->removable) &&
           xen_store_printf(s, tx, b->fe, "virtual-device", "%u", b->idx) &&
           xen_store_printf(s, tx, b->fe, "device-type", "%s", type);
}

/* What the toolstack grants is never more than it says. */
bool blkback_store_take_over(XenBlkback *d, GError **error)
{
    g_autofree char *mode = xenbus_back_read(&d->bus, 0, "mode");
    g_autofree char *discard = xenbus_back_read(&d->bus, 0, "discard-enable");
    g_autofree char *removable = xenbus_back_read(&d->bus, 0, "removable");

    if (!mode || mode[0] != 'w') {
        d->read_only = true;
    }
    if (g_strcmp0(discard, "0") == 0 || d->read_only) {
        d->options.discard = d->options.discard_secure = false;
    }
    d->removable |= g_strcmp0(removable, "1") == 0;
    return true;
}

/* --- what we say --- */

typedef struct OfferKey {
    const char *key;
    unsigned *value;
    bool *flag;
    uint64_t max;
} OfferKey;

#define OFFER_KEYS 8u

static void offer_keys(BlkbackOffer *o, OfferKey ret[OFFER_KEYS])
{
    const OfferKey keys[OFFER_KEYS] = {
        { "multi-queue-max-queues", &o->max_queues, NULL, XEN_MAX_QUEUES },
        { "max-ring-page-order", &o->max_order, NULL, BLKBACK_MAX_ORDER },
        { "feature-max-indirect-segments", &o->max_indirect, NULL, XEN_BLKIF_SEGS_INDIRECT },
        { "sector-size", &o->block_size, NULL, XEN_PAGE_SIZE },
        { "feature-persistent", NULL, &o->persistent, 1 },
        { "feature-discard", NULL, &o->discard, 1 },
        { "discard-secure", NULL, &o->discard_secure, 1 },
    };

    memcpy(ret, keys, sizeof(keys));
}

/* What the frontend knows of a backend that died: our options may be others. */
static void store_read_offer(XenBlkback *d, XenTx tx, BlkbackOffer *ret)
{
    BlkbackOffer o = { .max_queues = 1, .block_size = XEN_BLKIF_SECTOR };
    OfferKey key[OFFER_KEYS];

    offer_keys(&o, key);
    for (unsigned i = 0; key[i].key; i++) {
        uint64_t v;

        if (!xen_store_read_uint(d->bus.store, tx, d->bus.be, key[i].key, key[i].max, &v)) {
            continue;
        }
        if (key[i].flag) {
            *key[i].flag = v != 0;
        } else {
            *key[i].value = (unsigned)v;
        }
    }
    if (o.max_queues == 0 || o.block_size < XEN_BLKIF_SECTOR ||
        (o.block_size & (o.block_size - 1))) {
        return; /* nobody of ours wrote that */
    }
    *ret = o;
}

static bool store_write_offer(XenBlkback *d, XenTx tx)
{
    OfferKey key[OFFER_KEYS];

    offer_keys(&d->offer, key);
    for (unsigned i = 0; key[i].key; i++) {
        unsigned v = key[i].flag ? *key[i].flag : *key[i].value;

        /* a frontend may take a 0 for an offer */
        if (v == 0 && !key[i].flag) {
            g_autofree char *path = g_strdup_printf("%s/%s", d->bus.be, key[i].key);

            if (!xen_store_remove(d->bus.store, tx, path) && errno != ENOENT) {
                return false;
            }
        } else if (!xen_store_printf(d->bus.store, tx, d->bus.be, key[i].key, "%u", v)) {
            return false;
        }
    }
    return true;
}

bool blkback_store_publish(XenBlkback *d, XenTx tx)
{
    XenStore *s = d->bus.store;

    d->offer = d->options;
    if (d->bus.goes_on) {
        store_read_offer(d, tx, &d->offer);
        return true;
    }
    /* what a frontend finds before Connected it may take for good: flushes are always done */
    return store_write_offer(d, tx) &&
           xen_store_printf(s, tx, d->bus.be, "feature-flush-cache", "1") &&
           xen_store_printf(s, tx, d->bus.be, "feature-barrier", "1");
}

bool blkback_store_publish_connected(XenBlkback *d, XenTx tx)
{
    XenStore *s = d->bus.store;
    const char *be = d->bus.be;
    unsigned info = (d->env.cdrom ? INFO_CDROM : 0) | (d->removable ? INFO_REMOVABLE : 0) |
                    (d->read_only ? INFO_READONLY : 0);

    if (d->offer.discard &&
        (!xen_store_printf(s, tx, be, "discard-granularity", "%u", d->discard_granularity) ||
         !xen_store_printf(s, tx, be, "discard-alignment", "0"))) {
        return false;
    }
    return xen_store_printf(s, tx, be, "sectors", "%" G_GUINT64_FORMAT,
                            block_node_bytes(d->env.node) / XEN_BLKIF_SECTOR) &&
           xen_store_printf(s, tx, be, "physical-sector-size", "%u", d->physical_block_size) &&
           xen_store_printf(s, tx, be, "info", "%u", info);
}

/* --- what the frontend says --- */

static bool keys_read_abi(BlkbackKeys *k, const XenKeysDir *d, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/protocol", d->path);
    g_autofree char *protocol = xen_store_read(d->store, d->tx, path);

    if (!protocol && errno != ENOENT) {
        BLKBACK_FAIL(error, "cannot read %s: %s", path, g_strerror(errno));
        return false;
    }
    if (!xen_blkif_abi(protocol, &k->abi)) {
        BLKBACK_FAIL(error, "%s is '%.32s', which is not known", path, protocol);
        return false;
    }
    return true;
}

static bool keys_read_device(XenKeys *base, const XenKeysDir *d, GError **error)
{
    BlkbackKeys *k = container_of(base, BlkbackKeys, base);

    return keys_read_abi(k, d, error) &&
           xen_keys_flag(d, "feature-persistent", &k->persistent, error) &&
           xen_keys_page_order(d, k->max_order, &k->order, error);
}

static bool keys_read_queue(XenKeys *base, const XenKeysDir *d, XenQueueKeys *q, GError **error)
{
    q->n_ports = 1;
    return xen_keys_ring(d, container_of(base, BlkbackKeys, base)->order, q, error) &&
           xen_keys_port(d, "event-channel", &q->port[0], error);
}

XenKeys *blkback_store_keys_new(const XenBlkback *d)
{
    static const XenKeysOps ops = {
        .read_device = keys_read_device,
        .read_queue = keys_read_queue,
    };
    BlkbackKeys *k = g_new0(BlkbackKeys, 1);

    xen_keys_init(&k->base, &ops, d->offer.max_queues);
    k->max_order = d->offer.max_order;
    return &k->base;
}

void blkback_store_keys_free(XenKeys *k)
{
    xen_keys_done(k);
    g_free(container_of(k, BlkbackKeys, base));
}
