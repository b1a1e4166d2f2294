/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vbd-test.h"

const VbdBackConfig vbd_full = {
    .max_queues = 4, .max_order = 4, .max_indirect = 256, .persistent = true, .flush = true,
    .barrier = true, .discard = true, .discard_secure = true,
};

void vbd_test_up(VbdTest *t)
{
    *t = (VbdTest) { .image = g_malloc0(VBD_BACK_BYTES), .buf = g_malloc(VBD_BACK_BYTES) };
    for (size_t i = 0; i < VBD_BACK_BYTES; i += sizeof(uint32_t)) {
        *(uint32_t *)(void *)(t->buf + i) = (uint32_t)i * 2654435761u;
    }
    vbd_up(&t->v);
}

static void test_end_back(VbdTest *t)
{
    if (t->has_back) {
        vbd_back_close(&t->b);
        vbd_back_down(&t->b);
    }
    t->has_back = false;
}

void vbd_test_back(VbdTest *t, const VbdBackConfig *c)
{
    test_end_back(t);
    vbd_back_up(&t->b, &t->v, c, t->image);
    t->has_back = true;
}

void vbd_test_connect(VbdTest *t, const VbdBackConfig *c)
{
    vbd_test_back(t, c);
    vbd_front_connect(&t->v);
}

void vbd_test_down(VbdTest *t)
{
    if (t->v.bf) {
        vbd_front_close(&t->v);
    }
    if (t->has_back) {
        vbd_back_down(&t->b);
    }
    vbd_down(&t->v);
    g_free(t->image);
    g_free(t->buf);
}

void vbd_test_expect(VbdTest *t, uint64_t offset, size_t n)
{
    const uint8_t *image = vbd_back_image(&t->b) + offset;

    g_assert_cmpmem(image, n, t->buf + offset, n);
}
