/*
 * The full fences of virtqueues: each side writes, then looks at what the other one writes. The
 * driver acts in the moment of the fence here, so a fence that is missing, or in another place, is
 * seen each time, while on a processor it is once in a million.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

static void ring_fence(void);
#define __atomic_thread_fence(order) ring_fence()

#include "virtq-packed.c"
#include "virtq-split.c"
#include "virtq.c"

#undef __atomic_thread_fence

#include <linux/virtio_config.h>

#include "virtq-rig.h"

static struct {
    Rig *r;
    void (*at_fence)(void);
    unsigned fences;
} t;

static void ring_fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    t.fences++;
    if (t.at_fence) {
        t.at_fence();
    }
}

static void up(Rig *r, gconstpointer config)
{
    const VirtqDriverPiece piece = { RIG_DATA, 1 };

    t.at_fence = NULL;
    rig_up(r, config);
    g_assert_cmpint(virtq_driver_add(r->driver, &piece, 1, 0), >=, 0);
    virtq_disarm(&r->vq);
    virtq_driver_disarm(r->driver);
    t.r = r;
    t.fences = 0;
}

static void down(Rig *r, gconstpointer config)
{
    g_assert_cmpuint(t.fences, ==, 1);
    t.at_fence = NULL;
    rig_down(r);
}

/* What the device gave back is there for who looks now; but a driver may have looked before. */
static void driver_sleeps(void)
{
    g_assert_true(virtq_driver_arm(t.r->driver));
}

static void test_flush(Rig *r, gconstpointer config)
{
    virtq_driver_publish(r->driver);
    g_assert_cmpint(rig_pop(r, 1), ==, 1);
    virtq_push(&r->vq, &r->chain[0], 0);
    t.fences = 0;
    t.at_fence = driver_sleeps;
    g_assert_true(virtq_flush(&r->vq));
}

/* It would be kicked for, had it not come just now. */
static void driver_adds(void)
{
    g_assert_true(virtq_driver_publish(t.r->driver));
}

static void test_arm(Rig *r, gconstpointer config)
{
    t.at_fence = driver_adds;
    g_assert_true(virtq_arm(&r->vq));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < rig_n_configs; i++) {
        const RigConfig *c = &rig_configs[i];
        g_autofree char *flush = g_strdup_printf("/hw/virtio/virtq-fences/flush/%s", c->name);
        g_autofree char *arm = g_strdup_printf("/hw/virtio/virtq-fences/arm/%s", c->name);

        g_test_add(flush, Rig, c, up, test_flush, down);
        g_test_add(arm, Rig, c, up, test_arm, down);
    }
    return g_test_run();
}
