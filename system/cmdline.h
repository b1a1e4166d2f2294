/*
 * The command line: one table of options, from which parsing and -help come.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_CMDLINE_H
#define SYSTEM_CMDLINE_H

#include "system.h"

/* Options act in this order, whatever theirs is: a device needs what it refers to. */
typedef enum CmdPhase {
    CMD_SETTING,
    CMD_OBJECT,
    CMD_CHARDEV,
    CMD_MONITOR,
    CMD_NETDEV,
    CMD_NIC, /* of the netdev; its device comes before those of CMD_DEVICE */
    CMD_BLOCKDEV,
    CMD_DRIVE,
    CMD_DEVICE,
    CMD_NEVER, /* done when it is read */
} CmdPhase;

typedef struct CmdLine CmdLine;

CmdLine *cmdline_parse(int argc, char **argv, GError **error);
void cmdline_free(CmdLine *cmd);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdLine, cmdline_free)

/*
 * What -help, -version or "-device help" print; NULL without an
 * error: nothing of the kind was asked. Free it.
 */
char *cmdline_help(const CmdLine *cmd, GError **error);

/* Whether a word is that option, whatever stands around it. */
bool cmdline_has_word(int argc, char **argv, const char *option);

/*
 * Whether a -device needs the bus of that type; @otherwise, if there is no -device: it may come
 * later, by QMP. @cmd has not been run; what is no class will be an error.
 */
bool cmdline_wants_bus(const CmdLine *cmd, const System *s, const char *type, bool otherwise);

/* Does what the options of @phase say. The error begins with the option, as QEMU's do. */
bool cmdline_run(const CmdLine *cmd, System *s, CmdPhase phase, GError **error);

#endif
