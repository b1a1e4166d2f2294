/*
 * A tap's queues that come and go under traffic: what is lost, and what is not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"
#include "netns.h"
#include "open-tap.h"

#define QUEUES 4
#define FLOWS  256u
#define BATCH  64u

/* A tap, who sends to it, and memory for those who read. */
typedef struct Host {
    Netdev *nd;
    int fd;
    PktArena arena[QUEUES];
    pthread_mutex_t lock[QUEUES]; /* a queue has one reader at a time; not GMutex: TSan */
    unsigned got[QUEUES];         /* packets */
    unsigned queue_of[FLOWS];     /* that the last packet of each flow came to */
} Host;

static bool host_init(Host *h)
{
    if (!netns_enter()) {
        return false;
    }
    *h = (Host){ 0 };
    h->nd = open_tap("tt0", QUEUES, ON_OFF_AUTO_AUTO);
    h->fd = netns_packet_socket("tt0", false);
    for (unsigned q = 0; q < QUEUES; q++) {
        g_assert_cmpint(pkt_arena_init(&h->arena[q], (size_t)1 << 20), ==, 0);
        pthread_mutex_init(&h->lock[q], NULL);
    }
    return true;
}

static void host_done(Host *h)
{
    for (unsigned q = 0; q < QUEUES; q++) {
        pkt_arena_done(&h->arena[q]);
        pthread_mutex_destroy(&h->lock[q]);
    }
    close(h->fd);
    netdev_free(h->nd);
}

/* Where a frame has its flow's number: in the UDP port that it comes from. */
static uint8_t *frame_flow(uint8_t *frame)
{
    return frame + 14 + 20;
}

static void host_send(const Host *h, unsigned flow)
{
    FrameSpec s = { .ip_version = 4, .udp = true, .payload = 32 };
    uint8_t frame[128];
    size_t len = frame_build(frame, &s);

    frame_flow(frame)[1] = (uint8_t)flow;
    g_assert_cmpint(send(h->fd, frame, len, 0), ==, (ssize_t)len);
}

static void host_send_all(const Host *h)
{
    for (unsigned flow = 0; flow < FLOWS; flow++) {
        host_send(h, flow);
    }
}

/* Reads all that there is. Returns how many; @seen counts the flows. */
static unsigned host_read(Host *h, unsigned queue, unsigned *seen)
{
    struct iovec iov[BATCH];
    Pkt pkt[BATCH];
    unsigned all = 0;
    unsigned n;

    pthread_mutex_lock(&h->lock[queue]);
    do {
        pkt_arena_reset(&h->arena[queue]);
        n = netdev_recv(h->nd->queue[queue], &h->arena[queue], pkt, iov, BATCH);
        for (unsigned i = 0; i < n; i++) {
            unsigned flow = frame_flow(iov[i].iov_base)[1];

            __atomic_store_n(&h->queue_of[flow], queue, __ATOMIC_RELAXED);
            if (seen) {
                seen[flow]++;
            }
        }
        all += n;
    } while (n > 0);
    pthread_mutex_unlock(&h->lock[queue]);
    __atomic_fetch_add(&h->got[queue], all, __ATOMIC_RELAXED);
    return all;
}

/* What each queue has of one packet of each flow. They all arrive. */
static void host_spread(Host *h, unsigned *ret_n)
{
    unsigned sum = 0;

    host_send_all(h);
    for (unsigned q = 0; q < QUEUES; q++) {
        ret_n[q] = host_read(h, q, NULL);
        sum += ret_n[q];
    }
    g_assert_cmpuint(sum, ==, FLOWS);
}

/* Those that stay have what they had, whatever happens to the others, and the same flows. */
static void test_what_is_not_read_is_lost_with_its_queue(void)
{
    unsigned before[QUEUES];
    unsigned after[QUEUES];
    Host h;

    if (!host_init(&h)) {
        return;
    }
    host_spread(&h, before);
    host_send_all(&h);
    g_assert_true(netdev_set_active(h.nd, 2, NULL, NULL, NULL));
    g_assert_cmpuint(host_read(&h, 0, NULL), ==, before[0]);
    g_assert_cmpuint(host_read(&h, 1, NULL), ==, before[1]);
    g_assert_cmpuint(host_read(&h, 2, NULL), ==, 0);
    g_assert_cmpuint(host_read(&h, 3, NULL), ==, 0);
    host_spread(&h, after);
    g_assert_cmpuint(after[0], >=, before[0]);
    g_assert_cmpuint(after[0] + after[1], ==, FLOWS);
    host_send_all(&h);
    g_assert_true(netdev_set_active(h.nd, 4, NULL, NULL, NULL)); /* nothing is lost this way */
    g_assert_cmpuint(host_read(&h, 0, NULL), ==, after[0]);
    g_assert_cmpuint(host_read(&h, 1, NULL), ==, after[1]);
    host_spread(&h, after);
    g_assert_cmpmem(after, sizeof(after), before, sizeof(before));
    host_done(&h);
}

static void drain(void *opaque, unsigned queue)
{
    Host *h = opaque;

    g_assert_cmpuint(h->nd->n_active, ==, queue + 1);
    (void)host_read(h, queue, NULL);
}

static void test_drained_queues_lose_nothing(void)
{
    unsigned n[QUEUES];
    Host h;

    if (!host_init(&h)) {
        return;
    }
    for (unsigned left = QUEUES - 1; left > 0; left--) {
        unsigned sum = 0;

        memset(h.got, 0, sizeof(h.got));
        host_send_all(&h);
        g_assert_true(netdev_set_active(h.nd, left, drain, &h, NULL));
        g_assert_cmpuint(h.nd->n_active, ==, left);
        for (unsigned q = 0; q < QUEUES; q++) {
            (void)host_read(&h, q, NULL);
            sum += h.got[q];
        }
        g_assert_cmpuint(sum, ==, FLOWS);
        g_assert_true(netdev_set_active(h.nd, QUEUES, drain, &h, NULL));
        host_spread(&h, n);
    }
    host_done(&h);
}

/* A thread for the queues that come and go. */
typedef struct Others {
    Host *h;
    bool stop;
} Others;

static gpointer others_read(gpointer opaque)
{
    Others *o = opaque;

    while (!__atomic_load_n(&o->stop, __ATOMIC_ACQUIRE)) {
        for (unsigned q = 1; q < QUEUES; q++) {
            (void)host_read(o->h, q, NULL);
        }
        g_thread_yield();
    }
    return NULL;
}

/* A thread for the queue that stays. It sends, too: what it gets then is known. */
typedef struct Staying {
    Host *h;
    bool stay[FLOWS]; /* flows that queue 0 has */
    unsigned sent_others;
    unsigned rounds;
    bool stop;
} Staying;

/* Sends one packet of each flow that stays, and of some others. Returns how many must come. */
static unsigned staying_send(Staying *s)
{
    unsigned n = 0;

    for (unsigned flow = 0; flow < FLOWS; flow++) {
        if (s->stay[flow]) {
            host_send(s->h, flow);
            n++;
        } else if (flow % 8 == s->rounds % 8) {
            host_send(s->h, flow);
            s->sent_others++;
        }
    }
    return n;
}

static gpointer staying_work(gpointer opaque)
{
    Staying *s = opaque;

    while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
        unsigned seen[FLOWS] = { 0 };
        unsigned missing = staying_send(s);

        while (missing > 0) {
            g_assert_true(netns_wait(s->h->nd->queue[0]->fd));
            (void)host_read(s->h, 0, seen);
            for (unsigned flow = 0; flow < FLOWS; flow++) {
                if (s->stay[flow] && seen[flow] > 0) {
                    g_assert_cmpuint(seen[flow], ==, 1);
                    seen[flow] = 0;
                    missing--;
                }
            }
        }
        s->rounds++;
    }
    return NULL;
}

/*
 * The first quarter of all hashes is queue 0's with any number of queues. What the others lose is
 * told, and no more: it is what came between the last look and the end, which takes as long as the
 * machine has other work.
 */
static void test_queues_that_stay_lose_nothing(void)
{
    static const unsigned counts[] = { 1, 4, 2, 3, 1, 2, 4, 1, 3, 4 };
    pthread_t threads[2];
    unsigned n[QUEUES];
    Host h;
    Staying s = { .h = &h };
    Others o = { .h = &h };
    unsigned sent;

    if (!host_init(&h)) {
        return;
    }
    host_spread(&h, n);
    for (unsigned flow = 0; flow < FLOWS; flow++) {
        s.stay[flow] = h.queue_of[flow] == 0;
    }
    memset(h.got, 0, sizeof(h.got));
    g_assert_cmpint(pthread_create(&threads[0], NULL, staying_work, &s), ==, 0);
    g_assert_cmpint(pthread_create(&threads[1], NULL, others_read, &o), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_assert_true(netdev_set_active(h.nd, counts[i], drain, &h, NULL));
    }
    __atomic_store_n(&s.stop, true, __ATOMIC_RELEASE);
    g_assert_cmpint(pthread_join(threads[0], NULL), ==, 0);
    __atomic_store_n(&o.stop, true, __ATOMIC_RELEASE);
    g_assert_cmpint(pthread_join(threads[1], NULL), ==, 0);
    for (unsigned q = 0; q < QUEUES; q++) {
        (void)host_read(&h, q, NULL);
    }
    sent = s.rounds * n[0] + s.sent_others;
    g_test_message("%u sent, %u lost by queues that went",
                   sent, sent - h.got[0] - h.got[1] - h.got[2] - h.got[3]);
    host_done(&h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/net/tap-active/" name, fn)
    TEST("what-is-not-read-is-lost-with-its-queue", test_what_is_not_read_is_lost_with_its_queue);
    TEST("drained-queues-lose-nothing", test_drained_queues_lose_nothing);
    TEST("queues-that-stay-lose-nothing", test_queues_that_stay_lose_nothing);
    return g_test_run();
}
