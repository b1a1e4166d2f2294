/*
 * XenStore with hostile clients: two guests and dom0, who say what the fuzzer likes.
 *
 * The input is a row of pieces: a byte that says who (0 dom0, 1 and 2 guests; with 0x80
 * the rest is raw), then either a request (type, transaction, 16-bit length, payload) or
 * a 16-bit length and bytes as they go over the wire.
 *
 * Afterwards each message to a client must be well formed, and the tree whole.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "store-conn.h"

#define N_CONNS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void output(void *opaque)
{
}

/* False: it would have been closed. */
static bool feed(StoreConn *c, const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t n;
        uint8_t *to = store_conn_want(c, &n);

        if (!to) {
            return true; /* paused */
        }
        n = MIN(n, size);
        memcpy(to, data, n);
        data += n;
        size -= n;
        if (!store_conn_got(c, n)) {
            return false;
        }
    }
    return true;
}

/* What the client gets: whole messages. */
static void drain(StoreConn *c)
{
    struct xsd_sockmsg header;
    const uint8_t *out;
    size_t len;

    out = store_conn_output(c, &len);
    while (len > 0) {
        g_assert_cmpuint(len, >=, sizeof(header));
        memcpy(&header, out, sizeof(header));
        g_assert_cmpuint(header.len, <=, XENSTORE_PAYLOAD_MAX);
        g_assert_cmpuint(header.len + sizeof(header), <=, len);
        store_conn_sent(c, header.len + sizeof(header));
        out = store_conn_output(c, &len);
    }
}

static StoreConn *conn_new(Store *s, int i)
{
    return store_conn_new(s, (uint16_t)i, output, NULL);
}

/* Each child that a node lists is there. */
static void check_tree(Store *s, const char *path)
{
    const StoreNode *n = store_tree_get(s->tree, NULL, path);

    g_assert_nonnull(n);
    for (guint i = 0; i < n->children->len; i++) {
        g_autofree char *child = g_strconcat(path[1] ? path : "", "/",
                                             (char *)n->children->pdata[i], NULL);

        check_tree(s, child);
    }
}

static bool say(StoreConn *c, const uint8_t **data, const uint8_t *end, bool raw)
{
    struct xsd_sockmsg header = { .req_id = 7 };
    const uint8_t *p = *data;
    size_t fixed = raw ? 2 : 4;
    size_t len;

    if ((size_t)(end - p) < fixed) {
        *data = end;
        return true;
    }
    len = (size_t)(p[fixed - 2] | p[fixed - 1] << 8);
    len = MIN(len, (size_t)(end - p) - fixed);
    *data = p + fixed + len;
    if (raw) {
        return feed(c, p + fixed, len);
    }
    header.type = p[0];
    header.tx_id = p[1];
    header.len = (uint32_t)MIN(len, XENSTORE_PAYLOAD_MAX);
    return feed(c, (const uint8_t *)&header, sizeof(header)) && feed(c, p + fixed, header.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;
    Store *s = store_new();
    StoreConn *conns[N_CONNS];

    store_set(s, "/local/domain/1/data", "");
    store_set_access(s, "/local/domain/1/data", 1, 2);
    store_introduce(s, 1);
    for (int i = 0; i < N_CONNS; i++) {
        conns[i] = conn_new(s, i);
    }
    while (data < end) {
        int i = (*data & 0x7f) % N_CONNS;
        bool raw = *data & 0x80;

        data++;
        if (!say(conns[i], &data, end, raw)) {
            store_conn_free(conns[i]);
            conns[i] = conn_new(s, i);
        }
        drain(conns[i]);
    }
    for (int i = 0; i < N_CONNS; i++) {
        drain(conns[i]);
        store_conn_free(conns[i]);
    }
    check_tree(s, "/");
    store_free(s);
    return 0;
}
