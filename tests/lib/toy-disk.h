/*
 * A made-up kind of device with queues, of a ring of some pages and a port each, on an emulated
 * Xen: its backend answers each request with its first bytes, the last of them inverted; its
 * frontend is played by hand.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_TOY_DISK_H
#define TESTS_LIB_TOY_DISK_H

#include "hw/xen/xen-back-queues.h"
#include "toy-back.h"

#define TOY_DISK_QUEUES    4u
#define TOY_DISK_MAX_ORDER 4u
#define TOY_DISK_ENTRY     112u /* bytes, as a request of blkif.h on 64-bit x86 */

/* An end of the guest's. */
typedef struct ToyDiskFront {
    void *pages;
    XenRing ring;
    int port;
} ToyDiskFront;

typedef struct ToyDisk {
    ToyTest f;
    unsigned entry_size;
    unsigned n_queues;   /* that the frontend has */
    unsigned n_pages;    /* of each ring */
    uint32_t start;      /* where the indices are when it is made */

    XenbusBack bus;
    XenBackQueues queues;
    DeviceFaults faults;
    GString *log;
    bool refuse_prepare;
    bool busy;           /* queues wait before they stop */
    bool keep_others;    /* a queue that stopped stays, and the others with it */
    unsigned faults_told;
    char *fault;         /* the last */
    unsigned made;       /* queues that there are */

    XenShare *share;
    XenEvtchn *evtchn;
    ToyDiskFront front[TOY_DISK_QUEUES];
} ToyDisk;

/* The backend waits for its frontend, which has shared its rings and written its keys. */
void toy_disk_up(ToyDisk *d, unsigned n_queues, unsigned n_pages, uint32_t start,
                 unsigned entry_size);
/* Connected, as a frontend of the states 4 or 3. */
void toy_disk_connect(ToyDisk *d, int state);
/* The frontend's pages are free: nothing of them is mapped any more. */
void toy_disk_down(ToyDisk *d);

/* What happened since the last call. */
void toy_disk_expect_log(ToyDisk *d, const char *want);
/* Rounds that the thread of queue @i has had so far. */
unsigned toy_disk_polls(ToyDisk *d, unsigned i);
/* Puts @n requests on the ring of queue @i, and waits for their responses. */
void toy_disk_requests(ToyDisk *d, unsigned i, unsigned n);
void toy_disk_notify(ToyDisk *d, unsigned i);

#endif
