/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/options.h"

#include <json-c/json.h>
#include <string.h>

#include "util/vq-mapping.h"

typedef struct Config {
    char *id;
    char *name;
    bool flag;
    OnOffAuto mode;
    uint32_t count;
    bool has_count;
    int32_t number;
    uint64_t size;
    char *mac;
    GArray *mapping;
} Config;

static const OptMember members[] = {
    { "id", OPT_STR, offsetof(Config, id), .help = "name of the thing" },
    { "name", OPT_STR, offsetof(Config, name) },
    { "flag", OPT_BOOL, offsetof(Config, flag), .def = "on", .help = "a flag" },
    { "mode", OPT_ON_OFF_AUTO, offsetof(Config, mode) },
    { "count", OPT_UINT32, offsetof(Config, count), offsetof(Config, has_count), .def = "7" },
    { "number", OPT_INT32, offsetof(Config, number), .def = "-1" },
    { "size", OPT_SIZE, offsetof(Config, size) },
    { "mac", OPT_MAC, offsetof(Config, mac) },
    { "mapping", OPT_LIST, offsetof(Config, mapping), .item = &vq_mapping_item },
    { "bus", OPT_STR, .ignored = true },
    { 0 },
};
static const OptTable table = { "thing", sizeof(Config), members };

static const OptMember required_members[] = {
    { "id", OPT_STR, offsetof(Config, id), .required = true },
    { 0 },
};
static const OptTable required_table = { "needy", sizeof(Config), required_members };

static Config *parse(const char *text, OptWords words, GError **error)
{
    g_autoptr(OptDict) d = opt_dict_parse(text, "name", error);

    return d ? opt_config_new(&table, d, words, error) : NULL;
}

static Config *parse_ok(const char *text)
{
    g_autoptr(GError) error = NULL;
    Config *c = parse(text, OPT_PARAMETERS, &error);

    g_assert_no_error(error);
    g_assert_nonnull(c);
    return c;
}

/* @text is refused with @message; @words is what it is an option of. */
static void assert_refused(const char *text, OptWords words, const char *message)
{
    g_autoptr(GError) error = NULL;
    Config *c = parse(text, words, &error);

    g_assert_null(c);
    g_assert_nonnull(error);
    g_assert_cmpstr(error->message, ==, message);
}

static void test_defaults(void)
{
    Config *c = parse_ok("");

    g_assert_null(c->id);
    g_assert_true(c->flag);
    g_assert_cmpint(c->mode, ==, ON_OFF_AUTO_AUTO);
    g_assert_cmpuint(c->count, ==, 7);
    g_assert_false(c->has_count);
    g_assert_cmpint(c->number, ==, -1);
    g_assert_null(c->mapping);
    opt_config_free(&table, c);
}

static void test_every_type(void)
{
    Config *c = parse_ok("id=a,name=b,flag=off,mode=on,count=3,number=-2,size=2k,"
                         "mac=00:16:3e:00:00:01");

    g_assert_cmpstr(c->id, ==, "a");
    g_assert_cmpstr(c->name, ==, "b");
    g_assert_false(c->flag);
    g_assert_cmpint(c->mode, ==, ON_OFF_AUTO_ON);
    g_assert_cmpuint(c->count, ==, 3);
    g_assert_true(c->has_count);
    g_assert_cmpint(c->number, ==, -2);
    g_assert_cmpuint(c->size, ==, 2048);
    g_assert_cmpstr(c->mac, ==, "00:16:3e:00:00:01");
    opt_config_free(&table, c);
}

static void test_implied_key(void)
{
    Config *c = parse_ok("word,count=1");

    g_assert_cmpstr(c->name, ==, "word");
    opt_config_free(&table, c);
}

static void test_implied_key_only_first(void)
{
    assert_refused("count=1,word", OPT_PARAMETERS, "Invalid parameter 'word'");
}

static void test_double_comma(void)
{
    Config *c = parse_ok("name=a,,b,,,count=2");

    g_assert_cmpstr(c->name, ==, "a,b,");
    g_assert_cmpuint(c->count, ==, 2);
    opt_config_free(&table, c);
}

static void test_double_comma_in_implied(void)
{
    Config *c = parse_ok("/a,,b,count=2");

    g_assert_cmpstr(c->name, ==, "/a,b");
    opt_config_free(&table, c);
}

static void test_equals_in_value(void)
{
    Config *c = parse_ok("name=a=b");

    g_assert_cmpstr(c->name, ==, "a=b");
    opt_config_free(&table, c);
}

static void test_empty_value(void)
{
    Config *c = parse_ok("name=,count=1");

    g_assert_cmpstr(c->name, ==, "");
    opt_config_free(&table, c);
}

static void test_bare_flag(void)
{
    Config *c = parse_ok("flag=off,flag");

    g_assert_true(c->flag);
    opt_config_free(&table, c);
}

static void test_last_wins(void)
{
    Config *c = parse_ok("name=a,name=b");

    g_assert_cmpstr(c->name, ==, "b");
    opt_config_free(&table, c);
}

static void test_first_id_wins(void)
{
    Config *c = parse_ok("id=a,name=x,id=b,id=1");

    g_assert_cmpstr(c->id, ==, "a");
    opt_config_free(&table, c);
}

static void test_ignored(void)
{
    Config *c = parse_ok("bus=pci.0");

    opt_config_free(&table, c);
    c = parse_ok("{\"bus\":\"pci.0\"}");
    opt_config_free(&table, c);
    assert_refused("{\"bus\":[1,{}]}", OPT_PARAMETERS,
                   "Invalid parameter type for 'bus', expected: string");
}

static void test_bool_words(void)
{
    static const char *const on[] = { "on", "yes", "true", "y" };
    static const char *const off[] = { "off", "no", "false", "n" };

    for (size_t i = 0; i < G_N_ELEMENTS(on); i++) {
        bool b = false;

        g_assert_true(opt_parse_bool(on[i], &b));
        g_assert_true(b);
        g_assert_true(opt_parse_bool(off[i], &b));
        g_assert_false(b);
    }
}

static void test_sizes(void)
{
    static const struct {
        const char *text;
        uint64_t size;
    } good[] = {
        { "0", 0 }, { "1", 1 }, { "1B", 1 }, { "1k", 1024 }, { "1K", 1024 }, { "3M", 3 << 20 },
        { "2G", 2ull << 30 }, { "1T", 1ull << 40 }, { "1P", 1ull << 50 }, { "15E", 15ull << 60 },
        { "18446744073709551615", UINT64_MAX },
    };
    static const char *const bad[] = { "", "k", "-1", "x", "1kk", "16E", " 1", "1 ", "+1", "1KB",
                                       "1e3", "18446744073709551616", "18014398509481984K" };
    uint64_t n;

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_assert_true(opt_parse_size(good[i].text, 'B', &n));
        g_assert_cmpuint(n, ==, good[i].size);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(opt_parse_size(bad[i], 'B', &n));
    }
}

/* B and E behind 0x are digits. */
static void test_hexadecimal_sizes(void)
{
    static const char *const bad[] = { "0x", "0xg", "0x1K", "0x1.8", "0x1 ",
                                       "0x10000000000000000" };
    uint64_t n;

    g_assert_true(opt_parse_size("0x10", 'B', &n));
    g_assert_cmpuint(n, ==, 16);
    g_assert_true(opt_parse_size("0x1B", 'B', &n));
    g_assert_cmpuint(n, ==, 27);
    g_assert_true(opt_parse_size("0X1b", 'B', &n));
    g_assert_cmpuint(n, ==, 27);
    g_assert_true(opt_parse_size("0xE", 'B', &n));
    g_assert_cmpuint(n, ==, 14);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(opt_parse_size(bad[i], 'B', &n));
    }
}

/* As QEMU 7.2 has them. */
static void test_fractions_of_sizes(void)
{
    static const char *const bad[] = { "1.5", "1.5B", ".5G", "1.5e1", "1.-5G", "1.5.5G", "16.0E" };
    uint64_t n;

    g_assert_true(opt_parse_size("1.5G", 'B', &n));
    g_assert_cmpuint(n, ==, 3ull << 29);
    g_assert_true(opt_parse_size("1.0", 'B', &n));
    g_assert_cmpuint(n, ==, 1);
    g_assert_true(opt_parse_size("15.99999999999999999999E", 'B', &n));
    g_assert_cmpuint(n, >, 15ull << 60);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(opt_parse_size(bad[i], 'B', &n));
    }
}

static void test_unit_of_sizes(void)
{
    uint64_t n;

    g_assert_true(opt_parse_size("2", 'M', &n));
    g_assert_cmpuint(n, ==, 2 << 20);
    g_assert_true(opt_parse_size("0x1B", 'M', &n));
    g_assert_cmpuint(n, ==, 27 << 20);
    g_assert_true(opt_parse_size("1.5", 'M', &n));
    g_assert_cmpuint(n, ==, 3 << 19);
    g_assert_true(opt_parse_size("2B", 'M', &n));
    g_assert_cmpuint(n, ==, 2);
}

static void test_numbers_are_decimal(void)
{
    uint64_t n;

    g_assert_true(opt_parse_uint("010", 100, &n));
    g_assert_cmpuint(n, ==, 10);
    g_assert_true(opt_parse_uint("0x10", 100, &n));
    g_assert_cmpuint(n, ==, 16);
    g_assert_false(opt_parse_uint("101", 100, &n));
    g_assert_false(opt_parse_uint("+1", 100, &n));
    g_assert_false(opt_parse_uint("", 100, &n));
}

/* Texts seen by running QEMU 7.2. */
static void test_qemu_texts_parameters(void)
{
    assert_refused("foo=1", OPT_PARAMETERS, "Invalid parameter 'foo'");
    assert_refused("flag=maybe", OPT_PARAMETERS, "Parameter 'flag' expects 'on' or 'off'");
    assert_refused("mode=auto", OPT_PARAMETERS, "Parameter 'mode' expects 'on' or 'off'");
    assert_refused("count=x", OPT_PARAMETERS, "Parameter 'count' expects a uint64 value");
    assert_refused("count=", OPT_PARAMETERS, "Parameter 'count' expects a uint64 value");
    assert_refused("count=99999999999", OPT_PARAMETERS, "Parameter 'count' expects uint32_t");
    assert_refused("number=x", OPT_PARAMETERS, "Parameter 'number' expects an int64 value");
    assert_refused("number=9999999999", OPT_PARAMETERS, "Parameter 'number' expects int32_t");
    assert_refused("size=x", OPT_PARAMETERS, "Parameter 'size' expects a size value");
    assert_refused("size=-1", OPT_PARAMETERS, "Parameter 'size' expects a size value");
    assert_refused("id=1a", OPT_PARAMETERS, "Parameter 'id' expects an identifier\n"
                   "Identifiers consist of letters, digits, '-', '.', '_', starting with a "
                   "letter.");
}

static void test_qemu_texts_properties(void)
{
    assert_refused("foo=1", OPT_PROPERTIES, "Property 'thing.foo' not found");
    assert_refused("count=x", OPT_PROPERTIES, "Parameter 'count' expects integer");
    assert_refused("flag=maybe", OPT_PROPERTIES, "Parameter 'flag' expects 'on' or 'off'");
    assert_refused("mac=zz", OPT_PROPERTIES, "Property 'thing.mac' doesn't take value 'zz'");
    assert_refused("mapping=x", OPT_PROPERTIES,
                   "Invalid parameter type for 'mapping', expected: array");
}

static void test_qemu_texts_json(void)
{
    assert_refused("{\"bogus\":1}", OPT_PARAMETERS, "Parameter 'bogus' is unexpected");
    assert_refused("{\"bogus\":1}", OPT_PROPERTIES, "Property 'thing.bogus' not found");
    assert_refused("{\"flag\":\"on\"}", OPT_PARAMETERS,
                   "Invalid parameter type for 'flag', expected: boolean");
    assert_refused("{\"name\":1}", OPT_PARAMETERS,
                   "Invalid parameter type for 'name', expected: string");
    assert_refused("{\"name\":null}", OPT_PARAMETERS,
                   "Invalid parameter type for 'name', expected: string");
    assert_refused("{\"count\":\"x\"}", OPT_PARAMETERS, "Parameter 'count' expects uint64");
    assert_refused("{\"count\":-1}", OPT_PARAMETERS, "Parameter 'count' expects uint32_t");
    assert_refused("{\"count\":99999999999}", OPT_PARAMETERS,
                   "Parameter 'count' expects uint32_t");
    assert_refused("{\"number\":\"x\"}", OPT_PARAMETERS,
                   "Invalid parameter type for 'number', expected: integer");
    assert_refused("{\"size\":\"x\"}", OPT_PARAMETERS, "Parameter 'size' expects uint64");
}

static void test_json_errors(void)
{
    assert_refused("{\"name\":\"a\"", OPT_PARAMETERS, "JSON parse error, premature EOI");
    assert_refused("{", OPT_PARAMETERS, "JSON parse error, premature EOI");
    assert_refused("{bad}", OPT_PARAMETERS, "JSON parse error, invalid keyword 'bad'");
    assert_refused("{\"name\":\"a\",}", OPT_PARAMETERS, "JSON parse error, expecting value");
    assert_refused("{\"mapping\":[1, ]}", OPT_PARAMETERS, "JSON parse error, expecting value");
    assert_refused("{\"count\":NaN}", OPT_PARAMETERS, "JSON parse error, stray 'N'");
    assert_refused("{\"flag\":True}", OPT_PARAMETERS, "JSON parse error, stray 'T'");
    assert_refused("{\"name\":\"\xc3\x28\"}", OPT_PARAMETERS,
                   "JSON parse error, invalid UTF-8 sequence in string");
    assert_refused("{} x", OPT_PARAMETERS, "Expecting at most one JSON value");
}

static void test_json_every_type(void)
{
    Config *c = parse_ok("{\"id\":\"a\",\"flag\":false,\"mode\":false,\"count\":3,\"number\":-2,"
                         "\"size\":4096,\"mac\":\"00:16:3e:00:00:01\"}");

    g_assert_cmpstr(c->id, ==, "a");
    g_assert_false(c->flag);
    g_assert_cmpint(c->mode, ==, ON_OFF_AUTO_OFF);
    g_assert_cmpuint(c->count, ==, 3);
    g_assert_true(c->has_count);
    g_assert_cmpint(c->number, ==, -2);
    g_assert_cmpuint(c->size, ==, 4096);
    opt_config_free(&table, c);
}

static void test_json_strings(void)
{
    Config *c = parse_ok("{'name':'a,],}\"B','bus':\",]'\\\"X\"}");

    g_assert_cmpstr(c->name, ==, "a,],}\"B");
    opt_config_free(&table, c);
}

static void test_json_big_size(void)
{
    Config *c = parse_ok("{\"size\":18446744073709551615}");

    g_assert_cmpuint(c->size, ==, UINT64_MAX);
    opt_config_free(&table, c);
}

static void test_mapping(void)
{
    Config *c = parse_ok("{\"mapping\":[{\"iothread\":\"io0\",\"vqs\":[0,2]},"
                         "{\"iothread\":\"io1\"}]}");
    const VqMapping *first = g_array_index(c->mapping, VqMapping *, 0);
    const VqMapping *second = g_array_index(c->mapping, VqMapping *, 1);

    g_assert_cmpuint(c->mapping->len, ==, 2);
    g_assert_cmpstr(first->iothread, ==, "io0");
    g_assert_cmpuint(first->vqs->len, ==, 2);
    g_assert_cmpuint(g_array_index(first->vqs, uint16_t, 1), ==, 2);
    g_assert_cmpstr(second->iothread, ==, "io1");
    g_assert_null(second->vqs);
    opt_config_free(&table, c);
}

static void test_mapping_refused(void)
{
    assert_refused("{\"mapping\":1}", OPT_PROPERTIES,
                   "Invalid parameter type for 'mapping', expected: array");
    assert_refused("{\"mapping\":[1]}", OPT_PROPERTIES,
                   "Invalid parameter type for 'mapping[0]', expected: object");
    assert_refused("{\"mapping\":[{}]}", OPT_PROPERTIES,
                   "Parameter 'mapping[0].iothread' is missing");
    assert_refused("{\"mapping\":[{\"iothread\":1}]}", OPT_PROPERTIES,
                   "Invalid parameter type for 'mapping[0].iothread', expected: string");
    assert_refused("{\"mapping\":[{\"iothread\":\"a\",\"x\":1}]}", OPT_PROPERTIES,
                   "Parameter 'mapping[0].x' is unexpected");
    assert_refused("{\"mapping\":[{\"iothread\":\"a\",\"vqs\":1}]}", OPT_PROPERTIES,
                   "Invalid parameter type for 'mapping[0].vqs', expected: array");
    assert_refused("{\"mapping\":[{\"iothread\":\"a\",\"vqs\":[\"x\"]}]}", OPT_PROPERTIES,
                   "Parameter 'mapping[0].vqs[0]' expects uint64");
    assert_refused("{\"mapping\":[{\"iothread\":\"a\",\"vqs\":[0,65536]}]}", OPT_PROPERTIES,
                   "Parameter 'mapping[0].vqs[1]' expects uint16_t");
}

static void test_mac(void)
{
    static const char *const bad[] = { "", "00:16:3e:00:00", "00:16:3e:00:00:0g",
                                       "00.16.3e.00.00.01", "00:16:3e:00:00:011" };
    Config *c = parse_ok("mac=FE:ff-FF-ff:ff:FF");

    g_assert_cmpstr(c->mac, ==, "FE:ff:FF:ff:ff:FF");

    opt_config_free(&table, c);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *text = g_strdup_printf("mac=%s", bad[i]);
        g_autofree char *message = g_strdup_printf("Property 'thing.mac' doesn't take value '%s'",
                                                   bad[i]);

        assert_refused(text, OPT_PROPERTIES, message);
    }
    assert_refused("mac=01:00:5e:00:00:01", OPT_PROPERTIES,
                   "NIC cannot have multicast MAC address (odd 1st byte)");
}

static void test_required(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OptDict) d = opt_dict_parse("", NULL, NULL);

    g_assert_null(opt_config_new(&required_table, d, OPT_PARAMETERS, &error));
    g_assert_cmpstr(error->message, ==, "Parameter 'id' is missing");
}

static void test_identifiers(void)
{
    g_assert_true(opt_id_wellformed("a"));
    g_assert_true(opt_id_wellformed("Net-0_b.c"));
    g_assert_false(opt_id_wellformed(""));
    g_assert_false(opt_id_wellformed("0a"));
    g_assert_false(opt_id_wellformed("-a"));
    g_assert_false(opt_id_wellformed("a b"));
    g_assert_false(opt_id_wellformed("a/b"));
    g_assert_false(opt_id_wellformed("\xc3\xa4"));
}

static void test_take(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OptDict) d = opt_dict_parse("tap,name=x", "type", NULL);
    g_autofree char *type = opt_dict_take(d, "type", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(type, ==, "tap");
    g_assert_null(opt_dict_get(d, "type"));
    g_assert_cmpstr(opt_dict_get(d, "name"), ==, "x");
    g_assert_null(opt_dict_take(d, "type", &error));
    g_assert_cmpstr(error->message, ==, "Parameter 'type' is missing");
}

static void test_take_wrong_type(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OptDict) d = opt_dict_parse("{\"type\":1}", "type", NULL);

    g_assert_null(opt_dict_take(d, "type", &error));
    g_assert_cmpstr(error->message, ==, "Invalid parameter type for 'type', expected: string");
}

static void test_wants_help(void)
{
    static const struct {
        const char *text;
        bool help;
    } cases[] = {
        { "tap,help", true }, { "tap,?", true }, { "tap,help=on", false },
        { "tap,name=help", false }, { "tap", false }, { "{\"help\":true}", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(OptDict) d = opt_dict_parse(cases[i].text, "type", NULL);

        g_assert_cmpint(opt_dict_wants_help(d), ==, cases[i].help);
    }
}

static void test_from_json(void)
{
    struct json_object *object = json_object_new_object();
    g_autoptr(OptDict) d = NULL;

    json_object_object_add(object, "name", json_object_new_string("x"));
    d = opt_dict_from_json(object);
    json_object_put(object);
    g_assert_cmpstr(opt_dict_get(d, "name"), ==, "x");
}

static void expect_flat(OptDict *d, const char *want)
{
    g_autoptr(GPtrArray) flat = opt_dict_flatten(d);
    g_autofree char *text = opt_flat_to_text(flat);

    g_assert_cmpstr(text, ==, want);
}

static void test_flat(void)
{
    g_autoptr(OptDict) text = opt_dict_parse("a,b.c=1,d=x,,y,e=,b.c=2", "type", NULL);
    g_autoptr(OptDict) json = opt_dict_parse(
        "{'a':{'b':{'c':true,'d':[1,{'e':'x,y'}]},'f':null},'g':-7,'h':{},'i':false}", NULL, NULL);
    g_autoptr(GPtrArray) flat = opt_dict_flatten(text);

    expect_flat(text, "type=a,b.c=1,d=x,,y,e=,b.c=2");
    expect_flat(json, "a.b.c=on,a.b.d.0=1,a.b.d.1.e=x,,y,a.f=,g=-7,i=off");
    g_assert_cmpstr(opt_flat_get(flat, "b.c"), ==, "2");
    g_assert_cmpstr(opt_flat_get(flat, "d"), ==, "x,y");
    g_assert_null(opt_flat_get(flat, "b"));
}

static void test_help(void)
{
    g_autofree char *help = opt_table_help(&table);

    g_assert_true(g_str_has_prefix(help, "thing options:\n  bus=<str>"));
    g_assert_nonnull(strstr(help, "\n  flag=<bool>            - a flag (default: on)\n"));
    g_assert_nonnull(strstr(help, "\n  id=<str>               - name of the thing\n"));
    g_assert_nonnull(strstr(help, "\n  mode=<bool>\n"));
    g_assert_nonnull(strstr(help, "\n  number=<int32>         -  (default: -1)\n"));
}

static void test_first_line(void)
{
    g_autofree char *one = opt_first_line("a\nb");
    g_autofree char *all = opt_first_line("ab");

    g_assert_cmpstr(one, ==, "a");
    g_assert_cmpstr(all, ==, "ab");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        { "defaults", test_defaults },
        { "every-type", test_every_type },
        { "implied-key", test_implied_key },
        { "implied-key-only-first", test_implied_key_only_first },
        { "double-comma", test_double_comma },
        { "double-comma-in-implied", test_double_comma_in_implied },
        { "equals-in-value", test_equals_in_value },
        { "empty-value", test_empty_value },
        { "bare-flag", test_bare_flag },
        { "last-wins", test_last_wins },
        { "first-id-wins", test_first_id_wins },
        { "ignored", test_ignored },
        { "bool-words", test_bool_words },
        { "sizes", test_sizes },
        { "hexadecimal-sizes", test_hexadecimal_sizes },
        { "fractions-of-sizes", test_fractions_of_sizes },
        { "unit-of-sizes", test_unit_of_sizes },
        { "numbers-are-decimal", test_numbers_are_decimal },
        { "qemu-texts-parameters", test_qemu_texts_parameters },
        { "qemu-texts-properties", test_qemu_texts_properties },
        { "qemu-texts-json", test_qemu_texts_json },
        { "json-errors", test_json_errors },
        { "json-every-type", test_json_every_type },
        { "json-strings", test_json_strings },
        { "json-big-size", test_json_big_size },
        { "mapping", test_mapping },
        { "mapping-refused", test_mapping_refused },
        { "mac", test_mac },
        { "required", test_required },
        { "identifiers", test_identifiers },
        { "take", test_take },
        { "take-wrong-type", test_take_wrong_type },
        { "wants-help", test_wants_help },
        { "from-json", test_from_json },
        { "flat", test_flat },
        { "help", test_help },
        { "first-line", test_first_line },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/util/options/%s", tests[i].name);

        g_test_add_func(path, tests[i].run);
    }
    return g_test_run();
}
