/*
 * XenStore without its sockets: bytes from a client in, bytes for it out.
 * One thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_STORE_H
#define XENEMU_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Store Store;
typedef struct StoreConn StoreConn;

Store *store_new(void);
void store_free(Store *s); /* connections are gone */

/* The domain exists, or does not any more, as far as clients are told. */
void store_introduce(Store *s, uint16_t domid);
void store_release(Store *s, uint16_t domid);

/* With dom0's rights, outside of transactions: what a toolstack does. */
void store_set(Store *s, const char *path, const char *value);
/* Owned by @owner, whom dom0 may always override; @reader may read (0: nobody). */
void store_set_access(Store *s, const char *path, uint16_t owner, uint16_t reader);
void store_remove(Store *s, const char *path);
bool store_exists(Store *s, const char *path);

/* A client with the rights of @domid. @output(@opaque): there are bytes for it, or broken. */
StoreConn *store_conn_new(Store *s, uint16_t domid, void (*output)(void *opaque),
                          void *opaque);
void store_conn_free(StoreConn *c);

/* Where the client's next bytes go, and how many are wanted at most. */
uint8_t *store_conn_want(StoreConn *c, size_t *ret_len);
/* @n bytes are there; whole requests are answered. False: it broke the protocol, close. */
bool store_conn_got(StoreConn *c, size_t n);

/* What the client is to get next. NULL, *ret_len 0: nothing. */
const uint8_t *store_conn_output(const StoreConn *c, size_t *ret_len);
void store_conn_sent(StoreConn *c, size_t n);
/* It does not read what it asked for: close. */
bool store_conn_is_broken(const StoreConn *c);

#endif
