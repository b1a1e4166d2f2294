/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_OPTIONS_INTERNAL_H
#define UTIL_OPTIONS_INTERNAL_H

#include <json-c/json.h>

#include "util/options.h"

typedef struct OptEntry {
    char *key;
    char *text;               /* of key=value; NULL: JSON */
    struct json_object *json; /* with text NULL; may itself be NULL: null */
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

void opt_error(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* The value of an OPT_VQ_MAPPING. NULL on failure. */
GPtrArray *opt_vq_mapping_new(struct json_object *json, const char *name, GError **error);

#endif
