/*
 * Requests that need a copy, as direct I/O does not take them. On an image in memory, which takes
 * all, of whose node the test says that it does not; and on one on a disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block-rig.h"
#include "test-log.h"

#define ALIGN 4096u

static void open_aligned(BlockRig *r, unsigned n)
{
    block_rig_open_node(r);
    r->node->request_alignment = ALIGN;
    r->node->memory_alignment = 512;
    block_rig_start(r, n);
}

/* An aligned address, and so many bytes behind it. */
static uint8_t *place(void **ret_memory, size_t n, size_t off)
{
    g_assert_cmpint(posix_memalign(ret_memory, ALIGN, n + ALIGN), ==, 0);
    memset(*ret_memory, 0, n + ALIGN);
    return (uint8_t *)*ret_memory + off;
}

typedef struct Piece {
    uint64_t offset;
    size_t bytes;
    size_t place;
} Piece;

/* Around blocks, of more than a bounce buffer, and at places of all kinds. */
static const Piece pieces[] = {
    { 512, 512, 0 }, { 0, 512, 0 }, { 3584, 1024, 0 }, { 4096, 4096, 1 }, { 4096, 8192, 3 },
    { 1, 1, 0 }, { 5000, 10000, 7 }, { 8192 + 512, 7 * 512, 512 }, { 100, 700000, 9 },
    { BLOCK_RIG_BYTES - 512, 512, 0 }, { 4096, 600 * 1024, 1 },
};

static void test_read(BlockRig *r, gconstpointer data)
{
    open_aligned(r, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
        const Piece *p = &pieces[i];
        g_autofree uint8_t *want = g_malloc(p->bytes);
        void *memory;
        uint8_t *buf = place(&memory, p->bytes, p->place);

        for (size_t k = 0; k < p->bytes; k++) {
            want[k] = block_rig_byte(p->offset + k);
        }
        g_assert_cmpint(block_rig_io(r, BLOCK_READ, p->offset, buf, p->bytes), ==, 0);
        g_assert_cmpmem(buf, p->bytes, want, p->bytes);
        g_assert_cmpint(buf[p->bytes], ==, 0);
        free(memory);
    }
}

static void test_write_keeps_neighbours(BlockRig *r, gconstpointer data)
{
    g_autofree uint8_t *image = g_malloc(BLOCK_RIG_BYTES);

    for (size_t i = 0; i < BLOCK_RIG_BYTES; i++) {
        image[i] = block_rig_byte(i);
    }
    open_aligned(r, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
        const Piece *p = &pieces[i];
        void *memory;
        uint8_t *buf = place(&memory, p->bytes, p->place);

        for (size_t k = 0; k < p->bytes; k++) {
            buf[k] = image[p->offset + k] = (uint8_t)(0x5a + i + k % 251);
        }
        g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, p->offset, buf, p->bytes), ==, 0);
        block_rig_expect(r, 0, image, BLOCK_RIG_BYTES);
        free(memory);
    }
}

static void test_pieces_of_all_kinds(BlockRig *r, gconstpointer data)
{
    uint8_t buf[6000] = { 0 };
    uint8_t want[6000];
    struct iovec iov[] = {
        { .iov_base = buf, .iov_len = 1 }, { .iov_base = buf + 1, .iov_len = 4095 },
        { .iov_base = buf + 4096, .iov_len = 0 }, { .iov_base = buf + 4096, .iov_len = 1904 },
    };

    open_aligned(r, 1);
    for (size_t k = 0; k < sizeof(want); k++) {
        want[k] = block_rig_byte(12288 + k);
    }
    g_assert_cmpint(block_rig_iov(r, BLOCK_READ, 12288, iov, G_N_ELEMENTS(iov)), ==, 0);
    g_assert_cmpmem(buf, sizeof(buf), want, sizeof(want));
}

/* The image ends within a block: what is there is read, what is written does not go beyond. */
static void test_last_block(BlockRig *r, gconstpointer data)
{
    uint8_t buf[1024] = { 0 };
    uint8_t want[1024];

    g_assert_cmpint(truncate(r->path, 8192 + 1024), ==, 0);
    open_aligned(r, 1);
    g_assert_cmpint(block_node_bytes(r->node), ==, 8192 + 1024);
    for (size_t k = 0; k < sizeof(want); k++) {
        want[k] = block_rig_byte(8192 + k);
    }
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 8192, buf, sizeof(buf)), ==, 0);
    g_assert_cmpmem(buf, sizeof(buf), want, sizeof(want));
    memset(want, 0xcc, sizeof(want));
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 8192, want, sizeof(want)), ==, 0);
    block_rig_expect(r, 8192, want, sizeof(want));
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 8192 + 1024, buf, 512), ==, -EIO);
}

/* What was there and is not any more is never read as zeros: @op, the first one, finds it out. */
static void truncated(BlockRig *r, BlockOp op, uint64_t offset, size_t bytes)
{
    g_autofree char *log = test_log_open();
    uint8_t buf[1024] = { 0 };
    struct stat st;

    open_aligned(r, 1);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 16384, buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(truncate(r->path, 8192 + 512), ==, 0);
    g_usleep(2000); /* it is looked for once a millisecond */
    g_assert_cmpint(block_rig_io(r, op, offset, op == BLOCK_FLUSH ? NULL : buf, bytes), ==, -EIO);
    g_assert_true(block_node_failed(r->node));
    g_assert_cmpint(stat(r->path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 8192 + 512);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 16384, buf, 512), ==, -EIO);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 0, buf, 512), ==, -EIO);
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, -EIO);
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
    g_assert_cmpint(test_log_count(log, "\n"), ==, 1);
    g_assert_cmpint(test_log_count(log, "block node 'disk0': somebody made the image shorter: all "
                                        "requests fail from now on\n"), ==, 1);
    test_log_close(log);
}

static void test_truncated_and_read(BlockRig *r, gconstpointer data)
{
    truncated(r, BLOCK_READ, 8192, 1024);
}

static void test_truncated_and_written(BlockRig *r, gconstpointer data)
{
    truncated(r, BLOCK_WRITE, 32768, 1024);
}

static void test_truncated_and_flushed(BlockRig *r, gconstpointer data)
{
    truncated(r, BLOCK_FLUSH, 0, 0);
}

/* Such a write makes the file as long as it was: the file is measured before each of them. */
static void test_truncated_and_written_to_the_end(BlockRig *r, gconstpointer data)
{
    uint8_t buf[512] = { 0 };

    open_aligned(r, 1);
    for (int i = 0; i < 100; i++) {
        g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, BLOCK_RIG_BYTES - 512, buf, 512), ==, 0);
    }
    g_assert_cmpint(truncate(r->path, 8192), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, BLOCK_RIG_BYTES - 512, buf, 512), ==, -EIO);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 8192, buf, 512), ==, -EIO);
}

/* Sectors of the same blocks, from several threads at once: none is lost. */
static void test_neighbours_at_once(BlockRig *r, gconstpointer data)
{
    enum { N = 128, QUEUES = 4, ROUNDS = 6 };
    g_autofree BlockJob *jobs = g_new0(BlockJob, N * QUEUES);
    g_autofree struct iovec *iov = g_new0(struct iovec, N * QUEUES);
    g_autofree uint8_t *image = g_malloc(N * QUEUES * 512);
    uint8_t *buf;
    void *memory;

    buf = place(&memory, N * QUEUES * 512, 0);
    open_aligned(r, QUEUES);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N * QUEUES; i++) {
            int sector = i % N * QUEUES + i / N; /* neighbours are of different queues */

            memset(buf + i * 512, (round * 31 + i) % 255 + 1, 512);
            memcpy(image + sector * 512, buf + i * 512, 512);
            iov[i] = (struct iovec){ .iov_base = buf + i * 512, .iov_len = 512 };
            jobs[i].req = (BlockRequest){ .op = BLOCK_WRITE, .offset = (uint64_t)sector * 512,
                                          .bytes = 512, .iov = &iov[i], .n_iov = 1 };
        }
        for (unsigned q = 0; q < QUEUES; q++) {
            block_rig_submit(r, q, jobs + q * N, N);
        }
        block_rig_wait(jobs, N * QUEUES);
        block_rig_expect(r, 0, image, N * QUEUES * 512);
    }
    free(memory);
}

/* Direct I/O of a file system that asks for an alignment. */
static void test_direct(BlockRig *r, gconstpointer data)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "ringtap-block-XXXXXX", NULL);
    uint8_t buf[1025] = { 0 };
    uint8_t want[1025];
    g_autoptr(GError) error = NULL;
    int fd = g_mkstemp(path);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, 65536), ==, 0);
    close(fd);
    g_unlink(r->path);
    g_free(r->path);
    r->path = g_steal_pointer(&path);
    r->config.filename = r->path;
    r->config.direct = true;
    r->node = block_node_open(&r->config, &error);
    if (!r->node) {
        g_test_skip(error->message);
        return;
    }
    block_rig_start(r, 1);
    g_assert_cmpint(r->node->request_alignment, >=, 512);
    g_assert_cmpint(r->node->physical_block_size, >=, r->node->request_alignment);
    memset(want, 0x77, sizeof(want));
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 1000, want, sizeof(want)), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    block_rig_expect(r, 1000, want, sizeof(want));
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 1000, buf, sizeof(buf)), ==, 0);
    g_assert_cmpmem(buf, sizeof(buf), want, sizeof(want));
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 0, buf, 1), ==, 0);
    g_assert_cmpint(buf[0], ==, 0);
}

static const BlockTest tests[] = {
    { "read", test_read },
    { "write-keeps-neighbours", test_write_keeps_neighbours },
    { "pieces-of-all-kinds", test_pieces_of_all_kinds },
    { "last-block", test_last_block },
    { "truncated-and-read", test_truncated_and_read },
    { "truncated-and-written", test_truncated_and_written },
    { "truncated-and-flushed", test_truncated_and_flushed },
    { "truncated-and-written-to-the-end", test_truncated_and_written_to_the_end },
    { "neighbours-at-once", test_neighbours_at_once },
    { "direct", test_direct },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    block_rig_add_tests("/block/io", tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
