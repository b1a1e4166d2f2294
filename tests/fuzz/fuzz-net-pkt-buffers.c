/*
 * Packets of any lengths into buffers of any layout, compared with a model that knows lengths only.
 *
 * An input: 4 bytes of settings (struct Settings), then steps: a byte of enum Step, and what it
 * needs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <glib.h>

#include "guest-buffers.h"

#define MAX_READ  8u
#define USUAL_LEN 100u
#define HDR_LEN   12u /* a netdev's that reads into buffers */

typedef struct Settings {
    uint8_t flags;     /* 1: merge, 2: a netdev that reads into buffers, 4: max_len follows;
                        * 8: no frame is usually longer than USUAL_LEN;
                        * 16, 32, 64: bursts of 1 + this / 16 reads, every other in vain */
    uint8_t headroom;
    uint16_t max_len;
} Settings;

enum Step {
    ADD,      /* a buffer: number of pieces, 16 bits of length for each */
    ADD_MANY, /* number of buffers, 16 bits of length for all */
    READ,     /* how many at most, number of frames, 16 bits of length for each */
    COMPACT,
    LAST,
    DROP,     /* all buffers, as if the ring were stopped */
    N_STEPS,
};

/* What PktBuffers has to do, with nothing but lengths. */
typedef struct Model {
    bool waits;
    unsigned waiting; /* number of a frame */
    unsigned next;
    uint64_t too_long;
    bool usual;       /* lengths are, so far, and the netdev cares */
    bool starved;
    bool more;
    unsigned n;       /* packets of the last call */
    unsigned id[MAX_READ];
    unsigned first[MAX_READ];
} Model;

typedef struct Run {
    FuzzInput in;
    GuestBuffers *g;
    FrameSource source;
    Model m;
} Run;

static uint8_t take8(FuzzInput *in)
{
    uint8_t v;

    fuzz_take(in, &v, sizeof(v));
    return v;
}

static uint16_t take16(FuzzInput *in)
{
    uint16_t v;

    fuzz_take(in, &v, sizeof(v));
    return v;
}

/* Buffers that frame @id needs from m->next on; 0: there are too few. */
static unsigned model_need(const Run *r, unsigned id)
{
    const PktBuffers *b = &r->g->b;
    uint64_t need = (uint64_t)b->headroom + r->source.len[id];
    uint64_t have = 0;

    for (unsigned i = r->m.next; i < b->n && (b->merge || i == r->m.next); i++) {
        have += b->buf[i].len;
        if (have >= need) {
            return i - r->m.next + 1;
        }
    }
    return 0;
}

/* Bytes that a frame may have that is read plainly to buffer @i, with its header; -1: it is not. */
static long model_plain(const Run *r, unsigned i)
{
    const PktBuffers *b = &r->g->b;
    size_t first = b->buf[i].n_iov > 0 ? b->buf[i].iov[0].iov_len : 0;

    if (!r->m.usual || b->headroom != HDR_LEN || first <= HDR_LEN + USUAL_LEN) {
        return -1;
    }
    return (long)MIN(first - HDR_LEN - 1, b->max_len);
}

/* What becomes of frame @id. @first_of_call: all that @last is true of is there. */
static void model_put(Run *r, unsigned id, bool first_of_call)
{
    const PktBuffers *b = &r->g->b;
    unsigned need = model_need(r, id);

    r->m.waits = false;
    if (r->source.len[id] > b->max_len || b->buf[r->m.next].len < b->headroom) {
        r->m.too_long++;
    } else if (need > 0) {
        r->m.id[r->m.n] = id;
        r->m.first[r->m.n++] = r->m.next;
        r->m.next += need;
    } else if (!b->merge || (b->last && first_of_call)) {
        r->m.too_long++;
    } else {
        r->m.waits = true;
        r->m.waiting = id;
    }
}

/* A frame that was read to a place of @room bytes. */
static void model_put_placed(Run *r, unsigned id, long room)
{
    size_t next = r->g->b.buf[r->m.next].iov[0].iov_len - HDR_LEN;

    if ((long)r->source.len[id] > room || r->source.len[id] > next) {
        r->m.usual = false;
        r->m.too_long++;
        return;
    }
    r->m.id[r->m.n] = id;
    r->m.first[r->m.n++] = r->m.next++;
}

/* Frames from *@done on, by plain reads. False: there is no place for any. */
static bool model_burst(Run *r, unsigned max, unsigned *done)
{
    unsigned burst = r->source.burst ? r->source.burst : 1;
    long room[8];
    unsigned n = 0;

    for (unsigned i = r->m.next; n < burst && i < r->g->b.n && model_plain(r, i) >= 0; i++) {
        room[n++] = model_plain(r, i);
    }
    for (unsigned i = 0; i < n && r->m.n < max && *done < r->source.n; i++) {
        if (!(r->source.holes >> i & 1)) {
            model_put_placed(r, (*done)++, room[i]);
        }
    }
    return n > 0;
}

/* @done: the source's before the call. */
static void model_read(Run *r, unsigned max, unsigned done)
{
    unsigned start = r->m.next;
    unsigned left;
    unsigned tries;

    r->m.n = 0;
    r->m.starved = false;
    r->m.more = true;
    if (max > 0 && r->m.waits) {
        model_put(r, r->m.waiting, true);
    }
    left = max - r->m.n;
    for (tries = 0; r->m.n < max && tries < 4 * left; tries++) {
        r->m.starved = r->m.waits || r->m.next == r->g->b.n;
        if (r->m.starved || done == r->source.n) {
            r->m.more = false;
            break;
        }
        if (!model_burst(r, max, &done)) {
            model_put(r, done++, r->m.next == start);
        }
    }
    g_assert_cmpuint(done, ==, r->source.done);
}

static void step_add(Run *r, bool many)
{
    uint32_t len[8];
    unsigned n = many ? take8(&r->in) : take8(&r->in) % G_N_ELEMENTS(len);
    GuestBuffers *g = r->g;
    size_t sum = 0;

    for (unsigned i = 0; i < (many ? 1 : n); i++) {
        len[i] = take16(&r->in);
        len[i] = len[i] & 1 ? len[i] >> 1 : len[i] >> 9; /* many are small */
        sum += len[i] + 64;
    }
    if (!many && g->b.n < GUEST_MAX_BUFFERS && g->n_iov + n <= GUEST_MAX_PIECES &&
        g->used + sum <= GUEST_MEMORY) {
        guest_buffers_add(g, len, n);
    }
    for (; many && n > 0 && g->b.n < GUEST_MAX_BUFFERS && g->n_iov < GUEST_MAX_PIECES &&
           g->used + sum <= GUEST_MEMORY; n--) {
        guest_buffers_add_n(g, 1, len[0]);
    }
}

static void step_read(Run *r)
{
    unsigned max = take8(&r->in) % (MAX_READ + 1);
    unsigned frames = take8(&r->in) % 8;
    unsigned done = r->source.done;
    unsigned n;

    for (unsigned i = 0; i < frames && r->source.n < FRAME_SOURCE_MAX; i++) {
        uint32_t len = take16(&r->in);

        len = len & 1 ? PKT_MAX_LEN - (len >> 4) : len >> 4;
        frame_source_add(&r->source, &len, 1);
    }
    n = frame_source_read(&r->source, r->g, max);
    model_read(r, max, done);
    g_assert_cmpuint(n, ==, r->m.n);
    for (unsigned i = 0; i < n; i++) {
        frame_source_check(&r->source, r->g, i, r->m.id[i], r->m.first[i]);
    }
    g_assert_cmpuint(r->g->b.next, ==, r->m.next);
    g_assert_cmpuint(r->g->b.too_long, ==, r->m.too_long);
    g_assert_true(r->g->b.starved == r->m.starved);
    g_assert_true(r->g->b.more == r->m.more);
}

static void step(Run *r)
{
    PktBuffers *b = &r->g->b;

    switch (take8(&r->in) % N_STEPS) {
    case ADD:
        step_add(r, false);
        break;
    case ADD_MANY:
        step_add(r, true);
        break;
    case READ:
        step_read(r);
        break;
    case COMPACT:
        guest_buffers_compact(r->g);
        r->m.next = 0;
        break;
    case LAST:
        b->last = !b->last;
        break;
    default:
        g_assert_true(pkt_buffers_drop(b) == r->m.waits);
        r->m.waits = false;
        b->next = b->n;
        r->m.next = b->n;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree Run *r = g_new0(Run, 1);
    Settings s;

    r->in = (FuzzInput){ data, size };
    fuzz_take(&r->in, &s, sizeof(s));
    r->g = guest_buffers_new();
    r->g->dropped = true;
    r->g->b.merge = s.flags & 1;
    r->g->b.headroom = s.headroom % 25;
    r->g->b.max_len = s.flags & 4 ? s.max_len : PKT_MAX_LEN;
    frame_source_init(&r->source, s.flags & 2);
    r->g->b.usual_len = s.flags & 8 ? USUAL_LEN : 0;
    r->m.usual = (s.flags & 10) == 10;
    r->source.burst = s.flags >> 4 & 7 ? 1 + (s.flags >> 4 & 7) : 0;
    r->source.holes = r->source.burst ? 0x55 : 0;
    while (r->in.size > 0) {
        step(r);
    }
    guest_buffers_free(r->g);
    return 0;
}
