/*
 * What direct I/O asks of a request: the kernel says so since 6.1, a block device has its sector,
 * and elsewhere we try.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block-internal.h"

#define ALIGNMENT_MAX 4096u /* what is tried, and taken where all is the same to the kernel */
#define ALIGNMENT_LIMIT BLOCK_BOUNCE


static bool is_power_of_2(uint32_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static bool kernel_says(BlockNode *node)
{
#ifdef STATX_DIOALIGN
    struct statx st;

    if (statx(node->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 &&
        (st.stx_mask & STATX_DIOALIGN) != 0 && st.stx_dio_offset_align != 0) {
        node->request_alignment = st.stx_dio_offset_align;
        node->memory_alignment = st.stx_dio_mem_align;
        return true;
    }
#endif
    return false;
}

static bool device_says(BlockNode *node)
{
    int bytes;

    if (ioctl(node->fd, BLKSSZGET, &bytes) < 0 || bytes <= 0) {
        return false;
    }
    node->request_alignment = (uint32_t)bytes;
    node->memory_alignment = (uint32_t)bytes;
    return true;
}

/* Only EINVAL is about the alignment. An end of file does not tell: all lengths are fine there. */
static bool trying_says(BlockNode *node)
{
    void *buf = NULL;
    uint32_t n;

    if (posix_memalign(&buf, ALIGNMENT_MAX, ALIGNMENT_MAX) != 0) {
        return false;
    }
    for (n = 1; n <= ALIGNMENT_MAX; n = n == 1 ? BLOCK_SECTOR : n * 2) {
        if (pread(node->fd, buf, n, 0) >= 0 || errno != EINVAL) {
            break;
        }
    }
    free(buf);
    node->request_alignment = n == 1 ? ALIGNMENT_MAX : n;
    node->memory_alignment = node->request_alignment;
    return n <= ALIGNMENT_MAX;
}

bool block_find_alignment(BlockNode *node, GError **error)
{
    node->request_alignment = 1;
    node->memory_alignment = 1;
    if (!node->direct) {
        return true;
    }
    if ((kernel_says(node) || device_says(node) || trying_says(node)) &&
        is_power_of_2(node->request_alignment) && is_power_of_2(node->memory_alignment) &&
        node->request_alignment <= ALIGNMENT_LIMIT && node->memory_alignment <= ALIGNMENT_LIMIT) {
        return true;
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                "Could not find working O_DIRECT alignment\nTry cache.direct=off");
    return false;
}
