/*
 * Where a packed ring stands, by what is in it alone: after clean ends, as those of processes that
 * were killed are test-hw-virtio-virtq-kill.c's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtq-rig.h"

#include <endian.h>
#include <string.h>

#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1u << VRING_PACKED_DESC_F_USED)

/* A device that knows @base: where it begins, both halves. */
static uint32_t place_with(Rig *r, uint32_t base)
{
    const char *why = NULL;
    uint32_t place;

    r->setup.base = base;
    memset(&r->vq, 0x55, sizeof(r->vq));
    g_assert_true(virtq_start(&r->vq, r->mem, &r->setup, &why));
    place = virtq_stop(&r->vq);
    r->vq.running = false;
    return place;
}

/* @n chains of @len pieces are served by one who knows the place; @left are not taken back. */
static uint32_t serve(Rig *r, uint32_t base, unsigned n, unsigned len, unsigned left)
{
    uint16_t id;
    uint32_t written;

    r->setup.base = base;
    g_assert_true(virtq_start(&r->vq, r->mem, &r->setup, NULL));
    for (unsigned i = 0; i < n; i++) {
        rig_add(r, 0, len, 16);
        g_assert_cmpint(rig_pop(r, 1), ==, 1);
        rig_push(r, 1);
        if (i + left < n) {
            g_assert_true(virtq_driver_get(r->driver, &id, &written));
        }
    }
    return virtq_stop(&r->vq);
}

/* @before chains are done, @left of them still to be taken back, and @waiting ones are there. */
static void check_place(const RigConfig *c, unsigned before, unsigned left, unsigned waiting,
                        unsigned len)
{
    Rig *r = g_new0(Rig, 1);
    uint32_t place;

    rig_up(r, c);
    place = serve(r, virtq_stop(&r->vq), before, len, left);
    for (unsigned i = 0; i < waiting; i++) {
        rig_add(r, 0, len, 16);
    }
    g_assert_cmphex(place_with(r, 0), ==, place);
    g_assert_cmphex(place_with(r, 0x80008000), ==, place);
    rig_down(r);
    g_free(r);
}

static void test_each_place(gconstpointer data)
{
    const unsigned len = GPOINTER_TO_UINT(data);

    for (uint16_t size = (uint16_t)len; size <= 9; size++) {
        const RigConfig c = { "packed", size, true, true, 0 };
        unsigned room = size / len;

        for (unsigned before = 0; before <= 2u * size + 1; before++) {
            for (unsigned left = 0; left <= MIN(before, room - 1); left++) {
                for (unsigned waiting = 0; waiting <= room - left; waiting++) {
                    check_place(&c, before, left, waiting, len);
                }
            }
        }
    }
}

/* As most devices leave chains: only the first descriptor says that it is used. */
static void unmark(Rig *r, unsigned n, unsigned len)
{
    for (unsigned i = 0; i < n * len; i++) {
        if (i % len > 0) {
            r->driver->ring[i].flags ^= htole16(USED);
        }
    }
}

/* Then the VMM says where to go on: it knows, from who went in peace. */
static void test_another_device(void)
{
    static const RigConfig c = { "packed", 64, true, false, 0 };
    Rig *r = g_new0(Rig, 1);
    uint32_t place;

    rig_up(r, &c);
    place = serve(r, virtq_stop(&r->vq), 10, 3, 0);
    unmark(r, 10, 3);
    rig_add(r, 0, 3, 16);
    g_assert_cmphex(place_with(r, place), ==, place);
    rig_down(r);
    g_free(r);
}

/* A chain whose first descriptor is not available yet does not show where the driver is. */
static void test_driver_amid_a_chain(void)
{
    static const RigConfig c = { "packed", 16, true, false, 0 };
    const VirtqDriverPiece piece[] = { { RIG_DATA, 4 }, { RIG_DATA, 4 }, { RIG_DATA, 4 } };
    Rig *r = g_new0(Rig, 1);
    uint32_t place;

    rig_up(r, &c);
    place = serve(r, virtq_stop(&r->vq), 7, 1, 0);
    g_assert_cmpint(virtq_driver_add(r->driver, piece, 3, 0), >=, 0);
    g_assert_cmphex(place_with(r, place), ==, place);
    virtq_driver_publish(r->driver);
    g_assert_cmphex(place_with(r, 0), ==, place);
    rig_down(r);
    g_free(r);
}

/* All ways the bits of a small ring can be: it stands somewhere in it, and all of it is served. */
static void test_any_bits(void)
{
    static const RigConfig c = { "packed", 5, true, false, 0 };

    for (unsigned bits = 0; bits < 1u << 11; bits++) {
        unsigned flags = bits >> 10 ? VRING_DESC_F_NEXT : 0;
        Rig *r = g_new0(Rig, 1);
        int n;

        rig_up(r, &c);
        r->setup.base = virtq_stop(&r->vq);
        for (unsigned i = 0; i < 5; i++) {
            unsigned two = bits >> 2 * i & 3;

            r->driver->ring[i] = (struct vring_packed_desc){
                .addr = htole64(RIG_DATA), .len = htole32(4), .id = htole16(i),
                .flags = htole16(flags | (two & 1 ? AVAIL : 0) | (two & 2 ? USED : 0)),
            };
        }
        g_assert_true(virtq_start(&r->vq, r->mem, &r->setup, NULL));
        g_assert_cmpuint(r->vq.used & 0x7fff, <, 5);
        g_assert_true(r->vq.avail == r->vq.used && r->vq.used == r->vq.used_flushed);
        g_assert_cmpuint(r->vq.in_flight + r->vq.unflushed, ==, 0);
        n = rig_pop(r, 64);
        g_assert_cmpint(n, <=, 5);
        rig_push(r, (unsigned)MAX(n, 0));
        rig_down(r);
        g_free(r);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define PATH "/hw/virtio/virtq-place/"
    g_test_add_data_func(PATH "each-place", GUINT_TO_POINTER(1), test_each_place);
    g_test_add_data_func(PATH "each-place-long-chains", GUINT_TO_POINTER(3), test_each_place);
    g_test_add_func(PATH "another-device", test_another_device);
    g_test_add_func(PATH "driver-amid-a-chain", test_driver_amid_a_chain);
    g_test_add_func(PATH "any-bits", test_any_bits);
    return g_test_run();
}
