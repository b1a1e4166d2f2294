/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xen-netfront-pool.h"

static uint32_t pool_head_page(const NetfrontPool *p)
{
    return (uint32_t)((p->head + 4095) / 4096);
}

/* Moves tail over what is not in use any more. */
static void pool_reclaim(NetfrontPool *p)
{
    for (;;) {
        if (p->wrapped && p->tail == p->end) {
            p->wrapped = false;
            p->tail = 0;
        }
        if (!p->wrapped && p->tail == pool_head_page(p)) {
            p->head = 0; /* empty: all of it in one piece again */
            p->tail = 0;
            return;
        }
        if (p->busy[p->tail]) {
            return;
        }
        p->tail++;
    }
}

void netfront_pool_open(NetfrontPool *p, size_t want, PktArena *ret_arena)
{
    pool_reclaim(p);
    ret_arena->base = p->base;
    ret_arena->used = p->head;
    ret_arena->size = (p->wrapped ? p->tail : NETFRONT_POOL_PAGES) * (size_t)4096;
    if (!p->wrapped && p->head + want > ret_arena->size && p->tail * (size_t)4096 >= want) {
        p->end = pool_head_page(p);
        p->head = 0;
        p->wrapped = true;
        ret_arena->used = 0;
        ret_arena->size = p->tail * (size_t)4096;
    }
}

static void pool_mark(NetfrontPool *p, const Pkt *pkt, bool busy)
{
    uint32_t page = netfront_pool_page(p, pkt->iov[0].iov_base);

    for (uint32_t i = 0; i < netfront_pool_pages(pkt->len); i++) {
        p->busy[page + i] = busy;
    }
}

void netfront_pool_take(NetfrontPool *p, const PktArena *arena, const Pkt *pkt, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        pool_mark(p, &pkt[i], true);
    }
    p->head = arena->used;
}

void netfront_pool_put_page(NetfrontPool *p, uint32_t page)
{
    p->busy[page] = false;
}

void netfront_pool_put(NetfrontPool *p, const Pkt *pkt)
{
    pool_mark(p, pkt, false);
}
