/*
 * A vif whose tap goes away under it, and another one that takes its place: the guest
 * keeps its connection.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "netns.h"
#include "vif-test.h"

static void check_both_ways(VifTest *t, FrontQueue *q, unsigned seed)
{
    g_autofree FrontFrame *got = g_new0(FrontFrame, 1);
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    VifFrame f = { .udp = true, .payload = 200, .seed = seed };
    size_t len = vif_frame_make(&f, frame);

    front_tx_frame(q, frame, len, NULL, 0, 0, 0);
    front_tx_push(q);
    front_tx_expect(q, 1, NETIF_RSP_OKAY);
    vif_test_expect_host(t, frame, len, NULL);
    host_tap_send(t->tap, NULL, frame, len);
    g_assert_true(front_rx_recv(q, got, QTEST_TIMEOUT_MS));
    g_assert_cmpmem(got->data, got->len, frame, len);
}

static void wait_error(VifTest *t, const char *want)
{
    g_autofree char *error = NULL;

    for (unsigned i = 0; i < QTEST_TIMEOUT_MS && g_strcmp0(error, want) != 0; i++) {
        g_free(error);
        error = vif_test_query(t, "error");
        g_usleep(1000);
    }
    g_assert_cmpstr(error, ==, want);
}

static void qmp_error(VifTest *t, const char *command, const char *want)
{
    struct json_object *answer = qtest_qmp(t->qt, command);
    struct json_object *error, *desc;

    g_assert_true(json_object_object_get_ex(answer, "error", &error));
    g_assert_true(json_object_object_get_ex(error, "desc", &desc));
    g_assert_cmpstr(json_object_get_string(desc), ==, want);
    json_object_put(answer);
}

static void check_error_event(VifTest *t, const char *want)
{
    struct json_object *event = qtest_event(t->qt, "VIF_ERROR");
    struct json_object *data, *reason;

    g_assert_true(json_object_object_get_ex(event, "data", &data));
    g_assert_true(json_object_object_get_ex(data, "reason", &reason));
    g_assert_cmpstr(json_object_get_string(reason), ==, want);
    json_object_put(event);
}

/* The frontend that was connected before sees a link that comes and goes, and no more. */
static void test_gone_and_replaced(VifTest *t)
{
    g_autofree char *gone = g_strdup_printf("netdev n0: its interface %s is gone",
                                            t->tap->ifname);
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ .queues = 2 });

    front_rx_post(q, 64);
    front_rx_post(t->f->queue[1], 64);
    check_both_ways(t, q, 1);
    g_assert_true(netns_sh("ip link del %s", t->tap->ifname));
    wait_error(t, gone);
    check_error_event(t, gone);
    g_assert_cmpuint(qtest_said(t->qt, gone), ==, 1);
    g_assert_cmpuint(front_back_state(t->f), ==, XenbusStateConnected);

    qmp_error(t, "{'execute': 'netdev_add', 'arguments': {'type': 'tap', 'id': 'n0'}}",
              "Duplicate ID 'n0'");
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'netdev_del', 'arguments': {'id': 'n0'}}"));
    qmp_error(t, "{'execute': 'netdev_add', 'arguments': {'type': 'tap', 'id': 'n0', "
              "'ifname': 'new0', 'script': 'no', 'downscript': 'no'}}",
              "netdev 'n0' is in use with queues=2");
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'netdev_add', 'arguments': {'type': 'tap', "
                                 "'id': 'n0', 'ifname': 'new0', 'queues': 2, 'script': 'no', "
                                 "'downscript': 'no'}}"));
    wait_error(t, "");
    host_tap_follow(t->tap, "new0");
    host_tap_wait_running(t->tap);
    check_both_ways(t, q, 2);
}

/* Made again by somebody, with the name that we had opened. */
static void test_made_again(VifTest *t)
{
    FrontQueue *q;

    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'netdev_add', 'arguments': {'type': 'tap', "
                                 "'id': 'n1', 'ifname': 'our0', 'script': 'no', "
                                 "'downscript': 'no'}}"));
    front_free(t->f);
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'device_del', 'arguments': {'id': 'vif0'}}"));
    json_object_put(qtest_event(t->qt, "DEVICE_DELETED"));
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'device_add', 'arguments': {'driver': "
                                 "'xen-net-device', 'id': 'vif0', 'netdev': 'n1', 'idx': 0}}"));
    t->f = front_new(t->qt, 0);
    t->before = qtest_leaks(t->qt);
    host_tap_follow(t->tap, "our0");
    q = vif_test_connect(t, &(FrontConfig){ 0 });
    front_rx_post(q, 64);
    for (unsigned i = 1; i <= 3; i++) {
        check_both_ways(t, q, i);
        g_assert_true(netns_sh("ip link del our0"));
        wait_error(t, "netdev n1: its interface our0 is gone");
        g_assert_true(netns_sh("ip tuntap add our0 mode tap"));
        wait_error(t, "");
        host_tap_follow(t->tap, "our0");
        host_tap_wait_running(t->tap);
    }
    check_both_ways(t, q, 4);
    g_assert_cmpuint(front_back_state(t->f), ==, XenbusStateConnected);
    g_assert_cmpuint(qtest_said(t->qt, "its interface our0 is there again"), ==, 3);
}

/* A guest may come and go meanwhile; it has no link, that is all. */
static void test_reconnect_while_gone(VifTest *t)
{
    g_autofree char *gone = g_strdup_printf("netdev n0: its interface %s is gone",
                                            t->tap->ifname);
    FrontQueue *q;

    vif_test_connect(t, &(FrontConfig){ .queues = 2 });
    g_assert_true(netns_sh("ip link del %s", t->tap->ifname));
    wait_error(t, gone);
    front_disconnect(t->f);
    front_connect(t->f, &(FrontConfig){ .queues = 1, .no_csum = true });
    wait_error(t, gone);
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'netdev_del', 'arguments': {'id': 'n0'}}"));
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'netdev_add', 'arguments': {'type': 'tap', "
                                 "'id': 'n0', 'ifname': 'new0', 'queues': 2, 'script': 'no', "
                                 "'downscript': 'no'}}"));
    wait_error(t, "");
    host_tap_follow(t->tap, "new0");
    host_tap_wait_running(t->tap);
    q = t->f->queue[0];
    front_rx_post(q, 64);
    check_both_ways(t, q, 1); /* also, only one queue is attached: a flow of the other is lost */
    check_both_ways(t, q, 2);
    check_both_ways(t, q, 3);
}

/* With nobody at it, the netdev itself says so, and netdev_del is as ever. */
static void test_gone_without_a_device(VifTest *t)
{
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'netdev_add', 'arguments': {'type': 'tap', "
                                 "'id': 'n1', 'ifname': 'our0', 'script': 'no', "
                                 "'downscript': 'no'}}"));
    g_assert_true(netns_sh("ip link del our0"));
    qtest_wait_for(qtest_said(t->qt, "warning: netdev n1: its interface our0 is gone") == 1);
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'netdev_del', 'arguments': {'id': 'n1'}}"));
    qmp_error(t, "{'execute': 'netdev_del', 'arguments': {'id': 'n1'}}", "Device 'n1' not found");
}

/* A device that ends takes a netdev along that was deleted under it. */
static void test_deleted_with_its_device(VifTest *t)
{
    g_autofree char *gone = g_strdup_printf("netdev n0: its interface %s is gone",
                                            t->tap->ifname);

    g_assert_true(netns_sh("ip link del %s", t->tap->ifname));
    wait_error(t, gone);
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'netdev_del', 'arguments': {'id': 'n0'}}"));
    front_free(g_steal_pointer(&t->f));
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'device_del', 'arguments': {'id': 'vif0'}}"));
    json_object_put(qtest_event(t->qt, "DEVICE_DELETED"));
    qmp_error(t, "{'execute': 'netdev_del', 'arguments': {'id': 'n0'}}", "Device 'n0' not found");
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'netdev_add', 'arguments': {'type': 'tap', "
                                 "'id': 'n0', 'ifname': 'new0', 'queues': 3, 'script': 'no', "
                                 "'downscript': 'no'}}"));
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'netdev_del', 'arguments': {'id': 'n0'}}"));
}

int main(int argc, char **argv)
{
    const VifTestCase cases[] = {
        { "gone-and-replaced", test_gone_and_replaced, .queues = 2 },
        { "made-again", test_made_again },
        { "reconnect-while-gone", test_reconnect_while_gone, .queues = 2 },
        { "gone-without-a-device", test_gone_without_a_device },
        { "deleted-with-its-device", test_deleted_with_its_device },
        { NULL },
    };

    return vif_test_main(argc, argv, "/vif/tap", cases);
}
