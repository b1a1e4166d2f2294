/*
 * Unix sockets: listening where a dead process did, and messages with descriptors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_SOCK_H
#define XENEMU_SOCK_H

#include <stdbool.h>
#include <stddef.h>

#define SOCK_MAX_FDS 2
#define SOCK_TIMEOUT_S 5 /* for a host to take us */

/*
 * A listening socket at @path, mode 0600; @type SOCK_STREAM or SOCK_SEQPACKET. -1:
 * *errmsg tells why. A socket that nobody listens on is replaced.
 */
int sock_listen(const char *path, int type, char **errmsg);

/* A connected socket or -errno. */
int sock_connect(const char *path, int type);

/*
 * The next connection, non-blocking, or -errno. Out of descriptors, it uses *spare to
 * take the connection, send it @refusal (@len bytes, 0: nothing), and drop it: otherwise a
 * level-triggered loop would spin.
 */
int sock_accept(int listener, int *spare, const void *refusal, size_t len);
int sock_spare_open(void);

/* One whole message or -errno. */
int sock_send(int fd, const void *msg, size_t len, const int *fds, unsigned n_fds);

/*
 * One message of exactly @len bytes. 0: the end; -EPROTO: another size; -EMFILE: it is there,
 * but the process has no descriptors left for those that came with it. Descriptors beyond
 * @max_fds, and all of a bad message, are closed.
 */
int sock_recv(int fd, void *msg, size_t len, int *ret_fds, unsigned max_fds, unsigned *ret_n);

/* Closes *fd unless negative, sets it to -1, keeps errno. */
void sock_close(int *fd);

#endif
