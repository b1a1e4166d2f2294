/*
 * The state of a virtio-net of four pairs, on PCI or MMIO, from anybody. It is refused, and the
 * device is as after a reset, or its rings run by what it says: a driver could have set them up
 * so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include "virtio-regs-rig.h"

static VirtioRegsRig *the_rig(void)
{
    static const VirtioRegsRigConfig config = { .pairs = 4, .mmio = FUZZ_MMIO };
    static VirtioRegsRig rig;

    if (!rig.vn) {
        virtio_regs_rig_up(&rig, &config);
    }
    return &rig;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    VirtioRegsRig *r = the_rig();

    virtio_regs_rig_hold(r, true);
    if (virtio_regs_rig_load(r, data, size, &error)) {
        g_assert_no_error(error);
        virtio_regs_rig_hold(r, false);
        g_main_context_iteration(NULL, FALSE);
    } else {
        g_assert_nonnull(error);
        g_assert_false(virtio_regs_rig_has_driver(r));
    }
    g_assert_cmpuint(r->running, <=, 9);
    return 0;
}
