/*
 * From an OptDict to a config struct, by a table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/options.h"

#include "options-internal.h"

#define MAX_NESTING 64u /* of objects that are in each other: it costs stack */

/* Has room for a value of any type. */
typedef union OptValue {
    OptRef ref;
    uint64_t number;
} OptValue;

/* What errors call @name of the object at @path. Free it. */
static char *opt_path(const char *path, const char *name)
{
    return path ? g_strdup_printf("%s.%s", path, name) : g_strdup(name);
}

static bool opt_check_id(const OptCtx *c, GError **error)
{
    if (c->m->type == OPT_STR && !c->m->lookup && g_str_equal(c->m->name, "id") &&
        !opt_id_wellformed(*(char **)c->slot)) {
        opt_error(error, "Parameter '%s' expects an identifier\nIdentifiers consist of letters, "
                  "digits, '-', '.', '_', starting with a letter.", c->name);
        return false;
    }
    return true;
}

/* Only a Parameter has keys below it: a Property is JSON or a plain value, as in QEMU. */
static OptDict *opt_dotted(const OptCtx *c)
{
    bool nests = c->m->type == OPT_STRUCT || c->m->type == OPT_LIST || c->m->type == OPT_REF;

    return nests && c->words == OPT_PARAMETERS ? opt_dict_take_dotted(c->from, c->m->name) : NULL;
}

/* What has no effect has a type: JSON of another one is as wrong as in QEMU. */
static bool opt_ignore_member(OptCtx *c, const OptEntry *e, GError **error)
{
    OptValue value = { 0 };
    bool ok;

    opt_dict_use(c->from, c->m->name);
    if (!e || e->text || c->words == OPT_PROPERTIES) {
        return true;
    }
    c->slot = &value;
    c->text = NULL;
    c->json = e->json;
    c->dotted = NULL;
    ok = opt_type(c->m)->set(c, error);
    opt_value_clear(c->m, &value);
    return ok;
}

/* @c has what is the same for all members; @config is the struct. */
static bool opt_set_member(OptCtx *c, void *config, GError **error)
{
    const OptMember *m = c->m;
    OptDict *d = c->from;
    const OptEntry *e = opt_dict_find(d, m->name);
    g_autofree char *name = opt_path(c->path, m->name);
    g_autoptr(OptDict) dotted = NULL;

    c->name = name;
    if (m->ignored) {
        return opt_ignore_member(c, e, error);
    }
    dotted = e ? NULL : opt_dotted(c);
    if (!e && !dotted && m->required) {
        opt_error(error, "Parameter '%s' is missing", name);
        return false;
    }
    if (!e && !dotted && !m->def) {
        return true;
    }
    c->slot = opt_slot(m, config);
    c->text = e ? e->text : dotted ? NULL : m->def;
    c->json = e ? e->json : NULL;
    c->dotted = dotted;
    if (!opt_type(m)->set(c, error) || !opt_check_id(c, error)) {
        return false;
    }
    if ((e || dotted) && m->has_offset != 0) {
        *(bool *)((char *)config + m->has_offset) = true;
    }
    opt_dict_use(d, m->name);
    return true;
}

const char *opt_table_owner(const OptTable *table)
{
    return table->owner ? table->owner : table->name;
}

static bool opt_table_has(const OptTable *table, const char *name)
{
    for (const OptMember *m = table ? table->members : NULL; m && m->name; m++) {
        if (g_str_equal(m->name, name)) {
            return true;
        }
    }
    return false;
}

/* Names the first key that is no member, of @branch neither (which may be NULL). */
static bool opt_check_unknown(const OptCtx *c, const OptTable *branch, GError **error)
{
    for (guint i = 0; i < c->from->entries->len; i++) {
        const OptEntry *e = g_ptr_array_index(c->from->entries, i);
        g_autofree char *name = NULL;

        if (e->used || opt_table_has(c->table, e->key) || opt_table_has(branch, e->key)) {
            continue;
        }
        name = opt_path(c->path, e->key);
        if (c->words == OPT_PROPERTIES) {
            opt_error(error, "Property '%s.%s' not found", c->table->name, name);
        } else if (e->text && !c->table->keyval) {
            opt_error(error, "Invalid parameter '%s'", name);
        } else {
            opt_error(error, "Parameter '%s' is unexpected", name);
        }
        return false;
    }
    return true;
}

static bool opt_set_members(OptCtx *c, const OptTable *table, void *config, GError **error)
{
    for (c->m = table->members; c->m->name; c->m++) {
        if (!opt_set_member(c, config, error)) {
            return false;
        }
    }
    return true;
}

const OptTable *opt_branch_of(const OptTable *table, const char *value)
{
    for (const OptBranch *b = table->branches; b && b->value; b++) {
        if (g_strcmp0(b->value, value) == 0) {
            return b->table;
        }
    }
    return NULL;
}

const OptTable *opt_branch(const OptTable *table, const void *config)
{
    const OptMember *m = table->members;

    if (!table->tag) {
        return NULL;
    }
    while (!g_str_equal(m->name, table->tag)) {
        m++;
    }
    return opt_branch_of(table, m->values->values[*(const int *)opt_slot(m, (void *)config)]);
}

static void **opt_branch_slot(const OptTable *table, void *config)
{
    return (void **)(void *)((char *)config + table->branch_offset);
}

static bool opt_object_fill(OptCtx *c, void *config, GError **error)
{
    const OptTable *branch;
    void **slot;

    if (!opt_set_members(c, c->table, config, error)) {
        return false;
    }
    branch = opt_branch(c->table, config);
    if (branch) {
        slot = opt_branch_slot(c->table, config);
        *slot = g_malloc0(branch->size);
        if (!opt_set_members(c, branch, *slot, error)) {
            return false;
        }
    }
    return opt_check_unknown(c, branch, error);
}

static bool opt_is_too_deep(const char *path)
{
    unsigned n = 0;

    for (const char *p = path; p && *p != '\0'; p++) {
        n += *p == '.';
    }
    return n >= MAX_NESTING;
}

void *opt_object_new(const OptTable *table, OptDict *d, OptWords words, const char *path,
                     GError **error)
{
    OptCtx c = { .table = table, .words = words, .path = path, .from = d };
    void *config;

    if (opt_is_too_deep(path)) {
        opt_error(error, "there are more than %u objects in each other", MAX_NESTING);
        return NULL;
    }
    /* QEMU: a device asks for what it misses when it has all its properties */
    if (words == OPT_PROPERTIES && !opt_check_unknown(&c, NULL, error)) {
        return NULL;
    }
    config = g_malloc0(table->size);
    if (!opt_object_fill(&c, config, error)) {
        opt_config_free(table, config);
        return NULL;
    }
    return config;
}

void *opt_config_new(const OptTable *table, OptDict *d, OptWords words, GError **error)
{
    return opt_object_new(table, d, words, NULL, error);
}

static void opt_members_clear(const OptTable *table, void *config)
{
    for (const OptMember *m = table->members; m->name; m++) {
        if (!m->ignored) {
            opt_value_clear(m, opt_slot(m, config));
        }
    }
}

void opt_config_free(const OptTable *table, void *config)
{
    const OptTable *branch;

    if (!config) {
        return;
    }
    branch = opt_branch(table, config);
    if (branch) {
        opt_config_free(branch, *opt_branch_slot(table, config));
    }
    opt_members_clear(table, config);
    g_free(config);
}

void opt_value_clear(const OptMember *m, void *slot)
{
    if (opt_type(m)->clear) {
        opt_type(m)->clear(m, slot);
    }
}
