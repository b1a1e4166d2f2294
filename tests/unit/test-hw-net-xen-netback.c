/*
 * Netback with a toolstack: nodes that libxl makes and takes away (the order of
 * tools/libs/light/libxl_device.c), and a frontend that never comes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "fake-netdev.h"
#include "netif-mac.h"
#include "util/host-id.h"
#include "vif.h"
#include "xen-netback-internal.h"

static void put(Vif *v, const char *dir, const char *key, const char *value)
{
    g_assert_true(xen_store_printf(v->host_store, 0, dir, key, "%s", value));
}

/* What xl create writes for vif=['script=...'], with hotplug done. */
static void toolstack_add(Vif *v)
{
    g_autofree char *fe_id = g_strdup_printf("%u", v->guest->domid);

    g_assert_true(xen_store_mkdir(v->host_store, 0, v->be, 0, v->guest->domid));
    put(v, v->be, "frontend", v->fe);
    put(v, v->be, "frontend-id", fe_id);
    put(v, v->be, "online", "1");
    put(v, v->be, "state", "1");
    put(v, v->be, "script", "/etc/xen/scripts/vif-bridge");
    put(v, v->be, "mac", "00:16:3e:01:02:03");
    put(v, v->be, "hotplug-status", "");
    g_assert_true(xen_store_mkdir(v->host_store, 0, v->fe, v->guest->domid, 0));
    put(v, v->fe, "backend", v->be);
    put(v, v->fe, "backend-id", "0");
    put(v, v->fe, "state", "1");
}

static void up(Vif *v)
{
    vif_up(v, fake_netdev_new(2, true), fake_netdev_new(2, true));
}

static bool state_is(Vif *v, const char *dir, const char *want)
{
    g_autofree char *state = vif_read(v, dir, "state");

    return g_strcmp0(state, want) == 0;
}

static void drop_back(Vif *v)
{
    g_clear_pointer(&v->nb, netback_free);
}

static void test_takes_over(void)
{
    NetfrontConfig config = vif_front_config();
    NetbackInfo info;
    Vif v;

    up(&v);
    toolstack_add(&v);
    vif_back_start(&v);
    netback_info(v.nb, &info);
    g_assert_cmpstr(info.mac, ==, "00:16:3e:01:02:03");
    vif_front_start(&v, &config);
    VIF_WAIT(state_is(&v, v.fe, "4"));
    g_assert_true(state_is(&v, v.be, "2")); /* the script has not run yet */
    put(&v, v.be, "hotplug-status", "connected");
    VIF_WAIT(v.back.connected == 1);
    vif_front_close(&v);
    vif_back_close(&v);
    g_assert_true(state_is(&v, v.be, "6")); /* the nodes are the toolstack's to remove */
    vif_down(&v);
}

/* --- killed and started again --- */

/* The kernel takes its pages and its ports back; XenStore stays as it was. */
static void kill_back(Vif *v)
{
    v->nb->bus.created = false;
    drop_back(v);
}

static void expect_packet(Netdev *from, Netdev *to, uint32_t len)
{
    g_autofree FakePkt *pkt = g_new0(FakePkt, 1);
    g_autofree FakePkt *got = NULL;

    pkt->len = len;
    fake_netdev_give(from, 0, pkt);
    got = fake_netdev_take(to, 0, 20000);
    g_assert_nonnull(got);
    g_assert_cmpuint(got->len, ==, len);
}

/* The guest's driver notices nothing, and its packets go on. */
static void test_goes_on_after_a_kill(void)
{
    NetfrontConfig config = vif_front_config();
    NetbackInfo info;
    char mac[18];
    Vif v;

    up(&v);
    vif_connect(&v, &config);
    expect_packet(v.front_dev, v.back_dev, 60);
    expect_packet(v.back_dev, v.front_dev, 61);
    netback_info(v.nb, &info);
    memcpy(mac, info.mac, sizeof(mac));
    put(&v, v.be, "mac", "00:16:3e:0a:0b:0c"); /* as if it had been given one */
    kill_back(&v);
    g_assert_true(state_is(&v, v.be, "4"));
    g_assert_true(state_is(&v, v.fe, "4"));
    vif_back_start(&v);
    VIF_WAIT(v.back.connected == 2);
    g_assert_true(state_is(&v, v.be, "4"));
    g_assert_true(state_is(&v, v.fe, "4"));
    netback_info(v.nb, &info);
    g_assert_cmpstr(info.mac, ==, "00:16:3e:0a:0b:0c"); /* which the guest has */
    g_assert_cmpstr(info.mac, !=, mac);
    expect_packet(v.front_dev, v.back_dev, 62);
    expect_packet(v.back_dev, v.front_dev, 63);
    VIF_WAIT(!g_main_context_pending(NULL));
    g_assert_cmpuint(v.front.connected, ==, 1);
    g_assert_cmpuint(v.front.disconnected, ==, 0);
    vif_front_close(&v);
    vif_back_close(&v);
    g_assert_null(vif_read(&v, v.be, "state"));
    g_assert_null(vif_read(&v, v.fe, "state"));
    vif_down(&v);
}

/* libxl counts up from its own last: what we make is at the other end. */
static void test_idx_that_xl_does_not_take(void)
{
    NetbackConfig config = { .id = (char *)"second", .idx = -1 };
    g_autoptr(GError) error = NULL;
    Netdev *peer = fake_netdev_new(1, true);
    g_autofree char *libxl = NULL;
    NetbackEnv env;
    NetbackInfo info;
    Netback *second;
    Vif v;

    up(&v);
    vif_back_new(&v); /* idx=0 */
    g_assert_cmpuint(v.back.warnings, ==, 0);
    env = v.nb->env;
    env.peer = peer;
    env.n_threads = 0;
    second = netback_new(&config, &env, &error);
    g_assert_no_error(error);
    netback_info(second, &info);
    g_assert_cmpuint(info.idx, ==, 1); /* another toolstack's guest */
    g_assert_cmpuint(v.back.warnings, ==, 0);
    netback_free(second);

    libxl = g_strdup_printf("/libxl/%u", v.guest->domid);
    put(&v, libxl, "type", "pv");
    second = netback_new(&config, &env, &error);
    g_assert_no_error(error);
    netback_info(second, &info);
    g_assert_cmpuint(info.idx, ==, 99);
    g_assert_cmpstr(v.back.error, ==, "xl does not know vif 99 of domain 1: better let xl make it");
    netback_free(second);
    netdev_free(peer);

    drop_back(&v);
    vif_back_new(&v);
    g_assert_cmpuint(v.back.warnings, ==, 2);
    g_assert_cmpstr(v.back.error, ==, "xl does not know vif 0 of domain 1 and may give its number "
                                      "to another one: better let xl make it");
    vif_down(&v);
}

static void test_no_warning_of_what_xl_made(void)
{
    g_autofree char *libxl = NULL;
    Vif v;

    up(&v);
    toolstack_add(&v);
    libxl = g_strdup_printf("/libxl/%u", v.guest->domid);
    put(&v, libxl, "type", "pv");
    vif_back_new(&v);
    g_assert_cmpuint(v.back.warnings, ==, 0);
    vif_down(&v);
}

static void add_guest_uuid(Vif *v, const char *uuid)
{
    g_autofree char *domain = g_strdup_printf("/local/domain/%u", v->guest->domid);
    g_autofree char *vm = g_strdup_printf("/vm/%s", uuid);

    put(v, domain, "vm", vm);
    put(v, vm, "uuid", uuid);
}

/* The MAC of the vif @idx of a guest with that uuid (NULL: none), of a toolstack or not. */
static char *default_mac(const char *uuid, bool toolstack)
{
    NetbackInfo info;
    Vif v;

    up(&v);
    if (uuid) {
        add_guest_uuid(&v, uuid);
    }
    if (toolstack) {
        g_autofree char *mac = g_strdup_printf("%s/mac", v.be);

        toolstack_add(&v);
        g_assert_true(xen_store_remove(v.host_store, 0, mac));
    }
    vif_back_start(&v);
    netback_info(v.nb, &info);
    vif_back_close(&v);
    vif_down(&v);
    return g_strdup(info.mac);
}

/* Each on a host of its own: the domid is the same. */
static void test_default_mac_is_of_the_guest(void)
{
    g_autofree char *a = default_mac("11111111-2222-3333-4444-555555555555", false);
    g_autofree char *again = default_mac("11111111-2222-3333-4444-555555555555", true);
    g_autofree char *b = default_mac("11111111-2222-3333-4444-555555555556", false);
    g_autofree char *none = default_mac(NULL, false);
    g_autofree char *none_again = default_mac(NULL, true);
    g_autofree char *host = host_id();
    g_autofree char *here = g_strdup_printf("domain 1 on %s", host);
    char want[NETIF_MAC_SIZE];

    g_assert_true(g_str_has_prefix(a, "00:16:3e:"));
    g_assert_cmpuint(strlen(a), ==, 17);
    g_assert_cmpstr(a, ==, again);
    g_assert_cmpstr(a, !=, b);
    g_assert_cmpstr(none, !=, a);
    g_assert_cmpstr(none, ==, none_again);
    netif_default_mac(here, 0, want);
    g_assert_cmpstr(none, ==, want);
}

/* Written with echo, for instance. */
static void test_newlines_of_a_toolstack(void)
{
    NetfrontConfig config = vif_front_config();
    g_autofree char *fe = NULL;
    NetbackInfo info;
    Vif v;

    up(&v);
    toolstack_add(&v);
    fe = g_strdup_printf("%s\n", v.fe);
    put(&v, v.be, "frontend", fe);
    put(&v, v.be, "online", "1\n");
    put(&v, v.be, "mac", " 00:16:3e:01:02:03\n");
    vif_back_start(&v);
    netback_info(v.nb, &info);
    g_assert_cmpstr(info.mac, ==, "00:16:3e:01:02:03");
    vif_front_start(&v, &config);
    put(&v, v.be, "hotplug-status", "connected\n");
    VIF_WAIT(v.back.connected == 1 || v.back.gone);
    g_assert_false(v.back.gone);
    put(&v, v.be, "online", "0\n");
    vif_front_close(&v);
    VIF_WAIT(v.back.gone);
    g_assert_cmpuint(v.back.warnings, ==, 0);
    drop_back(&v);
    vif_down(&v);
}

/* What makes no sense takes no vif away; it is said once, not with each look. */
static void test_online_that_is_no_number(void)
{
    NetfrontConfig config = vif_front_config();
    g_autofree char *want = NULL;
    Vif v;

    up(&v);
    toolstack_add(&v);
    put(&v, v.be, "online", "yes");
    put(&v, v.be, "hotplug-status", "connected");
    vif_back_start(&v);
    vif_front_start(&v, &config);
    VIF_WAIT(v.back.connected == 1 || v.back.gone);
    g_assert_false(v.back.gone);
    g_assert_cmpuint(v.back.warnings, ==, 1);
    want = g_strdup_printf("%s/online is 'yes', and counts as 1", v.be);
    g_assert_cmpstr(v.back.error, ==, want);
    vif_front_close(&v);
    vif_back_close(&v);
    vif_down(&v);
}

static void test_rate_has_a_warning(void)
{
    g_autofree char *want = NULL;
    Vif v;

    up(&v);
    toolstack_add(&v);
    put(&v, v.be, "rate", "1250000,50000\n");
    vif_back_start(&v);
    want = g_strdup_printf("%s/rate is '1250000,50000': no limit is kept", v.be);
    g_assert_cmpstr(v.back.error, ==, want);
    g_assert_cmpuint(v.back.warnings, ==, 1);
    g_assert_cmpuint(v.back.errors, ==, 0);
    vif_back_close(&v);
    vif_down(&v);
}

static void test_removed_directory_stays_removed(void)
{
    Vif v;

    up(&v);
    toolstack_add(&v);
    vif_back_start(&v);
    g_assert_true(xen_store_remove(v.host_store, 0, v.be));
    VIF_WAIT(v.back.gone);
    drop_back(&v);
    g_assert_null(vif_read(&v, v.be, "state"));
    g_assert_null(vif_read(&v, v.be, "carrier"));
    vif_down(&v);
}

/* Removed at the moment when features are written. */
static void test_removed_before_publish_stays_removed(void)
{
    Vif v;

    up(&v);
    toolstack_add(&v);
    vif_back_new(&v);
    g_assert_true(xen_store_remove(v.host_store, 0, v.be));
    netback_start(v.nb);
    VIF_WAIT(v.back.gone);
    drop_back(&v);
    g_assert_null(vif_read(&v, v.be, "feature-sg"));
    vif_down(&v);
}

/* The guest may remove its directory. A new MTU does not bring it back. */
static void test_removed_frontend_stays_removed(void)
{
    g_autofree char *mtu = NULL;
    Vif v;

    up(&v);
    vif_back_start(&v);
    mtu = vif_read(&v, v.fe, "mtu");
    g_assert_cmpstr(mtu, ==, "1500");
    g_assert_true(xen_store_remove(v.guest_store, 0, v.fe));
    v.back_dev->mtu = 9000;
    v.back_dev->changed(v.back_dev->changed_opaque);
    g_assert_null(vif_read(&v, v.fe, "mtu"));
    VIF_WAIT(v.back.gone);
    drop_back(&v);
    vif_down(&v);
}

static void test_unplug_before_a_driver_came(void)
{
    Vif v;

    up(&v);
    toolstack_add(&v);
    vif_back_start(&v);
    put(&v, v.be, "online", "0");
    put(&v, v.be, "state", "5");
    VIF_WAIT(v.back.gone);
    g_assert_true(state_is(&v, v.be, "6"));
    drop_back(&v);
    vif_down(&v);
}

static void test_nonsense_state_is_ignored(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    up(&v);
    vif_back_start(&v);
    put(&v, v.fe, "state", "many");
    put(&v, v.fe, "state", "99");
    VIF_WAIT(!g_main_context_pending(NULL));
    g_assert_false(v.back.gone);
    g_assert_true(state_is(&v, v.be, "2"));
    put(&v, v.fe, "state", "1");
    vif_front_start(&v, &config);
    VIF_WAIT(v.back.connected == 1);
    vif_down(&v);
}

static void test_stale_packets_are_not_for_the_next(void)
{
    NetfrontConfig config = vif_front_config();
    g_autofree FakePkt *old = g_new0(FakePkt, 1);
    Vif v;

    up(&v);
    old->len = 60;
    fake_netdev_give(v.back_dev, 0, old);
    vif_connect(&v, &config);
    g_assert_cmpuint(fake_netdev_unread(v.back_dev, 0), ==, 0);
    g_assert_null(fake_netdev_take(v.front_dev, 0, 50));
    vif_down(&v);
}

/* Frames that came while the link was off are not kept for the guest. */
static void test_link_off_loses_what_comes(void)
{
    NetfrontConfig config = vif_front_config();
    g_autofree FakePkt *pkt = g_new0(FakePkt, 1);
    g_autofree FakePkt *got = NULL;
    Vif v;

    up(&v);
    vif_connect(&v, &config);
    netdev_set_link(v.back_dev, false);
    pkt->len = 60;
    fake_netdev_give(v.back_dev, 0, pkt);
    VIF_WAIT(fake_netdev_unread(v.back_dev, 0) == 0);
    netback_pause(v.nb, true); /* its thread is through with it */
    netback_pause(v.nb, false);
    netdev_set_link(v.back_dev, true);
    pkt->len = 61;
    fake_netdev_give(v.back_dev, 0, pkt);
    got = fake_netdev_take(v.front_dev, 0, 20000);
    g_assert_nonnull(got);
    g_assert_cmpuint(got->len, ==, 61);
    vif_down(&v);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netback/default-mac-is-of-the-guest", test_default_mac_is_of_the_guest);
    g_test_add_func("/netback/toolstack/takes-over", test_takes_over);
    g_test_add_func("/netback/goes-on-after-a-kill", test_goes_on_after_a_kill);
    g_test_add_func("/netback/toolstack/idx-that-xl-does-not-take",
                    test_idx_that_xl_does_not_take);
    g_test_add_func("/netback/toolstack/no-warning-of-what-xl-made",
                    test_no_warning_of_what_xl_made);
    g_test_add_func("/netback/toolstack/newlines", test_newlines_of_a_toolstack);
    g_test_add_func("/netback/toolstack/online-that-is-no-number",
                    test_online_that_is_no_number);
    g_test_add_func("/netback/toolstack/rate-has-a-warning", test_rate_has_a_warning);
    g_test_add_func("/netback/toolstack/removed-stays-removed",
                    test_removed_directory_stays_removed);
    g_test_add_func("/netback/toolstack/removed-before-publish",
                    test_removed_before_publish_stays_removed);
    g_test_add_func("/netback/removed-frontend-stays-removed",
                    test_removed_frontend_stays_removed);
    g_test_add_func("/netback/toolstack/unplug-before-a-driver-came",
                    test_unplug_before_a_driver_came);
    g_test_add_func("/netback/nonsense-state", test_nonsense_state_is_ignored);
    g_test_add_func("/netback/stale-packets", test_stale_packets_are_not_for_the_next);
    g_test_add_func("/netback/link-off-loses-what-comes", test_link_off_loses_what_comes);
    return g_test_run();
}
