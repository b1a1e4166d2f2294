/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nic-announce.h"

#include <string.h>

#define FRAME_LEN 60u

void nic_announce(NetdevQueue *q, const uint8_t mac[6])
{
    static const uint8_t rarp[] = { 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3 };
    struct {
        struct virtio_net_hdr_v1 hdr;
        uint8_t data[FRAME_LEN];
    } frame = { 0 };
    struct iovec iov = { .iov_base = frame.data, .iov_len = FRAME_LEN };
    Pkt pkt = { .hdr = &frame.hdr, .iov = &iov, .n_iov = 1, .len = FRAME_LEN };

    memset(frame.data, 0xff, 6);
    memcpy(frame.data + 6, mac, 6);
    memcpy(frame.data + 12, rarp, sizeof(rarp));
    memcpy(frame.data + 22, mac, 6);  /* sender */
    memcpy(frame.data + 32, mac, 6);  /* target */
    netdev_send(q, &pkt, 1);
}
