/*
 * The states of a device's two ends, from Xen's public headers, made fit for our warnings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XENBUS_H
#define HW_XEN_XENBUS_H

#pragma GCC system_header
#include <xen/io/xenbus.h>

#endif
