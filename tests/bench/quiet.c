/*
 * How long a packet of a quiet guest takes beside one that floods, in the same process, for
 * scripts/bench quiet. quiet [TRIPS]: so many round trips are one measurement; medians.
 *
 * The quiet guest sends a packet and sleeps until the answer of the backend's netdev has come, then
 * pauses until all sleep again. The other guest's rings are always full in both directions. It has
 * its turn in its backend's iothread and so takes no processor from anybody: what is left is what
 * the two share in the program.
 *
 * own iothreads: each vif's has a processor of its own; the quiet guest is on that of its backend.
 * one iothread: both vifs' has a processor, the quiet guest has the other. What a quiet packet
 * waits for there is the flood's batches, so they are counted as well: a figure of the program
 * alone, where the clock's depends on what a batch takes on this machine. Each is up to 64 packets
 * from the guest and 64 to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <poll.h>
#include <stdio.h>

#include "bench.h"
#include "hw/xen/netif.h"
#include "ring-guest.h"
#include "util/clock.h"

#define MEASUREMENTS 21  /* of each kind, in turn */
#define MAX_TRIPS    1000u
#define PACKET_NS    500 /* of the netdev for a packet: what a tap's system call takes */
#define PAUSE_US     200
#define FRAME        60u

/* --- the quiet guest --- */

typedef struct Quiet {
    Raw *raw;
    void *page;
    uint32_t ref;
    XenRing tx;
    XenRing rx;
    struct pollfd event;
} Quiet;

static void quiet_post(Quiet *q)
{
    while (xen_ring_free_requests(&q->rx) > 0) {
        xen_ring_put_request(&q->rx, &(netif_rx_request_t){ .gref = q->ref });
    }
    if (xen_ring_push_requests(&q->rx)) {
        q->raw->ops->evtchn_notify(q->raw->evtchn, q->raw->rx_port[0]);
    }
}

static void quiet_init(Quiet *q, Raw *raw)
{
    *q = (Quiet){ .raw = raw };
    q->page = raw->ops->share_alloc(raw->share, 0, 1, true, &q->ref);
    g_assert_nonnull(q->page);
    q->event = (struct pollfd){ .fd = raw->ops->evtchn_fd(raw->evtchn), .events = POLLIN };
    xen_ring_init_front(&q->tx, raw->rings[0], 1, sizeof(netif_tx_request_t));
    xen_ring_init_front(&q->rx, (uint8_t *)raw->rings[0] + XEN_PAGE_SIZE, 1,
                        sizeof(netif_rx_request_t));
    quiet_post(q);
}

static void quiet_down(Quiet *q)
{
    raw_close(q->raw);
    g_assert_cmpint(q->raw->ops->share_free(q->raw->share, q->page, 1), ==, 0);
    raw_down(q->raw);
}

static void quiet_send(Quiet *q)
{
    q->tx.cons += (uint32_t)xen_ring_responses(&q->tx);
    xen_ring_put_request(&q->tx, &(netif_tx_request_t){ .gref = q->ref, .size = FRAME });
    if (xen_ring_push_requests(&q->tx)) {
        q->raw->ops->evtchn_notify(q->raw->evtchn, q->raw->tx_port[0]);
    }
}

/* Sleeps until the answer is there. */
static void quiet_receive(Quiet *q)
{
    const XenOps *ops = q->raw->ops;
    int port;

    while (!xen_ring_arm_responses(&q->rx, 0)) {
        if (poll(&q->event, 1, 10000) <= 0) {
            g_error("no answer");
        }
        while ((port = ops->evtchn_pending(q->raw->evtchn)) >= 0) {
            ops->evtchn_unmask(q->raw->evtchn, (uint32_t)port);
        }
    }
    q->rx.cons += (uint32_t)xen_ring_responses(&q->rx);
}

/* --- measuring --- */

typedef struct Figures {
    double us[MAX_TRIPS];
    double batches[MAX_TRIPS]; /* of the flood, meanwhile */
} Figures;

static void measure(Quiet *q, const RingGuest *flooder, unsigned trips, Figures *ret)
{
    for (unsigned i = 0; i < trips; i++) {
        unsigned rounds = ring_guest_rounds(flooder);
        uint64_t start = clock_monotonic_ns();

        quiet_send(q);
        quiet_receive(q);
        ret->us[i] = (double)(clock_monotonic_ns() - start) / 1e3;
        ret->batches[i] = ring_guest_rounds(flooder) - rounds;
        quiet_post(q);
        g_usleep(PAUSE_US);
    }
}

typedef struct Result {
    double alone[MEASUREMENTS]; /* medians, us */
    double alone99[MEASUREMENTS];
    double flooded[MEASUREMENTS];
    double flooded99[MEASUREMENTS];
    double ratio[MEASUREMENTS];
    double batches[MEASUREMENTS];
    double batches99[MEASUREMENTS];
} Result;

static void compare_in_turn(Quiet *q, RingGuest *flooder, unsigned trips, Result *ret)
{
    g_autofree Figures *f = g_new0(Figures, 1);

    measure(q, flooder, trips, f); /* caches, polling windows */
    for (unsigned i = 0; i < MEASUREMENTS; i++) {
        measure(q, flooder, trips, f);
        ret->alone[i] = bench_percentile(f->us, trips, 50);
        ret->alone99[i] = bench_percentile(f->us, trips, 99);
        ring_guest_join(flooder);
        while (ring_guest_moved(flooder) == 0) {
            g_usleep(100);
        }
        measure(q, flooder, trips, f);
        ring_guest_leave(flooder);
        ret->flooded[i] = bench_percentile(f->us, trips, 50);
        ret->flooded99[i] = bench_percentile(f->us, trips, 99);
        ret->batches[i] = bench_percentile(f->batches, trips, 50);
        ret->batches99[i] = bench_percentile(f->batches, trips, 99);
        ret->ratio[i] = ret->flooded[i] / ret->alone[i];
    }
}

static double median(double values[MEASUREMENTS])
{
    return bench_percentile(values, MEASUREMENTS, 50);
}

static void show(bool shared, Result *r)
{
    printf("%s: alone %.1f us (p99 %.1f), beside the flood %.1f us (p99 %.1f)",
           shared ? "one iothread" : "own iothreads", median(r->alone), median(r->alone99),
           median(r->flooded), median(r->flooded99));
    if (shared) {
        printf(", %.0f of its batches (p99 %.0f)", median(r->batches), median(r->batches99));
    }
    printf("\nquiet %slatency alone=%.1f us flooded=%.1f us ratio=%.2f\n",
           shared ? "shared " : "", median(r->alone), median(r->flooded), median(r->ratio));
}

/* --- the vifs --- */

static IoThread *thread_on(const char *name, int processor)
{
    g_autoptr(GError) error = NULL;
    IoThread *t;

    bench_use_processor(processor);
    t = io_thread_new(name, &error);
    g_assert_no_error(error);
    return t;
}

/* A guest beside the first one. */
static void raw_up_beside(Raw *r, const Raw *first, Netdev *back_dev, IoThread *thread)
{
    *r = (Raw) { 0 };
    vif_up_beside(&r->v, &first->v, back_dev, source_new(SOURCE_SINK, 0));
    r->v.back_thread = thread;
    vif_back_start(&r->v);
    raw_make(r, true);
    raw_state(r, XenbusStateConnected);
    VIF_WAIT(r->v.back.connected == 1);
}

static void run(bool shared, unsigned trips)
{
    IoThread *quiet_thread = thread_on("quiet", 0);
    IoThread *own = shared ? NULL : thread_on("flooded", 1);
    RingGuest flooder;
    Result result;
    Raw raw[2];
    Quiet q;

    bench_use_processor(1); /* for the emulated Xen's threads */
    raw_up(&raw[0], source_new(SOURCE_ECHO, PACKET_NS), source_new(SOURCE_SINK, 0), true,
           quiet_thread);
    raw_up_beside(&raw[1], &raw[0], source_new(SOURCE_ENDLESS, PACKET_NS),
                  shared ? quiet_thread : own);
    quiet_init(&q, &raw[0]);
    ring_guest_init(&flooder, &raw[1], true);
    bench_use_processor(shared ? 1 : 0);
    compare_in_turn(&q, &flooder, trips, &result);
    show(shared, &result);
    ring_guest_down(&flooder);
    quiet_down(&q);
    io_thread_free(quiet_thread);
    io_thread_free(own);
}

int main(int argc, char **argv)
{
    unsigned trips = argc > 1 ? (unsigned)g_ascii_strtoull(argv[1], NULL, 10) : 200;

    if (!bench_has_processors(2)) {
        fprintf(stderr, "quiet: two processors are needed\n");
        return 77; /* as a test: skipped */
    }
    setlinebuf(stdout);
    trips = CLAMP(trips, 1, MAX_TRIPS);
    run(true, trips);
    run(false, trips);
    return 0;
}
