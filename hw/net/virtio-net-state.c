/*
 * The state of a virtio-net that its rings and features don't tell: what its driver set by the
 * control queue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-ctrl.h"

#include <string.h>

#include "hw/core/device.h"
#include "util/container-of.h"
#include "virtio-net-features.h"
#include "virtio-net-state.h"

typedef enum FilterBit {
    FILTER_PROMISC = 1 << 0,
    FILTER_ALLMULTI = 1 << 1,
    FILTER_ALLUNI = 1 << 2,
    FILTER_NOMULTI = 1 << 3,
    FILTER_NOUNI = 1 << 4,
    FILTER_NOBCAST = 1 << 5,
    FILTER_UNI_OVERFLOW = 1 << 6,
    FILTER_MULTI_OVERFLOW = 1 << 7,
} FilterBit;

static void filter_save(const VirtioNetFilter *f, GByteArray *out)
{
    unsigned bits = 0;

    bits |= f->promisc ? FILTER_PROMISC : 0u;
    bits |= f->allmulti ? FILTER_ALLMULTI : 0u;
    bits |= f->alluni ? FILTER_ALLUNI : 0u;
    bits |= f->nomulti ? FILTER_NOMULTI : 0u;
    bits |= f->nouni ? FILTER_NOUNI : 0u;
    bits |= f->nobcast ? FILTER_NOBCAST : 0u;
    bits |= f->uni_overflow ? FILTER_UNI_OVERFLOW : 0u;
    bits |= f->multi_overflow ? FILTER_MULTI_OVERFLOW : 0u;
    state_put(out, bits, 1);
    state_put(out, f->n_uni, 1);
    state_put(out, f->n_multi, 1);
    for (unsigned i = 0; i < (unsigned)f->n_uni + f->n_multi; i++) {
        state_put_bytes(out, f->table[i], sizeof(f->table[i]));
    }
    state_put_bytes(out, f->vlans, sizeof(f->vlans));
}

static bool filter_load(VirtioNetFilter *f, StateReader *in, GError **error)
{
    unsigned bits = (unsigned)state_get(in, 1);
    unsigned n_uni = (unsigned)state_get(in, 1);
    unsigned n_multi = (unsigned)state_get(in, 1);

    if (n_uni + n_multi > VIRTIO_NET_FILTER_MACS) {
        return device_set_error(error, "a MAC table of %u addresses is too long", n_uni + n_multi);
    }
    f->promisc = bits & FILTER_PROMISC;
    f->allmulti = bits & FILTER_ALLMULTI;
    f->alluni = bits & FILTER_ALLUNI;
    f->nomulti = bits & FILTER_NOMULTI;
    f->nouni = bits & FILTER_NOUNI;
    f->nobcast = bits & FILTER_NOBCAST;
    f->uni_overflow = bits & FILTER_UNI_OVERFLOW;
    f->multi_overflow = bits & FILTER_MULTI_OVERFLOW;
    f->n_uni = (uint8_t)n_uni;
    f->n_multi = (uint8_t)n_multi;
    for (unsigned i = 0; i < n_uni + n_multi; i++) {
        state_get_bytes(in, f->table[i], sizeof(f->table[i]));
    }
    state_get_bytes(in, f->vlans, sizeof(f->vlans));
    return true;
}

/* What was added since, of drivers that negotiated it: states of others are as they were. */
static bool has_rss(const VirtioNet *vn)
{
    return vn->ctrl && (vn->features & 1ull << VIRTIO_NET_F_RSS);
}

static bool has_hash(const VirtioNet *vn)
{
    return has_rss(vn) || (vn->ctrl && (vn->features & 1ull << VIRTIO_NET_F_HASH_REPORT));
}

static void rss_save(const VirtioNetRss *r, GByteArray *out)
{
    state_put(out, r->on, 1);
    if (r->on) {
        state_put(out, r->unclassified, 2);
        state_put(out, r->len, 2);
        for (unsigned i = 0; i < r->len; i++) {
            state_put(out, r->table[i], 2);
        }
    }
}

void virtio_net_save(VirtioDevice *d, GByteArray *out)
{
    const VirtioNet *vn = container_of(d, VirtioNet, dev);

    state_put_bytes(out, vn->mac, sizeof(vn->mac));
    state_put(out, vn->status, 2);
    state_put(out, vn->offloads, 8);
    state_put(out, vn->dev.n_rings / 2, 2);
    state_put(out, virtio_net_pairs(vn), 2);
    state_put(out, vn->ctrl != NULL, 1);
    if (vn->ctrl) {
        filter_save(&vn->ctrl->filter, out);
    }
    if (has_hash(vn)) {
        state_put(out, vn->ctrl->hash.types, 4);
        state_put_bytes(out, vn->ctrl->hash.key, sizeof(vn->ctrl->hash.key));
    }
    if (has_rss(vn)) {
        rss_save(&vn->ctrl->rss, out);
    }
}

static bool load_pairs(VirtioNet *vn, StateReader *in, GError **error)
{
    unsigned max = (unsigned)state_get(in, 2);
    unsigned pairs = (unsigned)state_get(in, 2);

    if (max != vn->dev.n_rings / 2) {
        return device_set_error(error, "%x != %x: queue pairs", max, vn->dev.n_rings / 2);
    }
    if (pairs > virtio_net_max_pairs(vn)) {
        return device_set_error(error, "virtio-net: curr_queue_pairs %x > max_queue_pairs %x",
                                pairs, virtio_net_max_pairs(vn));
    }
    if (state_get(in, 1) != (vn->ctrl != NULL)) {
        return device_set_error(error, "one of them has no control queue");
    }
    if (vn->ctrl) {
        vn->ctrl->pairs = MAX(pairs, 1);
    }
    return true;
}

static bool load_hash(VirtioNet *vn, StateReader *in, GError **error)
{
    uint8_t key[VIRTIO_NET_HASH_KEY];
    uint32_t types;

    if (!has_hash(vn)) {
        return true;
    }
    types = (uint32_t)state_get(in, 4);
    state_get_bytes(in, key, sizeof(key));
    if (types & ~VIRTIO_NET_HASH_TYPES) {
        return device_set_error(error, "hash types 0x%x are not known", types);
    }
    virtio_net_hash_init(&vn->ctrl->hash, types, key, sizeof(key));
    vn->ctrl->hash_changed = true;
    return true;
}

static bool load_rss(VirtioNet *vn, StateReader *in, GError **error)
{
    VirtioNetRss r = { .pairs = (uint16_t)vn->ctrl->pairs };

    if (!has_rss(vn) || state_get(in, 1) == 0) {
        return true;
    }
    r.on = true;
    r.unclassified = (uint16_t)state_get(in, 2);
    r.len = (uint16_t)state_get(in, 2);
    if (r.len == 0 || r.len > VIRTIO_NET_RSS_TABLE || (r.len & (r.len - 1)) != 0) {
        return device_set_error(error, "an indirection table of %u entries is not possible", r.len);
    }
    if (r.unclassified >= virtio_net_max_pairs(vn)) {
        return device_set_error(error, "there is no pair %u for packets without a hash",
                                r.unclassified);
    }
    for (unsigned i = 0; i < r.len; i++) {
        r.table[i] = (uint16_t)state_get(in, 2);
    }
    if (!virtio_net_ctrl_can_steer(vn->ctrl)) {
        return device_set_error(error, "no memory to steer packets");
    }
    vn->ctrl->rss = r;
    return true;
}

/* Told to the threads in the end, when all of it is known. */
static bool load_ctrl(VirtioNet *vn, StateReader *in, GError **error)
{
    VirtioNetCtrl *c = vn->ctrl;

    if (!c) {
        return true;
    }
    if (!filter_load(&c->filter, in, error) || !load_hash(vn, in, error) ||
        !load_rss(vn, in, error)) {
        return false;
    }
    memcpy(c->filter.mac, vn->mac, sizeof(c->filter.mac));
    c->filter_changed = true;
    virtio_net_ctrl_publish(c);
    return true;
}

bool virtio_net_load(VirtioDevice *d, StateReader *in, GError **error)
{
    VirtioNet *vn = container_of(d, VirtioNet, dev);
    uint64_t offloads;

    state_get_bytes(in, vn->mac, sizeof(vn->mac));
    /* whether there is a link is the netdev's to say */
    vn->status |= (uint16_t)(state_get(in, 2) & VIRTIO_NET_S_ANNOUNCE);
    offloads = state_get(in, 8);
    if (offloads & ~vn->features) {
        return device_set_error(error, "offloads are on that were not negotiated");
    }
    return virtio_net_set_offloads(vn, offloads, error) && load_pairs(vn, in, error) &&
           load_ctrl(vn, in, error);
}
