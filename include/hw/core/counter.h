/*
 * Counters of a device's queues. Each belongs to one queue and is written by its thread only;
 * tables say what there is, so that queries, the manual and ringtap-top need not know a class.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CORE_COUNTER_H
#define HW_CORE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

typedef struct Counter {
    const char *name;   /* "drop-full" */
    const char *unit;   /* what one of it is, in the plural: "packets", "bytes" */
    const char *help;   /* one clause, no full stop */
    size_t offset;      /* of a uint64_t in the group's struct */
} Counter;

/* The counters of a direction: a struct within those of a queue. */
typedef struct CounterGroup {
    const char *name;          /* "tx", "read" */
    size_t offset;
    const Counter *counters;   /* ends with a NULL name */
} CounterGroup;

/* The owner's way to count: no read-modify-write on the bus, no torn reads for others. */
static inline void counter_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Any thread. */
static inline uint64_t counter_read(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* The value of @c in the counters of a queue, @stats. Any thread. */
static inline uint64_t counter_value(const void *stats, const CounterGroup *g, const Counter *c)
{
    return counter_read((const void *)((const char *)stats + g->offset + c->offset));
}

#endif
