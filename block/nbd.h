/*
 * Images behind an NBD server: nbd-client.c has the connections of a node, for the main thread,
 * nbd-conn.c is one of them, nbd.c the driver.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_NBD_H
#define BLOCK_NBD_H

#include <libnbd.h>

#include "block-internal.h"

/* What the server said of the export, at the first connection. */
typedef struct NbdExport {
    uint64_t bytes;
    uint32_t preferred; /* size of a block */
    uint32_t max;       /* bytes of a request */
    bool read_only;
    bool can_flush;     /* else what is written is on the disk */
    bool can_trim;
    bool multi_conn;    /* a flush is one of all connections */
} NbdExport;

#define NBD_BOUNCES      16u /* buffers of a connection */
#define NBD_BOUNCE_BYTES (1u << 20)

typedef struct NbdList {
    BlockRequest *first;
    BlockRequest **end; /* NULL: &first */
} NbdList;

/* One connection: its thread's, once it has one. */
typedef struct NbdConn {
    struct nbd_handle *nbd;
    const NbdExport *info;
    BlockNode *node;
    IoThread *thread;     /* NULL: nobody uses it */
    IoSource source;
    uint32_t events;      /* that source waits for; 0: it is not in the loop, as when dead */
    bool dead;
    bool held;            /* requests wait, nothing else happens: see nbd-switch.c */
    unsigned under_way;   /* with the server */
    NbdList finished;     /* to be told, with req->res */
    NbdList waiting;      /* for a buffer, or while it is held */
    IoTask task;          /* goes through finished */
    bool posted;
    char *buffers;
    unsigned free;        /* a bit for each of them */
} NbdConn;

/* Of nodes over one image: they share it. */
typedef struct NbdClient {
    unsigned refs;
    char *name;         /* of the server, for humans */
    char *path;
    char *host;
    char *port;
    char *export;
    NbdExport info;
    bool lost;          /* a connection ended; no other one is made */
    GPtrArray *conns;   /* all of them */
    GPtrArray *idle;    /* those no queue has */
    NbdConn *shared;    /* the one of all queues, in a thread of its own; NULL: there is none */
    IoThread *thread;
    unsigned sharers;
} NbdClient;

/* --- connections of a client: main thread --- */

/* Connects, which takes a bounded time. NULL: it says why. */
NbdClient *nbd_client_new(const BlockServer *server, const char *name, GError **error);
NbdClient *nbd_client_ref(NbdClient *c);
void nbd_client_unref(NbdClient *c); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NbdClient, nbd_client_unref)

/* A connection for a queue of @node in thread @t. NULL: there is none, or one was lost. */
NbdConn *nbd_client_take(NbdClient *c, BlockNode *node, IoThread *t, GError **error);
/* The queue has nothing under way. */
void nbd_client_give(NbdClient *c, NbdConn *conn);

/* A new one, with its handshake done. NULL: there is none. */
struct nbd_handle *nbd_client_connect(const NbdClient *c, GError **error);

/*
 * For a server that is to let go of the image for a moment: requests are held, those under way are
 * waited for, a bounded time, and the connections are closed. False: all goes on as it was.
 */
bool nbd_client_hold(NbdClient *c, GError **error);
/* Connects again, as often as it was; the export may have another length. False: all is lost. */
bool nbd_client_go_on(NbdClient *c, GError **error);

/* --- one connection: its thread --- */

/* Does @req, which is that of a queue of any thread. Thread of that queue. */
void nbd_conn_submit(NbdConn *conn, BlockRequest *req);
/* For conn->source and conn->task. */
void nbd_conn_ready(IoSource *s, uint32_t events);
bool nbd_conn_task(IoTask *task);
/* Waits for what libnbd wants to know of. */
void nbd_conn_watch(NbdConn *conn);
/* It is in the loop, or not. */
void nbd_conn_enter(NbdConn *conn);
void nbd_conn_leave(NbdConn *conn);
/* Held, or not any more: what waits is started. */
void nbd_conn_set_held(NbdConn *conn, bool held);
/* Nothing is under way, or to be told. */
bool nbd_conn_is_idle(const NbdConn *conn);

/* --- the driver's functions, for nodes whose server is a child of ours, too --- */

/* Of a node that has its client. */
bool nbd_find_limits(BlockNode *node, const BlockConfig *config, GError **error);
void nbd_close_node(BlockNode *node);
int64_t nbd_measure(const BlockNode *node);
bool nbd_queue_init(BlockQueue *q, GError **error);
void nbd_queue_done(BlockQueue *q);
void nbd_submit(BlockQueue *q, BlockRequest *req);

#endif
