/*
 * Options that QEMU's callers give and that have no effect here. What is wrong in them is
 * refused, as QEMU does; who would rely on an effect is warned.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_COMPAT_H
#define SYSTEM_COMPAT_H

#include "system.h"

bool compat_option(System *s, const char *arg, GError **error); /* -compat */
bool compat_sandbox(System *s, const char *arg, GError **error);
bool compat_monitor(System *s, const char *arg, GError **error);
bool compat_serial(System *s, const char *arg, GError **error);
bool compat_parallel(System *s, const char *arg, GError **error);
/* What libxl adds where it is told to restrict a device model (dm_restrict). */
bool compat_domid_restrict(System *s, const char *arg, GError **error);
bool compat_chroot(System *s, const char *arg, GError **error);
bool compat_run_with(System *s, const char *arg, GError **error);
bool compat_runas(System *s, const char *arg, GError **error);
bool compat_vnc(System *s, const char *arg, GError **error);

#endif
