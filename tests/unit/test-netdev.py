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
import threading

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


# QEMU's words, with a chardev that may do and one that may not.
REFUSED_CHARDEVS = (
    ('vhost-user,id=a', "Parameter 'chardev' is missing"),
    ('vhost-user,id=a,chardev=foo', 'chardev "foo" not found'),
    ('vhost-user,id=a,chardev=nothing', 'chardev "nothing" is not reconnectable'),
    ('vhost-user,id=a,chardev=sock,queues=0',
     'vhost-user number of queues must be in range [1, 1024]'),
    ('vhost-user,id=a,chardev=sock,queues=1025',
     'vhost-user number of queues must be in range [1, 1024]'),
    ('vhost-user,id=a,chardev=sock,queues=-1',
     'vhost-user number of queues must be in range [1, 1024]'),
    ('vhost-user,id=a,chardev=sock,queues=x', "Parameter 'queues' expects an int64 value"),
)


def chardevs(directory):
    return ('-chardev', 'null,id=nothing', '-chardev',
            f'socket,id=sock,path={directory}/s,server=on,wait=off')


def test_vhost_user_refused():
    with tempfile.TemporaryDirectory() as d:
        for arg, text in REFUSED_CHARDEVS:
            said = refusal(BINARY, (*NONE, *chardevs(d)), arg)
            assert said == text, (arg, said)
        said = refusal(BINARY, (*NONE, *chardevs(d)), 'vhost-user,id=a,chardev=sock,queues=129')
        assert said == 'no message of vhost-user can name more than 128 queues', said


def test_vhost_user_refused_as_by_qemu():
    if not shutil.which(QEMU):
        raise tap.Skip(f'no {QEMU}')
    with tempfile.TemporaryDirectory() as d:
        for arg, text in REFUSED_CHARDEVS:
            said = refusal(QEMU, (*QEMU_ARGS, *chardevs(d)), arg)
            assert said == text, (arg, said)


# What a back end says to the first question, and what becomes of it at the start.
BACK_ENDS = (
    (b'', 'it closed the connection'),
    (struct.pack('<IIIQ', 1, 5, 8, 0), 'you are asking more queues than supported: 1'),
    (struct.pack('<IIIQ', 1, 1, 8, 0), 'GET_FEATURES: its answer has 8 bytes and the flags 0x1'),
    (struct.pack('<IIII', 1, 5, 4, 0), 'GET_FEATURES: its answer has 4 bytes and the flags 0x5'),
    (struct.pack('<IIIQ', 17, 5, 8, 0), 'it answers GET_QUEUE_NUM, which it was not asked'),
    (struct.pack('<III', 1, 5, 5000), 'a message is too long'),
    (struct.pack('<III', 1, 5, 8), 'the connection ended within a message'),
)


def test_vhost_user_bad_back_end():
    for answer, text in BACK_ENDS:
        with tempfile.TemporaryDirectory() as d, socket.socket(socket.AF_UNIX) as s:
            s.bind(f'{d}/s')
            s.listen()

            def serve():
                with s.accept()[0] as c:
                    assert c.recv(100) == struct.pack('<III', 1, 1, 0)
                    c.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            said = refusal(BINARY, (*NONE, '-chardev', f'socket,id=c0,path={d}/s'),
                           'vhost-user,id=a,chardev=c0,queues=2')
            thread.join()
            assert said == f'netdev a: the back end cannot be used: {text}', said


def test_vhost_user_needs_virtio():
    """And a chardev has one user."""
    with tempfile.TemporaryDirectory() as d:
        with Ringtap(BINARY, '-machine', 'none', *chardevs(d)) as ringtap:
            q = ringtap.qmp()
            q.command('netdev_add', type='vhost-user', id='n0', chardev='sock')
            assert q.error('netdev_add', type='vhost-user', id='n1', chardev='sock') == \
                "chardev 'sock' is already in use"
            assert q.error('chardev-remove', id='sock') == "Chardev 'sock' is busy"
            q.command('chardev-add', id='other', backend={'type': 'socket', 'data': {
                'addr': {'type': 'unix', 'data': {'path': f'{d}/t'}}, 'server': True,
                'wait': False}})
            assert q.error('device_add', driver='vhost-user-net', netdev='n0', chardev='other') \
                == 'vhost-user requires frontend driver virtio-net-*'
            assert 'n0: index=0,type=vhost-user,vhost-user0 to sock' in q.command(
                'human-monitor-command', **{'command-line': 'info network'})
            q.command('netdev_del', id='n0')
            q.command('chardev-remove', id='sock')


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
