/*
 * Virtual time: it moves only when told to, and whoever waits for it notices. A process
 * cannot go back to real time, so each test here has virtual time from main() on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/clock.h"

#include <glib.h>

#include "util/container-of.h"
#include "util/iothread.h"

typedef struct Alarm {
    IoPoller poller;
    uint64_t at;
    gint rang; /* atomic: how often it was past @at */
} Alarm;

static bool alarm_poll(IoPoller *p)
{
    Alarm *a = container_of(p, Alarm, poller);

    p->wake_ns = a->at;
    if (io_clock_ns() >= a->at) {
        p->wake_ns = 0;
        g_atomic_int_inc(&a->rang);
    }
    return false;
}

static bool alarm_arm(IoPoller *p)
{
    return false;
}

typedef struct Setup {
    IoThread *thread;
    Alarm *alarm;
} Setup;

static void alarm_add(void *opaque)
{
    Setup *s = opaque;

    io_thread_add_poller(s->thread, &s->alarm->poller);
}

static void alarm_remove(void *opaque)
{
    Setup *s = opaque;

    io_thread_remove_poller(s->thread, &s->alarm->poller);
}

static void nothing(void *opaque)
{
}

static void test_stands_still(void)
{
    uint64_t ns = clock_ns();

    g_assert_true(clock_is_virtual());
    g_assert_cmpuint(ns, !=, 0);
    g_usleep(2000);
    g_assert_cmpuint(clock_ns(), ==, ns);
}

static void test_goes_on_not_back(void)
{
    uint64_t before = clock_virtual_ns();

    clock_set_virtual_ns(before + 5);
    g_assert_cmpuint(clock_virtual_ns(), ==, before + 5);
    clock_set_virtual_ns(before);
    g_assert_cmpuint(clock_virtual_ns(), ==, before + 5);
    clock_set_virtual_ns(UINT64_MAX);
    g_assert_cmpuint(clock_virtual_ns(), ==, before + 5);
}

/* A thread asleep until a virtual time is woken by the step past it, not before. */
static void test_wakes_a_thread(void)
{
    g_autoptr(GError) error = NULL;
    Alarm a = { .poller = { .poll = alarm_poll, .arm = alarm_arm } };
    Setup s = { .thread = io_thread_new("alarm", &error), .alarm = &a };
    uint64_t deadline = 0;

    g_assert_no_error(error);
    a.at = clock_ns() + 1000;
    io_thread_call(s.thread, alarm_add, &s);
    while (!clock_next_deadline(&deadline)) {
        g_usleep(100);
    }
    g_assert_cmpuint(deadline, ==, clock_virtual_ns() + 1000);
    clock_set_virtual_ns(clock_virtual_ns() + 999);
    io_thread_call(s.thread, nothing, NULL);
    g_usleep(2000);
    g_assert_cmpint(g_atomic_int_get(&a.rang), ==, 0);
    clock_set_virtual_ns(deadline);
    while (g_atomic_int_get(&a.rang) == 0) {
        g_usleep(100);
    }
    io_thread_call(s.thread, alarm_remove, &s);
    io_thread_free(s.thread);
    g_assert_false(clock_next_deadline(&deadline));
}

typedef struct Timed {
    IoThread *thread;
    IoTimer timer;
    uint64_t at;
    gint rang; /* atomic */
} Timed;

static void timed_fire(IoTimer *timer)
{
    g_atomic_int_inc(&container_of(timer, Timed, timer)->rang);
}

static void timed_set(void *opaque)
{
    Timed *t = opaque;

    io_thread_set_timer(t->thread, &t->timer, t->at);
}

static void test_fires_a_timer(void)
{
    Timed t = { .timer.fire = timed_fire, .at = clock_ns() + 1000 };
    g_autoptr(GError) error = NULL;
    uint64_t deadline = 0;

    t.thread = io_thread_new("timed", &error);
    g_assert_no_error(error);
    io_thread_call(t.thread, timed_set, &t);
    while (!clock_next_deadline(&deadline)) {
        g_usleep(100);
    }
    g_assert_cmpuint(deadline, ==, clock_virtual_ns() + 1000);
    clock_set_virtual_ns(deadline - 1);
    io_thread_call(t.thread, nothing, NULL);
    g_assert_cmpint(g_atomic_int_get(&t.rang), ==, 0);
    clock_set_virtual_ns(deadline);
    while (g_atomic_int_get(&t.rang) == 0) {
        g_usleep(100);
    }
    io_thread_free(t.thread);
    g_assert_cmpint(g_atomic_int_get(&t.rang), ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    clock_start_virtual();
    g_test_add_func("/util/clock/stands-still", test_stands_still);
    g_test_add_func("/util/clock/goes-on-not-back", test_goes_on_not_back);
    g_test_add_func("/util/clock/wakes-a-thread", test_wakes_a_thread);
    g_test_add_func("/util/clock/fires-a-timer", test_fires_a_timer);
    return g_test_run();
}
