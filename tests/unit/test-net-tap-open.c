/*
 * Taps made, taken over and refused, on the real kernel.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns.h"
#include "tap-internal.h"

/* Scripts are the machine's business: no test has one that it did not write. */
#define NO_SCRIPT .script = (char *)"no", .downscript = (char *)"no"

static TapConfig config_of(const char *ifname, unsigned queues)
{
    return (TapConfig){ .id = (char *)"n0", .ifname = (char *)ifname, .queues = queues,
                        .has_queues = true, NO_SCRIPT };
}

static char *error_of(const TapConfig *config)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Netdev) nd = tap_new(config, NULL, NULL, &error);

    g_assert_false(nd && tap_script_run(nd, true, &error));
    g_assert_nonnull(error);
    return g_strdup(error->message);
}

static void assert_error(const TapConfig *config, const char *text)
{
    g_autofree char *message = error_of(config);

    g_assert_cmpstr(message, ==, text);
}

static Netdev *must_open(const TapConfig *config)
{
    g_autoptr(GError) error = NULL;
    Netdev *nd = tap_new(config, NULL, NULL, &error);

    g_assert_no_error(error);
    g_assert_nonnull(nd);
    tap_script_run(nd, true, &error);
    g_assert_no_error(error);
    return nd;
}

static unsigned count_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

static void test_queues(void)
{
    static const unsigned counts[] = { 1, 2, 8, 256 };
    unsigned before;
    unsigned i;

    if (!netns_enter()) {
        return;
    }
    g_main_context_wakeup(NULL); /* makes its eventfd */
    before = count_fds();
    for (i = 0; i < G_N_ELEMENTS(counts); i++) {
        TapConfig config = config_of("tt0", counts[i]);
        Netdev *nd = must_open(&config);
        TapLink l;
        unsigned k;

        g_assert_cmpstr(nd->ifname, ==, "tt0");
        g_assert_cmpuint(nd->n_queues, ==, counts[i]);
        g_assert_true(nd->has_vnet_hdr);
        g_assert_cmpuint(nd->mtu, ==, 1500);
        g_assert_true(nd->link_up);
        g_assert_cmpint(tap_link_query(TAP_NSID_OURS, "tt0", &l), ==, 0);
        g_assert_true(l.is_tap);
        g_assert_true(l.multi_queue == (counts[i] > 1));
        g_assert_cmpuint(l.multi_queue ? l.n_queues : 1, ==, counts[i]);
        for (k = 0; k < nd->n_queues; k++) {
            g_assert_true(fcntl(nd->queue[k]->fd, F_GETFL) & O_NONBLOCK);
            g_assert_true(fcntl(nd->queue[k]->fd, F_GETFD) & FD_CLOEXEC);
            g_assert_cmpuint(nd->queue[k]->index, ==, k);
        }
        netdev_free(nd);
        g_assert_false(netns_has_interface("tt0"));
        g_assert_cmpuint(count_fds(), ==, before);
    }
}

static void test_queues_out_of_range(void)
{
    TapConfig config = config_of("tt0", 0);

    if (!netns_enter()) {
        return;
    }
    assert_error(&config, "Parameter 'queues' expects a number of 1 to 256");
    config.queues = 257;
    assert_error(&config, "Parameter 'queues' expects a number of 1 to 256");
    g_assert_false(netns_has_interface("tt0"));
}

static void test_names(void)
{
    TapConfig config = config_of("tt%d", 2);
    g_autoptr(Netdev) first = NULL;
    g_autoptr(Netdev) second = NULL;
    g_autoptr(Netdev) third = NULL;

    if (!netns_enter()) {
        return;
    }
    first = must_open(&config);
    second = must_open(&config);
    config.ifname = NULL;
    third = must_open(&config);
    g_assert_cmpstr(first->ifname, ==, "tt0");
    g_assert_cmpstr(second->ifname, ==, "tt1");
    g_assert_cmpstr(third->ifname, ==, "tap0");
    config.ifname = (char *)"name-of-16-chars";
    assert_error(&config, "Parameter 'ifname' expects a name of at most 15 characters");
}

static void test_info(void)
{
    TapConfig config = config_of("tt0", 2);
    g_autoptr(Netdev) nd = NULL;
    g_autofree char *info = NULL;

    if (!netns_enter()) {
        return;
    }
    nd = must_open(&config);
    info = nd->ops->info(nd, 0);
    g_assert_cmpstr(info, ==, "ifname=tt0,script=no,downscript=no");
}

static void test_vnet_hdr_off(void)
{
    TapConfig config = config_of("tt0", 2);
    g_autoptr(Netdev) nd = NULL;
    TapLink l;

    if (!netns_enter()) {
        return;
    }
    config.vnet_hdr = ON_OFF_AUTO_OFF;
    nd = must_open(&config);
    g_assert_false(nd->has_vnet_hdr);
    g_assert_nonnull(nd->queue[1]->scratch);
    g_assert_cmpint(tap_link_query(TAP_NSID_OURS, "tt0", &l), ==, 0);
    g_assert_false(l.vnet_hdr);
}

static void test_sndbuf(void)
{
    TapConfig config = config_of("tt0", 1);
    int value = 0;
    Netdev *nd;

    if (!netns_enter()) {
        return;
    }
    nd = must_open(&config);
    g_assert_cmpint(ioctl(nd->queue[0]->fd, TUNGETSNDBUF, &value), ==, 0);
    g_assert_cmpint(value, ==, INT_MAX);
    netdev_free(nd);
    config.sndbuf = 1 << 20;
    config.has_sndbuf = true;
    nd = must_open(&config);
    g_assert_cmpint(ioctl(nd->queue[0]->fd, TUNGETSNDBUF, &value), ==, 0);
    g_assert_cmpint(value, ==, 1 << 20);
    netdev_free(nd);
}

static void test_mismatch_is_named(void)
{
    TapConfig one = config_of("pt0", 1);
    TapConfig two = config_of("pt0", 2);

    if (!netns_enter()) {
        return;
    }
    g_assert_true(netns_sh("ip tuntap add pt0 mode tap multi_queue"));
    assert_error(&one, "could not configure /dev/net/tun (pt0): the existing tap has "
                 "multi_queue, queues=1 asks for none: use queues=2 or more, or delete it");
    g_assert_true(netns_sh("ip link del pt0 && ip tuntap add pt0 mode tap"));
    assert_error(&two, "could not configure /dev/net/tun (pt0): the existing tap has no "
                 "multi_queue, queues=2 asks for it: use queues=1, or delete it");
    g_assert_true(netns_sh("ip link del pt0 && ip tuntap add pt0 mode tun"));
    assert_error(&one, "could not configure /dev/net/tun (pt0): an interface of that name "
                 "exists and is no tap");
    one.ifname = (char *)"lo";
    assert_error(&one, "could not configure /dev/net/tun (lo): an interface of that name "
                 "exists and is no tap");
}

static void test_persistent_tap_stays(void)
{
    TapConfig config = config_of("pt0", 4);

    if (!netns_enter()) {
        return;
    }
    g_assert_true(netns_sh("ip tuntap add pt0 mode tap multi_queue"));
    netdev_free(must_open(&config));
    g_assert_true(netns_has_interface("pt0"));
    netdev_free(must_open(&config)); /* and is good for another time */
}

/* Our end without a good-bye: the next one finds the bridge and all settings. */
static void test_persist(void)
{
    TapConfig config = config_of("tt0", 2);
    g_autoptr(Netdev) nd = NULL;
    pid_t pid;

    if (!netns_enter()) {
        return;
    }
    config.persist = true;
    pid = fork();
    if (pid == 0) {
        nd = must_open(&config);
        g_assert_false(nd->found);
        kill(getpid(), netns_sh("ip link add br0 type bridge && "
                                "ip link set tt0 master br0 up mtu 1400") ? SIGKILL : SIGABRT);
    }
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    g_assert_true(netns_sh("ip link show tt0 up | grep -q 'mtu 1400.*master br0'"));
    nd = must_open(&config);
    g_assert_true(nd->found);
    g_clear_pointer(&nd, netdev_free); /* it was there, and nobody says that it is over */
    g_assert_true(netns_sh("ip link show tt0 up | grep -q 'mtu 1400.*master br0'"));
    nd = must_open(&config);
    nd->keep = false;
    g_clear_pointer(&nd, netdev_free);
    g_assert_false(netns_has_interface("tt0"));
}

static void test_tap_in_use(void)
{
    TapConfig config = config_of("tt0", 1);
    g_autoptr(Netdev) nd = NULL;

    if (!netns_enter()) {
        return;
    }
    nd = must_open(&config);
    assert_error(&config, "could not configure /dev/net/tun (tt0): Device or resource busy: "
                 "another program has it open");
}

static TapConfig config_of_fds(const char *fds)
{
    return (TapConfig){ .id = (char *)"n0", .fds = (char *)fds };
}

/* A queue as somebody else would open it and hand it down. */
static int open_tap(const char *name, int flags)
{
    int fd = open("/dev/net/tun", O_RDWR);
    struct ifreq ifr = { .ifr_flags = (short)flags };

    g_strlcpy(ifr.ifr_name, name, IFNAMSIZ);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ioctl(fd, TUNSETIFF, &ifr), ==, 0);
    return fd;
}

/* The kernel would spread the flows of both guests over both programs. */
static void test_queues_of_another_program(void)
{
    TapConfig config = config_of("tt0", 2);
    g_autoptr(Netdev) nd = NULL;
    unsigned before;
    TapLink l;

    if (!netns_enter()) {
        return;
    }
    nd = must_open(&config);
    before = count_fds();
    assert_error(&config, "tt0 has 2 queues open by another program");
    config.vnet_hdr = ON_OFF_AUTO_OFF; /* whatever it wants of it */
    config.queues = 250;
    assert_error(&config, "tt0 has 2 queues open by another program");
    /* one of two that wait for a guest */
    g_assert_true(netdev_set_active(nd, 1, NULL, NULL, NULL));
    assert_error(&config, "tt0 has 2 queues open by another program");
    g_assert_cmpuint(count_fds(), ==, before);
    g_assert_cmpint(tap_link_query(TAP_NSID_OURS, "tt0", &l), ==, 0);
    g_assert_cmpuint(l.n_queues, ==, 1);
    g_clear_pointer(&nd, netdev_free);
    config = config_of("tt0", 2);
    nd = must_open(&config);
}

static void test_persistent_tap_with_a_queue_in_use(void)
{
    int flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE;
    TapConfig config = config_of("pt0", 2);
    int fd;

    if (!netns_enter()) {
        return;
    }
    g_assert_true(netns_sh("ip tuntap add pt0 mode tap multi_queue"));
    fd = open_tap("pt0", flags);
    assert_error(&config, "pt0 has 1 queue open by another program");
    close(fd);
    netdev_free(must_open(&config));
}

/* A manager may have several of them, and gives us ours. */
static void test_given_queues_beside_others(void)
{
    int flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE;
    g_autofree char *text = NULL;
    TapConfig config;
    int other;

    if (!netns_enter()) {
        return;
    }
    other = open_tap("tt0", flags);
    text = g_strdup_printf("%d:%d", open_tap("tt0", flags), open_tap("tt0", flags));
    config = config_of_fds(text);
    netdev_free(must_open(&config));
    close(other);
}

/* A program that holds queues of an interface and ends after @ms, or when it is killed. */
static pid_t hold_queues(const char *ifname, unsigned n, unsigned ms)
{
    int ready[2];
    char c = 0;
    pid_t pid;

    g_assert_cmpint(pipe(ready), ==, 0);
    pid = fork();
    if (pid == 0) {
        for (unsigned i = 0; i < n; i++) {
            open_tap(ifname, IFF_TAP | IFF_NO_PI | (n > 1 ? IFF_MULTI_QUEUE : 0));
        }
        c = (char)write(ready[1], &c, 1);
        g_usleep(ms * 1000);
        _exit(0);
    }
    g_assert_cmpint(read(ready[0], &c, 1), ==, 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

/* As after kill -9, when the program is started again at once. */
static void test_start_waits_for_the_end_of_another(void)
{
    unsigned n;

    for (n = 1; n <= 2; n++) {
        TapConfig config = config_of("pt0", n);
        pid_t ends, stays;

        if (!netns_enter()) {
            return;
        }
        g_assert_true(netns_sh("ip tuntap add pt0 mode tap %s", n > 1 ? "multi_queue" : ""));
        ends = hold_queues("pt0", n, 300);
        config.at_start = true;
        netdev_free(must_open(&config));
        g_assert_cmpint(waitpid(ends, NULL, 0), ==, ends);
        stays = hold_queues("pt0", n, 60000);
        config.at_start = false; /* QMP is not kept waiting */
        assert_error(&config, n > 1 ? "pt0 has 2 queues open by another program"
                                    : "could not configure /dev/net/tun (pt0): Device or resource "
                                      "busy: another program has it open");
        kill(stays, SIGKILL);
        g_assert_cmpint(waitpid(stays, NULL, 0), ==, stays);
    }
}

static void test_last_queues_fail(void)
{
    TapConfig config = config_of("tt0", 20);
    struct rlimit limit, old;
    unsigned before;

    if (!netns_enter()) {
        return;
    }
    before = count_fds();
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
    limit = old;
    limit.rlim_cur = before + 10;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    assert_error(&config, "could not open /dev/net/tun: Too many open files");
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
    g_assert_cmpuint(count_fds(), ==, before);
    g_assert_false(netns_has_interface("tt0"));
}

/* A file in @dir with a shell script. */
static char *write_script(const char *dir, const char *name, const char *text)
{
    g_autofree char *content = g_strdup_printf("#!/bin/sh\n%s\n", text);
    char *path = g_build_filename(dir, name, NULL);

    g_assert_true(g_file_set_contents_full(path, content, -1, 0, 0755, NULL));
    return path;
}

static void test_scripts(void)
{
    g_autofree char *dir = g_dir_make_tmp("tap-XXXXXX", NULL);
    g_autofree char *up = write_script(dir, "up", "ip link set $1 up && echo $# $1 > $0.out");
    g_autofree char *down = write_script(dir, "down", "ip link show $1 > $0.out");
    g_autofree char *info = NULL;
    g_autofree char *want = NULL;
    TapConfig config = config_of("tt0", 2);
    Netdev *nd;

    if (!netns_enter()) {
        return;
    }
    config.script = up;
    config.downscript = down;
    nd = must_open(&config);
    info = nd->ops->info(nd, 0);
    want = g_strdup_printf("ifname=tt0,script=%s,downscript=%s", up, down);
    g_assert_cmpstr(info, ==, want);
    g_assert_true(netns_sh("grep -q '^1 tt0$' %s.out", up));
    g_assert_false(netns_sh("test -e %s.out", down));
    netdev_free(nd);
    g_assert_true(netns_sh("grep -q tt0 %s.out", down)); /* it was still there then */
    g_assert_true(netns_sh("rm -r %s", dir));
}

static void test_failing_script_leaves_nothing(void)
{
    g_autofree char *dir = g_dir_make_tmp("tap-XXXXXX", NULL);
    g_autofree char *up = write_script(dir, "up", "exit 1");
    g_autofree char *down = write_script(dir, "down", "touch $0.out");
    g_autofree char *want = g_strdup_printf("network script %s failed with status 1", up);
    g_autofree char *here = g_get_current_dir();
    g_autofree char *want_off = g_strdup_printf("could not launch network script %s/off: No such "
                                                "file or directory\nFor none at all: no", here);
    g_autofree char *want_dir = g_strdup_printf("could not launch network script %s: Permission "
                                                "denied", dir);
    TapConfig config = config_of("tt0", 4);
    unsigned before;

    if (!netns_enter()) {
        return;
    }
    before = count_fds();
    config.script = up;
    config.downscript = down;
    assert_error(&config, want);
    g_assert_false(netns_has_interface("tt0"));
    g_assert_cmpuint(count_fds(), ==, before);
    g_assert_false(netns_sh("test -e %s.out", down));
    config.script = (char *)"/nonexistent";
    assert_error(&config, "could not launch network script /nonexistent: No such file or "
                 "directory");
    config.script = (char *)"off";
    assert_error(&config, want_off);
    config.script = dir;
    assert_error(&config, want_dir);
    g_assert_false(netns_has_interface("tt0"));
    g_assert_true(netns_sh("rm -r %s", dir));
}

typedef struct Script {
    bool done;
    char *error; /* NULL: none */
} Script;

static void script_done(void *opaque, const GError *error)
{
    Script *s = opaque;

    g_assert_false(s->done);
    s->done = true;
    s->error = error ? g_strdup(error->message) : NULL;
}

static void loop_until_done(const Script *s)
{
    while (!s->done) {
        g_main_context_iteration(NULL, TRUE);
    }
}

/* A tap whose script runs, and what is to be seen of it then. */
static Netdev *start_script(TapConfig *config, char *path, Script *ret_script, TapScript **ret_run)
{
    g_autoptr(GError) error = NULL;
    Netdev *nd;

    config->script = path;
    nd = tap_new(config, NULL, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(tap_script(nd, true), ==, path);
    g_assert_null(tap_script(nd, false)); /* nothing was set up yet */
    *ret_run = tap_script_start(nd, true, script_done, ret_script, &error);
    g_assert_no_error(error);
    g_assert_nonnull(*ret_run);
    return nd;
}

static void test_script_runs_beside_the_main_loop(void)
{
    g_autofree char *dir = g_dir_make_tmp("tap-XXXXXX", NULL);
    g_autofree char *up = write_script(dir, "up", "mkfifo $0.fifo && read line <$0.fifo");
    g_autofree char *fifo = g_strdup_printf("%s.fifo", up);
    TapConfig config = config_of("tt0", 2);
    Script s = { 0 };
    TapScript *run;
    Netdev *nd;

    if (!netns_enter()) {
        return;
    }
    nd = start_script(&config, up, &s, &run);
    while (!g_file_test(fifo, G_FILE_TEST_EXISTS)) {
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_false(s.done);
    g_assert_true(netns_sh("echo go >%s", fifo));
    loop_until_done(&s);
    g_assert_null(s.error);
    g_assert_null(tap_script(nd, true));
    netdev_free(nd);
    g_assert_true(netns_sh("rm -r %s", dir));
}

/* With the children that hold it up; what it left in the background is of its group, too. */
static void test_script_that_hangs_is_ended_with_its_children(void)
{
    g_autofree char *dir = g_dir_make_tmp("tap-XXXXXX", NULL);
    g_autofree char *up = write_script(dir, "up", "sleep 61 & echo $! >$0.pid; sleep 62");
    g_autofree char *want = g_strdup_printf("network script %s did not end within 1 seconds", up);
    TapConfig config = config_of("tt0", 2);
    Script s = { 0 };
    TapScript *run;
    Netdev *nd;

    if (!netns_enter()) {
        return;
    }
    config.script_timeout_ms = 1000;
    nd = start_script(&config, up, &s, &run);
    loop_until_done(&s);
    g_assert_cmpstr(s.error, ==, want);
    g_assert_false(netns_sh("kill -0 $(cat %s.pid) && ! grep -q \"State:.Z\" "
                            "/proc/$(cat %s.pid)/status", up, up));
    netdev_free(nd);
    g_free(s.error);
    g_assert_true(netns_sh("rm -r %s", dir));
}

static void test_script_ended_by_a_signal(void)
{
    g_autofree char *dir = g_dir_make_tmp("tap-XXXXXX", NULL);
    g_autofree char *up = write_script(dir, "up", "kill -TERM $$");
    g_autofree char *want = g_strdup_printf("network script %s was ended by signal 15 "
                                            "(Terminated)", up);
    TapConfig config = config_of("tt0", 1);

    if (!netns_enter()) {
        return;
    }
    config.script = up;
    assert_error(&config, want);
    g_assert_true(netns_sh("rm -r %s", dir));
}

static void test_script_is_cancelled(void)
{
    g_autofree char *dir = g_dir_make_tmp("tap-XXXXXX", NULL);
    g_autofree char *up = write_script(dir, "up", "exec sleep 63");
    TapConfig config = config_of("tt0", 1);
    Script s = { 0 };
    TapScript *run;
    Netdev *nd;

    if (!netns_enter()) {
        return;
    }
    nd = start_script(&config, up, &s, &run);
    tap_script_cancel(run);
    netdev_free(nd);
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
    g_assert_false(s.done);
    g_assert_true(netns_sh("rm -r %s", dir));
}

/* The error of @config in a child that @prepare took something away from. */
static char *error_in_child(const TapConfig *config, bool (*prepare)(void))
{
    int pipe_fd[2];
    char text[512] = "";
    ssize_t n;
    int status;
    pid_t pid;

    g_assert_cmpint(pipe(pipe_fd), ==, 0);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        if (prepare()) {
            g_autofree char *message = error_of(config);

            n = write(pipe_fd[1], message, strlen(message));
        }
        _exit(0);
    }
    close(pipe_fd[1]);
    n = read(pipe_fd[0], text, sizeof(text) - 1);
    close(pipe_fd[0]);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0); /* what opens all the same has no error */
    return n > 0 ? g_strdup(text) : NULL;
}

static bool become_nobody(void)
{
    return setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0;
}

static bool hide_tun(void)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/dev/net", "tmpfs", 0, NULL) == 0;
}

static void test_without_privilege(void)
{
    TapConfig config = config_of("tt0", 1);
    g_autofree char *new_tap = NULL;
    g_autofree char *existing = NULL;

    if (!netns_enter()) {
        return;
    }
    new_tap = error_in_child(&config, become_nobody);
    if (!new_tap) {
        g_test_skip("cannot become another user");
        return;
    }
    if (g_str_equal(new_tap, "could not open /dev/net/tun: Permission denied")) {
        g_test_skip("/dev/net/tun is root's alone here");
        return;
    }
    g_assert_cmpstr(new_tap, ==, "could not configure /dev/net/tun (tt0): Operation not permitted: "
                    "making a tap needs CAP_NET_ADMIN, or name one that this user owns");
    g_assert_true(netns_sh("ip tuntap add tt0 mode tap user root"));
    existing = error_in_child(&config, become_nobody);
    g_assert_cmpstr(existing, ==, "could not configure /dev/net/tun (tt0): Operation not "
                    "permitted: it needs CAP_NET_ADMIN, or to be made for this user "
                    "(ip tuntap add ... user NAME)");
}

static void test_without_tun(void)
{
    TapConfig config = config_of("tt0", 1);
    g_autofree char *message = NULL;

    if (!netns_enter()) {
        return;
    }
    message = error_in_child(&config, hide_tun);
    if (!message) {
        g_test_skip("cannot mount over /dev/net");
        return;
    }
    g_assert_cmpstr(message, ==, "could not open /dev/net/tun: No such file or directory\n"
                    "Load the kernel's module for it: modprobe tun");
}

/* The kernel refuses TUNSETSNDBUF, as it does of itself only for values that we never give. */
static bool refuse_sndbuf(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TUNSETSNDBUF, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = G_N_ELEMENTS(filter), .filter = filter };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void test_sndbuf_refused(void)
{
    TapConfig config = config_of("tt0", 1);
    g_autofree char *message = NULL;

    if (!netns_enter()) {
        return;
    }
    config.sndbuf = 1 << 20;
    config.has_sndbuf = true;
    message = error_in_child(&config, refuse_sndbuf);
    if (!message) {
        g_test_skip("no seccomp filters here");
        return;
    }
    g_assert_cmpstr(message, ==, "TUNSETSNDBUF ioctl failed: Invalid argument");
    g_assert_false(netns_has_interface("tt0"));
}

static void test_exclusions(void)
{
    TapConfig config = { .id = (char *)"n0", .fd = (char *)"3", .ifname = (char *)"x" };

    assert_error(&config, "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, fds=, and "
                 "vhostfds= are invalid with fd=");
    config = (TapConfig){ .id = (char *)"n0", .fd = (char *)"3", .fds = (char *)"4" };
    assert_error(&config, "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, fds=, and "
                 "vhostfds= are invalid with fd=");
    config = (TapConfig){ .id = (char *)"n0", .fds = (char *)"3", .has_queues = true, .queues = 1 };
    assert_error(&config, "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, and "
                 "vhostfd= are invalid with fds=");
    config = (TapConfig){ .id = (char *)"n0", .fds = (char *)"3", .vnet_hdr = ON_OFF_AUTO_ON };
    assert_error(&config, "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, and "
                 "vhostfd= are invalid with fds=");
}

static void test_fds(void)
{
    int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
    g_autofree char *text = NULL;
    g_autofree char *info = NULL;
    g_autofree char *want = NULL;
    TapConfig config;
    int a;
    int b;
    Netdev *nd;

    if (!netns_enter()) {
        return;
    }
    a = open_tap("tt0", flags);
    b = open_tap("tt0", flags);
    text = g_strdup_printf("%d:%d:", b, a); /* one colon too much is none */
    config = config_of_fds(text);
    nd = must_open(&config);
    g_assert_cmpuint(nd->n_queues, ==, 2);
    g_assert_cmpstr(nd->ifname, ==, "tt0");
    g_assert_true(nd->has_vnet_hdr);
    g_assert_cmpint(nd->queue[0]->fd, ==, b);
    g_assert_cmpint(nd->queue[1]->fd, ==, a);
    g_assert_true(fcntl(a, F_GETFL) & O_NONBLOCK);
    g_assert_true(netdev_set_active(nd, 1, NULL, NULL, NULL));
    info = nd->ops->info(nd, 1);
    want = g_strdup_printf("fd=%d", a);
    g_assert_cmpstr(info, ==, want);
    /* what one netdev has, no other gets */
    {
        g_autofree char *message = error_of(&config);

        g_assert_nonnull(strstr(message, "it was not inherited, or is in use"));
    }
    netdev_free(nd);
    g_assert_cmpint(fcntl(a, F_GETFD), ==, -1);
    g_assert_false(netns_has_interface("tt0"));
}

static void test_fds_detached_by_a_former_owner(void)
{
    struct ifreq ifr = { .ifr_flags = IFF_DETACH_QUEUE };
    int flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE;
    g_autofree char *text = NULL;
    g_autoptr(Netdev) nd = NULL;
    TapConfig config;
    TapLink l;
    int a;
    int b;

    if (!netns_enter()) {
        return;
    }
    a = open_tap("tt0", flags);
    b = open_tap("tt0", flags);
    g_assert_cmpint(ioctl(b, TUNSETQUEUE, &ifr), ==, 0);
    text = g_strdup_printf("%d:%d", a, b);
    config = config_of_fds(text);
    nd = tap_new(&config, NULL, NULL, NULL);
    g_assert_nonnull(nd);
    g_assert_false(nd->has_vnet_hdr);
    g_assert_cmpint(tap_link_query(TAP_NSID_OURS, "tt0", &l), ==, 0);
    g_assert_cmpuint(l.n_queues, ==, 2);
}

static void test_fds_inconsistent(void)
{
    int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    g_autofree char *text = NULL;
    TapConfig config;
    int a;
    int b;

    if (!netns_enter()) {
        return;
    }
    a = open_tap("tt0", flags | IFF_MULTI_QUEUE);
    b = open_tap("tt1", (flags & ~IFF_VNET_HDR) | IFF_MULTI_QUEUE);
    text = g_strdup_printf("%d:%d", a, b);
    config = config_of_fds(text);
    assert_error(&config, "vnet_hdr not consistent across given tap fds");
    g_assert_false(netns_has_interface("tt0")); /* closed, as QEMU does */
    g_assert_false(netns_has_interface("tt1"));

    a = open_tap("tt0", flags | IFF_MULTI_QUEUE);
    b = open_tap("tt1", flags | IFF_MULTI_QUEUE);
    g_free(text);
    text = g_strdup_printf("%d:%d", a, b);
    config = config_of_fds(text);
    assert_error(&config, "the given tap fds are of different interfaces, tt0 and tt1");

    a = open_tap("tt0", flags);
    b = dup(a);
    g_free(text);
    text = g_strdup_printf("%d:%d", a, b);
    config = config_of_fds(text);
    assert_error(&config, "2 tap fds given, but tt0 was opened without IFF_MULTI_QUEUE");
}

static void test_fds_wrong(void)
{
    g_autofree char *number = NULL;
    g_autofree char *want = NULL;
    TapConfig config;
    int fd;

    if (!netns_enter()) {
        return;
    }
    config = config_of_fds("900:901");
    assert_error(&config, "n0: Can't use file descriptor 900: Bad file descriptor");
    config = config_of_fds("7:8:7");
    assert_error(&config, "Parameter 'fds' has file descriptor '7' twice");
    config = config_of_fds("7x");
    assert_error(&config, "Invalid file descriptor number '7x'");
    config = config_of_fds("99999999999");
    assert_error(&config, "Invalid file descriptor number '99999999999'");
    config = config_of_fds("who:7");
    assert_error(&config, "Invalid file descriptor number 'who'");
    config = config_of_fds("");
    assert_error(&config, "Parameter 'fds' expects 1 to 256 file descriptors");
    config = config_of_fds(":7");
    assert_error(&config, "Invalid file descriptor number ''");
    fd = open("/dev/null", O_RDWR);
    number = g_strdup_printf("%d", fd);
    want = g_strdup_printf("Unable to query TUNGETIFF on FD %d: Inappropriate ioctl for device",
                           fd);
    config = (TapConfig){ .id = (char *)"n0", .fd = number };
    assert_error(&config, want);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, 0); /* a wrong number is not closed */
    close(fd);
    fd = open_tap("tt0", IFF_TUN | IFF_NO_PI);
    g_free(number);
    number = g_strdup_printf("%d", fd);
    g_free(want);
    want = g_strdup_printf("n0: Can't use file descriptor %d: it is no tap with IFF_NO_PI", fd);
    config = (TapConfig){ .id = (char *)"n0", .fd = number };
    assert_error(&config, want);
}

static int give_fd(void *opaque, const char *name)
{
    int *fd = opaque;

    return strcmp(name, "net-0") == 0 ? g_steal_fd(fd) : -1;
}

static void test_fd_by_name(void)
{
    TapConfig config = { .id = (char *)"n0", .fd = (char *)"net-0" };
    g_autoptr(GError) error = NULL;
    Netdev *nd;
    int fd;
    int kept;

    if (!netns_enter()) {
        return;
    }
    kept = fd = open_tap("tt0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
    g_assert_cmpint(fcntl(fd, F_SETFD, FD_CLOEXEC), ==, 0);
    nd = tap_new(&config, give_fd, &fd, &error);
    g_assert_no_error(error);
    g_assert_cmpint(nd->queue[0]->fd, ==, kept);
    netdev_free(nd);
    fd = kept = open("/dev/null", O_RDWR | O_CLOEXEC);
    g_assert_null(tap_new(&config, give_fd, &fd, &error));
    g_assert_nonnull(error);
    g_assert_cmpint(fcntl(kept, F_GETFD), ==, -1); /* it was ours to close */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/tap-open/queues", test_queues);
    g_test_add_func("/net/tap-open/queues-out-of-range", test_queues_out_of_range);
    g_test_add_func("/net/tap-open/names", test_names);
    g_test_add_func("/net/tap-open/info", test_info);
    g_test_add_func("/net/tap-open/vnet-hdr-off", test_vnet_hdr_off);
    g_test_add_func("/net/tap-open/sndbuf", test_sndbuf);
    g_test_add_func("/net/tap-open/sndbuf-refused", test_sndbuf_refused);
    g_test_add_func("/net/tap-open/mismatch-is-named", test_mismatch_is_named);
    g_test_add_func("/net/tap-open/persistent-tap-stays", test_persistent_tap_stays);
    g_test_add_func("/net/tap-open/tap-in-use", test_tap_in_use);
    g_test_add_func("/net/tap-open/persist", test_persist);
    g_test_add_func("/net/tap-open/queues-of-another-program",
                    test_queues_of_another_program);
    g_test_add_func("/net/tap-open/persistent-tap-with-a-queue-in-use",
                    test_persistent_tap_with_a_queue_in_use);
    g_test_add_func("/net/tap-open/given-queues-beside-others",
                    test_given_queues_beside_others);
    g_test_add_func("/net/tap-open/start-waits-for-the-end-of-another",
                    test_start_waits_for_the_end_of_another);
    g_test_add_func("/net/tap-open/last-queues-fail", test_last_queues_fail);
    g_test_add_func("/net/tap-open/scripts", test_scripts);
    g_test_add_func("/net/tap-open/script-runs-beside-the-main-loop",
                    test_script_runs_beside_the_main_loop);
    g_test_add_func("/net/tap-open/script-that-hangs-is-ended-with-its-children",
                    test_script_that_hangs_is_ended_with_its_children);
    g_test_add_func("/net/tap-open/script-ended-by-a-signal", test_script_ended_by_a_signal);
    g_test_add_func("/net/tap-open/script-is-cancelled", test_script_is_cancelled);
    g_test_add_func("/net/tap-open/failing-script-leaves-nothing",
                    test_failing_script_leaves_nothing);
    g_test_add_func("/net/tap-open/without-privilege", test_without_privilege);
    g_test_add_func("/net/tap-open/without-tun", test_without_tun);
    g_test_add_func("/net/tap-open/exclusions", test_exclusions);
    g_test_add_func("/net/tap-open/fds", test_fds);
    g_test_add_func("/net/tap-open/fds-detached-by-a-former-owner",
                    test_fds_detached_by_a_former_owner);
    g_test_add_func("/net/tap-open/fds-inconsistent", test_fds_inconsistent);
    g_test_add_func("/net/tap-open/fds-wrong", test_fds_wrong);
    g_test_add_func("/net/tap-open/fd-by-name", test_fd_by_name);
    return g_test_run();
}
