/*
 * XSA-155: what is shared is read once. Each access to a page of the frontend's is counted, by
 * letting it fail and then go on for one instruction; and between any two of them the frontend
 * could have written anything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkif.h"

#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "blkif-layout.h"
#include "hw/xen/ring.h"

#ifdef __x86_64__
#define TRAP_FLAG 0x100
#define WORDS     (XEN_RING_PAGE_SIZE / 4)

typedef struct Watch {
    uint8_t *page;
    uint8_t reads[WORDS]; /* of each word of the page */
} Watch;

static Watch watch;

static void on_access(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    size_t at = (size_t)((uint8_t *)info->si_addr - watch.page);

    if (at >= XEN_RING_PAGE_SIZE) {
        g_error("an access that is not watched");
    }
    watch.reads[at / 4]++;
    mprotect(watch.page, XEN_RING_PAGE_SIZE, PROT_READ | PROT_WRITE);
    u->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;

    u->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
    mprotect(watch.page, XEN_RING_PAGE_SIZE, PROT_NONE);
}

static void watch_begin(void)
{
    memset(watch.reads, 0, sizeof(watch.reads));
    mprotect(watch.page, XEN_RING_PAGE_SIZE, PROT_NONE);
}

/* Of @bytes from @from on each word was read at most once, of the rest none. */
static void watch_end(unsigned from, unsigned bytes)
{
    unsigned n = 0;

    mprotect(watch.page, XEN_RING_PAGE_SIZE, PROT_READ | PROT_WRITE);
    for (unsigned i = 0; i < WORDS; i++) {
        g_assert_cmpuint(watch.reads[i], <=, i >= from / 4 && i < (from + bytes) / 4);
        n += watch.reads[i];
    }
    g_assert_cmpuint(n, >, 0);
}

static void watch_setup(void)
{
    const struct sigaction access = { .sa_sigaction = on_access, .sa_flags = SA_SIGINFO };
    const struct sigaction step = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

    watch.page = mmap(NULL, XEN_RING_PAGE_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(watch.page != MAP_FAILED);
    g_assert_cmpint(sigaction(SIGSEGV, &access, NULL), ==, 0);
    g_assert_cmpint(sigaction(SIGTRAP, &step, NULL), ==, 0);
}

/* Each operation, in the first and in the last slot of a page. */
static void test_slot(gconstpointer data)
{
    XenBlkifAbi abi = GPOINTER_TO_INT(data);
    const uint32_t size = xen_blkif_slot_size(abi);

    for (unsigned i = 0; i < 16; i++) {
        unsigned at = i & 8 ? 64 + 31 * size : 64;
        BlkifSlot slot = { .bytes = { i & 7, 11, 5, 0 } };
        XenBlkifRequest r;

        memcpy(watch.page + at, slot.bytes, size);
        watch_begin();
        xen_blkif_read_request(abi, watch.page + at, &r);
        watch_end(at, size);
        g_assert_cmpuint(r.op, ==, i & 7);
    }
}

static void test_indirect(void)
{
    XenBlkifSeg seg[512];

    watch_begin();
    xen_blkif_read_indirect(watch.page, 200, seg);
    watch_end(0, 200 * 8);
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#ifdef __x86_64__
    watch_setup();
    g_test_add_data_func("/xen-blkif/xsa-155/slot-64", GINT_TO_POINTER(XEN_BLKIF_ABI_64),
                         test_slot);
    g_test_add_data_func("/xen-blkif/xsa-155/slot-x86_32", GINT_TO_POINTER(XEN_BLKIF_ABI_X86_32),
                         test_slot);
    g_test_add_func("/xen-blkif/xsa-155/indirect", test_indirect);
#endif
    return g_test_run();
}
