/*
 * Which iothread serves which queue: iothread= and iothread-vq-mapping=, with QEMU's
 * rules and words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/vq-mapping.h"

static bool mapping_check(const Device *d, const GArray *mapping, unsigned n_queues,
                          GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    bool has_vqs = g_array_index(mapping, VqMapping *, 0)->vqs != NULL;

    for (guint i = 0; i < mapping->len; i++) {
        const VqMapping *map = g_array_index(mapping, VqMapping *, i);

        if (!device_find_thread(d, map->iothread)) {
            return device_set_error(error, "IOThread \"%s\" object does not exist",
                                    map->iothread);
        }
        if (!g_hash_table_add(seen, map->iothread)) {
            return device_set_error(error, "duplicate IOThread name \"%s\" in "
                                    "iothread-vq-mapping", map->iothread);
        }
        if (has_vqs != (map->vqs != NULL)) {
            return device_set_error(error, "either all items in iothread-vq-mapping must have "
                                    "vqs or none of them must have it");
        }
        for (guint j = 0; map->vqs && j < map->vqs->len; j++) {
            unsigned vq = g_array_index(map->vqs, uint16_t, j);

            if (vq >= n_queues) {
                return device_set_error(error, "vq index %u for IOThread \"%s\" must be less "
                                        "than num_queues %u in iothread-vq-mapping", vq,
                                        map->iothread, n_queues);
            }
        }
    }
    return true;
}

static bool mapping_assign(const Device *d, const GArray *mapping, unsigned n_queues,
                           IoThread **threads, GError **error)
{
    for (guint i = 0; i < mapping->len; i++) {
        const VqMapping *map = g_array_index(mapping, VqMapping *, i);
        IoThread *thread = device_find_thread(d, map->iothread);

        for (guint j = 0; map->vqs && j < map->vqs->len; j++) {
            unsigned vq = g_array_index(map->vqs, uint16_t, j);

            if (threads[vq]) {
                return device_set_error(error, "cannot assign vq %u to IOThread \"%s\" because "
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
            return device_set_error(error, "missing vq %u IOThread assignment in "
                                    "iothread-vq-mapping", vq);
        }
    }
    return true;
}

static bool mapping_set_all(Device *d, unsigned n_queues, const char *iothread,
                            IoThread **threads, GError **error)
{
    IoThread *thread = device_find_thread(d, iothread);

    if (!thread) {
        g_set_error(error, DEVICE_ERROR, DEVICE_ERROR_NOT_FOUND, "Device '%s' not found",
                    iothread);
        return false;
    }
    for (unsigned vq = 0; vq < n_queues; vq++) {
        threads[vq] = thread;
    }
    device_claim_thread(d, thread);
    return true;
}

bool vq_mapping_resolve(Device *d, unsigned n_queues, const char *iothread,
                        const GArray *mapping, IoThread **threads, GError **error)
{
    if (iothread && mapping) {
        return device_set_error(error, "iothread and iothread-vq-mapping properties cannot be "
                                "set at the same time");
    }
    if (iothread) {
        return mapping_set_all(d, n_queues, iothread, threads, error);
    }
    if (!mapping) {
        return true;
    }
    if (mapping->len == 0) {
        return device_set_error(error, "missing vq 0 IOThread assignment in iothread-vq-mapping");
    }
    if (!mapping_check(d, mapping, n_queues, error) ||
        !mapping_assign(d, mapping, n_queues, threads, error)) {
        return false;
    }
    for (guint i = 0; i < mapping->len; i++) {
        const VqMapping *map = g_array_index(mapping, VqMapping *, i);

        device_claim_thread(d, device_find_thread(d, map->iothread));
    }
    return true;
}
