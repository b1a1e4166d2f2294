/*
 * A device that is killed, and another one that goes on: no chain is lost, none comes back twice,
 * and with an inflight region what was said to be done is not done again. The device ends behind
 * each store to shared memory in turn, by a jump out of it, as processes take too long here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

static void stored(void);
#define __atomic_store_n(p, value, order) (__atomic_store_n(p, value, order), stored())

#include "virtq-packed.c"
#include "virtq-place.c"
#include "virtq-resume.c"
#include "virtq-split.c"
#include "virtq-track.c"
#include "virtq.c"

#undef __atomic_store_n

#include <setjmp.h>

#include "virtq-rig.h"

#define REGION   (RIG_RING + RIG_RING_SIZE - 0x20000)
#define NOTES    (RIG_RING + RIG_RING_SIZE - 0x1000)
#define N_CHAINS 64u

/* What the devices did, in memory that they share with us. */
typedef struct Notes {
    unsigned worked[N_CHAINS];  /* times */
    bool done[N_CHAINS];        /* it was said so */
    bool again;                 /* work that was done already */
} Notes;

static struct {
    unsigned stores; /* left until the end comes; 0: none does */
    jmp_buf killed;
} t;

static void stored(void)
{
    if (t.stores > 0 && --t.stores == 0) {
        longjmp(t.killed, 1);
    }
}

/* --- the device: @mode says in what portions, and whether it says that it is done --- */

typedef struct Mode {
    unsigned batch;
    bool says_done;
    bool unpops;
    bool flush_late; /* pops again before it publishes */
    bool alone;      /* no inflight region: where the ring stands is in the ring only */
} Mode;

/* Chain @i has a piece to read that says so, and one to write. */
static void work(Rig *r, const Mode *m, VirtqChain *c)
{
    Notes *notes = (void *)rig_host(r, NOTES);
    uint32_t i = 0, len = c->in_len;

    if (!c->bad) {
        g_assert_cmpuint(c->n_out, ==, 1);
        memcpy(&i, c->iov[0].iov_base, sizeof(i));
        g_assert_cmpuint(i, <, N_CHAINS);
        notes->again |= notes->done[i];
        notes->worked[i]++;
        len = 100 + i;
    }
    if (m->says_done) {
        virtq_done(&r->vq, c, len);
        if (!c->bad) {
            notes->done[i] = true;
        }
    } else {
        g_assert_true(c->bad != virtq_done_before);
    }
    c->out_len = len;
}

static void run_device(Rig *r, const Mode *m)
{
    const char *why = NULL;

    if (!virtq_start(&r->vq, r->mem, &r->setup, &why)) {
        g_error("virtq_start: %s", why);
    }
    for (unsigned round = 1; virtq_ready(&r->vq); round++) {
        int n = rig_pop(r, m->batch);

        g_assert_cmpint(n, >, 0);
        if (m->unpops && n > 1 && round % 3 == 0) {
            virtq_unpop(&r->vq, r->chain + n / 2, (unsigned)(n - n / 2));
            n /= 2;
            g_assert_cmpint(rig_pop(r, 0), ==, 0);
        }
        for (int i = 0; i < n; i++) {
            work(r, m, &r->chain[i]);
        }
        for (int i = 0; i < n; i++) {
            virtq_push(&r->vq, &r->chain[i], r->chain[i].out_len);
        }
        if (!m->flush_late || round % 2 == 0) {
            virtq_flush(&r->vq);
        }
    }
    r->setup.base = virtq_stop(&r->vq);
}

/* A device that is killed behind its store @kill_at, or runs until it has nothing to do. */
static bool run_killable(Rig *r, const Mode *m, unsigned kill_at)
{
    memset(&r->vq, 0x55, sizeof(r->vq));
    if (setjmp(t.killed)) {
        virtq_track_free(r->vq.track);
        r->vq.running = false;
        return false;
    }
    t.stores = kill_at;
    run_device(r, m);
    t.stores = 0;
    return true;
}

/* --- the driver --- */

typedef struct Sent {
    uint16_t id[N_CHAINS];
    unsigned n;
    unsigned back;
} Sent;

static void send_chains(Rig *r, Sent *s, unsigned n)
{
    for (unsigned i = s->n; i < s->n + n; i++) {
        uint64_t gpa = RIG_DATA + i * 64;
        const VirtqDriverPiece piece[] = { { gpa, 4 }, { gpa + 8, 8 }, { gpa + 32, 8 } };
        int id = virtq_driver_add(r->driver, piece, 1, 1 + i % 2);

        g_assert_cmpint(id, >=, 0);
        memcpy(rig_host(r, gpa), &i, sizeof(i));
        s->id[i] = (uint16_t)id;
    }
    s->n += n;
    virtq_driver_publish(r->driver);
}

/*
 * Each chain comes back, once, in its order, with the length that was written, unless that is one
 * of the @lost ones.
 */
static void take_chains(Rig *r, Sent *s, unsigned lost)
{
    uint16_t id;
    uint32_t len;

    for (; virtq_driver_get(r->driver, &id, &len); s->back++) {
        g_assert_cmpuint(s->back, <, s->n);
        g_assert_cmpuint(id, ==, s->id[s->back]);
        if (len == 0 && lost > 0) {
            lost--;
        } else {
            g_assert_cmpuint(len, ==, 100 + s->back);
        }
    }
}

static void check_notes(Rig *r, const Mode *m, unsigned n, unsigned kills)
{
    const Notes *notes = (const void *)rig_host(r, NOTES);
    unsigned more = 0;

    g_assert_false(notes->again);
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpuint(notes->worked[i], >=, 1);
        more += notes->worked[i] - 1;
    }
    /* between the work and the word that it is done */
    g_assert_cmpuint(more, <=, m->says_done ? kills : kills * m->batch * 2);
}

typedef struct Test {
    const char *name;
    RigConfig config;
    Mode mode;
    unsigned before; /* chains that an earlier device has served */
} Test;

/* The ring stands somewhere, and the base that the VMM has is of long ago. */
static void begin(Rig *r, const Test *test)
{
    static const Mode plain = { 1, false, false, false, true };
    const uint32_t base = r->setup.base;
    Sent s = { .n = 0 };

    r->setup.base = virtq_stop(&r->vq);
    for (unsigned i = 0; i < test->before; i++) {
        s.n = s.back = i % 2;
        send_chains(r, &s, 1);
        g_assert_true(run_killable(r, &plain, 0));
        take_chains(r, &s, 0);
    }
    if (test->mode.alone) {
        r->setup.base = base;
    } else {
        r->setup.inflight = rig_host(r, REGION);
    }
    memset(rig_host(r, NOTES), 0, sizeof(Notes));
}

/* 24 chains, of which the second half comes when the first device is gone. */
static bool run_killed(const Test *test, unsigned kill_at, unsigned kill_next_at)
{
    Rig *r = g_new0(Rig, 1);
    Sent s = { .n = 0 };
    bool survived;

    rig_up(r, &test->config);
    begin(r, test);
    send_chains(r, &s, MIN(12, (unsigned)(r->driver->n_free / 3)));
    survived = run_killable(r, &test->mode, kill_at);
    take_chains(r, &s, 0);
    while (s.n < 24 && r->driver->n_free >= 3) {
        send_chains(r, &s, 1);
    }
    if (!survived) {
        run_killable(r, &test->mode, kill_next_at);
    }
    g_assert_true(run_killable(r, &test->mode, 0));
    take_chains(r, &s, survived || !test->mode.alone ? 0 : 4 * test->mode.batch);
    g_assert_cmpuint(s.back, ==, s.n);
    check_notes(r, &test->mode, s.n, survived ? 0 : 2);
    rig_down(r);
    g_free(r);
    return survived;
}

/* Twice: the second time somewhere, perhaps while it takes over. */
static unsigned kill_everywhere(const Test *test)
{
    unsigned at = 1;

    while (!run_killed(test, at, 1 + at % 3) && !run_killed(test, at, 1 + at * 7 % 61)) {
        at++;
    }
    return at;
}

static void test_kill(gconstpointer data)
{
    const Test *test = data;

    /* so many stores there are at least */
    g_assert_cmpuint(kill_everywhere(test), >, test->mode.alone ? 10 : 60);
}

/* In the first laps of the ring, from each place. */
static void test_kill_in_each_place(gconstpointer data)
{
    Test test = *(const Test *)data;

    for (test.before = 0; test.before <= 2 * test.config.size; test.before++) {
        g_assert_cmpuint(kill_everywhere(&test), >=, 3);
    }
}

#define SPLIT  { "split", 64, false, true, 0 }
#define PACKED { "packed", 63, true, true, 0 }
#define TABLES { "packed-tables", 31, true, false, 4 }

static const Test tests[] = {
    { "split", SPLIT, { 5, true, false, false } },
    { "split-says-nothing", SPLIT, { 5, false, false, false } },
    { "split-unpop", SPLIT, { 6, true, true, false } },
    { "split-late", SPLIT, { 4, true, true, true } },
    { "packed", PACKED, { 5, true, false, false } },
    { "packed-says-nothing", PACKED, { 5, false, false, false } },
    { "packed-unpop", PACKED, { 6, true, true, false } },
    { "packed-late", PACKED, { 4, true, true, true } },
    { "packed-tables", TABLES, { 3, true, true, true } },
    { "packed-alone", PACKED, { 5, false, false, false, true } },
    { "packed-alone-unpop", PACKED, { 6, false, true, false, true } },
    { "packed-alone-late", PACKED, { 4, false, true, true, true } },
    { "packed-alone-tables", TABLES, { 3, false, true, true, true } },
};

static const Test tests_in_each_place[] = {
    { "packed-9", { "packed", 9, true, true, 0 }, { 3, false, false, false, true } },
    { "packed-16-late", { "packed", 16, true, false, 0 }, { 2, false, true, true, true } },
    { "packed-5-tables", { "packed", 5, true, true, 4 }, { 4, false, false, true, true } },
    { "packed-3", { "packed", 3, true, true, 0 }, { 3, false, false, false, true } },
    { "packed-9-kept", { "packed", 9, true, true, 0 }, { 3, true, false, false, false } },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/hw/virtio/virtq-kill/%s", tests[i].name);

        g_test_add_data_func(path, &tests[i], test_kill);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(tests_in_each_place); i++) {
        const Test *test = &tests_in_each_place[i];
        g_autofree char *path = g_strdup_printf("/hw/virtio/virtq-kill/each-place/%s", test->name);

        g_test_add_data_func(path, test, test_kill_in_each_place);
    }
    return g_test_run();
}
