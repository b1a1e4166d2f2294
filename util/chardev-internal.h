/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_CHARDEV_INTERNAL_H
#define UTIL_CHARDEV_INTERNAL_H

#include "util/bound-path.h"
#include "util/chardev.h"

/* Each: a socket of the caller's, close-on-exec and non-blocking; or -1 and an error. */
int chardev_socket_listen(const char *path, BoundPath *bound, GError **error);
int chardev_socket_connect(const char *path, GError **error); /* waits for a full backlog */

/* Makes @fd, an inherited one, as those are. False: it is not what it should be. */
bool chardev_socket_inherit(int fd, bool server, GError **error);

#endif
