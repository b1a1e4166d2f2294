/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "socket-rig.h"

#include <string.h>

static void changed(void *opaque, const Netdev *nd, const SocketAddress *peer)
{
    SocketRig *r = opaque;

    if (!peer) {
        g_string_append_c(r->events, '-');
    } else if (peer->type == SOCKET_ADDRESS_UNIX) {
        g_string_append_printf(r->events, "+unix:%s", ((UnixSocketAddress *)peer->u)->path);
    } else {
        g_string_append_printf(r->events, "+tcp:%s", ((InetSocketAddress *)peer->u)->host);
    }
}

static void reopened(void *opaque)
{
    ((SocketRig *)opaque)->n_reopened++;
}

static Netdev *open_as(const char *type, OptDict *d, const NetSocketEnv *env, GError **error)
{
    const OptTable *table = g_str_equal(type, "stream")  ? &stream_options
                            : g_str_equal(type, "dgram") ? &dgram_options
                                                         : &socket_netdev_options;
    void *config = opt_config_new(table, d, OPT_PARAMETERS, error);
    Netdev *nd = NULL;

    if (!config) {
        return NULL;
    }
    if (table == &stream_options) {
        nd = stream_new(config, env, error);
    } else if (table == &dgram_options) {
        nd = dgram_new(config, env, error);
    } else {
        nd = socket_netdev_new(config, env, error);
    }
    opt_config_free(table, config);
    return nd;
}

void rig_open(SocketRig *r, const char *text)
{
    const NetSocketEnv env = { .stream_changed = changed, .opaque = r };
    g_autofree char *all = g_strdup_printf("%s,id=n0", text);
    g_autoptr(GError) error = NULL;
    g_autoptr(OptDict) d = opt_dict_parse(all, "type", &error);
    g_autofree char *type = opt_dict_take(d, "type", &error);

    r->events = g_string_new("");
    r->nd = open_as(type, d, &env, &error);
    g_assert_no_error(error);
    r->q = r->nd->queue[0];
    r->nd->reopened = reopened;
    r->nd->changed_opaque = r;
    g_assert_cmpint(pkt_arena_init(&r->arena, RIG_BATCH * PKT_ARENA_MIN), ==, 0);
}

void rig_open_fd(SocketRig *r, int fd)
{
    g_autofree char *text = g_strdup_printf("stream,addr.type=fd,addr.str=%d", fd);

    rig_open(r, text);
    rig_wait(r, "+unix:");
}

void rig_close(SocketRig *r)
{
    netdev_free(r->nd);
    g_string_free(r->events, TRUE);
    pkt_arena_done(&r->arena);
}

void rig_wait(SocketRig *r, const char *events)
{
    while (!g_str_equal(r->events->str, events)) {
        g_assert_cmpuint(r->events->len, <=, strlen(events));
        g_main_context_iteration(NULL, TRUE);
    }
    g_string_truncate(r->events, 0);
}

unsigned rig_recv(SocketRig *r, unsigned max)
{
    pkt_arena_reset(&r->arena);
    return netdev_recv(r->q, &r->arena, r->pkt, r->iov, max);
}

uint8_t rig_byte(unsigned seed, uint32_t i)
{
    return (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

RigPkt *rig_pkt_new(unsigned seed, uint32_t len, uint32_t n_iov)
{
    RigPkt *p = g_new0(RigPkt, 1);
    uint32_t off = 0;

    p->data = g_malloc(len);
    p->iov = g_new0(struct iovec, n_iov);
    for (uint32_t i = 0; i < len; i++) {
        p->data[i] = rig_byte(seed, i);
    }
    for (uint32_t i = 0; i < n_iov; i++) {
        uint32_t n = i + 1 == n_iov ? len - off : len / n_iov;

        p->iov[i] = (struct iovec){ p->data + off, n };
        off += n;
    }
    p->pkt = (Pkt){ .hdr = &p->hdr, .iov = p->iov, .n_iov = n_iov, .len = len };
    return p;
}

void rig_pkt_free(RigPkt *p)
{
    g_free(p->data);
    g_free(p->iov);
    g_free(p);
}

bool rig_frame_is(const uint8_t *data, unsigned seed, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        if (data[i] != rig_byte(seed, i)) {
            return false;
        }
    }
    return true;
}
