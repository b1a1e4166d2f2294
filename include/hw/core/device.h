/*
 * Devices: what every class of them has in common. A class is a table beside the code that it
 * describes; which classes, buses and back-end kinds there are is said by the tables of
 * whoever makes the registry. Nothing here knows Xen, a network or QMP.
 *
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CORE_DEVICE_H
#define HW_CORE_DEVICE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/core/counter.h"
#include "util/iothread.h"
#include "util/log.h"
#include "util/options.h"

#define DEVICE_MAX_QUEUES   256u
#define DEVICE_MAX_BACKENDS 2u
#define DEVICE_NOBODY       (-1) /* Device.guest: it belongs to no guest */

typedef struct Device Device;
typedef struct DeviceRegistry DeviceRegistry;

#define DEVICE_ERROR device_error_quark()
GQuark device_error_quark(void);
typedef enum DeviceError {
    DEVICE_ERROR_FAILED,
    DEVICE_ERROR_NOT_FOUND, /* an object that a property names */
} DeviceError;
bool device_set_error(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3); /* false */

/* --- the rows of tables --- */

typedef struct DeviceBus {
    const char *type;     /* as a class names it, and "-device help" prints it: "xen" */
    const char *instance; /* bus=: "xen-bus.0", as QEMU calls the one that we have */
    /* What devices on it get as Device.bus; NULL: it is not there. @opaque: the registry's. */
    void *(*get)(void *opaque);
    const char *kind;     /* of the instances, where QEMU has a word besides the type; or NULL */
    /* So many buses instead, each with room for one: "virtio-mmio-bus.31". 0: one with room. */
    unsigned n_slots;
    bool fixed;           /* nothing comes or goes once all of the command line is there */
} DeviceBus;

typedef struct DeviceSeat {
    const DeviceBus *row; /* NULL: on none */
    void *bus;
    int slot;             /* of the row's; -1: it has none, or none was free */
} DeviceSeat;

/* The host's end of a device: netdevs, block nodes, chardevs. @opaque: the registry's. */
typedef struct DeviceBackendKind {
    const char *property;                          /* that names one: "netdev" */
    void *(*find)(void *opaque, const char *id);   /* NULL: there is none */
    bool (*claim)(void *opaque, void *backend);    /* false: another device has it */
    void (*release)(void *opaque, void *backend);
} DeviceBackendKind;

typedef struct DeviceBackendUse {
    const char *property; /* of a DeviceBackendKind */
    size_t offset;        /* of its value in the config struct, a char * */
} DeviceBackendUse;

/* How a device is; valid until the main loop goes on. */
typedef struct DeviceInfo {
    const char *state;   /* "init-wait", "connected", ... */
    const char *error;   /* the last reason for which a connection was refused or given up */
    char address[32];    /* by which a guest knows it: a NIC's MAC address; "": none */
    unsigned n_queues;   /* connected ones; 0: it is not connected */
    unsigned max_queues;
    const void *stats;   /* max_queues times the class's queue_stats_size; NULL: no counters */
    int tid[DEVICE_MAX_QUEUES]; /* the thread of each connected queue */
} DeviceInfo;

/* Callbacks that may be NULL say so; nobody calls one of these unasked. */
typedef struct DeviceClass {
    const OptTable *options;      /* its name is the class's */
    const char *desc;
    const char *category;         /* "Network": the heading in "-device help" */
    const char *bus;              /* type of a DeviceBus; NULL: on none, a back end says it all */
    size_t id_offset;             /* of the config struct's id, a char * */
    DeviceBackendUse backends[DEVICE_MAX_BACKENDS + 1]; /* ends with a NULL property */
    size_t queue_stats_size;      /* of the counters of a queue */
    const CounterGroup *counters; /* in there; ends with a NULL name. NULL: none */
    const struct NicOps *nic;     /* hw/net/nic.h, for whoever knows of NICs; NULL: nothing */

    /*
     * Sets guest, idx, and maybe place from the config. No two devices of a class have both guest
     * and idx in common. NULL: a device of this class has no number.
     */
    bool (*identify)(Device *d, GError **error);
    /* Sets impl, and idx if it was -1. Back ends are claimed, nothing is offered to a guest yet. */
    bool (*realize)(Device *d, GError **error);
    void (*start)(Device *d);
    /* Asks a guest to let go of it; device_gone() follows, after @timeout_ms at the latest. */
    void (*close)(Device *d, unsigned timeout_ms);
    /* Takes no work from the guest any more; device_drained() once none is under way. Or NULL. */
    void (*drain)(Device *d);
    void (*resume)(Device *d);    /* after, or during, a drain; NULL where drain is */
    /*
     * What a device that is drained, or was not started, needs to go on elsewhere; none: it needs
     * nothing. Loaded at once or, after a failure, not at all, and maybe another time. Both or
     * none of them is NULL.
     */
    bool (*save)(Device *d, GByteArray *out, GError **error);
    bool (*load)(Device *d, const uint8_t *data, size_t len, GError **error);
    void (*unrealize)(Device *d); /* at once; what is impl is gone then */
    void (*info)(Device *d, DeviceInfo *ret_info); /* fields that stay zero may be left out */
} DeviceClass;

/* --- events --- */

typedef enum DeviceEventKind {
    DEVICE_CONNECTED,
    DEVICE_DISCONNECTED,
    DEVICE_FAILED,
    DEVICE_CHANGED,     /* never logged */
    DEVICE_WARNED,      /* logged only */
    DEVICE_GONE,        /* the same */
} DeviceEventKind;

typedef struct DeviceEvent {
    DeviceEventKind kind;
    unsigned queues;    /* CONNECTED */
    const char *reason; /* FAILED, WARNED, GONE */
} DeviceEvent;

/* Some events go out at once, then a few in a time: hw/core/device-events.c. */
typedef struct DeviceEvents {
    unsigned credit;         /* events that may go out at once */
    gint64 credit_us;        /* since when there is so much */
    struct {
        DeviceEventKind kind;
        unsigned queues;
        char *reason;
    } held[2];               /* the last of a connection, the last failure, in their order */
    unsigned n_held;
    guint timer;             /* sends them */
} DeviceEvents;

/* A class's events end here. Each may be called from within any callback of the class. */
void device_connected(Device *d, unsigned queues);
/*
 * The guest asked something else of it, or the same again. Sent each time: the class calls it once,
 * and then not before somebody looked at what was asked.
 */
void device_changed(Device *d);
void device_disconnected(Device *d);
void device_failed(Device *d, const char *reason);
void device_warned(Device *d, const char *text); /* less than was asked for; all goes on */
void device_drained(Device *d);
/* Freed from the main loop, not before the caller returned. @reason NULL: it was asked to. */
void device_gone(Device *d, const char *reason);

/* --- a device --- */

struct Device {
    DeviceRegistry *registry;
    const DeviceClass *class;
    void *config;
    const char *id;      /* the config's; "#..." if the user gave none */
    int guest;           /* domain id or the like */
    int idx;             /* number in the guest; -1: none */
    char place[32];      /* the same as a user writes it: "vdev xvda"; "": "idx N" */
    void *bus;           /* what its bus gave; NULL: the class has none */
    DeviceSeat seat; /* where that is */
    void *backend[DEVICE_MAX_BACKENDS]; /* in the order of the class's backends; claimed */
    void *impl;          /* the class's */
    bool started;
    bool draining;       /* or drained */
    bool drained;
    bool closing;        /* asked to go */
    unsigned shown_queues; /* of the connection, or when there is none, of the last one */
    LogLimit info_limit; /* of what a guest can make whoever logs its events say */
    LogLimit warn_limit;
    DeviceEvents events;
    GPtrArray *threads;  /* claimed ones: device_claim_thread() */
    guint gone_tag;
};

const char *device_class_name(const DeviceClass *c);
bool device_class_uses(const DeviceClass *c, const char *property); /* back ends of that kind */
/* Its back end of that kind; NULL: the class has none. The device keeps it. */
void *device_backend(const Device *d, const char *property);
/* Zeroed before the class fills it. */
void device_info(Device *d, DeviceInfo *ret_info);
/* How many queues there is something to say of: also of those of a connection that ended. */
unsigned device_shown_queues(const Device *d, const DeviceInfo *info);
/* The counters of queue @queue < max_queues. */
const void *device_queue_stats(const Device *d, const DeviceInfo *info, unsigned queue);

IoThread *device_find_thread(const Device *d, const char *id); /* NULL: there is none */
/* The device uses it until it is freed; with each call once more. */
void device_claim_thread(Device *d, IoThread *thread);

/* False: its bus lets nothing go. */
bool device_may_go(const Device *d, GError **error);
/* False: it is on its way already. */
bool device_close(Device *d, unsigned timeout_ms);
bool device_save(Device *d, GByteArray *out, GError **error);
bool device_load(Device *d, const uint8_t *data, size_t len, GError **error);

#endif
