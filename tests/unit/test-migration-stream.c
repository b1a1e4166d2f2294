/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration/stream.h"

#include <string.h>

#define RAM_SIZE (300u * 1024 + 100) /* records of several lengths, and a page that is none */

typedef struct Bytes {
    GByteArray *out;
    size_t at;       /* of the reader */
    size_t end;      /* for the reader */
    GString *seen;   /* "machine pc 1000;dev a/b 12;" */
    uint8_t *ram;
    uint64_t ram_size;
} Bytes;

static bool bytes_write(void *opaque, const void *data, size_t len, GError **error)
{
    g_byte_array_append(((Bytes *)opaque)->out, data, (guint)len);
    return true;
}

static bool bytes_read(void *opaque, void *data, size_t len, GError **error)
{
    Bytes *b = opaque;

    if (len > b->end - b->at) {
        return migration_set_error(error, "the end");
    }
    memcpy(data, b->out->data + b->at, len);
    b->at += len;
    return true;
}

static bool see_machine(void *opaque, const char *name, uint64_t ram_size, GError **error)
{
    Bytes *b = opaque;

    g_string_append_printf(b->seen, "machine %s %u;", name, (unsigned)ram_size);
    if (ram_size != b->ram_size) {
        return migration_set_error(error, "another size");
    }
    return true;
}

static void see_memory(void *opaque, uint64_t offset, const uint8_t *data, size_t len)
{
    Bytes *b = opaque;

    g_assert_cmpuint(len, <=, MIGRATION_PIECE);
    g_assert_cmpuint(offset, <=, b->ram_size);
    g_assert_cmpuint(len, <=, b->ram_size - offset);
    memcpy(b->ram + offset, data, len);
}

static void see_device(void *opaque, const char *class_name, const char *id, GByteArray *state)
{
    Bytes *b = opaque;
    g_autofree char *text = g_strndup((const char *)state->data, state->len);

    g_string_append_printf(b->seen, "%s/%s %s;", class_name, id, text);
    g_byte_array_unref(state);
}

static bool see_local(void *opaque, GError **error)
{
    g_string_append(((Bytes *)opaque)->seen, "local;");
    return true;
}

static bool see_netdev(void *opaque, const char *type, const char *id, GByteArray *state,
                       unsigned n_fds, GError **error)
{
    Bytes *b = opaque;
    g_autofree char *text = g_strndup((const char *)state->data, state->len);

    g_string_append_printf(b->seen, "%s/%s %s with %u;", type, id, text, n_fds);
    g_byte_array_unref(state);
    return n_fds != 13 || migration_set_error(error, "thirteen");
}

static const MigrationSink sink = { see_machine, see_memory, see_device, see_local, see_netdev };

static void bytes_init(Bytes *b, uint64_t ram_size)
{
    *b = (Bytes){ .out = g_byte_array_new(), .seen = g_string_new(NULL), .ram_size = ram_size };
    b->ram = g_malloc0(MAX(ram_size, 1));
}

static void bytes_done(Bytes *b)
{
    g_byte_array_unref(b->out);
    g_string_free(b->seen, TRUE);
    g_free(b->ram);
}

/* As many as there are, and all of the same number. */
static bool bytes_write_fds(void *opaque, const int *fds, unsigned n, GError **error)
{
    static const uint8_t zero;

    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpint(fds[i], ==, -7);
    }
    return bytes_write(opaque, &zero, 1, error);
}

/* A netdev of @n_fds, and a device. */
static void bytes_fill_local(Bytes *b, unsigned n_fds)
{
    g_autoptr(GByteArray) state = g_byte_array_new();
    int fds[MIGRATION_FDS_MAX];
    MigrationWriter w;

    for (unsigned i = 0; i < n_fds; i++) {
        fds[i] = -7;
    }
    g_byte_array_append(state, (const guint8 *)"state", 5);
    migration_writer_init(&w, bytes_write, b);
    migration_writer_set_local(&w, bytes_write_fds);
    g_assert_true(migration_put_machine(&w, "pc", b->ram_size, NULL));
    g_assert_true(migration_put_netdev(&w, "tap", "n0", state, fds, n_fds, NULL));
    g_assert_true(migration_put_device(&w, "toy", "t1", state, NULL));
    g_assert_true(migration_put_end(&w, NULL));
    g_assert_cmpuint(w.bytes, ==, b->out->len);
    migration_writer_done(&w);
    b->end = b->out->len;
}

/* What is in @b->ram, and two devices. */
static void bytes_fill(Bytes *b)
{
    g_autoptr(GByteArray) state = g_byte_array_new();
    MigrationWriter w;

    migration_writer_init(&w, bytes_write, b);
    g_assert_true(migration_put_machine(&w, "pc", b->ram_size, NULL));
    g_assert_true(migration_put_memory(&w, b->ram, b->ram_size, NULL));
    g_assert_true(migration_put_device(&w, "toy", "none", state, NULL));
    g_byte_array_append(state, (const guint8 *)"state", 5);
    g_assert_true(migration_put_device(&w, "toy", "t1", state, NULL));
    g_assert_true(migration_put_end(&w, NULL));
    g_assert_cmpuint(w.bytes, ==, b->out->len);
    migration_writer_done(&w);
    b->end = b->out->len;
}

static bool bytes_parse(Bytes *b, GError **error)
{
    b->at = 0;
    g_string_truncate(b->seen, 0);
    return migration_read(bytes_read, b, &sink, b, error);
}

/* --- what is written is read --- */

static void test_all_of_it(void)
{
    g_autofree uint8_t *before = g_malloc0(RAM_SIZE);
    GError *error = NULL;
    Bytes b;

    bytes_init(&b, RAM_SIZE);
    before[4095] = 1;          /* the last byte of the first page */
    memset(before + 8192, 2, 200 * 1024); /* more than a record takes */
    before[RAM_SIZE - 1] = 3;
    memcpy(b.ram, before, RAM_SIZE);
    bytes_fill(&b);
    memset(b.ram, 0, RAM_SIZE);
    g_assert_true(bytes_parse(&b, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(b.at, ==, b.end);
    g_assert_cmpmem(b.ram, RAM_SIZE, before, RAM_SIZE);
    g_assert_cmpstr(b.seen->str, ==, "machine pc 307300;toy/none ;toy/t1 state;");
    bytes_done(&b);
}

static void test_zeros_stay_out(void)
{
    Bytes b;

    bytes_init(&b, 64u << 20);
    bytes_fill(&b);
    g_assert_cmpuint(b.out->len, <, 200);
    bytes_done(&b);
}

static void test_too_much_state(void)
{
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    MigrationWriter w;
    Bytes b;

    bytes_init(&b, 0);
    migration_writer_init(&w, bytes_write, &b);
    g_byte_array_set_size(state, MIGRATION_DEVICE_MAX);
    g_assert_false(migration_put_device(&w, "toy", "t0", state, &error));
    g_assert_cmpstr(error->message, ==, "State of device 't0' is too long");
    migration_writer_done(&w);
    bytes_done(&b);
}

static void test_netdevs(void)
{
    static const unsigned n_fds[] = { 1, 127, 128, 129, MIGRATION_FDS_MAX };

    for (size_t i = 0; i < G_N_ELEMENTS(n_fds); i++) {
        g_autofree char *seen = g_strdup_printf("local;machine pc 4096;tap/n0 state with %u;"
                                                "toy/t1 state;", n_fds[i]);
        Bytes b;

        bytes_init(&b, 4096);
        bytes_fill_local(&b, n_fds[i]);
        g_assert_true(bytes_parse(&b, NULL));
        g_assert_cmpstr(b.seen->str, ==, seen);
        g_assert_cmpuint(b.at, ==, b.end);
        bytes_done(&b);
    }
}

/* --- what is not as it was written is refused --- */

static void test_local_cut_and_flipped(void)
{
    Bytes b;

    bytes_init(&b, 0);
    bytes_fill_local(&b, 2);
    for (b.end = 0; b.end < b.out->len; b.end++) {
        g_assert_false(bytes_parse(&b, NULL));
    }
    for (size_t bit = 0; bit < (size_t)b.out->len * 8; bit++) {
        b.out->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        g_assert_false(bytes_parse(&b, NULL));
        b.out->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    g_assert_true(bytes_parse(&b, NULL));
    bytes_done(&b);
}

/* A reader that has no place for netdevs, or does not take one. */
static void test_netdev_not_taken(void)
{
    static const MigrationSink less = { see_machine, see_memory, see_device, NULL, NULL };
    g_autoptr(GError) error = NULL;
    Bytes b;

    bytes_init(&b, 0);
    bytes_fill_local(&b, 13);
    g_assert_false(migration_read(bytes_read, &b, &less, &b, &error));
    g_assert_cmpstr(error->message, ==, "Migration stream is for a process of the same machine");
    g_clear_error(&error);
    g_assert_false(bytes_parse(&b, &error));
    g_assert_cmpstr(error->message, ==, "thirteen");
    bytes_done(&b);
}

static void test_cut_at_each_byte(void)
{
    Bytes b;

    bytes_init(&b, 5000);
    b.ram[4999] = 1;
    bytes_fill(&b);
    for (b.end = 0; b.end < b.out->len; b.end++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(bytes_parse(&b, &error));
        g_assert_nonnull(error);
    }
    g_assert_true(bytes_parse(&b, NULL));
    bytes_done(&b);
}

static void test_each_bit_flipped(void)
{
    Bytes b;

    bytes_init(&b, 5000);
    b.ram[4999] = 1;
    bytes_fill(&b);
    for (size_t bit = 0; bit < (size_t)b.out->len * 8; bit++) {
        g_autoptr(GError) error = NULL;

        b.out->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        g_assert_false(bytes_parse(&b, &error));
        g_assert_nonnull(error);
        b.out->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    g_assert_true(bytes_parse(&b, NULL));
    bytes_done(&b);
}

/* --- streams made by hand --- */

static void add_u32(Bytes *b, uint32_t value)
{
    uint32_t be = GUINT32_TO_BE(value);

    g_byte_array_append(b->out, (const guint8 *)&be, sizeof(be));
}

static void add_u64(Bytes *b, uint64_t value)
{
    add_u32(b, (uint32_t)(value >> 32));
    add_u32(b, (uint32_t)value);
}

static void add_machine(Bytes *b)
{
    add_u32(b, 1);
    add_u32(b, 8 + 2);
    add_u64(b, b->ram_size);
    g_byte_array_append(b->out, (const guint8 *)"pc", 2);
}

static void begin(Bytes *b)
{
    bytes_init(b, 8192);
    add_u32(b, 0x52544d47);
    add_u32(b, 1);
}

static void expect_refused(Bytes *b, const char *text)
{
    g_autoptr(GError) error = NULL;

    b->end = b->out->len;
    g_assert_false(bytes_parse(b, &error));
    g_assert_cmpstr(error->message, ==, text);
    bytes_done(b);
}

static void test_not_ours(void)
{
    Bytes b;

    bytes_init(&b, 0);
    add_u32(&b, 0x5145564d); /* QEMU's */
    add_u32(&b, 3);
    expect_refused(&b, "Not a migration stream");
}

static void test_newer(void)
{
    Bytes b;

    bytes_init(&b, 0);
    add_u32(&b, 0x52544d47);
    add_u32(&b, MIGRATION_VERSION + 1);
    expect_refused(&b, "Unsupported migration stream version 3: this program knows those up to 2");
}

static void test_no_machine(void)
{
    Bytes b;

    begin(&b);
    add_u32(&b, 2);
    add_u32(&b, 8);
    add_u64(&b, 0);
    expect_refused(&b, "Migration stream is broken: no machine");
}

static void test_two_machines(void)
{
    Bytes b;

    begin(&b);
    add_machine(&b);
    add_machine(&b);
    expect_refused(&b, "Migration stream is broken: a wrong machine record");
}

static void test_long_machine(void)
{
    Bytes b;

    begin(&b);
    add_u32(&b, 1);
    add_u32(&b, 8 + 256);
    expect_refused(&b, "Migration stream is broken: a wrong machine record");
}

static void test_memory_outside(void)
{
    static const uint64_t at[] = { 8192, 8185, 8193, UINT64_MAX, UINT64_MAX - 6 };

    for (size_t i = 0; i < G_N_ELEMENTS(at); i++) {
        Bytes b;

        begin(&b);
        add_machine(&b);
        add_u32(&b, 2);
        add_u32(&b, 8 + 8);
        add_u64(&b, at[i]);
        add_u64(&b, 0);
        expect_refused(&b, "Migration stream is broken: memory beyond its end");
    }
}

static void test_memory_lengths(void)
{
    static const uint32_t len[] = { 0, 7, 8 + MIGRATION_PIECE + 1, UINT32_MAX };

    for (size_t i = 0; i < G_N_ELEMENTS(len); i++) {
        Bytes b;

        begin(&b);
        add_machine(&b);
        add_u32(&b, 2);
        add_u32(&b, len[i]);
        expect_refused(&b, "Migration stream is broken: a wrong memory record");
    }
}

static void test_device_without_name(void)
{
    static const char *const names[] = { "toy", "toy\0t0" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        uint32_t len = i == 0 ? 4 : 6; /* NUL of the class's, none of the id's */
        Bytes b;

        begin(&b);
        add_machine(&b);
        add_u32(&b, 3);
        add_u32(&b, len);
        g_byte_array_append(b.out, (const guint8 *)names[i], len);
        expect_refused(&b, "Migration stream is broken: a device without a name");
    }
}

static void test_empty_device(void)
{
    Bytes b;

    begin(&b);
    add_machine(&b);
    add_u32(&b, 3);
    add_u32(&b, 0);
    expect_refused(&b, "Migration stream is broken: a device without a name");
}

static void test_long_device(void)
{
    Bytes b;

    begin(&b);
    add_machine(&b);
    add_u32(&b, 3);
    add_u32(&b, MIGRATION_DEVICE_MAX + 1);
    expect_refused(&b, "Migration stream is broken: a device record of 16777217 bytes");
}

/* Nobody makes us keep more than MIGRATION_DEVICES_MAX. */
static void test_many_devices(void)
{
    g_autofree uint8_t *state = g_malloc0(MIGRATION_DEVICE_MAX);
    Bytes b;

    begin(&b);
    add_machine(&b);
    memcpy(state, "a\0b", 4);
    for (unsigned i = 0; i <= MIGRATION_DEVICES_MAX / MIGRATION_DEVICE_MAX; i++) {
        add_u32(&b, 3);
        add_u32(&b, MIGRATION_DEVICE_MAX);
        g_byte_array_append(b.out, state, MIGRATION_DEVICE_MAX);
    }
    expect_refused(&b, "Migration stream is broken: a device record of 16777216 bytes");
}

static void test_unknown_record(void)
{
    static const uint32_t type[] = { 0, 5, 6 };

    for (size_t i = 0; i < G_N_ELEMENTS(type); i++) {
        g_autofree char *text = g_strdup_printf("Migration stream is broken: a record of type %u",
                                                type[i]);
        Bytes b;

        begin(&b); /* of version 1 */
        add_machine(&b);
        add_u32(&b, type[i]);
        add_u32(&b, 0);
        expect_refused(&b, text);
    }
}

static void test_wrong_netdev(void)
{
    static const struct {
        const char *data; /* behind the names */
        uint32_t len;
        const char *why;
    } cases[] = {
        { "\0", 1, "Migration stream is broken: a wrong netdev record" },
        { "\0\0xx", 4, "Migration stream is broken: a netdev of 0 descriptors" },
        { "\1\1xx", 4, "Migration stream is broken: a netdev of 257 descriptors" },
        { "\0\x81x", 3, "Migration stream is broken: a netdev of 129 descriptors" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Bytes b;

        bytes_init(&b, 8192);
        add_u32(&b, 0x52544d47);
        add_u32(&b, 2);
        add_machine(&b);
        add_u32(&b, 5);
        add_u32(&b, 4 + cases[i].len);
        g_byte_array_append(b.out, (const guint8 *)"a\0b", 4);
        g_byte_array_append(b.out, (const guint8 *)cases[i].data, cases[i].len);
        expect_refused(&b, cases[i].why);
    }
}

static void test_wrong_end(void)
{
    Bytes b;

    begin(&b);
    add_machine(&b);
    add_u32(&b, 4);
    add_u32(&b, 31);
    expect_refused(&b, "Migration stream is broken: a wrong end");
}

/* --- what an earlier program wrote is read for ever --- */

static void test_version_1(void)
{
    static const uint8_t stream[] = {
        0x52, 0x54, 0x4d, 0x47, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01,
        0x00, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00,
        0x70, 0x63, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x0f, 0xf8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x5a, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x09, 0x74, 0x6f,
        0x79, 0x00, 0x6e, 0x6f, 0x6e, 0x65, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00,
        0x00, 0x00, 0x0c, 0x74, 0x6f, 0x79, 0x00, 0x74, 0x31, 0x00, 0x73, 0x74,
        0x61, 0x74, 0x65, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x20, 0x5c,
        0xd9, 0xb5, 0xbb, 0xf3, 0x2a, 0xd8, 0x18, 0xf9, 0x9a, 0xd8, 0x34, 0x97,
        0x8d, 0xf9, 0xc7, 0xc8, 0xc2, 0x2c, 0x00, 0x59, 0xaf, 0xb8, 0x01, 0x2e,
        0x61, 0xd5, 0x53, 0x67, 0xa4, 0xcf, 0x06,
    };
    Bytes b;

    bytes_init(&b, 4096);
    g_byte_array_append(b.out, stream, sizeof(stream));
    b.end = b.out->len;
    g_assert_true(bytes_parse(&b, NULL));
    g_assert_cmpstr(b.seen->str, ==, "machine pc 4096;toy/none ;toy/t1 state;");
    g_assert_cmpuint(b.ram[4095], ==, 0x5a);
    bytes_done(&b);
}

static void test_version_2(void)
{
    static const uint8_t stream[] = {
        0x52, 0x54, 0x4d, 0x47, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01,
        0x00, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00,
        0x70, 0x63, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x0f, 0x74, 0x61,
        0x70, 0x00, 0x6e, 0x30, 0x00, 0x00, 0x02, 0x73, 0x74, 0x61, 0x74, 0x65,
        0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x0c, 0x74, 0x6f, 0x79,
        0x00, 0x74, 0x31, 0x00, 0x73, 0x74, 0x61, 0x74, 0x65, 0x00, 0x00, 0x00,
        0x04, 0x00, 0x00, 0x00, 0x20, 0xb1, 0x66, 0xc8, 0x33, 0xf6, 0x57, 0x2e,
        0xd3, 0x36, 0x0d, 0x06, 0x30, 0xb1, 0xf5, 0x63, 0x16, 0xc0, 0x04, 0x27,
        0xcb, 0x40, 0x11, 0x97, 0x94, 0x71, 0x06, 0x34, 0x40, 0x6d, 0x68, 0x22,
        0x65,
    };
    Bytes b;

    bytes_init(&b, 4096);
    g_byte_array_append(b.out, stream, sizeof(stream));
    b.end = b.out->len;
    g_assert_true(bytes_parse(&b, NULL));
    g_assert_cmpstr(b.seen->str, ==, "local;machine pc 4096;tap/n0 state with 2;toy/t1 state;");
    bytes_done(&b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/stream/all-of-it", test_all_of_it);
    g_test_add_func("/migration/stream/zeros-stay-out", test_zeros_stay_out);
    g_test_add_func("/migration/stream/too-much-state", test_too_much_state);
    g_test_add_func("/migration/stream/netdevs", test_netdevs);
    g_test_add_func("/migration/stream/local-cut-and-flipped", test_local_cut_and_flipped);
    g_test_add_func("/migration/stream/netdev-not-taken", test_netdev_not_taken);
    g_test_add_func("/migration/stream/wrong-netdev", test_wrong_netdev);
    g_test_add_func("/migration/stream/cut-at-each-byte", test_cut_at_each_byte);
    g_test_add_func("/migration/stream/each-bit-flipped", test_each_bit_flipped);
    g_test_add_func("/migration/stream/not-ours", test_not_ours);
    g_test_add_func("/migration/stream/newer", test_newer);
    g_test_add_func("/migration/stream/no-machine", test_no_machine);
    g_test_add_func("/migration/stream/two-machines", test_two_machines);
    g_test_add_func("/migration/stream/long-machine", test_long_machine);
    g_test_add_func("/migration/stream/memory-outside", test_memory_outside);
    g_test_add_func("/migration/stream/memory-lengths", test_memory_lengths);
    g_test_add_func("/migration/stream/device-without-name", test_device_without_name);
    g_test_add_func("/migration/stream/empty-device", test_empty_device);
    g_test_add_func("/migration/stream/long-device", test_long_device);
    g_test_add_func("/migration/stream/many-devices", test_many_devices);
    g_test_add_func("/migration/stream/unknown-record", test_unknown_record);
    g_test_add_func("/migration/stream/wrong-end", test_wrong_end);
    g_test_add_func("/migration/stream/version-1", test_version_1);
    g_test_add_func("/migration/stream/version-2", test_version_2);
    return g_test_run();
}
