/*
 * What a guest may ask of XenStore, in all its connections, as Xen's xenstored has it by
 * default.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_STORE_LIMITS_H
#define XENEMU_STORE_LIMITS_H

#define STORE_MAX_NODES     1000 /* owned by a domain */
#define STORE_MAX_WATCHES   128u
#define STORE_MAX_TX        10u
#define STORE_MAX_TX_NODES  1024u /* that a transaction looked at; of dom0's too */
/* A node is smaller, with what xenstored keeps of it: a header, rights, value, names. */
#define STORE_MAX_NODE_SIZE 2048u
#define STORE_NODE_HEADER   24u
#define STORE_NODE_PERM     8u
#define STORE_MAX_PERMS     5u
/* Bytes that wait for a client: then no more of its requests are read... */
#define STORE_OUTPUT_PAUSE  (64u << 10)
/* ... and then, because of watches, it is given up. dom0's may be slow for a while. */
#define STORE_OUTPUT_MAX    (1u << 20)
#define STORE_OUTPUT_MAX_DOM0 (16u << 20)

#endif
