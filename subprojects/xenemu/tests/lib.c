/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

TestHost *test_host_new(void)
{
    TestHost *t = g_new0(TestHost, 1);
    char *errmsg = NULL;

    t->dir = g_dir_make_tmp("xenemu-XXXXXX", NULL);
    g_assert_nonnull(t->dir);
    t->path = g_build_filename(t->dir, "xen", NULL);
    t->host = xenemu_host_new(t->path, &errmsg);
    g_assert_cmpstr(errmsg, ==, NULL);
    return t;
}

void test_host_free(TestHost *t)
{
    xenemu_host_free(t->host);
    /* Nothing is left behind: the directory is empty. */
    g_assert_cmpint(g_rmdir(t->dir), ==, 0);
    g_free(t->path);
    g_free(t->dir);
    g_free(t);
}

XenemuGuest *test_guest(TestHost *t, int domid)
{
    char *errmsg = NULL;
    XenemuGuest *g = xenemu_guest_attach(t->path, domid, TEST_RAM, NULL, &errmsg);

    g_assert_cmpstr(errmsg, ==, NULL);
    return g;
}

void test_wait_dead(TestHost *t, uint16_t domid)
{
    for (int i = 0; i < 1000 && xenemu_host_domain_alive(t->host, domid); i++) {
        g_usleep(1000);
    }
    g_assert_false(xenemu_host_domain_alive(t->host, domid));
}

bool test_readable(int fd, int ms)
{
    struct pollfd p = { fd, POLLIN, 0 };

    return poll(&p, 1, ms) == 1;
}

/* --- XenStore --- */

int test_store_connect(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(sa.sun_path, path, sizeof(sa.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), ==, 0);
    return fd;
}

void test_store_send(int fd, uint32_t type, uint32_t tx, const void *data, size_t len)
{
    struct xsd_sockmsg header = { .type = type, .req_id = 7, .tx_id = tx,
                                  .len = (uint32_t)len };

    send(fd, &header, sizeof(header), MSG_NOSIGNAL);
    send(fd, data, len, MSG_NOSIGNAL);
}

static bool recv_all(int fd, void *buf, size_t len, int ms)
{
    size_t have = 0;

    while (have < len) {
        ssize_t n;

        if (!test_readable(fd, ms)) {
            return false;
        }
        n = recv(fd, (char *)buf + have, len - have, 0);
        if (n <= 0) {
            return false;
        }
        have += (size_t)n;
    }
    return true;
}

static uint32_t store_recv(int fd, char *buf, size_t *ret_len, int ms)
{
    struct xsd_sockmsg header;

    if (!recv_all(fd, &header, sizeof(header), ms)) {
        return XS_INVALID;
    }
    g_assert_cmpuint(header.len, <=, XENSTORE_PAYLOAD_MAX);
    g_assert_true(recv_all(fd, buf, header.len, ms));
    g_assert_cmpuint(header.req_id, ==, header.type == XS_WATCH_EVENT ? 0 : 7);
    buf[header.len] = '\0';
    *ret_len = header.len;
    return header.type;
}

uint32_t test_store_recv(int fd, char *buf, size_t *ret_len)
{
    return store_recv(fd, buf, ret_len, 1000);
}

static int error_number(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(xsd_errors); i++) {
        if (strcmp(xsd_errors[i].errstring, name) == 0) {
            return xsd_errors[i].errnum;
        }
    }
    g_assert_not_reached();
}

static int store_answer(int fd, uint32_t type, char **ret)
{
    char buf[XENSTORE_PAYLOAD_MAX + 1];
    uint32_t got;
    size_t len;

    do {
        got = test_store_recv(fd, buf, &len);
    } while (got == XS_WATCH_EVENT);
    if (got == XS_ERROR) {
        return error_number(buf);
    }
    g_assert_cmpuint(got, ==, type);
    if (ret) {
        *ret = g_memdup2(buf, len + 1);
    }
    return 0;
}

int test_store_call(int fd, uint32_t type, uint32_t tx, char **ret, ...)
{
    g_autoptr(GString) s = g_string_new(NULL);
    const char *arg;
    va_list ap;

    va_start(ap, ret);
    while ((arg = va_arg(ap, const char *))) {
        g_string_append_len(s, arg, (gssize)strlen(arg) + 1);
    }
    va_end(ap);
    test_store_send(fd, type, tx, s->str, s->len);
    return store_answer(fd, type, ret);
}

int test_store_write(int fd, uint32_t tx, const char *path, const char *value)
{
    g_autoptr(GString) s = g_string_new(path);

    g_string_append_c(s, '\0');
    g_string_append(s, value);
    test_store_send(fd, XS_WRITE, tx, s->str, s->len);
    return store_answer(fd, XS_WRITE, NULL);
}

char *test_store_read(int fd, uint32_t tx, const char *path)
{
    char *value = NULL;

    test_store_call(fd, XS_READ, tx, &value, path, NULL);
    return value;
}

uint32_t test_store_begin(int fd)
{
    g_autofree char *id = NULL;

    g_assert_cmpint(test_store_call(fd, XS_TRANSACTION_START, 0, &id, "", NULL), ==, 0);
    return (uint32_t)strtoul(id, NULL, 10);
}

int test_store_end(int fd, uint32_t tx, bool commit)
{
    return test_store_call(fd, XS_TRANSACTION_END, tx, NULL, commit ? "T" : "F", NULL);
}

char *test_store_event(int fd)
{
    char buf[XENSTORE_PAYLOAD_MAX + 1];
    uint32_t type;
    size_t len;

    do {
        type = store_recv(fd, buf, &len, 100);
    } while (type != XS_WATCH_EVENT && type != XS_INVALID);
    return type == XS_WATCH_EVENT ? g_strdup_printf("%s %s", buf, buf + strlen(buf) + 1) : NULL;
}
