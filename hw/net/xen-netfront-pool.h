/*
 * The pages that a queue's packets leave from: next to each other, granted to the
 * backend once, used round and round. A packet is read straight into them, stays until
 * its last slot was answered, and pages come back in any order but are given out in
 * theirs, so that what is free is at most two pieces.
 *
 *     0        tail               head           n_pages
 *     |  free  |  busy and answered |  window ...  |      not wrapped
 *     |  busy  | head  window  tail |  busy  | end |      wrapped
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_XEN_NETFRONT_POOL_H
#define HW_NET_XEN_NETFRONT_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/pkt.h"

/* A ring full of one-page packets, and room behind them to read one of any size. */
#define NETFRONT_POOL_PAGES 288u

typedef struct NetfrontPool {
    uint8_t *base;
    size_t head;   /* the byte behind the newest packet */
    uint32_t tail; /* no page before it (and behind head) is in use */
    uint32_t end;  /* while wrapped: no page from here on is in use */
    bool wrapped;
    bool busy[NETFRONT_POOL_PAGES];
} NetfrontPool;

static inline uint32_t netfront_pool_page(const NetfrontPool *p, const void *addr)
{
    return (uint32_t)((size_t)((const uint8_t *)addr - p->base) / 4096);
}

/* Pages of a packet of @len bytes, which starts on one. */
static inline uint32_t netfront_pool_pages(uint32_t len)
{
    return (len + 4095) / 4096;
}

/*
 * The free space behind the newest packet as @ret_arena, or that at the beginning if only
 * there are @want bytes; nothing is taken by that. It may be smaller than @want.
 */
void netfront_pool_open(NetfrontPool *p, size_t want, PktArena *ret_arena);

/* The @n packets that were put into @arena since netfront_pool_open() are in use now. */
void netfront_pool_take(NetfrontPool *p, const PktArena *arena, const Pkt *pkt, unsigned n);

void netfront_pool_put_page(NetfrontPool *p, uint32_t page);
void netfront_pool_put(NetfrontPool *p, const Pkt *pkt);

#endif
