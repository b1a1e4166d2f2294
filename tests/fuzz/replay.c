/*
 * main() for a fuzz target without a fuzzer: runs each file of the directories given, so
 * that whatever was found once is a test from then on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replay_dir(const char *path)
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
        n++;
    }
    return n;
}

int main(int argc, char **argv)
{
    unsigned n = 0;
    int i;

    for (i = 1; i < argc; i++) {
        n += replay_dir(argv[i]);
    }
    printf("%u inputs\n", n);
    return n > 0 ? 0 : 1;
}
