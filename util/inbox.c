/*
 * A stack that is taken whole, so that no node comes back while somebody looks at it: the trouble
 * of lock-free stacks (ABA) is none here.
 *
 * The owner says that it waits, then looks; who puts something does so, then looks whether the
 * owner waits. All four are sequentially consistent: one of the two sees the other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/inbox.h"

#include <stdint.h>
#include <unistd.h>

static InboxNode *closed_mark(Inbox *b)
{
    return (InboxNode *)(void *)b;
}

/* Newest first to oldest first. */
static InboxNode *turn(InboxNode *n)
{
    InboxNode *first = NULL;

    while (n) {
        InboxNode *next = n->next;

        n->next = first;
        first = n;
        n = next;
    }
    return first;
}

InboxNode *inbox_chain_take(InboxChain *c)
{
    InboxNode *first = turn(c->newest);

    *c = (InboxChain){ NULL, NULL };
    return first;
}

void inbox_init(Inbox *b, int fd)
{
    *b = (Inbox){ .newest = closed_mark(b), .fd = fd };
}

bool inbox_put(Inbox *b, InboxChain *c)
{
    InboxNode *before = __atomic_load_n(&b->newest, __ATOMIC_RELAXED);
    uint64_t one = 1;

    do {
        if (before == closed_mark(b)) {
            return false;
        }
        c->oldest->next = before;
    } while (!__atomic_compare_exchange_n(&b->newest, &before, c->newest, true,
                                          __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    *c = (InboxChain){ NULL, NULL };
    if (__atomic_load_n(&b->waits, __ATOMIC_SEQ_CST) &&
        __atomic_exchange_n(&b->waits, false, __ATOMIC_SEQ_CST) &&
        write(b->fd, &one, sizeof(one)) < 0) {
        return true; /* full: the owner has an event already */
    }
    return true;
}

InboxNode *inbox_take(Inbox *b)
{
    InboxNode *n = __atomic_load_n(&b->newest, __ATOMIC_RELAXED);

    if (!n || n == closed_mark(b)) {
        return NULL;
    }
    return turn(__atomic_exchange_n(&b->newest, NULL, __ATOMIC_ACQUIRE));
}

void inbox_open(Inbox *b)
{
    __atomic_store_n(&b->newest, NULL, __ATOMIC_RELEASE);
}

InboxNode *inbox_close(Inbox *b)
{
    InboxNode *n = __atomic_exchange_n(&b->newest, closed_mark(b), __ATOMIC_ACQ_REL);

    inbox_disarm(b);
    return n == closed_mark(b) ? NULL : turn(n);
}

bool inbox_arm(Inbox *b)
{
    const InboxNode *n;

    __atomic_store_n(&b->waits, true, __ATOMIC_SEQ_CST);
    n = __atomic_load_n(&b->newest, __ATOMIC_SEQ_CST);
    return n && n != closed_mark(b);
}

void inbox_disarm(Inbox *b)
{
    __atomic_store_n(&b->waits, false, __ATOMIC_RELAXED);
}
