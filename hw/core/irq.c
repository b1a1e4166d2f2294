/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/core/irq.h"

struct IrqLines {
    unsigned n;
    bool *high;
    void (*set)(void *opaque, unsigned n, bool high);
    void *opaque;
};

IrqLines *irq_lines_new(unsigned n)
{
    IrqLines *l = g_new0(IrqLines, 1);

    l->n = n;
    l->high = g_new0(bool, n);
    return l;
}

void irq_lines_free(IrqLines *l)
{
    if (l) {
        g_free(l->high);
        g_free(l);
    }
}

unsigned irq_lines_count(const IrqLines *l)
{
    return l->n;
}

void irq_lines_set(IrqLines *l, unsigned n, bool high)
{
    g_assert(n < l->n);
    l->high[n] = high;
    if (l->set) {
        l->set(l->opaque, n, high);
    }
}

bool irq_lines_level(const IrqLines *l, unsigned n)
{
    g_assert(n < l->n);
    return l->high[n];
}

void irq_lines_watch(IrqLines *l, void (*set)(void *opaque, unsigned n, bool high), void *opaque)
{
    l->set = set;
    l->opaque = opaque;
}
