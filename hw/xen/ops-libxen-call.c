/*
 * A real Xen: hypercalls of our own, by libxencall. The kernel's grant device makes one of each 16
 * operations of a copy; this makes one of all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ops-libxen-internal.h"

#include <errno.h>
#include <poll.h>
#include <xencall.h>

#define PRIVCMD_DEVICE "/dev/xen/privcmd"

#define BUFFER_SIZE  (LIBXEN_CALL_OPS * sizeof(gnttab_copy_t))
#define BUFFER_PAGES (BUFFER_SIZE / XEN_PAGE_SIZE + (BUFFER_SIZE % XEN_PAGE_SIZE != 0))

/*
 * A page that is paged out is waited for as the kernel does, a millisecond more each time; but no
 * more than 0.8 s for a batch, where the kernel has half a minute for each operation: the main loop
 * waits for this thread when the queue ends.
 */
#define LAST_DELAY_MS 40u

static int call_copy(LibxenCall *c, gnttab_copy_t *op, unsigned n)
{
    int r = xencall3(c->h, __HYPERVISOR_grant_table_op, GNTTABOP_copy, (uintptr_t)op, n);

    return r < 0 ? -errno : r;
}

/*
 * Of both, as the library would do without the second one: with memory that the kernel may move
 * while Xen looks for it.
 */
static bool devices_open(GError **error)
{
    static const char *const devices[] = { PRIVCMD_DEVICE, HYPERCALL_DEVICE };

    for (unsigned i = 0; i < G_N_ELEMENTS(devices); i++) {
        if (!ops_libxen_device_opens(devices[i])) {
            ops_libxen_set_open_error(error, devices[i]);
            return false;
        }
    }
    return true;
}

LibxenCall *ops_libxen_call_open(const Xen *xen, GError **error)
{
    LibxenCall *c;

    if (!devices_open(error)) {
        return NULL;
    }
    c = g_new0(LibxenCall, 1);
    c->copy = call_copy;
    c->h = xencall_open(xen->opaque, XENCALL_OPENFLAG_NON_REENTRANT);
    if (!c->h) {
        ops_libxen_set_open_error(error, PRIVCMD_DEVICE);
        ops_libxen_call_close(c);
        return NULL;
    }
    c->op = xencall_alloc_buffer_pages(c->h, BUFFER_PAGES);
    if (!c->op) {
        ops_libxen_set_open_error(error, HYPERCALL_DEVICE);
        ops_libxen_call_close(c);
        return NULL;
    }
    return c;
}

void ops_libxen_call_close(LibxenCall *c)
{
    if (!c) {
        return;
    }
    if (c->op) {
        xencall_free_buffer_pages(c->h, c->op, BUFFER_PAGES);
    }
    if (c->h) {
        xencall_close(c->h);
    }
    g_free(c);
}

/* GNTTABOP_copy returns 0 or an error: what else comes is not known to be a success. */
static int copy(LibxenCall *c, gnttab_copy_t *op, unsigned n)
{
    int r = c->copy(c, op, n);

    return r > 0 ? -EIO : r;
}

/* @delay_ms: the batch's */
static int retry(LibxenCall *c, gnttab_copy_t *op, unsigned *delay_ms)
{
    int r;

    do {
        r = copy(c, op, 1);
        if (r < 0 || op->status != GNTST_eagain) {
            return r;
        }
        if (*delay_ms < LAST_DELAY_MS) {
            poll(NULL, 0, (int)++*delay_ms); /* nothing tells when the page is there */
        }
    } while (*delay_ms < LAST_DELAY_MS);
    op->status = GNTST_bad_page;
    return 0;
}

int ops_libxen_call_copy(LibxenCall *c, unsigned n)
{
    unsigned delay_ms = 0;
    int r;

    for (unsigned i = 0; i < n; i++) {
        c->op[i].status = GNTST_general_error; /* of one that Xen did not come to */
    }
    r = copy(c, c->op, n);
    for (unsigned i = 0; i < n && r == 0; i++) {
        if (c->op[i].status == GNTST_eagain) {
            r = retry(c, &c->op[i], &delay_ms);
        }
    }
    return r;
}
