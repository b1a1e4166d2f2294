/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/bound-path.h"

#include <glib.h>
#include <unistd.h>

bool bound_path_set(BoundPath *b, const char *path)
{
    if (stat(path, &b->st) < 0) {
        return false;
    }
    b->path = g_canonicalize_filename(path, NULL);
    return true;
}

void bound_path_remove(BoundPath *b)
{
    struct stat st;

    /* not another program's that took the path over */
    if (b->path && stat(b->path, &st) == 0 && st.st_ino == b->st.st_ino &&
        st.st_dev == b->st.st_dev) {
        unlink(b->path);
    }
    g_clear_pointer(&b->path, g_free);
}
