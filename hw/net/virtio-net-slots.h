/*
 * Frames on their way from the pair whose thread read them to the pair whose guest's ring they are
 * for. Each pair has a fixed number of slots, which it reads frames into; a slot goes to another
 * pair's inbox with the frame in it, and comes home empty.
 *
 *     free --read--> (own queue | another's inbox --receive--> its queue) --pop--> home --> free
 *
 * A pair's guest may not take its frames. So much as its queue is allowed then is dropped behind:
 * the limits of all pairs together leave half of each pair's slots to the others. A pair whose
 * thread is only slow loses nothing: who runs out of slots reads nothing until some come home.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_SLOTS_H
#define HW_NET_VIRTIO_NET_SLOTS_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/pkt.h"
#include "util/inbox.h"

#define SLOTS_OF_PAIR 512u  /* frames: as a large ring of a NIC */
#define SLOT_SIZE     (17 * 4096u) /* header, longest frame, a byte that tells of a longer one */

typedef struct NicSlot {
    InboxNode node;
    struct virtio_net_hdr_v1 hdr;
    uint16_t home;   /* the pair that it belongs to */
    uint16_t report; /* VIRTIO_NET_HASH_REPORT_* */
    uint32_t hash;
    uint32_t len;    /* of the frame */
    uint8_t *data;   /* SLOT_SIZE bytes; the frame is behind PKT_HDR_LEN of them */
} NicSlot;

/* What a batch has for each pair. */
typedef struct SlotSpread {
    InboxChain *chain;
    uint16_t *touched; /* those that have something */
    unsigned n;
} SlotSpread;

typedef struct SlotPair {
    Inbox inbox;     /* frames for its guest, of other pairs */
    Inbox home;      /* slots of its own that come back */
    struct SlotSet *set;
    unsigned index;
    int fd;          /* both inboxes' */
    /* its thread's */
    bool armed;
    unsigned n_free;
    NicSlot *free[SLOTS_OF_PAIR]; /* the last one is the next: its memory was in use of late */
    NicSlot *first;  /* the queue of its guest's frames */
    NicSlot *last;
    unsigned n_queued;
    SlotSpread out;  /* frames for others */
    SlotSpread back; /* empty slots of others */
    uint8_t *mem;
    NicSlot slot[SLOTS_OF_PAIR];
} SlotPair;

/* One device's. */
typedef struct SlotSet {
    unsigned n;
    unsigned stuck_limit; /* of a queue whose guest takes nothing */
    SlotPair *pair[];
} SlotSet;

/* Main thread. All inboxes are closed. NULL: there is no memory, or are no descriptors. */
SlotSet *slots_new(unsigned pairs);
void slots_free(SlotSet *s); /* no thread has any of it; frames are lost. NULL is fine. */

/* --- a pair's thread, from here on; what is said of drops is their number --- */

/* Frames are taken from others. */
void slots_open(SlotPair *p);
static inline bool slots_is_open(const SlotPair *p)
{
    return __atomic_load_n(&p->inbox.newest, __ATOMIC_RELAXED) != (const void *)&p->inbox;
}
/* None any more: what is queued and what others sent is dropped. */
unsigned slots_close(SlotPair *p);

/*
 * About to sleep: frames of others wake it, and without free slots those that come home. True:
 * there are some.
 */
bool slots_arm(SlotPair *p);
void slots_disarm(SlotPair *p);

/* Slots that came home are free. */
void slots_collect(SlotPair *p);
/* The free slot that is used as number @i from now, @i < n_free. */
static inline NicSlot *slots_nth_free(const SlotPair *p, unsigned i)
{
    return p->free[p->n_free - 1 - i];
}
static inline void slots_use(SlotPair *p, unsigned n) /* these are not free any more */
{
    p->n_free -= n;
}
static inline void slots_unuse(SlotPair *p, NicSlot *s) /* of its own */
{
    p->free[p->n_free++] = s;
}

/* A frame of its own for its own guest. False: @limit are queued, and it is free again. */
bool slots_queue(SlotPair *p, NicSlot *s, unsigned limit);
/* What others sent is queued, up to @limit. Returns how many frames came. */
unsigned slots_receive(SlotPair *p, unsigned limit, unsigned *ret_dropped);
/* The queue's end, behind @limit frames. */
unsigned slots_cut(SlotPair *p, unsigned limit);
/* The queue's first one is taken off it, and its slot goes home with slots_send_home(). */
void slots_pop(SlotPair *p);
void slots_send_home(SlotPair *p);

/* A frame of its own for pair @to, which is another one; slots_send() has them go, drops some. */
void slots_address(SlotPair *p, unsigned to, NicSlot *s);
unsigned slots_send(SlotPair *p);

#endif
