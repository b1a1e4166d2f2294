/*
 * NICs tell the host's switches where their guests are: some rounds, each later than the one
 * before. Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_ANNOUNCE_H
#define SYSTEM_ANNOUNCE_H

#include <glib.h>
#include <stdint.h>

struct System;

/* As QEMU's type of that name: the first round is at once, the next after @initial milliseconds. */
typedef struct AnnounceParameters {
    int64_t initial;
    int64_t max;
    int64_t rounds;     /* 0: ends what has the same @id */
    int64_t step;       /* more, of each wait, up to @max */
    GArray *interfaces; /* char *, ids of NICs; NULL: all of them */
    char *id;           /* NULL: "" */
} AnnounceParameters;

/* In the place of what has the same id. Copies what it needs. Not while the program ends. */
void announce_start(struct System *s, const AnnounceParameters *p);
/* With the parameters of migrate-set-parameters; of @interfaces and @id as above. */
void announce_start_default(struct System *s, GArray *interfaces, const char *id);
void announce_stop(struct System *s); /* all of them */

void qmp_announce_register(struct System *s); /* qmp-announce.c */

#endif
