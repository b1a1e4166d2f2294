/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/pkt.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "pkt-internal.h"

#define ARENA_PAGE ((size_t)4096)
#define HUGE_PAGE  ((size_t)2 << 20)

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

int pkt_arena_init(PktArena *a, size_t size)
{
    size_t extra = size >= HUGE_PAGE ? HUGE_PAGE : 0;
    size_t before;
    uint8_t *p;

    memset(a, 0, sizeof(*a));
    size = round_up(size, ARENA_PAGE);
    p = mmap(NULL, size + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return -ENOMEM;
    }
    if (extra > 0) {
        /* Huge pages are used for aligned memory only. */
        before = round_up((uintptr_t)p, HUGE_PAGE) - (uintptr_t)p;
        if (before > 0) {
            munmap(p, before);
        }
        if (extra > before) {
            munmap(p + before + size, extra - before);
        }
        p += before;
        (void)madvise(p, size, MADV_HUGEPAGE);
    }
    a->base = p;
    a->size = size;
    return 0;
}

void pkt_arena_done(PktArena *a)
{
    if (a->base) {
        munmap(a->base, a->size);
    }
    memset(a, 0, sizeof(*a));
}

static size_t arena_next_offset(const PktArena *a)
{
    return round_up(a->used + PKT_HDR_LEN, ARENA_PAGE);
}

uint8_t *pkt_arena_next(const PktArena *a)
{
    size_t off = arena_next_offset(a);

    return off + PKT_MAX_LEN <= a->size ? a->base + off : NULL;
}

void pkt_arena_take(PktArena *a, size_t len)
{
    a->used = arena_next_offset(a) + len;
}

size_t pkt_copy(const Pkt *pkt, size_t off, void *to, size_t len)
{
    uint8_t *out = to;
    size_t done = 0;
    uint32_t i;

    for (i = 0; i < pkt->n_iov && done < len; i++) {
        size_t n = pkt->iov[i].iov_len;

        if (off >= n) {
            off -= n;
            continue;
        }
        n = n - off < len - done ? n - off : len - done;
        memcpy(out + done, (const uint8_t *)pkt->iov[i].iov_base + off, n);
        done += n;
        off = 0;
    }
    return done;
}

void pkt_pull(Pkt *pkt, size_t want)
{
    struct iovec *head = pkt->iov;
    uint32_t used_up = 0;

    while (head->iov_len < want && 1 + used_up < pkt->n_iov) {
        struct iovec *piece = &pkt->iov[1 + used_up];
        size_t room = want - head->iov_len;
        size_t n = piece->iov_len < room ? piece->iov_len : room;

        /* The piece may be the memory right behind the head. */
        memmove((uint8_t *)head->iov_base + head->iov_len, piece->iov_base, n);
        head->iov_len += n;
        piece->iov_base = (uint8_t *)piece->iov_base + n;
        piece->iov_len -= n;
        if (piece->iov_len > 0) {
            break;
        }
        used_up++;
    }
    if (used_up > 0) {
        memmove(&pkt->iov[1], &pkt->iov[1 + used_up],
                (pkt->n_iov - 1 - used_up) * sizeof(struct iovec));
        pkt->n_iov -= used_up;
    }
}
