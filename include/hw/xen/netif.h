/*
 * The vif's wire format, from Xen's public headers (package libxen-dev), made fit for
 * our warnings. Nothing else includes xen/io/netif.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_NETIF_H
#define HW_XEN_NETIF_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC system_header
#include <xen/io/netif.h>
#include <xen/io/xenbus.h>

/* Linux netback and netfront agree on it; it is in netif.h of Xen 4.18 and later. */
#define NETIF_XDP_HEADROOM_MAX 256u

/* Of newer headers: room in front of rx packets, for XDP. */
#ifndef XEN_NETIF_EXTRA_TYPE_XDP
#define XEN_NETIF_EXTRA_TYPE_XDP 5
#endif

#endif
