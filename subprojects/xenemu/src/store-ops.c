/*
 * What each request does: docs/misc/xenstore.txt, in its order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "store-conn.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "store-limits.h"

/* --- payloads --- */

/* True: exactly one string, with its NUL. */
static bool one_string(const StoreRequest *r)
{
    return r->len > 0 && memchr(r->data, '\0', r->len) == r->data + r->len - 1;
}

/* Splits into exactly @n strings, each with its NUL. */
static bool split_strings(const StoreRequest *r, const char **ret, unsigned n)
{
    const char *p = r->data;
    const char *end = r->data + r->len;

    for (unsigned i = 0; i < n; i++) {
        const char *nul = p < end ? memchr(p, '\0', (size_t)(end - p)) : NULL;

        if (!nul) {
            return false;
        }
        ret[i] = p;
        p = nul + 1;
    }
    return p == end;
}

static bool parse_number(const char *s, uint64_t max, uint64_t *ret)
{
    return g_ascii_string_to_unsigned(s, 10, 0, max, ret, NULL);
}

/* The node that the request's first string names, if @bits are allowed on it. */
static int find_node(StoreConn *c, const StoreRequest *r, unsigned bits, char **ret_path,
                     const StoreNode **ret)
{
    g_autofree char *path = NULL;
    int err;

    if (!memchr(r->data, '\0', r->len)) {
        return EINVAL;
    }
    path = store_path_canonical(c, r->data, false);
    if (!path) {
        return EINVAL;
    }
    err = store_tree_access(c->store->tree, r->tx, path, c->domid, bits, ret);
    if (ret_path) {
        *ret_path = g_steal_pointer(&path);
    }
    return err;
}

/* @path changed: tell now, or at the commit. */
static void changed(StoreConn *c, const StoreRequest *r, const char *path, bool exact)
{
    if (r->tx) {
        store_tx_touch(r->tx, path, exact);
    } else {
        store_watch_fire(c->store, path, exact);
    }
}

/* --- nodes --- */

static int do_read(StoreConn *c, const StoreRequest *r)
{
    const StoreNode *n;
    int err = one_string(r) ? find_node(c, r, STORE_READ, NULL, &n) : EINVAL;

    if (err == 0) {
        store_reply(c, r, n->value, n->len);
    }
    return err;
}

/* Makes sure that @path is there, for @len bytes. *ret_made: it was not. */
static int make_node(StoreConn *c, const StoreRequest *r, const char *path, size_t len, int err,
                     bool *ret_made)
{
    *ret_made = err == ENOENT;
    return err == ENOENT ? store_tree_create(c->store->tree, r->tx, path, c->domid, len) : err;
}

static int do_write(StoreConn *c, const StoreRequest *r)
{
    g_autofree char *path = NULL;
    const StoreNode *n;
    const char *value;
    bool made;
    size_t len;
    int err = find_node(c, r, STORE_WRITE, &path, &n);

    if (!path) {
        return err;
    }
    value = r->data + strlen(r->data) + 1;
    len = r->len - (size_t)(value - r->data);
    if (err == 0 && store_node_too_large(n, c->domid, n->n_perms, len)) {
        return ENOSPC;
    }
    err = make_node(c, r, path, len, err, &made);
    if (err == 0) {
        store_tree_set_value(c->store->tree, r->tx, path, value, len);
        store_reply_ok(c, r);
        changed(c, r, path, false);
    }
    return err;
}

static int do_mkdir(StoreConn *c, const StoreRequest *r)
{
    g_autofree char *path = NULL;
    const StoreNode *n;
    bool made;
    int err = one_string(r) ? find_node(c, r, STORE_WRITE, &path, &n) : EINVAL;

    if (!path) {
        return err;
    }
    err = make_node(c, r, path, 0, err, &made);
    if (err == 0) {
        store_reply_ok(c, r);
        if (made) {
            changed(c, r, path, false);
        }
    }
    return err;
}

typedef struct RemoveContext {
    StoreConn *conn;
    const StoreRequest *request;
} RemoveContext;

static void removed(void *opaque, const char *path, bool exact)
{
    RemoveContext *ctx = opaque;

    changed(ctx->conn, ctx->request, path, exact);
}

static int do_rm(StoreConn *c, const StoreRequest *r)
{
    RemoveContext ctx = { c, r };
    g_autofree char *path = NULL;
    g_autofree char *parent = NULL;
    const StoreNode *n;
    int err = one_string(r) ? find_node(c, r, STORE_WRITE, &path, &n) : EINVAL;

    if (!path || strcmp(path, "/") == 0) {
        return EINVAL;
    }
    if (err == ENOENT) {
        /* Not an error, if what is right above it is there. */
        parent = store_path_parent(path);
        if (!store_tree_get(c->store->tree, r->tx, parent)) {
            return errno;
        }
    } else if (err != 0) {
        return err;
    } else {
        store_tree_remove(c->store->tree, r->tx, path, removed, &ctx);
    }
    store_reply_ok(c, r);
    return 0;
}

static GByteArray *children_list(const StoreNode *n)
{
    GByteArray *list = g_byte_array_new();

    for (guint i = 0; i < n->children->len; i++) {
        const char *name = n->children->pdata[i];

        g_byte_array_append(list, (const guint8 *)name, (guint)strlen(name) + 1);
    }
    return list;
}

static int do_directory(StoreConn *c, const StoreRequest *r)
{
    g_autoptr(GByteArray) list = NULL;
    const StoreNode *n;
    int err = one_string(r) ? find_node(c, r, STORE_READ, NULL, &n) : EINVAL;

    if (err != 0) {
        return err;
    }
    list = children_list(n);
    if (list->len > XENSTORE_PAYLOAD_MAX) {
        return E2BIG;
    }
    store_reply(c, r, list->data, list->len);
    return 0;
}

static int do_directory_part(StoreConn *c, const StoreRequest *r)
{
    g_autoptr(GByteArray) list = NULL;
    const char *args[2];
    const StoreNode *n;
    uint64_t offset;
    char part[XENSTORE_PAYLOAD_MAX];
    size_t len, take;
    int err;

    if (!split_strings(r, args, 2) || !parse_number(args[1], UINT32_MAX, &offset)) {
        return EINVAL;
    }
    err = find_node(c, r, STORE_READ, NULL, &n);
    if (err != 0) {
        return err;
    }
    list = children_list(n);
    len = (size_t)g_snprintf(part, sizeof(part), "%" PRIu64, n->generation) + 1;
    /* Whole names only; an empty one says that it was all. */
    while (offset < list->len) {
        take = strnlen((const char *)list->data + offset, list->len - offset) + 1;
        if (offset + take > list->len || len + take + 1 > sizeof(part)) {
            break;
        }
        memcpy(part + len, list->data + offset, take);
        len += take;
        offset += take;
    }
    if (offset >= list->len) {
        part[len++] = '\0';
    }
    store_reply(c, r, part, len);
    return 0;
}

/* --- rights --- */

static const char perm_letters[] = "nrwb"; /* by STORE_READ and STORE_WRITE */

static int do_get_perms(StoreConn *c, const StoreRequest *r)
{
    g_autoptr(GString) s = g_string_new(NULL);
    const StoreNode *n;
    int err = one_string(r) ? find_node(c, r, STORE_READ, NULL, &n) : EINVAL;

    if (err != 0) {
        return err;
    }
    for (unsigned i = 0; i < n->n_perms; i++) {
        g_string_append_printf(s, "%c%u", perm_letters[n->perms[i].bits & 3],
                               n->perms[i].domid);
        g_string_append_c(s, '\0');
    }
    if (s->len > XENSTORE_PAYLOAD_MAX) {
        return E2BIG;
    }
    store_reply(c, r, s->str, s->len);
    return 0;
}

/* @p: strings up to @end, each with its NUL. NULL: one of them is not a permission. */
static GArray *parse_perms(const char *p, const char *end)
{
    g_autoptr(GArray) perms = g_array_new(FALSE, FALSE, sizeof(StorePerm));

    while (p < end) {
        const char *nul = memchr(p, '\0', (size_t)(end - p));
        const char *letter = nul && *p ? strchr(perm_letters, *p) : NULL;
        StorePerm perm;
        uint64_t domid;

        if (!letter || !parse_number(p + 1, UINT16_MAX, &domid)) {
            return NULL;
        }
        perm.domid = (uint16_t)domid;
        perm.bits = (uint8_t)(letter - perm_letters);
        g_array_append_val(perms, perm);
        p = nul + 1;
    }
    return perms->len > 0 ? g_steal_pointer(&perms) : NULL;
}

static int do_set_perms(StoreConn *c, const StoreRequest *r)
{
    g_autofree char *path = NULL;
    g_autoptr(GArray) perms = NULL;
    const StorePerm *owner;
    const StoreNode *n;
    int err = find_node(c, r, STORE_OWNER, &path, &n);

    if (!path) {
        return err;
    }
    perms = parse_perms(r->data + strlen(r->data) + 1, r->data + r->len);
    if (!perms) {
        return EINVAL;
    }
    if (err != 0) {
        return err;
    }
    owner = &g_array_index(perms, StorePerm, 0);
    if (c->domid != 0 && owner->domid != n->perms[0].domid) {
        return EPERM;
    }
    if ((c->domid != 0 && perms->len > STORE_MAX_PERMS) ||
        store_node_too_large(n, c->domid, perms->len, n->len)) {
        return ENOSPC;
    }
    store_tree_set_perms(c->store->tree, r->tx, path, owner, perms->len);
    store_reply_ok(c, r);
    changed(c, r, path, false);
    return 0;
}

/* --- watches --- */

static int do_watch(StoreConn *c, const StoreRequest *r)
{
    const char *args[2];
    int err = split_strings(r, args, 2) ? store_watch_add(c, args[0], args[1]) : EINVAL;

    if (err == 0) {
        store_reply_ok(c, r);
        store_watch_first(c, args[0], args[1]);
    }
    return err;
}

static int do_unwatch(StoreConn *c, const StoreRequest *r)
{
    const char *args[2];
    int err = split_strings(r, args, 2) ? store_watch_remove(c, args[0], args[1]) : EINVAL;

    if (err == 0) {
        store_reply_ok(c, r);
    }
    return err;
}

static int do_reset_watches(StoreConn *c, const StoreRequest *r)
{
    store_watch_remove_all(c);
    g_hash_table_remove_all(c->txs);
    store_reply_ok(c, r);
    return 0;
}

/* --- transactions --- */

static int do_transaction_start(StoreConn *c, const StoreRequest *r)
{
    g_autofree char *id = NULL;

    if (r->tx) {
        return EBUSY;
    }
    if (c->domid != 0 && store_domain_txs(c->store, c->domid) >= STORE_MAX_TX) {
        return ENOSPC;
    }
    do {
        c->last_tx++;
    } while (c->last_tx == 0 || g_hash_table_contains(c->txs, GUINT_TO_POINTER(c->last_tx)));
    g_hash_table_insert(c->txs, GUINT_TO_POINTER(c->last_tx), store_tx_new(c->store->tree));
    id = g_strdup_printf("%u", c->last_tx);
    store_reply_string(c, r, id);
    return 0;
}

static void committed(void *opaque, const char *path, bool exact)
{
    StoreConn *c = opaque;

    store_watch_fire(c->store, path, exact);
}

static int do_transaction_end(StoreConn *c, const StoreRequest *r)
{
    bool commit;
    int err = 0;

    if (!one_string(r) || (strcmp(r->data, "T") != 0 && strcmp(r->data, "F") != 0)) {
        return EINVAL;
    }
    if (!r->tx) {
        return ENOENT;
    }
    commit = r->data[0] == 'T';
    if (commit) {
        err = store_tx_commit(r->tx, c->domid, committed, c);
    }
    g_hash_table_remove(c->txs, GUINT_TO_POINTER(r->tx_id));
    if (err == 0) {
        store_reply_ok(c, r);
    }
    return err;
}

/* --- domains --- */

static int do_get_domain_path(StoreConn *c, const StoreRequest *r)
{
    g_autofree char *path = NULL;
    uint64_t domid;

    if (!one_string(r) || !parse_number(r->data, UINT16_MAX, &domid)) {
        return EINVAL;
    }
    path = g_strdup_printf("/local/domain/%u", (unsigned)domid);
    store_reply_string(c, r, path);
    return 0;
}

static int do_is_domain_introduced(StoreConn *c, const StoreRequest *r)
{
    uint64_t domid;

    if (!one_string(r) || !parse_number(r->data, UINT16_MAX, &domid)) {
        return EINVAL;
    }
    store_reply_string(c, r, domid == 0 || g_hash_table_contains(c->store->introduced,
                                                                GUINT_TO_POINTER(domid))
                                 ? "T" : "F");
    return 0;
}

/* A domain is introduced by attaching, so this one is for a toolstack that insists. */
static int do_introduce(StoreConn *c, const StoreRequest *r)
{
    const char *args[3];
    uint64_t domid;

    if (c->domid != 0) {
        return EACCES;
    }
    if (!split_strings(r, args, 3) || !parse_number(args[0], UINT16_MAX, &domid) ||
        !g_hash_table_contains(c->store->introduced, GUINT_TO_POINTER(domid))) {
        return EINVAL;
    }
    store_reply_ok(c, r);
    store_watch_fire(c->store, "@introduceDomain", false);
    return 0;
}

static int do_release(StoreConn *c, const StoreRequest *r)
{
    uint64_t domid;

    if (c->domid != 0) {
        return EACCES;
    }
    if (!one_string(r) || !parse_number(r->data, UINT16_MAX, &domid)) {
        return EINVAL;
    }
    if (!g_hash_table_contains(c->store->introduced, GUINT_TO_POINTER(domid))) {
        return ENOENT;
    }
    store_reply_ok(c, r);
    store_release(c->store, (uint16_t)domid);
    return 0;
}

/* There is nothing in here to be controlled. */
static int do_control(StoreConn *c, const StoreRequest *r)
{
    return c->domid == 0 ? EINVAL : EACCES;
}

int store_serve(StoreConn *c, const StoreRequest *r)
{
    static int (*const ops[XS_TYPE_COUNT])(StoreConn *c, const StoreRequest *r) = {
        [XS_CONTROL] = do_control,
        [XS_DIRECTORY] = do_directory,
        [XS_READ] = do_read,
        [XS_GET_PERMS] = do_get_perms,
        [XS_WATCH] = do_watch,
        [XS_UNWATCH] = do_unwatch,
        [XS_TRANSACTION_START] = do_transaction_start,
        [XS_TRANSACTION_END] = do_transaction_end,
        [XS_INTRODUCE] = do_introduce,
        [XS_RELEASE] = do_release,
        [XS_GET_DOMAIN_PATH] = do_get_domain_path,
        [XS_WRITE] = do_write,
        [XS_MKDIR] = do_mkdir,
        [XS_RM] = do_rm,
        [XS_SET_PERMS] = do_set_perms,
        [XS_IS_DOMAIN_INTRODUCED] = do_is_domain_introduced,
        [XS_RESET_WATCHES] = do_reset_watches,
        [XS_DIRECTORY_PART] = do_directory_part,
    };

    return r->type < XS_TYPE_COUNT && ops[r->type] ? ops[r->type](c, r) : ENOSYS;
}
