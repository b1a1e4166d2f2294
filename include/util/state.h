/*
 * The bytes of the state of something that goes to another process: numbers big endian, in an order
 * that both know. What is read comes from anybody.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_STATE_H
#define UTIL_STATE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The lowest @size bytes of @value, 1 to 8. */
void state_put(GByteArray *out, uint64_t value, unsigned size);
void state_put_bytes(GByteArray *out, const void *data, size_t len);

typedef struct StateReader {
    const uint8_t *data;
    size_t left;
    bool failed; /* more was wanted than there is */
} StateReader;

/* 0, and for good failed, if it is not there. */
uint64_t state_get(StateReader *r, unsigned size);
void state_get_bytes(StateReader *r, void *data, size_t len); /* zeros, likewise */
/* All was there, and nothing more. */
bool state_is_whole(const StateReader *r);

#endif
