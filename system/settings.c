/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "settings.h"

#include <string.h>

#include "util/log.h"

typedef struct NameConfig {
    char *guest;
} NameConfig;

static const OptMember name_members[] = {
    { "guest", OPT_STR, offsetof(NameConfig, guest), .help = "what query-name says" },
    { "debug-threads", OPT_BOOL, .ignored = true },
    { "process", OPT_STR, .ignored = true },
    { 0 },
};
const OptTable name_options = { "name", sizeof(NameConfig), name_members };

typedef struct MemoryConfig {
    char *size;
} MemoryConfig;

static const OptMember memory_members[] = {
    { "size", OPT_STR, offsetof(MemoryConfig, size) },
    { "maxmem", OPT_STR, .ignored = true },
    { "slots", OPT_STR, .ignored = true },
    { 0 },
};
const OptTable memory_options = { "m", sizeof(MemoryConfig), memory_members };

typedef struct MsgConfig {
    bool timestamp;
} MsgConfig;

static const OptMember msg_members[] = {
    { "timestamp", OPT_BOOL, offsetof(MsgConfig, timestamp),
      .help = "begin lines of the log with the time" },
    { "guest-name", OPT_BOOL, .ignored = true },
    { 0 },
};
const OptTable msg_options = { "msg", sizeof(MsgConfig), msg_members };

static void *settings_parse(const OptTable *table, const char *arg, const char *implied,
                            GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, implied, error);

    return args ? opt_config_new(table, args, OPT_PARAMETERS, error) : NULL;
}

char *name_help(const char *arg, GError **error)
{
    return system_options_help(&name_options, arg, "guest");
}

char *messages_help(const char *arg, GError **error)
{
    return system_options_help(&msg_options, arg, NULL);
}

char *display_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "type");

    return topic ? g_strdup("Available display backend types:\nnone\n") : NULL;
}

static void settings_replace(char **slot, char *value)
{
    g_free(*slot);
    *slot = value;
}

bool set_name(System *s, const char *arg, GError **error)
{
    NameConfig *config = settings_parse(&name_options, arg, "guest", error);

    if (!config) {
        return false;
    }
    settings_replace(&s->guest_name, g_steal_pointer(&config->guest));
    opt_config_free(&name_options, config);
    return true;
}

bool set_no_reboot(System *s, const char *arg, GError **error)
{
    s->no_reboot = true;
    return true;
}

bool set_memory(System *s, const char *arg, GError **error)
{
    MemoryConfig *config = settings_parse(&memory_options, arg, "size", error);
    bool ok;

    if (!config) {
        return false;
    }
    s->ram_given = config->size != NULL;
    ok = !config->size || opt_parse_size(config->size, 'M', &s->ram_size);
    opt_config_free(&memory_options, config);
    return ok || system_set_error(error, "Parameter 'size' expects a non-negative number below "
                                  "2^64\nOptional suffix k, M, G, T, P or E means kilo-, mega-, "
                                  "giga-, tera-, peta-\nand exabytes, respectively.");
}

bool set_domid(System *s, const char *arg, GError **error)
{
    uint64_t domid;

    if (!opt_parse_uint(arg, XEN_MAX_DOMID, &domid)) {
        return system_set_error(error, "not a valid domid: '%s'", arg);
    }
    s->xen_domid = (int)domid;
    return true;
}

bool set_xen_attach(System *s, const char *arg, GError **error)
{
    s->xen_attach = true;
    return true;
}

bool set_paused(System *s, const char *arg, GError **error)
{
    s->start_paused = true;
    return true;
}

bool set_display(System *s, const char *arg, GError **error)
{
    if (!g_str_equal(arg, "none")) {
        return system_set_error(error, "Parameter 'type' does not accept value '%.*s'",
                                (int)strcspn(arg, ","), arg);
    }
    return true;
}

bool set_messages(System *s, const char *arg, GError **error)
{
    MsgConfig *config = settings_parse(&msg_options, arg, NULL, error);

    if (!config) {
        return false;
    }
    log_set_timestamps(config->timestamp);
    opt_config_free(&msg_options, config);
    return true;
}

bool set_log_file(System *s, const char *arg, GError **error)
{
    settings_replace(&s->log_file, g_strdup(arg));
    return true;
}

bool set_pidfile(System *s, const char *arg, GError **error)
{
    settings_replace(&s->daemon.pidfile, g_canonicalize_filename(arg, NULL));
    return true;
}

bool set_daemonize(System *s, const char *arg, GError **error)
{
    s->daemon.wanted = true;
    return true;
}

bool set_qtest(System *s, const char *arg, GError **error)
{
    settings_replace(&s->qtest, g_strdup(arg));
    return true;
}

bool set_qtest_log(System *s, const char *arg, GError **error)
{
    settings_replace(&s->qtest_log, g_strdup(arg));
    return true;
}
