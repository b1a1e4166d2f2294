/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vbd.h"

#include <glib/gstdio.h>

#include "hw/core/counter.h"
#include "util/container-of.h"

static gboolean tick(gpointer opaque)
{
    return G_SOURCE_CONTINUE;
}

guint vbd_tick_start(void)
{
    return g_timeout_add(2, tick, NULL);
}

static void add_guest(Vbd *v)
{
    g_autoptr(GError) error = NULL;

    v->guest = xen_xenemu_open_guest(v->path, -1, VBD_RAM, &error);
    g_assert_no_error(error);
    v->guest_store = xen_store_open(v->guest->store_path, &error);
    g_assert_no_error(error);
    v->be = g_strdup_printf("/local/domain/0/backend/vbd/%u/%u", v->guest->domid, VBD_DEV);
    v->fe = g_strdup_printf("/local/domain/%u/device/vbd/%u", v->guest->domid, VBD_DEV);
    v->config = (XenBlkfrontConfig) { .vdev = VBD_DEV, .queues = 1 };
}

void vbd_up(Vbd *v)
{
    g_autoptr(GError) error = NULL;

    *v = (Vbd) { .dir = g_dir_make_tmp("vbd-XXXXXX", &error) };
    g_assert_no_error(error);
    v->path = g_strdup_printf("%s/xen", v->dir);
    v->host = xen_xenemu_open_host(v->path, &error);
    g_assert_no_error(error);
    v->host_store = xen_store_open(v->host->store_path, &error);
    g_assert_no_error(error);
    add_guest(v);
}

void vbd_up_beside(Vbd *v, const Vbd *first)
{
    *v = (Vbd) {
        .beside = first,
        .path = g_strdup(first->path),
        .host = first->host,
        .host_store = first->host_store,
    };
    add_guest(v);
}

static void remove_host(Vbd *v)
{
    g_autofree char *store = g_strdup_printf("%s.xenstore", v->path);

    xen_store_close(v->host_store);
    xen_close(v->host);
    g_assert_false(g_file_test(store, G_FILE_TEST_EXISTS));
    g_assert_cmpint(g_rmdir(v->dir), ==, 0);
    g_free(v->dir);
}

void vbd_down(Vbd *v)
{
    if (v->bf) {
        vbd_front_close(v);
    }
    xen_store_close(v->guest_store);
    xen_close(v->guest);
    if (!v->beside) {
        remove_host(v);
    }
    g_free(v->path);
    g_free(v->be);
    g_free(v->fe);
    g_free(v->error);
}

static void front_event(void *opaque, XenbusEvent event, const char *detail)
{
    Vbd *v = opaque;

    v->connected += event == XENBUS_CONNECTED;
    v->disconnected += event == XENBUS_DISCONNECTED;
    v->closed |= event == XENBUS_CLOSED;
    if (event == XENBUS_ERROR) {
        g_free(v->error);
        v->error = g_strdup(detail);
        v->errors++;
    }
}

static void front_resized(void *opaque)
{
    ((Vbd *)opaque)->resized++;
}

void vbd_front_start(Vbd *v)
{
    g_autoptr(GError) error = NULL;
    XenBlkfrontEnv env = {
        .xen = v->guest,
        .store = v->guest_store,
        .threads = v->threads,
        .n_threads = v->n_threads,
        .event = front_event,
        .resized = front_resized,
        .opaque = v,
    };

    v->bf = xen_blkfront_new(&v->config, &env, &error);
    g_assert_no_error(error);
    xen_blkfront_start(v->bf);
}

void vbd_front_connect(Vbd *v)
{
    unsigned connected = v->connected + 1;

    vbd_front_start(v);
    VBD_WAIT(v->connected == connected);
}

void vbd_front_close(Vbd *v)
{
    v->closed = false;
    xen_blkfront_close(v->bf, 5000);
    VBD_WAIT(v->closed);
    g_clear_pointer(&v->bf, xen_blkfront_free);
}

bool vbd_is(Vbd *v, const char *dir, const char *key, const char *want)
{
    g_autofree char *path = g_strdup_printf("%s/%s", dir, key);
    g_autofree char *value = xen_store_read(v->host_store, 0, path);

    return g_strcmp0(value, want) == 0;
}

void vbd_put(Vbd *v, const char *dir, const char *key, const char *value)
{
    g_assert_true(xen_store_printf(v->host_store, 0, dir, key, "%s", value));
}

/* --- requests --- */

static void job_done(XenBlkfrontRequest *req, int res)
{
    VbdJob *job = container_of(req, VbdJob, req);

    job->res = res;
    __atomic_add_fetch(&job->done, 1, __ATOMIC_RELEASE);
    g_main_context_wakeup(NULL);
}

void vbd_submit_job(Vbd *v, unsigned queue, VbdJob *job)
{
    job->done = 0;
    job->req.done = job_done;
    xen_blkfront_submit(v->bf, queue, &job->req);
}

void vbd_submit(Vbd *v, unsigned queue, VbdJob *job, BlockOp op, uint64_t offset, void *buf,
                uint64_t bytes)
{
    job->iov = (struct iovec) { buf, bytes };
    job->req.op = op;
    job->req.offset = offset;
    job->req.bytes = bytes;
    job->req.iov = &job->iov;
    job->req.n_iov = buf ? 1 : 0;
    vbd_submit_job(v, queue, job);
}

bool vbd_is_done(const VbdJob *jobs, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (__atomic_load_n(&jobs[i].done, __ATOMIC_ACQUIRE) == 0) {
            return false;
        }
    }
    return true;
}

void vbd_expect(const VbdJob *jobs, unsigned n, int res)
{
    VBD_WAIT(vbd_is_done(jobs, n));
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpint(jobs[i].done, ==, 1);
        g_assert_cmpint(jobs[i].res, ==, res);
    }
}

int vbd_io(Vbd *v, BlockOp op, uint64_t offset, void *buf, uint64_t bytes)
{
    VbdJob job = { 0 };

    vbd_submit(v, 0, &job, op, offset, buf, bytes);
    VBD_WAIT(vbd_is_done(&job, 1));
    g_assert_cmpint(job.done, ==, 1);
    return job.res;
}

uint64_t vbd_count(const Vbd *v, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < v->config.queues; i++) {
        const char *stats = (const char *)xen_blkfront_stats(v->bf, i);

        sum += counter_read((const void *)(stats + offset));
    }
    return sum;
}
