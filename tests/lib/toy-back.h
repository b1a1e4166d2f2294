/*
 * The backend of a made-up kind of device on an emulated Xen, whose frontend and toolstack are
 * played by hand.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_TOY_BACK_H
#define TESTS_LIB_TOY_BACK_H

#include "hw/xen/xenbus-back.h"

#define TOY_BE "/local/domain/0/backend/toy/1/5"
#define TOY_FE "/local/domain/1/device/toy/5"

typedef struct Toy {
    XenbusBack bus;
    GString *log;        /* what happened, in order */
    unsigned n_parts;    /* that connect and disconnect in a step each; 0 as 1 */
    unsigned parts;
    bool busy;           /* disconnect waits */
    bool quiet;          /* about parts */
    unsigned *round;     /* of the main loop, counted by a test; NULL: it does not */
    unsigned step_round; /* when the last step was... */
    unsigned steps;      /* ...and how many there were then */
    bool refuse_connect; /* the last part */
    bool taken_over;
    unsigned reconfigured; /* looks at a Reconfiguring */
} Toy;

extern const XenbusBackOps toy_ops;

typedef struct ToyTest {
    char *dir;
    Xen *host;
    Xen *guest;
    XenStore *dom0;
    XenStore *domu;
    XenWatch *watch_be;
    GString *states;     /* that the frontend has seen of the backend */
    XenbusBackOps ops;   /* toy_ops, which a test may change before it makes the backend */
    Toy toy;
} ToyTest;

/* The host and a guest; no nodes yet. */
void toy_up(ToyTest *f);
void toy_down(ToyTest *f);

/* The backend, not offered yet; offered, and its watches have called once. */
void toy_back_new(ToyTest *f);
void toy_back_start(ToyTest *f);
/* Both ends are connected. */
void toy_connected(ToyTest *f);
void toy_guest_dies(ToyTest *f);

/* What a toolstack makes, with its script yet to run. */
void toy_toolstack_add(ToyTest *f);
/* Who may use the nodes of the backend: their owner. */
void toy_chown_back(ToyTest *f, uint16_t owner, uint16_t reader);

/* A node: its value is @want, NULL: it is not there. */
bool toy_is(ToyTest *f, const char *dir, const char *key, const char *want);
void toy_put(ToyTest *f, const char *dir, const char *key, const char *value);
void toy_front(ToyTest *f, int state); /* the frontend writes it */

/* What happened since the last call: steps and events. */
void toy_expect_log(ToyTest *f, const char *want);

void toy_settle_once(void);
void toy_settle(void); /* so long that whatever is on its way has arrived */

#define TOY_WAIT(cond) do {                                                 \
        gint64 end = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;          \
        guint source = toy_tick();                        \
        while (!(cond)) {                                                   \
            g_assert_cmpint(g_get_monotonic_time(), <, end);                \
            g_main_context_iteration(NULL, true);                           \
        }                                                                   \
        g_source_remove(source);                                            \
    } while (0)
guint toy_tick(void);

#endif
