/*
 * What the end of a Xen device tells its owner.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XENBUS_EVENT_H
#define HW_XEN_XENBUS_EVENT_H

typedef enum XenbusEvent {
    XENBUS_CONNECTED,    /* detail: NULL */
    XENBUS_DISCONNECTED, /* it connects again when the other end comes back */
    XENBUS_ERROR,        /* detail: the reason */
    XENBUS_WARNING,      /* detail: what is less than was asked for; all goes on */
    XENBUS_CLOSED,       /* it was asked to close, and did: it may be freed now */
    XENBUS_GONE,         /* the domain died, or the toolstack took the device away: the same */
} XenbusEvent;

#endif
