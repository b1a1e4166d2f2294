/*
 * -drive if=none: QEMU's older way to say -blockdev, a raw node and a file node at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "blockdevs.h"

#include <string.h>
#include <sys/stat.h>

typedef struct DriveConfig {
    char *interface;
    char *id;
    char *file;
    char *format;
    char *node_name;
    bool read_only;
    bool has_read_only;
    bool readonly;
    bool has_readonly;
    int cache; /* DriveCache */
    bool direct;
    bool has_direct;
    bool no_flush;
    bool has_no_flush;
    int aio;
    int discard;
    int detect_zeroes;
    int locking;
    int media;
} DriveConfig;

typedef enum DriveCache {
    DRIVE_WRITEBACK,
    DRIVE_NONE,
    DRIVE_UNSAFE,
    DRIVE_WRITETHROUGH,
    DRIVE_DIRECTSYNC,
} DriveCache;

static const char *const caches[] = {
    [DRIVE_WRITEBACK] = "writeback", [DRIVE_NONE] = "none", [DRIVE_UNSAFE] = "unsafe",
    [DRIVE_WRITETHROUGH] = "writethrough", [DRIVE_DIRECTSYNC] = "directsync", NULL
};
static const OptEnum cache = { "DriveCache", caches };
static const char *const medias[] = { "disk", NULL };
static const OptEnum media = { "DriveMedia", medias };

static const OptMember members[] = {
    { "if", OPT_STR, offsetof(DriveConfig, interface),
      .help = "must be \"none\": the disk is a -device with drive=ID" },
    { "id", OPT_STR, offsetof(DriveConfig, id), .required = true,
      .help = "name, for drive= of a device" },
    { "file", OPT_STR, offsetof(DriveConfig, file), .help = "the image or the block device" },
    { "format", OPT_STR, offsetof(DriveConfig, format), .def = "raw",
      .help = "raw, or one of qemu-storage-daemon's; never found out by looking at the image" },
    { "node-name", OPT_STR, offsetof(DriveConfig, node_name), .help = "of the raw node" },
    { "read-only", OPT_BOOL, offsetof(DriveConfig, read_only),
      offsetof(DriveConfig, has_read_only),
      .help = "nobody writes to it; so it is, too, where it may not be written to" },
    { "readonly", OPT_BOOL, offsetof(DriveConfig, readonly), offsetof(DriveConfig, has_readonly),
      .help = "the same" },
    { "cache", OPT_ENUM, offsetof(DriveConfig, cache), .def = "writeback", .values = &cache,
      .help = "writeback, none (cache.direct=on) or unsafe (cache.no-flush=on)" },
    { "cache.direct", OPT_BOOL, offsetof(DriveConfig, direct), offsetof(DriveConfig, has_direct),
      .help = "past the host's page cache" },
    { "cache.no-flush", OPT_BOOL, offsetof(DriveConfig, no_flush),
      offsetof(DriveConfig, has_no_flush), .help = "the guest's flushes do nothing" },
    { "aio", OPT_ENUM, offsetof(DriveConfig, aio), .def = "io_uring", .values = &blockdev_aio,
      .help = "as of -blockdev" },
    { "discard", OPT_ENUM, offsetof(DriveConfig, discard), .def = "ignore",
      .values = &blockdev_discard, .help = "as of -blockdev" },
    { "detect-zeroes", OPT_ENUM, offsetof(DriveConfig, detect_zeroes), .def = "off",
      .values = &blockdev_detect_zeroes, .help = "off" },
    { "file.locking", OPT_ENUM, offsetof(DriveConfig, locking), .def = "auto",
      .values = &blockdev_locking, .help = "as locking of -blockdev" },
    { "media", OPT_ENUM, offsetof(DriveConfig, media), .def = "disk", .values = &media,
      .help = "disk" },
    { 0 },
};
static const OptTable drive_options = { "drive", sizeof(DriveConfig), members };

static bool drive_check(System *s, const DriveConfig *c, GError **error)
{
    if (g_strcmp0(c->interface, "none") != 0) {
        return system_set_error(error, "only if=none is supported: the disk is a -device with "
                                "drive=%s", c->id);
    }
    if (!c->file || c->file[0] == '\0') {
        return system_set_error(error, "A block device must be specified for \"file\"");
    }
    if (blockdev_driver_find(c->format) < BLOCKDEV_RAW) {
        return system_set_error(error, "Unknown driver '%s'", c->format);
    }
    if (c->has_read_only && c->has_readonly) {
        return system_set_error(error, "'read-only' and its alias 'readonly' can't be used at the "
                                "same time");
    }
    if (c->cache == DRIVE_WRITETHROUGH || c->cache == DRIVE_DIRECTSYNC) {
        return system_set_error(error, "cache=%s is not supported: use cache=%s, a guest flushes "
                                "what has to be on the disk", caches[c->cache],
                                c->cache == DRIVE_DIRECTSYNC ? "none" : "writeback");
    }
    if (blockdev_find(s, c->id)) {
        return system_set_error(error, "Device name '%s' conflicts with an existing node name",
                                c->id);
    }
    return !blockdev_find_any(s, c->id) ||
           system_set_error(error, "Duplicate ID '%s' for drive", c->id);
}

/* What @file is without "file:"; NULL: it is of another protocol, as QEMU would see it. */
static const char *drive_path(const char *file, GError **error)
{
    size_t len = strcspn(file, ":/");
    g_autofree char *protocol = g_strndup(file, len);

    if (file[len] != ':') {
        return file;
    }
    if (g_str_equal(protocol, "file")) {
        return file + len + 1;
    }
    if (blockdev_driver_find(protocol) >= 0) {
        system_set_error(error, "file=%s is not supported: use -blockdev driver=%s", protocol,
                         protocol);
    } else {
        system_set_error(error, "Unknown protocol '%s'", protocol);
    }
    return NULL;
}

static int drive_driver(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISBLK(st.st_mode) ? BLOCKDEV_HOST_DEVICE : BLOCKDEV_FILE;
}

static BlockdevCache drive_cache(const DriveConfig *c)
{
    return (BlockdevCache){
        .direct = c->has_direct ? c->direct : c->cache == DRIVE_NONE,
        .has_direct = true,
        .no_flush = c->has_no_flush ? c->no_flush : c->cache == DRIVE_UNSAFE,
        .has_no_flush = true,
    };
}

static void drive_say(GPtrArray *options, const char *key, bool on)
{
    opt_flat_append(options, "", key, on ? "on" : "off");
}

/* The same two nodes, of which the upper one is qemu-storage-daemon's. */
static BlockObject *drive_open_daemon(System *s, const DriveConfig *c, const char *path,
                                      GError **error)
{
    g_autoptr(GPtrArray) options = opt_flat_new();
    BlockdevCache cached = drive_cache(c);

    opt_flat_append(options, "", "driver", c->format);
    if (c->node_name) {
        opt_flat_append(options, "", "node-name", c->node_name);
    }
    opt_flat_append(options, "file.", "driver", blockdev_driver_name(drive_driver(path)));
    opt_flat_append(options, "file.", "filename", path);
    opt_flat_append(options, "file.", "locking", blockdev_locking.values[c->locking]);
    if (c->aio != BLOCKDEV_AIO_IO_URING) { /* our default, and not one of each build of it */
        opt_flat_append(options, "file.", "aio", blockdev_aio.values[c->aio]);
    }
    opt_flat_append(options, "", "discard", blockdev_discard.values[c->discard]);
    drive_say(options, "cache.direct", cached.direct);
    drive_say(options, "cache.no-flush", cached.no_flush);
    drive_say(options, "read-only", c->read_only || c->readonly);
    drive_say(options, "auto-read-only", true);
    return blockdev_open_daemon(s, options, error);
}

static BlockObject *drive_open_raw(System *s, const DriveConfig *c, const char *path,
                                   GError **error)
{
    BlockdevCache both = drive_cache(c);
    BlockdevFile image = { .filename = (char *)path, .aio = c->aio, .locking = c->locking };
    BlockdevOptions file = { .driver = drive_driver(path), .u = &image };
    BlockdevRaw raw = { .file = { .object = &file } };
    BlockdevOptions options = {
        .driver = BLOCKDEV_RAW,
        .node_name = c->node_name,
        .cache = &both,
        .read_only = c->read_only || c->readonly,
        .has_read_only = true,
        .auto_read_only = true,
        .has_auto_read_only = true,
        .discard = c->discard,
        .has_discard = true,
        .u = &raw,
    };

    return blockdev_open(s, &options, error);
}

static bool drive_open(System *s, const DriveConfig *c, GError **error)
{
    const char *path = drive_path(c->file, error);
    BlockObject *o = NULL;

    if (path) {
        o = g_str_equal(c->format, "raw") ? drive_open_raw(s, c, path, error)
                                          : drive_open_daemon(s, c, path, error);
    }
    if (o) {
        o->drive = g_strdup(c->id);
    }
    return o != NULL;
}

bool drive_add(System *s, OptDict *args, GError **error)
{
    DriveConfig *config = opt_config_new(&drive_options, args, OPT_PARAMETERS, error);
    bool ok = config && drive_check(s, config, error) && drive_open(s, config, error);

    opt_config_free(&drive_options, config);
    return ok;
}

char *drive_help(const char *arg, GError **error)
{
    return system_options_help(&drive_options, arg, NULL);
}
