/*
 * Follows a tap's interface. Its descriptor says which one that is: name and index change
 * when it is renamed or moved to another network namespace, and another interface may have
 * them then. In another namespace it is asked about, and heard of, by the number that ours
 * has for that one (nsid): a socket opened there would keep the namespace alive.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "net/netdev-impl.h"
#include "util/fd.h"
#include "util/log.h"

#define NEWS_MAX     16384
#define LOCATE_TRIES 3 /* a rename or a move may come between two questions */

#define REOPEN_TRIES       10
#define REOPEN_INTERVAL_MS 50

/* --- where it is --- */

/* False: it is gone. The name may be another one by now. */
static bool read_name(Tap *tap)
{
    struct ifreq ifr = { 0 };

    if (ioctl(tap->nd.queue[0]->fd, TUNGETIFF, &ifr) < 0) {
        return false;
    }
    if (strncmp(tap->nd.ifname, ifr.ifr_name, sizeof(ifr.ifr_name)) != 0) {
        g_free(tap->nd.ifname);
        tap->nd.ifname = g_strndup(ifr.ifr_name, sizeof(ifr.ifr_name));
    }
    return true;
}

/* Whether @fd is of the network namespace that we are in. */
static bool is_our_netns(int fd)
{
    struct stat ours;
    struct stat its;

    return stat("/proc/self/ns/net", &ours) == 0 && fstat(fd, &its) == 0 &&
           ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
}

/* Without a right to ask for the namespace: whether an interface is the descriptor's. */
static bool is_same_mac(const Tap *tap, const TapLink *l)
{
    struct ifreq ifr = { 0 };

    return ioctl(tap->nd.queue[0]->fd, SIOCGIFHWADDR, &ifr) == 0 &&
           memcmp(ifr.ifr_hwaddr.sa_data, l->mac, sizeof(l->mac)) == 0;
}

/* One try. -ENODEV: it may have been renamed or moved meanwhile. */
static int locate_once(Tap *tap, TapLink *ret_link)
{
    AUTO_FD int netns = ioctl(tap->nd.queue[0]->fd, TUNGETDEVNETNS);
    int nsid = TAP_NSID_OURS;
    int r;

    if (netns >= 0 && !is_our_netns(netns)) {
        nsid = tap_link_nsid(netns);
        if (nsid < 0) {
            return nsid;
        }
    }
    r = tap_link_query(nsid, tap->nd.ifname, ret_link);
    if (r == 0 && netns < 0 && !is_same_mac(tap, ret_link)) {
        return -EPERM;
    }
    if (r == 0) {
        tap->nsid = nsid;
        tap->ifindex = ret_link->ifindex;
    }
    return r;
}

static TapPlace locate(Tap *tap, TapLink *ret_link)
{
    for (unsigned i = 0; i < LOCATE_TRIES; i++) {
        int r;

        if (!read_name(tap)) {
            return TAP_GONE;
        }
        r = locate_once(tap, ret_link);
        if (r == 0) {
            return TAP_FOLLOWED;
        }
        if (r != -ENODEV) {
            break;
        }
    }
    return TAP_ELSEWHERE;
}

bool tap_is_ours_to_see(const Tap *tap)
{
    return tap->place == TAP_FOLLOWED && tap->nsid == TAP_NSID_OURS;
}

/* --- its end --- */

static void update(Tap *tap);

static gboolean end_news(gint fd, GIOCondition condition, gpointer opaque)
{
    Tap *tap = opaque;

    tap->end_source = 0;
    update(tap);
    return G_SOURCE_REMOVE;
}

/* In another namespace only: there the end of all of it is not told by rtnetlink. */
static void watch_end(Tap *tap, bool on)
{
    if (!on) {
        g_clear_handle_id(&tap->end_source, g_source_remove);
    } else if (tap->end_source == 0) {
        tap->end_source = g_unix_fd_add(tap->nd.queue[0]->fd, G_IO_ERR | G_IO_HUP, end_news, tap);
    }
}

static void hear_all_netns(const Tap *tap)
{
    int on = 1;

    /* without the right to it, only its end will be heard of */
    (void)setsockopt(tap->link_fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on));
}

static void say_elsewhere(const Tap *tap)
{
    warn_report("netdev %s: its interface %s is in another network namespace, where it cannot be "
                "followed: changes of its MTU and carrier go unnoticed", tap->nd.id,
                tap->nd.ifname);
}

static void update(Tap *tap)
{
    Netdev *nd = &tap->nd;
    TapPlace before = tap->place;
    TapLink l;

    tap->place = locate(tap, &l);
    watch_end(tap, tap->place == TAP_ELSEWHERE ||
              (tap->place == TAP_FOLLOWED && tap->nsid != TAP_NSID_OURS));
    switch (tap->place) {
    case TAP_FOLLOWED:
        if (tap->nsid != TAP_NSID_OURS) {
            hear_all_netns(tap);
        }
        netdev_set_state(nd, l.mtu, l.carrier || tap->carrier_off);
        break;
    case TAP_ELSEWHERE:
        if (before != TAP_ELSEWHERE) {
            say_elsewhere(tap);
        }
        netdev_set_state(nd, nd->mtu, true);
        break;
    case TAP_GONE:
    default:
        if (before != TAP_GONE) {
            netdev_fail(nd, "netdev %s: its interface %s is gone", nd->id, nd->ifname);
        }
        break;
    }
}

/* --- news --- */

static const char *news_name(const struct nlmsghdr *nh)
{
    const struct rtattr *a = IFLA_RTA(NLMSG_DATA(nh));
    unsigned len = (unsigned)IFLA_PAYLOAD(nh);

    for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
        if (a->rta_type == IFLA_IFNAME && RTA_PAYLOAD(a) > 0 &&
            memchr(RTA_DATA(a), '\0', RTA_PAYLOAD(a))) {
            return RTA_DATA(a);
        }
    }
    return NULL;
}

/* Whether a message may be about the tap: about its index, or one that has its name. */
static bool is_news(const Tap *tap, const struct nlmsghdr *nh)
{
    const struct ifinfomsg *info = NLMSG_DATA(nh);

    if (nh->nlmsg_len < NLMSG_LENGTH(sizeof(*info))) {
        return false;
    }
    if (tap->place == TAP_FOLLOWED && info->ifi_index == tap->ifindex) {
        return true;
    }
    return nh->nlmsg_type == RTM_NEWLINK && g_strcmp0(news_name(nh), tap->nd.ifname) == 0;
}

/* True if there may be news among the messages that wait. */
static bool drain_news(const Tap *tap, int fd)
{
    g_autofree struct nlmsghdr *buf = g_malloc(NEWS_MAX);
    bool news = false;
    ssize_t n;

    for (;;) {
        const struct nlmsghdr *nh = buf;
        unsigned left;

        n = recv(fd, buf, NEWS_MAX, MSG_DONTWAIT);
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
            news = news || is_news(tap, nh);
        }
    }
}

static void say_not_reopened(Tap *tap, const char *why)
{
    if (g_strcmp0(why, tap->reopen_error) != 0) {
        warn_report("netdev %s: %s", tap->nd.id, why);
        g_free(tap->reopen_error);
        tap->reopen_error = g_strdup(why);
    }
}

/* Made by us, it would be in no bridge, which its owner would not know. */
static bool is_there_again(const Tap *tap)
{
    TapLink l;

    return tap_link_query(TAP_NSID_OURS, tap->nd.ifname, &l) == 0;
}

/* Who makes a tap has it open for a moment, and its end is not told. */
static gboolean try_reopen(gpointer opaque)
{
    Tap *tap = opaque;
    g_autoptr(GError) error = NULL;

    if (!is_there_again(tap)) {
        tap->reopen_timer = 0;
        return G_SOURCE_REMOVE;
    }
    if (tap_reopen(tap, &error)) {
        info_report("netdev %s: its interface %s is there again", tap->nd.id, tap->nd.ifname);
        tap->reopen_timer = 0;
        return G_SOURCE_REMOVE;
    }
    tap->reopen_tries--;
    if (tap->reopen_tries == 0) {
        say_not_reopened(tap, error->message);
        tap->reopen_timer = 0;
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

/* It is gone, and there is a new one of its name: that was made to take its place. */
static void reopen_soon(Tap *tap)
{
    if (tap->given || tap->nd.given_away || !is_there_again(tap)) {
        return;
    }
    tap->reopen_tries = REOPEN_TRIES;
    if (tap->reopen_timer == 0) {
        tap->reopen_timer = g_timeout_add(REOPEN_INTERVAL_MS, try_reopen, tap);
    }
}

/*
 * A message says only that something changed; what, is asked then. So a state that is
 * older than our own TUNSETCARRIER never gets through.
 */
static gboolean link_news(gint fd, GIOCondition condition, gpointer opaque)
{
    Tap *tap = opaque;

    if (!drain_news(tap, fd)) {
        return G_SOURCE_CONTINUE;
    }
    if (tap->place == TAP_GONE) {
        reopen_soon(tap);
    } else {
        update(tap);
    }
    return G_SOURCE_CONTINUE;
}

bool tap_follow(Tap *tap, GError **error)
{
    int r = tap_link_socket(RTMGRP_LINK);

    tap->link_fd = r;
    if (r < 0) {
        return tap_fail(error, -r, "could not ask for the state of %s", tap->nd.ifname);
    }
    update(tap);
    if (tap->place == TAP_GONE) {
        return tap_fail(error, ENODEV, "could not ask for the state of %s", tap->nd.ifname);
    }
    tap->link_source = g_unix_fd_add(tap->link_fd, G_IO_IN, link_news, tap);
    return true;
}

void tap_unfollow(Tap *tap)
{
    g_clear_handle_id(&tap->link_source, g_source_remove);
    g_clear_handle_id(&tap->end_source, g_source_remove);
    g_clear_handle_id(&tap->reopen_timer, g_source_remove);
    fd_close(&tap->link_fd);
}
