/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-net-slots.h"

#include <glib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "util/container-of.h"
#include "util/fd.h"

#define MEM_SIZE ((size_t)SLOTS_OF_PAIR * SLOT_SIZE)

_Static_assert(PKT_HDR_LEN + PKT_MAX_LEN + 1 <= SLOT_SIZE, "a slot has room for any frame");

static NicSlot *slot_of(InboxNode *n)
{
    return container_of(n, NicSlot, node);
}

static NicSlot *slot_next(const NicSlot *s)
{
    return s->node.next ? slot_of(s->node.next) : NULL;
}

/* --- main thread --- */

static void spread_init(SlotSpread *s, unsigned pairs)
{
    s->chain = g_new0(InboxChain, pairs);
    s->touched = g_new0(uint16_t, pairs);
}

static void spread_done(SlotSpread *s)
{
    g_free(s->chain);
    g_free(s->touched);
}

static void pair_free(SlotPair *p)
{
    if (p) {
        if (p->mem) {
            munmap(p->mem, MEM_SIZE);
        }
        fd_close(&p->fd);
        spread_done(&p->out);
        spread_done(&p->back);
        g_aligned_free(p);
    }
}

/* Pages that no frame was in yet have no memory behind them: small ones never touch most. */
static bool pair_map(SlotPair *p)
{
    void *mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (mem == MAP_FAILED) {
        return false;
    }
    p->mem = mem;
    (void)madvise(mem, MEM_SIZE, MADV_NOHUGEPAGE); /* no such kernel: it takes more memory */
    return true;
}

static SlotPair *pair_new(SlotSet *set, unsigned index)
{
    SlotPair *p = g_aligned_alloc0(1, sizeof(*p), 64);

    p->set = set;
    p->index = index;
    p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    spread_init(&p->out, set->n);
    spread_init(&p->back, set->n);
    if (p->fd < 0 || !pair_map(p)) {
        pair_free(p);
        return NULL;
    }
    inbox_init(&p->inbox, p->fd);
    inbox_init(&p->home, p->fd);
    inbox_open(&p->home);
    for (unsigned i = 0; i < SLOTS_OF_PAIR; i++) {
        NicSlot *s = &p->slot[SLOTS_OF_PAIR - 1 - i];

        s->home = (uint16_t)index;
        s->data = p->mem + (size_t)(s - p->slot) * SLOT_SIZE;
        p->free[p->n_free++] = s;
    }
    return p;
}

SlotSet *slots_new(unsigned pairs)
{
    SlotSet *set = g_malloc0(sizeof(*set) + pairs * sizeof(set->pair[0]));

    set->n = pairs;
    set->stuck_limit = MAX(SLOTS_OF_PAIR / 2 / pairs, 1);
    for (unsigned i = 0; i < pairs; i++) {
        set->pair[i] = pair_new(set, i);
        if (!set->pair[i]) {
            slots_free(set);
            return NULL;
        }
    }
    return set;
}

void slots_free(SlotSet *set)
{
    if (set) {
        for (unsigned i = 0; i < set->n; i++) {
            pair_free(set->pair[i]);
        }
        g_free(set);
    }
}

/* --- from one pair to another --- */

static void spread_add(SlotSpread *spread, unsigned to, NicSlot *s)
{
    if (!spread->chain[to].newest) {
        spread->touched[spread->n++] = (uint16_t)to;
    }
    inbox_chain_add(&spread->chain[to], &s->node);
}

/* To where it belongs, now or with slots_send_home(). */
static void slot_empty(SlotPair *p, NicSlot *s)
{
    if (s->home == p->index) {
        slots_unuse(p, s);
    } else {
        spread_add(&p->back, s->home, s);
    }
}

void slots_send_home(SlotPair *p)
{
    while (p->back.n > 0) {
        unsigned to = p->back.touched[--p->back.n];
        bool taken = inbox_put(&p->set->pair[to]->home, &p->back.chain[to]);

        g_assert(taken); /* it is never closed */
    }
}

/* A list that nobody wants. */
static unsigned empty_all(SlotPair *p, InboxNode *n)
{
    unsigned dropped = 0;

    for (; n; dropped++) {
        NicSlot *s = slot_of(n);

        n = n->next;
        slot_empty(p, s);
    }
    return dropped;
}

void slots_address(SlotPair *p, unsigned to, NicSlot *s)
{
    g_assert(to < p->set->n && to != p->index);
    spread_add(&p->out, to, s);
}

unsigned slots_send(SlotPair *p)
{
    unsigned dropped = 0;

    while (p->out.n > 0) {
        unsigned to = p->out.touched[--p->out.n];

        if (!inbox_put(&p->set->pair[to]->inbox, &p->out.chain[to])) {
            dropped += empty_all(p, inbox_chain_take(&p->out.chain[to]));
        }
    }
    return dropped;
}

void slots_collect(SlotPair *p)
{
    empty_all(p, inbox_take(&p->home));
}

bool slots_arm(SlotPair *p)
{
    bool frames = inbox_arm(&p->inbox);

    p->armed = true;
    return (p->n_free == 0 && inbox_arm(&p->home)) || frames;
}

void slots_disarm(SlotPair *p)
{
    p->armed = false;
    inbox_disarm(&p->inbox);
    inbox_disarm(&p->home);
}

/* --- the queue --- */

bool slots_queue(SlotPair *p, NicSlot *s, unsigned limit)
{
    if (p->n_queued >= limit) {
        slot_empty(p, s);
        return false;
    }
    s->node.next = NULL;
    if (p->last) {
        p->last->node.next = &s->node;
    } else {
        p->first = s;
    }
    p->last = s;
    p->n_queued++;
    return true;
}

unsigned slots_receive(SlotPair *p, unsigned limit, unsigned *ret_dropped)
{
    InboxNode *n = inbox_take(&p->inbox);
    unsigned came = 0;

    *ret_dropped = 0;
    for (; n; came++) {
        NicSlot *s = slot_of(n);

        n = n->next;
        *ret_dropped += !slots_queue(p, s, limit);
    }
    slots_send_home(p);
    return came;
}

unsigned slots_cut(SlotPair *p, unsigned limit)
{
    NicSlot *last = p->first;
    unsigned dropped;

    if (p->n_queued <= limit) {
        return 0;
    }
    g_assert(limit > 0);
    for (unsigned i = 1; i < limit; i++) {
        last = slot_next(last);
    }
    p->last = last;
    dropped = empty_all(p, last->node.next);
    last->node.next = NULL;
    p->n_queued -= dropped;
    slots_send_home(p);
    return dropped;
}

void slots_pop(SlotPair *p)
{
    NicSlot *s = p->first;

    p->first = slot_next(s);
    p->last = p->first ? p->last : NULL;
    p->n_queued--;
    slot_empty(p, s);
}

void slots_open(SlotPair *p)
{
    g_assert(!slots_is_open(p));
    inbox_open(&p->inbox);
}

unsigned slots_close(SlotPair *p)
{
    unsigned dropped = empty_all(p, inbox_close(&p->inbox));

    dropped += empty_all(p, p->first ? &p->first->node : NULL);
    p->first = NULL;
    p->last = NULL;
    p->n_queued = 0;
    slots_send_home(p);
    return dropped;
}
