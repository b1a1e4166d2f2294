/*
 * Several guests and handles in several threads at once, while domains come and go. The
 * thread sanitizer checks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/grant_table.h>

#define ROUNDS 300

/* A queue and its frontend: a request by grant and event, an answer the same way. */
typedef struct Pair {
    TestHost *t;
    XenemuGuest *g;
    uint16_t domid;
    uint8_t *page;
    uint32_t ref;
    int port; /* of the guest */
    XenemuEvtchn *guest;
} Pair;

static int wait_port(XenemuEvtchn *e)
{
    int port;

    while ((port = xenemu_evtchn_pending(e)) == -EAGAIN) {
        g_assert_true(test_readable(xenemu_evtchn_fd(e), 10000));
    }
    g_assert_cmpint(xenemu_evtchn_unmask(e, (uint32_t)port), ==, 0);
    return port;
}

static void *backend(void *opaque)
{
    Pair *p = opaque;
    XenemuEvtchn *e = xenemu_host_evtchn_open(p->t->host);
    XenemuGnttab *gt = xenemu_gnttab_open(p->t->host);
    int port = xenemu_evtchn_bind_interdomain(e, p->domid, (uint32_t)p->port);
    uint32_t *counter = xenemu_gnttab_map(gt, p->domid, &p->ref, 1, true);
    uint32_t done = 0;
    char buf[256];

    g_assert_cmpint(port, >, 0);
    g_assert_nonnull(counter);
    while (done < ROUNDS) {
        XenemuCopySeg seg = { .local = buf, .ref = p->ref, .offset = 1024, .len = sizeof(buf) };

        wait_port(e);
        while (done < __atomic_load_n(counter, __ATOMIC_ACQUIRE)) {
            g_assert_cmpint(xenemu_gnttab_copy(gt, p->domid, done % 2, &seg, 1), ==, 0);
            g_assert_cmpint(seg.status, ==, GNTST_okay);
            done++;
        }
        __atomic_store_n(counter + 1, done, __ATOMIC_RELEASE);
        g_assert_cmpint(xenemu_evtchn_notify(e, (uint32_t)port), ==, 0);
    }
    xenemu_gnttab_unmap(gt, counter, 1);
    xenemu_gnttab_close(gt);
    xenemu_evtchn_close(e);
    return NULL;
}

static void *frontend(void *opaque)
{
    Pair *p = opaque;
    uint32_t *counter = (uint32_t *)(void *)p->page;

    for (uint32_t i = 1; i <= ROUNDS; i++) {
        __atomic_store_n(counter, i, __ATOMIC_RELEASE);
        xenemu_evtchn_notify(p->guest, (uint32_t)p->port);
        while (__atomic_load_n(counter + 1, __ATOMIC_ACQUIRE) < i) {
            wait_port(p->guest);
        }
    }
    return NULL;
}

static void pair_init(Pair *p, TestHost *t, XenemuGuest *g)
{
    p->t = t;
    p->g = g;
    p->domid = xenemu_guest_domid(g);
    p->page = xenemu_guest_alloc_pages(g, 1);
    p->ref = (uint32_t)xenemu_guest_grant_access(g, 0, p->page, true);
    p->guest = xenemu_guest_evtchn_open(g);
    p->port = xenemu_evtchn_alloc_unbound(p->guest, 0);
}

/* Domains that come, use everything once, and go. */
static void *visitors(void *opaque)
{
    TestHost *t = opaque;

    for (int i = 0; i < 20; i++) {
        XenemuGuest *g = test_guest(t, -1);
        XenemuEvtchn *ge = xenemu_guest_evtchn_open(g);
        XenemuEvtchn *he = xenemu_host_evtchn_open(t->host);
        int gp = xenemu_evtchn_alloc_unbound(ge, 0);
        int hp = xenemu_evtchn_bind_interdomain(he, xenemu_guest_domid(g), (uint32_t)gp);

        xenemu_evtchn_notify(he, (uint32_t)hp);
        if (i % 2) {
            xenemu_evtchn_close(ge);
            xenemu_guest_detach(g);
            xenemu_evtchn_notify(he, (uint32_t)hp);
            xenemu_evtchn_close(he);
        } else {
            xenemu_evtchn_close(he);
            xenemu_evtchn_close(ge);
            xenemu_guest_detach(g);
        }
    }
    return NULL;
}

static void *store_traffic(void *opaque)
{
    const char *path = xenemu_host_store_path(((TestHost *)opaque)->host);
    int fd = test_store_connect(path);

    for (int i = 0; i < 100; i++) {
        g_assert_cmpint(test_store_write(fd, 0, "/t/x", "y"), ==, 0);
    }
    close(fd);
    return NULL;
}

static void test_all(void)
{
    TestHost *t = test_host_new();
    XenemuGuest *guests[2] = { test_guest(t, -1), test_guest(t, -1) };
    pthread_t threads[10];
    Pair pairs[4];
    int n = 0;

    memset(pairs, 0, sizeof(pairs));
    for (int i = 0; i < 4; i++) {
        pair_init(&pairs[i], t, guests[i % 2]);
        pthread_create(&threads[n++], NULL, backend, &pairs[i]);
        pthread_create(&threads[n++], NULL, frontend, &pairs[i]);
    }
    pthread_create(&threads[n++], NULL, visitors, t);
    pthread_create(&threads[n++], NULL, store_traffic, t);
    while (n > 0) {
        pthread_join(threads[--n], NULL);
    }
    for (int i = 0; i < 4; i++) {
        g_assert_cmpint(xenemu_guest_end_access(guests[i % 2], pairs[i].ref), ==, 0);
        xenemu_evtchn_close(pairs[i].guest);
    }
    xenemu_guest_detach(guests[0]);
    xenemu_guest_detach(guests[1]);
    test_host_free(t);
}

/* One reference, many copies at once: the entry's flags are right afterwards. */
typedef struct Shared {
    TestHost *t;
    uint32_t ref;
} Shared;

static void *copier(void *opaque)
{
    Shared *s = opaque;
    XenemuGnttab *gt = xenemu_gnttab_open(s->t->host);
    char buf[64];
    XenemuCopySeg seg[2] = { { .local = buf, .ref = s->ref, .len = sizeof(buf) },
                             { .local = buf, .ref = s->ref, .len = sizeof(buf) } };

    for (int i = 0; i < 2000; i++) {
        xenemu_gnttab_copy(gt, 3, i % 3 == 0, seg, 2);
        g_assert_cmpint(seg[0].status, ==, GNTST_okay);
        g_assert_cmpint(seg[1].status, ==, GNTST_okay);
        if (i % 16 == 0) {
            void *p = xenemu_gnttab_map(gt, 3, &s->ref, 1, i % 32 == 0);

            g_assert_cmpint(xenemu_gnttab_unmap(gt, p, 1), ==, 0);
        }
    }
    xenemu_gnttab_close(gt);
    return NULL;
}

static void test_one_ref(void)
{
    TestHost *t = test_host_new();
    XenemuGuest *g = test_guest(t, 3);
    Shared s = { .t = t };
    pthread_t threads[4];

    s.ref = (uint32_t)xenemu_guest_grant_access(g, 0, xenemu_guest_alloc_pages(g, 1), true);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, copier, &s);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    g_assert_cmpint(xenemu_guest_end_access(g, s.ref), ==, 0);
    xenemu_guest_detach(g);
    test_host_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/threads/all", test_all);
    g_test_add_func("/threads/one-ref", test_one_ref);
    return g_test_run();
}
