/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/host-id.h"

#include <glib.h>
#include <string.h>

char *host_id_read(const char *const *files)
{
    for (size_t i = 0; files[i]; i++) {
        g_autofree char *text = NULL;

        if (g_file_get_contents(files[i], &text, NULL, NULL)) {
            text[strcspn(text, "\n")] = '\0';
            if (text[0]) {
                return g_steal_pointer(&text);
            }
        }
    }
    return g_strdup(g_get_host_name());
}

char *host_id(void)
{
    static const char *const files[] = { "/etc/machine-id", "/var/lib/dbus/machine-id", NULL };

    return host_id_read(files);
}
