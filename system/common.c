/*
 * What the files of this folder share: errors, help, and things by their ids.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

#include <stdarg.h>

bool system_set_error(GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_propagate_error(error, g_error_new_valist(QMP_ERROR, QMP_ERROR_GENERIC, fmt, ap));
    va_end(ap);
    return false;
}

char *system_help_topic(const char *arg, const char *implied_key)
{
    g_autoptr(OptDict) args = NULL;

    if (g_str_equal(arg, "help") || g_str_equal(arg, "?")) {
        return g_strdup("");
    }
    args = opt_dict_parse(arg, implied_key, NULL);
    return args && opt_dict_wants_help(args) ? g_strdup(opt_dict_get(args, implied_key)) : NULL;
}

char *system_options_help(const OptTable *table, const char *arg, const char *implied_key)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, implied_key, NULL);

    return args && opt_dict_wants_help(args) ? opt_table_help(table) : NULL;
}

void *system_find(const GPtrArray *objects, const char *id)
{
    for (guint i = 0; i < objects->len; i++) {
        void *o = g_ptr_array_index(objects, i);

        if (g_str_equal(*(char *const *)o, id)) {
            return o;
        }
    }
    return NULL;
}
