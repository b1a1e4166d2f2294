/*
 * Inflight memory: made by us and kept by the front end, which hands it to the back end that
 * comes after us. What is in it is virtq*.c's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/virtio/virtq-inflight.h"
#include "util/fd.h"

static bool is_packed(const VhostUser *v)
{
    return v->features & VHOST_USER_BIT(VIRTIO_F_RING_PACKED);
}

static bool read_inflight(const VhostUser *v, const VhostUserMsg *msg, VhostUserInflight *ret,
                          GError **error)
{
    memset(ret, 0, sizeof(*ret));
    memcpy(ret, msg->payload, msg->hdr.size);
    if (ret->n_rings == 0 || ret->n_rings > v->dev->n_rings || ret->ring_size == 0 ||
        ret->ring_size > VIRTQ_MAX_SIZE) {
        VHOST_USER_LIE(error, "%u rings of %u", ret->n_rings, ret->ring_size);
        return false;
    }
    return true;
}

/* It shall not be the front end's to make it shorter. */
static int make_memory(uint64_t size, GError **error)
{
    AUTO_FD int fd = memfd_create("ringtap-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        VHOST_USER_REFUSE(error, "no memory: %s", g_strerror(errno));
        return -1;
    }
    return g_steal_fd(&fd);
}

/* As large as the layout that is negotiated needs it, or, before that, the larger one. */
bool vhost_user_get_inflight_fd(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                                GError **error)
{
    VhostUserInflight i;

    if (!read_inflight(v, msg, &i, error)) {
        return false;
    }
    i.offset = 0;
    i.size = i.n_rings * virtq_inflight_size(i.ring_size, !v->features_set || is_packed(v));
    reply->fd = make_memory(i.size, error);
    memcpy(reply->payload, &i, msg->hdr.size);
    reply->hdr.size = msg->hdr.size;
    return reply->fd >= 0;
}

void vhost_user_inflight_forget(VhostUser *v)
{
    guest_mem_unmap(&v->inflight.map);
    v->inflight = (VhostUserInflightMem){ 0 };
}

bool vhost_user_set_inflight_fd(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                                GError **error)
{
    VhostUserInflightMem mem = { 0 };

    if (!read_inflight(v, msg, &mem.told, error)) {
        return false;
    }
    if (mem.told.offset % sizeof(uint64_t) != 0) {
        VHOST_USER_LIE(error, "offset 0x%" G_GINT64_MODIFIER "x is not aligned", mem.told.offset);
        return false;
    }
    if (v->running > 0) {
        VHOST_USER_REFUSE(error, "rings are running");
        return false;
    }
    mem.at = guest_mem_map(&mem.map, msg->fd[0], mem.told.size, mem.told.offset, v->fault_fd,
                           error);
    if (!mem.at) {
        return false;
    }
    vhost_user_inflight_forget(v);
    v->inflight = mem;
    return true;
}

bool vhost_user_inflight_of(const VhostUser *v, unsigned index, uint16_t size, void **ret)
{
    const VhostUserInflight *told = &v->inflight.told;
    uint64_t one = virtq_inflight_size(told->ring_size, is_packed(v));

    *ret = NULL;
    if (!v->inflight.at || index >= told->n_rings) {
        return true;
    }
    *ret = v->inflight.at + index * one;
    return size <= told->ring_size && (index + 1) * one <= told->size;
}
