/*
 * -device vhost-user-net: virtio-net, the back end of vhost-user around it, and the socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-net.h"

#include "hw/net/classes.h"
#include "hw/net/nic.h"
#include "hw/virtio/vhost-user.h"
#include "nic-counters.h"
#include "util/chardev.h"
#include "virtio-net-device.h"

typedef struct VhostUserNet {
    Device *d;
    Chardev *chardev;
    VirtioNet *net;
    VhostUser *vhost;
    unsigned running;  /* rings */
    guint settle_tag;  /* they run, and nobody was told yet */
    bool told;         /* that they do */
    char *error;       /* of the last connection */
} VhostUserNet;

/* A VMM starts rings one by one: so long after the last it is told how many there are. */
#define SETTLE_MS 50

/* --- what happens --- */

static void vu_net_connected(void *opaque, int fd)
{
    VhostUserNet *n = opaque;

    vhost_user_serve(n->vhost, fd);
}

static unsigned vu_net_pairs(const VhostUserNet *n)
{
    return (n->running + 1) / 2;
}

static gboolean vu_net_settled(gpointer opaque)
{
    VhostUserNet *n = opaque;

    n->settle_tag = 0;
    n->told = true;
    device_connected(n->d, vu_net_pairs(n));
    return G_SOURCE_REMOVE;
}

static void vu_net_rings(void *opaque, unsigned running)
{
    VhostUserNet *n = opaque;

    n->running = running;
    g_clear_handle_id(&n->settle_tag, g_source_remove);
    if (running > 0 && !n->told) {
        n->settle_tag = g_timeout_add(SETTLE_MS, vu_net_settled, n);
    } else if (running == 0 && n->told) {
        n->told = false;
        device_disconnected(n->d);
    }
}

static void vu_net_fail(VhostUserNet *n, const char *reason)
{
    g_free(n->error);
    n->error = g_strdup(reason);
    device_failed(n->d, reason);
}

static void vu_net_ended(void *opaque, const char *reason)
{
    VhostUserNet *n = opaque;

    if (reason) {
        vu_net_fail(n, reason);
    }
    chardev_disconnected(n->chardev);
}

static void vu_net_warned(void *opaque, const char *text)
{
    VhostUserNet *n = opaque;

    device_warned(n->d, text);
}

static const VhostUserEvents vu_net_events = {
    .rings = vu_net_rings,
    .ended = vu_net_ended,
    .warned = vu_net_warned,
};

static void vu_net_peer_failed(void *opaque, const char *reason)
{
    VhostUserNet *n = opaque;

    vu_net_fail(n, reason);
}

/* --- as a device --- */

static void vu_net_unrealize(Device *d)
{
    VhostUserNet *n = d->impl;

    if (n) {
        chardev_set_handler(n->chardev, NULL, NULL);
        vhost_user_free(n->vhost);
        g_clear_handle_id(&n->settle_tag, g_source_remove);
        virtio_net_free(n->net);
        g_free(n->error);
        g_free(n);
    }
    d->impl = NULL;
}

static bool vu_net_realize(Device *d, GError **error)
{
    const VhostUserNetConfig *config = d->config;
    VirtioNetConfig net = config->net;
    VhostUserNet *n = g_new0(VhostUserNet, 1);

    n->d = d;
    n->chardev = device_backend(d, "chardev");
    d->impl = n;
    net.mac = config->mac;
    n->net = virtio_net_device_new(d, &net, &(VirtioNetDeviceArgs){
        config->iothread, config->vq_mapping, .failed = vu_net_peer_failed, .opaque = n,
    }, error);
    if (!n->net) {
        vu_net_unrealize(d);
        return false;
    }
    n->vhost = vhost_user_new(virtio_net_device(n->net), &vu_net_events, n);
    return true;
}

static void vu_net_start(Device *d)
{
    VhostUserNet *n = d->impl;

    chardev_set_handler(n->chardev, vu_net_connected, n);
}

/* Nothing of vhost-user asks a guest to agree. */
static void vu_net_close(Device *d, unsigned timeout_ms)
{
    VhostUserNet *n = d->impl;

    chardev_set_handler(n->chardev, NULL, NULL);
    if (vhost_user_is_connected(n->vhost)) {
        vhost_user_disconnect(n->vhost, NULL);
    }
    device_gone(d, NULL);
}

static void vu_net_drain(Device *d)
{
    VhostUserNet *n = d->impl;

    virtio_net_device_drain(d, n->net);
}

static void vu_net_resume(Device *d)
{
    VhostUserNet *n = d->impl;

    virtio_net_pause(n->net, false);
}

static void vu_net_info(Device *d, DeviceInfo *ret_info)
{
    VhostUserNet *n = d->impl;

    virtio_net_device_info(n->net, n->error, ret_info);
    ret_info->state = n->running > 0                       ? "connected"
                      : vhost_user_is_connected(n->vhost) ? "initialised"
                                                          : "init-wait";
}

static void vu_net_announce(Device *d)
{
    VhostUserNet *n = d->impl;

    virtio_net_announce_now(n->net);
}

static const NicOps vu_net_nic = {
    .announce = vu_net_announce,
};

const DeviceClass vhost_user_net_class = {
    .options = &vhost_user_net_options,
    .desc = "virtio-net for the VMM at the other end of a socket",
    .category = "Network",
    .id_offset = offsetof(VhostUserNetConfig, id),
    .backends = { { "netdev", offsetof(VhostUserNetConfig, netdev) },
                  { "chardev", offsetof(VhostUserNetConfig, chardev) } },
    .queue_stats_size = sizeof(NicQueueStats),
    .counters = nic_counters,
    .nic = &vu_net_nic,
    .realize = vu_net_realize,
    .start = vu_net_start,
    .close = vu_net_close,
    .drain = vu_net_drain,
    .resume = vu_net_resume,
    .unrealize = vu_net_unrealize,
    .info = vu_net_info,
};
