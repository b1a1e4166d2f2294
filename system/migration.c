/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration.h"

#include "announce.h"
#include "qmp-commands.h"

bool migration_is_under_way(const Migration *m)
{
    return m->status == MIGRATION_SETUP || m->status == MIGRATION_ACTIVE ||
           m->status == MIGRATION_CANCELLING;
}

static void set_status(System *s, MigrationStatus status)
{
    s->migration.status = status;
    qmp_event_migration(s);
}

static void begin(System *s, bool incoming)
{
    Migration *m = &s->migration;

    g_clear_pointer(&m->error, g_free);
    m->incoming = incoming;
    m->began_us = g_get_monotonic_time();
    m->ended_us = 0;
    m->bytes = 0;
    m->local = false;
}

static void end(System *s, MigrationStatus status, const char *why)
{
    Migration *m = &s->migration;

    m->ended_us = g_get_monotonic_time();
    m->error = g_strdup(why);
    set_status(s, status);
    if (status == MIGRATION_FAILED) {
        warn_report("migration: %s", why);
    }
}

/* --- out --- */

/* The guest goes on, if it ran before; a guest that was stopped on the way there stays so. */
static void out_failed(System *s, const char *why)
{
    Migration *m = &s->migration;

    g_clear_pointer(&m->channel, migration_channel_free);
    m->stopping = false;
    migration_netdevs_take_back(s);
    end(s, m->status == MIGRATION_CANCELLING ? MIGRATION_CANCELLED : MIGRATION_FAILED,
        m->status == MIGRATION_CANCELLING ? NULL : why);
    run_migration_failed(s, m->resume);
}

static bool save_devices(System *s, GPtrArray *saved, GError **error)
{
    for (unsigned i = 0; i < device_registry_count(s->devices); i++) {
        Device *d = device_registry_nth(s->devices, i);
        MigrationDevice *md = g_new(MigrationDevice, 1);

        md->class_name = g_strdup(device_class_name(d->class));
        md->id = g_strdup(d->id);
        md->state = g_byte_array_new();
        g_ptr_array_add(saved, md);
        if (!device_save(d, md->state, error)) {
            return false;
        }
    }
    return true;
}

void migration_drained(System *s)
{
    g_autoptr(GError) error = NULL;
    Migration *m = &s->migration;
    MigrationJob *j;

    if (!m->stopping) {
        return;
    }
    m->stopping = false;
    j = migration_job_new(s, MIGRATION_WRITE, g_steal_pointer(&m->channel));
    j->local = m->local;
    if (j->local) {
        migration_netdevs_give(s, j->netdevs); /* first: devices that stop say much to them */
    }
    if (!save_devices(s, j->devices, &error)) {
        migration_job_free(j);
        out_failed(s, error->message);
        return;
    }
    m->job = j;
    migration_job_start(j);
}

void migration_resumes(System *s)
{
    migration_netdevs_take_back(s);
}

static bool out_is_possible(System *s, GError **error)
{
    if (migration_is_under_way(&s->migration)) {
        return system_set_error(error, "There's a migration process in progress");
    }
    if (s->state == RUN_INMIGRATE) {
        return system_set_error(error, "Guest is waiting for an incoming migration");
    }
    if (s->state == RUN_POSTMIGRATE) {
        return system_set_error(error, "Can't migrate the vm that was paused due to previous "
                                "migration");
    }
    if (s->state == RUN_SHUTDOWN) {
        return system_set_error(error, "the program is about to end");
    }
    for (unsigned i = 0; i < device_registry_count(s->devices); i++) {
        const Device *d = device_registry_nth(s->devices, i);

        if (!d->class->save) {
            return system_set_error(error, "State blocked by non-migratable device '%s'", d->id);
        }
    }
    return true;
}

bool migration_out(System *s, const char *uri, MigrationFdByName *by_name, void *opaque,
                   GError **error)
{
    const MigrationFiles files = { by_name, opaque, s->fd_sets };
    Migration *m = &s->migration;
    MigrationChannel *c;

    if (!out_is_possible(s, error)) {
        return false;
    }
    c = migration_channel_out(uri, &files, error);
    if (!c) {
        return false;
    }
    if (m->parameters.local && !migration_channel_is_local(c)) {
        migration_channel_free(c);
        return system_set_error(error, "Migration with the parameter \"local\" needs a unix "
                                "socket");
    }
    begin(s, false);
    m->channel = c;
    m->local = m->parameters.local;
    m->resume = s->state == RUN_RUNNING;
    m->stopping = true;
    set_status(s, MIGRATION_SETUP);
    set_status(s, MIGRATION_ACTIVE);
    run_migration_begins(s); /* migration_drained() follows, maybe from here */
    return true;
}

void migration_cancel(System *s)
{
    Migration *m = &s->migration;

    if (m->incoming || !migration_is_under_way(m) || m->status == MIGRATION_CANCELLING) {
        return;
    }
    set_status(s, MIGRATION_CANCELLING);
    if (m->job) {
        migration_channel_cancel(m->job->channel); /* it ends, and says so */
    } else {
        out_failed(s, NULL);
    }
}

/* --- in --- */

/* Each device of ours has a state there, and there is no other: all or nothing is loaded. */
static bool devices_match(System *s, const GPtrArray *saved, GError **error)
{
    for (guint i = 0; i < saved->len; i++) {
        const MigrationDevice *md = g_ptr_array_index(saved, i);
        const Device *d = device_find(s->devices, md->id);

        if (!d || !g_str_equal(device_class_name(d->class), md->class_name)) {
            return system_set_error(error, "Unknown savevm section or instance '%.64s/%.64s' 0. "
                                    "Make sure that your current VM setup matches your saved VM "
                                    "setup, including any hotplugged devices", md->class_name,
                                    md->id);
        }
        for (guint k = 0; k < i; k++) {
            const MigrationDevice *other = g_ptr_array_index(saved, k);

            if (g_str_equal(other->id, md->id)) {
                return system_set_error(error, "Device '%s' is there twice", d->id);
            }
        }
    }
    if (saved->len != device_registry_count(s->devices)) {
        return system_set_error(error, "State of %u devices was received and there are %u locally",
                                saved->len, device_registry_count(s->devices));
    }
    return true;
}

static bool load_devices(System *s, const GPtrArray *saved, GError **error)
{
    if (!devices_match(s, saved, error)) {
        return false;
    }
    for (guint i = 0; i < saved->len; i++) {
        const MigrationDevice *md = g_ptr_array_index(saved, i);
        g_autoptr(GError) why = NULL;

        if (!device_load(device_find(s->devices, md->id), md->state->data, md->state->len, &why)) {
            return system_set_error(error, "error while loading state for instance 0x0 of device "
                                    "'%s/%s': %s", md->class_name, md->id, why->message);
        }
    }
    return true;
}

static void in_failed(System *s, const char *why)
{
    g_clear_pointer(&s->migration.received, g_ptr_array_unref);
    end(s, MIGRATION_FAILED, why);
}

static void in_completed(System *s)
{
    migration_netdevs_use(s);
    end(s, MIGRATION_COMPLETED, NULL);
    run_migrated(s);
    announce_start_default(s, NULL, "migration");
}

/* What devices know of their netdevs comes from these, so they are first. */
static void in_was_read(System *s, MigrationJob *j)
{
    g_autoptr(GError) error = NULL;
    Migration *m = &s->migration;

    if (!migration_netdevs_receive(s, j->netdevs, &error) ||
        !load_devices(s, j->devices, &error)) {
        in_failed(s, error->message);
    } else if (j->local) {
        m->local = true;
        m->job = migration_job_new(s, MIGRATION_ANSWER, g_steal_pointer(&j->channel));
        migration_job_start(m->job);
    } else {
        in_completed(s);
    }
}

static void in_ended(System *s, MigrationJob *j)
{
    if (j->error) {
        in_failed(s, j->error->message);
    } else if (j->kind == MIGRATION_READ) {
        in_was_read(s, j);
    } else {
        in_completed(s);
    }
}

static void in_arrived(void *opaque, MigrationChannel *c)
{
    System *s = opaque;
    Migration *m = &s->migration;

    g_clear_pointer(&m->listener, migration_listener_free);
    set_status(s, MIGRATION_ACTIVE);
    m->job = migration_job_new(s, MIGRATION_READ, c);
    migration_job_start(m->job);
}

bool migration_in(System *s, const char *uri, MigrationFdByName *by_name, void *opaque,
                  GError **error)
{
    const MigrationFiles files = { by_name, opaque, s->fd_sets };
    Migration *m = &s->migration;

    if (s->state != RUN_INMIGRATE) {
        return system_set_error(error, "'-incoming' was not specified on the command line");
    }
    if (migration_is_under_way(m)) {
        return system_set_error(error, "The incoming migration has already been started");
    }
    m->listener = migration_listen(uri, &files, in_arrived, s, error);
    if (!m->listener) {
        return false;
    }
    begin(s, true);
    set_status(s, MIGRATION_SETUP);
    return true;
}

bool migration_set_incoming(System *s, const char *arg, GError **error)
{
    g_clear_pointer(&s->migration.uri, g_free);
    s->migration.uri = g_str_equal(arg, "defer") ? NULL : g_strdup(arg);
    s->state = RUN_INMIGRATE;
    return true;
}

bool migration_start(System *s, GError **error)
{
    g_autofree char *uri = g_steal_pointer(&s->migration.uri);

    return !uri || migration_in(s, uri, NULL, NULL, error);
}

/* --- both --- */

void migration_job_ended(MigrationJob *j)
{
    System *s = j->s;
    Migration *m = &s->migration;

    g_thread_join(g_steal_pointer(&j->thread));
    m->job = NULL;
    m->bytes += j->bytes;
    if (j->kind != MIGRATION_WRITE) {
        in_ended(s, j);
    } else if (j->error) {
        out_failed(s, j->error->message);
    } else {
        run_migration_completed(s);
        end(s, MIGRATION_COMPLETED, NULL);
    }
    migration_job_free(j);
}

void migration_done(System *s)
{
    Migration *m = &s->migration;

    m->stopping = false;
    g_clear_pointer(&m->listener, migration_listener_free);
    g_clear_pointer(&m->channel, migration_channel_free);
    if (m->job && !migration_job_cancel(m->job) && m->job->kind == MIGRATION_WRITE) {
        migration_netdevs_take_back(s); /* to end as if nothing had been */
    }
    g_clear_pointer(&m->job, migration_job_free);
    g_clear_pointer(&m->received, g_ptr_array_unref);
    g_clear_pointer(&m->uri, g_free);
    g_clear_pointer(&m->error, g_free);
}
