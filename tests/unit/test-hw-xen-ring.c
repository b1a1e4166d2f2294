/*
 * Shared rings: both ends on one page, as in Xen's public/io/ring.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/ring.h"

#include <glib.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct Request {
    uint32_t a, b, c; /* 12 bytes, as a tx request of netif.h */
} Request;

typedef struct Fixture {
    XenRingHeader *page;
    XenRing front;
    XenRing back;
} Fixture;

/* Both ends attached where the indices are @start, as a ring that lived a while. */
static void ring_up_at(Fixture *f, uint32_t start)
{
    f->page = g_aligned_alloc0(1, XEN_RING_PAGE_SIZE, XEN_RING_PAGE_SIZE);
    xen_ring_init_front(&f->front, f->page, 1, sizeof(Request));
    f->page->req_prod = f->page->rsp_prod = start;
    f->page->req_event = f->page->rsp_event = start + 1;
    f->front.prod = f->front.cons = start;
    g_assert_true(xen_ring_attach_back(&f->back, f->page, 1, sizeof(Request)));
}

static void ring_down(Fixture *f)
{
    g_aligned_free(f->page);
}

static void put_requests(Fixture *f, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        Request req = { f->front.prod, i, ~i };

        xen_ring_put_request(&f->front, &req);
    }
}

static void take_requests(Fixture *f, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t index = f->back.cons;
        Request req;

        xen_ring_take_request(&f->back, &req);
        g_assert_cmpuint(req.a, ==, index);
        g_assert_cmpuint(req.b, ==, ~req.c);
    }
}

static void put_responses(Fixture *f, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        xen_ring_put_response(&f->back, &f->back.prod, 4);
    }
}

/* netif.h's rings: tx 12 bytes, rx 8, ctrl 16. */
static void test_entries(void)
{
    g_assert_cmpuint(xen_ring_entries(12, 1), ==, 256);
    g_assert_cmpuint(xen_ring_entries(8, 1), ==, 256);
    g_assert_cmpuint(xen_ring_entries(16, 1), ==, 128);
}

/* blkif.h's ring: 112 bytes, on up to 16 pages; on 64-bit x86 32 entries a page. */
static void test_entries_of_pages(void)
{
    for (uint32_t n = 1; n <= XEN_RING_MAX_PAGES; n *= 2) {
        g_assert_cmpuint(xen_ring_entries(112, n), ==, 32 * n);
    }
}

/* All entries of a ring of some pages are used, in their order and within the pages. */
static void test_ring_of_pages(void)
{
    const uint32_t pages = 4, size = 32 * pages;
    g_autofree uint8_t *want = g_malloc(112);
    uint8_t *mem = g_aligned_alloc0(pages + 1, XEN_RING_PAGE_SIZE, XEN_RING_PAGE_SIZE);
    uint8_t got[112];
    XenRing front, back;

    xen_ring_init_front(&front, mem, pages, 112);
    g_assert_true(xen_ring_attach_back(&back, mem, pages, 112));
    for (unsigned round = 0; round < 3; round++) {
        g_assert_cmpuint(xen_ring_free_requests(&front), ==, size);
        for (uint32_t i = 0; i < size; i++) {
            memset(want, (int)(i + round), 112);
            xen_ring_put_request(&front, want);
        }
        xen_ring_push_requests(&front);
        g_assert_cmpint(xen_ring_requests(&back), ==, size);
        for (uint32_t i = 0; i < size; i++) {
            memset(want, (int)(i + round), 112);
            xen_ring_take_request(&back, got);
            g_assert_cmpmem(got, sizeof(got), want, 112);
            xen_ring_put_response(&back, got, 16);
        }
        xen_ring_push_responses(&back);
        g_assert_cmpint(xen_ring_responses(&front), ==, size);
        front.cons += size;
    }
    for (uint32_t i = 0; i < XEN_RING_PAGE_SIZE; i++) {
        g_assert_cmpuint(mem[pages * XEN_RING_PAGE_SIZE + i], ==, 0);
    }
    g_aligned_free(mem);
}

/* Requests go over and responses come back, also where the indices pass 2^32. */
static void round_trips(uint32_t start)
{
    static const uint32_t batch[] = { 1, 256, 7, 255, 64, 200 };
    Fixture f;

    ring_up_at(&f, start);
    for (unsigned i = 0; i < G_N_ELEMENTS(batch); i++) {
        uint32_t n = batch[i];

        g_assert_cmpuint(xen_ring_free_requests(&f.front), ==, 256);
        put_requests(&f, n);
        g_assert_cmpint(xen_ring_requests(&f.back), ==, 0);
        xen_ring_push_requests(&f.front);
        g_assert_cmpint(xen_ring_requests(&f.back), ==, n);
        g_assert_cmpuint(xen_ring_free_requests(&f.front), ==, 256 - n);
        take_requests(&f, n);
        g_assert_cmpint(xen_ring_requests(&f.back), ==, 0);

        put_responses(&f, n);
        g_assert_cmpint(xen_ring_responses(&f.front), ==, 0);
        xen_ring_push_responses(&f.back);
        g_assert_cmpint(xen_ring_responses(&f.front), ==, n);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t index = f.front.cons, got;

            xen_ring_take_response(&f.front, &got, 4);
            g_assert_cmpuint(got, ==, index);
        }
    }
    ring_down(&f);
}

static void test_round_trips(void)
{
    round_trips(0);
}

static void test_wrap(void)
{
    round_trips(UINT32_MAX - 300);
}

/* A frontend may claim 256 requests more than were answered, and not one more. */
static void test_impossible_requests(void)
{
    Fixture f;

    ring_up_at(&f, UINT32_MAX - 3);
    f.page->req_prod = f.back.prod + 256;
    g_assert_cmpint(xen_ring_requests(&f.back), ==, 256);
    f.page->req_prod = f.back.prod + 257;
    g_assert_cmpint(xen_ring_requests(&f.back), ==, -1);
    f.page->req_prod = f.back.prod - 1;
    g_assert_cmpint(xen_ring_requests(&f.back), ==, -1);
    ring_down(&f);
}

/* ... nor take a request back that we took already. */
static void test_requests_taken_back(void)
{
    Fixture f;

    ring_up_at(&f, 100);
    put_requests(&f, 10);
    xen_ring_push_requests(&f.front);
    take_requests(&f, 10);
    f.page->req_prod -= 4;
    g_assert_cmpint(xen_ring_requests(&f.back), ==, -1);
    ring_down(&f);
}

static void test_impossible_responses(void)
{
    Fixture f;

    ring_up_at(&f, 0);
    put_requests(&f, 3);
    f.page->rsp_prod = 3;
    g_assert_cmpint(xen_ring_responses(&f.front), ==, 3);
    f.page->rsp_prod = 4;
    g_assert_cmpint(xen_ring_responses(&f.front), ==, -1);
    f.page->rsp_prod = UINT32_MAX;
    g_assert_cmpint(xen_ring_responses(&f.front), ==, -1);
    ring_down(&f);
}

/* Private progress is not read back: writing the page's rsp_prod changes nothing. */
static void test_own_index_is_private(void)
{
    Fixture f;

    ring_up_at(&f, 0);
    put_requests(&f, 2);
    xen_ring_push_requests(&f.front);
    f.page->rsp_prod = 77;
    g_assert_cmpint(xen_ring_requests(&f.back), ==, 2);
    take_requests(&f, 2);
    put_responses(&f, 2);
    xen_ring_push_responses(&f.back);
    g_assert_cmpuint(f.page->rsp_prod, ==, 2);
    ring_down(&f);
}

/* An event is due only if what is published passes the index that was asked for. */
static void test_request_events(void)
{
    Fixture f;

    ring_up_at(&f, UINT32_MAX - 1);
    put_requests(&f, 1);
    g_assert_true(xen_ring_push_requests(&f.front)); /* a fresh ring asks for the first */
    put_requests(&f, 1);
    g_assert_false(xen_ring_push_requests(&f.front)); /* nobody asked again */
    take_requests(&f, 2);
    g_assert_false(xen_ring_arm_requests(&f.back, 0));
    put_requests(&f, 5);
    g_assert_true(xen_ring_push_requests(&f.front));
    g_assert_true(xen_ring_arm_requests(&f.back, 0)); /* they wait already */
    take_requests(&f, 5);
    ring_down(&f);
}

/* arm(ahead): asleep until more than @ahead requests are there. */
static void test_request_events_ahead(void)
{
    Fixture f;

    ring_up_at(&f, UINT32_MAX - 1);
    g_assert_false(xen_ring_arm_requests(&f.back, 3));
    put_requests(&f, 3);
    g_assert_false(xen_ring_push_requests(&f.front));
    g_assert_false(xen_ring_arm_requests(&f.back, 3));
    put_requests(&f, 1);
    g_assert_true(xen_ring_push_requests(&f.front));
    g_assert_true(xen_ring_arm_requests(&f.back, 3));
    ring_down(&f);
}

static void test_response_events(void)
{
    Fixture f;

    ring_up_at(&f, UINT32_MAX - 1);
    put_requests(&f, 8);
    xen_ring_push_requests(&f.front);
    take_requests(&f, 8);
    put_responses(&f, 2);
    g_assert_true(xen_ring_push_responses(&f.back));
    put_responses(&f, 2);
    g_assert_false(xen_ring_push_responses(&f.back));
    g_assert_false(xen_ring_push_responses(&f.back)); /* nothing new */
    g_assert_true(xen_ring_arm_responses(&f.front, 0));
    f.front.cons += 4;
    g_assert_false(xen_ring_arm_responses(&f.front, 1));
    put_responses(&f, 1);
    g_assert_false(xen_ring_push_responses(&f.back));
    put_responses(&f, 1);
    g_assert_true(xen_ring_push_responses(&f.back));
    ring_down(&f);
}

/* A backend that takes over goes on at rsp_prod and sees what is unanswered again. */
static void test_attach_in_the_middle(void)
{
    XenRing second;
    Fixture f;

    ring_up_at(&f, UINT32_MAX - 5);
    put_requests(&f, 20);
    xen_ring_push_requests(&f.front);
    take_requests(&f, 12);
    put_responses(&f, 9);
    xen_ring_push_responses(&f.back);

    g_assert_true(xen_ring_attach_back(&second, f.page, 1, sizeof(Request)));
    g_assert_cmpuint(second.prod, ==, f.back.prod);
    g_assert_cmpint(xen_ring_requests(&second), ==, 11);
    f.back = second;
    take_requests(&f, 11);
    put_responses(&f, 11);
    xen_ring_push_responses(&f.back);
    g_assert_cmpint(xen_ring_responses(&f.front), ==, 20);
    ring_down(&f);
}

static void test_attach_impossible(void)
{
    XenRing second;
    Fixture f;

    ring_up_at(&f, 5);
    f.page->req_prod = 5 + 257;
    g_assert_false(xen_ring_attach_back(&second, f.page, 1, sizeof(Request)));
    ring_down(&f);
}

#define STREAM 200000u

typedef struct Stream {
    Fixture f;
    int event; /* what an event channel is between two domains */
} Stream;

/* Waits for an event that must come: 10 s without one is a lost wakeup. */
static void wait_event(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    uint64_t n;

    g_assert_cmpint(poll(&p, 1, 10000), ==, 1);
    g_assert_cmpint(read(fd, &n, sizeof(n)), ==, sizeof(n));
}

static gpointer stream_backend(gpointer opaque)
{
    Stream *s = opaque;
    uint32_t next = 0;

    while (next < STREAM) {
        int n = xen_ring_requests(&s->f.back);

        g_assert_cmpint(n, >=, 0);
        if (n == 0) {
            if (!xen_ring_arm_requests(&s->f.back, 0)) {
                wait_event(s->event);
            }
            continue;
        }
        take_requests(&s->f, (uint32_t)n);
        put_responses(&s->f, (uint32_t)n);
        xen_ring_push_responses(&s->f.back);
        next += (uint32_t)n;
    }
    return NULL;
}

/* Two threads, one of them sleeping whenever it can: no wakeup is ever lost. */
static void test_no_lost_wakeup(void)
{
    Stream s = { .event = eventfd(0, EFD_CLOEXEC) };
    uint64_t one = 1;
    GThread *backend;

    ring_up_at(&s.f, UINT32_MAX - STREAM / 2);
    backend = g_thread_new("backend", stream_backend, &s);
    for (uint32_t sent = 0; sent < STREAM;) {
        int answered = xen_ring_responses(&s.f.front);
        uint32_t n;

        g_assert_cmpint(answered, >=, 0);
        s.f.front.cons += (uint32_t)answered;
        n = MIN(xen_ring_free_requests(&s.f.front), STREAM - sent);
        n = MIN(n, 1 + sent % 3);
        put_requests(&s.f, n);
        if (xen_ring_push_requests(&s.f.front)) {
            g_assert_cmpint(write(s.event, &one, sizeof(one)), ==, sizeof(one));
        }
        sent += n;
    }
    g_thread_join(backend);
    close(s.event);
    ring_down(&s.f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/xen/ring/entries", test_entries);
    g_test_add_func("/hw/xen/ring/entries-of-pages", test_entries_of_pages);
    g_test_add_func("/hw/xen/ring/ring-of-pages", test_ring_of_pages);
    g_test_add_func("/hw/xen/ring/round-trips", test_round_trips);
    g_test_add_func("/hw/xen/ring/wrap", test_wrap);
    g_test_add_func("/hw/xen/ring/impossible-requests", test_impossible_requests);
    g_test_add_func("/hw/xen/ring/requests-taken-back", test_requests_taken_back);
    g_test_add_func("/hw/xen/ring/impossible-responses", test_impossible_responses);
    g_test_add_func("/hw/xen/ring/own-index-is-private", test_own_index_is_private);
    g_test_add_func("/hw/xen/ring/request-events", test_request_events);
    g_test_add_func("/hw/xen/ring/request-events-ahead", test_request_events_ahead);
    g_test_add_func("/hw/xen/ring/response-events", test_response_events);
    g_test_add_func("/hw/xen/ring/attach-in-the-middle", test_attach_in_the_middle);
    g_test_add_func("/hw/xen/ring/attach-impossible", test_attach_impossible);
    g_test_add_func("/hw/xen/ring/no-lost-wakeup", test_no_lost_wakeup);
    return g_test_run();
}
