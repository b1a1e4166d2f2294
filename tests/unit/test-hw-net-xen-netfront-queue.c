/*
 * A queue of netfront: its event channels, its grants.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "netfront-queue.h"

#include <string.h>

static void test_single_event_channel(void)
{
    NetfrontPlan plan = nf_plan_all;
    VifFrame spec = { .payload = 100, .seed = 50 };
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    plan.split = false;
    nf_up(&f, &plan);
    g_assert_cmpuint(f.q->base.n_ports, ==, 1);
    nf_give_frame(&f, &spec, 0);
    nf_wait_requests(&f, 1);
    nf_take_packet(&f, p);
    nf_answer_packet(&f, p);
    nf_push_responses(&f, &f.tx);
    nf_expect_alive(&f);
    nf_down(&f);
}

/* Nobody waits for tx responses while there is room: no event is asked for. */
static void test_no_event_for_tx_response(void)
{
    VifFrame spec = { .payload = 100, .seed = 51 };
    g_autofree NfTxPacket *p = g_new0(NfTxPacket, 1);
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_give_frame(&f, &spec, 0);
    nf_wait_requests(&f, 1);
    nf_take_packet(&f, p);
    g_usleep(20000);
    nf_answer_packet(&f, p);
    g_assert_false(xen_ring_push_responses(&f.tx));
    nf_down(&f);
}

static void test_no_grants_left(void)
{
    g_autoptr(GError) error = NULL;
    NfTest f;

    nf_up(&f, &nf_plan_all);
    fake_xen_set_limit(f.xen, fake_xen_n_granted(f.xen) + 300);
    g_assert_null(netfront_queue_new(&f.nf, 0, &nf_plan_all, &error));
    g_assert_cmpstr(error->message, ==,
                    "cannot share 256 pages of queue 0 with domain 0: No space left on device "
                    "(the grant table is full)");
    nf_down(&f);
}

/* Pages that the backend still maps are freed a little later. */
static void test_busy_pages(void)
{
    NfTest f;

    nf_up(&f, &nf_plan_all);
    fake_xen_set_busy(f.xen, 7);
    netfront_queue_free(g_steal_pointer(&f.q));
    g_assert_cmpuint(fake_xen_n_granted(f.xen), >, 0);
    for (unsigned i = 0; i < 100 && fake_xen_n_granted(f.xen) > 0; i++) {
        g_main_context_iteration(NULL, true);
    }
    g_assert_cmpuint(f.nf.bus.pages_timer, ==, 0);
    nf_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netfront-queue/single-event-channel", test_single_event_channel);
    g_test_add_func("/netfront-queue/no-event-for-tx-response", test_no_event_for_tx_response);
    g_test_add_func("/netfront-queue/no-grants-left", test_no_grants_left);
    g_test_add_func("/netfront-queue/busy-pages", test_busy_pages);
    return g_test_run();
}
