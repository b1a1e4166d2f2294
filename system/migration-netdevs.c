/*
 * Local migration: what is behind netdevs goes along, as descriptors.
 *
 * Of those that can (net/netdev.h); any other netdev is the receiver's own business, as in a
 * migration to another machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "migration.h"

#include "system.h"
#include "util/fd.h"
#include "util/log.h"

static void clear_fd(gpointer fd)
{
    fd_close(fd);
}

void migration_netdev_free(gpointer netdev)
{
    MigrationNetdev *n = netdev;

    if (n->received) {
        g_array_set_clear_func(n->fds, clear_fd);
    }
    g_free(n->type);
    g_free(n->id);
    g_byte_array_unref(n->state);
    g_array_unref(n->fds);
    g_free(n);
}

/* --- out --- */

void migration_netdevs_give(System *s, GPtrArray *out)
{
    for (guint i = 0; i < s->netdevs->len; i++) {
        Netdev *nd = g_ptr_array_index(s->netdevs, i);
        MigrationNetdev *n;

        if (!netdev_is_movable(nd)) {
            continue;
        }
        n = g_new0(MigrationNetdev, 1);
        n->type = g_strdup(nd->ops->type);
        n->id = g_strdup(nd->id);
        n->state = g_byte_array_new();
        n->fds = g_array_new(FALSE, FALSE, sizeof(int));
        g_array_set_size(n->fds, nd->n_queues);
        netdev_give(nd, n->state, (int *)(void *)n->fds->data);
        g_ptr_array_add(out, n);
    }
}

void migration_netdevs_take_back(System *s)
{
    for (guint i = 0; i < s->netdevs->len; i++) {
        Netdev *nd = g_ptr_array_index(s->netdevs, i);

        if (nd->given_away) {
            netdev_take_back(nd);
        }
    }
}

/* --- in --- */

static Netdev *receive(System *s, MigrationNetdev *n, GError **error)
{
    Netdev *nd = netdev_find(s, n->id);
    StateReader in = { .data = n->state->data, .left = n->state->len };

    if (!nd || !g_str_equal(nd->ops->type, n->type)) {
        system_set_error(error, "Netdev '%.64s' of type %.64s was received and there is none such "
                         "locally", n->id, n->type);
        return NULL;
    }
    n->received = false; /* its descriptors are taken */
    return netdev_receive(nd, &in, (const int *)(void *)n->fds->data, n->fds->len, error);
}

static bool has_come(const GPtrArray *received, const Netdev *nd)
{
    for (guint i = 0; received && i < received->len; i++) {
        if (g_str_equal(((const Netdev *)g_ptr_array_index(received, i))->id, nd->id)) {
            return true;
        }
    }
    return false;
}

static bool all_have_come(System *s, const GPtrArray *received, GError **error)
{
    for (guint i = 0; i < s->netdevs->len; i++) {
        const Netdev *nd = g_ptr_array_index(s->netdevs, i);

        if (nd->awaited && nd->in_use && !has_come(received, nd)) {
            return system_set_error(error, "netdev '%s' waits for its descriptors, and they did "
                                    "not come: the other side has to migrate with the parameter "
                                    "\"local\"", nd->id);
        }
    }
    return true;
}

bool migration_netdevs_receive(System *s, const GPtrArray *netdevs, GError **error)
{
    g_autoptr(GPtrArray) received =
        g_ptr_array_new_with_free_func((GDestroyNotify)netdev_free);

    for (guint i = 0; i < netdevs->len; i++) {
        Netdev *fresh = receive(s, g_ptr_array_index(netdevs, i), error);

        if (!fresh) {
            return false;
        }
        if (has_come(received, fresh)) {
            system_set_error(error, "Netdev '%s' is there twice", fresh->id);
            netdev_free(fresh);
            return false;
        }
        g_ptr_array_add(received, fresh);
    }
    if (!all_have_come(s, received, error)) {
        return false;
    }
    s->migration.received = g_steal_pointer(&received);
    return true;
}

void migration_netdevs_use(System *s)
{
    g_autoptr(GPtrArray) received = g_steal_pointer(&s->migration.received);

    while (received && received->len > 0) {
        Netdev *fresh = g_ptr_array_steal_index(received, 0);
        Netdev *nd = netdev_find(s, fresh->id);
        g_autoptr(GError) error = NULL;

        if (!nd || !nd->awaited) {
            netdev_free(fresh); /* it was removed meanwhile */
        } else if (!netdev_replace(nd, fresh, &error)) {
            warn_report("%s", error->message);
        }
    }
}
