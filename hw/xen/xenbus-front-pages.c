/*
 * Pages that a frontend shared and has no use for any more. The backend may have one: its
 * queues run until it has heard of our end, and what they would find behind a grant that
 * ended is an error, or what the grant was used for next. So they stay shared until the
 * backend says that it let go, and if it never does, until the process ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "xenbus-front-internal.h"

#define PAGES_INTERVAL_MS 20 /* to look whether the backend has let go of pages */
#define PAGES_TRIES       250

typedef struct FrontPages {
    void *addr;
    unsigned count;
    char *be; /* until it has let go: the backend that was told of them. Else NULL */
} FrontPages;

static void pages_clear(gpointer opaque)
{
    FrontPages *p = opaque;

    g_clear_pointer(&p->be, g_free);
}

GArray *xenbus_front_pages_new(void)
{
    GArray *pages = g_array_new(false, false, sizeof(FrontPages));

    g_array_set_clear_func(pages, pages_clear);
    return pages;
}

bool xenbus_front_pages_try(XenbusFront *f)
{
    g_autofree char *be = NULL;
    bool released = false;

    for (guint i = f->pages->len; i > 0; i--) {
        FrontPages *p = &g_array_index(f->pages, FrontPages, i - 1);

        if (p->be && g_strcmp0(p->be, be) != 0) {
            g_free(be);
            be = g_strdup(p->be);
            released = f->lost || xenbus_front_released(f, be);
        }
        if (p->be && !released) {
            continue;
        }
        g_clear_pointer(&p->be, g_free); /* by this path it may be another one the next time */
        if (f->xen->ops->share_free(f->share, p->addr, p->count) != -EBUSY) {
            g_array_remove_index_fast(f->pages, i - 1);
        }
    }
    if (f->pages->len == 0) {
        g_clear_handle_id(&f->pages_timer, g_source_remove);
    }
    return f->pages->len == 0;
}

static gboolean pages_timer(gpointer opaque)
{
    XenbusFront *f = opaque;

    if (!xenbus_front_pages_try(f) && ++f->pages_tries < PAGES_TRIES) {
        return G_SOURCE_CONTINUE;
    }
    f->pages_timer = 0;
    xenbus_front_settled(f);
    return G_SOURCE_REMOVE;
}

/* Where the limit is that was met. */
static const char *pages_limit(const Xen *xen, int err)
{
    if (!xen->emulated) {
        /* gntalloc's for all, of 1024 pages if nobody raised it */
        return " (see /sys/module/xen_gntalloc/parameters/limit)";
    }
    return err == ENOMEM ? " (see ram= of -accel xenemu)" : " (the grant table is full)";
}

void *xenbus_front_share(XenbusFront *f, unsigned queue, unsigned count, bool writable,
                         uint32_t *ret_refs, GError **error)
{
    void *addr = f->xen->ops->share_alloc(f->share, f->backend_id, count, writable, ret_refs);

    if (!addr) {
        int saved = errno;

        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(saved),
                    "cannot share %u pages of queue %u with domain %u: %s%s", count, queue,
                    f->backend_id, g_strerror(saved), pages_limit(f->xen, saved));
    }
    return addr;
}

void xenbus_front_unshare(XenbusFront *f, void *addr, unsigned count)
{
    FrontPages p = { .addr = addr, .count = count };

    if (!addr || (!f->offered && f->xen->ops->share_free(f->share, addr, count) != -EBUSY)) {
        return;
    }
    p.be = f->offered ? g_strdup(f->be) : NULL;
    g_array_append_val(f->pages, p);
    f->pages_tries = 0;
    if (!f->pages_timer) {
        f->pages_timer = g_timeout_add(PAGES_INTERVAL_MS, pages_timer, f);
    }
}

void xenbus_front_pages_done(XenbusFront *f)
{
    bool used = false;

    xenbus_front_pages_try(f);
    for (guint i = 0; i < f->pages->len; i++) {
        used |= g_array_index(f->pages, FrontPages, i).be != NULL;
    }
    if (used) {
        xen_leave_share(f->xen, f->share);
    } else {
        f->xen->ops->share_close(f->share);
    }
    f->share = NULL;
    g_clear_handle_id(&f->pages_timer, g_source_remove);
    g_clear_pointer(&f->pages, g_array_unref);
}
