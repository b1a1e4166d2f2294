/*
 * Netfront's life with a netback on an emulated Xen: what it writes, when it
 * connects, how it closes and comes back; and packets of every form through both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/net/xen-netfront.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake-netdev.h"
#include "hw/xen/netif.h"
#include "hw/xen/ring.h"
#include "vif-frames.h"
#include "vif.h"

#define WAIT_MS 5000
#define ALL     (NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6)

static void vif_up_fake(Vif *v, unsigned back_queues, unsigned front_queues)
{
    vif_up(v, fake_netdev_new(back_queues, true), fake_netdev_new(front_queues, true));
}

static void assert_key(Vif *v, const char *dir, const char *key, const char *want)
{
    g_autofree char *value = vif_read(v, dir, key);

    g_assert_cmpstr(value, ==, want);
}

static void wait_state(Vif *v, const char *dir, const char *want)
{
    for (unsigned i = 0; i < WAIT_MS; i++) {
        g_autofree char *value = vif_read(v, dir, "state");

        if (g_strcmp0(value, want) == 0) {
            return;
        }
        g_usleep(1000);
        g_main_context_iteration(NULL, false);
    }
    assert_key(v, dir, "state", want);
}

/* --- packets --- */

/* Every form of packet, both ways, on queue @q. */
static void exchange(Vif *v, unsigned q)
{
    for (unsigned i = 0; i < 32; i++) {
        bool gso = i & 1;
        VifFrame spec = {
            .ipv6 = i & 2,
            .vlan = i & 4,
            .csum_blank = gso || i & 8,
            .udp = !gso && i & 16,
            .payload = gso ? 1000 + i * 1900 : 100 + i * 43,
            .seed = q * 100 + i,
        };
        uint16_t mss = gso ? 1400 : 0;

        vif_frame_give(v->front_dev, q, &spec, mss);
        vif_frame_expect(v->back_dev, q, &spec, mss);
        vif_frame_give(v->back_dev, q, &spec, mss);
        vif_frame_expect(v->front_dev, q, &spec, mss);
    }
}

static void exchange_all(Vif *v)
{
    NetfrontInfo info;

    netfront_info(v->nf, &info);
    for (unsigned q = 0; q < info.n_queues; q++) {
        exchange(v, q);
        g_assert_cmpuint(counter_read(&info.stats[q].tx.packets), >=, 32);
        g_assert_cmpuint(counter_read(&info.stats[q].rx.packets), >=, 32);
    }
}

/* --- queues --- */

static void queues(unsigned back, unsigned front, unsigned limit, unsigned want)
{
    NetfrontConfig config = vif_front_config();
    g_autofree char *num = g_strdup_printf("%u", want);
    NetfrontInfo info;
    Vif v;

    config.queues = limit;
    vif_up_fake(&v, back, front);
    vif_connect(&v, &config);
    netfront_info(v.nf, &info);
    g_assert_cmpuint(info.n_queues, ==, want);
    g_assert_cmpstr(info.state, ==, "connected");
    g_assert_cmpint(info.tids[want - 1], >, 0);
    g_assert_cmpuint(fake_netdev_active(v.front_dev), ==, want);
    g_assert_true(fake_netdev_carrier(v.front_dev));
    assert_key(&v, v.fe, "multi-queue-num-queues", num);
    assert_key(&v, v.fe, "request-rx-copy", "1");
    for (unsigned i = 0; i < back + 1; i++) {
        g_autofree char *dir = g_strdup_printf("%s/queue-%u", v.fe, i);
        g_autofree char *ref = vif_read(&v, dir, "tx-ring-ref");
        g_autofree char *event = vif_read(&v, dir, "event-channel-rx");

        g_assert_true((want > 1 && i < want) == (ref != NULL));
        g_assert_true((want > 1 && i < want) == (event != NULL));
    }
    exchange_all(&v);
    vif_down(&v);
}

static void test_queues_1(void)
{
    queues(1, 1, 0, 1);
}

static void test_queues_2(void)
{
    queues(2, 2, 0, 2);
}

static void test_queues_4(void)
{
    queues(4, 4, 0, 4);
}

static void test_queues_8(void)
{
    queues(8, 8, 0, 8);
}

static void test_queues_of_backend(void)
{
    queues(2, 4, 0, 2);
}

static void test_queues_of_netdev(void)
{
    queues(4, 3, 0, 3);
}

static void test_queues_of_config(void)
{
    queues(4, 4, 2, 2);
}

/* Pages for two queues, and netdevs with four. */
static void test_queues_of_memory(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_small(&v, fake_netdev_new(4, true), fake_netdev_new(4, true), 6 << 20);
    vif_connect(&v, &config);
    g_assert_cmpuint(fake_netdev_active(v.front_dev), ==, 2);
    g_assert_cmpuint(fake_netdev_active(v.back_dev), ==, 2);
    g_assert_cmpuint(v.front.errors, ==, 1);
    g_assert_true(g_str_has_suffix(v.front.error, "; using 2 of 4 queues"));
    exchange_all(&v);
    vif_down(&v);
}

/* A connection with fewer queues leaves nothing of the one before. */
static void test_stale_keys(void)
{
    static const unsigned counts[] = { 4, 2, 1, 3 };
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 4, 4);
    vif_back_start(&v);
    for (unsigned c = 0; c < G_N_ELEMENTS(counts); c++) {
        unsigned n = counts[c];

        config.queues = n;
        vif_front_start(&v, &config);
        VIF_WAIT(v.front.connected == c + 1);
        for (unsigned i = 0; i < 4; i++) {
            g_autofree char *key = g_strdup_printf("queue-%u/tx-ring-ref", i);
            g_autofree char *value = vif_read(&v, v.fe, key);
            g_autofree char *flat = vif_read(&v, v.fe, "tx-ring-ref");

            g_assert_true((n > 1 && i < n) == (value != NULL));
            g_assert_true((n == 1) == (flat != NULL));
        }
        vif_front_close(&v);
    }
    vif_down(&v);
}

/* --- what is negotiated --- */

typedef struct Variant {
    const char *name;
    NetfrontConfig config;
    unsigned offload; /* on both netdevs */
} Variant;

static void test_variant(gconstpointer data)
{
    const Variant *variant = data;
    Vif v;

    vif_up_fake(&v, 2, 2);
    vif_connect(&v, &variant->config);
    g_assert_cmpuint(fake_netdev_offload(v.front_dev), ==, variant->offload);
    g_assert_cmpuint(fake_netdev_offload(v.back_dev), ==, variant->offload);
    exchange_all(&v);
    vif_down(&v);
}

static void test_single_event_channel(void)
{
    NetfrontConfig config = vif_front_config();
    g_autofree char *port = NULL;
    Vif v;

    config.split_event_channels = false;
    vif_up_fake(&v, 1, 1);
    vif_connect(&v, &config);
    port = vif_read(&v, v.fe, "event-channel");
    g_assert_nonnull(port);
    assert_key(&v, v.fe, "event-channel-tx", NULL);
    exchange_all(&v);
    vif_down(&v);
}

static void test_no_vnet_hdr(void)
{
    NetfrontConfig config = vif_front_config();
    VifFrame spec = { .payload = 1000, .seed = 1 };
    Vif v;

    vif_up(&v, fake_netdev_new(1, true), fake_netdev_new(1, false));
    vif_connect(&v, &config);
    g_assert_cmpuint(fake_netdev_offload(v.front_dev), ==, 0);
    vif_frame_give(v.front_dev, 0, &spec, 0);
    vif_frame_expect(v.back_dev, 0, &spec, 0);
    vif_down(&v);
}

/* --- life --- */

/* As of a netdev that is no interface of the host: it has no carrier to set. */
static void test_netdevs_without_carrier(void)
{
    NetfrontConfig config = vif_front_config();
    NetdevOps ops;
    Vif v;

    vif_up_fake(&v, 1, 1);
    ops = *v.back_dev->ops;
    ops.set_carrier = NULL;
    v.back_dev->ops = &ops;
    v.front_dev->ops = &ops;
    vif_connect(&v, &config);
    exchange_all(&v);
    netdev_set_link(v.back_dev, false);
    netdev_set_link(v.back_dev, true);
    vif_front_close(&v);
    vif_down(&v);
}

/* As when a tap is deleted and another one takes its place: nobody reconnects for that. */
static void lose_and_reopen(Vif *v, Netdev *nd, const VifEnd *end)
{
    int fd;

    nd->error = g_strdup("its interface is gone");
    nd->changed(nd->changed_opaque);
    nd->changed(nd->changed_opaque);
    g_assert_cmpstr(end->error, ==, "its interface is gone");
    g_assert_cmpuint(end->errors, ==, 1);
    g_assert_cmpuint(end->disconnected, ==, 0);
    fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    g_assert_cmpint(dup3(fd, nd->queue[0]->fd, O_CLOEXEC), >=, 0);
    close(fd);
    g_clear_pointer(&nd->error, g_free);
    nd->changed(nd->changed_opaque);
    nd->reopened(nd->changed_opaque);
    exchange_all(v);
    g_assert_cmpuint(end->errors, ==, 1);
}

static void test_netdev_gone_and_reopened(void)
{
    NetfrontConfig config = vif_front_config();
    NetfrontInfo info;
    Vif v;

    vif_up_fake(&v, 1, 1);
    vif_connect(&v, &config);
    exchange_all(&v);
    lose_and_reopen(&v, v.front_dev, &v.front);
    lose_and_reopen(&v, v.back_dev, &v.back);
    v.front_dev->error = g_strdup("gone again");
    netfront_info(v.nf, &info);
    g_assert_cmpstr(info.error, ==, "gone again");
    g_clear_pointer(&v.front_dev->error, g_free);
    vif_down(&v);
}

static void test_close(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 2, 2);
    vif_connect(&v, &config);
    vif_front_close(&v);
    g_assert_cmpuint(v.front.disconnected, ==, 1);
    g_assert_false(fake_netdev_carrier(v.front_dev));
    assert_key(&v, v.fe, "state", "6");
    wait_state(&v, v.be, "6");
    vif_down(&v);
}

static void test_close_before_device(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 1, 1);
    vif_front_start(&v, &config);
    vif_front_close(&v);
    vif_down(&v);
}

/* The frontend is there first. */
static void test_waits_for_device(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 2, 2);
    vif_front_start(&v, &config);
    g_main_context_iteration(NULL, false);
    vif_back_start(&v);
    VIF_WAIT(v.front.connected == 1 && v.back.connected == 1);
    exchange_all(&v);
    vif_down(&v);
}

static void test_open_again(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 2, 2);
    vif_back_start(&v);
    for (unsigned i = 1; i <= 5; i++) {
        vif_front_start(&v, &config);
        VIF_WAIT(v.front.connected == i && v.back.connected == i);
        exchange(&v, i % 2);
        vif_front_close(&v);
    }
    g_assert_cmpuint(v.front.errors + v.back.errors, ==, 0);
    vif_down(&v);
}

/* The frontend before us died: the backend is still connected to it. */
static void test_after_crash(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 2, 2);
    vif_connect(&v, &config);
    g_clear_pointer(&v.nf, netfront_free);
    assert_key(&v, v.fe, "state", "4");
    vif_front_start(&v, &config);
    VIF_WAIT(v.front.connected == 2 && v.back.connected == 2);
    exchange_all(&v);
    vif_down(&v);
}

/* device_del and device_add at the backend: the frontend follows by itself. */
static void test_backend_again(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 2, 2);
    vif_connect(&v, &config);
    for (unsigned i = 2; i <= 4; i++) {
        vif_back_close(&v);
        VIF_WAIT(v.front.disconnected == i - 1);
        vif_back_start(&v);
        VIF_WAIT(v.front.connected == i && v.back.connected == i);
        exchange_all(&v);
    }
    vif_down(&v);
}

/* The backend vanishes without a word, with its nodes. */
static void test_backend_vanishes(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 2, 2);
    vif_connect(&v, &config);
    g_clear_pointer(&v.nb, netback_free);
    VIF_WAIT(v.front.disconnected == 1);
    vif_back_start(&v);
    VIF_WAIT(v.front.connected == 2 && v.back.connected == 2);
    exchange_all(&v);
    vif_down(&v);
}

/* The backend closes, as after a protocol violation; the frontend connects again. */
static void test_backend_closes(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 1, 1);
    vif_connect(&v, &config);
    g_assert_true(xen_store_printf(v.host_store, 0, v.be, "state", "%d", XenbusStateClosing));
    VIF_WAIT(v.front.disconnected == 1);
    VIF_WAIT(v.front.connected == 2 && v.back.connected == 2);
    exchange_all(&v);
    vif_down(&v);
}

/* The backend's link is ours: its netdev's carrier goes through to the frontend's. */
static void test_carrier(void)
{
    NetfrontConfig config = vif_front_config();
    VifFrame spec = { .payload = 200, .seed = 22 };
    Vif v;

    vif_up_fake(&v, 1, 1);
    v.back_dev->carrier = true;
    vif_connect(&v, &config);
    g_assert_true(fake_netdev_carrier(v.front_dev));
    netdev_set_link(v.back_dev, false);
    assert_key(&v, v.be, "carrier", "0");
    VIF_WAIT(!fake_netdev_carrier(v.front_dev));
    vif_back_close(&v);
    vif_back_start(&v);
    VIF_WAIT(v.front.connected == 2);
    g_assert_false(fake_netdev_carrier(v.front_dev)); /* not for a moment */
    netdev_set_link(v.back_dev, true);
    assert_key(&v, v.be, "carrier", "1");
    VIF_WAIT(fake_netdev_carrier(v.front_dev));
    vif_frame_give(v.front_dev, 0, &spec, 0);
    vif_frame_expect(v.back_dev, 0, &spec, 0);
    vif_down(&v);
}

/* A paused device stays connected and carries nothing, over a new connection, too. */
static void test_pause(void)
{
    NetfrontConfig config = vif_front_config();
    VifFrame out = { .payload = 200, .seed = 20 };
    VifFrame in = { .payload = 300, .seed = 21 };
    Vif v;

    vif_up_fake(&v, 1, 1);
    vif_connect(&v, &config);
    for (unsigned i = 1; i <= 2; i++) {
        exchange(&v, 0);
        netfront_pause(v.nf, true);
        vif_frame_give(v.front_dev, 0, &out, 0);
        vif_frame_give(v.back_dev, 0, &in, 0);
        g_assert_null(fake_netdev_take(v.back_dev, 0, 50));
        g_assert_null(fake_netdev_take(v.front_dev, 0, 50));
        g_assert_cmpuint(fake_netdev_unread(v.front_dev, 0), ==, 1);
        netfront_pause(v.nf, false);
        vif_frame_expect(v.back_dev, 0, &out, 0);
        vif_frame_expect(v.front_dev, 0, &in, 0);
        netfront_pause(v.nf, true);
        vif_back_close(&v);
        vif_back_start(&v);
        VIF_WAIT(v.front.connected == i + 1 && v.back.connected == i + 1);
        vif_frame_give(v.front_dev, 0, &out, 0);
        g_assert_null(fake_netdev_take(v.back_dev, 0, 50));
        netfront_pause(v.nf, false);
        vif_frame_expect(v.back_dev, 0, &out, 0);
    }
    vif_down(&v);
}

/* --- a backend played by hand --- */

static void hand_write(Vif *v, const char *dir, const char *key, const char *value)
{
    g_assert_true(xen_store_printf(v->host_store, 0, dir, key, "%s", value));
}

static void hand_offer(Vif *v)
{
    g_autofree char *parent = g_strdup_printf("/local/domain/%u/device/vif", v->guest->domid);

    g_assert_true(xen_store_mkdir(v->host_store, 0, v->be, 0, v->guest->domid));
    xen_store_mkdir(v->host_store, 0, parent, 0, v->guest->domid);
    g_assert_true(xen_store_mkdir(v->host_store, 0, v->fe, v->guest->domid, 0));
    hand_write(v, v->be, "online", "1");
    hand_write(v, v->be, "feature-rx-copy", "1");
    hand_write(v, v->be, "state", "2");
    hand_write(v, v->fe, "backend-id", "0");
    hand_write(v, v->fe, "backend", v->be);
}

/* An old backend: no queues, one event channel, no scatter-gather. */
static void test_old_backend(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 1, 4);
    hand_offer(&v);
    vif_front_start(&v, &config);
    wait_state(&v, v.fe, "4");
    assert_key(&v, v.fe, "multi-queue-num-queues", NULL);
    assert_key(&v, v.fe, "event-channel-tx", NULL);
    g_assert_cmpuint(fake_netdev_active(v.front_dev), ==, 1);
    g_assert_cmpuint(fake_netdev_offload(v.front_dev), ==, NETDEV_CSUM4);
    hand_write(&v, v.be, "state", "4");
    VIF_WAIT(v.front.connected == 1);
    hand_write(&v, v.be, "online", "0");
    hand_write(&v, v.be, "state", "5");
    wait_state(&v, v.fe, "6");
    hand_write(&v, v.be, "state", "6");
    g_usleep(20000);
    g_main_context_iteration(NULL, false);
    assert_key(&v, v.fe, "state", "6"); /* offline: this was the end */
    vif_down(&v);
}

static void test_no_rx_copy(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 1, 1);
    hand_offer(&v);
    hand_write(&v, v.be, "feature-rx-copy", "0");
    vif_front_start(&v, &config);
    VIF_WAIT(v.front.errors == 1);
    g_assert_nonnull(strstr(v.front.error, "feature-rx-copy"));
    vif_down(&v);
}

/*
 * Somebody else's look at a connection: one of the pages that were posted for rx, which
 * must stay granted for as long as the backend may copy to it.
 */
static uint32_t hand_rx_ref(Vif *v)
{
    struct netif_rx_request req;
    XenRingHeader *page;
    uint64_t ref = 0;
    uint32_t ref32;
    XenGnttab *g;

    g_assert_true(xen_store_read_uint(v->host_store, 0, v->fe, "rx-ring-ref", UINT32_MAX, &ref));
    ref32 = (uint32_t)ref;
    g = v->host->ops->gnttab_open(v->host, NULL);
    page = v->host->ops->gnttab_map(g, v->guest->domid, &ref32, 1, true);
    g_assert_nonnull(page);
    memcpy(&req, page + 1, sizeof(req));
    g_assert_cmpint(v->host->ops->gnttab_unmap(g, page, 1), ==, 0);
    v->host->ops->gnttab_close(g);
    return req.gref;
}

static bool hand_granted(Vif *v, uint32_t ref)
{
    XenGnttab *g = v->host->ops->gnttab_open(v->host, NULL);
    uint8_t byte = 1;
    XenCopySeg seg = { .local = &byte, .ref = ref, .len = 1 };

    g_assert_cmpint(v->host->ops->gnttab_copy(g, v->guest->domid, true, &seg, 1), ==, 0);
    v->host->ops->gnttab_close(g);
    return seg.status == 0;
}

/* Connects; the ref of a page that is posted. */
static uint32_t hand_connect(Vif *v)
{
    NetfrontConfig config = vif_front_config();

    vif_up_fake(v, 1, 1);
    hand_offer(v);
    vif_front_start(v, &config);
    wait_state(v, v->fe, "4");
    hand_write(v, v->be, "state", "4");
    VIF_WAIT(v->front.connected == 1);
    return hand_rx_ref(v);
}

static void run_for_ms(unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        g_usleep(1000);
        g_main_context_iteration(NULL, false);
    }
}

/* Grants stand until the backend is closed, and no longer. */
static void hand_let_go(Vif *v, uint32_t ref)
{
    run_for_ms(50);
    g_assert_true(hand_granted(v, ref));
    hand_write(v, v->be, "online", "0");
    hand_write(v, v->be, "state", "6");
    VIF_WAIT(!hand_granted(v, ref));
}

/* So does a frontend that is to go. */
static void hand_closed(Vif *v, uint32_t ref)
{
    run_for_ms(50);
    g_assert_true(hand_granted(v, ref));
    g_assert_false(v->front.closed);
    hand_write(v, v->be, "state", "6");
    VIF_WAIT(v->front.closed);
    g_assert_false(hand_granted(v, ref));
}

/* A backend that closes goes on with its queues until the frontend is Closed. */
static void test_pages_backend_closing(void)
{
    uint32_t ref;
    Vif v;

    ref = hand_connect(&v);
    hand_write(&v, v.be, "state", "5");
    wait_state(&v, v.fe, "6");
    hand_let_go(&v, ref);
    vif_down(&v);
}

/* Both close at once: the end waits for the backend's. */
static void test_pages_both_closing(void)
{
    uint32_t ref;
    Vif v;

    ref = hand_connect(&v);
    netfront_close(v.nf, 60000);
    g_assert_true(hand_granted(&v, ref));
    hand_write(&v, v.be, "state", "5");
    wait_state(&v, v.fe, "6");
    hand_closed(&v, ref);
    g_clear_pointer(&v.nf, netfront_free);
    vif_down(&v);
}

/* The backend closes, and while it does the frontend is to go. */
static void test_pages_close_after_closing(void)
{
    uint32_t ref;
    Vif v;

    ref = hand_connect(&v);
    hand_write(&v, v.be, "state", "5");
    wait_state(&v, v.fe, "6");
    netfront_close(v.nf, 60000);
    hand_closed(&v, ref);
    g_clear_pointer(&v.nf, netfront_free);
    vif_down(&v);
}

/* A queue broke: the backend, who has lied to it, may still use the other ones. */
static void test_pages_broken(void)
{
    XenRingHeader *page;
    uint64_t ring = 0;
    uint32_t ring32;
    XenGnttab *g;
    uint32_t ref;
    Vif v;

    ref = hand_connect(&v);
    g_assert_true(xen_store_read_uint(v.host_store, 0, v.fe, "rx-ring-ref", UINT32_MAX, &ring));
    ring32 = (uint32_t)ring;
    g = v.host->ops->gnttab_open(v.host, NULL);
    page = v.host->ops->gnttab_map(g, v.guest->domid, &ring32, 1, true);
    g_assert_nonnull(page);
    page->rsp_prod = 12345;
    g_assert_cmpint(v.host->ops->gnttab_unmap(g, page, 1), ==, 0);
    v.host->ops->gnttab_close(g);
    vif_frame_give(v.front_dev, 0, &(VifFrame) { .payload = 100 }, 0); /* wakes it */
    wait_state(&v, v.fe, "6");
    hand_let_go(&v, ref);
    vif_down(&v);
}

/* It never answers: the frontend goes, its pages stay until the process does. */
static void test_pages_timeout(void)
{
    uint32_t ref;
    Vif v;

    ref = hand_connect(&v);
    netfront_close(v.nf, 20);
    VIF_WAIT(v.front.closed);
    assert_key(&v, v.fe, "state", "6");
    g_assert_true(hand_granted(&v, ref));
    g_clear_pointer(&v.nf, netfront_free);
    g_assert_true(hand_granted(&v, ref));
    vif_down(&v);
}

/* The toolstack puts another backend in its place, while the first one goes on. */
static void test_pages_of_former_backend(void)
{
    g_autofree char *other = NULL;
    uint32_t ref;
    Vif v;

    ref = hand_connect(&v);
    other = g_strdup_printf("%s1", v.be);
    g_assert_true(xen_store_mkdir(v.host_store, 0, other, 0, v.guest->domid));
    hand_write(&v, other, "state", "2");
    hand_write(&v, other, "feature-rx-copy", "1");
    hand_write(&v, v.fe, "backend", other);
    VIF_WAIT(v.front.disconnected == 1);
    run_for_ms(50);
    g_assert_true(hand_granted(&v, ref));
    hand_write(&v, v.be, "state", "6");
    VIF_WAIT(!hand_granted(&v, ref));
    hand_write(&v, other, "state", "6");
    vif_down(&v);
}

/* Most backends do not write the key. */
static void hand_carrier(const char *value, bool up)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 1, 1);
    hand_offer(&v);
    if (value) {
        hand_write(&v, v.be, "carrier", value);
    }
    vif_front_start(&v, &config);
    wait_state(&v, v.fe, "4");
    g_assert_false(fake_netdev_carrier(v.front_dev));
    hand_write(&v, v.be, "state", "4");
    VIF_WAIT(v.front.connected == 1);
    g_assert_true(fake_netdev_carrier(v.front_dev) == up);
    hand_write(&v, v.be, "state", "6");
    VIF_WAIT(!fake_netdev_carrier(v.front_dev));
    hand_write(&v, v.be, "carrier", "1"); /* of a link that is not there */
    run_for_ms(20);
    g_assert_false(fake_netdev_carrier(v.front_dev));
    vif_down(&v);
}

static void test_carrier_unknown(void)
{
    hand_carrier(NULL, true);
}

static void test_carrier_nonsense(void)
{
    hand_carrier("x", true);
}

static void test_carrier_off(void)
{
    hand_carrier("0", false);
}

/* A queue's thread finds a lie: the connection ends, with the reason. */
static void test_backend_reports_violation(void)
{
    NetfrontConfig config = vif_front_config();
    uint64_t ref = 0;
    XenRingHeader *page;
    XenGnttab *g;
    uint32_t ref32;
    Vif v;

    vif_up_fake(&v, 1, 1);
    hand_offer(&v);
    vif_front_start(&v, &config);
    wait_state(&v, v.fe, "4");
    g_assert_true(xen_store_read_uint(v.host_store, 0, v.fe, "rx-ring-ref", UINT32_MAX, &ref));
    ref32 = (uint32_t)ref;
    g = v.host->ops->gnttab_open(v.host, NULL);
    page = v.host->ops->gnttab_map(g, v.guest->domid, &ref32, 1, true);
    g_assert_nonnull(page);
    page->rsp_prod = 12345;
    hand_write(&v, v.be, "state", "4");
    VIF_WAIT(v.front.errors == 1);
    g_assert_cmpstr(v.front.error, ==, "queue 0: impossible rx response index");
    wait_state(&v, v.fe, "6");
    g_usleep(100000); /* the ring's page is busy all the time */
    g_assert_cmpint(v.host->ops->gnttab_unmap(g, page, 1), ==, 0);
    v.host->ops->gnttab_close(g);
    vif_down(&v);
}

/* The whole Xen goes, with XenStore: said once, and the end is still orderly. */
static void test_host_gone(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up_fake(&v, 1, 1);
    hand_offer(&v);
    vif_front_start(&v, &config);
    wait_state(&v, v.fe, "4");
    hand_write(&v, v.be, "state", "4");
    VIF_WAIT(v.front.connected == 1);
    g_clear_pointer(&v.host_store, xen_store_close);
    g_clear_pointer(&v.host, xen_close);
    VIF_WAIT(g_strcmp0(v.front.error, "the Xen host is gone") == 0);
    g_assert_cmpuint(v.front.disconnected, ==, 1);
    g_assert_false(fake_netdev_carrier(v.front_dev));
    vif_down(&v);
}

static unsigned count_entries(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

/* Connect, traffic, close, again and again: nothing may pile up. VIF_ROUNDS for more. */
static void test_rounds(void)
{
    const char *text = g_getenv("VIF_ROUNDS");
    unsigned rounds = text ? (unsigned)g_ascii_strtoull(text, NULL, 10) : 30;
    NetfrontConfig config = vif_front_config();
    unsigned fds = 0, threads = 0;
    Vif v;

    vif_up_fake(&v, 4, 4);
    vif_back_start(&v);
    for (unsigned i = 0; i < rounds; i++) {
        VifFrame frame = { .payload = 3000, .seed = i };

        config.queues = i % 4 + 1;
        vif_front_start(&v, &config);
        VIF_WAIT(v.front.connected == i + 1 && v.back.connected == i + 1);
        for (unsigned q = 0; q < config.queues; q++) {
            vif_frame_give(v.front_dev, q, &frame, 0);
            vif_frame_give(v.back_dev, q, &frame, 0);
            vif_frame_expect(v.back_dev, q, &frame, 0);
            vif_frame_expect(v.front_dev, q, &frame, 0);
        }
        vif_front_close(&v);
        VIF_WAIT(v.back.disconnected == i + 1);
        if (i == 0) {
            fds = count_entries("/proc/self/fd");
            threads = count_entries("/proc/self/task");
        }
    }
    g_assert_cmpuint(count_entries("/proc/self/fd"), ==, fds);
    /* a thread that was joined is listed a moment longer */
    VIF_WAIT(count_entries("/proc/self/task") == threads);
    g_assert_cmpuint(v.front.errors + v.back.errors, ==, 0);
    vif_down(&v);
}

static Variant variants[] = {
    { .name = "all", .offload = ALL },
    { .name = "no-sg", .offload = NETDEV_CSUM4 | NETDEV_CSUM6 },
    { .name = "no-gso", .offload = NETDEV_CSUM4 | NETDEV_CSUM6 },
    { .name = "no-csum", .offload = NETDEV_CSUM6 | NETDEV_TSO6 },
    { .name = "no-ipv6-csum", .offload = NETDEV_CSUM4 | NETDEV_TSO4 },
    { .name = "no-csum-at-all", .offload = 0 },
    { .name = "no-rx-notify", .offload = ALL },
};

static void add_variants(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(variants); i++) {
        g_autofree char *path = g_strdup_printf("/netfront/variant/%s", variants[i].name);

        variants[i].config = vif_front_config();
        g_test_add_data_func(path, &variants[i], test_variant);
    }
    variants[1].config.sg = false;
    variants[2].config.gso = false;
    variants[3].config.csum = false;
    variants[4].config.ipv6_csum = false;
    variants[5].config.csum = variants[5].config.ipv6_csum = false;
    variants[6].config.rx_notify = false;
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netfront/queues/1", test_queues_1);
    g_test_add_func("/netfront/queues/2", test_queues_2);
    g_test_add_func("/netfront/queues/4", test_queues_4);
    g_test_add_func("/netfront/queues/8", test_queues_8);
    g_test_add_func("/netfront/queues/of-backend", test_queues_of_backend);
    g_test_add_func("/netfront/queues/of-netdev", test_queues_of_netdev);
    g_test_add_func("/netfront/queues/of-config", test_queues_of_config);
    g_test_add_func("/netfront/queues/of-memory", test_queues_of_memory);
    g_test_add_func("/netfront/stale-keys", test_stale_keys);
    add_variants();
    g_test_add_func("/netfront/single-event-channel", test_single_event_channel);
    g_test_add_func("/netfront/no-vnet-hdr", test_no_vnet_hdr);
    g_test_add_func("/netfront/netdevs-without-carrier", test_netdevs_without_carrier);
    g_test_add_func("/netfront/netdev-gone-and-reopened", test_netdev_gone_and_reopened);
    g_test_add_func("/netfront/close", test_close);
    g_test_add_func("/netfront/close-before-device", test_close_before_device);
    g_test_add_func("/netfront/waits-for-device", test_waits_for_device);
    g_test_add_func("/netfront/open-again", test_open_again);
    g_test_add_func("/netfront/after-crash", test_after_crash);
    g_test_add_func("/netfront/backend-again", test_backend_again);
    g_test_add_func("/netfront/backend-vanishes", test_backend_vanishes);
    g_test_add_func("/netfront/backend-closes", test_backend_closes);
    g_test_add_func("/netfront/carrier/of-netback", test_carrier);
    g_test_add_func("/netfront/carrier/unknown", test_carrier_unknown);
    g_test_add_func("/netfront/carrier/nonsense", test_carrier_nonsense);
    g_test_add_func("/netfront/carrier/off", test_carrier_off);
    g_test_add_func("/netfront/pause", test_pause);
    g_test_add_func("/netfront/old-backend", test_old_backend);
    g_test_add_func("/netfront/no-rx-copy", test_no_rx_copy);
    g_test_add_func("/netfront/backend-reports-violation", test_backend_reports_violation);
    g_test_add_func("/netfront/pages/backend-closing", test_pages_backend_closing);
    g_test_add_func("/netfront/pages/both-closing", test_pages_both_closing);
    g_test_add_func("/netfront/pages/close-after-closing", test_pages_close_after_closing);
    g_test_add_func("/netfront/pages/broken", test_pages_broken);
    g_test_add_func("/netfront/pages/timeout", test_pages_timeout);
    g_test_add_func("/netfront/pages/of-former-backend", test_pages_of_former_backend);
    g_test_add_func("/netfront/host-gone", test_host_gone);
    g_test_add_func("/netfront/rounds", test_rounds);
    return g_test_run();
}
