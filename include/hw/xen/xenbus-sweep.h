/*
 * What backends that were killed left in XenStore of domains that are gone since: their
 * toolstack does not know these nodes, and nobody else would ever remove them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XENBUS_SWEEP_H
#define HW_XEN_XENBUS_SWEEP_H

#include "hw/xen/xen-ops.h"
#include "hw/xen/xen-store.h"

/*
 * Removes our domain's backends of @kind ("vif") that no toolstack made, which writes
 * @toolstack_key, and device-model nodes that have nothing but a state, of domains that are known
 * to be dead. Returns how many of them. Only dom0 may ask whether a domain lives: elsewhere nothing
 * is removed. Main thread.
 */
unsigned xenbus_sweep(const Xen *xen, XenStore *s, const char *kind, const char *toolstack_key);

#endif
