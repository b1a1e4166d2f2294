/*
 * A registry with made-up classes on made-up buses, a kind of back end and
 * iothreads, all of whose calls are written down.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_FAKE_DEVICE_H
#define TESTS_LIB_FAKE_DEVICE_H

#include "hw/core/registry.h"

#define FAKE_QUEUES 4u

typedef struct FakeStats {
    struct {
        uint64_t requests;
        uint64_t bytes;
    } in, out;
} FakeStats;

/* Options: id, store (a back end), guest (-1), idx (-1), iothread, iothread-vq-mapping. */
typedef struct FakeConfig {
    char *id;
    char *store;
    int32_t guest;
    int32_t idx;
    char *iothread;
    GArray *vq_mapping;
} FakeConfig;

typedef struct FakeImpl {
    FakeStats stats[FAKE_QUEUES];
    IoThread *threads[FAKE_QUEUES];
    unsigned n_queues; /* connected */
    char *error;
} FakeImpl;

typedef struct FakeStore {
    const char *id;
    unsigned users;
} FakeStore;

typedef struct FakeHost {
    DeviceRegistry *registry;
    GString *calls;       /* "realize a;start a;": of classes and of the registry's callbacks */
    GString *events;      /* those that passed the rate limit: "a connected 2;" */
    unsigned logged;      /* all of them */
    bool bus_is_there;    /* the first one; the second always is */
    bool refuse;          /* realize fails */
    bool drains_later;    /* a drain does not end by itself */
    FakeStore stores[3];  /* s0, s1, s2 */
    IoThread *threads[2]; /* io0, io1 */
    unsigned thread_users[2];
} FakeHost;

/*
 * Classes: "fake" (all callbacks and a store) and "plain" (no more than must be) on bus "first",
 * "other" on "second", "loose" on none (which writes down no calls), "placed" on one of the three
 * "row-bus.0" to "row-bus.2", of which each has room for one.
 */
void fake_host_up(FakeHost *h);
void fake_host_down(FakeHost *h); /* and checks that nothing is claimed any more */

/* -device @text; NULL and the error's text in *ret_error, if that is not NULL. */
Device *fake_add(FakeHost *h, const char *text, char **ret_error);
void fake_expect_calls(FakeHost *h, const char *calls); /* since the last time */

#endif
