/*
 * Names of the states of a vif's two ends (xen/include/public/io/xenbus.h), for people.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_NETIF_STATE_H
#define HW_NET_NETIF_STATE_H

#include "hw/xen/netif.h"

/* "init-wait", "connected", ...; a literal. */
const char *netif_state_name(enum xenbus_state state);

#endif
