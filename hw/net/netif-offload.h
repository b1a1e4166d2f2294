/*
 * What is still to be done to a packet, said three ways: by a virtio-net header (Pkt),
 * by the flags and the GSO extra of a vif (NetifMeta), and by what the other side
 * takes (NETDEV_CSUM4...). Netback and netfront both translate through here.
 *
 * Data path: no allocation, any thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_NETIF_OFFLOAD_H
#define HW_NET_NETIF_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "net/pkt.h"

/* A packet's flags and GSO extra; tx and rx give them different bits on the wire. */
typedef struct NetifMeta {
    bool csum_blank;     /* the checksum field holds the pseudo-header's sum */
    bool data_validated; /* the checksum is right, or will be */
    uint8_t gso_type;    /* XEN_NETIF_GSO_TYPE_*; NONE: there is no extra */
    uint16_t gso_size;
} NetifMeta;

/* Bits of the NETTXF_ and NETRXF_ kind, without more_data and extra_info, both ways. */
uint16_t netif_meta_tx_flags(const NetifMeta *meta);
uint16_t netif_meta_rx_flags(const NetifMeta *meta);
void netif_meta_from_tx_flags(NetifMeta *meta, uint16_t flags);
void netif_meta_from_rx_flags(NetifMeta *meta, uint16_t flags);

typedef enum NetifFit {
    NETIF_FIT,     /* goes as it is: @ret_meta says how */
    NETIF_SEGMENT, /* goes after pkt_segment() only */
    NETIF_REFUSE,  /* nothing can be done with it: drop */
} NetifFit;

/*
 * From a netdev to a vif: can the other side, which takes @offload (NetdevOffload bits)
 * and frames of at most @max_len bytes, do what @pkt's header asks for? A checksum that
 * it cannot do (VLAN tag, fragment, other protocol or family) is completed here.
 */
NetifFit netif_offload_fit(Pkt *pkt, unsigned offload, uint32_t max_len, NetifMeta *ret_meta);

/* The same, of a packet that is not touched: true, it can, and nothing is to be completed. */
bool netif_offload_as_is(const Pkt *pkt, unsigned offload, uint32_t max_len, NetifMeta *ret_meta);

/*
 * From a vif to a netdev: writes @pkt's header from @meta. iov[0] is private memory with
 * the packet's first PKT_HEAD_LEN bytes; the pseudo-header's sum may be written there.
 * False: the headers are not what the flags say, drop it.
 */
bool netif_offload_apply(Pkt *pkt, const NetifMeta *meta);

#endif
