/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-guest.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/virtio/virtq-inflight.h"

#define BIT(n)     (1ull << (n))
#define RING_SIZE  0x400000ull
#define DATA       0x8000000ull
#define DATA_SIZE  (512ull * VIRTIO_GUEST_SLOT)
#define MEM_SIZE   (DATA + (2 * VIRTIO_GUEST_MAX_PAIRS + 1) * DATA_SIZE)
#define INDIRECT   32u

uint8_t *virtio_guest_host(VirtioGuest *g, uint64_t gpa)
{
    return g->host + gpa;
}

static void guest_add_memory(VirtioGuest *g)
{
    g_autoptr(GError) error = NULL;
    int fd = memfd_create("guest", MFD_CLOEXEC);
    struct iovec iov;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, MEM_SIZE), ==, 0);
    g->mem = guest_mem_new();
    g_assert_true(guest_mem_add(g->mem, 0, MEM_SIZE, 0, fd, 0, &error));
    close(fd);
    g_assert_cmpuint(guest_mem_iov(g->mem, 0, MEM_SIZE, &iov, 1), ==, 1);
    g->host = iov.iov_base;
    g->dev->mem = g->mem;
}

static void guest_add_ring(VirtioGuest *g, unsigned i)
{
    VirtqDriverConfig c = {
        .size = g->c.size,
        .features = g->features,
        .max_indirect = g->features & BIT(VIRTIO_RING_F_INDIRECT_DESC) ? INDIRECT : 0,
        .mem = g->host + i * RING_SIZE,
        .gpa = i * RING_SIZE,
    };

    g_assert_cmpuint(virtq_driver_size(&c), <=, RING_SIZE);
    g->ring[i] = (VirtioGuestRing){
        .driver = virtq_driver_new(&c),
        .gpa = DATA + i * DATA_SIZE,
        .kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
        .call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
    };
    if (g->c.inflight) {
        g->ring[i].inflight = g_malloc0(virtq_inflight_size(
            g->c.size, g->features & BIT(VIRTIO_F_RING_PACKED)));
    }
    g->ring[i].base = virtq_driver_setup(g->ring[i].driver).base;
}

void virtio_guest_start_ring(VirtioGuest *g, unsigned index)
{
    g_autoptr(GError) error = NULL;
    VirtioGuestRing *r = &g->ring[index];
    VirtqSetup s = virtq_driver_setup(r->driver);
    VirtioRing ring = {
        .kick_fd = r->kick_fd, .call_fd = r->call_fd, .enabled = g->enabled
    };

    s.base = r->base;
    s.log = guest_mem_logs(g->mem);
    s.inflight = r->inflight;
    ring.setup = s;
    g_assert_true(g->dev->ops->ring_start(g->dev, index, &ring, &error));
    r->running = true;
}

void virtio_guest_stop_ring(VirtioGuest *g, unsigned index)
{
    g->ring[index].base = g->dev->ops->ring_stop(g->dev, index);
    g->ring[index].running = false;
}

/* A device, and what is negotiated with it. */
static void guest_add_device(VirtioGuest *g)
{
    g_autoptr(GError) error = NULL;
    VirtioNetConfig config = { .mac = "52:54:00:12:34:56", .ctrl = g->c.ctrl };
    bool mq;
    VirtioNetEnv env = { .name = "nic" };
    VirtioNetInfo info;

    memset(&config.f, 1, sizeof(config.f)); /* all of them */
    g->nd = g->c.open ? g->c.open(g->c.pairs) : fake_netdev_new(g->c.pairs, !g->c.no_vnet_hdr);
    env.peer = g->nd;
    env.threads = g->c.threads;
    env.n_threads = g->c.threads ? g->c.pairs : 0;
    if (g->c.prepare) {
        g->c.prepare(g->nd);
    }
    g->vn = virtio_net_new(&config, &env, &error);
    g_assert_no_error(error);
    g->dev = virtio_net_device(g->vn);
    virtio_net_info(g->vn, &info);
    g->vn_stats = info.stats;
    g_assert_cmpuint(g->dev->n_rings, ==, 2 * g->c.pairs + g->c.ctrl);
    g->features = g->dev->ops->features(g->dev) & g->c.features;
    mq = !g->c.ctrl || (g->features & (BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_RSS)));
    g->n_rings = (mq ? 2 * g->c.pairs : 2) + g->c.ctrl;
    g_assert_true(g->dev->ops->set_features(g->dev, g->features, &error));
}

void virtio_guest_up(VirtioGuest *g, const VirtioGuestConfig *c)
{
    memset(g, 0, sizeof(*g));
    g->c = *c;
    guest_add_device(g);
    guest_add_memory(g);
    g->hdr_len = g->features & BIT(VIRTIO_NET_F_HASH_REPORT)
                     ? sizeof(struct virtio_net_hdr_v1_hash)
               : g->features & (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF))
                     ? PKT_HDR_LEN : sizeof(struct virtio_net_hdr);
    for (unsigned i = 0; i < g->n_rings; i++) {
        guest_add_ring(g, i);
        virtio_guest_start_ring(g, i);
    }
}

void virtio_guest_kill(VirtioGuest *g)
{
    virtio_net_pause(g->vn, true);
    g->killed = (VirtioGuestHost){ g->nd, g->vn };
    guest_add_device(g);
    g->dev->mem = g->mem;
    for (unsigned i = 0; i < g->n_rings; i++) {
        virtio_guest_start_ring(g, i);
    }
}

static void guest_drop_killed(VirtioGuest *g)
{
    VirtioDevice *dev = virtio_net_device(g->killed.vn);

    for (unsigned i = 0; i < g->n_rings; i++) {
        dev->ops->ring_stop(dev, i);
    }
    virtio_net_free(g->killed.vn);
    netdev_free(g->killed.nd);
}

void virtio_guest_down(VirtioGuest *g)
{
    for (unsigned i = 0; i < g->n_rings; i++) {
        if (g->ring[i].running) {
            virtio_guest_stop_ring(g, i);
        }
    }
    virtio_net_free(g->vn);
    netdev_free(g->nd);
    if (g->killed.vn) {
        guest_drop_killed(g);
    }
    for (unsigned i = 0; i < g->n_rings; i++) {
        virtq_driver_free(g->ring[i].driver);
        close(g->ring[i].kick_fd);
        close(g->ring[i].call_fd);
        g_free(g->ring[i].inflight);
    }
    guest_mem_free(g->mem);
}

void virtio_guest_enable(VirtioGuest *g, bool on)
{
    g->enabled = on;
    for (unsigned i = 0; i < g->n_rings; i++) {
        g->dev->ops->ring_enable(g->dev, i, on);
    }
}

void virtio_guest_kick(VirtioGuest *g, unsigned index)
{
    uint64_t one = 1;

    if (virtq_driver_publish(g->ring[index].driver)) {
        g_assert_cmpint(write(g->ring[index].kick_fd, &one, sizeof(one)), ==, sizeof(one));
    }
}

/* A chain comes back, waited for. */
static bool guest_get(VirtioGuest *g, unsigned index, uint16_t *ret_id, uint32_t *ret_len,
                      unsigned timeout_ms)
{
    VirtioGuestRing *r = &g->ring[index];
    struct pollfd p = { .fd = r->call_fd, .events = POLLIN };
    uint64_t n;

    while (!virtq_driver_get(r->driver, ret_id, ret_len)) {
        if (virtq_driver_arm(r->driver)) {
            continue;
        }
        if (poll(&p, 1, (int)timeout_ms) <= 0) {
            return virtq_driver_get(r->driver, ret_id, ret_len); /* and nobody called: a bug */
        }
        g_assert_cmpint(read(r->call_fd, &n, sizeof(n)), ==, sizeof(n));
    }
    return true;
}

/* --- tx --- */

static uint64_t guest_slot(const VirtioGuestRing *r, unsigned id)
{
    return r->gpa + (uint64_t)id * VIRTIO_GUEST_SLOT;
}

/* The next id that virtq_driver_add() will give; its slot is free. */
static unsigned guest_next_id(const VirtioGuestRing *r)
{
    return r->driver->free_id;
}

bool virtio_guest_send(VirtioGuest *g, unsigned pair, const FakePkt *pkt)
{
    VirtioGuestRing *r = &g->ring[2 * pair + 1];
    uint64_t gpa = guest_slot(r, guest_next_id(r));
    uint8_t *host = virtio_guest_host(g, gpa);
    VirtqDriverPiece piece[2] = {
        { gpa, g->hdr_len + (g->c.split_header ? 0 : pkt->len) },
        { gpa + g->hdr_len, pkt->len },
    };
    int id;

    if (r->driver->n_free < 2) {
        return false;
    }
    memset(host, 0, g->hdr_len);
    memcpy(host, &pkt->hdr, MIN(g->hdr_len, PKT_HDR_LEN));
    memcpy(host + g->hdr_len, pkt->data, pkt->len);
    id = virtq_driver_add(r->driver, piece, g->c.split_header ? 2 : 1, 0);
    g_assert_cmpint(id, ==, (gpa - r->gpa) / VIRTIO_GUEST_SLOT);
    return true;
}

void virtio_guest_wait_sent(VirtioGuest *g, unsigned pair, unsigned n)
{
    uint16_t id;
    uint32_t len;

    for (unsigned i = 0; i < n; i++) {
        g_assert_true(guest_get(g, 2 * pair + 1, &id, &len, VIRTIO_GUEST_WAIT_MS));
        g_assert_cmpuint(len, ==, 0);
    }
}

/* --- rx --- */

void virtio_guest_post(VirtioGuest *g, unsigned pair, unsigned n)
{
    VirtioGuestRing *r = &g->ring[2 * pair];
    unsigned pieces = MAX(g->c.rx_pieces, 1);
    VirtqDriverPiece piece[INDIRECT];

    g_assert_cmpuint(pieces, <=, INDIRECT);
    for (; n > 0 && r->driver->n_free >= pieces; n--) {
        uint64_t gpa = guest_slot(r, guest_next_id(r));
        uint32_t left = g->c.rx_len;

        memset(virtio_guest_host(g, gpa), 0xee, g->c.rx_len);
        for (unsigned i = 0; i < pieces; i++) {
            uint32_t len = i + 1 < pieces ? g->c.rx_len / pieces : left;

            piece[i] = (VirtqDriverPiece){ gpa + g->c.rx_len - left, len };
            left -= len;
        }
        g_assert_cmpint(virtq_driver_add(r->driver, piece, 0, pieces), >=, 0);
    }
    virtio_guest_kick(g, 2 * pair);
}

bool virtio_guest_recv(VirtioGuest *g, unsigned pair, FakePkt *ret_pkt, unsigned timeout_ms)
{
    VirtioGuestRing *r = &g->ring[2 * pair];
    unsigned buffers = 1;
    uint16_t id;
    uint32_t len;

    memset(&ret_pkt->hdr, 0, sizeof(ret_pkt->hdr));
    ret_pkt->len = 0;
    for (unsigned i = 0; i < buffers; i++) {
        uint32_t skip = i == 0 ? g->hdr_len : 0;
        const uint8_t *host;

        if (!guest_get(g, 2 * pair, &id, &len, timeout_ms)) {
            g_assert_cmpuint(i, ==, 0);
            return false;
        }
        host = virtio_guest_host(g, guest_slot(r, id));
        g_assert_cmpuint(len, >, skip);
        g_assert_cmpuint(len, <=, g->c.rx_len);
        if (i == 0) {
            memcpy(&ret_pkt->hdr, host, MIN(g->hdr_len, PKT_HDR_LEN));
            memcpy(&g->hash, host, MIN(g->hdr_len, sizeof(g->hash)));
            buffers = g->hdr_len >= PKT_HDR_LEN ? ret_pkt->hdr.num_buffers : 1;
            g_assert_cmpuint(buffers, >, 0);
        }
        g_assert_cmpuint(i + 1 == buffers || len == g->c.rx_len, ==, 1);
        memcpy(ret_pkt->data + ret_pkt->len, host + skip, len - skip);
        ret_pkt->len += len - skip;
    }
    return true;
}
