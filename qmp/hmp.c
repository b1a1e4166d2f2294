/*
 * The human monitor, as far as tools use it through QMP: "help", "info" of what owners registered,
 * and what they let it do. In QEMU's words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp/qmp.h"

#include <string.h>

#include "qmp-internal.h"

#define MAX_SHOWN_WORD 64u
#define BLANKS " \t\r\n"

static void hmp_unknown(GString *out, const char *group, const char *word)
{
    size_t len = MIN(strlen(word), MAX_SHOWN_WORD);

    while (len > 0 && ((guchar)word[len] & 0xc0) == 0x80) {
        len--; /* not in the middle of a character */
    }
    g_string_append_printf(out, "unknown command: '%s%.*s'\r\n", group, (int)len, word);
}

/* "stop|s" is both. */
static bool hmp_is_named(const char *names, const char *word)
{
    g_auto(GStrv) list = g_strsplit(names, "|", -1);

    return g_strv_contains((const char *const *)list, word);
}

/* --- info --- */

static void hmp_info_line(GString *out, const HmpCommand *c)
{
    g_string_append_printf(out, "info %s  -- %s\r\n", c->name, c->help);
}

static void hmp_info_list(const Qmp *q, GString *out)
{
    for (guint i = 0; i < q->hmp->len; i++) {
        hmp_info_line(out, g_array_index(q->hmp, QmpEntry, i).row);
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

static void hmp_try_help(GString *out, const char *command, const char *word)
{
    g_string_append_printf(out, "Try \"help %s%s\" for more information\r\n", command, word);
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
        g_string_append_printf(out, "%s: extraneous characters at the end of line\r\n", words[0]);
        hmp_try_help(out, "info ", words[0]);
    } else {
        ((const HmpCommand *)e->row)->run(e->opaque, out);
    }
}

/* --- actions --- */

static const QmpEntry *hmp_action_find(const Qmp *q, const char *word)
{
    for (guint i = 0; i < q->hmp_actions->len; i++) {
        const QmpEntry *e = &g_array_index(q->hmp_actions, QmpEntry, i);

        if (hmp_is_named(((const HmpAction *)e->row)->name, word)) {
            return e;
        }
    }
    return NULL;
}

static void hmp_action_line(GString *out, const HmpAction *a)
{
    g_string_append_printf(out, "%s %s -- %s\r\n", a->name, a->params, a->help);
}

/* How many words it takes. */
static unsigned hmp_action_words(const HmpAction *a)
{
    switch (a->takes) {
    case HMP_NOTHING:
        return 0;
    case HMP_NAME_ON_OFF:
    case HMP_TWO_NAMES_OR_LESS:
        return 2;
    default:
        return 1;
    }
}

/* @words: behind the command's. False: what is wrong stands in @out. */
static bool hmp_action_args(const HmpAction *a, char **words, HmpArgs *args, GString *out)
{
    unsigned n = g_strv_length(words);

    if (a->takes == HMP_OPTIONS || (a->takes == HMP_REST && n > 0)) {
        return true;
    }
    if (a->takes != HMP_NOTHING && a->takes != HMP_TWO_NAMES_OR_LESS && n == 0) {
        g_string_append_printf(out, "%s: string expected\r\n", a->name);
        return false;
    }
    if (a->takes == HMP_NAME_ON_OFF) {
        args->on = n > 1 && g_str_equal(words[1], "on");
        if (n == 1 || (!args->on && !g_str_equal(words[1], "off"))) {
            g_string_append(out, "Expected 'on' or 'off'\r\n");
            return false;
        }
    }
    if (n > hmp_action_words(a)) {
        g_string_append_printf(out, "%s: extraneous characters at the end of line\r\n", a->name);
        return false;
    }
    args->text = n > 0 ? words[0] : "";
    args->second = n > 1 ? words[1] : "";
    return true;
}

/* @rest: of the line. */
static void hmp_action(const QmpEntry *e, QmpMonitor *m, char **words, const char *rest,
                       GString *out)
{
    const HmpAction *a = e->row;
    HmpArgs args = { .text = rest };
    g_autoptr(GError) error = NULL;

    if (!hmp_action_args(a, words + 1, &args, out)) {
        hmp_try_help(out, "", words[0]);
    } else if (!a->run(e->opaque, m, &args, &error)) {
        GString *text = g_string_new(error->message);

        g_string_replace(text, "\n", "\r\n", 0); /* with a hint for humans */
        g_string_append_printf(out, "Error: %s\r\n", text->str);
        g_string_free(text, TRUE);
    }
}

/* --- help --- */

static const char help_line[] = "help|? [cmd] -- show the help\r\n";

static void hmp_help_list(const Qmp *q, GString *out)
{
    g_string_append_printf(out, "%sinfo [subcommand] -- show various information about the system "
                           "state\r\n", help_line);
    for (guint i = 0; i < q->hmp_actions->len; i++) {
        hmp_action_line(out, g_array_index(q->hmp_actions, QmpEntry, i).row);
    }
}

static void hmp_help_info(const Qmp *q, const char *word, GString *out)
{
    const QmpEntry *e = word ? hmp_info_find(q, word) : NULL;

    if (!word) {
        hmp_info_list(q, out);
    } else if (e) {
        hmp_info_line(out, e->row);
    } else {
        hmp_unknown(out, "info ", word);
    }
}

static void hmp_help(const Qmp *q, char **words, GString *out)
{
    const QmpEntry *e = words[0] ? hmp_action_find(q, words[0]) : NULL;

    if (!words[0]) {
        hmp_help_list(q, out);
    } else if (hmp_is_named("help|?", words[0])) {
        g_string_append(out, help_line);
    } else if (g_str_equal(words[0], "info")) {
        hmp_help_info(q, words[1], out);
    } else if (e) {
        hmp_action_line(out, e->row);
    } else {
        hmp_unknown(out, "", words[0]);
    }
}

/* The words of a line; free it. */
static char **hmp_words(const char *line)
{
    g_auto(GStrv) parts = g_strsplit_set(line, BLANKS, -1);
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

char *hmp_run(QmpMonitor *m, const char *command_line)
{
    const Qmp *q = m->qmp;
    GString *out = g_string_new(NULL);
    g_auto(GStrv) words = hmp_words(command_line);
    const char *rest = command_line + strspn(command_line, BLANKS);
    const QmpEntry *e = words[0] ? hmp_action_find(q, words[0]) : NULL;

    rest += strcspn(rest, BLANKS);
    rest += strspn(rest, BLANKS);
    if (!words[0]) {
        return g_string_free(out, FALSE);
    }
    if (g_str_equal(words[0], "info")) {
        hmp_info(q, words + 1, out);
    } else if (hmp_is_named("help|?", words[0])) {
        hmp_help(q, words + 1, out);
    } else if (e) {
        hmp_action(e, m, words, rest, out);
    } else {
        hmp_unknown(out, "", words[0]);
    }
    return g_string_free(out, FALSE);
}
