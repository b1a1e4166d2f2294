/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/checksum.h"

#include <string.h>

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* One's complement addition: what is carried out comes in at the other end. */
static inline uint64_t add_carry(uint64_t sum, uint64_t v)
{
    sum += v;
    return sum + (sum < v);
}

uint64_t csum_add(uint64_t sum, const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t other = 0;
    uint64_t tail = 0;

    /* Two sums, because each addition waits for the carry of the one before. */
    for (; len >= 64; len -= 64, p += 64) {
        sum = add_carry(sum, load64(p));
        other = add_carry(other, load64(p + 8));
        sum = add_carry(sum, load64(p + 16));
        other = add_carry(other, load64(p + 24));
        sum = add_carry(sum, load64(p + 32));
        other = add_carry(other, load64(p + 40));
        sum = add_carry(sum, load64(p + 48));
        other = add_carry(other, load64(p + 56));
    }
    for (; len >= 32; len -= 32, p += 32) {
        sum = add_carry(sum, load64(p));
        other = add_carry(other, load64(p + 8));
        sum = add_carry(sum, load64(p + 16));
        other = add_carry(other, load64(p + 24));
    }
    for (; len >= 8; len -= 8, p += 8) {
        sum = add_carry(sum, load64(p));
    }
    memcpy(&tail, p, len);
    return add_carry(add_carry(sum, other), tail);
}

uint16_t csum_fold(uint64_t sum)
{
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)sum;
}

uint64_t csum_iov(const struct iovec *iov, unsigned n_iov, size_t off, size_t len)
{
    uint64_t sum = 0;
    size_t done = 0;
    unsigned i;

    for (i = 0; i < n_iov && done < len; i++) {
        size_t n = iov[i].iov_len;
        uint64_t part;

        if (off >= n) {
            off -= n;
            continue;
        }
        n = n - off < len - done ? n - off : len - done;
        part = csum_add(0, (const uint8_t *)iov[i].iov_base + off, n);
        if (done & 1) {
            /* Its bytes stand in the other halves of the 16-bit words. */
            part = __builtin_bswap16(csum_fold(part));
        }
        sum = add_carry(sum, part);
        done += n;
        off = 0;
    }
    return sum;
}
