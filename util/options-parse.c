/*
 * From what a user typed to an OptDict: QEMU's key=value rules, and JSON.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/options.h"

#include <errno.h>
#include <float.h>
#include <stdarg.h>
#include <string.h>

#include "options-internal.h"
#include "util/json.h"

void opt_error(GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_propagate_error(error, g_error_new_valist(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, fmt, ap));
    va_end(ap);
}

char *opt_first_line(const char *message)
{
    return g_strndup(message, strcspn(message, "\n"));
}

static void opt_entry_free(gpointer opaque)
{
    OptEntry *e = opaque;

    g_free(e->key);
    g_free(e->text);
    g_free(e->string);
    json_object_put(e->json);
    g_free(e);
}

static OptDict *opt_dict_new(void)
{
    OptDict *d = g_new0(OptDict, 1);

    d->entries = g_ptr_array_new_with_free_func(opt_entry_free);
    return d;
}

void opt_dict_free(OptDict *d)
{
    if (d) {
        g_ptr_array_unref(d->entries);
        g_free(d);
    }
}

static OptEntry *opt_dict_add(OptDict *d, char *key)
{
    OptEntry *e = g_new0(OptEntry, 1);

    e->key = key;
    g_ptr_array_add(d->entries, e);
    return e;
}

OptEntry *opt_dict_find(const OptDict *d, const char *key)
{
    for (guint i = d->entries->len; i > 0; i--) {
        OptEntry *e = g_ptr_array_index(d->entries, i - 1);

        if (!e->used && g_str_equal(e->key, key)) {
            return e;
        }
    }
    return NULL;
}

void opt_dict_use(const OptDict *d, const char *key)
{
    for (guint i = 0; i < d->entries->len; i++) {
        OptEntry *e = g_ptr_array_index(d->entries, i);

        if (g_str_equal(e->key, key)) {
            e->used = true;
        }
    }
}

OptDict *opt_dict_take_dotted(OptDict *d, const char *key)
{
    size_t len = strlen(key);
    OptDict *below = NULL;

    for (guint i = 0; i < d->entries->len; i++) {
        OptEntry *e = g_ptr_array_index(d->entries, i);

        if (e->used || !e->text || !g_str_has_prefix(e->key, key) || e->key[len] != '.') {
            continue;
        }
        if (!below) {
            below = opt_dict_new();
        }
        opt_dict_add(below, g_strdup(e->key + len + 1))->text = g_strdup(e->text);
        e->used = true;
    }
    return below;
}

static const char *opt_entry_str(const OptEntry *e)
{
    return e->text ? e->text : e->string;
}

const char *opt_dict_get(const OptDict *d, const char *key)
{
    const OptEntry *e = opt_dict_find(d, key);

    return e ? opt_entry_str(e) : NULL;
}

char *opt_dict_take(OptDict *d, const char *key, GError **error)
{
    const OptEntry *e = opt_dict_find(d, key);
    const char *s = e ? opt_entry_str(e) : NULL;

    if (!e) {
        opt_error(error, "Parameter '%s' is missing", key);
        return NULL;
    }
    if (!s) {
        opt_error(error, "Invalid parameter type for '%s', expected: string", key);
        return NULL;
    }
    opt_dict_use(d, key);
    return g_strdup(s);
}

bool opt_dict_has(const OptDict *d, const char *key)
{
    return opt_dict_find(d, key) != NULL;
}

void opt_dict_set(OptDict *d, const char *key, const char *text)
{
    opt_dict_add(d, g_strdup(key))->text = g_strdup(text);
}

bool opt_dict_wants_help(const OptDict *d)
{
    for (guint i = 0; i < d->entries->len; i++) {
        const OptEntry *e = g_ptr_array_index(d->entries, i);

        if (e->bare && (g_str_equal(e->key, "help") || g_str_equal(e->key, "?"))) {
            return true;
        }
    }
    return false;
}

/* Reads a value up to a single comma; ",," is a comma in it. Moves *p behind the comma. */
static char *opt_scan_value(const char **p)
{
    GString *value = g_string_new(NULL);
    const char *s = *p;

    while (*s != '\0') {
        if (*s == ',') {
            s++;
            if (*s != ',') {
                break;
            }
        }
        g_string_append_c(value, *s++);
    }
    *p = s;
    return g_string_free(value, FALSE);
}

/* Of several id=, the first counts, as in QEMU. */
static void opt_drop_second_id(const OptDict *d)
{
    OptEntry *last = g_ptr_array_index(d->entries, d->entries->len - 1);

    for (guint i = 0; g_str_equal(last->key, "id") && i < d->entries->len - 1; i++) {
        const OptEntry *e = g_ptr_array_index(d->entries, i);

        last->used = last->used || g_str_equal(e->key, "id");
    }
}

static OptDict *opt_dict_scan(const char *text, const char *implied_key)
{
    OptDict *d = opt_dict_new();
    const char *p = text;

    while (*p != '\0') {
        size_t len = strcspn(p, "=,");
        OptEntry *e;

        if (p[len] == '=') {
            e = opt_dict_add(d, g_strndup(p, len));
            p += len + 1;
            e->text = opt_scan_value(&p);
        } else if (p == text && implied_key && len > 0) {
            e = opt_dict_add(d, g_strdup(implied_key));
            e->text = opt_scan_value(&p);
        } else {
            e = opt_dict_add(d, g_strndup(p, len));
            e->text = g_strdup("on");
            e->bare = true;
            p += len;
            if (*p == ',') {
                p++;
            }
            if (e->key[0] == '\0') {
                e->used = true; /* ",": nothing between two commas is nothing */
            }
        }
        opt_drop_second_id(d);
    }
    return d;
}

OptDict *opt_dict_from_json(struct json_object *object)
{
    OptDict *d = opt_dict_new();

    if (object) {
        json_object_object_foreach(object, key, value) {
            OptEntry *e = opt_dict_add(d, g_strdup(key));

            e->json = json_object_get(value);
            e->string = json_object_is_type(value, json_type_string) ? opt_json_text(value) : NULL;
        }
    }
    return d;
}

static OptDict *opt_dict_parse_json(const char *text, GError **error)
{
    struct json_object *object;
    OptDict *d;

    if (!json_from_text(text, strlen(text), &object, error)) {
        return NULL;
    }
    d = opt_dict_from_json(object); /* it is one: the text begins so */
    json_object_put(object);
    return d;
}

OptDict *opt_dict_parse(const char *text, const char *implied_key, GError **error)
{
    if (text[0] == '{') {
        return opt_dict_parse_json(text, error);
    }
    return opt_dict_scan(text, implied_key);
}

bool opt_parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = { "on", "yes", "true", "y", NULL };
    static const char *const no[] = { "off", "no", "false", "n", NULL };

    if (g_strv_contains(yes, text)) {
        *ret = true;
        return true;
    }
    if (g_strv_contains(no, text)) {
        *ret = false;
        return true;
    }
    return false;
}

bool opt_parse_uint(const char *text, uint64_t max, uint64_t *ret)
{
    char *end;
    guint64 n;

    if (!g_ascii_isdigit(text[0])) {
        return false;
    }
    errno = 0;
    /* no octal: "010" from a script means ten */
    n = g_ascii_strtoull(text, &end, g_ascii_strncasecmp(text, "0x", 2) == 0 ? 16 : 10);
    if (errno != 0 || *end != '\0' || n > max) {
        return false;
    }
    *ret = n;
    return true;
}

/* A suffix multiplies by 2 to the power of this; -1: it is none. */
static int opt_suffix_shift(char suffix)
{
    static const char suffixes[] = "bkmgtpe";
    const char *s = suffix != '\0' ? strchr(suffixes, g_ascii_tolower(suffix)) : NULL;

    return s ? 10 * (int)(s - suffixes) : -1;
}

bool opt_parse_size(const char *text, char unit, uint64_t *ret)
{
    bool hex = g_ascii_strncasecmp(text, "0x", 2) == 0;
    size_t len = hex ? 2 + strspn(text + 2, G_CSET_DIGITS "abcdefABCDEF")
                     : strspn(text, G_CSET_DIGITS);
    g_autofree char *digits = g_strndup(text, len);
    const char *end = text + len;
    double fraction = 0;
    int shift;
    uint64_t n;

    if (*end == '.' && !hex) {
        size_t places = strspn(end + 1, G_CSET_DIGITS);
        g_autofree char *below = g_strdup_printf("0.%.*s", (int)MIN(places, 64), end + 1);

        fraction = g_ascii_strtod(below, NULL);
        end += 1 + places;
    }
    if (*end != '\0' && (hex || end[1] != '\0')) {
        return false; /* B and E are digits of a 0x number: it has no suffix */
    }
    shift = opt_suffix_shift(*end != '\0' ? *end : unit);
    if (shift < 0 || (fraction > 0 && shift == 0) ||
        !opt_parse_uint(digits, UINT64_MAX >> shift, &n)) {
        return false;
    }
    *ret = (n << shift) + (uint64_t)(MIN(fraction, 1 - DBL_EPSILON) * (double)(1ull << shift));
    return true;
}

bool opt_id_wellformed(const char *id)
{
    if (!g_ascii_isalpha(id[0])) {
        return false;
    }
    for (const char *p = id; *p != '\0'; p++) {
        if (!g_ascii_isalnum(*p) && !strchr("-._", *p)) {
            return false;
        }
    }
    return true;
}
