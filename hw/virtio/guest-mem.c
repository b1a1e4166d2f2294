/*
 * A guest's memory: its regions in the order of their guest addresses, and the dirty log.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/guest-mem.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "util/mem-fault.h"

#define MEM_FAIL(error, ...) g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, __VA_ARGS__)

/* --- mappings --- */

/* Huge pages are mapped and unmapped as a whole. 0 and errno: @fd is no descriptor. */
static uint64_t mapping_unit(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0) {
        return 0;
    }
    return fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : (uint64_t)getpagesize();
}

/* To touch what a file has not got is a fault: better to say so now. */
static bool file_reaches(int fd, uint64_t offset, uint64_t size, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot look at the file of memory: %s", g_strerror(errno));
        return false;
    }
    if (S_ISREG(st.st_mode) && offset + size > (uint64_t)st.st_size) {
        MEM_FAIL(error, "the file of memory ends at 0x%" G_GINT64_MODIFIER "x, before 0x%"
                 G_GINT64_MODIFIER "x", (uint64_t)st.st_size, offset + size);
        return false;
    }
    return true;
}

static bool map_pages(GuestMapping *map, int fd, uint64_t len, uint64_t offset, int fault_fd)
{
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

    if (at == MAP_FAILED) {
        return false;
    }
    *map = (GuestMapping){ .at = at, .size = len };
    map->fault_id = mem_fault_add(at, len, fault_fd);
    if (map->fault_id < 0) {
        munmap(at, len);
        *map = (GuestMapping){ 0 };
        errno = ENOMEM;
    }
    return map->at != NULL;
}

void *guest_mem_map(GuestMapping *map, int fd, uint64_t size, uint64_t offset, int fault_fd,
                    GError **error)
{
    uint64_t unit, front, len;

    if (size == 0 || size > GUEST_MEM_MAX_SIZE || offset > INT64_MAX / 2) {
        MEM_FAIL(error, "no memory has 0x%" G_GINT64_MODIFIER "x bytes at offset 0x%"
                 G_GINT64_MODIFIER "x of a file", size, offset);
        return NULL;
    }
    if (!file_reaches(fd, offset, size, error)) {
        return NULL;
    }
    unit = mapping_unit(fd);
    front = unit ? offset % unit : 0;
    len = unit ? (front + size + unit - 1) / unit * unit : 0;
    if (!unit || !map_pages(map, fd, len, offset - front, fault_fd)) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot map memory: %s", g_strerror(errno));
        return NULL;
    }
    return (uint8_t *)map->at + front;
}

void guest_mem_unmap(GuestMapping *map)
{
    if (map->at) {
        mem_fault_remove(map->fault_id);
        munmap(map->at, map->size);
    }
    *map = (GuestMapping){ 0 };
}

GuestMem *guest_mem_new(void)
{
    GuestMem *mem = g_new0(GuestMem, 1);

    mem->fault_fd = -1;
    return mem;
}

static void unmap_log(GuestMem *mem)
{
    guest_mem_unmap(&mem->log_map);
    mem->log = NULL;
    mem->log_size = 0;
}

void guest_mem_free(GuestMem *mem)
{
    if (!mem) {
        return;
    }
    guest_mem_clear(mem);
    unmap_log(mem);
    g_free(mem);
}

/* --- regions --- */

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b ? b - a < a_size : a - b < b_size;
}

/* The first region that ends behind @gpa; mem->n: there is none. */
static unsigned region_from(const GuestMem *mem, uint64_t gpa)
{
    unsigned lo = 0, hi = mem->n;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const GuestRegion *r = &mem->region[mid];

        if (gpa >= r->gpa && gpa - r->gpa >= r->size) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static bool same_region(const GuestRegion *a, const GuestRegion *b)
{
    return a->gpa == b->gpa && a->size == b->size && a->user == b->user && a->offset == b->offset;
}

static bool check_region(const GuestMem *mem, const GuestRegion *new, GError **error)
{
    uint64_t room = GUEST_MEM_MAX_SIZE;

    if (new->size == 0 || new->gpa + (new->size - 1) < new->gpa
        || new->user + (new->size - 1) < new->user) {
        MEM_FAIL(error, "no memory has 0x%" G_GINT64_MODIFIER "x bytes at 0x%"
                 G_GINT64_MODIFIER "x", new->size, new->gpa);
        return false;
    }
    if (mem->n == GUEST_MEM_MAX_REGIONS) {
        MEM_FAIL(error, "there are %u regions of memory already", mem->n);
        return false;
    }
    for (unsigned i = 0; i < mem->n; i++) {
        const GuestRegion *r = &mem->region[i];

        if (overlap(r->gpa, r->size, new->gpa, new->size)
            || overlap(r->user, r->size, new->user, new->size)) {
            MEM_FAIL(error, "memory at 0x%" G_GINT64_MODIFIER "x reaches into that at 0x%"
                     G_GINT64_MODIFIER "x", new->gpa, r->gpa);
            return false;
        }
        room -= r->size;
    }
    if (new->size > room) {
        MEM_FAIL(error, "there is more than 0x%" G_GINT64_MODIFIER "x bytes of memory",
                 (uint64_t)GUEST_MEM_MAX_SIZE);
        return false;
    }
    return true;
}

bool guest_mem_add(GuestMem *mem, uint64_t gpa, uint64_t size, uint64_t user, int fd,
                   uint64_t offset, GError **error)
{
    GuestRegion new = { .gpa = gpa, .size = size, .user = user, .offset = offset, .added = 1 };
    unsigned at = region_from(mem, gpa);

    if (at < mem->n && same_region(&mem->region[at], &new)) {
        mem->region[at].added++;
        return true;
    }
    if (!check_region(mem, &new, error)) {
        return false;
    }
    new.host = guest_mem_map(&new.map, fd, size, offset, mem->fault_fd, error);
    if (!new.host) {
        return false;
    }
    new.fd = mem->handed_on ? fd : -1;
    memmove(&mem->region[at + 1], &mem->region[at], (mem->n - at) * sizeof(new));
    mem->region[at] = new;
    mem->n++;
    return true;
}

bool guest_mem_remove(GuestMem *mem, uint64_t gpa, uint64_t size, uint64_t user, GError **error)
{
    unsigned at = region_from(mem, gpa);
    GuestRegion *r = &mem->region[at];

    if (at == mem->n || r->gpa != gpa || r->size != size || r->user != user) {
        MEM_FAIL(error, "there is no memory of 0x%" G_GINT64_MODIFIER "x bytes at 0x%"
                 G_GINT64_MODIFIER "x", size, gpa);
        return false;
    }
    if (--r->added > 0) {
        return true;
    }
    guest_mem_unmap(&r->map);
    mem->n--;
    memmove(r, r + 1, (mem->n - at) * sizeof(*r));
    mem->region[mem->n] = (GuestRegion){ 0 };
    return true;
}

void guest_mem_clear(GuestMem *mem)
{
    for (unsigned i = 0; i < mem->n; i++) {
        guest_mem_unmap(&mem->region[i].map);
        mem->region[i] = (GuestRegion){ 0 };
    }
    mem->n = 0;
}

void *guest_mem_of_user(const GuestMem *mem, uint64_t user, uint64_t size)
{
    for (unsigned i = 0; i < mem->n; i++) {
        const GuestRegion *r = &mem->region[i];
        uint64_t off = user - r->user;

        if (off < r->size) {
            return size <= r->size - off ? r->host + off : NULL;
        }
    }
    return NULL;
}

int guest_mem_find(const GuestMem *mem, uint64_t gpa)
{
    unsigned at = region_from(mem, gpa);

    return at < mem->n && gpa >= mem->region[at].gpa ? (int)at : -1;
}

unsigned guest_mem_iov(const GuestMem *mem, uint64_t gpa, uint64_t size, struct iovec *ret_iov,
                       unsigned max)
{
    unsigned at = region_from(mem, gpa), n = 0;

    while (size > 0 && n < max && at < mem->n && gpa >= mem->region[at].gpa) {
        const GuestRegion *r = &mem->region[at];
        uint64_t off = gpa - r->gpa;
        uint64_t len;

        if (off >= r->size) {
            return 0; /* behind the former region is nothing */
        }
        len = MIN(size, r->size - off);
        ret_iov[n++] = (struct iovec){ r->host + off, len };
        gpa += len; /* 0 behind the last byte there can be, which no further region begins with */
        size -= len;
        at++;
    }
    return size == 0 ? n : 0;
}

/* --- the dirty log --- */

bool guest_mem_set_log(GuestMem *mem, int fd, uint64_t size, uint64_t offset, GError **error)
{
    GuestMapping map = { 0 };
    uint8_t *log = NULL;

    if (fd >= 0) {
        log = guest_mem_map(&map, fd, size, offset, mem->fault_fd, error);
        if (!log) {
            return false;
        }
    }
    unmap_log(mem);
    if (log) {
        mem->log = log;
        mem->log_size = size;
        mem->log_map = map;
    }
    return true;
}

void guest_mem_dirty(const GuestMem *mem, uint64_t gpa, uint64_t size)
{
    uint64_t last = gpa + (size - 1), page = gpa / GUEST_MEM_LOG_PAGE;

    if (!mem->log || size == 0) {
        return;
    }
    last = (last < gpa ? UINT64_MAX : last) / GUEST_MEM_LOG_PAGE;
    if (last / 8 >= mem->log_size) {
        last = mem->log_size * 8 - 1;
    }
    /*
     * A bit that is set already may be taken at any moment, and the page be read then: what was
     * written has to be visible before we look.
     */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (; page <= last; page++) {
        uint8_t *byte = &mem->log[page / 8], bit = (uint8_t)(1u << page % 8);

        if (!(__atomic_load_n(byte, __ATOMIC_RELAXED) & bit)) {
            __atomic_fetch_or(byte, bit, __ATOMIC_SEQ_CST);
        }
    }
}

void guest_mem_dirty_host(const GuestMem *mem, const void *host, uint64_t size)
{
    for (unsigned i = 0; i < mem->n; i++) {
        const GuestRegion *r = &mem->region[i];
        uint64_t off = (uintptr_t)host - (uintptr_t)r->host;

        if (off < r->size) {
            guest_mem_dirty(mem, r->gpa + off, MIN(size, r->size - off));
            return;
        }
    }
}
