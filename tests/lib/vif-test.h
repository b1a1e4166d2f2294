/*
 * A vif under test: ringtap with -device xen-net-device on a multiqueue tap, the guest
 * played by a Front, the host's network stack by a HostTap. Each test gets all of it anew
 * and ends with a check that nothing is left behind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIF_TEST_H
#define TESTS_LIB_VIF_TEST_H

#include "frames.h"
#include "host-tap.h"
#include "vif-frames.h"
#include "vif-frontend.h"

#define VIF_QUIET_MS 50 /* that long nothing happens if nothing is to happen */

typedef struct VifTest {
    QTest *qt;         /* NULL: a test ended it, and freed the rest */
    HostTap *tap;
    Front *f;          /* not connected yet; NULL: a test is through with it */
    QTestLeaks before; /* before the frontend connected */
    const void *arg;
} VifTest;

typedef struct VifTestCase {
    const char *name;
    void (*run)(VifTest *t);
    unsigned queues;    /* of the tap; 0 as 1 */
    const void *arg;
    const char *options; /* further ones of the device: ",mac=..." */
    const char *args;   /* further ones of the program, before the device */
    bool no_vnet_hdr;   /* the tap has none: the program finishes packets */
    bool not_offered;   /* the device is not offered yet: there is -S in args */
} VifTestCase;

/*
 * Registers the cases, ended by a NULL name, as @prefix/NAME, and runs them. Where no
 * tap can be had, each is skipped.
 */
int vif_test_main(int argc, char **argv, const char *prefix, const VifTestCase *cases);

/* The same as at the start, except memory: within a second or so. */
void vif_test_no_leaks(VifTest *t);

/* A new frontend for the guest that is there now. */
void vif_test_new_front(VifTest *t);

/* Connects and waits until the host can send. */
FrontQueue *vif_test_connect(VifTest *t, const FrontConfig *c);

/* The frame arrives at the tap as it is, within a time. The header, if wanted. */
void vif_test_expect_host(VifTest *t, const uint8_t *frame, size_t len,
                          struct virtio_net_hdr *ret_hdr);
/* Nothing arrives at the tap. */
void vif_test_expect_no_host(VifTest *t);

/* Forgets what has arrived at the tap. */
void vif_test_drain_host(VifTest *t);

/* A counter of query-vif: @dir "tx" or "rx". */
uint64_t vif_test_counter(VifTest *t, unsigned queue, const char *dir, const char *name);
/* "state" or "error" of query-vif; "" if absent. Free it. */
char *vif_test_query(VifTest *t, const char *member);
/* Thread id of a queue. */
int vif_test_thread(VifTest *t, unsigned queue);

#endif
