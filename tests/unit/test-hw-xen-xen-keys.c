/*
 * The keys of a frontend with queues, of a made-up kind: a ring of two pages and a port each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xen-keys.h"

#include "toy-back.h"
#include "util/container-of.h"

#define MAX_QUEUES 20u

typedef struct KeysTest {
    ToyTest f;
    XenKeys keys;
    unsigned device_reads;
    unsigned disturb;    /* so many reads of a queue see a write of somebody else's... */
    unsigned disturbed;  /* ...as so many did */
    bool colour;         /* a key of the device */
} KeysTest;

static bool read_device(XenKeys *k, const XenKeysDir *d, GError **error)
{
    KeysTest *t = container_of(k, KeysTest, keys);

    t->device_reads++;
    return xen_keys_flag(d, "colour", &t->colour, error);
}

static bool read_queue(XenKeys *k, const XenKeysDir *d, XenQueueKeys *q, GError **error)
{
    KeysTest *t = container_of(k, KeysTest, keys);

    q->n_refs = 2;
    q->n_ports = 1;
    if (!xen_keys_required(d, "ref-a", UINT32_MAX, &q->ref[0], error) ||
        !xen_keys_required(d, "ref-b", UINT32_MAX, &q->ref[1], error) ||
        !xen_keys_port(d, "port", &q->port[0], error)) {
        return false;
    }
    if (t->disturb > 0) {
        g_autofree char *ref = g_strdup_printf("%u", 1000 + ++t->disturbed);

        t->disturb--;
        toy_put(&t->f, d->path, "ref-a", ref);
    }
    return true;
}

static void put(KeysTest *t, const char *dir, const char *key, unsigned value)
{
    g_autofree char *text = g_strdup_printf("%u", value);

    toy_put(&t->f, dir, key, text);
}

/* Queue i has the pages 100 + 2i and one more, and the port i + 1. */
static void put_queue(KeysTest *t, const char *dir, unsigned i)
{
    put(t, dir, "ref-a", 100 + 2 * i);
    put(t, dir, "ref-b", 101 + 2 * i);
    put(t, dir, "port", i + 1);
}

static void up(KeysTest *t, unsigned n_queues)
{
    static const XenKeysOps ops = { read_device, read_queue };

    *t = (KeysTest) { 0 };
    toy_up(&t->f);
    if (n_queues == 1) {
        put_queue(t, TOY_FE, 0);
    } else {
        put(t, TOY_FE, "multi-queue-num-queues", n_queues);
    }
    for (unsigned i = 0; n_queues > 1 && i < n_queues; i++) {
        g_autofree char *dir = g_strdup_printf(TOY_FE "/queue-%u", i);

        put_queue(t, dir, i);
    }
    xen_keys_init(&t->keys, &ops, MAX_QUEUES);
}

static void down(KeysTest *t)
{
    xen_keys_done(&t->keys);
    xen_keys_done(&t->keys);
    toy_down(&t->f);
}

/* All steps; how many it took. */
static unsigned read_all(KeysTest *t, GError **error)
{
    XenbusStep step = XENBUS_STEP_MORE;
    unsigned n = 0;

    while (step == XENBUS_STEP_MORE) {
        g_assert_cmpuint(++n, <, MAX_QUEUES);
        step = xen_keys_read(&t->keys, t->f.dom0, TOY_FE, error);
    }
    g_assert_true((step == XENBUS_STEP_FAILED) == (*error != NULL));
    return n;
}

static void expect_refused(KeysTest *t, const char *reason)
{
    g_autoptr(GError) error = NULL;
    XenKeys fresh;

    read_all(t, &error);
    g_assert_nonnull(error);
    g_assert_cmpstr(error->message, ==, reason);
    xen_keys_init(&fresh, t->keys.ops, t->keys.max_queues);
    xen_keys_done(&t->keys);
    t->keys = fresh;
}

static void expect_read(KeysTest *t, unsigned n_queues)
{
    g_assert_cmpuint(t->keys.n_queues, ==, n_queues);
    g_assert_cmpuint(t->keys.n_read, ==, n_queues);
    for (unsigned i = 0; i < n_queues; i++) {
        const XenQueueKeys *q = &t->keys.queue[i];

        g_assert_cmpuint(q->ref[0], ==, 100 + 2 * i);
        g_assert_cmpuint(q->ref[1], ==, 101 + 2 * i);
        g_assert_cmpuint(q->port[0], ==, i + 1);
    }
}

/* Keys of one queue are in the directory itself, with the number or without. */
static void test_one_queue(void)
{
    for (unsigned said = 0; said < 2; said++) {
        g_autoptr(GError) error = NULL;
        KeysTest t;

        up(&t, 1);
        if (said) {
            put(&t, TOY_FE, "multi-queue-num-queues", 1);
        }
        g_assert_cmpuint(read_all(&t, &error), ==, 1);
        g_assert_no_error(error);
        expect_read(&t, 1);
        g_assert_false(t.colour);
        down(&t);
    }
}

/* A bounded number of queues in each step, the device's own keys in the first. */
static void test_steps(void)
{
    g_autoptr(GError) error = NULL;
    KeysTest t;

    up(&t, MAX_QUEUES);
    put(&t, TOY_FE, "colour", 3);
    g_assert_cmpuint(read_all(&t, &error), ==, 3);
    g_assert_no_error(error);
    expect_read(&t, MAX_QUEUES);
    g_assert_true(t.colour);
    g_assert_cmpuint(t.device_reads, ==, 1);
    down(&t);
}

/* Written while they were read: read again, those of the earlier steps are not. */
static void test_disturbed(void)
{
    g_autoptr(GError) error = NULL;
    KeysTest t;

    up(&t, 10);
    t.disturb = 3;
    g_assert_cmpint(xen_keys_read(&t.keys, t.f.dom0, TOY_FE, &error), ==, XENBUS_STEP_MORE);
    g_assert_no_error(error);
    g_assert_cmpuint(t.keys.n_read, ==, 8);
    g_assert_cmpuint(t.keys.queue[0].ref[0], ==, 1001);
    g_assert_cmpuint(t.keys.queue[2].ref[0], ==, 1003);
    g_assert_cmpuint(t.device_reads, ==, 2);
    t.disturb = 1;
    g_assert_cmpint(xen_keys_read(&t.keys, t.f.dom0, TOY_FE, &error), ==, XENBUS_STEP_DONE);
    g_assert_no_error(error);
    g_assert_cmpuint(t.keys.n_read, ==, 10);
    g_assert_cmpuint(t.keys.queue[8].ref[0], ==, 1004);
    g_assert_cmpuint(t.keys.queue[9].ref[1], ==, 119);
    g_assert_cmpuint(t.device_reads, ==, 2);
    down(&t);
}

static void test_number_of_queues(void)
{
    static const struct {
        const char *value;
        const char *reason;
    } cases[] = {
        { "0", " is 0, must be 1 to 20" },
        { "21", " is 21, must be 1 to 20" },
        { "4294967295", " is 4294967295, must be 1 to 20" },
        { "4294967296", " is not a number from 0 to 4294967295" },
        { "18446744073709551617", " is not a number from 0 to 4294967295" },
        { "-1", " is not a number from 0 to 4294967295" },
        { "", " is not a number from 0 to 4294967295" },
        { "2 ", " is not a number from 0 to 4294967295" },
    };
    KeysTest t;

    up(&t, 2);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *reason = g_strconcat(TOY_FE "/multi-queue-num-queues", cases[i].reason,
                                              NULL);

        toy_put(&t.f, TOY_FE, "multi-queue-num-queues", cases[i].value);
        expect_refused(&t, reason);
    }
    down(&t);
}

/* Each is wrong once, in a device that is right else. */
static void test_refused_keys(void)
{
    static const struct {
        const char *key;
        const char *value; /* NULL: removed */
        const char *reason;
    } cases[] = {
        { "queue-2", NULL, TOY_FE "/queue-2/ref-a is missing" },
        { "queue-1/ref-b", NULL, TOY_FE "/queue-1/ref-b is missing" },
        { "queue-0/port", NULL, TOY_FE "/queue-0/port is missing" },
        { "queue-2/ref-a", "x", TOY_FE "/queue-2/ref-a is not a number from 0 to 4294967295" },
        { "queue-2/ref-a", "4294967296",
          TOY_FE "/queue-2/ref-a is not a number from 0 to 4294967295" },
        { "queue-2/port", "131072", TOY_FE "/queue-2/port is not a number from 0 to 131071" },
        { "queue-2/ref-a", "105", "queue 2 has a ring-ref twice" },
        { "queue-2/ref-a", "101", "queues 0 and 2 have the same ring-ref" },
        { "queue-2/ref-b", "102", "queues 1 and 2 have the same ring-ref" },
        { "queue-2/port", "2", "queues 1 and 2 have the same event-channel" },
        { "colour", "red", TOY_FE "/colour is not a number from 0 to 4294967295" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat(TOY_FE "/", cases[i].key, NULL);
        KeysTest t;

        up(&t, 3);
        if (cases[i].value) {
            g_assert_true(xen_store_write(t.f.dom0, 0, path, cases[i].value));
        } else {
            g_assert_true(xen_store_remove(t.f.dom0, 0, path));
        }
        expect_refused(&t, cases[i].reason);
        down(&t);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/xen/keys/one-queue", test_one_queue);
    g_test_add_func("/hw/xen/keys/steps", test_steps);
    g_test_add_func("/hw/xen/keys/disturbed", test_disturbed);
    g_test_add_func("/hw/xen/keys/number-of-queues", test_number_of_queues);
    g_test_add_func("/hw/xen/keys/refused-keys", test_refused_keys);
    return g_test_run();
}
