/*
 * The kernel's vhost-net beside a tap: a descriptor of it for each queue, opened here or given.
 * What it does with packets is a NIC's business (hw/virtio/vhost-kernel.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util/fd.h"
#include "util/log.h"

#define VHOST_PATH "/dev/vhost-net"

/* As in QEMU: who names a descriptor, or forces it, wants it. */
static bool is_wanted(const TapConfig *c)
{
    return c->vhost == ON_OFF_AUTO_ON ||
           (c->vhost == ON_OFF_AUTO_AUTO && (c->vhostfd || c->vhostfds || c->vhostforce));
}

/* Those that are given, one a queue; "X:Y:Z", where one ':' at the end is nothing. NULL: none. */
static char **split_fds(const TapConfig *c)
{
    char **part;
    unsigned n;

    if (!c->vhostfds) {
        return c->vhostfd ? g_strdupv((char *[]){ c->vhostfd, NULL }) : NULL;
    }
    part = g_strsplit(c->vhostfds, ":", -1);
    n = g_strv_length(part);
    if (n > 1 && part[n - 1][0] == '\0') {
        g_clear_pointer(&part[n - 1], g_free);
    }
    return part;
}

bool tap_vhost_check(const TapConfig *c, unsigned n_queues, GError **error)
{
    g_auto(GStrv) given = split_fds(c);

    if (given && g_strv_length(given) != n_queues) {
        return c->vhostfds
                   ? tap_fail(error, 0, "The number of fds passed does not match the number of "
                              "vhostfds passed")
                   : tap_fail(error, 0, "vhostfd= is for one queue, and there are %u: use fds= "
                              "and vhostfds=", n_queues);
    }
    if (given && !is_wanted(c)) {
        return tap_fail(error, 0, "vhostfd(s)= is not valid without vhost");
    }
    if (c->poll_us != 0 && !is_wanted(c)) {
        warn_report("%s: poll-us= has no effect without vhost: see poll-max-ns of -object iothread",
                    c->id);
    }
    return true;
}

/* Whether what is wrong with @c's vhost is no more than a pity. */
static bool do_without(const TapConfig *c, GError *why, GError **error)
{
    if (c->vhostforce) {
        g_propagate_error(error, why);
        return false;
    }
    warn_report("%s", why->message);
    g_error_free(why);
    return true;
}

static bool init_fd(const TapConfig *c, int fd, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (c->vhost_init && c->vhost_init(fd, c->poll_us, &why)) {
        return true;
    }
    return tap_fail(error, 0, "vhost-net requested but could not be initialized%s%s",
                    why ? ": " : "", why ? why->message : "");
}

static bool open_fd(const TapConfig *c, NetdevQueue *q, GError **error)
{
    AUTO_FD int fd = open(c->vhost_path ? c->vhost_path : VHOST_PATH, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        return tap_fail(error, errno, "tap: open vhost char device failed");
    }
    if (!init_fd(c, fd, error)) {
        return false;
    }
    q->vhost_fd = g_steal_fd(&fd);
    return true;
}

/* What is not of vhost was a wrong number, and stays its owner's. */
static bool adopt_fd(const TapConfig *c, NetdevQueue *q, const TapGivenFd *given, GError **error)
{
    AUTO_FD int ours = given->ours ? given->fd : -1;
    int r;

    if (!init_fd(c, given->fd, error)) {
        return false;
    }
    r = fd_set_cloexec(given->fd, true);
    if (r < 0) {
        return tap_fail(error, -r, "%s: Can't use file descriptor %d", c->id, given->fd);
    }
    q->vhost_fd = given->fd;
    ours = -1;
    return true;
}

static void close_fds(Netdev *nd)
{
    for (unsigned i = 0; i < nd->n_queues; i++) {
        fd_close(&nd->queue[i]->vhost_fd);
    }
}

/* Names of getfd that none was left of are taken all the same: nobody else knows of them. */
static void drop_names(char **text, const TapFdLookup *lookup)
{
    for (; lookup->by_name && *text; text++) {
        if (!g_ascii_isdigit((*text)[0])) {
            int fd = lookup->by_name(lookup->opaque, *text);

            fd_close(&fd);
        }
    }
}

/* A text that names none is an error in any case: nothing was asked for that makes sense. */
static bool adopt_fds(Netdev *nd, const TapConfig *c, char **text, const TapFdLookup *lookup,
                      GError **error)
{
    for (unsigned i = 0; i < nd->n_queues; i++) {
        g_autoptr(GError) why = NULL;
        TapGivenFd given;

        if (!tap_resolve_fd(nd->id, text[i], lookup, &given, error)) {
            return false;
        }
        if (!adopt_fd(c, nd->queue[i], &given, &why)) {
            close_fds(nd);
            drop_names(&text[i + 1], lookup);
            return do_without(c, g_steal_pointer(&why), error);
        }
    }
    return true;
}

bool tap_vhost_open(Tap *tap, const TapConfig *c, const TapFdLookup *lookup, GError **error)
{
    g_auto(GStrv) given = split_fds(c);
    Netdev *nd = &tap->nd;

    if (!is_wanted(c)) {
        return true;
    }
    nd->vhost_forced = c->vhostforce;
    if (given) {
        return adopt_fds(nd, c, given, lookup, error);
    }
    for (unsigned i = 0; i < nd->n_queues; i++) {
        g_autoptr(GError) why = NULL;

        if (!open_fd(c, nd->queue[i], &why)) {
            close_fds(nd);
            return do_without(c, g_steal_pointer(&why), error);
        }
    }
    return true;
}
