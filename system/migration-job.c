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
    for (guint i = 0; i < j->netdevs->len; i++) {
        const MigrationNetdev *n = g_ptr_array_index(j->netdevs, i);

        if (!migration_put_netdev(w, n->type, n->id, n->state, (const int *)(void *)n->fds->data,
                                  n->fds->len, &j->error)) {
            return false;
        }
    }
    for (guint i = 0; i < j->devices->len; i++) {
        const MigrationDevice *d = g_ptr_array_index(j->devices, i);

        if (!migration_put_device(w, d->class_name, d->id, d->state, &j->error)) {
            return false;
        }
    }
    return migration_put_end(w, &j->error) && migration_channel_flush(j->channel, &j->error);
}

/* --- what both say behind the end of a local one --- */

static bool job_say(MigrationJob *j, uint32_t word, GError **error)
{
    word = GUINT32_TO_BE(word);
    return migration_channel_write(j->channel, &word, sizeof(word), error) &&
           migration_channel_flush(j->channel, error);
}

static bool job_expect(MigrationJob *j, uint32_t word, GError **error)
{
    uint32_t said;

    if (!migration_channel_read(j->channel, &said, sizeof(said), error)) {
        return false;
    }
    return GUINT32_FROM_BE(said) == word ||
           migration_set_error(error, "Migration stream is broken: 0x%x is no answer",
                               GUINT32_FROM_BE(said));
}

/* From the word on the other side goes on, and we can't. */
static bool job_hand_over(MigrationJob *j)
{
    if (!migration_channel_turn(j->channel, &j->error)) {
        return false;
    }
    if (!job_expect(j, MIGRATION_READY, &j->error)) {
        g_prefix_error(&j->error, "The receiver did not take over: ");
        return false;
    }
    return migration_channel_turn(j->channel, &j->error) &&
           job_say(j, MIGRATION_GO, &j->error);
}

static void job_answer(MigrationJob *j)
{
    if (!migration_channel_turn(j->channel, &j->error) ||
        !job_say(j, MIGRATION_READY, &j->error)) {
        return;
    }
    if (!job_expect(j, MIGRATION_GO, &j->error)) {
        g_prefix_error(&j->error, "The sender did not let go: ");
    }
}

static void job_write(MigrationJob *j)
{
    MigrationWriter w;

    migration_writer_init(&w, migration_channel_write, j->channel);
    if (j->local) {
        migration_writer_set_local(&w, migration_channel_write_fds);
    }
    if (job_write_records(j, &w) && j->local) {
        (void)job_hand_over(j);
    }
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

static bool job_local(void *opaque, GError **error)
{
    MigrationJob *j = opaque;

    j->local = true;
    return migration_channel_is_local(j->channel) ||
           migration_set_error(error, "Migration stream is for a process of the same machine, and "
                               "came by no unix socket");
}

static bool job_netdev(void *opaque, const char *type, const char *id, GByteArray *state,
                       unsigned n_fds, GError **error)
{
    MigrationJob *j = opaque;
    MigrationNetdev *n = g_new(MigrationNetdev, 1);

    *n = (MigrationNetdev){ g_strdup(type), g_strdup(id), state,
                            g_array_new(FALSE, FALSE, sizeof(int)), true };
    g_ptr_array_add(j->netdevs, n);
    for (unsigned i = 0; i < n_fds; i++) {
        int fd = migration_channel_take_fd(j->channel);

        if (fd < 0) {
            return migration_set_error(error, "Migration stream is broken: netdev '%.64s' came "
                                       "without its descriptors", id);
        }
        g_array_append_val(n->fds, fd);
    }
    return true;
}

static bool job_read_counted(void *opaque, void *data, size_t len, GError **error)
{
    MigrationJob *j = opaque;

    j->bytes += len;
    return migration_channel_read(j->channel, data, len, error);
}

static void job_read(MigrationJob *j)
{
    static const MigrationSink sink = { job_machine, job_memory, job_device, job_local,
                                        job_netdev };

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

    switch (j->kind) {
    case MIGRATION_WRITE:
        job_write(j);
        break;
    case MIGRATION_READ:
        job_read(j);
        break;
    case MIGRATION_ANSWER:
        job_answer(j);
        break;
    }
    g_source_attach(j->ended, NULL);
    return NULL;
}

MigrationJob *migration_job_new(System *s, MigrationJobKind kind, MigrationChannel *channel)
{
    MigrationJob *j = g_new0(MigrationJob, 1);

    j->s = s;
    j->kind = kind;
    j->channel = channel;
    j->devices = g_ptr_array_new_with_free_func(migration_device_free);
    j->netdevs = g_ptr_array_new_with_free_func(migration_netdev_free);
    j->ended = g_idle_source_new();
    g_source_set_callback(j->ended, job_ended, j, NULL);
    return j;
}

void migration_job_start(MigrationJob *j)
{
    j->thread = g_thread_new("migration", job_run, j);
}

bool migration_job_cancel(MigrationJob *j)
{
    if (j->thread) {
        migration_channel_cancel(j->channel);
        g_thread_join(g_steal_pointer(&j->thread));
    }
    return !j->error;
}

void migration_job_free(MigrationJob *j)
{
    if (!j) {
        return;
    }
    (void)migration_job_cancel(j);
    g_source_destroy(j->ended);
    g_source_unref(j->ended);
    migration_channel_free(j->channel);
    g_ptr_array_unref(j->devices);
    g_ptr_array_unref(j->netdevs);
    g_clear_error(&j->error);
    g_free(j);
}
