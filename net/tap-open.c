/*
 * Making a tap: options validated, queues opened, everything set up. All or nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "net/netdev-impl.h"
#include "util/container-of.h"
#include "util/fd.h"
#include "util/log.h"

#define TUN_PATH       "/dev/net/tun"
#define DEFAULT_SCRIPT "/etc/qemu-ifup"
#define DEFAULT_DOWN   "/etc/qemu-ifdown"
/* Scripts wait for locks and for udev, but not longer than an operator does. */
#define SCRIPT_TIMEOUT_MS 30000

#define OPEN_WAIT_MS   1000 /* for another program to let go of its queues */

/* Why TUNSETIFF refused, in words; NULL if only errno knows. */
static char *explain_setiff(const char *name, int err, unsigned queues)
{
    TapLink l;

    if (name[0] == '\0' || strchr(name, '%') || tap_link_query(TAP_NSID_OURS, name, &l) < 0) {
        return err == EPERM ? g_strdup("Operation not permitted: making a tap needs CAP_NET_ADMIN, "
                                       "or name one that this user owns")
                            : NULL;
    }
    if (!l.is_tap) {
        return g_strdup("an interface of that name exists and is no tap");
    }
    if (err == EPERM) {
        return g_strdup("Operation not permitted: it needs CAP_NET_ADMIN, or to be made for "
                        "this user (ip tuntap add ... user NAME)");
    }
    if (l.multi_queue && queues == 1) {
        return g_strdup("the existing tap has multi_queue, queues=1 asks for none: use queues=2 "
                        "or more, or delete it");
    }
    if (!l.multi_queue && queues > 1) {
        return g_strdup_printf("the existing tap has no multi_queue, queues=%u asks for it: use "
                               "queues=1, or delete it", queues);
    }
    return err == EBUSY ? g_strdup("Device or resource busy: another program has it open") : NULL;
}

/* Another program has it: that may end soon. */
static bool fail_busy(GError **error, const char *text)
{
    g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN, text);
    return false;
}

/* "could not configure /dev/net/tun (NAME): WHY" */
static bool fail_setiff(GError **error, int err, const char *name, const char *why)
{
    g_autofree char *text = name[0] == '\0'
        ? g_strdup_printf("could not configure " TUN_PATH ": %s", why)
        : g_strdup_printf("could not configure " TUN_PATH " (%s): %s", name, why);

    return err == EBUSY ? fail_busy(error, text) : tap_fail(error, 0, "%s", text);
}

/* Which flags TUNSETIFF gets; what the kernel cannot do is an error if it was asked for. */
static bool choose_flags(int fd, const TapConfig *config, unsigned queues, unsigned *ret_flags,
                         GError **error)
{
    unsigned features = 0;

    if (ioctl(fd, TUNGETFEATURES, &features) < 0) {
        return tap_fail(error, errno, "TUNGETFEATURES ioctl failed");
    }
    *ret_flags = IFF_TAP | IFF_NO_PI;
    if (config->vnet_hdr != ON_OFF_AUTO_OFF) {
        if (!(features & IFF_VNET_HDR) && config->vnet_hdr == ON_OFF_AUTO_ON) {
            return tap_fail(error, 0, "vnet_hdr=1 requested, but no kernel support for "
                                  "IFF_VNET_HDR available");
        }
        *ret_flags |= features & IFF_VNET_HDR;
    }
    if (queues > 1) {
        if (!(features & IFF_MULTI_QUEUE)) {
            return tap_fail(error, 0, "multiqueue required, but no kernel support for "
                                  "IFF_MULTI_QUEUE available");
        }
        *ret_flags |= IFF_MULTI_QUEUE;
    }
    return true;
}

/* Opens queue number @i; queue 0 decides the name. */
static bool open_queue(Tap *tap, unsigned i, const TapConfig *config, GError **error)
{
    Netdev *nd = &tap->nd;
    const char *name = i > 0 ? nd->ifname : config->ifname ? config->ifname : "";
    AUTO_FD int fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq ifr = { 0 };
    unsigned flags = 0;

    if (fd < 0 && (errno == ENOENT || errno == ENODEV)) {
        return tap_fail(error, 0, "could not open " TUN_PATH ": %s\nLoad the kernel's module for "
                        "it: modprobe tun", g_strerror(errno));
    }
    if (fd < 0) {
        return tap_fail(error, errno, "could not open " TUN_PATH);
    }
    if (!choose_flags(fd, config, nd->n_queues, &flags, error)) {
        return false;
    }
    g_strlcpy(ifr.ifr_name, name[0] ? name : "tap%d", sizeof(ifr.ifr_name));
    ifr.ifr_flags = (short)flags;
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        int err = errno;
        g_autofree char *why = explain_setiff(name, err, nd->n_queues);

        return fail_setiff(error, err, name, why ? why : g_strerror(err));
    }
    if (i == 0) {
        nd->ifname = g_strdup(ifr.ifr_name);
        nd->has_vnet_hdr = (flags & IFF_VNET_HDR) != 0;
        tap->multi_queue = (flags & IFF_MULTI_QUEUE) != 0;
    }
    nd->queue[i]->fd = g_steal_fd(&fd);
    return true;
}

/* As QEMU excludes them, and in its words. */
static bool check_exclusions(const TapConfig *c, GError **error)
{
    bool host = c->ifname || c->script || c->downscript || c->vnet_hdr != ON_OFF_AUTO_AUTO ||
                c->has_queues;

    if (c->persist && (c->fd || c->fds || c->helper)) {
        return tap_fail(error, 0, "persist= is invalid with fd=, fds= and helper=");
    }
    if (c->persist && !c->ifname) {
        return tap_fail(error, 0, "persist= is invalid without ifname=");
    }
    if (c->fd && (host || c->helper || c->fds || c->vhostfds)) {
        return tap_fail(error, 0, "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, "
                        "fds=, and vhostfds= are invalid with fd=");
    }
    if (c->fds && (host || c->helper || c->vhostfd)) {
        return tap_fail(error, 0, "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, and "
                        "vhostfd= are invalid with fds=");
    }
    if (c->helper && (host || c->vhostfds)) {
        return tap_fail(error, 0, "ifname=, script=, downscript=, vnet_hdr=, queues=, and "
                        "vhostfds= are invalid with helper=");
    }
    if (c->vhostfds && !c->fds) {
        return tap_fail(error, 0, "vhostfds= is invalid if fds= wasn't specified");
    }
    return true;
}

/* The interface and what is set of it come along. vnet_hdr= says what is expected of it. */
static bool check_incoming(const TapConfig *c, GError **error)
{
    if (c->incoming_fds && (c->ifname || c->fd || c->fds || c->helper || c->has_sndbuf ||
                            c->persist)) {
        return tap_fail(error, 0, "ifname=, fd=, fds=, helper=, sndbuf= and persist= are invalid "
                        "with incoming-fds=");
    }
    if (c->incoming_fds && !c->local_migration_supported) {
        return tap_fail(error, 0, "incoming-fds= is invalid with local-migration-supported=off");
    }
    if (c->incoming_fds && !c->awaited) {
        return tap_fail(error, 0, "incoming-fds= is for a program that waits for a migration "
                        "(-incoming)");
    }
    return true;
}

/* What QEMU has and this program has not; what leaves it switched off is fine. */
static bool check_missing(const TapConfig *c, GError **error)
{
    if (c->helper) {
        return tap_fail(error, 0, "helper= is not supported: make the tap beforehand (ip tuntap "
                        "add) and name it with ifname=, or pass its descriptor with fd=");
    }
    if (c->br) {
        warn_report("%s: br= has no effect without helper=, which is not supported: have "
                    "script= put the tap into %s", c->id, c->br);
    }
    return true;
}

static bool check_config(const TapConfig *c, GError **error)
{
    if (!check_exclusions(c, error) || !check_incoming(c, error)) {
        return false;
    }
    if (c->has_queues && (c->queues < 1 || c->queues > TAP_MAX_QUEUES)) {
        return tap_fail(error, 0, "Parameter 'queues' expects a number of 1 to %d", TAP_MAX_QUEUES);
    }
    if (c->ifname && strlen(c->ifname) >= IFNAMSIZ) {
        return tap_fail(error, 0, "Parameter 'ifname' expects a name of at most %d characters",
                    IFNAMSIZ - 1);
    }
    return true;
}

Tap *tap_alloc(const char *id, unsigned n_queues)
{
    Tap *tap = g_new0(Tap, 1);
    unsigned i;

    tap->nd.ops = &tap_ops;
    tap->nd.id = g_strdup(id);
    tap->nd.n_queues = n_queues;
    tap->nd.carrier = true;
    tap->nd.nic_carrier = true; /* the kernel's own, until a NIC comes */
    tap->nd.link_up = true;
    tap->nd.queue = g_new0(NetdevQueue *, n_queues);
    tap->nd.n_active = n_queues;
    tap->nsid = TAP_NSID_OURS;
    tap->link_fd = -1;
    for (i = 0; i < n_queues; i++) {
        TapQueue *tq = g_aligned_alloc0(1, sizeof(*tq), _Alignof(TapQueue));

        tq->q.nd = &tap->nd;
        tq->q.index = i;
        tq->q.fd = -1;
        tq->q.vhost_fd = -1;
        tap->nd.queue[i] = &tq->q;
    }
    return tap;
}

/* Absolute: it is run again when a daemon has left its directory. */
static char *choose_script(const char *given, const char *fallback)
{
    g_autofree char *dir = NULL;

    if (!given) {
        return g_file_test(fallback, G_FILE_TEST_EXISTS) ? g_strdup(fallback) : NULL;
    }
    if (given[0] == '\0' || strcmp(given, "no") == 0) {
        return NULL;
    }
    dir = g_get_current_dir();
    return g_path_is_absolute(given) ? g_strdup(given) : g_build_filename(dir, given, NULL);
}

void tap_set_scripts(Tap *tap, const TapConfig *config)
{
    tap->script_timeout_ms = config->script_timeout_ms ? (int)config->script_timeout_ms
                                                       : SCRIPT_TIMEOUT_MS;
    tap->script = choose_script(config->script, DEFAULT_SCRIPT);
    tap->downscript = choose_script(config->downscript, DEFAULT_DOWN);
    tap->script_ran = !tap->script;
}

/* A queue that a former owner detached takes part again; others say EINVAL to that. */
static void attach_all(Tap *tap)
{
    unsigned i;

    for (i = 0; i < tap->nd.n_queues; i++) {
        TapQueue *tq = container_of(tap->nd.queue[i], TapQueue, q);
        struct ifreq ifr = { .ifr_flags = IFF_ATTACH_QUEUE };

        if (tap->given && tap->multi_queue) {
            (void)ioctl(tq->q.fd, TUNSETQUEUE, &ifr);
        }
        tq->attached = true;
    }
}

/* The descriptors are there: everything else, the same for all kinds. */
static bool tap_set_up(Tap *tap, const TapConfig *config, GError **error)
{
    Netdev *nd = &tap->nd;
    int fd = nd->queue[0]->fd;
    int hdr_len = PKT_HDR_LEN;
    int sndbuf = config->sndbuf == 0 || config->sndbuf > INT_MAX ? INT_MAX : (int)config->sndbuf;

    attach_all(tap);
    if (nd->has_vnet_hdr && ioctl(fd, TUNSETVNETHDRSZ, &hdr_len) < 0) {
        return tap_fail(error, errno, "TUNSETVNETHDRSZ ioctl failed");
    }
    tap->has_sndbuf = config->has_sndbuf;
    tap->sndbuf = config->sndbuf;
    /* Not unless asked for: any limit takes the kernel off its fast path. */
    if (config->has_sndbuf && ioctl(fd, TUNSETSNDBUF, &sndbuf) < 0) {
        return tap_fail(error, errno, "TUNSETSNDBUF ioctl failed");
    }
    if (!nd->has_vnet_hdr && !netdev_add_scratch(nd, error)) {
        return false;
    }
    return tap_follow(tap, error) && tap_ops.set_offload(nd, 0, error);
}

static bool open_queues(Tap *tap, const TapConfig *config, GError **error)
{
    for (unsigned i = 0; i < tap->nd.n_queues; i++) {
        if (!open_queue(tap, i, config, error)) {
            return false;
        }
    }
    return true;
}

static void close_queues(Tap *tap)
{
    for (unsigned i = 0; i < tap->nd.n_queues; i++) {
        fd_close(&tap->nd.queue[i]->fd);
    }
    g_clear_pointer(&tap->nd.ifname, g_free);
}

/* Queues of @ifname beyond @ours; the kernel would let both programs have some of its packets. */
static unsigned foreign_queues(const char *ifname, unsigned ours)
{
    TapLink l;

    if (!ifname || tap_link_query(TAP_NSID_OURS, ifname, &l) < 0 || !l.is_tap) {
        return 0;
    }
    l.n_queues += l.n_disabled;
    return l.n_queues > ours ? l.n_queues - ours : 0;
}

/*
 * Looks before and after: before, so that a program at work does not lose a packet to us;
 * after, as another one may have done the same at the same time. Then both let go.
 */
static bool open_alone(Tap *tap, const TapConfig *config, GError **error)
{
    unsigned n = foreign_queues(config->ifname, 0);
    const char *ifname = config->ifname;

    if (n == 0) {
        if (!open_queues(tap, config, error)) {
            return false;
        }
        ifname = tap->nd.ifname;
        n = tap->multi_queue ? foreign_queues(ifname, tap->nd.n_queues) : 0;
    }
    if (n > 0) {
        g_autofree char *text = g_strdup_printf("%s has %u queue%s open by another program",
                                                ifname, n, n == 1 ? "" : "s");

        return fail_busy(error, text);
    }
    return true;
}

/*
 * A program that was killed lets go of its queues a little later than it is gone, and whoever
 * started it may have been faster. The time between two tries is no one else's.
 */
static bool tap_open_all(Tap *tap, const TapConfig *config, GError **error)
{
    gint64 end = g_get_monotonic_time() + (config->at_start ? OPEN_WAIT_MS * 1000 : 0);
    g_autoptr(GError) why = NULL;

    tap_set_scripts(tap, config);
    tap->nd.found = config->ifname && if_nametoindex(config->ifname) != 0;
    tap->nd.keep = tap->nd.found;
    while (!open_alone(tap, config, &why)) {
        if (!g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_AGAIN) ||
            g_get_monotonic_time() >= end) {
            g_propagate_error(error, g_steal_pointer(&why));
            return false;
        }
        g_clear_error(&why);
        close_queues(tap);
        poll(NULL, 0, g_random_int_range(10, 60)); /* nothing tells of the end of one of several */
    }
    tap->persist = config->persist;
    if (tap->persist && ioctl(tap->nd.queue[0]->fd, TUNSETPERSIST, 1ul) < 0) {
        return tap_fail(error, errno, "TUNSETPERSIST ioctl failed");
    }
    return true;
}

Netdev *tap_new(const TapConfig *config, TapFdByName *by_name, void *opaque, GError **error)
{
    g_auto(GStrv) fds = NULL;
    g_autoptr(Netdev) nd = NULL;
    unsigned n = config->has_queues ? config->queues : 1;
    const TapFdLookup lookup = { by_name, opaque };
    Tap *tap;

    if (!check_config(config, error)) {
        return NULL;
    }
    if (config->fd) {
        fds = g_new0(char *, 2);
        fds[0] = g_strdup(config->fd);
    } else if (config->fds) {
        fds = tap_split_fds(config->fds, &n, error);
        if (!fds) {
            return NULL;
        }
    }
    if (!tap_vhost_check(config, n, error) || !check_missing(config, error)) {
        return NULL;
    }
    if (config->awaited) {
        tap = tap_new_awaited(config, n, error);
        nd = tap ? &tap->nd : NULL;
        return nd && tap_vhost_open(tap, config, &lookup, error) ? g_steal_pointer(&nd) : NULL;
    }
    tap = tap_alloc(config->id, n);
    nd = &tap->nd;
    nd->movable = config->local_migration_supported;
    tap->given = fds != NULL;
    if (!(fds ? tap_adopt_fds(tap, fds, &lookup, error) : tap_open_all(tap, config, error))) {
        return NULL;
    }
    if (!tap_set_up(tap, config, error) || !tap_vhost_open(tap, config, &lookup, error)) {
        return NULL;
    }
    return g_steal_pointer(&nd);
}
