/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "globals.h"

#include <string.h>

typedef struct Global {
    char *driver;
    char *property;
    char *value;
} Global;

static const OptMember global_members[] = {
    { "driver", OPT_STR, offsetof(Global, driver) },
    { "property", OPT_STR, offsetof(Global, property) },
    { "value", OPT_STR, offsetof(Global, value) },
    { 0 },
};
static const OptTable global_options = { "global", sizeof(Global), global_members };

void global_free(gpointer opaque)
{
    opt_config_free(&global_options, opaque);
}

/* driver.property=value; NULL: it is not of that form. */
static Global *global_parse_short(const char *arg)
{
    size_t dot = strcspn(arg, ".=");
    size_t equals = dot + strcspn(arg + dot, "=");
    Global *g;

    if (dot == 0 || arg[dot] != '.' || equals == dot + 1 || arg[equals] != '=') {
        return NULL;
    }
    g = g_new0(Global, 1);
    g->driver = g_strndup(arg, dot);
    g->property = g_strndup(arg + dot + 1, equals - dot - 1);
    g->value = g_strdup(arg + equals + 1);
    return g;
}

static Global *global_parse_long(const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, NULL, error);
    Global *g = args ? opt_config_new(&global_options, args, OPT_PARAMETERS, error) : NULL;

    if (g && (!g->driver || !g->property || !g->value)) {
        global_free(g);
        system_set_error(error, "options 'driver', 'property', and 'value' are required");
        return NULL;
    }
    return g;
}

bool global_option(System *s, const char *arg, GError **error)
{
    Global *g = global_parse_short(arg);

    g = g ? g : global_parse_long(arg, error);
    if (g) {
        g_ptr_array_add(s->globals, g);
    }
    return g != NULL;
}

void globals_apply(const System *s, OptDict *args)
{
    const char *driver = opt_dict_get(args, "driver");

    for (guint i = s->globals->len; driver && i > 0; i--) { /* the last one counts */
        const Global *g = g_ptr_array_index(s->globals, i - 1);

        if (g_str_equal(g->driver, driver) && !opt_dict_has(args, g->property)) {
            opt_dict_set(args, g->property, g->value);
        }
    }
}

const char *globals_get(const System *s, const char *driver, const char *property)
{
    for (guint i = s->globals->len; i > 0; i--) {
        const Global *g = g_ptr_array_index(s->globals, i - 1);

        if (g_str_equal(g->driver, driver) && g_str_equal(g->property, property)) {
            return g->value;
        }
    }
    return NULL;
}
