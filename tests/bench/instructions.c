/*
 * The poll functions of a netback queue over many packets of one kind, for
 * scripts/bench instructions, which counts under callgrind what bench_tx() and bench_rx()
 * execute, without the guest's, Xen's and the netdev's part (fuzz_*, *_packets).
 *
 * instructions KIND PACKETS; KIND all: one after the other; without arguments: the kinds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "fuzz-netback.h"
#include "packets.h"

#define ENTRIES   256u
#define MSS       BENCH_MSS
#define MAX_POLLS 1000u /* for what a ring holds */

typedef struct Kind {
    const char *name;
    bool rx;
    size_t payload;   /* of a TCP segment, behind 66 bytes of headers */
    bool gso;
    unsigned offload; /* of the guest */
    uint32_t slots;   /* a packet */
} Kind;

static const Kind kinds[] = {
    { "tx-66", .payload = 0, .slots = 1 },
    { "tx-1514", .payload = MSS, .slots = 1 },
    { "tx-gso-65226", .payload = 45 * MSS, .gso = true, .slots = 17 },
    { "rx-66", true, .payload = 0, .offload = NETDEV_CSUM4, .slots = 1 },
    { "rx-1514", true, .payload = MSS, .offload = NETDEV_CSUM4, .slots = 1 },
    { "rx-1514-checksum", true, .payload = MSS, .slots = 1 },
    { "rx-gso-65226", true, .payload = 45 * MSS, .gso = true,
      .offload = NETDEV_CSUM4 | NETDEV_TSO4, .slots = 17 },
    { "rx-segmented-65226", true, .payload = 45 * MSS, .gso = true, .offload = NETDEV_CSUM4,
      .slots = 45 },
};

static struct {
    const Kind *kind;
    BenchPacket packet;
    unsigned to_give; /* packets that the netdev has for the guest */
    unsigned taken;   /* from the guest */
} bench;

static unsigned take_packets(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpuint(pkt[i].len, ==, bench.packet.len);
    }
    bench.taken += n;
    return n;
}

static unsigned give_packets(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                             unsigned max)
{
    unsigned n;

    for (n = 0; n < max && bench.to_give > 0; n++) {
        if (!bench_packet_read(&bench.packet, arena, &pkt[n], &iov[n])) {
            break;
        }
        bench.to_give--;
    }
    return n;
}

static const NetdevOps netdev_ops = {
    .type = "bench", .send = take_packets, .recv = give_packets,
};

static void put(uint8_t *entries, uint32_t *prod, const void *entry, size_t size)
{
    memcpy(entries + (*prod)++ % ENTRIES * size, entry, size);
}

static void put_tx_packet(uint8_t *entries, uint32_t *prod)
{
    netif_tx_request_t slot[BENCH_SLOTS];
    uint32_t refs[BENCH_PAGES];
    unsigned n;

    for (unsigned i = 0; i < BENCH_PAGES; i++) {
        refs[i] = FUZZ_REF + i;
    }
    n = bench_packet_slots(&bench.packet, refs, slot);
    for (unsigned i = 0; i < n; i++) {
        put(entries, prod, &slot[i], sizeof(slot[i]));
    }
}

static __attribute__((noinline)) void bench_tx(NetbackQueue *q)
{
    netback_tx_poll(q);
}

static __attribute__((noinline)) void bench_rx(NetbackQueue *q)
{
    netback_rx_poll(q);
}

/* A ring full of packets, or @max. Returns how many went through. */
static unsigned round_of_tx(FuzzQueue *f, unsigned max)
{
    unsigned n = MIN(max, ENTRIES / bench.kind->slots);
    uint8_t *entries = (uint8_t *)&f->tx_page + sizeof(f->tx_page.h);
    uint32_t prod = f->tx_page.h.req_prod;

    for (unsigned i = 0; i < n; i++) {
        put_tx_packet(entries, &prod);
    }
    g_assert_cmpuint(prod - f->tx_page.h.req_prod, ==, n * bench.kind->slots);
    f->tx_page.h.req_prod = prod;
    for (unsigned i = 0; i < MAX_POLLS && f->tx_page.h.rsp_prod != prod; i++) {
        bench_tx(&f->q);
    }
    g_assert_cmpuint(f->tx_page.h.rsp_prod, ==, prod);
    return n;
}

static unsigned round_of_rx(FuzzQueue *f, unsigned max)
{
    unsigned n = MIN(max, ENTRIES / bench.kind->slots);
    uint8_t *entries = (uint8_t *)&f->rx_page + sizeof(f->rx_page.h);
    uint32_t prod = f->rx_page.h.req_prod;
    uint32_t end = f->rx_page.h.rsp_prod + n * bench.kind->slots;

    while (prod - f->rx_page.h.rsp_prod < ENTRIES) {
        netif_rx_request_t req = { .id = (uint16_t)(prod % ENTRIES),
                                   .gref = FUZZ_REF + prod % FUZZ_REFS };

        put(entries, &prod, &req, sizeof(req));
    }
    f->rx_page.h.req_prod = prod;
    bench.to_give = n;
    f->q.peer_end.ready = true;
    for (unsigned i = 0; i < MAX_POLLS && f->rx_page.h.rsp_prod != end; i++) {
        bench_rx(&f->q);
    }
    g_assert_cmpuint(f->rx_page.h.rsp_prod, ==, end);
    return n;
}

static void run(const Kind *k, unsigned packets)
{
    FuzzQueue *f = fuzz_queue(&netdev_ops);
    unsigned done = 0;

    bench.kind = k;
    bench_packet_make(&bench.packet, k->payload, k->gso);
    bench.taken = 0;
    fuzz_queue_reset(f);
    f->q.offload = k->offload;
    memcpy(f->pages[0], bench.packet.frame, MIN(bench.packet.len, 4096u));
    while (done < packets) {
        done += k->rx ? round_of_rx(f, packets - done) : round_of_tx(f, packets - done);
    }
    g_assert_cmpuint(bench.taken, ==, k->rx ? 0 : packets);
}

int main(int argc, char **argv)
{
    unsigned ran = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (argc < 3) {
            printf("%s\n", kinds[i].name);
        } else if (strcmp(argv[1], "all") == 0 || strcmp(argv[1], kinds[i].name) == 0) {
            run(&kinds[i], (unsigned)g_ascii_strtoull(argv[2], NULL, 10));
            ran++;
        }
    }
    return argc < 3 || ran > 0 ? 0 : 2;
}
