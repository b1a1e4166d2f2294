/*
 * The driver "nbd".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "nbd.h"

static bool nbd_check_read_only(BlockNode *node, const BlockConfig *config, GError **error)
{
    bool must = node->nbd->info.read_only;

    if (must && !config->read_only && !config->auto_read_only) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_ROFS,
                    "request on write denied without write permission");
        return false;
    }
    node->read_only = config->read_only || must;
    return true;
}

bool nbd_find_limits(BlockNode *node, const BlockConfig *config, GError **error)
{
    const NbdExport *info = &node->nbd->info;

    if (!nbd_check_read_only(node, config, error)) {
        return false;
    }
    node->lock = false; /* it is the server who has the image */
    node->logical_block_size = BLOCK_SECTOR;
    node->physical_block_size = MAX(info->preferred, BLOCK_SECTOR);
    node->request_alignment = 1;
    node->memory_alignment = 1;
    node->discard_granularity = node->physical_block_size;
    node->discard = config->discard && !node->read_only && info->can_trim;
    return true;
}

static bool nbd_open(BlockNode *node, const BlockConfig *config, GError **error)
{
    node->nbd = config->image ? nbd_client_ref(config->image->nbd)
                              : nbd_client_new(config->server, config->filename, error);
    return node->nbd && nbd_find_limits(node, config, error);
}

void nbd_close_node(BlockNode *node)
{
    g_clear_pointer(&node->nbd, nbd_client_unref);
}

int64_t nbd_measure(const BlockNode *node)
{
    return (int64_t)node->nbd->info.bytes;
}

static bool nbd_resize(BlockNode *node, uint64_t bytes, GError **error)
{
    if (bytes != node->nbd->info.bytes) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "Cannot resize NBD nodes");
        return false;
    }
    return true;
}

bool nbd_queue_init(BlockQueue *q, GError **error)
{
    q->nbd = nbd_client_take(q->node->nbd, q->node, q->thread, error);
    return q->nbd != NULL;
}

void nbd_queue_done(BlockQueue *q)
{
    nbd_client_give(q->node->nbd, q->nbd);
    q->nbd = NULL;
}

void nbd_submit(BlockQueue *q, BlockRequest *req)
{
    nbd_conn_submit(q->nbd, req);
}

const BlockDriver block_nbd = {
    .name = "nbd",
    .open = nbd_open,
    .close = nbd_close_node,
    .measure = nbd_measure,
    .resize = nbd_resize,
    .queue_init = nbd_queue_init,
    .queue_done = nbd_queue_done,
    .submit = nbd_submit,
};
