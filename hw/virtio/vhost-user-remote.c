/*
 * What a back end is asked until it may have rings: a question a step, and nobody waits for the
 * answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-remote-internal.h"

#include <glib-unix.h>

#define READY_MS 10000 /* after that it will not be */

typedef struct RemoteStep {
    uint32_t request;
    int needs;              /* a protocol feature, or what is below; else the step is left out */
    void (*got)(VhostUserRemote *r, uint64_t value);
} RemoteStep;
#define NEEDS_NOTHING  (-1)
#define NEEDS_PROTOCOL (-2) /* that there are such features */

static void got_features(VhostUserRemote *r, uint64_t value)
{
    r->offered = value;
}

static void got_protocol(VhostUserRemote *r, uint64_t value)
{
    r->protocol = value & REMOTE_PROTOCOL;
    remote_send_u64(r, VHOST_USER_SET_PROTOCOL_FEATURES, r->protocol, false);
}

static void got_queue_num(VhostUserRemote *r, uint64_t value)
{
    r->max_queues = value;
}

static void got_max_slots(VhostUserRemote *r, uint64_t value)
{
    r->max_slots = value;
}

static const RemoteStep steps[] = {
    { VHOST_USER_GET_FEATURES, NEEDS_NOTHING, got_features },
    { VHOST_USER_GET_PROTOCOL_FEATURES, NEEDS_PROTOCOL, got_protocol },
    { VHOST_USER_GET_QUEUE_NUM, VHOST_USER_PROTOCOL_F_MQ, got_queue_num },
    { VHOST_USER_GET_MAX_MEM_SLOTS, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS, got_max_slots },
};

static bool step_is_wanted(const VhostUserRemote *r, const RemoteStep *s)
{
    switch (s->needs) {
    case NEEDS_NOTHING:
        return true;
    case NEEDS_PROTOCOL:
        return r->offered & REMOTE_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
    default:
        return remote_has(r, (unsigned)s->needs);
    }
}

static void get_ready(VhostUserRemote *r)
{
    g_clear_handle_id(&r->slow_tag, g_source_remove);
    if (r->n_pairs > r->max_queues) {
        remote_lose(r, "you are asking more queues than supported: %" G_GUINT64_FORMAT,
                    r->max_queues);
        return;
    }
    remote_send(r, VHOST_USER_SET_OWNER, NULL, 0, &(RemoteExtra){ .ack = false });
    if (r->io.fd >= 0) {
        r->features = r->offered;
        r->ready = true;
        r->events->ready(r->opaque);
    }
}

static void next_step(VhostUserRemote *r)
{
    while (r->step < G_N_ELEMENTS(steps) && !step_is_wanted(r, &steps[r->step])) {
        r->step++;
    }
    if (r->step < G_N_ELEMENTS(steps)) {
        remote_send(r, steps[r->step].request, NULL, 0, &(RemoteExtra){ .ack = false });
    } else {
        get_ready(r);
    }
}

void remote_answered(VhostUserRemote *r, uint32_t request, uint64_t value)
{
    if (r->step < G_N_ELEMENTS(steps)) {
        steps[r->step++].got(r, value);
        next_step(r);
    } else if (request == VHOST_USER_GET_STATUS) {
        remote_got_status(r, value);
    } else if (request == VHOST_USER_GET_VRING_BASE) {
        remote_got_base(r, value);
    }
}

/* --- the connection --- */

static gboolean on_input(gint fd, GIOCondition condition, gpointer opaque)
{
    remote_listen(opaque);
    return G_SOURCE_CONTINUE;
}

static gboolean on_slow(gpointer opaque)
{
    VhostUserRemote *r = opaque;

    r->slow_tag = 0;
    remote_lose(r, "it does not answer");
    return G_SOURCE_REMOVE;
}

void vhost_user_remote_connect(VhostUserRemote *r, int fd)
{
    g_assert(r->io.fd < 0 && !r->reason);
    vhost_user_msg_init(&r->io, fd);
    r->step = 0;
    r->offered = r->protocol = 0;
    r->max_queues = 1;
    r->max_slots = 0;
    r->in_tag = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, r);
    r->slow_tag = g_timeout_add(READY_MS, on_slow, r);
    next_step(r);
}

bool vhost_user_remote_is_ready(const VhostUserRemote *r)
{
    return r->ready;
}

VhostUserRemote *vhost_user_remote_new(unsigned n_pairs, const VhostUserRemoteEvents *events,
                                       void *opaque)
{
    VhostUserRemote *r = g_new0(VhostUserRemote, 1);

    g_assert(n_pairs <= VHOST_USER_REMOTE_MAX_PAIRS);
    r->events = events;
    r->opaque = opaque;
    r->n_pairs = n_pairs;
    r->features = UINT64_MAX;
    r->told = g_array_new(FALSE, FALSE, sizeof(VhostUserRegion));
    vhost_user_msg_init(&r->io, -1);
    g_queue_init(&r->owed);
    return r;
}

void vhost_user_remote_free(VhostUserRemote *r)
{
    if (!r) {
        return;
    }
    remote_lose(r, "it is not wanted any more");
    g_clear_handle_id(&r->lost_tag, g_source_remove);
    g_free(r->reason);
    g_array_unref(r->told);
    g_free(r);
}
