/*
 * The running program: everything it has, in one struct. Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_SYSTEM_H
#define SYSTEM_SYSTEM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "firmware.h"
#include "hw/core/registry.h"
#include "hw/xen/xen-device.h"
#include "machine.h"
#include "migration.h"
#include "net/tap.h"
#include "util/socket-address.h"
#include "qmp/qmp.h"
#include "qtest/qtest.h"
#include "util/iothread.h"

#define CLOSE_TIMEOUT_MS 3000 /* for a guest to agree to a device's end */

typedef enum RunState {
    RUN_PRELAUNCH, /* devices are there, not offered to guests: until start or, with -S, cont */
    RUN_RUNNING,
    RUN_PAUSED,
    RUN_INMIGRATE, /* -incoming: devices are there, until their state has arrived */
    RUN_FINISH_MIGRATE, /* their state goes to somebody else */
    RUN_POSTMIGRATE, /* who has it now */
    RUN_SHUTDOWN,  /* devices are being closed */
} RunState;

typedef enum AccelKind {
    ACCEL_DEFAULT, /* a real Xen if there is one */
    ACCEL_XEN,
    ACCEL_XENEMU,
    ACCEL_QTEST,
} AccelKind;

/* What -accel and its neighbours ask for. */
typedef struct AccelConfig {
    AccelKind kind;
    char *socket;      /* xenemu: where the host listens */
    char *connect;     /* xenemu: the host that we are a guest of */
    int domid;         /* then: our domid, -1: the host's choice */
    uint64_t ram;
    bool no_processor; /* tcg or kvm was named, and that said */
} AccelConfig;

typedef struct Daemon {
    bool wanted;
    char *pidfile;     /* absolute; NULL: none */
    int pidfile_fd;
    int report_fd;     /* the parent waits at the other end; -1: no parent */
} Daemon;

/* --socket-path, --fd: one of them at most. */
typedef struct BackendProgram {
    char *path;
    char *fd;
} BackendProgram;

typedef struct FdSets FdSets;
typedef struct NetdevJob NetdevJob;
typedef void NetdevJobDone(void *opaque, const GError *error); /* NULL: it went well */

typedef struct System {
    /* what the command line said */
    const MachineType *machine;
    bool machine_given;
    AccelConfig accel;
    char *guest_name;
    bool no_reboot;      /* a reset ends the program */
    int xen_domid;       /* whose devices; -1: not said */
    bool xen_attach;     /* a toolstack started us and waits for "running" */
    uint64_t ram_size;   /* -m, if ram_given: machine_ram_size() */
    bool ram_given;
    bool start_paused;
    Firmware firmware;
    char *qtest;
    char *qtest_log;
    char *log_file;
    Daemon daemon;
    BackendProgram program;

    /* what there is */
    GMainLoop *loop;
    RunState state;
    bool up;             /* the command line is done */
    bool patient; /* a program that is just ending may have what is wanted */
    bool log_open;       /* there is a log apart from stderr */
    bool ended;          /* the main loop has nothing left to do */
    uint64_t balloon;    /* its size, if that was set; else 0 */
    Migration migration;
    bool migrate_events; /* migrate-set-capabilities asked for them */
    bool failed;         /* and that is an error */
    guint lost_tag;      /* the emulated host that we are a guest of goes */
    guint close_tag;     /* time-out of RUN_SHUTDOWN */
    Xen *xen;
    char *xen_path;      /* where domains attach; NULL: we are not an emulated host */
    XenStore *store;
    XenContext xen_context; /* of these, for devices */
    GPtrArray *attach;      /* Attach *: kinds of devices that a toolstack makes; NULL: none */
    char *device_model;     /* where "running" stands; NULL: nowhere */
    char *private_dir;   /* of the emulated host's socket, made by us */
    FdSets *fd_sets;
    GPtrArray *globals;  /* globals.c */
    GPtrArray *nics;     /* nics.c */
    GPtrArray *iothreads;
    GPtrArray *secrets;  /* secrets.c */
    GPtrArray *inert_objects; /* inert-objects.c */
    GPtrArray *netdevs;
    GPtrArray *netdev_jobs; /* NetdevJob *: netdevs that are coming or going */
    GHashTable *announces; /* announce.c; NULL: none ever was */
    GPtrArray *chardevs;
    GPtrArray *blockdevs;
    Board *board;        /* NULL: the machine has none */
    DeviceRegistry *devices;
    unsigned n_qmp;      /* -qmp options */
    unsigned next_anon;  /* number of the next device without an id */
    unsigned next_block; /* of the next block node without a name */
    Qmp *qmp;
    Qtest *qtest_server; /* its guest is the domain whose devices we have */
} System;

/* system.c */
void system_init(System *s);
void system_done(System *s); /* whatever is there, also half-built */

/* common.c */
/*
 * What @arg wants help on: "" for "help" alone, the value of @implied_key for "X,help";
 * NULL: it does not ask for help. Free it.
 */
char *system_help_topic(const char *arg, const char *implied_key);
/* The help of @table, if that is what @arg wants; else NULL. */
char *system_options_help(const OptTable *table, const char *arg, const char *implied_key);
bool system_set_error(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3); /* false */
/* Of @objects, whose first member is their id; NULL: there is none. */
void *system_find(const GPtrArray *objects, const char *id);

/* runstate.c */
void run_expect_signals(void);       /* first of all: from here on a signal ends us with status 0 */
void run_default_signals(void);      /* of a process that only waits: it is killed */
void run_install_signals(System *s); /* the main loop has them */
void run_remove_timer(System *s);
void run_start(System *s);                        /* at the end of start-up */
void run_stop(System *s);
void run_cont(System *s);
void run_shutdown(System *s, const char *reason); /* the second call ends at once */
void run_migration_begins(System *s);    /* devices are drained: migration_drained() */
void run_migration_failed(System *s, bool resume); /* as before */
void run_migration_completed(System *s);
void run_migrated(System *s);            /* what came in goes on, unless it is to wait */
void run_device_gone(System *s);                  /* a device was removed from the list */
void run_netdevs_settled(System *s); /* none is coming or going any more */

/* accel.c */
bool accel_set(System *s, const char *arg, GError **error);      /* -accel */
bool accel_enable_kvm(System *s, const char *arg, GError **error);  /* -enable-kvm */
bool accel_set_names(System *s, const char *names, GError **error); /* -machine accel= */
bool accel_is_asked_for(const System *s); /* by other options than -device */
bool accel_open(System *s, GError **error);
void accel_close(System *s);
extern const DeviceBus xen_bus;
void accel_record_running(System *s);
char *accel_help(const char *arg, GError **error);

/* netdev-types.c: what each takes is a config struct whose first member is the id */
extern const char *const netdev_types[]; /* ends with NULL */
extern const OptBranch netdev_branches[];
const OptBranch *netdev_type_find(const char *type); /* NULL: there is no such type */
/* @by_name, with @opaque, as in tap_new(). What @config has may be changed. */
Netdev *netdev_type_open(System *s, const OptBranch *type, void *config, TapFdByName *by_name,
                         void *opaque, GError **error);

/* netdevs.c */
bool netdev_add(System *s, OptDict *args, GError **error); /* waits for script= */
bool netdev_add_from(System *s, OptDict *args, QmpMonitor *mon, GError **error); /* likewise */
/*
 * As QMP does it: true and a job in *@ret_job, which is NULL before, if a script is running
 * that is to be waited for. The end of the job is the end of the command.
 */
bool netdev_add_later(System *s, OptDict *args, QmpMonitor *mon, NetdevJob **ret_job,
                      GError **error);
bool netdev_del(System *s, const char *id, NetdevJob **ret_job, GError **error);
bool netdev_insert(System *s, Netdev *nd, GError **error); /* takes @nd */
Netdev *netdev_find(System *s, const char *id);
extern const DeviceBackendKind netdev_backend;
void netdevs_warn_unused(System *s);
bool netdevs_close(System *s); /* without devices; true: run_netdevs_settled() will follow */
void netdevs_free(System *s);  /* what is left, at once if the program was told to end */
char *netdev_help(const char *arg, GError **error);

/* netdev-jobs.c */
NetdevJob *netdev_job_start(System *s, Netdev *nd, bool up, GError **error); /* takes @nd */
void netdev_job_then(NetdevJob *job, NetdevJobDone *done, void *opaque);
bool netdev_job_has(System *s, const char *id);
void netdev_jobs_cancel(System *s, bool down); /* those that come, with @down those that go */

/* blockdevs.c, blockdev-options.c, drive.c */
bool blockdev_add(System *s, OptDict *args, GError **error); /* -blockdev */
char *blockdev_help(const char *arg, GError **error);
bool drive_add(System *s, OptDict *args, GError **error);    /* -drive */
char *drive_help(const char *arg, GError **error);
void block_object_free(gpointer opaque);
/* A class gets a BlockNode of block/block.h, for block_node_claim() and block_node_release(). */
extern const DeviceBackendKind blockdev_backend;

/* disk-attach.c: of system_attach, a disk with its drive */
bool disk_attach(System *s, const char *kind, unsigned number, const char *be, GError **error);

/* attach.c: with -xen-attach, devices that a toolstack makes */
bool attach_start(System *s, GError **error); /* makes those that are there, before it returns */
void attach_stop(System *s);                  /* makes no more */
void attach_device_gone(System *s);

/* chardev.c */
bool chardev_option(System *s, const char *arg, GError **error); /* -chardev */
char *chardev_help(const char *arg, GError **error);
void chardev_object_free(gpointer opaque);
void chardev_wait(System *s); /* for the first clients of wait=on */
extern const DeviceBackendKind chardev_backend; /* a class gets a Chardev of util/chardev.h */

/* monitor.c */
bool monitor_option(System *s, const char *arg, GError **error);     /* -mon */
bool monitor_qmp_option(System *s, const char *arg, GError **error); /* -qmp */
bool monitor_qmp_pretty_option(System *s, const char *arg, GError **error); /* -qmp-pretty */
char *monitor_help(const char *arg, GError **error);
char *monitor_qmp_help(const char *arg, GError **error);

/* backend-program.c: started as a vhost-user back end, see QEMU's conventions for such */
char *backend_program_capabilities(void); /* JSON, a line; free it */
bool backend_program_set_path(System *s, const char *arg, GError **error); /* --socket-path */
bool backend_program_set_fd(System *s, const char *arg, GError **error);   /* --fd */
bool backend_program_wanted(const System *s); /* one of these was given */
/* Its chardev, when there are netdevs, and its device, after those of the command line. */
bool backend_program_prepare(System *s, GError **error);
bool backend_program_add_device(System *s, GError **error);

/* devices.c */
DeviceRegistry *devices_new(System *s);
bool devices_add(System *s, OptDict *args, GError **error);
bool devices_del(System *s, const char *id, GError **error);
bool devices_set_link(System *s, const char *name, bool up, GError **error);
char *devices_help(const char *arg, GError **error); /* an unknown device is an error */

/* daemon.c */
bool daemon_detach(System *s, GError **error); /* in the child; the parent never returns */
bool daemon_write_pidfile(System *s, GError **error);
void daemon_ready(System *s);
void daemon_done(System *s);
/* To the parent, if it waits still; when nothing is left of us, which it relies on. */
void daemon_report_failure(System *s, const char *text);

#endif
