/*
 * Connections that make place for others while requests wait: QEMU does not let an image have
 * another length as long as it is exported. Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <poll.h>

#include "nbd.h"

#define HOLD_US (5 * G_USEC_PER_SEC) /* that requests under way may take */

/* --- in the thread of a connection --- */

static void conn_hold(void *opaque)
{
    nbd_conn_set_held(opaque, true);
}

static void conn_release(void *opaque)
{
    nbd_conn_set_held(opaque, false);
}

static void conn_out(void *opaque)
{
    nbd_conn_leave(opaque);
}

static void conn_in(void *opaque)
{
    NbdConn *conn = opaque;

    if (!conn->dead) {
        nbd_conn_enter(conn);
    }
    nbd_conn_set_held(conn, false);
}

typedef struct Look {
    const NbdConn *conn;
    bool idle;
} Look;

static void conn_look(void *opaque)
{
    Look *l = opaque;

    l->idle = nbd_conn_is_idle(l->conn);
}

/* --- all of them --- */

static void for_each_in_thread(const NbdClient *c, void (*fn)(void *opaque))
{
    for (guint i = 0; i < c->conns->len; i++) {
        NbdConn *conn = g_ptr_array_index(c->conns, i);

        if (conn->thread) {
            io_thread_call(conn->thread, fn, conn);
        }
    }
}

static bool wait_until_idle(const NbdConn *conn, gint64 end)
{
    Look l = { .conn = conn };

    for (;;) {
        io_thread_call(conn->thread, conn_look, &l);
        if (l.idle || g_get_monotonic_time() >= end) {
            return l.idle;
        }
        (void)poll(NULL, 0, 1);
    }
}

static bool all_idle(const NbdClient *c)
{
    gint64 end = g_get_monotonic_time() + HOLD_US;

    for (guint i = 0; i < c->conns->len; i++) {
        const NbdConn *conn = g_ptr_array_index(c->conns, i);

        if (conn->thread && !wait_until_idle(conn, end)) {
            return false;
        }
    }
    return true;
}

bool nbd_client_hold(NbdClient *c, GError **error)
{
    for_each_in_thread(c, conn_hold);
    if (!all_idle(c)) {
        for_each_in_thread(c, conn_release);
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN, "'%s': requests do not end", c->name);
        return false;
    }
    for_each_in_thread(c, conn_out);
    for (guint i = 0; i < c->conns->len; i++) {
        NbdConn *conn = g_ptr_array_index(c->conns, i);

        nbd_close(g_steal_pointer(&conn->nbd));
        conn->source.fd = -1;
    }
    return true;
}

static bool conn_connect(NbdClient *c, NbdConn *conn, GError **error)
{
    int64_t bytes;

    if (c->lost) {
        return false;
    }
    conn->nbd = nbd_client_connect(c, error);
    bytes = conn->nbd ? nbd_get_size(conn->nbd) : -1;
    if (bytes < 0) {
        return false;
    }
    conn->source.fd = nbd_aio_get_fd(conn->nbd);
    c->info.bytes = (uint64_t)bytes;
    return true;
}

bool nbd_client_go_on(NbdClient *c, GError **error)
{
    for (guint i = 0; i < c->conns->len; i++) {
        NbdConn *conn = g_ptr_array_index(c->conns, i);

        if (!conn_connect(c, conn, error)) {
            c->lost = true;
            __atomic_store_n(&conn->dead, true, __ATOMIC_RELAXED);
            if (conn->node) {
                block_notice_lost(conn->node->notice);
            }
        }
    }
    for_each_in_thread(c, conn_in);
    return !c->lost;
}
