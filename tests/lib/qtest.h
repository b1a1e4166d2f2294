/*
 * Our libqtest: starts the program under test ($RINGTAP), speaks the qtest protocol and
 * QMP with it, and requires that it ends as asked. Whatever fails in here fails the test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_QTEST_H
#define TESTS_LIB_QTEST_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define QTEST_TIMEOUT_MS 20000 /* for anything that should happen soon */

typedef struct QTest QTest;

/*
 * Starts $RINGTAP with @args (split as a shell does) and what libqtest adds, waits for
 * both of its connections, negotiates QMP. The descriptors @fds are inherited.
 */
QTest *qtest_start(const int *fds, unsigned n_fds, const char *args);
/* SIGTERM, and exit status 0 is required. */
void qtest_stop(QTest *qt);
/* After a test made it end otherwise: waits for exit status 0. */
void qtest_wait_exit(QTest *qt);
void qtest_kill(QTest *qt); /* as it may happen to it at any time */
pid_t qtest_pid(const QTest *qt);
/* What it has said on stderr so far. Free it. */
char *qtest_stderr(const QTest *qt);
/* How often @text is in it. */
unsigned qtest_said(const QTest *qt, const char *text);

/* Sends a line, returns the answer's line. Free it. */
char *qtest_line(QTest *qt, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* The same, the answer must be OK; returns what is behind it. Free it. */
char *qtest_ok(QTest *qt, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* The same, nothing must be behind it. */
void qtest_do(QTest *qt, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* The same, one decimal number must be behind it. */
int64_t qtest_int(QTest *qt, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* Sends bytes as they are, and reads a line. */
void qtest_send_raw(QTest *qt, const char *bytes, size_t len);
char *qtest_read_line(QTest *qt);
/* Closes the qtest connection. */
void qtest_hang_up(QTest *qt);

uint32_t qtest_readl(QTest *qt, uint64_t addr);
void qtest_writel(QTest *qt, uint64_t addr, uint32_t value);
void qtest_memread(QTest *qt, uint64_t addr, void *buf, size_t size);
void qtest_memwrite(QTest *qt, uint64_t addr, const void *buf, size_t size);
int64_t qtest_clock_step(QTest *qt, int64_t ns);

/* One QMP command, its whole answer ("return" or "error"). json_object_put() it. */
struct json_object *qtest_qmp(QTest *qt, const char *json);
/* The same, must succeed: the "return" member. json_object_put() it. */
struct json_object *qtest_qmp_ok(QTest *qt, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* The next event with @name, also one that came before. json_object_put() it. */
struct json_object *qtest_event(QTest *qt, const char *name);
bool qtest_has_event(const QTest *qt, const char *name); /* one came, and was not asked for */
/* Forgets events that came so far. */
void qtest_forget_events(QTest *qt);

/* What the process holds: xen_leaks. */
typedef struct QTestLeaks {
    unsigned grants;
    unsigned ports;
    unsigned threads;
    unsigned fds;
    uint64_t rss_kib;
} QTestLeaks;
QTestLeaks qtest_leaks(QTest *qt);

/* Evaluates @cond until it is true, fails with a description after a time. */
#define qtest_wait_for(cond) \
    do { \
        gint64 end_ = g_get_monotonic_time() + QTEST_TIMEOUT_MS * 1000ll; \
        while (!(cond)) { \
            if (g_get_monotonic_time() > end_) { \
                g_error("%s:%d: waited in vain for: %s", __FILE__, __LINE__, #cond); \
            } \
            g_usleep(300); \
        } \
    } while (0)

#endif
