/*
 * Sets of descriptors of files that somebody else opened for us (QMP's add-fd, -add-fd). What
 * opens a file opens "/dev/fdset/N" as the one of set N that has the access it wants. As in QEMU.
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_FD_SET_H
#define UTIL_FD_SET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define FD_SET_NEW (-1) /* the lowest number that no set has */
#define FD_SET_MAX 1024u /* descriptors in all sets together */

typedef struct FdSets FdSets;

/* To look at; the sets' own. */
typedef struct FdSetMember {
    int fd;
    char *opaque; /* NULL: none */
} FdSetMember;

typedef struct FdSet {
    int64_t id;
    GArray *members; /* FdSetMember, in the order in which they came; never empty */
} FdSet;

FdSets *fd_sets_new(void);
void fd_sets_free(FdSets *s); /* closes all; NULL is fine */

/* Takes @fd. @id: of the set, which is made if there is none; FD_SET_NEW. False: too many. */
bool fd_sets_add(FdSets *s, int fd, int64_t id, const char *opaque, int64_t *ret_id,
                 GError **error);
/* Closes @fd of the set, all of them if it is negative. False: there is none such. */
bool fd_sets_remove(FdSets *s, int64_t id, int fd);

unsigned fd_sets_count(const FdSets *s);
const FdSet *fd_sets_nth(const FdSets *s, unsigned n); /* by their numbers */

/* Whether @path is to be opened by fd_sets_open(). */
bool fd_sets_names(const char *path);
/*
 * As open(): a descriptor of the caller's, which shares its position and flags with the set's.
 * -ENXIO: @path has no number; -ENOENT: no set has it; -EACCES: no member has that access.
 */
int fd_sets_open(const FdSets *s, const char *path, int flags);
/* The same of one descriptor. Of @flags access and O_DIRECT count. */
int fd_dup_as(int fd, int flags);

#endif
