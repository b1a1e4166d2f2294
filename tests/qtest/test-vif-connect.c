/*
 * How a vif is negotiated: queues, event channels, features, both orders of events; and
 * what netback refuses. Each refusal says why in three places, leaves nothing behind, and
 * the frontend that mends its keys connects.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vif-test.h"

#include <string.h>

/* --- what works --- */

typedef struct Shape {
    unsigned queues;
    FrontPorts ports;
} Shape;

/* A frame each way through each queue. */
static void check_traffic(VifTest *t)
{
    g_autofree FrontFrame *got = g_new(FrontFrame, 1);
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);

    for (unsigned i = 0; i < t->f->n_queues; i++) {
        FrontQueue *q = t->f->queue[i];
        VifFrame spec = { .udp = true, .payload = 100, .seed = i };
        size_t len = vif_frame_make(&spec, frame);

        front_rx_post(q, 20);
        front_tx_frame(q, frame, len, NULL, 0, 0, 0);
        front_tx_push(q);
        front_tx_expect(q, 1, NETIF_RSP_OKAY);
        vif_test_expect_host(t, frame, len, NULL);
        /* the host's reply goes to the queue that the flow was last seen on */
        host_tap_send(t->tap, NULL, frame, len);
        g_assert_true(front_rx_recv(q, got, QTEST_TIMEOUT_MS));
        g_assert_cmpmem(got->data, got->len, frame, len);
    }
}

static void test_shape(VifTest *t)
{
    const Shape *s = t->arg;
    FrontConfig c = { .queues = s->queues, .ports = s->ports };
    g_autofree char *state = NULL;

    vif_test_connect(t, &c);
    state = vif_test_query(t, "state");
    g_assert_cmpstr(state, ==, "connected");
    check_traffic(t);
    front_disconnect(t->f);
    vif_test_no_leaks(t);
}

/* The frontend is Connected before the backend looks: it was there before ringtap offered. */
static void test_front_first(VifTest *t)
{
    FrontConfig c = { .queues = 2 };

    front_make_queues(t->f, &c);
    front_write_keys(t->f, &c);
    front_set_state(t->f, XenbusStateConnected);
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'cont'}"));
    front_wait_back(t->f, XenbusStateConnected);
    host_tap_wait_running(t->tap);
    check_traffic(t);
}

static void test_published_features(VifTest *t)
{
    static const char *const ones[] = {
        "feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6", "feature-rx-copy",
        "feature-ipv6-csum-offload", "feature-split-event-channels",
    };
    g_autofree char *max = front_read_back(t->f, "multi-queue-max-queues");

    for (unsigned i = 0; i < G_N_ELEMENTS(ones); i++) {
        g_autofree char *value = front_read_back(t->f, ones[i]);

        g_assert_cmpstr(value, ==, "1");
    }
    g_assert_cmpstr(max, ==, "4");
}

/* What an option of the device holds back is not offered: tcpv4, tcpv6, ipv6-csum, no-csum. */
static void test_offloads_held_back(VifTest *t)
{
    static const char *const keys[] = {
        "feature-gso-tcpv4", "feature-gso-tcpv6", "feature-ipv6-csum-offload",
        "feature-no-csum-offload",
    };
    const char *want = t->arg;

    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *value = front_read_back(t->f, keys[i]);

        g_assert_nonnull(value);
        g_assert_cmpint(value[0], ==, want[i]);
    }
}

/* More queue directories, and flat keys, of an earlier life: not looked at. */
static void test_stale_keys(VifTest *t)
{
    FrontConfig c = { .queues = 2 };

    front_make_queues(t->f, &c);
    front_write_keys(t->f, &c);
    front_write(t->f, "queue-2/tx-ring-ref", "4000000000");
    front_write(t->f, "tx-ring-ref", "rubbish");
    front_set_state(t->f, XenbusStateConnected);
    front_wait_back(t->f, XenbusStateConnected);
    front_remove(t->f, "queue-2");
}

/* One queue, said explicitly, has flat keys. */
static void test_one_explicit(VifTest *t)
{
    FrontConfig c = { 0 };

    front_make_queues(t->f, &c);
    front_write_keys(t->f, &c);
    front_write(t->f, "multi-queue-num-queues", "1");
    front_set_state(t->f, XenbusStateConnected);
    front_wait_back(t->f, XenbusStateConnected);
    host_tap_wait_running(t->tap);
    check_traffic(t);
}

/* The split pair counts where both kinds are written. */
static void test_both_ports_written(VifTest *t)
{
    FrontConfig c = { 0 };

    front_make_queues(t->f, &c);
    front_write_keys(t->f, &c);
    front_write(t->f, "event-channel", "250");
    front_set_state(t->f, XenbusStateConnected);
    front_wait_back(t->f, XenbusStateConnected);
    host_tap_wait_running(t->tap);
    check_traffic(t);
}

/* Of an earlier life, beside the single event channel that counts. */
static void test_stale_half_of_ports(VifTest *t)
{
    FrontConfig c = { .ports = FRONT_SINGLE };

    front_make_queues(t->f, &c);
    front_write_keys(t->f, &c);
    front_write(t->f, t->arg, "250");
    front_set_state(t->f, XenbusStateConnected);
    front_wait_back(t->f, XenbusStateConnected);
    host_tap_wait_running(t->tap);
    check_traffic(t);
    front_remove(t->f, t->arg);
}

static void test_stale_bad_pair(VifTest *t)
{
    FrontConfig c = { .ports = FRONT_SINGLE };

    front_make_queues(t->f, &c);
    front_write_keys(t->f, &c);
    front_write(t->f, "event-channel-tx", "250");
    front_write(t->f, "event-channel-rx", "rubbish");
    front_set_state(t->f, XenbusStateConnected);
    front_wait_back(t->f, XenbusStateConnected);
    check_traffic(t);
}

static void test_thread_per_queue(VifTest *t)
{
    FrontConfig c = { .queues = 4 };
    int tid[4];

    vif_test_connect(t, &c);
    for (unsigned i = 0; i < 4; i++) {
        tid[i] = vif_test_thread(t, i);
        g_assert_cmpint(tid[i], !=, (int)qtest_pid(t->qt));
        for (unsigned j = 0; j < i; j++) {
            g_assert_cmpint(tid[i], !=, tid[j]);
        }
    }
    check_traffic(t);
}

/* The thread id of an iothread, by QMP. */
static int iothread_tid(VifTest *t, const char *id)
{
    struct json_object *all = qtest_qmp_ok(t->qt, "{'execute': 'query-iothreads'}");
    int tid = 0;

    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *o = json_object_array_get_idx(all, i), *v;

        if (json_object_object_get_ex(o, "id", &v) && g_str_equal(json_object_get_string(v), id) &&
            json_object_object_get_ex(o, "thread-id", &v)) {
            tid = json_object_get_int(v);
        }
    }
    json_object_put(all);
    g_assert_cmpint(tid, !=, 0);
    return tid;
}

/* iothread-vq-mapping: io0 has queues 0 and 3, io1 has 1 and 2. */
static void test_mapping(VifTest *t)
{
    static const char *const expected[] = { "io0", "io1", "io1", "io0" };
    FrontConfig c = { .queues = 4 };

    vif_test_connect(t, &c);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpint(vif_test_thread(t, i), ==, iothread_tid(t, expected[i]));
    }
    check_traffic(t);
}

/* Without vqs, queues go round. */
static void test_mapping_round_robin(VifTest *t)
{
    FrontConfig c = { .queues = 4 };

    vif_test_connect(t, &c);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpint(vif_test_thread(t, i), ==, iothread_tid(t, i % 2 ? "io1" : "io0"));
    }
    check_traffic(t);
}

/* --- what is refused --- */

typedef enum Spoil {
    SPOIL_WRITE,     /* @key gets @value */
    SPOIL_REMOVE,    /* @key goes */
    SPOIL_COPY,      /* @key gets the value of @value */
} Spoil;

typedef struct Refusal {
    unsigned queues;
    Spoil how;
    const char *key;
    const char *value;
    const char *reason; /* a part of what is said */
} Refusal;

static void spoil_keys(VifTest *t, const Refusal *r)
{
    g_autofree char *value = NULL;

    switch (r->how) {
    case SPOIL_WRITE:
        front_write(t->f, r->key, "%s", r->value);
        break;
    case SPOIL_REMOVE:
        front_remove(t->f, r->key);
        break;
    case SPOIL_COPY:
        value = qtest_ok(t->qt, "xen_store_read %u %s/%s", t->f->domid, t->f->fe, r->value);
        front_write(t->f, r->key, "%s", value);
        break;
    }
}

static void check_reason(const char *text, const char *reason)
{
    if (!text || !strstr(text, reason)) {
        g_error("'%s' does not say '%s'", text ? text : "(nothing)", reason);
    }
}

/* In XenStore, in query-vif, as an event and in the log. */
static void check_told(VifTest *t, const char *reason)
{
    g_autofree char *node = front_read_error(t->f);
    g_autofree char *query = vif_test_query(t, "error");
    g_autofree char *log = NULL;
    struct json_object *event = qtest_event(t->qt, "VIF_ERROR");

    check_reason(node, reason);
    check_reason(query, reason);
    check_reason(json_object_to_json_string_ext(event, JSON_C_TO_STRING_NOSLASHESCAPE), reason);
    json_object_put(event);
    log = qtest_stderr(t->qt);
    check_reason(log, reason);
}

static void test_refusal(VifTest *t)
{
    const Refusal *r = t->arg;
    FrontConfig c = { .queues = r->queues };
    QTestLeaks before = t->before;
    g_autofree char *error = NULL;

    front_make_queues(t->f, &c);
    t->before = qtest_leaks(t->qt); /* the guest's own end of its ports counts too */
    front_write_keys(t->f, &c);
    spoil_keys(t, r);
    front_set_state(t->f, XenbusStateConnected);
    front_wait_back(t->f, XenbusStateClosing);
    check_told(t, r->reason);
    vif_test_no_leaks(t);
    t->before = before;

    /* mended, without anything restarted */
    front_set_state(t->f, XenbusStateClosed);
    front_wait_back(t->f, XenbusStateClosed);
    front_set_state(t->f, XenbusStateInitialising);
    vif_test_connect(t, &c);
    error = front_read_error(t->f);
    g_assert_null(error);
    check_traffic(t);
}

#define NUM "multi-queue-num-queues"
#define REFUSAL(name_, ...) \
    { .name = "refuses/" name_, .run = test_refusal, .queues = 4, \
      .arg = &(const Refusal){ __VA_ARGS__ } }
#define SHAPE(name_, n, p) \
    { .name = "queues/" name_, .run = test_shape, .queues = 8, .arg = &(const Shape){ n, p } }
#define IOTHREADS "-object iothread,id=io0 -object iothread,id=io1 "

static const VifTestCase cases[] = {
    SHAPE("1-split", 1, FRONT_SPLIT),
    SHAPE("1-single", 1, FRONT_SINGLE),
    SHAPE("2-split", 2, FRONT_SPLIT),
    SHAPE("2-single", 2, FRONT_SINGLE),
    SHAPE("2-mixed", 2, FRONT_MIXED),
    SHAPE("4-split", 4, FRONT_SPLIT),
    SHAPE("4-mixed", 4, FRONT_MIXED),
    SHAPE("8-split", 8, FRONT_SPLIT),
    SHAPE("8-single", 8, FRONT_SINGLE),
    SHAPE("8-mixed", 8, FRONT_MIXED),
    { "front-first", test_front_first, .queues = 2, .args = "-S", .not_offered = true },
    { "published-features", test_published_features, .queues = 4 },
    { "held-back/none", test_offloads_held_back, .arg = "1110" },
    { "held-back/csum", test_offloads_held_back, .options = ",csum=off", .arg = "0001" },
    { "held-back/gso", test_offloads_held_back, .options = ",gso=off", .arg = "0010" },
    { "held-back/host_tso4", test_offloads_held_back, .options = ",host_tso4=off",
      .arg = "0110" },
    { "held-back/host_tso6", test_offloads_held_back, .options = ",host_tso6=off",
      .arg = "1010" },
    { "held-back/guest", test_offloads_held_back,
      .options = ",guest_csum=off,guest_tso4=off,guest_tso6=off", .arg = "1110" },
    { "stale-keys", test_stale_keys, .queues = 4 },
    { "one-queue-explicit", test_one_explicit, .queues = 4 },
    { "both-kinds-of-ports", test_both_ports_written },
    { "stale-event-channel-tx", test_stale_half_of_ports, .arg = "event-channel-tx" },
    { "stale-event-channel-rx", test_stale_half_of_ports, .arg = "event-channel-rx" },
    { "stale-bad-pair", test_stale_bad_pair },
    { "threads/one-per-queue", test_thread_per_queue, .queues = 4 },
    { "threads/mapping", test_mapping, .queues = 4,
      .options = "-device '{\"driver\":\"xen-net-device\",\"id\":\"vif0\",\"netdev\":\"n0\","
                 "\"idx\":0,\"iothread-vq-mapping\":[{\"iothread\":\"io0\",\"vqs\":[0,3]},"
                 "{\"iothread\":\"io1\",\"vqs\":[1,2]}]}'", .args = IOTHREADS },
    { "threads/mapping-round-robin", test_mapping_round_robin, .queues = 4,
      .options = "-device '{\"driver\":\"xen-net-device\",\"id\":\"vif0\",\"netdev\":\"n0\","
                 "\"idx\":0,\"iothread-vq-mapping\":[{\"iothread\":\"io0\"},"
                 "{\"iothread\":\"io1\"}]}'", .args = IOTHREADS },
    REFUSAL("0-queues", 1, SPOIL_WRITE, NUM, "0", NUM " is 0"),
    REFUSAL("too-many-queues", 1, SPOIL_WRITE, NUM, "5", NUM " is 5"),
    REFUSAL("num-queues-8x", 1, SPOIL_WRITE, NUM, "8x", NUM),
    REFUSAL("num-queues-negative", 1, SPOIL_WRITE, NUM, "-1", NUM),
    REFUSAL("num-queues-empty", 1, SPOIL_WRITE, NUM, "", NUM),
    REFUSAL("num-queues-2-to-the-32", 1, SPOIL_WRITE, NUM, "4294967296", NUM),
    REFUSAL("num-queues-blank", 1, SPOIL_WRITE, NUM, " 2", NUM),
    REFUSAL("num-queues-hex", 1, SPOIL_WRITE, NUM, "0x2", NUM),
    REFUSAL("queue-missing", 2, SPOIL_REMOVE, "queue-1", NULL, "queue-1/tx-ring-ref is missing"),
    REFUSAL("fewer-queues-than-said", 2, SPOIL_WRITE, NUM, "3",
            "queue-2/tx-ring-ref is missing"),
    REFUSAL("tx-ring-ref-missing", 1, SPOIL_REMOVE, "tx-ring-ref", NULL,
            "tx-ring-ref is missing"),
    REFUSAL("rx-ring-ref-missing", 2, SPOIL_REMOVE, "queue-1/rx-ring-ref", NULL,
            "queue-1/rx-ring-ref is missing"),
    REFUSAL("event-channel-rx-missing", 1, SPOIL_REMOVE, "event-channel-rx", NULL,
            "event-channel-rx is missing"),
    REFUSAL("event-channel-missing", 1, SPOIL_REMOVE, "event-channel-tx", NULL,
            "event-channel is missing"),
    REFUSAL("ring-ref-8x", 1, SPOIL_WRITE, "tx-ring-ref", "8x", "tx-ring-ref"),
    REFUSAL("ring-ref-not-granted", 1, SPOIL_WRITE, "tx-ring-ref", "30000", "30000"),
    REFUSAL("ring-ref-out-of-table", 1, SPOIL_WRITE, "rx-ring-ref", "4294967295", "4294967295"),
    REFUSAL("event-channel-out-of-range", 1, SPOIL_WRITE, "event-channel-tx", "131072",
            "event-channel-tx"),
    REFUSAL("event-channel-not-allocated", 1, SPOIL_WRITE, "event-channel-rx", "200", "200"),
    REFUSAL("same-ref-tx-and-rx", 1, SPOIL_COPY, "rx-ring-ref", "tx-ring-ref",
            "tx-ring-ref and rx-ring-ref are both"),
    REFUSAL("same-ref-in-two-queues", 2, SPOIL_COPY, "queue-1/rx-ring-ref",
            "queue-0/tx-ring-ref", "same ring-ref"),
    REFUSAL("same-port-in-two-queues", 2, SPOIL_COPY, "queue-1/event-channel-tx",
            "queue-0/event-channel-rx", "same event-channel"),
    REFUSAL("no-rx-copy", 1, SPOIL_WRITE, "request-rx-copy", "0", "request-rx-copy"),
    REFUSAL("rx-copy-missing", 1, SPOIL_REMOVE, "request-rx-copy", NULL, "request-rx-copy"),
    REFUSAL("feature-not-a-number", 1, SPOIL_WRITE, "feature-sg", "yes", "feature-sg"),
    { NULL },
};

int main(int argc, char **argv)
{
    return vif_test_main(argc, argv, "/vif/connect", cases);
}
