/*
 * A device of the command line, and what its type has to provide.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_DEVICE_H
#define SYSTEM_DEVICE_H

#include "hw/net/netif-info.h"
#include "system.h"
#include "util/log.h"

typedef struct Device Device;

/* What there is to say of a vif; valid during the call that passes it. */
typedef struct VifInfo {
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
} VifInfo;

typedef void VifInfoFn(void *ctx, const VifInfo *vif);

typedef struct DeviceType {
    const OptTable *options;
    const char *desc;
    size_t id_offset;     /* char *, in the config struct */
    size_t netdev_offset; /* char *, the same */
    void *(*create)(Device *d, GError **error);
    void (*start)(void *impl);
    void (*pause)(void *impl, bool paused); /* NULL: it cannot */
    void (*close)(void *impl, unsigned timeout_ms);
    void (*free)(void *impl);
    void (*visit)(Device *d, VifInfoFn *fn, void *ctx);
} DeviceType;

typedef enum DeviceEventKind {
    DEVICE_CONNECTED,
    DEVICE_DISCONNECTED,
    DEVICE_ERROR,
} DeviceEventKind;

typedef struct DeviceEvent {
    DeviceEventKind kind;
    unsigned queues; /* CONNECTED */
    char *reason;    /* ERROR */
} DeviceEvent;

/* What a guest makes us say: some at once, then a few in a time. */
typedef struct DeviceEvents {
    LogLimit info_limit;
    LogLimit warn_limit;
    unsigned credit;     /* QMP events that may be sent at once */
    gint64 credit_us;    /* since when there is so much */
    DeviceEvent held[2]; /* the last of a link, of an error, in their order */
    unsigned n_held;
    guint timer;         /* sends them */
} DeviceEvents;

struct Device {
    System *s;
    const DeviceType *type;
    void *config;
    const char *id;    /* the config's; "#..." if the user gave none */
    Netdev *peer;
    GPtrArray *users;  /* iothreads of ours */
    void *impl;
    bool started;
    bool paused;
    bool closing;      /* asked to go */
    DeviceEvents events;
    guint gone_tag;    /* it went, and is freed from the main loop */
};

extern const DeviceType device_vif;
extern const DeviceType device_netfront;

/* device-events.c */
void device_events_init(Device *d);
void device_events_flush(Device *d); /* sends what is held back */
void device_events_done(Device *d);

/* A type's events end here. */
void device_connected(Device *d, unsigned queues);
void device_disconnected(Device *d);
void device_failed(Device *d, const char *reason);
void device_gone(Device *d); /* may be called from within the type's code */

#endif
