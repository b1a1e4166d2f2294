/*
 * From tokens to values: one ends where its brackets are balanced.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "json-internal.h"

#define SHOWN_STRAY 1024u /* bytes of a bad token in its error */
#define KEPT_TEXT   65536u /* memory of a value of this size is kept for the next one */
#define OBJECT_MIN  5u     /* tokens of an object with a member: { "a" : 1 } */

struct JsonStream {
    size_t max;
    JsonStreamFn *fn;
    void *opaque;
    JsonLexer lexer;
    GString *text;    /* the tokens', one behind the other, and of the one under way */
    GArray *tokens;   /* JsonToken */
    size_t begin;     /* of the token under way, in text */
    int braces;       /* open ones; negative: closed before they were opened */
    int brackets;
    bool emitted;     /* since the last feed began */
    bool terse;       /* json_stream_set_terse() */
    uint64_t steps;
};

JsonStream *json_stream_new(size_t max, JsonStreamFn *fn, void *opaque)
{
    JsonStream *s = g_new0(JsonStream, 1);

    g_assert(max < UINT32_MAX);
    s->max = max;
    s->fn = fn;
    s->opaque = opaque;
    s->text = g_string_new(NULL);
    s->tokens = g_array_new(FALSE, FALSE, sizeof(JsonToken));
    return s;
}

void json_stream_free(JsonStream *s)
{
    if (s) {
        g_string_free(s->text, TRUE);
        g_array_unref(s->tokens);
        g_free(s);
    }
}

/* Begins anew, behind a value or an error. */
static void json_stream_reset(JsonStream *s)
{
    if (s->text->allocated_len > KEPT_TEXT) {
        g_string_free(s->text, TRUE);
        s->text = g_string_new(NULL);
        g_array_unref(s->tokens);
        s->tokens = g_array_new(FALSE, FALSE, sizeof(JsonToken));
    }
    g_string_truncate(s->text, 0);
    g_array_set_size(s->tokens, 0);
    s->begin = 0;
    s->braces = 0;
    s->brackets = 0;
}

static void json_stream_emit(JsonStream *s, struct json_object *value, GError *error)
{
    s->emitted = true;
    s->fn(s->opaque, value, error);
}

/* The error, like any that ends here. */
static void json_stream_fail(JsonStream *s, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static void json_stream_fail(JsonStream *s, const char *fmt, ...)
{
    GError *error = NULL;
    va_list ap;

    if (!s->terse) {
        va_start(ap, fmt);
        error = g_error_new_valist(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, fmt, ap);
        va_end(ap);
    }
    json_stream_reset(s);
    if (error) {
        json_stream_emit(s, NULL, error);
    }
}

/* What has a value to offer that is wanted: at least, it begins as one. */
static bool json_stream_is_wanted(const JsonStream *s)
{
    return !s->terse || (s->text->str[0] == '{' && s->tokens->len >= OBJECT_MIN);
}

static void json_stream_parse(JsonStream *s)
{
    struct json_object *value = NULL;
    GError *error = NULL;

    if (!json_stream_is_wanted(s)) {
        json_stream_reset(s);
        return;
    }
    s->steps += s->text->len;
    (void)json_parse(s->tokens, s->text->str, &value, s->terse ? NULL : &error);
    json_stream_reset(s);
    if (value || !s->terse) {
        json_stream_emit(s, value, error);
    }
}

static void json_stream_count(JsonStream *s, char c)
{
    s->braces += (c == '{') - (c == '}');
    s->brackets += (c == '[') - (c == ']');
}

/* The token under way has ended. */
static void json_stream_token(JsonStream *s, JsonTokenType type)
{
    JsonToken token = { type, (uint32_t)s->begin, (uint32_t)(s->text->len - s->begin) };

    if (type == JSON_TOKEN_PUNCTUATION) {
        json_stream_count(s, s->text->str[s->begin]);
    }
    if (s->braces + s->brackets > JSON_MAX_DEPTH) {
        json_stream_fail(s, "JSON nesting depth limit exceeded");
        return;
    }
    g_array_append_val(s->tokens, token);
    s->begin = s->text->len;
    if ((s->braces <= 0 && s->brackets <= 0) || s->braces < 0 || s->brackets < 0) {
        json_stream_parse(s);
    }
}

static void json_stream_stray(JsonStream *s)
{
    const char *bad = s->text->str + s->begin;

    json_stream_fail(s, JSON_PARSE_ERROR "stray '%.*s'",
                     (int)MIN(s->text->len - s->begin, SHOWN_STRAY), bad);
}

static void json_stream_too_long(JsonStream *s)
{
    s->lexer.state = JSON_LEX_RECOVERY;
    json_stream_fail(s, "JSON token size limit exceeded");
}

static void json_stream_byte(JsonStream *s, char byte)
{
    JsonTokenType type = JSON_TOKEN_PUNCTUATION;
    JsonLexResult r;

    do {
        s->steps++;
        r = json_lex(&s->lexer, byte, &type);
        if (r == JSON_LEX_BEFORE) {
            json_stream_token(s, type);
        }
    } while (r == JSON_LEX_BEFORE || r == JSON_LEX_AGAIN);
    if (r != JSON_LEX_SKIP) {
        g_string_append_c(s->text, byte);
    }
    if (r == JSON_LEX_STRAY) {
        json_stream_stray(s);
    } else if (s->text->len > s->max) {
        json_stream_too_long(s);
    } else if (r == JSON_LEX_LAST) {
        json_stream_token(s, type);
    }
}

size_t json_stream_feed(JsonStream *s, const char *data, size_t len)
{
    size_t used = 0;

    s->emitted = false;
    while (used < len && !s->emitted) {
        json_stream_byte(s, data[used++]);
    }
    return used;
}

void json_stream_end(JsonStream *s)
{
    json_stream_byte(s, '\n'); /* ends a number or a keyword, and is an error in a string */
    if (s->tokens->len > 0) {
        json_stream_fail(s, JSON_PARSE_ERROR "premature EOI");
    }
}

void json_stream_set_terse(JsonStream *s, bool terse)
{
    s->terse = terse;
}

bool json_stream_is_within(const JsonStream *s)
{
    return s->text->len > 0;
}

uint64_t json_stream_steps(const JsonStream *s)
{
    return s->steps;
}

/* What json_from_text() gathers. */
typedef struct JsonText {
    struct json_object *value;
    GError *error;
    unsigned n;
} JsonText;

static void json_text_value(void *opaque, struct json_object *value, GError *error)
{
    JsonText *t = opaque;

    if (t->n++ == 0) {
        t->value = value;
        t->error = error;
        return;
    }
    json_object_put(value);
    if (!t->error) {
        g_set_error(&t->error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Expecting at most one JSON value");
    }
    g_clear_error(&error);
}

bool json_from_text(const char *text, size_t len, struct json_object **ret, GError **error)
{
    JsonText t = { 0 };
    JsonStream *s = json_stream_new(len + 1, json_text_value, &t);

    for (size_t used = 0; used < len && !t.error;) {
        used += json_stream_feed(s, text + used, len - used);
    }
    if (!t.error) {
        json_stream_end(s);
    }
    json_stream_free(s);
    if (t.n == 0) {
        g_set_error(&t.error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "Expecting a JSON value");
    }
    if (t.error) {
        json_object_put(t.value);
        g_propagate_error(error, t.error);
        return false;
    }
    *ret = t.value;
    return true;
}
