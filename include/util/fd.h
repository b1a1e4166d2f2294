/*
 * File descriptors that close themselves, and the few system calls around them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_FD_H
#define UTIL_FD_H

#include <glib.h>
#include <stdbool.h>
#include <sys/socket.h>

/* Closes *fd unless negative, sets it to -1, keeps errno. Idempotent. */
void fd_close(int *fd);

/* AUTO_FD int fd = -1; closed at the end of the scope; give away with g_steal_fd(&fd). */
#define AUTO_FD __attribute__((cleanup(fd_close)))

/* 0 or -errno. */
int fd_set_nonblock(int fd, bool on);
int fd_set_cloexec(int fd, bool on);

/* Descriptors that came with @msg by SCM_RIGHTS, each to @passed, which takes it. */
typedef void FdPassed(void *opaque, int fd);
void fd_each_passed(struct msghdr *msg, FdPassed *passed, void *opaque);

#endif
