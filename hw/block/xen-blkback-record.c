/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xen-blkback-record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/xen/xen-queues.h"
#include "util/fd.h"
#include "util/options.h"

#define MAGIC     "ringtap vbd 001" /* another number for another layout */
#define ROOTS_DIR "/run/ringtap"

#define RECORD_FAIL(error, ...) g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, __VA_ARGS__)

typedef enum EntryState {
    ENTRY_FREE,
    ENTRY_TAKEN,
    ENTRY_ANSWERED, /* it still counts, until the ring's rsp_prod is beyond its response */
} EntryState;

typedef struct Entry {
    uint32_t state;    /* EntryState; atomic */
    uint32_t request;  /* index in the ring */
    uint32_t response; /* the same */
    uint32_t pad;
    uint8_t slot[XEN_BLKBACK_RECORD_SLOT];
} Entry;

typedef struct Header {
    char magic[16];
    XenBlkbackRecordRing ring;
    uint32_t cons;     /* requests up to it were taken; atomic */
} Header;

struct XenBlkbackRecord {
    Header *header;
    Entry *entry;
    size_t size;
    int dir;           /* -1: none */
    char *name;
    unsigned n_free;
    uint16_t *free;    /* the last one is the next */
};

static size_t record_offset(void)
{
    return (sizeof(Header) + 63) / 64 * 64;
}

/* --- the file --- */

int xen_blkback_record_dir(bool make, GError **error)
{
    const char *runtime = g_getenv("XDG_RUNTIME_DIR");
    g_autofree char *path = geteuid() == 0 || !runtime ? g_strdup(ROOTS_DIR)
                                                       : g_strdup_printf("%s/ringtap", runtime);
    struct stat st;
    int fd;

    if (make && mkdir(path, 0700) < 0 && errno != EEXIST) {
        RECORD_FAIL(error, "cannot make %s: %s", path, g_strerror(errno));
        return -1;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        RECORD_FAIL(error, "cannot open %s: %s", path, g_strerror(errno));
        fd_close(&fd);
        return -1;
    }
    if (st.st_uid != geteuid() || (st.st_mode & 022)) {
        RECORD_FAIL(error, "%s is not ours alone", path);
        fd_close(&fd);
        return -1;
    }
    return fd;
}

char *xen_blkback_record_name(uint16_t domid, unsigned number, unsigned queue)
{
    return g_strdup_printf("vbd-%u-%u-%u", domid, number, queue);
}

void xen_blkback_record_remove(int dir, uint16_t domid, unsigned number, unsigned first)
{
    for (unsigned i = first; dir >= 0 && i < XEN_MAX_QUEUES; i++) {
        g_autofree char *name = xen_blkback_record_name(domid, number, i);

        unlinkat(dir, name, 0);
    }
}

bool xen_blkback_record_domid(const char *name, uint16_t *ret)
{
    g_auto(GStrv) word = g_strsplit(name, "-", -1);
    uint64_t n[3];

    if (g_strv_length(word) != 4 || !g_str_equal(word[0], "vbd")) {
        return false;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (!opt_parse_uint(word[i + 1], i == 0 ? UINT16_MAX : UINT32_MAX, &n[i])) {
            return false;
        }
    }
    *ret = (uint16_t)n[0];
    return true;
}

static XenBlkbackRecord *record_alloc(int dir, const char *name, const XenBlkbackRecordRing *ring)
{
    XenBlkbackRecord *r = g_new0(XenBlkbackRecord, 1);

    g_assert(ring->n_slots < UINT16_MAX && ring->slot_size <= XEN_BLKBACK_RECORD_SLOT);
    r->size = record_offset() + ring->n_slots * sizeof(Entry);
    r->dir = dir;
    r->name = g_strdup(name);
    r->free = g_new(uint16_t, ring->n_slots);
    return r;
}

static void record_free(XenBlkbackRecord *r)
{
    if (r->header) {
        munmap(r->header, r->size);
    }
    g_free(r->free);
    g_free(r->name);
    g_free(r);
}

/* @fd -1: memory of ours alone. */
static bool record_map(XenBlkbackRecord *r, int fd)
{
    void *p = mmap(NULL, r->size, PROT_READ | PROT_WRITE,
                   fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

    if (p == MAP_FAILED) {
        return false;
    }
    r->header = p;
    r->entry = (Entry *)(void *)((uint8_t *)p + record_offset());
    return true;
}

/* Its space is there from now on: a full file system must not be found out by a signal. */
static int record_create(const XenBlkbackRecord *r)
{
    int fd, err;

    unlinkat(r->dir, r->name, 0);
    fd = openat(r->dir, r->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    err = posix_fallocate(fd, 0, (off_t)r->size);
    if (err != 0) {
        unlinkat(r->dir, r->name, 0);
        fd_close(&fd);
        errno = err;
    }
    return fd;
}

XenBlkbackRecord *xen_blkback_record_new(int dir, const char *name,
                                         const XenBlkbackRecordRing *ring, uint32_t cons,
                                         GError **error)
{
    XenBlkbackRecord *r = record_alloc(dir, name, ring);
    int fd = dir < 0 ? -1 : record_create(r);

    if ((dir >= 0 && fd < 0) || !record_map(r, fd)) {
        RECORD_FAIL(error, "cannot make a record of requests: %s", g_strerror(errno));
        fd_close(&fd);
        record_free(r);
        return NULL;
    }
    fd_close(&fd);
    r->header->ring = *ring;
    r->header->cons = cons;
    memcpy(r->header->magic, MAGIC, sizeof(MAGIC));
    for (unsigned i = 0; i < ring->n_slots; i++) {
        r->free[r->n_free++] = (uint16_t)i;
    }
    return r;
}

XenBlkbackRecord *xen_blkback_record_open(int dir, const char *name,
                                          const XenBlkbackRecordRing *ring, GError **error)
{
    XenBlkbackRecord *r = record_alloc(dir, name, ring);
    int fd = dir < 0 ? -1 : openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && (size_t)st.st_size == r->size && record_map(r, fd);

    ok = ok && memcmp(r->header->magic, MAGIC, sizeof(MAGIC)) == 0 &&
         memcmp(&r->header->ring, ring, sizeof(*ring)) == 0;
    fd_close(&fd);
    if (!ok) {
        RECORD_FAIL(error, "there is no record of what the ring has under way");
        record_free(r);
        return NULL;
    }
    return r;
}

void xen_blkback_record_free(XenBlkbackRecord *r)
{
    if (!r) {
        return;
    }
    if (r->dir >= 0) {
        unlinkat(r->dir, r->name, 0);
    }
    record_free(r);
}

/* --- what was left --- */

static bool entry_counts(const Entry *e, uint32_t cons, uint32_t rsp_prod)
{
    switch (e->state) {
    case ENTRY_TAKEN:
        return (int32_t)(e->request - cons) < 0; /* else it is on the ring still */
    case ENTRY_ANSWERED:
        return (int32_t)(e->response - rsp_prod) >= 0;
    default:
        return false;
    }
}

static int compare_requests(const void *a, const void *b, void *opaque)
{
    const XenBlkbackRecord *r = opaque;
    const uint16_t *x = a, *y = b;
    int32_t d = (int32_t)(r->entry[*x].request - r->entry[*y].request);

    return (d > 0) - (d < 0);
}

int xen_blkback_record_recover(XenBlkbackRecord *r, uint32_t rsp_prod, uint16_t *ret,
                               uint32_t *ret_cons)
{
    uint32_t cons = r->header->cons;
    unsigned n = 0;

    r->n_free = 0;
    for (unsigned i = 0; i < r->header->ring.n_slots; i++) {
        Entry *e = &r->entry[i];

        if (entry_counts(e, cons, rsp_prod)) {
            e->state = ENTRY_TAKEN; /* it is answered anew, and elsewhere on the ring */
            ret[n++] = (uint16_t)i;
        } else {
            e->state = ENTRY_FREE;
            r->free[r->n_free++] = (uint16_t)i;
        }
    }
    if (n != cons - rsp_prod) {
        return -1;
    }
    qsort_r(ret, n, sizeof(*ret), compare_requests, r);
    *ret_cons = cons;
    return (int)n;
}

/* --- the queue's thread --- */

static void set_state(Entry *e, EntryState state)
{
    __atomic_store_n(&e->state, (uint32_t)state, __ATOMIC_RELEASE);
}

uint16_t xen_blkback_record_next(const XenBlkbackRecord *r)
{
    return r->n_free > 0 ? r->free[r->n_free - 1] : UINT16_MAX;
}

void *xen_blkback_record_slot(XenBlkbackRecord *r, uint16_t entry)
{
    return r->entry[entry].slot;
}

void xen_blkback_record_take(XenBlkbackRecord *r, uint16_t entry, uint32_t index)
{
    Entry *e = &r->entry[entry];

    g_assert(r->n_free > 0 && r->free[r->n_free - 1] == entry);
    r->n_free--;
    e->request = index;
    set_state(e, ENTRY_TAKEN);
    __atomic_store_n(&r->header->cons, index + 1, __ATOMIC_RELEASE);
}

void xen_blkback_record_answer(XenBlkbackRecord *r, uint16_t entry, uint32_t index)
{
    r->entry[entry].response = index;
    set_state(&r->entry[entry], ENTRY_ANSWERED);
}

void xen_blkback_record_forget(XenBlkbackRecord *r, uint16_t entry)
{
    set_state(&r->entry[entry], ENTRY_FREE);
    r->free[r->n_free++] = entry;
}
