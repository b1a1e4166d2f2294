/*
 * Inflight regions of both layouts: what is in them while a ring runs, and what a ring makes of
 * one that it finds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtq-inflight.h"

#include <string.h>

#include "virtq-rig.h"
#include "virtq-track.h"

#define REGION (RIG_RING + RIG_RING_SIZE - 0x10000)

static const RigConfig split = { "split", 8, false, false, 0 };
static const RigConfig packed = { "packed", 8, true, false, 4 };

static VirtqInflightSplit *split_region(Rig *r)
{
    return (void *)rig_host(r, REGION);
}

static VirtqInflightPacked *packed_region(Rig *r)
{
    return (void *)rig_host(r, REGION);
}

static void up(Rig *r, gconstpointer config)
{
    rig_up(r, config);
    r->setup.inflight = rig_host(r, REGION);
    rig_restart(r);
}

static void down(Rig *r, gconstpointer config)
{
    rig_down(r);
}

static void crash(Rig *r)
{
    virtq_track_free(r->vq.track);
    memset(&r->vq, 0x55, sizeof(r->vq));
    r->vq.running = false;
}

static void start(Rig *r)
{
    const char *why = NULL;

    virtq_start(&r->vq, r->mem, &r->setup, &why);
    g_assert_cmpstr(why, ==, NULL);
    virtq_flush(&r->vq);
}

/* As the document has them, and as others that follow it map them. */
static void test_layouts(void)
{
    g_assert_cmpuint(sizeof(VirtqInflightSplit), ==, 16);
    g_assert_cmpuint(sizeof(VirtqInflightSplitDesc), ==, 16);
    g_assert_cmpuint(offsetof(VirtqInflightSplit, used_idx), ==, 14);
    g_assert_cmpuint(offsetof(VirtqInflightSplitDesc, next), ==, 6);
    g_assert_cmpuint(sizeof(VirtqInflightPacked), ==, 32);
    g_assert_cmpuint(sizeof(VirtqInflightPackedDesc), ==, 32);
    g_assert_cmpuint(offsetof(VirtqInflightPacked, old_used_wrap_counter), ==, 21);
    g_assert_cmpuint(offsetof(VirtqInflightPackedDesc, addr), ==, 24);
}

static void test_sizes(void)
{
    g_assert_cmpuint(virtq_inflight_size(1, false), ==, 64);
    g_assert_cmpuint(virtq_inflight_size(3, false), ==, 64);
    g_assert_cmpuint(virtq_inflight_size(4, false), ==, 128);
    g_assert_cmpuint(virtq_inflight_size(1, true), ==, 64);
    g_assert_cmpuint(virtq_inflight_size(256, true), ==, 32 + 256 * 32 + 32);
    g_assert_cmpuint(virtq_inflight_size(32768, true), ==, 32 + 32768 * 32 + 32);
}

/* A ring that has lived long, and in the second lap, gets a region. */
static void test_new_region(Rig *r, gconstpointer config)
{
    virtq_stop(&r->vq);
    r->setup.inflight = NULL;
    start(r);
    for (unsigned i = 0; i < 300; i++) {
        rig_add(r, 1, 0, 10);
        g_assert_cmpint(rig_pop(r, 4), ==, 1);
        rig_push(r, 1);
        rig_get(r, 1);
    }
    r->setup.base = virtq_stop(&r->vq);
    memset(rig_host(r, REGION), 0, 1024);
    r->setup.inflight = rig_host(r, REGION);
    start(r);
    rig_add(r, 1, 0, 10);
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    crash(r);
    r->setup.base = 0;
    start(r);
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    rig_push(r, 1);
    rig_get(r, 1);
}

/* --- while it runs --- */

static void expect_inflight(Rig *r, unsigned bits)
{
    for (unsigned i = 0; i < 8; i++) {
        uint8_t is = r->driver->packed ? packed_region(r)->desc[i].inflight
                                       : split_region(r)->desc[i].inflight;

        g_assert_cmpuint(is, ==, bits >> i & 1);
    }
}

static void test_split_runs(Rig *r, gconstpointer config)
{
    VirtqInflightSplit *s = split_region(r);

    g_assert_cmpuint(s->version, ==, 1);
    g_assert_cmpuint(s->features, ==, 0);
    g_assert_cmpuint(s->desc_num, ==, 8);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpuint(rig_add(r, 1, 0, 10), ==, i);
    }
    expect_inflight(r, 0);
    g_assert_cmpint(rig_pop(r, 3), ==, 3);
    expect_inflight(r, 7);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpuint(s->desc[i].counter, ==, i);
    }
    rig_push(r, 2);
    expect_inflight(r, 4);
    g_assert_cmpuint(s->used_idx, ==, 2);
    g_assert_cmpuint(s->last_batch_head, ==, 1);
    g_assert_cmpuint(s->desc[1].next, ==, 0);
    virtq_push(&r->vq, &r->chain[2], 0);
    expect_inflight(r, 4);
    virtq_flush(&r->vq);
    expect_inflight(r, 0);
    g_assert_cmpuint(s->used_idx, ==, 3);
    g_assert_cmpuint(s->last_batch_head, ==, 2);
    g_assert_cmpuint(s->desc[2].next, ==, 1);
    g_assert_cmpint(rig_pop(r, 3), ==, 1);
    g_assert_cmpuint(s->desc[3].counter, ==, 3);
}

static void test_packed_runs(Rig *r, gconstpointer config)
{
    VirtqInflightPacked *p = packed_region(r);

    g_assert_cmpuint(p->version, ==, 1);
    g_assert_cmpuint(p->features, ==, 0);
    g_assert_cmpuint(p->desc_num, ==, 8);
    g_assert_cmpuint(p->used_wrap_counter, ==, 1);
    g_assert_cmpuint(p->old_used_wrap_counter, ==, 1);
    r->driver->use_indirect = false;
    rig_add(r, 2, 1, 10);
    rig_add(r, 1, 0, 20);
    g_assert_cmpint(rig_pop(r, 3), ==, 2);
    expect_inflight(r, 1 << 0 | 1 << 3);
    g_assert_cmpuint(p->desc[0].num, ==, 3);
    g_assert_cmpuint(p->desc[0].last, ==, 2);
    g_assert_cmpuint(p->desc[0].counter, ==, 0);
    g_assert_cmphex(p->desc[1].addr, ==, RIG_DATA + 10);
    g_assert_cmphex(p->desc[2].flags & 7, ==, VRING_DESC_F_WRITE);
    g_assert_cmpuint(p->desc[3].num, ==, 1);
    g_assert_cmpuint(p->desc[3].last, ==, 3);
    g_assert_cmpuint(p->desc[3].len, ==, 20);
    g_assert_cmpuint(p->desc[3].id, ==, r->chain[1].id);
    g_assert_cmpuint(p->desc[3].counter, ==, 1);
    g_assert_cmpuint(p->free_head, ==, 4);
    g_assert_cmpuint(p->old_free_head, ==, 4);

    virtq_push(&r->vq, &r->chain[0], 0);
    expect_inflight(r, 1 << 0 | 1 << 3);
    virtq_flush(&r->vq);
    expect_inflight(r, 1 << 3);
    g_assert_cmpuint(p->free_head, ==, 0);
    g_assert_cmpuint(p->old_free_head, ==, 0);
    g_assert_cmpuint(p->desc[2].next, ==, 4);
    g_assert_cmpuint(p->used_idx, ==, 3);
    g_assert_cmpuint(p->old_used_idx, ==, 3);
}

static void test_packed_wrap(Rig *r, gconstpointer config)
{
    VirtqInflightPacked *p = packed_region(r);

    for (unsigned lap = 0; lap < 3; lap++) {
        for (unsigned i = 0; i < 8; i++) {
            rig_add(r, 1, 0, 10);
        }
        g_assert_cmpint(rig_pop(r, 9), ==, 8);
        expect_inflight(r, 0xff);
        rig_push(r, 8); /* a batch that ends where it began */
        rig_get(r, 8);
        expect_inflight(r, 0);
        g_assert_cmpuint(p->used_idx, ==, 0);
        g_assert_cmpuint(p->used_wrap_counter, ==, lap % 2);
        g_assert_cmpuint(p->old_used_wrap_counter, ==, lap % 2);
    }
}

static void test_unpop(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 4; i++) {
        rig_add(r, 1, 0, i + 1);
    }
    g_assert_cmpint(rig_pop(r, 4), ==, 4);
    virtq_unpop(&r->vq, r->chain + 1, 3);
    expect_inflight(r, 1);
    if (r->driver->packed) {
        g_assert_cmpuint(packed_region(r)->free_head, ==, 1);
        g_assert_cmpuint(packed_region(r)->old_free_head, ==, 1);
    }
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 1, 2, r->iov, VIRTQ_MAX_IOV), ==, 2);
    g_assert_cmpuint(r->chain[1].out_len, ==, 2);
    expect_inflight(r, 7);
    crash(r);
    start(r);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpint(rig_pop(r, 1), ==, 1);
        g_assert_cmpuint(r->chain[0].out_len, ==, i + 1);
        rig_push(r, 1);
    }
    rig_get(r, 4);
    expect_inflight(r, 0);
}

static void test_stop(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 4; i++) {
        rig_add(r, 1, 0, i + 1);
    }
    g_assert_cmpint(rig_pop(r, 3), ==, 3);
    virtq_done(&r->vq, &r->chain[0], 0);
    rig_restart(r);
    expect_inflight(r, 1); /* it is done, and can't be undone */
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    g_assert_true(r->chain[0].bad == virtq_done_before);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 1, 4, r->iov, VIRTQ_MAX_IOV), ==, 3);
    for (unsigned i = 1; i < 4; i++) {
        g_assert_cmpuint(r->chain[i].out_len, ==, i + 1);
    }
    rig_push(r, 4);
    rig_get(r, 4);
    expect_inflight(r, 0);
}

/* --- after a crash --- */

/* What was popped comes first, in its order, then what was not. */
static void test_crash(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 5; i++) {
        rig_add(r, 1, 0, i + 1);
    }
    g_assert_cmpint(rig_pop(r, 3), ==, 3);
    rig_push(r, 1);
    crash(r);
    start(r);
    g_assert_true(virtq_ready(&r->vq));
    g_assert_cmpint(rig_pop(r, 9), ==, 2);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 2, 9, r->iov, VIRTQ_MAX_IOV), ==, 2);
    g_assert_false(virtq_ready(&r->vq));
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpuint(r->chain[i].out_len, ==, i + 2);
    }
    rig_push(r, 4);
    rig_get(r, 5);
}

/* Given back, what is a former process's comes again, however often it is taken. */
static void test_unpop_after_crash(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 5; i++) {
        rig_add(r, 1, 0, i + 1);
    }
    g_assert_cmpint(rig_pop(r, 3), ==, 3);
    crash(r);
    start(r);
    g_assert_cmpint(rig_pop(r, 2), ==, 2);
    virtq_unpop(&r->vq, r->chain + 1, 1);
    expect_inflight(r, 7);
    g_assert_true(virtq_ready(&r->vq));
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 1, 2, r->iov, VIRTQ_MAX_IOV), ==, 2);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 3, 2, r->iov, VIRTQ_MAX_IOV), ==, 2);
    virtq_unpop(&r->vq, r->chain + 2, 3);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 2, 9, r->iov, VIRTQ_MAX_IOV), ==, 1);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 3, 9, r->iov, VIRTQ_MAX_IOV), ==, 2);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_cmpuint(r->chain[i].out_len, ==, i + 1);
    }
    rig_push(r, 5);
    rig_get(r, 5);
    expect_inflight(r, 0);
}

/* There is no room for the pieces of the second one at first. */
static void test_room_after_crash(Rig *r, gconstpointer config)
{
    r->driver->use_indirect = false;
    rig_add(r, 1, 0, 5);
    rig_add(r, 2, 1, 6);
    g_assert_cmpint(rig_pop(r, 3), ==, 2);
    crash(r);
    start(r);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain, 9, r->iov, 3), ==, 1);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 1, 9, r->iov, 2), ==, 0);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 1, 9, r->iov, VIRTQ_MAX_IOV), ==, 1);
    g_assert_null(r->chain[1].bad);
    g_assert_cmpuint(r->chain[1].out_len, ==, 12);
    g_assert_cmpuint(r->chain[1].in_len, ==, 6);
    rig_push(r, 2);
    rig_get(r, 2);
}

static void test_done(Rig *r, gconstpointer config)
{
    uint16_t id;
    uint32_t len;

    for (unsigned i = 0; i < 4; i++) {
        rig_add(r, 0, 1, 100);
    }
    g_assert_cmpint(rig_pop(r, 4), ==, 4);
    virtq_done(&r->vq, &r->chain[0], 60);
    virtq_done(&r->vq, &r->chain[1], 70);
    virtq_done(&r->vq, &r->chain[3], 80); /* the one before it is not */
    crash(r);
    start(r);
    g_assert_cmpint(rig_pop(r, 4), ==, 4);
    for (unsigned i = 0; i < 4; i++) {
        VirtqChain *c = &r->chain[i];

        g_assert_true(c->bad == (i < 2 ? virtq_done_before : NULL));
        g_assert_cmpuint(c->n_in, ==, i >= 2);
        g_assert_cmpuint(c->in_len, ==, i < 2 ? 60 + 10 * i : 100);
        virtq_push(&r->vq, c, i < 2 ? c->in_len : 9);
    }
    virtq_flush(&r->vq);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(virtq_driver_get(r->driver, &id, &len));
        g_assert_cmpuint(len, ==, i < 2 ? 60 + 10 * i : 9);
    }
}

/* It stays done if the next one crashes, too. */
static void test_done_twice(Rig *r, gconstpointer config)
{
    rig_add(r, 0, 1, 100);
    rig_add(r, 0, 1, 100);
    g_assert_cmpint(rig_pop(r, 4), ==, 2);
    virtq_done(&r->vq, &r->chain[0], 60);
    for (unsigned i = 0; i < 3; i++) {
        crash(r);
        start(r);
        g_assert_cmpint(rig_pop(r, 1 + i % 2), ==, 1 + i % 2);
        g_assert_true(r->chain[0].bad == virtq_done_before);
        g_assert_cmpuint(r->chain[0].in_len, ==, 60);
    }
}

/* ... or was not ready to give it back yet. */
static void test_done_unpop(Rig *r, gconstpointer config)
{
    rig_add(r, 0, 1, 100);
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    virtq_done(&r->vq, &r->chain[0], 60);
    crash(r);
    start(r);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpint(rig_pop(r, 4), ==, 1);
        g_assert_true(r->chain[0].bad == virtq_done_before);
        virtq_unpop(&r->vq, r->chain, 1);
    }
}

/* Who does not know the mark leaves it where it was: it is of another chain. */
static void test_done_of_another(Rig *r, gconstpointer config)
{
    rig_add(r, 0, 1, 100);
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    virtq_done(&r->vq, &r->chain[0], 60);
    if (r->driver->packed) {
        packed_region(r)->desc[0].counter = 3;
    } else {
        split_region(r)->desc[0].counter = 3;
    }
    crash(r);
    start(r);
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    g_assert_null(r->chain[0].bad);
}

/* ... and a chain that comes to that place later is not done. */
static void test_done_and_pushed(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 300; i++) {
        rig_add(r, 0, 1, 100);
        g_assert_cmpint(rig_pop(r, 4), ==, 1);
        if (i % 3 == 2) {
            crash(r);
            start(r);
            g_assert_cmpint(rig_pop(r, 4), ==, 1);
        }
        g_assert_null(r->chain[0].bad);
        virtq_done(&r->vq, &r->chain[0], 60);
        rig_push(r, 1);
        rig_get(r, 1);
    }
}

/* 255 chains later the mark would be the same, were it still there. */
static void test_done_long_ago(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 255; i++) {
        rig_add(r, 0, 1, 100);
        g_assert_cmpint(rig_pop(r, 4), ==, 1);
        if (i == 0) {
            virtq_done(&r->vq, &r->chain[0], 60);
        }
        rig_push(r, 1);
        rig_get(r, 1);
    }
    rig_add(r, 0, 1, 100);
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    crash(r);
    start(r);
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    g_assert_null(r->chain[0].bad);
}

/* The length is the ring's; if that has another chain there, it is not. */
static void test_done_written_lost(Rig *r, gconstpointer config)
{
    rig_add(r, 0, 1, 100);
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    virtq_done(&r->vq, &r->chain[0], 60);
    if (r->driver->packed) {
        r->driver->ring[0].id ^= 1;
    } else {
        r->driver->used->ring[0].id ^= 1;
    }
    crash(r);
    start(r);
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    g_assert_true(r->chain[0].bad == virtq_done_before);
    g_assert_cmpuint(r->chain[0].in_len, ==, 0);
}

/* Without a region there is nothing to mark. */
static void test_done_untracked(Rig *r, gconstpointer config)
{
    virtq_stop(&r->vq);
    r->setup.inflight = NULL;
    start(r);
    rig_add(r, 1, 0, 100);
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    virtq_done(&r->vq, &r->chain[0], 0);
    rig_push(r, 1);
    rig_get(r, 1);
}

/* --- regions of other devices, that finished chains out of their order --- */

static void test_split_foreign(Rig *r, gconstpointer config)
{
    VirtqInflightSplit *s = split_region(r);

    for (unsigned i = 0; i < 7; i++) {
        g_assert_cmpuint(rig_add(r, 1, 0, i + 1), ==, i);
    }
    crash(r);
    for (unsigned i = 0; i < 6; i++) { /* 5 were taken, 3 given back: 4, 2 and 0, in two batches */
        static const uint16_t back[] = { 4, 2, 0 };

        if (i < 3) {
            r->driver->used->ring[i].id = back[i];
        }
        s->desc[i].inflight = i < 5 && i != 4;
        s->desc[i].counter = i == 3 ? 20 : 40 - i; /* 3 was taken before 1 */
    }
    s->used_idx = 1; /* only the first batch is accounted for */
    r->driver->used->idx = 3;
    s->last_batch_head = 2;
    s->desc[2].next = 0;
    s->desc[0].next = 4;
    start(r);
    expect_inflight(r, 1 << 1 | 1 << 3);
    g_assert_cmpuint(s->used_idx, ==, 3);
    g_assert_cmpint(rig_pop(r, 9), ==, 2);
    rig_restart(r); /* they are still not to be found in the ring */
    expect_inflight(r, 1 << 1 | 1 << 3);
    g_assert_cmpint(rig_pop(r, 9), ==, 2);
    g_assert_cmpuint(r->chain[0].id, ==, 3);
    g_assert_cmpuint(r->chain[0].out_len, ==, 4);
    g_assert_cmpuint(r->chain[1].id, ==, 1);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 2, 9, r->iov, VIRTQ_MAX_IOV), ==, 2);
    g_assert_cmpuint(r->chain[2].id, ==, 5);
    g_assert_cmpuint(r->chain[3].id, ==, 6);
    g_assert_cmpuint(s->desc[5].counter, ==, 40);
    rig_push(r, 4);
    rig_get(r, 7);
    g_assert_cmpuint(s->desc[3].next, ==, 2);
}

/* The ring's slots have been written over; all that is known of the chains is in the region. */
static void test_packed_foreign(Rig *r, gconstpointer config)
{
    r->driver->use_indirect = false;
    rig_add(r, 2, 1, 10);
    rig_add(r, 1, 0, 20);
    r->driver->use_indirect = true;
    rig_add(r, 1, 3, 30);
    g_assert_cmpint(rig_pop(r, 3), ==, 3);
    crash(r);
    for (unsigned i = 0; i < 5; i++) {
        r->driver->ring[i] = (struct vring_packed_desc){ .addr = i, .flags = 1 << 7 };
    }
    packed_region(r)->desc[3].counter = 100;
    start(r);
    g_assert_cmpint(rig_pop(r, 9), ==, 3);
    g_assert_cmpuint(r->chain[0].out_len, ==, 20);
    g_assert_cmpuint(r->chain[0].in_len, ==, 10);
    g_assert_cmpuint(r->chain[0].n_slots, ==, 3);
    g_assert_cmpuint(r->chain[1].out_len, ==, 30);
    g_assert_cmpuint(r->chain[1].in_len, ==, 90);
    g_assert_cmpuint(r->chain[2].out_len, ==, 20);
    rig_push(r, 3);
    rig_get(r, 3);
    expect_inflight(r, 0);
}

/* The index that vhost-user sends is not asked: the region has it. */
static void test_packed_base(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 5; i++) {
        rig_add(r, 1, 0, i + 1);
    }
    g_assert_cmpint(rig_pop(r, 5), ==, 5);
    rig_push(r, 3);
    crash(r);
    r->setup.base = 0x80008000;
    start(r);
    g_assert_cmpint(rig_pop(r, 9), ==, 2);
    g_assert_cmpuint(r->chain[0].out_len, ==, 4);
    rig_push(r, 2);
    rig_get(r, 5);
}

/* A batch that was published, or was not, when the index said that it was being. */
static void packed_in_between(Rig *r, bool visible)
{
    VirtqInflightPacked *p = packed_region(r);

    rig_add(r, 1, 0, 1);
    rig_add(r, 1, 0, 2);
    g_assert_cmpint(rig_pop(r, 9), ==, 2);
    rig_push(r, 1);
    p->desc[0].inflight = 1;
    p->old_free_head = 2;
    p->old_used_idx = 0;
    if (!visible) {
        r->driver->ring[0].flags = 1 << 7;
    }
    crash(r);
    start(r);
    expect_inflight(r, visible ? 2 : 3);
    g_assert_cmpint(rig_pop(r, 9), ==, visible ? 1 : 2);
    g_assert_cmpuint(r->chain[0].out_len, ==, visible ? 2 : 1);
    g_assert_cmpuint(p->old_used_idx, ==, visible);
    g_assert_cmpuint(p->used_idx, ==, visible);
}

static void test_packed_visible(Rig *r, gconstpointer config)
{
    packed_in_between(r, true);
}

static void test_packed_not_visible(Rig *r, gconstpointer config)
{
    packed_in_between(r, false);
}

/* A piece that the region says lies outside of memory is bad as if it were in the ring. */
static void test_packed_bad_copy(Rig *r, gconstpointer config)
{
    rig_add(r, 1, 0, 1);
    g_assert_cmpint(rig_pop(r, 9), ==, 1);
    crash(r);
    packed_region(r)->desc[0].addr = RIG_DATA_END;
    start(r);
    g_assert_cmpint(rig_pop(r, 9), ==, 1);
    g_assert_cmpstr(r->chain[0].bad, ==, "an address outside of memory");
    rig_push(r, 1);
    rig_get(r, 1);
}

/* --- regions that are refused --- */

static void version_2(Rig *r)
{
    split_region(r)->version = 2;
}

static void other_size(Rig *r)
{
    split_region(r)->desc_num = 7;
}

static void larger_size(Rig *r)
{
    split_region(r)->desc_num = 9;
}

static void not_aligned(Rig *r)
{
    r->setup.inflight = (uint8_t *)r->setup.inflight + 4;
}

static void batch_too_large(Rig *r)
{
    split_region(r)->used_idx = 0xfff0;
}

static void batch_beyond(Rig *r)
{
    split_region(r)->used_idx--;
    split_region(r)->last_batch_head = 8;
}

static void batch_leads_beyond(Rig *r)
{
    split_region(r)->used_idx = (uint16_t)(split_region(r)->used_idx - 2);
    split_region(r)->last_batch_head = 7;
    split_region(r)->desc[7].next = 8;
}

static void too_many(Rig *r)
{
    for (unsigned i = 0; i < 8; i++) {
        split_region(r)->desc[i].inflight = 1;
    }
}

static void used_beyond(Rig *r)
{
    packed_region(r)->used_idx = 8;
}

static void old_used_beyond(Rig *r)
{
    packed_region(r)->old_used_idx = 8;
}

static void num_0(Rig *r)
{
    packed_region(r)->desc[0].num = 0;
}

static void num_9(Rig *r)
{
    packed_region(r)->desc[0].num = 0xffff;
}

static void next_beyond(Rig *r)
{
    packed_region(r)->desc[0].num = 2;
    packed_region(r)->desc[0].next = 8;
}

static void loop(Rig *r)
{
    packed_region(r)->desc[0].num = 2;
    packed_region(r)->desc[0].next = 0;
}

static void shared(Rig *r)
{
    packed_region(r)->desc[0].num = 2; /* and so has an entry of the second one */
}

typedef struct Refused {
    const char *name;
    const RigConfig *config;
    void (*change)(Rig *r);
    const char *why;
} Refused;

#define NO_SENSE "an inflight region that makes no sense"

static const Refused refused[] = {
    { "split-version", &split, version_2, "an inflight region of another version" },
    { "split-size", &split, other_size, NO_SENSE },
    { "split-larger", &split, larger_size, NULL },
    { "split-alignment", &split, not_aligned, "an inflight region that is not aligned" },
    { "split-batch-too-large", &split, batch_too_large, NO_SENSE },
    { "split-batch-beyond", &split, batch_beyond, NO_SENSE },
    { "split-batch-leads-beyond", &split, batch_leads_beyond, NO_SENSE },
    { "split-too-many", &split, too_many, "more chains are under way than the driver added" },
    { "packed-version", &packed, version_2, "an inflight region of another version" },
    { "packed-size", &packed, other_size, NO_SENSE },
    { "packed-larger", &packed, larger_size, NO_SENSE },
    { "packed-alignment", &packed, not_aligned, "an inflight region that is not aligned" },
    { "packed-used-beyond", &packed, used_beyond, NO_SENSE },
    { "packed-old-used-beyond", &packed, old_used_beyond, NO_SENSE },
    { "packed-num-0", &packed, num_0, NO_SENSE },
    { "packed-num-large", &packed, num_9, NO_SENSE },
    { "packed-next-beyond", &packed, next_beyond, NO_SENSE },
    { "packed-loop", &packed, loop, NO_SENSE },
    { "packed-shared", &packed, shared, NO_SENSE },
};

static void test_refused(gconstpointer data)
{
    const Refused *c = data;
    Rig *r = g_new0(Rig, 1);
    const char *why = NULL;
    bool started;

    up(r, c->config);
    rig_add(r, 1, 0, 1);
    rig_add(r, 1, 0, 1);
    g_assert_cmpint(rig_pop(r, 2), ==, 2);
    crash(r);
    c->change(r);
    started = virtq_start(&r->vq, r->mem, &r->setup, &why);
    g_assert_cmpint(started, ==, c->why == NULL);
    if (!started) {
        g_assert_cmpstr(why, ==, c->why);
        g_assert_false(r->vq.running);
    }
    down(r, c->config);
    g_free(r);
}

/* A free list that leads in a circle, or into a chain, is mended. */
static void test_packed_odd_free_list(Rig *r, gconstpointer config)
{
    VirtqInflightPacked *p = packed_region(r);

    rig_add(r, 1, 0, 1);
    g_assert_cmpint(rig_pop(r, 2), ==, 1);
    crash(r);
    p->desc[3].next = 2;
    start(r);
    for (unsigned i = 0; i < 7; i++) {
        rig_add(r, 1, 0, 1);
    }
    g_assert_cmpint(rig_pop(r, 9), ==, 1);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 1, 9, r->iov, VIRTQ_MAX_IOV), ==, 7);
    expect_inflight(r, 0xff);
    rig_push(r, 8);
    rig_get(r, 8);
    expect_inflight(r, 0);
}

#define PATH                    "/hw/virtio/virtq-inflight/"
#define ADD(name, config, fn)   g_test_add(PATH name, Rig, &config, up, fn, down)
#define ADD_BOTH(name, fn)      \
    do {                        \
        ADD("split-" name, split, fn); \
        ADD("packed-" name, packed, fn); \
    } while (0)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func(PATH "layouts", test_layouts);
    g_test_add_func(PATH "sizes", test_sizes);
    ADD_BOTH("new-region", test_new_region);
    ADD("split-runs", split, test_split_runs);
    ADD("packed-runs", packed, test_packed_runs);
    ADD("packed-wrap", packed, test_packed_wrap);
    ADD_BOTH("unpop", test_unpop);
    ADD_BOTH("stop", test_stop);
    ADD_BOTH("crash", test_crash);
    ADD_BOTH("unpop-after-crash", test_unpop_after_crash);
    ADD_BOTH("room-after-crash", test_room_after_crash);
    ADD_BOTH("done", test_done);
    ADD_BOTH("done-twice", test_done_twice);
    ADD_BOTH("done-unpop", test_done_unpop);
    ADD_BOTH("done-of-another", test_done_of_another);
    ADD_BOTH("done-and-pushed", test_done_and_pushed);
    ADD_BOTH("done-long-ago", test_done_long_ago);
    ADD_BOTH("done-written-lost", test_done_written_lost);
    ADD_BOTH("done-untracked", test_done_untracked);
    ADD("split-foreign", split, test_split_foreign);
    ADD("packed-foreign", packed, test_packed_foreign);
    ADD("packed-base", packed, test_packed_base);
    ADD("packed-visible", packed, test_packed_visible);
    ADD("packed-not-visible", packed, test_packed_not_visible);
    ADD("packed-bad-copy", packed, test_packed_bad_copy);
    ADD("packed-odd-free-list", packed, test_packed_odd_free_list);
    for (unsigned i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *path = g_strdup_printf(PATH "refused/%s", refused[i].name);

        g_test_add_data_func(path, &refused[i], test_refused);
    }
    return g_test_run();
}
