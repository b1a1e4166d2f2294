/*
 * Guest to host through netfront: what it puts into the tx ring, what it makes of the responses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "netfront-queue.h"

#include <string.h>

static void test_tx_small(void)
{
    VifFrame spec = { .payload = 100, .seed = 1 };
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_give_frame(&f, &spec, 0);
    nf_wait_requests(&f, 1);
    nf_take_packet(&f, p);
    g_assert_cmpuint(p->flags, ==, 0);
    nf_assert_frame(&spec, p->data, p->len);
    g_assert_cmpuint(fake_xen_notified(f.xen, nf_tx_port(&f)), ==, 1);
    g_assert_cmpuint(counter_read(&f.stats->tx.packets), ==, 1);
    g_assert_cmpuint(counter_read(&f.stats->tx.bytes), ==, p->len);
    nf_answer_packet(&f, p);
    nf_push_responses(&f, &f.tx);
    nf_down(&f);
}

static void test_tx_many_slots(void)
{
    VifFrame spec = { .payload = 9000, .seed = 2 };
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_give_frame(&f, &spec, 0);
    nf_wait_requests(&f, 3);
    nf_take_packet(&f, p);
    g_assert_cmpuint(p->n_ids, ==, 3);
    g_assert_cmpuint(p->flags, ==, NETTXF_more_data);
    nf_assert_frame(&spec, p->data, p->len);
    nf_down(&f);
}

static void tx_gso(bool ipv6)
{
    VifFrame spec = { .ipv6 = ipv6, .csum_blank = true, .payload = 60000, .seed = 3 };
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_give_frame(&f, &spec, 1400);
    nf_wait_requests(&f, 16);
    nf_take_packet(&f, p);
    g_assert_cmpuint(p->flags, ==, NETTXF_more_data | NETTXF_extra_info | NETTXF_csum_blank |
                                       NETTXF_data_validated);
    g_assert_true(p->has_gso);
    g_assert_cmpuint(p->gso.u.gso.size, ==, 1400);
    g_assert_cmpuint(p->gso.u.gso.type, ==,
                     ipv6 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4);
    nf_assert_frame(&spec, p->data, p->len);
    nf_down(&f);
}

static void test_tx_gso4(void)
{
    tx_gso(false);
}

static void test_tx_gso6(void)
{
    tx_gso(true);
}

/* The backend takes no unfinished checksums: they come finished. */
static void test_tx_csum_completed(void)
{
    VifFrame specs[] = {
        { .csum_blank = true, .payload = 333, .seed = 4 },
        { .csum_blank = true, .ipv6 = true, .payload = 334, .seed = 5 },
        { .csum_blank = true, .udp = true, .payload = 335, .seed = 6 },
        { .csum_blank = true, .vlan = true, .payload = 336, .seed = 7 },
    };
    NetfrontPlan plan = nf_plan_all;
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    plan.tx_offload = 0;
    nf_up(&f, &plan);
    for (unsigned i = 0; i < G_N_ELEMENTS(specs); i++) {
        nf_give_frame(&f, &specs[i], 0);
        nf_wait_requests(&f, 1);
        nf_take_packet(&f, p);
        g_assert_cmpuint(p->flags, ==, 0);
        g_assert_true(vif_frame_complete(&specs[i], p->data, p->len));
    }
    nf_down(&f);
}

/* netif cannot say where a checksum starts: a VLAN tag means that we do it. */
static void test_tx_vlan_completed(void)
{
    VifFrame spec = { .csum_blank = true, .vlan = true, .payload = 200, .seed = 8 };
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_give_frame(&f, &spec, 0);
    nf_wait_requests(&f, 1);
    nf_take_packet(&f, p);
    g_assert_cmpuint(p->flags, ==, 0);
    g_assert_true(vif_frame_complete(&spec, p->data, p->len));
    nf_down(&f);
}

/* Takes the pieces of a GSO packet that was segmented, answers them. */
static void take_segments(NfTest *f, const VifFrame *spec)
{
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    size_t done = 0;

    while (done < spec->payload) {
        nf_wait_requests(f, 1);
        nf_take_packet(f, p);
        g_assert_cmpuint(p->flags, ==, 0);
        g_assert_true(vif_frame_complete(spec, p->data, p->len));
        for (size_t i = vif_frame_headers(spec); i < p->len; i++) {
            g_assert_cmpuint(p->data[i], ==, vif_frame_byte(spec, done++));
        }
        nf_answer_packet(f, p);
        nf_push_responses(f, &f->tx);
    }
    g_assert_cmpuint(done, ==, spec->payload);
}

/* A GSO packet that the backend does not take is segmented, and each piece is complete. */
static void tx_segment(VifFrame spec, NetfrontPlan plan, unsigned rounds)
{
    NfTest f;

    spec.csum_blank = true;
    nf_up(&f, &plan);
    for (unsigned r = 0; r < rounds; r++) {
        nf_give_frame(&f, &spec, 1000);
    }
    for (unsigned r = 0; r < rounds; r++) {
        take_segments(&f, &spec);
    }
    g_assert_cmpuint(counter_read(&f.stats->tx.drop_full), ==, 0);
    g_assert_cmpuint(counter_read(&f.stats->tx.drop_malformed), ==, 0);
    nf_down(&f);
}

static void test_tx_segment_no_gso(void)
{
    NetfrontPlan plan = nf_plan_all;

    plan.tx_offload = 0;
    plan.tx_max_len = NETFRONT_FRAME_MAX;
    tx_segment((VifFrame) { .payload = 60000, .seed = 9 }, plan, 1);
}

static void test_tx_segment_vlan(void)
{
    tx_segment((VifFrame) { .vlan = true, .ipv6 = true, .payload = 30500, .seed = 10 },
               nf_plan_all, 5);
}

/* 65,535 bytes are what a first slot can tell; a tap hands over 14 more. */
static void test_tx_segment_too_long(void)
{
    tx_segment((VifFrame) { .payload = 65535 - 40, .seed = 11 }, nf_plan_all, 1);
}

/*
 * A packet to be segmented comes when the pool's end has room for a packet and not for the
 * pieces, while its beginning is free.
 */
static void test_tx_segment_at_pool_end(void)
{
    VifFrame whole = { .csum_blank = true, .payload = 60000, .seed = 13 };
    VifFrame gso = { .vlan = true, .csum_blank = true, .payload = 60000, .seed = 14 };
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    nf_up(&f, &nf_plan_all);
    for (unsigned i = 0; i < 12; i++) {
        nf_give_frame(&f, &whole, 1400);
        nf_wait_requests(&f, 1);
        g_usleep(1000);
        nf_take_packet(&f, p);
        if (i < 11) {
            nf_answer_packet(&f, p);
        }
    }
    nf_push_responses(&f, &f.tx);
    fake_xen_raise(f.xen, nf_tx_port(&f));
    nf_give_frame(&f, &gso, 600);
    g_usleep(NF_QUIET_MS * 1000);
    nf_answer_packet(&f, p); /* the last one in flight: no other nf_answer will come */
    nf_push_responses(&f, &f.tx);
    fake_xen_raise(f.xen, nf_tx_port(&f));
    take_segments(&f, &gso);
    g_assert_cmpuint(counter_read(&f.stats->tx.drop_full), ==, 0);
    nf_down(&f);
}

/*
 * Pieces fill the ring while the netdev may have more: there is nothing to do until the
 * backend answers, so the thread may sleep, and an event is asked for.
 */
static void test_tx_segment_fills_ring(void)
{
    VifFrame spec = { .vlan = true, .csum_blank = true, .payload = 12000, .seed = 15 };
    NfTest f;
    uint32_t asked;

    nf_up_stopped(&f, &nf_plan_all);
    for (unsigned i = 0; i < 3; i++) {
        spec.payload = i < 2 ? 12000 : 1800; /* 120, 120 and 18 pieces */
        nf_give_frame(&f, &spec, 100);
        f.q->peer_end.ready = true;
        while (netfront_tx_poll(f.q)) {
            continue;
        }
    }
    g_assert_cmpuint(xen_ring_free_requests(&f.q->tx.ring), ==, 0);
    g_assert_true(f.q->peer_end.ready);
    g_assert_false(netfront_tx_arm(f.q));
    asked = f.q->tx.ring.page->rsp_event;
    g_assert_cmpuint(asked, >, 0);
    g_assert_cmpuint(asked, <=, 1 + NETFRONT_SLOTS / 2);
    nf_down(&f);
}

/*
 * More packets than slots and pages, answered in reverse order: every byte arrives, so
 * no page was used again before its nf_answer.
 */
static void test_tx_full_reverse(void)
{
    g_autofree NfTxPacket *pkts = g_new0(NfTxPacket, 256);
    unsigned seen = 0;
    NfTest f;

    nf_up(&f, &nf_plan_all);
    for (unsigned i = 0; i < 1000; i++) {
        VifFrame spec = { .payload = 20 + i * 7 % 6000, .seed = i };

        nf_give_frame(&f, &spec, 0);
    }
    while (seen < 1000) {
        unsigned n = 0;

        nf_wait_requests(&f, 1);
        g_usleep(2000);
        while (xen_ring_requests(&f.tx) > 0) {
            VifFrame spec = { .payload = 20 + seen * 7 % 6000, .seed = seen };

            nf_take_packet(&f, &pkts[n]);
            nf_assert_frame(&spec, pkts[n].data, pkts[n].len);
            n++;
            seen++;
        }
        while (n > 0) {
            nf_answer_packet(&f, &pkts[--n]);
        }
        nf_push_responses(&f, &f.tx);
    }
    nf_wait_counter(&f.stats->tx.packets, 1000);
    g_assert_null(xen_queue_fault(&f.q->base));
    nf_down(&f);
}

static void test_tx_error_counted(void)
{
    VifFrame spec = { .payload = 9000 };
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_give_frame(&f, &spec, 0);
    nf_wait_requests(&f, 3);
    nf_take_packet(&f, p);
    for (unsigned i = 0; i < 3; i++) {
        nf_answer(&f, p->ids[i], NETIF_RSP_ERROR);
    }
    nf_push_responses(&f, &f.tx);
    fake_xen_raise(f.xen, nf_tx_port(&f));
    nf_wait_counter(&f.stats->tx.drop_peer, 1);
    nf_down(&f);
}

static void tx_violation(uint16_t id_xor, int16_t status, unsigned copies, const char *reason)
{
    VifFrame spec = { .payload = 9000 };
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_give_frame(&f, &spec, 0);
    nf_wait_requests(&f, 3);
    nf_take_packet(&f, p);
    for (unsigned i = 0; i < copies; i++) {
        nf_answer(&f, p->ids[0] ^ id_xor, status);
    }
    xen_ring_push_responses(&f.tx);
    fake_xen_raise(f.xen, nf_tx_port(&f));
    nf_wait_broken(&f, reason);
    nf_down(&f);
}

static void test_tx_violation_unknown_id(void)
{
    tx_violation(0x4000, NETIF_RSP_OKAY, 1, "tx response for a request that is not in flight");
}

static void test_tx_violation_idle_id(void)
{
    tx_violation(0x80, NETIF_RSP_OKAY, 1, "tx response for a request that is not in flight");
}

static void test_tx_violation_twice(void)
{
    tx_violation(0, NETIF_RSP_OKAY, 2, "tx response for a request that is not in flight");
}

static void test_tx_violation_null(void)
{
    tx_violation(0, NETIF_RSP_NULL, 1, "tx response for an extra that is not in flight");
}

/* An extra's nf_answer is good for one: the second one would be a data slot's. */
static void test_tx_violation_null_twice(void)
{
    VifFrame spec = { .csum_blank = true, .payload = 9000, .seed = 12 };
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_give_frame(&f, &spec, 1400);
    nf_wait_requests(&f, 4);
    nf_take_packet(&f, p);
    g_assert_true(p->extra[1]);
    nf_answer(&f, p->ids[1], NETIF_RSP_NULL);
    xen_ring_push_responses(&f.tx);
    fake_xen_raise(f.xen, nf_tx_port(&f));
    g_usleep(NF_QUIET_MS * 1000);
    g_assert_null(xen_queue_fault(&f.q->base));
    nf_answer(&f, p->ids[1], NETIF_RSP_NULL);
    xen_ring_push_responses(&f.tx);
    fake_xen_raise(f.xen, nf_tx_port(&f));
    nf_wait_broken(&f, "tx response for an extra that is not in flight");
    nf_down(&f);
}

/*
 * One packet stays unanswered and all others get an extra's nf_answer: slots come back but
 * no ids, which must not run out.
 */
static void test_tx_violation_null_on_and_on(void)
{
    VifFrame spec = { .payload = 100 };
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_give_frame(&f, &spec, 0);
    nf_wait_requests(&f, 1);
    nf_take_packet(&f, p);
    nf_give_frame(&f, &spec, 0);
    for (unsigned i = 0; i < 2 * NETFRONT_SLOTS; i++) {
        if (!nf_wait_requests_or_broken(&f, 1)) {
            break;
        }
        nf_take_packet(&f, p);
        nf_give_frame(&f, &spec, 0);
        nf_answer(&f, p->ids[0], NETIF_RSP_NULL);
        xen_ring_push_responses(&f.tx);
        fake_xen_raise(f.xen, nf_tx_port(&f));
    }
    nf_wait_broken(&f, "tx response for an extra that is not in flight");
    nf_down(&f);
}

static void test_tx_violation_index(void)
{
    NfTest f;

    nf_up(&f, &nf_plan_all);
    __atomic_store_n(&f.tx.page->rsp_prod, 1, __ATOMIC_RELEASE);
    fake_xen_raise(f.xen, nf_tx_port(&f));
    nf_wait_broken(&f, "impossible tx response index");
    nf_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netfront-tx/small", test_tx_small);
    g_test_add_func("/netfront-tx/many-slots", test_tx_many_slots);
    g_test_add_func("/netfront-tx/gso4", test_tx_gso4);
    g_test_add_func("/netfront-tx/gso6", test_tx_gso6);
    g_test_add_func("/netfront-tx/csum-completed", test_tx_csum_completed);
    g_test_add_func("/netfront-tx/vlan-completed", test_tx_vlan_completed);
    g_test_add_func("/netfront-tx/segment-no-gso", test_tx_segment_no_gso);
    g_test_add_func("/netfront-tx/segment-vlan", test_tx_segment_vlan);
    g_test_add_func("/netfront-tx/segment-too-long", test_tx_segment_too_long);
    g_test_add_func("/netfront-tx/segment-at-pool-end", test_tx_segment_at_pool_end);
    g_test_add_func("/netfront-tx/segment-fills-ring", test_tx_segment_fills_ring);
    g_test_add_func("/netfront-tx/full-reverse", test_tx_full_reverse);
    g_test_add_func("/netfront-tx/error-counted", test_tx_error_counted);
    g_test_add_func("/netfront-tx/violation/unknown-id", test_tx_violation_unknown_id);
    g_test_add_func("/netfront-tx/violation/idle-id", test_tx_violation_idle_id);
    g_test_add_func("/netfront-tx/violation/twice", test_tx_violation_twice);
    g_test_add_func("/netfront-tx/violation/null", test_tx_violation_null);
    g_test_add_func("/netfront-tx/violation/null-twice", test_tx_violation_null_twice);
    g_test_add_func("/netfront-tx/violation/null-on-and-on", test_tx_violation_null_on_and_on);
    g_test_add_func("/netfront-tx/violation/index", test_tx_violation_index);
    return g_test_run();
}
