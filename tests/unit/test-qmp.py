#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""QMP conversations with the real program. Usage: test-qmp.py RINGTAP"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import Qmp, Ringtap, run, wait_for
import tap

BINARY = os.path.abspath(sys.argv[1])
NONE = ('-machine', 'none', '-nodefaults')
CLONE_NEWNET = 0x40000000


def none(*args):
    return Ringtap(BINARY, *NONE, *args)


def host(*args):
    """With an emulated Xen, for devices."""
    return Ringtap(BINARY, '-accel', 'xenemu,socket=@DIR@/xen', '-xen-domid', '5', *args)


def need_tap():
    if not os.access('/dev/net/tun', os.R_OK | os.W_OK):
        raise tap.Skip('no /dev/net/tun')
    if not need_tap.have:
        raise tap.Skip('no right to make a network namespace')


need_tap.have = os.geteuid() == 0 and ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0
TAP = 'tap,script=no,downscript=no'
VIF = {'driver': 'xen-net-device', 'id': 'vif0', 'netdev': 'n0', 'mac': '00:16:3e:00:00:01'}


def interfaces():
    return sorted(name for _, name in socket.if_nameindex())


# --- protocol

def test_greeting():
    with none() as r:
        q = r.qmp(negotiate=False)
        version = q.greeting['QMP']['version']
        assert version['qemu'] == {'major': 10, 'minor': 0, 'micro': 0}
        assert version['package'].startswith('ringtap ')
        assert q.greeting['QMP']['capabilities'] == []


def test_negotiation():
    with none() as r:
        q = r.qmp(negotiate=False)
        assert q.execute('query-status') == {'error': {
            'class': 'CommandNotFound',
            'desc': "Expecting capabilities negotiation with 'qmp_capabilities'"}}
        for enable, desc in (
                (['oob'], 'Capability oob not available'),
                (['x'], "Parameter 'enable[0]' does not accept value 'x'"),
                ([1], "Invalid parameter type for 'enable[0]', expected: string"),
                ('oob', "Invalid parameter type for 'enable', expected: array")):
            assert q.error('qmp_capabilities', enable=enable) == desc
        assert q.execute('qmp_capabilities', enable=[]) == {'return': {}}
        assert q.execute('qmp_capabilities') == {'error': {
            'class': 'CommandNotFound',
            'desc': 'Capabilities negotiation is already complete, command ignored'}}


def test_no_events_before_negotiation():
    with none() as r:
        silent, q = r.qmp(negotiate=False), None
        silent.send('{"execute":"query-status"}\n')
        assert 'error' in silent.reply()
        assert silent.events == []
        silent.close()
        q = r.qmp()
        q.command('stop')
        assert [e['event'] for e in q.events] == ['STOP']


def test_id_is_echoed():
    with none() as r:
        q = r.qmp()
        for value in (1, 'x', [1, {'a': None}], {'b': 1.5}, True):
            q.send(json.dumps({'execute': 'query-kvm', 'id': value}))
            assert q.reply()['id'] == value
        q.send('{"execute":"foo","id":7}')
        assert q.reply() == {'error': {'class': 'CommandNotFound',
                                       'desc': 'The command foo has not been found'}, 'id': 7}


def test_bad_input():
    with none() as r:
        q = r.qmp()
        for text, desc in (
                ('{bad}', "JSON parse error, invalid keyword 'bad'"),
                ('[1]', 'QMP input must be a JSON object'),
                ('1', 'QMP input must be a JSON object'),
                ('{"exec":1}', "QMP input member 'exec' is unexpected"),
                ('{}', "QMP input lacks member 'execute'"),
                ('{"execute":1}', "QMP input member 'execute' must be a string"),
                ('{"execute":"stop","arguments":1}',
                 "QMP input member 'arguments' must be an object"),
                ('{"execute":"stop","arguments":{"x":1}}', "Parameter 'x' is unexpected"),
                ('{"exec-oob":"stop"}', "QMP input member 'exec-oob' is unexpected")):
            q.send(text + '\n')
            assert q.reply()['error'] == {'class': 'GenericError', 'desc': desc}, text
        assert q.command('query-status')['running']


def test_bytes_that_are_no_json():
    with none() as r:
        q = r.qmp()
        for data in (b'\0', b'\0\0{"execute":\n', b'{"a":"\xc3\x28"}\n', b'}\n', b'\x80\n'):
            q.send(data + b'\n')
            assert 'error' in q.reply(), data
            q.send(b'\xff')  # the way to resynchronise, itself an error
        while True:
            q.send('{"execute":"query-status","id":"sync"}\n')
            reply = q.reply()
            if reply.get('id') == 'sync':
                break
        assert reply['return']['running']


def test_newline_that_is_the_bad_byte():
    """Alone in its read: what follows is the next line, and is not skipped."""
    with none() as r:
        q = r.qmp()
        for text, end in (('{"execute": tru', '}\n'), ('{"execute": "\\u12', '\n')):
            q.send(text)
            time.sleep(0.1)
            q.send(end)
            assert q.reply()['error']['class'] == 'GenericError'
            assert q.command('query-status')['running']


def test_nesting_is_bounded():
    with none() as r:
        q = r.qmp()
        q.send('[' * 1025)
        assert q.reply()['error']['desc'] == 'JSON nesting depth limit exceeded'
        q.send('\xff'.encode('latin-1'))
        assert 'stray' in q.reply()['error']['desc']
        assert q.command('query-status')['running']


def test_length_is_bounded():
    with none() as r:
        q = r.qmp()
        for i in range(40):
            q.send('{"a":"' if i == 0 else 'x' * 65536)
        assert q.reply()['error']['desc'] == 'JSON token size limit exceeded'
        q.send('\n')  # the rest was skipped
        assert q.command('query-status')['running']


def test_split_input():
    with none() as r:
        q = r.qmp()
        for byte in '{"execute": "query-name", "id": "\u00e4"}'.encode():
            q.send(bytes([byte]))
            time.sleep(0.001)
        assert q.reply() == {'return': {}, 'id': '\u00e4'}


def test_commands_in_one_piece():
    with none() as r:
        q = r.qmp()
        q.send('{"execute":"query-kvm","id":1}{"execute":"query-kvm","id":2}\n'
               "{'execute':'query-kvm','id':3}\r\n\r\n")
        assert [q.reply()['id'] for _ in range(3)] == [1, 2, 3]


def test_client_that_does_not_read():
    with none() as r:
        q = r.qmp()
        q.sock.settimeout(0.2)
        try:
            for _ in range(10000):
                q.send('{"execute":"query-commands"}\n' * 10)
        except (TimeoutError, BrokenPipeError):
            pass
        with open(f'/proc/{r.process.pid}/statm', encoding='ascii') as f:
            assert int(f.read().split()[1]) < 100000  # pages
        q.close()
        assert r.qmp().command('query-status')['running']


def test_long_answers_to_commands_in_one_piece():
    """Some megabytes, asked for at once: no reason to drop a client that reads them."""
    with none('-name', 'x' * 60000) as r:
        q = r.qmp()
        q.send('{"execute":"query-name"}' * 160)
        time.sleep(0.3)
        for _ in range(160):
            assert len(q.reply()['return']['name']) == 60000
        assert q.command('query-status')['running']
        assert r.end() == (0, '')


def test_descriptor_behind_long_answers():
    """It waits with its command."""
    with none('-name', 'x' * 60000) as r:
        q = r.qmp()
        a, b = os.pipe()
        q.send('{"execute":"query-name"}' * 100 +
               '{"execute":"getfd","arguments":{"fdname":"x"}}', fds=[a])
        os.close(a)
        os.close(b)
        for _ in range(100):
            assert 'return' in q.reply()
        assert q.reply() == {'return': {}}
        assert r.end() == (0, '')


def test_reconnect():
    with none() as r:
        for _ in range(3):
            q = r.qmp()
            assert q.command('query-status')['running']
            q.close()


def test_two_monitors():
    with none('-chardev', 'socket,id=c1,path=@DIR@/q1,server=on,wait=off', '-mon',
              'chardev=c1,mode=control') as r:
        a, b = r.qmp(), Qmp(f'{r.dir}/q1')
        a.command('stop')
        assert b.event('STOP')
        assert b.command('query-status')['status'] == 'paused'
        b.command('cont')
        assert a.event('RESUME')
        assert {c['label'] for c in a.command('query-chardev')} == {'c1', 'compat_monitor0'}


# --- chardevs

def unix_socket(path, **data):
    return {'type': 'socket', 'data': {'addr': {'type': 'unix', 'data': {'path': path}}, **data}}


def fd_socket(name, **data):
    return {'type': 'socket', 'data': {'addr': {'type': 'fd', 'data': {'str': name}}, **data}}


def chardevs(q):
    return {c['label']: (c['filename'], c['frontend-open']) for c in q.command('query-chardev')}


def test_chardev_add_and_remove():
    with none() as r:
        q = r.qmp()
        qmp = {'compat_monitor0': (f'unix:{r.qmp_path},server=on', True)}
        assert chardevs(q) == qmp
        q.command('chardev-add', id='c0', backend=unix_socket(f'{r.dir}/c0'))
        assert chardevs(q) == {**qmp, 'c0': (f'disconnected:unix:{r.dir}/c0,server=on', False)}
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f'{r.dir}/c0')
        assert q.command('chardev-remove', id='c0') == {}
        assert chardevs(q) == qmp
        assert os.listdir(r.dir) == ['qmp']
        # again, and what is left goes at the end
        for _ in range(2):
            q.command('chardev-add', id='c0', backend=unix_socket(f'{r.dir}/c0', wait=True))
            q.command('chardev-remove', id='c0')
        q.command('chardev-add', id='c0', backend=unix_socket(f'{r.dir}/c0'))
        assert r.end() == (0, '')
        assert os.listdir(r.dir) == []


def test_chardev_add_of_one_that_connects():
    with none() as r:
        q = r.qmp()
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f'{r.dir}/s')
            server.listen(1)
            q.command('chardev-add', id='c0', backend=unix_socket(f'{r.dir}/s', server=False))
            client = server.accept()[0]
            assert chardevs(q)['c0'] == (f'unix:{r.dir}/s', False)
            q.command('chardev-remove', id='c0')
            assert client.recv(1) == b''
            client.close()
        os.unlink(f'{r.dir}/s')
        # nobody is there
        for what in ({'reconnect': 100}, {'reconnect-ms': 100000}):
            q.command('chardev-add', id='c1',
                      backend=unix_socket(f'{r.dir}/s', server=False, **what))
            assert chardevs(q)['c1'] == (f'disconnected:unix:{r.dir}/s', False)
            q.command('chardev-remove', id='c1')


def test_chardev_add_does_not_wait():
    """Neither for a client nor for a server that is behind with its clients."""
    with none() as r, socket.socket(socket.AF_UNIX) as server, \
         socket.socket(socket.AF_UNIX) as first:
        q = r.qmp()
        q.command('chardev-add', id='c0', backend=unix_socket(f'{r.dir}/c0', wait=True))
        server.bind(f'{r.dir}/s')
        server.listen(0)
        first.connect(f'{r.dir}/s')
        assert q.error('chardev-add', id='c1',
                       backend=unix_socket(f'{r.dir}/s', server=False)) == \
            f"Failed to add chardev 'c1': Failed to connect to '{r.dir}/s': " \
            'Resource temporarily unavailable'


def test_chardev_add_of_a_descriptor():
    with none() as r, socket.socket(socket.AF_UNIX) as listener:
        q = r.qmp()
        descriptors = f'/proc/{r.process.pid}/fd'
        before = len(os.listdir(descriptors))
        ours, theirs = socket.socketpair()
        listener.bind(f'{r.dir}/l')
        q.command('getfd', [theirs.fileno()], fdname='a')
        q.command('getfd', [listener.fileno()], fdname='b')
        theirs.close()
        q.command('chardev-add', id='c0', backend=fd_socket('a', server=False))
        assert chardevs(q)['c0'][0].startswith('fd:')
        q.command('chardev-add', id='c1', backend=fd_socket('b'))
        assert len(os.listdir(descriptors)) == before + 2
        for name in ('a', '7'):
            assert q.error('chardev-add', id='c2', backend=fd_socket(name)) == \
                f"Failed to add chardev 'c2': File descriptor named '{name}' has not been found"
        q.command('chardev-remove', id='c0')
        q.command('chardev-remove', id='c1')
        assert ours.recv(1) == b''
        with open('/dev/null', encoding='ascii') as null:
            q.command('getfd', [null.fileno()], fdname='a')
        assert q.error('chardev-add', id='c0', backend=fd_socket('a')).endswith('is not a socket')
        assert len(os.listdir(descriptors)) == before


def test_chardevs_are_limited():
    with none('-D', '@DIR@/log') as r:
        q = r.qmp()
        backend = unix_socket('/nonexistent/x', server=False, reconnect=1000)
        for i in range(1023):
            q.command('chardev-add', id=f'c{i}', backend=backend)
        assert q.error('chardev-add', id='c', backend=backend) == \
            "Failed to add chardev 'c': there are 1024 chardevs already"
        q.command('chardev-remove', id='c0')
        q.command('chardev-add', id='c', backend=backend)


def test_chardev_errors():
    """In QEMU's words."""
    with none() as r:
        q = r.qmp()
        q.command('chardev-add', id='c0', backend=unix_socket(f'{r.dir}/c0'))
        for backend, desc in (
                (unix_socket('/x', reconnect=0),
                 "'reconnect' option is incompatible with socket in server listen mode"),
                (unix_socket('/x', server=False, wait=False),
                 "'wait' option is incompatible with socket in client connect mode"),
                (unix_socket('/x', server=False, reconnect=1, **{'reconnect-ms': 1}),
                 "'reconnect' and 'reconnect-ms' are mutually exclusive"),
                (unix_socket('/nonexistent/x', server=False),
                 "Failed to connect to '/nonexistent/x': No such file or directory"),
                (unix_socket('/nonexistent/x'),
                 'Failed to bind socket to /nonexistent/x: No such file or directory'),
                (unix_socket(''), 'path= must not be empty')):
            assert q.error('chardev-add', id='c1', backend=backend) == \
                f"Failed to add chardev 'c1': {desc}"
        for arguments, desc in (
                ({'id': 'c0', 'backend': unix_socket('/x')}, "Chardev with id 'c0' already exists"),
                ({'id': 'c1'}, "Parameter 'backend' is missing"),
                ({'id': 'c1', 'backend': {}}, "Parameter 'backend.type' is missing"),
                ({'id': 'c1', 'backend': {'type': 'socket'}},
                 "Parameter 'backend.data' is missing"),
                ({'id': 'c1', 'backend': {'type': 'socket', 'data': {}}},
                 "Parameter 'backend.data.addr' is missing"),
                ({'id': 'c1', 'backend': {'type': 'socket', 'data': {'addr': {'type': 'unix'}}}},
                 "Parameter 'backend.data.addr.data' is missing"),
                ({'id': 'c1', 'backend': 5}, "Invalid parameter type for 'backend', expected: "
                 'object'),
                ({'backend': unix_socket('/x')}, "Parameter 'id' is missing"),
                ({'id': '1', 'backend': unix_socket('/x')},
                 "Parameter 'id' expects an identifier")):
            assert q.error('chardev-add', **arguments) == desc, arguments
        assert q.error('chardev-remove', id='c9') == "Chardev 'c9' not found"
        assert q.error('chardev-remove', id='compat_monitor0') == \
            "Chardev 'compat_monitor0' is busy"


# --- commands

def test_queries():
    with none('-name', 'x') as r:
        q = r.qmp()
        names = {c['name'] for c in q.command('query-commands')}
        assert {'qmp_capabilities', 'query-vif', 'device_add', 'getfd'} <= names
        assert q.command('query-name') == {'name': 'x'}
        assert q.command('query-target')['arch'] in ('x86_64', 'aarch64')
        assert q.command('query-kvm') == {'enabled': False, 'present': False}
        assert q.command('query-vif') == []
        assert q.command('query-machines')[0] == {
            'name': 'xenpv', 'is-default': True, 'cpu-max': 1, 'hotpluggable-cpus': False,
            'numa-mem-supported': False, 'deprecated': False, 'acpi': False}
        machines = {m['name']: m for m in q.command('query-machines')}
        assert machines['pc-i440fx-10.0']['alias'] == 'pc'
        assert machines['virt-10.0']['alias'] == 'virt'
        assert q.command('qom-list', path='/machine/peripheral') == [
            {'name': 'type', 'type': 'string'}]
        assert q.command('human-monitor-command', command_line='info status') == \
            'VM status: running\r\n'
        assert q.command('human-monitor-command', command_line='x' * 63 + '\u00e4') == \
            f"unknown command: '{'x' * 63}'\r\n"


def hmp(q, line):
    return q.command('human-monitor-command', command_line=line)


def test_human_monitor():
    """As QEMU 7.2, apart from how much there is."""
    with none('-name', 'x') as r:
        q = r.qmp()
        for line in ('', ' ', '\t\r\n'):
            assert hmp(q, line) == ''
        for line in ('info name', 'info  name', ' info name ', 'info\tname'):
            assert hmp(q, line) == 'x\r\n', line
        name = 'info name  -- show the current VM name\r\n'
        infos = hmp(q, 'info')
        assert name in infos
        assert all(line.startswith('info ') for line in infos.splitlines())
        for line in ('help info', '? info'):
            assert hmp(q, line) == infos
        for info in ('network', 'status', 'version'):
            assert hmp(q, f'info {info}') != '' or info == 'network'
            assert f'info {info}  -- ' in infos
        assert hmp(q, 'help info name') == name
        assert 'info [subcommand]' in hmp(q, 'help') and 'help|?' in hmp(q, '?')
        for line, word in (('nosuch x', 'nosuch'), ('inf name', 'inf'), ('help nosuch', 'nosuch'),
                           ('info nosuch', 'info nosuch')):
            assert hmp(q, line) == f"unknown command: '{word}'\r\n"
        assert hmp(q, 'info name x') == \
            'name: extraneous characters at the end of line\r\n' \
            'Try "help info name" for more information\r\n'


def test_stop_and_cont():
    with none() as r:
        q = r.qmp()
        q.command('stop')
        assert [e['event'] for e in q.events] == ['STOP']
        q.command('stop')
        assert len(q.events) == 1
        assert q.command('query-status') == {'status': 'paused', 'running': False}
        q.command('cont')
        assert [e['event'] for e in q.events] == ['STOP', 'RESUME']


def test_prelaunch():
    with none('-S') as r:
        q = r.qmp()
        assert q.command('query-status')['status'] == 'prelaunch'
        q.command('cont')
        assert q.command('query-status')['status'] == 'running'


def test_quit():
    with none() as r:
        q = r.qmp()
        assert q.command('quit') == {}
        (event,) = q.events
        assert event['data'] == {'guest': False, 'reason': 'host-qmp-quit'}
        assert r.end(None) == (0, '')


def test_objects():
    with none('-object', 'iothread,id=io0,poll-max-ns=5') as r:
        q = r.qmp()
        q.send('{"execute":"object-add","arguments":{"qom-type":"iothread","id":"io1"}}\n')
        assert q.reply() == {'return': {}}
        threads = q.command('query-iothreads')
        assert [(t['id'], t['poll-max-ns']) for t in threads] == [('io0', 5), ('io1', 32768)]
        assert all(os.path.exists(f"/proc/{r.process.pid}/task/{t['thread-id']}")
                   for t in threads)
        assert q.error('object-add', qom_type='iothread', id='io1') == \
            "attempt to add duplicate property 'io1' to object (type 'container')"
        assert q.error('object-add', qom_type='nosuch', id='io2') == \
            "Parameter 'qom-type' does not accept value 'nosuch'"
        assert q.error('object-add', qom_type='iothread') == "Parameter 'id' is missing"
        q.command('object-del', id='io1')
        assert q.error('object-del', id='io1') == "object 'io1' not found"
        assert len(q.command('query-iothreads')) == 1


def test_errors_name_what_is_missing():
    with none() as r:
        q = r.qmp()
        for name, arguments, desc in (
                ('netdev_del', {'id': 'x'}, "Device 'x' not found"),
                ('device_del', {'id': 'x'}, "Device 'x' not found"),
                ('set_link', {'name': 'x', 'up': True}, "Device 'x' not found")):
            assert q.execute(name, **arguments)['error'] == {'class': 'DeviceNotFound',
                                                            'desc': desc}
        assert q.error('device_del') == "Parameter 'id' is missing"
        assert q.error('device_del', id='x', y=1) == "Parameter 'y' is unexpected"
        assert q.error('device_add', driver='x') == "'x' is not a valid device model name"
        assert q.error('netdev_add', type='x', id='a') == \
            "Parameter 'type' does not accept value 'x'"
        assert q.error('netdev_add', type='user', id='a') == \
            "network backend 'user' is not compiled into this binary"
        assert q.error('device_add', driver='xen-net-device', bus='x') == "Bus 'x' not found"
        assert q.error('set_link', name='x', up='on') == \
            "Invalid parameter type for 'up', expected: boolean"


def test_getfd():
    with none() as r:
        q = r.qmp()
        a, b = os.pipe()
        assert q.error('getfd', fdname='x') == 'No file descriptor supplied via SCM_RIGHTS'
        assert q.error('getfd', fds=[b], fdname='1x') == \
            "Parameter 'fdname' expects a name not starting with a digit"
        q.command('getfd', fds=[b], fdname='x')
        os.close(b)
        r2 = os.fdopen(a, 'rb')
        os.set_blocking(a, False)
        assert r2.read() is None  # the program holds the other end
        c, d = os.pipe()
        q.command('getfd', fds=[d], fdname='x')
        wait_for(lambda: r2.read() == b'', 'the replaced one to be closed')
        q.command('closefd', fdname='x')
        assert q.error('closefd', fdname='x') == "File descriptor named 'x' not found"
        os.close(c)
        os.close(d)
        r2.close()


def test_getfd_in_pieces():
    """The descriptor may come ahead of its command, as some clients send it."""
    with none() as r:
        q = r.qmp()
        a, b = os.pipe()
        for first, rest in ((' ', '{"execute":"getfd","arguments":{"fdname":"x"}}\n'),
                            ('{"execute":"getfd",', '"arguments":{"fdname":"x"}}\n')):
            q.send(first, fds=[a])
            time.sleep(0.05)
            q.send(rest)
            assert q.reply() == {'return': {}}
        os.close(a)
        os.close(b)


def test_named_fd_of_no_tap():
    with none() as r:
        q = r.qmp()
        a, b = os.pipe()
        q.command('getfd', fds=[a], fdname='f0')
        assert 'netdev' not in q.error('netdev_add', type='tap', id='n0', fd='f0')
        assert q.error('netdev_add', type='tap', id='n0', fd='f1') == \
            "File descriptor named 'f1' has not been found"
        os.close(a)
        os.close(b)


def test_too_many_fds_are_closed():
    with none() as r:
        q = r.qmp()
        a, b = os.pipe()
        for _ in range(40):
            q.command('query-kvm', fds=[b] * 10)
        assert len(os.listdir(f'/proc/{r.process.pid}/fd')) < 64
        assert q.error('getfd', fdname='x') == 'No file descriptor supplied via SCM_RIGHTS'
        os.close(a)
        os.close(b)


# --- devices

def test_hot_plug_and_unplug():
    need_tap()
    with host() as r:
        q = r.qmp()
        q.command('netdev_add', type='tap', id='n0', ifname='hot0', queues=2, script='no',
                  downscript='no')
        assert 'hot0' in interfaces()
        assert q.error('netdev_add', type='tap', id='n0') == "Duplicate ID 'n0'"
        q.command('device_add', **VIF)
        (vif,) = q.command('query-vif')
        assert (vif['id'], vif['type'], vif['mac'], vif['idx'], vif['frontend-id']) == \
            ('vif0', 'xen-net-device', '00:16:3e:00:00:01', 0, 5)
        assert vif['max-queues'] == 2 and vif['queues'] == [] and 'error' not in vif
        assert q.error('device_add', **VIF) == "Duplicate device ID 'vif0'"
        assert q.error('device_add', driver='xen-net-device', id='vif1', netdev='n0') == \
            "Property 'xen-net-device.netdev' can't take value 'n0', it's in use"
        q.command('netdev_add', type='tap', id='n1', script='no', downscript='no')
        assert q.error('device_add', driver='xen-net-device', id='vif1', netdev='n1', idx=0) == \
            "idx 0 is in use by device 'vif0'"
        q.command('netdev_del', id='n1')
        assert q.error('netdev_del', id='n0') == "netdev 'n0' is in use"
        assert q.command('qom-list', path='/machine/peripheral')[1:] == [
            {'name': 'vif0', 'type': 'child<xen-net-device>'}]
        assert q.command('human-monitor-command', command_line='info network').startswith(
            'vif0: index=0,type=nic,model=xen-net-device,macaddr=00:16:3e:00:00:01\r\n'
            ' \\ n0: index=0,type=tap,ifname=hot0')
        assert q.command('device_del', id='vif0') == {}
        assert q.event('DEVICE_DELETED')['data'] == {
            'device': 'vif0', 'path': '/machine/peripheral/vif0'}
        assert q.command('query-vif') == []
        q.command('netdev_del', id='n0')
        assert 'hot0' not in interfaces()
        assert r.end()[0] == 0


def test_failed_device_frees_its_netdev():
    need_tap()
    with host() as r:
        q = r.qmp()
        q.command('netdev_add', type='tap', id='n0', ifname='f0', script='no', downscript='no')
        assert q.error('device_add', **VIF, iothread='io9') == "Device 'io9' not found"
        q.command('device_add', **VIF)


def test_iothreads_in_use():
    need_tap()
    with host('-object', 'iothread,id=io0', '-object', 'iothread,id=io1', '-netdev',
              TAP + ',id=n0,ifname=u0,queues=4') as r:
        q = r.qmp()
        for mapping, desc in (
                ([{'iothread': 'x'}], 'IOThread "x" object does not exist'),
                ([{'iothread': 'io0'}, {'iothread': 'io0'}],
                 'duplicate IOThread name "io0" in iothread-vq-mapping'),
                ([{'iothread': 'io0', 'vqs': [0]}, {'iothread': 'io1'}],
                 'either all items in iothread-vq-mapping must have vqs or none of them must '
                 'have it'),
                ([{'iothread': 'io0', 'vqs': [4]}],
                 'vq index 4 for IOThread "io0" must be less than num_queues 4 in '
                 'iothread-vq-mapping'),
                ([{'iothread': 'io0', 'vqs': [0, 1]}, {'iothread': 'io1', 'vqs': [1]}],
                 'cannot assign vq 1 to IOThread "io1" because it is already assigned'),
                ([{'iothread': 'io0', 'vqs': [0, 1, 3]}],
                 'missing vq 2 IOThread assignment in iothread-vq-mapping')):
            message = dict(VIF, **{'iothread-vq-mapping': mapping})
            assert q.error('device_add', **message) == desc
        message = dict(VIF, iothread='io0', **{'iothread-vq-mapping': [{'iothread': 'io0'}]})
        assert q.error('device_add', **message) == \
            'iothread and iothread-vq-mapping properties cannot be set at the same time'
        message = dict(VIF, **{'iothread-vq-mapping': [{'iothread': 'io0'}]})
        q.command('device_add', **message)
        assert q.error('object-del', id='io0') == "object 'io0' is in use, can not be deleted"
        q.command('object-del', id='io1')
        q.command('device_del', id='vif0')
        q.event('DEVICE_DELETED')
        q.command('object-del', id='io0')


def test_options_in_any_order():
    need_tap()
    with host('-device', '{"driver":"xen-net-device","netdev":"n0","id":"vif0",'
              '"iothread-vq-mapping":[{"iothread":"io0"}]}', '-netdev',
              '{"type":"tap","id":"n0","ifname":"o0","script":"no","downscript":"no"}',
              '-object', '{"qom-type":"iothread","id":"io0"}') as r:
        assert r.qmp().command('query-vif')[0]['id'] == 'vif0'
        status, err = r.end()
        assert (status, err) == (0, '')
        assert 'o0' not in interfaces()


def test_device_without_an_id():
    need_tap()
    with host('-netdev', TAP + ',id=n0,ifname=a0', '-device', 'xen-net-device,netdev=n0') as r:
        q = r.qmp()
        (vif,) = q.command('query-vif')
        assert vif['id'].startswith('#')
        assert len(q.command('qom-list', path='/machine/peripheral')) == 1


def test_unused_netdev_is_mentioned():
    need_tap()
    with host('-netdev', TAP + ',id=n0,ifname=w0') as r:
        r.qmp().close()
        assert r.end() == (0, 'ringtap: warning: netdev n0 has no peer\n')


def test_failed_start_frees_the_tap():
    need_tap()
    with host('-netdev', TAP + ',id=n0,ifname=x0', '-device', 'foo') as r:
        assert r.end(None)[0] == 1
        assert 'x0' not in interfaces()


def test_scripts_of_a_daemon():
    """Relative names are those of the directory that it was started in."""
    need_tap()
    with tempfile.TemporaryDirectory() as d:
        for name, text in (('up', 'exit 0'), ('down', 'echo $1 > $0.out; exit 3')):
            with open(f'{d}/{name}', 'w', encoding='ascii') as f:
                f.write(f'#!/bin/sh\n{text}\n')
            os.chmod(f'{d}/{name}', 0o755)
        status, _, err = run(BINARY, *NONE, '-daemonize', '-pidfile', 'pid', '-D', 'log',
                             '-netdev', 'tap,id=n0,ifname=s0,script=./up,downscript=down', cwd=d)
        assert status == 0, err
        with open(f'{d}/pid', encoding='ascii') as f:
            os.kill(int(f.read()), signal.SIGTERM)
        wait_for(lambda: not os.path.exists(f'{d}/pid'), 'the end')
        with open(f'{d}/down.out', encoding='ascii') as f:
            assert f.read() == 's0\n'
        with open(f'{d}/log', encoding='ascii') as f:
            assert f'n0: network script {d}/down failed with status' in f.read()


def test_numbers_of_vifs():
    need_tap()
    with host('-netdev', TAP + ',id=n0,ifname=bk0') as back:
        q = back.qmp()
        assert 'idx must not be negative' in \
            q.error('device_add', driver='xen-net-device', netdev='n0', idx=-5)
        with Ringtap(BINARY, '-accel', f'xenemu,connect={back.dir}/xen,domid=5,ram=64M',
                     '-netdev', TAP + ',id=n0,ifname=fr0', '-netdev', TAP + ',id=n1,ifname=fr1',
                     '-device', 'xen-netfront,netdev=n0,id=front0') as front:
            p = front.qmp()
            assert p.error('device_add', driver='xen-netfront', netdev='n1') == \
                "idx 0 is in use by device 'front0'"
            p.command('device_add', driver='xen-netfront', netdev='n1', idx=1)


def test_vif_from_start_to_end():
    """Two processes: events, queues, counters, the end of either side."""
    need_tap()
    with host('-netdev', TAP + ',id=n0,ifname=bk0,queues=2', '-device',
              'xen-net-device,netdev=n0,id=vif0,mac=00:16:3e:00:00:01') as back:
        q = back.qmp()
        with Ringtap(BINARY, '-accel', f'xenemu,connect={back.dir}/xen,domid=5,ram=64M',
                     '-netdev', TAP + ',id=n0,ifname=fr0,queues=2', '-device',
                     'xen-netfront,netdev=n0,id=front0') as front:
            p = front.qmp()
            assert q.event('VIF_CONNECTED')['data'] == {'device': 'vif0', 'queues': 2}
            wait_for(lambda: p.command('query-vif')[0]['queues'], 'the front')
            (vif,) = q.command('query-vif')
            assert vif['state'] == 'connected' and len(vif['queues']) == 2
            assert [queue['queue'] for queue in vif['queues']] == [0, 1]
            assert set(vif['queues'][0]['tx']) == set(vif['queues'][0]['rx']) == {
                'packets', 'direct', 'bytes', 'slots', 'batches', 'events-sent', 'events-received',
                'drop-malformed', 'drop-grant', 'drop-peer', 'drop-full', 'drop-filter'}
            (vif,) = p.command('query-vif')
            assert vif['type'] == 'xen-netfront' and len(vif['queues']) == 2
            assert 'frontend-id' not in vif
            p.command('device_del', id='front0')
            assert p.event('DEVICE_DELETED')['data']['device'] == 'front0'
            assert q.event('VIF_DISCONNECTED')['data'] == {'device': 'vif0'}
            p.command('device_add', driver='xen-netfront', netdev='n0', id='front1')
            assert q.event('VIF_CONNECTED')['data']['queues'] == 2
            assert front.end()[0] == 0
        assert q.event('DEVICE_DELETED')['data']['device'] == 'vif0'
        assert back.end()[0] == 0
    assert {'bk0', 'fr0'}.isdisjoint(interfaces())


def test_events_of_a_restless_guest():
    """So many at once and a few a second; the last word is not lost."""
    need_tap()
    with host('-netdev', TAP + ',id=n0,ifname=bk0', '-device',
              'xen-net-device,netdev=n0,id=vif0') as back:
        q = back.qmp()
        with Ringtap(BINARY, '-accel', f'xenemu,connect={back.dir}/xen,domid=5,ram=64M',
                     '-netdev', TAP + ',id=n0,ifname=fr0') as front:
            p = front.qmp()
            start = time.monotonic()
            for i in range(30):
                p.command('device_add', driver='xen-netfront', netdev='n0', id=f'f{i}')
                wait_for(lambda: p.command('query-vif')[0]['queues'], 'the front')
                p.command('device_del', id=f'f{i}')
                p.event('DEVICE_DELETED')
            q.command('query-status')
            took = time.monotonic() - start
            assert {e['event'] for e in q.events} == {'VIF_CONNECTED', 'VIF_DISCONNECTED'}
            assert len(q.events) <= 10 + 2 * (took + 1), (len(q.events), took)
            q.events.clear()
            p.command('device_add', driver='xen-netfront', netdev='n0', id='last')
            q.event('VIF_CONNECTED')
            time.sleep(1.2)  # what else was held back is out by then
            q.command('query-status')
            assert all(e['event'] == 'VIF_CONNECTED' for e in q.events[1:]), q.events
            # nor when the device goes
            for i in range(8):
                p.command('device_del', id=f'x{i - 1}' if i else 'last')
                p.event('DEVICE_DELETED')
                p.command('device_add', driver='xen-netfront', netdev='n0', id=f'x{i}')
                wait_for(lambda: p.command('query-vif')[0]['queues'], 'the front')
            q.command('device_del', id='vif0')
            q.event('DEVICE_DELETED')
            assert [e['event'] for e in q.events][-1] == 'VIF_DISCONNECTED'


def carrier(name):
    out = subprocess.run(['ip', '-j', 'link', 'show', name], check=True, capture_output=True)
    return 'LOWER_UP' in json.loads(out.stdout)[0]['flags']


def test_stop_of_a_frontend():
    """What the frontend's tap was given waits there until cont."""
    need_tap()
    with host('-netdev', TAP + ',id=n0,ifname=bk0', '-device',
              'xen-net-device,netdev=n0,id=vif0') as back:
        back.qmp()  # it is ready
        with Ringtap(BINARY, '-accel', f'xenemu,connect={back.dir}/xen,domid=5,ram=64M',
                     '-netdev', TAP + ',id=n0,ifname=fr0', '-device',
                     'xen-netfront,netdev=n0,id=front0') as front:
            p = front.qmp()

            def sent():
                return p.command('query-vif')[0]['queues'][0]['tx']['packets']

            wait_for(lambda: p.command('query-vif')[0]['queues'], 'the front')
            p.command('stop')
            before = sent()
            for name in ('bk0', 'fr0'):
                subprocess.run(['ip', 'link', 'set', name, 'up'], check=True)
            wait_for(lambda: carrier('fr0'), 'the carrier')
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
                raw.bind(('fr0', 0))
                raw.send(b'\xff' * 60)
            time.sleep(0.2)
            assert sent() == before
            p.command('cont')
            wait_for(lambda: sent() > before, 'the packet')


@contextlib.contextmanager
def connected_vif():
    """Backend and frontend, each with a monitor."""
    with host('-netdev', TAP + ',id=n0,ifname=bk0', '-device',
              'xen-net-device,netdev=n0,id=vif0') as back:
        q = back.qmp()
        with Ringtap(BINARY, '-accel', f'xenemu,connect={back.dir}/xen,domid=5,ram=64M',
                     '-netdev', TAP + ',id=n0,ifname=fr0', '-device',
                     'xen-netfront,netdev=n0,id=front0') as front:
            p = front.qmp()
            wait_for(lambda: p.command('query-vif')[0]['queues'], 'the front')
            q.event('VIF_CONNECTED')
            yield back, q, front, p


def end_of_a_vif(back, number=signal.SIGTERM, signals=1):
    """Seconds that the backend takes to end, and what it leaves of its tap."""
    start = time.monotonic()
    for i in range(signals):
        time.sleep(0.2 if i > 0 else 0)
        back.process.send_signal(number)
    status, err = back.end(None)
    took = time.monotonic() - start
    assert status == 0, (status, err)
    assert 'in time' not in err, err
    assert os.listdir(back.dir) == []
    assert 'bk0' not in interfaces()
    return took


def end_of_a_vif_whose_guest_hangs(signals):
    with connected_vif() as (back, _, front, _):
        front.process.send_signal(signal.SIGSTOP)
        took = end_of_a_vif(back, signals=signals)
        front.process.send_signal(signal.SIGCONT)
    return took


def test_signals_close_the_vif():
    """A guest that answers is not waited for longer than its answer takes."""
    need_tap()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with connected_vif() as (back, _, front, p):
            took = end_of_a_vif(back, number)
            assert took < 2.5, (number, took)
            p.event('VIF_DISCONNECTED')
            status, err = front.end(None) # it was a guest of the host that is gone
            assert status == 1 and 'the Xen host at ' in err, (status, err)
            assert 'fr0' not in interfaces()


def test_a_guest_that_hangs_is_waited_for():
    need_tap()
    assert 2.5 < end_of_a_vif_whose_guest_hangs(1) < 10


def test_second_signal_ends_at_once():
    need_tap()
    assert end_of_a_vif_whose_guest_hangs(2) < 2.5


def test_unplug_twice():
    """Of a device whose guest does not let go of it."""
    need_tap()
    with connected_vif() as (_, q, front, _):
        front.process.send_signal(signal.SIGSTOP)
        q.command('device_del', id='vif0')
        assert q.error('device_del', id='vif0') == \
            'Device vif0 is already in the process of unplug'
        front.process.send_signal(signal.SIGCONT)
        assert q.event('DEVICE_DELETED')['data']['device'] == 'vif0'


def test_no_index_is_free():
    need_tap()
    if not shutil.which('xenstore-write'):
        raise tap.Skip('no xenstore-write')
    with host('-netdev', TAP + ',id=n0,ifname=i0') as r:
        q = r.qmp()
        nodes = [word for i in range(100)
                 for key in ('frontend', 'script')  # a toolstack's
                 for word in (f'/local/domain/0/backend/vif/5/{i}/{key}', 'x')]
        subprocess.run(['xenstore-write', *nodes], check=True,
                       env={**os.environ, 'XENSTORED_PATH': f'{r.dir}/xen.xenstore'})
        assert q.error('device_add', **VIF) == 'cannot find device index for vif device'


def test_prelaunch_offers_nothing():
    need_tap()
    with host('-S', '-netdev', TAP + ',id=n0,ifname=p0', '-device',
              'xen-net-device,netdev=n0,id=vif0') as r:
        q = r.qmp()
        assert q.command('query-vif')[0]['state'] == 'initialising', q.command('query-vif')
        q.command('cont')
        assert q.command('query-vif')[0]['state'] == 'init-wait', q.command('query-vif')


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
