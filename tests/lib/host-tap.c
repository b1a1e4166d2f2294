/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "host-tap.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "frames.h"

#define RECEIVE_BUFFER (16 << 20)

static int queue_open(HostTap *t, bool vnet_hdr)
{
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        return -1;
    }
    if (vnet_hdr) {
        ifr.ifr_flags |= IFF_VNET_HDR;
    }
    if (t->n_queues > 1) {
        ifr.ifr_flags |= IFF_MULTI_QUEUE;
    }
    memcpy(ifr.ifr_name, t->ifname, sizeof(ifr.ifr_name));
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        close(fd);
        return -1;
    }
    memcpy(t->ifname, ifr.ifr_name, sizeof(t->ifname));
    return fd;
}

static struct ifreq interface_ioctl(HostTap *t, unsigned long request, short flags)
{
    struct ifreq ifr = { .ifr_flags = flags };

    memcpy(ifr.ifr_name, t->ifname, sizeof(ifr.ifr_name));
    g_assert_cmpint(ioctl(t->sock, request, &ifr), ==, 0);
    return ifr;
}

static void socket_open(HostTap *t)
{
    struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_protocol = g_htons(ETH_P_ALL) };
    int one = 1, size = RECEIVE_BUFFER;

    t->sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    g_assert_cmpint(t->sock, >=, 0);
    interface_ioctl(t, SIOCSIFFLAGS, IFF_UP); /* before bind(): else that says ENETDOWN */
    addr.sll_ifindex = (int)if_nametoindex(t->ifname);
    g_assert_cmpint(setsockopt(t->sock, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), ==, 0);
    g_assert_cmpint(setsockopt(t->sock, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)), ==, 0);
    g_assert_cmpint(setsockopt(t->sock, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)),
                    ==, 0);
    if (setsockopt(t->sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
        setsockopt(t->sock, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0) {
        /* root of a user namespace only: as large as it gets */
        setsockopt(t->sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        setsockopt(t->sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
    g_assert_cmpint(bind(t->sock, (void *)&addr, sizeof(addr)), ==, 0);
}

HostTap *host_tap_new(unsigned n_queues, bool vnet_hdr)
{
    HostTap *t = g_new0(HostTap, 1);

    g_assert_cmpuint(n_queues, <=, HOST_TAP_MAX_QUEUES);
    g_strlcpy(t->ifname, "test%d", sizeof(t->ifname));
    t->n_queues = n_queues;
    for (unsigned i = 0; i < n_queues; i++) {
        t->fd[i] = queue_open(t, vnet_hdr);
        g_assert_cmpint(t->fd[i], >=, 0);
    }
    socket_open(t);
    return t;
}

void host_tap_close_fds(HostTap *t)
{
    for (unsigned i = 0; i < t->n_queues; i++) {
        if (t->fd[i] >= 0) {
            close(t->fd[i]);
            t->fd[i] = -1;
        }
    }
}

void host_tap_free(HostTap *t)
{
    host_tap_close_fds(t);
    close(t->sock);
    g_free(t);
}

void host_tap_follow(HostTap *t, const char *ifname)
{
    close(t->sock);
    g_strlcpy(t->ifname, ifname, sizeof(t->ifname));
    socket_open(t);
}

static void wait_running(HostTap *t, bool on)
{
    unsigned i = 0;

    while (((interface_ioctl(t, SIOCGIFFLAGS, 0).ifr_flags & IFF_RUNNING) != 0) != on) {
        g_assert_cmpuint(i++, <, 10000);
        g_usleep(500);
    }
}

void host_tap_wait_running(HostTap *t)
{
    wait_running(t, true);
}

void host_tap_wait_stopped(HostTap *t)
{
    wait_running(t, false);
}

void host_tap_set_mtu(HostTap *t, int mtu)
{
    struct ifreq ifr = { .ifr_mtu = mtu };

    memcpy(ifr.ifr_name, t->ifname, sizeof(ifr.ifr_name));
    g_assert_cmpint(ioctl(t->sock, SIOCSIFMTU, &ifr), ==, 0);
}

void host_tap_set_down(HostTap *t)
{
    interface_ioctl(t, SIOCSIFFLAGS, 0);
}

/* The kernel takes a tag out of the frame and tells it apart: it is put back. */
static size_t vlan_restore(const struct msghdr *msg, struct virtio_net_hdr *hdr, uint8_t *buf,
                           size_t len)
{
    struct tpacket_auxdata aux;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR((struct msghdr *)msg, c)) {
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) {
            continue;
        }
        memcpy(&aux, CMSG_DATA(c), sizeof(aux));
        if (aux.tp_status & TP_STATUS_VLAN_VALID) {
            memmove(buf + 16, buf + 12, len - 12);
            buf[12] = (uint8_t)(aux.tp_vlan_tpid >> 8);
            buf[13] = (uint8_t)aux.tp_vlan_tpid;
            buf[14] = (uint8_t)(aux.tp_vlan_tci >> 8);
            buf[15] = (uint8_t)aux.tp_vlan_tci;
            if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
                hdr->csum_start = (uint16_t)(hdr->csum_start + 4);
            }
            return len + 4;
        }
    }
    return len;
}

size_t host_tap_recv(HostTap *t, struct virtio_net_hdr *ret_hdr, uint8_t *buf, int timeout_ms)
{
    struct pollfd p = { .fd = t->sock, .events = POLLIN };
    struct iovec iov[2] = { { ret_hdr, sizeof(*ret_hdr) }, { buf, FRAME_MAX } };
    char control[128] __attribute__((aligned(8)));
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = control,
                          .msg_controllen = sizeof(control) };
    ssize_t n;

    if (poll(&p, 1, timeout_ms) <= 0) {
        return 0;
    }
    n = recvmsg(t->sock, &msg, MSG_DONTWAIT);
    g_assert_cmpint(n, >, (ssize_t)sizeof(*ret_hdr));
    return vlan_restore(&msg, ret_hdr, buf, (size_t)n - sizeof(*ret_hdr));
}

void host_tap_send(HostTap *t, const struct virtio_net_hdr *hdr, const uint8_t *buf, size_t len)
{
    struct virtio_net_hdr none = { 0 };
    struct iovec iov[2] = { { (void *)(hdr ? hdr : &none), sizeof(none) }, { (void *)buf, len } };
    ssize_t n;

    do {
        n = writev(t->sock, iov, 2);
    } while (n < 0 && (errno == ENOBUFS || errno == EAGAIN));
    g_assert_cmpint(n, ==, (ssize_t)(len + sizeof(none)));
}
