/*
 * The drivers "file" and "host_device": raw images.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "block-internal.h"
#include "util/fd.h"
#include "util/fd-set.h"

#define GRANULARITY_MAX (1u << 30)

/* In QEMU's words, which for a set of descriptors has what it wanted of it. */
static bool open_failed(const BlockNode *node, int err, GError **error)
{
    const char *why = err == EINVAL && node->direct ? "filesystem does not support O_DIRECT" :
                      g_strerror(err);

    if (fd_sets_names(node->filename)) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(err),
                    err == ENXIO ? "Could not parse fdset %s" :
                                    "Could not dup FD for %s flags %x: %s",
                    node->filename, (unsigned)(node->read_only ? O_RDONLY : O_RDWR), why);
        return false;
    }
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(err), "Could not open '%s': %s",
                node->filename, why);
    return false;
}

/* blockdev --setro does not keep anybody from opening the device for writing. */
static bool device_is_read_only(int fd)
{
    int read_only = 0;

    return ioctl(fd, BLKROGET, &read_only) == 0 && read_only;
}

/* O_NONBLOCK: a FIFO that came in the file's place after we looked holds nobody up. */
static int open_flags(const BlockNode *node)
{
    return (node->read_only ? O_RDONLY : O_RDWR) | (node->direct ? O_DIRECT : 0) | O_CLOEXEC |
           O_NONBLOCK;
}

static char *open_path(const BlockConfig *config)
{
    return config->image ? g_strdup_printf("/proc/self/fd/%d", config->image->fd) :
                           g_strdup(config->filename);
}

static int open_by_name(const BlockNode *node, const BlockConfig *config)
{
    g_autofree char *path = open_path(config);
    int fd = open(path, open_flags(node));

    return fd < 0 ? -errno : fd;
}

/* We may not be allowed to open what we were given: it is not opened another time. */
static int open_given(const BlockNode *node, const BlockConfig *config)
{
    if (config->image) {
        return fd_dup_as(config->image->fd, open_flags(node));
    }
    return config->fd_sets ? fd_sets_open(config->fd_sets, config->filename, open_flags(node)) :
                             -ENOENT;
}

/* 0 or -errno. */
static int try_open(BlockNode *node, const BlockConfig *config)
{
    int fd = fd_sets_names(config->filename) ? open_given(node, config) :
                                               open_by_name(node, config);

    if (fd < 0) {
        return fd;
    }
    node->fd = fd;
    if (!node->read_only && device_is_read_only(node->fd)) {
        fd_close(&node->fd);
        return -EROFS;
    }
    return 0;
}

/* What it is, before it is opened: that may wait for somebody, or rewind a tape. */
static bool look_at(const BlockNode *node, const BlockConfig *config, GError **error)
{
    g_autofree char *path = open_path(config);
    struct stat st;

    if (fd_sets_names(config->filename)) {
        return true; /* somebody has opened it */
    }
    if (stat(path, &st) < 0) {
        return open_failed(node, errno, error);
    }
    return node->driver->accepts(node, &st, error);
}

static bool is_in_memory(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static bool open_image(BlockNode *node, const BlockConfig *config, GError **error)
{
    struct stat st;
    int r;

    if (!look_at(node, config, error)) {
        return false;
    }
    node->read_only = config->read_only;
    r = try_open(node, config);
    if (config->auto_read_only && !node->read_only &&
        (r == -EACCES || r == -EPERM || r == -EROFS)) {
        node->read_only = true;
        r = try_open(node, config);
    }
    if (r < 0) {
        return open_failed(node, -r, error);
    }
    if (fstat(node->fd, &st) < 0 || fd_set_nonblock(node->fd, false) < 0) {
        return open_failed(node, errno, error);
    }
    node->in_memory = is_in_memory(node->fd);
    node->discard = config->discard && !node->read_only;
    return node->driver->accepts(node, &st, error) && node->driver->find_limits(node, error);
}

/* --- file --- */

static bool file_accepts(const BlockNode *node, const struct stat *st, GError **error)
{
    if (!S_ISREG(st->st_mode)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "'file' driver requires '%s' to be a regular file", node->filename);
        return false;
    }
    return true;
}

static bool file_find_limits(BlockNode *node, GError **error)
{
    struct stat st;

    if (!block_find_alignment(node, error)) {
        return false;
    }
    node->logical_block_size = BLOCK_SECTOR;
    node->physical_block_size = MAX(BLOCK_SECTOR, node->request_alignment);
    node->discard_granularity = fstat(node->fd, &st) == 0 && st.st_blksize >= BLOCK_SECTOR ?
                                (uint32_t)MIN(st.st_blksize, GRANULARITY_MAX) : BLOCK_SECTOR;
    return true;
}

static int64_t file_measure(const BlockNode *node)
{
    struct stat st;

    return fstat(node->fd, &st) < 0 ? -errno : st.st_size;
}

static bool file_resize(BlockNode *node, uint64_t bytes, GError **error)
{
    if (ftruncate(node->fd, (off_t)bytes) < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "Failed to resize the file: %s", g_strerror(errno));
        return false;
    }
    return true;
}

static int file_discard(BlockNode *node, const BlockRequest *req)
{
    int r;

    do {
        r = fallocate(node->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)req->offset,
                      (off_t)req->bytes);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

const BlockDriver block_file = {
    .name = "file",
    .open = open_image,
    .measure = file_measure,
    .resize = file_resize,
    .may_shrink = true,
    .accepts = file_accepts,
    .find_limits = file_find_limits,
    .discard = file_discard,
};

/* --- host_device --- */

static bool device_accepts(const BlockNode *node, const struct stat *st, GError **error)
{
    if (!S_ISBLK(st->st_mode)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "'host_device' driver requires '%s' to be a block device", node->filename);
        return false;
    }
    return true;
}

/* A number of the queue of the device, which a partition shares; 0 if there is none. */
static uint64_t queue_number(dev_t dev, const char *name)
{
    static const char *const where[] = { "", "../" };

    for (size_t i = 0; i < G_N_ELEMENTS(where); i++) {
        g_autofree char *path = g_strdup_printf("/sys/dev/block/%u:%u/%squeue/%s", major(dev),
                                                minor(dev), where[i], name);
        g_autofree char *text = NULL;

        if (g_file_get_contents(path, &text, NULL, NULL)) {
            return g_ascii_strtoull(text, NULL, 10);
        }
    }
    return 0;
}

static bool device_find_limits(BlockNode *node, GError **error)
{
    unsigned physical = 0;
    struct stat st;
    int logical = 0;

    if (ioctl(node->fd, BLKSSZGET, &logical) < 0 || logical < (int)BLOCK_SECTOR ||
        ioctl(node->fd, BLKPBSZGET, &physical) < 0 || fstat(node->fd, &st) < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "Could not get the block size of '%s': %s", node->filename,
                    g_strerror(errno));
        return false;
    }
    node->logical_block_size = (uint32_t)logical;
    node->physical_block_size = MAX(physical, (unsigned)logical);
    node->discard_granularity = (uint32_t)MIN(queue_number(st.st_rdev, "discard_granularity"),
                                              GRANULARITY_MAX);
    node->discard = node->discard && queue_number(st.st_rdev, "discard_max_bytes") > 0;
    return block_find_alignment(node, error);
}

static int64_t device_measure(const BlockNode *node)
{
    uint64_t bytes = 0;

    return ioctl(node->fd, BLKGETSIZE64, &bytes) < 0 ? -errno : (int64_t)bytes;
}

static bool device_resize(BlockNode *node, uint64_t bytes, GError **error)
{
    if ((uint64_t)device_measure(node) != bytes) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "Cannot resize device files");
        return false;
    }
    return true;
}

/*
 * Whoever wrote past the host's cache (the kernel's blkback does, and another device on the same
 * disk) left in it what was read before, as by pygrub. What is written, but not yet on the disk,
 * stays.
 */
static void device_claimed(BlockNode *node)
{
    if (!node->direct) {
        (void)posix_fadvise(node->fd, 0, 0, POSIX_FADV_DONTNEED);
    }
}

/* The device takes whole blocks: what is left at the ends stays as it is. */
static int device_discard(BlockNode *node, const BlockRequest *req)
{
    uint64_t block = node->logical_block_size;
    uint64_t start = (req->offset + block - 1) / block * block;
    uint64_t end = (req->offset + req->bytes) / block * block;
    uint64_t range[2] = { start, end - start };

    if (req->secure && range[1] != req->bytes) {
        return -EINVAL;
    }
    if (end <= start) {
        return 0;
    }
    return ioctl(node->fd, req->secure ? BLKSECDISCARD : BLKDISCARD, range) < 0 ? -errno : 0;
}

const BlockDriver block_host_device = {
    .name = "host_device",
    .open = open_image,
    .measure = device_measure,
    .resize = device_resize,
    .claimed = device_claimed,
    .accepts = device_accepts,
    .find_limits = device_find_limits,
    .discard = device_discard,
};
