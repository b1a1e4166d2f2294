/*
 * The bytes of a vhost-user connection, in whatever pieces they come and go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-msg.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"
#include "vhost-user-rig.h"

typedef struct Fixture {
    VhostUserMsgIo io;
    VhostUserFront *front;
    int n_fds;
} Fixture;

static void up(Fixture *f, gconstpointer data)
{
    int pair[2];

    f->n_fds = vhost_user_rig_count_fds();
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    vhost_user_msg_init(&f->io, pair[0]);
    f->front = vhost_user_front_new(pair[1]);
}

static void down(Fixture *f, gconstpointer data)
{
    vhost_user_msg_done(&f->io);
    vhost_user_msg_done(&f->io);
    vhost_user_front_free(f->front);
    g_assert_cmpint(vhost_user_rig_count_fds(), ==, f->n_fds);
}

static void expect(Fixture *f, VhostUserMsgResult result)
{
    const char *why = NULL;

    g_assert_cmpint(vhost_user_msg_read(&f->io, &why), ==, result);
    g_assert_true(result != VHOST_USER_MSG_BROKEN || why);
}

static void expect_broken(Fixture *f, const char *text)
{
    const char *why = NULL;

    g_assert_cmpint(vhost_user_msg_read(&f->io, &why), ==, VHOST_USER_MSG_BROKEN);
    g_assert_cmpstr(why, ==, text);
}

/* A message of @size bytes: 1, 2, 3... */
static void expect_message(Fixture *f, uint32_t request, uint32_t size, unsigned n_fds)
{
    const VhostUserMsg *msg = &f->io.in;

    expect(f, VHOST_USER_MSG_COMPLETE);
    expect(f, VHOST_USER_MSG_COMPLETE); /* as long as it is not done with */
    g_assert_cmpuint(msg->hdr.request, ==, request);
    g_assert_cmpuint(msg->hdr.flags, ==, 1);
    g_assert_cmpuint(msg->hdr.size, ==, size);
    g_assert_cmpuint(msg->n_fds, ==, n_fds);
    for (uint32_t i = 0; i < size; i++) {
        g_assert_cmpuint(msg->payload[i], ==, (uint8_t)(i + 1));
    }
    vhost_user_msg_next(&f->io);
}

/* Into @ret, of which the length is returned. */
static size_t make(uint8_t *ret, uint32_t request, uint32_t size)
{
    VhostUserHeader hdr = { request, 1, size };

    memcpy(ret, &hdr, sizeof(hdr));
    for (uint32_t i = 0; i < size; i++) {
        ret[sizeof(hdr) + i] = (uint8_t)(i + 1);
    }
    return sizeof(hdr) + size;
}

static void send_some(Fixture *f, const void *data, size_t len, const int *fd, unsigned n_fds)
{
    g_assert_true(vhost_user_front_send_bytes(f->front, data, len, fd, n_fds));
}

/* --- requests --- */

static void test_whole(Fixture *f, gconstpointer data)
{
    uint8_t bytes[100];

    expect(f, VHOST_USER_MSG_PARTIAL);
    send_some(f, bytes, make(bytes, 7, 40), NULL, 0);
    expect_message(f, 7, 40, 0);
    send_some(f, bytes, make(bytes, 8, 0), NULL, 0);
    expect_message(f, 8, 0, 0);
    expect(f, VHOST_USER_MSG_PARTIAL);
}

static void test_byte_by_byte(Fixture *f, gconstpointer data)
{
    uint8_t bytes[100];
    size_t len = make(bytes, 7, 40);

    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < len; i++) {
            expect(f, VHOST_USER_MSG_PARTIAL);
            send_some(f, bytes + i, 1, NULL, 0);
        }
        expect_message(f, 7, 40, 0);
    }
}

static void test_many_at_once(Fixture *f, gconstpointer data)
{
    uint8_t bytes[1000];
    size_t len = 0;

    for (uint32_t i = 0; i < 20; i++) {
        len += make(bytes + len, i, i);
    }
    send_some(f, bytes, len, NULL, 0);
    for (uint32_t i = 0; i < 20; i++) {
        expect_message(f, i, i, 0);
    }
    expect(f, VHOST_USER_MSG_PARTIAL);
}

static void test_longest(Fixture *f, gconstpointer data)
{
    g_autofree uint8_t *bytes = g_malloc(5000);
    size_t len = make(bytes, 1, VHOST_USER_MSG_MAX_PAYLOAD);

    send_some(f, bytes, len - 1, NULL, 0);
    expect(f, VHOST_USER_MSG_PARTIAL);
    send_some(f, bytes + len - 1, 1, NULL, 0);
    expect_message(f, 1, VHOST_USER_MSG_MAX_PAYLOAD, 0);
    make(bytes, 1, VHOST_USER_MSG_MAX_PAYLOAD + 1);
    send_some(f, bytes, sizeof(VhostUserHeader), NULL, 0);
    expect_broken(f, "a message is too long");
    expect_broken(f, "a message is too long");
}

static void test_closed(Fixture *f, gconstpointer data)
{
    uint8_t bytes[100];

    send_some(f, bytes, make(bytes, 7, 40), NULL, 0);
    vhost_user_front_close(f->front);
    expect_message(f, 7, 40, 0);
    expect(f, VHOST_USER_MSG_CLOSED);
    expect(f, VHOST_USER_MSG_CLOSED);
}

/* In the header, between it and the payload, in the payload. */
static void test_closed_within(Fixture *f, gconstpointer data)
{
    uint8_t bytes[100];

    make(bytes, 7, 40);
    send_some(f, bytes, GPOINTER_TO_SIZE(data), NULL, 0);
    vhost_user_front_close(f->front);
    expect_broken(f, "the connection ended within a message");
}

/* Replies that were not read make it a reset, which is no more than an end. */
static void test_reset(Fixture *f, gconstpointer data)
{
    VhostUserReply reply = { .hdr = { 1, 5, 8 }, .fd = -1 };
    const char *why;

    g_assert_true(vhost_user_msg_send(&f->io, &reply, &why));
    vhost_user_front_close(f->front);
    expect(f, VHOST_USER_MSG_CLOSED);
}

static void test_no_socket(Fixture *f, gconstpointer data)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    VhostUserReply reply = { .hdr = { 1, 5, 8 }, .fd = -1 };
    const char *why = NULL;

    fd_close(&f->io.fd);
    f->io.fd = fd;
    expect_broken(f, "the connection can't be read");
    g_assert_false(vhost_user_msg_send(&f->io, &reply, &why));
    g_assert_cmpstr(why, ==, "the connection can't be written");
}

/* --- descriptors --- */

static void test_fds(Fixture *f, gconstpointer data)
{
    int fd[8];
    uint8_t bytes[100];
    uint64_t n = 0;

    for (unsigned i = 0; i < 8; i++) {
        fd[i] = eventfd(i + 1, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    send_some(f, bytes, make(bytes, 7, 40), fd, 8);
    expect(f, VHOST_USER_MSG_COMPLETE);
    g_assert_cmpuint(f->io.in.n_fds, ==, 8);
    for (unsigned i = 0; i < 8; i++) {
        int got = vhost_user_msg_take_fd(&f->io.in, i);

        g_assert_cmpint(fcntl(got, F_GETFD), ==, FD_CLOEXEC);
        g_assert_cmpint(read(got, &n, sizeof(n)), ==, sizeof(n));
        g_assert_cmpuint(n, ==, i + 1);
        close(got);
        close(fd[i]);
        g_assert_cmpint(vhost_user_msg_take_fd(&f->io.in, i), ==, -1);
    }
    g_assert_cmpint(vhost_user_msg_take_fd(&f->io.in, 8), ==, -1);
}

/* Nobody wants them: down() counts. */
static void test_fds_not_taken(Fixture *f, gconstpointer data)
{
    int fd[3] = { STDIN_FILENO, STDIN_FILENO, STDIN_FILENO };
    uint8_t bytes[100];

    send_some(f, bytes, make(bytes, 7, 40), fd, 3);
    expect_message(f, 7, 40, 3);
    g_assert_cmpint(vhost_user_rig_count_fds(), ==, f->n_fds + 2);
    send_some(f, bytes, make(bytes, 7, 40), fd, 3);
    expect(f, VHOST_USER_MSG_COMPLETE);
    close(vhost_user_msg_take_fd(&f->io.in, 1));
    /* the rest is closed with the connection */
}

/* Those that come with any of its bytes are a message's, and no other's. */
static void test_fds_in_pieces(Fixture *f, gconstpointer data)
{
    int fd[2] = { STDIN_FILENO, STDIN_FILENO };
    uint8_t bytes[100];
    size_t len = make(bytes, 7, 40);

    send_some(f, bytes, 5, fd, 1);
    expect(f, VHOST_USER_MSG_PARTIAL);
    send_some(f, bytes + 5, 10, fd, 2);
    send_some(f, bytes + 15, len - 15, fd, 1);
    send_some(f, bytes, len, fd, 1);
    expect_message(f, 7, 40, 4);
    expect_message(f, 7, 40, 1);
}

/* Beyond what a message may have at all. */
static void test_fds_in_too_many_pieces(Fixture *f, gconstpointer data)
{
    int fd[8] = { 0 };
    uint8_t bytes[100];
    size_t len = make(bytes, 7, 40);

    send_some(f, bytes, 5, fd, 7);
    send_some(f, bytes + 5, len - 5, fd, 8);
    expect_message(f, 7, 40, 8);
    g_assert_cmpint(vhost_user_rig_count_fds(), ==, f->n_fds + 2);
}

static void test_too_many_fds(Fixture *f, gconstpointer data)
{
    int fd[9] = { 0 };
    uint8_t bytes[100];

    send_some(f, bytes, make(bytes, 7, 40), fd, 9);
    expect_broken(f, "descriptors were lost: more than 8 with a message, or we may have no more");
}

/* We have no room for one. */
static void test_fds_that_do_not_fit(Fixture *f, gconstpointer data)
{
    int fd = STDIN_FILENO;
    struct rlimit old, limit;
    uint8_t bytes[100];

    send_some(f, bytes, make(bytes, 7, 40), &fd, 1);
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
    limit = old;
    limit.rlim_cur = 3;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    expect_broken(f, "descriptors were lost: more than 8 with a message, or we may have no more");
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
}

/* A connection that ends while they wait. */
static void test_fds_of_half_a_message(Fixture *f, gconstpointer data)
{
    int fd[3] = { 0 };
    uint8_t bytes[100];

    make(bytes, 7, 40);
    send_some(f, bytes, 20, fd, 3);
    expect(f, VHOST_USER_MSG_PARTIAL);
    g_assert_cmpuint(f->io.in.n_fds, ==, 3);
}

/* --- replies --- */

static void test_reply(Fixture *f, gconstpointer data)
{
    VhostUserReply reply = { .hdr = { 3, 5, 4 }, .fd = -1, .payload = { 1, 2, 3, 4 } };
    VhostUserFrontReply got;
    const char *why;

    g_assert_true(vhost_user_msg_send(&f->io, &reply, &why));
    reply.hdr.request = 4;
    reply.fd = eventfd(9, EFD_CLOEXEC);
    g_assert_true(vhost_user_msg_send(&f->io, &reply, &why));
    g_assert_false(vhost_user_msg_waits(&f->io));
    g_assert_true(vhost_user_front_recv(f->front, &got));
    g_assert_cmpuint(got.hdr.request, ==, 3);
    g_assert_cmpmem(got.payload, got.hdr.size, reply.payload, 4);
    g_assert_cmpint(got.fd, ==, -1);
    g_assert_true(vhost_user_front_recv(f->front, &got));
    g_assert_cmpuint(got.hdr.request, ==, 4);
    g_assert_cmpint(got.fd, >=, 0);
    close(got.fd);
}

static VhostUserReply big_reply(uint32_t request)
{
    VhostUserReply reply = { .hdr = { request, 5, VHOST_USER_MSG_MAX_REPLY }, .fd = -1 };

    memset(reply.payload, (int)request, sizeof(reply.payload));
    return reply;
}

/* Fills the socket, so that the next reply waits. */
static uint32_t fill_up(Fixture *f)
{
    uint32_t n = 0;
    const char *why;

    while (!vhost_user_msg_waits(&f->io)) {
        VhostUserReply reply = big_reply(n);

        g_assert_true(vhost_user_msg_send(&f->io, &reply, &why));
        n++;
    }
    return n;
}

/* They are kept, and come in their order, with what belongs to them. */
static void test_replies_wait(Fixture *f, gconstpointer data)
{
    VhostUserReply with_fd = big_reply(5);
    VhostUserFrontReply got;
    const char *why;
    uint32_t n = fill_up(f);

    with_fd.fd = eventfd(0, EFD_CLOEXEC);
    g_assert_true(vhost_user_msg_send(&f->io, &with_fd, &why));
    g_assert_true(vhost_user_msg_flush(&f->io, &why));
    g_assert_true(vhost_user_msg_waits(&f->io));
    for (uint32_t i = 0; i <= n; i++) {
        g_assert_true(vhost_user_msg_flush(&f->io, &why));
        g_assert_true(vhost_user_front_recv(f->front, &got));
        g_assert_cmpuint(got.hdr.request, ==, i < n ? i : 5);
        g_assert_cmpuint(got.payload[0], ==, (uint8_t)got.hdr.request);
        g_assert_cmpuint(got.payload[got.hdr.size - 1], ==, (uint8_t)got.hdr.request);
        g_assert_cmpint(got.fd >= 0, ==, i == n);
    }
    close(got.fd);
    g_assert_false(vhost_user_msg_waits(&f->io));
}

/* Who never reads: so many, and no more. */
static void test_replies_are_not_read(Fixture *f, gconstpointer data)
{
    VhostUserReply reply = big_reply(5);
    const char *why = NULL;

    fill_up(f);
    for (unsigned i = 1; i < VHOST_USER_MSG_MAX_WAITING; i++) {
        reply.fd = eventfd(0, EFD_CLOEXEC);
        g_assert_true(vhost_user_msg_send(&f->io, &reply, &why));
    }
    reply.fd = eventfd(0, EFD_CLOEXEC);
    g_assert_false(vhost_user_msg_send(&f->io, &reply, &why));
    g_assert_cmpstr(why, ==, "the front end does not read its replies");
}

static void test_reply_to_nobody(Fixture *f, gconstpointer data)
{
    VhostUserReply reply = big_reply(5);
    const char *why = "";

    vhost_user_front_close(f->front);
    g_assert_false(vhost_user_msg_send(&f->io, &reply, &why));
    g_assert_null(why);
}

#define ADD(name, fn, data) \
    g_test_add("/hw/virtio/vhost-user-msg/" name, Fixture, data, up, fn, down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("whole", test_whole, NULL);
    ADD("byte-by-byte", test_byte_by_byte, NULL);
    ADD("many-at-once", test_many_at_once, NULL);
    ADD("longest", test_longest, NULL);
    ADD("closed", test_closed, NULL);
    ADD("closed-within/header", test_closed_within, GSIZE_TO_POINTER(11));
    ADD("closed-within/behind-header", test_closed_within, GSIZE_TO_POINTER(12));
    ADD("closed-within/payload", test_closed_within, GSIZE_TO_POINTER(51));
    ADD("reset", test_reset, NULL);
    ADD("no-socket", test_no_socket, NULL);
    ADD("fds", test_fds, NULL);
    ADD("fds-not-taken", test_fds_not_taken, NULL);
    ADD("fds-in-pieces", test_fds_in_pieces, NULL);
    ADD("fds-in-too-many-pieces", test_fds_in_too_many_pieces, NULL);
    ADD("too-many-fds", test_too_many_fds, NULL);
    ADD("fds-that-do-not-fit", test_fds_that_do_not_fit, NULL);
    ADD("fds-of-half-a-message", test_fds_of_half_a_message, NULL);
    ADD("reply", test_reply, NULL);
    ADD("replies-wait", test_replies_wait, NULL);
    ADD("replies-are-not-read", test_replies_are_not_read, NULL);
    ADD("reply-to-nobody", test_reply_to_nobody, NULL);
    return g_test_run();
}
