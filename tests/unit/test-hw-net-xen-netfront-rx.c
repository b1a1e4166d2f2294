/*
 * Host to guest through netfront: what it makes of the rx ring's responses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "netfront-queue.h"

#include <string.h>

static void test_rx_small(void)
{
    VifFrame spec = { .payload = 64, .seed = 20 };
    g_autofree FakePkt *p = NULL;
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_rx_frame(&f, &spec, NETRXF_data_validated, 4096, NULL);
    nf_push_responses(&f, &f.rx);
    p = fake_netdev_take(f.nd, 0, NF_WAIT_MS);
    g_assert_nonnull(p);
    g_assert_cmpuint(p->hdr.flags, ==, VIRTIO_NET_HDR_F_DATA_VALID);
    nf_assert_frame(&spec, p->data, p->len);
    nf_down(&f);
}

static void test_rx_chunks(void)
{
    static const uint32_t chunks[] = { 54, 700, 1500, 4096 };
    NfTest f;

    nf_up(&f, &nf_plan_all);
    for (unsigned i = 0; i < G_N_ELEMENTS(chunks); i++) {
        VifFrame spec = { .payload = chunks[i] * 17 - 60, .seed = 21 + i };

        spec.payload = MIN(spec.payload, 65000);
        nf_rx_frame(&f, &spec, 0, chunks[i], NULL);
        nf_push_responses(&f, &f.rx);
        nf_expect_frame(&f, &spec);
    }
    nf_down(&f);
}

static void test_rx_csum_blank(void)
{
    VifFrame spec = { .udp = true, .csum_blank = true, .payload = 900, .seed = 30 };
    g_autofree FakePkt *p = NULL;
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_rx_frame(&f, &spec, NETRXF_csum_blank | NETRXF_data_validated, 4096, NULL);
    nf_push_responses(&f, &f.rx);
    p = fake_netdev_take(f.nd, 0, NF_WAIT_MS);
    g_assert_nonnull(p);
    g_assert_cmpuint(p->hdr.flags, ==, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    g_assert_cmpuint(p->hdr.csum_start, ==, 34);
    g_assert_cmpuint(p->hdr.csum_offset, ==, 6);
    nf_assert_frame(&spec, p->data, p->len);
    nf_down(&f);
}

static void test_rx_gso(void)
{
    VifFrame spec = { .csum_blank = true, .payload = 60000, .seed = 31 };
    struct netif_extra_info gso = {
        .type = XEN_NETIF_EXTRA_TYPE_GSO,
        .u.gso = { .size = 1448, .type = XEN_NETIF_GSO_TYPE_TCPV4 },
    };
    g_autofree FakePkt *p = NULL;
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_rx_frame(&f, &spec, NETRXF_csum_blank | NETRXF_data_validated, 4096, &gso);
    nf_push_responses(&f, &f.rx);
    p = fake_netdev_take(f.nd, 0, NF_WAIT_MS);
    g_assert_nonnull(p);
    g_assert_cmpuint(p->hdr.gso_type, ==, VIRTIO_NET_HDR_GSO_TCPV4);
    g_assert_cmpuint(p->hdr.gso_size, ==, 1448);
    g_assert_cmpuint(p->hdr.hdr_len, ==, 54);
    g_assert_cmpuint(p->len, ==, 60054);
    nf_down(&f);
}

static void test_rx_hash_skipped(void)
{
    VifFrame spec = { .payload = 5000, .seed = 32 };
    struct netif_extra_info hash = { .type = XEN_NETIF_EXTRA_TYPE_HASH };
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_rx_frame(&f, &spec, 0, 4096, &hash);
    nf_push_responses(&f, &f.rx);
    nf_expect_frame(&f, &spec);
    nf_down(&f);
}

/* One bad packet: dropped and counted, and the next one arrives. */
static void rx_bad(void (*make)(NfTest *f))
{
    NfTest f;

    nf_up(&f, &nf_plan_all);
    make(&f);
    nf_push_responses(&f, &f.rx);
    nf_wait_counter(&f.stats->rx.drop_malformed, 1);
    nf_expect_alive(&f);
    nf_down(&f);
}

static void make_crossing(NfTest *f)
{
    nf_rx_slot(f, 0, 4000, 97, NULL);
}

static void make_short(NfTest *f)
{
    nf_rx_slot(f, NETRXF_more_data, 0, 13, NULL);
    nf_rx_slot(f, 0, 0, 100, NULL);
}

static void make_failed(NfTest *f)
{
    nf_rx_slot(f, NETRXF_more_data, 0, 4096, NULL);
    nf_rx_slot(f, 0, 0, NETIF_RSP_ERROR, NULL);
}

static void make_19_slots(NfTest *f)
{
    for (unsigned i = 0; i < 19; i++) {
        nf_rx_slot(f, i < 18 ? NETRXF_more_data : 0, 0, 100, NULL);
    }
}

static void make_too_long(NfTest *f)
{
    for (unsigned i = 0; i < 17; i++) {
        nf_rx_slot(f, i < 16 ? NETRXF_more_data : 0, 0, 4096, NULL);
    }
}

static void make_unknown_extra(NfTest *f)
{
    static const struct netif_extra_info extra = { .type = 99 };
    VifFrame spec = { .payload = 100 };

    nf_rx_frame(f, &spec, 0, 4096, &extra);
}

static void make_gso_of_udp(NfTest *f)
{
    static const struct netif_extra_info gso = {
        .type = XEN_NETIF_EXTRA_TYPE_GSO,
        .u.gso = { .size = 1448, .type = XEN_NETIF_GSO_TYPE_TCPV4 },
    };
    VifFrame spec = { .udp = true, .payload = 5000 };

    nf_rx_frame(f, &spec, 0, 4096, &gso);
}

static void make_foreign_id(NfTest *f)
{
    struct netif_rx_request req;
    struct netif_rx_response rsp = { .status = 100 };

    xen_ring_take_request(&f->rx, &req);
    rsp.id = req.id ^ 1;
    xen_ring_put_response(&f->rx, &rsp, sizeof(rsp));
}

static void test_rx_bad(gconstpointer make)
{
    void (*fn)(NfTest *f);

    memcpy(&fn, make, sizeof(fn));
    rx_bad(fn);
}

/* A packet may come in pieces; its slots are not given back before the last one. */
static void test_rx_in_rounds(void)
{
    VifFrame before = { .payload = 40, .seed = 40 };
    VifFrame spec = { .payload = 12000, .seed = 41 };
    g_autofree uint8_t *data = g_malloc(PKT_MAX_LEN);
    uint32_t len = (uint32_t)vif_frame_make(&spec, data);
    NfTest f;

    nf_up(&f, &nf_plan_all);
    nf_rx_frame(&f, &before, 0, 4096, NULL);
    nf_rx_slot(&f, NETRXF_more_data, 0, 4096, data);
    nf_push_responses(&f, &f.rx);
    nf_expect_frame(&f, &before);
    nf_rx_slot(&f, NETRXF_more_data, 0, 4096, data + 4096);
    nf_push_responses(&f, &f.rx);
    g_assert_null(fake_netdev_take(f.nd, 0, NF_QUIET_MS));
    g_assert_cmpuint(__atomic_load_n(&f.rx.page->req_prod, __ATOMIC_ACQUIRE), ==, 257);
    nf_rx_slot(&f, 0, 0, (int16_t)(len - 8192), data + 8192);
    nf_push_responses(&f, &f.rx);
    nf_expect_frame(&f, &spec);
    nf_expect_alive(&f);
    nf_down(&f);
}

/* A packet that never ends holds no slots for ever. */
static void test_rx_endless(void)
{
    NfTest f;

    nf_up(&f, &nf_plan_all);
    for (unsigned i = 0; i < 1000; i++) {
        nf_rx_slot(&f, NETRXF_more_data, 0, 100, NULL);
        nf_push_responses(&f, &f.rx);
    }
    nf_rx_slot(&f, 0, 0, 100, NULL);
    nf_push_responses(&f, &f.rx);
    nf_wait_counter(&f.stats->rx.drop_malformed, 1);
    nf_expect_alive(&f);
    nf_down(&f);
}

static void test_rx_violation_index(void)
{
    NfTest f;

    nf_up(&f, &nf_plan_all);
    __atomic_store_n(&f.rx.page->rsp_prod, 257, __ATOMIC_RELEASE);
    fake_xen_raise(f.xen, nf_rx_port(&f));
    nf_wait_broken(&f, "impossible rx response index");
    nf_down(&f);
}

static void test_rx_stream(void)
{
    NfTest f;

    nf_up(&f, &nf_plan_all);
    for (unsigned i = 0; i < 3000; i++) {
        VifFrame spec = { .payload = 20 + i * 13 % 9000, .seed = i };

        nf_rx_frame(&f, &spec, 0, 4096, NULL);
        if (i % 10 == 9) {
            nf_push_responses(&f, &f.rx);
        }
        if (i >= 10) {
            spec = (VifFrame) { .payload = 20 + (i - 10) * 13 % 9000, .seed = i - 10 };
            nf_expect_frame(&f, &spec);
        }
    }
    nf_down(&f);
}

#define ADD_BAD(name)                                                              \
    do {                                                                           \
        static void (*const fn)(NfTest *f) = make_##name;                         \
        g_test_add_data_func("/netfront-rx/bad/" #name, &fn, test_rx_bad);   \
    } while (0)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netfront-rx/small", test_rx_small);
    g_test_add_func("/netfront-rx/chunks", test_rx_chunks);
    g_test_add_func("/netfront-rx/csum-blank", test_rx_csum_blank);
    g_test_add_func("/netfront-rx/gso", test_rx_gso);
    g_test_add_func("/netfront-rx/hash-skipped", test_rx_hash_skipped);
    ADD_BAD(crossing);
    ADD_BAD(short);
    ADD_BAD(failed);
    ADD_BAD(19_slots);
    ADD_BAD(too_long);
    ADD_BAD(unknown_extra);
    ADD_BAD(gso_of_udp);
    ADD_BAD(foreign_id);
    g_test_add_func("/netfront-rx/in-rounds", test_rx_in_rounds);
    g_test_add_func("/netfront-rx/endless", test_rx_endless);
    g_test_add_func("/netfront-rx/violation/index", test_rx_violation_index);
    g_test_add_func("/netfront-rx/stream", test_rx_stream);
    return g_test_run();
}
