/*
 * What the host's network stack knows about an interface, asked and followed through
 * rtnetlink. Not through /sys: that shows the namespace it was mounted in, which need
 * not be ours.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netdev-internal.h"
#include "util/fd.h"

#define LINK_REPLY_MAX 16384

static int link_socket(unsigned groups)
{
    struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = groups };
    AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        return -errno;
    }
    return g_steal_fd(&fd);
}

static int link_ask(int fd, const char *ifname, int ifindex)
{
    struct {
        struct nlmsghdr nh;
        struct ifinfomsg info;
        struct rtattr attr;
        char name[IFNAMSIZ];
    } msg = {
        .nh = { .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST },
        .info = { .ifi_index = ifname ? 0 : ifindex },
    };
    size_t len = NLMSG_LENGTH(sizeof(msg.info));

    if (ifname) {
        msg.attr.rta_type = IFLA_IFNAME;
        msg.attr.rta_len = (unsigned short)RTA_LENGTH(strlen(ifname) + 1);
        g_strlcpy(msg.name, ifname, sizeof(msg.name));
        len += RTA_ALIGN(msg.attr.rta_len);
    }
    msg.nh.nlmsg_len = (uint32_t)len;
    return send(fd, &msg, len, 0) < 0 ? -errno : 0;
}

static unsigned attr_number(const struct rtattr *a)
{
    uint32_t v32 = 0;

    if (RTA_PAYLOAD(a) >= sizeof(v32)) {
        memcpy(&v32, RTA_DATA(a), sizeof(v32));
        return v32;
    }
    return RTA_PAYLOAD(a) >= 1 ? *(const uint8_t *)RTA_DATA(a) : 0;
}

static void read_tun_data(const struct rtattr *data, TapLink *l)
{
    const struct rtattr *a = RTA_DATA(data);
    unsigned len = (unsigned)RTA_PAYLOAD(data);

    for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
        switch (a->rta_type) {
        case IFLA_TUN_TYPE:
            l->is_tap = attr_number(a) == IFF_TAP;
            break;
        case IFLA_TUN_MULTI_QUEUE:
            l->multi_queue = attr_number(a) != 0;
            break;
        case IFLA_TUN_VNET_HDR:
            l->vnet_hdr = attr_number(a) != 0;
            break;
        case IFLA_TUN_NUM_QUEUES:
            l->n_queues = attr_number(a);
            break;
        default:
            break;
        }
    }
}

static void read_linkinfo(const struct rtattr *info, TapLink *l)
{
    const struct rtattr *a = RTA_DATA(info);
    unsigned len = (unsigned)RTA_PAYLOAD(info);
    bool tun = false;

    for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
        if (a->rta_type == IFLA_INFO_KIND) {
            tun = RTA_PAYLOAD(a) >= 3 && strncmp(RTA_DATA(a), "tun", 4) == 0;
        } else if (a->rta_type == IFLA_INFO_DATA && tun) {
            read_tun_data(a, l);
        }
    }
}

static void read_link(const struct nlmsghdr *nh, TapLink *l)
{
    const struct ifinfomsg *info = NLMSG_DATA(nh);
    const struct rtattr *a = IFLA_RTA(info);
    unsigned len = (unsigned)IFLA_PAYLOAD(nh);

    memset(l, 0, sizeof(*l));
    l->ifindex = info->ifi_index;
    for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
        switch (a->rta_type) {
        case IFLA_MTU:
            l->mtu = attr_number(a);
            break;
        case IFLA_CARRIER:
            l->carrier = attr_number(a) != 0;
            break;
        case IFLA_LINKINFO:
            read_linkinfo(a, l);
            break;
        default:
            break;
        }
    }
}

int tap_link_query(const char *ifname, int ifindex, TapLink *ret_link)
{
    AUTO_FD int fd = link_socket(0);
    g_autofree struct nlmsghdr *nh = g_malloc(LINK_REPLY_MAX);
    ssize_t n;
    int r;

    if (fd < 0) {
        return fd;
    }
    r = link_ask(fd, ifname, ifindex);
    if (r < 0) {
        return r;
    }
    do {
        n = recv(fd, nh, LINK_REPLY_MAX, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    if (!NLMSG_OK(nh, (unsigned)n)) {
        return -EPROTO;
    }
    if (nh->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *e = NLMSG_DATA(nh);

        return e->error < 0 ? e->error : -EPROTO;
    }
    if (nh->nlmsg_type != RTM_NEWLINK) {
        return -EPROTO;
    }
    read_link(nh, ret_link);
    return 0;
}

/*
 * The interface is not to be seen in our namespace: deleted, or moved to another one,
 * where it works on.
 */
static bool tap_is_gone(const Tap *tap)
{
    struct ifreq ifr = { 0 };

    return ioctl(tap->nd.queue[0]->fd, TUNGETIFF, &ifr) < 0;
}

static int link_read_state(Tap *tap)
{
    TapLink l;
    int r = tap_link_query(NULL, tap->ifindex, &l);

    if (r == 0) {
        netdev_set_state(&tap->nd, l.mtu, l.carrier || tap->carrier_off);
    } else if (tap_is_gone(tap)) {
        netdev_set_state(&tap->nd, tap->nd.mtu, false);
    }
    return r;
}

/* True if there may be news about @ifindex among the messages that wait. */
static bool link_drain(int fd, int ifindex)
{
    g_autofree struct nlmsghdr *buf = g_malloc(LINK_REPLY_MAX);
    bool news = false;
    ssize_t n;

    for (;;) {
        const struct nlmsghdr *nh = buf;
        unsigned left;

        n = recv(fd, buf, LINK_REPLY_MAX, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == ENOBUFS) {
            news = true; /* some were lost */
            continue;
        }
        if (n <= 0) {
            return news;
        }
        left = (unsigned)n;
        for (; NLMSG_OK(nh, left); nh = NLMSG_NEXT(nh, left)) {
            const struct ifinfomsg *info = NLMSG_DATA(nh);

            news = news || nh->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) ||
                   info->ifi_index == ifindex;
        }
    }
}

/*
 * A message says only that something changed; what, is asked then. So a state that is
 * older than our own TUNSETCARRIER never gets through.
 */
static gboolean link_news(gint fd, GIOCondition condition, gpointer opaque)
{
    Tap *tap = opaque;

    if (link_drain(fd, tap->ifindex)) {
        (void)link_read_state(tap);
    }
    return G_SOURCE_CONTINUE;
}

bool tap_link_follow(Tap *tap, GError **error)
{
    int r = link_socket(RTMGRP_LINK);

    tap->link_fd = r;
    if (r >= 0) {
        r = link_read_state(tap);
    }
    if (r < 0 && !(r == -ENODEV && tap->given)) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-r),
                    "could not ask for the state of %s: %s", tap->nd.ifname, g_strerror(-r));
        return false;
    }
    if (r < 0) {
        /* A descriptor of a tap in another namespace: nothing to follow. */
        netdev_set_state(&tap->nd, 0, true);
    }
    tap->link_source = g_unix_fd_add(tap->link_fd, G_IO_IN, link_news, tap);
    return true;
}

void tap_link_unfollow(Tap *tap)
{
    if (tap->link_source > 0) {
        g_source_remove(tap->link_source);
        tap->link_source = 0;
    }
    fd_close(&tap->link_fd);
}
