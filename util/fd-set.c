/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/fd-set.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/options.h"

#define PREFIX "/dev/fdset/"

struct FdSets {
    GPtrArray *sets; /* FdSet *, by id */
    unsigned n_fds;
};

static void member_clear(gpointer opaque)
{
    FdSetMember *m = opaque;

    close(m->fd);
    g_free(m->opaque);
}

static void set_free(gpointer opaque)
{
    FdSet *set = opaque;

    g_array_unref(set->members);
    g_free(set);
}

FdSets *fd_sets_new(void)
{
    FdSets *s = g_new0(FdSets, 1);

    s->sets = g_ptr_array_new_with_free_func(set_free);
    return s;
}

void fd_sets_free(FdSets *s)
{
    if (s) {
        g_ptr_array_unref(s->sets);
        g_free(s);
    }
}

unsigned fd_sets_count(const FdSets *s)
{
    return s->sets->len;
}

const FdSet *fd_sets_nth(const FdSets *s, unsigned n)
{
    return g_ptr_array_index(s->sets, n);
}

/* Where the set is, or would be. */
static unsigned set_place(const FdSets *s, int64_t id)
{
    unsigned i = 0;

    while (i < s->sets->len && fd_sets_nth(s, i)->id < id) {
        i++;
    }
    return i;
}

static FdSet *set_find(const FdSets *s, int64_t id)
{
    unsigned i = set_place(s, id);
    FdSet *set = i < s->sets->len ? g_ptr_array_index(s->sets, i) : NULL;

    return set && set->id == id ? set : NULL;
}

static int64_t set_lowest_free(const FdSets *s)
{
    unsigned i = 0;

    while (i < s->sets->len && fd_sets_nth(s, i)->id == (int64_t)i) {
        i++;
    }
    return i;
}

static FdSet *set_make(FdSets *s, int64_t id)
{
    FdSet *set = g_new0(FdSet, 1);

    set->id = id;
    set->members = g_array_new(FALSE, FALSE, sizeof(FdSetMember));
    g_array_set_clear_func(set->members, member_clear);
    g_ptr_array_insert(s->sets, (gint)set_place(s, id), set);
    return set;
}

bool fd_sets_add(FdSets *s, int fd, int64_t id, const char *opaque, int64_t *ret_id,
                 GError **error)
{
    FdSetMember m = { fd, NULL };
    FdSet *set;

    if (s->n_fds >= FD_SET_MAX) {
        close(fd);
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_MFILE, "there are %u descriptors in sets "
                    "already", FD_SET_MAX);
        return false;
    }
    *ret_id = id == FD_SET_NEW ? set_lowest_free(s) : id;
    set = set_find(s, *ret_id);
    if (!set) {
        set = set_make(s, *ret_id);
    }
    m.opaque = g_strdup(opaque);
    g_array_append_val(set->members, m);
    s->n_fds++;
    return true;
}

bool fd_sets_remove(FdSets *s, int64_t id, int fd)
{
    FdSet *set = set_find(s, id);
    unsigned before = set ? set->members->len : 0;

    for (unsigned i = before; i-- > 0;) {
        if (fd < 0 || g_array_index(set->members, FdSetMember, i).fd == fd) {
            g_array_remove_index(set->members, i);
            s->n_fds--;
        }
    }
    if (!set || set->members->len == before) {
        return false;
    }
    if (set->members->len == 0) {
        g_ptr_array_remove(s->sets, set);
    }
    return true;
}

bool fd_sets_names(const char *path)
{
    return g_str_has_prefix(path, PREFIX);
}

int fd_dup_as(int fd, int flags)
{
    int has = fcntl(fd, F_GETFL);
    int copy;

    if (has < 0) {
        return -errno;
    }
    if ((has & O_ACCMODE) != (flags & O_ACCMODE)) {
        return -EACCES;
    }
    copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (copy < 0) {
        return -errno;
    }
    if (((has ^ flags) & O_DIRECT) && fcntl(copy, F_SETFL, has ^ O_DIRECT) < 0) {
        int err = errno;

        close(copy);
        return -err;
    }
    return copy;
}

int fd_sets_open(const FdSets *s, const char *path, int flags)
{
    const FdSet *set;
    uint64_t id;
    int r = -EACCES;

    if (!fd_sets_names(path) || !opt_parse_uint(path + strlen(PREFIX), G_MAXINT, &id)) {
        return -ENXIO;
    }
    set = set_find(s, (int64_t)id);
    if (!set) {
        return -ENOENT;
    }
    for (unsigned i = 0; i < set->members->len && r == -EACCES; i++) {
        r = fd_dup_as(g_array_index(set->members, FdSetMember, i).fd, flags);
    }
    return r;
}
