/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HW_NET_NIC_COUNTERS_H
#define HW_NET_NIC_COUNTERS_H

#include "hw/core/counter.h"

/* Of a NicQueueStats: tx and rx. */
extern const CounterGroup nic_counters[];

#endif
