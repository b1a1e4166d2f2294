/*
 * What is there now counts, and not what changed: the toolstack's nodes, and the claims of those
 * who serve them, here and in other programs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xenbus-attach.h"

#include <errno.h>

#include "util/options.h"

#define AGAIN_MS 500

struct XenbusAttach {
    XenbusAttachConfig config;
    Xen *xen;
    XenStore *store;
    char *dir;      /* of the guest's backends of this kind */
    GArray *refused; /* unsigned: devices with an error node of ours */
    XenWatch *watch;
    guint again;     /* looks once more, because of what another program has */
};

static char *attach_error_path(const XenbusAttach *a, unsigned idx)
{
    return g_strdup_printf("/local/domain/%u/error/backend/%s/%u/%u", a->xen->domid,
                           a->config.back->kind, a->config.frontend_id, idx);
}

/* --- devices that cannot be served --- */

typedef struct AttachRefusal {
    const XenbusAttach *a;
    const char *be;
    const char *error_path;
    const char *reason;
} AttachRefusal;

/*
 * Closed: the guest does not wait for it, which Linux does for minutes when it boots. Unless the
 * toolstack was faster, and has removed it.
 */
static bool attach_write_refusal(XenStore *s, XenTx tx, void *opaque)
{
    const AttachRefusal *r = opaque;

    if (!xen_store_has(s, tx, r->be, "frontend")) {
        return true;
    }
    return xen_store_printf(s, tx, r->be, "state", "%d", XenbusStateClosed) &&
           xen_store_mkdir(s, tx, r->error_path, r->a->xen->domid, r->a->config.frontend_id) &&
           xen_store_printf(s, tx, r->error_path, "error", "%s", r->reason);
}

/* Of @message, which may have a hint in a second line, a line is made. */
static void attach_refuse(XenbusAttach *a, unsigned idx, const char *be, const char *message)
{
    g_autofree char *error_path = attach_error_path(a, idx);
    g_auto(GStrv) lines = g_strsplit(message, "\n", -1);
    g_autofree char *reason = g_strjoinv(": ", lines);
    AttachRefusal r = { a, be, error_path, reason };

    xen_store_transaction(a->store, attach_write_refusal, &r);
    g_array_append_val(a->refused, idx);
    a->config.refused(a->config.opaque, be, reason);
}

/* Of the @nth refused. */
static void attach_forget(XenbusAttach *a, guint nth)
{
    g_autofree char *path = attach_error_path(a, g_array_index(a->refused, unsigned, nth));
    g_autofree char *parent = g_path_get_dirname(path);

    xen_store_remove(a->store, 0, path);
    xen_store_remove_empty(a->store, parent);
    g_array_remove_index_fast(a->refused, nth);
}

static void attach_forget_gone(XenbusAttach *a, const char *const *names)
{
    for (guint i = a->refused->len; i > 0; i--) {
        g_autofree char *name = g_strdup_printf("%u",
                                                g_array_index(a->refused, unsigned, i - 1));

        if (!g_strv_contains(names, name)) {
            attach_forget(a, i - 1);
        }
    }
}

/* --- those that can --- */

static bool attach_is_number(const XenbusAttach *a, const char *be, const char *key, uint64_t want)
{
    uint64_t v;

    return xen_store_read_uint(a->store, 0, be, key, UINT32_MAX, &v) && v == want;
}

/* A toolstack that takes a device away by force takes the frontend's directory first. */
static bool attach_has_front(const XenbusAttach *a, const char *be)
{
    g_autofree char *path = g_strdup_printf("%s/frontend", be);
    g_autofree char *fe = xen_store_read(a->store, 0, path);

    return fe && xen_store_has(a->store, 0, fe, "state");
}

static bool attach_is_wanted(const XenbusAttach *a, const char *be)
{
    const XenbusBackOps *back = a->config.back;

    return xen_store_has(a->store, 0, be, back->toolstack_key) &&
           attach_is_number(a, be, "online", 1) &&
           (attach_is_number(a, be, "state", XenbusStateInitialising) ||
            (back->own_key && xen_store_has(a->store, 0, be, back->own_key))) &&
           attach_has_front(a, be) &&
           xen_store_domain_state(a->store, a->config.frontend_id) != XEN_DOMAIN_DEAD;
}

static gboolean attach_again(gpointer opaque)
{
    XenbusAttach *a = opaque;

    a->again = 0;
    xenbus_attach_look(a);
    return G_SOURCE_REMOVE;
}

/*
 * One in another program may have been killed just now, and its claim ends a little later than it
 * is gone, which nothing tells.
 */
static bool attach_has_backend(XenbusAttach *a, unsigned idx)
{
    const XenbusBackOps *back = a->config.back;
    const char *kind = back->front_kind ? back->front_kind : back->kind;
    XenClaim *c;

    if (xen_is_claimed_here(a->xen, kind, a->config.frontend_id, idx)) {
        return true;
    }
    c = xen_claim(a->xen, kind, a->config.frontend_id, idx);
    xen_unclaim(a->xen, c);
    if (!c && !a->again) {
        a->again = g_timeout_add(AGAIN_MS, attach_again, a);
    }
    return c == NULL;
}

/* First of all without XenStore: what a backend of ours writes there makes us look, too. */
static void attach_look_at(XenbusAttach *a, const char *name)
{
    g_autofree char *be = g_strdup_printf("%s/%s", a->dir, name);
    g_autoptr(GError) error = NULL;
    uint64_t idx;

    if (!opt_parse_uint(name, a->config.back->max_idx - 1, &idx) ||
        attach_has_backend(a, (unsigned)idx) || !attach_is_wanted(a, be)) {
        return;
    }
    if (!a->config.attach(a->config.opaque, (unsigned)idx, be, &error)) {
        attach_refuse(a, (unsigned)idx, be, error->message);
    }
}

void xenbus_attach_look(XenbusAttach *a)
{
    g_auto(GStrv) names = xen_store_list(a->store, 0, a->dir);

    if (!names && errno != ENOENT) {
        return; /* the watch calls again once XenStore answers */
    }
    attach_forget_gone(a, names ? (const char *const *)names : (const char *const[]) { NULL });
    for (unsigned i = 0; names && names[i]; i++) {
        attach_look_at(a, names[i]);
    }
}

/* --- its life --- */

static void attach_changed(void *opaque)
{
    xenbus_attach_look(opaque);
}

XenbusAttach *xenbus_attach_new(Xen *xen, XenStore *store, const XenbusAttachConfig *config,
                                GError **error)
{
    XenbusAttach *a = g_new0(XenbusAttach, 1);

    a->config = *config;
    a->xen = xen;
    a->store = store;
    a->refused = g_array_new(FALSE, FALSE, sizeof(unsigned));
    a->dir = g_strdup_printf("/local/domain/%u/backend/%s/%u", xen->domid, config->back->kind,
                             config->frontend_id);
    a->watch = xen_store_watch(store, a->dir, attach_changed, a, error);
    if (!a->watch) {
        xenbus_attach_free(a);
        return NULL;
    }
    xenbus_attach_look(a);
    return a;
}

void xenbus_attach_free(XenbusAttach *a)
{
    if (!a) {
        return;
    }
    xen_store_unwatch(a->watch);
    g_clear_handle_id(&a->again, g_source_remove);
    while (a->refused->len > 0) {
        attach_forget(a, 0);
    }
    g_array_unref(a->refused);
    g_free(a->dir);
    g_free(a);
}
