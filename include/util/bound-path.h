/*
 * The file of a listening unix socket: removed at the end, if it is ours still.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_BOUND_PATH_H
#define UTIL_BOUND_PATH_H

#include <stdbool.h>
#include <sys/stat.h>

typedef struct BoundPath {
    char *path; /* absolute, since a daemon changes directory; NULL: none */
    struct stat st;
} BoundPath;

/* Just after bind(). False and errno: it is gone already. */
bool bound_path_set(BoundPath *b, const char *path);
void bound_path_remove(BoundPath *b); /* none is fine */

#endif
