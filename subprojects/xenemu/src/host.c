/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xen/xen.h>

#include "sock.h"

bool host_fd_allowed(int fd)
{
    struct rlimit lim;

    return fd >= 0 && getrlimit(RLIMIT_NOFILE, &lim) == 0 &&
           (rlim_t)fd + HOST_RESERVED_FDS < lim.rlim_cur;
}

static bool exchange(uint32_t *word, uint32_t *old, uint32_t new)
{
    return __atomic_compare_exchange_n(word, old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

bool host_fault(XenemuHost *host, XenemuOp op, int *status)
{
    Fault *f = &host->faults[op];
    uint32_t left = __atomic_load_n(&f->left, __ATOMIC_ACQUIRE);

    while (G_UNLIKELY(left > 0)) {
        if (exchange(&f->left, &left, left - 1)) {
            *status = __atomic_load_n(&f->status, __ATOMIC_RELAXED);
            return left == 1;
        }
    }
    return false;
}

void xenemu_host_fail(XenemuHost *host, XenemuOp op, unsigned k, int status)
{
    Fault *f = &host->faults[op];

    __atomic_store_n(&f->left, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&f->status, status, __ATOMIC_RELAXED);
    __atomic_store_n(&f->left, k, __ATOMIC_RELEASE);
}

void xenemu_host_usage(XenemuHost *host, unsigned *ret_mapped, unsigned *ret_ports)
{
    *ret_mapped = __atomic_load_n(&host->mapped, __ATOMIC_RELAXED);
    *ret_ports = 0;
    pthread_mutex_lock(&host->lock);
    for (unsigned i = 0; i < HOST_PORTS; i++) {
        *ret_ports += host->ports[i] != NULL;
    }
    pthread_mutex_unlock(&host->lock);
}

static void host_listener_ready(Source *s, uint32_t events)
{
    XenemuHost *host = SOURCE_OWNER(s, XenemuHost, listener);
    const RpcAnswer refusal = { .result = -ENFILE };
    int fd = sock_accept(s->fd, &host->spare_fd, &refusal, sizeof(refusal));

    if (fd >= 0) {
        domain_accept(host, fd);
    }
}

static bool host_check_path(const char *path, char **errmsg)
{
    g_autofree char *longest = g_strdup_printf("%s.xenstore.%u", path, DOMID_FIRST_RESERVED);

    if (strlen(longest) >= sizeof(((RpcAnswer *)NULL)->store_path)) {
        *errmsg = g_strdup_printf("%s is too long: with .xenstore.DOMID it is not a path of a "
                                  "unix socket any more", path);
        return false;
    }
    return true;
}

static bool host_listen(XenemuHost *host, char **errmsg)
{
    host->listener.fd = sock_listen(host->path, SOCK_SEQPACKET, errmsg);
    if (host->listener.fd < 0) {
        return false;
    }
    host->listener.ready = host_listener_ready;
    host->dom0_store = store_listener_new(host, host->store_path, 0, errmsg);
    if (!host->dom0_store) {
        return false;
    }
    if (loop_add(host->loop, &host->listener, EPOLLIN) < 0 || loop_start(host->loop) < 0) {
        *errmsg = g_strdup("could not start the emulated Xen host's thread");
        return false;
    }
    return true;
}

XenemuHost *xenemu_host_new(const char *path, char **errmsg)
{
    g_autofree char *why = NULL;
    XenemuHost *host = g_new0(XenemuHost, 1);

    host->buffer_limit = UINT32_MAX;
    host->path = g_strdup(path);
    host->store_path = g_strdup_printf("%s.xenstore", path);
    host->listener.fd = -1;
    host->spare_fd = sock_spare_open();
    pthread_mutex_init(&host->lock, NULL);
    host->store = store_new();
    toolstack_start(host->store);
    host->loop = loop_new();
    if (!host->loop) {
        why = g_strdup_printf("could not make an epoll: %s", g_strerror(errno));
    } else if (host_check_path(path, &why) && host_listen(host, &why)) {
        return host;
    }
    xenemu_host_free(host);
    *errmsg = strdup(why); /* for free(), glib or not */
    return NULL;
}

void xenemu_host_free(XenemuHost *host)
{
    if (!host) {
        return;
    }
    if (host->loop) {
        loop_stop(host->loop);
    }
    while (host->clients) {
        domain_destroy(host->clients->data);
    }
    store_listener_free(host->dom0_store);
    if (host->listener.fd >= 0) {
        unlink(host->path);
        sock_close(&host->listener.fd);
    }
    if (host->loop) {
        loop_free(host->loop);
    }
    store_free(host->store);
    sock_close(&host->spare_fd);
    pthread_mutex_destroy(&host->lock);
    g_free(host->store_path);
    g_free(host->path);
    g_free(host);
}

const char *xenemu_host_store_path(const XenemuHost *host)
{
    return host->store_path;
}

void xenemu_host_keep_nodes(XenemuHost *host, bool keep)
{
    host->keep_nodes = keep;
}

bool xenemu_host_domain_alive(XenemuHost *host, uint16_t domid)
{
    bool alive;

    pthread_mutex_lock(&host->lock);
    alive = domid == 0 || domain_find_locked(host, domid);
    pthread_mutex_unlock(&host->lock);
    return alive;
}
