/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_CONTAINER_OF_H
#define UTIL_CONTAINER_OF_H

#include <stddef.h>

/* The struct of @type that has the thing at @ptr as its @member. */
#define container_of(ptr, type, member) \
    ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#endif
