/*
 * Inboxes: what is put arrives once, in the order that its thread put it in, and wakes who waits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/inbox.h"

#include <glib.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/container-of.h"

#define SENDERS 3u
#define NODES   64u    /* of a sender, which come back to it */
#define ROUNDS  100000u /* nodes that it sends */
#define CHAIN   5u     /* at a time, at most */

typedef struct Item {
    InboxNode node;
    unsigned sender;
    unsigned number;
} Item;

static Item *item_of(InboxNode *n)
{
    return container_of(n, Item, node);
}

static int event_new(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* How often it was written to since the last time. */
static uint64_t event_count(int fd)
{
    uint64_t n;

    return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static bool put(Inbox *b, Item *item, unsigned n)
{
    InboxChain c = { NULL, NULL };

    for (unsigned i = 0; i < n; i++) {
        inbox_chain_add(&c, &item[i].node);
    }
    return inbox_put(b, &c);
}

static void expect(InboxNode *n, unsigned from, unsigned to)
{
    for (; from < to; from++, n = n->next) {
        g_assert_nonnull(n);
        g_assert_cmpuint(item_of(n)->number, ==, from);
    }
    g_assert_null(n);
}

static void items_init(Item *item, unsigned n, unsigned sender)
{
    for (unsigned i = 0; i < n; i++) {
        item[i] = (Item){ .sender = sender, .number = i };
    }
}

static void test_order(void)
{
    Item item[9];
    static Inbox b; /* not every stack has its alignment */

    items_init(item, 9, 0);
    inbox_init(&b, -1);
    inbox_open(&b);
    g_assert_null(inbox_take(&b));
    g_assert_true(put(&b, item, 1));
    g_assert_true(put(&b, item + 1, 4));
    g_assert_true(put(&b, item + 5, 2));
    expect(inbox_take(&b), 0, 7);
    g_assert_null(inbox_take(&b));
    g_assert_true(put(&b, item + 7, 2));
    expect(inbox_take(&b), 7, 9);
}

/* What is refused is the sender's still, and what was there is the owner's. */
static void test_closed(void)
{
    InboxChain c = { NULL, NULL };
    Item item[5];
    static Inbox b; /* not every stack has its alignment */

    items_init(item, 5, 0);
    inbox_init(&b, -1);
    for (unsigned i = 0; i < 3; i++) {
        inbox_chain_add(&c, &item[i].node);
    }
    g_assert_false(inbox_put(&b, &c));
    g_assert_null(inbox_take(&b));
    g_assert_false(inbox_arm(&b));
    expect(inbox_chain_take(&c), 0, 3);
    g_assert_null(inbox_chain_take(&c));
    inbox_open(&b);
    g_assert_true(put(&b, item, 5));
    expect(inbox_close(&b), 0, 5);
    g_assert_null(inbox_close(&b));
    g_assert_false(put(&b, item, 1));
    inbox_open(&b);
    g_assert_null(inbox_take(&b));
    g_assert_true(put(&b, item, 1));
    expect(inbox_take(&b), 0, 1);
}

/* One event, and only for who asked. */
static void test_events(void)
{
    int fd = event_new();
    Item item[4];
    static Inbox b; /* not every stack has its alignment */

    items_init(item, 4, 0);
    inbox_init(&b, fd);
    inbox_open(&b);
    g_assert_true(put(&b, item, 1));
    g_assert_cmpuint(event_count(fd), ==, 0);
    g_assert_true(inbox_arm(&b)); /* there is something */
    expect(inbox_take(&b), 0, 1);
    g_assert_false(inbox_arm(&b));
    g_assert_true(put(&b, item + 1, 1));
    g_assert_true(put(&b, item + 2, 1));
    g_assert_cmpuint(event_count(fd), ==, 1);
    expect(inbox_take(&b), 1, 3);
    g_assert_false(inbox_arm(&b));
    inbox_disarm(&b);
    g_assert_true(put(&b, item + 3, 1));
    g_assert_cmpuint(event_count(fd), ==, 0);
    close(fd);
}

/* --- several threads --- */

typedef struct Sender {
    unsigned index;
    Inbox *to;
    Inbox back;      /* its nodes come home */
    int fd;
    unsigned refused;
    GThread *thread;
    Item item[NODES];
} Sender;

static void wait_for(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    g_assert_cmpint(poll(&p, 1, 20000), ==, 1); /* else a wakeup was lost */
    g_assert_cmpuint(event_count(fd), >, 0);
}

/* The next of its nodes: those that are at home, else waited for. */
static InboxNode *next_node(Sender *s, InboxNode **home)
{
    InboxNode *n;

    while (!*home) {
        *home = inbox_take(&s->back);
        if (!*home && !inbox_arm(&s->back)) {
            wait_for(s->fd);
        }
    }
    n = *home;
    *home = n->next;
    return n;
}

static gpointer send_all(gpointer opaque)
{
    Sender *s = opaque;
    InboxChain c = { NULL, NULL };
    InboxNode *home = NULL;

    for (unsigned i = 0; i < NODES; i++) {
        s->item[i].sender = s->index;
        s->item[i].node.next = home;
        home = &s->item[i].node;
    }
    for (unsigned sent = 0; sent < ROUNDS;) {
        unsigned n = MIN(1 + sent % CHAIN, ROUNDS - sent);

        for (unsigned i = 0; i < n; i++) {
            InboxNode *node = next_node(s, &home);

            item_of(node)->number = sent++;
            inbox_chain_add(&c, node);
        }
        while (!inbox_put(s->to, &c)) {
            s->refused++;
            g_thread_yield();
        }
    }
    return NULL;
}

static void send_back(Sender *sender, InboxNode *n)
{
    while (n) {
        InboxNode *next = n->next;
        InboxChain c = { NULL, NULL };

        inbox_chain_add(&c, n);
        g_assert_true(inbox_put(&sender[item_of(n)->sender].back, &c));
        n = next;
    }
}

/* Each sender's numbers come in their order, none is lost, though it is closed now and then. */
static void receive_all(Sender *sender, Inbox *b, int fd, unsigned *next)
{
    unsigned got = 0;

    for (unsigned round = 1; got < SENDERS * ROUNDS; round++) {
        bool close_it = round % 500 == 0;
        InboxNode *first = close_it ? inbox_close(b) : inbox_take(b);

        for (InboxNode *n = first; n; n = n->next) {
            g_assert_cmpuint(item_of(n)->number, ==, next[item_of(n)->sender]++);
            got++;
        }
        send_back(sender, first);
        if (close_it) {
            inbox_open(b);
        } else if (!first && !inbox_arm(b)) {
            wait_for(fd);
        }
    }
}

static void test_threads(void)
{
    static Sender sender[SENDERS];
    unsigned next[SENDERS] = { 0 };
    int fd = event_new();
    static Inbox b; /* not every stack has its alignment */

    inbox_init(&b, fd);
    inbox_open(&b);
    for (unsigned i = 0; i < SENDERS; i++) {
        sender[i].index = i;
        sender[i].to = &b;
        sender[i].fd = event_new();
        inbox_init(&sender[i].back, sender[i].fd);
        inbox_open(&sender[i].back);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        sender[i].thread = g_thread_new("sender", send_all, &sender[i]);
    }
    receive_all(sender, &b, fd, next);
    for (unsigned i = 0; i < SENDERS; i++) {
        g_thread_join(sender[i].thread);
        g_assert_cmpuint(next[i], ==, ROUNDS);
        close(sender[i].fd);
    }
    g_assert_null(inbox_take(&b));
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/inbox/order", test_order);
    g_test_add_func("/util/inbox/closed", test_closed);
    g_test_add_func("/util/inbox/events", test_events);
    g_test_add_func("/util/inbox/threads", test_threads);
    return g_test_run();
}
