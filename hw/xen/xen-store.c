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
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xen-store.h"

#include <errno.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

/* Events looked at in one round, so that a busy guest does not hold the main loop. */
#define EVENTS_PER_ROUND 1024

struct XenStore {
    struct xs_handle *xs;
    GHashTable *watches; /* token -> XenWatch, which owns the token */
    GQueue pending;      /* XenWatch that have an event, in order of arrival */
    uint64_t next_token;
    guint source;
};

struct XenWatch {
    XenStore *store;
    char *path;
    char *token;
    bool pending;
    void (*fn)(void *opaque);
    void *opaque;
};

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

static gboolean store_readable(gint fd, GIOCondition condition, gpointer opaque)
{
    XenStore *s = opaque;
    XenWatch *w;

    store_drain(s);
    /* A call may add and remove watches, its own too: nothing of @w is used after it. */
    while ((w = g_queue_pop_head(&s->pending))) {
        w->pending = false;
        w->fn(w->opaque);
    }
    return G_SOURCE_CONTINUE;
}

/*
 * libxenstore takes the socket from the environment only. Its filter for events of
 * watches that are gone leaks them; we do without it, since no token is used twice.
 */
static struct xs_handle *store_connect(const char *socket)
{
    g_autofree char *saved = NULL;
    struct xs_handle *xs;
    int err;

    if (!socket) {
        return xs_open(0);
    }
    saved = g_strdup(g_getenv("XENSTORED_PATH"));
    g_setenv("XENSTORED_PATH", socket, true);
    xs = xs_open(0);
    err = errno;
    if (saved) {
        g_setenv("XENSTORED_PATH", saved, true);
    } else {
        g_unsetenv("XENSTORED_PATH");
    }
    errno = err;
    return xs;
}

XenStore *xen_store_open(const char *socket, GError **error)
{
    struct xs_handle *xs = store_connect(socket);
    XenStore *s;
    int fd;

    if (!xs) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "could not connect to XenStore%s%s: %s", socket ? " at " : "",
                    socket ? socket : "", g_strerror(errno));
        return NULL;
    }
    fd = xs_fileno(xs);
    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "XenStore's watches cannot be waited for: %s", g_strerror(errno));
        xs_close(xs);
        return NULL;
    }
    s = g_new0(XenStore, 1);
    s->xs = xs;
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
    g_hash_table_unref(s->watches);
    xs_close(s->xs);
    g_free(s);
}

static char *path_join(const char *dir, const char *key)
{
    return *dir ? g_strdup_printf("%s/%s", dir, key) : g_strdup(key);
}

char *xen_store_read(XenStore *s, XenTx tx, const char *path)
{
    unsigned len;
    char *raw = xs_read(s->xs, tx, path, &len);
    char *value;

    if (!raw) {
        return NULL;
    }
    value = g_strndup(raw, len);
    free(raw);
    return value;
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
    unsigned len;
    char *value = xs_read(s->xs, tx, path, &len);
    bool ok;

    if (!value) {
        return false;
    }
    /* libxenstore puts a NUL behind the value; one inside it is as bad as a letter. */
    ok = strlen(value) == len && parse_uint(value, max, ret);
    free(value);
    if (!ok) {
        errno = EINVAL;
    }
    return ok;
}

bool xen_store_write(XenStore *s, XenTx tx, const char *path, const char *value)
{
    return xs_write(s->xs, tx, path, value, (unsigned)strlen(value));
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

bool xen_store_remove(XenStore *s, XenTx tx, const char *path)
{
    return xs_rm(s->xs, tx, path);
}

char **xen_store_list(XenStore *s, XenTx tx, const char *path)
{
    unsigned n;
    char **names = xs_directory(s->xs, tx, path, &n);
    char **copy;

    if (!names) {
        return NULL;
    }
    copy = g_new0(char *, (gsize)n + 1);
    for (unsigned i = 0; i < n; i++) {
        copy[i] = g_strdup(names[i]);
    }
    free(names);
    return copy;
}

bool xen_store_mkdir(XenStore *s, XenTx tx, const char *path, uint16_t owner, uint16_t reader)
{
    struct xs_permissions perms[] = {
        { .id = owner, .perms = XS_PERM_NONE }, /* the owner may always; nobody else */
        { .id = reader, .perms = XS_PERM_READ },
    };

    return xs_mkdir(s->xs, tx, path) && xs_set_permissions(s->xs, tx, path, perms, 2);
}

XenTx xen_store_begin(XenStore *s)
{
    return xs_transaction_start(s->xs);
}

bool xen_store_end(XenStore *s, XenTx tx, bool abort)
{
    return xs_transaction_end(s->xs, tx, abort);
}

/* libxenstore says false for a failure as well, and leaves errno then. */
XenDomainState xen_store_domain_state(XenStore *s, uint16_t domid)
{
    errno = 0;
    if (xs_is_domain_introduced(s->xs, domid)) {
        return XEN_DOMAIN_ALIVE;
    }
    return errno == 0 ? XEN_DOMAIN_DEAD : XEN_DOMAIN_UNKNOWN;
}

static void watch_free(XenWatch *w)
{
    g_free(w->path);
    g_free(w->token);
    g_free(w);
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
    if (!xs_watch(s->xs, path, w->token)) {
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
    xs_unwatch(s->xs, w->path, w->token);
    g_hash_table_remove(s->watches, w->token);
    if (w->pending) {
        g_queue_remove(&s->pending, w);
    }
    watch_free(w);
}
