/*
 * What the program says to its operator: one line on stderr, or in the file
 * that -D names. Control plane only: a data path counts instead of talking.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <glib.h>
#include <stdbool.h>

/*
 * Called once, before other threads exist. @progname is kept, not copied.
 */
void log_init(const char *progname);

/* Send everything to @path (opened for append) from now on. Main thread. */
bool log_open_file(const char *path, GError **error);

/* -msg timestamp=on: lines start with an ISO 8601 time in UTC. Main thread. */
void log_set_timestamps(bool on);

/*
 * "PROGNAME: TEXT", "PROGNAME: warning: TEXT", "PROGNAME: info: TEXT".
 * No newline in the text. Any thread; one write() a line. What a log file does not take (a
 * full disk) goes to stderr.
 */
void error_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void warn_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void info_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/* The same, but for the log file only, which is open: stderr hears of it in another way. */
void error_report_to_file(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/*
 * Whatever a guest can provoke is reported through one of these: at most
 * @burst lines in @interval_ms, the rest is counted and mentioned with the next line.
 * Zero-initialise the rest. One thread at a time.
 */
typedef struct LogLimit {
    unsigned burst;
    unsigned interval_ms;
    gint64 since_us;
    unsigned n;
    unsigned suppressed;
} LogLimit;

void warn_report_limited(LogLimit *limit, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
void info_report_limited(LogLimit *limit, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

#endif
