/*
 * The life of rings over vhost-user: what starts, changes and stops them, in any order of messages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-rig.h"

#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/fd.h"
#include "vhost-user-internal.h"

#define BIT(n) (1ull << (n))
#define PROTOCOL_FEATURES BIT(VHOST_USER_F_PROTOCOL_FEATURES)
#define VERSION_1 BIT(VIRTIO_F_VERSION_1)
#define PACKED    BIT(VIRTIO_F_RING_PACKED)
#define EVENT_IDX BIT(VIRTIO_RING_F_EVENT_IDX)

static void test_ring(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;
    const VirtioRing *at = &r->stub->ring[1].ring;
    int n_fds;

    vhost_user_rig_ring(r, &ring, 1, 256);
    ring.base = 77;
    vhost_user_front_ring_start(r->front, &ring);
    vhost_user_front_ring_enable(r->front, &ring, true);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=1,256 call=1 enable=1,1");
    g_assert_cmpuint(at->setup.size, ==, 256);
    g_assert_cmpuint(at->setup.base, ==, 77);
    g_assert_cmphex(at->setup.features, ==, VERSION_1);
    g_assert_false(at->setup.log);
    g_assert_null(at->setup.inflight);
    g_assert_cmpint(at->kick_fd, >=, 0);
    g_assert_cmpint(at->call_fd, >=, 0);
    g_assert_cmpuint(r->running, ==, 1);

    r->stub->ring[1].base = 99;
    n_fds = vhost_user_rig_count_fds();
    g_assert_true(vhost_user_front_ring_stop(r->front, &ring));
    g_assert_cmpint(vhost_user_rig_count_fds(), ==, n_fds - 1); /* without kicks */
    g_assert_cmpuint(ring.base, ==, 99);
    virtio_stub_expect(r->stub, "stop=1");
    g_assert_cmpuint(r->running, ==, 0);
    /* again, from there */
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=1,256 enable=1,1 call=1");
    g_assert_cmpuint(at->setup.base, ==, 99);
    vhost_user_front_ring_done(&ring);
}

/* What the front end has as an address of its own is where it wrote it. */
static void test_ring_addresses(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;
    const VirtqSetup *s = &r->stub->ring[2].ring.setup;

    vhost_user_rig_ring(r, &ring, 2, 64);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    ring.driver->desc[3].addr = 0x1122334455667788;
    ring.driver->avail->idx = 0x1234;
    ring.driver->used->idx = 0x4321;
    g_assert_cmphex(((struct vring_desc *)s->desc)[3].addr, ==, 0x1122334455667788);
    g_assert_cmphex(((struct vring_avail *)s->driver)->idx, ==, 0x1234);
    g_assert_cmphex(((struct vring_used *)s->device)->idx, ==, 0x4321);
    g_assert_cmphex(s->log_gpa, ==, vhost_user_front_ring_addr(&ring).log_guest_addr);
    vhost_user_front_ring_done(&ring);
}

/* Descriptors of events are those that came. */
static void test_ring_events(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;
    uint64_t n;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    /* once, for what a former back end may not have told */
    g_assert_true(vhost_user_front_was_called(&ring));
    g_assert_false(vhost_user_front_was_called(&ring));
    vhost_user_front_kick(&ring);
    g_assert_cmpint(read(r->stub->ring[0].ring.kick_fd, &n, sizeof(n)), ==, sizeof(n));
    g_assert_cmpint(write(r->stub->ring[0].ring.call_fd, &n, sizeof(n)), ==, sizeof(n));
    g_assert_true(vhost_user_front_was_called(&ring));

    r->stub->dev.transport->ring_broken(r->stub->dev.transport_opaque, 0, "tested");
    vhost_user_rig_expect_warning(r, "ring 0 is broken: tested");
    g_assert_true(vhost_user_front_was_failed(&ring));
    /* not one that is gone meanwhile */
    g_assert_true(vhost_user_front_ring_stop(r->front, &ring));
    r->stub->dev.transport->ring_broken(r->stub->dev.transport_opaque, 0, "tested");
    r->stub->dev.transport->ring_broken(r->stub->dev.transport_opaque, 4, "tested");
    vhost_user_rig_expect_warning(r, NULL);
    g_assert_false(vhost_user_front_was_failed(&ring));
    vhost_user_front_ring_done(&ring);
}

/* A broken ring whose front end does not want to know, or does not read. */
static void test_broken_untold(VhostUserRig *r, gconstpointer data)
{
    uint64_t full = UINT64_MAX - 1;
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    g_assert_cmpint(write(ring.err_fd, &full, sizeof(full)), ==, sizeof(full));
    g_assert_cmpint(fd_set_nonblock(ring.err_fd, false), ==, 0);
    r->stub->dev.transport->ring_broken(r->stub->dev.transport_opaque, 0, "tested");
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_ERR, 0, -1);
    g_assert_true(vhost_user_rig_sync(r));
    r->stub->dev.transport->ring_broken(r->stub->dev.transport_opaque, 0, "tested");
    g_assert_cmpuint(r->warnings, ==, 2);
    vhost_user_front_ring_done(&ring);
}

/* Whoever made them: we do not wait for their other end. */
static void test_events_do_not_block(VhostUserRig *r, gconstpointer data)
{
    static const uint32_t request[] = { VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL,
                                        VHOST_USER_SET_VRING_ERR };

    for (unsigned i = 0; i < 3; i++) {
        AUTO_FD int fd = eventfd(0, EFD_CLOEXEC);

        vhost_user_front_send_event(r->front, request[i], 0, fd);
        g_assert_true(vhost_user_rig_sync(r));
        g_assert_cmphex(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
    }
}

/* Polled on both sides. */
static void test_no_events(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_KICK, 0, -1);
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_CALL, 0, -1);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=0,64 call=0 stop=0 start=0,64 call=0");
    g_assert_cmpint(r->stub->ring[0].ring.kick_fd, ==, -1);
    g_assert_cmpint(r->stub->ring[0].ring.call_fd, ==, -1);
    vhost_user_front_ring_done(&ring);
}

/* Said first, then what the ring is. */
static void test_kick_first(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_KICK, 0, ring.kick_fd);
    vhost_user_front_ring_send_addr(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "");
    vhost_user_front_send_state(r->front, VHOST_USER_SET_VRING_NUM, 0, 64);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=0,64");
    vhost_user_front_ring_done(&ring);
}

/* As DPDK does it: it may wait for the call that a former back end owed. */
static void test_call_first(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_CALL, 0, ring.call_fd);
    vhost_user_front_send_state(r->front, VHOST_USER_SET_VRING_NUM, 0, 64);
    vhost_user_front_ring_send_addr(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    g_assert_false(vhost_user_front_was_called(&ring));
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_KICK, 0, ring.kick_fd);
    g_assert_true(vhost_user_rig_sync(r));
    g_assert_true(vhost_user_front_was_called(&ring));
    vhost_user_front_ring_done(&ring);
}

/* QEMU enables rings and sends their calls first of all. */
static void test_features_last(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_front_make_region(r->front, 0, 1 << 20);
    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_CALL, 0, ring.call_fd);
    for (unsigned i = 0; i < 5; i++) {
        vhost_user_front_ring_enable(r->front, &ring, true);
    }
    vhost_user_front_share(r->front);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "");
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_FEATURES, VERSION_1 | PROTOCOL_FEATURES);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "features=0x100000000 start=0,64 enable=0,1");
    g_assert_cmpuint(r->running, ==, 1);
    vhost_user_front_ring_done(&ring);
}

/* A front end that knows nothing of protocol features can't enable a ring: it is. */
static void test_no_protocol_features(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_front_negotiate(r->front, VERSION_1, 0);
    vhost_user_front_make_region(r->front, 0, 1 << 20);
    vhost_user_front_share(r->front);
    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "features=0x100000000 start=0,64 enable=0,1 call=0");
    vhost_user_front_ring_done(&ring);
}

static void test_enable(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 3, 64);
    vhost_user_front_ring_enable(r->front, &ring, true);
    vhost_user_front_ring_enable(r->front, &ring, false);
    vhost_user_front_ring_start(r->front, &ring);
    vhost_user_front_ring_enable(r->front, &ring, true);
    vhost_user_front_ring_enable(r->front, &ring, true);
    vhost_user_front_ring_enable(r->front, &ring, false);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=3,64 call=3 enable=3,1 enable=3,0");
    vhost_user_front_ring_done(&ring);
}

/* Other descriptors, the log's flag: while it runs. It goes on where it was. */
static void test_changes_of_a_running_ring(VhostUserRig *r, gconstpointer data)
{
    AUTO_FD int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    VhostUserFrontRing ring;
    uint64_t n = 5;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    vhost_user_front_ring_enable(r->front, &ring, true);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=0,64 call=0 enable=0,1");
    r->stub->ring[0].base = 55;
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_CALL, 0, other);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "call=0");
    g_assert_cmpint(read(other, &n, sizeof(n)), ==, sizeof(n));
    vhost_user_front_send_u64(r->front, VHOST_USER_SET_FEATURES, VERSION_1 | PROTOCOL_FEATURES);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "");
    vhost_user_front_send_event(r->front, VHOST_USER_SET_VRING_KICK, 0, other);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "stop=0 start=0,64 enable=0,1");
    g_assert_cmpuint(r->stub->ring[0].ring.setup.base, ==, 55);
    ring.log = true;
    vhost_user_front_ring_send_addr(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "stop=0 start=0,64 enable=0,1");
    g_assert_true(r->stub->ring[0].ring.setup.log);
    g_assert_cmpuint(r->stub->ring[0].ring.setup.base, ==, 55);
    g_assert_cmpuint(r->rings_told, ==, 1);
    vhost_user_front_ring_done(&ring);
}

/* The same as it is can be said at any time, another size or place can't. */
static void test_running_ring_is_not_changed(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_cmpuint(vhost_user_rig_ask_state(r, VHOST_USER_SET_VRING_NUM, 0, 64), ==, 0);
    g_assert_cmpuint(vhost_user_rig_ask_state(r, VHOST_USER_SET_VRING_NUM, 0, 32), ==, 1);
    vhost_user_rig_expect_warning(r, "SET_VRING_NUM: ring 0 is running");
    g_assert_cmpuint(vhost_user_rig_ask_state(r, VHOST_USER_SET_VRING_BASE, 0, 0), ==, 1);
    vhost_user_rig_expect_warning(r, "SET_VRING_BASE: ring 0 is running");
    g_assert_cmpuint(vhost_user_rig_ask_u64(r, VHOST_USER_SET_FEATURES, PACKED | VERSION_1), ==, 1);
    vhost_user_rig_expect_warning(r, "SET_FEATURES: rings are running");
    g_assert_cmpuint(r->running, ==, 1);
    vhost_user_front_ring_done(&ring);
}

static void test_base_of_a_ring_that_never_ran(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 2, 64);
    g_assert_true(vhost_user_front_ring_stop(r->front, &ring));
    g_assert_cmpuint(ring.base, ==, 0);
    vhost_user_front_send_state(r->front, VHOST_USER_SET_VRING_BASE, 2, 1234);
    g_assert_true(vhost_user_front_ring_stop(r->front, &ring));
    g_assert_cmpuint(ring.base, ==, 1234);
    virtio_stub_expect(r->stub, "");
    vhost_user_front_ring_done(&ring);
}

/* What was stopped does not start but by SET_VRING_KICK. */
static void test_stopped_stays_stopped(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_front_ring_stop(r->front, &ring));
    vhost_user_front_ring_send_addr(r->front, &ring);
    vhost_user_front_send_state(r->front, VHOST_USER_SET_VRING_NUM, 0, 64);
    vhost_user_front_share(r->front);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=0,64 call=0 stop=0");
    vhost_user_front_ring_done(&ring);
}

/* A ring that the device does not take. */
static void test_refused_ring(VhostUserRig *r, gconstpointer data)
{
    uint64_t u = 0;
    VhostUserFrontRing ring;
    VhostUserFrontMsg kick = { .request = VHOST_USER_SET_VRING_KICK, .payload = &u,
                               .size = sizeof(u), .n_fds = 1 };

    vhost_user_rig_ring(r, &ring, 0, 64);
    vhost_user_front_send_state(r->front, VHOST_USER_SET_VRING_NUM, 0, 64);
    vhost_user_front_ring_send_addr(r->front, &ring);
    kick.fd = &ring.kick_fd;
    r->stub->refuse_ring = true;
    g_assert_cmpuint(vhost_user_front_ask(r->front, &kick), ==, 1);
    vhost_user_rig_expect_warning(r, "SET_VRING_KICK: ring 0: the device wants no ring");
    r->stub->refuse_ring = false;
    vhost_user_front_share(r->front);
    g_assert_true(vhost_user_rig_sync(r));
    virtio_stub_expect(r->stub, "start=0,64");
    g_assert_cmpuint(vhost_user_front_ask(r->front, &kick), ==, 0);
    virtio_stub_expect(r->stub, "start=0,64");
    vhost_user_front_ring_done(&ring);
}

/* Exactly what the layout needs has to be in memory: one byte less is too few. */
static void expect_sizes(VhostUserRig *r, uint64_t features, const uint64_t part[3])
{
    uint64_t end = VHOST_USER_FRONT_USER + (1 << 20), u = VHOST_USER_VRING_NO_FD;

    vhost_user_rig_negotiate(r, features | VHOST_USER_RIG_FEATURES);
    vhost_user_front_send_state(r->front, VHOST_USER_SET_VRING_NUM, 0, 64);
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t align[3] = { 16, 2, 4 };

        for (unsigned short_of = 0; short_of < 2; short_of++) {
            struct vhost_vring_addr a = {
                .desc_user_addr = VHOST_USER_FRONT_USER,
                .avail_user_addr = VHOST_USER_FRONT_USER,
                .used_user_addr = VHOST_USER_FRONT_USER,
            };
            uint64_t at = end - part[i] + short_of * align[i];

            *(i == 0 ? &a.desc_user_addr : i == 1 ? &a.avail_user_addr : &a.used_user_addr) =
                at - at % align[i];
            g_assert_cmpuint(vhost_user_rig_ask(r, VHOST_USER_SET_VRING_ADDR, &a, sizeof(a)), ==,
                             0);
            g_assert_cmpuint(vhost_user_rig_ask(r, VHOST_USER_SET_VRING_KICK, &u, sizeof(u)), ==,
                             short_of);
            vhost_user_front_send_state(r->front, VHOST_USER_GET_VRING_BASE, 0, 0);
            g_assert_true(vhost_user_front_recv(r->front, &(VhostUserFrontReply){ 0 }));
        }
    }
}

static void test_sizes_split(VhostUserRig *r, gconstpointer data)
{
    expect_sizes(r, 0, (const uint64_t[]){ 64 * 16, 4 + 64 * 2, 4 + 64 * 8 });
}

static void test_sizes_split_event_idx(VhostUserRig *r, gconstpointer data)
{
    /* an address is a multiple of 4, so the used ring's 2 bytes more need 4 */
    expect_sizes(r, EVENT_IDX, (const uint64_t[]){ 64 * 16, 6 + 64 * 2, 8 + 64 * 8 });
}

static void test_sizes_packed(VhostUserRig *r, gconstpointer data)
{
    expect_sizes(r, PACKED | EVENT_IDX, (const uint64_t[]){ 64 * 16, 4, 4 });
}

static void test_packed_base(VhostUserRig *r, gconstpointer data)
{
    VhostUserFrontRing ring;

    vhost_user_rig_negotiate(r, VHOST_USER_RIG_FEATURES | PACKED);
    vhost_user_rig_ring(r, &ring, 0, 64);
    g_assert_cmphex(ring.base, ==, 0x80008000);
    vhost_user_front_ring_start(r->front, &ring);
    g_assert_true(vhost_user_rig_sync(r));
    g_assert_cmphex(r->stub->ring[0].ring.setup.base, ==, 0x80008000);
    vhost_user_front_ring_done(&ring);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    VHOST_USER_RIG_ADD_READY("/ring", test_ring);
    VHOST_USER_RIG_ADD_READY("/ring-addresses", test_ring_addresses);
    VHOST_USER_RIG_ADD_READY("/ring-events", test_ring_events);
    VHOST_USER_RIG_ADD_READY("/broken-untold", test_broken_untold);
    VHOST_USER_RIG_ADD_READY("/events-do-not-block", test_events_do_not_block);
    VHOST_USER_RIG_ADD_READY("/no-events", test_no_events);
    VHOST_USER_RIG_ADD_READY("/kick-first", test_kick_first);
    VHOST_USER_RIG_ADD_READY("/call-first", test_call_first);
    VHOST_USER_RIG_ADD("/features-last", test_features_last);
    VHOST_USER_RIG_ADD("/no-protocol-features", test_no_protocol_features);
    VHOST_USER_RIG_ADD_READY("/enable", test_enable);
    VHOST_USER_RIG_ADD_READY("/changes-of-a-running-ring", test_changes_of_a_running_ring);
    VHOST_USER_RIG_ADD_READY("/running-ring-is-not-changed", test_running_ring_is_not_changed);
    VHOST_USER_RIG_ADD_READY("/base-of-a-ring-that-never-ran", test_base_of_a_ring_that_never_ran);
    VHOST_USER_RIG_ADD_READY("/stopped-stays-stopped", test_stopped_stays_stopped);
    VHOST_USER_RIG_ADD_READY("/refused-ring", test_refused_ring);
    VHOST_USER_RIG_ADD("/sizes/split", test_sizes_split);
    VHOST_USER_RIG_ADD("/sizes/split-event-idx", test_sizes_split_event_idx);
    VHOST_USER_RIG_ADD("/sizes/packed", test_sizes_packed);
    VHOST_USER_RIG_ADD("/packed-base", test_packed_base);
    return g_test_run();
}
