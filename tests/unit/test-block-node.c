/*
 * Nodes: what is opened and what is not, how long it is, and how that changes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block-rig.h"

/* @before and @after: of the path in the message. */
static void expect_no_node(BlockRig *r, const char *before, const char *path, const char *after)
{
    g_autofree char *want = g_strconcat(before, " '", path, "'", after, NULL);
    g_autoptr(GError) error = NULL;

    r->config.filename = path;
    g_assert_null(block_node_open(&r->config, &error));
    g_assert_nonnull(error);
    g_assert_cmpstr(error->message, ==, want);
}

static void test_no_such_file(BlockRig *r, gconstpointer data)
{
    g_autofree char *path = g_build_filename(r->dir, "nothing", NULL);

    expect_no_node(r, "Could not open", path, ": No such file or directory");
    r->config.driver = "host_device";
    expect_no_node(r, "Could not open", path, ": No such file or directory");
}

static void test_no_file(BlockRig *r, gconstpointer data)
{
    g_autofree char *fifo = g_build_filename(r->dir, "fifo", NULL);

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    for (int read_only = 0; read_only < 2; read_only++) {
        r->config.read_only = read_only;
        expect_no_node(r, "'file' driver requires", r->dir, " to be a regular file");
        expect_no_node(r, "'file' driver requires", "/dev/zero", " to be a regular file");
        expect_no_node(r, "'file' driver requires", fifo, " to be a regular file");
    }
    g_unlink(fifo);
}

static void test_no_device(BlockRig *r, gconstpointer data)
{
    r->config.driver = "host_device";
    expect_no_node(r, "'host_device' driver requires", r->path, " to be a block device");
    expect_no_node(r, "'host_device' driver requires", r->dir, " to be a block device");
    expect_no_node(r, "'host_device' driver requires", "/dev/zero", " to be a block device");
}

static void test_no_driver(BlockRig *r, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    r->config.driver = "qcow2";
    g_assert_null(block_node_open(&r->config, &error));
    g_assert_cmpstr(error->message, ==, "Unknown driver 'qcow2'");
}

/* No format is ever looked for: a guest could have written it. */
static void test_a_format_is_data(BlockRig *r, gconstpointer data)
{
    char head[512] = "QFI\xfb\0\0\0\3";
    char buf[512];

    block_rig_open(r, 1);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 0, head, sizeof(head)), ==, 0);
    block_rig_close(r);
    block_rig_open(r, 1);
    g_assert_cmpint(block_node_bytes(r->node), ==, BLOCK_RIG_BYTES);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 0, buf, sizeof(buf)), ==, 0);
    g_assert_cmpmem(buf, sizeof(buf), head, sizeof(head));
}

static void test_sizes(BlockRig *r, gconstpointer data)
{
    static const struct {
        off_t is;
        uint64_t shown;
    } sizes[] = { { 0, 0 }, { 1, 0 }, { 511, 0 }, { 512, 512 }, { 1023, 512 }, { 1536, 1536 },
                  { (off_t)1 << 40, (uint64_t)1 << 40 } };
    uint8_t buf[512];

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_assert_cmpint(truncate(r->path, sizes[i].is), ==, 0);
        block_rig_open(r, 1);
        g_assert_cmpint(block_node_bytes(r->node), ==, sizes[i].shown);
        g_assert_cmpint(r->node->logical_block_size, ==, 512);
        g_assert_cmpint(block_rig_io(r, BLOCK_READ, sizes[i].shown, buf, 512), ==, -EIO);
        if (sizes[i].shown > 0) {
            g_assert_cmpint(block_rig_io(r, BLOCK_READ, sizes[i].shown - 512, buf, 512), ==, 0);
        }
        block_rig_close(r);
    }
}

static void test_resize(BlockRig *r, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    uint8_t buf[512] = { 0 };
    struct stat st;

    block_rig_open(r, 1);
    g_assert_true(block_node_resize(r->node, 2 * BLOCK_RIG_BYTES, &error));
    g_assert_cmpint(block_node_bytes(r->node), ==, 2 * BLOCK_RIG_BYTES);
    g_assert_cmpint(r->changes, ==, 1);
    g_assert_cmpint(stat(r->path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 2 * BLOCK_RIG_BYTES);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 2 * BLOCK_RIG_BYTES - 512, buf, 512), ==, 0);
    g_assert_true(block_node_resize(r->node, 512, &error));
    g_assert_cmpint(r->changes, ==, 2);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 512, buf, 512), ==, -EIO);
    g_assert_true(block_node_resize(r->node, 512, &error));
    g_assert_cmpint(r->changes, ==, 2);
    g_assert_cmpint(stat(r->path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 512);
}

static void expect_no_resize(BlockRig *r, uint64_t bytes, const char *want)
{
    g_autoptr(GError) error = NULL;
    uint64_t before = block_node_bytes(r->node);

    g_assert_false(block_node_resize(r->node, bytes, &error));
    g_assert_cmpstr(error->message, ==, want);
    g_assert_cmpint(block_node_bytes(r->node), ==, before);
    g_assert_cmpint(r->changes, ==, 0);
}

static void test_resize_is_refused(BlockRig *r, gconstpointer data)
{
    block_rig_open(r, 1);
    expect_no_resize(r, 513, "The new size must be a multiple of 512");
    expect_no_resize(r, UINT64_MAX / 512 * 512, "The new size is too large");
    block_rig_close(r);
    r->config.read_only = true;
    block_rig_open(r, 1);
    expect_no_resize(r, 512, "Image is read-only");
}

/* Nor does it look shorter for having tried. */
static void test_may_not_shrink(BlockRig *r, gconstpointer data)
{
    int fd = memfd_create("image", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, 8192), ==, 0);
    g_assert_cmpint(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), ==, 0);
    r->config.filename = path;
    block_rig_open(r, 1);
    expect_no_resize(r, 4096, "Failed to resize the file: Operation not permitted");
    close(fd);
}

/* Files may not be longer than so: of a write that goes beyond it, a part is done. */
static void test_limit_of_files(BlockRig *r, gconstpointer data)
{
    g_autofree uint8_t *buf = g_malloc(BLOCK_RIG_BYTES);
    struct rlimit was;
    struct rlimit limit;

    memset(buf, 0x42, BLOCK_RIG_BYTES);
    g_assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    g_assert_cmpint(truncate(r->path, 4 * BLOCK_RIG_BYTES), ==, 0);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &was), ==, 0);
    limit = (struct rlimit){ .rlim_cur = 2 * BLOCK_RIG_BYTES, .rlim_max = was.rlim_max };
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    block_rig_open(r, 1);
    expect_no_resize(r, 8 * BLOCK_RIG_BYTES, "Failed to resize the file: File too large");
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 2 * BLOCK_RIG_BYTES - 4096, buf,
                                 BLOCK_RIG_BYTES), ==, -EFBIG);
    block_rig_expect(r, 2 * BLOCK_RIG_BYTES - 4096, buf, 4096);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &was), ==, 0);
}

static void test_refresh(BlockRig *r, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    block_rig_open(r, 1);
    g_assert_true(block_node_refresh(r->node, &error));
    g_assert_cmpint(r->changes, ==, 0);
    g_assert_cmpint(truncate(r->path, 3 * BLOCK_RIG_BYTES + 100), ==, 0);
    g_assert_cmpint(block_node_bytes(r->node), ==, BLOCK_RIG_BYTES);
    g_assert_true(block_node_refresh(r->node, &error));
    g_assert_cmpint(block_node_bytes(r->node), ==, 3 * BLOCK_RIG_BYTES);
    g_assert_cmpint(r->changes, ==, 1);
}

/* The name is somebody else's by then. */
static void test_image_of_another_node(BlockRig *r, gconstpointer data)
{
    g_autofree char *moved = g_strconcat(r->path, "-moved", NULL);
    g_autoptr(BlockNode) first = block_node_open(&r->config, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(first);
    g_assert_cmpint(g_rename(r->path, moved), ==, 0);
    g_assert_true(g_file_set_contents(r->path, "x", 1, NULL));
    r->config.image = first;
    r->config.read_only = true;
    r->node = block_node_open(&r->config, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(r->node->filename, ==, r->path);
    g_assert_cmpuint(block_node_bytes(r->node), ==, BLOCK_RIG_BYTES);
    g_assert_true(r->node->read_only);
    g_assert_false(first->read_only);
    g_unlink(moved);
}

static void test_holes_are_not_allocated(BlockRig *r, gconstpointer data)
{
    block_rig_open_node(r);
    g_assert_cmpint(block_node_allocated(r->node), >=, BLOCK_RIG_BYTES);
    g_assert_true(block_node_resize(r->node, 64 * BLOCK_RIG_BYTES, NULL));
    g_assert_cmpint(block_node_allocated(r->node), <, 2 * BLOCK_RIG_BYTES);
}

static void test_read_only_is_not_written(BlockRig *r, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    r->config.read_only = true;
    r->node = block_node_open(&r->config, &error);
    g_assert_no_error(error);
    g_assert_false(block_node_claim(r->node, true, false, &error));
    g_assert_cmpstr(error->message, ==, "Block node is read-only");
    g_assert_false(r->node->in_use);
}

static const BlockTest tests[] = {
    { "no-such-file", test_no_such_file },
    { "no-file", test_no_file },
    { "no-device", test_no_device },
    { "no-driver", test_no_driver },
    { "a-format-is-data", test_a_format_is_data },
    { "sizes", test_sizes },
    { "resize", test_resize },
    { "resize-is-refused", test_resize_is_refused },
    { "may-not-shrink", test_may_not_shrink },
    { "limit-of-files", test_limit_of_files },
    { "refresh", test_refresh },
    { "image-of-another-node", test_image_of_another_node },
    { "holes-are-not-allocated", test_holes_are_not_allocated },
    { "read-only-is-not-written", test_read_only_is_not_written },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    block_rig_add_tests("/block/node", tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
