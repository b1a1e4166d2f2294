/*
 * The host's thread: an epoll loop over sockets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_LOOP_H
#define XENEMU_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Loop Loop;
typedef struct Source Source;

/* Embedded in its owner, who may free it (removed) in its own or another's ready(). */
struct Source {
    int fd;
    uint32_t events; /* EPOLL* asked for */
    void (*ready)(Source *s, uint32_t events);
};

#define SOURCE_OWNER(s, type, member) ((type *)(void *)((char *)(s) - offsetof(type, member)))

/* NULL and errno. */
Loop *loop_new(void);
void loop_free(Loop *l); /* stopped or never started; sources are gone */

/* Before loop_start(), or in the thread. 0 or -errno. */
int loop_add(Loop *l, Source *s, uint32_t events);
void loop_set_events(Loop *l, Source *s, uint32_t events);
void loop_remove(Loop *l, Source *s);

/* 0 or -errno. */
int loop_start(Loop *l);
/* Stops and joins. Not from the thread. */
void loop_stop(Loop *l);

#endif
