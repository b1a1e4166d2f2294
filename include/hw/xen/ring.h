/*
 * Shared rings (xen/include/public/io/ring.h), both ends. One page: four indices, a
 * pad, and 2^n entries from byte 64 that hold requests and, later, their responses.
 * Nobody else touches a ring's page.
 *
 * The other end is hostile: an index is read once, with the barrier it needs, and
 * judged before use; an entry is copied once, and only the copy is looked at. What we
 * know of our own progress is in private memory, never read back from the page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_RING_H
#define HW_XEN_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct XenRingPage {
    volatile uint32_t req_prod;
    volatile uint32_t req_event;
    volatile uint32_t rsp_prod;
    volatile uint32_t rsp_event;
    uint8_t pad[48];
    uint8_t entries[4096 - 64];
} XenRingPage;

_Static_assert(sizeof(XenRingPage) == 4096, "a ring is one page");

typedef struct XenRing {
    XenRingPage *page;
    uint32_t size;       /* entries, a power of two */
    uint32_t entry_size; /* bytes */
    uint32_t prod;       /* ours: responses of a backend, requests of a frontend */
    uint32_t cons;       /* ours: requests taken by a backend, responses by a frontend */
} XenRing;

/* How many entries of @entry_size bytes fit, rounded down to a power of two. */
static inline uint32_t xen_ring_entries(uint32_t entry_size)
{
    uint32_t n = (4096u - 64u) / entry_size;

    return 1u << (31 - __builtin_clz(n));
}

static inline void *xen_ring_entry(const XenRing *r, uint32_t index)
{
    return r->page->entries + (size_t)(index & (r->size - 1)) * r->entry_size;
}

/* @bytes of a multiple of 4, as 32-bit words that the compiler may not read twice. */
static inline void xen_ring_copy_out(void *dst, const void *shared, uint32_t bytes)
{
    const volatile uint32_t *s = shared;
    uint32_t w;

    for (uint32_t i = 0; i < bytes / 4; i++) {
        w = s[i];
        memcpy((uint8_t *)dst + i * 4, &w, 4);
    }
}

/* --- backend --- */

/*
 * Attaches where the ring stands, which need not be its beginning: a backend that
 * takes over from another one goes on at rsp_prod. False: req_prod is impossible.
 */
static inline bool xen_ring_attach_back(XenRing *r, void *page, uint32_t entry_size)
{
    r->page = page;
    r->entry_size = entry_size;
    r->size = xen_ring_entries(entry_size);
    r->prod = r->page->rsp_prod;
    r->cons = r->prod;
    return r->page->req_prod - r->prod <= r->size;
}

/* Requests that wait, or -1 if the frontend's index is impossible (it lies). */
static inline int xen_ring_requests(const XenRing *r)
{
    uint32_t prod = __atomic_load_n(&r->page->req_prod, __ATOMIC_ACQUIRE);

    /* Beyond what the ring holds, or behind what was taken already. */
    if (prod - r->prod > r->size || prod - r->cons > r->size) {
        return -1;
    }
    return (int)(prod - r->cons);
}

static inline void xen_ring_take_request(XenRing *r, void *copy)
{
    xen_ring_copy_out(copy, xen_ring_entry(r, r->cons), r->entry_size);
    r->cons++;
}

/* Writes the next response; it is seen only after xen_ring_push_responses(). */
static inline void xen_ring_put_response(XenRing *r, const void *rsp, uint32_t bytes)
{
    memcpy(xen_ring_entry(r, r->prod), rsp, bytes);
    r->prod++;
}

/* Publishes all responses put so far. True: the frontend asked for an event. */
static inline bool xen_ring_push_responses(XenRing *r)
{
    uint32_t old = r->page->rsp_prod;

    __atomic_store_n(&r->page->rsp_prod, r->prod, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with the frontend's after its rsp_event */
    return r->prod - __atomic_load_n(&r->page->rsp_event, __ATOMIC_RELAXED) < r->prod - old;
}

/*
 * Asks for an event with the request after next @ahead ones (0: the very next), and
 * looks once more. True: there are requests already.
 */
static inline bool xen_ring_arm_requests(XenRing *r, uint32_t ahead)
{
    __atomic_store_n(&r->page->req_event, r->cons + 1 + ahead, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with the frontend's after its req_prod */
    return __atomic_load_n(&r->page->req_prod, __ATOMIC_ACQUIRE) - r->cons > ahead;
}

/* --- frontend --- */

static inline void xen_ring_init_front(XenRing *r, void *page, uint32_t entry_size)
{
    memset(page, 0, 4096);
    r->page = page;
    r->entry_size = entry_size;
    r->size = xen_ring_entries(entry_size);
    r->prod = 0;
    r->cons = 0;
    r->page->req_event = 1;
    r->page->rsp_event = 1;
}

static inline uint32_t xen_ring_free_requests(const XenRing *r)
{
    return r->size - (r->prod - r->cons);
}

static inline void xen_ring_put_request(XenRing *r, const void *req)
{
    memcpy(xen_ring_entry(r, r->prod), req, r->entry_size);
    r->prod++;
}

/* Publishes all requests put so far. True: the backend asked for an event. */
static inline bool xen_ring_push_requests(XenRing *r)
{
    uint32_t old = r->page->req_prod;

    __atomic_store_n(&r->page->req_prod, r->prod, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with xen_ring_arm_requests() */
    return r->prod - __atomic_load_n(&r->page->req_event, __ATOMIC_RELAXED) < r->prod - old;
}

/* Responses that wait, or -1 if the backend's index is impossible. */
static inline int xen_ring_responses(const XenRing *r)
{
    uint32_t prod = __atomic_load_n(&r->page->rsp_prod, __ATOMIC_ACQUIRE);

    return prod - r->cons > r->prod - r->cons ? -1 : (int)(prod - r->cons);
}

static inline void xen_ring_take_response(XenRing *r, void *copy, uint32_t bytes)
{
    xen_ring_copy_out(copy, xen_ring_entry(r, r->cons), bytes);
    r->cons++;
}

/* As xen_ring_arm_requests(), for responses. */
static inline bool xen_ring_arm_responses(XenRing *r, uint32_t ahead)
{
    __atomic_store_n(&r->page->rsp_event, r->cons + 1 + ahead, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with xen_ring_push_responses() */
    return __atomic_load_n(&r->page->rsp_prod, __ATOMIC_ACQUIRE) - r->cons > ahead;
}

#endif
