/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench.h"

#include <errno.h>
#include <glib.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/container-of.h"

typedef struct Source {
    Netdev nd;
    NetdevQueue q;
    NetdevQueue *queue[1];
    SourceKind kind;
    unsigned packet_ns;
    uint64_t taken;  /* relaxed atomic */
    uint64_t given;
} Source;

static void source_spend(const Source *s, unsigned n)
{
    uint64_t end = s->packet_ns ? clock_monotonic_ns() + (uint64_t)n * s->packet_ns : 0;

    while (s->packet_ns && clock_monotonic_ns() < end) {
        continue;
    }
}

static unsigned take_packets(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    Source *s = container_of(q, Source, q);
    uint64_t one = 1;

    __atomic_store_n(&s->taken, s->taken + n, __ATOMIC_RELAXED);
    source_spend(s, n);
    if (s->kind == SOURCE_ECHO && write(q->fd, &one, sizeof(one)) < 0) {
        g_error("eventfd: %s", g_strerror(errno));
    }
    return n;
}

static bool source_has(const Source *s)
{
    return s->kind == SOURCE_ENDLESS || (s->kind == SOURCE_ECHO && s->given < s->taken);
}

static unsigned give_packets(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                             unsigned max)
{
    Source *s = container_of(q, Source, q);
    unsigned n;
    uint8_t *at;

    for (n = 0; n < max && source_has(s) && (at = pkt_arena_next(arena)); n++) {
        memset(at - PKT_HDR_LEN, 0, PKT_HDR_LEN + SOURCE_FRAME);
        iov[n] = (struct iovec){ .iov_base = at, .iov_len = SOURCE_FRAME };
        pkt[n] = (Pkt){ .hdr = (void *)(at - PKT_HDR_LEN), .iov = &iov[n], .n_iov = 1,
                        .len = SOURCE_FRAME };
        pkt_arena_take(arena, SOURCE_FRAME);
        s->given++;
    }
    source_spend(s, n);
    return n;
}

bool bench_set_offload(Netdev *nd, unsigned offload, GError **error)
{
    return true;
}

bool bench_set_active(Netdev *nd, unsigned n, GError **error)
{
    return true;
}

char *bench_info(Netdev *nd, unsigned queue)
{
    return g_strdup("bench");
}

static void source_free(Netdev *nd)
{
    Source *s = container_of(nd, Source, nd);

    close(s->q.fd);
    g_free(nd->id);
    g_free(s);
}

static const NetdevOps source_ops = {
    .type = "bench", .send = take_packets, .recv = give_packets,
    .set_offload = bench_set_offload, .set_active = bench_set_active, .info = bench_info,
    .free = source_free,
};

Netdev *source_new(SourceKind kind, unsigned packet_ns)
{
    Source *s = g_new0(Source, 1);

    s->nd = (Netdev){ .ops = &source_ops, .id = g_strdup("bench"), .n_queues = 1,
                      .queue = s->queue, .has_vnet_hdr = true, .mtu = 1500, .link_up = true };
    s->q = (NetdevQueue){ .nd = &s->nd, .fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC) };
    s->queue[0] = &s->q;
    s->kind = kind;
    s->packet_ns = packet_ns;
    g_assert_cmpint(s->q.fd, >=, 0);
    return &s->nd;
}

uint64_t source_taken(const Netdev *nd)
{
    return __atomic_load_n(&container_of(nd, Source, nd)->taken, __ATOMIC_RELAXED);
}

bool bench_has_processors(int n)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    while (sched_getaffinity(0, sizeof(set), &set) == 0 && n > 0 && CPU_ISSET(n - 1, &set)) {
        n--;
    }
    return n == 0;
}

void bench_use_processor(int number)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(number, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0) {
        g_error("no processor %d: two are needed", number);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

double bench_percentile(double *values, unsigned n, unsigned percent)
{
    qsort(values, n, sizeof(values[0]), compare);
    return values[(size_t)n * percent / 100];
}
