/*
 * -machine: there is no machine, but callers name one, and "none" has no Xen.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

typedef struct MachineConfig {
    char *accel;
} MachineConfig;

static const MachineType machines[] = {
    { "xenpv", "Xen Para-virtualized PC (default)", true },
    { "none", "empty machine", false },
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
static const OptTable xenpv_options = { "xenpv-machine", sizeof(MachineConfig), machine_members };

const MachineType *machine_default(void)
{
    return &machines[0];
}

const char *const *machine_names(void)
{
    static const char *const names[] = { "xenpv", "none", NULL };

    return names;
}

static const MachineType *machine_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(machines); i++) {
        if (g_str_equal(machines[i].name, name)) {
            return &machines[i];
        }
    }
    return NULL;
}

bool machine_set(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "type", error);
    const OptTable *table = &xenpv_options;
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
    if (!s->machine->has_xen) {
        table = &none_options;
    }
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
        return opt_table_help(machine->has_xen ? &xenpv_options : &none_options);
    }
    if (!topic || topic[0] != '\0') {
        return NULL;
    }
    out = g_string_new("Supported machines are:\n");
    for (size_t i = 0; i < G_N_ELEMENTS(machines); i++) {
        g_string_append_printf(out, "%-20s %s\n", machines[i].name, machines[i].desc);
    }
    return g_string_free(out, FALSE);
}
