/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/core/irq.h"

static void note(void *opaque, unsigned n, bool high)
{
    g_string_append_printf(opaque, "%c%u ", high ? '+' : '-', n);
}

static void test_levels(void)
{
    g_autoptr(IrqLines) l = irq_lines_new(3);

    g_assert_cmpuint(irq_lines_count(l), ==, 3);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_false(irq_lines_level(l, i));
        irq_lines_set(l, i, true);
        g_assert_true(irq_lines_level(l, i));
    }
    irq_lines_set(l, 1, false);
    g_assert_true(irq_lines_level(l, 0));
    g_assert_false(irq_lines_level(l, 1));
    g_assert_true(irq_lines_level(l, 2));
}

static void test_watch(void)
{
    g_autoptr(IrqLines) l = irq_lines_new(2);
    g_autoptr(GString) seen = g_string_new(NULL);

    irq_lines_set(l, 1, true); /* before anybody looks */
    irq_lines_watch(l, note, seen);
    irq_lines_set(l, 1, true);
    irq_lines_set(l, 0, true);
    irq_lines_set(l, 1, false);
    g_assert_cmpstr(seen->str, ==, "+1 +0 -1 ");
    irq_lines_watch(l, NULL, NULL);
    irq_lines_set(l, 0, false);
    g_assert_cmpstr(seen->str, ==, "+1 +0 -1 ");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/core/irq/levels", test_levels);
    g_test_add_func("/hw/core/irq/watch", test_watch);
    return g_test_run();
}
