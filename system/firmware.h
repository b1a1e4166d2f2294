/*
 * What a machine's firmware would be told, by QEMU's fw_cfg: the options that say it, and the
 * items.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_FIRMWARE_H
#define SYSTEM_FIRMWARE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/options.h"

struct Board;
struct System;

/* From the command line; zeroes if that says nothing. */
typedef struct Firmware {
    uint16_t cpus;          /* 0: not said, one */
    uint16_t max_cpus;      /* 0: as many */
    uint8_t uuid[16];
    bool nographic;
    bool boot_menu;
    bool has_boot_timeout;
    uint16_t boot_timeout;  /* ms that the menu is shown */
    bool has_reboot_timeout;
    int32_t reboot_timeout; /* ms, -1: no reboot */
} Firmware;

/* For query-command-line-options. */
extern const OptTable smp_options;
extern const OptTable boot_options;

char *smp_help(const char *arg, GError **error);
char *boot_help(const char *arg, GError **error);

bool firmware_set_smp(struct System *s, const char *arg, GError **error);       /* -smp */
bool firmware_set_uuid(struct System *s, const char *arg, GError **error);      /* -uuid */
bool firmware_set_boot(struct System *s, const char *arg, GError **error);      /* -boot */
/* -nographic */
bool firmware_set_nographic(struct System *s, const char *arg, GError **error);

/* b->fw_cfg, of a board that has its memory. */
void firmware_add(struct System *s, struct Board *b);

#endif
