/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-device.h"

#include <string.h>

#include "hw/core/vq-mapping.h"
#include "util/vq-mapping.h"

#define OFF(m) offsetof(FakeConfig, m)

static const OptMember members[] = {
    { "id", OPT_STR, OFF(id) },
    { "store", OPT_STR, OFF(store) },
    { "guest", OPT_INT32, OFF(guest), .def = "-1" },
    { "idx", OPT_INT32, OFF(idx), .def = "-1" },
    { "iothread", OPT_STR, OFF(iothread) },
    { "iothread-vq-mapping", OPT_LIST, OFF(vq_mapping), .item = &vq_mapping_item },
    { NULL },
};
static const OptTable fake_options = { "fake", sizeof(FakeConfig), members };
static const OptTable plain_options = { "plain", sizeof(FakeConfig), members };
static const OptTable other_options = { "other", sizeof(FakeConfig), members };
static const OptTable placed_options = { "placed", sizeof(FakeConfig), members };
static const OptTable loose_options = { "loose", sizeof(FakeConfig), members };

static const Counter counters[] = {
    { "requests", "requests", "answered", 0 },
    { "bytes", "bytes", "of these", sizeof(uint64_t) },
    { NULL },
};
static const CounterGroup groups[] = {
    { "in", offsetof(FakeStats, in), counters },
    { "out", offsetof(FakeStats, out), counters },
    { NULL },
};

static void called(FakeHost *h, const char *what, const char *id)
{
    g_string_append_printf(h->calls, "%s%s%s;", what, id ? " " : "", id ? id : "");
}

/* A bus is the host itself. */
static bool fake_identify(Device *d, GError **error)
{
    const FakeConfig *config = d->config;

    d->guest = config->guest;
    d->idx = config->idx;
    return true;
}

static bool fake_realize(Device *d, GError **error)
{
    const FakeConfig *config = d->config;
    FakeHost *h = d->bus;
    FakeImpl *impl;

    called(h, "realize", d->id);
    if (h->refuse) {
        return device_set_error(error, "refused");
    }
    impl = g_new0(FakeImpl, 1);
    if (!vq_mapping_resolve(d, FAKE_QUEUES, config->iothread, config->vq_mapping, impl->threads,
                            error)) {
        g_free(impl);
        return false;
    }
    d->impl = impl;
    return true;
}

static void fake_start(Device *d)
{
    called(d->bus, "start", d->id);
}

static void fake_close(Device *d, unsigned timeout_ms)
{
    called(d->bus, "close", d->id);
}

static void fake_drain(Device *d)
{
    FakeHost *h = d->bus;

    called(h, "drain", d->id);
    if (!h->drains_later) {
        device_drained(d);
    }
}

static void fake_resume(Device *d)
{
    called(d->bus, "resume", d->id);
}

static bool fake_save(Device *d, GByteArray *out, GError **error)
{
    g_byte_array_append(out, (const guint8 *)d->id, (guint)strlen(d->id));
    return true;
}

static bool fake_load(Device *d, const uint8_t *data, size_t len, GError **error)
{
    return len == strlen(d->id) && memcmp(data, d->id, len) == 0
               ? true
               : device_set_error(error, "not the state of '%s'", d->id);
}

static void fake_unrealize(Device *d)
{
    FakeImpl *impl = d->impl;

    called(d->bus, "unrealize", d->id);
    g_free(impl->error);
    g_free(impl);
}

static void fake_info(Device *d, DeviceInfo *ret_info)
{
    const FakeImpl *impl = d->impl;

    ret_info->state = impl->n_queues > 0 ? "connected" : "waiting";
    ret_info->error = impl->error;
    ret_info->n_queues = impl->n_queues;
    ret_info->max_queues = FAKE_QUEUES;
    ret_info->stats = impl->stats;
}

static const DeviceClass fake_class = {
    .options = &fake_options,
    .bus = "first",
    .id_offset = OFF(id),
    .backends = { { "store", OFF(store) } },
    .queue_stats_size = sizeof(FakeStats),
    .counters = groups,
    .identify = fake_identify,
    .realize = fake_realize,
    .start = fake_start,
    .close = fake_close,
    .drain = fake_drain,
    .resume = fake_resume,
    .save = fake_save,
    .load = fake_load,
    .unrealize = fake_unrealize,
    .info = fake_info,
};
static const DeviceClass plain_class = {
    .options = &plain_options,
    .bus = "first",
    .id_offset = OFF(id),
    .realize = fake_realize,
    .start = fake_start,
    .close = fake_close,
    .unrealize = fake_unrealize,
    .info = fake_info,
};
static const DeviceClass other_class = {
    .options = &other_options,
    .bus = "second",
    .id_offset = OFF(id),
    .identify = fake_identify,
    .realize = fake_realize,
    .start = fake_start,
    .close = fake_close,
    .unrealize = fake_unrealize,
    .info = fake_info,
};

static const DeviceClass placed_class = {
    .options = &placed_options,
    .bus = "row",
    .id_offset = OFF(id),
    .realize = fake_realize,
    .start = fake_start,
    .close = fake_close,
    .unrealize = fake_unrealize,
    .info = fake_info,
};

static bool loose_realize(Device *d, GError **error)
{
    g_assert_null(d->bus);
    d->impl = d;
    return true;
}

static void loose_unrealize(Device *d)
{
}

static void loose_info(Device *d, DeviceInfo *ret_info)
{
    ret_info->state = "waiting";
}

static const DeviceClass loose_class = {
    .options = &loose_options,
    .id_offset = OFF(id),
    .realize = loose_realize,
    .unrealize = loose_unrealize,
    .info = loose_info,
};

static void *first_get(void *opaque)
{
    FakeHost *h = opaque;

    return h->bus_is_there ? h : NULL;
}

static void *second_get(void *opaque)
{
    return opaque;
}

static void *store_find(void *opaque, const char *id)
{
    FakeHost *h = opaque;

    for (size_t i = 0; i < G_N_ELEMENTS(h->stores); i++) {
        if (g_str_equal(h->stores[i].id, id)) {
            return &h->stores[i];
        }
    }
    return NULL;
}

static bool store_claim(void *opaque, void *backend)
{
    FakeStore *s = backend;

    return s->users == 0 && ++s->users;
}

static void store_release(void *opaque, void *backend)
{
    FakeStore *s = backend;

    g_assert_cmpuint(s->users, ==, 1);
    s->users--;
}

static IoThread *thread_find(void *opaque, const char *id)
{
    FakeHost *h = opaque;

    return g_str_equal(id, "io0") ? h->threads[0] : g_str_equal(id, "io1") ? h->threads[1] : NULL;
}

static void thread_claim(void *opaque, IoThread *thread)
{
    FakeHost *h = opaque;

    h->thread_users[thread == h->threads[1]]++;
}

static void thread_release(void *opaque, IoThread *thread)
{
    FakeHost *h = opaque;
    unsigned *users = &h->thread_users[thread == h->threads[1]];

    g_assert_cmpuint(*users, >, 0);
    (*users)--;
}

static void host_log(void *opaque, Device *d, const DeviceEvent *e)
{
    ((FakeHost *)opaque)->logged++;
}

static void host_event(void *opaque, Device *d, const DeviceEvent *e)
{
    FakeHost *h = opaque;

    switch (e->kind) {
    case DEVICE_CONNECTED:
        g_string_append_printf(h->events, "%s connected %u;", d->id, e->queues);
        break;
    case DEVICE_DISCONNECTED:
        g_string_append_printf(h->events, "%s disconnected;", d->id);
        break;
    case DEVICE_FAILED:
        g_string_append_printf(h->events, "%s failed %s;", d->id, e->reason);
        break;
    case DEVICE_CHANGED:
        g_string_append_printf(h->events, "%s changed;", d->id);
        break;
    case DEVICE_WARNED:
    case DEVICE_GONE:
        g_assert_not_reached(); /* are logged only */
    }
}

static void host_drained(void *opaque)
{
    called(opaque, "drained", NULL);
}

static void host_removed(void *opaque, const char *id)
{
    called(opaque, "removed", id);
}

void fake_host_up(FakeHost *h)
{
    static const DeviceBus first = { "first", "first.0", first_get };
    static const DeviceBus second = { "second", "second.0", second_get };
    static const DeviceBus row = {
        .type = "row", .instance = "row-bus", .get = second_get, .kind = "row-bus", .n_slots = 3,
        .fixed = true,
    };
    static const DeviceBackendKind store = { "store", store_find, store_claim, store_release };
    static const DeviceClass *const classes[] = { &fake_class, &plain_class, &other_class,
                                                  &loose_class, &placed_class, NULL };
    static const DeviceBus *const buses[] = { &first, &second, &row, NULL };
    static const DeviceBackendKind *const backends[] = { &store, NULL };
    static const DeviceHost host = {
        .classes = classes,
        .buses = buses,
        .backends = backends,
        .find_thread = thread_find,
        .claim_thread = thread_claim,
        .release_thread = thread_release,
        .log = host_log,
        .event = host_event,
        .drained = host_drained,
        .removed = host_removed,
    };

    *h = (FakeHost){ .bus_is_there = true, .stores = { { "s0" }, { "s1" }, { "s2" } } };
    h->calls = g_string_new(NULL);
    h->events = g_string_new(NULL);
    for (unsigned i = 0; i < 2; i++) {
        h->threads[i] = io_thread_new("fake", NULL);
        g_assert_nonnull(h->threads[i]);
    }
    h->registry = device_registry_new(&host, h);
}

void fake_host_down(FakeHost *h)
{
    device_registry_free(h->registry);
    for (size_t i = 0; i < G_N_ELEMENTS(h->stores); i++) {
        g_assert_cmpuint(h->stores[i].users, ==, 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpuint(h->thread_users[i], ==, 0);
        io_thread_free(h->threads[i]);
    }
    g_string_free(h->calls, TRUE);
    g_string_free(h->events, TRUE);
}

Device *fake_add(FakeHost *h, const char *text, char **ret_error)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OptDict) args = opt_dict_parse(text, "driver", &error);
    Device *d;

    g_assert_no_error(error);
    d = device_add(h->registry, args, &error);
    if (ret_error) {
        *ret_error = error ? g_strdup(error->message) : NULL;
    } else {
        g_assert_no_error(error);
    }
    g_assert_true((d != NULL) != (error != NULL));
    return d;
}

void fake_expect_calls(FakeHost *h, const char *calls)
{
    g_assert_cmpstr(h->calls->str, ==, calls);
    g_string_truncate(h->calls, 0);
}
