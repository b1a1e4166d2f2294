/*
 * What a frontend's keys may say that makes no sense: it is refused, with a reason where people
 * look, and a decent frontend finds its disk afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "vbd-raw.h"

typedef struct Bad {
    const char *name;
    const char *key;
    const char *value; /* NULL: it is not there; "=KEY": as that one has it */
    unsigned n_queues; /* of a frontend that is right but for it */
    int order;
} Bad;

static const Bad bad[] = {
    { "order-5", "ring-page-order", "5", 1, 0 },
    { "order-minus", "ring-page-order", "-1", 1, 0 },
    { "order-2-31", "ring-page-order", "2147483648", 1, 0 },
    { "order-2-64", "ring-page-order", "18446744073709551616", 1, 0 },
    { "order-word", "ring-page-order", "two", 1, 0 },
    { "order-empty", "ring-page-order", "", 1, 0 },
    { "order-more-than-refs", "ring-page-order", "2", 1, 1 },
    { "queues-0", "multi-queue-num-queues", "0", 1, -1 },
    { "queues-5", "multi-queue-num-queues", "5", 1, -1 },
    { "queues-huge", "multi-queue-num-queues", "4294967295", 1, -1 },
    { "queues-minus", "multi-queue-num-queues", "-2", 1, -1 },
    { "queues-word", "multi-queue-num-queues", "1x", 1, -1 },
    { "queue-missing", "multi-queue-num-queues", "3", 2, -1 },
    { "protocol", "protocol", "x86_64-abi-2", 1, -1 },
    { "protocol-empty", "protocol", "", 1, -1 },
    { "persistent-word", "feature-persistent", "yes", 1, -1 },
    { "ref-missing", "ring-ref", NULL, 1, -1 },
    { "ref-0", "ring-ref", "0", 1, -1 },
    { "ref-not-granted", "ring-ref", "60000", 1, -1 },
    { "ref-beyond-the-table", "ring-ref", "4294967295", 1, -1 },
    { "ref-minus", "ring-ref", "-8", 1, -1 },
    { "ref-word", "ring-ref", "ref", 1, -1 },
    { "ref-twice", "ring-ref1", "=ring-ref0", 1, 2 },
    { "ref-of-another-queue", "queue-1/ring-ref", "=queue-0/ring-ref", 2, -1 },
    { "ref-of-another-queue-s-last", "queue-1/ring-ref0", "=queue-0/ring-ref3", 2, 2 },
    { "port-missing", "event-channel", NULL, 1, -1 },
    { "port-0", "event-channel", "0", 1, -1 },
    { "port-not-there", "event-channel", "200", 1, -1 },
    { "port-huge", "event-channel", "131072", 1, -1 },
    { "port-word", "event-channel", "port", 1, -1 },
    { "port-twice", "queue-1/event-channel", "=queue-0/event-channel", 2, -1 },
    { "port-missing-of-the-last", "queue-1/event-channel", NULL, 2, 1 },
};

static void setup(VbdRaw *r, gconstpointer data)
{
    const Bad *b = data;

    vbd_raw_init(r);
    r->n_queues = b->n_queues;
    r->order = b->order;
    vbd_raw_back(r);
    vbd_raw_front(r);
}

static void teardown(VbdRaw *r, gconstpointer data)
{
    vbd_raw_down(r);
}

static void make_bad(VbdRaw *r, const Bad *b)
{
    g_autofree char *path = g_strdup_printf("%s/%s", r->v.fe, b->key);
    g_autofree char *other = NULL, *value = NULL;

    if (!b->value) {
        g_assert_true(xen_store_clear(r->v.guest_store, 0, path));
    } else if (b->value[0] == '=') {
        other = g_strdup_printf("%s/%s", r->v.fe, b->value + 1);
        value = xen_store_read(r->v.guest_store, 0, other);
        g_assert_nonnull(value);
        vbd_raw_key(r, b->key, value);
    } else {
        vbd_raw_key(r, b->key, b->value);
    }
}

static void test_bad(VbdRaw *r, gconstpointer data)
{
    const Bad *b = data;
    g_autofree char *error = g_strdup_printf("/local/domain/0/error/backend/vbd/%u/%u",
                                             r->v.guest->domid, VBD_DEV);
    XenBlkifRequest req;

    make_bad(r, b);
    vbd_raw_state(r, 3);
    VBD_WAIT(r->errors == 1);
    g_assert_true(vbd_raw_back_is(r, 5));
    g_assert_true(vbd_is(&r->v, error, "error", r->error));
    g_assert_cmpuint(r->connected, ==, 0);
    g_assert_cmpuint(vbd_raw_mapped(r), ==, 0); /* what was right of it, neither */
    /* the next one, which is not a bad one */
    vbd_raw_state(r, 6);
    VBD_WAIT(vbd_raw_back_is(r, 6));
    vbd_raw_front_free(r);
    vbd_raw_state(r, 1);
    VBD_WAIT(vbd_raw_back_is(r, 2));
    vbd_raw_front(r);
    vbd_raw_connect(r);
    g_assert_true(vbd_is(&r->v, error, "error", NULL));
    for (unsigned q = 0; q < r->n_queues; q++) {
        req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 1, 10);
        g_assert_cmpint(vbd_raw_do(r, q, &req), ==, BLKIF_RSP_OKAY);
    }
}

/* --- what is odd and right --- */

static const Bad odd[] = {
    { "stale-ring-ref", "ring-ref", "60000", 1, 1 },
    { "stale-ring-ref0", "ring-ref0", "60000", 1, -1 },
    { "stale-queue", "queue-0/ring-ref", "60000", 1, -1 },
    { "stale-top-level-port", "event-channel", "200", 2, -1 },
    { "persistent-2", "feature-persistent", "2", 1, -1 },
    { "huge-key", "feature-large-sector-size", "99999999999999999999", 1, -1 },
};

static const Bad stale[] = {
    { "number-alone", NULL, NULL, 1, -1 },
    { "number-alone-of-long-rings", NULL, NULL, 1, 1 },
    { "ring", "queue-0/ring-ref", "60000", 1, -1 },
    { "port", "queue-0/event-channel", "200", 1, -1 },
};

/* What another frontend left is not looked at (firmware, kexec). */
static void test_odd(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest req;

    make_bad(r, data);
    vbd_raw_connect(r);
    for (unsigned q = 0; q < r->n_queues; q++) {
        req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 1, 10);
        g_assert_cmpint(vbd_raw_do(r, q, &req), ==, BLKIF_RSP_OKAY);
    }
    g_assert_cmpuint(r->errors, ==, 0);
}

/*
 * A frontend with one ring, and what one with two left: keys without queues, a ring that is not
 * granted any more, a port that nobody waits at.
 */
static void test_stale_number(VbdRaw *r, gconstpointer data)
{
    const Bad *b = data;
    XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 1, 10);

    vbd_raw_key(r, "multi-queue-num-queues", "2");
    if (b->key) {
        make_bad(r, &(Bad){ .key = "queue-0/ring-ref", .value = "=ring-ref" });
        make_bad(r, &(Bad){ .key = "queue-0/event-channel", .value = "=event-channel" });
        vbd_raw_key(r, "queue-1/ring-ref", "60001");
        vbd_raw_key(r, "queue-1/event-channel", "201");
        make_bad(r, b);
    }
    vbd_raw_connect(r);
    g_assert_cmpuint(r->warnings, ==, 1);
    g_assert_nonnull(strstr(r->error, "one ring is tried"));
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    vbd_raw_close(r);
    g_assert_cmpuint(vbd_raw_mapped(r), ==, 0);
}

/* If that does not do either, the reason is that of the first try. */
static void test_stale_all(VbdRaw *r, gconstpointer data)
{
    vbd_raw_key(r, "multi-queue-num-queues", "2");
    vbd_raw_key(r, "queue-0/ring-ref", "60001");
    vbd_raw_key(r, "queue-0/event-channel", "201");
    vbd_raw_key(r, "queue-1/ring-ref", "60002");
    vbd_raw_key(r, "queue-1/event-channel", "202");
    vbd_raw_key(r, "ring-ref", "60000");
    vbd_raw_state(r, 3);
    VBD_WAIT(r->errors == 1);
    g_assert_nonnull(strstr(r->error, "60001"));
    g_assert_true(vbd_raw_back_is(r, 5));
    g_assert_cmpuint(vbd_raw_mapped(r), ==, 0);
}

/* A ring whose indices are impossible from the beginning. */
static void test_impossible_ring(VbdRaw *r, gconstpointer data)
{
    r->queue[0].ring.page->req_prod = r->queue[0].ring.page->rsp_prod + 33;
    vbd_raw_state(r, 3);
    VBD_WAIT(r->errors == 1);
    g_assert_true(vbd_raw_back_is(r, 5));
    g_assert_cmpuint(vbd_raw_mapped(r), ==, 0);
}

/* Requests that were there before the backend looked. */
static void test_requests_before_connection(VbdRaw *r, gconstpointer data)
{
    for (unsigned i = 0; i < 32; i++) {
        XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, 8 * i, 1, i);

        vbd_raw_put(r, 0, &req);
    }
    xen_ring_push_requests(&r->queue[0].ring);
    vbd_raw_connect(r);
    vbd_raw_wait(r, 0, 32);
}

int main(int argc, char **argv)
{
    static const Bad none = { .n_queues = 1, .order = -1 };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *path = g_strdup_printf("/xen-blkback/keys/bad/%s", bad[i].name);

        g_test_add(path, VbdRaw, &bad[i], setup, test_bad, teardown);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(odd); i++) {
        g_autofree char *path = g_strdup_printf("/xen-blkback/keys/odd/%s", odd[i].name);

        g_test_add(path, VbdRaw, &odd[i], setup, test_odd, teardown);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(stale); i++) {
        g_autofree char *path = g_strdup_printf("/xen-blkback/keys/stale/%s", stale[i].name);

        g_test_add(path, VbdRaw, &stale[i], setup, test_stale_number, teardown);
    }
    g_test_add("/xen-blkback/keys/stale/all", VbdRaw, &none, setup, test_stale_all, teardown);
    g_test_add("/xen-blkback/keys/impossible-ring", VbdRaw, &none, setup, test_impossible_ring,
               teardown);
    g_test_add("/xen-blkback/keys/requests-before-connection", VbdRaw, &none, setup,
               test_requests_before_connection, teardown);
    return g_test_run();
}
