/*
 * For tests of block nodes: an image in memory, a node on it, and queues in iothreads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_BLOCK_RIG_H
#define TESTS_LIB_BLOCK_RIG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/block.h"

#define BLOCK_RIG_QUEUES 4
#define BLOCK_RIG_BYTES  (1u << 20) /* of its image, all of it block_rig_byte() */

typedef struct BlockRig {
    char *dir;
    char *path;
    BlockConfig config; /* for block_rig_open() */
    BlockNode *node;
    unsigned n_queues;
    IoThread *t[BLOCK_RIG_QUEUES];
    BlockQueue q[BLOCK_RIG_QUEUES];
    int changes; /* calls of the node's changed() */
} BlockRig;

/* With an image, and nothing open. */
void block_rig_init(BlockRig *r);
void block_rig_done(BlockRig *r);
/* Opens and claims the node, makes @n queues. */
void block_rig_open(BlockRig *r, unsigned n);
/* Its two steps; what the node looks like may be changed between them. */
void block_rig_open_node(BlockRig *r);
void block_rig_start(BlockRig *r, unsigned n);
void block_rig_close(BlockRig *r);

/* What the image has at first. */
uint8_t block_rig_byte(uint64_t offset);
/* What the image has now, past the node. */
void block_rig_expect(const BlockRig *r, uint64_t offset, const void *data, size_t n);

/* One request in queue 0 or @queue, waited for. Returns its result. */
int block_rig_io(BlockRig *r, BlockOp op, uint64_t offset, void *buf, uint64_t bytes);
int block_rig_iov(BlockRig *r, BlockOp op, uint64_t offset, struct iovec *iov, unsigned n);
int block_rig_run(BlockRig *r, unsigned queue, BlockRequest *req);

/* Several at once in a queue: submitted together, in one round. */
typedef struct BlockJob {
    BlockRequest req;
    int res;
    int done; /* relaxed atomic; how often it was told */
} BlockJob;

void block_rig_submit(BlockRig *r, unsigned queue, BlockJob *jobs, unsigned n);
void block_rig_wait(BlockJob *jobs, unsigned n);

/* Runs the main loop until *@n is at least @want. */
void block_rig_loop_until(const int *n, int want);

typedef struct BlockTest {
    const char *name;
    void (*run)(BlockRig *r, gconstpointer data);
} BlockTest;

/* Each with a rig of its own, by io_uring and by threads. */
void block_rig_add_tests(const char *prefix, const BlockTest *tests, size_t n);

#endif
