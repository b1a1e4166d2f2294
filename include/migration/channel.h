/*
 * Where a migration stream goes to or comes from, as a user says it:
 *
 *     unix:PATH, tcp:HOST:PORT    a socket: out connects, in listens and takes one peer
 *     fd:NUMBER, fd:NAME          a descriptor that was inherited, or passed by getfd
 *     file:PATH                   a file: out makes it anew; /dev/fdset/N is one that is open
 *     file:PATH,offset=N          the same from there on; what is before it stays
 *
 * To open is the main thread's; to read and write another's, which may wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_CHANNEL_H
#define MIGRATION_CHANNEL_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/fd-set.h"

/* The descriptor that has this name, the caller's from now on; -1: there is none. */
typedef int MigrationFdByName(void *opaque, const char *name);

/* What words of a user's may refer to. */
typedef struct MigrationFiles {
    MigrationFdByName *by_name; /* NULL: there are numbers only */
    void *opaque;               /* by_name's */
    const FdSets *fd_sets;      /* NULL: there are none */
} MigrationFiles;

typedef struct MigrationChannel MigrationChannel;

/* To write to. */
MigrationChannel *migration_channel_out(const char *uri, const MigrationFiles *files,
                                        GError **error);
void migration_channel_free(MigrationChannel *c); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigrationChannel, migration_channel_free)

/* Any thread: who waits on it stops with an error, now and ever after. */
void migration_channel_cancel(MigrationChannel *c);

/* MigrationWrite and MigrationRead of stream.h. What is written may stay here until the flush. */
bool migration_channel_write(void *channel, const void *data, size_t len, GError **error);
bool migration_channel_flush(MigrationChannel *c, GError **error);
bool migration_channel_read(void *channel, void *data, size_t len, GError **error);

/* It leads to a process of this machine, which can be given descriptors, and can answer. */
bool migration_channel_is_local(const MigrationChannel *c);
/*
 * MigrationWriteFds of stream.h, of such a one: a byte that is zero, and @n descriptors, 1 to
 * MIGRATION_FDS_AT_ONCE, with it. They stay the caller's; the other side has copies.
 */
bool migration_channel_write_fds(void *channel, const int *fds, unsigned n, GError **error);
/* The next descriptor that came with what was read, the caller's from now on; -1: there is none. */
int migration_channel_take_fd(MigrationChannel *c);
/* Who wrote reads from now on, or the other way round. False: something is left to be read. */
bool migration_channel_turn(MigrationChannel *c, GError **error);

/* One that waits for its peer. */
typedef struct MigrationListener MigrationListener;
/* With a channel to read from, the callee's; from the main loop. It may free the listener. */
typedef void MigrationArrived(void *opaque, MigrationChannel *c);

MigrationListener *migration_listen(const char *uri, const MigrationFiles *files,
                                    MigrationArrived *arrived, void *opaque, GError **error);
void migration_listener_free(MigrationListener *l); /* also in arrived(); NULL is fine */

#endif
