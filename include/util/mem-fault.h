/*
 * Memory that somebody else can take away: who truncates a file that we have mapped makes our
 * next touch of it a SIGBUS. A guest's VMM can do so at any moment, and shall not end us.
 *
 * What is registered here is mended instead: the fault maps zeros over all of the mapping (huge
 * pages could not be mended one by one), whoever touched it goes on, and its owner hears of it
 * and gives the mapping up. A system call that is given such memory just fails with EFAULT.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_MEM_FAULT_H
#define UTIL_MEM_FAULT_H

#include <stdbool.h>
#include <stddef.h>

#define MEM_FAULT_MAX 4096 /* mappings at a time, of the whole process */

/*
 * Takes over SIGBUS, for the rest of the process's life; nothing happens at further calls. Main
 * thread. A SIGBUS that is about no registered memory does what it did before.
 */
void mem_fault_install(void);

/*
 * Registers the mapping of @size bytes at @start, whole pages of it. At a fault 1 is added to
 * @notify, an eventfd that does not block and stays open until mem_fault_remove(); -1: nobody is
 * told. Returns what to remove it by; -1: there are too many. Any thread, no lock.
 */
int mem_fault_add(const void *start, size_t size, int notify);

/* Before it is unmapped. Nobody touches the memory any more. -1 is fine. */
void mem_fault_remove(int id);

#endif
