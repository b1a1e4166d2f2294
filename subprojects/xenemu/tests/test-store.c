/*
 * XenStore: docs/misc/xenstore.txt of Xen, and xen/io/xs_wire.h. Where a test follows
 * something else, it says so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib.h"

#include <string.h>
#include <unistd.h>

#include "store-limits.h"

typedef struct Fixture {
    TestHost *t;
    XenemuGuest *g;
    int dom0;
    int dom0b; /* another connection */
    int guest; /* domain 6's */
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->t = test_host_new();
    f->g = test_guest(f->t, 6);
    f->dom0 = test_store_connect(xenemu_host_store_path(f->t->host));
    f->dom0b = test_store_connect(xenemu_host_store_path(f->t->host));
    f->guest = test_store_connect(xenemu_guest_store_path(f->g));
}

static void teardown(Fixture *f, gconstpointer data)
{
    close(f->guest);
    close(f->dom0b);
    close(f->dom0);
    xenemu_guest_detach(f->g);
    test_host_free(f->t);
}

static void assert_value(int fd, uint32_t tx, const char *path, const char *expected)
{
    g_autofree char *value = test_store_read(fd, tx, path);

    g_assert_cmpstr(value, ==, expected);
}

static void assert_perms(int fd, const char *path, const char *first)
{
    g_autofree char *perms = NULL;

    g_assert_cmpint(test_store_call(fd, XS_GET_PERMS, 0, &perms, path, NULL), ==, 0);
    g_assert_cmpstr(perms, ==, first);
}

static void set_perms(int fd, const char *path, const char *first, const char *second)
{
    g_assert_cmpint(test_store_call(fd, XS_SET_PERMS, 0, NULL, path, first, second, NULL), ==, 0);
}

static void assert_event(int fd, const char *expected)
{
    g_autofree char *event = test_store_event(fd);

    g_assert_cmpstr(event, ==, expected);
}

static void watch(int fd, const char *path, const char *token)
{
    g_autofree char *first = g_strdup_printf("%s %s", path, token);

    g_assert_cmpint(test_store_call(fd, XS_WATCH, 0, NULL, path, token, NULL), ==, 0);
    assert_event(fd, first);
}

/* The answer to DIRECTORY: @len bytes, the names with their NULs. */
static void assert_directory(int fd, const char *names, size_t expected)
{
    char buf[XENSTORE_PAYLOAD_MAX + 1];
    size_t len;

    g_assert_cmpuint(test_store_recv(fd, buf, &len), ==, XS_DIRECTORY);
    g_assert_cmpmem(buf, len, names, expected);
}

static int rm(int fd, uint32_t tx, const char *path)
{
    return test_store_call(fd, XS_RM, tx, NULL, path, NULL);
}

static int mkdir_(int fd, uint32_t tx, const char *path)
{
    return test_store_call(fd, XS_MKDIR, tx, NULL, path, NULL);
}

/* --- nodes --- */

/* "WRITE creates any missing parent paths, with empty values." */
static void test_write_read(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(test_store_write(f->dom0, 0, "/a/b/c", "v"), ==, 0);
    assert_value(f->dom0b, 0, "/a/b/c", "v");
    assert_value(f->dom0b, 0, "/a/b", "");
    g_assert_cmpint(test_store_call(f->dom0, XS_READ, 0, NULL, "/a/x", NULL), ==, ENOENT);
}

/* "Store and read the octet string": with NULs in it. */
static void test_binary(Fixture *f, gconstpointer data)
{
    const char said[] = "/a\0x\0y";
    char buf[XENSTORE_PAYLOAD_MAX + 1];
    size_t len;

    test_store_send(f->dom0, XS_WRITE, 0, said, 6);
    g_assert_cmpuint(test_store_recv(f->dom0, buf, &len), ==, XS_WRITE);
    test_store_send(f->dom0, XS_READ, 0, "/a", 3);
    g_assert_cmpuint(test_store_recv(f->dom0, buf, &len), ==, XS_READ);
    g_assert_cmpuint(len, ==, 3);
    g_assert_cmpint(memcmp(buf, "x\0y", 3), ==, 0);
}

/* MKDIR: "If <path> or any parent already exists, its value is left unchanged." */
static void test_mkdir(Fixture *f, gconstpointer data)
{
    test_store_write(f->dom0, 0, "/a", "v");
    g_assert_cmpint(mkdir_(f->dom0, 0, "/a"), ==, 0);
    g_assert_cmpint(mkdir_(f->dom0, 0, "/a/b/c"), ==, 0);
    assert_value(f->dom0, 0, "/a", "v");
    assert_value(f->dom0, 0, "/a/b/c", "");
}

/* RM: with all children; not an error if missing, but if the parent is missing too. */
static void test_rm(Fixture *f, gconstpointer data)
{
    test_store_write(f->dom0, 0, "/a/b/c", "v");
    g_assert_cmpint(rm(f->dom0, 0, "/a/b"), ==, 0);
    assert_value(f->dom0, 0, "/a/b/c", NULL);
    assert_value(f->dom0, 0, "/a", "");
    g_assert_cmpint(rm(f->dom0, 0, "/a/b"), ==, 0);
    g_assert_cmpint(rm(f->dom0, 0, "/a/b/c"), ==, ENOENT);
    g_assert_cmpint(rm(f->dom0, 0, "/"), ==, EINVAL);
}

/* "The permitted character for paths", "Doubled slashes and trailing slashes", XENSTORE_*_MAX. */
static void test_paths(Fixture *f, gconstpointer data)
{
    static const char *const bad[] = { "", "/a/", "//a", "/a//b", "/a b", "/a.b", "/\xff",
                                       "@releaseDomain" };
    g_autofree char *xs = g_strnfill(XENSTORE_ABS_PATH_MAX, 'x');
    g_autofree char *longest = g_strdup_printf("/%.*s", XENSTORE_ABS_PATH_MAX - 1, xs);
    g_autofree char *too_long = g_strdup_printf("/%s", xs);
    g_autofree char *relative = g_strndup(xs, XENSTORE_REL_PATH_MAX + 1);

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_cmpint(mkdir_(f->dom0, 0, bad[i]), ==, EINVAL);
    }
    g_assert_cmpint(mkdir_(f->dom0, 0, "/az/AZ/09/-_@"), ==, 0);
    g_assert_cmpint(mkdir_(f->dom0, 0, longest), ==, 0);
    g_assert_cmpint(mkdir_(f->dom0, 0, too_long), ==, EINVAL);
    g_assert_cmpint(mkdir_(f->guest, 0, relative), ==, EINVAL);
}

/* "the path is taken to be relative to /local/domain/<domid>"; GET_DOMAIN_PATH. */
static void test_relative(Fixture *f, gconstpointer data)
{
    g_autofree char *path = NULL;

    g_assert_cmpint(test_store_write(f->guest, 0, "data/x", "v"), ==, 0);
    assert_value(f->dom0, 0, "/local/domain/6/data/x", "v");
    g_assert_cmpint(test_store_call(f->dom0, XS_GET_DOMAIN_PATH, 0, &path, "6", NULL), ==, 0);
    g_assert_cmpstr(path, ==, "/local/domain/6");
    g_assert_cmpint(test_store_call(f->dom0, XS_GET_DOMAIN_PATH, 0, NULL, "x", NULL), ==, EINVAL);
}

/* DIRECTORY: leaf names; DIRECTORY_PART: from an offset, an empty name at the end. */
static void test_directory(Fixture *f, gconstpointer data)
{
    char buf[XENSTORE_PAYLOAD_MAX + 1];
    const char *p;
    size_t len;

    test_store_write(f->dom0, 0, "/a/one", "");
    test_store_write(f->dom0, 0, "/a/two", "");
    test_store_send(f->dom0, XS_DIRECTORY, 0, "/a", 3);
    assert_directory(f->dom0, "one\0two", 8);
    test_store_send(f->dom0, XS_DIRECTORY_PART, 0, "/a\0" "4", 5);
    g_assert_cmpuint(test_store_recv(f->dom0, buf, &len), ==, XS_DIRECTORY_PART);
    p = buf + strlen(buf) + 1;
    g_assert_cmpint(memcmp(p, "two\0", 5), ==, 0);
    g_assert_cmpuint(len, ==, (size_t)(p - buf) + 5);
    test_store_send(f->dom0, XS_DIRECTORY_PART, 0, "/a\0" "999", 7);
    g_assert_cmpuint(test_store_recv(f->dom0, buf, &len), ==, XS_DIRECTORY_PART);
    g_assert_cmpuint(len, ==, strlen(buf) + 2);
}

/* --- permissions --- */

/* GET_PERMS, SET_PERMS: "w<domid> r<domid> b<domid> n<domid>". */
static void test_perms(Fixture *f, gconstpointer data)
{
    test_store_write(f->dom0, 0, "/a", "v");
    assert_perms(f->dom0, "/a", "n0");
    g_assert_cmpint(test_store_call(f->guest, XS_READ, 0, NULL, "/a", NULL), ==, EACCES);
    set_perms(f->dom0, "/a", "n0", "r6");
    assert_value(f->guest, 0, "/a", "v");
    g_assert_cmpint(test_store_write(f->guest, 0, "/a", "w"), ==, EACCES);
    set_perms(f->dom0, "/a", "n0", "w6");
    g_assert_cmpint(test_store_write(f->guest, 0, "/a", "w"), ==, 0);
    g_assert_cmpint(test_store_call(f->guest, XS_READ, 0, NULL, "/a", NULL), ==, EACCES);
    set_perms(f->dom0, "/a", "n0", "b6");
    assert_value(f->guest, 0, "/a", "w");
    g_assert_cmpint(test_store_call(f->guest, XS_SET_PERMS, 0, NULL, "/a", "n6", NULL), ==,
                    EACCES);
}

/* The XenBus wiki's `Permissions': the first entry is the owner, and what all others may. */
static void test_perms_default(Fixture *f, gconstpointer data)
{
    test_store_write(f->dom0, 0, "/a", "v");
    set_perms(f->dom0, "/a", "r0", "n5");
    assert_value(f->guest, 0, "/a", "v");
    set_perms(f->dom0, "/a", "r0", "n6");
    g_assert_cmpint(test_store_call(f->guest, XS_READ, 0, NULL, "/a", NULL), ==, EACCES);
    set_perms(f->dom0, "/a", "n6", "n5");
    g_assert_cmpint(test_store_write(f->guest, 0, "/a", "mine"), ==, 0);
    assert_value(f->dom0, 0, "/a", "mine");
}

/* What is made has its parent's rights; a guest owns what it makes (xenstored). */
static void test_perms_inherited(Fixture *f, gconstpointer data)
{
    test_store_write(f->dom0, 0, "/a", "v");
    set_perms(f->dom0, "/a", "n0", "b6");
    test_store_write(f->dom0, 0, "/a/dom0/x", "");
    assert_perms(f->dom0, "/a/dom0/x", "n0");
    g_assert_cmpint(test_store_write(f->guest, 0, "/a/guest/x", ""), ==, 0);
    assert_perms(f->dom0, "/a/guest/x", "n6");
}

/* Who may not see what is above a missing node is not told that it is missing. */
static void test_perms_missing(Fixture *f, gconstpointer data)
{
    test_store_write(f->dom0, 0, "/a", "v");
    g_assert_cmpint(test_store_call(f->guest, XS_READ, 0, NULL, "/a/x/y", NULL), ==, EACCES);
    g_assert_cmpint(test_store_write(f->guest, 0, "/a/x", ""), ==, EACCES);
    g_assert_cmpint(rm(f->guest, 0, "/a"), ==, EACCES);
    set_perms(f->dom0, "/a", "n0", "r6");
    g_assert_cmpint(test_store_call(f->guest, XS_READ, 0, NULL, "/a/x/y", NULL), ==, ENOENT);
}

/* xenstored: a guest may not give its nodes away; bad permissions are EINVAL. */
static void test_perms_bad(Fixture *f, gconstpointer data)
{
    static const char *const bad[] = { "", "x6", "r", "r-1", "r65536", "r6x", "6" };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_cmpint(test_store_call(f->guest, XS_SET_PERMS, 0, NULL, "data", bad[i], NULL),
                        ==, EINVAL);
    }
    g_assert_cmpint(test_store_call(f->guest, XS_SET_PERMS, 0, NULL, "data", NULL), ==, EINVAL);
    g_assert_cmpint(test_store_call(f->guest, XS_SET_PERMS, 0, NULL, "data", "n7", NULL), ==,
                    EPERM);
    set_perms(f->guest, "data", "n6", "r0");
}

/* --- watches --- */

/* "When a watch is first set up it is triggered once straight away"; then for children too. */
static void test_watch(Fixture *f, gconstpointer data)
{
    watch(f->dom0, "/a", "tok");
    test_store_write(f->dom0b, 0, "/a", "1");
    assert_event(f->dom0, "/a tok");
    test_store_write(f->dom0b, 0, "/a/b/c", "1");
    assert_event(f->dom0, "/a/b/c tok");
    test_store_write(f->dom0b, 0, "/ab", "1");
    test_store_write(f->dom0b, 0, "/", "1");
    assert_event(f->dom0, NULL);
    set_perms(f->dom0b, "/a/b", "n0", "r6");
    assert_event(f->dom0, "/a/b tok");
    g_assert_cmpint(rm(f->dom0b, 0, "/a/b/c"), ==, 0);
    assert_event(f->dom0, "/a/b/c tok");
}

/* "if the event was the recursive removal of an parent of <wpath>, <epath> is just <wpath>". */
static void test_watch_removed_subtree(Fixture *f, gconstpointer data)
{
    test_store_write(f->dom0b, 0, "/a/b/c/d", "1");
    watch(f->dom0, "/a/b/c", "low");
    watch(f->dom0, "/a", "high");
    g_assert_cmpint(rm(f->dom0b, 0, "/a/b"), ==, 0);
    assert_event(f->dom0, "/a/b/c low");
    assert_event(f->dom0, "/a/b high");
    assert_event(f->dom0, NULL);
}

/* "Iff <wpath> was specified as a relative pathname, the <epath> path will also be relative". */
static void test_watch_relative(Fixture *f, gconstpointer data)
{
    watch(f->guest, "data", "r");
    watch(f->guest, "/local/domain/6/data", "a");
    test_store_write(f->dom0, 0, "/local/domain/6/data/x", "1");
    assert_event(f->guest, "data/x r");
    assert_event(f->guest, "/local/domain/6/data/x a");
}

/* "Watches are supposed to be restricted by the permissions system". */
static void test_watch_permissions(Fixture *f, gconstpointer data)
{
    test_store_write(f->dom0, 0, "/a/secret", "1");
    test_store_write(f->dom0, 0, "/b/open", "1");
    set_perms(f->dom0, "/b/open", "n0", "r6");
    watch(f->guest, "/a", "a");
    watch(f->guest, "/b", "b");
    test_store_write(f->dom0, 0, "/a/secret", "2");
    test_store_write(f->dom0, 0, "/b/open", "2");
    assert_event(f->guest, "/b/open b");
    assert_event(f->guest, NULL);
    /* "an application may rely on being sent a watch when a path which it is able to read is
     * deleted": at once, and in a transaction. */
    g_assert_cmpint(rm(f->dom0, 0, "/b/open"), ==, 0);
    assert_event(f->guest, "/b/open b");
    watch(f->guest, "@releaseDomain", "s");
    xenemu_guest_detach(test_guest(f->t, 9));
    assert_event(f->guest, NULL);
}

static void test_watch_removed_in_transaction(Fixture *f, gconstpointer data)
{
    uint32_t tx;

    test_store_write(f->dom0, 0, "/b/open", "1");
    set_perms(f->dom0, "/b/open", "n0", "r6");
    watch(f->guest, "/b/open", "b");
    tx = test_store_begin(f->dom0);
    g_assert_cmpint(rm(f->dom0, tx, "/b"), ==, 0);
    assert_event(f->guest, NULL);
    g_assert_cmpint(test_store_end(f->dom0, tx, true), ==, 0);
    assert_event(f->guest, "/b/open b");
}

/* UNWATCH; the same path and token twice; RESET_WATCHES. */
static void test_unwatch(Fixture *f, gconstpointer data)
{
    watch(f->dom0, "/a", "1");
    watch(f->dom0, "/a", "2");
    g_assert_cmpint(test_store_call(f->dom0, XS_WATCH, 0, NULL, "/a", "1", NULL), ==, EEXIST);
    g_assert_cmpint(test_store_call(f->dom0, XS_UNWATCH, 0, NULL, "/a", "1", NULL), ==, 0);
    g_assert_cmpint(test_store_call(f->dom0, XS_UNWATCH, 0, NULL, "/a", "1", NULL), ==, ENOENT);
    test_store_write(f->dom0b, 0, "/a", "x");
    assert_event(f->dom0, "/a 2");
    g_assert_cmpint(test_store_call(f->dom0, XS_RESET_WATCHES, 0, NULL, "", NULL), ==, 0);
    test_store_write(f->dom0b, 0, "/a", "y");
    assert_event(f->dom0, NULL);
}

/* --- transactions --- */

/* "reads and writes happen on the copy", "cause an event only if and when committed". */
static void test_transaction(Fixture *f, gconstpointer data)
{
    uint32_t tx = test_store_begin(f->dom0);

    watch(f->dom0b, "/a", "t");
    g_assert_cmpint(test_store_write(f->dom0, tx, "/a/x", "1"), ==, 0);
    g_assert_cmpint(test_store_write(f->dom0, tx, "/a/y", "2"), ==, 0);
    assert_value(f->dom0, tx, "/a/x", "1");
    assert_value(f->dom0b, 0, "/a/x", NULL);
    assert_event(f->dom0b, NULL);
    g_assert_cmpint(test_store_end(f->dom0, tx, true), ==, 0);
    assert_event(f->dom0b, "/a/x t");
    assert_event(f->dom0b, "/a/y t");
    assert_value(f->dom0b, 0, "/a/x", "1");
    g_assert_cmpint(test_store_end(f->dom0, tx, true), ==, ENOENT);
}

/* "If F, the transaction is discarded." */
static void test_transaction_abort(Fixture *f, gconstpointer data)
{
    uint32_t tx = test_store_begin(f->dom0);

    test_store_write(f->dom0, tx, "/a", "1");
    g_assert_cmpint(test_store_end(f->dom0, tx, false), ==, 0);
    assert_value(f->dom0, 0, "/a", NULL);
}

/* "if there were any other intervening writes then our END gets EAGAIN": of what it touched. */
static void test_transaction_conflict(Fixture *f, gconstpointer data)
{
    uint32_t tx = test_store_begin(f->dom0);

    test_store_write(f->dom0b, 0, "/a", "0");
    assert_value(f->dom0, tx, "/a", "0");
    test_store_write(f->dom0, tx, "/b", "mine");
    test_store_write(f->dom0b, 0, "/a", "1");
    g_assert_cmpint(test_store_end(f->dom0, tx, true), ==, EAGAIN);
    assert_value(f->dom0, 0, "/b", NULL);
    assert_value(f->dom0, 0, "/a", "1");
}

/* The same: looked for what was not there, and somebody made it; and removal. */
static void test_transaction_conflict_made(Fixture *f, gconstpointer data)
{
    uint32_t tx = test_store_begin(f->dom0);
    uint32_t tx2;

    assert_value(f->dom0, tx, "/a", NULL);
    test_store_write(f->dom0b, 0, "/a", "1");
    g_assert_cmpint(test_store_end(f->dom0, tx, true), ==, EAGAIN);
    tx2 = test_store_begin(f->dom0);
    assert_value(f->dom0, tx2, "/a", "1");
    rm(f->dom0b, 0, "/a");
    test_store_write(f->dom0b, 0, "/a", "1");
    g_assert_cmpint(test_store_end(f->dom0, tx2, true), ==, EAGAIN);
}

/* "only intervening `conflicting' writes cause EAGAIN": the plan, which xenstored carried out. */
static void test_transaction_no_conflict(Fixture *f, gconstpointer data)
{
    uint32_t tx, tx2;

    test_store_write(f->dom0, 0, "/a/x", "0");
    test_store_write(f->dom0, 0, "/b/x", "0");
    tx = test_store_begin(f->dom0);
    tx2 = test_store_begin(f->dom0b);
    test_store_write(f->dom0, tx, "/a/x", "1");
    test_store_write(f->dom0b, tx2, "/b/x", "1");
    test_store_write(f->guest, 0, "data/z", "1");
    g_assert_cmpint(test_store_end(f->dom0, tx, true), ==, 0);
    g_assert_cmpint(test_store_end(f->dom0b, tx2, true), ==, 0);
    assert_value(f->dom0, 0, "/a/x", "1");
    assert_value(f->dom0, 0, "/b/x", "1");
}

/* A transaction that works on what is removed behind its back: it fails, nothing else. */
static void test_transaction_lost(Fixture *f, gconstpointer data)
{
    uint32_t tx;

    test_store_write(f->dom0, 0, "/a/b/c", "0");
    tx = test_store_begin(f->dom0);
    assert_value(f->dom0, tx, "/a/b", "");
    g_assert_cmpint(rm(f->dom0b, 0, "/a"), ==, 0);
    g_assert_cmpint(test_store_write(f->dom0, tx, "/a/b/d", "0"), ==, 0);
    g_assert_cmpint(rm(f->dom0, tx, "/a/b"), ==, 0);
    g_assert_cmpint(test_store_end(f->dom0, tx, true), ==, EAGAIN);
    assert_value(f->dom0, 0, "/a", NULL);
}

/*
 * "READs within transaction are from the copy": one that still lists what was removed
 * behind its back, and makes that anew, has one child by that name, which goes once.
 */
static void test_transaction_made_again(Fixture *f, gconstpointer data)
{
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    uint32_t tx;

    g_assert_cmpint(mkdir_(f->guest, 0, "data/p/a"), ==, 0);
    tx = test_store_begin(f->guest);
    g_assert_cmpint(test_store_call(f->guest, XS_DIRECTORY, tx, &before, "data/p", NULL), ==, 0);
    g_assert_cmpstr(before, ==, "a");
    g_assert_cmpint(rm(f->guest, 0, "data/p/a"), ==, 0);
    g_assert_cmpint(mkdir_(f->guest, tx, "data/p/a"), ==, 0);
    test_store_send(f->guest, XS_DIRECTORY, tx, "data/p", 7);
    assert_directory(f->guest, "a", 2);
    g_assert_cmpint(rm(f->guest, tx, "data/p"), ==, 0);
    g_assert_cmpint(test_store_end(f->guest, tx, true), ==, EAGAIN);
    g_assert_cmpint(test_store_call(f->guest, XS_DIRECTORY, 0, &after, "data/p", NULL), ==, 0);
    g_assert_cmpstr(after, ==, "");
}

/* Removed and made anew in one transaction. */
static void test_transaction_rm(Fixture *f, gconstpointer data)
{
    g_autofree char *list = NULL;
    uint32_t tx;

    test_store_write(f->dom0, 0, "/a/b/c", "0");
    tx = test_store_begin(f->dom0);
    g_assert_cmpint(rm(f->dom0, tx, "/a/b"), ==, 0);
    assert_value(f->dom0, tx, "/a/b/c", NULL);
    g_assert_cmpint(test_store_write(f->dom0, tx, "/a/b", "new"), ==, 0);
    assert_value(f->dom0b, 0, "/a/b/c", "0");
    g_assert_cmpint(test_store_end(f->dom0, tx, true), ==, 0);
    assert_value(f->dom0b, 0, "/a/b", "new");
    assert_value(f->dom0b, 0, "/a/b/c", NULL);
    g_assert_cmpint(test_store_call(f->dom0, XS_DIRECTORY, 0, &list, "/a", NULL), ==, 0);
    g_assert_cmpstr(list, ==, "b");
}

/* "It is not legal to send non-0 tx_id in TRANSACTION_START"; ids that there are not. */
static void test_transaction_ids(Fixture *f, gconstpointer data)
{
    uint32_t tx = test_store_begin(f->dom0);

    g_assert_cmpint(test_store_call(f->dom0, XS_TRANSACTION_START, tx, NULL, "", NULL), ==,
                    EBUSY);
    g_assert_cmpint(test_store_call(f->dom0, XS_READ, 12345, NULL, "/", NULL), ==, ENOENT);
    g_assert_cmpint(test_store_call(f->dom0b, XS_READ, tx + 9, NULL, "/", NULL), ==, ENOENT);
    g_assert_cmpint(test_store_end(f->dom0, 0, true), ==, ENOENT);
    g_assert_cmpint(test_store_call(f->dom0, XS_TRANSACTION_END, tx, NULL, "X", NULL), ==,
                    EINVAL);
    g_assert_cmpint(test_store_end(f->dom0, tx, true), ==, 0);
}

/* --- quotas: xenstored(8), --entry-nb, --entry-size, --watch-nb, --transaction --- */

static void test_quota_nodes(Fixture *f, gconstpointer data)
{
    int err = 0;
    int n = 0;

    for (; err == 0 && n < 2 * STORE_MAX_NODES; n++) {
        /* 100 in a directory: so many names fit there. */
        g_autofree char *path = g_strdup_printf("data/d%d/n%d", n / 100, n % 100);

        err = test_store_write(f->guest, 0, path, "");
    }
    g_assert_cmpint(err, ==, ENOSPC);
    g_assert_cmpint(n, >, STORE_MAX_NODES - 30);
    g_assert_cmpint(n, <=, STORE_MAX_NODES);
    g_assert_cmpint(test_store_write(f->guest, 0, "data/d0/n0", "changed"), ==, 0);
    g_assert_cmpint(test_store_write(f->guest, 0, "data/a/b", ""), ==, ENOSPC);
    g_assert_cmpint(test_store_write(f->dom0, 0, "/x", ""), ==, 0);
    g_assert_cmpint(rm(f->guest, 0, "data/d0/n1"), ==, 0);
    g_assert_cmpint(test_store_write(f->guest, 0, "data/again", ""), ==, 0);
}

/* The same in transactions: several at once do not get around it. */
static void test_quota_transactions_nodes(Fixture *f, gconstpointer data)
{
    uint32_t tx[2] = { test_store_begin(f->guest), test_store_begin(f->guest) };

    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 600; j++) {
            g_autofree char *path = g_strdup_printf("%s/d%d/n%d", i ? "attr" : "drivers",
                                                    j / 100, j % 100);

            g_assert_cmpint(test_store_write(f->guest, tx[i], path, ""), ==, 0);
        }
    }
    g_assert_cmpint(test_store_end(f->guest, tx[0], true), ==, 0);
    g_assert_cmpint(test_store_end(f->guest, tx[1], true), ==, ENOSPC);
    assert_value(f->dom0, 0, "/local/domain/6/attr/d0", NULL);
}

static void test_quota_tx_size(Fixture *f, gconstpointer data)
{
    uint32_t tx = test_store_begin(f->guest);
    int err = ENOENT;

    for (unsigned i = 0; err == ENOENT && i < 2 * STORE_MAX_TX_NODES; i++) {
        g_autofree char *path = g_strdup_printf("data/missing%u", i);

        err = test_store_call(f->guest, XS_READ, tx, NULL, path, NULL);
    }
    g_assert_cmpint(err, ==, ENOSPC);
}

/*
 * xenstored's write_node_raw(): sizeof(struct xs_tdb_record_hdr), 8 bytes for each right,
 * the value and the children's names with their NULs are less than the quota; not dom0's.
 */
static void test_quota_size(Fixture *f, gconstpointer data)
{
    const size_t len = 2047 - 24 - 8;
    g_autofree char *most = g_strnfill(len, 'x');
    g_autofree char *more = g_strnfill(len + 1, 'x');

    g_assert_cmpint(test_store_write(f->guest, 0, "data/x", more), ==, ENOSPC);
    assert_value(f->guest, 0, "data/x", NULL);
    g_assert_cmpint(test_store_write(f->guest, 0, "data/x", most), ==, 0);
    g_assert_cmpint(test_store_write(f->guest, 0, "data/x", more), ==, ENOSPC);
    g_assert_cmpint(test_store_call(f->guest, XS_SET_PERMS, 0, NULL, "data/x", "n6", "r0", NULL),
                    ==, ENOSPC);
    g_assert_cmpint(mkdir_(f->guest, 0, "data/x/y"), ==, ENOSPC);
    assert_value(f->guest, 0, "data/x", most);
    g_assert_cmpint(test_store_write(f->dom0, 0, "/x", more), ==, 0);
    assert_value(f->dom0, 0, "/x", more);
}

/* The same for the parent that gets a child, also one that is made for it; rm always works. */
static void test_quota_size_of_names(Fixture *f, gconstpointer data)
{
    g_autofree char *zs = g_strnfill(95, 'z');
    g_autofree char *ys = g_strnfill(2020, 'y');
    g_autofree char *deep = g_strdup_printf("data/n/%s", ys);
    g_autofree char *last = g_strdup_printf("/local/domain/6/data/d/%s-last", zs);

    /* 24 + 8 + 19 * 101 bytes fit, one more name does not. */
    for (int i = 0; i < 19; i++) {
        g_autofree char *path = g_strdup_printf("data/d/%s-%04d", zs, i);

        g_assert_cmpint(test_store_write(f->guest, 0, path, ""), ==, 0);
    }
    g_assert_cmpint(test_store_write(f->guest, 0, last, ""), ==, ENOSPC);
    g_assert_cmpint(test_store_write(f->dom0, 0, last, ""), ==, 0);
    g_assert_cmpint(test_store_write(f->guest, 0, "data/d", ""), ==, ENOSPC);
    g_assert_cmpint(rm(f->guest, 0, "data/d"), ==, 0);
    g_assert_cmpint(mkdir_(f->guest, 0, deep), ==, ENOSPC);
    assert_value(f->guest, 0, "data/n", NULL);
}

static void test_quota_watches(Fixture *f, gconstpointer data)
{
    int err = 0;
    unsigned n;

    for (n = 0; err == 0 && n < 2 * STORE_MAX_WATCHES; n++) {
        g_autofree char *token = g_strdup_printf("%u", n);

        err = test_store_call(f->guest, XS_WATCH, 0, NULL, "data", token, NULL);
    }
    g_assert_cmpint(err, ==, E2BIG);
    g_assert_cmpuint(n, ==, STORE_MAX_WATCHES + 1);
    g_assert_cmpint(test_store_call(f->guest, XS_UNWATCH, 0, NULL, "data", "0", NULL), ==, 0);
    g_assert_cmpint(test_store_call(f->guest, XS_WATCH, 0, NULL, "data", "n", NULL), ==, 0);
}

static void test_quota_transactions(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < STORE_MAX_TX; i++) {
        test_store_begin(f->guest);
    }
    g_assert_cmpint(test_store_call(f->guest, XS_TRANSACTION_START, 0, NULL, "", NULL), ==,
                    ENOSPC);
    g_assert_cmpint(test_store_call(f->guest, XS_RESET_WATCHES, 0, NULL, "", NULL), ==, 0);
    test_store_begin(f->guest);
}

/* "per domain": more connections do not get a guest more, nor another one less. */
static void test_quota_of_all_connections(Fixture *f, gconstpointer data)
{
    XenemuGuest *other_guest = test_guest(f->t, 7);
    int other = test_store_connect(xenemu_guest_store_path(other_guest));
    int second = test_store_connect(xenemu_guest_store_path(f->g));
    int err = ENOSPC;

    for (unsigned i = 0; i < STORE_MAX_TX; i++) {
        test_store_begin(i % 2 ? f->guest : second);
    }
    for (unsigned i = 0; i < STORE_MAX_WATCHES; i++) {
        g_autofree char *token = g_strdup_printf("%u", i);

        g_assert_cmpint(test_store_call(i % 2 ? f->guest : second, XS_WATCH, 0, NULL, "data",
                                        token, NULL), ==, 0);
    }
    g_assert_cmpint(test_store_call(second, XS_TRANSACTION_START, 0, NULL, "", NULL), ==,
                    ENOSPC);
    g_assert_cmpint(test_store_call(second, XS_WATCH, 0, NULL, "data", "n", NULL), ==, E2BIG);
    test_store_begin(other);
    watch(other, "data", "n");
    close(second);
    for (int i = 0; i < 1000 && err == ENOSPC; i++) {
        g_usleep(1000); /* until the host has noticed */
        err = test_store_call(f->guest, XS_TRANSACTION_START, 0, NULL, "", NULL);
    }
    g_assert_cmpint(err, ==, 0);
    watch(f->guest, "data", "n");
    close(other);
    xenemu_guest_detach(other_guest);
}

static void test_quota_perms(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(test_store_call(f->guest, XS_SET_PERMS, 0, NULL, "data", "n6", "r1", "r2",
                                    "r3", "r4", NULL), ==, 0);
    g_assert_cmpint(test_store_call(f->guest, XS_SET_PERMS, 0, NULL, "data", "n6", "r1", "r2",
                                    "r3", "r4", "r5", NULL), ==, ENOSPC);
}

/* --- domains --- */

/* INTRODUCE, RELEASE: "xenstored prevents its use other than by dom0". CONTROL. Unknown ones. */
static void test_privileged(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(test_store_call(f->guest, XS_INTRODUCE, 0, NULL, "6", "1", "1", NULL), ==,
                    EACCES);
    g_assert_cmpint(test_store_call(f->guest, XS_RELEASE, 0, NULL, "6", NULL), ==, EACCES);
    g_assert_cmpint(test_store_call(f->guest, XS_CONTROL, 0, NULL, "help", NULL), ==, EACCES);
    g_assert_cmpint(test_store_call(f->dom0, XS_CONTROL, 0, NULL, "help", NULL), ==, EINVAL);
    g_assert_cmpint(test_store_call(f->dom0, XS_INTRODUCE, 0, NULL, "9", "1", "1", NULL), ==,
                    EINVAL);
    g_assert_cmpint(test_store_call(f->dom0, XS_SET_TARGET, 0, NULL, "6", "7", NULL), ==, ENOSYS);
    g_assert_cmpint(test_store_call(f->dom0, 4711, 0, NULL, "", NULL), ==, ENOSYS);
    watch(f->dom0b, "@introduceDomain", "i");
    watch(f->dom0b, "@releaseDomain", "r");
    g_assert_cmpint(test_store_call(f->dom0, XS_INTRODUCE, 0, NULL, "6", "1", "1", NULL), ==, 0);
    assert_event(f->dom0b, "@introduceDomain i");
    g_assert_cmpint(test_store_call(f->dom0, XS_RELEASE, 0, NULL, "6", NULL), ==, 0);
    assert_event(f->dom0b, "@releaseDomain r");
    g_assert_cmpint(test_store_call(f->dom0, XS_RELEASE, 0, NULL, "6", NULL), ==, ENOENT);
}

int main(int argc, char **argv)
{
#define ADD(name, fn) g_test_add(name, Fixture, NULL, setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("/store/write-read", test_write_read);
    ADD("/store/binary", test_binary);
    ADD("/store/mkdir", test_mkdir);
    ADD("/store/rm", test_rm);
    ADD("/store/paths", test_paths);
    ADD("/store/relative", test_relative);
    ADD("/store/directory", test_directory);
    ADD("/store/perms", test_perms);
    ADD("/store/perms/default", test_perms_default);
    ADD("/store/perms/inherited", test_perms_inherited);
    ADD("/store/perms/missing", test_perms_missing);
    ADD("/store/perms/bad", test_perms_bad);
    ADD("/store/watch", test_watch);
    ADD("/store/watch/removed-subtree", test_watch_removed_subtree);
    ADD("/store/watch/relative", test_watch_relative);
    ADD("/store/watch/permissions", test_watch_permissions);
    ADD("/store/watch/removed-in-transaction", test_watch_removed_in_transaction);
    ADD("/store/watch/unwatch", test_unwatch);
    ADD("/store/transaction", test_transaction);
    ADD("/store/transaction/abort", test_transaction_abort);
    ADD("/store/transaction/conflict", test_transaction_conflict);
    ADD("/store/transaction/conflict-made", test_transaction_conflict_made);
    ADD("/store/transaction/no-conflict", test_transaction_no_conflict);
    ADD("/store/transaction/lost", test_transaction_lost);
    ADD("/store/transaction/made-again", test_transaction_made_again);
    ADD("/store/transaction/rm", test_transaction_rm);
    ADD("/store/transaction/ids", test_transaction_ids);
    ADD("/store/quota/nodes", test_quota_nodes);
    ADD("/store/quota/nodes-in-transactions", test_quota_transactions_nodes);
    ADD("/store/quota/transaction-size", test_quota_tx_size);
    ADD("/store/quota/size", test_quota_size);
    ADD("/store/quota/size-of-names", test_quota_size_of_names);
    ADD("/store/quota/watches", test_quota_watches);
    ADD("/store/quota/transactions", test_quota_transactions);
    ADD("/store/quota/of-all-connections", test_quota_of_all_connections);
    ADD("/store/quota/perms", test_quota_perms);
    ADD("/store/privileged", test_privileged);
    return g_test_run();
}
