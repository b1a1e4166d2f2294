/*
 * What a toolstack says of a disk that it makes, in its backend's directory, as -drive and
 * -device have it. Keys: docs/xenstore-keys.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_VBD_PARAMS_H
#define HW_BLOCK_XEN_VBD_PARAMS_H

#include "hw/xen/xen-store.h"

typedef struct XenVbdParams {
    char *name;         /* of the disk in the guest: "xvda" */
    const char *format; /* "raw", "qcow2"...; never found out by looking at the image */
    char *path;         /* of a file or block device */
    bool read_only;
    bool direct;        /* past the host's page cache */
    bool discard;
    bool cdrom;
} XenVbdParams;

/*
 * Of the disk @number, whose backend's directory is @be. False: it says nothing that we could
 * serve. Clear it in either case. Main thread.
 */
bool xen_vbd_params_read(XenStore *s, const char *be, unsigned number, XenVbdParams *ret,
                         GError **error);
void xen_vbd_params_clear(XenVbdParams *p);

#endif
