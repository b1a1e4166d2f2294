/*
 * QMP: devices of any class, and what classes there are. What is shown is what the tables
 * of the classes say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-commands.h"

/* --- query-devices --- */

typedef struct CounterResult {
    char *name;
    uint64_t value;
} CounterResult;

static const OptMember counter_members[] = {
    { "name", OPT_STR, offsetof(CounterResult, name), .required = true },
    { "value", OPT_UINT64, offsetof(CounterResult, value), .required = true },
    { 0 },
};
static const OptTable counter_table = { "DeviceCounter", sizeof(CounterResult),
                                        counter_members };
static const OptMember counter_item = { .type = OPT_STRUCT, .table = &counter_table };

typedef struct GroupResult {
    char *name;
    GArray *counters;
} GroupResult;

static const OptMember group_members[] = {
    { "name", OPT_STR, offsetof(GroupResult, name), .required = true },
    { "counters", OPT_LIST, offsetof(GroupResult, counters), .required = true,
      .item = &counter_item },
    { 0 },
};
static const OptTable group_table = { "DeviceCounterGroup", sizeof(GroupResult), group_members };
static const OptMember group_item = { .type = OPT_STRUCT, .table = &group_table };

typedef struct QueueResult {
    uint32_t queue;
    int32_t thread_id;
    bool has_thread_id;
    GArray *groups;
} QueueResult;

static const OptMember queue_members[] = {
    { "queue", OPT_UINT32, offsetof(QueueResult, queue), .required = true },
    { "thread-id", OPT_INT32, offsetof(QueueResult, thread_id),
      offsetof(QueueResult, has_thread_id) },
    { "groups", OPT_LIST, offsetof(QueueResult, groups), .required = true, .item = &group_item },
    { 0 },
};
static const OptTable queue_table = { "DeviceQueueInfo", sizeof(QueueResult), queue_members };
static const OptMember queue_item = { .type = OPT_STRUCT, .table = &queue_table };

typedef struct DeviceResult {
    char *id;
    char *class;
    char *bus;
    int32_t guest;
    bool has_guest;
    uint32_t idx;
    bool has_idx;
    char *address;
    char *state;
    char *error;
    uint32_t max_queues;
    GArray *queues;
} DeviceResult;

static const OptMember device_members[] = {
    { "id", OPT_STR, offsetof(DeviceResult, id), .required = true },
    { "class", OPT_STR, offsetof(DeviceResult, class), .required = true },
    { "bus", OPT_STR, offsetof(DeviceResult, bus) },
    { "guest", OPT_INT32, offsetof(DeviceResult, guest), offsetof(DeviceResult, has_guest) },
    { "idx", OPT_UINT32, offsetof(DeviceResult, idx), offsetof(DeviceResult, has_idx) },
    { "address", OPT_STR, offsetof(DeviceResult, address) },
    { "state", OPT_STR, offsetof(DeviceResult, state), .required = true },
    { "error", OPT_STR, offsetof(DeviceResult, error) },
    { "max-queues", OPT_UINT32, offsetof(DeviceResult, max_queues), .required = true },
    { "queues", OPT_LIST, offsetof(DeviceResult, queues), .required = true,
      .item = &queue_item },
    { 0 },
};
static const OptTable device_table = { "DeviceInfo", sizeof(DeviceResult), device_members };
static const OptMember device_item = { .type = OPT_STRUCT, .table = &device_table };
static const OptMember devices_result = { .type = OPT_LIST, .item = &device_item };

static GArray *list_new(void)
{
    return g_array_new(FALSE, FALSE, sizeof(void *));
}

static GArray *counter_list(const void *stats, const CounterGroup *g)
{
    GArray *list = list_new();

    for (const Counter *c = g->counters; c->name; c++) {
        CounterResult *r = g_new0(CounterResult, 1);

        r->name = g_strdup(c->name);
        r->value = counter_value(stats, g, c);
        g_array_append_val(list, r);
    }
    return list;
}

static GArray *group_list(const Device *d, const DeviceInfo *info, unsigned queue)
{
    GArray *list = list_new();

    for (const CounterGroup *g = d->class->counters; g && g->name; g++) {
        GroupResult *r = g_new0(GroupResult, 1);

        r->name = g_strdup(g->name);
        r->counters = counter_list(device_queue_stats(d, info, queue), g);
        g_array_append_val(list, r);
    }
    return list;
}

static GArray *queue_list(const Device *d, const DeviceInfo *info)
{
    GArray *list = list_new();

    for (unsigned i = 0; i < device_shown_queues(d, info); i++) {
        QueueResult *r = g_new0(QueueResult, 1);

        r->queue = i;
        r->thread_id = info->tid[i];
        r->has_thread_id = i < info->n_queues;
        r->groups = group_list(d, info, i);
        g_array_append_val(list, r);
    }
    return list;
}

static DeviceResult *device_result(Device *d)
{
    DeviceResult *r = g_new0(DeviceResult, 1);
    DeviceInfo info;

    device_info(d, &info);
    r->id = g_strdup(d->id);
    r->class = g_strdup(device_class_name(d->class));
    r->bus = g_strdup(d->class->bus);
    r->guest = d->guest;
    r->has_guest = d->guest != DEVICE_NOBODY;
    r->idx = (uint32_t)d->idx;
    r->has_idx = d->idx >= 0;
    r->address = info.address[0] ? g_strdup(info.address) : NULL;
    r->state = g_strdup(info.state);
    r->error = g_strdup(info.error);
    r->max_queues = info.max_queues;
    r->queues = queue_list(d, &info);
    return r;
}

static bool query_devices(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const System *s = opaque;
    GArray *list = list_new();

    for (unsigned i = 0; i < device_registry_count(s->devices); i++) {
        DeviceResult *r = device_result(device_registry_nth(s->devices, i));

        g_array_append_val(list, r);
    }
    *(GArray **)ret = list;
    return true;
}

/* --- query-device-classes --- */

typedef struct ClassCounterResult {
    char *group;
    char *name;
    char *unit;
    char *help;
} ClassCounterResult;

static const OptMember class_counter_members[] = {
    { "group", OPT_STR, offsetof(ClassCounterResult, group), .required = true },
    { "name", OPT_STR, offsetof(ClassCounterResult, name), .required = true },
    { "unit", OPT_STR, offsetof(ClassCounterResult, unit), .required = true },
    { "help", OPT_STR, offsetof(ClassCounterResult, help), .required = true },
    { 0 },
};
static const OptTable class_counter_table = { "DeviceCounterInfo", sizeof(ClassCounterResult),
                                              class_counter_members };
static const OptMember class_counter_item = { .type = OPT_STRUCT, .table = &class_counter_table };

typedef struct ClassResult {
    char *name;
    char *description;
    char *bus;
    GArray *counters;
} ClassResult;

static const OptMember class_members[] = {
    { "name", OPT_STR, offsetof(ClassResult, name), .required = true },
    { "description", OPT_STR, offsetof(ClassResult, description), .required = true },
    { "bus", OPT_STR, offsetof(ClassResult, bus) },
    { "counters", OPT_LIST, offsetof(ClassResult, counters), .required = true,
      .item = &class_counter_item },
    { 0 },
};
static const OptTable class_table = { "DeviceClassInfo", sizeof(ClassResult), class_members };
static const OptMember class_item = { .type = OPT_STRUCT, .table = &class_table };
static const OptMember classes_result = { .type = OPT_LIST, .item = &class_item };

static void class_counters_add(GArray *list, const CounterGroup *g)
{
    for (const Counter *c = g->counters; c->name; c++) {
        ClassCounterResult *r = g_new0(ClassCounterResult, 1);

        r->group = g_strdup(g->name);
        r->name = g_strdup(c->name);
        r->unit = g_strdup(c->unit);
        r->help = g_strdup(c->help);
        g_array_append_val(list, r);
    }
}

static bool query_classes(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const DeviceClass *const *classes = device_registry_classes(((System *)opaque)->devices);
    GArray *list = list_new();

    for (size_t i = 0; classes[i]; i++) {
        const DeviceClass *c = classes[i];
        ClassResult *r = g_new0(ClassResult, 1);

        r->name = g_strdup(device_class_name(c));
        r->description = g_strdup(c->desc);
        r->bus = g_strdup(c->bus);
        r->counters = list_new();
        for (const CounterGroup *g = c->counters; g && g->name; g++) {
            class_counters_add(r->counters, g);
        }
        g_array_append_val(list, r);
    }
    *(GArray **)ret = list;
    return true;
}

void qmp_query_devices_register(System *s)
{
    static const QmpCommand commands[] = {
        { "query-devices", NULL, &devices_result, query_devices },
        { "query-device-classes", NULL, &classes_result, query_classes },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
}
