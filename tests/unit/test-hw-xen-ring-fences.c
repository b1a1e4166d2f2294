/*
 * The full fences of the rings: each end writes its index, then looks at the other's. The other
 * end acts in the moment of the fence here, so a fence that is missing, or in another place, is
 * seen each time, while on a processor it is once in a million.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

static void ring_fence(void);
#define __atomic_thread_fence(order) ring_fence()

#include "hw/xen/ring.h"

#undef __atomic_thread_fence

typedef uint64_t Slot;

static struct {
    XenRingHeader *page;
    XenRing front;
    XenRing back;
    void (*at_fence)(void); /* what the other end does */
    unsigned fences;
} t;

static void ring_fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    t.fences++;
    t.at_fence();
}

static void up(void (*at_fence)(void))
{
    t.page = g_aligned_alloc0(1, XEN_RING_PAGE_SIZE, XEN_RING_PAGE_SIZE);
    xen_ring_init_front(&t.front, t.page, 1, sizeof(Slot));
    t.page->req_event = t.page->rsp_event = 0; /* nobody wants an event yet */
    g_assert_true(xen_ring_attach_back(&t.back, t.page, 1, sizeof(Slot)));
    t.at_fence = at_fence;
    t.fences = 0;
}

static void down(void)
{
    g_assert_cmpuint(t.fences, ==, 1);
    g_aligned_free(t.page);
}

static void want_response_event(void)
{
    g_assert_cmpuint(t.page->rsp_prod, ==, 1); /* it would be seen by who looks now */
    t.page->rsp_event = 1;
}

static void test_push_responses(void)
{
    Slot rsp = 0;

    up(want_response_event);
    xen_ring_put_response(&t.back, &rsp, sizeof(rsp));
    g_assert_true(xen_ring_push_responses(&t.back));
    down();
}

static void want_request_event(void)
{
    g_assert_cmpuint(t.page->req_prod, ==, 1);
    t.page->req_event = 1;
}

static void test_push_requests(void)
{
    Slot req = 0;

    up(want_request_event);
    xen_ring_put_request(&t.front, &req);
    g_assert_true(xen_ring_push_requests(&t.front));
    down();
}

static void publish_request(void)
{
    g_assert_cmpuint(t.page->req_event, ==, 1); /* who publishes now would send the event */
    t.page->req_prod = 1;
}

static void test_arm_requests(void)
{
    up(publish_request);
    g_assert_true(xen_ring_arm_requests(&t.back, 0));
    down();
}

static void publish_response(void)
{
    g_assert_cmpuint(t.page->rsp_event, ==, 1);
    t.page->rsp_prod = 1;
}

static void test_arm_responses(void)
{
    up(publish_response);
    g_assert_true(xen_ring_arm_responses(&t.front, 0));
    down();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/xen/ring/fence/push-responses", test_push_responses);
    g_test_add_func("/hw/xen/ring/fence/push-requests", test_push_requests);
    g_test_add_func("/hw/xen/ring/fence/arm-requests", test_arm_requests);
    g_test_add_func("/hw/xen/ring/fence/arm-responses", test_arm_responses);
    return g_test_run();
}
