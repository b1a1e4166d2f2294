/*
 * XenStore's sockets: one for dom0, one for each guest, whose clients have its rights.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sock.h"

struct StoreListener {
    Source source;
    XenemuHost *host;
    uint16_t domid;
    char *path;
    GSList *clients;
};

typedef struct StoreClient {
    Source source;
    StoreListener *listener;
    StoreConn *conn;
    bool busy; /* in client_ready(): it looks after the output itself */
} StoreClient;

static void client_free(StoreClient *cl)
{
    StoreListener *l = cl->listener;

    l->clients = g_slist_remove(l->clients, cl);
    l->host->n_store_conns--;
    loop_remove(l->host->loop, &cl->source);
    store_conn_free(cl->conn);
    sock_close(&cl->source.fd);
    g_free(cl);
}

/* What is to be waited for. */
static void client_arm(StoreClient *cl)
{
    uint32_t events = 0;
    size_t len;

    store_conn_want(cl->conn, &len);
    if (len > 0) {
        events |= EPOLLIN;
    }
    store_conn_output(cl->conn, &len);
    if (len > 0) {
        events |= EPOLLOUT;
    }
    loop_set_events(cl->listener->host->loop, &cl->source, events);
}

/* There is output, or too much of it. Others' requests end up here: nothing is freed. */
static void client_output(void *opaque)
{
    StoreClient *cl = opaque;

    if (store_conn_is_broken(cl->conn)) {
        shutdown(cl->source.fd, SHUT_RDWR);
    }
    if (!cl->busy) {
        client_arm(cl);
    }
}

/* False: the connection is over. */
static bool client_send(StoreClient *cl)
{
    const uint8_t *data;
    size_t len;
    ssize_t n;

    data = store_conn_output(cl->conn, &len);
    if (len == 0) {
        return true;
    }
    n = send(cl->source.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
        store_conn_sent(cl->conn, (size_t)n);
    }
    return n > 0 || errno == EAGAIN || errno == EINTR;
}

/* One read: a header, a payload or a piece of them, so that clients take turns. */
static bool client_receive(StoreClient *cl)
{
    size_t len;
    uint8_t *to = store_conn_want(cl->conn, &len);
    ssize_t n;

    if (len == 0) {
        return true;
    }
    n = recv(cl->source.fd, to, len, MSG_DONTWAIT);
    if (n > 0) {
        return store_conn_got(cl->conn, (size_t)n);
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void client_ready(Source *s, uint32_t events)
{
    StoreClient *cl = SOURCE_OWNER(s, StoreClient, source);
    bool alive = true;

    cl->busy = true;
    if (events & EPOLLIN) {
        alive = client_receive(cl);
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        alive = false;
    }
    alive = alive && client_send(cl) && !store_conn_is_broken(cl->conn);
    cl->busy = false;
    if (alive) {
        client_arm(cl);
    } else {
        client_free(cl);
    }
}

static bool listener_may_take(const StoreListener *l, int fd)
{
    unsigned all = l->host->n_store_conns;

    if (l->domid == 0) {
        return all < HOST_MAX_STORE_CONNS;
    }
    return all < HOST_MAX_STORE_CONNS - HOST_DOM0_STORE_CONNS &&
           g_slist_length(l->clients) < HOST_GUEST_STORE_CONNS && host_fd_allowed(fd);
}

static void listener_ready(Source *s, uint32_t events)
{
    StoreListener *l = SOURCE_OWNER(s, StoreListener, source);
    XenemuHost *host = l->host;
    int fd = sock_accept(s->fd, &host->spare_fd, NULL, 0);
    StoreClient *cl;

    if (fd < 0) {
        return;
    }
    if (!listener_may_take(l, fd)) {
        close(fd);
        return;
    }
    cl = g_new0(StoreClient, 1);
    cl->listener = l;
    cl->source.fd = fd;
    cl->source.ready = client_ready;
    if (loop_add(host->loop, &cl->source, EPOLLIN) < 0) {
        close(fd);
        g_free(cl);
        return;
    }
    cl->conn = store_conn_new(host->store, l->domid, client_output, cl);
    l->clients = g_slist_prepend(l->clients, cl);
    host->n_store_conns++;
}

StoreListener *store_listener_new(XenemuHost *host, const char *path, uint16_t domid,
                                  char **errmsg)
{
    StoreListener *l;
    int fd = sock_listen(path, SOCK_STREAM, errmsg);

    if (fd < 0) {
        return NULL;
    }
    l = g_new0(StoreListener, 1);
    l->host = host;
    l->domid = domid;
    l->path = g_strdup(path);
    l->source.fd = fd;
    l->source.ready = listener_ready;
    if (loop_add(host->loop, &l->source, EPOLLIN) < 0) {
        *errmsg = g_strdup("too many descriptors in an epoll");
        store_listener_free(l);
        return NULL;
    }
    return l;
}

void store_listener_free(StoreListener *l)
{
    if (!l) {
        return;
    }
    while (l->clients) {
        client_free(l->clients->data);
    }
    loop_remove(l->host->loop, &l->source);
    unlink(l->path);
    sock_close(&l->source.fd);
    g_free(l->path);
    g_free(l);
}
