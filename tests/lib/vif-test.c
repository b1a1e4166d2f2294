/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vif-test.h"

#include <string.h>

#include "netns.h"

static void vif_test_start(VifTest *t, const VifTestCase *c)
{
    g_autoptr(GString) fds = g_string_new(NULL);
    g_autofree char *args = NULL;

    for (unsigned i = 0; i < t->tap->n_queues; i++) {
        g_string_append_printf(fds, "%s%d", i ? ":" : "", t->tap->fd[i]);
    }
    /* a device with JSON options stands in args */
    args = g_strdup_printf("-netdev tap,id=n0,fds=%s %s %s%s", fds->str, c->args ? c->args : "",
                           c->options && c->options[0] == '-' ? ""
                               : "-device xen-net-device,id=vif0,netdev=n0,idx=0",
                           c->options ? c->options : "");
    t->qt = qtest_start(t->tap->fd, t->tap->n_queues, args);
    host_tap_close_fds(t->tap);
    t->f = front_new(t->qt, 0);
    front_wait_back(t->f, c->not_offered ? XenbusStateInitialising : XenbusStateInitWait);
    /* the server opens the guest's XenStore when first asked to use it */
    front_write(t->f, "state", "%d", XenbusStateInitialising);
    t->before = qtest_leaks(t->qt);
    t->arg = c->arg;
}

/* The frontend lets go in an order that keeps nobody waiting. */
static void vif_test_end(VifTest *t)
{
    if (t->f) {
        unsigned back = front_back_state(t->f);

        if (back != XenbusStateUnknown) {
            front_set_state(t->f, XenbusStateClosed);
            front_wait_back(t->f, XenbusStateClosed);
        }
        front_free_queues(t->f);
        vif_test_no_leaks(t);
        front_free(t->f);
    }
    if (t->qt) {
        qtest_stop(t->qt);
    }
    if (t->tap) {
        host_tap_free(t->tap);
    }
}

static void vif_test_run(gconstpointer data)
{
    const VifTestCase *c = data;
    VifTest t = { 0 };

    if (!netns_enter()) {
        return; /* skipped */
    }
    t.tap = host_tap_new(MAX(c->queues, 1), !c->no_vnet_hdr);
    vif_test_start(&t, c);
    c->run(&t);
    vif_test_end(&t);
}

int vif_test_main(int argc, char **argv, const char *prefix, const VifTestCase *cases)
{
    g_test_init(&argc, &argv, NULL);
    for (; cases->name; cases++) {
        g_autofree char *path = g_strdup_printf("%s/%s", prefix, cases->name);

        g_test_add_data_func(path, cases, vif_test_run);
    }
    return g_test_run();
}

static bool same_usage(const VifTest *t)
{
    QTestLeaks now = qtest_leaks(t->qt);

    return now.grants == t->before.grants && now.ports == t->before.ports &&
           now.threads <= t->before.threads && now.fds <= t->before.fds;
}

void vif_test_no_leaks(VifTest *t)
{
    gint64 end = g_get_monotonic_time() + 2 * G_USEC_PER_SEC;
    QTestLeaks now;

    while (!same_usage(t) && g_get_monotonic_time() < end) {
        g_usleep(1000);
    }
    now = qtest_leaks(t->qt);
    g_assert_cmpuint(now.grants, ==, t->before.grants);
    g_assert_cmpuint(now.ports, ==, t->before.ports);
    g_assert_cmpuint(now.threads, <=, t->before.threads);
    g_assert_cmpuint(now.fds, <=, t->before.fds);
}

void vif_test_new_front(VifTest *t)
{
    if (t->f) {
        front_free(t->f);
    }
    t->f = front_new(t->qt, 0);
}

FrontQueue *vif_test_connect(VifTest *t, const FrontConfig *c)
{
    front_connect(t->f, c);
    host_tap_wait_running(t->tap);
    return t->f->queue[0];
}

void vif_test_expect_host(VifTest *t, const uint8_t *frame, size_t len,
                          struct virtio_net_hdr *ret_hdr)
{
    g_autofree uint8_t *buf = g_malloc(FRAME_MAX);
    struct virtio_net_hdr hdr;
    size_t n = host_tap_recv(t->tap, &hdr, buf, QTEST_TIMEOUT_MS);

    g_assert_cmpmem(buf, n, frame, len);
    if (ret_hdr) {
        *ret_hdr = hdr;
    }
}

void vif_test_expect_no_host(VifTest *t)
{
    g_autofree uint8_t *buf = g_malloc(FRAME_MAX);
    struct virtio_net_hdr hdr;

    g_assert_cmpuint(host_tap_recv(t->tap, &hdr, buf, VIF_QUIET_MS), ==, 0);
}

void vif_test_drain_host(VifTest *t)
{
    g_autofree uint8_t *buf = g_malloc(FRAME_MAX);
    struct virtio_net_hdr hdr;

    while (host_tap_recv(t->tap, &hdr, buf, 0) > 0) {
        continue;
    }
}

/* The first vif; json_object_put(*ret_all). */
static struct json_object *query_vif(VifTest *t, struct json_object **ret_all)
{
    *ret_all = qtest_qmp_ok(t->qt, "{'execute': 'query-vif'}");
    g_assert_cmpuint(json_object_array_length(*ret_all), ==, 1);
    return json_object_array_get_idx(*ret_all, 0);
}

static struct json_object *query_queue(struct json_object *vif, unsigned queue)
{
    struct json_object *queues;

    g_assert_true(json_object_object_get_ex(vif, "queues", &queues));
    g_assert_cmpuint(json_object_array_length(queues), >, queue);
    return json_object_array_get_idx(queues, queue);
}

uint64_t vif_test_counter(VifTest *t, unsigned queue, const char *dir, const char *name)
{
    struct json_object *all, *stats, *value;
    uint64_t n;

    g_assert_true(json_object_object_get_ex(query_queue(query_vif(t, &all), queue), dir, &stats));
    g_assert_true(json_object_object_get_ex(stats, name, &value));
    n = (uint64_t)json_object_get_int64(value);
    json_object_put(all);
    return n;
}

char *vif_test_query(VifTest *t, const char *member)
{
    struct json_object *all, *value = NULL;
    struct json_object *vif = query_vif(t, &all);
    char *text = g_strdup(json_object_object_get_ex(vif, member, &value)
                              ? json_object_get_string(value) : "");

    json_object_put(all);
    return text;
}

int vif_test_thread(VifTest *t, unsigned queue)
{
    struct json_object *all, *value;
    int tid;

    g_assert_true(json_object_object_get_ex(query_queue(query_vif(t, &all), queue), "thread-id",
                                            &value));
    tid = json_object_get_int(value);
    json_object_put(all);
    return tid;
}
