/*
 * What a flooding guest leaves to another one in the same process, for scripts/bench flood.
 * flood [MS]: so long is each measurement; the figures are medians.
 *
 * The vif that is measured, netfront and netback with endless packets of 1514 bytes, has a
 * processor for its queues' threads; the guest that floods, its backend's thread and the main
 * loop have another one. So the scheduler's part is left out, and what the two share in the
 * program is left: the main loop, XenStore, locks. The flood: a ring full of 60-byte packets
 * again and again, an event with each, indices that go astray, and a state that changes in each
 * round of the main loop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>

#include "bench.h"
#include "hw/xen/netif.h"
#include "vif-raw.h"

#define ROUNDS   31 /* short ones: what else the machine does hits few of them */

/* --- the guest that floods --- */

typedef struct Flood {
    Raw raw;
    uint32_t ref;
    bool on;         /* atomic */
    bool end;        /* atomic */
    uint64_t events; /* its thread's */
    uint64_t states;
    GThread *thread;
} Flood;

static void *flood_rings(void *opaque)
{
    Flood *f = opaque;
    XenRingHeader *page = f->raw.rings[0];
    netif_tx_request_t *entry = (void *)((uint8_t *)page + 64);

    while (!__atomic_load_n(&f->end, __ATOMIC_ACQUIRE)) {
        if (!__atomic_load_n(&f->on, __ATOMIC_ACQUIRE)) {
            g_usleep(1000);
            continue;
        }
        for (unsigned i = 0; i < 256; i++) {
            entry[i] = (netif_tx_request_t){ .gref = f->ref, .size = 60 };
        }
        page->req_prod = page->rsp_prod + (++f->events % 1000 == 0 ? 5000 : 256);
        f->raw.ops->evtchn_notify(f->raw.evtchn, f->raw.tx_port[0]);
        f->raw.ops->evtchn_notify(f->raw.evtchn, f->raw.rx_port[0]);
    }
    return NULL;
}

static gboolean flood_states(gpointer opaque)
{
    static const enum xenbus_state states[] = {
        XenbusStateConnected, XenbusStateConnected, XenbusStateClosing, XenbusStateClosed,
        XenbusStateInitialising,
    };
    Flood *f = opaque;

    raw_state(&f->raw, states[f->states++ % G_N_ELEMENTS(states)]);
    return G_SOURCE_CONTINUE;
}

/* --- measuring --- */

static gboolean time_up(gpointer opaque)
{
    *(bool *)opaque = true;
    return G_SOURCE_REMOVE;
}

static double packets_a_second(const Netdev *sink, unsigned ms)
{
    gint64 start = g_get_monotonic_time();
    uint64_t before = source_taken(sink);
    bool up = false;

    g_timeout_add(ms, time_up, &up);
    while (!up) {
        g_main_context_iteration(NULL, true);
    }
    return (double)(source_taken(sink) - before) * 1e6 /
           (double)(g_get_monotonic_time() - start);
}

/* The median share of what it had alone, both in turn. */
static double measure(Flood *f, bool rx, unsigned ms)
{
    NetfrontConfig config = vif_front_config();
    double share[ROUNDS], alone[ROUNDS], flooded[ROUNDS];
    const Netdev *sink;
    Vif v;

    bench_use_processor(1);
    vif_up(&v, source_new(rx ? SOURCE_ENDLESS : SOURCE_SINK, 0),
           source_new(rx ? SOURCE_SINK : SOURCE_ENDLESS, 0));
    vif_connect(&v, &config);
    bench_use_processor(0);
    sink = rx ? v.front_dev : v.back_dev;
    packets_a_second(sink, 200);
    for (unsigned i = 0; i < ROUNDS; i++) {
        double before = packets_a_second(sink, ms);
        guint source = g_idle_add(flood_states, f);

        __atomic_store_n(&f->on, true, __ATOMIC_RELEASE);
        flooded[i] = packets_a_second(sink, ms);
        __atomic_store_n(&f->on, false, __ATOMIC_RELEASE);
        g_source_remove(source);
        alone[i] = (before + packets_a_second(sink, ms)) / 2;
        share[i] = flooded[i] / alone[i];
    }
    printf("%s: %.0f packets/s alone, %.0f with the flood\n", rx ? "rx" : "tx",
           bench_percentile(alone, ROUNDS, 50), bench_percentile(flooded, ROUNDS, 50));
    vif_front_close(&v);
    vif_back_close(&v);
    vif_down(&v);
    return bench_percentile(share, ROUNDS, 50);
}

int main(int argc, char **argv)
{
    unsigned ms = argc > 1 ? (unsigned)g_ascii_strtoull(argv[1], NULL, 10) : 100;
    Flood f = { 0 };
    double tx, rx;
    void *page;

    setlinebuf(stdout);
    bench_use_processor(0);
    raw_up(&f.raw, source_new(SOURCE_SINK, 0), source_new(SOURCE_SINK, 0), true, NULL);
    page = f.raw.ops->share_alloc(f.raw.share, 0, 1, true, &f.ref);
    g_assert_nonnull(page);
    f.thread = g_thread_new("flood", flood_rings, &f);
    tx = measure(&f, false, ms);
    rx = measure(&f, true, ms);
    __atomic_store_n(&f.end, true, __ATOMIC_RELEASE);
    g_thread_join(f.thread);
    printf("the flood: %" G_GUINT64_FORMAT " events, %" G_GUINT64_FORMAT
           " states, %u connections\n", 2 * f.events, f.states, f.raw.v.back.connected);
    printf("flood ratio tx=%.2f rx=%.2f\n", tx, rx);
    raw_state(&f.raw, XenbusStateClosed);
    VIF_WAIT(f.raw.v.back.disconnected == f.raw.v.back.connected);
    g_assert_cmpint(f.raw.ops->share_free(f.raw.share, page, 1), ==, 0);
    raw_down(&f.raw);
    return 0;
}
