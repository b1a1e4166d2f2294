/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration/channel.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration/stream.h"

#define LONG (300u * 1024) /* more than a socket takes at once */

static const MigrationFiles none;

typedef struct Fixture {
    char *dir;
    char *uri;  /* in it */
    MigrationListener *listener;
    MigrationChannel *in;
} Fixture;

static void up(Fixture *f, const char *kind)
{
    *f = (Fixture){ .dir = g_dir_make_tmp("ringtap-test-XXXXXX", NULL) };
    f->uri = g_strdup_printf("%s:%s/it", kind, f->dir);
}

static void down(Fixture *f)
{
    g_autofree char *path = g_build_filename(f->dir, "it", NULL);

    migration_channel_free(f->in);
    migration_listener_free(f->listener);
    g_unlink(path);
    g_assert_cmpint(g_rmdir(f->dir), ==, 0); /* nothing else is left */
    g_free(f->uri);
    g_free(f->dir);
}

static void arrived(void *opaque, MigrationChannel *c)
{
    Fixture *f = opaque;

    g_clear_pointer(&f->listener, migration_listener_free);
    f->in = c;
}

static void listen_at(Fixture *f)
{
    GError *error = NULL;

    f->listener = migration_listen(f->uri, &none, arrived, f, &error);
    g_assert_no_error(error);
}

static void wait_for_channel(Fixture *f)
{
    while (!f->in) {
        g_main_context_iteration(NULL, TRUE);
    }
}

/* --- both ends --- */

static gpointer write_long(gpointer opaque)
{
    g_autofree char *data = g_malloc(LONG);

    for (size_t i = 0; i < LONG; i++) {
        data[i] = (char)(i % 251);
    }
    for (size_t at = 0; at < LONG; at += 1000) { /* pieces that do not fit its buffer */
        g_assert_true(migration_channel_write(opaque, data + at, MIN(1000, LONG - at), NULL));
    }
    g_assert_true(migration_channel_flush(opaque, NULL));
    return NULL;
}

static void expect_long(MigrationChannel *in)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *data = g_malloc(LONG);
    char more;

    for (size_t at = 0; at < LONG; at += 777) {
        g_assert_true(migration_channel_read(in, data + at, MIN(777, LONG - at), NULL));
    }
    for (size_t i = 0; i < LONG; i++) {
        g_assert_cmpint(data[i], ==, (char)(i % 251));
    }
    g_assert_false(migration_channel_read(in, &more, 1, &error));
    g_assert_cmpstr(error->message, ==,
                    "Unable to read from migration stream: it ends too early");
}

static gpointer write_long_and_end(gpointer opaque)
{
    (void)write_long(opaque);
    migration_channel_free(opaque);
    return NULL;
}

static void test_unix(void)
{
    MigrationChannel *out;
    GThread *thread;
    Fixture f;

    up(&f, "unix");
    listen_at(&f);
    out = migration_channel_out(f.uri, &none, NULL);
    g_assert_nonnull(out);
    wait_for_channel(&f);
    g_assert_null(migration_channel_out(f.uri, &none, NULL)); /* one peer is all */
    thread = g_thread_new("writer", write_long_and_end, out);
    expect_long(f.in);
    g_thread_join(thread);
    down(&f);
}

static int reopen(int fd, int flags)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

    fd = open(path, flags | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static void test_file(void)
{
    MigrationChannel *out;
    Fixture f;

    up(&f, "file");
    out = migration_channel_out(f.uri, &none, NULL);
    g_assert_nonnull(out);
    (void)write_long_and_end(out);
    listen_at(&f);
    g_assert_null(f.in); /* not before the main loop runs */
    wait_for_channel(&f);
    expect_long(f.in);
    down(&f);
}

/* A file whose first part is somebody else's, by a descriptor of it. */
static void test_file_offset(void)
{
    static const char head[] = "the first 4096 bytes are a header";
    int fd = memfd_create("image", MFD_CLOEXEC);
    g_autofree char *text = g_malloc0(4096 + LONG + 1);
    g_autoptr(GError) error = NULL;
    FdSets *sets = fd_sets_new();
    const MigrationFiles files = { .fd_sets = sets };
    MigrationChannel *out;
    int64_t id;
    Fixture f;

    up(&f, "file");
    g_assert_cmpint(pwrite(fd, head, sizeof(head), 0), ==, sizeof(head));
    g_assert_cmpint(ftruncate(fd, 4 << 20), ==, 0); /* what was there goes */
    g_assert_true(fd_sets_add(sets, fd, 3, NULL, &id, NULL));
    out = migration_channel_out("file:/dev/fdset/3,offset=4k", &files, &error);
    g_assert_null(out); /* for writing alone */
    g_assert_cmpstr(error->message, ==, "Could not open '/dev/fdset/3': Permission denied");
    g_assert_true(fd_sets_add(sets, reopen(fd, O_WRONLY), 3, NULL, &id, NULL));
    g_assert_true(fd_sets_add(sets, reopen(fd, O_RDONLY), 3, NULL, &id, NULL));
    out = migration_channel_out("file:/dev/fdset/3,offset=4k", &files, NULL);
    g_assert_nonnull(out);
    (void)write_long_and_end(out);
    g_assert_cmpint(pread(fd, text, 4096 + LONG + 1, 0), ==, 4096 + LONG);
    g_assert_cmpstr(text, ==, head);
    f.listener = migration_listen("file:/dev/fdset/3,offset=0x1000", &files, arrived, &f, NULL);
    wait_for_channel(&f);
    expect_long(f.in);
    fd_sets_free(sets);
    down(&f);
}

static int pipe_end(void *opaque, const char *name)
{
    int *ends = opaque;

    return g_str_equal(name, "reader") ? ends[0] : g_str_equal(name, "writer") ? ends[1] : -1;
}

static void test_descriptors_by_name(void)
{
    g_autoptr(GError) error = NULL;
    int ends[2];
    const MigrationFiles by_name = { .by_name = pipe_end, .opaque = ends };
    MigrationChannel *out;
    GThread *thread;
    Fixture f;

    up(&f, "fd");
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    out = migration_channel_out("fd:writer", &by_name, NULL);
    g_assert_nonnull(out);
    f.listener = migration_listen("fd:reader", &by_name, arrived, &f, NULL);
    wait_for_channel(&f);
    thread = g_thread_new("writer", write_long_and_end, out);
    expect_long(f.in);
    g_thread_join(thread);
    g_assert_null(migration_channel_out("fd:none", &by_name, &error));
    g_assert_cmpstr(error->message, ==, "File descriptor named 'none' has not been found");
    down(&f);
}

static void test_descriptor_by_number(void)
{
    int fd = dup(STDOUT_FILENO); /* is inherited, as it is not closed by an exec */
    g_autofree char *uri = g_strdup_printf("fd:%d", fd);
    MigrationChannel *c = migration_channel_out(uri, &none, NULL);

    g_assert_nonnull(c);
    migration_channel_free(c);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1); /* it was ours */
}

/* --- cancelled --- */

static gpointer read_one(gpointer opaque)
{
    GError *error = NULL;
    char byte;

    g_assert_false(migration_channel_read(opaque, &byte, 1, &error));
    return error;
}

static gpointer write_for_ever(gpointer opaque)
{
    static const char data[65536];
    GError *error = NULL;

    while (migration_channel_write(opaque, data, sizeof(data), &error)) {
        continue;
    }
    return error;
}

static void expect_cancelled(GThread *thread, MigrationChannel *c)
{
    g_autoptr(GError) error = NULL;

    migration_channel_cancel(c);
    error = g_thread_join(thread);
    g_assert_cmpstr(error->message, ==, "Migration was cancelled");
    migration_channel_free(c);
}

static void test_cancel(void)
{
    GThread *writer, *reader;
    MigrationChannel *out;
    Fixture f;

    up(&f, "unix");
    listen_at(&f);
    out = migration_channel_out(f.uri, &none, NULL);
    wait_for_channel(&f);
    reader = g_thread_new("reader", read_one, f.in);
    expect_cancelled(reader, g_steal_pointer(&f.in));
    down(&f);
    migration_channel_free(out);

    up(&f, "unix");
    listen_at(&f);
    out = migration_channel_out(f.uri, &none, NULL);
    wait_for_channel(&f);
    writer = g_thread_new("writer", write_for_ever, out); /* that nobody reads */
    expect_cancelled(writer, out);
    down(&f);
}

static void test_peer_goes(void)
{
    g_autoptr(GError) error = NULL;
    MigrationChannel *out;
    Fixture f;

    up(&f, "unix");
    listen_at(&f);
    out = migration_channel_out(f.uri, &none, NULL);
    wait_for_channel(&f);
    g_clear_pointer(&f.in, migration_channel_free);
    error = write_for_ever(out);
    g_assert_cmpstr(error->message, ==,
                    "Unable to write to migration stream: Broken pipe");
    migration_channel_free(out);
    down(&f);
}

/* --- descriptors that go along --- */

static void pair_up(Fixture *f, MigrationChannel **ret_out)
{
    up(f, "unix");
    listen_at(f);
    *ret_out = migration_channel_out(f->uri, &none, NULL);
    g_assert_nonnull(*ret_out);
    wait_for_channel(f);
}

static bool is_same_file(int a, int b)
{
    struct stat sa, sb;

    return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_ino == sb.st_ino;
}

static void test_fds(void)
{
    static const char text[] = "before";
    MigrationChannel *out;
    char got[sizeof(text)], zero;
    int fds[MIGRATION_FDS_AT_ONCE + 1];
    Fixture f;

    pair_up(&f, &out);
    g_assert_true(migration_channel_is_local(out) && migration_channel_is_local(f.in));
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = memfd_create("x", MFD_CLOEXEC);
    }
    g_assert_true(migration_channel_write(out, text, sizeof(text), NULL));
    g_assert_true(migration_channel_write_fds(out, fds, MIGRATION_FDS_AT_ONCE, NULL));
    g_assert_true(migration_channel_write_fds(out, &fds[MIGRATION_FDS_AT_ONCE], 1, NULL));
    g_assert_true(migration_channel_read(f.in, got, sizeof(text), NULL));
    g_assert_cmpstr(got, ==, text);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(migration_channel_read(f.in, &zero, 1, NULL));
        g_assert_cmpint(zero, ==, 0);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        int fd = migration_channel_take_fd(f.in);

        g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
        g_assert_true(is_same_file(fd, fds[i]));
        close(fd);
        close(fds[i]);
    }
    g_assert_cmpint(migration_channel_take_fd(f.in), ==, -1);
    migration_channel_free(out);
    down(&f);
}

/* Each speaks in turn. */
static void test_turns(void)
{
    g_autoptr(GError) error = NULL;
    MigrationChannel *out;
    char byte = 7;
    Fixture f;

    pair_up(&f, &out);
    g_assert_true(migration_channel_write(out, "ab", 2, NULL));
    g_assert_true(migration_channel_flush(out, NULL));
    g_assert_true(migration_channel_turn(out, NULL));
    g_assert_true(migration_channel_read(f.in, &byte, 1, NULL));
    g_assert_false(migration_channel_turn(f.in, &error));
    g_assert_cmpstr(error->message, ==,
                    "Migration stream is broken: there is more behind its end");
    g_assert_true(migration_channel_read(f.in, &byte, 1, NULL));
    g_assert_true(migration_channel_turn(f.in, NULL));
    g_assert_true(migration_channel_write(f.in, "c", 1, NULL));
    g_assert_true(migration_channel_flush(f.in, NULL));
    g_assert_true(migration_channel_read(out, &byte, 1, NULL));
    g_assert_cmpint(byte, ==, 'c');
    migration_channel_free(out);
    down(&f);
}

/* Nobody makes us keep any number of them. */
static void test_too_many_fds(void)
{
    g_autoptr(GError) error = NULL;
    int fds[MIGRATION_FDS_AT_ONCE];
    MigrationChannel *out;
    char zero;
    Fixture f;

    pair_up(&f, &out);
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = STDERR_FILENO;
    }
    for (unsigned i = 0; i < 3; i++) {
        g_assert_true(migration_channel_write_fds(out, fds, G_N_ELEMENTS(fds), NULL));
        g_assert_true(migration_channel_read(f.in, &zero, 1, NULL));
    }
    g_assert_true(migration_channel_write_fds(out, fds, 1, NULL));
    g_assert_false(migration_channel_read(f.in, &zero, 1, &error));
    g_assert_cmpstr(error->message, ==,
                    "Unable to read from migration stream: Too many open files");
    migration_channel_free(out);
    down(&f);
}

static void test_not_local(void)
{
    MigrationChannel *out;
    int ends[2];
    const MigrationFiles by_name = { .by_name = pipe_end, .opaque = ends };
    Fixture f;

    up(&f, "file");
    out = migration_channel_out(f.uri, &none, NULL);
    g_assert_false(migration_channel_is_local(out));
    migration_channel_free(out);
    down(&f);
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    out = migration_channel_out("fd:writer", &by_name, NULL);
    g_assert_false(migration_channel_is_local(out));
    migration_channel_free(out);
    close(ends[0]);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
    out = migration_channel_out("fd:writer", &by_name, NULL);
    g_assert_true(migration_channel_is_local(out));
    migration_channel_free(out);
    close(ends[0]);
}

/* --- words that are wrong --- */

static void test_listener_goes(void)
{
    Fixture f;

    up(&f, "unix");
    listen_at(&f);
    down(&f); /* its socket as well */
    up(&f, "file");
    g_assert_null(migration_listen(f.uri, &none, arrived, &f, NULL));
    down(&f);
}

static void test_errors(void)
{
    static const struct {
        const char *uri;
        const char *out; /* error; NULL: that of in */
        const char *in;
    } cases[] = {
        { "", NULL, "unknown migration protocol: " },
        { "defer", NULL, "unknown migration protocol: defer" },
        { "exec:cat", NULL, "unknown migration protocol: exec:cat" },
        { "unixx:/x", NULL, "unknown migration protocol: unixx:/x" },
        { "tcp:", NULL, "error parsing address ''" },
        { "tcp:host", NULL, "error parsing address 'host'" },
        { "tcp:host:", NULL, "error parsing address 'host:'" },
        { "fd:x", NULL, "Invalid file descriptor number 'x'" },
        { "fd:99999999999", NULL, "Invalid file descriptor number '99999999999'" },
        { "fd:1", NULL, "Can't use file descriptor 1: it was not inherited, or is in use" },
        { "fd:1000", NULL, "Can't use file descriptor 1000: it was not inherited, or is in use" },
        { "file:/x,offset=", NULL, "file URI has bad offset " },
        { "file:/x,offset=-1", NULL, "file URI has bad offset -1" },
        { "file:/x,offset=1x", NULL, "file URI has bad offset 1x" },
        { "file:/x,offset=9e", NULL, "file offset 10376293541461622784 is too large" },
        { "file:/dev/fdset/1", NULL, "Could not open '/dev/fdset/1': No such file or directory" },
        { "file:/none/x", NULL, "Could not open '/none/x': No such file or directory" },
        { "unix:/none/x", "Failed to connect to '/none/x': No such file or directory",
          "Failed to bind socket to /none/x: No such file or directory" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) out = NULL;
        g_autoptr(GError) in = NULL;

        g_assert_null(migration_channel_out(cases[i].uri, &none, &out));
        g_assert_cmpstr(out->message, ==, cases[i].out ? cases[i].out : cases[i].in);
        g_assert_null(migration_listen(cases[i].uri, &none, arrived, NULL, &in));
        g_assert_cmpstr(in->message, ==, cases[i].in);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    g_test_add_func("/migration/channel/unix", test_unix);
    g_test_add_func("/migration/channel/file", test_file);
    g_test_add_func("/migration/channel/file-offset", test_file_offset);
    g_test_add_func("/migration/channel/descriptors-by-name", test_descriptors_by_name);
    g_test_add_func("/migration/channel/descriptor-by-number", test_descriptor_by_number);
    g_test_add_func("/migration/channel/cancel", test_cancel);
    g_test_add_func("/migration/channel/peer-goes", test_peer_goes);
    g_test_add_func("/migration/channel/fds", test_fds);
    g_test_add_func("/migration/channel/turns", test_turns);
    g_test_add_func("/migration/channel/too-many-fds", test_too_many_fds);
    g_test_add_func("/migration/channel/not-local", test_not_local);
    g_test_add_func("/migration/channel/listener-goes", test_listener_goes);
    g_test_add_func("/migration/channel/errors", test_errors);
    return g_test_run();
}
