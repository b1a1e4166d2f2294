/*
 * A device's life: what it claims, what it is called with, what it may leave out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "fake-device.h"

static void expect_error(FakeHost *h, const char *text, const char *want)
{
    g_autofree char *error = NULL;
    unsigned before = device_registry_count(h->registry);

    fake_add(h, text, &error);
    g_assert_cmpstr(error, ==, want);
    g_assert_cmpuint(device_registry_count(h->registry), ==, before);
}

static void run_loop(FakeHost *h, unsigned left)
{
    while (device_registry_count(h->registry) > left) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void test_life(void)
{
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "fake,id=a,store=s1", NULL);
    fake_expect_calls(&h, "realize a;");
    g_assert_cmpuint(h.stores[1].users, ==, 1);
    g_assert_true(device_backend(d, "store") == &h.stores[1]);
    g_assert_null(device_backend(d, "netdev"));
    device_registry_start(h.registry);
    device_registry_start(h.registry);
    fake_expect_calls(&h, "start a;");
    g_assert_true(device_close(d, 100));
    g_assert_false(device_close(d, 100));
    fake_expect_calls(&h, "close a;");
    device_gone(d, NULL);
    device_gone(d, NULL);
    fake_expect_calls(&h, ""); /* not before the caller has returned */
    run_loop(&h, 0);
    fake_expect_calls(&h, "unrealize a;removed a;");
    g_assert_cmpuint(h.stores[1].users, ==, 0);
    fake_host_down(&h);
}

static void test_freed_with_registry(void)
{
    FakeHost h;

    fake_host_up(&h);
    device_gone(fake_add(&h, "fake,id=a,store=s0", NULL), "told to");
    g_assert_cmpuint(h.logged, ==, 1);
    fake_add(&h, "fake,store=s1,iothread=io0", NULL);
    fake_host_down(&h); /* checks the claims */
}

static void test_backend_errors(void)
{
    FakeHost h;

    fake_host_up(&h);
    expect_error(&h, "fake,id=a", "Parameter 'store' is missing");
    expect_error(&h, "fake,id=a,store=x", "Property 'fake.store' can't find value 'x'");
    fake_add(&h, "fake,id=a,store=s0", NULL);
    expect_error(&h, "fake,id=b,store=s0",
                 "Property 'fake.store' can't take value 's0', it's in use");
    h.refuse = true;
    expect_error(&h, "fake,id=b,store=s1", "refused");
    g_assert_cmpuint(h.stores[1].users, ==, 0);
    fake_host_down(&h);
}

static void test_ids(void)
{
    FakeHost h;

    fake_host_up(&h);
    g_assert_cmpstr(fake_add(&h, "plain", NULL)->id, ==, "#dev0");
    g_assert_cmpstr(fake_add(&h, "plain", NULL)->id, ==, "#dev1");
    fake_add(&h, "plain,id=a", NULL);
    expect_error(&h, "other,id=a", "Duplicate ID 'a' for device");
    device_registry_set_up(h.registry);
    expect_error(&h, "other,id=a", "Duplicate device ID 'a'");
    g_assert_true(device_find(h.registry, "a") == device_registry_nth(h.registry, 2));
    g_assert_null(device_find(h.registry, "b"));
    fake_host_down(&h);
}

/* Of a class, a guest and a number only two together may be the same. */
static void test_number_is_unique_within_class_and_guest(void)
{
    FakeHost h;

    fake_host_up(&h);
    fake_add(&h, "fake,id=a,store=s0,guest=1,idx=0", NULL);
    fake_add(&h, "fake,id=b,store=s1,guest=2,idx=0", NULL);
    fake_add(&h, "other,id=c,guest=1,idx=0", NULL);
    expect_error(&h, "fake,id=d,store=s2,guest=1,idx=0", "idx 0 is in use by device 'a'");
    expect_error(&h, "fake,id=d,store=s2,guest=2,idx=0", "idx 0 is in use by device 'b'");
    fake_add(&h, "fake,id=d,store=s2,guest=1,idx=1", NULL);
    fake_host_down(&h);
}

static void test_no_number_is_not_compared(void)
{
    FakeHost h;

    fake_host_up(&h);
    fake_add(&h, "fake,store=s0,guest=1", NULL);
    fake_add(&h, "fake,store=s1,guest=1", NULL);
    fake_add(&h, "plain,guest=1,idx=3", NULL); /* this class has none */
    fake_add(&h, "plain,guest=1,idx=3", NULL);
    fake_host_down(&h);
}

static void test_no_bus(void)
{
    FakeHost h;

    fake_host_up(&h);
    h.bus_is_there = false;
    g_assert_null(fake_add(&h, "loose,id=a", NULL)->bus);
    expect_error(&h, "loose,bus=second.0", "Device 'loose' can't go on second bus");
    expect_error(&h, "loose,bus=first.0", "Bus 'first.0' not found");
    expect_error(&h, "loose,bus=", "Bus '' not found");
    fake_host_down(&h);
}

static void test_bus(void)
{
    FakeHost h;

    fake_host_up(&h);
    fake_add(&h, "fake,store=s0,bus=first.0", NULL);
    expect_error(&h, "fake,store=s1,bus=first.1", "Bus 'first.1' not found");
    expect_error(&h, "fake,store=s1,bus=x/first.0", "Bus 'x' not found");
    expect_error(&h, "fake,store=s1,bus=second.0", "Device 'fake' can't go on second bus");
    h.bus_is_there = false;
    expect_error(&h, "fake,store=s1,bus=first.0", "Bus 'first.0' not found");
    expect_error(&h, "fake,store=s1", "No 'first' bus found for device 'fake'");
    fake_add(&h, "other", NULL);
    fake_host_down(&h);
}

static void test_unknown_class(void)
{
    FakeHost h;

    fake_host_up(&h);
    expect_error(&h, "none,id=a", "'none' is not a valid device model name");
    expect_error(&h, "id=a", "Parameter 'driver' is missing");
    g_assert_null(device_class_find(h.registry, "none"));
    fake_host_down(&h);
}

static void test_drain(void)
{
    FakeHost h;

    fake_host_up(&h);
    fake_add(&h, "fake,id=a,store=s0", NULL);
    fake_add(&h, "plain,id=b", NULL);
    device_registry_drain(h.registry);
    fake_expect_calls(&h, "realize a;realize b;drained;"); /* none has started */
    device_registry_resume(h.registry);
    device_registry_start(h.registry);
    fake_expect_calls(&h, "start a;start b;");
    device_registry_drain(h.registry);
    fake_expect_calls(&h, "drain a;drained;"); /* b cannot */
    device_registry_drain(h.registry);
    fake_expect_calls(&h, "drained;");
    device_registry_resume(h.registry);
    device_registry_resume(h.registry);
    fake_expect_calls(&h, "resume a;");
    fake_host_down(&h);
}

static void test_drain_ends_with_the_last(void)
{
    FakeHost h;
    Device *a, *b;

    fake_host_up(&h);
    h.drains_later = true;
    a = fake_add(&h, "fake,id=a,store=s0", NULL);
    b = fake_add(&h, "fake,id=b,store=s1", NULL);
    device_registry_start(h.registry);
    fake_expect_calls(&h, "realize a;realize b;start a;start b;");
    device_registry_drain(h.registry);
    device_drained(b);
    fake_expect_calls(&h, "drain a;drain b;");
    device_drained(a);
    fake_expect_calls(&h, "drained;");
    fake_host_down(&h);
}

/* The host hears nothing of a drain that it gave up. */
static void test_resume_during_drain(void)
{
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    h.drains_later = true;
    d = fake_add(&h, "fake,id=a,store=s0", NULL);
    device_registry_start(h.registry);
    device_registry_drain(h.registry);
    device_registry_resume(h.registry);
    fake_expect_calls(&h, "realize a;start a;drain a;resume a;");
    device_gone(d, NULL);
    run_loop(&h, 0);
    fake_expect_calls(&h, "unrealize a;removed a;");
    fake_host_down(&h);
}

static void test_drain_of_one_that_goes(void)
{
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    h.drains_later = true;
    d = fake_add(&h, "fake,id=a,store=s0", NULL);
    device_registry_start(h.registry);
    device_registry_drain(h.registry);
    device_gone(d, NULL);
    run_loop(&h, 0);
    fake_expect_calls(&h, "realize a;start a;drain a;unrealize a;drained;removed a;");
    fake_host_down(&h);
}

static void test_close_all(void)
{
    FakeHost h;

    fake_host_up(&h);
    device_close(fake_add(&h, "plain,id=a", NULL), 1);
    fake_add(&h, "plain,id=b", NULL);
    device_registry_close(h.registry, 1);
    fake_expect_calls(&h, "realize a;close a;realize b;close b;");
    fake_host_down(&h);
}

static void test_save_and_load(void)
{
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "fake,id=a,store=s0", NULL);
    g_assert_true(device_load(d, (const uint8_t *)"a", 1, &error));
    device_registry_start(h.registry);
    g_assert_false(device_save(d, state, &error));
    g_assert_cmpstr(error->message, ==, "Device 'a' is not stopped");
    g_clear_error(&error);
    device_registry_drain(h.registry);
    g_assert_true(device_save(d, state, &error));
    g_assert_cmpmem(state->data, state->len, "a", 1);
    g_assert_false(device_load(d, state->data, state->len, &error));
    g_assert_cmpstr(error->message, ==, "Device 'a' has started");
    fake_host_down(&h);
}

static void test_save_is_optional(void)
{
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "plain,id=a", NULL);
    g_assert_false(device_save(d, state, &error));
    g_assert_cmpstr(error->message, ==, "State of device 'a' cannot be saved");
    g_clear_error(&error);
    g_assert_false(device_load(d, NULL, 0, &error));
    g_assert_cmpstr(error->message, ==, "State of device 'a' cannot be loaded");
    fake_host_down(&h);
}

static void test_counters(void)
{
    const CounterGroup *out;
    FakeHost h;
    DeviceInfo info;
    FakeImpl *impl;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "fake,id=a,store=s0", NULL);
    impl = d->impl;
    counter_add(&impl->stats[2].out.bytes, 3);
    counter_add(&impl->stats[2].out.bytes, 4);
    device_info(d, &info);
    out = &d->class->counters[1];
    g_assert_cmpstr(out->counters[1].name, ==, "bytes");
    g_assert_cmpuint(counter_value(device_queue_stats(d, &info, 2), out, &out->counters[1]), ==,
                     7);
    g_assert_cmpuint(counter_value(device_queue_stats(d, &info, 1), out, &out->counters[1]), ==,
                     0);
    g_assert_cmpuint(counter_value(device_queue_stats(d, &info, 2), out, &out->counters[0]), ==,
                     0);
    fake_host_down(&h);
}

/* Several buses of a kind, each with room for one. */
static void test_slots(void)
{
    FakeHost h;

    fake_host_up(&h);
    g_assert_cmpint(fake_add(&h, "placed,id=a", NULL)->seat.slot, ==, 2);
    g_assert_cmpint(fake_add(&h, "placed,id=b,bus=row-bus.0", NULL)->seat.slot, ==, 0);
    expect_error(&h, "placed,bus=row-bus.0", "Bus 'row-bus.0' is full");
    expect_error(&h, "placed,bus=row-bus.3", "Bus 'row-bus.3' not found");
    expect_error(&h, "placed,bus=row-bus.", "Bus 'row-bus.' not found");
    expect_error(&h, "placed,bus=row-bus.-1", "Bus 'row-bus.-1' not found");
    expect_error(&h, "placed,bus=row-bus", "Bus 'row-bus' not found");
    expect_error(&h, "placed,bus=row-bus1", "Bus 'row-bus1' not found");
    expect_error(&h, "other,bus=row-bus.1", "Device 'other' can't go on row-bus bus");
    g_assert_cmpint(fake_add(&h, "placed,id=c", NULL)->seat.slot, ==, 1);
    expect_error(&h, "placed,id=d", "No 'row' bus found for device 'placed'");
    g_assert_cmpint(fake_add(&h, "other", NULL)->seat.slot, ==, -1);
    device_gone(device_find(h.registry, "a"), NULL);
    while (device_find(h.registry, "a")) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpint(fake_add(&h, "placed,id=d", NULL)->seat.slot, ==, 2);
    fake_host_down(&h);
}

static void test_fixed(void)
{
    FakeHost h;
    g_autoptr(GError) error = NULL;

    fake_host_up(&h);
    fake_add(&h, "placed,id=a", NULL);
    fake_add(&h, "other,id=b", NULL);
    device_registry_set_up(h.registry);
    expect_error(&h, "placed", "Bus 'row-bus.1' does not support hotplugging");
    expect_error(&h, "placed,bus=row-bus.0", "Bus 'row-bus.0' does not support hotplugging");
    expect_error(&h, "placed,bus=row-bus.2", "Bus 'row-bus.2' is full");
    fake_add(&h, "other,id=c", NULL);
    g_assert_true(device_may_go(device_find(h.registry, "b"), &error));
    g_assert_false(device_may_go(device_find(h.registry, "a"), &error));
    g_assert_cmpstr(error->message, ==, "Bus 'row-bus.2' does not support hotplugging");
    fake_host_down(&h);
}

int main(int argc, char **argv)
{
    log_init("test-hw-core-device");
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/life", test_life);
    g_test_add_func("/device/freed-with-registry", test_freed_with_registry);
    g_test_add_func("/device/backend-errors", test_backend_errors);
    g_test_add_func("/device/ids", test_ids);
    g_test_add_func("/device/number-is-unique-within-class-and-guest",
                    test_number_is_unique_within_class_and_guest);
    g_test_add_func("/device/no-number-is-not-compared", test_no_number_is_not_compared);
    g_test_add_func("/device/bus", test_bus);
    g_test_add_func("/device/no-bus", test_no_bus);
    g_test_add_func("/device/slots", test_slots);
    g_test_add_func("/device/fixed-bus", test_fixed);
    g_test_add_func("/device/unknown-class", test_unknown_class);
    g_test_add_func("/device/drain", test_drain);
    g_test_add_func("/device/drain-ends-with-the-last", test_drain_ends_with_the_last);
    g_test_add_func("/device/resume-during-drain", test_resume_during_drain);
    g_test_add_func("/device/drain-of-one-that-goes", test_drain_of_one_that_goes);
    g_test_add_func("/device/close-all", test_close_all);
    g_test_add_func("/device/save-and-load", test_save_and_load);
    g_test_add_func("/device/save-is-optional", test_save_is_optional);
    g_test_add_func("/device/counters", test_counters);
    return g_test_run();
}
