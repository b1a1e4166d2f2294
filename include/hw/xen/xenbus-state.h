/*
 * Names of the states of a device's two ends (xen/include/public/io/xenbus.h), for people.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XENBUS_STATE_H
#define HW_XEN_XENBUS_STATE_H

#include "hw/xen/xenbus.h"

/* "init-wait", "connected", ...; a literal. */
const char *xenbus_state_name(enum xenbus_state state);

#endif
