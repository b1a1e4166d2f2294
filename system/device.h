/*
 * A device of the command line, and what its type has to provide.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_DEVICE_H
#define SYSTEM_DEVICE_H

#include "system.h"
#include "util/log.h"

typedef struct Device Device;

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
    void (*visit)(Device *d, QmpVifFn *fn, void *ctx);
} DeviceType;

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
    LogLimit info_limit; /* of what a guest makes us say */
    LogLimit warn_limit;
    guint gone_tag;    /* it went, and is freed from the main loop */
};

extern const DeviceType device_vif;
extern const DeviceType device_netfront;

/* A type's events end here. */
void device_connected(Device *d, unsigned queues);
void device_disconnected(Device *d);
void device_failed(Device *d, const char *reason);
void device_gone(Device *d); /* may be called from within the type's code */

#endif
