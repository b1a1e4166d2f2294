/*
 * QMP: what block nodes there are, who has them, and what was done with them; the human monitor's
 * "info block".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "blockdevs.h"

#include "qmp-commands.h"

/* --- BlockDeviceInfo --- */

typedef struct ImageInfo {
    char *filename;
    char *format;
    bool dirty_flag;
    int64_t actual_size;
    bool has_actual_size;
    uint64_t virtual_size;
} ImageInfo;

static const OptMember image_members[] = {
    { "filename", OPT_STR, offsetof(ImageInfo, filename), .required = true },
    { "format", OPT_STR, offsetof(ImageInfo, format), .required = true },
    { "dirty-flag", OPT_BOOL, offsetof(ImageInfo, dirty_flag), .required = true },
    { "actual-size", OPT_INT64, offsetof(ImageInfo, actual_size),
      offsetof(ImageInfo, has_actual_size) },
    { "virtual-size", OPT_UINT64, offsetof(ImageInfo, virtual_size), .required = true },
    { 0 },
};
static const OptTable image_table = { "ImageInfo", sizeof(ImageInfo), image_members };

typedef struct CacheInfo {
    bool writeback;
    bool direct;
    bool no_flush;
} CacheInfo;

static const OptMember cache_members[] = {
    { "writeback", OPT_BOOL, offsetof(CacheInfo, writeback), .required = true },
    { "direct", OPT_BOOL, offsetof(CacheInfo, direct), .required = true },
    { "no-flush", OPT_BOOL, offsetof(CacheInfo, no_flush), .required = true },
    { 0 },
};
static const OptTable cache_table = { "BlockdevCacheInfo", sizeof(CacheInfo), cache_members };

typedef struct NodeInfo {
    char *file;
    char *node_name;
    bool read_only;
    char *driver;
    uint32_t nothing; /* of what QEMU counts or limits, and we have not */
    bool no;
    bool yes;
    int detect_zeroes;
    ImageInfo *image;
    CacheInfo *cache;
} NodeInfo;

#define NOTHING OPT_UINT32, offsetof(NodeInfo, nothing), .required = true

static const OptMember node_members[] = {
    { "file", OPT_STR, offsetof(NodeInfo, file), .required = true },
    { "node-name", OPT_STR, offsetof(NodeInfo, node_name) },
    { "ro", OPT_BOOL, offsetof(NodeInfo, read_only), .required = true },
    { "drv", OPT_STR, offsetof(NodeInfo, driver), .required = true },
    { "backing_file_depth", NOTHING },
    { "active", OPT_BOOL, offsetof(NodeInfo, yes), .required = true },
    { "encrypted", OPT_BOOL, offsetof(NodeInfo, no), .required = true },
    { "detect_zeroes", OPT_ENUM, offsetof(NodeInfo, detect_zeroes), .required = true,
      .values = &blockdev_detect_zeroes },
    { "bps", NOTHING },
    { "bps_rd", NOTHING },
    { "bps_wr", NOTHING },
    { "iops", NOTHING },
    { "iops_rd", NOTHING },
    { "iops_wr", NOTHING },
    { "image", OPT_STRUCT, offsetof(NodeInfo, image), .required = true, .table = &image_table },
    { "cache", OPT_STRUCT, offsetof(NodeInfo, cache), .required = true, .table = &cache_table },
    { "write_threshold", NOTHING },
    { 0 },
};
static const OptTable node_table = { "BlockDeviceInfo", sizeof(NodeInfo), node_members };
static const OptMember node_item = { .type = OPT_STRUCT, .table = &node_table };
static const OptMember node_result = { .type = OPT_LIST, .item = &node_item };

static ImageInfo *image_info(const BlockObject *o)
{
    ImageInfo *info = g_new0(ImageInfo, 1);

    info->filename = g_strdup(o->node->filename);
    info->format = g_strdup(blockdev_driver_name(o->driver));
    info->actual_size = block_node_allocated(o->node);
    info->has_actual_size = info->actual_size >= 0;
    info->virtual_size = block_node_bytes(o->node);
    return info;
}

static NodeInfo *node_info(const BlockObject *o)
{
    NodeInfo *info = g_new0(NodeInfo, 1);

    info->file = g_strdup(o->node->filename);
    info->node_name = g_strdup(o->name);
    info->read_only = o->node->read_only;
    info->driver = g_strdup(blockdev_driver_name(o->driver));
    info->yes = true;
    info->image = image_info(o);
    info->cache = g_new0(CacheInfo, 1);
    *info->cache = (CacheInfo){ true, o->node->direct, o->node->no_flush };
    return info;
}

static const OptMember named_members[] = {
    { "flat", OPT_BOOL, .ignored = true }, /* without what is below an overlay: there is none */
    { 0 },
};
static const OptTable named_args = { "query-named-block-nodes", 1, named_members };

static bool query_named_nodes(void *opaque, QmpMonitor *m, const void *args, void *ret,
                              GError **error)
{
    const System *s = opaque;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(NodeInfo *));

    for (guint i = 0; i < s->blockdevs->len; i++) {
        NodeInfo *info = node_info(g_ptr_array_index(s->blockdevs, i));

        g_array_append_val(list, info);
    }
    *(GArray **)ret = list;
    return true;
}

/* --- query-block --- */

typedef enum IoStatus {
    IO_STATUS_OK,
    IO_STATUS_FAILED,
} IoStatus;

static const char *const io_statuses[] = { "ok", "failed", "nospace", NULL };
static const OptEnum io_status = { "BlockDeviceIoStatus", io_statuses };

typedef struct BlockInfo {
    char *device;
    char *qdev;
    char *type;
    bool removable;
    bool locked;
    NodeInfo *inserted;
    int io_status;
    bool has_io_status;
} BlockInfo;

static const OptMember block_members[] = {
    { "device", OPT_STR, offsetof(BlockInfo, device), .required = true },
    { "qdev", OPT_STR, offsetof(BlockInfo, qdev) },
    { "type", OPT_STR, offsetof(BlockInfo, type), .required = true },
    { "removable", OPT_BOOL, offsetof(BlockInfo, removable), .required = true },
    { "locked", OPT_BOOL, offsetof(BlockInfo, locked), .required = true },
    { "inserted", OPT_STRUCT, offsetof(BlockInfo, inserted), .table = &node_table },
    { "io-status", OPT_ENUM, offsetof(BlockInfo, io_status), offsetof(BlockInfo, has_io_status),
      .values = &io_status },
    { 0 },
};
static const OptTable block_table = { "BlockInfo", sizeof(BlockInfo), block_members };
static const OptMember block_item = { .type = OPT_STRUCT, .table = &block_table };
static const OptMember block_result = { .type = OPT_LIST, .item = &block_item };

static BlockInfo *block_info(System *s, const BlockObject *o)
{
    BlockInfo *info = g_new0(BlockInfo, 1);
    const Device *d = blockdev_user(s, o);

    info->device = g_strdup(o->drive ? o->drive : "");
    info->qdev = d ? g_strdup(d->id) : NULL;
    info->type = g_strdup("unknown");
    info->removable = d == NULL;
    info->inserted = node_info(o);
    info->io_status = block_node_failed(o->node) ? IO_STATUS_FAILED : IO_STATUS_OK;
    info->has_io_status = d != NULL;
    return info;
}

static bool query_block(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    System *s = opaque;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(BlockInfo *));

    for (guint i = 0; i < s->blockdevs->len; i++) {
        const BlockObject *o = g_ptr_array_index(s->blockdevs, i);

        if (blockdev_is_shown(o)) {
            BlockInfo *info = block_info(s, o);

            g_array_append_val(list, info);
        }
    }
    *(GArray **)ret = list;
    return true;
}

static void info_node(System *s, GString *out, const BlockObject *o)
{
    const Device *d = blockdev_user(s, o);
    const char *name = o->drive ? o->drive : o->name;

    g_string_append(out, name);
    if (o->drive) {
        g_string_append_printf(out, " (%s)", o->name);
    }
    g_string_append_printf(out, ": %s (%s%s)\r\n", o->node->filename,
                           blockdev_driver_name(o->driver),
                           o->node->read_only ? ", read-only" : "");
    if (d) {
        g_string_append_printf(out, "    Attached to:      %s\r\n", d->id);
    } else {
        g_string_append(out, "    Removable device: not locked, tray closed\r\n");
    }
    g_string_append_printf(out, "    Cache mode:       writeback%s%s\r\n",
                           o->node->direct ? ", direct" : "",
                           o->node->no_flush ? ", ignore flushes" : "");
}

static void info_block(void *opaque, GString *out)
{
    System *s = opaque;

    for (guint i = 0; i < s->blockdevs->len; i++) {
        const BlockObject *o = g_ptr_array_index(s->blockdevs, i);

        if (blockdev_is_shown(o)) {
            g_string_append(out, out->len > 0 ? "\r\n" : "");
            info_node(s, out, o);
        }
    }
}

void qmp_query_block_register(System *s)
{
    static const QmpCommand commands[] = {
        { "query-block", NULL, &block_result, query_block },
        { "query-named-block-nodes", &named_args, &node_result, query_named_nodes },
        { 0 },
    };
    static const HmpCommand hmp[] = {
        { "block", "show the block devices", info_block },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
    qmp_register_hmp(s->qmp, hmp, s);
}
