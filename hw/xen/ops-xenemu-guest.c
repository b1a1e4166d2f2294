/*
 * The emulated Xen, this process being one of its guests: a frontend's side. The rules
 * are in subprojects/xenemu; Xen.opaque is the XenemuGuest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xen-ops.h"

#include <errno.h>

#include "ops-xenemu-ports.h"

#define NO_REF UINT32_MAX

/* Pages that were granted together. */
typedef struct Grant {
    unsigned count;
    uint32_t refs[]; /* NO_REF: access has ended */
} Grant;

struct XenShare {
    XenemuGuest *guest;
    GHashTable *grants; /* address to Grant */
};

static void guest_close(Xen *xen)
{
    xenemu_guest_detach(xen->opaque);
}

static int guest_lost_fd(Xen *xen)
{
    return xenemu_guest_fd(xen->opaque);
}

static XenEvtchn *guest_evtchn_open(Xen *xen, GError **error)
{
    return ops_xenemu_evtchn_new(xenemu_guest_evtchn_open(xen->opaque), error);
}

static XenGnttab *guest_gnttab_open(Xen *xen, GError **error)
{
    g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
                        "a guest of an emulated Xen uses nobody's grants: only its host does");
    return NULL;
}

static XenShare *guest_share_open(Xen *xen, GError **error)
{
    XenShare *s = g_new0(XenShare, 1);

    s->guest = xen->opaque;
    s->grants = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    return s;
}

/* 0, or -EBUSY: some of it is used still. To be tried again. */
static int grant_end(XenShare *s, Grant *grant)
{
    int r = 0;

    for (unsigned i = 0; i < grant->count; i++) {
        if (grant->refs[i] == NO_REF) {
            continue;
        }
        if (xenemu_guest_end_access(s->guest, grant->refs[i]) == -EBUSY) {
            r = -EBUSY;
        } else {
            grant->refs[i] = NO_REF;
        }
    }
    return r;
}

static void *guest_share_alloc(XenShare *s, uint16_t domid, unsigned count, bool writable,
                               uint32_t *ret_refs)
{
    uint8_t *pages = xenemu_guest_alloc_pages(s->guest, count);
    Grant *grant;
    int r;

    if (!pages) {
        errno = ENOMEM;
        return NULL;
    }
    grant = g_malloc(sizeof(*grant) + count * sizeof(grant->refs[0]));
    for (grant->count = 0; grant->count < count; grant->count++) {
        r = xenemu_guest_grant_access(s->guest, domid, pages + grant->count * XEN_PAGE_SIZE,
                                      writable);
        if (r < 0) {
            grant_end(s, grant); /* nobody has heard of it */
            g_free(grant);
            xenemu_guest_free_pages(s->guest, pages, count);
            errno = -r;
            return NULL;
        }
        grant->refs[grant->count] = ret_refs[grant->count] = (uint32_t)r;
    }
    g_hash_table_insert(s->grants, pages, grant);
    return pages;
}

static int guest_share_free(XenShare *s, void *addr, unsigned count)
{
    Grant *grant = g_hash_table_lookup(s->grants, addr);
    int r;

    if (!grant || grant->count != count) {
        return -EINVAL;
    }
    r = grant_end(s, grant);
    if (r == 0) {
        g_hash_table_remove(s->grants, addr);
        xenemu_guest_free_pages(s->guest, addr, count);
    }
    return r;
}

static bool guest_share_in_use(XenShare *s, uint32_t ref)
{
    return xenemu_guest_in_use(s->guest, ref);
}

static void guest_share_close(XenShare *s)
{
    GHashTableIter iter;
    gpointer addr, grant;

    g_hash_table_iter_init(&iter, s->grants);
    while (g_hash_table_iter_next(&iter, &addr, &grant)) {
        /* What the peer still uses must not be handed out again: it stays taken. */
        if (grant_end(s, grant) == 0) {
            xenemu_guest_free_pages(s->guest, addr, ((Grant *)grant)->count);
        }
    }
    g_hash_table_destroy(s->grants);
    g_free(s);
}

static const XenOps guest_ops = {
    .name = "xenemu-guest",
    .close = guest_close,
    .lost_fd = guest_lost_fd,
    .evtchn_open = guest_evtchn_open,
    .evtchn_close = ops_xenemu_evtchn_close,
    .evtchn_fd = ops_xenemu_evtchn_fd,
    .evtchn_bind_interdomain = ops_xenemu_evtchn_bind_interdomain,
    .evtchn_alloc_unbound = ops_xenemu_evtchn_alloc_unbound,
    .evtchn_unbind = ops_xenemu_evtchn_unbind,
    .evtchn_notify = ops_xenemu_evtchn_notify,
    .evtchn_pending = ops_xenemu_evtchn_pending,
    .evtchn_unmask = ops_xenemu_evtchn_unmask,
    .gnttab_open = guest_gnttab_open,
    .share_open = guest_share_open,
    .share_close = guest_share_close,
    .share_alloc = guest_share_alloc,
    .share_free = guest_share_free,
    .share_in_use = guest_share_in_use,
};

Xen *xen_xenemu_open_guest(const char *path, int domid, size_t ram_size, GError **error)
{
    char *errmsg = NULL;
    XenemuGuest *guest = xenemu_guest_attach(path, domid, ram_size, NULL, &errmsg);
    Xen *xen;

    if (!guest) {
        ops_xenemu_set_error(error, errmsg);
        return NULL;
    }
    xen = g_new0(Xen, 1);
    xen->ops = &guest_ops;
    xen->domid = xenemu_guest_domid(guest);
    xen->emulated = true;
    xen->store_path = g_strdup(xenemu_guest_store_path(guest));
    xen->opaque = guest;
    return xen;
}
