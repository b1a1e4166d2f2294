/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-pci-program.h"

#include <fcntl.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns.h"

/* --- the driver's way to the machine --- */

static void line_read(void *opaque, bool port, uint64_t addr, void *buf, size_t len)
{
    Vpp *f = opaque;
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
    Vpp *f = opaque;
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
uint8_t *vpp_map_ram(const QTest *qt, uint8_t *at)
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
static char *netdev_of_socket(Vpp *f)
{
    int fd[2];

    if (f->other < 0) {
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), ==, 0);
        f->other = fd[1];
        f->given = fd[0];
    }
    return g_strdup_printf("dgram,id=n0,local.type=fd,local.str=%d", f->given);
}

static void append_fds(GString *text, const char *name, const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        g_string_append_printf(text, "%s%d", i ? ":" : name, fds[i]);
    }
}

static char *netdev_of_tap(Vpp *f, const VppCase *c)
{
    g_autoptr(GString) text = g_string_new("tap,id=n0");

    f->tap = host_tap_new(c->pairs, true);
    append_fds(text, ",fds=", f->tap->fd, c->pairs);
    if (c->vhost == VPP_VHOST) {
        g_string_append(text, ",vhost=on");
    }
    for (unsigned i = 0; c->vhost == VPP_VHOSTFDS && i < c->pairs; i++) {
        f->vhost[i] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
        g_assert_cmpint(f->vhost[i], >=, 0);
        f->n_vhost++;
    }
    append_fds(text, ",vhostfds=", f->vhost, f->n_vhost);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* The descriptors that the program inherits. */
static unsigned given_fds(const Vpp *f, const VppCase *c, int *ret)
{
    if (!c->pairs) {
        ret[0] = f->given;
        return 1;
    }
    memcpy(ret, f->tap->fd, c->pairs * sizeof(*ret));
    memcpy(ret + c->pairs, f->vhost, f->n_vhost * sizeof(*ret));
    return c->pairs + f->n_vhost;
}

QTest *vpp_start_with(Vpp *f, const VppCase *c, const char *args)
{
    g_autofree char *netdev = c->pairs ? netdev_of_tap(f, c) : netdev_of_socket(f);
    g_autofree char *all = g_strdup_printf("-netdev %s %s", netdev, args);
    int fds[2 * VPP_MAX_PAIRS];
    unsigned n_fds = given_fds(f, c, fds);
    QTest *qt = qtest_start(fds, n_fds, all);

    if (f->tap) {
        host_tap_close_fds(f->tap);
    }
    while (f->n_vhost > 0) {
        close(f->vhost[--f->n_vhost]);
    }
    return qt;
}

QTest *vpp_start_program(Vpp *f, const VppCase *c, const char *more)
{
    g_autofree char *netdev = c->netdev ? c->netdev(f, c) : g_strdup("");
    g_autofree char *args = g_strdup_printf(
        "-machine pc -m 16 %s -device virtio-net-pci,id=nic0,netdev=n0,addr=%u%s %s", netdev,
        VPP_SLOT, c->options, more);

    return c->netdev ? qtest_start(NULL, 0, args) : vpp_start_with(f, c, args);
}

void vpp_find(Vpp *f, const VppCase *c, QTest *qt)
{
    f->qt = qt;
    f->g = (VirtioPciGuest){
        .a = { line_read, line_write, line_idle, f, vpp_map_ram(f->qt, NULL) },
        .slot = VPP_SLOT, .legacy = c->legacy, .msix = c->msix, .wanted = c->wanted,
    };
    vpg_find(&f->g);
}

static bool has_vhost(void)
{
    if (access("/dev/vhost-net", R_OK | W_OK) < 0) {
        g_test_skip("no /dev/vhost-net: tests/vm/run vhost has one");
        return false;
    }
    return true;
}

void vpp_setup(Vpp *f, gconstpointer data)
{
    const VppCase *c = data;

    f->other = -1;
    g_assert_cmpuint(c->pairs, <=, VPP_MAX_PAIRS);
    if (c->vhost != VPP_NO_VHOST && !has_vhost()) {
        return;
    }
    if (c->pairs == 0 || netns_enter()) {
        vpp_find(f, c, vpp_start_program(f, c, ""));
    }
}

void vpp_teardown(Vpp *f, gconstpointer data)
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

void vpp_migrate(Vpp *f, const VppCase *c)
{
    g_autofree char *dir = g_dir_make_tmp("ringtap-test-XXXXXX", NULL);
    g_autofree char *uri = g_strdup_printf("unix:%s/m", dir);
    g_autofree char *incoming = g_strdup_printf("-incoming %s", uri);
    HostTap *tap = f->tap;
    QTest *to = vpp_start_program(f, c, incoming);

    json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'migrate', 'arguments': {'uri': '%s'}}", uri));
    json_object_put(qtest_event(to, "RESUME"));
    qtest_stop(f->qt);
    f->qt = to;
    vpp_map_ram(to, f->g.a.ram);
    if (tap) {
        host_tap_free(tap);
    }
    g_assert_cmpint(rmdir(dir), ==, 0);
}

/* --- packets --- */

void vpp_frame(uint8_t *frame, unsigned n)
{
    memset(frame, 0xff, 12); /* to all */
    memset(frame + 12, (int)n, VPG_PACKET - 12);
    frame[12] = 0x88;
    frame[13] = 0xb5; /* local experiments */
}

/* A frame with that number comes out, whatever else was on its way. */
void vpp_expect_out(Vpp *f, const uint8_t *frame, size_t len)
{
    struct pollfd p = { .fd = f->other, .events = POLLIN };
    uint8_t got[2048];

    do {
        g_assert_cmpint(poll(&p, 1, VPP_WAIT_MS), ==, 1);
    } while (recv(f->other, got, sizeof(got), 0) != (ssize_t)len || memcmp(got, frame, len) != 0);
}

void vpp_expect_in(Vpp *f, const uint8_t *frame, size_t len)
{
    uint8_t got[VPG_PACKET];
    size_t n;

    do {
        vpg_post(&f->g, 0, 1);
        n = vpg_recv(&f->g, 0, got);
        g_assert_cmpuint(n, !=, 0);
    } while (n != len || memcmp(got, frame, len) != 0);
}

void vpp_there_and_back(Vpp *f, unsigned n)
{
    uint8_t frame[VPG_PACKET];
    size_t len = 100 + n % 500;

    vpp_frame(frame, n);
    vpg_send(&f->g, 0, frame, len);
    vpp_expect_out(f, frame, len);
    frame[20]++;
    g_assert_cmpint(send(f->other, frame, len, 0), ==, (ssize_t)len);
    vpp_expect_in(f, frame, len);
}
