/*
 * -device of classes that have no meaning here: what libvirt and others add to each guest. They
 * are there by their ids, can be unplugged, and do nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "inert-devices.h"

#include "util/log.h"

typedef struct InertConfig {
    char *id;
} InertConfig;

/* Any bus: those of other inert devices, too. */
#define IGNORED(name) { name, OPT_ANY, .ignored = true }
#define ANY_MEMBERS \
    { "id", OPT_STR, offsetof(InertConfig, id), .help = "name of the device" }, \
    IGNORED("bus")
#define PCI_MEMBERS \
    ANY_MEMBERS, IGNORED("addr"), IGNORED("multifunction"), IGNORED("acpi-index")
#define VIRTIO_MEMBERS \
    PCI_MEMBERS, IGNORED("disable-legacy"), IGNORED("disable-modern"), IGNORED("iommu_platform"), \
    IGNORED("ats"), IGNORED("packed"), IGNORED("page-per-vq"), IGNORED("vectors")

static const OptMember pci_members[] = { PCI_MEMBERS, { 0 } };
static const OptMember bridge_members[] = {
    PCI_MEMBERS, IGNORED("chassis_nr"), IGNORED("shpc"), IGNORED("msi"), { 0 },
};
static const OptMember usb_companion_members[] = {
    PCI_MEMBERS, IGNORED("masterbus"), IGNORED("firstport"), { 0 },
};
static const OptMember xhci_members[] = { PCI_MEMBERS, IGNORED("p2"), IGNORED("p3"), { 0 } };
static const OptMember vga_members[] = {
    PCI_MEMBERS, IGNORED("vgamem_mb"), IGNORED("edid"), IGNORED("xres"), IGNORED("yres"), { 0 },
};
static const OptMember usb_members[] = {
    ANY_MEMBERS, IGNORED("port"), IGNORED("serial"), IGNORED("display"), { 0 },
};
static const OptMember isa_serial_members[] = {
    ANY_MEMBERS, IGNORED("chardev"), IGNORED("index"), IGNORED("iobase"), IGNORED("irq"), { 0 },
};
static const OptMember panic_members[] = { ANY_MEMBERS, IGNORED("ioport"), { 0 } };
static const OptMember balloon_members[] = {
    VIRTIO_MEMBERS, IGNORED("deflate-on-oom"), IGNORED("free-page-reporting"),
    IGNORED("guest-stats-polling-interval"), { 0 },
};
static const OptMember serial_members[] = {
    VIRTIO_MEMBERS, IGNORED("max_ports"), IGNORED("ioeventfd"), { 0 },
};
static const OptMember port_members[] = {
    ANY_MEMBERS, IGNORED("nr"), IGNORED("chardev"), IGNORED("name"), { 0 },
};
static const OptMember rng_members[] = {
    VIRTIO_MEMBERS, IGNORED("rng"), IGNORED("max-bytes"), IGNORED("period"), { 0 },
};

static bool inert_realize(Device *d, GError **error)
{
    info_report("%s has no effect: %s is accepted, and nothing else", d->id,
                device_class_name(d->class));
    d->impl = d; /* there is nothing else, but it is realized */
    return true;
}

static void inert_start(Device *d)
{
}

static void inert_close(Device *d, unsigned timeout_ms)
{
    device_gone(d, NULL);
}

/* It has no state, and is in nobody's way who has one. */
static bool inert_save(Device *d, GByteArray *out, GError **error)
{
    return true;
}

static bool inert_load(Device *d, const uint8_t *data, size_t len, GError **error)
{
    return len == 0 || device_set_error(error, "it has no state");
}

static void inert_unrealize(Device *d)
{
}

static void inert_info(Device *d, DeviceInfo *ret_info)
{
    ret_info->state = "inert";
}

#define INERT(symbol, driver, members) \
    static const OptTable symbol##_options = { driver, sizeof(InertConfig), members }; \
    const DeviceClass inert_##symbol = { \
        .options = &symbol##_options, \
        .desc = "accepted, without effect", \
        .category = INERT_CATEGORY, \
        .id_offset = offsetof(InertConfig, id), \
        .realize = inert_realize, \
        .start = inert_start, \
        .close = inert_close, \
        .save = inert_save, \
        .load = inert_load, \
        .unrealize = inert_unrealize, \
        .info = inert_info, \
    }

INERT(cirrus_vga, "cirrus-vga", vga_members);
INERT(i6300esb, "i6300esb", pci_members);
INERT(ehci, "ich9-usb-ehci1", pci_members);
INERT(uhci1, "ich9-usb-uhci1", usb_companion_members);
INERT(uhci2, "ich9-usb-uhci2", usb_companion_members);
INERT(uhci3, "ich9-usb-uhci3", usb_companion_members);
INERT(isa_serial, "isa-serial", isa_serial_members);
INERT(pci_bridge, "pci-bridge", bridge_members);
INERT(piix3_uhci, "piix3-usb-uhci", pci_members);
INERT(pvpanic, "pvpanic", panic_members);
INERT(qemu_xhci, "qemu-xhci", xhci_members);
INERT(usb_kbd, "usb-kbd", usb_members);
INERT(usb_mouse, "usb-mouse", usb_members);
INERT(usb_tablet, "usb-tablet", usb_members);
INERT(vga, "VGA", vga_members);
INERT(virtconsole, "virtconsole", port_members);
INERT(balloon, "virtio-balloon-pci", balloon_members);
INERT(rng, "virtio-rng-pci", rng_members);
INERT(serial, "virtio-serial-pci", serial_members);
INERT(serialport, "virtserialport", port_members);
