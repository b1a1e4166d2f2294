/*
 * The qtest server, inside: qtest.c has the socket and the lines, qtest-memory.c and qtest-irq.c
 * QEMU's commands, qtest-xen.c ours.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QTEST_QTEST_INTERNAL_H
#define QTEST_QTEST_INTERNAL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "hw/core/address-space.h"
#include "hw/xen/xen-store.h"
#include "qtest/qtest.h"
#include "util/chardev.h"
#include "xenemu.h"

#define QTEST_MAX_BYTES (4u << 20) /* in one command */

struct Qtest {
    char *chardev;
    Chardev *socket;
    bool waiting;        /* start-up goes on with the first client */
    int fd;              /* -1: not connected */
    guint in_tag;
    guint out_tag;
    guint flush_tag;
    GByteArray *in;      /* up to a line that is not complete yet */
    GByteArray *out;     /* not written yet: no further line is executed until it is */
    bool too_long;       /* the rest of a line that was refused is to be skipped */
    FILE *log;           /* NULL: none */
    gint64 start_us;

    AddressSpace *memory; /* of the machine, or of the guest of Xen that is there */
    AddressSpace *ports;  /* NULL: there are none */
    AddressSpace *own;    /* one of these: for a guest of Xen, or where there is no machine */
    const QtestIrqs *irqs; /* NULL: there are none */
    IrqLines *intercepted; /* NULL: none */
    bool *irq_high;       /* of each, as the test was told */

    Xen *xen;            /* an emulated host, or NULL */
    char *xen_path;
    int domid;           /* that we ask for */
    uint64_t ram_size;   /* the same */
    XenemuGuest *guest;  /* NULL: dead, or never there */
    XenemuEvtchn *evtchn;
    XenStore *guest_store; /* opened when first used */
    XenStore *dom0_store;
};

typedef struct QtestCommand {
    const char *name;
    unsigned min_args;
    unsigned max_args;
    bool rest;           /* the last argument is the rest of the line, blanks included */
    /* @arg has n_args pointers and NULL. Answers with qtest_reply(), once. */
    void (*run)(Qtest *q, char **arg, unsigned n_args);
} QtestCommand;

/* One line, without its end: "OK ...", "FAIL ..." or "ERR ...". */
void qtest_reply(Qtest *q, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* What was said goes out, if it can: for what is not the answer to a line. */
void qtest_flush_soon(Qtest *q);

/* As libqtest writes them: decimal, 0x or 0. False: answered with FAIL already. */
bool qtest_number(Qtest *q, const char *text, uint64_t max, uint64_t *ret);

/* Each ends with a NULL name. */
extern const QtestCommand qtest_memory_commands[];
extern const QtestCommand qtest_irq_commands[];
extern const QtestCommand qtest_xen_commands[];

/* The lines that a test intercepted are nobody's again. */
void qtest_irq_forget(Qtest *q);

/* False without a reason given: an error text in @error. A guest is there afterwards. */
bool qtest_guest_attach(Qtest *q, int domid, uint64_t ram_size, GError **error);
void qtest_guest_kill(Qtest *q);

#endif
