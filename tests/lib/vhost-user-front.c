/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vhost-user-front.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/fd.h"

#define MAX_WAIT_MS 20000
#define MAX_ROUNDS  1000000 /* of pump */

VhostUserFront *vhost_user_front_new(int fd)
{
    VhostUserFront *f = g_new0(VhostUserFront, 1);

    f->fd = fd;
    f->back_fd = f->log_fd = f->inflight_fd = -1;
    return f;
}

VhostUserFront *vhost_user_front_connect(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpuint(g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path)), <,
                     sizeof(addr.sun_path));
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        return NULL;
    }
    return vhost_user_front_new(g_steal_fd(&fd));
}

void vhost_user_front_close(VhostUserFront *f)
{
    fd_close(&f->fd);
    fd_close(&f->back_fd);
    for (unsigned i = 0; i < VHOST_USER_FRONT_REGIONS; i++) {
        f->region[i].shared = false;
    }
}

void vhost_user_front_reconnect(VhostUserFront *f, int fd)
{
    vhost_user_front_close(f);
    f->fd = fd;
}

void vhost_user_front_free(VhostUserFront *f)
{
    if (!f) {
        return;
    }
    vhost_user_front_close(f);
    for (unsigned i = 0; i < VHOST_USER_FRONT_REGIONS; i++) {
        if (f->region[i].host) {
            vhost_user_front_drop_region(f, &f->region[i]);
        }
    }
    vhost_user_front_close_log(f);
    fd_close(&f->inflight_fd);
    g_free(f);
}

void vhost_user_front_pump_main(void)
{
    g_main_context_iteration(NULL, FALSE);
}

/* --- messages --- */

/* What is left, or the next piece of it. */
static struct iovec next_piece(const VhostUserFront *f, const uint8_t *at, const uint8_t *end)
{
    size_t len = (size_t)(end - at);

    return (struct iovec){ (void *)at, f->piece > 0 ? MIN(f->piece, len) : len };
}

static void wait_for(VhostUserFront *f, int fd, short events, unsigned *rounds)
{
    struct pollfd p = { .fd = fd, .events = events };

    if (f->pump) {
        g_assert_cmpuint((*rounds)++, <, MAX_ROUNDS);
        f->pump();
        return;
    }
    g_assert_cmpint(poll(&p, 1, MAX_WAIT_MS), ==, 1);
}

bool vhost_user_front_send_bytes(VhostUserFront *f, const void *data, size_t len, const int *fd,
                                 unsigned n_fds)
{
    union {
        struct cmsghdr align;
        uint8_t buf[CMSG_SPACE(253 * sizeof(int))];
    } control = { 0 };
    const uint8_t *at = data, *end = at + len;
    struct iovec iov;
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
    unsigned rounds = 0;

    if (n_fds > 0) {
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(&control.align), fd, n_fds * sizeof(int));
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
    }
    while (at < end) {
        ssize_t n;

        iov = next_piece(f, at, end);
        n = sendmsg(f->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            wait_for(f, f->fd, POLLOUT, &rounds);
            continue;
        }
        if (n < 0) {
            return false;
        }
        at += n;
        m.msg_control = NULL;
        m.msg_controllen = 0;
        if (f->piece > 0 && f->pump) {
            f->pump();
        }
    }
    return true;
}

bool vhost_user_front_send_msg(VhostUserFront *f, const VhostUserFrontMsg *m)
{
    VhostUserHeader hdr = { m->request, m->flags ? m->flags : VHOST_USER_VERSION, m->size };
    g_autofree uint8_t *all = g_malloc(sizeof(hdr) + m->size);

    memcpy(all, &hdr, sizeof(hdr));
    if (m->size > 0) {
        memcpy(all + sizeof(hdr), m->payload, m->size);
    }
    return vhost_user_front_send_bytes(f, all, sizeof(hdr) + m->size, m->fd, m->n_fds);
}

bool vhost_user_front_send(VhostUserFront *f, uint32_t request, const void *payload,
                           uint32_t size)
{
    VhostUserFrontMsg m = { .request = request, .payload = payload, .size = size };

    return vhost_user_front_send_msg(f, &m);
}

bool vhost_user_front_send_u64(VhostUserFront *f, uint32_t request, uint64_t value)
{
    return vhost_user_front_send(f, request, &value, sizeof(value));
}

bool vhost_user_front_send_state(VhostUserFront *f, uint32_t request, uint32_t index,
                                 uint32_t num)
{
    struct vhost_vring_state s = { .index = index, .num = num };

    return vhost_user_front_send(f, request, &s, sizeof(s));
}

bool vhost_user_front_send_event(VhostUserFront *f, uint32_t request, unsigned index, int fd)
{
    uint64_t u = index | (fd < 0 ? VHOST_USER_VRING_NO_FD : 0);
    VhostUserFrontMsg m = { .request = request, .payload = &u, .size = sizeof(u), .fd = &fd,
                            .n_fds = fd < 0 ? 0 : 1 };

    return vhost_user_front_send_msg(f, &m);
}

bool vhost_user_front_send_fd(VhostUserFront *f, uint32_t request, int fd)
{
    VhostUserFrontMsg m = { .request = request, .fd = &fd, .n_fds = 1 };

    return vhost_user_front_send_msg(f, &m);
}

static void keep_fd(struct msghdr *m, int *fd)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            g_assert_cmpint(*fd, ==, -1);
            g_assert_cmpuint(c->cmsg_len, ==, CMSG_LEN(sizeof(int)));
            memcpy(fd, CMSG_DATA(c), sizeof(int));
        }
    }
}

/* All @len bytes. False: the connection is closed. */
static bool recv_bytes(VhostUserFront *f, int fd, void *data, size_t len, int *passed)
{
    union {
        struct cmsghdr align;
        uint8_t buf[CMSG_SPACE(sizeof(int))];
    } control;
    size_t got = 0;
    unsigned rounds = 0;

    while (got < len) {
        struct iovec iov = { (uint8_t *)data + got, len - got };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                            .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n < 0 && errno == EAGAIN) {
            wait_for(f, fd, POLLIN, &rounds);
            continue;
        }
        if (n <= 0) {
            return false;
        }
        g_assert_cmpint(m.msg_flags & MSG_CTRUNC, ==, 0);
        keep_fd(&m, passed);
        got += (size_t)n;
    }
    return true;
}

bool vhost_user_front_recv(VhostUserFront *f, VhostUserFrontReply *ret)
{
    ret->fd = -1;
    if (!recv_bytes(f, f->fd, &ret->hdr, sizeof(ret->hdr), &ret->fd)) {
        return false;
    }
    g_assert_cmpuint(ret->hdr.size, <=, sizeof(ret->payload));
    g_assert_cmphex(ret->hdr.flags, ==, VHOST_USER_VERSION | VHOST_USER_REPLY);
    return recv_bytes(f, f->fd, ret->payload, ret->hdr.size, &ret->fd);
}

bool vhost_user_front_is_closed(VhostUserFront *f)
{
    uint8_t byte;
    int fd = -1;

    return !recv_bytes(f, f->fd, &byte, 1, &fd);
}

/* The answer to @request; false: the connection is closed. */
static bool recv_answer(VhostUserFront *f, uint32_t request, void *payload, uint32_t size)
{
    VhostUserFrontReply r;

    if (!vhost_user_front_recv(f, &r)) {
        return false;
    }
    g_assert_cmpuint(r.hdr.request, ==, request);
    g_assert_cmpuint(r.hdr.size, ==, size);
    g_assert_cmpint(r.fd, ==, -1);
    memcpy(payload, r.payload, size);
    return true;
}

uint64_t vhost_user_front_get_u64(VhostUserFront *f, uint32_t request)
{
    uint64_t value;

    return vhost_user_front_send(f, request, NULL, 0) &&
           recv_answer(f, request, &value, sizeof(value)) ? value : UINT64_MAX;
}

bool vhost_user_front_sync(VhostUserFront *f)
{
    return vhost_user_front_get_u64(f, VHOST_USER_GET_FEATURES) != UINT64_MAX;
}

uint64_t vhost_user_front_ask(VhostUserFront *f, const VhostUserFrontMsg *m)
{
    VhostUserFrontMsg asking = *m;
    uint64_t value;

    asking.flags = (m->flags ? m->flags : VHOST_USER_VERSION) | VHOST_USER_NEED_REPLY;
    return vhost_user_front_send_msg(f, &asking) &&
           recv_answer(f, m->request, &value, sizeof(value)) ? value : UINT64_MAX;
}

void vhost_user_front_negotiate(VhostUserFront *f, uint64_t features, uint64_t protocol)
{
    uint64_t own = 1ull << VHOST_USER_F_PROTOCOL_FEATURES;

    vhost_user_front_send(f, VHOST_USER_SET_OWNER, NULL, 0);
    f->features = features & vhost_user_front_get_u64(f, VHOST_USER_GET_FEATURES);
    f->protocol = 0;
    if (f->features & own) {
        f->protocol = protocol & vhost_user_front_get_u64(f, VHOST_USER_GET_PROTOCOL_FEATURES);
        vhost_user_front_send_u64(f, VHOST_USER_SET_PROTOCOL_FEATURES, f->protocol);
    }
    vhost_user_front_send_u64(f, VHOST_USER_SET_FEATURES, f->features);
}

void vhost_user_front_open_back(VhostUserFront *f)
{
    int pair[2];

    fd_close(&f->back_fd);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    f->back_fd = pair[0];
    vhost_user_front_send_fd(f, VHOST_USER_SET_BACKEND_REQ_FD, pair[1]);
    close(pair[1]);
}

void vhost_user_front_recv_back(VhostUserFront *f, VhostUserHeader *ret)
{
    int fd = -1;

    g_assert_true(recv_bytes(f, f->back_fd, ret, sizeof(*ret), &fd));
    g_assert_cmpint(fd, ==, -1);
}

/* --- memory --- */

static uint8_t *map_new(const char *name, uint64_t size, int *ret_fd)
{
    uint8_t *at;

    *ret_fd = memfd_create(name, MFD_CLOEXEC);
    g_assert_cmpint(*ret_fd, >=, 0);
    g_assert_cmpint(ftruncate(*ret_fd, (off_t)size), ==, 0);
    at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *ret_fd, 0);
    g_assert_true(at != MAP_FAILED);
    return at;
}

VhostUserFrontRegion *vhost_user_front_make_region(VhostUserFront *f, uint64_t gpa, uint64_t size)
{
    for (unsigned i = 0; i < VHOST_USER_FRONT_REGIONS; i++) {
        VhostUserFrontRegion *r = &f->region[i];

        if (!r->host) {
            *r = (VhostUserFrontRegion){ .gpa = gpa, .size = size,
                                         .user = gpa + VHOST_USER_FRONT_USER };
            r->host = map_new("front-memory", size, &r->fd);
            return r;
        }
    }
    g_assert_not_reached();
}

void vhost_user_front_drop_region(VhostUserFront *f, VhostUserFrontRegion *r)
{
    munmap(r->host, r->size);
    fd_close(&r->fd);
    *r = (VhostUserFrontRegion){ 0 };
}

VhostUserRegion vhost_user_front_describe(const VhostUserFrontRegion *r)
{
    return (VhostUserRegion){ r->gpa, r->size, r->user, r->offset };
}

void vhost_user_front_share(VhostUserFront *f)
{
    VhostUserMemTable t = { 0 };
    int fd[VHOST_USER_TABLE_REGIONS];
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_MEM_TABLE, .payload = &t, .fd = fd };

    for (unsigned i = 0; i < VHOST_USER_FRONT_REGIONS; i++) {
        if (f->region[i].host) {
            g_assert_cmpuint(t.n, <, VHOST_USER_TABLE_REGIONS);
            fd[t.n] = f->region[i].fd;
            t.region[t.n++] = vhost_user_front_describe(&f->region[i]);
            f->region[i].shared = true;
        }
    }
    m.size = (uint32_t)(offsetof(VhostUserMemTable, region) + t.n * sizeof(t.region[0]));
    m.n_fds = t.n;
    vhost_user_front_send_msg(f, &m);
}

void vhost_user_front_add_slot(VhostUserFront *f, VhostUserFrontRegion *r)
{
    VhostUserMemReg reg = { .region = vhost_user_front_describe(r) };
    VhostUserFrontMsg m = { .request = VHOST_USER_ADD_MEM_REG, .payload = &reg,
                            .size = sizeof(reg), .fd = &r->fd, .n_fds = 1 };

    r->shared = true;
    vhost_user_front_send_msg(f, &m);
}

void vhost_user_front_remove_slot(VhostUserFront *f, VhostUserFrontRegion *r)
{
    VhostUserMemReg reg = { .region = vhost_user_front_describe(r) };

    r->shared = false;
    vhost_user_front_send(f, VHOST_USER_REM_MEM_REG, &reg, sizeof(reg));
}

uint8_t *vhost_user_front_host(VhostUserFront *f, uint64_t gpa)
{
    for (unsigned i = 0; i < VHOST_USER_FRONT_REGIONS; i++) {
        VhostUserFrontRegion *r = &f->region[i];

        if (r->host && gpa - r->gpa < r->size) {
            return r->host + (gpa - r->gpa);
        }
    }
    return NULL;
}

void vhost_user_front_open_log(VhostUserFront *f, uint64_t size)
{
    VhostUserLog log = { .size = size };
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_LOG_BASE, .payload = &log,
                            .size = sizeof(log), .n_fds = 1 };
    VhostUserFrontReply reply;

    g_assert_null(f->log);
    f->log = map_new("front-log", size, &f->log_fd);
    f->log_size = size;
    m.fd = &f->log_fd;
    vhost_user_front_send_msg(f, &m);
    g_assert_true(vhost_user_front_recv(f, &reply));
    g_assert_cmpuint(reply.hdr.request, ==, VHOST_USER_SET_LOG_BASE);
}

void vhost_user_front_close_log(VhostUserFront *f)
{
    if (f->log) {
        munmap(f->log, f->log_size);
    }
    f->log = NULL;
    fd_close(&f->log_fd);
}

bool vhost_user_front_take_dirty(VhostUserFront *f, uint64_t gpa)
{
    uint64_t page = gpa / VHOST_PAGE_SIZE;
    uint8_t bit = (uint8_t)(1u << page % 8);

    g_assert_cmpuint(page / 8, <, f->log_size);
    return __atomic_fetch_and(&f->log[page / 8], (uint8_t)~bit, __ATOMIC_SEQ_CST) & bit;
}

void vhost_user_front_get_inflight(VhostUserFront *f, uint16_t n_rings, uint16_t ring_size)
{
    VhostUserInflight i = { .n_rings = n_rings, .ring_size = ring_size };
    VhostUserFrontReply reply;

    fd_close(&f->inflight_fd);
    vhost_user_front_send(f, VHOST_USER_GET_INFLIGHT_FD, &i, sizeof(i));
    g_assert_true(vhost_user_front_recv(f, &reply));
    g_assert_cmpuint(reply.hdr.request, ==, VHOST_USER_GET_INFLIGHT_FD);
    g_assert_cmpuint(reply.hdr.size, ==, sizeof(i));
    g_assert_cmpint(reply.fd, >=, 0);
    f->inflight_fd = reply.fd;
    memcpy(&f->inflight, reply.payload, sizeof(i));
}

void vhost_user_front_set_inflight(VhostUserFront *f)
{
    VhostUserFrontMsg m = { .request = VHOST_USER_SET_INFLIGHT_FD, .payload = &f->inflight,
                            .size = sizeof(f->inflight), .fd = &f->inflight_fd, .n_fds = 1 };

    vhost_user_front_send_msg(f, &m);
}
