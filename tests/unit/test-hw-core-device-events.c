/*
 * How many of a device's events come out, whatever its guest does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "fake-device.h"

#define BURST 10u

static void expect_events(FakeHost *h, const char *events)
{
    g_assert_cmpstr(h->events->str, ==, events);
    g_string_truncate(h->events, 0);
}

/* So that no more go out at once. */
static void spend_burst(FakeHost *h, Device *d)
{
    for (unsigned i = 0; i < BURST; i++) {
        device_disconnected(d);
    }
    g_string_truncate(h->events, 0);
}

static void test_at_once(void)
{
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "plain,id=a", NULL);
    device_connected(d, 2);
    device_failed(d, "why");
    device_disconnected(d);
    expect_events(&h, "a connected 2;a failed why;a disconnected;");
    fake_host_down(&h);
}

static void test_burst(void)
{
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "plain,id=a", NULL);
    for (unsigned i = 0; i < 3 * BURST; i++) {
        device_failed(d, "x");
    }
    g_assert_cmpuint(h.events->len, ==, BURST * strlen("a failed x;"));
    g_assert_cmpuint(h.logged, ==, 3 * BURST); /* whoever logs has a limit of its own */
    fake_host_down(&h);
}

static void test_warning_is_logged_only(void)
{
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "plain,id=a", NULL);
    device_warned(d, "x");
    g_assert_cmpuint(h.logged, ==, 1);
    expect_events(&h, "");
    fake_host_down(&h);
}

/* How often is for the class to bound; and what others spent does not count. */
static void test_change_is_sent_each_time(void)
{
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "plain,id=a", NULL);
    spend_burst(&h, d);
    h.logged = 0;
    device_changed(d);
    device_changed(d);
    g_assert_cmpuint(h.logged, ==, 0);
    expect_events(&h, "a changed;a changed;");
    fake_host_down(&h);
}

static void test_each_device_has_its_own(void)
{
    FakeHost h;
    Device *a, *b;

    fake_host_up(&h);
    a = fake_add(&h, "plain,id=a", NULL);
    b = fake_add(&h, "plain,id=b", NULL);
    spend_burst(&h, a);
    device_connected(a, 1);
    device_connected(b, 1);
    expect_events(&h, "b connected 1;");
    fake_host_down(&h);
}

/* When the device goes, what waits goes out: the last of a connection and the last failure. */
static void test_the_last_ones_wait(void)
{
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "plain,id=a", NULL);
    spend_burst(&h, d);
    device_failed(d, "first");
    device_connected(d, 1);
    device_disconnected(d);
    device_failed(d, "second");
    device_connected(d, 3);
    expect_events(&h, "");
    device_gone(d, NULL);
    while (device_registry_count(h.registry) > 0) {
        g_main_context_iteration(NULL, TRUE);
    }
    expect_events(&h, "a failed second;a connected 3;");
    fake_host_down(&h);
}

static void test_they_come_by_themselves(void)
{
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "plain,id=a", NULL);
    spend_burst(&h, d);
    device_connected(d, 3);
    while (h.events->len == 0) {
        g_main_context_iteration(NULL, TRUE);
    }
    expect_events(&h, "a connected 3;");
    fake_host_down(&h);
}

static void test_freed_with_some_waiting(void)
{
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "plain,id=a", NULL);
    spend_burst(&h, d);
    device_failed(d, "text that is owned");
    fake_host_down(&h);
    while (g_main_context_iteration(NULL, FALSE)) {
        /* its timer is gone, too */
    }
}

static void test_queues_of_the_last_connection(void)
{
    FakeHost h;
    Device *d;

    fake_host_up(&h);
    d = fake_add(&h, "plain,id=a", NULL);
    g_assert_cmpuint(d->shown_queues, ==, 0);
    device_connected(d, 3);
    device_disconnected(d);
    g_assert_cmpuint(d->shown_queues, ==, 3);
    device_connected(d, 1);
    g_assert_cmpuint(d->shown_queues, ==, 1);
    fake_host_down(&h);
}

int main(int argc, char **argv)
{
    log_init("test-hw-core-device-events");
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/events/at-once", test_at_once);
    g_test_add_func("/events/burst", test_burst);
    g_test_add_func("/events/warning-is-logged-only", test_warning_is_logged_only);
    g_test_add_func("/events/change-is-sent-each-time", test_change_is_sent_each_time);
    g_test_add_func("/events/each-device-has-its-own", test_each_device_has_its_own);
    g_test_add_func("/events/the-last-ones-wait", test_the_last_ones_wait);
    g_test_add_func("/events/they-come-by-themselves", test_they_come_by_themselves);
    g_test_add_func("/events/freed-with-some-waiting", test_freed_with_some_waiting);
    g_test_add_func("/events/queues-of-the-last-connection", test_queues_of_the_last_connection);
    return g_test_run();
}
