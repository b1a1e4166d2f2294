/*
 * Descriptors that somebody else opened.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_GIVEN_FD_H
#define NET_GIVEN_FD_H

#include <glib.h>

#include "net/net-socket.h"

/*
 * The open descriptor whose number @text is. One that was inherited has no FD_CLOEXEC, all that
 * this program opened itself have it: so nobody takes the QMP socket for a netdev, or the same
 * descriptor twice. False and the error.
 */
bool given_number(const char *id, const char *text, int *ret_fd, GError **error);

/*
 * The socket that @text names for the netdev @id: a number, or of a monitor a name of getfd; made
 * non-blocking and close-on-exec. What is no socket, or was opened by this program, is refused and
 * stays its owner's; one that had a name is closed. -1 and the error.
 */
int given_socket(const char *id, const char *text, const NetSocketEnv *env, GError **error);

#endif
