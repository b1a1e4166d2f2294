/*
 * A XenStore server that stops answering when a test says so: in between a client and the
 * real server.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_STORE_PROXY_H
#define TESTS_LIB_STORE_PROXY_H

#include <stdbool.h>

typedef struct StoreProxy StoreProxy;

/* Listens at @path, for one client, and connects it to the server at @server. */
StoreProxy *store_proxy_new(const char *path, const char *server);
/* Ends both connections. */
void store_proxy_free(StoreProxy *p);
/* Nothing passes from now on, or again; what was sent meanwhile waits. */
void store_proxy_hold(StoreProxy *p, bool hold);

#endif
