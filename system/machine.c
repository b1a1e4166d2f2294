/*
 * -machine: nothing here has a CPU. xenpv is what a guest of Xen has, pc and virt are memory and
 * buses for a qtest client, none has nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

#include <string.h>

typedef struct MachineConfig {
    char *accel;
} MachineConfig;

static const MachineType machines[] = {
    { .name = "xenpv", .desc = "Xen Para-virtualized PC (default)", .has_xen = true,
      .ram_size = 256u << 20 },
    { .name = "none", .desc = "empty machine" },
    { .name = "pc-i440fx-10.0", .alias = "pc", .series = "pc-i440fx-",
      .desc = "PCI bus, memory and no CPU, for qtest", .has_pci = true, .ram_size = 128u << 20 },
    { .name = "virt-10.0", .alias = "virt", .series = "virt-",
      .desc = "virtio-mmio, memory and no CPU, for qtest", .has_mmio = true,
      .ram_size = 128u << 20, .ram_base = 0x40000000 },
    { 0 },
};

/* What QEMU's callers add, apart from accel, is about things that we do not have. */
static const OptMember machine_members[] = {
    { "accel", OPT_STR, offsetof(MachineConfig, accel), .help = "as -accel, for none ignored" },
    { "acpi", OPT_BOOL, .ignored = true },
    { "dump-guest-core", OPT_BOOL, .ignored = true },
    { "graphics", OPT_BOOL, .ignored = true },
    { "kernel_irqchip", OPT_STR, .ignored = true },
    { "max-ram-below-4g", OPT_SIZE, .ignored = true },
    { "mem-merge", OPT_BOOL, .ignored = true },
    { "memory-backend", OPT_STR, .ignored = true },
    { "suppress-vmdesc", OPT_BOOL, .ignored = true },
    { "usb", OPT_BOOL, .ignored = true },
    { 0 },
};
static const OptTable none_options = { "none-machine", sizeof(MachineConfig), machine_members };
static const OptTable pc_options = { "pc-machine", sizeof(MachineConfig), machine_members };
static const OptTable virt_options = { "virt-machine", sizeof(MachineConfig), machine_members };
const OptTable xenpv_options = { "xenpv-machine", sizeof(MachineConfig), machine_members };

const OptTable *machine_options(const MachineType *m)
{
    if (m->has_pci) {
        return &pc_options;
    }
    if (m->has_mmio) {
        return &virt_options;
    }
    return m->has_xen ? &xenpv_options : &none_options;
}

const MachineType *machine_default(void)
{
    return &machines[0];
}

const MachineType *machine_types(void)
{
    return machines;
}

/* "pc-i440fx-7.2": callers have the name of the version that they were made for. */
static bool machine_in_series(const MachineType *m, const char *name)
{
    size_t len = m->series ? strlen(m->series) : 0;

    return len > 0 && strncmp(name, m->series, len) == 0 && g_ascii_isdigit(name[len]) &&
           strspn(name + len, "0123456789.") == strlen(name + len);
}

static const MachineType *machine_find(const char *name)
{
    for (const MachineType *m = machines; m->name; m++) {
        if (g_str_equal(m->name, name) || g_strcmp0(m->alias, name) == 0 ||
            machine_in_series(m, name)) {
            return m;
        }
    }
    return NULL;
}

uint64_t machine_ram_size(const System *s)
{
    return s->ram_given ? s->ram_size : s->machine->ram_size;
}

bool machine_set(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "type", error);
    const OptTable *table;
    g_autofree char *name = NULL;
    MachineConfig *config;
    bool ok = true;

    if (!args) {
        return false;
    }
    if (opt_dict_get(args, "type")) {
        const MachineType *found;

        name = opt_dict_take(args, "type", NULL);
        found = machine_find(name);
        if (!found) {
            return system_set_error(error, "unsupported machine type\n"
                                    "Use -machine help to list supported machines");
        }
        s->machine = found;
        s->machine_given = true;
    }
    table = machine_options(s->machine);
    config = opt_config_new(table, args, OPT_PROPERTIES, error);
    if (!config) {
        return false;
    }
    if (config->accel && s->machine->has_xen) {
        ok = accel_set_names(s, config->accel, error);
    }
    opt_config_free(table, config);
    return ok;
}

char *machine_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "type");
    const MachineType *machine = topic ? machine_find(topic) : NULL;
    GString *out;

    if (machine) {
        return opt_table_help(machine_options(machine));
    }
    if (!topic || topic[0] != '\0') {
        return NULL;
    }
    out = g_string_new("Supported machines are:\n");
    for (const MachineType *m = machines; m->name; m++) {
        if (m->alias) {
            g_string_append_printf(out, "%-20s %s (alias of %s)\n", m->alias, m->desc, m->name);
        }
        g_string_append_printf(out, "%-20s %s\n", m->name, m->desc);
    }
    return g_string_free(out, FALSE);
}
