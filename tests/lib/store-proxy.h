/*
 * A XenStore server that stops answering when a test says so, does not know what domains there
 * are, or changes at a moment that the test chooses: in between a client and the real server.
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

/* From now on whether a domain is there is answered with EIO; how often it was. */
void store_proxy_refuse_domains(StoreProxy *p);
unsigned store_proxy_refused(StoreProxy *p);

/*
 * Somebody else removes @path, once: before the request passes that @n others come before, or as
 * a transaction ends that has named @touched.
 */
void store_proxy_remove_at(StoreProxy *p, unsigned n, const char *path);
void store_proxy_remove_in(StoreProxy *p, const char *touched, const char *path);
/* It happened. */
bool store_proxy_removed(StoreProxy *p);

#endif
