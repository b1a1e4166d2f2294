/*
 * The whole program with a virtio-net-pci, whose driver a test is by qtest, with rings in the
 * guest's memory; at the other end a socket or a tap. Whatever fails in here fails the test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIRTIO_PCI_PROGRAM_H
#define TESTS_LIB_VIRTIO_PCI_PROGRAM_H

#include "host-tap.h"
#include "qtest.h"
#include "virtio-pci-guest.h"

#define VPP_SLOT    4u
#define VPP_WAIT_MS 20000
#define VPP_MAX_PAIRS 8

typedef struct Vpp Vpp;
typedef struct VppCase VppCase;

struct VppCase {
    const char *options;   /* of the device */
    uint64_t wanted;
    bool legacy, msix;
    unsigned pairs;        /* with a tap; 0: a socket */
    enum { VPP_NO_VHOST, VPP_VHOST, VPP_VHOSTFDS } vhost; /* by the kernel: by name, descriptors */
    /* Options that make n0, if its other end is not the socket or the tap; else NULL. */
    char *(*netdev)(Vpp *f, const VppCase *c);
};

struct Vpp {
    QTest *qt;             /* NULL: no tap or vhost can be had, the test is skipped */
    VirtioPciGuest g;
    int other;             /* the socket's end; -1: there is a tap */
    int given;             /* that of the program */
    HostTap *tap;
    int vhost[VPP_MAX_PAIRS]; /* for the program, until it has them */
    unsigned n_vhost;
};

/* A fixture of g_test_add(), with a VppCase: the device is found and not started. */
void vpp_setup(Vpp *f, gconstpointer data);
void vpp_teardown(Vpp *f, gconstpointer data);
/* The same of a program that a test has started by itself. */
void vpp_find(Vpp *f, const VppCase *c, QTest *qt);

/* It goes to another program of the same case, its driver with it. */
void vpp_migrate(Vpp *f, const VppCase *c);
/* Another program with such a device; @more: options of its own. */
QTest *vpp_start_program(Vpp *f, const VppCase *c, const char *more);
/* A program with @args that has the socket, or a new tap, as its netdev n0. */
QTest *vpp_start_with(Vpp *f, const VppCase *c, const char *args);
/* The program's memory of the guest; where @at is, if that is not NULL. */
uint8_t *vpp_map_ram(const QTest *qt, uint8_t *at);

/* A frame of VPG_PACKET bytes that has @n in it. */
void vpp_frame(uint8_t *frame, unsigned n);
/* This frame comes out of the socket, whatever else is on its way; or to the guest. */
void vpp_expect_out(Vpp *f, const uint8_t *frame, size_t len);
void vpp_expect_in(Vpp *f, const uint8_t *frame, size_t len);
void vpp_there_and_back(Vpp *f, unsigned n);

#endif
