/*
 * QMP: objects.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "objects.h"

#include "qmp-commands.h"

typedef struct IoThreadInfo {
    char *id;
    int32_t thread_id;
    uint64_t poll_max_ns;
    uint64_t poll_grow;
    uint64_t poll_shrink;
    uint64_t aio_max_batch;
} IoThreadInfo;

static const OptMember iothread_members[] = {
    { "id", OPT_STR, offsetof(IoThreadInfo, id), .required = true },
    { "thread-id", OPT_INT32, offsetof(IoThreadInfo, thread_id), .required = true },
    { "poll-max-ns", OPT_UINT64, offsetof(IoThreadInfo, poll_max_ns), .required = true },
    { "poll-grow", OPT_UINT64, offsetof(IoThreadInfo, poll_grow), .required = true },
    { "poll-shrink", OPT_UINT64, offsetof(IoThreadInfo, poll_shrink), .required = true },
    { "aio-max-batch", OPT_UINT64, offsetof(IoThreadInfo, aio_max_batch), .required = true },
    { 0 },
};
static const OptTable iothread_table = { "IOThreadInfo", sizeof(IoThreadInfo), iothread_members };
static const OptMember iothread_item = { .type = OPT_STRUCT, .table = &iothread_table };
static const OptMember iothread_result = { .type = OPT_LIST, .item = &iothread_item };

static bool query_iothreads(void *opaque, QmpMonitor *m, const void *args, void *ret,
                            GError **error)
{
    const System *s = opaque;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(IoThreadInfo *));

    for (guint i = 0; i < s->iothreads->len; i++) {
        const IoThreadObject *o = g_ptr_array_index(s->iothreads, i);
        IoThreadInfo *info = g_new0(IoThreadInfo, 1);

        info->id = g_strdup(o->id);
        info->thread_id = io_thread_tid(o->thread);
        info->poll_max_ns = io_thread_poll_max_ns(o->thread);
        g_array_append_val(list, info);
    }
    *(GArray **)ret = list;
    return true;
}

/* What object_add() takes, for the schema: it reads the branch by its own table. */
typedef struct ObjectArgs {
    int qom_type;
    char *id;
    void *u;
} ObjectArgs;

static const OptMember object_members[] = {
    { "qom-type", OPT_ENUM, offsetof(ObjectArgs, qom_type), .required = true,
      .values = &object_type },
    { "id", OPT_STR, offsetof(ObjectArgs, id), .required = true },
    { 0 },
};
static const OptBranch object_branches[] = {
    { "iothread", &iothread_options },
    { "memory-backend-file", &memory_file_options },
    { "memory-backend-memfd", &memory_memfd_options },
    { "memory-backend-ram", &memory_ram_options },
    { "rng-builtin", &rng_builtin_options },
    { "rng-random", &rng_random_options },
    { "secret", &secret_options },
    { 0 }
};
static const OptTable object_args = { "ObjectOptions", sizeof(ObjectArgs), object_members,
                                      "qom-type", object_branches, offsetof(ObjectArgs, u) };

static bool qmp_object_add(void *opaque, QmpMonitor *m, OptDict *args, GError **error)
{
    return object_add(opaque, args, error);
}

static bool qmp_object_del(void *opaque, QmpMonitor *m, const void *args, void *ret,
                           GError **error)
{
    return object_del(opaque, ((const QmpIdArgs *)args)->id, error);
}

void qmp_objects_register(System *s)
{
    static const QmpCommand commands[] = {
        { "query-iothreads", NULL, &iothread_result, query_iothreads },
        { "object-add", &object_args, .run_dict = qmp_object_add },
        { "object-del", &qmp_id_args, .run = qmp_object_del },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
}
