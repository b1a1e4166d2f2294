/*
 * What a virtqueue itself writes is in the dirty log: no page more, no page less.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtq.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/fd.h"
#include "virtq-rig.h"

/* Pages of the used ring are logged here, wherever it is. */
#define LOG_PAGE 3u
#define LOG_GPA  (LOG_PAGE * 4096ull)

/* A used ring of three pages, the last with avail_event only. */
static const RigConfig split_flags = { "split-flags", 1024, false, false, 0 };
static const RigConfig split_event = { "split-event", 1024, false, true, 0 };
/* A ring of two pages, and a third one for the events. */
static const RigConfig packed_flags = { "packed-flags", 512, true, false, 0 };
static const RigConfig packed_event = { "packed-event", 512, true, true, 0 };

static void log_up(Rig *r, gconstpointer config)
{
    AUTO_FD int fd = memfd_create("log", MFD_CLOEXEC);

    rig_up(r, config);
    g_assert_cmpint(ftruncate(fd, 4096), ==, 0);
    g_assert_true(guest_mem_set_log(r->mem, fd, 4096, 0, NULL));
    r->setup.log = true;
    r->setup.log_gpa = LOG_GPA;
    rig_restart(r);
    virtq_flush(&r->vq);
    virtq_disarm(&r->vq);
    memset(r->mem->log, 0, 4096);
}

static void log_down(Rig *r, gconstpointer config)
{
    rig_down(r);
}

/* The pages from @first on that @bits say, and no others. */
static void expect_pages(Rig *r, unsigned first, unsigned bits)
{
    uint8_t want[4096] = { 0 };

    for (unsigned i = 0; i < 8; i++) {
        want[(first + i) / 8] |= (uint8_t)((bits >> i & 1) << (first + i) % 8);
    }
    g_assert_cmpmem(r->mem->log, sizeof(want), want, sizeof(want));
    memset(r->mem->log, 0, sizeof(want));
}

static void serve(Rig *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        rig_add(r, 1, 0, 1);
    }
    g_assert_cmpint(rig_pop(r, n), ==, n);
    for (unsigned i = 0; i < n; i++) {
        virtq_push(&r->vq, &r->chain[i], 0);
    }
}

static void serve_unlogged(Rig *r, unsigned n)
{
    serve(r, n);
    virtq_flush(&r->vq);
    rig_get(r, n);
    memset(r->mem->log, 0, 4096);
}

static void flush(Rig *r, unsigned n)
{
    virtq_flush(&r->vq);
    rig_get(r, n);
}

/* Entries 0..510 are in the first page, with the index; 511 lies in two. */
static void test_split_entries(Rig *r, gconstpointer config)
{
    serve(r, 511);
    flush(r, 511);
    expect_pages(r, LOG_PAGE, 1);
    serve(r, 1);
    flush(r, 1);
    expect_pages(r, LOG_PAGE, 3);
    serve(r, 511);
    flush(r, 511);
    expect_pages(r, LOG_PAGE, 3); /* 512..1022, and the index */
    serve(r, 1);
    flush(r, 1);
    expect_pages(r, LOG_PAGE, 7); /* 1023 reaches into the third page */
    serve(r, 1);
    flush(r, 1);
    expect_pages(r, LOG_PAGE, 1);
}

static void test_split_wrap(Rig *r, gconstpointer config)
{
    serve_unlogged(r, 1000);
    serve(r, 100);
    flush(r, 100);
    expect_pages(r, LOG_PAGE, 7);
    serve(r, 1000); /* 76..1023, 0..51 */
    flush(r, 1000);
    expect_pages(r, LOG_PAGE, 7);
    serve_unlogged(r, 900);
    serve(r, 1000); /* 952..1023, 0..927 */
    flush(r, 1000);
    expect_pages(r, LOG_PAGE, 7);
    serve_unlogged(r, 1024 - 928 - 1);
    serve(r, 2); /* 1023 and 0 */
    flush(r, 2);
    expect_pages(r, LOG_PAGE, 7);
}

static void test_split_notify(Rig *r, gconstpointer data)
{
    const RigConfig *config = data;

    virtq_arm(&r->vq);
    expect_pages(r, LOG_PAGE, config->event_idx ? 4 : 1);
    virtq_disarm(&r->vq);
    expect_pages(r, LOG_PAGE, config->event_idx ? 0 : 1);
    virtq_disarm(&r->vq);
    expect_pages(r, LOG_PAGE, 0);
}

#define RING_PAGE ((unsigned)(RIG_RING / 4096))

static void test_packed_slots(Rig *r, gconstpointer config)
{
    serve(r, 256);
    flush(r, 256);
    expect_pages(r, RING_PAGE, 1);
    serve(r, 255);
    flush(r, 255);
    expect_pages(r, RING_PAGE, 2);
    serve(r, 2);
    flush(r, 2);
    expect_pages(r, RING_PAGE, 3);
    serve(r, 512);
    flush(r, 512);
    expect_pages(r, RING_PAGE, 3);
}

static void test_packed_notify(Rig *r, gconstpointer config)
{
    virtq_arm(&r->vq);
    expect_pages(r, RING_PAGE, 4);
    virtq_disarm(&r->vq);
    expect_pages(r, RING_PAGE, 4);
    virtq_disarm(&r->vq);
    expect_pages(r, RING_PAGE, 0);
}

static void test_nothing(Rig *r, gconstpointer config)
{
    serve(r, 3);
    expect_pages(r, LOG_PAGE, 0);
    flush(r, 3);
    memset(r->mem->log, 0, 4096);
    virtq_flush(&r->vq);
    virtq_ready(&r->vq);
    g_assert_cmpint(rig_pop(r, 4), ==, 0);
    expect_pages(r, LOG_PAGE, 0);
}

/* What was pushed is published by the stop, so it is logged there. */
static void test_stop(Rig *r, gconstpointer data)
{
    const RigConfig *config = data;

    serve(r, 3);
    virtq_stop(&r->vq);
    expect_pages(r, config->packed ? RING_PAGE : LOG_PAGE, 1);
}

/* There is a log, but the VMM did not ask for the ring to be in it. */
static void test_ring_not_logged(Rig *r, gconstpointer config)
{
    r->setup.log = false;
    rig_restart(r);
    memset(r->mem->log, 0, 4096);
    serve(r, 3);
    flush(r, 3);
    virtq_arm(&r->vq);
    virtq_disarm(&r->vq);
    expect_pages(r, LOG_PAGE, 0);
}

#define ADD(name, config, fn) \
    g_test_add("/hw/virtio/virtq-log/" name, Rig, &config, log_up, fn, log_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("split-entries", split_flags, test_split_entries);
    ADD("split-wrap", split_flags, test_split_wrap);
    ADD("split-notify", split_flags, test_split_notify);
    ADD("split-notify-event", split_event, test_split_notify);
    ADD("packed-slots", packed_flags, test_packed_slots);
    ADD("packed-notify", packed_flags, test_packed_notify);
    ADD("packed-notify-event", packed_event, test_packed_notify);
    ADD("split-nothing", split_flags, test_nothing);
    ADD("packed-nothing", packed_flags, test_nothing);
    ADD("split-stop", split_flags, test_stop);
    ADD("packed-stop", packed_flags, test_stop);
    ADD("split-not-asked-for", split_event, test_ring_not_logged);
    ADD("packed-not-asked-for", packed_event, test_ring_not_logged);
    return g_test_run();
}
