/*
 * A migration stream from anybody. What the reader tells of lies in the memory that there is; a
 * stream that is not as it was written is refused. The first byte: 1 if the checksum at the end is
 * to be made right, so that what comes before it is not refused for that alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <glib.h>
#include <string.h>

#include "migration/stream.h"

#define RAM_SIZE   65536u
#define DIGEST_LEN 32u

typedef struct Input {
    const uint8_t *data;
    size_t len;
    bool mend;
    GChecksum *sum;
    uint8_t last[8]; /* what was read last: a record's header */
    uint8_t ram[RAM_SIZE];
    unsigned machines;
    size_t devices;  /* bytes of their states */
} Input;

static bool is_end(const Input *in)
{
    static const uint8_t end[8] = { 0, 0, 0, 4, 0, 0, 0, DIGEST_LEN };

    return memcmp(in->last, end, sizeof(end)) == 0;
}

static bool input_read(void *opaque, void *data, size_t len, GError **error)
{
    Input *in = opaque;

    if (in->mend && len == DIGEST_LEN && is_end(in)) {
        gsize n = DIGEST_LEN;
        g_autoptr(GChecksum) sum = g_checksum_copy(in->sum);

        g_checksum_get_digest(sum, data, &n);
        return true;
    }
    if (len > in->len) {
        return migration_set_error(error, "the end");
    }
    memcpy(data, in->data, len);
    g_checksum_update(in->sum, in->data, (gssize)len);
    memset(in->last, 0, sizeof(in->last));
    if (len == sizeof(in->last)) {
        memcpy(in->last, data, len);
    }
    in->data += len;
    in->len -= len;
    return true;
}

static bool see_machine(void *opaque, const char *name, uint64_t ram_size, GError **error)
{
    Input *in = opaque;

    g_assert_cmpuint(in->machines++, ==, 0);
    g_assert_cmpuint(strlen(name), <=, 255);
    return ram_size == RAM_SIZE || migration_set_error(error, "another size");
}

static void see_memory(void *opaque, uint64_t offset, const uint8_t *data, size_t len)
{
    memcpy(((Input *)opaque)->ram + offset, data, len);
}

static void see_device(void *opaque, const char *class_name, const char *id, GByteArray *state)
{
    Input *in = opaque;

    in->devices += strlen(class_name) + strlen(id) + state->len;
    g_assert_cmpuint(in->devices, <=, MIGRATION_DEVICES_MAX);
    g_byte_array_unref(state);
}

static bool see_local(void *opaque, GError **error)
{
    return true;
}

static bool see_netdev(void *opaque, const char *type, const char *id, GByteArray *state,
                       unsigned n_fds, GError **error)
{
    g_assert_true(n_fds >= 1 && n_fds <= MIGRATION_FDS_MAX);
    see_device(opaque, type, id, state);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const MigrationSink sink = { see_machine, see_memory, see_device, see_local,
                                        see_netdev };
    g_autoptr(GError) error = NULL;
    g_autofree Input *in = g_new0(Input, 1);

    if (size < 1) {
        return 0;
    }
    in->mend = data[0] == 1;
    in->data = data + 1;
    in->len = size - 1;
    in->sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_assert_true(migration_read(input_read, in, &sink, in, &error) == !error);
    g_checksum_free(in->sum);
    return 0;
}
