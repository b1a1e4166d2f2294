/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port-set.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rpc.h"
#include "sock.h"

static void wake(int fd)
{
    uint64_t one = 1;
    ssize_t n;

    /*
     * Non-blocking, and never full unless who is to be woken filled it: then that end
     * misses its own event.
     */
    n = write(fd, &one, sizeof(one));
    (void)n;
}

void port_raise(uint32_t *word, int fd)
{
    uint32_t old = __atomic_fetch_or(word, PORT_PENDING, __ATOMIC_SEQ_CST);

    if ((old & (PORT_PENDING | PORT_MASKED)) == 0) {
        wake(fd);
    }
}

int port_set_init(PortSet *set)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
    int r;

    memset(set, 0, sizeof(*set));
    set->self_fd = -1;
    set->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (set->epfd < 0) {
        return -errno;
    }
    set->self_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (set->self_fd < 0 || epoll_ctl(set->epfd, EPOLL_CTL_ADD, set->self_fd, &ev) < 0) {
        r = -errno;
        sock_close(&set->self_fd);
        sock_close(&set->epfd);
        return r;
    }
    pthread_mutex_init(&set->lock, NULL);
    return 0;
}

void port_set_done(PortSet *set)
{
    sock_close(&set->self_fd);
    sock_close(&set->epfd);
    g_free(set->ports);
    pthread_mutex_destroy(&set->lock);
}

void port_init(Port *p, uint32_t number)
{
    memset(p, 0, sizeof(*p));
    p->number = number;
    p->mine = &p->own;
    p->peer_fd = -1;
    p->wake_fd = -1;
}

static int port_listen(PortSet *set, Port *p, int wake_fd)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET };

    if (wake_fd >= 0 && epoll_ctl(set->epfd, EPOLL_CTL_ADD, wake_fd, &ev) < 0) {
        return -errno;
    }
    p->wake_fd = wake_fd;
    return 0;
}

static void port_unlisten(PortSet *set, Port *p)
{
    if (p->wake_fd >= 0) {
        epoll_ctl(set->epfd, EPOLL_CTL_DEL, p->wake_fd, NULL);
        p->wake_fd = -1;
    }
}

int port_set_add(PortSet *set, Port *p)
{
    pthread_mutex_lock(&set->lock);
    if (set->n == set->room) {
        set->room = set->room ? set->room * 2 : 4;
        set->ports = g_renew(Port *, set->ports, set->room);
    }
    set->ports[set->n++] = p;
    pthread_mutex_unlock(&set->lock);
    return 0;
}

void port_set_remove(PortSet *set, Port *p)
{
    pthread_mutex_lock(&set->lock);
    port_unlisten(set, p);
    for (unsigned i = 0; i < set->n; i++) {
        if (set->ports[i] == p) {
            set->ports[i] = set->ports[--set->n];
            break;
        }
    }
    pthread_mutex_unlock(&set->lock);
}

static Port *port_set_find_locked(PortSet *set, uint32_t number)
{
    for (unsigned i = 0; i < set->n; i++) {
        if (set->ports[i]->number == number) {
            return set->ports[i];
        }
    }
    return NULL;
}

Port *port_set_find(PortSet *set, uint32_t number)
{
    Port *p;

    pthread_mutex_lock(&set->lock);
    p = port_set_find_locked(set, number);
    pthread_mutex_unlock(&set->lock);
    return p;
}

/* A word of one end that carries on what @p had. */
static uint32_t port_carry(const Port *p)
{
    uint32_t word = __atomic_load_n(p->mine, __ATOMIC_SEQ_CST) & PORT_PENDING;

    return word | (p->masked ? PORT_MASKED : 0);
}

int port_set_connect(PortSet *set, Port *p, uint32_t *mine, uint32_t *peer, int peer_fd,
                     int wake_fd)
{
    int r;

    pthread_mutex_lock(&set->lock);
    r = port_listen(set, p, wake_fd);
    if (r == 0) {
        if (mine) {
            __atomic_store_n(mine, port_carry(p), __ATOMIC_SEQ_CST);
            p->mine = mine;
        }
        p->peer = peer;
        p->peer_fd = peer_fd;
    }
    pthread_mutex_unlock(&set->lock);
    return r;
}

void port_set_disconnect(PortSet *set, Port *p)
{
    pthread_mutex_lock(&set->lock);
    p->own = port_carry(p);
    p->mine = &p->own;
    p->peer = NULL;
    p->peer_fd = -1;
    port_unlisten(set, p);
    if (p->own == PORT_PENDING) {
        wake(set->self_fd);
    }
    pthread_mutex_unlock(&set->lock);
}

void port_set_raise(PortSet *set, Port *p)
{
    pthread_mutex_lock(&set->lock);
    port_raise(p->mine, set->self_fd);
    pthread_mutex_unlock(&set->lock);
}

int port_set_notify(PortSet *set, uint32_t number)
{
    Port *p;

    pthread_mutex_lock(&set->lock);
    p = port_set_find_locked(set, number);
    if (p && p->peer) {
        port_raise(p->peer, p->peer_fd);
    }
    pthread_mutex_unlock(&set->lock);
    return p ? 0 : -ENOTCONN;
}

/* The next port that is pending and not masked, or NULL. */
static Port *port_set_look(PortSet *set)
{
    for (unsigned i = 0; i < set->n; i++) {
        Port *p = set->ports[(set->next + i) % set->n];

        if (!p->masked && (__atomic_load_n(p->mine, __ATOMIC_ACQUIRE) & PORT_PENDING)) {
            set->next = (set->next + i + 1) % set->n;
            return p;
        }
    }
    return NULL;
}

static int port_take(Port *p)
{
    p->masked = true;
    /* From here on the other end sets pending without waking us. */
    __atomic_exchange_n(p->mine, PORT_MASKED, __ATOMIC_SEQ_CST);
    return (int)p->number;
}

int port_set_pending(PortSet *set)
{
    struct epoll_event ev[16];
    int port = -EAGAIN;
    Port *p;
    int n;

    pthread_mutex_lock(&set->lock);
    p = port_set_look(set);
    if (!p) {
        /* Take the edges away, or the handle stays readable for nothing; look again. */
        for (unsigned taken = 0; taken <= set->n; taken += G_N_ELEMENTS(ev)) {
            n = epoll_wait(set->epfd, ev, G_N_ELEMENTS(ev), 0);
            if (n < (int)G_N_ELEMENTS(ev)) {
                break;
            }
        }
        p = port_set_look(set);
        if (p) {
            port = port_take(p);
            if (port_set_look(set)) {
                wake(set->self_fd);
            }
        }
    } else {
        port = port_take(p);
    }
    pthread_mutex_unlock(&set->lock);
    return port;
}

int port_set_unmask(PortSet *set, uint32_t number)
{
    uint32_t old;
    Port *p;

    pthread_mutex_lock(&set->lock);
    p = port_set_find_locked(set, number);
    if (p && p->masked) {
        p->masked = false;
        old = __atomic_fetch_and(p->mine, ~PORT_MASKED, __ATOMIC_SEQ_CST);
        if (old & PORT_PENDING) {
            wake(set->self_fd);
        }
    }
    pthread_mutex_unlock(&set->lock);
    return p ? 0 : -ENOTCONN;
}

int port_set_test_and_clear(PortSet *set, uint32_t number)
{
    uint32_t old = 0;
    Port *p;

    pthread_mutex_lock(&set->lock);
    p = port_set_find_locked(set, number);
    if (p) {
        old = __atomic_fetch_and(p->mine, ~PORT_PENDING, __ATOMIC_SEQ_CST);
    }
    pthread_mutex_unlock(&set->lock);
    return p ? (old & PORT_PENDING) != 0 : -ENOTCONN;
}
