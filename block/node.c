/*
 * A node's life: opened, claimed by a device, resized, closed; and its queues'. Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "block-internal.h"
#include "util/fd.h"

static const BlockDriver *const drivers[] = { &block_file, &block_host_device, &block_nbd };

static const BlockDriver *find_driver(const BlockConfig *config, GError **error)
{
    const char *name = config->driver;

    if (config->options) {
        return &block_daemon;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(drivers); i++) {
        if (strcmp(drivers[i]->name, name) == 0) {
            return drivers[i];
        }
    }
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "Unknown driver '%s'", name);
    return NULL;
}

static bool find_locking(BlockNode *node, OnOffAuto locking, GError **error)
{
    bool available = locking != ON_OFF_AUTO_OFF && block_lock_available();

    if (locking == ON_OFF_AUTO_ON && !available) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "locking=on: the kernel has no locks of open files");
        return false;
    }
    node->lock = available;
    return true;
}

/* What is left of a sector at the end is not shown to anybody. */
static bool read_size(BlockNode *node, GError **error)
{
    int64_t bytes = node->driver->measure(node);

    if (bytes < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno((int)-bytes),
                    "Could not get the size of '%s': %s", node->filename,
                    g_strerror((int)-bytes));
        return false;
    }
    __atomic_store_n(&node->bytes, (uint64_t)bytes / BLOCK_SECTOR * BLOCK_SECTOR,
                     __ATOMIC_RELAXED);
    return true;
}

BlockNode *block_node_open(const BlockConfig *config, GError **error)
{
    const BlockDriver *driver = find_driver(config, error);
    g_autoptr(BlockNode) node = NULL;

    if (!driver) {
        return NULL;
    }
    node = g_new0(BlockNode, 1);
    node->fd = -1;
    node->driver = driver;
    node->node_name = g_strdup(config->node_name);
    node->filename = g_strdup(config->filename);
    node->aio = config->aio;
    node->direct = config->direct;
    node->no_flush = config->no_flush;
    node->at_start = config->at_start;
    node->notice = block_notice_new(node, error);
    if (!node->notice || !find_locking(node, config->locking, error) ||
        !driver->open(node, config, error) || !read_size(node, error)) {
        return NULL;
    }
    return g_steal_pointer(&node);
}

void block_node_free(BlockNode *node)
{
    if (node) {
        g_assert(node->n_queues == 0 && !node->in_use);
        block_workers_free(node->workers);
        block_notice_free(node->notice);
        if (node->driver->close) {
            node->driver->close(node);
        }
        fd_close(&node->fd);
        g_free(node->node_name);
        g_free(node->filename);
        g_free(node);
    }
}

bool block_node_claim(BlockNode *node, bool writes, bool share_rw, GError **error)
{
    g_assert(!node->in_use);
    if (writes && node->read_only) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_ROFS, "Block node is read-only");
        return false;
    }
    node->in_use = block_lock(node, writes, share_rw, error);
    if (node->in_use && node->driver->claimed) {
        node->driver->claimed(node);
    }
    return node->in_use;
}

void block_node_release(BlockNode *node)
{
    g_assert(node->in_use && node->n_queues == 0);
    block_unlock(node);
    node->in_use = false;
    node->changed = NULL;
}

static bool tell_size(BlockNode *node, uint64_t before, GError **error)
{
    if (!read_size(node, error)) {
        return false;
    }
    if (block_node_bytes(node) != before && node->changed) {
        node->changed(node->changed_opaque);
    }
    return true;
}

bool block_node_resize(BlockNode *node, uint64_t bytes, GError **error)
{
    uint64_t before = block_node_bytes(node);

    if (bytes % BLOCK_SECTOR != 0 || bytes > INT64_MAX) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "The new size %s",
                    bytes > INT64_MAX ? "is too large" : "must be a multiple of 512");
        return false;
    }
    if (node->read_only) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_ROFS, "Image is read-only");
        return false;
    }
    if (bytes < before) { /* first: a write beyond the end would make the file longer again */
        __atomic_store_n(&node->bytes, bytes, __ATOMIC_RELAXED);
    }
    if (!node->driver->resize(node, bytes, error)) {
        (void)tell_size(node, before, NULL);
        return false;
    }
    return tell_size(node, before, error);
}

int64_t block_node_allocated(const BlockNode *node)
{
    struct stat st;

    return node->fd >= 0 && fstat(node->fd, &st) == 0 ? (int64_t)st.st_blocks * 512 : -1;
}

bool block_node_refresh(BlockNode *node, GError **error)
{
    return tell_size(node, block_node_bytes(node), error);
}

/* --- queues --- */

static bool have_workers(BlockNode *node, GError **error)
{
    if (!node->workers) {
        node->workers = block_workers_new(node, error);
    }
    return node->workers != NULL;
}

bool block_queue_init(BlockQueue *q, BlockNode *node, IoThread *t, GError **error)
{
    *q = (BlockQueue){ .node = node, .thread = t, .use_ring = node->aio == BLOCK_AIO_IO_URING };
    q->waiting_end = &q->waiting;
    block_here_init(q);
    if (node->driver->queue_init ? !node->driver->queue_init(q, error)
                                 : !have_workers(node, error)) {
        q->node = NULL;
        return false;
    }
    node->n_queues++;
    return true;
}

void block_queue_done(BlockQueue *q)
{
    if (q->node) {
        g_assert(q->inflight.n == 0);
        if (q->node->driver->queue_done) {
            q->node->driver->queue_done(q);
        } else {
            block_workers_leave(q->node->workers, q);
        }
        q->node->n_queues--;
        q->node = NULL;
    }
}
