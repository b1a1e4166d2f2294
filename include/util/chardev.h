/*
 * A unix socket that hands its connections over to one user, as QEMU's -chardev socket: it listens
 * for them, connects, or was inherited.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_CHARDEV_H
#define UTIL_CHARDEV_H

#include <glib.h>
#include <stdbool.h>

typedef struct Chardev Chardev;

typedef struct ChardevConfig {
    const char *path; /* where to listen or to connect; NULL: there is fd instead */
    int fd;           /* an inherited socket, kept by the caller if it comes to nothing */
    bool server;      /* listen; else it connects, or fd is connected */
} ChardevConfig;

/* Main thread. NULL and an error in QEMU's words: nothing is left of it then. */
Chardev *chardev_new(const ChardevConfig *config, GError **error);
/* Closes the socket and removes the file that listening made. NULL is fine. */
void chardev_free(Chardev *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Chardev, chardev_free)

/* Its socket, listening or connected: the caller's. */
int chardev_take_fd(Chardev *c);

#endif
