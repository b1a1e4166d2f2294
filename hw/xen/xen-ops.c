/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/xen/xen-ops.h"

#include <errno.h>
#include <fcntl.h>

#include "util/fd.h"

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

XenClaim *xen_claim(Xen *xen, const char *kind, uint16_t domid, unsigned idx)
{
    XenClaim *c;

    for (const GSList *l = xen->claims; l; l = l->next) {
        if (((const XenClaim *)l->data)->what == claim_number(kind, domid, idx)) {
            errno = EBUSY;
            return NULL;
        }
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
