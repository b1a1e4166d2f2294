/*
 * A guest, inside.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_GUEST_H
#define XENEMU_GUEST_H

#include <glib.h>
#include <pthread.h>

#include "rpc.h"
#include "xenemu.h"

struct XenemuGuest {
    int fd;
    pthread_mutex_t rpc_lock; /* one request at a time on fd; for the next three, too */
    bool late;                /* the host has not answered the last request in time */
    RpcOp late_op;
    gint64 asked_us;          /* when that was */
    GArray *orphans;          /* uint32_t: ports that the host is to close once it answers */
    uint16_t domid;
    char *store_path;
    size_t ram_size;
    uint8_t *ram;
    PortRecord *records;
    pthread_mutex_t lock;     /* for what follows */
    uint8_t *used;            /* a byte for each page */
    uint32_t n_free_refs;
    uint32_t *free_refs;      /* a stack: the lowest on top at first */
    uint8_t *granted;         /* a byte for each reference: given out by us */
};

/*
 * Asks the host. The answer's result, or -errno; with descriptors (2, or none). A host that
 * does not answer is waited for two seconds; from then on -ETIMEDOUT comes at once, until it
 * answers again.
 */
int guest_call(XenemuGuest *guest, const RpcRequest *req, RpcAnswer *ans, int fds[2]);
/* Closes a port, now or as soon as the host answers again: that is not waited for much. */
void guest_close_port(XenemuGuest *guest, uint32_t port);

#endif
