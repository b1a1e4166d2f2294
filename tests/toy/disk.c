/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "disk.h"

#include "block/block.h"

typedef struct DiskConfig {
    char *id;
    char *drive;
    bool read_only;
    bool share_rw;
} DiskConfig;

/* What query-blockstats knows, and something that it does not. */
typedef struct DiskStats {
    struct {
        uint64_t requests;
        uint64_t bytes;
        uint64_t failed;
    } read, write;
    struct {
        uint64_t resized;
        uint64_t discards;
        uint64_t threads;
    } node;
} DiskStats;

typedef struct Disk {
    DiskStats stats[2];
} Disk;

static const OptMember disk_members[] = {
    { "id", OPT_STR, offsetof(DiskConfig, id), .help = "name of the device" },
    { "drive", OPT_STR, offsetof(DiskConfig, drive), .required = true,
      .help = "node-name of a block node, or ID of a drive" },
    { "read-only", OPT_BOOL, offsetof(DiskConfig, read_only), .help = "it writes nothing" },
    { "share-rw", OPT_BOOL, offsetof(DiskConfig, share_rw), .help = "others may write, too" },
    { 0 },
};
static const OptTable disk_options = { "toy-disk", sizeof(DiskConfig), disk_members };

#define DIR_OFFSET(m) (offsetof(DiskStats, read.m) - offsetof(DiskStats, read))

static const Counter dir_counters[] = {
    { "requests", "requests", "done", DIR_OFFSET(requests) },
    { "bytes", "bytes", "of these", DIR_OFFSET(bytes) },
    { "failed", "requests", "not done", DIR_OFFSET(failed) },
    { NULL },
};
#define NODE_OFFSET(m) (offsetof(DiskStats, node.m) - offsetof(DiskStats, node))

static const Counter node_counters[] = {
    { "resized", "times", "that it has another size", NODE_OFFSET(resized) },
    { "discards", "nodes", "that take discards", NODE_OFFSET(discards) },
    { "threads", "nodes", "without io_uring", NODE_OFFSET(threads) },
    { NULL },
};
static const CounterGroup disk_groups[] = {
    { "read", offsetof(DiskStats, read), dir_counters },
    { "write", offsetof(DiskStats, write), dir_counters },
    { "node", offsetof(DiskStats, node), node_counters },
    { NULL },
};

static void disk_changed(void *opaque)
{
    Disk *disk = opaque;

    counter_add(&disk->stats[0].node.resized, 1);
}

static bool disk_realize(Device *d, GError **error)
{
    const DiskConfig *config = d->config;
    BlockNode *node = device_backend(d, "drive");
    Disk *disk;

    if (!block_node_claim(node, !config->read_only, config->share_rw, error)) {
        return false;
    }
    disk = g_new0(Disk, 1);
    for (unsigned i = 0; i < 2; i++) {
        counter_add(&disk->stats[i].read.requests, 1 + i);
        counter_add(&disk->stats[i].read.bytes, 512);
        counter_add(&disk->stats[i].write.failed, 10);
    }
    counter_add(&disk->stats[0].node.discards, node->discard);
    counter_add(&disk->stats[0].node.threads, node->aio == BLOCK_AIO_THREADS);
    node->changed = disk_changed;
    node->changed_opaque = disk;
    d->impl = disk;
    return true;
}

static void disk_start(Device *d)
{
    device_connected(d, 2);
}

static void disk_close(Device *d, unsigned timeout_ms)
{
    device_gone(d, NULL);
}

static void disk_unrealize(Device *d)
{
    block_node_release(device_backend(d, "drive"));
    g_free(d->impl);
}

static void disk_info(Device *d, DeviceInfo *ret_info)
{
    const Disk *disk = d->impl;

    ret_info->state = "connected";
    ret_info->n_queues = 2;
    ret_info->max_queues = 2;
    ret_info->stats = disk->stats;
}

const DeviceClass disk_class = {
    .options = &disk_options,
    .desc = "a disk that nobody reads",
    .category = "Toy",
    .id_offset = offsetof(DiskConfig, id),
    .backends = { { "drive", offsetof(DiskConfig, drive) } },
    .queue_stats_size = sizeof(DiskStats),
    .counters = disk_groups,
    .realize = disk_realize,
    .start = disk_start,
    .close = disk_close,
    .unrealize = disk_unrealize,
    .info = disk_info,
};
