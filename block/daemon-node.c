/*
 * Nodes of drivers that qemu-storage-daemon has: NBD nodes, whose server is a child of ours.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <poll.h>
#include <string.h>

#include "daemon.h"
#include "nbd.h"

#define LOCK_US    (3 * G_USEC_PER_SEC) /* that a lock of somebody who was killed may last */
#define LOCK_POLL_MS 50

typedef struct Attempt {
    ImageDaemon *daemon;
    NbdClient *nbd;
} Attempt;

static bool attempt(Attempt *a, const BlockConfig *config, bool read_only, GError **error)
{
    BlockServer server = { .export = IMAGE_DAEMON_EXPORT };
    g_autofree char *words = NULL;
    g_autoptr(GError) why = NULL;

    a->daemon = image_daemon_new(config, read_only, error);
    if (!a->daemon) {
        return false;
    }
    server.path = image_daemon_socket(a->daemon);
    a->nbd = nbd_client_new(&server, config->filename, &why);
    if (a->nbd) {
        return true;
    }
    words = image_daemon_words(a->daemon);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s", words ? words : why->message);
    g_clear_pointer(&a->daemon, image_daemon_unref);
    return false;
}

/*
 * The daemon of a ringtap that was just killed has the image until it has ended, too, which is
 * waited for as for a tap.
 */
static bool attempt_until_unlocked(Attempt *a, const BlockConfig *config, bool read_only,
                                   GError **error)
{
    gint64 end = g_get_monotonic_time() + LOCK_US;

    for (;;) {
        g_autoptr(GError) why = NULL;

        if (attempt(a, config, read_only, &why)) {
            return true;
        }
        if (!strstr(why->message, "\" lock") || g_get_monotonic_time() >= end) {
            g_propagate_error(error, g_steal_pointer(&why));
            return false;
        }
        (void)poll(NULL, 0, LOCK_POLL_MS);
    }
}

static bool start_daemon(BlockNode *node, const BlockConfig *config, GError **error)
{
    Attempt a = { 0 };

    if (!attempt_until_unlocked(&a, config, config->read_only, error)) {
        if (!config->auto_read_only || config->read_only || !attempt(&a, config, true, NULL)) {
            return false;
        }
        g_clear_error(error);
    }
    node->daemon = a.daemon;
    node->nbd = a.nbd;
    image_daemon_watch(node->daemon);
    return true;
}

static bool daemon_open(BlockNode *node, const BlockConfig *config, GError **error)
{
    if (config->image) {
        node->daemon = image_daemon_ref(config->image->daemon);
        node->nbd = nbd_client_ref(config->image->nbd);
    } else if (!start_daemon(node, config, error)) {
        return false;
    }
    return nbd_find_limits(node, config, error);
}

static void daemon_close(BlockNode *node)
{
    nbd_close_node(node);
    g_clear_pointer(&node->daemon, image_daemon_unref);
}

static bool daemon_resize(BlockNode *node, uint64_t bytes, GError **error)
{
    bool ok;

    if (bytes == node->nbd->info.bytes) {
        return true;
    }
    if (!nbd_client_hold(node->nbd, error)) {
        return false;
    }
    ok = image_daemon_resize(node->daemon, bytes, error);
    return nbd_client_go_on(node->nbd, ok ? error : NULL) && ok;
}

const BlockDriver block_daemon = {
    .name = "qemu-storage-daemon",
    .open = daemon_open,
    .close = daemon_close,
    .measure = nbd_measure,
    .resize = daemon_resize,
    .queue_init = nbd_queue_init,
    .queue_done = nbd_queue_done,
    .submit = nbd_submit,
};
