/*
 * Domains: a connection to the attach socket, the memory that it gets, and its end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xen/xen.h>

#include "sock.h"

Domain *domain_ref(Domain *d)
{
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
    return d;
}

void domain_unref(Domain *d)
{
    if (__atomic_fetch_sub(&d->refs, 1, __ATOMIC_ACQ_REL) > 1) {
        return;
    }
    if (d->ram) {
        munmap(d->ram, (size_t)d->pages * XENEMU_PAGE_SIZE);
    }
    if (d->records) {
        munmap(d->records, RPC_RECORDS_SIZE);
    }
    if (d->active) {
        munmap(d->active, XENEMU_GRANT_REFS * sizeof(Active));
    }
    sock_close(&d->ram_fd);
    sock_close(&d->records_fd);
    g_free(d);
}

Domain *domain_find_locked(XenemuHost *host, uint16_t domid)
{
    for (unsigned i = 0; i < HOST_MAX_DOMAINS; i++) {
        if (host->domains[i] && host->domains[i]->domid == domid) {
            return host->domains[i];
        }
    }
    return NULL;
}

Domain *domain_get(XenemuHost *host, uint16_t domid)
{
    Domain *d;

    pthread_mutex_lock(&host->lock);
    d = domain_find_locked(host, domid);
    if (d) {
        domain_ref(d);
    }
    pthread_mutex_unlock(&host->lock);
    return d;
}

/*
 * Memory that the guest has too. Sealed: a guest that made it smaller would kill us
 * with SIGBUS. 0, or -ENFILE or -ENOMEM: what we lack.
 */
static int shared_memory_new(const char *name, size_t size, void *ret, int *ret_fd)
{
    void *p;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (!host_fd_allowed(fd)) {
        sock_close(&fd);
        return -ENFILE;
    }
    if (ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        sock_close(&fd);
        return -ENOMEM;
    }
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        sock_close(&fd);
        return -ENOMEM;
    }
    madvise(p, size, MADV_DONTFORK);
    *ret_fd = fd;
    memcpy(ret, &p, sizeof(p));
    return 0;
}

static int domain_make_memory(Domain *d, uint64_t ram_size)
{
    int r;

    d->pages = (uint32_t)(ram_size / XENEMU_PAGE_SIZE);
    r = shared_memory_new("xenemu-ram", ram_size, &d->ram, &d->ram_fd);
    if (r == 0) {
        r = shared_memory_new("xenemu-ports", RPC_RECORDS_SIZE, &d->records, &d->records_fd);
    }
    if (r < 0) {
        return r;
    }
    d->active = mmap(NULL, XENEMU_GRANT_REFS * sizeof(Active), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (d->active == MAP_FAILED) {
        d->active = NULL;
        return -ENOMEM;
    }
    return 0;
}

/* With host->lock. The domid, or -errno. */
static int domain_choose_id(XenemuHost *host, int32_t wanted)
{
    if (wanted >= 0) {
        if (wanted == 0 || wanted >= (int32_t)DOMID_FIRST_RESERVED) {
            return -EINVAL;
        }
        return domain_find_locked(host, (uint16_t)wanted) ? -EEXIST : wanted;
    }
    /* At most HOST_MAX_DOMAINS are taken. */
    do {
        host->next_domid = (uint16_t)(host->next_domid % (DOMID_FIRST_RESERVED - 1) + 1);
    } while (domain_find_locked(host, host->next_domid));
    return host->next_domid;
}

/* Puts @d among the living. 0 or -errno. */
static int domain_enter(Domain *d, int32_t wanted)
{
    XenemuHost *host = d->host;
    unsigned slot = 0;
    int r;

    pthread_mutex_lock(&host->lock);
    r = domain_choose_id(host, wanted);
    if (r > 0) {
        while (slot < HOST_MAX_DOMAINS && host->domains[slot]) {
            slot++;
        }
        if (slot == HOST_MAX_DOMAINS) {
            r = -ENOSPC;
        } else {
            d->domid = (uint16_t)r;
            host->domains[slot] = d;
            d->attached = true;
        }
    }
    pthread_mutex_unlock(&host->lock);
    return r < 0 ? r : 0;
}

static void domain_leave(Domain *d)
{
    XenemuHost *host = d->host;

    pthread_mutex_lock(&host->lock);
    __atomic_store_n(&d->dead, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < HOST_MAX_DOMAINS; i++) {
        if (host->domains[i] == d) {
            host->domains[i] = NULL;
        }
    }
    ports_guest_close_all(d);
    pthread_mutex_unlock(&host->lock);
}

void domain_destroy(Domain *d)
{
    XenemuHost *host = d->host;

    host->clients = g_slist_remove(host->clients, d);
    if (d->attached) {
        domain_leave(d);
    }
    if (d->store) {
        store_listener_free(d->store);
        toolstack_domain_destroyed(host->store, d->domid, host->keep_nodes);
    }
    loop_remove(host->loop, &d->source);
    sock_close(&d->source.fd);
    domain_unref(d);
}

/* --- what the guest says --- */

static int domain_attach(Domain *d, const RpcRequest *req, RpcAnswer *ans)
{
    g_autofree char *path = NULL;
    g_autofree char *name = g_strndup(req->name, sizeof(req->name));
    char *errmsg = NULL;
    int r;

    if (d->attached || req->ram_size < XENEMU_RAM_MIN || req->ram_size > XENEMU_RAM_MAX ||
        req->ram_size % XENEMU_PAGE_SIZE != 0 || !g_utf8_validate(name, -1, NULL)) {
        return -EINVAL;
    }
    r = d->ram ? 0 : domain_make_memory(d, req->ram_size);
    if (r < 0) {
        return r;
    }
    r = domain_enter(d, req->domid);
    if (r < 0) {
        return r;
    }
    path = g_strdup_printf("%s.%u", d->host->store_path, d->domid);
    d->store = store_listener_new(d->host, path, d->domid, &errmsg);
    if (!d->store) {
        g_free(errmsg);
        return errno == EMFILE || errno == ENFILE ? -ENFILE : -EADDRINUSE;
    }
    toolstack_domain_created(d->host->store, d->domid, name);
    ans->domid = d->domid;
    g_strlcpy(ans->store_path, path, sizeof(ans->store_path));
    return 0;
}

/* What the guest polls: not the eventfd, whose counter and flags would then be its to spoil. */
static int wake_epoll_new(int eventfd)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, eventfd, &ev) < 0) {
        sock_close(&fd);
    }
    return fd;
}

/* @port is new: its descriptors go with the answer. */
static int domain_port_fds(Domain *d, int port, int fds[2])
{
    fds[0] = wake_epoll_new(d->ports[port].guest_wake);
    if (fds[0] < 0) {
        ports_guest_close(d, (uint32_t)port);
        return -ENFILE;
    }
    fds[1] = d->ports[port].host_wake;
    return port;
}

static int domain_port_request(Domain *d, const RpcRequest *req, int fds[2])
{
    int r = -EINVAL;

    if (req->domid < 0 || req->domid > UINT16_MAX) {
        return -EINVAL;
    }
    pthread_mutex_lock(&d->host->lock);
    switch (req->op) {
    case RPC_ALLOC_UNBOUND:
        r = ports_guest_alloc(d, (uint16_t)req->domid);
        break;
    case RPC_BIND:
        r = ports_guest_bind(d, (uint16_t)req->domid, req->port);
        break;
    case RPC_CLOSE:
        r = ports_guest_close(d, req->port);
        break;
    case RPC_STATUS:
        r = ports_guest_status(d, req->port);
        break;
    }
    if (r > 0 && (req->op == RPC_ALLOC_UNBOUND || req->op == RPC_BIND)) {
        r = domain_port_fds(d, r, fds);
    }
    pthread_mutex_unlock(&d->host->lock);
    return r;
}

/* False: the connection is not worth keeping. */
static bool domain_serve(Domain *d, const RpcRequest *req)
{
    RpcAnswer ans = { 0 };
    int fds[SOCK_MAX_FDS] = { -1, -1 };
    int epfd = -1;
    int r;

    if (req->op == RPC_ATTACH) {
        ans.result = domain_attach(d, req, &ans);
        fds[0] = d->ram_fd;
        fds[1] = d->records_fd;
    } else if (d->attached) {
        ans.result = domain_port_request(d, req, fds);
        epfd = fds[0];
    } else {
        return false;
    }
    r = sock_send(d->source.fd, &ans, sizeof(ans), fds,
                  ans.result >= 0 && fds[0] >= 0 ? SOCK_MAX_FDS : 0);
    sock_close(&epfd);
    /* A refused guest may try again, with another connection. */
    return r == 0 && (req->op != RPC_ATTACH || ans.result == 0);
}

static void domain_ready(Source *s, uint32_t events)
{
    Domain *d = SOURCE_OWNER(s, Domain, source);
    RpcRequest req;
    unsigned n_fds;
    int r = sock_recv(s->fd, &req, sizeof(req), NULL, 0, &n_fds);

    if (r == -EAGAIN) {
        return;
    }
    if (r <= 0 || req.magic != RPC_MAGIC || !domain_serve(d, &req)) {
        domain_destroy(d);
    }
}

/* False: there is none. */
static bool domain_drop_oldest_idle(XenemuHost *host)
{
    Domain *oldest = NULL;

    for (GSList *l = host->clients; l; l = l->next) {
        Domain *d = l->data;

        if (!d->attached) {
            oldest = d; /* new ones are at the front */
        }
    }
    if (oldest) {
        domain_destroy(oldest);
    }
    return oldest != NULL;
}

static void domain_refuse(int fd, int result)
{
    const RpcAnswer ans = { .result = result };

    sock_send(fd, &ans, sizeof(ans), NULL, 0);
    close(fd);
}

void domain_accept(XenemuHost *host, int fd)
{
    Domain *d;

    if (!host_fd_allowed(fd)) {
        domain_refuse(fd, -ENFILE);
        return;
    }
    /* Who connects and says nothing keeps nobody out. */
    if (g_slist_length(host->clients) >= HOST_MAX_CLIENTS && !domain_drop_oldest_idle(host)) {
        domain_refuse(fd, -ENOSPC);
        return;
    }
    d = g_new0(Domain, 1);
    d->refs = 1;
    d->host = host;
    d->ram_fd = d->records_fd = -1;
    for (unsigned i = 0; i < XENEMU_PORTS; i++) {
        d->ports[i].guest_wake = d->ports[i].host_wake = -1;
    }
    d->source.fd = fd;
    d->source.ready = domain_ready;
    if (loop_add(host->loop, &d->source, EPOLLIN) < 0) {
        domain_refuse(fd, -ENOMEM);
        domain_unref(d);
        return;
    }
    host->clients = g_slist_prepend(host->clients, d);
}
