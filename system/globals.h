/*
 * -global: properties that devices of a class have unless theirs are said.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_GLOBALS_H
#define SYSTEM_GLOBALS_H

#include "system.h"

/* Of a class that is not ours it is accepted, and never asked for. */
bool global_option(System *s, const char *arg, GError **error);
/* Adds to the options of a device those of its driver that are not among them. */
void globals_apply(const System *s, OptDict *args);
void global_free(gpointer opaque);

/* The last one said of that property; NULL: none. Of what no -device makes. */
const char *globals_get(const System *s, const char *driver, const char *property);

#endif
