/*
 * The guest's memory, and the log of what we write there. Both change while no ring runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-internal.h"

#include <stddef.h>
#include <string.h>

#include "util/fd.h"

static bool add_region(VhostUser *v, const VhostUserRegion *r, int fd, GError **error)
{
    return guest_mem_add(v->mem, r->gpa, r->size, r->user, fd, r->offset, error);
}

/* All or none. */
static bool replace_regions(VhostUser *v, const VhostUserMemTable *t, const VhostUserMsg *msg,
                            GError **error)
{
    guest_mem_clear(v->mem);
    for (uint32_t i = 0; i < t->n; i++) {
        if (!add_region(v, &t->region[i], msg->fd[i], error)) {
            guest_mem_clear(v->mem);
            return false;
        }
    }
    return true;
}

bool vhost_user_set_mem_table(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                              GError **error)
{
    VhostUserMemTable t;
    bool ok;

    memcpy(&t, msg->payload, msg->hdr.size);
    if (t.n != msg->n_fds ||
        msg->hdr.size != offsetof(VhostUserMemTable, region) + t.n * sizeof(t.region[0])) {
        VHOST_USER_LIE(error, "%u regions with %u descriptors in %u bytes", t.n, msg->n_fds,
                       msg->hdr.size);
        return false;
    }
    vhost_user_rings_pause(v);
    ok = replace_regions(v, &t, msg, error);
    vhost_user_rings_resume(v);
    return ok;
}

bool vhost_user_get_max_mem_slots(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                                  GError **error)
{
    vhost_user_answer_u64(reply, GUEST_MEM_MAX_REGIONS);
    return true;
}

bool vhost_user_add_mem_reg(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                            GError **error)
{
    VhostUserMemReg m;
    bool ok;

    memcpy(&m, msg->payload, sizeof(m));
    vhost_user_rings_pause(v);
    ok = add_region(v, &m.region, msg->fd[0], error);
    vhost_user_rings_resume(v);
    return ok;
}

/* A descriptor that comes with it, as some send one, is closed and not used. */
bool vhost_user_rem_mem_reg(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                            GError **error)
{
    VhostUserMemReg m;
    bool ok;

    memcpy(&m, msg->payload, sizeof(m));
    vhost_user_rings_pause(v);
    ok = guest_mem_remove(v->mem, m.region.gpa, m.region.size, m.region.user, error);
    vhost_user_rings_resume(v);
    return ok;
}

/* --- the dirty log --- */

bool vhost_user_log_follow(VhostUser *v, GError **error)
{
    bool on = v->features & VHOST_USER_BIT(VHOST_F_LOG_ALL);
    bool ok;

    if (on == v->logging) {
        return true;
    }
    vhost_user_rings_pause(v);
    ok = guest_mem_set_log(v->mem, on ? v->log_fd : -1, v->log.size, v->log.offset, error);
    v->logging = ok && on;
    vhost_user_rings_resume(v);
    return ok;
}

/*
 * The log is written while LOG_ALL is negotiated, before and after which it may be told.
 * The answer is a u64, as libvhost-user has it: QEMU reads and ignores any, and 0 is what an
 * acknowledgement says.
 */
bool vhost_user_set_log_base(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                             GError **error)
{
    memcpy(&v->log, msg->payload, sizeof(v->log));
    fd_close(&v->log_fd);
    v->log_fd = vhost_user_msg_take_fd(msg, 0);
    v->logging = false; /* not to this one */
    vhost_user_answer_u64(reply, 0);
    return vhost_user_log_follow(v, error);
}

/* An eventfd for what a front end finds in the log anyway. */
bool vhost_user_set_log_fd(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                           GError **error)
{
    return true;
}
