/*
 * QMP: block nodes that come, go, and change their size.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "blockdevs.h"

#include "qmp-commands.h"

typedef struct NodeArgs {
    char *node_name;
} NodeArgs;

static const OptMember node_members[] = {
    { "node-name", OPT_STR, offsetof(NodeArgs, node_name), .required = true },
    { 0 },
};
static const OptTable node_args = { "blockdev-del", sizeof(NodeArgs), node_members };

typedef struct ResizeArgs {
    char *device;
    char *node_name;
    int64_t size;
} ResizeArgs;

static const OptMember resize_members[] = {
    { "device", OPT_STR, offsetof(ResizeArgs, device) },
    { "node-name", OPT_STR, offsetof(ResizeArgs, node_name) },
    { "size", OPT_INT64, offsetof(ResizeArgs, size), .required = true },
    { 0 },
};
static const OptTable resize_args = { "block_resize", sizeof(ResizeArgs), resize_members };

static bool qmp_blockdev_add(void *opaque, QmpMonitor *m, OptDict *args, GError **error)
{
    return blockdev_add(opaque, args, error);
}

static bool qmp_blockdev_del(void *opaque, QmpMonitor *m, const void *args, void *ret,
                             GError **error)
{
    return blockdev_del(opaque, ((const NodeArgs *)args)->node_name, error);
}

static bool qmp_block_resize(void *opaque, QmpMonitor *m, const void *args, void *ret,
                             GError **error)
{
    const ResizeArgs *resize = args;
    const char *device = resize->device ? resize->device : "";
    const char *name = resize->node_name ? resize->node_name : "";
    BlockObject *o = blockdev_find_drive(opaque, device);

    if (!o) {
        o = blockdev_find(opaque, name);
    }
    if (!o) {
        return system_set_error(error, "Cannot find device='%s' nor node-name='%s'", device, name);
    }
    return blockdev_resize(o, resize->size, error);
}

void qmp_block_register(System *s)
{
    static const QmpCommand commands[] = {
        { "blockdev-add", &blockdev_options, .run_dict = qmp_blockdev_add },
        { "blockdev-del", &node_args, .run = qmp_blockdev_del },
        { "block_resize", &resize_args, .run = qmp_block_resize },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
}
