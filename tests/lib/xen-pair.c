/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xen-pair.h"

#include <glib/gstdio.h>

#include "xenemu.h"

void xen_pair_up(XenPair *p)
{
    g_autoptr(GError) error = NULL;

    *p = (XenPair) { .dir = g_dir_make_tmp("ringtap-XXXXXX", NULL) };
    p->path = g_build_filename(p->dir, "xen", NULL);
    p->host = xen_xenemu_open_host(p->path, &error);
    g_assert_no_error(error);
    p->guest = xen_xenemu_open_guest(p->path, XEN_PAIR_DOMID, XEN_PAIR_RAM, &error);
    g_assert_no_error(error);
}

void xen_pair_grant(XenPair *p, unsigned n)
{
    p->gnttab = p->host->ops->gnttab_open(p->host, NULL);
    p->share = p->guest->ops->share_open(p->guest, NULL);
    p->n_pages = n;
    p->refs = g_new(uint32_t, n);
    p->pages = p->guest->ops->share_alloc(p->share, 0, n, true, p->refs);
    g_assert_nonnull(p->pages);
}

unsigned xen_pair_mapped(const XenPair *p)
{
    unsigned n, ports;

    xenemu_host_usage(p->host->opaque, &n, &ports);
    return n;
}

void xen_pair_down(XenPair *p)
{
    g_assert_cmpuint(xen_pair_mapped(p), ==, 0);
    if (p->n_pages > 0) {
        p->host->ops->gnttab_close(p->gnttab);
        g_assert_cmpint(p->guest->ops->share_free(p->share, p->pages, p->n_pages), ==, 0);
        p->guest->ops->share_close(p->share);
    }
    xen_close(p->guest);
    xen_close(p->host);
    g_assert_cmpint(g_rmdir(p->dir), ==, 0);
    g_free(p->refs);
    g_free(p->path);
    g_free(p->dir);
}
