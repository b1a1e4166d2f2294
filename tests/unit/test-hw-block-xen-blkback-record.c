/*
 * The record of a ring: what is found after a kill at any moment. The kill is a copy of the file,
 * opened as another process would.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkback-record.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOTS 32u

typedef struct Fixture {
    char *path;
    int dir;
    XenBlkbackRecordRing ring;
    XenBlkbackRecord *r;
    uint32_t req;      /* the next request's index */
    uint32_t rsp_prod; /* as the ring has it */
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->path = g_dir_make_tmp("record-XXXXXX", NULL);
    f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->ring = (XenBlkbackRecordRing) {
        .n_slots = SLOTS, .slot_size = 112, .port = 5, .n_refs = 2, .ref = { 8, 9 },
    };
    f->req = f->rsp_prod = GPOINTER_TO_UINT(data);
    f->r = xen_blkback_record_new(f->dir, "one", &f->ring, f->req, &error);
    g_assert_no_error(error);
}

static void teardown(Fixture *f, gconstpointer data)
{
    xen_blkback_record_free(f->r);
    close(f->dir);
    g_assert_cmpint(g_rmdir(f->path), ==, 0); /* its file is gone, too */
    g_free(f->path);
}

static uint16_t take(Fixture *f)
{
    uint16_t e = xen_blkback_record_next(f->r);

    memset(xen_blkback_record_slot(f->r, e), (int)f->req, 112);
    xen_blkback_record_take(f->r, e, f->req++);
    return e;
}

static XenBlkbackRecord *killed(Fixture *f)
{
    g_autofree char *from = g_build_filename(f->path, "one", NULL);
    g_autofree char *to = g_build_filename(f->path, "two", NULL);
    g_autofree char *bytes = NULL;
    gsize n;
    XenBlkbackRecord *r;

    g_assert_true(g_file_get_contents(from, &bytes, &n, NULL));
    g_assert_true(g_file_set_contents(to, bytes, (gssize)n, NULL));
    r = xen_blkback_record_open(f->dir, "two", &f->ring, NULL);
    g_assert_nonnull(r);
    return r;
}

/* After a kill now, these requests are under way, in this order. */
static void expect(Fixture *f, uint32_t cons, const uint32_t *request, unsigned n)
{
    XenBlkbackRecord *r = killed(f);
    uint16_t left[SLOTS];
    uint32_t got = 0;

    g_assert_cmpint(xen_blkback_record_recover(r, f->rsp_prod, left, &got), ==, n);
    g_assert_cmpuint(got, ==, cons);
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *slot = xen_blkback_record_slot(r, left[i]);

        g_assert_cmpuint(slot[0], ==, request[i] & 0xff);
        g_assert_cmpuint(slot[111], ==, request[i] & 0xff);
    }
    for (unsigned i = n; i < SLOTS; i++) { /* there is room for all the others */
        uint16_t e = xen_blkback_record_next(r);

        g_assert_cmpuint(e, !=, UINT16_MAX);
        xen_blkback_record_take(r, e, cons + i);
    }
    g_assert_cmpuint(xen_blkback_record_next(r), ==, UINT16_MAX);
    xen_blkback_record_free(r);
}

static void test_steps(Fixture *f, gconstpointer data)
{
    uint32_t first = f->req;
    uint16_t a, b, c;

    expect(f, first + 0, NULL, 0);
    a = take(f);
    b = take(f);
    c = take(f);
    expect(f, first + 3, (uint32_t[]) { first, first + 1, first + 2 }, 3);
    xen_blkback_record_answer(f->r, b, f->rsp_prod);
    xen_blkback_record_answer(f->r, c, f->rsp_prod + 1);
    expect(f, first + 3, (uint32_t[]) { first, first + 1, first + 2 }, 3); /* nobody saw it */
    f->rsp_prod += 2;
    expect(f, first + 3, (uint32_t[]) { first }, 1);
    xen_blkback_record_forget(f->r, b);
    expect(f, first + 3, (uint32_t[]) { first }, 1);
    xen_blkback_record_forget(f->r, c);
    b = take(f);
    expect(f, first + 4, (uint32_t[]) { first, first + 3 }, 2);
    xen_blkback_record_answer(f->r, a, f->rsp_prod++);
    expect(f, first + 4, (uint32_t[]) { first + 3 }, 1);
}

/* What was answered and not seen is answered elsewhere, after the next kill, too. */
static void test_again(Fixture *f, gconstpointer data)
{
    uint16_t a = take(f), b = take(f), left[SLOTS];
    XenBlkbackRecord *r;
    uint32_t cons;

    xen_blkback_record_answer(f->r, a, f->rsp_prod);
    r = killed(f);
    g_assert_cmpint(xen_blkback_record_recover(r, f->rsp_prod, left, &cons), ==, 2);
    xen_blkback_record_answer(r, b, f->rsp_prod++);
    g_assert_cmpint(xen_blkback_record_recover(r, f->rsp_prod, left, &cons), ==, 1);
    g_assert_cmpuint(left[0], ==, a);
    xen_blkback_record_free(r);
}

/* The slot is written, and the request not taken: it is on the ring still. */
static void test_half_taken(Fixture *f, gconstpointer data)
{
    uint32_t first = f->req;

    take(f);
    memset(xen_blkback_record_slot(f->r, xen_blkback_record_next(f->r)), 0xee, 112);
    expect(f, first + 1, (uint32_t[]) { first }, 1);
}

static void test_wrong_ring(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    XenBlkbackRecordRing other = f->ring;
    uint16_t left[SLOTS];
    uint32_t cons;
    XenBlkbackRecord *r;

    other.port++;
    g_assert_null(xen_blkback_record_open(f->dir, "one", &other, &error));
    g_assert_nonnull(error);
    other = f->ring;
    other.ref[1]++;
    g_assert_null(xen_blkback_record_open(f->dir, "one", &other, NULL));
    other = f->ring;
    other.n_slots *= 2;
    g_assert_null(xen_blkback_record_open(f->dir, "one", &other, NULL));
    g_assert_null(xen_blkback_record_open(f->dir, "none", &f->ring, NULL));
    g_assert_null(xen_blkback_record_open(-1, "one", &f->ring, NULL));
    take(f);
    r = killed(f);
    g_assert_cmpint(xen_blkback_record_recover(r, f->rsp_prod + 1, left, &cons), ==, -1);
    xen_blkback_record_free(r);
}

/* Nobody else's link or file is written to. */
static void test_stale(Fixture *f, gconstpointer data)
{
    g_autofree char *link = g_build_filename(f->path, "link", NULL);
    g_autofree char *victim = g_build_filename(f->path, "victim", NULL);
    XenBlkbackRecord *r;
    struct stat st;

    g_assert_true(g_file_set_contents(victim, "text", 4, NULL));
    g_assert_cmpint(symlink(victim, link), ==, 0);
    g_assert_null(xen_blkback_record_open(f->dir, "link", &f->ring, NULL));
    r = xen_blkback_record_new(f->dir, "link", &f->ring, 0, NULL);
    g_assert_nonnull(r);
    g_assert_cmpint(stat(victim, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 4);
    xen_blkback_record_free(r);
    g_assert_cmpint(g_unlink(victim), ==, 0);
}

static void test_no_file(Fixture *f, gconstpointer data)
{
    XenBlkbackRecord *r = xen_blkback_record_new(-1, "none", &f->ring, 0, NULL);

    g_assert_nonnull(r);
    for (unsigned i = 0; i < SLOTS; i++) {
        xen_blkback_record_take(r, xen_blkback_record_next(r), i);
    }
    g_assert_cmpuint(xen_blkback_record_next(r), ==, UINT16_MAX);
    xen_blkback_record_free(r);
    xen_blkback_record_free(NULL);
}

int main(int argc, char **argv)
{
#define ADD(name, fn, start) \
    g_test_add("/xen-blkback-record/" name, Fixture, GUINT_TO_POINTER(start), setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("steps", test_steps, 0);
    ADD("steps-wrap", test_steps, 0xfffffffeu);
    ADD("again", test_again, 0);
    ADD("again-wrap", test_again, 0xffffffffu);
    ADD("half-taken", test_half_taken, 7);
    ADD("wrong-ring", test_wrong_ring, 0);
    ADD("stale", test_stale, 0);
    ADD("no-file", test_no_file, 0);
    return g_test_run();
}
