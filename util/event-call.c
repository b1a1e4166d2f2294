/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/event-call.h"

#include <linux/aio_abi.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/fd.h"

static bool make_context(EventCall *c)
{
    if (c->context || c->refused) {
        return !c->refused;
    }
    c->ready_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->ready_fd < 0 || syscall(SYS_io_setup, 1, &c->context) < 0) {
        c->context = 0;
        c->refused = true;
        fd_close(&c->ready_fd);
    }
    return !c->refused;
}

void event_call_done(EventCall *c)
{
    if (c->context) {
        syscall(SYS_io_destroy, c->context);
        fd_close(&c->ready_fd);
    }
    *c = (EventCall){ 0 };
}

/* What is polled can be read, so the request is complete when the call returns. */
static void submit(EventCall *c, int fd)
{
    struct iocb request = {
        .aio_lio_opcode = IOCB_CMD_POLL,
        .aio_fildes = (uint32_t)c->ready_fd,
        .aio_buf = POLLIN,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = (uint32_t)fd,
    };
    struct iocb *list = &request;
    struct io_event done;

    if (syscall(SYS_io_submit, c->context, 1, &list) == 1) {
        syscall(SYS_io_getevents, c->context, 0, 1, &done, NULL);
    }
}

static void write_one(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    uint64_t one = 1;
    ssize_t n = poll(&p, 1, 0) == 1 ? write(fd, &one, sizeof(one)) : 0;

    (void)n; /* a counter that is full tells, too */
}

void event_call(EventCall *c, int fd)
{
    if (fd < 0) {
        return;
    }
    if (make_context(c)) {
        submit(c, fd);
    } else {
        write_one(fd);
    }
}
