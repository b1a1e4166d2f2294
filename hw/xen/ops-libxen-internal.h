/*
 * What the files of ops-libxen*.c share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_OPS_LIBXEN_INTERNAL_H
#define HW_XEN_OPS_LIBXEN_INTERNAL_H

#include <stdint.h>
#include <xen/xen.h>
#include <xen/grant_table.h>

#include "hw/xen/xen-ops.h"

#define GNTDEV_DEVICE    "/dev/xen/gntdev"
#define GNTALLOC_DEVICE  "/dev/xen/gntalloc"
#define HYPERCALL_DEVICE "/dev/xen/hypercall"

#define LIBXEN_CALL_OPS (2 * XEN_COPY_MAX)

/* ops-libxen-call.c: what makes hypercalls. */
typedef struct LibxenCall {
    struct xencall_handle *h;
    gnttab_copy_t *op; /* LIBXEN_CALL_OPS of them, where Xen can read and write */
    /* The hypercall, which a test has its own of: its result, or -errno. */
    int (*copy)(struct LibxenCall *c, gnttab_copy_t *op, unsigned n);
} LibxenCall;

LibxenCall *ops_libxen_call_open(const Xen *xen, GError **error);
void ops_libxen_call_close(LibxenCall *c); /* NULL is fine */
/*
 * Does @c->op[0 .. @n - 1], both sides of each by grant. 0: each has its status, as the kernel's
 * grant device would have it; -errno: none of these means anything.
 */
int ops_libxen_call_copy(LibxenCall *c, unsigned n);

bool ops_libxen_device_opens(const char *device); /* or errno */
/* For errno. */
void ops_libxen_set_open_error(GError **error, const char *device);

/* ops-libxen-gnttab.c: see XenOps. */
XenGnttab *ops_libxen_gnttab_open(Xen *xen, GError **error);
void ops_libxen_gnttab_close(XenGnttab *g);
void *ops_libxen_gnttab_map(XenGnttab *g, uint16_t domid, const uint32_t *refs, unsigned count,
                            bool writable);
int ops_libxen_gnttab_unmap(XenGnttab *g, void *addr, unsigned count);
int ops_libxen_gnttab_copy(XenGnttab *g, uint16_t domid, bool to_guest, XenCopySeg *seg,
                           unsigned n);
int ops_libxen_gnttab_copy_between(XenGnttab *g, uint16_t from, uint16_t to, XenCopyBetween *seg,
                                   unsigned n);
void *ops_libxen_gnttab_buffer(XenGnttab *g, size_t size);
bool ops_libxen_gnttab_buffer_free(XenGnttab *g, void *addr);
bool ops_libxen_gnttab_use_hypercall(XenGnttab *g, GError **error);

#endif
