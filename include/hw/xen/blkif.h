/*
 * The vbd's wire format, from Xen's public headers (package libxen-dev), made fit for our
 * warnings. Nothing else includes xen/io/blkif.h.
 *
 * Its structs have the layout of this machine; hw/block/xen-blkif.c knows that of each frontend.
 * What its comments say of feature-large-sector-size is withdrawn (Xen's commit 221f2748e8): a
 * sector is 512 bytes, always and everywhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_BLKIF_H
#define HW_XEN_BLKIF_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC system_header
#include <xen/io/blkif.h>
#include <xen/io/protocols.h>

#endif
