/*
 * A disk that a toolstack made: what it says is as good as a -drive and a -device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "blockdevs.h"

#include "hw/block/xen-vbd-params.h"

typedef bool AddFn(System *s, OptDict *args, GError **error);

static bool attach_add(System *s, AddFn *add, const GPtrArray *said, GError **error)
{
    g_autofree char *text = opt_flat_to_text(said);
    g_autoptr(OptDict) args = opt_dict_parse(text, NULL, error);

    return args && add(s, args, error);
}

static bool attach_drive(System *s, const XenVbdParams *p, GError **error)
{
    g_autoptr(GPtrArray) said = opt_flat_new();
    g_autofree char *file = g_strconcat("file:", p->path, NULL);

    opt_flat_append(said, "", "if", "none");
    opt_flat_append(said, "", "id", p->name);
    opt_flat_append(said, "", "file", file);
    opt_flat_append(said, "", "format", p->format);
    opt_flat_append(said, "", "read-only", p->read_only ? "on" : "off");
    opt_flat_append(said, "", "cache.direct", p->direct ? "on" : "off");
    opt_flat_append(said, "", "discard", p->discard ? "unmap" : "ignore");
    return attach_add(s, drive_add, said, error);
}

/* Of the bus's guest, which is the one that -xen-domid says. */
static bool attach_device(System *s, const XenVbdParams *p, const char *kind, unsigned number,
                          GError **error)
{
    g_autoptr(GPtrArray) said = opt_flat_new();
    g_autofree char *vdev = g_strdup_printf("%u", number);

    opt_flat_append(said, "", "driver", p->cdrom ? "xen-cdrom" : "xen-disk");
    opt_flat_append(said, "", "id", p->name);
    opt_flat_append(said, "", "drive", p->name);
    opt_flat_append(said, "", "vdev", vdev);
    opt_flat_append(said, "", "backend-type", kind);
    return attach_add(s, devices_add, said, error);
}

static bool attach_params(System *s, const XenVbdParams *p, const char *kind, unsigned number,
                          GError **error)
{
    BlockObject *o;

    if (!attach_drive(s, p, error)) {
        return false;
    }
    o = blockdev_find_drive(s, p->name);
    if (!attach_device(s, p, kind, number, error)) {
        blockdev_remove(s, o);
        return false;
    }
    o->with_device = true;
    return true;
}

bool disk_attach(System *s, const char *kind, unsigned number, const char *be, GError **error)
{
    XenVbdParams p;
    bool ok = xen_vbd_params_read(s->store, be, number, &p, error) &&
              attach_params(s, &p, kind, number, error);

    xen_vbd_params_clear(&p);
    return ok;
}
