/*
 * Sums against RFC 1071's example and a naive reference.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/checksum.h"

#include <arpa/inet.h>
#include <glib.h>
#include <string.h>

#include "frames.h"

static uint16_t complement(uint64_t sum)
{
    return ntohs((uint16_t)~csum_fold(sum));
}

static void test_rfc1071_example(void)
{
    /* RFC 1071, section 3: the sum is ddf2. */
    static const uint8_t bytes[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

    g_assert_cmphex(ntohs(csum_fold(csum_add(0, bytes, sizeof(bytes)))), ==, 0xddf2);
}

static void test_every_length_and_alignment(void)
{
    uint8_t buf[300];
    size_t off;
    size_t len;

    for (len = 0; len < sizeof(buf); len++) {
        buf[len] = frame_byte(len);
    }
    for (off = 0; off < 9; off++) {
        for (len = 0; len + off <= sizeof(buf); len++) {
            g_assert_cmphex(complement(csum_add(0, buf + off, len)), ==,
                            frame_naive_csum(0, buf + off, len));
        }
    }
}

static void test_carries_come_around(void)
{
    g_autofree uint8_t *buf = g_malloc(65535);

    memset(buf, 0xff, 65535);
    g_assert_cmphex(complement(csum_add(0, buf, 65535)), ==, frame_naive_csum(0, buf, 65535));
    g_assert_cmphex(csum_fold(UINT64_MAX), ==, 0xffff);
    g_assert_cmphex(csum_fold(csum_add(UINT64_MAX, buf, 8)), ==, 0xffff);
}

static void test_random_pieces(void)
{
    uint8_t buf[2000];
    struct iovec iov[20];
    unsigned round;

    for (round = 0; round < 2000; round++) {
        size_t done = 0;
        unsigned n = 0;
        size_t off;
        size_t len;

        while (n < G_N_ELEMENTS(iov) && done < sizeof(buf)) {
            size_t part = (size_t)g_test_rand_int_range(0, 200);

            part = MIN(part, sizeof(buf) - done);
            iov[n++] = (struct iovec){ buf + done, part };
            done += part;
        }
        for (off = 0; off < sizeof(buf); off++) {
            buf[off] = (uint8_t)g_test_rand_int();
        }
        off = (size_t)g_test_rand_int_range(0, (gint32)done + 1);
        len = (size_t)g_test_rand_int_range(0, (gint32)(done - off) + 1);
        g_assert_cmphex(complement(csum_iov(iov, n, off, len)), ==,
                        frame_naive_csum(0, buf + off, len));
    }
}

static void test_pieces_that_end_early(void)
{
    uint8_t buf[10] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
    struct iovec iov[] = { { buf, 3 }, { buf + 3, 0 }, { buf + 3, 7 } };

    g_assert_cmphex(complement(csum_iov(iov, 3, 2, 1000)), ==, frame_naive_csum(0, buf + 2, 8));
    g_assert_cmphex(csum_fold(csum_iov(iov, 3, 10, 5)), ==, 0);
    g_assert_cmphex(csum_fold(csum_iov(iov, 3, 11, 5)), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/checksum/rfc1071-example", test_rfc1071_example);
    g_test_add_func("/net/checksum/every-length-and-alignment", test_every_length_and_alignment);
    g_test_add_func("/net/checksum/carries-come-around", test_carries_come_around);
    g_test_add_func("/net/checksum/random-pieces", test_random_pieces);
    g_test_add_func("/net/checksum/pieces-that-end-early", test_pieces_that_end_early);
    return g_test_run();
}
