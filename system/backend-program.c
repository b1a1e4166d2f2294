/*
 * ringtap as a program that a VMM's manager starts by the conventions of QEMU's
 * docs/interop/vhost-user.rst, "Backend program conventions": --socket-path or --fd is a whole
 * vhost-user-net device, whose netdev is the one that is given.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev.h"

#define CHARDEV_ID "#vhost-user" /* not one that a user can give */
#define DRIVER     "vhost-user-net"

char *backend_program_capabilities(void)
{
    return g_strdup("{\"type\": \"net\", \"features\": []}\n");
}

static bool backend_program_set(char **slot, const char *other, const char *value, GError **error)
{
    if (other) {
        return system_set_error(error, "--socket-path and --fd cannot be used together");
    }
    g_free(*slot);
    *slot = g_strdup(value);
    return true;
}

bool backend_program_set_path(System *s, const char *arg, GError **error)
{
    return backend_program_set(&s->program.path, s->program.fd, arg, error);
}

bool backend_program_set_fd(System *s, const char *arg, GError **error)
{
    return backend_program_set(&s->program.fd, s->program.path, arg, error);
}

bool backend_program_wanted(const System *s)
{
    return s->program.path || s->program.fd;
}

/* What the device was made for is over: nobody can connect any more. */
static void backend_program_ended(void *opaque)
{
    System *s = opaque;

    if (s->state != RUN_SHUTDOWN) { /* a second one would be in a hurry */
        run_shutdown(s, "guest-shutdown");
    }
}

/* A descriptor may be connected, or be there to listen at. */
static bool backend_program_new_chardev(System *s, GError **error)
{
    SocketConfig config = {
        .id = (char *)CHARDEV_ID,
        .path = s->program.path,
        .fd = s->program.fd,
        .server = true,
        .ended = backend_program_ended,
    };
    uint64_t fd;

    if (s->program.fd && opt_parse_uint(s->program.fd, G_MAXINT, &fd)) {
        config.server = !chardev_fd_is_connected((int)fd);
    }
    return chardev_new_socket(s, &config, error) != NULL;
}

bool backend_program_prepare(System *s, GError **error)
{
    const char *option = s->program.path ? "--socket-path" : "--fd";

    if (!backend_program_wanted(s)) {
        return true;
    }
    if (s->netdevs->len != 1) {
        return system_set_error(error, "%s takes exactly one -netdev, not %u", option,
                                s->netdevs->len);
    }
    if (!backend_program_new_chardev(s, error)) {
        g_prefix_error(error, "%s: ", option);
        return false;
    }
    return true;
}

bool backend_program_add_device(System *s, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(OptDict) args = NULL;
    const Netdev *nd;

    if (!backend_program_wanted(s)) {
        return true;
    }
    nd = g_ptr_array_index(s->netdevs, 0);
    text = g_strdup_printf(DRIVER ",chardev=" CHARDEV_ID ",netdev=%s", nd->id);
    args = opt_dict_parse(text, "driver", error);
    return args && devices_add(s, args, error);
}
