/*
 * Front ends that lie: each loses its connection with one line that says why, its ring is
 * stopped, nothing of it is left, and the next front end is served. What is honest and can't be
 * done is refused, and costs the connection only where no answer was asked for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-rig.h"

#include <linux/virtio_config.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"

#define USER VHOST_USER_FRONT_USER
#define MIB  (1ull << 20)

typedef struct Fixture {
    VhostUserRig r;
    VhostUserFrontRing ring; /* of index 0, running */
} Fixture;

static void start(Fixture *f)
{
    vhost_user_rig_negotiate(&f->r, VHOST_USER_RIG_FEATURES);
    vhost_user_rig_ring(&f->r, &f->ring, 0, 64);
    vhost_user_front_ring_start(f->r.front, &f->ring);
    vhost_user_front_ring_enable(f->r.front, &f->ring, true);
    g_assert_true(vhost_user_front_sync(f->r.front));
    g_assert_cmpuint(f->r.running, ==, 1);
    virtio_stub_expect(f->r.stub, "features=0x100000000 start=0,64 call=0 enable=0,1");
}

static void up(Fixture *f, gconstpointer data)
{
    vhost_user_rig_up(&f->r);
    start(f);
}

static void down(Fixture *f, gconstpointer data)
{
    vhost_user_front_ring_done(&f->ring);
    vhost_user_rig_down(&f->r);
}

/* It is over for this one; the next one has all that there is. */
static void expect_lost(Fixture *f, const char *reason)
{
    vhost_user_rig_expect_end(&f->r, reason);
    g_assert_true(vhost_user_front_is_closed(f->r.front));
    virtio_stub_expect(f->r.stub, "stop=0 reset");
    vhost_user_front_ring_done(&f->ring);
    vhost_user_rig_reconnect(&f->r);
    start(f);
}

static void tell(Fixture *f, const VhostUserFrontMsg *m)
{
    g_assert_true(vhost_user_front_send_msg(f->r.front, m));
}

/* --- what is wrong with the message itself --- */

/* As docs/interop/vhost-user.rst has them. */
typedef struct Form {
    uint32_t request;
    const char *name;
    uint32_t min;
    uint32_t max;
    unsigned min_fds;
    unsigned max_fds;
    unsigned needs; /* a protocol feature; UINT_MAX: none */
} Form;

#define ANY UINT_MAX

static const Form forms[] = {
    { 1, "GET_FEATURES", 0, 0, 0, 0, ANY },
    { 2, "SET_FEATURES", 8, 8, 0, 0, ANY },
    { 3, "SET_OWNER", 0, 0, 0, 0, ANY },
    { 4, "RESET_OWNER", 0, 0, 0, 0, ANY },
    { 5, "SET_MEM_TABLE", 8, 264, 0, 8, ANY },
    { 6, "SET_LOG_BASE", 16, 16, 1, 1, 1 },
    { 7, "SET_LOG_FD", 0, 0, 1, 1, ANY },
    { 8, "SET_VRING_NUM", 8, 8, 0, 0, ANY },
    { 9, "SET_VRING_ADDR", 40, 40, 0, 0, ANY },
    { 10, "SET_VRING_BASE", 8, 8, 0, 0, ANY },
    { 11, "GET_VRING_BASE", 8, 8, 0, 0, ANY },
    { 12, "SET_VRING_KICK", 8, 8, 0, 1, ANY },
    { 13, "SET_VRING_CALL", 8, 8, 0, 1, ANY },
    { 14, "SET_VRING_ERR", 8, 8, 0, 1, ANY },
    { 15, "GET_PROTOCOL_FEATURES", 0, 0, 0, 0, ANY },
    { 16, "SET_PROTOCOL_FEATURES", 8, 8, 0, 0, ANY },
    { 17, "GET_QUEUE_NUM", 0, 0, 0, 0, ANY },
    { 18, "SET_VRING_ENABLE", 8, 8, 0, 0, ANY },
    { 19, "SEND_RARP", 8, 8, 0, 0, ANY },
    { 20, "NET_SET_MTU", 8, 8, 0, 0, ANY },
    { 21, "SET_BACKEND_REQ_FD", 0, 0, 1, 1, ANY },
    { 24, "GET_CONFIG", 12, 268, 0, 0, 9 },
    { 25, "SET_CONFIG", 12, 268, 0, 0, 9 },
    { 31, "GET_INFLIGHT_FD", 20, 24, 0, 0, 12 },
    { 32, "SET_INFLIGHT_FD", 20, 24, 1, 1, 12 },
    { 34, "RESET_DEVICE", 0, 0, 0, 0, 13 },
    { 36, "GET_MAX_MEM_SLOTS", 0, 0, 0, 0, 15 },
    { 37, "ADD_MEM_REG", 40, 40, 1, 1, 15 },
    { 38, "REM_MEM_REG", 40, 40, 0, 1, 15 },
    { 39, "SET_STATUS", 8, 8, 0, 0, 16 },
    { 40, "GET_STATUS", 0, 0, 0, 0, 16 },
};

static void expect_size_lost(Fixture *f, const Form *form, uint32_t size)
{
    uint8_t payload[512] = { 0 };
    int fd[1] = { STDIN_FILENO };
    VhostUserFrontMsg m = { .request = form->request, .payload = payload, .size = size, .fd = fd,
                            .n_fds = form->min_fds };
    g_autofree char *why = g_strdup_printf("%s: it has %u bytes", form->name, size);

    tell(f, &m);
    expect_lost(f, why);
    /* an answer makes no difference */
    m.flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY;
    tell(f, &m);
    expect_lost(f, why);
}

static void test_sizes(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        if (forms[i].min > 0) {
            expect_size_lost(f, &forms[i], forms[i].min - 1);
            expect_size_lost(f, &forms[i], 0);
        }
        expect_size_lost(f, &forms[i], forms[i].max + 1);
        expect_size_lost(f, &forms[i], 512);
    }
}

static void test_missing_descriptors(Fixture *f, gconstpointer data)
{
    uint8_t payload[512] = { 0 };

    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        VhostUserFrontMsg m = { .request = forms[i].request, .payload = payload,
                                .size = forms[i].max };
        g_autofree char *why = g_strdup_printf("%s: a descriptor is missing", forms[i].name);

        if (forms[i].min_fds > 0) {
            tell(f, &m);
            expect_lost(f, why);
        }
    }
}

/* Surplus ones are closed, and the message is obeyed, or found to be a lie for other reasons. */
static void test_surplus_descriptors(Fixture *f, gconstpointer data)
{
    static const uint32_t harmless[] = { 1, 3, 4, 15, 17, 36, 40 };
    int fd[8] = { 0 };
    VhostUserFrontReply reply;
    int n_fds = vhost_user_rig_count_fds();

    for (unsigned i = 0; i < G_N_ELEMENTS(harmless); i++) {
        VhostUserFrontMsg m = { .request = harmless[i], .fd = fd, .n_fds = 1 + i,
                                .flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY };

        tell(f, &m);
        g_assert_true(vhost_user_front_recv(f->r.front, &reply));
        g_assert_cmpint(vhost_user_rig_count_fds(), ==, n_fds);
    }
    vhost_user_rig_expect_warning(&f->r,
                                  "GET_STATUS: it has 7 descriptors, which are too many");
}

static void test_too_many_descriptors(Fixture *f, gconstpointer data)
{
    int fd[9] = { 0 };
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_OWNER, .fd = fd, .n_fds = 9 };

    tell(f, &m);
    expect_lost(f, "descriptors were lost: more than 8 with a message, or we may have no more");
}

static void test_flags(Fixture *f, gconstpointer data)
{
    static const uint32_t wrong[] = { 2, 3, 1 | 4, 8, 0x100 };

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        VhostUserFrontMsg m = { .request = VHOST_USER_SET_OWNER, .flags = wrong[i] };
        g_autofree char *why = g_strdup_printf("SET_OWNER: no request has the flags 0x%x",
                                               wrong[i]);

        tell(f, &m);
        expect_lost(f, why);
        m.request = 77;
        g_free(why);
        why = g_strdup_printf("request 77: no request has the flags 0x%x", wrong[i]);
        tell(f, &m);
        expect_lost(f, why);
    }
}

/* Protocol features are there for those who negotiate them. */
static void test_not_negotiated(Fixture *f, gconstpointer data)
{
    uint8_t payload[512] = { 0 };
    int fd = STDIN_FILENO;

    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        VhostUserFrontMsg m = { .request = forms[i].request, .payload = payload,
                                .size = forms[i].max, .fd = &fd, .n_fds = forms[i].min_fds };
        g_autofree char *why = g_strdup_printf("%s: protocol feature %u is not negotiated",
                                               forms[i].name, forms[i].needs);

        if (forms[i].needs == ANY) {
            continue;
        }
        vhost_user_front_send_u64(f->r.front, VHOST_USER_SET_PROTOCOL_FEATURES,
                                  0xb63full & ~(1ull << forms[i].needs));
        tell(f, &m);
        expect_lost(f, why);
    }
}

static void test_too_long(Fixture *f, gconstpointer data)
{
    VhostUserHeader hdr = { 99, 1, 4097 };

    vhost_user_front_send_bytes(f->r.front, &hdr, sizeof(hdr), NULL, 0);
    expect_lost(f, "a message is too long");
    hdr.size = UINT32_MAX;
    vhost_user_front_send_bytes(f->r.front, &hdr, sizeof(hdr), NULL, 0);
    expect_lost(f, "a message is too long");
}

/* It ends in the middle of any message, at any byte. */
static void test_ends_within(Fixture *f, gconstpointer data)
{
    uint8_t bytes[512] = { 0 };

    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        VhostUserHeader hdr = { forms[i].request, 1, forms[i].max };
        size_t len = sizeof(hdr) + forms[i].max;

        memcpy(bytes, &hdr, sizeof(hdr));
        for (size_t n = 1; n < len; n += 1 + n / 3) {
            vhost_user_front_send_bytes(f->r.front, bytes, n, NULL, 0);
            vhost_user_front_close(f->r.front);
            expect_lost(f, "the connection ended within a message");
        }
    }
}

/* Half a message keeps nobody waiting but its sender. */
static void test_half_a_message(Fixture *f, gconstpointer data)
{
    static const uint32_t enable[] = { 18, 1, 8, 0, 0 };

    vhost_user_front_send_bytes(f->r.front, enable, 14, NULL, 0);
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
    virtio_stub_expect(f->r.stub, "");
    vhost_user_front_send_bytes(f->r.front, (const uint8_t *)enable + 14, 6, NULL, 0);
    g_assert_true(vhost_user_front_sync(f->r.front));
    virtio_stub_expect(f->r.stub, "enable=0,0");
}

static void test_never_reads(Fixture *f, gconstpointer data)
{
    while (!f->r.ended) {
        vhost_user_front_send(f->r.front, VHOST_USER_GET_FEATURES, NULL, 0);
        g_main_context_iteration(NULL, FALSE);
    }
    vhost_user_rig_expect_end(&f->r, "the front end does not read its replies");
}

/* --- what is wrong with what it says --- */

typedef struct Lie {
    const char *why;
    uint32_t request;
    uint32_t size;
    union {
        uint64_t u64;
        struct vhost_vring_state state;
        struct vhost_vring_addr addr;
        VhostUserConfig config;
        VhostUserInflight inflight;
    } payload;
} Lie;

static const Lie lies[] = {
    { "SET_FEATURES: 0x8000000000000000 was not offered", 2, 8, { .u64 = 1ull << 63 } },
    { "SET_FEATURES: 0x1 was not offered", 2, 8, { .u64 = 1ull << 32 | 1 } },
    { "SET_PROTOCOL_FEATURES: 0x100 was not offered", 16, 8, { .u64 = 0x108 } },
    { "SET_PROTOCOL_FEATURES: 0x8000000000000000 was not offered", 16, 8, { .u64 = 1ull << 63 } },
    { "SET_VRING_NUM: there is no ring 4", 8, 8, { .state = { 4, 64 } } },
    { "SET_VRING_NUM: there is no ring 4294967295", 8, 8, { .state = { UINT32_MAX, 64 } } },
    { "SET_VRING_NUM: ring 1: no ring has the size 0", 8, 8, { .state = { 1, 0 } } },
    { "SET_VRING_NUM: ring 1: no ring has the size 32769", 8, 8, { .state = { 1, 32769 } } },
    { "SET_VRING_NUM: ring 1: no ring has the size 65600", 8, 8, { .state = { 1, 65600 } } },
    { "SET_VRING_BASE: there is no ring 4", 10, 8, { .state = { 4, 0 } } },
    { "GET_VRING_BASE: there is no ring 4", 11, 8, { .state = { 4, 0 } } },
    { "SET_VRING_ENABLE: there is no ring 4", 18, 8, { .state = { 4, 1 } } },
    { "SET_VRING_ENABLE: ring 1 is neither enabled nor disabled by 2", 18, 8,
      { .state = { 1, 2 } } },
    { "SET_VRING_ADDR: there is no ring 4", 9, 40, { .addr = { .index = 4 } } },
    { "SET_VRING_ADDR: ring 1: its addresses are not aligned", 9, 40,
      { .addr = { .index = 1, .desc_user_addr = 8 } } },
    { "SET_VRING_ADDR: ring 1: its addresses are not aligned", 9, 40,
      { .addr = { .index = 1, .avail_user_addr = 1 } } },
    { "SET_VRING_ADDR: ring 1: its addresses are not aligned", 9, 40,
      { .addr = { .index = 1, .used_user_addr = 2 } } },
    { "SET_VRING_KICK: there is no ring 4", 12, 8, { .u64 = 0x104 } },
    { "SET_VRING_CALL: there is no ring 255", 13, 8, { .u64 = 0x1ff } },
    { "SET_VRING_ERR: there is no ring 0x200", 14, 8, { .u64 = 0x200 } },
    { "SET_VRING_KICK: there is no ring 0x100000100", 12, 8, { .u64 = 0x100000100 } },
    { "SET_VRING_KICK: a descriptor is missing", 12, 8, { .u64 = 0 } },
    { "SET_VRING_CALL: a descriptor is missing", 13, 8, { .u64 = 3 } },
    { "SET_VRING_ERR: a descriptor is missing", 14, 8, { .u64 = 1 } },
    { "SET_STATUS: no status is 0x100", 39, 8, { .u64 = 256 } },
    { "GET_CONFIG: 1 bytes at 0, of 12 bytes", 24, 12, { .config = { 0, 1, 0, { 0 } } } },
    { "GET_CONFIG: 0 bytes at 0, of 12 bytes", 24, 12, { .config = { 0, 0, 0, { 0 } } } },
    { "GET_CONFIG: 3 bytes at 0, of 16 bytes", 24, 16, { .config = { 0, 3, 0, { 0 } } } },
    { "GET_CONFIG: 4294967284 bytes at 0, of 12 bytes", 24, 12,
      { .config = { 0, 4294967284, 0, { 0 } } } },
    { "GET_CONFIG: 4 bytes at 253, of 16 bytes", 24, 16, { .config = { 253, 4, 0, { 0 } } } },
    { "GET_CONFIG: 4 bytes at 257, of 16 bytes", 24, 16, { .config = { 257, 4, 0, { 0 } } } },
    { "GET_CONFIG: 4 bytes at 4294967295, of 16 bytes", 24, 16,
      { .config = { UINT32_MAX, 4, 0, { 0 } } } },
    { "SET_CONFIG: 5 bytes at 0, of 16 bytes", 25, 16, { .config = { 0, 5, 0, { 0 } } } },
    { "SET_CONFIG: there are no flags 0x2", 25, 16, { .config = { 0, 4, 2, { 0 } } } },
    { "GET_INFLIGHT_FD: 0 rings of 64", 31, 24, { .inflight = { 0, 0, 0, 64, 0 } } },
    { "GET_INFLIGHT_FD: 5 rings of 64", 31, 20, { .inflight = { 0, 0, 5, 64, 0 } } },
    { "GET_INFLIGHT_FD: 4 rings of 0", 31, 24, { .inflight = { 0, 0, 4, 0, 0 } } },
    { "GET_INFLIGHT_FD: 4 rings of 32769", 31, 24, { .inflight = { 0, 0, 4, 32769, 0 } } },
};

static void test_lies(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(lies); i++) {
        VhostUserFrontMsg m = { .request = lies[i].request, .payload = &lies[i].payload,
                                .size = lies[i].size };

        tell(f, &m);
        expect_lost(f, lies[i].why);
        m.flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY;
        tell(f, &m);
        expect_lost(f, lies[i].why);
    }
}

/* Descriptors of another kind than what they are said to be. */
static void test_wrong_descriptors(Fixture *f, gconstpointer data)
{
    static const struct {
        uint32_t request;
        const char *why;
    } event[] = {
        { 12, "SET_VRING_KICK: the descriptor is no eventfd" },
        { 13, "SET_VRING_CALL: the descriptor is no eventfd" },
        { 14, "SET_VRING_ERR: the descriptor is no eventfd" },
    };
    int kind[6], pipes[2], pair[2];

    g_assert_cmpint(pipe(pipes), ==, 0);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    kind[0] = memfd_create("memory", 0);
    kind[1] = pipes[0];
    kind[2] = pair[0];
    kind[3] = STDIN_FILENO;
    kind[4] = epoll_create1(0);
    kind[5] = eventfd(0, 0);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < 5; k++) {
            vhost_user_front_send_event(f->r.front, event[i].request, 1, kind[k]);
            expect_lost(f, event[i].why);
        }
    }
    for (unsigned k = 0; k < 6; k++) {
        if (k != 2) {
            vhost_user_front_send_fd(f->r.front, VHOST_USER_SET_BACKEND_REQ_FD, kind[k]);
            expect_lost(f, "SET_BACKEND_REQ_FD: the descriptor is no unix socket");
        }
    }
    close(pipes[0]);
    close(pipes[1]);
    close(pair[0]);
    close(pair[1]);
    close(kind[0]);
    close(kind[4]);
    close(kind[5]);
}

/* Sockets, but not such that it could be written to and forgotten. */
static void test_wrong_sockets(Fixture *f, gconstpointer data)
{
    int dgram = socket(AF_UNIX, SOCK_DGRAM, 0), inet = socket(AF_INET, SOCK_STREAM, 0);

    vhost_user_front_send_fd(f->r.front, VHOST_USER_SET_BACKEND_REQ_FD, dgram);
    expect_lost(f, "SET_BACKEND_REQ_FD: the descriptor is no unix socket");
    vhost_user_front_send_fd(f->r.front, VHOST_USER_SET_BACKEND_REQ_FD, inet);
    expect_lost(f, "SET_BACKEND_REQ_FD: the descriptor is no unix socket");
    close(dgram);
    close(inet);
}

/* A table and its descriptors: as many as there are regions, in exactly so many bytes. */
static void test_mem_tables(Fixture *f, gconstpointer data)
{
    static const struct {
        uint32_t n, size;
        unsigned n_fds;
    } wrong[] = {
        { 1, 8 + 32, 0 }, { 1, 8 + 32, 2 }, { 0, 8, 1 }, { 2, 8 + 64, 1 }, { 1, 8 + 64, 1 },
        { 2, 8 + 32, 2 }, { 8, 8 + 7 * 32, 8 }, { 9, 8 + 8 * 32, 8 }, { 1, 9, 1 },
        { 0x8000001, 8 + 32, 1 }, { UINT32_MAX, 8, 0 },
    };
    int fd[8];

    for (unsigned i = 0; i < 8; i++) {
        fd[i] = f->r.front->region[0].fd;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        VhostUserMemTable t = { .n = wrong[i].n };
        VhostUserFrontMsg m = { .request = VHOST_USER_SET_MEM_TABLE, .payload = &t,
                                .size = wrong[i].size, .fd = fd, .n_fds = wrong[i].n_fds };
        g_autofree char *why = g_strdup_printf("SET_MEM_TABLE: %u regions with %u descriptors in "
                                               "%u bytes", t.n, m.n_fds, m.size);

        for (unsigned k = 0; k < 8; k++) {
            t.region[k] = (VhostUserRegion){ k * MIB, MIB, k * MIB, 0 };
        }
        tell(f, &m);
        expect_lost(f, why);
    }
}

static void test_unaligned_inflight(Fixture *f, gconstpointer data)
{
    VhostUserInflight i = { 4096, 4, 1, 64, 0 };
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_INFLIGHT_FD, .payload = &i,
                            .size = sizeof(i), .fd = &f->r.front->region[0].fd, .n_fds = 1 };

    tell(f, &m);
    expect_lost(f, "SET_INFLIGHT_FD: offset 0x4 is not aligned");
}

/* --- what can't be done --- */

/* An answer says so, and all goes on; without one the connection is lost. */
static void expect_refused(Fixture *f, const VhostUserFrontMsg *m, const char *why)
{
    g_assert_cmpuint(vhost_user_front_ask(f->r.front, m), ==, 1);
    vhost_user_rig_expect_warning(&f->r, why);
    g_assert_cmpuint(f->r.running, ==, 1);
    g_string_truncate(f->r.stub->calls, 0);
    tell(f, m);
    vhost_user_rig_expect_end(&f->r, why);
    g_string_truncate(f->r.stub->calls, 0);
    vhost_user_front_ring_done(&f->ring);
    vhost_user_rig_reconnect(&f->r);
    start(f);
}

static void test_refused_slots(Fixture *f, gconstpointer data)
{
    static const struct {
        VhostUserRegion region;
        const char *why;
    } wrong[] = {
        { { MIB / 2, MIB, 7 * MIB, 0 },
          "ADD_MEM_REG: memory at 0x80000 reaches into that at 0x0" },
        { { 3 * MIB, MIB, USER + MIB / 2, 0 },
          "ADD_MEM_REG: memory at 0x300000 reaches into that at 0x0" },
        { { 3 * MIB, 0, 3 * MIB, 0 }, "ADD_MEM_REG: no memory has 0x0 bytes at 0x300000" },
        { { UINT64_MAX - 4095, 8192, 3 * MIB, 0 },
          "ADD_MEM_REG: no memory has 0x2000 bytes at 0xfffffffffffff000" },
        { { 3 * MIB, 8192, UINT64_MAX - 4095, 0 },
          "ADD_MEM_REG: no memory has 0x2000 bytes at 0x300000" },
        { { 3 * MIB, 2 * MIB, 3 * MIB, 0 },
          "ADD_MEM_REG: the file of memory ends at 0x100000, before 0x200000" },
        { { 3 * MIB, MIB, 3 * MIB, 4096 },
          "ADD_MEM_REG: the file of memory ends at 0x100000, before 0x101000" },
        { { 3 * MIB, MIB, 3 * MIB, UINT64_MAX - 4095 },
          "ADD_MEM_REG: no memory has 0x100000 bytes at offset 0xfffffffffffff000 of a file" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        VhostUserMemReg reg = { .region = wrong[i].region };
        VhostUserFrontMsg m = { .request = VHOST_USER_ADD_MEM_REG, .payload = &reg,
                                .size = sizeof(reg), .fd = &f->r.front->region[0].fd,
                                .n_fds = 1 };

        expect_refused(f, &m, wrong[i].why);
    }
}

/* Not a file that can be mapped. */
static void test_refused_files(Fixture *f, gconstpointer data)
{
    AUTO_FD int event = eventfd(0, 0);
    VhostUserMemReg reg = { .region = { 3 * MIB, MIB, 3 * MIB, 0 } };
    VhostUserFrontMsg m = { .request = VHOST_USER_ADD_MEM_REG, .payload = &reg,
                            .size = sizeof(reg), .fd = &event, .n_fds = 1 };

    expect_refused(f, &m, "ADD_MEM_REG: cannot map memory: No such device");
}

static void test_refused_removals(Fixture *f, gconstpointer data)
{
    static const VhostUserRegion wrong[] = {
        { MIB, MIB, MIB, 0 }, { 0, MIB / 2, USER, 0 }, { 0, MIB, USER + 4096, 0 },
        { 4096, MIB, USER, 0 }, { 1ull << 30, MIB, USER, 0 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        VhostUserMemReg reg = { .region = wrong[i] };
        VhostUserFrontMsg m = { .request = VHOST_USER_REM_MEM_REG, .payload = &reg,
                                .size = sizeof(reg) };
        g_autofree char *why = g_strdup_printf(
            "REM_MEM_REG: there is no memory of 0x%" G_GINT64_MODIFIER "x bytes at 0x%"
            G_GINT64_MODIFIER "x", wrong[i].size, wrong[i].gpa);

        expect_refused(f, &m, why);
    }
}

/* Of a table's regions that can't be had, none is. */
static void test_refused_table(Fixture *f, gconstpointer data)
{
    VhostUserMemTable t = { .n = 2, .region = { { 0, MIB, USER, 0 }, { 4096, MIB, MIB, 0 } } };
    int fd[2] = { f->r.front->region[0].fd, f->r.front->region[0].fd };
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_MEM_TABLE, .payload = &t,
                            .size = 8 + 2 * 32, .fd = fd, .n_fds = 2 };

    g_assert_cmpuint(vhost_user_front_ask(f->r.front, &m), ==, 1);
    vhost_user_rig_expect_warning(&f->r,
                                  "SET_MEM_TABLE: memory at 0x1000 reaches into that at 0x0");
    g_assert_cmpuint(f->r.warnings, ==, 2); /* the other: a ring stays stopped */
    g_assert_cmpuint(f->r.stub->dev.mem->n, ==, 0);
    g_assert_cmpuint(f->r.running, ==, 0);
    virtio_stub_expect(f->r.stub, "stop=0");
    vhost_user_front_share(f->r.front);
    g_assert_true(vhost_user_front_sync(f->r.front));
    virtio_stub_expect(f->r.stub, "start=0,64 enable=0,1");
}

/* A ring that can't be: outside of memory, of an odd size, at an index that is none. */
static void test_refused_rings(Fixture *f, gconstpointer data)
{
    static const struct {
        uint32_t num, base;
        struct vhost_vring_addr addr;
        const char *why;
    } wrong[] = {
        { 64, 0, { 1, 0, USER + MIB, USER, USER, 0 },
          "SET_VRING_KICK: ring 1: its addresses are not in the guest's memory" },
        { 64, 0, { 1, 0, USER, USER + MIB - 64, USER, 0 },
          "SET_VRING_KICK: ring 1: its addresses are not in the guest's memory" },
        { 64, 0, { 1, 0, USER, USER, UINT64_MAX - 63, 0 },
          "SET_VRING_KICK: ring 1: its addresses are not in the guest's memory" },
        { 32768, 0, { 1, 0, USER + 4096 * 200, USER, USER, 0 },
          "SET_VRING_KICK: ring 1: its addresses are not in the guest's memory" },
        { 64, 0x10000, { 1, 0, USER, USER, USER, 0 },
          "SET_VRING_KICK: ring 1: no index is 0x10000" },
    };
    uint64_t u = 0x101;
    VhostUserFrontMsg kick = { .request = VHOST_USER_SET_VRING_KICK, .payload = &u,
                               .size = sizeof(u) };

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        for (unsigned asked = 0; asked < 2; asked++) {
            vhost_user_front_send_state(f->r.front, VHOST_USER_SET_VRING_NUM, 1, wrong[i].num);
            vhost_user_front_send_state(f->r.front, VHOST_USER_SET_VRING_BASE, 1, wrong[i].base);
            vhost_user_front_send(f->r.front, VHOST_USER_SET_VRING_ADDR, &wrong[i].addr,
                                  sizeof(wrong[i].addr));
            if (asked) {
                g_assert_cmpuint(vhost_user_front_ask(f->r.front, &kick), ==, 1);
                vhost_user_rig_expect_warning(&f->r, wrong[i].why);
                continue;
            }
            tell(f, &kick);
            expect_lost(f, wrong[i].why);
        }
    }
}

/* An address that is aligned for the front end, and lies oddly in its file. */
static void test_refused_oddly_mapped(Fixture *f, gconstpointer data)
{
    static const struct vhost_vring_addr wrong[] = {
        { .index = 1, .desc_user_addr = 0x10010, .avail_user_addr = USER, .used_user_addr = USER },
        { .index = 1, .desc_user_addr = USER, .avail_user_addr = 0x10002, .used_user_addr = USER },
        { .index = 1, .desc_user_addr = USER, .avail_user_addr = USER, .used_user_addr = 0x10004 },
    };
    static const uint64_t shift[] = { 8, 1, 2 }; /* of the memory that it is in */
    uint64_t u = 0x101;
    VhostUserFrontMsg kick = { .request = VHOST_USER_SET_VRING_KICK, .payload = &u,
                               .size = sizeof(u) };

    vhost_user_front_send_state(f->r.front, VHOST_USER_SET_VRING_NUM, 1, 64);
    for (unsigned i = 0; i < 3; i++) {
        VhostUserMemReg reg = { .region = { 4 * MIB, MIB / 2, 0x10000 + shift[i], 0 } };
        VhostUserFrontMsg m = { .request = VHOST_USER_ADD_MEM_REG, .payload = &reg,
                                .size = sizeof(reg), .fd = &f->r.front->region[0].fd,
                                .n_fds = 1 };

        g_assert_cmpuint(vhost_user_front_ask(f->r.front, &m), ==, 0);
        vhost_user_front_send(f->r.front, VHOST_USER_SET_VRING_ADDR, &wrong[i],
                              sizeof(wrong[i]));
        g_assert_cmpuint(vhost_user_front_ask(f->r.front, &kick), ==, 1);
        vhost_user_rig_expect_warning(&f->r, "SET_VRING_KICK: ring 1: its addresses are not in "
                                             "the guest's memory");
        vhost_user_front_send(f->r.front, VHOST_USER_REM_MEM_REG, &reg, sizeof(reg));
    }
}

/* What virtq_start() says of a ring is said on. */
static void test_refused_by_virtq(Fixture *f, gconstpointer data)
{
    uint64_t u = 0x101;
    struct vhost_vring_addr a = { 1, 0, USER, USER + 4096, USER + 8192, 0 };
    VhostUserFrontMsg kick = { .request = VHOST_USER_SET_VRING_KICK, .payload = &u,
                               .size = sizeof(u) };
    g_autofree char *reason G_GNUC_UNUSED = NULL;

    f->r.stub->virtqueues = true;
    vhost_user_front_send_state(f->r.front, VHOST_USER_SET_VRING_NUM, 1, 63);
    vhost_user_front_send(f->r.front, VHOST_USER_SET_VRING_ADDR, &a, sizeof(a));
    g_assert_cmpuint(vhost_user_front_ask(f->r.front, &kick), ==, 1);
    g_assert_true(g_str_has_prefix(f->r.warning, "SET_VRING_KICK: ring 1: "));
    f->r.stub->virtqueues = false;
}

/* --- whole sessions --- */

/* In pieces of any size, all is as it would be. */
static void test_pieces(Fixture *f, gconstpointer data)
{
    static const size_t piece[] = { 1, 2, 3, 7, 11, 12, 13, 20 };

    for (unsigned i = 0; i < G_N_ELEMENTS(piece); i++) {
        f->r.front->piece = piece[i];
        vhost_user_front_send(f->r.front, 99, NULL, 0);
        expect_lost(f, "request 99: there is no such request");
    }
}

/* One liar after another, and no descriptor is lost to them. */
static void test_many_liars(Fixture *f, gconstpointer data)
{
    int fd[8] = { 0 }, n_fds = vhost_user_rig_count_fds();

    for (unsigned i = 0; i < 100; i++) {
        VhostUserFrontMsg m = { .request = 90 + i % 20, .fd = fd, .n_fds = i % 9 };
        g_autofree char *why = g_strdup_printf("request %u: there is no such request", m.request);

        tell(f, &m);
        vhost_user_front_send(f->r.front, VHOST_USER_GET_FEATURES, NULL, 0);
        expect_lost(f, why);
        g_assert_cmpint(vhost_user_rig_count_fds(), ==, n_fds);
    }
}

#define ADD(name, fn) g_test_add("/hw/virtio/vhost-user-liars/" name, Fixture, NULL, up, fn, down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("sizes", test_sizes);
    ADD("missing-descriptors", test_missing_descriptors);
    ADD("surplus-descriptors", test_surplus_descriptors);
    ADD("too-many-descriptors", test_too_many_descriptors);
    ADD("flags", test_flags);
    ADD("not-negotiated", test_not_negotiated);
    ADD("too-long", test_too_long);
    ADD("ends-within", test_ends_within);
    ADD("half-a-message", test_half_a_message);
    ADD("never-reads", test_never_reads);
    ADD("lies", test_lies);
    ADD("wrong-descriptors", test_wrong_descriptors);
    ADD("wrong-sockets", test_wrong_sockets);
    ADD("mem-tables", test_mem_tables);
    ADD("unaligned-inflight", test_unaligned_inflight);
    ADD("refused-slots", test_refused_slots);
    ADD("refused-files", test_refused_files);
    ADD("refused-removals", test_refused_removals);
    ADD("refused-table", test_refused_table);
    ADD("refused-rings", test_refused_rings);
    ADD("refused-oddly-mapped", test_refused_oddly_mapped);
    ADD("refused-by-virtq", test_refused_by_virtq);
    ADD("pieces", test_pieces);
    ADD("many-liars", test_many_liars);
    return g_test_run();
}
