/*
 * The host and its domains, inside.
 *
 * Two kinds of locks. host->lock guards which domains and ports exist and how they are
 * bound. It is taken by the host's thread and by calls that open, bind or close, never
 * by those that copy, notify or look for pending ports. Inside it a handle's own lock
 * (port-set.h) may be taken, never the other way round, and never two handles' at once.
 * XenStore belongs to the host's thread alone and needs none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_HOST_H
#define XENEMU_HOST_H

#include <glib.h>
#include <pthread.h>

#include "loop.h"
#include "port-set.h"
#include "rpc.h"
#include "store.h"
#include "xenemu.h"

#define HOST_PORTS        4096u
#define HOST_MAX_DOMAINS  64u
/* On the attach socket: domains and those that may become one. */
#define HOST_MAX_CLIENTS  (HOST_MAX_DOMAINS + 8)
#define HOST_MAX_STORE_CONNS 256u
#define HOST_GUEST_STORE_CONNS 8u
/* Of HOST_MAX_STORE_CONNS: guests, however many, cannot lock the toolstack out. */
#define HOST_DOM0_STORE_CONNS 32u
/* Descriptors of the process that guests cannot use up. */
#define HOST_RESERVED_FDS 64u

typedef struct Domain Domain;
typedef struct HostPort HostPort;
typedef struct StoreListener StoreListener;

typedef enum PortState {
    PORT_CLOSED,
    PORT_UNBOUND,
    PORT_INTERDOMAIN,
} PortState;

/* A port of a guest. Under host->lock. */
typedef struct GuestPort {
    PortState state;
    uint16_t remote_dom;
    HostPort *peer;  /* interdomain */
    int guest_wake;  /* eventfd that we write; the guest has it inside an epoll only */
    int host_wake;   /* eventfd that the guest writes; we only poll it */
} GuestPort;

/* A port of dom0, in a handle. Under host->lock, but for what port-set.h says. */
struct HostPort {
    Port port;
    XenemuEvtchn *handle;
    PortState state;
    uint16_t remote_dom;
    Domain *dom;          /* interdomain with a guest's port */
    uint32_t remote_port;
    HostPort *peer;       /* interdomain with one of dom0's own */
};

/* What Xen calls an active entry: who uses a grant now. Its own lock is a bit of it. */
typedef struct Active {
    uint32_t locked;
    uint32_t frame; /* as it was when the first pin was taken */
    uint32_t readers;
    uint32_t writers;
} Active;

struct Domain {
    Source source; /* the attach socket */
    XenemuHost *host;
    unsigned refs; /* atomic: the host's thread, gnttab handles, mappings */
    uint32_t dead; /* atomic */
    bool attached;
    uint16_t domid;
    int ram_fd;
    uint8_t *ram;
    uint32_t pages;
    Active *active; /* XENEMU_GRANT_REFS of them */
    int records_fd;
    PortRecord *records;
    GuestPort ports[XENEMU_PORTS];
    StoreListener *store;
};

typedef struct Fault {
    uint32_t left; /* atomic: 0: none, 1: the next one fails */
    int status;    /* atomic */
} Fault;

struct XenemuHost {
    char *path;
    char *store_path;
    Loop *loop;
    Source listener;
    int spare_fd;
    StoreListener *dom0_store;
    Store *store;
    unsigned n_store_conns;
    GSList *clients;               /* Domain, attached or not yet; host's thread */
    uint16_t next_domid;
    bool keep_nodes;
    pthread_mutex_t lock;
    Domain *domains[HOST_MAX_DOMAINS];
    HostPort *ports[HOST_PORTS];
    Fault faults[XENEMU_OP_COUNT];
    uint32_t mapped; /* atomic: pages that gnttab handles have mapped */
    uint32_t buffer_pages; /* atomic: of buffers that dom0 grants to itself, */
    uint32_t buffer_limit; /* atomic: at most so many */
    uint64_t pinned; /* atomic: segments copied from or to other memory of dom0 */
    int no_hypercalls;   /* atomic: an errno; 0: they may be made */
    uint64_t hypercalls; /* atomic: copies made by one */
};

/* True: this one is to fail, with *status. */
bool host_fault(XenemuHost *host, XenemuOp op, int *status);
/* False: no more descriptors for guests. @fd stays open. */
bool host_fd_allowed(int fd);

/* domain.c */
void domain_accept(XenemuHost *host, int fd);
/* A reference to a living domain, or NULL. Not with host->lock. */
Domain *domain_get(XenemuHost *host, uint16_t domid);
/* A borrowed one, with host->lock. */
Domain *domain_find_locked(XenemuHost *host, uint16_t domid);
Domain *domain_ref(Domain *d);
void domain_unref(Domain *d);
/* Kills the domain and drops the host's reference. Host's thread, or no thread. */
void domain_destroy(Domain *d);
static inline bool domain_is_dead(const Domain *d)
{
    return __atomic_load_n(&d->dead, __ATOMIC_ACQUIRE) != 0;
}

/* ports.c: what guests ask for, with host->lock. A port, status, 0 or -errno. */
int ports_guest_alloc(Domain *d, uint16_t remote_dom);
int ports_guest_bind(Domain *d, uint16_t remote_dom, uint32_t remote_port);
int ports_guest_close(Domain *d, uint32_t port);
int ports_guest_status(const Domain *d, uint32_t port);
void ports_guest_close_all(Domain *d);

/* store-server.c: XenStore's sockets. Host's thread, or no thread. NULL and *errmsg. */
StoreListener *store_listener_new(XenemuHost *host, const char *path, uint16_t domid,
                                  char **errmsg);
/* Closes its connections too. */
void store_listener_free(StoreListener *l);

/* toolstack.c: the nodes that a toolstack makes and removes around a domain. */
void toolstack_start(Store *store);
void toolstack_domain_created(Store *store, uint16_t domid, const char *name);
void toolstack_domain_destroyed(Store *store, uint16_t domid, bool keep_nodes);

#endif
