/*
 * A queue's life: made and unmade by the main thread, run by its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/device-queue.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/container-of.h"
#include "util/fd.h"

/* --- faults --- */

static gboolean faults_ready(gint fd, GIOCondition condition, gpointer opaque)
{
    DeviceFaults *f = opaque;
    uint64_t n;

    if (read(fd, &n, sizeof(n)) == sizeof(n)) {
        f->fn(f->opaque);
    }
    return G_SOURCE_CONTINUE;
}

bool device_faults_init(DeviceFaults *f, void (*fn)(void *opaque), void *opaque, GError **error)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot create an eventfd: %s", g_strerror(errno));
        return false;
    }
    *f = (DeviceFaults){ .fd = fd, .fn = fn, .opaque = opaque };
    f->source = g_unix_fd_add(fd, G_IO_IN, faults_ready, f);
    return true;
}

void device_faults_done(DeviceFaults *f)
{
    if (f->source) {
        g_source_remove(f->source);
        fd_close(&f->fd);
        f->source = 0;
    }
}

/* --- in the thread --- */

void device_queue_break(DeviceQueue *q, const char *reason)
{
    uint64_t one = 1;

    if (q->fault) {
        return;
    }
    __atomic_store_n(&q->fault, reason, __ATOMIC_RELEASE); /* pairs with device_queue_fault() */
    if (write(q->faults->fd, &one, sizeof(one)) < 0) {
        return; /* full: main has been told already */
    }
}

static bool queue_poll(IoPoller *p)
{
    DeviceQueue *q = container_of(p, DeviceQueue, poller);
    QueueVerdict v;

    if (q->fault || q->paused) {
        return false;
    }
    p->wake_ns = 0;
    v = q->ops->poll(q);
    if (v == QUEUE_VIOLATION) {
        g_assert(q->violation);
        device_queue_break(q, q->violation);
        return false;
    }
    return v == QUEUE_WORK;
}

static bool queue_arm(IoPoller *p)
{
    DeviceQueue *q = container_of(p, DeviceQueue, poller);

    if (q->fault || q->paused) {
        p->wake_ns = 0;
        return false; /* no events are wanted */
    }
    return q->ops->arm(q);
}

static void queue_attach(void *opaque)
{
    DeviceQueue *q = opaque;

    q->attach_error = q->ops->attach ? q->ops->attach(q) : 0;
    if (q->attach_error < 0) {
        return;
    }
    q->running = true;
    io_thread_add_poller(q->thread, &q->poller);
}

static void queue_detach(void *opaque)
{
    DeviceQueue *q = opaque;

    io_thread_remove_poller(q->thread, &q->poller);
    if (q->ops->detach) {
        q->ops->detach(q);
    }
    q->running = false;
}

static void queue_pause(void *opaque)
{
    DeviceQueue *q = opaque;

    if (!q->paused) {
        q->paused = true;
        q->paused_at = clock_ns();
    }
}

static void queue_resume(void *opaque)
{
    DeviceQueue *q = opaque;

    if (!q->paused) {
        return;
    }
    q->paused = false;
    if (q->ops->resume) {
        q->ops->resume(q, clock_ns() - q->paused_at);
    }
}

/* --- main thread --- */

void device_queue_init(DeviceQueue *q, const DeviceQueueOps *ops, unsigned index,
                       DeviceFaults *faults)
{
    *q = (DeviceQueue){
        .ops = ops,
        .index = index,
        .faults = faults,
        .poller = { .poll = queue_poll, .arm = queue_arm },
    };
}

bool device_queue_start(DeviceQueue *q, IoThread *thread, const char *name, GError **error)
{
    q->thread = thread ? thread : io_thread_new(name, error);
    q->own_thread = !thread && q->thread;
    if (!q->thread) {
        return false;
    }
    io_thread_call(q->thread, queue_attach, q);
    if (!q->running) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "queue %u: cannot wait for its file descriptors: %s", q->index,
                    g_strerror(-q->attach_error));
    }
    return q->running;
}

void device_queue_stop(DeviceQueue *q)
{
    if (q->running) {
        io_thread_call(q->thread, queue_detach, q);
    }
    if (q->own_thread) {
        io_thread_free(q->thread);
        q->own_thread = false;
    }
    q->thread = NULL;
}

void device_queue_set_paused(DeviceQueue *q, bool paused)
{
    if (q->running) {
        io_thread_call(q->thread, paused ? queue_pause : queue_resume, q);
    } else {
        q->paused = paused;
    }
}

const char *device_queue_fault(const DeviceQueue *q)
{
    return __atomic_load_n(&q->fault, __ATOMIC_ACQUIRE); /* pairs with device_queue_break() */
}
