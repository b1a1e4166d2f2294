/*
 * For scripts/bench virtio: how fast a processor is, and one that is busy.
 *
 * usage: processor measure NUMBER OTHER  prints the ns of a cheap system call on processor NUMBER
 *                                        while OTHER is busy: if they are two threads of one core,
 *                                        what runs on one slows the other down
 *        processor spin                  is busy until SIGTERM, as a driver that polls is
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap-bench.h"

#define RUNS 31     /* the median of them: a few may be interrupted */
#define CALLS 1000

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void use_processor(unsigned number)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(number, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0) {
        tap_bench_die("sched_setaffinity");
    }
}

static double system_call_ns(void)
{
    double ns[RUNS];

    for (unsigned i = 0; i < RUNS; i++) {
        double start = now_ns();

        for (unsigned call = 0; call < CALLS; call++) {
            syscall(SYS_getppid);
        }
        ns[i] = (now_ns() - start) / CALLS;
    }
    qsort(ns, RUNS, sizeof(ns[0]), compare);
    return ns[RUNS / 2];
}

static noreturn void spin(void)
{
    volatile unsigned n = 0;

    for (;;) {
        n++;
    }
}

static void measure(unsigned number, unsigned other)
{
    pid_t busy = fork();

    if (busy == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        use_processor(other);
        spin();
    }
    use_processor(number);
    printf("%.1f\n", system_call_ns());
    if (busy > 0) {
        kill(busy, SIGKILL);
        waitpid(busy, NULL, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "spin") == 0) {
        puts("ready");
        fflush(stdout);
        spin();
    }
    if (argc != 4 || strcmp(argv[1], "measure") != 0) {
        fprintf(stderr, "usage: processor measure NUMBER OTHER|spin\n");
        return 2;
    }
    measure(tap_bench_number(argv[2], 0, CPU_SETSIZE - 1),
            tap_bench_number(argv[3], 0, CPU_SETSIZE - 1));
    return 0;
}
