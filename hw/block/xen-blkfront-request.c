/*
 * Requests from xen_blkfront_submit() to done(), as far as no ring is concerned.
 *
 *     submitted --> todo --> cur --> slots of the ring --> done
 *                             ^             |
 *                             +-- replay <--+ the connection ended
 *
 * A request is in one piece up to cur, of which a ring takes as much as fits into a slot at a time.
 * Each of these pieces is answered or comes back, then it is split anew.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkfront-internal.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/fd.h"

static void lane_wake(BlkfrontLane *l)
{
    uint64_t one = 1;

    if (write(l->wake_fd, &one, sizeof(one)) < 0) {
        return; /* full: it is awake */
    }
}

static void lane_clear_event(BlkfrontLane *l)
{
    uint64_t n;

    if (read(l->wake_fd, &n, sizeof(n)) < 0) {
        return; /* nobody wrote */
    }
}

/* The poller, which runs after it, looks. */
static void lane_ready(IoSource *s, uint32_t events)
{
    lane_clear_event(container_of(s, BlkfrontLane, source));
}

/* --- a ring's thread --- */

void blkfront_part_done(XenBlkfrontRequest *req, int res)
{
    if (req->res == 0) {
        req->res = res;
    }
    if (--req->parts == 0) {
        req->done(req, req->res);
    }
}

void blkfront_lane_refill(BlkfrontLane *l)
{
    pthread_mutex_lock(&l->lock);
    if (l->first) {
        *l->todo_end = l->first;
        l->todo_end = l->end;
        l->first = NULL;
        l->end = &l->first;
    }
    l->asleep = false;
    pthread_mutex_unlock(&l->lock);
}

bool blkfront_lane_next(BlkfrontLane *l)
{
    XenBlkfrontRequest *req = l->todo;

    if (l->cur.req) {
        return true;
    }
    if (l->replay->len > 0) {
        l->cur = g_array_index(l->replay, BlkfrontPart, l->replay->len - 1);
        g_array_set_size(l->replay, l->replay->len - 1);
        return true;
    }
    if (!req) {
        return false;
    }
    l->todo = req->next;
    if (!l->todo) {
        l->todo_end = &l->todo;
    }
    req->parts = 1; /* what is not on a ring yet */
    l->cur = (BlkfrontPart) { .req = req, .left = req->bytes };
    return true;
}

bool blkfront_lane_arm(BlkfrontLane *l)
{
    bool work;

    pthread_mutex_lock(&l->lock);
    work = l->first != NULL;
    l->asleep = !work;
    pthread_mutex_unlock(&l->lock);
    return work;
}

/* --- any thread --- */

void xen_blkfront_submit(XenBlkfront *bf, unsigned queue, XenBlkfrontRequest *req)
{
    BlkfrontLane *l = &bf->lane[queue];
    bool wake;

    g_assert(queue < bf->n_lanes);
    req->next = NULL;
    req->res = 0;
    pthread_mutex_lock(&l->lock);
    *l->end = req;
    l->end = &req->next;
    wake = l->asleep;
    l->asleep = false;
    pthread_mutex_unlock(&l->lock);
    if (wake) {
        lane_wake(l);
    }
}

/* --- main thread, while there is no ring --- */

void blkfront_lane_replay(BlkfrontLane *l, const BlkfrontPart *part)
{
    g_array_append_val(l->replay, *part);
    counter_add(&l->stats.replayed, 1);
}

static gint part_compare(gconstpointer a, gconstpointer b)
{
    uint64_t x = ((const BlkfrontPart *)a)->id, y = ((const BlkfrontPart *)b)->id;

    return (x < y) - (x > y);
}

void blkfront_lane_sort(BlkfrontLane *l)
{
    g_array_sort(l->replay, part_compare);
}

/* What is submitted from within stays. */
static void lane_end_all(BlkfrontLane *l, int res)
{
    blkfront_lane_refill(l);
    while (blkfront_lane_next(l)) {
        XenBlkfrontRequest *req = l->cur.req;

        l->cur.req = NULL;
        blkfront_part_done(req, res);
    }
}

static gboolean lane_failed_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    BlkfrontLane *l = opaque;

    lane_clear_event(l);
    lane_end_all(l, -EIO);
    if (blkfront_lane_arm(l)) { /* it was submitted meanwhile: the next round's */
        lane_wake(l);
    }
    return G_SOURCE_CONTINUE;
}

void blkfront_lane_fail(BlkfrontLane *l)
{
    if (!l->failed_source) {
        l->failed_source = g_unix_fd_add(l->wake_fd, G_IO_IN, lane_failed_ready, l);
        lane_failed_ready(l->wake_fd, G_IO_IN, l);
    }
}

bool blkfront_lane_init(BlkfrontLane *l, GError **error)
{
    pthread_mutex_init(&l->lock, NULL);
    l->end = &l->first;
    l->todo_end = &l->todo;
    l->replay = g_array_new(false, false, sizeof(BlkfrontPart));
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot create an eventfd: %s", g_strerror(errno));
        return false;
    }
    l->source = (IoSource) { .fd = l->wake_fd, .ready = lane_ready };
    return true;
}

void blkfront_lane_done(BlkfrontLane *l)
{
    if (!l->replay) {
        return;
    }
    g_clear_handle_id(&l->failed_source, g_source_remove);
    lane_end_all(l, -ECANCELED);
    g_assert(!l->first);
    g_clear_pointer(&l->replay, g_array_unref);
    if (l->wake_fd >= 0) {
        fd_close(&l->wake_fd);
    }
    pthread_mutex_destroy(&l->lock);
}
