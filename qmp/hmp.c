/*
 * The human monitor, as far as tools use it through QMP.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp/qmp.h"

#include <string.h>

#include "qmp-internal.h"

#define MAX_SHOWN_WORD 64u

char *hmp_run(const Qmp *q, const char *command_line)
{
    GString *out = g_string_new(NULL);
    g_autofree char *command = g_strstrip(g_strdup(command_line));
    size_t word = MIN(strcspn(command, " "), MAX_SHOWN_WORD);

    for (guint i = 0; i < q->hmp->len; i++) {
        const QmpEntry *e = &g_array_index(q->hmp, QmpEntry, i);
        const HmpCommand *c = e->row;

        if (g_str_equal(c->name, command)) {
            c->run(e->opaque, out);
            return g_string_free(out, FALSE);
        }
    }
    while (word > 0 && ((guchar)command[word] & 0xc0) == 0x80) {
        word--; /* not in the middle of a character */
    }
    g_string_append_printf(out, "unknown command: '%.*s'\r\n", (int)word, command);
    return g_string_free(out, FALSE);
}
