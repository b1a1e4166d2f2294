/*
 * A tap as the host's network stack has it: features, queues, MTU, carrier.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "netns.h"
#include "open-tap.h"
#include "tap-internal.h"
#include "util/container-of.h"

/* "on" or "off" as the kernel does it, of a feature of tt0. */
static bool feature_is_on(const char *name)
{
    g_autofree char *want = g_strdup_printf("%s: on", name);

    return netns_sh("ethtool -k tt0 | grep -q '^[[:space:]]*%s'", want);
}

static bool has_ethtool(void)
{
    if (netns_sh("ethtool --version")) {
        return true;
    }
    g_test_skip("no ethtool");
    return false;
}

/* As for guests that forward what has a blank checksum. */
static void test_ethtool_is_kept(void)
{
    const unsigned all = NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6;
    const unsigned offloads[] = { all, 0, all, NETDEV_CSUM4 | NETDEV_TSO4, all };
    g_autoptr(Netdev) nd = NULL;

    if (!netns_enter() || !has_ethtool()) {
        return;
    }
    nd = open_tap("tt0", 2, ON_OFF_AUTO_AUTO);
    g_assert_true(nd->ops->set_offload(nd, all, NULL));
    g_assert_true(feature_is_on("tx-checksum-ip-generic"));
    g_assert_true(feature_is_on("tx-tcp-segmentation"));
    g_assert_true(netns_sh("ethtool -K tt0 tx off sg off"));
    for (unsigned i = 0; i < G_N_ELEMENTS(offloads); i++) { /* guests come and go */
        g_assert_true(nd->ops->set_offload(nd, offloads[i], NULL));
        g_assert_false(feature_is_on("tx-checksum-ip-generic"));
        g_assert_false(feature_is_on("tx-tcp-segmentation"));
        g_assert_false(feature_is_on("tx-scatter-gather"));
    }
    g_assert_true(netns_sh("ethtool -K tt0 tx on sg on"));
    g_assert_true(feature_is_on("tx-checksum-ip-generic"));
    g_assert_true(feature_is_on("tx-tcp-segmentation"));
    g_assert_true(nd->ops->set_offload(nd, 0, NULL));
    g_assert_false(feature_is_on("tx-checksum-ip-generic"));
    g_assert_true(nd->ops->set_offload(nd, all, NULL));
    g_assert_true(feature_is_on("tx-checksum-ip-generic"));
    g_assert_true(feature_is_on("tx-tcp6-segmentation"));
}

/* Before we had it, and after a restart without a good-bye. */
static void test_ethtool_is_kept_by_a_persistent_tap(void)
{
    const unsigned all = NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6;

    if (!netns_enter() || !has_ethtool()) {
        return;
    }
    g_assert_true(netns_sh("ip tuntap add tt0 mode tap multi_queue vnet_hdr && "
                           "ethtool -K tt0 tso off"));
    for (unsigned i = 0; i < 3; i++) {
        g_autoptr(Netdev) nd = open_tap("tt0", 2, ON_OFF_AUTO_AUTO);

        g_assert_true(nd->ops->set_offload(nd, all, NULL));
        g_assert_true(feature_is_on("tx-checksum-ip-generic"));
        g_assert_false(feature_is_on("tx-tcp-segmentation"));
        g_assert_true(nd->ops->set_offload(nd, i == 0 ? all : i == 1 ? 0 : NETDEV_CSUM4, NULL));
    }
}

static unsigned attached_queues(const char *ifname)
{
    TapLink l;

    g_assert_cmpint(tap_link_query(TAP_NSID_OURS, ifname, &l), ==, 0);
    return l.n_queues;
}

static void test_set_active(void)
{
    static const unsigned counts[] = { 1, 4, 2, 8, 8, 1, 3 };
    g_autoptr(Netdev) nd = NULL;
    unsigned i;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 8, ON_OFF_AUTO_AUTO);
    for (i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_assert_true(netdev_set_active(nd, counts[i], NULL, NULL, NULL));
        g_assert_cmpuint(attached_queues("tt0"), ==, counts[i]);
    }
}

/* Each is written by its own thread. */
static void test_queues_share_no_line_of_the_cache(void)
{
    g_autoptr(Netdev) nd = NULL;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 8, ON_OFF_AUTO_AUTO);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmpuint((uintptr_t)container_of(nd->queue[i], TapQueue, q) % 64, ==, 0);
    }
}

static void test_set_active_of_a_single_queue(void)
{
    g_autoptr(Netdev) nd = NULL;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    g_assert_true(netdev_set_active(nd, 1, NULL, NULL, NULL));
}

static void test_set_active_reports_failure(void)
{
    g_autoptr(Netdev) nd = NULL;
    g_autoptr(GError) error = NULL;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 2, ON_OFF_AUTO_AUTO);
    g_assert_true(netns_sh("ip link del tt0"));
    g_assert_false(netdev_set_active(nd, 1, NULL, NULL, &error));
    g_assert_nonnull(error);
    g_assert_true(g_str_has_prefix(error->message, "could not disable queue 1 of tt0: "));
}

/* Counts the calls of nd->changed. */
static void count_change(void *opaque)
{
    (*(unsigned *)opaque)++;
}

static gboolean give_up(gpointer opaque)
{
    *(bool *)opaque = true;
    return G_SOURCE_REMOVE;
}

/* Runs the main loop until there were @want changes; false after two seconds. */
static bool wait_changes(const unsigned *changes, unsigned want)
{
    bool late = false;
    guint timer = g_timeout_add(2000, give_up, &late);

    while (*changes < want && !late) {
        g_main_context_iteration(NULL, TRUE);
    }
    if (!late) {
        g_source_remove(timer);
    }
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    return *changes >= want;
}

static void test_mtu_and_carrier_are_followed(void)
{
    g_autoptr(Netdev) nd = NULL;
    unsigned changes = 0;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 2, ON_OFF_AUTO_AUTO);
    nd->changed = count_change;
    nd->changed_opaque = &changes;
    g_assert_true(netns_sh("ip link set tt0 mtu 9000"));
    g_assert_true(wait_changes(&changes, 1));
    g_assert_cmpuint(nd->mtu, ==, 9000);
    g_assert_true(netns_sh("ip link set tt0 carrier off"));
    g_assert_true(wait_changes(&changes, 2));
    g_assert_false(nd->link_up);
    g_assert_true(netns_sh("ip link set tt0 carrier on"));
    g_assert_true(wait_changes(&changes, 3));
    g_assert_true(nd->link_up);
    g_assert_true(netns_sh("ip link add d0 type bridge"));
    g_assert_true(netns_sh("ip link del tt0"));
    g_assert_true(wait_changes(&changes, 4));
    g_assert_false(nd->link_up);
    g_assert_cmpuint(changes, ==, 4);
}

static void test_own_carrier_is_no_change(void)
{
    g_autoptr(Netdev) nd = NULL;
    unsigned changes = 0;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    nd->changed = count_change;
    nd->changed_opaque = &changes;
    netdev_set_carrier(nd, false);
    g_assert_true(netns_sh("ip link show tt0 | grep -q NO-CARRIER"));
    netdev_set_carrier(nd, true);
    netdev_set_carrier(nd, false);
    g_assert_true(netns_sh("ip link set tt0 mtu 1400"));
    g_assert_true(wait_changes(&changes, 1));
    g_assert_true(nd->link_up);
    netdev_set_carrier(nd, true);
    g_assert_true(netns_sh("ip link show tt0 | grep -q LOWER_UP"));
    g_assert_true(netns_sh("ip link set tt0 mtu 1500"));
    g_assert_true(wait_changes(&changes, 2));
    g_assert_true(nd->link_up);
    g_assert_cmpuint(changes, ==, 2);
}

/* A bridge sees it, whatever the NIC does meanwhile; and it is no news for the NIC. */
static void test_carrier_follows_set_link(void)
{
    g_autoptr(Netdev) nd = NULL;
    unsigned changes = 0;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    nd->changed = count_change;
    nd->changed_opaque = &changes;
    netdev_set_link(nd, true); /* no NIC is there yet to take it away */
    g_assert_true(netns_sh("ip link show tt0 | grep -q LOWER_UP"));
    netdev_set_carrier(nd, true);
    netdev_set_link(nd, false);
    g_assert_true(netns_sh("ip link show tt0 | grep -q NO-CARRIER"));
    netdev_set_carrier(nd, false);
    netdev_set_carrier(nd, true);
    g_assert_true(netns_sh("ip link show tt0 | grep -q NO-CARRIER"));
    netdev_set_link(nd, true);
    g_assert_true(netns_sh("ip link show tt0 | grep -q LOWER_UP"));
    g_assert_cmpuint(changes, ==, 2);
    netdev_set_carrier(nd, false);
    netdev_set_link(nd, false);
    netdev_set_link(nd, true);
    g_assert_true(netns_sh("ip link show tt0 | grep -q NO-CARRIER"));
    g_assert_true(netns_sh("ip link set tt0 mtu 1400"));
    g_assert_true(wait_changes(&changes, 5));
    g_assert_true(nd->link_up);
}

static void test_moved_interface_stays_up(void)
{
    g_autoptr(Netdev) nd = NULL;
    unsigned changes = 0;

    if (!netns_enter()) {
        return;
    }
    nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    nd->changed = count_change;
    nd->changed_opaque = &changes;
    /* into the namespace of a process that lives as long as this line */
    if (!netns_sh("unshare -n sleep 1 & sleep 0.2; ip link set tt0 netns $!")) {
        g_test_skip("no unshare");
        return;
    }
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_assert_false(netns_has_interface("tt0"));
    g_assert_true(nd->link_up);
    g_assert_cmpuint(changes, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/tap/ethtool-is-kept", test_ethtool_is_kept);
    g_test_add_func("/net/tap/ethtool-is-kept-by-a-persistent-tap",
                    test_ethtool_is_kept_by_a_persistent_tap);
    g_test_add_func("/net/tap/set-active", test_set_active);
    g_test_add_func("/net/tap/queues-share-no-line-of-the-cache",
                    test_queues_share_no_line_of_the_cache);
    g_test_add_func("/net/tap/set-active-of-a-single-queue", test_set_active_of_a_single_queue);
    g_test_add_func("/net/tap/set-active-reports-failure", test_set_active_reports_failure);
    g_test_add_func("/net/tap/mtu-and-carrier-are-followed", test_mtu_and_carrier_are_followed);
    g_test_add_func("/net/tap/own-carrier-is-no-change", test_own_carrier_is_no_change);
    g_test_add_func("/net/tap/carrier-follows-set-link", test_carrier_follows_set_link);
    g_test_add_func("/net/tap/moved-interface-stays-up", test_moved_interface_stays_up);
    return g_test_run();
}
