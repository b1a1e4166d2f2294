/*
 * A unix socket that hands its connections over to one user, one at a time, as QEMU's -chardev
 * socket: it listens for them, connects, or was inherited. Main thread only, driven by the
 * default GMainContext; nothing waits here, but for chardev_new() if it is told to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_CHARDEV_H
#define UTIL_CHARDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Chardev Chardev;

typedef struct ChardevConfig {
    const char *label; /* in warnings: its id */
    const char *path;  /* where to listen or to connect; NULL: there is fd instead */
    int fd;            /* an inherited socket, kept by the caller if it comes to nothing */
    bool server;       /* listen; else it connects, or fd is connected */
    /*
     * For a server that is behind with its clients, or that has a socket of ours to listen at and
     * may be ending: for that a second at most. Else these are errors.
     */
    bool wait;
    uint64_t reconnect_ms; /* connect again so long after it failed or ended; 0: never */
    /* From the main loop: the only connection that there can be has ended. NULL: nobody cares. */
    void (*ended)(void *opaque);
    void *opaque;
} ChardevConfig;

/*
 * Listens, or connects; with reconnect_ms a failure to connect is no error, and nothing waits.
 * NULL and an error in QEMU's words: nothing is left of it then. Copies @config.
 */
Chardev *chardev_new(const ChardevConfig *config, GError **error);
/*
 * Closes the socket and removes the file that listening made, not a connection that was handed
 * over. Not from within the handler. NULL is fine.
 */
void chardev_free(Chardev *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Chardev, chardev_free)

/*
 * @connected gets the next connection, from the main loop: @fd, non-blocking and close-on-exec, is
 * the handler's. There is one at a time: until chardev_disconnected(), or until another handler
 * is set, others wait in the backlog. NULL: nobody takes connections, and none is made; one that
 * was handed over is no more.
 */
void chardev_set_handler(Chardev *c, void (*connected)(void *opaque, int fd), void *opaque);

/*
 * The connection that was handed over has been closed by the handler: a listening socket accepts
 * the next one, one with reconnect_ms connects again, another one is done. Also from within the
 * handler.
 */
void chardev_disconnected(Chardev *c);

/* A listening socket accepts a first client even if there is no handler for it yet. */
void chardev_accept_early(Chardev *c);

/* After a connection that ended there can be another one. */
bool chardev_can_come_back(const Chardev *c);

/* There is a connection: with the handler, or about to be handed over. */
bool chardev_is_connected(const Chardev *c);

/* Whether @fd, which may be anything, is a socket with another end; it may be one to listen at. */
bool chardev_fd_is_connected(int fd);

#endif
