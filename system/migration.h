/*
 * Migration: the state of a machine and its devices goes to another process, which goes on where
 * this one stopped. The guest stands still meanwhile: what is to be moved is what devices need,
 * and the memory that a test's guest has.
 *
 *     none --migrate--> setup --> active --all was written--> completed
 *                         |          +--an error--> failed: we go on as before
 *                         +--migrate_cancel--> cancelling --> cancelled: the same
 *
 * Of an incoming one a failure leaves the machine as it was, waiting, for migrate-incoming.
 *
 * A local one is not over for the sender when all is written: only when the other side is ready to
 * go on, and was told to. Until then each may fail, and the sender goes on with its netdevs. What
 * it gave away comes back to it, too, if it is told to go on afterwards (migration_resumes()).
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_MIGRATION_H
#define SYSTEM_MIGRATION_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "migration/channel.h"

struct System;

typedef enum MigrationStatus {
    MIGRATION_NONE,
    MIGRATION_SETUP,
    MIGRATION_CANCELLING,
    MIGRATION_CANCELLED,
    MIGRATION_ACTIVE,
    MIGRATION_COMPLETED,
    MIGRATION_FAILED,
} MigrationStatus;

typedef struct MigrationJob MigrationJob;

typedef struct MigrationParameters {
    /* of AnnounceParameters, after one that came in */
    uint64_t announce_initial, announce_max, announce_rounds, announce_step;
    bool has_announce_initial, has_announce_max, has_announce_rounds, has_announce_step;
    /* without effect: nothing is sent while the guest runs */
    uint64_t max_bandwidth;  /* bytes a second */
    bool has_max_bandwidth;
    uint64_t downtime_limit; /* milliseconds */
    bool has_downtime_limit;
    bool local; /* netdevs give what is behind them to a process of this machine */
    bool has_local;
} MigrationParameters;

typedef struct Migration {
    MigrationParameters parameters;
    MigrationStatus status;
    char *error;                 /* why it FAILED */
    bool incoming;               /* the last one, or what we wait for */
    char *uri;                   /* -incoming; NULL: none, or it was used */
    bool resume;                 /* if it fails: devices ran before */
    bool stopping;               /* until all devices are drained */
    gint64 began_us, ended_us;
    uint64_t bytes;              /* that went or came */
    MigrationListener *listener; /* waits for the other side */
    MigrationJob *job;           /* the thread that reads or writes; NULL: none */
    MigrationChannel *channel;   /* for it, until it has one */
    bool local;                  /* the last one */
    GPtrArray *received;         /* Netdev *: for those that await them; NULL: none */
} Migration;

bool migration_set_incoming(struct System *s, const char *arg, GError **error); /* -incoming */
/* At the end of start-up, in RUN_INMIGRATE: waits for the stream that -incoming named. */
bool migration_start(struct System *s, GError **error);
bool migration_is_under_way(const Migration *m);

/* @by_name, with @opaque, as in MigrationFiles. */
bool migration_out(struct System *s, const char *uri, MigrationFdByName *by_name, void *opaque,
                   GError **error);
bool migration_in(struct System *s, const char *uri, MigrationFdByName *by_name, void *opaque,
                  GError **error);
void migration_cancel(struct System *s); /* nothing, if none goes out */
void migration_drained(struct System *s); /* all devices are */
void migration_resumes(struct System *s); /* devices are to go on here after they had gone */
void migration_done(struct System *s);    /* ends what there is, before memory and devices go */

/* migration-netdevs.c: what is behind netdevs, of a local one */

void migration_netdevs_give(struct System *s, GPtrArray *out); /* MigrationNetdev * */
void migration_netdevs_take_back(struct System *s);
/* All that came is right, and all that is awaited has come; nothing is used yet. */
bool migration_netdevs_receive(struct System *s, const GPtrArray *netdevs, GError **error);
void migration_netdevs_use(struct System *s); /* from now on it is ours */

/* migration-job.c: the thread, and what it reads or writes */

typedef struct MigrationDevice {
    char *class_name;
    char *id;
    GByteArray *state;
} MigrationDevice;

void migration_device_free(gpointer device);

/* The state of a netdev, with descriptors: others' where it is to be written, else its own. */
typedef struct MigrationNetdev {
    char *type;
    char *id;
    GByteArray *state;
    GArray *fds; /* int */
    bool received;
} MigrationNetdev;

void migration_netdev_free(gpointer netdev);

typedef enum MigrationJobKind {
    MIGRATION_WRITE,
    MIGRATION_READ,
    MIGRATION_ANSWER, /* what was read of a local one is right: waits for leave to go on */
} MigrationJobKind;

struct MigrationJob {
    struct System *s;
    MigrationJobKind kind;
    MigrationChannel *channel; /* the job's */
    GPtrArray *devices;        /* MigrationDevice *: to be written, or that were read */
    GPtrArray *netdevs;        /* MigrationNetdev *: the same, of a local one */
    bool local;
    uint64_t bytes;            /* when it has ended */
    GError *error;             /* the same; NULL: it went well */
    GThread *thread;
    GSource *ended;            /* tells the main loop */
};

/* Takes @channel, which has to be set; others may be. */
MigrationJob *migration_job_new(struct System *s, MigrationJobKind kind, MigrationChannel *channel);
/* Done in the main loop by migration_job_ended(). */
void migration_job_start(MigrationJob *j);
bool migration_job_cancel(MigrationJob *j); /* waits for its end; true: it was done before */
void migration_job_free(MigrationJob *j);  /* cancels its thread, and waits; NULL is fine */
void migration_job_ended(MigrationJob *j); /* frees it */

#endif
