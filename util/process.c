/*
 * What /proc says of other processes: proc(5).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/process.h"

#include <glib.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#define FLAG_EXITING 0x4u /* PF_EXITING of Linux' sched.h, which has been so since 2.6 */
#define STAT_FLAGS   7u   /* field 9; the third is the first behind the name */

static char *process_read(pid_t pid, const char *file)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", pid, file);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

/* The kernel has begun to take it down. Its name is its own, and may have any character. */
static bool process_is_exiting(pid_t pid)
{
    g_autofree char *stat = process_read(pid, "stat");
    const char *behind = stat ? strrchr(stat, ')') : NULL;
    g_auto(GStrv) field = behind ? g_strsplit(behind, " ", STAT_FLAGS + 2) : NULL;

    return field && g_strv_length(field) > STAT_FLAGS &&
           (g_ascii_strtoull(field[STAT_FLAGS], NULL, 10) & FLAG_EXITING);
}

/* SIGKILL was sent, and it has not run since. */
static bool process_is_to_be_killed(pid_t pid)
{
    g_autofree char *status = process_read(pid, "status");
    const char *pending = status ? strstr(status, "\nSigPnd:\t") : NULL;

    return pending && (g_ascii_strtoull(pending + strlen("\nSigPnd:\t"), NULL, 16) &
                       (UINT64_C(1) << (SIGKILL - 1)));
}

bool process_is_ending(pid_t pid)
{
    return process_is_to_be_killed(pid) || process_is_exiting(pid);
}
