/*
 * Two who want one image, in two processes and in one: QEMU's bytes, and QEMU's words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block-internal.h"
#include "block-rig.h"

/* Whether somebody else than @fd has @byte. */
static bool is_locked(const BlockRig *r, int byte)
{
    int fd = open(r->path, O_RDWR | O_CLOEXEC);
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fcntl(fd, F_OFD_GETLK, &l), ==, 0);
    close(fd);
    return l.l_type != F_UNLCK;
}

/* All bytes of QEMU's two ranges, and some around: as "100 101 201". */
static void expect_locks(const BlockRig *r, const char *want)
{
    g_autoptr(GString) have = g_string_new(NULL);

    for (int byte = 0; byte < 300; byte++) {
        if (is_locked(r, byte)) {
            g_string_append_printf(have, "%s%d", have->len > 0 ? " " : "", byte);
        }
    }
    g_assert_cmpstr(have->str, ==, want);
}

/* A second one. Its error, or NULL if it had the image; gives it back. */
static char *second(const BlockRig *r, bool writes, bool share_rw)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockNode) node = block_node_open(&r->config, &error);

    g_assert_no_error(error);
    if (!block_node_claim(node, writes, share_rw, &error)) {
        return g_strdup(error->message);
    }
    block_node_release(node);
    return NULL;
}

static void expect_second(const BlockRig *r, bool writes, bool share_rw, const char *what)
{
    g_autofree char *want = what ? g_strdup_printf("Failed to get %s lock\nIs another process "
                                                   "using the image [%s]?", what, r->path) : NULL;
    g_autofree char *error = second(r, writes, share_rw);

    g_assert_cmpstr(error, ==, want);
}

static void claim(BlockRig *r, bool writes, bool share_rw)
{
    g_autoptr(GError) error = NULL;

    r->node = block_node_open(&r->config, &error);
    g_assert_no_error(error);
    expect_locks(r, "");
    block_node_claim(r->node, writes, share_rw, &error);
    g_assert_no_error(error);
}

static void test_bytes(BlockRig *r, gconstpointer data)
{
    static const struct {
        bool writes;
        bool share_rw;
        const char *locks;
    } cases[] = { { true, false, "100 101 201" }, { false, false, "100 201" },
                  { true, true, "100 101" }, { false, true, "100" } };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        claim(r, cases[i].writes, cases[i].share_rw);
        expect_locks(r, cases[i].locks);
        block_node_release(r->node);
        expect_locks(r, "");
        g_clear_pointer(&r->node, block_node_free);
    }
    claim(r, true, false);
    block_rig_close(r);
    expect_locks(r, "");
}

static void test_writer_keeps_others_off(BlockRig *r, gconstpointer data)
{
    claim(r, true, false);
    expect_second(r, true, false, "\"write\"");
    expect_second(r, true, true, "\"write\"");
    expect_second(r, false, false, "shared \"write\"");
    expect_second(r, false, true, NULL);
    expect_locks(r, "100 101 201"); /* who failed took none of ours */
}

static void test_readers_get_on(BlockRig *r, gconstpointer data)
{
    r->config.read_only = true;
    claim(r, false, false);
    expect_second(r, false, false, NULL);
    r->config.read_only = false;
    expect_second(r, true, true, "\"write\"");
}

/* Who could not have it stays open, and can try again. */
static void test_failed_claim_holds_nothing(BlockRig *r, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockNode) other = block_node_open(&r->config, &error);

    g_assert_no_error(error);
    claim(r, true, false);
    g_assert_false(block_node_claim(other, true, false, &error));
    g_clear_error(&error);
    block_rig_close(r);
    expect_locks(r, "");
    g_assert_true(block_node_claim(other, true, false, &error));
    expect_locks(r, "100 101 201");
    block_node_release(other);
}

static void test_shared(BlockRig *r, gconstpointer data)
{
    claim(r, true, true);
    expect_second(r, true, true, NULL);
    expect_second(r, true, false, "shared \"write\"");
}

static gpointer release_later(gpointer opaque)
{
    BlockRig *r = opaque;

    g_usleep(100000);
    block_unlock(r->node);
    return NULL;
}

/* At the start of the program only: that of somebody who is ending. */
static void test_start_waits(BlockRig *r, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockNode) other = NULL;
    GThread *thread;

    r->config.at_start = true;
    other = block_node_open(&r->config, &error);
    g_assert_no_error(error);
    r->config.at_start = false;
    claim(r, true, false);
    expect_second(r, true, false, "\"write\"");
    thread = g_thread_new("ends", release_later, r);
    g_assert_true(block_node_claim(other, true, false, &error));
    g_thread_join(thread);
    block_node_release(other);
    block_node_claim(other, true, false, &error);
    g_assert_no_error(error);
    expect_second(r, true, false, "\"write\""); /* and not for ever */
    block_node_release(other);
}

static void test_locking_is_off(BlockRig *r, gconstpointer data)
{
    r->config.locking = ON_OFF_AUTO_OFF;
    claim(r, true, false);
    expect_locks(r, "");
    expect_second(r, true, false, NULL);
    r->config.locking = ON_OFF_AUTO_ON;
    expect_second(r, true, false, NULL);
}

/* The other one is a process that is killed: its locks go with it. */
static void test_other_process(BlockRig *r, gconstpointer data)
{
    int ready[2];
    char byte;
    int status;
    pid_t pid;

    g_assert_cmpint(pipe(ready), ==, 0);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        claim(r, true, false);
        g_assert_cmpint(write(ready[1], "", 1), ==, 1);
        for (;;) {
            pause();
        }
    }
    g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
    expect_locks(r, "100 101 201");
    expect_second(r, true, false, "\"write\"");
    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    expect_second(r, true, false, NULL);
    close(ready[0]);
    close(ready[1]);
}

static const BlockTest tests[] = {
    { "bytes", test_bytes },
    { "writer-keeps-others-off", test_writer_keeps_others_off },
    { "readers-get-on", test_readers_get_on },
    { "failed-claim-holds-nothing", test_failed_claim_holds_nothing },
    { "shared", test_shared },
    { "start-waits", test_start_waits },
    { "locking-is-off", test_locking_is_off },
    { "other-process", test_other_process },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    block_rig_add_tests("/block/lock", tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
