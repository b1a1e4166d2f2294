/*
 * XenStore's connections: requests out of bytes, answers and events into bytes
 * (xen/io/xs_wire.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "store-conn.h"

#include <errno.h>
#include <string.h>

#include "store-limits.h"

/* --- out --- */

static size_t output_waiting(const StoreConn *c)
{
    return c->out->len - c->out_sent;
}

void store_send(StoreConn *c, uint32_t type, uint32_t id, uint32_t tx_id, const void *data,
                size_t len)
{
    struct xsd_sockmsg header = { .type = type, .req_id = id, .tx_id = tx_id,
                                  .len = (uint32_t)len };
    size_t max = c->domid == 0 ? STORE_OUTPUT_MAX_DOM0 : STORE_OUTPUT_MAX;

    if (c->broken) {
        return;
    }
    if (output_waiting(c) + sizeof(header) + len > max) {
        c->broken = true;
    } else {
        g_byte_array_append(c->out, (const guint8 *)&header, sizeof(header));
        g_byte_array_append(c->out, data, (guint)len);
    }
    c->output(c->opaque);
}

void store_reply(StoreConn *c, const StoreRequest *r, const void *data, size_t len)
{
    store_send(c, r->type, r->id, r->tx_id, data, len);
}

void store_reply_string(StoreConn *c, const StoreRequest *r, const char *s)
{
    store_reply(c, r, s, strlen(s) + 1);
}

void store_reply_ok(StoreConn *c, const StoreRequest *r)
{
    store_reply_string(c, r, "OK");
}

static void store_reply_error(StoreConn *c, const StoreRequest *r, int err)
{
    const char *name = "EINVAL";

    for (size_t i = 0; i < G_N_ELEMENTS(xsd_errors); i++) {
        if (xsd_errors[i].errnum == err) {
            name = xsd_errors[i].errstring;
        }
    }
    store_send(c, XS_ERROR, r->id, r->tx_id, name, strlen(name) + 1);
}

const uint8_t *store_conn_output(const StoreConn *c, size_t *ret_len)
{
    *ret_len = output_waiting(c);
    return *ret_len > 0 ? c->out->data + c->out_sent : NULL;
}

void store_conn_sent(StoreConn *c, size_t n)
{
    c->out_sent += n;
    if (c->out_sent == c->out->len) {
        g_byte_array_set_size(c->out, 0);
        c->out_sent = 0;
    } else if (c->out_sent > STORE_OUTPUT_PAUSE) {
        g_byte_array_remove_range(c->out, 0, (guint)c->out_sent);
        c->out_sent = 0;
    }
}

bool store_conn_is_broken(const StoreConn *c)
{
    return c->broken;
}

/* --- in --- */

uint8_t *store_conn_want(StoreConn *c, size_t *ret_len)
{
    size_t header = sizeof(c->header);

    if (output_waiting(c) >= STORE_OUTPUT_PAUSE) {
        *ret_len = 0;
        return NULL;
    }
    if (c->have < header) {
        *ret_len = header - c->have;
        return (uint8_t *)&c->header + c->have;
    }
    *ret_len = header + c->header.len - c->have;
    return (uint8_t *)c->payload + (c->have - header);
}

static void store_conn_request(StoreConn *c)
{
    StoreRequest r = { .type = c->header.type, .id = c->header.req_id,
                       .tx_id = c->header.tx_id, .data = c->payload, .len = c->header.len };
    int err = 0;

    c->payload[r.len] = '\0';
    if (r.tx_id != 0) {
        r.tx = g_hash_table_lookup(c->txs, GUINT_TO_POINTER(r.tx_id));
        err = r.tx ? 0 : ENOENT;
    }
    if (err == 0) {
        err = store_serve(c, &r);
    }
    if (err != 0) {
        store_reply_error(c, &r, err);
    }
}

bool store_conn_got(StoreConn *c, size_t n)
{
    c->have += n;
    if (c->have < sizeof(c->header)) {
        return true;
    }
    if (c->header.len > XENSTORE_PAYLOAD_MAX) {
        return false;
    }
    if (c->have == sizeof(c->header) + c->header.len) {
        c->have = 0;
        store_conn_request(c);
    }
    return !c->broken;
}

/* --- connections and the store --- */

StoreConn *store_conn_new(Store *s, uint16_t domid, void (*output)(void *opaque), void *opaque)
{
    StoreConn *c = g_new0(StoreConn, 1);

    c->store = s;
    c->domid = domid;
    c->output = output;
    c->opaque = opaque;
    c->out = g_byte_array_new();
    c->txs = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)store_tx_free);
    s->conns = g_slist_prepend(s->conns, c);
    return c;
}

void store_conn_free(StoreConn *c)
{
    c->store->conns = g_slist_remove(c->store->conns, c);
    store_watch_remove_all(c);
    g_hash_table_destroy(c->txs);
    g_byte_array_free(c->out, TRUE);
    g_free(c);
}

unsigned store_domain_txs(const Store *s, uint16_t domid)
{
    unsigned n = 0;

    for (const GSList *l = s->conns; l; l = l->next) {
        const StoreConn *c = l->data;

        n += c->domid == domid ? g_hash_table_size(c->txs) : 0;
    }
    return n;
}

unsigned store_domain_watches(const Store *s, uint16_t domid)
{
    unsigned n = 0;

    for (const GSList *l = s->conns; l; l = l->next) {
        const StoreConn *c = l->data;

        n += c->domid == domid ? c->n_watches : 0;
    }
    return n;
}

Store *store_new(void)
{
    Store *s = g_new0(Store, 1);

    s->tree = store_tree_new();
    s->introduced = g_hash_table_new(NULL, NULL);
    s->watches = g_ptr_array_new();
    return s;
}

void store_free(Store *s)
{
    g_hash_table_destroy(s->introduced);
    g_ptr_array_free(s->watches, TRUE);
    store_tree_free(s->tree);
    g_free(s);
}

void store_introduce(Store *s, uint16_t domid)
{
    g_hash_table_add(s->introduced, GUINT_TO_POINTER(domid));
    store_watch_fire(s, "@introduceDomain", false);
}

void store_release(Store *s, uint16_t domid)
{
    g_hash_table_remove(s->introduced, GUINT_TO_POINTER(domid));
    store_watch_fire(s, "@releaseDomain", false);
}

static void store_changed(void *opaque, const char *path, bool exact)
{
    store_watch_fire(opaque, path, exact);
}

bool store_exists(Store *s, const char *path)
{
    return store_tree_get(s->tree, NULL, path) != NULL;
}

void store_set(Store *s, const char *path, const char *value)
{
    store_tree_create(s->tree, NULL, path, 0, strlen(value));
    store_tree_set_value(s->tree, NULL, path, value, strlen(value));
    store_watch_fire(s, path, false);
}

void store_set_access(Store *s, const char *path, uint16_t owner, uint16_t reader)
{
    const StorePerm perms[2] = { { owner, 0 }, { reader, STORE_READ } };

    store_tree_set_perms(s->tree, NULL, path, perms, reader ? 2 : 1);
    store_watch_fire(s, path, false);
}

void store_remove(Store *s, const char *path)
{
    if (store_exists(s, path)) {
        store_tree_remove(s->tree, NULL, path, store_changed, s);
    }
}
