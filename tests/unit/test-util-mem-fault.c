/*
 * A file that is truncated under its mapping: what is registered is mended, the rest kills.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/mem-fault.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/fd.h"

#define PAGES 4

typedef struct Mapping {
    int fd;
    volatile uint8_t *at;
    size_t size;
} Mapping;

static void map(Mapping *m)
{
    m->size = PAGES * (size_t)getpagesize();
    m->fd = memfd_create("mem-fault", MFD_CLOEXEC);
    g_assert_cmpint(m->fd, >=, 0);
    g_assert_cmpint(ftruncate(m->fd, (off_t)m->size), ==, 0);
    m->at = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
    g_assert_true(m->at != MAP_FAILED);
    memset((void *)m->at, 0x55, m->size);
}

static void unmap(Mapping *m)
{
    munmap((void *)m->at, m->size);
    fd_close(&m->fd);
}

static void truncate_to(Mapping *m, size_t size)
{
    g_assert_cmpint(ftruncate(m->fd, (off_t)size), ==, 0);
}

static uint64_t told(int fd)
{
    uint64_t n = 0;

    return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void test_mends(void)
{
    AUTO_FD int notify = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    Mapping m;
    int id;

    mem_fault_install();
    map(&m);
    id = mem_fault_add((void *)m.at, m.size, notify);
    g_assert_cmpint(id, >=, 0);
    truncate_to(&m, m.size / PAGES);
    g_assert_cmpuint(m.at[0], ==, 0x55);
    g_assert_cmpuint(told(notify), ==, 0);
    g_assert_cmpuint(m.at[m.size - 1], ==, 0);
    g_assert_cmpuint(told(notify), ==, 1);
    /* all of the mapping, once and for all */
    g_assert_cmpuint(m.at[0], ==, 0);
    m.at[m.size - 1] = 7;
    g_assert_cmpuint(m.at[m.size - 1], ==, 7);
    g_assert_cmpuint(told(notify), ==, 0);
    mem_fault_remove(id);
    unmap(&m);
}

static void test_mends_writes(void)
{
    Mapping m;
    int id;

    mem_fault_install();
    map(&m);
    id = mem_fault_add((void *)m.at, m.size, -1);
    truncate_to(&m, 0);
    m.at[5] = 1;
    g_assert_cmpuint(__atomic_fetch_or(&m.at[5], 2, __ATOMIC_SEQ_CST), ==, 1);
    g_assert_cmpuint(m.at[5], ==, 3);
    mem_fault_remove(id);
    unmap(&m);
}

/* Whoever was interrupted between a call and its errno does not notice. */
static void test_errno(void)
{
    AUTO_FD int full = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t most = UINT64_MAX - 1;
    Mapping m;
    int id;

    g_assert_cmpint(write(full, &most, sizeof(most)), ==, sizeof(most));
    mem_fault_install();
    map(&m);
    id = mem_fault_add((void *)m.at, m.size, full);
    truncate_to(&m, 0);
    errno = EXDEV;
    m.at[0] = 1;
    g_assert_cmpint(errno, ==, EXDEV);
    mem_fault_remove(id);
    unmap(&m);
}

/* Its neighbours in the table are left alone. */
static void test_right_one(void)
{
    int notify[3];
    Mapping m[3];
    int id[3];

    mem_fault_install();
    for (int i = 0; i < 3; i++) {
        notify[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        map(&m[i]);
        id[i] = mem_fault_add((void *)m[i].at, m[i].size, notify[i]);
    }
    truncate_to(&m[1], 0);
    g_assert_cmpuint(m[1].at[0], ==, 0);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpuint(told(notify[i]), ==, i == 1);
        g_assert_cmpuint(m[i].at[0], ==, i == 1 ? 0 : 0x55);
        mem_fault_remove(id[i]);
        unmap(&m[i]);
        fd_close(&notify[i]);
    }
}

typedef struct Toucher {
    GThread *thread;
    Mapping m;
    int notify;
    int id;
    int start; /* atomic */
} Toucher;

static gpointer touch(gpointer opaque)
{
    Toucher *t = opaque;

    while (!g_atomic_int_get(&t->start)) {
        continue;
    }
    for (size_t i = 0; i < t->m.size; i += 64) {
        __atomic_fetch_add(&t->m.at[i], 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Several threads at the same mapping, while entries come and go. */
static void test_threads(void)
{
    Toucher t[4];
    Mapping m;

    mem_fault_install();
    map(&m);
    for (unsigned round = 0; round < 50; round++) {
        int notify = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        int id = mem_fault_add((void *)m.at, m.size, notify);

        for (unsigned i = 0; i < G_N_ELEMENTS(t); i++) {
            t[i] = (Toucher){ .m = m };
            t[i].thread = g_thread_new("touch", touch, &t[i]);
        }
        truncate_to(&m, 0);
        for (unsigned i = 0; i < G_N_ELEMENTS(t); i++) {
            g_atomic_int_set(&t[i].start, 1);
        }
        for (unsigned i = 0; i < 100; i++) {
            mem_fault_remove(mem_fault_add(&t, 1, -1));
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(t); i++) {
            g_thread_join(t[i].thread);
        }
        g_assert_cmpuint(told(notify), >=, 1);
        mem_fault_remove(id);
        fd_close(&notify);
        unmap(&m);
        map(&m);
    }
    unmap(&m);
}

static void test_full(void)
{
    g_autofree int *id = g_new(int, MEM_FAULT_MAX);
    uint8_t page[1];

    for (unsigned i = 0; i < MEM_FAULT_MAX; i++) {
        id[i] = mem_fault_add(page, 1, -1);
        g_assert_cmpint(id[i], >=, 0);
    }
    g_assert_cmpint(mem_fault_add(page, 1, -1), ==, -1);
    mem_fault_remove(-1);
    g_assert_cmpint(mem_fault_add(page, 1, -1), ==, -1);
    mem_fault_remove(id[7]);
    g_assert_cmpint(mem_fault_add(page, 1, -1), ==, id[7]);
    for (unsigned i = 0; i < MEM_FAULT_MAX; i++) {
        mem_fault_remove(id[i]);
    }
}

static void die_of_other_memory(void)
{
    Mapping m, other;

    mem_fault_install();
    map(&m);
    map(&other);
    mem_fault_add((void *)other.at, other.size, -1);
    truncate_to(&m, 0);
    m.at[0] = 1;
}

static void die_after_removal(void)
{
    Mapping m;

    mem_fault_install();
    map(&m);
    mem_fault_remove(mem_fault_add((void *)m.at, m.size, -1));
    truncate_to(&m, 0);
    m.at[0] = 1;
}

/* Just behind what is registered. */
static void die_behind(void)
{
    Mapping m;

    mem_fault_install();
    map(&m);
    mem_fault_add((void *)m.at, m.size / 2, -1);
    truncate_to(&m, 0);
    m.at[m.size / 2] = 1;
}

static void die_of_signal(void)
{
    mem_fault_install();
    mem_fault_install();
    raise(SIGBUS);
}

static void test_fatal(gconstpointer data)
{
    if (g_test_subprocess()) {
        void (*die)(void) = data;

        die();
        return; /* which the parent takes for a failure */
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/mem-fault/mends", test_mends);
    g_test_add_func("/util/mem-fault/mends-writes", test_mends_writes);
    g_test_add_func("/util/mem-fault/errno", test_errno);
    g_test_add_func("/util/mem-fault/right-one", test_right_one);
    g_test_add_func("/util/mem-fault/threads", test_threads);
    g_test_add_func("/util/mem-fault/full", test_full);
    g_test_add_data_func("/util/mem-fault/fatal/other-memory", die_of_other_memory, test_fatal);
    g_test_add_data_func("/util/mem-fault/fatal/removed", die_after_removal, test_fatal);
    g_test_add_data_func("/util/mem-fault/fatal/behind", die_behind, test_fatal);
    g_test_add_data_func("/util/mem-fault/fatal/signal", die_of_signal, test_fatal);
    return g_test_run();
}
