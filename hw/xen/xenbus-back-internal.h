/*
 * What the two files of a backend share: xenbus-back-nodes.c has what is read and written,
 * xenbus-back.c what follows from it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XENBUS_BACK_INTERNAL_H
#define HW_XEN_XENBUS_BACK_INTERNAL_H

#include "hw/xen/xenbus-back.h"

/* Makes the nodes, or finds those of a toolstack. Sets be, fe, idx, created. */
bool xenbus_back_nodes_create(XenbusBack *b, int32_t idx, GError **error);
/* Removes what xenbus_back_nodes_create() made. */
void xenbus_back_nodes_remove(XenbusBack *b);

/* Writes B/state, unless B was removed, and remembers it. Tried again if it fails. */
void xenbus_back_set_state(XenbusBack *b, enum xenbus_state state);
/*
 * Unknown: there is no node, so no device any more. What is there and makes no sense reads
 * as InitWait, which is no state of a frontend's and asks for nothing.
 */
enum xenbus_state xenbus_back_front_state(XenbusBack *b);
/* What is written in B/state: before the first xenbus_back_set_state(), by who was there before. */
enum xenbus_state xenbus_back_own_state(XenbusBack *b);
/* What a toolstack says in B. */
typedef struct BackControl {
    bool gone;         /* there is no B any more */
    bool unknown;      /* XenStore did not say */
    bool online;
    bool hotplug_done;
} BackControl;

BackControl xenbus_back_read_control(XenbusBack *b);

/*
 * xenbus-back.c: XenStore did not take or give what was asked of it, for errno. That is reported
 * once and tried again after a while; what we know stays as it is.
 */
void xenbus_back_store_failed(XenbusBack *b, bool write);
/* The reason, for people: B's node under error/. NULL removes it. */
void xenbus_back_set_error(XenbusBack *b, const char *reason);
/* The features, before InitWait. */
bool xenbus_back_publish(XenbusBack *b, GError **error);

#endif
