/*
 * What is negotiated, and the state of the device as a whole.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-internal.h"

#include <linux/virtio_config.h>
#include <string.h>

void vhost_user_answer_u64(VhostUserReply *reply, uint64_t value)
{
    memcpy(reply->payload, &value, sizeof(value));
    reply->hdr.size = sizeof(value);
}

uint64_t vhost_user_u64(const VhostUserMsg *msg)
{
    uint64_t value;

    memcpy(&value, msg->payload, sizeof(value));
    return value;
}

/* Whose session it is: the connection says so. RESET_OWNER is deprecated, and to be ignored. */
bool vhost_user_owner(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply, GError **error)
{
    return true;
}

/* --- features --- */

static uint64_t offered_features(const VhostUser *v)
{
    return v->dev->ops->features(v->dev) | VHOST_USER_FEATURES;
}

bool vhost_user_get_features(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                             GError **error)
{
    vhost_user_answer_u64(reply, offered_features(v));
    return true;
}

/* Told to the device, unless it knows: a front end says the same once for each pair of rings. */
static bool change_features(VhostUser *v, uint64_t features, GError **error)
{
    uint64_t changed = features ^ v->features;

    if (v->running > 0 && changed & ~VHOST_USER_BIT(VHOST_F_LOG_ALL)) {
        VHOST_USER_REFUSE(error, "rings are running");
        return false;
    }
    if ((!v->features_set || changed & ~VHOST_USER_FEATURES) &&
        !v->dev->ops->set_features(v->dev, features & ~VHOST_USER_FEATURES, error)) {
        return false;
    }
    v->features = features;
    v->features_set = true;
    return true;
}

/* Without the protocol's features there is no way to enable a ring: then each is. */
static void enable_all(VhostUser *v)
{
    for (unsigned i = 0; i < v->dev->n_rings; i++) {
        vhost_user_ring_enable(v, i, true);
    }
}

/* A ring that was started before the features were there can run now. */
static bool follow_features(VhostUser *v, GError **error)
{
    bool ok;

    if (!(v->features & VHOST_USER_BIT(VHOST_USER_F_PROTOCOL_FEATURES))) {
        enable_all(v);
    }
    ok = vhost_user_log_follow(v, error);
    vhost_user_rings_resume(v);
    return ok;
}

bool vhost_user_set_features(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                             GError **error)
{
    uint64_t features = vhost_user_u64(msg);
    uint64_t unknown = features & ~offered_features(v);

    if (unknown) {
        VHOST_USER_LIE(error, "0x%" G_GINT64_MODIFIER "x was not offered", unknown);
        return false;
    }
    v->features_refused = !change_features(v, features, error);
    return !v->features_refused && follow_features(v, error);
}

static uint64_t offered_protocol(const VhostUser *v)
{
    const VirtioDeviceOps *ops = v->dev->ops;
    uint64_t f = VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_MQ) |
                 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |
                 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
                 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |
                 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_CONFIG) |
                 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD) |
                 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |
                 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |
                 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |
                 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_STATUS);

    if (ops->announce) {
        f |= VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_RARP);
    }
    if (ops->set_mtu) {
        f |= VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_MTU);
    }
    return f;
}

bool vhost_user_get_protocol_features(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                                      GError **error)
{
    vhost_user_answer_u64(reply, offered_protocol(v));
    return true;
}

bool vhost_user_set_protocol_features(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                                      GError **error)
{
    uint64_t protocol = vhost_user_u64(msg);
    uint64_t unknown = protocol & ~offered_protocol(v);

    if (unknown) {
        VHOST_USER_LIE(error, "0x%" G_GINT64_MODIFIER "x was not offered", unknown);
        return false;
    }
    v->protocol = protocol;
    return true;
}

/*
 * A NIC's queues are pairs of rings, which is how QEMU and DPDK count them; cloud-hypervisor counts
 * rings, and refuses to start if we have fewer of whatever we say. It has neither of two protocol
 * features of which QEMU always has the one and DPDK the other.
 */
bool vhost_user_get_queue_num(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                              GError **error)
{
    bool pairs = vhost_user_has(v, VHOST_USER_PROTOCOL_F_RARP) ||
                 vhost_user_has(v, VHOST_USER_PROTOCOL_F_STATUS);

    vhost_user_answer_u64(reply, pairs ? v->dev->n_rings / 2 : v->dev->n_rings);
    return true;
}

/* --- status --- */

/*
 * As it was at the beginning. What belongs to the connection stays: memory, whose regions the
 * front end will not send again, what is negotiated of the protocol, descriptors of events.
 */
static bool reset(VhostUser *v, GError **error)
{
    vhost_user_rings_reset(v);
    v->features = 0;
    v->features_set = v->features_refused = false;
    v->status = 0;
    v->dev->ops->reset(v->dev);
    return vhost_user_log_follow(v, error);
}

bool vhost_user_reset_device(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                             GError **error)
{
    return reset(v, error);
}

bool vhost_user_get_status(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                           GError **error)
{
    vhost_user_answer_u64(reply, v->status);
    return true;
}

/* FEATURES_OK is not for the driver alone to say. */
bool vhost_user_set_status(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                           GError **error)
{
    uint64_t status = vhost_user_u64(msg);

    if (status > UINT8_MAX) {
        VHOST_USER_LIE(error, "no status is 0x%" G_GINT64_MODIFIER "x", status);
        return false;
    }
    if (status == 0) {
        return reset(v, error);
    }
    v->status = (uint8_t)(v->features_refused ? status & ~VIRTIO_CONFIG_S_FEATURES_OK : status);
    return true;
}
