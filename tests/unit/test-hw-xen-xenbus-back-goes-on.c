/*
 * A backend that takes up the connection of one that died, and knows it; and which numbers are
 * tried where people name none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "toy-back.h"

/* What the device found: a letter for each call. */
static GString *found;

static unsigned failures; /* so many publications fail */

static bool publish(XenbusBack *b, XenTx tx)
{
    if (failures > 0) {
        failures--;
        errno = EIO;
        return false;
    }
    g_string_append(found, b->goes_on ? "P" : "p");
    return toy_ops.publish(b, tx);
}

static XenbusStep connect_toy(XenbusBack *b, GError **error)
{
    g_string_append(found, b->goes_on ? "C" : "c");
    return toy_ops.connect(b, error);
}

static XenbusStep disconnect_toy(XenbusBack *b)
{
    g_string_append(found, b->goes_on ? "D" : "d");
    return toy_ops.disconnect(b);
}

static void up(ToyTest *f)
{
    toy_up(f);
    found = g_string_new(NULL);
    f->ops.publish = publish;
    f->ops.connect = connect_toy;
    f->ops.disconnect = disconnect_toy;
}

static void down(ToyTest *f)
{
    toy_down(f);
    g_string_free(found, true);
}

static void expect_found(const char *want)
{
    g_assert_cmpstr(found->str, ==, want);
    g_string_truncate(found, 0);
}

/* What a backend leaves that was killed: both ends' states. */
static void leave_behind(ToyTest *f, const char *own, const char *front)
{
    g_assert_true(xen_store_mkdir(f->dom0, 0, TOY_BE, 0, 1));
    toy_put(f, TOY_BE, "frontend", TOY_FE);
    toy_put(f, TOY_BE, "state", own);
    g_assert_true(xen_store_mkdir(f->dom0, 0, TOY_FE, 1, 0));
    toy_put(f, TOY_FE, "backend", TOY_BE);
    toy_put(f, TOY_FE, "state", front);
}

/* From publish() to the end of the connection; the next one is the frontend's own. */
static void test_goes_on(void)
{
    static const char *const own[] = { "4", "8" };

    for (unsigned i = 0; i < G_N_ELEMENTS(own); i++) {
        ToyTest f;

        up(&f);
        leave_behind(&f, own[i], "4");
        toy_back_start(&f);
        TOY_WAIT(f.toy.bus.connected);
        g_assert_true(f.toy.bus.goes_on);
        expect_found("PC");
        toy_front(&f, 6);
        TOY_WAIT(toy_is(&f, TOY_BE, "state", "6"));
        g_assert_false(f.toy.bus.goes_on);
        toy_front(&f, 1);
        TOY_WAIT(toy_is(&f, TOY_BE, "state", "2"));
        toy_front(&f, 4);
        TOY_WAIT(f.toy.bus.connected);
        g_assert_false(f.toy.bus.goes_on);
        expect_found("dpc");
        down(&f);
    }
}

/* XenStore fails when it begins: it is not taken for a new connection, but tried again. */
static void test_publish_fails(void)
{
    ToyTest f;

    up(&f);
    leave_behind(&f, "4", "4");
    failures = 1;
    toy_back_start(&f);
    TOY_WAIT(f.toy.bus.connected || toy_is(&f, TOY_BE, "state", "2"));
    g_assert_true(f.toy.bus.goes_on);
    expect_found("PC");
    down(&f);
}

/* The end does not wait for XenStore. */
static void test_closed_before_it_began(void)
{
    ToyTest f;

    up(&f);
    leave_behind(&f, "4", "4");
    failures = 1;
    toy_back_start(&f);
    failures = UINT_MAX;
    xenbus_back_close(&f.toy.bus, 50);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "6"));
    failures = 0;
    down(&f);
}

/* No connection, or not of both: it begins as any. */
static void test_nothing_to_go_on_with(void)
{
    static const char *const states[][2] = { { "2", "4" }, { "5", "4" }, { "6", "4" },
                                             { "4", "1" }, { "1", "1" }, { "4", "3" } };

    for (unsigned i = 0; i < G_N_ELEMENTS(states); i++) {
        ToyTest f;

        up(&f);
        leave_behind(&f, states[i][0], states[i][1]);
        toy_back_start(&f);
        toy_front(&f, 4);
        TOY_WAIT(f.toy.bus.connected);
        g_assert_false(f.toy.bus.goes_on);
        g_assert_null(strchr(found->str, 'P'));
        g_assert_null(strchr(found->str, 'C'));
        down(&f);
    }
}

static void test_fresh_device_does_not_go_on(void)
{
    ToyTest f;

    up(&f);
    toy_back_start(&f);
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.connected);
    expect_found("pc");
    down(&f);
}

/* The connection that failed is over: what the frontend writes then, is its own. */
static void test_fails_to_go_on(void)
{
    ToyTest f;

    up(&f);
    leave_behind(&f, "4", "4");
    f.toy.refuse_connect = true;
    toy_back_start(&f);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    expect_found("PCd");
    g_assert_false(f.toy.bus.goes_on);
    f.toy.refuse_connect = false;
    toy_front(&f, 6);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "6"));
    toy_front(&f, 1);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "2"));
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.connected);
    expect_found("pc");
    down(&f);
}

/* --- numbers --- */

static unsigned chosen(unsigned nth)
{
    static const unsigned numbers[] = { 7, 3, 9, 1 };

    return numbers[nth];
}

static void chosen_up(ToyTest *f)
{
    up(f);
    f->ops.chosen = chosen;
    f->ops.n_chosen = 4;
}

/* Makes as many devices as there are in @want, and one more, which gets none. */
static void expect_numbers(ToyTest *f, const unsigned *want, unsigned n)
{
    g_autoptr(GError) error = NULL;
    Toy toy[5];

    g_assert_cmpuint(n, <, G_N_ELEMENTS(toy));
    for (unsigned i = 0; i <= n; i++) {
        toy[i] = (Toy) { .log = g_string_new(NULL) };
    }
    for (unsigned i = 0; i < n; i++) {
        g_assert_true(xenbus_back_init(&toy[i].bus, &f->ops, f->host, f->dom0, 1, -1, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(toy[i].bus.idx, ==, want[i]);
    }
    g_assert_false(xenbus_back_init(&toy[n].bus, &f->ops, f->host, f->dom0, 1, -1, &error));
    g_assert_cmpstr(error->message, ==, "cannot find device index for toy device");
    for (unsigned i = 0; i <= n; i++) {
        xenbus_back_done(&toy[i].bus);
        g_string_free(toy[i].log, true);
    }
}

static void test_chosen(void)
{
    static const unsigned want[] = { 7, 3, 9, 1 };
    ToyTest f;

    chosen_up(&f);
    expect_numbers(&f, want, 4);
    expect_numbers(&f, want, 4); /* they are free again */
    down(&f);
}

/* libxl gives out numbers from the first: the last is the one that it needs last. */
static void test_chosen_beside_libxl(void)
{
    static const unsigned want[] = { 1, 9, 3, 7 };
    ToyTest f;

    chosen_up(&f);
    g_assert_true(xen_store_mkdir(f.dom0, 0, "/libxl/1", 0, 0));
    expect_numbers(&f, want, 4);
    down(&f);
}

/* Numbers that others have are passed over, one that a dead backend left comes first. */
static void test_chosen_left_behind(void)
{
    static const unsigned want[] = { 9, 7, 1 };
    ToyTest f;

    chosen_up(&f);
    g_assert_true(xen_store_mkdir(f.dom0, 0, "/local/domain/0/backend/toy/1/3", 0, 1));
    toy_put(&f, "/local/domain/0/backend/toy/1/3", "frontend", "/local/domain/1/device/toy/3");
    toy_put(&f, "/local/domain/0/backend/toy/1/3", "script", "/etc/xen/scripts/toy");
    g_assert_true(xen_store_mkdir(f.dom0, 0, "/local/domain/0/backend/toy/1/9", 0, 1));
    toy_put(&f, "/local/domain/0/backend/toy/1/9", "frontend", "/local/domain/1/device/toy/9");
    g_assert_true(xen_store_mkdir(f.dom0, 0, "/local/domain/1/device/toy/9", 1, 0));
    toy_put(&f, "/local/domain/1/device/toy/9", "backend", "/local/domain/0/backend/toy/1/9");
    expect_numbers(&f, want, 3);
    down(&f);
}

/* What people name need not be one of them, but is below the end. */
static void test_named_number(void)
{
    g_autoptr(GError) error = NULL;
    ToyTest f;

    chosen_up(&f);
    g_assert_true(xenbus_back_init(&f.toy.bus, &f.ops, f.host, f.dom0, 1, 8, &error));
    g_assert_cmpuint(f.toy.bus.idx, ==, 8);
    xenbus_back_done(&f.toy.bus);
    g_assert_false(xenbus_back_init(&f.toy.bus, &f.ops, f.host, f.dom0, 1, 10, &error));
    g_assert_cmpstr(error->message, ==, "idx must be less than 10");
    down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/hw/xen/xenbus-back/" name, fn)
    TEST("goes-on", test_goes_on);
    TEST("goes-on/nothing-to-go-on-with", test_nothing_to_go_on_with);
    TEST("goes-on/fresh-device", test_fresh_device_does_not_go_on);
    TEST("goes-on/fails", test_fails_to_go_on);
    TEST("goes-on/publish-fails", test_publish_fails);
    TEST("goes-on/closed-before-it-began", test_closed_before_it_began);
    TEST("chosen", test_chosen);
    TEST("chosen/beside-libxl", test_chosen_beside_libxl);
    TEST("chosen/left-behind", test_chosen_left_behind);
    TEST("chosen/named-number", test_named_number);
    return g_test_run();
}
