/*
 * Blkfront's XenStore: what it reads of the backend, what it writes for it. Keys:
 * docs/xenstore-keys.rst, and the comments of Xen's public/io/blkif.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkfront-internal.h"

#include <errno.h>
#include <inttypes.h>

#define MAX_SECTORS (1ull << 54) /* bytes fit an off_t */

static uint32_t store_number(XenBlkfront *bf, const char *key, uint32_t absent)
{
    return (uint32_t)xenbus_front_feature(&bf->bus, key, absent);
}

static bool store_flag(XenBlkfront *bf, const char *key)
{
    return store_number(bf, key, 0) != 0;
}

/* --- before keys are written --- */

void blkfront_store_plan(XenBlkfront *bf, BlkfrontPlan *ret)
{
    const XenBlkfrontConfig *c = &bf->config;

    *ret = (BlkfrontPlan) {
        .n_queues = CLAMP(store_number(bf, "multi-queue-max-queues", 1), 1, c->queues),
        .order = MIN(c->ring_order, store_number(bf, "max-ring-page-order", 0)),
    };
}

/* A ring of one page has another key than the first of some; ring-page-order says which. */
static bool store_write_queue(XenStore *s, XenTx tx, const char *dir, const XenQueue *base)
{
    const BlkfrontQueue *q = container_of(base, BlkfrontQueue, base);
    unsigned order = q->bf->plan.order;

    for (unsigned i = 0; i < 1u << order; i++) {
        g_autofree char *key = order == 0 ? g_strdup("ring-ref") : g_strdup_printf("ring-ref%u", i);

        if (!xen_store_printf(s, tx, dir, key, "%u", q->ring_refs[i])) {
            return false;
        }
    }
    return xen_store_printf(s, tx, dir, "event-channel", "%u", base->port[0].port);
}

/* Of an earlier connection, of whoever it was: firmware's, another kernel's. */
static bool store_clear(XenBlkfront *bf, XenTx tx)
{
    static const char *const old[] = { "ring-ref", "event-channel", "ring-page-order",
                                       "num-ring-pages", NULL };

    if (!xenbus_front_clear_queues(&bf->bus, tx, old)) {
        return false;
    }
    for (unsigned i = 0; i < XEN_RING_MAX_PAGES; i++) {
        g_autofree char *path = g_strdup_printf("%s/ring-ref%u", bf->bus.fe, i);

        if (!xen_store_clear(bf->bus.store, tx, path)) {
            return false;
        }
    }
    return true;
}

static bool store_write_number(XenBlkfront *bf, XenTx tx, const char *key, unsigned value)
{
    return xen_store_printf(bf->bus.store, tx, bf->bus.fe, key, "%u", value);
}

/* As Linux: what says nothing is not written. */
static bool store_write_keys(XenStore *s, XenTx tx, void *opaque)
{
    XenBlkfront *bf = opaque;
    const char *abi = bf->config.x86_32 ? XEN_IO_PROTO_ABI_X86_32 : XEN_IO_PROTO_ABI_NATIVE;

    return store_clear(bf, tx) &&
           (bf->plan.n_queues == 1 ||
            store_write_number(bf, tx, "multi-queue-num-queues", bf->plan.n_queues)) &&
           (bf->plan.order == 0 ||
            store_write_number(bf, tx, "ring-page-order", bf->plan.order)) &&
           xenbus_front_write_queues(&bf->bus, tx, &bf->queues, store_write_queue) &&
           xen_store_printf(s, tx, bf->bus.fe, "protocol", "%s", abi) &&
           store_write_number(bf, tx, "feature-persistent", bf->config.persistent);
}

bool blkfront_store_write(XenBlkfront *bf, GError **error)
{
    if (!xen_store_transaction(bf->bus.store, store_write_keys, bf)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "cannot write %s: %s", bf->bus.fe,
                    g_strerror(errno));
        return false;
    }
    return true;
}

/* --- the disk --- */

static bool store_read_sectors(XenBlkfront *bf, uint64_t *ret)
{
    return xen_store_read_uint(bf->bus.store, 0, bf->bus.be, "sectors", MAX_SECTORS, ret);
}

static bool is_block_size(uint32_t bytes)
{
    return bytes >= XEN_BLKIF_SECTOR && bytes <= XEN_PAGE_SIZE && (bytes & (bytes - 1)) == 0;
}

/* Linux' limit: what the slot itself has room for needs no indirect request. */
static unsigned store_max_segs(XenBlkfront *bf)
{
    uint32_t max = MIN(store_number(bf, "feature-max-indirect-segments", 0),
                       bf->config.max_indirect);

    return MAX(max, XEN_BLKIF_SEGS);
}

static void store_read_features(XenBlkfront *bf, XenBlkfrontInfo *d)
{
    d->max_segs = store_max_segs(bf);
    d->persistent = bf->config.persistent && store_flag(bf, "feature-persistent");
    d->flush = store_flag(bf, "feature-flush-cache");
    d->barrier = store_flag(bf, "feature-barrier");
    d->discard = store_flag(bf, "feature-discard");
    d->discard_secure = d->discard && store_flag(bf, "discard-secure");
    d->discard_granularity = store_number(bf, "discard-granularity", d->sector_size);
    d->physical_sector_size = store_number(bf, "physical-sector-size", d->sector_size);
    d->flags = store_number(bf, "info", 0);
}

bool blkfront_store_read_disk(XenBlkfront *bf, GError **error)
{
    XenBlkfrontInfo d = { .queues = bf->plan.n_queues, .ring_order = bf->plan.order };

    if (!store_read_sectors(bf, &d.sectors)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s/sectors: %s", bf->bus.be,
                    errno == EINVAL ? "is no number of sectors" : g_strerror(errno));
        return false;
    }
    d.sector_size = store_number(bf, "sector-size", XEN_BLKIF_SECTOR);
    if (!is_block_size(d.sector_size)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%s/sector-size: %u is no size of a block", bf->bus.be, d.sector_size);
        return false;
    }
    store_read_features(bf, &d);
    bf->disk = d;
    return true;
}

bool blkfront_store_read_size(XenBlkfront *bf)
{
    uint64_t sectors = bf->disk.sectors;

    if (!store_read_sectors(bf, &sectors) || sectors == bf->disk.sectors) {
        return false;
    }
    bf->disk.sectors = sectors;
    return true;
}
