/*
 * A virtio-guest that steers its packets: the command, and frames whose way is known.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_RSS_GUEST_H
#define TESTS_LIB_RSS_GUEST_H

#include "virtio-guest.h"

#define RSS_MAX_TABLE 160u /* entries; more than there may be */
#define RSS_KEY       40u

/* What a driver says, whatever it is. */
typedef struct RssCommand {
    uint32_t types;
    uint16_t mask;
    uint16_t unclassified;
    uint16_t table[RSS_MAX_TABLE]; /* n_table of them are said */
    unsigned n_table;
    uint16_t pairs;
    uint8_t key_len;
    unsigned key_bytes;            /* so much of a key of RSS_KEY bytes and more */
} RssCommand;

/* All types, a table of @len entries that are 0, 1, ... @pairs - 1, 0, ..., and the whole key. */
RssCommand rss_command(unsigned pairs, unsigned len);
/* Microsoft's key, of its published vectors. */
extern const uint8_t rss_key[RSS_KEY];

/* VIRTIO_NET_OK, _ERR. */
uint8_t rss_configure(VirtioGuest *g, const RssCommand *c);
/* The command's bytes, as behind its header. */
GByteArray *rss_command_bytes(const RssCommand *c);

/*
 * Frame number @i, for any @i: TCP and UDP over IPv4 and IPv6, and every eighth is of something
 * else. Its last four bytes are @i.
 */
void rss_frame(FakePkt *pkt, uint32_t i);
uint32_t rss_frame_number(const FakePkt *pkt);
/* The pair that has it, by the standard, and what its header says. */
unsigned rss_expect(const RssCommand *c, const FakePkt *pkt, uint32_t *ret_hash,
                    uint16_t *ret_report);

#endif
