/*
 * From the tokens of a value to the value, with QEMU's errors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "json-internal.h"

typedef struct JsonParser {
    const GArray *tokens;
    guint next;
    const char *text;
} JsonParser;

static bool parse_value(JsonParser *p, struct json_object **ret, GError **error);

static void json_error(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static void json_error(GError **error, const char *fmt, ...)
{
    g_autofree char *why = NULL;
    va_list ap;

    if (!error) {
        return;
    }
    va_start(ap, fmt);
    why = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, JSON_PARSE_ERROR "%s", why);
}

/* NULL: there are no more, and the error. */
static const JsonToken *parse_peek(const JsonParser *p, GError **error)
{
    if (p->next == p->tokens->len) {
        json_error(error, "premature EOI");
        return NULL;
    }
    return &g_array_index(p->tokens, JsonToken, p->next);
}

static bool token_is(const JsonParser *p, const JsonToken *t, char c)
{
    return t->type == JSON_TOKEN_PUNCTUATION && p->text[t->at] == c;
}

/* --- strings --- */

/* A character as Unicode has it: no half of a pair, none of those that will never be one. */
static bool is_character(gunichar c)
{
    return c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) && (c < 0xfdd0 || c > 0xfdef) &&
           (c & 0xfffe) != 0xfffe;
}

static int hex4(const char *s, const char *end)
{
    int n = 0;

    if (end - s < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        if (!g_ascii_isxdigit(s[i])) {
            return -1;
        }
        n = n * 16 + g_ascii_xdigit_value(s[i]);
    }
    return n;
}

/* \uXXXX, or two of them that make one character. @s is at the backslash; moves it behind. */
static bool string_unicode(const char **s, const char *end, GString *out, GError **error)
{
    const char *begin = *s;
    int c = hex4(begin + 2, end);
    int trail = -1;

    *s = begin + MIN(6, end + 1 - begin); /* QEMU shows the quote of a short one, too */
    if (c >= 0xd800 && c <= 0xdbff) {
        if (end - *s >= 2 && (*s)[0] == '\\' && (*s)[1] == 'u') {
            trail = hex4(*s + 2, end);
        }
        if (trail >= 0xdc00 && trail <= 0xdfff) {
            c = 0x10000 + ((c & 0x3ff) << 10) + (trail & 0x3ff);
            *s += 6;
        }
    }
    if (c < 0 || !is_character((gunichar)c)) {
        json_error(error, "%.*s is not a valid Unicode character", (int)(*s - begin), begin);
        return false;
    }
    if (c == 0) {
        g_string_append_c(out, '\0');
    } else {
        g_string_append_unichar(out, (gunichar)c);
    }
    return true;
}

/* @s is at the backslash; moves it behind the sequence. */
static bool string_escape(const char **s, const char *end, GString *out, GError **error)
{
    static const char names[] = "\"'\\/bfnrt";
    static const char meant[] = "\"'\\/\b\f\n\r\t";
    const char *name;

    if ((*s)[1] == 'u') {
        return string_unicode(s, end, out, error);
    }
    name = strchr(names, (*s)[1]);
    if (!name) {
        json_error(error, "invalid escape sequence in string");
        return false;
    }
    g_string_append_c(out, meant[name - names]);
    *s += 2;
    return true;
}

static bool string_plain(const char **s, const char *end, GString *out, GError **error)
{
    gunichar c = g_utf8_get_char_validated(*s, end - *s);

    if ((guchar)(*s)[0] == 0xc0 && (guchar)(*s)[1] == 0x80) { /* QEMU's way to write a NUL */
        g_string_append_c(out, '\0');
        *s += 2;
        return true;
    }
    if (!is_character(c)) { /* nor the two values that mean an error */
        json_error(error, "invalid UTF-8 sequence in string");
        return false;
    }
    g_string_append_unichar(out, c);
    *s = g_utf8_next_char(*s);
    return true;
}

/* What is between the quotes; NULL: the error. */
static GString *parse_string(const JsonParser *p, const JsonToken *t, GError **error)
{
    const char *s = p->text + t->at + 1;
    const char *end = p->text + t->at + t->len - 1;
    GString *out = g_string_new(NULL);

    while (s < end) {
        if (*s == '\\' ? !string_escape(&s, end, out, error)
                       : !string_plain(&s, end, out, error)) {
            g_string_free(out, TRUE);
            return NULL;
        }
    }
    return out;
}

/* A name is a C string in json-c: what is a NUL in it is written as in options. */
static char *parse_name(const JsonParser *p, const JsonToken *t, GError **error)
{
    GString *s = parse_string(p, t, error);

    if (s) {
        for (gsize i = 0; i < s->len; i++) {
            if (s->str[i] == '\0') {
                g_string_erase(s, (gssize)i, 1);
                g_string_insert_len(s, (gssize)i, "\xc0\x80", 2);
            }
        }
    }
    return s ? g_string_free(s, FALSE) : NULL;
}

/* --- values --- */

static bool parse_float(const char *text, struct json_object **ret, GError **error)
{
    double d = g_ascii_strtod(text, NULL);
    char shown[G_ASCII_DTOSTR_BUF_SIZE];

    if (!isfinite(d)) { /* QEMU takes it, and then answers what is no JSON */
        json_error(error, "number '%.64s' is out of range", text);
        return false;
    }
    *ret = json_object_new_double_s(d, g_ascii_formatd(shown, sizeof(shown), "%.17g", d));
    return true;
}

static bool parse_integer(const char *text, struct json_object **ret, GError **error)
{
    gint64 i;
    guint64 u;

    errno = 0;
    i = g_ascii_strtoll(text, NULL, 10);
    if (errno == 0) {
        *ret = json_object_new_int64(i);
        return true;
    }
    errno = 0;
    u = text[0] == '-' ? 0 : g_ascii_strtoull(text, NULL, 10);
    if (errno == 0 && text[0] != '-') {
        *ret = json_object_new_uint64(u);
        return true;
    }
    return parse_float(text, ret, error);
}

static bool parse_keyword(const char *word, struct json_object **ret, GError **error)
{
    if (g_str_equal(word, "null")) {
        *ret = NULL;
        return true;
    }
    if (g_str_equal(word, "true") || g_str_equal(word, "false")) {
        *ret = json_object_new_boolean(word[0] == 't');
        return true;
    }
    json_error(error, "invalid keyword '%.1024s'", word);
    return false;
}

static bool parse_scalar(const JsonParser *p, const JsonToken *t, struct json_object **ret,
                         GError **error)
{
    g_autofree char *text = NULL;
    GString *s;

    if (t->type == JSON_TOKEN_STRING) {
        s = parse_string(p, t, error);
        if (s) {
            *ret = json_object_new_string_len(s->str, (int)s->len);
            g_string_free(s, TRUE);
        }
        return s != NULL;
    }
    text = g_strndup(p->text + t->at, t->len);
    if (t->type == JSON_TOKEN_KEYWORD) {
        return parse_keyword(text, ret, error);
    }
    return t->type == JSON_TOKEN_INTEGER ? parse_integer(text, ret, error)
                                         : parse_float(text, ret, error);
}

/* "name": value */
static bool parse_pair(JsonParser *p, struct json_object *object, GError **error)
{
    const JsonToken *t = parse_peek(p, error);
    struct json_object *value = NULL;
    g_autofree char *name = NULL;

    if (!t) {
        return false;
    }
    if (t->type != JSON_TOKEN_STRING) { /* first of all it has to be a value */
        if (parse_value(p, &value, error)) {
            json_error(error, "key is not a string in object");
            json_object_put(value);
        }
        return false;
    }
    name = parse_name(p, t, error);
    p->next++;
    t = name ? parse_peek(p, error) : NULL;
    if (!t) {
        return false;
    }
    if (!token_is(p, t, ':')) {
        json_error(error, "missing : in object pair");
        return false;
    }
    p->next++;
    if (!parse_value(p, &value, error)) {
        return false;
    }
    if (json_object_object_get_ex(object, name, NULL)) {
        json_error(error, "duplicate key");
        json_object_put(value);
        return false;
    }
    json_object_object_add(object, name, value);
    return true;
}

static bool parse_item(JsonParser *p, struct json_object *array, GError **error)
{
    struct json_object *value = NULL;
    bool ok = parse_value(p, &value, error);

    if (ok) {
        json_object_array_add(array, value);
    }
    return ok;
}

/* Up to @close, which may come at once; the opening one is behind us. */
static bool parse_members(JsonParser *p, struct json_object *to, char close, GError **error)
{
    bool object = close == '}';
    const JsonToken *t = parse_peek(p, error);

    if (t && token_is(p, t, close)) {
        p->next++;
        return true;
    }
    while (t) {
        if (object ? !parse_pair(p, to, error) : !parse_item(p, to, error)) {
            return false;
        }
        t = parse_peek(p, error);
        if (!t) {
            break;
        }
        p->next++;
        if (token_is(p, t, close)) {
            return true;
        }
        if (!token_is(p, t, ',')) {
            json_error(error, "expected separator in %s", object ? "dict" : "list");
            return false;
        }
    }
    return false;
}

static bool parse_value(JsonParser *p, struct json_object **ret, GError **error)
{
    const JsonToken *t = parse_peek(p, error);
    bool ok;

    if (!t) {
        return false;
    }
    if (t->type != JSON_TOKEN_PUNCTUATION) {
        p->next++;
        return parse_scalar(p, t, ret, error);
    }
    if (token_is(p, t, '{')) {
        *ret = json_object_new_object();
    } else if (token_is(p, t, '[')) {
        *ret = json_object_new_array();
    } else {
        json_error(error, "expecting value");
        return false;
    }
    p->next++;
    ok = parse_members(p, *ret, token_is(p, t, '{') ? '}' : ']', error);
    if (!ok) {
        json_object_put(*ret);
        *ret = NULL;
    }
    return ok;
}

bool json_parse(const GArray *tokens, const char *text, struct json_object **ret, GError **error)
{
    JsonParser p = { .tokens = tokens, .text = text };

    *ret = NULL;
    return parse_value(&p, ret, error);
}
