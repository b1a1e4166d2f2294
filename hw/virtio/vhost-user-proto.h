/*
 * The words and layouts of vhost-user, as QEMU's docs/interop/vhost-user.rst has them. What the
 * kernel's vhost has too is in <linux/vhost_types.h>.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_USER_PROTO_H
#define HW_VIRTIO_VHOST_USER_PROTO_H

#include <linux/vhost_types.h>
#include <stdint.h>

#define VHOST_USER_VERSION      1u
#define VHOST_USER_VERSION_MASK 3u
#define VHOST_USER_REPLY        (1u << 2)
#define VHOST_USER_NEED_REPLY   (1u << 3)

/* Feature bits of vhost, above those of the device. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30

enum {
    VHOST_USER_GET_FEATURES = 1,
    VHOST_USER_SET_FEATURES = 2,
    VHOST_USER_SET_OWNER = 3,
    VHOST_USER_RESET_OWNER = 4,
    VHOST_USER_SET_MEM_TABLE = 5,
    VHOST_USER_SET_LOG_BASE = 6,
    VHOST_USER_SET_LOG_FD = 7,
    VHOST_USER_SET_VRING_NUM = 8,
    VHOST_USER_SET_VRING_ADDR = 9,
    VHOST_USER_SET_VRING_BASE = 10,
    VHOST_USER_GET_VRING_BASE = 11,
    VHOST_USER_SET_VRING_KICK = 12,
    VHOST_USER_SET_VRING_CALL = 13,
    VHOST_USER_SET_VRING_ERR = 14,
    VHOST_USER_GET_PROTOCOL_FEATURES = 15,
    VHOST_USER_SET_PROTOCOL_FEATURES = 16,
    VHOST_USER_GET_QUEUE_NUM = 17,
    VHOST_USER_SET_VRING_ENABLE = 18,
    VHOST_USER_SEND_RARP = 19,
    VHOST_USER_NET_SET_MTU = 20,
    VHOST_USER_SET_BACKEND_REQ_FD = 21,
    VHOST_USER_GET_CONFIG = 24,
    VHOST_USER_SET_CONFIG = 25,
    VHOST_USER_GET_INFLIGHT_FD = 31,
    VHOST_USER_SET_INFLIGHT_FD = 32,
    VHOST_USER_RESET_DEVICE = 34,
    VHOST_USER_GET_MAX_MEM_SLOTS = 36,
    VHOST_USER_ADD_MEM_REG = 37,
    VHOST_USER_REM_MEM_REG = 38,
    VHOST_USER_SET_STATUS = 39,
    VHOST_USER_GET_STATUS = 40,
};

/* What the back end says to the front end, on a socket of its own. */
enum {
    VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2,
};

enum {
    VHOST_USER_PROTOCOL_F_MQ = 0,
    VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
    VHOST_USER_PROTOCOL_F_RARP = 2,
    VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
    VHOST_USER_PROTOCOL_F_MTU = 4,
    VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
    VHOST_USER_PROTOCOL_F_CONFIG = 9,
    VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10,
    VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
    VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
    VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
    VHOST_USER_PROTOCOL_F_STATUS = 16,
};

#define VHOST_USER_MAX_FDS        8u   /* with one message */
#define VHOST_USER_TABLE_REGIONS  8u   /* of SET_MEM_TABLE */
#define VHOST_USER_MAX_CONFIG     256u /* bytes of a device's configuration */

/* The u64 of SET_VRING_KICK, _CALL and _ERR. */
#define VHOST_USER_VRING_INDEX    0xffu
#define VHOST_USER_VRING_NO_FD    (1u << 8)

/* SET_CONFIG's flags: by the driver, or by a migration. */
#define VHOST_USER_CONFIG_WRITABLE  0u
#define VHOST_USER_CONFIG_MIGRATION 1u

typedef struct VhostUserHeader {
    uint32_t request;
    uint32_t flags;
    uint32_t size; /* of the payload that follows */
} VhostUserHeader;

typedef struct VhostUserRegion {
    uint64_t gpa;
    uint64_t size;
    uint64_t user;
    uint64_t offset; /* where it begins in its file */
} VhostUserRegion;

typedef struct VhostUserMemTable {
    uint32_t n;
    uint32_t padding;
    VhostUserRegion region[VHOST_USER_TABLE_REGIONS];
} VhostUserMemTable;

typedef struct VhostUserMemReg {
    uint64_t padding;
    VhostUserRegion region;
} VhostUserMemReg;

typedef struct VhostUserLog {
    uint64_t size;
    uint64_t offset;
} VhostUserLog;

typedef struct VhostUserConfig {
    uint32_t offset;
    uint32_t size;
    uint32_t flags;
    uint8_t data[VHOST_USER_MAX_CONFIG];
} VhostUserConfig;

/* Some send the padding, some do not. */
typedef struct VhostUserInflight {
    uint64_t size;
    uint64_t offset;
    uint16_t n_rings;
    uint16_t ring_size;
    uint32_t padding;
} VhostUserInflight;

#endif
