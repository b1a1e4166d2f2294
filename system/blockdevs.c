/*
 * Block nodes by their names: made by -blockdev, -drive and blockdev-add, claimed by devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "blockdevs.h"

void block_object_free(gpointer opaque)
{
    BlockObject *o = opaque;

    block_node_free(o->node);
    g_clear_pointer(&o->options, g_ptr_array_unref);
    g_clear_pointer(&o->refs, g_ptr_array_unref);
    g_free(o->drive);
    g_free(o->name);
    g_free(o);
}

BlockObject *blockdev_find(System *s, const char *name)
{
    return system_find(s->blockdevs, name);
}

BlockObject *blockdev_find_drive(System *s, const char *id)
{
    for (guint i = 0; i < s->blockdevs->len; i++) {
        BlockObject *o = g_ptr_array_index(s->blockdevs, i);

        if (g_strcmp0(o->drive, id) == 0) {
            return o;
        }
    }
    return NULL;
}

BlockObject *blockdev_find_any(System *s, const char *id)
{
    BlockObject *o = blockdev_find_drive(s, id);

    return o ? o : blockdev_find(s, id);
}

void blockdev_remove(System *s, BlockObject *o)
{
    BlockObject *below = o->below;

    for (guint i = 0; o->refs && i < o->refs->len; i++) {
        ((BlockObject *)g_ptr_array_index(o->refs, i))->above = NULL;
    }
    g_ptr_array_remove(s->blockdevs, o);
    if (!below) {
        return;
    }
    below->above = NULL;
    if (below->nested) {
        blockdev_remove(s, below);
    }
}

bool blockdev_add(System *s, OptDict *args, GError **error)
{
    g_autoptr(GPtrArray) said = opt_dict_flatten(args);
    bool by_daemon = blockdev_needs_daemon(said);
    BlockdevOptions *options = NULL;
    BlockObject *o = NULL;

    if (!by_daemon) {
        options = opt_config_new(&blockdev_options, args, OPT_PARAMETERS, error);
        if (!options) {
            return false;
        }
    }
    if (!opt_flat_get(said, "node-name")) {
        system_set_error(error, "'node-name' must be specified for the root node");
    } else {
        o = by_daemon ? blockdev_open_daemon(s, said, error) : blockdev_open(s, options, error);
    }
    if (o) {
        o->options = g_steal_pointer(&said);
    }
    opt_config_free(&blockdev_options, options);
    return o != NULL;
}

bool blockdev_del(System *s, const char *name, GError **error)
{
    BlockObject *o = blockdev_find(s, name);

    if (!o) {
        return system_set_error(error, "Failed to find node with node-name='%s'", name);
    }
    if (o->in_use || o->drive) {
        return system_set_error(error, "Node %s is in use", name);
    }
    if (o->nested) {
        return system_set_error(error, "Node %s is not owned by the monitor", name);
    }
    if (o->above) {
        return system_set_error(error, "Block device %s is in use", name);
    }
    blockdev_remove(s, o);
    return true;
}

bool blockdev_resize(BlockObject *o, int64_t size, GError **error)
{
    while (o->above) {
        o = o->above;
    }
    if (size < 0) {
        return system_set_error(error, "Parameter 'size' expects a >0 size");
    }
    if (!block_node_resize(o->node, (uint64_t)size, error)) {
        return false;
    }
    while ((o = o->below) != NULL) {
        (void)block_node_refresh(o->node, NULL);
    }
    return true;
}

bool blockdev_is_shown(const BlockObject *o)
{
    return o->in_use || o->drive;
}

/* --- for devices --- */

static BlockObject *blockdev_of(System *s, const BlockNode *node)
{
    for (guint i = 0; i < s->blockdevs->len; i++) {
        BlockObject *o = g_ptr_array_index(s->blockdevs, i);

        if (o->node == node) {
            return o;
        }
    }
    g_assert_not_reached();
}

static void *blockdev_backend_find(void *opaque, const char *id)
{
    BlockObject *o = blockdev_find_any(opaque, id);

    return o ? o->node : NULL;
}

static bool blockdev_backend_claim(void *opaque, void *backend)
{
    BlockObject *o = blockdev_of(opaque, backend);

    if (o->in_use || o->above) {
        return false;
    }
    o->in_use = true;
    return true;
}

static void blockdev_backend_release(void *opaque, void *backend)
{
    BlockObject *o = blockdev_of(opaque, backend);

    o->in_use = false;
    if (o->with_device) {
        blockdev_remove(opaque, o);
    }
}

const DeviceBackendKind blockdev_backend = {
    .property = "drive",
    .find = blockdev_backend_find,
    .claim = blockdev_backend_claim,
    .release = blockdev_backend_release,
};

Device *blockdev_user(System *s, const BlockObject *o)
{
    for (unsigned i = 0; o->in_use && i < device_registry_count(s->devices); i++) {
        Device *d = device_registry_nth(s->devices, i);

        if (device_backend(d, "drive") == o->node) {
            return d;
        }
    }
    return NULL;
}
