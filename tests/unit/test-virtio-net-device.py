#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The real program with virtio-net-device: its texts, where it is, and its interrupt line.
Usage: test-virtio-net-device.py RINGTAP"""

import os
import socket
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, run  # noqa: E402
import tap  # noqa: E402

BINARY = os.path.abspath(sys.argv[1])
NETDEV = 'stream,id=%s,server=on,addr.type=unix,addr.path=@DIR@/%s'
DGRAM = ('-netdev', 'dgram,id=n0,local.type=inet,local.host=127.0.0.1,local.port=0,'
                    'remote.type=inet,remote.host=127.0.0.1,remote.port=9')
LAST = 0x0a003e00   # transport 31
MODERN = ('-global', 'virtio-mmio.force-legacy=false')


class Guest:
    """A qtest client of a ringtap with two devices."""

    def __init__(self, *args):
        listener = socket.socket(socket.AF_UNIX)
        path = f'/tmp/ringtap-qtest-mmio-{os.getpid()}'
        listener.bind(path)
        listener.listen()
        self.ringtap = Ringtap(
            BINARY, '-machine', 'virt', '-netdev', NETDEV % ('n0', 'n0'), '-netdev',
            NETDEV % ('n1', 'n1'), '-netdev', NETDEV % ('n2', 'n2'), '-accel', 'qtest', '-qtest',
            f'unix:{path}', '-qtest-log', 'none', '-device', 'virtio-net-device,id=a,netdev=n0',
            '-device', 'virtio-net-device,id=b,netdev=n1,bus=virtio-mmio-bus.7', *args)
        listener.settimeout(20)
        self.sock = listener.accept()[0]
        self.sock.settimeout(20)
        listener.close()
        os.unlink(path)
        self.file = self.sock.makefile('rw')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ringtap.__exit__(*_)
        self.file.close()
        self.sock.close()

    def line(self, text):
        self.file.write(text + '\n')
        self.file.flush()

    def answer(self):
        return self.file.readline().strip()

    def ask(self, text):
        self.line(text)
        return self.answer()

    def read(self, addr):
        return int(self.ask(f'readl {addr:#x}').split()[1], 0)


def test_texts():
    for machine, device, text in (
            ('virt', '', "Parameter 'netdev' is missing"),
            ('virt', 'netdev=n0,bus=virtio-mmio-bus.32', "Bus 'virtio-mmio-bus.32' not found"),
            ('virt', 'netdev=n0,vectors=2', "Property 'virtio-net-device.vectors' not found"),
            ('virt', 'netdev=n0,rx_queue_size=3', 'Invalid rx_queue_size (= 3), must be a power '
                                                  'of 2 between 256 and 1024.'),
            ('pc', 'netdev=n0', "No 'virtio-bus' bus found for device 'virtio-net-device'")):
        given = f'virtio-net-device,{device}' if device else 'virtio-net-device'
        status, _, err = run(BINARY, '-machine', machine, *DGRAM, '-device', given)
        assert status == 1 and err == f'ringtap: -device {given}: {text}\n', err
    status, _, err = run(BINARY, '-machine', 'virt', '-global', 'virtio-mmio.force-legacy=maybe')
    assert status == 1 and err == (
        "ringtap: can't apply global virtio-mmio.force-legacy=maybe: Parameter 'force-legacy' "
        "expects 'on' or 'off'\n"), err


def test_transports():
    """The first device is at the last transport, as in QEMU; the kind of all is one."""
    for args, version in ((), 1), (MODERN, 2):
        with Guest(*args) as g:
            for slot in range(32):
                at = 0x0a000000 + 0x200 * slot
                assert g.read(at) == 0x74726976
                assert g.read(at + 4) == version
                assert g.read(at + 8) == (1 if slot in (7, 31) else 0), slot


def test_fixed():
    with Guest() as g:
        q = g.ringtap.qmp()
        for command, arguments, bus in (
                ('device_del', {'id': 'a'}, 31), ('device_del', {'id': 'b'}, 7),
                ('device_add', {'driver': 'virtio-net-device', 'netdev': 'n2'}, 30)):
            error = q.error(command, **arguments)
            assert error == (f"Bus 'virtio-mmio-bus.{bus}' does not support "
                             'hotplugging'), error


def test_irq():
    """Line 16 + N of transport N."""
    with Guest(*MODERN) as g:
        q = g.ringtap.qmp()
        assert g.ask('irq_intercept_in gic') == 'OK'
        for name, at, irq in ('a', LAST, 47), ('b', 0x0a000e00, 23):
            for status in 1, 3, 11, 15:
                assert g.ask(f'writel {at + 0x70:#x} {status}') == 'OK'
            q.command('set_link', name=name, up=False)
            assert g.answer() == f'IRQ raise {irq}'
            assert g.read(at + 0x60) == 3
            assert g.ask(f'writel {at + 0x64:#x} 3') == f'IRQ lower {irq}'
            assert g.answer() == 'OK'
        q.command('system_reset')
        assert g.read(LAST + 0x70) == 0


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
