/*
 * Eventfds of others, which never make us wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/event-call.h"

#include <glib.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/fd.h"

static uint64_t count(int fd)
{
    uint64_t n = 0;

    return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void test_adds(void)
{
    AUTO_FD int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    EventCall c = { 0 };

    for (unsigned n = 1; n < 1000; n += n) {
        for (unsigned i = 0; i < n; i++) {
            event_call(&c, fd);
        }
        g_assert_cmpuint(count(fd), ==, n);
    }
    event_call_done(&c);
    event_call(&c, fd);
    g_assert_cmpuint(count(fd), ==, 1);
    event_call_done(&c);
    event_call_done(&c);
}

/* Full, and such that a write waits. */
static void test_full(void)
{
    AUTO_FD int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t full = UINT64_MAX - 1;
    EventCall c = { 0 };

    g_assert_cmpint(write(fd, &full, sizeof(full)), ==, sizeof(full));
    for (unsigned i = 0; i < 100; i++) {
        event_call(&c, fd);
    }
    g_assert_cmpuint(count(fd), >=, full);
    event_call(&c, fd);
    g_assert_cmpuint(count(fd), ==, 1);
    event_call_done(&c);
}

static void test_no_eventfd(void)
{
    AUTO_FD int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    EventCall c = { 0 };
    int pipes[2];

    g_assert_cmpint(pipe(pipes), ==, 0);
    for (unsigned i = 0; i < 1000; i++) {
        event_call(&c, -1);
        event_call(&c, STDIN_FILENO);
        event_call(&c, pipes[1]);
    }
    event_call(&c, fd);
    g_assert_cmpuint(count(fd), ==, 1);
    event_call_done(&c);
    close(pipes[0]);
    close(pipes[1]);
}

/* Without the kernel's requests it is a write, if that does not wait now. */
static void test_refused(void)
{
    AUTO_FD int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t full = UINT64_MAX - 1;
    EventCall c = { .refused = true };

    event_call(&c, fd);
    g_assert_cmpuint(count(fd), ==, 1);
    g_assert_cmpint(write(fd, &full, sizeof(full)), ==, sizeof(full));
    event_call(&c, fd);
    g_assert_cmpuint(count(fd), ==, full);
    event_call(&c, -1);
    event_call_done(&c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/event-call/adds", test_adds);
    g_test_add_func("/util/event-call/full", test_full);
    g_test_add_func("/util/event-call/no-eventfd", test_no_eventfd);
    g_test_add_func("/util/event-call/refused", test_refused);
    return g_test_run();
}
