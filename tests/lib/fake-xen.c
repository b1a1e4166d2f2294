/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-xen.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FAKE_PORTS 256u
#define FAKE_REFS  32768u

typedef struct FakePort {
    XenEvtchn *owner; /* NULL: free */
    bool pending;
    bool masked;
    unsigned notified;
} FakePort;

struct XenEvtchn {
    Xen *xen;
    int fd;
};

struct XenShare {
    Xen *xen;
};

typedef struct FakeXen {
    pthread_mutex_t lock; /* not GMutex: TSan cannot see into glib */
    FakePort port[FAKE_PORTS];
    uint8_t *page[FAKE_REFS];
    bool writable[FAKE_REFS];
    unsigned n_granted;
    unsigned busy;
    unsigned limit;
    unsigned handles;
} FakeXen;

static void fake_close(Xen *xen)
{
    FakeXen *f = xen->opaque;

    g_assert_cmpuint(f->handles, ==, 0);
    pthread_mutex_destroy(&f->lock);
    g_free(f);
}

static XenEvtchn *fake_evtchn_open(Xen *xen, GError **error)
{
    FakeXen *f = xen->opaque;
    XenEvtchn *e = g_new0(XenEvtchn, 1);

    e->xen = xen;
    e->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    g_assert_cmpint(e->fd, >=, 0);
    f->handles++;
    return e;
}

static void fake_evtchn_close(XenEvtchn *e)
{
    FakeXen *f = e->xen->opaque;

    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < FAKE_PORTS; i++) {
        if (f->port[i].owner == e) {
            f->port[i].owner = NULL;
        }
    }
    pthread_mutex_unlock(&f->lock);
    f->handles--;
    close(e->fd);
    g_free(e);
}

static int fake_evtchn_fd(XenEvtchn *e)
{
    return e->fd;
}

static int fake_evtchn_alloc_unbound(XenEvtchn *e, uint16_t domid)
{
    FakeXen *f = e->xen->opaque;
    int port = -ENOSPC;

    pthread_mutex_lock(&f->lock);
    for (unsigned i = 1; i < FAKE_PORTS && port < 0; i++) {
        if (!f->port[i].owner) {
            f->port[i] = (FakePort) { .owner = e };
            port = (int)i;
        }
    }
    pthread_mutex_unlock(&f->lock);
    return port;
}

static int fake_evtchn_notify(XenEvtchn *e, uint32_t port)
{
    FakeXen *f = e->xen->opaque;

    pthread_mutex_lock(&f->lock);
    g_assert_true(f->port[port].owner == e);
    f->port[port].notified++;
    pthread_mutex_unlock(&f->lock);
    return 0;
}

/* The descriptor is readable as long as a port is pending and not masked. */
static void fake_update_fd(FakeXen *f, XenEvtchn *e)
{
    uint64_t n = 1;
    bool ready = false;

    for (unsigned i = 0; i < FAKE_PORTS; i++) {
        ready |= f->port[i].owner == e && f->port[i].pending && !f->port[i].masked;
    }
    if (ready) {
        g_assert_cmpint(write(e->fd, &n, sizeof(n)), ==, sizeof(n));
    } else if (read(e->fd, &n, sizeof(n)) < 0) {
        g_assert_cmpint(errno, ==, EAGAIN);
    }
}

static int fake_evtchn_pending(XenEvtchn *e)
{
    FakeXen *f = e->xen->opaque;
    int port = -EAGAIN;

    pthread_mutex_lock(&f->lock);
    for (unsigned i = 1; i < FAKE_PORTS && port < 0; i++) {
        FakePort *p = &f->port[i];

        if (p->owner == e && p->pending && !p->masked) {
            p->pending = false;
            p->masked = true;
            port = (int)i;
        }
    }
    fake_update_fd(f, e);
    pthread_mutex_unlock(&f->lock);
    return port;
}

static int fake_evtchn_unmask(XenEvtchn *e, uint32_t port)
{
    FakeXen *f = e->xen->opaque;

    pthread_mutex_lock(&f->lock);
    f->port[port].masked = false;
    fake_update_fd(f, e);
    pthread_mutex_unlock(&f->lock);
    return 0;
}

static XenShare *fake_share_open(Xen *xen, GError **error)
{
    FakeXen *f = xen->opaque;
    XenShare *s = g_new0(XenShare, 1);

    s->xen = xen;
    f->handles++;
    return s;
}

static void fake_share_close(XenShare *s)
{
    FakeXen *f = s->xen->opaque;

    f->handles--;
    g_free(s);
}

static void *fake_share_alloc(XenShare *s, uint16_t domid, unsigned count, bool writable,
                              uint32_t *ret_refs)
{
    FakeXen *f = s->xen->opaque;
    uint8_t *addr;
    unsigned n = 0;

    if (f->limit > 0 && f->n_granted + count > f->limit) {
        errno = ENOSPC;
        return NULL;
    }
    addr = g_aligned_alloc0(count, XEN_PAGE_SIZE, XEN_PAGE_SIZE);
    for (uint32_t ref = 8; ref < FAKE_REFS && n < count; ref++) {
        if (!f->page[ref]) {
            f->page[ref] = addr + (size_t)n * XEN_PAGE_SIZE;
            f->writable[ref] = writable;
            ret_refs[n++] = ref;
        }
    }
    g_assert_cmpuint(n, ==, count);
    f->n_granted += count;
    return addr;
}

static int fake_share_free(XenShare *s, void *addr, unsigned count)
{
    FakeXen *f = s->xen->opaque;
    const uint8_t *first = addr;
    unsigned n = 0;

    if (f->busy > 0) {
        f->busy--;
        return -EBUSY;
    }
    for (uint32_t ref = 0; ref < FAKE_REFS; ref++) {
        if (f->page[ref] >= first && f->page[ref] < first + (size_t)count * XEN_PAGE_SIZE) {
            f->page[ref] = NULL;
            n++;
        }
    }
    g_assert_cmpuint(n, ==, count);
    f->n_granted -= count;
    g_aligned_free(addr);
    return 0;
}

static const XenOps fake_ops = {
    .name = "fake",
    .close = fake_close,
    .evtchn_open = fake_evtchn_open,
    .evtchn_close = fake_evtchn_close,
    .evtchn_fd = fake_evtchn_fd,
    .evtchn_alloc_unbound = fake_evtchn_alloc_unbound,
    .evtchn_notify = fake_evtchn_notify,
    .evtchn_pending = fake_evtchn_pending,
    .evtchn_unmask = fake_evtchn_unmask,
    .share_open = fake_share_open,
    .share_close = fake_share_close,
    .share_alloc = fake_share_alloc,
    .share_free = fake_share_free,
};

Xen *fake_xen_new(void)
{
    FakeXen *f = g_new0(FakeXen, 1);
    Xen *xen = g_new0(Xen, 1);

    pthread_mutex_init(&f->lock, NULL);
    xen->ops = &fake_ops;
    xen->domid = 1;
    xen->emulated = true;
    xen->opaque = f;
    return xen;
}

void *fake_xen_page(Xen *xen, uint32_t ref, bool *ret_writable)
{
    FakeXen *f = xen->opaque;

    g_assert_cmpuint(ref, <, FAKE_REFS);
    *ret_writable = f->writable[ref];
    return f->page[ref];
}

unsigned fake_xen_n_granted(Xen *xen)
{
    FakeXen *f = xen->opaque;

    return f->n_granted;
}

void fake_xen_set_busy(Xen *xen, unsigned n)
{
    FakeXen *f = xen->opaque;

    f->busy = n;
}

void fake_xen_set_limit(Xen *xen, unsigned pages)
{
    FakeXen *f = xen->opaque;

    f->limit = pages;
}

void fake_xen_raise(Xen *xen, uint32_t port)
{
    FakeXen *f = xen->opaque;

    pthread_mutex_lock(&f->lock);
    g_assert_nonnull(f->port[port].owner);
    f->port[port].pending = true;
    fake_update_fd(f, f->port[port].owner);
    pthread_mutex_unlock(&f->lock);
}

unsigned fake_xen_notified(Xen *xen, uint32_t port)
{
    FakeXen *f = xen->opaque;
    unsigned n;

    pthread_mutex_lock(&f->lock);
    n = f->port[port].notified;
    pthread_mutex_unlock(&f->lock);
    return n;
}
