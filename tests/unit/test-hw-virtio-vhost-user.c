/*
 * Each message of vhost-user as it should be, and the oddities of front ends that are honest.
 * Rings: test-hw-virtio-vhost-user-ring; memory, log and inflight: ...-memory; lies: ...-liars.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-rig.h"

#include <linux/virtio_config.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"
#include "vhost-user-internal.h"

#define BIT(n) (1ull << (n))
#define PROTOCOL_FEATURES BIT(VHOST_USER_F_PROTOCOL_FEATURES)
#define VERSION_1 BIT(VIRTIO_F_VERSION_1)
#define PACKED    BIT(VIRTIO_F_RING_PACKED)

/* --- features --- */

/* Nothing is asked of the device that nobody serves. */
static void test_quiet(VhostUserRig *r, gconstpointer data)
{
    virtio_stub_expect(r->stub, "");
    g_assert_cmpuint(r->rings_told, ==, 0);
}

static void test_features(VhostUserRig *r, gconstpointer data)
{
    uint64_t offered = r->stub->offered | PROTOCOL_FEATURES | BIT(VHOST_F_LOG_ALL);

    g_assert_cmphex(vhost_user_front_get_u64(r->front, VHOST_USER_GET_FEATURES), ==, offered);
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_FEATURES,
                              VERSION_1 | PROTOCOL_FEATURES | BIT(VHOST_F_LOG_ALL));
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "features=0x100000000");
}

static void test_protocol_features(VhostUserRig *r, gconstpointer data)
{
    g_assert_cmphex(vhost_user_front_get_u64(r->front, VHOST_USER_GET_PROTOCOL_FEATURES), ==,
                    BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(9) | BIT(10) |
                    BIT(12) | BIT(13) | BIT(15) | BIT(16));
    r->stub->ops.announce = NULL;
    r->stub->ops.set_mtu = NULL;
    g_assert_cmphex(vhost_user_front_get_u64(r->front, VHOST_USER_GET_PROTOCOL_FEATURES), ==,
                    BIT(0) | BIT(1) | BIT(3) | BIT(5) | BIT(9) | BIT(10) | BIT(12) | BIT(13) |
                    BIT(15) | BIT(16));
}

/* QEMU: once for each pair of rings, the same. The device hears of what changed. */
static void test_features_again(VhostUserRig *r, gconstpointer data)
{
    for (unsigned i = 0; i < 3; i++) {
        vhost_user_front_get_u64(r->front, VHOST_USER_GET_FEATURES);
        vhost_user_front_send_u64(r->front, VHOST_USER_SET_FEATURES, VERSION_1 | PROTOCOL_FEATURES);
    }
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_FEATURES,
                              VERSION_1 | PACKED | PROTOCOL_FEATURES);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "features=0x500000000");
}

/* Even none at all are told once. */
static void test_no_features(VhostUserRig *r, gconstpointer data)
{
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_FEATURES, 0);
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_FEATURES, 0);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "features=0x0");
}

static void test_refused_features(VhostUserRig *r, gconstpointer data)
{
    r->stub->refuse_features = true;
    g_assert_cmpuint(vhost_user_rig_ask_u64(r, VHOST_USER_SET_FEATURES, VERSION_1 | PACKED), ==, 1);
    vhost_user_rig_expect_warning(r, "SET_FEATURES: the device wants no features");
    /* 8: FEATURES_OK, which is for both to say */
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_STATUS, 1 | 2 | 8);
    g_assert_cmpuint(vhost_user_front_get_u64(r->front, VHOST_USER_GET_STATUS), ==, 1 | 2);
    r->stub->refuse_features = false;
    g_assert_cmpuint(vhost_user_rig_ask_u64(r, VHOST_USER_SET_FEATURES, VERSION_1 | PACKED), ==, 0);
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_STATUS, 1 | 2 | 8);
    g_assert_cmpuint(vhost_user_front_get_u64(r->front, VHOST_USER_GET_STATUS), ==, 1 | 2 | 8);
}

/* In pairs for QEMU, which has RARP, and DPDK, which has STATUS; in rings for others. */
static void test_queue_num(VhostUserRig *r, gconstpointer data)
{
    static const struct {
        uint64_t protocol;
        unsigned n;
    } known[] = {
        { 1 << VHOST_USER_PROTOCOL_F_MQ, 4 },
        { 1 << VHOST_USER_PROTOCOL_F_MQ | 1 << VHOST_USER_PROTOCOL_F_RARP, 2 },
        { 1 << VHOST_USER_PROTOCOL_F_MQ | 1 << VHOST_USER_PROTOCOL_F_STATUS, 2 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
        vhost_user_front_send_u64(r->front, VHOST_USER_SET_PROTOCOL_FEATURES, known[i].protocol);
        g_assert_cmpuint(vhost_user_front_get_u64(r->front, VHOST_USER_GET_QUEUE_NUM), ==,
                         known[i].n);
    }
}

static void test_owner(VhostUserRig *r, gconstpointer data)
{
    g_assert_cmpuint(vhost_user_rig_ask(r, VHOST_USER_SET_OWNER, NULL, 0), ==, 0);
    g_assert_cmpuint(vhost_user_rig_ask(r, VHOST_USER_SET_OWNER, NULL, 0), ==, 0);
    g_assert_cmpuint(vhost_user_rig_ask(r, VHOST_USER_RESET_OWNER, NULL, 0), ==, 0);
    virtio_stub_expect(r->stub, "");
}

/* The message that negotiates answers is answered; without, the flag means nothing. */
static void test_reply_ack(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_OWNER,
                            .flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY };

    vhost_user_front_send_msg(r->front, &m);
    g_assert_true(vhost_user_rig_sync(r)); /* gets the answer to itself */
    g_assert_cmpuint(vhost_user_rig_ask_u64(r, VHOST_USER_SET_PROTOCOL_FEATURES,
                             BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK)), ==, 0);
    g_assert_cmpuint(vhost_user_rig_ask(r, VHOST_USER_SET_OWNER, NULL, 0), ==, 0);
    /* one answer, not two */
    g_assert_cmphex(vhost_user_rig_ask(r, VHOST_USER_GET_FEATURES, NULL, 0), !=, 0);
    g_assert_true(vhost_user_rig_sync(r));
}

static void test_unknown_request(VhostUserRig *r, gconstpointer data)
{
    uint8_t payload[1000] = { 0 };

    g_assert_cmpuint(vhost_user_rig_ask(r, 99, payload, sizeof(payload)), ==, 1);
    vhost_user_rig_expect_warning(r, "request 99: there is no such request");
    g_assert_cmpuint(vhost_user_rig_ask(r, 0, NULL, 0), ==, 1);
    g_assert_cmpuint(vhost_user_rig_ask(r, UINT32_MAX, NULL, 0), ==, 1);
    vhost_user_front_send(r->front, 26, payload, sizeof(payload));
    vhost_user_rig_expect_end(r, "request 26: there is no such request");
}

/* --- status --- */

static void test_status(VhostUserRig *r, gconstpointer data)
{
    g_assert_cmpuint(vhost_user_front_get_u64(r->front, VHOST_USER_GET_STATUS), ==, 0);
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_STATUS, 0xff);
    g_assert_cmpuint(vhost_user_front_get_u64(r->front, VHOST_USER_GET_STATUS), ==, 0xff);
    virtio_stub_expect(r->stub, "");
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_STATUS, 0);
    g_assert_cmpuint(vhost_user_front_get_u64(r->front, VHOST_USER_GET_STATUS), ==, 0);
    virtio_stub_expect(r->stub, "reset");
}

/* --- reset --- */

/*
 * As QEMU before 8.1 does it: the status first, then the bases. What is the connection's stays:
 * memory, protocol features, descriptors of calls and errors.
 */
static void test_reset_by_status(VhostUserRig *r, gconstpointer data)
{
    uint32_t request = GPOINTER_TO_UINT(data);
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    vhost_user_front_ring_enable(r->front, &ring, true);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=0,64 call=0 enable=0,1");
    r->stub->ring[0].base = 42;
    if (request == VHOST_USER_SET_STATUS) {
        vhost_user_front_send_u64(r->front, request, 0);
    } else {
        vhost_user_front_send(r->front, request, NULL, 0);
    }
    g_assert_true(vhost_user_front_ring_stop(r->front, &ring));
    g_assert_cmpuint(ring.base, ==, 42);
    virtio_stub_expect(r->stub, "stop=0 reset");
    g_assert_cmpuint(r->running, ==, 0);
    r->stub->ring[0].ring.call_fd = -1;
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_FEATURES, VERSION_1 | PROTOCOL_FEATURES);
    vhost_user_front_send_state(r->front, VHOST_USER_SET_VRING_NUM, 0, 64);
    vhost_user_front_ring_send_addr(r->front, &ring);
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_KICK, 0, ring.kick_fd);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "features=0x100000000 start=0,64");
    g_assert_cmpint(r->stub->ring[0].ring.call_fd, >=, 0);
    vhost_user_front_ring_done(&ring);
}

/* Nothing is known of the ring any more: that it was started, its addresses, its size. */
static void test_reset_forgets(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    vhost_user_front_send(r->front, VHOST_USER_RESET_DEVICE, NULL, 0);
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_FEATURES, VERSION_1 | PROTOCOL_FEATURES);
    vhost_user_front_send_state(r->front, VHOST_USER_SET_VRING_NUM, 0, 64);
    vhost_user_front_ring_send_addr(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=0,64 call=0 stop=0 reset features=0x100000000");
    vhost_user_front_send(r->front, VHOST_USER_RESET_DEVICE, NULL, 0);
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_FEATURES, VERSION_1 | PROTOCOL_FEATURES);
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_KICK, 0, ring.kick_fd);
    vhost_user_front_send_state(r->front, VHOST_USER_SET_VRING_NUM, 0, 64);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "reset features=0x100000000");
    vhost_user_front_send(r->front, VHOST_USER_RESET_DEVICE, NULL, 0);
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_FEATURES, VERSION_1 | PROTOCOL_FEATURES);
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_KICK, 0, ring.kick_fd);
    vhost_user_front_ring_send_addr(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "reset features=0x100000000");
    vhost_user_front_send_state(r->front, VHOST_USER_SET_VRING_NUM, 0, 64);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=0,64");
    vhost_user_front_ring_done(&ring);
}

/* --- configuration --- */

static void send_config(VhostUserRig *r, uint32_t request, uint32_t flags, const VhostUserConfig *c)
{
    VhostUserFrontMsg m = { .request = request, .flags = VHOST_USER_VERSION | flags,
                            .payload = c, .size = 12 + c->size };

    vhost_user_front_send_msg(r->front, &m);
}

static void test_get_config(VhostUserRig *r, gconstpointer data)
{
    VhostUserConfig c = { .offset = 20, .size = 8, .data = { 9, 9 } };
    VhostUserFrontReply reply;

    send_config(r, VHOST_USER_GET_CONFIG, 0, &c);
    g_assert_true(vhost_user_front_recv(r->front, &reply));
    g_assert_cmpuint(reply.hdr.size, ==, 20);
    memcpy(c.data, (const uint8_t[]){ 21, 22, 23, 24, 0, 0, 0, 0 }, 8);
    g_assert_cmpmem(reply.payload, reply.hdr.size, &c, 20);
    c = (VhostUserConfig){ .size = VHOST_USER_MAX_CONFIG };
    send_config(r, VHOST_USER_GET_CONFIG, 0, &c);
    g_assert_true(vhost_user_front_recv(r->front, &reply));
    g_assert_cmpuint(reply.hdr.size, ==, 268);
    c = (VhostUserConfig){ .offset = VHOST_USER_MAX_CONFIG - 1, .size = 1 };
    send_config(r, VHOST_USER_GET_CONFIG, 0, &c);
    g_assert_true(vhost_user_front_recv(r->front, &reply));
    virtio_stub_expect(r->stub, "get-config=20,8 get-config=0,256 get-config=255,1");
}

static void test_set_config(VhostUserRig *r, gconstpointer data)
{
    VhostUserConfig c = { .offset = 3, .size = 2, .data = { 0x11, 0x22 } };

    g_assert_cmpuint(vhost_user_rig_ask(r, VHOST_USER_SET_CONFIG, &c, 14), ==, 0);
    g_assert_cmpuint(r->stub->config[3], ==, 0x11);
    g_assert_cmpuint(r->stub->config[4], ==, 0x22);
    c.flags = VHOST_USER_CONFIG_MIGRATION;
    g_assert_cmpuint(vhost_user_rig_ask(r, VHOST_USER_SET_CONFIG, &c, 14), ==, 0);
    r->stub->refuse_config = true;
    g_assert_cmpuint(vhost_user_rig_ask(r, VHOST_USER_SET_CONFIG, &c, 14), ==, 1);
    vhost_user_rig_expect_warning(r, "SET_CONFIG: 2 bytes at 3 can't be written");
}

static void test_rarp(VhostUserRig *r, gconstpointer data)
{
    const uint8_t mac[8] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56, 7, 7 };

    g_assert_cmpuint(vhost_user_rig_ask(r, VHOST_USER_SEND_RARP, mac, sizeof(mac)), ==, 0);
    virtio_stub_expect(r->stub, "announce=52:54:00:12:34:56");
    r->stub->ops.announce = NULL;
    g_assert_cmpuint(vhost_user_rig_ask(r, VHOST_USER_SEND_RARP, mac, sizeof(mac)), ==, 0);
}

static void test_mtu(VhostUserRig *r, gconstpointer data)
{
    g_assert_cmpuint(vhost_user_rig_ask_u64(r, VHOST_USER_NET_SET_MTU, 65535), ==, 0);
    virtio_stub_expect(r->stub, "mtu=65535");
    g_assert_cmpuint(vhost_user_rig_ask_u64(r, VHOST_USER_NET_SET_MTU, 65536), ==, 1);
    vhost_user_rig_expect_warning(r, "NET_SET_MTU: an MTU of 65536 can't be had");
    virtio_stub_expect(r->stub, "");
    r->stub->refuse_mtu = true;
    g_assert_cmpuint(vhost_user_rig_ask_u64(r, VHOST_USER_NET_SET_MTU, 1500), ==, 1);
    vhost_user_rig_expect_warning(r, "NET_SET_MTU: the device wants no MTU");
    r->stub->ops.set_mtu = NULL;
    g_assert_cmpuint(vhost_user_rig_ask_u64(r, VHOST_USER_NET_SET_MTU, 1500), ==, 1);
}

static void change_config(VhostUserRig *r)
{
    r->stub->dev.transport->config_changed(r->stub->dev.transport_opaque);
}

static void test_config_change(VhostUserRig *r, gconstpointer data)
{
    VhostUserHeader hdr;
    unsigned n = 0;

    change_config(r); /* nobody can hear */
    vhost_user_front_open_back(r->front);
    g_assert_true(vhost_user_rig_sync(r));
    change_config(r);
    vhost_user_front_recv_back(r->front, &hdr);
    g_assert_cmpuint(hdr.request, ==, 2);
    g_assert_cmphex(hdr.flags, ==, 1);
    g_assert_cmpuint(hdr.size, ==, 0);
    /* who does not read is not waited for, and finds whole messages later */
    for (unsigned i = 0; i < 20000; i++) {
        change_config(r);
    }
    while (recv(r->front->back_fd, &hdr, sizeof(hdr), MSG_DONTWAIT) == sizeof(hdr)) {
        g_assert_cmpuint(hdr.request, ==, 2);
        n++;
    }
    g_assert_cmpuint(n, >, 10);
    g_assert_cmpuint(n, <, 20000);
    change_config(r);
    vhost_user_front_recv_back(r->front, &hdr);
    /* nor is who is gone */
    fd_close(&r->front->back_fd);
    change_config(r);
    change_config(r);
    vhost_user_front_open_back(r->front);
    vhost_user_front_open_back(r->front);
    g_assert_true(vhost_user_rig_sync(r));
    change_config(r);
    vhost_user_front_recv_back(r->front, &hdr);
}

/* Without CONFIG nobody asked for it. */
static void test_config_change_not_negotiated(VhostUserRig *r, gconstpointer data)
{
    uint8_t byte;

    vhost_user_front_negotiate(r->front, VHOST_USER_RIG_FEATURES,
                               BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ));
    vhost_user_front_open_back(r->front);
    g_assert_true(vhost_user_rig_sync(r));
    change_config(r);
    g_assert_cmpint(recv(r->front->back_fd, &byte, 1, MSG_DONTWAIT), <, 0);
}

/* --- the connection --- */

static void test_ends(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring[2];

    for (unsigned i = 0; i < 2; i++) {
        vhost_user_rig_ring(r, &ring[i], i, 64);
        vhost_user_front_ring_start(r->front, &ring[i]);
    }
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=0,64 call=0 start=1,64 call=1");
    g_assert_cmpuint(r->running, ==, 2);
    vhost_user_front_close(r->front);
    vhost_user_rig_expect_end(r, NULL);
    virtio_stub_expect(r->stub, "stop=0 stop=1 reset");
    g_assert_null(r->stub->dev.mem);
    for (unsigned i = 0; i < 2; i++) {
        vhost_user_front_ring_done(&ring[i]);
    }
}

/* Nothing of the last front end is there for the next one. */
static void test_reconnect(VhostUserRig *r, gconstpointer data)
{
    uint64_t u = VHOST_USER_VRING_NO_FD;
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    vhost_user_front_ring_enable(r->front, &ring, true);
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_STATUS, 15);
    vhost_user_front_open_back(r->front);
    g_assert_true(vhost_user_rig_sync(r));
    r->stub->ring[0].base = 7;
    vhost_user_front_close(r->front);
    vhost_user_rig_expect_end(r, NULL);
    virtio_stub_expect(r->stub, "start=0,64 call=0 enable=0,1 stop=0 reset");

    vhost_user_rig_reconnect(r);
    vhost_user_front_send(r->front, VHOST_USER_SET_VRING_KICK, &u, sizeof(u));
    vhost_user_front_negotiate(r->front, VHOST_USER_RIG_FEATURES, VHOST_USER_FRONT_PROTOCOL);
    change_config(r);
    g_assert_cmpuint(vhost_user_front_get_u64(r->front, VHOST_USER_GET_STATUS), ==, 0);
    vhost_user_front_share(r->front);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "features=0x100000000");
    g_assert_true(vhost_user_front_ring_stop(r->front, &ring));
    g_assert_cmpuint(ring.base, ==, 0);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=0,64 call=0");
    vhost_user_front_ring_done(&ring);
}

/* Nor what was negotiated. */
static void test_reconnect_forgets(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_front_close(r->front);
    vhost_user_rig_expect_end(r, NULL);
    virtio_stub_expect(r->stub, "reset");
    vhost_user_rig_reconnect(r);
    vhost_user_front_share(r->front);
    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "");
    vhost_user_front_send(r->front, VHOST_USER_GET_STATUS, NULL, 0);
    vhost_user_rig_expect_end(r, "GET_STATUS: protocol feature 16 is not negotiated");
    vhost_user_front_ring_done(&ring);
}

/* Who reads late has all answers all the same. */
static void test_slow_reader(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontReply reply;
    unsigned n = 0;

    for (unsigned waiting = 0; waiting < 10; n++) {
        vhost_user_front_send(r->front, VHOST_USER_GET_FEATURES, NULL, 0);
        while (g_main_context_iteration(NULL, FALSE)) {
            continue;
        }
        waiting += vhost_user_msg_waits(&r->back->io);
    }
    for (unsigned i = 0; i < n; i++) {
        g_assert_true(vhost_user_front_recv(r->front, &reply));
        g_assert_cmpuint(reply.hdr.request, ==, VHOST_USER_GET_FEATURES);
    }
    g_assert_false(vhost_user_msg_waits(&r->back->io));
    g_assert_true(vhost_user_rig_sync(r));
}

/* Who goes while answers wait is just gone. */
static void test_gone_reader(VhostUserRig *r, gconstpointer data)
{
    while (!vhost_user_msg_waits(&r->back->io)) {
        vhost_user_front_send(r->front, VHOST_USER_GET_FEATURES, NULL, 0);
        g_main_context_iteration(NULL, FALSE);
    }
    vhost_user_front_close(r->front);
    vhost_user_rig_expect_end(r, NULL);
}

/* Served in the event itself, in the middle of what the last one had said. */
static void test_reconnect_at_once(VhostUserRig *r, gconstpointer data)
{
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    r->next_fd = pair[1];
    vhost_user_front_send(r->front, 99, NULL, 0);
    for (unsigned i = 0; i < 10; i++) {
        vhost_user_front_send(r->front, VHOST_USER_GET_FEATURES, NULL, 0);
    }
    vhost_user_rig_expect_end(r, "request 99: there is no such request");
    g_assert_true(vhost_user_is_connected(r->back));
    vhost_user_front_reconnect(r->front, pair[0]);
    vhost_user_rig_negotiate(r, VHOST_USER_RIG_FEATURES);
}

static void test_disconnect(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    vhost_user_disconnect(r->back, "enough");
    g_assert_true(r->ended);
    g_assert_cmpstr(r->reason, ==, "enough");
    g_assert_true(vhost_user_front_is_closed(r->front));
    r->ended = false;
    vhost_user_disconnect(r->back, "enough");
    g_assert_false(r->ended);
    vhost_user_front_ring_done(&ring);
}

/* Rings that run, and no event. */
static void test_free(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=0,64 call=0");
    g_clear_pointer(&r->back, vhost_user_free);
    virtio_stub_expect(r->stub, "stop=0 reset");
    g_assert_false(r->ended);
    g_assert_true(vhost_user_front_is_closed(r->front));
    vhost_user_free(NULL);
    vhost_user_front_ring_done(&ring);
}

/* Who makes much ado has a limited number of lines in our log, and the next one has his own. */
static void test_warnings_are_limited(VhostUserRig *r, gconstpointer data)
{
    for (unsigned i = 0; i < 10; i++) {
        g_assert_cmpuint(vhost_user_rig_ask(r, 99, NULL, 0), ==, 1);
    }
    g_assert_cmpuint(r->warnings, ==, 10);
    vhost_user_front_close(r->front);
    vhost_user_rig_expect_end(r, NULL);
    vhost_user_rig_reconnect(r);
    vhost_user_rig_negotiate(r, VHOST_USER_RIG_FEATURES);
    for (unsigned i = 0; i < 100; i++) {
        g_assert_cmpuint(vhost_user_rig_ask(r, 99, NULL, 0), ==, 1);
    }
    g_assert_cmpuint(r->warnings, ==, 10 + 32);
}

/* --- what the words are, as the document has them --- */

static void test_bytes(VhostUserRig *r, gconstpointer data)
{
    static const uint32_t get_features[3] = { 1, 1, 0 };
    static const uint32_t enable[] = { 18, 1, 8, 3, 1 };
    uint32_t answer[5];
    uint64_t features;

    vhost_user_front_send_bytes(r->front, enable, sizeof(enable), NULL, 0);
    vhost_user_front_send_bytes(r->front, get_features, sizeof(get_features), NULL, 0);
    while (recv(r->front->fd, answer, sizeof(answer), MSG_DONTWAIT) != sizeof(answer)) {
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpuint(answer[0], ==, 1);
    g_assert_cmpuint(answer[1], ==, 1 | 4);
    g_assert_cmpuint(answer[2], ==, 8);
    memcpy(&features, &answer[3], 8);
    g_assert_cmphex(features, ==, r->stub->offered | BIT(30) | BIT(26));
}

G_STATIC_ASSERT(sizeof(VhostUserHeader) == 12);
G_STATIC_ASSERT(sizeof(VhostUserRegion) == 32);
G_STATIC_ASSERT(sizeof(VhostUserMemTable) == 8 + 8 * 32);
G_STATIC_ASSERT(sizeof(VhostUserMemReg) == 40);
G_STATIC_ASSERT(sizeof(VhostUserLog) == 16);
G_STATIC_ASSERT(sizeof(VhostUserConfig) == 12 + 256);
G_STATIC_ASSERT(sizeof(VhostUserInflight) == 24);

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    VHOST_USER_RIG_ADD("/quiet", test_quiet);
    VHOST_USER_RIG_ADD("/features", test_features);
    VHOST_USER_RIG_ADD("/protocol-features", test_protocol_features);
    VHOST_USER_RIG_ADD_READY("/features-again", test_features_again);
    VHOST_USER_RIG_ADD("/no-features", test_no_features);
    VHOST_USER_RIG_ADD_READY("/refused-features", test_refused_features);
    VHOST_USER_RIG_ADD("/queue-num", test_queue_num);
    VHOST_USER_RIG_ADD_READY("/owner", test_owner);
    VHOST_USER_RIG_ADD("/reply-ack", test_reply_ack);
    VHOST_USER_RIG_ADD_READY("/unknown-request", test_unknown_request);
    VHOST_USER_RIG_ADD_READY("/status", test_status);
    g_test_add("/hw/virtio/vhost-user/reset/status", VhostUserRig,
               GUINT_TO_POINTER(VHOST_USER_SET_STATUS), vhost_user_rig_setup_ready,
               test_reset_by_status, vhost_user_rig_teardown);
    g_test_add("/hw/virtio/vhost-user/reset/device", VhostUserRig,
               GUINT_TO_POINTER(VHOST_USER_RESET_DEVICE), vhost_user_rig_setup_ready,
               test_reset_by_status, vhost_user_rig_teardown);
    VHOST_USER_RIG_ADD_READY("/reset-forgets", test_reset_forgets);
    VHOST_USER_RIG_ADD_READY("/get-config", test_get_config);
    VHOST_USER_RIG_ADD_READY("/set-config", test_set_config);
    VHOST_USER_RIG_ADD_READY("/rarp", test_rarp);
    VHOST_USER_RIG_ADD_READY("/mtu", test_mtu);
    VHOST_USER_RIG_ADD_READY("/config-change", test_config_change);
    VHOST_USER_RIG_ADD("/config-change-not-negotiated", test_config_change_not_negotiated);
    VHOST_USER_RIG_ADD_READY("/ends", test_ends);
    VHOST_USER_RIG_ADD_READY("/reconnect", test_reconnect);
    VHOST_USER_RIG_ADD_READY("/reconnect-forgets", test_reconnect_forgets);
    VHOST_USER_RIG_ADD_READY("/slow-reader", test_slow_reader);
    VHOST_USER_RIG_ADD_READY("/gone-reader", test_gone_reader);
    VHOST_USER_RIG_ADD_READY("/reconnect-at-once", test_reconnect_at_once);
    VHOST_USER_RIG_ADD_READY("/disconnect", test_disconnect);
    VHOST_USER_RIG_ADD_READY("/free", test_free);
    VHOST_USER_RIG_ADD_READY("/warnings-are-limited", test_warnings_are_limited);
    VHOST_USER_RIG_ADD("/bytes", test_bytes);
    return g_test_run();
}
