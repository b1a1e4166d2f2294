/*
 * A queue of netfront whose backend the test plays by hand, as it should be or not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_NETFRONT_QUEUE_H
#define TESTS_LIB_NETFRONT_QUEUE_H

#include "fake-netdev.h"
#include "fake-xen.h"
#include "vif-frames.h"
#include "xen-netfront-internal.h"

#define NF_WAIT_MS  5000
#define NF_QUIET_MS 50

typedef struct NfTest {
    Xen *xen;
    Netdev *nd;
    Netfront nf;
    NicQueueStats *stats;
    NetfrontQueue *q;
    XenRing tx; /* the backend's ends */
    XenRing rx;
} NfTest;

typedef union NfSlot {
    struct netif_tx_request req;
    struct netif_extra_info extra;
    uint32_t word[3];
} NfSlot;

/* A tx packet as a backend would put it together. */
typedef struct NfTxPacket {
    uint16_t flags;
    bool has_gso;
    struct netif_extra_info gso;
    unsigned n_ids;
    uint16_t ids[20];
    bool extra[20]; /* slot by slot, for the responses */
    uint32_t len;
    uint8_t data[PKT_MAX_LEN];
} NfTxPacket;

/* A queue with a split pair of event channels and all offloads. */
extern const NetfrontPlan nf_plan_all;

/* The queue has no thread: the test calls it. */
void nf_up_stopped(NfTest *f, const NetfrontPlan *plan);
/* With a thread. */
void nf_up(NfTest *f, const NetfrontPlan *plan);
/* Checks that nothing is granted any more. */
void nf_down(NfTest *f);
/* Waits until @n tx requests are there, at least. False: the queue broke before. */
bool nf_wait_requests_or_broken(NfTest *f, int n);
void nf_wait_requests(NfTest *f, int n);
void nf_wait_counter(const uint64_t *counter, uint64_t n);
/* For @reason. */
void nf_wait_broken(NfTest *f, const char *reason);
uint32_t nf_tx_port(const NfTest *f);
uint32_t nf_rx_port(const NfTest *f);
/* Publishes, and sends an event if netfront asked for one. */
void nf_push_responses(NfTest *f, XenRing *r);
/* One response; not published. */
void nf_answer(NfTest *f, uint16_t id, int16_t status);
/* The next one in the tx ring, its slots checked. */
void nf_take_packet(NfTest *f, NfTxPacket *p);
/* A response for each of its slots; not published. */
void nf_answer_packet(NfTest *f, const NfTxPacket *p);
/* From the guest's side. @mss 0: no GSO. */
void nf_give_frame(NfTest *f, const VifFrame *spec, uint16_t mss);
void nf_assert_frame(const VifFrame *spec, const uint8_t *data, uint32_t len);
/* Fills the next posted slot; not published. */
void nf_rx_slot(NfTest *f, uint16_t flags, uint16_t offset, int16_t status, const uint8_t *data);
/* A frame in slots of @chunk bytes, with @extra behind the first one; not published. */
void nf_rx_frame(NfTest *f, const VifFrame *spec, uint16_t flags, uint32_t chunk,
                 const struct netif_extra_info *extra);
/* It arrives at the guest's side. */
void nf_expect_frame(NfTest *f, const VifFrame *spec);
/* Something went wrong before; the next packet gets through nevertheless. */
void nf_expect_alive(NfTest *f);

#endif
