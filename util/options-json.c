/*
 * From a config struct to JSON, by a table: what opt_config_new() does, the other way.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/options.h"

#include <string.h>

#include "options-internal.h"

struct json_object *opt_json_string(const char *text)
{
    GString *out = g_string_new(NULL);
    struct json_object *json;
    const char *p = text;

    while (*p != '\0') {
        const char *end;

        (void)g_utf8_validate(p, -1, &end);
        g_string_append_len(out, p, end - p);
        p = end;
        if ((guchar)p[0] == 0xc0 && (guchar)p[1] == 0x80) {
            g_string_append_c(out, '\0');
            p += 2;
        } else if (*p != '\0') {
            g_string_append(out, "\xef\xbf\xbd");
            p++;
        }
    }
    json = json_object_new_string_len(out->str, (int)out->len);
    g_string_free(out, TRUE);
    return json;
}

static bool opt_is_pointer(const OptMember *m)
{
    return m->type == OPT_STR || m->type == OPT_MAC || m->type == OPT_STRUCT || m->type == OPT_LIST;
}

static bool opt_is_present(const OptMember *m, const void *config)
{
    static const char zero[sizeof(OptRef)];
    const void *slot = (const char *)config + m->offset;

    if (m->ignored) {
        return false;
    }
    if (m->required) {
        g_assert(!opt_is_pointer(m) || m->type == OPT_LIST || *(void *const *)slot);
        return true;
    }
    if (m->has_offset != 0) {
        return *(const bool *)((const char *)config + m->has_offset);
    }
    return memcmp(slot, zero, opt_type(m)->size) != 0;
}

static void opt_members_to_json(const OptTable *table, const void *config,
                                struct json_object *object)
{
    for (const OptMember *m = table->members; m->name; m++) {
        if (opt_is_present(m, config)) {
            json_object_object_add(object, m->name,
                                   opt_value_to_json(m, (const char *)config + m->offset));
        }
    }
}

static struct json_object *opt_struct_to_json(const OptTable *table, const void *config)
{
    struct json_object *object = json_object_new_object();
    const OptTable *branch = opt_branch(table, config);

    opt_members_to_json(table, config, object);
    if (branch) {
        opt_members_to_json(branch, *(void *const *)(const void *)((const char *)config +
                                                                   table->branch_offset), object);
    }
    return object;
}

static struct json_object *opt_ref_to_json(const OptTable *table, const OptRef *ref)
{
    return ref->name ? opt_json_string(ref->name) : opt_struct_to_json(table, ref->object);
}

static struct json_object *opt_list_to_json(const OptMember *item, GArray *list)
{
    struct json_object *array = json_object_new_array();

    for (guint i = 0; list && i < list->len; i++) {
        json_object_array_add(array, opt_value_to_json(item, list->data +
                                                       (gsize)i * g_array_get_element_size(list)));
    }
    return array;
}

struct json_object *opt_value_to_json(const OptMember *m, const void *slot)
{
    switch (m->type) {
    case OPT_STR:
    case OPT_MAC:
        return opt_json_string(*(char *const *)slot);
    case OPT_BOOL:
        return json_object_new_boolean(*(const bool *)slot);
    case OPT_ON_OFF_AUTO:
        return json_object_new_boolean(*(const OnOffAuto *)slot == ON_OFF_AUTO_ON);
    case OPT_UINT16:
        return json_object_new_int64(*(const uint16_t *)slot);
    case OPT_UINT32:
        return json_object_new_int64(*(const uint32_t *)slot);
    case OPT_INT32:
        return json_object_new_int64(*(const int32_t *)slot);
    case OPT_INT64:
        return json_object_new_int64(*(const int64_t *)slot);
    case OPT_UINT64:
    case OPT_SIZE:
        return json_object_new_uint64(*(const uint64_t *)slot);
    case OPT_ENUM:
        return json_object_new_string(m->values->values[*(const int *)slot]);
    case OPT_STRUCT:
        return opt_struct_to_json(m->table, *(void *const *)slot);
    case OPT_REF:
        return opt_ref_to_json(m->table, slot);
    case OPT_LIST:
        return opt_list_to_json(m->item, *(GArray *const *)slot);
    case OPT_ANY:
        return json_object_get(*(struct json_object *const *)slot);
    default:
        g_assert_not_reached();
    }
}

static const OptMember *opt_member_find(const OptTable *table, const char *name)
{
    for (const OptMember *m = table->members; m->name; m++) {
        if (!m->ignored && g_str_equal(m->name, name)) {
            return m;
        }
    }
    return NULL;
}

static const OptTable *opt_json_branch(const OptTable *table, struct json_object *object)
{
    struct json_object *value = NULL;

    if (table->tag) {
        json_object_object_get_ex(object, table->tag, &value);
    }
    return opt_branch_of(table, json_object_get_string(value));
}

/* Whether @object has each member of @table that it must have. */
static bool opt_has_required(const OptTable *table, struct json_object *object)
{
    for (const OptMember *m = table->members; m->name; m++) {
        if (m->required && !json_object_object_get_ex(object, m->name, NULL)) {
            return false;
        }
    }
    return true;
}

static bool opt_struct_matches(const OptTable *table, struct json_object *object)
{
    const OptTable *branch;

    if (!json_object_is_type(object, json_type_object) || !opt_has_required(table, object)) {
        return false;
    }
    branch = opt_json_branch(table, object);
    if (branch && !opt_has_required(branch, object)) {
        return false;
    }
    json_object_object_foreach(object, key, value) {
        const OptMember *m = opt_member_find(table, key);

        if (!m && branch) {
            m = opt_member_find(branch, key);
        }
        if (!m || !opt_value_matches(m, value)) {
            return false;
        }
    }
    return true;
}

static bool opt_list_matches(const OptMember *item, struct json_object *array)
{
    if (!json_object_is_type(array, json_type_array)) {
        return false;
    }
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        if (!opt_value_matches(item, json_object_array_get_idx(array, i))) {
            return false;
        }
    }
    return true;
}

bool opt_value_matches(const OptMember *m, struct json_object *json)
{
    switch (m->type) {
    case OPT_STR:
    case OPT_MAC:
        return json_object_is_type(json, json_type_string);
    case OPT_BOOL:
    case OPT_ON_OFF_AUTO:
        return json_object_is_type(json, json_type_boolean);
    case OPT_ENUM:
        return json_object_is_type(json, json_type_string) &&
               g_strv_contains(m->values->values, json_object_get_string(json));
    case OPT_STRUCT:
        return opt_struct_matches(m->table, json);
    case OPT_REF:
        return json_object_is_type(json, json_type_string) || opt_struct_matches(m->table, json);
    case OPT_LIST:
        return opt_list_matches(m->item, json);
    case OPT_ANY:
        return true;
    default:
        return json_object_is_type(json, json_type_int);
    }
}
