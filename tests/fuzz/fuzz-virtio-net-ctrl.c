/*
 * Commands of virtio-net's control queue: a few after each other, in pieces of memory that end
 * where they end. Whatever they say, what the device keeps of it makes sense.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <glib.h>

#include "fake-netdev.h"
#include "virtio-net-ctrl.h"

#define PAIRS        4u
#define MAX_COMMANDS 64u
#define MAX_LEN      1024u
#define MAX_PIECES   64u

/* In front of a command. */
typedef struct FuzzCommand {
    uint16_t len;
    uint8_t piece;    /* bytes of a piece of it, the last one perhaps less */
    uint8_t announce; /* an announcement is due */
} FuzzCommand;

static VirtioNet *device_new(void)
{
    VirtioNetConfig config = { .mac = "52:54:00:12:34:56", .ctrl = true };
    VirtioNetEnv env = { .name = "nic", .peer = fake_netdev_new(PAIRS, true) };
    VirtioNet *vn;

    memset(&config.f, 1, sizeof(config.f));
    vn = virtio_net_new(&config, &env, NULL);
    g_assert_nonnull(vn);
    return vn;
}

static void run(VirtioNetCtrl *c, const uint8_t *data, size_t len, size_t piece)
{
    struct iovec iov[MAX_PIECES];
    VirtioNetCtrlData d = { .iov = iov, .left = len };
    unsigned n = 0;

    piece = MAX(piece, len / MAX_PIECES + 1);
    for (size_t at = 0; at < len; at += piece) {
        size_t here = MIN(piece, len - at);

        iov[n++] = (struct iovec){ g_memdup2(data + at, here), here };
    }
    virtio_net_ctrl_run(c, &d);
    virtio_net_ctrl_publish(c);
    while (n > 0) {
        g_free(iov[--n].iov_base);
    }
}

/* No frame may go to a pair that is not used. */
static void check_steering(const VirtioNet *vn)
{
    const VirtioNetCtrl *c = vn->ctrl;
    const VirtioNetSteering *st = c->live_steering;
    bool reports = vn->features & 1ull << VIRTIO_NET_F_HASH_REPORT;

    g_assert_cmpint(c->live_hash != NULL, ==, c->hash.types != 0 && reports && !c->rss.on);
    g_assert_cmpint(st != NULL, ==, c->rss.on);
    g_assert_true(c->live_slots == c->slots);
    g_assert_cmpint(c->slots != NULL, ==, c->rss.on);
    if (st) {
        g_assert_true(vn->features & 1ull << VIRTIO_NET_F_RSS);
        g_assert_cmpuint(st->rss.unclassified, <, c->pairs);
        g_assert_cmpuint(st->rss.len, >, 0);
        g_assert_cmpuint(st->rss.len, <=, VIRTIO_NET_RSS_TABLE);
        g_assert_cmpuint(st->rss.len & (st->rss.len - 1), ==, 0);
        for (unsigned i = 0; i < st->rss.len; i++) {
            g_assert_cmpuint(st->rss.table[i], <, c->pairs);
        }
        g_assert_cmpmem(&st->hash, sizeof(st->hash), &c->hash, sizeof(c->hash));
    }
}

static void check(const VirtioNet *vn)
{
    const VirtioNetCtrl *c = vn->ctrl;
    const VirtioNetFilter *f = &c->filter;

    g_assert_cmpuint(c->pairs, >=, 1);
    g_assert_cmpuint(c->pairs, <=, virtio_net_max_pairs(vn));
    g_assert_cmpuint((unsigned)f->n_uni + f->n_multi, <=, VIRTIO_NET_FILTER_MACS);
    g_assert_true(!f->uni_overflow || f->n_uni == 0);
    g_assert_true(!f->multi_overflow || f->n_multi == 0);
    g_assert_cmpint(c->live == NULL, ==, f->promisc);
    g_assert_cmphex(c->hash.types & ~VIRTIO_NET_HASH_TYPES, ==, 0);
    check_steering(vn);
    g_assert_cmpmem(f->mac, sizeof(f->mac), vn->mac, sizeof(vn->mac));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { data, size };
    uint8_t bytes[MAX_LEN];
    VirtioNet *vn = device_new();
    Netdev *nd = vn->env.peer;
    VirtioDevice *dev = virtio_net_device(vn);
    uint64_t without;

    fuzz_take(&in, &without, sizeof(without)); /* all zeros: with all of them */
    g_assert_true(dev->ops->set_features(dev, dev->ops->features(dev) & ~without, NULL));
    for (unsigned i = 0; in.size > 0 && i < MAX_COMMANDS; i++) {
        FuzzCommand cmd;

        fuzz_take(&in, &cmd, sizeof(cmd));
        cmd.len = (uint16_t)(cmd.len % (MAX_LEN + 1));
        fuzz_take(&in, bytes, cmd.len);
        vn->status |= cmd.announce & 1 ? VIRTIO_NET_S_ANNOUNCE : 0;
        run(vn->ctrl, bytes, cmd.len, cmd.piece);
        check(vn);
    }
    dev->ops->reset(dev);
    check(vn);
    virtio_net_free(vn);
    netdev_free(nd);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    return 0;
}
