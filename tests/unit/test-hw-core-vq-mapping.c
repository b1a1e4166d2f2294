/*
 * Which iothread a queue gets; the errors are QEMU's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "fake-device.h"

#define MAPPED(list) "{\"driver\":\"other\",\"iothread-vq-mapping\":[" list "]}"

static void expect_threads(FakeHost *h, const char *text, const char *want)
{
    const FakeImpl *impl = fake_add(h, text, NULL)->impl;
    char found[FAKE_QUEUES + 1] = { 0 };

    for (unsigned i = 0; i < FAKE_QUEUES; i++) {
        found[i] = impl->threads[i] == h->threads[0] ? '0' :
                   impl->threads[i] == h->threads[1] ? '1' : '-';
    }
    g_assert_cmpstr(found, ==, want);
}

static void expect_error(FakeHost *h, const char *text, const char *want)
{
    g_autofree char *error = NULL;

    fake_add(h, text, &error);
    g_assert_cmpstr(error, ==, want);
}

static void test_none(void)
{
    FakeHost h;

    fake_host_up(&h);
    expect_threads(&h, "other", "----");
    fake_host_down(&h);
}

static void test_one_for_all(void)
{
    FakeHost h;

    fake_host_up(&h);
    expect_threads(&h, "other,iothread=io1", "1111");
    g_assert_cmpuint(h.thread_users[0], ==, 0);
    g_assert_cmpuint(h.thread_users[1], ==, 1);
    expect_error(&h, "other,iothread=x", "Device 'x' not found");
    fake_host_down(&h);
}

static void test_in_turn(void)
{
    FakeHost h;

    fake_host_up(&h);
    expect_threads(&h, MAPPED("{\"iothread\":\"io1\"},{\"iothread\":\"io0\"}"), "1010");
    g_assert_cmpuint(h.thread_users[0], ==, 1);
    g_assert_cmpuint(h.thread_users[1], ==, 1);
    fake_host_down(&h);
}

static void test_by_number(void)
{
    FakeHost h;

    fake_host_up(&h);
    expect_threads(&h, MAPPED("{\"iothread\":\"io0\",\"vqs\":[0,3]},"
                              "{\"iothread\":\"io1\",\"vqs\":[2,1]}"), "0110");
    fake_host_down(&h);
}

static void test_errors(void)
{
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        { MAPPED(""), "missing vq 0 IOThread assignment in iothread-vq-mapping" },
        { MAPPED("{\"iothread\":\"x\"}"), "IOThread \"x\" object does not exist" },
        { MAPPED("{\"iothread\":\"io0\"},{\"iothread\":\"io0\"}"),
          "duplicate IOThread name \"io0\" in iothread-vq-mapping" },
        { MAPPED("{\"iothread\":\"io0\",\"vqs\":[0]},{\"iothread\":\"io1\"}"),
          "either all items in iothread-vq-mapping must have vqs or none of them must have it" },
        { MAPPED("{\"iothread\":\"io0\",\"vqs\":[4]}"),
          "vq index 4 for IOThread \"io0\" must be less than num_queues 4 in "
          "iothread-vq-mapping" },
        { MAPPED("{\"iothread\":\"io0\",\"vqs\":[1]},{\"iothread\":\"io1\",\"vqs\":[1]}"),
          "cannot assign vq 1 to IOThread \"io1\" because it is already assigned" },
        { MAPPED("{\"iothread\":\"io0\",\"vqs\":[0,1,3]}"),
          "missing vq 2 IOThread assignment in iothread-vq-mapping" },
        { "{\"driver\":\"other\",\"iothread\":\"io0\",\"iothread-vq-mapping\":"
          "[{\"iothread\":\"io0\"}]}",
          "iothread and iothread-vq-mapping properties cannot be set at the same time" },
    };
    FakeHost h;

    fake_host_up(&h);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        expect_error(&h, cases[i].text, cases[i].error);
    }
    fake_host_down(&h); /* none of them has claimed one */
}

int main(int argc, char **argv)
{
    log_init("test-hw-core-vq-mapping");
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vq-mapping/none", test_none);
    g_test_add_func("/vq-mapping/one-for-all", test_one_for_all);
    g_test_add_func("/vq-mapping/in-turn", test_in_turn);
    g_test_add_func("/vq-mapping/by-number", test_by_number);
    g_test_add_func("/vq-mapping/errors", test_errors);
    return g_test_run();
}
