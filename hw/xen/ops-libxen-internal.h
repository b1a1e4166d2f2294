/*
 * What the files of ops-libxen*.c share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_OPS_LIBXEN_INTERNAL_H
#define HW_XEN_OPS_LIBXEN_INTERNAL_H

#include "hw/xen/xen-ops.h"

#define GNTDEV_DEVICE   "/dev/xen/gntdev"
#define GNTALLOC_DEVICE "/dev/xen/gntalloc"

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

#endif
