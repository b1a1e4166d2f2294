/*
 * The stream by which a machine's state goes to another process: what machine it is, its memory,
 * and what each device saved. Bytes from whoever can write to us: nothing in it is believed.
 *
 * A header (magic, version), then records (type, length of what follows), all numbers big endian:
 *
 *     MACHINE  once, the first: memory in bytes (8), then the machine's name
 *     MEMORY   offset in it (8), then some of it; what is in none is zero
 *     DEVICE   two strings that end with NUL, class and id, then what the device saved
 *     NETDEV   of version 2: type and id in the same way, a number of descriptors (2), what the
 *              netdev saved, and a zero for each 128 of its descriptors, which come with it
 *     END      SHA-256 of all that came before, this record's header included
 *
 * The version changes when a reader of today could not read it; devices have versions of their
 * own. A reader knows all versions up to its own. Version 2 is what goes to a process of this
 * machine, which has what netdevs stand for from then on (the parameter "local"), and 1 all else.
 * Behind its end both talk, as what was handed over is to be used by one of them at any time: the
 * reader says MIGRATION_READY when it could go on, and does so when the writer, which has let go by
 * then, has said MIGRATION_GO. A connection that ends before that leaves the writer with it.
 *
 * Any thread, one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_STREAM_H
#define MIGRATION_STREAM_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIGRATION_VERSION     2u
#define MIGRATION_READY       0x52545259u    /* "RTRY", as bytes and in this order */
#define MIGRATION_GO          0x5254474fu    /* "RTGO" */
#define MIGRATION_PIECE       65536u         /* bytes of memory in a record, at most */
#define MIGRATION_DEVICE_MAX  (16u << 20)    /* bytes of a device's record */
#define MIGRATION_DEVICES_MAX (64u << 20)    /* of all of them */
#define MIGRATION_FDS_MAX     256u           /* descriptors of a netdev */
#define MIGRATION_FDS_AT_ONCE 128u           /* with one byte */

#define MIGRATION_ERROR migration_error_quark()
GQuark migration_error_quark(void);
bool migration_set_error(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3); /* false */

/* Writes all of @data, or says why not. */
typedef bool MigrationWrite(void *opaque, const void *data, size_t len, GError **error);
/* Reads exactly @len bytes; an end before them is an error. */
typedef bool MigrationRead(void *opaque, void *data, size_t len, GError **error);

/* Writes a zero, and @n descriptors with it. */
typedef bool MigrationWriteFds(void *opaque, const int *fds, unsigned n, GError **error);

typedef struct MigrationWriter {
    MigrationWrite *write;
    MigrationWriteFds *write_fds; /* NULL: version 1 */
    void *opaque;
    GChecksum *sum;
    uint64_t bytes; /* that were written */
} MigrationWriter;

/* Its end, whether all was written or not: migration_writer_done(). */
void migration_writer_init(MigrationWriter *w, MigrationWrite *write, void *opaque);
void migration_writer_set_local(MigrationWriter *w, MigrationWriteFds *write_fds); /* version 2 */
void migration_writer_done(MigrationWriter *w);

bool migration_put_machine(MigrationWriter *w, const char *name, uint64_t ram_size,
                           GError **error); /* the first, with the header */
/* All of it; pages that are zero stay out. */
bool migration_put_memory(MigrationWriter *w, const void *ram, uint64_t size, GError **error);
bool migration_put_device(MigrationWriter *w, const char *class_name, const char *id,
                          const GByteArray *state, GError **error);
/* @n_fds descriptors, 1 to MIGRATION_FDS_MAX, which stay the caller's. */
bool migration_put_netdev(MigrationWriter *w, const char *type, const char *id,
                          const GByteArray *state, const int *fds, unsigned n_fds,
                          GError **error);
bool migration_put_end(MigrationWriter *w, GError **error);

/* What is read goes here, before its checksum is known: only the end says that it was right. */
typedef struct MigrationSink {
    /* False: it is not our machine. */
    bool (*machine)(void *opaque, const char *name, uint64_t ram_size, GError **error);
    /* @len <= MIGRATION_PIECE bytes for @offset of the memory, in which they are. */
    void (*memory)(void *opaque, uint64_t offset, const uint8_t *data, size_t len);
    /* Takes @state. */
    void (*device)(void *opaque, const char *class_name, const char *id, GByteArray *state);
    /* It is of version 2. False, or NULL: that cannot be. */
    bool (*local)(void *opaque, GError **error);
    /* Takes @state, and @n_fds that came with what was read last; of version 2 alone. */
    bool (*netdev)(void *opaque, const char *type, const char *id, GByteArray *state,
                   unsigned n_fds, GError **error);
} MigrationSink;

/* A whole stream. True: it was whole, and as it was written. */
bool migration_read(MigrationRead *read, void *read_opaque, const MigrationSink *sink,
                    void *sink_opaque, GError **error);

#endif
