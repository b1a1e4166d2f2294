/*
 * A virtio-net goes from one device to another, each with the kernel's vhost or without:
 * rings go on where they were. The vhost is the test's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <unistd.h>

#include "fake-vhost.h"
#include "hw/virtio/vhost-kernel.h"
#include "virtio-regs-rig.h"

#define BIT(n)  (1ull << (n))
#define PACKED  BIT(VIRTIO_F_RING_PACKED)
#define EVENT   BIT(VIRTIO_RING_F_EVENT_IDX)
#define WANTED  (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MRG_RXBUF) | \
                 BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MQ))
#define KERNEL  (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) | EVENT | PACKED | \
                 BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VHOST_F_LOG_ALL))
#define PASSES  70u  /* of a pair, between two moves: rings of 64 wrap */

static void with_vhost(Netdev *nd)
{
    for (unsigned i = 0; i < nd->n_queues; i++) {
        g_autoptr(GError) error = NULL;

        nd->queue[i]->vhost_fd = fake_vhost_open(KERNEL);
        vhost_kernel_init(nd->queue[i]->vhost_fd, 0, &error);
        g_assert_no_error(error);
    }
}

/* Their numbers are not used again while the test's vhost knows them. */
typedef struct Vhosts {
    int fd[FAKE_VHOST_MAX];
    unsigned n;
} Vhosts;

static void remember(Vhosts *v, const VirtioRegsRig *r)
{
    for (unsigned i = 0; i < r->c.pairs && r->c.prepare; i++) {
        g_assert_cmpuint(v->n, <, FAKE_VHOST_MAX);
        v->fd[v->n++] = r->nd->queue[i]->vhost_fd;
    }
}

static void forget(Vhosts *v)
{
    fake_vhost_forget();
    while (v->n > 0) {
        close(v->fd[--v->n]);
    }
}

/* A packet each way, by whoever has to have the pair. */
static void pass(VirtioRegsRig *r, unsigned pair, unsigned seed)
{
    int fd = r->nd->queue[pair]->vhost_fd;
    g_autofree FakePkt *in = g_new0(FakePkt, 1);
    g_autofree FakePkt *out = g_new0(FakePkt, 1);
    uint8_t frame[VPG_PACKET];

    vpg_post(&r->g, pair, 1);
    if (fd < 0) {
        virtio_regs_rig_pass(r, pair);
        return;
    }
    g_assert_true(fake_vhost_serves(fd));
    memset(frame, (int)seed, sizeof(frame));
    g_assert_true(vpg_try_send(&r->g, pair, frame, 60 + seed));
    fake_vhost_take(fd, out);
    g_assert_cmpmem(out->data, out->len, frame, 60 + seed);
    in->len = 80;
    memset(in->data, (int)seed, in->len);
    fake_vhost_give(fd, in);
    g_assert_cmpuint(vpg_recv(&r->g, pair, frame), ==, in->len);
    g_assert_cmpmem(frame, in->len, in->data, in->len);
}

static void pass_all(VirtioRegsRig *r)
{
    for (unsigned i = 0; i < PASSES; i++) {
        pass(r, i % r->c.pairs, i);
    }
}

/* To a device with vhost, or without, while the driver has something in its rings. */
static void move(VirtioRegsRig *r, Vhosts *v, bool vhost)
{
    g_autoptr(GByteArray) state = NULL;
    g_autoptr(GError) error = NULL;

    vpg_post(&r->g, 0, 3);
    virtio_net_pause(r->vn, true); /* as before it is saved */
    state = virtio_regs_rig_save(r);
    for (unsigned i = 0; i < v->n; i++) {
        g_assert_false(fake_vhost_serves(v->fd[i]));
    }
    r->c.prepare = vhost ? with_vhost : NULL;
    virtio_regs_rig_replace(r);
    remember(v, r);
    g_assert_true(virtio_regs_rig_load(r, state->data, state->len, &error));
    g_assert_no_error(error);
    virtio_regs_rig_hold(r, false);
}

typedef struct Case {
    unsigned pairs;
    uint64_t more;
} Case;

/* From vhost to none, and back, then to another vhost, and from none to none. */
static void test_moves(gconstpointer data)
{
    static const bool vhost[] = { false, true, true, false, false };
    const Case *c = data;
    VirtioRegsRigConfig config = {
        .pairs = c->pairs, .wanted = WANTED | c->more, .prepare = with_vhost,
    };
    unsigned n = c->pairs <= 2 ? G_N_ELEMENTS(vhost) : 2; /* so many vhosts there can be */
    Vhosts v = { .n = 0 };
    VirtioRegsRig r;

    virtio_regs_rig_up(&r, &config);
    remember(&v, &r);
    vpg_start(&r.g);
    if (c->pairs > 1) {
        g_assert_cmpuint(vpg_set_pairs(&r.g, (uint16_t)c->pairs), ==, VIRTIO_NET_OK);
    }
    pass_all(&r);
    for (unsigned i = 0; i < n; i++) {
        move(&r, &v, vhost[i]);
        pass_all(&r);
    }
    virtio_regs_rig_down(&r);
    forget(&v);
}

int main(int argc, char **argv)
{
    static const unsigned pairs[] = { 1, 2, 4, 8 };
    static const uint64_t more[] = { 0, PACKED, EVENT, PACKED | EVENT };
    static Case cases[G_N_ELEMENTS(pairs) * G_N_ELEMENTS(more)];

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = NULL;

        cases[i] = (Case){ pairs[i % 4], more[i / 4] };
        path = g_strdup_printf("/hw/virtio/virtio-regs-state-vhost/%u%s%s", cases[i].pairs,
                               cases[i].more & PACKED ? "-packed" : "-split",
                               cases[i].more & EVENT ? "-event" : "");
        g_test_add_data_func(path, &cases[i], test_moves);
    }
    return g_test_run();
}
