/*
 * A toy is wound up (toy-wind), and runs down on its springs, one queue each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "toy.h"

#include <string.h>
#include <unistd.h>

#include "system.h"

typedef struct ToyConfig {
    char *id;
    char *spring;
    uint32_t speed;
} ToyConfig;

typedef struct ToyStats {
    struct {
        uint64_t turns;
        uint64_t stalls;
    } wound, run;
} ToyStats;

typedef struct Toy {
    ToyStats stats;
    unsigned speed;
    bool running;
    uint32_t kept;   /* turns that it was given while it was stopped */
    char *error;
} Toy;

typedef struct Spring {
    const char *id;
    bool used;
} Spring;

static const OptMember toy_members[] = {
    { "id", OPT_STR, offsetof(ToyConfig, id), .help = "name of the device" },
    { "spring", OPT_STR, offsetof(ToyConfig, spring), .required = true,
      .help = "ID of the spring: spring0 or spring1" },
    { "speed", OPT_UINT32, offsetof(ToyConfig, speed), .def = "1",
      .help = "turns of the wheels for one of the key" },
    { 0 },
};
static const OptTable toy_options = { "toy", sizeof(ToyConfig), toy_members };

static const Counter toy_counters[] = {
    { "turns", "turns", "made", 0 },
    { "stalls", "stalls", "of turns that came to nothing", sizeof(uint64_t) },
    { NULL },
};
static const CounterGroup toy_groups[] = {
    { "wound", offsetof(ToyStats, wound), toy_counters },
    { "run", offsetof(ToyStats, run), toy_counters },
    { NULL },
};

/* --- the bus and the back end --- */

static void *toy_bus_get(void *opaque)
{
    static const char box[] = "box";

    return (void *)box;
}

const DeviceBus toy_bus = { "toybox", "toybox.0", toy_bus_get };

static void *spring_find(void *opaque, const char *id)
{
    static Spring springs[] = { { "spring0" }, { "spring1" } };

    for (size_t i = 0; i < G_N_ELEMENTS(springs); i++) {
        if (g_str_equal(springs[i].id, id)) {
            return &springs[i];
        }
    }
    return NULL;
}

static bool spring_claim(void *opaque, void *backend)
{
    Spring *s = backend;
    bool free = !s->used;

    s->used = true;
    return free;
}

static void spring_release(void *opaque, void *backend)
{
    ((Spring *)backend)->used = false;
}

const DeviceBackendKind toy_spring = { "spring", spring_find, spring_claim, spring_release };

/* --- life --- */

static bool toy_realize(Device *d, GError **error)
{
    const ToyConfig *config = d->config;
    Toy *toy;

    if (config->speed == 0) {
        return device_set_error(error, "speed must not be 0");
    }
    toy = g_new0(Toy, 1);
    toy->speed = config->speed;
    d->impl = toy;
    return true;
}

static void toy_turn(Toy *toy, uint32_t turns)
{
    counter_add(&toy->stats.wound.turns, turns);
    counter_add(&toy->stats.run.turns, (uint64_t)turns * toy->speed);
}

static void toy_resume(Device *d)
{
    Toy *toy = d->impl;

    toy_turn(toy, toy->kept);
    toy->kept = 0;
}

static void toy_start(Device *d)
{
    Toy *toy = d->impl;

    toy->running = true;
    device_connected(d, 1);
    toy_resume(d); /* where it was wound, before its state came here */
}

static void toy_close(Device *d, unsigned timeout_ms)
{
    Toy *toy = d->impl;

    if (toy->running) {
        toy->running = false;
        device_disconnected(d);
    }
    device_gone(d, NULL);
}

static void toy_drain(Device *d)
{
    device_drained(d); /* it never has something under way */
}

static bool toy_save(Device *d, GByteArray *out, GError **error)
{
    const Toy *toy = d->impl;

    g_byte_array_append(out, (const guint8 *)&toy->kept, sizeof(toy->kept));
    return true;
}

static bool toy_load(Device *d, const uint8_t *data, size_t len, GError **error)
{
    Toy *toy = d->impl;

    if (len != sizeof(toy->kept)) {
        return device_set_error(error, "a toy's state has %zu bytes", sizeof(toy->kept));
    }
    memcpy(&toy->kept, data, len);
    return true;
}

static void toy_unrealize(Device *d)
{
    Toy *toy = d->impl;

    g_free(toy->error);
    g_free(toy);
}

static void toy_info(Device *d, DeviceInfo *ret_info)
{
    const Toy *toy = d->impl;

    ret_info->state = d->drained ? "stopped" : toy->running ? "running" : "boxed";
    ret_info->error = toy->error;
    ret_info->n_queues = toy->running;
    ret_info->max_queues = 1;
    ret_info->stats = &toy->stats;
    ret_info->tid[0] = gettid();
}

const DeviceClass toy_class = {
    .options = &toy_options,
    .desc = "a toy that runs down",
    .category = "Toy",
    .bus = "toybox",
    .id_offset = offsetof(ToyConfig, id),
    .backends = { { "spring", offsetof(ToyConfig, spring) } },
    .queue_stats_size = sizeof(ToyStats),
    .counters = toy_groups,
    .realize = toy_realize,
    .start = toy_start,
    .close = toy_close,
    .drain = toy_drain,
    .resume = toy_resume,
    .save = toy_save,
    .load = toy_load,
    .unrealize = toy_unrealize,
    .info = toy_info,
};

/* --- QMP --- */

typedef struct WindArgs {
    char *id;
    uint32_t turns;
} WindArgs;

static const OptMember wind_members[] = {
    { "id", OPT_STR, offsetof(WindArgs, id), .required = true, .lookup = true },
    { "turns", OPT_UINT32, offsetof(WindArgs, turns), .required = true },
    { 0 },
};
static const OptTable wind_args = { "toy-wind", sizeof(WindArgs), wind_members };

typedef struct WindResult {
    bool running;
} WindResult;

static const OptMember result_members[] = {
    { "running", OPT_BOOL, offsetof(WindResult, running), .required = true },
    { 0 },
};
static const OptTable result_table = { "ToyWindResult", sizeof(WindResult), result_members };
static const OptMember wind_result = { .type = OPT_STRUCT, .table = &result_table };

/* 13 turns are too many: it breaks, and says so. */
static bool toy_wind(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    System *s = opaque;
    const WindArgs *wind = args;
    Device *d = device_find(s->devices, wind->id);
    WindResult *result;
    Toy *toy;

    if (!d || d->class != &toy_class) {
        return device_set_error(error, "'%s' is no toy", wind->id);
    }
    toy = d->impl;
    if (wind->turns == 13) {
        counter_add(&toy->stats.wound.stalls, 1);
        toy->running = false;
        g_free(toy->error);
        toy->error = g_strdup("the spring broke");
        device_disconnected(d);
        device_failed(d, toy->error);
    } else if (d->drained) {
        toy->kept += wind->turns;
    } else {
        toy_turn(toy, wind->turns);
    }
    result = g_new0(WindResult, 1);
    result->running = toy->running && !d->drained;
    *(WindResult **)ret = result;
    return true;
}

void toy_qmp_register(System *s)
{
    static const QmpCommand commands[] = {
        { "toy-wind", &wind_args, &wind_result, toy_wind },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
}
