/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The one mutable state of the process that every layer may reach: where words go. */
static struct {
    const char *progname;
    int fd;
    bool timestamps;
    gint failing; /* atomic; the file takes nothing: lines go to stderr */
} log_state = { .progname = "ringtap", .fd = STDERR_FILENO };

void log_init(const char *progname)
{
    log_state.progname = progname;
}

bool log_open_file(const char *path, GError **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    if (fd < 0) {
        int saved = errno;

        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(saved),
                    "cannot open log file %s: %s", path, g_strerror(saved));
        return false;
    }
    if (log_state.fd != STDERR_FILENO) {
        close(log_state.fd);
    }
    log_state.fd = fd;
    return true;
}

void log_set_timestamps(bool on)
{
    log_state.timestamps = on;
}

/* False: the file takes no more, a full disk. stderr hears of it, once. */
static bool log_write(const GString *line)
{
    bool failed = write(log_state.fd, line->str, line->len) != (gssize)line->len;
    int saved = errno;

    if (log_state.fd == STDERR_FILENO) {
        return true; /* nobody is left to tell */
    }
    if (!failed) {
        g_atomic_int_set(&log_state.failing, 0);
        return true;
    }
    if (g_atomic_int_compare_and_exchange(&log_state.failing, 0, 1)) {
        dprintf(STDERR_FILENO, "%s: warning: cannot write to the log file: %s\n",
                log_state.progname, g_strerror(saved));
    }
    return false;
}

static GString *log_format(const char *kind, const char *fmt, va_list ap) G_GNUC_PRINTF(2, 0);

static GString *log_format(const char *kind, const char *fmt, va_list ap)
{
    GString *line = g_string_new(NULL);

    if (log_state.timestamps) {
        g_autoptr(GDateTime) now = g_date_time_new_now_utc();
        g_autofree char *when = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S.%fZ ");

        g_string_append(line, when);
    }
    g_string_append_printf(line, "%s: %s", log_state.progname, kind);
    g_string_append_vprintf(line, fmt, ap);
    g_string_append_c(line, '\n');
    return line;
}

static void log_line(const char *kind, const char *fmt, va_list ap) G_GNUC_PRINTF(2, 0);

static void log_line(const char *kind, const char *fmt, va_list ap)
{
    g_autoptr(GString) line = log_format(kind, fmt, ap);

    if (!log_write(line)) {
        dprintf(STDERR_FILENO, "%s", line->str);
    }
}

void error_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_line("", fmt, ap);
    va_end(ap);
}

void error_report_to_file(const char *fmt, ...)
{
    g_autoptr(GString) line = NULL;
    va_list ap;

    va_start(ap, fmt);
    line = log_format("", fmt, ap);
    va_end(ap);
    log_write(line);
}

void warn_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_line("warning: ", fmt, ap);
    va_end(ap);
}

void info_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_line("info: ", fmt, ap);
    va_end(ap);
}

/* True: a line may be written. */
static bool log_limit_pass(LogLimit *limit)
{
    gint64 now = g_get_monotonic_time();

    if (now - limit->since_us > (gint64)limit->interval_ms * 1000) {
        if (limit->suppressed > 0) {
            warn_report("%u lines like the next one were left out", limit->suppressed);
        }
        limit->since_us = now;
        limit->n = 0;
        limit->suppressed = 0;
    }
    if (limit->n >= limit->burst) {
        limit->suppressed++;
        return false;
    }
    limit->n++;
    return true;
}

void warn_report_limited(LogLimit *limit, const char *fmt, ...)
{
    va_list ap;

    if (log_limit_pass(limit)) {
        va_start(ap, fmt);
        log_line("warning: ", fmt, ap);
        va_end(ap);
    }
}

void info_report_limited(LogLimit *limit, const char *fmt, ...)
{
    va_list ap;

    if (log_limit_pass(limit)) {
        va_start(ap, fmt);
        log_line("info: ", fmt, ap);
        va_end(ap);
    }
}
