/*
 * What threads of requests have to say gets to the main thread by an eventfd: at most one wakeup
 * is under way however many requests fail, and the last error stands for the others.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib-unix.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "block-internal.h"
#include "util/fd.h"
#include "util/log.h"

#define ERROR_INTERVAL_MS 10000

typedef enum NodeFailure {
    FLUSH_FAILED,
    SERVER_LOST,
    FILE_SHRUNK,
} NodeFailure;

struct BlockNotice {
    BlockNode *node;
    int fd;
    GSource *source;
    unsigned error; /* atomic: its errno, and the operation in the upper half; 0: none to tell */
    unsigned why;   /* atomic: NodeFailure, why it failed */
    bool failed;    /* was told */
    LogLimit limit;
};

static void tell_error(BlockNotice *n)
{
    static const char *const names[] = { "read", "write", "flush", "discard" };
    unsigned error = __atomic_exchange_n(&n->error, 0, __ATOMIC_ACQ_REL);

    if (error != 0) {
        warn_report_limited(&n->limit, "block node '%s': %s failed: %s", n->node->node_name,
                            names[error >> 16], g_strerror((int)(error & 0xffff)));
    }
}

static gboolean notice_ready(gint fd, GIOCondition condition, gpointer opaque)
{
    static const char *const why[] = {
        [FLUSH_FAILED] = "data that was written may be lost",
        [SERVER_LOST] = "the connection to the image's server is lost",
        [FILE_SHRUNK] = "somebody made the image shorter",
    };
    BlockNotice *n = opaque;
    BlockNode *node = n->node;
    uint64_t count;

    if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN) {
        return G_SOURCE_CONTINUE;
    }
    tell_error(n);
    if (block_node_failed(node) && !n->failed) {
        n->failed = true;
        error_report("block node '%s': %s: all requests fail from now on", node->node_name,
                     why[__atomic_load_n(&n->why, __ATOMIC_RELAXED)]);
        if (node->changed) {
            node->changed(node->changed_opaque);
        }
    }
    return G_SOURCE_CONTINUE;
}

BlockNotice *block_notice_new(BlockNode *node, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_ref_thread_default();
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    BlockNotice *n;

    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot make an eventfd: %s", g_strerror(errno));
        return NULL;
    }
    n = g_new0(BlockNotice, 1);
    n->node = node;
    n->fd = fd;
    n->limit = (LogLimit){ .burst = 1, .interval_ms = ERROR_INTERVAL_MS };
    n->source = g_unix_fd_source_new(fd, G_IO_IN);
    g_source_set_callback(n->source, G_SOURCE_FUNC(notice_ready), n, NULL);
    g_source_attach(n->source, context);
    return n;
}

void block_notice_free(BlockNotice *n)
{
    if (n) {
        g_source_destroy(n->source);
        g_source_unref(n->source);
        fd_close(&n->fd);
        g_free(n);
    }
}

static void notice_wake(BlockNotice *n)
{
    uint64_t one = 1;

    while (write(n->fd, &one, sizeof(one)) < 0 && errno == EINTR) {
        continue;
    }
}

void block_notice_error(BlockNotice *n, BlockOp op, int err)
{
    unsigned error = (unsigned)op << 16 | (unsigned)err;

    if (__atomic_exchange_n(&n->error, error, __ATOMIC_ACQ_REL) == 0) {
        notice_wake(n);
    }
}

void block_notice_failed(BlockNotice *n)
{
    if (!__atomic_exchange_n(&n->node->failed, true, __ATOMIC_ACQ_REL)) {
        notice_wake(n);
    }
}

static void notice_failed_for(BlockNotice *n, NodeFailure why)
{
    if (!block_node_failed(n->node)) {
        __atomic_store_n(&n->why, why, __ATOMIC_RELAXED);
    }
    block_notice_failed(n);
}

void block_notice_lost(BlockNotice *n)
{
    notice_failed_for(n, SERVER_LOST);
}

void block_notice_shrunk(BlockNotice *n)
{
    notice_failed_for(n, FILE_SHRUNK);
}
