/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "system.h"

#include "announce.h"
#include "globals.h"
#include "nics.h"
#include "objects.h"
#include "tables.h"
#include "util/fd-set.h"

#define DEFAULT_RAM (256u << 20)

void system_init(System *s)
{
    *s = (System){
        .machine = machine_default(),
        .accel = { .domid = -1, .ram = DEFAULT_RAM },
        .xen_domid = -1,
        .daemon = { .pidfile_fd = -1, .report_fd = -1 },
    };
    s->loop = g_main_loop_new(NULL, FALSE);
    s->fd_sets = fd_sets_new();
    s->globals = g_ptr_array_new_with_free_func(global_free);
    s->nics = g_ptr_array_new_with_free_func(nic_free);
    s->iothreads = g_ptr_array_new_with_free_func(iothread_object_free);
    s->secrets = g_ptr_array_new_with_free_func(secret_free);
    s->inert_objects = g_ptr_array_new_with_free_func(inert_object_free);
    s->netdev_jobs = g_ptr_array_new();
    s->netdevs = g_ptr_array_new_with_free_func((GDestroyNotify)netdev_free);
    s->chardevs = g_ptr_array_new_with_free_func(chardev_object_free);
    s->blockdevs = g_ptr_array_new_with_free_func(block_object_free);
    s->devices = devices_new(s);
    s->qmp = qmp_new(RINGTAP_VERSION);
    for (size_t i = 0; system_qmp[i]; i++) {
        system_qmp[i](s);
    }
}

/* In reverse: what uses something goes before it. */
void system_done(System *s)
{
    attach_stop(s);
    migration_done(s);
    announce_stop(s);
    g_clear_pointer(&s->devices, device_registry_free);
    run_remove_timer(s);
    qmp_flush(s->qmp, 500);
    g_clear_pointer(&s->qmp, qmp_free);
    g_ptr_array_unref(s->blockdevs);
    fd_sets_free(s->fd_sets);
    netdevs_free(s); /* one may have a chardev */
    g_ptr_array_unref(s->chardevs);
    g_ptr_array_unref(s->globals);
    g_ptr_array_unref(s->nics);
    g_ptr_array_unref(s->iothreads);
    g_ptr_array_unref(s->secrets);
    g_ptr_array_unref(s->inert_objects);
    g_clear_pointer(&s->qtest_server, qtest_free);
    board_close(s);
    accel_close(s);
    daemon_done(s);
    g_main_loop_unref(s->loop);
    g_free(s->accel.socket);
    g_free(s->accel.connect);
    g_free(s->guest_name);
    g_free(s->qtest);
    g_free(s->qtest_log);
    g_free(s->log_file);
    g_free(s->program.path);
    g_free(s->program.fd);
}
