/*
 * A backend goes, and another one comes: what the first did not answer is asked of the second, as
 * that one can take it. Nobody who waits for a request sees any of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "util/container-of.h"
#include "vbd-test.h"

#define N     24
#define BYTES (640 * KIB) /* of each request: 160 segments */

static const VbdBackConfig least = { 0 };

/* --- what is replayed --- */

/*
 * Writes on all queues, of which the backend answers @answered requests of its rings; there is one
 * more at least.
 */
static void submit_writes(VbdTest *t, VbdJob *jobs, unsigned answered)
{
    vbd_back_set_budget(&t->b, (int)answered);
    for (unsigned i = 0; i < N; i++) {
        vbd_submit(&t->v, i % t->v.config.queues, &jobs[i], BLOCK_WRITE, i * BYTES,
                   t->buf + i * BYTES, BYTES);
    }
    VBD_WAIT(vbd_back_budget(&t->b) == 0 && VBD_COUNT(&t->v, requests) > answered);
}

typedef struct Handover {
    const VbdBackConfig *from;
    const VbdBackConfig *to;
    unsigned answered;
} Handover;

static void test_handover(gconstpointer data)
{
    g_autofree VbdJob *jobs = g_new0(VbdJob, N);
    const Handover *h = data;
    VbdTest t;

    vbd_test_up(&t);
    t.v.config = (XenBlkfrontConfig) { .vdev = VBD_DEV, .queues = 4, .ring_order = 1,
                                       .max_indirect = 256, .persistent = true };
    vbd_test_connect(&t, h->from);
    submit_writes(&t, jobs, h->answered);
    vbd_test_back(&t, h->to);
    vbd_expect(jobs, N, 0);
    vbd_test_expect(&t, 0, N * BYTES);
    g_assert_cmpuint(t.v.connected, ==, 2);
    g_assert_cmpuint(VBD_COUNT(&t.v, replayed), >, 0);
    g_assert_cmpuint(VBD_COUNT(&t.v, errors), ==, 0);
    g_assert_cmpuint(vbd_back_max_segs(&t.b), ==, h->to->max_indirect ? 160 : 11);
    vbd_test_down(&t);
}

/* What was answered is not asked again: each byte is written once by the second or the first. */
static void test_answered_once(void)
{
    g_autofree VbdJob *jobs = g_new0(VbdJob, N);
    VbdTest t;

    vbd_test_up(&t);
    vbd_test_connect(&t, &least);
    submit_writes(&t, jobs, 20);
    VBD_WAIT(VBD_COUNT(&t.v, written_bytes) == BYTES + 5 * 44 * KIB); /* the first has 15 parts */
    vbd_test_back(&t, &least);
    vbd_expect(jobs, N, 0);
    g_assert_cmpuint(VBD_COUNT(&t.v, written_bytes), ==, N * BYTES);
    vbd_test_expect(&t, 0, N * BYTES);
    vbd_test_down(&t);
}

/* The backend says that it failed; the same one, once more: 5, 6, 1, 2. */
static void test_same_backend(void)
{
    g_autofree VbdJob *jobs = g_new0(VbdJob, N);
    VbdTest t;

    vbd_test_up(&t);
    vbd_test_connect(&t, &vbd_full);
    submit_writes(&t, jobs, 5);
    for (unsigned i = 2; i <= 4; i++) {
        xenbus_back_fail(&t.b.bus, "somebody pulled the plug");
        VBD_WAIT(t.v.connected == i);
    }
    g_assert_false(vbd_is_done(jobs, N));
    vbd_back_set_budget(&t.b, -1);
    vbd_expect(jobs, N, 0);
    vbd_test_expect(&t, 0, N * BYTES);
    vbd_test_down(&t);
}

/* One that is at InitWait again without a word, as after a crash. */
static void test_without_a_word(void)
{
    g_autofree VbdJob *jobs = g_new0(VbdJob, N);
    VbdTest t;

    vbd_test_up(&t);
    vbd_test_connect(&t, &vbd_full);
    submit_writes(&t, jobs, 7);
    vbd_back_down(&t.b);
    t.has_back = false;
    VBD_WAIT(t.v.disconnected == 1);
    vbd_test_back(&t, &least);
    vbd_expect(jobs, N, 0);
    vbd_test_expect(&t, 0, N * BYTES);
    vbd_test_down(&t);
}

/* Those that are never split, and what the next backend does not have. */
static void test_others(void)
{
    enum { FLUSH, BARRIER, DISCARD, KINDS };
    VbdJob jobs[KINDS] = { [BARRIER] = { .req = { .barrier = true } } };
    VbdTest t;

    vbd_test_up(&t);
    for (unsigned i = 0; i < 2; i++) {
        vbd_test_connect(&t, &vbd_full);
        vbd_back_set_budget(&t.b, 0);
        vbd_submit(&t.v, 0, &jobs[FLUSH], BLOCK_FLUSH, 0, NULL, 0);
        vbd_submit(&t.v, 0, &jobs[BARRIER], BLOCK_WRITE, 0, t.buf, 44 * KIB);
        vbd_submit(&t.v, 0, &jobs[DISCARD], BLOCK_DISCARD, MIB, NULL, MIB);
        VBD_WAIT(VBD_COUNT(&t.v, requests) == 3);
        vbd_test_back(&t, i == 0 ? &vbd_full : &least);
        VBD_WAIT(vbd_is_done(jobs, KINDS));
        g_assert_cmpint(jobs[FLUSH].res, ==, 0);
        g_assert_cmpint(jobs[BARRIER].res, ==, i == 0 ? 0 : -EOPNOTSUPP);
        g_assert_cmpint(jobs[DISCARD].res, ==, i == 0 ? 0 : -EOPNOTSUPP);
        g_assert_cmpuint(VBD_COUNT(&t.v, replayed), ==, 3);
        if (i == 0) {
            vbd_test_expect(&t, 0, 44 * KIB);
            g_assert_cmpuint(VBD_COUNT(&t.v, flushes), ==, 2);
        }
        vbd_front_close(&t.v);
    }
    vbd_test_down(&t);
}

/* There is no next backend. */
static void test_canceled(void)
{
    g_autofree VbdJob *jobs = g_new0(VbdJob, N);
    VbdTest t;

    vbd_test_up(&t);
    vbd_test_connect(&t, &least);
    submit_writes(&t, jobs, 3);
    vbd_front_close(&t.v);
    for (unsigned i = 0; i < N; i++) {
        g_assert_cmpint(jobs[i].done, ==, 1);
        g_assert_cmpint(jobs[i].res, ==, -ECANCELED);
    }
    vbd_test_down(&t);
}

/* --- under load --- */

#define LANES   3u
#define DEPTH   6u
#define BLOCK   (96 * KIB)
#define ROUNDS  6u

/* Writes a block again and again, each time with another content. */
typedef struct Writer {
    XenBlkfrontRequest req;
    XenBlkfront *bf;
    unsigned lane;
    struct iovec iov;
    uint64_t generation;
    int stop;      /* atomic */
    int stopped;   /* atomic */
    int errors;
} Writer;

static void writer_fill(Writer *w)
{
    uint64_t *words = w->iov.iov_base;

    w->generation++;
    for (size_t i = 0; i < BLOCK / sizeof(*words); i++) {
        words[i] = w->req.offset << 32 | w->generation << 20 | i;
    }
}

static void writer_done(XenBlkfrontRequest *req, int res)
{
    Writer *w = container_of(req, Writer, req);

    w->errors += res != 0;
    if (__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
        __atomic_store_n(&w->stopped, 1, __ATOMIC_RELEASE);
        return;
    }
    writer_fill(w);
    xen_blkfront_submit(w->bf, w->lane, req);
}

static void writer_start(Writer *w, VbdTest *t, unsigned i)
{
    w->bf = t->v.bf;
    w->lane = i % LANES;
    w->iov = (struct iovec) { g_malloc(BLOCK), BLOCK };
    w->req = (XenBlkfrontRequest) { .op = BLOCK_WRITE, .offset = i * BLOCK, .bytes = BLOCK,
                                    .iov = &w->iov, .n_iov = 1, .done = writer_done };
    writer_fill(w);
    xen_blkfront_submit(w->bf, w->lane, &w->req);
}

static void writer_end(Writer *w, VbdTest *t)
{
    __atomic_store_n(&w->stop, 1, __ATOMIC_RELEASE);
    VBD_WAIT(__atomic_load_n(&w->stopped, __ATOMIC_ACQUIRE));
    g_assert_cmpint(w->errors, ==, 0);
    g_assert_cmpmem(vbd_back_image(&t->b) + w->req.offset, BLOCK, w->iov.iov_base, BLOCK);
    g_free(w->iov.iov_base);
}

/* Backends come and go, each unlike the one before; the last write of each block is what counts. */
static void test_load(gconstpointer data)
{
    g_autofree Writer *w = g_new0(Writer, LANES * DEPTH);
    IoThread *thread = data ? io_thread_new("shared", NULL) : NULL;
    VbdTest t;

    vbd_test_up(&t);
    t.v.config.queues = LANES;
    t.v.config.max_indirect = 64;
    t.v.threads = &thread;
    t.v.n_threads = thread ? 1 : 0;
    vbd_test_connect(&t, &vbd_full);
    for (unsigned i = 0; i < LANES * DEPTH; i++) {
        writer_start(&w[i], &t, i);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        VbdBackConfig c = { .max_queues = i % 4, .max_order = i % 3,
                            .max_indirect = i % 2 ? 0 : 20, .persistent = i % 2 };
        uint64_t before;

        vbd_test_back(&t, &c);
        VBD_WAIT(t.v.connected == i + 2);
        before = VBD_COUNT(&t.v, written_bytes);
        VBD_WAIT(VBD_COUNT(&t.v, written_bytes) > before + 2 * LANES * DEPTH * BLOCK);
    }
    for (unsigned i = 0; i < LANES * DEPTH; i++) {
        writer_end(&w[i], &t);
    }
    g_assert_cmpuint(VBD_COUNT(&t.v, replayed), >, 0);
    vbd_test_down(&t);
    io_thread_free(thread);
}

int main(int argc, char **argv)
{
    static const VbdBackConfig more = { .max_queues = 2, .max_order = 4, .max_indirect = 4096 };
    static const struct {
        const char *name;
        Handover h;
    } handovers[] = {
        { "to-less", { &vbd_full, &least, 9 } },
        { "to-less-at-once", { &vbd_full, &least, 0 } },
        { "to-more", { &least, &vbd_full, 70 } },
        { "to-more-at-once", { &least, &more, 0 } },
        { "to-the-like", { &vbd_full, &more, 12 } },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(handovers); i++) {
        g_autofree char *path = g_strconcat("/xen-blkfront/replay/", handovers[i].name, NULL);

        g_test_add_data_func(path, &handovers[i].h, test_handover);
    }
#define TEST(name, fn) g_test_add_func("/xen-blkfront/replay/" name, fn)
    TEST("answered-once", test_answered_once);
    TEST("same-backend", test_same_backend);
    TEST("without-a-word", test_without_a_word);
    TEST("others", test_others);
    TEST("canceled", test_canceled);
    g_test_add_data_func("/xen-blkfront/replay/load", NULL, test_load);
    g_test_add_data_func("/xen-blkfront/replay/load-one-thread", GINT_TO_POINTER(1), test_load);
    return g_test_run();
}
