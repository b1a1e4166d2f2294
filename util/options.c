/*
 * From an OptDict to a config struct, by a table; and the table's help.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/options.h"

#include <string.h>

#include "options-internal.h"

#define HELP_COLUMN 24 /* where "- description" starts, as in QEMU */

/* One value under way into the config struct. */
typedef struct OptCtx {
    const OptTable *table;
    OptWords words;
    const OptMember *m;
    void *slot;               /* of the value in the config struct */
    const char *text;         /* key=value, or a default */
    struct json_object *json; /* with text NULL */
} OptCtx;

/* "Parameter 'x' expects an int64 value": what a number is called in which place. */
static bool opt_bad_number(const OptCtx *c, const char *option, const char *json, GError **error)
{
    const char *what = option;

    if (!c->text) {
        what = json;
    } else if (c->words == OPT_PROPERTIES) {
        what = "integer";
    }
    opt_error(error, "Parameter '%s' expects %s", c->m->name, what);
    return false;
}

static bool opt_bad_type(const OptCtx *c, const char *expected, GError **error)
{
    opt_error(error, "Invalid parameter type for '%s', expected: %s", c->m->name, expected);
    return false;
}

static bool opt_set_str(const OptCtx *c, GError **error)
{
    const char *s = c->text;

    if (!s) {
        if (!json_object_is_type(c->json, json_type_string)) {
            return opt_bad_type(c, "string", error);
        }
        s = json_object_get_string(c->json);
    }
    *(char **)c->slot = g_strdup(s);
    return true;
}

static bool opt_get_bool(const OptCtx *c, bool *ret, GError **error)
{
    if (!c->text) {
        if (!json_object_is_type(c->json, json_type_boolean)) {
            return opt_bad_type(c, "boolean", error);
        }
        *ret = json_object_get_boolean(c->json);
        return true;
    }
    if (!opt_parse_bool(c->text, ret)) {
        opt_error(error, "Parameter '%s' expects 'on' or 'off'", c->m->name);
        return false;
    }
    return true;
}

static bool opt_set_bool(const OptCtx *c, GError **error)
{
    return opt_get_bool(c, c->slot, error);
}

static bool opt_set_on_off_auto(const OptCtx *c, GError **error)
{
    bool on;

    if (!opt_get_bool(c, &on, error)) {
        return false;
    }
    *(OnOffAuto *)c->slot = on ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF;
    return true;
}

static bool opt_set_uint32(const OptCtx *c, GError **error)
{
    uint64_t n = UINT64_MAX;

    if (c->text) {
        if (!opt_parse_uint(c->text, UINT64_MAX, &n)) {
            return opt_bad_number(c, "a uint64 value", NULL, error);
        }
    } else {
        int64_t i;

        if (!json_object_is_type(c->json, json_type_int)) {
            return opt_bad_number(c, NULL, "uint64", error);
        }
        i = json_object_get_int64(c->json);
        n = i < 0 ? UINT64_MAX : (uint64_t)i;
    }
    if (n > UINT32_MAX) {
        opt_error(error, "Parameter '%s' expects uint32_t", c->m->name);
        return false;
    }
    *(uint32_t *)c->slot = (uint32_t)n;
    return true;
}

static bool opt_set_int32(const OptCtx *c, GError **error)
{
    int64_t n;

    if (c->text) {
        bool negative = c->text[0] == '-';
        uint64_t u;

        if (!opt_parse_uint(c->text + negative, G_MAXINT64, &u)) {
            return opt_bad_number(c, "an int64 value", NULL, error);
        }
        n = negative ? -(int64_t)u : (int64_t)u;
    } else {
        if (!json_object_is_type(c->json, json_type_int)) {
            return opt_bad_type(c, "integer", error);
        }
        n = json_object_get_int64(c->json);
    }
    if (n < INT32_MIN || n > INT32_MAX) {
        opt_error(error, "Parameter '%s' expects int32_t", c->m->name);
        return false;
    }
    *(int32_t *)c->slot = (int32_t)n;
    return true;
}

static bool opt_set_size(const OptCtx *c, GError **error)
{
    uint64_t n;

    if (c->text) {
        if (!opt_parse_size(c->text, &n)) {
            opt_error(error, "Parameter '%s' expects a size value", c->m->name);
            return false;
        }
    } else {
        if (!json_object_is_type(c->json, json_type_int) || json_object_get_int64(c->json) < 0) {
            return opt_bad_number(c, NULL, "uint64", error);
        }
        n = json_object_get_uint64(c->json);
    }
    *(uint64_t *)c->slot = n;
    return true;
}

static bool opt_mac_wellformed(const char *mac)
{
    if (strlen(mac) != 17) {
        return false;
    }
    for (unsigned i = 0; i < 17; i++) {
        if (i % 3 == 2 ? mac[i] != ':' && mac[i] != '-' : !g_ascii_isxdigit(mac[i])) {
            return false;
        }
    }
    return true;
}

static bool opt_set_mac(const OptCtx *c, GError **error)
{
    char *mac;

    if (!opt_set_str(c, error)) {
        return false;
    }
    mac = *(char **)c->slot;
    if (!opt_mac_wellformed(mac)) {
        if (c->words == OPT_PROPERTIES) {
            opt_error(error, "Property '%s.%s' doesn't take value '%s'", c->table->name,
                      c->m->name, mac);
        } else {
            opt_error(error, "Parameter '%s' expects a MAC address", c->m->name);
        }
        return false;
    }
    g_strdelimit(mac, "-", ':'); /* QEMU takes it, guests may not */
    if (g_ascii_xdigit_value(mac[1]) & 1) {
        opt_error(error, "NIC cannot have multicast MAC address (odd 1st byte)");
        return false;
    }
    return true;
}

static bool opt_set_vq_mapping(const OptCtx *c, GError **error)
{
    if (c->text || !json_object_is_type(c->json, json_type_array)) {
        return opt_bad_type(c, "array", error);
    }
    *(GPtrArray **)c->slot = opt_vq_mapping_new(c->json, c->m->name, error);
    return *(GPtrArray **)c->slot != NULL;
}

static void opt_clear_str(void *slot)
{
    g_clear_pointer((char **)slot, g_free);
}

static void opt_clear_vq_mapping(void *slot)
{
    g_clear_pointer((GPtrArray **)slot, g_ptr_array_unref);
}

static const struct {
    const char *help; /* QEMU's name of the type */
    bool (*set)(const OptCtx *c, GError **error);
    void (*clear)(void *slot); /* NULL: nothing to free */
} opt_types[] = {
    [OPT_STR] = { "str", opt_set_str, opt_clear_str },
    [OPT_BOOL] = { "bool", opt_set_bool, NULL },
    [OPT_ON_OFF_AUTO] = { "bool", opt_set_on_off_auto, NULL },
    [OPT_UINT32] = { "uint32", opt_set_uint32, NULL },
    [OPT_INT32] = { "int32", opt_set_int32, NULL },
    [OPT_SIZE] = { "size", opt_set_size, NULL },
    [OPT_MAC] = { "str", opt_set_mac, opt_clear_str },
    [OPT_VQ_MAPPING] = { "IOThreadVirtQueueMappingList", opt_set_vq_mapping,
                         opt_clear_vq_mapping },
};

static void opt_vq_mapping_free(gpointer opaque)
{
    VqMapping *map = opaque;

    g_free(map->iothread);
    g_clear_pointer(&map->vqs, g_array_unref);
    g_free(map);
}

static bool opt_vqs_fill(GArray *vqs, struct json_object *list, GError **error)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        int64_t n = json_object_get_int64(item);
        uint16_t vq = (uint16_t)n;

        if (!json_object_is_type(item, json_type_int)) {
            opt_error(error, "Parameter 'vqs[%zu]' expects uint64", i);
            return false;
        }
        if (n < 0 || n > UINT16_MAX) {
            opt_error(error, "Parameter 'vqs[%zu]' expects uint16_t", i);
            return false;
        }
        g_array_append_val(vqs, vq);
    }
    return true;
}

static const OptMember opt_vq_mapping_members[] = {
    { "iothread", OPT_STR, offsetof(VqMapping, iothread), .required = true },
    { "vqs", OPT_STR, .ignored = true },
    { 0 },
};
static const OptTable opt_vq_mapping_table = {
    "iothread-vq-mapping", sizeof(VqMapping), opt_vq_mapping_members
};

static VqMapping *opt_vq_mapping_item(struct json_object *json, const char *name, GError **error)
{
    struct json_object *vqs = NULL;
    g_autoptr(OptDict) d = NULL;
    VqMapping *map;

    if (!json_object_is_type(json, json_type_object)) {
        opt_error(error, "Invalid parameter type for '%s', expected: object", name);
        return NULL;
    }
    d = opt_dict_from_json(json);
    map = opt_config_new(&opt_vq_mapping_table, d, OPT_PARAMETERS, error);
    if (!map || !json_object_object_get_ex(json, "vqs", &vqs)) {
        return map;
    }
    map->vqs = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    if (!json_object_is_type(vqs, json_type_array)) {
        opt_error(error, "Invalid parameter type for 'vqs', expected: array");
    } else if (opt_vqs_fill(map->vqs, vqs, error)) {
        return map;
    }
    opt_vq_mapping_free(map);
    return NULL;
}

GPtrArray *opt_vq_mapping_new(struct json_object *json, const char *name, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(opt_vq_mapping_free);

    for (size_t i = 0; i < json_object_array_length(json); i++) {
        VqMapping *map = opt_vq_mapping_item(json_object_array_get_idx(json, i), name, error);

        if (!map) {
            return NULL;
        }
        g_ptr_array_add(list, map);
    }
    return g_steal_pointer(&list);
}

static bool opt_set_member(OptCtx *c, const OptDict *d, char *config, GError **error)
{
    const OptMember *m = c->m;
    const OptEntry *e = opt_dict_find(d, m->name);

    if (m->ignored) {
        opt_dict_use(d, m->name);
        return true;
    }
    if (!e && m->required) {
        opt_error(error, "Parameter '%s' is missing", m->name);
        return false;
    }
    if (!e && !m->def) {
        return true;
    }
    c->slot = config + m->offset;
    c->text = e ? e->text : m->def;
    c->json = e ? e->json : NULL;
    if (!opt_types[m->type].set(c, error)) {
        return false;
    }
    if (e && m->has_offset != 0) {
        *(bool *)(config + m->has_offset) = true;
    }
    if (m->type == OPT_STR && g_str_equal(m->name, "id") &&
        !opt_id_wellformed(*(char **)c->slot)) {
        opt_error(error, "Parameter 'id' expects an identifier\nIdentifiers consist of letters, "
                  "digits, '-', '.', '_', starting with a letter.");
        return false;
    }
    opt_dict_use(d, m->name);
    return true;
}

static bool opt_table_has(const OptTable *table, const char *name)
{
    for (const OptMember *m = table->members; m->name; m++) {
        if (g_str_equal(m->name, name)) {
            return true;
        }
    }
    return false;
}

/* Names the first key that is no member. */
static bool opt_check_unknown(const OptTable *table, const OptDict *d, OptWords words,
                              GError **error)
{
    for (guint i = 0; i < d->entries->len; i++) {
        const OptEntry *e = g_ptr_array_index(d->entries, i);

        if (e->used || opt_table_has(table, e->key)) {
            continue;
        }
        if (words == OPT_PROPERTIES) {
            opt_error(error, "Property '%s.%s' not found", table->name, e->key);
        } else if (e->text) {
            opt_error(error, "Invalid parameter '%s'", e->key);
        } else {
            opt_error(error, "Parameter '%s' is unexpected", e->key);
        }
        return false;
    }
    return true;
}

void *opt_config_new(const OptTable *table, OptDict *d, OptWords words, GError **error)
{
    void *config;
    OptCtx c = { .table = table, .words = words };

    /* QEMU: a device asks for what it misses when it has all its properties */
    if (words == OPT_PROPERTIES && !opt_check_unknown(table, d, words, error)) {
        return NULL;
    }
    config = g_malloc0(table->size);
    for (const OptMember *m = table->members; m->name; m++) {
        c.m = m;
        if (!opt_set_member(&c, d, config, error)) {
            opt_config_free(table, config);
            return NULL;
        }
    }
    if (!opt_check_unknown(table, d, words, error)) {
        opt_config_free(table, config);
        return NULL;
    }
    return config;
}

void opt_config_free(const OptTable *table, void *config)
{
    if (!config) {
        return;
    }
    for (const OptMember *m = table->members; m->name; m++) {
        if (!m->ignored && opt_types[m->type].clear) {
            opt_types[m->type].clear((char *)config + m->offset);
        }
    }
    g_free(config);
}

static int opt_member_compare(const void *a, const void *b)
{
    const OptMember *const *x = a;
    const OptMember *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static void opt_member_help(GString *out, const OptMember *m)
{
    gsize start = out->len;
    const char *help = m->ignored ? "accepted for compatibility, no effect" : m->help;

    g_string_append_printf(out, "  %s=<%s>", m->name, opt_types[m->type].help);
    if (help || m->def) {
        while (out->len - start < HELP_COLUMN) {
            g_string_append_c(out, ' ');
        }
        g_string_append_printf(out, " - %s", help ? help : "");
    }
    if (m->def) {
        g_string_append_printf(out, " (default: %s)", m->def);
    }
    g_string_append_c(out, '\n');
}

char *opt_table_help(const OptTable *table)
{
    GString *out = g_string_new(NULL);
    g_autoptr(GPtrArray) sorted = g_ptr_array_new();

    for (const OptMember *m = table->members; m->name; m++) {
        g_ptr_array_add(sorted, (gpointer)m);
    }
    g_ptr_array_sort(sorted, opt_member_compare);
    g_string_append_printf(out, "%s options:\n", table->name);
    for (guint i = 0; i < sorted->len; i++) {
        opt_member_help(out, g_ptr_array_index(sorted, i));
    }
    return g_string_free(out, FALSE);
}
