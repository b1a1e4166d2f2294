/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store-proxy.h"

#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* xen/include/public/io/xs_wire.h */
#define WIRE_TRANSACTION_END 7
#define WIRE_RM              13
#define WIRE_ERROR           16
#define WIRE_IS_DOMAIN       17 /* XS_IS_DOMAIN_INTRODUCED */
#define WIRE_BODY_MAX        4096

typedef struct Request {
    struct {
        uint32_t type;
        uint32_t req_id;
        uint32_t tx_id;
        uint32_t len;
    } head;
    char body[WIRE_BODY_MAX];
} Request;

/* What somebody else removes, and when. */
typedef struct Removal {
    char *path;     /* NULL: nothing, or it is done */
    char *touched;  /* NULL: when left is 0 */
    uint32_t tx;    /* that has named it; 0: none has */
    unsigned left;
} Removal;

struct StoreProxy {
    GThread *thread;
    pthread_mutex_t lock; /* for what follows, over each passing; not GMutex: see TSan */
    bool hold;
    bool end;
    bool refuse_domains;
    unsigned refused;
    Removal removal;
    char *path;
    int listener;
    int other;   /* a connection that is nobody's but ours */
    int fd[2];   /* the client's, the server's */
};

static struct sockaddr_un proxy_address(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };

    g_assert_cmpuint(g_strlcpy(sa.sun_path, path, sizeof(sa.sun_path)), <, sizeof(sa.sun_path));
    return sa;
}

static int proxy_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static int proxy_connect(const struct sockaddr_un *sa)
{
    int fd = proxy_socket();

    g_assert_cmpint(connect(fd, (const struct sockaddr *)sa, sizeof(*sa)), ==, 0);
    return fd;
}

/* --- somebody else --- */

static void proxy_receive(int fd, void *buf, size_t len)
{
    g_assert_cmpint(recv(fd, buf, len, MSG_WAITALL), ==, (ssize_t)len);
}

static void proxy_remove(StoreProxy *p, const char *path)
{
    Request r = { .head = { .type = WIRE_RM, .len = (uint32_t)strlen(path) + 1 } };
    size_t len = sizeof(r.head) + r.head.len;

    g_assert_cmpuint(g_strlcpy(r.body, path, sizeof(r.body)), <, sizeof(r.body));
    g_assert_cmpint(send(p->other, &r, len, MSG_NOSIGNAL), ==, (ssize_t)len);
    proxy_receive(p->other, &r.head, sizeof(r.head));
    proxy_receive(p->other, r.body, r.head.len); /* that it was not there is as good */
}

/* Before @r passes. */
static bool removal_is_due(Removal *m, const Request *r)
{
    if (!m->path) {
        return false;
    }
    if (!m->touched) {
        return m->left-- == 0;
    }
    if (r->head.type == WIRE_TRANSACTION_END) {
        return m->tx != 0 && r->head.tx_id == m->tx;
    }
    if (r->head.tx_id != 0 && strnlen(r->body, r->head.len) < r->head.len &&
        strcmp(r->body, m->touched) == 0) {
        m->tx = r->head.tx_id;
    }
    return false;
}

static void removal_set(StoreProxy *p, const Removal *m)
{
    pthread_mutex_lock(&p->lock);
    g_free(p->removal.path);
    g_free(p->removal.touched);
    p->removal = *m;
    pthread_mutex_unlock(&p->lock);
}

void store_proxy_remove_at(StoreProxy *p, unsigned n, const char *path)
{
    removal_set(p, &(Removal){ .path = g_strdup(path), .left = n });
}

void store_proxy_remove_in(StoreProxy *p, const char *touched, const char *path)
{
    removal_set(p, &(Removal){ .path = g_strdup(path), .touched = g_strdup(touched) });
}

bool store_proxy_removed(StoreProxy *p)
{
    bool removed;

    pthread_mutex_lock(&p->lock);
    removed = !p->removal.path;
    pthread_mutex_unlock(&p->lock);
    return removed;
}

/* --- questions about domains --- */

void store_proxy_refuse_domains(StoreProxy *p)
{
    pthread_mutex_lock(&p->lock);
    p->refuse_domains = true;
    pthread_mutex_unlock(&p->lock);
}

unsigned store_proxy_refused(StoreProxy *p)
{
    unsigned n;

    pthread_mutex_lock(&p->lock);
    n = p->refused;
    pthread_mutex_unlock(&p->lock);
    return n;
}

/* With the lock, as below. */
static bool proxy_refuse(StoreProxy *p, const Request *r)
{
    Request error = { .head = r->head, .body = "EIO" };
    size_t len = sizeof(error.head) + sizeof("EIO");

    error.head.type = WIRE_ERROR;
    error.head.len = sizeof("EIO");
    p->refused++;
    return send(p->fd[0], &error, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* --- what passes; with the lock, false: an end is gone --- */

/* A whole request, if one is there. */
static bool proxy_pass_request(StoreProxy *p)
{
    Request r;
    ssize_t n = recv(p->fd[0], &r, sizeof(r), MSG_DONTWAIT | MSG_PEEK);
    size_t len;

    if (n < (ssize_t)sizeof(r.head)) {
        return n != 0;
    }
    len = sizeof(r.head) + r.head.len;
    g_assert_cmpuint(len, <=, sizeof(r));
    if (n < (ssize_t)len) {
        return true;
    }
    proxy_receive(p->fd[0], &r, len);
    if (removal_is_due(&p->removal, &r)) {
        proxy_remove(p, p->removal.path);
        g_clear_pointer(&p->removal.path, g_free);
    }
    if (p->refuse_domains && r.head.type == WIRE_IS_DOMAIN) {
        return proxy_refuse(p, &r);
    }
    return send(p->fd[1], &r, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool proxy_pass_answers(StoreProxy *p)
{
    char buf[4096];
    ssize_t n = recv(p->fd[1], buf, sizeof(buf), MSG_DONTWAIT);

    return n != 0 && (n < 0 || send(p->fd[0], buf, (size_t)n, MSG_NOSIGNAL) == n);
}

static gpointer proxy_thread(gpointer opaque)
{
    StoreProxy *p = opaque;
    struct pollfd waits[2];
    bool go_on = true;
    bool held;

    p->fd[0] = accept(p->listener, NULL, NULL);
    while (go_on && p->fd[0] >= 0) {
        waits[0] = (struct pollfd){ p->fd[0], POLLIN, 0 };
        waits[1] = (struct pollfd){ p->fd[1], POLLIN, 0 };
        poll(waits, 2, 10);
        pthread_mutex_lock(&p->lock);
        held = p->hold;
        go_on = !p->end && (held || (proxy_pass_request(p) && proxy_pass_answers(p)));
        pthread_mutex_unlock(&p->lock);
        if (held) {
            g_usleep(1000);
        }
    }
    return NULL;
}

StoreProxy *store_proxy_new(const char *path, const char *server)
{
    StoreProxy *p = g_new0(StoreProxy, 1);
    struct sockaddr_un here = proxy_address(path), there = proxy_address(server);

    pthread_mutex_init(&p->lock, NULL);
    p->path = g_strdup(path);
    p->listener = proxy_socket();
    g_assert_cmpint(bind(p->listener, (struct sockaddr *)&here, sizeof(here)), ==, 0);
    g_assert_cmpint(listen(p->listener, 1), ==, 0);
    p->fd[1] = proxy_connect(&there);
    p->other = proxy_connect(&there);
    p->thread = g_thread_new("proxy", proxy_thread, p);
    return p;
}

void store_proxy_hold(StoreProxy *p, bool hold)
{
    pthread_mutex_lock(&p->lock);
    p->hold = hold;
    pthread_mutex_unlock(&p->lock);
}

void store_proxy_free(StoreProxy *p)
{
    pthread_mutex_lock(&p->lock);
    p->end = true;
    pthread_mutex_unlock(&p->lock);
    shutdown(p->listener, SHUT_RDWR); /* if nobody came */
    g_thread_join(p->thread);
    close(p->listener);
    close(p->fd[0]);
    close(p->fd[1]);
    close(p->other);
    unlink(p->path);
    pthread_mutex_destroy(&p->lock);
    g_free(p->removal.path);
    g_free(p->removal.touched);
    g_free(p->path);
    g_free(p);
}
