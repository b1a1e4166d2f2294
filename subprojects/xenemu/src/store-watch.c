/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store-conn.h"

#include <errno.h>
#include <string.h>

#include "store-limits.h"

struct StoreWatch {
    StoreConn *conn;
    char *path;   /* absolute */
    char *token;
    size_t strip; /* bytes of an event's path that the client did not spell */
};

static void watch_free(void *opaque)
{
    StoreWatch *w = opaque;

    w->conn->n_watches--;
    g_free(w->path);
    g_free(w->token);
    g_free(w);
}

static void watch_send(StoreConn *c, const char *path, const char *token)
{
    size_t path_len = strlen(path) + 1;
    size_t token_len = strlen(token) + 1;
    char event[XENSTORE_PAYLOAD_MAX];

    /* What does not fit, no client could take. */
    if (path_len + token_len <= sizeof(event)) {
        memcpy(event, path, path_len);
        memcpy(event + path_len, token, token_len);
        store_send(c, XS_WATCH_EVENT, 0, 0, event, path_len + token_len);
    }
}

static bool watch_find(const StoreConn *c, const char *path, const char *token, guint *ret)
{
    GPtrArray *all = c->store->watches;

    for (guint i = 0; i < all->len; i++) {
        const StoreWatch *w = all->pdata[i];

        if (w->conn == c && strcmp(w->path, path) == 0 && strcmp(w->token, token) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

int store_watch_add(StoreConn *c, const char *name, const char *token)
{
    g_autofree char *path = store_path_canonical(c, name, true);
    StoreWatch *w;
    guint i;

    if (!path) {
        return EINVAL;
    }
    if (watch_find(c, path, token, &i)) {
        return EEXIST;
    }
    if (c->domid != 0 && store_domain_watches(c->store, c->domid) >= STORE_MAX_WATCHES) {
        return E2BIG;
    }
    w = g_new0(StoreWatch, 1);
    w->conn = c;
    w->strip = strlen(path) - strlen(name);
    w->path = g_steal_pointer(&path);
    w->token = g_strdup(token);
    c->n_watches++;
    g_ptr_array_add(c->store->watches, w);
    return 0;
}

void store_watch_first(StoreConn *c, const char *name, const char *token)
{
    watch_send(c, name, token);
}

int store_watch_remove(StoreConn *c, const char *name, const char *token)
{
    g_autofree char *path = store_path_canonical(c, name, true);
    guint i;

    if (!path) {
        return EINVAL;
    }
    if (!watch_find(c, path, token, &i)) {
        return ENOENT;
    }
    watch_free(c->store->watches->pdata[i]);
    g_ptr_array_remove_index(c->store->watches, i);
    return 0;
}

void store_watch_remove_all(StoreConn *c)
{
    GPtrArray *all = c->store->watches;

    for (guint i = all->len; i > 0; i--) {
        StoreWatch *w = all->pdata[i - 1];

        if (w->conn == c) {
            watch_free(w);
            g_ptr_array_remove_index(all, i - 1);
        }
    }
}

/* Those who may read the node, or what is above it, may know that it changed. */
static bool watch_permitted(const StoreConn *c, const char *path)
{
    g_autofree char *parent = NULL;
    const StoreNode *n;

    if (c->domid == 0) {
        return true;
    }
    if (path[0] == '@') {
        return false;
    }
    n = store_tree_get(c->store->tree, NULL, path);
    if (n && (store_node_allows(n, c->domid) & STORE_READ)) {
        return true;
    }
    parent = store_path_parent(path);
    n = store_tree_get(c->store->tree, NULL, parent);
    return n && (store_node_allows(n, c->domid) & STORE_READ);
}

void store_watch_fire(Store *s, const char *path, bool exact)
{
    for (guint i = 0; i < s->watches->len; i++) {
        const StoreWatch *w = s->watches->pdata[i];

        if ((exact ? strcmp(path, w->path) == 0 : store_path_is_child(path, w->path)) &&
            watch_permitted(w->conn, path)) {
            watch_send(w->conn, path + w->strip, w->token);
        }
    }
}
