/*
 * For scripts/bench virtio: what comes in by an interface is dropped, or sent out of it again,
 * before the network stack has any work with it. By a BPF program at tcx, which Linux has since
 * 6.6; before, by clsact and tc's own actions, which cost a little more. Until SIGTERM.
 *
 * usage: tap-sink IFNAME drop|bounce
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap-bench.h"

#define ATTACH_TCX_INGRESS 46u /* BPF_TCX_INGRESS, younger than Debian 12's headers */

/* bpf_redirect(@ifindex, to its egress), or TC_ACT_SHOT. */
static int program_load(bool bounce, int ifindex)
{
    const struct bpf_insn redirect[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = ifindex },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 0 },
        { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect },
        { .code = BPF_JMP | BPF_EXIT },
    };
    const struct bpf_insn shot[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_SHOT },
        { .code = BPF_JMP | BPF_EXIT },
    };
    union bpf_attr attr = {
        .prog_type = BPF_PROG_TYPE_SCHED_CLS,
        .insns = (uintptr_t)(bounce ? redirect : shot),
        .insn_cnt = bounce ? sizeof(redirect) / sizeof(redirect[0])
                           : sizeof(shot) / sizeof(shot[0]),
        .license = (uintptr_t)"GPL",
    };

    return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

/* It is attached as long as the descriptor that it returns is open. -1: the kernel can't. */
static int attach_tcx(bool bounce, int ifindex)
{
    int program = program_load(bounce, ifindex);
    union bpf_attr attr = {
        .link_create = { .prog_fd = (uint32_t)program, .target_ifindex = (uint32_t)ifindex,
                         .attach_type = ATTACH_TCX_INGRESS },
    };

    return program < 0 ? -1 : (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
}

static bool tc(char *const argv[])
{
    pid_t pid;
    int status;

    return posix_spawnp(&pid, "tc", NULL, NULL, argv, environ) == 0 &&
           waitpid(pid, &status, 0) == pid && status == 0;
}

static bool attach_clsact(bool bounce, char *ifname)
{
    char *qdisc[] = { (char *)"tc", (char *)"qdisc", (char *)"add", (char *)"dev", ifname,
                      (char *)"clsact", NULL };
    char *filter[] = { (char *)"tc", (char *)"filter", (char *)"add", (char *)"dev", ifname,
                       (char *)"ingress", (char *)"matchall", (char *)"action",
                       bounce ? (char *)"mirred" : (char *)"drop", (char *)"egress",
                       (char *)"redirect", (char *)"dev", ifname, NULL };

    if (!bounce) {
        filter[9] = NULL;
    }
    return tc(qdisc) && tc(filter);
}

int main(int argc, char **argv)
{
    bool bounce = argc == 3 && strcmp(argv[2], "bounce") == 0;
    bool tcx;

    if (argc != 3 || (!bounce && strcmp(argv[2], "drop") != 0)) {
        fprintf(stderr, "usage: tap-sink IFNAME drop|bounce\n");
        return 2;
    }
    tcx = attach_tcx(bounce, (int)if_nametoindex(argv[1])) >= 0;
    if (!tcx && !attach_clsact(bounce, argv[1])) {
        fprintf(stderr, "tap-sink: %s: neither tcx nor clsact\n", argv[1]);
        return 1;
    }
    printf("ready: %s\n", tcx ? "tcx" : "clsact");
    fflush(stdout);
    for (;;) {
        pause();
    }
}
