/*
 * Programs that open one tap at the same time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/tap.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns.h"

/* A program that opens @config at a word from @go, then says on @told whether it has it. */
static pid_t opener(const TapConfig *config, int go, int told)
{
    pid_t pid = fork();

    if (pid == 0) {
        char c;
        ssize_t n = read(go, &c, 1);

        c = tap_new(config, NULL, NULL, NULL) ? 'y' : 'n';
        n += write(told, &c, 1);
        g_usleep(60 * G_USEC_PER_SEC);
        _exit(n == 2 ? 0 : 1);
    }
    return pid;
}

/* Neither was there when the other looked: each looks once more, and one of them has it. */
static void test_two_that_start_at_once(void)
{
    TapConfig config = { .id = (char *)"n0", .ifname = (char *)"tt0", .queues = 64,
                         .has_queues = true, .script = (char *)"no", .downscript = (char *)"no",
                         .at_start = true };
    int go[2], told[2];
    char answer[2];
    pid_t pid[2];

    if (!netns_enter()) {
        return;
    }
    g_assert_cmpint(pipe(go), ==, 0);
    g_assert_cmpint(pipe(told), ==, 0);
    for (unsigned i = 0; i < 2; i++) {
        pid[i] = opener(&config, go[0], told[1]);
    }
    g_assert_cmpint(write(go[1], "go", 2), ==, 2);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpint(read(told[0], &answer[i], 1), ==, 1);
    }
    for (unsigned i = 0; i < 2; i++) {
        kill(pid[i], SIGKILL);
        g_assert_cmpint(waitpid(pid[i], NULL, 0), ==, pid[i]);
        close(go[i]);
        close(told[i]);
    }
    g_assert_cmpint(answer[0], ==, 'y');
    g_assert_cmpint(answer[1], ==, 'n');
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/tap-race/two-that-start-at-once", test_two_that_start_at_once);
    return g_test_run();
}
