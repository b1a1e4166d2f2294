/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store-tree.h"

#include <errno.h>
#include <string.h>

#include "store-limits.h"

struct StoreTree {
    GHashTable *nodes; /* path to StoreNode */
    GHashTable *owned; /* domid to number of nodes */
    uint64_t generation;
};

/* What a transaction knows of one path. */
typedef struct TxEntry {
    char *path;
    uint64_t generation; /* when first looked at; 0: there was no node */
    StoreNode *node;     /* a reference; NULL: none, or removed */
    bool modified;
    bool touched;
    bool exact;
} TxEntry;

struct StoreTx {
    StoreTree *tree;
    GHashTable *entries; /* path to TxEntry */
    GPtrArray *order;    /* of those touched */
    GHashTable *owned;   /* domid to change of their number */
};

/* --- nodes --- */

static StoreNode *node_new(const StorePerm *perms, unsigned n_perms)
{
    StoreNode *n = g_new0(StoreNode, 1);

    n->refs = 1;
    n->perms = g_memdup2(perms, n_perms * sizeof(*perms));
    n->n_perms = n_perms;
    n->children = g_ptr_array_new_with_free_func(g_free);
    return n;
}

static void node_unref(void *opaque)
{
    StoreNode *n = opaque;

    if (n && --n->refs == 0) {
        g_free(n->value);
        g_free(n->perms);
        g_ptr_array_free(n->children, TRUE);
        g_free(n);
    }
}

static StoreNode *node_copy(const StoreNode *n)
{
    StoreNode *copy = node_new(n->perms, n->n_perms);

    copy->generation = n->generation;
    copy->value = g_memdup2(n->value, n->len);
    copy->len = n->len;
    for (guint i = 0; i < n->children->len; i++) {
        g_ptr_array_add(copy->children, g_strdup(n->children->pdata[i]));
    }
    return copy;
}

static bool node_find_child(const StoreNode *n, const char *name, guint *ret)
{
    for (guint i = 0; i < n->children->len; i++) {
        if (strcmp(n->children->pdata[i], name) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static void node_remove_child(StoreNode *n, const char *name)
{
    guint i;

    if (node_find_child(n, name, &i)) {
        g_ptr_array_remove_index(n->children, i);
    }
}

unsigned store_node_allows(const StoreNode *n, uint16_t domid)
{
    if (domid == 0 || n->perms[0].domid == domid) {
        return STORE_READ | STORE_WRITE | STORE_OWNER;
    }
    for (unsigned i = 1; i < n->n_perms; i++) {
        if (n->perms[i].domid == domid) {
            return n->perms[i].bits;
        }
    }
    return n->perms[0].bits;
}

char *store_path_parent(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == path ? g_strdup("/") : g_strndup(path, (gsize)(slash - path));
}

static const char *path_leaf(const char *path)
{
    return strrchr(path, '/') + 1;
}

/* --- how many nodes a domain has --- */

static int owned_get(GHashTable *owned, uint16_t domid)
{
    return GPOINTER_TO_INT(g_hash_table_lookup(owned, GUINT_TO_POINTER(domid)));
}

static void owned_add(GHashTable *owned, uint16_t domid, int n)
{
    n += owned_get(owned, domid);
    if (n == 0) {
        g_hash_table_remove(owned, GUINT_TO_POINTER(domid));
    } else {
        g_hash_table_insert(owned, GUINT_TO_POINTER(domid), GINT_TO_POINTER(n));
    }
}

static void account(StoreTree *t, StoreTx *tx, const StoreNode *n, int change)
{
    owned_add(tx ? tx->owned : t->owned, n->perms[0].domid, change);
}

static bool over_quota(StoreTree *t, StoreTx *tx, uint16_t domid, int more)
{
    return domid != 0 && owned_get(t->owned, domid) + (tx ? owned_get(tx->owned, domid) : 0) +
                                 more > STORE_MAX_NODES;
}

/* --- how large a node is --- */

static bool size_over_quota(uint16_t domid, unsigned n_perms, size_t len, size_t names)
{
    return domid != 0 && STORE_NODE_HEADER + n_perms * STORE_NODE_PERM + len + names >=
                                 STORE_MAX_NODE_SIZE;
}

static size_t node_names(const StoreNode *n)
{
    size_t size = 0;

    for (guint i = 0; i < n->children->len; i++) {
        size += strlen(n->children->pdata[i]) + 1;
    }
    return size;
}

bool store_node_too_large(const StoreNode *n, uint16_t domid, unsigned n_perms, size_t len)
{
    return size_over_quota(domid, n_perms, len, node_names(n));
}

/* Below @n, those @missing are to be made, the lowest first, which gets @len bytes. */
static bool missing_too_large(const StoreNode *n, const GPtrArray *missing, uint16_t domid,
                              size_t len)
{
    size_t above_len = n->len;
    size_t above_names = node_names(n);

    for (guint i = missing->len; i > 0; i--) {
        above_names += strlen(path_leaf(missing->pdata[i - 1])) + 1;
        if (size_over_quota(domid, n->n_perms, above_len, above_names)) {
            return true;
        }
        above_len = above_names = 0;
    }
    return size_over_quota(domid, n->n_perms, len, 0);
}

/* --- looking, now or in a transaction --- */

StoreTree *store_tree_new(void)
{
    const StorePerm dom0 = { 0, 0 };
    StoreTree *t = g_new0(StoreTree, 1);
    StoreNode *root = node_new(&dom0, 1);

    t->nodes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, node_unref);
    t->owned = g_hash_table_new(NULL, NULL);
    root->generation = ++t->generation;
    g_hash_table_insert(t->nodes, g_strdup("/"), root);
    owned_add(t->owned, 0, 1);
    return t;
}

void store_tree_free(StoreTree *t)
{
    g_hash_table_destroy(t->nodes);
    g_hash_table_destroy(t->owned);
    g_free(t);
}

static void tx_entry_free(void *opaque)
{
    TxEntry *e = opaque;

    node_unref(e->node);
    g_free(e->path);
    g_free(e);
}

StoreTx *store_tx_new(StoreTree *t)
{
    StoreTx *tx = g_new0(StoreTx, 1);

    tx->tree = t;
    tx->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, tx_entry_free);
    tx->order = g_ptr_array_new();
    tx->owned = g_hash_table_new(NULL, NULL);
    return tx;
}

void store_tx_free(StoreTx *tx)
{
    g_ptr_array_free(tx->order, TRUE);
    g_hash_table_destroy(tx->entries);
    g_hash_table_destroy(tx->owned);
    g_free(tx);
}

/* What the transaction knows of @path from now on. */
static TxEntry *tx_entry(StoreTx *tx, const char *path)
{
    TxEntry *e = g_hash_table_lookup(tx->entries, path);

    if (e) {
        return e;
    }
    e = g_new0(TxEntry, 1);
    e->path = g_strdup(path);
    e->node = g_hash_table_lookup(tx->tree->nodes, path);
    if (e->node) {
        e->node->refs++;
        e->generation = e->node->generation;
    }
    g_hash_table_insert(tx->entries, e->path, e);
    return e;
}

const StoreNode *store_tree_get(StoreTree *t, StoreTx *tx, const char *path)
{
    const StoreNode *n;

    if (tx && g_hash_table_size(tx->entries) >= STORE_MAX_TX_NODES &&
        !g_hash_table_contains(tx->entries, path)) {
        errno = ENOSPC;
        return NULL;
    }
    n = tx ? tx_entry(tx, path)->node : g_hash_table_lookup(t->nodes, path);
    errno = n ? 0 : ENOENT;
    return n;
}

int store_tree_access(StoreTree *t, StoreTx *tx, const char *path, uint16_t domid, unsigned bits,
                      const StoreNode **ret)
{
    g_autofree char *above = g_strdup(path);
    const StoreNode *n = store_tree_get(t, tx, path);

    if (n) {
        *ret = n;
        return (store_node_allows(n, domid) & bits) == bits ? 0 : EACCES;
    }
    /* Whether a node is missing is for those to know who may see the nearest one above it. */
    while (!n) {
        char *parent;

        if (errno != ENOENT) {
            return errno;
        }
        parent = store_path_parent(above);
        g_free(above);
        above = parent;
        n = store_tree_get(t, tx, above);
    }
    return (store_node_allows(n, domid) & bits) == bits ? ENOENT : EACCES;
}

/* --- changing --- */

/*
 * The node to write to: our own copy, if anybody else looks at it. NULL only in a
 * transaction that is lost, as somebody removed it meanwhile.
 */
static StoreNode *node_to_change(StoreTree *t, StoreTx *tx, const char *path)
{
    StoreNode **slot = NULL;
    StoreNode *n;

    if (tx) {
        TxEntry *e = tx_entry(tx, path);

        slot = &e->node;
        e->modified = true;
        n = *slot;
    } else {
        n = g_hash_table_lookup(t->nodes, path);
    }
    if (n && n->refs > 1) {
        n = node_copy(n);
        if (slot) {
            node_unref(*slot);
            *slot = n;
        } else {
            g_hash_table_insert(t->nodes, g_strdup(path), n);
        }
    }
    if (n) {
        n->generation = ++t->generation;
    }
    return n;
}

void store_tree_set_value(StoreTree *t, StoreTx *tx, const char *path, const void *value,
                          size_t len)
{
    StoreNode *n = node_to_change(t, tx, path);

    g_free(n->value);
    n->value = g_memdup2(value, len);
    n->len = len;
}

void store_tree_set_perms(StoreTree *t, StoreTx *tx, const char *path, const StorePerm *perms,
                          unsigned n_perms)
{
    StoreNode *n = node_to_change(t, tx, path);

    account(t, tx, n, -1);
    g_free(n->perms);
    n->perms = g_memdup2(perms, n_perms * sizeof(*perms));
    n->n_perms = n_perms;
    account(t, tx, n, 1);
}

/* Its parent exists, itself does not. */
static void create_one(StoreTree *t, StoreTx *tx, const char *path, uint16_t domid)
{
    g_autofree char *above = store_path_parent(path);
    StoreNode *parent = node_to_change(t, tx, above);
    StoreNode *n = node_new(parent->perms, parent->n_perms);
    guint i;

    /* A guest owns what it makes. */
    if (domid != 0) {
        n->perms[0].domid = domid;
    }
    /* A transaction's copy of the parent may list what was removed behind its back. */
    if (!tx || !node_find_child(parent, path_leaf(path), &i)) {
        g_ptr_array_add(parent->children, g_strdup(path_leaf(path)));
    }
    if (tx) {
        TxEntry *e = tx_entry(tx, path);

        e->modified = true;
        e->node = n;
    } else {
        n->generation = ++t->generation;
        g_hash_table_insert(t->nodes, g_strdup(path), n);
    }
    account(t, tx, n, 1);
}

int store_tree_create(StoreTree *t, StoreTx *tx, const char *path, uint16_t domid, size_t len)
{
    g_autoptr(GPtrArray) missing = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *above = g_strdup(path);
    const StoreNode *n;

    while (!(n = store_tree_get(t, tx, above))) {
        char *parent;

        if (errno != ENOENT) {
            return errno;
        }
        parent = store_path_parent(above);
        g_ptr_array_add(missing, above);
        above = parent;
    }
    if (over_quota(t, tx, domid, (int)missing->len) ||
        missing_too_large(n, missing, domid, len)) {
        return ENOSPC;
    }
    for (guint i = missing->len; i > 0; i--) {
        create_one(t, tx, missing->pdata[i - 1], domid);
    }
    return 0;
}

static void remove_node(StoreTree *t, StoreTx *tx, const char *path)
{
    if (tx) {
        TxEntry *e = tx_entry(tx, path);

        if (!e->node) {
            return; /* never twice, whatever is listed: a guest could end the host */
        }
        account(t, tx, e->node, -1);
        node_unref(e->node);
        e->node = NULL;
        e->modified = true;
    } else {
        account(t, tx, g_hash_table_lookup(t->nodes, path), -1);
        g_hash_table_remove(t->nodes, path);
    }
}

/* @path and what is below, a node before its parent. */
static void collect_subtree(StoreTree *t, StoreTx *tx, const char *path, GPtrArray *paths)
{
    const StoreNode *n = tx ? tx_entry(tx, path)->node : g_hash_table_lookup(t->nodes, path);

    if (!n) {
        return; /* removed behind the transaction's back: it will not be committed */
    }
    for (guint i = 0; i < n->children->len; i++) {
        g_autofree char *child = g_strconcat(path, "/", n->children->pdata[i], NULL);

        collect_subtree(t, tx, child, paths);
    }
    g_ptr_array_add(paths, g_strdup(path));
}

void store_tree_remove(StoreTree *t, StoreTx *tx, const char *path, StoreChanged *changed,
                       void *opaque)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *above = store_path_parent(path);
    StoreNode *parent;

    collect_subtree(t, tx, path, paths);
    /* The rights of watchers are those of what is still there. */
    for (guint i = 0; i < paths->len; i++) {
        changed(opaque, paths->pdata[i], i + 1 < paths->len);
    }
    parent = node_to_change(t, tx, above);
    if (parent) {
        node_remove_child(parent, path_leaf(path));
    }
    for (guint i = 0; i < paths->len; i++) {
        remove_node(t, tx, paths->pdata[i]);
    }
}

/* --- the end of a transaction --- */

void store_tx_touch(StoreTx *tx, const char *path, bool exact)
{
    TxEntry *e = tx_entry(tx, path);

    if (!e->touched) {
        e->touched = true;
        e->exact = exact;
        g_ptr_array_add(tx->order, e);
    } else if (!exact) {
        e->exact = false;
    }
}

static bool tx_conflicts(StoreTx *tx)
{
    GHashTableIter iter;
    gpointer path, value;

    g_hash_table_iter_init(&iter, tx->entries);
    while (g_hash_table_iter_next(&iter, &path, &value)) {
        const StoreNode *now = g_hash_table_lookup(tx->tree->nodes, path);
        const TxEntry *e = value;

        if ((now ? now->generation : 0) != e->generation) {
            return true;
        }
    }
    return false;
}

static void tx_apply(StoreTx *tx)
{
    StoreTree *t = tx->tree;
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, tx->entries);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        TxEntry *e = value;

        if (!e->modified) {
            continue;
        }
        if (!e->node) {
            g_hash_table_remove(t->nodes, e->path);
            continue;
        }
        if (e->node->refs > 1) {
            StoreNode *copy = node_copy(e->node);

            node_unref(e->node);
            e->node = copy;
        }
        e->node->generation = ++t->generation;
        e->node->refs++;
        g_hash_table_insert(t->nodes, g_strdup(e->path), e->node);
    }
    g_hash_table_iter_init(&iter, tx->owned);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        owned_add(t->owned, (uint16_t)GPOINTER_TO_UINT(key), GPOINTER_TO_INT(value));
    }
}

/* What is removed is told while it is still there: who may know depends on its rights. */
static void tx_tell(StoreTx *tx, bool removed, StoreChanged *changed, void *opaque)
{
    for (guint i = 0; i < tx->order->len; i++) {
        const TxEntry *e = tx->order->pdata[i];

        if ((e->node == NULL) == removed) {
            changed(opaque, e->path, e->exact);
        }
    }
}

int store_tx_commit(StoreTx *tx, uint16_t domid, StoreChanged *changed, void *opaque)
{
    if (tx_conflicts(tx)) {
        return EAGAIN;
    }
    if (over_quota(tx->tree, tx, domid, 0) && owned_get(tx->owned, domid) > 0) {
        return ENOSPC;
    }
    tx_tell(tx, true, changed, opaque);
    tx_apply(tx);
    tx_tell(tx, false, changed, opaque);
    return 0;
}
