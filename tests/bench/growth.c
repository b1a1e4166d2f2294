/*
 * Netback with many queues, each in a thread of its own, for scripts/bench growth.
 *
 * growth packets VIFS QUEUES ROUNDS: in each round every queue of every vif has a ring full of
 * packets, all at once, of each kind in turn. Under callgrind what the poll functions execute is
 * counted, and printed after each kind_done(); the guests', Xen's and the netdev's part is not.
 * growth memory QUEUES: what a vif has more of than before it was connected.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench.h"
#include "packets.h"
#include "util/container-of.h"
#include "vif-raw.h"

#define WAIT_US  500
#define WAIT_MAX 120000 /* of these: a minute */

typedef struct Kind {
    const char *name;
    bool rx;
    size_t payload;
    bool gso;
} Kind;

static const Kind kinds[] = {
    { "tx-66" },
    { "tx-gso-65226", .payload = 45 * BENCH_MSS, .gso = true },
    { "rx-66", true },
    { "rx-gso-65226", true, .payload = 45 * BENCH_MSS, .gso = true },
};

/* --- the netdevs --- */

static BenchPacket packets[G_N_ELEMENTS(kinds)];
static const BenchPacket *current; /* one of these; atomic, changes while all queues sleep */

typedef struct Queue {
    NetdevQueue q;
    unsigned to_give; /* packets for the guest; atomic */
    unsigned taken;   /* from the guest; atomic */
} __attribute__((aligned(64))) Queue;

static const BenchPacket *packet(void)
{
    return __atomic_load_n(&current, __ATOMIC_ACQUIRE);
}

static Queue *queue_of(NetdevQueue *q)
{
    return container_of(q, Queue, q);
}

static unsigned take_packets(NetdevQueue *nq, Pkt *pkt, unsigned n)
{
    Queue *q = queue_of(nq);

    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpuint(pkt[i].len, ==, packet()->len);
    }
    __atomic_store_n(&q->taken, q->taken + n, __ATOMIC_RELEASE);
    return n;
}

static unsigned give_packets(NetdevQueue *nq, PktArena *arena, Pkt *pkt, struct iovec *iov,
                             unsigned max)
{
    Queue *q = queue_of(nq);
    unsigned have = __atomic_load_n(&q->to_give, __ATOMIC_ACQUIRE);
    unsigned n = 0;

    while (n < MIN(max, have) && bench_packet_read(packet(), arena, &pkt[n], &iov[n])) {
        n++;
    }
    __atomic_store_n(&q->to_give, have - n, __ATOMIC_RELAXED);
    return n;
}

static void many_free(Netdev *nd)
{
    for (unsigned i = 0; i < nd->n_queues; i++) {
        close(nd->queue[i]->fd);
        g_aligned_free(queue_of(nd->queue[i]));
    }
    g_free(nd->queue);
    g_free(nd->id);
    g_free(nd);
}

static const NetdevOps many_ops = {
    .type = "bench", .send = take_packets, .recv = give_packets,
    .set_offload = bench_set_offload, .set_active = bench_set_active, .info = bench_info,
    .free = many_free,
};

static Netdev *many_new(unsigned n_queues)
{
    Netdev *nd = g_new0(Netdev, 1);

    *nd = (Netdev) { .ops = &many_ops, .id = g_strdup("bench"), .n_queues = n_queues,
                     .queue = g_new0(NetdevQueue *, n_queues), .has_vnet_hdr = true,
                     .mtu = 1500, .link_up = true };
    for (unsigned i = 0; i < n_queues; i++) {
        Queue *q = g_aligned_alloc0(1, sizeof(*q), 64);

        q->q = (NetdevQueue) { .nd = nd, .index = i, .vhost_fd = -1,
                               .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
        g_assert_cmpint(q->q.fd, >=, 0);
        nd->queue[i] = &q->q;
    }
    return nd;
}

/* --- the guests --- */

typedef struct Guest {
    Raw raw;
    uint8_t *pages; /* of all packets */
    uint32_t refs[BENCH_PAGES];
    XenRing tx[NETIF_MAX_QUEUES];
    XenRing rx[NETIF_MAX_QUEUES];
    unsigned sent[NETIF_MAX_QUEUES]; /* packets of the queue so far */
    unsigned slots;                  /* of its rx ring that the round fills */
} Guest;

/* With a host of its own, or that of @first. */
static void guest_prepare(Guest *g, const Guest *first, unsigned n_queues)
{
    Raw *r = &g->raw;

    if (first) {
        vif_up_beside(&r->v, &first->raw.v, many_new(n_queues), many_new(n_queues));
    } else {
        vif_up(&r->v, many_new(n_queues), many_new(n_queues));
    }
    vif_back_start(&r->v);
    raw_make(r, true);
    g_assert_true(xen_store_printf(r->v.guest_store, 0, r->v.fe, "feature-sg", "1"));
    g_assert_true(xen_store_printf(r->v.guest_store, 0, r->v.fe, "feature-gso-tcpv4", "1"));
    g->pages = r->ops->share_alloc(r->share, 0, BENCH_PAGES, true, g->refs);
    g_assert_nonnull(g->pages);
    for (unsigned i = 0; i < n_queues; i++) {
        xen_ring_init_front(&g->tx[i], r->rings[i], 1, sizeof(netif_tx_request_t));
        xen_ring_init_front(&g->rx[i], (uint8_t *)r->rings[i] + XEN_PAGE_SIZE, 1,
                            sizeof(netif_rx_request_t));
    }
}

static void guest_connect(Guest *g)
{
    raw_state(&g->raw, XenbusStateConnected);
    VIF_WAIT(g->raw.v.back.connected == 1);
}

static void guest_down(Guest *g)
{
    raw_close(&g->raw);
    g_assert_cmpint(g->raw.ops->share_free(g->raw.share, g->pages, BENCH_PAGES), ==, 0);
    raw_down(&g->raw);
}

static void send_some(Guest *g, unsigned i, unsigned n)
{
    netif_tx_request_t slot[BENCH_SLOTS];
    unsigned n_slots = bench_packet_slots(packet(), g->refs, slot);

    for (unsigned k = 0; k < n * n_slots; k++) {
        xen_ring_put_request(&g->tx[i], &slot[k % n_slots]);
    }
    g->sent[i] += n;
    if (xen_ring_push_requests(&g->tx[i])) {
        g->raw.ops->evtchn_notify(g->raw.evtchn, g->raw.tx_port[i]);
    }
}

static void receive_some(Guest *g, unsigned i, unsigned n)
{
    Queue *q = queue_of(g->raw.v.back_dev->queue[i]);
    uint64_t one = 1;

    while (xen_ring_free_requests(&g->rx[i]) > 0) {
        uint32_t at = g->rx[i].prod;

        xen_ring_put_request(&g->rx[i], &(netif_rx_request_t) {
            .id = (uint16_t)(at % g->rx[i].size), .gref = g->refs[at % BENCH_PAGES] });
    }
    if (xen_ring_push_requests(&g->rx[i])) {
        g->raw.ops->evtchn_notify(g->raw.evtchn, g->raw.rx_port[i]);
    }
    __atomic_store_n(&q->to_give, n, __ATOMIC_RELEASE);
    g_assert_cmpint(write(q->q.fd, &one, sizeof(one)), ==, sizeof(one));
}

/* What went through is taken out of the rings. */
static bool is_done(Guest *g, unsigned i, bool rx)
{
    XenRing *r = rx ? &g->rx[i] : &g->tx[i];
    int n = xen_ring_responses(r);

    g_assert_cmpint(n, >=, 0);
    if (rx ? (unsigned)n < g->slots : (unsigned)n < r->prod - r->cons) {
        return false;
    }
    g_assert_true(!rx || (unsigned)n == g->slots);
    r->cons += (uint32_t)n;
    return true;
}

static void wait_done(Guest *g, unsigned i, bool rx)
{
    for (unsigned tries = 0; !is_done(g, i, rx); tries++) {
        if (tries == WAIT_MAX) {
            g_error("queue %u: packets are missing", i);
        }
        g_usleep(WAIT_US);
    }
    if (!rx) {
        g_assert_cmpuint(__atomic_load_n(&queue_of(g->raw.v.back_dev->queue[i])->taken,
                                         __ATOMIC_ACQUIRE), ==, g->sent[i]);
    }
}

/* Returns the packets. */
static unsigned play(Guest *guests, unsigned n_guests, bool rx)
{
    netif_tx_request_t slot[BENCH_SLOTS];
    unsigned slots = bench_packet_slots(packet(), guests[0].refs, slot);
    unsigned n = guests[0].tx[0].size / slots;
    unsigned n_queues = guests[0].raw.n_queues;

    for (unsigned k = 0; k < n_guests * n_queues; k++) {
        Guest *g = &guests[k / n_queues];

        g->slots = n * slots;
        (rx ? receive_some : send_some)(g, k % n_queues, n);
    }
    for (unsigned k = 0; k < n_guests * n_queues; k++) {
        wait_done(&guests[k / n_queues], k % n_queues, rx);
    }
    return n * n_guests * n_queues;
}

/* --- what is measured --- */

/* callgrind dumps what it counted when this ends. */
static __attribute__((noinline)) void kind_done(const char *name, unsigned n)
{
    printf("%s %u\n", name, n);
}

static void play_kind(Guest *guests, unsigned n_guests, unsigned kind, unsigned rounds)
{
    const BenchPacket *p = &packets[kind];
    unsigned n = 0;

    __atomic_store_n(&current, p, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < n_guests; i++) {
        memcpy(guests[i].pages, p->frame, p->len);
    }
    for (unsigned i = 0; i < rounds; i++) {
        n += play(guests, n_guests, kinds[kind].rx);
    }
    kind_done(kinds[kind].name, n);
}

static void bench_packets(unsigned n_guests, unsigned n_queues, unsigned rounds)
{
    g_autofree Guest *guests = g_new0(Guest, n_guests);

    for (unsigned i = 0; i < n_guests; i++) {
        guest_prepare(&guests[i], i > 0 ? &guests[0] : NULL, n_queues);
        guest_connect(&guests[i]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        play_kind(guests, n_guests, i, rounds);
    }
    for (unsigned i = n_guests; i-- > 0;) {
        guest_down(&guests[i]);
    }
}

typedef struct Usage {
    long kb; /* of memory that is nobody else's */
    long threads;
    long fds;
} Usage;

static long count_files(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    long n = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

static Usage usage(void)
{
    g_autofree char *text = NULL;
    const char *at;

    g_assert_true(g_file_get_contents("/proc/self/smaps_rollup", &text, NULL, NULL));
    at = strstr(text, "\nAnonymous:");
    g_assert_nonnull(at);
    return (Usage) {
        .kb = strtol(at + strlen("\nAnonymous:"), NULL, 10),
        .threads = count_files("/proc/self/task"),
        .fds = count_files("/proc/self/fd"),
    };
}

static const XenOps *host_ops;
static XenOps counting_ops;
static size_t granted;

static void *count_buffer(XenGnttab *g, size_t size)
{
    void *p = host_ops->gnttab_buffer(g, size);

    granted += p ? size / XEN_PAGE_SIZE : 0;
    return p;
}

/* What netback has of the netdev, an eventfd a queue, is counted as its own. */
static void bench_memory(unsigned n_queues)
{
    g_autofree Guest *g = g_new0(Guest, 1);
    Usage before, now;

    guest_prepare(g, NULL, n_queues);
    host_ops = g->raw.v.host->ops;
    counting_ops = *host_ops;
    counting_ops.gnttab_buffer = count_buffer;
    g->raw.v.host->ops = &counting_ops;
    before = usage();
    guest_connect(g);
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        play_kind(g, 1, i, 2);
    }
    now = usage();
    printf("memory-kb %ld granted-pages %zu threads %ld fds %ld\n", now.kb - before.kb, granted,
           now.threads - before.threads, now.fds - before.fds + n_queues);
    guest_down(g);
}

static unsigned number(const char *text, unsigned max)
{
    guint64 n = g_ascii_strtoull(text, NULL, 10);

    if (n == 0 || n > max) {
        g_error("%s: 1 to %u", text, max);
    }
    return (unsigned)n;
}

int main(int argc, char **argv)
{
    setlinebuf(stdout);
    /* else the heap's share depends on what the machine has of large pages */
    if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0) {
        g_error("PR_SET_THP_DISABLE: %s", g_strerror(errno));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        bench_packet_make(&packets[i], kinds[i].payload, kinds[i].gso);
    }
    if (argc == 5 && strcmp(argv[1], "packets") == 0) {
        bench_packets(number(argv[2], 64), number(argv[3], NETIF_MAX_QUEUES),
                      number(argv[4], 1000));
    } else if (argc == 3 && strcmp(argv[1], "memory") == 0) {
        bench_memory(number(argv[2], NETIF_MAX_QUEUES));
    } else {
        fprintf(stderr, "usage: growth packets VIFS QUEUES ROUNDS | memory QUEUES\n");
        return 2;
    }
    return 0;
}
