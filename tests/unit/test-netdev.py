#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Netdevs over sockets, from outside: what they refuse, what they say, and frames through a vif.
Usage: test-netdev.py RINGTAP"""

import json
import os
import shutil
import socket
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import WAIT, Ringtap, run, wait_for  # noqa: E402
import tap  # noqa: E402

BINARY = os.path.abspath(sys.argv[1])
NONE = ('-machine', 'none')
QEMU = 'qemu-system-x86_64'
QEMU_ARGS = ('-nodefaults', '-M', 'none', '-display', 'none')
LONG = '/tmp/' + 'x' * 110

# What is behind -netdev, and why it is refused: QEMU's words, where its version has them.
REFUSED = (
    ('socket,id=a', 'exactly one of listen=, connect=, mcast= or udp= is required'),
    ('socket,id=a,listen=:1,connect=:2',
     'exactly one of listen=, connect=, mcast= or udp= is required'),
    ('socket,id=a,listen=:1,localaddr=1.2.3.4', 'localaddr= is only valid with mcast= or udp='),
    ('socket,id=a,fd=99', "a: Can't use file descriptor 99: Bad file descriptor"),
    ('socket,id=a,fd=foo', "Invalid file descriptor number 'foo'"),
    ('socket,id=a,udp=127.0.0.1:7001', 'localaddr= is mandatory with udp='),
    ('socket,id=a,udp=127.0.0.1:1,localaddr=127.0.0.1',
     "host address '127.0.0.1' doesn't contain ':' separating host from port"),
    ('socket,id=a,listen=foo', "host address 'foo' doesn't contain ':' separating host from port"),
    ('socket,id=a,listen=:foo', "port number 'foo' is invalid"),
    ('socket,id=a,listen=1x:1', "host address '1x' is not a valid IPv4 address"),
    ('socket,id=a,mcast=127.0.0.1:1',
     'specified mcastaddr 127.0.0.1 (0x7f000001) does not contain a multicast address'),
    ('socket,id=a,mcast=230.0.0.1:1,localaddr=foo',
     "localaddr 'foo' is not a valid IPv4 address"),
    ('socket,id=a,bogus=1', "Invalid parameter 'bogus'"),
    ('stream,id=a', "Parameter 'addr' is missing"),
    ('stream,id=a,addr.type=foo', "Parameter 'type' does not accept value 'foo'"),
    ('stream,id=a,addr.type=inet', "Parameter 'addr.host' is missing"),
    ('stream,id=a,addr.type=inet,addr.host=127.0.0.1', "Parameter 'addr.port' is missing"),
    ('stream,id=a,addr.type=unix', "Parameter 'addr.path' is missing"),
    ('stream,id=a,addr.type=unix,addr.path=/x,addr.bogus=1',
     "Parameter 'addr.bogus' is unexpected"),
    ('stream,id=a,bogus=1,addr.type=unix,addr.path=/x', "Parameter 'bogus' is unexpected"),
    ('stream,id=a,addr.type=fd', "Parameter 'addr.str' is missing"),
    ('stream,id=a,addr.host=foo', "Parameter 'addr.type' is missing"),
    ('stream,id=a,addr=foo', "Invalid parameter type for 'addr', expected: object"),
    ('{"type":"stream","id":"a","addr":{"type":"inet","host":"x","port":1}}',
     "Invalid parameter type for 'addr.port', expected: string"),
    ('dgram,id=a', 'dgram requires local= parameter'),
    ('dgram,id=a,remote.type=unix,remote.path=/x', 'dgram requires local= parameter'),
    ('dgram,id=a,local.type=unix,local.path=/x',
     'type=inet or type=unix requires remote parameter'),
    ('dgram,id=a,local.type=fd,local.str=0,remote.type=unix,remote.path=/x',
     "don't set remote with local.fd"),
    ('dgram,id=a,local.type=unix,local.path=/y,remote.type=inet,remote.host=127.0.0.1,'
     'remote.port=1', 'remote and local types must be the same'),
    ('dgram,id=a,remote.type=inet,remote.host=230.0.0.1,remote.port=1,local.type=unix,'
     'local.path=x', 'only support inet or fd type for local'),
    ('dgram,id=a,remote.type=inet,remote.host=1.1.1.1,remote.port=foo',
     "port number 'foo' is invalid"),
    ('dgram,id=a,local.type=unix,local.path=/nonexistent/x,remote.type=unix,remote.path=/z',
     "can't bind unix=/nonexistent/x to socket: No such file or directory"),
    (f'dgram,id=a,local.type=unix,local.path={LONG},remote.type=unix,remote.path=/z',
     f"UNIX socket path '{LONG}' is too long"),
)

# Only here: QEMU has other words, or none.
REFUSED_HERE = (
    ('stream,id=a,addr.type=fd,addr.str=foo', "Invalid file descriptor number 'foo'"),
    ('stream,id=a,server=on,reconnect=1,addr.type=unix,addr.path=/x',
     "'reconnect' and 'reconnect-ms' options are incompatible with socket in server mode"),
    ('stream,id=a,reconnect=1,reconnect-ms=1,addr.type=unix,addr.path=/x',
     "'reconnect' and 'reconnect-ms' are mutually exclusive"),
    ('stream,id=a,reconnect=1,addr.type=fd,addr.str=7', 'a descriptor cannot be connected again'),
    ('stream,id=a,server=on,addr.type=unix,addr.path=/nonexistent/x',
     'Failed to bind socket to /nonexistent/x: No such file or directory'),
    ('dgram,id=a,local.type=inet,local.host=::1,local.port=1,remote.type=inet,'
     'remote.host=127.0.0.1,remote.port=1', 'remote and local types must be the same'),
)


def refusal(binary, arguments, arg):
    """The first line of what it says to -netdev arg."""
    status, _, err = run(binary, *arguments, '-netdev', arg)
    assert status == 1, (arg, err)
    return err.split('\n', 1)[0].split(f': -netdev {arg}: ', 1)[1]


def test_refused():
    for arg, text in REFUSED + REFUSED_HERE:
        assert refusal(BINARY, NONE, arg) == text, (arg, refusal(BINARY, NONE, arg))


def test_refused_as_by_qemu():
    if not shutil.which(QEMU):
        raise tap.Skip(f'no {QEMU}')
    said = {arg: refusal(QEMU, QEMU_ARGS, arg) for arg, _ in REFUSED}
    assert said == dict(REFUSED), [(a, t) for a, t in said.items() if t != dict(REFUSED)[a]]


def test_not_a_socket():
    with open(os.devnull, 'rb') as null:
        status, _, err = run(BINARY, *NONE, '-netdev', f'socket,id=a,fd={null.fileno()}',
                             pass_fds=[null.fileno()])
    assert status == 1 and err.endswith(' is not a socket\n'), err


def network(q):
    return q.command('human-monitor-command', **{'command-line': 'info network'})


def wait_network(q, text):
    wait_for(lambda: network(q) == text or None, f'{text!r}, not {network(q)!r}')


def test_stream_unix():
    with Ringtap(BINARY, *NONE, '-netdev',
                 'stream,id=st0,server=true,addr.type=unix,addr.path=@DIR@/s') as server:
        path = f'{server.dir}/s'
        q = server.qmp()
        assert network(q) == 'st0: index=0,type=stream,listening\r\n'
        with Ringtap(BINARY, *NONE, '-netdev', json.dumps({
                'type': 'stream', 'id': 'st0', 'addr': {'type': 'unix', 'path': path},
                'reconnect-ms': 50})) as client:
            wait_network(client.qmp(), f'st0: index=0,type=stream,unix:{path}\r\n')
            assert q.event('NETDEV_STREAM_CONNECTED')['data'] == {
                'netdev-id': 'st0', 'addr': {'type': 'unix', 'path': path}}
            wait_network(q, f'st0: index=0,type=stream,unix:{path}\r\n')
            assert client.end()[0] == 0
        assert q.event('NETDEV_STREAM_DISCONNECTED')['data'] == {'netdev-id': 'st0'}
        wait_network(q, 'st0: index=0,type=stream,listening\r\n')
        q.close()
        assert server.end()[0] == 0
        assert not os.path.exists(path)


def test_given_by_name():
    with Ringtap(BINARY, *NONE) as r:
        q = r.qmp()
        for kind, family in ((socket.SOCK_STREAM, 'socket: fd='), (socket.SOCK_DGRAM, 'unix')):
            ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
            with ours, theirs:
                q.command('getfd', fds=[theirs.fileno()], fdname='s0')
                q.command('netdev_add', type='socket', id='n0', fd='s0')
                assert family in network(q), network(q)
                q.command('netdev_del', id='n0')
        assert q.error('netdev_add', type='socket', id='n0', fd='s0') == \
            "File descriptor named 's0' has not been found"
        before = len(os.listdir(f'/proc/{r.process.pid}/fd'))
        q.command('getfd', fds=[0], fdname='null')
        assert 'is not a socket' in q.error('netdev_add', type='socket', id='n0',
                                            fd='null')
        assert len(os.listdir(f'/proc/{r.process.pid}/fd')) == before
        q.close()


def test_schema():
    with Ringtap(BINARY, *NONE) as r:
        q = r.qmp()
        entries = {e['name']: e for e in q.command('query-qmp-schema')}
        netdev = entries[entries['netdev_add']['arg-type']]
        assert {'stream', 'dgram', 'socket', 'tap'} <= {v['case'] for v in netdev['variants']}
        q.close()


def frame(number, length=60):
    return bytes(range(12)) + b'\x88\xb5' + struct.pack('>I', number) + bytes(length - 18)


class Framed:
    """Frames behind their lengths."""

    def __init__(self, stream):
        self.stream = stream

    def send(self, data):
        self.stream.sendall(struct.pack('>I', len(data)) + data)

    def receive(self):
        length, = struct.unpack('>I', self.stream.recv(4, socket.MSG_WAITALL))
        return self.stream.recv(length, socket.MSG_WAITALL)


class Datagrams:
    """Frames by themselves."""

    def __init__(self, sock):
        self.sock = sock

    def send(self, data):
        self.sock.send(data)

    def receive(self):
        return self.sock.recv(70000)


def assert_crosses(host, guest):
    """Frames of some lengths get from each to the other."""
    for number, length in enumerate((60, 1514, 9000, 60000)):
        host.send(frame(number, length))
        assert guest.receive() == frame(number, length)
        guest.send(frame(100 + number, length))
        assert host.receive() == frame(100 + number, length)


def test_frames_through_a_vif():
    """A backend on a stream, its frontend on datagrams, the test at both other ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    ours.settimeout(WAIT)
    with ours, theirs, Ringtap(
            BINARY, '-accel', 'xenemu,socket=@DIR@/xen', '-netdev',
            'stream,id=n0,server=on,addr.type=unix,addr.path=@DIR@/s',
            '-device', 'xen-net-device,netdev=n0,id=vif0') as back:
        q = back.qmp()
        with Ringtap(BINARY, '-accel', f'xenemu,connect={back.dir}/xen', '-netdev',
                     f'dgram,id=n0,local.type=fd,local.str={theirs.fileno()}', '-device',
                     'xen-netfront,netdev=n0', pass_fds=[theirs.fileno()]):
            q.event('VIF_CONNECTED')
            for _ in range(2):
                stream = socket.socket(socket.AF_UNIX)
                stream.settimeout(WAIT)
                stream.connect(f'{back.dir}/s')
                q.event('NETDEV_STREAM_CONNECTED')
                with stream:
                    assert_crosses(Framed(stream), Datagrams(ours))
                q.event('NETDEV_STREAM_DISCONNECTED')
        q.close()


tap.run(globals())
