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
#include <sys/socket.h>

#include "blockdevs.h"
#include "chardev.h"
#include "hw/net/classes.h"
#include "hw/net/nic-stats.h"
#include "objects.h"
#include "session.h"
#include "qmp-commands.h"
#include "system.h"
#include "util/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The adapters of system/ are the real ones; what they would do to the machine is not done.
 */
static const MachineType machines[] = { { .name = "none" }, { 0 } };

const MachineType *machine_types(void)
{
    return machines;
}

static const OptMember option_members[] = { { "id", OPT_STR }, { "x", OPT_BOOL }, { 0 } };
const OptTable tap_options = { "tap", sizeof(char *), option_members };
const OptTable iothread_options = { "iothread", sizeof(char *), option_members };
const OptTable memory_file_options = { "memory-backend-file", sizeof(char *), option_members };
const OptTable memory_memfd_options = { "memory-backend-memfd", sizeof(char *), option_members };
const OptTable memory_ram_options = { "memory-backend-ram", sizeof(char *), option_members };
const OptTable rng_builtin_options = { "rng-builtin", sizeof(char *), option_members };
const OptTable rng_random_options = { "rng-random", sizeof(char *), option_members };
const OptTable secret_options = { "secret", sizeof(char *), option_members };
const char *const object_types[] = { "iothread", "secret", NULL };
const OptEnum object_type = { "ObjectType", object_types };

uint64_t machine_ram_size(const System *s)
{
    return 1;
}

const OptTable *object_options(const char *type)
{
    return &iothread_options;
}

const OptTable *machine_options(const MachineType *m)
{
    return &iothread_options;
}
const char *const netdev_types[] = { "tap", NULL };
const OptBranch netdev_branches[] = { { "tap", &tap_options }, { 0 } };

void run_stop(System *s)
{
    s->state = RUN_PAUSED;
    qmp_event_stop(s);
}

void run_cont(System *s)
{
    s->state = RUN_RUNNING;
    qmp_event_resume(s);
}

void run_shutdown(System *s, const char *reason)
{
    qmp_event_shutdown(s, reason);
}

static bool fake_add(OptDict *args, GError **error)
{
    return opt_dict_get(args, "id") != NULL || opt_dict_take(args, "id", error) != NULL;
}

static bool fake_find(System *s, const char *id, GError **error)
{
    if (g_str_equal(id, "vif0")) {
        qmp_event_device_deleted(s, id);
        return true;
    }
    g_set_error(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id);
    return false;
}

GPtrArray *secret_arguments(System *s)
{
    return g_ptr_array_new();
}

void netdev_job_then(NetdevJob *job, NetdevJobDone *done, void *opaque)
{
}

bool netdev_add_later(System *s, OptDict *args, QmpMonitor *mon, NetdevJob **ret_job,
                      GError **error)
{
    g_assert_cmpint(qmp_monitor_take_fd(mon, "none"), ==, -1);
    return fake_add(args, error);
}

bool netdev_del(System *s, const char *id, NetdevJob **ret_job, GError **error)
{
    return fake_find(s, id, error);
}

bool devices_add(System *s, OptDict *args, GError **error)
{
    return fake_add(args, error);
}

bool devices_del(System *s, const char *id, GError **error)
{
    return fake_find(s, id, error);
}

bool object_add(System *s, OptDict *args, GError **error)
{
    return fake_add(args, error);
}

bool object_del(System *s, const char *id, GError **error)
{
    return fake_find(s, id, error);
}

static ChardevObject chardevs[] = {
    { .id = (char *)"c0", .filename = (char *)"unix:\xff,server=on", .in_use = true },
    { .id = (char *)"c1", .filename = (char *)"fd:7" },
};

ChardevObject *chardev_find(System *s, const char *id)
{
    return g_str_equal(id, "c0") ? &chardevs[0] : NULL;
}

ChardevObject *chardev_new_socket(System *s, const SocketConfig *config, GError **error)
{
    g_assert_nonnull(config->id);
    g_assert_true((config->path != NULL) != (config->fd != NULL));
    if (!config->server) {
        system_set_error(error, "nobody is at %s", config->path ? config->path : config->fd);
        return NULL;
    }
    return &chardevs[1];
}

bool chardev_del(System *s, const char *id, GError **error)
{
    return chardev_find(s, id) || system_set_error(error, "Chardev '%s' not found", id);
}

/* Images are not opened: what they are called decides what becomes of them. */
BlockNode *block_node_open(const BlockConfig *config, GError **error)
{
    BlockNode *node;

    g_assert_nonnull(config->node_name);
    if (!g_str_has_prefix(config->filename, "/")) {
        system_set_error(error, "Could not open '%s'", config->filename);
        return NULL;
    }
    node = g_new0(BlockNode, 1);
    node->node_name = g_strdup(config->node_name);
    node->filename = g_strdup(config->filename);
    node->read_only = config->read_only;
    return node;
}

void block_node_free(BlockNode *node)
{
    if (node) {
        g_free(node->node_name);
        g_free(node->filename);
        g_free(node);
    }
}

bool block_node_resize(BlockNode *node, uint64_t bytes, GError **error)
{
    g_assert_cmpuint(bytes, <=, G_MAXINT64);
    node->bytes = bytes;
    return !node->read_only || system_set_error(error, "Image is read-only");
}

bool block_node_refresh(BlockNode *node, GError **error)
{
    return true;
}

int64_t block_node_allocated(const BlockNode *node)
{
    return node->read_only ? -1 : 0;
}

bool devices_set_link(System *s, const char *name, bool up, GError **error)
{
    qmp_event_device(s, device_registry_nth(s->devices, 0),
                     &(DeviceEvent){ .kind = DEVICE_FAILED, .reason = name });
    return fake_find(s, name, error);
}

static char *netdev_info(Netdev *nd, unsigned queue)
{
    return g_strdup_printf("ifname=t%u", queue);
}

static const NetdevOps netdev_ops = { .type = "tap", .info = netdev_info };
static NetdevQueue netdev_queue;
static NetdevQueue *netdev_queues[] = { &netdev_queue, &netdev_queue };
static Netdev netdevs[] = {
    { .ops = &netdev_ops, .id = (char *)"n0", .n_queues = 2, .queue = netdev_queues,
      .in_use = true },
    { .ops = &netdev_ops, .id = (char *)"n1", .n_queues = 1, .queue = netdev_queues },
};

typedef struct FakeConfig {
    char *id;
    char *netdev;
} FakeConfig;

static const OptMember fake_members[] = {
    { "id", OPT_STR, offsetof(FakeConfig, id) },
    { "netdev", OPT_STR, offsetof(FakeConfig, netdev), .def = "n0" },
    { 0 },
};
static const OptTable fake_options = { "xen-net-device", sizeof(FakeConfig), fake_members };

static bool fake_realize(Device *d, GError **error)
{
    d->impl = d;
    d->guest = g_str_equal(d->id, "vif0") ? 5 : DEVICE_NOBODY;
    return true;
}

static void fake_unrealize(Device *d)
{
}

/* One that is connected and was refused before, and one that is neither. */
static void fake_info(Device *d, DeviceInfo *ret_info)
{
    static const NicQueueStats stats[2] = { { .tx = { .packets = UINT64_MAX } } };
    bool up = g_str_equal(d->id, "vif0");

    g_strlcpy(ret_info->address, up ? "00:16:3e:00:00:01" : "", sizeof(ret_info->address));
    ret_info->state = up ? "connected" : "closed";
    ret_info->error = up ? "a \xff" : NULL;
    ret_info->n_queues = up ? 2 : 0;
    ret_info->max_queues = 2;
    ret_info->stats = stats;
    ret_info->tid[0] = 1;
    ret_info->tid[1] = 2;
}

static const Counter fake_counters[] = { { "packets", "packets", "\xff", 0 }, { NULL } };
static const CounterGroup fake_groups[] = { { "tx", 0, fake_counters }, { NULL } };

const DeviceClass xen_netback_class = {
    .options = &fake_options,
    .bus = "fake",
    .id_offset = offsetof(FakeConfig, id),
    .backends = { { "netdev", offsetof(FakeConfig, netdev) } },
    .desc = "made up",
    .queue_stats_size = sizeof(NicQueueStats),
    .counters = fake_groups,
    .realize = fake_realize,
    .unrealize = fake_unrealize,
    .info = fake_info,
};
const DeviceClass xen_netfront_class = { .options = &fake_options, .bus = "fake" };

static void *fake_bus_get(void *opaque)
{
    return opaque;
}

static void *fake_find_netdev(void *opaque, const char *id)
{
    return &netdevs[0];
}

static bool fake_claim_netdev(void *opaque, void *backend)
{
    return true;
}

static void fake_release_netdev(void *opaque, void *backend)
{
}

static const DeviceBackendKind fake_kind = {
    "netdev", fake_find_netdev, fake_claim_netdev, fake_release_netdev
};
static const DeviceBackendKind *const fake_kinds[] = { &fake_kind, NULL };
static const DeviceBus fake_bus = { "fake", "fake.0", fake_bus_get };
static const DeviceClass *const fake_classes[] = { &xen_netback_class, NULL };
static const DeviceBus *const fake_buses[] = { &fake_bus, NULL };
static const DeviceHost fake_host = { .classes = fake_classes, .buses = fake_buses,
                                      .backends = fake_kinds };

/* The two ends of a line. */
static void fake_chardevs_init(System *s)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    s->chardevs = g_ptr_array_new();
    for (size_t i = 0; i < G_N_ELEMENTS(chardevs); i++) {
        chardevs[i].chardev = chardev_new(&(ChardevConfig){ .fd = fds[i] }, NULL);
        g_ptr_array_add(s->chardevs, &chardevs[i]);
    }
}

static void fake_chardevs_done(System *s)
{
    for (size_t i = 0; i < G_N_ELEMENTS(chardevs); i++) {
        chardev_free(chardevs[i].chardev);
    }
    g_ptr_array_unref(s->chardevs);
}

static void fake_system_init(System *s)
{
    static const char *const devices[] = { "xen-net-device,id=vif0", "xen-net-device" };

    *s = (System){ .guest_name = (char *)"guest", .state = RUN_RUNNING };
    s->iothreads = g_ptr_array_new();
    s->netdevs = g_ptr_array_new();
    s->blockdevs = g_ptr_array_new_with_free_func(block_object_free);
    fake_chardevs_init(s);
    s->devices = device_registry_new(&fake_host, s);
    for (size_t i = 0; i < 2; i++) {
        g_autoptr(OptDict) args = opt_dict_parse(devices[i], "driver", NULL);

        g_ptr_array_add(s->netdevs, &netdevs[i]);
        g_assert_nonnull(device_add(s->devices, args, NULL));
    }
    s->qmp = qmp_new("0");
    qmp_state_register(s);
    qmp_objects_register(s);
    qmp_chardev_register(s);
    qmp_net_register(s);
    qmp_block_register(s);
    qmp_query_block_register(s);
    qmp_query_blockstats_register(s);
    qmp_devices_register(s);
    qmp_query_devices_register(s);
    qmp_device_events_register(s);
    qmp_vif_register(s);
    qmp_qom_register(s);
    qmp_machine_register(s);
}

static void fake_system_done(System *s)
{
    qmp_free(s->qmp);
    g_ptr_array_unref(s->iothreads);
    g_ptr_array_unref(s->netdevs);
    g_ptr_array_unref(s->blockdevs);
    fake_chardevs_done(s);
    device_registry_free(s->devices);
}

static void check_line(void *opaque, const char *data, size_t len)
{
    unsigned *n_lines = opaque;
    struct json_tokener *tok = json_tokener_new_ex(JSON_MAX_DEPTH + 2);
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
    qmp_session_begin_piece(s);
    while (len > 0) {
        size_t used = qmp_session_feed(s, data, len);

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
    System system;
    QmpSession *s;
    unsigned n_lines = 0;
    unsigned before;
    size_t piece;

    if (size < 1 || size > 65536) {
        return 0;
    }
    piece = data[0] ? data[0] : size;
    fake_system_init(&system);
    s = qmp_session_new(qmp_monitor_new(system.qmp, "m", NULL), check_line, &n_lines);
    g_assert_cmpuint(n_lines, ==, 1);
    for (size_t at = 1; at < size; at += piece) {
        feed(s, (const char *)data + at, MIN(piece, size - at));
    }
    before = n_lines;
    feed(s, sync, sizeof(sync) - 1);
    g_assert_cmpuint(n_lines, >=, before + 2); /* 0xff is an error, and may end a number */
    g_assert_cmpuint(n_lines, <=, before + 3);
    qmp_session_free(s);
    fake_system_done(&system);
    return 0;
}
