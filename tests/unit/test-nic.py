#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Options that make or change what others say: -nic, -net, -set, -global and -compat.
Usage: test-nic.py RINGTAP"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, run
import qemu
import tap

BINARY = os.path.abspath(sys.argv[1])
UDP = 'socket,udp=127.0.0.1:7001,localaddr=127.0.0.1:0'
NETDEV = ('-netdev', f'{UDP},id=n0')
JSON = ('-netdev', '{"type":"hubport","id":"n0","hubid":1}')

# Behind -machine none or pc: what is given, and the text; None: it starts.
REFUSED = (
    (('-nic', 'foo'), "-nic foo: Parameter 'type' does not accept value 'foo'"),
    (('-nic', 'socket,foo=1'), "-nic socket,foo=1: Invalid parameter 'foo'"),
    (('-nic', f'{UDP},id=1x'), f"-nic {UDP},id=1x: Parameter 'id' expects an identifier"),
    (('-nic', 'none'), None),
    (('-net', ''), "-net : Parameter 'type' is missing"),
    (('-net', 'foo'), "-net foo: Parameter 'type' does not accept value 'foo'"),
    (('-net', 'none,x=1'), "-net none,x=1: Invalid parameter 'x'"),
    (('-set', 'x'), '-set x: can\'t parse: "x"'),
    (('-set', 'netdev.a.b'), '-set netdev.a.b: can\'t parse: "netdev.a.b"'),
    (('-set', 'a.b.=1'), '-set a.b.=1: can\'t parse: "a.b.=1"'),
    (('-set', 'a.b.c=1'), "-set a.b.c=1: There is no option group 'a'"),
    (('-set', 'object.a.b=1'), '-set object.a.b=1: -set is not supported with object'),
    (('-set', 'netdev.a.b=1'), '-set netdev.a.b=1: there is no netdev "a" defined'),
    (('-set', 'netdev.n0.b=1', *NETDEV), '-set netdev.n0.b=1: there is no netdev "n0" defined'),
    ((*JSON, '-set', 'netdev.n0.b=1'), '-set netdev.n0.b=1: there is no netdev "n0" defined'),
    ((*NETDEV, '-set', 'netdev.n0.foo=1'),
     f"-netdev {UDP},id=n0: Invalid parameter 'foo'"),
    ((*NETDEV, '-set', 'netdev.n0.localaddr=1,2'), f"-netdev {UDP},id=n0: host address '1,2' "
     "doesn't contain ':' separating host from port"),
    (('-global', 'x'), "-global x: Invalid parameter 'x'"),
    (('-global', 'driver=x'),
     "-global driver=x: options 'driver', 'property', and 'value' are required"),
    (('-global', 'nosuch.b=c'), None),
    (('-compat', 'x=1'), "-compat x=1: Parameter 'x' is unexpected"),
    (('-compat', 'deprecated-input=x'),
     "-compat deprecated-input=x: Parameter 'deprecated-input' does not accept value 'x'"),
    (('-compat', 'deprecated-output=hide,unstable-input=reject'), None),
)


def compare(program):
    # what starts, and so is waited for, is found out to do so by others
    rows = [row for row in REFUSED if row[1]]
    with ThreadPoolExecutor(4) as pool:
        for row, words in zip(rows, pool.map(lambda r: qemu.last_words(program, *r[0]), rows)):
            assert words == (1, row[1]), (row, words)


def test_refused():
    compare(BINARY)


def test_refused_as_by_qemu():
    qemu.need_qemu()
    compare(qemu.QEMU)


def test_accepted():
    args = [word for row in REFUSED if not row[1] for word in row[0]]
    for program in (BINARY, *([qemu.QEMU] if qemu.have_qemu() else [])):
        with Ringtap(program, '-machine', 'none', *args) as r:
            assert r.qmp().command('query-status')['running']


def nics(q):
    lines = q.command('human-monitor-command', command_line='info network').split('\r\n')
    return [dict(item.split('=') for item in line.split(': ', 1)[1].split(',')[1:] if '=' in item)
            for line in lines if 'type=nic' in line]


def test_nics_as_of_qemu():
    """Their models and MACs, in the order of the options, before those of -device."""
    args = ('-machine', 'pc', '-device', 'virtio-net-pci,netdev=n0', *NETDEV,
            '-nic', f'{UDP},model=virtio', '-nic', f'{UDP},model=virtio-net-pci,id=x,'
            'mac=52:54:00:00:00:07')
    found = []
    for program in (BINARY, *([qemu.QEMU] if qemu.have_qemu() else [])):
        with Ringtap(program, *args, '-nodefaults', '-display', 'none') as r:
            q = r.qmp()
            assert q.error('netdev_add', type='socket', id='x', udp='127.0.0.1:1',
                           localaddr='127.0.0.1:0') == "Duplicate ID 'x'"
            found.append(nics(q))
    assert [(n['model'], n['macaddr']) for n in found[0]] == [
        ('virtio-net-pci', '52:54:00:12:34:56'), ('virtio-net-pci', '52:54:00:00:00:07'),
        ('virtio-net-pci', '52:54:00:12:34:57')], found
    assert all(f == found[0] for f in found), found


def test_ids_of_netdevs():
    """They are not those of others."""
    with Ringtap(BINARY, '-machine', 'pc', '-netdev', f'{UDP},id=nic0', '-nic', UDP) as r:
        text = r.qmp().command('human-monitor-command', command_line='info network')
        assert '\\ nic1: index=0,type=socket' in text and 'model=virtio-net-pci' in text, text
    status, _, err = run(BINARY, '-machine', 'pc', *NETDEV, '-nic', f'{UDP},id=n0')
    assert status == 1 and f"-nic {UDP},id=n0: Duplicate ID 'n0'" in err, err


def test_nic_of_xen():
    """On xenpv it is a vif, and there is a Xen for it."""
    with Ringtap(BINARY, '-machine', 'xenpv', '-accel', 'xenemu', '-nic',
                 f'{UDP},mac=00:16:3e:00:00:07') as r:
        vif, = r.qmp().command('query-devices')
        assert vif['class'] == 'xen-net-device', vif
    # that it is wanted is found out from the option
    with Ringtap(BINARY, '-nic', f'{UDP},model=xen', '-device', 'usb-tablet') as r:
        classes = [d['class'] for d in r.qmp().command('query-devices')]
        assert classes == ['xen-net-device', 'usb-tablet'], classes


def test_wrong_nics():
    for arg, text in ((f'{UDP},model=foo', 'Unsupported NIC model: foo'),
                      (f'{UDP},mac=zz', "mac' doesn't take value 'zz'"),
                      (f'{UDP},model=xen', "No 'xen' bus found"),
                      ('none,x=1', "Invalid parameter 'x'"), ('', "Parameter 'type' is missing")):
        status, _, err = run(BINARY, '-machine', 'pc', '-nic', arg)
        assert status == 1 and err.startswith(f'ringtap: -nic {arg}: ') and text in err, err
    for arg in ('nic', 'tap,ifname=x'):
        status, _, err = run(BINARY, '-machine', 'none', '-net', arg)
        assert status == 1 and 'hubs are not supported' in err, err


def test_set():
    """The last one counts, also of a -device, and commas are not special in it."""
    with Ringtap(BINARY, '-machine', 'pc', *NETDEV, '-device', 'virtio-net-pci,netdev=n0,id=v0',
                 '-set', 'device.v0.mac=zz', '-set', 'device.v0.mac=52:54:00:00:00:09') as r:
        assert nics(r.qmp())[0]['macaddr'] == '52:54:00:00:00:09'


def test_global():
    """The last one of a property counts; a device's own comes before it."""
    args = ('-machine', 'pc', *NETDEV, '-netdev', f'{UDP},id=n1')
    macs = ('-global', 'virtio-net-pci.mac=52:54:00:00:00:01',
            '-global', 'driver=virtio-net-pci,property=mac,value=52:54:00:00:00:09')
    for program in (BINARY, *([qemu.QEMU] if qemu.have_qemu() else [])):
        with Ringtap(program, *args, *macs, '-device', 'virtio-net-pci,netdev=n0', '-nodefaults',
                     '-display', 'none') as r:
            q = r.qmp()
            q.command('device_add', driver='virtio-net-pci', netdev='n1', mac='52:54:00:00:00:0a')
            found = sorted(n['macaddr'] for n in nics(q))
            assert found == ['52:54:00:00:00:09', '52:54:00:00:00:0a'], found
    status, _, err = run(BINARY, *args, '-global', 'virtio-net-pci.foo=1', '-device',
                         'virtio-net-pci,netdev=n0')
    assert status == 1 and "Property 'virtio-net-pci.foo' not found" in err, err


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
