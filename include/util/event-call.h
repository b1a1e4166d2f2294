/*
 * Adds 1 to an eventfd that somebody else has, too, and never waits. A write() can: whether it
 * does is a flag of the file that its other owner may change at any moment, even between our look
 * and the call, and then a counter that is full is waited for. So the kernel adds it, at the end
 * of a request that ends at once (io_submit(2), IOCB_FLAG_RESFD).
 *
 * Costs 2.5 times as much as write(). Where the kernel has no such requests for us (sysctl
 * fs.aio-max-nr, a container's filter) it is write() after a look.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_EVENT_CALL_H
#define UTIL_EVENT_CALL_H

#include <stdbool.h>

/* Of one thread, or in the hands of one at a time. All zeros: nothing was made yet. */
typedef struct EventCall {
    unsigned long context; /* the kernel's; 0: none */
    int ready_fd;          /* what can be read at once */
    bool refused;          /* there is none to be had */
} EventCall;

/* @fd: an eventfd; -1 and others: nothing happens. A counter that is full stays so. */
void event_call(EventCall *c, int fd);

/* It may be used again afterwards. */
void event_call_done(EventCall *c);

#endif
