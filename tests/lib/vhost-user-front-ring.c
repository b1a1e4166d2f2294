/*
 * The rings of a front end; the rest is in vhost-user-front.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-front.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/fd.h"

#define RING_FEATURES (1ull << VIRTIO_F_RING_PACKED | 1ull << VIRTIO_RING_F_EVENT_IDX | \
                       1ull << VIRTIO_RING_F_INDIRECT_DESC)

static int new_event(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

void vhost_user_front_ring_init(VhostUserFront *f, VhostUserFrontRing *r, unsigned index,
                                const VirtqDriverConfig *c)
{
    VirtqDriverConfig own = *c;

    own.features = f->features & RING_FEATURES;
    if (!(own.features & 1ull << VIRTIO_RING_F_INDIRECT_DESC)) {
        own.max_indirect = 0;
    }
    own.mem = vhost_user_front_host(f, c->gpa);
    g_assert_nonnull(own.mem);
    g_assert_true(vhost_user_front_host(f, c->gpa + virtq_driver_size(&own) - 1) ==
                  own.mem + virtq_driver_size(&own) - 1);
    *r = (VhostUserFrontRing){ .index = index };
    r->driver = virtq_driver_new(&own);
    r->base = virtq_driver_setup(r->driver).base;
    r->kick_fd = new_event();
    r->call_fd = new_event();
    r->err_fd = new_event();
}

void vhost_user_front_ring_done(VhostUserFrontRing *r)
{
    g_clear_pointer(&r->driver, virtq_driver_free);
    fd_close(&r->kick_fd);
    fd_close(&r->call_fd);
    fd_close(&r->err_fd);
}

struct vhost_vring_addr vhost_user_front_ring_addr(const VhostUserFrontRing *r)
{
    uint64_t part[3];

    virtq_driver_addresses(r->driver, part);
    return (struct vhost_vring_addr){
        .index = r->index,
        .flags = r->log ? 1u << VHOST_VRING_F_LOG : 0,
        .desc_user_addr = part[0] + VHOST_USER_FRONT_USER,
        .avail_user_addr = part[1] + VHOST_USER_FRONT_USER,
        .used_user_addr = part[2] + VHOST_USER_FRONT_USER,
        .log_guest_addr = part[2],
    };
}

void vhost_user_front_ring_send_addr(VhostUserFront *f, const VhostUserFrontRing *r)
{
    struct vhost_vring_addr a = vhost_user_front_ring_addr(r);

    vhost_user_front_send(f, VHOST_USER_SET_VRING_ADDR, &a, sizeof(a));
}

void vhost_user_front_ring_start(VhostUserFront *f, VhostUserFrontRing *r)
{
    vhost_user_front_send_state(f, VHOST_USER_SET_VRING_NUM, r->index, r->driver->c.size);
    vhost_user_front_send_state(f, VHOST_USER_SET_VRING_BASE, r->index, r->base);
    vhost_user_front_ring_send_addr(f, r);
    vhost_user_front_send_event(f, VHOST_USER_SET_VRING_ERR, r->index, r->err_fd);
    vhost_user_front_send_event(f, VHOST_USER_SET_VRING_KICK, r->index, r->kick_fd);
    vhost_user_front_send_event(f, VHOST_USER_SET_VRING_CALL, r->index, r->call_fd);
}

bool vhost_user_front_ring_stop(VhostUserFront *f, VhostUserFrontRing *r)
{
    struct vhost_vring_state s;
    VhostUserFrontReply reply;

    if (!vhost_user_front_send_state(f, VHOST_USER_GET_VRING_BASE, r->index, 0) ||
        !vhost_user_front_recv(f, &reply)) {
        return false;
    }
    g_assert_cmpuint(reply.hdr.request, ==, VHOST_USER_GET_VRING_BASE);
    g_assert_cmpuint(reply.hdr.size, ==, sizeof(s));
    memcpy(&s, reply.payload, sizeof(s));
    g_assert_cmpuint(s.index, ==, r->index);
    r->base = s.num;
    return true;
}

void vhost_user_front_ring_enable(VhostUserFront *f, const VhostUserFrontRing *r, bool on)
{
    vhost_user_front_send_state(f, VHOST_USER_SET_VRING_ENABLE, r->index, on);
}

static bool take_event(int fd)
{
    uint64_t n;

    return read(fd, &n, sizeof(n)) == sizeof(n);
}

void vhost_user_front_kick(const VhostUserFrontRing *r)
{
    uint64_t one = 1;

    g_assert_cmpint(write(r->kick_fd, &one, sizeof(one)), ==, sizeof(one));
}

bool vhost_user_front_was_called(const VhostUserFrontRing *r)
{
    return take_event(r->call_fd);
}

bool vhost_user_front_was_failed(const VhostUserFrontRing *r)
{
    return take_event(r->err_fd);
}
