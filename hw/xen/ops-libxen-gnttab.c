/*
 * A real Xen: what other domains granted, and memory for copies that is granted to ourselves, by
 * libxengnttab.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ops-libxen-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xengnttab.h>

#include "util/log.h"

#define MAX_BUFFERS 4

#define LIMIT_FILE  "/sys/module/xen_gntalloc/parameters/limit"
#define LIMIT_WANTED 16384 /* pages: of 39 queues, and half of what a domain can grant at all */

/* Memory that is granted to ourselves, and the reference of each of its pages. */
typedef struct Buffer {
    uint8_t *base;
    size_t size;
    uint32_t *refs;
} Buffer;

struct XenGnttab {
    const Xen *xen;
    xengnttab_handle *h;
    xengntshr_handle *shr; /* of the buffers; NULL: there has been none */
    LibxenCall *call;      /* NULL: copies are the grant device's */
    Buffer buffer[MAX_BUFFERS];
    unsigned n_buffers;
    /* A copy's operations, so that it allocates nothing; a local side on two pages needs two. */
    xengnttab_grant_copy_segment_t op[LIBXEN_CALL_OPS];
    uint16_t seg_of[LIBXEN_CALL_OPS];
    unsigned n_ops;
};

XenGnttab *ops_libxen_gnttab_open(Xen *xen, GError **error)
{
    XenGnttab *g = g_new0(XenGnttab, 1);

    g->xen = xen;
    g->h = xengnttab_open(xen->opaque, 0);
    if (!g->h) {
        ops_libxen_set_open_error(error, GNTDEV_DEVICE);
        g_free(g);
        return NULL;
    }
    return g;
}

void ops_libxen_gnttab_close(XenGnttab *g)
{
    g_assert(g->n_buffers == 0);
    ops_libxen_call_close(g->call);
    if (g->shr) {
        xengntshr_close(g->shr);
    }
    xengnttab_close(g->h);
    g_free(g);
}

int ops_libxen_gnttab_unmap(XenGnttab *g, void *addr, unsigned count)
{
    return xengnttab_unmap(g->h, addr, count) < 0 ? -errno : 0;
}

void *ops_libxen_gnttab_map(XenGnttab *g, uint16_t domid, const uint32_t *refs, unsigned count,
                            bool writable)
{
    int prot = PROT_READ | (writable ? PROT_WRITE : 0);
    uint32_t list[64];
    void *addr;

    /* The library wants refs that it may write to, and does not. */
    if (count == 0 || count > G_N_ELEMENTS(list)) {
        errno = EINVAL;
        return NULL;
    }
    memcpy(list, refs, count * sizeof(list[0]));
    addr = xengnttab_map_domain_grant_refs(g->h, count, domid, list, prot);
    if (!addr) {
        return NULL;
    }
    /*
     * A child of fork() would keep the guest's pages mapped after we let go of them.
     * A PV dom0 does not hand them on anyway, other kinds of domain do.
     */
    if (madvise(addr, (size_t)count * XEN_PAGE_SIZE, MADV_DONTFORK) < 0) {
        int err = errno;

        xengnttab_unmap(g->h, addr, count);
        errno = err;
        return NULL;
    }
    return addr;
}

/* --- copy --- */

/* NULL: it is memory of another kind. */
static const Buffer *find_buffer(const XenGnttab *g, const uint8_t *addr)
{
    for (unsigned i = 0; i < g->n_buffers; i++) {
        if ((size_t)(addr - g->buffer[i].base) < g->buffer[i].size) {
            return &g->buffer[i];
        }
    }
    return NULL;
}

/* The local side: by grant, or by address. Returns how much of @len is on the same page. */
static uint16_t set_local(const XenGnttab *g, uint8_t *addr, uint16_t len, bool to_guest,
                          xengnttab_grant_copy_segment_t *op)
{
    const Buffer *b = find_buffer(g, addr);
    uint16_t offset;

    if (!b) {
        op->flags = to_guest ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
        if (to_guest) {
            op->source.virt = addr;
        } else {
            op->dest.virt = addr;
        }
        return len; /* the kernel splits it, and pins each page */
    }
    offset = (uint16_t)((uintptr_t)addr % XEN_PAGE_SIZE);
    op->flags = GNTCOPY_dest_gref | GNTCOPY_source_gref;
    if (to_guest) {
        op->source.foreign.ref = b->refs[(size_t)(addr - b->base) / XEN_PAGE_SIZE];
        op->source.foreign.offset = offset;
        op->source.foreign.domid = DOMID_SELF;
    } else {
        op->dest.foreign.ref = b->refs[(size_t)(addr - b->base) / XEN_PAGE_SIZE];
        op->dest.foreign.offset = offset;
        op->dest.foreign.domid = DOMID_SELF;
    }
    return MIN(len, (uint16_t)(XEN_PAGE_SIZE - offset));
}

static void set_foreign(uint16_t domid, uint32_t ref, uint32_t offset, bool to_guest,
                        xengnttab_grant_copy_segment_t *op)
{
    if (to_guest) {
        op->dest.foreign.ref = ref;
        op->dest.foreign.offset = (uint16_t)offset;
        op->dest.foreign.domid = domid;
    } else {
        op->source.foreign.ref = ref;
        op->source.foreign.offset = (uint16_t)offset;
        op->source.foreign.domid = domid;
    }
}

static gnttab_copy_t copy_op(const xengnttab_grant_copy_segment_t *op)
{
    return (gnttab_copy_t) {
        .source = { .u.ref = op->source.foreign.ref, .domid = op->source.foreign.domid,
                    .offset = op->source.foreign.offset },
        .dest = { .u.ref = op->dest.foreign.ref, .domid = op->dest.foreign.domid,
                  .offset = op->dest.foreign.offset },
        .len = op->len,
        .flags = op->flags,
    };
}

/* False: a side is an address, which is the kernel's to translate. */
static bool to_call(XenGnttab *g, unsigned n_ops)
{
    const uint16_t by_grant = GNTCOPY_source_gref | GNTCOPY_dest_gref;

    for (unsigned i = 0; i < n_ops; i++) {
        if (g->op[i].flags != by_grant) {
            return false;
        }
        g->call->op[i] = copy_op(&g->op[i]);
    }
    return true;
}

/* g->op[0 .. n_ops - 1] */
static int do_copy(XenGnttab *g, unsigned n_ops)
{
    int r;

    if (!g->call || !to_call(g, n_ops)) {
        return xengnttab_grant_copy(g->h, n_ops, g->op) < 0 ? -errno : 0;
    }
    r = ops_libxen_call_copy(g->call, n_ops);
    for (unsigned i = 0; i < n_ops; i++) {
        g->op[i].status = g->call->op[i].status;
    }
    return r;
}

/* @status: of the first segment, the next one's is @stride bytes behind it. */
static int run_ops(XenGnttab *g, int16_t *status, size_t stride)
{
    int r = do_copy(g, g->n_ops);

    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; i < g->n_ops; i++) {
        if (g->op[i].status != GNTST_okay) {
            *(int16_t *)(void *)((uint8_t *)status + g->seg_of[i] * stride) = g->op[i].status;
        }
    }
    return 0;
}

/* Piece @i: an operation, or two if its local side is on two pages. */
static void add_piece(XenGnttab *g, unsigned i, uint16_t domid, bool to_guest, const XenCopySeg *s)
{
    uint16_t done = 0;

    do {
        xengnttab_grant_copy_segment_t *op = &g->op[g->n_ops];

        g_assert(g->n_ops < G_N_ELEMENTS(g->op)); /* a page and no more is on two pages */
        op->len = set_local(g, (uint8_t *)s->local + done, (uint16_t)(s->len - done), to_guest,
                            op);
        set_foreign(domid, s->ref, (uint32_t)s->offset + done, to_guest, op);
        op->status = GNTST_general_error;
        done = (uint16_t)(done + op->len);
        g->seg_of[g->n_ops++] = (uint16_t)i;
    } while (done < s->len);
}

int ops_libxen_gnttab_copy(XenGnttab *g, uint16_t domid, bool to_guest, XenCopySeg *seg,
                           unsigned n)
{
    if (n > XEN_COPY_MAX) {
        return -EINVAL;
    }
    g->n_ops = 0;
    for (unsigned i = 0; i < n; i++) {
        add_piece(g, i, domid, to_guest, &seg[i]);
        seg[i].status = GNTST_okay;
    }
    return run_ops(g, &seg[0].status, sizeof(seg[0]));
}

static void add_between(XenGnttab *g, unsigned i, uint16_t from, uint16_t to,
                        const XenCopyBetween *s)
{
    xengnttab_grant_copy_segment_t *op = &g->op[g->n_ops];

    g_assert(g->n_ops < G_N_ELEMENTS(g->op));
    op->len = s->len;
    op->flags = GNTCOPY_source_gref | GNTCOPY_dest_gref;
    set_foreign(from, s->from_ref, s->from_offset, false, op);
    set_foreign(to, s->to_ref, s->to_offset, true, op);
    op->status = GNTST_general_error;
    g->seg_of[g->n_ops++] = (uint16_t)i;
}

int ops_libxen_gnttab_copy_between(XenGnttab *g, uint16_t from, uint16_t to, XenCopyBetween *seg,
                                   unsigned n)
{
    if (n > XEN_COPY_MAX) {
        return -EINVAL;
    }
    g->n_ops = 0;
    for (unsigned i = 0; i < n; i++) {
        const XenCopySeg ours = { .local = seg[i].local, .ref = seg[i].to_ref,
                                  .offset = seg[i].to_offset, .len = seg[i].len };

        if (ours.local) {
            add_piece(g, i, to, true, &ours);
        } else {
            add_between(g, i, from, to, &seg[i]);
        }
        seg[i].status = GNTST_okay;
    }
    return run_ops(g, &seg[0].status, sizeof(seg[0]));
}

bool ops_libxen_gnttab_use_hypercall(XenGnttab *g, GError **error)
{
    if (!g->call) {
        g->call = ops_libxen_call_open(g->xen, error);
    }
    return g->call != NULL;
}

/* --- buffers --- */

/* Once, whatever the number of devices: it works without, too. */
static void warn_no_buffers(int err)
{
    static bool said;

    if (said) {
        return;
    }
    said = true;
    if (err == ENOSPC) {
        warn_report("copies from and to guests cost more, as no more pages can be granted: "
                    "echo %d > " LIMIT_FILE ", if it is less", LIMIT_WANTED);
    } else {
        warn_report("copies from and to guests cost more without " GNTALLOC_DEVICE " (%s): "
                    "modprobe xen-gntalloc limit=%d", g_strerror(err), LIMIT_WANTED);
    }
}

void *ops_libxen_gnttab_buffer(XenGnttab *g, size_t size)
{
    Buffer *b = &g->buffer[g->n_buffers];
    uint32_t count = (uint32_t)(size / XEN_PAGE_SIZE);
    void *base;

    g_assert(g->n_buffers < MAX_BUFFERS && size % XEN_PAGE_SIZE == 0);
    if (!g->shr) {
        g->shr = xengntshr_open(g->xen->opaque, 0);
    }
    if (!g->shr) {
        warn_no_buffers(errno);
        return NULL;
    }
    b->refs = g_new(uint32_t, count);
    base = xengntshr_share_pages(g->shr, g->xen->domid, count, b->refs, 1);
    if (!base) {
        warn_no_buffers(errno);
        g_clear_pointer(&b->refs, g_free);
        return NULL;
    }
    b->base = base;
    b->size = size;
    g->n_buffers++;
    memset(base, 0, size); /* the kernel's pages are those of whoever had them before */
    return base;
}

bool ops_libxen_gnttab_buffer_free(XenGnttab *g, void *addr)
{
    for (unsigned i = 0; i < g->n_buffers; i++) {
        Buffer *b = &g->buffer[i];

        if (b->base == addr) {
            xengntshr_unshare(g->shr, b->base, (uint32_t)(b->size / XEN_PAGE_SIZE));
            g_free(b->refs);
            *b = g->buffer[--g->n_buffers];
            return true;
        }
    }
    return false;
}
