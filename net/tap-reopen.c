/*
 * A tap whose interface is gone, and another one in its place: the NIC that has the netdev
 * keeps it, and its guest notices no more than a link that was down.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/container-of.h"
#include "util/log.h"

#define SWAP(a, b)                 \
    do {                           \
        typeof(a) swap_ = (a);     \
                                   \
        (a) = (b);                 \
        (b) = swap_;               \
    } while (0)

/* The numbers stay, and so what queues' threads know; what they wait for is another file. */
static bool take_descriptors(Netdev *nd, const Netdev *from, GError **error)
{
    for (unsigned i = 0; i < nd->n_queues; i++) {
        if (dup3(from->queue[i]->fd, nd->queue[i]->fd, O_CLOEXEC) < 0) {
            return tap_fail(error, errno, "could not take over queue %u of %s", i, from->ifname);
        }
        container_of(nd->queue[i], TapQueue, q)->attached =
            container_of(from->queue[i], TapQueue, q)->attached;
    }
    return true;
}

/* A ring of bursts does not notice where such a limit ends one: see tap_set_send_buffer(). */
static bool check_sndbuf(const Netdev *nd, const Netdev *from, GError **error)
{
    int sndbuf = INT_MAX;

    if (ioctl(from->queue[0]->fd, TUNGETSNDBUF, &sndbuf) == 0 && sndbuf != INT_MAX) {
        for (unsigned i = 0; i < nd->n_queues; i++) {
            if (container_of(nd->queue[i], TapQueue, q)->ring) {
                return tap_fail(error, 0, "%s has a sndbuf, and netdev '%s' is in use without",
                                from->ifname, nd->id);
            }
        }
    }
    return true;
}

/* What was set up is ours to take down, by our own script if another process set it up. */
static void take_scripts(Tap *tap, Tap *new)
{
    if (!new->nd.inherited) {
        SWAP(tap->script, new->script);
        SWAP(tap->downscript, new->downscript);
    }
    tap->script_ran = new->script_ran;
    new->script_ran = false;
}

/* It is in use, and goes on as it is: whoever gave it had told it what our NIC would. */
static void take_inherited(Tap *tap, const Tap *new)
{
    Netdev *nd = &tap->nd;

    nd->awaited = false;
    nd->inherited = new->nd.inherited;
    if (nd->inherited) {
        nd->movable = true;
        nd->n_active = new->nd.n_active;
        nd->nic_carrier = new->nd.nic_carrier;
        tap->carrier_off = new->carrier_off;
    }
}

bool tap_take(Netdev *nd, Netdev *from, GError **error)
{
    Tap *tap = container_of(nd, Tap, nd);
    Tap *new = container_of(from, Tap, nd);
    unsigned offload = tap->offload;

    if (!check_sndbuf(nd, from, error)) {
        return false;
    }
    tap_unfollow(tap);
    tap_unfollow(new);
    if (!take_descriptors(nd, from, error)) {
        return false;
    }
    SWAP(nd->ifname, from->ifname);
    take_scripts(tap, new);
    tap->multi_queue = new->multi_queue;
    tap->persist = new->persist;
    new->persist = false;
    tap->given = new->given;
    tap->has_sndbuf = new->has_sndbuf;
    tap->sndbuf = new->sndbuf;
    g_clear_pointer(&tap->reopen_error, g_free);
    tap->has_offload = new->has_offload;
    tap->tun_offload = new->tun_offload;
    take_inherited(tap, new);
    g_clear_pointer(&nd->error, g_free);
    if (!tap_follow(tap, error) || !tap_ops.set_offload(nd, offload, error) ||
        !tap_ops.set_active(nd, nd->n_active, error)) {
        return false;
    }
    netdev_set_carrier(nd, nd->nic_carrier);
    return true;
}

static void script_again_done(void *opaque, const GError *error)
{
    Tap *tap = opaque;

    tap->again = NULL;
    if (error) {
        warn_report("netdev %s: %s", tap->nd.id, error->message);
    }
}

/* The interface is another one, and has to be set up as the first was. */
static void start_script_again(Tap *tap)
{
    g_autoptr(GError) error = NULL;

    if (tap->again) {
        tap_script_cancel(g_steal_pointer(&tap->again));
    }
    if (tap_script(&tap->nd, true)) {
        tap->again = tap_script_start(&tap->nd, true, script_again_done, tap, &error);
        if (!tap->again) {
            script_again_done(tap, error);
        }
    }
}

bool tap_reopen(Tap *tap, GError **error)
{
    Netdev *nd = &tap->nd;
    const TapConfig config = {
        .id = nd->id,
        .ifname = nd->ifname,
        .script = tap->script ? tap->script : (char *)"no",
        .downscript = tap->downscript ? tap->downscript : (char *)"no",
        .vnet_hdr = nd->has_vnet_hdr ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF,
        .sndbuf = tap->sndbuf,
        .has_sndbuf = tap->has_sndbuf,
        .queues = nd->n_queues,
        .has_queues = true,
        .persist = tap->persist,
        .script_timeout_ms = (unsigned)tap->script_timeout_ms,
    };
    Netdev *fresh = tap_new(&config, NULL, NULL, error);

    if (!fresh || !netdev_replace(nd, fresh, error)) {
        return false;
    }
    start_script_again(tap);
    return true;
}
