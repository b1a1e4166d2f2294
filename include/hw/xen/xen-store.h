/*
 * XenStore over libxenstore: the same for a real and an emulated Xen, main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XEN_STORE_H
#define HW_XEN_XEN_STORE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct XenStore XenStore;
typedef struct XenWatch XenWatch;
typedef uint32_t XenTx; /* a transaction; 0: none */

/*
 * No call waits for a server that does not answer longer than two seconds: it fails with
 * ETIMEDOUT, as does every other one from then on, at once, until the server answers again. Then
 * each watch fires once. What a call that failed so asked for may still happen, but before
 * anything that is asked for later.
 *
 * @socket NULL: where libxenstore looks by itself. A server that goes away is not
 * announced: the next call fails.
 */
XenStore *xen_store_open(const char *socket, GError **error);
void xen_store_close(XenStore *s); /* NULL is fine; watches must be gone */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XenStore, xen_store_close)

/* The program ends: from now on no call waits longer than a quarter of a second. */
void xen_store_end_soon(XenStore *s);
/* A call was given up, and has not returned yet. */
bool xen_store_is_stalled(XenStore *s);

/*
 * The value with a NUL behind it, free it; NULL: errno (ENOENT, EACCES...). A value with a
 * NUL inside reads as up to there.
 */
char *xen_store_read(XenStore *s, XenTx tx, const char *path);

/*
 * @dir/@key, as a strict decimal number up to @max. @dir "": relative to our own domain. False:
 * absent (ENOENT) or bad (EINVAL), and *ret is as before.
 */
bool xen_store_read_uint(XenStore *s, XenTx tx, const char *dir, const char *key, uint64_t max,
                         uint64_t *ret);

/* False and errno on failure, the same below. Creates parents. */
bool xen_store_write(XenStore *s, XenTx tx, const char *path, const char *value);
bool xen_store_printf(XenStore *s, XenTx tx, const char *dir, const char *key, const char *fmt,
                      ...) G_GNUC_PRINTF(5, 6);
bool xen_store_remove(XenStore *s, XenTx tx, const char *path); /* the whole subtree */
/* Names below @path, a NULL-terminated array: g_strfreev(). NULL and errno. */
char **xen_store_list(XenStore *s, XenTx tx, const char *path);
/* Makes @path (if need be), owned by @owner, readable by @reader. */
bool xen_store_mkdir(XenStore *s, XenTx tx, const char *path, uint16_t owner, uint16_t reader);

/* errno on failure: 0. */
XenTx xen_store_begin(XenStore *s);
/* False with EAGAIN: somebody else was faster, do all of it again. */
bool xen_store_end(XenStore *s, XenTx tx, bool abort);

/*
 * Calls @fn in a transaction, all of it again if somebody else was faster, a bounded number of
 * times. @fn returning false aborts, with the errno it leaves. False: errno; EAGAIN if others
 * were faster each time. xen-store-tx.c
 */
typedef bool XenTxFn(XenStore *s, XenTx tx, void *opaque);
bool xen_store_transaction(XenStore *s, XenTxFn *fn, void *opaque);

/* Removes @path; not being there at all is as good. */
bool xen_store_clear(XenStore *s, XenTx tx, const char *path);
/* Removes @path if nothing is below it. */
void xen_store_remove_empty(XenStore *s, const char *path);
/* @dir/@key can be read. False: errno, ENOENT if it is not there. */
bool xen_store_has(XenStore *s, XenTx tx, const char *dir, const char *key);

typedef enum XenDomainState {
    XEN_DOMAIN_UNKNOWN, /* XenStore did not say: errno; EACCES where only dom0 may ask */
    XEN_DOMAIN_ALIVE,
    XEN_DOMAIN_DEAD,
} XenDomainState;

/* Whether the domain exists, as far as XenStore is concerned. */
XenDomainState xen_store_domain_state(XenStore *s, uint16_t domid);

/*
 * Calls @fn from the main loop when @path or something below it changes, and once at
 * first. Events that come while others wait are merged: one call for a watch and a round
 * of the main loop, however often a guest writes.
 */
XenWatch *xen_store_watch(XenStore *s, const char *path, void (*fn)(void *opaque),
                          void *opaque, GError **error);
void xen_store_unwatch(XenWatch *w); /* NULL is fine; @fn is not called again */

#endif
