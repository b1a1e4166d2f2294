/*
 * Messages about a ring. What is said of one that runs takes effect at once: it is stopped and
 * goes on with the new descriptor or address.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"

static VhostUserRing *ring_at(VhostUser *v, uint32_t index, GError **error)
{
    if (index >= v->dev->n_rings) {
        VHOST_USER_LIE(error, "there is no ring %u", index);
        return NULL;
    }
    return &v->ring[index];
}

static bool must_be_stopped(const VhostUserRing *r, uint32_t index, GError **error)
{
    if (r->running) {
        VHOST_USER_REFUSE(error, "ring %u is running", index);
    }
    return !r->running;
}

static struct vhost_vring_state state_of(const VhostUserMsg *msg)
{
    struct vhost_vring_state s;

    memcpy(&s, msg->payload, sizeof(s));
    return s;
}

bool vhost_user_set_vring_num(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                              GError **error)
{
    struct vhost_vring_state s = state_of(msg);
    VhostUserRing *r = ring_at(v, s.index, error);

    if (!r || (r->num != s.num && !must_be_stopped(r, s.index, error))) {
        return false;
    }
    if (s.num == 0 || s.num > VIRTQ_MAX_SIZE) {
        VHOST_USER_LIE(error, "ring %u: no ring has the size %u", s.index, s.num);
        return false;
    }
    r->num = s.num;
    return vhost_user_ring_start(v, s.index, error);
}

bool vhost_user_set_vring_base(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                               GError **error)
{
    struct vhost_vring_state s = state_of(msg);
    VhostUserRing *r = ring_at(v, s.index, error);

    if (!r || !must_be_stopped(r, s.index, error)) {
        return false;
    }
    r->base = s.num;
    return true;
}

/* Stops it. The reserved number in the request is not looked at, some put anything there. */
bool vhost_user_get_vring_base(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                               GError **error)
{
    struct vhost_vring_state s = state_of(msg);
    VhostUserRing *r = ring_at(v, s.index, error);

    if (!r) {
        return false;
    }
    vhost_user_ring_stop(v, s.index);
    r->started = false;
    fd_close(&r->kick_fd);
    s.num = r->base;
    memcpy(reply->payload, &s, sizeof(s));
    reply->hdr.size = sizeof(s);
    return true;
}

/* As VIRTIO 1.2, 2.7 wants them. What they are in our memory is seen when the ring starts. */
static bool is_aligned(const struct vhost_vring_addr *a)
{
    return a->desc_user_addr % 16 == 0 && a->avail_user_addr % 2 == 0 &&
           a->used_user_addr % 4 == 0;
}

/* Again for a ring that runs: where a log begins or ends, with other flags. */
bool vhost_user_set_vring_addr(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                               GError **error)
{
    struct vhost_vring_addr a;
    VhostUserRing *r;

    memcpy(&a, msg->payload, sizeof(a));
    r = ring_at(v, a.index, error);
    if (!r) {
        return false;
    }
    if (!is_aligned(&a)) {
        VHOST_USER_LIE(error, "ring %u: its addresses are not aligned", a.index);
        return false;
    }
    vhost_user_ring_stop(v, a.index);
    r->addr = a;
    r->has_addr = true;
    return vhost_user_ring_start(v, a.index, error);
}

bool vhost_user_set_vring_enable(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                                 GError **error)
{
    struct vhost_vring_state s = state_of(msg);

    if (!ring_at(v, s.index, error)) {
        return false;
    }
    if (s.num > 1) {
        VHOST_USER_LIE(error, "ring %u is neither enabled nor disabled by %u", s.index, s.num);
        return false;
    }
    vhost_user_ring_enable(v, s.index, s.num == 1);
    return true;
}

/* --- descriptors --- */

/*
 * Anything else might not be what we can wait for, or write to without harm. Where there is no
 * /proc to ask, a file that has no type is good enough.
 */
static bool is_eventfd(int fd)
{
    char path[32], what[32];
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != 0) {
        return false;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    n = readlink(path, what, sizeof(what) - 1);
    if (n < 0) {
        return true;
    }
    what[n] = '\0';
    return strcmp(what, "anon_inode:[eventfd]") == 0;
}

/* The ring that the message names, and the descriptor, which the caller owns; -1: none. */
static VhostUserRing *take_event(VhostUser *v, VhostUserMsg *msg, int *ret_fd, GError **error)
{
    uint64_t u = vhost_user_u64(msg);
    VhostUserRing *r;
    AUTO_FD int fd = -1;

    if (u & ~(uint64_t)(VHOST_USER_VRING_INDEX | VHOST_USER_VRING_NO_FD)) {
        VHOST_USER_LIE(error, "there is no ring 0x%" G_GINT64_MODIFIER "x", u);
        return NULL;
    }
    r = ring_at(v, (uint32_t)u & VHOST_USER_VRING_INDEX, error);
    if (!r) {
        return NULL;
    }
    if (!(u & VHOST_USER_VRING_NO_FD)) {
        fd = vhost_user_msg_take_fd(msg, 0);
        if (fd < 0 || !is_eventfd(fd) || fd_set_nonblock(fd, true) < 0) {
            VHOST_USER_LIE(error, fd < 0 ? "a descriptor is missing"
                                         : "the descriptor is no eventfd");
            return NULL;
        }
    }
    *ret_fd = g_steal_fd(&fd);
    return r;
}

static void replace_fd(int *at, int fd)
{
    fd_close(at);
    *at = fd;
}

/* It may wait for what a former back end did and had no time to tell. */
static void wake_driver(VhostUser *v, const VhostUserRing *r)
{
    if (r->running) {
        event_call(&v->call, r->call_fd);
    }
}

bool vhost_user_set_vring_kick(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                               GError **error)
{
    int fd;
    VhostUserRing *r = take_event(v, msg, &fd, error);
    unsigned index;

    if (!r) {
        return false;
    }
    index = (unsigned)(r - v->ring);
    vhost_user_ring_stop(v, index);
    replace_fd(&r->kick_fd, fd);
    r->started = true;
    r->started = vhost_user_ring_start(v, index, error);
    wake_driver(v, r);
    return r->started;
}

bool vhost_user_set_vring_call(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                               GError **error)
{
    int fd;
    VhostUserRing *r = take_event(v, msg, &fd, error);

    if (!r) {
        return false;
    }
    if (r->running) {
        v->dev->ops->ring_set_call(v->dev, (unsigned)(r - v->ring), fd);
    }
    replace_fd(&r->call_fd, fd);
    wake_driver(v, r);
    return true;
}

bool vhost_user_set_vring_err(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                              GError **error)
{
    int fd;
    VhostUserRing *r = take_event(v, msg, &fd, error);

    if (!r) {
        return false;
    }
    replace_fd(&r->err_fd, fd);
    return true;
}

void vhost_user_vring_broken(void *opaque, unsigned index, const char *reason)
{
    VhostUser *v = opaque;

    if (index < v->dev->n_rings && v->ring[index].running) {
        vhost_user_warn(v, "ring %u is broken: %s", index, reason);
        event_call(&v->call, v->ring[index].err_fd);
    }
}
