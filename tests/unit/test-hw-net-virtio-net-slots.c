/*
 * Slots for frames on their way from one pair to another: where they are, what is dropped, and that
 * each comes home.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-slots.h"

#include <glib.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PAIRS  3u
#define ROUNDS 20000u /* of a thread */
#define BATCH  16u

/* A frame of @p's own, with a number in it. */
static NicSlot *frame(SlotPair *p, uint32_t number)
{
    NicSlot *s = slots_nth_free(p, 0);

    slots_use(p, 1);
    s->len = number;
    return s;
}

static uint32_t pop(SlotPair *p)
{
    uint32_t number = p->first->len;

    slots_pop(p);
    return number;
}

static void test_memory(void)
{
    SlotSet *set = slots_new(PAIRS);

    for (unsigned i = 0; i < PAIRS; i++) {
        SlotPair *p = set->pair[i];

        g_assert_cmpuint(p->n_free, ==, SLOTS_OF_PAIR);
        g_assert_false(slots_is_open(p));
        for (unsigned k = 0; k < SLOTS_OF_PAIR; k++) {
            NicSlot *s = frame(p, 0);

            g_assert_cmpuint(s->home, ==, i);
            g_assert_true(s->data == p->mem + (size_t)k * SLOT_SIZE);
            s->data[0] = s->data[SLOT_SIZE - 1] = (uint8_t)k;
        }
        g_assert_cmpuint(p->n_free, ==, 0);
    }
    slots_free(set);
}

/* The last one that came back is the next: a few slots have all frames where these are few. */
static void test_reuse(void)
{
    SlotSet *set = slots_new(1);
    SlotPair *p = set->pair[0];

    for (unsigned i = 0; i < 3 * SLOTS_OF_PAIR; i++) {
        NicSlot *s = frame(p, i);

        g_assert_true(s == &p->slot[0]);
        g_assert_true(slots_queue(p, s, UINT_MAX));
        g_assert_cmpuint(pop(p), ==, i);
        g_assert_null(p->first);
        g_assert_cmpuint(p->n_queued, ==, 0);
    }
    slots_free(set);
}

static void test_limits(void)
{
    SlotSet *set = slots_new(2);
    SlotPair *p = set->pair[0];

    g_assert_cmpuint(set->stuck_limit, ==, SLOTS_OF_PAIR / 4);
    for (unsigned i = 0; i < 100; i++) {
        g_assert_cmpint(slots_queue(p, frame(p, i), 60), ==, i < 60);
    }
    g_assert_cmpuint(p->n_free, ==, SLOTS_OF_PAIR - 60);
    g_assert_cmpuint(slots_cut(p, 60), ==, 0);
    g_assert_cmpuint(slots_cut(p, 7), ==, 53);
    g_assert_cmpuint(slots_cut(p, 7), ==, 0);
    g_assert_true(slots_queue(p, frame(p, 7), UINT_MAX));
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmpuint(pop(p), ==, i);
    }
    g_assert_cmpuint(p->n_free, ==, SLOTS_OF_PAIR);
    slots_free(set);
    set = slots_new(256);
    g_assert_cmpuint(set->stuck_limit, ==, 1); /* half of all slots, should all be stuck */
    slots_free(set);
}

/* There and back. */
static void test_other_pair(void)
{
    SlotSet *set = slots_new(PAIRS);
    SlotPair *a = set->pair[0];
    SlotPair *b = set->pair[1];
    unsigned dropped;

    slots_address(a, 1, frame(a, 0));
    g_assert_cmpuint(slots_send(a), ==, 1); /* it is closed */
    g_assert_cmpuint(a->n_free, ==, SLOTS_OF_PAIR);
    slots_open(b);
    for (unsigned i = 0; i < 10; i++) {
        slots_address(a, 1 + i % 2, frame(a, i));
    }
    g_assert_cmpuint(slots_send(a), ==, 5);
    g_assert_cmpuint(a->n_free, ==, SLOTS_OF_PAIR - 5);
    g_assert_cmpuint(slots_receive(b, 4, &dropped), ==, 5);
    g_assert_cmpuint(dropped, ==, 1);
    slots_collect(a);
    g_assert_cmpuint(a->n_free, ==, SLOTS_OF_PAIR - 4);
    for (unsigned i = 0; i < 8; i += 2) {
        g_assert_cmpuint(pop(b), ==, i);
    }
    slots_collect(a);
    g_assert_cmpuint(a->n_free, ==, SLOTS_OF_PAIR - 4); /* not before the batch's end */
    slots_send_home(b);
    slots_collect(a);
    g_assert_cmpuint(a->n_free, ==, SLOTS_OF_PAIR);
    g_assert_cmpuint(b->n_free, ==, SLOTS_OF_PAIR);
    slots_free(set);
}

/* What is queued, and what was not even looked at, goes home. */
static void test_close(void)
{
    SlotSet *set = slots_new(PAIRS);
    SlotPair *a = set->pair[0];
    SlotPair *b = set->pair[1];
    unsigned dropped;

    for (unsigned round = 0; round < 3; round++) {
        slots_open(b);
        for (unsigned i = 0; i < 20; i++) {
            slots_address(a, 1, frame(a, i));
        }
        g_assert_cmpuint(slots_send(a), ==, 0);
        g_assert_cmpuint(slots_receive(b, UINT_MAX, &dropped), ==, 20);
        g_assert_true(slots_queue(b, frame(b, 20), UINT_MAX));
        slots_address(a, 1, frame(a, 21));
        g_assert_cmpuint(slots_send(a), ==, 0);
        g_assert_cmpuint(slots_close(b), ==, 22);
        g_assert_false(slots_is_open(b));
        g_assert_cmpuint(slots_close(b), ==, 0);
        slots_collect(a);
        g_assert_cmpuint(a->n_free, ==, SLOTS_OF_PAIR);
        g_assert_cmpuint(b->n_free, ==, SLOTS_OF_PAIR);
        g_assert_null(b->first);
    }
    slots_free(set);
}

static bool was_woken(const SlotPair *p)
{
    struct pollfd fd = { .fd = p->fd, .events = POLLIN };
    uint64_t n;

    return poll(&fd, 1, 0) == 1 && read(p->fd, &n, sizeof(n)) == sizeof(n);
}

/* By a frame; by a slot only who has no other. */
static void test_wakes(void)
{
    SlotSet *set = slots_new(2);
    SlotPair *a = set->pair[0];
    SlotPair *b = set->pair[1];
    unsigned dropped;

    slots_open(b);
    g_assert_false(slots_arm(b));
    for (unsigned left = SLOTS_OF_PAIR; left > 0; left--) {
        slots_address(a, 1, frame(a, left));
        g_assert_cmpuint(slots_send(a), ==, 0);
        g_assert_cmpint(was_woken(b), ==, left == SLOTS_OF_PAIR);
    }
    g_assert_true(slots_arm(b));
    slots_disarm(b);
    g_assert_false(slots_arm(a));
    slots_receive(b, UINT_MAX, &dropped);
    slots_pop(b);
    slots_send_home(b);
    g_assert_true(was_woken(a));
    g_assert_true(slots_arm(a));
    slots_collect(a);
    g_assert_false(slots_arm(a));
    slots_disarm(a);
    slots_pop(b);
    slots_send_home(b);
    g_assert_false(was_woken(a));
    slots_free(set);
}

/* --- each pair has a thread --- */

typedef struct Worker {
    SlotPair *p;
    uint32_t next[PAIRS];    /* number of the next frame for each pair */
    uint32_t expected[PAIRS]; /* the least that the next frame of each may have */
    uint64_t sent, got, dropped;
    unsigned *left;          /* workers that still send; atomic */
    GThread *thread;
} Worker;

static void worker_send(Worker *w)
{
    SlotPair *p = w->p;

    for (unsigned i = 0; i < BATCH && p->n_free > 0; i++) {
        unsigned to = (unsigned)(w->sent * 2654435761u >> 16) % PAIRS;
        NicSlot *s = frame(p, w->next[to]++);

        memcpy(s->data, &s->len, sizeof(s->len));
        w->sent++;
        if (to != p->index) {
            slots_address(p, to, s);
        } else {
            w->dropped += !slots_queue(p, s, p->set->stuck_limit);
        }
    }
    w->dropped += slots_send(p);
}

/* Frames of one pair come in their order; some were dropped. */
static void worker_take(Worker *w, unsigned max)
{
    SlotPair *p = w->p;
    unsigned dropped;

    slots_receive(p, p->set->stuck_limit, &dropped);
    w->dropped += dropped;
    for (; p->first && max > 0; max--) {
        const NicSlot *s = p->first;

        g_assert_cmpint(memcmp(s->data, &s->len, sizeof(s->len)), ==, 0);
        g_assert_cmpuint(s->len, >=, w->expected[s->home]);
        w->expected[s->home] = s->len + 1;
        slots_pop(p);
        w->got++;
    }
    slots_send_home(p);
}

static gpointer worker_run(gpointer opaque)
{
    Worker *w = opaque;
    SlotPair *p = w->p;

    slots_open(p);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        slots_collect(p);
        worker_send(w);
        worker_take(w, round % 100 < 50 ? 2 : UINT_MAX); /* slow at times */
        if (round % 1000 == 0) {
            w->dropped += slots_close(p);
            slots_open(p);
        }
    }
    __atomic_sub_fetch(w->left, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(w->left, __ATOMIC_SEQ_CST) > 0) {
        worker_take(w, UINT_MAX);
        g_thread_yield();
    }
    w->dropped += slots_close(p);
    return NULL;
}

static void test_threads(void)
{
    SlotSet *set = slots_new(PAIRS);
    Worker w[PAIRS] = { 0 };
    unsigned left = PAIRS;
    uint64_t sent = 0, ended = 0;

    for (unsigned i = 0; i < PAIRS; i++) {
        w[i].p = set->pair[i];
        w[i].left = &left;
        w[i].thread = g_thread_new("pair", worker_run, &w[i]);
    }
    for (unsigned i = 0; i < PAIRS; i++) {
        g_thread_join(w[i].thread);
    }
    for (unsigned i = 0; i < PAIRS; i++) {
        slots_collect(w[i].p);
        g_assert_cmpuint(w[i].p->n_free, ==, SLOTS_OF_PAIR); /* none is lost */
        sent += w[i].sent;
        ended += w[i].got + w[i].dropped;
        g_assert_cmpuint(w[i].got, >, 0);
    }
    g_assert_cmpuint(ended, ==, sent);
    slots_free(set);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/net/virtio-net-slots/memory", test_memory);
    g_test_add_func("/hw/net/virtio-net-slots/reuse", test_reuse);
    g_test_add_func("/hw/net/virtio-net-slots/limits", test_limits);
    g_test_add_func("/hw/net/virtio-net-slots/other-pair", test_other_pair);
    g_test_add_func("/hw/net/virtio-net-slots/close", test_close);
    g_test_add_func("/hw/net/virtio-net-slots/wakes", test_wakes);
    g_test_add_func("/hw/net/virtio-net-slots/threads", test_threads);
    return g_test_run();
}
