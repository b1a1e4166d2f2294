/*
 * Which iothread serves which queue: iothread= and iothread-vq-mapping=, with QEMU's
 * rules and words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vq-mapping.h"

#include "hw/net/netif-info.h"
#include "util/vq-mapping.h"

static bool mapping_check(System *s, const GArray *mapping, unsigned n_queues, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    bool has_vqs = g_array_index(mapping, VqMapping *, 0)->vqs != NULL;

    for (guint i = 0; i < mapping->len; i++) {
        const VqMapping *map = g_array_index(mapping, VqMapping *, i);

        if (!object_find(s, map->iothread)) {
            return system_set_error(error, "IOThread \"%s\" object does not exist",
                                    map->iothread);
        }
        if (!g_hash_table_add(seen, map->iothread)) {
            return system_set_error(error, "duplicate IOThread name \"%s\" in "
                                    "iothread-vq-mapping", map->iothread);
        }
        if (has_vqs != (map->vqs != NULL)) {
            return system_set_error(error, "either all items in iothread-vq-mapping must have "
                                    "vqs or none of them must have it");
        }
        for (guint j = 0; map->vqs && j < map->vqs->len; j++) {
            unsigned vq = g_array_index(map->vqs, uint16_t, j);

            if (vq >= n_queues) {
                return system_set_error(error, "vq index %u for IOThread \"%s\" must be less "
                                        "than num_queues %u in iothread-vq-mapping", vq,
                                        map->iothread, n_queues);
            }
        }
    }
    return true;
}

static bool mapping_assign(System *s, const GArray *mapping, unsigned n_queues,
                           IoThread **threads, GError **error)
{
    for (guint i = 0; i < mapping->len; i++) {
        const VqMapping *map = g_array_index(mapping, VqMapping *, i);
        IoThread *thread = object_find(s, map->iothread)->thread;

        for (guint j = 0; map->vqs && j < map->vqs->len; j++) {
            unsigned vq = g_array_index(map->vqs, uint16_t, j);

            if (threads[vq]) {
                return system_set_error(error, "cannot assign vq %u to IOThread \"%s\" because "
                                        "it is already assigned", vq, map->iothread);
            }
            threads[vq] = thread;
        }
        for (unsigned vq = i; !map->vqs && vq < n_queues; vq += mapping->len) {
            threads[vq] = thread;
        }
    }
    for (unsigned vq = 0; vq < n_queues; vq++) {
        if (!threads[vq]) {
            return system_set_error(error, "missing vq %u IOThread assignment in "
                                    "iothread-vq-mapping", vq);
        }
    }
    return true;
}

static void mapping_use(Device *d, IoThreadObject *o)
{
    o->users++;
    g_ptr_array_add(d->users, o);
}

unsigned vq_mapping_queues(const Device *d)
{
    return MIN(d->peer->n_queues, NETIF_MAX_QUEUES);
}

static bool mapping_set_all(Device *d, const char *iothread, IoThread **threads, GError **error)
{
    IoThreadObject *o = object_find(d->s, iothread);

    if (!o) {
        g_set_error(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found",
                    iothread);
        return false;
    }
    for (unsigned vq = 0; vq < vq_mapping_queues(d); vq++) {
        threads[vq] = o->thread;
    }
    mapping_use(d, o);
    return true;
}

bool vq_mapping_resolve(Device *d, const char *iothread, const GArray *mapping,
                        IoThread **threads, GError **error)
{
    if (iothread && mapping) {
        return system_set_error(error, "iothread and iothread-vq-mapping properties cannot be "
                                "set at the same time");
    }
    if (iothread) {
        return mapping_set_all(d, iothread, threads, error);
    }
    if (!mapping) {
        return true;
    }
    if (mapping->len == 0) {
        return system_set_error(error, "missing vq 0 IOThread assignment in iothread-vq-mapping");
    }
    if (!mapping_check(d->s, mapping, vq_mapping_queues(d), error) ||
        !mapping_assign(d->s, mapping, vq_mapping_queues(d), threads, error)) {
        return false;
    }
    for (guint i = 0; i < mapping->len; i++) {
        const VqMapping *map = g_array_index(mapping, VqMapping *, i);

        mapping_use(d, object_find(d->s, map->iothread));
    }
    return true;
}
