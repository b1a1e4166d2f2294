/*
 * QMP: which frames the guests of NICs want. As in QEMU: NIC_RX_FILTER_CHANGED comes once, and then
 * not before query-rx-filter has told what is wanted now.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-commands.h"

#include "hw/net/nic.h"

typedef struct NameArgs {
    char *name;
} NameArgs;

static const OptMember name_members[] = {
    { "name", OPT_STR, offsetof(NameArgs, name) },
    { 0 },
};
static const OptTable name_args = { "query-rx-filter", sizeof(NameArgs), name_members };

/* Of frames of a kind: those that the tables say, none, or all. */
enum { RX_NORMAL, RX_NONE, RX_ALL };
static const char *const rx_state_names[] = { "normal", "none", "all", NULL };
static const OptEnum rx_state = { "RxState", rx_state_names };

typedef struct RxFilterInfo {
    char *name;
    bool promiscuous;
    int multicast;
    int unicast;
    int vlan;
    bool broadcast_allowed;
    bool multicast_overflow;
    bool unicast_overflow;
    char *main_mac;
    GArray *vlan_table;      /* int64_t */
    GArray *unicast_table;   /* char * */
    GArray *multicast_table;
} RxFilterInfo;

static const OptMember vlan_item = { .type = OPT_INT64 };
static const OptMember mac_item = { .type = OPT_STR };
static const OptMember filter_members[] = {
    { "name", OPT_STR, offsetof(RxFilterInfo, name), .required = true },
    { "promiscuous", OPT_BOOL, offsetof(RxFilterInfo, promiscuous), .required = true },
    { "multicast", OPT_ENUM, offsetof(RxFilterInfo, multicast), .required = true,
      .values = &rx_state },
    { "unicast", OPT_ENUM, offsetof(RxFilterInfo, unicast), .required = true,
      .values = &rx_state },
    { "vlan", OPT_ENUM, offsetof(RxFilterInfo, vlan), .required = true, .values = &rx_state },
    { "broadcast-allowed", OPT_BOOL, offsetof(RxFilterInfo, broadcast_allowed), .required = true },
    { "multicast-overflow", OPT_BOOL, offsetof(RxFilterInfo, multicast_overflow),
      .required = true },
    { "unicast-overflow", OPT_BOOL, offsetof(RxFilterInfo, unicast_overflow), .required = true },
    { "main-mac", OPT_STR, offsetof(RxFilterInfo, main_mac), .required = true },
    { "vlan-table", OPT_LIST, offsetof(RxFilterInfo, vlan_table), .required = true,
      .item = &vlan_item },
    { "unicast-table", OPT_LIST, offsetof(RxFilterInfo, unicast_table), .required = true,
      .item = &mac_item },
    { "multicast-table", OPT_LIST, offsetof(RxFilterInfo, multicast_table), .required = true,
      .item = &mac_item },
    { 0 },
};
static const OptTable filter_table = { "RxFilterInfo", sizeof(RxFilterInfo), filter_members };
static const OptMember filter_item = { .type = OPT_STRUCT, .table = &filter_table };
static const OptMember filters_result = { .type = OPT_LIST, .item = &filter_item };

static char *mac_text(const uint8_t mac[6])
{
    return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                           mac[4], mac[5]);
}

static GArray *mac_list(const VirtioNetFilter *f, unsigned from, unsigned n)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(char *));

    for (unsigned i = from; i < from + n; i++) {
        char *text = mac_text(f->table[i]);

        g_array_append_val(list, text);
    }
    return list;
}

/* None where all are taken: then the guest cannot say which. */
static GArray *vlan_list(const VirtioNetFilter *f)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(int64_t));

    for (unsigned vid = 0; f->by_vlan && vid < VIRTIO_NET_FILTER_VLANS; vid++) {
        if (virtio_net_filter_has_vlan(f, vid)) {
            g_array_append_val(list, (int64_t){ vid });
        }
    }
    return list;
}

static int rx_state_of(bool none, bool all)
{
    return none ? RX_NONE : all ? RX_ALL : RX_NORMAL;
}

static void filter_add(GArray *list, const Device *d, const VirtioNetFilter *f)
{
    RxFilterInfo *info = g_new0(RxFilterInfo, 1);

    info->name = g_strdup(d->id);
    info->promiscuous = f->promisc;
    info->unicast = rx_state_of(f->nouni, f->alluni);
    info->multicast = rx_state_of(f->nomulti, f->allmulti);
    info->broadcast_allowed = !f->nobcast;
    info->unicast_overflow = f->uni_overflow;
    info->multicast_overflow = f->multi_overflow;
    info->main_mac = mac_text(f->mac);
    info->vlan_table = vlan_list(f);
    info->vlan = rx_state_of(info->vlan_table->len == 0 && f->by_vlan, !f->by_vlan);
    info->unicast_table = mac_list(f, 0, f->n_uni);
    info->multicast_table = mac_list(f, f->n_uni, f->n_multi);
    g_array_append_val(list, info);
}

/* NULL: it does not know. */
static const VirtioNetFilter *filter_of(Device *d)
{
    const struct NicOps *nic = d->class->nic;

    return nic && nic->rx_filter ? nic->rx_filter(d) : NULL;
}

static bool query_one(System *s, const char *name, GArray *list, GError **error)
{
    Device *d = device_find(s->devices, name);
    const VirtioNetFilter *f;

    if (!d || !device_class_uses(d->class, "netdev")) {
        return system_set_error(error, netdev_find(s, name) ? "net client(%s) isn't a NIC"
                                                            : "invalid net client name: %s", name);
    }
    f = filter_of(d);
    if (!f) {
        return system_set_error(error, "net client(%s) doesn't support rx-filter querying", name);
    }
    filter_add(list, d, f);
    return true;
}

static bool query_rx_filter(void *opaque, QmpMonitor *m, const void *args, void *ret,
                            GError **error)
{
    System *s = opaque;
    const char *name = ((const NameArgs *)args)->name;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(RxFilterInfo *));

    *(GArray **)ret = list;
    if (name) {
        return query_one(s, name, list, error);
    }
    for (unsigned i = 0; i < device_registry_count(s->devices); i++) {
        Device *d = device_registry_nth(s->devices, i);
        const VirtioNetFilter *f = filter_of(d);

        if (f) {
            filter_add(list, d, f);
        }
    }
    return true;
}

typedef struct ChangedData {
    char *name;
    char *path;
} ChangedData;

static const OptMember changed_members[] = {
    { "name", OPT_STR, offsetof(ChangedData, name) },
    { "path", OPT_STR, offsetof(ChangedData, path), .required = true },
    { 0 },
};
static const OptTable changed_data = { "NIC_RX_FILTER_CHANGED", sizeof(ChangedData),
                                       changed_members };
static const QmpEvent events[] = { { "NIC_RX_FILTER_CHANGED", &changed_data }, { 0 } };

/* QEMU's path is that of the virtio device behind the PCI device. */
void qmp_event_rx_filter(System *s, const Device *d)
{
    g_autofree char *device = qmp_device_path(d->id);
    g_autofree char *path = g_strdup_printf("%s/virtio-backend", device);

    qmp_event_send(s->qmp, &events[0], &(ChangedData){
        .name = opt_id_wellformed(d->id) ? (char *)d->id : NULL, .path = path });
}

void qmp_rx_filter_register(System *s)
{
    static const QmpCommand commands[] = {
        { "query-rx-filter", &name_args, &filters_result, query_rx_filter },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
    qmp_register_events(s->qmp, events);
}
