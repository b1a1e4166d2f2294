/*
 * Blkback with many rings, each in a thread of its own, for scripts/bench growth.
 *
 * growth-disk DISKS RINGS ROUNDS: in each round every ring of every disk has as many requests as it
 * takes, all at once, of each kind in turn; first those of a guest with persistent grants, then
 * those of one without. Under callgrind what blkback and the block layer execute for them is
 * counted between kind_begins() and kind_done(), which prints how many they were; the guests',
 * Xen's and the kernel's part is not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>
#include <sys/resource.h>

#include "vbd-raw.h"

#define MAX_DISKS  8u
#define MAX_ROUNDS 1000u
#define MB_PAGES   (1048576u / XEN_PAGE_SIZE)
#define SECTORS    (XEN_PAGE_SIZE / 512u)

typedef struct Kind {
    const char *name;
    uint8_t op;
    unsigned n_segs;
    unsigned n; /* of a ring's round: it is full, or one has as many pages as are mapped quickly */
} Kind;

static const Kind kinds[] = {
    { "read-4k", BLKIF_OP_READ, 1, 32 },
    { "write-4k", BLKIF_OP_WRITE, 1, 32 },
    { "read-1m", BLKIF_OP_READ, MB_PAGES, 1 },
    { "write-1m", BLKIF_OP_WRITE, MB_PAGES, 1 },
};

typedef struct Bench {
    VbdRaw disk[MAX_DISKS];
    unsigned n_disks;
    unsigned n_rings; /* of each */
    unsigned rounds;
} Bench;

/*
 * Under callgrind one thread runs at a time, and each call of the kernel waits for the others: the
 * block layer must not take this for a slow disk, and do with many rings what it does not with one.
 */
int getrusage(__rusage_who_t who, struct rusage *usage)
{
    *usage = (struct rusage){ 0 };
    return 0;
}

/* --- a round --- */

/* Those of a ring have pages of their own, as those of a guest have, and a part of the image. */
static void send_some(VbdRaw *r, unsigned ring, const Kind *k)
{
    unsigned pages = k->n * k->n_segs;

    g_assert_cmpuint(pages + k->n, <=, VBD_RAW_PAGES);
    for (unsigned i = 0; i < k->n; i++) {
        uint64_t sector = (uint64_t)(ring * pages + i * k->n_segs) * SECTORS;
        XenBlkifRequest req =
            k->n_segs > XEN_BLKIF_SEGS
                ? vbd_raw_indirect(r, k->op, sector, k->n_segs, i * k->n_segs, pages + i)
                : vbd_raw_rw(r, k->op, sector, k->n_segs, i * k->n_segs);

        vbd_raw_put(r, ring, &req);
    }
    vbd_raw_push(r, ring);
}

static void receive_some(VbdRaw *r, unsigned ring, const Kind *k)
{
    vbd_raw_wait(r, ring, k->n);
    for (unsigned i = 0; i < k->n; i++) {
        g_assert_cmpint(vbd_raw_get(r, ring).status, ==, BLKIF_RSP_OKAY);
    }
}

static void play(Bench *b, const Kind *k)
{
    for (unsigned i = 0; i < b->n_disks * b->n_rings; i++) {
        send_some(&b->disk[i / b->n_rings], i % b->n_rings, k);
    }
    for (unsigned i = 0; i < b->n_disks * b->n_rings; i++) {
        receive_some(&b->disk[i / b->n_rings], i % b->n_rings, k);
    }
}

/* --- what is measured --- */

/* callgrind counts from here... */
static __attribute__((noinline)) void kind_begins(void)
{
    __asm__ volatile("");
}

/* ...and dumps what it counted when this ends. */
static __attribute__((noinline)) void kind_done(const char *pages, const char *name, unsigned n)
{
    printf("%s-%s %u\n", pages, name, n);
}

/* The first round maps the pages that stay mapped, which is once for each ring. */
static void play_kind(Bench *b, const Kind *k, const char *pages)
{
    play(b, k);
    kind_begins();
    for (unsigned i = 0; i < b->rounds; i++) {
        play(b, k);
    }
    kind_done(pages, k->name, b->rounds * b->n_disks * b->n_rings * k->n);
}

static void bench(Bench *b, bool persistent)
{
    for (unsigned i = 0; i < b->n_disks; i++) {
        VbdRaw *r = &b->disk[i];

        vbd_raw_init_beside(r, i > 0 ? &b->disk[0] : NULL);
        r->n_queues = r->config.num_queues = b->n_rings;
        r->persistent = persistent;
        vbd_raw_up(r);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        play_kind(b, &kinds[i], persistent ? "mapped" : "copied");
    }
    for (unsigned i = b->n_disks; i-- > 0;) {
        g_assert_true(!persistent || VBD_RAW_COUNT(&b->disk[i], ring.copied) == 0);
        vbd_raw_down(&b->disk[i]);
    }
}

static unsigned number(const char *text, unsigned max)
{
    guint64 n = g_ascii_strtoull(text, NULL, 10);

    if (n == 0 || n > max) {
        g_error("%s: 1 to %u", text, max);
    }
    return (unsigned)n;
}

int main(int argc, char **argv)
{
    g_autofree Bench *b = g_new0(Bench, 1);

    setlinebuf(stdout);
    if (argc != 4) {
        fprintf(stderr, "usage: growth-disk DISKS RINGS ROUNDS\n");
        return 2;
    }
    b->n_disks = number(argv[1], MAX_DISKS);
    b->n_rings = number(argv[2], VBD_RAW_QUEUES);
    b->rounds = number(argv[3], MAX_ROUNDS);
    bench(b, true);
    bench(b, false);
    return 0;
}
