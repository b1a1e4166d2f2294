/*
 * What a machine's addresses lead to: memory, registers of devices, or nothing. A machine has two,
 * one of memory and one of I/O ports. Accesses come from a qtest client, which plays the CPU, and
 * from devices (the message of an interrupt).
 *
 * Main thread only; a read or write of a region may add, remove and move regions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CORE_ADDRESS_SPACE_H
#define HW_CORE_ADDRESS_SPACE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct AddressSpace AddressSpace;

/*
 * Registers. @offset is in the region, and so is offset + size - 1; @size is 1, 2, 4 or 8, no more
 * than max_access, and @offset a multiple of it. Values have their first byte lowest.
 */
typedef struct IoRegionOps {
    unsigned max_access; /* longer accesses come in pieces, lowest address first */
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned size);
} IoRegionOps;

/* The owner's memory. What it sets before address_space_map() stays while it is mapped. */
typedef struct IoRegion {
    const IoRegionOps *ops;
    void *opaque;
    uint64_t size;
    AddressSpace *as;    /* where it is mapped; NULL: nowhere */
    uint64_t base;
} IoRegion;

/* Memory: @size bytes of @fd from @offset, mapped at @host. */
typedef struct RamRegion {
    uint64_t base;
    uint64_t size;
    int fd;              /* -1: it can't be shared */
    uint64_t offset;
    uint8_t *host;
} RamRegion;

/* @none: what a byte has where nothing is. No access goes beyond @limit, the last address. */
AddressSpace *address_space_new(uint64_t limit, uint8_t none);
void address_space_free(AddressSpace *as); /* NULL is fine; what is mapped is unmapped */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AddressSpace, address_space_free)

/* A copy of @ram is kept; its memory and descriptor are the caller's, and outlive @as. */
void address_space_add_ram(AddressSpace *as, const RamRegion *ram);
void address_space_clear_ram(AddressSpace *as); /* there is none any more */
const RamRegion *address_space_ram(const AddressSpace *as, unsigned n); /* NULL: no more */

/*
 * Memory hides a region where both are, and of two regions the one that was mapped first is found.
 * What would reach beyond the limit is not mapped.
 */
void address_space_map(AddressSpace *as, IoRegion *r, uint64_t base);
void address_space_unmap(IoRegion *r); /* one that is mapped nowhere is fine */

/* Of @len bytes; each piece of the way is judged for itself. What wraps around finds nothing. */
void address_space_read(AddressSpace *as, uint64_t addr, void *buf, size_t len);
void address_space_write(AddressSpace *as, uint64_t addr, const void *buf, size_t len);

#endif
