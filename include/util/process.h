/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_PROCESS_H
#define UTIL_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * @pid has been killed, or ends, but maybe not all of it is gone: that takes as long as the kernel
 * needs to end what it has under way. False: it lives, is gone, or we may not know. Any thread.
 */
bool process_is_ending(pid_t pid);

#endif
