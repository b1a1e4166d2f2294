/*
 * -object of kinds that have no meaning here: QEMU's callers make them, name them in other
 * options, and delete them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "objects.h"

#define MAX_INERT 1024u

typedef struct InertConfig {
    char *id;
} InertConfig;

#define ID_MEMBER { "id", OPT_STR, offsetof(InertConfig, id), .required = true, .help = "name" }

#define MEMORY_MEMBERS \
    ID_MEMBER, \
    { "dump", OPT_BOOL, .ignored = true }, \
    { "host-nodes", OPT_ANY, .ignored = true }, \
    { "merge", OPT_BOOL, .ignored = true }, \
    { "policy", OPT_STR, .ignored = true }, \
    { "prealloc", OPT_BOOL, .ignored = true }, \
    { "prealloc-context", OPT_STR, .ignored = true }, \
    { "prealloc-threads", OPT_UINT32, .ignored = true }, \
    { "reserve", OPT_BOOL, .ignored = true }, \
    { "share", OPT_BOOL, .ignored = true }, \
    { "size", OPT_SIZE, .ignored = true }, \
    { "x-use-canonical-path-for-ramblock-id", OPT_BOOL, .ignored = true }

static const OptMember ram_members[] = { MEMORY_MEMBERS, { 0 } };
const OptTable memory_ram_options = { "memory-backend-ram", sizeof(InertConfig), ram_members };

static const OptMember file_members[] = {
    MEMORY_MEMBERS,
    { "align", OPT_SIZE, .ignored = true },
    { "discard-data", OPT_BOOL, .ignored = true },
    { "mem-path", OPT_STR, .ignored = true },
    { "offset", OPT_SIZE, .ignored = true },
    { "pmem", OPT_BOOL, .ignored = true },
    { "readonly", OPT_BOOL, .ignored = true },
    { "rom", OPT_STR, .ignored = true },
    { 0 },
};
const OptTable memory_file_options = { "memory-backend-file", sizeof(InertConfig), file_members };

static const OptMember memfd_members[] = {
    MEMORY_MEMBERS,
    { "hugetlb", OPT_BOOL, .ignored = true },
    { "hugetlbsize", OPT_SIZE, .ignored = true },
    { "seal", OPT_BOOL, .ignored = true },
    { 0 },
};
const OptTable memory_memfd_options = { "memory-backend-memfd", sizeof(InertConfig),
                                        memfd_members };

static const OptMember builtin_members[] = { ID_MEMBER, { 0 } };
const OptTable rng_builtin_options = { "rng-builtin", sizeof(InertConfig), builtin_members };

static const OptMember random_members[] = {
    ID_MEMBER,
    { "filename", OPT_STR, .ignored = true },
    { 0 },
};
const OptTable rng_random_options = { "rng-random", sizeof(InertConfig), random_members };

/* What there is of one: its id. */
typedef struct InertObject {
    char *id;
} InertObject;

void inert_object_free(gpointer opaque)
{
    InertObject *o = opaque;

    g_free(o->id);
    g_free(o);
}

bool inert_object_add(System *s, const OptTable *options, OptDict *args, GError **error)
{
    InertConfig *config = opt_config_new(options, args, OPT_PARAMETERS, error);
    bool ok = config && object_check_id(s, config->id, error);

    if (ok && s->inert_objects->len >= MAX_INERT) {
        ok = system_set_error(error, "there are %u such objects already", MAX_INERT);
    }
    if (ok) {
        InertObject *o = g_new0(InertObject, 1);

        o->id = g_steal_pointer(&config->id);
        g_ptr_array_add(s->inert_objects, o);
    }
    opt_config_free(options, config);
    return ok;
}
