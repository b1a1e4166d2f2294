/*
 * xdp-load drop|pass PATH: loads an XDP program that drops each packet, or lets it pass, and
 * pins it at PATH, for "ip link set dev X xdp pinned PATH". A guest has no compiler for BPF.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
    return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

int main(int argc, char **argv)
{
    bool drop = argc == 3 && strcmp(argv[1], "drop") == 0;
    bool pass = argc == 3 && strcmp(argv[1], "pass") == 0;
    struct bpf_insn program[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0,
          .imm = drop ? XDP_DROP : XDP_PASS },
        { .code = BPF_JMP | BPF_EXIT },
    };
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_XDP,
        .insn_cnt = sizeof(program) / sizeof(program[0]),
        .insns = (uintptr_t)program,
        .license = (uintptr_t)"GPL",
    };
    union bpf_attr pin = { 0 };
    long fd;

    if (!drop && !pass) {
        fprintf(stderr, "usage: xdp-load drop|pass PATH\n");
        return 2;
    }
    fd = bpf(BPF_PROG_LOAD, &load);
    if (fd < 0) {
        perror("xdp-load: cannot load the program");
        return 1;
    }
    pin.pathname = (uintptr_t)argv[2];
    pin.bpf_fd = (uint32_t)fd;
    if (bpf(BPF_OBJ_PIN, &pin) < 0) {
        perror("xdp-load: cannot pin the program");
        return 1;
    }
    return 0;
}
