/*
 * -xen-attach: devices that a toolstack makes while we run. Which kinds there are is said by a
 * table, system_attach.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

#include "tables.h"
#include "util/log.h"

typedef struct Attach {
    System *system;
    const SystemAttach *row;
    XenbusAttach *watch;
} Attach;

static void attach_free(gpointer opaque)
{
    Attach *a = opaque;

    xenbus_attach_free(a->watch);
    g_free(a);
}

static bool attach_make(void *opaque, unsigned idx, const char *be, GError **error)
{
    Attach *a = opaque;
    bool ok;

    a->system->patient = true; /* a ringtap that was killed may have had it */
    ok = a->row->attach(a->system, a->row->back->kind, idx, be, error);
    a->system->patient = false;
    return ok;
}

static void attach_refused(void *opaque, const char *be, const char *reason)
{
    error_report("%s is not served: %s", be, reason);
}

static bool attach_add(System *s, const SystemAttach *row, GError **error)
{
    Attach *a = g_new0(Attach, 1);
    XenbusAttachConfig config = {
        .back = row->back,
        .frontend_id = (uint16_t)s->xen_domid,
        .attach = attach_make,
        .refused = attach_refused,
        .opaque = a,
    };

    a->system = s;
    a->row = row;
    a->watch = xenbus_attach_new(s->xen, s->store, &config, error);
    if (!a->watch) {
        g_free(a);
        return false;
    }
    g_ptr_array_add(s->attach, a);
    return true;
}

static bool attach_has_rival(const System *s, const SystemAttach *row)
{
    return row->rival && !s->xen->emulated && g_file_test(row->rival, G_FILE_TEST_EXISTS);
}

bool attach_start(System *s, GError **error)
{
    if (!s->xen_attach || !s->store || s->xen_domid < 0) {
        return true;
    }
    s->attach = g_ptr_array_new_with_free_func(attach_free);
    for (const SystemAttach *row = system_attach; row->back; row++) {
        if (!attach_has_rival(s, row) && !attach_add(s, row, error)) {
            return false;
        }
    }
    return true;
}

void attach_stop(System *s)
{
    g_clear_pointer(&s->attach, g_ptr_array_unref);
}

void attach_device_gone(System *s)
{
    for (guint i = 0; s->attach && i < s->attach->len; i++) {
        xenbus_attach_look(((Attach *)g_ptr_array_index(s->attach, i))->watch);
    }
}
