/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/xen/xen-ops.h"

#include <errno.h>
#include <fcntl.h>

#include "util/fd.h"
#include "util/options.h"

#define MAX_MAP_COUNT         "/proc/sys/vm/max_map_count"
#define DEFAULT_MAX_MAP_COUNT 65530u /* Linux' */

struct XenClaim {
    uint64_t what;
    int fd;        /* -1: none */
};

void xen_leave_share(Xen *xen, XenShare *s)
{
    xen->shares = g_slist_prepend(xen->shares, s);
}

void xen_close(Xen *xen)
{
    if (!xen) {
        return;
    }
    for (const GSList *l = xen->shares; l; l = l->next) {
        xen->ops->share_close(l->data);
    }
    g_slist_free(xen->shares);
    xen->ops->close(xen);
    g_free(xen->store_path);
    g_free(xen);
}

unsigned xen_gnttab_map_pages(Xen *xen, XenGnttab *g, uint16_t domid, const uint32_t *refs,
                              unsigned count, bool writable, void **ret_pages)
{
    for (unsigned i = 0; i < count; i++) {
        ret_pages[i] = xen->ops->gnttab_map(g, domid, &refs[i], 1, writable);
        if (!ret_pages[i]) {
            return i;
        }
    }
    return count;
}

void xen_gnttab_reserve_init(Xen *xen)
{
    g_autofree char *text = NULL;
    uint64_t max = 0;

    if (xen->max_pages != 0) {
        return;
    }
    if (!g_file_get_contents(MAX_MAP_COUNT, &text, NULL, NULL) ||
        !opt_parse_uint(g_strstrip(text), G_MAXINT, &max)) {
        max = DEFAULT_MAX_MAP_COUNT;
    }
    xen->max_pages = (unsigned)max / 2;
}

unsigned xen_gnttab_reserve(Xen *xen, unsigned n)
{
    unsigned all = __atomic_add_fetch(&xen->pages, n, __ATOMIC_RELAXED);
    unsigned over = all > xen->max_pages ? MIN(all - xen->max_pages, n) : 0;

    if (over > 0) {
        xen_gnttab_unreserve(xen, over);
    }
    return n - over;
}

void xen_gnttab_unreserve(Xen *xen, unsigned n)
{
    __atomic_sub_fetch(&xen->pages, n, __ATOMIC_RELAXED);
}

/* Fits an off_t. Two kinds of the same hash would only exclude each other needlessly. */
static uint64_t claim_number(const char *kind, uint16_t domid, unsigned idx)
{
    return (uint64_t)(g_str_hash(kind) & 0x7fff) << 48 | (uint64_t)domid << 32 | idx;
}

/* A lock on a byte of the file, which the kernel takes back from whoever dies. */
static bool claim_lock(XenClaim *c, const char *file)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)c->what, .l_len = 1,
    };

    c->fd = open(file, O_RDWR | O_CLOEXEC);
    if (c->fd >= 0 && fcntl(c->fd, F_OFD_SETLK, &lock) == 0) {
        return true;
    }
    errno = c->fd >= 0 && (errno == EAGAIN || errno == EACCES) ? EBUSY : errno;
    return false;
}

static void claim_free(XenClaim *c)
{
    int saved = errno;

    fd_close(&c->fd);
    g_free(c);
    errno = saved;
}

bool xen_is_claimed_here(const Xen *xen, const char *kind, uint16_t domid, unsigned idx)
{
    for (const GSList *l = xen->claims; l; l = l->next) {
        if (((const XenClaim *)l->data)->what == claim_number(kind, domid, idx)) {
            return true;
        }
    }
    return false;
}

XenClaim *xen_claim(Xen *xen, const char *kind, uint16_t domid, unsigned idx)
{
    XenClaim *c;

    if (xen_is_claimed_here(xen, kind, domid, idx)) {
        errno = EBUSY;
        return NULL;
    }
    c = g_new0(XenClaim, 1);
    c->what = claim_number(kind, domid, idx);
    c->fd = -1;
    if (xen->claim_file && !claim_lock(c, xen->claim_file)) {
        claim_free(c);
        return NULL;
    }
    xen->claims = g_slist_prepend(xen->claims, c);
    return c;
}

void xen_unclaim(Xen *xen, XenClaim *c)
{
    if (c) {
        xen->claims = g_slist_remove(xen->claims, c);
        claim_free(c);
    }
}

const char *xen_strerror(const Xen *xen, int err)
{
    if (xen->emulated && err == ENFILE) {
        return "the emulated Xen's host has no file descriptors left";
    }
    if (xen->emulated && err == ETIMEDOUT) {
        return "the emulated Xen's host does not answer";
    }
    return err == EMFILE ? "this process has no file descriptors left" : g_strerror(err);
}
