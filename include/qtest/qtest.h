/*
 * -qtest: a test drives the program line by line, as QEMU's libqtest does: it reads and
 * writes the guest's memory and moves the clock. The guest is a domain of the emulated
 * Xen in this process, whose frontend the test plays, or a machine of QEMU's without a CPU.
 * Protocol: docs/devel/qtest.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QTEST_QTEST_H
#define QTEST_QTEST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/core/address-space.h"
#include "hw/core/irq.h"
#include "hw/xen/xen-ops.h"

typedef struct Qtest Qtest;

/* Inputs of an interrupt controller, by the path that QEMU's has, or a part of it. */
typedef struct QtestIrqs {
    const char *path;
    IrqLines *lines;
} QtestIrqs;

typedef struct QtestConfig {
    const char *chardev;  /* unix:PATH[,server=on[,wait=off]] */
    const char *log;      /* a file; "none"; NULL: stderr */
    AddressSpace *memory; /* of a machine; NULL: of the guest of @xen, if that is there */
    AddressSpace *ports;  /* of the machine; NULL: it has none */
    const QtestIrqs *irqs; /* of the machine, ends with a NULL path; NULL: it has none */
    Xen *xen;             /* from xen_xenemu_open_host(); NULL: there is no guest, no memory */
    const char *xen_path; /* where domains attach to @xen */
    int domid;            /* of the guest, -1: the host chooses */
    uint64_t ram_size;    /* of the guest; 0: QTEST_RAM_DEFAULT */
} QtestConfig;

#define QTEST_RAM_DEFAULT (64ull << 20)

/*
 * Attaches the guest and connects to (or listens for) the test, whose commands are
 * executed from the main loop on. Waits for nobody. Before devices are made, and after
 * clock_start_virtual() if -accel qtest was given. @config's strings are not kept, all else that
 * it points to outlives it. Main thread.
 * "Failed to initialize device for qtest: ..." as in QEMU.
 */
Qtest *qtest_new(const QtestConfig *config, GError **error);
bool qtest_is_waiting(const Qtest *q); /* for its first test, as wait=on asks: run the loop */
void qtest_free(Qtest *q); /* the guest dies; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qtest, qtest_free)

#endif
