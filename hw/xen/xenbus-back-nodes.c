/*
 * A backend's nodes in XenStore: those it makes, as a toolstack would, what it says in
 * them, what it reads of the toolstack and of the frontend's state.
 *
 * Identity (paths, domid) is taken from the backend directory only: the frontend's
 * directory belongs to the guest, who may write there what it likes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "util/options.h"
#include "xenbus-back-internal.h"

#define NODES_FAIL(error, ...) g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, __VA_ARGS__)

/* --- making them --- */

/* Makes @path readable for the guest, unless it is there. */
static bool nodes_ensure_dir(XenbusBack *b, XenTx tx, const char *path)
{
    g_autofree char *old = xen_store_read(b->store, tx, path);

    return old || xen_store_mkdir(b->store, tx, path, b->xen->domid, b->frontend_id);
}

/*
 * The parents as a toolstack makes them: ours, readable by the guest, who scans them
 * for its devices.
 */
static bool nodes_make_parents(XenbusBack *b, XenTx tx)
{
    g_autofree char *domain = g_strdup_printf("/local/domain/%u", b->frontend_id);
    g_autofree char *device = g_strdup_printf("/local/domain/%u/device", b->frontend_id);
    g_autofree char *kind = g_path_get_dirname(b->fe);

    return nodes_ensure_dir(b, tx, domain) && nodes_ensure_dir(b, tx, device) &&
           nodes_ensure_dir(b, tx, kind);
}

/* Where a device goes on, both ends find their states as they were. */
static bool nodes_write_state(XenbusBack *b, XenTx tx, const char *dir)
{
    if (b->resumed && xen_store_has(b->store, tx, dir, "state")) {
        return true;
    }
    return xen_store_printf(b->store, tx, dir, "state", "%d", XenbusStateInitialising);
}

static bool nodes_write_front(XenbusBack *b, XenTx tx)
{
    XenStore *s = b->store;

    return xen_store_mkdir(s, tx, b->fe, b->frontend_id, b->xen->domid) &&
           xen_store_printf(s, tx, b->fe, "backend", "%s", b->be) &&
           xen_store_printf(s, tx, b->fe, "backend-id", "%u", b->xen->domid) &&
           nodes_write_state(b, tx, b->fe);
}

static bool nodes_write_back(XenbusBack *b, XenTx tx)
{
    XenStore *s = b->store;

    return xen_store_mkdir(s, tx, b->be, b->xen->domid, b->frontend_id) &&
           xen_store_printf(s, tx, b->be, "frontend", "%s", b->fe) &&
           xen_store_printf(s, tx, b->be, "frontend-id", "%u", b->frontend_id) &&
           xen_store_printf(s, tx, b->be, "online", "1") &&
           xen_store_printf(s, tx, b->be, "hotplug-status", "connected") &&
           nodes_write_state(b, tx, b->be);
}

/* What the device is to its guest, whichever backend it has. */
static const char *nodes_front_kind(const XenbusBack *b)
{
    return b->ops->front_kind ? b->ops->front_kind : b->ops->kind;
}

static void nodes_set_paths(XenbusBack *b, unsigned idx)
{
    unsigned us = b->xen->domid, fe = b->frontend_id;
    const char *kind = b->ops->kind, *front_kind = nodes_front_kind(b);

    g_free(b->be);
    g_free(b->fe);
    g_free(b->error_path);
    b->idx = idx;
    b->be = g_strdup_printf("/local/domain/%u/backend/%s/%u/%u", us, kind, fe, idx);
    b->fe = g_strdup_printf("/local/domain/%u/device/%s/%u", fe, front_kind, idx);
    b->error_path = g_strdup_printf("/local/domain/%u/error/backend/%s/%u/%u", us, kind, fe, idx);
}

/* --- what is there already --- */

typedef enum NodesFound {
    NODES_NONE,
    NODES_STALE,      /* nobody uses it: the frontend is missing, or of another backend */
    NODES_TOOLSTACK,
    NODES_OURS,       /* left by a backend that died: the frontend still waits for it */
    NODES_OTHERS,     /* the frontend belongs to another backend domain */
    NODES_UNKNOWN,    /* XenStore did not say: errno */
} NodesFound;

/* False: XenStore did not say. NULL: it is not there. */
static bool nodes_get(XenbusBack *b, XenTx tx, const char *dir, const char *key, char **ret)
{
    g_autofree char *path = g_strdup_printf("%s/%s", dir, key);

    *ret = xen_store_read(b->store, tx, path);
    return *ret || errno == ENOENT;
}

static NodesFound nodes_look(XenbusBack *b, XenTx tx)
{
    g_autofree char *frontend = NULL, *mark = NULL, *backend = NULL, *other = NULL;

    if (!nodes_get(b, tx, b->be, "frontend", &frontend) ||
        !nodes_get(b, tx, b->be, b->ops->toolstack_key, &mark) ||
        !nodes_get(b, tx, b->fe, "backend", &backend)) {
        return NODES_UNKNOWN;
    }
    if (frontend && mark) {
        return NODES_TOOLSTACK;
    }
    if (!backend) {
        return frontend ? NODES_STALE : NODES_NONE;
    }
    if (strcmp(backend, b->be) == 0) {
        return NODES_OURS;
    }
    /* the guest may write what it likes: that domain has to say so, too */
    nodes_get(b, tx, backend, "frontend", &other);
    return g_strcmp0(other, b->fe) == 0 ? NODES_OTHERS : NODES_STALE;
}

static bool nodes_make(XenStore *s, XenTx tx, void *opaque)
{
    XenbusBack *b = opaque;
    NodesFound found = nodes_look(b, tx);

    if (found == NODES_UNKNOWN) {
        return false;
    }
    if (found == NODES_OTHERS) {
        errno = EBUSY;
        return false;
    }
    b->created = found != NODES_TOOLSTACK;
    b->resumed = found == NODES_OURS;
    if (found == NODES_TOOLSTACK) {
        return true;
    }
    return (b->resumed || (xen_store_clear(s, tx, b->be) && xen_store_clear(s, tx, b->fe))) &&
           nodes_make_parents(b, tx) && nodes_write_back(b, tx) && nodes_write_front(b, tx) &&
           b->ops->write_nodes(b, tx);
}

/* --- which one --- */

static bool nodes_claim(XenbusBack *b, unsigned idx)
{
    nodes_set_paths(b, idx);
    b->claim = xen_claim(b->xen, nodes_front_kind(b), b->frontend_id, idx);
    return b->claim != NULL;
}

/*
 * libxl has a list of its own, in which our devices are not: to a new one it gives the number after
 * its last, whoever has that, and writes over the nodes.
 */
static bool nodes_are_libxls(XenbusBack *b)
{
    g_autofree char *domain = g_strdup_printf("/libxl/%u", b->frontend_id);
    g_autofree char *value = xen_store_read(b->store, 0, domain);

    return value != NULL;
}

static bool nodes_claim_first(XenbusBack *b, NodesFound wanted, bool down,
                              const char *const *names)
{
    unsigned count = b->ops->chosen ? b->ops->n_chosen : b->ops->max_idx;

    for (unsigned n = 0; n < count; n++) {
        unsigned nth = down ? count - 1 - n : n;
        unsigned i = b->ops->chosen ? b->ops->chosen(nth) : nth;
        g_autofree char *name = g_strdup_printf("%u", i);

        if (names && !g_strv_contains(names, name)) {
            continue;
        }
        nodes_set_paths(b, i);
        if (nodes_look(b, 0) == wanted && nodes_claim(b, i)) {
            return true;
        }
    }
    return false;
}

/*
 * The first that a backend left and that nobody has taken up since, of the few that the guest has;
 * else one that is free: the last, if libxl counts from the first.
 */
static bool nodes_claim_any(XenbusBack *b)
{
    g_autofree char *dir = g_strdup_printf("/local/domain/%u/device/%s", b->frontend_id,
                                           nodes_front_kind(b));
    g_auto(GStrv) names = xen_store_list(b->store, 0, dir);
    bool down = nodes_are_libxls(b);

    return (names && nodes_claim_first(b, NODES_OURS, down, (const char *const *)names)) ||
           nodes_claim_first(b, NODES_NONE, down, NULL);
}

static void nodes_warn_of_libxl(XenbusBack *b, bool chosen)
{
    if (b->created && nodes_are_libxls(b)) {
        g_autofree char *text = g_strdup_printf(
            "xl does not know %s %u of domain %u%s: better let xl make it", b->ops->kind, b->idx,
            b->frontend_id, chosen || b->ops->chosen ? "" : " and may give its number to another "
                                                            "one");

        b->ops->event(b, XENBUS_WARNING, text);
    }
}

static bool nodes_choose_idx(XenbusBack *b, int32_t idx, GError **error)
{
    if (idx >= (int32_t)b->ops->max_idx) {
        NODES_FAIL(error, "idx must be less than %u", b->ops->max_idx);
        return false;
    }
    if (idx < -1) {
        NODES_FAIL(error, "idx must not be negative, apart from -1: the first that is free");
        return false;
    }
    if (idx >= 0 && !nodes_claim(b, (unsigned)idx)) {
        if (errno == EBUSY) {
            NODES_FAIL(error, "%s %u of domain %u has a backend already", b->ops->kind, b->idx,
                       b->frontend_id);
        } else {
            NODES_FAIL(error, "cannot lock %s: %s", b->xen->claim_file, g_strerror(errno));
        }
        return false;
    }
    if (idx == -1 && !nodes_claim_any(b)) {
        NODES_FAIL(error, "cannot find device index for %s device", b->ops->kind);
        return false;
    }
    return true;
}

/* --- all of it --- */

/* What a toolstack made: its frontend must be the one that we expect. */
static bool nodes_take_over(XenbusBack *b, GError **error)
{
    g_autofree char *frontend = xenbus_back_read(b, 0, "frontend");

    if (g_strcmp0(frontend, b->fe) != 0) {
        NODES_FAIL(error, "%s/frontend is %s, not %s", b->be, frontend ? frontend : "gone",
                   b->fe);
        return false;
    }
    return b->ops->take_over(b, error);
}

bool xenbus_back_nodes_create(XenbusBack *b, int32_t idx, GError **error)
{
    if (!nodes_choose_idx(b, idx, error)) {
        return false;
    }
    if (!xen_store_transaction(b->store, nodes_make, b)) {
        b->created = false;
        if (errno == EBUSY) {
            NODES_FAIL(error, "%s has a backend in another domain", b->fe);
        } else {
            NODES_FAIL(error, "cannot create XenStore nodes for %s %u: %s", b->ops->kind, b->idx,
                       g_strerror(errno));
        }
        return false;
    }
    b->front_seen = b->created; /* its state was there at the end of the transaction */
    nodes_warn_of_libxl(b, idx == -1);
    return b->created || nodes_take_over(b, error);
}

static void nodes_clear(XenbusBack *b)
{
    g_autofree char *parent = g_path_get_dirname(b->be);

    xen_store_remove(b->store, 0, b->be);
    xen_store_remove(b->store, 0, b->fe);
    xen_store_remove_empty(b->store, parent);
}

void xenbus_back_nodes_remove(XenbusBack *b)
{
    if (!b->claim) {
        return; /* whatever there is, is somebody else's */
    }
    xenbus_back_set_error(b, NULL);
    if (b->created) {
        nodes_clear(b);
    }
    xen_unclaim(b->xen, g_steal_pointer(&b->claim));
}

/* --- what we say --- */

typedef struct NodesUpdate {
    const char *dir;
    const char *key;
    XenTxFn *fn;
    void *opaque;
} NodesUpdate;

static bool nodes_update(XenStore *s, XenTx tx, void *opaque)
{
    const NodesUpdate *u = opaque;

    return !xen_store_has(s, tx, u->dir, u->key) || u->fn(s, tx, u->opaque);
}

bool xenbus_back_update(XenbusBack *b, bool front, XenTxFn *fn, void *opaque)
{
    NodesUpdate u = {
        .dir = front ? b->fe : b->be,
        .key = front ? "backend" : "frontend",
        .fn = fn,
        .opaque = opaque,
    };

    return xen_store_transaction(b->store, nodes_update, &u);
}

typedef struct NodesNumber {
    const XenbusBack *b;
    const char *key;
    unsigned value;
} NodesNumber;

static bool nodes_write_number(XenStore *s, XenTx tx, void *opaque)
{
    const NodesNumber *n = opaque;

    return xen_store_printf(s, tx, n->b->be, n->key, "%u", n->value);
}

bool xenbus_back_write(XenbusBack *b, const char *key, unsigned value)
{
    NodesNumber n = { b, key, value };

    return xenbus_back_update(b, false, nodes_write_number, &n);
}

/* In one transaction with what the frontend reads at it. */
static bool nodes_write_own_state(XenStore *s, XenTx tx, void *opaque)
{
    XenbusBack *b = opaque;

    if (b->state == XenbusStateConnected && b->ops->publish_connected &&
        !b->ops->publish_connected(b, tx)) {
        return false;
    }
    return xen_store_printf(s, tx, b->be, "state", "%u", b->state);
}

void xenbus_back_set_state(XenbusBack *b, enum xenbus_state state)
{
    b->state = state;
    b->reconfigured = false;
    b->unwritten = !xenbus_back_update(b, false, nodes_write_own_state, b);
    if (b->unwritten) {
        xenbus_back_store_failed(b, true);
    }
}

static bool nodes_publish(XenStore *s, XenTx tx, void *opaque)
{
    XenbusBack *b = opaque;

    return b->ops->publish(b, tx);
}

bool xenbus_back_publish(XenbusBack *b, GError **error)
{
    if (xenbus_back_update(b, false, nodes_publish, b)) {
        return true;
    }
    NODES_FAIL(error, "cannot write %s: %s", b->be, g_strerror(errno));
    return false;
}

void xenbus_back_set_error(XenbusBack *b, const char *reason)
{
    if (reason) {
        /* readable for the guest, whose frontend has nothing else to tell its user */
        xen_store_mkdir(b->store, 0, b->error_path, b->xen->domid, b->frontend_id);
        xen_store_printf(b->store, 0, b->error_path, "error", "%s", reason);
    } else if (xen_store_remove(b->store, 0, b->error_path)) {
        g_autofree char *parent = g_path_get_dirname(b->error_path);

        xen_store_remove_empty(b->store, parent);
    }
}

/* --- what others say --- */

char *xenbus_back_read(XenbusBack *b, XenTx tx, const char *key)
{
    g_autofree char *path = g_strdup_printf("%s/%s", b->be, key);
    char *value = xen_store_read(b->store, tx, path);

    return value ? g_strstrip(value) : NULL;
}

static enum xenbus_state nodes_read_state(XenbusBack *b, const char *dir)
{
    uint64_t v;

    if (xen_store_read_uint(b->store, 0, dir, "state", XenbusStateReconfigured, &v)) {
        return v != XenbusStateUnknown ? (enum xenbus_state)v : XenbusStateInitWait;
    }
    return errno == ENOENT ? XenbusStateUnknown : XenbusStateInitWait;
}

enum xenbus_state xenbus_back_front_state(XenbusBack *b)
{
    return nodes_read_state(b, b->fe);
}

enum xenbus_state xenbus_back_own_state(XenbusBack *b)
{
    return nodes_read_state(b, b->be);
}

/* A device is not taken away by what makes no sense. */
static bool nodes_read_online(XenbusBack *b)
{
    g_autofree char *value = xenbus_back_read(b, 0, "online");
    uint64_t online;

    if (!value) {
        return false;
    }
    if (opt_parse_uint(value, UINT32_MAX, &online)) {
        return online != 0;
    }
    if (!b->online_warned) {
        g_autofree char *text = g_strdup_printf("%s/online is '%s', and counts as 1", b->be,
                                                value);

        b->online_warned = true;
        b->ops->event(b, XENBUS_WARNING, text);
    }
    return true;
}

/* A toolstack that has a script for a device says so; where it has none, none is waited for. */
static bool nodes_read_hotplug(XenbusBack *b)
{
    g_autofree char *hotplug = xenbus_back_read(b, 0, "hotplug-status");

    return (hotplug && strcmp(hotplug, "connected") == 0) ||
           (!b->created && !xen_store_has(b->store, 0, b->be, "script") && errno == ENOENT);
}

BackControl xenbus_back_read_control(XenbusBack *b)
{
    BackControl c = { 0 };

    if (!xen_store_has(b->store, 0, b->be, "frontend")) {
        c.gone = errno == ENOENT;
        c.unknown = !c.gone;
        return c;
    }
    c.online = nodes_read_online(b);
    c.hotplug_done = nodes_read_hotplug(b);
    return c;
}
