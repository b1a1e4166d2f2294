/*
 * The thread that writes a migration stream or reads one: it may wait for the other side as long
 * as that likes. Of the program it touches the machine's memory, which the main thread leaves
 * alone meanwhile, and what it was given.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "migration.h"

#include <string.h>

#include "migration/stream.h"
#include "system.h"

void migration_device_free(gpointer device)
{
    MigrationDevice *d = device;

    g_free(d->class_name);
    g_free(d->id);
    g_byte_array_unref(d->state);
    g_free(d);
}

static uint64_t job_ram_size(const MigrationJob *j)
{
    return j->s->board ? j->s->board->ram_size : 0;
}

/* --- out --- */

static bool job_write_records(MigrationJob *j, MigrationWriter *w)
{
    const Board *board = j->s->board;

    if (!migration_put_machine(w, j->s->machine->name, job_ram_size(j), &j->error) ||
        (board && !migration_put_memory(w, board->ram, board->ram_size, &j->error))) {
        return false;
    }
    for (guint i = 0; i < j->devices->len; i++) {
        const MigrationDevice *d = g_ptr_array_index(j->devices, i);

        if (!migration_put_device(w, d->class_name, d->id, d->state, &j->error)) {
            return false;
        }
    }
    return migration_put_end(w, &j->error) && migration_channel_flush(j->channel, &j->error);
}

static void job_write(MigrationJob *j)
{
    MigrationWriter w;

    migration_writer_init(&w, migration_channel_write, j->channel);
    (void)job_write_records(j, &w);
    j->bytes = w.bytes;
    migration_writer_done(&w);
}

/* --- in --- */

static bool job_machine(void *opaque, const char *name, uint64_t ram_size, GError **error)
{
    const MigrationJob *j = opaque;

    if (!g_str_equal(name, j->s->machine->name)) {
        return migration_set_error(error, "Machine type received is '%s' and local is '%s'", name,
                                   j->s->machine->name);
    }
    if (ram_size != job_ram_size(j)) {
        return migration_set_error(error, "Size mismatch: ram: 0x%" G_GINT64_MODIFIER "x != 0x%"
                                   G_GINT64_MODIFIER "x: Invalid argument", ram_size,
                                   job_ram_size(j));
    }
    if (j->s->board) { /* what is zero there does not come */
        return board_clear_ram(j->s->board, error);
    }
    return true;
}

static void job_memory(void *opaque, uint64_t offset, const uint8_t *data, size_t len)
{
    MigrationJob *j = opaque;

    memcpy((uint8_t *)j->s->board->ram + offset, data, len);
}

static void job_device(void *opaque, const char *class_name, const char *id, GByteArray *state)
{
    MigrationJob *j = opaque;
    MigrationDevice *d = g_new(MigrationDevice, 1);

    d->class_name = g_strdup(class_name);
    d->id = g_strdup(id);
    d->state = state;
    g_ptr_array_add(j->devices, d);
}

static bool job_read_counted(void *opaque, void *data, size_t len, GError **error)
{
    MigrationJob *j = opaque;

    j->bytes += len;
    return migration_channel_read(j->channel, data, len, error);
}

static void job_read(MigrationJob *j)
{
    static const MigrationSink sink = { job_machine, job_memory, job_device };

    (void)migration_read(job_read_counted, j, &sink, j, &j->error);
}

/* --- the thread --- */

static gboolean job_ended(gpointer opaque)
{
    migration_job_ended(opaque);
    return G_SOURCE_REMOVE;
}

static gpointer job_run(gpointer opaque)
{
    MigrationJob *j = opaque;

    if (j->incoming) {
        job_read(j);
    } else {
        job_write(j);
    }
    g_source_attach(j->ended, NULL);
    return NULL;
}

MigrationJob *migration_job_start(System *s, MigrationChannel *channel, GPtrArray *devices,
                                  bool incoming)
{
    MigrationJob *j = g_new0(MigrationJob, 1);

    j->s = s;
    j->channel = channel;
    j->devices = devices;
    j->incoming = incoming;
    j->ended = g_idle_source_new();
    g_source_set_callback(j->ended, job_ended, j, NULL);
    j->thread = g_thread_new("migration", job_run, j);
    return j;
}

void migration_job_free(MigrationJob *j)
{
    if (!j) {
        return;
    }
    migration_channel_cancel(j->channel);
    if (j->thread) {
        g_thread_join(j->thread);
    }
    g_source_destroy(j->ended);
    g_source_unref(j->ended);
    migration_channel_free(j->channel);
    g_ptr_array_unref(j->devices);
    g_clear_error(&j->error);
    g_free(j);
}
