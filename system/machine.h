/*
 * -machine: which one, and what it has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_MACHINE_H
#define SYSTEM_MACHINE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/options.h"

struct System;

/* A row of machine.c. */
typedef struct MachineType {
    const char *name;
    const char *alias;   /* NULL: none */
    const char *series;  /* what comes before a version in other names of it; NULL: none */
    const char *desc;
    bool has_xen;
    bool has_pci;
    bool has_mmio;       /* buses for virtio-mmio */
    uint64_t ram_size;   /* without -m */
    uint64_t ram_base;
} MachineType;

bool machine_set(struct System *s, const char *arg, GError **error);
char *machine_help(const char *arg, GError **error);
const MachineType *machine_types(void); /* ends with a NULL name; the first one is the default */
const MachineType *machine_default(void);
extern const OptTable xenpv_options; /* as query-command-line-options shows those of a machine */
const OptTable *machine_options(const MachineType *m);
uint64_t machine_ram_size(const struct System *s);

#endif
