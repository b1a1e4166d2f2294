/*
 * Drivers that lie: chains that make no sense cost that chain, rings that make none the ring.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtq.h"

#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/fd.h"
#include "virtq-rig.h"

#define W VRING_DESC_F_WRITE
#define N VRING_DESC_F_NEXT
#define I VRING_DESC_F_INDIRECT

#define BIG       (1ull << 40) /* a region of 5 GiB, which is empty */
#define BIG_SIZE  0x140000000ull
#define BIG_PIECE 0xc0000000u
#define TOP       (0ull - 8192) /* two regions that touch, up to the last byte that there can be */
#define TABLE     (RIG_DATA + 0x1000)
#define ODD_TABLE (RIG_DATA + 0x1801)

typedef struct Raw {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next; /* split only */
} Raw;

/* Which layouts and features a case is for. */
enum {
    SPLIT = 1, PACKED = 2, NO_TABLES = 4, BOTH = SPLIT | PACKED,
};

typedef struct Case {
    const char *name;
    unsigned where;
    const char *bad;  /* NULL: there is nothing wrong with it */
    Raw desc[8];      /* in the ring of 8, the first one is the head */
    Raw table[4];     /* at TABLE */
} Case;

#define OUTSIDE "an address outside of memory"

static const Case cases[] = {
    { "fine", BOTH, NULL, { { RIG_DATA, 10, N, 1 }, { RIG_DATA, 10, W } } },
    { "last-byte", BOTH, NULL, { { RIG_DATA_END - 10, 10 } } },
    { "before-memory", BOTH, OUTSIDE, { { RIG_DATA - 1, 10 } } },
    { "behind-memory", BOTH, OUTSIDE, { { RIG_DATA_END, 1 } } },
    { "over-the-end", BOTH, OUTSIDE, { { RIG_DATA_END - 10, 11 } } },
    { "over-the-end-in-writing", BOTH, OUTSIDE, { { RIG_DATA_END - 10, 11, W } } },
    { "whole-4g", BOTH, OUTSIDE, { { RIG_DATA, UINT32_MAX } } },
    { "end-of-addresses", BOTH, OUTSIDE, { { UINT64_MAX - 4, 10 } } },
    { "in-a-hole", BOTH, OUTSIDE, { { 4096, 10 } } },
    { "round-the-end", BOTH, OUTSIDE, { { TOP + 8190, 10 } } },
    { "up-to-the-end", BOTH, NULL, { { TOP + 10, 8182, W } } },
    { "empty-in-5g", BOTH, NULL, { { BIG, 0, N, 1 }, { BIG, 10 } } },
    { "second-outside", BOTH, OUTSIDE, { { RIG_DATA, 10, N, 1 }, { RIG_DATA_END, 1 } } },
    { "third-outside", BOTH, OUTSIDE,
      { { RIG_DATA, 10, N, 1 }, { RIG_DATA, 1, N | W, 2 }, { RIG_DATA_END, 1, W } } },
    { "read-behind-write", BOTH, "a readable piece behind a writable one",
      { { RIG_DATA, 10, N | W, 1 }, { RIG_DATA, 1 } } },
    { "read-behind-write-later", BOTH, "a readable piece behind a writable one",
      { { RIG_DATA, 10, N, 1 }, { RIG_DATA, 1, N | W, 2 }, { RIG_DATA, 1 } } },
    { "4g", BOTH, "longer than 4 GiB",
      { { BIG, BIG_PIECE, N, 1 }, { BIG, (uint32_t)(0x100000000 - BIG_PIECE) } } },
    { "4g-both-ways", BOTH, "longer than 4 GiB",
      { { BIG, BIG_PIECE, N, 1 }, { BIG, (uint32_t)(0x100000000 - BIG_PIECE), W } } },
    { "4g-in-three", BOTH, "longer than 4 GiB",
      { { BIG, BIG_PIECE, N, 1 }, { BIG, BIG_PIECE, N | W, 2 }, { BIG, 1, W } } },
    { "less-than-4g", BOTH, NULL,
      { { BIG, BIG_PIECE, N, 1 }, { BIG, (uint32_t)(0xffffffff - BIG_PIECE), W } } },
    { "reserved-flags", SPLIT, NULL, { { RIG_DATA, 10, 0xfff8 | W } } },

    { "loop-of-one", SPLIT, "a loop, or too many pieces", { { RIG_DATA, 10, N, 0 } } },
    { "loop-of-two", SPLIT, "a loop, or too many pieces",
      { { RIG_DATA, 10, N, 1 }, { RIG_DATA, 10, N, 0 } } },
    { "loop-of-empty-pieces", SPLIT, "a loop, or too many pieces",
      { { RIG_DATA, 0, N, 1 }, { RIG_DATA, 0, N, 0 } } },
    { "all-descriptors", SPLIT, NULL,
      { { RIG_DATA, 1, N, 7 }, { RIG_DATA, 1 }, { RIG_DATA, 1, N, 1 }, { RIG_DATA, 1, N, 2 },
        { RIG_DATA, 1, N, 3 }, { RIG_DATA, 1, N, 4 }, { RIG_DATA, 1, N, 5 },
        { RIG_DATA, 1, N, 6 } } },
    { "index-beyond", SPLIT, "an index beyond the descriptor table", { { RIG_DATA, 10, N, 8 } } },
    { "index-far-beyond", SPLIT, "an index beyond the descriptor table",
      { { RIG_DATA, 10, N, 0xffff } } },
    { "second-index-beyond", SPLIT, "an index beyond the descriptor table",
      { { RIG_DATA, 10, N, 1 }, { RIG_DATA, 1, N, 8 } } },

    { "table", BOTH, NULL, { { TABLE, 48, I } },
      { { RIG_DATA, 5, N, 1 }, { RIG_DATA, 6, N | W, 2 }, { RIG_DATA, 7, W } } },
    { "table-at-an-odd-address", BOTH, NULL, { { ODD_TABLE, 48, I } },
      { { RIG_DATA, 5, N, 1 }, { RIG_DATA, 6, N | W, 2 }, { RIG_DATA, 7, W } } },
    { "table-in-its-order", SPLIT, NULL, { { TABLE, 48, I } },
      { { RIG_DATA, 5, N, 2 }, { RIG_DATA, 6, W }, { RIG_DATA, 7, W | N, 1 } } },
    { "table-of-writable-pieces", BOTH, NULL, { { TABLE, 16, I | W } }, { { RIG_DATA, 5, W } } },
    { "table-not-negotiated", BOTH | NO_TABLES, "an indirect table, which was not negotiated",
      { { TABLE, 16, I } }, { { RIG_DATA, 5 } } },
    { "table-and-next", BOTH, "something behind an indirect table",
      { { TABLE, 16, I | N, 1 }, { RIG_DATA, 1 } }, { { RIG_DATA, 5 } } },
    { "table-behind-a-piece", SPLIT, NULL,
      { { RIG_DATA, 1, N, 1 }, { TABLE, 16, I } }, { { RIG_DATA, 5, W } } },
    { "table-behind-a-piece", PACKED, "an indirect table behind something",
      { { RIG_DATA, 1, N, 1 }, { TABLE, 16, I } }, { { RIG_DATA, 5, W } } },
    { "table-behind-a-writable-piece", SPLIT, "a readable piece behind a writable one",
      { { RIG_DATA, 1, N | W, 1 }, { TABLE, 16, I } }, { { RIG_DATA, 5 } } },
    { "table-empty", BOTH, "an indirect table of an odd length", { { TABLE, 0, I } } },
    { "table-odd", BOTH, "an indirect table of an odd length", { { TABLE, 24, I } },
      { { RIG_DATA, 5 } } },
    { "table-outside", BOTH, "an indirect table outside of memory", { { RIG_DATA_END, 16, I } } },
    { "table-over-the-end", BOTH, "an indirect table outside of memory",
      { { RIG_DATA_END - 16, 32, I } } },
    { "table-in-two-regions", BOTH, "an indirect table outside of memory",
      { { RIG_DATA + RIG_DATA_SIZE - 16, 32, I } } },
    { "table-in-table", BOTH, "an indirect table in another", { { TABLE, 32, I } },
      { { RIG_DATA, 5, N, 1 }, { TABLE, 16, I } } },
    { "table-index-beyond", SPLIT, "an index beyond the indirect table", { { TABLE, 32, I } },
      { { RIG_DATA, 5, N, 2 }, { RIG_DATA, 5 }, { RIG_DATA, 5 } } },
    { "table-loop", SPLIT, "a loop, or too many pieces", { { TABLE, 32, I } },
      { { RIG_DATA, 5, N, 1 }, { RIG_DATA, 5, N, 0 } } },
    { "table-loop-of-empty-pieces", SPLIT, "a loop, or too many pieces", { { TABLE, 32, I } },
      { { RIG_DATA, 0, N, 1 }, { RIG_DATA, 0, N, 0 } } },
    { "table-outside-piece", BOTH, OUTSIDE, { { TABLE, 32, I } },
      { { RIG_DATA, 5, N, 1 }, { RIG_DATA_END, 5 } } },
    { "table-read-behind-write", BOTH, "a readable piece behind a writable one",
      { { TABLE, 32, I } }, { { RIG_DATA, 5, N | W, 1 }, { RIG_DATA, 5 } } },
};

static void add_region(Rig *r, uint64_t gpa, uint64_t size)
{
    AUTO_FD int fd = memfd_create("region", MFD_CLOEXEC);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
    guest_mem_add(r->mem, gpa, size, gpa, fd, 0, &error);
    g_assert_no_error(error);
}

/* --- writing descriptors past the driver --- */

static void put_table(Rig *r, const Raw *raw, unsigned n, uint64_t gpa)
{
    for (unsigned i = 0; i < n; i++) {
        struct vring_desc split = { raw[i].addr, raw[i].len, raw[i].flags, raw[i].next };
        struct vring_packed_desc packed = { raw[i].addr, raw[i].len, 0, raw[i].flags };

        memcpy(rig_host(r, gpa + i * 16), r->driver->packed ? (void *)&packed : (void *)&split, 16);
    }
}

static uint16_t packed_bits(bool wrap)
{
    return wrap ? 1u << VRING_PACKED_DESC_F_AVAIL : 1u << VRING_PACKED_DESC_F_USED;
}

/* Slots of a packed ring from @at on, up to the first one without NEXT: how many. */
static unsigned put_packed(Rig *r, unsigned at, const Raw *raw, unsigned max, uint16_t id)
{
    VirtqDriver *d = r->driver;
    unsigned n = 0;

    do {
        bool wrap = d->avail_wrap ^ (at + n >= d->c.size);

        d->ring[(at + n) % d->c.size] = (struct vring_packed_desc){
            raw[n].addr, raw[n].len, id, (uint16_t)(raw[n].flags | packed_bits(wrap)),
        };
    } while (raw[n++].flags & N && n < max);
    return n;
}

/* Makes @raw available, as the driver would do with a chain. Its id is 0: split, the head. */
static unsigned put_chain(Rig *r, const Raw *raw, unsigned max)
{
    VirtqDriver *d = r->driver;

    if (d->packed) {
        return put_packed(r, d->next_avail, raw, max, 0);
    }
    for (unsigned i = 0; i < max; i++) {
        d->desc[i] = (struct vring_desc){ raw[i].addr, raw[i].len, raw[i].flags, raw[i].next };
    }
    d->avail->ring[d->next_avail % d->c.size] = 0;
    __atomic_store_n(&d->avail->idx, (uint16_t)(d->next_avail + 1), __ATOMIC_RELEASE);
    return 1;
}

/* Tells the driver that it did that. */
static void account(Rig *r, unsigned n_slots)
{
    VirtqDriver *d = r->driver;

    d->next_avail = (uint16_t)(d->next_avail + n_slots);
    if (d->packed && d->next_avail >= d->c.size) {
        d->next_avail = (uint16_t)(d->next_avail - d->c.size);
        d->avail_wrap = !d->avail_wrap;
    }
    d->published = d->next_avail;
    d->published_wrap = d->avail_wrap;
    d->free_id = d->state[0].next;
    d->state[0].n_slots = (uint16_t)n_slots;
    d->n_free = (uint16_t)(d->n_free - n_slots);
}

static void expect_lengths(const VirtqChain *c)
{
    uint64_t len[2] = { 0, 0 };

    for (unsigned i = 0; i < (unsigned)c->n_out + c->n_in; i++) {
        g_assert_cmpuint(c->iov[i].iov_len, >, 0);
        len[i >= c->n_out] += c->iov[i].iov_len;
    }
    g_assert_cmpuint(c->out_len, ==, len[0]);
    g_assert_cmpuint(c->in_len, ==, len[1]);
}

static void run_case(const Case *c, const RigConfig *config, unsigned behind)
{
    Rig *r = g_new0(Rig, 1);
    unsigned n;
    uint16_t id;
    uint32_t len;

    rig_up(r, config);
    add_region(r, BIG, BIG_SIZE);
    add_region(r, TOP, 4096);
    add_region(r, TOP + 4096, 4096);
    add_region(r, 0, 4096); /* nothing leads from the end to the beginning */
    for (unsigned i = 0; i < behind; i++) { /* so that a packed chain wraps, too */
        rig_add(r, 1, 0, 1);
        g_assert_cmpint(rig_pop(r, 1), ==, 1);
        rig_push(r, 1);
        rig_get(r, 1);
    }
    put_table(r, c->table, G_N_ELEMENTS(c->table), TABLE);
    put_table(r, c->table, G_N_ELEMENTS(c->table), ODD_TABLE);
    n = put_chain(r, c->desc, config->size);
    account(r, n);
    g_assert_cmpint(rig_pop(r, 9), ==, 1);
    g_assert_null(r->vq.violation);
    g_assert_cmpstr(r->chain[0].bad, ==, c->bad);
    g_assert_cmpuint(r->chain[0].n_slots, ==, n);
    g_assert_cmpint(c->bad == NULL, ==, r->chain[0].n_out + r->chain[0].n_in > 0);
    expect_lengths(&r->chain[0]);
    rig_push(r, 1);
    g_assert_true(virtq_driver_get(r->driver, &id, &len));
    g_assert_cmpuint(id, ==, 0);
    g_assert_cmpuint(len, ==, 0);

    rig_add(r, 1, 0, 5); /* and what comes behind it is fine */
    g_assert_cmpint(rig_pop(r, 9), ==, 1);
    g_assert_null(r->chain[0].bad);
    rig_push(r, 1);
    rig_get(r, 1);
    rig_down(r);
    g_free(r);
}

static void test_case(gconstpointer data)
{
    const Case *c = data;

    for (unsigned packed = 0; packed < 2; packed++) {
        const RigConfig config = { "", 8, packed, false, c->where & NO_TABLES ? 0 : 8 };

        for (unsigned behind = 0; behind < 17 && c->where & (packed ? PACKED : SPLIT); behind++) {
            run_case(c, &config, behind);
        }
    }
}

/* --- how many pieces --- */

static const RigConfig split_large = { "split-large", 2048, false, false, 0 };
static const RigConfig packed_large = { "packed-large", 2047, true, false, 0 };
static const RigConfig split_table = { "split-table", 8, false, false, 2048 };
static const RigConfig packed_table = { "packed-table", 8, true, false, 2048 };
static const RigConfig split = { "split", 8, false, false, 0 };
static const RigConfig packed = { "packed", 8, true, false, 0 };

static void up(Rig *r, gconstpointer config)
{
    rig_up(r, config);
}

static void down(Rig *r, gconstpointer config)
{
    rig_down(r);
}

static void test_1024_pieces(Rig *r, gconstpointer config)
{
    rig_add(r, 1000, 24, 1);
    rig_add(r, 1, 0, 1);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain, 9, r->iov, VIRTQ_MAX_IOV), ==, 1);
    g_assert_null(r->chain[0].bad);
    g_assert_cmpuint(r->chain[0].n_out, ==, 1000);
    g_assert_cmpuint(r->chain[0].n_in, ==, 24);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 1, 9, r->iov, VIRTQ_MAX_IOV), ==, 1);
    rig_push(r, 2);
    rig_get(r, 2);
}

static void test_1025_pieces(Rig *r, gconstpointer config)
{
    rig_add(r, 1025, 0, 1);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain, 9, r->iov, VIRTQ_MAX_IOV - 1), ==, 0);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain, 9, r->iov, VIRTQ_MAX_IOV), ==, 1);
    g_assert_nonnull(strstr(r->chain[0].bad, "too many pieces"));
    virtq_unpop(&r->vq, r->chain, 1);
    rig_add(r, 1, 0, 1);
    g_assert_cmpint(rig_pop(r, 9), ==, 2);
    g_assert_nonnull(strstr(r->chain[0].bad, "too many pieces"));
    g_assert_null(r->chain[1].bad);
    g_assert_true(r->chain[1].iov == r->iov);
    rig_push(r, 2);
    rig_get(r, 2);
}

/* A loop is one of as many descriptors as the ring has, not of as much room as there is. */
static void test_loop_in_little_room(Rig *r, gconstpointer config)
{
    const Raw raw[8] = { { RIG_DATA, 1, N, 1 }, { RIG_DATA, 1, N, 0 } };

    put_chain(r, raw, 8);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain, 1, r->iov, 8), ==, 1);
    g_assert_cmpstr(r->chain[0].bad, ==, "a loop, or too many pieces");
}

/* Not of the driver, but of memory: the last piece lies in two regions. */
static void test_1024_pieces_and_one(Rig *r, gconstpointer config)
{
    g_autofree VirtqDriverPiece *piece = g_new0(VirtqDriverPiece, 1024);

    for (unsigned i = 0; i < 1024; i++) {
        piece[i] = (VirtqDriverPiece){ RIG_DATA + RIG_DATA_SIZE - 1, i == 1023 ? 2 : 1 };
    }
    g_assert_cmpint(virtq_driver_add(r->driver, piece, 1024, 0), >=, 0);
    virtq_driver_publish(r->driver);
    g_assert_cmpint(rig_pop(r, 9), ==, 1);
    g_assert_cmpstr(r->chain[0].bad, ==, "too many pieces");
    rig_push(r, 1);
    rig_get(r, 1);
}

/* --- broken rings --- */

static void expect_broken(Rig *r, const char *why)
{
    g_assert_cmpint(rig_pop(r, 9), ==, -1);
    g_assert_cmpstr(r->vq.violation, ==, why);
    g_assert_cmpint(rig_pop(r, 9), ==, -1);
    g_assert_cmpint(virtq_pop(&r->vq, r->chain, 0, r->iov, VIRTQ_MAX_IOV), ==, -1);
}

#define TOO_MANY "more chains than the ring has descriptors"

/* As many chains as descriptors are there, not one more. */
static void test_split_index(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 8; i++) {
        rig_add(r, 1, 0, 1);
    }
    g_assert_cmpint(rig_pop(r, 4), ==, 4);
    r->driver->avail->idx = 9; /* is not looked at while what is known is enough */
    g_assert_cmpint(virtq_pop(&r->vq, r->chain + 4, 4, r->iov, VIRTQ_MAX_IOV), ==, 4);
    expect_broken(r, TOO_MANY);
}

/* What is pushed and not published is not the driver's yet. */
static void test_split_index_before_flush(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 8; i++) {
        rig_add(r, 1, 0, 1);
    }
    g_assert_cmpint(rig_pop(r, 9), ==, 8);
    virtq_push(&r->vq, &r->chain[0], 0);
    r->driver->avail->idx = 9;
    expect_broken(r, TOO_MANY);
}

static void test_split_index_back(Rig *r, gconstpointer config)
{
    rig_add(r, 1, 0, 1);
    rig_add(r, 1, 0, 1);
    g_assert_cmpint(rig_pop(r, 9), ==, 2);
    r->driver->avail->idx = 1;
    expect_broken(r, TOO_MANY);
}

static void test_split_head(Rig *r, gconstpointer config)
{
    rig_add(r, 1, 0, 1);
    r->driver->avail->ring[0] = 8;
    expect_broken(r, "a chain that begins beyond the descriptor table");
}

/* What came before the absurd one is served, and goes back. */
static void test_split_head_later(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 3; i++) {
        rig_add(r, 1, 0, 1);
    }
    r->driver->avail->ring[2] = 0xffff;
    g_assert_cmpint(rig_pop(r, 9), ==, 2);
    g_assert_null(r->vq.violation);
    rig_push(r, 2);
    rig_get(r, 2);
    expect_broken(r, "a chain that begins beyond the descriptor table");
    virtq_stop(&r->vq);
    g_assert_cmpuint(r->driver->used->idx, ==, 2);
}

static void test_packed_no_end(Rig *r, gconstpointer config)
{
    Raw raw[8];

    for (unsigned i = 0; i < 8; i++) {
        raw[i] = (Raw){ RIG_DATA, 1, N };
    }
    put_packed(r, 0, raw, 8, 0);
    expect_broken(r, "more descriptors than the ring has");
}

static void test_packed_end_not_available(Rig *r, gconstpointer config)
{
    for (unsigned n = 1; n < 4; n++) {
        Raw raw[] = { { RIG_DATA, 1, N }, { RIG_DATA, 1, N }, { RIG_DATA, 1, N } };

        rig_restart(r);
        put_packed(r, 0, raw, n, 0);
        expect_broken(r, "a chain whose end is not available");
    }
}

/* The last descriptor of the second lap's chain is still of the first lap. */
static void test_packed_end_of_other_lap(Rig *r, gconstpointer config)
{
    Raw raw[2] = { { RIG_DATA, 1, N }, { RIG_DATA, 1 } };

    for (unsigned i = 0; i < 8; i++) {
        rig_add(r, 1, 0, 1);
        g_assert_cmpint(rig_pop(r, 1), ==, 1);
        rig_push(r, 1);
        rig_get(r, 1);
    }
    put_packed(r, 0, raw, 1, 0);
    r->driver->ring[1] = (struct vring_packed_desc){ RIG_DATA, 1, 0, packed_bits(true) };
    expect_broken(r, "a chain whose end is not available");
}

static void test_packed_later(Rig *r, gconstpointer config)
{
    Raw raw[2] = { { RIG_DATA, 1, N }, { RIG_DATA, 1 } };

    rig_add(r, 1, 0, 1);
    rig_add(r, 2, 0, 1);
    put_packed(r, 3, raw, 1, 0);
    g_assert_cmpint(rig_pop(r, 9), ==, 2);
    g_assert_null(r->vq.violation);
    rig_push(r, 2);
    rig_get(r, 2);
    expect_broken(r, "a chain whose end is not available");
    g_assert_cmphex(virtq_stop(&r->vq), ==, 0x80038003);
}

/* What we have is made available once more, for the next lap. */
static void test_packed_slots_twice(Rig *r, gconstpointer config)
{
    Raw raw[8] = { { TABLE, 16 } };

    for (unsigned i = 0; i < 8; i++) {
        rig_add(r, 1, 0, 1);
    }
    g_assert_cmpint(rig_pop(r, 9), ==, 8);
    put_table(r, &(Raw){ RIG_DATA, 1 }, 1, TABLE);
    virtq_push(&r->vq, &r->chain[0], 0);
    raw[0].flags = ((const RigConfig *)config)->max_indirect > 0 ? I : 0;
    put_packed(r, 0, raw, 1, 0);
    expect_broken(r, "more descriptors than the ring has");
}

static void test_packed_longer_than_left(Rig *r, gconstpointer config)
{
    Raw raw[3] = { { RIG_DATA, 1, N }, { RIG_DATA, 1, N }, { RIG_DATA, 1 } };

    for (unsigned i = 0; i < 6; i++) {
        rig_add(r, 1, 0, 1);
    }
    g_assert_cmpint(rig_pop(r, 9), ==, 6);
    put_packed(r, 6, raw, 3, 0);
    expect_broken(r, "more descriptors than the ring has");
}

/* --- rings that can't be started --- */

typedef struct Refused {
    const char *name;
    bool packed;
    const char *why;
    void (*change)(VirtqSetup *s);
} Refused;

static void size_0(VirtqSetup *s)
{
    s->size = 0;
}

static void size_3(VirtqSetup *s)
{
    s->size = 3;
}

static void size_32769(VirtqSetup *s)
{
    s->size = 32769;
}

static void size_65535(VirtqSetup *s)
{
    s->size = 65535;
}

static void move_desc(VirtqSetup *s)
{
    s->desc = (uint8_t *)s->desc + 8;
}

static void move_driver_1(VirtqSetup *s)
{
    s->driver = (uint8_t *)s->driver + 1;
}

static void move_driver_2(VirtqSetup *s)
{
    s->driver = (uint8_t *)s->driver + 2;
}

static void move_device_2(VirtqSetup *s)
{
    s->device = (uint8_t *)s->device + 2;
}

static void base_beyond(VirtqSetup *s)
{
    s->base = 8u << 16;
}

static void index_9(VirtqSetup *s)
{
    ((struct vring_avail *)s->driver)->idx = 9;
}

static void index_back(VirtqSetup *s)
{
    ((struct vring_avail *)s->driver)->idx = 0xffff;
}

static const Refused refused[] = {
    { "split-size-0", false, "the size is no power of 2", size_0 },
    { "split-size-3", false, "the size is no power of 2", size_3 },
    { "split-size-65535", false, "the size is no power of 2", size_65535 },
    { "split-desc", false, "an address is not aligned", move_desc },
    { "split-driver", false, "an address is not aligned", move_driver_1 },
    { "split-device", false, "an address is not aligned", move_device_2 },
    { "split-index", false, TOO_MANY, index_9 },
    { "split-index-back", false, TOO_MANY, index_back },
    { "packed-size-0", true, "a size that no packed ring has", size_0 },
    { "packed-size-32769", true, "a size that no packed ring has", size_32769 },
    { "packed-desc", true, "an address is not aligned", move_desc },
    { "packed-driver", true, "an address is not aligned", move_driver_2 },
    { "packed-device", true, "an address is not aligned", move_device_2 },
    { "packed-base", true, "a base beyond the ring", base_beyond },
};

static void test_refused(gconstpointer data)
{
    const Refused *c = data;
    Rig *r = g_new0(Rig, 1);
    const char *why = NULL;
    VirtqSetup s;

    rig_up(r, c->packed ? &packed : &split);
    virtq_stop(&r->vq);
    s = r->setup;
    c->change(&s);
    g_assert_false(virtq_start(&r->vq, r->mem, &s, &why));
    g_assert_cmpstr(why, ==, c->why);
    rig_down(r);
    g_free(r);
}

/* --- a driver that writes while we read --- */

typedef struct Flipper {
    Rig *r;
    bool stop;
} Flipper;

/* Each descriptor is good or bad, from one moment to the next. */
static gpointer flip(gpointer opaque)
{
    Flipper *f = opaque;
    uint64_t *word = (void *)f->r->ring_host;
    uint64_t old[16];

    for (unsigned i = 0; i < 16; i++) {
        old[i] = __atomic_load_n(&word[i], __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; !__atomic_load_n(&f->stop, __ATOMIC_RELAXED); i = (i + 1) % 16) {
        __atomic_store_n(&word[i], i % 2 ? old[i] ^ 0xffff : UINT64_MAX - i, __ATOMIC_RELAXED);
        __atomic_store_n(&word[i], old[i], __ATOMIC_RELAXED);
    }
    return NULL;
}

static void test_flipper(Rig *r, gconstpointer config)
{
    Flipper f = { r, false };
    GThread *thread;

    for (unsigned i = 0; i < 4; i++) {
        rig_add(r, 1, 1, 100);
    }
    thread = g_thread_new("flip", flip, &f);
    for (unsigned i = 0; i < 20000; i++) {
        int n = rig_pop(r, 4);

        g_assert_cmpint(n, ==, 4);
        for (int k = 0; k < n; k++) {
            expect_lengths(&r->chain[k]);
        }
        virtq_unpop(&r->vq, r->chain, 4);
    }
    __atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
    g_thread_join(thread);
}

typedef struct Test {
    const char *name;
    void (*run)(Rig *r, gconstpointer config);
    const RigConfig *config;
} Test;

static const Test tests[] = {
    { "1024-pieces/split", test_1024_pieces, &split_large },
    { "1024-pieces/packed", test_1024_pieces, &packed_large },
    { "1024-pieces/split-table", test_1024_pieces, &split_table },
    { "1024-pieces/packed-table", test_1024_pieces, &packed_table },
    { "1025-pieces/split", test_1025_pieces, &split_large },
    { "1025-pieces/packed", test_1025_pieces, &packed_large },
    { "1025-pieces/split-table", test_1025_pieces, &split_table },
    { "1025-pieces/packed-table", test_1025_pieces, &packed_table },
    { "1024-pieces-and-one/split", test_1024_pieces_and_one, &split_large },
    { "1024-pieces-and-one/packed", test_1024_pieces_and_one, &packed_large },
    { "1024-pieces-and-one/split-table", test_1024_pieces_and_one, &split_table },
    { "1024-pieces-and-one/packed-table", test_1024_pieces_and_one, &packed_table },
    { "loop-in-little-room", test_loop_in_little_room, &split },
    { "split-index", test_split_index, &split },
    { "split-index-before-flush", test_split_index_before_flush, &split },
    { "split-index-back", test_split_index_back, &split },
    { "split-head", test_split_head, &split },
    { "split-head-later", test_split_head_later, &split },
    { "packed-no-end", test_packed_no_end, &packed },
    { "packed-end-not-available", test_packed_end_not_available, &packed },
    { "packed-end-of-other-lap", test_packed_end_of_other_lap, &packed },
    { "packed-later", test_packed_later, &packed },
    { "packed-slots-twice", test_packed_slots_twice, &packed },
    { "packed-slots-twice/table", test_packed_slots_twice, &packed_table },
    { "packed-longer-than-left", test_packed_longer_than_left, &packed },
    { "flipper", test_flipper, &split },
};

#define PATH "/hw/virtio/virtq-hostile/"

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf(PATH "chain/%s-%u", cases[i].name, cases[i].where);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf(PATH "%s", tests[i].name);

        g_test_add(path, Rig, tests[i].config, up, tests[i].run, down);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *path = g_strdup_printf(PATH "start/%s", refused[i].name);

        g_test_add_data_func(path, &refused[i], test_refused);
    }
    return g_test_run();
}
