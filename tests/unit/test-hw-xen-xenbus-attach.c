/*
 * What is attached of that which a toolstack makes, and what is not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xenbus-attach.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "toy-back.h"

#define ERROR_DIR "/local/domain/0/error/backend/toy/1/5"

typedef struct Fixture {
    ToyTest t;
    XenbusAttach *attach;
    unsigned attached;
    unsigned refused;
    bool refuse;
} Fixture;

static bool make_back(void *opaque, unsigned idx, const char *be, GError **error)
{
    Fixture *f = opaque;

    g_assert_cmpuint(idx, ==, 5);
    g_assert_cmpstr(be, ==, TOY_BE);
    f->attached++;
    if (f->refuse) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "no such\ncolour");
        return false;
    }
    if (!xenbus_back_init(&f->t.toy.bus, &f->t.ops, f->t.host, f->t.dom0, 1, 5, error)) {
        return false;
    }
    xenbus_back_start(&f->t.toy.bus);
    return true;
}

static void say_refused(void *opaque, const char *be, const char *reason)
{
    Fixture *f = opaque;

    g_assert_cmpstr(be, ==, TOY_BE);
    g_assert_cmpstr(reason, ==, "no such: colour");
    f->refused++;
}

static void up(Fixture *f)
{
    *f = (Fixture) { 0 };
    toy_up(&f->t);
    f->t.ops.own_key = "feature-bounce";
}

static void watch(Fixture *f)
{
    XenbusAttachConfig config = {
        .back = &f->t.ops, .frontend_id = 1, .attach = make_back, .refused = say_refused,
        .opaque = f,
    };
    g_autoptr(GError) error = NULL;

    f->attach = xenbus_attach_new(f->t.host, f->t.dom0, &config, &error);
    g_assert_no_error(error);
}

static void down(Fixture *f)
{
    xenbus_attach_free(f->attach);
    toy_down(&f->t);
}

static void test_what_is_there(void)
{
    Fixture f;

    up(&f);
    toy_toolstack_add(&f.t);
    watch(&f);
    g_assert_cmpuint(f.attached, ==, 1); /* at once */
    g_assert_true(f.t.toy.taken_over);
    g_assert_true(toy_is(&f.t, TOY_BE, "state", "2"));
    toy_settle();
    g_assert_cmpuint(f.attached, ==, 1);
    down(&f);
}

static void test_what_comes(void)
{
    Fixture f;

    up(&f);
    watch(&f);
    toy_settle();
    toy_toolstack_add(&f.t);
    TOY_WAIT(f.attached > 0);
    toy_put(&f.t, TOY_BE, "hotplug-status", "connected");
    toy_front(&f.t, 4);
    TOY_WAIT(f.t.toy.bus.connected);
    toy_settle();
    g_assert_cmpuint(f.attached, ==, 1);
    down(&f);
}

/* Another program has it, which is just ending: nothing tells when it has. */
static void test_another_program_ends(void)
{
    g_autofree char *file = NULL;
    Xen other = { 0 };
    XenClaim *claim;
    Fixture f;

    up(&f);
    g_assert_cmpint(close(g_file_open_tmp("claims-XXXXXX", &file, NULL)), ==, 0);
    other.claim_file = f.t.host->claim_file = file;
    claim = xen_claim(&other, "toy", 1, 5);
    g_assert_nonnull(claim);
    g_assert_false(xen_is_claimed_here(f.t.host, "toy", 1, 5));
    toy_toolstack_add(&f.t);
    watch(&f);
    toy_settle();
    g_assert_cmpuint(f.attached, ==, 0);
    xen_unclaim(&other, claim);
    TOY_WAIT(f.attached > 0);
    g_assert_true(xen_is_claimed_here(f.t.host, "toy", 1, 5));
    down(&f);
    g_assert_cmpint(g_unlink(file), ==, 0);
}

/* A toolstack takes it away and makes another one. */
static void test_again(void)
{
    Fixture f;

    up(&f);
    watch(&f);
    toy_toolstack_add(&f.t);
    TOY_WAIT(f.attached == 1);
    toy_put(&f.t, TOY_BE, "online", "0");
    toy_front(&f.t, 6);
    TOY_WAIT(toy_is(&f.t, TOY_BE, "state", "6"));
    xenbus_back_done(&f.t.toy.bus);
    xenbus_attach_look(f.attach);
    toy_settle();
    g_assert_cmpuint(f.attached, ==, 1); /* it goes */
    g_assert_true(xen_store_remove(f.t.dom0, 0, TOY_BE));
    g_assert_true(xen_store_remove(f.t.dom0, 0, TOY_FE));
    toy_settle();
    toy_toolstack_add(&f.t);
    TOY_WAIT(f.attached == 2);
    down(&f);
}

static void expect_not_attached(Fixture *f)
{
    toy_settle();
    xenbus_attach_look(f->attach);
    g_assert_cmpuint(f->attached, ==, 0);
    down(f);
}

static const char *const others[][2] = {
    { "online", "0" }, { "online", "x" }, { "online", NULL }, { "script", NULL },
    { "state", "4" }, { "state", "2" }, { "state", NULL }, { "frontend", NULL },
    { "frontend", "/local/domain/1/device/toy/6" },
};

static void test_not_this_one(gconstpointer data)
{
    const char *const *other = data;
    Fixture f;

    up(&f);
    toy_toolstack_add(&f.t);
    if (other[1]) {
        toy_put(&f.t, TOY_BE, other[0], other[1]);
    } else {
        g_autofree char *path = g_strdup_printf(TOY_BE "/%s", other[0]);

        g_assert_true(xen_store_remove(f.t.dom0, 0, path));
    }
    watch(&f);
    expect_not_attached(&f);
}

/* By force: the guest's directory is the first that goes. */
static void test_without_a_front(void)
{
    Fixture f;

    up(&f);
    toy_toolstack_add(&f.t);
    g_assert_true(xen_store_remove(f.t.dom0, 0, TOY_FE));
    watch(&f);
    expect_not_attached(&f);
}

static void test_no_numbers(void)
{
    Fixture f;

    up(&f);
    toy_put(&f.t, "/local/domain/0/backend/toy/1/x", "script", "/x");
    toy_put(&f.t, "/local/domain/0/backend/toy/1/10", "script", "/x"); /* its max_idx is 10 */
    watch(&f);
    expect_not_attached(&f);
}

static void test_of_a_dead_domain(void)
{
    Fixture f;

    up(&f);
    toy_toolstack_add(&f.t);
    f.t.watch_be = NULL;
    toy_guest_dies(&f.t);
    toy_toolstack_add(&f.t);
    watch(&f);
    expect_not_attached(&f);
}

/* It has a mark of ours, and nobody's claim. */
static void test_goes_on_after_a_kill(void)
{
    Fixture f;

    up(&f);
    toy_toolstack_add(&f.t);
    toy_put(&f.t, TOY_BE, "hotplug-status", "connected");
    toy_put(&f.t, TOY_BE, "state", "4");
    toy_put(&f.t, TOY_BE, "feature-bounce", "1");
    toy_front(&f.t, 4);
    watch(&f);
    g_assert_cmpuint(f.attached, ==, 1);
    TOY_WAIT(f.t.toy.bus.connected);
    down(&f);
}

static void test_lives_elsewhere(void)
{
    XenClaim *claim;
    Fixture f;

    up(&f);
    toy_toolstack_add(&f.t);
    claim = xen_claim(f.t.host, "toy", 1, 5);
    watch(&f);
    toy_settle();
    g_assert_cmpuint(f.attached, ==, 0);
    xen_unclaim(f.t.host, claim);
    xenbus_attach_look(f.attach);
    g_assert_cmpuint(f.attached, ==, 1);
    down(&f);
}

/* The guest does not wait for it, people see why, and nothing is left of that. */
static void test_refused(void)
{
    Fixture f;

    up(&f);
    f.refuse = true;
    toy_toolstack_add(&f.t);
    watch(&f);
    g_assert_cmpuint(f.refused, ==, 1);
    g_assert_true(toy_is(&f.t, TOY_BE, "state", "6"));
    g_assert_true(toy_is(&f.t, ERROR_DIR, "error", "no such: colour"));
    toy_settle();
    g_assert_cmpuint(f.attached, ==, 1); /* not again */
    g_assert_true(xen_store_remove(f.t.dom0, 0, TOY_BE));
    TOY_WAIT(toy_is(&f.t, "/local/domain/0/error/backend/toy", "1", NULL)); /* all of it */
    g_assert_true(xen_store_remove(f.t.dom0, 0, TOY_FE));
    f.refuse = false;
    toy_toolstack_add(&f.t);
    TOY_WAIT(f.attached == 2);
    down(&f);
}

static void test_refused_at_the_end(void)
{
    Fixture f;

    up(&f);
    f.refuse = true;
    toy_toolstack_add(&f.t);
    watch(&f);
    g_assert_true(toy_is(&f.t, ERROR_DIR, "error", "no such: colour"));
    g_clear_pointer(&f.attach, xenbus_attach_free);
    g_assert_true(toy_is(&f.t, ERROR_DIR, "error", NULL));
    down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xenbus-attach/what-is-there", test_what_is_there);
    g_test_add_func("/xenbus-attach/what-comes", test_what_comes);
    g_test_add_func("/xenbus-attach/another-program-ends", test_another_program_ends);
    g_test_add_func("/xenbus-attach/again", test_again);
    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *name = g_strdup_printf("/xenbus-attach/not-this-one/%s-%s", others[i][0],
                                                others[i][1] ? others[i][1] : "absent");

        g_test_add_data_func(name, others[i], test_not_this_one);
    }
    g_test_add_func("/xenbus-attach/without-a-front", test_without_a_front);
    g_test_add_func("/xenbus-attach/no-numbers", test_no_numbers);
    g_test_add_func("/xenbus-attach/of-a-dead-domain", test_of_a_dead_domain);
    g_test_add_func("/xenbus-attach/goes-on-after-a-kill", test_goes_on_after_a_kill);
    g_test_add_func("/xenbus-attach/lives-elsewhere", test_lives_elsewhere);
    g_test_add_func("/xenbus-attach/refused", test_refused);
    g_test_add_func("/xenbus-attach/refused-at-the-end", test_refused_at_the_end);
    return g_test_run();
}
