/*
 * -object: which kinds there are, and iothreads; secrets are in secrets.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "objects.h"

#define MAX_IOTHREADS 256u

typedef struct IoThreadConfig {
    char *id;
    uint64_t poll_max_ns;
    bool has_poll_max_ns;
} IoThreadConfig;

static const OptMember iothread_members[] = {
    { "id", OPT_STR, offsetof(IoThreadConfig, id), .required = true,
      .help = "name, for iothread= and iothread-vq-mapping= of a device" },
    { "poll-max-ns", OPT_SIZE, offsetof(IoThreadConfig, poll_max_ns),
      offsetof(IoThreadConfig, has_poll_max_ns),
      .help = "how long to look for work before sleeping, at most, 32768 if absent" },
    { "poll-grow", OPT_SIZE, .ignored = true },
    { "poll-shrink", OPT_SIZE, .ignored = true },
    { "aio-max-batch", OPT_SIZE, .ignored = true },
    { "thread-pool-min", OPT_SIZE, .ignored = true },
    { "thread-pool-max", OPT_SIZE, .ignored = true },
    { 0 },
};
const OptTable iothread_options = { "iothread", sizeof(IoThreadConfig), iothread_members };

void iothread_object_free(gpointer opaque)
{
    IoThreadObject *o = opaque;

    io_thread_free(o->thread);
    g_free(o->id);
    g_free(o);
}

IoThreadObject *object_find(System *s, const char *id)
{
    return system_find(s->iothreads, id);
}

IoThreadObject *object_of_thread(System *s, const IoThread *thread)
{
    for (guint i = 0; i < s->iothreads->len; i++) {
        IoThreadObject *o = g_ptr_array_index(s->iothreads, i);

        if (o->thread == thread) {
            return o;
        }
    }
    g_assert_not_reached();
}

bool object_check_id(System *s, const char *id, GError **error)
{
    if (!object_find(s, id) && !secret_find(s, id) && !system_find(s->inert_objects, id)) {
        return true;
    }
    return system_set_error(error, s->up ? "attempt to add duplicate property '%s' to object (type "
                                           "'container')"
                                         : "Duplicate ID '%s' for object", id);
}

static bool iothread_make(System *s, IoThreadConfig *config, GError **error)
{
    g_autofree char *name = g_strdup_printf("IO %s", config->id);
    IoThread *thread;
    IoThreadObject *o;

    if (!object_check_id(s, config->id, error)) {
        return false;
    }
    if (s->iothreads->len >= MAX_IOTHREADS) {
        return system_set_error(error, "there are %u iothreads already", MAX_IOTHREADS);
    }
    if (config->has_poll_max_ns && config->poll_max_ns > G_MAXINT64) {
        return system_set_error(error, "poll-max-ns value must be in range [0, %" G_GINT64_FORMAT
                                "]", G_MAXINT64);
    }
    thread = io_thread_new(name, error);
    if (!thread) {
        return false;
    }
    if (config->has_poll_max_ns) {
        io_thread_set_poll_max_ns(thread, config->poll_max_ns);
    }
    o = g_new0(IoThreadObject, 1);
    o->id = g_steal_pointer(&config->id);
    o->thread = thread;
    g_ptr_array_add(s->iothreads, o);
    return true;
}

static bool iothread_add(System *s, OptDict *args, GError **error)
{
    IoThreadConfig *config = opt_config_new(&iothread_options, args, OPT_PARAMETERS, error);
    bool ok = config && iothread_make(s, config, error);

    opt_config_free(&iothread_options, config);
    return ok;
}

/* In the order of object_kinds. */
const char *const object_types[] = {
    "iothread", "memory-backend-file", "memory-backend-memfd", "memory-backend-ram",
    "rng-builtin", "rng-random", "secret", NULL
};
const OptEnum object_type = { "ObjectType", object_types };

typedef struct ObjectKind {
    const OptTable *options; /* its name is the kind's */
    bool (*add)(System *s, OptDict *args, GError **error); /* NULL: an inert one */
} ObjectKind;

static const ObjectKind object_kinds[] = {
    { &iothread_options, iothread_add }, { &memory_file_options }, { &memory_memfd_options },
    { &memory_ram_options },             { &rng_builtin_options }, { &rng_random_options },
    { &secret_options, secret_add },
};

static const ObjectKind *object_kind_find(const char *type)
{
    for (size_t i = 0; i < G_N_ELEMENTS(object_kinds); i++) {
        if (g_str_equal(object_kinds[i].options->name, type)) {
            return &object_kinds[i];
        }
    }
    return NULL;
}

const OptTable *object_options(const char *type)
{
    const ObjectKind *kind = object_kind_find(type);

    return kind ? kind->options : NULL;
}

bool object_add(System *s, OptDict *args, GError **error)
{
    g_autofree char *type = opt_dict_take(args, "qom-type", error);
    const ObjectKind *kind = type ? object_kind_find(type) : NULL;

    if (!type) {
        return false;
    }
    if (!kind) {
        return system_set_error(error, "Parameter 'qom-type' does not accept value '%s'", type);
    }
    return kind->add ? kind->add(s, args, error) : inert_object_add(s, kind->options, args, error);
}

bool object_del(System *s, const char *id, GError **error)
{
    IoThreadObject *o = object_find(s, id);

    if (g_ptr_array_remove(s->secrets, secret_find(s, id)) ||
        g_ptr_array_remove(s->inert_objects, system_find(s->inert_objects, id))) {
        return true;
    }
    if (!o) {
        return system_set_error(error, "object '%s' not found", id);
    }
    if (o->users > 0) {
        return system_set_error(error, "object '%s' is in use, can not be deleted", id);
    }
    g_ptr_array_remove(s->iothreads, o);
    return true;
}

char *object_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "qom-type");

    if (topic && topic[0] == '\0') {
        g_autofree char *names = g_strjoinv("\n  ", (char **)(void *)object_types);

        return g_strdup_printf("List of user creatable objects:\n  %s\n", names);
    }
    return topic && object_options(topic) ? opt_table_help(object_options(topic)) : NULL;
}
