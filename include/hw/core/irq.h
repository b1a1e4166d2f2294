/*
 * Interrupt lines, as an interrupt controller has them: each has a number and a level. There is no
 * controller, as nobody runs; a test can watch them.
 *
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CORE_IRQ_H
#define HW_CORE_IRQ_H

#include <glib.h>
#include <stdbool.h>

typedef struct IrqLines IrqLines;

IrqLines *irq_lines_new(unsigned n); /* all low */
void irq_lines_free(IrqLines *l);    /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IrqLines, irq_lines_free)

unsigned irq_lines_count(const IrqLines *l);
/* @n < irq_lines_count(), for both. */
void irq_lines_set(IrqLines *l, unsigned n, bool high);
bool irq_lines_level(const IrqLines *l, unsigned n);

/*
 * @set is called whenever a line is set, also to what it was, by whoever sets it; it must not set
 * any. One watches at a time; NULL: nobody.
 */
void irq_lines_watch(IrqLines *l, void (*set)(void *opaque, unsigned n, bool high), void *opaque);

#endif
