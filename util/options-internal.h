/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_OPTIONS_INTERNAL_H
#define UTIL_OPTIONS_INTERNAL_H

#include <json-c/json.h>

#include "util/options.h"

typedef struct OptEntry {
    char *key;
    char *text;               /* of key=value; NULL: JSON */
    struct json_object *json; /* with text NULL; may itself be NULL: null */
    char *string;             /* of JSON that is one */
    bool bare;                /* the key alone, text is "on" */
    bool used;
} OptEntry;

struct OptDict {
    GPtrArray *entries; /* OptEntry *, in the user's order */
};

/* The last entry of @key that is not used, or NULL. */
OptEntry *opt_dict_find(const OptDict *d, const char *key);
/* Marks all entries of @key. */
void opt_dict_use(const OptDict *d, const char *key);
/* Takes the "@key.x=value" out of @d, as x=value; NULL: there are none. */
OptDict *opt_dict_take_dotted(OptDict *d, const char *key);

void opt_error(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* An object under way into a config struct, and one value of it. */
typedef struct OptCtx {
    const OptTable *table;
    OptWords words;
    OptDict *from;            /* what the user said of the object */
    const char *path;         /* as errors call it; NULL: the outermost */
    const OptMember *m;
    const char *name;         /* as errors call it: "addr.path", "vqs[1]" */
    void *slot;               /* of the value in the config struct */
    const char *text;         /* key=value, or a default */
    OptDict *dotted;          /* with text NULL: the keys below this one; may be NULL */
    struct json_object *json; /* with both NULL */
} OptCtx;

/* What a type is; options-types.c. */
typedef struct OptTypeInfo {
    const char *name; /* in help; NULL: asks the member */
    size_t size;      /* of the value in a config struct */
    bool (*set)(const OptCtx *c, GError **error);
    void (*clear)(const OptMember *m, void *slot); /* NULL: nothing to free */
} OptTypeInfo;

const OptTypeInfo *opt_type(const OptMember *m);

/*
 * As opt_config_new(), of an object that errors call @path: NULL, the outermost. The struct
 * of the branch that the tag chose is in it.
 */
void *opt_object_new(const OptTable *table, OptDict *d, OptWords words, const char *path,
                     GError **error);

/* The table of the branch where the tag of @table has @value, which may be NULL; or NULL. */
const OptTable *opt_branch_of(const OptTable *table, const char *value);
/* The table of the branch that the tag of @config chose, or NULL. */
const OptTable *opt_branch(const OptTable *table, const void *config);

static inline void *opt_slot(const OptMember *m, void *config)
{
    return (char *)config + m->offset;
}

#endif
