/*
 * What can be said of a block node, for -blockdev and blockdev-add.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "blockdevs.h"

static const char *const drivers[] = {
    [BLOCKDEV_FILE] = "file", [BLOCKDEV_HOST_DEVICE] = "host_device", [BLOCKDEV_NBD] = "nbd",
    [BLOCKDEV_RAW] = "raw",
    /* qemu-storage-daemon's, but for a few of developers; not each build of it has all */
    "qcow2", "qcow", "qed", "vdi", "vhdx", "vmdk", "vpc", "luks", "parallels", "dmg", "cloop",
    "bochs", "rbd", "iscsi", "nfs", "gluster", "ssh", "http", "https", "ftp", "ftps", "nvme",
    "throttle", "quorum", "preallocate", "copy-on-read", "compress", "blkdebug", "null-co",
    "null-aio", NULL
};
static const OptEnum driver = { "BlockdevDriver", drivers };

static const char *const discards[] = {
    [BLOCKDEV_DISCARD_IGNORE] = "ignore", [BLOCKDEV_DISCARD_UNMAP] = "unmap", NULL
};
const OptEnum blockdev_discard = { "BlockdevDiscardOptions", discards };

static const char *const detect_zeroes[] = { "off", NULL };
const OptEnum blockdev_detect_zeroes = { "BlockdevDetectZeroesOptions", detect_zeroes };

static const char *const aios[] = {
    [BLOCKDEV_AIO_IO_URING] = "io_uring", [BLOCKDEV_AIO_THREADS] = "threads",
    [BLOCKDEV_AIO_NATIVE] = "native", NULL
};
const OptEnum blockdev_aio = { "BlockdevAioOptions", aios };

static const char *const lockings[] = {
    [ON_OFF_AUTO_AUTO] = "auto", [ON_OFF_AUTO_ON] = "on", [ON_OFF_AUTO_OFF] = "off", NULL
};
const OptEnum blockdev_locking = { "OnOffAuto", lockings };

static const OptMember file_members[] = {
    { "filename", OPT_STR, offsetof(BlockdevFile, filename), .required = true,
      .help = "of the image or of the block device" },
    { "aio", OPT_ENUM, offsetof(BlockdevFile, aio), .def = "io_uring", .values = &blockdev_aio,
      .help = "io_uring, threads or native, which is taken for io_uring and needs cache.direct" },
    { "locking", OPT_ENUM, offsetof(BlockdevFile, locking), .def = "auto",
      .values = &blockdev_locking,
      .help = "locks that keep other programs off, as QEMU's; auto: where the kernel has them" },
    { "aio-max-batch", OPT_UINT64, .ignored = true },
    { "drop-cache", OPT_BOOL, .ignored = true },
    { 0 },
};
static const OptTable file_options = { "BlockdevOptionsFile", sizeof(BlockdevFile), file_members };

static const char *const address_types[] = {
    [BLOCKDEV_UNIX] = "unix", [BLOCKDEV_INET] = "inet", NULL
};
static const OptEnum address_type = { "SocketAddressType", address_types };
static const OptMember unix_members[] = {
    { "path", OPT_STR, offsetof(BlockdevUnix, path), .required = true },
    { 0 },
};
static const OptTable unix_options = { "UnixSocketAddress", sizeof(BlockdevUnix), unix_members };
static const OptMember inet_members[] = {
    { "host", OPT_STR, offsetof(BlockdevInet, host), .required = true },
    { "port", OPT_STR, offsetof(BlockdevInet, port), .required = true },
    { 0 },
};
static const OptTable inet_options = { "InetSocketAddress", sizeof(BlockdevInet), inet_members };
static const OptMember address_members[] = {
    { "type", OPT_ENUM, offsetof(BlockdevAddress, type), .required = true,
      .values = &address_type },
    { 0 },
};
static const OptBranch address_branches[] = {
    { "unix", &unix_options }, { "inet", &inet_options }, { 0 }
};
static const OptTable address_options = { "SocketAddress", sizeof(BlockdevAddress),
                                          address_members, "type", address_branches,
                                          offsetof(BlockdevAddress, u) };

static const OptMember nbd_members[] = {
    { "server", OPT_STRUCT, offsetof(BlockdevNbd, server), .required = true,
      .table = &address_options,
      .help = "server.type=unix and server.path, or server.type=inet, server.host and "
              "server.port" },
    { "export", OPT_STR, offsetof(BlockdevNbd, export),
      .help = "name of the image at the server; its default one if absent" },
    { "reconnect-delay", OPT_UINT32, offsetof(BlockdevNbd, reconnect_delay), .def = "0",
      .help = "0: a connection that is lost is not made again" },
    { 0 },
};
static const OptTable nbd_options = { "BlockdevOptionsNbd", sizeof(BlockdevNbd), nbd_members };

static const OptMember raw_members[] = {
    { "file", OPT_REF, offsetof(BlockdevRaw, file), .required = true, .table = &blockdev_options,
      .help = "node-name of what it is over, or options of one that is made with it" },
    { 0 },
};
static const OptTable raw_options = { "BlockdevOptionsRaw", sizeof(BlockdevRaw), raw_members };

static const OptMember cache_members[] = {
    { "direct", OPT_BOOL, offsetof(BlockdevCache, direct), offsetof(BlockdevCache, has_direct) },
    { "no-flush", OPT_BOOL, offsetof(BlockdevCache, no_flush),
      offsetof(BlockdevCache, has_no_flush) },
    { 0 },
};
static const OptTable cache_options = { "BlockdevCacheOptions", sizeof(BlockdevCache),
                                        cache_members };

static const OptMember members[] = {
    { "driver", OPT_ENUM, offsetof(BlockdevOptions, driver), .required = true, .values = &driver,
      .help = "file, host_device, nbd, one of qemu-storage-daemon's, or raw over one of them" },
    { "node-name", OPT_STR, offsetof(BlockdevOptions, node_name),
      .help = "name of the node, for drive= of a device" },
    { "cache", OPT_STRUCT, offsetof(BlockdevOptions, cache), .table = &cache_options,
      .help = "cache.direct: past the host's page cache; cache.no-flush: the guest's flushes do "
              "nothing" },
    { "read-only", OPT_BOOL, offsetof(BlockdevOptions, read_only),
      offsetof(BlockdevOptions, has_read_only), .help = "nobody writes to it" },
    { "auto-read-only", OPT_BOOL, offsetof(BlockdevOptions, auto_read_only),
      offsetof(BlockdevOptions, has_auto_read_only),
      .help = "without read-only: the same if it may not be written to" },
    { "discard", OPT_ENUM, offsetof(BlockdevOptions, discard),
      offsetof(BlockdevOptions, has_discard), .values = &blockdev_discard,
      .help = "ignore or unmap: what a guest discards is given back; ignore if absent" },
    { "detect-zeroes", OPT_ENUM, offsetof(BlockdevOptions, detect_zeroes), .def = "off",
      .values = &blockdev_detect_zeroes, .help = "off" },
    { 0 },
};
static const OptBranch branches[] = {
    { "file", &file_options }, { "host_device", &file_options }, { "nbd", &nbd_options },
    { "raw", &raw_options }, { 0 }
};
const OptTable blockdev_options = { "BlockdevOptions", sizeof(BlockdevOptions), members, "driver",
                                    branches, offsetof(BlockdevOptions, u), .ref = "BlockdevRef" };

int blockdev_driver_find(const char *name)
{
    for (int i = 0; drivers[i]; i++) {
        if (g_strcmp0(drivers[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *blockdev_driver_name(int n)
{
    return drivers[n];
}

char *blockdev_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "driver");

    if (topic && topic[0] == '\0') {
        g_autofree char *names = g_strjoinv("\n", (char **)drivers);

        return g_strdup_printf("Available blockdev drivers:\n%s\n", names);
    }
    if (topic && blockdev_driver_find(topic) > BLOCKDEV_RAW) {
        return g_strdup_printf("The options of %s are those of qemu-storage-daemon --blockdev\n",
                               topic);
    }
    return topic ? opt_branch_help(&blockdev_options, topic) : NULL;
}
