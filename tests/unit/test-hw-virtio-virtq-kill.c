/*
 * A device that is killed, and another one that goes on: with an inflight region no chain is lost,
 * none comes back twice, and what was said to be done is not done again. The device ends behind
 * each store to shared memory in turn, by a jump out of it, as processes take too long here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

static void stored(void);
#define __atomic_store_n(p, value, order) (__atomic_store_n(p, value, order), stored())

#include "virtq-packed.c"
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
} Mode;

/* Chain @i has a piece to read that says so, and one to write. */
static void work(Rig *r, const Mode *m, VirtqChain *c)
{
    Notes *notes = (void *)rig_host(r, NOTES);
    uint32_t i = 0, len = c->in_len;

    if (!c->bad) {
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

/* Each chain comes back, once, in its order, with the length that was written. */
static void take_chains(Rig *r, Sent *s)
{
    uint16_t id;
    uint32_t len;

    for (; virtq_driver_get(r->driver, &id, &len); s->back++) {
        g_assert_cmpuint(s->back, <, s->n);
        g_assert_cmpuint(id, ==, s->id[s->back]);
        g_assert_cmpuint(len, ==, 100 + s->back);
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
} Test;

/* 24 chains, of which the second half comes when the first device is gone. */
static bool run_killed(const Test *test, unsigned kill_at, unsigned kill_next_at)
{
    Rig *r = g_new0(Rig, 1);
    Sent s = { .n = 0 };
    bool survived;

    rig_up(r, &test->config);
    r->setup.base = virtq_stop(&r->vq);
    r->setup.inflight = rig_host(r, REGION);
    send_chains(r, &s, 12);
    survived = run_killable(r, &test->mode, kill_at);
    take_chains(r, &s);
    while (s.n < 24 && r->driver->n_free >= 3) {
        send_chains(r, &s, 1);
    }
    if (!survived) {
        run_killable(r, &test->mode, kill_next_at);
    }
    g_assert_true(run_killable(r, &test->mode, 0));
    take_chains(r, &s);
    g_assert_cmpuint(s.back, ==, s.n);
    check_notes(r, &test->mode, s.n, survived ? 0 : 2);
    rig_down(r);
    g_free(r);
    return survived;
}

/* Twice: the second time somewhere, perhaps while it takes over. */
static void test_kill(gconstpointer data)
{
    unsigned at = 1;

    while (!run_killed(data, at, 1 + at % 3) && !run_killed(data, at, 1 + at * 7 % 61)) {
        at++;
    }
    g_assert_cmpuint(at, >, 60); /* so many stores there are at least */
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
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/hw/virtio/virtq-kill/%s", tests[i].name);

        g_test_add_data_func(path, &tests[i], test_kill);
    }
    return g_test_run();
}
