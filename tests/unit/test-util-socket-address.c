/*
 * Addresses of sockets: from a user's words to the kernel's, and back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/socket-address.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "util/fd.h"

static SocketAddress *parse(const char *text, GError **error)
{
    OptDict *d = opt_dict_parse(text, NULL, error);
    SocketAddress *a = d ? opt_config_new(&socket_address_options, d, OPT_PARAMETERS, error)
                         : NULL;

    opt_dict_free(d);
    return a;
}

static void assert_refused(const char *text, const char *why)
{
    g_autoptr(GError) error = NULL;
    GArray *names = NULL;
    SocketAddress *a = parse(text, &error);

    if (a) {
        g_assert_false(socket_address_resolve(a, false, &names, &error));
    }
    g_assert_cmpstr(error->message, ==, why);
    opt_config_free(&socket_address_options, a);
}

/* The first name of it; its uri, too. */
static SocketName resolve(const char *text, const char *uri)
{
    g_autoptr(GError) error = NULL;
    SocketAddress *a = parse(text, &error);
    g_autofree char *got = NULL;
    SocketName name;
    GArray *names;

    g_assert_no_error(error);
    g_assert_true(socket_address_resolve(a, false, &names, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(names->len, >, 0);
    name = g_array_index(names, SocketName, 0);
    got = socket_name_uri(&name);
    g_assert_cmpstr(got, ==, uri);
    g_array_unref(names);
    opt_config_free(&socket_address_options, a);
    return name;
}

static void assert_described(const SocketName *name, const char *expected)
{
    static const OptMember m = { NULL, OPT_STRUCT, .table = &socket_address_options };
    SocketAddress *a = socket_name_address(name);
    struct json_object *json = opt_value_to_json(&m, &a);

    g_assert_cmpstr(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN |
                    JSON_C_TO_STRING_NOSLASHESCAPE), ==, expected);
    json_object_put(json);
    opt_config_free(&socket_address_options, a);
}

static void test_inet(void)
{
    SocketName name = resolve("type=inet,host=127.0.0.1,port=80,numeric=on", "tcp:127.0.0.1:80");

    g_assert_cmpint(name.addr.ss_family, ==, AF_INET);
    assert_described(&name, "{\"type\":\"inet\",\"host\":\"127.0.0.1\",\"port\":\"80\","
                            "\"ipv4\":true}");
    name = resolve("type=inet,host=::1,port=80", "tcp:::1:80");
    g_assert_cmpint(name.addr.ss_family, ==, AF_INET6);
    assert_described(&name, "{\"type\":\"inet\",\"host\":\"::1\",\"port\":\"80\",\"ipv6\":true}");
}

static void test_unix(void)
{
    SocketName name = resolve("type=unix,path=/a", "unix:/a");

    assert_described(&name, "{\"type\":\"unix\",\"path\":\"/a\"}");
    name = resolve("type=unix,path=/a,abstract=on", "unix:/a");
    g_assert_cmpuint(name.len, ==, offsetof(struct sockaddr_un, sun_path) + 3);
    assert_described(&name, "{\"type\":\"unix\",\"path\":\"/a\",\"abstract\":true,"
                            "\"tight\":true}");
    name = resolve("type=unix,path=/a,abstract=on,tight=off", "unix:/a");
    g_assert_cmpuint(name.len, ==, sizeof(struct sockaddr_un));
    assert_described(&name, "{\"type\":\"unix\",\"path\":\"/a\",\"abstract\":true,"
                            "\"tight\":false}");
}

static void test_nameless(void)
{
    SocketName name = { .addr.ss_family = AF_UNIX, .len = sizeof(sa_family_t) };
    g_autofree char *uri = socket_name_uri(&name);

    g_assert_cmpstr(uri, ==, "unix:");
    assert_described(&name, "{\"type\":\"unix\",\"path\":\"\"}");
}

static void test_refused(void)
{
    g_autofree char *x = g_strnfill(200, 'x');
    g_autofree char *text = g_strconcat("type=unix,path=", x, NULL);
    g_autofree char *why = g_strdup_printf("UNIX socket path '%s' is too long\n"
                                           "Path must be less than 108 bytes", x);

    assert_refused("type=foo", "Parameter 'type' does not accept value 'foo'");
    assert_refused("host=a", "Parameter 'type' is missing");
    assert_refused("type=inet,host=a", "Parameter 'port' is missing");
    assert_refused("type=fd", "Parameter 'str' is missing");
    assert_refused("type=fd,str=1,x=1", "Parameter 'x' is unexpected");
    assert_refused("type=fd,str=1", "a descriptor has no address");
    assert_refused("type=unix,path=", "UNIX socket path must not be empty");
    assert_refused("type=inet,host=1,port=1,ipv4=off,ipv6=off",
                   "Cannot disable IPv4 and IPv6 at same time");
    assert_refused("type=inet,host=x,port=1,numeric=on",
                   "address resolution failed for x:1: Name or service not known");
    assert_refused(text, why);
}

/* Nobody is there before, somebody after; the path is gone at the end. */
static void listen_and_connect(const char *text)
{
    SocketAddress *a = parse(text, NULL);
    g_autoptr(GError) error = NULL;
    BoundPath bound = { 0 };
    GArray *names;
    int fd;
    int client;

    g_assert_true(socket_address_resolve(a, false, &names, &error));
    g_assert_cmpint(socket_name_connect(&g_array_index(names, SocketName, 0), &error), ==, -1);
    g_assert_true(g_str_has_prefix(error->message, "Failed to connect to '"));
    g_clear_error(&error);
    fd = socket_address_listen(a, &bound, &error);
    g_assert_no_error(error);
    client = socket_name_connect(&g_array_index(names, SocketName, 0), &error);
    g_assert_no_error(error);
    fd_close(&client);
    fd_close(&fd);
    bound_path_remove(&bound);
    g_array_unref(names);
    opt_config_free(&socket_address_options, a);
}

static void test_sockets(void)
{
    g_autofree char *dir = g_dir_make_tmp("socket-address.XXXXXX", NULL);
    g_autofree char *plain = g_strdup_printf("type=unix,path=%s/s", dir);
    g_autofree char *abstract = g_strdup_printf("type=unix,path=%s/s,abstract=on", dir);

    listen_and_connect(plain);
    listen_and_connect(abstract);
    g_assert_cmpint(g_rmdir(dir), ==, 0); /* no file is left */
}

static void test_listen_fails(void)
{
    g_autoptr(GError) error = NULL;
    SocketAddress *a = parse("type=inet,host=192.0.2.1,port=1024", NULL);
    BoundPath bound = { 0 };

    g_assert_cmpint(socket_address_listen(a, &bound, &error), ==, -1);
    g_assert_cmpstr(error->message, ==,
                    "Failed to bind socket: Cannot assign requested address");
    opt_config_free(&socket_address_options, a);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/socket-address/inet", test_inet);
    g_test_add_func("/util/socket-address/unix", test_unix);
    g_test_add_func("/util/socket-address/nameless", test_nameless);
    g_test_add_func("/util/socket-address/refused", test_refused);
    g_test_add_func("/util/socket-address/sockets", test_sockets);
    g_test_add_func("/util/socket-address/listen-fails", test_listen_fails);
    return g_test_run();
}
