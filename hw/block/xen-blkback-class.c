/*
 * -device xen-disk, xen-cdrom: blkback as a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/block/classes.h"
#include "hw/block/xen-blkback.h"
#include "hw/core/vq-mapping.h"
#include "hw/xen/xen-device.h"
#include "xen-blkback-record.h"
#include "xen-blkif.h"
#include "xen-vdev.h"

#define MAX_ORDER      4
#define MAX_GRANULARITY (1u << 30)

/* --- options --- */

static bool check_block_size(const char *name, uint32_t size, uint32_t max, GError **error)
{
    if (size != 0 && (size < XEN_BLKIF_SECTOR || size > max || (size & (size - 1)))) {
        return device_set_error(error, "%s must be a power of 2 from %u to %u", name,
                                XEN_BLKIF_SECTOR, max);
    }
    return true;
}

static bool check_config(const XenBlkbackConfig *c, const BlockNode *node, GError **error)
{
    if (c->max_ring_page_order > MAX_ORDER) {
        return device_set_error(error, "max-ring-page-order must be in range [0, %d]", MAX_ORDER);
    }
    if (c->num_queues > XEN_MAX_QUEUES) {
        return device_set_error(error, "num-queues must be in range [0, %u]", XEN_MAX_QUEUES);
    }
    if (c->max_indirect_segments > XEN_BLKIF_SEGS_INDIRECT) {
        return device_set_error(error, "max-indirect-segments must be in range [0, %u]",
                                XEN_BLKIF_SEGS_INDIRECT);
    }
    if (!check_block_size("logical_block_size", MAX(c->logical_block_size, 1u), XEN_PAGE_SIZE,
                          error) ||
        !check_block_size("physical_block_size", c->physical_block_size, MAX_GRANULARITY,
                          error) ||
        !check_block_size("discard_granularity", c->discard_granularity, MAX_GRANULARITY,
                          error)) {
        return false;
    }
    if (c->physical_block_size != 0 && c->physical_block_size < c->logical_block_size) {
        return device_set_error(error, "logical_block_size must not be larger than "
                                "physical_block_size");
    }
    if (block_node_bytes(node) % c->logical_block_size != 0) {
        return device_set_error(error, "the image's size is no multiple of logical_block_size=%u",
                                c->logical_block_size);
    }
    return true;
}

/* --- the class --- */

static bool is_cdrom(const Device *d)
{
    return d->class == &xen_cdrom_class;
}

static bool blkback_class_identify(Device *d, GError **error)
{
    const XenBlkbackConfig *config = d->config;
    g_autofree char *name = NULL;
    uint32_t number;
    int32_t idx = -1;

    if (config->vdev) {
        if (!xen_vdev_parse(config->vdev, &number)) {
            return device_set_error(error, "invalid virtual disk specifier '%s'", config->vdev);
        }
        idx = (int32_t)number;
        name = xen_vdev_name(number);
        g_snprintf(d->place, sizeof(d->place), "vdev %s", name);
    }
    return xen_device_identify(d, config->frontend_id, idx, error);
}

/* A guest of an emulated Xen does not outlive us: nobody would read the record. */
static int open_record_dir(Device *d)
{
    const XenContext *bus = d->bus;
    g_autoptr(GError) error = NULL;
    int dir;

    if (bus->xen->emulated) {
        return -1;
    }
    dir = xen_blkback_record_dir(true, &error);
    if (dir < 0) {
        g_autofree char *text = g_strdup_printf("%s: if ringtap is killed, the guest loses its "
                                                "disk", error->message);

        device_warned(d, text);
    }
    return dir;
}

static void blkback_class_drained(void *opaque)
{
    device_drained(opaque);
}

static bool blkback_class_realize(Device *d, GError **error)
{
    const XenBlkbackConfig *config = d->config;
    const XenContext *bus = d->bus;
    BlockNode *node = device_backend(d, "drive");
    IoThread *threads[XEN_MAX_QUEUES] = { NULL };
    unsigned n_queues;
    XenBlkbackEnv env = {
        .xen = bus->xen,
        .store = bus->store,
        .frontend_id = (uint16_t)d->guest,
        .cdrom = is_cdrom(d),
        .node = node,
        .event = xen_device_event,
        .opaque = d,
    };
    XenBlkbackInfo info;

    if (!check_config(config, node, error)) {
        return false;
    }
    n_queues = xen_blkback_max_queues(config);
    if (!vq_mapping_resolve(d, n_queues, config->iothread, config->vq_mapping, threads, error)) {
        return false;
    }
    if (threads[0]) {
        env.threads = threads;
        env.n_threads = n_queues;
    }
    if (!block_node_claim(node, !node->read_only && !env.cdrom, config->share_rw, error)) {
        return false;
    }
    env.record_dir = open_record_dir(d);
    env.drained = blkback_class_drained;
    d->impl = xen_blkback_new(config, &env, d->idx, error);
    if (!d->impl) {
        block_node_release(node);
        return false;
    }
    xen_blkback_info(d->impl, &info);
    d->idx = (int)info.number;
    return true;
}

static void blkback_class_start(Device *d)
{
    xen_blkback_start(d->impl);
}

static void blkback_class_close(Device *d, unsigned timeout_ms)
{
    xen_blkback_close(d->impl, timeout_ms);
}

static void blkback_class_drain(Device *d)
{
    xen_blkback_pause(d->impl);
}

static void blkback_class_resume(Device *d)
{
    xen_blkback_resume(d->impl);
}

static void blkback_class_unrealize(Device *d)
{
    xen_blkback_free(d->impl);
    block_node_release(device_backend(d, "drive"));
}

static void blkback_class_info(Device *d, DeviceInfo *ret_info)
{
    XenBlkbackInfo info;

    xen_blkback_info(d->impl, &info);
    ret_info->state = info.state;
    ret_info->error = info.error;
    g_strlcpy(ret_info->address, info.vdev, sizeof(ret_info->address));
    ret_info->n_queues = info.n_queues;
    ret_info->max_queues = info.max_queues;
    ret_info->stats = info.stats;
    memcpy(ret_info->tid, info.tids, sizeof(info.tids[0]) * info.n_queues);
}

/* --- counters --- */

static const Counter op_counters[] = {
    { "requests", "requests", "done", offsetof(XenBlkbackOpStats, requests) },
    { "bytes", "bytes", "of these", offsetof(XenBlkbackOpStats, bytes) },
    { "failed", "requests", "that failed", offsetof(XenBlkbackOpStats, failed) },
    { "segments", "segments", "of the guest's pages", offsetof(XenBlkbackOpStats, segments) },
    { "indirect", "requests", "of more segments than a slot has, 11",
      offsetof(XenBlkbackOpStats, indirect) },
    { NULL },
};

#define RING_OFFSET(m) (offsetof(XenBlkbackStats, ring.m) - offsetof(XenBlkbackStats, ring))

static const Counter ring_counters[] = {
    { "batches", "rounds", "that found something", RING_OFFSET(batches) },
    { "refused", "requests", "that broke the rules, and were answered with an error",
      RING_OFFSET(refused) },
    { "waits", "rounds", "that left a request on the ring because too much was under way",
      RING_OFFSET(waits) },
    { "copied", "segments", "by grant copies", RING_OFFSET(copied) },
    { "mapped", "segments", "in pages that are mapped", RING_OFFSET(mapped) },
    { "events-sent", "events", "to the guest", RING_OFFSET(events_sent) },
    { "events-received", "events", "from the guest", RING_OFFSET(events_received) },
    { NULL },
};

const CounterGroup xen_blkback_counters[] = {
    { "read", offsetof(XenBlkbackStats, read), op_counters },
    { "write", offsetof(XenBlkbackStats, write), op_counters },
    { "flush", offsetof(XenBlkbackStats, flush), op_counters },
    { "discard", offsetof(XenBlkbackStats, discard), op_counters },
    { "ring", offsetof(XenBlkbackStats, ring), ring_counters },
    { NULL },
};

#define BLKBACK_CLASS(table, text)                                \
    {                                                             \
        .options = &(table),                                      \
        .desc = (text),                                           \
        .category = "Storage",                                    \
        .bus = "xen",                                             \
        .id_offset = offsetof(XenBlkbackConfig, id),              \
        .backends = { { "drive", offsetof(XenBlkbackConfig, drive) } }, \
        .queue_stats_size = sizeof(XenBlkbackStats),              \
        .counters = xen_blkback_counters,                         \
        .identify = blkback_class_identify,                       \
        .realize = blkback_class_realize,                         \
        .start = blkback_class_start,                             \
        .close = blkback_class_close,                             \
        .drain = blkback_class_drain,                             \
        .resume = blkback_class_resume,                           \
        .unrealize = blkback_class_unrealize,                     \
        .info = blkback_class_info,                               \
    }

const DeviceClass xen_disk_class = BLKBACK_CLASS(xen_disk_options, "backend of a guest's disk");
const DeviceClass xen_cdrom_class = BLKBACK_CLASS(xen_cdrom_options,
                                                  "backend of a guest's CD-ROM");
