/*
 * A tap that is given away, and one that is received; both are in this process, as the kernel does
 * not care.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "netns.h"
#include "open-tap.h"
#include "tap-internal.h"
#include "util/container-of.h"

#define QUEUES 4u

typedef struct Pair {
    Netdev *giver;
    Netdev *receiver; /* awaited, until receive() */
    GByteArray *state;
    int fds[QUEUES];  /* copies */
    unsigned reopened;
} Pair;

static Netdev *new_tap(const TapConfig *config)
{
    g_autoptr(GError) error = NULL;
    Netdev *nd = tap_new(config, NULL, NULL, &error);

    g_assert_no_error(error);
    return nd;
}

static TapConfig config_of(unsigned queues)
{
    return (TapConfig){ .id = (char *)"n0", .queues = queues, .has_queues = true,
                        .script = (char *)"no", .downscript = (char *)"no",
                        .local_migration_supported = true };
}

static Netdev *new_awaited(unsigned queues, OnOffAuto vnet_hdr)
{
    TapConfig c = config_of(queues);

    c.awaited = true;
    c.vnet_hdr = vnet_hdr;
    return new_tap(&c);
}

static void count_reopened(void *opaque)
{
    ((Pair *)opaque)->reopened++;
}

static bool pair_init(Pair *p, bool persist)
{
    TapConfig c = config_of(QUEUES);
    g_autoptr(GError) error = NULL;

    if (!netns_enter()) {
        return false;
    }
    *p = (Pair){ .state = g_byte_array_new() };
    c.ifname = (char *)"tm0";
    c.persist = persist;
    p->giver = new_tap(&c);
    p->giver->in_use = true;
    g_assert_true(netns_sh("ip link set tm0 up"));
    g_assert_true(p->giver->ops->set_offload(p->giver, NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4,
                                             &error));
    g_assert_true(netdev_set_active(p->giver, 3, NULL, NULL, &error));
    p->receiver = new_awaited(QUEUES, ON_OFF_AUTO_AUTO);
    p->receiver->reopened = count_reopened;
    p->receiver->changed_opaque = p;
    return true;
}

static void give(Pair *p)
{
    g_assert_true(netdev_is_movable(p->giver));
    netdev_give(p->giver, p->state, p->fds);
    g_assert_false(netdev_is_movable(p->giver));
    for (unsigned i = 0; i < QUEUES; i++) {
        p->fds[i] = fcntl(p->fds[i], F_DUPFD_CLOEXEC, 0);
        g_assert_cmpint(p->fds[i], >=, 0);
    }
}

static Netdev *receive(Pair *p, Netdev *nd, GError **error)
{
    StateReader in = { .data = p->state->data, .left = p->state->len };

    return netdev_receive(nd, &in, p->fds, QUEUES, error);
}

static void use(Pair *p)
{
    g_autoptr(GError) error = NULL;
    Netdev *fresh = receive(p, p->receiver, &error);

    g_assert_no_error(error);
    g_assert_true(netdev_replace(p->receiver, fresh, &error));
    g_assert_no_error(error);
}

static void pair_done(Pair *p)
{
    netdev_free(p->giver);
    netdev_free(p->receiver);
    g_byte_array_unref(p->state);
}

static bool is_attached(int fd)
{
    struct ifreq ifr = { 0 };

    g_assert_cmpint(ioctl(fd, TUNGETIFF, &ifr), ==, 0);
    return !(ifr.ifr_flags & IFF_DETACH_QUEUE);
}

static bool has_carrier(void)
{
    return netns_sh("ip link show tm0 | grep -q LOWER_UP");
}

static bool has_tso(void)
{
    return netns_sh("ethtool -k tm0 | grep -q 'tcp-segmentation-offload: on'");
}

/* All as it was, on the other side; and what the former one is told is nobody's any more. */
static void test_moves(void)
{
    g_autoptr(GError) error = NULL;
    Pair p;

    if (!pair_init(&p, false)) {
        return;
    }
    give(&p);
    use(&p);
    g_assert_cmpuint(p.reopened, ==, 1);
    g_assert_cmpstr(p.receiver->ifname, ==, "tm0");
    g_assert_cmpuint(p.receiver->n_active, ==, 3);
    g_assert_true(p.receiver->nic_carrier);
    g_assert_true(p.receiver->inherited);
    g_assert_cmpuint(p.receiver->host_offload, ==, p.giver->host_offload);
    g_assert_true(netdev_set_active(p.giver, 1, NULL, NULL, &error));
    netdev_set_carrier(p.giver, false);
    g_assert_true(p.giver->ops->set_offload(p.giver, 0, &error));
    for (unsigned i = 0; i < QUEUES; i++) {
        g_assert_true(is_attached(p.receiver->queue[i]->fd) == (i < 3));
    }
    g_assert_true(has_carrier());
    g_clear_pointer(&p.giver, netdev_free);
    g_assert_true(netns_has_interface("tm0"));
    g_assert_true(netdev_set_active(p.receiver, 2, NULL, NULL, &error));
    g_assert_false(is_attached(p.receiver->queue[2]->fd));
    netdev_set_carrier(p.receiver, false);
    g_assert_false(has_carrier());
    g_clear_pointer(&p.receiver, netdev_free);
    g_assert_false(netns_has_interface("tm0"));
    pair_done(&p);
}

/* The same offloads are not told again: an administrator's wishes stay. */
static void test_offloads_stay(void)
{
    g_autoptr(GError) error = NULL;
    Pair p;

    if (!pair_init(&p, false)) {
        return;
    }
    give(&p);
    g_assert_true(p.receiver->ops->set_offload(p.receiver, /* as its driver has it */
                                               NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4, &error));
    use(&p);
    g_assert_true(container_of(p.receiver, Tap, nd)->has_offload);
    g_assert_cmpuint(container_of(p.receiver, Tap, nd)->tun_offload, ==,
                     container_of(p.giver, Tap, nd)->tun_offload);
    g_assert_cmpuint(container_of(p.giver, Tap, nd)->tun_offload, ==, TUN_F_CSUM | TUN_F_TSO4);
    pair_done(&p);
}

/* The other one has it for a while, changes all of it, and is gone. */
static void test_taken_back(void)
{
    g_autoptr(GError) error = NULL;
    bool tso;
    Pair p;

    if (!pair_init(&p, true)) {
        return;
    }
    tso = has_tso();
    give(&p);
    use(&p);
    g_assert_true(netdev_set_active(p.receiver, 1, NULL, NULL, &error));
    netdev_set_carrier(p.receiver, false);
    g_assert_true(p.receiver->ops->set_offload(p.receiver, 0, &error));
    g_clear_pointer(&p.receiver, netdev_free);
    g_assert_false(has_carrier());
    netdev_take_back(p.giver);
    for (unsigned i = 0; i < QUEUES; i++) {
        g_assert_true(is_attached(p.giver->queue[i]->fd) == (i < 3));
    }
    g_assert_true(has_carrier());
    g_assert_true(has_tso() == tso);
    g_assert_true(netdev_is_movable(p.giver));
    p.giver->keep = true; /* it persists again */
    g_clear_pointer(&p.giver, netdev_free);
    g_assert_true(netns_has_interface("tm0"));
    pair_done(&p);
}

/* What was received, and not used, leaves no trace. */
static void test_not_used(void)
{
    g_autoptr(GError) error = NULL;
    Pair p;

    if (!pair_init(&p, true)) {
        return;
    }
    give(&p);
    netdev_free(receive(&p, p.receiver, &error));
    g_assert_no_error(error);
    netdev_take_back(p.giver);
    for (unsigned i = 0; i < QUEUES; i++) {
        g_assert_true(is_attached(p.giver->queue[i]->fd) == (i < 3));
    }
    g_assert_true(p.receiver->awaited);
    g_assert_true(has_carrier());
    g_byte_array_set_size(p.state, 0);
    give(&p); /* and once more */
    use(&p);
    g_clear_pointer(&p.giver, netdev_free);
    g_assert_true(netns_has_interface("tm0"));
    g_clear_pointer(&p.receiver, netdev_free); /* which has to end what persists */
    g_assert_false(netns_has_interface("tm0"));
    pair_done(&p);
}

/* As it was written when there was no other version: it is read for ever. */
static void test_version_1(void)
{
    static const uint8_t state[] = {
        0x01, 0x00, 0x00, 0x00, 0x31, 0x00, 0x04, 0x00, 0x03, 0x00, 0x00, 0x00,
        0x1f, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00,
    };
    const Tap *tap;
    Pair p;

    if (!pair_init(&p, false)) {
        return;
    }
    give(&p);
    g_byte_array_set_size(p.state, 0);
    g_byte_array_append(p.state, state, sizeof(state));
    use(&p);
    tap = container_of(p.receiver, Tap, nd);
    g_assert_cmpuint(p.receiver->n_active, ==, 3);
    g_assert_true(p.receiver->nic_carrier && p.receiver->has_vnet_hdr);
    g_assert_cmphex(p.receiver->host_offload, ==, 0x1f);
    g_assert_false(tap->persist || tap->has_sndbuf || tap->carrier_off || tap->given);
    pair_done(&p);
}

/* downscript= is run by the last one who has it. */
static void test_scripts(void)
{
    g_autofree char *dir = g_dir_make_tmp("ringtap-test-XXXXXX", NULL);
    g_autofree char *script = g_strdup_printf("%s/down", dir);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\necho $1 >> %s/ran\n", dir);
    TapConfig c = config_of(1);
    Netdev *giver, *receiver, *fresh;
    StateReader in;
    int fd;

    if (!netns_enter()) {
        return;
    }
    g_assert_true(g_file_set_contents(script, text, -1, NULL));
    g_assert_true(netns_sh("chmod +x %s", script));
    c.downscript = script;
    giver = new_tap(&c);
    g_assert_true(tap_script_run(giver, true, NULL)); /* so there is something to take down */
    c.script = script; /* not for one that is set up already */
    c.awaited = true;
    receiver = new_tap(&c);
    g_assert_null(tap_script(receiver, true));
    giver->in_use = true;
    {
        g_autoptr(GByteArray) state = g_byte_array_new();

        netdev_give(giver, state, &fd);
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        in = (StateReader){ .data = state->data, .left = state->len };
        fresh = netdev_receive(receiver, &in, &fd, 1, NULL);
        g_assert_true(netdev_replace(receiver, fresh, NULL));
    }
    g_assert_null(tap_script(receiver, true));
    netdev_free(giver);
    g_assert_false(netns_sh("test -e %s/ran", dir));
    netdev_free(receiver);
    g_assert_true(netns_sh("test \"$(cat %s/ran)\" = tap0", dir));
    g_assert_true(netns_sh("rm -r %s", dir));
}

/* --- what is not right --- */

static void test_broken_states(void)
{
    Pair p;
    size_t len;

    if (!pair_init(&p, false)) {
        return;
    }
    give(&p);
    len = p.state->len;
    for (size_t bit = 0; bit < 8 * len + len; bit++) {
        bool flip = bit < 8 * len;
        g_autoptr(GError) error = NULL;
        StateReader in = { .data = p.state->data, .left = flip ? len : bit - 8 * len };
        Netdev *fresh;

        if (flip) {
            p.state->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        fresh = netdev_receive(p.receiver, &in, p.fds, QUEUES, &error);
        g_assert_true(fresh ? !error : error != NULL);
        g_assert_true(flip || !fresh);
        netdev_free(fresh);
        if (flip) {
            p.state->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (unsigned i = 0; i < QUEUES; i++) { /* good or bad, they were its own */
            g_assert_cmpint(fcntl(p.fds[i], F_GETFD), ==, -1);
            p.fds[i] = fcntl(p.giver->queue[i]->fd, F_DUPFD_CLOEXEC, 0);
        }
    }
    use(&p);
    pair_done(&p);
}

static void expect_refused(Pair *p, Netdev *nd, const char *why)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(receive(p, nd, &error));
    g_assert_cmpstr(error->message, ==, why);
    for (unsigned i = 0; i < QUEUES; i++) {
        g_assert_cmpint(fcntl(p->fds[i], F_GETFD), ==, -1);
        p->fds[i] = fcntl(p->giver->queue[i]->fd, F_DUPFD_CLOEXEC, 0);
    }
}

static void test_what_does_not_fit(void)
{
    g_autofree char *text = NULL;
    Netdev *other;
    Pair p;

    if (!pair_init(&p, false)) {
        return;
    }
    give(&p);
    other = new_awaited(2, ON_OFF_AUTO_AUTO);
    expect_refused(&p, other, "netdev 'n0' is in use with queues=2");
    netdev_free(other);
    other = new_awaited(QUEUES, ON_OFF_AUTO_OFF);
    expect_refused(&p, other, "netdev 'n0' is in use with vnet_hdr=off");
    netdev_free(other);
    expect_refused(&p, p.giver, "netdev 'n0' does not wait for descriptors: it was made without "
                                "incoming-fds=on");
    close(p.fds[3]);
    p.fds[3] = eventfd(0, EFD_CLOEXEC);
    text = g_strdup_printf("Unable to query TUNGETIFF on FD %d: Inappropriate ioctl for device",
                           p.fds[3]);
    expect_refused(&p, p.receiver, text);
    use(&p);
    pair_done(&p);
}

static void test_options(void)
{
    TapConfig c = config_of(2);
    g_autoptr(GError) error = NULL;

    c.incoming_fds = true;
    g_assert_null(tap_new(&c, NULL, NULL, &error));
    g_assert_cmpstr(error->message, ==, "incoming-fds= is for a program that waits for a migration "
                                        "(-incoming)");
    g_clear_error(&error);
    c.awaited = true;
    c.ifname = (char *)"tm0";
    g_assert_null(tap_new(&c, NULL, NULL, &error));
    g_assert_cmpstr(error->message, ==, "ifname=, fd=, fds=, helper=, sndbuf= and persist= are "
                                        "invalid with incoming-fds=");
    g_clear_error(&error);
    c.ifname = NULL;
    c.local_migration_supported = false;
    g_assert_null(tap_new(&c, NULL, NULL, &error));
    g_assert_cmpstr(error->message, ==, "incoming-fds= is invalid with "
                                        "local-migration-supported=off");
}

/* Nothing is there yet, whatever it is asked for. */
static void test_awaited(void)
{
    Netdev *nd = new_awaited(2, ON_OFF_AUTO_OFF);
    g_autofree char *info = nd->ops->info(nd, 1);
    PktArena arena;
    struct iovec iov;
    Pkt pkt;

    g_assert_cmpstr(info, ==, "incoming-fds=on");
    g_assert_false(nd->has_vnet_hdr);
    g_assert_true(nd->ops->set_offload(nd, NETDEV_CSUM4, NULL));
    g_assert_true(netdev_set_active(nd, 1, NULL, NULL, NULL));
    netdev_set_carrier(nd, true);
    netdev_set_bursts(nd->queue[0], true);
    g_assert_cmpint(pkt_arena_init(&arena, PKT_ARENA_MIN), ==, 0);
    g_assert_cmpuint(netdev_recv(nd->queue[0], &arena, &pkt, &iov, 1), ==, 0);
    pkt_arena_done(&arena);
    nd->in_use = true;
    g_assert_false(netdev_is_movable(nd));
    netdev_free(nd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/tap-move/moves", test_moves);
    g_test_add_func("/net/tap-move/offloads-stay", test_offloads_stay);
    g_test_add_func("/net/tap-move/taken-back", test_taken_back);
    g_test_add_func("/net/tap-move/not-used", test_not_used);
    g_test_add_func("/net/tap-move/version-1", test_version_1);
    g_test_add_func("/net/tap-move/scripts", test_scripts);
    g_test_add_func("/net/tap-move/broken-states", test_broken_states);
    g_test_add_func("/net/tap-move/what-does-not-fit", test_what_does_not_fit);
    g_test_add_func("/net/tap-move/options", test_options);
    g_test_add_func("/net/tap-move/awaited", test_awaited);
    return g_test_run();
}
