/*
 * -device xen-netfront: netfront as a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "device.h"

#include "hw/net/xen-netfront.h"

static void front_event(void *opaque, XenbusEvent event, const char *detail)
{
    Device *d = opaque;
    NetfrontInfo info;

    switch (event) {
    case XENBUS_CONNECTED:
        netfront_info(d->impl, &info);
        device_connected(d, info.n_queues);
        break;
    case XENBUS_DISCONNECTED:
        device_disconnected(d);
        break;
    case XENBUS_ERROR:
        device_failed(d, detail);
        break;
    case XENBUS_GONE:
    case XENBUS_CLOSED:
        device_gone(d);
        break;
    }
}

/* Two would write to the same nodes. */
static bool front_idx_is_free(Device *d, GError **error)
{
    int32_t idx = ((const NetfrontConfig *)d->config)->idx;

    for (guint i = 0; i < d->s->devices->len; i++) {
        const Device *other = g_ptr_array_index(d->s->devices, i);

        if (other->type == &device_netfront &&
            ((const NetfrontConfig *)other->config)->idx == idx) {
            return system_set_error(error, "idx %d is in use by device '%s'", idx, other->id);
        }
    }
    return true;
}

static void *front_create(Device *d, GError **error)
{
    NetfrontEnv env = {
        .xen = d->s->xen,
        .store = d->s->store,
        .peer = d->peer,
        .event = front_event,
        .opaque = d,
    };

    if (!front_idx_is_free(d, error)) {
        return NULL;
    }
    return netfront_new(d->config, &env, error);
}

static void front_start(void *impl)
{
    netfront_start(impl);
}

static void front_pause(void *impl, bool paused)
{
    netfront_pause(impl, paused);
}

static void front_close(void *impl, unsigned timeout_ms)
{
    netfront_close(impl, timeout_ms);
}

static void front_free(void *impl)
{
    netfront_free(impl);
}

static void front_visit(Device *d, VifInfoFn *fn, void *ctx)
{
    NetfrontInfo info;
    VifInfo vif;

    netfront_info(d->impl, &info);
    vif = (VifInfo){
        .id = d->id,
        .type = d->type->options->name,
        .idx = info.idx,
        .frontend_id = -1,
        .state = info.state,
        .error = info.error,
        .max_queues = info.max_queues,
        .n_queues = info.n_queues,
        .stats = info.stats,
        .tids = info.tids,
        .peer = d->peer,
    };
    fn(ctx, &vif);
}

const DeviceType device_netfront = {
    .options = &netfront_options,
    .desc = "frontend of a vif, in a process that is a Xen guest",
    .id_offset = offsetof(NetfrontConfig, id),
    .netdev_offset = offsetof(NetfrontConfig, netdev),
    .create = front_create,
    .start = front_start,
    .pause = front_pause,
    .close = front_close,
    .free = front_free,
    .visit = front_visit,
};
