/*
 * The Internet checksum (RFC 1071). Sums are kept unfolded in 64 bits, over bytes in
 * the order they have in memory, so that they need no byte swapping: what csum_fold()
 * returns is stored as it is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_CHECKSUM_H
#define NET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Adds @len bytes, which stand at an even place of the whole, to @sum. */
uint64_t csum_add(uint64_t sum, const void *data, size_t len);

/* The sum in 16 bits, not complemented: what a pseudo-header's field holds. */
uint16_t csum_fold(uint64_t sum);

/*
 * The sum of @len bytes at offset @off of the pieces, whatever lengths these have. Less if
 * the pieces end before.
 */
uint64_t csum_iov(const struct iovec *iov, unsigned n_iov, size_t off, size_t len);

#endif
