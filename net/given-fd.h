/*
 * Descriptors of sockets that somebody else opened.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_GIVEN_FD_H
#define NET_GIVEN_FD_H

#include <glib.h>

#include "net/net-socket.h"

/*
 * The socket that @text names for the netdev @id: a number, or of a monitor a name of getfd; made
 * non-blocking and close-on-exec. What is no socket, or was opened by this program, is refused and
 * stays its owner's; one that had a name is closed. -1 and the error.
 */
int given_socket(const char *id, const char *text, const NetSocketEnv *env, GError **error);

#endif
