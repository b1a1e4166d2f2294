/*
 * A guest's memory, as far as its VMM gave it to us: regions, each a mapping of a file of the
 * VMM. A region has three addresses: the guest's (gpa), the VMM's (user) and ours (host).
 *
 * Threads: the main thread changes it while no ring of it is running; everything else reads it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_GUEST_MEM_H
#define HW_VIRTIO_GUEST_MEM_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define GUEST_MEM_MAX_REGIONS 509u /* as KVM has memory slots for guests, and libvhost-user */
/* Of all regions, and of a log: so that no VMM has all of our address space to itself. */
#define GUEST_MEM_MAX_SIZE    (16ull << 40)
#define GUEST_MEM_LOG_PAGE    4096u /* VHOST_LOG_PAGE: a bit of the dirty log */

/* What is mapped of a file of the VMM, in whole pages. All zeros: nothing. */
typedef struct GuestMapping {
    void *at;
    size_t size;
    int fault_id;     /* of mem_fault_add() */
} GuestMapping;

typedef struct GuestRegion {
    uint64_t gpa;
    uint64_t size;
    uint64_t user;
    uint8_t *host;    /* of gpa */
    uint64_t offset;  /* of gpa in its file */
    uint64_t added;   /* times */
    int fd;           /* of its file, if it may be handed on (GuestMem.handed_on); else -1 */
    GuestMapping map;
} GuestRegion;

typedef struct GuestMem {
    unsigned n;
    GuestRegion region[GUEST_MEM_MAX_REGIONS]; /* by gpa, none reaches into another */
    uint8_t *log;     /* a bit a page of the guest, set with an atomic OR; NULL: nobody asks */
    uint64_t log_size; /* bytes */
    GuestMapping log_map;
    /*
     * The VMM can truncate a file that we have mapped. Our touch of it finds zeros then, if
     * mem_fault_install() was called, and 1 is added to this eventfd, which is the owner's and
     * set while there is nothing mapped. -1: nobody is told.
     */
    int fault_fd;
    /*
     * The files of regions stay open as long as the regions: they may be handed on to a process
     * that is to reach the guest's memory, too. Set by the owner before it adds the first one.
     */
    bool handed_on;
} GuestMem;

/* --- main thread --- */

GuestMem *guest_mem_new(void);
void guest_mem_free(GuestMem *mem); /* NULL is fine; unmaps all */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestMem, guest_mem_free)

/*
 * Maps @size bytes of @fd from @offset. The caller keeps @fd. Refused: size 0, an end beyond
 * 2^64, a region that reaches into another one in gpa or user, a file that is shorter, too many,
 * too much. The very same region again, as QEMU before 8.1 tells each once a queue pair, is counted
 * and stays as it is, until it has been removed as often.
 */
bool guest_mem_add(GuestMem *mem, uint64_t gpa, uint64_t size, uint64_t user, int fd,
                   uint64_t offset, GError **error);
/* Once. False: there is none with these three. */
bool guest_mem_remove(GuestMem *mem, uint64_t gpa, uint64_t size, uint64_t user, GError **error);
void guest_mem_clear(GuestMem *mem); /* regions; the log stays */

/* Pages that are written from now on are marked in @size bytes of @fd at @offset; -1: no more. */
bool guest_mem_set_log(GuestMem *mem, int fd, uint64_t size, uint64_t offset, GError **error);

/*
 * Maps @size bytes of @fd from @offset, which need not be at a page, for something else that the
 * VMM shares: returns where they are. What @map had is kept by the caller, or unmapped before.
 */
void *guest_mem_map(GuestMapping *map, int fd, uint64_t size, uint64_t offset, int fault_fd,
                    GError **error);
void guest_mem_unmap(GuestMapping *map); /* nothing is fine */

/* Where the VMM's @user is, if all of @size bytes are in one region; else NULL. */
void *guest_mem_of_user(const GuestMem *mem, uint64_t user, uint64_t size);

/* --- any thread --- */

/*
 * The pieces of our memory that are @size bytes of the guest's from @gpa on. Regions that touch
 * make more than one piece. 0: not all of it is there, or in more than @max pieces, or size 0.
 */
unsigned guest_mem_iov(const GuestMem *mem, uint64_t gpa, uint64_t size, struct iovec *ret_iov,
                       unsigned max);

/* The region that @gpa is in; -1: none. */
int guest_mem_find(const GuestMem *mem, uint64_t gpa);

/*
 * The common case in a few instructions: our address of @size bytes from @gpa on if all of them
 * are in region @hint, any that guest_mem_find() ever told; else NULL, which says nothing.
 */
static inline void *guest_mem_at(const GuestMem *mem, unsigned hint, uint64_t gpa, uint64_t size)
{
    const GuestRegion *r = &mem->region[hint]; /* one that was removed has size 0 */
    uint64_t off = gpa - r->gpa;

    return off < r->size && size <= r->size - off ? r->host + off : NULL;
}

/* Whether somebody keeps a log. */
static inline bool guest_mem_logs(const GuestMem *mem)
{
    return mem->log != NULL;
}
/* Marks what was written: by the guest's address, or by ours (in a region; else nothing). */
void guest_mem_dirty(const GuestMem *mem, uint64_t gpa, uint64_t size);
void guest_mem_dirty_host(const GuestMem *mem, const void *host, uint64_t size);

#endif
