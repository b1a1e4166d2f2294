/*
 * A backend's nodes: those that it makes, and those that are there already: a toolstack's, or left
 * by a backend that died, or of one that lives.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "toy-back.h"

#include <errno.h>
#include <glib/gstdio.h>

static void test_makes_nodes(void)
{
    ToyTest f;

    toy_up(&f);
    toy_back_new(&f);
    g_assert_true(f.toy.bus.created);
    g_assert_true(toy_is(&f, TOY_BE, "frontend", TOY_FE));
    g_assert_true(toy_is(&f, TOY_BE, "frontend-id", "1"));
    g_assert_true(toy_is(&f, TOY_BE, "online", "1"));
    g_assert_true(toy_is(&f, TOY_BE, "state", "1"));
    g_assert_true(toy_is(&f, TOY_BE, "colour", "red"));
    g_assert_true(toy_is(&f, TOY_FE, "backend", TOY_BE));
    g_assert_true(toy_is(&f, TOY_FE, "backend-id", "0"));
    g_assert_true(toy_is(&f, TOY_FE, "state", "1"));
    g_assert_true(toy_is(&f, TOY_BE, "feature-bounce", NULL)); /* not offered yet */
    toy_down(&f);
    g_assert_null(f.toy.bus.be);
}

/* What a backend of this kind leaves that was killed, and its frontend. */
static void leave(ToyTest *f, const char *be_state, const char *fe_state)
{
    g_assert_true(xen_store_mkdir(f->dom0, 0, TOY_BE, 0, 1));
    toy_put(f, TOY_BE, "frontend", TOY_FE);
    toy_put(f, TOY_BE, "frontend-id", "1");
    toy_put(f, TOY_BE, "online", "1");
    toy_put(f, TOY_BE, "hotplug-status", "connected");
    toy_put(f, TOY_BE, "state", be_state);
    toy_put(f, TOY_BE, "colour", "red");
    g_assert_true(xen_store_mkdir(f->dom0, 0, TOY_FE, 1, 0));
    toy_put(f, TOY_FE, "backend", TOY_BE);
    toy_put(f, TOY_FE, "backend-id", "0");
    toy_put(f, TOY_FE, "state", fe_state);
    g_assert_true(xen_store_printf(f->domu, 0, TOY_FE, "ring-ref", "77"));
}

/* The frontend keeps its nodes, and is connected without its doing anything. */
static void test_goes_on_after_a_kill(void)
{
    ToyTest f;

    toy_up(&f);
    leave(&f, "4", "4");
    toy_back_new(&f);
    g_assert_true(f.toy.bus.created);
    g_assert_true(f.toy.bus.resumed);
    g_assert_true(toy_is(&f, TOY_FE, "ring-ref", "77"));
    g_assert_true(toy_is(&f, TOY_FE, "state", "4"));
    g_assert_true(toy_is(&f, TOY_BE, "state", "4")); /* until it is offered again */
    f.toy.n_parts = 2000;
    f.toy.quiet = true;
    xenbus_back_start(&f.toy.bus);
    TOY_WAIT(f.toy.parts > 3);
    g_assert_true(toy_is(&f, TOY_BE, "state", "4")); /* it never is another one */
    TOY_WAIT(f.toy.bus.connected);
    toy_expect_log(&f, "CONNECTED");
    g_assert_true(toy_is(&f, TOY_BE, "state", "4"));
    g_assert_true(toy_is(&f, TOY_BE, "feature-bounce", "1"));
    g_assert_true(toy_is(&f, TOY_FE, "ring-ref", "77"));
    xenbus_back_done(&f.toy.bus);
    g_assert_true(toy_is(&f, TOY_BE, "frontend", NULL)); /* they are ours */
    g_assert_true(toy_is(&f, TOY_FE, "backend", NULL));
    toy_down(&f);
}

/* So does one whose nodes a toolstack made. */
static void test_goes_on_with_a_toolstack_s_nodes(void)
{
    ToyTest f;

    toy_up(&f);
    toy_toolstack_add(&f);
    toy_put(&f, TOY_BE, "hotplug-status", "connected");
    toy_put(&f, TOY_BE, "state", "4");
    toy_front(&f, 4);
    toy_back_start(&f);
    TOY_WAIT(f.toy.bus.connected);
    toy_settle();
    g_assert_cmpstr(f.states->str, ==, "4");
    g_assert_false(f.toy.bus.created);
    toy_down(&f);
}

/* The rings are gone meanwhile, or are of no use any more: it is told to begin anew. */
static void test_cannot_go_on(void)
{
    ToyTest f;

    toy_up(&f);
    leave(&f, "4", "4");
    f.toy.refuse_connect = true;
    toy_back_start(&f);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    toy_settle();
    toy_expect_log(&f, "connect disconnect ERROR"); /* once */
    f.toy.refuse_connect = false;
    toy_front(&f, 6);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "6"));
    toy_front(&f, 1);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "2"));
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    toy_down(&f);
}

/* Wherever in its life it was killed. */
static void test_goes_on_from_any_state(void)
{
    static const struct {
        const char *back;
        const char *front;
        const char *then; /* the backend */
    } cases[] = {
        { "1", "1", "2" }, { "2", "1", "2" }, { "4", "1", "2" }, { "2", "4", "4" },
        { "5", "4", "4" }, { "6", "4", "4" }, { "4", "5", "5" }, { "5", "5", "5" },
        { "5", "6", "6" }, { "6", "6", "6" }, { "6", "1", "2" }, { "8", "7", "2" },
    };
    ToyTest f;

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        toy_up(&f);
        leave(&f, cases[i].back, cases[i].front);
        toy_put(&f, TOY_BE, "online", i % 2 ? "1" : "0"); /* it was on its way out, perhaps */
        toy_back_start(&f);
        toy_settle();
        g_assert_true(toy_is(&f, TOY_BE, "state", cases[i].then));
        g_assert_true(toy_is(&f, TOY_BE, "online", "1"));
        g_assert_true(toy_is(&f, TOY_FE, "state", cases[i].front));
        g_assert_true(toy_is(&f, TOY_FE, "ring-ref", "77"));
        toy_down(&f);
    }
}

/* Half of it: a frontend that is there is not touched; a backend without one is of no use. */
static void test_half_is_left(void)
{
    ToyTest f;

    toy_up(&f);
    leave(&f, "4", "4");
    g_assert_true(xen_store_remove(f.dom0, 0, TOY_BE));
    toy_back_start(&f);
    TOY_WAIT(f.toy.bus.connected);
    g_assert_true(toy_is(&f, TOY_FE, "ring-ref", "77"));
    g_assert_true(toy_is(&f, TOY_BE, "colour", "red"));
    toy_down(&f);

    toy_up(&f);
    leave(&f, "4", "4");
    toy_put(&f, TOY_BE, "feature-old", "1");
    g_assert_true(xen_store_remove(f.dom0, 0, TOY_FE));
    toy_back_new(&f);
    g_assert_false(f.toy.bus.resumed);
    g_assert_true(toy_is(&f, TOY_BE, "feature-old", NULL));
    g_assert_true(toy_is(&f, TOY_BE, "state", "1"));
    g_assert_true(toy_is(&f, TOY_FE, "state", "1"));
    toy_down(&f);
}

static void expect_refused(ToyTest *f, XenbusBack *b, const char *message)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(xenbus_back_init(b, &toy_ops, f->host, f->dom0, 1, 5, &error));
    g_assert_cmpstr(error->message, ==, message);
    xenbus_back_done(b);
}

/* A second backend of a device does it no harm, whoever made the nodes. */
static void test_live_one_is_left_alone(void)
{
    Toy other = { .log = NULL };
    ToyTest f;

    for (unsigned i = 0; i < 3; i++) {
        toy_up(&f);
        if (i == 1) {
            toy_toolstack_add(&f);
            toy_put(&f, TOY_BE, "hotplug-status", "connected");
        } else if (i == 2) {
            leave(&f, "4", "4");
        }
        toy_back_start(&f);
        toy_front(&f, 4);
        TOY_WAIT(f.toy.bus.connected);
        toy_settle();
        g_string_truncate(f.toy.log, 0);
        expect_refused(&f, &other.bus, "toy 5 of domain 1 has a backend already");
        toy_settle();
        toy_expect_log(&f, "");
        g_assert_true(toy_is(&f, TOY_BE, "state", "4"));
        g_assert_true(toy_is(&f, TOY_FE, "state", "4"));
        g_assert_true(toy_is(&f, TOY_BE, "online", "1"));
        toy_front(&f, 5);
        TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
        toy_down(&f);
    }
}

/* The frontend of a backend in another domain; not so if only the guest says it. */
static void test_frontend_of_another_domain(void)
{
#define OTHER "/local/domain/7/backend/toy/1/5"
    Toy other = { .log = NULL };
    ToyTest f;

    toy_up(&f);
    leave(&f, "4", "4");
    g_assert_true(xen_store_remove(f.dom0, 0, TOY_BE));
    toy_put(&f, TOY_FE, "backend", OTHER);
    toy_put(&f, OTHER, "frontend", TOY_FE);
    expect_refused(&f, &other.bus, TOY_FE " has a backend in another domain");
    g_assert_true(toy_is(&f, TOY_FE, "ring-ref", "77"));
    g_assert_true(toy_is(&f, TOY_BE, "frontend", NULL));
    toy_put(&f, OTHER, "frontend", "/local/domain/2/device/toy/5");
    toy_back_new(&f);
    g_assert_false(f.toy.bus.resumed);
    g_assert_true(toy_is(&f, TOY_FE, "ring-ref", NULL));
    g_assert_true(toy_is(&f, TOY_FE, "backend", TOY_BE));
    toy_down(&f);
}

/* What cannot be read is not wiped. */
static void test_unreadable_is_not_wiped(void)
{
    g_autoptr(GError) error = NULL;
    Toy other = { .log = NULL };
    ToyTest f;

    toy_up(&f);
    toy_toolstack_add(&f);
    toy_chown_back(&f, 1, 0);
    g_assert_true(xen_store_mkdir(f.dom0, 0, "/local/domain/0/backend/toy/1", 1, 0));
    g_assert_true(xen_store_mkdir(f.dom0, 0, TOY_BE "/script", 0, 0)); /* what says whose it is */
    g_assert_false(xenbus_back_init(&other.bus, &toy_ops, f.host, f.domu, 1, 5, &error));
    g_assert_cmpstr(error->message, ==, "cannot create XenStore nodes for toy 5: "
                    "Permission denied");
    xenbus_back_done(&other.bus);
    g_assert_true(toy_is(&f, TOY_BE, "frontend", TOY_FE));
    g_assert_true(toy_is(&f, TOY_FE, "backend", TOY_BE));
    toy_down(&f);
}

/* Without a number: what was left is taken up first, in its order, and what is live is not. */
static void test_idx_of_what_was_left(void)
{
    g_autoptr(GError) error = NULL;
    Toy t[3] = { { .log = NULL } };
    static const unsigned want[] = { 5, 2, 3 };
    ToyTest f;

    toy_up(&f);
    leave(&f, "4", "4");
    /* of whom we do not know: half of something, a frontend that says it is of another domain */
    toy_put(&f, "/local/domain/0/backend/toy/1/0", "frontend", "/local/domain/1/device/toy/0");
    toy_put(&f, "/local/domain/1/device/toy/1", "backend", "/local/domain/7/backend/toy/1/1");
    for (unsigned i = 0; i < 3; i++) {
        g_assert_true(xenbus_back_init(&t[i].bus, &toy_ops, f.host, f.dom0, 1, -1, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(t[i].bus.idx, ==, want[i]);
        g_assert_true(t[i].bus.resumed == (i == 0));
    }
    for (unsigned i = 0; i < 3; i++) {
        xenbus_back_done(&t[i].bus);
    }
    toy_down(&f);
}

/* Another program, as the kernel sees it, has a file of its own open. */
static void test_claims_of_other_programs(void)
{
    g_autofree char *path = NULL;
    Xen other = { 0 };
    XenClaim *a, *b, *c;
    ToyTest f;

    toy_up(&f);
    path = g_build_filename(f.dir, "claims", NULL);
    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    f.host->claim_file = path;
    other.claim_file = path;
    a = xen_claim(f.host, "toy", 1, 5);
    g_assert_nonnull(a);
    g_assert_null(xen_claim(&other, "toy", 1, 5));
    g_assert_cmpint(errno, ==, EBUSY);
    b = xen_claim(&other, "toy", 1, 6);
    c = xen_claim(&other, "toy", 2, 5);
    g_assert_nonnull(b);
    g_assert_nonnull(c);
    xen_unclaim(&other, b);
    b = xen_claim(&other, "vif", 1, 5);
    g_assert_nonnull(b);
    xen_unclaim(f.host, a);
    a = xen_claim(&other, "toy", 1, 5);
    g_assert_nonnull(a);
    xen_unclaim(&other, a);
    xen_unclaim(&other, b);
    xen_unclaim(&other, c);
    g_assert_null(other.claims);
    other.claim_file = "/nonexistent/claims";
    g_assert_null(xen_claim(&other, "toy", 1, 5));
    g_assert_cmpint(errno, ==, ENOENT);
    g_unlink(path);
    f.host->claim_file = NULL;
    toy_down(&f);
}

static void test_idx(void)
{
    g_autoptr(GError) error = NULL;
    XenbusBack other = { 0 };
    ToyTest f;

    toy_up(&f);
    g_assert_false(xenbus_back_init(&other, &toy_ops, f.host, f.dom0, 1, 10, &error));
    g_assert_cmpstr(error->message, ==, "idx must be less than 10");
    g_clear_error(&error);
    xenbus_back_done(&other);
    for (int i = 0; i < 2; i++) {
        g_assert_true(xenbus_back_init(&f.toy.bus, &toy_ops, f.host, f.dom0, 1, -1, &error));
        g_assert_true(xenbus_back_init(&other, &toy_ops, f.host, f.dom0, 1, -1, &error));
        g_assert_cmpuint(f.toy.bus.idx, !=, other.idx);
        xenbus_back_done(&other);
        xenbus_back_done(&f.toy.bus);
    }
    toy_down(&f);
}

/* Whatever kind of device it is. */
static void test_no_idx_is_free(void)
{
    g_autoptr(GError) error = NULL;
    XenbusBack other = { 0 };
    ToyTest f;

    toy_up(&f);
    for (unsigned i = 0; i < 10; i++) {
        g_autofree char *dir = g_strdup_printf("/local/domain/0/backend/toy/1/%u", i);

        toy_put(&f, dir, "frontend", "x");
        toy_put(&f, dir, "script", "x"); /* a toolstack's */
    }
    g_assert_false(xenbus_back_init(&other, &toy_ops, f.host, f.dom0, 1, -1, &error));
    g_assert_cmpstr(error->message, ==, "cannot find device index for toy device");
    xenbus_back_done(&other);
    toy_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/hw/xen/xenbus-back-nodes/" name, fn)
    TEST("makes-nodes", test_makes_nodes);
    TEST("goes-on-after-a-kill", test_goes_on_after_a_kill);
    TEST("goes-on-with-a-toolstack-s-nodes", test_goes_on_with_a_toolstack_s_nodes);
    TEST("cannot-go-on", test_cannot_go_on);
    TEST("goes-on-from-any-state", test_goes_on_from_any_state);
    TEST("half-is-left", test_half_is_left);
    TEST("live-one-is-left-alone", test_live_one_is_left_alone);
    TEST("frontend-of-another-domain", test_frontend_of_another_domain);
    TEST("unreadable-is-not-wiped", test_unreadable_is_not_wiped);
    TEST("idx-of-what-was-left", test_idx_of_what_was_left);
    TEST("claims-of-other-programs", test_claims_of_other_programs);
    TEST("idx", test_idx);
    TEST("no-idx-is-free", test_no_idx_is_free);
    return g_test_run();
}
