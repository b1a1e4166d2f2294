/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store-conn.h"

#include <string.h>

bool store_path_is_child(const char *path, const char *parent)
{
    size_t len = strlen(parent);

    if (strcmp(parent, "/") == 0) {
        return path[0] == '/';
    }
    return strncmp(path, parent, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* The characters, doubled and trailing slashes: docs/misc/xenstore.txt. */
static bool path_is_valid(const char *path)
{
    if (strcmp(path, "/") == 0) {
        return true;
    }
    for (const char *p = path; *p; p++) {
        if (!g_ascii_isalnum(*p) && !strchr("-/_@", *p)) {
            return false;
        }
        if (*p == '/' && (p[1] == '/' || p[1] == '\0')) {
            return false;
        }
    }
    return strlen(path) <= XENSTORE_ABS_PATH_MAX;
}

char *store_path_canonical(const StoreConn *c, const char *name, bool watch)
{
    g_autofree char *path = NULL;

    if (name[0] == '/' || (watch && name[0] == '@')) {
        path = g_strdup(name);
    } else if (name[0] != '\0' && name[0] != '@' && strlen(name) <= XENSTORE_REL_PATH_MAX) {
        path = g_strdup_printf("/local/domain/%u/%s", c->domid, name);
    }
    return path && path_is_valid(path) ? g_steal_pointer(&path) : NULL;
}
