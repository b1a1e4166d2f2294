/*
 * The machines pc and virt: their memory is a file without a name, which devices map, too, and may
 * share with somebody else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "firmware.h"
#include "globals.h"
#include "system.h"
#include "util/fd.h"

/* pc: where QEMU splits memory, if it does not fit below that address. */
#define PC_LOW_MAX     0xe0000000ull
#define PC_LOW_SPLIT   0xc0000000ull
#define PC_HIGH        (4ull << 30)
/* virt: the interrupt controller's lines for devices, and its path among QEMU's objects. */
#define VIRT_IRQS      256u
#define VIRT_MMIO      0x0a000000u
#define VIRT_MMIO_IRQ  16u /* of transport 0 */
#define VIRT_GIC       "/machine/unattached/device[1]"
/* More is not memory of a test, and no address of a guest's. */
#define BOARD_RAM_MAX  (1ull << 40)

static void board_add_ram(Board *b, uint64_t base, uint64_t offset, uint64_t size)
{
    address_space_add_ram(b->memory, &(RamRegion){
        .base = base,
        .size = size,
        .fd = b->ram_fd,
        .offset = offset,
        .host = (uint8_t *)b->ram + offset,
    });
}

static bool board_make_ram(Board *b, uint64_t size, GError **error)
{
    b->ram_fd = memfd_create("ram", MFD_CLOEXEC);
    if (b->ram_fd >= 0 && ftruncate(b->ram_fd, (off_t)size) == 0) {
        b->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, b->ram_fd, 0);
        if (b->ram != MAP_FAILED) {
            b->ram_size = size;
            return true;
        }
    }
    b->ram = NULL;
    return system_set_error(error, "cannot set up guest memory: %s", g_strerror(errno));
}

static void board_free(Board *b)
{
    pci_bus_free(b->pci);
    virtio_mmio_bus_free(b->mmio);
    fw_cfg_free(b->fw_cfg);
    irq_lines_free(b->irq);
    address_space_free(b->memory);
    address_space_free(b->ports);
    if (b->ram) {
        munmap(b->ram, b->ram_size);
    }
    fd_close(&b->ram_fd);
    g_free(b);
}

static void board_add_irqs(Board *b)
{
    b->irq = irq_lines_new(VIRT_IRQS);
    b->irqs[0] = (QtestIrqs){ VIRT_GIC, b->irq };
    b->irqs[1] = (QtestIrqs){ "gic", b->irq };
}

/* virtio-mmio.force-legacy, a property of the transports, which nobody makes by -device. */
static bool board_wants_legacy(const System *s, bool *ret_legacy, GError **error)
{
    const char *value = globals_get(s, "virtio-mmio", "force-legacy");

    *ret_legacy = !value || !g_str_equal(value, "off");
    if (!value || g_str_equal(value, "on") || g_str_equal(value, "off")) {
        return true;
    }
    *ret_legacy = !g_str_equal(value, "false") && !g_str_equal(value, "no");
    return g_str_equal(value, "true") || g_str_equal(value, "yes") || !*ret_legacy ||
           system_set_error(error, "can't apply global virtio-mmio.force-legacy=%s: Parameter "
                            "'force-legacy' expects 'on' or 'off'", value);
}

static bool board_add_mmio(const System *s, Board *b, GError **error)
{
    bool legacy;

    board_add_irqs(b);
    if (!board_wants_legacy(s, &legacy, error)) {
        return false;
    }
    b->mmio = virtio_mmio_bus_new(b->memory, &(VirtioMmioBusConfig){
        .base = VIRT_MMIO, .n = VIRTIO_MMIO_MAX_SLOTS, .irq = b->irq,
        .first_irq = VIRT_MMIO_IRQ, .legacy = legacy,
    });
    return true;
}

bool board_open(System *s, GError **error)
{
    uint64_t page = (uint64_t)getpagesize();
    uint64_t size = (machine_ram_size(s) + page - 1) / page * page;
    Board *b;

    if (!s->machine->has_pci && !s->machine->has_mmio) {
        return true;
    }
    if (size == 0 || size > BOARD_RAM_MAX) {
        return system_set_error(error, "-m: memory of this machine must be from 1 byte to 1 TiB");
    }
    b = g_new0(Board, 1);
    b->ram_fd = -1;
    b->memory = address_space_new(UINT64_MAX, 0);
    b->ports = address_space_new(UINT16_MAX, 0xff);
    s->board = b;
    if (!board_make_ram(b, size, error)) {
        return false;
    }
    if (s->machine->has_pci && size > PC_LOW_MAX) {
        board_add_ram(b, 0, 0, PC_LOW_SPLIT);
        board_add_ram(b, PC_HIGH, PC_LOW_SPLIT, size - PC_LOW_SPLIT);
    } else {
        board_add_ram(b, s->machine->ram_base, 0, size);
    }
    if (s->machine->has_pci) {
        b->pci = pci_bus_new(b->memory, b->ports);
        pci_bus_set_guest(b->pci, s->qtest && s->accel.kind == ACCEL_QTEST);
    }
    if (s->machine->has_mmio && !board_add_mmio(s, b, error)) {
        return false;
    }
    firmware_add(s, b);
    return true;
}

bool board_clear_ram(Board *b, GError **error)
{
    if (fallocate(b->ram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                  (off_t)b->ram_size) < 0) {
        return system_set_error(error, "cannot clear guest memory: %s", g_strerror(errno));
    }
    return true;
}

static void *board_get_pci(void *opaque)
{
    const System *s = opaque;

    return s->board ? s->board->pci : NULL;
}

const DeviceBus board_pci_bus = {
    .type = "PCI",
    .instance = "pci.0",
    .get = board_get_pci,
};

static void *board_get_mmio(void *opaque)
{
    const System *s = opaque;

    return s->board ? s->board->mmio : NULL;
}

const DeviceBus board_mmio_bus = {
    .type = "virtio-bus",
    .instance = "virtio-mmio-bus",
    .get = board_get_mmio,
    .kind = "virtio-mmio-bus",
    .n_slots = VIRTIO_MMIO_MAX_SLOTS,
    .fixed = true,
};

void board_close(System *s)
{
    g_clear_pointer(&s->board, board_free);
}
