/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HW_NET_NETIF_COUNTERS_H
#define HW_NET_NETIF_COUNTERS_H

#include "hw/core/counter.h"

/* Of a NetifQueueStats: tx and rx. */
extern const CounterGroup netif_counters[];

#endif
