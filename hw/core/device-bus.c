/*
 * Which bus a device goes on: the one that bus= names, or one of its class's type with room.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core-internal.h"

#include <string.h>

/* --- slots --- */

static bool slot_is_free(const DeviceRegistry *r, const DeviceBus *row, int slot)
{
    for (guint i = 0; i < r->devices->len; i++) {
        const Device *d = g_ptr_array_index(r->devices, i);

        if (d->seat.row == row && d->seat.slot == slot) {
            return false;
        }
    }
    return true;
}

/* -1: there is none. QEMU takes the last one first. */
static int free_slot(const DeviceRegistry *r, const DeviceBus *row)
{
    int slot = (int)row->n_slots - 1;

    while (slot >= 0 && !slot_is_free(r, row, slot)) {
        slot--;
    }
    return slot;
}

static char *bus_name(const DeviceSeat *at)
{
    return at->row->n_slots > 0 ? g_strdup_printf("%s.%d", at->row->instance, at->slot)
                                : g_strdup(at->row->instance);
}

/* Whether @name is @row, or one of them. */
static bool bus_is_named(const DeviceBus *row, const char *name, int *ret_slot)
{
    size_t len = strlen(row->instance);
    guint64 slot;

    *ret_slot = -1;
    if (row->n_slots == 0) {
        return g_str_equal(name, row->instance);
    }
    if (strncmp(name, row->instance, len) != 0 || name[len] != '.' ||
        !g_ascii_string_to_unsigned(name + len + 1, 10, 0, row->n_slots - 1, &slot, NULL)) {
        return false;
    }
    *ret_slot = (int)slot;
    return true;
}

/* --- the choice --- */

static const DeviceBus *row_of_type(const DeviceRegistry *r, const char *type)
{
    const DeviceBus *const *row = r->host->buses;

    while (!g_str_equal((*row)->type, type)) {
        row++;
        g_assert(*row); /* a class's bus is in the table */
    }
    return *row;
}

/* A path that begins with another bus ends there. */
static bool choose_named(const DeviceRegistry *r, const DeviceClass *c, const char *name,
                         DeviceSeat *ret, GError **error)
{
    for (size_t i = 0; r->host->buses[i] && !ret->row; i++) {
        if (bus_is_named(r->host->buses[i], name, &ret->slot)) {
            ret->row = r->host->buses[i];
            ret->bus = ret->row->get(r->opaque);
        }
    }
    if (!ret->row || !ret->bus) {
        return device_set_error(error, "Bus '%.*s' not found", (int)strcspn(name, "/"), name);
    }
    if (g_strcmp0(ret->row->type, c->bus) != 0) {
        return device_set_error(error, "Device '%s' can't go on %s bus", device_class_name(c),
                                ret->row->kind ? ret->row->kind : ret->row->type);
    }
    if (ret->slot >= 0 && !slot_is_free(r, ret->row, ret->slot)) {
        return device_set_error(error, "Bus '%s' is full", name);
    }
    return true;
}

static void choose_any(const DeviceRegistry *r, const DeviceClass *c, DeviceSeat *ret)
{
    ret->row = row_of_type(r, c->bus);
    ret->slot = ret->row->n_slots > 0 ? free_slot(r, ret->row) : -1;
    ret->bus = ret->row->n_slots > 0 && ret->slot < 0 ? NULL : ret->row->get(r->opaque);
}

static bool has_option(const DeviceClass *c, const char *name)
{
    for (const OptMember *m = c->options->members; m->name; m++) {
        if (g_str_equal(m->name, name)) {
            return true;
        }
    }
    return false;
}

static bool is_fixed(const DeviceSeat *at, GError **error)
{
    if (at->row && at->bus && at->row->fixed) {
        g_autofree char *name = bus_name(at);

        device_set_error(error, "Bus '%s' does not support hotplugging", name);
        return true;
    }
    return false;
}

bool device_bus_choose(const DeviceRegistry *r, const DeviceClass *c, OptDict *args,
                       DeviceSeat *ret, GError **error)
{
    *ret = (DeviceSeat){ .slot = -1 };
    if (opt_dict_get(args, "bus") && !has_option(c, "bus")) {
        g_autofree char *name = opt_dict_take(args, "bus", error);

        if (!name || !choose_named(r, c, name, ret, error)) {
            return false;
        }
    } else if (c->bus) {
        choose_any(r, c, ret);
    }
    return !r->up || !is_fixed(ret, error);
}

bool device_may_go(const Device *d, GError **error)
{
    return !is_fixed(&d->seat, error);
}
