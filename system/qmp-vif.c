/*
 * QMP: vifs, their queues and counters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-commands.h"

#include "hw/net/classes.h"
#include "hw/net/nic-stats.h"

static const OptMember dir_members[] = {
    { "packets", OPT_UINT64, offsetof(NicDirStats, packets), .required = true },
    { "direct", OPT_UINT64, offsetof(NicDirStats, direct), .required = true },
    { "bytes", OPT_UINT64, offsetof(NicDirStats, bytes), .required = true },
    { "slots", OPT_UINT64, offsetof(NicDirStats, slots), .required = true },
    { "batches", OPT_UINT64, offsetof(NicDirStats, batches), .required = true },
    { "events-sent", OPT_UINT64, offsetof(NicDirStats, events_sent), .required = true },
    { "events-received", OPT_UINT64, offsetof(NicDirStats, events_received), .required = true },
    { "drop-malformed", OPT_UINT64, offsetof(NicDirStats, drop_malformed), .required = true },
    { "drop-grant", OPT_UINT64, offsetof(NicDirStats, drop_grant), .required = true },
    { "drop-peer", OPT_UINT64, offsetof(NicDirStats, drop_peer), .required = true },
    { "drop-full", OPT_UINT64, offsetof(NicDirStats, drop_full), .required = true },
    { "drop-filter", OPT_UINT64, offsetof(NicDirStats, drop_filter), .required = true },
    { 0 },
};
static const OptTable dir_table = { "VifDirStats", sizeof(NicDirStats), dir_members };

typedef struct QueueInfo {
    uint32_t queue;
    int32_t thread_id;
    bool has_thread_id;
    NicDirStats *tx;
    NicDirStats *rx;
} QueueInfo;

static const OptMember queue_members[] = {
    { "queue", OPT_UINT32, offsetof(QueueInfo, queue), .required = true },
    { "thread-id", OPT_INT32, offsetof(QueueInfo, thread_id),
      offsetof(QueueInfo, has_thread_id) },
    { "tx", OPT_STRUCT, offsetof(QueueInfo, tx), .required = true, .table = &dir_table },
    { "rx", OPT_STRUCT, offsetof(QueueInfo, rx), .required = true, .table = &dir_table },
    { 0 },
};
static const OptTable queue_table = { "VifQueueInfo", sizeof(QueueInfo), queue_members };
static const OptMember queue_item = { .type = OPT_STRUCT, .table = &queue_table };

typedef struct VifResult {
    char *id;
    char *type;
    char *mac;
    uint32_t idx;
    int32_t frontend_id;
    bool has_frontend_id;
    char *state;
    char *error;
    uint32_t max_queues;
    GArray *queues;
} VifResult;

static const OptMember vif_members[] = {
    { "id", OPT_STR, offsetof(VifResult, id), .required = true },
    { "type", OPT_STR, offsetof(VifResult, type), .required = true },
    { "mac", OPT_STR, offsetof(VifResult, mac) },
    { "idx", OPT_UINT32, offsetof(VifResult, idx), .required = true },
    { "frontend-id", OPT_INT32, offsetof(VifResult, frontend_id),
      offsetof(VifResult, has_frontend_id) },
    { "state", OPT_STR, offsetof(VifResult, state), .required = true },
    { "error", OPT_STR, offsetof(VifResult, error) },
    { "max-queues", OPT_UINT32, offsetof(VifResult, max_queues), .required = true },
    { "queues", OPT_LIST, offsetof(VifResult, queues), .required = true, .item = &queue_item },
    { 0 },
};
static const OptTable vif_table = { "VifInfo", sizeof(VifResult), vif_members };
static const OptMember vif_item = { .type = OPT_STRUCT, .table = &vif_table };
static const OptMember vif_result = { .type = OPT_LIST, .item = &vif_item };

/* Counters that a queue's thread writes meanwhile. */
static NicDirStats *dir_copy(const NicDirStats *dir)
{
    NicDirStats *copy = g_new0(NicDirStats, 1);

    for (const OptMember *m = dir_members; m->name; m++) {
        *(uint64_t *)(void *)((char *)copy + m->offset) =
            counter_read((const void *)((const char *)dir + m->offset));
    }
    return copy;
}

static GArray *queue_list(const Device *d, const DeviceInfo *vif)
{
    const NicQueueStats *stats = vif->stats;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(QueueInfo *));

    for (unsigned i = 0; i < device_shown_queues(d, vif); i++) {
        QueueInfo *info = g_new0(QueueInfo, 1);

        info->queue = i;
        info->thread_id = vif->tid[i];
        info->has_thread_id = i < vif->n_queues;
        info->tx = dir_copy(&stats[i].tx);
        info->rx = dir_copy(&stats[i].rx);
        g_array_append_val(list, info);
    }
    return list;
}

static void vif_add(GArray *list, Device *d)
{
    VifResult *r = g_new0(VifResult, 1);
    DeviceInfo info;

    device_info(d, &info);
    r->id = g_strdup(d->id);
    r->type = g_strdup(device_class_name(d->class));
    r->mac = info.address[0] ? g_strdup(info.address) : NULL;
    r->idx = (uint32_t)d->idx;
    r->frontend_id = d->guest;
    r->has_frontend_id = d->guest != DEVICE_NOBODY;
    r->state = g_strdup(info.state);
    r->error = g_strdup(info.error);
    r->max_queues = info.max_queues;
    r->queues = queue_list(d, &info);
    g_array_append_val(list, r);
}

bool qmp_vif_shows(const Device *d)
{
    return d->class == &xen_netback_class || d->class == &xen_netfront_class;
}

static bool query_vif(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const System *s = opaque;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(VifResult *));

    for (unsigned i = 0; i < device_registry_count(s->devices); i++) {
        Device *d = device_registry_nth(s->devices, i);

        if (qmp_vif_shows(d)) {
            vif_add(list, d);
        }
    }
    *(GArray **)ret = list;
    return true;
}

void qmp_vif_register(System *s)
{
    static const QmpCommand commands[] = {
        { "query-vif", NULL, &vif_result, query_vif },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
}
