/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tap-bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "frames.h"

#define ETHERNET_MAX 1514u

noreturn void tap_bench_die(const char *what)
{
    perror(what);
    exit(1);
}

int tap_bench_open(const char *ifname, bool multi_queue)
{
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
    unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    int header = TAP_BENCH_HDR_LEN;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) {
        tap_bench_die("/dev/net/tun");
    }
    if (multi_queue) {
        ifr.ifr_flags |= IFF_MULTI_QUEUE;
    }
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, offloads) < 0) {
        tap_bench_die(ifname);
    }
    return fd;
}

void tap_bench_up(const char *ifname)
{
    struct ifreq ifr = { .ifr_flags = IFF_UP | IFF_NOARP };
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
    if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &ifr) < 0) {
        tap_bench_die(ifname);
    }
    close(sock);
}

void tap_bench_packet(uint8_t *buf, size_t len)
{
    FrameSpec spec = { .ip_version = 4, .udp = len <= ETHERNET_MAX, .tcp_flags = 0x10 };
    struct virtio_net_hdr_v1 hdr = { .num_buffers = 1 };

    if (!spec.udp) {
        hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
        hdr.hdr_len = (uint16_t)frame_payload_off(&spec);
        hdr.gso_size = TAP_BENCH_MSS;
        hdr.csum_start = (uint16_t)frame_l4_off(&spec);
        hdr.csum_offset = 16;
    }
    spec.payload = len - frame_payload_off(&spec);
    memcpy(buf, &hdr, sizeof(hdr));
    frame_build(buf + TAP_BENCH_HDR_LEN, &spec);
}

static int packet_socket(const char *ifname)
{
    struct sockaddr_ll addr = { .sll_family = AF_PACKET,
                                .sll_ifindex = (int)if_nametoindex(ifname) };
    int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    int on = 1;
    int size = 64 << 20;

    if (sock < 0 || setsockopt(sock, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0 ||
        setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0 ||
        bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        tap_bench_die(ifname);
    }
    return sock;
}

void tap_bench_sender_init(TapBenchSender *s, const char *ifname, size_t frame_len)
{
    *s = (TapBenchSender){ .sock = packet_socket(ifname),
                           .packet = calloc(TAP_BENCH_BURST, TAP_BENCH_HDR_LEN + frame_len),
                           .iov = calloc(TAP_BENCH_BURST, sizeof(*s->iov)) };
    if (!s->packet || !s->iov) {
        tap_bench_die("memory");
    }
    for (unsigned i = 0; i < TAP_BENCH_BURST; i++) {
        uint8_t *packet = s->packet + i * (TAP_BENCH_HDR_LEN + frame_len);

        tap_bench_packet(packet, frame_len);
        s->iov[i] = (struct iovec){ packet + TAP_BENCH_HDR_LEN, frame_len };
        s->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &s->iov[i], .msg_iovlen = 1 };
    }
}

void tap_bench_send(TapBenchSender *s)
{
    if (sendmmsg(s->sock, s->msg, TAP_BENCH_BURST, 0) < 0 && errno != ENOBUFS &&
        errno != ENETDOWN) {
        tap_bench_die("sendmmsg");
    }
}

unsigned tap_bench_number(const char *arg, unsigned min, unsigned max)
{
    char *end;
    unsigned long n = strtoul(arg, &end, 10);

    if (*arg < '0' || *arg > '9' || *end || n < min || n > max) {
        fprintf(stderr, "'%s' is not a number from %u to %u\n", arg, min, max);
        exit(2);
    }
    return (unsigned)n;
}
