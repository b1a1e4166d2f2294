/*
 * One client's conversation: bytes in, lines out. Knows no socket, so that tests and
 * the fuzzer talk to it directly.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QMP_SESSION_H
#define QMP_SESSION_H

#include "qmp/qmp.h"

#define QMP_MAX_COMMAND (1u << 20) /* bytes of one command */

typedef struct QmpSession QmpSession;
struct json_object;

typedef void QmpWriteFn(void *opaque, const char *data, size_t len);

/* Writes the greeting at once. */
QmpSession *qmp_session_new(QmpMonitor *m, QmpWriteFn *write, void *opaque);
void qmp_session_free(QmpSession *s); /* NULL is fine; not from within qmp_session_feed() */

/*
 * What is fed from now on came at once. What is no request is answered by an error each, as in
 * QEMU, unless there were hundreds in a row: then the first of a piece is, and what has an id.
 */
void qmp_session_begin_piece(QmpSession *s);
/*
 * Answers one command or error at most, the caller may not want the next one yet. Returns how
 * many of the @len bytes that took, at least 1.
 */
size_t qmp_session_feed(QmpSession *s, const char *data, size_t len);

/* The last feed executed a command. */
bool qmp_session_has_executed(const QmpSession *s);
/* A command will be answered later: nothing may be fed until then. */
bool qmp_session_is_waiting(const QmpSession *s);
/* A command has begun, its end did not come yet. */
bool qmp_session_is_within(const QmpSession *s);

/* Nothing is sent before the client has negotiated. */
void qmp_session_event(QmpSession *s, struct json_object *event);

#endif
