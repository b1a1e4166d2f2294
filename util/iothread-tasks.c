/*
 * What others have an iothread do, and how its end gets back to them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

#include "iothread-internal.h"
#include "util/container-of.h"

void io_wake_fd(int fd)
{
    uint64_t one = 1;

    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR) {
        continue;
    }
}

static void io_list_append(IoTaskList *l, IoTask *task)
{
    task->next = NULL;
    if (l->last) {
        l->last->next = task;
    } else {
        l->first = task;
    }
    l->last = task;
}

static IoTask *io_list_pop(IoTaskList *l)
{
    IoTask *task = l->first;

    if (task) {
        l->first = task->next;
        if (!l->first) {
            l->last = NULL;
        }
    }
    return task;
}

static void io_finish(IoThread *t, IoTask *task)
{
    bool first;

    pthread_mutex_lock(&t->lock);
    first = !t->finished.first;
    io_list_append(&t->finished, task);
    task->complete = true;
    pthread_cond_broadcast(&t->cond);
    pthread_mutex_unlock(&t->lock);
    if (first) {
        io_wake_fd(t->finished_fd);
    }
}

/* What is posted meanwhile waits for the next round: a task may post itself again. */
bool io_tasks_run(IoThread *t)
{
    IoTaskList tasks;
    IoTask *task;
    bool any;

    pthread_mutex_lock(&t->lock);
    tasks = t->tasks;
    t->tasks = (IoTaskList){ 0 };
    pthread_mutex_unlock(&t->lock);
    any = tasks.first != NULL;
    while ((task = io_list_pop(&tasks)) != NULL) {
        bool answered = task->done != NULL;

        t->open_tasks++;
        if (task->run(task)) {
            t->open_tasks--;
            if (answered) {
                io_finish(t, task);
            }
        }
    }
    return any;
}

void io_task_complete(IoTask *task)
{
    IoThread *t = task->thread;

    g_assert(t->open_tasks > 0);
    t->open_tasks--;
    if (task->done) {
        io_finish(t, task);
    }
}

/* A task's owner may free the thread: it is not touched once the tasks are taken off it. */
void io_tasks_deliver(IoThread *t)
{
    IoTaskList finished;
    IoTask *task;

    pthread_mutex_lock(&t->lock);
    finished = t->finished;
    t->finished = (IoTaskList){ 0 };
    pthread_mutex_unlock(&t->lock);
    while ((task = io_list_pop(&finished)) != NULL) {
        task->done(task);
    }
}

static gboolean io_finished_ready(gint fd, GIOCondition condition, gpointer opaque)
{
    uint64_t n;

    if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN) {
        return G_SOURCE_CONTINUE;
    }
    io_tasks_deliver(opaque);
    return G_SOURCE_CONTINUE;
}

bool io_inflight_drain(IoInflight *f, IoTask *drain)
{
    g_assert(!f->drain);
    if (f->n > 0) {
        f->drain = drain;
    }
    return f->n == 0;
}

void io_inflight_end(IoInflight *f)
{
    g_assert(f->n > 0);
    f->n--;
    if (f->n == 0 && f->drain) {
        io_task_complete(g_steal_pointer(&f->drain));
    }
}

void io_tasks_follow(IoThread *t)
{
    g_autoptr(GMainContext) context = g_main_context_ref_thread_default();

    t->finished_source = g_unix_fd_source_new(t->finished_fd, G_IO_IN);
    g_source_set_callback(t->finished_source, G_SOURCE_FUNC(io_finished_ready), t, NULL);
    g_source_attach(t->finished_source, context);
}

void io_tasks_unfollow(IoThread *t)
{
    g_source_destroy(t->finished_source);
    g_source_unref(t->finished_source);
}

/* Where there are tasks already, the thread is about to run them, and has been woken. */
void io_thread_post(IoThread *t, IoTask *task)
{
    bool first;

    task->thread = t;
    task->complete = false;
    pthread_mutex_lock(&t->lock);
    first = !t->tasks.first;
    io_list_append(&t->tasks, task);
    pthread_mutex_unlock(&t->lock);
    if (first) {
        io_wake_fd(t->control.fd);
    }
}

void io_task_wait(IoTask *task)
{
    IoThread *t = task->thread;

    pthread_mutex_lock(&t->lock);
    while (!task->complete) {
        pthread_cond_wait(&t->cond, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
}

typedef struct IoCall {
    IoTask task;
    void (*fn)(void *opaque);
    void *opaque;
    bool done; /* under the thread's lock */
} IoCall;

static bool io_call_run(IoTask *task)
{
    IoCall *c = container_of(task, IoCall, task);
    IoThread *t = task->thread;

    c->fn(c->opaque);
    pthread_mutex_lock(&t->lock);
    c->done = true;
    pthread_cond_broadcast(&t->cond);
    pthread_mutex_unlock(&t->lock);
    return true;
}

void io_thread_call(IoThread *t, void (*fn)(void *opaque), void *opaque)
{
    IoCall c = { .task.run = io_call_run, .fn = fn, .opaque = opaque };

    io_thread_post(t, &c.task);
    pthread_mutex_lock(&t->lock);
    while (!c.done) {
        pthread_cond_wait(&t->cond, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
}
