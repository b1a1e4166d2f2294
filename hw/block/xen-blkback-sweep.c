/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xen-blkback-sweep.h"

#include <dirent.h>
#include <unistd.h>

#include "hw/block/xen-blkback.h"
#include "hw/xen/xen-device.h"
#include "util/fd.h"
#include "xen-blkback-record.h"

static bool sweep_is_dead(XenStore *s, const char *name)
{
    uint16_t domid;

    return xen_blkback_record_domid(name, &domid) && domid <= XEN_MAX_DOMID &&
           xen_store_domain_state(s, domid) == XEN_DOMAIN_DEAD;
}

unsigned xen_blkback_sweep_dir(int dir, XenStore *s)
{
    DIR *d = fdopendir(dir);
    const struct dirent *entry;
    unsigned count = 0;

    if (!d) {
        fd_close(&dir);
        return 0;
    }
    while ((entry = readdir(d)) != NULL) {
        if (sweep_is_dead(s, entry->d_name)) {
            count += unlinkat(dir, entry->d_name, 0) == 0;
        }
    }
    closedir(d);
    return count;
}

unsigned xen_blkback_sweep(XenStore *s)
{
    int dir = xen_blkback_record_dir(false, NULL);

    return dir < 0 ? 0 : xen_blkback_sweep_dir(dir, s);
}
