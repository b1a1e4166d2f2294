/*
 * XenStore's nodes, who may do what to them, and transactions.
 *
 * A node has a generation, which no other state of any node ever had. A transaction
 * keeps a reference to each node it looked at, copies those it changes, and remembers
 * the generations; it can be committed if all of them are still the same. Nodes
 * are in a table by path: a node lists its children's names only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_STORE_TREE_H
#define XENEMU_STORE_TREE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum StorePermBits {
    STORE_READ = 1,
    STORE_WRITE = 2,
    STORE_OWNER = 4,
} StorePermBits;

typedef struct StorePerm {
    uint16_t domid;
    uint8_t bits;
} StorePerm;

typedef struct StoreNode {
    unsigned refs; /* more than 1: a transaction looks at it, it does not change any more */
    uint64_t generation;
    uint8_t *value;
    size_t len;
    StorePerm *perms; /* the first one: the owner, and what all others may */
    unsigned n_perms;
    GPtrArray *children; /* names */
} StoreNode;

typedef struct StoreTree StoreTree;
typedef struct StoreTx StoreTx;

StoreTree *store_tree_new(void);
void store_tree_free(StoreTree *t);

StoreTx *store_tx_new(StoreTree *t);
void store_tx_free(StoreTx *tx);

/* One change, as watches want to know it. */
typedef void StoreChanged(void *opaque, const char *path, bool exact);

/*
 * 0, EAGAIN: somebody else changed what it looked at, or ENOSPC: @domid would have too
 * many nodes. Then @changed is called for each node that the transaction changed.
 * The transaction stays the caller's to free.
 */
int store_tx_commit(StoreTx *tx, uint16_t domid, StoreChanged *changed, void *opaque);
/* Remembers that watches of @path want to know, at commit. */
void store_tx_touch(StoreTx *tx, const char *path, bool exact);

/*
 * In all of the following @tx NULL means: now. The node, read-only and not for long.
 * NULL: there is none, or (errno is ENOSPC, not ENOENT) the transaction is too large.
 */
const StoreNode *store_tree_get(StoreTree *t, StoreTx *tx, const char *path);

/* What @domid may do to it. */
unsigned store_node_allows(const StoreNode *n, uint16_t domid);

/* With @n_perms and a value of @len bytes, it would be larger than @domid may write one. */
bool store_node_too_large(const StoreNode *n, uint16_t domid, unsigned n_perms, size_t len);

/* 0, ENOENT, EACCES or ENOSPC; and the node. Says no more than @domid may know. */
int store_tree_access(StoreTree *t, StoreTx *tx, const char *path, uint16_t domid, unsigned bits,
                      const StoreNode **ret);

/* The node exists. */
void store_tree_set_value(StoreTree *t, StoreTx *tx, const char *path, const void *value,
                          size_t len);
void store_tree_set_perms(StoreTree *t, StoreTx *tx, const char *path, const StorePerm *perms,
                          unsigned n);
/*
 * Makes @path and its missing parents, for @domid, with the perms of what is above them.
 * It is to get a value of @len bytes. 0 or ENOSPC (over @domid's quota), and then nothing
 * was made. Rights were checked.
 */
int store_tree_create(StoreTree *t, StoreTx *tx, const char *path, uint16_t domid, size_t len);
/* Removes it and what is below. @changed: for the nodes below first, exact, then itself. */
void store_tree_remove(StoreTree *t, StoreTx *tx, const char *path, StoreChanged *changed,
                       void *opaque);

/* "/a/b" of "/a/b/c", "/" of "/a"; free it. */
char *store_path_parent(const char *path);

#endif
