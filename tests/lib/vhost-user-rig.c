/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vhost-user-rig.h"

#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"

static void on_rings(void *opaque, unsigned running)
{
    VhostUserRig *r = opaque;

    g_assert_cmpuint(running, !=, r->running);
    r->running = running;
    r->rings_told++;
}

static void on_ended(void *opaque, const char *reason)
{
    VhostUserRig *r = opaque;

    g_assert_cmpuint(r->running, ==, 0);
    g_assert_false(vhost_user_is_connected(r->back));
    g_assert_null(r->stub->dev.transport);
    g_free(r->reason);
    r->reason = g_strdup(reason);
    r->ended = true;
    if (r->next_fd >= 0) {
        vhost_user_serve(r->back, g_steal_fd(&r->next_fd));
    }
}

static void on_warned(void *opaque, const char *text)
{
    VhostUserRig *r = opaque;

    g_free(r->warning);
    r->warning = g_strdup(text);
    r->warnings++;
}

static const VhostUserEvents events = { on_rings, on_ended, on_warned };

int vhost_user_rig_count_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    int n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

static int connect_back(VhostUserRig *r)
{
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    vhost_user_serve(r->back, pair[1]);
    g_assert_true(vhost_user_is_connected(r->back));
    return pair[0];
}

void vhost_user_rig_up(VhostUserRig *r)
{
    *r = (VhostUserRig){ .next_fd = -1 };
    /* the main context has descriptors of its own, which come with the first use */
    g_main_context_iteration(NULL, FALSE);
    r->n_fds = vhost_user_rig_count_fds();
    r->stub = virtio_stub_new(VHOST_USER_RIG_RINGS);
    r->back = vhost_user_new(&r->stub->dev, &events, r);
    g_assert_false(vhost_user_is_connected(r->back));
    r->front = vhost_user_front_new(connect_back(r));
    r->front->pump = vhost_user_front_pump_main;
}

void vhost_user_rig_down(VhostUserRig *r)
{
    vhost_user_free(r->back);
    vhost_user_front_free(r->front);
    virtio_stub_free(r->stub);
    fd_close(&r->next_fd);
    g_free(r->reason);
    g_free(r->warning);
    g_assert_cmpint(vhost_user_rig_count_fds(), ==, r->n_fds);
}

void vhost_user_rig_reconnect(VhostUserRig *r)
{
    r->ended = false;
    vhost_user_front_reconnect(r->front, connect_back(r));
}

/* Mappings of the process whose name begins with @name. */
static unsigned count_maps(const char *name)
{
    g_autofree char *maps = NULL;
    unsigned n = 0;

    g_assert_true(g_file_get_contents("/proc/self/maps", &maps, NULL, NULL));
    for (const char *at = maps; (at = strstr(at, name)) != NULL; at++) {
        n++;
    }
    return n;
}

/* Nothing of the front end's is mapped but by itself. */
static void expect_no_maps(const VhostUserFront *f)
{
    unsigned own = 0;

    for (unsigned i = 0; i < VHOST_USER_FRONT_REGIONS; i++) {
        own += f->region[i].host != NULL;
    }
    g_assert_cmpuint(count_maps("memfd:front-memory"), ==, own);
    g_assert_cmpuint(count_maps("memfd:front-log"), ==, f->log != NULL);
    g_assert_cmpuint(count_maps("memfd:ringtap-inflight"), ==, 0);
}

void vhost_user_rig_expect_end(VhostUserRig *r, const char *reason)
{
    for (unsigned i = 0; !r->ended; i++) {
        g_assert_cmpuint(i, <, 1000);
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpstr(r->reason, ==, reason);
    expect_no_maps(r->front);
    r->ended = false;
}

void vhost_user_rig_expect_warning(VhostUserRig *r, const char *text)
{
    g_assert_cmpstr(r->warning, ==, text);
    g_clear_pointer(&r->warning, g_free);
}

void vhost_user_rig_negotiate(VhostUserRig *r, uint64_t features)
{
    vhost_user_front_negotiate(r->front, features, VHOST_USER_FRONT_PROTOCOL);
    if (!vhost_user_front_host(r->front, 0)) {
        vhost_user_front_make_region(r->front, 0, 1 << 20);
        vhost_user_front_make_region(r->front, 1 << 30, 1 << 20);
    }
    vhost_user_front_share(r->front);
    g_assert_true(vhost_user_front_sync(r->front));
}

void vhost_user_rig_ring(VhostUserRig *r, VhostUserFrontRing *ring, unsigned index,
                         uint16_t size)
{
    /* Nothing is at address 0: that is what descriptors say whose memory is taken away while they
     * are read, and their buffers are not to lie in a ring, which another thread may read. */
    VirtqDriverConfig c = { .size = size, .gpa = (index + 1) * 0x10000ull };

    vhost_user_front_ring_init(r->front, ring, index, &c);
}

/* --- for tests --- */

void vhost_user_rig_setup(VhostUserRig *r, gconstpointer data)
{
    vhost_user_rig_up(r);
}

void vhost_user_rig_setup_ready(VhostUserRig *r, gconstpointer data)
{
    vhost_user_rig_up(r);
    vhost_user_rig_negotiate(r, VHOST_USER_RIG_FEATURES);
    virtio_stub_expect(r->stub, "features=0x100000000");
}

void vhost_user_rig_teardown(VhostUserRig *r, gconstpointer data)
{
    vhost_user_rig_down(r);
}

bool vhost_user_rig_sync(VhostUserRig *r)
{
    return vhost_user_front_sync(r->front);
}

uint64_t vhost_user_rig_ask(VhostUserRig *r, uint32_t request, const void *payload, uint32_t size)
{
    VhostUserFrontMsg m = { .request = request, .payload = payload, .size = size };

    return vhost_user_front_ask(r->front, &m);
}

uint64_t vhost_user_rig_ask_u64(VhostUserRig *r, uint32_t request, uint64_t value)
{
    return vhost_user_rig_ask(r, request, &value, sizeof(value));
}

uint64_t vhost_user_rig_ask_state(VhostUserRig *r, uint32_t request, uint32_t index, uint32_t num)
{
    struct vhost_vring_state s = { .index = index, .num = num };

    return vhost_user_rig_ask(r, request, &s, sizeof(s));
}
