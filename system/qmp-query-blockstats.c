/*
 * QMP: query-blockstats, QEMU's view of what the counters of disks say, and xentop's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "blockdevs.h"

#include "qmp-commands.h"

typedef struct Stats {
    uint64_t rd_bytes;
    uint64_t wr_bytes;
    uint64_t unmap_bytes;
    uint64_t rd_operations;
    uint64_t wr_operations;
    uint64_t flush_operations;
    uint64_t unmap_operations;
    uint64_t failed_rd_operations;
    uint64_t failed_wr_operations;
    uint64_t failed_flush_operations;
    uint64_t failed_unmap_operations;
    uint64_t nothing; /* of what QEMU counts, and we do not */
    bool no;
    GArray *none;
} Stats;

static const OptMember any_item = { .type = OPT_ANY };

#define COUNT(member) { #member, OPT_UINT64, offsetof(Stats, member), .required = true }
#define NOTHING(name) { name, OPT_UINT64, offsetof(Stats, nothing), .required = true }
#define NO(name)      { name, OPT_BOOL, offsetof(Stats, no), .required = true }

static const OptMember stats_members[] = {
    COUNT(rd_bytes),
    COUNT(wr_bytes),
    NOTHING("zone_append_bytes"),
    COUNT(unmap_bytes),
    COUNT(rd_operations),
    COUNT(wr_operations),
    NOTHING("zone_append_operations"),
    COUNT(flush_operations),
    COUNT(unmap_operations),
    NOTHING("rd_total_time_ns"),
    NOTHING("wr_total_time_ns"),
    NOTHING("zone_append_total_time_ns"),
    NOTHING("flush_total_time_ns"),
    NOTHING("unmap_total_time_ns"),
    NOTHING("wr_highest_offset"),
    NOTHING("rd_merged"),
    NOTHING("wr_merged"),
    NOTHING("zone_append_merged"),
    NOTHING("unmap_merged"),
    COUNT(failed_rd_operations),
    COUNT(failed_wr_operations),
    NOTHING("failed_zone_append_operations"),
    COUNT(failed_flush_operations),
    COUNT(failed_unmap_operations),
    NOTHING("invalid_rd_operations"),
    NOTHING("invalid_wr_operations"),
    NOTHING("invalid_zone_append_operations"),
    NOTHING("invalid_flush_operations"),
    NOTHING("invalid_unmap_operations"),
    NO("account_invalid"),
    NO("account_failed"),
    { "timed_stats", OPT_LIST, offsetof(Stats, none), .required = true, .item = &any_item },
    { 0 },
};
static const OptTable stats_table = { "BlockDeviceStats", sizeof(Stats), stats_members };

typedef struct BlockStats {
    char *device;
    char *qdev;
    char *node_name;
    Stats *stats;
} BlockStats;

static const OptMember block_members[] = {
    { "device", OPT_STR, offsetof(BlockStats, device) },
    { "qdev", OPT_STR, offsetof(BlockStats, qdev) },
    { "node-name", OPT_STR, offsetof(BlockStats, node_name) },
    { "stats", OPT_STRUCT, offsetof(BlockStats, stats), .required = true, .table = &stats_table },
    { 0 },
};
static const OptTable block_table = { "BlockStats", sizeof(BlockStats), block_members };
static const OptMember block_item = { .type = OPT_STRUCT, .table = &block_table };
static const OptMember block_result = { .type = OPT_LIST, .item = &block_item };

typedef struct StatsArgs {
    bool query_nodes;
} StatsArgs;

static const OptMember args_members[] = {
    { "query-nodes", OPT_BOOL, offsetof(StatsArgs, query_nodes) },
    { 0 },
};
static const OptTable stats_args = { "query-blockstats", sizeof(StatsArgs), args_members };

/* What a disk's class calls what QEMU counts. */
static const struct {
    const char *group;
    const char *counter;
    size_t offset;
} counted[] = {
    { "read", "bytes", offsetof(Stats, rd_bytes) },
    { "read", "requests", offsetof(Stats, rd_operations) },
    { "read", "failed", offsetof(Stats, failed_rd_operations) },
    { "write", "bytes", offsetof(Stats, wr_bytes) },
    { "write", "requests", offsetof(Stats, wr_operations) },
    { "write", "failed", offsetof(Stats, failed_wr_operations) },
    { "flush", "requests", offsetof(Stats, flush_operations) },
    { "flush", "failed", offsetof(Stats, failed_flush_operations) },
    { "discard", "bytes", offsetof(Stats, unmap_bytes) },
    { "discard", "requests", offsetof(Stats, unmap_operations) },
    { "discard", "failed", offsetof(Stats, failed_unmap_operations) },
};

static void stats_add(Stats *stats, const char *group, const char *counter, uint64_t value)
{
    for (size_t i = 0; i < G_N_ELEMENTS(counted); i++) {
        if (g_str_equal(counted[i].group, group) && g_str_equal(counted[i].counter, counter)) {
            *(uint64_t *)(void *)((char *)stats + counted[i].offset) += value;
        }
    }
}

static void stats_add_queue(Stats *stats, const Device *d, const void *queue)
{
    for (const CounterGroup *g = d->class->counters; g && g->name; g++) {
        for (const Counter *c = g->counters; c->name; c++) {
            stats_add(stats, g->name, c->name, counter_value(queue, g, c));
        }
    }
}

static Stats *stats_of(Device *d)
{
    Stats *stats = g_new0(Stats, 1);
    DeviceInfo info;

    if (d) {
        device_info(d, &info);
        for (unsigned i = 0; info.stats && i < info.max_queues; i++) {
            stats_add_queue(stats, d, device_queue_stats(d, &info, i));
        }
    }
    return stats;
}

static BlockStats *block_stats(const BlockObject *o, Device *d, bool of_node)
{
    BlockStats *bs = g_new0(BlockStats, 1);

    if (!of_node) {
        bs->device = g_strdup(o->drive ? o->drive : "");
        bs->qdev = d ? g_strdup(d->id) : NULL;
    }
    bs->node_name = g_strdup(o->name);
    bs->stats = stats_of(d);
    return bs;
}

static bool query_blockstats(void *opaque, QmpMonitor *m, const void *args, void *ret,
                             GError **error)
{
    System *s = opaque;
    bool nodes = ((const StatsArgs *)args)->query_nodes;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(BlockStats *));

    for (guint i = 0; i < s->blockdevs->len; i++) {
        const BlockObject *o = g_ptr_array_index(s->blockdevs, i);

        if (nodes || blockdev_is_shown(o)) {
            BlockStats *bs = block_stats(o, blockdev_user(s, o), nodes);

            g_array_append_val(list, bs);
        }
    }
    *(GArray **)ret = list;
    return true;
}

void qmp_query_blockstats_register(System *s)
{
    static const QmpCommand commands[] = {
        { "query-blockstats", &stats_args, &block_result, query_blockstats },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
}
