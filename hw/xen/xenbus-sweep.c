/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/xen/xenbus-sweep.h"

#include <string.h>

#include "hw/xen/xen-device.h"
#include "util/options.h"

/* Calls @fn with each domain that has a node below @dir and is dead, and with @mark. */
typedef unsigned SweepFn(XenStore *s, const char *path, const char *mark);
static unsigned sweep_dead(XenStore *s, const char *dir, SweepFn *fn, const char *mark)
{
    g_auto(GStrv) names = xen_store_list(s, 0, dir);
    unsigned count = 0;

    for (unsigned i = 0; names && names[i]; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", dir, names[i]);
        uint64_t domid;

        if (opt_parse_uint(names[i], XEN_MAX_DOMID, &domid) &&
            xen_store_domain_state(s, (uint16_t)domid) == XEN_DOMAIN_DEAD) {
            count += fn(s, path, mark);
        }
    }
    return count;
}

/* B of a dead domain: @path/IDX. Those with @mark are libxl's, who removes them itself. */
static unsigned sweep_backends(XenStore *s, const char *path, const char *mark)
{
    g_auto(GStrv) names = xen_store_list(s, 0, path);
    unsigned count = 0;

    for (unsigned i = 0; names && names[i]; i++) {
        g_autofree char *be = g_strdup_printf("%s/%s", path, names[i]);

        if (xen_store_has(s, 0, be, "frontend") && !xen_store_has(s, 0, be, mark)) {
            count += xen_store_remove(s, 0, be);
        }
    }
    xen_store_remove_empty(s, path);
    return count;
}

static unsigned sweep_errors(XenStore *s, const char *path, const char *mark)
{
    return xen_store_remove(s, 0, path);
}

/* What -xen-attach writes, and nothing of QEMU's besides. */
static unsigned sweep_device_model(XenStore *s, const char *path, const char *mark)
{
    g_auto(GStrv) names = xen_store_list(s, 0, path);

    return names && names[0] && !names[1] && strcmp(names[0], "state") == 0 &&
           xen_store_remove(s, 0, path);
}

unsigned xenbus_sweep(const Xen *xen, XenStore *s, const char *kind, const char *toolstack_key)
{
    g_autofree char *backends = g_strdup_printf("/local/domain/%u/backend/%s", xen->domid, kind);
    g_autofree char *errors = g_strdup_printf("/local/domain/%u/error/backend/%s", xen->domid,
                                              kind);
    g_autofree char *models = g_strdup_printf("/local/domain/%u/device-model", xen->domid);

    return sweep_dead(s, backends, sweep_backends, toolstack_key) +
           sweep_dead(s, errors, sweep_errors, NULL) +
           sweep_dead(s, models, sweep_device_model, NULL);
}
