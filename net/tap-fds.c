/*
 * Taps that somebody else opened: fd= and fds=.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include "given-fd.h"
#include "util/fd.h"

bool tap_fail(GError **error, int err, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    if (err == 0) {
        g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, text);
    } else {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(err), "%s: %s", text,
                    g_strerror(err));
    }
    return false;
}

static bool adopt_flags(Tap *tap, unsigned i, const struct ifreq *ifr, GError **error)
{
    Netdev *nd = &tap->nd;
    unsigned flags = (unsigned short)ifr->ifr_flags;
    bool vnet_hdr = (flags & IFF_VNET_HDR) != 0;
    int fd = nd->queue[i]->fd;

    if (!(flags & IFF_TAP) || !(flags & IFF_NO_PI)) {
        return tap_fail(error, 0, "%s: Can't use file descriptor %d: it is no tap with IFF_NO_PI",
                    nd->id, fd);
    }
    if (i == 0) {
        nd->ifname = g_strndup(ifr->ifr_name, sizeof(ifr->ifr_name));
        nd->has_vnet_hdr = vnet_hdr;
        tap->multi_queue = (flags & IFF_MULTI_QUEUE) != 0;
    }
    if (vnet_hdr != nd->has_vnet_hdr) {
        return tap_fail(error, 0, "vnet_hdr not consistent across given tap fds");
    }
    if (strncmp(ifr->ifr_name, nd->ifname, sizeof(ifr->ifr_name)) != 0) {
        return tap_fail(error, 0, "the given tap fds are of different interfaces, %s and %.*s",
                    nd->ifname, (int)sizeof(ifr->ifr_name), ifr->ifr_name);
    }
    if (nd->n_queues > 1 && !(flags & IFF_MULTI_QUEUE)) {
        return tap_fail(error, 0, "%u tap fds given, but %s was opened without IFF_MULTI_QUEUE",
                    nd->n_queues, nd->ifname);
    }
    return true;
}

bool tap_resolve_fd(const char *id, const char *text, const TapFdLookup *lookup, TapGivenFd *ret,
                    GError **error)
{
    *ret = (TapGivenFd){ .fd = -1, .ours = lookup->by_name && !g_ascii_isdigit(text[0]) };
    if (!ret->ours) {
        return given_number(id, text, &ret->fd, error);
    }
    ret->fd = lookup->by_name(lookup->opaque, text);
    return ret->fd >= 0 ||
           tap_fail(error, 0, "File descriptor named '%s' has not been found", text);
}

bool tap_adopt_queue(Tap *tap, unsigned i, int fd, unsigned *ret_flags, GError **error)
{
    Netdev *nd = &tap->nd;
    struct ifreq ifr = { 0 };
    int r;

    if (ioctl(fd, TUNGETIFF, &ifr) < 0) {
        /* What is no tap was a wrong number, and stays its owner's. */
        return tap_fail(error, errno, "Unable to query TUNGETIFF on FD %d", fd);
    }
    nd->queue[i]->fd = fd;
    *ret_flags = (unsigned short)ifr.ifr_flags;
    if (!adopt_flags(tap, i, &ifr, error)) {
        return false;
    }
    r = fd_set_nonblock(fd, true);
    r = r < 0 ? r : fd_set_cloexec(fd, true);
    return r == 0 || tap_fail(error, -r, "%s: Can't use file descriptor %d", nd->id, fd);
}

static bool adopt_fd(Tap *tap, unsigned i, const char *text, const TapFdLookup *lookup,
                     GError **error)
{
    Netdev *nd = &tap->nd;
    TapGivenFd given;
    unsigned flags;

    if (!tap_resolve_fd(nd->id, text, lookup, &given, error)) {
        return false;
    }
    nd->queue[i]->fd = given.ours ? given.fd : -1;
    return tap_adopt_queue(tap, i, given.fd, &flags, error);
}

bool tap_adopt_fds(Tap *tap, char **fds, const TapFdLookup *lookup, GError **error)
{
    unsigned i;

    for (i = 0; i < tap->nd.n_queues; i++) {
        if (!adopt_fd(tap, i, fds[i], lookup, error)) {
            return false;
        }
    }
    return true;
}

char **tap_split_fds(const char *fds, unsigned *ret_n, GError **error)
{
    g_auto(GStrv) part = g_strsplit(fds, ":", -1);
    unsigned n = g_strv_length(part);
    unsigned i;
    unsigned j;

    if (n > 1 && part[n - 1][0] == '\0') {
        g_clear_pointer(&part[--n], g_free);
    }
    if (n < 1 || n > TAP_MAX_QUEUES) {
        tap_fail(error, 0, "Parameter 'fds' expects 1 to %d file descriptors", TAP_MAX_QUEUES);
        return NULL;
    }
    for (i = 0; i < n; i++) {
        for (j = 0; j < i; j++) {
            if (part[i][0] != '\0' && strcmp(part[i], part[j]) == 0) {
                tap_fail(error, 0, "Parameter 'fds' has file descriptor '%s' twice", part[i]);
                return NULL;
            }
        }
    }
    *ret_n = n;
    return g_steal_pointer(&part);
}
