/*
 * The commands of virtio-net's control queue. Each is refused unless its feature was negotiated and
 * all of its bytes are there; more than these where the row says so, as QEMU does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-ctrl.h"
#include "virtio-net-features.h"

#include <linux/if_ether.h>
#include <string.h>

/* With VIRTIO_NET_CTRL_MAC_TABLE_SET twice: so many addresses follow. */
typedef uint32_t MacCount;

typedef struct CtrlCommand CtrlCommand;
struct CtrlCommand {
    uint8_t class;
    uint8_t command;
    uint8_t feature;   /* VIRTIO_NET_F_* */
    uint8_t len;       /* bytes behind the header */
    bool exact;        /* not more of them */
    bool filters;      /* changes which frames are wanted */
    bool (*run)(VirtioNetCtrl *c, const CtrlCommand *cmd, VirtioNetCtrlData *d);
    size_t mode;       /* a bool in VirtioNetFilter */
};

/* --- bytes --- */

/* The next @len bytes, to @to or, NULL, nowhere. False: there are not so many. */
static bool data_take(VirtioNetCtrlData *d, void *to, uint64_t len)
{
    uint8_t *p = to;

    if (len > d->left) {
        return false;
    }
    d->left -= len;
    while (len > 0) {
        size_t here = MIN(len, d->iov->iov_len - d->off);

        if (p) {
            memcpy(p, (const uint8_t *)d->iov->iov_base + d->off, here);
            p += here;
        }
        len -= here;
        d->off += here;
        if (d->off == d->iov->iov_len) {
            d->iov++;
            d->off = 0;
        }
    }
    return true;
}

/* All numbers are little-endian: modern drivers' by the standard, old ones' as guests are. */
static uint64_t data_number(VirtioNetCtrlData *d, unsigned len)
{
    uint8_t b[sizeof(uint64_t)] = { 0 };
    uint64_t n = 0;

    data_take(d, b, len);
    for (unsigned i = 0; i < len; i++) {
        n |= (uint64_t)b[i] << (8 * i);
    }
    return n;
}

/* --- which frames are wanted --- */

static bool ctrl_set_mode(VirtioNetCtrl *c, const CtrlCommand *cmd, VirtioNetCtrlData *d)
{
    *((bool *)&c->filter + cmd->mode) = data_number(d, 1) != 0;
    return true;
}

static bool ctrl_set_mac(VirtioNetCtrl *c, const CtrlCommand *cmd, VirtioNetCtrlData *d)
{
    data_take(d, c->vn->mac, sizeof(c->vn->mac));
    memcpy(c->filter.mac, c->vn->mac, sizeof(c->filter.mac));
    return true;
}

/*
 * One of the two lists; no more are kept than there is room for, and then none of them. False: they
 * are not all there.
 */
static bool take_macs(VirtioNetCtrlData *d, VirtioNetFilter *f, uint8_t *n, bool *overflow)
{
    uint64_t count;
    unsigned used = f->n_uni;

    if (d->left < sizeof(MacCount)) {
        return false;
    }
    count = data_number(d, sizeof(MacCount));
    *overflow = count > VIRTIO_NET_FILTER_MACS - used;
    *n = *overflow ? 0 : (uint8_t)count;
    return data_take(d, *overflow ? NULL : f->table[used], count * ETH_ALEN);
}

static bool ctrl_set_macs(VirtioNetCtrl *c, const CtrlCommand *cmd, VirtioNetCtrlData *d)
{
    VirtioNetFilter f = c->filter;

    f.n_uni = 0;
    f.n_multi = 0;
    if (!take_macs(d, &f, &f.n_uni, &f.uni_overflow) ||
        !take_macs(d, &f, &f.n_multi, &f.multi_overflow) || d->left > 0) {
        return false;
    }
    c->filter = f;
    return true;
}

static bool ctrl_set_vlan(VirtioNetCtrl *c, const CtrlCommand *cmd, VirtioNetCtrlData *d)
{
    unsigned vid = (unsigned)data_number(d, sizeof(uint16_t));

    if (vid >= VIRTIO_NET_FILTER_VLANS) {
        return false;
    }
    virtio_net_filter_set_vlan(&c->filter, vid, cmd->command == VIRTIO_NET_CTRL_VLAN_ADD);
    return true;
}

/* --- others --- */

static bool ctrl_announced(VirtioNetCtrl *c, const CtrlCommand *cmd, VirtioNetCtrlData *d)
{
    if (!(c->vn->status & VIRTIO_NET_S_ANNOUNCE)) {
        return false;
    }
    c->vn->status &= (uint16_t)~VIRTIO_NET_S_ANNOUNCE;
    return true;
}

static bool pairs_are_fine(const VirtioNetCtrl *c, unsigned n)
{
    return n >= VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN && n <= virtio_net_max_pairs(c->vn);
}

static bool follow_pairs(VirtioNetCtrl *c, unsigned n)
{
    unsigned before = c->pairs;

    c->pairs = n;
    if (!virtio_net_follow_pairs(c->vn)) {
        c->pairs = before;
        virtio_net_follow_pairs(c->vn);
        return false;
    }
    return true;
}

/*
 * Which of them has a frame is ours to say then. No thread steers to pairs that are not used any
 * more: it knows before they go.
 */
static bool ctrl_set_pairs(VirtioNetCtrl *c, const CtrlCommand *cmd, VirtioNetCtrlData *d)
{
    unsigned n = (unsigned)data_number(d, sizeof(uint16_t));

    if (!pairs_are_fine(c, n)) {
        return false;
    }
    if (c->rss.on) {
        c->rss.on = false;
        virtio_net_ctrl_publish_hash(c);
    }
    return follow_pairs(c, n);
}

/*
 * What is hashed, and with which key: the end of the command. False: not as we can. A key shorter
 * than ours ends in zeros; without types none is needed.
 */
static bool take_hash(VirtioNetHash *h, uint32_t types, VirtioNetCtrlData *d, bool *ret_key)
{
    uint8_t key[VIRTIO_NET_HASH_KEY];
    uint64_t len = data_number(d, 1);

    if ((types & ~VIRTIO_NET_HASH_TYPES) || len > sizeof(key) || (len == 0 && types != 0) ||
        !data_take(d, key, len)) {
        return false;
    }
    virtio_net_hash_init(h, types, key, len);
    *ret_key = len > 0;
    return true;
}

/*
 * What is reserved is not looked at: drivers have a queue number there. It is the command of those
 * that do not steer, and of one that did it ends that.
 */
static bool ctrl_set_hash(VirtioNetCtrl *c, const CtrlCommand *cmd, VirtioNetCtrlData *d)
{
    uint32_t types = (uint32_t)data_number(d, sizeof(uint32_t));
    VirtioNetHash hash;
    bool key;

    data_take(d, NULL, sizeof(((struct virtio_net_hash_config *)0)->reserved));
    if (!take_hash(&hash, types, d, &key)) {
        return false;
    }
    c->hash = hash;
    c->rss.on = false;
    c->hash_changed = true;
    return true;
}

/* The table and what is around it. False: QEMU refuses it, too. */
static bool take_rss(const VirtioNetCtrl *c, VirtioNetRss *r, VirtioNetCtrlData *d)
{
    unsigned mask = (unsigned)data_number(d, sizeof(uint16_t));

    r->unclassified = (uint16_t)data_number(d, sizeof(uint16_t));
    r->len = (uint16_t)(mask + 1);
    if (mask >= VIRTIO_NET_RSS_TABLE || (mask & r->len) != 0 ||
        r->unclassified >= virtio_net_max_pairs(c->vn) ||
        d->left < r->len * sizeof(uint16_t) + sizeof(uint16_t) + sizeof(uint8_t)) {
        return false;
    }
    for (unsigned i = 0; i < r->len; i++) {
        r->table[i] = (uint16_t)data_number(d, sizeof(uint16_t));
    }
    return true;
}

/*
 * Entries of pairs that are not used are no error, as in QEMU; neither types nor a key says that
 * nothing is steered. What is refused changes nothing. The threads know a table without pairs
 * before these go, and one with more when they are there.
 */
static bool ctrl_set_rss(VirtioNetCtrl *c, const CtrlCommand *cmd, VirtioNetCtrlData *d)
{
    uint32_t types = (uint32_t)data_number(d, sizeof(uint32_t));
    VirtioNetRss rss = { .on = true };
    VirtioNetHash hash;
    unsigned n;

    if (!take_rss(c, &rss, d)) {
        return false;
    }
    n = (unsigned)data_number(d, sizeof(uint16_t));
    if (!pairs_are_fine(c, n) || !take_hash(&hash, types, d, &rss.on) ||
        (rss.on && !virtio_net_ctrl_can_steer(c)) || (n > c->pairs && !follow_pairs(c, n))) {
        return false;
    }
    c->hash = hash;
    c->rss = rss;
    c->rss.pairs = (uint16_t)n;
    c->hash_changed = true;
    if (n < c->pairs) {
        virtio_net_ctrl_publish_hash(c);
        return follow_pairs(c, n);
    }
    return true;
}

/* Those that may be switched on and off: features that were negotiated. */
#define OFFLOADS                                                                            \
    (1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_GUEST_TSO4 |                    \
     1ull << VIRTIO_NET_F_GUEST_TSO6 | 1ull << VIRTIO_NET_F_GUEST_ECN |                     \
     1ull << VIRTIO_NET_F_GUEST_UFO | 1ull << VIRTIO_NET_F_GUEST_USO4 |                     \
     1ull << VIRTIO_NET_F_GUEST_USO6)

static bool ctrl_set_offloads(VirtioNetCtrl *c, const CtrlCommand *cmd, VirtioNetCtrlData *d)
{
    uint64_t offloads = data_number(d, sizeof(uint64_t));

    return (offloads & ~(c->vn->features & OFFLOADS)) == 0 &&
           virtio_net_set_offloads(c->vn, offloads, NULL);
}

/* --- all of them --- */

#define RX(name, feat, field)                                                               \
    { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_##name, VIRTIO_NET_F_##feat, 1, false, true,   \
      ctrl_set_mode, offsetof(VirtioNetFilter, field) }

static const CtrlCommand commands[] = {
    RX(PROMISC, CTRL_RX, promisc),
    RX(ALLMULTI, CTRL_RX, allmulti),
    RX(ALLUNI, CTRL_RX_EXTRA, alluni),
    RX(NOMULTI, CTRL_RX_EXTRA, nomulti),
    RX(NOUNI, CTRL_RX_EXTRA, nouni),
    RX(NOBCAST, CTRL_RX_EXTRA, nobcast),
    { VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, VIRTIO_NET_F_CTRL_RX,
      2 * sizeof(MacCount), false, true, ctrl_set_macs },
    { VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, VIRTIO_NET_F_CTRL_MAC_ADDR,
      ETH_ALEN, true, true, ctrl_set_mac },
    { VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, VIRTIO_NET_F_CTRL_VLAN,
      sizeof(uint16_t), false, true, ctrl_set_vlan },
    { VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, VIRTIO_NET_F_CTRL_VLAN,
      sizeof(uint16_t), false, true, ctrl_set_vlan },
    { VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, VIRTIO_NET_F_GUEST_ANNOUNCE,
      0, false, false, ctrl_announced },
    { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, VIRTIO_NET_F_MQ,
      sizeof(uint16_t), false, false, ctrl_set_pairs },
    { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, VIRTIO_NET_F_HASH_REPORT,
      offsetof(struct virtio_net_hash_config, hash_key_data), false, false, ctrl_set_hash },
    { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, VIRTIO_NET_F_RSS,
      offsetof(struct virtio_net_rss_config, indirection_table), false, false, ctrl_set_rss },
    { VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
      VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, sizeof(uint64_t), false, false, ctrl_set_offloads },
};

static const CtrlCommand *find_command(const struct virtio_net_ctrl_hdr *hdr)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (commands[i].class == hdr->class && commands[i].command == hdr->cmd) {
            return &commands[i];
        }
    }
    return NULL;
}

bool virtio_net_ctrl_run(VirtioNetCtrl *c, VirtioNetCtrlData *d)
{
    struct virtio_net_ctrl_hdr hdr;
    const CtrlCommand *cmd;

    if (!data_take(d, &hdr, sizeof(hdr))) {
        return false;
    }
    cmd = find_command(&hdr);
    if (!cmd || !(c->vn->features >> cmd->feature & 1) || d->left < cmd->len ||
        (cmd->exact && d->left != cmd->len) || !cmd->run(c, cmd, d)) {
        return false;
    }
    c->filter_changed |= cmd->filters;
    return true;
}
