/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xen-blkback-grants.h"

#define NONE  UINT32_MAX
#define NEW   (UINT32_MAX - 1) /* not in the table */
#define BATCH 32u              /* pages that are mapped in one go */

typedef struct Entry {
    uint64_t used;  /* when it was put */
    void *page;
    uint32_t ref;
    uint32_t chain; /* the next one of the bucket, or of those without a page */
    uint32_t prev;  /* of those that are idle, in the order of their last use */
    uint32_t next;
    bool busy;
} Entry;

struct XenBlkbackGrants {
    Xen *xen;
    XenGnttab *gnttab;
    uint16_t domid;
    unsigned limit;
    unsigned step;      /* unmapped at once */
    XenBlkbackGrantsUse use;
    bool overflow;      /* there was no room for one */
    uint64_t map_at;    /* none is mapped before */
    uint64_t released;  /* the last time */

    Entry *entry;       /* limit + 1: the last one is both ends of the list of idle ones */
    uint32_t unused;    /* the first one without a page */
    uint32_t *bucket;
    uint32_t factor;    /* of the hash: unknown to the guest, who chooses the references */
    unsigned shift;
};

/* --- the table --- */

static uint32_t *grants_bucket(XenBlkbackGrants *g, uint32_t ref)
{
    return &g->bucket[(uint32_t)(ref * g->factor) >> g->shift];
}

static uint32_t grants_find(XenBlkbackGrants *g, uint32_t ref)
{
    uint32_t i = *grants_bucket(g, ref);

    while (i != NONE && g->entry[i].ref != ref) {
        i = g->entry[i].chain;
    }
    return i;
}

/* There is room, and none of this reference. */
static uint32_t grants_add(XenBlkbackGrants *g, uint32_t ref, void *page)
{
    uint32_t *bucket = grants_bucket(g, ref);
    uint32_t i = g->unused;

    g->unused = g->entry[i].chain;
    g->entry[i] = (Entry) { .ref = ref, .page = page, .chain = *bucket };
    *bucket = i;
    g->use.kept++;
    return i;
}

static void grants_remove(XenBlkbackGrants *g, uint32_t i)
{
    uint32_t *at = grants_bucket(g, g->entry[i].ref);

    while (*at != i) {
        at = &g->entry[*at].chain;
    }
    *at = g->entry[i].chain;
    g->entry[i].chain = g->unused;
    g->unused = i;
    g->use.kept--;
}

/* --- those that are idle --- */

static uint32_t grants_oldest(const XenBlkbackGrants *g)
{
    uint32_t i = g->entry[g->limit].next;

    return i == g->limit ? NONE : i;
}

static void grants_set_busy(XenBlkbackGrants *g, uint32_t i)
{
    Entry *e = &g->entry[i];

    g->entry[e->prev].next = e->next;
    g->entry[e->next].prev = e->prev;
    e->busy = true;
    g->use.busy++;
}

static void grants_set_idle(XenBlkbackGrants *g, uint32_t i, uint64_t now)
{
    Entry *e = &g->entry[i], *end = &g->entry[g->limit];

    e->used = now;
    e->busy = false;
    e->prev = end->prev;
    e->next = g->limit;
    g->entry[end->prev].next = i;
    end->prev = i;
    g->use.busy--;
}

static void grants_forget_oldest(XenBlkbackGrants *g)
{
    uint32_t i = grants_oldest(g);

    grants_set_busy(g, i); /* out of the list */
    g->use.busy--;
    g->xen->ops->gnttab_unmap(g->gnttab, g->entry[i].page, 1);
    xen_gnttab_unreserve(g->xen, 1);
    grants_remove(g, i);
}

/* --- of a request --- */

/* How many of @n pages may be mapped now. */
static unsigned grants_reserve(XenBlkbackGrants *g, unsigned n)
{
    unsigned room = xen_gnttab_reserve(g->xen, MIN(n, g->limit - g->use.kept));

    g->overflow |= room < n;
    return room;
}

/* @grant is mapped at @page, for which there is room. */
static void grants_keep(XenBlkbackGrants *g, XenBlkbackGrant *grant, void *page)
{
    if (grants_find(g, grant->ref) != NONE) { /* this request has it twice */
        g->xen->ops->gnttab_unmap(g->gnttab, page, 1);
        xen_gnttab_unreserve(g->xen, 1);
        return;
    }
    grant->page = page;
    grant->entry = grants_add(g, grant->ref, page);
    g->entry[grant->entry].busy = true;
    g->use.busy++;
}

/* Those of @grant[@at[]]. False: one could not be mapped. */
static bool grants_map(XenBlkbackGrants *g, XenBlkbackGrant *grant, const unsigned *at, unsigned n)
{
    unsigned room = grants_reserve(g, n);
    uint32_t refs[BATCH];
    void *pages[BATCH];
    unsigned mapped;

    for (unsigned i = 0; i < room; i++) {
        refs[i] = grant[at[i]].ref;
    }
    mapped = xen_gnttab_map_pages(g->xen, g->gnttab, g->domid, refs, room, true, pages);
    xen_gnttab_unreserve(g->xen, room - mapped);
    for (unsigned i = 0; i < mapped; i++) {
        grants_keep(g, &grant[at[i]], pages[i]);
    }
    return mapped == n;
}

/*
 * A page that cannot be mapped is copied, and if it is none, that fails. There may be no more to
 * be had of something, so for a while no other is tried.
 */
static void grants_map_new(XenBlkbackGrants *g, XenBlkbackGrant *grant, unsigned n, uint64_t now)
{
    unsigned at[BATCH], count = 0;

    for (unsigned i = 0; i < n && now >= g->map_at; i++) {
        if (grant[i].entry == NEW) {
            at[count++] = i;
        }
        if (count == BATCH || (i == n - 1 && count > 0)) {
            if (!grants_map(g, grant, at, count)) {
                g->map_at = now + XEN_BLKBACK_GRANTS_STEP;
            }
            count = 0;
        }
    }
}

void xen_blkback_grants_get(XenBlkbackGrants *g, XenBlkbackGrant *grant, unsigned n, uint64_t now)
{
    bool any_new = false;

    for (unsigned i = 0; i < n; i++) {
        uint32_t found = grants_find(g, grant[i].ref);

        grant[i].entry = NONE;
        grant[i].page = NULL;
        if (found == NONE) {
            grant[i].entry = NEW;
            any_new = true;
        } else if (!g->entry[found].busy) {
            grants_set_busy(g, found);
            grant[i].entry = found;
            grant[i].page = g->entry[found].page;
        }
    }
    if (any_new) {
        grants_map_new(g, grant, n, now);
    }
}

void xen_blkback_grants_put(XenBlkbackGrants *g, XenBlkbackGrant *grant, unsigned n, uint64_t now)
{
    for (unsigned i = 0; i < n; i++) {
        if (grant[i].page) {
            grants_set_idle(g, grant[i].entry, now);
            grant[i].page = NULL;
        }
    }
}

/* --- release --- */

static uint64_t grants_patience(const XenBlkbackGrants *g)
{
    return g->overflow ? XEN_BLKBACK_GRANTS_FULL : XEN_BLKBACK_GRANTS_IDLE;
}

static uint64_t grants_release_at(const XenBlkbackGrants *g)
{
    uint32_t oldest = grants_oldest(g);
    uint64_t at;

    if (oldest == NONE) {
        return 0;
    }
    at = g->entry[oldest].used + grants_patience(g);
    return MAX(at, g->released + XEN_BLKBACK_GRANTS_STEP);
}

uint64_t xen_blkback_grants_release(XenBlkbackGrants *g, uint64_t now)
{
    uint64_t at = grants_release_at(g);
    uint64_t patience = grants_patience(g);

    if (at == 0 || now < at) {
        return at;
    }
    for (unsigned n = 0; n < g->step; n++) {
        uint32_t oldest = grants_oldest(g);

        if (oldest == NONE || now < g->entry[oldest].used + patience) {
            break;
        }
        grants_forget_oldest(g);
    }
    g->overflow = false;
    g->released = now;
    return grants_release_at(g);
}

XenBlkbackGrantsUse xen_blkback_grants_use(const XenBlkbackGrants *g)
{
    return g->use;
}

/* --- life --- */

XenBlkbackGrants *xen_blkback_grants_new(Xen *xen, XenGnttab *gnttab, uint16_t domid,
                                         unsigned limit)
{
    XenBlkbackGrants *g = g_new0(XenBlkbackGrants, 1);
    unsigned bits = 1;

    xen_gnttab_reserve_init(xen);
    while (1u << bits < limit) {
        bits++;
    }
    g->xen = xen;
    g->gnttab = gnttab;
    g->domid = domid;
    g->limit = limit;
    g->step = MAX(limit * 5 / 100, 1);
    g->shift = 32 - bits;
    g->factor = g_random_int() | 1;
    g->bucket = g_new(uint32_t, 1u << bits);
    for (unsigned i = 0; i < 1u << bits; i++) {
        g->bucket[i] = NONE;
    }
    g->entry = g_new0(Entry, limit + 1);
    for (unsigned i = 0; i < limit; i++) {
        g->entry[i].chain = i + 1;
    }
    g->entry[limit].prev = limit;
    g->entry[limit].next = limit;
    return g;
}

void xen_blkback_grants_free(XenBlkbackGrants *g)
{
    if (!g) {
        return;
    }
    g_assert(g->use.busy == 0);
    while (grants_oldest(g) != NONE) {
        grants_forget_oldest(g);
    }
    g_free(g->entry);
    g_free(g->bucket);
    g_free(g);
}
