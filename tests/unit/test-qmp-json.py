#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a client may send that is no plain command, and what QEMU answers: qmp-json.txt has
both, and a QEMU of this machine is asked, too. Usage: test-qmp-json.py RINGTAP [--record]"""

import ast
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'lib'))
# pylint: disable=wrong-import-position
from program import Qmp, Ringtap, WAIT
import tap

sys.setrecursionlimit(5000)  # for what is nested
BINARY = os.path.abspath(sys.argv[1])
CASES = HERE / 'qmp-json.txt'
QEMU = shutil.which('qemu-system-x86_64')


def load(line):
    """Numbers as they are written."""
    return json.loads(line, parse_int=str, parse_float=str)


def answers(q, data):
    """The lines that come until we are understood again, which 0xff always leads to."""
    q.send(data + b'\xff{"execute":"query-name","id":"sync"}')
    lines = []
    while not lines or load(lines[-1]).get('id') != 'sync':
        lines.append(q.line().decode())
        assert lines[-1], f'{data}: connection closed after {lines}'
    return lines[:-1]


def recorded():
    """Pairs of an input, and the lines that answer it."""
    for block in CASES.read_text(encoding='ascii').strip().split('\n\n'):
        data, *lines = block.split('\n')
        yield ast.literal_eval(data), lines


def compare(q):
    wrong = []
    for data, expected in recorded():
        got = answers(q, data)
        if [load(line) for line in got] != [load(line) for line in expected]:
            wrong.append(f'{data}\n    is {got}\n    not {expected}')
    assert not wrong, '\n'.join(wrong)


class Qemu:
    """One without a machine, its monitor on a socket pair."""

    def __enter__(self):
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [QEMU, '-M', 'none', '-nodefaults', '-display', 'none', '-chardev',
             f'socket,id=c,fd={theirs.fileno()}', '-mon', 'chardev=c,mode=control'],
            pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL)
        theirs.close()
        return Qmp(sock=ours)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def test_answers_are_those_of_qemu():
    with Ringtap(BINARY, '-machine', 'none') as r:
        compare(r.qmp())


def test_qemu_answers_so():
    """What is recorded is no invention."""
    if not QEMU:
        raise tap.Skip('no qemu-system-x86_64')
    with Qemu() as q:
        compare(q)


def nesting(depth):
    return b'{"id":' + b'[' * depth + b']' * depth + b',"execute":"query-name"}'


def test_nesting():
    with Ringtap(BINARY, '-machine', 'none') as r:
        q = r.qmp()
        ok, stray = answers(q, nesting(1023))
        assert ok == '{"return":{},"id":' + '[' * 1023 + ']' * 1023 + '}'
        lines = answers(q, nesting(1024))
        assert load(lines[0])['error']['desc'] == 'JSON nesting depth limit exceeded'
        assert 'stray' in load(stray)['error']['desc']


def test_number_out_of_range():
    """QEMU answers "id": inf, which no client can read."""
    with Ringtap(BINARY, '-machine', 'none') as r:
        q = r.qmp()
        for number in (b'1.5e400', b'-1e999', b'1' * 400):
            line, _ = answers(q, b'{"execute":"query-name","id":' + number + b'}')
            assert 'out of range' in load(line)['error']['desc'], line


def test_error_without_more_input():
    """At once: a client may wait for it."""
    with Ringtap(BINARY, '-machine', 'none') as r:
        q = r.qmp()
        for data in (b'{\xff', b'\0', b'{"a\x01', b'%', b'"\n', b'}'):
            q.send(b'\n' + data)
            assert 'error' in q.reply(), data
        q.send(b'{"execute":"query-name"}')
        assert q.reply() == {'return': {}}


PIECE = 4096  # that is read at once
SINGLY = 256  # errors in a row that are told, each
SIZE = 64 << 10

GARBAGE = {
    'control bytes': b'\1', 'blanks': b' ', 'newlines': b'\n', 'braces': b'{', 'brackets': b'[',
    'closing braces': b'}', 'quotes': b'"', 'apostrophes': b"'", '0xff': b'\xff', 'digits': b'7',
    'numbers': b'1 ', 'letters': b'a', 'capitals': b'Q', 'words': b'a ', 'colons': b':',
    'commas': b',', 'lists': b'[]', 'objects': b'{}', 'no requests': b'{"a":1}',
    'strings without an end': b'"\1', 'lists of numbers': b'[1,', 'percent signs': b'%\n',
    'random': random.Random(1).randbytes(SIZE),
}


def test_garbage_is_not_answered_byte_by_byte():
    with Ringtap(BINARY, '-machine', 'none') as r:
        for name, unit in GARBAGE.items():
            q = r.qmp()  # another one for each: what is in a row begins anew
            sender = threading.Thread(target=q.sock.sendall, args=(
                (unit * (SIZE // len(unit))) + b'\xff{"execute":"query-name","id":"sync"}',))
            sender.start()
            n = 0
            while load(q.line()).get('id') != 'sync':
                n += 1
            sender.join()
            assert 1 <= n <= SINGLY + 2 * SIZE // PIECE, (name, n)
            assert q.command('query-name') == {}, name
            q.close()


def test_first_errors_of_a_row_are_told():
    """And of later ones the first of each piece, so nobody waits in vain."""
    with Ringtap(BINARY, '-machine', 'none') as r:
        q = r.qmp()
        assert len(answers(q, b'}' * 255)) == 256
        assert len(answers(q, b'}' * 255)) == 256, 'the request between them begins a new row'
        assert len(answers(q, b'}' * 300)) == 256
        q.send(b'}' * 300)
        for _ in range(256):
            assert 'error' in q.reply()
        for text in (b'\xff', b'}}}', b'"x"', b'{}', b'{"a":1}{"b":1}', b'@\n'):
            time.sleep(0.05)  # the piece before has been read
            q.send(text)
            assert 'error' in q.reply(), text
        q.send(b'@\n{"id":1}@\n{}@\n{"execute":"query-name"}@\n')
        assert [q.reply().get('id') for _ in range(2)] == [None, 1]
        assert q.reply() == {'return': {}}
        assert 'stray' in q.reply()['error']['desc'], 'a new row'


def test_what_is_not_answered_is_not_read():
    """While the client does not read answers; when it does, none is missing."""
    unit = b'{"id":"%s"}' % (b'x' * 4096)
    with Ringtap(BINARY, '-machine', 'none') as r:
        q = r.qmp()
        q.sock.setblocking(False)
        sent = 0
        blocked_since = time.monotonic()
        while time.monotonic() < blocked_since + 0.5:
            try:
                sent += q.sock.send(unit[sent % len(unit):])
                blocked_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
            assert sent < 8 << 20
        q.sock.settimeout(WAIT)
        whole = sent // len(unit)
        assert whole > 0
        for _ in range(whole):
            assert len(q.reply()['id']) == 4096
        q.sock.sendall(unit[sent % len(unit):] + b'{"execute":"query-name"}')
        assert len(q.reply()['id']) == 4096 and q.reply() == {'return': {}}


def record():
    with Qemu() as q, open(CASES, 'r+', encoding='ascii') as f:
        inputs = [data for data, _ in recorded()]
        f.truncate()
        f.writelines(f'{data}\n' + '\n'.join(answers(q, data)) + '\n\n' for data in inputs)


if __name__ == '__main__':
    if '--record' in sys.argv:
        record()
    else:
        tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
