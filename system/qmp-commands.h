/*
 * qmp-*.c: commands and events of QMP, registered with s->qmp.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_QMP_COMMANDS_H
#define SYSTEM_QMP_COMMANDS_H

#include "system.h"

typedef struct QmpIdArgs {
    char *id;
} QmpIdArgs;

extern const OptTable qmp_id_args; /* of device_del and its like */

typedef struct QmpPathArgs {
    char *path;
} QmpPathArgs;

extern const OptMember qmp_path_members[];

void qmp_state_register(System *s);
void qmp_event_shutdown(System *s, const char *reason);
void qmp_event_stop(System *s);
void qmp_event_resume(System *s);
void qmp_objects_register(System *s);
void qmp_chardev_register(System *s);
void qmp_net_register(System *s);
/* NetSocketEnv.stream_changed, with the System as @opaque. */
void qmp_event_netdev_stream(void *opaque, const Netdev *nd, const SocketAddress *peer);
/* VhostUserNetdevEnv.changed, likewise. */
void qmp_event_netdev_vhost_user(void *opaque, const Netdev *nd, const char *chardev, bool up);
void qmp_block_register(System *s);
void qmp_query_block_register(System *s);
void qmp_query_blockstats_register(System *s);
void qmp_devices_register(System *s);
char *qmp_device_path(const char *device); /* among QEMU's objects; free it */
void qmp_event_device_deleted(System *s, const char *device);
void qmp_query_devices_register(System *s);
void qmp_device_events_register(System *s);
void qmp_event_device(System *s, const Device *d, const DeviceEvent *e);
void qmp_vif_register(System *s);
void qmp_rx_filter_register(System *s);
void qmp_event_rx_filter(System *s, const Device *d);
void qmp_qom_register(System *s);
void qmp_machine_register(System *s);
void qmp_migration_register(System *s);
void qmp_event_migration(System *s);
void qmp_options_register(System *s);
void qmp_fd_sets_register(System *s);
void qmp_guest_register(System *s);
void hmp_register(System *s);
bool qmp_vif_shows(const Device *d);

#endif
