/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_CHARDEV_INTERNAL_H
#define UTIL_CHARDEV_INTERNAL_H

#include "util/bound-path.h"
#include "util/chardev.h"

/*
 * Each: a socket of the caller's, close-on-exec and non-blocking; or -1 and an error, which is
 * G_FILE_ERROR_NAMETOOLONG if it would come each time.
 */
/* @wait: for a short time, where a process that is ending has the path; else that is an error. */
int chardev_socket_listen(const char *path, bool wait, BoundPath *bound, GError **error);
/* @wait: as long as the server's backlog is full; else that is an error. */
int chardev_socket_connect(const char *path, bool wait, GError **error);

/* Makes @fd, an inherited one, as those are. False: it neither is nor can be. */
bool chardev_socket_inherit(int fd, bool server, GError **error);

#endif
