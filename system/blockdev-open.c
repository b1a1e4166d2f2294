/*
 * From what a user said of a block node to an open one, and to those that it is over.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "blockdevs.h"

#include <string.h>

#define MAX_BLOCKDEVS 1024u
#define MAX_NODE_NAME 31u /* as in QEMU */

/* What a node has where it says nothing of its own. */
typedef struct Inherited {
    bool direct;
    bool no_flush;
    bool read_only;
    bool auto_read_only;
    bool discard;
} Inherited;

static bool blockdev_check_name(System *s, const char *name, GError **error)
{
    BlockObject *o = blockdev_find_any(s, name);

    if (!opt_id_wellformed(name)) {
        return system_set_error(error, "Invalid node-name: '%s'", name);
    }
    if (strlen(name) > MAX_NODE_NAME) {
        return system_set_error(error, "Node name too long");
    }
    if (o && g_strcmp0(o->drive, name) == 0) {
        return system_set_error(error, "node-name=%s is conflicting with a device id", name);
    }
    return !o || system_set_error(error, "Duplicate nodes with node-name='%s'", name);
}

static Inherited blockdev_resolve(const BlockdevOptions *o, const Inherited *from)
{
    Inherited r = *from;

    if (o->cache && o->cache->has_direct) {
        r.direct = o->cache->direct;
    }
    if (o->cache && o->cache->has_no_flush) {
        r.no_flush = o->cache->no_flush;
    }
    if (o->has_read_only) {
        r.read_only = o->read_only;
    }
    if (o->has_auto_read_only) {
        r.auto_read_only = o->auto_read_only;
    }
    if (o->has_discard) {
        r.discard = o->discard == BLOCKDEV_DISCARD_UNMAP;
    }
    return r;
}

/* @node_name is looked at now: what is below has one, too. */
BlockObject *blockdev_new(System *s, const char *node_name, BlockConfig *config, GError **error)
{
    g_autofree char *name = g_strdup(node_name);
    BlockNode *node;
    BlockObject *o;

    if (s->blockdevs->len >= MAX_BLOCKDEVS) {
        system_set_error(error, "there are %u block nodes already", MAX_BLOCKDEVS);
        return NULL;
    }
    if (!name) {
        name = g_strdup_printf("#block%03u", s->next_block++);
    } else if (!blockdev_check_name(s, name, error)) {
        return NULL;
    }
    config->node_name = name;
    config->fd_sets = s->fd_sets;
    config->at_start = !s->up || s->patient;
    node = block_node_open(config, error);
    if (!node) {
        return NULL;
    }
    o = g_new0(BlockObject, 1);
    o->name = g_steal_pointer(&name);
    o->driver = blockdev_driver_find(config->driver);
    o->node = node;
    o->config = *config;
    o->config.node_name = node->node_name;
    o->config.filename = node->filename;
    o->config.driver = blockdev_driver_name(o->driver);
    o->config.server = NULL;
    o->config.options = node->daemon ? "" : NULL;
    o->config.objects = NULL;
    g_ptr_array_add(s->blockdevs, o);
    return o;
}

static BlockConfig blockdev_config(const BlockdevOptions *o, const Inherited *r)
{
    return (BlockConfig){
        .driver = blockdev_driver_name(o->driver),
        .read_only = r->read_only,
        .auto_read_only = r->auto_read_only,
        .direct = r->direct,
        .no_flush = r->no_flush,
        .discard = r->discard,
    };
}

static BlockObject *blockdev_add_file(System *s, const BlockdevOptions *o, const Inherited *r,
                                      GError **error)
{
    BlockConfig c = blockdev_config(o, r);
    const BlockdevFile *file = o->u;

    if (file->aio == BLOCKDEV_AIO_NATIVE && !r->direct) {
        system_set_error(error, "aio=native was specified, but it requires cache.direct=on, "
                         "which was not specified.");
        return NULL;
    }
    c.filename = file->filename;
    c.aio = file->aio == BLOCKDEV_AIO_THREADS ? BLOCK_AIO_THREADS : BLOCK_AIO_IO_URING;
    c.locking = (OnOffAuto)file->locking;
    return blockdev_new(s, o->node_name, &c, error);
}

/* As QEMU's filename of such a node. */
static char *blockdev_server_name(const BlockServer *server)
{
    const char *slash = server->export[0] != '\0' ? "/" : "";

    return server->path ? g_strdup_printf("nbd+unix://%s%s?socket=%s", slash, server->export,
                                          server->path)
                        : g_strdup_printf("nbd://%s:%s%s%s", server->host, server->port, slash,
                                          server->export);
}

static BlockServer blockdev_server(const BlockdevNbd *nbd)
{
    BlockServer server = { .export = nbd->export ? nbd->export : "" };

    if (nbd->server->type == BLOCKDEV_UNIX) {
        server.path = ((const BlockdevUnix *)nbd->server->u)->path;
    } else {
        server.host = ((const BlockdevInet *)nbd->server->u)->host;
        server.port = ((const BlockdevInet *)nbd->server->u)->port;
    }
    return server;
}

static BlockObject *blockdev_add_nbd(System *s, const BlockdevOptions *o, const Inherited *r,
                                     GError **error)
{
    const BlockdevNbd *nbd = o->u;
    BlockServer server = blockdev_server(nbd);
    g_autofree char *name = blockdev_server_name(&server);
    BlockConfig c = blockdev_config(o, r);

    if (nbd->reconnect_delay != 0) {
        system_set_error(error, "reconnect-delay=%u is not supported: what a server that died had "
                         "acknowledged may be lost", nbd->reconnect_delay);
        return NULL;
    }
    c.filename = name;
    c.server = &server;
    return blockdev_new(s, o->node_name, &c, error);
}

static BlockObject *blockdev_add_node(System *s, const BlockdevOptions *options,
                                      const Inherited *from, GError **error);

BlockObject *blockdev_find_free(System *s, const char *name, GError **error)
{
    BlockObject *o = blockdev_find(s, name);

    if (!o) {
        system_set_error(error, "Cannot find device='%s' nor node-name='%s'", name, name);
    } else if (o->above || o->in_use) {
        system_set_error(error, "Block device %s is in use", name);
        o = NULL;
    }
    return o;
}

/* The node that raw is to be over: one that is there, or that is made with it. */
static BlockObject *blockdev_get_below(System *s, const OptRef *file, const Inherited *r,
                                       GError **error)
{
    BlockObject *below;

    if (file->object) {
        below = blockdev_add_node(s, file->object, r, error);
        if (below) {
            below->nested = true;
        }
        return below;
    }
    return blockdev_find_free(s, file->name, error);
}

/* As the node below is opened, with what is said above it. */
static bool blockdev_config_raw(const BlockObject *below, const Inherited *r, BlockConfig *c,
                                GError **error)
{
    *c = below->config;
    c->image = below->node;
    if (c->read_only && !r->read_only && !r->auto_read_only) {
        return system_set_error(error, "Block node is read-only");
    }
    c->read_only = c->read_only || r->read_only;
    c->auto_read_only = r->auto_read_only;
    c->discard = c->discard && r->discard;
    return true;
}

static BlockObject *blockdev_add_raw(System *s, const BlockdevOptions *options,
                                     const Inherited *r, GError **error)
{
    const BlockdevRaw *raw = options->u;
    BlockObject *below = blockdev_get_below(s, &raw->file, r, error);
    BlockObject *o = NULL;
    BlockConfig config;

    if (!below) {
        return NULL;
    }
    if (blockdev_config_raw(below, r, &config, error)) {
        o = blockdev_new(s, options->node_name, &config, error);
    }
    if (o) {
        o->driver = BLOCKDEV_RAW;
        o->below = below;
        below->above = o;
    } else if (below->nested) {
        blockdev_remove(s, below);
    }
    return o;
}

static BlockObject *blockdev_add_node(System *s, const BlockdevOptions *options,
                                      const Inherited *from, GError **error)
{
    Inherited r = blockdev_resolve(options, from);

    switch (options->driver) {
    case BLOCKDEV_RAW:
        return blockdev_add_raw(s, options, &r, error);
    case BLOCKDEV_NBD:
        return blockdev_add_nbd(s, options, &r, error);
    default:
        return blockdev_add_file(s, options, &r, error);
    }
}

BlockObject *blockdev_open(System *s, const BlockdevOptions *options, GError **error)
{
    static const Inherited none = { 0 };

    return blockdev_add_node(s, options, &none, error);
}
