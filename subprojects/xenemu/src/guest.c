/*
 * A guest's process: attaching, its pages, and what it grants.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/grant_table.h>

#include "sock.h"

#define RPC_WAIT_MS   2000 /* for an answer: it is a loop in the host that gives it */
#define CLOSE_WAIT_MS 250  /* whoever closes may be about to end */
#define BYE_WAIT_MS   500

static void close_fds(int fds[2])
{
    sock_close(&fds[0]);
    sock_close(&fds[1]);
}

/* The port that came with an answer of no use. With rpc_lock. */
static void rpc_forget_port(XenemuGuest *guest, RpcOp op, const RpcAnswer *ans)
{
    uint32_t port = (uint32_t)ans->result;

    if (ans->result > 0 && (op == RPC_ALLOC_UNBOUND || op == RPC_BIND)) {
        g_array_append_val(guest->orphans, port);
    }
}

/* True: something is there, at most @wait_ms after it was asked for. */
static bool rpc_wait(XenemuGuest *guest, int wait_ms)
{
    struct pollfd p = { guest->fd, POLLIN, 0 };
    int r;

    do {
        gint64 left = wait_ms - (g_get_monotonic_time() - guest->asked_us) / 1000;

        r = poll(&p, 1, (int)MAX(left, 0));
    } while (r < 0 && errno == EINTR);
    return r > 0;
}

/*
 * With rpc_lock. Takes the answer, at most @wait_ms after it was asked for: bytes, 0 at the
 * end, or -errno.
 */
static int rpc_receive(XenemuGuest *guest, RpcOp op, int wait_ms, RpcAnswer *ans, int fds[2])
{
    unsigned n_fds = 0;
    int r = -EAGAIN;

    if (rpc_wait(guest, wait_ms)) {
        r = sock_recv(guest->fd, ans, sizeof(*ans), fds, SOCK_MAX_FDS, &n_fds);
    }
    if (r == -ECONNRESET) { /* it closed without reading; what it said before is behind that */
        r = sock_recv(guest->fd, ans, sizeof(*ans), fds, SOCK_MAX_FDS, &n_fds);
    }
    if (r == -EMFILE) {
        rpc_forget_port(guest, op, ans);
    }
    guest->late = r == -EAGAIN;
    guest->late_op = op;
    if (n_fds == 1) {
        sock_close(&fds[0]);
    }
    return r;
}

static int rpc_ask(XenemuGuest *guest, const RpcRequest *req, int wait_ms, RpcAnswer *ans,
                   int fds[2])
{
    int r = sock_send(guest->fd, req, sizeof(*req), NULL, 0);

    /* a host that refuses us says why and closes: before we ask, maybe */
    guest->asked_us = g_get_monotonic_time();
    return r == 0 || r == -EPIPE ? rpc_receive(guest, req->op, wait_ms, ans, fds) : r;
}

/* With rpc_lock: takes the answer that is late. False: there is none still. */
static bool rpc_take_late(XenemuGuest *guest, int wait_ms)
{
    int fds[2] = { -1, -1 };
    RpcAnswer ans;
    RpcOp op = guest->late_op;

    if (rpc_receive(guest, op, wait_ms, &ans, fds) > 0) {
        rpc_forget_port(guest, op, &ans); /* nobody waits for it any more */
    }
    close_fds(fds);
    return !guest->late;
}

/* With rpc_lock: what was left undone. False: the host does not answer. */
static bool rpc_catch_up(XenemuGuest *guest, int wait_ms)
{
    RpcAnswer ans;
    int fds[2];

    if (guest->late && !rpc_take_late(guest, wait_ms)) {
        return false;
    }
    while (guest->orphans->len > 0 && !guest->late) {
        guint last = guest->orphans->len - 1;
        const RpcRequest req = { .magic = RPC_MAGIC, .op = RPC_CLOSE,
                                 .port = g_array_index(guest->orphans, uint32_t, last) };

        g_array_set_size(guest->orphans, last);
        fds[0] = fds[1] = -1;
        rpc_ask(guest, &req, wait_ms, &ans, fds);
        close_fds(fds);
    }
    return !guest->late;
}

int guest_call(XenemuGuest *guest, const RpcRequest *req, RpcAnswer *ans, int fds[2])
{
    int wait_ms = req->op == RPC_ATTACH ? SOCK_TIMEOUT_S * 1000 : RPC_WAIT_MS;
    int r = -EAGAIN;

    fds[0] = fds[1] = -1;
    pthread_mutex_lock(&guest->rpc_lock);
    if (rpc_catch_up(guest, wait_ms)) {
        r = rpc_ask(guest, req, wait_ms, ans, fds);
    }
    pthread_mutex_unlock(&guest->rpc_lock);
    if (r <= 0) {
        return r == -EAGAIN ? -ETIMEDOUT : r == -EMFILE ? r : -ENOTCONN;
    }
    ans->store_path[sizeof(ans->store_path) - 1] = '\0';
    return ans->result;
}

void guest_close_port(XenemuGuest *guest, uint32_t port)
{
    pthread_mutex_lock(&guest->rpc_lock);
    g_array_append_val(guest->orphans, port);
    rpc_catch_up(guest, CLOSE_WAIT_MS);
    pthread_mutex_unlock(&guest->rpc_lock);
}

static void *guest_mmap(int fd, size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return p == MAP_FAILED ? NULL : p;
}

static int guest_hello(XenemuGuest *guest, int domid, size_t ram_size, const char *name)
{
    RpcRequest req = { .magic = RPC_MAGIC, .op = RPC_ATTACH, .domid = domid,
                       .ram_size = ram_size };
    RpcAnswer ans;
    int fds[2];
    int r;

    if (name && g_strlcpy(req.name, name, sizeof(req.name)) >= sizeof(req.name)) {
        return -ENAMETOOLONG;
    }
    r = guest_call(guest, &req, &ans, fds);
    if (r < 0) {
        return r;
    }
    if (fds[0] < 0) {
        return -EPROTO;
    }
    guest->domid = (uint16_t)ans.domid;
    guest->store_path = g_strdup(ans.store_path);
    guest->ram_size = ram_size;
    guest->ram = guest_mmap(fds[0], ram_size);
    guest->records = guest_mmap(fds[1], RPC_RECORDS_SIZE);
    sock_close(&fds[0]);
    sock_close(&fds[1]);
    return guest->ram && guest->records ? 0 : -ENOBUFS;
}

static void guest_init_tables(XenemuGuest *guest)
{
    guest->used = g_malloc0(guest->ram_size / XENEMU_PAGE_SIZE);
    memset(guest->used, 1, XENEMU_GRANT_FRAMES);
    guest->granted = g_malloc0(XENEMU_GRANT_REFS);
    guest->free_refs = g_new(uint32_t, XENEMU_GRANT_REFS);
    for (uint32_t ref = XENEMU_GRANT_REFS; ref > XENEMU_GRANT_FIRST; ref--) {
        guest->free_refs[guest->n_free_refs++] = ref - 1;
    }
}

static const char *attach_strerror(int err)
{
    switch (err) {
    case EEXIST:
        return "the domain exists already";
    case EINVAL:
        return "the host does not take this domid, size of RAM or name";
    case ENOSPC:
        return "too many domains";
    case ETIMEDOUT:
        return "the host does not answer";
    case ENOTCONN:
        return "the host closed the connection";
    case ENFILE:
        return "the host has no file descriptors left";
    case ENOMEM:
        return "the host has no memory for this domain";
    case EADDRINUSE:
        return "the host cannot listen where the domain's XenStore should be";
    case EMFILE:
        return "this process has no file descriptors left";
    case ENOBUFS:
        return "this process has no address space for the domain's RAM";
    default:
        return g_strerror(err);
    }
}

XenemuGuest *xenemu_guest_attach(const char *path, int domid, size_t ram_size,
                                 const char *name, char **errmsg)
{
    g_autofree char *why = NULL;
    XenemuGuest *guest = g_new0(XenemuGuest, 1);
    int r;

    pthread_mutex_init(&guest->lock, NULL);
    pthread_mutex_init(&guest->rpc_lock, NULL);
    guest->orphans = g_array_new(false, false, sizeof(uint32_t));
    guest->fd = r = sock_connect(path, SOCK_SEQPACKET);
    if (r >= 0) {
        r = guest_hello(guest, domid, ram_size, name);
    }
    if (r < 0) {
        why = g_strdup_printf("could not attach to the emulated Xen host at %s: %s", path,
                              attach_strerror(-r));
        *errmsg = strdup(why); /* for free(), glib or not */
        xenemu_guest_detach(guest);
        return NULL;
    }
    guest_init_tables(guest);
    return guest;
}

/*
 * Says that we are done, and waits until the host has buried the domain: it closes its
 * end last. A host that hangs is not waited for.
 */
static void guest_bye(XenemuGuest *guest)
{
    struct pollfd p = { guest->fd, POLLIN, 0 };

    if (guest->fd >= 0) {
        shutdown(guest->fd, SHUT_WR);
        poll(&p, 1, guest->late ? 0 : BYE_WAIT_MS);
        sock_close(&guest->fd);
    }
}

void xenemu_guest_detach(XenemuGuest *guest)
{
    if (!guest) {
        return;
    }
    guest_bye(guest);
    if (guest->ram) {
        munmap(guest->ram, guest->ram_size);
    }
    if (guest->records) {
        munmap(guest->records, RPC_RECORDS_SIZE);
    }
    pthread_mutex_destroy(&guest->lock);
    pthread_mutex_destroy(&guest->rpc_lock);
    g_free(guest->used);
    g_free(guest->granted);
    g_free(guest->free_refs);
    g_free(guest->store_path);
    g_array_unref(guest->orphans);
    g_free(guest);
}

uint16_t xenemu_guest_domid(const XenemuGuest *guest)
{
    return guest->domid;
}

const char *xenemu_guest_store_path(const XenemuGuest *guest)
{
    return guest->store_path;
}

void *xenemu_guest_ram(XenemuGuest *guest)
{
    return guest->ram;
}

size_t xenemu_guest_ram_size(const XenemuGuest *guest)
{
    return guest->ram_size;
}

int xenemu_guest_fd(const XenemuGuest *guest)
{
    return guest->fd;
}

/* --- pages --- */

/* The first of @count free pages next to each other, or 0. */
static size_t guest_find_pages(const XenemuGuest *guest, unsigned count)
{
    size_t pages = guest->ram_size / XENEMU_PAGE_SIZE;
    size_t run = 0;

    for (size_t i = XENEMU_GRANT_FRAMES; i < pages; i++) {
        run = guest->used[i] ? 0 : run + 1;
        if (run == count) {
            return i + 1 - count;
        }
    }
    return 0;
}

void *xenemu_guest_alloc_pages(XenemuGuest *guest, unsigned count)
{
    size_t first;
    void *p;

    pthread_mutex_lock(&guest->lock);
    first = count > 0 ? guest_find_pages(guest, count) : 0;
    if (first > 0) {
        memset(guest->used + first, 1, count);
    }
    pthread_mutex_unlock(&guest->lock);
    if (first == 0) {
        return NULL;
    }
    p = guest->ram + first * XENEMU_PAGE_SIZE;
    memset(p, 0, (size_t)count * XENEMU_PAGE_SIZE);
    return p;
}

void xenemu_guest_free_pages(XenemuGuest *guest, void *addr, unsigned count)
{
    size_t first = (size_t)((uint8_t *)addr - guest->ram) / XENEMU_PAGE_SIZE;

    g_assert(first >= XENEMU_GRANT_FRAMES &&
             first + count <= guest->ram_size / XENEMU_PAGE_SIZE);
    pthread_mutex_lock(&guest->lock);
    memset(guest->used + first, 0, count);
    pthread_mutex_unlock(&guest->lock);
}

/* --- grants --- */

static grant_entry_v1_t *guest_entry(XenemuGuest *guest, uint32_t ref)
{
    return (grant_entry_v1_t *)(void *)guest->ram + ref;
}

int xenemu_guest_grant_access(XenemuGuest *guest, uint16_t domid, void *page, bool writable)
{
    size_t offset = (size_t)((uint8_t *)page - guest->ram);
    grant_entry_v1_t *e;
    uint32_t ref = 0;

    if (offset >= guest->ram_size || offset % XENEMU_PAGE_SIZE != 0) {
        return -EINVAL;
    }
    pthread_mutex_lock(&guest->lock);
    if (guest->n_free_refs > 0) {
        ref = guest->free_refs[--guest->n_free_refs];
        guest->granted[ref] = 1;
    }
    pthread_mutex_unlock(&guest->lock);
    if (ref == 0) {
        return -ENOSPC;
    }
    /* "Introducing a valid entry": frame and domid, a barrier, then the flags. */
    e = guest_entry(guest, ref);
    __atomic_store_n(&e->frame, (uint32_t)(offset / XENEMU_PAGE_SIZE), __ATOMIC_RELAXED);
    __atomic_store_n(&e->domid, domid, __ATOMIC_RELAXED);
    __atomic_store_n(&e->flags,
                     (uint16_t)(GTF_permit_access | (writable ? 0 : GTF_readonly)),
                     __ATOMIC_RELEASE);
    return (int)ref;
}

int xenemu_guest_end_access(XenemuGuest *guest, uint32_t ref)
{
    uint16_t flags;
    grant_entry_v1_t *e;
    bool ours = false;

    if (ref >= XENEMU_GRANT_REFS) {
        return -EINVAL;
    }
    /* "Invalidating an unused GTF_permit_access entry". */
    e = guest_entry(guest, ref);
    flags = __atomic_load_n(&e->flags, __ATOMIC_RELAXED);
    pthread_mutex_lock(&guest->lock);
    ours = guest->granted[ref];
    pthread_mutex_unlock(&guest->lock);
    if (!ours) {
        return -EINVAL;
    }
    do {
        if (flags & (GTF_reading | GTF_writing)) {
            return -EBUSY;
        }
    } while (!__atomic_compare_exchange_n(&e->flags, &flags, 0, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    pthread_mutex_lock(&guest->lock);
    guest->granted[ref] = 0;
    guest->free_refs[guest->n_free_refs++] = ref;
    pthread_mutex_unlock(&guest->lock);
    return 0;
}

bool xenemu_guest_in_use(XenemuGuest *guest, uint32_t ref)
{
    return ref < XENEMU_GRANT_REFS &&
           __atomic_load_n(&guest_entry(guest, ref)->flags, __ATOMIC_ACQUIRE) &
               (GTF_reading | GTF_writing);
}
