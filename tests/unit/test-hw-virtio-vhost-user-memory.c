/*
 * Memory that comes and goes while rings run, the dirty log page by page, inflight memory: with
 * virtqueues that move data, in one thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/virtio/virtq-inflight.h"

#define MIB    (1ull << 20)
#define GIB    (1ull << 30)
#define PAGE   4096u
#define DATA   GIB /* a region of its own, as vhost_user_rig_negotiate() makes it */
#define PACKED (1ull << VIRTIO_F_RING_PACKED)
#define LOG_ALL (1ull << VHOST_F_LOG_ALL)

typedef struct Fixture {
    VhostUserRig r;
    VhostUserFrontRing ring[2];
    uint64_t features;
} Fixture;

static void up(Fixture *f, gconstpointer data)
{
    f->features = VHOST_USER_RIG_FEATURES | (data ? PACKED : 0);
    vhost_user_rig_up(&f->r);
    f->r.stub->virtqueues = true;
    vhost_user_rig_negotiate(&f->r, f->features);
    for (unsigned i = 0; i < 2; i++) {
        vhost_user_rig_ring(&f->r, &f->ring[i], i, 64);
        vhost_user_front_ring_start(f->r.front, &f->ring[i]);
        vhost_user_front_ring_enable(f->r.front, &f->ring[i], true);
    }
    g_assert_true(vhost_user_front_sync(f->r.front));
    g_assert_cmpuint(f->r.running, ==, 2);
}

static void down(Fixture *f, gconstpointer data)
{
    vhost_user_front_ring_done(&f->ring[0]);
    vhost_user_front_ring_done(&f->ring[1]);
    vhost_user_rig_down(&f->r);
}

static void add(Fixture *f, unsigned ring, uint64_t gpa, uint32_t len)
{
    VirtqDriverPiece piece = { gpa, len };

    memset(vhost_user_front_host(f->r.front, gpa), 0, len);
    g_assert_cmpint(virtq_driver_add(f->ring[ring].driver, &piece, 0, 1), >=, 0);
    virtq_driver_publish(f->ring[ring].driver);
}

static void expect_bytes(Fixture *f, uint64_t gpa, uint32_t len, uint8_t byte)
{
    const uint8_t *at = vhost_user_front_host(f->r.front, gpa);

    for (uint32_t i = 0; i < len; i++) {
        g_assert_cmphex(at[i], ==, byte);
    }
}

/* A buffer at @gpa goes there and back, with what the device writes. */
static void round_trip(Fixture *f, unsigned ring, uint64_t gpa, uint32_t len)
{
    uint16_t id;
    uint32_t written;

    add(f, ring, gpa, len);
    g_assert_cmpint(virtio_stub_serve(f->r.stub, ring, 10), ==, 1);
    g_assert_true(virtq_driver_get(f->ring[ring].driver, &id, &written));
    g_assert_cmpuint(written, ==, len);
    expect_bytes(f, gpa, len, VIRTIO_STUB_BYTE);
}

/* The same, of memory that the back end does not have (any more): it comes back empty. */
static void expect_bad(Fixture *f, unsigned ring, uint64_t gpa)
{
    uint16_t id;
    uint32_t written;

    add(f, ring, gpa, 100);
    g_assert_cmpint(virtio_stub_serve(f->r.stub, ring, 10), ==, 1);
    g_assert_true(virtq_driver_get(f->ring[ring].driver, &id, &written));
    g_assert_cmpuint(written, ==, 0);
    expect_bytes(f, gpa, 100, 0);
}

static void sync_front(Fixture *f)
{
    g_assert_true(vhost_user_front_sync(f->r.front));
}

static uint64_t ask_slot(Fixture *f, uint32_t request, const VhostUserRegion *region, int fd)
{
    VhostUserMemReg reg = { .region = *region };
    VhostUserFrontMsg m = { .request = request, .payload = &reg, .size = sizeof(reg), .fd = &fd,
                            .n_fds = fd < 0 ? 0 : 1 };

    return vhost_user_front_ask(f->r.front, &m);
}

/* --- memory --- */

static void test_data(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < 200; i++) {
        round_trip(f, i % 2, DATA + i * 16, 1500);
    }
    g_assert_true(vhost_user_front_was_called(&f->ring[0]));
    g_assert_true(vhost_user_front_was_called(&f->ring[1]));
}

/* What is published while nobody has the ring is found when it goes on. */
static void test_stop_and_start(Fixture *f, gconstpointer data)
{
    uint16_t id;
    uint32_t written;

    for (unsigned i = 0; i < 100; i++) {
        round_trip(f, 0, DATA, 100);
        g_assert_true(vhost_user_front_ring_stop(f->r.front, &f->ring[0]));
        add(f, 0, DATA + PAGE, 100);
        vhost_user_front_ring_start(f->r.front, &f->ring[0]);
        sync_front(f);
        g_assert_cmpint(virtio_stub_serve(f->r.stub, 0, 10), ==, 1);
        g_assert_true(virtq_driver_get(f->ring[0].driver, &id, &written));
        g_assert_cmpuint(written, ==, 100);
    }
}

/* Slots come and go, rings run on: no base is asked for, none is told. */
static void test_slots(Fixture *f, gconstpointer data)
{
    VhostUserFrontRegion *r;

    for (unsigned i = 0; i < 20; i++) {
        r = vhost_user_front_make_region(f->r.front, 4 * GIB + i * MIB, MIB);
        expect_bad(f, 0, r->gpa + 5000);
        vhost_user_front_add_slot(f->r.front, r);
        sync_front(f);
        round_trip(f, 0, r->gpa + 5000, 100);
        round_trip(f, 1, DATA, 100);
        vhost_user_front_remove_slot(f->r.front, r);
        sync_front(f);
        expect_bad(f, 1, r->gpa + 5000);
        round_trip(f, 0, DATA, 100);
    }
    g_assert_cmpuint(f->r.running, ==, 2);
    g_assert_cmpuint(f->r.rings_told, ==, 2);
    g_assert_cmpuint(f->r.warnings, ==, 0);
}

/* As QEMU before 8.1 does it: a slot once a queue pair, and away once a pair. */
static void test_slots_by_pairs(Fixture *f, gconstpointer data)
{
    VhostUserFrontRegion *r = vhost_user_front_make_region(f->r.front, 4 * GIB, MIB);
    VhostUserRegion region = { 4 * GIB, MIB, r->user, r->offset };

    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpuint(ask_slot(f, VHOST_USER_ADD_MEM_REG, &region, r->fd), ==, 0);
        round_trip(f, 0, r->gpa + 5000, 100);
    }
    for (unsigned i = 0; i < 4; i++) {
        round_trip(f, 1, r->gpa + 5000, 100);
        g_assert_cmpuint(ask_slot(f, VHOST_USER_REM_MEM_REG, &region, -1), ==, 0);
    }
    expect_bad(f, 0, r->gpa + 5000);
    g_assert_cmpuint(f->r.warnings, ==, 0);
}

/* Where a region begins in its file is up to the front end. */
static void test_offset(Fixture *f, gconstpointer data)
{
    VhostUserFrontRegion *r = vhost_user_front_make_region(f->r.front, 8 * GIB, MIB);
    VhostUserRegion region = { 16 * GIB, PAGE, 3, 5 * PAGE };

    vhost_user_front_add_slot(f->r.front, r);
    g_assert_cmpuint(ask_slot(f, VHOST_USER_ADD_MEM_REG, &region, r->fd), ==, 0);
    memset(r->host, 0, MIB);
    add(f, 0, 8 * GIB, 1);
    g_assert_cmpint(virtio_stub_serve(f->r.stub, 0, 1), ==, 1);
    expect_bytes(f, 8 * GIB, 1, VIRTIO_STUB_BYTE);
    g_assert_cmpint(virtq_driver_add(f->ring[1].driver, &(VirtqDriverPiece){ 16 * GIB, PAGE }, 0,
                                     1), >=, 0);
    virtq_driver_publish(f->ring[1].driver);
    g_assert_cmpint(virtio_stub_serve(f->r.stub, 1, 1), ==, 1);
    expect_bytes(f, 8 * GIB + 5 * PAGE - 1, 1, 0);
    expect_bytes(f, 8 * GIB + 5 * PAGE, PAGE, VIRTIO_STUB_BYTE);
    expect_bytes(f, 8 * GIB + 6 * PAGE, 1, 0);
    /* one that is taken away is named by addresses and size: the rest is nobody's business */
    region.offset = 0;
    g_assert_cmpuint(ask_slot(f, VHOST_USER_REM_MEM_REG, &region, r->fd), ==, 0);
    g_assert_cmpuint(f->r.warnings, ==, 0);
}

/* As many as there may be, which the front end was told. */
static void test_max_slots(Fixture *f, gconstpointer data)
{
    uint64_t max = vhost_user_front_get_u64(f->r.front, VHOST_USER_GET_MAX_MEM_SLOTS);
    int fd = f->r.front->region[0].fd;

    g_assert_cmpuint(max, ==, 509);
    for (uint64_t i = 2; i <= max; i++) {
        VhostUserRegion region = { 4 * GIB + i * MIB, PAGE, 4 * GIB + i * MIB, 0 };

        g_assert_cmpuint(ask_slot(f, VHOST_USER_ADD_MEM_REG, &region, fd), ==, i == max);
    }
    vhost_user_rig_expect_warning(&f->r,
                                  "ADD_MEM_REG: there are 509 regions of memory already");
    round_trip(f, 0, DATA, 100);
}

/* A ring whose memory goes stays stopped, says so once, and goes on when it is back. */
static void test_ring_loses_its_memory(Fixture *f, gconstpointer data)
{
    VhostUserFrontRegion *home = &f->r.front->region[0], *other;
    unsigned told;

    round_trip(f, 0, DATA, 100);
    vhost_user_front_remove_slot(f->r.front, home);
    sync_front(f);
    g_assert_cmpuint(f->r.running, ==, 0);
    g_assert_cmpuint(f->r.warnings, ==, 2);
    vhost_user_rig_expect_warning(&f->r, "ring 1: its addresses are not in the guest's memory; "
                                         "it stays stopped");
    told = f->r.rings_told;
    other = vhost_user_front_make_region(f->r.front, 5 * GIB, MIB);
    vhost_user_front_add_slot(f->r.front, other);
    sync_front(f);
    g_assert_cmpuint(f->r.warnings, ==, 2);
    g_assert_cmpuint(f->r.rings_told, ==, told);
    add(f, 1, DATA, 100);
    vhost_user_front_add_slot(f->r.front, home);
    sync_front(f);
    g_assert_cmpuint(f->r.running, ==, 2);
    g_assert_cmpint(virtio_stub_serve(f->r.stub, 1, 10), ==, 1);
    round_trip(f, 0, DATA, 100);
    /* and the next time it is said again */
    vhost_user_front_remove_slot(f->r.front, home);
    sync_front(f);
    g_assert_cmpuint(f->r.warnings, ==, 4);
    /* its base is known all the same */
    g_assert_true(vhost_user_front_ring_stop(f->r.front, &f->ring[0]));
    g_assert_cmphex(f->ring[0].base & 0x7fff, ==, 2);
    vhost_user_front_add_slot(f->r.front, home);
    sync_front(f);
    g_assert_cmpuint(f->r.running, ==, 1);
}

/* After a reset it is another story, which is told again. */
static void test_stranded_and_reset(Fixture *f, gconstpointer data)
{
    vhost_user_front_remove_slot(f->r.front, &f->r.front->region[0]);
    sync_front(f);
    g_assert_cmpuint(f->r.warnings, ==, 2);
    vhost_user_front_send(f->r.front, VHOST_USER_RESET_DEVICE, NULL, 0);
    vhost_user_front_ring_start(f->r.front, &f->ring[0]);
    sync_front(f);
    g_assert_cmpuint(f->r.warnings, ==, 2);
    vhost_user_front_send_u64(f->r.front, VHOST_USER_SET_FEATURES, f->features);
    sync_front(f);
    g_assert_cmpuint(f->r.warnings, ==, 3);
}

/* All of it at another place in our memory. */
static void test_table_again(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < 20; i++) {
        round_trip(f, 0, DATA, 100);
        vhost_user_front_share(f->r.front);
        sync_front(f);
        round_trip(f, 1, DATA, 100);
    }
    g_assert_cmpuint(f->r.rings_told, ==, 2);
    g_assert_cmpuint(f->r.stub->dev.mem->n, ==, 2);
}

/* No memory at all is a table, too. */
static void test_empty_table(Fixture *f, gconstpointer data)
{
    VhostUserMemTable t = { .n = 0 };

    vhost_user_front_send(f->r.front, VHOST_USER_SET_MEM_TABLE, &t, 8);
    sync_front(f);
    g_assert_cmpuint(f->r.stub->dev.mem->n, ==, 0);
    g_assert_cmpuint(f->r.running, ==, 0);
}

/* --- the dirty log --- */

/* Of all pages from 0 to 1 GiB and a few, just these. */
static void expect_dirty(Fixture *f, const uint64_t *gpa, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        g_assert_true(vhost_user_front_take_dirty(f->r.front, gpa[i]));
    }
    for (uint64_t i = 0; i < f->r.front->log_size; i++) {
        g_assert_cmphex(f->r.front->log[i], ==, 0);
    }
}

/* What of the ring itself is marked is virtq's business, and its tests'. */
static void forget_ring_pages(Fixture *f)
{
    memset(f->r.front->log, 0, MIB / PAGE / 8);
}

static void set_features(Fixture *f, uint64_t features)
{
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_FEATURES, .payload = &features,
                            .size = sizeof(features) };

    g_assert_cmpuint(vhost_user_front_ask(f->r.front, &m), ==, 0);
}

#define LOG_SIZE ((DATA + MIB) / PAGE / 8)

static void test_log(Fixture *f, gconstpointer data)
{
    const uint64_t three[] = { DATA + 8 * PAGE, DATA + 9 * PAGE, DATA + 10 * PAGE };

    round_trip(f, 0, DATA, 100); /* nobody asks */
    vhost_user_front_open_log(f->r.front, LOG_SIZE);
    round_trip(f, 0, DATA, 100); /* not negotiated */
    expect_dirty(f, NULL, 0);
    set_features(f, f->features | LOG_ALL);
    g_assert_cmpuint(f->r.running, ==, 2);
    for (unsigned page = 0; page < MIB / PAGE; page++) {
        round_trip(f, page % 2, DATA + page * PAGE + 17, 100);
        expect_dirty(f, (const uint64_t[]){ DATA + page * PAGE }, 1);
    }
    round_trip(f, 0, DATA + 9 * PAGE - 1, PAGE + 2);
    expect_dirty(f, three, 3);
    /* over */
    set_features(f, f->features);
    round_trip(f, 0, DATA, 100);
    expect_dirty(f, NULL, 0);
    g_assert_cmpuint(f->r.warnings, ==, 0);
    g_assert_cmpuint(f->r.rings_told, ==, 2);
}

/* The features first. */
static void test_log_after_features(Fixture *f, gconstpointer data)
{
    set_features(f, f->features | LOG_ALL);
    round_trip(f, 0, DATA, 100);
    vhost_user_front_open_log(f->r.front, LOG_SIZE);
    expect_dirty(f, NULL, 0);
    round_trip(f, 0, DATA, 100);
    expect_dirty(f, (const uint64_t[]){ DATA }, 1);
}

/* As QEMU begins a migration: log, features, then each ring's addresses again with the flag. */
static void test_log_of_the_ring(Fixture *f, gconstpointer data)
{
    VhostUserFrontRing *ring = &f->ring[0];
    struct vhost_vring_addr a;
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_VRING_ADDR, .payload = &a,
                            .size = sizeof(a) };

    vhost_user_front_open_log(f->r.front, LOG_SIZE);
    set_features(f, f->features | LOG_ALL);
    ring->log = true;
    a = vhost_user_front_ring_addr(ring);
    g_assert_cmpuint(vhost_user_front_ask(f->r.front, &m), ==, 0);
    forget_ring_pages(f);
    round_trip(f, 0, DATA, 100);
    /* ring 0 of 64 begins at 64 KiB and is shorter than a page */
    expect_dirty(f, (const uint64_t[]){ 0x10000, DATA }, 2);
    round_trip(f, 1, DATA, 100);
    expect_dirty(f, (const uint64_t[]){ DATA }, 1);
    ring->log = false;
    vhost_user_front_ring_send_addr(f->r.front, ring);
    sync_front(f);
    forget_ring_pages(f);
    round_trip(f, 0, DATA, 100);
    expect_dirty(f, (const uint64_t[]){ DATA }, 1);
}

/* QEMU's log grows with the guest's memory. */
static void test_log_is_replaced(Fixture *f, gconstpointer data)
{
    vhost_user_front_open_log(f->r.front, LOG_SIZE);
    set_features(f, f->features | LOG_ALL);
    round_trip(f, 0, DATA, 100);
    expect_dirty(f, (const uint64_t[]){ DATA }, 1);
    for (unsigned i = 0; i < 3; i++) {
        vhost_user_front_close_log(f->r.front);
        vhost_user_front_open_log(f->r.front, LOG_SIZE + i * PAGE);
        round_trip(f, 0, DATA, 100);
        expect_dirty(f, (const uint64_t[]){ DATA }, 1);
    }
}

/* A log that is too short for some memory marks what it can. */
static void test_short_log(Fixture *f, gconstpointer data)
{
    vhost_user_front_open_log(f->r.front, 1);
    set_features(f, f->features | LOG_ALL);
    round_trip(f, 0, DATA, 100);
    expect_dirty(f, NULL, 0);
    round_trip(f, 0, 3 * PAGE, 100); /* before the rings */
    expect_dirty(f, (const uint64_t[]){ 3 * PAGE }, 1);
}

static void test_log_that_can_not_be(Fixture *f, gconstpointer data)
{
    VhostUserLog log = { .size = 2 * MIB };
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_LOG_BASE, .payload = &log,
                            .size = sizeof(log), .fd = &f->r.front->region[0].fd, .n_fds = 1 };

    set_features(f, f->features | LOG_ALL);
    /* its answer can't say no, whoever asks for one */
    m.flags = data ? VHOST_USER_VERSION | VHOST_USER_NEED_REPLY : VHOST_USER_VERSION;
    vhost_user_front_send_msg(f->r.front, &m);
    vhost_user_rig_expect_end(&f->r, "SET_LOG_BASE: the file of memory ends at 0x100000, before "
                                     "0x200000");
}

/* It is the connection's, and not the device's: but LOG_ALL is over. */
static void test_log_and_reset(Fixture *f, gconstpointer data)
{
    vhost_user_front_open_log(f->r.front, LOG_SIZE);
    set_features(f, f->features | LOG_ALL);
    vhost_user_front_send(f->r.front, VHOST_USER_RESET_DEVICE, NULL, 0);
    sync_front(f);
    g_assert_false(guest_mem_logs(f->r.stub->dev.mem));
    set_features(f, f->features | LOG_ALL);
    g_assert_true(guest_mem_logs(f->r.stub->dev.mem));
}

/* What the last front end had negotiated, and its log, are not the next one's. */
static void test_log_and_reconnect(Fixture *f, gconstpointer data)
{
    vhost_user_front_open_log(f->r.front, LOG_SIZE);
    set_features(f, f->features | LOG_ALL);
    g_assert_true(guest_mem_logs(f->r.stub->dev.mem));
    vhost_user_front_close(f->r.front);
    vhost_user_rig_expect_end(&f->r, NULL);
    vhost_user_front_close_log(f->r.front);
    vhost_user_rig_reconnect(&f->r);
    vhost_user_front_send_u64(f->r.front, VHOST_USER_SET_PROTOCOL_FEATURES,
                              VHOST_USER_FRONT_PROTOCOL);
    vhost_user_front_open_log(f->r.front, LOG_SIZE);
    g_assert_false(guest_mem_logs(f->r.stub->dev.mem));
    set_features(f, f->features | LOG_ALL);
    g_assert_true(guest_mem_logs(f->r.stub->dev.mem));
}

static void test_log_fd(Fixture *f, gconstpointer data)
{
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_LOG_FD, .fd = &f->ring[0].err_fd,
                            .n_fds = 1 };

    g_assert_cmpuint(vhost_user_front_ask(f->r.front, &m), ==, 0);
}

/* --- inflight memory --- */

static void stop_all(Fixture *f)
{
    g_assert_true(vhost_user_front_ring_stop(f->r.front, &f->ring[0]));
    g_assert_true(vhost_user_front_ring_stop(f->r.front, &f->ring[1]));
}

static void test_inflight_sizes(Fixture *f, gconstpointer data)
{
    bool packed = f->features & PACKED;
    struct stat st;

    vhost_user_front_get_inflight(f->r.front, 4, 64);
    g_assert_cmpuint(f->r.front->inflight.size, ==, 4 * virtq_inflight_size(64, packed));
    g_assert_cmpuint(f->r.front->inflight.offset, ==, 0);
    g_assert_cmpuint(f->r.front->inflight.n_rings, ==, 4);
    g_assert_cmpuint(f->r.front->inflight.ring_size, ==, 64);
    g_assert_cmpint(fstat(f->r.front->inflight_fd, &st), ==, 0);
    g_assert_cmpuint((uint64_t)st.st_size, ==, f->r.front->inflight.size);
    /* nobody makes it shorter */
    g_assert_cmpint(ftruncate(f->r.front->inflight_fd, 0), <, 0);
    g_assert_cmpint(errno, ==, EPERM);
    vhost_user_front_get_inflight(f->r.front, 4, 32768);
    g_assert_cmpuint(f->r.front->inflight.size, ==, 4 * virtq_inflight_size(32768, packed));
    /* before features are known: enough for either */
    vhost_user_front_send(f->r.front, VHOST_USER_RESET_DEVICE, NULL, 0);
    vhost_user_front_get_inflight(f->r.front, 1, 64);
    g_assert_cmpuint(f->r.front->inflight.size, ==, virtq_inflight_size(64, true));
}

/* 20 bytes, as some send them, are answered with 20. */
static void test_inflight_short(Fixture *f, gconstpointer data)
{
    VhostUserInflight i = { .n_rings = 1, .ring_size = 64 };
    VhostUserFrontReply reply;

    vhost_user_front_send(f->r.front, VHOST_USER_GET_INFLIGHT_FD, &i, 20);
    g_assert_true(vhost_user_front_recv(f->r.front, &reply));
    g_assert_cmpuint(reply.hdr.size, ==, 20);
    close(reply.fd);
}

/* Each ring has the region that is its own. */
static void test_inflight_regions(Fixture *f, gconstpointer data)
{
    uint64_t one = virtq_inflight_size(128, f->features & PACKED);
    uint8_t *at;

    stop_all(f);
    f->r.stub->virtqueues = false;
    vhost_user_front_get_inflight(f->r.front, 2, 128);
    at = mmap(NULL, 2 * one, PROT_READ | PROT_WRITE, MAP_SHARED, f->r.front->inflight_fd, 0);
    g_assert_true(at != MAP_FAILED);
    at[0] = 1;
    at[one] = 2;
    vhost_user_front_set_inflight(f->r.front);
    for (unsigned i = 0; i < 2; i++) {
        vhost_user_front_ring_start(f->r.front, &f->ring[i]);
        sync_front(f);
        g_assert_cmpuint(*(uint8_t *)f->r.stub->ring[i].ring.setup.inflight, ==, i + 1);
    }
    munmap(at, 2 * one);
}

/* Those beyond what the memory is for have none. */
static void test_inflight_of_others(Fixture *f, gconstpointer data)
{
    stop_all(f);
    f->r.stub->virtqueues = false;
    vhost_user_front_get_inflight(f->r.front, 1, 64);
    vhost_user_front_set_inflight(f->r.front);
    vhost_user_front_ring_start(f->r.front, &f->ring[0]);
    vhost_user_front_ring_start(f->r.front, &f->ring[1]);
    sync_front(f);
    g_assert_nonnull(f->r.stub->ring[0].ring.setup.inflight);
    g_assert_null(f->r.stub->ring[1].ring.setup.inflight);
}

static void expect_too_small(Fixture *f)
{
    uint64_t u = 0x101;
    VhostUserFrontMsg kick = { .request = VHOST_USER_SET_VRING_KICK, .payload = &u,
                               .size = sizeof(u) };

    g_assert_cmpuint(vhost_user_front_ask(f->r.front, &kick), ==, 1);
    vhost_user_rig_expect_warning(&f->r, "SET_VRING_KICK: ring 1: the inflight memory is too "
                                         "small for it");
}

static void test_inflight_too_small(Fixture *f, gconstpointer data)
{
    stop_all(f);
    f->r.stub->virtqueues = false;
    vhost_user_front_get_inflight(f->r.front, 2, 63);
    vhost_user_front_set_inflight(f->r.front);
    expect_too_small(f);
    vhost_user_front_get_inflight(f->r.front, 2, 64);
    f->r.front->inflight.size--;
    vhost_user_front_set_inflight(f->r.front);
    expect_too_small(f);
    f->r.front->inflight.size++;
    f->r.front->inflight.offset += 8;
    f->r.front->inflight.size -= 8;
    vhost_user_front_set_inflight(f->r.front);
    expect_too_small(f);
}

static void test_inflight_refused(Fixture *f, gconstpointer data)
{
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_INFLIGHT_FD, .payload = &f->r.front->inflight,
                            .size = sizeof(VhostUserInflight), .fd = &f->r.front->inflight_fd,
                            .n_fds = 1 };

    vhost_user_front_get_inflight(f->r.front, 2, 64);
    g_assert_cmpuint(vhost_user_front_ask(f->r.front, &m), ==, 1);
    vhost_user_rig_expect_warning(&f->r, "SET_INFLIGHT_FD: rings are running");
    stop_all(f);
    g_assert_cmpuint(vhost_user_front_ask(f->r.front, &m), ==, 0);
    f->r.front->inflight.size++;
    g_assert_cmpuint(vhost_user_front_ask(f->r.front, &m), ==, 1);
    g_assert_true(g_str_has_prefix(f->r.warning, "SET_INFLIGHT_FD: the file of memory ends at "));
}

/* All of what is shared is given back. */
static void test_end(Fixture *f, gconstpointer data)
{
    stop_all(f);
    vhost_user_front_get_inflight(f->r.front, 2, 64);
    vhost_user_front_set_inflight(f->r.front);
    vhost_user_front_set_inflight(f->r.front);
    vhost_user_front_open_log(f->r.front, LOG_SIZE);
    set_features(f, f->features | LOG_ALL);
    vhost_user_front_ring_start(f->r.front, &f->ring[0]);
    sync_front(f);
    vhost_user_front_close(f->r.front);
    vhost_user_rig_expect_end(&f->r, NULL);
}

#define ADD(name, fn) \
    g_test_add("/hw/virtio/vhost-user-memory/split/" name, Fixture, NULL, up, fn, down); \
    g_test_add("/hw/virtio/vhost-user-memory/packed/" name, Fixture, "packed", up, fn, down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("data", test_data);
    ADD("stop-and-start", test_stop_and_start);
    ADD("slots", test_slots);
    ADD("slots-by-pairs", test_slots_by_pairs);
    ADD("offset", test_offset);
    ADD("max-slots", test_max_slots);
    ADD("ring-loses-its-memory", test_ring_loses_its_memory);
    ADD("stranded-and-reset", test_stranded_and_reset);
    ADD("table-again", test_table_again);
    ADD("empty-table", test_empty_table);
    ADD("log", test_log);
    ADD("log-after-features", test_log_after_features);
    ADD("log-of-the-ring", test_log_of_the_ring);
    ADD("log-is-replaced", test_log_is_replaced);
    ADD("short-log", test_short_log);
    ADD("log-that-can-not-be", test_log_that_can_not_be);
    ADD("log-and-reset", test_log_and_reset);
    ADD("log-and-reconnect", test_log_and_reconnect);
    ADD("log-fd", test_log_fd);
    ADD("inflight/sizes", test_inflight_sizes);
    ADD("inflight/short", test_inflight_short);
    ADD("inflight/regions", test_inflight_regions);
    ADD("inflight/of-others", test_inflight_of_others);
    ADD("inflight/too-small", test_inflight_too_small);
    ADD("inflight/refused", test_inflight_refused);
    ADD("end", test_end);
    return g_test_run();
}
