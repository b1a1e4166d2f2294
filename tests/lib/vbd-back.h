/*
 * The backend of a vbd, for tests of the frontend: the disk is memory, it offers what it is told
 * to, holds requests up, and breaks the protocol in the ways that a frontend has to see.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VBD_BACK_H
#define TESTS_LIB_VBD_BACK_H

#include "hw/xen/xen-back-queues.h"
#include "vbd.h"
#include "xen-blkif.h"

#define VBD_BACK_SECTORS 32768u /* 16 MiB */
#define VBD_BACK_BYTES   (VBD_BACK_SECTORS * 512u)

/* A response that is none of a decent backend's. */
typedef enum VbdLie {
    VBD_LIE_NONE,
    VBD_LIE_ID,      /* of no request that there is */
    VBD_LIE_HIGH_ID, /* that differs only in bits above the slots */
    VBD_LIE_TWICE,   /* the same response once more */
    VBD_LIE_OP,      /* of another operation */
    VBD_LIE_INDIRECT, /* an indirect request's is said to be indirect */
    VBD_LIE_PROD,    /* more than there are requests */
    VBD_LIE_MAPPED,  /* a page of the request is mapped still, and stays so */
    VBD_LIE_ERROR,   /* no lie: the status is that of an error... */
    VBD_LIE_UNSUPPORTED, /* ...or of what it does not know */
} VbdLie;

typedef struct VbdBackConfig {
    unsigned max_queues;   /* 0: does not say; the same below */
    unsigned max_order;
    unsigned max_indirect;
    bool persistent;
    bool flush;
    bool barrier;
    bool discard;
    bool discard_secure;
    const char *sectors;   /* what it says; NULL: the truth */
    const char *sector_size; /* NULL: says nothing */
} VbdBackConfig;

typedef struct VbdBack {
    Vbd *v;
    VbdBackConfig c;
    uint8_t *image;        /* the test's */
    XenbusBack bus;
    XenBackQueues queues;
    DeviceFaults faults;
    XenBlkifAbi abi;
    XenBlkifLimits limits;
    bool closed;

    /* atomic */
    int budget;            /* so many requests are answered yet; less than 0: all */
    int only;              /* on this ring; less than 0: on all */
    int lie;               /* VbdLie: of the next response */
    unsigned seen[XEN_BLKFRONT_MAX_QUEUES]; /* requests of each ring */
    unsigned ops[8];       /* requests of each BLKIF_OP_* */
    unsigned max_segs;     /* of a request */
    unsigned secure;
    unsigned sync;
} VbdBack;

/* Creates the nodes, and waits for the frontend. @image has VBD_BACK_BYTES. */
void vbd_back_up(VbdBack *b, Vbd *v, const VbdBackConfig *c, uint8_t *image);
/* Closing, Closed, all of it waited for; what was not answered is not. */
void vbd_back_close(VbdBack *b);
void vbd_back_down(VbdBack *b);
/* Answers @n requests more, and holds up the others; less than 0: all are answered. */
void vbd_back_set_budget(VbdBack *b, int n);
/* The same, of the ring @ring; others hold up all of theirs. */
void vbd_back_set_budget_of(VbdBack *b, int ring, int n);
int vbd_back_budget(const VbdBack *b);
void vbd_back_lie(VbdBack *b, VbdLie lie);
/*
 * The image as the requests that ended have left it, and as those that follow find it. Between two
 * calls it is the test's: what the threads know of each other by the ring, which each has mapped
 * elsewhere, the thread sanitizer does not see.
 */
uint8_t *vbd_back_image(VbdBack *b);

/* Requests so far: of a BLKIF_OP_*, of a ring, secure discards; and segments of the largest. */
unsigned vbd_back_ops(const VbdBack *b, unsigned op);
unsigned vbd_back_seen(const VbdBack *b, unsigned ring);
unsigned vbd_back_secure(const VbdBack *b);
unsigned vbd_back_max_segs(const VbdBack *b);

#endif
