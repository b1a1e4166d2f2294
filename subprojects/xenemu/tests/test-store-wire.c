/*
 * XenStore's wire: xen/io/xs_wire.h, and what a hostile client may say on it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct Fixture {
    TestHost *t;
    XenemuGuest *g;
    int dom0;
    int guest;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->t = test_host_new();
    f->g = test_guest(f->t, 6);
    f->dom0 = test_store_connect(xenemu_host_store_path(f->t->host));
    f->guest = test_store_connect(xenemu_guest_store_path(f->g));
}

static void teardown(Fixture *f, gconstpointer data)
{
    close(f->guest);
    close(f->dom0);
    xenemu_guest_detach(f->g);
    test_host_free(f->t);
}

/* xenstore.txt: "a reply with type ERROR, and only req_id and tx_id copied"; E<something>|. */
static void assert_error(int fd, const char *name)
{
    char buf[XENSTORE_PAYLOAD_MAX + 1];
    size_t len;

    g_assert_cmpuint(test_store_recv(fd, buf, &len), ==, XS_ERROR);
    g_assert_cmpstr(buf, ==, name);
    g_assert_cmpuint(len, ==, strlen(name) + 1);
}

/* The others still get answers. */
static void assert_serves(int fd)
{
    g_assert_cmpint(test_store_write(fd, 0, "data/alive", "1"), ==, 0);
}

/* Strings without their NUL, missing ones, too many. */
static void test_malformed(Fixture *f, gconstpointer data)
{
    static const struct {
        uint32_t type;
        const char *data;
        size_t len;
    } said[] = {
        { XS_READ, "", 0 }, { XS_READ, "/a", 2 }, { XS_READ, "/a\0x", 5 },
        { XS_WRITE, "", 0 }, { XS_WRITE, "/a", 2 }, { XS_MKDIR, "/a", 2 },
        { XS_RM, "", 0 }, { XS_RM, "/a\0/b", 6 }, { XS_DIRECTORY, "/", 1 },
        { XS_DIRECTORY_PART, "/", 2 }, { XS_DIRECTORY_PART, "/\0", 3 },
        { XS_DIRECTORY_PART, "/\0-1", 5 }, { XS_DIRECTORY_PART, "/\0" "99999999999", 14 },
        { XS_GET_PERMS, "", 0 }, { XS_SET_PERMS, "/", 2 }, { XS_SET_PERMS, "/\0n0", 4 },
        { XS_WATCH, "/", 2 }, { XS_WATCH, "/\0t", 3 }, { XS_WATCH, "/\0t\0x", 6 },
        { XS_UNWATCH, "/", 2 }, { XS_TRANSACTION_END, "", 0 }, { XS_TRANSACTION_END, "T", 1 },
        { XS_GET_DOMAIN_PATH, "", 0 }, { XS_GET_DOMAIN_PATH, "65536", 6 },
        { XS_IS_DOMAIN_INTRODUCED, "-1", 3 }, { XS_IS_DOMAIN_INTRODUCED, "1", 1 },
        { XS_INTRODUCE, "1", 2 }, { XS_RELEASE, "x", 2 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(said); i++) {
        test_store_send(f->dom0, said[i].type, 0, said[i].data, said[i].len);
        assert_error(f->dom0, "EINVAL");
    }
    assert_serves(f->dom0);
}

/* xs_wire.h, XENSTORE_PAYLOAD_MAX: "its connection will be immediately killed". */
static void test_too_long(Fixture *f, gconstpointer data)
{
    struct xsd_sockmsg header = { .type = XS_WRITE, .len = XENSTORE_PAYLOAD_MAX + 1 };
    char buf[XENSTORE_PAYLOAD_MAX + 1] = "/a";
    size_t len;

    test_store_send(f->dom0, XS_WRITE, 0, buf, XENSTORE_PAYLOAD_MAX);
    g_assert_cmpuint(test_store_recv(f->dom0, buf, &len), ==, XS_WRITE);
    send(f->guest, &header, sizeof(header), MSG_NOSIGNAL);
    g_assert_cmpint(recv(f->guest, buf, sizeof(buf), 0), <=, 0);
    assert_serves(f->dom0);
}

/* Byte by byte, and several requests in one piece. */
static void test_pieces(Fixture *f, gconstpointer data)
{
    struct xsd_sockmsg header = { .type = XS_READ, .req_id = 7, .len = 6 };
    char said[2 * (sizeof(header) + 6)];
    char buf[XENSTORE_PAYLOAD_MAX + 1];
    size_t one = sizeof(header) + 6;
    size_t len;

    memcpy(said, &header, sizeof(header));
    memcpy(said + sizeof(header), "domid", 6);
    memcpy(said + one, said, one);
    for (size_t i = 0; i < one; i++) {
        g_assert_cmpint(send(f->guest, said + i, 1, 0), ==, 1);
    }
    g_assert_cmpuint(test_store_recv(f->guest, buf, &len), ==, XS_READ);
    g_assert_cmpint(send(f->guest, said, sizeof(said), 0), ==, sizeof(said));
    for (int i = 0; i < 2; i++) {
        g_assert_cmpuint(test_store_recv(f->guest, buf, &len), ==, XS_READ);
        g_assert_cmpstr(buf, ==, "6");
    }
}

/* A client that asks and does not read is not read from; what it asked is answered in the end. */
static void test_does_not_read(Fixture *f, gconstpointer data)
{
    struct xsd_sockmsg header = { .type = XS_DIRECTORY, .req_id = 7, .len = 2 };
    char buf[XENSTORE_PAYLOAD_MAX + 1];
    char said[sizeof(header) + 2];
    int sent = 0;
    size_t len;

    memcpy(said, &header, sizeof(header));
    memcpy(said + sizeof(header), ".", 2); /* an error, which is an answer too */
    for (int idle = 0; idle < 5; idle++) {
        while (send(f->guest, said, sizeof(said), MSG_DONTWAIT) == sizeof(said)) {
            g_assert_cmpint(++sent, <, 1000000);
            idle = 0;
        }
        g_usleep(10000);
    }
    assert_serves(f->dom0);
    for (int i = 0; i < sent; i++) {
        g_assert_cmpuint(test_store_recv(f->guest, buf, &len), ==, XS_ERROR);
    }
}

/* One that does not read its events is given up, and the rest goes on. */
static void test_floods_itself(Fixture *f, gconstpointer data)
{
    int lazy = test_store_connect(xenemu_guest_store_path(f->g));
    g_autofree char *token = g_strnfill(900, 't');
    char buf[4096];

    for (int i = 0; i < 100; i++) {
        g_autofree char *tok = g_strdup_printf("%s%d", token, i);

        g_assert_cmpint(test_store_call(lazy, XS_WATCH, 0, NULL, "data", tok, NULL), ==, 0);
    }
    for (int i = 0; i < 60; i++) {
        g_assert_cmpint(test_store_write(f->guest, 0, "data/x", "1"), ==, 0);
    }
    while (recv(lazy, buf, sizeof(buf), 0) > 0) {
    }
    close(lazy);
    assert_serves(f->dom0);
}

/* A guest cannot have all connections, and its going away is noticed. */
static void test_connections(Fixture *f, gconstpointer data)
{
    int fds[40];

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
            fds[i] = test_store_connect(xenemu_guest_store_path(f->g));
        }
        assert_serves(f->dom0);
        for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
            close(fds[i]);
        }
    }
    assert_serves(f->guest);
}

/* True: the host took the connection and serves it. */
static bool is_served(int fd)
{
    char buf[XENSTORE_PAYLOAD_MAX + 1];
    size_t len;

    test_store_send(fd, XS_READ, 0, "domid", 6);
    return test_store_recv(fd, buf, &len) == XS_READ;
}

/*
 * In Xen, dom0's sockets and the guests' rings have nothing to do with each other
 * (xenstore.txt, xen/io/xs_wire.h: struct xenstore_domain_interface): dom0 gets in, however
 * many connections all guests together hold.
 */
static void test_connections_of_all(Fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) guests = g_ptr_array_new();
    g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(int));
    unsigned served = 0;
    int late;

    for (int i = 0; i < 34; i++) {
        XenemuGuest *g = test_guest(f->t, 100 + i);

        g_ptr_array_add(guests, g);
        for (int j = 0; j < 8; j++) {
            int fd = test_store_connect(xenemu_guest_store_path(g));

            served += is_served(fd);
            g_array_append_val(fds, fd);
        }
    }
    g_assert_cmpuint(served, >, 200);
    late = test_store_connect(xenemu_host_store_path(f->t->host));
    assert_serves(late);
    close(late);
    for (guint i = 0; i < fds->len; i++) {
        close(g_array_index(fds, int, i));
    }
    for (guint i = 0; i < guests->len; i++) {
        xenemu_guest_detach(guests->pdata[i]);
    }
}

int main(int argc, char **argv)
{
#define ADD(name, fn) g_test_add(name, Fixture, NULL, setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("/store-wire/malformed", test_malformed);
    ADD("/store-wire/too-long", test_too_long);
    ADD("/store-wire/pieces", test_pieces);
    ADD("/store-wire/does-not-read", test_does_not_read);
    ADD("/store-wire/floods-itself", test_floods_itself);
    ADD("/store-wire/connections", test_connections);
    ADD("/store-wire/connections-of-all", test_connections_of_all);
    return g_test_run();
}
