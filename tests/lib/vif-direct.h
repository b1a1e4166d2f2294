/*
 * Guests that send to each other with direct=on: two with netfront, one that a test plays by hand,
 * as it should be or not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIF_DIRECT_H
#define TESTS_LIB_VIF_DIRECT_H

#include "vif-frames.h"
#include "vif-raw.h"
#include "xen-netback-direct.h"

typedef struct DirectPair {
    Vif a;
    Vif b;
    uint8_t mac_a[6];
    uint8_t mac_b[6];
} DirectPair;

/* @config_b: of the netfront of b; NULL: it takes everything. */
void direct_pair_up(DirectPair *p, unsigned queues_a, unsigned queues_b,
                    const NetfrontConfig *config_b);
void direct_pair_down(DirectPair *p);
/* Both ends of a vif that is up, its netback with direct=on. @config as above. */
void direct_connect(Vif *v, const NetfrontConfig *config);

/* It gets there directly. @mss 0: no GSO. */
void direct_a_to_b(DirectPair *p, VifFrame f, uint16_t mss);
/* The netdev of a has it, for the bridge or for more work than a copy. @what: for the log. */
void direct_to_netdev(DirectPair *p, const char *what, VifFrame f, uint16_t mss);

/* A counter of all queues: DIRECT_COUNTER(&p->a, tx, packets). */
uint64_t direct_sum(const Vif *v, size_t offset);
#define DIRECT_COUNTER(v, dir, name) direct_sum(v, offsetof(NicQueueStats, dir.name))

/* How long the queue 0 of @v will still wait for @mac; @set: from now on, 0: that. */
uint64_t direct_patience(Vif *v, const uint8_t *mac, uint64_t set);

/* --- guests by hand --- */

#define HAND_PAGES 16u /* from 8 on those of rx slots */

typedef struct HandGuest {
    Raw r;
    XenRing tx;
    XenRing rx;
    uint8_t *pages;
    uint32_t refs[HAND_PAGES];
    uint8_t mac[6];
} HandGuest;

/* Beside @first, connected, with scatter-gather and GSO. */
void hand_up(HandGuest *h, const Vif *first);
void hand_down(HandGuest *h);
void hand_connect(HandGuest *h); /* again, from Closed */
/* Two guests with netfront, and one by hand. */
void direct_hands_up(DirectPair *p, HandGuest *h);
void direct_hands_down(DirectPair *p, HandGuest *h);

uint8_t *hand_page(HandGuest *h, unsigned i);
/* A frame in one page; not pushed. @ref: instead of the page's. */
void hand_put_tx(HandGuest *h, unsigned page, const VifFrame *f, const uint32_t *ref);
/* In @n slots of @size bytes, and the rest in the first one. Pushed. */
void hand_put_tx_slots(HandGuest *h, const VifFrame *f, unsigned n, unsigned size);
void hand_push_tx(HandGuest *h);
/* Of the next response, waited for. */
int hand_tx_status(HandGuest *h);
/* Slots; @ref: instead of the pages'. */
void hand_post(HandGuest *h, unsigned n, const uint32_t *ref);
void hand_post_quietly(HandGuest *h, unsigned n, const uint32_t *ref); /* without an event */
/* The next packet, of one slot, waited for. */
void hand_expect(HandGuest *h, const VifFrame *f);

/* What the guest does between the fetching of a head and the copy, until trick_end(). */
void trick_start(HandGuest *h, void (*play)(HandGuest *h));
void trick_end(void);
bool trick_ended(void); /* what it did is seen then */

#endif
