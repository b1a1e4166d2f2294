/*
 * Images of NBD servers: nbdkit, whose flush is one of all connections, and qemu-nbd, which takes a
 * single one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block-rig.h"
#include "image-server.h"

#define MIB (1024u * 1024)

typedef struct NbdTest {
    BlockRig rig;
    ImageServer server;
    BlockServer where;
    char *socket;
    char *name;
} NbdTest;

static void setup(NbdTest *t, gconstpointer data)
{
    block_rig_init(&t->rig);
    t->socket = g_strdup_printf("%s.sock", t->rig.path);
    t->name = g_strdup_printf("nbd+unix://?socket=%s", t->socket);
    t->where = (BlockServer){ .path = t->socket, .export = "" };
    t->rig.config.driver = "nbd";
    t->rig.config.server = &t->where;
    t->rig.config.filename = t->name;
}

static void teardown(NbdTest *t, gconstpointer data)
{
    block_rig_close(&t->rig);
    image_server_kill(&t->server);
    block_rig_done(&t->rig);
    g_free(t->socket);
    g_free(t->name);
}

/* nbdkit, of which each connection is one of several; @args: plugin, parameters, filters. */
static bool start_nbdkit(NbdTest *t, const char *const *args)
{
    const char *argv[16] = { "nbdkit", "-f", "-U", t->socket };
    unsigned n = 4;

    while (*args) {
        argv[n++] = *args++;
    }
    return image_server_start(&t->server, t->socket, argv);
}

static bool start_file(NbdTest *t)
{
    const char *args[] = { "file", t->rig.path, NULL };

    return start_nbdkit(t, args);
}

static bool start_single(NbdTest *t)
{
    const char *argv[] = { "qemu-nbd", "-t", "-f", "raw", "--discard=unmap", "-k", t->socket,
                           t->rig.path, NULL };

    return image_server_start(&t->server, t->socket, argv);
}

static void expect_bytes(const uint8_t *buf, uint64_t offset, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g_assert_cmphex(buf[i], ==, block_rig_byte(offset + i));
    }
}

/* In a @place of its own, which has not been written to. */
static void check_all_operations(BlockRig *r, unsigned queue, unsigned place)
{
    uint8_t buf[4096];
    struct iovec iov = { buf, sizeof(buf) };
    uint64_t at = place * 65536;
    BlockRequest req = { .op = BLOCK_READ, .offset = at + 512, .bytes = sizeof(buf), .iov = &iov,
                         .n_iov = 1 };

    g_assert_cmpint(block_rig_run(r, queue, &req), ==, 0);
    expect_bytes(buf, at + 512, sizeof(buf));
    memset(buf, 0x40 + (int)queue, sizeof(buf));
    iov = (struct iovec){ buf, sizeof(buf) };
    req.op = BLOCK_WRITE;
    g_assert_cmpint(block_rig_run(r, queue, &req), ==, 0);
    req = (BlockRequest){ .op = BLOCK_FLUSH };
    g_assert_cmpint(block_rig_run(r, queue, &req), ==, 0);
    block_rig_expect(r, at + 512, buf, sizeof(buf));
    req = (BlockRequest){ .op = BLOCK_DISCARD, .offset = at, .bytes = 8192 };
    g_assert_cmpint(block_rig_run(r, queue, &req), ==, 0);
    memset(buf, 0, sizeof(buf));
    block_rig_expect(r, at, buf, sizeof(buf));
}

static void test_each_queue_has_a_connection(NbdTest *t, gconstpointer data)
{
    BlockRig *r = &t->rig;

    if (!start_file(t)) {
        return;
    }
    block_rig_open(r, 4);
    g_assert_cmpuint(block_node_bytes(r->node), ==, BLOCK_RIG_BYTES);
    g_assert_false(r->node->read_only);
    g_assert_true(r->node->discard);
    g_assert_cmpint(block_node_allocated(r->node), ==, -1);
    for (unsigned i = 0; i < 4; i++) {
        check_all_operations(r, i, i);
    }
}

static void test_queues_share_the_only_connection(NbdTest *t, gconstpointer data)
{
    BlockRig *r = &t->rig;

    if (!start_single(t)) {
        return;
    }
    block_rig_open(r, 4);
    for (unsigned i = 0; i < 4; i++) {
        check_all_operations(r, i, i);
    }
    block_rig_close(r); /* and it is given back */
    block_rig_open(r, 2);
    check_all_operations(r, 1, 4);
}

/* Memory in pieces, whose ends are nowhere in particular, and more requests than buffers. */
static void test_memory_in_pieces(NbdTest *t, gconstpointer data)
{
    enum { N = 40, PIECES = 5, BYTES = 24 * 512 };
    static const size_t ends[PIECES + 1] = { 0, 1, 513, 4096, 4097, BYTES };
    g_autofree uint8_t *memory = g_malloc0(N * BYTES);
    g_autofree BlockJob *jobs = g_new0(BlockJob, N);
    struct iovec iov[N][PIECES];

    if (!start_file(t)) {
        return;
    }
    block_rig_open(&t->rig, 1);
    for (int write = 0; write < 2; write++) {
        for (unsigned i = 0; i < N; i++) {
            uint8_t *buf = memory + i * BYTES;

            jobs[i].req = (BlockRequest){ .op = write ? BLOCK_WRITE : BLOCK_READ, .bytes = BYTES,
                                          .offset = i * BYTES, .iov = iov[i], .n_iov = PIECES };
            for (unsigned k = 0; k < PIECES; k++) {
                iov[i][k] = (struct iovec){ buf + ends[k], ends[k + 1] - ends[k] };
            }
        }
        block_rig_submit(&t->rig, 0, jobs, N);
        block_rig_wait(jobs, N);
        for (unsigned i = 0; i < N; i++) {
            g_assert_cmpint(jobs[i].res, ==, 0);
        }
        if (!write) {
            expect_bytes(memory, 0, N * BYTES);
            memset(memory, 0xa5, N * BYTES);
        }
    }
    block_rig_expect(&t->rig, 0, memory, N * BYTES);
}

/* More than a buffer, and more than the protocol has in a request. */
static void test_large_requests(NbdTest *t, gconstpointer data)
{
    const char *args[] = { "memory", "80M", NULL };
    size_t n = 70 * MIB + 512;
    g_autofree uint8_t *out = g_malloc(n);
    g_autofree uint8_t *in = g_malloc0(n);
    struct iovec iov[2] = { { in, MIB + 100 }, { in + MIB + 100, n - MIB - 100 } };

    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(i / 4096 + i);
    }
    if (!start_nbdkit(t, args)) {
        return;
    }
    block_rig_open(&t->rig, 1);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_WRITE, 512, out, n), ==, 0);
    g_assert_cmpint(block_rig_iov(&t->rig, BLOCK_READ, 512, iov, 2), ==, 0);
    g_assert_cmpmem(out, n, in, n);
    memset(in, 0, n);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_READ, 512, in, n), ==, 0);
    g_assert_cmpmem(out, n, in, n);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_DISCARD, 512, NULL, n), ==, 0);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_READ, 80 * MIB - 512, in, 1024), ==, -EIO);
}

/* A server may say that the disk is full: that request's error, and no more. */
static void test_errors_of_the_server(NbdTest *t, gconstpointer data)
{
    const char *args[] = { "--filter=error", "memory", "1M", "error-pwrite=ENOSPC",
                           "error-pwrite-rate=100%", "error-pread=EIO", "error-pread-rate=100%",
                           NULL };
    uint8_t buf[1024] = { 0 };
    struct iovec pieces[2] = { { buf, 100 }, { buf + 100, 924 } };

    if (!start_nbdkit(t, args)) {
        return;
    }
    block_rig_open(&t->rig, 1);
    for (int i = 0; i < 20; i++) { /* more than there are buffers: each comes back */
        g_assert_cmpint(block_rig_io(&t->rig, BLOCK_WRITE, 0, buf, 512), ==, -ENOSPC);
        g_assert_cmpint(block_rig_iov(&t->rig, BLOCK_READ, 0, pieces, 2), ==, -EIO);
    }
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_false(block_node_failed(t->rig.node));
}

static void test_failed_flush_ends_the_node(NbdTest *t, gconstpointer data)
{
    const char *args[] = { "eval", "get_size=echo 1M", "pread=head -c $3 /dev/zero",
                           "can_write=exit 0", "can_flush=exit 0", "pwrite=cat >/dev/null",
                           "flush=echo EIO bad >&2; exit 1", NULL };
    uint8_t buf[512];

    if (!start_nbdkit(t, args)) {
        return;
    }
    block_rig_open(&t->rig, 1);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_WRITE, 0, buf, 512), ==, 0);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_FLUSH, 0, NULL, 0), ==, -EIO);
    g_assert_true(block_node_failed(t->rig.node));
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_READ, 0, buf, 512), ==, -EIO);
    block_rig_loop_until(&t->rig.changes, 1);
}

/* A server without flushes has what it acknowledged on the disk, says the protocol. */
static void test_no_flush_no_trim(NbdTest *t, gconstpointer data)
{
    const char *args[] = { "eval", "get_size=echo 1M", "pread=head -c $3 /dev/zero",
                           "can_write=exit 0", "pwrite=cat >/dev/null", NULL };
    uint8_t buf[512];

    if (!start_nbdkit(t, args)) {
        return;
    }
    block_rig_open(&t->rig, 1);
    g_assert_false(t->rig.node->discard);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_WRITE, 0, buf, 512), ==, 0);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_DISCARD, 0, NULL, 4096), ==, -EOPNOTSUPP);
}

static void test_secure_discard_is_none(NbdTest *t, gconstpointer data)
{
    BlockRequest req = { .op = BLOCK_DISCARD, .secure = true, .bytes = 4096 };
    uint8_t buf[4096];

    if (!start_file(t)) {
        return;
    }
    block_rig_open(&t->rig, 1);
    g_assert_cmpint(block_rig_run(&t->rig, 0, &req), ==, -EOPNOTSUPP);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_READ, 0, buf, sizeof(buf)), ==, 0);
    expect_bytes(buf, 0, sizeof(buf));
}

static void test_read_only_export(NbdTest *t, gconstpointer data)
{
    const char *args[] = { "-r", "file", t->rig.path, NULL };
    g_autoptr(GError) error = NULL;
    uint8_t buf[512];

    if (!start_nbdkit(t, args)) {
        return;
    }
    g_assert_null(block_node_open(&t->rig.config, &error));
    g_assert_cmpstr(error->message, ==, "request on write denied without write permission");
    t->rig.config.auto_read_only = true;
    block_rig_open(&t->rig, 1);
    g_assert_true(t->rig.node->read_only);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_WRITE, 0, buf, 512), ==, -EROFS);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_READ, 0, buf, 512), ==, 0);
}

static void test_size_is_the_servers(NbdTest *t, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    if (!start_file(t)) {
        return;
    }
    block_rig_open(&t->rig, 1);
    g_assert_true(block_node_resize(t->rig.node, BLOCK_RIG_BYTES, &error));
    g_assert_false(block_node_resize(t->rig.node, 2 * BLOCK_RIG_BYTES, &error));
    g_assert_cmpstr(error->message, ==, "Cannot resize NBD nodes");
    g_assert_false(block_node_resize(t->rig.node, BLOCK_RIG_BYTES / 2, NULL));
    g_assert_cmpuint(block_node_bytes(t->rig.node), ==, BLOCK_RIG_BYTES);
}

/* A raw node over it has the same connections: the server may take no more. */
static void test_node_over_another_shares_it(NbdTest *t, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    BlockNode *below;

    if (!start_single(t)) {
        return;
    }
    below = block_node_open(&t->rig.config, &error);
    g_assert_no_error(error);
    t->rig.config.image = below;
    block_rig_open(&t->rig, 2);
    check_all_operations(&t->rig, 0, 0);
    block_node_free(below);
    check_all_operations(&t->rig, 1, 1);
}

static void expect_refused(NbdTest *t, const char *why)
{
    g_autofree char *want = g_strdup_printf("Failed to connect to '%s': %s", t->name, why);
    g_autoptr(GError) error = NULL;

    g_assert_null(block_node_open(&t->rig.config, &error));
    g_assert_cmpstr(error->message, ==, want);
}

static void test_no_server(NbdTest *t, gconstpointer data)
{
    expect_refused(t, "No such file or directory");
    t->where = (BlockServer){ .host = "127.0.0.1", .port = "1", .export = "" };
    expect_refused(t, "Connection refused");
}

static void test_no_such_export(NbdTest *t, gconstpointer data)
{
    const char *argv[] = { "qemu-nbd", "-t", "-f", "raw", "-x", "there", "-k", t->socket,
                           t->rig.path, NULL };

    if (!image_server_start(&t->server, t->socket, argv)) {
        return;
    }
    t->where.export = "elsewhere";
    expect_refused(t, "handshake: server has no export named 'elsewhere': "
                      "No such file or directory");
    t->where.export = "there";
    block_rig_open(&t->rig, 1);
}

/* A port of this machine that is free, if nobody takes it meanwhile. */
static char *free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&at, len), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&at, &len), ==, 0);
    close(fd);
    return g_strdup_printf("%u", ntohs(at.sin_port));
}

/* Connections of ours to @port that ask a silent host whether it is there. */
static unsigned count_asking(const char *port)
{
    unsigned n = 0;

    for (int fd = 0; fd < 256; fd++) {
        struct sockaddr_in at = { 0 };
        socklen_t len = sizeof(at);
        socklen_t value_len = sizeof(int);
        int on = 0;

        if (getpeername(fd, (struct sockaddr *)&at, &len) == 0 && at.sin_family == AF_INET &&
            ntohs(at.sin_port) == g_ascii_strtoull(port, NULL, 10) &&
            getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &value_len) == 0 && on) {
            n++;
        }
    }
    return n;
}

static void test_over_tcp(NbdTest *t, gconstpointer data)
{
    g_autofree char *port = free_port();
    const char *argv[] = { "nbdkit", "-f", "-i", "127.0.0.1", "-p", port, "file", t->rig.path,
                           NULL };

    if (!image_server_start(&t->server, NULL, argv)) {
        return;
    }
    t->where = (BlockServer){ .host = "127.0.0.1", .port = port, .export = "" };
    while (!(t->rig.node = block_node_open(&t->rig.config, NULL))) {
        g_usleep(10000);
    }
    g_clear_pointer(&t->rig.node, block_node_free);
    block_rig_open(&t->rig, 2);
    g_assert_cmpuint(count_asking(port), ==, 2);
    check_all_operations(&t->rig, 0, 0);
    check_all_operations(&t->rig, 1, 1);
}

typedef struct Test {
    const char *name;
    void (*run)(NbdTest *t, gconstpointer data);
} Test;

static const Test tests[] = {
    { "each-queue-has-a-connection", test_each_queue_has_a_connection },
    { "queues-share-the-only-connection", test_queues_share_the_only_connection },
    { "memory-in-pieces", test_memory_in_pieces },
    { "large-requests", test_large_requests },
    { "errors-of-the-server", test_errors_of_the_server },
    { "failed-flush-ends-the-node", test_failed_flush_ends_the_node },
    { "no-flush-no-trim", test_no_flush_no_trim },
    { "secure-discard-is-none", test_secure_discard_is_none },
    { "read-only-export", test_read_only_export },
    { "size-is-the-servers", test_size_is_the_servers },
    { "node-over-another-shares-it", test_node_over_another_shares_it },
    { "no-server", test_no_server },
    { "no-such-export", test_no_such_export },
    { "over-tcp", test_over_tcp },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/block/nbd/%s", tests[i].name);

        g_test_add(path, NbdTest, NULL, setup, tests[i].run, teardown);
    }
    return g_test_run();
}
