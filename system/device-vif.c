/*
 * -device xen-net-device: netback as a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "device.h"

#include "hw/net/xen-netback.h"
#include "vq-mapping.h"

static void vif_event(void *opaque, XenbusEvent event, const char *detail)
{
    Device *d = opaque;
    NetbackInfo info;

    switch (event) {
    case XENBUS_CONNECTED:
        netback_info(d->impl, &info);
        device_connected(d, info.n_queues);
        break;
    case XENBUS_DISCONNECTED:
        device_disconnected(d);
        break;
    case XENBUS_ERROR:
        device_failed(d, detail);
        break;
    case XENBUS_GONE:
        info_report("%s: the guest or its toolstack took the device away", d->id);
        device_gone(d);
        break;
    case XENBUS_CLOSED:
        device_gone(d);
        break;
    }
}

/* The same vif twice would be two backends in one directory. */
static bool vif_check_idx(Device *d, int32_t idx, GError **error)
{
    for (guint i = 0; idx >= 0 && i < d->s->devices->len; i++) {
        const Device *o = d->s->devices->pdata[i];
        NetbackInfo info;

        if (o == d || o->type != &device_vif || !o->impl) {
            continue;
        }
        netback_info(o->impl, &info);
        if (info.idx == (unsigned)idx) {
            system_set_error(error, "idx %u is in use by device '%s'", info.idx, o->id);
            return false;
        }
    }
    return true;
}

static void *vif_create(Device *d, GError **error)
{
    const NetbackConfig *config = d->config;
    IoThread *threads[NETIF_MAX_QUEUES] = { NULL };
    NetbackEnv env = {
        .xen = d->s->xen,
        .store = d->s->store,
        .frontend_id = (uint16_t)d->s->xen_domid,
        .peer = d->peer,
        .event = vif_event,
        .opaque = d,
    };

    if (d->s->xen_domid < 0) {
        system_set_error(error, "-xen-domid is needed: whose device is it?");
        return NULL;
    }
    if (!vif_check_idx(d, config->idx, error)) {
        return NULL;
    }
    if (!vq_mapping_resolve(d, config->iothread, config->vq_mapping, threads, error)) {
        return NULL;
    }
    if (threads[0]) {
        env.threads = threads;
        env.n_threads = vq_mapping_queues(d);
    }
    return netback_new(config, &env, error);
}

static void vif_start(void *impl)
{
    netback_start(impl);
}

static void vif_pause(void *impl, bool paused)
{
    netback_pause(impl, paused);
}

static void vif_close(void *impl, unsigned timeout_ms)
{
    netback_close(impl, timeout_ms);
}

static void vif_free(void *impl)
{
    netback_free(impl);
}

static void vif_visit(Device *d, VifInfoFn *fn, void *ctx)
{
    NetbackInfo info;
    VifInfo vif;

    netback_info(d->impl, &info);
    vif = (VifInfo){
        .id = d->id,
        .type = d->type->options->name,
        .mac = info.mac,
        .idx = info.idx,
        .frontend_id = info.frontend_id,
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

const DeviceType device_vif = {
    .options = &netback_options,
    .desc = "backend of a vif of the domain that -xen-domid names",
    .id_offset = offsetof(NetbackConfig, id),
    .netdev_offset = offsetof(NetbackConfig, netdev),
    .create = vif_create,
    .start = vif_start,
    .pause = vif_pause,
    .close = vif_close,
    .free = vif_free,
    .visit = vif_visit,
};
