/*
 * A few commands to a qemu-storage-daemon's monitor, one at a time. Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_DAEMON_QMP_H
#define BLOCK_DAEMON_QMP_H

#include <glib.h>
#include <stdbool.h>

typedef struct DaemonQmp {
    int fd;
    bool ready;  /* the greeting was answered */
    GString *in; /* what was read, and has no end yet; NULL: nothing was */
} DaemonQmp;

/*
 * Runs @command, a JSON object, and waits for its end, and for an event named @event if that is not
 * NULL: a bounded time. False: the daemon's own words.
 */
bool daemon_qmp_run(DaemonQmp *q, const char *command, const char *event, GError **error);
void daemon_qmp_done(DaemonQmp *q); /* twice is fine */

#endif
