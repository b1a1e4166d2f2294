/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compat.h"

#include "util/log.h"

typedef struct SandboxConfig {
    bool enable;
} SandboxConfig;

static const OptMember sandbox_members[] = {
    { "enable", OPT_BOOL, offsetof(SandboxConfig, enable) },
    { "obsolete", OPT_STR, .ignored = true },
    { "elevateprivileges", OPT_STR, .ignored = true },
    { "spawn", OPT_STR, .ignored = true },
    { "resourcecontrol", OPT_STR, .ignored = true },
    { 0 },
};
static const OptTable sandbox_options = { "sandbox", sizeof(SandboxConfig), sandbox_members };

bool compat_sandbox(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "enable", error);
    SandboxConfig *config =
        args ? opt_config_new(&sandbox_options, args, OPT_PARAMETERS, error) : NULL;

    if (!config) {
        return false;
    }
    if (config->enable) {
        warn_report("-sandbox on has no effect: there is no filter of system calls");
    }
    opt_config_free(&sandbox_options, config);
    return true;
}

static const char *const compat_inputs[] = { "accept", "reject", "crash", NULL };
static const char *const compat_outputs[] = { "accept", "hide", NULL };
static const OptEnum compat_input = { "CompatPolicyInput", compat_inputs };
static const OptEnum compat_output = { "CompatPolicyOutput", compat_outputs };

/* Of what QEMU has deprecated nothing is here, so nothing of that is refused or hidden. */
typedef struct CompatConfig {
    int input;
    int output;
} CompatConfig;

static const OptMember compat_members[] = {
    { "deprecated-input", OPT_ENUM, offsetof(CompatConfig, input), .values = &compat_input },
    { "deprecated-output", OPT_ENUM, offsetof(CompatConfig, output), .values = &compat_output },
    { "unstable-input", OPT_ENUM, offsetof(CompatConfig, input), .values = &compat_input },
    { "unstable-output", OPT_ENUM, offsetof(CompatConfig, output), .values = &compat_output },
    { 0 },
};
static const OptTable compat_options = {
    .name = "compat",
    .size = sizeof(CompatConfig),
    .members = compat_members,
    .keyval = true,
};

bool compat_option(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, NULL, error);
    CompatConfig *config = args ? opt_config_new(&compat_options, args, OPT_PARAMETERS, error)
                                : NULL;

    opt_config_free(&compat_options, config);
    return config != NULL;
}

static bool compat_warn(const char *option, const char *arg, const char *why)
{
    static const char *const nowhere[] = { "none", "null", "/dev/null", "file:/dev/null", NULL };

    if (!g_strv_contains(nowhere, arg)) {
        warn_report("-%s %s has no effect: %s", option, arg, why);
    }
    return true;
}

bool compat_monitor(System *s, const char *arg, GError **error)
{
    return compat_warn("monitor", arg, "monitors are QMP only, see -qmp");
}

bool compat_serial(System *s, const char *arg, GError **error)
{
    return compat_warn("serial", arg, "there are no serial ports");
}

bool compat_parallel(System *s, const char *arg, GError **error)
{
    return compat_warn("parallel", arg, "there are no parallel ports");
}

#define PRIVILEGES "a backend needs what it has of XenStore and of the host"

bool compat_domid_restrict(System *s, const char *arg, GError **error)
{
    warn_report("-xen-domid-restrict has no effect: " PRIVILEGES);
    return true;
}

bool compat_chroot(System *s, const char *arg, GError **error)
{
    return compat_warn("chroot", arg, PRIVILEGES);
}

bool compat_run_with(System *s, const char *arg, GError **error)
{
    return compat_warn("run-with", arg, PRIVILEGES);
}

bool compat_runas(System *s, const char *arg, GError **error)
{
    return compat_warn("runas", arg, PRIVILEGES);
}

bool compat_vnc(System *s, const char *arg, GError **error)
{
    return compat_warn("vnc", arg, "there is no display");
}
