/*
 * Queues in four threads on one node, each request made when another one ends: all that is read
 * is what was written there, whatever the neighbours do, and while the image becomes shorter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block-rig.h"
#include "util/container-of.h"

#define SLOTS       48 /* of a queue */
#define SLOT_BYTES  (3 * 512u) /* so that most blocks have neighbours in them */
#define ROUNDS      150

typedef struct Load Load;

/* A place of the image, and who alone writes to it. */
typedef struct Slot {
    BlockRequest req;
    Load *load;
    uint64_t offset;
    unsigned left;     /* rounds */
    unsigned seed;
    bool known;        /* what is there is model[] */
    struct iovec iov[3];
    uint8_t *buf;      /* SLOT_BYTES, and one more that is not touched */
    uint8_t model[SLOT_BYTES];
} Slot;

struct Load {
    BlockQueue *q;
    Slot slot[SLOTS];
    uint8_t *memory;
    bool reads_only;
    int finished;      /* slots; atomic, as is short_reads */
    int short_reads;
};

static unsigned next_random(Slot *s)
{
    s->seed = s->seed * 1103515245u + 12345u;
    return s->seed >> 16;
}

/* The memory in up to three pieces, one of which may be empty. */
static void cut(Slot *s)
{
    size_t a = next_random(s) % (SLOT_BYTES + 1);
    size_t b = a + next_random(s) % (SLOT_BYTES - a + 1);

    s->iov[0] = (struct iovec){ .iov_base = s->buf, .iov_len = a };
    s->iov[1] = (struct iovec){ .iov_base = s->buf + a, .iov_len = b - a };
    s->iov[2] = (struct iovec){ .iov_base = s->buf + b, .iov_len = SLOT_BYTES - b };
    s->req.iov = s->iov;
    s->req.n_iov = 3;
    if (next_random(s) % 4 == 0) {
        s->iov[0].iov_len = SLOT_BYTES;
        s->req.n_iov = 1;
    }
}

static BlockOp choose(Slot *s)
{
    unsigned n = next_random(s) % 16;

    if (s->load->reads_only) {
        return BLOCK_READ;
    }
    return n == 0 ? BLOCK_FLUSH : n == 1 ? BLOCK_DISCARD : n < 8 ? BLOCK_READ : BLOCK_WRITE;
}

static void slot_next(Slot *s)
{
    if (s->left-- == 0) {
        __atomic_fetch_add(&s->load->finished, 1, __ATOMIC_RELEASE);
        return;
    }
    s->req.op = choose(s);
    s->req.offset = s->offset;
    s->req.bytes = SLOT_BYTES;
    cut(s);
    if (s->req.op == BLOCK_WRITE) {
        for (size_t i = 0; i < SLOT_BYTES; i++) {
            s->buf[i] = s->model[i] = (uint8_t)next_random(s);
        }
    } else {
        memset(s->buf, 0x55, SLOT_BYTES);
    }
    block_submit(s->load->q, &s->req);
}

static void slot_done(BlockRequest *req, int res)
{
    Slot *s = container_of(req, Slot, req);

    if (s->load->reads_only && res == -EIO) {
        __atomic_fetch_add(&s->load->short_reads, 1, __ATOMIC_RELEASE);
    } else {
        g_assert_cmpint(res, ==, 0);
        if (req->op == BLOCK_READ && s->known) {
            g_assert_cmpmem(s->buf, SLOT_BYTES, s->model, SLOT_BYTES);
        }
    }
    g_assert_cmpint(s->buf[SLOT_BYTES], ==, 0x66);
    s->known = req->op == BLOCK_WRITE || (s->known && req->op != BLOCK_DISCARD);
    slot_next(s);
}

static Load *load_new(BlockRig *r, unsigned queue, bool reads_only)
{
    Load *l = g_new0(Load, 1);
    size_t stride = SLOT_BYTES + 512;

    g_assert_cmpint(posix_memalign((void **)&l->memory, 4096, SLOTS * stride), ==, 0);
    l->q = &r->q[queue];
    l->reads_only = reads_only;
    for (unsigned i = 0; i < SLOTS; i++) {
        Slot *s = &l->slot[i];

        s->load = l;
        s->left = ROUNDS;
        s->seed = queue * SLOTS + i + 1;
        s->offset = (uint64_t)(i * BLOCK_RIG_QUEUES + queue) * SLOT_BYTES;
        s->buf = l->memory + i * stride;
        s->buf[SLOT_BYTES] = 0x66;
        s->req.done = slot_done;
        s->known = true;
        for (size_t k = 0; k < SLOT_BYTES; k++) {
            s->model[k] = block_rig_byte(s->offset + k);
        }
    }
    return l;
}

static void load_free(Load *l)
{
    free(l->memory);
    g_free(l);
}

static void load_start(void *opaque)
{
    Load *l = opaque;

    for (unsigned i = 0; i < SLOTS; i++) {
        slot_next(&l->slot[i]);
    }
}

static void run(BlockRig *r, bool reads_only, Load **loads)
{
    for (unsigned q = 0; q < BLOCK_RIG_QUEUES; q++) {
        loads[q] = load_new(r, q, reads_only);
    }
    for (unsigned q = 0; q < BLOCK_RIG_QUEUES; q++) {
        io_thread_call(r->t[q], load_start, loads[q]);
    }
}

static void finish(BlockRig *r, Load **loads)
{
    for (unsigned q = 0; q < BLOCK_RIG_QUEUES; q++) {
        block_rig_loop_until(&loads[q]->finished, SLOTS);
    }
    block_rig_close(r);
    for (unsigned q = 0; q < BLOCK_RIG_QUEUES; q++) {
        for (unsigned i = 0; i < SLOTS; i++) {
            const Slot *s = &loads[q]->slot[i];

            if (s->known && !loads[q]->reads_only) {
                block_rig_expect(r, s->offset, s->model, SLOT_BYTES);
            }
        }
        load_free(loads[q]);
    }
}

static void test_all_ops(BlockRig *r, gconstpointer data)
{
    Load *loads[BLOCK_RIG_QUEUES];

    block_rig_open(r, BLOCK_RIG_QUEUES);
    run(r, false, loads);
    finish(r, loads);
}

/* The same where most requests go by a copy. */
static void test_all_ops_by_copies(BlockRig *r, gconstpointer data)
{
    Load *loads[BLOCK_RIG_QUEUES];

    block_rig_open_node(r);
    r->node->request_alignment = 4096;
    r->node->memory_alignment = 512;
    block_rig_start(r, BLOCK_RIG_QUEUES);
    run(r, false, loads);
    finish(r, loads);
}

/*
 * What is read is there, or the read fails: never zeros, never what the memory had. By whole
 * pages: what is left of one the kernel may make zeros while it is read.
 */
static void test_truncation(BlockRig *r, gconstpointer data)
{
    Load *loads[BLOCK_RIG_QUEUES];
    off_t size = SLOTS * BLOCK_RIG_QUEUES * SLOT_BYTES;
    int failed = 0;

    block_rig_open(r, BLOCK_RIG_QUEUES);
    run(r, true, loads);
    for (; size > 0; size = size * 3 / 4 / 4096 * 4096) {
        g_assert_cmpint(truncate(r->path, size), ==, 0);
        g_usleep(500);
    }
    for (unsigned q = 0; q < BLOCK_RIG_QUEUES; q++) {
        block_rig_loop_until(&loads[q]->finished, SLOTS);
        failed += loads[q]->short_reads;
    }
    g_assert_cmpint(failed, >, 0);
    finish(r, loads);
}

static const BlockTest tests[] = {
    { "all-ops", test_all_ops },
    { "all-ops-by-copies", test_all_ops_by_copies },
    { "truncation", test_truncation },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    block_rig_add_tests("/block/stress", tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
