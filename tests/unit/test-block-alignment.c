/*
 * What direct I/O asks for, on kernels that say so and on those that have to be tried. The test
 * is in the way of statx() and pread().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "block-rig.h"

static uint32_t kernel_offset; /* what the kernel says; 0: it does not */
static uint32_t kernel_memory;
static size_t wants;           /* pread() takes multiples of it only; 0: all */
static int preads;

int statx(int dir, const char *path, int flags, unsigned mask, struct statx *st)
{
    if (mask != STATX_DIOALIGN) {
        return (int)syscall(SYS_statx, dir, path, flags, mask, st);
    }
    *st = (struct statx){ .stx_mask = STATX_DIOALIGN, .stx_dio_offset_align = kernel_offset,
                          .stx_dio_mem_align = kernel_memory };
    return 0;
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    preads++;
    if (wants > 0 && n % wants != 0) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_pread64, fd, buf, n, at);
}

static void expect(BlockRig *r, uint32_t request, uint32_t memory)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockNode) node = block_node_open(&r->config, &error);

    if (request == 0) {
        g_assert_null(node);
        g_assert_cmpstr(error->message, ==,
                        "Could not find working O_DIRECT alignment\nTry cache.direct=off");
        return;
    }
    g_assert_no_error(error);
    g_assert_cmpint(node->request_alignment, ==, request);
    g_assert_cmpint(node->memory_alignment, ==, memory);
}

/* False: the file system of the image has no direct I/O; skipped. */
static bool prepare(BlockRig *r, uint32_t offset, uint32_t memory, size_t pread_wants)
{
    int fd = open(r->path, O_RDONLY | O_DIRECT | O_CLOEXEC);

    kernel_offset = offset;
    kernel_memory = memory;
    wants = pread_wants;
    preads = 0;
    r->config.direct = true;
    if (fd < 0) {
        g_test_skip("no direct I/O for files in memory");
        return false;
    }
    close(fd);
    return true;
}

static void test_kernel_says(BlockRig *r, gconstpointer data)
{
    if (prepare(r, 512, 4, 0)) {
        expect(r, 512, 4);
        g_assert_cmpint(preads, ==, 0);
    }
}

static void test_tried(BlockRig *r, gconstpointer data)
{
    static const size_t sizes[] = { 512, 1024, 2048, 4096 };

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        if (prepare(r, 0, 0, sizes[i])) {
            expect(r, (uint32_t)sizes[i], (uint32_t)sizes[i]);
        }
    }
}

/* All is the same to it, or the file is empty: the largest is good for both. */
static void test_tried_in_vain(BlockRig *r, gconstpointer data)
{
    if (prepare(r, 0, 0, 0)) {
        expect(r, 4096, 4096);
    }
}

static void test_nothing_works(BlockRig *r, gconstpointer data)
{
    if (prepare(r, 0, 0, 8192)) {
        expect(r, 0, 0);
    }
    if (prepare(r, 768, 4, 0)) {
        expect(r, 0, 0);
    }
    if (prepare(r, 1u << 30, 4, 0)) {
        expect(r, 0, 0);
    }
}

static void test_not_direct(BlockRig *r, gconstpointer data)
{
    if (prepare(r, 512, 4, 512)) {
        r->config.direct = false;
        expect(r, 1, 1);
        g_assert_cmpint(preads, ==, 0);
    }
}

static const BlockTest tests[] = {
    { "kernel-says", test_kernel_says },
    { "tried", test_tried },
    { "tried-in-vain", test_tried_in_vain },
    { "nothing-works", test_nothing_works },
    { "not-direct", test_not_direct },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    block_rig_add_tests("/block/alignment", tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
