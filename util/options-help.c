/*
 * The help of a table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/options.h"

#include <string.h>

#include "options-internal.h"

#define HELP_COLUMN 24 /* where "- description" starts, as in QEMU */

static int opt_member_compare(const void *a, const void *b)
{
    const OptMember *const *x = a;
    const OptMember *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

char *opt_type_name(const OptMember *m)
{
    g_autofree char *item = NULL;

    switch (m->type) {
    case OPT_ENUM:
        return g_strdup(m->values->name);
    case OPT_STRUCT:
        return g_strdup(m->table->name);
    case OPT_REF:
        return g_strdup(m->table->ref);
    case OPT_LIST:
        item = opt_type_name(m->item);
        return g_strdup_printf("%sList", item);
    default:
        return g_strdup(opt_type(m)->name);
    }
}

static void opt_member_help(GString *out, const OptMember *m)
{
    gsize start = out->len;
    const char *help = m->ignored ? "accepted for compatibility, no effect" : m->help;
    g_autofree char *type = opt_type_name(m);

    g_string_append_printf(out, "  %s=<%s>", m->name, type);
    if (help || m->def) {
        while (out->len - start < HELP_COLUMN) {
            g_string_append_c(out, ' ');
        }
        g_string_append_printf(out, " - %s", help ? help : "");
    }
    if (m->def) {
        g_string_append_printf(out, " (default: %s)", m->def);
    }
    g_string_append_c(out, '\n');
}

static void opt_add_members(GPtrArray *all, const OptTable *table)
{
    for (const OptMember *m = table->members; m->name; m++) {
        g_ptr_array_add(all, (gpointer)m);
    }
}

static char *opt_members_help(const char *name, GPtrArray *members)
{
    GString *out = g_string_new(NULL);

    g_ptr_array_sort(members, opt_member_compare);
    g_string_append_printf(out, "%s options:\n", name);
    for (guint i = 0; i < members->len; i++) {
        opt_member_help(out, g_ptr_array_index(members, i));
    }
    return g_string_free(out, FALSE);
}

char *opt_table_help(const OptTable *table)
{
    g_autoptr(GPtrArray) members = g_ptr_array_new();

    opt_add_members(members, table);
    return opt_members_help(table->name, members);
}

char *opt_branch_help(const OptTable *table, const char *value)
{
    g_autoptr(GPtrArray) members = g_ptr_array_new();
    const OptTable *branch = opt_branch_of(table, value);

    if (!branch) {
        return NULL;
    }
    opt_add_members(members, table);
    opt_add_members(members, branch);
    return opt_members_help(value, members);
}
