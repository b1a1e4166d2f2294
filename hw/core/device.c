/*
 * A device's life, from the config to the end, and what a class may leave out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core-internal.h"

#include <stdarg.h>
#include <string.h>

G_DEFINE_QUARK(device-error-quark, device_error)

bool device_set_error(GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_propagate_error(error, g_error_new_valist(DEVICE_ERROR, DEVICE_ERROR_FAILED, fmt, ap));
    va_end(ap);
    return false;
}

const char *device_class_name(const DeviceClass *c)
{
    return c->options->name;
}

/* The char * at @offset of the config. */
static char **device_config_str(Device *d, size_t offset)
{
    return (char **)(void *)((char *)d->config + offset);
}

/* --- back ends and threads --- */

static const DeviceBackendKind *device_backend_kind(const Device *d, unsigned n)
{
    const DeviceBackendKind *const *kinds = d->registry->host->backends;

    while (!g_str_equal((*kinds)->property, d->class->backends[n].property)) {
        kinds++;
        g_assert(*kinds); /* a class's back ends are in the table */
    }
    return *kinds;
}

static bool device_claim_backend(Device *d, unsigned n, GError **error)
{
    const DeviceBackendKind *kind = device_backend_kind(d, n);
    const char *id = *device_config_str(d, d->class->backends[n].offset);
    void *found;

    if (!id) {
        return device_set_error(error, "Parameter '%s' is missing", kind->property);
    }
    found = kind->find(d->registry->opaque, id);
    if (!found) {
        return device_set_error(error, "Property '%s.%s' can't find value '%s'",
                                opt_table_owner(d->class->options), kind->property, id);
    }
    if (!kind->claim(d->registry->opaque, found)) {
        return device_set_error(error, "Property '%s.%s' can't take value '%s', it's in use",
                                opt_table_owner(d->class->options), kind->property, id);
    }
    d->backend[n] = found;
    return true;
}

static bool device_claim_backends(Device *d, GError **error)
{
    for (unsigned n = 0; d->class->backends[n].property; n++) {
        if (!device_claim_backend(d, n, error)) {
            return false;
        }
    }
    return true;
}

bool device_class_uses(const DeviceClass *c, const char *property)
{
    for (const DeviceBackendUse *use = c->backends; use->property; use++) {
        if (g_str_equal(use->property, property)) {
            return true;
        }
    }
    return false;
}

void *device_backend(const Device *d, const char *property)
{
    for (unsigned n = 0; d->class->backends[n].property; n++) {
        if (g_str_equal(d->class->backends[n].property, property)) {
            return d->backend[n];
        }
    }
    return NULL;
}

IoThread *device_find_thread(const Device *d, const char *id)
{
    return d->registry->host->find_thread(d->registry->opaque, id);
}

void device_claim_thread(Device *d, IoThread *thread)
{
    d->registry->host->claim_thread(d->registry->opaque, thread);
    g_ptr_array_add(d->threads, thread);
}

/* --- life --- */

Device *device_new(DeviceRegistry *r, const DeviceClass *c, const DeviceSeat *seat,
                   void *config)
{
    Device *d = g_new0(Device, 1);

    d->registry = r;
    d->class = c;
    d->seat = *seat;
    d->bus = seat->bus;
    d->config = config;
    d->guest = DEVICE_NOBODY;
    d->idx = -1;
    d->threads = g_ptr_array_new();
    device_events_init(d);
    return d;
}

/* Two with the same number would be two ends in one place. */
static bool device_identify(Device *d, GError **error)
{
    DeviceRegistry *r = d->registry;

    if (!d->class->identify) {
        return true;
    }
    if (!d->class->identify(d, error)) {
        return false;
    }
    for (unsigned i = 0; d->idx >= 0 && i < r->devices->len; i++) {
        const Device *other = g_ptr_array_index(r->devices, i);

        if (other->class == d->class && other->guest == d->guest && other->idx == d->idx) {
            g_autofree char *idx = g_strdup_printf("idx %d", d->idx);

            return device_set_error(error, "%s is in use by device '%s'",
                                    d->place[0] != '\0' ? d->place : idx, other->id);
        }
    }
    return true;
}

static bool device_set_id(Device *d, GError **error)
{
    char **id = device_config_str(d, d->class->id_offset);

    if (!*id) {
        *id = g_strdup_printf("#dev%u", d->registry->next_anon++);
    } else if (device_find(d->registry, *id)) {
        return device_set_error(error, d->registry->up ? "Duplicate device ID '%s'"
                                                       : "Duplicate ID '%s' for device", *id);
    }
    d->id = *id;
    return true;
}

bool device_realize(Device *d, GError **error)
{
    if (!device_set_id(d, error)) {
        return false;
    }
    if (d->class->bus && !d->bus) {
        return device_set_error(error, "No '%s' bus found for device '%s'", d->class->bus,
                                device_class_name(d->class));
    }
    if (!device_claim_backends(d, error) || !device_identify(d, error) ||
        !d->class->realize(d, error)) {
        return false;
    }
    g_assert(d->impl);
    return true;
}

void device_free(Device *d)
{
    const DeviceHost *host = d->registry->host;
    void *opaque = d->registry->opaque;

    g_clear_handle_id(&d->gone_tag, g_source_remove);
    if (d->impl) {
        d->class->unrealize(d);
    }
    device_events_done(d);
    for (guint i = 0; i < d->threads->len; i++) {
        host->release_thread(opaque, g_ptr_array_index(d->threads, i));
    }
    for (unsigned n = 0; n < DEVICE_MAX_BACKENDS; n++) {
        if (d->backend[n]) {
            device_backend_kind(d, n)->release(opaque, d->backend[n]);
        }
    }
    g_ptr_array_unref(d->threads);
    opt_config_free(d->class->options, d->config);
    g_free(d);
}

void device_start(Device *d)
{
    if (!d->started) {
        d->started = true;
        d->class->start(d);
    }
}

void device_drain(Device *d)
{
    if (d->started && !d->draining && d->class->drain) {
        d->draining = true;
        d->class->drain(d);
    }
}

void device_resume(Device *d)
{
    if (d->draining) {
        d->draining = false;
        d->drained = false;
        d->class->resume(d);
    }
}

bool device_close(Device *d, unsigned timeout_ms)
{
    if (d->closing) {
        return false;
    }
    d->closing = true;
    d->class->close(d, timeout_ms);
    return true;
}

static gboolean device_remove(gpointer opaque)
{
    Device *d = opaque;

    d->gone_tag = 0;
    device_events_flush(d);
    registry_remove(d);
    return G_SOURCE_REMOVE;
}

void device_gone(Device *d, const char *reason)
{
    if (reason) {
        d->registry->host->log(d->registry->opaque, d,
                               &(DeviceEvent){ .kind = DEVICE_GONE, .reason = reason });
    }
    d->closing = true;
    if (d->gone_tag == 0) {
        d->gone_tag = g_idle_add_full(G_PRIORITY_DEFAULT, device_remove, d, NULL);
    }
}

void device_drained(Device *d)
{
    g_assert(d->draining);
    d->drained = true;
    registry_drained(d->registry);
}

/* --- state, counters --- */

bool device_save(Device *d, GByteArray *out, GError **error)
{
    if (!d->class->save) {
        return device_set_error(error, "State of device '%s' cannot be saved", d->id);
    }
    if (d->started && d->class->drain && !d->drained) {
        return device_set_error(error, "Device '%s' is not stopped", d->id);
    }
    return d->class->save(d, out, error);
}

bool device_load(Device *d, const uint8_t *data, size_t len, GError **error)
{
    if (!d->class->load) {
        return device_set_error(error, "State of device '%s' cannot be loaded", d->id);
    }
    if (d->started) {
        return device_set_error(error, "Device '%s' has started", d->id);
    }
    return d->class->load(d, data, len, error);
}

void device_info(Device *d, DeviceInfo *ret_info)
{
    memset(ret_info, 0, sizeof(*ret_info));
    d->class->info(d, ret_info);
    g_assert(ret_info->state);
    g_assert(ret_info->n_queues <= ret_info->max_queues);
    g_assert(ret_info->max_queues <= DEVICE_MAX_QUEUES);
}

unsigned device_shown_queues(const Device *d, const DeviceInfo *info)
{
    return info->n_queues > 0 ? info->n_queues : MIN(d->shown_queues, info->max_queues);
}

const void *device_queue_stats(const Device *d, const DeviceInfo *info, unsigned queue)
{
    g_assert(info->stats && queue < info->max_queues);
    return (const char *)info->stats + queue * d->class->queue_stats_size;
}
