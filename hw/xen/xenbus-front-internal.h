/*
 * What the files of a frontend share: xenbus-front.c has the states, xenbus-front-pages.c
 * the pages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XENBUS_FRONT_INTERNAL_H
#define HW_XEN_XENBUS_FRONT_INTERNAL_H

#include "hw/xen/xenbus-front.h"

GArray *xenbus_front_pages_new(void);
/* Frees what can be. True: none is left. */
bool xenbus_front_pages_try(XenbusFront *f);
/* Closes f->share, and forgets the pages. */
void xenbus_front_pages_done(XenbusFront *f);

/* xenbus-front.c: no pages are waited for any more. */
void xenbus_front_settled(XenbusFront *f);
/* The backend in @be does not use what it was told of: it is closed, new or gone. */
bool xenbus_front_released(XenbusFront *f, const char *be);

#endif
