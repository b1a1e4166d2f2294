/*
 * QMP: the machine's way to talk to us, as QEMU's docs/interop/qmp-spec. A Qmp has
 * monitors, each a unix socket with one client at a time; what the commands do is the
 * system's, behind QmpSystem. Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QMP_QMP_H
#define QMP_QMP_H

#include <glib.h>
#include <stdbool.h>

#include "hw/net/netif-info.h"
#include "net/netdev.h"
#include "util/iothread.h"
#include "util/options.h"

typedef struct Qmp Qmp;
typedef struct QmpMonitor QmpMonitor;

/* The classes of errors that clients tell apart; an error of another domain is generic. */
#define QMP_ERROR qmp_error_quark()
GQuark qmp_error_quark(void);
typedef enum QmpError {
    QMP_ERROR_GENERIC,
    QMP_ERROR_COMMAND_NOT_FOUND,
    QMP_ERROR_DEVICE_NOT_FOUND,
} QmpError;

/* One vif as query-vif shows it; valid during the call that passes it. */
typedef struct QmpVif {
    const char *id;
    const char *type;
    const char *mac;     /* NULL: not known */
    unsigned idx;
    int frontend_id;     /* -1: it is a frontend itself */
    const char *state;
    const char *error;   /* NULL: none */
    unsigned max_queues;
    unsigned n_queues;
    const NetifQueueStats *stats;
    const int *tids;
    Netdev *peer;
} QmpVif;

typedef void QmpVifFn(void *ctx, const QmpVif *vif);
typedef void QmpIoThreadFn(void *ctx, const char *id, const IoThread *thread);
typedef void QmpNetdevFn(void *ctx, Netdev *nd);
typedef void QmpNamedFn(void *ctx, const char *name);

/* What the commands need of the system. */
typedef struct QmpSystem {
    const char *version;                       /* ours: "0.1.0" */
    const char *const *(*machines)(void);      /* names, then NULL; the first is the default */
    const char *(*guest_name)(void *opaque);   /* NULL: none given */
    const char *(*status)(void *opaque);       /* "running", "paused", "prelaunch"... */
    void (*stop)(void *opaque);
    void (*cont)(void *opaque);
    void (*quit)(void *opaque);
    /* @mon resolves the names of descriptors: qmp_monitor_take_fd(). */
    bool (*netdev_add)(void *opaque, OptDict *args, QmpMonitor *mon, GError **error);
    bool (*netdev_del)(void *opaque, const char *id, GError **error);
    bool (*device_add)(void *opaque, OptDict *args, GError **error);
    bool (*device_del)(void *opaque, const char *id, GError **error);
    bool (*object_add)(void *opaque, OptDict *args, GError **error);
    bool (*object_del)(void *opaque, const char *id, GError **error);
    bool (*set_link)(void *opaque, const char *name, bool up, GError **error);
    void (*foreach_vif)(void *opaque, QmpVifFn *fn, void *ctx);
    void (*foreach_iothread)(void *opaque, QmpIoThreadFn *fn, void *ctx);
    void (*foreach_netdev)(void *opaque, QmpNetdevFn *fn, void *ctx);
} QmpSystem;

/* @sys and @opaque outlive it. */
Qmp *qmp_new(const QmpSystem *sys, void *opaque);
/* Closes everything; NULL is fine. */
void qmp_free(Qmp *q);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)

/* Gives clients what is queued for them, for at most @timeout_ms. */
void qmp_flush(Qmp *q, unsigned timeout_ms);
bool qmp_has_monitors(const Qmp *q);

/* @filename is for query-chardev: "unix:/path,server=on". Owned by @q. */
QmpMonitor *qmp_monitor_new(Qmp *q, const char *label, const char *filename);
/* Takes a listening socket, serves whoever connects, one after the other. */
void qmp_monitor_listen(QmpMonitor *m, int fd);
/* Takes a connected socket. When it ends, the monitor is dead. */
void qmp_monitor_connect(QmpMonitor *m, int fd);
bool qmp_monitor_is_connected(const QmpMonitor *m);

/* The descriptor that getfd called @name, the caller's from now on; -1: there is none. */
int qmp_monitor_take_fd(void *monitor, const char *name);

/* Events, to each client that has negotiated. */
void qmp_event_shutdown(Qmp *q, const char *reason);
void qmp_event_stop(Qmp *q);
void qmp_event_resume(Qmp *q);
void qmp_event_device_deleted(Qmp *q, const char *device);
void qmp_event_vif_connected(Qmp *q, const char *device, unsigned queues);
void qmp_event_vif_disconnected(Qmp *q, const char *device);
void qmp_event_vif_error(Qmp *q, const char *device, const char *reason);

#endif
