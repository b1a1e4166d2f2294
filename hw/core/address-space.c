/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/core/address-space.h"

#include <string.h>

struct AddressSpace {
    uint64_t limit;
    uint8_t none;
    GArray *ram;      /* RamRegion */
    GPtrArray *io;    /* IoRegion *, in the order in which they were mapped */
};

AddressSpace *address_space_new(uint64_t limit, uint8_t none)
{
    AddressSpace *as = g_new0(AddressSpace, 1);

    as->limit = limit;
    as->none = none;
    as->ram = g_array_new(FALSE, FALSE, sizeof(RamRegion));
    as->io = g_ptr_array_new();
    return as;
}

void address_space_free(AddressSpace *as)
{
    if (!as) {
        return;
    }
    while (as->io->len > 0) {
        address_space_unmap(g_ptr_array_index(as->io, 0));
    }
    g_ptr_array_unref(as->io);
    g_array_unref(as->ram);
    g_free(as);
}

void address_space_add_ram(AddressSpace *as, const RamRegion *ram)
{
    g_array_append_val(as->ram, *ram);
}

void address_space_clear_ram(AddressSpace *as)
{
    g_array_set_size(as->ram, 0);
}

const RamRegion *address_space_ram(const AddressSpace *as, unsigned n)
{
    return n < as->ram->len ? &g_array_index(as->ram, RamRegion, n) : NULL;
}

void address_space_map(AddressSpace *as, IoRegion *r, uint64_t base)
{
    g_assert(!r->as && r->size > 0);
    if (base > as->limit || r->size - 1 > as->limit - base) {
        return;
    }
    r->as = as;
    r->base = base;
    g_ptr_array_add(as->io, r);
}

void address_space_unmap(IoRegion *r)
{
    if (r->as) {
        g_ptr_array_remove(r->as->io, r); /* the order of the others stays */
        r->as = NULL;
    }
}

/* --- accesses --- */

/* Where a piece of an access goes; neither: to nothing. */
typedef struct Target {
    const RamRegion *ram;
    IoRegion *io;
    size_t len;        /* of the piece, 1 at least */
} Target;

/* [base, base + size) bounds a piece at @addr: true if @addr is in there. */
static bool target_bound(uint64_t addr, uint64_t base, uint64_t size, size_t *len)
{
    if (addr >= base && addr - base < size) {
        *len = (size_t)MIN(*len, size - (addr - base));
        return true;
    }
    if (addr < base) {
        *len = (size_t)MIN(*len, base - addr);
    }
    return false;
}

static Target address_space_find(const AddressSpace *as, uint64_t addr, size_t len)
{
    Target t = { .len = len };

    for (guint i = 0; i < as->ram->len; i++) {
        const RamRegion *r = &g_array_index(as->ram, RamRegion, i);

        if (target_bound(addr, r->base, r->size, &t.len)) {
            t.ram = r;
            return t;
        }
    }
    for (guint i = 0; i < as->io->len; i++) {
        IoRegion *r = g_ptr_array_index(as->io, i);

        if (target_bound(addr, r->base, r->size, &t.len)) {
            t.io = r;
            return t;
        }
    }
    return t;
}

/* How much of @len bytes one access to @offset of @r takes. */
static unsigned io_width(const IoRegion *r, uint64_t offset, size_t len)
{
    unsigned width = r->ops->max_access;

    while (width > len || offset % width != 0) {
        width /= 2;
    }
    return width;
}

static size_t io_read(IoRegion *r, uint64_t offset, uint8_t *buf, size_t len)
{
    unsigned width = io_width(r, offset, len);
    uint64_t value = GUINT64_TO_LE(r->ops->read(r->opaque, offset, width));

    memcpy(buf, &value, width);
    return width;
}

static size_t io_write(IoRegion *r, uint64_t offset, const uint8_t *buf, size_t len)
{
    unsigned width = io_width(r, offset, len);
    uint64_t value = 0;

    memcpy(&value, buf, width);
    r->ops->write(r->opaque, offset, GUINT64_FROM_LE(value), width);
    return width;
}

/* How much of @len bytes from @addr on there can be at all. */
static size_t address_space_reach(const AddressSpace *as, uint64_t addr, size_t len)
{
    if (addr > as->limit || len == 0) {
        return 0;
    }
    return as->limit - addr < len - 1 ? (size_t)(as->limit - addr) + 1 : len;
}

void address_space_read(AddressSpace *as, uint64_t addr, void *buf, size_t len)
{
    size_t reach = address_space_reach(as, addr, len);
    uint8_t *at = buf;

    for (size_t done = 0; done < reach; ) {
        Target t = address_space_find(as, addr + done, reach - done);

        if (t.ram) {
            memcpy(at + done, t.ram->host + (addr + done - t.ram->base), t.len);
        } else if (t.io) {
            t.len = io_read(t.io, addr + done - t.io->base, at + done, t.len);
        } else {
            memset(at + done, as->none, t.len);
        }
        done += t.len;
    }
    memset(at + reach, as->none, len - reach);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the next access comes after this one */
}

void address_space_write(AddressSpace *as, uint64_t addr, const void *buf, size_t len)
{
    size_t reach = address_space_reach(as, addr, len);
    const uint8_t *at = buf;

    for (size_t done = 0; done < reach; ) {
        Target t = address_space_find(as, addr + done, reach - done);

        if (t.ram) {
            memcpy(t.ram->host + (addr + done - t.ram->base), at + done, t.len);
        } else if (t.io) {
            t.len = io_write(t.io, addr + done - t.io->base, at + done, t.len);
        }
        done += t.len;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
