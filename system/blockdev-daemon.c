/*
 * Block nodes of drivers that qemu-storage-daemon has and we have not: it gets what the user said,
 * but for the names of nodes of ours, in whose place it gets what the user said of those.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "blockdevs.h"

#include <string.h>

#include "objects.h"

/* "driver", "file.driver", "file.file.driver"... */
static bool is_driver(const char *key)
{
    while (g_str_has_prefix(key, "file.")) {
        key += strlen("file.");
    }
    return g_str_equal(key, "driver");
}

bool blockdev_needs_daemon(const GPtrArray *options)
{
    for (guint i = 0; i < options->len; i++) {
        const OptFlat *f = g_ptr_array_index(options, i);

        if (is_driver(f->key) && blockdev_driver_find(f->value) > BLOCKDEV_RAW) {
            return true;
        }
    }
    return false;
}

/* Whether the value of @key may be the name of a node. "" is none, as JSON's null. */
static bool is_reference(const OptFlat *f)
{
    static const char *const names[] = { "file", "backing", "data-file", NULL };
    const char *dot = strrchr(f->key, '.');

    return f->value[0] != '\0' && g_strv_contains(names, dot ? dot + 1 : f->key);
}

typedef struct Resolve {
    System *system;
    GPtrArray *said; /* OptFlat *: for the daemon */
    GPtrArray *refs; /* BlockObject *: those that the new node is over */
} Resolve;

static bool resolve(const Resolve *r, const GPtrArray *options, const char *prefix,
                    GError **error);

/* What a node was made with, in the place of its name. Those that it is over are its own. */
static bool resolve_reference(const Resolve *r, const OptFlat *f, const char *prefix,
                              GError **error)
{
    bool outermost = prefix[0] == '\0';
    g_autofree char *below = g_strconcat(prefix, f->key, ".", NULL);
    BlockObject *o = outermost ? blockdev_find_free(r->system, f->value, error)
                               : blockdev_find(r->system, f->value);

    if (!o) {
        return false;
    }
    if (!o->options) { /* of a -drive, or below another node */
        return system_set_error(error, "Block device %s is in use", f->value);
    }
    if (outermost) {
        g_ptr_array_add(r->refs, o);
    }
    return resolve(r, o->options, below, error);
}

static bool resolve(const Resolve *r, const GPtrArray *options, const char *prefix, GError **error)
{
    for (guint i = 0; i < options->len; i++) {
        const OptFlat *f = g_ptr_array_index(options, i);

        if (is_reference(f)) {
            if (!resolve_reference(r, f, prefix, error)) {
                return false;
            }
        } else if (!g_str_equal(f->key, "node-name")) {
            opt_flat_append(r->said, prefix, f->key, f->value);
        }
    }
    return true;
}

/* What is no boolean is the daemon's to complain of. */
static bool get_bool(const GPtrArray *options, const char *key)
{
    const char *value = opt_flat_get(options, key);
    bool on = false;

    return value && opt_parse_bool(value, &on) && on;
}

static BlockConfig daemon_config(const GPtrArray *options)
{
    return (BlockConfig){
        .driver = opt_flat_get(options, "driver"),
        .read_only = get_bool(options, "read-only"),
        .auto_read_only = get_bool(options, "auto-read-only"),
        .direct = get_bool(options, "cache.direct"),
        .no_flush = get_bool(options, "cache.no-flush"),
        .discard = g_strcmp0(opt_flat_get(options, "discard"), "unmap") == 0,
    };
}

/* How the image is called: what the daemon is given, where it is no file. */
static const char *daemon_filename(const GPtrArray *said, const char *text)
{
    static const char *const keys[] = { "filename", "file.filename", "file.file.filename" };

    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        const char *name = opt_flat_get(said, keys[i]);

        if (name) {
            return name;
        }
    }
    return text;
}

static bool check_driver(const char *name, GError **error)
{
    if (!name) {
        return system_set_error(error, "Parameter 'driver' is missing");
    }
    return blockdev_driver_find(name) >= 0 ||
           system_set_error(error, "Parameter 'driver' does not accept value '%s'", name);
}

BlockObject *blockdev_open_daemon(System *s, GPtrArray *options, GError **error)
{
    g_autoptr(GPtrArray) said = opt_flat_new();
    g_autoptr(GPtrArray) refs = g_ptr_array_new();
    Resolve r = { .system = s, .said = said, .refs = refs };
    BlockConfig config = daemon_config(options);
    g_autoptr(GPtrArray) secrets = secret_arguments(s);
    g_autofree char *text = NULL;
    BlockObject *o;

    if (!check_driver(config.driver, error) || !resolve(&r, options, "", error)) {
        return NULL;
    }
    text = opt_flat_to_text(said);
    config.options = text;
    config.objects = (const char *const *)secrets->pdata;
    config.filename = daemon_filename(said, text);
    o = blockdev_new(s, opt_flat_get(options, "node-name"), &config, error);
    if (o) {
        for (guint i = 0; i < refs->len; i++) {
            ((BlockObject *)g_ptr_array_index(refs, i))->above = o;
        }
        o->refs = g_steal_pointer(&refs);
    }
    return o;
}
