/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops-xenemu-ports.h"

#include <errno.h>
#include <stdlib.h>

struct XenEvtchn {
    XenemuEvtchn *h;
};

void ops_xenemu_set_error(GError **error, char *errmsg)
{
    g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, errmsg);
    free(errmsg);
}

XenEvtchn *ops_xenemu_evtchn_new(XenemuEvtchn *h, GError **error)
{
    int err = errno;
    XenEvtchn *e;

    if (!h) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(err),
                    "could not open event channels of the emulated Xen: %s", g_strerror(err));
        return NULL;
    }
    e = g_new0(XenEvtchn, 1);
    e->h = h;
    return e;
}

void ops_xenemu_evtchn_close(XenEvtchn *e)
{
    xenemu_evtchn_close(e->h);
    g_free(e);
}

int ops_xenemu_evtchn_fd(XenEvtchn *e)
{
    return xenemu_evtchn_fd(e->h);
}

int ops_xenemu_evtchn_bind_interdomain(XenEvtchn *e, uint16_t domid, uint32_t remote_port)
{
    return xenemu_evtchn_bind_interdomain(e->h, domid, remote_port);
}

int ops_xenemu_evtchn_alloc_unbound(XenEvtchn *e, uint16_t domid)
{
    return xenemu_evtchn_alloc_unbound(e->h, domid);
}

int ops_xenemu_evtchn_unbind(XenEvtchn *e, uint32_t port)
{
    return xenemu_evtchn_unbind(e->h, port);
}

int ops_xenemu_evtchn_notify(XenEvtchn *e, uint32_t port)
{
    return xenemu_evtchn_notify(e->h, port);
}

int ops_xenemu_evtchn_pending(XenEvtchn *e)
{
    return xenemu_evtchn_pending(e->h);
}

int ops_xenemu_evtchn_unmask(XenEvtchn *e, uint32_t port)
{
    return xenemu_evtchn_unmask(e->h, port);
}
