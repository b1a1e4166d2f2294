/*
 * Devices that a toolstack makes while we run: libxl writes the nodes of both ends and takes it
 * that their backend watches for them, as QEMU does. What a kind of device then needs is its
 * owner's; it goes as any other does, when the toolstack or the guest takes it away.
 *
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XENBUS_ATTACH_H
#define HW_XEN_XENBUS_ATTACH_H

#include "hw/xen/xenbus-back.h"

typedef struct XenbusAttach XenbusAttach;

typedef struct XenbusAttachConfig {
    const XenbusBackOps *back; /* what it is a backend of */
    uint16_t frontend_id;      /* whose devices */
    /*
     * Makes the backend of the device @idx, whose directory @be is. False: it cannot be served,
     * and is not asked for again.
     */
    bool (*attach)(void *opaque, unsigned idx, const char *be, GError **error);
    /* So it was; @be's error node says it, too. */
    void (*refused)(void *opaque, const char *be, const char *reason);
    void *opaque;
} XenbusAttachConfig;

/*
 * Attaches what is there, before it returns, and from now on what comes: each device that is
 * online, Initialising and without a backend; or that has the own_key of one that died. @config is
 * copied; what it names, @xen and @store outlive it. NULL: XenStore takes no watch.
 */
XenbusAttach *xenbus_attach_new(Xen *xen, XenStore *store, const XenbusAttachConfig *config,
                                GError **error);
void xenbus_attach_free(XenbusAttach *a); /* its devices stay. NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XenbusAttach, xenbus_attach_free)

/* A backend is gone: another one may be waited for in its place. Not from within attach(). */
void xenbus_attach_look(XenbusAttach *a);

#endif
