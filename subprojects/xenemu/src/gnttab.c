/*
 * dom0's use of grants (xen/grant_table.h, version 1): map, unmap and copy.
 *
 * A grant's entry is in the guest's RAM and may change at any moment: it is read and
 * changed with one 32-bit compare-and-swap of flags and domid, as Xen does it. What is
 * pinned (the frame, how often) is in private memory, one Active for each reference,
 * and a lock bit in it makes "take the pin and set GTF_reading" one step. A copy takes
 * no other lock, so that copies from different guests, or with different references, do
 * not meet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/grant_table.h>

typedef struct Mapping {
    void *addr;
    unsigned count;
    bool writable;
    Domain *dom; /* a reference */
    uint32_t refs[];
} Mapping;

#define MAX_BUFFERS 4

typedef struct Buffer {
    uint8_t *base;
    size_t size;
} Buffer;

struct XenemuGnttab {
    XenemuHost *host;
    Buffer buffer[MAX_BUFFERS];
    unsigned n_buffers;
    bool hypercall; /* where the buffers are all of the local sides */
    Domain *dom; /* a reference to the one that was used last */
    GHashTable *mappings; /* by address */
    int status;
};

/* flags and domid of an entry, as the one word that is exchanged. */
typedef union EntryWord {
    uint32_t word;
    struct {
        uint16_t flags;
        uint16_t domid;
    };
} EntryWord;

static grant_entry_v1_t *grant_entry(const Domain *d, uint32_t ref)
{
    return (grant_entry_v1_t *)(void *)d->ram + ref;
}

static void active_lock(Active *a)
{
    unsigned tries = 0;

    while (__atomic_exchange_n(&a->locked, 1, __ATOMIC_ACQUIRE)) {
        if (++tries > 64) {
            sched_yield();
        }
    }
}

static void active_unlock(Active *a)
{
    __atomic_store_n(&a->locked, 0, __ATOMIC_RELEASE);
}

static bool entry_exchange(grant_entry_v1_t *e, uint32_t *old, uint32_t new)
{
    return __atomic_compare_exchange_n((uint32_t *)e, old, new, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

/*
 * Checks the entry and sets GTF_reading (and GTF_writing). With the Active's lock. The
 * guest may fight for the word, but not for ever.
 */
static int entry_set_status(Domain *d, uint32_t ref, bool writable, bool map)
{
    const uint16_t mask = GTF_type_mask | (map ? GTF_sub_page : 0);
    const uint16_t use = GTF_reading | (writable ? GTF_writing : 0);
    grant_entry_v1_t *e = grant_entry(d, ref);
    EntryWord old, new;

    old.word = __atomic_load_n((uint32_t *)e, __ATOMIC_ACQUIRE);
    for (unsigned tries = 0; tries < 5; tries++) {
        if ((old.flags & mask) != GTF_permit_access || old.domid != 0 ||
            (writable && (old.flags & GTF_readonly))) {
            return GNTST_general_error;
        }
        new = old;
        new.flags |= use;
        if (entry_exchange(e, &old.word, new.word)) {
            return GNTST_okay;
        }
    }
    return GNTST_general_error;
}

static void entry_clear_status(Domain *d, uint32_t ref, uint16_t flags)
{
    __atomic_fetch_and(&grant_entry(d, ref)->flags, (uint16_t)~flags, __ATOMIC_RELEASE);
}

/* What is to be cleared in the entry now, with the pins left. */
static void active_clear_status(Domain *d, uint32_t ref, const Active *a)
{
    uint16_t flags = 0;

    if (a->writers == 0) {
        flags |= GTF_writing;
    }
    if (a->readers == 0 && a->writers == 0) {
        flags |= GTF_reading;
    }
    if (flags) {
        entry_clear_status(d, ref, flags);
    }
}

/*
 * One pin. With the Active's lock. What is pinned already keeps its frame and needs no
 * second look at the entry, unless writing is new.
 */
static int grant_pin_locked(Domain *d, uint32_t ref, Active *a, bool writable, bool map)
{
    bool pinned = a->readers + a->writers > 0;
    uint32_t frame;
    int r;

    if (a->readers == UINT16_MAX || a->writers == UINT16_MAX) {
        return GNTST_general_error;
    }
    if (!pinned || (writable && a->writers == 0)) {
        r = entry_set_status(d, ref, writable, map);
        if (r != GNTST_okay) {
            return r;
        }
    }
    if (!pinned) {
        frame = __atomic_load_n(&grant_entry(d, ref)->frame, __ATOMIC_RELAXED);
        if (frame >= d->pages) {
            active_clear_status(d, ref, a);
            return GNTST_bad_page;
        }
        a->frame = frame;
    }
    if (writable) {
        a->writers++;
    } else {
        a->readers++;
    }
    return GNTST_okay;
}

static void grant_unpin_locked(Domain *d, uint32_t ref, Active *a, bool writable)
{
    if (writable) {
        a->writers--;
    } else {
        a->readers--;
    }
    active_clear_status(d, ref, a);
}

/* --- handles --- */

XenemuGnttab *xenemu_gnttab_open(XenemuHost *host)
{
    XenemuGnttab *g = g_new0(XenemuGnttab, 1);

    g->host = host;
    g->mappings = g_hash_table_new(NULL, NULL);
    return g;
}

static void mapping_free(Mapping *m)
{
    if (m->addr) {
        munmap(m->addr, (size_t)m->count * XENEMU_PAGE_SIZE);
        __atomic_fetch_sub(&m->dom->host->mapped, m->count, __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < m->count; i++) {
        Active *a = &m->dom->active[m->refs[i]];

        active_lock(a);
        grant_unpin_locked(m->dom, m->refs[i], a, m->writable);
        active_unlock(a);
    }
    domain_unref(m->dom);
    g_free(m);
}

void xenemu_gnttab_close(XenemuGnttab *g)
{
    if (!g) {
        return;
    }
    g_assert_cmpuint(g_hash_table_size(g->mappings), ==, 0);
    g_assert_cmpuint(g->n_buffers, ==, 0);
    g_hash_table_destroy(g->mappings);
    if (g->dom) {
        domain_unref(g->dom);
    }
    g_free(g);
}

/* Borrowed: good until the next call. */
static Domain *gnttab_domain(XenemuGnttab *g, uint16_t domid)
{
    Domain *d = g->dom;

    if (d && d->domid == domid && !domain_is_dead(d)) {
        return d;
    }
    if (d) {
        domain_unref(d);
    }
    g->dom = domain_get(g->host, domid);
    return g->dom;
}

/* --- map --- */

/* Pins @m->refs[0 .. count - 1], or none of them. */
static int mapping_pin(Mapping *m, unsigned count, uint32_t *frames)
{
    Active *a;
    int r = GNTST_okay;
    unsigned i;

    for (i = 0; i < count && r == GNTST_okay; i++) {
        if (m->refs[i] >= XENEMU_GRANT_REFS) {
            r = GNTST_bad_gntref;
            break;
        }
        a = &m->dom->active[m->refs[i]];
        active_lock(a);
        r = grant_pin_locked(m->dom, m->refs[i], a, m->writable, true);
        frames[i] = a->frame;
        active_unlock(a);
        if (r != GNTST_okay) {
            break;
        }
    }
    if (r != GNTST_okay) {
        while (i > 0) {
            a = &m->dom->active[m->refs[--i]];
            active_lock(a);
            grant_unpin_locked(m->dom, m->refs[i], a, m->writable);
            active_unlock(a);
        }
    }
    return r;
}

/* Pieces of the guest's memfd, next to each other in a range that was reserved before. */
static bool mapping_mmap(Mapping *m, const uint32_t *frames)
{
    size_t size = (size_t)m->count * XENEMU_PAGE_SIZE;
    int prot = m->writable ? PROT_READ | PROT_WRITE : PROT_READ;
    uint8_t *base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                         -1, 0);

    if (base == MAP_FAILED) {
        return false;
    }
    for (unsigned i = 0; i < m->count; i++) {
        if (mmap(base + (size_t)i * XENEMU_PAGE_SIZE, XENEMU_PAGE_SIZE, prot,
                 MAP_SHARED | MAP_FIXED, m->dom->ram_fd,
                 (off_t)frames[i] * XENEMU_PAGE_SIZE) == MAP_FAILED) {
            munmap(base, size);
            return false;
        }
    }
    madvise(base, size, MADV_DONTFORK);
    m->addr = base;
    __atomic_fetch_add(&m->dom->host->mapped, m->count, __ATOMIC_RELAXED);
    return true;
}

static Mapping *mapping_new(XenemuGnttab *g, uint16_t domid, const uint32_t *refs,
                            unsigned count, bool writable)
{
    g_autofree uint32_t *frames = g_new(uint32_t, count);
    Domain *d = gnttab_domain(g, domid);
    Mapping *m;

    if (!d) {
        g->status = GNTST_bad_domain;
        return NULL;
    }
    m = g_malloc(sizeof(*m) + count * sizeof(refs[0]));
    m->dom = domain_ref(d);
    m->count = count;
    m->writable = writable;
    memcpy(m->refs, refs, count * sizeof(refs[0]));
    g->status = mapping_pin(m, count, frames);
    if (g->status != GNTST_okay) {
        domain_unref(m->dom);
        g_free(m);
        return NULL;
    }
    if (!mapping_mmap(m, frames)) {
        g->status = GNTST_no_space;
        m->addr = NULL;
        mapping_free(m);
        return NULL;
    }
    return m;
}

void *xenemu_gnttab_map(XenemuGnttab *g, uint16_t domid, const uint32_t *refs, unsigned count,
                        bool writable)
{
    Mapping *m = NULL;

    if (count == 0 || count > XENEMU_GRANT_REFS) {
        g->status = GNTST_general_error;
    } else if (!host_fault(g->host, XENEMU_OP_GNTTAB_MAP, &g->status)) {
        m = mapping_new(g, domid, refs, count, writable);
    }
    if (!m) {
        errno = g->status == GNTST_eagain ? EAGAIN : EINVAL;
        return NULL;
    }
    g_hash_table_insert(g->mappings, m->addr, m);
    return m->addr;
}

int xenemu_gnttab_status(const XenemuGnttab *g)
{
    return g->status;
}

int xenemu_gnttab_unmap(XenemuGnttab *g, void *addr, unsigned count)
{
    Mapping *m = g_hash_table_lookup(g->mappings, addr);

    if (!m || m->count != count) {
        return -EINVAL;
    }
    g_hash_table_remove(g->mappings, addr);
    mapping_free(m);
    return 0;
}

/* --- buffers --- */

void *xenemu_gnttab_buffer(XenemuGnttab *g, size_t size)
{
    XenemuHost *host = g->host;
    uint32_t pages = (uint32_t)(size / XENEMU_PAGE_SIZE);
    void *p;

    if (size == 0 || size % XENEMU_PAGE_SIZE != 0 || g->n_buffers == MAX_BUFFERS) {
        errno = EINVAL;
        return NULL;
    }
    if (__atomic_add_fetch(&host->buffer_pages, pages, __ATOMIC_RELAXED) >
        __atomic_load_n(&host->buffer_limit, __ATOMIC_RELAXED)) {
        __atomic_fetch_sub(&host->buffer_pages, pages, __ATOMIC_RELAXED);
        errno = ENOSPC;
        return NULL;
    }
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        __atomic_fetch_sub(&host->buffer_pages, pages, __ATOMIC_RELAXED);
        errno = ENOMEM;
        return NULL;
    }
    g->buffer[g->n_buffers++] = (Buffer){ p, size };
    return p;
}

bool xenemu_gnttab_buffer_free(XenemuGnttab *g, void *addr)
{
    for (unsigned i = 0; i < g->n_buffers; i++) {
        Buffer *b = &g->buffer[i];

        if (b->base == addr) {
            munmap(b->base, b->size);
            __atomic_fetch_sub(&g->host->buffer_pages, (uint32_t)(b->size / XENEMU_PAGE_SIZE),
                               __ATOMIC_RELAXED);
            *b = g->buffer[--g->n_buffers];
            return true;
        }
    }
    return false;
}

void xenemu_host_limit_buffers(XenemuHost *host, uint32_t pages)
{
    __atomic_store_n(&host->buffer_limit, pages, __ATOMIC_RELAXED);
}

uint64_t xenemu_host_pinned(const XenemuHost *host)
{
    return __atomic_load_n(&host->pinned, __ATOMIC_RELAXED);
}

/* --- hypercalls --- */

int xenemu_gnttab_use_hypercall(XenemuGnttab *g)
{
    int err = __atomic_load_n(&g->host->no_hypercalls, __ATOMIC_RELAXED);

    g->hypercall |= err == 0;
    return -err;
}

void xenemu_host_forbid_hypercalls(XenemuHost *host, int err)
{
    __atomic_store_n(&host->no_hypercalls, err, __ATOMIC_RELAXED);
}

uint64_t xenemu_host_hypercalls(const XenemuHost *host)
{
    return __atomic_load_n(&host->hypercalls, __ATOMIC_RELAXED);
}

/* --- copy --- */

static bool in_buffer(const XenemuGnttab *g, const uint8_t *addr)
{
    for (unsigned i = 0; i < g->n_buffers; i++) {
        if ((size_t)(addr - g->buffer[i].base) < g->buffer[i].size) {
            return true;
        }
    }
    return false;
}

/*
 * The lock is held over the memcpy(): that is the pin, and saves taking it twice. Only
 * who uses the same reference at the same time waits.
 */
static int grant_copy(Domain *d, bool to_guest, const XenemuCopySeg *s)
{
    uint8_t *page;
    Active *a;
    int r;

    if (s->ref >= XENEMU_GRANT_REFS) {
        return GNTST_bad_gntref;
    }
    a = &d->active[s->ref];
    active_lock(a);
    r = grant_pin_locked(d, s->ref, a, to_guest, false);
    if (r == GNTST_okay) {
        page = d->ram + (size_t)a->frame * XENEMU_PAGE_SIZE + s->offset;
        if (to_guest) {
            memcpy(page, s->local, s->len);
        } else {
            memcpy(s->local, page, s->len);
        }
        grant_unpin_locked(d, s->ref, a, to_guest);
    }
    active_unlock(a);
    return r;
}

int xenemu_gnttab_copy(XenemuGnttab *g, uint16_t domid, bool to_guest, XenemuCopySeg *seg,
                       unsigned n)
{
    unsigned pinned = 0;
    Domain *d;
    int status;

    if (n > XENEMU_COPY_MAX) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < n; i++) {
        if ((uint32_t)seg[i].offset + seg[i].len > XENEMU_PAGE_SIZE) {
            return -EINVAL;
        }
    }
    if (host_fault(g->host, XENEMU_OP_GNTTAB_BATCH, &status)) {
        return status;
    }
    d = gnttab_domain(g, domid);
    for (unsigned i = 0; i < n; i++) {
        if (!host_fault(g->host, XENEMU_OP_GNTTAB_COPY, &status)) {
            status = d ? grant_copy(d, to_guest, &seg[i]) : GNTST_bad_domain;
        }
        seg[i].status = (int16_t)status;
        pinned += !in_buffer(g, seg[i].local);
    }
    if (pinned > 0) {
        __atomic_fetch_add(&g->host->pinned, pinned, __ATOMIC_RELAXED);
    } else if (g->hypercall) {
        __atomic_fetch_add(&g->host->hypercalls, 1, __ATOMIC_RELAXED);
    }
    return 0;
}

/* A pin that is held over a memcpy() without the lock: a copy has two, which may be the same. */
static int copy_pin(Domain *d, uint32_t ref, bool writable, uint8_t **ret_page)
{
    Active *a;
    int r;

    if (ref >= XENEMU_GRANT_REFS) {
        return GNTST_bad_gntref;
    }
    a = &d->active[ref];
    active_lock(a);
    r = grant_pin_locked(d, ref, a, writable, false);
    *ret_page = d->ram + (size_t)a->frame * XENEMU_PAGE_SIZE;
    active_unlock(a);
    return r;
}

static void copy_unpin(Domain *d, uint32_t ref, bool writable)
{
    Active *a = &d->active[ref];

    active_lock(a);
    grant_unpin_locked(d, ref, a, writable);
    active_unlock(a);
}

static int grant_copy_between(Domain *from, Domain *to, const XenemuCopyBetween *s)
{
    uint8_t *source = s->local;
    uint8_t *dest = NULL;
    int r = s->local ? GNTST_okay : copy_pin(from, s->from_ref, false, &source);

    if (r != GNTST_okay) {
        return r;
    }
    r = copy_pin(to, s->to_ref, true, &dest);
    if (r == GNTST_okay) {
        /* a guest may grant itself a page that it also sends from */
        memmove(dest + s->to_offset, s->local ? source : source + s->from_offset, s->len);
        copy_unpin(to, s->to_ref, true);
    }
    if (!s->local) {
        copy_unpin(from, s->from_ref, false);
    }
    return r;
}

int xenemu_gnttab_copy_between(XenemuGnttab *g, uint16_t from, uint16_t to,
                               XenemuCopyBetween *seg, unsigned n)
{
    Domain *source, *dest;
    unsigned pinned = 0;
    int status;

    if (n > XENEMU_COPY_MAX) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < n; i++) {
        if ((uint32_t)seg[i].to_offset + seg[i].len > XENEMU_PAGE_SIZE ||
            (!seg[i].local && (uint32_t)seg[i].from_offset + seg[i].len > XENEMU_PAGE_SIZE)) {
            return -EINVAL;
        }
    }
    if (host_fault(g->host, XENEMU_OP_GNTTAB_BATCH, &status)) {
        return status;
    }
    dest = domain_get(g->host, to);
    source = gnttab_domain(g, from);
    for (unsigned i = 0; i < n; i++) {
        if (!host_fault(g->host, XENEMU_OP_GNTTAB_COPY, &status)) {
            status = (source || seg[i].local) && dest ? grant_copy_between(source, dest, &seg[i])
                                                      : GNTST_bad_domain;
        }
        seg[i].status = (int16_t)status;
        pinned += seg[i].local && !in_buffer(g, seg[i].local);
    }
    if (pinned > 0) {
        __atomic_fetch_add(&g->host->pinned, pinned, __ATOMIC_RELAXED);
    } else if (g->hypercall) {
        __atomic_fetch_add(&g->host->hypercalls, 1, __ATOMIC_RELAXED);
    }
    if (dest) {
        domain_unref(dest);
    }
    return 0;
}
