/*
 * Our own commands: what a frontend does besides writing memory. The test is the guest:
 * it allocates ports, notifies, writes XenStore, dies; and, being a test, it makes dom0's
 * operations fail and counts what dom0 holds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qtest-internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the guest --- */

bool qtest_guest_attach(Qtest *q, int domid, uint64_t ram_size, GError **error)
{
    char *why = NULL;

    qtest_guest_kill(q);
    q->guest = xenemu_guest_attach(q->xen_path, domid, ram_size, "qtest", &why);
    if (!q->guest) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "%s", why);
        free(why);
        return false;
    }
    q->evtchn = xenemu_guest_evtchn_open(q->guest);
    if (!q->evtchn) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "cannot open the guest's event channels: %s", g_strerror(errno));
        qtest_guest_kill(q);
        return false;
    }
    address_space_add_ram(q->own, &(RamRegion){ .size = xenemu_guest_ram_size(q->guest),
                                                .fd = -1,
                                                .host = xenemu_guest_ram(q->guest) });
    return true;
}

void qtest_guest_kill(Qtest *q)
{
    g_clear_pointer(&q->guest_store, xen_store_close);
    g_clear_pointer(&q->evtchn, xenemu_evtchn_close);
    address_space_clear_ram(q->own);
    g_clear_pointer(&q->guest, xenemu_guest_detach);
}

static bool guest_alive(Qtest *q)
{
    if (!q->guest) {
        qtest_reply(q, "FAIL There is no guest");
    }
    return q->guest != NULL;
}

/* 0 and more: "OK", with the number if @with_number; -errno: "FAIL" and why. */
static void reply_result(Qtest *q, int r, bool with_number)
{
    if (r < 0) {
        qtest_reply(q, "FAIL %s", g_strerror(-r));
    } else if (with_number) {
        qtest_reply(q, "OK %d", r);
    } else {
        qtest_reply(q, "OK");
    }
}

static void run_guest_attach(Qtest *q, char **arg, unsigned n_args)
{
    g_autoptr(GError) error = NULL;
    uint64_t domid = 0;

    if (!q->xen) {
        qtest_reply(q, "FAIL There is no emulated Xen");
        return;
    }
    if (n_args > 0 && !qtest_number(q, arg[0], UINT16_MAX, &domid)) {
        return;
    }
    if (!qtest_guest_attach(q, n_args > 0 ? (int)domid : q->domid, q->ram_size, &error)) {
        qtest_reply(q, "FAIL %s", error->message);
        return;
    }
    qtest_reply(q, "OK %u", xenemu_guest_domid(q->guest));
}

static void run_guest_kill(Qtest *q, char **arg, unsigned n_args)
{
    if (guest_alive(q)) {
        qtest_guest_kill(q);
        qtest_reply(q, "OK");
    }
}

static void run_domid(Qtest *q, char **arg, unsigned n_args)
{
    if (guest_alive(q)) {
        qtest_reply(q, "OK %u", xenemu_guest_domid(q->guest));
    }
}

static void run_gnttab(Qtest *q, char **arg, unsigned n_args)
{
    if (guest_alive(q)) {
        qtest_reply(q, "OK 0x0 %u", XENEMU_GRANT_REFS);
    }
}

/* The inode of the file that is mapped at @addr, from /proc/self/maps; 0: not found. */
static ino_t mapped_inode(const void *addr)
{
    g_autofree char *maps = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents("/proc/self/maps", &maps, NULL, NULL)) {
        return 0;
    }
    lines = g_strsplit(maps, "\n", -1);
    for (char **l = lines; *l; l++) {
        g_auto(GStrv) field = g_strsplit_set(*l, " ", 6);

        if (g_strv_length(field) >= 5 &&
            g_ascii_strtoull(field[0], NULL, 16) == (uintptr_t)addr) {
            return (ino_t)g_ascii_strtoull(field[4], NULL, 10);
        }
    }
    return 0;
}

/* A descriptor of this process for the file with @inode, or -1. */
static int descriptor_of(ino_t inode)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;
    int found = -1;

    while (dir && found < 0 && (e = readdir(dir)) != NULL) {
        int fd = (int)g_ascii_strtoll(e->d_name, NULL, 10);
        struct stat st;

        if (e->d_name[0] != '.' && fstat(fd, &st) == 0 && st.st_ino == inode) {
            found = fd;
        }
    }
    if (dir) {
        closedir(dir);
    }
    return found;
}

static void run_ram(Qtest *q, char **arg, unsigned n_args)
{
    ino_t inode;
    int fd;

    if (!guest_alive(q)) {
        return;
    }
    inode = mapped_inode(xenemu_guest_ram(q->guest));
    fd = inode != 0 ? descriptor_of(inode) : -1;
    if (fd < 0) {
        qtest_reply(q, "FAIL The guest's memory has no file descriptor");
        return;
    }
    qtest_reply(q, "OK %zu /proc/%d/fd/%d", xenemu_guest_ram_size(q->guest), (int)getpid(), fd);
}

/* --- event channels, as the guest --- */

static bool guest_port(Qtest *q, const char *text, uint32_t *ret_port)
{
    uint64_t port;

    if (!guest_alive(q) || !qtest_number(q, text, UINT32_MAX, &port)) {
        return false;
    }
    *ret_port = (uint32_t)port;
    return true;
}

static void run_evtchn_alloc(Qtest *q, char **arg, unsigned n_args)
{
    uint64_t domid;

    if (guest_alive(q) && qtest_number(q, arg[0], UINT16_MAX, &domid)) {
        reply_result(q, xenemu_evtchn_alloc_unbound(q->evtchn, (uint16_t)domid), true);
    }
}

static void run_evtchn_notify(Qtest *q, char **arg, unsigned n_args)
{
    uint32_t port;

    if (guest_port(q, arg[0], &port)) {
        reply_result(q, xenemu_evtchn_notify(q->evtchn, port), false);
    }
}

static void run_evtchn_pending(Qtest *q, char **arg, unsigned n_args)
{
    uint32_t port;

    if (guest_port(q, arg[0], &port)) {
        reply_result(q, xenemu_evtchn_test_and_clear(q->evtchn, port), true);
    }
}

static void run_evtchn_close(Qtest *q, char **arg, unsigned n_args)
{
    uint32_t port;

    if (guest_port(q, arg[0], &port)) {
        reply_result(q, xenemu_evtchn_unbind(q->evtchn, port), false);
    }
}

/* The names of EVTCHNSTAT_* in xen/include/public/event_channel.h, in their order. */
static const char *const port_states[] = { "closed", "unbound", "interdomain" };

static void run_evtchn_state(Qtest *q, char **arg, unsigned n_args)
{
    uint32_t port;
    int r;

    if (!guest_port(q, arg[0], &port)) {
        return;
    }
    r = xenemu_evtchn_status(q->evtchn, port);
    if (r < 0 || r >= (int)G_N_ELEMENTS(port_states)) {
        reply_result(q, r < 0 ? r : -EPROTO, false);
        return;
    }
    qtest_reply(q, "OK %s", port_states[r]);
}

/* --- XenStore, as the guest or as dom0 --- */

static XenStore *store_of(Qtest *q, const char *who)
{
    g_autoptr(GError) error = NULL;
    XenStore **store = NULL;
    const char *path = NULL;
    uint64_t domid;

    if (!qtest_number(q, who, UINT16_MAX, &domid)) {
        return NULL;
    }
    if (q->xen && domid == 0) {
        store = &q->dom0_store;
        path = q->xen->store_path;
    } else if (q->guest && domid == xenemu_guest_domid(q->guest)) {
        store = &q->guest_store;
        path = xenemu_guest_store_path(q->guest);
    } else {
        qtest_reply(q, "FAIL Domain %s is not here", who);
        return NULL;
    }
    if (!*store) {
        *store = xen_store_open(path, &error);
    }
    if (!*store) {
        qtest_reply(q, "FAIL %s", error->message);
    }
    return *store;
}

static void run_store_path(Qtest *q, char **arg, unsigned n_args)
{
    if (guest_alive(q)) {
        qtest_reply(q, "OK %s %s", xenemu_guest_store_path(q->guest), q->xen->store_path);
    }
}

static void run_store_read(Qtest *q, char **arg, unsigned n_args)
{
    XenStore *s = store_of(q, arg[0]);
    g_autofree char *value = s ? xen_store_read(s, 0, arg[1]) : NULL;
    g_autofree char *escaped = value ? g_strescape(value, NULL) : NULL;

    if (escaped) {
        qtest_reply(q, "OK %s", escaped);
    } else if (s) {
        qtest_reply(q, "FAIL %s", g_strerror(errno));
    }
}

/* A backslash with nothing behind it, of which GLib would warn. */
static bool escape_is_cut(const char *text)
{
    size_t len = strlen(text);
    size_t n = 0;

    while (n < len && text[len - 1 - n] == '\\') {
        n++;
    }
    return n % 2 != 0;
}

static void run_store_write(Qtest *q, char **arg, unsigned n_args)
{
    const char *escaped = n_args > 2 ? arg[2] : "";
    g_autofree char *value = NULL;
    XenStore *s;

    if (escape_is_cut(escaped)) {
        qtest_reply(q, "FAIL The value ends inside an escape");
        return;
    }
    s = store_of(q, arg[0]);
    value = g_strcompress(escaped);
    if (s) {
        reply_result(q, xen_store_write(s, 0, arg[1], value) ? 0 : -errno, false);
    }
}

static void run_store_rm(Qtest *q, char **arg, unsigned n_args)
{
    XenStore *s = store_of(q, arg[0]);

    if (s) {
        reply_result(q, xen_store_remove(s, 0, arg[1]) ? 0 : -errno, false);
    }
}

static void run_store_list(Qtest *q, char **arg, unsigned n_args)
{
    XenStore *s = store_of(q, arg[0]);
    g_auto(GStrv) names = s ? xen_store_list(s, 0, arg[1]) : NULL;
    g_autofree char *joined = names ? g_strjoinv(" ", names) : NULL;

    if (joined) {
        qtest_reply(q, "OK %s", joined);
    } else if (s) {
        qtest_reply(q, "FAIL %s", g_strerror(errno));
    }
}

/* --- dom0, under test --- */

static const char *const fault_ops[XENEMU_OP_COUNT] = {
    [XENEMU_OP_GNTTAB_MAP] = "gnttab-map",
    [XENEMU_OP_GNTTAB_COPY] = "gnttab-copy",
    [XENEMU_OP_GNTTAB_BATCH] = "gnttab-batch",
    [XENEMU_OP_EVTCHN_ALLOC] = "evtchn-alloc",
    [XENEMU_OP_EVTCHN_BIND] = "evtchn-bind",
    [XENEMU_OP_EVTCHN_UNBIND] = "evtchn-unbind",
    [XENEMU_OP_EVTCHN_NOTIFY] = "evtchn-notify",
    [XENEMU_OP_EVTCHN_UNMASK] = "evtchn-unmask",
};

static void run_fault(Qtest *q, char **arg, unsigned n_args)
{
    bool negative = arg[2][0] == '-';
    uint64_t k, status;

    if (!q->xen) {
        qtest_reply(q, "FAIL There is no emulated Xen");
        return;
    }
    if (!qtest_number(q, arg[1], UINT32_MAX, &k) ||
        !qtest_number(q, arg[2] + negative, INT16_MAX, &status)) {
        return;
    }
    for (unsigned i = 0; i < XENEMU_OP_COUNT; i++) {
        if (strcmp(fault_ops[i], arg[0]) == 0) {
            xenemu_host_fail(q->xen->opaque, (XenemuOp)i, (unsigned)k,
                             negative ? -(int)status : (int)status);
            qtest_reply(q, "OK");
            return;
        }
    }
    qtest_reply(q, "FAIL Unknown operation '%s'", arg[0]);
}

static unsigned count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (dir && readdir(dir)) {
        n++;
    }
    if (dir) {
        closedir(dir);
    }
    return n - 3; /* ".", ".." and the directory's own */
}

static uint64_t process_status(const char *key)
{
    g_autofree char *text = NULL;
    const char *at;

    if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL)) {
        return 0;
    }
    at = strstr(text, key);
    return at ? g_ascii_strtoull(at + strlen(key) + 1, NULL, 10) : 0;
}

static void run_leaks(Qtest *q, char **arg, unsigned n_args)
{
    unsigned grants = 0, ports = 0;

    if (q->xen) {
        xenemu_host_usage(q->xen->opaque, &grants, &ports);
    }
    qtest_reply(q,
                "OK grants=%u ports=%u threads=%" G_GUINT64_FORMAT " fds=%u rss=%" G_GUINT64_FORMAT,
                grants, ports, process_status("\nThreads:"), count_descriptors(),
                process_status("\nVmRSS:"));
}

const QtestCommand qtest_xen_commands[] = {
    { "xen_domid", 0, 0, .run = run_domid },
    { "xen_ram", 0, 0, .run = run_ram },
    { "xen_gnttab", 0, 0, .run = run_gnttab },
    { "xen_evtchn_alloc", 1, 1, .run = run_evtchn_alloc },
    { "xen_evtchn_notify", 1, 1, .run = run_evtchn_notify },
    { "xen_evtchn_pending", 1, 1, .run = run_evtchn_pending },
    { "xen_evtchn_close", 1, 1, .run = run_evtchn_close },
    { "xen_evtchn_state", 1, 1, .run = run_evtchn_state },
    { "xen_store_path", 0, 0, .run = run_store_path },
    { "xen_store_read", 2, 2, .run = run_store_read },
    { "xen_store_write", 2, 3, true, run_store_write },
    { "xen_store_rm", 2, 2, .run = run_store_rm },
    { "xen_store_list", 2, 2, .run = run_store_list },
    { "xen_fault", 3, 3, .run = run_fault },
    { "xen_leaks", 0, 0, .run = run_leaks },
    { "xen_guest_kill", 0, 0, .run = run_guest_kill },
    { "xen_guest_attach", 0, 1, .run = run_guest_attach },
    { NULL },
};
