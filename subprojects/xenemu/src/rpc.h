/*
 * What a guest and its host say to each other over the attach socket (SOCK_SEQPACKET):
 * one request, one answer. Events and grants do not come this way: they are in memory
 * that both map.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_RPC_H
#define XENEMU_RPC_H

#include "xenemu.h"

#define RPC_MAGIC 0x78656e31u /* "xen1": changes with any of the below */

typedef enum RpcOp {
    RPC_ATTACH,        /* domid, ram_size, name; answered with 2 fds: RAM, records */
    RPC_ALLOC_UNBOUND, /* domid; answered with the port and 2 fds: ours to poll, to write */
    RPC_BIND,          /* domid, port; answered as above */
    RPC_CLOSE,         /* port */
    RPC_STATUS,        /* port */
} RpcOp;

typedef struct RpcRequest {
    uint32_t magic;
    uint32_t op;
    int32_t domid;
    uint32_t port;
    uint64_t ram_size;
    char name[64];
} RpcRequest;

typedef struct RpcAnswer {
    /*
     * A port, a status, 0, or -errno. -ENFILE, -ENOMEM: the host's want. A connection that the
     * host cannot serve is told so before it asks.
     */
    int32_t result;
    uint32_t domid;
    char store_path[108];
} RpcAnswer;

/*
 * Port P of a guest has record P of the memfd that the host hands out. A word has the
 * state of one end. Both processes write both: a word is a hint from the other side
 * about when to wake whom, never something to index with.
 */
typedef struct PortRecord {
    uint32_t guest;
    uint8_t pad0[60];
    uint32_t host;
    uint8_t pad1[60];
} PortRecord;

#define PORT_PENDING 1u
#define PORT_MASKED  2u

#define RPC_RECORDS_SIZE (XENEMU_PORTS * sizeof(PortRecord))

#endif
