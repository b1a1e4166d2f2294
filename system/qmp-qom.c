/*
 * QMP: the types that there are, as QEMU's object model has them: classes of devices, machines,
 * accelerators and objects, each with the options of its table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "objects.h"

#include "qmp-commands.h"

#include <string.h>

/* A type; the strings are those of whoever has it, but for the name. */
typedef struct QomType {
    char *name;
    const char *parent;      /* NULL: none */
    const OptTable *options; /* NULL: it has none of its own */
    bool abstract;
} QomType;

static void qom_type_clear(gpointer opaque)
{
    g_free(((QomType *)opaque)->name);
}

static void qom_add(GArray *types, char *name, const char *parent, const OptTable *options)
{
    QomType type = { name, parent, options, false };

    g_array_append_val(types, type);
}

static void qom_add_abstract(GArray *types)
{
    static const char *const names[] = { "object", "device", "machine", "accel" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        QomType type = { g_strdup(names[i]), i == 0 ? NULL : "object", NULL, true };

        g_array_append_val(types, type);
    }
}

/* All of them; a GArray of QomType. */
static GArray *qom_types(const System *s)
{
    static const char *const accels[] = { "qtest-accel", "tcg-accel", "xen-accel" };
    const DeviceClass *const *classes = device_registry_classes(s->devices);
    GArray *types = g_array_new(FALSE, FALSE, sizeof(QomType));

    g_array_set_clear_func(types, qom_type_clear);
    qom_add_abstract(types);
    for (size_t i = 0; i < G_N_ELEMENTS(accels); i++) {
        qom_add(types, g_strdup(accels[i]), "accel", NULL);
    }
    for (const MachineType *m = machine_types(); m->name; m++) {
        qom_add(types, g_strdup_printf("%s-machine", m->name), "machine", machine_options(m));
    }
    for (unsigned i = 0; object_types[i]; i++) {
        qom_add(types, g_strdup(object_types[i]), "object", object_options(object_types[i]));
    }
    for (size_t i = 0; classes[i]; i++) {
        qom_add(types, g_strdup(device_class_name(classes[i])), "device", classes[i]->options);
    }
    return types;
}

static const QomType *qom_find(const GArray *types, const char *name)
{
    for (guint i = 0; i < types->len; i++) {
        const QomType *t = &g_array_index(types, QomType, i);

        if (g_str_equal(t->name, name)) {
            return t;
        }
    }
    return NULL;
}

/* It is a @name, or its parent is. */
static bool qom_is_a(const GArray *types, const QomType *t, const char *name)
{
    while (t && !g_str_equal(t->name, name)) {
        t = t->parent ? qom_find(types, t->parent) : NULL;
    }
    return t != NULL;
}

/* --- qom-list-types --- */

typedef struct TypesArgs {
    char *implements;
    bool abstract;
} TypesArgs;

static const OptMember types_members[] = {
    { "implements", OPT_STR, offsetof(TypesArgs, implements) },
    { "abstract", OPT_BOOL, offsetof(TypesArgs, abstract) },
    { 0 },
};
static const OptTable types_args = { "qom-list-types", sizeof(TypesArgs), types_members };

typedef struct TypeInfo {
    char *name;
    bool abstract;
    char *parent;
} TypeInfo;

static const OptMember type_members[] = {
    { "name", OPT_STR, offsetof(TypeInfo, name), .required = true },
    { "abstract", OPT_BOOL, offsetof(TypeInfo, abstract) },
    { "parent", OPT_STR, offsetof(TypeInfo, parent) },
    { 0 },
};
static const OptTable type_table = { "ObjectTypeInfo", sizeof(TypeInfo), type_members };
static const OptMember type_item = { .type = OPT_STRUCT, .table = &type_table };
static const OptMember types_result = { .type = OPT_LIST, .item = &type_item };

static bool qom_list_types(void *opaque, QmpMonitor *m, const void *args, void *ret,
                           GError **error)
{
    const TypesArgs *wanted = args;
    g_autoptr(GArray) types = qom_types(opaque);
    GArray *list = g_array_new(FALSE, FALSE, sizeof(TypeInfo *));

    for (guint i = 0; i < types->len; i++) {
        const QomType *t = &g_array_index(types, QomType, i);
        TypeInfo *info;

        if ((t->abstract && !wanted->abstract) ||
            (wanted->implements && !qom_is_a(types, t, wanted->implements))) {
            continue;
        }
        info = g_new0(TypeInfo, 1);
        info->name = g_strdup(t->name);
        info->abstract = t->abstract;
        info->parent = g_strdup(t->parent);
        g_array_append_val(list, info);
    }
    *(GArray **)ret = list;
    return true;
}

/* --- device-list-properties, qom-list-properties --- */

typedef struct PropertiesArgs {
    char *typename;
} PropertiesArgs;

static const OptMember properties_members[] = {
    { "typename", OPT_STR, offsetof(PropertiesArgs, typename), .required = true },
    { 0 },
};
static const OptTable properties_args = { "typename", sizeof(PropertiesArgs), properties_members };

typedef struct PropertyInfo {
    char *name;
    char *type;
    char *description;
} PropertyInfo;

static const OptMember property_members[] = {
    { "name", OPT_STR, offsetof(PropertyInfo, name), .required = true },
    { "type", OPT_STR, offsetof(PropertyInfo, type), .required = true },
    { "description", OPT_STR, offsetof(PropertyInfo, description) },
    { 0 },
};
static const OptTable property_table = { "ObjectPropertyInfo", sizeof(PropertyInfo),
                                         property_members };
static const OptMember property_item = { .type = OPT_STRUCT, .table = &property_table };
static const OptMember properties_result = { .type = OPT_LIST, .item = &property_item };

static GArray *qom_properties(const OptTable *options)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(PropertyInfo *));

    for (const OptMember *m = options ? options->members : NULL; m && m->name; m++) {
        PropertyInfo *info;

        if (g_str_equal(m->name, "id")) {
            continue; /* no property in QEMU */
        }
        info = g_new0(PropertyInfo, 1);
        info->name = g_strdup(m->name);
        info->type = opt_type_name(m);
        info->description = g_strdup(m->ignored ? "accepted, no effect" : m->help);
        g_array_append_val(list, info);
    }
    return list;
}

/* The type that @args names; NULL: the error, in which it is a @what. */
static const QomType *qom_wanted(const GArray *types, const PropertiesArgs *args, const char *what,
                                 GError **error)
{
    const QomType *t = qom_find(types, args->typename);

    if (!t) {
        g_set_error(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_FOUND, "%s '%s' not found", what,
                    args->typename);
    }
    return t;
}

static bool device_list_properties(void *opaque, QmpMonitor *m, const void *args, void *ret,
                                   GError **error)
{
    g_autoptr(GArray) types = qom_types(opaque);
    const QomType *t = qom_wanted(types, args, "Device", error);

    if (!t) {
        return false;
    }
    if (t->abstract || !qom_is_a(types, t, "device")) {
        return system_set_error(error, "Parameter 'typename' expects a %sdevice type",
                                g_str_equal(t->name, "device") ? "non-abstract " : "");
    }
    *(GArray **)ret = qom_properties(t->options);
    return true;
}

static bool qom_list_properties(void *opaque, QmpMonitor *m, const void *args, void *ret,
                                GError **error)
{
    g_autoptr(GArray) types = qom_types(opaque);
    const QomType *t = qom_wanted(types, args, "Class", error);

    if (t) {
        *(GArray **)ret = qom_properties(t->options);
    }
    return t != NULL;
}

void qmp_qom_register(System *s)
{
    static const QmpCommand commands[] = {
        { "qom-list-types", &types_args, &types_result, qom_list_types },
        { "device-list-properties", &properties_args, &properties_result,
          device_list_properties },
        { "qom-list-properties", &properties_args, &properties_result, qom_list_properties },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
}
