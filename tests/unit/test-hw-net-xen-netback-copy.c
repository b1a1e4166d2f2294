/*
 * Netback's copies: what they are made from and to, and where a packet lies meanwhile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "fake-netdev.h"
#include "vif-frames.h"
#include "vif.h"
#include "xen-netback-internal.h"
#include "xenemu.h"

#define PAGES_OF_A_QUEUE 420 /* that are granted to ourselves: tx, rx, segments */

/* Packets of one slot and of many, both ways. */
static void exchange(Vif *v)
{
    for (unsigned i = 0; i < 16; i++) {
        VifFrame f = { .csum_blank = i & 1, .payload = i & 1 ? 2000 + i * 4100 : 60 + i * 90,
                       .ipv6 = i & 2, .seed = i };
        uint16_t mss = i & 1 ? 1448 : 0;

        vif_frame_give(v->front_dev, 0, &f, mss);
        vif_frame_expect(v->back_dev, 0, &f, mss);
        vif_frame_give(v->back_dev, 0, &f, mss);
        vif_frame_expect(v->front_dev, 0, &f, mss);
    }
}

/* Pinned are the pages of a copy whose local side has no grant. */
static uint64_t pinned(const Vif *v)
{
    return xenemu_host_pinned(v->host->opaque);
}

/* Copies that are hypercalls of our own. */
static uint64_t hypercalls(const Vif *v)
{
    return xenemu_host_hypercalls(v->host->opaque);
}

static void test_nothing_is_pinned(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up(&v, fake_netdev_new(1, true), fake_netdev_new(1, true));
    vif_connect(&v, &config);
    exchange(&v);
    g_assert_cmpuint(pinned(&v), ==, 0);
    g_assert_cmpuint(hypercalls(&v), ==, 0);
    vif_down(&v);
}

/* Nor for segments that we make. */
static void test_nothing_is_pinned_for_segments(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    config.gso = false;
    vif_up(&v, fake_netdev_new(1, true), fake_netdev_new(1, true));
    vif_connect(&v, &config);
    for (unsigned i = 0; i < 8; i++) {
        VifFrame f = { .csum_blank = true, .payload = 2000 + i * 7800, .seed = i };

        vif_frame_give(v.back_dev, 0, &f, 1000);
        vif_frame_expect(v.front_dev, 0, &f, 1000);
    }
    g_assert_cmpuint(pinned(&v), ==, 0);
    vif_down(&v);
}

/* The first queue's buffers are granted, there are no pages for all of the second's. */
static void test_limit_in_the_middle(void)
{
    NetfrontConfig config = vif_front_config();
    VifFrame f = { .payload = 700 };
    Vif v;

    vif_up(&v, fake_netdev_new(2, true), fake_netdev_new(2, true));
    xenemu_host_limit_buffers(v.host->opaque, PAGES_OF_A_QUEUE + 190);
    for (unsigned i = 1; i <= 2; i++) { /* what was granted comes back */
        uint64_t before = pinned(&v);

        vif_back_start(&v);
        vif_front_start(&v, &config);
        VIF_WAIT(v.back.connected == i && v.front.connected == i);
        exchange(&v);
        g_assert_cmpuint(pinned(&v), ==, before);
        vif_frame_give(v.front_dev, 1, &f, 0);
        vif_frame_expect(v.back_dev, 1, &f, 0);
        g_assert_cmpuint(pinned(&v), ==, before + 1);
        vif_frame_give(v.back_dev, 1, &f, 0);
        vif_frame_expect(v.front_dev, 1, &f, 0);
        g_assert_cmpuint(pinned(&v), ==, before + 1); /* the smaller one found room */
        vif_front_close(&v);
        vif_back_close(&v);
    }
    g_assert_cmpuint(v.back.errors, ==, 0);
    vif_down(&v);
}

static void test_no_buffers(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    vif_up(&v, fake_netdev_new(1, true), fake_netdev_new(1, true));
    xenemu_host_limit_buffers(v.host->opaque, 0);
    vif_connect(&v, &config);
    exchange(&v);
    g_assert_cmpuint(pinned(&v), >, 32);
    g_assert_cmpuint(v.back.errors, ==, 0);
    vif_down(&v);
}

static void hypercalls_up(Vif *v, unsigned n_queues)
{
    vif_up(v, fake_netdev_new(n_queues, true), fake_netdev_new(n_queues, true));
    v->back_copy = NETBACK_COPY_HYPERCALL;
}

static void test_hypercalls(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    hypercalls_up(&v, 1);
    vif_connect(&v, &config);
    exchange(&v);
    g_assert_cmpuint(hypercalls(&v), >=, 32); /* each packet is waited for */
    g_assert_cmpuint(pinned(&v), ==, 0);
    g_assert_cmpuint(v.back.warnings, ==, 0);
    vif_down(&v);
}

/* The second queue's tx buffer found no room: its copies are made as ever. */
static void test_hypercalls_where_they_can(void)
{
    NetfrontConfig config = vif_front_config();
    VifFrame f = { .payload = 700 };
    uint64_t before;
    Vif v;

    hypercalls_up(&v, 2);
    xenemu_host_limit_buffers(v.host->opaque, PAGES_OF_A_QUEUE + 190);
    vif_connect(&v, &config);
    exchange(&v);
    before = hypercalls(&v);
    g_assert_cmpuint(before, >=, 32);
    vif_frame_give(v.front_dev, 1, &f, 0);
    vif_frame_expect(v.back_dev, 1, &f, 0);
    g_assert_cmpuint(hypercalls(&v), ==, before);
    g_assert_cmpuint(pinned(&v), ==, 1);
    vif_frame_give(v.back_dev, 1, &f, 0);
    vif_frame_expect(v.front_dev, 1, &f, 0);
    g_assert_cmpuint(hypercalls(&v), ==, before + 1);
    g_assert_cmpuint(pinned(&v), ==, 1);
    vif_down(&v);
}

/* There is nothing that they could copy from or to: said once, at the start. */
static void test_hypercalls_without_buffers(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    hypercalls_up(&v, 1);
    xenemu_host_limit_buffers(v.host->opaque, 0);
    vif_back_new(&v);
    g_assert_cmpuint(v.back.warnings, ==, 1);
    g_assert_cmpstr(v.back.error, ==, "grant-copy=hypercall has no effect without memory that is "
                    "granted to ourselves (xen-gntalloc)");
    netback_start(v.nb);
    vif_front_start(&v, &config);
    VIF_WAIT(v.back.connected == 1 && v.front.connected == 1);
    exchange(&v);
    g_assert_cmpuint(hypercalls(&v), ==, 0);
    g_assert_cmpuint(pinned(&v), >, 32);
    g_assert_cmpuint(v.back.warnings, ==, 1);
    vif_down(&v);
}

/* The device is refused, and leaves nothing; without the option it is not. */
static void test_no_privcmd(void)
{
    NetfrontConfig config = vif_front_config();
    g_autoptr(GError) error = NULL;
    Vif v;

    hypercalls_up(&v, 1);
    xenemu_host_forbid_hypercalls(v.host->opaque, EACCES);
    g_assert_false(vif_back_try(&v, &error));
    g_assert_cmpstr(error->message, ==,
                    "could not open privcmd of the emulated Xen: Permission denied");
    g_assert_null(vif_read(&v, v.be, "state"));
    v.back_copy = NETBACK_COPY_IOCTL;
    vif_connect(&v, &config);
    exchange(&v);
    vif_down(&v);
}

/* It was there when the device was made: the connection fails, as without gntdev. */
static void test_no_privcmd_any_more(void)
{
    NetfrontConfig config = vif_front_config();
    Vif v;

    hypercalls_up(&v, 1);
    vif_back_start(&v);
    xenemu_host_forbid_hypercalls(v.host->opaque, ENOENT);
    vif_front_start(&v, &config);
    VIF_WAIT(v.back.errors > 0);
    g_assert_cmpstr(v.back.error, ==,
                    "could not open privcmd of the emulated Xen: No such file or directory");
    g_assert_cmpuint(v.back.connected, ==, 0);
    vif_down(&v);
}

/* --- what is counted when the guest hears of it --- */

typedef struct Watch {
    XenOps ops;
    const XenOps *real;
    const NicQueueStats *stats; /* atomic; NULL: not yet */
    uint64_t counted;             /* atomic; at the first event */
} Watch;

static Watch watch;

static int watch_notify(XenEvtchn *e, uint32_t port)
{
    const NicQueueStats *s = __atomic_load_n(&watch.stats, __ATOMIC_ACQUIRE);

    if (s) {
        __atomic_store_n(&watch.counted, counter_read(&s->rx.packets) +
                                         counter_read(&s->rx.events_sent), __ATOMIC_RELAXED);
        __atomic_store_n(&watch.stats, NULL, __ATOMIC_RELEASE);
    }
    return watch.real->evtchn_notify(e, port);
}

/* Who has a packet finds it counted, and so the event that told of it. */
static void test_counted_before_the_event(void)
{
    NetfrontConfig config = vif_front_config();
    VifFrame f = { .payload = 700 };
    uint64_t events;
    Vif v;

    vif_up(&v, fake_netdev_new(1, true), fake_netdev_new(1, true));
    watch = (Watch) { .ops = *v.host->ops, .real = v.host->ops };
    watch.ops.evtchn_notify = watch_notify;
    v.host->ops = &watch.ops;
    vif_connect(&v, &config);
    events = counter_read(&v.nb->stats[0].rx.events_sent);
    __atomic_store_n(&watch.stats, &v.nb->stats[0], __ATOMIC_RELEASE);
    vif_frame_give(v.back_dev, 0, &f, 0);
    vif_frame_expect(v.front_dev, 0, &f, 0);
    g_assert_cmpuint(__atomic_load_n(&watch.counted, __ATOMIC_RELAXED), ==, events + 2);
    vif_down(&v);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netback-copy/nothing-is-pinned", test_nothing_is_pinned);
    g_test_add_func("/netback-copy/nothing-is-pinned-for-segments",
                    test_nothing_is_pinned_for_segments);
    g_test_add_func("/netback-copy/limit-in-the-middle", test_limit_in_the_middle);
    g_test_add_func("/netback-copy/no-buffers", test_no_buffers);
    g_test_add_func("/netback-copy/hypercalls", test_hypercalls);
    g_test_add_func("/netback-copy/hypercalls-where-they-can", test_hypercalls_where_they_can);
    g_test_add_func("/netback-copy/hypercalls-without-buffers", test_hypercalls_without_buffers);
    g_test_add_func("/netback-copy/no-privcmd", test_no_privcmd);
    g_test_add_func("/netback-copy/no-privcmd-any-more", test_no_privcmd_any_more);
    g_test_add_func("/netback-copy/counted-before-the-event", test_counted_before_the_event);
    return g_test_run();
}
