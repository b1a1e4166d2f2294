/*
 * The table is read by a signal handler, in any thread and at any moment: no locks, and each
 * entry has a sequence number by which the reader knows that it saw all of it at one moment.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/mem-fault.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct MemFaultEntry {
    unsigned seq;    /* odd: is being changed */
    int notify;
    uintptr_t start; /* 0: nothing is here */
    size_t size;
} MemFaultEntry;

static MemFaultEntry entries[MEM_FAULT_MAX];
static unsigned n_entries; /* none from here on was ever in use */
static struct sigaction former;
static bool installed;

/* --- the handler: only what is safe in a signal --- */

/* False: it is free, or changes now, which that of the memory that was touched never does. */
static bool read_entry(const MemFaultEntry *e, MemFaultEntry *ret)
{
    unsigned seq = __atomic_load_n(&e->seq, __ATOMIC_ACQUIRE);

    ret->notify = __atomic_load_n(&e->notify, __ATOMIC_ACQUIRE);
    ret->start = __atomic_load_n(&e->start, __ATOMIC_ACQUIRE);
    ret->size = __atomic_load_n(&e->size, __ATOMIC_ACQUIRE);
    return seq % 2 == 0 && ret->start != 0 && __atomic_load_n(&e->seq, __ATOMIC_RELAXED) == seq;
}

/* The system call itself: what a sanitizer puts in front of mmap() is not for a handler. */
static bool map_zeros(uintptr_t start, size_t size)
{
    return syscall(SYS_mmap, start, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != -1;
}

static void tell(int notify)
{
    uint64_t one = 1;
    ssize_t n = notify < 0 ? 0 : write(notify, &one, sizeof(one));

    (void)n; /* a counter that is full tells, too */
}

/* Another thread may be at the same: to map zeros over zeros does no harm. */
static bool mend(uintptr_t addr)
{
    unsigned n = __atomic_load_n(&n_entries, __ATOMIC_ACQUIRE);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    MemFaultEntry e;

    for (unsigned i = 0; i < n; i++) {
        if (!read_entry(&entries[i], &e) || addr - e.start >= e.size) {
            continue;
        }
        /* where memory may not be promised without limit, a page of it may */
        if (!map_zeros(e.start, e.size) && !map_zeros(addr - addr % page, page)) {
            return false;
        }
        tell(e.notify);
        return true;
    }
    return false;
}

/* Back to what it was: the instruction faults again when we return; what was sent is sent again. */
static void give_up(const siginfo_t *info)
{
    sigaction(SIGBUS, &former, NULL);
    if (info->si_code <= 0) {
        raise(SIGBUS);
    }
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
    int saved = errno;

    if (info->si_code <= 0 || !mend((uintptr_t)info->si_addr)) {
        give_up(info);
    }
    errno = saved;
}

/* --- the table --- */

void mem_fault_install(void)
{
    struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

    if (!installed) {
        sigemptyset(&action.sa_mask);
        installed = sigaction(SIGBUS, &action, &former) == 0;
    }
}

/* Makes the entry odd. False: somebody else did, or it is not free. */
static bool claim_entry(MemFaultEntry *e)
{
    unsigned seq = __atomic_load_n(&e->seq, __ATOMIC_ACQUIRE);

    return seq % 2 == 0 && __atomic_load_n(&e->start, __ATOMIC_RELAXED) == 0 &&
           __atomic_compare_exchange_n(&e->seq, &seq, seq + 1, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

static void release_entry(MemFaultEntry *e)
{
    __atomic_fetch_add(&e->seq, 1, __ATOMIC_RELEASE);
}

static void count_entry(unsigned n)
{
    unsigned seen = __atomic_load_n(&n_entries, __ATOMIC_RELAXED);

    while (seen < n && !__atomic_compare_exchange_n(&n_entries, &seen, n, false,
                                                    __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        continue;
    }
}

int mem_fault_add(const void *start, size_t size, int notify)
{
    for (unsigned i = 0; i < MEM_FAULT_MAX; i++) {
        MemFaultEntry *e = &entries[i];

        if (!claim_entry(e)) {
            continue;
        }
        __atomic_store_n(&e->notify, notify, __ATOMIC_RELEASE);
        __atomic_store_n(&e->size, size, __ATOMIC_RELEASE);
        __atomic_store_n(&e->start, (uintptr_t)start, __ATOMIC_RELEASE);
        release_entry(e);
        count_entry(i + 1);
        return (int)i;
    }
    return -1;
}

void mem_fault_remove(int id)
{
    if (id < 0) {
        return;
    }
    __atomic_fetch_add(&entries[id].seq, 1, __ATOMIC_ACQ_REL);
    __atomic_store_n(&entries[id].start, 0, __ATOMIC_RELEASE);
    release_entry(&entries[id]);
}
