/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vif.h"

#include <glib/gstdio.h>

#define GUEST_RAM ((size_t)96 << 20)

static gboolean tick(gpointer opaque)
{
    return G_SOURCE_CONTINUE;
}

/* So that a wait looks at its condition even if no event comes. */
guint vif_tick_start(void)
{
    return g_timeout_add(2, tick, NULL);
}

void vif_up(Vif *v, Netdev *back_dev, Netdev *front_dev)
{
    vif_up_small(v, back_dev, front_dev, GUEST_RAM);
}

static void vif_add_guest(Vif *v, const char *dir, size_t guest_ram)
{
    g_autofree char *path = g_strdup_printf("%s/xen", dir);
    g_autoptr(GError) error = NULL;

    v->guest = xen_xenemu_open_guest(path, -1, guest_ram, &error);
    g_assert_no_error(error);
    v->guest_store = xen_store_open(v->guest->store_path, &error);
    g_assert_no_error(error);
    v->be = g_strdup_printf("/local/domain/0/backend/vif/%u/0", v->guest->domid);
    v->fe = g_strdup_printf("/local/domain/%u/device/vif/0", v->guest->domid);
}

void vif_up_small(Vif *v, Netdev *back_dev, Netdev *front_dev, size_t guest_ram)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;

    *v = (Vif) { .back_dev = back_dev, .front_dev = front_dev };
    v->dir = g_dir_make_tmp("vif-XXXXXX", &error);
    g_assert_no_error(error);
    path = g_strdup_printf("%s/xen", v->dir);
    v->host = xen_xenemu_open_host(path, &error);
    g_assert_no_error(error);
    v->host_store = xen_store_open(v->host->store_path, &error);
    g_assert_no_error(error);
    vif_add_guest(v, v->dir, guest_ram);
}

void vif_up_beside(Vif *v, const Vif *first, Netdev *back_dev, Netdev *front_dev)
{
    *v = (Vif) {
        .beside = first,
        .host = first->host,
        .host_store = first->host_store,
        .back_dev = back_dev,
        .front_dev = front_dev,
    };
    vif_add_guest(v, first->dir, GUEST_RAM);
}

static void vif_remove_host(Vif *v)
{
    g_autofree char *store = g_strdup_printf("%s/xen.xenstore", v->dir);

    xen_store_close(v->host_store);
    xen_close(v->host);
    g_assert_false(g_file_test(store, G_FILE_TEST_EXISTS));
    g_assert_cmpint(g_rmdir(v->dir), ==, 0);
    g_free(v->dir);
}

void vif_down(Vif *v)
{
    if (v->nf) {
        vif_front_close(v);
    }
    if (v->nb) {
        vif_back_close(v);
    }
    xen_store_close(v->guest_store);
    xen_close(v->guest);
    if (!v->beside) {
        vif_remove_host(v);
    }
    netdev_free(v->back_dev);
    netdev_free(v->front_dev);
    g_free(v->be);
    g_free(v->fe);
    g_free(v->back.error);
    g_free(v->front.error);
}

NetfrontConfig vif_front_config(void)
{
    return (NetfrontConfig) {
        .split_event_channels = true,
        .sg = true,
        .gso = true,
        .csum = true,
        .ipv6_csum = true,
        .rx_notify = true,
    };
}

static void set_error(VifEnd *end, const char *detail)
{
    g_free(end->error);
    end->error = g_strdup(detail);
    end->errors++;
}

static void back_event(void *opaque, XenbusEvent event, const char *detail)
{
    VifEnd *end = opaque;

    switch (event) {
    case XENBUS_CONNECTED:
        end->connected++;
        break;
    case XENBUS_DISCONNECTED:
        end->disconnected++;
        break;
    case XENBUS_ERROR:
        set_error(end, detail);
        break;
    case XENBUS_WARNING:
        g_free(end->error);
        end->error = g_strdup(detail);
        end->warnings++;
        break;
    case XENBUS_CLOSED:
        end->closed = true;
        break;
    case XENBUS_GONE:
        end->gone = true;
        break;
    default:
        g_assert_not_reached();
    }
}

static void front_event(void *opaque, XenbusEvent event, const char *detail)
{
    VifEnd *end = opaque;

    switch (event) {
    case XENBUS_CONNECTED:
        end->connected++;
        break;
    case XENBUS_DISCONNECTED:
        end->disconnected++;
        break;
    case XENBUS_ERROR:
        set_error(end, detail);
        break;
    case XENBUS_WARNING:
        break;
    case XENBUS_CLOSED:
        end->closed = true;
        break;
    default:
        g_assert_not_reached();
    }
}

bool vif_back_try(Vif *v, GError **error)
{
    NetbackConfig config = { .id = (char *)"back", .idx = 0, .csum = true, .gso = true,
                             .host_tso4 = true, .host_tso6 = true, .guest_csum = true,
                             .guest_tso4 = true, .guest_tso6 = true, .direct = v->direct,
                             .mac = (char *)v->mac, .grant_copy = v->back_copy };
    IoThread *threads[NETIF_MAX_QUEUES];
    NetbackEnv env = {
        .xen = v->host,
        .store = v->host_store,
        .frontend_id = v->guest->domid,
        .peer = v->back_dev,
        .threads = threads,
        .n_threads = v->back_thread ? v->back_dev->n_queues : 0,
        .event = back_event,
        .opaque = &v->back,
    };

    for (unsigned i = 0; i < env.n_threads; i++) {
        threads[i] = v->back_thread;
    }
    v->nb = netback_new(&config, &env, error);
    return v->nb != NULL;
}

void vif_back_new(Vif *v)
{
    g_autoptr(GError) error = NULL;

    vif_back_try(v, &error);
    g_assert_no_error(error);
}

void vif_back_start(Vif *v)
{
    vif_back_new(v);
    netback_start(v->nb);
}

void vif_front_start(Vif *v, const NetfrontConfig *config)
{
    g_autoptr(GError) error = NULL;
    NetfrontEnv env = {
        .xen = v->guest,
        .store = v->guest_store,
        .peer = v->front_dev,
        .event = front_event,
        .opaque = &v->front,
    };

    v->nf = netfront_new(config, &env, &error);
    g_assert_no_error(error);
    netfront_start(v->nf);
}

void vif_connect(Vif *v, const NetfrontConfig *config)
{
    unsigned back = v->back.connected + 1;
    unsigned front = v->front.connected + 1;

    vif_back_start(v);
    vif_front_start(v, config);
    VIF_WAIT(v->back.connected == back && v->front.connected == front);
}

void vif_back_close(Vif *v)
{
    v->back.closed = false;
    netback_close(v->nb, 5000);
    VIF_WAIT(v->back.closed);
    g_clear_pointer(&v->nb, netback_free);
}

void vif_front_close(Vif *v)
{
    v->front.closed = false;
    netfront_close(v->nf, 5000);
    VIF_WAIT(v->front.closed);
    g_clear_pointer(&v->nf, netfront_free);
}

char *vif_read(Vif *v, const char *dir, const char *key)
{
    g_autofree char *path = g_strdup_printf("%s/%s", dir, key);

    return xen_store_read(v->host_store, 0, path);
}
