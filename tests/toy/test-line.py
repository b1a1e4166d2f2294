#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A device whose guest comes by a chardev: who has the socket, and when.

Usage: test-line.py RINGTAP-WITH-TOY"""

import os
import socket
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
# pylint: disable=wrong-import-position
from program import WAIT, Ringtap, run, wait_for  # noqa: E402
import tap  # noqa: E402

BINARY = os.path.abspath(sys.argv[1])
NONE = ('-machine', 'none', '-nodefaults')
LISTEN = ('-chardev', 'socket,id=c0,path=@DIR@/c0,server=on,wait=off')
LINE = ('-device', 'toy-line,id=line0,chardev=c0')


def lines(*args, **kwargs):
    return Ringtap(BINARY, *NONE, *args, **kwargs)


def refused(*args):
    status, _, err = run(BINARY, *NONE, *args)
    assert status == 1, err
    return err


def call(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(WAIT)
    wait_for(lambda: try_connect(s, path), path)
    return s


def try_connect(s, path):
    try:
        s.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def echoes(s):
    s.sendall(b'hello')
    return s.recv(100) == b'hello'


def listener(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(WAIT)
    s.bind(path)
    s.listen(1)
    return s


def test_help_has_no_bus():
    out = run(BINARY, '-device', 'help')[1]
    assert '\nname "toy-line", desc "a line that echoes"\n' in out, out


def test_errors():
    assert "Parameter 'chardev' is missing" in refused('-device', 'toy-line')
    assert "Property 'toy-line.chardev' can't find value 'x'" in \
        refused('-device', 'toy-line,chardev=x')
    assert "Device 'toy-line' can't go on toybox bus" in \
        refused('-device', 'toy-line,chardev=x,bus=toybox.0')
    assert "Bus 'pci.0' not found" in refused('-device', 'toy-line,chardev=x,bus=pci.0')


def test_needs_no_xen():
    """Not even an emulated one, unless something asks for it."""
    with Ringtap(BINARY, *LISTEN, *LINE) as r:
        q = r.qmp()
        assert q.error('device_add', driver='xen-net-device', netdev='n') == \
            "No 'xen' bus found for device 'xen-net-device'"
        assert r.end() == (0, '')
    emulated = 'so it is emulated'
    for more in (('-machine', 'xenpv'), ('-xen-domid', '3'), ('-xen-attach',)):
        with Ringtap(BINARY, *LISTEN, *LINE, *more) as r:
            q = r.qmp()
            assert "can't find value 'n'" in q.error('device_add', driver='xen-net-device',
                                                     netdev='n'), more
            assert os.path.exists('/dev/xen/evtchn') or emulated in r.end()[1]
    for device in ('{"driver":"xen-netfront","netdev":"n"}', 'xen-netfront,netdev=n'):
        status, _, err = run(BINARY, '-device', 'toy,spring=spring0', '-device', device)
        assert status == 1 and "can't find value 'n'" in err, err


def test_one_user():
    with lines(*LISTEN, *LINE) as r:
        q = r.qmp()
        assert q.error('device_add', driver='toy-line', chardev='c0') == \
            "Property 'toy-line.chardev' can't take value 'c0', it's in use"
        assert q.error('device_add', driver='toy-line', chardev='compat_monitor0') == \
            "Property 'toy-line.chardev' can't take value 'compat_monitor0', it's in use"
        with call(f'{r.dir}/c0') as s:
            assert echoes(s)
        assert r.end() == (0, "ringtap: info: line0: connected, 1 queue\n"
                              "ringtap: info: line0: disconnected\n")


def test_one_guest_at_a_time():
    with lines(*LISTEN, *LINE) as r:
        q = r.qmp()
        a = call(f'{r.dir}/c0')
        assert q.event('DEVICE_CONNECTED')['data'] == {'device': 'line0', 'queues': 1}
        assert echoes(a)
        b = call(f'{r.dir}/c0')
        b.sendall(b'x')
        assert echoes(a)  # the main loop had the time to take the other one, too
        (device,) = q.command('query-devices')
        assert device['state'] == 'connected' and len(device['queues']) == 1
        assert device['queues'][0]['groups'][2]['counters'] == [{'name': 'calls', 'value': 1}]
        a.close()
        assert q.event('DEVICE_DISCONNECTED')['data'] == {'device': 'line0'}
        q.event('DEVICE_CONNECTED')
        assert b.recv(1) == b'x'
        assert r.end()[0] == 0
        assert b.recv(1) == b''


def test_query_has_no_bus():
    with lines(*LISTEN, *LINE) as r:
        q = r.qmp()
        (device,) = q.command('query-devices')
        assert device == {'id': 'line0', 'class': 'toy-line', 'state': 'waiting', 'max-queues': 1,
                          'queues': []}
        (line,) = [c for c in q.command('query-device-classes') if c['name'] == 'toy-line']
        assert 'bus' not in line


def test_chardev_outlives_its_device():
    with lines(*LISTEN, *LINE) as r:
        q = r.qmp()
        a = call(f'{r.dir}/c0')
        assert echoes(a)
        q.command('device_del', id='line0')
        assert q.event('DEVICE_DELETED')['data']['device'] == 'line0'
        assert a.recv(1) == b''
        b = call(f'{r.dir}/c0')  # there is nobody to take it
        b.sendall(b'y')
        assert q.command('query-devices') == []
        q.command('device_add', driver='toy-line', id='line1', chardev='c0')
        assert q.event('DEVICE_CONNECTED')['data']['device'] == 'line0'  # the one before
        assert q.event('DEVICE_CONNECTED')['data']['device'] == 'line1'
        assert b.recv(1) == b'y'


def test_hotplug():
    with lines() as r:
        q = r.qmp()
        for _ in range(2):
            q.command('chardev-add', id='c0', backend={'type': 'socket', 'data': {
                'addr': {'type': 'unix', 'data': {'path': f'{r.dir}/c0'}}, 'wait': False}})
            q.command('device_add', driver='toy-line', id='line0', chardev='c0')
            with call(f'{r.dir}/c0') as a:
                assert echoes(a)
                assert q.error('chardev-remove', id='c0') == "Chardev 'c0' is busy"
                q.command('device_del', id='line0')
                q.event('DEVICE_DELETED')
                q.command('chardev-remove', id='c0')
                assert not os.path.exists(f'{r.dir}/c0')
                assert a.recv(1) == b''


def test_what_is_waited_for_is_not_removed():
    with lines('-chardev', 'socket,id=c0,path=@DIR@/c0,server=on', *LINE) as r:
        q = r.qmp()
        assert 'waiting for connection on' in r.process.stderr.readline()
        assert q.error('chardev-remove', id='c0') == "Chardev 'c0' is busy"
        with call(f'{r.dir}/c0') as a:
            assert echoes(a)
        assert r.end()[0] == 0


def test_chardev_of_nobody_can_be_removed_after_the_start():
    with lines('-chardev', 'socket,id=c0,path=@DIR@/c0,server=on') as r:
        q = r.qmp()
        with call(f'{r.dir}/c0') as a:
            wait_for(lambda: q.command('query-status')['status'] == 'running', 'the start')
            q.command('chardev-remove', id='c0')
            assert a.recv(1) == b''


def test_start_waits_for_the_first_guest():
    with lines('-chardev', 'socket,id=c0,path=@DIR@/c0,server=on', *LINE, '-pidfile', '@DIR@/pid',
               qmp=False) as r:
        assert r.process.stderr.readline() == \
            f'ringtap: info: waiting for connection on: unix:{r.dir}/c0,server=on\n'
        a = call(f'{r.dir}/c0')
        assert echoes(a)
        a.close()
        b = call(f'{r.dir}/c0')
        assert echoes(b)
        assert r.end()[0] == 0
        assert os.listdir(r.dir) == []


def test_first_guest_does_not_help_a_bad_device():
    with lines('-chardev', 'socket,id=c0,path=@DIR@/c0,server=on', '-device',
               'toy-line,chardev=c1', qmp=False) as r:
        a = call(f'{r.dir}/c0')
        status, err = r.end(None)
        assert status == 1 and "can't find value 'c1'" in err, err
        assert a.recv(1) == b''


def test_signal_while_it_waits():
    with lines('-chardev', 'socket,id=c0,path=@DIR@/c0,server=on', *LINE, qmp=False) as r:
        assert 'waiting for connection on' in r.process.stderr.readline()
        assert r.end() == (0, '')
        assert os.listdir(r.dir) == []


def test_each_is_waited_for():
    with lines('-chardev', 'socket,id=c0,path=@DIR@/c0,server=on', '-chardev',
               'socket,id=c1,path=@DIR@/c1,server=on', '-device', 'toy-line,chardev=c0', '-device',
               'toy-line,chardev=c1', qmp=False) as r:
        b = call(f'{r.dir}/c1')  # not its turn
        a = call(f'{r.dir}/c0')
        assert echoes(a) and echoes(b)
        status, err = r.end()
        assert status == 0 and err.count('waiting for connection on') == 2, err


def test_no_guest_before_cont():
    with lines('-S', *LISTEN, *LINE) as r:
        q = r.qmp()
        a = call(f'{r.dir}/c0')
        assert q.command('query-devices')[0]['state'] == 'waiting'
        q.command('cont')
        assert q.event('DEVICE_CONNECTED')['data']['device'] == 'line0'
        assert echoes(a)


def test_connects():
    with lines('-chardev', 'socket,id=c0,path=@DIR@/c0,reconnect-ms=20', *LINE, qmp=False) as r:
        assert "Unable to connect character device c0: Failed to connect to '" in \
            r.process.stderr.readline()
        with listener(f'{r.dir}/c0') as server:
            for _ in range(3):
                s = server.accept()[0]
                s.settimeout(WAIT)
                assert echoes(s)
                s.close()
        assert r.end()[0] == 0


def test_inherits():
    ours, theirs = socket.socketpair()
    ours.settimeout(WAIT)
    fd = theirs.fileno()
    with lines('-chardev', f'socket,id=c0,fd={fd}', *LINE, pass_fds=[fd]) as r:
        theirs.close()
        q = r.qmp()
        assert echoes(ours)
        ours.close()
        q.event('DEVICE_DISCONNECTED')
        assert q.command('query-devices')[0]['state'] == 'waiting'
        assert r.end()[0] == 0


def test_inherits_a_listener():
    with lines(*NONE, qmp=False) as r, listener(f'{r.dir}/l') as server:
        fd = server.fileno()
        with lines('-chardev', f'socket,id=c0,fd={fd},server=on,wait=off', *LINE, qmp=False,
                   pass_fds=[fd]) as other:
            with call(f'{r.dir}/l') as s:
                assert echoes(s)
            assert other.end()[0] == 0


def test_ringtap_top_shows_packets():
    """Of any device that counts them, whatever else it counts."""
    with lines(*LISTEN, *LINE, '-qmp', 'unix:@DIR@/top,server=on,wait=off') as r:
        a = call(f'{r.dir}/c0')
        assert echoes(a)
        out = subprocess.run([TOP / 'scripts' / 'ringtap-top', '-i', '0.1', '-n', '1',
                              f'{r.dir}/top'], stdout=subprocess.PIPE, text=True,
                             check=True).stdout
    assert 'line0: toy-line, connected, 1 queue(s)' in out, out
    assert 'queue | packets/s Gbit/s p/bat e/pkt drops' in out, out


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
