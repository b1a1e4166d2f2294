/*
 * query-qmp-schema: the tables of commands and events in the form of QEMU's SchemaInfo, by
 * which clients find out what there is. As there, types have numbers for names.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp/qmp.h"

#include <string.h>

#include "qmp-internal.h"

/* --- SchemaInfo, a union --- */

typedef struct EnumMemberInfo {
    char *name;
} EnumMemberInfo;

typedef struct MemberInfo {
    char *name;
    char *type;
    struct json_object *def; /* always null: it says that the member is optional */
    bool has_def;
} MemberInfo;

typedef struct VariantInfo {
    char *value;
    char *type;
} VariantInfo;

enum {
    META_BUILTIN, META_ENUM, META_ARRAY, META_OBJECT, META_ALTERNATE, META_COMMAND, META_EVENT
};

typedef struct SchemaInfo {
    char *name;
    int meta_type;
    GArray *features; /* char * */
    void *u;
} SchemaInfo;

typedef struct BuiltinInfo {
    int json_type;
} BuiltinInfo;

typedef struct EnumInfo {
    GArray *members; /* EnumMemberInfo * */
    GArray *values;  /* char *: as clients before QEMU 6.2 know it */
} EnumInfo;

typedef struct ArrayInfo {
    char *element_type;
} ArrayInfo;

typedef struct ObjectInfo {
    GArray *members; /* MemberInfo * */
    char *tag;
    GArray *variants; /* VariantInfo * */
} ObjectInfo;

typedef struct TypeInfo { /* of one of an alternate's types */
    char *type;
} TypeInfo;

typedef struct AlternateInfo {
    GArray *members; /* TypeInfo * */
} AlternateInfo;

typedef struct CallInfo { /* of a command or an event */
    char *arg_type;
    char *ret_type;
} CallInfo;

static const OptMember string_item = { .type = OPT_STR };

static const OptMember enum_member_members[] = {
    { "name", OPT_STR, offsetof(EnumMemberInfo, name), .required = true },
    { 0 },
};
static const OptTable enum_member_table = { "SchemaInfoEnumMember", sizeof(EnumMemberInfo),
                                            enum_member_members };
static const OptMember enum_member_item = { .type = OPT_STRUCT, .table = &enum_member_table };

static const OptMember member_members[] = {
    { "name", OPT_STR, offsetof(MemberInfo, name), .required = true },
    { "default", OPT_ANY, offsetof(MemberInfo, def), offsetof(MemberInfo, has_def) },
    { "type", OPT_STR, offsetof(MemberInfo, type), .required = true },
    { 0 },
};
static const OptTable member_table = { "SchemaInfoObjectMember", sizeof(MemberInfo),
                                       member_members };
static const OptMember member_item = { .type = OPT_STRUCT, .table = &member_table };

static const OptMember variant_members[] = {
    { "case", OPT_STR, offsetof(VariantInfo, value), .required = true },
    { "type", OPT_STR, offsetof(VariantInfo, type), .required = true },
    { 0 },
};
static const OptTable variant_table = { "SchemaInfoObjectVariant", sizeof(VariantInfo),
                                        variant_members };
static const OptMember variant_item = { .type = OPT_STRUCT, .table = &variant_table };

static const OptMember type_members[] = {
    { "type", OPT_STR, offsetof(TypeInfo, type), .required = true },
    { 0 },
};
static const OptTable type_table = { "SchemaInfoAlternateMember", sizeof(TypeInfo), type_members };
static const OptMember type_item = { .type = OPT_STRUCT, .table = &type_table };

static const char *const json_types[] = { "string", "int", "boolean", "value", NULL };
enum { JSON_STRING, JSON_INT, JSON_BOOLEAN, JSON_VALUE };
static const OptEnum json_type_enum = { "JSONType", json_types };
static const OptMember builtin_members[] = {
    { "json-type", OPT_ENUM, offsetof(BuiltinInfo, json_type), .required = true,
      .values = &json_type_enum },
    { 0 },
};
static const OptMember enum_members[] = {
    { "members", OPT_LIST, offsetof(EnumInfo, members), .required = true,
      .item = &enum_member_item },
    { "values", OPT_LIST, offsetof(EnumInfo, values), .required = true, .item = &string_item },
    { 0 },
};
static const OptMember array_members[] = {
    { "element-type", OPT_STR, offsetof(ArrayInfo, element_type), .required = true },
    { 0 },
};
static const OptMember object_members[] = {
    { "members", OPT_LIST, offsetof(ObjectInfo, members), .required = true,
      .item = &member_item },
    { "tag", OPT_STR, offsetof(ObjectInfo, tag) },
    { "variants", OPT_LIST, offsetof(ObjectInfo, variants), .item = &variant_item },
    { 0 },
};
static const OptMember alternate_members[] = {
    { "members", OPT_LIST, offsetof(AlternateInfo, members), .required = true,
      .item = &type_item },
    { 0 },
};
static const OptMember command_members[] = {
    { "arg-type", OPT_STR, offsetof(CallInfo, arg_type), .required = true },
    { "ret-type", OPT_STR, offsetof(CallInfo, ret_type), .required = true },
    { 0 },
};
static const OptMember event_members[] = {
    { "arg-type", OPT_STR, offsetof(CallInfo, arg_type), .required = true },
    { 0 },
};
static const OptTable builtin_table = { "SchemaInfoBuiltin", sizeof(BuiltinInfo),
                                        builtin_members };
static const OptTable enum_table = { "SchemaInfoEnum", sizeof(EnumInfo), enum_members };
static const OptTable array_table = { "SchemaInfoArray", sizeof(ArrayInfo), array_members };
static const OptTable object_table = { "SchemaInfoObject", sizeof(ObjectInfo), object_members };
static const OptTable alternate_table = { "SchemaInfoAlternate", sizeof(AlternateInfo),
                                          alternate_members };
static const OptTable command_table = { "SchemaInfoCommand", sizeof(CallInfo), command_members };
static const OptTable event_table = { "SchemaInfoEvent", sizeof(CallInfo), event_members };

static const char *const meta_types[] = {
    [META_BUILTIN] = "builtin", [META_ENUM] = "enum", [META_ARRAY] = "array",
    [META_OBJECT] = "object", [META_ALTERNATE] = "alternate", [META_COMMAND] = "command",
    [META_EVENT] = "event",
    NULL
};
static const OptEnum meta_type_enum = { "SchemaMetaType", meta_types };
static const OptBranch info_branches[] = {
    { "builtin", &builtin_table }, { "enum", &enum_table },       { "array", &array_table },
    { "object", &object_table },   { "alternate", &alternate_table },
    { "command", &command_table }, { "event", &event_table },
    { 0 },
};
static const OptMember info_members[] = {
    { "name", OPT_STR, offsetof(SchemaInfo, name), .required = true },
    { "meta-type", OPT_ENUM, offsetof(SchemaInfo, meta_type), .required = true,
      .values = &meta_type_enum },
    { "features", OPT_LIST, offsetof(SchemaInfo, features), .item = &string_item },
    { 0 },
};
static const OptTable info_table = { "SchemaInfo", sizeof(SchemaInfo), info_members, "meta-type",
                                     info_branches, offsetof(SchemaInfo, u) };
static const OptMember info_item = { .type = OPT_STRUCT, .table = &info_table };
const OptMember qmp_schema_result = { .type = OPT_LIST, .item = &info_item };

/* --- from tables to it --- */

/* What is made; a type is added when it is first met. */
typedef struct Schema {
    GArray *infos;     /* SchemaInfo * */
    GHashTable *names; /* of a table, enum, alternate or built-in type; arrays by their name */
    unsigned next;
} Schema;

static const OptMember no_members[] = { { 0 } };
static const OptTable no_table = { "nothing", 1, no_members };

static void add_string(GArray **list, const char *s)
{
    char *copy = g_strdup(s);

    if (!*list) {
        *list = g_array_new(FALSE, FALSE, sizeof(char *));
    }
    g_array_append_val(*list, copy);
}

/* @u is its branch. */
static void schema_add(Schema *s, const char *name, int meta_type, void *u)
{
    SchemaInfo *info = g_new0(SchemaInfo, 1);

    info->name = g_strdup(name);
    info->meta_type = meta_type;
    info->u = u;
    g_array_append_val(s->infos, info);
}

/* The name of what @key stands for, if it is known; else a new one, and @ret_new. */
static const char *schema_number(Schema *s, const void *key, bool *ret_new)
{
    const char *name = g_hash_table_lookup(s->names, key);
    char *number;

    *ret_new = !name;
    if (name) {
        return name;
    }
    number = g_strdup_printf("%u", s->next++);
    g_hash_table_insert(s->names, (gpointer)key, number);
    return number;
}

static const char *schema_builtin(Schema *s, const char *name, int json_type)
{
    if (!g_hash_table_contains(s->names, name)) {
        BuiltinInfo *u = g_new0(BuiltinInfo, 1);

        u->json_type = json_type;
        g_hash_table_insert(s->names, (gpointer)name, g_strdup(name));
        schema_add(s, name, META_BUILTIN, u);
    }
    return name;
}

static const char *schema_enum(Schema *s, const OptEnum *e)
{
    bool new;
    const char *name = schema_number(s, e, &new);

    if (new) {
        EnumInfo *u = g_new0(EnumInfo, 1);

        u->members = g_array_new(FALSE, FALSE, sizeof(EnumMemberInfo *));
        for (unsigned i = 0; e->values[i]; i++) {
            EnumMemberInfo *m = g_new0(EnumMemberInfo, 1);

            m->name = g_strdup(e->values[i]);
            g_array_append_val(u->members, m);
            add_string(&u->values, e->values[i]);
        }
        schema_add(s, name, META_ENUM, u);
    }
    return name;
}

static const char *schema_type(Schema *s, const OptMember *m);

static const char *schema_array(Schema *s, const OptMember *item)
{
    const char *element = schema_type(s, item);
    g_autofree char *name = g_strdup_printf("[%s]", element);
    const char *interned = g_intern_string(name);

    if (!g_hash_table_contains(s->names, interned)) {
        ArrayInfo *u = g_new0(ArrayInfo, 1);

        u->element_type = g_strdup(element);
        g_hash_table_insert(s->names, (gpointer)interned, g_strdup(name));
        schema_add(s, name, META_ARRAY, u);
    }
    return interned;
}

static bool table_has(const OptTable *table, const char *name)
{
    for (const OptMember *m = table ? table->members : NULL; m && m->name; m++) {
        if (g_str_equal(m->name, name)) {
            return true;
        }
    }
    return false;
}

static const char *schema_object(Schema *s, const OptTable *table, const OptTable *base);

static void schema_variants(Schema *s, const OptTable *table, ObjectInfo *u)
{
    u->tag = g_strdup(table->tag);
    u->variants = g_array_new(FALSE, FALSE, sizeof(VariantInfo *));
    for (const OptBranch *b = table->branches; b->value; b++) {
        VariantInfo *v = g_new0(VariantInfo, 1);

        v->value = g_strdup(b->value);
        v->type = g_strdup(schema_object(s, b->table, table));
        g_array_append_val(u->variants, v);
    }
}

/* @base: whose branch it is, or NULL; what that has is not told twice. */
static const char *schema_object(Schema *s, const OptTable *table, const OptTable *base)
{
    bool new;
    const char *name = schema_number(s, table, &new);
    ObjectInfo *u;

    if (!new) {
        return name;
    }
    u = g_new0(ObjectInfo, 1);
    u->members = g_array_new(FALSE, FALSE, sizeof(MemberInfo *));
    for (const OptMember *m = table->members; m->name; m++) {
        MemberInfo *info;

        if (table_has(base, m->name)) {
            continue;
        }
        info = g_new0(MemberInfo, 1);
        info->name = g_strdup(m->name);
        info->type = g_strdup(schema_type(s, m));
        info->has_def = !m->required;
        g_array_append_val(u->members, info);
    }
    if (table->tag) {
        schema_variants(s, table, u);
    }
    schema_add(s, name, META_OBJECT, u);
    return name;
}

static void schema_alternative(AlternateInfo *u, const char *type)
{
    TypeInfo *info = g_new0(TypeInfo, 1);

    info->type = g_strdup(type);
    g_array_append_val(u->members, info);
}

/* An OPT_REF: @m is what its number stands for. */
static const char *schema_alternate(Schema *s, const OptMember *m)
{
    bool new;
    const char *name = schema_number(s, m, &new);

    if (new) {
        AlternateInfo *u = g_new0(AlternateInfo, 1);

        u->members = g_array_new(FALSE, FALSE, sizeof(TypeInfo *));
        schema_alternative(u, schema_object(s, m->table, NULL));
        schema_alternative(u, schema_builtin(s, "str", JSON_STRING));
        schema_add(s, name, META_ALTERNATE, u);
    }
    return name;
}

static const char *schema_type(Schema *s, const OptMember *m)
{
    switch (m->type) {
    case OPT_STR:
    case OPT_MAC:
        return schema_builtin(s, "str", JSON_STRING);
    case OPT_BOOL:
    case OPT_ON_OFF_AUTO:
        return schema_builtin(s, "bool", JSON_BOOLEAN);
    case OPT_ENUM:
        return schema_enum(s, m->values);
    case OPT_STRUCT:
        return schema_object(s, m->table, NULL);
    case OPT_REF:
        return schema_alternate(s, m);
    case OPT_LIST:
        return schema_array(s, m->item);
    case OPT_ANY:
        return schema_builtin(s, "any", JSON_VALUE);
    default:
        return schema_builtin(s, "int", JSON_INT);
    }
}

static void schema_command(Schema *s, const QmpCommand *c)
{
    CallInfo *u = g_new0(CallInfo, 1);
    SchemaInfo *info;

    u->arg_type = g_strdup(schema_object(s, c->args ? c->args : &no_table, NULL));
    u->ret_type = g_strdup(c->returns ? schema_type(s, c->returns)
                                      : schema_object(s, &no_table, NULL));
    schema_add(s, c->name, META_COMMAND, u);
    info = g_array_index(s->infos, SchemaInfo *, s->infos->len - 1);
    for (unsigned i = 0; c->features && c->features[i]; i++) {
        add_string(&info->features, c->features[i]);
    }
}

static void schema_event(Schema *s, const QmpEvent *e)
{
    CallInfo *u = g_new0(CallInfo, 1);

    u->arg_type = g_strdup(schema_object(s, e->data ? e->data : &no_table, NULL));
    schema_add(s, e->name, META_EVENT, u);
}

GArray *qmp_schema(const Qmp *q)
{
    Schema s = {
        .infos = g_array_new(FALSE, FALSE, sizeof(SchemaInfo *)),
        .names = g_hash_table_new_full(NULL, NULL, NULL, g_free),
    };

    for (guint i = 0; i < q->commands->len; i++) {
        schema_command(&s, g_array_index(q->commands, QmpEntry, i).row);
    }
    for (guint i = 0; i < q->events->len; i++) {
        schema_event(&s, g_array_index(q->events, QmpEntry, i).row);
    }
    g_hash_table_unref(s.names);
    return s.infos;
}
