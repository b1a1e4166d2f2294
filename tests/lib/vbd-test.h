/*
 * What tests of blkfront begin with: a vbd, a backend that offers all there is, and data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VBD_TEST_H
#define TESTS_LIB_VBD_TEST_H

#include "vbd-back.h"

#define KIB 1024u
#define MIB (1024u * 1024u)

typedef struct VbdTest {
    Vbd v;
    VbdBack b;
    bool has_back;
    uint8_t *image; /* zeros at first: see vbd_back_image() */
    uint8_t *buf;   /* as large, no two sectors of it alike */
} VbdTest;

extern const VbdBackConfig vbd_full;

/* No backend yet, and no frontend. */
void vbd_test_up(VbdTest *t);
/* The first backend, or another one, as if the first had been closed in the proper way. */
void vbd_test_back(VbdTest *t, const VbdBackConfig *c);
/* Both ends, connected. */
void vbd_test_connect(VbdTest *t, const VbdBackConfig *c);
void vbd_test_down(VbdTest *t);

/* The image has @n bytes of buf at @offset. */
void vbd_test_expect(VbdTest *t, uint64_t offset, size_t n);

#endif
