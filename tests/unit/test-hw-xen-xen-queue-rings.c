/*
 * Rings of one page and of more, mapped by a backend on an emulated Xen: all of their entries, both
 * sizes of blkif.h's requests, indices that pass 2^32, and what no frontend may say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "toy-disk.h"

#include <string.h>

#define ORDERS 5u /* up to XEN_RING_MAX_PAGES */
#define WRAPS  0xfffffff0u

/* Some requests, then the whole ring full of them a few times: each entry was used. */
static void round_trips(unsigned order, uint32_t start, unsigned entry_size)
{
    unsigned size = 32u << order;
    ToyDisk d;

    toy_disk_up(&d, 1, 1u << order, start, entry_size);
    g_assert_cmpuint(d.front[0].ring.size, ==, size);
    toy_disk_connect(&d, 4);
    toy_disk_requests(&d, 0, 5);
    for (unsigned i = 0; i < 3; i++) {
        toy_disk_requests(&d, 0, size);
    }
    toy_disk_requests(&d, 0, size - 1);
    g_assert_cmpuint(d.front[0].ring.page->rsp_prod, ==, start + 4 * size + 4);
    toy_disk_down(&d);
}

static void test_round_trips(void)
{
    for (unsigned order = 0; order < ORDERS; order++) {
        round_trips(order, 0, TOY_DISK_ENTRY);
        round_trips(order, 0, 108);
    }
}

static void test_wrap(void)
{
    for (unsigned order = 0; order < ORDERS; order++) {
        round_trips(order, WRAPS, TOY_DISK_ENTRY);
    }
}

/* Pages in any order of their references: the ring is what the keys say. */
static void test_order_of_pages(void)
{
    g_autofree char *first = NULL, *last = NULL;
    uint8_t req[TOY_DISK_ENTRY] = { 0 }, *entry;
    XenRing *ring;
    ToyDisk d;

    toy_disk_up(&d, 1, 4, 0, TOY_DISK_ENTRY);
    first = xen_store_read(d.f.domu, 0, TOY_FE "/ring-ref1");
    last = xen_store_read(d.f.domu, 0, TOY_FE "/ring-ref3");
    toy_put(&d.f, TOY_FE, "ring-ref1", last);
    toy_put(&d.f, TOY_FE, "ring-ref3", first);
    toy_disk_connect(&d, 4);
    ring = &d.front[0].ring;
    /* entry 40 is in the second page as the backend sees it, which is our fourth one */
    for (unsigned i = 0; i < 41; i++) {
        xen_ring_put_request(ring, req);
    }
    memset((uint8_t *)d.front[0].pages + 3 * XEN_PAGE_SIZE, 0x5a, XEN_PAGE_SIZE);
    xen_ring_push_requests(ring);
    toy_disk_notify(&d, 0);
    TOY_WAIT(xen_ring_responses(ring) == 41);
    entry = xen_ring_entry(ring, 40);
    g_assert_cmpuint(entry[15], ==, 0);
    g_assert_cmpuint(entry[2 * XEN_PAGE_SIZE + 15], ==, 0x5a ^ 0xff);
    toy_disk_down(&d);
}

/* Requests that were there before: a backend goes on at rsp_prod, and hears of them by itself. */
static void test_attach_in_the_middle(void)
{
    static const uint32_t starts[] = { 0, 7, WRAPS };

    for (unsigned i = 0; i < G_N_ELEMENTS(starts); i++) {
        for (unsigned n = 0; n <= 64; n += 32) {
            uint8_t req[TOY_DISK_ENTRY] = { 0 };
            ToyDisk d;

            toy_disk_up(&d, 1, 2, starts[i], TOY_DISK_ENTRY);
            for (unsigned k = 0; k < n; k++) {
                xen_ring_put_request(&d.front[0].ring, req);
            }
            xen_ring_push_requests(&d.front[0].ring);
            toy_disk_connect(&d, 4);
            TOY_WAIT(xen_ring_responses(&d.front[0].ring) == (int)n);
            d.front[0].ring.cons += n;
            toy_disk_requests(&d, 0, 9);
            toy_disk_down(&d);
        }
    }
}

/* One request more than the ring holds: nothing is taken, nothing stays mapped. */
static void test_attach_impossible(void)
{
    static const uint32_t ahead[] = { 65, 0x80000000, 0xffffffff };

    for (unsigned i = 0; i < G_N_ELEMENTS(ahead); i++) {
        ToyDisk d;

        toy_disk_up(&d, 1, 2, WRAPS, TOY_DISK_ENTRY);
        d.front[0].ring.page->req_prod = WRAPS + ahead[i];
        toy_front(&d.f, 4);
        TOY_WAIT(toy_is(&d.f, TOY_BE, "state", "5"));
        g_assert_cmpstr(d.bus.error, ==, "queue 0: the ring's req_prod is impossible");
        g_assert_cmpuint(d.made, ==, 0);
        toy_disk_down(&d);
    }
}

/* One page of them that cannot be mapped: none stays mapped. */
static void test_unmappable_page(void)
{
    ToyDisk d;

    toy_disk_up(&d, 1, 4, 0, TOY_DISK_ENTRY);
    toy_put(&d.f, TOY_FE, "ring-ref3", "30000");
    toy_front(&d.f, 4);
    TOY_WAIT(toy_is(&d.f, TOY_BE, "state", "5"));
    g_assert_true(g_str_has_prefix(d.bus.error, "queue 0: cannot map ring-ref "));
    g_assert_nonnull(strstr(d.bus.error, " and those behind it: "));
    toy_disk_down(&d);
}

/* While it runs: the ring halts once, whatever comes on it later, and takes no time. */
static void test_halts_once(void)
{
    static const uint32_t ahead[] = { 65, 0x80000000, 0xffffffff };

    for (unsigned i = 0; i < G_N_ELEMENTS(ahead); i++) {
        XenRing *ring;
        unsigned polls;
        ToyDisk d;

        toy_disk_up(&d, 2, 2, WRAPS, TOY_DISK_ENTRY);
        d.keep_others = true;
        toy_disk_connect(&d, 4);
        toy_disk_requests(&d, 1, 20);
        ring = &d.front[1].ring;
        ring->page->req_prod = ring->prod + ahead[i];
        toy_disk_notify(&d, 1);
        TOY_WAIT(d.faults_told == 1);
        g_assert_cmpstr(d.fault, ==, "queue 1: the ring's req_prod is impossible");
        g_assert_cmpuint(ring->page->rsp_prod, ==, ring->cons);
        ring->page->req_prod = ring->prod; /* too late */
        polls = toy_disk_polls(&d, 1);
        for (unsigned k = 0; k < 20; k++) {
            toy_disk_notify(&d, 1);
            toy_settle_once();
        }
        g_assert_cmpuint(toy_disk_polls(&d, 1), ==, polls);
        g_assert_cmpuint(d.faults_told, ==, 1);
        toy_disk_requests(&d, 0, 64); /* the other one goes on */
        toy_front(&d.f, 6);
        TOY_WAIT(toy_is(&d.f, TOY_BE, "state", "6"));
        g_assert_cmpuint(d.made, ==, 0);
        toy_disk_down(&d);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/xen/queue-rings/round-trips", test_round_trips);
    g_test_add_func("/hw/xen/queue-rings/wrap", test_wrap);
    g_test_add_func("/hw/xen/queue-rings/order-of-pages", test_order_of_pages);
    g_test_add_func("/hw/xen/queue-rings/attach-in-the-middle", test_attach_in_the_middle);
    g_test_add_func("/hw/xen/queue-rings/attach-impossible", test_attach_impossible);
    g_test_add_func("/hw/xen/queue-rings/unmappable-page", test_unmappable_page);
    g_test_add_func("/hw/xen/queue-rings/halts-once", test_halts_once);
    return g_test_run();
}
