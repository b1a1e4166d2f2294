/*
 * XenStore's connections, requests and watches, as its files share them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_STORE_CONN_H
#define XENEMU_STORE_CONN_H

#include <glib.h>

#include "store-tree.h"
#include "store.h"

#include <xen/io/xs_wire.h>

typedef struct StoreWatch StoreWatch;

struct Store {
    StoreTree *tree;
    GHashTable *introduced; /* domids */
    GPtrArray *watches;     /* of all connections */
    GSList *conns;
};

struct StoreConn {
    Store *store;
    uint16_t domid;
    void (*output)(void *opaque);
    void *opaque;
    struct xsd_sockmsg header;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
    size_t have;       /* bytes of header and payload */
    GByteArray *out;
    size_t out_sent;
    bool broken;
    GHashTable *txs;   /* id to StoreTx */
    uint32_t last_tx;
    unsigned n_watches;
};

typedef struct StoreRequest {
    uint32_t type;
    uint32_t id;
    uint32_t tx_id;
    StoreTx *tx;
    const char *data; /* a NUL behind it, which is not counted */
    size_t len;
} StoreRequest;

/* store-wire.c */
/* What a domain has, in all its connections: xenstored's quotas are for domains. */
unsigned store_domain_txs(const Store *s, uint16_t domid);
unsigned store_domain_watches(const Store *s, uint16_t domid);
void store_send(StoreConn *c, uint32_t type, uint32_t id, uint32_t tx_id, const void *data,
                size_t len);
void store_reply(StoreConn *c, const StoreRequest *r, const void *data, size_t len);
void store_reply_string(StoreConn *c, const StoreRequest *r, const char *s); /* with its NUL */
void store_reply_ok(StoreConn *c, const StoreRequest *r);

/* store-ops.c: answers one request. 0, or what to tell as an error. */
int store_serve(StoreConn *c, const StoreRequest *r);

/* store-path.c: the absolute path that @c means, or NULL: it is not a path. Free it. */
char *store_path_canonical(const StoreConn *c, const char *name, bool watch);
/* @path is @parent or below it. */
bool store_path_is_child(const char *path, const char *parent);

/* store-watch.c */
int store_watch_add(StoreConn *c, const char *name, const char *token);
int store_watch_remove(StoreConn *c, const char *name, const char *token);
void store_watch_remove_all(StoreConn *c);
/* Tells at once that a watch was set. */
void store_watch_first(StoreConn *c, const char *name, const char *token);
/* Tells all that watch @path, or something above it unless @exact. */
void store_watch_fire(Store *s, const char *path, bool exact);

#endif
