/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xen-vdev.h"

#include <glib.h>
#include <string.h>

#include "util/options.h"

#define EXTENDED (1u << 28)
#define MAX_DISK (1u << 20)
#define MAX_PART (1u << 8)

/* A major number for the first disks of a kind; the kind has none for more. */
typedef struct VdevKind {
    const char *prefix;
    uint32_t major;
    uint32_t first;      /* disk of this row */
    uint32_t n_disks;
    unsigned part_bits;
} VdevKind;

static const VdevKind kinds[] = {
    { "xvd", 202, 0, 16, 4 },
    { "sd", 8, 0, 16, 4 },
    { "hd", 3, 0, 2, 6 },
    { "hd", 22, 2, 2, 6 },
};

/* a is 0, z is 25, aa is 26. @text moves behind it. */
static bool parse_letters(const char **text, uint32_t *ret)
{
    uint32_t n = 0;

    if (!g_ascii_islower(**text)) {
        return false;
    }
    for (; g_ascii_islower(**text); (*text)++) {
        n = n * 26 + (uint32_t)(**text - 'a') + 1;
        if (n > MAX_DISK) {
            return false;
        }
    }
    *ret = n - 1;
    return true;
}

/* Nothing, or a number without a zero in front. */
static bool parse_part(const char *text, uint32_t *ret)
{
    uint64_t n = 0;

    if (*text != '\0' && (*text == '0' || !opt_parse_uint(text, MAX_PART - 1, &n))) {
        return false;
    }
    *ret = (uint32_t)n;
    return true;
}

/* "d5", "d5p1". */
static bool parse_plain(const char *name, uint32_t *ret_disk, uint32_t *ret_part)
{
    g_auto(GStrv) word = NULL;
    uint64_t disk, part = 0;

    if (name[0] != 'd') {
        return false;
    }
    word = g_strsplit(name + 1, "p", 2);
    if (!word[0] || !opt_parse_uint(word[0], MAX_DISK - 1, &disk) ||
        (word[1] && !opt_parse_uint(word[1], MAX_PART - 1, &part))) {
        return false;
    }
    *ret_disk = (uint32_t)disk;
    *ret_part = (uint32_t)part;
    return true;
}

static uint32_t number_of(const VdevKind *k, uint32_t disk, uint32_t part)
{
    return k->major << 8 | (disk - k->first) << k->part_bits | part;
}

static bool has_disk(const VdevKind *k, uint32_t disk, uint32_t part)
{
    return disk - k->first < k->n_disks && part < 1u << k->part_bits;
}

static uint32_t xvd_number(uint32_t disk, uint32_t part)
{
    return has_disk(&kinds[0], disk, part) ? number_of(&kinds[0], disk, part)
                                           : EXTENDED | disk << 8 | part;
}

bool xen_vdev_parse(const char *name, uint32_t *ret)
{
    uint32_t disk, part;
    uint64_t number;

    if (opt_parse_uint(name, XEN_VDEV_MAX - 1, &number)) {
        *ret = (uint32_t)number;
        return true;
    }
    if (parse_plain(name, &disk, &part)) {
        *ret = xvd_number(disk, part);
        return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        const char *rest = name + strlen(kinds[i].prefix);

        if (!g_str_has_prefix(name, kinds[i].prefix) || !parse_letters(&rest, &disk) ||
            !parse_part(rest, &part)) {
            continue;
        }
        if (i == 0 && disk < MAX_DISK) {
            *ret = xvd_number(disk, part);
            return true;
        }
        if (has_disk(&kinds[i], disk, part)) {
            *ret = number_of(&kinds[i], disk, part);
            return true;
        }
    }
    return false;
}

uint32_t xen_vdev_xvd(uint32_t disk)
{
    return xvd_number(disk, 0);
}

static void append_letters(GString *s, uint32_t disk)
{
    if (disk >= 26) {
        append_letters(s, disk / 26 - 1);
    }
    g_string_append_c(s, (char)('a' + disk % 26));
}

static char *make_name(const char *prefix, uint32_t disk, uint32_t part)
{
    GString *s = g_string_new(prefix);

    append_letters(s, disk);
    if (part > 0) {
        g_string_append_printf(s, "%u", part);
    }
    return g_string_free(s, FALSE);
}

char *xen_vdev_name(uint32_t number)
{
    if (number & EXTENDED) {
        return make_name("xvd", (number & ~EXTENDED) >> 8, number & (MAX_PART - 1));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        const VdevKind *k = &kinds[i];
        uint32_t disk = (number & 0xff) >> k->part_bits;

        if (number >> 8 == k->major && disk < k->n_disks) {
            return make_name(k->prefix, k->first + disk, number & ((1u << k->part_bits) - 1));
        }
    }
    return g_strdup_printf("d%u", number);
}
