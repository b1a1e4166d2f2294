/*
 * Guests that are fast: memory that changes while it is read, states that change while they are
 * followed, events that mean nothing. Named by the advisories that they were in.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <string.h>

#include "vbd-raw.h"

static void setup(VbdRaw *r, gconstpointer data)
{
    vbd_raw_init(r);
    r->held = true;
}

static void teardown(VbdRaw *r, gconstpointer data)
{
    vbd_raw_down(r);
}

/* --- XSA-155: what was validated is what is used --- */

typedef struct Racer {
    uint8_t *at;       /* a byte that is now one, now the other; NULL: of the slot, at... */
    unsigned offset;
    uint8_t values[2];
} Racer;

/* While the test itself writes or reads a slot, the racer has no turn. */
typedef struct Race {
    Racer racer[8];
    unsigned n;
    uint8_t *slot;     /* the request's */
    bool refs;         /* references race as well: of pages that there are not */
    pthread_mutex_t lock;
    int wanted;        /* atomic: the test wants the lock */
    int stop;          /* atomic */
    unsigned turns;
} Race;

static void race_turn(Race *race)
{
    race->turns++;
    for (unsigned i = 0; i < race->n; i++) {
        const Racer *c = &race->racer[i];
        volatile uint8_t *at = c->at ? c->at : race->slot + c->offset;

        *at = c->values[race->turns >> i & 1];
    }
}

static gpointer race_run(gpointer opaque)
{
    Race *race = opaque;

    while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
        if (__atomic_load_n(&race->wanted, __ATOMIC_RELAXED)) {
            g_thread_yield();
            continue;
        }
        pthread_mutex_lock(&race->lock);
        for (unsigned i = 0; race->slot && i < 64; i++) {
            race_turn(race);
        }
        pthread_mutex_unlock(&race->lock);
    }
    return NULL;
}

static void race_hold(Race *race)
{
    __atomic_store_n(&race->wanted, 1, __ATOMIC_RELAXED);
    pthread_mutex_lock(&race->lock);
    __atomic_store_n(&race->wanted, 0, __ATOMIC_RELAXED);
}

static void race_add(Race *race, uint8_t *at, unsigned offset, uint8_t one, uint8_t other)
{
    race->racer[race->n++] = (Racer) { at, offset, { one, other } };
}

/* The response's id is not looked at: it lies where the racer writes. */
static void race_request(VbdRaw *r, Race *race, XenBlkifRequest (*make)(VbdRaw *r))
{
    XenRing *ring = &r->queue[0].ring;
    XenBlkifResponse rsp;
    XenBlkifRequest req;

    race_hold(race);
    req = make(r);
    race->slot = xen_ring_entry(ring, ring->prod);
    vbd_raw_put(r, 0, &req);
    pthread_mutex_unlock(&race->lock);
    vbd_raw_push(r, 0);
    vbd_raw_wait(r, 0, 1);
    race_hold(race);
    rsp = vbd_raw_get(r, 0);
    race->slot = NULL;
    pthread_mutex_unlock(&race->lock);
    g_assert_cmpint(rsp.status, <=, BLKIF_RSP_OKAY);
    g_assert_cmpint(rsp.status, >=, BLKIF_RSP_EOPNOTSUPP);
}

/* Requests of both kinds have come out of it. */
static bool race_was(const VbdRaw *r)
{
    return VBD_RAW_COUNT(r, ring.refused) > 0 &&
           VBD_RAW_COUNT(r, write.requests) + VBD_RAW_COUNT(r, read.requests) > 0;
}

/* Only sectors 0 to 255 are to be written to, whatever the race makes of the requests. */
static void race_requests(VbdRaw *r, Race *race, XenBlkifRequest (*make)(VbdRaw *r))
{
    gint64 begin = g_get_monotonic_time(), end = begin + (g_test_quick() ? 400000 : 10000000);
    GThread *t = g_thread_new("racer", race_run, race);
    uint8_t byte[512];

    while (g_get_monotonic_time() < end || !race_was(r)) {
        race_request(r, race, make);
        g_assert_cmpint(g_get_monotonic_time() - begin, <, 60 * G_USEC_PER_SEC);
    }
    __atomic_store_n(&race->stop, 1, __ATOMIC_RELAXED);
    g_thread_join(t);
    if (!race->refs) { /* what was found good, is so when it is used */
        g_assert_cmpuint(VBD_RAW_COUNT(r, write.failed) + VBD_RAW_COUNT(r, read.failed), ==,
                         VBD_RAW_COUNT(r, ring.refused));
    }
    for (unsigned i = 0; i < sizeof(byte); i++) {
        byte[i] = block_rig_byte(256 * 512 + i);
    }
    block_rig_expect(&r->rig, 256 * 512, byte, sizeof(byte));
}

static XenBlkifRequest make_direct(VbdRaw *r)
{
    return vbd_raw_rw(r, BLKIF_OP_WRITE, 0, 4, 10);
}

/* The operation, the segments, the first one's sectors and page, the sector. */
static void direct_race(VbdRaw *r, bool persistent, bool refs)
{
    Race race = { .lock = PTHREAD_MUTEX_INITIALIZER, .refs = refs };

    r->persistent = persistent;
    vbd_raw_up(r);
    race_add(&race, NULL, 0, BLKIF_OP_WRITE, BLKIF_OP_READ);
    race_add(&race, NULL, 1, 4, 200);
    race_add(&race, NULL, 24 + 4, 0, 5);   /* first */
    race_add(&race, NULL, 24 + 5, 7, 255); /* last */
    if (refs) {
        race_add(&race, NULL, 24 + 3, 0, 0xff);
    }
    race_add(&race, NULL, 16 + 7, 0, 0x80); /* of the sector */
    race_requests(r, &race, make_direct);
}

static void test_xsa_155(VbdRaw *r, gconstpointer data)
{
    direct_race(r, true, false);
}

static void test_xsa_155_copied(VbdRaw *r, gconstpointer data)
{
    direct_race(r, false, false);
}

static void test_xsa_155_references(VbdRaw *r, gconstpointer data)
{
    direct_race(r, true, true);
}

static XenBlkifRequest make_indirect(VbdRaw *r)
{
    return vbd_raw_indirect(r, BLKIF_OP_WRITE, 0, 20, 10, 0);
}

/* The segments of the page, and their number. */
static void indirect_race(VbdRaw *r, bool persistent)
{
    Race race = { .lock = PTHREAD_MUTEX_INITIALIZER };
    uint8_t *table;

    r->persistent = persistent;
    vbd_raw_up(r);
    table = vbd_raw_page(r, 0);
    race_add(&race, table + 4, 0, 0, 9);
    race_add(&race, table + 5, 0, 7, 255);
    race_add(&race, table + 19 * 8 + 4, 0, 0, 7);
    race_add(&race, table + 19 * 8 + 5, 0, 7, 0);
    race_add(&race, NULL, 2, 20, 0);
    race_add(&race, NULL, 3, 0, 255);
    race_requests(r, &race, make_indirect);
}

static void test_xsa_155_indirect(VbdRaw *r, gconstpointer data)
{
    indirect_race(r, true);
}

static void test_xsa_155_indirect_copied(VbdRaw *r, gconstpointer data)
{
    indirect_race(r, false);
}

/* --- states --- */

static unsigned count_threads(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/task", 0, NULL);
    unsigned n = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

static void put_some(VbdRaw *r)
{
    for (unsigned q = 0; q < r->n_queues; q++) {
        XenRing *ring = &r->queue[q].ring;

        ring->cons = ring->page->rsp_prod; /* whatever was answered */
        if (xen_ring_free_requests(ring) > 2) {
            XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 11, 10);
            XenBlkifRequest barrier = vbd_raw_rw(r, BLKIF_OP_WRITE_BARRIER, 1024, 1, 30);

            vbd_raw_put(r, q, &req);
            vbd_raw_put(r, q, &barrier);
            vbd_raw_push(r, q);
        }
    }
}

/*
 * Every state, in any order, with requests under way that the disk ends now and then. Afterwards a
 * decent connection is to be had, and nothing is left of the others.
 */
static void test_xsa_350(VbdRaw *r, gconstpointer data)
{
    const unsigned n = g_test_quick() ? 1500 : 10000;
    g_autoptr(GRand) rand = g_rand_new_with_seed(350);
    unsigned threads;

    r->n_queues = 2;
    vbd_raw_back(r);
    threads = count_threads();
    vbd_raw_front(r);
    for (unsigned i = 0; i < n; i++) {
        vbd_raw_state(r, g_rand_int_range(rand, 1, 7));
        for (int k = g_rand_int_range(rand, 0, 6); k > 0; k--) {
            g_main_context_iteration(NULL, false);
        }
        held_disk_hold(&r->disk, g_rand_boolean(rand));
        if (i % 3 == 0) {
            put_some(r);
        }
        if (i % 50 == 0) {
            g_usleep(1100); /* one that failed is not followed at once */
        }
    }
    held_disk_hold(&r->disk, false);
    vbd_raw_state(r, 5);
    vbd_raw_state(r, 6);
    VBD_WAIT(vbd_raw_back_is(r, 6));
    g_assert_cmpuint(r->connected, >, n / 100);
    g_assert_cmpuint(r->disconnected, ==, r->connected);
    g_assert_cmpuint(vbd_raw_mapped(r), ==, 0);
    g_assert_cmpuint(count_threads(), ==, threads);
    vbd_raw_front_free(r);
    vbd_raw_state(r, 1);
    VBD_WAIT(vbd_raw_back_is(r, 2));
    vbd_raw_front(r);
    vbd_raw_connect(r);
}

/* Pages of memory that the process has. */
static unsigned long resident(void)
{
    g_autofree char *text = NULL;
    char *at;

    g_assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
    at = strchr(text, ' ');
    g_assert_nonnull(at);
    return strtoul(at, NULL, 10);
}

typedef struct Writer {
    VbdRaw *r;
    unsigned n;
    int done; /* atomic */
} Writer;

static gpointer write_states(gpointer opaque)
{
    Writer *w = opaque;
    g_autoptr(GError) error = NULL;
    /* of its own: a connection is one thread's */
    g_autoptr(GMainContext) context = g_main_context_new();
    XenStore *s;

    g_main_context_push_thread_default(context);
    s = xen_store_open(w->r->v.guest->store_path, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < w->n; i++) {
        g_assert_true(xen_store_printf(s, 0, w->r->v.fe, "state", "4"));
    }
    xen_store_close(s);
    g_main_context_pop_thread_default(context);
    __atomic_store_n(&w->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* The nodes that we watch, written again and again: events are merged, and memory does not grow. */
static void test_xsa_349(VbdRaw *r, gconstpointer data)
{
    Writer w = { .r = r, .n = g_test_quick() ? 5000 : 1000000 };
    unsigned long before;
    GThread *t;

    vbd_raw_up(r);
    t = g_thread_new("writer", write_states, &w);
    before = resident();
    while (!__atomic_load_n(&w.done, __ATOMIC_ACQUIRE)) {
        while (g_main_context_iteration(NULL, false)) {
        }
        g_usleep(20000); /* busy with something else */
    }
    g_thread_join(t);
    g_assert_cmpuint(resident(), <, before + (32u << 20) / XEN_PAGE_SIZE);
    g_assert_cmpuint(r->connected, ==, 1);
    g_assert_cmpuint(r->disconnected, ==, 0);
}

/* --- events --- */

typedef struct Kicker {
    VbdRaw *r;
    int stop; /* atomic */
    unsigned kicks;
} Kicker;

static gpointer kick(gpointer opaque)
{
    Kicker *k = opaque;

    while (!__atomic_load_n(&k->stop, __ATOMIC_RELAXED)) {
        vbd_raw_notify(k->r, 0);
        k->kicks++;
    }
    return NULL;
}

/*
 * Events without a request, as fast as they go, to a queue whose thread has another one too: that
 * is served, and the first's events are unmasked behind its work and no more than once in a while.
 */
static void test_xsa_332(VbdRaw *r, gconstpointer data)
{
    Kicker k = { .r = r };
    IoThread *threads[2];
    g_autoptr(GError) error = NULL;
    gint64 begin;
    uint64_t before;
    GThread *t;

    threads[0] = threads[1] = io_thread_new("both", &error);
    g_assert_no_error(error);
    r->env.threads = threads;
    r->env.n_threads = 2;
    r->n_queues = 2;
    r->config.num_queues = 2;
    vbd_raw_up(r);
    t = g_thread_new("kicker", kick, &k);
    g_usleep(20000);
    before = VBD_RAW_COUNT(r, ring.events_received);
    begin = g_get_monotonic_time();
    for (unsigned i = 0; i < 300; i++) {
        XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 3, 10);

        g_assert_cmpint(vbd_raw_do(r, 1, &req), ==, BLKIF_RSP_OKAY);
        if (i % 50 == 0) {
            g_usleep(20000); /* and the storm has the thread to itself */
        }
    }
    __atomic_store_n(&k.stop, 1, __ATOMIC_RELAXED);
    g_thread_join(t);
    g_assert_cmpuint(k.kicks, >, 1000);
    /* 16 that are tried, then one in a millisecond; and those of the requests */
    g_assert_cmpuint(VBD_RAW_COUNT(r, ring.events_received) - before, <,
                     (uint64_t)(g_get_monotonic_time() - begin) / 1000 * 2 + 300 + 64);
    vbd_raw_close(r);
    vbd_raw_back_close(r);
    io_thread_free(threads[0]);
}

typedef struct Test {
    const char *name;
    void (*run)(VbdRaw *r, gconstpointer data);
} Test;

static const Test tests[] = {
    { "XSA-155", test_xsa_155 },
    { "XSA-155-copied", test_xsa_155_copied },
    { "XSA-155-references", test_xsa_155_references },
    { "XSA-155-indirect", test_xsa_155_indirect },
    { "XSA-155-indirect-copied", test_xsa_155_indirect_copied },
    { "XSA-332", test_xsa_332 },
    { "XSA-349", test_xsa_349 },
    { "XSA-350", test_xsa_350 },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/xen-blkback/storm/%s", tests[i].name);

        g_test_add(path, VbdRaw, NULL, setup, tests[i].run, teardown);
    }
    return g_test_run();
}
