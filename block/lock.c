/*
 * Keeps two writers off one image, in the way of QEMU's block/file-posix.c, and so together with
 * QEMU, qemu-img and qemu-nbd: for each thing that one may do with an image there is a byte that
 * says "I do it" and one that says "nobody else may". They are only ever locked for reading; who
 * wants to know asks whether he could lock the other one for writing. The locks are of the open
 * file (F_OFD_*), so that no other close() of the image in this process drops them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "block-internal.h"
#include "util/fd.h"

#define WAIT_US G_USEC_PER_SEC /* for who is just ending */

/* Bytes of the file, from RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE of QEMU. */
#define LOCK_DOES    100
#define LOCK_FORBIDS 200

/* BLK_PERM_*, by bits; of those between and above we hold none. */
#define PERM_READ  0 /* what is consistent */
#define PERM_WRITE 1
#define PERM_N     4

static struct flock lock_of(short type, int byte, int n)
{
    return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = n };
}

bool block_lock_available(void)
{
    AUTO_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct flock l = lock_of(F_WRLCK, 0, 1);

    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &l) == 0;
}

static bool lock_byte(int fd, int byte, GError **error)
{
    struct flock l = lock_of(F_RDLCK, byte, 1);

    if (fcntl(fd, F_OFD_SETLK, &l) == 0) {
        return true;
    }
    if (errno == EAGAIN || errno == EACCES) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN, "Failed to lock byte %d", byte);
    } else {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "Failed to lock byte %d: %s", byte, g_strerror(errno));
    }
    return false;
}

/* Whether nobody else holds @byte. */
static bool byte_is_free(int fd, int byte)
{
    struct flock l = lock_of(F_WRLCK, byte, 1);

    return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type == F_UNLCK;
}

static bool take_locks(const BlockNode *node, bool writes, bool share_rw, GError **error)
{
    if (!lock_byte(node->fd, LOCK_DOES + PERM_READ, error) ||
        (writes && !lock_byte(node->fd, LOCK_DOES + PERM_WRITE, error)) ||
        (!share_rw && !lock_byte(node->fd, LOCK_FORBIDS + PERM_WRITE, error))) {
        return false;
    }
    if (!byte_is_free(node->fd, LOCK_FORBIDS + PERM_READ)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                    "Failed to get \"consistent read\" lock");
    } else if (writes && !byte_is_free(node->fd, LOCK_FORBIDS + PERM_WRITE)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN, "Failed to get \"write\" lock");
    } else if (!share_rw && !byte_is_free(node->fd, LOCK_DOES + PERM_WRITE)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                    "Failed to get shared \"write\" lock");
    } else {
        return true;
    }
    return false;
}

/*
 * What a program that was killed has under way, the kernel ends first, and lets go of the image
 * then: whoever started it again was faster.
 */
static bool take_locks_in_time(BlockNode *node, bool writes, bool share_rw, GError **error)
{
    gint64 end = g_get_monotonic_time() + (node->at_start ? WAIT_US : 0);
    g_autoptr(GError) why = NULL;

    while (!take_locks(node, writes, share_rw, &why)) {
        block_unlock(node);
        if (!g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_AGAIN) ||
            g_get_monotonic_time() >= end) {
            g_propagate_error(error, g_steal_pointer(&why));
            return false;
        }
        g_clear_error(&why);
        (void)poll(NULL, 0, g_random_int_range(10, 60)); /* nothing tells of its end */
    }
    return true;
}

bool block_lock(BlockNode *node, bool writes, bool share_rw, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (!node->lock || take_locks_in_time(node, writes, share_rw, &why)) {
        return true;
    }
    g_set_error(error, why->domain, why->code, "%s\nIs another process using the image [%s]?",
                why->message, node->filename);
    return false;
}

void block_unlock(BlockNode *node)
{
    struct flock does = lock_of(F_UNLCK, LOCK_DOES, PERM_N);
    struct flock forbids = lock_of(F_UNLCK, LOCK_FORBIDS, PERM_N);

    if (node->lock) {
        (void)fcntl(node->fd, F_OFD_SETLK, &does);
        (void)fcntl(node->fd, F_OFD_SETLK, &forbids);
    }
}
