#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The real program with virtio-net-pci: its options, its texts, and how it is plugged.
Usage: test-virtio-net-pci.py RINGTAP"""

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
DGRAM = ('-netdev', 'dgram,id=n0,local.type=inet,local.host=127.0.0.1,local.port=0,'
                    'remote.type=inet,remote.host=127.0.0.1,remote.port=9')


def netdev(name):
    return ('-netdev', f'stream,id={name},server=on,addr.type=unix,addr.path=@DIR@/{name}')


def machine(*args):
    return Ringtap(BINARY, '-machine', 'pc', *netdev('n0'), *netdev('n1'), *args)


class Guest:
    """A qtest client of a ringtap that it starts."""

    def __init__(self, *args):
        self.listener = socket.socket(socket.AF_UNIX)
        self.path = f'/tmp/ringtap-qtest-{os.getpid()}'
        self.listener.bind(self.path)
        self.listener.listen()
        self.ringtap = machine('-accel', 'qtest', '-qtest', f'unix:{self.path}', '-qtest-log',
                               'none', *args)
        self.listener.settimeout(20)
        self.sock = self.listener.accept()[0]
        self.sock.settimeout(20)
        os.unlink(self.path)
        self.file = self.sock.makefile('rw')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ringtap.__exit__(*_)
        self.file.close()
        self.sock.close()
        self.listener.close()

    def line(self, text):
        self.file.write(text + '\n')
        self.file.flush()
        answer = self.file.readline().split()
        assert answer[0] == 'OK', answer
        return int(answer[1], 0) if len(answer) > 1 else None

    def vendor(self, slot):
        self.line(f'outl 0xcf8 {0x80000000 | slot << 11}')
        return self.line('inw 0xcfc')

    def config(self, slot, offset, width='l'):
        self.line(f'outl 0xcf8 {0x80000000 | slot << 11 | offset}')
        return self.line(f'in{width} 0xcfc')


def test_texts():
    for device, text in (
            ('', "Parameter 'netdev' is missing"),
            ('netdev=n9', "Property 'virtio-net-device.netdev' can't find value 'n9'"),
            ('netdev=n0,rx_queue_size=100',
             'Invalid rx_queue_size (= 100), must be a power of 2 between 256 and 1024.'),
            ('netdev=n0,rx_queue_size=2048',
             'Invalid rx_queue_size (= 2048), must be a power of 2 between 256 and 1024.'),
            ('netdev=n0,tx_queue_size=384',
             'Invalid tx_queue_size (= 384), must be a power of 2 between 256 and 1024'),
            ('netdev=n0,speed=-2', "'speed' must be between 0 and INT_MAX"),
            ('netdev=n0,duplex=none', "'duplex' must be 'half' or 'full'"),
            ('netdev=n0,disable-legacy=on,disable-modern=on',
             'device cannot work as neither modern nor legacy mode is enabled\n'
             'Set either disable-modern or disable-legacy to off'),
            ('netdev=n0,vectors=2049', 'unable to init msix vectors to 2049'),
            ('netdev=n0,addr=20', "Property 'virtio-net-pci.addr' doesn't take value '20'"),
            ('netdev=n0,addr=1', 'PCI: slot 1 function 0 not available for virtio-net-pci, in use '
                                 'by PIIX3,id=(null)'),
            ('netdev=n0,bus=pci.1', "Bus 'pci.1' not found"),
            ('netdev=n0,mac=1', "Property 'virtio-net-device.mac' doesn't take value '1'")):
        device = f'virtio-net-pci,{device}'.rstrip(',')
        status, out, err = run(BINARY, '-machine', 'pc', *DGRAM, '-device', device)
        assert (status, out) == (1, ''), (device, status, err)
        assert err == f'ringtap: -device {device}: {text}\n', err


def test_other_machines_have_no_bus():
    for args in (('-machine', 'none'), ('-machine', 'virt')):
        status, _, err = run(BINARY, *args, *DGRAM, '-device', 'virtio-net-pci,netdev=n0')
        assert status == 1 and "No 'PCI' bus found for device 'virtio-net-pci'" in err, err


def test_as_others_see_it():
    with machine('-device', 'virtio-net-pci,netdev=n0,id=nic0,bus=pci.0',
                 '-device', 'virtio-net-pci,netdev=n1,id=nic1') as r:
        q = r.qmp()
        first, second = q.command('query-devices')
        assert first == {'id': 'nic0', 'class': 'virtio-net-pci', 'bus': 'PCI',
                         'address': '52:54:00:12:34:56', 'state': 'init-wait', 'max-queues': 1,
                         'queues': []}, first
        assert second['address'] == '52:54:00:12:34:57', second
        lines = q.command('human-monitor-command', command_line='info network').split('\r\n')
        assert lines[0] == 'nic0: index=0,type=nic,model=virtio-net-pci,' \
                           'macaddr=52:54:00:12:34:56', lines


def test_filter():
    with machine('-netdev', 'dgram,id=n2,local.type=inet,local.host=127.0.0.1,local.port=0,'
                 'remote.type=inet,remote.host=127.0.0.1,remote.port=9',
                 '-chardev', 'socket,id=c0,path=@DIR@/c0,server=on,wait=off',
                 '-device', 'virtio-net-pci,netdev=n0,id=nic0', '-device',
                 'virtio-net-pci,netdev=n1', '-device',
                 'vhost-user-net,netdev=n2,chardev=c0,id=nic2') as r:
        q = r.qmp()
        nic0, anonymous = q.command('query-rx-filter')
        assert nic0 == {'name': 'nic0', 'promiscuous': True, 'multicast': 'normal',
                        'unicast': 'normal', 'vlan': 'all', 'broadcast-allowed': True,
                        'multicast-overflow': False, 'unicast-overflow': False,
                        'main-mac': '52:54:00:12:34:56', 'vlan-table': [], 'unicast-table': [],
                        'multicast-table': []}, nic0
        assert (anonymous['name'], anonymous['main-mac']) == ('#dev0', '52:54:00:12:34:57')
        assert q.command('query-rx-filter', name='nic0') == [nic0]
        assert q.command('query-rx-filter', name='#dev0') == [anonymous]
        for name, text in (('n0', "net client(n0) isn't a NIC"),
                           ('nic2', "net client(nic2) doesn't support rx-filter querying"),
                           ('nic9', 'invalid net client name: nic9'),
                           ('', 'invalid net client name: ')):
            assert q.error('query-rx-filter', name=name) == text, name


def test_slots():
    with Guest('-device', 'virtio-net-pci,netdev=n0,addr=04.0', '-device',
               'virtio-net-pci,netdev=n1,disable-legacy=on') as g:
        assert [g.vendor(slot) for slot in range(6)] == [0x8086, 0x8086, 0x1af4, 0xffff, 0x1af4,
                                                         0xffff]
        assert g.config(4, 2, 'w') == 0x1000
        assert g.config(2, 2, 'w') == 0x1041
        assert g.config(2, 8, 'b') == 1


def test_vectors():
    for option, vectors in (('', 4), (',vectors=7', 7), (',vectors=0', None),
                            (',vectors=2048', 2048)):
        with Guest('-device', f'virtio-net-pci,netdev=n0,addr=4{option}') as g:
            cap = g.config(4, 0x34, 'b')
            while cap and g.config(4, cap, 'b') != 0x11:
                cap = g.config(4, cap + 1, 'b')
            if vectors is None:
                assert cap == 0
            else:
                assert g.config(4, cap + 2, 'w') & 0x7ff == vectors - 1


def test_unplug_without_guest():
    with machine('-device', 'virtio-net-pci,netdev=n0,id=nic0,addr=4') as r:
        q = r.qmp()
        for slot in ('4', '5'):
            q.command('device_del', id='nic0')
            assert q.event('DEVICE_DELETED')['data']['device'] == 'nic0'
            q.command('device_add', driver='virtio-net-pci', netdev='n0', id='nic0', addr=slot)
        assert q.error('device_add', driver='virtio-net-pci', netdev='n1', id='nic1', addr='5') == \
            'PCI: slot 5 function 0 not available for virtio-net-pci, in use by ' \
            'virtio-net-pci,id=nic0'
        q.command('device_add', driver='virtio-net-pci', netdev='n1', id='nic1')


def test_guest_ejects():
    with Guest('-device', 'virtio-net-pci,netdev=n0,id=nic0,addr=4') as g:
        q = g.ringtap.qmp()
        q.command('device_del', id='nic0')
        assert q.error('device_del', id='nic0') == \
            'Device nic0 is already in the process of unplug'
        assert g.line('inl 0xae04') == 1 << 4
        assert g.vendor(4) == 0x1af4
        g.line(f'outl 0xae08 {1 << 4}')
        assert q.event('DEVICE_DELETED')['data']['device'] == 'nic0'
        assert g.vendor(4) == 0xffff
        q.command('device_add', driver='virtio-net-pci', netdev='n0', id='nic0', addr='4')
        assert g.vendor(4) == 0x1af4


def test_guest_does_not_eject():
    with Guest('-device', 'virtio-net-pci,netdev=n0,id=nic0,addr=4') as g:
        q = g.ringtap.qmp()
        q.command('device_del', id='nic0')
        assert q.event('DEVICE_DELETED')['data']['device'] == 'nic0'
        assert g.vendor(4) == 0xffff


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
