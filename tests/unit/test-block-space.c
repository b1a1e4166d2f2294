/*
 * An image on a file system that is full, or read-only: one in memory, mounted in a namespace of
 * the test's own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "block-rig.h"
#include "test-log.h"

#define SPACE (256u * 1024)

static bool have_namespace; /* set by main() */

static bool enter_namespace(void)
{
    return (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* The rig's image is replaced by an empty one of the same size where little fits. */
static bool mount_little(BlockRig *r)
{
    int fd;

    if (!have_namespace || mount("none", r->dir, "tmpfs", 0, "size=256k") < 0) {
        g_test_skip("no namespace of mounts: neither root nor user namespaces");
        return false;
    }
    fd = open(r->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, BLOCK_RIG_BYTES), ==, 0);
    close(fd);
    return true;
}

static void unmount(BlockRig *r)
{
    block_rig_close(r);
    g_assert_cmpint(umount2(r->dir, MNT_DETACH), ==, 0);
}

/* What does not fit fails, the rest goes on; when there is room again, so does that. */
static void test_full(BlockRig *r, gconstpointer data)
{
    g_autofree uint8_t *buf = g_malloc(SPACE * 2);
    g_autofree uint8_t *got = g_malloc(4096);

    memset(buf, 0xab, SPACE * 2);
    if (!mount_little(r)) {
        return;
    }
    block_rig_open(r, 1);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 0, buf, 4096), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 4096, buf, SPACE * 2), ==, -ENOSPC);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, SPACE * 3, buf, 4096), ==, -ENOSPC);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 0, got, 4096), ==, 0);
    g_assert_cmpmem(got, 4096, buf, 4096);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 0, buf, 4096), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_false(block_node_failed(r->node));
    g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 4096, NULL, SPACE), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, SPACE * 3, buf, 4096), ==, 0);
    unmount(r);
}

/* However many fail: a line, and how many there were with the next one. */
static void test_is_said_once(BlockRig *r, gconstpointer data)
{
    g_autofree uint8_t *buf = g_malloc0(SPACE * 2);

    if (mount_little(r)) {
        g_autofree char *log = test_log_open();

        block_rig_open(r, 1);
        for (int i = 0; i < 200; i++) {
            g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 0, buf, SPACE * 2), ==, -ENOSPC);
            while (g_main_context_iteration(NULL, FALSE)) {
                continue;
            }
        }
        g_assert_cmpint(test_log_count(log, "\n"), ==, 1);
        g_assert_cmpint(test_log_count(log, "block node 'disk0': write failed: No space left on "
                                            "device\n"), ==, 1);
        unmount(r);
        test_log_close(log);
    }
}

static void test_read_only_if_it_must(BlockRig *r, gconstpointer data)
{
    g_autofree char *want = g_strdup_printf("Could not open '%s': Read-only file system", r->path);
    g_autoptr(GError) error = NULL;
    uint8_t buf[512];

    if (!mount_little(r)) {
        return;
    }
    r->config.auto_read_only = true;
    block_rig_open(r, 1);
    g_assert_false(r->node->read_only);
    block_rig_close(r);
    g_assert_cmpint(mount("none", r->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), ==, 0);
    block_rig_open(r, 1);
    g_assert_true(r->node->read_only);
    g_assert_false(r->node->discard);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 0, buf, 512), ==, 0);
    block_rig_close(r);
    r->config.auto_read_only = false;
    g_assert_null(block_node_open(&r->config, &error));
    g_assert_cmpstr(error->message, ==, want);
    unmount(r);
}

static const BlockTest tests[] = {
    { "full", test_full },
    { "is-said-once", test_is_said_once },
    { "read-only-if-it-must", test_read_only_if_it_must },
};

int main(int argc, char **argv)
{
    have_namespace = enter_namespace();
    g_test_init(&argc, &argv, NULL);
    block_rig_add_tests("/block/space", tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
