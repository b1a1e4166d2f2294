/*
 * XenStore over libxenstore.
 *
 * Watches: libxenstore's reader thread queues events and makes its pipe readable. The
 * main loop's source drains that queue, marks each watch that has an event, and calls
 * each marked watch once. A guest that writes a node in a loop thus costs one call a
 * round, not one a write (XSA-349 is about backends where it was so). The reader
 * thread's queue has no bound, though: it grows while the main loop is busy with
 * something else, and while events come faster than rounds take them.
 *
 * Calls: each runs in a thread of its own (xen-store-worker.h) and is waited for, but not
 * without end. One that was given up may still have its effect, before any later one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xen-store.h"

#include <errno.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "util/container-of.h"
#include "xen-store-worker.h"

/* Events looked at in one round, so that a busy guest does not hold the main loop. */
#define EVENTS_PER_ROUND 1024

/* Between looks whether a store that stalled answers again. */
#define STALL_INTERVAL_MS 100

struct XenStore {
    struct xs_handle *xs;
    StoreWorker *worker;
    GHashTable *watches; /* token -> XenWatch, which owns the token */
    GQueue pending;      /* XenWatch that have an event, in order of arrival */
    uint64_t next_token;
    guint source;
    guint stall_timer;
};

struct XenWatch {
    XenStore *store;
    char *path;
    char *token;
    bool pending;
    void (*fn)(void *opaque);
    void *opaque;
};

/* --- calls --- */

/* A call of libxenstore: its arguments, and what it returned. */
typedef struct XsCall {
    StoreCall base;
    struct xs_handle *xs;
    XenTx tx;            /* of a begin: the result */
    char *path;
    char *value;         /* or a watch's token */
    struct xs_permissions perms[2];
    unsigned domid;
    bool abort;
    bool ok;
    int err;
    void *data;          /* from malloc() */
    unsigned len;
} XsCall;

static void call_free(XsCall *c)
{
    g_free(c->path);
    g_free(c->value);
    free(c->data);
    g_free(c);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XsCall, call_free)

static XsCall *call_of(StoreCall *base)
{
    return container_of(base, XsCall, base);
}

static void call_drop(StoreCall *base, bool was_run)
{
    call_free(call_of(base));
}

static XsCall *call_new(struct xs_handle *xs, XenTx tx, const char *path,
                        void (*run)(StoreCall *c))
{
    XsCall *c = g_new0(XsCall, 1);

    c->base.run = run;
    c->base.drop = call_drop;
    c->xs = xs;
    c->tx = tx;
    c->path = g_strdup(path);
    return c;
}

static gboolean store_check_stall(gpointer opaque);

/* What the call returned; NULL and errno if it failed, or there was no answer. */
static XsCall *store_call(XenStore *s, XsCall *c)
{
    if (!store_worker_call(s->worker, &c->base)) {
        if (!s->stall_timer) {
            s->stall_timer = g_timeout_add(STALL_INTERVAL_MS, store_check_stall, s);
        }
        errno = ETIMEDOUT;
        return NULL;
    }
    if (!c->ok) {
        int err = c->err;

        call_free(c);
        errno = err;
        return NULL;
    }
    return c;
}

/* For its success only. */
static bool store_do(XenStore *s, XsCall *c)
{
    g_autoptr(XsCall) done = store_call(s, c);

    return done != NULL;
}

static void call_result(XsCall *c, bool ok)
{
    c->err = errno;
    c->ok = ok;
}

/* --- watches --- */

static void store_mark(XenStore *s, XenWatch *w)
{
    if (w && !w->pending) {
        w->pending = true;
        g_queue_push_tail(&s->pending, w);
    }
}

static void store_drain(XenStore *s)
{
    for (unsigned i = 0; i < EVENTS_PER_ROUND; i++) {
        char **event = xs_check_watch(s->xs);

        if (!event) {
            return;
        }
        store_mark(s, g_hash_table_lookup(s->watches, event[XS_WATCH_TOKEN]));
        free(event);
    }
}

static void store_dispatch(XenStore *s)
{
    XenWatch *w;

    /* A call may add and remove watches, its own too: nothing of @w is used after it. */
    while ((w = g_queue_pop_head(&s->pending))) {
        w->pending = false;
        w->fn(w->opaque);
    }
}

static gboolean store_readable(gint fd, GIOCondition condition, gpointer opaque)
{
    XenStore *s = opaque;

    store_drain(s);
    store_dispatch(s);
    return G_SOURCE_CONTINUE;
}

/* Who was refused while the store stalled looks again. */
static gboolean store_check_stall(gpointer opaque)
{
    XenStore *s = opaque;
    GHashTableIter iter;
    gpointer w;

    if (store_worker_is_stalled(s->worker)) {
        return G_SOURCE_CONTINUE;
    }
    s->stall_timer = 0;
    g_hash_table_iter_init(&iter, s->watches);
    while (g_hash_table_iter_next(&iter, NULL, &w)) {
        store_mark(s, w);
    }
    store_dispatch(s);
    return G_SOURCE_REMOVE;
}

/* --- opening --- */

static void run_close(StoreCall *base)
{
    XsCall *c = call_of(base);

    if (c->xs) {
        xs_close(c->xs);
    }
}

static void run_open(StoreCall *base)
{
    XsCall *c = call_of(base);

    c->xs = xs_open(0);
    call_result(c, c->xs != NULL);
}

static void drop_open(StoreCall *base, bool was_run)
{
    if (was_run) {
        run_close(base);
    }
    call_drop(base, was_run);
}

/* connect() waits for a server that accepts nobody. */
static struct xs_handle *store_open(StoreWorker *w)
{
    XsCall *c = call_new(NULL, 0, NULL, run_open);
    struct xs_handle *xs;

    c->base.drop = drop_open;
    if (!store_worker_call(w, &c->base)) {
        errno = ETIMEDOUT;
        return NULL;
    }
    xs = c->xs;
    errno = c->err;
    call_free(c);
    return xs;
}

/*
 * libxenstore takes the socket from the environment only. Its filter for events of
 * watches that are gone leaks them; we do without it, since no token is used twice.
 */
static struct xs_handle *store_connect(StoreWorker *w, const char *socket)
{
    g_autofree char *saved = NULL;
    struct xs_handle *xs;
    int err;

    if (!socket) {
        return store_open(w);
    }
    saved = g_strdup(g_getenv("XENSTORED_PATH"));
    g_setenv("XENSTORED_PATH", socket, true);
    xs = store_open(w);
    err = errno;
    if (saved) {
        g_setenv("XENSTORED_PATH", saved, true);
    } else {
        g_unsetenv("XENSTORED_PATH");
    }
    errno = err;
    return xs;
}

static void store_end(StoreWorker *w, struct xs_handle *xs)
{
    store_worker_free(w, &call_new(xs, 0, NULL, run_close)->base);
}

XenStore *xen_store_open(const char *socket, GError **error)
{
    StoreWorker *worker = store_worker_new();
    struct xs_handle *xs = store_connect(worker, socket);
    XenStore *s;
    int fd;

    if (!xs) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "could not connect to XenStore%s%s: %s", socket ? " at " : "",
                    socket ? socket : "", g_strerror(errno));
        store_end(worker, NULL);
        return NULL;
    }
    fd = xs_fileno(xs);
    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "XenStore's watches cannot be waited for: %s", g_strerror(errno));
        store_end(worker, xs);
        return NULL;
    }
    s = g_new0(XenStore, 1);
    s->xs = xs;
    s->worker = worker;
    s->watches = g_hash_table_new(g_str_hash, g_str_equal);
    g_queue_init(&s->pending);
    s->source = g_unix_fd_add(fd, G_IO_IN, store_readable, s);
    return s;
}

void xen_store_close(XenStore *s)
{
    if (!s) {
        return;
    }
    g_assert(g_hash_table_size(s->watches) == 0);
    g_source_remove(s->source);
    g_clear_handle_id(&s->stall_timer, g_source_remove);
    g_hash_table_unref(s->watches);
    store_end(s->worker, s->xs);
    g_free(s);
}

void xen_store_end_soon(XenStore *s)
{
    store_worker_end_soon(s->worker);
}

bool xen_store_is_stalled(XenStore *s)
{
    return store_worker_is_stalled(s->worker);
}

/* --- reading and writing --- */

static char *path_join(const char *dir, const char *key)
{
    return *dir ? g_strdup_printf("%s/%s", dir, key) : g_strdup(key);
}

static void run_read(StoreCall *base)
{
    XsCall *c = call_of(base);

    c->data = xs_read(c->xs, c->tx, c->path, &c->len);
    call_result(c, c->data != NULL);
}

char *xen_store_read(XenStore *s, XenTx tx, const char *path)
{
    g_autoptr(XsCall) c = store_call(s, call_new(s->xs, tx, path, run_read));

    return c ? g_strndup(c->data, c->len) : NULL;
}

/* Digits and nothing else: whoever writes "-1", " 1" or "0x1" means something else. */
static bool parse_uint(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;

    if (!*text) {
        return false;
    }
    for (; *text; text++) {
        if (!g_ascii_isdigit(*text) || __builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n) || n > max) {
            return false;
        }
    }
    *ret = n;
    return true;
}

bool xen_store_read_uint(XenStore *s, XenTx tx, const char *dir, const char *key, uint64_t max,
                         uint64_t *ret)
{
    g_autofree char *path = path_join(dir, key);
    g_autoptr(XsCall) c = store_call(s, call_new(s->xs, tx, path, run_read));
    bool ok;

    if (!c) {
        return false;
    }
    /* libxenstore puts a NUL behind the value; one inside it is as bad as a letter. */
    ok = strlen(c->data) == c->len && parse_uint(c->data, max, ret);
    if (!ok) {
        errno = EINVAL;
    }
    return ok;
}

static void run_write(StoreCall *base)
{
    XsCall *c = call_of(base);

    call_result(c, xs_write(c->xs, c->tx, c->path, c->value, (unsigned)strlen(c->value)));
}

bool xen_store_write(XenStore *s, XenTx tx, const char *path, const char *value)
{
    XsCall *c = call_new(s->xs, tx, path, run_write);

    c->value = g_strdup(value);
    return store_do(s, c);
}

bool xen_store_printf(XenStore *s, XenTx tx, const char *dir, const char *key, const char *fmt,
                      ...)
{
    g_autofree char *path = path_join(dir, key);
    g_autofree char *value = NULL;
    va_list ap;

    va_start(ap, fmt);
    value = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    return xen_store_write(s, tx, path, value);
}

static void run_remove(StoreCall *base)
{
    XsCall *c = call_of(base);

    call_result(c, xs_rm(c->xs, c->tx, c->path));
}

bool xen_store_remove(XenStore *s, XenTx tx, const char *path)
{
    return store_do(s, call_new(s->xs, tx, path, run_remove));
}

static void run_list(StoreCall *base)
{
    XsCall *c = call_of(base);

    c->data = xs_directory(c->xs, c->tx, c->path, &c->len);
    call_result(c, c->data != NULL);
}

char **xen_store_list(XenStore *s, XenTx tx, const char *path)
{
    g_autoptr(XsCall) c = store_call(s, call_new(s->xs, tx, path, run_list));
    char **names = c ? c->data : NULL;
    char **copy;

    if (!names) {
        return NULL;
    }
    copy = g_new0(char *, (gsize)c->len + 1);
    for (unsigned i = 0; i < c->len; i++) {
        copy[i] = g_strdup(names[i]);
    }
    return copy;
}

static void run_mkdir(StoreCall *base)
{
    XsCall *c = call_of(base);

    call_result(c, xs_mkdir(c->xs, c->tx, c->path) &&
                       xs_set_permissions(c->xs, c->tx, c->path, c->perms, 2));
}

bool xen_store_mkdir(XenStore *s, XenTx tx, const char *path, uint16_t owner, uint16_t reader)
{
    XsCall *c = call_new(s->xs, tx, path, run_mkdir);

    /* the owner may always; nobody else */
    c->perms[0] = (struct xs_permissions){ .id = owner, .perms = XS_PERM_NONE };
    c->perms[1] = (struct xs_permissions){ .id = reader, .perms = XS_PERM_READ };
    return store_do(s, c);
}

/* --- transactions --- */

static void run_begin(StoreCall *base)
{
    XsCall *c = call_of(base);

    c->tx = xs_transaction_start(c->xs);
    call_result(c, c->tx != 0);
}

static void drop_begin(StoreCall *base, bool was_run)
{
    XsCall *c = call_of(base);

    if (was_run && c->ok) {
        xs_transaction_end(c->xs, c->tx, true);
    }
    call_drop(base, was_run);
}

XenTx xen_store_begin(XenStore *s)
{
    XsCall *begin = call_new(s->xs, 0, NULL, run_begin);
    g_autoptr(XsCall) c = NULL;

    begin->base.drop = drop_begin;
    c = store_call(s, begin);
    return c ? c->tx : 0;
}

static void run_end(StoreCall *base)
{
    XsCall *c = call_of(base);

    call_result(c, xs_transaction_end(c->xs, c->tx, c->abort));
}

bool xen_store_end(XenStore *s, XenTx tx, bool abort)
{
    XsCall *c = call_new(s->xs, tx, NULL, run_end);

    if (store_worker_is_stalled(s->worker)) {
        /* later, or the server would keep it; half of it may be missing, so not committed */
        c->abort = true;
        store_worker_post(s->worker, &c->base);
        errno = ETIMEDOUT;
        return false;
    }
    c->abort = abort;
    return store_do(s, c);
}

/* --- domains --- */

/* libxenstore says false for a failure as well, and leaves errno then. */
static void run_domain(StoreCall *base)
{
    XsCall *c = call_of(base);

    errno = 0;
    c->ok = xs_is_domain_introduced(c->xs, c->domid);
    c->err = errno;
}

XenDomainState xen_store_domain_state(XenStore *s, uint16_t domid)
{
    XsCall *c = call_new(s->xs, 0, NULL, run_domain);

    c->domid = domid;
    if (store_do(s, c)) {
        return XEN_DOMAIN_ALIVE;
    }
    return errno == 0 ? XEN_DOMAIN_DEAD : XEN_DOMAIN_UNKNOWN;
}

/* --- adding and removing watches --- */

static void watch_free(XenWatch *w)
{
    g_free(w->path);
    g_free(w->token);
    g_free(w);
}

static void run_unwatch(StoreCall *base)
{
    XsCall *c = call_of(base);

    call_result(c, xs_unwatch(c->xs, c->path, c->value));
}

static void run_watch(StoreCall *base)
{
    XsCall *c = call_of(base);

    call_result(c, xs_watch(c->xs, c->path, c->value));
}

static void drop_watch(StoreCall *base, bool was_run)
{
    if (was_run && call_of(base)->ok) {
        run_unwatch(base);
    }
    call_drop(base, was_run);
}

static bool watch_call(XenWatch *w, bool add)
{
    XsCall *c = call_new(w->store->xs, 0, w->path, add ? run_watch : run_unwatch);

    c->value = g_strdup(w->token);
    if (add) {
        c->base.drop = drop_watch;
    } else if (store_worker_is_stalled(w->store->worker)) {
        store_worker_post(w->store->worker, &c->base);
        return true;
    }
    return store_do(w->store, c);
}

XenWatch *xen_store_watch(XenStore *s, const char *path, void (*fn)(void *opaque),
                          void *opaque, GError **error)
{
    XenWatch *w = g_new0(XenWatch, 1);

    w->store = s;
    w->path = g_strdup(path);
    w->token = g_strdup_printf("%" PRIu64, s->next_token++);
    w->fn = fn;
    w->opaque = opaque;
    if (!watch_call(w, true)) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "could not watch %s: %s", path, g_strerror(errno));
        watch_free(w);
        return NULL;
    }
    g_hash_table_insert(s->watches, w->token, w);
    return w;
}

void xen_store_unwatch(XenWatch *w)
{
    XenStore *s;

    if (!w) {
        return;
    }
    s = w->store;
    /* A server that is gone cannot be told, and does not send events either. */
    watch_call(w, false);
    g_hash_table_remove(s->watches, w->token);
    if (w->pending) {
        g_queue_remove(&s->pending, w);
    }
    watch_free(w);
}
