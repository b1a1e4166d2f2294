/*
 * -blockdev, -drive: block nodes by their names, for devices and for QMP.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_BLOCKDEVS_H
#define SYSTEM_BLOCKDEVS_H

#include "block/block.h"
#include "system.h"

/* --- what a user says of a node: QEMU's BlockdevOptions --- */

typedef enum BlockdevDriver {
    BLOCKDEV_FILE,
    BLOCKDEV_HOST_DEVICE,
    BLOCKDEV_NBD,
    BLOCKDEV_RAW, /* those behind it are qemu-storage-daemon's */
} BlockdevDriver;

typedef struct BlockdevCache {
    bool direct;
    bool has_direct;
    bool no_flush;
    bool has_no_flush;
} BlockdevCache;

typedef struct BlockdevOptions {
    int driver;           /* BlockdevDriver */
    char *node_name;      /* NULL: we find one */
    BlockdevCache *cache; /* NULL: as the node above, else all off */
    bool read_only;
    bool has_read_only;
    bool auto_read_only;
    bool has_auto_read_only;
    int discard;          /* BlockdevDiscard */
    bool has_discard;
    int detect_zeroes;
    void *u;              /* BlockdevFile, BlockdevNbd or BlockdevRaw */
} BlockdevOptions;

typedef enum BlockdevDiscard {
    BLOCKDEV_DISCARD_IGNORE,
    BLOCKDEV_DISCARD_UNMAP,
} BlockdevDiscard;

typedef struct BlockdevFile {
    char *filename;
    int aio;     /* BlockdevAio */
    int locking; /* OnOffAuto */
} BlockdevFile;

typedef enum BlockdevAio {
    BLOCKDEV_AIO_IO_URING,
    BLOCKDEV_AIO_THREADS,
    BLOCKDEV_AIO_NATIVE,
} BlockdevAio;

typedef struct BlockdevAddress {
    int type; /* BlockdevAddressType */
    void *u;  /* BlockdevUnix or BlockdevInet */
} BlockdevAddress;

typedef enum BlockdevAddressType {
    BLOCKDEV_UNIX,
    BLOCKDEV_INET,
} BlockdevAddressType;

typedef struct BlockdevUnix {
    char *path;
} BlockdevUnix;

typedef struct BlockdevInet {
    char *host;
    char *port;
} BlockdevInet;

typedef struct BlockdevNbd {
    BlockdevAddress *server;
    char *export;             /* NULL: "" */
    uint32_t reconnect_delay;
} BlockdevNbd;

typedef struct BlockdevRaw {
    OptRef file; /* BlockdevOptions * */
} BlockdevRaw;

extern const OptTable blockdev_options;
extern const OptEnum blockdev_aio;
extern const OptEnum blockdev_discard;
extern const OptEnum blockdev_detect_zeroes;
extern const OptEnum blockdev_locking;

int blockdev_driver_find(const char *name); /* -1: there is none of that name */
const char *blockdev_driver_name(int driver);

/* --- nodes --- */

/*
 * A node by its name. One of driver raw is the node below it under another name: the image is
 * opened again with what both say, and the one below is not to be had meanwhile.
 */
typedef struct BlockObject {
    char *name;         /* node-name; begins with '#' if none was given */
    char *drive;        /* id of the -drive that made it; NULL: none did */
    int driver;         /* BlockdevDriver, as it was asked for */
    BlockConfig config; /* that node was opened with; its strings are the node's */
    BlockNode *node;
    struct BlockObject *below; /* of raw */
    GPtrArray *options; /* OptFlat *, as it was said; NULL of nodes that come with another one */
    GPtrArray *refs;    /* BlockObject *: a daemon's node was made of their options, too */
    struct BlockObject *above; /* raw that is over it; NULL: none */
    bool nested;        /* it came with the one above, and goes with it */
    bool in_use;        /* by a device */
    bool with_device;   /* it was made for that, and goes with it */
} BlockObject;

BlockObject *blockdev_find(System *s, const char *name); /* NULL: there is none */
BlockObject *blockdev_find_drive(System *s, const char *id); /* by the id of a -drive; or NULL */
/* By the id of a -drive, or by a node's name; NULL: there is none. */
BlockObject *blockdev_find_any(System *s, const char *id);
/* As blockdev_open(), of what qemu-storage-daemon has: takes @options, OptFlat *. */
BlockObject *blockdev_open_daemon(System *s, GPtrArray *options, GError **error);
/* Whether it has to have it: by driver=, or by what that is over. */
bool blockdev_needs_daemon(const GPtrArray *options);
/* Opens it. @name: of the node; NULL: we find one. For those that say what is in @config. */
BlockObject *blockdev_new(System *s, const char *name, BlockConfig *config, GError **error);
/* One that is there, for a node over it; NULL: there is none, or it is in use. */
BlockObject *blockdev_find_free(System *s, const char *name, GError **error);
/* The system's, without a drive. */
BlockObject *blockdev_open(System *s, const BlockdevOptions *options, GError **error);
/* With those below that came with it. Nobody uses it. */
void blockdev_remove(System *s, BlockObject *o);
bool blockdev_del(System *s, const char *name, GError **error); /* not one that is in use */
/* The image of @o: all nodes over and below it have that size. */
bool blockdev_resize(BlockObject *o, int64_t size, GError **error);
/* In query-block, as in QEMU: what a device has, and each -drive. */
bool blockdev_is_shown(const BlockObject *o);
/* The device that has it; NULL: none. */
Device *blockdev_user(System *s, const BlockObject *o);

#endif
