/*
 * Any bytes of the other end of a stream socket, in pieces of any size: what comes out are the
 * frames that a parser of all the bytes at once finds, in order, and the connection ends where that
 * finds a length that must not be.
 *
 * An input: records of 8 bytes (struct Record). Each is a length in network order as the other end
 * says it, that many bytes or others, and how much of it all is written before the next read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stream-queue.h"

#include <glib.h>
#include <string.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "util/fd.h"

#define BATCH     8u
#define WIRE_MAX  (2u << 20)
#define FRAME_MIN 14u

typedef struct Record {
    uint8_t said[4];
    uint16_t bytes; /* behind it, if exact is not set */
    uint8_t exact;  /* odd: as many as it says; of the first one, 2: for a NIC of short frames */
    uint8_t piece;  /* written at once: its 4th power, and 1 */
} Record;

typedef struct Run {
    GByteArray *wire;
    GByteArray *pieces; /* a byte for each record */
    Netdev nd;          /* as far as a queue asks it */
    StreamQueue s;
    int other;
    PktArena arena;
    guint read;         /* how much of the wire was judged by expect_frame() */
    bool wrong;         /* it found a length that ends the connection */
} Run;

static uint32_t wire_length(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void run_add(Run *r, const Record *record)
{
    guint at = r->wire->len + 4;
    uint32_t n = record->exact & 1 ? wire_length(record->said) : record->bytes;

    n = MIN(n, 80000u);
    g_byte_array_append(r->wire, record->said, 4);
    g_byte_array_set_size(r->wire, at + n);
    for (uint32_t i = 0; i < n; i++) {
        r->wire->data[at + i] = (uint8_t)(i * 7 + at);
    }
    g_byte_array_append(r->pieces, &record->piece, 1);
}

/* Where the next frame for the guest is in what was written; false: there is none. */
static bool expect_frame(Run *r, guint written, guint *ret_at, uint32_t *ret_len)
{
    while (!r->wrong && written - r->read >= STREAM_HEADER) {
        uint32_t len = wire_length(r->wire->data + r->read);

        r->wrong = len > STREAM_FRAME_MAX;
        if (r->wrong || written - r->read - STREAM_HEADER < len) {
            return false;
        }
        *ret_at = r->read + STREAM_HEADER;
        *ret_len = len;
        r->read += STREAM_HEADER + len;
        if (len >= (r->nd.short_frames ? 1 : FRAME_MIN) && len <= PKT_MAX_LEN) {
            return true;
        }
    }
    return false;
}

static void read_all(Run *r, guint written)
{
    struct iovec iov[BATCH];
    Pkt pkt[BATCH];
    unsigned idle = 0;

    /* A call that drops much returns with nothing, though more is there. */
    while (idle < 3 + r->wire->len / STREAM_HEADER / 4096) {
        unsigned n;

        pkt_arena_reset(&r->arena);
        n = stream_queue_recv(&r->s.q, &r->arena, pkt, iov, BATCH);
        g_assert_cmpuint(n, <=, BATCH);
        idle = n == 0 ? idle + 1 : 0;
        for (unsigned i = 0; i < n; i++) {
            guint at = 0;
            uint32_t len = 0;

            g_assert_true(expect_frame(r, written, &at, &len));
            g_assert_cmpmem(pkt[i].iov[0].iov_base, pkt[i].len, r->wire->data + at, len);
        }
    }
}

static void run_open(Run *r)
{
    int fd[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), ==, 0);
    r->other = fd[1];
    g_assert_true(stream_queue_init(&r->s, NULL));
    r->s.q.fd = fd[0];
    r->s.q.nd = &r->nd;
    g_assert_cmpint(pkt_arena_init(&r->arena, BATCH * PKT_ARENA_MIN), ==, 0);
    stream_queue_start(&r->s);
}

static void run_close(Run *r)
{
    stream_queue_done(&r->s);
    pkt_arena_done(&r->arena);
    fd_close(&r->s.q.fd);
    fd_close(&r->other);
    g_byte_array_unref(r->wire);
    g_byte_array_unref(r->pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Run *r = g_aligned_alloc0(1, sizeof(*r), 64); /* a sanitizer's stack has less */
    FuzzInput in = { data, size };
    guint at = 0;
    uint32_t len;

    r->wire = g_byte_array_new();
    r->pieces = g_byte_array_new();
    r->s.ended_fd = -1;
    while (in.size > 0 && r->wire->len < WIRE_MAX) {
        Record record;

        fuzz_take(&in, &record, sizeof(record));
        if (r->wire->len == 0) {
            r->nd.short_frames = record.exact & 2;
        }
        run_add(r, &record);
    }
    run_open(r);
    for (guint i = 0, written = 0; written < r->wire->len && !r->s.ended; i++) {
        uint32_t piece = r->pieces->data[i % r->pieces->len];
        size_t n = MIN((size_t)piece * piece * piece * piece + 1, r->wire->len - written);
        ssize_t sent = send(r->other, r->wire->data + written, n, MSG_DONTWAIT | MSG_NOSIGNAL);

        g_assert_cmpint(sent, >, 0);
        written += (guint)sent;
        read_all(r, written);
        g_assert_false(expect_frame(r, written, &at, &len));
        g_assert_true(r->s.ended == r->wrong);
    }
    run_close(r);
    g_aligned_free(r);
    return 0;
}
