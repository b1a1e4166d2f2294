/*
 * The connections of a netdev over a stream socket: who comes, who goes, and what is told of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "socket-rig.h"
#include "util/fd.h"

typedef struct Place {
    char *dir;
    char *path;
    char *event; /* of a connection there */
    char *server;
    char *client;
} Place;

static void place_make(Place *p)
{
    p->dir = g_dir_make_tmp("stream.XXXXXX", NULL);
    p->path = g_strdup_printf("%s/s", p->dir);
    p->event = g_strdup_printf("+unix:%s", p->path);
    p->server = g_strdup_printf("stream,server=on,addr.type=unix,addr.path=%s", p->path);
    p->client = g_strdup_printf("stream,addr.type=unix,addr.path=%s", p->path);
}

static void place_remove(Place *p)
{
    g_assert_cmpint(g_rmdir(p->dir), ==, 0); /* nothing is left in it */
    g_free(p->dir);
    g_free(p->path);
    g_free(p->event);
    g_free(p->server);
    g_free(p->client);
}

static int connect_to(const Place *p)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(un.sun_path, p->path, sizeof(un.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    return fd;
}

static void assert_info(const SocketRig *r, const char *expected)
{
    g_autofree char *info = r->nd->ops->info(r->nd, 0);

    g_assert_cmpstr(info, ==, expected);
}

static void give(int fd, unsigned seed)
{
    uint8_t bytes[64] = { 0, 0, 0, 60 };

    for (uint32_t i = 0; i < 60; i++) {
        bytes[4 + i] = rig_byte(seed, i);
    }
    g_assert_cmpint(write(fd, bytes, sizeof(bytes)), ==, sizeof(bytes));
}

/* The second client waits until the first is gone; a part of a frame of one is not the other's. */
static void test_clients_in_turn(void)
{
    g_autofree char *next = NULL;
    SocketRig r = { 0 };
    Place p;
    int one;
    int two;

    place_make(&p);
    next = g_strdup_printf("-%s", p.event);
    rig_open(&r, p.server);
    assert_info(&r, "listening");
    g_assert_false(r.nd->link_up);
    one = connect_to(&p);
    rig_wait(&r, p.event);
    assert_info(&r, p.event + 1);
    g_assert_true(r.nd->link_up);
    two = connect_to(&p);
    give(two, 2);
    give(one, 1);
    g_assert_cmpint(write(one, "\0\0\0\377123", 7), ==, 7);
    g_assert_cmpuint(rig_recv(&r, RIG_BATCH), ==, 1);
    g_assert_true(rig_frame_is(r.pkt[0].iov[0].iov_base, 1, 60));
    fd_close(&one);
    rig_wait(&r, next);
    g_assert_cmpuint(rig_recv(&r, RIG_BATCH), ==, 1);
    g_assert_true(rig_frame_is(r.pkt[0].iov[0].iov_base, 2, 60));
    g_assert_cmpuint(r.n_reopened, ==, 4); /* twice for an end, once for a beginning */
    fd_close(&two);
    rig_wait(&r, "-");
    assert_info(&r, "listening");
    rig_close(&r);
    place_remove(&p);
}

/* A packet that was half sent to one who is gone is whole for the next. */
static void test_half_sent_to_one_who_is_gone(void)
{
    g_autofree uint8_t *got = g_malloc(60000 + 4);
    g_autoptr(RigPkt) mine = rig_pkt_new(9, 60000, 1);
    g_autofree char *both = NULL;
    SocketRig r = { 0 };
    int size = 20000;
    Place p;
    int one;
    int two;

    place_make(&p);
    both = g_strdup_printf("-%s", p.event);
    rig_open(&r, p.server);
    one = connect_to(&p);
    rig_wait(&r, p.event);
    setsockopt(r.q->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    while (netdev_send(r.q, &mine->pkt, 1) == 1) {
        continue;
    }
    g_assert_true(r.q->full);
    two = connect_to(&p);
    fd_close(&one);
    rig_wait(&r, both);
    g_assert_cmpuint(netdev_send(r.q, &mine->pkt, 1), ==, 1);
    g_assert_cmpint(recv(two, got, 60004, MSG_WAITALL), ==, 60004);
    g_assert_true(rig_frame_is(got + 4, 9, 60000));
    fd_close(&two);
    rig_close(&r);
    place_remove(&p);
}

/* With a NIC, what came before the end is read before it is one. */
static void test_nic_reads_to_the_end(void)
{
    SocketRig r = { 0 };
    int fd[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
    rig_open_fd(&r, fd[0]);
    r.nd->in_use = true;
    give(fd[1], 1);
    give(fd[1], 2);
    fd_close(&fd[1]);
    for (unsigned i = 0; i < 5; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_true(r.nd->link_up);
    g_assert_cmpuint(rig_recv(&r, RIG_BATCH), ==, 2);
    rig_wait(&r, "-");
    assert_info(&r, "");
    rig_close(&r);
}

/* And one that reads nothing does not keep a connection for ever. */
static void test_nic_reads_nothing(void)
{
    SocketRig r = { 0 };
    int fd[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
    rig_open_fd(&r, fd[0]);
    r.nd->in_use = true;
    give(fd[1], 1);
    fd_close(&fd[1]);
    rig_wait(&r, "-");
    g_assert_false(r.nd->link_up);
    rig_close(&r);
}

static void test_reconnect(void)
{
    g_autofree char *text = NULL;
    SocketRig client = { 0 };
    SocketRig server = { 0 };
    Place p;

    place_make(&p);
    text = g_strdup_printf("%s,reconnect-ms=20", p.client);
    rig_open(&client, text);
    assert_info(&client, "connecting");
    for (unsigned i = 0; i < 2; i++) {
        server = (SocketRig){ 0 };
        rig_open(&server, p.server);
        rig_wait(&server, p.event);
        rig_wait(&client, p.event);
        g_assert_true(client.nd->link_up);
        rig_close(&server);
        rig_wait(&client, "-");
        assert_info(&client, "connecting");
        g_assert_false(client.nd->link_up);
    }
    rig_close(&client);
    place_remove(&p);
}

static void test_once(void)
{
    g_autofree char *error = NULL;
    SocketRig r = { 0 };
    Place p;

    place_make(&p);
    error = g_strdup_printf("error: Failed to connect to '%s': No such file or directory",
                            p.path);
    rig_open(&r, p.client);
    while (true) {
        g_autofree char *info = r.nd->ops->info(r.nd, 0);

        if (!g_str_equal(info, "connecting")) {
            g_assert_cmpstr(info, ==, error);
            break;
        }
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_false(r.nd->link_up);
    rig_close(&r);
    place_remove(&p);
}

/* Nothing of what waits comes after its end. */
static void test_freed_at_any_time(void)
{
    for (unsigned steps = 0; steps < 12; steps++) {
        SocketRig server = { 0 };
        SocketRig client = { 0 };
        Place p;

        place_make(&p);
        rig_open(&server, p.server);
        rig_open(&client, p.client);
        for (unsigned i = 0; i < steps; i++) {
            g_main_context_iteration(NULL, FALSE);
        }
        rig_close(&server);
        for (unsigned i = 0; i < steps; i++) {
            g_main_context_iteration(NULL, FALSE);
        }
        rig_close(&client);
        place_remove(&p);
    }
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/stream/clients-in-turn", test_clients_in_turn);
    g_test_add_func("/net/stream/half-sent", test_half_sent_to_one_who_is_gone);
    g_test_add_func("/net/stream/nic-reads-to-the-end", test_nic_reads_to_the_end);
    g_test_add_func("/net/stream/nic-reads-nothing", test_nic_reads_nothing);
    g_test_add_func("/net/stream/reconnect", test_reconnect);
    g_test_add_func("/net/stream/once", test_once);
    g_test_add_func("/net/stream/freed-at-any-time", test_freed_at_any_time);
    return g_test_run();
}
