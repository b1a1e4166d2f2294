/*
 * A child process: its start, what it says, and its end.
 *
 * We listen for it, at a name that is gone before it is started: nobody else gets to the image, and
 * nothing is left in any directory however we end. It outlives signals that are for all processes
 * of a service or of a terminal, as a guest may still need its disk then, and ends by SIGINT: when
 * we say so, and when we are gone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon-qmp.h"
#include "util/fd.h"
#include "util/log.h"

#define PROGRAM       "qemu-storage-daemon"
#define PACKAGE       "qemu-system-common"
#define MORE_DRIVERS  "qemu-block-extra"
#define END_MS        5000  /* that its end may take before it is killed */
#define WORDS_MS      2000
#define SAID_MAX      4096u /* of what it says */
#define LISTEN_FD     3     /* in the child, as QMP_FD */
#define QMP_FD        4
#define EXPORT_ID     "ringtap"
#define NODE_NAME     "ringtap"
#define BACKLOG       64
#define SAID_INTERVAL_MS 10000

struct ImageDaemon {
    unsigned refs;
    char *node_name;
    char *blockdev;    /* the argument of that name: its errors begin with it */
    GPid pid;          /* 0: it was reaped */
    int pidfd;
    int listen_fd;     /* -1: the child has it */
    int socket_fd;     /* O_PATH */
    char *socket;
    DaemonQmp qmp;
    int qmp_child_fd;  /* -1: the child has it */
    int said_fd;       /* its stderr */
    GString *said;     /* the last line, which has no end yet; all, before it is up */
    GSource *said_source;
    GSource *end_source;
    LogLimit limit;
};

static bool set_errno(GError **error, const char *what)
{
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), PROGRAM ": cannot %s: %s",
                what, g_strerror(errno));
    return false;
}

/* --- its start --- */

static bool bind_and_listen(ImageDaemon *d, const char *path, GError **error)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    if (g_strlcpy(at.sun_path, path, sizeof(at.sun_path)) >= sizeof(at.sun_path)) {
        errno = ENAMETOOLONG; /* TMPDIR */
        return set_errno(error, "listen");
    }
    d->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (d->listen_fd < 0 || bind(d->listen_fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(d->listen_fd, BACKLOG) < 0) {
        return set_errno(error, "listen");
    }
    d->socket_fd = open(path, O_PATH | O_CLOEXEC);
    return d->socket_fd >= 0 || set_errno(error, "open its socket");
}

/* The socket outlives its name: who has it open may connect to it. */
static bool make_socket(ImageDaemon *d, GError **error)
{
    g_autofree char *dir = g_dir_make_tmp("ringtap-XXXXXX", error);
    g_autofree char *path = NULL;
    bool ok;

    if (!dir) {
        return false;
    }
    path = g_build_filename(dir, "s", NULL);
    ok = bind_and_listen(d, path, error);
    (void)g_unlink(path);
    (void)g_rmdir(dir);
    d->socket = g_strdup_printf("/proc/self/fd/%d", d->socket_fd);
    return ok;
}

/* In the child, between fork and exec: calls that are safe there, and no others. */
static void prepare_child(gpointer opaque)
{
    const pid_t *parent = opaque;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGINT, SIG_DFL); /* shells ignore it in what they start behind them */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGINT);
    if (getppid() != *parent) { /* it ended before that */
        raise(SIGKILL);
    }
}

static GPtrArray *make_argv(const ImageDaemon *d, const BlockConfig *config, bool read_only)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_strdup(PROGRAM));
    for (const char *const *o = config->objects; o && *o; o++) {
        g_ptr_array_add(argv, g_strdup("--object"));
        g_ptr_array_add(argv, g_strdup(*o));
    }
    g_ptr_array_add(argv, g_strdup("--blockdev"));
    g_ptr_array_add(argv, g_strdup(d->blockdev));
    g_ptr_array_add(argv, g_strdup("--nbd-server"));
    g_ptr_array_add(argv, g_strdup_printf("addr.type=fd,addr.str=%d,max-connections=0", LISTEN_FD));
    g_ptr_array_add(argv, g_strdup("--chardev"));
    g_ptr_array_add(argv, g_strdup_printf("socket,id=qmp,fd=%d", QMP_FD));
    g_ptr_array_add(argv, g_strdup("--monitor"));
    g_ptr_array_add(argv, g_strdup("chardev=qmp"));
    g_ptr_array_add(argv, g_strdup("--export"));
    g_ptr_array_add(argv, g_strdup_printf("type=nbd,id=" EXPORT_ID ",node-name=" NODE_NAME
                                          ",name=" IMAGE_DAEMON_EXPORT ",writable=%s",
                                          read_only ? "off" : "on"));
    g_ptr_array_add(argv, NULL);
    return argv;
}

static bool spawn(ImageDaemon *d, GPtrArray *argv, int said, GError **error)
{
    static const int targets[] = { LISTEN_FD, QMP_FD };
    const int sources[] = { d->listen_fd, d->qmp_child_fd };
    pid_t parent = getpid();

    return g_spawn_async_with_pipes_and_fds(
        NULL, (const char *const *)argv->pdata, NULL,
        G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL,
        prepare_child, &parent, -1, -1, said, sources, targets, G_N_ELEMENTS(targets), &d->pid,
        NULL, NULL, NULL, error);
}

static bool start(ImageDaemon *d, GPtrArray *argv, GError **error)
{
    int fds[2];
    int pair[2];
    bool ok;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        return set_errno(error, "make a pair of sockets");
    }
    d->qmp.fd = pair[0];
    d->qmp_child_fd = pair[1];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        return set_errno(error, "make a pipe");
    }
    d->said_fd = fds[0];
    (void)fd_set_nonblock(d->said_fd, true);
    ok = spawn(d, argv, fds[1], error);
    fd_close(&fds[1]);
    fd_close(&d->listen_fd);
    fd_close(&d->qmp_child_fd);
    if (!ok) {
        return false;
    }
    d->pidfd = pidfd_open(d->pid, 0);
    return d->pidfd >= 0 || set_errno(error, "watch it");
}

ImageDaemon *image_daemon_new(const BlockConfig *config, bool read_only, GError **error)
{
    g_autoptr(ImageDaemon) d = g_new0(ImageDaemon, 1);
    g_autofree char *program = g_find_program_in_path(PROGRAM);
    g_autoptr(GPtrArray) argv = NULL;

    d->refs = 1;
    d->pidfd = d->listen_fd = d->socket_fd = d->said_fd = d->qmp.fd = d->qmp_child_fd = -1;
    d->node_name = g_strdup(config->node_name);
    /* of keys that are there twice it takes the last */
    d->blockdev = g_strdup_printf("%s,node-name=" NODE_NAME "%s", config->options,
                                  read_only ? ",read-only=on" : "");
    d->said = g_string_new(NULL);
    d->limit = (LogLimit){ .burst = 5, .interval_ms = SAID_INTERVAL_MS };
    if (!program) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "driver=%s needs " PROGRAM ", which "
                    "is not there: Debian has it in " PACKAGE, config->driver);
        return NULL;
    }
    argv = make_argv(d, config, read_only);
    return make_socket(d, error) && start(d, argv, error) ? g_steal_pointer(&d) : NULL;
}

const char *image_daemon_socket(const ImageDaemon *d)
{
    return d->socket;
}

/* --- what it is told --- */

bool image_daemon_resize(ImageDaemon *d, uint64_t bytes, GError **error)
{
    g_autofree char *resize = g_strdup_printf("{\"execute\":\"block_resize\",\"arguments\":{"
                                              "\"node-name\":\"" NODE_NAME "\",\"size\":%"
                                              G_GUINT64_FORMAT "}}\n", bytes);
    bool ok;

    if (!daemon_qmp_run(&d->qmp, "{\"execute\":\"block-export-del\",\"arguments\":{\"id\":\""
                        EXPORT_ID "\",\"mode\":\"hard\"}}\n", "BLOCK_EXPORT_DELETED", error)) {
        return false;
    }
    ok = daemon_qmp_run(&d->qmp, resize, NULL, error);
    return daemon_qmp_run(&d->qmp, "{\"execute\":\"block-export-add\",\"arguments\":{"
                          "\"type\":\"nbd\",\"id\":\"" EXPORT_ID "\",\"node-name\":\""
                          NODE_NAME "\",\"name\":\"" IMAGE_DAEMON_EXPORT "\",\"writable\":true}}\n",
                          NULL, ok ? error : NULL) && ok;
}

/* --- its end --- */

static bool wait_for_end(const ImageDaemon *d, int ms)
{
    struct pollfd p = { .fd = d->pidfd, .events = POLLIN };

    return d->pidfd >= 0 && poll(&p, 1, ms) > 0;
}

static void reap(ImageDaemon *d, siginfo_t *info)
{
    while (waitid(P_PID, (id_t)d->pid, info, WEXITED) < 0 && errno == EINTR) {
        continue;
    }
    d->pid = 0;
}

static void destroy_source(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

static void end(ImageDaemon *d)
{
    siginfo_t info;

    if (d->pid > 0) {
        (void)kill(d->pid, SIGINT);
        if (!wait_for_end(d, END_MS)) {
            (void)kill(d->pid, SIGKILL);
        }
        if (d->pidfd < 0 || wait_for_end(d, END_MS)) {
            reap(d, &info);
        } else {
            warn_report("block node '%s': " PROGRAM " cannot be killed: its disk hangs",
                        d->node_name);
        }
    }
}

ImageDaemon *image_daemon_ref(ImageDaemon *d)
{
    d->refs++;
    return d;
}

void image_daemon_unref(ImageDaemon *d)
{
    if (!d || --d->refs > 0) {
        return;
    }
    destroy_source(&d->said_source);
    destroy_source(&d->end_source);
    end(d);
    fd_close(&d->pidfd);
    fd_close(&d->listen_fd);
    fd_close(&d->qmp_child_fd);
    daemon_qmp_done(&d->qmp);
    fd_close(&d->socket_fd);
    fd_close(&d->said_fd);
    g_string_free(d->said, TRUE);
    g_free(d->socket);
    g_free(d->blockdev);
    g_free(d->node_name);
    g_free(d);
}

static gboolean has_ended(gint fd, GIOCondition condition, gpointer opaque)
{
    ImageDaemon *d = opaque;
    siginfo_t info = { 0 };

    reap(d, &info);
    error_report("block node '%s': " PROGRAM " ended: %s %d", d->node_name,
                 info.si_code == CLD_EXITED ? "exit status" : "signal", info.si_status);
    g_source_unref(d->end_source);
    d->end_source = NULL;
    return G_SOURCE_REMOVE;
}

/* --- what it says --- */

/* False: there is no more, now or at all. */
static bool read_said(ImageDaemon *d)
{
    char buf[512];
    ssize_t n = read(d->said_fd, buf, sizeof(buf));

    if (n > 0) {
        g_string_append_len(d->said, buf, n);
        g_string_truncate(d->said, MIN(d->said->len, SAID_MAX));
    }
    return n > 0 || (n < 0 && errno == EINTR);
}

static const char *without_prefix(const char *text, const char *prefix)
{
    return g_str_has_prefix(text, prefix) ? text + strlen(prefix) : text;
}

/* "qemu-storage-daemon: --blockdev ...: Could not open 'x'": what it was called with is ours. */
static const char *without_program(const ImageDaemon *d, const char *line)
{
    g_autofree char *blockdev = g_strdup_printf("--blockdev %s: ", d->blockdev);

    return without_prefix(without_prefix(line, PROGRAM ": "), blockdev);
}

/* It wants null for what has no spelling in key=value text but "". */
static void tell_line(ImageDaemon *d, const char *line)
{
    line = without_program(d, line);
    if (line[0] != '\0' && !strstr(line, "is deprecated; use \"backing\": null")) {
        warn_report_limited(&d->limit, "block node '%s': " PROGRAM ": %s", d->node_name, line);
    }
}

static void tell_lines(ImageDaemon *d)
{
    char *newline;

    while ((newline = strchr(d->said->str, '\n')) != NULL || d->said->len == SAID_MAX) {
        gsize len = newline ? (gsize)(newline - d->said->str) : d->said->len;
        g_autofree char *line = g_strndup(d->said->str, len);

        tell_line(d, line);
        g_string_erase(d->said, 0, (gssize)MIN(len + 1, d->said->len));
    }
}

static gboolean has_said(gint fd, GIOCondition condition, gpointer opaque)
{
    ImageDaemon *d = opaque;
    bool more = read_said(d);

    tell_lines(d);
    if (!more && (condition & G_IO_HUP) != 0) {
        g_source_unref(d->said_source);
        d->said_source = NULL;
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

static GSource *add_source(int fd, GUnixFDSourceFunc fn, ImageDaemon *d)
{
    g_autoptr(GMainContext) context = g_main_context_ref_thread_default();
    GSource *source = g_unix_fd_source_new(fd, G_IO_IN | G_IO_HUP);

    g_source_set_callback(source, G_SOURCE_FUNC(fn), d, NULL);
    g_source_attach(source, context);
    return source;
}

void image_daemon_watch(ImageDaemon *d)
{
    tell_lines(d);
    d->said_source = add_source(d->said_fd, has_said, d);
    d->end_source = add_source(d->pidfd, has_ended, d);
}

/*
 * The last line that names the program: before it may be lines of modules that are not there, and
 * of warnings, behind it one of advice.
 */
static char *error_of(const ImageDaemon *d)
{
    const char *at = g_strrstr(d->said->str, PROGRAM ": ");
    g_autofree char *line = at ? opt_first_line(at) : NULL;

    if (!line) {
        return NULL;
    }
    return g_strconcat(without_program(d, line), strstr(d->said->str, MORE_DRIVERS)
                       ? ": Debian has more drivers in " MORE_DRIVERS : "", NULL);
}

char *image_daemon_words(ImageDaemon *d)
{
    (void)wait_for_end(d, WORDS_MS);
    while (read_said(d)) {
        continue;
    }
    return error_of(d);
}
