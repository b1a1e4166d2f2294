/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-pci-guest.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define MMIO_BASE  0xe0000000u
#define PORT_BASE  0xc000u
#define BAR_STEP   0x100000u
#define MESSAGES   0x8000u   /* where vectors write, 4 bytes each */
#define RINGS      0x100000u
#define RING_STEP  0x80000u
#define BUFFERS    0x20000u  /* of a ring, from its beginning on */
#define BUFFER     1024u
#define RING_MAX   256u
#define WAIT_US    (20 * G_USEC_PER_SEC)

/* --- registers --- */

static uint32_t port_in(VirtioPciGuest *g, uint64_t port, unsigned len)
{
    uint32_t value = 0;

    g->a.read(g->a.opaque, true, port, &value, len);
    return GUINT32_FROM_LE(value);
}

static void port_out(VirtioPciGuest *g, uint64_t port, uint32_t value, unsigned len)
{
    value = GUINT32_TO_LE(value);
    g->a.write(g->a.opaque, true, port, &value, len);
}

static uint64_t config_port(VirtioPciGuest *g, unsigned offset)
{
    port_out(g, 0xcf8, 0x80000000u | g->slot << 11 | (offset & 0xfc), 4);
    return 0xcfc + (offset & 3);
}

uint32_t vpg_config_in(VirtioPciGuest *g, unsigned offset, unsigned len)
{
    return port_in(g, config_port(g, offset), len);
}

void vpg_config_out(VirtioPciGuest *g, unsigned offset, uint32_t value, unsigned len)
{
    port_out(g, config_port(g, offset), value, len);
}

uint64_t vpg_in(VirtioPciGuest *g, uint64_t addr, unsigned len)
{
    uint64_t value = 0;

    g->a.read(g->a.opaque, false, addr, &value, len);
    return GUINT64_FROM_LE(value);
}

void vpg_out(VirtioPciGuest *g, uint64_t addr, uint64_t value, unsigned len)
{
    value = GUINT64_TO_LE(value);
    g->a.write(g->a.opaque, false, addr, &value, len);
}

/* --- what it has --- */

static void place_bars(VirtioPciGuest *g)
{
    for (unsigned n = 0; n < 6; n++) {
        unsigned at = PCI_BASE_ADDRESS_0 + 4 * n;
        uint32_t type = vpg_config_in(g, at, 4) & 0xf;

        vpg_config_out(g, at, UINT32_MAX, 4);
        if (vpg_config_in(g, at, 4) == 0) {
            continue;
        }
        if (type & PCI_BASE_ADDRESS_SPACE_IO) {
            g->port = PORT_BASE;
            vpg_config_out(g, at, PORT_BASE, 4);
            continue;
        }
        vpg_config_out(g, at, MMIO_BASE + n * BAR_STEP, 4);
        if (type & PCI_BASE_ADDRESS_MEM_TYPE_64) {
            vpg_config_out(g, at + 4, 0, 4);
            n++;
        }
    }
    vpg_config_out(g, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

static uint64_t placed(uint32_t bar, uint32_t offset)
{
    return MMIO_BASE + (uint64_t)bar * BAR_STEP + offset;
}

static void found_vendor_cap(VirtioPciGuest *g, unsigned cap)
{
    uint64_t at = placed(vpg_config_in(g, cap + VIRTIO_PCI_CAP_BAR, 1),
                         vpg_config_in(g, cap + VIRTIO_PCI_CAP_OFFSET, 4));

    switch (vpg_config_in(g, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        g->common = at;
        break;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
        g->notify = at;
        g->notify_step = vpg_config_in(g, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
        break;
    case VIRTIO_PCI_CAP_ISR_CFG:
        g->isr = at;
        break;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        g->device = at;
        break;
    default:
        break;
    }
}

static void found_msix(VirtioPciGuest *g, unsigned cap)
{
    uint32_t table = vpg_config_in(g, cap + PCI_MSIX_TABLE, 4);
    uint32_t pba = vpg_config_in(g, cap + PCI_MSIX_PBA, 4);

    g->msix_cap = cap;
    g->msix_table = placed(table & PCI_MSIX_TABLE_BIR, table & PCI_MSIX_TABLE_OFFSET);
    g->msix_pba = placed(pba & PCI_MSIX_PBA_BIR, pba & PCI_MSIX_PBA_OFFSET);
}

void vpg_find(VirtioPciGuest *g)
{
    unsigned cap = vpg_config_in(g, PCI_CAPABILITY_LIST, 1);

    g_assert_cmphex(vpg_config_in(g, PCI_VENDOR_ID, 2), ==, 0x1af4);
    g->common = g->msix_cap = 0;
    place_bars(g);
    for (; cap != 0; cap = vpg_config_in(g, cap + 1, 1)) {
        unsigned id = vpg_config_in(g, cap, 1);

        if (id == PCI_CAP_ID_VNDR) {
            found_vendor_cap(g, cap);
        } else if (id == PCI_CAP_ID_MSIX) {
            found_msix(g, cap);
        }
    }
    if (g->msix) {
        g_assert_cmpuint(g->msix_cap, !=, 0);
        vpg_config_out(g, g->msix_cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 2);
    }
}

uint8_t vpg_status(VirtioPciGuest *g)
{
    return (uint8_t)(g->legacy ? port_in(g, g->port + VIRTIO_PCI_STATUS, 1)
                               : vpg_in(g, g->common + VIRTIO_PCI_COMMON_STATUS, 1));
}

void vpg_set_status(VirtioPciGuest *g, uint8_t status)
{
    if (g->legacy) {
        port_out(g, g->port + VIRTIO_PCI_STATUS, status, 1);
    } else {
        vpg_out(g, g->common + VIRTIO_PCI_COMMON_STATUS, status, 1);
    }
}

uint8_t vpg_take_isr(VirtioPciGuest *g)
{
    return (uint8_t)(g->legacy ? port_in(g, g->port + VIRTIO_PCI_ISR, 1) : vpg_in(g, g->isr, 1));
}

uint8_t vpg_net_config(VirtioPciGuest *g, unsigned offset)
{
    return (uint8_t)(g->legacy ? port_in(g, g->port + VIRTIO_PCI_CONFIG_OFF(g->msix) + offset, 1)
                               : vpg_in(g, g->device + offset, 1));
}

static void select_word(VirtioPciGuest *g, unsigned select, unsigned word)
{
    vpg_out(g, g->common + select, word, 4);
}

static bool negotiate_modern(VirtioPciGuest *g, uint8_t status)
{
    uint64_t offered = 0;

    for (unsigned w = 0; w < 2; w++) {
        select_word(g, VIRTIO_PCI_COMMON_DFSELECT, w);
        offered |= vpg_in(g, g->common + VIRTIO_PCI_COMMON_DF, 4) << 32 * w;
    }
    g->features = offered & (g->wanted | 1ull << VIRTIO_F_VERSION_1);
    for (unsigned w = 0; w < 2; w++) {
        select_word(g, VIRTIO_PCI_COMMON_GFSELECT, w);
        vpg_out(g, g->common + VIRTIO_PCI_COMMON_GF, (uint32_t)(g->features >> 32 * w), 4);
    }
    vpg_set_status(g, status | VIRTIO_CONFIG_S_FEATURES_OK);
    return vpg_status(g) & VIRTIO_CONFIG_S_FEATURES_OK;
}

bool vpg_negotiate(VirtioPciGuest *g)
{
    uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
    bool ok = true;
    bool mergeable;
    unsigned pairs = 1;

    vpg_set_status(g, status);
    if (g->legacy) {
        g->features = port_in(g, g->port + VIRTIO_PCI_HOST_FEATURES, 4) & g->wanted;
        port_out(g, g->port + VIRTIO_PCI_GUEST_FEATURES, (uint32_t)g->features, 4);
    } else {
        ok = negotiate_modern(g, status);
    }
    mergeable = g->features & (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_NET_F_MRG_RXBUF);
    g->hdr_len = g->features & 1ull << VIRTIO_NET_F_HASH_REPORT
                     ? sizeof(struct virtio_net_hdr_v1_hash)
                 : mergeable ? sizeof(struct virtio_net_hdr_v1)
                             : sizeof(struct virtio_net_hdr);
    if (g->features & 1ull << VIRTIO_NET_F_MQ) {
        pairs = vpg_net_config(g, offsetof(struct virtio_net_config, max_virtqueue_pairs));
    }
    g->n_rings = 2 * pairs + 1;
    g_assert_cmpuint(g->n_rings, <=, VPG_MAX_RINGS);
    return ok;
}

/* --- rings --- */

void vpg_select(VirtioPciGuest *g, unsigned index)
{
    if (g->legacy) {
        port_out(g, g->port + VIRTIO_PCI_QUEUE_SEL, index, 2);
    } else {
        vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_SELECT, index, 2);
    }
}

unsigned vpg_ring_size(VirtioPciGuest *g, unsigned index)
{
    vpg_select(g, index);
    return (unsigned)(g->legacy ? port_in(g, g->port + VIRTIO_PCI_QUEUE_NUM, 2)
                                : vpg_in(g, g->common + VIRTIO_PCI_COMMON_Q_SIZE, 2));
}

static void set_up_modern(VirtioPciGuest *g, unsigned index, const VirtqDriver *d)
{
    uint64_t at[3];

    virtq_driver_addresses(d, at);
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_SIZE, d->c.size, 2);
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_DESCLO, at[0], 8);
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_AVAILLO, at[1], 8);
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_USEDLO, at[2], 8);
    if (g->msix) {
        vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_MSIX, index, 2);
        g_assert_cmpuint(vpg_in(g, g->common + VIRTIO_PCI_COMMON_Q_MSIX, 2), ==, index);
    }
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

static void set_up_legacy(VirtioPciGuest *g, unsigned index, const VirtqDriver *d)
{
    port_out(g, g->port + VIRTIO_PCI_QUEUE_PFN, (uint32_t)(d->c.gpa >> 12), 4);
    if (g->msix) {
        port_out(g, g->port + VIRTIO_MSI_QUEUE_VECTOR, index, 2);
        g_assert_cmpuint(port_in(g, g->port + VIRTIO_MSI_QUEUE_VECTOR, 2), ==, index);
    }
}

void vpg_add_ring(VirtioPciGuest *g, unsigned index)
{
    uint32_t gpa = RINGS + index * RING_STEP;
    VirtqDriverConfig c = {
        .features = g->features,
        .legacy = g->legacy,
        .mem = g->a.ram + gpa,
        .gpa = gpa,
        .size = (uint16_t)vpg_ring_size(g, index),
    };

    g_assert_cmpuint(c.size, >, 0);
    if (!g->legacy) {
        c.size = (uint16_t)MIN(c.size, RING_MAX);
    }
    g_assert_cmpuint(virtq_driver_size(&c), <=, BUFFERS);
    g_assert_cmpuint(c.size, <=, RING_MAX);
    virtq_driver_free(g->ring[index]);
    g->ring[index] = virtq_driver_new(&c);
    if (g->legacy) {
        set_up_legacy(g, index, g->ring[index]);
    } else {
        set_up_modern(g, index, g->ring[index]);
    }
}

static void set_config_vector(VirtioPciGuest *g)
{
    if (g->legacy) {
        port_out(g, g->port + VIRTIO_MSI_CONFIG_VECTOR, g->n_rings, 2);
    } else {
        vpg_out(g, g->common + VIRTIO_PCI_COMMON_MSIX, g->n_rings, 2);
    }
    for (unsigned i = 0; i <= g->n_rings; i++) {
        uint64_t entry = g->msix_table + i * PCI_MSIX_ENTRY_SIZE;

        vpg_out(g, entry + PCI_MSIX_ENTRY_LOWER_ADDR, MESSAGES + 4 * i, 8);
        vpg_out(g, entry + PCI_MSIX_ENTRY_DATA, i + 1, 4);
        vpg_msix_mask(g, i, false);
        vpg_msix_came(g, i);
    }
}

void vpg_reset(VirtioPciGuest *g)
{
    vpg_set_status(g, 0);
    g_assert_cmphex(vpg_status(g), ==, 0);
}

void vpg_start(VirtioPciGuest *g)
{
    uint8_t status;

    vpg_reset(g);
    g_assert_true(vpg_negotiate(g));
    if (g->msix) {
        set_config_vector(g);
    }
    for (unsigned i = 0; i < g->n_rings; i++) {
        vpg_add_ring(g, i);
    }
    status = vpg_status(g) | VIRTIO_CONFIG_S_DRIVER_OK;
    vpg_set_status(g, status);
    g_assert_cmphex(vpg_status(g), ==, status);
}

void vpg_done(VirtioPciGuest *g)
{
    for (unsigned i = 0; i < VPG_MAX_RINGS; i++) {
        g_clear_pointer(&g->ring[i], virtq_driver_free);
    }
}

void vpg_kick(VirtioPciGuest *g, unsigned index)
{
    if (!virtq_driver_publish(g->ring[index])) {
        return;
    }
    if (g->legacy) {
        port_out(g, g->port + VIRTIO_PCI_QUEUE_NOTIFY, index, 2);
    } else {
        vpg_out(g, g->notify + (uint64_t)index * g->notify_step, index, 2);
    }
}

bool vpg_get(VirtioPciGuest *g, unsigned index, uint16_t *ret_id, uint32_t *ret_len)
{
    gint64 end = g_get_monotonic_time() + WAIT_US;

    while (!virtq_driver_get(g->ring[index], ret_id, ret_len)) {
        if (g_get_monotonic_time() > end) {
            return false;
        }
        g->a.idle(g->a.opaque);
    }
    return true;
}

/* --- packets --- */

static uint32_t buffer_of(unsigned index, unsigned id)
{
    return RINGS + index * RING_STEP + BUFFERS + id * BUFFER;
}

static void add(VirtioPciGuest *g, unsigned index, unsigned n_out, unsigned n_in,
                VirtqDriverPiece *piece)
{
    g_assert_cmpint(virtq_driver_add(g->ring[index], piece, n_out, n_in), >=, 0);
}

void vpg_send(VirtioPciGuest *g, unsigned pair, const void *frame, size_t len)
{
    unsigned index = 2 * pair + 1;
    VirtqDriverPiece piece = { buffer_of(index, g->ring[index]->free_id),
                               g->hdr_len + (uint32_t)len };
    uint16_t id;
    uint32_t written;

    g_assert_cmpuint(len, <=, VPG_PACKET);
    memset(g->a.ram + piece.gpa, 0, g->hdr_len);
    memcpy(g->a.ram + piece.gpa + g->hdr_len, frame, len);
    add(g, index, 1, 0, &piece);
    vpg_kick(g, index);
    g_assert_true(vpg_get(g, index, &id, &written));
    g_assert_cmpuint(written, ==, 0);
}

void vpg_post(VirtioPciGuest *g, unsigned pair, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        VirtqDriverPiece piece = { buffer_of(2 * pair, g->ring[2 * pair]->free_id), BUFFER };

        add(g, 2 * pair, 0, 1, &piece);
    }
    vpg_kick(g, 2 * pair);
}

size_t vpg_recv(VirtioPciGuest *g, unsigned pair, void *frame)
{
    uint16_t id;
    uint32_t len;

    if (!vpg_get(g, 2 * pair, &id, &len)) {
        return 0;
    }
    g_assert_cmpuint(len, >, g->hdr_len);
    memcpy(frame, g->a.ram + buffer_of(2 * pair, id) + g->hdr_len, len - g->hdr_len);
    return len - g->hdr_len;
}

uint8_t vpg_command(VirtioPciGuest *g, uint8_t class, uint8_t command, const void *data,
                    size_t len)
{
    unsigned index = g->n_rings - 1;
    uint32_t gpa = buffer_of(index, g->ring[index]->free_id);
    VirtqDriverPiece piece[] = { { gpa, 2 + (uint32_t)len }, { gpa + 2 + (uint32_t)len, 1 } };
    uint8_t *at = g->a.ram + gpa;
    uint16_t id;
    uint32_t written;

    g_assert_cmpuint(len, <=, BUFFER - 3);
    at[0] = class;
    at[1] = command;
    memcpy(at + 2, data, len);
    at[2 + len] = VPG_NO_ACK;
    add(g, index, 1, 1, piece);
    vpg_kick(g, index);
    return vpg_get(g, index, &id, &written) ? at[2 + len] : VPG_NO_ACK;
}

uint8_t vpg_set_pairs(VirtioPciGuest *g, uint16_t pairs)
{
    uint16_t le = GUINT16_TO_LE(pairs);

    return vpg_command(g, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &le, sizeof(le));
}

/* --- MSI-X --- */

void vpg_msix_mask(VirtioPciGuest *g, unsigned vector, bool masked)
{
    vpg_out(g, g->msix_table + vector * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL, masked,
            4);
}

void vpg_msix_mask_all(VirtioPciGuest *g, bool masked)
{
    vpg_config_out(g, g->msix_cap + PCI_MSIX_FLAGS,
                   PCI_MSIX_FLAGS_ENABLE | (masked ? PCI_MSIX_FLAGS_MASKALL : 0), 2);
}

bool vpg_msix_is_pending(VirtioPciGuest *g, unsigned vector)
{
    return vpg_in(g, g->msix_pba + vector / 32 * 4, 4) >> vector % 32 & 1;
}

bool vpg_msix_came(VirtioPciGuest *g, unsigned vector)
{
    uint32_t *at = (void *)(g->a.ram + MESSAGES + 4 * vector);
    uint32_t value = __atomic_exchange_n(at, 0, __ATOMIC_SEQ_CST);

    g_assert_true(value == 0 || value == vector + 1);
    return value != 0;
}
