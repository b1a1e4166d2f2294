/*
 * For the programs of scripts/bench that have a vif in their own process: a netdev of one queue
 * that costs nothing but what it is told to, processors, medians.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include "net/netdev.h"

#define SOURCE_FRAME 1514u

typedef enum SourceKind {
    SOURCE_SINK,    /* takes packets, has none */
    SOURCE_ENDLESS, /* has packets of SOURCE_FRAME bytes, always */
    SOURCE_ECHO,    /* has one for each that it took */
} SourceKind;

/* @packet_ns: that long it is busy with a packet, as the system call of a tap is. */
Netdev *source_new(SourceKind kind, unsigned packet_ns);
/* Packets that it took so far. Any thread. */
uint64_t source_taken(const Netdev *nd);

/* Of NetdevOps, for a netdev that has nothing to set. */
bool bench_set_offload(Netdev *nd, unsigned offload, GError **error);
bool bench_set_active(Netdev *nd, unsigned n, GError **error);
char *bench_info(Netdev *nd, unsigned queue);

/* 0 to @n - 1 may be used. */
bool bench_has_processors(int n);
/* Of the caller, and of the threads that it makes from now on. */
void bench_use_processor(int number);
/* Sorts them. @percent 50: the median. */
double bench_percentile(double *values, unsigned n, unsigned percent);

#endif
