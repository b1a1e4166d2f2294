/*
 * A tap that goes from one process to another of the same machine, with all that it is: the other
 * one gets copies of the descriptors, so no packet that waits in a queue is lost, and nobody who
 * has to do with the interface notices. A queue belongs to the interface as long as anybody has its
 * descriptor, so nothing of it may be changed by the one who gave it.
 *
 * The descriptors of /dev/vhost-net do not go along: each belongs to the memory of one process, and
 * one whose process dies as its owner would be of no use to the other one. There a new one is had.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/netdev-impl.h"
#include "util/container-of.h"
#include "util/log.h"

#define VERSION 1u /* of the state: what a reader of today cannot read makes it 2 */

typedef enum TapStateBit {
    STATE_VNET_HDR = 1 << 0,
    STATE_PERSIST = 1 << 1,
    STATE_SNDBUF = 1 << 2,
    STATE_CARRIER_OFF = 1 << 3,
    STATE_OFFLOAD = 1 << 4,
    STATE_NIC_CARRIER = 1 << 5,
    STATE_GIVEN = 1 << 6,
    STATE_ALL = (1 << 7) - 1,
} TapStateBit;

/* Of tun_offload; some are younger than our headers: TUN_F_USO4 and TUN_F_USO6. */
#define TUN_OFFLOADS \
    (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO | 0x20u | 0x40u)
#define NETDEV_OFFLOADS \
    (NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_TSO_ECN | NETDEV_UFO | \
     NETDEV_USO)

#define ANY_MTU 65535u /* until it is known */

static TapQueue *queue_of(Netdev *nd, unsigned i)
{
    return container_of(nd->queue[i], TapQueue, q);
}

/* --- the one that has it --- */

void tap_give(Netdev *nd, GByteArray *out, int *ret_fds)
{
    const Tap *tap = container_of(nd, Tap, nd);
    unsigned bits = 0;

    bits |= nd->has_vnet_hdr ? STATE_VNET_HDR : 0u;
    bits |= tap->persist ? STATE_PERSIST : 0u;
    bits |= tap->has_sndbuf ? STATE_SNDBUF : 0u;
    bits |= tap->carrier_off ? STATE_CARRIER_OFF : 0u;
    bits |= tap->has_offload ? STATE_OFFLOAD : 0u;
    bits |= nd->nic_carrier ? STATE_NIC_CARRIER : 0u;
    bits |= tap->given ? STATE_GIVEN : 0u;
    state_put(out, VERSION, 1);
    state_put(out, bits, 4);
    state_put(out, nd->n_queues, 2);
    state_put(out, nd->n_active, 2);
    state_put(out, nd->host_offload, 4);
    state_put(out, tap->tun_offload, 4);
    state_put(out, tap->sndbuf, 8);
    for (unsigned i = 0; i < nd->n_queues; i++) {
        ret_fds[i] = nd->queue[i]->fd;
    }
}

/* One that is so already says EINVAL. */
static void set_queue(const TapQueue *tq, bool attach)
{
    struct ifreq ifr = { .ifr_flags = attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

    if (tq->attached == attach) {
        (void)ioctl(tq->q.fd, TUNSETQUEUE, &ifr);
    }
}

/* The other process may have got as far as to change something of it. */
void tap_take_back(Netdev *nd)
{
    g_autoptr(GError) error = NULL;
    Tap *tap = container_of(nd, Tap, nd);

    if (tap->place == TAP_GONE) {
        return;
    }
    for (unsigned i = 0; i < nd->n_queues && tap->multi_queue; i++) {
        set_queue(queue_of(nd, i), true);
    }
    for (unsigned i = nd->n_queues; i > 0 && tap->multi_queue; i--) {
        set_queue(queue_of(nd, i - 1), false);
    }
    if (tap->persist) {
        (void)ioctl(nd->queue[0]->fd, TUNSETPERSIST, 1ul);
    }
    tap->has_offload = false;
    if (!tap_ops.set_offload(nd, tap->offload, &error)) {
        warn_report("netdev %s: %s", nd->id, error->message);
    }
    netdev_set_carrier(nd, nd->nic_carrier);
}

/* --- the one that gets it --- */

/*
 * Something that can be waited for and tells nothing has the numbers of the descriptors to come;
 * it is no tap, so what is asked of it fails, as where the interface is gone.
 */
static bool add_places(Netdev *nd, GError **error)
{
    for (unsigned i = 0; i < nd->n_queues; i++) {
        nd->queue[i]->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (nd->queue[i]->fd < 0) {
            return tap_fail(error, errno, "%s: no descriptor for queue %u", nd->id, i);
        }
    }
    return true;
}

Tap *tap_new_awaited(const TapConfig *config, unsigned n_queues, GError **error)
{
    Tap *tap = tap_alloc(config->id, n_queues);
    g_autoptr(Netdev) nd = &tap->nd;

    nd->awaited = true;
    nd->has_vnet_hdr = config->vnet_hdr != ON_OFF_AUTO_OFF;
    nd->mtu = ANY_MTU;
    tap->place = TAP_GONE;
    tap_set_scripts(tap, config);
    if (!add_places(nd, error) || (!nd->has_vnet_hdr && !netdev_add_scratch(nd, error))) {
        return NULL;
    }
    g_steal_pointer(&nd);
    return tap;
}

static bool adopt_queues(Tap *tap, const int *fds, GError **error)
{
    Netdev *nd = &tap->nd;

    for (unsigned i = 0; i < nd->n_queues; i++) {
        unsigned flags;

        if (!tap_adopt_queue(tap, i, fds[i], &flags, error)) {
            return false;
        }
        queue_of(nd, i)->attached = !(flags & IFF_DETACH_QUEUE);
    }
    return true;
}

/* What the sender knew of its kernel is believed, as it is ours; what makes no sense is not. */
static bool read_state(Tap *tap, StateReader *in, GError **error)
{
    Netdev *nd = &tap->nd;
    unsigned version = (unsigned)state_get(in, 1);
    unsigned bits = (unsigned)state_get(in, 4);
    unsigned n_queues = (unsigned)state_get(in, 2);

    nd->n_active = (unsigned)state_get(in, 2);
    nd->host_offload = (unsigned)state_get(in, 4);
    tap->tun_offload = (unsigned)state_get(in, 4);
    tap->sndbuf = state_get(in, 8);
    tap->persist = bits & STATE_PERSIST;
    tap->has_sndbuf = bits & STATE_SNDBUF;
    tap->carrier_off = bits & STATE_CARRIER_OFF;
    tap->has_offload = bits & STATE_OFFLOAD;
    tap->given = bits & STATE_GIVEN;
    nd->nic_carrier = bits & STATE_NIC_CARRIER;
    if (version != VERSION) {
        return tap_fail(error, 0, "netdev '%s': version %u of its state is not known", nd->id,
                        version);
    }
    if (!state_is_whole(in) || n_queues != nd->n_queues || nd->n_active < 1 ||
        nd->n_active > n_queues || (bits & ~(unsigned)STATE_ALL)) {
        return tap_fail(error, 0, "netdev '%s': its state is not one of a tap with %u queues",
                        nd->id, nd->n_queues);
    }
    if ((nd->host_offload & ~(unsigned)NETDEV_OFFLOADS) || (tap->tun_offload & ~TUN_OFFLOADS)) {
        return tap_fail(error, 0, "netdev '%s': offloads 0x%x, 0x%x are not known", nd->id,
                        nd->host_offload, tap->tun_offload);
    }
    if (!!(bits & STATE_VNET_HDR) != nd->has_vnet_hdr) {
        return tap_fail(error, 0, "netdev '%s': it came with vnet_hdr=%s, and its descriptors have "
                        "it %s", nd->id, nd->has_vnet_hdr ? "off" : "on",
                        nd->has_vnet_hdr ? "on" : "off");
    }
    return true;
}

static bool check_header(const Netdev *nd, GError **error)
{
    int len = 0;

    if (nd->has_vnet_hdr && ioctl(nd->queue[0]->fd, TUNGETVNETHDRSZ, &len) < 0) {
        return tap_fail(error, errno, "TUNGETVNETHDRSZ ioctl failed");
    }
    return !nd->has_vnet_hdr || len == PKT_HDR_LEN ||
           tap_fail(error, 0, "netdev '%s': a vnet header of %d bytes", nd->id, len);
}

Netdev *tap_receive(Netdev *nd, StateReader *in, const int *fds, unsigned n_fds, GError **error)
{
    Tap *tap = tap_alloc(nd->id, n_fds);
    g_autoptr(Netdev) fresh = &tap->nd;

    fresh->given_away = true; /* its giver's still, should it be freed */
    fresh->inherited = true;
    tap->script_ran = true;
    if (!adopt_queues(tap, fds, error)) {
        for (unsigned i = 0; i < n_fds; i++) {
            if (fresh->queue[i]->fd < 0) {
                close(fds[i]);
            }
        }
        return NULL;
    }
    if (!read_state(tap, in, error) || !check_header(fresh, error)) {
        return NULL;
    }
    return g_steal_pointer(&fresh);
}
