/*
 * Rings that have threads of their own, which run while memory comes and goes and while the
 * front end takes it away by truncating its files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-rig.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem-fault.h"

#define MIB    (1ull << 20)
#define GIB    (1ull << 30)
#define PAGE   4096u
#define DATA   GIB
#define N      2u
#define PACKED (1ull << VIRTIO_F_RING_PACKED)
#define LOG_ALL (1ull << VHOST_F_LOG_ALL)
#define TAKEN_AWAY "the front end took away memory that it shares"

typedef struct Server {
    VirtioStub *stub;
    unsigned index;
    GThread *thread;
    int stop_fd;
} Server;

typedef struct Fixture {
    VhostUserRig r;
    VirtioDeviceOps stub_ops;
    Server server[N];
    VhostUserFrontRing ring[N];
    uint64_t features;
} Fixture;

/* --- the device: a thread for each ring that runs --- */

static void take_event(int fd)
{
    uint64_t n;
    ssize_t r = read(fd, &n, sizeof(n));

    (void)r;
}

static gpointer serve(gpointer opaque)
{
    Server *s = opaque;
    VirtioStubRing *r = &s->stub->ring[s->index];
    struct pollfd p[2] = { { s->stop_fd, POLLIN, 0 }, { r->ring.kick_fd, POLLIN, 0 } };

    while (!p[0].revents) {
        int n = virtio_stub_serve(s->stub, s->index, 16);

        poll(p, 2, n > 0 || (n == 0 && !r->vq.violation && virtq_arm(&r->vq)) ? 0 : -1);
        if (p[1].revents) {
            take_event(r->ring.kick_fd);
        }
    }
    return NULL;
}

static Fixture *the_fixture; /* ops have no room for it */

static void start_thread(unsigned index)
{
    Server *s = &the_fixture->server[index];

    *s = (Server){ .stub = the_fixture->r.stub, .index = index };
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->thread = g_thread_new("ring", serve, s);
}

static void stop_thread(unsigned index)
{
    Server *s = &the_fixture->server[index];

    g_assert_cmpint(eventfd_write(s->stop_fd, 1), ==, 0);
    g_thread_join(s->thread);
    fd_close(&s->stop_fd);
}

static bool ring_start(VirtioDevice *d, unsigned index, const VirtioRing *ring, GError **error)
{
    bool ok = the_fixture->stub_ops.ring_start(d, index, ring, error);

    if (ok) {
        start_thread(index);
    }
    return ok;
}

static uint32_t ring_stop(VirtioDevice *d, unsigned index)
{
    stop_thread(index);
    return the_fixture->stub_ops.ring_stop(d, index);
}

static void ring_set_call(VirtioDevice *d, unsigned index, int call_fd)
{
    stop_thread(index);
    the_fixture->stub_ops.ring_set_call(d, index, call_fd);
    start_thread(index);
}

/* --- */

static void start(Fixture *f)
{
    vhost_user_rig_negotiate(&f->r, f->features);
    for (unsigned i = 0; i < N; i++) {
        vhost_user_rig_ring(&f->r, &f->ring[i], i, 64);
        vhost_user_front_ring_start(f->r.front, &f->ring[i]);
    }
    g_assert_true(vhost_user_front_sync(f->r.front));
    g_assert_cmpuint(f->r.running, ==, N);
}

static void up(Fixture *f, gconstpointer data)
{
    mem_fault_install();
    the_fixture = f;
    f->features = VHOST_USER_RIG_FEATURES | (data ? PACKED : 0);
    vhost_user_rig_up(&f->r);
    f->stub_ops = f->r.stub->ops;
    f->r.stub->ops.ring_start = ring_start;
    f->r.stub->ops.ring_stop = ring_stop;
    f->r.stub->ops.ring_set_call = ring_set_call;
    f->r.stub->virtqueues = true;
    start(f);
}

static void done(Fixture *f)
{
    for (unsigned i = 0; i < N; i++) {
        vhost_user_front_ring_done(&f->ring[i]);
    }
}

static void down(Fixture *f, gconstpointer data)
{
    done(f);
    vhost_user_rig_down(&f->r);
}

/* Keeps ring @i full of buffers at @gpa; how many came back since. */
static unsigned churn(Fixture *f, unsigned i, uint64_t gpa)
{
    VirtqDriverPiece piece = { gpa, 200 };
    uint32_t len;
    uint16_t id;
    unsigned n = 0;

    while (virtq_driver_get(f->ring[i].driver, &id, &len)) {
        n++;
    }
    while (virtq_driver_add(f->ring[i].driver, &piece, 0, 1) >= 0) {
        continue;
    }
    if (virtq_driver_publish(f->ring[i].driver)) {
        vhost_user_front_kick(&f->ring[i]);
    }
    return n;
}

static void churn_until(Fixture *f, unsigned i, uint64_t gpa, unsigned n)
{
    struct pollfd p = { f->ring[i].call_fd, POLLIN, 0 };

    for (unsigned got = 0; got < n;) {
        got += churn(f, i, gpa);
        if (!virtq_driver_arm(f->ring[i].driver)) {
            g_assert_cmpint(poll(&p, 1, 20000), ==, 1);
            take_event(p.fd);
        }
    }
}

/* Slots come and go under traffic; none of it is lost, and both rings run at the end. */
static void test_slots(Fixture *f, gconstpointer data)
{
    for (unsigned round = 0; round < 30; round++) {
        VhostUserFrontRegion *r = vhost_user_front_make_region(f->r.front, 4 * GIB, MIB);

        churn_until(f, 0, DATA, 100);
        vhost_user_front_add_slot(f->r.front, r);
        churn_until(f, 1, DATA + PAGE, 100);
        g_assert_true(vhost_user_front_sync(f->r.front));
        churn_until(f, 0, r->gpa, 200);
        g_assert_cmphex(r->host[0], ==, VIRTIO_STUB_BYTE);
        /* chains for memory that goes are given back all the same */
        vhost_user_front_remove_slot(f->r.front, r);
        g_assert_true(vhost_user_front_sync(f->r.front));
        vhost_user_front_drop_region(f->r.front, r);
        churn_until(f, 0, DATA, 200);
    }
    g_assert_cmpuint(f->r.running, ==, N);
    g_assert_cmpuint(f->r.rings_told, ==, N);
    g_assert_cmpuint(f->r.warnings, ==, 0);
}

/* A log that begins and ends under traffic: what was written while it was there is in it. */
static void test_log(Fixture *f, gconstpointer data)
{
    for (unsigned round = 0; round < 20; round++) {
        uint64_t gpa = DATA + round * PAGE;

        churn_until(f, 0, gpa, 100);
        vhost_user_front_open_log(f->r.front, (DATA + MIB) / PAGE / 8);
        vhost_user_front_send_u64(f->r.front, VHOST_USER_SET_FEATURES, f->features | LOG_ALL);
        g_assert_true(vhost_user_front_sync(f->r.front));
        churn_until(f, 0, gpa + 100 * PAGE, 200);
        g_assert_true(vhost_user_front_take_dirty(f->r.front, gpa + 100 * PAGE));
        vhost_user_front_send_u64(f->r.front, VHOST_USER_SET_FEATURES, f->features);
        g_assert_true(vhost_user_front_sync(f->r.front));
        churn_until(f, 0, gpa, 200);
        memset(f->r.front->log, 0, f->r.front->log_size);
        churn_until(f, 0, gpa, 100);
        g_assert_false(vhost_user_front_take_dirty(f->r.front, gpa));
        vhost_user_front_close_log(f->r.front);
    }
}

/* --- memory that is taken away --- */

static void truncate_file(int fd)
{
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
}

/* The connection ends, and the next front end, which has memory of its own, is served. */
static void expect_taken_away(Fixture *f)
{
    while (!f->r.ended) {
        g_main_context_iteration(NULL, TRUE);
    }
    vhost_user_rig_expect_end(&f->r, TAKEN_AWAY);
    g_assert_true(vhost_user_front_is_closed(f->r.front));
    done(f);
    vhost_user_front_drop_region(f->r.front, &f->r.front->region[0]);
    vhost_user_front_drop_region(f->r.front, &f->r.front->region[1]);
    vhost_user_rig_reconnect(&f->r);
    start(f);
    churn_until(f, 0, DATA, 200);
}

/* Where buffers are: the ring itself goes on. */
static void test_data_is_truncated(Fixture *f, gconstpointer data)
{
    for (unsigned round = 0; round < 10; round++) {
        churn_until(f, 0, DATA, 100);
        truncate_file(f->r.front->region[1].fd);
        churn(f, 0, DATA);
        churn(f, 1, DATA + PAGE);
        expect_taken_away(f);
    }
}

/* The rings themselves, which a thread touches next. */
static void test_rings_are_truncated(Fixture *f, gconstpointer data)
{
    for (unsigned round = 0; round < 10; round++) {
        churn_until(f, 1, DATA + PAGE, 100);
        truncate_file(f->r.front->region[0].fd);
        vhost_user_front_kick(&f->ring[round % 2]);
        expect_taken_away(f);
    }
}

/* It is the main thread that touches them, when they start again. */
static void test_stopped_rings_are_truncated(Fixture *f, gconstpointer data)
{
    vhost_user_front_ring_stop(f->r.front, &f->ring[0]);
    vhost_user_front_ring_stop(f->r.front, &f->ring[1]);
    truncate_file(f->r.front->region[0].fd);
    vhost_user_front_ring_start(f->r.front, &f->ring[0]);
    expect_taken_away(f);
}

static void test_log_is_truncated(Fixture *f, gconstpointer data)
{
    vhost_user_front_open_log(f->r.front, (DATA + MIB) / PAGE / 8);
    vhost_user_front_send_u64(f->r.front, VHOST_USER_SET_FEATURES, f->features | LOG_ALL);
    g_assert_true(vhost_user_front_sync(f->r.front));
    churn_until(f, 0, DATA, 100);
    truncate_file(f->r.front->log_fd);
    churn(f, 0, DATA);
    expect_taken_away(f);
}

/* Memory that nobody touches is nobody's loss, until it is. */
static void test_unused_memory_is_truncated(Fixture *f, gconstpointer data)
{
    VhostUserFrontRegion *r = vhost_user_front_make_region(f->r.front, 4 * GIB, MIB);

    vhost_user_front_add_slot(f->r.front, r);
    g_assert_true(vhost_user_front_sync(f->r.front));
    truncate_file(r->fd);
    churn_until(f, 0, DATA, 200);
    g_assert_true(vhost_user_front_sync(f->r.front));
    churn(f, 1, r->gpa);
    while (!f->r.ended) {
        g_main_context_iteration(NULL, TRUE);
    }
    vhost_user_rig_expect_end(&f->r, TAKEN_AWAY);
}

/* It ends at any moment, with rings at work. */
static void test_ends(Fixture *f, gconstpointer data)
{
    for (unsigned round = 0; round < 30; round++) {
        churn(f, 0, DATA);
        churn(f, 1, DATA + PAGE);
        vhost_user_front_close(f->r.front);
        vhost_user_rig_expect_end(&f->r, NULL);
        done(f);
        vhost_user_rig_reconnect(&f->r);
        start(f);
    }
}

#define ADD(name, fn) \
    g_test_add("/hw/virtio/vhost-user-threads/split/" name, Fixture, NULL, up, fn, down); \
    g_test_add("/hw/virtio/vhost-user-threads/packed/" name, Fixture, "packed", up, fn, down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("slots", test_slots);
    ADD("log", test_log);
    ADD("data-is-truncated", test_data_is_truncated);
    ADD("rings-are-truncated", test_rings_are_truncated);
    ADD("stopped-rings-are-truncated", test_stopped_rings_are_truncated);
    ADD("log-is-truncated", test_log_is_truncated);
    ADD("unused-memory-is-truncated", test_unused_memory_is_truncated);
    ADD("ends", test_ends);
    return g_test_run();
}
