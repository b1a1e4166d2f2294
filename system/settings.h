/*
 * Options that only set something. The argument of a flag is NULL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_SETTINGS_H
#define SYSTEM_SETTINGS_H

#include "system.h"

/* For query-command-line-options, as are those of other headers. */
extern const OptTable name_options;
extern const OptTable memory_options;
extern const OptTable msg_options;

/* The options that -name or -msg takes, if @arg asks; "-name help" is a name, as in QEMU. */
char *name_help(const char *arg, GError **error);
char *messages_help(const char *arg, GError **error);
char *display_help(const char *arg, GError **error);

bool set_name(System *s, const char *arg, GError **error);
bool set_memory(System *s, const char *arg, GError **error);
bool set_domid(System *s, const char *arg, GError **error);
bool set_xen_attach(System *s, const char *arg, GError **error);
bool set_no_reboot(System *s, const char *arg, GError **error);
bool set_paused(System *s, const char *arg, GError **error);
bool set_display(System *s, const char *arg, GError **error);
bool set_messages(System *s, const char *arg, GError **error);
bool set_log_file(System *s, const char *arg, GError **error);
bool set_pidfile(System *s, const char *arg, GError **error);
bool set_daemonize(System *s, const char *arg, GError **error);
bool set_qtest(System *s, const char *arg, GError **error);
bool set_qtest_log(System *s, const char *arg, GError **error);

#endif
