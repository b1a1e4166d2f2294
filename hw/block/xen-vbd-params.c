/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/block/xen-vbd-params.h"

#include <string.h>

#include "xen-blkback-internal.h"
#include "xen-vdev.h"

/* How libxl calls them in front of the path, and QEMU. */
static const struct {
    const char *prefix;
    const char *format;
} formats[] = {
    { "aio", "raw" },
    { "raw", "raw" },
    { "qcow", "qcow" },
    { "qcow2", "qcow2" },
    { "qed", "qed" },
    { "vhd", "vpc" },
    { "vhdx", "vhdx" },
    { "vmdk", "vmdk" },
};

static char *params_get(XenStore *s, const char *be, const char *key)
{
    g_autofree char *path = g_strdup_printf("%s/%s", be, key);

    return xen_store_read(s, 0, path);
}

static bool params_flag(XenStore *s, const char *be, const char *key)
{
    g_autofree char *value = params_get(s, be, key);

    return g_strcmp0(value, "1") == 0;
}

/* "aio:/path"; of a vbd, which has no format, the path alone. */
static bool params_split(const char *params, XenVbdParams *p, GError **error)
{
    size_t len = strcspn(params, ":/");

    if (params[len] != ':') {
        p->format = "raw";
        p->path = g_strdup(params);
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (strlen(formats[i].prefix) == len && strncmp(params, formats[i].prefix, len) == 0) {
            p->format = formats[i].format;
            p->path = g_strdup(params + len + 1);
            return true;
        }
    }
    BLKBACK_FAIL(error, "%s: the image's format '%.*s' is not known", p->name, (int)len, params);
    return false;
}

bool xen_vbd_params_read(XenStore *s, const char *be, unsigned number, XenVbdParams *ret,
                         GError **error)
{
    g_autofree char *params = params_get(s, be, "params");
    g_autofree char *mode = params_get(s, be, "mode");
    g_autofree char *type = params_get(s, be, "device-type");

    *ret = (XenVbdParams) {
        .name = xen_vdev_name(number),
        .read_only = !mode || mode[0] != 'w',
        .direct = params_flag(s, be, "direct-io-safe"),
        .discard = params_flag(s, be, "discard-enable"),
        .cdrom = g_strcmp0(type, "cdrom") == 0,
    };
    ret->read_only |= ret->cdrom;
    if (!params_split(params ? params : "", ret, error)) {
        return false;
    }
    if (ret->path[0] == '\0') {
        BLKBACK_FAIL(error, ret->cdrom ? "%s: a CD-ROM without a medium" : "%s: there is no image",
                     ret->name);
        return false;
    }
    return true;
}

void xen_vbd_params_clear(XenVbdParams *p)
{
    g_clear_pointer(&p->name, g_free);
    g_clear_pointer(&p->path, g_free);
}
