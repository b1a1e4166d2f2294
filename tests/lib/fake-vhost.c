/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-vhost.h"

#include <errno.h>
#include <linux/vhost.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, ...);

typedef struct FakeVhosts {
    FakeVhost v[FAKE_VHOST_MAX];
    unsigned n;
    uint64_t features;
    unsigned requests;
    unsigned fail_at;
} FakeVhosts;

static FakeVhosts *all(void)
{
    static FakeVhosts vhosts;

    return &vhosts;
}

int fake_vhost_open(uint64_t features)
{
    FakeVhosts *a = all();
    FakeVhost *v = &a->v[a->n++];

    g_assert_cmpuint(a->n, <=, FAKE_VHOST_MAX);
    *v = (FakeVhost){ .fd = eventfd(0, EFD_CLOEXEC) };
    g_assert_cmpint(v->fd, >=, 0);
    for (unsigned i = 0; i < 2; i++) {
        v->ring[i].kick_fd = v->ring[i].call_fd = v->ring[i].err_fd = v->ring[i].backend_fd = -1;
    }
    a->features = features;
    return v->fd;
}

static FakeVhost *find(int fd)
{
    for (unsigned i = 0; i < all()->n; i++) {
        if (all()->v[i].fd == fd) {
            return &all()->v[i];
        }
    }
    return NULL;
}

FakeVhost *fake_vhost_of(int fd)
{
    FakeVhost *v = find(fd);

    g_assert_nonnull(v);
    return v;
}

void fake_vhost_forget(void)
{
    FakeVhosts *a = all();

    for (unsigned i = 0; i < a->n; i++) {
        g_assert_cmpint(a->v[i].ring[0].backend_fd, ==, -1);
        g_assert_cmpint(a->v[i].ring[1].backend_fd, ==, -1);
        guest_mem_free(a->v[i].mem);
    }
    *a = (FakeVhosts){ 0 };
}

unsigned fake_vhost_fail_nth(unsigned nth)
{
    unsigned n = all()->requests;

    all()->requests = 0;
    all()->fail_at = nth;
    return n;
}

/* --- requests --- */

static int set_mem_table(FakeVhost *v, const struct vhost_memory *m)
{
    guest_mem_free(v->mem);
    v->mem = guest_mem_new();
    v->mem->n = m->nregions;
    for (uint32_t i = 0; i < m->nregions; i++) {
        v->mem->region[i] = (GuestRegion){
            .gpa = m->regions[i].guest_phys_addr,
            .size = m->regions[i].memory_size,
            .host = (void *)(uintptr_t)m->regions[i].userspace_addr,
        };
    }
    return 0;
}

static int set_addr(FakeVhostRing *r, const struct vhost_vring_addr *a)
{
    r->setup = (VirtqSetup){
        .desc = (void *)(uintptr_t)a->desc_user_addr,
        .driver = (void *)(uintptr_t)a->avail_user_addr,
        .device = (void *)(uintptr_t)a->used_user_addr,
        .log = a->flags & 1u << VHOST_VRING_F_LOG,
        .log_gpa = a->log_guest_addr,
    };
    return 0;
}

static int set_backend(FakeVhost *v, FakeVhostRing *r, int fd)
{
    const char *why = NULL;

    if (r->backend_fd >= 0) {
        r->base = virtq_stop(&r->vq);
    }
    r->backend_fd = fd;
    if (fd < 0) {
        return 0;
    }
    r->setup.size = (uint16_t)r->num;
    r->setup.base = r->base;
    r->setup.features = v->features;
    g_assert_true(virtq_start(&r->vq, v->mem, &r->setup, &why));
    v->starts += v->ring[0].backend_fd >= 0 && v->ring[1].backend_fd >= 0;
    return 0;
}

static int answer_file(FakeVhost *v, unsigned long request, const struct vhost_vring_file *f)
{
    FakeVhostRing *r = &v->ring[f->index];

    switch (request) {
    case VHOST_SET_VRING_KICK:
        r->kick_fd = f->fd;
        return 0;
    case VHOST_SET_VRING_CALL:
        r->call_fd = f->fd;
        return 0;
    case VHOST_SET_VRING_ERR:
        r->err_fd = f->fd;
        return 0;
    default:
        return set_backend(v, r, f->fd);
    }
}

static int answer_state(FakeVhost *v, unsigned long request, struct vhost_vring_state *s)
{
    FakeVhostRing *r = &v->ring[s->index];

    g_assert_cmpint(r->backend_fd, ==, -1); /* EBUSY */
    switch (request) {
    case VHOST_SET_VRING_NUM:
        r->num = s->num;
        return 0;
    case VHOST_SET_VRING_BASE:
        r->base = s->num;
        return 0;
    case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
        v->poll_us = s->num;
        return 0;
    default:
        s->num = r->base;
        return 0;
    }
}

static int answer(FakeVhost *v, unsigned long request, void *arg)
{
    switch (request) {
    case VHOST_SET_OWNER:
        errno = EBUSY;
        return v->owned ? -1 : (v->owned = true, 0);
    case VHOST_GET_FEATURES:
        *(uint64_t *)arg = all()->features;
        return 0;
    case VHOST_SET_FEATURES:
        v->features = *(uint64_t *)arg;
        return 0;
    case VHOST_SET_LOG_BASE:
        v->log = *(uint64_t *)arg;
        return 0;
    case VHOST_SET_LOG_FD:
        return 0;
    case VHOST_SET_MEM_TABLE:
        return set_mem_table(v, arg);
    case VHOST_SET_VRING_ADDR:
        return set_addr(&v->ring[((struct vhost_vring_addr *)arg)->index], arg);
    case VHOST_SET_VRING_KICK:
    case VHOST_SET_VRING_CALL:
    case VHOST_SET_VRING_ERR:
    case VHOST_NET_SET_BACKEND:
        return answer_file(v, request, arg);
    default:
        return answer_state(v, request, arg);
    }
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    FakeVhost *v = find(fd);
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (!v || _IOC_TYPE(request) != VHOST_VIRTIO) {
        return __real_ioctl(fd, request, arg);
    }
    if (++all()->requests == all()->fail_at) {
        errno = ENOMEM;
        return -1;
    }
    return answer(v, request, arg);
}

/* --- its rings --- */

bool fake_vhost_serves(int fd)
{
    const FakeVhost *v = fake_vhost_of(fd);

    return v->ring[0].backend_fd >= 0 && v->ring[1].backend_fd >= 0;
}

static void pop(FakeVhostRing *r, VirtqChain *chain, struct iovec *iov)
{
    g_assert_cmpint(r->backend_fd, >=, 0);
    g_assert_cmpint(virtq_pop(&r->vq, chain, 1, iov, VIRTQ_MAX_IOV), ==, 1);
    g_assert_null(chain->bad);
}

static void push(FakeVhostRing *r, const VirtqChain *chain, uint32_t written)
{
    uint64_t one = 1;

    virtq_push(&r->vq, chain, written);
    if (virtq_flush(&r->vq) && r->call_fd >= 0) {
        g_assert_cmpint(write(r->call_fd, &one, sizeof(one)), ==, sizeof(one));
    }
}

/* Between @flat of @len bytes, which has to be enough, and the pieces. */
static uint32_t copy(const VirtqChain *chain, void *flat, size_t len, bool in)
{
    uint8_t *at = flat;

    for (unsigned i = 0; i < chain->n_out + chain->n_in; i++) {
        size_t n = MIN(len, chain->iov[i].iov_len);

        if (in) {
            memcpy(chain->iov[i].iov_base, at, n);
        } else {
            memcpy(at, chain->iov[i].iov_base, n);
        }
        at += n;
        len -= n;
    }
    return (uint32_t)(at - (uint8_t *)flat);
}

void fake_vhost_take(int fd, FakePkt *ret_pkt)
{
    FakeVhostRing *r = &fake_vhost_of(fd)->ring[1];
    g_autofree uint8_t *flat = g_malloc(PKT_HDR_LEN + PKT_MAX_LEN);
    g_autofree struct iovec *iov = g_new(struct iovec, VIRTQ_MAX_IOV);
    VirtqChain chain;
    uint32_t len;

    pop(r, &chain, iov);
    len = copy(&chain, flat, PKT_HDR_LEN + PKT_MAX_LEN, false);
    memcpy(&ret_pkt->hdr, flat, PKT_HDR_LEN);
    ret_pkt->len = len - PKT_HDR_LEN;
    memcpy(ret_pkt->data, flat + PKT_HDR_LEN, ret_pkt->len);
    push(r, &chain, 0);
}

void fake_vhost_give(int fd, const FakePkt *pkt)
{
    FakeVhostRing *r = &fake_vhost_of(fd)->ring[0];
    g_autofree uint8_t *flat = g_malloc(PKT_HDR_LEN + pkt->len);
    g_autofree struct iovec *iov = g_new(struct iovec, VIRTQ_MAX_IOV);
    struct virtio_net_hdr_v1 hdr = pkt->hdr;
    VirtqChain chain;

    pop(r, &chain, iov);
    hdr.num_buffers = 1;
    memcpy(flat, &hdr, PKT_HDR_LEN);
    memcpy(flat + PKT_HDR_LEN, pkt->data, pkt->len);
    push(r, &chain, copy(&chain, flat, PKT_HDR_LEN + pkt->len, true));
}

void fake_vhost_break(int fd, unsigned i)
{
    uint64_t one = 1;

    g_assert_cmpint(write(fake_vhost_of(fd)->ring[i].err_fd, &one, sizeof(one)), ==, sizeof(one));
}
