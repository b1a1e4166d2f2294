/*
 * Shared rings (xen/include/public/io/ring.h), both ends. One page, or a few that are mapped
 * next to each other: four indices, a pad, and 2^n entries from byte 64 that hold requests
 * and, later, their responses. Nobody else touches a ring's pages.
 *
 * The other end is hostile: an index is read once, with the barrier it needs, and
 * validated before use; an entry is copied once, and only the copy is looked at. What we
 * know of our own progress is in private memory, never read back from the page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_RING_H
#define HW_XEN_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define XEN_RING_PAGE_SIZE 4096u
#define XEN_RING_MAX_PAGES 16u /* order 4: as much as block frontends ask for */

typedef struct XenRingHeader {
    volatile uint32_t req_prod;
    volatile uint32_t req_event;
    volatile uint32_t rsp_prod;
    volatile uint32_t rsp_event;
    uint8_t pad[48];
} XenRingHeader;

_Static_assert(sizeof(XenRingHeader) == 64, "entries begin at byte 64");

typedef struct XenRing {
    XenRingHeader *page; /* the first page */
    uint8_t *entries;
    uint32_t size;       /* entries, a power of two */
    uint32_t entry_size; /* bytes */
    uint32_t prod;       /* ours: responses of a backend, requests of a frontend */
    uint32_t cons;       /* ours: requests taken by a backend, responses by a frontend */
} XenRing;

/* How many entries of @entry_size bytes fit into @n_pages, rounded down to a power of two. */
static inline uint32_t xen_ring_entries(uint32_t entry_size, uint32_t n_pages)
{
    uint32_t n = (n_pages * XEN_RING_PAGE_SIZE - (uint32_t)sizeof(XenRingHeader)) / entry_size;

    return 1u << (31 - __builtin_clz(n));
}

/* @pages: @n_pages (1 to XEN_RING_MAX_PAGES) next to each other; the caller's, page-aligned. */
static inline void xen_ring_init(XenRing *r, void *pages, uint32_t n_pages, uint32_t entry_size)
{
    r->page = (XenRingHeader *)pages;
    r->entries = (uint8_t *)pages + sizeof(XenRingHeader);
    r->entry_size = entry_size;
    r->size = xen_ring_entries(entry_size, n_pages);
}

static inline void *xen_ring_entry(const XenRing *r, uint32_t index)
{
    return r->entries + (size_t)(index & (r->size - 1)) * r->entry_size;
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
static inline bool xen_ring_attach_back(XenRing *r, void *pages, uint32_t n_pages,
                                        uint32_t entry_size)
{
    xen_ring_init(r, pages, n_pages, entry_size);
    r->prod = r->page->rsp_prod;
    r->cons = r->prod;
    return r->page->req_prod - r->prod <= r->size;
}

/* Requests that wait, or -1 if the frontend's index is impossible (a protocol violation). */
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

static inline void xen_ring_init_front(XenRing *r, void *pages, uint32_t n_pages,
                                       uint32_t entry_size)
{
    memset(pages, 0, (size_t)n_pages * XEN_RING_PAGE_SIZE);
    xen_ring_init(r, pages, n_pages, entry_size);
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
