/*
 * -nic: a netdev and the NIC that has it, in one word.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_NICS_H
#define SYSTEM_NICS_H

#include "system.h"

/* Makes the netdev, after those of -netdev; the NIC follows with nics_add_devices(). */
bool nic_option(System *s, const char *arg, GError **error);
bool nics_add_devices(System *s, GError **error);
/* The class of the NIC that @arg asks for, before anything is made; NULL: of none, or unknown. */
const DeviceClass *nic_class(const System *s, const char *arg);
void nic_free(gpointer opaque);
char *nic_help(const char *arg, GError **error);

bool net_option(System *s, const char *arg, GError **error); /* -net none */
char *net_help(const char *arg, GError **error);

#endif
