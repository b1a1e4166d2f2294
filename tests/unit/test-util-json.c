/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/json.h"

#include <json-c/json.h>
#include <string.h>

#define MAX_VALUE 65536u

/* What came out of a stream: each value as text, each error as it is, in lines. */
static void gather(void *opaque, struct json_object *value, GError *error)
{
    GString *out = opaque;

    g_string_append_printf(out, "%s\n", error ? error->message
                                              : json_object_to_json_string_ext(
                                                    value, JSON_C_TO_STRING_PLAIN));
    json_object_put(value);
    g_clear_error(&error);
}

static void feed(JsonStream *s, const char *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len;) {
        at += json_stream_feed(s, data + at, MIN(piece, len - at));
    }
}

/* The same, in whatever pieces @text comes. */
static void assert_read(const char *text, const char *expected)
{
    static const size_t pieces[] = { 1, 2, 3, 7, 4096 };

    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
        GString *out = g_string_new(NULL);
        JsonStream *s = json_stream_new(MAX_VALUE, gather, out);

        feed(s, text, strlen(text), pieces[i]);
        g_assert_cmpstr(out->str, ==, expected);
        json_stream_free(s);
        g_string_free(out, TRUE);
    }
}

static void test_values(void)
{
    assert_read("{'a':[1,-2,0.5,true,null],\"b\":{}}", "{\"a\":[1,-2,0.5,true,null],\"b\":{}}\n");
    assert_read("{}[]'x' 1 ", "{}\n[]\n\"x\"\n1\n");
    assert_read(" \t\r\n", "");
    assert_read("[1e3,18446744073709551615,18446744073709551616,-9223372036854775809]",
                "[1000,18446744073709551615,1.8446744073709552e+19,-9.2233720368547758e+18]\n");
    assert_read("'\\u20ac\\ud83d\\ude00\\u0000'",
                "\"\xe2\x82\xac\xf0\x9f\x98\x80\\u0000\"\n");
}

static void test_recovery(void)
{
    assert_read("{\x01[]", "JSON parse error, stray '\x01'\n[]\n");
    assert_read("@ x y\n[]", "JSON parse error, stray '@'\n[]\n");
    assert_read("@\t\"[]", "JSON parse error, stray '@'\n[]\n");
    assert_read("'a\n[]", "JSON parse error, stray ''a\n'\n[]\n");
    assert_read("1]", "1\nJSON parse error, expecting value\n");
    assert_read("@@\xff", "JSON parse error, stray '@'\nJSON parse error, stray '\xff'\n");
}

static void test_is_within(void)
{
    GString *out = g_string_new(NULL);
    JsonStream *s = json_stream_new(MAX_VALUE, gather, out);

    g_assert_false(json_stream_is_within(s));
    feed(s, " \n", 2, 2);
    g_assert_false(json_stream_is_within(s));
    feed(s, "{ ", 2, 2);
    g_assert_true(json_stream_is_within(s));
    feed(s, "}", 1, 1);
    g_assert_false(json_stream_is_within(s));
    feed(s, "'", 1, 1);
    g_assert_true(json_stream_is_within(s));
    json_stream_free(s);
    g_string_free(out, TRUE);
}

/* Only objects with a member count, and what is between is read as always. */
static void test_terse(void)
{
    GString *out = g_string_new(NULL);
    JsonStream *s = json_stream_new(64, gather, out);
    static const char text[] = "@ {} 1 [{'a':1}] '{\"b\":2}' {'c':} {'d':4,'d':5} ]]]{'e':5}"
                               "'no end\n{'f':6} {'g' 7} x {'h':8}\xff{'i':'\\ud800'}\n";

    json_stream_set_terse(s, true);
    feed(s, text, strlen(text), 7);
    g_assert_cmpstr(out->str, ==, "{\"e\":5}\n{\"f\":6}\n{\"h\":8}\n");
    g_string_truncate(out, 0);
    json_stream_set_terse(s, false);
    feed(s, "@\n1 ", 4, 4);
    g_assert_cmpstr(out->str, ==, "JSON parse error, stray '@'\n1\n");
    json_stream_free(s);
    g_string_free(out, TRUE);
}

/* So much of @unit, in pieces as they come from a socket: the work is in proportion. */
static void assert_linear(const char *unit, size_t size)
{
    GString *out = g_string_new(NULL);
    GString *data = g_string_new(NULL);
    JsonStream *s = json_stream_new(1u << 20, gather, out);

    while (data->len < size) {
        g_string_append(data, unit);
    }
    feed(s, data->str, data->len, 4096);
    g_assert_cmpuint(json_stream_steps(s), >=, data->len);
    g_assert_cmpuint(json_stream_steps(s), <=, 4 * (uint64_t)data->len);
    json_stream_free(s);
    g_string_free(data, TRUE);
    g_string_free(out, TRUE);
}

static void test_linear(void)
{
    static const char *const quiet[] = { " ", "@", "x", "1", "'a", "\\", "{", "[" };
    static const char *const answered[] = { "'", "]", "-", "\xff", "[]", "@\n", "1 ", "," };

    for (size_t i = 0; i < G_N_ELEMENTS(quiet); i++) {
        assert_linear(quiet[i], 2u << 20);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(answered); i++) {
        assert_linear(answered[i], 64u << 10);
    }
}

static void test_size_is_bounded(void)
{
    GString *out = g_string_new(NULL);
    JsonStream *s = json_stream_new(8, gather, out);

    feed(s, "'123456'", 8, 8);
    feed(s, "'1234567'\n", 10, 8);
    feed(s, "[1,2, 3,4]\n", 11, 8);
    g_assert_cmpstr(out->str, ==, "\"123456\"\nJSON token size limit exceeded\n"
                                  "JSON token size limit exceeded\n");
    json_stream_free(s);
    g_string_free(out, TRUE);
}

static void assert_text(const char *text, const char *expected)
{
    g_autoptr(GError) error = NULL;
    struct json_object *value;

    if (json_from_text(text, strlen(text), &value, &error)) {
        g_assert_cmpstr(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN), ==,
                        expected);
        json_object_put(value);
    } else {
        g_assert_cmpstr(error->message, ==, expected);
    }
}

static void test_text(void)
{
    assert_text("{\"a\": 1}", "{\"a\":1}");
    assert_text("1", "1");
    assert_text("null", "null");
    assert_text("", "Expecting a JSON value");
    assert_text("[] []", "Expecting at most one JSON value");
    assert_text("[] x", "Expecting at most one JSON value");
    assert_text("[", "JSON parse error, premature EOI");
    assert_text("[1", "JSON parse error, premature EOI");
    assert_text("{\"a\":", "JSON parse error, premature EOI");
    assert_text("[@", "JSON parse error, stray '@'");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/json/values", test_values);
    g_test_add_func("/util/json/recovery", test_recovery);
    g_test_add_func("/util/json/is-within", test_is_within);
    g_test_add_func("/util/json/terse", test_terse);
    g_test_add_func("/util/json/linear", test_linear);
    g_test_add_func("/util/json/size-is-bounded", test_size_is_bounded);
    g_test_add_func("/util/json/text", test_text);
    return g_test_run();
}
