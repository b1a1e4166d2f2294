/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/xen/xen-keys.h"

#include <errno.h>

#define MAX_PORT  (1u << 17) /* ports of the FIFO event channel ABI */
#define KEYS_STEP 8u         /* queues whose keys are read in one go, some 6 round trips each */

#define KEYS_FAIL(error, ...) g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, __VA_ARGS__)

/* --- a key --- */

bool xen_keys_optional(const XenKeysDir *d, const char *key, uint64_t max, uint64_t *ret,
                       GError **error)
{
    if (xen_store_read_uint(d->store, d->tx, d->path, key, max, ret) || errno == ENOENT) {
        return true;
    }
    KEYS_FAIL(error, "%s/%s is not a number from 0 to %" G_GUINT64_FORMAT, d->path, key, max);
    return false;
}

bool xen_keys_required(const XenKeysDir *d, const char *key, uint64_t max, uint32_t *ret,
                       GError **error)
{
    uint64_t v = UINT64_MAX; /* no number up to @max: it is not there */

    if (!xen_keys_optional(d, key, max, &v, error)) {
        return false;
    }
    if (v > max) {
        KEYS_FAIL(error, "%s/%s is missing", d->path, key);
        return false;
    }
    *ret = (uint32_t)v;
    return true;
}

bool xen_keys_flag(const XenKeysDir *d, const char *key, bool *ret, GError **error)
{
    uint64_t v = 0;

    if (!xen_keys_optional(d, key, UINT32_MAX, &v, error)) {
        return false;
    }
    *ret = v != 0;
    return true;
}

bool xen_keys_port(const XenKeysDir *d, const char *key, uint32_t *ret, GError **error)
{
    return xen_keys_required(d, key, MAX_PORT - 1, ret, error);
}

/* --- those of queues --- */

void xen_keys_init(XenKeys *k, const XenKeysOps *ops, unsigned max_queues)
{
    *k = (XenKeys) {
        .ops = ops,
        .max_queues = max_queues,
        .queue = g_new0(XenQueueKeys, max_queues),
    };
}

void xen_keys_done(XenKeys *k)
{
    g_clear_pointer(&k->queue, g_free);
}

/* What is there of the device as a whole. */
static bool keys_read_device(XenKeys *k, const XenKeysDir *fe, GError **error)
{
    uint64_t n = 1;

    if (!k->single &&
        !xen_keys_optional(fe, "multi-queue-num-queues", UINT32_MAX, &n, error)) {
        return false;
    }
    if (n == 0 || n > k->max_queues) {
        KEYS_FAIL(error, "%s/multi-queue-num-queues is %" G_GUINT64_FORMAT ", must be 1 to %u",
                  fe->path, n, k->max_queues);
        return false;
    }
    k->n_queues = (unsigned)n;
    return k->ops->read_device(k, fe, error);
}

static bool keys_read_some(XenKeys *k, const XenKeysDir *fe, GError **error)
{
    unsigned end;

    if (k->n_queues == 0 && !keys_read_device(k, fe, error)) {
        return false;
    }
    end = MIN(k->n_queues, k->n_read + KEYS_STEP);
    for (unsigned i = k->n_read; i < end; i++) {
        g_autofree char *path = k->n_queues == 1 ? g_strdup(fe->path)
                                                 : g_strdup_printf("%s/queue-%u", fe->path, i);
        XenKeysDir d = { fe->store, fe->tx, path };

        k->queue[i] = (XenQueueKeys) { 0 };
        if (!k->ops->read_queue(k, &d, &k->queue[i], error)) {
            return false;
        }
    }
    k->n_read = end;
    return true;
}

/* Some of @a's are @b's as well, which may be the same. */
static bool keys_share(const uint32_t *a, unsigned n_a, const uint32_t *b, unsigned n_b)
{
    for (unsigned i = 0; i < n_a; i++) {
        for (unsigned j = 0; j < (a == b ? i : n_b); j++) {
            if (a[i] == b[j]) {
                return true;
            }
        }
    }
    return false;
}

static bool keys_check_unique(const XenKeys *k, GError **error)
{
    for (unsigned i = 0; i < k->n_queues; i++) {
        const XenQueueKeys *a = &k->queue[i];

        if (keys_share(a->ref, a->n_refs, a->ref, a->n_refs)) {
            KEYS_FAIL(error, "queue %u has a ring-ref twice", i);
            return false;
        }
        for (unsigned j = 0; j < i; j++) {
            const XenQueueKeys *b = &k->queue[j];

            if (keys_share(a->ref, a->n_refs, b->ref, b->n_refs)) {
                KEYS_FAIL(error, "queues %u and %u have the same ring-ref", j, i);
                return false;
            }
            if (keys_share(a->port, a->n_ports, b->port, b->n_ports)) {
                KEYS_FAIL(error, "queues %u and %u have the same event-channel", j, i);
                return false;
            }
        }
    }
    return true;
}

typedef struct KeysRead {
    XenKeys *keys;
    const char *fe;
    unsigned n_before; /* queues that were read in the steps before */
    bool ok;
    GError *error;
} KeysRead;

/* What is wrong with the keys counts only once the transaction has seen all of them at once. */
static bool keys_read(XenStore *s, XenTx tx, void *opaque)
{
    KeysRead *r = opaque;
    XenKeysDir fe = { s, tx, r->fe };

    g_clear_error(&r->error);
    r->keys->n_read = r->n_before;
    if (r->n_before == 0) {
        r->keys->n_queues = 0;
    }
    r->ok = keys_read_some(r->keys, &fe, &r->error);
    return true;
}

XenbusStep xen_keys_read(XenKeys *k, XenStore *store, const char *fe, GError **error)
{
    KeysRead r = { .keys = k, .fe = fe, .n_before = k->n_read };

    if (!xen_store_transaction(store, keys_read, &r)) {
        int saved = errno;

        g_clear_error(&r.error);
        KEYS_FAIL(error, "cannot read %s: %s", fe, g_strerror(saved));
        return XENBUS_STEP_FAILED;
    }
    if (!r.ok) {
        g_propagate_error(error, r.error);
        return XENBUS_STEP_FAILED;
    }
    if (k->n_read < k->n_queues) {
        return XENBUS_STEP_MORE;
    }
    return keys_check_unique(k, error) ? XENBUS_STEP_DONE : XENBUS_STEP_FAILED;
}
