/*
 * Block devices: loop devices on the rig's image, which the kernel takes away when they are
 * closed. With sectors of 512 and of 4096 bytes, and past the page cache.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "block-rig.h"

/* Another one may take the same number before us. */
static int try_loop(int control, int image, unsigned sector, char **ret_path)
{
    struct loop_config config = { .fd = (unsigned)image, .block_size = sector,
                                  .info.lo_flags = LO_FLAGS_AUTOCLEAR };
    int n = ioctl(control, LOOP_CTL_GET_FREE);
    g_autofree char *path = g_strdup_printf("/dev/loop%d", n);
    int fd = n < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) < 0) {
        close(fd);
        fd = -1;
    }
    if (fd >= 0) {
        *ret_path = g_steal_pointer(&path);
    }
    return fd;
}

/*
 * A device on the image, of which the rig makes its node. -1: there are none, skipped. Else it is
 * there until what is returned is closed, and the node.
 */
static int loop_open(BlockRig *r, unsigned sector)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int image = open(r->path, O_RDWR | O_CLOEXEC);
    char *path = NULL;
    int fd = -1;

    g_assert_cmpint(image, >=, 0);
    for (int i = 0; control >= 0 && fd < 0 && i < 10; i++) {
        fd = try_loop(control, image, sector, &path);
    }
    if (control >= 0) {
        close(control);
    }
    close(image);
    if (fd < 0) {
        g_test_skip("no loop devices for this user");
        return -1;
    }
    r->config.driver = "host_device";
    r->config.filename = path;
    return fd;
}

static void loop_close(BlockRig *r, int fd)
{
    block_rig_close(r);
    g_assert_cmpint(ioctl(fd, BLKFLSBUF), ==, 0);
    close(fd);
    g_free((char *)r->config.filename);
    r->config.filename = NULL;
}

static void expect_image(BlockRig *r)
{
    g_autofree uint8_t *buf = g_malloc0(8192);
    g_autofree uint8_t *want = g_malloc(8192);

    for (size_t i = 0; i < 8192; i++) {
        want[i] = block_rig_byte(512 + i);
    }
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 512, buf, 8192), ==, 0);
    g_assert_cmpmem(buf, 8192, want, 8192);
}

static void test_device(BlockRig *r, gconstpointer data)
{
    static const uint8_t zeros[8192];
    uint8_t buf[8192];
    int fd = loop_open(r, 512);

    if (fd < 0) {
        return;
    }
    block_rig_open(r, 1);
    g_assert_cmpint(block_node_bytes(r->node), ==, BLOCK_RIG_BYTES);
    g_assert_cmpint(r->node->logical_block_size, ==, 512);
    g_assert_cmpint(r->node->physical_block_size, >=, 512);
    g_assert_cmpint(r->node->request_alignment, ==, 1);
    expect_image(r);
    memset(buf, 0xd5, sizeof(buf));
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 4096 + 512, buf, 1024), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    block_rig_expect(r, 4096 + 512, buf, 1024);
    g_assert_true(r->node->discard);
    g_assert_cmpint(r->node->discard_granularity, >=, 512);
    g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 8192, NULL, 8192), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 8192, buf, 8192), ==, 0);
    g_assert_cmpmem(buf, sizeof(buf), zeros, sizeof(zeros));
    loop_close(r, fd);
}

/* A guest's sectors of 512 bytes on those of 4096, past the page cache. */
static void test_large_sectors(BlockRig *r, gconstpointer data)
{
    uint8_t buf[1024];
    uint8_t byte = block_rig_byte(4096);
    int fd = loop_open(r, 4096);

    if (fd < 0) {
        return;
    }
    r->config.direct = true;
    block_rig_open(r, 1);
    g_assert_cmpint(r->node->logical_block_size, ==, 4096);
    g_assert_cmpint(r->node->physical_block_size, >=, 4096);
    g_assert_cmpint(r->node->request_alignment, ==, 4096);
    g_assert_cmpint(r->node->memory_alignment, >, 1);
    expect_image(r);
    memset(buf, 0x3c, sizeof(buf));
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 4096 + 512, buf, 512), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 12288 - 512, buf, 1024), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    block_rig_expect(r, 4096, &byte, 1);
    block_rig_expect(r, 4096 + 512, buf, 512);
    byte = block_rig_byte(4096 + 1024);
    block_rig_expect(r, 4096 + 1024, &byte, 1);
    block_rig_expect(r, 12288 - 512, buf, 1024);
    loop_close(r, fd);
}

/* What is no whole block at the ends of a discard stays. */
static void test_discard_of_part_of_a_block(BlockRig *r, gconstpointer data)
{
    BlockRequest secure = { .op = BLOCK_DISCARD, .offset = 4096, .bytes = 4096, .secure = true };
    static const uint8_t zeros[4096];
    uint8_t kept[] = { block_rig_byte(4096 + 512), block_rig_byte(12288) };
    int fd = loop_open(r, 4096);

    if (fd < 0) {
        return;
    }
    block_rig_open(r, 1);
    g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 4096 + 512, NULL, 8192), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 512, NULL, 512), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 512, NULL, 4096), ==, 0);
    g_assert_cmpint(block_rig_run(r, 0, &secure), ==, -EOPNOTSUPP);
    secure.offset = 512;
    g_assert_cmpint(block_rig_run(r, 0, &secure), ==, -EINVAL);
    block_rig_expect(r, 4096 + 512, &kept[0], 1);
    block_rig_expect(r, 8192, zeros, sizeof(zeros));
    block_rig_expect(r, 12288, &kept[1], 1);
    kept[0] = block_rig_byte(512);
    block_rig_expect(r, 512, &kept[0], 1);
    loop_close(r, fd);
}

static void test_size_of_a_device(BlockRig *r, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    int fd = loop_open(r, 512);

    if (fd < 0) {
        return;
    }
    block_rig_open(r, 1);
    g_assert_true(block_node_resize(r->node, BLOCK_RIG_BYTES, &error));
    g_assert_false(block_node_resize(r->node, BLOCK_RIG_BYTES / 2, &error));
    g_assert_cmpstr(error->message, ==, "Cannot resize device files");
    g_clear_error(&error);
    g_assert_cmpint(block_node_bytes(r->node), ==, BLOCK_RIG_BYTES);
    g_assert_cmpint(truncate(r->path, 2 * BLOCK_RIG_BYTES), ==, 0);
    g_assert_cmpint(ioctl(fd, LOOP_SET_CAPACITY, 0), ==, 0);
    g_assert_true(block_node_resize(r->node, 2 * BLOCK_RIG_BYTES, &error));
    g_assert_cmpint(block_node_bytes(r->node), ==, 2 * BLOCK_RIG_BYTES);
    g_assert_cmpint(r->changes, ==, 1);
    loop_close(r, fd);
}

/* Somebody has read the device by the host's cache before the disk became another. */
static void test_cache_is_old(BlockRig *r, gconstpointer data)
{
    uint8_t fresh[4096];
    uint8_t buf[4096];
    int fd = loop_open(r, 512);
    int image;

    if (fd < 0) {
        return;
    }
    memset(fresh, 0x11, sizeof(fresh));
    g_assert_cmpint(pread(fd, buf, sizeof(buf), 0), ==, sizeof(buf));
    image = open(r->path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(pwrite(image, fresh, sizeof(fresh), 0), ==, sizeof(fresh));
    close(image);
    g_assert_cmpint(pread(fd, buf, sizeof(buf), 0), ==, sizeof(buf));
    g_assert_cmpint(buf[0], ==, block_rig_byte(0));
    block_rig_open(r, 1);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 0, buf, sizeof(buf)), ==, 0);
    g_assert_cmpmem(buf, sizeof(buf), fresh, sizeof(fresh));
    loop_close(r, fd);
}

static void set_read_only(int fd, int on)
{
    g_assert_cmpint(ioctl(fd, BLKROSET, &on), ==, 0);
}

/* blockdev --setro: a write would fail, though the device can be opened for it. */
static void test_read_only_device(BlockRig *r, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    int fd = loop_open(r, 512);

    if (fd < 0) {
        return;
    }
    set_read_only(fd, 1);
    g_assert_null(block_node_open(&r->config, &error));
    g_assert_true(g_str_has_suffix(error->message, ": Read-only file system"));
    r->config.auto_read_only = true;
    block_rig_open(r, 1);
    g_assert_true(r->node->read_only);
    expect_image(r);
    set_read_only(fd, 0); /* or the next one of this number is, too */
    loop_close(r, fd);
}

static void test_is_no_file(BlockRig *r, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    int fd = loop_open(r, 512);

    if (fd < 0) {
        return;
    }
    r->config.driver = "file";
    g_assert_null(block_node_open(&r->config, &error));
    g_assert_true(g_str_has_suffix(error->message, "to be a regular file"));
    loop_close(r, fd);
}

static const BlockTest tests[] = {
    { "device", test_device },
    { "large-sectors", test_large_sectors },
    { "discard-of-part-of-a-block", test_discard_of_part_of_a_block },
    { "size-of-a-device", test_size_of_a_device },
    { "cache-is-old", test_cache_is_old },
    { "read-only-device", test_read_only_device },
    { "is-no-file", test_is_no_file },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    block_rig_add_tests("/block/device", tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
