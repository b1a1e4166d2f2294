/*
 * The end that receives: a thread for each connection.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "traffic.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void serve_stream(int fd)
{
    char *buffer = malloc(STREAM_BUFFER);
    Report report = { 0 };
    uint64_t start = 0;

    for (;;) {
        ssize_t n = buffer ? read(fd, buffer, STREAM_BUFFER) : -1;

        if (n <= 0) {
            break;
        }
        if (start == 0) {
            start = now_ns();
        }
        report.bytes += (uint64_t)n;
        report.packets++;
    }
    report.ns = now_ns() - start;
    write_all(fd, &report, sizeof(report));
    free(buffer);
}

static void serve_echo(int fd, bool once)
{
    char byte;

    while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1 && !once) {
        continue;
    }
}

/* Takes a batch of what is there; false when that was the last of it. */
static bool count_datagrams(int udp, Report *report)
{
    static _Thread_local char data[UDP_BATCH][UDP_MAX_PAYLOAD];
    struct iovec iov[UDP_BATCH];
    struct mmsghdr msgs[UDP_BATCH] = { 0 };
    int n;

    for (int i = 0; i < UDP_BATCH; i++) {
        iov[i] = (struct iovec){ data[i], UDP_MAX_PAYLOAD };
        msgs[i].msg_hdr.msg_iov = &iov[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
    }
    n = recvmmsg(udp, msgs, UDP_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        report->packets++;
        report->bytes += msgs[i].msg_len;
    }
    return n == UDP_BATCH;
}

static void serve_udp(int fd)
{
    int udp = udp_socket(NULL);
    struct sockaddr_in self;
    socklen_t size = sizeof(self);
    struct pollfd control = { .fd = fd, .events = POLLIN };
    struct timespec pause = { .tv_nsec = UDP_PAUSE_NS };
    Report report = { 0 };
    uint64_t start = 0, last = 0;

    if (getsockname(udp, (struct sockaddr *)&self, &size) < 0) {
        die("getsockname");
    }
    write_all(fd, &self.sin_port, sizeof(self.sin_port));
    /*
     * The peer says that it is done by closing its side. Datagrams are fetched now and
     * then: to wake a sleeper for each would cost the path under test more than the packet.
     */
    while (ppoll(&control, 1, &pause, NULL) == 0) {
        uint64_t before = report.packets;

        while (count_datagrams(udp, &report)) {
            continue;
        }
        if (report.packets != before) {
            last = now_ns();
            start = start ? start : last;
        }
    }
    report.ns = last - start;
    write_all(fd, &report, sizeof(report));
    close(udp);
}

static void *serve_connection(void *opaque)
{
    int fd = (int)(intptr_t)opaque;
    uint8_t kind;

    if (read_all(fd, &kind, 1)) {
        if (kind == KIND_STREAM) {
            serve_stream(fd);
        } else if (kind == KIND_ECHO || kind == KIND_ONCE) {
            serve_echo(fd, kind == KIND_ONCE);
        } else if (kind == KIND_UDP) {
            serve_udp(fd);
        }
    }
    close(fd);
    return NULL;
}

void serve(uint16_t port)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    if (listener < 0 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(listener, (struct sockaddr *)&any, sizeof(any)) < 0 ||
        listen(listener, 4 * MAX_SESSIONS) < 0) {
        die("listen");
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;

        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            die("accept");
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd) != 0) {
            die("thread");
        }
        pthread_detach(thread);
    }
}
