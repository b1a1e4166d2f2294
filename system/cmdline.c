/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmdline.h"

#include <string.h>

#include "compat.h"
#include "fd-sets.h"
#include "firmware.h"
#include "globals.h"
#include "nics.h"
#include "objects.h"
#include "settings.h"

#define HELP_COLUMN 16 /* where the explanation of an option starts, as in QEMU */

typedef struct CmdOption {
    const char *name;
    const char *arg;  /* as -help shows it; NULL: a flag. "=PATH" may also be one word with it */
    const char *help; /* lines; NULL: not shown */
    CmdPhase phase;
    bool (*handle)(System *s, const char *arg, GError **error);
    /* instead, of what is key=value or JSON; a first word alone is the value of @implied */
    bool (*add)(System *s, OptDict *args, GError **error);
    const char *implied;
    /* the text if @arg asks for help, else NULL */
    char *(*topic)(const char *arg, GError **error);
} CmdOption;

struct CmdLine {
    const char *progname;
    GPtrArray *given; /* CmdGiven * */
};

typedef struct CmdGiven {
    const CmdOption *option;
    const char *spelled; /* "--netdev", or "--fd=3" */
    const char *arg;
    const char *said;    /* the user's: arg, unless there is a -set of it */
    char *changed;       /* by -set: arg, else NULL */
    bool apart;          /* it is a word of its own */
} CmdGiven;

/* A name that is empty begins a section of -help. */
static const CmdOption options[] = {
    { "", .help = "Standard options:" },
    { "help", .help = "display this help and exit; also -h" },
    { "version", .help = "display version information and exit" },
    { "machine", "[type=]NAME[,accel=NAME]", "xenpv, pc, virt or none ('-machine help' for list)",
      .handle = machine_set, .topic = machine_help },
    { "accel", "[accel=]NAME[,prop=value]",
      "which Xen: xen, xenemu or qtest ('-accel help' for list,\n"
      "'-accel xenemu,help' for its properties). Default: xen where\n"
      "/dev/xen/evtchn opens, else xenemu; none if no -device is on it.\n"
      "tcg and kvm are accepted, without effect",
      .handle = accel_set, .topic = accel_help },
    { "xen-domid", "N", "serve the devices of domain N; 1 with an emulated Xen",
      .handle = set_domid },
    { "xen-attach", .help = "started by a toolstack: serve the disks that it makes for\n"
      "domain N, and tell it when devices run",
      .handle = set_xen_attach },
    { "name", "[guest=]NAME", "a name for the guest, for query-name", .handle = set_name,
      .topic = name_help },
    { "m", "[size=]MEGS", "memory of the guest of -accel qtest, default 256, pc and virt 128",
      .handle = set_memory },
    { "smp", "[cpus=]N[,maxcpus=M]", "told to firmware and tests of pc and virt: there is no CPU",
      .handle = firmware_set_smp, .topic = smp_help },
    { "uuid", "UUID", "told to them, and for query-uuid", .handle = firmware_set_uuid },
    { "boot", "[menu=on|off][,splash-time=MS][,reboot-timeout=MS]",
      "told to them ('-boot help' for all)", .handle = firmware_set_boot, .topic = boot_help },
    { "nographic", .help = "told to them", .handle = firmware_set_nographic },
    { "no-reboot", .help = "QMP 'system_reset' ends the program", .handle = set_no_reboot },
    { "S", .help = "do not offer devices before QMP 'cont'", .handle = set_paused },
    { "incoming", "unix:PATH|tcp:HOST:PORT|fd:N|file:PATH|defer",
      "wait for the state of devices, which 'migrate' of another ringtap\n"
      "sends there; defer: where, is said by QMP 'migrate-incoming'",
      .handle = migration_set_incoming },

    { "", .help = "Devices:" },
    { "object", "TYPENAME[,prop=value]", "create an iothread or a secret ('-object help' for list)",
      .phase = CMD_OBJECT, .add = object_add, .implied = "qom-type", .topic = object_help },
    { "netdev", "TYPE,id=ID[,prop=value]",
      "the host's side of a NIC ('-netdev help' for list,\n'-netdev tap,help' for properties)",
      .phase = CMD_NETDEV, .add = netdev_add, .implied = "type", .topic = netdev_help },
    { "nic", "TYPE|none[,model=DRIVER][,mac=MAC][,prop=value]",
      "a -netdev and a -device that has it",
      .phase = CMD_NIC, .handle = nic_option, .topic = nic_help },
    { "add-fd", "fd=FD,set=SET[,opaque=TEXT]",
      "an inherited descriptor, opened as /dev/fdset/SET",
      .add = add_fd_option, .topic = add_fd_help },
    { "blockdev", "DRIVER,node-name=NAME[,prop=value]",
      "the host's side of a disk ('-blockdev help' for list,\n"
      "'-blockdev file,help' for properties)",
      .phase = CMD_BLOCKDEV, .add = blockdev_add, .implied = "driver", .topic = blockdev_help },
    { "drive", "if=none,id=ID,file=PATH[,format=raw][,prop=value]",
      "the same ('-drive help' for properties)",
      .phase = CMD_DRIVE, .add = drive_add, .topic = drive_help },
    { "device", "DRIVER[,prop=value]",
      "the guest's side ('-device help' for list,\n'-device DRIVER,help' for properties)",
      .phase = CMD_DEVICE, .add = devices_add, .implied = "driver", .topic = devices_help },
    { "global", "DRIVER.PROP=VALUE", "a property of all devices of DRIVER that do not say theirs",
      .handle = global_option },
    { "set", "GROUP.ID.ARG=VALUE", "ARG of an option before it, of a -device for example, whose\n"
      "id is ID", .phase = CMD_NEVER },

    { "", .help = "Monitors and logs:" },
    { "chardev", "socket,id=ID,path=PATH|fd=N|port=N[,server=on|off][,wait=on|off]",
      "a socket for -mon, or for a device", .phase = CMD_CHARDEV, .handle = chardev_option,
      .topic = chardev_help },
    { "mon", "[chardev=]ID,mode=control", "a QMP monitor on a chardev",
      .phase = CMD_MONITOR, .handle = monitor_option, .topic = monitor_help },
    { "qmp", "unix:PATH|tcp:[HOST]:PORT[,server=on][,wait=off]", "a QMP monitor on a socket",
      .phase = CMD_MONITOR, .handle = monitor_qmp_option, .topic = monitor_qmp_help },
    { "qmp-pretty", "unix:PATH|...", "the same, with replies over several lines",
      .phase = CMD_MONITOR, .handle = monitor_qmp_pretty_option, .topic = monitor_qmp_help },
    { "D", "FILE", "log to FILE instead of stderr", .handle = set_log_file },
    { "msg", "[timestamp=on|off]", "begin lines of the log with the time",
      .handle = set_messages, .topic = messages_help },
    { "qtest", "unix:PATH", "a test's socket, for -accel qtest", .handle = set_qtest },
    { "qtest-log", "FILE", "log of the qtest protocol", .handle = set_qtest_log },

    { "", .help = "Started as a vhost-user back end, by QEMU's conventions for such programs:" },
    { "socket-path", "=PATH", "listen there for the front end of a vhost-user-net\n"
      "device, which has the one -netdev that is given", .handle = backend_program_set_path },
    { "fd", "=FDNUM", "the same, at an inherited socket", .handle = backend_program_set_fd },
    { "print-capabilities", .help = "print them as JSON and exit" },

    { "", .help = "Process:" },
    { "pidfile", "FILE", "write our process id there, locked", .handle = set_pidfile },
    { "daemonize", .help = "go to the background once everything is up",
      .handle = set_daemonize },

    { "", .help = "Accepted for QEMU's callers, without effect:" },
    { "nodefaults", .help = "" },
    { "enable-kvm", .help = "", .handle = accel_enable_kvm },
    { "usb", .help = "" },
    { "no-hpet", .help = "" },
    { "no-user-config", .help = "" },
    { "no-shutdown", .help = "" },
    { "no-acpi", .help = "" },
    { "display", "none", "", .handle = set_display, .topic = display_help },
    { "vnc", "none", "", .handle = compat_vnc },
    { "xen-domid-restrict", .help = "", .handle = compat_domid_restrict },
    { "chroot", "DIR", "", .handle = compat_chroot },
    { "run-with", "ARG", "", .handle = compat_run_with },
    { "runas", "USER", "", .handle = compat_runas },
    { "net", "none", "", .handle = net_option, .topic = net_help },
    { "serial", "DEV", "", .handle = compat_serial },
    { "parallel", "DEV", "", .handle = compat_parallel },
    { "monitor", "DEV", "", .handle = compat_monitor },
    { "vga", "TYPE", "" },
    { "k", "LANGUAGE", "" },
    { "smbios", "ARG", "" },
    { "action", "ARG", "" },
    { "watchdog-action", "ACTION", "" },
    { "compat", "ARG", "", .handle = compat_option },
    { "numa", "ARG", "" },
    { "cpu", "MODEL", "" },
    { "rtc", "ARG", "" },
    { "sandbox", "ARG", "", .handle = compat_sandbox },
    { "overcommit", "ARG", "" },
    { "audio", "ARG", "" },
    { "audiodev", "ARG", "" },
    { "trace", "ARG", "" },

    { "M", "NAME", .handle = machine_set, .topic = machine_help },
    { "h" },
};

static const CmdOption *cmd_find(const char *name, size_t len)
{
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        if (len > 0 && strlen(options[i].name) == len && strncmp(options[i].name, name, len) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

/* The option that @spelled is; *@ret_arg: what stands behind its "=", NULL without one. */
static const CmdOption *cmd_match(const char *spelled, const char **ret_arg)
{
    const char *name = spelled + (spelled[0] == '-') + g_str_has_prefix(spelled, "--");
    size_t len = strcspn(name, "=");
    const CmdOption *o = name > spelled ? cmd_find(name, len) : NULL;

    *ret_arg = NULL;
    if (!o || name[len] == '\0') {
        return o;
    }
    *ret_arg = name + len + 1;
    return o->arg && o->arg[0] == '=' ? o : NULL;
}

static void cmd_given_free(gpointer opaque)
{
    CmdGiven *given = opaque;

    g_free(given->changed);
    g_free(given);
}

/* The @group whose id is @id; NULL: there is none. One in JSON has none, as in QEMU. */
static CmdGiven *cmd_find_given(const CmdLine *cmd, const char *group, const char *id)
{
    for (guint i = 0; i < cmd->given->len; i++) {
        CmdGiven *given = g_ptr_array_index(cmd->given, i);
        g_autoptr(OptDict) args = NULL;

        if (g_str_equal(given->option->name, group) && given->arg[0] != '{') {
            args = opt_dict_parse(given->arg, given->option->implied, NULL);
            if (args && g_strcmp0(opt_dict_get(args, "id"), id) == 0) {
                return given;
            }
        }
    }
    return NULL;
}

/* -set group.id.key=value */
static bool cmd_set(const CmdLine *cmd, const char *arg, GError **error)
{
    g_auto(GStrv) part = g_strsplit(arg, ".", 3);
    const char *equals = g_strv_length(part) == 3 ? strchr(part[2], '=') : NULL;
    const CmdOption *group = equals ? cmd_find(part[0], strlen(part[0])) : NULL;
    g_auto(GStrv) pieces = NULL;
    g_autofree char *value = NULL;
    CmdGiven *given;
    char *changed;

    if (!equals || part[0][0] == '\0' || part[1][0] == '\0' || equals == part[2]) {
        return system_set_error(error, "can't parse: \"%s\"", arg);
    }
    if (!group || !group->arg) {
        return system_set_error(error, "There is no option group '%s'", part[0]);
    }
    if (g_str_equal(part[0], "object") || g_str_equal(part[0], "machine")) {
        return system_set_error(error, "-set is not supported with %s", part[0]);
    }
    given = cmd_find_given(cmd, part[0], part[1]);
    if (!given) {
        return system_set_error(error, "there is no %s \"%s\" defined", part[0], part[1]);
    }
    pieces = g_strsplit(equals + 1, ",", -1);
    value = g_strjoinv(",,", pieces);
    changed = g_strdup_printf("%s,%.*s%s", given->arg, (int)(equals - part[2]) + 1, part[2],
                              value);
    g_free(given->changed);
    given->changed = changed;
    given->arg = changed;
    return true;
}

static bool cmd_take(CmdLine *cmd, char **argv, int *i, GError **error)
{
    const char *spelled = argv[*i];
    const char *arg;
    const CmdOption *option = cmd_match(spelled, &arg);
    CmdGiven *given;

    if (!option && spelled[0] != '-' && *i > 1) {
        return system_set_error(error, "%s: invalid option\nIt does not begin with '-': is there a "
                                "blank too many behind '%s'?", spelled, argv[*i - 1]);
    }
    if (!option) {
        return system_set_error(error, "%s: invalid option", spelled);
    }
    given = g_new0(CmdGiven, 1);
    given->option = option;
    given->spelled = spelled;
    given->arg = arg;
    given->said = arg;
    g_ptr_array_add(cmd->given, given);
    if (option->arg && !arg) {
        given->arg = argv[*i + 1];
        given->said = given->arg;
        given->apart = true;
        ++*i;
    }
    if (given->apart && !given->arg) {
        return system_set_error(error, "%s: requires an argument", spelled);
    }
    if (option->phase == CMD_NEVER && !cmd_set(cmd, given->arg, error)) {
        g_prefix_error(error, "%s %s: ", spelled, given->arg);
        return false;
    }
    return true;
}

bool cmdline_has_word(int argc, char **argv, const char *option)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i] + g_str_has_prefix(argv[i], "--");

        if (word[0] == '-' && g_str_equal(word + 1, option)) {
            return true;
        }
    }
    return false;
}

CmdLine *cmdline_parse(int argc, char **argv, GError **error)
{
    g_autoptr(CmdLine) cmd = g_new0(CmdLine, 1);

    cmd->progname = argv[0];
    cmd->given = g_ptr_array_new_with_free_func(cmd_given_free);
    for (int i = 1; i < argc; i++) {
        if (!cmd_take(cmd, argv, &i, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&cmd);
}

void cmdline_free(CmdLine *cmd)
{
    if (cmd) {
        g_ptr_array_unref(cmd->given);
        g_free(cmd);
    }
}

static void cmd_help_option(GString *out, const CmdOption *o)
{
    gsize start = out->len;
    g_auto(GStrv) lines = g_strsplit(o->help, "\n", -1);
    const char *arg = o->arg ? o->arg : "";

    g_string_append_printf(out, "%s-%s%s%s", arg[0] == '=' ? "-" : "", o->name,
                           arg[0] == '\0' || arg[0] == '=' ? "" : " ", arg);
    if (o->help[0] == '\0') {
        g_string_append_c(out, '\n');
        return;
    }
    if (out->len - start >= HELP_COLUMN) {
        g_string_append_c(out, '\n');
        start = out->len;
    }
    for (unsigned i = 0; lines[i]; i++) {
        g_string_append_printf(out, "%*s%s\n", (int)(HELP_COLUMN - (out->len - start)), "",
                               lines[i]);
        start = out->len;
    }
}

static char *cmd_help_all(const CmdLine *cmd)
{
    GString *out = g_string_new(NULL);
    g_autofree char *name = g_path_get_basename(cmd->progname);

    g_string_append_printf(out, "ringtap version " RINGTAP_VERSION "\n"
                           "usage: %s [options]\n", name);
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        const CmdOption *o = &options[i];

        if (o->help && o->name[0] == '\0') {
            g_string_append_printf(out, "\n%s\n", o->help);
        } else if (o->help) {
            cmd_help_option(out, o);
        }
    }
    return g_string_free(out, FALSE);
}

/* -cpu help, -trace help...: there is nothing to list, and nothing to start. */
static char *cmd_help_ignored(const CmdGiven *given)
{
    g_autoptr(OptDict) args = opt_dict_parse(given->arg, NULL, NULL);

    return args && opt_dict_wants_help(args)
               ? g_strdup_printf("-%s has no effect: accepted for QEMU's callers\n",
                                 given->option->name)
               : NULL;
}

char *cmdline_help(const CmdLine *cmd, GError **error)
{
    for (guint i = 0; i < cmd->given->len; i++) {
        const CmdGiven *given = g_ptr_array_index(cmd->given, i);
        const char *name = given->option->name;
        GError *why = NULL;
        char *text = NULL;

        if (g_str_equal(name, "help") || g_str_equal(name, "h")) {
            text = cmd_help_all(cmd);
        } else if (g_str_equal(name, "version")) {
            text = g_strdup("ringtap version " RINGTAP_VERSION "\n");
        } else if (given->option->topic) {
            text = given->option->topic(given->arg, &why);
        } else if (given->arg && g_strcmp0(given->option->help, "") == 0) {
            text = cmd_help_ignored(given);
        }
        if (why) {
            g_propagate_prefixed_error(error, why, "%s %s: ", given->spelled, given->said);
            return NULL;
        }
        if (text) {
            return text;
        }
    }
    return NULL;
}

static const DeviceClass *cmd_device_class(const CmdGiven *given, const System *s)
{
    g_autoptr(OptDict) args = opt_dict_parse(given->arg, given->option->implied, NULL);
    const char *driver = args ? opt_dict_get(args, "driver") : NULL;

    return driver ? device_class_find(s->devices, driver) : NULL;
}

bool cmdline_wants_bus(const CmdLine *cmd, const System *s, const char *type, bool otherwise)
{
    bool any = false;

    for (guint i = 0; i < cmd->given->len; i++) {
        const CmdGiven *given = g_ptr_array_index(cmd->given, i);
        const DeviceClass *c;

        if (given->option->phase != CMD_DEVICE && given->option->phase != CMD_NIC) {
            continue;
        }
        any = any || given->option->phase == CMD_DEVICE;
        c = given->option->phase == CMD_NIC ? nic_class(s, given->arg)
                                            : cmd_device_class(given, s);
        if (c && g_strcmp0(c->bus, type) == 0) {
            return true;
        }
    }
    return !any && otherwise;
}

static bool cmd_act(const CmdGiven *given, System *s, GError **error)
{
    const CmdOption *o = given->option;
    g_autoptr(OptDict) args = NULL;

    if (!o->add) {
        return !o->handle || o->handle(s, given->arg, error);
    }
    args = opt_dict_parse(given->arg, o->implied, error);
    return args && o->add(s, args, error);
}

bool cmdline_run(const CmdLine *cmd, System *s, CmdPhase phase, GError **error)
{
    for (guint i = 0; i < cmd->given->len; i++) {
        const CmdGiven *given = g_ptr_array_index(cmd->given, i);

        if (given->option->phase == phase && !cmd_act(given, s, error)) {
            g_prefix_error(error, "%s%s%s: ", given->spelled, given->apart ? " " : "",
                           given->apart ? given->said : "");
            return false;
        }
    }
    return true;
}
