/*
 * The vifs with direct=on: who can be sent to, and when.
 *
 * A vif is in the table from its making to its end. Whether its queues take part now is said at
 * each of them, under its lock: once that is done nobody is in its rx ring any more, and it may
 * go. So a guest that comes and goes does not bother the threads of the others.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/if_ether.h>
#include <netinet/ether.h>
#include <stdlib.h>

#include "xen-netback-direct.h"

#define VLAN_ROOM 4u /* a bridge takes frames that have a tag more than the MTU has room for */

/* Of a Xen: Xen.net. */
typedef struct DirectSet {
    GPtrArray *vifs; /* Netback */
    DirectTable *table;
} DirectSet;

/* --- the table --- */

static int direct_compare(const void *a, const void *b)
{
    uint64_t x = (*(DirectVif *const *)a)->mac;
    uint64_t y = (*(DirectVif *const *)b)->mac;

    return (x > y) - (x < y);
}

/* Without those whose MAC another one has, too: the bridge decides. */
static void direct_remove_doubles(DirectTable *t)
{
    unsigned n = 0;

    for (unsigned i = 0, end; i < t->n; i = end) {
        for (end = i + 1; end < t->n && t->vif[end]->mac == t->vif[i]->mac; end++) {
            continue;
        }
        if (end == i + 1 && t->vif[i]->mac != 0) {
            t->vif[n++] = t->vif[i];
        }
    }
    t->n = n;
}

static DirectTable *direct_make_table(const DirectSet *s)
{
    DirectTable *t = g_malloc0(sizeof(*t) + s->vifs->len * sizeof(t->vif[0]));

    for (unsigned i = 0; i < s->vifs->len; i++) {
        const Netback *nb = g_ptr_array_index(s->vifs, i);

        t->vif[t->n++] = nb->direct;
    }
    qsort(t->vif, t->n, sizeof(t->vif[0]), direct_compare);
    direct_remove_doubles(t);
    return t;
}

typedef struct DirectInstall {
    NetbackQueue *q;
    const DirectTable *table;
    DirectPeer *peer;
} DirectInstall;

/* Packets that wait for one who is not in the new table wait in vain. */
static void direct_follow(NetbackQueue *q, const DirectTable *t)
{
    DirectBatch *d = q->direct;
    unsigned left = 0;

    for (unsigned i = 0; i < d->n_pkts; i++) {
        DirectPkt w = d->pkt[i];

        w.vif = t ? netback_direct_find(t, d->table->vif[w.vif]->mac) : -1;
        if (w.vif >= 0) {
            d->pkt[left++] = w;
        } else {
            w.pkt->status = NETIF_RSP_ERROR;
            counter_add(&q->stats->tx.drop_peer, 1);
        }
    }
    d->n_pkts = left;
}

static void direct_install(void *opaque)
{
    DirectInstall *i = opaque;
    DirectBatch *d = i->q->direct;

    direct_follow(i->q, i->table);
    d->table = i->table;
    g_free(d->peer);
    d->peer = i->peer;
}

static void direct_set_table(NetbackQueue *q, const DirectTable *t)
{
    /* alone there is nobody to send to, and no head to look at */
    DirectInstall i = { q, t->n > 1 ? t : NULL, g_new0(DirectPeer, t->n) };

    if (q->base.q.running) {
        io_thread_call(q->base.q.thread, direct_install, &i);
    } else {
        direct_install(&i);
    }
}

/* From here on the former one is used by nobody. */
static void direct_renew(DirectSet *s)
{
    DirectTable *old = s->table;

    s->table = direct_make_table(s);
    for (unsigned i = 0; i < s->vifs->len; i++) {
        Netback *nb = g_ptr_array_index(s->vifs, i);

        for (unsigned k = 0; k < nb->queues.run.n; k++) {
            direct_set_table(netback_queue(nb, k), s->table);
        }
    }
    g_free(old);
}

/* --- vifs --- */

static uint64_t direct_parse_mac(const char *text)
{
    struct ether_addr a;

    return ether_aton_r(text, &a) && !(a.ether_addr_octet[0] & 1) ? direct_mac(a.ether_addr_octet)
                                                                  : 0;
}

void netback_direct_join(Netback *nb)
{
    DirectSet *s = nb->env.xen->net;
    DirectVif *v = g_new0(DirectVif, 1);

    v->mac = direct_parse_mac(nb->mac);
    v->n_ends = nb->max_queues;
    v->end = g_aligned_alloc0(v->n_ends, sizeof(DirectEnd), _Alignof(DirectEnd));
    for (unsigned i = 0; i < v->n_ends; i++) {
        pthread_mutex_init(&v->end[i].lock, NULL);
    }
    nb->direct = v;
    if (!s) {
        s = g_new0(DirectSet, 1);
        s->vifs = g_ptr_array_new();
        nb->env.xen->net = s;
    }
    g_ptr_array_add(s->vifs, nb);
    direct_renew(s);
}

void netback_direct_leave(Netback *nb)
{
    DirectSet *s = nb->env.xen->net;
    DirectVif *v = g_steal_pointer(&nb->direct);

    if (!v) {
        return;
    }
    g_assert(nb->queues.run.n == 0);
    g_ptr_array_remove_fast(s->vifs, nb);
    direct_renew(s);
    for (unsigned i = 0; i < v->n_ends; i++) {
        pthread_mutex_destroy(&v->end[i].lock);
    }
    g_aligned_free(v->end);
    g_free(v);
    if (s->vifs->len == 0) {
        g_ptr_array_unref(s->vifs);
        g_free(s->table);
        g_free(s);
        nb->env.xen->net = NULL;
    }
}

/* A guest with an XDP program wants headroom, which only packets of the netdev have. */
static bool direct_is_open(const Netback *nb)
{
    return nb->connected && !nb->paused && nb->headroom == 0 && nb->env.peer->link_up;
}

void netback_direct_update(Netback *nb)
{
    DirectVif *v = nb->direct;
    uint32_t mtu = nb->env.peer->mtu;
    unsigned n = nb->queues.run.n;
    bool open;

    if (!v) {
        return;
    }
    open = direct_is_open(nb);
    for (unsigned i = 0; i < v->n_ends; i++) {
        DirectEnd *e = &v->end[i];

        netback_direct_lock(e);
        __atomic_store_n(&e->q, open && i < n ? netback_queue(nb, i) : NULL, __ATOMIC_RELAXED);
        e->max_frame = mtu > 0 ? mtu + ETH_HLEN + VLAN_ROOM : PKT_MAX_LEN;
        pthread_mutex_unlock(&e->lock);
    }
    if (nb->connected && !v->connected) {
        __atomic_store_n(&v->generation, v->generation + 1, __ATOMIC_RELAXED);
    }
    v->connected = nb->connected;
    __atomic_store_n(&v->n_open, open ? n : 0, __ATOMIC_RELAXED);
}

/* --- queues --- */

void netback_direct_init_queue(Netback *nb, NetbackQueue *q)
{
    const DirectSet *s = nb->env.xen->net;

    if (!nb->direct) {
        return;
    }
    q->end = &nb->direct->end[q->base.q.index];
    q->mac = nb->direct->mac;
    q->direct = g_new0(DirectBatch, 1);
    direct_set_table(q, s->table);
}

void netback_direct_done_queue(NetbackQueue *q)
{
    if (q->direct) {
        g_free(q->direct->peer);
        g_clear_pointer(&q->direct, g_free);
    }
}
