/*
 * Requests and responses of a vbd's ring, in each of the layouts that a frontend may have, and
 * what is to be done for a request. It has no state: any thread.
 *
 *     read     a slot, and the pages of an indirect request, are copied once
 *     judge    the copy is validated, as Linux' blkback does it (dispatch_rw_block_io(),
 *              dispatch_discard_io()): work to do, or the status to answer at once
 *     write    the response, into the ring
 *
 * And the other way round for a frontend: a request is written, its response read.
 *
 * Sectors are 512 bytes, whatever a logical block is: include/hw/xen/blkif.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_BLKIF_H
#define HW_BLOCK_XEN_BLKIF_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/xen/blkif.h"

#define XEN_BLKIF_SECTOR        512u
#define XEN_BLKIF_SEGS          BLKIF_MAX_SEGMENTS_PER_REQUEST /* in a slot */
#define XEN_BLKIF_PAGES         BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST
#define XEN_BLKIF_SEGS_OF_PAGE  512u /* in an indirect page */
#define XEN_BLKIF_SEGS_INDIRECT (XEN_BLKIF_PAGES * XEN_BLKIF_SEGS_OF_PAGE)

/* xen/io/protocols.h. x86_64 and arm have one layout. */
typedef enum XenBlkifAbi {
    XEN_BLKIF_ABI_64,
    XEN_BLKIF_ABI_X86_32,
} XenBlkifAbi;

/* A segment as the frontend wrote it; in an indirect page they lie like this. */
typedef struct XenBlkifSeg {
    uint32_t gref;
    uint8_t first; /* sectors of the page, both inclusive */
    uint8_t last;
} XenBlkifSeg;

/* The private copy of a slot. Nothing in it is validated. */
typedef struct XenBlkifRequest {
    uint64_t id;        /* the frontend's, for the response */
    uint64_t sector;
    uint64_t n_sectors; /* of a discard */
    uint8_t op;         /* BLKIF_OP_* */
    uint8_t sub;        /* the op of an indirect request, the flag of a discard */
    uint8_t rsp_op;     /* for the response; of an indirect request it is what that does */
    uint16_t n_segs;
    union {
        XenBlkifSeg seg[XEN_BLKIF_SEGS];
        uint32_t page[XEN_BLKIF_PAGES]; /* of an indirect request: references */
    };
} XenBlkifRequest;

/* What this disk and this connection allow. */
typedef struct XenBlkifLimits {
    uint64_t sectors;       /* at most 2^54: bytes fit an off_t */
    uint32_t block_sectors; /* of a logical block: 1 to 8, a power of two */
    uint16_t max_indirect;  /* segments that were offered, to XEN_BLKIF_SEGS_INDIRECT; 0: none */
    bool read_only;
    bool discard;           /* was offered, the same below */
    bool discard_secure;
} XenBlkifLimits;

typedef enum XenBlkifWhat {
    XEN_BLKIF_READ,
    XEN_BLKIF_WRITE,
    XEN_BLKIF_FLUSH,   /* and, if it has bytes, then a write */
    XEN_BLKIF_BARRIER, /* the same, behind and before all others; durable once it is answered */
    XEN_BLKIF_DISCARD, /* without pieces */
} XenBlkifWhat;

/* Bytes of one page of the guest: offset + len <= 4096, both in sectors. */
typedef struct XenBlkifPiece {
    uint32_t gref;
    uint16_t offset;
    uint16_t len;
} XenBlkifPiece;

typedef struct XenBlkifWork {
    XenBlkifWhat what;
    bool secure;       /* a discard after which nothing may be left */
    int16_t status;    /* BLKIF_RSP_*, if there is nothing to do */
    uint16_t n_pieces;
    uint64_t offset;   /* of the disk */
    uint64_t bytes;    /* 0: a flush or a barrier alone. Within the disk, in logical blocks */
} XenBlkifWork;

/*
 * @protocol: the frontend's key of this name, NULL if there is none: x86_32 on x86, for frontends
 * that are older than the key, as blkback has it. False: an unknown one, to be refused.
 */
bool xen_blkif_abi(const char *protocol, XenBlkifAbi *ret_abi);

/* Bytes of a slot, for xen_queue_map_ring(). */
uint32_t xen_blkif_slot_size(XenBlkifAbi abi);
/* Slots of a ring of 2^@order pages; @order at most 4. */
uint32_t xen_blkif_slots(XenBlkifAbi abi, unsigned order);

/* Copies @slot, which is shared, once: no byte of it is read twice. */
void xen_blkif_read_request(XenBlkifAbi abi, const void *slot, XenBlkifRequest *ret);

/*
 * How many of @r->page[] the judge needs to have been read. 0: none, it is not an indirect
 * request, or will be refused for what the slot says. Each is full but for the last one:
 * xen_blkif_page_segs().
 */
unsigned xen_blkif_n_pages(const XenBlkifLimits *l, const XenBlkifRequest *r);
/* Segments, of 8 bytes, in @r's page @i < xen_blkif_n_pages(). */
unsigned xen_blkif_page_segs(const XenBlkifRequest *r, unsigned i);
/* @n <= XEN_BLKIF_SEGS_OF_PAGE segments of @page, which may be shared: each is read once. */
void xen_blkif_read_indirect(const void *page, unsigned n, XenBlkifSeg *ret);

/*
 * True: @ret is to be done. False: answer with @ret->status. @indirect: the @r->n_segs segments of
 * an indirect request; not looked at where xen_blkif_n_pages() is 0. @ret_pieces has room for
 * XEN_BLKIF_SEGS, and for @l->max_indirect.
 */
bool xen_blkif_judge(const XenBlkifLimits *l, const XenBlkifRequest *r,
                     const XenBlkifSeg *indirect, XenBlkifPiece *ret_pieces, XenBlkifWork *ret);

/*
 * @slot, in all layouts: id, operation and status, and no byte around them (XSA-216). @op is the
 * request's rsp_op.
 */
void xen_blkif_write_response(void *slot, uint64_t id, uint8_t op, int16_t status);

/* --- a frontend's --- */

/*
 * All xen_blkif_slot_size() bytes of @ret_slot, which is private: for xen_ring_put_request().
 * @r->rsp_op is not looked at. @handle: the vbd's number.
 */
void xen_blkif_write_request(XenBlkifAbi abi, const XenBlkifRequest *r, uint16_t handle,
                             void *ret_slot);
/* @n <= XEN_BLKIF_SEGS_OF_PAGE segments into @page, which may be shared. */
void xen_blkif_write_indirect(const XenBlkifSeg *seg, unsigned n, void *page);

typedef struct XenBlkifResponse {
    uint64_t id;
    uint8_t op;
    int16_t status;
} XenBlkifResponse;

#define XEN_BLKIF_RESPONSE 12u /* bytes of it that count, for xen_ring_take_response() */

/* @copy is private: XEN_BLKIF_RESPONSE bytes, in all layouts. */
void xen_blkif_read_response(const void *copy, XenBlkifResponse *ret);

#endif
