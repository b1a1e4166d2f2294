/*
 * virtio-net-pci in the whole program: a driver by qtest, with rings in the guest's memory, and the
 * other end of a socket or of a tap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "frames.h"
#include "host-tap.h"
#include "netns.h"
#include "qtest.h"
#include "virtio-pci-guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIT(n) (1ull << (n))
#define CTRL   (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS))
#define PACKED BIT(VIRTIO_F_RING_PACKED)
#define EVENT  BIT(VIRTIO_RING_F_EVENT_IDX)
#define MQ     BIT(VIRTIO_NET_F_MQ)
#define SLOT   4u
#define WAIT_MS 20000

typedef struct Case {
    const char *options;   /* of the device */
    uint64_t wanted;
    bool legacy, msix;
    unsigned pairs;        /* with a tap; 0: a socket */
} Case;

typedef struct Fixture {
    QTest *qt;
    VirtioPciGuest g;
    int other;             /* the socket's end; -1: there is a tap */
    int given;             /* that of the program */
    HostTap *tap;
} Fixture;

/* --- the driver's way to the machine --- */

static void line_read(void *opaque, bool port, uint64_t addr, void *buf, size_t len)
{
    Fixture *f = opaque;
    g_autofree char *text = NULL;
    uint32_t value;

    if (!port) {
        qtest_memread(f->qt, addr, buf, len);
        return;
    }
    text = qtest_ok(f->qt, "in%c 0x%x", len == 1 ? 'b' : len == 2 ? 'w' : 'l', (unsigned)addr);
    value = GUINT32_TO_LE((uint32_t)g_ascii_strtoull(text, NULL, 0));
    memcpy(buf, &value, len);
}

static void line_write(void *opaque, bool port, uint64_t addr, const void *buf, size_t len)
{
    Fixture *f = opaque;
    uint32_t value = 0;

    if (!port) {
        qtest_memwrite(f->qt, addr, buf, len);
        return;
    }
    memcpy(&value, buf, len);
    qtest_do(f->qt, "out%c 0x%x 0x%x", len == 1 ? 'b' : len == 2 ? 'w' : 'l', (unsigned)addr,
             GUINT32_FROM_LE(value));
}

static void line_idle(void *opaque)
{
    g_usleep(200);
}

/* The program's file of the guest's memory, by its name; where @at is, if that is not NULL. */
static uint8_t *map_ram(const QTest *qt, uint8_t *at)
{
    g_autofree char *dir = g_strdup_printf("/proc/%d/fd", (int)qtest_pid(qt));
    g_autoptr(GDir) fds = g_dir_open(dir, 0, NULL);
    const char *name;

    g_assert_nonnull(fds);
    while ((name = g_dir_read_name(fds)) != NULL) {
        g_autofree char *path = g_build_filename(dir, name, NULL);
        g_autofree char *to = g_file_read_link(path, NULL);
        int fd;
        void *ram;

        if (g_strcmp0(to, "/memfd:ram (deleted)") != 0) {
            continue;
        }
        fd = open(path, O_RDWR | O_CLOEXEC);
        g_assert_cmpint(fd, >=, 0);
        ram = mmap(at, VPG_RAM, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), fd, 0);
        g_assert_true(ram != MAP_FAILED);
        close(fd);
        return ram;
    }
    g_assert_not_reached();
}

/* --- life --- */

/* The program's end stays ours, too: another program can have it. */
static char *netdev_of_socket(Fixture *f)
{
    int fd[2];

    if (f->other < 0) {
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), ==, 0);
        f->other = fd[1];
        f->given = fd[0];
    }
    return g_strdup_printf("dgram,id=n0,local.type=fd,local.str=%d", f->given);
}

static char *netdev_of_tap(Fixture *f, unsigned pairs)
{
    g_autoptr(GString) text = g_string_new("tap,id=n0,fds=");

    f->tap = host_tap_new(pairs, true);
    for (unsigned i = 0; i < pairs; i++) {
        g_string_append_printf(text, "%s%d", i ? ":" : "", f->tap->fd[i]);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* Another program with such a device; @more: options of its own. */
static QTest *start_program(Fixture *f, const Case *c, const char *more)
{
    g_autofree char *netdev = c->pairs ? netdev_of_tap(f, c->pairs) : netdev_of_socket(f);
    g_autofree char *args = g_strdup_printf(
        "-machine pc -m 16 -netdev %s -device virtio-net-pci,id=nic0,netdev=n0,addr=%u%s %s",
        netdev, SLOT, c->options, more);
    QTest *qt = qtest_start(f->tap ? f->tap->fd : &f->given, MAX(c->pairs, 1), args);

    if (f->tap) {
        host_tap_close_fds(f->tap);
    }
    return qt;
}

static void start(Fixture *f, const Case *c)
{
    f->qt = start_program(f, c, "");
    f->g = (VirtioPciGuest){
        .a = { line_read, line_write, line_idle, f, map_ram(f->qt, NULL) },
        .slot = SLOT, .legacy = c->legacy, .msix = c->msix, .wanted = c->wanted,
    };
    vpg_find(&f->g);
}

static void setup(Fixture *f, gconstpointer data)
{
    const Case *c = data;

    f->other = -1;
    if (c->pairs == 0 || netns_enter()) {
        start(f, c);
    }
}

static void teardown(Fixture *f, gconstpointer data)
{
    if (!f->qt) {
        return; /* skipped */
    }
    qtest_stop(f->qt);
    munmap(f->g.a.ram, VPG_RAM);
    vpg_done(&f->g);
    if (f->tap) {
        host_tap_free(f->tap);
    } else {
        close(f->other);
        close(f->given);
    }
}

/* --- packets --- */

static void frame_make(uint8_t *frame, unsigned n)
{
    memset(frame, 0xff, 12); /* to all */
    memset(frame + 12, (int)n, VPG_PACKET - 12);
    frame[12] = 0x88;
    frame[13] = 0xb5; /* local experiments */
}

/* A frame with that number comes out, whatever else was on its way. */
static void expect_out(Fixture *f, const uint8_t *frame, size_t len)
{
    struct pollfd p = { .fd = f->other, .events = POLLIN };
    uint8_t got[2048];

    do {
        g_assert_cmpint(poll(&p, 1, WAIT_MS), ==, 1);
    } while (recv(f->other, got, sizeof(got), 0) != (ssize_t)len || memcmp(got, frame, len) != 0);
}

static void expect_in(Fixture *f, const uint8_t *frame, size_t len)
{
    uint8_t got[VPG_PACKET];
    size_t n;

    do {
        vpg_post(&f->g, 0, 1);
        n = vpg_recv(&f->g, 0, got);
        g_assert_cmpuint(n, !=, 0);
    } while (n != len || memcmp(got, frame, len) != 0);
}

static void there_and_back(Fixture *f, unsigned n)
{
    uint8_t frame[VPG_PACKET];
    size_t len = 100 + n % 500;

    frame_make(frame, n);
    vpg_send(&f->g, 0, frame, len);
    expect_out(f, frame, len);
    frame[20]++;
    g_assert_cmpint(send(f->other, frame, len, 0), ==, (ssize_t)len);
    expect_in(f, frame, len);
}

static void test_packets(Fixture *f, gconstpointer data)
{
    vpg_start(&f->g);
    for (unsigned i = 0; i < 300; i++) { /* more than a ring holds */
        there_and_back(f, i);
    }
}

static void pass_all(Fixture *f, unsigned n)
{
    g_autofree uint8_t *got = g_malloc(FRAME_MAX);
    uint8_t frame[VPG_PACKET];
    struct virtio_net_hdr hdr;

    host_tap_wait_running(f->tap);
    for (unsigned pair = 0; pair < n; pair++) {
        frame_make(frame, 16 * n + pair);
        vpg_send(&f->g, pair, frame, 100);
        do {
            size_t len = host_tap_recv(f->tap, &hdr, got, WAIT_MS);

            g_assert_cmpuint(len, !=, 0);
        } while (memcmp(got, frame, 100) != 0); /* the kernel has frames of its own */
    }
}

/* From all pairs, in any number that the control queue sets. */
static void test_pairs(Fixture *f, gconstpointer data)
{
    const Case *c = data;

    if (!f->qt) {
        return; /* skipped */
    }
    vpg_start(&f->g);
    g_assert_cmpuint(f->g.n_rings, ==, 2 * c->pairs + 1);
    for (unsigned n = 1; n <= c->pairs; n *= 2) {
        g_assert_cmpuint(vpg_set_pairs(&f->g, (uint16_t)n), ==, VIRTIO_NET_OK);
        pass_all(f, n);
    }
    g_assert_cmpuint(vpg_set_pairs(&f->g, (uint16_t)(c->pairs + 1)), ==, VIRTIO_NET_ERR);
}

/* --- interrupts --- */

static void test_msix(Fixture *f, gconstpointer data)
{
    uint8_t frame[VPG_PACKET];

    vpg_start(&f->g);
    frame_make(frame, 1);
    for (unsigned i = 0; i < 6; i++) {
        bool masked = i % 2;

        vpg_msix_mask(&f->g, 0, masked);
        virtq_driver_arm(f->g.ring[0]);
        vpg_post(&f->g, 0, 1);
        g_assert_cmpint(send(f->other, frame, 60, 0), ==, 60);
        g_assert_cmpuint(vpg_recv(&f->g, 0, frame), ==, 60);
        if (masked) {
            vpg_wait_for(&f->g, vpg_msix_is_pending(&f->g, 0));
            g_assert_false(vpg_msix_came(&f->g, 0));
            vpg_msix_mask(&f->g, 0, false);
        }
        vpg_wait_for(&f->g, vpg_msix_came(&f->g, 0));
    }
}

/* The link's state is the config space's, and told. */
static void test_link(Fixture *f, gconstpointer data)
{
    unsigned config = f->g.n_rings;

    vpg_start(&f->g);
    config = f->g.n_rings;
    g_assert_cmpuint(vpg_net_config(&f->g, 6), ==, VIRTIO_NET_S_LINK_UP);
    for (unsigned up = 0; up < 2; up++) {
        json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'set_link', 'arguments': {'name': "
                                            "'nic0', 'up': %s}}", up ? "true" : "false"));
        vpg_wait_for(&f->g, vpg_msix_came(&f->g, config));
        g_assert_cmpuint(vpg_net_config(&f->g, 6), ==, up);
    }
}

/* --- it comes and goes --- */

/* More than a driver takes is on its way, and something is always going on. */
static void flood(Fixture *f)
{
    uint8_t frame[VPG_PACKET];

    frame_make(frame, 0xee);
    while (send(f->other, frame, 300, MSG_DONTWAIT) > 0) {
    }
    g_assert_true(errno == EAGAIN);
}

static void test_reset(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < 20; i++) {
        vpg_start(&f->g);
        vpg_post(&f->g, 0, 1 + 10 * i);
        flood(f);
        if (i % 3 == 1) {
            vpg_config_out(&f->g, 4, 0, 2); /* nothing is enabled any more */
            vpg_config_out(&f->g, 4, 7, 2);
        }
        g_usleep(g_test_rand_int_range(0, 2000));
        vpg_reset(&f->g);
    }
    vpg_start(&f->g);
    there_and_back(f, 1);
}

static void test_hot_plug(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < 6; i++) {
        vpg_start(&f->g);
        there_and_back(f, i);
        vpg_post(&f->g, 0, 100);
        flood(f);
        json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'device_del', 'arguments': "
                                            "{'id': 'nic0'}}"));
        g_assert_cmpuint(vpg_config_in(&f->g, 0, 2), ==, 0x1af4); /* it is the guest's still */
        qtest_do(f->qt, "outl 0xae08 0x%x", 1u << SLOT);
        json_object_put(qtest_event(f->qt, "DEVICE_DELETED"));
        g_assert_cmpuint(vpg_config_in(&f->g, 0, 2), ==, 0xffff);
        json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'device_add', 'arguments': {'driver': "
                                            "'virtio-net-pci', 'id': 'nic0', 'netdev': 'n0', "
                                            "'addr': '4'}}"));
        vpg_find(&f->g);
    }
}

/* --- it goes to another program, and its driver with it --- */

static void migrate(Fixture *f, const Case *c)
{
    g_autofree char *dir = g_dir_make_tmp("ringtap-test-XXXXXX", NULL);
    g_autofree char *uri = g_strdup_printf("unix:%s/m", dir);
    g_autofree char *incoming = g_strdup_printf("-incoming %s", uri);
    HostTap *tap = f->tap;
    QTest *to = start_program(f, c, incoming);

    json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'migrate', 'arguments': {'uri': '%s'}}", uri));
    json_object_put(qtest_event(to, "RESUME"));
    qtest_stop(f->qt);
    f->qt = to;
    map_ram(to, f->g.a.ram);
    if (tap) {
        host_tap_free(tap);
    }
    g_assert_cmpint(rmdir(dir), ==, 0);
}

static void test_migrate(Fixture *f, gconstpointer data)
{
    vpg_start(&f->g);
    for (unsigned i = 0; i < 4; i++) {
        there_and_back(f, i);
        vpg_post(&f->g, 0, 20); /* they are filled there */
        flood(f);
        migrate(f, data);
        there_and_back(f, 100 + i);
    }
}

static void test_migrate_pairs(Fixture *f, gconstpointer data)
{
    const Case *c = data;

    if (!f->qt) {
        return; /* skipped */
    }
    vpg_start(&f->g);
    for (unsigned n = 1; n <= c->pairs; n *= 2) {
        g_assert_cmpuint(vpg_set_pairs(&f->g, (uint16_t)n), ==, VIRTIO_NET_OK);
        pass_all(f, n);
        migrate(f, c);
        pass_all(f, n);
    }
}

static const Case modern = { "", CTRL, .legacy = false };
static const Case packed = { ",packed=on,disable-legacy=on", CTRL | PACKED | EVENT };
static const Case legacy = { ",disable-modern=on", CTRL, .legacy = true };
static const Case msix = { "", CTRL | EVENT, .msix = true };
static const Case legacy_msix = { "", CTRL | EVENT, .legacy = true, .msix = true };
static const Case pairs1 = { ",mq=on", CTRL | MQ, .pairs = 1 };
static const Case pairs2 = { ",mq=on", CTRL | MQ, .pairs = 2, .msix = true };
static const Case pairs4 = { ",mq=on,packed=on", CTRL | MQ | PACKED | EVENT, .pairs = 4 };
static const Case pairs8 = { ",mq=on", CTRL | MQ, .pairs = 8, .legacy = true };

#define ADD(name, data, fn) \
    g_test_add("/virtio-net-pci/" name, Fixture, &data, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("packets/modern", modern, test_packets);
    ADD("packets/packed", packed, test_packets);
    ADD("packets/legacy", legacy, test_packets);
    ADD("packets/msix", msix, test_packets);
    ADD("pairs/1", pairs1, test_pairs);
    ADD("pairs/2-msix", pairs2, test_pairs);
    ADD("pairs/4-packed", pairs4, test_pairs);
    ADD("pairs/8-legacy", pairs8, test_pairs);
    ADD("msix/modern", msix, test_msix);
    ADD("msix/legacy", legacy_msix, test_msix);
    ADD("msix/link", msix, test_link);
    ADD("reset/modern", modern, test_reset);
    ADD("reset/packed", packed, test_reset);
    ADD("reset/legacy", legacy, test_reset);
    ADD("hot-plug", modern, test_hot_plug);
    ADD("migrate/modern", modern, test_migrate);
    ADD("migrate/packed", packed, test_migrate);
    ADD("migrate/legacy-msix", legacy_msix, test_migrate);
    ADD("migrate/pairs-1", pairs1, test_migrate_pairs);
    ADD("migrate/pairs-2", pairs2, test_migrate_pairs);
    ADD("migrate/pairs-4", pairs4, test_migrate_pairs);
    ADD("migrate/pairs-8", pairs8, test_migrate_pairs);
    return g_test_run();
}
