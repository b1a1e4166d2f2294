/*
 * A guest's memory: regions of files, and the log of what was written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/guest-mem.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem-fault.h"

#define PAGE 4096u

/* A file whose bytes tell where they are: page number, then offset by 16. */
static int memory_file(unsigned pages)
{
    int fd = memfd_create("memory", MFD_CLOEXEC);
    uint8_t page[PAGE];

    g_assert_cmpint(fd, >=, 0);
    for (unsigned n = 0; n < pages; n++) {
        for (unsigned i = 0; i < PAGE; i++) {
            page[i] = (uint8_t)(n ^ i / 16);
        }
        g_assert_cmpint(write(fd, page, PAGE), ==, PAGE);
    }
    return fd;
}

static uint8_t byte_of_file(uint64_t offset)
{
    return (uint8_t)(offset / PAGE ^ offset % PAGE / 16);
}

/* 16 pages; users are at gpa + 1 GiB. */
typedef struct Fixture {
    GuestMem *mem;
    int fd;
} Fixture;

#define USER(gpa) ((gpa) + (1ull << 30))

static void up(Fixture *f, gconstpointer data)
{
    f->mem = guest_mem_new();
    f->fd = memory_file(16);
}

static void down(Fixture *f, gconstpointer data)
{
    guest_mem_free(f->mem);
    close(f->fd);
}

static void add(Fixture *f, uint64_t gpa, uint64_t size, uint64_t offset)
{
    g_autoptr(GError) error = NULL;
    bool done = guest_mem_add(f->mem, gpa, size, USER(gpa), f->fd, offset, &error);

    g_assert_no_error(error);
    g_assert_true(done);
}

static void refuse(Fixture *f, uint64_t gpa, uint64_t size, uint64_t user, uint64_t offset)
{
    g_autoptr(GError) error = NULL;
    unsigned before = f->mem->n;

    g_assert_false(guest_mem_add(f->mem, gpa, size, user, f->fd, offset, &error));
    g_assert_nonnull(error);
    g_assert_cmpuint(f->mem->n, ==, before);
}

/* The one piece that @gpa is in. */
static uint8_t *at(Fixture *f, uint64_t gpa, uint64_t size)
{
    struct iovec iov;

    g_assert_cmpuint(guest_mem_iov(f->mem, gpa, size, &iov, 1), ==, 1);
    g_assert_cmpuint(iov.iov_len, ==, size);
    return iov.iov_base;
}

static void assert_absent(Fixture *f, uint64_t gpa, uint64_t size)
{
    struct iovec iov[4];

    g_assert_cmpuint(guest_mem_iov(f->mem, gpa, size, iov, G_N_ELEMENTS(iov)), ==, 0);
}

static void test_addresses(Fixture *f, gconstpointer data)
{
    add(f, 0x10000, 2 * PAGE, 3 * PAGE);
    g_assert_cmpuint(*at(f, 0x10000, 2 * PAGE), ==, byte_of_file(3 * PAGE));
    g_assert_cmpuint(*at(f, 0x10000 + PAGE + 40, 1), ==, byte_of_file(4 * PAGE + 40));
    g_assert_true(guest_mem_of_user(f->mem, USER(0x10000) + 5, 2 * PAGE - 5) == at(f, 0x10005, 1));
    g_assert_null(guest_mem_of_user(f->mem, USER(0x10000) + 5, 2 * PAGE - 4));
    g_assert_null(guest_mem_of_user(f->mem, USER(0x10000) - 1, 1));
    g_assert_null(guest_mem_of_user(f->mem, USER(0x10000) + 2 * PAGE, 1));
    g_assert_null(guest_mem_of_user(f->mem, USER(0x10000), UINT64_MAX));
}

static void test_outside(Fixture *f, gconstpointer data)
{
    assert_absent(f, 0, 1);
    add(f, 0x10000, PAGE, 0);
    assert_absent(f, 0xffff, 1);
    assert_absent(f, 0xffff, 2);
    assert_absent(f, 0x10000 + PAGE, 1);
    assert_absent(f, 0x10000 + PAGE - 1, 2);
    assert_absent(f, 0x10000, UINT64_MAX);
    assert_absent(f, 0x10000 + 1, UINT64_MAX);
    assert_absent(f, 0x10000, 0);
    assert_absent(f, UINT64_MAX, 2);
}

/* Each region finds its own, in whatever order they came. */
static void test_many_regions(Fixture *f, gconstpointer data)
{
    static const unsigned order[] = { 5, 1, 9, 0, 3, 7, 2, 8, 6, 4 };

    for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
        add(f, order[i] * 0x10000ull, PAGE, order[i] * PAGE);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
        g_assert_cmpuint(*at(f, i * 0x10000ull + 77, 1), ==, byte_of_file(i * PAGE + 77));
        g_assert_cmpint(guest_mem_find(f->mem, i * 0x10000ull + PAGE - 1), ==, i);
        g_assert_cmpint(guest_mem_find(f->mem, i * 0x10000ull + PAGE), ==, -1);
    }
}

/* What lies in regions that touch comes in pieces, if there is room for all of them. */
static void test_pieces(Fixture *f, gconstpointer data)
{
    struct iovec iov[3];

    add(f, 2 * PAGE, PAGE, 0);
    add(f, 4 * PAGE, PAGE, 9 * PAGE);
    add(f, 3 * PAGE, PAGE, 5 * PAGE);
    g_assert_cmpuint(guest_mem_iov(f->mem, 3 * PAGE - 10, PAGE + 30, iov, 3), ==, 3);
    g_assert_cmpuint(iov[0].iov_len, ==, 10);
    g_assert_cmpuint(iov[1].iov_len, ==, PAGE);
    g_assert_cmpuint(iov[2].iov_len, ==, 20);
    g_assert_cmpuint(*(uint8_t *)iov[0].iov_base, ==, byte_of_file(PAGE - 10));
    g_assert_cmpuint(*(uint8_t *)iov[1].iov_base, ==, byte_of_file(5 * PAGE));
    g_assert_cmpuint(*(uint8_t *)iov[2].iov_base, ==, byte_of_file(9 * PAGE));
    g_assert_cmpuint(guest_mem_iov(f->mem, 3 * PAGE - 10, PAGE + 30, iov, 2), ==, 0);
    g_assert_cmpuint(guest_mem_iov(f->mem, 2 * PAGE, 3 * PAGE + 1, iov, 3), ==, 0);
}

static void test_pieces_with_a_hole(Fixture *f, gconstpointer data)
{
    add(f, 2 * PAGE, PAGE, 0);
    add(f, 3 * PAGE + 1, PAGE, 4 * PAGE);
    assert_absent(f, 2 * PAGE, PAGE + 2);
}

/* The last byte that there can be. */
static void test_end_of_addresses(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    uint64_t gpa = 0ull - PAGE;

    add(f, 0, PAGE, PAGE);
    g_assert_true(guest_mem_add(f->mem, gpa, PAGE, gpa, f->fd, 0, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(*at(f, gpa + 50, PAGE - 50), ==, byte_of_file(50));
    assert_absent(f, gpa + 50, PAGE - 49);
    g_assert_nonnull(guest_mem_of_user(f->mem, gpa, PAGE));
    g_assert_null(guest_mem_of_user(f->mem, gpa, PAGE + 1));
}

static void test_refused(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    refuse(f, 0, 0, 0, 0);
    refuse(f, 2 - (uint64_t)PAGE, PAGE, 0, 0);
    refuse(f, 0, PAGE, 2 - (uint64_t)PAGE, 0);
    refuse(f, 0, 16 * PAGE + 1, 0, 0);
    refuse(f, 0, PAGE, 0, 15 * PAGE + 1);
    refuse(f, 0, PAGE, 0, UINT64_MAX - PAGE);
    refuse(f, 0, PAGE, 0, UINT64_MAX - PAGE / 2);
    refuse(f, 0, UINT64_MAX, 0, PAGE);
    g_assert_false(guest_mem_add(f->mem, 0, PAGE, 0, -1, 0, &error));
    g_assert_nonnull(error);
    add(f, 0, PAGE, 15 * PAGE);
}

static void test_read_only_file(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", f->fd);
    g_autoptr(GError) error = NULL;
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_false(guest_mem_add(f->mem, 0, PAGE, 0, fd, 0, &error));
    g_assert_nonnull(error);
    g_assert_cmpuint(f->mem->n, ==, 0);
}

static void test_overlap(Fixture *f, gconstpointer data)
{
    uint64_t gpa = 0x10000, user = USER(0x10000), far = 1ull << 40;

    add(f, gpa, 2 * PAGE, 0);
    refuse(f, gpa, 2 * PAGE, far, 0);
    refuse(f, gpa - PAGE + 1, PAGE, far, 0);
    refuse(f, gpa + 2 * PAGE - 1, PAGE, far, 0);
    refuse(f, gpa - PAGE, 4 * PAGE, far, 0);
    refuse(f, gpa + 1, 1, far, 0);
    refuse(f, far, PAGE, user - PAGE + 1, 0);
    refuse(f, far, PAGE, user + 2 * PAGE - 1, 0);
    add(f, gpa - PAGE, PAGE, 0);
    add(f, gpa + 2 * PAGE, PAGE, 0);
}

static void test_too_many(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < GUEST_MEM_MAX_REGIONS; i++) {
        add(f, (uint64_t)i * 2 * PAGE, PAGE, 0);
    }
    refuse(f, 1ull << 40, PAGE, 1ull << 50, 0);
    at(f, (GUEST_MEM_MAX_REGIONS - 1) * 2ull * PAGE, PAGE);
    guest_mem_clear(f->mem);
    assert_absent(f, 0, 1);
    add(f, 0, PAGE, 0);
}

/* A region may begin anywhere in a file, and anywhere in a page. */
static void test_unaligned(Fixture *f, gconstpointer data)
{
    add(f, 0x1234, 3 * PAGE - 100, PAGE + 33);
    g_assert_cmpuint(*at(f, 0x1234, 1), ==, byte_of_file(PAGE + 33));
    g_assert_cmpuint(*at(f, 0x1234 + 3 * PAGE - 101, 1), ==, byte_of_file(4 * PAGE - 68));
    assert_absent(f, 0x1233, 1);
}

static void test_remove(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    uint8_t *third;

    for (unsigned i = 0; i < 3; i++) {
        add(f, i * 0x10000ull, PAGE, i * PAGE);
    }
    third = at(f, 0x20000, 1);
    g_assert_false(guest_mem_remove(f->mem, 0x10000, PAGE + 1, USER(0x10000), NULL));
    g_assert_false(guest_mem_remove(f->mem, 0x10001, PAGE, USER(0x10000), NULL));
    g_assert_false(guest_mem_remove(f->mem, 0x10000, PAGE, USER(0x10001), NULL));
    g_assert_false(guest_mem_remove(f->mem, 0x30000, PAGE, USER(0x30000), &error));
    g_assert_nonnull(error);
    g_assert_true(guest_mem_remove(f->mem, 0x10000, PAGE, USER(0x10000), NULL));
    assert_absent(f, 0x10000, 1);
    g_assert_true(at(f, 0x20000, 1) == third);
    at(f, 0, 1);
    add(f, 0x10000, PAGE, 7 * PAGE);
    g_assert_cmpuint(*at(f, 0x10000, 1), ==, byte_of_file(7 * PAGE));
}

/* Told once a queue pair, it is one region, and there until the last pair has let go of it. */
static void test_twice(Fixture *f, gconstpointer data)
{
    uint8_t *host;

    add(f, 0x10000, PAGE, PAGE);
    host = at(f, 0x10000, PAGE);
    add(f, 0x10000, PAGE, PAGE);
    add(f, 0x10000, PAGE, PAGE);
    g_assert_cmpuint(f->mem->n, ==, 1);
    refuse(f, 0x10000, PAGE, USER(0x10000), 2 * PAGE);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(guest_mem_remove(f->mem, 0x10000, PAGE, USER(0x10000), NULL));
        g_assert_true(at(f, 0x10000, PAGE) == host);
    }
    g_assert_true(guest_mem_remove(f->mem, 0x10000, PAGE, USER(0x10000), NULL));
    assert_absent(f, 0x10000, 1);
    g_assert_false(guest_mem_remove(f->mem, 0x10000, PAGE, USER(0x10000), NULL));
    add(f, 0x10000, PAGE, 2 * PAGE);
    guest_mem_clear(f->mem);
    add(f, 0x10000, PAGE, PAGE);
    g_assert_true(guest_mem_remove(f->mem, 0x10000, PAGE, USER(0x10000), NULL));
    assert_absent(f, 0x10000, 1);
}

/* The short cut finds what is all in its region, and nothing where there is none any more. */
static void test_hint(Fixture *f, gconstpointer data)
{
    int hint;

    g_assert_null(guest_mem_at(f->mem, 0, 0, 1));
    add(f, 0, PAGE, 0);
    add(f, PAGE, PAGE, PAGE);
    hint = guest_mem_find(f->mem, PAGE + 5);
    g_assert_cmpint(hint, ==, 1);
    g_assert_true(guest_mem_at(f->mem, 1, PAGE + 5, PAGE - 5) == at(f, PAGE + 5, 1));
    g_assert_null(guest_mem_at(f->mem, 1, PAGE + 5, PAGE - 4));
    g_assert_null(guest_mem_at(f->mem, 1, PAGE - 1, 1));
    g_assert_null(guest_mem_at(f->mem, 1, 2 * PAGE, 1));
    g_assert_null(guest_mem_at(f->mem, 1, PAGE + 5, UINT64_MAX));
    g_assert_true(guest_mem_remove(f->mem, PAGE, PAGE, USER(PAGE), NULL));
    g_assert_null(guest_mem_at(f->mem, 1, PAGE + 5, 1));
    g_assert_null(guest_mem_at(f->mem, 1, 0, 1));
    guest_mem_clear(f->mem);
    g_assert_null(guest_mem_at(f->mem, 0, 0, 1));
}

/* --- the dirty log --- */

/* Its file has 8 bytes before the log, and 8 behind it, which must not change. */
#define LOG_SIZE 4u

typedef struct Log {
    Fixture f;
    uint8_t *bytes; /* what the VMM has mapped: the file from its beginning */
} Log;

static void log_up(Log *l, gconstpointer data)
{
    AUTO_FD int fd = memfd_create("log", MFD_CLOEXEC);

    up(&l->f, data);
    g_assert_cmpint(ftruncate(fd, 8 + LOG_SIZE + 8), ==, 0);
    l->bytes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert_true(l->bytes != MAP_FAILED);
    g_assert_false(guest_mem_logs(l->f.mem));
    g_assert_true(guest_mem_set_log(l->f.mem, fd, LOG_SIZE, 8, NULL));
    g_assert_true(guest_mem_logs(l->f.mem));
}

static void log_down(Log *l, gconstpointer data)
{
    munmap(l->bytes, PAGE);
    down(&l->f, data);
}

static void expect_log(Log *l, uint32_t bits)
{
    uint8_t want[8 + LOG_SIZE + 8] = { 0 };

    for (unsigned i = 0; i < LOG_SIZE; i++) {
        want[8 + i] = (uint8_t)(bits >> i * 8);
    }
    g_assert_cmpmem(l->bytes, sizeof(want), want, sizeof(want));
    memset(l->bytes, 0, sizeof(want));
}

static void test_log_pages(Log *l, gconstpointer data)
{
    guest_mem_dirty(l->f.mem, 0, 1);
    expect_log(l, 1 << 0);
    guest_mem_dirty(l->f.mem, PAGE - 1, 1);
    expect_log(l, 1 << 0);
    guest_mem_dirty(l->f.mem, PAGE - 1, 2);
    expect_log(l, 3 << 0);
    guest_mem_dirty(l->f.mem, 9 * PAGE, PAGE);
    expect_log(l, 1 << 9);
    guest_mem_dirty(l->f.mem, 7 * PAGE + 5, 3 * PAGE);
    expect_log(l, 0xf << 7);
    guest_mem_dirty(l->f.mem, 5 * PAGE, 0);
    guest_mem_dirty(l->f.mem, 0, 0);
    expect_log(l, 0);
}

static void test_log_keeps_bits(Log *l, gconstpointer data)
{
    l->bytes[8] = 0x80;
    guest_mem_dirty(l->f.mem, PAGE, 1);
    guest_mem_dirty(l->f.mem, 7 * PAGE, 1);
    guest_mem_dirty(l->f.mem, 5 * PAGE, 1);
    expect_log(l, 1 << 7 | 1 << 1 | 1 << 5);
}

/* What is beyond the log is not marked, and no byte behind it is written. */
static void test_log_bounds(Log *l, gconstpointer data)
{
    guest_mem_dirty(l->f.mem, 31 * PAGE, 1);
    expect_log(l, 1u << 31);
    guest_mem_dirty(l->f.mem, 32 * PAGE, 1);
    expect_log(l, 0);
    guest_mem_dirty(l->f.mem, 30 * PAGE, 100 * PAGE);
    expect_log(l, 3u << 30);
    guest_mem_dirty(l->f.mem, 29 * PAGE, UINT64_MAX);
    expect_log(l, 7u << 29);
    guest_mem_dirty(l->f.mem, UINT64_MAX, 1);
    guest_mem_dirty(l->f.mem, UINT64_MAX - 5, 10);
    expect_log(l, 0);
}

static void test_log_by_host(Log *l, gconstpointer data)
{
    uint8_t *host, outside;

    add(&l->f, 4 * PAGE, PAGE, 0);
    add(&l->f, 20 * PAGE, 2 * PAGE, PAGE);
    host = at(&l->f, 20 * PAGE, 2 * PAGE);
    guest_mem_dirty_host(l->f.mem, host + PAGE - 1, 1);
    expect_log(l, 1 << 20);
    guest_mem_dirty_host(l->f.mem, host + PAGE - 1, 2);
    expect_log(l, 3 << 20);
    guest_mem_dirty_host(l->f.mem, host + PAGE, 100 * PAGE);
    expect_log(l, 1 << 21);
    guest_mem_dirty_host(l->f.mem, at(&l->f, 4 * PAGE, 1), 1);
    expect_log(l, 1 << 4);
    guest_mem_dirty_host(l->f.mem, &outside, 1);
    expect_log(l, 0);
}

static void test_log_refused(Log *l, gconstpointer data)
{
    AUTO_FD int fd = memfd_create("short", MFD_CLOEXEC);

    g_assert_cmpint(ftruncate(fd, 100), ==, 0);
    g_assert_false(guest_mem_set_log(l->f.mem, fd, 101, 0, NULL));
    g_assert_false(guest_mem_set_log(l->f.mem, fd, 100, 1, NULL));
    g_assert_false(guest_mem_set_log(l->f.mem, fd, 0, 0, NULL));
    g_assert_false(guest_mem_set_log(l->f.mem, fd, UINT64_MAX, 2, NULL));
    guest_mem_dirty(l->f.mem, PAGE, 1);
    expect_log(l, 1 << 1); /* the former one is still kept */
}

static void test_log_off(Log *l, gconstpointer data)
{
    g_assert_true(guest_mem_set_log(l->f.mem, -1, 0, 0, NULL));
    g_assert_false(guest_mem_logs(l->f.mem));
    guest_mem_dirty(l->f.mem, 0, 1);
    expect_log(l, 0);
}

static void test_log_outlives_regions(Log *l, gconstpointer data)
{
    add(&l->f, 0, PAGE, 0);
    guest_mem_clear(l->f.mem);
    guest_mem_dirty(l->f.mem, 0, 1);
    expect_log(l, 1);
}

/* Two threads that mark pages of the same bytes lose none. */
static gpointer mark_every_other(gpointer opaque)
{
    Log *l = opaque;

    for (unsigned page = 1; page < LOG_SIZE * 8; page += 2) {
        guest_mem_dirty(l->f.mem, page * PAGE, 1);
    }
    return NULL;
}

static void test_log_threads(Log *l, gconstpointer data)
{
    for (unsigned round = 0; round < 200; round++) {
        GThread *other = g_thread_new("marks", mark_every_other, l);

        for (unsigned page = 0; page < LOG_SIZE * 8; page += 2) {
            guest_mem_dirty(l->f.mem, page * PAGE, 1);
        }
        g_thread_join(other);
        expect_log(l, UINT32_MAX);
    }
}

/* Of one VMM, so that others have address space, too. */
static void test_too_much(Fixture *f, gconstpointer data)
{
    static const char *why = "there is more than 0x100000000000 bytes of memory";
    g_autoptr(GError) error = NULL;

    g_assert_false(guest_mem_add(f->mem, 0, GUEST_MEM_MAX_SIZE + 1, 0, f->fd, 0, &error));
    g_assert_cmpstr(error->message, ==, why);
    g_clear_error(&error);
    add(f, 0, PAGE, 0);
    g_assert_false(guest_mem_add(f->mem, 1ull << 50, GUEST_MEM_MAX_SIZE - PAGE + 1, 1ull << 50,
                                 f->fd, 0, &error));
    g_assert_cmpstr(error->message, ==, why);
    g_clear_error(&error);
    /* as much as there may be: only the file has not got it */
    g_assert_false(guest_mem_add(f->mem, 1ull << 50, GUEST_MEM_MAX_SIZE - PAGE, 1ull << 50,
                                 f->fd, 0, &error));
    g_assert_cmpstr(error->message, !=, why);
    g_clear_error(&error);
    g_assert_false(guest_mem_set_log(f->mem, f->fd, GUEST_MEM_MAX_SIZE + 1, 0, &error));
    g_assert_true(g_str_has_prefix(error->message, "no memory has 0x100000000001 bytes"));
}

/* The VMM truncates its file: zeros are there, and the owner is told. */
static void test_fault(Fixture *f, gconstpointer data)
{
    AUTO_FD int told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    volatile uint8_t *at;
    uint64_t n;

    mem_fault_install();
    f->mem->fault_fd = told;
    add(f, 0, 16 * PAGE, 0);
    at = guest_mem_of_user(f->mem, USER(0), 16 * PAGE);
    g_assert_cmpint(ftruncate(f->fd, PAGE), ==, 0);
    g_assert_cmpint(read(told, &n, sizeof(n)), <, 0);
    g_assert_cmpuint(at[15 * PAGE + 16], ==, 0);
    g_assert_cmpint(read(told, &n, sizeof(n)), ==, sizeof(n));
    guest_mem_clear(f->mem);
    f->mem->fault_fd = -1;
}

static void test_log_fault(Log *l, gconstpointer data)
{
    AUTO_FD int told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    AUTO_FD int fd = memory_file(1);
    g_autoptr(GError) error = NULL;
    uint64_t n;

    mem_fault_install();
    l->f.mem->fault_fd = told;
    g_assert_true(guest_mem_set_log(l->f.mem, fd, PAGE, 0, &error));
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
    guest_mem_dirty(l->f.mem, 0, 1);
    g_assert_cmpint(read(told, &n, sizeof(n)), ==, sizeof(n));
    g_assert_true(guest_mem_set_log(l->f.mem, -1, 0, 0, &error));
    l->f.mem->fault_fd = -1;
}

/* What is unmapped is not registered for faults any more: the places there are limited. */
static void test_places(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i <= MEM_FAULT_MAX / 3; i++) {
        add(f, 0, PAGE, 0);
        g_assert_true(guest_mem_remove(f->mem, 0, PAGE, USER(0), &error));
        add(f, 0, PAGE, 0);
        guest_mem_clear(f->mem);
        g_assert_true(guest_mem_set_log(f->mem, f->fd, PAGE, 0, &error));
    }
    g_assert_true(guest_mem_set_log(f->mem, -1, 0, 0, &error));
}

static void test_too_many_places(Fixture *f, gconstpointer data)
{
    g_autofree int *id = g_new(int, MEM_FAULT_MAX);
    g_autofree char *maps = NULL;
    g_autoptr(GError) error = NULL;
    unsigned n = 0;

    while (n < MEM_FAULT_MAX && (id[n] = mem_fault_add(f, 1, -1)) >= 0) {
        n++;
    }
    g_assert_false(guest_mem_add(f->mem, 0, PAGE, USER(0), f->fd, 0, &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOMEM);
    g_assert_cmpuint(f->mem->n, ==, 0);
    g_assert_true(g_file_get_contents("/proc/self/maps", &maps, NULL, NULL));
    g_assert_null(strstr(maps, "memfd:memory"));
    while (n > 0) {
        mem_fault_remove(id[--n]);
    }
}

static void test_free_null(void)
{
    guest_mem_free(NULL);
}

#define ADD(name, fn) g_test_add("/hw/virtio/guest-mem/" name, Fixture, NULL, up, fn, down)
#define ADD_LOG(name, fn) \
    g_test_add("/hw/virtio/guest-mem/log-" name, Log, NULL, log_up, fn, log_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("addresses", test_addresses);
    ADD("outside", test_outside);
    ADD("many-regions", test_many_regions);
    ADD("pieces", test_pieces);
    ADD("pieces-with-a-hole", test_pieces_with_a_hole);
    ADD("end-of-addresses", test_end_of_addresses);
    ADD("refused", test_refused);
    ADD("read-only-file", test_read_only_file);
    ADD("overlap", test_overlap);
    ADD("twice", test_twice);
    ADD("too-many", test_too_many);
    ADD("unaligned", test_unaligned);
    ADD("remove", test_remove);
    ADD("hint", test_hint);
    ADD("too-much", test_too_much);
    ADD("fault", test_fault);
    ADD("places", test_places);
    ADD("too-many-places", test_too_many_places);
    ADD_LOG("pages", test_log_pages);
    ADD_LOG("keeps-bits", test_log_keeps_bits);
    ADD_LOG("bounds", test_log_bounds);
    ADD_LOG("by-host", test_log_by_host);
    ADD_LOG("refused", test_log_refused);
    ADD_LOG("off", test_log_off);
    ADD_LOG("outlives-regions", test_log_outlives_regions);
    ADD_LOG("threads", test_log_threads);
    ADD_LOG("fault", test_log_fault);
    g_test_add_func("/hw/virtio/guest-mem/free-null", test_free_null);
    return g_test_run();
}
