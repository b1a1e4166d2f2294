/*
 * -chardev: sockets by their ids, for monitors and devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_CHARDEV_H
#define SYSTEM_CHARDEV_H

#include "system.h"
#include "util/chardev.h"

/* -chardev socket,... */
typedef struct SocketConfig {
    char *id;
    char *path;
    char *fd;
    char *host;
    char *port;
    bool ipv4;
    bool has_ipv4;
    bool ipv6;
    bool has_ipv6;
    bool server;
    bool wait;
    bool has_wait;
    bool nowait;
    uint32_t reconnect;
    bool has_reconnect;
    uint32_t reconnect_ms;
    bool has_reconnect_ms;
    bool hotplug; /* others are served meanwhile: nothing waits */
    void (*ended)(void *system); /* ChardevConfig's; NULL: nobody cares */
} SocketConfig;

extern const OptTable socket_options;
extern const OptTable mon_options; /* monitor.c */

typedef struct ChardevObject {
    char *id;
    char *filename; /* as query-chardev shows it */
    Chardev *chardev; /* NULL: of a kind that nobody can use */
    int fd;         /* of that: what is held open; -1: nothing */
    bool inet;      /* of TCP, by which no descriptors come */
    bool wait;      /* the start is to wait for its first client */
    bool in_use;    /* by a monitor or a device */
} ChardevObject;

ChardevObject *chardev_find(System *s, const char *id); /* NULL: there is none */
/* The system's. A descriptor that @config names is the caller's if it comes to nothing. */
ChardevObject *chardev_new_socket(System *s, const SocketConfig *config, GError **error);
bool chardev_del(System *s, const char *id, GError **error); /* not one that is in use */

#endif
