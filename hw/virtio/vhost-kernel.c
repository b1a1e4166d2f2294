/*
 * The ioctls of /dev/vhost-net, in the order in which the kernel wants them.
 *
 * What it is told of is in this process's addresses, which the kernel checks for no more than that
 * they are a process's: that they are of the guest's memory is checked before, there and here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/vhost-kernel.h"

#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <sys/ioctl.h>

#define BIT(n) (1ull << (n))

/* Linux 6.2; the headers that we are built with may be older. */
#ifndef VIRTIO_F_NOTIFICATION_DATA
#define VIRTIO_F_NOTIFICATION_DATA 38
#endif
#ifndef VIRTIO_F_RING_RESET
#define VIRTIO_F_RING_RESET 40
#endif

static bool call(int fd, unsigned long request, void *arg, const char *name, GError **error)
{
    if (ioctl(fd, request, arg) == 0) {
        return true;
    }
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: %s", name,
                g_strerror(errno));
    return false;
}
#define CALL(fd, request, arg, error) call(fd, request, arg, #request, error)

/* --- before anything runs --- */

static bool set_poll(int fd, uint32_t poll_us, GError **error)
{
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        struct vhost_vring_state s = { .index = i, .num = poll_us };

        if (!CALL(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s, error)) {
            return false;
        }
    }
    return true;
}

bool vhost_kernel_init(int fd, uint32_t poll_us, GError **error)
{
    int none = -1;

    if (ioctl(fd, VHOST_SET_OWNER, NULL) < 0 && errno != EBUSY) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "VHOST_SET_OWNER: %s",
                    g_strerror(errno));
        return false;
    }
    /* it has an owner: any request but a few tells whether that is us */
    return CALL(fd, VHOST_SET_LOG_FD, &none, error) &&
           (poll_us == 0 || set_poll(fd, poll_us, error));
}

/*
 * Without VIRTIO_F_ANY_LAYOUT, which the kernel takes for VHOST_NET_F_VIRTIO_NET_HDR: that the tap
 * has no vnet header.
 */
#define FEATURE_MASK \
    (BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
     BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_F_VERSION_1) | \
     BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER) | \
     BIT(VIRTIO_F_NOTIFICATION_DATA) | BIT(VIRTIO_F_RING_RESET) | BIT(VIRTIO_NET_F_HASH_REPORT))

static uint64_t kernel_features(const VhostPair *p)
{
    uint64_t features = 0;

    return ioctl(p->vhost_fd, VHOST_GET_FEATURES, &features) == 0 ? features : 0;
}

/* --- memory, and its log --- */

/* Of ring @r in the log, from VirtqSetup.log_gpa on: the used ring. */
static uint64_t used_size(const VirtioRing *r)
{
    return sizeof(struct vring_used) + sizeof(struct vring_used_elem) * r->setup.size +
           sizeof(uint16_t);
}

static bool log_has(const GuestMem *mem, uint64_t gpa, uint64_t size)
{
    uint64_t last = gpa + (size - 1);

    return last >= gpa && last / GUEST_MEM_LOG_PAGE / 8 < mem->log_size;
}

/* The kernel sets bits for whatever lies in memory: the log has to have them all. */
static bool check_log(const VhostPair *p, GError **error)
{
    const GuestMem *mem = p->mem;
    bool fits = true;

    for (unsigned i = 0; i < mem->n; i++) {
        fits &= log_has(mem, mem->region[i].gpa, mem->region[i].size);
    }
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        fits &= !p->ring[i].setup.log ||
                log_has(mem, p->ring[i].setup.log_gpa, used_size(&p->ring[i]));
    }
    if (!fits) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "the dirty log is too short");
    }
    return fits;
}

static bool set_memory(int fd, const GuestMem *mem, GError **error)
{
    size_t size = sizeof(struct vhost_memory) + mem->n * sizeof(struct vhost_memory_region);
    g_autofree struct vhost_memory *m = g_malloc0(size);

    m->nregions = mem->n;
    for (unsigned i = 0; i < mem->n; i++) {
        const GuestRegion *r = &mem->region[i];

        m->regions[i] = (struct vhost_memory_region){
            .guest_phys_addr = r->gpa,
            .memory_size = r->size,
            .userspace_addr = (uintptr_t)r->host,
        };
    }
    return CALL(fd, VHOST_SET_MEM_TABLE, m, error);
}

static bool set_log_and_features(int fd, const VhostPair *p, GError **error)
{
    uint64_t features = p->features & FEATURE_MASK & kernel_features(p);
    uint64_t log = (uintptr_t)p->mem->log;

    if (guest_mem_logs(p->mem)) {
        if (!check_log(p, error) || !CALL(fd, VHOST_SET_LOG_BASE, &log, error)) {
            return false;
        }
        features |= BIT(VHOST_F_LOG_ALL);
    }
    return CALL(fd, VHOST_SET_FEATURES, &features, error);
}

/* --- rings --- */

static bool set_file(int fd, unsigned long request, const char *name, unsigned ring, int file,
                     GError **error)
{
    struct vhost_vring_file f = { .index = ring, .fd = file };

    return call(fd, request, &f, name, error);
}
#define SET_FILE(fd, request, ring, file, error) \
    set_file(fd, request, #request, ring, file, error)

static bool set_ring(int fd, unsigned i, const VhostPair *p, GError **error)
{
    const VirtioRing *r = &p->ring[i];
    struct vhost_vring_state num = { .index = i, .num = r->setup.size };
    struct vhost_vring_state base = { .index = i, .num = r->setup.base };
    struct vhost_vring_addr addr = {
        .index = i,
        .flags = r->setup.log && guest_mem_logs(p->mem) ? BIT(VHOST_VRING_F_LOG) : 0,
        .desc_user_addr = (uintptr_t)r->setup.desc,
        .avail_user_addr = (uintptr_t)r->setup.driver,
        .used_user_addr = (uintptr_t)r->setup.device,
        .log_guest_addr = r->setup.log_gpa,
    };

    return CALL(fd, VHOST_SET_VRING_NUM, &num, error) &&
           CALL(fd, VHOST_SET_VRING_BASE, &base, error) &&
           CALL(fd, VHOST_SET_VRING_ADDR, &addr, error) &&
           SET_FILE(fd, VHOST_SET_VRING_ERR, i, p->err_fd, error) &&
           SET_FILE(fd, VHOST_SET_VRING_CALL, i, r->call_fd, error) &&
           SET_FILE(fd, VHOST_SET_VRING_KICK, i, r->kick_fd, error);
}

/* The descriptors are others', who expect them closed when they close them. */
static void let_go(int fd)
{
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        (void)SET_FILE(fd, VHOST_NET_SET_BACKEND, i, -1, NULL);
    }
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        (void)SET_FILE(fd, VHOST_SET_VRING_KICK, i, -1, NULL);
        (void)SET_FILE(fd, VHOST_SET_VRING_CALL, i, -1, NULL);
        (void)SET_FILE(fd, VHOST_SET_VRING_ERR, i, -1, NULL);
    }
}

static void kernel_stop(const VhostPair *p, uint32_t ret_base[VHOST_RINGS])
{
    int fd = p->vhost_fd;

    let_go(fd);
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        struct vhost_vring_state s = { .index = i };

        ret_base[i] = CALL(fd, VHOST_GET_VRING_BASE, &s, NULL) ? s.num : vhost_base_of_ring(p, i);
    }
}

static bool set_up(int fd, const VhostPair *p, GError **error)
{
    if (!set_memory(fd, p->mem, error) || !set_log_and_features(fd, p, error)) {
        return false;
    }
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        if (!set_ring(fd, i, p, error)) {
            return false;
        }
    }
    return true;
}

static bool kernel_start(const VhostPair *p, uint32_t ret_base[VHOST_RINGS], GError **error)
{
    int fd = p->vhost_fd;

    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        ret_base[i] = p->ring[i].setup.base;
    }
    if (!set_up(fd, p, error)) {
        let_go(fd);
        return false;
    }
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        if (!SET_FILE(fd, VHOST_NET_SET_BACKEND, i, p->backend_fd, error)) {
            kernel_stop(p, ret_base);
            return false;
        }
    }
    return true;
}

static bool kernel_set_call(const VhostPair *p, unsigned ring, GError **error)
{
    return SET_FILE(p->vhost_fd, VHOST_SET_VRING_CALL, ring, p->ring[ring].call_fd, error);
}

const VhostOps vhost_kernel_ops = {
    .name = "vhost net",
    .feature_mask = FEATURE_MASK,
    .features = kernel_features,
    .start = kernel_start,
    .stop = kernel_stop,
    .set_call = kernel_set_call,
    .over_netdev = true,
};
