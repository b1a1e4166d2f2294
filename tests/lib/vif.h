/*
 * An emulated Xen host in this process with one guest: netback on one side, netfront
 * on the other, each with a netdev that the test made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIF_H
#define TESTS_LIB_VIF_H

#include "hw/net/xen-netback.h"
#include "hw/net/xen-netfront.h"

typedef struct VifEnd {
    unsigned connected;    /* events so far */
    unsigned disconnected;
    unsigned errors;
    unsigned warnings;
    bool closed;
    bool gone;
    char *error;           /* the last one's detail */
} VifEnd;

typedef struct Vif {
    const struct Vif *beside; /* whose host it shares; NULL: it has one of its own */
    char *dir;
    Xen *host;
    Xen *guest;
    XenStore *host_store;
    XenStore *guest_store;
    Netdev *back_dev;      /* the test's */
    Netdev *front_dev;
    bool direct;           /* of netback */
    const char *mac;       /* the same; NULL: one of its own */
    NetbackCopy back_copy; /* grant-copy= of netback */
    IoThread *back_thread; /* the test's, of all of netback's queues; NULL: one for each */
    Netback *nb;
    Netfront *nf;
    VifEnd back;
    VifEnd front;
    char *be;              /* directories in XenStore */
    char *fe;
} Vif;

/* Host, guest, both XenStore connections. */
void vif_up(Vif *v, Netdev *back_dev, Netdev *front_dev);
/* The same, the guest having little memory. */
void vif_up_small(Vif *v, Netdev *back_dev, Netdev *front_dev, size_t guest_ram);
/* Another guest of @first's host, with a vif; it goes down before @first. */
void vif_up_beside(Vif *v, const Vif *first, Netdev *back_dev, Netdev *front_dev);
/* Closes what is there, checks that nothing is left, frees the netdevs. */
void vif_down(Vif *v);

/* All on, idx 0. */
NetfrontConfig vif_front_config(void);

void vif_back_new(Vif *v); /* not offered yet */
/* The same, where it may fail. */
bool vif_back_try(Vif *v, GError **error);
void vif_back_start(Vif *v);
void vif_front_start(Vif *v, const NetfrontConfig *config);
/* Both, and waits until they are connected. */
void vif_connect(Vif *v, const NetfrontConfig *config);
/* In the proper way, waited for. */
void vif_back_close(Vif *v);
void vif_front_close(Vif *v);

/* Runs the main loop until @cond is true; fails after a minute. */
#define VIF_WAIT(cond)                                                              \
    do {                                                                            \
        gint64 vif_end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;              \
        guint vif_tick = vif_tick_start();                                          \
        while (!(cond)) {                                                           \
            g_assert_cmpint(g_get_monotonic_time(), <, vif_end);                    \
            g_main_context_iteration(NULL, true);                                   \
        }                                                                           \
        g_source_remove(vif_tick);                                                  \
    } while (0)
guint vif_tick_start(void);

/* A node's value in the frontend's or backend's directory; NULL: not there. g_free(). */
char *vif_read(Vif *v, const char *dir, const char *key);

#endif
