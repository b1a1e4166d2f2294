/*
 * A frontend's life: what the backend's state asks for, and what we answer.
 * xen/include/public/io/xenbus.h names the states.
 *
 *              device/KIND/IDX/backend appears
 *     (none) ----------------------------------> Initialising <---------------+
 *        |                                            |                       |
 *        | backend in use by                          | backend InitWait:     | backend Closed
 *        | a former frontend                          | pages, ports, keys    | and online,
 *        v                                            v                       | or InitWait
 *     Closed <-------------------------------- Connected                      |
 *        |          backend Closing, Closed     it runs once the              |
 *        |                                      backend is Connected, too     |
 *        +--------------------------------------------------------------------+
 *
 * Frontends of some kinds are Initialised, not Connected, until the backend is Connected.
 *
 * All of it happens in front_update(), which looks at what is there now and not at what
 * changed: watches merge, and a device that was removed and made again may look as if
 * nothing had happened.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xenbus-front.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>

#include "xenbus-front-internal.h"

#define MAX_STEPS    8     /* states that one update may walk through */
#define WAIT_MS      3000  /* for a backend, without a word */
#define RETRY_MIN_MS 500   /* between two connections */
#define RETRY_MAX_MS 30000
#define STORE_RETRY_MS 1000

static void front_update(void *opaque);
static gboolean front_store_retry(gpointer opaque);
static void front_finish_close(XenbusFront *f);

/* --- XenStore --- */

/*
 * XenStore did not take or give what was asked of it. That is reported once and tried again
 * after a while; what we know stays as it is.
 */
static void front_store_report(XenbusFront *f, const char *reason)
{
    if (!f->store_timer) {
        f->store_timer = g_timeout_add(STORE_RETRY_MS, front_store_retry, f);
    }
    if (!f->store_failed) {
        f->store_failed = true;
        f->ops->event(f, XENBUS_ERROR, reason);
    }
}

/* For errno. */
static void front_store_failed(XenbusFront *f, bool write, const char *dir)
{
    g_autofree char *reason = g_strdup_printf("XenStore: cannot %s %s: %s",
                                              write ? "write" : "read", dir, g_strerror(errno));

    front_store_report(f, reason);
}

static void front_set_state(XenbusFront *f, enum xenbus_state state)
{
    f->state = state;
    f->unwritten = !xen_store_printf(f->store, 0, f->fe, "state", "%u", state);
    if (f->unwritten) {
        front_store_failed(f, true, f->fe);
    }
}

/* Who may not read a directory is not told that a node is gone. */
static bool front_is_absent(int err)
{
    return err == ENOENT || err == EACCES;
}

/* Unknown: there is none, or none that makes sense. False: XenStore did not say. */
static bool front_read_state(XenbusFront *f, const char *dir, enum xenbus_state *ret)
{
    uint64_t v = XenbusStateUnknown;

    if (!xen_store_read_uint(f->store, 0, dir, "state", XenbusStateReconfigured, &v) &&
        errno != EINVAL && !front_is_absent(errno)) {
        return false;
    }
    *ret = (enum xenbus_state)v;
    return true;
}

bool xenbus_front_released(XenbusFront *f, const char *be)
{
    uint64_t v;

    if (!xen_store_read_uint(f->store, 0, be, "state", XenbusStateReconfigured, &v)) {
        return front_is_absent(errno);
    }
    return v == XenbusStateInitialising || v == XenbusStateInitWait || v == XenbusStateClosed;
}

static bool front_backend_online(XenbusFront *f)
{
    uint64_t v;

    /* a backend whose toolstack does not know the key never goes away by it */
    if (!xen_store_read_uint(f->store, 0, f->be, "online", UINT32_MAX, &v)) {
        return errno == ENOENT;
    }
    return v != 0;
}

/*
 * The path of the backend and its domain; NULL: there is no (complete) device. False: XenStore
 * did not say.
 */
static bool front_read_backend(XenbusFront *f, char **ret_be, uint16_t *ret_id)
{
    g_autofree char *path = g_strdup_printf("%s/backend", f->fe);
    g_autofree char *backend = xen_store_read(f->store, 0, path);
    uint64_t id;

    if (!backend) {
        return front_is_absent(errno);
    }
    if (!xen_store_read_uint(f->store, 0, f->fe, "backend-id", UINT16_MAX, &id)) {
        return errno == EINVAL || front_is_absent(errno);
    }
    if (*backend) {
        *ret_be = g_steal_pointer(&backend);
        *ret_id = (uint16_t)id;
    }
    return true;
}

uint64_t xenbus_front_feature(XenbusFront *f, const char *key, uint64_t absent)
{
    uint64_t v;

    return xen_store_read_uint(f->store, 0, f->be, key, UINT32_MAX, &v) ? v : absent;
}

/* --- connection --- */

/*
 * Ends a connection, or the beginning of one. The backend may go on until it sees us
 * Closed, and longer: it has our pages until then.
 */
static void front_disconnect(XenbusFront *f)
{
    bool was = f->running;

    f->running = false;
    f->ops->disconnect(f);
    f->offered = false;
    xenbus_front_pages_try(f);
    f->ops->changed(f);
    if (was) {
        f->ops->event(f, XENBUS_DISCONNECTED, NULL);
    }
}

void xenbus_front_warn(XenbusFront *f, const char *reason)
{
    if (g_strcmp0(f->error, reason) == 0) {
        return;
    }
    g_free(f->error);
    f->error = g_strdup(reason);
    f->ops->event(f, XENBUS_ERROR, f->error);
}

void xenbus_front_fail(XenbusFront *f, const char *reason)
{
    front_disconnect(f);
    front_set_state(f, XenbusStateClosed);
    xenbus_front_warn(f, reason);
    xenbus_front_settled(f);
}

/* The backend waits for us: make what it needs, and tell it. */
static void front_connect(XenbusFront *f)
{
    g_autoptr(GError) error = NULL;

    f->retry_at_us = g_get_monotonic_time() + (gint64)f->retry_ms * 1000;
    f->retry_ms = MIN(f->retry_ms * 2, RETRY_MAX_MS);
    if (!f->ops->connect(f, &error)) {
        xenbus_front_fail(f, error->message);
        return;
    }
    f->offered = true;
    front_set_state(f, f->ops->at_initialised ? XenbusStateInitialised : XenbusStateConnected);
}

/* The backend is connected: packets or requests may flow. */
static void front_run(XenbusFront *f)
{
    g_autoptr(GError) error = NULL;

    if (!f->ops->run(f, &error)) {
        xenbus_front_fail(f, error->message);
        return;
    }
    if (f->state != XenbusStateConnected) {
        front_set_state(f, XenbusStateConnected);
    }
    f->running = true;
    f->retry_ms = RETRY_MIN_MS;
    g_clear_pointer(&f->error, g_free);
    f->ops->changed(f);
    f->ops->event(f, XENBUS_CONNECTED, NULL);
}

/* --- what is said of a backend that does not come, or does not want --- */

static gboolean front_report_wait(gpointer opaque)
{
    XenbusFront *f = opaque;
    enum xenbus_state back = XenbusStateUnknown;
    g_autofree char *text = NULL;

    f->wait_timer = 0;
    if (f->be && !front_read_state(f, f->be, &back)) {
        front_store_failed(f, false, f->be);
        return G_SOURCE_REMOVE;
    }
    f->wait_reported = true;
    text = f->be ? g_strdup_printf("waits for the backend: %s/state is %s", f->be,
                                   xenbus_state_name(back))
                 : g_strdup_printf("waits for a backend: there is no %s/backend", f->fe);
    xenbus_front_warn(f, text);
    return G_SOURCE_REMOVE;
}

/* Once, if it takes long. */
static void front_watch_wait(XenbusFront *f)
{
    if (f->running || f->closing || f->lost) {
        f->wait_reported = false;
        g_clear_handle_id(&f->wait_timer, g_source_remove);
    } else if (!f->wait_timer && !f->wait_reported) {
        f->wait_timer = g_timeout_add(WAIT_MS, front_report_wait, f);
    }
}

/* A backend writes its reason beside its directory, where we may be allowed to read it. */
static void front_report_refusal(XenbusFront *f)
{
    const char *device = strstr(f->be, "/backend/");
    g_autofree char *path = NULL;
    g_autofree char *reason = NULL;
    g_autofree char *text = NULL;

    if (!device) {
        return;
    }
    path = g_strdup_printf("%.*s/error%s/error", (int)(device - f->be), f->be, device);
    reason = xen_store_read(f->store, 0, path);
    if (reason) {
        text = g_strdup_printf("the backend refused: %s (%s)", reason, path);
    } else if (!f->running) {
        text = g_strdup_printf("the backend refused; its reason may be in %s", path);
    } else {
        return; /* an end like any other */
    }
    xenbus_front_warn(f, text);
}

/* --- states --- */

static gboolean front_retry(gpointer opaque)
{
    XenbusFront *f = opaque;

    f->retry_timer = 0;
    front_update(f);
    return G_SOURCE_REMOVE;
}

/* A backend that refuses us again and again is not asked again at once. */
static bool front_may_retry(XenbusFront *f)
{
    gint64 wait_us = f->retry_at_us - g_get_monotonic_time();

    if (wait_us <= 0) {
        return true;
    }
    if (!f->retry_timer) {
        f->retry_timer = g_timeout_add((guint)(wait_us / 1000) + 1, front_retry, f);
    }
    return false;
}

/* No device until now. One whose backend serves a former frontend is closed first. */
static void front_step_none(XenbusFront *f, enum xenbus_state back)
{
    bool fresh = back == XenbusStateUnknown || back == XenbusStateInitialising ||
                 back == XenbusStateInitWait;

    front_set_state(f, fresh ? XenbusStateInitialising : XenbusStateClosed);
}

static void front_step_initialising(XenbusFront *f, enum xenbus_state back)
{
    if (back == XenbusStateInitWait) {
        front_connect(f);
    } else if (back == XenbusStateClosing || back == XenbusStateConnected) {
        front_set_state(f, XenbusStateClosed);
    }
}

/* The backend has not looked at our keys yet. */
static bool front_is_waiting(XenbusFront *f)
{
    enum xenbus_state ours;

    return !f->running && (!front_read_state(f, f->fe, &ours) || ours == f->state);
}

/* It is Connected, or Initialised: the backend has our keys. */
static void front_step_offered(XenbusFront *f, enum xenbus_state back)
{
    switch (back) {
    case XenbusStateConnected:
        if (!f->running) {
            front_run(f);
        }
        break;
    case XenbusStateClosing:
    case XenbusStateClosed:
        front_report_refusal(f);
        front_disconnect(f);
        front_set_state(f, XenbusStateClosed);
        break;
    case XenbusStateInitWait:
        if (front_is_waiting(f)) {
            break;
        }
        G_GNUC_FALLTHROUGH;
    case XenbusStateUnknown:
    case XenbusStateInitialising:
        /* another backend than the one that we were connected to */
        front_disconnect(f);
        front_set_state(f, XenbusStateInitialising);
        break;
    case XenbusStateInitialised:
    case XenbusStateReconfiguring:
    case XenbusStateReconfigured:
    default:
        break;
    }
}

static void front_step_closed(XenbusFront *f, enum xenbus_state back)
{
    bool served = back == XenbusStateUnknown || back == XenbusStateInitialising ||
                  back == XenbusStateInitWait ||
                  (back == XenbusStateClosed && front_backend_online(f));

    if (served && front_may_retry(f)) {
        front_set_state(f, XenbusStateInitialising);
    }
}

static void front_step_closing(XenbusFront *f, enum xenbus_state back)
{
    if (back == XenbusStateUnknown || back == XenbusStateClosing || back == XenbusStateClosed) {
        front_disconnect(f);
        front_set_state(f, XenbusStateClosed);
    }
}

static void front_step(XenbusFront *f, enum xenbus_state back)
{
    switch (f->state) {
    case XenbusStateUnknown:
        front_step_none(f, back);
        break;
    case XenbusStateInitialising:
        front_step_initialising(f, back);
        break;
    case XenbusStateInitialised:
    case XenbusStateConnected:
        front_step_offered(f, back);
        break;
    case XenbusStateClosing:
        front_step_closing(f, back);
        break;
    case XenbusStateClosed:
        if (!f->closing) {
            front_step_closed(f, back);
        }
        break;
    case XenbusStateInitWait:
    case XenbusStateReconfiguring:
    case XenbusStateReconfigured:
    default:
        g_assert_not_reached(); /* none of ours */
    }
}

static void front_unwatch_backend(XenbusFront *f)
{
    g_clear_pointer(&f->watch_state, xen_store_unwatch);
    g_clear_pointer(&f->watch_online, xen_store_unwatch);
    g_clear_pointer(&f->watch_follow, xen_store_unwatch);
}

static bool front_watch(XenbusFront *f, XenWatch **w, const char *dir, const char *key,
                        GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s", dir, key);

    *w = xen_store_watch(f->store, path, front_update, f, error);
    return *w != NULL;
}

static bool front_watch_backend(XenbusFront *f, GError **error)
{
    return front_watch(f, &f->watch_state, f->be, "state", error) &&
           front_watch(f, &f->watch_online, f->be, "online", error) &&
           (!f->ops->follow || front_watch(f, &f->watch_follow, f->be, f->ops->follow, error));
}

/* Another backend than before, or none: f->be. False: XenStore did not say. */
static bool front_follow_backend(XenbusFront *f)
{
    uint16_t id = 0;
    g_autofree char *be = NULL;
    g_autoptr(GError) error = NULL;

    if (!front_read_backend(f, &be, &id)) {
        front_store_failed(f, false, f->fe);
        return false;
    }
    if (g_strcmp0(be, f->be) == 0 && id == f->backend_id) {
        return true;
    }
    front_disconnect(f);
    front_unwatch_backend(f);
    if (f->be && !be && !f->closing) {
        g_autofree char *text = g_strdup_printf("%s/backend is gone: the device was taken away",
                                                f->fe);

        xenbus_front_warn(f, text);
        f->wait_reported = true;
    }
    g_free(f->be);
    f->be = g_steal_pointer(&be);
    f->backend_id = id;
    f->state = XenbusStateUnknown;
    f->unwritten = false;
    if (f->be && !front_watch_backend(f, &error)) {
        front_store_report(f, error->message);
        front_unwatch_backend(f);
        g_clear_pointer(&f->be, g_free); /* it is seen again */
        f->backend_id = 0;
        return false;
    }
    return true;
}

static bool front_walk(XenbusFront *f)
{
    for (unsigned i = 0; i < MAX_STEPS && !f->closed_sent; i++) {
        enum xenbus_state before = f->state;
        enum xenbus_state back;

        if (!front_read_state(f, f->be, &back)) {
            front_store_failed(f, false, f->be);
            return false;
        }
        front_step(f, back);
        if (f->state == before) {
            break;
        }
    }
    return true;
}

static void front_update(void *opaque)
{
    XenbusFront *f = opaque;

    if (!f->started || f->closed_sent || f->lost || !front_follow_backend(f)) {
        return;
    }
    if (!f->be || (f->closing && f->state == XenbusStateUnknown)) {
        f->store_failed = false;
        if (f->closing) {
            front_finish_close(f);
        }
        front_watch_wait(f);
        return;
    }
    if (!front_walk(f)) {
        return;
    }
    f->store_failed = f->unwritten;
    f->ops->changed(f);
    front_watch_wait(f);
    xenbus_front_pages_try(f);
    xenbus_front_settled(f);
}

static gboolean front_store_retry(gpointer opaque)
{
    XenbusFront *f = opaque;

    f->store_timer = 0;
    if (f->unwritten && !f->lost) {
        front_set_state(f, f->state);
    }
    front_update(f);
    return G_SOURCE_REMOVE;
}

/* There is nobody left to talk to, and there will not be: no XenStore either. */
static gboolean front_lost(gint fd, GIOCondition cond, gpointer opaque)
{
    XenbusFront *f = opaque;

    f->lost_source = 0;
    f->lost = true;
    f->state = XenbusStateUnknown;
    front_disconnect(f);
    front_watch_wait(f);
    xenbus_front_warn(f, "the Xen host is gone");
    return G_SOURCE_REMOVE;
}

/* --- the end --- */

static gboolean front_send_closed(gpointer opaque)
{
    XenbusFront *f = opaque;

    f->closed_idle = 0;
    f->ops->event(f, XENBUS_CLOSED, NULL); /* may free it */
    return G_SOURCE_REMOVE;
}

static void front_finish_close(XenbusFront *f)
{
    if (f->closed_sent) {
        return;
    }
    f->closed_sent = true;
    g_clear_handle_id(&f->close_timer, g_source_remove);
    g_clear_handle_id(&f->retry_timer, g_source_remove);
    g_clear_handle_id(&f->wait_timer, g_source_remove);
    front_disconnect(f);
    if (f->state == XenbusStateClosing) {
        front_set_state(f, XenbusStateClosed); /* without the backend's consent */
    }
    f->closed_idle = g_idle_add(front_send_closed, f);
}

void xenbus_front_settled(XenbusFront *f)
{
    if (f->closing && f->state == XenbusStateClosed && !f->pages_timer) {
        front_finish_close(f);
    }
}

static gboolean front_close_timeout(gpointer opaque)
{
    XenbusFront *f = opaque;

    f->close_timer = 0;
    front_finish_close(f);
    return G_SOURCE_REMOVE;
}

void xenbus_front_close(XenbusFront *f, unsigned timeout_ms)
{
    if (f->closed_sent || f->closing) {
        return;
    }
    f->closing = true;
    if (!f->started || f->state == XenbusStateUnknown) {
        front_finish_close(f); /* nothing of ours is in use */
        return;
    }
    f->close_timer = g_timeout_add(timeout_ms, front_close_timeout, f);
    if (f->state != XenbusStateClosed) {
        front_set_state(f, XenbusStateClosing);
    }
    front_update(f);
}

/* --- public --- */

bool xenbus_front_init(XenbusFront *f, const XenbusFrontOps *ops, Xen *xen, XenStore *store,
                       unsigned idx, GError **error)
{
    *f = (XenbusFront){
        .ops = ops,
        .xen = xen,
        .store = store,
        .fe = g_strdup_printf("/local/domain/%u/device/%s/%u", xen->domid, ops->kind, idx),
        .state = XenbusStateUnknown,
        .pages = xenbus_front_pages_new(),
        .retry_ms = RETRY_MIN_MS,
    };
    f->share = xen->ops->share_open(xen, error);
    if (!f->share) {
        return false;
    }
    if (xen->ops->lost_fd) {
        f->lost_source = g_unix_fd_add(xen->ops->lost_fd(xen), G_IO_HUP, front_lost, f);
    }
    return front_watch(f, &f->watch_front, f->fe, "backend", error);
}

void xenbus_front_done(XenbusFront *f)
{
    front_unwatch_backend(f);
    g_clear_pointer(&f->watch_front, xen_store_unwatch);
    g_clear_handle_id(&f->lost_source, g_source_remove);
    g_clear_handle_id(&f->close_timer, g_source_remove);
    g_clear_handle_id(&f->retry_timer, g_source_remove);
    g_clear_handle_id(&f->wait_timer, g_source_remove);
    g_clear_handle_id(&f->store_timer, g_source_remove);
    g_clear_handle_id(&f->closed_idle, g_source_remove);
    f->running = false;
    if (f->share) {
        f->ops->disconnect(f);
        xenbus_front_pages_done(f);
    }
    g_clear_pointer(&f->pages, g_array_unref);
    g_clear_pointer(&f->error, g_free);
    g_clear_pointer(&f->be, g_free);
    g_clear_pointer(&f->fe, g_free);
}

void xenbus_front_start(XenbusFront *f)
{
    f->started = true;
    front_update(f);
}
