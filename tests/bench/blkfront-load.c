/*
 * A disk's load, by our own blkfront: attaches to an emulated Xen as one of its guests, waits for
 * a disk, asks for what it is told to, and says how fast that was and whether it was right.
 *
 * usage: blkfront-load [OPTIONS] SOCKET, with the socket of ringtap -accel xenemu,socket=SOCKET;
 * --help lists them. The exit status is 1 if a request failed, a sector is not what was written to
 * it, or there is no disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib-unix.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blkfront-load.h"
#include "hw/core/counter.h"
#include "hw/xen/ring.h"
#include "xen-vdev.h"

#define MIB      (1024.0 * 1024.0)
#define CLOSE_MS 5000

static const char *const modes[] = { "read", "write", "rw", "verify" };

/* As the command line has it. */
typedef struct Options {
    int domid;
    char *vdev;
    char *mode;
    char *block;
    char *area;
    int depth;
    int rings;
    int order;
    int indirect;
    char *persistent;
    char *copy;
    gboolean x86_32;
    gboolean sequential;
    double seconds;
    gint64 count;
    int wait;
    gboolean json;
} Options;

typedef struct Disk {
    XenBlkfrontConfig config;
    LoadConfig load;
    Xen *xen;
    XenStore *store;
    XenBlkfront *bf;
    bool connected;
    bool closed;
    bool stop;     /* somebody said so, or it took too long */
} Disk;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "blkfront-load: %s%s%s\n", what, why ? ": " : "", why ? why : "");
    exit(why ? 1 : 2);
}

/* --- the command line --- */

/* Bytes, a multiple of 512, as 4096, 4k or 1M. */
static uint64_t parse_bytes(const char *text, const char *option)
{
    char *end;
    uint64_t n = g_ascii_strtoull(text, &end, 10);
    unsigned shift = *end == 'k' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

    if (end == text || end[shift > 0] != '\0' || n == 0 || n > 1ull << 30 ||
        (n << shift) % 512 != 0) {
        g_autofree char *say = g_strdup_printf("%s: '%s' is no number of bytes, of sectors of 512",
                                               option, text);

        die(say, NULL);
    }
    return n << shift;
}

static bool parse_switch(const char *text, const char *option, bool absent)
{
    if (text && strcmp(text, "on") != 0 && strcmp(text, "off") != 0) {
        g_autofree char *say = g_strdup_printf("%s: on or off", option);

        die(say, NULL);
    }
    return text ? strcmp(text, "on") == 0 : absent;
}

static LoadMode parse_mode(const char *text)
{
    for (unsigned i = 0; text && i < G_N_ELEMENTS(modes); i++) {
        if (strcmp(text, modes[i]) == 0) {
            return (LoadMode)i;
        }
    }
    if (text) {
        die("--mode: read, write, rw or verify", NULL);
    }
    return LOAD_READ;
}

static void check_numbers(const Options *o)
{
    if (o->depth < 1 || o->depth > 65536 || o->seconds < 0 || o->count < 0 ||
        o->rings < 1 || (unsigned)o->rings > XEN_BLKFRONT_MAX_QUEUES || o->order < 0 ||
        (unsigned)o->order > XEN_BLKFRONT_MAX_ORDER || o->indirect < 0 ||
        (unsigned)o->indirect > XEN_BLKFRONT_MAX_INDIRECT) {
        die("a number is out of its range", NULL);
    }
}

/*
 * A pool that has room for all that may be on a ring at a time; of persistent grants as many as
 * blkback keeps, so that these stay mapped.
 */
static unsigned choose_pool(const Options *o, uint64_t block, bool persistent)
{
    uint64_t pages = (block + XEN_PAGE_SIZE - 1) / XEN_PAGE_SIZE;
    uint64_t at_a_time = ((unsigned)o->depth + (unsigned)o->rings - 1) / (unsigned)o->rings;

    if (persistent) {
        return 0;
    }
    return (unsigned)MIN(at_a_time * (pages + pages / 12 + 1), 32768u / (unsigned)o->rings);
}

static void parse_disk(const Options *o, Disk *d)
{
    bool persistent = parse_switch(o->persistent, "--persistent", true);
    uint64_t block = parse_bytes(o->block ? o->block : "4k", "--block");

    check_numbers(o);
    d->config = (XenBlkfrontConfig) {
        .queues = (unsigned)o->rings,
        .ring_order = (unsigned)o->order,
        .max_indirect = (unsigned)o->indirect,
        .pool = choose_pool(o, block, persistent),
        .persistent = persistent,
        .x86_32 = o->x86_32,
    };
    if (!xen_vdev_parse(o->vdev ? o->vdev : "xvda", &d->config.vdev)) {
        die("--vdev: no name of a disk", NULL);
    }
    d->load = (LoadConfig) {
        .mode = parse_mode(o->mode),
        .random = !o->sequential,
        .copy = parse_switch(o->copy, "--copy", persistent),
        .depth = (unsigned)o->depth,
        .rings = (unsigned)o->rings,
        .block = block,
        .area = o->area ? parse_bytes(o->area, "--area") : UINT64_MAX,
        .seconds = o->seconds > 0 || o->count > 0 ? o->seconds : 10,
        .count = (uint64_t)o->count,
    };
}

static void options_done(Options *o)
{
    g_free(o->vdev);
    g_free(o->mode);
    g_free(o->block);
    g_free(o->area);
    g_free(o->persistent);
    g_free(o->copy);
}

static char *parse_options(int argc, char **argv, Options *o)
{
    const GOptionEntry entries[] = {
        { "domid", 0, 0, G_OPTION_ARG_INT, &o->domid, "the guest to be (default: the next)", "N" },
        { "vdev", 0, 0, G_OPTION_ARG_STRING, &o->vdev, "its disk (default: xvda)", "NAME" },
        { "mode", 0, 0, G_OPTION_ARG_STRING, &o->mode, "read|write|rw|verify (default: read)",
          "MODE" },
        { "block", 0, 0, G_OPTION_ARG_STRING, &o->block, "of a request (default: 4k)", "BYTES" },
        { "area", 0, 0, G_OPTION_ARG_STRING, &o->area, "of the disk (default: all)", "BYTES" },
        { "depth", 0, 0, G_OPTION_ARG_INT, &o->depth, "requests at a time (default: 32)", "N" },
        { "rings", 0, 0, G_OPTION_ARG_INT, &o->rings, "at most (default: 1)", "N" },
        { "order", 0, 0, G_OPTION_ARG_INT, &o->order, "2^N pages for a ring (default: 0)", "N" },
        { "indirect", 0, 0, G_OPTION_ARG_INT, &o->indirect, "segments, at most (default: 256)",
          "N" },
        { "persistent", 0, 0, G_OPTION_ARG_STRING, &o->persistent, "grants (default: on)",
          "on|off" },
        { "copy", 0, 0, G_OPTION_ARG_STRING, &o->copy,
          "data, as guests with persistent grants have to (default: as --persistent)", "on|off" },
        { "x86-32", 0, 0, G_OPTION_ARG_NONE, &o->x86_32, "layout of a 32-bit guest", NULL },
        { "sequential", 0, 0, G_OPTION_ARG_NONE, &o->sequential, "not at random places", NULL },
        { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &o->seconds, "(default: 10)", "N" },
        { "count", 0, 0, G_OPTION_ARG_INT64, &o->count, "requests; of verify: rounds", "N" },
        { "wait", 0, 0, G_OPTION_ARG_INT, &o->wait, "seconds for the disk (default: 30)", "N" },
        { "json", 0, 0, G_OPTION_ARG_NONE, &o->json, "what comes out, as JSON", NULL },
        { NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new("SOCKET");
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        die(error->message, NULL);
    }
    if (argc != 2) {
        die("one socket of an emulated Xen (see --help)", NULL);
    }
    return argv[1];
}

/* --- life --- */

static void disk_event(void *opaque, XenbusEvent event, const char *detail)
{
    Disk *d = opaque;

    d->connected |= event == XENBUS_CONNECTED;
    d->closed |= event == XENBUS_CLOSED;
    if (event == XENBUS_ERROR) {
        fprintf(stderr, "blkfront-load: %s\n", detail);
    }
}

static gboolean disk_stop(gpointer opaque)
{
    ((Disk *)opaque)->stop = true;
    return G_SOURCE_CONTINUE;
}

/* The guest's memory: pools, rings and as much again, for what an old backend still has. */
static size_t disk_ram(const XenBlkfrontConfig *c)
{
    size_t pages = c->queues * ((size_t)MAX(c->pool, 8192) + 2 * XEN_RING_MAX_PAGES);

    return (2 * pages * XEN_PAGE_SIZE + (16u << 20)) & ~(size_t)(XEN_PAGE_SIZE - 1);
}

static void disk_open(Disk *d, const char *socket, int domid)
{
    g_autoptr(GError) error = NULL;
    XenBlkfrontEnv env = { .event = disk_event, .opaque = d };

    d->xen = xen_xenemu_open_guest(socket, domid, disk_ram(&d->config), &error);
    d->store = d->xen ? xen_store_open(d->xen->store_path, &error) : NULL;
    env.xen = d->xen;
    env.store = d->store;
    d->bf = d->store ? xen_blkfront_new(&d->config, &env, &error) : NULL;
    if (!d->bf) {
        die(socket, error->message);
    }
    xen_blkfront_start(d->bf);
}

static void disk_wait(Disk *d, int seconds)
{
    guint timer = g_timeout_add_seconds((guint)seconds, disk_stop, d);

    while (!d->connected && !d->stop) {
        g_main_context_iteration(NULL, true);
    }
    g_source_remove(timer);
    if (!d->connected) {
        die(d->xen->store_path, "there is no disk");
    }
}

static void disk_close(Disk *d)
{
    xen_blkfront_close(d->bf, CLOSE_MS);
    while (!d->closed) {
        g_main_context_iteration(NULL, true);
    }
    xen_blkfront_free(d->bf);
    xen_store_close(d->store);
    xen_close(d->xen);
}

/* --- what came out --- */

static uint64_t sum(const Disk *d, size_t offset)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < d->config.queues; i++) {
        const void *stats = xen_blkfront_stats(d->bf, i);

        n += counter_read((const void *)((const char *)stats + offset));
    }
    return n;
}
#define SUM(d, field) sum(d, offsetof(XenBlkfrontStats, field))

static void print_line(const Disk *d, const LoadResult *r)
{
    printf("%s %" PRIu64 " bytes, depth %u: %.0f requests/s, %.1f MiB/s, %" PRIu64 " errors",
           modes[d->load.mode], d->load.block, d->load.depth, (double)r->requests / r->seconds,
           (double)r->bytes / r->seconds / MIB, r->errors);
    if (d->load.mode == LOAD_VERIFY) {
        printf(", %" PRIu64 " rounds, %" PRIu64 " mismatches", r->rounds, r->mismatches);
    }
    printf("\n");
}

static void print_json(const Disk *d, const LoadResult *r)
{
    XenBlkfrontInfo info;

    xen_blkfront_info(d->bf, &info);
    printf("{\"mode\": \"%s\", \"block\": %" PRIu64 ", \"depth\": %u, \"seconds\": %.3f, "
           "\"requests\": %" PRIu64 ", \"requests_per_second\": %.1f, \"mib_per_second\": %.2f, "
           "\"errors\": %" PRIu64 ", \"rounds\": %" PRIu64 ", \"mismatches\": %" PRIu64 ", ",
           modes[d->load.mode], d->load.block, d->load.depth, r->seconds, r->requests,
           (double)r->requests / r->seconds, (double)r->bytes / r->seconds / MIB, r->errors,
           r->rounds, r->mismatches);
    printf("\"rings\": %u, \"ring_order\": %u, \"max_segments\": %u, \"persistent\": %s, "
           "\"ring_requests\": %" PRIu64 ", \"indirect\": %" PRIu64 ", \"segments\": %" PRIu64
           ", \"replayed\": %" PRIu64 ", \"events_sent\": %" PRIu64 ", \"events_received\": %"
           PRIu64 "}\n", info.queues, info.ring_order, info.max_segs,
           info.persistent ? "true" : "false", SUM(d, requests), SUM(d, indirect),
           SUM(d, segments), SUM(d, replayed), SUM(d, events_sent), SUM(d, events_received));
}

int main(int argc, char **argv)
{
    Options o = { .domid = -1, .depth = 32, .rings = 1, .indirect = 256, .wait = 30 };
    Disk d = { .stop = false };
    XenBlkfrontInfo info;
    LoadResult r;
    char *socket = parse_options(argc, argv, &o);

    parse_disk(&o, &d);
    options_done(&o);
    disk_open(&d, socket, o.domid);
    g_unix_signal_add(SIGINT, disk_stop, &d);
    g_unix_signal_add(SIGTERM, disk_stop, &d);
    disk_wait(&d, o.wait);
    xen_blkfront_info(d.bf, &info);
    d.load.area = MIN(d.load.area, info.sectors * 512);
    if (d.load.area < d.load.block) {
        die("--block", "the disk has not that much");
    }
    load_run(d.bf, &d.load, &d.stop, &r);
    if (o.json) {
        print_json(&d, &r);
    } else {
        print_line(&d, &r);
    }
    disk_close(&d);
    return r.errors > 0 || r.mismatches > 0;
}
