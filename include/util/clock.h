/*
 * The time that waits and time-outs are measured in: CLOCK_MONOTONIC, or, with -accel
 * qtest, a virtual time that stands still until a test moves it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Never 0, never less than before. Any thread; fit for a data path. */
uint64_t clock_ns(void);

/* CLOCK_MONOTONIC, also while time is virtual: for measuring ourselves. */
uint64_t clock_monotonic_ns(void);

/* From now on time is virtual. Main thread, before others exist. There is no way back. */
void clock_start_virtual(void);
bool clock_is_virtual(void);

/* Virtual time as tests count it, from 0. */
uint64_t clock_virtual_ns(void);

/* Moves virtual time on to @ns, not back, and wakes all waiters. Main thread. */
void clock_set_virtual_ns(uint64_t ns);

/*
 * Somebody who waits for a time. Embedded in its owner. @wake is called with a lock held:
 * it only makes the owner look at the clock again.
 */
typedef struct ClockWaiter ClockWaiter;
struct ClockWaiter {
    void (*wake)(ClockWaiter *w);
    uint64_t deadline_ns; /* relaxed atomic; in clock_ns(); 0: none */
    ClockWaiter *next;    /* the clock's own */
};

/* Any thread. After clock_remove_waiter() no @wake is running any more. */
void clock_add_waiter(ClockWaiter *w);
void clock_remove_waiter(ClockWaiter *w);

/* The earliest deadline of all waiters, as tests count; false: there is none. */
bool clock_next_deadline(uint64_t *ret_ns);

#endif
