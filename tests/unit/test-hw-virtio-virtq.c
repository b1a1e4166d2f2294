/*
 * Virtqueues of both layouts: what a driver adds comes out, in pieces of the guest's memory, and
 * goes back in order. Each test runs with each row of rig_configs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtq.h"

#include <string.h>

#include "virtq-rig.h"

static void up(Rig *r, gconstpointer config)
{
    rig_up(r, config);
}

static void down(Rig *r, gconstpointer config)
{
    rig_down(r);
}

static void assert_iov(const struct iovec *iov, const void *base, size_t len)
{
    g_assert_true(iov->iov_base == base);
    g_assert_cmpuint(iov->iov_len, ==, len);
}

static void test_one(Rig *r, gconstpointer config)
{
    const VirtqDriverPiece piece = { RIG_DATA + 77, 1514 };
    uint16_t id, got;
    uint32_t len;

    g_assert_false(virtq_ready(&r->vq));
    g_assert_cmpint(rig_pop(r, 4), ==, 0);
    id = (uint16_t)virtq_driver_add(r->driver, &piece, 1, 0);
    g_assert_false(virtq_ready(&r->vq));
    g_assert_cmpint(rig_pop(r, 4), ==, 0);
    virtq_driver_publish(r->driver);
    g_assert_true(virtq_ready(&r->vq));
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    g_assert_false(virtq_ready(&r->vq));
    g_assert_null(r->chain[0].bad);
    g_assert_true(r->chain[0].iov == r->iov);
    g_assert_cmpuint(r->chain[0].n_out, ==, 1);
    g_assert_cmpuint(r->chain[0].n_in, ==, 0);
    g_assert_cmpuint(r->chain[0].out_len, ==, 1514);
    g_assert_cmpuint(r->chain[0].in_len, ==, 0);
    g_assert_cmpuint(r->chain[0].id, ==, id);
    g_assert_cmpuint(r->chain[0].n_slots, ==, 1);
    assert_iov(&r->iov[0], rig_host(r, piece.gpa), piece.len);

    virtq_push(&r->vq, &r->chain[0], 0);
    g_assert_false(virtq_driver_get(r->driver, &got, &len));
    virtq_flush(&r->vq);
    g_assert_true(virtq_driver_get(r->driver, &got, &len));
    g_assert_cmpuint(got, ==, id);
    g_assert_cmpuint(len, ==, 0);
    g_assert_false(virtq_driver_get(r->driver, &got, &len));
}

/* 2.8.6: how much was written counts only with the flag. */
static void expect_write_flag(Rig *r, bool want)
{
    if (r->driver->packed) {
        g_assert_cmpint((r->driver->ring[0].flags & VRING_DESC_F_WRITE) != 0, ==, want);
    }
}

static void test_written(Rig *r, gconstpointer config)
{
    uint16_t id, got;
    uint32_t len;

    id = rig_add(r, 0, 1, 2000);
    g_assert_cmpint(rig_pop(r, 1), ==, 1);
    g_assert_cmpuint(r->chain[0].n_out, ==, 0);
    g_assert_cmpuint(r->chain[0].n_in, ==, 1);
    g_assert_cmpuint(r->chain[0].out_len, ==, 0);
    g_assert_cmpuint(r->chain[0].in_len, ==, 2000);
    virtq_push(&r->vq, &r->chain[0], 1999);
    virtq_flush(&r->vq);
    g_assert_true(virtq_driver_get(r->driver, &got, &len));
    g_assert_cmpuint(got, ==, id);
    g_assert_cmpuint(len, ==, 1999);
    expect_write_flag(r, true);
}

static void test_nothing_written(Rig *r, gconstpointer config)
{
    rig_add(r, 0, 1, 2000);
    g_assert_cmpint(rig_pop(r, 1), ==, 1);
    rig_push(r, 1);
    expect_write_flag(r, false);
    rig_get(r, 1);
}

/* Pieces to read, then pieces to write, whatever form the chain has. */
static void chain_of(Rig *r, const RigConfig *c, unsigned n_out, unsigned n_in)
{
    bool table = c->max_indirect >= n_out + n_in && n_out + n_in > 1;

    if (!table && n_out + n_in > c->size) {
        return;
    }
    rig_add(r, n_out, n_in, 100);
    g_assert_cmpint(rig_pop(r, 9), ==, 1);
    g_assert_null(r->chain[0].bad);
    g_assert_cmpuint(r->chain[0].n_out, ==, n_out);
    g_assert_cmpuint(r->chain[0].n_in, ==, n_in);
    g_assert_cmpuint(r->chain[0].out_len, ==, 100 * n_out);
    g_assert_cmpuint(r->chain[0].in_len, ==, 100 * n_in);
    g_assert_cmpuint(r->chain[0].n_slots, ==, c->packed && !table ? n_out + n_in : 1);
    for (unsigned i = 0; i < n_out + n_in; i++) {
        assert_iov(&r->iov[i], rig_host(r, RIG_DATA + i * 100), 100);
    }
    rig_push(r, 1);
    rig_get(r, 1);
}

static void test_chains(Rig *r, gconstpointer config)
{
    for (unsigned n_out = 0; n_out < 5; n_out++) {
        for (unsigned n_in = n_out == 0; n_in < 5; n_in++) {
            chain_of(r, config, n_out, n_in);
        }
    }
    chain_of(r, config, 200, 56);
    chain_of(r, config, 0, 64);
}

/* A piece may lie in two regions of memory that touch. */
static void test_piece_in_two_regions(Rig *r, gconstpointer config)
{
    const VirtqDriverPiece piece = { RIG_DATA + RIG_DATA_SIZE - 10, 100 };

    g_assert_cmpint(virtq_driver_add(r->driver, &piece, 0, 1), >=, 0);
    virtq_driver_publish(r->driver);
    g_assert_cmpint(rig_pop(r, 1), ==, 1);
    g_assert_null(r->chain[0].bad);
    g_assert_cmpuint(r->chain[0].n_in, ==, 2);
    g_assert_cmpuint(r->chain[0].in_len, ==, 100);
    assert_iov(&r->iov[0], rig_host(r, piece.gpa), 10);
    assert_iov(&r->iov[1], rig_host(r, RIG_DATA + RIG_DATA_SIZE), 90);
    rig_push(r, 1);
}

/* Chains that take turns in which region they are in. */
static void test_regions_in_turn(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 10; i++) {
        VirtqDriverPiece piece = { RIG_DATA + i % 3 / 2 * RIG_DATA_SIZE + i, i + 1 };

        if (i % 3 == 1) {
            piece.gpa = RIG_RING + i;
        }
        g_assert_cmpint(virtq_driver_add(r->driver, &piece, 1, 0), >=, 0);
        virtq_driver_publish(r->driver);
        g_assert_cmpint(rig_pop(r, 1), ==, 1);
        g_assert_cmpuint(r->chain[0].n_out, ==, 1);
        assert_iov(&r->iov[0], rig_host(r, piece.gpa), piece.len);
        rig_push(r, 1);
        rig_get(r, 1);
    }
}

/* Empty pieces are skipped; a chain may have none but those. */
static void test_empty_pieces(Rig *r, gconstpointer data)
{
    const RigConfig *config = data;
    const VirtqDriverPiece piece[] = {
        { RIG_DATA, 0 }, { RIG_DATA, 5 }, { 0, 0 }, { 1, 0 }, { RIG_DATA + 9, 3 },
        { UINT64_MAX, 0 },
    };

    g_assert_cmpint(virtq_driver_add(r->driver, piece, 1, 0), >=, 0);
    virtq_driver_publish(r->driver);
    g_assert_cmpint(rig_pop(r, 1), ==, 1);
    g_assert_null(r->chain[0].bad);
    g_assert_cmpuint(r->chain[0].n_out + r->chain[0].n_in, ==, 0);
    rig_push(r, 1);
    rig_get(r, 1);
    if (config->size < 8) {
        return;
    }
    g_assert_cmpint(virtq_driver_add(r->driver, piece, 3, 3), >=, 0);
    virtq_driver_publish(r->driver);
    g_assert_cmpint(rig_pop(r, 1), ==, 1);
    g_assert_null(r->chain[0].bad);
    g_assert_cmpuint(r->chain[0].n_out, ==, 1);
    g_assert_cmpuint(r->chain[0].n_in, ==, 1);
    assert_iov(&r->iov[0], rig_host(r, RIG_DATA), 5);
    assert_iov(&r->iov[1], rig_host(r, RIG_DATA + 9), 3);
    rig_push(r, 1);
}

/* A chain for which there is not enough room comes whole, next time. */
static void test_room(Rig *r, gconstpointer data)
{
    const RigConfig *config = data;

    if (config->size < 8) {
        g_test_skip("chains of more pieces than the ring has descriptors");
        return;
    }
    rig_add(r, 2, 0, 10);
    rig_add(r, 1, 2, 20);
    rig_add(r, 1, 0, 30);
    for (unsigned room = 0; room < 2; room++) {
        g_assert_cmpint(virtq_pop(&r->vq, r->chain, 9, r->iov, room), ==, 0);
    }
    for (unsigned room = 2; room < 5; room++) {
        g_assert_cmpint(virtq_pop(&r->vq, r->chain, 9, r->iov, room), ==, 1);
        g_assert_cmpuint(r->chain[0].out_len, ==, 20);
        virtq_unpop(&r->vq, r->chain, 1);
    }
    g_assert_cmpint(virtq_pop(&r->vq, r->chain, 9, r->iov, 5), ==, 2);
    g_assert_true(r->chain[1].iov == r->iov + 2);
    virtq_unpop(&r->vq, r->chain, 2);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain, 9, r->iov, 6), ==, 3);
    g_assert_true(r->chain[2].iov == r->iov + 5);
    g_assert_cmpuint(r->chain[2].out_len, ==, 30);
    rig_push(r, 3);
    rig_get(r, 3);
}

/* At most as many as asked for; the others come later. */
static void test_max(Rig *r, gconstpointer data)
{
    const RigConfig *config = data;
    unsigned n = MIN(config->size, 6);

    g_assert_cmpint(rig_pop(r, 0), ==, 0);
    for (unsigned i = 0; i < n; i++) {
        rig_add(r, 1, 0, i + 1);
    }
    g_assert_cmpint(rig_pop(r, 0), ==, 0);
    for (unsigned i = 0; i < n; i++) {
        g_assert_true(virtq_ready(&r->vq));
        g_assert_cmpint(virtq_pop(&r->vq, &r->chain[i], 1, r->iov, 1024), ==, 1);
        g_assert_cmpuint(r->chain[i].out_len, ==, i + 1);
    }
    g_assert_false(virtq_ready(&r->vq));
    rig_push(r, n);
    rig_get(r, n);
}

/* What was not taken comes again, all of it or the last ones. */
static void test_unpop(Rig *r, gconstpointer data)
{
    const RigConfig *config = data;
    unsigned n = MIN(config->size, 5), left;

    for (unsigned round = 0; round < 7; round++) {
        for (unsigned i = 0; i < n; i++) {
            rig_add(r, 1, 0, i + 1);
        }
        g_assert_cmpint(rig_pop(r, n), ==, n);
        virtq_unpop(&r->vq, r->chain, 0);
        virtq_unpop(&r->vq, r->chain, n);
        g_assert_true(virtq_ready(&r->vq));
        g_assert_cmpint(rig_pop(r, n), ==, n);
        g_assert_cmpuint(r->chain[0].out_len, ==, 1);
        left = round % n;
        virtq_unpop(&r->vq, r->chain + n - left, left);
        rig_push(r, n - left);
        rig_get(r, n - left);
        g_assert_cmpint(rig_pop(r, n), ==, left);
        for (unsigned i = 0; i < left; i++) {
            g_assert_cmpuint(r->chain[i].out_len, ==, n - left + i + 1);
        }
        rig_push(r, left);
        rig_get(r, left);
    }
}

/* The device stops and starts; what was popped and not pushed comes again. */
static void test_restart(Rig *r, gconstpointer data)
{
    const RigConfig *config = data;
    unsigned n = MIN(config->size, 6);

    for (unsigned round = 0; round < 3u * config->size; round++) {
        unsigned done = round % (n + 1);

        for (unsigned i = 0; i < n; i++) {
            rig_add(r, 1, 0, i + 1);
        }
        g_assert_cmpint(rig_pop(r, n), ==, n);
        for (unsigned i = 0; i < done; i++) {
            virtq_push(&r->vq, &r->chain[i], 0); /* published by the stop */
        }
        rig_restart(r);
        rig_get(r, done);
        g_assert_cmpint(rig_pop(r, n), ==, n - done);
        for (unsigned i = 0; i < n - done; i++) {
            g_assert_cmpuint(r->chain[i].out_len, ==, done + i + 1);
        }
        rig_push(r, n - done);
        rig_get(r, n - done);
    }
}

/* The base is an avail index, which a split ring of ours does not need; nor does a packed one. */
static void test_base(Rig *r, gconstpointer data)
{
    const RigConfig *config = data;
    unsigned lap = config->size, at = 0;
    bool wrap = true;

    for (unsigned i = 1; i <= 2 * lap + 1; i++) {
        uint32_t want = i;

        rig_add(r, 1, 0, 1);
        g_assert_cmpint(rig_pop(r, 1), ==, 1);
        rig_push(r, 1);
        rig_get(r, 1);
        at = i % lap;
        wrap = i / lap % 2 == 0;
        if (config->packed) {
            want = at | (uint32_t)wrap << 15;
            want |= want << 16;
        }
        g_assert_cmphex(virtq_stop(&r->vq), ==, want);
        r->setup.base = config->packed ? 0 : 0x1234;
        g_assert_true(virtq_start(&r->vq, r->mem, &r->setup, NULL));
    }
}

/* Popped and not pushed chains of another device's packed ring are taken again. */
static void test_base_with_chains_under_way(Rig *r, gconstpointer data)
{
    const RigConfig *config = data;
    unsigned n = MIN(config->size, 3);

    for (unsigned i = 0; i < n; i++) {
        rig_add(r, 1, 0, i + 1);
    }
    g_assert_cmpint(rig_pop(r, 1), ==, 1);
    rig_push(r, 1);
    r->setup.base = virtq_stop(&r->vq);
    if (config->packed) {
        r->setup.base = (r->setup.base & 0xffff0000) | (0x8000 + config->size - 1);
    }
    g_assert_true(virtq_start(&r->vq, r->mem, &r->setup, NULL));
    g_assert_cmpint(rig_pop(r, 8), ==, n - 1);
    for (unsigned i = 0; i < n - 1; i++) {
        g_assert_cmpuint(r->chain[i].out_len, ==, i + 2);
    }
}

/* --- random batches against a model: a queue of what the driver added --- */

typedef struct Model {
    Rig *r;
    const RigConfig *c;
    GRand *rand;
    GQueue *added;       /* published, not popped: Added */
    unsigned popped;     /* r->chain[0..popped-1], with their Added at the head of under_way */
    GQueue *under_way;
    GQueue *back;        /* pushed, not seen by the driver */
    unsigned flushed;    /* of those */
} Model;

typedef struct Added {
    unsigned n_out;
    unsigned n_in;
    int id;
    uint32_t written;
    VirtqDriverPiece piece[12];
} Added;

static unsigned below(Model *m, unsigned n)
{
    return (unsigned)g_rand_int_range(m->rand, 0, (int)n);
}

static void model_add(Model *m)
{
    Added *a = g_new0(Added, 1);

    a->n_out = below(m, 3) ? 1 : below(m, 6);
    a->n_in = below(m, 3) ? 0 : below(m, 6);
    a->n_in += a->n_out + a->n_in == 0;
    for (unsigned i = 0; i < a->n_out + a->n_in; i++) {
        a->piece[i] = (VirtqDriverPiece){ RIG_DATA + below(m, 2 * RIG_DATA_SIZE - 70000),
                                          below(m, 5) ? 1 + below(m, 1500) : 1 + below(m, 70000) };
    }
    a->id = virtq_driver_add(m->r->driver, a->piece, a->n_out, a->n_in);
    if (a->id < 0) {
        g_free(a);
    } else {
        g_queue_push_tail(m->added, a);
    }
}

/* The iovecs of @c are the guest's memory of @a, piece by piece. */
static void model_compare(Model *m, const VirtqChain *c, const Added *a)
{
    unsigned n = 0, n_out = 0;
    uint32_t len[2] = { 0, 0 };

    for (unsigned i = 0; i < a->n_out + a->n_in; i++) {
        struct iovec want[2];
        unsigned pieces = guest_mem_iov(m->r->mem, a->piece[i].gpa, a->piece[i].len, want, 2);

        g_assert_cmpuint(pieces, >, 0);
        for (unsigned k = 0; k < pieces; k++) {
            assert_iov(&c->iov[n++], want[k].iov_base, want[k].iov_len);
        }
        n_out = i < a->n_out ? n : n_out;
        len[i >= a->n_out] += a->piece[i].len;
    }
    g_assert_cmpuint(c->n_out, ==, n_out);
    g_assert_cmpuint(c->n_in, ==, n - n_out);
    g_assert_cmpuint(c->out_len, ==, len[0]);
    g_assert_cmpuint(c->in_len, ==, len[1]);
    g_assert_cmpuint(c->id, ==, a->id);
    g_assert_null(c->bad);
}

static void model_pop(Model *m)
{
    unsigned max = below(m, 20), waiting = g_queue_get_length(m->added);
    int n = virtq_pop(&m->r->vq, m->r->chain + m->popped, max, m->r->iov, VIRTQ_MAX_IOV);

    g_assert_cmpint(n, ==, MIN(max, waiting));
    for (int i = 0; i < n; i++) {
        Added *a = g_queue_pop_head(m->added);

        model_compare(m, &m->r->chain[m->popped++], a);
        g_queue_push_tail(m->under_way, a);
    }
}

static void model_unpop(Model *m)
{
    unsigned n = below(m, m->popped + 1);

    virtq_unpop(&m->r->vq, m->r->chain + m->popped - n, n);
    for (unsigned i = 0; i < n; i++) {
        g_queue_push_head(m->added, g_queue_pop_tail(m->under_way));
    }
    m->popped -= n;
}

static void model_push(Model *m)
{
    unsigned n = below(m, m->popped + 1);

    for (unsigned i = 0; i < n; i++) {
        Added *a = g_queue_pop_head(m->under_way);

        a->written = m->r->chain[i].in_len ? below(m, m->r->chain[i].in_len + 1) : 0;
        virtq_push(&m->r->vq, &m->r->chain[i], a->written);
        g_queue_push_tail(m->back, a);
    }
    m->popped -= n;
    memmove(m->r->chain, m->r->chain + n, m->popped * sizeof(m->r->chain[0]));
}

static void model_get(Model *m)
{
    uint16_t id;
    uint32_t len;

    while (m->flushed > 0 && below(m, 10)) {
        g_autofree Added *a = g_queue_pop_head(m->back);

        g_assert_true(virtq_driver_get(m->r->driver, &id, &len));
        g_assert_cmpuint(id, ==, a->id);
        g_assert_cmpuint(len, ==, a->written);
        m->flushed--;
    }
    if (m->flushed == 0) {
        g_assert_false(virtq_driver_get(m->r->driver, &id, &len));
    }
}

static void model_restart(Model *m)
{
    while (m->popped > 0) {
        g_queue_push_head(m->added, g_queue_pop_tail(m->under_way));
        m->popped--;
    }
    rig_restart(m->r);
    m->flushed = g_queue_get_length(m->back);
}

static void model_step(Model *m)
{
    for (unsigned n = below(m, 8); n > 0; n--) {
        model_add(m);
    }
    virtq_driver_publish(m->r->driver);
    model_pop(m);
    if (below(m, 3) == 0) {
        model_unpop(m);
    }
    model_push(m);
    if (below(m, 3)) {
        virtq_flush(&m->r->vq);
        m->flushed = g_queue_get_length(m->back);
    }
    model_get(m);
    if (below(m, 100) == 0) {
        model_restart(m);
    }
}

static void test_random(Rig *r, gconstpointer config)
{
    Model m = { .r = r, .c = config, .rand = g_rand_new_with_seed(g_test_rand_int()),
                .added = g_queue_new(), .under_way = g_queue_new(), .back = g_queue_new() };

    for (unsigned i = 0; i < 20000; i++) {
        model_step(&m);
    }
    g_queue_free_full(m.added, g_free);
    g_queue_free_full(m.under_way, g_free);
    g_queue_free_full(m.back, g_free);
    g_rand_free(m.rand);
}

typedef struct Test {
    const char *name;
    void (*run)(Rig *r, gconstpointer config);
} Test;

static const Test tests[] = {
    { "one", test_one },
    { "written", test_written },
    { "nothing-written", test_nothing_written },
    { "chains", test_chains },
    { "piece-in-two-regions", test_piece_in_two_regions },
    { "regions-in-turn", test_regions_in_turn },
    { "empty-pieces", test_empty_pieces },
    { "room", test_room },
    { "max", test_max },
    { "unpop", test_unpop },
    { "restart", test_restart },
    { "base", test_base },
    { "base-with-chains-under-way", test_base_with_chains_under_way },
    { "random", test_random },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        for (unsigned k = 0; k < rig_n_configs; k++) {
            g_autofree char *path = g_strdup_printf("/hw/virtio/virtq/%s/%s", tests[i].name,
                                                    rig_configs[k].name);

            g_test_add(path, Rig, &rig_configs[k], up, tests[i].run, down);
        }
    }
    return g_test_run();
}
