#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where monitors are, and what they look like: TCP, -qmp-pretty. Usage: test-monitor.py RINGTAP"""

import json
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'lib'))
# pylint: disable=wrong-import-position
from program import WAIT, Qmp, Ringtap, run, wait_for
import qemu
import tap

BINARY = os.path.abspath(sys.argv[1])
NONE = ('-machine', 'none')

REFUSED = (
    (('-qmp', 'foo'), '-qmp foo: parse error: foo'),
    (('-qmp', ''), '-qmp : parse error: '),
    (('-qmp', 'tcp:foo'), '-qmp tcp:foo: parse error: tcp:foo'),
    (('-qmp', 'tcp:1.2.3.4:'), '-qmp tcp:1.2.3.4:: parse error: tcp:1.2.3.4:'),
    (('-qmp-pretty', 'foo'), '-qmp-pretty foo: parse error: foo'),
    (('-chardev', 'socket,id=a,host=x'),
     '-chardev socket,id=a,host=x: chardev: socket: no port given'),
    (('-chardev', 'socket,id=a,host=192.0.2.1,port=1,server=on,wait=off'),
     '-chardev socket,id=a,host=192.0.2.1,port=1,server=on,wait=off: Failed to bind socket: '
     'Cannot assign requested address'),
)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def connect(port):
    def attempt():
        try:
            return socket.create_connection(('127.0.0.1', port), timeout=WAIT)
        except ConnectionRefusedError:
            return None
    return wait_for(attempt, port)


def test_refused():
    for program in (BINARY, *([qemu.QEMU] if qemu.have_qemu() else [])):
        for args, text in REFUSED:
            assert qemu.last_words(program, *args) == (1, text), (program, args)


def test_refused_here():
    for args, text in (
            (('-qmp', 'tcp:127.0.0.1:1'), 'port= is only for server=on'),
            (('-chardev', 'socket,id=a,port=1,path=/x,server=on'), 'one of path=, fd= and port='),
            (('-qmp', 'tcp::1,server=on,foo=1'), "Invalid parameter 'foo'")):
        status, _, err = run(BINARY, *NONE, *args)
        assert status == 1 and text in err, err


def test_tcp():
    """With an address, and without; the next client after the first."""
    for host in ('127.0.0.1', ''):
        port = free_port()
        with Ringtap(BINARY, *NONE, '-qmp', f'tcp:{host}:{port},server=on,wait=off') as r:
            for _ in range(2):
                q = Qmp(sock=connect(port))
                names = [c['filename'] for c in q.command('query-chardev')]
                assert f'tcp:{host}:{port},server=on' in names, names
                assert q.error('getfd', fdname='x').startswith('No file descriptor')
                q.close()
            assert r.end() == (0, '')


def test_tcp_port_that_is_taken():
    with socket.create_server(('127.0.0.1', 0)) as s:
        port = s.getsockname()[1]
        status, _, err = run(BINARY, *NONE, '-chardev',
                             f'socket,id=a,host=127.0.0.1,port={port},server=on,wait=off')
        assert status == 1 and 'Address already in use' in err, err


def test_tcp_is_not_for_vhost_user():
    """Whose descriptors could not come."""
    chardev = f'socket,id=c0,host=127.0.0.1,port={free_port()},server=on,wait=off'
    status, _, err = run(BINARY, *NONE, '-chardev', chardev, '-netdev',
                         'socket,id=n0,udp=127.0.0.1:1,localaddr=127.0.0.1:0', '-device',
                         'vhost-user-net,chardev=c0,netdev=n0')
    assert status == 1 and "can't find value 'c0'" in err, err


def pretty(program, option):
    """The text of one conversation, which values do not differ in."""
    with Ringtap(program, *NONE, '-nodefaults', '-display', 'none', '-chardev',
                 'socket,id=m0,path=@DIR@/pretty,server=on,wait=off', *option) as r:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(WAIT)
            path = os.path.join(r.dir, 'pretty')
            wait_for(lambda: os.path.exists(path), path)
            wait_for(lambda: s.connect_ex(path) == 0, path)
            s.sendall(b'{"execute":"qmp_capabilities"}{}'
                      b'{"execute":"query-name","id":[1,{},"\\t",["x",true]]}')
            text = b''
            while text.count(b'\r\n}\r\n') < 4:
                text += s.recv(65536)
        return text.decode().split('\r\n}\r\n')[1:]


def test_pretty():
    for option in (('-mon', 'm0,mode=control,pretty=on'), ('-qmp-pretty', 'chardev:m0')):
        text = pretty(BINARY, option)
        assert json.loads(text[2] + '}') == {'return': {}, 'id': [1, {}, '\t', ['x', True]]}
        assert text[0] == '{\r\n    "return": {\r\n    }'
        if qemu.have_qemu():
            said = pretty(qemu.QEMU, option)
            assert text == said, (text, said)


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
