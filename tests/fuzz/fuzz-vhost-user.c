/*
 * A front end of vhost-user: an input is what it says, and does to its memory.
 *
 *     u8 flags (1: begins with rings that run, 2: packed ones, 4: in pieces of 5 bytes), then
 *     steps, each a byte: a request below 0xf0, with u8 flags, u8 descriptors (low half: how
 *     many, high half: of which kind), u16 size, the payload; or one of STEP_*
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/mem-fault.h"
#include "vhost-user-rig.h"

#define MEMORY    (64u << 10) /* bytes of the guest's, at 0 */
#define MAX_STEPS 200
#define MAX_SIZE  600u
#define N_KINDS   6
#define PACKED    (1ull << 34)

enum {
    STEP_TRUNCATE = 0xf0, /* u8: pages that are left of the memory's file */
    STEP_FILL,            /* u16 where, u8 how much, bytes */
    STEP_SERVE,           /* u8 ring: the device takes chains off it */
    STEP_CONFIG,          /* the device's configuration changes */
    STEP_BREAK,           /* u8 ring: the device finds it broken */
    STEP_BYTES,           /* u8 how many, bytes that are no message */
    STEP_RECONNECT,
};

typedef struct World {
    int kind[N_KINDS];    /* descriptors to pass */
    uint8_t *memory;
    VhostUserRig rig;
} World;

static World w;

/* Once: what a front end hands out is the same for all inputs. */
static void make_world(void)
{
    int pair[2], pipes[2];

    if (w.memory) {
        return;
    }
    mem_fault_install();
    w.kind[0] = memfd_create("fuzz", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(w.kind[0], MEMORY), ==, 0);
    w.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, w.kind[0], 0);
    g_assert_true(w.memory != MAP_FAILED);
    w.kind[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    w.kind[2] = pair[0];
    g_assert_cmpint(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), ==, 0);
    w.kind[3] = pipes[1];
    w.kind[4] = open("/dev/null", O_RDWR | O_CLOEXEC);
    w.kind[5] = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
    g_main_context_iteration(NULL, FALSE);
}

/* Replies are whole and answers to requests; nobody waits for them. */
static void drain(void)
{
    VhostUserHeader hdr;
    uint8_t payload[VHOST_USER_MAX_CONFIG + 12];

    while (recv(w.rig.front->fd, &hdr, sizeof(hdr), MSG_DONTWAIT) == sizeof(hdr)) {
        g_assert_cmphex(hdr.flags, ==, VHOST_USER_VERSION | VHOST_USER_REPLY);
        g_assert_cmpuint(hdr.size, <=, sizeof(payload));
        g_assert_cmpint(recv(w.rig.front->fd, payload, hdr.size, MSG_DONTWAIT), ==, hdr.size);
    }
}

static void settle(void)
{
    for (unsigned i = 0; i < 10000 && g_main_context_iteration(NULL, FALSE); i++) {
        continue;
    }
    drain();
}

/* As by a front end that is honest so far. */
static void run_rings(uint64_t features)
{
    VhostUserMemTable t = { .n = 1, .region = { { 0, MEMORY, 0x10000, 0 } } };
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_MEM_TABLE, .payload = &t, .size = 40,
                            .fd = w.kind, .n_fds = 1 };
    VhostUserFront *f = w.rig.front;

    vhost_user_front_send_u64(f, VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_FRONT_PROTOCOL);
    vhost_user_front_send_u64(f, VHOST_USER_SET_FEATURES, features);
    vhost_user_front_send_msg(f, &m);
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t at = 0x10000 + i * 0x1000;
        struct vhost_vring_addr a = { i, 0, at, at + 0x400, at + 0x200, 0 };

        vhost_user_front_send_state(f, VHOST_USER_SET_VRING_NUM, i, 16);
        vhost_user_front_send_state(f, VHOST_USER_SET_VRING_BASE, i,
                                    features & PACKED ? 0x80008000 : 0);
        vhost_user_front_send(f, VHOST_USER_SET_VRING_ADDR, &a, sizeof(a));
        vhost_user_front_send_event(f, VHOST_USER_SET_VRING_KICK, i, w.kind[1]);
        vhost_user_front_send_state(f, VHOST_USER_SET_VRING_ENABLE, i, 1);
    }
    settle();
    g_assert_cmpuint(w.rig.running, ==, 2);
}

static void say(FuzzInput *in, uint8_t request)
{
    uint8_t flags, fds, payload[MAX_SIZE];
    uint16_t size;
    int fd[16];
    VhostUserFrontMsg m = { .request = request, .payload = payload, .fd = fd };

    fuzz_take(in, &flags, 1);
    fuzz_take(in, &fds, 1);
    fuzz_take(in, &size, 2);
    m.size = MIN(size, MAX_SIZE);
    fuzz_take(in, payload, m.size);
    m.flags = flags ^ VHOST_USER_VERSION; /* so that 0 is right */
    m.n_fds = fds & 15;
    for (unsigned i = 0; i < m.n_fds; i++) {
        fd[i] = w.kind[(fds / 16 + (fds & 0x80 ? i : 0)) % N_KINDS];
    }
    vhost_user_front_send_msg(w.rig.front, &m);
}

static void fill_memory(FuzzInput *in)
{
    uint16_t at;
    uint8_t n, bytes[UINT8_MAX];

    fuzz_take(in, &at, 2);
    fuzz_take(in, &n, 1);
    fuzz_take(in, bytes, n);
    /* not by the mapping, which may have an end by now */
    g_assert_true(pwrite(w.kind[0], bytes, n, at) == n || at + n > MEMORY);
}

static void send_bytes(FuzzInput *in)
{
    uint8_t n, bytes[UINT8_MAX];

    fuzz_take(in, &n, 1);
    fuzz_take(in, bytes, n);
    vhost_user_front_send_bytes(w.rig.front, bytes, n, NULL, 0);
}

/* What the device does, or the kernel for the front end. */
static void act(FuzzInput *in, uint8_t step)
{
    VirtioDevice *d = &w.rig.stub->dev;
    uint8_t arg = 0;

    if (step == STEP_TRUNCATE || step == STEP_SERVE || step == STEP_BREAK) {
        fuzz_take(in, &arg, 1);
    }
    if (step == STEP_TRUNCATE) {
        g_assert_cmpint(ftruncate(w.kind[0], arg % 17 * 4096), ==, 0);
    } else if (step == STEP_SERVE) {
        virtio_stub_serve(w.rig.stub, arg % VHOST_USER_RIG_RINGS, 64);
    } else if (step == STEP_CONFIG && d->transport) {
        d->transport->config_changed(d->transport_opaque);
    } else if (step == STEP_BREAK && d->transport) {
        d->transport->ring_broken(d->transport_opaque, arg % VHOST_USER_RIG_RINGS, "fuzzed");
    }
}

static void take_step(FuzzInput *in)
{
    uint8_t step;

    fuzz_take(in, &step, 1);
    if (step < STEP_TRUNCATE) {
        say(in, step);
    } else if (step == STEP_FILL) {
        fill_memory(in);
    } else if (step == STEP_BYTES) {
        send_bytes(in);
    } else if (step == STEP_RECONNECT) {
        vhost_user_front_close(w.rig.front);
    } else {
        act(in, step);
    }
}

/* Whatever was said before, it can be said no more. */
static void serve_next(void)
{
    g_assert_cmpuint(w.rig.running, ==, 0);
    g_assert_false(vhost_user_is_connected(w.rig.back));
    vhost_user_rig_reconnect(&w.rig);
    g_assert_true(vhost_user_front_sync(w.rig.front));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { data, size };
    uint8_t flags;

    make_world();
    g_assert_cmpint(ftruncate(w.kind[0], 0), ==, 0);
    g_assert_cmpint(ftruncate(w.kind[0], MEMORY), ==, 0);
    fuzz_take(&in, &flags, 1);
    vhost_user_rig_up(&w.rig);
    w.rig.stub->virtqueues = true;
    if (flags & 1) {
        run_rings(1ull << 32 | 1ull << 30 | (flags & 2 ? PACKED : 0));
    }
    w.rig.front->piece = flags & 4 ? 5 : 0;
    for (unsigned i = 0; i < MAX_STEPS && in.size > 0; i++) {
        take_step(&in);
        settle();
        if (w.rig.ended) {
            serve_next();
        }
    }
    vhost_user_rig_down(&w.rig);
    return 0;
}
