/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tap-internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"

/* Scripts wait for locks and for udev, but not longer than an operator does. */
#define SCRIPT_TIMEOUT_S 30

/* True: it ended by itself. In any case there is no child afterwards. */
static bool wait_for(pid_t pid, int *ret_status)
{
    AUTO_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    bool ended = true;
    int r;

    if (fd >= 0) {
        do {
            r = poll(&p, 1, SCRIPT_TIMEOUT_S * 1000);
        } while (r < 0 && errno == EINTR);
        if (r == 0) {
            kill(pid, SIGKILL);
            ended = false;
        }
    }
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR) {
    }
    return ended;
}

bool tap_script_run(const char *script, const char *ifname, GError **error)
{
    char *argv[] = { (char *)script, (char *)ifname, NULL };
    g_autoptr(GError) why = NULL;
    int status = 0;
    GPid pid;

    if (!g_spawn_async(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, &why)) {
        g_set_error(error, G_SPAWN_ERROR, why->code, "could not launch network script %s: %s",
                    script, why->message);
        return false;
    }
    if (!wait_for(pid, &status)) {
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED,
                    "network script %s did not end within %d seconds", script,
                    SCRIPT_TIMEOUT_S);
        return false;
    }
    if (status != 0) {
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED,
                    "network script %s failed with status %d", script, status);
        return false;
    }
    return true;
}
