/*
 * What a queue of any device has, whatever ring it is on: a thread that polls it, a way to pause
 * it, a way to say that the other end broke the protocol. A bus's queue (xen-queue.h) or a device's
 * own embeds it.
 *
 * A queue belongs to the main thread until device_queue_start() and from device_queue_stop() on,
 * in between to its iothread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CORE_DEVICE_QUEUE_H
#define HW_CORE_DEVICE_QUEUE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/iothread.h"

typedef struct DeviceQueue DeviceQueue;

/* What a round came to. */
typedef enum QueueVerdict {
    QUEUE_IDLE,      /* there was nothing to do */
    QUEUE_WORK,      /* there was something: look again soon */
    QUEUE_VIOLATION, /* the other end broke the protocol, DeviceQueue.violation says how */
} QueueVerdict;

/* All of it runs in the queue's thread. */
typedef struct DeviceQueueOps {
    /* One bounded round. Behind QUEUE_VIOLATION it is not called again. */
    QueueVerdict (*poll)(DeviceQueue *q);
    /* About to sleep: asks for events and looks once more. True: there is work already. */
    bool (*arm)(DeviceQueue *q);
    /* The thread takes the queue, or gives it back: its sources. 0 or -errno. Optional. */
    int (*attach)(DeviceQueue *q);
    void (*detach)(DeviceQueue *q);
    /* It was paused for @ns of clock_ns(). Optional. */
    void (*resume)(DeviceQueue *q, uint64_t ns);
} DeviceQueueOps;

/* Tells the main thread that a queue stopped; one for all queues of a device. */
typedef struct DeviceFaults {
    int fd;
    guint source;
    void (*fn)(void *opaque); /* main thread; device_queue_fault() of each queue says which */
    void *opaque;
} DeviceFaults;

struct DeviceQueue {
    const DeviceQueueOps *ops;
    unsigned index;
    DeviceFaults *faults;
    IoThread *thread;
    bool own_thread;
    bool running;        /* the thread has it */
    int attach_error;

    /* the thread's */
    IoPoller poller;
    bool paused;
    uint64_t paused_at;    /* in clock_ns() */
    const char *violation; /* a literal */
    const char *fault;     /* why nothing moves any more; atomic, set once */
};

/* --- main thread --- */

/* @fn(@opaque) runs in the main loop. False: no descriptor. */
bool device_faults_init(DeviceFaults *f, void (*fn)(void *opaque), void *opaque, GError **error);
void device_faults_done(DeviceFaults *f); /* fine for a zeroed one */

/* Everything given outlives the queue. */
void device_queue_init(DeviceQueue *q, const DeviceQueueOps *ops, unsigned index,
                       DeviceFaults *faults);
/* Hands it to @thread; NULL: one of its own, called @name. */
bool device_queue_start(DeviceQueue *q, IoThread *thread, const char *name, GError **error);
/* Takes it back. Idempotent, and fine for a zeroed queue. */
void device_queue_stop(DeviceQueue *q);
/* Paused, it is not polled. */
void device_queue_set_paused(DeviceQueue *q, bool paused);
/* Why it stopped by itself; NULL: it did not. Any thread. */
const char *device_queue_fault(const DeviceQueue *q);

/* --- the queue's thread --- */

/* Notes a protocol violation, a literal; false. The round then ends with QUEUE_VIOLATION. */
static inline bool device_queue_violation(DeviceQueue *q, const char *reason)
{
    q->violation = reason;
    return false;
}

/* Nothing of this queue moves any more; the main thread is told. @reason: a literal. */
void device_queue_break(DeviceQueue *q, const char *reason);

/* Polls again at @ns of clock_ns() at the latest. */
static inline void device_queue_wake_at(DeviceQueue *q, uint64_t ns)
{
    if (q->poller.wake_ns == 0 || ns < q->poller.wake_ns) {
        q->poller.wake_ns = ns;
    }
}

#endif
