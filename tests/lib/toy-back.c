/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "toy-back.h"

#include <glib/gstdio.h>

#include "util/container-of.h"

static void toy_say(XenbusBack *b, const char *what)
{
    Toy *t = container_of(b, Toy, bus);

    g_string_append_printf(t->log, "%s%s", t->log->len ? " " : "", what);
}

static void toy_step(XenbusBack *b, const char *what)
{
    Toy *t = container_of(b, Toy, bus);

    if (t->round) {
        t->steps = *t->round == t->step_round ? t->steps + 1 : 1;
        t->step_round = *t->round;
        g_assert_cmpuint(t->steps, <=, 2); /* the one that fails, the first of the way back */
    }
    if (!t->quiet) {
        toy_say(b, what);
    }
}

static bool toy_write_nodes(XenbusBack *b, XenTx tx)
{
    return xen_store_printf(b->store, tx, b->be, "colour", "red");
}

static bool toy_take_over(XenbusBack *b, GError **error)
{
    container_of(b, Toy, bus)->taken_over = true;
    return true;
}

static bool toy_publish(XenbusBack *b, XenTx tx)
{
    return xen_store_printf(b->store, tx, b->be, "feature-bounce", "1");
}

static XenbusStep toy_connect(XenbusBack *b, GError **error)
{
    Toy *t = container_of(b, Toy, bus);

    toy_step(b, "connect");
    if (++t->parts < t->n_parts) {
        return XENBUS_STEP_MORE;
    }
    if (t->refuse_connect) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "the ring is square");
        return XENBUS_STEP_FAILED;
    }
    return XENBUS_STEP_DONE;
}

static XenbusStep toy_disconnect(XenbusBack *b)
{
    Toy *t = container_of(b, Toy, bus);

    if (t->busy && !b->ending) {
        toy_step(b, "wait");
        return XENBUS_STEP_WAIT;
    }
    toy_step(b, "disconnect");
    g_assert_cmpuint(t->parts, >, 0);
    return --t->parts > 0 ? XENBUS_STEP_MORE : XENBUS_STEP_DONE;
}

static void toy_event(XenbusBack *b, XenbusEvent event, const char *detail)
{
    static const char *const names[] = {
        [XENBUS_CONNECTED] = "CONNECTED",
        [XENBUS_DISCONNECTED] = "DISCONNECTED",
        [XENBUS_ERROR] = "ERROR",
        [XENBUS_CLOSED] = "CLOSED",
        [XENBUS_GONE] = "GONE",
        [XENBUS_WARNING] = "WARNING",
    };

    toy_say(b, names[event]);
}

static void toy_reconfigure(XenbusBack *b)
{
    container_of(b, Toy, bus)->reconfigured++;
}

const XenbusBackOps toy_ops = {
    .kind = "toy",
    .toolstack_key = "script",
    .max_idx = 10,
    .write_nodes = toy_write_nodes,
    .take_over = toy_take_over,
    .publish = toy_publish,
    .connect = toy_connect,
    .disconnect = toy_disconnect,
    .reconfigure = toy_reconfigure,
    .event = toy_event,
};

/* --- the host, the guest, the toolstack --- */

static char *toy_get(ToyTest *f, const char *dir, const char *key)
{
    g_autofree char *path = g_strdup_printf("%s/%s", dir, key);

    return xen_store_read(f->dom0, 0, path);
}

bool toy_is(ToyTest *f, const char *dir, const char *key, const char *want)
{
    g_autofree char *value = toy_get(f, dir, key);

    return g_strcmp0(value, want) == 0;
}

void toy_put(ToyTest *f, const char *dir, const char *key, const char *value)
{
    g_assert_true(xen_store_printf(f->dom0, 0, dir, key, "%s", value));
}

void toy_front(ToyTest *f, int state)
{
    g_assert_true(xen_store_printf(f->domu, 0, TOY_FE, "state", "%d", state));
}

static gboolean tick(gpointer unused)
{
    return G_SOURCE_CONTINUE;
}

guint toy_tick(void)
{
    return g_timeout_add(5, tick, NULL);
}

void toy_settle_once(void)
{
    while (g_main_context_iteration(NULL, false)) {
    }
    g_usleep(5000);
}

void toy_settle(void)
{
    for (unsigned i = 0; i < 20; i++) {
        toy_settle_once();
    }
}

static void see_state(void *opaque)
{
    ToyTest *f = opaque;
    g_autofree char *state = xen_store_read(f->domu, 0, TOY_BE "/state");

    if (state && !g_str_has_suffix(f->states->str, state)) {
        g_string_append(f->states, state);
    }
}

void toy_up(ToyTest *f)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    g_autofree char *domu G_GNUC_UNUSED = NULL;

    *f = (ToyTest){ .dir = g_dir_make_tmp("test-xenbus-XXXXXX", &error), .ops = toy_ops };
    g_assert_no_error(error);
    path = g_build_filename(f->dir, "host", NULL);
    f->host = xen_xenemu_open_host(path, &error);
    g_assert_no_error(error);
    f->guest = xen_xenemu_open_guest(path, 1, 1 << 20, &error);
    g_assert_no_error(error);
    f->dom0 = xen_store_open(f->host->store_path, &error);
    f->domu = xen_store_open(f->guest->store_path, &error);
    g_assert_no_error(error);
    f->states = g_string_new(NULL);
    f->toy.log = g_string_new(NULL);
}

void toy_back_new(ToyTest *f)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(xenbus_back_init(&f->toy.bus, &f->ops, f->host, f->dom0, 1, 5, &error));
    g_assert_no_error(error);
    f->watch_be = xen_store_watch(f->domu, TOY_BE "/state", see_state, f, &error);
    g_assert_no_error(error);
}

static void note(void *opaque)
{
    *(bool *)opaque = true;
}

/* Watches call in the order in which they were set: the backend has heard all that was said. */
static void toy_hear_all(ToyTest *f)
{
    g_autoptr(GError) error = NULL;
    bool heard = false;
    XenWatch *w = xen_store_watch(f->dom0, TOY_BE "/heard", note, &heard, &error);

    g_assert_no_error(error);
    TOY_WAIT(heard);
    xen_store_unwatch(w);
}

void toy_back_start(ToyTest *f)
{
    toy_back_new(f);
    xenbus_back_start(&f->toy.bus);
    toy_hear_all(f);
}

void toy_guest_dies(ToyTest *f)
{
    xen_store_unwatch(g_steal_pointer(&f->watch_be));
    xen_store_close(g_steal_pointer(&f->domu));
    xen_close(g_steal_pointer(&f->guest));
}

void toy_down(ToyTest *f)
{
    xenbus_back_done(&f->toy.bus);
    xenbus_back_done(&f->toy.bus);
    if (f->guest) {
        toy_guest_dies(f);
    }
    xen_store_close(f->dom0);
    xen_close(f->host);
    g_rmdir(f->dir);
    g_free(f->dir);
    g_string_free(f->states, true);
    g_string_free(f->toy.log, true);
}

void toy_expect_log(ToyTest *f, const char *want)
{
    g_assert_cmpstr(f->toy.log->str, ==, want);
    g_string_truncate(f->toy.log, 0);
}

void toy_toolstack_add(ToyTest *f)
{
    g_assert_true(xen_store_mkdir(f->dom0, 0, TOY_BE, 0, 1));
    toy_put(f, TOY_BE, "frontend", TOY_FE);
    toy_put(f, TOY_BE, "frontend-id", "1");
    toy_put(f, TOY_BE, "online", "1");
    toy_put(f, TOY_BE, "state", "1");
    toy_put(f, TOY_BE, "script", "/etc/xen/scripts/toy");
    toy_put(f, TOY_BE, "hotplug-status", "");
    g_assert_true(xen_store_mkdir(f->dom0, 0, TOY_FE, 1, 0));
    toy_put(f, TOY_FE, "backend", TOY_BE);
    toy_put(f, TOY_FE, "backend-id", "0");
    toy_put(f, TOY_FE, "state", "1");
}

void toy_connected(ToyTest *f)
{
    toy_up(f);
    toy_back_start(f);
    toy_front(f, 4);
    TOY_WAIT(toy_is(f, TOY_BE, "state", "4"));
    toy_expect_log(f, "connect CONNECTED");
}

void toy_chown_back(ToyTest *f, uint16_t owner, uint16_t reader)
{
    static const char *const keys[] = { "", "/frontend", "/frontend-id", "/online", "/state",
                                        "/script", "/hotplug-status" };

    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *path = g_strconcat(TOY_BE, keys[i], NULL);

        g_assert_true(xen_store_mkdir(f->dom0, 0, path, owner, reader));
    }
}
