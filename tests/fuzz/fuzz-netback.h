/*
 * A netback queue without a thread, a Xen or a guest: its rings are in this process, its
 * grants are FUZZ_PAGES pages with FUZZ_REFS references, and every call that
 * it makes is validated.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_FUZZ_NETBACK_H
#define TESTS_FUZZ_FUZZ_NETBACK_H

#include "xen-netback-internal.h"

#define FUZZ_PAGES 8u
#define FUZZ_REF   8u  /* the first reference */
#define FUZZ_REFS  64u /* so many are granted: each page by several */

typedef struct FuzzRing {
    XenRingHeader h;
    uint8_t entries[XEN_RING_PAGE_SIZE - sizeof(XenRingHeader)];
} FuzzRing;

typedef struct FuzzQueue {
    NetbackQueue q;
    NicQueueStats stats;
    Netdev nd;
    NetdevQueue peer;
    FuzzRing tx_page;
    FuzzRing rx_page;
    uint8_t (*pages)[4096];
    unsigned notified;
    bool copies_fail;    /* the next calls of gnttab_copy fail as a whole */
} FuzzQueue;

/* The same one for each input; made at the first call. @ops of the netdev are the target's. */
FuzzQueue *fuzz_queue(const NetdevOps *ops);
/* As if it had just been connected, with empty rings. */
void fuzz_queue_reset(FuzzQueue *f);

#endif
