/*
 * The state of a virtio-net-pci of four pairs, from anybody. It is refused, and the device is as
 * after a reset, or its rings run by what it says: a driver could have set them up so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include "virtio-pci-rig.h"

static VirtioPciRig *the_rig(void)
{
    static const VirtioPciRigConfig config = { .pairs = 4 };
    static VirtioPciRig rig;

    if (!rig.pci) {
        virtio_pci_rig_up(&rig, &config);
    }
    return &rig;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    StateReader in = { .data = data, .left = size };
    VirtioPciRig *r = the_rig();

    virtio_pci_hold(r->pci, true);
    if (virtio_pci_load(r->pci, &in, &error)) {
        g_assert_no_error(error);
        virtio_pci_hold(r->pci, false);
        g_main_context_iteration(NULL, FALSE);
    } else {
        g_assert_nonnull(error);
        g_assert_false(virtio_pci_has_driver(r->pci));
    }
    g_assert_cmpuint(r->running, <=, 9);
    return 0;
}
