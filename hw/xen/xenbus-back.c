/*
 * A backend's life: what the frontend's state and the toolstack ask for, and what we answer.
 *
 *                    xenbus_back_start()
 *     Initialising ------------------------> InitWait <--------------+
 *                                               |                    |
 *                    frontend ready, keys good, hotplug done         |
 *                                               v                    |
 *                                           Connected                |
 *                                               |                    | frontend
 *   frontend Closing, xenbus_back_fail(), xenbus_back_close()        | Initialising,
 *                                               v                    | or Connected
 *                                            Closing ----------------+ written anew
 *                                               |                    |
 *                                        frontend Closed             |
 *                                               v                    |
 *                                            Closed -----------------+
 *
 * Ready: Connected, or of some kinds Initialised. Every step is really published, in this order:
 * frontends wait for each. All of it happens in back_update(), which looks at what is there now and
 * not at what changed: a guest may toggle its state as it likes, it costs one look.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xenbus-back.h"

#include <errno.h>

#include "xenbus-back-internal.h"

#define STORE_RETRY_MS   1000

/* Before a frontend that failed is connected again, more each time... */
#define FAIL_WAIT_MIN_MS 1u
#define FAIL_WAIT_MAX_MS 1000u
/* ...until a connection lasted so long. */
#define FAIL_FORGET_US   G_USEC_PER_SEC

static void back_begin(XenbusBack *b);
static void back_update(void *opaque);
static void back_finish_close(XenbusBack *b);

/*
 * --- connection: a step in a round of the main loop, so that no guest has the loop to itself ---
 */

static gboolean back_step(gpointer opaque);

static void back_step_later(XenbusBack *b)
{
    if (!b->step_source) {
        b->step_source = g_idle_add_full(G_PRIORITY_DEFAULT, back_step, b, NULL);
    }
}

static void back_disconnect_step(XenbusBack *b)
{
    b->goes_on = false;
    switch (b->ops->disconnect(b)) {
    case XENBUS_STEP_MORE:
        back_step_later(b);
        return;
    case XENBUS_STEP_WAIT:
        b->waiting = true;
        return;
    case XENBUS_STEP_DONE:
        break;
    case XENBUS_STEP_FAILED:
    default:
        g_assert_not_reached();
    }
    b->disconnecting = false;
    if (b->was_connected) {
        b->was_connected = false;
        b->ops->event(b, XENBUS_DISCONNECTED, NULL);
    }
}

/* True: there is no connection any more. Else back_update() follows when it is so. */
static bool back_disconnect(XenbusBack *b)
{
    if (b->connected || b->connecting) {
        b->was_connected = b->connected;
        if (b->connected && g_get_monotonic_time() - b->connected_us >= FAIL_FORGET_US) {
            b->fail_wait_ms = 0;
        }
        b->connected = b->connecting = false;
        b->disconnecting = true;
        back_disconnect_step(b);
    }
    return !b->disconnecting;
}

static void back_stalled(XenbusBack *b, bool write)
{
    b->front_written = true; /* it is looked at again */
    errno = ETIMEDOUT;
    xenbus_back_store_failed(b, write);
}

static void back_failed(XenbusBack *b)
{
    b->failing = false;
    if (b->stalled) {
        b->stalled = false;
        g_clear_pointer(&b->error, g_free);
        back_stalled(b, false);
        return;
    }
    b->fail_wait_ms = CLAMP(b->fail_wait_ms * 2, FAIL_WAIT_MIN_MS, FAIL_WAIT_MAX_MS);
    b->fail_until_us = g_get_monotonic_time() + b->fail_wait_ms * 1000;
    xenbus_back_set_error(b, b->error);
    xenbus_back_set_state(b, XenbusStateClosing);
    b->ops->event(b, XENBUS_ERROR, b->error);
}

void xenbus_back_fail(XenbusBack *b, const char *reason)
{
    char *copy = g_strdup(reason); /* it may be ours */

    if (b->failing) {
        g_free(copy);
        return; /* the first reason is the one */
    }
    b->failing = true;
    g_free(b->error);
    b->error = copy;
    if (back_disconnect(b)) {
        back_failed(b);
    }
}

static void back_connect_step(XenbusBack *b)
{
    g_autoptr(GError) error = NULL;

    switch (b->ops->connect(b, &error)) {
    case XENBUS_STEP_MORE:
        back_step_later(b);
        return;
    case XENBUS_STEP_FAILED:
        b->stalled = !b->failing && xen_store_is_stalled(b->store);
        xenbus_back_fail(b, error->message);
        return;
    case XENBUS_STEP_DONE:
        break;
    case XENBUS_STEP_WAIT:
    default:
        g_assert_not_reached();
    }
    b->connecting = false;
    b->connected = true;
    b->connected_us = g_get_monotonic_time();
    g_clear_pointer(&b->error, g_free);
    xenbus_back_set_error(b, NULL);
    xenbus_back_set_state(b, XenbusStateConnected);
    b->ops->event(b, XENBUS_CONNECTED, NULL);
}

static void back_connect(XenbusBack *b)
{
    b->connecting = true;
    back_connect_step(b);
}

static gboolean back_step(gpointer opaque)
{
    XenbusBack *b = opaque;

    if (b->connecting) {
        back_connect_step(b);
    } else if (b->disconnecting && !b->waiting) {
        back_disconnect_step(b);
    }
    if (b->connecting || (b->disconnecting && !b->waiting)) {
        return G_SOURCE_CONTINUE;
    }
    b->step_source = 0;
    if (b->waiting) {
        return G_SOURCE_REMOVE;
    }
    if (b->failing) {
        back_failed(b);
    }
    if (b->close_due) {
        back_finish_close(b);
    } else {
        back_update(b); /* what changed meanwhile was not looked at */
    }
    return G_SOURCE_REMOVE;
}

void xenbus_back_go_on(XenbusBack *b)
{
    if (b->waiting) {
        b->waiting = false;
        back_step_later(b);
    }
}

/* --- states --- */

/* Walks to InitWait, with every state between published. */
static void back_to_init_wait(XenbusBack *b)
{
    g_autoptr(GError) error = NULL;

    if (!back_disconnect(b)) {
        return;
    }
    if (b->state == XenbusStateConnected) {
        xenbus_back_set_state(b, XenbusStateClosing);
    }
    if (b->state == XenbusStateClosing) {
        xenbus_back_set_state(b, XenbusStateClosed);
    }
    if (b->state == XenbusStateInitWait) {
        return;
    }
    b->goes_on = false;
    if (!xenbus_back_publish(b, &error)) {
        if (xen_store_is_stalled(b->store)) {
            back_stalled(b, true);
        } else {
            xenbus_back_fail(b, error->message);
        }
        return;
    }
    xenbus_back_set_state(b, XenbusStateInitWait);
}

/* False: not yet, there is still a connection. The same below. */
static bool back_to_closing(XenbusBack *b)
{
    if (!back_disconnect(b)) {
        return false;
    }
    if (b->state != XenbusStateClosing && b->state != XenbusStateClosed) {
        xenbus_back_set_state(b, XenbusStateClosing);
    }
    return true;
}

static bool back_to_closed(XenbusBack *b)
{
    if (!back_to_closing(b)) {
        return false;
    }
    if (b->state != XenbusStateClosed) {
        xenbus_back_set_state(b, XenbusStateClosed);
    }
    return true;
}

/* --- the end --- */

static gboolean back_send_closed(gpointer opaque)
{
    XenbusBack *b = opaque;

    b->closed_idle = 0;
    b->ops->event(b, XENBUS_CLOSED, NULL); /* may free it */
    return G_SOURCE_REMOVE;
}

static void back_finish_close(XenbusBack *b)
{
    b->close_due = true;
    if (b->closed_sent || !back_to_closed(b)) {
        return;
    }
    b->closed_sent = true;
    g_clear_handle_id(&b->close_timer, g_source_remove);
    b->closed_idle = g_idle_add_full(G_PRIORITY_DEFAULT, back_send_closed, b, NULL);
}

static gboolean back_send_gone(gpointer opaque)
{
    XenbusBack *b = opaque;

    b->closed_idle = 0;
    b->ops->event(b, XENBUS_GONE, NULL); /* may free it */
    return G_SOURCE_REMOVE;
}

/* Nobody is left to talk to: the domain died, or the directories are gone. */
static void back_gone(XenbusBack *b)
{
    if (!back_disconnect(b)) {
        return;
    }
    if (b->closing) {
        back_finish_close(b);
    } else if (!b->closed_sent) {
        b->closed_sent = true;
        xenbus_back_set_state(b, XenbusStateClosed);
        b->closed_idle = g_idle_add_full(G_PRIORITY_DEFAULT, back_send_gone, b, NULL);
    }
}

/* --- what is there now --- */

static gboolean back_waited(gpointer opaque)
{
    XenbusBack *b = opaque;

    b->fail_timer = 0;
    back_update(b);
    return G_SOURCE_REMOVE;
}

/* A frontend that failed again and again waits. back_update() follows. */
static bool back_must_wait(XenbusBack *b)
{
    gint64 left_us = b->fail_until_us - g_get_monotonic_time();

    if (left_us > 0 && !b->fail_timer) {
        b->fail_timer = g_timeout_add((guint)(left_us / 1000 + 1), back_waited, b);
    }
    return left_us > 0;
}

static void back_follow_ready(XenbusBack *b, const BackControl *c)
{
    bool again = b->front_written && c->online && b->state != XenbusStateInitWait;

    if (b->connected) {
        b->front_written = false;
        if (b->reconfigured) {
            /* else its next Reconfiguring would find the answer there already */
            xenbus_back_set_state(b, XenbusStateConnected);
        }
        return;
    }
    if (b->connecting || back_must_wait(b)) {
        return;
    }
    b->front_written = false;
    if (again) {
        back_to_init_wait(b);
    }
    if (b->state == XenbusStateInitWait && c->hotplug_done) {
        back_connect(b);
    }
}

/*
 * Linux's netfront waits for this answer without an end, and takes it for a promise. At each look:
 * a Connected and another Reconfiguring since the last one are not seen.
 */
static void back_reconfigure(XenbusBack *b)
{
    if (b->state != XenbusStateConnected) {
        return;
    }
    if (b->ops->reconfigure) {
        b->ops->reconfigure(b);
    }
    if (b->reconfigured) {
        return;
    }
    b->reconfigured = xenbus_back_write(b, "state", XenbusStateReconfigured);
    if (!b->reconfigured) {
        xenbus_back_store_failed(b, true);
    }
}

/* Its keys are there. */
static bool back_front_is_ready(const XenbusBack *b, enum xenbus_state front)
{
    return front == XenbusStateConnected ||
           (front == XenbusStateInitialised && b->ops->at_initialised);
}

/*
 * What the frontend's state asks for, while the device is offered. What it wrote between two looks
 * is not seen: a Connected may have had an Initialising before it. But after an error the old
 * Connected still stands there: only one that was written since counts.
 */
static void back_follow_front(XenbusBack *b, enum xenbus_state front, const BackControl *c)
{
    if (back_front_is_ready(b, front)) {
        back_follow_ready(b, c);
        return;
    }
    switch (front) {
    case XenbusStateInitialising:
        if (c->online) {
            back_to_init_wait(b);
        } else {
            back_gone(b); /* unplugged before a driver took it */
        }
        break;
    case XenbusStateReconfiguring:
        back_reconfigure(b);
        break;
    case XenbusStateClosing:
        back_to_closing(b);
        break;
    case XenbusStateClosed:
        if (back_to_closed(b) && !c->online) {
            back_gone(b);
        }
        break;
    case XenbusStateUnknown: /* no node: see back_update() */
    case XenbusStateInitWait:
    case XenbusStateInitialised: /* not a state of a vif's frontend */
    case XenbusStateConnected:
    case XenbusStateReconfigured:
    default:
        break;
    }
}

/* A frontend in one of these has nothing of ours in use and need not be waited for. */
static bool back_front_idle(enum xenbus_state front)
{
    return front == XenbusStateUnknown || front == XenbusStateInitialising ||
           front == XenbusStateClosed;
}

/* The device's end has come: nobody is left who could use it. */
static bool back_is_gone(XenbusBack *b, enum xenbus_state front, const BackControl *c)
{
    XenDomainState domain = xen_store_domain_state(b->store, b->frontend_id);

    b->front_seen |= front != XenbusStateUnknown;
    b->domain_seen |= domain == XEN_DOMAIN_ALIVE;
    /* what was there before and is not there now */
    return c->gone || (b->domain_seen && domain == XEN_DOMAIN_DEAD) ||
           (b->front_seen && front == XenbusStateUnknown);
}

/*
 * Connected behind an Initialised is the frontend's answer to ours, and no new try: not even if
 * the connection came to an end in between.
 */
static void back_note_front(XenbusBack *b, enum xenbus_state front)
{
    bool answer = b->ops->at_initialised && front == XenbusStateConnected &&
                  b->front_last == XenbusStateInitialised;

    b->front_written = back_front_is_ready(b, front) && !answer &&
                       (b->front_written || !back_front_is_ready(b, b->front_last));
    b->front_last = front;
}

static void back_update(void *opaque)
{
    XenbusBack *b = opaque;
    enum xenbus_state front;
    BackControl c;

    if (!b->started || b->begin_due || b->closed_sent || b->disconnecting) {
        return;
    }
    front = xenbus_back_front_state(b);
    c = xenbus_back_read_control(b);
    if (c.unknown) {
        xenbus_back_store_failed(b, false);
        return;
    }
    b->store_failed = b->unwritten;
    back_note_front(b, front);
    if (back_is_gone(b, front, &c)) {
        back_gone(b);
    } else if (!b->closing) {
        back_follow_front(b, front, &c);
    } else if (back_front_idle(front)) {
        back_finish_close(b);
    }
}

static void back_front_written(void *opaque)
{
    XenbusBack *b = opaque;

    b->front_written |= b->front_watched; /* the first call is no write */
    b->front_watched = true;
    back_update(b);
}

static gboolean back_retry(gpointer opaque)
{
    XenbusBack *b = opaque;

    b->retry_timer = 0;
    if (b->begin_due) {
        back_begin(b);
        return G_SOURCE_REMOVE;
    }
    if (b->unwritten) {
        xenbus_back_set_state(b, b->state);
    }
    back_update(b);
    return G_SOURCE_REMOVE;
}

void xenbus_back_store_failed(XenbusBack *b, bool write)
{
    g_autofree char *text = NULL;

    if (!b->retry_timer) {
        b->retry_timer = g_timeout_add(STORE_RETRY_MS, back_retry, b);
    }
    if (!b->store_failed) {
        b->store_failed = true;
        text = g_strdup_printf("XenStore: cannot %s %s: %s", write ? "write" : "read", b->be,
                               g_strerror(errno));
        b->ops->event(b, XENBUS_ERROR, text);
    }
}

/* --- public --- */

static bool back_watch(XenbusBack *b, XenWatch **w, const char *dir, const char *key,
                       void (*fn)(void *opaque), GError **error)
{
    g_autofree char *path = dir ? g_strdup_printf("%s/%s", dir, key) : g_strdup(key);

    *w = xen_store_watch(b->store, path, fn, b, error);
    return *w != NULL;
}

bool xenbus_back_init(XenbusBack *b, const XenbusBackOps *ops, Xen *xen, XenStore *store,
                      uint16_t frontend_id, int32_t idx, GError **error)
{
    *b = (XenbusBack){
        .ops = ops,
        .xen = xen,
        .store = store,
        .frontend_id = frontend_id,
        .state = XenbusStateInitialising,
    };
    return xenbus_back_nodes_create(b, idx, error) &&
           back_watch(b, &b->watch_front, b->fe, "state", back_front_written, error) &&
           back_watch(b, &b->watch_online, b->be, "online", back_update, error) &&
           back_watch(b, &b->watch_hotplug, b->be, "hotplug-status", back_update, error) &&
           back_watch(b, &b->watch_domain, NULL, "@releaseDomain", back_update, error);
}

void xenbus_back_done(XenbusBack *b)
{
    bool left = b->connected || b->connecting || b->disconnecting;

    b->ending = true;
    while (left) {
        XenbusStep step = b->ops->disconnect(b);

        g_assert(step != XENBUS_STEP_WAIT);
        left = step == XENBUS_STEP_MORE;
    }
    b->connected = b->connecting = b->disconnecting = b->waiting = false;
    xen_store_unwatch(g_steal_pointer(&b->watch_front));
    xen_store_unwatch(g_steal_pointer(&b->watch_online));
    xen_store_unwatch(g_steal_pointer(&b->watch_hotplug));
    xen_store_unwatch(g_steal_pointer(&b->watch_domain));
    g_clear_handle_id(&b->retry_timer, g_source_remove);
    g_clear_handle_id(&b->step_source, g_source_remove);
    g_clear_handle_id(&b->fail_timer, g_source_remove);
    g_clear_handle_id(&b->close_timer, g_source_remove);
    g_clear_handle_id(&b->closed_idle, g_source_remove);
    xenbus_back_nodes_remove(b);
    g_clear_pointer(&b->error, g_free);
    g_clear_pointer(&b->error_path, g_free);
    g_clear_pointer(&b->be, g_free);
    g_clear_pointer(&b->fe, g_free);
}

/* Another backend, which died, was connected to a frontend that still is, and all is in place. */
static bool back_can_go_on(XenbusBack *b)
{
    enum xenbus_state own = xenbus_back_own_state(b);

    return back_front_is_ready(b, xenbus_back_front_state(b)) &&
           (own == XenbusStateConnected || own == XenbusStateReconfigured) &&
           xenbus_back_read_control(b).hotplug_done;
}

/* A frontend that is Connected must not see InitWait, nor be taken for a new one: rather later. */
static void back_begin(XenbusBack *b)
{
    b->goes_on = back_can_go_on(b);
    b->begin_due = b->goes_on && !xenbus_back_publish(b, NULL);
    if (b->begin_due) {
        xenbus_back_store_failed(b, true);
        return;
    }
    if (b->goes_on) {
        b->state = XenbusStateInitWait; /* not said: some frontends would begin anew at it */
    } else if (xenbus_back_front_state(b) != XenbusStateClosed) {
        back_to_init_wait(b);
    }
    back_update(b);
}

void xenbus_back_start(XenbusBack *b)
{
    if (!b->started) {
        b->started = true;
        back_begin(b);
    }
}

static gboolean back_close_timeout(gpointer opaque)
{
    XenbusBack *b = opaque;

    b->close_timer = 0;
    back_finish_close(b);
    return G_SOURCE_REMOVE;
}

void xenbus_back_republish(XenbusBack *b)
{
    if (b->connected && b->state == XenbusStateConnected) {
        xenbus_back_set_state(b, XenbusStateConnected);
    }
}

void xenbus_back_close(XenbusBack *b, unsigned timeout_ms)
{
    if (b->closed_sent) {
        return; /* its event is on the way */
    }
    g_clear_handle_id(&b->close_timer, g_source_remove);
    b->closing = true;
    b->started = true;
    b->close_timer = g_timeout_add(timeout_ms, back_close_timeout, b); /* XenStore's time, too */
    xenbus_back_write(b, "online", 0);
    if (b->connecting) {
        back_disconnect(b);
    }
    if (b->state != XenbusStateClosing && b->state != XenbusStateClosed) {
        /* the queues go on until the frontend has let go of them */
        xenbus_back_set_state(b, XenbusStateClosing);
    }
    back_update(b);
}
