#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A device with a block node: who has it, the locks of its image, what QMP says of it.

Usage: test-disk.py RINGTAP-WITH-TOY"""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, run  # noqa: E402
import tap  # noqa: E402

BINARY = os.path.abspath(sys.argv[1])
NONE = ('-machine', 'none', '-nodefaults')
MIB = 1 << 20


@contextlib.contextmanager
def image():
    with tempfile.NamedTemporaryFile(prefix='ringtap-test-') as f:
        f.truncate(MIB)
        yield f.name


def node(path, more=''):
    return '-blockdev', f'file,node-name=f,filename={path}{more}'


def disk(more=''):
    return '-device', f'toy-disk,drive=f{more}'


def refused(*args):
    """What is said of the last option, with what only a human gets."""
    status, _, err = run(BINARY, *NONE, *args)
    assert status == 1, err
    return err.split(f'{args[-1]}: ')[1].strip()


def counters(q):
    """What the one disk says of its node."""
    (device,) = q.command('query-devices')
    (group,) = [g for g in device['queues'][0]['groups'] if g['name'] == 'node']
    return {c['name']: c['value'] for c in group['counters']}


def in_use(path, lock):
    return f'Failed to get {lock} lock\nIs another process using the image [{path}]?'


def locked(path, first, second, lock):
    """Whether the second disk is refused, of this or of another program; not because of the first
    one's node, which it does not have."""
    with Ringtap(BINARY, *NONE, *node(path, first[0]), *disk(first[1])) as r:
        q = r.qmp()
        assert len(q.command('query-devices')) == 1
        options = (*node(path, second[0]), *disk(second[1]))
        if not lock:
            with Ringtap(BINARY, *NONE, *options) as other:
                assert len(other.qmp().command('query-devices')) == 1
            return
        assert refused(*options) == in_use(path, lock)
        # a node alone keeps nobody off, and the lock goes with the device
        with Ringtap(BINARY, *NONE, *options[:2]) as other:
            p = other.qmp()
            more = {'driver': 'toy-disk', 'drive': 'f', 'read-only': 'read-only=on' in second[1]}
            assert p.error('device_add', **more) == in_use(path, lock).split('\n', maxsplit=1)[0]
            q.command('qom-list', path='/machine/peripheral')
            q.command('device_del', id='d0')
            q.event('DEVICE_DELETED')
            p.command('device_add', **more)


def test_two_programs_on_one_image():
    reads = (',read-only=on', ',read-only=on,id=d0')
    writes = ('', ',id=d0')
    shares = ('', ',share-rw=on,id=d0')
    for first, second, lock in ((writes, writes, '"write"'), (reads, writes, '"write"'),
                                (writes, reads, 'shared "write"'), (reads, reads, None),
                                (shares, shares, None), (shares, writes, 'shared "write"'),
                                (writes, shares, '"write"')):
        with image() as path:
            locked(path, first, second, lock)


def test_locking_off():
    with image() as path:
        for first, second in ((',locking=off', ''), ('', ',locking=off')):
            with Ringtap(BINARY, *NONE, *node(path, first), *disk()) as r:
                r.qmp()
                with Ringtap(BINARY, *NONE, *node(path, second), *disk()) as other:
                    assert len(other.qmp().command('query-devices')) == 1


def test_two_nodes_of_one_program():
    with image() as path:
        other = f'file,node-name=g,filename={path}'
        assert refused(*node(path), *disk(), '-blockdev', other, '-device',
                       'toy-disk,drive=g') == in_use(path, '"write"')


def test_a_node_has_one_user():
    with image() as path:
        with Ringtap(BINARY, *NONE, *node(path), *disk(',id=d0')) as r:
            q = r.qmp()
            assert q.error('device_add', driver='toy-disk', drive='f') == \
                "Property 'toy-disk.drive' can't take value 'f', it's in use"
            assert q.error('device_add', driver='toy-disk', drive='x') == \
                "Property 'toy-disk.drive' can't find value 'x'"
            assert q.error('blockdev-add', driver='raw', node_name='r', file='f') == \
                'Block device f is in use'
            assert q.error('blockdev-del', node_name='f') == 'Node f is in use'
            q.command('device_del', id='d0')
            q.event('DEVICE_DELETED')
            q.command('blockdev-add', driver='raw', node_name='r', file='f')
            assert q.error('device_add', driver='toy-disk', drive='f') == \
                "Property 'toy-disk.drive' can't take value 'f', it's in use"
            q.command('device_add', driver='toy-disk', drive='r')
            assert q.error('blockdev-del', node_name='r') == 'Node r is in use'
            assert r.end()[0] == 0


def test_raw_says_what_may_be_done():
    with image() as path:
        raw = ('-blockdev', 'raw,node-name=r,file=f,read-only=on')
        assert refused(*node(path), *raw, '-device', 'toy-disk,drive=r') == \
            'Block node is read-only'
        with Ringtap(BINARY, *NONE, *node(path), *raw, '-device',
                     'toy-disk,drive=r,read-only=on') as r:
            assert len(r.qmp().command('query-devices')) == 1


def test_device_that_fails_leaves_the_node():
    with image() as path:
        with Ringtap(BINARY, *NONE, *node(path, ',read-only=on')) as r:
            q = r.qmp()
            assert q.error('device_add', driver='toy-disk', drive='f') == 'Block node is read-only'
            q.command('blockdev-del', node_name='f')


def test_what_the_node_is_opened_with():
    """Nodes and their options, and whether the one that the disk has takes discards and threads."""
    inside = 'raw,node-name=f,file.driver=file,file.filename=@IMAGE@'
    for options, discards, threads in (
            (('file,node-name=f,filename=@IMAGE@',), 0, 0),
            (('file,node-name=f,filename=@IMAGE@,discard=unmap,aio=threads',), 1, 1),
            (('file,node-name=f,filename=@IMAGE@,aio=io_uring',), 0, 0),
            (('file,node-name=f,filename=@IMAGE@,aio=native,cache.direct=on',), 0, 0),
            # what is above decides, unless the one below is not asked by it
            ((f'{inside},discard=unmap,file.aio=threads',), 1, 1),
            ((f'{inside}',), 0, 0),
            ((f'{inside},discard=unmap,file.discard=ignore',), 0, 0),
            (('file,node-name=g,filename=@IMAGE@,discard=unmap', 'raw,node-name=f,file=g'), 0, 0),
            (('file,node-name=g,filename=@IMAGE@', 'raw,node-name=f,file=g,discard=unmap'), 0, 0),
            (('file,node-name=g,filename=@IMAGE@,discard=unmap,aio=threads',
              'raw,node-name=f,file=g,discard=unmap'), 1, 1)):
        with image() as path:
            nodes = [word for o in options for word in ('-blockdev', o.replace('@IMAGE@', path))]
            with Ringtap(BINARY, *NONE, *nodes, *disk()) as r:
                assert counters(r.qmp()) == {'resized': 0, 'discards': discards,
                                             'threads': threads}, options
    with image() as path:
        with Ringtap(BINARY, *NONE, '-drive', f'if=none,id=f,file={path},discard=unmap,aio=threads',
                     *disk()) as r:
            assert counters(r.qmp()) == {'resized': 0, 'discards': 1, 'threads': 1}


def test_query_block():
    with image() as path:
        with Ringtap(BINARY, *NONE, *node(path), *disk(',id=d0'), '-drive',
                     f'if=none,id=drive0,file={path},file.locking=off', '-device',
                     'toy-disk,drive=drive0,read-only=on') as r:
            q = r.qmp()
            of_node, of_drive = q.command('query-block')
            assert (of_node['device'], of_node['qdev'], of_node['removable'],
                    of_node['io-status']) == ('', 'd0', False, 'ok')
            assert of_node['inserted']['node-name'] == 'f'
            assert of_drive['device'] == 'drive0' and of_drive['qdev'].startswith('#')
            assert of_drive['inserted']['node-name'] == '#block001'
            assert q.command('human-monitor-command', command_line='info block').startswith(
                f'f: {path} (file)\r\n    Attached to:      d0\r\n'
                '    Cache mode:       writeback\r\n\r\ndrive0 (#block001): ')


def test_blockstats_are_the_counters_of_the_device():
    """Of all its queues, by the names that a disk gives them."""
    with image() as path:
        with Ringtap(BINARY, *NONE, *node(path), *disk(',id=d0')) as r:
            q = r.qmp()
            (of_device,) = q.command('query-blockstats')
            (of_node,) = q.command('query-blockstats', query_nodes=True)
            assert of_device['qdev'] == 'd0' and 'qdev' not in of_node
            assert of_node['stats'] == of_device['stats']
            assert {n: v for n, v in of_device['stats'].items() if v} == {
                'rd_operations': 3, 'rd_bytes': 1024, 'failed_wr_operations': 20}


def test_resize_is_told_to_the_device():
    with image() as path:
        with Ringtap(BINARY, *NONE, *node(path), '-blockdev', 'raw,node-name=r,file=f', '-device',
                     'toy-disk,drive=r') as r:
            q = r.qmp()
            for name, size in (('f', 2 * MIB), ('r', 3 * MIB), ('r', 3 * MIB)):
                q.command('block_resize', node_name=name, size=size)
            assert counters(q)['resized'] == 2


if __name__ == '__main__':
    tap.run(globals())
