/*
 * The life of a ring: it runs when the front end started it (SET_VRING_KICK) and all that it
 * needs is there: features, size, addresses, memory. It stops, and goes on where it was, while
 * the memory or anything else that it stands on changes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-internal.h"

#include <linux/virtio_config.h>

#include "util/fd.h"
#include "virtq-layout.h"

static bool has_feature(const VhostUser *v, unsigned bit)
{
    return v->features & VHOST_USER_BIT(bit);
}

static bool find_ring(const VhostUser *v, const VhostUserRing *r, VirtqSetup *s)
{
    const VirtqAddrs at = {
        r->addr.desc_user_addr, r->addr.avail_user_addr, r->addr.used_user_addr,
    };

    return virtq_layout_find(s, v->mem, &at);
}

static bool is_complete(const VhostUser *v, const VhostUserRing *r)
{
    return v->features_set && r->started && r->num > 0 && r->has_addr;
}

bool vhost_user_ring_start(VhostUser *v, unsigned index, GError **error)
{
    VhostUserRing *r = &v->ring[index];
    VirtioRing ring = {
        .setup = {
            .size = (uint16_t)r->num,
            .features = v->features & ~VHOST_USER_FEATURES,
            .log_gpa = r->addr.log_guest_addr,
            .log = r->addr.flags & VHOST_USER_BIT(VHOST_VRING_F_LOG),
            .base = r->base,
        },
        .kick_fd = r->kick_fd,
        .call_fd = r->call_fd,
        .enabled = r->enabled,
    };

    if (r->running || !is_complete(v, r)) {
        return true;
    }
    if (!has_feature(v, VIRTIO_F_RING_PACKED) && r->base > UINT16_MAX) {
        VHOST_USER_REFUSE(error, "ring %u: no index is 0x%x", index, r->base);
        return false;
    }
    if (!find_ring(v, r, &ring.setup)) {
        VHOST_USER_REFUSE(error, "ring %u: its addresses are not in the guest's memory", index);
        return false;
    }
    if (!vhost_user_inflight_of(v, index, ring.setup.size, &ring.setup.inflight)) {
        VHOST_USER_REFUSE(error, "ring %u: the inflight memory is too small for it", index);
        return false;
    }
    if (!v->dev->ops->ring_start(v->dev, index, &ring, error)) {
        g_prefix_error(error, "ring %u: ", index);
        return false;
    }
    r->running = true;
    r->stranded = false;
    v->running++;
    return true;
}

void vhost_user_ring_stop(VhostUser *v, unsigned index)
{
    VhostUserRing *r = &v->ring[index];

    if (r->running) {
        r->base = v->dev->ops->ring_stop(v->dev, index);
        r->running = false;
        v->running--;
    }
}

void vhost_user_ring_enable(VhostUser *v, unsigned index, bool on)
{
    VhostUserRing *r = &v->ring[index];

    if (r->running && r->enabled != on) {
        v->dev->ops->ring_enable(v->dev, index, on);
    }
    r->enabled = on;
}

/* --- all of them --- */

void vhost_user_rings_pause(VhostUser *v)
{
    for (unsigned i = 0; i < v->dev->n_rings; i++) {
        vhost_user_ring_stop(v, i);
    }
}

/* One that had to stay stopped at an earlier change may find what it needs now. */
void vhost_user_rings_resume(VhostUser *v)
{
    for (unsigned i = 0; i < v->dev->n_rings; i++) {
        g_autoptr(GError) error = NULL;

        if (!vhost_user_ring_start(v, i, &error) && !v->ring[i].stranded) {
            v->ring[i].stranded = true;
            vhost_user_warn(v, "%s; it stays stopped", error->message);
        }
    }
}

static void forget(VhostUserRing *r)
{
    fd_close(&r->kick_fd);
    r->num = 0;
    r->has_addr = false;
    r->addr = (struct vhost_vring_addr){ 0 };
    r->started = r->stranded = r->enabled = false;
}

/*
 * QEMU before 8.1 sets the status to 0 first and asks for the bases then; it sends SET_VRING_ERR
 * once a connection.
 */
void vhost_user_rings_reset(VhostUser *v)
{
    for (unsigned i = 0; i < v->dev->n_rings; i++) {
        vhost_user_ring_stop(v, i);
        forget(&v->ring[i]);
    }
}

void vhost_user_rings_init(VhostUser *v)
{
    for (unsigned i = 0; i < v->dev->n_rings; i++) {
        v->ring[i] = (VhostUserRing){ .kick_fd = -1, .call_fd = -1, .err_fd = -1 };
    }
}

void vhost_user_rings_done(VhostUser *v)
{
    for (unsigned i = 0; i < v->dev->n_rings; i++) {
        forget(&v->ring[i]);
        fd_close(&v->ring[i].call_fd);
        fd_close(&v->ring[i].err_fd);
    }
    vhost_user_rings_init(v);
}
