/*
 * -daemonize and -pidfile. Callers rely on: the parent exits when the pidfile holds the
 * pid and the sockets listen, with 0; or with 1 after it said why not. The child
 * has let go of stdin, stdout and stderr by then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"

#define MAX_REPORT 4096

/* Waits for the child's word: one NUL, or the reason of its failure. */
static void G_GNUC_NORETURN daemon_parent(int fd)
{
    char report[MAX_REPORT];
    size_t len = 0;
    ssize_t n;

    while (len < sizeof(report) - 1) {
        n = read(fd, report + len, sizeof(report) - 1 - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    report[len] = '\0';
    if (len == 1 && report[0] == '\0') {
        _exit(EXIT_SUCCESS);
    }
    if (len == 0) {
        error_report("the daemon died while it started");
    } else if (write(STDERR_FILENO, report, len) < 0) {
        _exit(EXIT_FAILURE);
    }
    _exit(EXIT_FAILURE);
}

bool daemon_detach(System *s, GError **error)
{
    int fds[2];
    pid_t pid;

    if (!s->daemon.wanted) {
        return true;
    }
    if (pipe2(fds, O_CLOEXEC) < 0) {
        return system_set_error(error, "cannot daemonize: %s", g_strerror(errno));
    }
    pid = fork();
    if (pid < 0) {
        close(fds[0]);
        close(fds[1]);
        return system_set_error(error, "cannot daemonize: %s", g_strerror(errno));
    }
    if (pid > 0) {
        run_default_signals(); /* status 0 would say that the daemon is up */
        close(fds[1]);
        daemon_parent(fds[0]);
    }
    close(fds[0]);
    s->daemon.report_fd = fds[1];
    setsid();
    pid = fork(); /* no session leader: never gets a terminal */
    if (pid != 0) {
        _exit(pid < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    umask(027);
    return true;
}

static bool daemon_owns_path(int fd, const char *path)
{
    struct stat ours;
    struct stat there;

    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && there.st_ino == ours.st_ino &&
           there.st_dev == ours.st_dev;
}

/*
 * Opens and locks the file; somebody who removes it between the two makes us try
 * again, or two programs could each hold a lock of its own.
 */
static int daemon_lock_pidfile(const char *path, GError **error)
{
    for (;;) {
        AUTO_FD int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0) {
            system_set_error(error, "cannot create PID file: Could not create '%s': %s", path,
                             g_strerror(errno));
            return -1;
        }
        if (!S_ISREG(st.st_mode)) { /* a device: at the end we would remove it */
            system_set_error(error, "cannot create PID file: '%s' is not a regular file", path);
            return -1;
        }
        if (fcntl(fd, F_SETLK, &lock) < 0) {
            system_set_error(error, "cannot create PID file: Cannot lock pid file '%s': %s", path,
                             g_strerror(errno));
            return -1;
        }
        if (daemon_owns_path(fd, path)) {
            return g_steal_fd(&fd);
        }
    }
}

bool daemon_write_pidfile(System *s, GError **error)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    size_t len = strlen(text);

    if (!s->daemon.pidfile) {
        return true;
    }
    s->daemon.pidfile_fd = daemon_lock_pidfile(s->daemon.pidfile, error);
    if (s->daemon.pidfile_fd < 0) {
        return false;
    }
    if (ftruncate(s->daemon.pidfile_fd, 0) < 0 ||
        write(s->daemon.pidfile_fd, text, len) != (ssize_t)len) {
        return system_set_error(error, "cannot create PID file: Failed to write pid file: %s",
                                g_strerror(errno));
    }
    return true;
}

void daemon_ready(System *s)
{
    int null;

    if (!s->daemon.wanted) {
        return;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        for (int fd = 0; fd < 3; fd++) {
            dup2(null, fd);
        }
        if (null > 2) {
            close(null);
        }
    }
    if (chdir("/") < 0 || write(s->daemon.report_fd, "", 1) != 1) {
        warn_report("cannot tell the parent that we are up: %s", g_strerror(errno));
    }
    fd_close(&s->daemon.report_fd);
}

void daemon_done(System *s)
{
    if (s->daemon.pidfile_fd >= 0) {
        if (daemon_owns_path(s->daemon.pidfile_fd, s->daemon.pidfile)) {
            unlink(s->daemon.pidfile); /* while it is locked */
        }
        fd_close(&s->daemon.pidfile_fd);
    }
    g_clear_pointer(&s->daemon.pidfile, g_free);
}

void daemon_report_failure(System *s, const char *text)
{
    size_t len = strlen(text);

    if (s->daemon.report_fd >= 0 && write(s->daemon.report_fd, text, len) != (ssize_t)len) {
        warn_report("cannot tell the parent why we failed");
    }
    fd_close(&s->daemon.report_fd);
}
