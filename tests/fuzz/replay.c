/*
 * main() for a fuzz target without a fuzzer: runs each file of the directories given, so
 * that whatever was found once is a test from then on. With --mutate=N each is run N
 * times more with some bytes changed, the same ones each time that the test is run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t next_random(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

/* Numbers that limits are made of find more than others. */
static uint8_t next_byte(uint32_t *x)
{
    static const uint8_t telling[] = { 0, 1, 2, 4, 13, 14, 15, 16, 18, 20, 64, 127, 128, 254, 255 };
    uint32_t r = next_random(x);

    return r & 0x10000 ? (uint8_t)r : telling[r % G_N_ELEMENTS(telling)];
}

static void replay_mutations(const char *data, gsize size, unsigned n)
{
    uint32_t x = 2463534242u;

    for (unsigned i = 0; i < n && size > 0; i++) {
        g_autofree uint8_t *copy = g_memdup2(data, size); /* exact, for the sanitizer to see */
        gsize len = next_random(&x) % 8 == 0 ? next_random(&x) % size : size;

        for (unsigned changes = next_random(&x) % 8; changes > 0 && len > 0; changes--) {
            /* most of what matters stands at the beginning */
            gsize reach = next_random(&x) % 2 ? len : MIN(len, 64);

            copy[next_random(&x) % reach] = next_byte(&x);
        }
        if (len < size) {
            copy = g_realloc(copy, len);
        }
        LLVMFuzzerTestOneInput(copy, len);
    }
}

static unsigned replay_dir(const char *path, unsigned mutations)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(path, 0, &error);
    const char *name;
    unsigned n = 0;

    g_assert_no_error(error);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_autofree char *data = NULL;
        gsize size;

        g_assert_true(g_file_get_contents(file, &data, &size, &error));
        LLVMFuzzerTestOneInput((const uint8_t *)data, size);
        replay_mutations(data, size, mutations);
        n++;
    }
    return n;
}

int main(int argc, char **argv)
{
    unsigned n = 0, mutations = 0;
    int i;

    for (i = 1; i < argc; i++) {
        if (g_str_has_prefix(argv[i], "--mutate=")) {
            mutations = (unsigned)g_ascii_strtoull(argv[i] + 9, NULL, 10);
        } else {
            n += replay_dir(argv[i], mutations);
        }
    }
    printf("%u inputs\n", n);
    return n > 0 ? 0 : 1;
}
