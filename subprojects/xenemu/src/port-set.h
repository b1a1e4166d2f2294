/*
 * The ports of one handle: pending and mask bits, and who is woken by what.
 *
 * The two bits of an end are in one word, so that "set pending, unless masked wake" is
 * one atomic operation, as it is in Xen. The word is shared with the other end, which may
 * be hostile: what we have masked is therefore remembered in private too, and a port is
 * given out at most once for an unmask, however the other side scribbles.
 *
 * A handle waits in an epoll, edge-triggered, so that nothing has to be read. Whoever
 * finds that it took an edge away while something is still pending (or unmasks what is
 * pending) writes the handle's own eventfd: thus the epoll is readable whenever a port
 * is pending and not masked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_PORT_SET_H
#define XENEMU_PORT_SET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Port {
    uint32_t number;
    uint32_t own;   /* the word while there is no shared one */
    uint32_t *mine; /* our word */
    uint32_t *peer; /* the other end's word; NULL: there is no other end */
    int peer_fd;    /* wakes the other end */
    int wake_fd;    /* wakes us, -1: only the handle's own eventfd does */
    bool masked;
} Port;

typedef struct PortSet {
    pthread_mutex_t lock; /* for what follows, and the ports' members */
    int epfd;
    int self_fd;
    Port **ports;
    unsigned n;
    unsigned room;
    unsigned next;        /* where the next search begins, so that nobody starves */
} PortSet;

/* 0 or -errno. */
int port_set_init(PortSet *set);
void port_set_done(PortSet *set); /* all ports are out */

void port_init(Port *p, uint32_t number);

/* 0 or -errno. The port stays the caller's. */
int port_set_add(PortSet *set, Port *p);
void port_set_remove(PortSet *set, Port *p);
/* NULL: not in it. What it returns is safe to use while nobody else removes it. */
Port *port_set_find(PortSet *set, uint32_t number);

/*
 * Gives @p, a member, another end: words in shared memory and descriptors, which are
 * borrowed. What was pending and masked stays so. 0 or -errno.
 */
int port_set_connect(PortSet *set, Port *p, uint32_t *mine, uint32_t *peer, int peer_fd,
                     int wake_fd);
/* Takes the other end away: none of the above is used after it returned. */
void port_set_disconnect(PortSet *set, Port *p);
/* Makes @p pending, as if the other end had notified. */
void port_set_raise(PortSet *set, Port *p);

int port_set_notify(PortSet *set, uint32_t number);
int port_set_pending(PortSet *set);
int port_set_unmask(PortSet *set, uint32_t number);
int port_set_test_and_clear(PortSet *set, uint32_t number);

/* Sets pending in the word of an end that @fd wakes. */
void port_raise(uint32_t *word, int fd);

#endif
