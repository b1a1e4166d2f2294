/*
 * Pages that netfront shared and has no use for any more. The backend may have one: its
 * queues run until it has heard of our end, and what they would find behind a grant that
 * ended is an error, or what the grant was used for next. So they stay shared until the
 * backend says that it let go, and if it never does, until the process ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netfront-internal.h"

#include <errno.h>

#define PAGES_INTERVAL_MS 20 /* to look whether the backend has let go of pages */
#define PAGES_TRIES       250

static void pages_clear(gpointer opaque)
{
    NetfrontPages *p = opaque;

    g_clear_pointer(&p->be, g_free);
}

GArray *netfront_pages_new(void)
{
    GArray *pages = g_array_new(false, false, sizeof(NetfrontPages));

    g_array_set_clear_func(pages, pages_clear);
    return pages;
}

bool netfront_pages_try(Netfront *nf)
{
    g_autofree char *be = NULL;
    bool released = false;

    for (guint i = nf->pages->len; i > 0; i--) {
        NetfrontPages *p = &g_array_index(nf->pages, NetfrontPages, i - 1);

        if (p->be && g_strcmp0(p->be, be) != 0) {
            g_free(be);
            be = g_strdup(p->be);
            released = nf->lost || netfront_store_released(nf, be);
        }
        if (p->be && !released) {
            continue;
        }
        g_clear_pointer(&p->be, g_free); /* by this path it may be another one the next time */
        if (nf->env.xen->ops->share_free(nf->share, p->addr, p->count) != -EBUSY) {
            g_array_remove_index_fast(nf->pages, i - 1);
        }
    }
    if (nf->pages->len == 0 && nf->pages_timer) {
        g_source_remove(nf->pages_timer);
        nf->pages_timer = 0;
    }
    return nf->pages->len == 0;
}

static gboolean pages_timer(gpointer opaque)
{
    Netfront *nf = opaque;

    if (!netfront_pages_try(nf) && ++nf->pages_tries < PAGES_TRIES) {
        return G_SOURCE_CONTINUE;
    }
    nf->pages_timer = 0;
    netfront_pages_settled(nf);
    return G_SOURCE_REMOVE;
}

void netfront_pages_add(Netfront *nf, void *addr, unsigned count)
{
    NetfrontPages p = { .addr = addr, .count = count };

    if (!addr || (!nf->offered && nf->env.xen->ops->share_free(nf->share, addr, count) != -EBUSY)) {
        return;
    }
    p.be = nf->offered ? g_strdup(nf->be) : NULL;
    g_array_append_val(nf->pages, p);
    nf->pages_tries = 0;
    if (!nf->pages_timer) {
        nf->pages_timer = g_timeout_add(PAGES_INTERVAL_MS, pages_timer, nf);
    }
}

void netfront_pages_close(Netfront *nf)
{
    bool used = false;

    netfront_pages_try(nf);
    for (guint i = 0; i < nf->pages->len; i++) {
        used |= g_array_index(nf->pages, NetfrontPages, i).be != NULL;
    }
    if (used) {
        xen_leave_share(nf->env.xen, nf->share);
    } else {
        nf->env.xen->ops->share_close(nf->share);
    }
}
