/*
 * One table for each kind of object. The command line (key=value and JSON), QMP
 * arguments, "X,help" and the man page's lists all come from it, and the module gets
 * a plain struct that the table filled: no module sees argv or JSON.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_OPTIONS_H
#define UTIL_OPTIONS_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum OnOffAuto {
    ON_OFF_AUTO_AUTO,
    ON_OFF_AUTO_ON,
    ON_OFF_AUTO_OFF,
} OnOffAuto;

typedef enum OptType {
    OPT_STR,        /* char *, NULL when absent */
    OPT_BOOL,       /* bool */
    OPT_ON_OFF_AUTO,/* OnOffAuto: auto when absent, else on or off */
    OPT_UINT32,     /* uint32_t */
    OPT_INT32,      /* int32_t */
    OPT_SIZE,       /* uint64_t, with K M G T suffix */
    OPT_MAC,        /* char *, checked: six hexadecimal bytes with colons, not multicast */
    OPT_VQ_MAPPING, /* GPtrArray * of VqMapping *; JSON only, as in QEMU */
} OptType;

/* One item of iothread-vq-mapping=[{"iothread":"io0","vqs":[0,1]},...]. */
typedef struct VqMapping {
    char *iothread;
    GArray *vqs; /* of uint16_t; NULL when "vqs" is absent */
} VqMapping;

typedef struct OptMember {
    const char *name;
    OptType type;
    size_t offset;     /* of the value in the config struct */
    size_t has_offset; /* of a bool "was given" in it; 0: none (member 0 is never one) */
    const char *def;   /* default, in the command line's spelling; NULL: zero or absent */
    const char *help;  /* one clause, no full stop */
    bool required;
    bool ignored;      /* accepted for QEMU's callers (bus, addr, vectors...), no effect; any type of value */
} OptMember;

typedef struct OptTable {
    const char *name;  /* "tap", "xen-net-device" */
    size_t size;       /* of the config struct; its first member must not be a has_ flag */
    const OptMember *members; /* ends with a NULL name */
} OptTable;

#endif
