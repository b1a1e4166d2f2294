/*
 * What a qtest client can send: the real server on its real socket, with a guest of an emulated
 * Xen, a timer, a small dom0 and an interrupt controller. Each line has one answer, and nothing is
 * left behind.
 *
 * An input is the client's bytes, but for those that are no UTF-8:
 *     0xff          what follows arrives later, when all before it was answered
 *     0xfe          the client goes away, another one comes
 *     0xfd          another one comes, and replaces it
 *     0xfc          the client reads no answers, up to the next 0xfc
 *     0xfb          dom0 binds to the guest's ports, notifies them, and uses its first grant
 *     0xfa N BYTE   N times 64 KiB of BYTE, in a line
 *     0xf9          as the first byte: there is no Xen, and no timer
 *     0xf8          interrupt lines of "gic" change, all that there are
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qtest/qtest.h"
#include "util/clock.h"
#include "xenemu.h"

#define DOMID       1
#define MAX_LINE    (8388608 + 256) /* docs/devel/qtest.rst */
#define BLOCK       65536u
#define MAX_REPEATS 160u            /* of a block, in an input: some more than MAX_LINE */
#define MAX_ANSWERS (32u << 20)     /* then the input ends, so that none takes seconds */
#define MAX_MEMORY  (48u << 20)     /* a line in, an answer out, each in its array */
#define TIMER_NS    1000u
#define IRQS        3u

static char *dir; /* of the sockets, as long as the process lives */

/* --- a client --- */

typedef struct Client {
    int fd;
    bool deaf;          /* reads no answers */
    GByteArray *out;    /* not sent yet */
    size_t lines;       /* that were complete */
    size_t partial;     /* bytes of the one that is not */
    size_t answers;
    size_t answer_bytes;
    char head[17];      /* of an answer: its beginning, and NULs */
    size_t head_len;
} Client;

static void client_connect(Client *c)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    g_snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/qtest", dir);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(c->fd, >=, 0);
    g_assert_cmpint(connect(c->fd, (const void *)&addr, sizeof(addr)), ==, 0);
    g_byte_array_set_size(c->out, 0);
    c->deaf = false;
    c->lines = c->partial = c->answers = c->head_len = 0;
}

static void client_answer_ends(Client *c)
{
    static const char *const words[] = { "OK", "FAIL", "ERR" };
    bool ok = false;

    memset(c->head + c->head_len, 0, sizeof(c->head) - c->head_len);
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        size_t len = strlen(words[i]);

        ok |= g_str_has_prefix(c->head, words[i]) && (c->head_len == len || c->head[len] == ' ');
    }
    if (strncmp(c->head, "IRQ ", 4) == 0) {
        c->head_len = 0; /* nobody asked */
        return;
    }
    if (!ok) {
        g_error("an answer begins with '%s'", c->head);
    }
    c->answers++;
    c->head_len = 0;
}

static void client_got(Client *c, const char *data, size_t len)
{
    c->answer_bytes += len;
    g_assert_null(memchr(data, '\0', len));
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;
        size_t head = MIN(n, sizeof(c->head) - 1 - c->head_len);

        memcpy(c->head + c->head_len, data, head);
        c->head_len += head;
        if (end) {
            client_answer_ends(c);
            n++;
        }
        data += n;
        len -= n;
    }
}

static bool client_send(Client *c)
{
    ssize_t n = c->out->len == 0 ? 0 :
                send(c->fd, c->out->data, c->out->len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n <= 0) {
        g_assert_true(n == 0 || errno == EAGAIN);
        return false;
    }
    g_byte_array_remove_range(c->out, 0, (guint)n);
    return true;
}

static bool client_recv(Client *c)
{
    char buf[8192];
    ssize_t n = c->deaf ? 0 : recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (!c->deaf) {
        g_assert_cmpint(n, !=, 0); /* it hung up */
        g_assert_true(n > 0 || errno == EAGAIN);
        client_got(c, buf, (size_t)MAX(n, 0));
    }
    return n > 0;
}

/* Known to a sanitizer only. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t memory_used(void)
{
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() : 0;
}

static bool client_has_enough(const Client *c)
{
    return c->answer_bytes > MAX_ANSWERS;
}

/* Until nobody has anything to do. A unix socket has no delays of its own. */
static void client_run(Client *c)
{
    bool moved;

    do {
        moved = client_send(c);
        moved |= g_main_context_iteration(NULL, FALSE);
        moved |= client_recv(c);
        if (client_has_enough(c)) {
            return;
        }
        if (!moved && c->out->len > 0) {
            c->deaf = false; /* it has to read, before the server reads on */
            moved = true;
        }
    } while (moved);
    if (!c->deaf) {
        g_assert_cmpuint(c->answers, ==, c->lines + (c->partial > MAX_LINE));
    }
}

static void client_say(Client *c, const uint8_t *data, size_t len)
{
    const uint8_t *end;

    g_byte_array_append(c->out, data, (guint)len);
    while ((end = memchr(data, '\n', len)) != NULL) {
        c->lines++;
        c->partial = 0;
        len -= (size_t)(end + 1 - data);
        data = end + 1;
    }
    c->partial += len;
}

/* The server is well, whatever came before. */
static void client_end(Client *c)
{
    static const char last[] = "\nendianness\n";

    c->deaf = false;
    client_run(c);
    client_say(c, (const uint8_t *)last, c->partial > 0 ? 1 : 0);
    client_run(c);
    client_say(c, (const uint8_t *)last + 1, sizeof(last) - 2);
    client_run(c);
    if (!client_has_enough(c)) {
        g_assert_cmpstr(c->head, ==, "OK little");
    }
}

/* --- what the server is on --- */

typedef struct Machine {
    Xen *xen;
    XenemuEvtchn *evtchn; /* dom0's */
    XenemuGnttab *gnttab;
    ClockWaiter timer;
    IrqLines *irq;
    QtestIrqs irqs[2];
    Qtest *qtest;
} Machine;

static void timer_set(ClockWaiter *timer)
{
    __atomic_store_n(&timer->deadline_ns, clock_ns() + TIMER_NS, __ATOMIC_RELAXED);
}

static void timer_wake(ClockWaiter *timer)
{
    if (clock_ns() >= timer->deadline_ns) {
        timer_set(timer);
    }
}

static void machine_start(Machine *m, bool with_xen)
{
    g_autofree char *path = g_build_filename(dir, "xen", NULL);
    g_autofree char *chardev = g_strdup_printf("unix:%s/qtest,server=on,wait=off", dir);
    g_autoptr(GError) error = NULL;
    QtestConfig config = {
        .chardev = chardev, .log = "/dev/null", .domid = DOMID, .ram_size = XENEMU_RAM_MIN
    };

    m->irq = irq_lines_new(IRQS);
    m->irqs[0] = (QtestIrqs){ "gic", m->irq };
    config.irqs = m->irqs;
    clock_start_virtual(); /* from 0 again: nobody else looks at it now */
    if (with_xen) {
        m->xen = xen_xenemu_open_host(path, &error);
        g_assert_no_error(error);
        m->evtchn = xenemu_host_evtchn_open(m->xen->opaque);
        m->gnttab = xenemu_gnttab_open(m->xen->opaque);
        config.xen = m->xen;
        config.xen_path = path;
        m->timer.wake = timer_wake;
        timer_set(&m->timer);
        clock_add_waiter(&m->timer);
    }
    m->qtest = qtest_new(&config, &error);
    g_assert_no_error(error);
}

static void machine_stop(Machine *m)
{
    qtest_free(m->qtest);
    irq_lines_set(m->irq, 0, true); /* nobody watches */
    irq_lines_free(m->irq);
    clock_remove_waiter(&m->timer);
    xenemu_gnttab_close(m->gnttab);
    xenemu_evtchn_close(m->evtchn);
    if (m->xen) {
        xen_close(m->xen);
    }
}

/* What a backend does, so that ports are bound and faults have something to hit. */
static void machine_dom0(Machine *m)
{
    uint32_t ref = XENEMU_GRANT_FIRST;
    char buf[8];
    XenemuCopySeg seg = { .local = buf, .ref = ref, .len = sizeof(buf) };
    void *page;

    if (!m->xen) {
        return;
    }
    for (uint32_t port = 1; port < 5; port++) {
        xenemu_evtchn_bind_interdomain(m->evtchn, DOMID, port);
        xenemu_evtchn_notify(m->evtchn, port);
    }
    xenemu_evtchn_alloc_unbound(m->evtchn, DOMID);
    xenemu_evtchn_unbind(m->evtchn, 4);
    page = xenemu_gnttab_map(m->gnttab, DOMID, &ref, 1, true);
    if (page) {
        g_assert_cmpint(xenemu_gnttab_unmap(m->gnttab, page, 1), ==, 0);
    }
    xenemu_gnttab_copy(m->gnttab, DOMID, false, &seg, 1);
}

static void machine_irq(Machine *m)
{
    for (unsigned i = 0; i < IRQS; i++) {
        irq_lines_set(m->irq, i, !irq_lines_level(m->irq, i));
    }
}

/* --- inputs --- */

static void client_come(Client *c, bool replaces)
{
    int old = c->fd;

    if (!replaces) {
        close(old);
        while (g_main_context_iteration(NULL, FALSE)) {
            /* the server shall see it, before it sees the next one */
        }
    }
    client_connect(c);
    if (replaces) {
        client_run(c);
        close(old);
    }
}

static void client_repeat(Client *c, FuzzInput *in, unsigned *left)
{
    g_autofree uint8_t *block = g_malloc(BLOCK);
    uint8_t arg[2];
    unsigned n;

    fuzz_take(in, arg, sizeof(arg));
    memset(block, arg[1] == '\n' ? ' ' : arg[1], BLOCK);
    n = MIN(arg[0], *left);
    *left -= n;
    while (n-- > 0) {
        client_say(c, block, BLOCK);
        client_run(c);
    }
}

static void run_input(Machine *m, FuzzInput *in)
{
    Client c = { .out = g_byte_array_new() };
    unsigned repeats = MAX_REPEATS;
    size_t memory = memory_used();

    client_connect(&c);
    while (in->size > 0 && !client_has_enough(&c)) {
        uint8_t byte;

        fuzz_take(in, &byte, 1);
        if (byte < 0xf8 || byte == 0xf9) {
            client_say(&c, &byte, 1);
            continue;
        }
        client_run(&c);
        g_assert_cmpuint(memory_used(), <, memory + MAX_MEMORY);
        if (byte == 0xfe || byte == 0xfd) {
            client_come(&c, byte == 0xfd);
        } else if (byte == 0xfc) {
            c.deaf = !c.deaf;
        } else if (byte == 0xfb) {
            machine_dom0(m);
        } else if (byte == 0xf8) {
            machine_irq(m);
        } else if (byte == 0xfa) {
            client_repeat(&c, in, &repeats);
        }
    }
    client_end(&c);
    close(c.fd);
    g_byte_array_unref(c.out);
}

static unsigned count_fds(void)
{
    g_autoptr(GDir) fds = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(fds)) {
        n++;
    }
    return n;
}

/* GLib traps after a warning, which libFuzzer does not see. */
static void log_abort(const char *domain, GLogLevelFlags level, const char *text, void *opaque)
{
    if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING)) {
        fprintf(stderr, "%s: %s\n", domain ? domain : "", text);
        abort();
    }
}

static void remove_dir(void)
{
    g_rmdir(dir);
}

static void init(void)
{
    dir = g_dir_make_tmp("fuzz-qtest-XXXXXX", NULL);
    g_assert_nonnull(dir);
    atexit(remove_dir);
    g_log_set_default_handler(log_abort, NULL);
    g_main_context_default(); /* which has a descriptor, for ever */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { data, size };
    Machine m = { 0 };
    uint8_t first;
    unsigned fds;

    if (size < 1 || size > 65536) {
        return 0;
    }
    if (!dir) {
        init();
    }
    fds = count_fds();
    machine_start(&m, data[0] != 0xf9);
    if (data[0] == 0xf9) {
        fuzz_take(&in, &first, 1);
    }
    run_input(&m, &in);
    machine_stop(&m);
    g_assert_cmpuint(count_fds(), ==, fds);
    return 0;
}
