/*
 * What a user said, without its structure: as key=value text has nested objects and lists.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "options-internal.h"

static void opt_flat_add(GPtrArray *flat, const char *key, char *value)
{
    OptFlat *f = g_new0(OptFlat, 1);

    f->key = g_strdup(key);
    f->value = value;
    g_ptr_array_add(flat, f);
}

static void opt_flat_free(gpointer opaque)
{
    OptFlat *f = opaque;

    g_free(f->key);
    g_free(f->value);
    g_free(f);
}

static void opt_flatten_json(GPtrArray *flat, const char *key, struct json_object *json);

static void opt_flatten_object(GPtrArray *flat, const char *key, struct json_object *json)
{
    json_object_object_foreach(json, name, value) {
        g_autofree char *below = g_strconcat(key, ".", name, NULL);

        opt_flatten_json(flat, below, value);
    }
}

static void opt_flatten_list(GPtrArray *flat, const char *key, struct json_object *json)
{
    for (size_t i = 0; i < json_object_array_length(json); i++) {
        g_autofree char *below = g_strdup_printf("%s.%zu", key, i);

        opt_flatten_json(flat, below, json_object_array_get_idx(json, i));
    }
}

static void opt_flatten_json(GPtrArray *flat, const char *key, struct json_object *json)
{
    switch (json_object_get_type(json)) {
    case json_type_object:
        opt_flatten_object(flat, key, json);
        break;
    case json_type_array:
        opt_flatten_list(flat, key, json);
        break;
    case json_type_boolean:
        opt_flat_add(flat, key, g_strdup(json_object_get_boolean(json) ? "on" : "off"));
        break;
    case json_type_null:
        opt_flat_add(flat, key, g_strdup(""));
        break;
    case json_type_string:
        opt_flat_add(flat, key, opt_json_text(json));
        break;
    default:
        opt_flat_add(flat, key, g_strdup(json_object_get_string(json)));
        break;
    }
}

GPtrArray *opt_dict_flatten(const OptDict *d)
{
    GPtrArray *flat = opt_flat_new();

    for (guint i = 0; i < d->entries->len; i++) {
        const OptEntry *e = g_ptr_array_index(d->entries, i);

        if (e->text) {
            opt_flat_add(flat, e->key, g_strdup(e->text));
        } else {
            opt_flatten_json(flat, e->key, e->json);
        }
    }
    return flat;
}

GPtrArray *opt_flat_new(void)
{
    return g_ptr_array_new_with_free_func(opt_flat_free);
}

void opt_flat_append(GPtrArray *flat, const char *prefix, const char *key, const char *value)
{
    g_autofree char *name = g_strconcat(prefix, key, NULL);

    opt_flat_add(flat, name, g_strdup(value));
}

const char *opt_flat_get(const GPtrArray *flat, const char *key)
{
    for (guint i = flat->len; i > 0; i--) {
        const OptFlat *f = g_ptr_array_index(flat, i - 1);

        if (g_str_equal(f->key, key)) {
            return f->value;
        }
    }
    return NULL;
}

char *opt_flat_to_text(const GPtrArray *flat)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < flat->len; i++) {
        const OptFlat *f = g_ptr_array_index(flat, i);

        g_string_append_printf(text, "%s%s=", i > 0 ? "," : "", f->key);
        for (const char *p = f->value; *p != '\0'; p++) {
            g_string_append(text, *p == ',' ? "," : "");
            g_string_append_c(text, *p);
        }
    }
    return g_string_free(text, FALSE);
}
