/*
 * An iothread's tasks, timers and requests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "iothread-work.h"
#include "util/clock.h"
#include "util/container-of.h"

/* --- tasks --- */

typedef struct Posted {
    IoTask task;
    Work *w;
    IoInflight *drains; /* NULL: complete at once */
    int order;          /* of its run among all, from 1 */
    int tid;            /* that it ran in */
    bool done;
} Posted;

static int posted_runs; /* of the test that is running */

static bool posted_run(IoTask *task)
{
    Posted *p = container_of(task, Posted, task);

    p->order = ++posted_runs;
    p->tid = (int)syscall(SYS_gettid);
    return !p->drains || io_inflight_drain(p->drains, task);
}

static void posted_done(IoTask *task)
{
    Posted *p = container_of(task, Posted, task);

    g_assert_cmpint(p->tid, ==, io_thread_tid(p->w->t));
    g_assert_cmpint((int)syscall(SYS_gettid), ==, getpid());
    p->done = true;
}

static Posted posted(Work *w)
{
    posted_runs = 0;
    return (Posted){ .task = { .run = posted_run, .done = posted_done }, .w = w };
}

static void loop_until(const bool *done)
{
    gint64 end = g_get_monotonic_time() + WAIT_US;

    while (!*done) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        if (!g_main_context_iteration(NULL, FALSE)) {
            g_usleep(500);
        }
    }
}

static void test_post_completes_in_main_loop(Work *w, gconstpointer data)
{
    Posted p = posted(w);

    io_thread_post(w->t, &p.task);
    io_thread_call(w->t, work_who_am_i, w); /* it has run by now */
    g_assert_cmpint(p.order, ==, 1);
    g_assert_false(p.done);
    loop_until(&p.done);
}

static void test_posts_keep_their_order(Work *w, gconstpointer data)
{
    Posted p[50];

    for (size_t i = 0; i < G_N_ELEMENTS(p); i++) {
        p[i] = posted(w);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(p); i++) {
        io_thread_post(w->t, &p[i].task);
    }
    loop_until(&p[49].done);
    for (size_t i = 0; i < G_N_ELEMENTS(p); i++) {
        g_assert_cmpint(p[i].order, ==, i + 1);
        g_assert_true(p[i].done);
    }
}

static void test_post_is_posted_again(Work *w, gconstpointer data)
{
    Posted p = posted(w);

    for (int i = 1; i <= 3; i++) {
        p.done = false;
        io_thread_post(w->t, &p.task);
        loop_until(&p.done);
        g_assert_cmpint(p.order, ==, i);
    }
}

static void test_post_runs_beside_a_busy_poller(Work *w, gconstpointer data)
{
    Posted p = posted(w);

    w->budget = G_MAXINT;
    io_thread_call(w->t, work_add_poller, w);
    io_thread_post(w->t, &p.task);
    loop_until(&p.done);
    io_thread_call(w->t, work_remove_poller, w);
}

static bool post_another(IoTask *task)
{
    Posted *p = container_of(task, Posted, task);

    io_thread_post(p->w->t, &p[1].task);
    return true;
}

static void test_post_from_the_thread(Work *w, gconstpointer data)
{
    Posted p[2] = { posted(w), posted(w) };

    p[0].task = (IoTask){ .run = post_another };
    io_thread_post(w->t, &p[0].task);
    loop_until(&p[1].done);
}

static void test_free_runs_what_was_posted(Work *w, gconstpointer data)
{
    Posted p[2] = { posted(w), posted(w) };

    p[0].task = (IoTask){ .run = post_another };
    p[1].task.done = NULL;
    io_thread_post(w->t, &p[0].task);
    io_thread_free(w->t);
    w->t = NULL;
    g_assert_cmpint(p[1].order, ==, 1);
}

static void free_thread(IoTask *task)
{
    Posted *p = container_of(task, Posted, task);

    io_thread_free(g_steal_pointer(&p->w->t));
    p->done = true;
}

static void test_completion_frees_the_thread(Work *w, gconstpointer data)
{
    Posted p = posted(w);

    p.task.done = free_thread;
    io_thread_post(w->t, &p.task);
    loop_until(&p.done);
    g_assert_null(w->t);
}

/* A completion that is due when the thread ends is told, and not later. */
static void test_free_tells_completions(Work *w, gconstpointer data)
{
    Posted p = posted(w);

    p.task.done = free_thread; /* NULL by then: nothing to free */
    io_thread_post(w->t, &p.task);
    io_thread_free(g_steal_pointer(&w->t));
    g_assert_true(p.done);
    p.done = false;
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
    g_assert_false(p.done);
}

typedef struct Flight {
    IoInflight f;
    bool begin; /* else end */
} Flight;

static void flight_step(void *opaque)
{
    Flight *fl = opaque;

    if (fl->begin) {
        io_inflight_begin(&fl->f);
    } else {
        io_inflight_end(&fl->f);
    }
}

static void test_drain_completes_with_the_last(Work *w, gconstpointer data)
{
    Posted p = posted(w);
    Flight fl = { .begin = true };

    p.drains = &fl.f;
    io_thread_call(w->t, flight_step, &fl);
    io_thread_call(w->t, flight_step, &fl);
    io_thread_post(w->t, &p.task);
    fl.begin = false;
    for (int i = 0; i < 2; i++) {
        io_thread_call(w->t, work_who_am_i, w);
        g_main_context_iteration(NULL, FALSE);
        g_assert_false(p.done);
        io_thread_call(w->t, flight_step, &fl);
    }
    loop_until(&p.done);
}

static void test_drain_of_nothing(Work *w, gconstpointer data)
{
    Posted p = posted(w);
    IoInflight f = { 0 };

    p.drains = &f;
    io_thread_post(w->t, &p.task);
    loop_until(&p.done);
    g_assert_null(f.drain);
}

typedef struct Later {
    IoTimer timer;
    IoThread *t;
    IoInflight f;
} Later;

static void later_fire(IoTimer *timer)
{
    io_inflight_end(&container_of(timer, Later, timer)->f);
}

static void later_begin(void *opaque)
{
    Later *l = opaque;

    l->timer.fire = later_fire;
    io_inflight_begin(&l->f);
    io_thread_set_timer(l->t, &l->timer, clock_ns() + 3000000);
}

/* Its end is waited for without the main loop, which tells of it later. */
static void test_wait_for_a_drain(Work *w, gconstpointer data)
{
    Posted p = posted(w);
    Later l = { .t = w->t };

    for (int i = 0; i < 2; i++) {
        p.drains = &l.f;
        p.done = false;
        io_thread_call(w->t, later_begin, &l);
        io_thread_post(w->t, &p.task);
        io_task_wait(&p.task);
        g_assert_cmpuint(l.f.n, ==, 0);
        g_assert_false(p.done);
        io_task_wait(&p.task);
        loop_until(&p.done);
    }
}

/* --- timers --- */

typedef struct Alarm {
    IoTimer timer;
    struct Alarms *all;
    uint64_t in_ns; /* 0: not set */
    int rang;       /* the how many-th it was, from 1; relaxed atomic */
    int again;      /* times to set it again */
} Alarm;

typedef struct Alarms {
    Work *w;
    Alarm a[4];
    int n;         /* rung; relaxed atomic */
    Alarm *cancel; /* when the first rings; NULL: none */
} Alarms;

static void alarm_fire(IoTimer *timer)
{
    Alarm *a = container_of(timer, Alarm, timer);
    Alarms *all = a->all;

    work_count(&all->n);
    __atomic_store_n(&a->rang, work_get(&all->n), __ATOMIC_RELAXED);
    if (a->again > 0) {
        a->again--;
        io_thread_set_timer(all->w->t, timer, clock_ns()); /* over already: next round */
    }
    if (all->cancel) {
        io_thread_clear_timer(all->w->t, &all->cancel->timer);
    }
}

static void alarms_set(void *opaque)
{
    Alarms *all = opaque;
    uint64_t now = clock_ns();

    for (int i = 0; i < 4; i++) {
        all->a[i].all = all;
        all->a[i].timer.fire = alarm_fire;
        if (all->a[i].in_ns != 0) {
            io_thread_set_timer(all->w->t, &all->a[i].timer, now + all->a[i].in_ns);
        }
    }
}

static void alarms_clear(void *opaque)
{
    Alarms *all = opaque;

    for (int i = 0; i < 4; i++) {
        io_thread_clear_timer(all->w->t, &all->a[i].timer);
    }
}

static void test_timers_fire_in_order(Work *w, gconstpointer data)
{
    Alarms all = { .w = w };

    all.a[0].in_ns = 3000000;
    all.a[1].in_ns = 1000000;
    all.a[2].in_ns = 2000000;
    io_thread_call(w->t, alarms_set, &all);
    work_wait_for(&all.n, 3);
    io_thread_call(w->t, alarms_clear, &all); /* the last one has ended, too */
    g_assert_cmpint(work_get(&all.a[1].rang), ==, 1);
    g_assert_cmpint(work_get(&all.a[2].rang), ==, 2);
    g_assert_cmpint(work_get(&all.a[0].rang), ==, 3);
}

static void test_timer_is_set_again(Work *w, gconstpointer data)
{
    Alarms all = { .w = w };

    all.a[0].in_ns = 1000000;
    all.a[0].again = 5;
    io_thread_call(w->t, alarms_set, &all);
    work_wait_for(&all.n, 6);
    io_thread_call(w->t, work_who_am_i, w);
    g_assert_cmpint(work_get(&all.n), ==, 6);
}

/* Set a second time it has one time only; cleared by another that is due with it, none. */
static void test_cleared_timer_is_quiet(Work *w, gconstpointer data)
{
    Alarms all = { .w = w, .cancel = &all.a[2] };

    all.a[0].in_ns = 1000000;
    all.a[2].in_ns = 1000001;
    io_thread_call(w->t, alarms_set, &all);
    io_thread_call(w->t, alarms_set, &all);
    work_wait_for(&all.n, 1);
    g_usleep(5000);
    io_thread_call(w->t, alarms_clear, &all);
    g_assert_cmpint(work_get(&all.n), ==, 1);
}

static void test_timer_beside_a_busy_poller(Work *w, gconstpointer data)
{
    Alarms all = { .w = w };

    w->budget = G_MAXINT;
    io_thread_call(w->t, work_add_poller, w);
    all.a[0].in_ns = 1000000;
    io_thread_call(w->t, alarms_set, &all);
    work_wait_for(&all.n, 1);
    io_thread_call(w->t, work_remove_poller, w);
}

/* --- requests --- */

#define READS 1000u /* more than can be in flight */

typedef struct Read {
    IoRequest req;
    struct Reads *all;
    int res;
    uint32_t data;
} Read;

typedef struct Reads {
    Work *w;
    IoInflight flight;
    int fd;
    unsigned next;    /* to be asked for */
    unsigned full;    /* how often there was no room */
    int no_ring;      /* errno */
    Read r[READS];
} Reads;

static void reads_ask(Reads *all)
{
    while (all->next < READS) {
        Read *r = &all->r[all->next];
        struct io_uring_sqe *sqe = io_thread_get_sqe(all->w->t, &r->req);

        if (!sqe && errno == EAGAIN && all->flight.n > 0) {
            all->full++;
            return;
        }
        if (!sqe) {
            all->no_ring = errno;
            return;
        }
        io_uring_prep_read(sqe, all->fd, &r->data, sizeof(r->data),
                           (uint64_t)all->next * sizeof(r->data));
        io_inflight_begin(&all->flight);
        all->next++;
    }
}

static void read_done(IoRequest *req, int res)
{
    Read *r = container_of(req, Read, req);

    r->res = res;
    reads_ask(r->all);
    io_inflight_end(&r->all->flight);
}

static void reads_start(void *opaque)
{
    Reads *all = opaque;

    for (unsigned i = 0; i < READS; i++) {
        all->r[i].all = all;
        all->r[i].req.done = read_done;
    }
    reads_ask(all);
}

/* A file whose words count; NULL: this kernel has no io_uring, and the test is skipped. */
static Reads *reads_new(Work *w)
{
    g_autofree Reads *all = g_new0(Reads, 1);
    struct io_uring ring;

    if (io_uring_queue_init(2, &ring, 0) < 0) {
        g_test_skip("this kernel has no io_uring for us");
        return NULL;
    }
    io_uring_queue_exit(&ring);
    all->w = w;
    all->fd = memfd_create("reads", MFD_CLOEXEC);
    for (uint32_t i = 0; i < READS; i++) {
        g_assert_cmpint(pwrite(all->fd, &i, sizeof(i), i * (off_t)sizeof(i)), ==, sizeof(i));
    }
    return g_steal_pointer(&all);
}

static void reads_drain(Reads *all)
{
    Posted p = posted(all->w);

    p.drains = &all->flight;
    io_thread_post(all->w->t, &p.task);
    loop_until(&p.done);
}

static void reads_check(Reads *all)
{
    reads_drain(all);
    g_assert_cmpint(all->no_ring, ==, 0);
    g_assert_cmpuint(all->full, >, 0);
    for (unsigned i = 0; i < READS; i++) {
        g_assert_cmpint(all->r[i].res, ==, sizeof(uint32_t));
        g_assert_cmpuint(all->r[i].data, ==, i);
    }
    close(all->fd);
}

static void test_requests(Work *w, gconstpointer data)
{
    g_autofree Reads *all = reads_new(w);

    if (all) {
        io_thread_call(w->t, reads_start, all);
        reads_check(all);
    }
}

static void test_requests_beside_a_busy_poller(Work *w, gconstpointer data)
{
    g_autofree Reads *all = reads_new(w);

    if (all) {
        w->budget = G_MAXINT;
        io_thread_call(w->t, work_add_poller, w);
        io_thread_call(w->t, reads_start, all);
        reads_check(all);
        io_thread_call(w->t, work_remove_poller, w);
    }
}

static void test_request_that_fails(Work *w, gconstpointer data)
{
    g_autofree Reads *all = reads_new(w);

    if (all) {
        close(all->fd);
        all->fd = -1;
        all->next = READS - 2;
        io_thread_call(w->t, reads_start, all);
        reads_drain(all);
        g_assert_cmpint(all->r[READS - 2].res, ==, -EBADF);
        g_assert_cmpint(all->r[READS - 1].res, ==, -EBADF);
    }
}

static void forbid_uring(void *opaque)
{
    work_forbid(opaque, SYS_io_uring_setup, EPERM);
}

static void test_no_ring(Work *w, gconstpointer data)
{
    g_autofree Reads *all = reads_new(w);

    if (!all) {
        return;
    }
    io_thread_call(w->t, forbid_uring, w);
    if (!w->forbidden) {
        g_test_skip("no seccomp filter can be set");
    } else {
        io_thread_call(w->t, reads_start, all);
        g_assert_cmpint(all->no_ring, ==, EPERM);
        io_thread_call(w->t, reads_start, all); /* asked again, it is not tried again */
        g_assert_cmpint(all->no_ring, ==, EPERM);
    }
    close(all->fd);
}

int main(int argc, char **argv)
{
    static const WorkTest tests[] = {
        { "post-completes-in-main-loop", test_post_completes_in_main_loop },
        { "posts-keep-their-order", test_posts_keep_their_order },
        { "post-is-posted-again", test_post_is_posted_again },
        { "post-runs-beside-a-busy-poller", test_post_runs_beside_a_busy_poller },
        { "post-from-the-thread", test_post_from_the_thread },
        { "free-runs-what-was-posted", test_free_runs_what_was_posted },
        { "completion-frees-the-thread", test_completion_frees_the_thread },
        { "free-tells-completions", test_free_tells_completions },
        { "drain-completes-with-the-last", test_drain_completes_with_the_last },
        { "drain-of-nothing", test_drain_of_nothing },
        { "wait-for-a-drain", test_wait_for_a_drain },
        { "timers-fire-in-order", test_timers_fire_in_order },
        { "timer-is-set-again", test_timer_is_set_again },
        { "cleared-timer-is-quiet", test_cleared_timer_is_quiet },
        { "timer-beside-a-busy-poller", test_timer_beside_a_busy_poller },
        { "requests", test_requests },
        { "requests-beside-a-busy-poller", test_requests_beside_a_busy_poller },
        { "request-that-fails", test_request_that_fails },
        { "no-ring", test_no_ring },
    };

    g_test_init(&argc, &argv, NULL);
    work_add_tests(tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
