/*
 * A tap goes from one program to another, by a local migration, with the virtio-net-pci that has
 * it: numbered frames both ways while it does, of which none is lost and none comes twice.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "frames.h"
#include "netns.h"
#include "virtio-pci-program.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BIT(n) (1ull << (n))
#define CTRL   (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS))
#define MQ     BIT(VIRTIO_NET_F_MQ)
#define PACKED BIT(VIRTIO_F_RING_PACKED)
#define EVENT  BIT(VIRTIO_RING_F_EVENT_IDX)

#define IN_MAX   400u /* at most under way to the guest: a tap keeps 500 of a queue */
#define OUT_MAX  128u /* at most under way from it, of a pair */
#define NUMBERS  65536u
#define LEN      90u
#define FLOWS    64u
#define WAIT_MS  20000

typedef struct Case {
    unsigned pairs;
    unsigned used;       /* of these, by the driver */
    uint64_t wanted;
    const char *options; /* of the device */
} Case;

typedef struct Fixture {
    const Case *c;
    char *dir;
    Vpp v;
    gint to_guest_on;    /* the sender goes on; atomic, as the two behind it */
    gint sent;           /* to the guest */
    gint got;            /* by the guest */
    unsigned out;        /* from the guest */
    unsigned back;       /* of these, seen by the host */
    uint8_t *got_it;     /* each number, by the guest */
    uint8_t *saw_it;     /* by the host */
    bool twins;          /* a frame from the guest may come twice */
    GThread *sender;
    uint64_t carrier_changes; /* before anything was handed over */
} Fixture;

/* --- programs --- */

static QTest *start_source(Fixture *f)
{
    const Case *c = f->c;
    g_autoptr(GString) args = g_string_new("-machine pc -m 16 -netdev tap,id=n0,fds=");
    QTest *qt;

    f->v.tap = host_tap_new(c->pairs, true);
    for (unsigned i = 0; i < c->pairs; i++) {
        g_string_append_printf(args, "%s%d", i ? ":" : "", f->v.tap->fd[i]);
    }
    g_string_append_printf(args, " -device virtio-net-pci,id=nic0,netdev=n0,addr=%u%s",
                           VPP_SLOT, c->options);
    qt = qtest_start(f->v.tap->fd, c->pairs, args->str);
    host_tap_close_fds(f->v.tap);
    return qt;
}

/* @more: of its netdev. */
static QTest *start_target(const Fixture *f, unsigned pairs, const char *more)
{
    g_autofree char *args = g_strdup_printf(
        "-machine pc -m 16 -netdev tap,id=n0,queues=%u,script=no,downscript=no%s "
        "-device virtio-net-pci,id=nic0,netdev=n0,addr=%u%s -incoming unix:%s/m",
        pairs, more, VPP_SLOT, f->c->options, f->dir);

    return qtest_start(NULL, 0, args);
}

static void set_local(QTest *qt, bool on)
{
    json_object_put(qtest_qmp_ok(qt, "{'execute': 'migrate-set-parameters', 'arguments': "
                                 "{'local': %s}}", on ? "true" : "false"));
}

static void ask_to_migrate(Fixture *f)
{
    json_object_put(qtest_qmp_ok(f->v.qt, "{'execute': 'migrate', 'arguments': {'uri': "
                                 "'unix:%s/m'}}", f->dir));
}

/* Of query-migrate; "none" where there is none. Free it. */
static char *migrate_member(QTest *qt, const char *member)
{
    struct json_object *info = qtest_qmp_ok(qt, "{'execute': 'query-migrate'}");
    struct json_object *value;
    char *text = g_strdup(json_object_object_get_ex(info, member, &value)
                              ? json_object_get_string(value) : "none");

    json_object_put(info);
    return text;
}

static bool is_status(QTest *qt, const char *status)
{
    g_autofree char *now = migrate_member(qt, "status");

    return g_str_equal(now, status);
}

static void expect_failed(QTest *qt, const char *why)
{
    g_autofree char *text = NULL;

    qtest_wait_for(is_status(qt, "failed"));
    text = migrate_member(qt, "error-desc");
    g_assert_cmpstr(text, ==, why);
}

/* A number of the kernel's statistics of the interface. */
static uint64_t statistic(const Fixture *f, const char *name)
{
    g_autofree char *command = g_strdup_printf("ip -s -s -j link show %s", f->v.tap->ifname);
    g_autofree char *key = g_strdup_printf("\"%s\":", name);
    char text[8192] = "";
    FILE *p = popen(command, "re");
    const char *at;

    g_assert_nonnull(p);
    g_assert_cmpuint(fread(text, 1, sizeof(text) - 1, p), >, 0);
    g_assert_cmpint(pclose(p), ==, 0);
    at = strstr(text, key);
    g_assert_nonnull(at);
    return g_ascii_strtoull(at + strlen(key), NULL, 10);
}

/* --- frames --- */

/* UDP of a flow, so that the kernel spreads them over queues. */
static void frame_make(uint8_t frame[LEN], unsigned number)
{
    uint16_t port = GUINT16_TO_BE((uint16_t)(1000 + number % FLOWS));
    uint32_t be = GUINT32_TO_BE(number);

    frame_build(frame, &(FrameSpec){ .ip_version = 4, .udp = true,
                                     .payload = LEN - frame_payload_off(&(FrameSpec){
                                         .ip_version = 4, .udp = true }) });
    memset(frame, 0xff, 6);
    memcpy(frame + 34, &port, sizeof(port));
    memcpy(frame + LEN - 12, "numb", 4);
    memcpy(frame + LEN - 8, &be, sizeof(be));
}

static bool frame_number(const uint8_t *frame, size_t len, unsigned *ret)
{
    uint32_t be;

    if (len != LEN || memcmp(frame + LEN - 12, "numb", 4) != 0) {
        return false; /* the kernel has frames of its own */
    }
    memcpy(&be, frame + LEN - 8, sizeof(be));
    *ret = GUINT32_FROM_BE(be);
    return *ret < NUMBERS;
}

static gpointer send_to_guest(gpointer opaque)
{
    Fixture *f = opaque;
    uint8_t frame[LEN];

    while (g_atomic_int_get(&f->to_guest_on)) {
        unsigned n = (unsigned)g_atomic_int_get(&f->sent);

        if (n - (unsigned)g_atomic_int_get(&f->got) < IN_MAX && n < NUMBERS) {
            frame_make(frame, n);
            host_tap_send(f->v.tap, NULL, frame, LEN);
            g_atomic_int_inc(&f->sent);
        }
        g_usleep(20);
    }
    return NULL;
}

/* What has come for the guest, whose buffers go back. */
static unsigned guest_gets(Fixture *f)
{
    VirtioPciGuest *g = &f->v.g;
    unsigned all = 0;

    for (unsigned pair = 0; pair < f->c->used; pair++) {
        unsigned n = 0, number;
        uint8_t frame[VPG_PACKET];
        size_t len;

        while (n < 64 && (len = vpg_try_recv(g, pair, frame)) > 0) {
            n++;
            if (frame_number(frame, len, &number)) {
                g_assert_cmpuint(f->got_it[number]++, ==, 0);
                g_atomic_int_inc(&f->got);
            }
        }
        if (n > 0) {
            vpg_post(g, pair, n);
        }
        all += n;
    }
    return all;
}

static void guest_sends(Fixture *f, unsigned n)
{
    uint8_t frame[LEN];

    for (unsigned i = 0; i < n; i++) {
        frame_make(frame, f->out);
        if (!vpg_try_send(&f->v.g, f->out % f->c->used, frame, LEN)) {
            return;
        }
        f->out++;
    }
}

static unsigned host_sees(Fixture *f, int timeout_ms)
{
    g_autofree uint8_t *buf = g_malloc(FRAME_MAX);
    struct virtio_net_hdr hdr;
    unsigned n = 0, number;
    size_t len;

    while ((len = host_tap_recv(f->v.tap, &hdr, buf, timeout_ms)) > 0) {
        if (frame_number(buf, len, &number)) {
            g_assert_true(f->saw_it[number]++ == 0 || f->twins);
            f->back++;
        }
        n++;
        timeout_ms = 0;
    }
    return n;
}

/* Both ways for a while. */
static void pass(Fixture *f, unsigned frames)
{
    unsigned out = f->out + frames;
    unsigned got = (unsigned)g_atomic_int_get(&f->got) + frames;
    gint64 end = g_get_monotonic_time() + WAIT_MS * 1000;

    while (f->out < out || (unsigned)g_atomic_int_get(&f->got) < got) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        if (f->out < out) {
            guest_sends(f, 8);
        }
        if (guest_gets(f) + host_sees(f, 0) == 0) {
            g_usleep(100);
        }
    }
}

/* Nothing more is sent, and all that was has come. */
static void expect_all(Fixture *f)
{
    gint64 end = g_get_monotonic_time() + WAIT_MS * 1000;

    g_atomic_int_set(&f->to_guest_on, FALSE);
    g_thread_join(g_steal_pointer(&f->sender));
    while (f->back < f->out || f->got < f->sent) {
        if (g_get_monotonic_time() > end) {
            g_error("%d of %d frames came in, %u of %u out", f->got, f->sent, f->back, f->out);
        }
        guest_gets(f);
        host_sees(f, 1);
    }
    g_assert_cmpuint(statistic(f, "carrier_changes"), ==, f->carrier_changes);
}

/* --- life --- */

static void driver_up(Fixture *f)
{
    vpg_start(&f->v.g);
    if (f->c->used > 1) {
        g_assert_cmpuint(vpg_set_pairs(&f->v.g, (uint16_t)f->c->used), ==, VIRTIO_NET_OK);
    }
    for (unsigned pair = 0; pair < f->c->used; pair++) {
        vpg_post(&f->v.g, pair, 100);
    }
    host_tap_wait_running(f->v.tap);
    f->carrier_changes = statistic(f, "carrier_changes");
}

static void start_sender(Fixture *f)
{
    f->to_guest_on = TRUE;
    f->sender = g_thread_new("sender", send_to_guest, f);
}

static void setup(Fixture *f, gconstpointer data)
{
    f->c = data;
    if (!netns_enter()) {
        return;
    }
    f->dir = g_dir_make_tmp("ringtap-test-XXXXXX", NULL);
    f->got_it = g_malloc0(NUMBERS);
    f->saw_it = g_malloc0(NUMBERS);
    vpp_find(&f->v, &(VppCase){ .wanted = CTRL | f->c->wanted }, start_source(f));
    driver_up(f);
    start_sender(f);
}

static void teardown(Fixture *f, gconstpointer data)
{
    if (!f->v.tap) {
        return; /* skipped */
    }
    vpp_teardown(&f->v, NULL);
    g_assert_cmpint(rmdir(f->dir), ==, 0);
    g_free(f->dir);
    g_free(f->got_it);
    g_free(f->saw_it);
}

/* --- it goes well --- */

/* The guest stands still from STOP on: its driver is us. */
static QTest *move(Fixture *f)
{
    QTest *from = f->v.qt;
    QTest *to = start_target(f, f->c->pairs, ",incoming-fds=on");

    set_local(from, true);
    guest_sends(f, OUT_MAX); /* some go out here, and some there */
    ask_to_migrate(f);
    json_object_put(qtest_event(to, "RESUME"));
    f->v.qt = to;
    vpp_map_ram(to, f->v.g.a.ram);
    g_assert_true(is_status(to, "completed"));
    return from;
}

static void expect_given_away(QTest *from)
{
    qtest_wait_for(is_status(from, "completed"));
}

static void test_frames(Fixture *f, gconstpointer data)
{
    if (!f->v.tap) {
        return;
    }
    pass(f, 500);
    for (unsigned i = 0; i < 2; i++) {
        QTest *from = move(f);

        pass(f, 300); /* while the first one is still there */
        expect_given_away(from);
        qtest_stop(from);
        pass(f, 300);
    }
    expect_all(f);
    g_assert_cmpuint(statistic(f, "dropped"), ==, 0);
}

static void test_ten_times(Fixture *f, gconstpointer data)
{
    if (!f->v.tap) {
        return;
    }
    for (unsigned i = 0; i < 10; i++) {
        pass(f, 50);
        qtest_stop(move(f));
    }
    pass(f, 50);
    expect_all(f);
}

/* What the sender of it is told afterwards touches nothing: its device goes, and is reset. */
static void test_giver_lets_go(Fixture *f, gconstpointer data)
{
    QTest *from;

    if (!f->v.tap) {
        return;
    }
    from = move(f);
    expect_given_away(from);
    json_object_put(qtest_qmp_ok(from, "{'execute': 'set_link', 'arguments': {'name': 'nic0', "
                                 "'up': false}}"));
    json_object_put(qtest_qmp_ok(from, "{'execute': 'system_reset'}"));
    pass(f, 200);
    qtest_stop(from);
    pass(f, 200);
    expect_all(f);
}

/* --- it does not --- */

/* A receiver of the test's own: reads so much, and says what it is told to. */
typedef struct Receiver {
    size_t reads;      /* bytes; SIZE_MAX: all that there is for a while */
    const char *says;  /* NULL: nothing */
    bool hears_no_more;
} Receiver;

static int listen_at(const Fixture *f)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/m", f->dir);
    g_assert_cmpint(bind(fd, (void *)&addr, sizeof(addr)), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

/* Descriptors that come are had, too, until the end. */
static void read_some(int fd, size_t left)
{
    g_autofree uint8_t *buf = g_malloc(65536);
    struct pollfd p = { .fd = fd, .events = POLLIN };

    while (left > 0 && poll(&p, 1, left == SIZE_MAX ? 200 : WAIT_MS) == 1) {
        union {
            struct cmsghdr align;
            char buf[CMSG_SPACE(256 * sizeof(int))];
        } control;
        struct iovec iov = { buf, MIN(left, 65536) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);

        g_assert_cmpint(n, >, 0);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
            for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                int got;

                memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
                close(got);
            }
        }
        left -= left == SIZE_MAX ? 0 : (size_t)n;
    }
}

static void fail_by(Fixture *f, const Receiver *r, const char *why)
{
    int fd = listen_at(f);
    g_autofree char *path = g_strdup_printf("%s/m", f->dir);
    int peer;

    set_local(f->v.qt, true);
    ask_to_migrate(f);
    peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(peer, >=, 0);
    read_some(peer, r->reads);
    if (r->hears_no_more) {
        g_assert_cmpint(shutdown(peer, SHUT_RD), ==, 0);
    }
    if (r->says) {
        g_assert_cmpint(send(peer, r->says, strlen(r->says), 0), ==, (ssize_t)strlen(r->says));
        qtest_wait_for(is_status(f->v.qt, "failed"));
    }
    close(peer);
    close(fd);
    unlink(path);
    if (why) {
        expect_failed(f->v.qt, why);
    } else {
        qtest_wait_for(is_status(f->v.qt, "failed"));
    }
}

/* At several moments: its sender goes on, and nothing is lost of it. */
static void test_receiver_fails(Fixture *f, gconstpointer data)
{
    static const size_t reads[] = { 0, 4, 60, 100, 2000 };

    if (!f->v.tap) {
        return;
    }
    pass(f, 100);
    for (unsigned i = 0; i < G_N_ELEMENTS(reads); i++) {
        fail_by(f, &(Receiver){ .reads = reads[i] }, NULL);
        pass(f, 100);
    }
    fail_by(f, &(Receiver){ .reads = SIZE_MAX },
            "The receiver did not take over: Unable to read from migration stream: it ends too "
            "early");
    pass(f, 100);
    fail_by(f, &(Receiver){ .reads = SIZE_MAX, .says = "RTNO" },
            "The receiver did not take over: Migration stream is broken: 0x52544e4f is no answer");
    pass(f, 100);
    fail_by(f, &(Receiver){ .reads = SIZE_MAX, .says = "RTRY", .hears_no_more = true },
            "Unable to write to migration stream: Broken pipe");
    pass(f, 100);
    qtest_stop(move(f)); /* and another one takes it */
    pass(f, 100);
    expect_all(f);
}

static void test_cancel(Fixture *f, gconstpointer data)
{
    g_autofree char *path = NULL;
    int fd;

    if (!f->v.tap) {
        return;
    }
    path = g_strdup_printf("%s/m", f->dir);
    fd = listen_at(f);
    set_local(f->v.qt, true);
    pass(f, 100);
    ask_to_migrate(f);
    json_object_put(qtest_event(f->v.qt, "STOP"));
    json_object_put(qtest_qmp_ok(f->v.qt, "{'execute': 'migrate_cancel'}"));
    qtest_wait_for(is_status(f->v.qt, "cancelled"));
    json_object_put(qtest_event(f->v.qt, "RESUME"));
    close(fd);
    unlink(path);
    pass(f, 100);
    expect_all(f);
}

/* The receiver is killed, at any moment; whoever had it last can go on. */
static void test_receiver_is_killed(Fixture *f, gconstpointer data)
{
    unsigned here = 0;

    if (!f->v.tap) {
        return;
    }
    set_local(f->v.qt, true);
    f->twins = true; /* one that went on has sent what is sent again here */
    for (unsigned i = 0; i < 8; i++) {
        g_autofree char *path = g_strdup_printf("%s/m", f->dir);
        QTest *to = start_target(f, f->c->pairs, ",incoming-fds=on");

        pass(f, 50);
        ask_to_migrate(f);
        g_usleep(i * 3000);
        qtest_kill(to);
        unlink(path);
        qtest_wait_for(is_status(f->v.qt, "failed") || is_status(f->v.qt, "completed"));
        if (is_status(f->v.qt, "failed")) {
            here++;
        } else {
            json_object_put(qtest_qmp_ok(f->v.qt, "{'execute': 'cont'}"));
        }
        g_atomic_int_set(&f->got, g_atomic_int_get(&f->sent)); /* some died with it */
    }
    g_test_message("%u of 8 before it was handed over", here);
    qtest_stop(move(f));
    pass(f, 200);
    g_atomic_int_set(&f->to_guest_on, FALSE);
    g_thread_join(g_steal_pointer(&f->sender));
}

/* What does not fit is refused, and the sender goes on. */
static void refused(Fixture *f, QTest *to, const char *why)
{
    ask_to_migrate(f);
    expect_failed(to, why);
    qtest_wait_for(is_status(f->v.qt, "failed"));
    pass(f, 50);
    qtest_stop(to);
}

static void test_what_does_not_fit(Fixture *f, gconstpointer data)
{
    if (!f->v.tap) {
        return;
    }
    set_local(f->v.qt, true);
    refused(f, start_target(f, f->c->pairs + 1, ",incoming-fds=on"),
            "netdev 'n0' is in use with queues=3");
    refused(f, start_target(f, f->c->pairs, ",incoming-fds=on,vnet_hdr=off"),
            "netdev 'n0' is in use with vnet_hdr=off");
    refused(f, start_target(f, f->c->pairs, ""),
            "netdev 'n0' does not wait for descriptors: it was made without incoming-fds=on");
    expect_all(f);
}

/* Without the parameter nothing is handed over; and a receiver that waits for it says so. */
static void test_not_local(Fixture *f, gconstpointer data)
{
    QTest *to;

    if (!f->v.tap) {
        return;
    }
    pass(f, 50);
    to = start_target(f, f->c->pairs, ",incoming-fds=on");
    set_local(f->v.qt, false);
    ask_to_migrate(f);
    expect_failed(to, "netdev 'n0' waits for its descriptors, and they did not come: the other "
                      "side has to migrate with the parameter \"local\"");
    qtest_wait_for(is_status(f->v.qt, "completed")); /* nobody has told it */
    json_object_put(qtest_qmp_ok(f->v.qt, "{'execute': 'cont'}"));
    qtest_stop(to);
    pass(f, 50);
    g_atomic_int_set(&f->to_guest_on, FALSE);
    g_thread_join(g_steal_pointer(&f->sender));
}

static const Case pairs1 = { 1, 1, EVENT, "" };
static const Case pairs2 = { 2, 2, MQ, ",mq=on" };
static const Case pairs4 = { 4, 4, MQ | PACKED | EVENT, ",mq=on,packed=on" };
static const Case pairs8 = { 8, 8, MQ | EVENT, ",mq=on" };
static const Case some8 = { 8, 3, MQ, ",mq=on" };

#define ADD(name, data, fn) \
    g_test_add("/hand-over/" name, Fixture, &data, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("frames/1", pairs1, test_frames);
    ADD("frames/2", pairs2, test_frames);
    ADD("frames/4-packed", pairs4, test_frames);
    ADD("frames/8", pairs8, test_frames);
    ADD("frames/3-of-8", some8, test_frames);
    ADD("ten-times", pairs2, test_ten_times);
    ADD("giver-lets-go", some8, test_giver_lets_go);
    ADD("receiver-fails", pairs4, test_receiver_fails);
    ADD("receiver-is-killed", pairs2, test_receiver_is_killed);
    ADD("cancel", some8, test_cancel);
    ADD("what-does-not-fit", pairs2, test_what_does_not_fit);
    ADD("not-local", pairs1, test_not_local);
    return g_test_run();
}
