/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store-proxy.h"

#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct StoreProxy {
    GThread *thread;
    pthread_mutex_t lock; /* for hold and end, over each passing; not GMutex: see TSan */
    bool hold;
    bool end;
    char *path;
    int listener;
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

/* Both directions, if there is something; with the lock. False: an end is gone. */
static bool proxy_pass(StoreProxy *p)
{
    char buf[4096];

    for (unsigned i = 0; i < 2; i++) {
        ssize_t n = recv(p->fd[i], buf, sizeof(buf), MSG_DONTWAIT);

        if (n == 0 || (n > 0 && send(p->fd[1 - i], buf, (size_t)n, MSG_NOSIGNAL) != n)) {
            return false;
        }
    }
    return true;
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
        go_on = !p->end && (held || proxy_pass(p));
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
    p->fd[1] = proxy_socket();
    g_assert_cmpint(connect(p->fd[1], (struct sockaddr *)&there, sizeof(there)), ==, 0);
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
    unlink(p->path);
    pthread_mutex_destroy(&p->lock);
    g_free(p->path);
    g_free(p);
}
