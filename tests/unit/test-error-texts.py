#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's texts for what is wrong with netdevs, taps, NICs and commands, as tables: ringtap says the
same, and so does a QEMU of this machine. Usage: test-error-texts.py RINGTAP"""

import ctypes
import fcntl
import json
import os
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap
import qemu
import tap

BINARY = os.path.abspath(sys.argv[1])
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454ca
TUNSETPERSIST = 0x400454cb
IFF_TAP_NO_PI = 0x1002
IFF_MULTI_QUEUE = 0x100

NONE = ('-machine', 'none')
PC = ('-machine', 'pc', '-netdev', 'socket,id=n0,udp=127.0.0.1:7001,localaddr=127.0.0.1:0',
      '-netdev', 'socket,id=n1,udp=127.0.0.1:7001,localaddr=127.0.0.1:0')

# --- the tables: what is said, and the answer

WITH_FD = ('ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, fds=, and vhostfds= are '
           'invalid with fd=')
WITH_FDS = ('ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, and vhostfd= are invalid '
            'with fds=')
WITH_HELPER = ('ifname=, script=, downscript=, vnet_hdr=, queues=, and vhostfds= are invalid with '
               'helper=')

# -netdev tap,id=a,... and netdev_add
TAP = (
    *((f'fd=9,{more}', WITH_FD) for more in (
        'ifname=x', 'script=no', 'downscript=no', 'vnet_hdr=on', 'helper=/x', 'queues=2',
        'fds=7:8', 'vhostfds=7:8')),
    *((f'fds=7:8,{more}', WITH_FDS) for more in (
        'ifname=x', 'script=no', 'downscript=no', 'vnet_hdr=off', 'helper=/x', 'queues=2',
        'vhostfd=7')),
    *((f'helper=/x,{more}', WITH_HELPER) for more in (
        'ifname=x', 'script=no', 'downscript=no', 'vnet_hdr=on', 'queues=2', 'vhostfds=7:8')),
    ('vhostfds=7:8', "vhostfds= is invalid if fds= wasn't specified"),
    ('fds=7:8,vhostfds=9',
     'The number of fds passed does not match the number of vhostfds passed'),
    ('fd=1x', "Invalid file descriptor number '1x'"),
    ('fd=999', "a: Can't use file descriptor 999: Bad file descriptor"),
    ('fd=0', 'Unable to query TUNGETIFF on FD 0: Inappropriate ioctl for device'),
    ('ifname=a/b,script=no,downscript=no',
     'could not configure /dev/net/tun (a/b): Invalid argument'),
)

# netdev_add alone: a name is one of getfd
TAP_NAMES = (
    ('fd=foo', "File descriptor named 'foo' has not been found"),
    ('fd=', "File descriptor named '' has not been found"),
    ('fd=-1', "File descriptor named '-1' has not been found"),
    ('fds=foo:bar', "File descriptor named 'foo' has not been found"),
    ('fds=::', "File descriptor named '' has not been found"),
)

# -netdev alone: texts of key=value, and of JSON there
NETDEV = (
    ('', "Parameter 'id' is missing"),
    ('tap', "Parameter 'id' is missing"),
    ('id=a', "Parameter 'type' is missing"),
    ('foo,id=a', "Parameter 'type' does not accept value 'foo'"),
    ('tap,id=a,foo=1', "Invalid parameter 'foo'"),
    ('tap,id=1a', "Parameter 'id' expects an identifier"),
    ('tap,id=a,queues=x', "Parameter 'queues' expects a uint64 value"),
    ('tap,id=a,vnet_hdr=auto', "Parameter 'vnet_hdr' expects 'on' or 'off'"),
    ('tap,id=a,fd=foo', "Invalid file descriptor number 'foo'"),
    ('tap,id=a,fds=::', "Invalid file descriptor number ''"),
    ('{"type":"tap"', 'JSON parse error, premature EOI'),
    ('{"type":"tap","id":1}', "Invalid parameter type for 'id', expected: string"),
    ('{"type":"tap","id":"a","bogus":1}', "Parameter 'bogus' is unexpected"),
)

# other options of the command line; what stands before the text is the option
OPTIONS = (
    (('-netdev', 'socket,id=a,udp=:1,localaddr=:0', '-netdev', 'socket,id=a,udp=:1,localaddr=:0'),
     "-netdev socket,id=a,udp=:1,localaddr=:0: Duplicate ID 'a' for netdev"),
    (('-device', ''), "-device : Parameter 'driver' is missing"),
    (('-device', 'nosuch'), "-device nosuch: 'nosuch' is not a valid device model name"),
    (('-device', 'virtio-net-pci,id=1a'),
     "-device virtio-net-pci,id=1a: Parameter 'id' expects an identifier"),
    (('-device', '{"driver":"nosuch"'),
     '-device {"driver":"nosuch": JSON parse error, premature EOI'),
    (('-chardev', 'id=a'), '-chardev id=a: chardev: "a" missing backend'),
    (('-chardev', 'socket'), '-chardev socket: chardev: no id specified'),
    (('-chardev', 'nosuch,id=a'), "-chardev nosuch,id=a: 'nosuch' is not a valid char driver name"),
    (('-object', 'iothread'), "-object iothread: Parameter 'id' is missing"),
    (('-foo',), '-foo: invalid option'),
    (('-netdev',), '-netdev: requires an argument'),
)

# with -machine none; the answer is GenericError, unless it begins with another class
COMMANDS = (
    ('announce-self', {'initial': 50}, "Parameter 'max' is missing"),
    ('netdev_add', {}, "Parameter 'id' is missing"),
    ('netdev_add', {'id': 'a'}, "Parameter 'type' is missing"),
    ('netdev_add', {'type': 'tap'}, "Parameter 'id' is missing"),
    ('netdev_add', {'type': 'foo', 'id': 'a'}, "Parameter 'type' does not accept value 'foo'"),
    ('netdev_add', {'type': 'tap', 'id': 'a', 'bogus': 1}, "Parameter 'bogus' is unexpected"),
    ('netdev_add', {'type': 'tap', 'id': 'a', 'queues': '2'},
     "Parameter 'queues' expects uint64"),
    ('netdev_add', {'type': 'tap', 'id': 'a', 'queues': 1 << 40},
     "Parameter 'queues' expects uint32_t"),
    ('netdev_add', {'type': 'tap', 'id': 'a', 'vnet_hdr': 'on'},
     "Invalid parameter type for 'vnet_hdr', expected: boolean"),
    ('netdev_add', {'type': 'tap', 'id': '1a'}, "Parameter 'id' expects an identifier"),
    ('netdev_del', {}, "Parameter 'id' is missing"),
    ('netdev_del', {'id': 'X'}, "DeviceNotFound: Device 'X' not found"),
    ('netdev_del', {'id': 'X', 'y': 1}, "Parameter 'y' is unexpected"),
    ('device_add', {}, "Parameter 'driver' is missing"),
    ('device_add', {'driver': 'nosuch'}, "'nosuch' is not a valid device model name"),
    ('device_add', {'driver': 'virtio-net-pci', 'bus': 'X'}, "Bus 'X' not found"),
    ('device_del', {}, "Parameter 'id' is missing"),
    ('device_del', {'id': 'X'}, "DeviceNotFound: Device 'X' not found"),
    ('set_link', {'name': 'X', 'up': True}, "DeviceNotFound: Device 'X' not found"),
    ('set_link', {'name': 'X'}, "Parameter 'up' is missing"),
    ('set_link', {'name': 'X', 'up': 'on'},
     "Invalid parameter type for 'up', expected: boolean"),
    ('query-rx-filter', {'name': 'X'}, 'invalid net client name: X'),
    ('getfd', {'fdname': 'x'}, 'No file descriptor supplied via SCM_RIGHTS'),
    ('closefd', {'fdname': 'X'}, "File descriptor named 'X' not found"),
    ('add-fd', {'fdset-id': 'x'}, "Invalid parameter type for 'fdset-id', expected: integer"),
    ('remove-fd', {'fdset-id': 9}, "File descriptor named 'fdset-id:9' not found"),
    ('object-add', {'qom-type': 'nosuch', 'id': 'x'},
     "Parameter 'qom-type' does not accept value 'nosuch'"),
    ('object-add', {'qom-type': 'iothread', 'id': 'x', 'y': 1}, "Parameter 'y' is unexpected"),
    ('object-del', {'id': 'nope'}, "object 'nope' not found"),
    ('chardev-remove', {'id': 'nope'}, "Chardev 'nope' not found"),
    ('query-netdev', {}, 'CommandNotFound: The command query-netdev has not been found'),
    ('qom-list', {'path': '/nope'}, "DeviceNotFound: Device '/nope' not found"),
    ('device-list-properties', {'typename': 'x'}, "DeviceNotFound: Device 'x' not found"),
)

# device_add of a virtio-net-pci, with -machine pc; None: it succeeds
NIC = (
    ({'netdev': 'X'}, "Property 'virtio-net-device.netdev' can't find value 'X'"),
    ({'netdev': 'n0', 'foo': 1}, "Property 'virtio-net-pci.foo' not found"),
    ({'netdev': 'n0', 'mac': 'zz'}, "Property 'virtio-net-device.mac' doesn't take value 'zz'"),
    ({'netdev': 'n0', 'addr': 'x'}, "Property 'virtio-net-pci.addr' doesn't take value 'x'"),
    ({'netdev': 'n0', 'bus': 'X'}, "Bus 'X' not found"),
    ({'netdev': 'n0', 'rx_queue_size': 100},
     'Invalid rx_queue_size (= 100), must be a power of 2 between 256 and 1024.'),
    ({'netdev': 'n0', 'rx_queue_size': 2048},
     'Invalid rx_queue_size (= 2048), must be a power of 2 between 256 and 1024.'),
    ({'netdev': 'n0', 'tx_queue_size': 100},
     'Invalid tx_queue_size (= 100), must be a power of 2 between 256 and 1024'),
    ({'netdev': 'n0', 'duplex': 'x'}, "'duplex' must be 'half' or 'full'"),
    ({'netdev': 'n0', 'id': 'v0', 'addr': '3'}, None),
    ({'netdev': 'n0', 'id': 'v1'}, "Property 'virtio-net-device.netdev' can't take value 'n0', "
                                   "it's in use"),
    ({'netdev': 'n1', 'id': 'v0'}, "Duplicate device ID 'v0'"),
)

# Said otherwise, for which the manual has the reason: ours, and QEMU 7.2's; None: it succeeds
DIFFERENT = (
    ('netdev_add', {'type': 'tap', 'id': 'a', 'sndbuf': -1, 'fd': 'x'},
     "Parameter 'sndbuf' expects uint64", "File descriptor named 'x' has not been found"),
    ('netdev_add', {'type': 'hubport', 'id': 'a'},
     "network backend 'hubport' is not compiled into this binary", "Parameter 'hubid' is missing"),
    ('device_add', {'driver': 1}, "Invalid parameter type for 'driver', expected: string",
     "'1' is not a valid device model name"),
    ('device_add', {'driver': 'device'}, "'device' is not a valid device model name",
     "Parameter 'driver' expects a non-abstract device type"),
    ('device_add', {'driver': 'virtio-net-pci'}, "Parameter 'netdev' is missing",
     "No 'PCI' bus found for device 'virtio-net-pci'"),
)

# netdev_add, where "plain" and "many" are taps without and with several queues
NO_SCRIPTS = {'type': 'tap', 'script': 'no', 'downscript': 'no'}
CONFIGURE = 'could not configure /dev/net/tun '
DIFFERENT_TAPS = (
    ({**NO_SCRIPTS, 'id': 'a', 'ifname': 'plain', 'queues': 2},
     CONFIGURE + '(plain): the existing tap has no multi_queue, queues=2 asks for it: use queues=1, '
     'or delete it', CONFIGURE + '(plain): Invalid argument'),
    ({**NO_SCRIPTS, 'id': 'b', 'ifname': 'many'},
     CONFIGURE + '(many): the existing tap has multi_queue, queues=1 asks for none: use queues=2 or '
     'more, or delete it', CONFIGURE + '(many): Invalid argument'),
    ({**NO_SCRIPTS, 'id': 'c', 'ifname': 'many', 'queues': 257},
     "Parameter 'queues' expects a number of 1 to 256",
     CONFIGURE + '(many): Argument list too long'),
    ({**NO_SCRIPTS, 'id': 'd', 'ifname': 'lo'},
     CONFIGURE + '(lo): an interface of that name exists and is no tap',
     CONFIGURE + '(lo): Invalid argument'),
    ({**NO_SCRIPTS, 'id': 'e', 'ifname': 'x' * 16},
     "Parameter 'ifname' expects a name of at most 15 characters", None),
    ({**NO_SCRIPTS, 'id': 'f', 'ifname': 'plain', 'script': '/bin/false'},
     'network script /bin/false failed with status 1',
     'network script /bin/false failed with status 256'),
)

# --- who says it


def members(text):
    """As JSON has them: strings, but for bool and number."""
    for option in text.split(','):
        name, value = option.split('=', 1)
        number = name == 'queues'
        yield name, {'on': True, 'off': False}.get(value, int(value) if number else value)


def answer(q, command, arguments):
    """The text, with its class if that is not the usual one; None: no error."""
    q.send(json.dumps({'execute': command, 'arguments': arguments}))
    error = q.reply().get('error')
    if not error or error['class'] == 'GenericError':
        return error and error['desc']
    return f"{error['class']}: {error['desc']}"


def compare(rows, said):
    """Rows end with the text."""
    wrong = [f'{row[:-1]}\n    is {text}\n    not {row[-1]}'
             for row, text in zip(rows, said, strict=True) if text != row[-1]]
    assert not wrong, '\n'.join(wrong)


def ask(program, args, rows):
    """Rows are (command, arguments, text)."""
    with Ringtap(program, *args, '-nodefaults', '-display', 'none') as r:
        q = r.qmp()
        compare(rows, [answer(q, command, arguments) for command, arguments, _ in rows])


def start(program, rows):
    """Rows are (arguments, text); a few at once, as a QEMU takes its time."""
    with ThreadPoolExecutor(4) as pool:
        compare(rows, [words and words[1] for words in pool.map(
            lambda row: qemu.last_words(program, *row[0]), rows)])


def commands_without_machine():
    return [*(('netdev_add', {'type': 'tap', 'id': 'a', **dict(members(options))}, text)
              for options, text in TAP + TAP_NAMES), *COMMANDS]


def nics():
    return [('device_add', {'driver': 'virtio-net-pci', **arguments}, text)
            for arguments, text in NIC]


def options():
    return [*((('-netdev', arg), f'-netdev {arg}: {text}') for arg, text in NETDEV), *OPTIONS]


def test_commands():
    ask(BINARY, NONE, commands_without_machine())
    ask(BINARY, PC, nics())


def test_commands_as_qemu():
    qemu.need_qemu()
    ask(qemu.QEMU, NONE, commands_without_machine())
    ask(qemu.QEMU, PC, nics())


def test_options():
    start(BINARY, options() + [(('-netdev', f'tap,id=a,{arg}'), f'-netdev tap,id=a,{arg}: {text}')
                               for arg, text in TAP])


def test_options_as_qemu():
    """That an option and a command say the same is not asked again."""
    qemu.need_qemu()
    start(qemu.QEMU, options())


def test_what_is_said_otherwise():
    ask(BINARY, NONE, [(*row[:2], row[2]) for row in DIFFERENT])
    if qemu.have_qemu():
        ask(qemu.QEMU, NONE, [(*row[:2], row[3]) for row in DIFFERENT])


# --- with taps; last, as this process is in another network then


def make_tap(name, flags):
    with open('/dev/net/tun', 'r+b', buffering=0) as f:
        fcntl.ioctl(f, TUNSETIFF, struct.pack('16sH22x', name.encode(), IFF_TAP_NO_PI | flags))
        fcntl.ioctl(f, TUNSETPERSIST, 1)


def test_taps_of_which_it_is_said_otherwise():
    if (not os.access('/dev/net/tun', os.R_OK | os.W_OK) or os.geteuid() != 0 or
            ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0):
        raise tap.Skip('needs root, network namespaces and /dev/net/tun')
    make_tap('plain', 0)
    make_tap('many', IFF_MULTI_QUEUE)
    ask(BINARY, NONE, [('netdev_add', row[0], row[1]) for row in DIFFERENT_TAPS])
    if qemu.have_qemu():
        ask(qemu.QEMU, NONE, [('netdev_add', row[0], row[2]) for row in DIFFERENT_TAPS])


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
