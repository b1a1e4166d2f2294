/*
 * The requests of blkfront-load: as many at a time as are asked for, until it is enough.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_BENCH_BLKFRONT_LOAD_H
#define TESTS_BENCH_BLKFRONT_LOAD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/block/xen-blkfront.h"

typedef enum LoadMode {
    LOAD_READ,
    LOAD_WRITE,
    LOAD_RW,     /* every other request of each kind */
    LOAD_VERIFY, /* rounds: writes all blocks, flushes, reads and compares them */
} LoadMode;

typedef struct LoadConfig {
    LoadMode mode;
    bool random;       /* places; else one behind the other */
    bool copy;         /* data, from and to memory of ours, as with persistent grants */
    unsigned depth;    /* requests at a time, of all rings */
    unsigned rings;
    uint64_t block;    /* bytes of a request */
    uint64_t area;     /* bytes of the disk, from its start */
    double seconds;    /* 0: by count alone */
    uint64_t count;    /* requests, of LOAD_VERIFY rounds; 0: by time alone */
} LoadConfig;

typedef struct LoadResult {
    double seconds;
    uint64_t requests;  /* that ended well */
    uint64_t bytes;
    uint64_t errors;
    uint64_t rounds;    /* of LOAD_VERIFY, that were compared */
    uint64_t mismatches; /* sectors that were not what was written */
} LoadResult;

/*
 * Runs it, and the main loop meanwhile, until it is enough or *@stop; requests that are under way
 * are waited for. The first error or mismatch ends it. Main thread.
 */
void load_run(XenBlkfront *bf, const LoadConfig *c, const bool *stop, LoadResult *ret);

#endif
