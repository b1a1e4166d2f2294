/*
 * Taps that are renamed, moved to other network namespaces, deleted and made again, and
 * those that were never in ours.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frames.h"
#include "netns.h"
#include "tap-internal.h"
#include "util/container-of.h"

/* A netdev as its NIC sees it. */
typedef struct Nic {
    Netdev *nd;
    unsigned changes;
    unsigned reopened;
} Nic;

static void nic_changed(void *opaque)
{
    ((Nic *)opaque)->changes++;
}

static void nic_reopened(void *opaque)
{
    ((Nic *)opaque)->reopened++;
}

static Netdev *make_tap(const TapConfig *config)
{
    g_autoptr(GError) error = NULL;
    Netdev *nd = tap_new(config, NULL, NULL, &error);

    g_assert_no_error(error);
    return nd;
}

static TapConfig config_of(const char *ifname, unsigned queues)
{
    return (TapConfig){ .id = (char *)"n0", .ifname = (char *)ifname, .queues = queues,
                        .has_queues = true, .script = (char *)"no", .downscript = (char *)"no" };
}

static void attach(Nic *nic, Netdev *nd)
{
    *nic = (Nic){ .nd = nd };
    nd->changed = nic_changed;
    nd->reopened = nic_reopened;
    nd->changed_opaque = nic;
}

static void nic_with(Nic *nic, const char *ifname, unsigned queues)
{
    TapConfig config = config_of(ifname, queues);

    attach(nic, make_tap(&config));
    g_assert_true(netns_sh("ip link set %s up", ifname));
}

#define WAIT(condition)                                                  \
    do {                                                                 \
        gint64 end_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;      \
                                                                         \
        while (!(condition) && g_get_monotonic_time() < end_) {          \
            if (!g_main_context_iteration(NULL, FALSE)) {                \
                g_usleep(1000);                                          \
            }                                                            \
        }                                                                \
        g_assert_true(condition);                                        \
    } while (0)

/* A process that keeps another network namespace; or ours, if not @unshared. */
static pid_t keeper(bool unshared)
{
    int ready[2];
    pid_t pid;
    char c = 0;

    g_assert_cmpint(pipe2(ready, O_CLOEXEC), ==, 0);
    pid = fork();
    if (pid == 0) {
        bool ok = (!unshared || unshare(CLONE_NEWNET) == 0) && write(ready[1], &c, 1) == 1;

        execlp("sleep", "sleep", "60", NULL);
        _exit(ok ? 2 : 1);
    }
    close(ready[1]);
    g_assert_cmpint(read(ready[0], &c, 1), ==, 1);
    close(ready[0]);
    return pid;
}

static void end_keeper(pid_t pid)
{
    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

/* A shell command in the namespace of @pid. */
static bool sh_in(pid_t pid, const char *command)
{
    return netns_sh("nsenter -t %d -n sh -c '%s'", pid, command);
}

static void test_renamed(void)
{
    Nic nic;

    if (!netns_enter()) {
        return;
    }
    nic_with(&nic, "tt0", 2);
    g_assert_true(netns_sh("ip link set tt0 down && ip link set tt0 name tt9 up mtu 1400"));
    WAIT(nic.nd->mtu == 1400 && g_strcmp0(nic.nd->ifname, "tt9") == 0);
    g_assert_true(netns_sh("ip link add tt0 mtu 9000 type bridge")); /* another one now */
    g_assert_true(netns_sh("ip link set tt9 mtu 1300"));
    WAIT(nic.nd->mtu == 1300);
    g_assert_true(nic.nd->link_up);
    netdev_free(nic.nd);
}

static void test_moved_there_and_back(void)
{
    pid_t there;
    Nic nic;
    int index;

    if (!netns_enter()) {
        return;
    }
    there = keeper(true);
    nic_with(&nic, "tt0", 2);
    index = container_of(nic.nd, Tap, nd)->ifindex;
    g_assert_true(netns_sh("ip link set tt0 netns %d", there));
    g_assert_true(netns_sh("ip link add tt0 index %d mtu 9000 type bridge", index));
    g_assert_true(sh_in(there, "ip link set tt0 up mtu 1400"));
    WAIT(nic.nd->mtu == 1400);
    g_assert_true(nic.nd->link_up);
    g_assert_true(sh_in(there, "ip link set tt0 carrier off"));
    WAIT(!nic.nd->link_up);
    g_assert_null(nic.nd->error);
    g_assert_true(sh_in(there, "ip link set tt0 carrier on"));
    WAIT(nic.nd->link_up);
    g_assert_true(netns_sh("ip link del tt0"));
    g_assert_true(netns_sh("ip link add d0 type bridge && ip link add d1 type bridge"));
    g_assert_true(netns_sh("nsenter -t %d -n ip link set tt0 netns %d", there, getpid()));
    g_assert_true(netns_sh("ip link set tt0 up mtu 1300"));
    WAIT(nic.nd->mtu == 1300);
    g_assert_true(netns_sh("ip link del tt0"));
    WAIT(nic.nd->error);
    end_keeper(there);
    netdev_free(nic.nd);
}

static void test_gone(void)
{
    Nic nic;

    if (!netns_enter()) {
        return;
    }
    nic_with(&nic, "tt0", 2);
    g_assert_true(netns_sh("ip link set tt0 mtu 1400"));
    WAIT(nic.nd->mtu == 1400);
    nic.changes = 0;
    g_assert_true(netns_sh("ip link del tt0"));
    WAIT(nic.nd->error);
    g_assert_cmpstr(nic.nd->error, ==, "netdev n0: its interface tt0 is gone");
    g_assert_false(nic.nd->link_up);
    g_assert_true(netns_sh("ip link add d0 type bridge"));
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
    g_assert_cmpuint(nic.changes, ==, 1);
    netdev_free(nic.nd);
}

static void test_gone_elsewhere(void)
{
    pid_t there;
    Nic nic;

    if (!netns_enter()) {
        return;
    }
    there = keeper(true);
    nic_with(&nic, "tt0", 1);
    g_assert_true(netns_sh("ip link set tt0 netns %d", there));
    g_assert_true(sh_in(there, "ip link set tt0 mtu 1400"));
    WAIT(nic.nd->mtu == 1400);
    g_assert_true(sh_in(there, "ip link del tt0"));
    WAIT(nic.nd->error);
    end_keeper(there);
    netdev_free(nic.nd);
}

/* Following it does not keep its namespace, and the end of that is its end. */
static void test_gone_with_its_namespace(void)
{
    pid_t there;
    Nic nic;

    if (!netns_enter()) {
        return;
    }
    there = keeper(true);
    nic_with(&nic, "tt0", 1);
    g_assert_true(netns_sh("ip link set tt0 netns %d", there));
    g_assert_true(sh_in(there, "ip link set tt0 mtu 1400"));
    WAIT(nic.nd->mtu == 1400);
    end_keeper(there);
    WAIT(nic.nd->error);
    netdev_free(nic.nd);
}

/* One frame in through the interface, out of the netdev's queue 0. */
static void check_traffic(Netdev *nd)
{
    FrameSpec spec = { .ip_version = 4, .payload = 100 };
    uint8_t frame[200];
    size_t len = frame_build(frame, &spec);
    struct iovec iov[4];
    PktArena arena;
    Pkt pkt[4];
    int fd;

    g_assert_true(netns_sh("ip link set %s up", nd->ifname));
    fd = netns_packet_socket(nd->ifname, false);
    g_assert_cmpint(pkt_arena_init(&arena, PKT_ARENA_MIN + 4 * 4096), ==, 0);
    g_assert_cmpint(send(fd, frame, len, 0), ==, (ssize_t)len);
    g_assert_true(netns_wait(nd->queue[0]->fd));
    g_assert_cmpuint(netdev_recv(nd->queue[0], &arena, pkt, iov, 1), ==, 1);
    g_assert_cmpuint(pkt[0].len, ==, len);
    pkt_arena_done(&arena);
    close(fd);
}

static void test_new_one_of_its_name(void)
{
    TapLink l;
    Nic nic;

    if (!netns_enter()) {
        return;
    }
    nic_with(&nic, "tt0", 2);
    g_assert_true(nic.nd->ops->set_offload(nic.nd, NETDEV_CSUM4, NULL));
    g_assert_true(netdev_set_active(nic.nd, 1, NULL, NULL, NULL));
    netdev_set_carrier(nic.nd, true);
    for (unsigned i = 1; i <= 3; i++) {
        g_assert_true(netns_sh("ip link del tt0"));
        WAIT(nic.nd->error);
        g_assert_true(netns_sh("ip tuntap add tt0 mode tap multi_queue vnet_hdr"));
        WAIT(nic.reopened == i);
        WAIT(!nic.nd->error && nic.nd->link_up);
        g_assert_cmpint(tap_link_query(TAP_NSID_OURS, "tt0", &l), ==, 0);
        g_assert_cmpuint(l.n_queues, ==, 1);
        check_traffic(nic.nd);
        g_assert_true(netns_sh("ip link set tt0 mtu %u", 1400 + i));
        WAIT(nic.nd->mtu == 1400 + i);
        g_assert_true(netns_sh("! ethtool --version || ethtool -k tt0 | "
                               "grep -q \"^tx-checksumming: on\""));
    }
    netdev_free(nic.nd);
}

/* The new one is down and in no bridge: whoever set up the first sets it up, too. */
static void test_script_runs_for_the_new_one(void)
{
    g_autofree char *dir = g_dir_make_tmp("tap-XXXXXX", NULL);
    g_autofree char *up = g_build_filename(dir, "up", NULL);
    g_autofree char *out = g_build_filename(dir, "up.out", NULL);
    TapConfig config = config_of("tt0", 2);
    Nic nic;

    if (!netns_enter()) {
        return;
    }
    g_assert_true(g_file_set_contents_full(up, "#!/bin/sh\nip link set $1 up\n"
                                           "echo $1 >$0.tmp && mv $0.tmp $0.out\n", -1, 0, 0755,
                                           NULL));
    config.script = up;
    attach(&nic, make_tap(&config));
    g_assert_true(tap_script_run(nic.nd, true, NULL));
    for (unsigned i = 1; i <= 2; i++) {
        g_assert_cmpint(unlink(out), ==, 0);
        g_assert_true(netns_sh("ip link del tt0"));
        WAIT(nic.nd->error);
        g_assert_true(netns_sh("ip tuntap add tt0 mode tap multi_queue vnet_hdr"));
        WAIT(nic.reopened == i);
        WAIT(g_file_test(out, G_FILE_TEST_EXISTS));
        g_assert_true(netns_sh("ip link show tt0 up | grep -q tt0"));
    }
    netdev_free(nic.nd);
    g_assert_true(netns_sh("rm -r %s", dir));
}

/* What cannot be opened is left alone; the next one may be right. */
static void test_new_one_of_another_kind(void)
{
    Nic nic;

    if (!netns_enter()) {
        return;
    }
    nic_with(&nic, "tt0", 2);
    g_assert_true(netns_sh("ip link del tt0"));
    WAIT(nic.nd->error);
    g_assert_true(netns_sh("ip tuntap add tt0 mode tap"));
    WAIT(container_of(nic.nd, Tap, nd)->reopen_error);
    g_assert_cmpuint(nic.reopened, ==, 0);
    g_assert_true(netns_sh("ip link del tt0 && ip tuntap add tt0 mode tap multi_queue"));
    WAIT(nic.reopened == 1);
    g_assert_null(nic.nd->error);
    netdev_free(nic.nd);
}

static void test_replaced(void)
{
    TapConfig config = config_of("tt1", 2);
    g_autoptr(GError) error = NULL;
    Nic nic;

    if (!netns_enter()) {
        return;
    }
    nic_with(&nic, "tt0", 2);
    g_assert_true(netns_sh("ip link del tt0"));
    WAIT(nic.nd->error);
    config.queues = 3;
    g_assert_false(netdev_replace(nic.nd, make_tap(&config), &error));
    g_assert_cmpstr(error->message, ==, "netdev 'n0' is in use with queues=2");
    g_clear_error(&error);
    config.queues = 2;
    config.vnet_hdr = ON_OFF_AUTO_OFF;
    g_assert_false(netdev_replace(nic.nd, make_tap(&config), &error));
    g_assert_cmpstr(error->message, ==, "netdev 'n0' is in use with vnet_hdr=on");
    g_clear_error(&error);
    g_assert_nonnull(nic.nd->error);
    g_assert_false(netns_has_interface("tt1"));
    config.vnet_hdr = ON_OFF_AUTO_AUTO;
    nic.nd->n_active = 1; /* as its NIC had asked */
    netdev_set_carrier(nic.nd, false);           /* the same */
    g_assert_true(netdev_replace(nic.nd, make_tap(&config), &error));
    g_assert_null(nic.nd->error);
    g_assert_cmpuint(nic.reopened, ==, 1);
    g_assert_cmpstr(nic.nd->ifname, ==, "tt1");
    g_assert_true(netns_sh("ip link set tt1 up && ip link show tt1 | grep -q NO-CARRIER"));
    netdev_set_carrier(nic.nd, true);
    check_traffic(nic.nd);
    netdev_free(nic.nd);
    g_assert_false(netns_has_interface("tt1"));
}

/* --- descriptors of taps that are not in our namespace --- */

static int open_raw(const char *ifname)
{
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
    int fd = open("/dev/net/tun", O_RDWR); /* inherited, so without close-on-exec */

    g_assert_cmpint(fd, >=, 0);
    g_strlcpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name));
    g_assert_cmpint(ioctl(fd, TUNSETIFF, &ifr), ==, 0);
    return fd;
}

/*
 * In a new namespace, where an interface has the tap's name and index; *@ret_there keeps the
 * former one. False: skipped.
 */
static bool leave_tap_behind(int *ret_fd, pid_t *ret_there)
{
    unsigned index;

    if (!netns_enter()) {
        return false;
    }
    *ret_fd = open_raw("tt0");
    index = if_nametoindex("tt0");
    g_assert_true(netns_sh("ip link set tt0 up mtu 1400"));
    *ret_there = keeper(false);
    g_assert_cmpint(unshare(CLONE_NEWNET), ==, 0);
    g_assert_true(netns_sh("ip tuntap add tt1 mode tap && ip link set tt1 name tt0 mtu 9000 && "
                           "ip link set tt0 up"));
    g_assert_cmpuint(index, !=, 0);
    return true;
}

static void adopt(Nic *nic, int fd)
{
    g_autofree char *text = g_strdup_printf("%d", fd);
    TapConfig config = { .id = (char *)"n0", .fd = text };

    attach(nic, make_tap(&config));
}

static void test_given_from_elsewhere(void)
{
    pid_t there;
    Nic nic;
    int fd;

    if (!leave_tap_behind(&fd, &there)) {
        return;
    }
    adopt(&nic, fd);
    g_assert_cmpuint(nic.nd->mtu, ==, 1400);
    g_assert_true(netns_sh("ip link set tt0 mtu 8000"));
    g_assert_true(sh_in(there, "ip link set tt0 mtu 1300"));
    WAIT(nic.nd->mtu == 1300);
    g_assert_true(netns_sh("ip link del tt0"));
    g_assert_true(sh_in(there, "ip link set tt0 mtu 1200"));
    WAIT(nic.nd->mtu == 1200);
    g_assert_true(nic.nd->link_up);
    g_assert_true(sh_in(there, "ip link del tt0"));
    WAIT(nic.nd->error);
    end_keeper(there);
    netdev_free(nic.nd);
}

/* CAP_NET_ADMIN, which this thread has, used or not. */
static void use_net_admin(bool on)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct cap[2];

    g_assert_cmpint(syscall(SYS_capget, &header, cap), ==, 0);
    if (on) {
        cap[0].effective |= 1u << CAP_NET_ADMIN;
    } else {
        cap[0].effective &= ~(1u << CAP_NET_ADMIN);
    }
    g_assert_cmpint(syscall(SYS_capset, &header, cap), ==, 0);
}

/* As a user who was given the descriptor of a tap. */
static void test_given_without_rights(void)
{
    Nic nic;
    int fd;

    if (!netns_enter()) {
        return;
    }
    fd = open_raw("tt0");
    g_assert_true(netns_sh("ip link set tt0 up mtu 1400"));
    use_net_admin(false);
    adopt(&nic, fd);
    g_assert_cmpuint(nic.nd->mtu, ==, 1400);
    use_net_admin(true);
    g_assert_true(netns_sh("ip link set tt0 mtu 1300"));
    use_net_admin(false);
    WAIT(nic.nd->mtu == 1300);
    use_net_admin(true);
    g_assert_true(netns_sh("ip link del tt0"));
    use_net_admin(false);
    WAIT(nic.nd->error);
    netdev_free(nic.nd);
    use_net_admin(true);
}

static void test_given_from_elsewhere_without_rights(void)
{
    pid_t there;
    Nic nic;
    int fd;

    if (!leave_tap_behind(&fd, &there)) {
        return;
    }
    use_net_admin(false);
    adopt(&nic, fd);
    g_assert_true(nic.nd->link_up);
    g_assert_cmpuint(nic.nd->mtu, ==, 0);
    use_net_admin(true);
    g_assert_true(netns_sh("ip link set tt0 mtu 8000 && ip link del tt0"));
    use_net_admin(false);
    for (int i = 0; i < 20; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_null(nic.nd->error);
    g_assert_cmpuint(nic.nd->mtu, ==, 0);
    use_net_admin(true);
    g_assert_true(sh_in(there, "ip link del tt0"));
    use_net_admin(false);
    WAIT(nic.nd->error);
    use_net_admin(true);
    end_keeper(there);
    netdev_free(nic.nd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    g_test_add_func("/net/tap-follow/renamed", test_renamed);
    g_test_add_func("/net/tap-follow/moved-there-and-back", test_moved_there_and_back);
    g_test_add_func("/net/tap-follow/gone", test_gone);
    g_test_add_func("/net/tap-follow/gone-elsewhere", test_gone_elsewhere);
    g_test_add_func("/net/tap-follow/gone-with-its-namespace", test_gone_with_its_namespace);
    g_test_add_func("/net/tap-follow/new-one-of-its-name", test_new_one_of_its_name);
    g_test_add_func("/net/tap-follow/script-runs-for-the-new-one",
                    test_script_runs_for_the_new_one);
    g_test_add_func("/net/tap-follow/new-one-of-another-kind", test_new_one_of_another_kind);
    g_test_add_func("/net/tap-follow/replaced", test_replaced);
    g_test_add_func("/net/tap-follow/given-from-elsewhere", test_given_from_elsewhere);
    g_test_add_func("/net/tap-follow/given-without-rights", test_given_without_rights);
    g_test_add_func("/net/tap-follow/given-from-elsewhere-without-rights",
                    test_given_from_elsewhere_without_rights);
    return g_test_run();
}
