/*
 * The human monitor, as far as tools use it through QMP: "help", and "info" of what owners
 * registered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp/qmp.h"

#include <string.h>

#include "qmp-internal.h"

#define MAX_SHOWN_WORD 64u

static void hmp_unknown(GString *out, const char *group, const char *word)
{
    size_t len = MIN(strlen(word), MAX_SHOWN_WORD);

    while (len > 0 && ((guchar)word[len] & 0xc0) == 0x80) {
        len--; /* not in the middle of a character */
    }
    g_string_append_printf(out, "unknown command: '%s%.*s'\r\n", group, (int)len, word);
}

static void hmp_help_line(GString *out, const HmpCommand *c)
{
    g_string_append_printf(out, "info %s  -- %s\r\n", c->name, c->help);
}

static void hmp_info_list(const Qmp *q, GString *out)
{
    for (guint i = 0; i < q->hmp->len; i++) {
        hmp_help_line(out, g_array_index(q->hmp, QmpEntry, i).row);
    }
}

static const QmpEntry *hmp_info_find(const Qmp *q, const char *name)
{
    for (guint i = 0; i < q->hmp->len; i++) {
        const QmpEntry *e = &g_array_index(q->hmp, QmpEntry, i);

        if (g_str_equal(((const HmpCommand *)e->row)->name, name)) {
            return e;
        }
    }
    return NULL;
}

/* @words: what stands behind "info". */
static void hmp_info(const Qmp *q, char **words, GString *out)
{
    const QmpEntry *e = words[0] ? hmp_info_find(q, words[0]) : NULL;

    if (!words[0]) {
        hmp_info_list(q, out);
    } else if (!e) {
        hmp_unknown(out, "info ", words[0]);
    } else if (words[1]) {
        g_string_append_printf(out, "%s: extraneous characters at the end of line\r\n"
                               "Try \"help info %s\" for more information\r\n", words[0],
                               words[0]);
    } else {
        ((const HmpCommand *)e->row)->run(e->opaque, out);
    }
}

static void hmp_help(const Qmp *q, char **words, GString *out)
{
    static const char help[] = "help|? [cmd] -- show the help\r\n";
    static const char info[] = "info [subcommand] -- show various information about the system "
                               "state\r\n";
    const QmpEntry *e;

    if (!words[0]) {
        g_string_append_printf(out, "%s%s", help, info);
    } else if (g_str_equal(words[0], "help") || g_str_equal(words[0], "?")) {
        g_string_append(out, help);
    } else if (!g_str_equal(words[0], "info")) {
        hmp_unknown(out, "", words[0]);
    } else if (!words[1]) {
        hmp_info_list(q, out);
    } else {
        e = hmp_info_find(q, words[1]);
        if (e) {
            hmp_help_line(out, e->row);
        } else {
            hmp_unknown(out, "info ", words[1]);
        }
    }
}

/* The words of a line; free it. */
static char **hmp_words(const char *line)
{
    g_auto(GStrv) parts = g_strsplit_set(line, " \t\r\n", -1);
    GStrvBuilder *words = g_strv_builder_new();
    char **ret;

    for (unsigned i = 0; parts[i]; i++) {
        if (parts[i][0] != '\0') {
            g_strv_builder_add(words, parts[i]);
        }
    }
    ret = g_strv_builder_end(words);
    g_strv_builder_unref(words);
    return ret;
}

char *hmp_run(const Qmp *q, const char *command_line)
{
    GString *out = g_string_new(NULL);
    g_auto(GStrv) words = hmp_words(command_line);

    if (!words[0]) {
        return g_string_free(out, FALSE);
    }
    if (g_str_equal(words[0], "info")) {
        hmp_info(q, words + 1, out);
    } else if (g_str_equal(words[0], "help") || g_str_equal(words[0], "?")) {
        hmp_help(q, words + 1, out);
    } else {
        hmp_unknown(out, "", words[0]);
    }
    return g_string_free(out, FALSE);
}
