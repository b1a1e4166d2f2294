/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/state.h"

static void test_numbers(void)
{
    static const uint8_t expected[] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3 };
    g_autoptr(GByteArray) out = g_byte_array_new();
    StateReader in;

    state_put(out, 0xffffff12, 1); /* the lowest bytes */
    state_put(out, 0x3456, 2);
    state_put(out, 0x789abcde, 4);
    state_put(out, 0xf0, 1);
    state_put_bytes(out, "\1\2\3", 3);
    g_assert_cmpmem(out->data, out->len, expected, sizeof(expected));
    in = (StateReader){ .data = out->data, .left = out->len };
    g_assert_cmphex(state_get(&in, 8), ==, 0x123456789abcdef0);
    g_assert_cmphex(state_get(&in, 3), ==, 0x010203);
    g_assert_true(state_is_whole(&in));
}

static void test_too_short(void)
{
    static const uint8_t data[] = { 1, 2, 3 };
    StateReader in = { .data = data, .left = sizeof(data) };
    uint8_t bytes[2] = { 9, 9 };

    g_assert_cmphex(state_get(&in, 2), ==, 0x0102);
    g_assert_false(state_is_whole(&in)); /* there is more */
    g_assert_cmphex(state_get(&in, 2), ==, 0);
    g_assert_false(state_is_whole(&in));
    g_assert_cmphex(state_get(&in, 1), ==, 0); /* for good */
    state_get_bytes(&in, bytes, sizeof(bytes));
    g_assert_cmpuint(bytes[0] + bytes[1], ==, 0);
}

static void test_nothing(void)
{
    StateReader in = { 0 };

    g_assert_true(state_is_whole(&in));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/state/numbers", test_numbers);
    g_test_add_func("/util/state/too-short", test_too_short);
    g_test_add_func("/util/state/nothing", test_nothing);
    return g_test_run();
}
