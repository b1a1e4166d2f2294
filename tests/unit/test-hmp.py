#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the human monitor does through QMP, and the guest as a whole. Usage: test-hmp.py RINGTAP"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap
import qemu
import tap

BINARY = os.path.abspath(sys.argv[1])
UUID = 'b8e1d2c4-5a6f-4b7c-8d9e-0f1a2b3c4d5e'


def none(*args):
    return Ringtap(BINARY, '-machine', 'none', *args)


def hmp(q, line):
    return q.command('human-monitor-command', command_line=line)


# --- the guest

def test_reset():
    for machine in ('none', 'pc', 'virt'):
        with Ringtap(BINARY, '-machine', machine) as r:
            q = r.qmp()
            for line in ('system_reset', None):
                assert (hmp(q, line) == '') if line else (q.command('system_reset') == {})
                assert [e['data'] for e in q.events] == [
                    {'guest': False, 'reason': 'host-qmp-system-reset'}], 'before the reply'
                assert q.events.pop()['event'] == 'RESET'
            assert q.command('query-status')['status'] == 'running'


def test_reset_that_ends_the_program():
    with none('-no-reboot') as r:
        q = r.qmp()
        q.command('system_reset')
        assert [(e['event'], e['data']) for e in q.events] == [
            ('SHUTDOWN', {'guest': False, 'reason': 'host-qmp-system-reset'})]
        assert r.end(None) == (0, '')


def test_powerdown():
    with none() as r:
        q = r.qmp()
        q.command('system_powerdown')
        assert hmp(q, 'system_powerdown') == ''
        assert [e['event'] for e in q.events] == ['POWERDOWN'] * 2
        assert q.command('query-status')['status'] == 'running'


def test_uuid():
    with none() as r:
        q = r.qmp()
        assert q.command('query-uuid') == {'UUID': '00000000-0000-0000-0000-000000000000'}
    with none('-uuid', UUID.upper()) as r:
        q = r.qmp()
        assert q.command('query-uuid') == {'UUID': UUID}
        assert hmp(q, 'info uuid') == UUID + '\r\n'


def test_processors():
    with none() as r:
        q = r.qmp()
        models = q.command('query-cpu-definitions')
        assert [m['name'] for m in models] == ['max'] and models[0]['unavailable-features'] == []
        assert q.command('query-current-machine') == {'wakeup-suspend-support': False}
        q.command('send-key', keys=[{'type': 'qcode', 'data': 'a'}])
        assert q.error('send-key') == "Parameter 'keys' is missing"


# --- actions

def test_devices():
    with none() as r:
        q = r.qmp()
        assert hmp(q, ' device_add\tusb-tablet,id=t0 ') != '', 'blanks belong to the value'
        assert hmp(q, 'device_add usb-tablet,id=t0') == ''
        assert [d['id'] for d in q.command('query-devices')] == ['t0']
        assert hmp(q, 'device_del /machine/peripheral/t0') == ''
        assert q.event('DEVICE_DELETED')['data']['device'] == 't0'
        assert hmp(q, 'object_add iothread,id=io0') == ''
        assert [i['id'] for i in q.command('query-iothreads')] == ['io0']
        assert hmp(q, 'object_del io0') == '' and q.command('query-iothreads') == []


def test_netdevs():
    with none() as r:
        q = r.qmp()
        path = os.path.join(r.dir, 'sock')
        assert hmp(q, f'netdev_add stream,id=n0,server=on,addr.type=unix,addr.path={path}') == ''
        assert hmp(q, 'info network').startswith('n0: index=0,type=stream,')
        assert hmp(q, 'set_link n0 off') == '' and hmp(q, 'set_link n0 on') == ''
        assert hmp(q, 'netdev_del n0') == '' and hmp(q, 'info network') == ''


def test_states():
    with none() as r:
        q = r.qmp()
        for line, event in (('stop', 'STOP'), ('c', 'RESUME'), ('s', 'STOP'), ('cont', 'RESUME')):
            assert hmp(q, line) == ''
            q.event(event)
        assert hmp(q, 'q') == ''
        assert r.end(None) == (0, '')


def test_announcements():
    with none() as r:
        q = r.qmp()
        for missing in ('initial', 'max', 'rounds', 'step'):
            args = dict.fromkeys({'initial', 'max', 'rounds', 'step'} - {missing}, 1)
            assert q.error('announce-self', **args) == f"Parameter '{missing}' is missing"
        args = {'initial': 1, 'max': 1, 'rounds': 1, 'step': 1}
        assert q.error('announce-self', **{**args, 'initial': 'x'}) == \
            "Invalid parameter type for 'initial', expected: integer"
        assert q.error('announce-self', **{**args, 'rounds': -1}) == \
            "Parameter 'rounds' expects a non-negative number"
        assert q.error('announce-self', **args, interfaces=[1]).startswith('Invalid parameter')
        extreme = 2**63 - 1
        for delays in ((extreme, extreme, extreme), (-extreme, 1, -extreme), (1, -extreme, 1)):
            values = dict(zip(('initial', 'max', 'step'), delays))
            q.command('announce-self', **values, rounds=9, id=str(delays))
            q.command('announce-self', **values, rounds=0, id=str(delays))
        hmp(q, 'announce_self x,y a')
        q.command('announce-self', **{**args, 'rounds': extreme}) # still there at the end


# each is said to both, in one conversation
LINES = '''announce_self
announce_self a,b
announce_self a b
announce_self a b c
help announce_self
stop now
cont x
quit now
set_link
set_link nope
set_link nope bla
set_link nope on
set_link nope on now
device_add
device_add nope
device_add id=x
device_del
device_del nope
device_del a b
netdev_add
netdev_add user
netdev_add id=x
netdev_add foo,id=x
netdev_add tap,id=x,fd=x
netdev_add tap,id=x,nope=1
netdev_del
netdev_del nope
object_add
object_add nope,id=x
object_add iothread
object_add iothread,id=9
object_del
object_del nope
system_reset now
system_powerdown now
help stop
help s
help cont
help quit
help set_link
help device_add
help device_del
help netdev_del
help object_add
help object_del
help system_reset
help system_powerdown
help nope
help info name
help info nope
info nope
info name x
nope'''.split('\n')


def test_as_qemu():
    ours, theirs = qemu.conversations(BINARY, lambda q: [hmp(q, line) for line in LINES])
    for line, one, other in zip(LINES, ours, theirs):
        assert one == other, (line, one, other)


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
