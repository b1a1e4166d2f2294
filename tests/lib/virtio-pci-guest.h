/*
 * The registers of a virtio device on PCI, modern or legacy, for its driver; and MSI-X.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIRTIO_PCI_GUEST_H
#define TESTS_LIB_VIRTIO_PCI_GUEST_H

#include "virtio-regs-guest.h"

#define VPG_NO_VECTOR 0xffffu

uint32_t vpg_config_in(VirtioPciGuest *g, unsigned offset, unsigned len);
void vpg_config_out(VirtioPciGuest *g, unsigned offset, uint32_t value, unsigned len);

/* Places its regions, and finds registers. */
void vpg_find(VirtioPciGuest *g);

/* --- MSI-X --- */

void vpg_msix_mask(VirtioPciGuest *g, unsigned vector, bool masked);
void vpg_msix_mask_all(VirtioPciGuest *g, bool masked);
bool vpg_msix_is_pending(VirtioPciGuest *g, unsigned vector);
/* A message of @vector came since the last look. */
bool vpg_msix_came(VirtioPciGuest *g, unsigned vector);

#endif
