/*
 * What a virtio-net-pci's driver says of the frames that it wants, as QMP shows it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-pci-program.h"

#include <linux/virtio_net.h>
#include <string.h>

#define BIT(n)   (1ull << (n))
#define FEATURES (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |          \
                  BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))

/* The only NIC's filter, as JSON without blanks. Free it. */
static char *query(Vpp *f, const char *args)
{
    struct json_object *list = qtest_qmp_ok(f->qt, "{'execute': 'query-rx-filter'%s}", args);
    char *text = g_strdup(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN));

    json_object_put(list);
    return text;
}

static void assert_filter(Vpp *f, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* @fmt: the members behind the name, up to vlan-table. */
static void assert_filter(Vpp *f, const char *fmt, ...)
{
    g_autofree char *got = query(f, ", 'arguments': {'name': 'nic0'}");
    g_autofree char *all = query(f, "");
    g_autofree char *members = NULL;
    g_autofree char *want = NULL;
    va_list ap;

    va_start(ap, fmt);
    members = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    want = g_strdup_printf("[{\"name\":\"nic0\",%s}]", members);
    g_strdelimit(want, "'", '"');
    g_assert_cmpstr(got, ==, want);
    g_assert_cmpstr(all, ==, want);
}

static void command(Vpp *f, uint8_t class, uint8_t cmd, const void *data, size_t len)
{
    g_assert_cmpuint(vpg_command(&f->g, class, cmd, data, len), ==, VIRTIO_NET_OK);
}

static void set_mode(Vpp *f, uint8_t mode, uint8_t on)
{
    command(f, VIRTIO_NET_CTRL_RX, mode, &on, 1);
}

#define NOTHING "'broadcast-allowed':true,'multicast-overflow':false,'unicast-overflow':false," \
                "'main-mac':'52:54:00:12:34:56','vlan-table':[],'unicast-table':[]," \
                "'multicast-table':[]"

static void test_modes(Vpp *f, gconstpointer data)
{
    vpg_start(&f->g);
    assert_filter(f, "'promiscuous':true,'multicast':'normal','unicast':'normal','vlan':'none',"
                  NOTHING);
    set_mode(f, VIRTIO_NET_CTRL_RX_PROMISC, 0);
    set_mode(f, VIRTIO_NET_CTRL_RX_ALLMULTI, 1);
    assert_filter(f, "'promiscuous':false,'multicast':'all','unicast':'normal','vlan':'none',"
                  NOTHING);
    set_mode(f, VIRTIO_NET_CTRL_RX_ALLUNI, 1);
    assert_filter(f, "'promiscuous':false,'multicast':'all','unicast':'all','vlan':'none',"
                  NOTHING);
    set_mode(f, VIRTIO_NET_CTRL_RX_NOMULTI, 1);
    assert_filter(f, "'promiscuous':false,'multicast':'none','unicast':'all','vlan':'none',"
                  NOTHING);
    set_mode(f, VIRTIO_NET_CTRL_RX_NOUNI, 1);
    set_mode(f, VIRTIO_NET_CTRL_RX_NOBCAST, 1);
    assert_filter(f, "'promiscuous':false,'multicast':'none','unicast':'none','vlan':'none',"
                  "'broadcast-allowed':false,'multicast-overflow':false,"
                  "'unicast-overflow':false,'main-mac':'52:54:00:12:34:56','vlan-table':[],"
                  "'unicast-table':[],'multicast-table':[]");
    vpg_start(&f->g); /* after a reset */
    assert_filter(f, "'promiscuous':true,'multicast':'normal','unicast':'normal','vlan':'none',"
                  NOTHING);
}

static void test_no_vlans(Vpp *f, gconstpointer data)
{
    vpg_start(&f->g);
    assert_filter(f, "'promiscuous':true,'multicast':'normal','unicast':'normal','vlan':'all',"
                  NOTHING);
}

static void set_tables(Vpp *f, uint32_t n_uni, uint32_t n_multi)
{
    g_autoptr(GByteArray) a = g_byte_array_new();

    for (unsigned list = 0; list < 2; list++) {
        uint32_t n = GUINT32_TO_LE(list ? n_multi : n_uni);

        g_byte_array_append(a, (const uint8_t *)&n, sizeof(n));
        for (unsigned i = 0; i < (list ? n_multi : n_uni); i++) {
            uint8_t mac[6] = { list ? 0x33 : 0x52, 0xab, 0, 0, 0, (uint8_t)i };

            g_byte_array_append(a, mac, sizeof(mac));
        }
    }
    command(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, a->data, a->len);
}

static void test_tables(Vpp *f, gconstpointer data)
{
    static const uint8_t mac[6] = { 0x02, 0, 0, 0, 0xCD, 1 };
    static const uint16_t vids[] = { 4095, 7, 0 };

    vpg_start(&f->g);
    command(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6);
    for (unsigned i = 0; i < G_N_ELEMENTS(vids); i++) {
        uint16_t vid = GUINT16_TO_LE(vids[i]);

        command(f, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vid, 2);
    }
    set_tables(f, 2, 1);
    assert_filter(f, "'promiscuous':true,'multicast':'normal','unicast':'normal','vlan':'normal',"
                  "'broadcast-allowed':true,'multicast-overflow':false,"
                  "'unicast-overflow':false,'main-mac':'02:00:00:00:cd:01',"
                  "'vlan-table':[0,7,4095],"
                  "'unicast-table':['52:ab:00:00:00:00','52:ab:00:00:00:01'],"
                  "'multicast-table':['33:ab:00:00:00:00']");
    set_tables(f, 1, 64); /* one more than there is room for */
    assert_filter(f, "'promiscuous':true,'multicast':'normal','unicast':'normal','vlan':'normal',"
                  "'broadcast-allowed':true,'multicast-overflow':true,'unicast-overflow':false,"
                  "'main-mac':'02:00:00:00:cd:01','vlan-table':[0,7,4095],"
                  "'unicast-table':['52:ab:00:00:00:00'],'multicast-table':[]");
    set_tables(f, 65, 0);
    assert_filter(f, "'promiscuous':true,'multicast':'normal','unicast':'normal','vlan':'normal',"
                  "'broadcast-allowed':true,'multicast-overflow':false,'unicast-overflow':true,"
                  "'main-mac':'02:00:00:00:cd:01','vlan-table':[0,7,4095],'unicast-table':[],"
                  "'multicast-table':[]");
}

static const char *expect_changed(Vpp *f)
{
    static char text[200];
    struct json_object *event = qtest_event(f->qt, "NIC_RX_FILTER_CHANGED");
    struct json_object *data = json_object_object_get(event, "data");

    g_strlcpy(text, json_object_to_json_string_ext(data, JSON_C_TO_STRING_PLAIN), sizeof(text));
    json_object_put(event);
    return text;
}

/* One, whatever the driver says, and the next one not before somebody asked; a storm is no more. */
static void test_event(Vpp *f, gconstpointer data)
{
    vpg_start(&f->g);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 100; i++) {
            set_mode(f, VIRTIO_NET_CTRL_RX_PROMISC, i % 2);
            set_tables(f, i % 3, 1);
        }
        g_assert_cmpstr(expect_changed(f), ==, "{\"name\":\"nic0\",\"path\":"
                        "\"\\/machine\\/peripheral\\/nic0\\/virtio-backend\"}");
        /* were there another one, it would be sent before this answer */
        json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'query-status'}"));
        g_assert_false(qtest_has_event(f->qt, "NIC_RX_FILTER_CHANGED"));
        g_free(query(f, ""));
    }
    json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'query-status'}"));
    g_assert_false(qtest_has_event(f->qt, "NIC_RX_FILTER_CHANGED"));
}

/* What the driver asked for goes with it. */
static void test_migrate(Vpp *f, gconstpointer data)
{
    static const uint16_t vid = GUINT16_TO_LE(9);

    vpg_start(&f->g);
    set_mode(f, VIRTIO_NET_CTRL_RX_PROMISC, 0);
    command(f, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vid, 2);
    set_tables(f, 1, 1);
    vpp_migrate(f, data);
    assert_filter(f, "'promiscuous':false,'multicast':'normal','unicast':'normal','vlan':'normal',"
                  "'broadcast-allowed':true,'multicast-overflow':false,'unicast-overflow':false,"
                  "'main-mac':'52:54:00:12:34:56','vlan-table':[9],"
                  "'unicast-table':['52:ab:00:00:00:00'],"
                  "'multicast-table':['33:ab:00:00:00:00']");
}

static const VppCase modern = { "", FEATURES | BIT(VIRTIO_NET_F_CTRL_VLAN) };
static const VppCase legacy = { ",disable-modern=on", FEATURES | BIT(VIRTIO_NET_F_CTRL_VLAN),
                                .legacy = true };
static const VppCase no_vlans = { "", FEATURES };

#define ADD(name, data, fn) \
    g_test_add("/virtio-net-pci/filter/" name, Vpp, &data, vpp_setup, fn, vpp_teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("modes/modern", modern, test_modes);
    ADD("modes/legacy", legacy, test_modes);
    ADD("modes/no-vlans", no_vlans, test_no_vlans);
    ADD("tables", modern, test_tables);
    ADD("event", modern, test_event);
    ADD("migrate", modern, test_migrate);
    return g_test_run();
}
