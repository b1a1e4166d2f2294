/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qtest.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct QTest {
    pid_t pid;
    int fd;              /* qtest; -1: hung up */
    int qmp_fd;
    GString *in;         /* of fd */
    struct json_tokener *tokener;
    GByteArray *qmp_in;
    GQueue events;       /* json_object */
    char *dir;
    char *stderr_path;
};

/* --- the process --- */

static int socket_listen(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    g_assert_cmpint(bind(fd, (void *)&addr, sizeof(addr)), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

char *qtest_stderr(const QTest *qt)
{
    char *text = NULL;

    g_assert_true(g_file_get_contents(qt->stderr_path, &text, NULL, NULL));
    return text;
}

unsigned qtest_said(const QTest *qt, const char *text)
{
    g_autofree char *log = qtest_stderr(qt);
    unsigned n = 0;

    for (const char *p = log; (p = strstr(p, text)) != NULL; p++) {
        n++;
    }
    return n;
}

static void qtest_say(const QTest *qt)
{
    g_autofree char *text = qtest_stderr(qt);

    if (text[0]) {
        g_test_message("%s", text);
    }
}

/* The program connects to us, or ends before. */
static int socket_accept(QTest *qt, int listen_fd)
{
    struct pollfd p = { .fd = listen_fd, .events = POLLIN };
    int fd, status;

    for (unsigned i = 0; i < QTEST_TIMEOUT_MS / 100 && poll(&p, 1, 100) <= 0; i++) {
        if (waitpid(qt->pid, &status, WNOHANG) == qt->pid) {
            qtest_say(qt);
            g_error("the program ended at its start, status 0x%x", (unsigned)status);
        }
    }
    fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    close(listen_fd);
    return fd;
}

static void child_exec(const QTest *qt, char **argv, const int *fds, unsigned n_fds)
{
    int err = open(qt->stderr_path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(err, STDERR_FILENO);
    dup2(err, STDOUT_FILENO); /* ours is TAP */
    for (unsigned i = 0; i < n_fds; i++) {
        fcntl(fds[i], F_SETFD, 0);
    }
    execv(argv[0], argv);
    _exit(127);
}

static void qtest_spawn(QTest *qt, const char *args, const int *fds, unsigned n_fds)
{
    const char *program = g_getenv("RINGTAP");
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) argv = NULL;
    g_autofree char *line = NULL;

    if (!program) {
        program = g_getenv("QTEST_QEMU_BINARY");
    }
    if (!program) {
        g_error("RINGTAP must name the program under test");
    }
    line = g_strdup_printf("%s -qtest unix:%s/qtest.sock -qtest-log %s "
                           "-chardev socket,path=%s/qmp.sock,id=char0 "
                           "-mon chardev=char0,mode=control -display none %s -accel qtest",
                           program, qt->dir, g_getenv("QTEST_LOG") ? "/dev/stderr" : "/dev/null",
                           qt->dir, args);
    g_shell_parse_argv(line, NULL, &argv, &error);
    g_assert_no_error(error);
    qt->pid = fork();
    g_assert_cmpint(qt->pid, >=, 0);
    if (qt->pid == 0) {
        child_exec(qt, argv, fds, n_fds);
    }
}

static struct json_object *qmp_read(QTest *qt);

QTest *qtest_start(const int *fds, unsigned n_fds, const char *args)
{
    QTest *qt = g_new0(QTest, 1);
    g_autofree char *path = NULL, *qmp_path = NULL, *endianness = NULL;
    struct json_object *greeting;
    int listen_fd, qmp_listen_fd;

    qt->dir = g_dir_make_tmp("ringtap-qtest-XXXXXX", NULL);
    g_assert_nonnull(qt->dir);
    path = g_strdup_printf("%s/qtest.sock", qt->dir);
    qmp_path = g_strdup_printf("%s/qmp.sock", qt->dir);
    qt->stderr_path = g_strdup_printf("%s/stderr", qt->dir);
    listen_fd = socket_listen(path);
    qmp_listen_fd = socket_listen(qmp_path);
    qtest_spawn(qt, args, fds, n_fds);
    qt->in = g_string_new(NULL);
    qt->tokener = json_tokener_new();
    qt->qmp_in = g_byte_array_new();
    g_queue_init(&qt->events);
    qt->fd = socket_accept(qt, listen_fd);
    qt->qmp_fd = socket_accept(qt, qmp_listen_fd);
    g_unlink(path);
    g_unlink(qmp_path);

    endianness = qtest_ok(qt, "endianness");
    g_assert_cmpstr(endianness, ==, "little");
    greeting = qmp_read(qt);
    g_assert_true(json_object_object_get_ex(greeting, "QMP", NULL));
    json_object_put(greeting);
    json_object_put(qtest_qmp_ok(qt, "{'execute': 'qmp_capabilities'}"));
    return qt;
}

void qtest_forget_events(QTest *qt)
{
    struct json_object *o;

    while ((o = g_queue_pop_head(&qt->events)) != NULL) {
        json_object_put(o);
    }
}

static void qtest_free(QTest *qt)
{
    qtest_hang_up(qt);
    close(qt->qmp_fd);
    qtest_forget_events(qt);
    json_tokener_free(qt->tokener);
    g_byte_array_unref(qt->qmp_in);
    g_string_free(qt->in, TRUE);
    g_unlink(qt->stderr_path);
    g_rmdir(qt->dir);
    g_free(qt->stderr_path);
    g_free(qt->dir);
    g_free(qt);
}

void qtest_wait_exit(QTest *qt)
{
    int status = 0;
    pid_t r = 0;

    for (unsigned i = 0; i < QTEST_TIMEOUT_MS && r == 0; i++) {
        r = waitpid(qt->pid, &status, WNOHANG);
        if (r == 0) {
            g_usleep(1000);
        }
    }
    if (r == 0) {
        kill(qt->pid, SIGABRT); /* a core, or a sanitizer's stack, tells where it hangs */
        waitpid(qt->pid, &status, 0);
    }
    qtest_say(qt);
    if (r != qt->pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        g_error("the program did not end well: %s, status 0x%x", r == 0 ? "it hung" : "it ended",
                (unsigned)status);
    }
    qtest_free(qt);
}

void qtest_kill(QTest *qt)
{
    g_assert_cmpint(kill(qt->pid, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(qt->pid, NULL, 0), ==, qt->pid);
    qtest_free(qt);
}

void qtest_stop(QTest *qt)
{
    g_assert_cmpint(kill(qt->pid, SIGTERM), ==, 0);
    qtest_wait_exit(qt);
}

pid_t qtest_pid(const QTest *qt)
{
    return qt->pid;
}

/* --- the qtest protocol --- */

void qtest_hang_up(QTest *qt)
{
    if (qt->fd >= 0) {
        close(qt->fd);
        qt->fd = -1;
    }
}

/* Appends what comes next on @fd to a buffer of the caller. 0: the end. */
static ssize_t read_some(QTest *qt, int fd, void *buf, size_t size)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    ssize_t n;

    if (poll(&p, 1, QTEST_TIMEOUT_MS) <= 0) {
        qtest_say(qt);
        g_error("the program does not answer");
    }
    n = recv(fd, buf, size, 0);
    if (n <= 0) {
        g_usleep(200000); /* its last words */
        qtest_say(qt);
        g_error("the program closed a connection");
    }
    return n;
}

void qtest_send_raw(QTest *qt, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(qt->fd, bytes, len, MSG_NOSIGNAL);

        g_assert_cmpint(n, >, 0);
        bytes += n;
        len -= (size_t)n;
    }
}

char *qtest_read_line(QTest *qt)
{
    char buf[8192];
    char *line, *end;

    while (!(end = strchr(qt->in->str, '\n'))) {
        g_string_append_len(qt->in, buf, read_some(qt, qt->fd, buf, sizeof(buf)));
    }
    line = g_strndup(qt->in->str, (gsize)(end - qt->in->str));
    g_string_erase(qt->in, 0, end + 1 - qt->in->str);
    return line;
}

static char *qtest_vline(QTest *qt, const char *fmt, va_list ap) G_GNUC_PRINTF(2, 0);

static char *qtest_vline(QTest *qt, const char *fmt, va_list ap)
{
    g_autoptr(GString) line = g_string_new(NULL);

    g_string_vprintf(line, fmt, ap);
    g_string_append_c(line, '\n');
    qtest_send_raw(qt, line->str, line->len);
    return qtest_read_line(qt);
}

static char *qtest_vok(QTest *qt, const char *fmt, va_list ap) G_GNUC_PRINTF(2, 0);

static char *qtest_vok(QTest *qt, const char *fmt, va_list ap)
{
    g_autofree char *line = qtest_vline(qt, fmt, ap);

    if (!g_str_equal(line, "OK") && !g_str_has_prefix(line, "OK ")) {
        g_error("qtest '%s': %s", fmt, line);
    }
    return g_strdup(line[2] ? line + 3 : "");
}

char *qtest_line(QTest *qt, const char *fmt, ...)
{
    va_list ap;
    char *line;

    va_start(ap, fmt);
    line = qtest_vline(qt, fmt, ap);
    va_end(ap);
    return line;
}

char *qtest_ok(QTest *qt, const char *fmt, ...)
{
    va_list ap;
    char *rest;

    va_start(ap, fmt);
    rest = qtest_vok(qt, fmt, ap);
    va_end(ap);
    return rest;
}

void qtest_do(QTest *qt, const char *fmt, ...)
{
    g_autofree char *rest = NULL;
    va_list ap;

    va_start(ap, fmt);
    rest = qtest_vok(qt, fmt, ap);
    va_end(ap);
    g_assert_cmpstr(rest, ==, "");
}

int64_t qtest_int(QTest *qt, const char *fmt, ...)
{
    g_autofree char *rest = NULL;
    gint64 value;
    va_list ap;
    char *end;

    va_start(ap, fmt);
    rest = qtest_vok(qt, fmt, ap);
    va_end(ap);
    value = g_ascii_strtoll(rest, &end, 10);
    g_assert_true(end != rest && *end == '\0');
    return value;
}

uint32_t qtest_readl(QTest *qt, uint64_t addr)
{
    g_autofree char *rest = qtest_ok(qt, "readl 0x%" G_GINT64_MODIFIER "x", addr);

    return (uint32_t)g_ascii_strtoull(rest, NULL, 16);
}

void qtest_writel(QTest *qt, uint64_t addr, uint32_t value)
{
    qtest_do(qt, "writel 0x%" G_GINT64_MODIFIER "x 0x%x", addr, value);
}

void qtest_memread(QTest *qt, uint64_t addr, void *buf, size_t size)
{
    g_autofree char *text = qtest_ok(qt, "b64read 0x%" G_GINT64_MODIFIER "x %zu", addr, size);
    g_autofree guchar *data = NULL;
    gsize len;

    data = g_base64_decode(text, &len);
    g_assert_cmpuint(len, ==, size);
    memcpy(buf, data, size);
}

void qtest_memwrite(QTest *qt, uint64_t addr, const void *buf, size_t size)
{
    g_autofree char *text = g_base64_encode(buf, size);

    qtest_do(qt, "b64write 0x%" G_GINT64_MODIFIER "x %zu %s", addr, size, text);
}

int64_t qtest_clock_step(QTest *qt, int64_t ns)
{
    return qtest_int(qt, "clock_step %" G_GINT64_FORMAT, ns);
}

QTestLeaks qtest_leaks(QTest *qt)
{
    g_autofree char *text = qtest_ok(qt, "xen_leaks");
    QTestLeaks l;
    unsigned long rss;

    g_assert_cmpint(sscanf(text, "grants=%u ports=%u threads=%u fds=%u rss=%lu", &l.grants,
                           &l.ports, &l.threads, &l.fds, &rss), ==, 5);
    l.rss_kib = rss;
    return l;
}

/* --- QMP --- */

static struct json_object *qmp_parse(QTest *qt)
{
    struct json_object *o;
    size_t used = 0;

    while (used < qt->qmp_in->len && g_ascii_isspace((gchar)qt->qmp_in->data[used])) {
        used++;
    }
    g_byte_array_remove_range(qt->qmp_in, 0, (guint)used);
    if (qt->qmp_in->len == 0) {
        return NULL;
    }
    json_tokener_reset(qt->tokener);
    o = json_tokener_parse_ex(qt->tokener, (const char *)qt->qmp_in->data,
                              (int)qt->qmp_in->len);
    used = json_tokener_get_parse_end(qt->tokener);
    if (!o) {
        g_assert_cmpint((int)json_tokener_get_error(qt->tokener), ==, json_tokener_continue);
        return NULL;
    }
    g_byte_array_remove_range(qt->qmp_in, 0, (guint)used);
    return o;
}

/* The next message of any kind. */
static struct json_object *qmp_read(QTest *qt)
{
    struct json_object *o;
    guint8 buf[8192];

    while (!(o = qmp_parse(qt))) {
        g_byte_array_append(qt->qmp_in, buf,
                            (guint)read_some(qt, qt->qmp_fd, buf, sizeof(buf)));
    }
    return o;
}

struct json_object *qtest_qmp(QTest *qt, const char *json)
{
    struct json_object *o;

    g_assert_cmpint(send(qt->qmp_fd, json, strlen(json), MSG_NOSIGNAL), ==,
                    (ssize_t)strlen(json));
    g_assert_cmpint(send(qt->qmp_fd, "\n", 1, MSG_NOSIGNAL), ==, 1);
    while (json_object_object_get_ex(o = qmp_read(qt), "event", NULL)) {
        g_queue_push_tail(&qt->events, o);
    }
    return o;
}

struct json_object *qtest_qmp_ok(QTest *qt, const char *fmt, ...)
{
    g_autofree char *json = NULL;
    struct json_object *o, *ret;
    va_list ap;

    va_start(ap, fmt);
    json = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    o = qtest_qmp(qt, json);
    if (!json_object_object_get_ex(o, "return", &ret)) {
        g_error("QMP %s: %s", json, json_object_to_json_string(o));
    }
    json_object_get(ret);
    json_object_put(o);
    return ret;
}

static bool event_is(struct json_object *o, const char *name)
{
    struct json_object *event;

    return json_object_object_get_ex(o, "event", &event) &&
           g_str_equal(json_object_get_string(event), name);
}

bool qtest_has_event(const QTest *qt, const char *name)
{
    for (GList *l = qt->events.head; l; l = l->next) {
        if (event_is(l->data, name)) {
            return true;
        }
    }
    return false;
}

struct json_object *qtest_event(QTest *qt, const char *name)
{
    for (;;) {
        struct json_object *o;

        for (GList *l = qt->events.head; l; l = l->next) {
            o = l->data;
            if (event_is(o, name)) {
                g_queue_delete_link(&qt->events, l);
                return o;
            }
        }
        g_queue_push_tail(&qt->events, qmp_read(qt));
    }
}
