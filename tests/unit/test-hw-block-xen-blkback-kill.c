/*
 * A backend that is killed with requests under way, and the next one, which goes on with the
 * frontend's rings: each request is answered once.
 *
 * The kill is a picture of what outlives the process (the ring, the file of the record, XenStore),
 * taken at some moment; the first backend then ends in its own way, and the picture is put back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "vbd-raw.h"
#include "xen-blkback-internal.h"

typedef struct Kill {
    VbdRaw r;
    char *dir;             /* of records */
    GPtrArray *names;      /* of files in it, and what they have */
    GPtrArray *files;
    uint8_t *rings[VBD_RAW_QUEUES];
} Kill;

static void open_dir(Kill *k)
{
    k->r.env.record_dir = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(k->r.env.record_dir, >=, 0);
}

static void setup(Kill *k, gconstpointer data)
{
    *k = (Kill) { .dir = g_dir_make_tmp("ringtap-record-XXXXXX", NULL) };
    k->names = g_ptr_array_new_with_free_func(g_free);
    k->files = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    vbd_raw_init(&k->r);
    k->r.held = true;
    open_dir(k);
}

static void teardown(Kill *k, gconstpointer data)
{
    vbd_raw_down(&k->r);
    g_assert_cmpint(g_rmdir(k->dir), ==, 0); /* a proper end leaves no record */
    g_ptr_array_free(k->names, true);
    g_ptr_array_free(k->files, true);
    for (unsigned i = 0; i < VBD_RAW_QUEUES; i++) {
        g_free(k->rings[i]);
    }
    g_free(k->dir);
}

static size_t ring_bytes(const Kill *k)
{
    return (k->r.order < 0 ? 1u : 1u << k->r.order) * XEN_PAGE_SIZE;
}

/* The moment of the kill. */
static void take_picture(Kill *k)
{
    g_autoptr(GDir) dir = g_dir_open(k->dir, 0, NULL);
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        char *path = g_build_filename(k->dir, name, NULL);
        char *content;
        gsize size;

        g_assert_true(g_file_get_contents(path, &content, &size, NULL));
        g_ptr_array_add(k->names, path);
        g_ptr_array_add(k->files, g_bytes_new_take(content, size));
    }
    for (unsigned q = 0; q < k->r.n_rings; q++) {
        g_free(k->rings[q]);
        k->rings[q] = g_memdup2(k->r.queue[q].pages, ring_bytes(k));
    }
}

static void put_back(Kill *k)
{
    for (unsigned i = 0; i < k->names->len; i++) {
        gsize size;
        const char *content = g_bytes_get_data(k->files->pdata[i], &size);

        g_assert_true(g_file_set_contents(k->names->pdata[i], content, (gssize)size, NULL));
    }
    g_ptr_array_set_size(k->names, 0);
    g_ptr_array_set_size(k->files, 0);
    for (unsigned q = 0; q < k->r.n_rings; q++) {
        memcpy(k->r.queue[q].pages, k->rings[q], ring_bytes(k));
    }
}

/* The first one, which was killed, is gone: what it does from here on, never happened. */
static void bury(Kill *k)
{
    k->r.d->bus.created = false; /* its nodes stay */
    held_disk_hold(&k->r.disk, false);
    vbd_raw_back_free(&k->r);
    put_back(k);
}

static void kill_back(Kill *k)
{
    take_picture(k);
    bury(k);
}

/* Without a word to the frontend. */
static void start_next(Kill *k)
{
    unsigned connected = k->r.connected + 1;

    open_dir(k);
    vbd_raw_back(&k->r);
    VBD_WAIT(k->r.connected == connected);
    g_assert_true(vbd_raw_back_is(&k->r, 4));
    g_assert_true(k->r.d->bus.goes_on);
}

/* @n reads of different sectors on each queue, into pages from 10 on. */
static void put_reads(VbdRaw *r, unsigned n, uint64_t ids[][64])
{
    for (unsigned q = 0; q < r->n_queues; q++) {
        for (unsigned i = 0; i < n; i++) {
            XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, 8 * i, 1, 10 + 100 * q + i);

            memset(vbd_raw_page(r, 10 + 100 * q + i), 0, XEN_PAGE_SIZE);
            ids[q][i] = vbd_raw_put(r, q, &req);
        }
        vbd_raw_push(r, q);
    }
}

/* Each of them, once, in whatever order, and no other. */
static void expect_once(VbdRaw *r, unsigned queue, const uint64_t *ids, unsigned n)
{
    bool seen[64] = { false };

    vbd_raw_wait(r, queue, n);
    for (unsigned i = 0; i < n; i++) {
        XenBlkifResponse rsp = vbd_raw_get(r, queue);
        unsigned k = 0;

        while (k < n && ids[k] != rsp.id) {
            k++;
        }
        g_assert_cmpuint(k, <, n);
        g_assert_false(seen[k]);
        seen[k] = true;
        g_assert_cmpint(rsp.status, ==, BLKIF_RSP_OKAY);
        for (unsigned b = 0; b < XEN_PAGE_SIZE; b += 511) {
            g_assert_cmpuint(vbd_raw_page(r, 10 + 100 * queue + k)[b], ==,
                             block_rig_byte(8 * k * 512 + b));
        }
    }
    g_assert_cmpint(xen_ring_responses(&r->queue[queue].ring), ==, 0);
}

/* Some taken and none answered, on several rings, wherever these stand, by each way. */
static void test_under_way(Kill *k, gconstpointer data)
{
    static const struct {
        const char *protocol;
        bool persistent;
        int order;
        unsigned n;
    } cases[] = {
        { XEN_IO_PROTO_ABI_X86_64, true, -1, 32 },
        { XEN_IO_PROTO_ABI_X86_32, false, 1, 20 },
        { XEN_IO_PROTO_ABI_ARM, false, 4, 64 },
    };
    VbdRaw *r = &k->r;

    r->n_queues = 3;
    r->start = 0xfffffff0;
    vbd_raw_back(r);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t ids[3][64];

        r->protocol = cases[i].protocol;
        r->persistent = cases[i].persistent;
        r->order = cases[i].order;
        VBD_WAIT(vbd_raw_back_is(r, 2));
        vbd_raw_front(r);
        vbd_raw_connect(r);
        held_disk_hold(&r->disk, true);
        put_reads(r, cases[i].n, ids);
        VBD_WAIT(held_disk_held(&r->disk) == 3 * cases[i].n);
        kill_back(k);
        for (unsigned q = 0; q < 3; q++) {
            for (unsigned p = 0; p < cases[i].n; p++) {
                memset(vbd_raw_page(r, 10 + 100 * q + p), 0, XEN_PAGE_SIZE);
            }
        }
        start_next(k);
        for (unsigned q = 0; q < 3; q++) {
            expect_once(r, q, ids[q], cases[i].n);
        }
        vbd_raw_close(r);
        vbd_raw_state(r, 1);
    }
    g_assert_cmpuint(r->errors, ==, 0);
}

/* Some answered and some not, out of order; and some still on the ring. */
static void test_answered_in_part(Kill *k, gconstpointer data)
{
    VbdRaw *r = &k->r;
    uint64_t ids[1][64], left[24], seen[8];
    unsigned n = 0;

    vbd_raw_up(r);
    held_disk_hold(&r->disk, true);
    put_reads(r, 32, ids);
    VBD_WAIT(held_disk_held(&r->disk) == 32);
    held_disk_end(&r->disk, 5, true);
    held_disk_end(&r->disk, 3, false);
    vbd_raw_wait(r, 0, 8);
    for (unsigned i = 0; i < 8; i++) {
        seen[i] = vbd_raw_get(r, 0).id;
    }
    for (unsigned i = 0; i < 32; i++) {
        bool was = false;

        for (unsigned s = 0; s < 8; s++) {
            was |= seen[s] == ids[0][i];
        }
        if (!was) {
            left[n++] = ids[0][i];
        }
    }
    g_assert_cmpuint(n, ==, 24);
    kill_back(k);
    start_next(k);
    vbd_raw_wait(r, 0, 24);
    for (unsigned i = 0; i < 24; i++) {
        uint64_t id = vbd_raw_get(r, 0).id;
        unsigned at = 0;

        while (at < 24 && left[at] != id) {
            at++;
        }
        g_assert_cmpuint(at, <, 24);
        left[at] = 0;
    }
}

/* Killed again and again; each successor takes what the last one had taken. */
static void test_again_and_again(Kill *k, gconstpointer data)
{
    VbdRaw *r = &k->r;
    uint64_t ids[1][64];

    vbd_raw_up(r);
    held_disk_hold(&r->disk, true);
    put_reads(r, 12, ids);
    VBD_WAIT(held_disk_held(&r->disk) == 12);
    for (unsigned i = 0; i < 10; i++) {
        kill_back(k);
        held_disk_hold(&r->disk, true);
        start_next(k);
        VBD_WAIT(held_disk_held(&r->disk) == 12);
    }
    held_disk_hold(&r->disk, false);
    expect_once(r, 0, ids[0], 12);
}

/* What was written before the kill, and what comes after it: a barrier keeps its place. */
static void test_barrier(Kill *k, gconstpointer data)
{
    VbdRaw *r = &k->r;
    XenBlkifRequest write, barrier;
    uint64_t ids[3];

    vbd_raw_up(r);
    held_disk_hold(&r->disk, true);
    write = vbd_raw_rw(r, BLKIF_OP_WRITE, 0, 2, 10);
    barrier = vbd_raw_rw(r, BLKIF_OP_WRITE_BARRIER, 16, 1, 20);
    ids[0] = vbd_raw_put(r, 0, &write);
    ids[1] = vbd_raw_put(r, 0, &barrier);
    ids[2] = vbd_raw_put(r, 0, &write);
    vbd_raw_push(r, 0);
    VBD_WAIT(held_disk_held(&r->disk) == 1);
    g_usleep(2000); /* the barrier was taken as well */
    kill_back(k);
    held_disk_hold(&r->disk, true);
    start_next(k);
    for (unsigned i = 0; i < 5; i++) { /* write; flush, write, flush; write */
        VBD_WAIT(held_disk_held(&r->disk) == 1);
        held_disk_end(&r->disk, 1, false);
    }
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpuint(vbd_raw_get(r, 0).id, ==, ids[i]);
    }
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_FLUSH), >=, 2);
}

/* Nothing was under way: there is no need of a record. */
static void test_idle(Kill *k, gconstpointer data)
{
    VbdRaw *r = &k->r;
    XenBlkifRequest req;

    vbd_raw_up(r);
    req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 1, 10);
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    kill_back(k);
    start_next(k);
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
}

/*
 * The record is gone, or is another ring's: the requests cannot be answered, and the frontend,
 * which has to begin anew, sends them again.
 */
static void lose_record(Kill *k, bool damage)
{
    VbdRaw *r = &k->r;
    uint64_t ids[1][64];
    g_autofree char *path = NULL;

    vbd_raw_up(r);
    held_disk_hold(&r->disk, true);
    put_reads(r, 4, ids);
    VBD_WAIT(held_disk_held(&r->disk) == 4);
    take_picture(k);
    path = g_strdup(k->names->pdata[0]);
    bury(k);
    if (damage) {
        g_assert_true(g_file_set_contents(path, "ringtap vbd 000", -1, NULL));
    } else {
        g_assert_cmpint(g_unlink(path), ==, 0);
    }
    open_dir(k);
    vbd_raw_back(r);
    VBD_WAIT(r->errors == 1);
    g_assert_nonnull(strstr(r->error, "left no record"));
    g_assert_true(vbd_raw_back_is(r, 5));
    vbd_raw_close(r);
    g_assert_false(damage && g_unlink(path) != 0 && g_file_test(path, G_FILE_TEST_EXISTS));
    vbd_raw_state(r, 1);
    VBD_WAIT(vbd_raw_back_is(r, 2));
    vbd_raw_front(r);
    vbd_raw_connect(r);
    put_reads(r, 4, ids);
    expect_once(r, 0, ids[0], 4);
}

static void test_lost_record(Kill *k, gconstpointer data)
{
    lose_record(k, false);
}

static void test_damaged_record(Kill *k, gconstpointer data)
{
    lose_record(k, true);
}

/* The frontend keeps what it was told; other options are for the next connection. */
static void test_other_options(Kill *k, gconstpointer data)
{
    VbdRaw *r = &k->r;
    XenBlkifRequest req;

    r->n_queues = 4;
    r->order = 3;
    vbd_raw_up(r);
    req = vbd_raw_indirect(r, BLKIF_OP_READ, 0, 200, 10, 0);
    g_assert_cmpint(vbd_raw_do(r, 3, &req), ==, BLKIF_RSP_OKAY);
    held_disk_hold(&r->disk, true);
    req = vbd_raw_indirect(r, BLKIF_OP_READ, 0, 200, 10, 0);
    vbd_raw_put(r, 2, &req);
    vbd_raw_push(r, 2);
    VBD_WAIT(held_disk_held(&r->disk) == 1);
    kill_back(k);
    r->config.num_queues = 1;
    r->config.max_ring_page_order = 0;
    r->config.max_indirect_segments = 0;
    r->config.persistent_grants = false;
    r->config.logical_block_size = 4096;
    start_next(k);
    g_assert_cmpint(vbd_raw_get(r, 2).status, ==, BLKIF_RSP_OKAY);
    req = vbd_raw_indirect(r, BLKIF_OP_READ, 1, 200, 10, 0);
    g_assert_cmpint(vbd_raw_do(r, 3, &req), ==, BLKIF_RSP_OKAY);
    g_assert_true(vbd_is(&r->v, r->v.be, "multi-queue-max-queues", "4"));
    g_assert_true(vbd_is(&r->v, r->v.be, "sector-size", "512"));
    vbd_raw_close(r);
    vbd_raw_state(r, 1);
    VBD_WAIT(vbd_raw_back_is(r, 2));
    g_assert_true(vbd_is(&r->v, r->v.be, "multi-queue-max-queues", "1"));
    g_assert_true(vbd_is(&r->v, r->v.be, "max-ring-page-order", NULL));
    g_assert_true(vbd_is(&r->v, r->v.be, "feature-max-indirect-segments", NULL));
    g_assert_true(vbd_is(&r->v, r->v.be, "feature-persistent", "0"));
    g_assert_true(vbd_is(&r->v, r->v.be, "sector-size", "4096"));
    r->n_queues = 1;
    r->order = -1;
    vbd_raw_front(r);
    vbd_raw_connect(r);
    req = vbd_raw_indirect(r, BLKIF_OP_READ, 0, 200, 10, 0);
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_EOPNOTSUPP);
}

/* The frontend went on without its backend: to the end of its connection, or to another one. */
static void test_frontend_that_closed(Kill *k, gconstpointer data)
{
    VbdRaw *r = &k->r;
    uint64_t ids[1][64];

    vbd_raw_up(r);
    held_disk_hold(&r->disk, true);
    put_reads(r, 4, ids);
    VBD_WAIT(held_disk_held(&r->disk) == 4);
    kill_back(k);
    vbd_raw_state(r, 6);
    open_dir(k);
    vbd_raw_back(r);
    VBD_WAIT(vbd_raw_back_is(r, 6));
    vbd_raw_front_free(r);
    vbd_raw_state(r, 1);
    VBD_WAIT(vbd_raw_back_is(r, 2));
    vbd_raw_front(r);
    vbd_raw_connect(r);
    put_reads(r, 4, ids);
    expect_once(r, 0, ids[0], 4);
}

static unsigned records(const Kill *k)
{
    g_autoptr(GDir) dir = g_dir_open(k->dir, 0, NULL);
    unsigned n = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

/* The next connection has fewer rings: of the others nothing is kept. */
static void test_fewer_rings(Kill *k, gconstpointer data)
{
    VbdRaw *r = &k->r;
    XenBlkifRequest req;

    r->n_queues = 4;
    vbd_raw_up(r);
    g_assert_cmpuint(records(k), ==, 4);
    kill_back(k);
    vbd_raw_state(r, 6);
    open_dir(k);
    vbd_raw_back(r);
    VBD_WAIT(vbd_raw_back_is(r, 6));
    vbd_raw_front_free(r);
    vbd_raw_state(r, 1);
    VBD_WAIT(vbd_raw_back_is(r, 2));
    g_assert_cmpuint(records(k), ==, 0);
    r->n_queues = 1;
    vbd_raw_front(r);
    vbd_raw_connect(r);
    req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 1, 10);
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    g_assert_cmpuint(records(k), ==, 1);
}

/* The frontend goes on with one ring, and there is a record of another one. */
static void test_rings_of_nobody(Kill *k, gconstpointer data)
{
    g_autofree char *name = NULL;
    g_autofree char *path = NULL;

    vbd_raw_up(&k->r);
    name = xen_blkback_record_name(k->r.d->bus.frontend_id, k->r.d->bus.idx, 2);
    path = g_build_filename(k->dir, name, NULL);
    g_assert_true(g_file_set_contents(path, "ringtap vbd 001", -1, NULL));
    kill_back(k);
    g_assert_cmpuint(records(k), ==, 2);
    start_next(k);
    g_assert_cmpuint(records(k), ==, 1);
}

typedef struct Test {
    const char *name;
    void (*run)(Kill *k, gconstpointer data);
} Test;

static const Test tests[] = {
    { "under-way", test_under_way },
    { "answered-in-part", test_answered_in_part },
    { "again-and-again", test_again_and_again },
    { "barrier", test_barrier },
    { "idle", test_idle },
    { "lost-record", test_lost_record },
    { "damaged-record", test_damaged_record },
    { "other-options", test_other_options },
    { "frontend-that-closed", test_frontend_that_closed },
    { "fewer-rings", test_fewer_rings },
    { "rings-of-nobody", test_rings_of_nobody },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/xen-blkback/kill/%s", tests[i].name);

        g_test_add(path, Kill, NULL, setup, tests[i].run, teardown);
    }
    return g_test_run();
}
