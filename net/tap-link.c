/*
 * What the host's network stack knows about an interface, asked through rtnetlink, in our
 * network namespace or in another one that it has a number for (nsid). Not through /sys:
 * that shows the namespace it was mounted in, which need not be ours.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"

#define LINK_REPLY_MAX 16384

int tap_link_socket(unsigned groups)
{
    struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = groups };
    AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        return -errno;
    }
    return g_steal_fd(&fd);
}

/* A request under construction. */
typedef struct LinkMsg {
    struct nlmsghdr nh;
    union {
        struct ifinfomsg info;
        struct rtgenmsg gen;
        uint8_t room[128];
    };
} LinkMsg;

static void msg_add(LinkMsg *msg, unsigned type, const void *data, size_t len)
{
    struct rtattr *a = (void *)((uint8_t *)msg + NLMSG_ALIGN(msg->nh.nlmsg_len));

    g_assert(NLMSG_ALIGN(msg->nh.nlmsg_len) + RTA_SPACE(len) <= sizeof(*msg));
    a->rta_type = (unsigned short)type;
    a->rta_len = (unsigned short)RTA_LENGTH(len);
    memcpy(RTA_DATA(a), data, len);
    msg->nh.nlmsg_len = NLMSG_ALIGN(msg->nh.nlmsg_len) + (uint32_t)RTA_SPACE(len);
}

/* Sends @msg and reads the one answer into @reply, LINK_REPLY_MAX bytes. 0 or -errno. */
static int msg_exchange(const LinkMsg *msg, struct nlmsghdr *reply)
{
    AUTO_FD int fd = tap_link_socket(0);
    ssize_t n;

    if (fd < 0) {
        return fd;
    }
    if (send(fd, msg, msg->nh.nlmsg_len, 0) < 0) {
        return -errno;
    }
    do {
        n = recv(fd, reply, LINK_REPLY_MAX, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    if (!NLMSG_OK(reply, (unsigned)n)) {
        return -EPROTO;
    }
    if (reply->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *e = NLMSG_DATA(reply);

        return e->error;
    }
    return 0;
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
        case IFLA_TUN_NUM_DISABLED_QUEUES:
            l->n_disabled = attr_number(a);
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
        case IFLA_ADDRESS:
            if (RTA_PAYLOAD(a) == sizeof(l->mac)) {
                memcpy(l->mac, RTA_DATA(a), sizeof(l->mac));
            }
            break;
        case IFLA_LINKINFO:
            read_linkinfo(a, l);
            break;
        default:
            break;
        }
    }
}

int tap_link_query(int nsid, const char *ifname, TapLink *ret_link)
{
    g_autofree struct nlmsghdr *reply = g_malloc(LINK_REPLY_MAX);
    LinkMsg msg = {
        .nh = { .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST,
                .nlmsg_len = NLMSG_LENGTH(sizeof(msg.info)) },
    };
    int r;

    msg_add(&msg, IFLA_IFNAME, ifname, strlen(ifname) + 1);
    if (nsid != TAP_NSID_OURS) {
        msg_add(&msg, IFLA_TARGET_NETNSID, &nsid, sizeof(nsid));
    }
    r = msg_exchange(&msg, reply);
    if (r < 0) {
        return r;
    }
    if (reply->nlmsg_type != RTM_NEWLINK) {
        return -EPROTO;
    }
    read_link(reply, ret_link);
    return 0;
}

static int nsid_exchange(unsigned type, int netns_fd, struct nlmsghdr *reply)
{
    const int any = -1;
    LinkMsg msg = {
        .nh = { .nlmsg_type = (unsigned short)type, .nlmsg_flags = NLM_F_REQUEST,
                .nlmsg_len = NLMSG_LENGTH(sizeof(msg.gen)) },
    };

    msg_add(&msg, NETNSA_FD, &netns_fd, sizeof(netns_fd));
    if (type == RTM_NEWNSID) {
        msg.nh.nlmsg_flags |= NLM_F_ACK;
        msg_add(&msg, NETNSA_NSID, &any, sizeof(any));
    }
    return msg_exchange(&msg, reply);
}

/* The number that @reply has; -1: none was given yet. */
static int read_nsid(const struct nlmsghdr *reply)
{
    const struct rtattr *a = (const void *)((const uint8_t *)NLMSG_DATA(reply) +
                                            NLMSG_ALIGN(sizeof(struct rtgenmsg)));
    unsigned len = (unsigned)NLMSG_PAYLOAD(reply, NLMSG_ALIGN(sizeof(struct rtgenmsg)));

    for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
        if (a->rta_type == NETNSA_NSID && RTA_PAYLOAD(a) >= sizeof(int)) {
            int nsid;

            memcpy(&nsid, RTA_DATA(a), sizeof(nsid));
            return nsid;
        }
    }
    return -1;
}

int tap_link_nsid(int netns_fd)
{
    g_autofree struct nlmsghdr *reply = g_malloc(LINK_REPLY_MAX);
    int r = nsid_exchange(RTM_GETNSID, netns_fd, reply);

    if (r == 0 && reply->nlmsg_type == RTM_NEWNSID && read_nsid(reply) >= 0) {
        return read_nsid(reply);
    }
    r = nsid_exchange(RTM_NEWNSID, netns_fd, reply);
    r = r == 0 ? nsid_exchange(RTM_GETNSID, netns_fd, reply) : r;
    if (r < 0) {
        return r;
    }
    return reply->nlmsg_type == RTM_NEWNSID && read_nsid(reply) >= 0 ? read_nsid(reply) : -EPROTO;
}
