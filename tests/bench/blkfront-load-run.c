/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "blkfront-load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hw/core/counter.h"
#include "util/clock.h"
#include "util/container-of.h"

#define SECTOR     512u
#define MAX_TOLD   5  /* mismatches that are told of one by one */
#define WORDS      (SECTOR / sizeof(uint64_t))

typedef struct Load Load;

/* A request that is under way, again and again. Of one ring's thread, until it ended. */
typedef struct LoadSlot {
    XenBlkfrontRequest req;
    Load *load;
    unsigned ring;
    struct iovec iov;
    uint64_t turn;
    uint64_t requests;
    uint64_t bytes;
    uint64_t errors;
    uint64_t mismatches;
} LoadSlot;

struct Load {
    XenBlkfront *bf;
    const LoadConfig *c;
    LoadMode mode;       /* of LOAD_VERIFY, which half: LOAD_WRITE or LOAD_READ */
    bool verify;
    uint64_t blocks;
    uint64_t stride;     /* has no divisor in common with blocks */
    uint64_t generation; /* of what is written, and then read */
    uint64_t limit;      /* so many requests are asked for, at most */
    LoadSlot *slot;

    /* atomic */
    uint64_t asked;
    unsigned busy;       /* slots */
    int stop;
};

/* --- places --- */

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* All blocks, each once in as many requests as there are blocks. */
static uint64_t load_stride(uint64_t blocks, bool random)
{
    uint64_t stride = random ? 2654435761u % blocks | 1 : 1;

    while (greatest_divisor(stride, blocks) != 1) {
        stride += 2;
    }
    return stride;
}

/* --- what is in a block --- */

/* Each word of a sector says where it is and of when. */
static uint64_t load_word(uint64_t sector, uint64_t generation, unsigned i)
{
    uint64_t x = (sector * WORDS + i) * 0x9e3779b97f4a7c15ull ^ generation * 0xff51afd7ed558ccdull;

    return i == 0 ? sector : i == 1 ? generation : x ^ x >> 29;
}

static void slot_fill(LoadSlot *s)
{
    uint64_t *words = s->iov.iov_base;
    uint64_t sector = s->req.offset / SECTOR;

    for (uint64_t n = s->req.bytes / SECTOR; n > 0; n--, sector++, words += WORDS) {
        for (unsigned i = 0; i < WORDS; i++) {
            words[i] = load_word(sector, s->load->generation, i);
        }
    }
}

static void slot_compare(LoadSlot *s)
{
    const uint64_t *words = s->iov.iov_base;
    uint64_t sector = s->req.offset / SECTOR;

    for (uint64_t n = s->req.bytes / SECTOR; n > 0; n--, sector++, words += WORDS) {
        unsigned i = 0;

        while (i < WORDS && words[i] == load_word(sector, s->load->generation, i)) {
            i++;
        }
        if (i < WORDS && s->mismatches++ < MAX_TOLD) {
            fprintf(stderr, "blkfront-load: sector %" PRIu64 ", word %u: is sector %" PRIu64
                    ", generation %" PRIu64 ", not generation %" PRIu64 "\n", sector, i, words[0],
                    words[1], s->load->generation);
        }
    }
}

/* --- in a ring's thread --- */

static void slot_end(Load *l)
{
    if (__atomic_sub_fetch(&l->busy, 1, __ATOMIC_ACQ_REL) == 0) {
        g_main_context_wakeup(NULL);
    }
}

/* The next request, if there is one; else the slot has ended. What is asked for is a beginning. */
static void slot_next(LoadSlot *s)
{
    Load *l = s->load;
    uint64_t n = __atomic_load_n(&l->stop, __ATOMIC_RELAXED)
                 ? UINT64_MAX : __atomic_fetch_add(&l->asked, 1, __ATOMIC_RELAXED);

    if (n >= l->limit) {
        slot_end(l);
        return;
    }
    s->turn++;
    s->req.op = l->mode == LOAD_READ || (l->mode == LOAD_RW && s->turn % 2) ? BLOCK_READ
                                                                            : BLOCK_WRITE;
    s->req.offset = n % l->blocks * l->stride % l->blocks * l->c->block;
    if (l->verify && s->req.op == BLOCK_WRITE) {
        slot_fill(s);
    }
    xen_blkfront_submit(l->bf, s->ring, &s->req);
}

static void slot_done(XenBlkfrontRequest *req, int res)
{
    LoadSlot *s = container_of(req, LoadSlot, req);

    if (res == 0) {
        counter_add(&s->requests, 1);
        counter_add(&s->bytes, req->bytes);
        if (s->load->verify && req->op == BLOCK_READ) {
            slot_compare(s);
        }
    } else {
        counter_add(&s->errors, 1);
        __atomic_store_n(&s->load->stop, 1, __ATOMIC_RELAXED);
    }
    slot_next(s);
}

static void flush_done(XenBlkfrontRequest *req, int res)
{
    LoadSlot *s = container_of(req, LoadSlot, req);

    counter_add(&s->errors, res != 0);
    slot_end(s->load);
}

/* --- main thread --- */

static void slot_init(LoadSlot *s, Load *l, unsigned i)
{
    const LoadConfig *c = l->c;
    bool copy = c->copy || l->verify;

    s->load = l;
    s->ring = i % c->rings;
    s->iov = (struct iovec) { copy ? g_malloc0(c->block) : NULL, c->block };
    s->req = (XenBlkfrontRequest) { .bytes = c->block, .iov = &s->iov, .n_iov = copy ? 1 : 0,
                                    .done = slot_done };
}

static gboolean load_tick(gpointer opaque)
{
    return G_SOURCE_CONTINUE;
}

/* Until all slots have ended, which they do at @until at the latest. */
static void load_wait(Load *l, const bool *stop, double until)
{
    guint tick = g_timeout_add(20, load_tick, NULL);

    while (__atomic_load_n(&l->busy, __ATOMIC_ACQUIRE) > 0) {
        if (*stop || (until > 0 && (double)clock_monotonic_ns() / 1e9 >= until)) {
            __atomic_store_n(&l->stop, 1, __ATOMIC_RELAXED);
        }
        g_main_context_iteration(NULL, true);
    }
    g_source_remove(tick);
}

/* At most @limit requests. How many there were. */
static uint64_t load_go(Load *l, LoadMode mode, uint64_t limit, const bool *stop, double until)
{
    l->mode = mode;
    l->limit = limit;
    l->asked = 0;
    l->busy = l->c->depth;
    l->stop = 0;
    for (unsigned i = 0; i < l->c->depth; i++) {
        slot_next(&l->slot[i]);
    }
    load_wait(l, stop, until);
    return MIN(l->asked, limit);
}

static void load_flush(Load *l)
{
    static const bool never;
    LoadSlot *s = &l->slot[0];
    XenBlkfrontRequest kept = s->req;

    s->req = (XenBlkfrontRequest) { .op = BLOCK_FLUSH, .done = flush_done };
    l->busy = 1;
    xen_blkfront_submit(l->bf, s->ring, &s->req);
    load_wait(l, &never, 0);
    s->req = kept;
}

static void load_sum(const Load *l, LoadResult *ret)
{
    ret->requests = ret->bytes = ret->errors = ret->mismatches = 0;
    for (unsigned i = 0; i < l->c->depth; i++) {
        ret->requests += l->slot[i].requests;
        ret->bytes += l->slot[i].bytes;
        ret->errors += l->slot[i].errors;
        ret->mismatches += l->slot[i].mismatches;
    }
}

/* What a round could not write until @until it does not look for. */
static void load_verify(Load *l, const bool *stop, double until, LoadResult *ret)
{
    do {
        uint64_t n;

        l->generation++;
        n = load_go(l, LOAD_WRITE, l->blocks, stop, until);
        load_flush(l);
        load_go(l, LOAD_READ, n, stop, 0);
        load_sum(l, ret);
        ret->rounds++;
    } while (!*stop && ret->errors == 0 && ret->mismatches == 0 &&
             (l->c->count == 0 || ret->rounds < l->c->count) &&
             (until == 0 || (double)clock_monotonic_ns() / 1e9 < until));
}

void load_run(XenBlkfront *bf, const LoadConfig *c, const bool *stop, LoadResult *ret)
{
    Load l = {
        .bf = bf,
        .c = c,
        .verify = c->mode == LOAD_VERIFY,
        .blocks = c->area / c->block,
        .slot = g_new0(LoadSlot, c->depth),
    };
    double start = (double)clock_monotonic_ns() / 1e9;
    double until = c->seconds > 0 ? start + c->seconds : 0;

    *ret = (LoadResult) { .seconds = 0 };
    l.stride = load_stride(l.blocks, c->random);
    for (unsigned i = 0; i < c->depth; i++) {
        slot_init(&l.slot[i], &l, i);
    }
    if (l.verify) {
        load_verify(&l, stop, until, ret);
    } else {
        load_go(&l, c->mode, c->count ? c->count : UINT64_MAX, stop, until);
        load_sum(&l, ret);
    }
    ret->seconds = (double)clock_monotonic_ns() / 1e9 - start;
    for (unsigned i = 0; i < c->depth; i++) {
        g_free(l.slot[i].iov.iov_base);
    }
    g_free(l.slot);
}
