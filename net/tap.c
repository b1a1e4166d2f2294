/*
 * A tap at work: packets into it, and what a NIC tells it. Raw system calls, because glibc's
 * write() is a cancellation point, which costs 5 % of a small packet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net/netdev-impl.h"
#include "util/container-of.h"
#include "util/fd.h"
#include "util/log.h"

/* Linux 6.2; the headers that we are built with may be older. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static Tap *tap_of(Netdev *nd)
{
    return container_of(nd, Tap, nd);
}

/* So many pieces that they are not copied: a piece of the caller's is borrowed for the header. */
static long tap_write_long(const NetdevQueue *q, const Pkt *pkt)
{
    bool adjacent = (const uint8_t *)pkt->hdr + PKT_HDR_LEN == pkt->iov[0].iov_base;
    struct iovec *first = adjacent ? pkt->iov : pkt->iov - 1;
    struct iovec saved = *first;
    long r;

    *first = (struct iovec){ .iov_base = pkt->hdr,
                             .iov_len = PKT_HDR_LEN + (adjacent ? saved.iov_len : 0) };
    r = syscall(SYS_writev, q->fd, first, pkt->n_iov + (adjacent ? 0 : 1));
    *first = saved;
    return r;
}

/* One packet, one system call. Bytes or -1 with errno. */
static long tap_write(const NetdevQueue *q, const Pkt *pkt)
{
    struct iovec iov[PKT_MAX_IOV + 1];
    const uint8_t *hdr = (const uint8_t *)pkt->hdr;
    const uint8_t *head = pkt->iov[0].iov_base;

    if (!q->nd->has_vnet_hdr) {
        return pkt->n_iov == 1 ? syscall(SYS_write, q->fd, head, pkt->iov[0].iov_len)
                               : syscall(SYS_writev, q->fd, pkt->iov, pkt->n_iov);
    }
    if (pkt->n_iov == 1 && hdr + PKT_HDR_LEN == head) {
        return syscall(SYS_write, q->fd, hdr, PKT_HDR_LEN + pkt->iov[0].iov_len);
    }
    if (pkt->n_iov > PKT_MAX_IOV) {
        return tap_write_long(q, pkt);
    }
    return syscall(SYS_writev, q->fd, iov, tap_ring_pieces(pkt, iov));
}

static unsigned tap_send(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    TapRing *ring = container_of(q, TapQueue, q)->ring;
    unsigned i = 0;

    while (i < n) {
        unsigned fit = n - i < TAP_RING_MIN ? 0 : tap_ring_fit(ring, &pkt[i], n - i);

        if (fit >= TAP_RING_MIN) {
            i += tap_ring_send(ring, &pkt[i], fit, &q->refused);
            continue;
        }
        if (tap_write(q, &pkt[i]) < 0) {
            if (errno == EAGAIN) {
                break;
            }
            q->refused++; /* EINVAL: its header; EIO: the interface is down; or no memory */
        }
        i++;
    }
    return i;
}

/*
 * A limit on the bytes under way makes writes fail in the middle of a burst, which a ring
 * would not notice before its end, as with O_NONBLOCK it does not wait; without a vnet header
 * packets are not in one piece with what is written.
 */
static void tap_make_ring(TapQueue *tq)
{
    int sndbuf = 0;

    tap_ring_free(g_steal_pointer(&tq->ring));
    if ((tq->send_size > 0 || tq->bursts) && tq->q.nd->has_vnet_hdr &&
        ioctl(tq->q.fd, TUNGETSNDBUF, &sndbuf) == 0 && sndbuf == INT_MAX) {
        tq->ring = tap_ring_new(tq->q.fd, tq->send_buffer, tq->send_size, tq->bursts);
    }
}

static void tap_set_send_buffer(NetdevQueue *q, void *base, size_t size)
{
    TapQueue *tq = container_of(q, TapQueue, q);

    tq->send_buffer = base;
    tq->send_size = base ? size : 0;
    tap_make_ring(tq);
}

static void tap_set_bursts(NetdevQueue *q, bool on)
{
    TapQueue *tq = container_of(q, TapQueue, q);

    tq->bursts = on;
    tap_make_ring(tq);
}

/*
 * What the kernel takes from us, which is what it can give us: found out by asking for it. The
 * caller says after it what is wanted. Without a vnet header it is what netdev_send() does.
 */
static void tap_probe_offload(Netdev *nd)
{
    static const struct {
        unsigned long tun;
        unsigned offload;
    } news[] = { { TUN_F_UFO, NETDEV_UFO }, { TUN_F_USO4 | TUN_F_USO6, NETDEV_USO } };

    nd->host_offload = NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_TSO_ECN;
    for (unsigned i = 0; i < G_N_ELEMENTS(news) && nd->has_vnet_hdr; i++) {
        if (ioctl(nd->queue[0]->fd, TUNSETOFFLOAD, TUN_F_CSUM | news[i].tun) == 0) {
            nd->host_offload |= news[i].offload;
        }
    }
}

/*
 * Checksum offload has no family in the tun driver: the NIC finishes what its guest does
 * not take. Segmentation it has, and only together with checksums.
 */
static unsigned tap_tun_offload(const Netdev *nd, unsigned offload)
{
    bool csum4 = offload & NETDEV_CSUM4;
    bool csum6 = offload & NETDEV_CSUM6;
    unsigned f = 0;

    if (!nd->has_vnet_hdr) {
        return 0;
    }
    offload &= nd->host_offload;
    f |= csum4 || csum6 ? TUN_F_CSUM : 0;
    f |= csum4 && (offload & NETDEV_TSO4) ? TUN_F_TSO4 : 0;
    f |= csum6 && (offload & NETDEV_TSO6) ? TUN_F_TSO6 : 0;
    f |= (f & (TUN_F_TSO4 | TUN_F_TSO6)) && (offload & NETDEV_TSO_ECN) ? TUN_F_TSO_ECN : 0;
    f |= csum4 && csum6 && (offload & NETDEV_UFO) ? TUN_F_UFO : 0;
    f |= csum4 && csum6 && (offload & NETDEV_USO) ? TUN_F_USO4 | TUN_F_USO6 : 0;
    return f;
}

static bool tap_set_offload(Netdev *nd, unsigned offload, GError **error)
{
    Tap *tap = tap_of(nd);
    TapFeatures before;
    unsigned f;
    bool known;

    tap->offload = offload;
    if (tap->place == TAP_GONE || nd->given_away) {
        return true; /* tap_take() tells the next one, or tap_take_back() this one */
    }
    if (tap->has_offload && tap->tun_offload == tap_tun_offload(nd, offload)) {
        return true; /* and what an administrator made of it stays, whatever our rights are */
    }
    known = tap_is_ours_to_see(tap) && tap_features_read(nd->ifname, &before) == 0;
    if (nd->host_offload == 0) {
        tap_probe_offload(nd);
    }
    f = tap_tun_offload(nd, offload);
    if (ioctl(nd->queue[0]->fd, TUNSETOFFLOAD, (unsigned long)f) < 0) {
        int err = errno;

        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(err),
                    "TUNSETOFFLOAD ioctl failed: %s", g_strerror(err));
        return false;
    }
    tap->has_offload = true;
    tap->tun_offload = f;
    if (known) {
        (void)tap_features_want(nd->ifname, &before); /* needs CAP_NET_ADMIN */
    }
    return true;
}

static int tap_attach(TapQueue *tq, bool attach)
{
    struct ifreq ifr = { .ifr_flags = attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

    if (tq->attached == attach) {
        return 0;
    }
    if (ioctl(tq->q.fd, TUNSETQUEUE, &ifr) < 0) {
        return -errno;
    }
    tq->attached = attach;
    return 0;
}

static TapQueue *tap_queue(Netdev *nd, unsigned i)
{
    return container_of(nd->queue[i], TapQueue, q);
}

/*
 * Attaches before it detaches: what fails then leaves no queue without a reader. The kernel puts
 * the last one in the place of one that is detached, so the last one goes first.
 */
static bool tap_set_active(Netdev *nd, unsigned n, GError **error)
{
    unsigned i;
    int r = 0;

    if (!tap_of(nd)->multi_queue || tap_of(nd)->place == TAP_GONE) {
        return true;
    }
    for (i = 0; i < n && r == 0; i++) {
        r = tap_attach(tap_queue(nd, i), true);
    }
    if (r < 0) {
        return tap_fail(error, -r, "could not enable queue %u of %s", i - 1, nd->ifname);
    }
    for (i = nd->n_queues; i > n && r == 0; i--) {
        r = tap_attach(tap_queue(nd, i - 1), false);
    }
    return r == 0 || tap_fail(error, -r, "could not disable queue %u of %s", i, nd->ifname);
}

static void tap_set_carrier(Netdev *nd, bool up)
{
    int carrier = up;

    if (ioctl(nd->queue[0]->fd, TUNSETCARRIER, &carrier) == 0) {
        tap_of(nd)->carrier_off = !up;
    }
}

static char *tap_info(Netdev *nd, unsigned queue)
{
    const Tap *tap = tap_of(nd);
    bool first = queue == 0;

    if (nd->awaited) {
        return g_strdup("incoming-fds=on");
    }
    if (tap->given) {
        return g_strdup_printf("fd=%d", nd->queue[queue]->fd);
    }
    return g_strdup_printf("ifname=%s,script=%s,downscript=%s", nd->ifname,
                           first && tap->script ? tap->script : "no",
                           first && tap->downscript ? tap->downscript : "no");
}

void tap_free(Netdev *nd)
{
    g_autoptr(GError) error = NULL;
    Tap *tap = tap_of(nd);
    unsigned i;

    tap_unfollow(tap);
    if (tap->again) {
        tap_script_cancel(tap->again);
    }
    if (!tap_script_run(nd, false, &error)) {
        warn_report("%s: %s", nd->id, error->message);
    }
    if (tap->persist && !nd->keep && !nd->given_away) {
        (void)ioctl(nd->queue[0]->fd, TUNSETPERSIST, 0ul); /* it is gone then already */
    }
    netdev_remove_scratch(nd);
    for (i = 0; i < nd->n_queues; i++) {
        TapQueue *tq = tap_queue(nd, i);

        tap_ring_free(tq->ring);
        fd_close(&tq->q.fd);
        fd_close(&tq->q.vhost_fd);
        g_aligned_free(tq);
    }
    g_free(nd->queue);
    g_free(nd->ifname);
    g_free(nd->id);
    g_free(nd->error);
    g_free(tap->reopen_error);
    g_free(tap->script);
    g_free(tap->downscript);
    g_free(tap);
}

const NetdevOps tap_ops = {
    .type = "tap",
    .tells_writable = true, /* at half of sndbuf= */
    .send = tap_send,
    .recv = tap_recv,
    .recv_into = tap_recv_into,
    .set_send_buffer = tap_set_send_buffer,
    .set_bursts = tap_set_bursts,
    .set_offload = tap_set_offload,
    .set_active = tap_set_active,
    .set_carrier = tap_set_carrier,
    .take = tap_take,
    .give = tap_give,
    .take_back = tap_take_back,
    .receive = tap_receive,
    .info = tap_info,
    .free = tap_free,
};
