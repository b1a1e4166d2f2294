/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmdline.h"
#include "nics.h"
#include "util/clock.h"
#include "util/log.h"

/*
 * Started with stdin, stdout or stderr closed: nothing that we open may get its number, or
 * words would be written into it, and a daemon would lose it. For reading only: what is
 * printed to nowhere still fails.
 */
static void main_open_stdio(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

/*
 * A failure is told to whoever started us, and to the log if there is one. Ends @s: the
 * parent of a daemon hears of it last.
 */
static void main_fail(System *s, const char *message)
{
    g_autofree char *first = opt_first_line(message);
    g_autofree char *all = g_strdup_printf("ringtap: %s\n", message);

    if (s->log_open) {
        error_report_to_file("%s", first);
    }
    if (s->daemon.report_fd < 0) {
        fputs(all, stderr);
    }
    system_done(s);
    daemon_report_failure(s, all);
}

static bool main_start_qtest(System *s, GError **error)
{
    QtestConfig config = {
        .chardev = s->qtest,
        .log = s->qtest_log,
        .memory = s->board ? s->board->memory : NULL,
        .ports = s->board ? s->board->ports : NULL,
        .irqs = s->board ? s->board->irqs : NULL,
        .xen = s->xen_path ? s->xen : NULL,
        .xen_path = s->xen_path,
        .domid = s->xen_domid,
        .ram_size = machine_ram_size(s),
    };

    if (!s->qtest) {
        return true;
    }
    s->qtest_server = qtest_new(&config, error);
    if (!s->qtest_server) {
        return false;
    }
    while (qtest_is_waiting(s->qtest_server) && s->state != RUN_SHUTDOWN) {
        g_main_context_iteration(NULL, TRUE);
    }
    return true;
}

/* Devices that are all on no bus of it, and nothing else that names it, need no Xen. */
static bool main_open_accel(System *s, const CmdLine *cmd, GError **error)
{
    bool on_it = cmdline_wants_bus(cmd, s, xen_bus.type, !backend_program_wanted(s));

    return (!accel_is_asked_for(s) && !on_it) || accel_open(s, error);
}

/* What devices refer to. */
static bool main_make_backends(System *s, const CmdLine *cmd, GError **error)
{
    return cmdline_run(cmd, s, CMD_OBJECT, error) && cmdline_run(cmd, s, CMD_CHARDEV, error) &&
           cmdline_run(cmd, s, CMD_MONITOR, error) && cmdline_run(cmd, s, CMD_NETDEV, error) &&
           cmdline_run(cmd, s, CMD_NIC, error) && cmdline_run(cmd, s, CMD_BLOCKDEV, error) &&
           cmdline_run(cmd, s, CMD_DRIVE, error) &&
           backend_program_prepare(s, error);
}

static bool main_start(System *s, const CmdLine *cmd, GError **error)
{
    if (!cmdline_run(cmd, s, CMD_SETTING, error)) {
        return false;
    }
    if (s->log_file && !log_open_file(s->log_file, error)) {
        return false;
    }
    s->log_open = s->log_file != NULL;
    if (s->daemon.wanted && backend_program_wanted(s)) {
        return system_set_error(error, "-daemonize cannot be used with --socket-path and --fd: "
                                "whoever starts a back-end program has it as a child");
    }
    if (!daemon_detach(s, error)) {
        return false;
    }
    if (s->accel.kind == ACCEL_QTEST) {
        clock_start_virtual(); /* before there is a thread that reads it */
    }
    run_install_signals(s);
    if (!daemon_write_pidfile(s, error) || !main_make_backends(s, cmd, error)) {
        return false;
    }
    chardev_wait(s);
    if (s->state == RUN_SHUTDOWN) {
        return true; /* nothing was promised yet: the loop ends at once */
    }
    if (!main_open_accel(s, cmd, error) || !board_open(s, error) || !main_start_qtest(s, error)) {
        return false;
    }
    if (s->state == RUN_SHUTDOWN) {
        return true;
    }
    if (!nics_add_devices(s, error) || !cmdline_run(cmd, s, CMD_DEVICE, error) ||
        !backend_program_add_device(s, error)) {
        return false;
    }
    netdevs_warn_unused(s);
    s->up = true;
    device_registry_set_up(s->devices);
    if (!attach_start(s, error) || !migration_start(s, error)) {
        return false;
    }
    run_start(s);
    daemon_ready(s);
    return true;
}

int main(int argc, char **argv)
{
    System s;
    g_autoptr(GError) error = NULL;
    g_autoptr(CmdLine) cmd = NULL;
    g_autofree char *help = NULL;

    run_expect_signals();
    main_open_stdio();
    log_init("ringtap");
    if (cmdline_has_word(argc, argv, "print-capabilities")) { /* the rest is to be ignored */
        help = backend_program_capabilities();
    } else {
        cmd = cmdline_parse(argc, argv, &error);
        help = cmd ? cmdline_help(cmd, &error) : NULL;
    }
    if (error) {
        error_report("%s", error->message);
        return EXIT_FAILURE;
    }
    if (help) {
        if (fputs(help, stdout) < 0 || fflush(stdout) != 0) {
            error_report("could not write to stdout: %s", g_strerror(errno));
            return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
    }
    system_init(&s);
    if (!main_start(&s, cmd, &error)) {
        main_fail(&s, error->message);
        return EXIT_FAILURE;
    }
    if (!s.ended) {
        g_main_loop_run(s.loop);
    }
    system_done(&s);
    return s.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
