/*
 * An emulated Xen host in this process with one guest, that has a blkfront. The backend is the
 * test's: vbd-back.h has one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VBD_H
#define TESTS_LIB_VBD_H

#include "hw/block/xen-blkfront.h"

#define VBD_DEV 51712u /* xvda */
#define VBD_RAM ((size_t)160 << 20)

typedef struct Vbd {
    const struct Vbd *beside; /* whose host it shares; NULL: it has one of its own */
    char *dir;
    char *path;            /* of the emulated Xen's socket */
    Xen *host;
    Xen *guest;
    XenStore *host_store;
    XenStore *guest_store;
    char *be;              /* directories in XenStore */
    char *fe;

    XenBlkfrontConfig config; /* for vbd_front_start() */
    IoThread *const *threads; /* likewise; NULL: each ring has one of its own */
    unsigned n_threads;
    XenBlkfront *bf;
    unsigned connected;    /* events so far */
    unsigned disconnected;
    unsigned errors;
    unsigned resized;
    bool closed;
    char *error;           /* the last one's detail */
} Vbd;

/* Host, guest, both XenStore connections. The config: a ring of a page, no indirect segments. */
void vbd_up(Vbd *v);
/* Another guest of @first's host; it goes down before @first. */
void vbd_up_beside(Vbd *v, const Vbd *first);
/* Closes the frontend if there is one, checks that nothing is left. The backend is gone. */
void vbd_down(Vbd *v);

void vbd_front_start(Vbd *v);
/* The same, and waits until it is connected. */
void vbd_front_connect(Vbd *v);
/* In the proper way, waited for. */
void vbd_front_close(Vbd *v);

/* A node of the frontend's or backend's directory is @want; NULL: it is not there. */
bool vbd_is(Vbd *v, const char *dir, const char *key, const char *want);
void vbd_put(Vbd *v, const char *dir, const char *key, const char *value);

/* A request that is waited for, or some: zeroed, but for what the request says. */
typedef struct VbdJob {
    XenBlkfrontRequest req;
    struct iovec iov;
    int res;
    int done; /* atomic; how often it was told */
} VbdJob;

/* @buf and @bytes may be of nothing. */
void vbd_submit(Vbd *v, unsigned queue, VbdJob *job, BlockOp op, uint64_t offset, void *buf,
                uint64_t bytes);
/* req and iov are filled in. */
void vbd_submit_job(Vbd *v, unsigned queue, VbdJob *job);
bool vbd_is_done(const VbdJob *jobs, unsigned n);
/* Each was done once, with @res. */
void vbd_expect(const VbdJob *jobs, unsigned n, int res);
/* One on queue 0, to its end. Returns its result. */
int vbd_io(Vbd *v, BlockOp op, uint64_t offset, void *buf, uint64_t bytes);

/* The sum of a counter over all queues: &stats->x of queue 0 gives its place. */
uint64_t vbd_count(const Vbd *v, size_t offset);
#define VBD_COUNT(v, field) vbd_count(v, offsetof(XenBlkfrontStats, field))

/* Runs the main loop until @cond is true; fails after a minute. */
#define VBD_WAIT(cond)                                                              \
    do {                                                                            \
        gint64 vbd_end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;              \
        guint vbd_tick = vbd_tick_start();                                          \
        while (!(cond)) {                                                           \
            g_assert_cmpint(g_get_monotonic_time(), <, vbd_end);                    \
            g_main_context_iteration(NULL, true);                                   \
        }                                                                           \
        g_source_remove(vbd_tick);                                                  \
    } while (0)
guint vbd_tick_start(void);

#endif
