/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <json-c/json.h>
#include <string.h>

#include "util/options.h"

typedef struct InetAddr {
    char *host;
    uint16_t port;
} InetAddr;

typedef struct UnixAddr {
    char *path;
    bool abstract;
    bool has_abstract;
} UnixAddr;

typedef struct Addr {
    int type;
    void *u;
} Addr;

typedef struct Config {
    char *id;
    Addr *addr;
    GArray *hosts; /* InetAddr * */
    GArray *names; /* char * */
    int mode;
    bool has_mode;
    uint64_t big;
    OptRef below; /* Config * */
} Config;

static const char *const addr_types[] = { "inet", "unix", "none", NULL };
static const OptEnum addr_type = { "AddrType", addr_types };
static const char *const modes[] = { "slow", "fast", NULL };
static const OptEnum mode = { "Mode", modes };

static const OptMember inet_members[] = {
    { "host", OPT_STR, offsetof(InetAddr, host), .required = true },
    { "port", OPT_UINT16, offsetof(InetAddr, port), .required = true },
    { 0 },
};
static const OptTable inet_table = { "InetAddr", sizeof(InetAddr), inet_members };
static const OptMember unix_members[] = {
    { "path", OPT_STR, offsetof(UnixAddr, path), .required = true },
    { "abstract", OPT_BOOL, offsetof(UnixAddr, abstract), offsetof(UnixAddr, has_abstract) },
    { 0 },
};
static const OptTable unix_table = { "UnixAddr", sizeof(UnixAddr), unix_members };

static const OptMember addr_members[] = {
    { "type", OPT_ENUM, offsetof(Addr, type), .required = true, .values = &addr_type },
    { 0 },
};
static const OptBranch addr_branches[] = {
    { "inet", &inet_table }, { "unix", &unix_table }, { 0 },
};
static const OptTable addr_table = { "Addr", sizeof(Addr), addr_members, "type", addr_branches,
                                     offsetof(Addr, u) };
static const OptTable table;
static const OptMember host_item = { .type = OPT_STRUCT, .table = &inet_table };
static const OptMember name_item = { .type = OPT_STR };
static const OptMember members[] = {
    { "id", OPT_STR, offsetof(Config, id) },
    { "addr", OPT_STRUCT, offsetof(Config, addr), .table = &addr_table },
    { "hosts", OPT_LIST, offsetof(Config, hosts), .item = &host_item },
    { "names", OPT_LIST, offsetof(Config, names), .item = &name_item },
    { "mode", OPT_ENUM, offsetof(Config, mode), offsetof(Config, has_mode), .def = "fast",
      .values = &mode },
    { "big", OPT_UINT64, offsetof(Config, big) },
    { "below", OPT_REF, offsetof(Config, below), .table = &table },
    { 0 },
};
static const OptTable table = { "thing", sizeof(Config), members, .ref = "ThingRef" };
static const OptMember thing = { .type = OPT_STRUCT, .table = &table };

static Config *parse(const char *text, OptWords words, GError **error)
{
    g_autoptr(OptDict) d = opt_dict_parse(text, NULL, error);

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

static void assert_refused(const char *text, const char *message)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(parse(text, OPT_PARAMETERS, &error));
    g_assert_cmpstr(error->message, ==, message);
}

/* What @text makes, as JSON, is @json. */
static void assert_json(const char *text, const char *json)
{
    Config *c = parse_ok(text);
    struct json_object *made = opt_value_to_json(&thing, &c);

    g_assert_cmpstr(json_object_to_json_string_ext(made, JSON_C_TO_STRING_PLAIN), ==, json);
    g_assert_true(opt_value_matches(&thing, made));
    json_object_put(made);
    opt_config_free(&table, c);
}

static void test_enum(void)
{
    Config *c = parse_ok("mode=slow");

    g_assert_cmpint(c->mode, ==, 0);
    g_assert_true(c->has_mode);
    opt_config_free(&table, c);
    c = parse_ok("id=x");
    g_assert_cmpint(c->mode, ==, 1);
    g_assert_false(c->has_mode);
    opt_config_free(&table, c);
    assert_refused("mode=x", "Parameter 'mode' does not accept value 'x'");
    assert_refused("{\"mode\":1}", "Invalid parameter type for 'mode', expected: string");
}

static void test_union(void)
{
    Config *c = parse_ok("{\"addr\":{\"type\":\"inet\",\"host\":\"h\",\"port\":80}}");

    g_assert_cmpint(c->addr->type, ==, 0);
    g_assert_cmpstr(((InetAddr *)c->addr->u)->host, ==, "h");
    g_assert_cmpuint(((InetAddr *)c->addr->u)->port, ==, 80);
    opt_config_free(&table, c);
    c = parse_ok("{\"addr\":{\"type\":\"none\"}}");
    g_assert_null(c->addr->u);
    opt_config_free(&table, c);
    assert_refused("{\"addr\":{}}", "Parameter 'addr.type' is missing");
    assert_refused("{\"addr\":{\"type\":\"unix\"}}", "Parameter 'addr.path' is missing");
    assert_refused("{\"addr\":{\"type\":\"unix\",\"path\":\"p\",\"host\":\"h\"}}",
                   "Parameter 'addr.host' is unexpected");
    assert_refused("{\"addr\":{\"type\":\"none\",\"path\":\"p\"}}",
                   "Parameter 'addr.path' is unexpected");
    assert_refused("{\"addr\":1}", "Invalid parameter type for 'addr', expected: object");
}

static void test_dotted(void)
{
    Config *c = parse_ok("addr.type=unix,addr.path=/a,,b,addr.abstract=on,hosts.1.host=y,"
                         "hosts.0.host=x,hosts.0.port=1,hosts.1.port=2,names.0=n");

    g_assert_cmpstr(((UnixAddr *)c->addr->u)->path, ==, "/a,b");
    g_assert_true(((UnixAddr *)c->addr->u)->abstract);
    g_assert_cmpuint(c->hosts->len, ==, 2);
    g_assert_cmpstr(g_array_index(c->hosts, InetAddr *, 1)->host, ==, "y");
    g_assert_cmpuint(g_array_index(c->hosts, InetAddr *, 1)->port, ==, 2);
    g_assert_cmpstr(g_array_index(c->names, char *, 0), ==, "n");
    opt_config_free(&table, c);
    assert_refused("addr=x", "Invalid parameter type for 'addr', expected: object");
    assert_refused("addr.type=unix", "Parameter 'addr.path' is missing");
    assert_refused("addr.type=unix,addr.path=p,addr.x=1", "Invalid parameter 'addr.x'");
    assert_refused("hosts.0.host=x", "Parameter 'hosts[0].port' is missing");
    assert_refused("names.1=x", "Invalid parameter 'names.1'");
    assert_refused("names.0.x=y", "Invalid parameter type for 'names[0]', expected: string");
    assert_refused("mode.x=fast", "Invalid parameter 'mode.x'");
}

static void test_ref(void)
{
    Config *c = parse_ok("below=n");

    g_assert_cmpstr(c->below.name, ==, "n");
    g_assert_null(c->below.object);
    opt_config_free(&table, c);
    c = parse_ok("below.id=x,below.below.below=y,id=z");
    g_assert_null(c->below.name);
    g_assert_cmpstr(((Config *)c->below.object)->id, ==, "x");
    opt_config_free(&table, c);
    c = parse_ok("id=x");
    g_assert_null(c->below.name);
    g_assert_null(c->below.object);
    opt_config_free(&table, c);
    assert_json("below=n", "{\"below\":\"n\"}");
    assert_json("{\"below\":{\"below\":\"n\",\"mode\":\"slow\"}}",
                "{\"below\":{\"mode\":\"slow\",\"below\":\"n\"}}");
    assert_refused("{\"below\":1}", "Invalid parameter type for 'below', expected: ThingRef");
    assert_refused("{\"below\":null}", "Invalid parameter type for 'below', expected: ThingRef");
    assert_refused("{\"below\":{\"below\":{\"x\":1}}}",
                   "Parameter 'below.below.x' is unexpected");
    assert_refused("below=n,below.id=x", "Invalid parameter 'below.id'");
    assert_refused("below.below.id=1", "Parameter 'below.below.id' expects an identifier\n"
                   "Identifiers consist of letters, digits, '-', '.', '_', starting with a "
                   "letter.");
}

/* A table that is in itself has no end of its own. */
static void test_depth(void)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < 64; i++) {
        g_string_append(text, "below.");
    }
    g_string_append(text, "id=x");
    opt_config_free(&table, parse_ok(text->str));
    g_string_prepend(text, "below.");
    assert_refused(text->str, "there are more than 64 objects in each other");
}

static void test_help_of_a_branch(void)
{
    g_autofree char *inet = opt_branch_help(&addr_table, "inet");

    g_assert_cmpstr(inet, ==, "inet options:\n  host=<str>\n  port=<uint16>\n"
                              "  type=<AddrType>\n");
    g_assert_null(opt_branch_help(&addr_table, "none"));
    g_assert_null(opt_branch_help(&addr_table, "nosuch"));
}

/* A device's properties are not nested by dots. */
static void test_no_dots_in_properties(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(parse("addr.type=none", OPT_PROPERTIES, &error));
    g_assert_cmpstr(error->message, ==, "Property 'thing.addr.type' not found");
}

static void test_list(void)
{
    Config *c = parse_ok("{\"names\":[\"a\",\"b\"],\"hosts\":[]}");

    g_assert_cmpuint(c->names->len, ==, 2);
    g_assert_cmpstr(g_array_index(c->names, char *, 1), ==, "b");
    g_assert_cmpuint(c->hosts->len, ==, 0);
    opt_config_free(&table, c);
    assert_refused("{\"names\":{}}", "Invalid parameter type for 'names', expected: array");
    assert_refused("{\"names\":[\"a\",1]}",
                   "Invalid parameter type for 'names[1]', expected: string");
    assert_refused("{\"names\":[null]}",
                   "Invalid parameter type for 'names[0]', expected: string");
    assert_refused("{\"hosts\":[{\"host\":\"h\",\"port\":65536}]}",
                   "Parameter 'hosts[0].port' expects uint16_t");
}

static void test_to_json(void)
{
    assert_json("id=x", "{\"id\":\"x\"}");
    assert_json("{\"addr\":{\"type\":\"inet\",\"host\":\"h\",\"port\":0}}",
                "{\"addr\":{\"type\":\"inet\",\"host\":\"h\",\"port\":0}}");
    assert_json("addr.type=unix,addr.path=p,addr.abstract=off",
                "{\"addr\":{\"type\":\"unix\",\"path\":\"p\",\"abstract\":false}}");
    assert_json("hosts.0.host=x,hosts.0.port=1,names.0=n,mode=slow,big=18446744073709551615",
                "{\"hosts\":[{\"host\":\"x\",\"port\":1}],\"names\":[\"n\"],\"mode\":\"slow\","
                "\"big\":18446744073709551615}");
}

static void test_mismatches(void)
{
    static const char *const wrong[] = {
        "[]", "{\"x\":1}", "{\"id\":1}", "{\"addr\":{\"type\":\"nosuch\"}}", "{\"mode\":\"x\"}",
        "{\"addr\":{\"type\":\"inet\",\"host\":\"h\"}}", "{\"names\":[1]}", "{\"hosts\":[{}]}",
        "{\"addr\":{\"type\":\"none\",\"host\":\"h\"}}", "{\"big\":true}", "{\"names\":{}}",
        "{\"below\":1}", "{\"below\":{\"id\":1}}",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        struct json_object *json = json_tokener_parse(wrong[i]);

        g_assert_nonnull(json);
        g_assert_false(opt_value_matches(&thing, json));
        json_object_put(json);
    }
}

static void assert_json_string(const char *text, const char *json)
{
    struct json_object *made = opt_json_string(text);

    g_assert_cmpstr(json_object_to_json_string(made), ==, json);
    json_object_put(made);
}

/* JSON can have a NUL in a string, C cannot. */
static void test_strings(void)
{
    assert_json("{\"id\":\"a\"}", "{\"id\":\"a\"}");
    assert_json("{\"names\":[\"a\\u0000b\"]}", "{\"names\":[\"a\\u0000b\"]}");
    assert_json_string("a\xc0\x80", "\"a\\u0000\"");
    assert_json_string("a\xff\xc3", "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_json_string("\xe2\x82\xac", "\"\xe2\x82\xac\"");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        { "enum", test_enum },
        { "union", test_union },
        { "dotted", test_dotted },
        { "ref", test_ref },
        { "depth", test_depth },
        { "help-of-a-branch", test_help_of_a_branch },
        { "no-dots-in-properties", test_no_dots_in_properties },
        { "list", test_list },
        { "to-json", test_to_json },
        { "mismatches", test_mismatches },
        { "strings", test_strings },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/util/options-types/%s", tests[i].name);

        g_test_add_func(path, tests[i].run);
    }
    return g_test_run();
}
