/*
 * Rings of a NIC go to a back end, and come back. With the first pair go features, memory and
 * status, which all pairs have in common; with the last one the status goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-remote-internal.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>

/* Linux 6.2; the headers that we are built with may be older. */
#ifndef VIRTIO_F_NOTIFICATION_DATA
#define VIRTIO_F_NOTIFICATION_DATA 38
#endif
#ifndef VIRTIO_F_RING_RESET
#define VIRTIO_F_RING_RESET 40
#endif
/* VIRTIO 1.3, 5.1.3 */
#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO   56
#endif

#define F(name) REMOTE_BIT(VIRTIO_##name)
#define NO_ACK  (&(RemoteExtra){ .ack = false })
#define ACK     (&(RemoteExtra){ .ack = true })

#define STATUS_DRIVER   (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define STATUS_FEATURES (STATUS_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

/*
 * What packets and rings look like. Offloads that are switched at run time it would have to hear
 * of, which no message tells.
 */
#define FEATURE_MASK \
    (F(F_NOTIFY_ON_EMPTY) | F(F_NOTIFICATION_DATA) | F(RING_F_INDIRECT_DESC) | \
     F(RING_F_EVENT_IDX) | F(F_ANY_LAYOUT) | F(F_VERSION_1) | F(F_ACCESS_PLATFORM) | \
     F(F_RING_PACKED) | F(F_IN_ORDER) | F(F_RING_RESET) | F(NET_F_CSUM) | F(NET_F_GUEST_CSUM) | \
     F(NET_F_GSO) | F(NET_F_GUEST_TSO4) | F(NET_F_GUEST_TSO6) | F(NET_F_GUEST_ECN) | \
     F(NET_F_GUEST_UFO) | F(NET_F_GUEST_USO4) | F(NET_F_GUEST_USO6) | F(NET_F_HOST_TSO4) | \
     F(NET_F_HOST_TSO6) | F(NET_F_HOST_ECN) | F(NET_F_HOST_UFO) | F(NET_F_HOST_USO) | \
     F(NET_F_MRG_RXBUF) | F(NET_F_MTU) | F(NET_F_MQ) | F(NET_F_HASH_REPORT) | \
     F(NET_F_GUEST_ANNOUNCE) | F(NET_F_CTRL_GUEST_OFFLOADS))

static uint64_t remote_features(const VhostPair *p)
{
    return p->remote->features & ~F(NET_F_CTRL_GUEST_OFFLOADS);
}

/* --- memory --- */

static GArray *regions_of(const GuestMem *mem)
{
    GArray *regions = g_array_new(FALSE, TRUE, sizeof(VhostUserRegion));

    for (unsigned i = 0; i < mem->n; i++) {
        const GuestRegion *r = &mem->region[i];
        const VhostUserRegion region = {
            .gpa = r->gpa, .size = r->size, .user = (uintptr_t)r->host, .offset = r->offset,
        };

        g_array_append_val(regions, region);
    }
    return regions;
}

static bool check_memory(const VhostUserRemote *r, const GuestMem *mem, GError **error)
{
    bool slots = remote_has(r, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
    uint64_t max = slots ? r->max_slots : VHOST_USER_TABLE_REGIONS;

    if (!mem->handed_on) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "Failed initializing vhost-user "
                    "memory map, consider using -object memory-backend-file share=on");
    } else if (mem->n > max) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "the guest's memory has %u regions, "
                    "and the back end takes %" G_GUINT64_FORMAT, mem->n, max);
    } else {
        return true;
    }
    return false;
}

static void send_table(VhostUserRemote *r, const GArray *regions, const int *fds)
{
    VhostUserMemTable t = { .n = regions->len };
    size_t size = regions->len * sizeof(t.region[0]);

    memcpy(t.region, regions->data, size);
    remote_send(r, VHOST_USER_SET_MEM_TABLE, &t, offsetof(VhostUserMemTable, region) + size,
                &(RemoteExtra){ .fd = fds, .n_fds = regions->len, .ack = true });
}

static void send_slots(VhostUserRemote *r, const GArray *regions, const int *fds)
{
    for (unsigned i = 0; i < r->told->len; i++) {
        const VhostUserMemReg m = { .region = g_array_index(r->told, VhostUserRegion, i) };

        remote_send(r, VHOST_USER_REM_MEM_REG, &m, sizeof(m), ACK);
    }
    for (unsigned i = 0; i < regions->len; i++) {
        const VhostUserMemReg m = { .region = g_array_index(regions, VhostUserRegion, i) };

        remote_send(r, VHOST_USER_ADD_MEM_REG, &m, sizeof(m),
                    &(RemoteExtra){ .fd = &fds[i], .n_fds = 1, .ack = true });
    }
}

/* Unless it knows: a NIC's next driver has the same memory, and the next NIC other addresses. */
static void tell_memory(VhostUserRemote *r, const GuestMem *mem)
{
    g_autoptr(GArray) regions = regions_of(mem);
    g_autofree int *fds = g_new(int, mem->n);
    size_t size = regions->len * sizeof(VhostUserRegion);

    if (regions->len == r->told->len && memcmp(regions->data, r->told->data, size) == 0) {
        return;
    }
    for (unsigned i = 0; i < mem->n; i++) {
        fds[i] = mem->region[i].fd;
    }
    if (remote_has(r, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
        send_slots(r, regions, fds);
    } else {
        send_table(r, regions, fds);
    }
    if (r->io.fd >= 0) {
        g_array_set_size(r->told, 0);
        g_array_append_vals(r->told, regions->data, regions->len);
    }
}

/* --- what all pairs have in common --- */

static void tell_status(VhostUserRemote *r, uint8_t status)
{
    if (remote_has(r, VHOST_USER_PROTOCOL_F_STATUS)) {
        remote_send_u64(r, VHOST_USER_SET_STATUS, status, true);
    }
}

void remote_got_status(VhostUserRemote *r, uint64_t status)
{
    if (!(status & VIRTIO_CONFIG_S_FEATURES_OK)) {
        remote_lose(r, "it does not take the features that it offered");
    }
}

static bool begin(VhostUserRemote *r, const VhostPair *p, GError **error)
{
    uint64_t protocol = r->offered & REMOTE_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
    uint64_t missing = p->features & FEATURE_MASK & ~r->offered;

    if (!check_memory(r, p->mem, error)) {
        return false;
    }
    if (missing) {
        remote_lose(r, "it lacks the features 0x%" G_GINT64_MODIFIER "x, which the driver has",
                    missing);
        return true;
    }
    r->taken = p->features;
    tell_status(r, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    tell_status(r, STATUS_DRIVER);
    remote_send_u64(r, VHOST_USER_SET_FEATURES, (p->features & FEATURE_MASK) | protocol, true);
    tell_status(r, STATUS_FEATURES);
    if (remote_has(r, VHOST_USER_PROTOCOL_F_STATUS)) {
        remote_send(r, VHOST_USER_GET_STATUS, NULL, 0, NO_ACK);
    }
    tell_memory(r, p->mem);
    if (p->mtu && remote_has(r, VHOST_USER_PROTOCOL_F_MTU)) {
        remote_send_u64(r, VHOST_USER_NET_SET_MTU, p->mtu, true);
    }
    return true;
}

static void end(VhostUserRemote *r)
{
    if (remote_has(r, VHOST_USER_PROTOCOL_F_STATUS)) {
        tell_status(r, 0);
    } else if (remote_has(r, VHOST_USER_PROTOCOL_F_RESET_DEVICE)) {
        remote_send(r, VHOST_USER_RESET_DEVICE, NULL, 0, ACK);
    }
}

void remote_forget_rings(VhostUserRemote *r)
{
    r->serving = 0;
    g_array_set_size(r->told, 0);
}

/* --- rings --- */

static void send_state(VhostUserRemote *r, uint32_t request, unsigned index, uint32_t num,
                       const RemoteExtra *extra)
{
    const struct vhost_vring_state s = { .index = index, .num = num };

    remote_send(r, request, &s, sizeof(s), extra);
}

static void send_file(VhostUserRemote *r, uint32_t request, unsigned index, int fd)
{
    uint64_t value = index | (fd < 0 ? VHOST_USER_VRING_NO_FD : 0);

    remote_send(r, request, &value, sizeof(value),
                &(RemoteExtra){ .fd = &fd, .n_fds = fd >= 0, .ack = true });
}

static void send_ring(VhostUserRemote *r, const VhostPair *p, unsigned i)
{
    const VirtioRing *ring = &p->ring[i];
    unsigned index = VHOST_RINGS * p->index + i;
    const struct vhost_vring_addr addr = {
        .index = index,
        .desc_user_addr = (uintptr_t)ring->setup.desc,
        .avail_user_addr = (uintptr_t)ring->setup.driver,
        .used_user_addr = (uintptr_t)ring->setup.device,
    };

    send_state(r, VHOST_USER_SET_VRING_NUM, index, ring->setup.size, NO_ACK);
    send_state(r, VHOST_USER_SET_VRING_BASE, index, ring->setup.base, NO_ACK);
    remote_send(r, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), ACK);
    send_file(r, VHOST_USER_SET_VRING_ERR, index, p->err_fd);
    send_file(r, VHOST_USER_SET_VRING_CALL, index, ring->call_fd);
    send_file(r, VHOST_USER_SET_VRING_KICK, index, ring->kick_fd);
}

/*
 * Before it runs, as what is on a tx ring that is not enabled is taken and forgotten; so it stays
 * enabled until it is stopped. Without the protocol's features each ring is, and there is no such
 * message.
 */
static void enable_pair(VhostUserRemote *r, const VhostPair *p)
{
    if (r->offered & REMOTE_BIT(VHOST_USER_F_PROTOCOL_FEATURES)) {
        for (unsigned i = 0; i < VHOST_RINGS; i++) {
            send_state(r, VHOST_USER_SET_VRING_ENABLE, VHOST_RINGS * p->index + i, 1, ACK);
        }
    }
}

static bool remote_start(const VhostPair *p, uint32_t ret_base[VHOST_RINGS], GError **error)
{
    VhostUserRemote *r = p->remote;

    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        ret_base[i] = p->ring[i].setup.base;
    }
    g_assert(r->serving == 0 || r->taken == p->features);
    if (r->serving == 0 && !begin(r, p, error)) {
        return false;
    }
    enable_pair(r, p);
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        send_ring(r, p, i);
    }
    if (r->serving == 0) {
        tell_status(r, STATUS_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    }
    if (r->io.fd < 0) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_PIPE, "%s",
                    r->reason ? r->reason : "it is not connected");
        return false;
    }
    r->serving++;
    return true;
}

void remote_got_base(VhostUserRemote *r, uint64_t answer)
{
    struct vhost_vring_state s;

    memcpy(&s, &answer, sizeof(s));
    if (s.index < G_N_ELEMENTS(r->base)) {
        r->base[s.index] = s.num;
    }
}

/* What it did with a ring is known when it says where it stands; or else by the ring. */
static void remote_stop(const VhostPair *p, uint32_t ret_base[VHOST_RINGS])
{
    VhostUserRemote *r = p->remote;
    uint32_t *base = &r->base[VHOST_RINGS * p->index];

    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        base[i] = p->ring[i].setup.base;
        send_state(r, VHOST_USER_GET_VRING_BASE, VHOST_RINGS * p->index + i, 0, NO_ACK);
    }
    remote_settle(r);
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        ret_base[i] = r->io.fd >= 0 ? base[i] : vhost_base_of_ring(p, i);
    }
    if (r->serving > 0 && --r->serving == 0) {
        end(r);
    }
}

static bool remote_set_call(const VhostPair *p, unsigned ring, GError **error)
{
    send_file(p->remote, VHOST_USER_SET_VRING_CALL, VHOST_RINGS * p->index + ring,
              p->ring[ring].call_fd);
    return true;
}

static void remote_announce(const VhostPair *p, const uint8_t mac[6])
{
    uint64_t value = 0;

    memcpy(&value, mac, 6);
    if (remote_has(p->remote, VHOST_USER_PROTOCOL_F_RARP)) {
        remote_send_u64(p->remote, VHOST_USER_SEND_RARP, value, false);
    }
}

const VhostOps vhost_user_remote_ops = {
    .name = "vhost-user",
    .feature_mask = FEATURE_MASK,
    .features = remote_features,
    .start = remote_start,
    .stop = remote_stop,
    .set_call = remote_set_call,
    .announce = remote_announce,
};
