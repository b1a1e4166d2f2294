/*
 * Room in front of rx packets for an XDP program of the guest: what Linux's netfront asks for
 * when one is loaded and takes back when it goes, and reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vif-test.h"

#include <string.h>

#define CONNECTED      4
#define RECONFIGURING  7
#define RECONFIGURED   8
#define MSS            1448

/* As netfront does it; back in Connected when the backend is, too. */
static void reconfigure(Front *f, const char *headroom)
{
    front_write(f, "xdp-headroom", "%s", headroom);
    front_set_state(f, RECONFIGURING);
    front_wait_back(f, RECONFIGURED);
    front_set_state(f, CONNECTED);
    front_wait_back(f, CONNECTED);
}

/* A UDP frame of @len bytes arrives whole, with @headroom, in @slots of the ring. */
static void expect_frame(VifTest *t, FrontQueue *q, uint32_t len, unsigned headroom,
                         unsigned slots)
{
    VifFrame f = { .udp = true, .payload = len - 42 };
    g_autofree FrontFrame *got = g_new(FrontFrame, 1);
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    struct virtio_net_hdr hdr = { 0 };

    g_assert_cmpuint(vif_frame_make(&f, frame), ==, len);
    front_rx_post(q, slots);
    host_tap_send(t->tap, &hdr, frame, len);
    g_assert_true(front_rx_recv(q, got, QTEST_TIMEOUT_MS));
    g_assert_cmpmem(got->data, got->len, frame, len);
    g_assert_cmpuint(got->headroom, ==, headroom);
    g_assert_cmpuint(got->slots, ==, slots);
    g_assert_cmpuint(front_rx_waiting(q), ==, 0);
}

static void test_offered(VifTest *t)
{
    g_autofree char *offered = front_read_back(t->f, "feature-xdp-headroom");

    g_assert_cmpstr(offered, ==, "1");
}

static void test_switched(VifTest *t)
{
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });

    for (unsigned i = 0; i < 3; i++) {
        expect_frame(t, q, 1514, 0, 1);
        reconfigure(t->f, "256");
        expect_frame(t, q, 1514, 256, 2);
        reconfigure(t->f, "0");
    }
    expect_frame(t, q, 1514, 0, 1);
}

/* The queue that the next packet arrived in, with headroom. */
static unsigned expect_some_queue(Front *f, FrontFrame *got)
{
    for (unsigned round = 0; round < QTEST_TIMEOUT_MS; round++) {
        for (unsigned i = 0; i < f->n_queues; i++) {
            if (front_rx_recv(f->queue[i], got, 0)) {
                g_assert_cmpuint(got->headroom, ==, 256);
                return i;
            }
        }
        g_usleep(1000);
    }
    g_error("a packet did not arrive");
}

/* All queues, and before the answer: netfront loads its program behind that. */
static void test_each_queue(VifTest *t)
{
    VifFrame f = { .udp = true, .payload = 100 };
    g_autofree FrontFrame *got = g_new(FrontFrame, 1);
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    struct virtio_net_hdr hdr = { 0 };
    size_t len = vif_frame_make(&f, frame);
    unsigned seen = 0;

    vif_test_connect(t, &(FrontConfig){ .queues = 4 });
    reconfigure(t->f, "256");
    for (unsigned i = 0; i < 4; i++) {
        front_rx_post(t->f->queue[i], 250);
    }
    for (unsigned port = 1; seen != 0xf && port < 120; port++) {
        frame[vif_frame_l4(&f) + 1] = (uint8_t)port; /* the tap spreads flows */
        host_tap_send(t->tap, &hdr, frame, len);
        seen |= 1u << expect_some_queue(t->f, got);
    }
    g_assert_cmpuint(seen, ==, 0xf);
}

/* It may be there when the frontend connects: netfront comes back so behind a migration. */
static void test_at_connect(VifTest *t)
{
    FrontQueue *q;

    front_write(t->f, "xdp-headroom", "256");
    q = vif_test_connect(t, &(FrontConfig){ 0 });
    expect_frame(t, q, 1514, 256, 2);
    front_disconnect(t->f);
    front_remove(t->f, "xdp-headroom");
    q = vif_test_connect(t, &(FrontConfig){ 0 });
    expect_frame(t, q, 1514, 0, 1); /* what was asked for ended with the connection */
}

/* The headroom counts in the slots; behind the first one there is none. */
static void test_sizes(VifTest *t)
{
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });

    host_tap_set_mtu(t->tap, 65521);
    reconfigure(t->f, "256");
    expect_frame(t, q, 42, 256, 2);
    expect_frame(t, q, 4096 - 256, 256, 2);
    expect_frame(t, q, 4096 - 255, 256, 3);
    expect_frame(t, q, 4096 + 4096 - 256, 256, 3);
    expect_frame(t, q, 65535, 256, 18);
}

static void test_waits_for_all_slots(VifTest *t)
{
    VifFrame f = { .udp = true, .payload = 4096 - 255 - 42 };
    g_autofree FrontFrame *got = g_new(FrontFrame, 1);
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    struct virtio_net_hdr hdr = { 0 };
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });

    host_tap_set_mtu(t->tap, 9000);
    reconfigure(t->f, "256");
    front_rx_post(q, 2);
    host_tap_send(t->tap, &hdr, frame, vif_frame_make(&f, frame));
    g_assert_false(front_rx_recv(q, got, VIF_QUIET_MS));
    front_rx_post(q, 1);
    g_assert_true(front_rx_recv(q, got, QTEST_TIMEOUT_MS));
    g_assert_cmpuint(got->slots, ==, 3);
}

static void test_values(VifTest *t)
{
    static const struct {
        const char *value;
        unsigned headroom;
    } cases[] = {
        { "1", 1 }, { "64", 64 }, { "257", 256 }, { "4082", 256 }, { "32767", 256 },
        { "65535", 256 }, { "4294967295", 256 },
        { "many", 256 }, { "-1", 256 }, { "", 256 }, /* stays what it was */
    };
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        reconfigure(t->f, cases[i].value);
        expect_frame(t, q, 1000, cases[i].headroom, 2);
    }
}

static void test_no_sg(VifTest *t)
{
    VifFrame f = { .udp = true, .payload = 4096 - 255 - 42 };
    g_autofree FrontFrame *got = g_new(FrontFrame, 1);
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    struct virtio_net_hdr hdr = { 0 };
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ .no_sg = true });

    host_tap_set_mtu(t->tap, 9000);
    reconfigure(t->f, "256");
    expect_frame(t, q, 4096 - 256, 256, 2);
    front_rx_post(q, 3);
    host_tap_send(t->tap, &hdr, frame, vif_frame_make(&f, frame));
    qtest_wait_for(vif_test_counter(t, 0, "rx", "drop-malformed") == 1);
    g_assert_false(front_rx_recv(q, got, VIF_QUIET_MS));
}

/* A program sees packets of one slot only, and netfront drops the others: none are sent. */
static void test_gso_is_segmented(VifTest *t)
{
    VifFrame f = { .payload = 20000, .csum_blank = true };
    struct virtio_net_hdr hdr = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
        .gso_size = MSS, .hdr_len = (uint16_t)vif_frame_headers(&f),
        .csum_start = (uint16_t)vif_frame_l4(&f), .csum_offset = 16,
    };
    g_autofree FrontFrame *got = g_new(FrontFrame, 1);
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    size_t headers = vif_frame_headers(&f), at = 0;

    reconfigure(t->f, "256");
    front_rx_post(q, 40);
    host_tap_send(t->tap, &hdr, frame, vif_frame_make(&f, frame));
    while (at < f.payload) {
        g_assert_true(front_rx_recv(q, got, QTEST_TIMEOUT_MS));
        g_assert_cmpuint(got->headroom, ==, 256);
        g_assert_cmpuint(got->gso_type, ==, 0);
        g_assert_cmpuint(got->slots, ==, 2);
        g_assert_cmpmem(got->data + headers, got->len - headers, frame + headers + at,
                        MIN(MSS, f.payload - at));
        at += got->len - headers;
    }
    g_assert_cmpuint(at, ==, f.payload);
}

static const VifTestCase cases[] = {
    { "offered", test_offered },
    { "switched", test_switched },
    { "each-queue", test_each_queue, .queues = 4 },
    { "at-connect", test_at_connect },
    { "sizes", test_sizes },
    { "waits-for-all-slots", test_waits_for_all_slots },
    { "values", test_values },
    { "no-sg", test_no_sg },
    { "gso-is-segmented", test_gso_is_segmented },
    { NULL },
};

int main(int argc, char **argv)
{
    return vif_test_main(argc, argv, "/vif/xdp", cases);
}
