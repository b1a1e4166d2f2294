/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/core/fw-cfg.h"

#include <string.h>

#define PORT_BASE    0x510
#define KEY_MASK     0x3fff /* without the bits for "write" and "of this architecture" */
#define KEY_ARCH     0x8000
#define KEY_END      (FW_CFG_FILE_FIRST + FW_CFG_FILES)
#define ID_TRADITIONAL 1
#define ID_DMA       2

#define DMA_SIGNATURE 0x51454d5520434647ull /* "QEMU CFG", the first letter at the lowest address */
#define DMA_ERROR    0x01
#define DMA_READ     0x02
#define DMA_SKIP     0x04
#define DMA_SELECT   0x08
#define DMA_WRITE    0x10
#define DMA_CHUNK    4096u

/* In guest memory, big-endian. */
typedef struct DmaAccess {
    uint32_t control;
    uint32_t length;
    uint64_t address;
} DmaAccess;

/* In FW_CFG_FILE_DIR, behind the number of files, big-endian. */
typedef struct DirEntry {
    uint32_t size;
    uint16_t select;
    uint16_t reserved;
    char name[FW_CFG_NAME_MAX + 1];
} DirEntry;

typedef struct FwCfgFile {
    char name[FW_CFG_NAME_MAX + 1];
    GByteArray *data;
} FwCfgFile;

struct FwCfg {
    AddressSpace *memory;
    IoRegion key;           /* of a PC: with the data */
    IoRegion data;
    IoRegion dma;
    GByteArray *items[FW_CFG_FILE_FIRST]; /* NULL: there is no such item */
    GByteArray *dir;        /* what FW_CFG_FILE_DIR has */
    GArray *files;          /* FwCfgFile, sorted by name */
    const GByteArray *item; /* that was selected; NULL: one that reads as zeros */
    uint32_t offset;        /* of the next byte in it */
    uint64_t dma_addr;      /* as far as it was written */
    bool busy;              /* a transfer: what it writes to our own registers starts no other */
};

/* --- items --- */

static void fw_cfg_select(FwCfg *f, uint16_t key)
{
    uint16_t n = key & KEY_MASK;

    f->offset = 0;
    f->item = NULL;
    if (n >= KEY_END || (key & KEY_ARCH)) {
        return;
    }
    if (n == FW_CFG_FILE_DIR) {
        f->item = f->dir;
    } else if (n < FW_CFG_FILE_FIRST) {
        f->item = f->items[n];
    } else if (n - FW_CFG_FILE_FIRST < (int)f->files->len) {
        f->item = g_array_index(f->files, FwCfgFile, n - FW_CFG_FILE_FIRST).data;
    }
}

/* How much of the item is still to be read. */
static uint32_t fw_cfg_left(const FwCfg *f)
{
    return f->item && f->offset < f->item->len ? f->item->len - f->offset : 0;
}

static void fw_cfg_read(FwCfg *f, uint8_t *buf, uint32_t len)
{
    uint32_t n = MIN(len, fw_cfg_left(f));

    if (n > 0) {
        memcpy(buf, f->item->data + f->offset, n);
        f->offset += n;
    }
    memset(buf + n, 0, len - n);
}

static GByteArray *fw_cfg_bytes(const void *data, size_t len)
{
    GByteArray *bytes = g_byte_array_sized_new((guint)len);

    return len > 0 ? g_byte_array_append(bytes, data, (guint)len) : bytes;
}

void fw_cfg_add(FwCfg *f, uint16_t key, const void *data, size_t len)
{
    g_assert(key < FW_CFG_FILE_FIRST && key != FW_CFG_FILE_DIR && !f->items[key]);
    f->items[key] = fw_cfg_bytes(data, len);
    fw_cfg_select(f, FW_CFG_SIGNATURE);
}

void fw_cfg_add_u16(FwCfg *f, uint16_t key, uint16_t value)
{
    value = GUINT16_TO_LE(value);
    fw_cfg_add(f, key, &value, sizeof(value));
}

void fw_cfg_add_u64(FwCfg *f, uint16_t key, uint64_t value)
{
    value = GUINT64_TO_LE(value);
    fw_cfg_add(f, key, &value, sizeof(value));
}

static void fw_cfg_write_dir(FwCfg *f)
{
    uint32_t n = GUINT32_TO_BE(f->files->len);

    g_byte_array_set_size(f->dir, 0);
    g_byte_array_append(f->dir, (const guint8 *)&n, sizeof(n));
    for (guint i = 0; i < f->files->len; i++) {
        const FwCfgFile *file = &g_array_index(f->files, FwCfgFile, i);
        DirEntry entry = {
            .size = GUINT32_TO_BE(file->data->len),
            .select = GUINT16_TO_BE((uint16_t)(FW_CFG_FILE_FIRST + i)),
        };

        memcpy(entry.name, file->name, sizeof(entry.name));
        g_byte_array_append(f->dir, (const guint8 *)&entry, sizeof(entry));
    }
}

void fw_cfg_add_file(FwCfg *f, const char *name, const void *data, size_t len)
{
    FwCfgFile file = { .data = fw_cfg_bytes(data, len) };
    guint at = 0;

    g_assert(f->files->len < FW_CFG_FILES && strlen(name) <= FW_CFG_NAME_MAX);
    g_strlcpy(file.name, name, sizeof(file.name));
    while (at < f->files->len && strcmp(g_array_index(f->files, FwCfgFile, at).name, name) < 0) {
        at++;
    }
    g_array_insert_val(f->files, at, file);
    fw_cfg_write_dir(f);
    fw_cfg_select(f, FW_CFG_SIGNATURE);
}

/* --- transfers --- */

static bool dma_read(FwCfg *f, uint64_t addr, uint32_t len)
{
    uint8_t chunk[DMA_CHUNK];

    if (len > FW_CFG_DMA_MAX) {
        return false;
    }
    for (uint32_t n; len > 0; len -= n, addr += n) {
        n = MIN(len, DMA_CHUNK);
        fw_cfg_read(f, chunk, n);
        address_space_write(f->memory, addr, chunk, n);
    }
    return true;
}

/* What @access asks for; false: it can't be. Reads go before writes, and those before skips. */
static bool dma_do(FwCfg *f, const DmaAccess *access)
{
    uint32_t control = GUINT32_FROM_BE(access->control);
    uint32_t length = GUINT32_FROM_BE(access->length);

    if (control & DMA_SELECT) {
        fw_cfg_select(f, (uint16_t)(control >> 16));
    }
    if (control & DMA_READ) {
        return dma_read(f, GUINT64_FROM_BE(access->address), length);
    }
    if (control & DMA_WRITE) {
        return length == 0; /* no item can be written */
    }
    if (control & DMA_SKIP) {
        f->offset += MIN(length, fw_cfg_left(f));
    }
    return true;
}

static void fw_cfg_dma(FwCfg *f)
{
    uint64_t addr = f->dma_addr;
    uint32_t control;
    DmaAccess access;

    f->dma_addr = 0;
    if (f->busy) {
        return;
    }
    f->busy = true;
    address_space_read(f->memory, addr, &access, sizeof(access));
    control = dma_do(f, &access) ? 0 : GUINT32_TO_BE(DMA_ERROR);
    address_space_write(f->memory, addr + offsetof(DmaAccess, control), &control, sizeof(control));
    f->busy = false;
}

/* --- registers --- */

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    fw_cfg_read(opaque, (uint8_t *)&value, size);
    return GUINT64_FROM_LE(value);
}

/* A PC's key, which is two bytes, and data, which are one, wherever they are read. */
static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    return size == 1 ? data_read(opaque, offset, size) : 0;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (size == 2) {
        fw_cfg_select(opaque, (uint16_t)value);
    }
}

static const IoRegionOps port_ops = { 2, port_read, port_write };

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    /* QEMU took this away: what is configured is told, and not asked */
}

static const IoRegionOps data_ops = { 8, data_read, data_write };

static uint64_t key_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void key_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (size == 2) {
        fw_cfg_select(opaque, GUINT16_SWAP_LE_BE((uint16_t)value));
    }
}

static const IoRegionOps key_ops = { 2, key_read, key_write };

static uint64_t dma_reg_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t signature = GUINT64_SWAP_LE_BE(DMA_SIGNATURE) >> (offset * 8);

    return size == 8 ? signature : signature & ((1ull << (size * 8)) - 1);
}

/* The lower half starts the transfer. */
static void dma_reg_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    FwCfg *f = opaque;

    if (size == 8) {
        f->dma_addr = GUINT64_SWAP_LE_BE(value);
        fw_cfg_dma(f);
    } else if (size == 4 && offset == 0) {
        f->dma_addr = (uint64_t)GUINT32_SWAP_LE_BE((uint32_t)value) << 32;
    } else if (size == 4) {
        f->dma_addr |= GUINT32_SWAP_LE_BE((uint32_t)value);
        fw_cfg_dma(f);
    }
}

static const IoRegionOps dma_ops = { 8, dma_reg_read, dma_reg_write };

/* --- public --- */

FwCfg *fw_cfg_new(AddressSpace *memory)
{
    const uint32_t id = GUINT32_TO_LE(ID_TRADITIONAL | ID_DMA);
    FwCfg *f = g_new0(FwCfg, 1);

    f->memory = memory;
    f->dir = g_byte_array_new();
    f->files = g_array_new(FALSE, FALSE, sizeof(FwCfgFile));
    fw_cfg_write_dir(f);
    fw_cfg_add(f, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add(f, FW_CFG_ID, &id, sizeof(id));
    return f;
}

void fw_cfg_free(FwCfg *f)
{
    if (!f) {
        return;
    }
    address_space_unmap(&f->key);
    address_space_unmap(&f->data);
    address_space_unmap(&f->dma);
    for (size_t i = 0; i < G_N_ELEMENTS(f->items); i++) {
        g_clear_pointer(&f->items[i], g_byte_array_unref);
    }
    for (guint i = 0; i < f->files->len; i++) {
        g_byte_array_unref(g_array_index(f->files, FwCfgFile, i).data);
    }
    g_array_unref(f->files);
    g_byte_array_unref(f->dir);
    g_free(f);
}

static void fw_cfg_map(FwCfg *f, IoRegion *r, const IoRegionOps *ops, uint64_t size,
                       AddressSpace *as, uint64_t base)
{
    *r = (IoRegion){ .ops = ops, .opaque = f, .size = size };
    address_space_map(as, r, base);
}

void fw_cfg_map_ports(FwCfg *f, AddressSpace *ports)
{
    fw_cfg_map(f, &f->key, &port_ops, 2, ports, PORT_BASE);
    fw_cfg_map(f, &f->dma, &dma_ops, 8, ports, PORT_BASE + 4);
}

void fw_cfg_map_memory(FwCfg *f, uint64_t base)
{
    fw_cfg_map(f, &f->data, &data_ops, 8, f->memory, base);
    fw_cfg_map(f, &f->key, &key_ops, 2, f->memory, base + 8);
    fw_cfg_map(f, &f->dma, &dma_ops, 8, f->memory, base + 16);
}
