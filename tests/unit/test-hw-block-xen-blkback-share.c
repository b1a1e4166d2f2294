/*
 * Disks of two guests in one iothread: one guest's flood, and what the other has of it. The guests
 * are a poller of that thread, so that rounds are counted, and no time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/container-of.h"
#include "vbd-raw.h"
#include "xen-blkback-internal.h"

#define ASKED 200 /* requests of the quiet guest */

typedef struct Share {
    VbdRaw flooder;    /* its ring is full at the beginning of each round */
    VbdRaw quiet;      /* one request after the other */
    IoThread *thread;  /* of both */

    /* the thread's own, until done */
    IoPoller poller;
    uint8_t op;        /* of the flood */
    unsigned answered; /* of the flood, while the quiet guest waited: for the present one, */
    unsigned least;    /* and for any so far */
    unsigned most;
    unsigned asked;
    int done;          /* atomic: the quiet guest has all its answers */
} Share;

static void share_disk(Share *s, VbdRaw *r)
{
    r->env.threads = &s->thread;
    r->env.n_threads = 1;
    r->held = true; /* requests end in the round they are submitted in: no host's disk decides */
    r->order = 4;
    vbd_raw_up(r);
}

static void setup(Share *s, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    vbd_raw_init(&s->flooder);
    vbd_raw_init_beside(&s->quiet, &s->flooder);
    s->thread = io_thread_new("both", &error);
    g_assert_no_error(error);
    share_disk(s, &s->flooder);
    share_disk(s, &s->quiet);
}

static void teardown(Share *s, gconstpointer data)
{
    VbdRaw *disk[] = { &s->quiet, &s->flooder };

    for (unsigned i = 0; i < G_N_ELEMENTS(disk); i++) {
        vbd_raw_close(disk[i]);
        vbd_raw_back_close(disk[i]);
    }
    io_thread_free(s->thread);
    vbd_raw_down(&s->quiet);
    vbd_raw_down(&s->flooder);
}

/* Takes the answers that there are. */
static unsigned take_answers(VbdRaw *r)
{
    unsigned n = 0;

    for (; xen_ring_responses(&r->queue[0].ring) > 0; n++) {
        g_assert_cmpint(vbd_raw_get(r, 0).status, ==, BLKIF_RSP_OKAY);
    }
    return n;
}

static void flood(Share *s)
{
    VbdRaw *r = &s->flooder;

    s->answered += take_answers(r);
    while (xen_ring_free_requests(&r->queue[0].ring) > 0) {
        XenBlkifRequest req = vbd_raw_rw(r, s->op, 0, s->op != BLKIF_OP_FLUSH_DISKCACHE, 10);

        vbd_raw_put(r, 0, &req);
    }
    vbd_raw_push(r, 0);
}

static void ask(Share *s)
{
    XenBlkifRequest req = vbd_raw_rw(&s->quiet, BLKIF_OP_READ, 0, 1, 10);

    s->answered = 0;
    s->asked++;
    vbd_raw_put(&s->quiet, 0, &req);
    vbd_raw_push(&s->quiet, 0);
}

/* A round of both guests: there is always work. */
static bool guests_poll(IoPoller *poller)
{
    Share *s = container_of(poller, Share, poller);

    flood(s);
    if (take_answers(&s->quiet) == 0) {
        return true;
    }
    s->least = MIN(s->least, s->answered);
    s->most = MAX(s->most, s->answered);
    if (s->asked < ASKED) {
        ask(s);
    } else {
        __atomic_store_n(&s->done, 1, __ATOMIC_RELEASE);
    }
    return true;
}

static bool guests_arm(IoPoller *poller)
{
    return true;
}

static void guests_start(void *opaque)
{
    Share *s = opaque;

    s->least = UINT_MAX;
    s->poller = (IoPoller) { .poll = guests_poll, .arm = guests_arm };
    flood(s);
    ask(s);
    io_thread_add_poller(s->thread, &s->poller);
}

static void guests_stop(void *opaque)
{
    Share *s = opaque;

    io_thread_remove_poller(s->thread, &s->poller);
}

/* Until all that the guests asked for is answered. */
static void guests_drain(VbdRaw *r)
{
    XenRing *ring = &r->queue[0].ring;

    while (ring->cons != ring->prod) {
        g_assert_cmpint(vbd_raw_get(r, 0).status, ==, BLKIF_RSP_OKAY);
    }
}

/*
 * A request of the quiet guest is taken in the round that sees it, and answered in the next one:
 * the flooder has the budgets of these two rounds, however much it has asked for, and no less.
 */
static void run_flood(Share *s, uint8_t op)
{
    s->op = op;
    io_thread_call(s->thread, guests_start, s);
    block_rig_loop_until(&s->done, 1);
    io_thread_call(s->thread, guests_stop, s);
    guests_drain(&s->flooder);
    guests_drain(&s->quiet);
    g_test_message("%u to %u answers of the flood before one of the quiet guest", s->least,
                   s->most);
    g_assert_cmpuint(s->flooder.queue[0].ring.size, >, 4 * BLKBACK_BATCH);
    g_assert_cmpuint(s->most, <=, 2 * BLKBACK_BATCH);
    g_assert_cmpuint(s->least, >=, BLKBACK_BATCH);
}

static void test_reads(Share *s, gconstpointer data)
{
    run_flood(s, BLKIF_OP_READ);
}

static void test_writes(Share *s, gconstpointer data)
{
    run_flood(s, BLKIF_OP_WRITE);
}

static void test_flushes(Share *s, gconstpointer data)
{
    run_flood(s, BLKIF_OP_FLUSH_DISKCACHE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/xen-blkback/share/reads", Share, NULL, setup, test_reads, teardown);
    g_test_add("/xen-blkback/share/writes", Share, NULL, setup, test_writes, teardown);
    g_test_add("/xen-blkback/share/flushes", Share, NULL, setup, test_flushes, teardown);
    return g_test_run();
}
