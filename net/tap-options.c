/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/tap.h"

#define OFF(member) offsetof(TapConfig, member)

static const OptMember tap_members[] = {
    { "id", OPT_STR, OFF(id), .help = "name of the netdev", .required = true },
    { "ifname", OPT_STR, OFF(ifname),
      .help = "interface to make or to open; \"tap%d\" or nothing: the kernel counts" },
    { "fd", OPT_STR, OFF(fd), .help = "an inherited descriptor of a tap, or a name of getfd" },
    { "fds", OPT_STR, OFF(fds), .help = "the same for several queues: X:Y:..:Z" },
    { "script", OPT_STR, OFF(script),
      .help = "run with the interface's name after it was opened; \"no\": none; default: "
              "/etc/qemu-ifup if that file exists (QEMU: fails if it does not)" },
    { "downscript", OPT_STR, OFF(downscript),
      .help = "the same before it is closed; default: /etc/qemu-ifdown if that file exists" },
    { "vnet_hdr", OPT_ON_OFF_AUTO, OFF(vnet_hdr),
      .help = "header with offloads on each packet: on insists, off has none, tried if absent" },
    { "sndbuf", OPT_SIZE, OFF(sndbuf), OFF(has_sndbuf),
      .help = "limit of bytes under way to the host's stack; 0: none" },
    { "queues", OPT_UINT32, OFF(queues), OFF(has_queues),
      .help = "number of queues, 1 to 256 (default: 1)" },
    { "persist", OPT_BOOL, OFF(persist),
      .help = "the interface stays, with its bridge and its settings, when the program ends and "
              "the guest does not" },
    { "br", OPT_STR, OFF(br), .help = "bridge for helper=, no effect" },
    { "helper", OPT_STR, OFF(helper),
      .help = "not supported: make the tap beforehand and name it with ifname=, or pass fd=" },
    { "vhost", OPT_ON_OFF_AUTO, OFF(vhost),
      .help = "the kernel's vhost-net moves a virtio-net guest's packets where it can; default: on "
              "with vhostfd=, vhostfds= or vhostforce=on" },
    { "vhostfd", OPT_STR, OFF(vhostfd),
      .help = "an inherited descriptor of /dev/vhost-net, or a name of getfd" },
    { "vhostfds", OPT_STR, OFF(vhostfds), .help = "the same for each of fds=: M:N:..:O" },
    { "vhostforce", OPT_BOOL, OFF(vhostforce),
      .help = "refuse what vhost cannot serve, instead of doing without it" },
    { "poll-us", OPT_UINT32, OFF(poll_us),
      .help = "how long vhost looks for packets before it waits for them, in microseconds" },
    { "local-migration-supported", OPT_BOOL, OFF(local_migration_supported), .def = "on",
      .help = "a migration with the parameter \"local\" takes the interface along" },
    { "incoming-fds", OPT_BOOL, OFF(incoming_fds),
      .help = "opens nothing: the interface comes from another program, by a migration with the "
              "parameter \"local\"" },
    { NULL },
};

const OptTable tap_options = {
    .name = "tap",
    .size = sizeof(TapConfig),
    .members = tap_members,
};
