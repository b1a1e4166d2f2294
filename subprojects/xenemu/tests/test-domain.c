/*
 * Domains: attaching, what they get, how they end; and the host's sockets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "rpc.h"
#include "sock.h"

#include <xen/xen.h>

static char *program;

typedef struct Fixture {
    TestHost *t;
    int store; /* as dom0 */
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->t = test_host_new();
    f->store = test_store_connect(xenemu_host_store_path(f->t->host));
}

static void teardown(Fixture *f, gconstpointer data)
{
    close(f->store);
    test_host_free(f->t);
}

static void attach_fails(TestHost *t, int domid, size_t ram, const char *why)
{
    char *errmsg = NULL;

    g_assert_null(xenemu_guest_attach(t->path, domid, ram, NULL, &errmsg));
    g_assert_nonnull(strstr(errmsg, why));
    free(errmsg);
}

/* xen/xen.h, DOMID_*: numbers below DOMID_FIRST_RESERVED, each once; 0 is the host's. */
static void test_numbers(Fixture *f, gconstpointer data)
{
    XenemuGuest *a = test_guest(f->t, 1);
    XenemuGuest *b = test_guest(f->t, -1);

    g_assert_cmpuint(xenemu_guest_domid(a), ==, 1);
    g_assert_cmpuint(xenemu_guest_domid(b), ==, 2);
    g_assert_true(xenemu_host_domain_alive(f->t->host, 2));
    attach_fails(f->t, 1, TEST_RAM, "the domain exists already");
    attach_fails(f->t, 0, TEST_RAM, "does not take this domid");
    attach_fails(f->t, DOMID_FIRST_RESERVED, TEST_RAM, "does not take this domid");
    attach_fails(f->t, 99999, TEST_RAM, "does not take this domid");
    xenemu_guest_detach(a);
    g_assert_false(xenemu_host_domain_alive(f->t->host, 1));
    a = test_guest(f->t, 1);
    xenemu_guest_detach(a);
    xenemu_guest_detach(b);
}

/* The RAM is so large as asked for, within limits. */
static void test_ram(Fixture *f, gconstpointer data)
{
    XenemuGuest *g;

    attach_fails(f->t, 1, 0, "size of RAM");
    attach_fails(f->t, 1, XENEMU_RAM_MIN - XENEMU_PAGE_SIZE, "size of RAM");
    attach_fails(f->t, 1, XENEMU_RAM_MIN + 1, "size of RAM");
    attach_fails(f->t, 1, XENEMU_RAM_MAX + XENEMU_PAGE_SIZE, "size of RAM");
    g = test_guest(f->t, 1);
    g_assert_cmpuint(xenemu_guest_ram_size(g), ==, TEST_RAM);
    ((uint8_t *)xenemu_guest_ram(g))[TEST_RAM - 1] = 1;
    xenemu_guest_detach(g);
}

/* fcntl(2), F_SEAL_SHRINK: the guest cannot take away what the host looks at. */
static void test_seals(Fixture *f, gconstpointer data)
{
    RpcRequest req = { .magic = RPC_MAGIC, .op = RPC_ATTACH, .domid = 5, .ram_size = TEST_RAM };
    int fd = sock_connect(f->t->path, SOCK_SEQPACKET);
    RpcAnswer ans;
    unsigned n;
    int fds[2];

    g_assert_cmpint(sock_send(fd, &req, sizeof(req), NULL, 0), ==, 0);
    g_assert_cmpint(sock_recv(fd, &ans, sizeof(ans), fds, 2, &n), >, 0);
    g_assert_cmpint(ans.result, ==, 0);
    g_assert_cmpuint(n, ==, 2);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(ftruncate(fds[i], 0), ==, -1);
        g_assert_cmpint(fcntl(fds[i], F_GET_SEALS) & F_SEAL_SHRINK, !=, 0);
        g_assert_cmpint(fcntl(fds[i], F_GET_SEALS) & F_SEAL_SEAL, !=, 0);
        close(fds[i]);
    }
    close(fd);
    test_wait_dead(f->t, 5);
}

/* Whoever speaks nonsense on the attach socket loses the connection, and only that. */
static void test_nonsense(Fixture *f, gconstpointer data)
{
    const RpcRequest bad_magic = { .magic = 1, .op = RPC_ATTACH, .domid = 5,
                                   .ram_size = TEST_RAM };
    const RpcRequest too_early = { .magic = RPC_MAGIC, .op = RPC_ALLOC_UNBOUND };
    const struct {
        const void *data;
        size_t len;
    } said[] = { { &bad_magic, sizeof(bad_magic) }, { &too_early, sizeof(too_early) },
                 { &bad_magic, 3 }, { "", 1 } };
    XenemuGuest *g = test_guest(f->t, 1);
    RpcAnswer ans;

    for (size_t i = 0; i < G_N_ELEMENTS(said); i++) {
        int fd = sock_connect(f->t->path, SOCK_SEQPACKET);

        g_assert_cmpint(sock_send(fd, said[i].data, said[i].len, NULL, 0), ==, 0);
        g_assert_cmpint(recv(fd, &ans, sizeof(ans), 0), <=, 0);
        close(fd);
    }
    g_assert_true(xenemu_host_domain_alive(f->t->host, 1));
    xenemu_guest_detach(g);
}

/* After attaching: an operation that there is not, a second attach. */
static void test_bad_requests(Fixture *f, gconstpointer data)
{
    static const RpcRequest requests[] = {
        { .magic = RPC_MAGIC, .op = 77 },
        { .magic = RPC_MAGIC, .op = RPC_ALLOC_UNBOUND, .domid = -1 },
        { .magic = RPC_MAGIC, .op = RPC_CLOSE, .port = UINT32_MAX },
        { .magic = RPC_MAGIC, .op = RPC_STATUS, .port = UINT32_MAX },
        { .magic = RPC_MAGIC, .op = RPC_ATTACH, .domid = 6, .ram_size = TEST_RAM },
    };
    XenemuGuest *g = test_guest(f->t, 1);
    RpcAnswer ans;

    for (size_t i = 0; i < G_N_ELEMENTS(requests); i++) {
        int fd = xenemu_guest_fd(g);

        g_assert_cmpint(sock_send(fd, &requests[i], sizeof(requests[i]), NULL, 0), ==, 0);
        g_assert_cmpint(recv(fd, &ans, sizeof(ans), 0), ==, sizeof(ans));
        g_assert_cmpint(ans.result, ==, -EINVAL);
    }
    xenemu_guest_detach(g);
}

static void assert_introduced(Fixture *f, const char *domid, const char *expected)
{
    g_autofree char *answer = NULL;

    g_assert_cmpint(test_store_call(f->store, XS_IS_DOMAIN_INTRODUCED, 0, &answer, domid, NULL),
                    ==, 0);
    g_assert_cmpstr(answer, ==, expected);
}

/*
 * In Xen nobody can keep the toolstack from making a domain (xen/domctl.h,
 * XEN_DOMCTL_createdomain): those that connect and do not attach do not either.
 * The oldest of them goes, no domain does.
 */
static void test_idle_clients(Fixture *f, gconstpointer data)
{
    XenemuGuest *first = test_guest(f->t, 1);
    XenemuGuest *late;
    int fds[100];
    char end;

    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = sock_connect(f->t->path, SOCK_SEQPACKET);
        g_assert_cmpint(fds[i], >=, 0);
        if (i % 16 == 15) {
            assert_introduced(f, "1", "T"); /* the host's thread keeps up */
        }
    }
    late = test_guest(f->t, 2);
    g_assert_true(test_readable(fds[0], 1000));
    g_assert_cmpint(recv(fds[0], &end, 1, MSG_DONTWAIT), ==, 0);
    g_assert_cmpint(recv(fds[G_N_ELEMENTS(fds) - 1], &end, 1, MSG_DONTWAIT), ==, -1);
    g_assert_true(xenemu_host_domain_alive(f->t->host, 1));
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
        close(fds[i]);
    }
    xenemu_guest_detach(late);
    xenemu_guest_detach(first);
}

/* libxl's libxl__domain_make(): what a domain finds, and who may write where. */
static void test_nodes(Fixture *f, gconstpointer data)
{
    g_autofree char *domid = NULL;
    g_autofree char *name = NULL;
    g_autofree char *perms = NULL;
    char *errmsg = NULL;
    XenemuGuest *g = xenemu_guest_attach(f->t->path, 6, TEST_RAM, "mail", &errmsg);
    int own = test_store_connect(xenemu_guest_store_path(g));

    domid = test_store_read(own, 0, "domid");
    name = test_store_read(own, 0, "name");
    g_assert_cmpstr(domid, ==, "6");
    g_assert_cmpstr(name, ==, "mail");
    g_assert_cmpint(test_store_write(own, 0, "name", "x"), ==, EACCES);
    g_assert_cmpint(test_store_write(own, 0, "device/vif/0/state", "1"), ==, EACCES);
    g_assert_cmpint(test_store_write(own, 0, "data/x", "1"), ==, 0);
    g_assert_cmpint(test_store_call(own, XS_GET_PERMS, 0, &perms, "data", NULL), ==, 0);
    g_assert_cmpstr(perms, ==, "n6");
    close(own);
    xenemu_guest_detach(g);
}

/* What a toolstack wrote before the domain was there is still there. */
static void test_nodes_survive(Fixture *f, gconstpointer data)
{
    g_autofree char *state = NULL;
    XenemuGuest *g;
    int own;

    test_store_write(f->store, 0, "/local/domain/6/device/vif/0/state", "1");
    g_assert_cmpint(test_store_call(f->store, XS_SET_PERMS, 0, NULL,
                                    "/local/domain/6/device/vif/0/state", "n6", "r0", NULL),
                    ==, 0);
    g = test_guest(f->t, 6);
    own = test_store_connect(xenemu_guest_store_path(g));
    state = test_store_read(own, 0, "device/vif/0/state");
    g_assert_cmpstr(state, ==, "1");
    g_assert_cmpint(test_store_write(own, 0, "device/vif/0/state", "4"), ==, 0);
    close(own);
    xenemu_guest_detach(g);
}

static void assert_event(int fd, const char *expected)
{
    g_autofree char *event = test_store_event(fd);

    g_assert_cmpstr(event, ==, expected);
}

/* docs/misc/xenstore.txt, @introduceDomain, @releaseDomain, IS_DOMAIN_INTRODUCED. */
static void test_introduce_release(Fixture *f, gconstpointer data)
{
    XenemuGuest *g;

    test_store_call(f->store, XS_WATCH, 0, NULL, "@introduceDomain", "i", NULL);
    test_store_call(f->store, XS_WATCH, 0, NULL, "@releaseDomain", "r", NULL);
    assert_event(f->store, "@releaseDomain r");
    assert_introduced(f, "6", "F");
    g = test_guest(f->t, 6);
    assert_event(f->store, "@introduceDomain i");
    assert_introduced(f, "6", "T");
    xenemu_guest_detach(g);
    assert_event(f->store, "@releaseDomain r");
    assert_introduced(f, "6", "F");
    assert_introduced(f, "0", "T");
}

/* A dead domain's connections, transactions and watches are gone; what it wrote elsewhere stays. */
static void test_death_in_store(Fixture *f, gconstpointer data)
{
    XenemuGuest *g = test_guest(f->t, 6);
    int own = test_store_connect(xenemu_guest_store_path(g));
    g_autofree char *path = g_strdup(xenemu_guest_store_path(g));
    g_autofree char *left = NULL;
    g_autofree char *dir = NULL;
    char buf[XENSTORE_PAYLOAD_MAX + 1];
    size_t len;

    test_store_write(f->store, 0, "/shared", "");
    test_store_call(f->store, XS_SET_PERMS, 0, NULL, "/shared", "b0", NULL);
    g_assert_cmpint(test_store_write(own, 0, "/shared/x", "mine"), ==, 0);
    test_store_begin(own);
    xenemu_guest_detach(g);
    g_assert_cmpuint(test_store_recv(own, buf, &len), ==, XS_INVALID);
    close(own);
    g_assert_cmpint(g_access(path, F_OK), ==, -1);
    left = test_store_read(f->store, 0, "/shared/x");
    g_assert_cmpstr(left, ==, "mine");
    dir = test_store_read(f->store, 0, "/local/domain/6");
    g_assert_cmpstr(dir, ==, NULL);
}

/* kill -9: what remains of a domain in another process. */
static void test_killed(Fixture *f, gconstpointer data)
{
    const char *argv[] = { "/proc/self/exe", "--guest", f->t->path, NULL };
    char ready;
    GPid pid;
    int out;

    g_assert_true(g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
                                           G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, NULL,
                                           &out, NULL, NULL));
    g_assert_cmpint(read(out, &ready, 1), ==, 1);
    g_assert_true(xenemu_host_domain_alive(f->t->host, 8));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    test_wait_dead(f->t, 8);
    close(out);
}

static int guest_main(const char *path)
{
    char *errmsg = NULL;

    if (!xenemu_guest_attach(path, 8, TEST_RAM, NULL, &errmsg) || write(1, "x", 1) != 1) {
        return 1;
    }
    pause();
    return 0;
}

/* The sockets: a dead host's are replaced, a living one's are not, other files neither. */
static void test_sockets(Fixture *f, gconstpointer data)
{
    g_autofree char *other = g_build_filename(f->t->dir, "other", NULL);
    char *errmsg = NULL;
    XenemuHost *host;
    struct stat st;
    int fd;

    g_assert_null(xenemu_host_new(f->t->path, &errmsg));
    g_assert_nonnull(strstr(errmsg, "is in use by another process"));
    free(errmsg);

    fd = sock_listen(other, SOCK_SEQPACKET, &errmsg);
    close(fd); /* and nobody unlinks it */
    host = xenemu_host_new(other, &errmsg);
    g_assert_nonnull(host);
    g_assert_cmpint(stat(xenemu_host_store_path(host), &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0777, ==, 0600);
    xenemu_host_free(host);

    g_assert_true(g_file_set_contents(other, "precious", -1, NULL));
    g_assert_null(xenemu_host_new(other, &errmsg));
    g_assert_nonnull(strstr(errmsg, "exists and is not a socket"));
    free(errmsg);
    g_assert_cmpint(g_unlink(other), ==, 0);
}

/* unix(7): sun_path has 108 bytes, and the guests' sockets have longer names. */
static void test_long_path(Fixture *f, gconstpointer data)
{
    g_autofree char *longest = g_strnfill(200, 'x');
    g_autofree char *path = g_build_filename(f->t->dir, longest, NULL);
    g_autofree char *just = g_strndup(path, 100);
    char *errmsg = NULL;

    g_assert_null(xenemu_host_new(path, &errmsg));
    g_assert_nonnull(strstr(errmsg, "is too long"));
    free(errmsg);
    g_assert_null(xenemu_host_new(just, &errmsg));
    g_assert_nonnull(strstr(errmsg, "is too long"));
    free(errmsg);
    g_assert_null(xenemu_host_new("/nonexistent/xen", &errmsg));
    g_assert_nonnull(strstr(errmsg, "No such file or directory"));
    free(errmsg);
    g_assert_null(xenemu_guest_attach(just, 1, TEST_RAM, NULL, &errmsg));
    g_assert_nonnull(strstr(errmsg, "could not attach"));
    free(errmsg);
}

static unsigned count_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

/* Many domains, one after the other, that end in the middle of everything. */
static void test_no_leaks(Fixture *f, gconstpointer data)
{
    unsigned before;

    assert_introduced(f, "0", "T"); /* the host has accepted our own connection */
    before = count_fds();
    for (int i = 0; i < 200; i++) {
        XenemuGuest *g = test_guest(f->t, -1);
        uint16_t domid = xenemu_guest_domid(g);
        XenemuEvtchn *ge = xenemu_guest_evtchn_open(g);
        XenemuEvtchn *he = xenemu_host_evtchn_open(f->t->host);
        XenemuGnttab *gt = xenemu_gnttab_open(f->t->host);
        void *page = xenemu_guest_alloc_pages(g, 1);
        uint32_t ref = (uint32_t)xenemu_guest_grant_access(g, 0, page, true);
        int port = xenemu_evtchn_alloc_unbound(ge, 0);
        void *mapped;

        xenemu_evtchn_alloc_unbound(he, domid);
        g_assert_cmpint(xenemu_evtchn_bind_interdomain(he, domid, (uint32_t)port), >, 0);
        mapped = xenemu_gnttab_map(gt, domid, &ref, 1, true);
        g_assert_nonnull(mapped);
        shutdown(xenemu_guest_fd(g), SHUT_RDWR);
        xenemu_evtchn_close(ge);
        xenemu_guest_detach(g);
        g_assert_cmpint(xenemu_gnttab_unmap(gt, mapped, 1), ==, 0); /* a dead domain's page */
        xenemu_gnttab_close(gt);
        xenemu_evtchn_close(he);
        test_wait_dead(f->t, domid);
    }
    for (int i = 0; i < 1000 && count_fds() > before; i++) {
        g_usleep(1000); /* the host's thread closes after it has buried */
    }
    g_assert_cmpuint(count_fds(), ==, before);
}

/* The host's process, until a signal ends it. */
static int host_main(const char *path)
{
    char *errmsg = NULL;

    if (!xenemu_host_new(path, &errmsg)) {
        return 1;
    }
    for (;;) {
        pause();
    }
}

static void stop(GPid pid)
{
    kill(pid, SIGSTOP);
    g_assert_cmpint(waitpid(pid, NULL, WUNTRACED), ==, pid);
}

static void remove_sockets(const char *path)
{
    static const char *const ends[] = { "", ".xenstore", ".xenstore.1" };

    for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autofree char *name = g_strconcat(path, ends[i], NULL);

        unlink(name);
    }
}

static GPid spawn_host(char *path)
{
    char *argv[] = { program, (char *)(uintptr_t)"--host", path, NULL };
    g_autoptr(GError) error = NULL;
    GPid pid;

    g_spawn_async(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, &error);
    g_assert_no_error(error);
    return pid;
}

static void kill_host(GPid pid, const char *path)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    g_spawn_close_pid(pid);
    remove_sockets(path);
}

/* As domain 1, as soon as the host is there. */
static XenemuGuest *attach_first(const char *path)
{
    XenemuGuest *g = NULL;

    for (int i = 0; i < 10000 && !g; i++) {
        char *errmsg = NULL;

        g = xenemu_guest_attach(path, 1, TEST_RAM, NULL, &errmsg);
        free(errmsg);
        g_usleep(1000);
    }
    g_assert_nonnull(g);
    return g;
}

/*
 * A host that is stopped: calls end, the second at once. What they asked for is undone when it
 * goes on; what was closed meanwhile is closed then.
 */
static void test_host_stops(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_strdup_printf("%s.2", f->t->path);
    GPid pid = spawn_host(path);
    XenemuGuest *g = attach_first(path);
    XenemuEvtchn *e;
    int port, r;

    e = xenemu_guest_evtchn_open(g);
    port = xenemu_evtchn_alloc_unbound(e, 0);
    g_assert_cmpint(port, >, 0);
    stop(pid);
    for (int i = 0; i < 100; i++) { /* a minute, if each waited */
        g_assert_cmpint(xenemu_evtchn_alloc_unbound(e, 0), ==, -ETIMEDOUT);
    }
    g_assert_cmpint(xenemu_evtchn_unbind(e, (uint32_t)port), ==, 0);
    kill(pid, SIGCONT);
    /* its answer comes late: that is not its end */
    g_assert_true(test_readable(xenemu_guest_fd(g), 5000));
    g_assert_cmpint(poll(&(struct pollfd){ .fd = xenemu_guest_fd(g) }, 1, 0), ==, 0);
    do {
        r = xenemu_evtchn_alloc_unbound(e, 0);
    } while (r == -ETIMEDOUT);
    g_assert_cmpint(r, ==, port); /* the first that is free */
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(e, 0), ==, port + 1);
    stop(pid);
    xenemu_evtchn_close(e);
    xenemu_guest_detach(g);
    kill_host(pid, path);
}

/* RLIMIT_NOFILE, and what it was. */
static rlim_t limit_fds(rlim_t n)
{
    struct rlimit lim;
    rlim_t old;

    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &lim), ==, 0);
    old = lim.rlim_cur;
    lim.rlim_cur = n;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &lim), ==, 0);
    return old;
}

/* What the host lacks is named as such, and no port is left half made. */
static void test_host_out_of_fds(Fixture *f, gconstpointer data)
{
    XenemuGuest *g = test_guest(f->t, 1);
    XenemuEvtchn *e = xenemu_guest_evtchn_open(g);
    rlim_t old = limit_fds(70); /* those below 64 are not for guests */

    attach_fails(f->t, 2, TEST_RAM, "the host has no file descriptors left");
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(e, 0), ==, -ENFILE);
    limit_fds(old);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(e, 0), ==, 1);
    xenemu_evtchn_close(e);
    xenemu_guest_detach(g);
}

/* As with a full /dev/shm: here no file may become as large as a domain's RAM. */
static void test_host_out_of_memory(Fixture *f, gconstpointer data)
{
    struct rlimit lim, old;
    XenemuGuest *g;

    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
    lim = old;
    lim.rlim_cur = TEST_RAM / 2;
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &lim), ==, 0);
    attach_fails(f->t, 2, TEST_RAM, "the host has no memory for this domain");
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &old), ==, 0);
    signal(SIGXFSZ, SIG_DFL);
    g = test_guest(f->t, 2);
    xenemu_guest_detach(g);
}

static void test_too_many_domains(Fixture *f, gconstpointer data)
{
    XenemuGuest *g[HOST_MAX_DOMAINS];

    for (unsigned i = 0; i < G_N_ELEMENTS(g); i++) {
        g[i] = test_guest(f->t, (int)i + 1);
    }
    attach_fails(f->t, 1000, TEST_RAM, "too many domains");
    xenemu_guest_detach(g[5]);
    g[5] = test_guest(f->t, 1000);
    for (unsigned i = 0; i < G_N_ELEMENTS(g); i++) {
        xenemu_guest_detach(g[i]);
    }
}

/* What a guest lacks, too. */
static void test_guest_out_of_fds(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_strdup_printf("%s.2", f->t->path);
    GPid pid = spawn_host(path);
    XenemuGuest *g = attach_first(path);
    XenemuEvtchn *e = xenemu_guest_evtchn_open(g);
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char *errmsg = NULL;
    rlim_t old;

    close(next);
    old = limit_fds((rlim_t)next + 1);
    g_assert_null(xenemu_guest_attach(path, 2, TEST_RAM, NULL, &errmsg));
    g_assert_nonnull(strstr(errmsg, "this process has no file descriptors left"));
    free(errmsg);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(e, 0), ==, -EMFILE);
    limit_fds(old);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(e, 0), ==, 1); /* the first is free again */
    xenemu_evtchn_close(e);
    xenemu_guest_detach(g);
    kill_host(pid, path);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc == 3 && strcmp(argv[1], "--host") == 0) {
        return host_main(argv[2]);
    }
#define ADD(name, fn) g_test_add(name, Fixture, NULL, setup, fn, teardown)
    if (argc == 3 && strcmp(argv[1], "--guest") == 0) {
        return guest_main(argv[2]);
    }
    g_test_init(&argc, &argv, NULL);
    ADD("/domain/numbers", test_numbers);
    ADD("/domain/ram", test_ram);
    ADD("/domain/seals", test_seals);
    ADD("/domain/nonsense", test_nonsense);
    ADD("/domain/bad-requests", test_bad_requests);
    ADD("/domain/idle-clients", test_idle_clients);
    ADD("/domain/nodes", test_nodes);
    ADD("/domain/nodes-survive", test_nodes_survive);
    ADD("/domain/introduce-release", test_introduce_release);
    ADD("/domain/death-in-store", test_death_in_store);
    ADD("/domain/host-stops", test_host_stops);
    ADD("/domain/host-out-of-fds", test_host_out_of_fds);
    ADD("/domain/host-out-of-memory", test_host_out_of_memory);
    ADD("/domain/too-many-domains", test_too_many_domains);
    ADD("/domain/guest-out-of-fds", test_guest_out_of_fds);
    ADD("/domain/killed", test_killed);
    ADD("/domain/no-leaks", test_no_leaks);
    ADD("/domain/sockets", test_sockets);
    ADD("/domain/long-path", test_long_path);
    return g_test_run();
}
