/*
 * A guest's event channels: the host makes ports, everything else is in shared memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#include <errno.h>
#include <glib.h>

#include "evtchn.h"
#include "sock.h"

/* It owns its descriptors: an epoll around the eventfd that wakes us, and the host's. */
typedef struct GuestEnd {
    Port port;
    int wake_fd;
    int host_fd;
} GuestEnd;

/* Enters the port that the host made, with its descriptors. The port, or -errno. */
static int guest_port_enter(XenemuEvtchn *e, int number, int fds[2])
{
    XenemuGuest *guest = e->owner;
    PortRecord *rec;
    GuestEnd *end;
    int r;

    if (number <= 0 || number >= (int)XENEMU_PORTS || fds[0] < 0) {
        sock_close(&fds[0]);
        sock_close(&fds[1]);
        return -EPROTO;
    }
    rec = &guest->records[number];
    end = g_new0(GuestEnd, 1);
    port_init(&end->port, (uint32_t)number);
    /* Not port_set_connect()'s to clear: it is pending already if we bound it. */
    end->port.mine = &rec->guest;
    end->wake_fd = fds[0];
    end->host_fd = fds[1];
    port_set_add(&e->set, &end->port);
    r = port_set_connect(&e->set, &end->port, NULL, &rec->host, end->host_fd, end->wake_fd);
    if (r < 0) {
        e->ops->unbind(e, (uint32_t)number);
        return r;
    }
    return number;
}

static int guest_new_port(XenemuEvtchn *e, const RpcRequest *req)
{
    RpcAnswer ans;
    int fds[2];
    int r = guest_call(e->owner, req, &ans, fds);

    return r < 0 ? r : guest_port_enter(e, r, fds);
}

static int guest_alloc_unbound(XenemuEvtchn *e, uint16_t domid)
{
    const RpcRequest req = { .magic = RPC_MAGIC, .op = RPC_ALLOC_UNBOUND, .domid = domid };

    return guest_new_port(e, &req);
}

static int guest_bind(XenemuEvtchn *e, uint16_t domid, uint32_t remote_port)
{
    const RpcRequest req = { .magic = RPC_MAGIC, .op = RPC_BIND, .domid = domid,
                             .port = remote_port };

    return guest_new_port(e, &req);
}

static int guest_unbind(XenemuEvtchn *e, uint32_t port)
{
    Port *p = port_set_find(&e->set, port);
    GuestEnd *end;

    if (!p) {
        return -ENOTCONN;
    }
    end = (GuestEnd *)p;
    port_set_remove(&e->set, p);
    /* If the host is gone, so is the port. */
    guest_close_port(e->owner, port);
    sock_close(&end->wake_fd);
    sock_close(&end->host_fd);
    g_free(end);
    return 0;
}

static int guest_status(XenemuEvtchn *e, uint32_t port)
{
    const RpcRequest req = { .magic = RPC_MAGIC, .op = RPC_STATUS, .port = port };
    RpcAnswer ans;
    int fds[2];

    return guest_call(e->owner, &req, &ans, fds);
}

static int guest_fault(XenemuEvtchn *e, XenemuOp op)
{
    return 0; /* those are for dom0 */
}

XenemuEvtchn *xenemu_guest_evtchn_open(XenemuGuest *guest)
{
    static const EvtchnOps ops = {
        .alloc_unbound = guest_alloc_unbound,
        .bind_interdomain = guest_bind,
        .unbind = guest_unbind,
        .status = guest_status,
        .fault = guest_fault,
    };

    return evtchn_new(&ops, guest);
}
