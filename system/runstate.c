/*
 * The life of the program between start-up and exit.
 *
 *     prelaunch --start, or cont after -S--> running <--stop/cont--> paused
 *         any of these --migrate--> finish-migrate --all was sent--> postmigrate --cont--> running
 *     inmigrate --all has come--> running, or after -S paused
 *         any of them --signal, quit--> shutdown --devices closed, or time over--> exit
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "announce.h"
#include "qmp-commands.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/log.h"
#include "util/mem-fault.h"

/* A device that does not report its end is not waited for much longer than its timeout. */
#define CLOSE_GRACE_MS 500

void run_start(System *s)
{
    if (s->state == RUN_PRELAUNCH && !s->start_paused) {
        s->state = RUN_RUNNING;
        device_registry_start(s->devices);
        accel_record_running(s);
        qmp_event_resume(s);
    }
}

void run_stop(System *s)
{
    if (s->state == RUN_RUNNING) {
        s->state = RUN_PAUSED;
        device_registry_drain(s->devices); /* STOP is sent when that is done */
    } else if (!s->up || s->state == RUN_INMIGRATE) {
        s->start_paused = true;
    }
}

void run_cont(System *s)
{
    if (s->state == RUN_PRELAUNCH) {
        s->start_paused = false;
        if (s->up) { /* else start-up goes on, and ends with run_start() */
            run_start(s);
        }
    } else if (s->state == RUN_PAUSED || s->state == RUN_POSTMIGRATE) {
        migration_resumes(s);
        s->state = RUN_RUNNING;
        device_registry_resume(s->devices);
        device_registry_start(s->devices);
        qmp_event_resume(s);
    } else if (s->state == RUN_INMIGRATE) {
        s->start_paused = false;
    }
}

/* --- migration --- */

void run_migration_begins(System *s)
{
    if (s->state == RUN_RUNNING) {
        s->state = RUN_FINISH_MIGRATE;
        device_registry_drain(s->devices);
    } else {
        s->state = RUN_FINISH_MIGRATE;
        if (!device_registry_is_draining(s->devices)) {
            migration_drained(s);
        }
    }
}

/* Paused, too, after -S: cont makes the same of both. */
void run_migration_failed(System *s, bool resume)
{
    if (s->state == RUN_FINISH_MIGRATE) {
        s->state = RUN_PAUSED;
        if (resume) {
            run_cont(s);
        }
    }
}

void run_migration_completed(System *s)
{
    s->state = RUN_POSTMIGRATE;
}

void run_migrated(System *s)
{
    s->state = RUN_PAUSED;
    if (!s->start_paused) {
        run_cont(s);
    }
}

/* The loop may not run yet, or not be reached at all: then the flag counts. */
static void run_end(System *s)
{
    s->ended = true;
    g_main_loop_quit(s->loop);
}

/* Without devices: the netdevs, whose scripts take their time in the main loop, are the last. */
static void run_closed(System *s)
{
    g_clear_handle_id(&s->close_tag, g_source_remove);
    if (!netdevs_close(s)) {
        run_end(s);
    }
}

static gboolean run_close_timeout(gpointer opaque)
{
    System *s = opaque;

    s->close_tag = 0;
    warn_report("devices did not close in time");
    device_registry_clear(s->devices);
    run_closed(s);
    return G_SOURCE_REMOVE;
}

static gboolean run_quit_now(gpointer opaque)
{
    System *s = opaque;

    s->close_tag = 0;
    run_closed(s);
    return G_SOURCE_REMOVE;
}

void run_shutdown(System *s, const char *reason)
{
    /* a test that plays the guest does not go on while it waits for our end */
    unsigned timeout_ms = s->accel.kind == ACCEL_QTEST ? 0 : CLOSE_TIMEOUT_MS;

    if (s->state == RUN_SHUTDOWN) {
        run_end(s);
        return;
    }
    s->state = RUN_SHUTDOWN;
    attach_stop(s);
    migration_done(s);
    announce_stop(s);
    if (s->store) {
        xen_store_end_soon(s->store);
    }
    qmp_event_shutdown(s, reason);
    device_registry_close(s->devices, timeout_ms);
    if (device_registry_count(s->devices) == 0) {
        /*
         * Not at once: the reply to "quit" is still to be sent. Not when idle either:
         * a source that is always ready must not keep us.
         */
        s->close_tag = g_idle_add_full(G_PRIORITY_DEFAULT, run_quit_now, s, NULL);
    } else {
        s->close_tag = g_timeout_add(timeout_ms + CLOSE_GRACE_MS, run_close_timeout, s);
    }
}

void run_device_gone(System *s)
{
    if (device_registry_count(s->devices) > 0) {
        return;
    }
    if (s->state == RUN_SHUTDOWN) {
        run_closed(s);
    } else if (!qmp_has_monitors(s->qmp) && !s->attach) {
        info_report("the last device is gone; waiting for a signal to end");
    }
}

void run_netdevs_settled(System *s)
{
    if (s->state == RUN_SHUTDOWN && device_registry_count(s->devices) == 0) {
        run_closed(s);
    }
}

static gboolean run_signal(gpointer opaque)
{
    run_shutdown(opaque, "host-signal");
    return G_SOURCE_CONTINUE;
}

static const int run_signals[] = { SIGHUP, SIGINT, SIGTERM };

/* Nothing is made yet that would have to be undone. */
static void run_early_signal(int number)
{
    _exit(EXIT_SUCCESS);
}

/* Signals that our parent has blocked reach us all the same. */
static void run_set_handlers(void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };
    sigset_t ours;

    sigemptyset(&action.sa_mask);
    sigemptyset(&ours);
    for (size_t i = 0; i < G_N_ELEMENTS(run_signals); i++) {
        sigaction(run_signals[i], &action, NULL);
        sigaddset(&ours, run_signals[i]);
    }
    pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
}

void run_expect_signals(void)
{
    run_set_handlers(run_early_signal);
}

void run_default_signals(void)
{
    run_set_handlers(SIG_DFL);
}

/*
 * Makes GLib's worker thread: not before the last fork. The sources stay to the very end,
 * so that another signal cannot kill us while we clean up.
 */
void run_install_signals(System *s)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a guest that writes more than ulimit -f is told */
    mem_fault_install();
    for (size_t i = 0; i < G_N_ELEMENTS(run_signals); i++) {
        g_unix_signal_add(run_signals[i], run_signal, s);
    }
}

void run_remove_timer(System *s)
{
    g_clear_handle_id(&s->close_tag, g_source_remove);
}
