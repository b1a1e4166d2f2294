/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "line.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/chardev.h"
#include "util/fd.h"

typedef struct LineConfig {
    char *id;
    char *chardev;
} LineConfig;

/* What any NIC counts. */
typedef struct LineStats {
    struct {
        uint64_t packets;
        uint64_t bytes;
        uint64_t batches;
        uint64_t events_sent;
        uint64_t events_received;
        uint64_t drop_full;
    } tx, rx;
    struct {
        uint64_t calls;
    } line;
} LineStats;

typedef struct Line {
    LineStats stats;
    Device *d;
    int fd;  /* -1: nobody is there */
    guint tag;
} Line;

static const OptMember line_members[] = {
    { "id", OPT_STR, offsetof(LineConfig, id), .help = "name of the device" },
    { "chardev", OPT_STR, offsetof(LineConfig, chardev), .required = true,
      .help = "ID of the chardev" },
    { 0 },
};
static const OptTable line_options = { "toy-line", sizeof(LineConfig), line_members };

#define DIR_OFFSET(m) (offsetof(LineStats, tx.m) - offsetof(LineStats, tx))

static const Counter dir_counters[] = {
    { "packets", "packets", "read or said back", DIR_OFFSET(packets) },
    { "bytes", "bytes", "of these", DIR_OFFSET(bytes) },
    { "batches", "rounds", "with something in them", DIR_OFFSET(batches) },
    { "events-sent", "events", "to the other end", DIR_OFFSET(events_sent) },
    { "events-received", "events", "from the other end", DIR_OFFSET(events_received) },
    { "drop-full", "packets", "that did not fit in", DIR_OFFSET(drop_full) },
    { NULL },
};
static const Counter line_counters[] = {
    { "calls", "calls", "taken", 0 },
    { NULL },
};
static const CounterGroup line_groups[] = {
    { "tx", offsetof(LineStats, tx), dir_counters },
    { "rx", offsetof(LineStats, rx), dir_counters },
    { "line", offsetof(LineStats, line), line_counters },
    { NULL },
};

static void line_hang_up(Line *line)
{
    g_clear_handle_id(&line->tag, g_source_remove);
    fd_close(&line->fd);
    device_disconnected(line->d);
    chardev_disconnected(device_backend(line->d, "chardev"));
}

static gboolean line_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    Line *line = opaque;
    char buf[64];
    ssize_t n = recv(fd, buf, sizeof(buf), 0);

    if (n < 0 && errno == EAGAIN) {
        return G_SOURCE_CONTINUE;
    }
    if (n <= 0) {
        line->tag = 0;
        line_hang_up(line);
        return G_SOURCE_REMOVE;
    }
    counter_add(&line->stats.tx.packets, 1);
    counter_add(&line->stats.tx.bytes, (uint64_t)n);
    counter_add(&line->stats.tx.batches, 1);
    if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n) {
        counter_add(&line->stats.rx.packets, 1);
        counter_add(&line->stats.rx.bytes, (uint64_t)n);
        counter_add(&line->stats.rx.batches, 1);
    } else {
        counter_add(&line->stats.rx.drop_full, 1);
    }
    return G_SOURCE_CONTINUE;
}

static void line_connected(void *opaque, int fd)
{
    Line *line = opaque;

    line->fd = fd;
    line->tag = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP, line_readable, line);
    counter_add(&line->stats.line.calls, 1);
    device_connected(line->d, 1);
}

static bool line_realize(Device *d, GError **error)
{
    Line *line = g_new0(Line, 1);

    line->d = d;
    line->fd = -1;
    d->impl = line;
    return true;
}

static void line_start(Device *d)
{
    chardev_set_handler(device_backend(d, "chardev"), line_connected, d->impl);
}

static void line_close(Device *d, unsigned timeout_ms)
{
    Line *line = d->impl;

    chardev_set_handler(device_backend(d, "chardev"), NULL, NULL);
    if (line->fd >= 0) {
        line_hang_up(line);
    }
    device_gone(d, NULL);
}

static void line_unrealize(Device *d)
{
    Line *line = d->impl;

    g_clear_handle_id(&line->tag, g_source_remove);
    fd_close(&line->fd);
    g_free(line);
}

static void line_info(Device *d, DeviceInfo *ret_info)
{
    const Line *line = d->impl;

    ret_info->state = line->fd >= 0 ? "connected" : "waiting";
    ret_info->n_queues = line->fd >= 0;
    ret_info->max_queues = 1;
    ret_info->stats = &line->stats;
    ret_info->tid[0] = gettid();
}

const DeviceClass line_class = {
    .options = &line_options,
    .desc = "a line that echoes",
    .category = "Toy",
    .id_offset = offsetof(LineConfig, id),
    .backends = { { "chardev", offsetof(LineConfig, chardev) } },
    .queue_stats_size = sizeof(LineStats),
    .counters = line_groups,
    .realize = line_realize,
    .start = line_start,
    .close = line_close,
    .unrealize = line_unrealize,
    .info = line_info,
};
