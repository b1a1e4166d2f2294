/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/chardev.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"
#include "util/process.h"

typedef struct Fixture {
    char *dir;
    char *path;
    Chardev *c;
    /* what the handler got */
    int fd;
    unsigned n;
    bool reject;   /* the handler closes it, and says so at once */
    unsigned ended;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->dir = g_dir_make_tmp("test-chardev-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "s", NULL);
    f->fd = -1;
}

static void teardown(Fixture *f, gconstpointer data)
{
    chardev_free(f->c);
    fd_close(&f->fd);
    g_unlink(f->path);
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_free(f->path);
    g_free(f->dir);
}

static void connected(void *opaque, int fd)
{
    Fixture *f = opaque;

    g_assert_cmpint(f->fd, ==, -1);
    f->fd = fd;
    f->n++;
    if (f->reject) {
        fd_close(&f->fd);
        chardev_disconnected(f->c);
    }
}

static void ended(void *opaque)
{
    ((Fixture *)opaque)->ended++;
}

static void open_path(Fixture *f, bool server)
{
    ChardevConfig config = { .label = "c", .path = f->path, .server = server, .wait = true };
    g_autoptr(GError) error = NULL;

    f->c = chardev_new(&config, &error);
    g_assert_no_error(error);
}

static void open_reconnecting(Fixture *f, uint64_t ms)
{
    ChardevConfig config = { .label = "c", .path = f->path, .reconnect_ms = ms };
    g_autoptr(GError) error = NULL;

    f->c = chardev_new(&config, &error);
    g_assert_no_error(error);
}

static void open_fd(Fixture *f, int fd, bool server)
{
    ChardevConfig config = { .label = "c", .fd = fd, .server = server };
    g_autoptr(GError) error = NULL;

    f->c = chardev_new(&config, &error);
    g_assert_no_error(error);
}

static void expect_error(const ChardevConfig *config, const char *want)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(chardev_new(config, &error));
    g_assert_nonnull(error);
    g_assert_true(g_str_has_prefix(error->message, want));
}

static struct sockaddr_un address(const Fixture *f)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    g_assert_cmpuint(g_strlcpy(addr.sun_path, f->path, sizeof(addr.sun_path)), <,
                     sizeof(addr.sun_path));
    return addr;
}

static int client(const Fixture *f)
{
    struct sockaddr_un addr = address(f);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    return fd;
}

static int server(const Fixture *f)
{
    struct sockaddr_un addr = address(f);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    g_assert_cmpint(listen(fd, 8), ==, 0);
    return fd;
}

/* All that is to be done at present. */
static void settle(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static gboolean set_flag(gpointer flag)
{
    *(bool *)flag = true;
    return G_SOURCE_REMOVE;
}

/* What a timer of less than @ms does is done then. */
static void outlast(guint ms)
{
    bool over = false;

    g_timeout_add(ms, set_flag, &over);
    while (!over) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void wait_for(const Fixture *f, unsigned n)
{
    while (f->n < n) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpuint(f->n, ==, n);
}

/* The other end of what the handler got is @peer. */
static void expect_peer(const Fixture *f, int peer)
{
    char c = 0;

    g_assert_cmpint(send(peer, "x", 1, 0), ==, 1);
    g_assert_cmpint(recv(f->fd, &c, 1, 0), ==, 1);
    g_assert_cmpint(c, ==, 'x');
    g_assert_cmpint(recv(f->fd, &c, 1, 0), ==, -1); /* it would block */
    g_assert_cmpint(fcntl(f->fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
}

static void hand_back(Fixture *f)
{
    fd_close(&f->fd);
    chardev_disconnected(f->c);
}

static void test_one_client_at_a_time(Fixture *f, gconstpointer data)
{
    AUTO_FD int a = -1;
    AUTO_FD int b = -1;

    open_path(f, true);
    chardev_set_handler(f->c, connected, f);
    settle();
    g_assert_false(chardev_is_connected(f->c));
    a = client(f);
    b = client(f);
    wait_for(f, 1);
    expect_peer(f, a);
    settle();
    g_assert_cmpuint(f->n, ==, 1);
    g_assert_true(chardev_is_connected(f->c));
    hand_back(f);
    g_assert_false(chardev_is_connected(f->c));
    wait_for(f, 2);
    expect_peer(f, b);
}

/* Another process may have taken the client meanwhile, at an inherited one. */
static void test_listening_never_blocks(Fixture *f, gconstpointer data)
{
    unsigned n = 0;

    open_path(f, true);
    for (int fd = 0; fd < 64; fd++) {
        int listens = 0;
        socklen_t len = sizeof(listens);

        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens) {
            g_assert_cmpint(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
            g_assert_cmpint(fcntl(fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
            n++;
        }
    }
    g_assert_cmpuint(n, ==, 1);
}

static void test_handler_may_reject(Fixture *f, gconstpointer data)
{
    AUTO_FD int a = -1;
    AUTO_FD int b = -1;

    open_path(f, true);
    f->reject = true;
    chardev_set_handler(f->c, connected, f);
    a = client(f);
    b = client(f);
    wait_for(f, 2);
    g_assert_false(chardev_is_connected(f->c));
}

static void test_clients_wait_for_a_handler(Fixture *f, gconstpointer data)
{
    AUTO_FD int a = -1;

    open_path(f, true);
    a = client(f);
    settle();
    g_assert_false(chardev_is_connected(f->c));
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 1);
    expect_peer(f, a);
}

static void test_handler_goes(Fixture *f, gconstpointer data)
{
    AUTO_FD int a = -1;
    AUTO_FD int b = -1;

    open_path(f, true);
    chardev_set_handler(f->c, connected, f);
    a = client(f);
    wait_for(f, 1);
    b = client(f);
    fd_close(&f->fd);
    chardev_set_handler(f->c, NULL, NULL);
    g_assert_false(chardev_is_connected(f->c));
    settle();
    g_assert_cmpuint(f->n, ==, 1);
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 2);
    expect_peer(f, b);
}

static void test_first_client_may_be_early(Fixture *f, gconstpointer data)
{
    AUTO_FD int a = -1;
    AUTO_FD int b = -1;

    open_path(f, true);
    chardev_accept_early(f->c);
    a = client(f);
    b = client(f);
    while (!chardev_is_connected(f->c)) {
        g_main_context_iteration(NULL, TRUE);
    }
    settle();
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 1);
    expect_peer(f, a);
    chardev_set_handler(f->c, NULL, NULL);
    fd_close(&f->fd);
    settle();
    g_assert_false(chardev_is_connected(f->c)); /* that was for the first one */
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 2);
    expect_peer(f, b);
}

static void test_early_client_of_nobody_is_closed(Fixture *f, gconstpointer data)
{
    AUTO_FD int a = -1;
    char c;

    open_path(f, true);
    chardev_accept_early(f->c);
    a = client(f);
    while (!chardev_is_connected(f->c)) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_clear_pointer(&f->c, chardev_free);
    g_assert_cmpint(recv(a, &c, 1, 0), ==, 0);
}

static void test_freed_with_a_client(Fixture *f, gconstpointer data)
{
    AUTO_FD int a = -1;

    open_path(f, true);
    chardev_set_handler(f->c, connected, f);
    a = client(f);
    wait_for(f, 1);
    g_clear_pointer(&f->c, chardev_free);
    g_assert_false(g_file_test(f->path, G_FILE_TEST_EXISTS));
    expect_peer(f, a);
}

static void test_connects(Fixture *f, gconstpointer data)
{
    AUTO_FD int listener = server(f);
    AUTO_FD int peer = -1;

    open_path(f, false);
    g_assert_true(chardev_is_connected(f->c));
    peer = accept(listener, NULL, NULL);
    chardev_set_handler(f->c, connected, f);
    g_assert_cmpuint(f->n, ==, 0); /* not before the caller returns */
    wait_for(f, 1);
    expect_peer(f, peer);
    hand_back(f);
    settle();
    g_assert_cmpuint(f->n, ==, 1);
    g_assert_false(chardev_is_connected(f->c));
}

/* What is logged, from now on. */
static void log_to(const Fixture *f)
{
    g_autofree char *path = g_build_filename(f->dir, "log", NULL);

    g_assert_true(log_open_file(path, NULL));
}

static void expect_log(const Fixture *f, const char *want)
{
    g_autofree char *path = g_build_filename(f->dir, "log", NULL);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, want);
    g_unlink(path);
}

static void test_connects_again(Fixture *f, gconstpointer data)
{
    AUTO_FD int listener = server(f);
    AUTO_FD int peer = -1;

    open_reconnecting(f, 1);
    g_assert_true(chardev_is_connected(f->c));
    peer = accept(listener, NULL, NULL);
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 1);
    expect_peer(f, peer);
    fd_close(&peer);
    for (unsigned i = 2; i < 5; i++) {
        hand_back(f);
        wait_for(f, i);
        peer = accept(listener, NULL, NULL);
        expect_peer(f, peer);
        fd_close(&peer);
    }
}

static void test_connects_again_not_before_its_time(Fixture *f, gconstpointer data)
{
    AUTO_FD int listener G_GNUC_UNUSED = server(f);
    gint64 start;

    open_reconnecting(f, 20);
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 1);
    start = g_get_monotonic_time();
    hand_back(f);
    wait_for(f, 2);
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 19 * 1000);
}

static void test_server_that_is_late(Fixture *f, gconstpointer data)
{
    AUTO_FD int listener = -1;
    AUTO_FD int peer = -1;
    g_autofree char *want = g_strdup_printf("prog: warning: Unable to connect character device c: "
                                            "Failed to connect to '%s': No such file or "
                                            "directory\n", f->path);

    log_to(f);
    open_reconnecting(f, 1);
    g_assert_false(chardev_is_connected(f->c));
    chardev_set_handler(f->c, connected, f);
    outlast(5);
    expect_log(f, want);
    listener = server(f);
    wait_for(f, 1);
    peer = accept(listener, NULL, NULL);
    expect_peer(f, peer);
}

static void test_each_outage_is_told(Fixture *f, gconstpointer data)
{
    AUTO_FD int listener = server(f);
    g_autofree char *want = g_strdup_printf("prog: warning: Unable to connect character device c: "
                                            "Failed to connect to '%s': Connection refused\n",
                                            f->path);
    g_autofree char *twice = g_strdup_printf("%s%s", want, want);

    open_reconnecting(f, 1);
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 1);
    log_to(f);
    for (unsigned n = 1; n < 3; n++) {
        fd_close(&listener);
        hand_back(f);
        outlast(5);
        g_unlink(f->path);
        listener = server(f);
        wait_for(f, n + 1);
    }
    expect_log(f, twice);
}

/* Nobody would read what a server says, and wait for an answer. */
static void test_connects_for_a_handler_only(Fixture *f, gconstpointer data)
{
    AUTO_FD int listener = server(f);
    AUTO_FD int peer = -1;

    open_reconnecting(f, 1);
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 1);
    peer = accept(listener, NULL, NULL);
    fd_close(&f->fd);
    chardev_set_handler(f->c, NULL, NULL);
    g_assert_cmpint(fd_set_nonblock(listener, true), ==, 0);
    outlast(5);
    g_assert_cmpint(accept(listener, NULL, NULL), ==, -1);
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 2);
}

/* Its backlog is full: to wait for it would hold up everybody. */
static void test_server_that_is_busy(Fixture *f, gconstpointer data)
{
    AUTO_FD int listener = server(f);
    AUTO_FD int first = -1;
    AUTO_FD int peer = -1;

    g_autofree char *want = g_strdup_printf("prog: warning: Unable to connect character device c: "
                                            "Failed to connect to '%s': Resource temporarily "
                                            "unavailable\n", f->path);

    g_assert_cmpint(listen(listener, 0), ==, 0);
    first = client(f);
    log_to(f);
    open_reconnecting(f, 1);
    g_assert_false(chardev_is_connected(f->c));
    chardev_set_handler(f->c, connected, f);
    outlast(5);
    g_assert_cmpuint(f->n, ==, 0);
    expect_log(f, want);
    close(accept(listener, NULL, NULL));
    wait_for(f, 1);
    peer = accept(listener, NULL, NULL);
    expect_peer(f, peer);
}

static void test_relative_path_outlives_chdir(Fixture *f, gconstpointer data)
{
    g_autofree char *old = g_get_current_dir();
    AUTO_FD int listener G_GNUC_UNUSED = server(f);
    ChardevConfig config = { .label = "c", .path = "s", .reconnect_ms = 1 };

    g_assert_cmpint(g_chdir(f->dir), ==, 0);
    f->c = chardev_new(&config, NULL);
    g_assert_cmpint(g_chdir(old), ==, 0);
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 1);
    hand_back(f);
    wait_for(f, 2);
}

static void test_handler_goes_before_it_was_called(Fixture *f, gconstpointer data)
{
    AUTO_FD int listener = server(f);
    AUTO_FD int peer = -1;

    open_path(f, false);
    chardev_set_handler(f->c, connected, f);
    chardev_set_handler(f->c, NULL, NULL);
    settle();
    g_assert_cmpuint(f->n, ==, 0);
    chardev_set_handler(f->c, connected, f); /* it is still there */
    wait_for(f, 1);
    peer = accept(listener, NULL, NULL);
    expect_peer(f, peer);
}

static void test_inherits_a_connection(Fixture *f, gconstpointer data)
{
    int fds[2];
    AUTO_FD int peer = -1;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    peer = fds[0];
    open_fd(f, fds[1], false);
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 1);
    expect_peer(f, peer);
}

static void test_end_is_told(Fixture *f, gconstpointer data)
{
    int fds[2];
    AUTO_FD int peer = -1;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    peer = fds[0];
    f->c = chardev_new(&(ChardevConfig){ .fd = fds[1], .ended = ended, .opaque = f }, NULL);
    settle();
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 1);
    settle();
    g_assert_cmpuint(f->ended, ==, 0);
    hand_back(f);
    g_assert_cmpuint(f->ended, ==, 0); /* not before the caller returns */
    settle();
    g_assert_cmpuint(f->ended, ==, 1);
}

static void test_end_of_one_of_many_is_not_told(Fixture *f, gconstpointer data)
{
    ChardevConfig listens = { .path = f->path, .server = true, .ended = ended, .opaque = f };
    ChardevConfig reconnects = { .path = f->path, .reconnect_ms = 1, .ended = ended, .opaque = f };
    AUTO_FD int a = -1;

    f->c = chardev_new(&listens, NULL);
    chardev_set_handler(f->c, connected, f);
    a = client(f);
    wait_for(f, 1);
    hand_back(f);
    settle();
    chardev_free(f->c);
    fd_close(&a);
    a = server(f);
    f->c = chardev_new(&reconnects, NULL);
    chardev_set_handler(f->c, connected, f);
    wait_for(f, 2);
    hand_back(f);
    settle();
    g_assert_cmpuint(f->ended, ==, 0);
}

static void test_knows_a_connection(Fixture *f, gconstpointer data)
{
    int fds[2];
    AUTO_FD int listener = server(f);
    AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    g_assert_true(chardev_fd_is_connected(fds[0]));
    close(fds[0]);
    close(fds[1]);
    g_assert_false(chardev_fd_is_connected(listener));
    g_assert_false(chardev_fd_is_connected(null));
    g_assert_false(chardev_fd_is_connected(-1));
}

static void test_inherits_a_listener(Fixture *f, gconstpointer data)
{
    AUTO_FD int a = -1;

    open_fd(f, server(f), true);
    chardev_set_handler(f->c, connected, f);
    a = client(f);
    wait_for(f, 1);
    expect_peer(f, a);
    g_clear_pointer(&f->c, chardev_free);
    g_assert_true(g_file_test(f->path, G_FILE_TEST_EXISTS)); /* not ours */
}

static void test_makes_a_bound_one_listen(Fixture *f, gconstpointer data)
{
    struct sockaddr_un addr = address(f);
    AUTO_FD int a = -1;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    open_fd(f, fd, true);
    chardev_set_handler(f->c, connected, f);
    a = client(f);
    wait_for(f, 1);
    expect_peer(f, a);
}

static void test_errors(Fixture *f, gconstpointer data)
{
    g_autofree char *far = g_strnfill(sizeof(((struct sockaddr_un *)NULL)->sun_path), 'x');
    int fds[2];
    AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    expect_error(&(ChardevConfig){ .path = far, .server = true }, "UNIX socket path 'xxx");
    expect_error(&(ChardevConfig){ .path = far }, "UNIX socket path 'xxx");
    expect_error(&(ChardevConfig){ .path = far, .reconnect_ms = 1 }, "UNIX socket path ");
    expect_error(&(ChardevConfig){ .path = "/nonexistent/x", .server = true },
                 "Failed to bind socket to /nonexistent/x: No such file or directory");
    expect_error(&(ChardevConfig){ .path = "/nonexistent/x" },
                 "Failed to connect to '/nonexistent/x': No such file or directory");
    expect_error(&(ChardevConfig){ .fd = null }, "File descriptor '");
    g_assert_cmpint(fcntl(null, F_GETFD), >=, 0); /* still the caller's */
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    expect_error(&(ChardevConfig){ .fd = fds[0], .server = true },
                 "Failed to listen on socket: Invalid argument");
    close(fds[0]);
    close(fds[1]);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), ==, 0);
    expect_error(&(ChardevConfig){ .fd = fds[0] }, "File descriptor '");
    close(fds[0]);
    close(fds[1]);
    fds[0] = server(f);
    expect_error(&(ChardevConfig){ .fd = fds[0] }, "File descriptor '");
    close(fds[0]);
}

static void test_no_file_is_left_of_a_failure(Fixture *f, gconstpointer data)
{
    g_assert_true(g_file_set_contents(f->path, "precious", -1, NULL));
    expect_error(&(ChardevConfig){ .path = f->path, .server = true }, "Failed to bind socket to ");
    g_assert_true(g_file_test(f->path, G_FILE_TEST_IS_REGULAR));
    g_unlink(f->path);
    close(server(f)); /* nobody listens there any more */
    open_path(f, true);
    expect_error(&(ChardevConfig){ .path = f->path, .server = true }, "Failed to bind socket to ");
    g_assert_true(g_file_test(f->path, G_FILE_TEST_EXISTS)); /* somebody does now */
}

/* Another process listens, and ends after @ms; it has time to say how many came. */
static GPid listening_process(const Fixture *f, int ms)
{
    int fd = server(f);
    GPid pid = fork();

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        unsigned n = 0;

        fd_set_nonblock(fd, true);
        for (gint64 end = g_get_monotonic_time() + ms * 1000; g_get_monotonic_time() < end;) {
            n += accept(fd, NULL, NULL) >= 0;
            g_usleep(1000);
        }
        _exit((int)n);
    }
    close(fd);
    return pid;
}

static int exit_status(GPid pid)
{
    int status;

    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* It was killed, and who starts the next one does not wait for its end. */
static void test_waits_for_one_that_ends(Fixture *f, gconstpointer data)
{
    GPid pid = listening_process(f, 300);

    open_path(f, true);
    close(client(f));
    g_assert_cmpint(exit_status(pid), ==, 1);
}

/* As before, but its backlog is full, so no connection tells of its end. */
static void test_waits_for_one_that_is_busy(Fixture *f, gconstpointer data)
{
    int fd = server(f);
    int clients[2];
    gint64 start;
    GPid pid;

    g_assert_cmpint(listen(fd, 0), ==, 0);
    clients[0] = client(f);
    pid = fork();
    if (pid == 0) {
        g_usleep(300 * 1000);
        _exit(0);
    }
    close(fd);
    start = g_get_monotonic_time();
    open_path(f, true);
    g_assert_cmpint(g_get_monotonic_time() - start, >, 200 * 1000);
    clients[1] = client(f);
    close(clients[0]);
    close(clients[1]);
    g_assert_cmpint(exit_status(pid), ==, 0);
}

/*
 * One that was killed has the kernel's work to wait for: as long as it is ending, it is waited for
 * beyond the second that any owner has. Here it is a zombie, whose child has its socket.
 */
static void test_waits_long_for_one_that_was_killed(Fixture *f, gconstpointer data)
{
    int fd = server(f);
    GPid pid = fork();

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        g_assert_cmpint(listen(fd, 1), ==, 0); /* it is the owner from now on */
        if (fork() != 0) {
            raise(SIGKILL);
        }
        g_usleep(3 * G_USEC_PER_SEC);
        _exit(0);
    }
    close(fd);
    while (!process_is_ending(pid)) {
        g_usleep(1000);
    }
    open_path(f, true);
    close(client(f));
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

static void test_knows_who_is_ending(Fixture *f, gconstpointer data)
{
    GPid pid = fork();

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        pause();
        _exit(0);
    }
    g_assert_false(process_is_ending(getpid()));
    g_assert_false(process_is_ending(pid));
    kill(pid, SIGKILL);
    while (!process_is_ending(pid)) { /* it was woken, and the kernel has not begun */
        g_usleep(1000);
    }
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    g_assert_false(process_is_ending(pid));
}

/* One that lives keeps its socket, and is asked once or twice. */
static void test_takes_no_living_one(Fixture *f, gconstpointer data)
{
    ChardevConfig config = { .path = f->path, .server = true };
    GPid pid = listening_process(f, 1500);
    gint64 start = g_get_monotonic_time();

    expect_error(&config, "Failed to bind socket to ");
    g_assert_cmpint(g_get_monotonic_time() - start, <, 500 * 1000); /* it was not told to wait */
    config.wait = true;
    expect_error(&config, "Failed to bind socket to ");
    close(client(f));
    g_assert_cmpint(exit_status(pid), <=, 4);
}

#define ADD(name, function) \
    g_test_add("/chardev/" name, Fixture, NULL, setup, function, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init("prog");
    ADD("one-client-at-a-time", test_one_client_at_a_time);
    ADD("listening-never-blocks", test_listening_never_blocks);
    ADD("handler-may-reject", test_handler_may_reject);
    ADD("clients-wait-for-a-handler", test_clients_wait_for_a_handler);
    ADD("handler-goes", test_handler_goes);
    ADD("first-client-may-be-early", test_first_client_may_be_early);
    ADD("early-client-of-nobody-is-closed", test_early_client_of_nobody_is_closed);
    ADD("freed-with-a-client", test_freed_with_a_client);
    ADD("connects", test_connects);
    ADD("connects-again", test_connects_again);
    ADD("connects-again-not-before-its-time", test_connects_again_not_before_its_time);
    ADD("server-that-is-late", test_server_that_is_late);
    ADD("each-outage-is-told", test_each_outage_is_told);
    ADD("connects-for-a-handler-only", test_connects_for_a_handler_only);
    ADD("server-that-is-busy", test_server_that_is_busy);
    ADD("relative-path-outlives-chdir", test_relative_path_outlives_chdir);
    ADD("handler-goes-before-it-was-called", test_handler_goes_before_it_was_called);
    ADD("inherits-a-connection", test_inherits_a_connection);
    ADD("end-is-told", test_end_is_told);
    ADD("end-of-one-of-many-is-not-told", test_end_of_one_of_many_is_not_told);
    ADD("knows-a-connection", test_knows_a_connection);
    ADD("inherits-a-listener", test_inherits_a_listener);
    ADD("makes-a-bound-one-listen", test_makes_a_bound_one_listen);
    ADD("errors", test_errors);
    ADD("no-file-is-left-of-a-failure", test_no_file_is_left_of_a_failure);
    ADD("waits-for-one-that-ends", test_waits_for_one_that_ends);
    ADD("waits-for-one-that-is-busy", test_waits_for_one_that_is_busy);
    ADD("waits-long-for-one-that-was-killed", test_waits_long_for_one_that_was_killed);
    ADD("knows-who-is-ending", test_knows_who_is_ending);
    ADD("takes-no-living-one", test_takes_no_living_one);
    return g_test_run();
}
