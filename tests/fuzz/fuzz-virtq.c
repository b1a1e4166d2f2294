/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuzz-virtq.h"

#include <glib.h>
#include <linux/virtio_config.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/fd.h"

#define MAX_OPS 300

static FuzzVirtq *fuzz_new(void)
{
    static const uint64_t gpa[] = { FUZZ_RING, FUZZ_DATA, FUZZ_FAR };
    AUTO_FD int fd = memfd_create("guest", MFD_CLOEXEC), log = memfd_create("log", MFD_CLOEXEC);
    FuzzVirtq *f = g_new0(FuzzVirtq, 1);

    g_assert_cmpint(ftruncate(fd, 6 * FUZZ_PAGE), ==, 0);
    g_assert_cmpint(ftruncate(log, 16), ==, 0);
    f->mem = guest_mem_new();
    for (unsigned i = 0; i < 3; i++) {
        g_assert_true(guest_mem_add(f->mem, gpa[i], FUZZ_PAGE, gpa[i], fd, (4 - 2 * i) * FUZZ_PAGE,
                                    NULL));
        f->page[i] = f->mem->region[i].host;
    }
    g_assert_true(guest_mem_set_log(f->mem, log, 16, 0, NULL));
    return f;
}

static bool start(FuzzVirtq *f)
{
    const char *why = NULL;
    bool started = virtq_start(&f->vq, f->mem, &f->setup, &why);

    g_assert_cmpint(started, ==, why == NULL);
    f->n = 0;
    return started;
}

static bool first_start(FuzzVirtq *f, FuzzInput *in, bool packed)
{
    FuzzStart s;
    uint64_t features = (uint64_t)packed << VIRTIO_F_RING_PACKED;

    fuzz_take(in, &s, sizeof(s));
    for (unsigned i = 0; i < 3; i++) {
        memset(f->page[i], 0, FUZZ_PAGE);
    }
    features |= s.flags & 1 ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0;
    features |= s.flags & 2 ? 1ull << VIRTIO_RING_F_INDIRECT_DESC : 0;
    f->setup = (VirtqSetup){
        .size = s.size % (FUZZ_MAX_SIZE + 1), .features = features,
        .desc = f->page[0], .driver = f->page[0] + FUZZ_DRIVER, .device = f->page[0] + FUZZ_DEVICE,
        .log = s.flags & 8, .log_gpa = FUZZ_RING + FUZZ_DEVICE, .base = s.base,
        .inflight = s.flags & 4 ? f->page[0] + FUZZ_INFLIGHT : NULL,
    };
    f->next_avail = packed ? PACKED_WRAP : s.index; /* an empty ring, whatever the base is */
    if (!packed) {
        while (f->setup.size & (f->setup.size - 1)) {
            f->setup.size &= (uint16_t)(f->setup.size - 1);
        }
        ((struct vring_avail *)f->setup.driver)->idx = s.index;
        ((struct vring_used *)f->setup.device)->idx = s.index;
    }
    return start(f);
}

/* A piece is memory of the guest, all of it; a device writes where it may. */
static void check_piece(FuzzVirtq *f, const struct iovec *iov, bool write)
{
    uint8_t *p = iov->iov_base;

    g_assert_cmpuint(iov->iov_len, >, 0);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t off = (uintptr_t)p - (uintptr_t)f->page[i];

        if (off < FUZZ_PAGE) {
            g_assert_cmpuint(iov->iov_len, <=, FUZZ_PAGE - off);
            p[iov->iov_len - 1] = (uint8_t)(write ? 0x5a : p[iov->iov_len - 1]);
            return;
        }
    }
    g_assert_not_reached();
}

static void check_chain(FuzzVirtq *f, const VirtqChain *c, const struct iovec *iov)
{
    uint64_t len[2] = { 0, 0 };

    g_assert_cmpuint(c->n_slots, >=, 1);
    g_assert_cmpuint(c->n_slots, <=, f->setup.size);
    g_assert_true(f->vq.packed || c->id < f->setup.size);
    if (c->bad) {
        g_assert_cmpuint(c->n_out + c->n_in, ==, 0);
        g_assert_true(c->in_len == 0 || c->bad == virtq_done_before);
        return;
    }
    g_assert_true(c->iov == iov);
    for (unsigned i = 0; i < (unsigned)c->n_out + c->n_in; i++) {
        len[i >= c->n_out] += c->iov[i].iov_len;
        check_piece(f, &c->iov[i], i >= c->n_out);
    }
    g_assert_cmpuint(c->out_len, ==, len[0]);
    g_assert_cmpuint(c->in_len, ==, len[1]);
}

/* False: the ring is broken. */
static bool pop(FuzzVirtq *f, const FuzzOp *op)
{
    unsigned max = MIN(op->n, G_N_ELEMENTS(f->chain) - f->n);
    unsigned room = MIN(op->at, VIRTQ_MAX_IOV), slots = 0;
    const struct iovec *iov = f->iov;
    int n = virtq_pop(&f->vq, f->chain + f->n, max, f->iov, room);

    g_assert_cmpint(n, >=, -1);
    g_assert_cmpint(n == -1, ==, f->vq.violation != NULL);
    g_assert_cmpint(n, <=, (int)max);
    for (int i = 0; i < n; i++) {
        const VirtqChain *c = &f->chain[f->n++];

        check_chain(f, c, iov);
        iov += c->n_out + c->n_in;
    }
    g_assert_cmpuint((unsigned)(iov - f->iov), <=, room);
    for (unsigned i = 0; i < f->n; i++) {
        slots += f->chain[i].n_slots;
    }
    g_assert_cmpuint(slots, <=, f->setup.size);
    return n >= 0;
}

static void push(FuzzVirtq *f, const FuzzOp *op)
{
    unsigned n = MIN(op->n, f->n);

    for (unsigned i = 0; i < n; i++) {
        virtq_push(&f->vq, &f->chain[i], op->len);
    }
    f->n -= n;
    memmove(f->chain, f->chain + n, f->n * sizeof(f->chain[0]));
}

/* What is done has to be pushed. */
static void done(FuzzVirtq *f, const FuzzOp *op)
{
    for (unsigned i = 0; i < MIN(op->n, f->n); i++) {
        virtq_done(&f->vq, &f->chain[i], op->len);
    }
    push(f, op);
}

static bool restart(FuzzVirtq *f, const FuzzOp *op)
{
    uint32_t base = virtq_stop(&f->vq);

    f->setup.base = op->flags & 1 ? op->len : base;
    return start(f);
}

static bool crash(FuzzVirtq *f)
{
    virtq_track_free(f->vq.track);
    memset(&f->vq, 0x55, sizeof(f->vq));
    return start(f);
}

static void drive(FuzzVirtq *f, const FuzzOp *op)
{
    unsigned at = op->at % (3 * FUZZ_PAGE - sizeof(op->len));

    if (op->what % FUZZ_N_OPS == FUZZ_WRITE_DESC) {
        fuzz_put_desc(f->page[0] + op->at % FUZZ_MAX_SIZE * VIRTQ_DESC_SIZE, op);
    } else if (op->what % FUZZ_N_OPS == FUZZ_WRITE_TABLE) {
        fuzz_put_desc(f->page[1] + op->at % (FUZZ_PAGE / VIRTQ_DESC_SIZE) * VIRTQ_DESC_SIZE, op);
    } else if (op->what % FUZZ_N_OPS == FUZZ_ADD) {
        fuzz_add(f, op);
    } else if (at % FUZZ_PAGE <= FUZZ_PAGE - sizeof(op->len)) {
        memcpy(f->page[at / FUZZ_PAGE] + at % FUZZ_PAGE, &op->len, sizeof(op->len));
    }
}

/* False: the ring does not run any more. */
static bool act(FuzzVirtq *f, const FuzzOp *op)
{
    switch (op->what % FUZZ_N_OPS) {
    case FUZZ_POP:
        return pop(f, op);
    case FUZZ_UNPOP:
        virtq_unpop(&f->vq, f->chain + f->n - MIN(op->n, f->n), MIN(op->n, f->n));
        f->n -= MIN(op->n, f->n);
        return true;
    case FUZZ_DONE:
        done(f, op);
        return true;
    case FUZZ_PUSH:
        push(f, op);
        return true;
    case FUZZ_FLUSH:
        virtq_flush(&f->vq);
        return true;
    case FUZZ_NOTIFY:
        if (op->n & 1) {
            virtq_disarm(&f->vq);
        } else {
            g_assert_cmpint(virtq_arm(&f->vq), ==, virtq_ready(&f->vq));
        }
        return true;
    case FUZZ_RESTART:
        return restart(f, op);
    case FUZZ_CRASH:
        return crash(f);
    default:
        drive(f, op);
        return true;
    }
}

void fuzz_virtq(const uint8_t *data, size_t size, bool packed)
{
    static FuzzVirtq *f;
    FuzzInput in = { data, size };
    FuzzOp op;

    if (!f) {
        f = fuzz_new();
    }
    if (!first_start(f, &in, packed)) {
        return;
    }
    for (unsigned i = 0; i < MAX_OPS && in.size > 0; i++) {
        fuzz_take(&in, &op, sizeof(op));
        if (!act(f, &op)) {
            break;
        }
    }
    if (f->vq.running) {
        virtq_stop(&f->vq);
    }
}
