/*
 * The registers of a virtio device on MMIO, for its driver.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIRTIO_MMIO_GUEST_H
#define TESTS_LIB_VIRTIO_MMIO_GUEST_H

#include "virtio-regs-guest.h"

/* At the transport at @base. Legacy, as it has to be: it has told the size of its pages. */
void vmg_find(VirtioPciGuest *g, uint64_t base);

#endif
