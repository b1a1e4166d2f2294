/*
 * QMP: the machine's way to talk to us, as QEMU's docs/interop/qmp-spec. A Qmp has
 * monitors, each a unix socket with one client at a time, and a registry: who owns a thing
 * registers the commands and events about it, with tables of what they take and give. All
 * that is sent is made by these tables, and query-qmp-schema shows them. Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QMP_QMP_H
#define QMP_QMP_H

#include <glib.h>
#include <stdbool.h>

#include "util/chardev.h"
#include "util/options.h"

typedef struct Qmp Qmp;
typedef struct QmpMonitor QmpMonitor;
typedef struct QmpReply QmpReply;

/* The classes of errors that clients tell apart; an error of another domain is generic. */
#define QMP_ERROR qmp_error_quark()
GQuark qmp_error_quark(void);
typedef enum QmpError {
    QMP_ERROR_GENERIC,
    QMP_ERROR_COMMAND_NOT_FOUND,
    QMP_ERROR_DEVICE_NOT_FOUND,
    QMP_ERROR_DEVICE_NOT_ACTIVE,
} QmpError;

/*
 * A command. It has @run, or @run_dict where another table than @args decides what is taken
 * (-device: the driver's); then @args is for query-qmp-schema. @opaque is what the
 * command was registered with.
 *
 * The result is written to @ret, the zeroed value of @returns as in a config struct (an
 * object: T **, a list: GArray **), and is freed by the caller; a list that stays NULL is
 * empty. Without @returns, @ret is NULL and {} is sent. False: the error.
 */
typedef struct QmpCommand {
    const char *name;
    const OptTable *args;     /* NULL: none */
    const OptMember *returns; /* without a name; NULL: nothing */
    bool (*run)(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error);
    bool (*run_dict)(void *opaque, QmpMonitor *m, OptDict *args, GError **error);
    const char *const *features; /* of the schema, ends with NULL; NULL: none */
} QmpCommand;

typedef struct QmpEvent {
    const char *name;
    const OptTable *data; /* NULL: none */
} QmpEvent;

/* An "info" of the human monitor: what it prints goes to @out, lines end in CR LF. */
typedef struct HmpCommand {
    const char *name; /* "network" */
    const char *help; /* one clause, no full stop */
    void (*run)(void *opaque, GString *out);
} HmpCommand;

/* What stands behind a command of the human monitor. */
typedef enum HmpTakes {
    HMP_NOTHING,
    HMP_NAME,        /* a word */
    HMP_NAME_ON_OFF, /* a word, and "on" or "off" */
    HMP_TWO_NAMES_OR_LESS, /* words */
    HMP_OPTIONS,     /* the rest of the line, which may be empty */
    HMP_REST,        /* which must not */
} HmpTakes;

typedef struct HmpArgs {
    const char *text; /* "": none */
    const char *second; /* a second word, likewise */
    bool on;
} HmpArgs;

/* A command of the human monitor that does something, and prints only what went wrong. */
typedef struct HmpAction {
    const char *name;   /* "stop|s" has a short one */
    const char *params; /* for "help" */
    const char *help;
    HmpTakes takes;
    bool (*run)(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error);
} HmpAction;

/* @version is ours: "0.1.0". */
Qmp *qmp_new(const char *version);
/* Closes everything; NULL is fine. */
void qmp_free(Qmp *q);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)

/* Tables end with a NULL name; they and @opaque outlive @q. No name is registered twice. */
void qmp_register(Qmp *q, const QmpCommand *commands, void *opaque);
void qmp_register_events(Qmp *q, const QmpEvent *events);
void qmp_register_hmp(Qmp *q, const HmpCommand *commands, void *opaque);
void qmp_register_hmp_actions(Qmp *q, const HmpAction *actions, void *opaque);

/* To each client that has negotiated. @data is a struct as the event's table says. */
void qmp_event_send(Qmp *q, const QmpEvent *event, const void *data);

/* Gives clients what is queued for them, for at most @timeout_ms. */
void qmp_flush(Qmp *q, unsigned timeout_ms);
bool qmp_has_monitors(const Qmp *q);

/*
 * Serves whoever connects to @c, one after the other; it outlives @q, and is NULL in tests that
 * have no socket. @label is for the log. Owned by @q.
 */
QmpMonitor *qmp_monitor_new(Qmp *q, const char *label, Chardev *c);

/* Of what comes after this: objects and lists over several lines, as QEMU's pretty=on has them. */
void qmp_monitor_set_pretty(QmpMonitor *m, bool pretty);

/* The descriptor that getfd called @name, the caller's from now on; -1: there is none. */
int qmp_monitor_take_fd(void *monitor, const char *name);
/* From a command: the first descriptor that came with it, the caller's from now on; -1: none. */
int qmp_monitor_take_passed_fd(QmpMonitor *m);

/*
 * From a command that takes its time: it returns true, and its reply comes by
 * qmp_reply_send(), after the command has returned. The client's next command waits for it;
 * other clients do not. The client may be gone until then.
 */
QmpReply *qmp_reply_later(QmpMonitor *m);
/* {}, or @error if it is not NULL. @r is spent. From the main loop, not from a command. */
void qmp_reply_send(QmpReply *r, const GError *error);

#endif
