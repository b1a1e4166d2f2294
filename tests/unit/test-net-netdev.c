/*
 * netdev_send() in front of a netdev that takes complete packets only, and the link's
 * state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/netdev.h"

#include <glib.h>
#include <string.h>

#include "frames.h"
#include "net/netdev-impl.h"

/* A netdev that keeps the lengths of what it took and is full after @room packets. */
typedef struct Fake {
    Netdev nd;
    NetdevQueue q;
    NetdevQueue *queues[1];
    unsigned room;
    unsigned n_calls;
    unsigned n_taken;
    uint32_t len[512];
    bool all_plain; /* no header asked for anything */
    const FrameSpec *spec;
    unsigned n_changes;
    unsigned n_waiting; /* to be read */
    GString *steps;     /* to other numbers of queues; NULL: nobody looks */
    unsigned stuck;     /* no way to less than so many */
} Fake;

static unsigned fake_send(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    Fake *fake = (Fake *)q->nd;
    unsigned i;

    fake->n_calls++;
    for (i = 0; i < n && fake->n_taken < fake->room; i++) {
        fake->len[fake->n_taken % G_N_ELEMENTS(fake->len)] = pkt[i].len;
        fake->n_taken++;
        fake->all_plain = fake->all_plain && pkt[i].hdr->flags == 0 &&
                          pkt[i].hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE;
        if (fake->spec) {
            g_assert_true(frame_is_complete(pkt[i].iov[0].iov_base, pkt[i].len, fake->spec));
        }
    }
    return i;
}

static unsigned fake_recv(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                          unsigned max)
{
    Fake *fake = (Fake *)q->nd;
    unsigned n;

    for (n = 0; n < max && fake->n_waiting > 0 && pkt_arena_next(arena); n++) {
        fake->n_waiting--;
        pkt_arena_take(arena, 3000);
    }
    return n;
}

static bool fake_set_active(Netdev *nd, unsigned n, GError **error)
{
    Fake *fake = (Fake *)nd;

    g_string_append_printf(fake->steps, "=%u", n);
    if (n < fake->stuck) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "stuck");
    }
    return n >= fake->stuck;
}

static const NetdevOps fake_ops = { .type = "fake", .send = fake_send, .recv = fake_recv,
                                    .set_active = fake_set_active };

static void fake_init(Fake *fake, bool scratch)
{
    memset(fake, 0, sizeof(*fake));
    fake->nd.ops = &fake_ops;
    fake->nd.n_queues = 1;
    fake->nd.queue = fake->queues;
    fake->queues[0] = &fake->q;
    fake->q.nd = &fake->nd;
    fake->room = G_N_ELEMENTS(fake->len);
    fake->all_plain = true;
    g_assert_true(!scratch || netdev_add_scratch(&fake->nd, NULL));
}

typedef struct Packet {
    struct virtio_net_hdr_v1 hdr;
    struct iovec iov;
    uint8_t frame[FRAME_MAX];
} Packet;

static void make_packet(Packet *p, Pkt *pkt, const FrameSpec *s, uint16_t mss)
{
    size_t len = frame_build(p->frame, s);
    PktHeaders h;

    memset(&p->hdr, 0, sizeof(p->hdr));
    p->iov = (struct iovec){ p->frame, len };
    *pkt = (Pkt){ .hdr = &p->hdr, .iov = &p->iov, .n_iov = 1, .len = (uint32_t)len };
    g_assert_true(pkt_parse(p->frame, len, &h));
    if (mss > 0) {
        g_assert_true(pkt_set_gso(pkt, &h, (uint8_t)s->ip_version, mss));
    } else {
        g_assert_true(pkt_set_csum(pkt, &h, true));
    }
}

static void test_packets_are_finished(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 3000 };
    g_autofree Packet *p = g_new(Packet, 4);
    Pkt pkt[4];
    Fake fake;
    unsigned i;

    fake_init(&fake, true);
    fake.spec = &s;
    for (i = 0; i < 4; i++) {
        make_packet(&p[i], &pkt[i], &s, i == 2 ? 1000 : 0);
    }
    g_assert_cmpuint(netdev_send(&fake.q, pkt, 4), ==, 4);
    g_assert_cmpuint(fake.n_taken, ==, 6);
    g_assert_cmpuint(fake.n_calls, ==, 3); /* two, the three segments, the last */
    g_assert_cmpuint(fake.len[0], ==, 3054);
    g_assert_cmpuint(fake.len[2], ==, 1054);
    g_assert_cmpuint(fake.len[5], ==, 3054);
    g_assert_true(fake.all_plain);
    g_assert_cmpuint(fake.q.refused, ==, 0);
    netdev_remove_scratch(&fake.nd);
}

/* From a guest whose driver pads its frames, to a netdev without a vnet header. */
static void test_padding_is_no_payload(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 0 };
    g_autofree Packet *p = g_new(Packet, 1);
    Fake fake;
    Pkt pkt;

    fake_init(&fake, true);
    make_packet(p, &pkt, &s, 0);
    memset(p->frame + pkt.len, 0x5a, 6);
    pkt.len += 6;
    p->iov.iov_len += 6;
    g_assert_cmpuint(netdev_send(&fake.q, &pkt, 1), ==, 1);
    g_assert_cmpuint(fake.len[0], ==, 60);
    g_assert_true(frame_is_complete(p->frame, 54, &s));
    netdev_remove_scratch(&fake.nd);
}

static void test_broken_packets_are_refused(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 3000 };
    g_autofree Packet *p = g_new(Packet, 4);
    Pkt pkt[4];
    Fake fake;
    unsigned i;

    fake_init(&fake, true);
    for (i = 0; i < 4; i++) {
        make_packet(&p[i], &pkt[i], &s, i == 2 ? 1000 : 0);
    }
    p[0].hdr.csum_start = 60000;
    p[2].frame[12] = 0; /* no IP any more */
    g_assert_cmpuint(netdev_send(&fake.q, pkt, 4), ==, 4);
    g_assert_cmpuint(fake.n_taken, ==, 2);
    g_assert_cmpuint(fake.q.refused, ==, 2);
    g_assert_true(fake.all_plain);
    netdev_remove_scratch(&fake.nd);
}

/* Stops at every possible place and goes on from there: nothing is lost, or comes twice. */
static void test_full_netdev_is_resumed(void)
{
    FrameSpec s = { .ip_version = 6, .payload = 2500 };
    g_autofree Packet *p = g_new(Packet, 3);
    unsigned room;

    for (room = 0; room <= 5; room++) {
        Pkt pkt[3];
        Fake fake;
        unsigned sent;

        fake_init(&fake, true);
        fake.spec = &s;
        fake.room = room;
        make_packet(&p[0], &pkt[0], &s, 0);
        make_packet(&p[1], &pkt[1], &s, 1000);
        make_packet(&p[2], &pkt[2], &s, 0);
        sent = netdev_send(&fake.q, pkt, 3);
        g_assert_cmpuint(sent, ==, room == 0 ? 0 : room < 4 ? 1 : room == 4 ? 2 : 3);
        g_assert_true(fake.q.full == (room < 5));
        fake.room = 100;
        g_assert_cmpuint(netdev_send(&fake.q, pkt + sent, 3 - sent), ==, 3 - sent);
        g_assert_false(fake.q.full);
        g_assert_cmpuint(fake.n_taken, ==, 5);
        g_assert_cmpuint(fake.q.refused, ==, 0);
        g_assert_true(fake.all_plain);
        netdev_remove_scratch(&fake.nd);
    }
}

/* 2500 segments in all: a call has a bounded number of them, and is no full netdev. */
static void test_segments_in_rounds(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 2500 };
    g_autofree Packet *p = g_new(Packet, 1);
    unsigned rounds = 1;
    Fake fake;
    Pkt pkt;

    fake_init(&fake, true);
    fake.spec = &s;
    fake.room = UINT_MAX;
    make_packet(p, &pkt, &s, 1);
    while (netdev_send(&fake.q, &pkt, 1) == 0) {
        g_assert_false(fake.q.full);
        rounds++;
    }
    g_assert_cmpuint(rounds, ==, (2500 + 63) / 64);
    g_assert_cmpuint(fake.n_taken, ==, 2500);
    netdev_remove_scratch(&fake.nd);
}

/* Who drops the rest says so, and the next packet is sent from its beginning. */
static void test_dropped_rest(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 2500 };
    g_autofree Packet *p = g_new(Packet, 2);
    Pkt pkt[2];
    Fake fake;

    fake_init(&fake, true);
    fake.spec = &s;
    fake.room = 2;
    make_packet(&p[0], &pkt[0], &s, 1000);
    make_packet(&p[1], &pkt[1], &s, 1000);
    g_assert_cmpuint(netdev_send(&fake.q, pkt, 1), ==, 0);
    netdev_send_stop(&fake.q);
    fake.room = 100;
    g_assert_cmpuint(netdev_send(&fake.q, pkt + 1, 1), ==, 1);
    g_assert_cmpuint(fake.n_taken, ==, 5);
    g_assert_cmpuint(fake.len[2], ==, 1054);
    netdev_remove_scratch(&fake.nd);
}

static void test_header_goes_through(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 3000 };
    g_autofree Packet *p = g_new(Packet, 1);
    Pkt pkt;
    Fake fake;

    fake_init(&fake, false);
    make_packet(p, &pkt, &s, 1000);
    g_assert_cmpuint(netdev_send(&fake.q, &pkt, 1), ==, 1);
    g_assert_cmpuint(fake.n_taken, ==, 1);
    g_assert_false(fake.all_plain);
}

static void count_change(void *opaque)
{
    ((Fake *)opaque)->n_changes++;
}

static void test_link_is_carrier_and_set_link(void)
{
    Fake fake;

    fake_init(&fake, false);
    fake.nd.changed = count_change;
    fake.nd.changed_opaque = &fake;
    netdev_set_state(&fake.nd, 1500, true);
    g_assert_true(fake.nd.link_up);
    g_assert_cmpuint(fake.n_changes, ==, 1);
    netdev_set_state(&fake.nd, 1500, true);
    g_assert_cmpuint(fake.n_changes, ==, 1);
    netdev_set_link(&fake.nd, false);
    g_assert_false(fake.nd.link_up);
    netdev_set_state(&fake.nd, 1500, false);
    netdev_set_state(&fake.nd, 1500, true);
    g_assert_false(fake.nd.link_up);
    g_assert_cmpuint(fake.n_changes, ==, 2);
    netdev_set_state(&fake.nd, 9000, true);
    g_assert_cmpuint(fake.nd.mtu, ==, 9000);
    g_assert_cmpuint(fake.n_changes, ==, 3);
    netdev_set_link(&fake.nd, true);
    g_assert_true(fake.nd.link_up);
    g_assert_cmpuint(fake.n_changes, ==, 4);
}

static void test_link_off_takes_and_loses(void)
{
    g_autofree Packet *p = g_new0(Packet, 1);
    FrameSpec spec = { .ip_version = 4, .payload = 100, .udp = true };
    Pkt pkt[2];
    Fake fake;

    fake_init(&fake, false);
    make_packet(p, &pkt[0], &spec, 0);
    pkt[1] = pkt[0];
    netdev_set_link(&fake.nd, false);
    g_assert_cmpuint(netdev_send(&fake.q, pkt, 2), ==, 2);
    g_assert_cmpuint(fake.n_taken, ==, 0);
    g_assert_cmpuint(fake.q.refused, ==, 2);
    netdev_set_link(&fake.nd, true);
    g_assert_cmpuint(netdev_send(&fake.q, pkt, 2), ==, 2);
    g_assert_cmpuint(fake.n_taken, ==, 2);
    g_assert_cmpuint(fake.q.refused, ==, 2);
}

/* Whatever is in there when the link is on again is new. */
static void test_link_off_empties_what_is_read(void)
{
    PktArena arena = { 0 };
    struct iovec iov[8];
    Pkt pkt[8];
    Fake fake;

    fake_init(&fake, false);
    g_assert_cmpint(pkt_arena_init(&arena, 4 * 4096 + PKT_ARENA_MIN), ==, 0);
    fake.n_waiting = 100;
    netdev_set_link(&fake.nd, false);
    g_assert_cmpuint(netdev_recv(&fake.q, &arena, pkt, iov, 8), ==, 0);
    g_assert_cmpuint(fake.n_waiting, ==, 0);
    g_assert_cmpuint(arena.used, ==, 0);
    fake.n_waiting = UINT_MAX; /* never empty: it ends all the same */
    g_assert_cmpuint(netdev_recv(&fake.q, &arena, pkt, iov, 8), ==, 0);
    fake.n_waiting = 3;
    netdev_set_link(&fake.nd, true);
    g_assert_cmpuint(netdev_recv(&fake.q, &arena, pkt, iov, 8), ==, 3);
    pkt_arena_done(&arena);
}

static void drain_fake(void *opaque, unsigned queue)
{
    g_string_append_printf(((Fake *)opaque)->steps, " drain %u", queue);
}

/* Each is drained right before it is detached, the last one first. */
static void test_queues_go_one_by_one(void)
{
    static const struct {
        unsigned from, to, stuck;
        bool drain;
        const char *steps;
        unsigned end;
    } cases[] = {
        { 4, 1, 0, true, " drain 3=3 drain 2=2 drain 1=1", 1 },
        { 4, 3, 0, true, " drain 3=3", 3 },
        { 4, 1, 0, false, "=1", 1 },
        { 1, 4, 0, true, "=4", 4 },
        { 2, 2, 0, true, "=2", 2 },
        { 4, 1, 3, true, " drain 3=3 drain 2=2", 3 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        bool fails = cases[i].end != cases[i].to;
        g_autoptr(GError) error = NULL;
        Fake fake;

        fake_init(&fake, false);
        fake.nd.n_queues = 4;
        fake.nd.n_active = cases[i].from;
        fake.stuck = cases[i].stuck;
        fake.steps = g_string_new(NULL);
        g_assert_true(netdev_set_active(&fake.nd, cases[i].to, cases[i].drain ? drain_fake : NULL,
                                        &fake, &error) != fails);
        g_assert_true((error != NULL) == fails);
        g_assert_cmpstr(fake.steps->str, ==, cases[i].steps);
        g_assert_cmpuint(fake.nd.n_active, ==, cases[i].end);
        g_string_free(fake.steps, TRUE);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/netdev/packets-are-finished", test_packets_are_finished);
    g_test_add_func("/net/netdev/padding-is-no-payload", test_padding_is_no_payload);
    g_test_add_func("/net/netdev/broken-packets-are-refused", test_broken_packets_are_refused);
    g_test_add_func("/net/netdev/full-netdev-is-resumed", test_full_netdev_is_resumed);
    g_test_add_func("/net/netdev/segments-in-rounds", test_segments_in_rounds);
    g_test_add_func("/net/netdev/dropped-rest", test_dropped_rest);
    g_test_add_func("/net/netdev/header-goes-through", test_header_goes_through);
    g_test_add_func("/net/netdev/link-is-carrier-and-set-link",
                    test_link_is_carrier_and_set_link);
    g_test_add_func("/net/netdev/link-off-takes-and-loses", test_link_off_takes_and_loses);
    g_test_add_func("/net/netdev/link-off-empties-what-is-read",
                    test_link_off_empties_what_is_read);
    g_test_add_func("/net/netdev/queues-go-one-by-one", test_queues_go_one_by_one);
    return g_test_run();
}
