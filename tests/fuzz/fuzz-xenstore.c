/*
 * What the other end writes into XenStore: an input is the values of its directory, for netback's
 * and blkback's keys of a frontend, and for netfront's plan of a backend. libxenstore's calls end
 * here.
 *
 *     u8 queues that the device may have, then u8 key, u8 queue (255: the device's own
 *     directory), u8 length, the value
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <errno.h>
#include <glib.h>
#include <sys/eventfd.h>
#include <xenstore.h>

#include "xen-blkback-internal.h"
#include "xen-netback-internal.h"
#include "xen-netfront-internal.h"

#define DIR       "/local/domain/1/device/vif/0"
#define MAX_STEPS 1000

static const char *const keys[] = {
    "multi-queue-num-queues", "tx-ring-ref", "rx-ring-ref", "event-channel", "event-channel-tx",
    "event-channel-rx", "request-rx-copy", "feature-rx-notify", "feature-sg", "feature-gso-tcpv4",
    "feature-gso-tcpv6", "feature-no-csum-offload", "feature-ipv6-csum-offload",
    "multi-queue-max-queues", "feature-rx-copy", "feature-split-event-channels",
    "ring-page-order", "ring-ref", "ring-ref0", "ring-ref1", "ring-ref2", "ring-ref3",
    "protocol", "feature-persistent",
};

static GHashTable *values; /* path: GBytes */

/* --- libxenstore: read-only --- */

static int handle;

struct xs_handle *xs_open(unsigned long flags)
{
    handle = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return (void *)&handle;
}

void xs_close(struct xs_handle *h)
{
}

int xs_fileno(struct xs_handle *h)
{
    return handle;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
    return 1;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
    return true;
}

/* As libxenstore does, with a NUL that does not count. For free(). */
void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
    GBytes *value = g_hash_table_lookup(values, path);
    gsize size;
    char *copy;

    if (!value) {
        errno = ENOENT;
        return NULL;
    }
    size = g_bytes_get_size(value);
    copy = calloc(1, size + 1);
    g_assert_nonnull(copy);
    if (size > 0) {
        memcpy(copy, g_bytes_get_data(value, NULL), size);
    }
    *len = (unsigned)size;
    return copy;
}

/* --- */

static void read_values(FuzzInput *in)
{
    g_hash_table_remove_all(values);
    while (in->size > 3) {
        uint8_t key, queue, len;
        const char *name;
        char *path;
        gsize n;

        fuzz_take(in, &key, 1);
        fuzz_take(in, &queue, 1);
        fuzz_take(in, &len, 1);
        n = MIN(len, in->size);
        name = keys[key % G_N_ELEMENTS(keys)];
        path = queue == 255 ? g_strdup_printf(DIR "/%s", name)
                            : g_strdup_printf(DIR "/queue-%u/%s", queue, name);
        g_hash_table_replace(values, path, g_bytes_new(in->data, n));
        in->data += n;
        in->size -= n;
    }
}

static void check_keys(const NetbackKeys *k, unsigned max)
{
    const XenQueueKeys *queue = k->base.queue;

    g_assert_cmpuint(k->base.n_queues, >, 0);
    g_assert_cmpuint(k->base.n_queues, <=, max);
    g_assert_cmpuint(k->base.n_read, ==, k->base.n_queues);
    for (unsigned i = 0; i < k->base.n_queues; i++) {
        g_assert_cmpuint(queue[i].n_refs, ==, 2);
        g_assert_cmpuint(queue[i].ref[NETBACK_TX], !=, queue[i].ref[NETBACK_RX]);
        g_assert_true(queue[i].n_ports == 1 || queue[i].port[0] != queue[i].port[1]);
        for (unsigned j = 0; j < i; j++) {
            g_assert_cmpuint(queue[i].ref[NETBACK_TX], !=, queue[j].ref[NETBACK_TX]);
            g_assert_cmpuint(queue[i].port[0], !=, queue[j].port[queue[j].n_ports - 1]);
        }
    }
    g_assert_true(!(k->offload & NETDEV_TSO4) || (k->sg && (k->offload & NETDEV_CSUM4)));
    g_assert_true(!(k->offload & NETDEV_TSO6) || (k->sg && (k->offload & NETDEV_CSUM6)));
}

/* False: they are refused. */
static bool read_keys(XenStore *s, XenKeys *k)
{
    g_autoptr(GError) error = NULL;
    XenbusStep step = XENBUS_STEP_MORE;

    for (unsigned i = 0; i < MAX_STEPS && step == XENBUS_STEP_MORE; i++) {
        step = xen_keys_read(k, s, DIR, &error);
    }
    g_assert_cmpint(step, !=, XENBUS_STEP_MORE);
    g_assert_true((step == XENBUS_STEP_FAILED) == (error != NULL));
    return !error;
}

static void read_back_keys(XenStore *s, unsigned max)
{
    Netback nb = { .max_queues = max, .to_guest = UINT32_MAX };
    XenKeys *k = netback_store_keys_new(&nb);

    if (read_keys(s, k)) {
        check_keys(container_of(k, NetbackKeys, base), max);
    }
    netback_store_keys_free(k);
}

/* --- blkback's --- */

#define MAX_ORDER 2u

static void check_blkback_keys(const BlkbackKeys *k, unsigned max)
{
    const XenQueueKeys *queue = k->base.queue;
    unsigned n_refs = k->order < 0 ? 1 : 1u << k->order;

    g_assert_cmpint(k->order, >=, -1);
    g_assert_cmpint(k->order, <=, MAX_ORDER);
    g_assert_true(k->abi == XEN_BLKIF_ABI_64 || k->abi == XEN_BLKIF_ABI_X86_32);
    g_assert_cmpuint(k->base.n_queues, >, 0);
    g_assert_cmpuint(k->base.n_queues, <=, max);
    for (unsigned i = 0; i < k->base.n_queues; i++) {
        g_assert_cmpuint(queue[i].n_ports, ==, 1);
        g_assert_cmpuint(queue[i].n_refs, ==, n_refs);
        for (unsigned j = 0; j < i; j++) {
            g_assert_cmpuint(queue[i].port[0], !=, queue[j].port[0]);
            g_assert_cmpuint(queue[i].ref[0], !=, queue[j].ref[n_refs - 1]);
        }
        for (unsigned j = 1; j < n_refs; j++) {
            g_assert_cmpuint(queue[i].ref[j], !=, queue[i].ref[j - 1]);
        }
    }
}

static void read_blkback_keys(XenStore *s, unsigned max)
{
    XenBlkback d = { .offer = { .max_queues = max, .max_order = MAX_ORDER } };
    XenKeys *k = blkback_store_keys_new(&d);

    if (read_keys(s, k)) {
        check_blkback_keys(container_of(k, BlkbackKeys, base), max);
    }
    blkback_store_keys_free(k);
}

static void read_front_plan(XenStore *s, unsigned max)
{
    g_autoptr(GError) error = NULL;
    Netdev nd = { .has_vnet_hdr = true };
    Netfront nf = { .bus = { .store = s, .be = (char *)DIR }, .env = { .peer = &nd },
                    .config = { .split_event_channels = true, .sg = true, .gso = true,
                                .csum = true, .ipv6_csum = true, .rx_notify = true },
                    .max_queues = max };
    NetfrontPlan plan;

    if (!netfront_store_plan(&nf, &plan, &error)) {
        g_assert_nonnull(error);
        return;
    }
    g_assert_cmpuint(plan.n_queues, >, 0);
    g_assert_cmpuint(plan.n_queues, <=, max);
    g_assert_true(plan.max_queues == 0 || plan.n_queues <= plan.max_queues);
    g_assert_true(plan.tx_max_len == XEN_NETIF_MAX_TX_SIZE ||
                  !(plan.tx_offload & (NETDEV_TSO4 | NETDEV_TSO6)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static XenStore *s;
    FuzzInput in = { data, size };
    uint8_t max;

    if (!s) {
        values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                       (GDestroyNotify)g_bytes_unref);
        s = xen_store_open("fuzz", NULL);
        g_assert_nonnull(s);
    }
    fuzz_take(&in, &max, 1);
    read_values(&in);
    read_back_keys(s, 1 + max % NETIF_MAX_QUEUES);
    read_blkback_keys(s, 1 + max % NETIF_MAX_QUEUES);
    read_front_plan(s, 1 + max % NETIF_MAX_QUEUES);
    return 0;
}
