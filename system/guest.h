/*
 * What is done to a guest as a whole.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_GUEST_H
#define SYSTEM_GUEST_H

#include "system.h"

void guest_reset(System *s);     /* or its end, with -no-reboot */
void guest_powerdown(System *s); /* clients are told, and nobody else */

#endif
