/*
 * QEMU's commands about interrupts. The lines of the one controller that a test intercepts are told
 * of, each time that they change: "IRQ raise N", "IRQ lower N", in front of the answer to whatever
 * changed them, or by themselves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qtest-internal.h"

#include <string.h>

/* As in QEMU lines are taken to be low in the beginning, and told of when they are set next. */
static void irq_was_set(void *opaque, unsigned n, bool high)
{
    Qtest *q = opaque;

    if (q->irq_high[n] != high) {
        q->irq_high[n] = high;
        qtest_reply(q, "IRQ %s %u", high ? "raise" : "lower", n);
        qtest_flush_soon(q);
    }
}

void qtest_irq_forget(Qtest *q)
{
    if (q->intercepted) {
        irq_lines_watch(q->intercepted, NULL, NULL);
        q->intercepted = NULL;
        g_clear_pointer(&q->irq_high, g_free);
    }
}

static IrqLines *irq_find(const Qtest *q, const char *path)
{
    for (const QtestIrqs *i = q->irqs; i && i->path; i++) {
        if (strcmp(i->path, path) == 0) {
            return i->lines;
        }
    }
    return NULL;
}

static void run_intercept_in(Qtest *q, char **arg, unsigned n_args)
{
    IrqLines *lines = irq_find(q, arg[0]);

    if (!lines) {
        qtest_reply(q, "FAIL Unknown device");
        return;
    }
    if (q->intercepted && q->intercepted != lines) {
        qtest_reply(q, "FAIL IRQ intercept already enabled");
        return;
    }
    if (!q->intercepted) {
        q->intercepted = lines;
        q->irq_high = g_new0(bool, irq_lines_count(lines));
        irq_lines_watch(lines, irq_was_set, q);
    }
    qtest_reply(q, "OK");
}

/* No controller has outputs, nor inputs that a test could set. */
static void run_no_device(Qtest *q, char **arg, unsigned n_args)
{
    qtest_reply(q, "FAIL Unknown device");
}

const QtestCommand qtest_irq_commands[] = {
    { "irq_intercept_in", 1, 1, .run = run_intercept_in },
    { "irq_intercept_out", 1, 2, .run = run_no_device },
    { "set_irq_in", 4, 4, .run = run_no_device },
    { NULL },
};
