/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HW_NET_NETIF_LIMITS_H
#define HW_NET_NETIF_LIMITS_H

#define NETIF_MAX_QUEUES 64 /* of a vif: ours, as Linux and xl have far fewer */

#endif
