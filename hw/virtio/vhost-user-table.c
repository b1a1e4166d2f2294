/*
 * All messages of a front end: how long they are, with how many descriptors, who handles them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-internal.h"

#include <stddef.h>

#define U64    sizeof(uint64_t), sizeof(uint64_t)
#define STATE  sizeof(struct vhost_vring_state), sizeof(struct vhost_vring_state)
#define ADDR   sizeof(struct vhost_vring_addr), sizeof(struct vhost_vring_addr)
#define TABLE  offsetof(VhostUserMemTable, region), sizeof(VhostUserMemTable)
#define REGION sizeof(VhostUserMemReg), sizeof(VhostUserMemReg)
#define LOG    sizeof(VhostUserLog), sizeof(VhostUserLog)
/* with or without the padding at its end */
#define INFLIGHT offsetof(VhostUserInflight, padding), sizeof(VhostUserInflight)
#define CONFIG offsetof(VhostUserConfig, data), sizeof(VhostUserConfig)

#define NEEDS(feature) (VHOST_USER_PROTOCOL_F_##feature + 1)

/* name, size from and to, descriptors from and to, what is to be negotiated, answers, handler */
static const VhostUserRow rows[] = {
    [VHOST_USER_GET_FEATURES] =
        { "GET_FEATURES", 0, 0, 0, 0, 0, true, vhost_user_get_features },
    [VHOST_USER_SET_FEATURES] =
        { "SET_FEATURES", U64, 0, 0, 0, false, vhost_user_set_features },
    [VHOST_USER_SET_OWNER] =
        { "SET_OWNER", 0, 0, 0, 0, 0, false, vhost_user_owner },
    [VHOST_USER_RESET_OWNER] =
        { "RESET_OWNER", 0, 0, 0, 0, 0, false, vhost_user_owner },
    [VHOST_USER_SET_MEM_TABLE] =
        { "SET_MEM_TABLE", TABLE, 0, 8, 0, false, vhost_user_set_mem_table },
    [VHOST_USER_SET_LOG_BASE] =
        { "SET_LOG_BASE", LOG, 1, 1, NEEDS(LOG_SHMFD), true, vhost_user_set_log_base },
    [VHOST_USER_SET_LOG_FD] =
        { "SET_LOG_FD", 0, 0, 1, 1, 0, false, vhost_user_set_log_fd },
    [VHOST_USER_SET_VRING_NUM] =
        { "SET_VRING_NUM", STATE, 0, 0, 0, false, vhost_user_set_vring_num },
    [VHOST_USER_SET_VRING_ADDR] =
        { "SET_VRING_ADDR", ADDR, 0, 0, 0, false, vhost_user_set_vring_addr },
    [VHOST_USER_SET_VRING_BASE] =
        { "SET_VRING_BASE", STATE, 0, 0, 0, false, vhost_user_set_vring_base },
    [VHOST_USER_GET_VRING_BASE] =
        { "GET_VRING_BASE", STATE, 0, 0, 0, true, vhost_user_get_vring_base },
    [VHOST_USER_SET_VRING_KICK] =
        { "SET_VRING_KICK", U64, 0, 1, 0, false, vhost_user_set_vring_kick },
    [VHOST_USER_SET_VRING_CALL] =
        { "SET_VRING_CALL", U64, 0, 1, 0, false, vhost_user_set_vring_call },
    [VHOST_USER_SET_VRING_ERR] =
        { "SET_VRING_ERR", U64, 0, 1, 0, false, vhost_user_set_vring_err },
    [VHOST_USER_GET_PROTOCOL_FEATURES] =
        { "GET_PROTOCOL_FEATURES", 0, 0, 0, 0, 0, true, vhost_user_get_protocol_features },
    [VHOST_USER_SET_PROTOCOL_FEATURES] =
        { "SET_PROTOCOL_FEATURES", U64, 0, 0, 0, false, vhost_user_set_protocol_features },
    [VHOST_USER_GET_QUEUE_NUM] =
        { "GET_QUEUE_NUM", 0, 0, 0, 0, 0, true, vhost_user_get_queue_num },
    [VHOST_USER_SET_VRING_ENABLE] =
        { "SET_VRING_ENABLE", STATE, 0, 0, 0, false, vhost_user_set_vring_enable },
    [VHOST_USER_SEND_RARP] =
        { "SEND_RARP", U64, 0, 0, 0, false, vhost_user_send_rarp },
    [VHOST_USER_NET_SET_MTU] =
        { "NET_SET_MTU", U64, 0, 0, 0, false, vhost_user_net_set_mtu },
    [VHOST_USER_SET_BACKEND_REQ_FD] =
        { "SET_BACKEND_REQ_FD", 0, 0, 1, 1, 0, false, vhost_user_set_backend_req_fd },
    [VHOST_USER_GET_CONFIG] =
        { "GET_CONFIG", CONFIG, 0, 0, NEEDS(CONFIG), true, vhost_user_get_config },
    [VHOST_USER_SET_CONFIG] =
        { "SET_CONFIG", CONFIG, 0, 0, NEEDS(CONFIG), false, vhost_user_set_config },
    [VHOST_USER_GET_INFLIGHT_FD] =
        { "GET_INFLIGHT_FD", INFLIGHT, 0, 0, NEEDS(INFLIGHT_SHMFD), true,
          vhost_user_get_inflight_fd },
    [VHOST_USER_SET_INFLIGHT_FD] =
        { "SET_INFLIGHT_FD", INFLIGHT, 1, 1, NEEDS(INFLIGHT_SHMFD), false,
          vhost_user_set_inflight_fd },
    [VHOST_USER_RESET_DEVICE] =
        { "RESET_DEVICE", 0, 0, 0, 0, NEEDS(RESET_DEVICE), false, vhost_user_reset_device },
    [VHOST_USER_GET_MAX_MEM_SLOTS] =
        { "GET_MAX_MEM_SLOTS", 0, 0, 0, 0, NEEDS(CONFIGURE_MEM_SLOTS), true,
          vhost_user_get_max_mem_slots },
    [VHOST_USER_ADD_MEM_REG] =
        { "ADD_MEM_REG", REGION, 1, 1, NEEDS(CONFIGURE_MEM_SLOTS), false,
          vhost_user_add_mem_reg },
    [VHOST_USER_REM_MEM_REG] =
        { "REM_MEM_REG", REGION, 0, 1, NEEDS(CONFIGURE_MEM_SLOTS), false,
          vhost_user_rem_mem_reg },
    [VHOST_USER_SET_STATUS] =
        { "SET_STATUS", U64, 0, 0, NEEDS(STATUS), false, vhost_user_set_status },
    [VHOST_USER_GET_STATUS] =
        { "GET_STATUS", 0, 0, 0, 0, NEEDS(STATUS), true, vhost_user_get_status },
};

const VhostUserRow *vhost_user_row(uint32_t request)
{
    return request < G_N_ELEMENTS(rows) && rows[request].name ? &rows[request] : NULL;
}
