/*
 * Persistent grants, on an emulated Xen that knows what is mapped. Where a test has the name of an
 * advisory, it is what that was about.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkback-grants.h"

#include <string.h>

#include "xen-pair.h"
#include "xenemu.h"

#define PAGES          300u
#define REQ_MAX        100u
#define BAD_REF        7777u /* never granted */
#define GNTST_BAD_PAGE -9
#define SECOND         1000000000ull
#define APART          (SECOND / 4) /* from one use to the next */

typedef struct Fixture {
    XenPair xen;         /* each page begins with its number */
    XenBlkbackGrants *g;
    uint64_t now;
} Fixture;

static void setup(Fixture *f, gconstpointer limit)
{
    xen_pair_up(&f->xen);
    xen_pair_grant(&f->xen, PAGES);
    for (uint32_t i = 0; i < PAGES; i++) {
        memcpy(f->xen.pages + i * XEN_PAGE_SIZE, &i, sizeof(i));
    }
    f->g = xen_blkback_grants_new(f->xen.host, f->xen.gnttab, XEN_PAIR_DOMID,
                                  GPOINTER_TO_UINT(limit));
    f->now = 1000 * SECOND;
}

/* All that is mapped is known, and nothing else is held. */
static void check_use(const Fixture *f, unsigned kept, unsigned busy)
{
    XenBlkbackGrantsUse use = xen_blkback_grants_use(f->g);

    g_assert_cmpuint(use.kept, ==, kept);
    g_assert_cmpuint(use.busy, ==, busy);
    g_assert_cmpuint(xen_pair_mapped(&f->xen), ==, kept);
}

static void teardown(Fixture *f, gconstpointer limit)
{
    xen_blkback_grants_free(f->g);
    g_assert_cmpuint(f->xen.host->pages, ==, 0);
    xen_pair_down(&f->xen);
}

/* --- a request --- */

typedef struct Req {
    unsigned n;
    unsigned got;            /* pages that there are */
    uint32_t page[REQ_MAX];  /* numbers */
    XenBlkbackGrant grant[REQ_MAX];
} Req;

static void req_init(const Fixture *f, Req *r, unsigned first, unsigned n)
{
    g_assert_cmpuint(n, <=, REQ_MAX);
    r->n = n;
    for (unsigned i = 0; i < n; i++) {
        r->page[i] = first + i;
        r->grant[i] = (XenBlkbackGrant) { .ref = f->xen.refs[first + i], .page = r };
    }
}

/* Each page that there is is the one that was asked for. How many there are. */
static unsigned req_get(Fixture *f, Req *r)
{
    unsigned n = 0;

    xen_blkback_grants_get(f->g, r->grant, r->n, f->now);
    for (unsigned i = 0; i < r->n; i++) {
        if (r->grant[i].page) {
            g_assert_cmpmem(r->grant[i].page, 4, &r->page[i], 4);
            n++;
        }
    }
    return n;
}

static void req_get_all(Fixture *f, Req *r)
{
    g_assert_cmpuint(req_get(f, r), ==, r->n);
}

static void req_put(Fixture *f, Req *r)
{
    xen_blkback_grants_put(f->g, r->grant, r->n, f->now);
}

/* Gets and puts @n pages, APART from the last ones. */
static void use_pages(Fixture *f, unsigned first, unsigned n)
{
    Req r;

    f->now += APART;
    req_init(f, &r, first, n);
    req_get(f, &r);
    req_put(f, &r);
}

/* Whether page @i is kept: it need not be mapped. */
static bool is_kept(Fixture *f, unsigned i)
{
    unsigned before = xen_pair_mapped(&f->xen);
    bool kept;
    Req r;

    req_init(f, &r, i, 1);
    kept = req_get(f, &r) == 1 && xen_pair_mapped(&f->xen) == before;
    req_put(f, &r);
    return kept;
}

/* --- tests --- */

static void test_kept(Fixture *f, gconstpointer limit)
{
    void *page[100];
    Req r;

    req_init(f, &r, 0, 100);
    req_get_all(f, &r);
    check_use(f, 100, 100);
    for (unsigned i = 0; i < 100; i++) {
        page[i] = r.grant[i].page;
    }
    req_put(f, &r);
    check_use(f, 100, 0);
    req_get_all(f, &r);
    check_use(f, 100, 100);
    for (unsigned i = 0; i < 100; i++) {
        g_assert_true(r.grant[i].page == page[i]);
    }
    memcpy(r.grant[99].page, "back", 4); /* they can be written, too */
    g_assert_cmpmem(f->xen.pages + 99 * XEN_PAGE_SIZE, 4, "back", 4);
    req_put(f, &r);
    req_put(f, &r); /* there is nothing left to put */
    check_use(f, 100, 0);
    req_init(f, &r, 0, 0);
    req_get_all(f, &r);
    req_put(f, &r);
    check_use(f, 100, 0);
}

/* A page that is in use is nobody else's meanwhile. */
static void test_busy(Fixture *f, gconstpointer limit)
{
    Req a, b;

    req_init(f, &a, 0, 40);
    req_init(f, &b, 20, 40);
    req_get_all(f, &a);
    g_assert_cmpuint(req_get(f, &b), ==, 20);
    check_use(f, 60, 60);
    for (unsigned i = 0; i < 40; i++) {
        g_assert_cmpint(b.grant[i].page != NULL, ==, i >= 20);
    }
    req_put(f, &a);
    check_use(f, 60, 20);
    req_put(f, &b);
    check_use(f, 60, 0);
    req_get_all(f, &b);
    req_put(f, &b);
}

static void test_twice_in_a_request(Fixture *f, gconstpointer limit)
{
    Req r;

    req_init(f, &r, 3, 3);
    r.page[2] = r.page[0];
    r.grant[2].ref = r.grant[0].ref;
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpuint(req_get(f, &r), ==, 2);
        check_use(f, 2, 2);
        g_assert_null(r.grant[2].page);
        req_put(f, &r);
        check_use(f, 2, 0);
    }
}

/* What there is no room for is not mapped. */
static void test_limit(Fixture *f, gconstpointer limit)
{
    Req a, b;

    req_init(f, &a, 0, 90);
    req_init(f, &b, 90, 90);
    req_get_all(f, &a);
    g_assert_cmpuint(req_get(f, &b), ==, 10);
    check_use(f, 100, 100);
    req_put(f, &b);
    req_put(f, &a);
    check_use(f, 100, 0);
}

static void test_limit_0(Fixture *f, gconstpointer limit)
{
    Req r;

    req_init(f, &r, 0, 70);
    g_assert_cmpuint(req_get(f, &r), ==, 0);
    check_use(f, 0, 0);
    req_put(f, &r);
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), ==, 0);
}

/* A step is a page at least. */
static void test_limit_1(Fixture *f, gconstpointer limit)
{
    use_pages(f, 0, 3);
    check_use(f, 1, 0);
    f->now += XEN_BLKBACK_GRANTS_FULL;
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), ==, 0);
    check_use(f, 0, 0);
}

/* What is in use all the time stays, however much more there is. */
static void test_full_and_used(Fixture *f, gconstpointer limit)
{
    use_pages(f, 0, 100);
    for (unsigned i = 0; i < 50; i++) {
        use_pages(f, 100, 50);
        use_pages(f, 0, 100);
        g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), ==,
                         f->now + XEN_BLKBACK_GRANTS_FULL);
        check_use(f, 100, 0);
    }
    g_assert_true(is_kept(f, 99));
}

/* Full, and not enough: 5 % go, those whose last use is the longest ago, once. */
static void test_full(Fixture *f, gconstpointer limit)
{
    for (unsigned i = 100; i-- > 0;) {
        use_pages(f, i, 1); /* not in the order of references */
    }
    use_pages(f, 98, 2);    /* the two that were the first ones */
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), >, f->now);
    check_use(f, 100, 0); /* full is no reason by itself */
    use_pages(f, 200, 1);
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), >, f->now);
    check_use(f, 95, 0);
    f->now += SECOND;
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), >, f->now);
    check_use(f, 95, 0);
    for (unsigned i = 0; i < 93; i++) {
        g_assert_true(is_kept(f, i));
    }
    g_assert_true(is_kept(f, 98) && is_kept(f, 99));
    for (unsigned i = 93; i < 98; i++) {
        g_assert_false(is_kept(f, i));
    }
}

/* All of them are in use: none can go, but later, when there still is no room. */
static void test_full_and_busy(Fixture *f, gconstpointer limit)
{
    Req a, b;

    req_init(f, &a, 0, 100);
    req_init(f, &b, 100, 1);
    req_get(f, &a);
    req_get(f, &b);
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), ==, 0);
    check_use(f, 100, 100);
    req_put(f, &b);
    req_put(f, &a);
    f->now += XEN_BLKBACK_GRANTS_FULL;
    xen_blkback_grants_release(f->g, f->now);
    check_use(f, 95, 0);
}

/* A minute without use; and it is known when that will be. */
static void test_idle(Fixture *f, gconstpointer limit)
{
    uint64_t at, first;

    use_pages(f, 0, 3);
    first = f->now;
    use_pages(f, 3, 1);
    at = xen_blkback_grants_release(f->g, f->now);
    g_assert_cmpuint(at, ==, first + XEN_BLKBACK_GRANTS_IDLE);
    f->now = at - 1;
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), ==, at);
    check_use(f, 4, 0);
    f->now = at;
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), ==, at + APART);
    check_use(f, 1, 0);
    f->now = at + APART - 1;
    g_assert_true(is_kept(f, 3)); /* and used: another minute */
    g_assert_cmpuint(xen_blkback_grants_release(f->g, at + APART), ==,
                     f->now + XEN_BLKBACK_GRANTS_IDLE);
    f->now += XEN_BLKBACK_GRANTS_IDLE;
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), ==, 0);
    check_use(f, 0, 0);
}

/* However long a request takes. */
static void test_busy_is_not_idle(Fixture *f, gconstpointer limit)
{
    Req r;

    req_init(f, &r, 0, 2);
    req_get(f, &r);
    f->now += 10 * XEN_BLKBACK_GRANTS_IDLE;
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), ==, 0);
    check_use(f, 2, 2);
    req_put(f, &r);
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), >, f->now);
    check_use(f, 2, 0);
}

/* Nobody waits for a hundred of them: 5 of 100, each tenth of a second. */
static void test_release_in_steps(Fixture *f, gconstpointer limit)
{
    use_pages(f, 0, 100);
    f->now += XEN_BLKBACK_GRANTS_IDLE;
    for (unsigned left = 95; left > 0; left -= 5) {
        uint64_t at = xen_blkback_grants_release(f->g, f->now);

        check_use(f, left, 0);
        g_assert_cmpuint(at, ==, f->now + XEN_BLKBACK_GRANTS_STEP);
        g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), ==, at);
        check_use(f, left, 0);
        f->now = at;
    }
    g_assert_cmpuint(xen_blkback_grants_release(f->g, f->now), ==, 0);
    check_use(f, 0, 0);
}

/* --- maps that fail --- */

/* All that the process may have mapped is: it is as if there were a lower limit. */
static void test_process_limit(Fixture *f, gconstpointer limit)
{
    XenBlkbackGrants *other = xen_blkback_grants_new(f->xen.host, f->xen.gnttab, XEN_PAIR_DOMID,
                                                     100);
    XenBlkbackGrants *first = f->g;
    Req a, b;

    f->xen.host->max_pages = 70;
    req_init(f, &a, 0, 50);
    req_init(f, &b, 50, 50);
    req_get_all(f, &a);
    f->g = other;
    g_assert_cmpuint(req_get(f, &b), ==, 20);
    req_put(f, &b);
    f->g = first;
    req_put(f, &a);
    f->now += XEN_BLKBACK_GRANTS_IDLE;
    xen_blkback_grants_release(first, f->now); /* 5 */
    f->g = other;
    g_assert_cmpuint(req_get(f, &b), ==, 25);
    req_put(f, &b);
    f->g = first;
    xen_blkback_grants_free(other);
    check_use(f, 45, 0);
    g_assert_cmpuint(f->xen.host->pages, ==, 45);
}

/* Whichever it is: what was mapped before it stays, the others are tried again some time later. */
static void test_map_fails(Fixture *f, gconstpointer limit)
{
    for (unsigned k = 1; k <= 65; k++) {
        Req old, r;

        xen_blkback_grants_free(f->g);
        f->g = xen_blkback_grants_new(f->xen.host, f->xen.gnttab, XEN_PAIR_DOMID, 1056);
        req_init(f, &old, 0, 10);
        req_get_all(f, &old);
        use_pages(f, 10, 10); /* idle, and found */
        req_init(f, &r, 0, 85);
        xenemu_host_fail(f->xen.host->opaque, XENEMU_OP_GNTTAB_MAP, k, GNTST_BAD_PAGE);
        g_assert_cmpuint(req_get(f, &r), ==, 10 + k - 1);
        check_use(f, 20 + k - 1, 20 + k - 1);
        req_put(f, &r);
        f->now += XEN_BLKBACK_GRANTS_STEP - 1;
        g_assert_cmpuint(req_get(f, &r), ==, 10 + k - 1);
        req_put(f, &r);
        f->now++;
        g_assert_cmpuint(req_get(f, &r), ==, 75);
        check_use(f, 85, 85);
        req_put(f, &r);
        req_put(f, &old);
        check_use(f, 85, 0);
    }
}

/* XSA-365: that others went well does not make a page of what is none. */
static void test_bad_page(Fixture *f, gconstpointer limit)
{
    Req r;

    for (unsigned at = 0; at < 80; at += 79) {
        req_init(f, &r, 0, 80);
        r.grant[at].ref = BAD_REF;
        for (unsigned i = 0; i < 3; i++) {
            req_get(f, &r);
            g_assert_null(r.grant[at].page);
            req_put(f, &r);
            f->now += SECOND;
        }
    }
    req_init(f, &r, 0, 80);
    req_get_all(f, &r);
    req_put(f, &r);
}

/* XSA-71: however many of them there are; and XSA-371: the end comes all the same. */
static void test_many_fail(Fixture *f, gconstpointer limit)
{
    Req r;

    use_pages(f, 0, 30);
    for (unsigned i = 0; i < 2000; i++) {
        req_init(f, &r, i % 200, 33);
        r.grant[i % 33].ref = BAD_REF;
        req_get(f, &r);
        g_assert_null(r.grant[i % 33].page);
        req_put(f, &r);
        f->now += XEN_BLKBACK_GRANTS_STEP / 2;
        g_assert_cmpuint(xen_blkback_grants_use(f->g).busy, ==, 0);
        g_assert_cmpuint(xen_blkback_grants_use(f->g).kept, ==, xen_pair_mapped(&f->xen));
        g_assert_cmpuint(xen_pair_mapped(&f->xen), <=, 100);
    }
}

/* --- anything --- */

#define OPEN 6

/* Requests of all kinds, some of which fail, open at once: what is mapped always adds up. */
static void test_random(Fixture *f, gconstpointer limit)
{
    g_autofree Req *req = g_new0(Req, OPEN);
    unsigned open = 0;

    for (unsigned i = 0; i < 3000; i++) {
        Req *r = &req[g_test_rand_int_range(0, OPEN)];
        XenBlkbackGrantsUse use;

        f->now += (uint64_t)g_test_rand_int_range(0, 4) * SECOND;
        if (r->n > 0) {
            req_put(f, r);
            open -= r->got;
            r->n = 0;
        } else {
            unsigned first = (unsigned)g_test_rand_int_range(0, PAGES - 60);

            req_init(f, r, first, (unsigned)g_test_rand_int_range(1, 60));
            if (g_test_rand_int_range(0, 8) == 0) {
                r->grant[r->n - 1].ref = BAD_REF;
            }
            r->got = req_get(f, r);
            open += r->got;
        }
        if (g_test_rand_int_range(0, 3) == 0) {
            xen_blkback_grants_release(f->g, f->now);
        }
        use = xen_blkback_grants_use(f->g);
        g_assert_cmpuint(use.busy, ==, open);
        g_assert_cmpuint(use.kept, <=, GPOINTER_TO_UINT(limit));
        g_assert_cmpuint(use.busy, <=, use.kept);
        g_assert_cmpuint(xen_pair_mapped(&f->xen), ==, use.kept);
    }
    for (unsigned i = 0; i < OPEN; i++) {
        req_put(f, &req[i]);
    }
}

int main(int argc, char **argv)
{
#define ADD(name, limit, fn) \
    g_test_add("/xen-blkback-grants/" name, Fixture, GUINT_TO_POINTER(limit), setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("kept", 1056, test_kept);
    ADD("busy", 100, test_busy);
    ADD("twice-in-a-request", 100, test_twice_in_a_request);
    ADD("limit", 100, test_limit);
    ADD("limit-0", 0, test_limit_0);
    ADD("limit-1", 1, test_limit_1);
    ADD("process-limit", 100, test_process_limit);
    ADD("full", 100, test_full);
    ADD("full-and-busy", 100, test_full_and_busy);
    ADD("full-and-used", 100, test_full_and_used);
    ADD("idle", 100, test_idle);
    ADD("busy-is-not-idle", 100, test_busy_is_not_idle);
    ADD("release-in-steps", 100, test_release_in_steps);
    ADD("xsa-361-362", 1056, test_map_fails);
    ADD("xsa-365", 100, test_bad_page);
    ADD("xsa-71-371", 100, test_many_fail);
    ADD("random", 100, test_random);
    ADD("random-1", 1, test_random);
    return g_test_run();
}
