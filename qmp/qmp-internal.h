/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QMP_QMP_INTERNAL_H
#define QMP_QMP_INTERNAL_H

#include <json-c/json.h>

#include "qmp/qmp.h"
#include "session.h"

#define QMP_MAX_NAMED_FDS 1024

/* A row of a table, and what it was registered with. */
typedef struct QmpEntry {
    const void *row; /* QmpCommand, QmpEvent, HmpCommand or HmpAction */
    void *opaque;
} QmpEntry;

struct Qmp {
    char *version;
    GPtrArray *monitors; /* QmpMonitor * */
    GArray *commands;    /* QmpEntry, in the order of registration */
    GArray *events;
    GArray *hmp;
    GArray *hmp_actions;
};

struct QmpMonitor {
    Qmp *qmp;
    char *label;
    GHashTable *named_fds; /* char * -> fd; they outlive the client, as in QEMU */
    Chardev *chardev;      /* from where its clients come; NULL: a test's */
    bool pretty;
    int fd;                /* -1: no client */
    guint in_tag;
    guint out_tag;
    GByteArray *in;        /* commands that wait until what they answer can be written */
    bool executed;         /* one of those that came with the last read */
    GByteArray *out;       /* not written yet */
    GQueue fds;            /* passed by the client, not named yet */
    QmpSession *session;   /* NULL: no client */
    bool doomed;           /* its client is to be closed once nobody is using it */
};

/* In QMP's words; takes @error. */
void qmp_set_error(GError **error, QmpError code, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* registry.c */
const QmpEntry *qmp_command_find(const Qmp *q, const char *name);
/* The result, or NULL and the error. */
struct json_object *qmp_command_run(const QmpEntry *e, QmpMonitor *m,
                                    struct json_object *arguments, GError **error);

/* commands.c */
struct json_object *qmp_version_json(const Qmp *q);
void qmp_register_own(Qmp *q);

/* schema.c: the value of query-qmp-schema, of which qmp_schema_result is the type */
extern const OptMember qmp_schema_result;
GArray *qmp_schema(const Qmp *q);

/* hmp.c: what the human monitor would print. Free it. */
char *hmp_run(QmpMonitor *m, const char *command_line);

/* monitor.c */
void qmp_monitor_go_on(QmpMonitor *m); /* with what waited for a reply; not from a command */
bool qmp_monitor_name_fd(QmpMonitor *m, const char *name, GError **error);

#endif
