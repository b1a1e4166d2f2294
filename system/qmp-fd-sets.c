/*
 * QMP's add-fd and its like, and -add-fd: descriptors that are opened as /dev/fdset/N.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fd-sets.h"

#include "qmp-commands.h"
#include "util/fd-set.h"

typedef struct AddArgs {
    int64_t id;
    bool has_id;
    char *opaque;
} AddArgs;

static const OptMember add_members[] = {
    { "fdset-id", OPT_INT64, offsetof(AddArgs, id), offsetof(AddArgs, has_id) },
    { "opaque", OPT_STR, offsetof(AddArgs, opaque) },
    { 0 },
};
static const OptTable add_args = { "add-fd", sizeof(AddArgs), add_members };

typedef struct AddInfo {
    int64_t id;
    int64_t fd;
} AddInfo;

static const OptMember add_info_members[] = {
    { "fdset-id", OPT_INT64, offsetof(AddInfo, id), .required = true },
    { "fd", OPT_INT64, offsetof(AddInfo, fd), .required = true },
    { 0 },
};
static const OptTable add_info = { "AddfdInfo", sizeof(AddInfo), add_info_members };
static const OptMember add_result = { .type = OPT_STRUCT, .table = &add_info };

typedef struct RemoveArgs {
    int64_t id;
    int64_t fd;
    bool has_fd;
} RemoveArgs;

static const OptMember remove_members[] = {
    { "fdset-id", OPT_INT64, offsetof(RemoveArgs, id), .required = true },
    { "fd", OPT_INT64, offsetof(RemoveArgs, fd), offsetof(RemoveArgs, has_fd) },
    { 0 },
};
static const OptTable remove_args = { "remove-fd", sizeof(RemoveArgs), remove_members };

typedef struct MemberInfo {
    int64_t fd;
    char *opaque;
} MemberInfo;

static const OptMember member_members[] = {
    { "fd", OPT_INT64, offsetof(MemberInfo, fd), .required = true },
    { "opaque", OPT_STR, offsetof(MemberInfo, opaque) },
    { 0 },
};
static const OptTable member_table = { "FdsetFdInfo", sizeof(MemberInfo), member_members };
static const OptMember member_item = { .type = OPT_STRUCT, .table = &member_table };

typedef struct SetInfo {
    int64_t id;
    GArray *fds; /* MemberInfo * */
} SetInfo;

static const OptMember set_members[] = {
    { "fdset-id", OPT_INT64, offsetof(SetInfo, id), .required = true },
    { "fds", OPT_LIST, offsetof(SetInfo, fds), .required = true, .item = &member_item },
    { 0 },
};
static const OptTable set_table = { "FdsetInfo", sizeof(SetInfo), set_members };
static const OptMember set_item = { .type = OPT_STRUCT, .table = &set_table };
static const OptMember sets_result = { .type = OPT_LIST, .item = &set_item };

static bool add_fd(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    System *s = opaque;
    const AddArgs *a = args;
    int fd = qmp_monitor_take_passed_fd(m);
    AddInfo *info;
    int64_t id;

    if (fd < 0) {
        return system_set_error(error, "No file descriptor supplied via SCM_RIGHTS");
    }
    if (a->has_id && a->id < 0) {
        close(fd);
        return system_set_error(error, "Parameter 'fdset-id' expects a non-negative value");
    }
    if (!fd_sets_add(s->fd_sets, fd, a->has_id ? a->id : FD_SET_NEW, a->opaque, &id, error)) {
        return false;
    }
    info = g_new0(AddInfo, 1);
    *info = (AddInfo){ id, fd };
    *(AddInfo **)ret = info;
    return true;
}

static bool remove_fd(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    System *s = opaque;
    const RemoveArgs *a = args;
    bool known = a->fd >= 0 && a->fd <= G_MAXINT;

    if (a->has_fd) {
        return (known && fd_sets_remove(s->fd_sets, a->id, (int)a->fd)) ||
               system_set_error(error, "File descriptor named 'fdset-id:%" G_GINT64_FORMAT
                                ", fd:%" G_GINT64_FORMAT "' not found", a->id, a->fd);
    }
    return fd_sets_remove(s->fd_sets, a->id, -1) ||
           system_set_error(error, "File descriptor named 'fdset-id:%" G_GINT64_FORMAT
                            "' not found", a->id);
}

static SetInfo *set_info(const FdSet *set)
{
    SetInfo *info = g_new0(SetInfo, 1);

    info->id = set->id;
    info->fds = g_array_new(FALSE, FALSE, sizeof(MemberInfo *));
    for (guint i = 0; i < set->members->len; i++) {
        const FdSetMember *m = &g_array_index(set->members, FdSetMember, i);
        MemberInfo *member = g_new0(MemberInfo, 1);

        *member = (MemberInfo){ m->fd, g_strdup(m->opaque) };
        g_array_append_val(info->fds, member);
    }
    return info;
}

/* The highest number first, as QEMU has them. */
static bool query_fdsets(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const FdSets *sets = ((const System *)opaque)->fd_sets;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(SetInfo *));

    for (unsigned i = fd_sets_count(sets); i-- > 0;) {
        SetInfo *info = set_info(fd_sets_nth(sets, i));

        g_array_append_val(list, info);
    }
    *(GArray **)ret = list;
    return true;
}

/* --- -add-fd --- */

typedef struct AddFdConfig {
    int64_t fd;
    int64_t set;
    char *opaque;
} AddFdConfig;

static const OptMember option_members[] = {
    { "fd", OPT_INT64, offsetof(AddFdConfig, fd), .def = "-1",
      .help = "an inherited descriptor, which stays open for its owner's purposes" },
    { "set", OPT_INT64, offsetof(AddFdConfig, set), .def = "-1",
      .help = "number of the set: it is opened as /dev/fdset/NUMBER" },
    { "opaque", OPT_STR, offsetof(AddFdConfig, opaque), .help = "text for query-fdsets" },
    { 0 },
};
const OptTable add_fd_options = { "add-fd", sizeof(AddFdConfig), option_members };

char *add_fd_help(const char *arg, GError **error)
{
    return system_options_help(&add_fd_options, arg, NULL);
}

/* In QEMU's words, and in its order. What is closed when a program is run is one of our own. */
static bool add_fd_check(const AddFdConfig *c, GError **error)
{
    int flags;

    if (c->fd < 0 || c->fd > G_MAXINT) {
        return system_set_error(error, "fd option is required and must be non-negative");
    }
    if (c->fd <= STDERR_FILENO) {
        return system_set_error(error, "fd cannot be a standard I/O stream");
    }
    flags = fcntl((int)c->fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC)) {
        return system_set_error(error, "fd is not valid or already in use");
    }
    return c->set >= 0 ||
           system_set_error(error, "set option is required and must be non-negative");
}

bool add_fd_option(System *s, OptDict *args, GError **error)
{
    AddFdConfig *c = opt_config_new(&add_fd_options, args, OPT_PARAMETERS, error);
    int64_t id;
    bool ok = false;
    int fd;

    if (!c) {
        return false;
    }
    if (add_fd_check(c, error)) {
        fd = fcntl((int)c->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        ok = fd < 0 ? system_set_error(error, "error duping fd: %s", g_strerror(errno)) :
                      fd_sets_add(s->fd_sets, fd, c->set, c->opaque, &id, error);
    }
    opt_config_free(&add_fd_options, c);
    return ok;
}

void qmp_fd_sets_register(System *s)
{
    static const QmpCommand commands[] = {
        { "add-fd", &add_args, &add_result, add_fd },
        { "remove-fd", &remove_args, .run = remove_fd },
        { "query-fdsets", NULL, &sets_result, query_fdsets },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
}
