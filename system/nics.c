/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nics.h"

/* One that was asked for; its netdev is there. */
typedef struct Nic {
    char *said;   /* behind -nic */
    char *model;
    char *mac;    /* NULL: the class's choice */
    char *netdev;
} Nic;

/* QEMU's short names of models. */
static const struct {
    const char *alias;
    const char *model;
} nic_aliases[] = {
    { "virtio", "virtio-net-pci" },
    { "xen", "xen-net-device" },
};

void nic_free(gpointer opaque)
{
    Nic *nic = opaque;

    g_free(nic->said);
    g_free(nic->model);
    g_free(nic->mac);
    g_free(nic->netdev);
    g_free(nic);
}

/* What the machine has room for. */
static const char *nic_default_model(const System *s)
{
    return s->machine->has_pci ? "virtio-net-pci" : "xen-net-device";
}

static const char *nic_model(const System *s, const char *said)
{
    for (size_t i = 0; said && i < G_N_ELEMENTS(nic_aliases); i++) {
        if (g_str_equal(nic_aliases[i].alias, said)) {
            return nic_aliases[i].model;
        }
    }
    return said ? said : nic_default_model(s);
}

const DeviceClass *nic_class(const System *s, const char *arg)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "type", NULL);

    if (!args || g_strcmp0(opt_dict_get(args, "type"), "none") == 0) {
        return NULL;
    }
    return device_class_find(s->devices, nic_model(s, opt_dict_get(args, "model")));
}

/* "nic0", or the next one that is no netdev's. */
static char *nic_new_id(System *s)
{
    for (unsigned i = 0;; i++) {
        g_autofree char *id = g_strdup_printf("nic%u", i);

        if (!netdev_find(s, id)) {
            return g_steal_pointer(&id);
        }
    }
}

static bool nic_add(System *s, OptDict *args, const char *said, GError **error)
{
    Nic *nic = g_new0(Nic, 1);
    g_autofree char *model = opt_dict_take(args, "model", NULL);

    g_ptr_array_add(s->nics, nic);
    nic->said = g_strdup(said);
    nic->model = g_strdup(nic_model(s, model));
    nic->mac = opt_dict_take(args, "mac", NULL);
    nic->netdev = g_strdup(opt_dict_get(args, "id"));
    if (!nic->netdev) {
        nic->netdev = nic_new_id(s);
        opt_dict_set(args, "id", nic->netdev);
    }
    if (!device_class_find(s->devices, nic->model)) {
        return system_set_error(error, "Unsupported NIC model: %s", nic->model);
    }
    return netdev_add(s, args, error);
}

/* Other parameters of "none" are none. */
static bool nic_none(OptDict *args, GError **error)
{
    static const OptMember members[] = { { "type", OPT_STR, .ignored = true }, { 0 } };
    static const OptTable table = { "none", 1, members };
    void *config = opt_config_new(&table, args, OPT_PARAMETERS, error);

    opt_config_free(&table, config);
    return config != NULL;
}

bool nic_option(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "type", error);

    if (!args) {
        return false;
    }
    return g_strcmp0(opt_dict_get(args, "type"), "none") == 0 ? nic_none(args, error)
                                                              : nic_add(s, args, arg, error);
}

bool nics_add_devices(System *s, GError **error)
{
    for (guint i = 0; i < s->nics->len; i++) {
        const Nic *nic = g_ptr_array_index(s->nics, i);
        g_autoptr(OptDict) args = opt_dict_from_json(NULL);

        opt_dict_set(args, "driver", nic->model);
        opt_dict_set(args, "netdev", nic->netdev);
        if (nic->mac) {
            opt_dict_set(args, "mac", nic->mac);
        }
        if (!devices_add(s, args, error)) {
            g_prefix_error(error, "-nic %s: ", nic->said);
            return false;
        }
    }
    return true;
}

char *nic_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "type");

    return topic && topic[0] == '\0'
               ? g_strdup("TYPE[,model=MODEL][,mac=MAC][,prop=value]: a netdev, with properties as "
                          "'-netdev TYPE,help' lists\nthem, and a -device MODEL that has it\n"
                          "none: no NIC, as without it\n")
               : NULL;
}

bool net_option(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "type", error);
    g_autofree char *type = args ? opt_dict_take(args, "type", error) : NULL;

    if (!type) {
        return false;
    }
    if (g_str_equal(type, "none")) {
        return nic_none(args, error);
    }
    if (!g_str_equal(type, "nic") && !netdev_type_find(type)) {
        return system_set_error(error, "Parameter 'type' does not accept value '%s'", type);
    }
    return system_set_error(error, "hubs are not supported: use -nic, or -netdev and -device");
}

char *net_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "type");

    return topic && topic[0] == '\0' ? g_strdup("none: no NIC, as without it\n") : NULL;
}
