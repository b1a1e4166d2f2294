/*
 * Commands that only look.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp/qmp.h"

#include "qmp-internal.h"

static void add_str(struct json_object *o, const char *key, const char *value)
{
    json_object_object_add(o, key, json_object_new_string(value));
}

static void add_int(struct json_object *o, const char *key, int64_t value)
{
    json_object_object_add(o, key, json_object_new_int64(value));
}

static void add_bool(struct json_object *o, const char *key, bool value)
{
    json_object_object_add(o, key, json_object_new_boolean(value));
}

struct json_object *qmp_query_version(QmpMonitor *m, const void *args, GError **error)
{
    return qmp_version_json(m->qmp);
}

struct json_object *qmp_query_status(QmpMonitor *m, const void *args, GError **error)
{
    struct json_object *o = json_object_new_object();
    const char *status = m->qmp->sys->status(m->qmp->opaque);

    add_str(o, "status", status);
    add_bool(o, "running", g_str_equal(status, "running"));
    return o;
}

struct json_object *qmp_query_name(QmpMonitor *m, const void *args, GError **error)
{
    struct json_object *o = json_object_new_object();
    const char *name = m->qmp->sys->guest_name(m->qmp->opaque);

    if (name) {
        add_str(o, "name", name);
    }
    return o;
}

struct json_object *qmp_query_chardev(QmpMonitor *m, const void *args, GError **error)
{
    struct json_object *list = json_object_new_array();

    for (guint i = 0; i < m->qmp->monitors->len; i++) {
        const QmpMonitor *each = g_ptr_array_index(m->qmp->monitors, i);
        struct json_object *o = json_object_new_object();

        add_bool(o, "frontend-open", true);
        add_str(o, "filename", each->filename);
        add_str(o, "label", each->label);
        json_object_array_add(list, o);
    }
    return list;
}

static void add_iothread(void *list, const char *id, const IoThread *thread)
{
    struct json_object *o = json_object_new_object();

    add_str(o, "id", id);
    add_int(o, "thread-id", io_thread_tid(thread));
    add_int(o, "poll-max-ns", (int64_t)io_thread_poll_max_ns(thread));
    add_int(o, "poll-grow", 0);
    add_int(o, "poll-shrink", 0);
    add_int(o, "aio-max-batch", 0);
    json_object_array_add(list, o);
}

struct json_object *qmp_query_iothreads(QmpMonitor *m, const void *args, GError **error)
{
    struct json_object *list = json_object_new_array();

    m->qmp->sys->foreach_iothread(m->qmp->opaque, add_iothread, list);
    return list;
}

/* There is no CPU; callers compare this with the guest's architecture. */
struct json_object *qmp_query_target(QmpMonitor *m, const void *args, GError **error)
{
    struct json_object *o = json_object_new_object();

#if defined(__aarch64__)
    add_str(o, "arch", "aarch64");
#else
    add_str(o, "arch", "x86_64");
#endif
    return o;
}

struct json_object *qmp_query_kvm(QmpMonitor *m, const void *args, GError **error)
{
    struct json_object *o = json_object_new_object();

    add_bool(o, "enabled", false);
    add_bool(o, "present", false);
    return o;
}

/* Exactly the members of QEMU 10's schema: strict clients abort at another one. */
struct json_object *qmp_query_machines(QmpMonitor *m, const void *args, GError **error)
{
    struct json_object *list = json_object_new_array();
    const char *const *names = m->qmp->sys->machines();

    for (unsigned i = 0; names[i]; i++) {
        struct json_object *o = json_object_new_object();

        add_str(o, "name", names[i]);
        if (i == 0) {
            add_bool(o, "is-default", true);
        }
        add_int(o, "cpu-max", 1);
        add_bool(o, "hotpluggable-cpus", false);
        add_bool(o, "numa-mem-supported", false);
        add_bool(o, "deprecated", false);
        add_bool(o, "acpi", false);
        json_object_array_add(list, o);
    }
    return list;
}

static struct json_object *dir_stats(const NetifDirStats *d)
{
    static const struct {
        const char *name;
        size_t offset;
    } counters[] = {
        { "packets", offsetof(NetifDirStats, packets) },
        { "bytes", offsetof(NetifDirStats, bytes) },
        { "slots", offsetof(NetifDirStats, slots) },
        { "batches", offsetof(NetifDirStats, batches) },
        { "events-sent", offsetof(NetifDirStats, events_sent) },
        { "events-received", offsetof(NetifDirStats, events_received) },
        { "drop-malformed", offsetof(NetifDirStats, drop_malformed) },
        { "drop-grant", offsetof(NetifDirStats, drop_grant) },
        { "drop-peer", offsetof(NetifDirStats, drop_peer) },
        { "drop-full", offsetof(NetifDirStats, drop_full) },
    };
    struct json_object *o = json_object_new_object();

    for (size_t i = 0; i < G_N_ELEMENTS(counters); i++) {
        const uint64_t *c = (const void *)((const char *)d + counters[i].offset);

        json_object_object_add(o, counters[i].name, json_object_new_uint64(netif_counter(c)));
    }
    return o;
}

static void add_vif(void *list, const QmpVif *vif)
{
    struct json_object *o = json_object_new_object();
    struct json_object *queues = json_object_new_array();

    add_str(o, "id", vif->id);
    add_str(o, "type", vif->type);
    if (vif->mac) {
        add_str(o, "mac", vif->mac);
    }
    add_int(o, "idx", vif->idx);
    if (vif->frontend_id >= 0) {
        add_int(o, "frontend-id", vif->frontend_id);
    }
    add_str(o, "state", vif->state);
    if (vif->error) {
        add_str(o, "error", vif->error);
    }
    add_int(o, "max-queues", vif->max_queues);
    for (unsigned i = 0; i < vif->n_queues; i++) {
        struct json_object *q = json_object_new_object();

        add_int(q, "queue", i);
        add_int(q, "thread-id", vif->tids[i]);
        json_object_object_add(q, "tx", dir_stats(&vif->stats[i].tx));
        json_object_object_add(q, "rx", dir_stats(&vif->stats[i].rx));
        json_object_array_add(queues, q);
    }
    json_object_object_add(o, "queues", queues);
    json_object_array_add(list, o);
}

struct json_object *qmp_query_vif(QmpMonitor *m, const void *args, GError **error)
{
    struct json_object *list = json_object_new_array();

    m->qmp->sys->foreach_vif(m->qmp->opaque, add_vif, list);
    return list;
}

static void add_peripheral(void *list, const QmpVif *vif)
{
    struct json_object *o;
    g_autofree char *type = g_strdup_printf("child<%s>", vif->type);

    if (opt_id_wellformed(vif->id)) {
        o = json_object_new_object();
        add_str(o, "name", vif->id);
        add_str(o, "type", type);
        json_object_array_add(list, o);
    }
}

struct json_object *qmp_list_peripherals(QmpMonitor *m)
{
    struct json_object *list = json_object_new_array();
    struct json_object *type = json_object_new_object();

    add_str(type, "name", "type");
    add_str(type, "type", "string");
    json_object_array_add(list, type);
    m->qmp->sys->foreach_vif(m->qmp->opaque, add_peripheral, list);
    return list;
}
