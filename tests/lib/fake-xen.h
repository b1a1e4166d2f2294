/*
 * XenOps for tests of a frontend's data path, without any Xen: pages are this
 * process's memory, and the test acts as the backend of the event channels. Life cycles
 * and grants proper are tested with the emulated host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_FAKE_XEN_H
#define TESTS_LIB_FAKE_XEN_H

#include "hw/xen/xen-ops.h"

Xen *fake_xen_new(void); /* xen_close() */

/* The page that the frontend granted as @ref; NULL: not granted. */
void *fake_xen_page(Xen *xen, uint32_t ref, bool *ret_writable);
unsigned fake_xen_n_granted(Xen *xen);

/* The next @n calls of share_free fail with -EBUSY. */
void fake_xen_set_busy(Xen *xen, unsigned n);
/* share_alloc fails once so many pages are granted. 0: no limit. */
void fake_xen_set_limit(Xen *xen, unsigned pages);

/* The backend sends an event to @port of the frontend. */
void fake_xen_raise(Xen *xen, uint32_t port);
/* Events that the frontend sent through @port so far. */
unsigned fake_xen_notified(Xen *xen, uint32_t port);

#endif
