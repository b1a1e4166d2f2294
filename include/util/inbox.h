/*
 * An inbox: one thread takes what any other puts there, without a lock. What is put is a chain of
 * nodes, at once; what is taken is all that there is. A thread that is about to sleep asks to be
 * woken by an eventfd; nobody writes to it otherwise. A closed inbox takes nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_INBOX_H
#define UTIL_INBOX_H

#include <stdbool.h>
#include <stddef.h>

/* Embedded in what is put, which is its inbox's until it is taken. */
typedef struct InboxNode {
    struct InboxNode *next;
} InboxNode;

/* Nodes that are put together. All zeros: none. */
typedef struct InboxChain {
    InboxNode *newest;
    InboxNode *oldest;
} InboxChain;

typedef struct Inbox {
    InboxNode *newest; /* atomic; the inbox itself: it is closed */
    bool waits;        /* atomic: its owner wants to be woken */
    int fd;            /* an eventfd that does not block, which several may share */
} __attribute__((aligned(64))) Inbox;

static inline void inbox_chain_add(InboxChain *c, InboxNode *n)
{
    n->next = c->newest;
    c->newest = n;
    if (!c->oldest) {
        c->oldest = n;
    }
}

/* The chain's nodes, first put first; it is empty then. */
InboxNode *inbox_chain_take(InboxChain *c);

/* Closed. @fd is the caller's, and outlives it; one thread has it now. */
void inbox_init(Inbox *b, int fd);

/*
 * Any thread: puts the nodes of @c, of which there is one at least, behind what is there, and wakes
 * the owner if it waits; @c is empty then. False: it is closed, and they are the caller's still.
 */
bool inbox_put(Inbox *b, InboxChain *c);

/* The owner's thread: all that is there, first put first; NULL: nothing. */
InboxNode *inbox_take(Inbox *b);
void inbox_open(Inbox *b); /* it is closed */
/* Likewise what is there, and nothing is put any more. */
InboxNode *inbox_close(Inbox *b);

/* About to sleep: the next one who puts something writes to the fd. True: there is something. */
bool inbox_arm(Inbox *b);
/* Awake: nobody need write. What was written is no harm. */
void inbox_disarm(Inbox *b);

#endif
