/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        g_assert_cmpint(write(fd, text, strlen(text)), ==, (ssize_t)strlen(text));
        close(fd);
    }
}

static bool unshare_as_user(void)
{
    g_autofree char *uid = g_strdup_printf("0 %u 1", geteuid());
    g_autofree char *gid = g_strdup_printf("0 %u 1", getegid());

    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        return false;
    }
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", uid);
    write_file("/proc/self/gid_map", gid);
    return true;
}

bool netns_enter(void)
{
    if (access("/dev/net/tun", R_OK | W_OK) < 0) {
        g_test_skip("no /dev/net/tun that this user may open");
        return false;
    }
    if (unshare(CLONE_NEWNET) < 0 && !unshare_as_user()) {
        g_test_skip("no network namespace: neither root nor user namespaces");
        return false;
    }
    /* no router solicitations and the like between a test's frames */
    write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    return true;
}

bool netns_sh(const char *fmt, ...)
{
    g_autofree char *command = NULL;
    char *argv[] = { (char *)"sh", (char *)"-c", NULL, NULL };
    int status = -1;
    va_list ap;

    va_start(ap, fmt);
    command = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    argv[2] = command;
    return g_spawn_sync(NULL, argv, NULL,
                        G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL |
                        G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL, NULL, &status, NULL) &&
           status == 0;
}

bool netns_has_interface(const char *name)
{
    return if_nametoindex(name) != 0;
}

int netns_packet_socket(const char *ifname, bool vnet_hdr)
{
    struct sockaddr_ll addr = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(ifname),
    };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
    int on = 1;

    g_assert_cmpint(fd, >=, 0);
    if (vnet_hdr) {
        g_assert_cmpint(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), ==, 0);
    }
    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    return fd;
}

bool netns_wait(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 2000) == 1;
}
