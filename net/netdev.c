/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/netdev.h"

#include <unistd.h>

#include "net/netdev-impl.h"
#include "pkt-buffers-internal.h"
#include "util/log.h"

#define SCRATCH_SEGMENTS 64 /* made at once */

/* More than a tap's queue holds; what comes later is an event of its own. */
#define DISCARD_MAX 4096u

/* Where GSO packets are segmented; one packet at a time, SCRATCH_SEGMENTS of it in a call. */
typedef struct NetdevScratch {
    PktSegmenter segmenter;
    PktArena arena;
    unsigned n;
    unsigned next; /* of pkt[]: those before were sent */
    Pkt pkt[SCRATCH_SEGMENTS];
    struct iovec iov[SCRATCH_SEGMENTS];
} NetdevScratch;

bool netdev_add_scratch(Netdev *nd, GError **error)
{
    unsigned i;

    for (i = 0; i < nd->n_queues; i++) {
        NetdevScratch *s = g_new0(NetdevScratch, 1);

        nd->queue[i]->scratch = s;
        if (pkt_arena_init(&s->arena, SCRATCH_SEGMENTS * (size_t)4096 + PKT_ARENA_MIN) < 0) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOMEM,
                        "no memory for the segments of queue %u", i);
            netdev_remove_scratch(nd);
            return false;
        }
    }
    return true;
}

void netdev_remove_scratch(Netdev *nd)
{
    unsigned i;

    for (i = 0; i < nd->n_queues; i++) {
        NetdevScratch *s = g_steal_pointer(&nd->queue[i]->scratch);

        if (s) {
            pkt_arena_done(&s->arena);
            g_free(s);
        }
    }
}

static bool is_gso(const Pkt *pkt)
{
    return pkt->hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE;
}

static unsigned send_run(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    unsigned sent = q->nd->ops->send(q, pkt, n);

    g_assert(sent <= n);
    q->full = sent < n;
    return sent;
}

/*
 * Sends what is left of a packet's segments from the last call, or the next round of them. True:
 * that was all.
 */
static bool send_segments(NetdevQueue *q, const Pkt *pkt)
{
    NetdevScratch *s = q->scratch;

    if (s->next == s->n) {
        if (!pkt_segmenter_busy(&s->segmenter) && !pkt_segmenter_init(&s->segmenter, pkt)) {
            q->refused++;
            return true;
        }
        g_assert(s->segmenter.pkt == pkt);
        pkt_arena_reset(&s->arena);
        s->next = 0;
        s->n = pkt_segment(&s->segmenter, &s->arena, s->pkt, s->iov, SCRATCH_SEGMENTS);
    }
    s->next += send_run(q, s->pkt + s->next, s->n - s->next);
    return s->next == s->n && !pkt_segmenter_busy(&s->segmenter);
}

void netdev_send_stop(NetdevQueue *q)
{
    if (q->scratch) {
        pkt_segmenter_stop(&q->scratch->segmenter);
        q->scratch->n = 0;
        q->scratch->next = 0;
    }
    if (q->nd->ops->send_stop) {
        q->nd->ops->send_stop(q);
    }
    q->full = false;
}

/* How many packets from @pkt on are complete, or could be made so. */
static unsigned complete_run(Pkt *pkt, unsigned n)
{
    unsigned run;

    for (run = 0; run < n; run++) {
        if (is_gso(&pkt[run]) || !pkt_complete_csum(&pkt[run])) {
            break;
        }
    }
    return run;
}

unsigned netdev_send(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    unsigned done = 0;

    if (netdev_link_off(q->nd)) {
        netdev_send_stop(q);
        q->refused += n;
        return n;
    }
    if (!q->scratch) {
        return send_run(q, pkt, n);
    }
    while (done < n) {
        unsigned run = complete_run(pkt + done, n - done);

        if (run > 0) {
            unsigned sent = send_run(q, pkt + done, run);

            done += sent;
            if (sent < run) {
                break;
            }
        } else if (is_gso(&pkt[done])) {
            if (!send_segments(q, &pkt[done])) {
                break;
            }
            done++;
        } else {
            q->refused++;
            done++;
        }
    }
    return done;
}

unsigned netdev_discard(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                        unsigned max)
{
    const PktArena start = *arena;
    unsigned done = 0;
    unsigned n;

    do {
        n = q->nd->ops->recv(q, arena, pkt, iov, max);
        *arena = start;
        done += n;
    } while (n > 0 && done < DISCARD_MAX);
    return 0;
}

/* For netdevs that can't read into buffers: one by one, by way of the spill. */
static unsigned recv_copied(NetdevQueue *q, PktBuffers *b, Pkt *pkt, unsigned max)
{
    unsigned n = 0;

    for (unsigned tries = 0; n < max && tries < 4 * max && pkt_buffers_ready(b); tries++) {
        struct iovec iov;
        Pkt p;

        pkt_arena_reset(&b->spill);
        if (q->nd->ops->recv(q, &b->spill, &p, &iov, 1) == 0) {
            b->more = false;
            break;
        }
        *pkt[n].hdr = *p.hdr;
        n += pkt_buffers_copy(b, &pkt[n], iov.iov_base, p.len);
    }
    return n;
}

/* Also what was read already, and waits. */
static void discard_into(NetdevQueue *q, PktBuffers *b)
{
    struct iovec iov;
    Pkt pkt;

    (void)pkt_buffers_drop(b);
    pkt_arena_reset(&b->spill);
    netdev_discard(q, &b->spill, &pkt, &iov, 1);
    b->starved = false;
    b->more = false;
}

unsigned netdev_recv_into(NetdevQueue *q, PktBuffers *b, Pkt *pkt, unsigned max)
{
    unsigned n;

    if (netdev_link_off(q->nd)) {
        discard_into(q, b);
        return 0;
    }
    n = pkt_buffers_begin(b, pkt, max);
    if (q->nd->ops->recv_into) {
        return n + q->nd->ops->recv_into(q, b, pkt + n, max - n);
    }
    return n + recv_copied(q, b, pkt + n, max - n);
}

bool netdev_set_active(Netdev *nd, unsigned n, NetdevDrain *drain, void *opaque, GError **error)
{
    unsigned next;

    g_return_val_if_fail(n >= 1 && n <= nd->n_queues, false);
    if (nd->given_away) {
        return true;
    }
    do {
        bool down = drain && nd->n_active > n;

        next = down ? nd->n_active - 1 : n;
        if (down) {
            drain(opaque, next);
        }
        if (!nd->ops->set_active(nd, next, error)) {
            return false;
        }
        nd->n_active = next;
    } while (next != n);
    return true;
}

/* @changed: something else did, too. */
static void update_link(Netdev *nd, bool changed)
{
    bool up = nd->carrier && !nd->link_off;

    if (up == nd->link_up && !changed) {
        return;
    }
    nd->link_up = up;
    if (nd->changed) {
        nd->changed(nd->changed_opaque);
    }
}

void netdev_set_state(Netdev *nd, unsigned mtu, bool carrier)
{
    bool mtu_changed = mtu != nd->mtu;

    nd->mtu = mtu;
    nd->carrier = carrier;
    update_link(nd, mtu_changed);
}

void netdev_fail(Netdev *nd, const char *fmt, ...)
{
    va_list ap;

    g_free(nd->error);
    va_start(ap, fmt);
    nd->error = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    nd->carrier = false;
    nd->link_up = false;
    if (nd->changed) {
        nd->changed(nd->changed_opaque);
    } else {
        warn_report("%s", nd->error);
    }
}

void netdev_recover(Netdev *nd)
{
    g_clear_pointer(&nd->error, g_free);
    nd->carrier = true;
    update_link(nd, true);
}

static bool check_fit(const Netdev *nd, const Netdev *fresh, GError **error)
{
    if (fresh->ops != nd->ops || !nd->ops->take) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "netdev '%s' is in use as %s", nd->id, nd->ops->type);
    } else if (fresh->n_queues != nd->n_queues) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "netdev '%s' is in use with queues=%u", nd->id, nd->n_queues);
    } else if (fresh->has_vnet_hdr != nd->has_vnet_hdr) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "netdev '%s' is in use with vnet_hdr=%s", nd->id,
                    nd->has_vnet_hdr ? "on" : "off");
    } else {
        return true;
    }
    return false;
}

bool netdev_replace(Netdev *nd, Netdev *fresh, GError **error)
{
    g_autoptr(Netdev) spent G_GNUC_UNUSED = fresh;
    g_autoptr(GError) why = NULL;

    if (!check_fit(nd, fresh, error)) {
        return false;
    }
    if (!nd->ops->take(nd, fresh, &why)) {
        netdev_fail(nd, "netdev %s: %s", nd->id, why->message);
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    nd->deleted = false;
    if (nd->reopened) {
        nd->reopened(nd->changed_opaque);
    }
    return true;
}

void netdev_set_carrier(Netdev *nd, bool up)
{
    if (nd->given_away) {
        return;
    }
    nd->nic_carrier = up;
    if (nd->ops->set_carrier) {
        nd->ops->set_carrier(nd, up && !nd->link_off);
    }
}

void netdev_set_link(Netdev *nd, bool up)
{
    bool changed = nd->link_off == up;

    __atomic_store_n(&nd->link_off, !up, __ATOMIC_RELAXED);
    netdev_set_carrier(nd, nd->nic_carrier);
    update_link(nd, changed); /* who follows link_off hears of it if the carrier is off, too */
}

/* --- from one process to another --- */

bool netdev_is_movable(const Netdev *nd)
{
    return nd->movable && nd->in_use && !nd->awaited && !nd->given_away && !nd->error;
}

void netdev_give(Netdev *nd, GByteArray *out, int *ret_fds)
{
    g_assert(netdev_is_movable(nd));
    nd->ops->give(nd, out, ret_fds);
    nd->given_away = true;
}

void netdev_take_back(Netdev *nd)
{
    g_assert(nd->given_away);
    nd->given_away = false;
    nd->inherited = true;
    nd->ops->take_back(nd);
}

static void close_all(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        close(fds[i]);
    }
}

Netdev *netdev_receive(Netdev *nd, StateReader *in, const int *fds, unsigned n_fds, GError **error)
{
    g_autoptr(Netdev) fresh = NULL;

    if (!nd->awaited) {
        netdev_set_error(error, 0, "netdev '%s' does not wait for descriptors: it was made without "
                         "incoming-fds=on", nd->id);
        close_all(fds, n_fds);
        return NULL;
    }
    fresh = nd->ops->receive(nd, in, fds, n_fds, error);
    if (!fresh || !check_fit(nd, fresh, error)) {
        return NULL;
    }
    nd->host_offload = fresh->host_offload;
    return g_steal_pointer(&fresh);
}

bool netdev_without_vhost(const Netdev *nd, const char *nic, const char *why, GError **error)
{
    if (nd->vhost) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "%s requires frontend driver virtio-net-*", nd->ops->type);
        return false;
    }
    if (nd->queue[0]->vhost_fd < 0) {
        return true;
    }
    if (nd->vhost_forced) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "netdev '%s': vhost cannot be used: %s", nd->id, why);
        return false;
    }
    warn_report("%s: netdev '%s': vhost cannot be used: %s", nic, nd->id, why);
    return true;
}

void netdev_free(Netdev *nd)
{
    if (nd) {
        nd->ops->free(nd);
    }
}
