/*
 * A tap at work: packets through the real kernel, and its offloads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/tap.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frames.h"
#include "netns.h"
#include "open-tap.h"
#include "tap-internal.h"

#define BATCH 64

/* One packet to send, its header in front of it or elsewhere. */
typedef struct Packet {
    struct virtio_net_hdr_v1 far_hdr;
    struct iovec iov[PKT_MAX_IOV];
    Pkt pkt;
    PktHeaders h;
    struct virtio_net_hdr_v1 near_hdr;
    uint8_t frame[FRAME_MAX];
} Packet;

static void make_packet(Packet *p, const FrameSpec *s, bool near)
{
    size_t len = frame_build(p->frame, s);

    memset(&p->near_hdr, 0, sizeof(p->near_hdr));
    memset(&p->far_hdr, 0, sizeof(p->far_hdr));
    p->iov[0] = (struct iovec){ p->frame, len };
    p->pkt = (Pkt){ .hdr = near ? &p->near_hdr : &p->far_hdr, .iov = p->iov, .n_iov = 1,
                    .len = (uint32_t)len };
    g_assert_true(pkt_parse(p->frame, len, &p->h));
}

/* Splits the packet into pieces: headers, then pages as grants bring them. */
static void split_packet(Packet *p, size_t head, size_t piece)
{
    size_t len = p->pkt.len;
    size_t off = head;

    p->iov[0].iov_len = head;
    for (p->pkt.n_iov = 1; off < len; p->pkt.n_iov++) {
        g_assert_cmpuint(p->pkt.n_iov, <, PKT_MAX_IOV);
        p->iov[p->pkt.n_iov] = (struct iovec){ p->frame + off, MIN(piece, len - off) };
        off += piece;
    }
}

static ssize_t get_frame(int fd, uint8_t *buf, size_t size)
{
    return netns_wait(fd) ? recv(fd, buf, size, 0) : -1;
}

static void test_send_in_any_form(void)
{
    g_autofree uint8_t *buf = g_malloc(FRAME_MAX);
    g_autofree Packet *p = g_new(Packet, 1);
    FrameSpec s = { .ip_version = 4, .payload = 1400 };
    g_autoptr(Netdev) nd = NULL;
    unsigned form;
    int fd;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    fd = netns_packet_socket("tt0", false);
    for (form = 0; form < 4; form++) {
        make_packet(p, &s, form & 1);
        if (form & 2) {
            split_packet(p, 128, 300);
        }
        g_assert_cmpuint(netdev_send(nd->queue[0], &p->pkt, 1), ==, 1);
        g_assert_cmpint(get_frame(fd, buf, FRAME_MAX), ==, p->pkt.len);
        g_assert_cmpmem(buf, p->pkt.len, p->frame, p->pkt.len);
    }
    g_assert_cmpuint(nd->queue[0]->refused, ==, 0);
    close(fd);
}

/* Up to what a system call takes; borrowed pieces are given back. */
static void test_send_many_pieces(void)
{
    static const unsigned ns[] = { 21, 500, 1023, 1024, 1025 };
    g_autofree uint8_t *buf = g_malloc(FRAME_MAX);
    g_autofree Packet *p = g_new(Packet, 1);
    FrameSpec s = { .ip_version = 4, .payload = 1400 };
    g_autofree struct iovec *iov = g_new0(struct iovec, 1 + 1025);
    g_autoptr(Netdev) nd = NULL;
    unsigned refused = 0;
    int fd;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    fd = netns_packet_socket("tt0", false);
    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(ns); i++) {
        unsigned n = ns[i / 2];
        g_autofree struct iovec *before = NULL;
        bool near = i % 2;
        unsigned k;

        make_packet(p, &s, near);
        iov[0] = (struct iovec){ iov, 12345 };
        for (k = 0; k < n; k++) {
            iov[1 + k] = (struct iovec){ p->frame + k, k < n - 1 ? 1 : p->pkt.len - k };
        }
        p->pkt.iov = iov + 1;
        p->pkt.n_iov = n;
        before = g_memdup2(iov, (1 + n) * sizeof(iov[0]));
        g_assert_cmpuint(netdev_send(nd->queue[0], &p->pkt, 1), ==, 1);
        g_assert_cmpmem(iov, (1 + n) * sizeof(iov[0]), before, (1 + n) * sizeof(iov[0]));
        if (n + !near > PKT_SEND_MAX_IOV) {
            refused++;
        } else {
            g_assert_cmpint(get_frame(fd, buf, FRAME_MAX), ==, p->pkt.len);
            g_assert_cmpmem(buf, p->pkt.len, p->frame, p->pkt.len);
        }
        g_assert_cmpuint(nd->queue[0]->refused, ==, refused);
    }
    g_assert_cmpuint(refused, ==, 3);
    close(fd);
}

static void test_send_without_header(void)
{
    g_autofree uint8_t *buf = g_malloc(FRAME_MAX);
    g_autofree Packet *p = g_new(Packet, 1);
    FrameSpec s = { .ip_version = 4, .payload = 2500 };
    g_autoptr(Netdev) nd = NULL;
    unsigned i;
    int fd;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_OFF);
    fd = netns_packet_socket("tt0", false);
    make_packet(p, &s, true);
    split_packet(p, 128, 1000);
    g_assert_true(pkt_set_gso(&p->pkt, &p->h, 4, 1000));
    g_assert_cmpuint(netdev_send(nd->queue[0], &p->pkt, 1), ==, 1);
    for (i = 0; i < 3; i++) {
        g_assert_cmpint(get_frame(fd, buf, FRAME_MAX), ==, i < 2 ? 1054 : 554);
        g_assert_true(frame_is_complete(buf, i < 2 ? 1054 : 554, &s));
    }
    close(fd);
}

/* What pkt_set_gso() and pkt_set_csum() make is to the kernel's taste, and comes out as it was. */
static void test_offloads_are_accepted(void)
{
    static const FrameSpec specs[] = {
        { .ip_version = 4, .payload = 5000 },
        { .ip_version = 4, .payload = 64000, .tcp_extra = 12, .tcp_flags = 0x18 },
        { .ip_version = 4, .payload = 5000, .ip_extra = 40, .tcp_extra = 40 },
        { .ip_version = 4, .payload = 5000, .vlans = 1 },
        { .ip_version = 6, .payload = 60000, .tcp_extra = 12 },
        { .ip_version = 6, .payload = 5000, .vlans = 1 },
        { .ip_version = 4, .payload = 1400, .udp = true },
        { .ip_version = 6, .payload = 10, .udp = true },
        { .ip_version = 4, .payload = 0 },
        { .ip_version = 6, .payload = 100, .ip_extra = 8 },
    };
    g_autofree uint8_t *buf = g_malloc(FRAME_MAX);
    g_autofree Packet *p = g_new(Packet, 1);
    g_autoptr(Netdev) nd = NULL;
    unsigned i;
    int fd;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    fd = netns_packet_socket("tt0", true);
    for (i = 0; i < G_N_ELEMENTS(specs); i++) {
        const struct virtio_net_hdr *hdr = (const void *)buf;
        const FrameSpec *s = &specs[i];
        bool gso = !s->udp && s->payload > 1448;

        make_packet(p, s, true);
        if (p->pkt.len > 128) {
            split_packet(p, MAX(frame_payload_off(s), 128), 4096);
        }
        g_assert_true(gso ? pkt_set_gso(&p->pkt, &p->h, (uint8_t)s->ip_version, 1448)
                          : pkt_set_csum(&p->pkt, &p->h, true));
        g_assert_cmpuint(netdev_send(nd->queue[0], &p->pkt, 1), ==, 1);
        g_assert_cmpuint(nd->queue[0]->refused, ==, 0);
        /* the kernel takes the outer tag off and shows it elsewhere */
        g_assert_cmpint(get_frame(fd, buf, FRAME_MAX), ==,
                        sizeof(*hdr) + p->pkt.len - 4 * s->vlans);
        g_assert_cmpuint(hdr->flags, ==, VIRTIO_NET_HDR_F_NEEDS_CSUM);
        g_assert_cmpuint(hdr->gso_type, ==, p->pkt.hdr->gso_type);
        g_assert_cmpuint(hdr->gso_size, ==, p->pkt.hdr->gso_size);
        g_assert_cmpuint(hdr->csum_start, ==, frame_l4_off(s) - 4 * s->vlans);
        g_assert_cmpuint(hdr->csum_offset, ==, s->udp ? 6 : 16);
    }
    close(fd);
}

static void test_refused_packets_are_counted(void)
{
    g_autofree uint8_t *buf = g_malloc(FRAME_MAX);
    g_autofree Packet *p = g_new(Packet, 3);
    FrameSpec s = { .ip_version = 4, .payload = 100 };
    g_autoptr(Netdev) nd = NULL;
    Pkt pkt[3];
    unsigned i;
    int fd;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    fd = netns_packet_socket("tt0", false);
    for (i = 0; i < 3; i++) {
        make_packet(&p[i], &s, true);
        pkt[i] = p[i].pkt;
    }
    p[1].near_hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    p[1].near_hdr.csum_start = 5000;
    g_assert_cmpuint(netdev_send(nd->queue[0], pkt, 3), ==, 3);
    g_assert_cmpuint(nd->queue[0]->refused, ==, 1);
    g_assert_cmpint(get_frame(fd, buf, FRAME_MAX), ==, pkt[0].len);
    g_assert_cmpint(get_frame(fd, buf, FRAME_MAX), ==, pkt[2].len);
    g_assert_true(netns_sh("ip link set tt0 down"));
    g_assert_cmpuint(netdev_send(nd->queue[0], pkt, 1), ==, 1);
    g_assert_cmpuint(nd->queue[0]->refused, ==, 2);
    close(fd);
}

/* Asked as netback does, in an edge-triggered epoll; the way out is made free meanwhile. */
static bool tells_room(int fd)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int n;

    g_assert_cmpint(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev), ==, 0);
    ev.events |= EPOLLOUT;
    g_assert_cmpint(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &ev), ==, 0);
    while (epoll_wait(epoll, &ev, 1, 0) == 1) {
        g_assert_false(ev.events & EPOLLOUT);
    }
    g_assert_true(netns_sh("tc qdisc del dev d0 root"));
    do {
        n = epoll_wait(epoll, &ev, 1, 10000);
    } while (n == 1 && !(ev.events & EPOLLOUT));
    close(epoll);
    return n == 1;
}

static void test_full_netdev_stops(void)
{
    TapConfig config = { .id = (char *)"n0", .ifname = (char *)"tt0", .sndbuf = 65536,
                         .has_sndbuf = true, .script = (char *)"no", .downscript = (char *)"no" };
    g_autofree Packet *p = g_new(Packet, 1);
    FrameSpec s = { .ip_version = 4, .payload = 1400 };
    g_autoptr(Netdev) nd = NULL;
    unsigned sent = 0;
    unsigned i;
    int fd;

    if (!netns_enter()) {
        return;
    }
    nd = tap_new(&config, NULL, NULL, NULL);
    g_assert_true(nd && netns_sh("ip link set tt0 up"));
    /* a slow way out of the bridge: packets stay charged to the tap */
    if (!netns_sh("ip link add br0 type bridge forward_delay 0 && ip link set br0 up && "
                  "ip link set tt0 master br0 && ip link add d0 type ifb && "
                  "ip link set d0 master br0 up && "
                  "tc qdisc add dev d0 root tbf rate 8kbit burst 2000 limit 10m")) {
        g_test_skip("no bridge, ifb or tbf in this kernel");
        return;
    }
    fd = nd->queue[0]->fd;
    for (i = 0; i < 1000 && sent == i; i++) {
        make_packet(p, &s, true);
        memset(p->frame + 12, 0x88, 2); /* no IP: br_netfilter would take the charge off */
        sent += netdev_send(nd->queue[0], &p->pkt, 1);
    }
    g_assert_cmpuint(sent, <, 200);
    g_assert_cmpuint(sent, >, 5);
    g_assert_cmpuint(nd->queue[0]->refused, ==, 0);
    g_assert_cmpint(write(fd, p->frame, 100), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
    g_assert_true(nd->queue[0]->full && nd->ops->tells_writable);
    g_assert_true(tells_room(fd));
}

/* What the tap's reader gets. */
typedef struct Reader {
    PktArena arena;
    Pkt pkt[BATCH];
    struct iovec iov[BATCH];
} Reader;

static Reader *reader_new(void)
{
    Reader *r = g_new0(Reader, 1);

    g_assert_cmpint(pkt_arena_init(&r->arena, (size_t)4 << 20), ==, 0);
    memset(r->arena.base, 0xaa, r->arena.size); /* what is not written shows */
    return r;
}

static void reader_free(Reader *r)
{
    pkt_arena_done(&r->arena);
    g_free(r);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reader, reader_free)

static void check_received(const Reader *r, const Pkt *pkt, uint32_t len)
{
    const uint8_t *data = pkt->iov[0].iov_base;

    g_assert_cmpuint(pkt->n_iov, ==, 1);
    g_assert_cmpuint(pkt->len, ==, len);
    g_assert_cmpuint(pkt->iov[0].iov_len, ==, len);
    g_assert_true((const uint8_t *)(pkt->hdr + 1) == data);
    g_assert_cmpuint((size_t)(data - r->arena.base) % 4096, ==, 0);
    g_assert_cmpuint(pkt->hdr->num_buffers, ==, 0);
}

static void test_recv(void)
{
    static const struct virtio_net_hdr_v1 zero;
    FrameSpec s = { .ip_version = 4, .payload = 1000 };
    g_autoptr(Reader) r = reader_new();
    uint8_t frame[2000];
    size_t len = frame_build(frame, &s);
    OnOffAuto vnet_hdr;

    for (vnet_hdr = ON_OFF_AUTO_AUTO; vnet_hdr <= ON_OFF_AUTO_OFF; vnet_hdr++) {
        g_autoptr(Netdev) nd = NULL;
        unsigned i;
        int fd;

        if (!netns_enter()) {
            return;
        }
        nd = open_tap("tt0", 1, vnet_hdr);
        fd = netns_packet_socket("tt0", false);
        g_assert_cmpuint(netdev_recv(nd->queue[0], &r->arena, r->pkt, r->iov, BATCH), ==, 0);
        for (i = 0; i < 10; i++) {
            g_assert_cmpint(send(fd, frame, len - i, 0), ==, (ssize_t)(len - i));
        }
        g_assert_true(netns_wait(nd->queue[0]->fd));
        pkt_arena_reset(&r->arena);
        g_assert_cmpuint(netdev_recv(nd->queue[0], &r->arena, r->pkt, r->iov, 4), ==, 4);
        g_assert_cmpuint(netdev_recv(nd->queue[0], &r->arena, r->pkt + 4, r->iov + 4, 60), ==, 6);
        for (i = 0; i < 10; i++) {
            check_received(r, &r->pkt[i], (uint32_t)(len - i));
            g_assert_cmpmem(r->pkt[i].iov[0].iov_base, len - i, frame, len - i);
            g_assert_cmpmem(r->pkt[i].hdr, sizeof(zero), &zero, sizeof(zero));
        }
        close(fd);
    }
}

/* What the kernel leaves in the last two bytes of the header differs: a socket in its place. */
static void test_recv_clears_num_buffers(void)
{
    struct {
        struct virtio_net_hdr_v1 hdr;
        uint8_t frame[60];
    } sent = { .hdr = { .num_buffers = 0x1234 } };
    g_autoptr(Reader) r = reader_new();
    g_autoptr(Netdev) nd = NULL;
    int pair[2];

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), ==, 0);
    g_assert_cmpint(dup2(pair[0], nd->queue[0]->fd), ==, nd->queue[0]->fd);
    g_assert_cmpint(send(pair[1], &sent, sizeof(sent), 0), ==, sizeof(sent));
    g_assert_cmpuint(netdev_recv(nd->queue[0], &r->arena, r->pkt, r->iov, BATCH), ==, 1);
    check_received(r, &r->pkt[0], sizeof(sent.frame));
    close(pair[0]);
    close(pair[1]);
}

static void test_recv_stops_at_a_full_arena(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 100 };
    g_autoptr(Reader) r = reader_new();
    g_autoptr(Netdev) nd = NULL;
    uint8_t frame[200];
    size_t len = frame_build(frame, &s);
    PktArena small;
    unsigned i;
    int fd;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    fd = netns_packet_socket("tt0", false);
    for (i = 0; i < 5; i++) {
        g_assert_cmpint(send(fd, frame, len, 0), ==, (ssize_t)len);
    }
    g_assert_cmpint(pkt_arena_init(&small, PKT_ARENA_MIN + 2 * 4096), ==, 0);
    g_assert_cmpuint(netdev_recv(nd->queue[0], &small, r->pkt, r->iov, BATCH), ==, 3);
    pkt_arena_reset(&small);
    g_assert_cmpuint(netdev_recv(nd->queue[0], &small, r->pkt, r->iov, BATCH), ==, 2);
    pkt_arena_done(&small);
    close(fd);
}

/* tt0 and tt1 in a bridge; what is sent into one comes out of the other. */
static bool bridged_taps(Netdev **a, Netdev **b)
{
    if (!netns_enter()) {
        return false;
    }
    *a = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    *b = open_tap("tt1", 1, ON_OFF_AUTO_AUTO);
    if (!netns_sh("ip link add br0 type bridge forward_delay 0 mcast_snooping 0 && "
                  "ip link set br0 up && ip link set tt0 master br0 && "
                  "ip link set tt1 master br0")) {
        g_test_skip("no bridge in this kernel");
        return false;
    }
    return true;
}

/* What the kernel makes of our GSO packets: complete segments where the reader has no offloads. */
static void test_kernel_segments_what_we_send(void)
{
    static const FrameSpec specs[] = {
        { .ip_version = 4, .payload = 30000, .tcp_extra = 12, .tcp_flags = 0x18 },
        { .ip_version = 6, .payload = 30000, .tcp_extra = 12, .tcp_flags = 0x18 },
        { .ip_version = 4, .payload = 30000, .vlans = 1 },
    };
    g_autofree Packet *p = g_new(Packet, 1);
    g_autoptr(Reader) r = reader_new();
    g_autoptr(Netdev) a = NULL;
    g_autoptr(Netdev) b = NULL;
    unsigned i;

    if (!bridged_taps(&a, &b)) {
        return;
    }
    for (i = 0; i < G_N_ELEMENTS(specs); i++) {
        const FrameSpec *s = &specs[i];
        size_t off = 0;
        unsigned n;
        unsigned k;

        make_packet(p, s, true);
        g_assert_true(pkt_set_gso(&p->pkt, &p->h, (uint8_t)s->ip_version, 1400));
        g_assert_cmpuint(netdev_send(a->queue[0], &p->pkt, 1), ==, 1);
        g_assert_true(netns_wait(b->queue[0]->fd));
        pkt_arena_reset(&r->arena);
        n = netdev_recv(b->queue[0], &r->arena, r->pkt, r->iov, BATCH);
        g_assert_cmpuint(n, ==, (30000 + 1399) / 1400);
        for (k = 0; k < n; k++) {
            const uint8_t *data = r->pkt[k].iov[0].iov_base;

            g_assert_cmpuint(r->pkt[k].hdr->gso_type, ==, VIRTIO_NET_HDR_GSO_NONE);
            g_assert_false(r->pkt[k].hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
            g_assert_true(frame_is_complete(data, r->pkt[k].len, s));
            g_assert_cmpuint(data[frame_payload_off(s)], ==, frame_byte(off));
            off += r->pkt[k].len - frame_payload_off(s);
        }
        g_assert_cmpuint(off, ==, s->payload);
    }
}

/* Sends one GSO packet from @a to @b; how @b has it. */
static const Pkt *pass_gso(Netdev *a, Netdev *b, Reader *r, unsigned ip_version)
{
    FrameSpec s = { .ip_version = ip_version, .payload = 30000 };
    g_autofree Packet *p = g_new(Packet, 1);

    make_packet(p, &s, true);
    g_assert_true(pkt_set_gso(&p->pkt, &p->h, (uint8_t)ip_version, 1400));
    g_assert_cmpuint(netdev_send(a->queue[0], &p->pkt, 1), ==, 1);
    g_assert_true(netns_wait(b->queue[0]->fd));
    pkt_arena_reset(&r->arena);
    g_assert_cmpuint(netdev_recv(b->queue[0], &r->arena, r->pkt, r->iov, BATCH), >, 0);
    check_received(r, &r->pkt[0], r->pkt[0].len);
    return &r->pkt[0];
}

static void test_offloads_as_asked(void)
{
    static const struct {
        unsigned offload;
        bool csum, tso4, tso6;
    } cases[] = {
        { 0, false, false, false },
        { NETDEV_CSUM4, true, false, false },
        { NETDEV_CSUM6, true, false, false },
        { NETDEV_CSUM4 | NETDEV_TSO4, true, true, false },
        { NETDEV_CSUM6 | NETDEV_TSO6, true, false, true },
        { NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6, true, true, true },
        { NETDEV_TSO4 | NETDEV_TSO6, false, false, false }, /* nothing without checksums */
        { NETDEV_CSUM4 | NETDEV_TSO6, true, false, false },
    };
    g_autoptr(Reader) r = reader_new();
    g_autoptr(Netdev) a = NULL;
    g_autoptr(Netdev) b = NULL;
    unsigned i;

    if (!bridged_taps(&a, &b)) {
        return;
    }
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Pkt *pkt;

        g_assert_true(b->ops->set_offload(b, cases[i].offload, NULL));
        pkt = pass_gso(a, b, r, 4);
        g_assert_true((pkt->hdr->gso_type == VIRTIO_NET_HDR_GSO_TCPV4) == cases[i].tso4);
        g_assert_true((pkt->hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == cases[i].csum);
        pkt = pass_gso(a, b, r, 6);
        g_assert_true((pkt->hdr->gso_type == VIRTIO_NET_HDR_GSO_TCPV6) == cases[i].tso6);
    }
}

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Sends one UDP packet of 3000 bytes that wants to be in pieces of @size, of @gso_type. */
static void send_udp_gso(Netdev *nd, unsigned ip_version, uint8_t gso_type, uint16_t size)
{
    FrameSpec s = { .ip_version = ip_version, .payload = 3000, .udp = true };
    g_autofree Packet *p = g_new(Packet, 1);
    uint64_t refused = nd->queue[0]->refused;

    make_packet(p, &s, true);
    g_assert_true(pkt_set_csum(&p->pkt, &p->h, true));
    p->pkt.hdr->gso_type = gso_type;
    p->pkt.hdr->gso_size = size;
    g_assert_cmpuint(netdev_send(nd->queue[0], &p->pkt, 1), ==, 1);
    g_assert_cmpuint(nd->queue[0]->refused, ==, refused);
}

/* How many packets came. */
static unsigned read_packets(Netdev *nd, Reader *r)
{
    g_assert_true(netns_wait(nd->queue[0]->fd));
    pkt_arena_reset(&r->arena);
    return netdev_recv(nd->queue[0], &r->arena, r->pkt, r->iov, BATCH);
}

/* A guest's are taken, and come in one piece where the other end takes that, too. */
static void test_uso(void)
{
    const unsigned csum = NETDEV_CSUM4 | NETDEV_CSUM6;
    static const struct {
        unsigned offload;
        bool whole;
    } cases[] = { { 0, false },
                  { NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_USO, true },
                  { NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_UFO, false },
                  { NETDEV_CSUM6 | NETDEV_USO, false },
                  { NETDEV_CSUM4 | NETDEV_USO, false },
                  { NETDEV_USO, false } };
    g_autoptr(Reader) r = reader_new();
    g_autoptr(Netdev) a = NULL;
    g_autoptr(Netdev) b = NULL;

    if (!bridged_taps(&a, &b)) {
        return;
    }
    if (!(a->host_offload & NETDEV_USO)) {
        g_test_skip("no USO in this kernel (Linux 6.2)");
        return;
    }
    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(cases); i++) {
        g_assert_true(b->ops->set_offload(b, cases[i / 2].offload, NULL));
        send_udp_gso(a, i % 2 ? 6 : 4, VIRTIO_NET_HDR_GSO_UDP_L4, 1000);
        g_assert_cmpuint(read_packets(b, r), ==, cases[i / 2].whole ? 1 : 3);
        g_assert_cmpuint(r->pkt[0].hdr->gso_type, ==,
                         cases[i / 2].whole ? VIRTIO_NET_HDR_GSO_UDP_L4 : VIRTIO_NET_HDR_GSO_NONE);
        g_assert_true((r->pkt[0].hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ==
                      (cases[i / 2].offload & csum ? 1 : 0));
    }
}

/* Linux makes none, but takes them, as from a guest that came from an older host. */
static void test_ufo(void)
{
    g_autoptr(Reader) r = reader_new();
    g_autoptr(Netdev) a = NULL;
    g_autoptr(Netdev) b = NULL;

    if (!bridged_taps(&a, &b)) {
        return;
    }
    g_assert_true(a->host_offload & NETDEV_UFO);
    g_assert_true(b->ops->set_offload(b, NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_UFO, NULL));
    send_udp_gso(a, 4, VIRTIO_NET_HDR_GSO_UDP, 1000);
    g_assert_cmpuint(read_packets(b, r), ==, 4); /* 3008 bytes */
    g_assert_cmpuint(r->pkt[0].hdr->gso_type, ==, VIRTIO_NET_HDR_GSO_NONE);
}

/* A packet with CWR set is segmented by a kernel that may not hand it over. */
static void test_ecn(void)
{
    const unsigned tso = NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4;
    const uint8_t ecn4 = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN;
    FrameSpec s = { .ip_version = 4, .payload = 3000, .tcp_flags = 0x90 };
    g_autofree Packet *p = g_new(Packet, 1);
    g_autoptr(Reader) r = reader_new();
    g_autoptr(Netdev) a = NULL;
    g_autoptr(Netdev) b = NULL;

    if (!bridged_taps(&a, &b)) {
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        const unsigned offload = i == 0 ? tso : i == 1 ? tso | NETDEV_TSO_ECN : NETDEV_TSO_ECN;

        g_assert_true(b->ops->set_offload(b, offload, NULL));
        make_packet(p, &s, true);
        g_assert_true(pkt_set_gso(&p->pkt, &p->h, 4, 1000));
        p->pkt.hdr->gso_type = ecn4;
        g_assert_cmpuint(netdev_send(a->queue[0], &p->pkt, 1), ==, 1);
        g_assert_cmpuint(read_packets(b, r), ==, i == 1 ? 1 : 3);
        g_assert_cmpuint(r->pkt[0].hdr->gso_type, ==, i == 1 ? ecn4 : 0);
    }
}

/* --- a kernel without what is new --- */

static struct {
    unsigned long refused; /* TUN_F_* */
    unsigned asked;        /* ioctls */
    unsigned long last;    /* what for */
} old_kernel;

/* In the place of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (request == TUNSETOFFLOAD) {
        old_kernel.asked++;
        old_kernel.last = (unsigned long)arg;
        if ((unsigned long)arg & old_kernel.refused) {
            errno = EINVAL;
            return -1;
        }
    }
    return (int)syscall(SYS_ioctl, fd, request, arg);
}

/* Nothing without its family's checksums, and what has no family not without both. */
static void test_what_the_kernel_is_asked_for(void)
{
    const unsigned csum = NETDEV_CSUM4 | NETDEV_CSUM6;
    const unsigned tso = NETDEV_TSO4 | NETDEV_TSO6;
    const struct {
        unsigned offload;
        unsigned long tun;
    } cases[] = {
        { 0, 0 },
        { NETDEV_CSUM4 | tso, TUN_F_CSUM | TUN_F_TSO4 },
        { NETDEV_CSUM6 | tso, TUN_F_CSUM | TUN_F_TSO6 },
        { csum | tso, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 },
        { csum | NETDEV_TSO6 | NETDEV_TSO_ECN, TUN_F_CSUM | TUN_F_TSO6 | TUN_F_TSO_ECN },
        { csum | NETDEV_TSO_ECN, TUN_F_CSUM },
        { csum | NETDEV_UFO, TUN_F_CSUM | TUN_F_UFO },
        { NETDEV_CSUM4 | NETDEV_UFO, TUN_F_CSUM },
        { tso | NETDEV_UFO | NETDEV_USO | NETDEV_TSO_ECN, 0 },
    };
    g_autoptr(Netdev) nd = NULL;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_true(nd->ops->set_offload(nd, cases[i].offload, NULL));
        g_assert_cmphex(old_kernel.last, ==, cases[i].tun);
    }
}

static void test_what_the_host_takes(void)
{
    const unsigned tcp = NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_TSO_ECN;
    static const struct {
        OnOffAuto vnet_hdr;
        unsigned long refused;
        unsigned has, has_not;
    } cases[] = { { ON_OFF_AUTO_AUTO, 0x60, NETDEV_UFO, NETDEV_USO },
                  { ON_OFF_AUTO_AUTO, 0x40, NETDEV_UFO, NETDEV_USO },
                  { ON_OFF_AUTO_AUTO, TUN_F_UFO, 0, NETDEV_UFO },
                  { ON_OFF_AUTO_OFF, 0, 0, NETDEV_UFO | NETDEV_USO } };

    if (!netns_enter()) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Netdev) nd = NULL;

        old_kernel.refused = cases[i].refused;
        nd = open_tap("tt0", 1, cases[i].vnet_hdr);
        g_assert_cmpuint(nd->host_offload & tcp, ==, tcp);
        g_assert_cmpuint(nd->host_offload & cases[i].has, ==, cases[i].has);
        g_assert_cmpuint(nd->host_offload & cases[i].has_not, ==, 0);
        /* asking for what there is not does no harm, and to be asked again is nothing to tell */
        g_assert_true(nd->ops->set_offload(nd, ~0u, NULL));
        old_kernel.asked = 0;
        g_assert_true(nd->ops->set_offload(nd, ~0u, NULL));
        g_assert_cmpuint(old_kernel.asked, ==, 0);
        old_kernel.refused = 0;
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/tap/send-in-any-form", test_send_in_any_form);
    g_test_add_func("/net/tap/send-many-pieces", test_send_many_pieces);
    g_test_add_func("/net/tap/send-without-header", test_send_without_header);
    g_test_add_func("/net/tap/offloads-are-accepted", test_offloads_are_accepted);
    g_test_add_func("/net/tap/refused-packets-are-counted", test_refused_packets_are_counted);
    g_test_add_func("/net/tap/full-netdev-stops", test_full_netdev_stops);
    g_test_add_func("/net/tap/recv", test_recv);
    g_test_add_func("/net/tap/recv-clears-num-buffers", test_recv_clears_num_buffers);
    g_test_add_func("/net/tap/recv-stops-at-a-full-arena", test_recv_stops_at_a_full_arena);
    g_test_add_func("/net/tap/kernel-segments-what-we-send", test_kernel_segments_what_we_send);
    g_test_add_func("/net/tap/offloads-as-asked", test_offloads_as_asked);
    g_test_add_func("/net/tap/uso", test_uso);
    g_test_add_func("/net/tap/ufo", test_ufo);
    g_test_add_func("/net/tap/ecn", test_ecn);
    g_test_add_func("/net/tap/what-the-kernel-is-asked-for", test_what_the_kernel_is_asked_for);
    g_test_add_func("/net/tap/what-the-host-takes", test_what_the_host_takes);
    return g_test_run();
}
