/*
 * -object secret: where qemu-storage-daemon reads a passphrase. We do not: it is told the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "objects.h"

typedef struct SecretConfig {
    char *id;
    char *file;
    int format;
} SecretConfig;

static const char *const formats[] = { "raw", "base64", NULL };
static const OptEnum format = { "QCryptoSecretFormat", formats };
static const OptMember secret_members[] = {
    { "id", OPT_STR, offsetof(SecretConfig, id), .required = true,
      .help = "name, for key-secret= and the like of a -blockdev of qemu-storage-daemon's" },
    { "file", OPT_STR, offsetof(SecretConfig, file), .required = true,
      .help = "that has it; data=, which other users of the host could see, is not supported" },
    { "format", OPT_ENUM, offsetof(SecretConfig, format), .def = "raw", .values = &format,
      .help = "raw or base64" },
    { 0 },
};
const OptTable secret_options = { "secret", sizeof(SecretConfig), secret_members };

typedef struct Secret {
    char *id;
    char *argument; /* of the daemon's --object */
} Secret;

void secret_free(gpointer opaque)
{
    Secret *o = opaque;

    g_free(o->id);
    g_free(o->argument);
    g_free(o);
}

static Secret *secret_new(const SecretConfig *c)
{
    g_autoptr(GPtrArray) said = opt_flat_new();
    Secret *o = g_new0(Secret, 1);

    opt_flat_append(said, "", "qom-type", "secret");
    opt_flat_append(said, "", "id", c->id);
    opt_flat_append(said, "", "file", c->file);
    opt_flat_append(said, "", "format", formats[c->format]);
    o->id = g_strdup(c->id);
    o->argument = opt_flat_to_text(said);
    return o;
}

bool secret_add(System *s, OptDict *args, GError **error)
{
    SecretConfig *c = opt_config_new(&secret_options, args, OPT_PARAMETERS, error);
    bool ok = c && object_check_id(s, c->id, error);

    if (ok) {
        g_ptr_array_add(s->secrets, secret_new(c));
    }
    opt_config_free(&secret_options, c);
    return ok;
}

void *secret_find(System *s, const char *id)
{
    for (guint i = 0; i < s->secrets->len; i++) {
        Secret *o = g_ptr_array_index(s->secrets, i);

        if (g_str_equal(o->id, id)) {
            return o;
        }
    }
    return NULL;
}

GPtrArray *secret_arguments(System *s)
{
    GPtrArray *arguments = g_ptr_array_new();

    for (guint i = 0; i < s->secrets->len; i++) {
        g_ptr_array_add(arguments, ((const Secret *)g_ptr_array_index(s->secrets, i))->argument);
    }
    g_ptr_array_add(arguments, NULL);
    return arguments;
}
