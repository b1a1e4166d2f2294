/*
 * Real TCP and UDP between two network stacks, tap - netfront - vif - netback - tap, on
 * an emulated Xen in this process: every byte is compared.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tap.h"
#include "vif.h"

#define MAX_STREAMS 16
#define PORT        5000
#define CHUNK       65536u
#define FRONT       1 /* the last number of addresses */
#define BACK        2

typedef struct Lab {
    int home;          /* network namespaces: the test's, */
    int ns[3];         /* by FRONT and BACK */
    Vif v;
} Lab;

typedef struct Stream {
    pthread_t thread;
    Lab *lab;
    unsigned here;     /* FRONT or BACK */
    unsigned index;
    bool ipv6;
    bool vlan;         /* over the taps' VLAN 5 */
    bool routed;       /* IPv6 with a segment routing header to an address behind the tap's */
    bool back_first;   /* BACK connects and speaks first, not FRONT */
    int mss;           /* 0: as the MTU has it */
    size_t bytes;
    bool done;         /* atomic */
} Stream;

/* The end that connects. */
static unsigned client_of(const Stream *s)
{
    return s->back_first ? BACK : FRONT;
}

static unsigned there(unsigned here)
{
    return here == FRONT ? BACK : FRONT;
}

static void enter(int ns)
{
    g_assert_cmpint(setns(ns, CLONE_NEWNET), ==, 0);
}

static void sh(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

static void sh(const char *fmt, ...)
{
    g_autofree char *line = NULL;
    g_autoptr(GError) error = NULL;
    int status;
    va_list ap;

    va_start(ap, fmt);
    line = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_spawn_command_line_sync(line, NULL, NULL, &status, &error);
    g_assert_no_error(error);
    g_spawn_check_wait_status(status, &error);
    g_assert_no_error(error);
}

/* A namespace with a tap in it; both stay for as long as we have their descriptors. */
static Netdev *make_end(Lab *lab, unsigned end, unsigned queues, bool vnet_hdr)
{
    TapConfig config = {
        .id = (char *)"n0",
        .ifname = (char *)"vt0",
        .script = (char *)"no",
        .downscript = (char *)"no",
        .vnet_hdr = vnet_hdr ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF,
        .queues = queues,
        .has_queues = true,
    };
    g_autoptr(GError) error = NULL;
    Netdev *nd;

    g_assert_cmpint(unshare(CLONE_NEWNET), ==, 0);
    lab->ns[end] = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    g_assert_cmpint(lab->ns[end], >=, 0);
    nd = tap_new(&config, NULL, NULL, &error);
    g_assert_no_error(error);
    sh("ip addr add 10.77.0.%u/24 dev vt0", end);
    sh("ip addr add fd77:0::%u/64 dev vt0 nodad", end);
    sh("ip link set vt0 up");
    return nd;
}

static bool lab_up(Lab *lab, unsigned queues, bool front_vnet_hdr, bool back_vnet_hdr)
{
    g_autofree char *ip = g_find_program_in_path("ip");
    Netdev *front, *back;

    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0 || !ip) {
        g_test_skip("needs root, /dev/net/tun and ip (iproute2)");
        return false;
    }
    lab->home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    front = make_end(lab, FRONT, queues, front_vnet_hdr);
    back = make_end(lab, BACK, queues, back_vnet_hdr);
    vif_up(&lab->v, back, front);
    return true;
}

static void lab_down(Lab *lab)
{
    vif_down(&lab->v);
    enter(lab->home);
    close(lab->ns[FRONT]);
    close(lab->ns[BACK]);
    close(lab->home);
}

/* --- traffic --- */

static socklen_t make_address(const Stream *s, unsigned end, struct sockaddr_storage *ret)
{
    unsigned net = s->routed ? 9 : s->vlan;
    g_autofree char *text = s->ipv6 ? g_strdup_printf("fd77:%u::%u", net, end)
                                    : g_strdup_printf("10.77.%u.%u", s->vlan, end);

    memset(ret, 0, sizeof(*ret));
    if (s->ipv6) {
        struct sockaddr_in6 *sin6 = (void *)ret;

        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons((uint16_t)(PORT + s->index));
        g_assert_cmpint(inet_pton(AF_INET6, text, &sin6->sin6_addr), ==, 1);
        return sizeof(*sin6);
    }
    struct sockaddr_in *sin = (void *)ret;

    sin->sin_family = AF_INET;
    sin->sin_port = htons((uint16_t)(PORT + s->index));
    g_assert_cmpint(inet_pton(AF_INET, text, &sin->sin_addr), ==, 1);
    return sizeof(*sin);
}

static int open_socket(const Stream *s, int type)
{
    int fd = socket(s->ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
    int on = 1;

    g_assert_cmpint(fd, >=, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return fd;
}

/* All packets go by the other end's tap: RFC 8754, one segment left. */
static void route(const Stream *s, int fd)
{
    struct {
        uint8_t head[8];
        struct in6_addr segment[2]; /* the last one first: the kernel puts it in */
    } srh = { .head = { 0, 4, 4, 1, 1 } };
    g_autofree char *via = g_strdup_printf("fd77:0::%u", there(s->here));

    g_assert_cmpint(inet_pton(AF_INET6, via, &srh.segment[1]), ==, 1);
    g_assert_cmpint(setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, &srh, sizeof(srh)), ==, 0);
}

/* What a socket has before it connects, or listens. */
static void set_up_socket(const Stream *s, int fd)
{
    struct sockaddr_storage address;
    socklen_t len;

    if (s->mss > 0) {
        g_assert_cmpint(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &s->mss, sizeof(s->mss)), ==, 0);
    }
    if (s->routed && s->here == client_of(s)) {
        len = make_address(s, s->here, &address);
        ((struct sockaddr_in6 *)(void *)&address)->sin6_port = 0;
        g_assert_cmpint(bind(fd, (void *)&address, len), ==, 0);
        route(s, fd);
    }
}

/* What stream @s sends from @here at @at: a period that no page or segment size divides. */
static uint8_t stream_byte(unsigned index, unsigned here, size_t at)
{
    return (uint8_t)(at % 251 + at / 65521 + index * 31 + here * 101);
}

static void stream_fill(uint8_t *buf, unsigned index, unsigned here, size_t at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf[i] = stream_byte(index, here, at + i);
    }
}

static void send_all(const Stream *s, int fd)
{
    g_autofree uint8_t *buf = g_malloc(CHUNK);

    for (size_t at = 0; at < s->bytes;) {
        size_t n = MIN(CHUNK - 17, s->bytes - at);

        stream_fill(buf, s->index, s->here, at, n);
        for (size_t sent = 0; sent < n;) {
            ssize_t r = send(fd, buf + sent, n - sent, MSG_NOSIGNAL);

            g_assert_cmpint(r, >, 0);
            sent += (size_t)r;
        }
        at += n;
    }
}

static void receive_all(const Stream *s, int fd)
{
    g_autofree uint8_t *buf = g_malloc(CHUNK);
    g_autofree uint8_t *want = g_malloc(CHUNK);

    for (size_t at = 0; at < s->bytes;) {
        ssize_t r = recv(fd, buf, MIN(CHUNK, s->bytes - at), 0);

        g_assert_cmpint(r, >, 0);
        stream_fill(want, s->index, there(s->here), at, (size_t)r);
        g_assert_cmpmem(buf, (size_t)r, want, (size_t)r);
        at += (size_t)r;
    }
}

/* One end of a stream: the client connects and speaks first. */
static void *stream_main(void *opaque)
{
    Stream *s = opaque;
    int fd = -1;
    struct sockaddr_storage address;
    socklen_t len;

    enter(s->lab->ns[s->here]);
    fd = open_socket(s, SOCK_STREAM);
    len = make_address(s, there(client_of(s)), &address);
    set_up_socket(s, fd);
    if (s->here == client_of(s)) {
        while (connect(fd, (void *)&address, len) < 0) {
            close(fd); /* the other thread does not listen yet */
            g_usleep(20000);
            fd = open_socket(s, SOCK_STREAM);
            set_up_socket(s, fd);
        }
        send_all(s, fd);
        receive_all(s, fd);
    } else {
        int client;

        g_assert_cmpint(bind(fd, (void *)&address, len), ==, 0);
        g_assert_cmpint(listen(fd, 1), ==, 0);
        client = accept(fd, NULL, NULL);
        g_assert_cmpint(client, >=, 0);
        receive_all(s, client);
        send_all(s, client);
        close(client);
    }
    close(fd);
    __atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* @n streams, the last @n_vlan of them with a VLAN tag on each packet. */
static void streams_start(Lab *lab, Stream *streams, unsigned n, unsigned n_vlan, size_t bytes)
{
    for (unsigned i = 0; i < 2 * n; i++) {
        streams[i] = (Stream) {
            .lab = lab,
            .here = i % 2 ? FRONT : BACK,
            .index = i / 2,
            .ipv6 = i / 2 % 2,
            .vlan = i / 2 >= n - n_vlan,
            .bytes = bytes,
        };
        g_assert_cmpint(pthread_create(&streams[i].thread, NULL, stream_main, &streams[i]), ==, 0);
    }
}

static void streams_join(Stream *streams, unsigned n)
{
    for (unsigned i = 0; i < 2 * n; i++) {
        VIF_WAIT(__atomic_load_n(&streams[i].done, __ATOMIC_ACQUIRE));
        pthread_join(streams[i].thread, NULL);
    }
}

/* One, of @kind. */
static void one_stream(Lab *lab, const Stream *kind)
{
    Stream streams[2] = { *kind, *kind };

    for (unsigned i = 0; i < 2; i++) {
        streams[i].lab = lab;
        streams[i].here = i ? FRONT : BACK;
        g_assert_cmpint(pthread_create(&streams[i].thread, NULL, stream_main, &streams[i]), ==, 0);
    }
    streams_join(streams, 1);
}

/* Datagrams there and back, each of another size; lost ones are sent again. */
static void *datagrams_front(void *opaque)
{
    Stream *s = opaque;
    struct timeval timeout = { .tv_usec = 200000 };
    g_autofree uint8_t *out = g_malloc(CHUNK);
    g_autofree uint8_t *in = g_malloc(CHUNK);
    struct sockaddr_storage address;
    socklen_t len;
    int fd;

    enter(s->lab->ns[FRONT]);
    fd = open_socket(s, SOCK_DGRAM);
    len = make_address(s, BACK, &address);
    g_assert_cmpint(connect(fd, (void *)&address, len), ==, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    for (size_t size = 1; size < 20000; size = size * 3 / 2 + 1) {
        ssize_t r = -1;

        stream_fill(out, s->index, FRONT, size, size);
        for (unsigned tries = 0; tries < 50 && r != (ssize_t)size; tries++) {
            if (send(fd, out, size, 0) < 0) {
                g_usleep(20000); /* nobody listens yet */
                continue;
            }
            r = recv(fd, in, CHUNK, 0);
        }
        g_assert_cmpmem(in, (size_t)r, out, size);
    }
    /* an empty one ends it; it may be lost, so a few */
    for (unsigned i = 0; i < 20; i++) {
        send(fd, out, 0, 0);
    }
    close(fd);
    __atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
    return NULL;
}

static void *datagrams_back(void *opaque)
{
    Stream *s = opaque;
    g_autofree uint8_t *buf = g_malloc(CHUNK);
    struct sockaddr_storage address;
    socklen_t len;
    ssize_t r;
    int fd;

    enter(s->lab->ns[BACK]);
    fd = open_socket(s, SOCK_DGRAM);
    len = make_address(s, BACK, &address);
    g_assert_cmpint(bind(fd, (void *)&address, len), ==, 0);
    do {
        struct sockaddr_storage from;
        socklen_t from_len = sizeof(from);

        r = recvfrom(fd, buf, CHUNK, 0, (void *)&from, &from_len);
        if (r > 0) {
            sendto(fd, buf, (size_t)r, 0, (void *)&from, from_len);
        }
    } while (r > 0);
    close(fd);
    __atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
    return NULL;
}

static void datagrams(Lab *lab, bool ipv6)
{
    Stream s[2] = {
        { .lab = lab, .here = BACK, .ipv6 = ipv6 },
        { .lab = lab, .here = FRONT, .ipv6 = ipv6 },
    };

    g_assert_cmpint(pthread_create(&s[0].thread, NULL, datagrams_back, &s[0]), ==, 0);
    g_assert_cmpint(pthread_create(&s[1].thread, NULL, datagrams_front, &s[1]), ==, 0);
    streams_join(s, 1);
}

static void all_traffic(Lab *lab, unsigned n, size_t bytes)
{
    Stream streams[2 * MAX_STREAMS];

    streams_start(lab, streams, n, 0, bytes);
    streams_join(streams, n);
    datagrams(lab, false);
    datagrams(lab, true);
}

static uint64_t drops(const NicDirStats *d)
{
    return counter_read(&d->drop_malformed) + counter_read(&d->drop_grant);
}

static void assert_no_bad_packets(Lab *lab)
{
    NetfrontInfo front;
    NetbackInfo back;

    netfront_info(lab->v.nf, &front);
    netback_info(lab->v.nb, &back);
    for (unsigned i = 0; i < front.n_queues; i++) {
        g_assert_cmpuint(drops(&front.stats[i].tx) + drops(&front.stats[i].rx), ==, 0);
        g_assert_cmpuint(drops(&back.stats[i].tx) + drops(&back.stats[i].rx), ==, 0);
    }
}

/* --- tests --- */

static void queues(unsigned n)
{
    NetfrontConfig config = vif_front_config();
    Lab lab;

    if (!lab_up(&lab, n, true, true)) {
        return;
    }
    vif_connect(&lab.v, &config);
    all_traffic(&lab, MAX(2, n), 1 << 20);
    assert_no_bad_packets(&lab);
    lab_down(&lab);
}

static void test_queues_1(void)
{
    queues(1);
}

static void test_queues_2(void)
{
    queues(2);
}

static void test_queues_4(void)
{
    queues(4);
}

static void test_queues_8(void)
{
    queues(8);
}

typedef struct Variant {
    const char *name;
    NetfrontConfig config;
    bool front_without_vnet_hdr;
    bool back_without_vnet_hdr;
} Variant;

static void test_variant(gconstpointer data)
{
    const Variant *variant = data;
    Lab lab;

    if (!lab_up(&lab, 2, !variant->front_without_vnet_hdr, !variant->back_without_vnet_hdr)) {
        return;
    }
    vif_connect(&lab.v, &variant->config);
    all_traffic(&lab, 2, 1 << 20);
    assert_no_bad_packets(&lab);
    lab_down(&lab);
}

static bool make_vlan(Lab *lab, unsigned end)
{
    int status = 0;

    enter(lab->ns[end]);
    if (!g_spawn_command_line_sync("ip link add link vt0 name vlan5 type vlan id 5", NULL, NULL,
                                   &status, NULL) ||
        status != 0) {
        return false;
    }
    sh("ip addr add 10.77.1.%u/24 dev vlan5", end);
    sh("ip addr add fd77:1::%u/64 dev vlan5 nodad", end);
    sh("ip link set vlan5 up");
    return true;
}

/* netif knows no tags: checksums and segments of such packets are made here. */
static void test_vlan(void)
{
    NetfrontConfig config = vif_front_config();
    Stream streams[8];
    Lab lab;

    if (!lab_up(&lab, 2, true, true)) {
        return;
    }
    if (make_vlan(&lab, FRONT) && make_vlan(&lab, BACK)) {
        vif_connect(&lab.v, &config);
        streams_start(&lab, streams, 4, 2, 1 << 20);
        streams_join(streams, 4);
        assert_no_bad_packets(&lab);
    } else {
        g_test_skip("the kernel has no 802.1Q (8021q)");
    }
    lab_down(&lab);
}

/* GSO packets of more segments than a round makes, in all three places that make them. */
static void test_small_segments(void)
{
    static const int sizes[] = { 88, 230, 500 };
    NetfrontConfig config = vif_front_config();

    config.gso = false; /* both ends of the vif make them of what their taps have */
    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(sizes); i++) {
        bool vnet_hdr = i >= G_N_ELEMENTS(sizes);
        Stream kind = { .bytes = 1 << 20, .mss = sizes[i % G_N_ELEMENTS(sizes)] };
        NetfrontConfig all = vif_front_config();
        Lab lab;

        if (!lab_up(&lab, 1, true, vnet_hdr)) {
            return;
        }
        vif_connect(&lab.v, vnet_hdr ? &config : &all);
        one_stream(&lab, &kind);
        assert_no_bad_packets(&lab);
        lab_down(&lab);
    }
}

static bool make_routes(Lab *lab, unsigned end)
{
    if (access("/proc/sys/net/ipv6/conf/all/seg6_enabled", W_OK) != 0) {
        return false;
    }
    enter(lab->ns[end]);
    sh("sh -c 'for i in all vt0; do for k in seg6_enabled forwarding; do "
       "echo 1 >/proc/sys/net/ipv6/conf/$i/$k || exit 1; done; done'");
    sh("ip link set lo up");
    sh("ip addr add fd77:9::%u/128 dev lo nodad", end);
    sh("ip route add fd77:9::%u/128 via fd77:0::%u dev vt0", there(end), there(end));
    return true;
}

/* Segment routing: the pseudo-header's destination is not the IPv6 header's. */
static void test_segment_routing(void)
{
    Stream kind = { .ipv6 = true, .routed = true, .bytes = 4 << 20 };

    for (unsigned i = 0; i < 4; i++) {
        NetfrontConfig config = vif_front_config();
        Lab lab;

        kind.back_first = i % 2;
        if (!lab_up(&lab, 1, i < 2, i < 2)) {
            return;
        }
        if (!make_routes(&lab, FRONT) || !make_routes(&lab, BACK)) {
            g_test_skip("the kernel has no segment routing (IPV6_SEG6_LWTUNNEL)");
            lab_down(&lab);
            return;
        }
        vif_connect(&lab.v, &config);
        one_stream(&lab, &kind);
        assert_no_bad_packets(&lab);
        lab_down(&lab);
    }
}

/* The backend goes and comes back in the middle: TCP must not lose a byte. */
static void test_reconnect(void)
{
    NetfrontConfig config = vif_front_config();
    Stream streams[4];
    Lab lab;

    if (!lab_up(&lab, 2, true, true)) {
        return;
    }
    vif_connect(&lab.v, &config);
    streams_start(&lab, streams, 2, 0, 10 << 20);
    for (unsigned i = 0; i < 3; i++) {
        unsigned connected = lab.v.front.connected;

        g_usleep(20000);
        vif_back_close(&lab.v);
        vif_back_start(&lab.v);
        VIF_WAIT(lab.v.front.connected == connected + 1);
    }
    streams_join(streams, 2);
    lab_down(&lab);
}

/* The frontend goes and comes back, likewise. */
static void test_front_again(void)
{
    NetfrontConfig config = vif_front_config();
    Stream streams[4];
    Lab lab;

    if (!lab_up(&lab, 2, true, true)) {
        return;
    }
    vif_connect(&lab.v, &config);
    streams_start(&lab, streams, 2, 0, 10 << 20);
    for (unsigned i = 0; i < 3; i++) {
        unsigned connected = lab.v.front.connected;

        g_usleep(20000);
        vif_front_close(&lab.v);
        config.queues = i % 2 ? 2 : 1;
        vif_front_start(&lab.v, &config);
        VIF_WAIT(lab.v.front.connected == connected + 1);
    }
    streams_join(streams, 2);
    lab_down(&lab);
}

static Variant variants[] = {
    { .name = "no-sg" },
    { .name = "no-gso" },
    { .name = "no-csum" },
    { .name = "single-event-channel" },
    { .name = "no-rx-notify" },
    { .name = "front-without-vnet-hdr", .front_without_vnet_hdr = true },
    { .name = "back-without-vnet-hdr", .back_without_vnet_hdr = true },
};

static void add_variants(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(variants); i++) {
        g_autofree char *path = g_strdup_printf("/netfront-tap/%s", variants[i].name);

        variants[i].config = vif_front_config();
        g_test_add_data_func(path, &variants[i], test_variant);
    }
    variants[0].config.sg = false;
    variants[1].config.gso = false;
    variants[2].config.csum = variants[2].config.ipv6_csum = false;
    variants[3].config.split_event_channels = false;
    variants[4].config.rx_notify = false;
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netfront-tap/queues/1", test_queues_1);
    g_test_add_func("/netfront-tap/queues/2", test_queues_2);
    g_test_add_func("/netfront-tap/queues/4", test_queues_4);
    g_test_add_func("/netfront-tap/queues/8", test_queues_8);
    add_variants();
    g_test_add_func("/netfront-tap/vlan", test_vlan);
    g_test_add_func("/netfront-tap/small-segments", test_small_segments);
    g_test_add_func("/netfront-tap/segment-routing", test_segment_routing);
    g_test_add_func("/netfront-tap/reconnect", test_reconnect);
    g_test_add_func("/netfront-tap/front-again", test_front_again);
    return g_test_run();
}
