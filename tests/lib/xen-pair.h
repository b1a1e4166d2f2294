/*
 * An emulated Xen with a guest, both in this process, and pages that the guest granted to the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_XEN_PAIR_H
#define TESTS_LIB_XEN_PAIR_H

#include "hw/xen/xen-ops.h"

#define XEN_PAIR_DOMID 5
#define XEN_PAIR_RAM   (4u << 20)

typedef struct XenPair {
    char *dir;
    char *path;        /* of the emulated Xen's socket */
    Xen *host;
    Xen *guest;

    XenGnttab *gnttab; /* the host's; this and the rest from xen_pair_grant() */
    XenShare *share;
    unsigned n_pages;
    uint8_t *pages;    /* as the guest sees them, next to each other */
    uint32_t *refs;
} XenPair;

void xen_pair_up(XenPair *p);
/* @n zeroed pages that may be written, too. Once. */
void xen_pair_grant(XenPair *p, unsigned n);
/* Pages of the guest that the host has mapped. */
unsigned xen_pair_mapped(const XenPair *p);
/* Nothing is mapped any more: the guest has its pages back. */
void xen_pair_down(XenPair *p);

#endif
