/*
 * -accel: which Xen. A real one, an emulated one whose host or whose guest this
 * process is, or the emulated one under a test's control.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

#include "hw/block/xen-blkback.h"
#include "hw/xen/xenbus-sweep.h"
#include "util/log.h"

#define EMULATED_DOMID 1 /* -xen-domid's default with an emulated Xen */

typedef struct XenemuConfig {
    char *socket;
    char *connect;
    int32_t domid;
    bool has_domid;
    uint64_t ram;
    bool has_ram;
} XenemuConfig;

static const OptMember xenemu_members[] = {
    { "socket", OPT_STR, offsetof(XenemuConfig, socket),
      .help = "be the host: where domains attach, PATH.xenstore is XenStore's; a private "
              "path if absent" },
    { "connect", OPT_STR, offsetof(XenemuConfig, connect),
      .help = "be a guest of the host whose socket this is" },
    { "domid", OPT_INT32, offsetof(XenemuConfig, domid), offsetof(XenemuConfig, has_domid),
      .help = "with connect: our domain id; the host chooses if absent" },
    { "ram", OPT_SIZE, offsetof(XenemuConfig, ram), offsetof(XenemuConfig, has_ram),
      .help = "with connect: memory to share with the host, 256M if absent" },
    { 0 },
};
static const OptTable xenemu_options = { "xenemu", sizeof(XenemuConfig), xenemu_members };

typedef struct NoConfig {
    char unused;
} NoConfig;

static const OptMember no_members[] = { { 0 } };
static const OptTable xen_options = { "xen", sizeof(NoConfig), no_members };
static const OptTable qtest_options = { "qtest", sizeof(NoConfig), no_members };

static const OptMember kvm_members[] = {
    { "kernel-irqchip", OPT_STR, .ignored = true },
    { "dirty-ring-size", OPT_UINT32, .ignored = true },
    { 0 },
};
static const OptTable kvm_options = { "kvm", sizeof(NoConfig), kvm_members };
static const OptMember tcg_members[] = {
    { "split-wx", OPT_BOOL, .ignored = true },
    { "tb-size", OPT_UINT32, .ignored = true },
    { "thread", OPT_STR, .ignored = true },
    { 0 },
};
static const OptTable tcg_options = { "tcg", sizeof(NoConfig), tcg_members };

static const struct {
    const char *name;
    AccelKind kind;
    const OptTable *options;
} accels[] = {
    { "xen", ACCEL_XEN, &xen_options },
    { "xenemu", ACCEL_XENEMU, &xenemu_options },
    { "qtest", ACCEL_QTEST, &qtest_options },
    /* what runs processors: there are none, and the choice of a Xen is as it was */
    { "tcg", ACCEL_DEFAULT, &tcg_options },
    { "kvm", ACCEL_DEFAULT, &kvm_options },
};

static void accel_choose(System *s, size_t i)
{
    if (accels[i].kind != ACCEL_DEFAULT) {
        s->accel.kind = accels[i].kind;
    } else if (!s->accel.no_processor) {
        s->accel.no_processor = true;
        info_report("accelerator %s has no effect: there is no processor", accels[i].name);
    }
}

bool accel_enable_kvm(System *s, const char *arg, GError **error)
{
    return accel_set(s, "kvm", error);
}

static bool accel_set_xenemu(System *s, XenemuConfig *config, GError **error)
{
    if (config->socket && config->connect) {
        return system_set_error(error, "socket= and connect= cannot be used together");
    }
    if (!config->connect && (config->has_domid || config->has_ram)) {
        return system_set_error(error, "domid= and ram= are invalid without connect=");
    }
    if (config->has_domid && (config->domid < 1 || config->domid > XEN_MAX_DOMID)) {
        return system_set_error(error, "domid= must be in range [1, %d]", XEN_MAX_DOMID);
    }
    g_free(s->accel.socket);
    g_free(s->accel.connect);
    s->accel.socket = g_steal_pointer(&config->socket);
    s->accel.connect = g_steal_pointer(&config->connect);
    s->accel.domid = config->has_domid ? config->domid : -1;
    if (config->has_ram) {
        s->accel.ram = config->ram;
    }
    return true;
}

bool accel_set(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "accel", error);
    g_autofree char *name = args ? opt_dict_take(args, "accel", error) : NULL;

    for (size_t i = 0; name && i < G_N_ELEMENTS(accels); i++) {
        void *config;
        bool ok = true;

        if (!g_str_equal(accels[i].name, name)) {
            continue;
        }
        config = opt_config_new(accels[i].options, args, OPT_PARAMETERS, error);
        if (!config) {
            return false;
        }
        accel_choose(s, i);
        if (accels[i].kind == ACCEL_XENEMU) {
            ok = accel_set_xenemu(s, config, error);
        }
        opt_config_free(accels[i].options, config);
        return ok;
    }
    return name ? system_set_error(error, "invalid accelerator %s", name) : false;
}

/* Of @list the first name that is one of the kind; false: there is none. */
static bool accel_choose_of(System *s, char **list, bool processor)
{
    for (unsigned n = 0; list[n]; n++) {
        for (size_t i = 0; i < G_N_ELEMENTS(accels); i++) {
            if (g_str_equal(accels[i].name, list[n]) &&
                (accels[i].kind == ACCEL_DEFAULT) == processor) {
                accel_choose(s, i);
                return true;
            }
        }
    }
    return false;
}

/* "kvm:xen": the first that is a Xen, or if there is none, one that would run a processor. */
bool accel_set_names(System *s, const char *names, GError **error)
{
    g_auto(GStrv) list = g_strsplit(names, ":", -1);

    return accel_choose_of(s, list, false) || accel_choose_of(s, list, true) ||
           system_set_error(error, "invalid accelerator %s", names);
}

char *accel_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "accel");
    GString *out;

    if (topic && topic[0] == '\0') {
        out = g_string_new("Accelerators supported in ringtap:\n");
        for (size_t i = 0; i < G_N_ELEMENTS(accels); i++) {
            g_string_append_printf(out, "%s\n", accels[i].name);
        }
        return g_string_free(out, FALSE);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(accels); i++) {
        if (g_strcmp0(topic, accels[i].name) == 0) {
            return opt_table_help(accels[i].options);
        }
    }
    return NULL;
}

/* A socket in a directory that only we can enter. */
static char *accel_private_socket(System *s, GError **error)
{
    const char *runtime = g_getenv("XDG_RUNTIME_DIR");
    g_autofree char *template = g_strdup_printf(
        "%s/ringtap-%d-XXXXXX",
        runtime && g_path_is_absolute(runtime) && access(runtime, W_OK) == 0 ? runtime : "/tmp",
        (int)getpid());

    if (!g_mkdtemp(template)) {
        system_set_error(error, "cannot make a directory for the emulated Xen in %s: %s",
                         template, g_strerror(errno));
        return NULL;
    }
    s->private_dir = g_steal_pointer(&template);
    return g_build_filename(s->private_dir, "xen.sock", NULL);
}

static bool accel_open_host(System *s, GError **error)
{
    const char *path;

    if (!s->accel.socket) {
        s->xen_path = accel_private_socket(s, error);
    } else if (s->daemon.wanted) {
        s->xen_path = g_canonicalize_filename(s->accel.socket, NULL); /* we leave the directory */
    } else {
        s->xen_path = g_strdup(s->accel.socket);
    }
    path = s->xen_path;
    s->xen = path ? xen_xenemu_open_host(path, error) : NULL;
    if (!s->xen) {
        return false;
    }
    if (s->accel.kind == ACCEL_DEFAULT) {
        info_report("no Xen here, so it is emulated: domains attach at %s, XenStore is at %s",
                    path, s->xen->store_path);
    } else if (s->accel.kind == ACCEL_XENEMU && !s->accel.socket) {
        info_report("emulated Xen: domains attach at %s, XenStore is at %s", path,
                    s->xen->store_path);
    }
    if (s->xen_domid < 0) {
        s->xen_domid = EMULATED_DOMID;
    }
    return true;
}

/* The emulated host that we are a guest of. Nothing that we have is of use without it. */
static gboolean accel_lost(gint fd, GIOCondition condition, gpointer opaque)
{
    System *s = opaque;

    s->lost_tag = 0;
    error_report("the Xen host at %s is gone", s->accel.connect);
    s->failed = true;
    run_shutdown(s, "host-error");
    return G_SOURCE_REMOVE;
}

/* Kinds of backends that we are, with a key that toolstacks write of each of them. */
static const struct {
    const char *kind;
    const char *toolstack_key;
} swept[] = {
    { "vif", "script" },
    { "qdisk", "params" },
    { "vbd", "params" },
};

static void accel_sweep(System *s)
{
    unsigned n = 0;

    for (size_t i = 0; !s->accel.connect && i < G_N_ELEMENTS(swept); i++) {
        n += xenbus_sweep(s->xen, s->store, swept[i].kind, swept[i].toolstack_key);
    }
    if (!s->xen->emulated) {
        (void)xen_blkback_sweep(s->store);
    }
    if (n > 0) {
        info_report("removed %u XenStore director%s that a killed program left of dead domains",
                    n, n == 1 ? "y" : "ies");
    }
}

bool accel_is_asked_for(const System *s)
{
    return s->machine_given || s->accel.kind != ACCEL_DEFAULT || s->xen_domid >= 0 ||
           s->xen_attach;
}

bool accel_open(System *s, GError **error)
{
    if (!s->machine->has_xen) {
        return true;
    }
    if (s->accel.kind == ACCEL_XEN ||
        (s->accel.kind == ACCEL_DEFAULT && xen_libxen_available())) {
        s->xen = xen_libxen_open(error);
    } else if (s->accel.connect) {
        s->xen = xen_xenemu_open_guest(s->accel.connect, s->accel.domid, s->accel.ram, error);
    } else if (!accel_open_host(s, error)) {
        return false;
    }
    if (!s->xen) {
        return false;
    }
    if (s->xen->ops->lost_fd) {
        s->lost_tag = g_unix_fd_add(s->xen->ops->lost_fd(s->xen), G_IO_HUP, accel_lost, s);
    }
    s->store = xen_store_open(s->xen->store_path, error);
    if (!s->store) {
        return false;
    }
    accel_sweep(s);
    return true;
}

static void *accel_get_bus(void *opaque)
{
    System *s = opaque;

    s->xen_context = (XenContext){ s->xen, s->store, s->xen_domid };
    return s->xen ? &s->xen_context : NULL;
}

const DeviceBus xen_bus = {
    .type = "xen",
    .instance = "xen-bus.0",
    .get = accel_get_bus,
};

/* The toolstack that started us waits for this. */
void accel_record_running(System *s)
{
    g_autofree char *dir = NULL;

    if (!s->xen_attach || !s->store || s->xen_domid < 0) {
        return;
    }
    dir = g_strdup_printf("/local/domain/%u/device-model/%d", s->xen->domid, s->xen_domid);
    if (xen_store_printf(s->store, 0, dir, "state", "running")) {
        s->device_model = g_steal_pointer(&dir);
    } else {
        warn_report("cannot write %s/state: %s", dir, g_strerror(errno));
    }
}

/* What else is in there is the toolstack's. */
static void accel_forget_running(System *s)
{
    g_autofree char *path = NULL;
    g_auto(GStrv) left = NULL;

    if (!s->device_model) {
        return;
    }
    path = g_strdup_printf("%s/state", s->device_model);
    xen_store_remove(s->store, 0, path);
    left = xen_store_list(s->store, 0, s->device_model);
    if (left && !left[0]) {
        xen_store_remove(s->store, 0, s->device_model);
    }
    g_clear_pointer(&s->device_model, g_free);
}

void accel_close(System *s)
{
    accel_forget_running(s);
    g_clear_handle_id(&s->lost_tag, g_source_remove);
    g_clear_pointer(&s->store, xen_store_close);
    g_clear_pointer(&s->xen, xen_close);
    g_clear_pointer(&s->xen_path, g_free);
    if (s->private_dir) {
        rmdir(s->private_dir);
        g_clear_pointer(&s->private_dir, g_free);
    }
}
