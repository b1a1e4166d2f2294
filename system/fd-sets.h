/*
 * -add-fd: descriptors that are opened as /dev/fdset/N.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_FD_SETS_H
#define SYSTEM_FD_SETS_H

#include "system.h"

extern const OptTable add_fd_options;
bool add_fd_option(System *s, OptDict *args, GError **error);
char *add_fd_help(const char *arg, GError **error);

#endif
