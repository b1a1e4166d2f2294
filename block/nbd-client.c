/*
 * The connections to an NBD server, which says whether a flush of one covers the writes of all; if
 * not, all queues have the same one. One that a queue gives back is kept for the next queue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "nbd.h"

#define CONNECT_US     (10 * G_USEC_PER_SEC)
#define SILENCE_S      40 /* of a host, before it is gone */
#define BYTES_DEFAULT  (32u << 20) /* of a request, if the server says nothing: proto.md of NBD */
#define BLOCK_DEFAULT  4096u
#define PREFERRED_MAX  (64u * 1024)

typedef struct nbd_handle NbdHandle;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NbdHandle, nbd_close)

/* "nbd_aio_connect_unix: connect: No such file or directory": the call is nobody's concern. */
static const char *nbd_error_text(void)
{
    const char *text = nbd_get_error();
    const char *colon = text ? strstr(text, ": ") : NULL;

    return colon && g_str_has_prefix(text, "nbd_") ? colon + 2 : text ? text : "unknown error";
}

static bool connect_failed(const NbdClient *c, GError **error)
{
    int err = nbd_get_errno();
    const char *text = nbd_error_text();

    if (err != 0 && !strstr(text, "handshake") && !strstr(text, "server")) {
        text = g_strerror(err);
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "Failed to connect to '%s': %s", c->name,
                text);
    return false;
}

static bool finish_handshake(const NbdClient *c, NbdHandle *nbd, GError **error)
{
    gint64 end = g_get_monotonic_time() + CONNECT_US;

    while (!nbd_aio_is_ready(nbd)) {
        gint64 left = end - g_get_monotonic_time();

        if (left <= 0) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                        "Failed to connect to '%s': no answer", c->name);
            return false;
        }
        if (nbd_aio_is_dead(nbd) || nbd_aio_is_closed(nbd) ||
            nbd_poll(nbd, (int)(left / 1000 + 1)) < 0) {
            return connect_failed(c, error);
        }
    }
    return true;
}

/*
 * No block sizes are asked for: a server that knows of them takes any request then, and copies
 * where that has to be.
 */
static NbdHandle *handle_new(const NbdClient *c)
{
    g_autoptr(NbdHandle) nbd = nbd_create();

    if (!nbd || nbd_set_export_name(nbd, c->export) < 0 ||
        nbd_set_request_block_size(nbd, false) < 0 || nbd_set_pread_initialize(nbd, false) < 0) {
        return NULL;
    }
    return g_steal_pointer(&nbd);
}

/*
 * A host that is gone says nothing: it is asked, so that what we wait for, and do not send, ends,
 * too. Not of a unix socket, where none of this is known.
 */
static void notice_silence(NbdHandle *nbd)
{
    static const struct {
        int level;
        int option;
        int value;
    } options[] = {
        { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, SILENCE_S / 2 },
        { IPPROTO_TCP, TCP_KEEPINTVL, SILENCE_S / 8 },
        { IPPROTO_TCP, TCP_KEEPCNT, 4 },
        { IPPROTO_TCP, TCP_USER_TIMEOUT, SILENCE_S * 1000 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        (void)setsockopt(nbd_aio_get_fd(nbd), options[i].level, options[i].option,
                         &options[i].value, sizeof(options[i].value));
    }
}

NbdHandle *nbd_client_connect(const NbdClient *c, GError **error)
{
    g_autoptr(NbdHandle) nbd = handle_new(c);
    int r = -1;

    if (nbd) {
        r = c->path ? nbd_aio_connect_unix(nbd, c->path)
                    : nbd_aio_connect_tcp(nbd, c->host, c->port);
    }
    if (r < 0) {
        connect_failed(c, error);
        return NULL;
    }
    if (!finish_handshake(c, nbd, error)) {
        return NULL;
    }
    notice_silence(nbd);
    return g_steal_pointer(&nbd);
}

static uint32_t size_or(int64_t said, uint32_t other)
{
    return said > 0 ? (uint32_t)MIN(said, BYTES_DEFAULT) : other;
}

/* One that takes larger blocks than ours only, has no use for our requests. */
static bool client_ask(NbdClient *c, NbdHandle *nbd, GError **error)
{
    int64_t bytes = nbd_get_size(nbd);
    int64_t least = nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM);

    if (bytes < 0 || least > BLOCK_SECTOR) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, bytes < 0
                    ? "'%s': the server does not say how long the image is"
                    : "'%s': the server takes no blocks of 512 bytes", c->name);
        return false;
    }
    c->info = (NbdExport){
        .bytes = (uint64_t)bytes,
        .preferred = size_or(nbd_get_block_size(nbd, LIBNBD_SIZE_PREFERRED), BLOCK_DEFAULT),
        .max = size_or(nbd_get_block_size(nbd, LIBNBD_SIZE_MAXIMUM), BYTES_DEFAULT),
        .read_only = nbd_is_read_only(nbd) == 1,
        .can_flush = nbd_can_flush(nbd) == 1,
        .can_trim = nbd_can_trim(nbd) == 1,
        .multi_conn = nbd_can_multi_conn(nbd) == 1,
    };
    if ((c->info.preferred & (c->info.preferred - 1)) != 0) { /* the protocol has no such one */
        c->info.preferred = BLOCK_DEFAULT;
    }
    c->info.preferred = MIN(c->info.preferred, PREFERRED_MAX);
    c->info.max = MAX(c->info.max / BLOCK_DEFAULT * BLOCK_DEFAULT, BLOCK_DEFAULT);
    return true;
}

/* --- connections --- */

static NbdConn *conn_new(NbdHandle *nbd, const NbdExport *info)
{
    size_t size = NBD_BOUNCES * (size_t)NBD_BOUNCE_BYTES;
    /* takes no memory before it is used */
    void *buffers = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    NbdConn *conn;

    if (buffers == MAP_FAILED) {
        return NULL;
    }
    conn = g_new0(NbdConn, 1);
    conn->nbd = nbd;
    conn->info = info;
    conn->source = (IoSource){ .fd = nbd_aio_get_fd(nbd), .ready = nbd_conn_ready };
    conn->task = (IoTask){ .run = nbd_conn_task };
    conn->buffers = buffers;
    conn->free = (1u << NBD_BOUNCES) - 1;
    return conn;
}

static void conn_free(gpointer opaque)
{
    NbdConn *conn = opaque;

    g_assert(!conn->thread);
    if (conn->nbd) {
        (void)nbd_aio_disconnect(conn->nbd, 0);
    }
    nbd_close(conn->nbd);
    munmap(conn->buffers, NBD_BOUNCES * (size_t)NBD_BOUNCE_BYTES);
    g_free(conn);
}

/* The other end is there, as far as is known without asking it. */
static bool conn_alive(const NbdConn *conn)
{
    struct pollfd p = { .fd = conn->source.fd, .events = POLLRDHUP };

    return !__atomic_load_n(&conn->dead, __ATOMIC_RELAXED) && poll(&p, 1, 0) == 0;
}

static void conn_enter(void *opaque)
{
    nbd_conn_enter(opaque);
}

/* It is in @t, for requests to @node. */
static void conn_attach(NbdConn *conn, BlockNode *node, IoThread *t)
{
    conn->node = node;
    conn->thread = t;
    io_thread_call(t, conn_enter, conn);
}

static void conn_leave(void *opaque)
{
    NbdConn *conn = opaque;

    g_assert(nbd_conn_is_idle(conn) && !conn->waiting.first);
    nbd_conn_leave(conn);
}

static void conn_detach(NbdConn *conn)
{
    io_thread_call(conn->thread, conn_leave, conn);
    conn->thread = NULL;
    conn->node = NULL;
}

static void conn_nothing(void *opaque)
{
}

/* The thread has done what it was told before. */
static void conn_sync(NbdConn *conn)
{
    io_thread_call(conn->thread, conn_nothing, NULL);
}

/* Has @nbd in any case. */
static bool client_add(NbdClient *c, NbdHandle *nbd, GError **error)
{
    NbdConn *conn = conn_new(nbd, &c->info);

    if (!conn) {
        nbd_close(nbd);
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOMEM, "Failed to connect to '%s': %s",
                    c->name, g_strerror(ENOMEM));
        return false;
    }
    g_ptr_array_add(c->conns, conn);
    g_ptr_array_add(c->idle, conn);
    return true;
}

NbdClient *nbd_client_new(const BlockServer *server, const char *name, GError **error)
{
    g_autoptr(NbdClient) c = g_new0(NbdClient, 1);
    g_autoptr(NbdHandle) nbd = NULL;

    c->refs = 1;
    c->name = g_strdup(name);
    c->path = g_strdup(server->path);
    c->host = g_strdup(server->host);
    c->port = g_strdup(server->port);
    c->export = g_strdup(server->export);
    c->conns = g_ptr_array_new_with_free_func(conn_free);
    c->idle = g_ptr_array_new();
    nbd = nbd_client_connect(c, error);
    if (!nbd || !client_ask(c, nbd, error) || !client_add(c, g_steal_pointer(&nbd), error)) {
        return NULL;
    }
    return g_steal_pointer(&c);
}

NbdClient *nbd_client_ref(NbdClient *c)
{
    c->refs++;
    return c;
}

void nbd_client_unref(NbdClient *c)
{
    if (!c || --c->refs > 0) {
        return;
    }
    g_ptr_array_free(c->idle, TRUE);
    g_ptr_array_free(c->conns, TRUE);
    g_free(c->name);
    g_free(c->path);
    g_free(c->host);
    g_free(c->port);
    g_free(c->export);
    g_free(c);
}

/* --- for queues --- */

/*
 * A server that was started again since is found out here: the connections to the one before have
 * ended by the time that there is a new one.
 */
static bool client_alive(NbdClient *c, BlockNode *node, GError **error)
{
    for (guint i = 0; i < c->conns->len; i++) {
        c->lost |= !conn_alive(g_ptr_array_index(c->conns, i));
    }
    if (c->lost) {
        block_notice_lost(node->notice);
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "The connection to '%s' is lost",
                    c->name);
    }
    return !c->lost;
}

/* The one of all queues: its thread is none of theirs, as each of them may be the first to go. */
static bool client_share(NbdClient *c, BlockNode *node, GError **error)
{
    if (!c->thread) {
        c->thread = io_thread_new("nbd", error);
        if (!c->thread) {
            return false;
        }
        c->shared = g_ptr_array_index(c->conns, 0);
        conn_attach(c->shared, node, c->thread);
    }
    c->sharers++;
    return true;
}

/* The last of the idle ones, which may be a new one. */
static NbdConn *client_find_idle(NbdClient *c, GError **error)
{
    if (c->idle->len == 0) {
        NbdHandle *nbd = nbd_client_connect(c, error);

        if (!nbd || !client_add(c, nbd, error)) {
            return NULL;
        }
    }
    return g_ptr_array_index(c->idle, c->idle->len - 1);
}

NbdConn *nbd_client_take(NbdClient *c, BlockNode *node, IoThread *t, GError **error)
{
    NbdConn *conn;

    if (!c->info.multi_conn) {
        return client_alive(c, node, error) && client_share(c, node, error) ? c->shared : NULL;
    }
    conn = client_find_idle(c, error);
    if (!conn || !client_alive(c, node, error)) {
        return NULL;
    }
    g_ptr_array_set_size(c->idle, (gint)c->idle->len - 1);
    conn_attach(conn, node, t);
    return conn;
}

void nbd_client_give(NbdClient *c, NbdConn *conn)
{
    if (conn != c->shared) {
        conn_detach(conn);
        g_ptr_array_add(c->idle, conn);
    } else if (--c->sharers > 0) {
        conn_sync(conn); /* it may still be on its way back from our queue's last request */
    } else {
        conn_detach(conn);
        g_clear_pointer(&c->thread, io_thread_free);
        c->shared = NULL;
    }
}
