/*
 * What tells this host from others, and stays as it is when programs and hosts restart.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_HOST_ID_H
#define UTIL_HOST_ID_H

/*
 * The first line of the first of @files (ends with NULL) that has one, else the host's name.
 * Free it. machine-id(5) wants it not to be shown as it is: hash it together with a word of
 * the caller's.
 */
char *host_id_read(const char *const *files);

/* The machine id of this host, if it has one. Free it. */
char *host_id(void);

#endif
