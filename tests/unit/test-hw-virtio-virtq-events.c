/*
 * Who is told, and when: kicks that the device asks for, calls that the driver asks for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtq.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "virtq-rig.h"

static const RigConfig split_flags = { "split-flags", 256, false, false, 0 };
static const RigConfig split_event = { "split-event", 256, false, true, 0 };
static const RigConfig packed_flags = { "packed-flags", 7, true, false, 0 };
static const RigConfig packed_event = { "packed-event", 7, true, true, 0 };

static void up(Rig *r, gconstpointer config)
{
    rig_up(r, config);
}

static void down(Rig *r, gconstpointer config)
{
    rig_down(r);
}

/* As a split ring that has lived for @index chains. */
static void live_until(Rig *r, uint16_t index)
{
    virtq_stop(&r->vq);
    r->driver->next_avail = r->driver->published = r->driver->next_used = index;
    r->driver->avail->idx = r->driver->used->idx = index;
    g_assert_true(virtq_start(&r->vq, r->mem, &r->setup, NULL));
    g_assert_true(virtq_flush(&r->vq));
}

/* Adds a chain: whether the device wants to be kicked. */
static bool add(Rig *r)
{
    const VirtqDriverPiece piece = { RIG_DATA, 1 };

    g_assert_cmpint(virtq_driver_add(r->driver, &piece, 1, 0), >=, 0);
    return virtq_driver_publish(r->driver);
}

/* @n chains go to the device and back: whether it calls. */
static bool serve(Rig *r, unsigned n)
{
    bool call;

    for (unsigned i = 0; i < n; i++) {
        add(r);
    }
    g_assert_cmpint(rig_pop(r, n), ==, n);
    call = rig_push(r, n);
    rig_get(r, n);
    return call;
}

/* --- calls --- */

/* Whoever had the ring before may have published, and not called. */
static void test_first_flush(Rig *r, gconstpointer config)
{
    serve(r, 1); /* with an event index, what was asked for is behind us */
    virtq_driver_disarm(r->driver);
    rig_restart(r);
    g_assert_true(virtq_flush(&r->vq));
    g_assert_false(virtq_flush(&r->vq));
    g_assert_false(serve(r, 1));
    rig_restart(r);
    g_assert_true(serve(r, 1));
    g_assert_false(serve(r, 1));
}

static void test_nothing_to_publish(Rig *r, gconstpointer config)
{
    g_assert_false(virtq_driver_arm(r->driver));
    g_assert_false(virtq_flush(&r->vq));
    g_assert_true(serve(r, 1));
    g_assert_false(virtq_flush(&r->vq));
}

static void test_call_flags(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 20; i++) {
        virtq_driver_arm(r->driver);
        g_assert_true(serve(r, 2));
        g_assert_true(serve(r, 1));
        virtq_driver_disarm(r->driver);
        g_assert_false(serve(r, 2));
        g_assert_false(serve(r, 1));
    }
}

/* Asked for once, called once, wherever in the ring: two laps of a packed one, then again. */
static void test_call_event(Rig *r, gconstpointer config)
{
    for (unsigned i = 0; i < 30; i++) {
        virtq_driver_arm(r->driver);
        g_assert_true(serve(r, 1 + i % 7));
        g_assert_false(serve(r, 1 + i % 5));
        g_assert_false(serve(r, 1));
    }
}

/* The driver may ask for a chain further on: that one, and none before it. */
static void call_when(Rig *r, unsigned ahead, unsigned batch)
{
    uint16_t want = (uint16_t)(r->driver->next_used + ahead);
    unsigned done = 0;

    r->driver->avail->ring[r->driver->c.size] = want;
    while (done <= ahead) {
        g_assert_cmpint(serve(r, batch), ==, done + batch > ahead);
        done += batch;
    }
    g_assert_false(serve(r, 1));
}

static void test_call_split_ahead(Rig *r, gconstpointer config)
{
    static const uint16_t starts[] = { 0, 0x7ff0, 0xfff0, 0xffff, 0xfffe };

    for (unsigned i = 0; i < G_N_ELEMENTS(starts); i++) {
        for (unsigned ahead = 0; ahead < 20; ahead++) {
            live_until(r, starts[i]);
            call_when(r, ahead, 1);
            call_when(r, ahead, 3);
            call_when(r, ahead, 200);
        }
    }
}

/* The same in a packed ring of 7: up to a lap ahead, from any place, in either lap. */
static void call_packed_when(Rig *r, unsigned ahead, unsigned batch)
{
    VirtqDriver *d = r->driver;
    unsigned at = d->next_used + ahead, done = 0;
    bool wrap = d->used_wrap ^ (at >= 7);

    *d->driver_event = (struct vring_packed_desc_event){
        .off_wrap = (uint16_t)(at % 7 | wrap << 15), .flags = VRING_PACKED_EVENT_FLAG_DESC,
    };
    while (done <= ahead) {
        g_assert_cmpint(serve(r, batch), ==, done + batch > ahead);
        done += batch;
    }
    g_assert_false(serve(r, 1));
}

static void test_call_packed_ahead(Rig *r, gconstpointer config)
{
    for (unsigned shift = 0; shift < 14; shift++) {
        for (unsigned ahead = 0; ahead < 7; ahead++) {
            call_packed_when(r, ahead, 1);
            call_packed_when(r, ahead, 2);
            call_packed_when(r, ahead, 6);
            call_packed_when(r, ahead, 7);
        }
        serve(r, 1);
    }
}

/* What the driver may not write is taken for "call me". */
static void test_call_packed_odd(Rig *r, gconstpointer data)
{
    const RigConfig *config = data;

    r->driver->driver_event->flags = 3;
    g_assert_true(serve(r, 1));
    g_assert_true(serve(r, 1));
    r->driver->driver_event->flags = VRING_PACKED_EVENT_FLAG_DESC;
    r->driver->driver_event->off_wrap = 0x7fff;
    g_assert_cmpint(serve(r, 1), ==, !config->event_idx);
    g_assert_cmpint(serve(r, 1), ==, !config->event_idx);
}

/* --- kicks --- */

static void take(Rig *r, unsigned n)
{
    g_assert_cmpint(rig_pop(r, 256), ==, n);
    rig_push(r, n);
    rig_get(r, n);
}

static void test_kick_flags(Rig *r, gconstpointer config)
{
    g_assert_true(add(r)); /* a ring that starts has asked */
    g_assert_true(add(r));
    take(r, 2);
    for (unsigned i = 0; i < 20; i++) {
        virtq_disarm(&r->vq);
        g_assert_false(add(r));
        g_assert_false(add(r));
        take(r, 2);
        g_assert_false(virtq_arm(&r->vq));
        g_assert_true(add(r));
        g_assert_true(add(r));
        take(r, 2);
    }
}

static void test_kick_event(Rig *r, gconstpointer config)
{
    g_assert_true(add(r)); /* a ring that starts has asked */
    g_assert_false(add(r));
    take(r, 2);
    for (unsigned i = 0; i < 30; i++) {
        virtq_disarm(&r->vq);
        g_assert_false(add(r));
        take(r, 1);
        g_assert_false(virtq_arm(&r->vq));
        g_assert_true(add(r));
        g_assert_false(add(r));
        g_assert_false(add(r));
        take(r, 3);
        g_assert_false(add(r));
        take(r, 1);
    }
}

static void test_kick_split_wrap(Rig *r, gconstpointer config)
{
    static const uint16_t starts[] = { 0x7fff, 0xfffd, 0xfffe, 0xffff, 0 };

    for (unsigned i = 0; i < G_N_ELEMENTS(starts); i++) {
        live_until(r, starts[i]);
        g_assert_true(add(r));
        g_assert_false(add(r));
        take(r, 2);
        g_assert_false(virtq_arm(&r->vq));
        g_assert_true(add(r));
        g_assert_false(add(r));
        take(r, 2);
    }
}

/* A ring that stopped without wish for kicks has it again when it starts. */
static void test_start_asks(Rig *r, gconstpointer config)
{
    virtq_disarm(&r->vq);
    rig_restart(r);
    g_assert_true(add(r));
}

/* Between the last look and the question something came: then there is no sleep. */
static void test_arm_looks_again(Rig *r, gconstpointer config)
{
    virtq_disarm(&r->vq);
    g_assert_cmpint(rig_pop(r, 4), ==, 0);
    add(r);
    g_assert_true(virtq_arm(&r->vq));
    g_assert_true(virtq_arm(&r->vq));
    take(r, 1);
    g_assert_false(virtq_arm(&r->vq));
}

/* What was popped and given back counts as not taken. */
static void test_arm_behind_unpop(Rig *r, gconstpointer config)
{
    add(r);
    g_assert_cmpint(rig_pop(r, 4), ==, 1);
    g_assert_false(virtq_arm(&r->vq));
    virtq_unpop(&r->vq, r->chain, 1);
    g_assert_true(virtq_arm(&r->vq));
}

/* --- two threads that sleep whenever they can: no wake-up is ever lost --- */

#define STREAM 30000u

typedef struct Stream {
    Rig *r;
    int kick;
    int call;
} Stream;

/* Waits for a wake-up that must come: 10 s without one is a lost one. */
static void wait_event(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    uint64_t n;

    g_assert_cmpint(poll(&p, 1, 10000), ==, 1);
    g_assert_cmpint(read(fd, &n, sizeof(n)), ==, sizeof(n));
}

static void tell(int fd)
{
    uint64_t one = 1;

    g_assert_cmpint(write(fd, &one, sizeof(one)), ==, sizeof(one));
}

/* Pieces tell the device how long they are: it reads the chain's number, and writes it back. */
static void device_serve(Rig *r, const VirtqChain *c, uint32_t number)
{
    uint32_t got;

    g_assert_null(c->bad);
    g_assert_cmpuint(c->n_out, ==, 1);
    g_assert_cmpuint(c->n_in, ==, 1);
    memcpy(&got, c->iov[0].iov_base, sizeof(got));
    g_assert_cmpuint(got, ==, number);
    got = ~got;
    memcpy(c->iov[1].iov_base, &got, sizeof(got));
    virtq_push(&r->vq, c, 4);
}

static gpointer stream_device(gpointer opaque)
{
    Stream *s = opaque;

    for (uint32_t done = 0; done < STREAM;) {
        int n = virtq_pop(&s->r->vq, s->r->chain, 1 + done % 5, s->r->iov, VIRTQ_MAX_IOV);

        g_assert_cmpint(n, >=, 0);
        for (int i = 0; i < n; i++) {
            device_serve(s->r, &s->r->chain[i], done++);
        }
        if (n > 0) {
            if (virtq_flush(&s->r->vq)) {
                tell(s->call);
            }
            virtq_disarm(&s->r->vq);
        } else if (!virtq_arm(&s->r->vq)) {
            wait_event(s->kick);
        }
    }
    return NULL;
}

/* Adds up to @max chains, the first of which has the number @sent: how many. */
static uint32_t driver_send(Stream *s, uint32_t sent, uint32_t max)
{
    VirtqDriver *d = s->r->driver;
    uint32_t n = 0;

    for (; n < max; n++) {
        uint64_t gpa = RIG_DATA + (sent + n) % 1024 * 64;
        const VirtqDriverPiece piece[] = { { gpa, 4 }, { gpa + 32, 4 } };
        uint32_t number = sent + n;

        if (d->n_free < 2) {
            break;
        }
        memcpy(rig_host(s->r, gpa), &number, sizeof(number));
        g_assert_cmpint(virtq_driver_add(d, piece, 1, 1), >=, 0);
    }
    if (virtq_driver_publish(d)) {
        tell(s->kick);
    }
    return n;
}

static uint32_t driver_take(Stream *s, uint32_t back)
{
    uint32_t len, got, n = 0;
    uint16_t id;

    while (virtq_driver_get(s->r->driver, &id, &len)) {
        g_assert_cmpuint(len, ==, 4);
        memcpy(&got, rig_host(s->r, RIG_DATA + (back + n) % 1024 * 64 + 32), sizeof(got));
        g_assert_cmpuint(~got, ==, back + n);
        n++;
    }
    return n;
}

static void test_no_lost_wakeup(Rig *r, gconstpointer config)
{
    Stream s = { r, eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
    GThread *device = g_thread_new("device", stream_device, &s);
    uint32_t sent = 0, back = 0;

    while (back < STREAM) {
        uint32_t n;

        sent += driver_send(&s, sent, MIN(STREAM - sent, 1 + sent % 4));
        n = driver_take(&s, back);
        back += n;
        if (n > 0) {
            virtq_driver_disarm(r->driver);
        } else if ((r->driver->n_free < 2 || sent == STREAM || back % 3 == 0)
                   && !virtq_driver_arm(r->driver)) {
            wait_event(s.call);
        }
    }
    g_thread_join(device);
    close(s.kick);
    close(s.call);
}

typedef struct Test {
    const char *name;
    void (*run)(Rig *r, gconstpointer config);
    const RigConfig *config[4];
} Test;

#define ALL    { &split_flags, &split_event, &packed_flags, &packed_event }
#define FLAGS  { &split_flags, &packed_flags }
#define EVENT  { &split_event, &packed_event }
#define PACKED { &packed_flags, &packed_event }

static const Test tests[] = {
    { "call-flags", test_call_flags, FLAGS },
    { "call-event", test_call_event, EVENT },
    { "call-ahead", test_call_split_ahead, { &split_event } },
    { "call-ahead", test_call_packed_ahead, { &packed_event } },
    { "call-odd", test_call_packed_odd, PACKED },
    { "first-flush", test_first_flush, ALL },
    { "nothing-to-publish", test_nothing_to_publish, ALL },
    { "kick-flags", test_kick_flags, FLAGS },
    { "kick-event", test_kick_event, EVENT },
    { "kick-wrap", test_kick_split_wrap, { &split_event } },
    { "start-asks", test_start_asks, ALL },
    { "arm-looks-again", test_arm_looks_again, ALL },
    { "arm-behind-unpop", test_arm_behind_unpop, ALL },
    { "no-lost-wakeup", test_no_lost_wakeup, ALL },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        for (unsigned k = 0; k < G_N_ELEMENTS(tests[i].config) && tests[i].config[k]; k++) {
            const RigConfig *c = tests[i].config[k];
            g_autofree char *path = g_strdup_printf("/hw/virtio/virtq-events/%s/%s", tests[i].name,
                                                    c->name);

            g_test_add(path, Rig, c, up, tests[i].run, down);
        }
    }
    return g_test_run();
}
