/*
 * A disk that does what the test wants, when it wants it: requests of a node are held until the
 * test lets them go, or end at once, well or with an error. Reads and writes reach the image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_HELD_DISK_H
#define TESTS_LIB_HELD_DISK_H

#include "block-internal.h"

#define HELD_DISK_OPS 4u /* BlockOp */

typedef struct HeldDisk {
    BlockDriver driver;
    pthread_mutex_t lock;             /* the thread sanitizer does not know glib's */
    BlockRequest *first;              /* held, in their order */
    BlockRequest **end;
    bool hold;
    unsigned delay_ms;                /* atomic, as all of these */
    int error[HELD_DISK_OPS];         /* of requests that end; 0: none */
    unsigned submitted[HELD_DISK_OPS];
    unsigned secure;                  /* of the discards */
    unsigned held;
} HeldDisk;

/* @node, which has no queue yet, is such a disk from now on. It holds nothing at first. */
void held_disk_init(HeldDisk *d, BlockNode *node);

/* Those that come from now on are held, or not; with @hold false what was held ends, too. */
void held_disk_hold(HeldDisk *d, bool hold);
/*
 * Of those that are held the first @n, or the last @n, the last one first, end: all in one round of
 * their thread.
 */
void held_disk_end(HeldDisk *d, unsigned n, bool last);

/* Those that come from now on end by themselves, after @ms; until then they count as held. */
void held_disk_delay(HeldDisk *d, unsigned ms);

unsigned held_disk_held(const HeldDisk *d);
unsigned held_disk_submitted(const HeldDisk *d, BlockOp op);
/* Requests of @op end with @err from now on; 0: well. */
void held_disk_fail(HeldDisk *d, BlockOp op, int err);

#endif
