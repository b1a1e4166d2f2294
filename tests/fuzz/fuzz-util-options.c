/*
 * What a user, or a QMP client, can say about an object: text to a config struct.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdint.h>
#include <string.h>

#include "util/options.h"
#include "util/vq-mapping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Config {
    char *id;
    char *name;
    bool flag;
    OnOffAuto mode;
    uint32_t count;
    bool has_count;
    int32_t number;
    uint64_t size;
    char *mac;
    GArray *mapping;
    OptRef below; /* Config * */
} Config;

static const OptTable table;

static const OptMember members[] = {
    { "id", OPT_STR, offsetof(Config, id) },
    { "name", OPT_STR, offsetof(Config, name), .def = "x" },
    { "flag", OPT_BOOL, offsetof(Config, flag), .def = "on" },
    { "mode", OPT_ON_OFF_AUTO, offsetof(Config, mode) },
    { "count", OPT_UINT32, offsetof(Config, count), offsetof(Config, has_count) },
    { "number", OPT_INT32, offsetof(Config, number) },
    { "size", OPT_SIZE, offsetof(Config, size) },
    { "mac", OPT_MAC, offsetof(Config, mac) },
    { "mapping", OPT_LIST, offsetof(Config, mapping), .item = &vq_mapping_item },
    { "bus", OPT_STR, .ignored = true },
    { "below", OPT_REF, offsetof(Config, below), .table = &table },
    { 0 },
};
static const OptTable table = { "thing", sizeof(Config), members, .ref = "ThingRef" };

static void check_config(const Config *c)
{
    g_assert_true(!c->id || opt_id_wellformed(c->id));
    g_assert_nonnull(c->name);
    g_assert_true(!c->mac || strlen(c->mac) == 17);
    for (guint i = 0; c->mapping && i < c->mapping->len; i++) {
        g_assert_nonnull(g_array_index(c->mapping, VqMapping *, i)->iothread);
    }
    g_assert_true(!c->below.name || !c->below.object);
    if (c->below.object) {
        check_config(c->below.object);
    }
}

/* The first byte: which implied key, which words. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_autoptr(OptDict) d = NULL;
    Config *c = NULL;

    if (size < 1 || size > 65536) {
        return 0;
    }
    text = g_strndup((const char *)data + 1, size - 1);
    d = opt_dict_parse(text, data[0] & 1 ? "name" : NULL, &error);
    if (d) {
        (void)opt_dict_wants_help(d);
        c = opt_config_new(&table, d, data[0] & 2 ? OPT_PROPERTIES : OPT_PARAMETERS, &error);
    }
    if (c) {
        g_assert_null(error);
        check_config(c);
        opt_config_free(&table, c);
    } else {
        g_assert_nonnull(error);
        g_assert_cmpint(error->message[0], !=, '\0');
    }
    return 0;
}
