/*
 * XenStore over libxenstore, against the emulated host's server, which speaks the real
 * wire protocol.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xen-store.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>

#include "hw/xen/xen-ops.h"
#include "store-proxy.h"

typedef struct Fixture {
    char *dir;
    Xen *host;
    XenStore *s;     /* with dom0's rights */
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;

    f->dir = g_dir_make_tmp("test-xen-store-XXXXXX", &error);
    g_assert_no_error(error);
    path = g_build_filename(f->dir, "host", NULL);
    f->host = xen_xenemu_open_host(path, &error);
    g_assert_no_error(error);
    f->s = xen_store_open(f->host->store_path, &error);
    g_assert_no_error(error);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    xen_store_close(f->s);
    xen_close(f->host);
    g_rmdir(f->dir);
    g_free(f->dir);
}

/* What is at hand now, and nothing that comes later. */
static void run_main_loop(void)
{
    while (g_main_context_iteration(NULL, false)) {
    }
}

static void test_read_write(Fixture *f, gconstpointer unused)
{
    g_autofree char *value = NULL;

    g_assert_null(xen_store_read(f->s, 0, "/a/b"));
    g_assert_cmpint(errno, ==, ENOENT);
    g_assert_true(xen_store_write(f->s, 0, "/a/b", "some thing"));
    value = xen_store_read(f->s, 0, "/a/b");
    g_assert_cmpstr(value, ==, "some thing");
    g_assert_true(xen_store_remove(f->s, 0, "/a"));
    g_assert_null(xen_store_read(f->s, 0, "/a/b"));
}

static void test_empty_value(Fixture *f, gconstpointer unused)
{
    g_autofree char *value = NULL;
    uint64_t n = 7;

    g_assert_true(xen_store_write(f->s, 0, "/a", ""));
    value = xen_store_read(f->s, 0, "/a");
    g_assert_cmpstr(value, ==, "");
    g_assert_false(xen_store_read_uint(f->s, 0, "", "/a", 10, &n));
    g_assert_cmpint(errno, ==, EINVAL);
    g_assert_cmpuint(n, ==, 7);
}

static void test_printf(Fixture *f, gconstpointer unused)
{
    g_autofree char *value = NULL;

    g_assert_true(xen_store_printf(f->s, 0, "/a/b", "key", "%d-%s", 5, "x"));
    value = xen_store_read(f->s, 0, "/a/b/key");
    g_assert_cmpstr(value, ==, "5-x");
}

static void test_list(Fixture *f, gconstpointer unused)
{
    g_auto(GStrv) names = NULL, none = NULL;

    g_assert_null(xen_store_list(f->s, 0, "/d"));
    g_assert_cmpint(errno, ==, ENOENT);
    g_assert_true(xen_store_write(f->s, 0, "/d/one", "1"));
    g_assert_true(xen_store_write(f->s, 0, "/d/two/x", "2"));
    names = xen_store_list(f->s, 0, "/d");
    g_assert_cmpuint(g_strv_length(names), ==, 2);
    g_assert_true(g_strv_contains((const char *const *)names, "one"));
    g_assert_true(g_strv_contains((const char *const *)names, "two"));
    none = xen_store_list(f->s, 0, "/d/one");
    g_assert_cmpuint(g_strv_length(none), ==, 0);
}

/* Digits and nothing else, up to the limit. */
static void test_numbers(Fixture *f, gconstpointer unused)
{
    static const struct {
        const char *text;
        uint64_t max;
        bool good;
        uint64_t value;
    } cases[] = {
        { "0", 10, true, 0 },
        { "10", 10, true, 10 },
        { "11", 10, false, 0 },
        { "007", 10, true, 7 },
        { "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, false, 0 },
        { "184467440737095516150", UINT64_MAX, false, 0 },
        { "99999999999999999999999999999999", UINT64_MAX, false, 0 },
        { "-1", UINT64_MAX, false, 0 },
        { "+1", 10, false, 0 },
        { " 1", 10, false, 0 },
        { "1 ", 10, false, 0 },
        { "1\n", 10, false, 0 },
        { "0x1", 10, false, 0 },
        { "1a", 10, false, 0 },
        { "1.0", 10, false, 0 },
        { "\xd9\xa1", 10, false, 0 }, /* a digit, but not of ours */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t n = 12345;

        g_test_message("\"%s\" up to %" G_GUINT64_FORMAT, cases[i].text, cases[i].max);
        g_assert_true(xen_store_write(f->s, 0, "/n/v", cases[i].text));
        g_assert_cmpint(xen_store_read_uint(f->s, 0, "/n", "v", cases[i].max, &n), ==,
                        cases[i].good);
        if (cases[i].good) {
            g_assert_cmpuint(n, ==, cases[i].value);
        } else {
            g_assert_cmpint(errno, ==, EINVAL);
            g_assert_cmpuint(n, ==, 12345);
        }
    }
}

static void test_number_absent(Fixture *f, gconstpointer unused)
{
    uint64_t n;

    g_assert_false(xen_store_read_uint(f->s, 0, "/n", "v", 10, &n));
    g_assert_cmpint(errno, ==, ENOENT);
}

static void test_transaction(Fixture *f, gconstpointer unused)
{
    g_autofree char *value = NULL;
    XenTx tx = xen_store_begin(f->s);

    g_assert_cmpuint(tx, !=, 0);
    g_assert_true(xen_store_write(f->s, tx, "/t", "inside"));
    g_assert_null(xen_store_read(f->s, 0, "/t"));
    g_assert_true(xen_store_end(f->s, tx, false));
    value = xen_store_read(f->s, 0, "/t");
    g_assert_cmpstr(value, ==, "inside");
}

static void test_transaction_aborted(Fixture *f, gconstpointer unused)
{
    XenTx tx = xen_store_begin(f->s);

    g_assert_true(xen_store_write(f->s, tx, "/t", "inside"));
    g_assert_true(xen_store_end(f->s, tx, true));
    g_assert_null(xen_store_read(f->s, 0, "/t"));
}

static void test_transaction_conflict(Fixture *f, gconstpointer unused)
{
    g_autofree char *value = NULL;
    XenTx tx;

    g_assert_true(xen_store_write(f->s, 0, "/t", "0"));
    tx = xen_store_begin(f->s);
    value = xen_store_read(f->s, tx, "/t");
    g_assert_true(xen_store_write(f->s, 0, "/t", "1"));
    g_assert_true(xen_store_write(f->s, tx, "/t", "2"));
    g_assert_false(xen_store_end(f->s, tx, false));
    g_assert_cmpint(errno, ==, EAGAIN);
}

typedef struct Disturbed {
    XenStore *other;
    unsigned times;  /* that @other is faster */
    unsigned calls;
    bool ok;
} Disturbed;

static bool disturbed_write(XenStore *s, XenTx tx, void *opaque)
{
    Disturbed *d = opaque;
    g_autofree char *value G_GNUC_UNUSED = xen_store_read(s, tx, "/a");

    if (d->calls++ < d->times) {
        g_assert_true(xen_store_write(d->other, 0, "/a", "theirs"));
    }
    g_assert_true(xen_store_write(s, tx, "/a", "ours"));
    errno = EXDEV;
    return d->ok;
}

/* Somebody else is faster three times, then nobody is. */
static void test_transaction_again(Fixture *f, gconstpointer unused)
{
    g_autoptr(XenStore) other = xen_store_open(f->host->store_path, NULL);
    Disturbed d = { .other = other, .times = 3, .ok = true };
    g_autofree char *value = NULL;

    g_assert_true(xen_store_write(f->s, 0, "/a", "at first"));
    g_assert_true(xen_store_transaction(f->s, disturbed_write, &d));
    g_assert_cmpuint(d.calls, ==, 4);
    value = xen_store_read(f->s, 0, "/a");
    g_assert_cmpstr(value, ==, "ours");
}

/* Always faster: there is an end. */
static void test_transaction_gives_up(Fixture *f, gconstpointer unused)
{
    g_autoptr(XenStore) other = xen_store_open(f->host->store_path, NULL);
    Disturbed d = { .other = other, .times = 1000, .ok = true };

    g_assert_true(xen_store_write(f->s, 0, "/a", "at first"));
    g_assert_false(xen_store_transaction(f->s, disturbed_write, &d));
    g_assert_cmpint(errno, ==, EAGAIN);
    g_assert_cmpuint(d.calls, <, 1000);
}

/* What was written is undone, and the reason is told. */
static void test_transaction_refused(Fixture *f, gconstpointer unused)
{
    Disturbed d = { .ok = false };
    g_autofree char *value = NULL;

    g_assert_true(xen_store_write(f->s, 0, "/a", "at first"));
    g_assert_false(xen_store_transaction(f->s, disturbed_write, &d));
    g_assert_cmpint(errno, ==, EXDEV);
    g_assert_cmpuint(d.calls, ==, 1);
    value = xen_store_read(f->s, 0, "/a");
    g_assert_cmpstr(value, ==, "at first");
}

/* What belongs to a guest it may write; what it is shown it may read; the rest neither. */
static void test_mkdir(Fixture *f, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(f->dir, "host", NULL);
    g_autofree char *value = NULL;
    g_autoptr(Xen) guest = xen_xenemu_open_guest(path, -1, 1 << 20, &error);
    g_autoptr(XenStore) theirs = NULL;

    g_assert_no_error(error);
    theirs = xen_store_open(guest->store_path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(xen_store_domain_state(f->s, guest->domid), ==, XEN_DOMAIN_ALIVE);
    g_assert_cmpint(xen_store_domain_state(f->s, (uint16_t)(guest->domid + 1)), ==,
                    XEN_DOMAIN_DEAD);

    g_assert_true(xen_store_mkdir(f->s, 0, "/dev/of-guest", guest->domid, 0));
    g_assert_true(xen_store_mkdir(f->s, 0, "/dev/shown", 0, guest->domid));
    g_assert_true(xen_store_mkdir(f->s, 0, "/dev/shown", 0, guest->domid)); /* it exists */
    g_assert_true(xen_store_write(f->s, 0, "/dev/shown/key", "look"));
    g_assert_true(xen_store_mkdir(f->s, 0, "/dev/hidden", 0, 0));

    g_assert_true(xen_store_write(theirs, 0, "/dev/of-guest/key", "mine"));
    value = xen_store_read(theirs, 0, "/dev/shown/key");
    g_assert_cmpstr(value, ==, "look");
    g_assert_false(xen_store_write(theirs, 0, "/dev/shown/key", "no"));
    g_assert_cmpint(errno, ==, EACCES);
    g_assert_null(xen_store_list(theirs, 0, "/dev/hidden"));
    g_assert_cmpint(errno, ==, EACCES);
}

/* --- watches --- */

typedef struct Watcher {
    XenWatch *w;
    struct Watcher *ends; /* this one's watch is removed by the call */
    unsigned calls;
} Watcher;

static void watcher_called(void *opaque)
{
    Watcher *me = opaque;

    me->calls++;
    if (me->ends) {
        xen_store_unwatch(me->ends->w);
        me->ends->w = NULL;
    }
}

static void watch(Fixture *f, Watcher *me, const char *path)
{
    g_autoptr(GError) error = NULL;

    me->w = xen_store_watch(f->s, path, watcher_called, me, &error);
    g_assert_no_error(error);
}

static gboolean on_timeout(gpointer opaque)
{
    *(bool *)opaque = true;
    return G_SOURCE_REMOVE;
}

/* Runs the main loop until @calls calls were made; fails after 10 s. */
static void wait_calls(const Watcher *me, unsigned calls)
{
    bool late = false;
    guint id = g_timeout_add(10000, on_timeout, &late);

    while (me->calls < calls && !late) {
        g_main_context_iteration(NULL, true);
    }
    g_assert_false(late);
    g_source_remove(id);
    g_assert_cmpuint(me->calls, ==, calls);
}

/*
 * An event for @path has reached this process when one for a later write has: the
 * server sends them in order.
 */
static void settle(Fixture *f)
{
    Watcher last = { 0 };

    watch(f, &last, "/settle");
    wait_calls(&last, 1);
    xen_store_unwatch(last.w);
    run_main_loop();
}

static void test_watch(Fixture *f, gconstpointer unused)
{
    Watcher me = { 0 };

    watch(f, &me, "/w");
    wait_calls(&me, 1); /* once at first */
    g_assert_true(xen_store_write(f->s, 0, "/w/below", "1"));
    wait_calls(&me, 2);
    g_assert_true(xen_store_write(f->s, 0, "/elsewhere", "1"));
    settle(f);
    g_assert_cmpuint(me.calls, ==, 2);
    xen_store_unwatch(me.w);
}

/* A guest that writes in a loop costs one call a round, and each watch its own. */
static void test_watch_merges(Fixture *f, gconstpointer unused)
{
    Watcher me = { 0 }, other = { 0 };

    watch(f, &me, "/w");
    watch(f, &other, "/w/deep");
    wait_calls(&me, 1);
    settle(f);
    me.calls = other.calls = 0;
    for (unsigned i = 0; i < 500; i++) {
        g_assert_true(xen_store_printf(f->s, 0, "/w/deep", "key", "%u", i));
    }
    settle(f);
    /* All were written before the loop ran; settle() lets it run a few times. */
    g_assert_cmpuint(me.calls, >=, 1);
    g_assert_cmpuint(me.calls, <=, 5);
    g_assert_cmpuint(other.calls, ==, me.calls);
    xen_store_unwatch(me.w);
    xen_store_unwatch(other.w);
}

static void test_unwatch_with_events(Fixture *f, gconstpointer unused)
{
    Watcher me = { 0 };

    watch(f, &me, "/w");
    wait_calls(&me, 1);
    g_assert_true(xen_store_write(f->s, 0, "/w", "1"));
    xen_store_unwatch(me.w);
    settle(f);
    g_assert_cmpuint(me.calls, ==, 1);
}

static void test_unwatch_inside(Fixture *f, gconstpointer unused)
{
    Watcher me = { 0 };

    me.ends = &me;
    watch(f, &me, "/w");
    wait_calls(&me, 1);
    g_assert_true(xen_store_write(f->s, 0, "/w", "1"));
    settle(f);
    g_assert_cmpuint(me.calls, ==, 1);
}

/* Two that end each other, both with an event: exactly one of them is called. */
static void test_unwatch_each_other(Fixture *f, gconstpointer unused)
{
    Watcher a = { 0 }, b = { 0 };

    watch(f, &a, "/w");
    watch(f, &b, "/w");
    settle(f);
    a.calls = b.calls = 0;
    a.ends = &b;
    b.ends = &a;
    g_assert_true(xen_store_write(f->s, 0, "/w", "1"));
    /* Both events are here before either is called. */
    g_assert_true(xen_store_write(f->s, 0, "/elsewhere", "1"));
    settle(f);
    g_assert_cmpuint(a.calls + b.calls, ==, 1);
    xen_store_unwatch(a.w);
    xen_store_unwatch(b.w);
}

static void test_watch_refused(Fixture *f, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    Watcher me = { 0 };

    g_assert_null(xen_store_watch(f->s, "/not//a/path", watcher_called, &me, &error));
    g_assert_nonnull(error);
    g_assert_true(g_str_has_prefix(error->message, "could not watch /not//a/path: "));
}

/* The server goes: calls fail instead of waiting, and what we had can be taken down. */
static void test_server_dies(Fixture *f, gconstpointer unused)
{
    Watcher me = { 0 };

    watch(f, &me, "/w");
    wait_calls(&me, 1);
    settle(f);
    xen_close(f->host);
    f->host = NULL;
    run_main_loop();
    g_assert_null(xen_store_read(f->s, 0, "/w"));
    g_assert_false(xen_store_write(f->s, 0, "/w", "1"));
    xen_store_unwatch(me.w);
    g_assert_cmpuint(me.calls, ==, 1);
}

static void test_open_fails(Fixture *f, gconstpointer unused)
{
    g_autofree char *path = g_build_filename(f->dir, "nobody", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(xen_store_open(path, &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    g_assert_nonnull(strstr(error->message, path));
}

/* The environment, by which libxenstore is told the socket, is as before. */
static void test_environment(Fixture *f, gconstpointer unused)
{
    g_autoptr(XenStore) a = NULL, b = NULL;

    g_unsetenv("XENSTORED_PATH");
    a = xen_store_open(f->host->store_path, NULL);
    g_assert_nonnull(a);
    g_assert_null(g_getenv("XENSTORED_PATH"));
    g_setenv("XENSTORED_PATH", "/something", true);
    b = xen_store_open(f->host->store_path, NULL);
    g_assert_nonnull(b);
    g_assert_cmpstr(g_getenv("XENSTORED_PATH"), ==, "/something");
    g_unsetenv("XENSTORED_PATH");
}

/* --- a server that does not answer --- */

#define STORE_MAX_TX 10 /* xenstored's and xenemu's for a guest */

typedef struct Stalled {
    char *path;
    StoreProxy *proxy;
    XenStore *s;
    XenWatch *w;
    unsigned calls;
} Stalled;

static void stalled_event(void *opaque)
{
    ((Stalled *)opaque)->calls++;
}

static void stalled_set_up(Fixture *f, Stalled *st, const char *server)
{
    *st = (Stalled){ .path = g_build_filename(f->dir, "proxy", NULL) };
    st->proxy = store_proxy_new(st->path, server);
    st->s = xen_store_open(st->path, NULL);
    g_assert_nonnull(st->s);
    xen_store_end_soon(st->s); /* and the test, too */
    st->w = xen_store_watch(st->s, "data/w", stalled_event, st, NULL);
    g_assert_nonnull(st->w);
    while (st->calls == 0) {
        g_main_context_iteration(NULL, true);
    }
}

static void stalled_tear_down(Stalled *st)
{
    xen_store_unwatch(st->w);
    xen_store_close(st->s);
    store_proxy_free(st->proxy);
    g_free(st->path);
}

static void stalled_end(Stalled *st)
{
    store_proxy_hold(st->proxy, false);
    while (st->calls < 2) { /* those who were refused are called */
        g_main_context_iteration(NULL, true);
    }
}

/* It returns, and is an error of its own; later everything is as before. */
static void test_stalled(Fixture *f, gconstpointer unused)
{
    g_autofree char *value = NULL;
    Stalled st;
    uint64_t n = 7;

    stalled_set_up(f, &st, f->host->store_path);
    store_proxy_hold(st.proxy, true);
    for (unsigned i = 0; i < 1000; i++) { /* one of them waits, or it takes minutes */
        g_assert_null(xen_store_read(st.s, 0, "/a"));
        g_assert_cmpint(errno, ==, ETIMEDOUT);
    }
    g_assert_false(xen_store_write(st.s, 0, "/a", "1"));
    g_assert_false(xen_store_read_uint(st.s, 0, "/a", "b", 9, &n));
    g_assert_null(xen_store_list(st.s, 0, "/"));
    g_assert_cmpint(errno, ==, ETIMEDOUT);
    g_assert_cmpint(xen_store_domain_state(st.s, 0), ==, XEN_DOMAIN_UNKNOWN);
    g_assert_null(xen_store_watch(st.s, "/x", stalled_event, &st, NULL));
    stalled_end(&st);
    g_assert_true(xen_store_write(st.s, 0, "/a", "2"));
    value = xen_store_read(f->s, 0, "/a");
    g_assert_cmpstr(value, ==, "2");
    stalled_tear_down(&st);
}

/* What was asked for and given up happens before what is asked for later. */
static void test_stalled_write(Fixture *f, gconstpointer unused)
{
    g_autofree char *value = NULL;
    Stalled st;

    stalled_set_up(f, &st, f->host->store_path);
    store_proxy_hold(st.proxy, true);
    g_assert_false(xen_store_write(st.s, 0, "/a", "1"));
    g_assert_cmpint(errno, ==, ETIMEDOUT);
    stalled_end(&st);
    g_assert_true(xen_store_write(st.s, 0, "/a", "2"));
    value = xen_store_read(st.s, 0, "/a");
    g_assert_cmpstr(value, ==, "2");
    stalled_tear_down(&st);
}

static bool write_and_hold(XenStore *s, XenTx tx, void *opaque)
{
    Stalled *st = opaque;

    g_assert_true(xen_store_write(s, tx, "data/t", "half"));
    store_proxy_hold(st->proxy, true);
    return xen_store_write(s, tx, "data/t", "whole");
}

/* The server does not keep transactions that we gave up: a guest has few of them. */
static void test_stalled_leaves_nothing(Fixture *f, gconstpointer unused)
{
    g_autofree char *path = g_build_filename(f->dir, "host", NULL);
    g_autoptr(Xen) guest = xen_xenemu_open_guest(path, 1, 1 << 20, NULL);
    XenTx tx[STORE_MAX_TX - 1];
    Stalled st;

    stalled_set_up(f, &st, guest->store_path);
    for (size_t i = 0; i < G_N_ELEMENTS(tx); i++) {
        tx[i] = xen_store_begin(st.s);
    }
    for (unsigned i = 0; i < 2; i++) { /* one at a time goes, and no more */
        st.calls = 1;
        g_assert_false(xen_store_transaction(st.s, write_and_hold, &st));
        g_assert_cmpint(errno, ==, ETIMEDOUT);
        stalled_end(&st);
        g_assert_null(xen_store_read(st.s, 0, "data/t"));
        g_assert_cmpint(errno, ==, ENOENT);
        st.calls = 1;
        store_proxy_hold(st.proxy, true);
        g_assert_cmpuint(xen_store_begin(st.s), ==, 0);
        stalled_end(&st);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(tx); i++) {
        g_assert_true(xen_store_end(st.s, tx[i], true));
    }
    stalled_tear_down(&st);
}

/* Closing does not wait either. */
static void test_stalled_close(Fixture *f, gconstpointer unused)
{
    Stalled st;

    stalled_set_up(f, &st, f->host->store_path);
    store_proxy_hold(st.proxy, true);
    stalled_tear_down(&st);
}

#define TEST(name, fn) g_test_add("/hw/xen/store/" name, Fixture, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("read-write", test_read_write);
    TEST("empty-value", test_empty_value);
    TEST("printf", test_printf);
    TEST("list", test_list);
    TEST("numbers", test_numbers);
    TEST("number-absent", test_number_absent);
    TEST("transaction", test_transaction);
    TEST("transaction-aborted", test_transaction_aborted);
    TEST("transaction-conflict", test_transaction_conflict);
    TEST("transaction-again", test_transaction_again);
    TEST("transaction-gives-up", test_transaction_gives_up);
    TEST("transaction-refused", test_transaction_refused);
    TEST("mkdir", test_mkdir);
    TEST("watch", test_watch);
    TEST("watch-merges", test_watch_merges);
    TEST("unwatch-with-events", test_unwatch_with_events);
    TEST("unwatch-inside", test_unwatch_inside);
    TEST("unwatch-each-other", test_unwatch_each_other);
    TEST("watch-refused", test_watch_refused);
    TEST("server-dies", test_server_dies);
    TEST("stalled", test_stalled);
    TEST("stalled-write", test_stalled_write);
    TEST("stalled-leaves-nothing", test_stalled_leaves_nothing);
    TEST("stalled-close", test_stalled_close);
    TEST("open-fails", test_open_fails);
    TEST("environment", test_environment);
    return g_test_run();
}
