/*
 * A server of images for tests: nbdkit, qemu-nbd or another program that listens on a unix socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_IMAGE_SERVER_H
#define TESTS_LIB_IMAGE_SERVER_H

#include <glib.h>
#include <stdbool.h>

typedef struct ImageServer {
    char *path; /* of its socket; NULL: it has another one */
    GPid pid;   /* 0: it does not run */
} ImageServer;

/*
 * Starts @argv, which is to listen at @path, and waits until it does; NULL: without waiting. False:
 * there is no such program, and the test was skipped with a reason.
 */
bool image_server_start(ImageServer *s, const char *path, const char *const *argv);
/* Sends it @sig. */
void image_server_signal(const ImageServer *s, int sig);
/* Kills it, waits for its end, and removes what is left of its socket. All zeros is fine. */
void image_server_kill(ImageServer *s);

#endif
