/*
 * Calls that do a part of what they were asked for, or were interrupted: the rest follows. The
 * test is in the way of the calls that workers make.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "block-rig.h"

static int calls;      /* of the four below; relaxed atomic */
static size_t part;    /* so much at once; 0: all */

/* Every third call is interrupted. */
static bool interrupted(void)
{
    if (part > 0 && __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 3 == 0) {
        errno = EINTR;
        return true;
    }
    return false;
}

static ssize_t part_of(long nr, int fd, const struct iovec *iov, int n, off_t at)
{
    struct iovec first = *iov;

    if (interrupted()) {
        return -1;
    }
    if (part == 0) {
        return syscall(nr, fd, iov, n, at, 0);
    }
    first.iov_len = MIN(first.iov_len, part);
    return syscall(nr, fd, &first, 1, at, 0);
}

ssize_t preadv(int fd, const struct iovec *iov, int n, off_t at)
{
    return part_of(SYS_preadv, fd, iov, n, at);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    return part_of(SYS_pwritev, fd, iov, n, at);
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    return interrupted() ? -1 : syscall(SYS_pread64, fd, buf, part > 0 ? MIN(n, part) : n, at);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
    return interrupted() ? -1 : syscall(SYS_pwrite64, fd, buf, part > 0 ? MIN(n, part) : n, at);
}

/* The kernel has an io_uring, as util/io-ring.c wants it. */
static bool has_io_uring(void)
{
    struct io_uring ring;

    if (io_uring_queue_init(8, &ring, 0) < 0) {
        return false;
    }
    io_uring_queue_exit(&ring);
    return true;
}

/*
 * Reads and writes in three pieces, at once @bytes at most. The calls must have been ours where
 * workers do it, as with @copies, and none of them, but the first, where io_uring does.
 */
static void transfer(BlockRig *r, size_t bytes, bool copies)
{
    bool by_ring = r->config.aio == BLOCK_AIO_IO_URING && !copies && has_io_uring();
    enum { N = 24 * 512 };
    g_autofree uint8_t *want = g_malloc(N);
    uint8_t *buf = NULL;
    struct iovec iov[3];

    g_assert_cmpint(posix_memalign((void **)&buf, 4096, N), ==, 0);
    for (int write = 0; write < 2; write++) {
        uint64_t offset = write ? 65536 + 512 : 8192 + 512;

        for (size_t i = 0; i < N; i++) {
            want[i] = block_rig_byte(8192 + 512 + i);
        }
        iov[0] = (struct iovec){ .iov_base = buf, .iov_len = 1024 };
        iov[1] = (struct iovec){ .iov_base = buf + 1024, .iov_len = 512 };
        iov[2] = (struct iovec){ .iov_base = buf + 1536, .iov_len = N - 1536 };
        calls = 0;
        part = bytes;
        g_assert_cmpint(block_rig_iov(r, write ? BLOCK_WRITE : BLOCK_READ, offset, iov, 3), ==, 0);
        part = 0;
        if (by_ring) {
            g_assert_cmpint(calls, <=, 1); /* the thread may begin it itself: here.c */
        } else {
            g_assert_cmpint(calls, >, 3);
        }
        g_assert_cmpmem(buf, N, want, N);
    }
    block_rig_expect(r, 65536 + 512, want, N);
    free(buf);
}

static void test_in_parts(BlockRig *r, gconstpointer data)
{
    block_rig_open(r, 1);
    transfer(r, 700, false);
    transfer(r, 700, false); /* not only the first ones */
}

static void test_copies_in_parts(BlockRig *r, gconstpointer data)
{
    block_rig_open_node(r);
    r->node->request_alignment = 4096;
    r->node->memory_alignment = 512;
    block_rig_start(r, 1);
    transfer(r, 4096, true);
}

static const BlockTest tests[] = {
    { "in-parts", test_in_parts },
    { "copies-in-parts", test_copies_in_parts },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    block_rig_add_tests("/block/short", tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
