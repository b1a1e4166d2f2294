/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QMP_QMP_INTERNAL_H
#define QMP_QMP_INTERNAL_H

#include <json-c/json.h>

#include "qmp/qmp.h"
#include "session.h"
#include "util/log.h"

#define QMP_MAX_NAMED_FDS 1024

struct Qmp {
    const QmpSystem *sys;
    void *opaque;
    GPtrArray *monitors; /* QmpMonitor * */
};

struct QmpMonitor {
    Qmp *qmp;
    char *label;
    char *filename;
    GHashTable *named_fds; /* char * -> fd; they outlive the client, as in QEMU */
    int listen_fd;         /* -1: none */
    guint listen_tag;      /* or of the pause after a failed accept */
    LogLimit accept_limit;
    int fd;                /* -1: no client */
    guint in_tag;
    guint out_tag;
    GByteArray *in;        /* commands that wait until what they answer can be written */
    bool obeyed;           /* one of those that came with the last read */
    GByteArray *out;       /* not written yet */
    GQueue fds;            /* passed by the client, not named yet */
    QmpSession *session;   /* NULL: no client */
    bool doomed;           /* its client is to be closed once nobody is using it */
};

struct json_object *qmp_version_json(const Qmp *q);

/* In QMP's words; takes @error. */
void qmp_set_error(GError **error, QmpError code, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* One command: its arguments by a table, or as they are. */
typedef struct QmpCommand {
    const char *name;
    const OptTable *args; /* NULL: @run_dict gets what the client sent */
    /* The result, or NULL and the error. */
    struct json_object *(*run)(QmpMonitor *m, const void *args, GError **error);
    struct json_object *(*run_dict)(QmpMonitor *m, OptDict *args, GError **error);
} QmpCommand;

const QmpCommand *qmp_command_find(const char *name);
struct json_object *qmp_command_run(const QmpCommand *c, QmpMonitor *m,
                                    struct json_object *arguments, GError **error);

/* queries.c */
struct json_object *qmp_query_version(QmpMonitor *m, const void *args, GError **error);
struct json_object *qmp_query_status(QmpMonitor *m, const void *args, GError **error);
struct json_object *qmp_query_name(QmpMonitor *m, const void *args, GError **error);
struct json_object *qmp_query_chardev(QmpMonitor *m, const void *args, GError **error);
struct json_object *qmp_query_iothreads(QmpMonitor *m, const void *args, GError **error);
struct json_object *qmp_query_target(QmpMonitor *m, const void *args, GError **error);
struct json_object *qmp_query_kvm(QmpMonitor *m, const void *args, GError **error);
struct json_object *qmp_query_machines(QmpMonitor *m, const void *args, GError **error);
struct json_object *qmp_query_vif(QmpMonitor *m, const void *args, GError **error);
struct json_object *qmp_list_peripherals(QmpMonitor *m);

/* hmp.c: what the human monitor would print. Free it. */
char *hmp_run(QmpMonitor *m, const char *command_line);

/* monitor.c */
bool qmp_monitor_name_fd(QmpMonitor *m, const char *name, GError **error);

#endif
