/*
 * The registry: commands, events and the human monitor's commands, as their owners
 * registered them, and how a command is run by its tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp/qmp.h"

#include "qmp-internal.h"

static const OptMember no_members[] = { { 0 } };
static const OptTable no_args = { "no arguments", 1, no_members };

/* The result of any command has room in it: all are pointers, or smaller. */
typedef union QmpValue {
    void *pointer;
    uint64_t number;
} QmpValue;

static void qmp_add(GArray *entries, const void *row, void *opaque)
{
    QmpEntry e = { row, opaque };

    g_array_append_val(entries, e);
}

void qmp_register(Qmp *q, const QmpCommand *commands, void *opaque)
{
    for (const QmpCommand *c = commands; c->name; c++) {
        g_assert(!qmp_command_find(q, c->name));
        g_assert(!c->run != !c->run_dict);
        g_assert(!c->run_dict || !c->returns);
        qmp_add(q->commands, c, opaque);
    }
}

void qmp_register_events(Qmp *q, const QmpEvent *events)
{
    for (const QmpEvent *e = events; e->name; e++) {
        qmp_add(q->events, e, NULL);
    }
}

void qmp_register_hmp(Qmp *q, const HmpCommand *commands, void *opaque)
{
    for (const HmpCommand *c = commands; c->name; c++) {
        qmp_add(q->hmp, c, opaque);
    }
}

void qmp_register_hmp_actions(Qmp *q, const HmpAction *actions, void *opaque)
{
    for (const HmpAction *a = actions; a->name; a++) {
        qmp_add(q->hmp_actions, a, opaque);
    }
}

const QmpEntry *qmp_command_find(const Qmp *q, const char *name)
{
    for (guint i = 0; i < q->commands->len; i++) {
        const QmpEntry *e = &g_array_index(q->commands, QmpEntry, i);

        if (g_str_equal(((const QmpCommand *)e->row)->name, name)) {
            return e;
        }
    }
    return NULL;
}

/* With its arguments parsed. */
static struct json_object *qmp_command_call(const QmpEntry *e, QmpMonitor *m, const void *args,
                                            GError **error)
{
    const QmpCommand *c = e->row;
    QmpValue value = { 0 };
    struct json_object *result = NULL;

    if (c->run(e->opaque, m, args, c->returns ? &value : NULL, error)) {
        result = c->returns ? opt_value_to_json(c->returns, &value) : json_object_new_object();
        g_assert(!c->returns || opt_value_matches(c->returns, result));
    }
    if (c->returns) {
        opt_value_clear(c->returns, &value);
    }
    return result;
}

struct json_object *qmp_command_run(const QmpEntry *e, QmpMonitor *m,
                                    struct json_object *arguments, GError **error)
{
    const QmpCommand *c = e->row;
    const OptTable *table = c->args ? c->args : &no_args;
    g_autoptr(OptDict) dict = opt_dict_from_json(arguments);
    struct json_object *result;
    void *args;

    if (c->run_dict) {
        return c->run_dict(e->opaque, m, dict, error) ? json_object_new_object() : NULL;
    }
    args = opt_config_new(table, dict, OPT_PARAMETERS, error);
    if (!args) {
        return NULL;
    }
    result = qmp_command_call(e, m, args, error);
    opt_config_free(table, args);
    return result;
}
