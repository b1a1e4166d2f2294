/*
 * The types of options: how a value of each gets into a config struct, from text or JSON.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/options.h"

#include <string.h>

#include "options-internal.h"

/* "Parameter 'x' expects an int64 value": what a number is called in which place. */
static bool opt_bad_number(const OptCtx *c, const char *option, const char *json, GError **error)
{
    const char *what = option;

    if (!c->text) {
        what = json;
    } else if (c->words == OPT_PROPERTIES) {
        what = "integer";
    }
    opt_error(error, "Parameter '%s' expects %s", c->name, what);
    return false;
}

static bool opt_bad_type(const OptCtx *c, const char *expected, GError **error)
{
    opt_error(error, "Invalid parameter type for '%s', expected: %s", c->name, expected);
    return false;
}

char *opt_json_text(struct json_object *json)
{
    const char *s = json_object_get_string(json);
    GString *out = g_string_new(NULL);

    for (int i = 0; i < json_object_get_string_len(json); i++) {
        if (s[i] == '\0') {
            g_string_append(out, "\xc0\x80");
        } else {
            g_string_append_c(out, s[i]);
        }
    }
    return g_string_free(out, FALSE);
}

static bool opt_set_str(const OptCtx *c, GError **error)
{
    if (c->text) {
        *(char **)c->slot = g_strdup(c->text);
        return true;
    }
    if (!json_object_is_type(c->json, json_type_string)) {
        return opt_bad_type(c, "string", error);
    }
    *(char **)c->slot = opt_json_text(c->json);
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
        opt_error(error, "Parameter '%s' expects 'on' or 'off'", c->name);
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

static bool opt_get_uint(const OptCtx *c, uint64_t max, const char *type, uint64_t *ret,
                         GError **error)
{
    bool ok = true;

    *ret = 0;
    if (c->text) {
        if (!opt_parse_uint(c->text, UINT64_MAX, ret)) {
            return opt_bad_number(c, "a uint64 value", NULL, error);
        }
    } else {
        if (!json_object_is_type(c->json, json_type_int)) {
            return opt_bad_number(c, NULL, "uint64", error);
        }
        ok = json_object_get_int64(c->json) >= 0;
        *ret = json_object_get_uint64(c->json);
    }
    if (!ok || *ret > max) {
        opt_error(error, "Parameter '%s' expects %s", c->name, type);
        return false;
    }
    return true;
}

static bool opt_set_uint16(const OptCtx *c, GError **error)
{
    uint64_t n;
    bool ok = opt_get_uint(c, UINT16_MAX, "uint16_t", &n, error);

    *(uint16_t *)c->slot = (uint16_t)n;
    return ok;
}

static bool opt_set_uint32(const OptCtx *c, GError **error)
{
    uint64_t n;
    bool ok = opt_get_uint(c, UINT32_MAX, "uint32_t", &n, error);

    *(uint32_t *)c->slot = (uint32_t)n;
    return ok;
}

static bool opt_set_uint64(const OptCtx *c, GError **error)
{
    return opt_get_uint(c, UINT64_MAX, "uint64", c->slot, error);
}

static bool opt_set_int64(const OptCtx *c, GError **error)
{
    int64_t *ret = c->slot;

    if (c->text) {
        bool negative = c->text[0] == '-';
        uint64_t u;

        if (!opt_parse_uint(c->text + negative, G_MAXINT64, &u)) {
            return opt_bad_number(c, "an int64 value", NULL, error);
        }
        *ret = negative ? -(int64_t)u : (int64_t)u;
        return true;
    }
    if (!json_object_is_type(c->json, json_type_int)) {
        return opt_bad_type(c, "integer", error);
    }
    *ret = json_object_get_int64(c->json);
    return true;
}

static bool opt_set_int32(const OptCtx *c, GError **error)
{
    int64_t n;
    OptCtx wide = *c;

    wide.slot = &n;
    if (!opt_set_int64(&wide, error)) {
        return false;
    }
    if (n < INT32_MIN || n > INT32_MAX) {
        opt_error(error, "Parameter '%s' expects int32_t", c->name);
        return false;
    }
    *(int32_t *)c->slot = (int32_t)n;
    return true;
}

static bool opt_set_size(const OptCtx *c, GError **error)
{
    uint64_t n;

    if (c->text) {
        if (!opt_parse_size(c->text, 'B', &n)) {
            opt_error(error, "Parameter '%s' expects a size value", c->name);
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
            opt_error(error, "Property '%s.%s' doesn't take value '%s'",
                      opt_table_owner(c->table), c->name, mac);
        } else {
            opt_error(error, "Parameter '%s' expects a MAC address", c->name);
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

static bool opt_set_enum(const OptCtx *c, GError **error)
{
    const char *const *values = c->m->values->values;
    g_autofree char *s = NULL;

    if (!c->text && !json_object_is_type(c->json, json_type_string)) {
        return opt_bad_type(c, "string", error);
    }
    s = c->text ? g_strdup(c->text) : opt_json_text(c->json);
    for (int i = 0; values[i]; i++) {
        if (g_str_equal(values[i], s)) {
            *(int *)c->slot = i;
            return true;
        }
    }
    /* QEMU leaves out where it is */
    opt_error(error, "Parameter '%s' does not accept value '%s'",
              c->m->name ? c->m->name : c->name, s);
    return false;
}

static bool opt_set_struct(const OptCtx *c, GError **error)
{
    g_autoptr(OptDict) d = NULL;

    if (!c->dotted) {
        if (c->text || !json_object_is_type(c->json, json_type_object)) {
            return opt_bad_type(c, "object", error);
        }
        d = opt_dict_from_json(c->json);
    }
    *(void **)c->slot = opt_object_new(c->m->table, d ? d : c->dotted, OPT_PARAMETERS, c->name,
                                       error);
    return *(void **)c->slot != NULL;
}

static bool opt_set_ref(const OptCtx *c, GError **error)
{
    OptRef *ref = c->slot;
    OptCtx one = *c;

    if (c->text || json_object_is_type(c->json, json_type_string)) {
        one.slot = &ref->name;
        return opt_set_str(&one, error);
    }
    if (!c->dotted && !json_object_is_type(c->json, json_type_object)) {
        return opt_bad_type(c, c->m->table->ref, error);
    }
    one.slot = &ref->object;
    return opt_set_struct(&one, error);
}

/* One more item of @list, from what @c has of it. */
static bool opt_list_add(GArray *list, OptCtx *c, const char *list_name, GError **error)
{
    guint size = g_array_get_element_size(list);
    g_autofree char *name = g_strdup_printf("%s[%u]", list_name, list->len);

    g_array_set_size(list, list->len + 1);
    c->name = name;
    c->slot = list->data + (gsize)(list->len - 1) * size;
    return opt_type(c->m)->set(c, error);
}

static bool opt_list_add_json(GArray *list, const OptCtx *c, GError **error)
{
    for (size_t i = 0; i < json_object_array_length(c->json); i++) {
        OptCtx item = { .table = c->table, .words = OPT_PARAMETERS, .m = c->m->item,
                        .json = json_object_array_get_idx(c->json, i) };

        if (!opt_list_add(list, &item, c->name, error)) {
            return false;
        }
    }
    return true;
}

/* The keys are 0, 1... or begin so. */
static bool opt_list_add_dotted(GArray *list, const OptCtx *c, GError **error)
{
    while (true) {
        g_autofree char *key = g_strdup_printf("%u", list->len);
        const OptEntry *e = opt_dict_find(c->dotted, key);
        g_autoptr(OptDict) below = e ? NULL : opt_dict_take_dotted(c->dotted, key);
        OptCtx item = { .table = c->table, .words = OPT_PARAMETERS, .m = c->m->item,
                        .text = e ? e->text : NULL, .dotted = below };

        if (!e && !below) {
            break;
        }
        if (!opt_list_add(list, &item, c->name, error)) {
            return false;
        }
        opt_dict_use(c->dotted, key);
    }
    for (guint i = 0; i < c->dotted->entries->len; i++) {
        const OptEntry *e = g_ptr_array_index(c->dotted->entries, i);

        if (!e->used) {
            opt_error(error, "Invalid parameter '%s.%s'", c->name, e->key);
            return false;
        }
    }
    return true;
}

static bool opt_set_list(const OptCtx *c, GError **error)
{
    GArray *list;

    if (!c->dotted && (c->text || !json_object_is_type(c->json, json_type_array))) {
        return opt_bad_type(c, "array", error);
    }
    list = g_array_new(FALSE, TRUE, (guint)opt_type(c->m->item)->size);
    *(GArray **)c->slot = list;
    return c->dotted ? opt_list_add_dotted(list, c, error) : opt_list_add_json(list, c, error);
}

static bool opt_set_any(const OptCtx *c, GError **error)
{
    *(struct json_object **)c->slot = c->text ? json_object_new_string(c->text)
                                              : json_object_get(c->json);
    return true;
}

static void opt_clear_str(const OptMember *m, void *slot)
{
    g_clear_pointer((char **)slot, g_free);
}

static void opt_clear_struct(const OptMember *m, void *slot)
{
    opt_config_free(m->table, *(void **)slot);
    *(void **)slot = NULL;
}

static void opt_clear_ref(const OptMember *m, void *slot)
{
    OptRef *ref = slot;

    g_clear_pointer(&ref->name, g_free);
    opt_clear_struct(m, &ref->object);
}

static void opt_clear_list(const OptMember *m, void *slot)
{
    GArray *list = *(GArray **)slot;

    for (guint i = 0; list && i < list->len; i++) {
        opt_value_clear(m->item, list->data + (gsize)i * g_array_get_element_size(list));
    }
    g_clear_pointer((GArray **)slot, g_array_unref);
}

static void opt_clear_any(const OptMember *m, void *slot)
{
    g_clear_pointer((struct json_object **)slot, json_object_put);
}

const OptTypeInfo *opt_type(const OptMember *m)
{
    static const OptTypeInfo types[] = {
        [OPT_STR] = { "str", sizeof(char *), opt_set_str, opt_clear_str },
        [OPT_BOOL] = { "bool", sizeof(bool), opt_set_bool, NULL },
        [OPT_ON_OFF_AUTO] = { "bool", sizeof(OnOffAuto), opt_set_on_off_auto, NULL },
        [OPT_UINT16] = { "uint16", sizeof(uint16_t), opt_set_uint16, NULL },
        [OPT_UINT32] = { "uint32", sizeof(uint32_t), opt_set_uint32, NULL },
        [OPT_INT32] = { "int32", sizeof(int32_t), opt_set_int32, NULL },
        [OPT_UINT64] = { "uint64", sizeof(uint64_t), opt_set_uint64, NULL },
        [OPT_INT64] = { "int", sizeof(int64_t), opt_set_int64, NULL },
        [OPT_SIZE] = { "size", sizeof(uint64_t), opt_set_size, NULL },
        [OPT_MAC] = { "str", sizeof(char *), opt_set_mac, opt_clear_str },
        [OPT_ENUM] = { NULL, sizeof(int), opt_set_enum, NULL },
        [OPT_STRUCT] = { NULL, sizeof(void *), opt_set_struct, opt_clear_struct },
        [OPT_REF] = { NULL, sizeof(OptRef), opt_set_ref, opt_clear_ref },
        [OPT_LIST] = { NULL, sizeof(GArray *), opt_set_list, opt_clear_list },
        [OPT_ANY] = { "any", sizeof(struct json_object *), opt_set_any, opt_clear_any },
    };

    return &types[m->type];
}
