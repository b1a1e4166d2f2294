/*
 * What the tests share: a host in a directory of its own, guests, a XenStore client that
 * says exactly what it is told to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_TESTS_LIB_H
#define XENEMU_TESTS_LIB_H

#include <errno.h>
#include <glib.h>

#include "xenemu.h"

#include <xen/io/xs_wire.h>

#define TEST_RAM (4u << 20)

typedef struct TestHost {
    char *dir;
    char *path;
    XenemuHost *host;
} TestHost;

TestHost *test_host_new(void);
void test_host_free(TestHost *t);

/* A guest in this process. */
XenemuGuest *test_guest(TestHost *t, int domid);
/* Until the host noticed that the domain is gone; a second at most. */
void test_wait_dead(TestHost *t, uint16_t domid);
/* Whether the handle's descriptor is readable within @ms. */
bool test_readable(int fd, int ms);

/* --- XenStore --- */

int test_store_connect(const char *path);
void test_store_send(int fd, uint32_t type, uint32_t tx, const void *data, size_t len);
/*
 * The next message, its payload in @buf with a NUL behind it. The type; XS_INVALID: the
 * connection was closed, or nothing came in a second.
 */
uint32_t test_store_recv(int fd, char *buf, size_t *ret_len);
/*
 * One request with strings that each have a NUL, and its answer; events that come before
 * it are dropped. 0: *ret (may be NULL) is the payload, free it; or an errno.
 */
int test_store_call(int fd, uint32_t type, uint32_t tx, char **ret, ...) G_GNUC_NULL_TERMINATED;
int test_store_write(int fd, uint32_t tx, const char *path, const char *value);
/* NULL: there is none. */
char *test_store_read(int fd, uint32_t tx, const char *path);
uint32_t test_store_begin(int fd);
int test_store_end(int fd, uint32_t tx, bool commit);
/* The next event as "path token", or NULL if none comes for 100 ms. */
char *test_store_event(int fd);

#endif
