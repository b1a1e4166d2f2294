/*
 * The states of ports (xen/event_channel.h), of dom0 and of guests. A channel leads
 * between dom0 and a guest, or between two ports of dom0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include <xen/xen.h>
#include <xen/event_channel.h>

#include "evtchn.h"
#include "sock.h"

/* --- both ends --- */

/* dom0's @hp is alone again: unbound, still reserved for the other end's domain. */
static void host_port_release(HostPort *hp)
{
    port_set_disconnect(&hp->handle->set, &hp->port);
    hp->state = PORT_UNBOUND;
    hp->dom = NULL;
    hp->peer = NULL;
}

static int connect_guest(HostPort *hp, Domain *d, uint32_t port)
{
    GuestPort *gp = &d->ports[port];
    PortRecord *rec = &d->records[port];
    int r = port_set_connect(&hp->handle->set, &hp->port, &rec->host, &rec->guest,
                             gp->guest_wake, gp->host_wake);

    if (r < 0) {
        return r;
    }
    hp->state = PORT_INTERDOMAIN;
    hp->remote_dom = d->domid;
    hp->dom = d;
    hp->remote_port = port;
    gp->state = PORT_INTERDOMAIN;
    gp->remote_dom = 0;
    gp->peer = hp;
    return 0;
}

/* --- guests --- */

static bool guest_port_valid(const Domain *d, uint32_t port)
{
    return port > 0 && port < XENEMU_PORTS && d->ports[port].state != PORT_CLOSED;
}

/* A port of @d in no state yet, with what carries its events. */
static int guest_port_new(Domain *d)
{
    uint32_t port;
    GuestPort *gp;

    for (port = 1; port < XENEMU_PORTS && d->ports[port].state != PORT_CLOSED; port++) {
    }
    if (port == XENEMU_PORTS) {
        return -ENOSPC;
    }
    gp = &d->ports[port];
    gp->guest_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    gp->host_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!host_fd_allowed(gp->guest_wake) || !host_fd_allowed(gp->host_wake)) {
        sock_close(&gp->guest_wake);
        sock_close(&gp->host_wake);
        return -ENFILE;
    }
    __atomic_store_n(&d->records[port].guest, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&d->records[port].host, 0, __ATOMIC_SEQ_CST);
    return (int)port;
}

static void guest_port_free(GuestPort *gp)
{
    sock_close(&gp->guest_wake);
    sock_close(&gp->host_wake);
    gp->peer = NULL;
    gp->state = PORT_CLOSED;
}

int ports_guest_alloc(Domain *d, uint16_t remote_dom)
{
    int port = guest_port_new(d);

    if (port > 0) {
        d->ports[port].state = PORT_UNBOUND;
        d->ports[port].remote_dom = remote_dom == DOMID_SELF ? d->domid : remote_dom;
    }
    return port;
}

int ports_guest_bind(Domain *d, uint16_t remote_dom, uint32_t remote_port)
{
    HostPort *hp;
    int port, r;

    if (remote_dom != 0) {
        return domain_find_locked(d->host, remote_dom) ? -EOPNOTSUPP : -ESRCH;
    }
    hp = remote_port < HOST_PORTS ? d->host->ports[remote_port] : NULL;
    if (!hp || hp->state != PORT_UNBOUND || hp->remote_dom != d->domid) {
        return -EINVAL;
    }
    port = guest_port_new(d);
    if (port < 0) {
        return port;
    }
    r = connect_guest(hp, d, (uint32_t)port);
    if (r < 0) {
        guest_port_free(&d->ports[port]);
        return r;
    }
    port_raise(&d->records[port].guest, d->ports[port].guest_wake);
    return port;
}

int ports_guest_close(Domain *d, uint32_t port)
{
    GuestPort *gp;

    if (!guest_port_valid(d, port)) {
        return -EINVAL;
    }
    gp = &d->ports[port];
    if (gp->state == PORT_INTERDOMAIN) {
        host_port_release(gp->peer);
    }
    guest_port_free(gp);
    return 0;
}

int ports_guest_status(const Domain *d, uint32_t port)
{
    return port > 0 && port < XENEMU_PORTS ? (int)d->ports[port].state : -EINVAL;
}

void ports_guest_close_all(Domain *d)
{
    for (uint32_t port = 1; port < XENEMU_PORTS; port++) {
        ports_guest_close(d, port);
    }
}

/* --- dom0 --- */

/* A port in @e, unbound; with host->lock. */
static int host_port_new(XenemuEvtchn *e, uint16_t remote_dom, HostPort **ret)
{
    XenemuHost *host = e->owner;
    uint32_t number;
    HostPort *hp;

    for (number = 1; number < HOST_PORTS && host->ports[number]; number++) {
    }
    if (number == HOST_PORTS) {
        return -ENOSPC;
    }
    hp = g_new0(HostPort, 1);
    port_init(&hp->port, number);
    hp->handle = e;
    hp->state = PORT_UNBOUND;
    hp->remote_dom = remote_dom;
    port_set_add(&e->set, &hp->port);
    host->ports[number] = hp;
    *ret = hp;
    return (int)number;
}

static void host_port_free(HostPort *hp)
{
    XenemuHost *host = hp->handle->owner;

    port_set_remove(&hp->handle->set, &hp->port);
    host->ports[hp->port.number] = NULL;
    g_free(hp);
}

static int host_alloc_unbound(XenemuEvtchn *e, uint16_t domid)
{
    XenemuHost *host = e->owner;
    HostPort *hp;
    int r;

    pthread_mutex_lock(&host->lock);
    r = host_port_new(e, domid == DOMID_SELF ? 0 : domid, &hp);
    pthread_mutex_unlock(&host->lock);
    return r;
}

/* A channel inside dom0: each end's word is its own, each is woken by its handle. */
static int host_bind_self(XenemuEvtchn *e, uint32_t remote_port)
{
    XenemuHost *host = e->owner;
    HostPort *peer = remote_port < HOST_PORTS ? host->ports[remote_port] : NULL;
    HostPort *hp;
    int r;

    if (!peer || peer->state != PORT_UNBOUND || peer->remote_dom != 0) {
        return -EINVAL;
    }
    r = host_port_new(e, 0, &hp);
    if (r < 0) {
        return r;
    }
    port_set_connect(&e->set, &hp->port, NULL, &peer->port.own, peer->handle->set.self_fd, -1);
    port_set_connect(&peer->handle->set, &peer->port, NULL, &hp->port.own, e->set.self_fd, -1);
    hp->state = peer->state = PORT_INTERDOMAIN;
    hp->peer = peer;
    peer->peer = hp;
    hp->remote_port = remote_port;
    peer->remote_port = hp->port.number;
    port_set_raise(&e->set, &hp->port);
    return r;
}

static int host_bind_guest(XenemuEvtchn *e, uint16_t domid, uint32_t remote_port)
{
    Domain *d = domain_find_locked(e->owner, domid);
    GuestPort *gp;
    HostPort *hp;
    int number, r;

    if (!d) {
        return -ESRCH;
    }
    gp = remote_port < XENEMU_PORTS ? &d->ports[remote_port] : NULL;
    if (!gp || gp->state != PORT_UNBOUND || gp->remote_dom != 0) {
        return -EINVAL;
    }
    number = host_port_new(e, domid, &hp);
    if (number < 0) {
        return number;
    }
    r = connect_guest(hp, d, remote_port);
    if (r < 0) {
        host_port_free(hp);
        return r;
    }
    /* The guest may have notified before: look once, whatever its port says. */
    port_set_raise(&e->set, &hp->port);
    return number;
}

static int host_bind(XenemuEvtchn *e, uint16_t domid, uint32_t remote_port)
{
    XenemuHost *host = e->owner;
    int r;

    pthread_mutex_lock(&host->lock);
    if (domid == 0 || domid == DOMID_SELF) {
        r = host_bind_self(e, remote_port);
    } else {
        r = host_bind_guest(e, domid, remote_port);
    }
    pthread_mutex_unlock(&host->lock);
    return r;
}

static int host_unbind(XenemuEvtchn *e, uint32_t port)
{
    XenemuHost *host = e->owner;
    HostPort *hp;
    GuestPort *gp;

    pthread_mutex_lock(&host->lock);
    hp = port < HOST_PORTS ? host->ports[port] : NULL;
    if (!hp || hp->handle != e) {
        pthread_mutex_unlock(&host->lock);
        return -ENOTCONN;
    }
    if (hp->peer) {
        host_port_release(hp->peer);
    } else if (hp->state == PORT_INTERDOMAIN) {
        gp = &hp->dom->ports[hp->remote_port];
        gp->state = PORT_UNBOUND;
        gp->peer = NULL;
    }
    host_port_free(hp);
    pthread_mutex_unlock(&host->lock);
    return 0;
}

static int host_status(XenemuEvtchn *e, uint32_t port)
{
    XenemuHost *host = e->owner;
    int r = -EINVAL;

    pthread_mutex_lock(&host->lock);
    if (port > 0 && port < HOST_PORTS) {
        r = host->ports[port] ? (int)host->ports[port]->state : EVTCHNSTAT_closed;
    }
    pthread_mutex_unlock(&host->lock);
    return r;
}

static int host_evtchn_fault(XenemuEvtchn *e, XenemuOp op)
{
    int status;

    return host_fault(e->owner, op, &status) ? status : 0;
}

XenemuEvtchn *xenemu_host_evtchn_open(XenemuHost *host)
{
    static const EvtchnOps ops = {
        .alloc_unbound = host_alloc_unbound,
        .bind_interdomain = host_bind,
        .unbind = host_unbind,
        .status = host_status,
        .fault = host_evtchn_fault,
    };

    G_STATIC_ASSERT((int)PORT_UNBOUND == EVTCHNSTAT_unbound);
    G_STATIC_ASSERT((int)PORT_INTERDOMAIN == EVTCHNSTAT_interdomain);
    return evtchn_new(&ops, host);
}
