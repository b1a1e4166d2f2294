/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration/stream.h"

#include <string.h>

#define MAGIC      0x52544d47u /* "RTMG" */
#define DIGEST_LEN 32u         /* of SHA-256 */
#define NAME_MAX_LEN 255u      /* of a machine, a class, an id */
#define PAGE       4096u

typedef enum RecordType {
    RECORD_MACHINE = 1,
    RECORD_MEMORY = 2,
    RECORD_DEVICE = 3,
    RECORD_END = 4,
    RECORD_NETDEV = 5,
} RecordType;

G_DEFINE_QUARK(migration-error-quark, migration_error)

bool migration_set_error(GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (error) {
        *error = g_error_new_valist(MIGRATION_ERROR, 0, fmt, ap);
    }
    va_end(ap);
    return false;
}

/* --- out --- */

void migration_writer_init(MigrationWriter *w, MigrationWrite *write, void *opaque)
{
    *w = (MigrationWriter){
        .write = write,
        .opaque = opaque,
        .sum = g_checksum_new(G_CHECKSUM_SHA256),
    };
}

void migration_writer_set_local(MigrationWriter *w, MigrationWriteFds *write_fds)
{
    w->write_fds = write_fds;
}

void migration_writer_done(MigrationWriter *w)
{
    g_clear_pointer(&w->sum, g_checksum_free);
}

static bool put(MigrationWriter *w, const void *data, size_t len, GError **error)
{
    g_checksum_update(w->sum, data, (gssize)len);
    w->bytes += len;
    return w->write(w->opaque, data, len, error);
}

static bool put_u32s(MigrationWriter *w, uint32_t a, uint32_t b, GError **error)
{
    uint32_t out[] = { GUINT32_TO_BE(a), GUINT32_TO_BE(b) };

    return put(w, out, sizeof(out), error);
}

static bool put_record(MigrationWriter *w, RecordType type, size_t len, GError **error)
{
    return put_u32s(w, type, (uint32_t)len, error);
}

static bool put_u64(MigrationWriter *w, uint64_t value, GError **error)
{
    uint64_t out = GUINT64_TO_BE(value);

    return put(w, &out, sizeof(out), error);
}

bool migration_put_machine(MigrationWriter *w, const char *name, uint64_t ram_size, GError **error)
{
    size_t len = strlen(name);

    g_assert(w->bytes == 0 && len <= NAME_MAX_LEN);
    return put_u32s(w, MAGIC, w->write_fds ? 2 : 1, error) &&
           put_record(w, RECORD_MACHINE, sizeof(uint64_t) + len, error) &&
           put_u64(w, ram_size, error) && put(w, name, len, error);
}

static bool is_zero(const uint8_t *data, size_t len)
{
    return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* From @at on, of what is not zero: pages, as many as a record takes. */
static size_t piece_at(const uint8_t *ram, uint64_t size, uint64_t at)
{
    size_t len = 0;

    while (len < MIGRATION_PIECE && at + len < size) {
        size_t page = (size_t)MIN(PAGE, size - at - len);

        if (is_zero(ram + at + len, page)) {
            break;
        }
        len += page;
    }
    return len;
}

bool migration_put_memory(MigrationWriter *w, const void *ram, uint64_t size, GError **error)
{
    uint64_t at = 0;

    while (at < size) {
        size_t len = piece_at(ram, size, at);

        if (len == 0) {
            at += PAGE;
            continue;
        }
        if (!put_record(w, RECORD_MEMORY, sizeof(uint64_t) + len, error) ||
            !put_u64(w, at, error) || !put(w, (const uint8_t *)ram + at, len, error)) {
            return false;
        }
        at += len;
    }
    return true;
}

bool migration_put_device(MigrationWriter *w, const char *class_name, const char *id,
                          const GByteArray *state, GError **error)
{
    size_t names = strlen(class_name) + 1 + strlen(id) + 1;

    if (names + state->len > MIGRATION_DEVICE_MAX || strlen(id) > NAME_MAX_LEN) {
        return migration_set_error(error, "State of device '%.64s' is too long", id);
    }
    return put_record(w, RECORD_DEVICE, names + state->len, error) &&
           put(w, class_name, strlen(class_name) + 1, error) &&
           put(w, id, strlen(id) + 1, error) &&
           (state->len == 0 || put(w, state->data, state->len, error));
}

/* What is written for the descriptors themselves. */
static unsigned zeros_of(unsigned n_fds)
{
    return (n_fds + MIGRATION_FDS_AT_ONCE - 1) / MIGRATION_FDS_AT_ONCE;
}

static bool put_fds(MigrationWriter *w, const int *fds, unsigned n, GError **error)
{
    static const uint8_t zero;

    while (n > 0) {
        unsigned now = MIN(n, MIGRATION_FDS_AT_ONCE);

        g_checksum_update(w->sum, &zero, 1);
        w->bytes++;
        if (!w->write_fds(w->opaque, fds, now, error)) {
            return false;
        }
        fds += now;
        n -= now;
    }
    return true;
}

bool migration_put_netdev(MigrationWriter *w, const char *type, const char *id,
                          const GByteArray *state, const int *fds, unsigned n_fds, GError **error)
{
    uint16_t n = GUINT16_TO_BE((uint16_t)n_fds);
    size_t len = strlen(type) + 1 + strlen(id) + 1 + sizeof(n) + state->len + zeros_of(n_fds);

    g_assert(w->write_fds && n_fds >= 1 && n_fds <= MIGRATION_FDS_MAX);
    return put_record(w, RECORD_NETDEV, len, error) && put(w, type, strlen(type) + 1, error) &&
           put(w, id, strlen(id) + 1, error) && put(w, &n, sizeof(n), error) &&
           put(w, state->data, state->len, error) && put_fds(w, fds, n_fds, error);
}

bool migration_put_end(MigrationWriter *w, GError **error)
{
    uint8_t digest[DIGEST_LEN];
    gsize len = sizeof(digest);
    g_autoptr(GChecksum) sum = NULL;

    if (!put_record(w, RECORD_END, sizeof(digest), error)) {
        return false;
    }
    sum = g_checksum_copy(w->sum);
    g_checksum_get_digest(sum, digest, &len);
    return put(w, digest, sizeof(digest), error);
}

/* --- in --- */

typedef struct Reader {
    MigrationRead *read;
    void *read_opaque;
    const MigrationSink *sink;
    void *sink_opaque;
    GChecksum *sum;
    bool local;
    bool has_machine;
    uint64_t ram_size;
    uint64_t devices; /* bytes of their records */
    uint8_t piece[sizeof(uint64_t) + MIGRATION_PIECE];
} Reader;

static bool get(Reader *r, void *data, size_t len, GError **error)
{
    if (len == 0) {
        return true;
    }
    if (!r->read(r->read_opaque, data, len, error)) {
        return false;
    }
    g_checksum_update(r->sum, data, (gssize)len);
    return true;
}

static bool get_u32s(Reader *r, uint32_t *ret_a, uint32_t *ret_b, GError **error)
{
    uint32_t in[2];

    if (!get(r, in, sizeof(in), error)) {
        return false;
    }
    *ret_a = GUINT32_FROM_BE(in[0]);
    *ret_b = GUINT32_FROM_BE(in[1]);
    return true;
}

static uint64_t u64_at(const uint8_t *data)
{
    uint64_t value;

    memcpy(&value, data, sizeof(value));
    return GUINT64_FROM_BE(value);
}

static bool read_header(Reader *r, GError **error)
{
    uint32_t magic, version;

    if (!get_u32s(r, &magic, &version, error)) {
        return false;
    }
    if (magic != MAGIC) {
        return migration_set_error(error, "Not a migration stream");
    }
    if (version == 0 || version > MIGRATION_VERSION) {
        return migration_set_error(error, "Unsupported migration stream version %u: this program "
                                   "knows those up to %u", version, MIGRATION_VERSION);
    }
    r->local = version >= 2;
    if (r->local && !r->sink->local) {
        return migration_set_error(error, "Migration stream is for a process of the same machine");
    }
    return !r->local || r->sink->local(r->sink_opaque, error);
}

static bool read_machine(Reader *r, uint32_t len, GError **error)
{
    char name[NAME_MAX_LEN + 1] = "";
    uint8_t size[sizeof(uint64_t)];

    if (r->has_machine || len < sizeof(size) || len - sizeof(size) > NAME_MAX_LEN) {
        return migration_set_error(error, "Migration stream is broken: a wrong machine record");
    }
    if (!get(r, size, sizeof(size), error) || !get(r, name, len - sizeof(size), error)) {
        return false;
    }
    r->has_machine = true;
    r->ram_size = u64_at(size);
    return r->sink->machine(r->sink_opaque, name, r->ram_size, error);
}

static bool read_memory(Reader *r, uint32_t len, GError **error)
{
    uint64_t at;

    if (len < sizeof(at) || len > sizeof(r->piece)) {
        return migration_set_error(error, "Migration stream is broken: a wrong memory record");
    }
    if (!get(r, r->piece, len, error)) {
        return false;
    }
    at = u64_at(r->piece);
    len -= (uint32_t)sizeof(at);
    if (at > r->ram_size || len > r->ram_size - at) {
        return migration_set_error(error, "Migration stream is broken: memory beyond its end");
    }
    r->sink->memory(r->sink_opaque, at, r->piece + sizeof(at), len);
    return true;
}

/* A record that begins with two strings, and ends with somebody's state. */
typedef struct NamedRecord {
    char *kind;
    char *id;
    GByteArray *state;
} NamedRecord;

static void named_record_done(NamedRecord *n)
{
    g_free(n->kind);
    g_free(n->id);
    g_clear_pointer(&n->state, g_byte_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NamedRecord, named_record_done)

static bool read_named(Reader *r, uint32_t len, const char *what, NamedRecord *ret, GError **error)
{
    g_autoptr(GByteArray) record = NULL;
    const uint8_t *kind_end, *id_end;

    r->devices += len;
    if (len > MIGRATION_DEVICE_MAX || r->devices > MIGRATION_DEVICES_MAX) {
        return migration_set_error(error, "Migration stream is broken: a %s record of %u bytes",
                                   what, len);
    }
    record = g_byte_array_sized_new(len);
    g_byte_array_set_size(record, len);
    if (!get(r, record->data, len, error)) {
        return false;
    }
    kind_end = len > 0 ? memchr(record->data, '\0', len) : NULL;
    id_end = kind_end ? memchr(kind_end + 1, '\0', record->data + len - kind_end - 1) : NULL;
    if (!id_end) {
        return migration_set_error(error, "Migration stream is broken: a %s without a name", what);
    }
    ret->kind = g_strdup((const char *)record->data);
    ret->id = g_strdup((const char *)kind_end + 1);
    g_byte_array_remove_range(record, 0, (guint)(id_end + 1 - record->data));
    ret->state = g_steal_pointer(&record);
    return true;
}

static bool read_device(Reader *r, uint32_t len, GError **error)
{
    g_auto(NamedRecord) n = { 0 };

    if (!read_named(r, len, "device", &n, error)) {
        return false;
    }
    r->sink->device(r->sink_opaque, n.kind, n.id, g_steal_pointer(&n.state));
    return true;
}

static bool read_netdev(Reader *r, uint32_t len, GError **error)
{
    g_auto(NamedRecord) n = { 0 };
    uint16_t be;
    unsigned n_fds;

    if (!read_named(r, len, "netdev", &n, error)) {
        return false;
    }
    if (n.state->len < sizeof(be)) {
        return migration_set_error(error, "Migration stream is broken: a wrong netdev record");
    }
    memcpy(&be, n.state->data, sizeof(be));
    n_fds = GUINT16_FROM_BE(be);
    if (n_fds == 0 || n_fds > MIGRATION_FDS_MAX ||
        n.state->len < sizeof(be) + zeros_of(n_fds)) {
        return migration_set_error(error, "Migration stream is broken: a netdev of %u descriptors",
                                   n_fds);
    }
    g_byte_array_remove_range(n.state, 0, sizeof(be));
    g_byte_array_set_size(n.state, n.state->len - zeros_of(n_fds));
    return r->sink->netdev(r->sink_opaque, n.kind, n.id, g_steal_pointer(&n.state), n_fds, error);
}

static bool read_end(Reader *r, uint32_t len, GError **error)
{
    uint8_t ours[DIGEST_LEN], theirs[DIGEST_LEN];
    gsize ours_len = sizeof(ours);

    g_checksum_get_digest(r->sum, ours, &ours_len); /* nothing can be added to it then */
    if (len != sizeof(theirs)) {
        return migration_set_error(error, "Migration stream is broken: a wrong end");
    }
    if (!r->read(r->read_opaque, theirs, sizeof(theirs), error)) {
        return false;
    }
    if (memcmp(ours, theirs, sizeof(ours)) != 0) {
        return migration_set_error(error, "Migration stream is broken: its checksum is wrong");
    }
    return true;
}

static bool unknown_record(uint32_t type, GError **error)
{
    return migration_set_error(error, "Migration stream is broken: a record of type %u", type);
}

static bool read_records(Reader *r, GError **error)
{
    uint32_t type, len;

    while (get_u32s(r, &type, &len, error)) {
        if (type != RECORD_MACHINE && !r->has_machine) {
            return migration_set_error(error, "Migration stream is broken: no machine");
        }
        switch (type) {
        case RECORD_MACHINE:
            if (!read_machine(r, len, error)) {
                return false;
            }
            break;
        case RECORD_MEMORY:
            if (!read_memory(r, len, error)) {
                return false;
            }
            break;
        case RECORD_DEVICE:
            if (!read_device(r, len, error)) {
                return false;
            }
            break;
        case RECORD_END:
            return read_end(r, len, error);
        case RECORD_NETDEV:
            if (!r->local) {
                return unknown_record(type, error);
            }
            if (!read_netdev(r, len, error)) {
                return false;
            }
            break;
        default:
            return unknown_record(type, error);
        }
    }
    return false;
}

bool migration_read(MigrationRead *read, void *read_opaque, const MigrationSink *sink,
                    void *sink_opaque, GError **error)
{
    g_autofree Reader *r = g_new0(Reader, 1);
    bool ok;

    r->read = read;
    r->read_opaque = read_opaque;
    r->sink = sink;
    r->sink_opaque = sink_opaque;
    r->sum = g_checksum_new(G_CHECKSUM_SHA256);
    ok = read_header(r, error) && read_records(r, error);
    g_checksum_free(r->sum);
    return ok;
}
