/*
 * Offloads between a virtio-net header and a vif: what fits, what is completed, what is
 * refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "netif-offload.h"

#include <glib.h>
#include <string.h>

#include "hw/xen/netif.h"
#include "net/netdev.h"
#include "vif-frames.h"

#define ALL (NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6)

typedef struct Frame {
    struct virtio_net_hdr_v1 hdr;
    uint8_t data[PKT_MAX_LEN];
    struct iovec iov;
    Pkt pkt;
} Frame;

static void frame_up(Frame *f, const VifFrame *spec, uint8_t gso_type, uint16_t mss)
{
    memset(&f->hdr, 0, sizeof(f->hdr));
    f->iov.iov_base = f->data;
    f->iov.iov_len = vif_frame_make(spec, f->data);
    f->pkt = (Pkt) {
        .hdr = &f->hdr,
        .iov = &f->iov,
        .n_iov = 1,
        .len = (uint32_t)f->iov.iov_len,
    };
    if (spec->csum_blank) {
        f->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        f->hdr.csum_start = (uint16_t)vif_frame_l4(spec);
        f->hdr.csum_offset = spec->udp ? 6 : 16;
    }
    f->hdr.gso_type = gso_type;
    f->hdr.gso_size = mss;
}

static NetifFit fit(const VifFrame *spec, uint8_t gso_type, unsigned offload, NetifMeta *ret)
{
    g_autofree Frame *f = g_new0(Frame, 1);
    NetifFit result;

    frame_up(f, spec, gso_type, gso_type ? 1000 : 0);
    result = netif_offload_fit(&f->pkt, offload, 65535, ret);
    if (result == NETIF_FIT && !ret->csum_blank) {
        g_assert_true(vif_frame_complete(spec, f->data, f->pkt.len));
    }
    return result;
}

static void test_flags(void)
{
    NetifMeta m = { .csum_blank = true }, back = { 0 };

    /* the same names, other bits: tx and rx differ on the wire */
    g_assert_cmpuint(netif_meta_tx_flags(&m), ==, NETTXF_csum_blank);
    g_assert_cmpuint(netif_meta_rx_flags(&m), ==, NETRXF_csum_blank);
    g_assert_cmpuint(netif_meta_tx_flags(&m), !=, netif_meta_rx_flags(&m));
    netif_meta_from_rx_flags(&back, NETRXF_data_validated | NETRXF_more_data);
    g_assert_true(back.data_validated);
    g_assert_false(back.csum_blank);
    netif_meta_from_tx_flags(&back, NETTXF_csum_blank | NETTXF_extra_info);
    g_assert_true(back.csum_blank);
    g_assert_false(back.data_validated);
}

static void test_complete(void)
{
    VifFrame spec = { .payload = 100 };
    NetifMeta m;

    g_assert_cmpint(fit(&spec, 0, 0, &m), ==, NETIF_FIT);
    g_assert_cmpuint(netif_meta_tx_flags(&m), ==, 0);
}

/* Each family has an offload of its own. */
static void test_csum_by_family(void)
{
    for (unsigned i = 0; i < 8; i++) {
        VifFrame spec = { .csum_blank = true, .ipv6 = i & 1, .udp = i & 2, .payload = 99 };
        unsigned offload = i & 4 ? NETDEV_CSUM4 : NETDEV_CSUM6;
        bool able = offload == (spec.ipv6 ? NETDEV_CSUM6 : NETDEV_CSUM4);
        NetifMeta m;

        g_assert_cmpint(fit(&spec, 0, offload, &m), ==, NETIF_FIT);
        g_assert_true(m.csum_blank == able);
        g_assert_true(m.data_validated == able);
    }
}

static void test_vlan(void)
{
    VifFrame spec = { .csum_blank = true, .vlan = true, .payload = 5000 };
    NetifMeta m;

    g_assert_cmpint(fit(&spec, 0, ALL, &m), ==, NETIF_FIT);
    g_assert_false(m.csum_blank);
    g_assert_cmpint(fit(&spec, VIRTIO_NET_HDR_GSO_TCPV4, ALL, &m), ==, NETIF_SEGMENT);
}

static void test_gso(void)
{
    VifFrame v4 = { .csum_blank = true, .payload = 9000 };
    VifFrame v6 = { .csum_blank = true, .ipv6 = true, .payload = 9000 };
    VifFrame whole = { .payload = 9000 };
    NetifMeta m;

    g_assert_cmpint(fit(&v4, VIRTIO_NET_HDR_GSO_TCPV4, ALL, &m), ==, NETIF_FIT);
    g_assert_cmpuint(m.gso_type, ==, XEN_NETIF_GSO_TYPE_TCPV4);
    g_assert_cmpuint(m.gso_size, ==, 1000);
    g_assert_true(m.csum_blank && m.data_validated);
    g_assert_cmpint(fit(&v6, VIRTIO_NET_HDR_GSO_TCPV6, ALL, &m), ==, NETIF_FIT);
    g_assert_cmpuint(m.gso_type, ==, XEN_NETIF_GSO_TYPE_TCPV6);
    /* not taken; of the other family; with what netif cannot say; without NEEDS_CSUM */
    g_assert_cmpint(fit(&v4, VIRTIO_NET_HDR_GSO_TCPV4, NETDEV_CSUM4, &m), ==, NETIF_SEGMENT);
    g_assert_cmpint(fit(&v4, VIRTIO_NET_HDR_GSO_TCPV4, NETDEV_TSO6, &m), ==, NETIF_SEGMENT);
    g_assert_cmpint(fit(&v4, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, ALL, &m), ==,
                    NETIF_SEGMENT);
    g_assert_cmpint(fit(&whole, VIRTIO_NET_HDR_GSO_TCPV4, ALL, &m), ==, NETIF_REFUSE);
}

static void test_length(void)
{
    VifFrame spec = { .payload = 2000 };
    VifFrame gso = { .csum_blank = true, .payload = 65495 };
    g_autofree Frame *f = g_new0(Frame, 1);
    NetifMeta m;

    frame_up(f, &spec, 0, 0);
    g_assert_cmpint(netif_offload_fit(&f->pkt, ALL, f->pkt.len, &m), ==, NETIF_FIT);
    g_assert_cmpint(netif_offload_fit(&f->pkt, ALL, f->pkt.len - 1, &m), ==, NETIF_REFUSE);
    f->pkt.len = 13;
    f->iov.iov_len = 13;
    g_assert_cmpint(netif_offload_fit(&f->pkt, ALL, 65535, &m), ==, NETIF_REFUSE);
    frame_up(f, &gso, VIRTIO_NET_HDR_GSO_TCPV4, 1448);
    g_assert_cmpint(netif_offload_fit(&f->pkt, ALL, 65535, &m), ==, NETIF_SEGMENT);
}

/* csum_start or csum_offset that point elsewhere than where a parser would look. */
static void test_odd_csum(void)
{
    VifFrame spec = { .csum_blank = true, .payload = 200 };
    g_autofree Frame *f = g_new0(Frame, 1);
    NetifMeta m;

    frame_up(f, &spec, 0, 0);
    f->hdr.csum_start += 2;
    g_assert_cmpint(netif_offload_fit(&f->pkt, ALL, 65535, &m), ==, NETIF_FIT);
    g_assert_false(m.csum_blank);
    frame_up(f, &spec, 0, 0);
    f->hdr.csum_start = 60000;
    g_assert_cmpint(netif_offload_fit(&f->pkt, ALL, 65535, &m), ==, NETIF_REFUSE);
}

static void test_apply(void)
{
    VifFrame spec = { .csum_blank = true, .ipv6 = true, .payload = 3000 };
    NetifMeta meta = { .csum_blank = true, .data_validated = true };
    g_autofree Frame *f = g_new0(Frame, 1);

    frame_up(f, &spec, 0, 0);
    g_assert_true(netif_offload_apply(&f->pkt, &meta));
    g_assert_cmpuint(f->hdr.flags, ==, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    g_assert_cmpuint(f->hdr.csum_start, ==, 54);
    g_assert_cmpuint(f->hdr.csum_offset, ==, 16);
    meta.gso_type = XEN_NETIF_GSO_TYPE_TCPV6;
    meta.gso_size = 1400;
    g_assert_true(netif_offload_apply(&f->pkt, &meta));
    g_assert_cmpuint(f->hdr.gso_type, ==, VIRTIO_NET_HDR_GSO_TCPV6);
    g_assert_cmpuint(f->hdr.hdr_len, ==, 74);
    meta.gso_type = XEN_NETIF_GSO_TYPE_TCPV4; /* it is not */
    g_assert_false(netif_offload_apply(&f->pkt, &meta));
    meta.gso_type = 77;
    g_assert_false(netif_offload_apply(&f->pkt, &meta));
}

/* GSO without csum_blank: the pseudo-header's sum is written anew, as Linux does. */
static void test_apply_gso_fixes_sum(void)
{
    VifFrame blank = { .csum_blank = true, .payload = 3000, .seed = 5 };
    VifFrame whole = { .payload = 3000, .seed = 5 };
    NetifMeta meta = { .gso_type = XEN_NETIF_GSO_TYPE_TCPV4, .gso_size = 1400 };
    g_autofree Frame *a = g_new0(Frame, 1);
    g_autofree Frame *b = g_new0(Frame, 1);

    frame_up(a, &blank, 0, 0);
    frame_up(b, &whole, 0, 0);
    g_assert_true(netif_offload_apply(&a->pkt, &meta));
    g_assert_true(netif_offload_apply(&b->pkt, &meta));
    g_assert_cmpmem(a->data, a->pkt.len, b->data, b->pkt.len);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netif-offload/flags", test_flags);
    g_test_add_func("/netif-offload/complete", test_complete);
    g_test_add_func("/netif-offload/csum-by-family", test_csum_by_family);
    g_test_add_func("/netif-offload/vlan", test_vlan);
    g_test_add_func("/netif-offload/gso", test_gso);
    g_test_add_func("/netif-offload/length", test_length);
    g_test_add_func("/netif-offload/odd-csum", test_odd_csum);
    g_test_add_func("/netif-offload/apply", test_apply);
    g_test_add_func("/netif-offload/apply-gso-fixes-sum", test_apply_gso_fixes_sum);
    return g_test_run();
}
