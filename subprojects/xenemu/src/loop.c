/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loop.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sock.h"

struct Loop {
    int epfd;
    int stop_fd;
    bool running;
    pthread_t thread;
};

Loop *loop_new(void)
{
    struct epoll_event ev = { .events = EPOLLIN };
    Loop *l = g_new0(Loop, 1);

    l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (l->stop_fd < 0 || l->epfd < 0 ||
        epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->stop_fd, &ev) < 0) {
        loop_free(l);
        return NULL;
    }
    return l;
}

void loop_free(Loop *l)
{
    sock_close(&l->stop_fd);
    sock_close(&l->epfd);
    g_free(l);
}

int loop_add(Loop *l, Source *s, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = s };

    s->events = events;
    return epoll_ctl(l->epfd, EPOLL_CTL_ADD, s->fd, &ev) < 0 ? -errno : 0;
}

void loop_set_events(Loop *l, Source *s, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = s };

    if (s->events != events) {
        s->events = events;
        epoll_ctl(l->epfd, EPOLL_CTL_MOD, s->fd, &ev);
    }
}

void loop_remove(Loop *l, Source *s)
{
    epoll_ctl(l->epfd, EPOLL_CTL_DEL, s->fd, NULL);
}

static void *loop_run(void *opaque)
{
    Loop *l = opaque;
    struct epoll_event ev;
    int n;

    for (;;) {
        /* One at a time: a source may then free any other one. epoll takes turns. */
        n = epoll_wait(l->epfd, &ev, 1, -1);
        if (n == 1 && !ev.data.ptr) {
            return NULL;
        }
        if (n == 1) {
            Source *s = ev.data.ptr;

            s->ready(s, ev.events);
        }
    }
}

int loop_start(Loop *l)
{
    sigset_t all, old;
    int r;

    /* Signals are for the program's own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&l->thread, NULL, loop_run, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    l->running = r == 0;
    if (l->running) {
        pthread_setname_np(l->thread, "xenemu");
    }
    return -r;
}

void loop_stop(Loop *l)
{
    uint64_t one = 1;
    ssize_t n;

    if (l->running) {
        n = write(l->stop_fd, &one, sizeof(one));
        (void)n;
        pthread_join(l->thread, NULL);
        l->running = false;
    }
}
