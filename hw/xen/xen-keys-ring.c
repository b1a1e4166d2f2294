/*
 * Rings of more than one page, as blkif.h has them: what of the keys is not in every protocol.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xen-keys.h"

bool xen_keys_page_order(const XenKeysDir *d, unsigned max, int *ret, GError **error)
{
    uint64_t order = UINT64_MAX;

    g_assert(1u << max <= XEN_RING_MAX_PAGES);
    if (!xen_keys_optional(d, "ring-page-order", max, &order, error)) {
        return false;
    }
    *ret = order <= max ? (int)order : -1;
    return true;
}

bool xen_keys_ring(const XenKeysDir *d, int order, XenQueueKeys *q, GError **error)
{
    if (order < 0) {
        q->n_refs = 1;
        return xen_keys_required(d, "ring-ref", UINT32_MAX, &q->ref[0], error);
    }
    q->n_refs = 1u << order;
    for (unsigned i = 0; i < q->n_refs; i++) {
        g_autofree char *key = g_strdup_printf("ring-ref%u", i);

        if (!xen_keys_required(d, key, UINT32_MAX, &q->ref[i], error)) {
            return false;
        }
    }
    return true;
}
