/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-stub.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "util/container-of.h"

static VirtioStub *stub_of(VirtioDevice *d)
{
    return container_of(d, VirtioStub, dev);
}

static void note(VirtioStub *s, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static void note(VirtioStub *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_string_append_vprintf(s->calls, fmt, ap);
    va_end(ap);
    g_string_append_c(s->calls, ' ');
}

void virtio_stub_expect(VirtioStub *s, const char *calls)
{
    g_strchomp(s->calls->str);
    g_assert_cmpstr(s->calls->str, ==, calls);
    g_string_truncate(s->calls, 0);
}

static uint64_t stub_features(VirtioDevice *d)
{
    return stub_of(d)->offered;
}

static bool refuse(bool really, const char *what, GError **error)
{
    if (really) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "the device wants no %s", what);
    }
    return really;
}

static bool stub_set_features(VirtioDevice *d, uint64_t features, GError **error)
{
    VirtioStub *s = stub_of(d);

    note(s, "features=0x%" G_GINT64_MODIFIER "x", features);
    g_assert_cmphex(features & ~s->offered, ==, 0);
    if (refuse(s->refuse_features, "features", error)) {
        return false;
    }
    s->features = features;
    return true;
}

static void stub_get_config(VirtioDevice *d, uint32_t offset, uint8_t *ret, uint32_t len)
{
    VirtioStub *s = stub_of(d);

    note(s, "get-config=%u,%u", offset, len);
    for (uint32_t i = 0; i < len; i++) {
        ret[i] = offset + i < VIRTIO_STUB_CONFIG ? s->config[offset + i] : 0;
    }
}

static bool stub_set_config(VirtioDevice *d, uint32_t offset, const uint8_t *data, uint32_t len)
{
    VirtioStub *s = stub_of(d);

    note(s, "set-config=%u,%u", offset, len);
    if (s->refuse_config || offset + len > VIRTIO_STUB_CONFIG) {
        return false;
    }
    memcpy(s->config + offset, data, len);
    return true;
}

static bool stub_ring_start(VirtioDevice *d, unsigned index, const VirtioRing *ring,
                            GError **error)
{
    VirtioStub *s = stub_of(d);
    VirtioStubRing *r = &s->ring[index];
    const char *why;

    note(s, "start=%u,%u", index, ring->setup.size);
    g_assert_cmpuint(index, <, d->n_rings);
    g_assert_false(r->running);
    g_assert_nonnull(d->mem);
    g_assert_nonnull(ring->setup.desc);
    g_assert_nonnull(ring->setup.driver);
    g_assert_nonnull(ring->setup.device);
    if (refuse(s->refuse_ring, "ring", error)) {
        return false;
    }
    if (s->virtqueues && !virtq_start(&r->vq, d->mem, &ring->setup, &why)) {
        g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, why);
        return false;
    }
    r->ring = *ring;
    r->base = ring->setup.base;
    r->enabled = ring->enabled;
    if (ring->enabled) {
        note(s, "enable=%u,1", index);
    }
    r->running = true;
    return true;
}

static uint32_t stub_ring_stop(VirtioDevice *d, unsigned index)
{
    VirtioStub *s = stub_of(d);
    VirtioStubRing *r = &s->ring[index];

    note(s, "stop=%u", index);
    g_assert_true(r->running);
    r->running = false;
    return s->virtqueues ? virtq_stop(&r->vq) : r->base;
}

static void stub_ring_enable(VirtioDevice *d, unsigned index, bool on)
{
    VirtioStub *s = stub_of(d);

    note(s, "enable=%u,%d", index, on);
    s->ring[index].enabled = on;
}

static void stub_ring_set_call(VirtioDevice *d, unsigned index, int call_fd)
{
    VirtioStub *s = stub_of(d);

    note(s, "call=%u", index);
    g_assert_true(s->ring[index].running);
    s->ring[index].ring.call_fd = call_fd;
}

static void stub_announce(VirtioDevice *d, const uint8_t mac[6])
{
    note(stub_of(d), "announce=%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
         mac[4], mac[5]);
}

static bool stub_set_mtu(VirtioDevice *d, uint16_t mtu, GError **error)
{
    VirtioStub *s = stub_of(d);

    note(s, "mtu=%u", mtu);
    return !refuse(s->refuse_mtu, "MTU", error);
}

static void stub_reset(VirtioDevice *d)
{
    VirtioStub *s = stub_of(d);

    note(s, "reset");
    for (unsigned i = 0; i < d->n_rings; i++) {
        g_assert_false(s->ring[i].running);
    }
    s->features = 0;
}

static const VirtioDeviceOps stub_ops = {
    .features = stub_features,
    .set_features = stub_set_features,
    .get_config = stub_get_config,
    .set_config = stub_set_config,
    .ring_start = stub_ring_start,
    .ring_stop = stub_ring_stop,
    .ring_enable = stub_ring_enable,
    .ring_set_call = stub_ring_set_call,
    .announce = stub_announce,
    .set_mtu = stub_set_mtu,
    .reset = stub_reset,
};

VirtioStub *virtio_stub_new(unsigned n_rings)
{
    VirtioStub *s = g_new0(VirtioStub, 1);

    s->ops = stub_ops;
    s->dev.ops = &s->ops;
    s->dev.n_rings = n_rings;
    s->calls = g_string_new(NULL);
    s->ring = g_new0(VirtioStubRing, n_rings);
    s->offered = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_RING_PACKED |
                 1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_RING_F_INDIRECT_DESC;
    for (unsigned i = 0; i < VIRTIO_STUB_CONFIG; i++) {
        s->config[i] = (uint8_t)(i + 1);
    }
    return s;
}

void virtio_stub_free(VirtioStub *s)
{
    for (unsigned i = 0; i < s->dev.n_rings; i++) {
        g_assert_false(s->ring[i].running);
    }
    g_string_free(s->calls, TRUE);
    g_free(s->ring);
    g_free(s);
}

/* --- virtqueues --- */

static uint32_t fill(const VirtioStub *s, const VirtqChain *c)
{
    uint32_t written = c->bad ? c->in_len : 0;

    for (unsigned i = c->n_out; !c->bad && i < c->n_out + c->n_in; i++) {
        memset(c->iov[i].iov_base, VIRTIO_STUB_BYTE, c->iov[i].iov_len);
        guest_mem_dirty_host(s->dev.mem, c->iov[i].iov_base, c->iov[i].iov_len);
        written += (uint32_t)c->iov[i].iov_len;
    }
    return written;
}

static void call(const VirtioStubRing *r)
{
    uint64_t one = 1;
    ssize_t n = r->ring.call_fd < 0 ? 0 : write(r->ring.call_fd, &one, sizeof(one));

    (void)n;
}

int virtio_stub_serve(VirtioStub *s, unsigned index, unsigned max)
{
    VirtioStubRing *r = &s->ring[index];
    g_autofree struct iovec *iov = g_new(struct iovec, VIRTQ_MAX_IOV);
    int total = 0, n;
    VirtqChain c;

    if (!r->running || r->vq.violation) {
        return 0;
    }
    while (max-- > 0 && (n = virtq_pop(&r->vq, &c, 1, iov, VIRTQ_MAX_IOV)) != 0) {
        if (n < 0) {
            return -1;
        }
        virtq_push(&r->vq, &c, fill(s, &c));
        total++;
    }
    if (total > 0 && virtq_flush(&r->vq)) {
        call(r);
    }
    return total;
}
