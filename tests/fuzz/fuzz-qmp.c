/*
 * What a QMP client can send: each reply is one line of valid JSON, and the session
 * lives on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <json-c/json.h>
#include <stdint.h>
#include <string.h>

#include "qmp/qmp.h"
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const *fake_machines(void)
{
    static const char *const names[] = { "none", NULL };

    return names;
}

static const char *fake_name(void *opaque)
{
    return NULL;
}

static const char *fake_status(void *opaque)
{
    return "running";
}

static void fake_nothing(void *opaque)
{
}

static bool fake_add(void *opaque, OptDict *args, GError **error)
{
    return opt_dict_get(args, "id") != NULL || opt_dict_take(args, "id", error) != NULL;
}

static bool fake_netdev_add(void *opaque, OptDict *args, QmpMonitor *mon, GError **error)
{
    g_assert_cmpint(qmp_monitor_take_fd(mon, "none"), ==, -1);
    return fake_add(opaque, args, error);
}

static bool fake_del(void *opaque, const char *id, GError **error)
{
    g_set_error(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id);
    return false;
}

static bool fake_link(void *opaque, const char *name, bool up, GError **error)
{
    return true;
}

static void fake_vif(void *opaque, QmpVifFn *fn, void *ctx)
{
}

static void fake_iothread(void *opaque, QmpIoThreadFn *fn, void *ctx)
{
}

static void fake_netdev(void *opaque, QmpNetdevFn *fn, void *ctx)
{
}

static const QmpSystem fake = {
    .version = "0",
    .machines = fake_machines,
    .guest_name = fake_name,
    .status = fake_status,
    .stop = fake_nothing,
    .cont = fake_nothing,
    .quit = fake_nothing,
    .netdev_add = fake_netdev_add,
    .netdev_del = fake_del,
    .device_add = fake_add,
    .device_del = fake_del,
    .object_add = fake_add,
    .object_del = fake_del,
    .set_link = fake_link,
    .foreach_vif = fake_vif,
    .foreach_iothread = fake_iothread,
    .foreach_netdev = fake_netdev,
};

static void check_line(void *opaque, const char *data, size_t len)
{
    unsigned *n_lines = opaque;
    struct json_tokener *tok = json_tokener_new_ex(QMP_MAX_DEPTH + 2);
    struct json_object *msg;

    g_assert_cmpuint(len, >, 2);
    g_assert_true(memcmp(data + len - 2, "\r\n", 2) == 0);
    g_assert_null(memchr(data, '\n', len - 2));
    g_assert_true(g_utf8_validate_len(data, len, NULL));
    msg = json_tokener_parse_ex(tok, data, (int)len);
    g_assert_true(json_object_is_type(msg, json_type_object));
    json_object_put(msg);
    json_tokener_free(tok);
    (*n_lines)++;
}

static void feed(QmpSession *s, const char *data, size_t len)
{
    while (len > 0) {
        size_t used = 0;

        g_assert_true(qmp_session_feed(s, data, len, &used));
        g_assert_cmpuint(used, >, 0);
        g_assert_cmpuint(used, <=, len);
        data += used;
        len -= used;
    }
}

/* The first byte: how long the pieces are in which the rest arrives; 0: all at once. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char sync[] = "\xff{\"execute\":\"qmp_capabilities\"}\n";
    g_autoptr(Qmp) q = NULL;
    QmpSession *s;
    unsigned n_lines = 0;
    unsigned before;
    size_t piece;

    if (size < 1 || size > 65536) {
        return 0;
    }
    piece = data[0] ? data[0] : size;
    q = qmp_new(&fake, NULL);
    s = qmp_session_new(qmp_monitor_new(q, "m", "unix:m"), check_line, &n_lines);
    g_assert_cmpuint(n_lines, ==, 1);
    for (size_t at = 1; at < size; at += piece) {
        feed(s, (const char *)data + at, MIN(piece, size - at));
    }
    before = n_lines;
    feed(s, sync, sizeof(sync) - 1);
    g_assert_cmpuint(n_lines, ==, before + 1);
    qmp_session_free(s);
    return 0;
}
