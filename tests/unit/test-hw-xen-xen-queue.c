/*
 * What all queues of Xen devices share, on a fake Xen: a made-up device counts its rounds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xen-queue.h"

#include <errno.h>

#include "fake-xen.h"
#include "util/container-of.h"

#define WAIT_MS 10000

typedef struct Toy {
    XenQueue base;
    Xen *xen;
    DeviceFaults faults;
    uint64_t events[2];
    unsigned told;       /* of faults, in the main loop */
    unsigned attached;
    int attach_result;
    uint64_t rested_ns;  /* as it was told */
    /* atomic */
    unsigned polls;
    unsigned arms;
    unsigned work;       /* rounds that will find something */
    bool violate;        /* in the next round */
} Toy;

static unsigned get(unsigned *n)
{
    return __atomic_load_n(n, __ATOMIC_SEQ_CST);
}

static QueueVerdict toy_poll(XenQueue *q)
{
    Toy *t = container_of(q, Toy, base);

    __atomic_add_fetch(&t->polls, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&t->violate, __ATOMIC_SEQ_CST)) {
        xen_queue_violation(q, "a made-up rule");
        return QUEUE_VIOLATION;
    }
    if (get(&t->work) > 0) {
        __atomic_sub_fetch(&t->work, 1, __ATOMIC_SEQ_CST);
        return QUEUE_WORK;
    }
    return QUEUE_IDLE;
}

static bool toy_arm(XenQueue *q)
{
    Toy *t = container_of(q, Toy, base);

    __atomic_add_fetch(&t->arms, 1, __ATOMIC_SEQ_CST);
    return get(&t->work) > 0;
}

static int toy_attach(XenQueue *q)
{
    Toy *t = container_of(q, Toy, base);

    t->attached += t->attach_result == 0;
    return t->attach_result;
}

static void toy_detach(XenQueue *q)
{
    container_of(q, Toy, base)->attached--;
}

static const XenQueueOps toy_ops = {
    .poll = toy_poll,
    .arm = toy_arm,
    .attach = toy_attach,
    .detach = toy_detach,
};

static void toy_fault(void *opaque)
{
    Toy *t = opaque;

    t->told++;
}

static void toy_up(Toy *t, unsigned ports)
{
    g_autoptr(GError) error = NULL;

    *t = (Toy){ .xen = fake_xen_new() };
    g_assert_true(device_faults_init(&t->faults, toy_fault, t, &error));
    xen_queue_init(&t->base, &toy_ops, t->xen, 7, 3, &t->faults);
    g_assert_true(xen_queue_open(&t->base, false, &error));
    for (unsigned i = 0; i < ports; i++) {
        g_assert_true(xen_queue_alloc_port(&t->base, &t->events[i], &error));
    }
    g_assert_no_error(error);
}

static void toy_start(Toy *t)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(xen_queue_start(&t->base, NULL, "toy", &error));
    g_assert_no_error(error);
}

/* xen_close() asserts that no handle is left. */
static void toy_down(Toy *t)
{
    xen_queue_stop(&t->base);
    xen_queue_done(&t->base);
    xen_queue_done(&t->base);
    g_assert_cmpuint(t->attached, ==, 0);
    device_faults_done(&t->faults);
    device_faults_done(&t->faults);
    xen_close(t->xen);
}

#define WAIT_FOR(cond) do { \
        unsigned left = WAIT_MS; \
        while (!(cond) && left-- > 0) { \
            g_main_context_iteration(NULL, false); \
            g_usleep(1000); \
        } \
        g_assert_true(cond); \
    } while (0)

/* Asleep: it was armed after its last round. */
static void wait_asleep(Toy *t)
{
    unsigned arms = get(&t->arms), polls;

    WAIT_FOR(get(&t->arms) > arms || get(&t->work) == 0);
    do {
        polls = get(&t->polls);
        g_usleep(20000);
    } while (get(&t->polls) != polls);
}

static void test_event_wakes_it(void)
{
    Toy t;

    toy_up(&t, 2);
    toy_start(&t);
    wait_asleep(&t);
    __atomic_store_n(&t.work, 5, __ATOMIC_SEQ_CST);
    fake_xen_raise(t.xen, t.base.port[1].port);
    WAIT_FOR(get(&t.work) == 0);
    wait_asleep(&t);
    g_assert_cmpuint(__atomic_load_n(&t.events[0], __ATOMIC_RELAXED), ==, 0);
    g_assert_cmpuint(__atomic_load_n(&t.events[1], __ATOMIC_RELAXED), ==, 1);
    /* it was unmasked before the thread slept: the next one comes through */
    __atomic_store_n(&t.work, 1, __ATOMIC_SEQ_CST);
    fake_xen_raise(t.xen, t.base.port[0].port);
    WAIT_FOR(get(&t.work) == 0);
    xen_queue_stop(&t.base);
    g_assert_cmpuint(t.events[0], ==, 1);
    toy_down(&t);
}

static void test_violation_stops_it(void)
{
    unsigned polls;
    Toy t;

    toy_up(&t, 1);
    toy_start(&t);
    wait_asleep(&t);
    g_assert_null(xen_queue_fault(&t.base));
    __atomic_store_n(&t.violate, true, __ATOMIC_SEQ_CST);
    fake_xen_raise(t.xen, t.base.port[0].port);
    WAIT_FOR(t.told == 1);
    g_assert_cmpstr(xen_queue_fault(&t.base), ==, "a made-up rule");
    polls = get(&t.polls);
    for (unsigned i = 0; i < 10; i++) {
        fake_xen_raise(t.xen, t.base.port[0].port);
        g_usleep(1000);
    }
    g_assert_cmpuint(get(&t.polls), ==, polls);
    g_assert_cmpuint(t.told, ==, 1);
    toy_down(&t);
}

/* Paused it takes the event, and acts on it when it goes on. */
static void test_pause(void)
{
    unsigned polls;
    Toy t;

    toy_up(&t, 1);
    xen_queue_set_paused(&t.base, true);
    toy_start(&t);
    __atomic_store_n(&t.work, 1, __ATOMIC_SEQ_CST);
    fake_xen_raise(t.xen, t.base.port[0].port);
    g_usleep(20000);
    g_assert_cmpuint(get(&t.polls), ==, 0);
    xen_queue_set_paused(&t.base, false);
    WAIT_FOR(get(&t.work) == 0);
    wait_asleep(&t);
    xen_queue_set_paused(&t.base, true);
    polls = get(&t.polls);
    fake_xen_raise(t.xen, t.base.port[0].port);
    g_usleep(20000);
    g_assert_cmpuint(get(&t.polls), ==, polls);
    toy_down(&t);
}

static void toy_resume(XenQueue *q, uint64_t ns)
{
    container_of(q, Toy, base)->rested_ns = ns;
}

/* It is the time since the first pause that is told. */
static void test_paused_twice(void)
{
    static const XenQueueOps ops = { toy_poll, toy_arm, toy_attach, toy_detach, toy_resume };
    Toy t;

    toy_up(&t, 1);
    t.base.ops = &ops;
    toy_start(&t);
    xen_queue_set_paused(&t.base, true);
    g_usleep(20000);
    xen_queue_set_paused(&t.base, true);
    xen_queue_set_paused(&t.base, false);
    g_assert_cmpuint(t.rested_ns, >=, 20000000);
    t.rested_ns = 1;
    xen_queue_set_paused(&t.base, false);
    g_assert_cmpuint(t.rested_ns, ==, 1); /* it was not paused */
    toy_down(&t);
}

static void test_attach_fails(void)
{
    g_autoptr(GError) error = NULL;
    Toy t;

    toy_up(&t, 1);
    t.attach_result = -EMFILE;
    g_assert_false(xen_queue_start(&t.base, NULL, "toy", &error));
    g_assert_cmpstr(error->message, ==,
                    "queue 3: cannot wait for its file descriptors: Too many open files");
    g_assert_cmpuint(get(&t.polls), ==, 0);
    toy_down(&t);
}

/* A thread of the user's outlives the queue, and may have others. */
static void test_shared_thread(void)
{
    g_autoptr(GError) error = NULL;
    IoThread *thread = io_thread_new("shared", &error);
    Toy a, b;

    toy_up(&a, 1);
    toy_up(&b, 1);
    g_assert_true(xen_queue_start(&a.base, thread, NULL, &error));
    g_assert_true(xen_queue_start(&b.base, thread, NULL, &error));
    __atomic_store_n(&b.work, 1, __ATOMIC_SEQ_CST);
    toy_down(&a);
    fake_xen_raise(b.xen, b.base.port[0].port);
    WAIT_FOR(get(&b.work) == 0);
    toy_down(&b);
    io_thread_free(thread);
}

/* Stopped and started again, as a device that moves to another thread would be. */
static void test_start_again(void)
{
    Toy t;

    toy_up(&t, 1);
    toy_start(&t);
    xen_queue_stop(&t.base);
    xen_queue_stop(&t.base);
    g_assert_cmpuint(t.attached, ==, 0);
    toy_start(&t);
    __atomic_store_n(&t.work, 1, __ATOMIC_SEQ_CST);
    fake_xen_raise(t.xen, t.base.port[0].port);
    WAIT_FOR(get(&t.work) == 0);
    toy_down(&t);
}

static void raise_spurious(Toy *t, unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        fake_xen_raise(t->xen, t->base.port[0].port);
        WAIT_FOR(__atomic_load_n(&t->events[0], __ATOMIC_RELAXED) == i);
        wait_asleep(t);
    }
}

/* Behind the sixteenth in a row the port stays masked for a while. */
static void test_spurious_events_are_throttled(void)
{
    Toy t;

    toy_up(&t, 1);
    toy_start(&t);
    wait_asleep(&t);
    raise_spurious(&t, 17);
    xen_queue_stop(&t.base);
    g_assert_cmpuint(t.base.spurious, >, 16);
    toy_down(&t);
}

static void test_work_ends_throttling(void)
{
    Toy t;

    toy_up(&t, 1);
    toy_start(&t);
    wait_asleep(&t);
    raise_spurious(&t, 17);
    __atomic_store_n(&t.work, 1, __ATOMIC_SEQ_CST);
    fake_xen_raise(t.xen, t.base.port[0].port);
    WAIT_FOR(get(&t.work) == 0);
    wait_asleep(&t);
    xen_queue_stop(&t.base);
    g_assert_cmpuint(t.base.spurious, <=, 1);
    toy_down(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/xen/queue/event-wakes-it", test_event_wakes_it);
    g_test_add_func("/hw/xen/queue/violation-stops-it", test_violation_stops_it);
    g_test_add_func("/hw/xen/queue/pause", test_pause);
    g_test_add_func("/hw/xen/queue/paused-twice", test_paused_twice);
    g_test_add_func("/hw/xen/queue/attach-fails", test_attach_fails);
    g_test_add_func("/hw/xen/queue/shared-thread", test_shared_thread);
    g_test_add_func("/hw/xen/queue/start-again", test_start_again);
    g_test_add_func("/hw/xen/queue/spurious-events-are-throttled",
                    test_spurious_events_are_throttled);
    g_test_add_func("/hw/xen/queue/work-ends-throttling", test_work_ends_throttling);
    return g_test_run();
}
