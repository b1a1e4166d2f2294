/*
 * A back end that is killed with chains in its hands, and the one that comes after it: each in a
 * process of its own. No chain is lost, none comes back twice.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-rig.h"

#include <glib-unix.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"

#define MIB      (1ull << 20)
#define DATA     (MIB / 2)
#define SIZE     64u
#define CHAINS   200u
#define PACKED   (1ull << VIRTIO_F_RING_PACKED)
#define INFLIGHT (1ull << 63) /* of a test's, no feature */

/* --- the back end: does what it is told to by bytes --- */

enum {
    SERVE, /* all that is there */
    HOLD,  /* takes 5 chains and keeps them */
    PUSH,  /* serves 3, then takes 5 and gives the first 2 of them back, unseen */
};

typedef struct Back {
    VirtioStub *stub;
    VhostUser *v;
    struct iovec iov[VIRTQ_MAX_IOV];
    VirtqChain chain[5];
} Back;

static void on_rings(void *opaque, unsigned running)
{
}

static void on_ended(void *opaque, const char *reason)
{
    _exit(reason ? 1 : 0);
}

static void on_warned(void *opaque, const char *text)
{
    _exit(2);
}

static int hold(Back *b)
{
    return virtq_pop(&b->stub->ring[0].vq, b->chain, 5, b->iov, VIRTQ_MAX_IOV);
}

static gboolean on_command(gint fd, GIOCondition cond, gpointer opaque)
{
    Back *b = opaque;
    uint8_t command, answer = 0;

    if (read(fd, &command, 1) != 1) {
        _exit(3);
    }
    if (command == SERVE) {
        answer = (uint8_t)virtio_stub_serve(b->stub, 0, 1000);
    } else if (command == HOLD) {
        answer = (uint8_t)hold(b);
    } else if (command == PUSH) {
        answer = (uint8_t)virtio_stub_serve(b->stub, 0, 3);
        answer = (uint8_t)(answer + hold(b));
        virtq_push(&b->stub->ring[0].vq, &b->chain[0], 0);
        virtq_push(&b->stub->ring[0].vq, &b->chain[1], 0);
    }
    return write(fd, &answer, 1) == 1 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void G_GNUC_NORETURN run_back(int fd, int control)
{
    static const VhostUserEvents events = { on_rings, on_ended, on_warned };
    Back *b = g_new0(Back, 1);

    b->stub = virtio_stub_new(VHOST_USER_RIG_RINGS);
    b->stub->virtqueues = true;
    b->v = vhost_user_new(&b->stub->dev, &events, NULL);
    vhost_user_serve(b->v, fd);
    g_unix_fd_add(control, G_IO_IN | G_IO_HUP, on_command, b);
    for (;;) {
        g_main_context_iteration(NULL, TRUE);
    }
}

/* --- */

typedef struct Fixture {
    uint64_t features;
    bool inflight;
    pid_t pid;
    int control;
    VhostUserFront *front;
    VhostUserFrontRing ring;
    uint8_t back[CHAINS]; /* how often each chain came back */
    unsigned added;
    unsigned id_of[SIZE]; /* which chain has the id now */
} Fixture;

static bool is_packed(const Fixture *f)
{
    return f->features & PACKED;
}

/* Another back end; the connection to it. */
static int start_back(Fixture *f)
{
    int pair[2], control[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), ==, 0);
    f->pid = fork();
    g_assert_cmpint(f->pid, >=, 0);
    if (f->pid == 0) {
        close(pair[0]);
        close(control[0]);
        if (f->front) {
            fd_close(&f->front->fd);
        }
        run_back(pair[1], control[1]);
    }
    close(pair[1]);
    close(control[1]);
    f->control = control[0];
    return pair[0];
}

static void kill_back(Fixture *f)
{
    int status;

    g_assert_cmpint(kill(f->pid, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(f->pid, &status, 0), ==, f->pid);
    g_assert_true(WIFSIGNALED(status));
    fd_close(&f->control);
}

static unsigned tell_back(Fixture *f, uint8_t command)
{
    uint8_t answer;

    g_assert_cmpint(write(f->control, &command, 1), ==, 1);
    g_assert_cmpint(read(f->control, &answer, 1), ==, 1);
    return answer;
}

/* As a front end does that has lost its back end: memory, features and rings anew. */
static void set_up(Fixture *f)
{
    vhost_user_front_negotiate(f->front, f->features, VHOST_USER_FRONT_PROTOCOL);
    vhost_user_front_share(f->front);
    if (!f->ring.driver) {
        VirtqDriverConfig c = { .size = SIZE };

        vhost_user_front_ring_init(f->front, &f->ring, 0, &c);
    }
    if (f->inflight) {
        if (f->front->inflight_fd < 0) {
            vhost_user_front_get_inflight(f->front, 1, SIZE);
        }
        vhost_user_front_set_inflight(f->front);
    }
    vhost_user_front_ring_start(f->front, &f->ring);
    vhost_user_front_ring_enable(f->front, &f->ring, true);
    g_assert_true(vhost_user_front_sync(f->front));
}

static void up(Fixture *f, gconstpointer data)
{
    uint64_t what = *(const uint64_t *)data;

    f->inflight = what & INFLIGHT;
    f->features = VHOST_USER_RIG_FEATURES | (what & ~INFLIGHT);
    f->front = vhost_user_front_new(start_back(f));
    vhost_user_front_make_region(f->front, 0, MIB);
    set_up(f);
}

static void down(Fixture *f, gconstpointer data)
{
    int status;

    vhost_user_front_ring_done(&f->ring);
    vhost_user_front_free(f->front);
    g_assert_cmpint(waitpid(f->pid, &status, 0), ==, f->pid);
    g_assert_cmpint(status, ==, 0);
    fd_close(&f->control);
}

static void restart(Fixture *f)
{
    kill_back(f);
    vhost_user_front_reconnect(f->front, start_back(f));
    if (!f->inflight && !is_packed(f)) {
        /* as QEMU finds it out; of a packed ring it knows the place of the first start only */
        f->ring.base = f->ring.driver->used->idx;
    }
    set_up(f);
}

static void add(Fixture *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        VirtqDriverPiece piece = { DATA + f->added * 64, 64 };
        int id = virtq_driver_add(f->ring.driver, &piece, 0, 1);

        g_assert_cmpint(id, >=, 0);
        g_assert_cmpuint(f->added, <, CHAINS);
        f->id_of[id] = f->added++;
    }
    virtq_driver_publish(f->ring.driver);
}

static void get(Fixture *f)
{
    uint32_t len;
    uint16_t id;

    while (virtq_driver_get(f->ring.driver, &id, &len)) {
        f->back[f->id_of[id]]++;
        /* 0: given back by one who had no time to write */
        g_assert_true(len == 64 || len == 0);
    }
}

static void expect_all_back_once(Fixture *f)
{
    get(f);
    for (unsigned i = 0; i < f->added; i++) {
        g_assert_cmpuint(f->back[i], ==, 1);
    }
}

static void test_held(Fixture *f, gconstpointer data)
{
    for (unsigned round = 0; round < 5; round++) {
        add(f, 20);
        g_assert_cmpuint(tell_back(f, HOLD), ==, 5);
        get(f);
        restart(f);
        g_assert_cmpuint(tell_back(f, SERVE), ==, 20);
        expect_all_back_once(f);
        /* the driver may wait for what the dead one had no time to tell */
        g_assert_true(vhost_user_front_was_called(&f->ring));
    }
}

static void test_pushed_and_not_published(Fixture *f, gconstpointer data)
{
    for (unsigned round = 0; round < 5; round++) {
        add(f, 20);
        g_assert_cmpuint(tell_back(f, PUSH), ==, 8);
        get(f);
        restart(f);
        /* what it pushed is gone from the ring, and goes back as it is */
        g_assert_cmpuint(tell_back(f, SERVE), ==, is_packed(f) && !f->inflight ? 15 : 17);
        expect_all_back_once(f);
    }
}

/* Again and again, before anything was done. */
static void test_killed_often(Fixture *f, gconstpointer data)
{
    add(f, 30);
    for (unsigned round = 0; round < 5; round++) {
        g_assert_cmpuint(tell_back(f, HOLD), ==, 5);
        restart(f);
    }
    g_assert_cmpuint(tell_back(f, SERVE), ==, 30);
    expect_all_back_once(f);
}

#define ADD(what, name, fn) \
    g_test_add("/hw/virtio/vhost-user-restart/" name, Fixture, &(what), up, fn, down)

int main(int argc, char **argv)
{
    static const uint64_t split = 0, kept = INFLIGHT, packed = PACKED, both = PACKED | INFLIGHT;

    g_test_init(&argc, &argv, NULL);
    ADD(split, "split/held", test_held);
    ADD(split, "split/pushed-and-not-published", test_pushed_and_not_published);
    ADD(split, "split/killed-often", test_killed_often);
    ADD(kept, "split-inflight/held", test_held);
    ADD(kept, "split-inflight/pushed-and-not-published", test_pushed_and_not_published);
    ADD(kept, "split-inflight/killed-often", test_killed_often);
    ADD(packed, "packed/held", test_held);
    ADD(packed, "packed/pushed-and-not-published", test_pushed_and_not_published);
    ADD(packed, "packed/killed-often", test_killed_often);
    ADD(both, "packed-inflight/held", test_held);
    ADD(both, "packed-inflight/pushed-and-not-published", test_pushed_and_not_published);
    ADD(both, "packed-inflight/killed-often", test_killed_often);
    return g_test_run();
}
