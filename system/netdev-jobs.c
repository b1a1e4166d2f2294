/*
 * Netdevs whose script= or downscript= is running: not there yet, or not gone yet. Their ids
 * are taken, the main loop goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

#include "util/log.h"

struct NetdevJob {
    System *s;
    Netdev *nd;
    bool up;
    TapScript *script;
    NetdevJobDone *done; /* NULL: nobody waits */
    void *opaque;
};

bool netdev_job_has(System *s, const char *id)
{
    for (guint i = 0; i < s->netdev_jobs->len; i++) {
        const NetdevJob *job = g_ptr_array_index(s->netdev_jobs, i);

        if (g_str_equal(job->nd->id, id)) {
            return true;
        }
    }
    return false;
}

/* Takes the netdev where it belongs. What fails is the adding; a netdev goes in any case. */
static bool job_finish(NetdevJob *job, const GError *script_error, GError **error)
{
    Netdev *nd = g_steal_pointer(&job->nd);

    g_ptr_array_remove(job->s->netdev_jobs, job);
    if (!script_error && job->up) {
        return netdev_insert(job->s, nd, error);
    }
    if (script_error && job->up) {
        g_propagate_error(error, g_error_copy(script_error));
    } else if (script_error) {
        warn_report("%s: %s", nd->id, script_error->message);
    }
    netdev_free(nd);
    return !job->up;
}

static void job_end(NetdevJob *job, const GError *script_error)
{
    g_autoptr(GError) error = NULL;

    job_finish(job, script_error, &error);
    if (job->done) {
        job->done(job->opaque, error);
    }
    g_free(job);
}

static void job_script_done(void *opaque, const GError *script_error)
{
    NetdevJob *job = opaque;
    System *s = job->s;

    job_end(job, script_error);
    if (s->netdev_jobs->len == 0) {
        run_netdevs_settled(s);
    }
}

NetdevJob *netdev_job_start(System *s, Netdev *nd, bool up, GError **error)
{
    NetdevJob *job = g_new0(NetdevJob, 1);

    job->s = s;
    job->nd = nd;
    job->up = up;
    job->script = tap_script_start(nd, up, job_script_done, job, error);
    if (!job->script) {
        g_free(job);
        return NULL;
    }
    g_ptr_array_add(s->netdev_jobs, job);
    return job;
}

void netdev_job_then(NetdevJob *job, NetdevJobDone *done, void *opaque)
{
    job->done = done;
    job->opaque = opaque;
}

static void job_cancel(NetdevJob *job)
{
    g_autoptr(GError) error = NULL;

    tap_script_cancel(job->script);
    system_set_error(&error, "the program ended before the network script did");
    job_end(job, error);
}

void netdev_jobs_cancel(System *s, bool down)
{
    for (guint i = s->netdev_jobs->len; i-- > 0;) {
        NetdevJob *job = g_ptr_array_index(s->netdev_jobs, i);

        if (job->up || down) {
            job_cancel(job);
        }
    }
}
