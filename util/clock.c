/*
 * A process has one time, so this is one of the few places with state of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/clock.h"

#include <glib.h>
#include <pthread.h>
#include <time.h>

/* Where virtual time starts in clock_ns(), for which 0 is no time. */
#define EPOCH_NS 1000000000ull

static struct {
    uint64_t virtual_ns;  /* relaxed atomic; 0: time is not virtual */
    pthread_mutex_t lock; /* for waiters; not GMutex: TSan cannot see into glib */
    ClockWaiter *waiters;
} clock_state = { .lock = PTHREAD_MUTEX_INITIALIZER };

uint64_t clock_monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_ns(void)
{
    uint64_t ns = __atomic_load_n(&clock_state.virtual_ns, __ATOMIC_RELAXED);

    return ns != 0 ? ns : clock_monotonic_ns();
}

void clock_start_virtual(void)
{
    __atomic_store_n(&clock_state.virtual_ns, EPOCH_NS, __ATOMIC_RELAXED);
}

bool clock_is_virtual(void)
{
    return __atomic_load_n(&clock_state.virtual_ns, __ATOMIC_RELAXED) != 0;
}

uint64_t clock_virtual_ns(void)
{
    g_assert(clock_is_virtual());
    return clock_ns() - EPOCH_NS;
}

void clock_set_virtual_ns(uint64_t ns)
{
    g_assert(clock_is_virtual());
    pthread_mutex_lock(&clock_state.lock);
    if (ns > clock_virtual_ns() && ns <= UINT64_MAX - EPOCH_NS) {
        __atomic_store_n(&clock_state.virtual_ns, ns + EPOCH_NS, __ATOMIC_RELAXED);
    }
    for (ClockWaiter *w = clock_state.waiters; w; w = w->next) {
        w->wake(w);
    }
    pthread_mutex_unlock(&clock_state.lock);
}

void clock_add_waiter(ClockWaiter *w)
{
    pthread_mutex_lock(&clock_state.lock);
    w->next = clock_state.waiters;
    clock_state.waiters = w;
    pthread_mutex_unlock(&clock_state.lock);
}

void clock_remove_waiter(ClockWaiter *w)
{
    pthread_mutex_lock(&clock_state.lock);
    for (ClockWaiter **link = &clock_state.waiters; *link; link = &(*link)->next) {
        if (*link == w) {
            *link = w->next;
            break;
        }
    }
    pthread_mutex_unlock(&clock_state.lock);
}

bool clock_next_deadline(uint64_t *ret_ns)
{
    uint64_t first = 0;

    pthread_mutex_lock(&clock_state.lock);
    for (ClockWaiter *w = clock_state.waiters; w; w = w->next) {
        uint64_t ns = __atomic_load_n(&w->deadline_ns, __ATOMIC_RELAXED);

        if (ns != 0 && (first == 0 || ns < first)) {
            first = ns;
        }
    }
    pthread_mutex_unlock(&clock_state.lock);
    *ret_ns = MAX(first, EPOCH_NS) - EPOCH_NS;
    return first != 0;
}
