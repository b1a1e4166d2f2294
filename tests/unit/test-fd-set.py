#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptors of files that somebody else opened: add-fd, -add-fd, /dev/fdset/N.
Usage: test-fd-set.py RINGTAP"""

import contextlib
import os
import socket
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import Qmp, Ringtap, run
import qemu
import tap

BINARY = os.path.abspath(sys.argv[1])
NONE = ('-machine', 'none', '-nodefaults')
MIB = 1 << 20


@contextlib.contextmanager
def image():
    """Descriptors of a file that has no name any more: for reading and writing, and for reading."""
    with tempfile.NamedTemporaryFile() as f:
        f.truncate(MIB)
        both = os.open(f.name, os.O_RDWR)
        reads = os.open(f.name, os.O_RDONLY)
    try:
        yield both, reads
    finally:
        os.close(both)
        os.close(reads)


def add_node(q, name, number, **more):
    """The text of the error, None if it went well."""
    reply = q.execute('blockdev-add', driver='file', node_name=name,
                      filename=f'/dev/fdset/{number}', **more)
    return reply.get('error', {}).get('desc')


def open_files(r):
    return len(os.listdir(f'/proc/{r.process.pid}/fd'))


def test_sets():
    with image() as (both, reads), Ringtap(BINARY, *NONE) as r:
        q = r.qmp()
        before = open_files(r)
        assert q.command('query-fdsets') == []
        a = q.command('add-fd', fds=[both])
        b = q.command('add-fd', fds=[reads], fdset_id=0, opaque='b')
        c = q.command('add-fd', fds=[reads], fdset_id=2)
        d = q.command('add-fd', fds=[reads])
        assert [x['fdset-id'] for x in (a, b, c, d)] == [0, 0, 2, 1]
        assert q.command('query-fdsets') == [
            {'fdset-id': 2, 'fds': [{'fd': c['fd']}]}, {'fdset-id': 1, 'fds': [{'fd': d['fd']}]},
            {'fdset-id': 0, 'fds': [{'fd': a['fd']}, {'fd': b['fd'], 'opaque': 'b'}]}]
        assert open_files(r) == before + 4
        q.command('remove-fd', fdset_id=0, fd=a['fd'])
        q.command('remove-fd', fdset_id=2)
        assert [s['fdset-id'] for s in q.command('query-fdsets')] == [1, 0]
        q.command('remove-fd', fdset_id=0, fd=b['fd'])
        assert q.command('add-fd', fds=[reads])['fdset-id'] == 0, 'a set that is empty is none'
        assert q.error('add-fd', fds=[reads], fdset_id=-1)
        assert open_files(r) == before + 2


def test_they_outlive_their_client():
    with image() as (both, _), Ringtap(BINARY, *NONE) as r:
        q = r.qmp()
        q.command('add-fd', fds=[both], fdset_id=7)
        q.close()
        q = r.qmp()
        assert [s['fdset-id'] for s in q.command('query-fdsets')] == [7]
        assert add_node(q, 'a', 7) is None


def test_an_image():
    with image() as (both, reads), Ringtap(BINARY, *NONE) as r:
        q = r.qmp()
        q.command('add-fd', fds=[reads], fdset_id=1)
        assert 'Permission denied' in add_node(q, 'a', 1)
        assert add_node(q, 'a', 1, auto_read_only=True) is None
        q.command('add-fd', fds=[both], fdset_id=1)
        assert add_node(q, 'b', 1) is None
        assert q.execute('blockdev-add', driver='raw', node_name='c', file='b') == {'return': {}}
        q.command('remove-fd', fdset_id=1)
        found = {n['node-name']: (n['file'], n['ro'], n['image']['virtual-size'])
                 for n in q.command('query-named-block-nodes')}
        path = '/dev/fdset/1'
        assert found == {'a': (path, True, MIB), 'b': (path, False, MIB), 'c': (path, False, MIB)}
        assert add_node(q, 'd', 1).endswith('No such file or directory')
        before = open_files(r)
        q.command('blockdev-del', node_name='a')
        assert open_files(r) < before


def test_an_image_that_may_not_be_opened_again():
    """As where libvirt hands a file to a QEMU without privileges."""
    ours, theirs = socket.socketpair()
    with image() as (both, _), ours, theirs:
        os.fchmod(both, 0)
        args = ('-add-fd', f'fd={both},set=3', '-drive',
                'if=none,id=d0,file=/dev/fdset/3,format=raw',
                '-chardev', f'socket,id=m,fd={theirs.fileno()}', '-mon', 'm,mode=control')
        try:
            r = Ringtap(BINARY, *NONE, *args, pass_fds=[both, theirs.fileno()], qmp=False,
                        user=65534 if os.geteuid() == 0 else None)
        except PermissionError as why:
            raise tap.Skip('others may not start the program') from why
        with r:
            theirs.close()
            assert [b['device'] for b in Qmp(sock=ours).command('query-block')] == ['d0']
            assert r.end() == (0, '')


def test_option():
    with image() as (both, _):
        with Ringtap(BINARY, *NONE, '-add-fd', f'fd={both},set=3,opaque=x',
                     '-add-fd', f'fd={both},set=3', pass_fds=[both]) as r:
            q = r.qmp()
            found = q.command('query-fdsets')
            assert [f.get('opaque') for f in found[0]['fds']] == ['x', None]
            assert both not in [f['fd'] for f in found[0]['fds']], 'it is a copy'


def test_there_is_an_end():
    with image() as (_, reads), Ringtap(BINARY, *NONE) as r:
        q = r.qmp()
        for i in range(64):
            for _ in range(16):
                q.command('add-fd', fds=[reads], fdset_id=i)
        before = open_files(r)
        assert q.error('add-fd', fds=[reads]) == 'there are 1024 descriptors in sets already'
        assert open_files(r) == before


# --- as QEMU

def test_commands_as_qemu():
    with image() as (both, reads):
        def talk(q):
            said = [q.execute('add-fd', fdset_id=7), q.execute('add-fd', [reads], fdset_id=-1),
                    q.execute('remove-fd', fdset_id=8), q.execute('remove-fd', fdset_id=8, fd=9),
                    q.execute('remove-fd', fdset_id=-1), q.execute('query-fdsets')]
            sets = [q.command('add-fd', [fd], **more)['fdset-id'] for fd, more in (
                (both, {}), (reads, {'fdset-id': 4}), (both, {'opaque': 'x'}), (both, {}))]
            said += sets
            said.append([(s['fdset-id'], len(s['fds'])) for s in q.command('query-fdsets')])
            said.append(q.execute('remove-fd', fdset_id=sets[0], fd=1000))
            # 9, x, -1...: none of a number, or of none
            said += [add_node(q, f'n{i}', number, **more) for i, (number, more) in enumerate((
                (0, {}), (4, {}), (4, {'read-only': True}), (4, {'auto-read-only': True}), (9, {}),
                ('x', {}), ('', {}), (-1, {}), (1 << 40, {})))]
            return said

        ours, theirs = qemu.conversations(BINARY, talk)
        assert ours == theirs, (ours, theirs)


def test_option_as_qemu():
    qemu.need_qemu()
    with image() as (both, _):
        for options in ('fd=1000,set=1', 'foo', 'fd=1', 'set=1', 'fd=0,set=1', 'fd=-1,set=1',
                        f'fd={both}', f'fd={both},set=-1'):
            said = [qemu.last_words(program, '-add-fd', options, pass_fds=[both])
                    for program in (BINARY, qemu.QEMU)]
            assert said[0] == said[1], said
        assert run(BINARY, *NONE, '-add-fd', 'fd=x,set=1')[0] == 1


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
