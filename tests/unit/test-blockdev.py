#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""-blockdev, -drive, and QMP's commands for block nodes, of the real program. What devices do with
nodes is in tests/toy/test-disk.py. Usage: test-blockdev.py RINGTAP"""

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, run, wait_for
import tap

BINARY = os.path.abspath(sys.argv[1])
NONE = ('-machine', 'none', '-nodefaults')
MIB = 1 << 20


@contextlib.contextmanager
def images(*names, size=MIB):
    """A directory with images of these names; the path of each, as it would be."""
    directory = tempfile.mkdtemp(prefix='ringtap-test-')
    try:
        for name in names:
            with open(f'{directory}/{name}', 'wb') as f:
                f.truncate(size)
        yield lambda name: f'{directory}/{name}'
    finally:
        shutil.rmtree(directory)


def none(*args):
    return Ringtap(BINARY, *NONE, *args)


def refused(*args):
    status, out, err = run(BINARY, *NONE, *args)
    assert status == 1 and out == '', (args, status, out, err)
    prefix = f'ringtap: {args[-2]} {args[-1]}: '
    assert err.startswith(prefix), (args, err)
    return err[len(prefix):].split('\n')[0]


def nodes(q):
    """By their names, with what tests look at."""
    return {n['node-name']: (n['drv'], n['file'], n['ro'], n['cache']['direct'],
                             n['cache']['no-flush'], n['image']['virtual-size'])
            for n in q.command('query-named-block-nodes')}


# --- the command line

def test_options_that_are_wrong():
    with images('a', 'b') as at:
        name = f'filename={at("a")}'
        for options, text in (
                (f'driver=file,{name}', "'node-name' must be specified for the root node"),
                ('driver=file,node-name=x', "Parameter 'filename' is missing"),
                (f'node-name=x,{name}', "Parameter 'driver' is missing"),
                (f'foo,node-name=x,{name}', "Parameter 'driver' does not accept value 'foo'"),
                (f'file,node-name=9x,{name}', "Invalid node-name: '9x'"),
                (f'file,node-name=,{name}', "Invalid node-name: ''"),
                (f'file,node-name={"a" * 32},{name}', 'Node name too long'),
                (f'file,node-name=x,{name},foo=1', "Invalid parameter 'foo'"),
                (f'file,node-name=x,filename={at("c")}',
                 f"Could not open '{at('c')}': No such file or directory"),
                ('file,node-name=x,filename=/dev/null',
                 "'file' driver requires '/dev/null' to be a regular file"),
                (f'host_device,node-name=x,{name}',
                 f"'host_device' driver requires '{at('a')}' to be a block device"),
                (f'file,node-name=x,{name},aio=native', 'aio=native was specified, but it requires '
                 'cache.direct=on, which was not specified.'),
                (f'file,node-name=x,{name},aio=foo', "Parameter 'aio' does not accept value 'foo'"),
                (f'file,node-name=x,{name},discard=foo',
                 "Parameter 'discard' does not accept value 'foo'"),
                (f'file,node-name=x,{name},detect-zeroes=on',
                 "Parameter 'detect-zeroes' does not accept value 'on'"),
                (f'file,node-name=x,{name},locking=maybe',
                 "Parameter 'locking' does not accept value 'maybe'"),
                (f'file,node-name=x,{name},cache.direct=maybe',
                 "Parameter 'cache.direct' expects 'on' or 'off'"),
                (f'file,node-name=x,{name},cache=none',
                 "Invalid parameter type for 'cache', expected: object"),
                ('raw,node-name=r', "Parameter 'file' is missing"),
                ('raw,node-name=r,file=x',
                 "Cannot find device='x' nor node-name='x'"),
                ('raw,node-name=r,file.driver=file', "Parameter 'file.filename' is missing"),
                (f'raw,node-name=r,file.{name}', "Parameter 'file.driver' is missing"),
                (f'raw,node-name=r,file.driver=file,file.{name},file.foo=1',
                 "Invalid parameter 'file.foo'"),
                (f'raw,node-name=r,file.driver=file,file.{name},file.node-name=r',
                 "Duplicate nodes with node-name='r'"),
                ('{"driver":"file","node-name":"x","filename":1}',
                 "Invalid parameter type for 'filename', expected: string"),
                ('{"driver":"raw","node-name":"x","file":1}',
                 "Invalid parameter type for 'file', expected: BlockdevRef")):
            assert refused('-blockdev', options) == text, options


def test_nodes_that_do_not_go_together():
    with images('a') as at:
        first = f'file,node-name=f,filename={at("a")}'
        for options, more, text in (
                (first, first, "Duplicate nodes with node-name='f'"),
                (first + ',read-only=on', 'raw,node-name=r,file=f', 'Block node is read-only')):
            assert refused('-blockdev', options, '-blockdev', more) == text, more
        assert refused('-blockdev', first, '-blockdev', 'raw,node-name=r,file=f', '-blockdev',
                       'raw,node-name=s,file=f') == 'Block device f is in use'


@contextlib.contextmanager
def nbdkit(*args):
    """A server, and the path of its socket."""
    if not shutil.which('nbdkit'):
        raise tap.Skip('no nbdkit')
    directory = tempfile.mkdtemp(prefix='ringtap-test-')
    path = f'{directory}/sock'
    # in the background once it listens
    subprocess.run(['nbdkit', '-U', path, '-P', f'{directory}/pid', *args], check=True)
    try:
        yield path
    finally:
        with open(f'{directory}/pid', encoding='ascii') as f:
            os.kill(int(f.read()), signal.SIGKILL)
        shutil.rmtree(directory)


def test_servers_that_are_wrong():
    with nbdkit('-r', 'memory', '1M') as path:
        there = f'nbd,node-name=n,server.type=unix,server.path={path}'
        for options, text in (
                ('nbd,node-name=n', "Parameter 'server' is missing"),
                ('nbd,node-name=n,server.path=/x', "Parameter 'server.type' is missing"),
                ('nbd,node-name=n,server.type=unix', "Parameter 'server.path' is missing"),
                ('nbd,node-name=n,server.type=inet,server.host=::1',
                 "Parameter 'server.port' is missing"),
                ('nbd,node-name=n,server.type=fd,server.str=1',
                 "Parameter 'type' does not accept value 'fd'"),
                (f'{there}x,export=e', f"Failed to connect to 'nbd+unix:///e?socket={path}x': "
                 'No such file or directory'),
                ('nbd,node-name=n,server.type=inet,server.host=127.0.0.1,server.port=1',
                 "Failed to connect to 'nbd://127.0.0.1:1': Connection refused"),
                (there, 'request on write denied without write permission'),
                (f'{there},reconnect-delay=1', 'reconnect-delay=1 is not supported: what a server '
                 'that died had acknowledged may be lost')):
            assert refused('-blockdev', options) == text, options


def test_image_of_a_server():
    with nbdkit('memory', '1M') as path:
        server = {'type': 'unix', 'path': path}
        url = f'nbd+unix:///e?socket={path}'
        with none('-blockdev', f'nbd,node-name=n,read-only=on,server.type=unix,server.path={path}'
                  ',export=e', '-blockdev', 'raw,node-name=r,read-only=on,file=n') as r:
            q = r.qmp()
            assert nodes(q) == {'n': ('nbd', url, True, False, False, MIB),
                                'r': ('raw', url, True, False, False, MIB)}
            q.command('blockdev-add', driver='nbd', node_name='m', server=server)
            assert q.error('block_resize', node_name='m', size=2 * MIB) == \
                'Cannot resize NBD nodes'
            assert 'actual-size' not in q.command('query-named-block-nodes')[2]['image']
            q.command('blockdev-del', node_name='m')
            q.command('blockdev-del', node_name='r')
            q.command('blockdev-del', node_name='n')
            assert r.end() == (0, '')


# --- images that qemu-storage-daemon has

def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise tap.Skip(f'no {program}')


@contextlib.contextmanager
def qcow2(*names):
    """Images of 8 MiB, and the path of each."""
    need('qemu-img', 'qemu-storage-daemon')
    with images() as at:
        for name in names:
            subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', at(name), '8M'], check=True)
        yield at


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
        return [int(c) for c in f.read().split()]


def test_qcow2():
    with qcow2('a') as at:
        options = f'driver=qcow2,node-name=q,file.driver=file,file.filename={at("a")}'
        with none('-blockdev', options, '-blockdev', 'raw,node-name=r,read-only=on,file=q') as r:
            q = r.qmp()
            assert nodes(q) == {'q': ('qcow2', at('a'), False, False, False, 8 * MIB),
                                'r': ('raw', at('a'), True, False, False, 8 * MIB)}
            assert q.error('block_resize', node_name='q', size=9 * MIB) == 'Image is read-only'
            q.command('blockdev-del', node_name='r')
            q.command('block_resize', node_name='q', size=9 * MIB)
            assert nodes(q) == {'q': ('qcow2', at('a'), False, False, False, 9 * MIB)}
            assert q.error('block_resize', node_name='q', size=1000) == \
                'The new size must be a multiple of 512'
            assert len(children(r.process.pid)) == 1
            q.command('blockdev-del', node_name='q')
            assert children(r.process.pid) == []
            before = len(os.listdir(f'/proc/{r.process.pid}/fd'))
            q.command('blockdev-add', driver='qcow2', node_name='q', read_only=True,
                      file={'driver': 'file', 'filename': at('a')})
            assert nodes(q) == {'q': ('qcow2', at('a'), True, False, False, 9 * MIB)}
            q.command('blockdev-del', node_name='q')
            assert len(os.listdir(f'/proc/{r.process.pid}/fd')) == before
            assert r.end() == (0, '')


def test_qcow2_as_libvirt_writes_it():
    """Nodes by their names: what was said of them goes to the daemon, a backing file's, too."""
    with qcow2('base') as at:
        subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', at('base'),
                        at('top'), '16M'], check=True)
        said = []
        for n, name, above in ((2, 'base', {'read-only': True, 'backing': None}),
                               (1, 'top', {'read-only': False, 'backing': 'libvirt-2-format'})):
            said += [{'driver': 'file', 'filename': at(name), 'node-name': f'libvirt-{n}-storage',
                      'auto-read-only': True, 'discard': 'unmap',
                      'cache': {'direct': False, 'no-flush': False}},
                     {'node-name': f'libvirt-{n}-format', 'discard': 'unmap', 'driver': 'qcow2',
                      'file': f'libvirt-{n}-storage', **above}]
        args = [a for node in said for a in ('-blockdev', json.dumps(node))]
        with none(*args) as r:
            q = r.qmp()
            assert nodes(q)['libvirt-1-format'] == ('qcow2', at('top'), False, False, False,
                                                    16 * MIB)
            for below in ('libvirt-1-storage', 'libvirt-2-format'):
                assert q.error('blockdev-del', node_name=below) == \
                    f'Block device {below} is in use'
            for node in ('libvirt-1-format', 'libvirt-1-storage', 'libvirt-2-format'):
                q.command('blockdev-del', node_name=node)
            assert r.end() == (0, '')


def test_drive_of_another_format():
    with qcow2('a,b') as at:
        drive = f'if=none,id=d,format=qcow2,file={at("a,,b")},cache=none,node-name=n'
        with none('-drive', drive) as r:
            q = r.qmp()
            assert nodes(q) == {'n': ('qcow2', at('a,b'), False, True, False, 8 * MIB)}
            assert [b['device'] for b in q.command('query-block')] == ['d']
            assert r.end() == (0, '')
        with none('-drive', f'if=none,id=d,format=qcow2,readonly=on,file={at("a,,b")}') as r:
            assert nodes(r.qmp()) == {'#block000': ('qcow2', at('a,b'), True, False, False,
                                                    8 * MIB)}


def test_daemon_goes_with_us():
    with qcow2('a') as at:
        options = ('-blockdev', f'qcow2,node-name=q,file.driver=file,file.filename={at("a")}')
        with none(*options) as r:
            r.qmp()
            (daemon,) = children(r.process.pid)
            os.kill(r.process.pid, signal.SIGKILL)
            with none(*options) as again:  # though the other one may have the image still
                assert 'q' in nodes(again.qmp())

        def state():
            with open(f'/proc/{daemon}/stat', encoding='ascii') as f:
                return f.read().split()[2]
        assert not os.path.exists(f'/proc/{daemon}') or state() == 'Z'


def test_daemon_that_dies_is_said():
    with qcow2('a') as at:
        options = ('-blockdev', f'qcow2,node-name=q,file.driver=file,file.filename={at("a")}')
        with none(*options) as r:
            q = r.qmp()
            os.kill(children(r.process.pid)[0], signal.SIGKILL)
            while children(r.process.pid):
                q.command('query-status')
            q.command('blockdev-del', node_name='q')
            assert r.end() == (0, "ringtap: block node 'q': qemu-storage-daemon ended: signal 9\n")


def test_formats_that_are_wrong():
    with qcow2('a') as at, images('raw') as raw_at:
        file = f'file.driver=file,file.filename={at("a")}'
        for options, text in (
                (f'qcow2,{file}', "'node-name' must be specified for the root node"),
                (f'qcow2,node-name=9,{file}', "Invalid node-name: '9'"),
                ('qcow2,node-name=x', "Parameter 'file' is missing"),
                (f'qcow2,node-name=x,{file}x', f"Could not open '{at('a')}x': No such file or "
                 'directory'),
                (f'qcow2,node-name=x,{file},foo=1', "Parameter 'foo' is unexpected"),
                (f'qcow2,node-name=x,{file},read-only=maybe',
                 "Parameter 'read-only' expects 'on' or 'off'"),
                (f'qcow2,node-name=x,file.driver=file,file.filename={raw_at("raw")}',
                 'Image is not in qcow2 format'),
                ('qcow2,node-name=x,file=y', "Cannot find device='y' nor node-name='y'"),
                (f'foo,node-name=x,file.driver=qcow2,file.{file}',
                 "Parameter 'driver' does not accept value 'foo'"),
                (f'node-name=x,file.driver=qcow2,file.{file}', "Parameter 'driver' is missing")):
            assert refused('-blockdev', options) == text, options
        for options, text in (
                (f'if=none,id=d,format=vhdx,file={raw_at("raw")}',
                 "Could not open"),
                ('if=none,id=d,file=rbd:x/y',
                 'file=rbd is not supported: use -blockdev driver=rbd'),
                ('if=none,id=d,file=nbd:unix:/x',
                 'file=nbd is not supported: use -blockdev driver=nbd')):
            assert text in refused('-drive', options), options


def test_other_formats():
    with qcow2() as at:
        for name in ('vpc', 'vhdx', 'vmdk', 'vdi', 'qed', 'parallels'):
            subprocess.run(['qemu-img', 'create', '-q', '-f', name, at(name), '8M'], check=True)
            with none('-drive', f'if=none,id=d,node-name=n,format={name},file={at(name)}') as r:
                driver, file, _, _, _, size = nodes(r.qmp())['n']
                # that of a VHD is one of cylinders, heads and sectors
                assert (driver, file) == (name, at(name)) and 8 * MIB <= size < 9 * MIB, name
                assert r.end() == (0, ''), name


def test_luks():
    with qcow2() as at:
        for name, word in (('right', 'sesame'), ('wrong', 'open')):
            with open(at(name), 'w', encoding='ascii') as f:
                f.write(word)
        # it measures the processor, and now and then is not content with what it finds
        wait_for(lambda: subprocess.run(
            ['qemu-img', 'create', '-q', '-f', 'luks', '--object',
             f'secret,id=s,file={at("right")}', '-o', 'key-secret=s,iter-time=10', at('a'), '2M'],
            stderr=subprocess.DEVNULL, check=False).returncode == 0, 'an image of luks')
        node = f'luks,node-name=l,key-secret=s,file.driver=file,file.filename={at("a")}'
        assert refused('-blockdev', node) == "No secret with id 's'"
        assert refused('-object', f'secret,id=s,file={at("wrong")}', '-blockdev', node) == \
            'Invalid password, cannot unlock any keyslot'
        with none('-object', f'secret,id=s,file={at("right")}', '-blockdev', node) as r:
            q = r.qmp()
            assert nodes(q) == {'l': ('luks', at('a'), False, False, False, 2 * MIB)}
            assert q.error('object-add', qom_type='secret', id='s', file='x').startswith(
                "attempt to add duplicate property 's'")
            q.command('object-del', id='s')
            assert q.error('object-del', id='s') == "object 's' not found"


def test_raw_over_another_format():
    with qcow2('a') as at:
        with none('-blockdev', 'driver=raw,node-name=r,size=1048576,file.driver=qcow2,'
                  f'file.file.driver=file,file.file.filename={at("a")}') as r:
            assert nodes(r.qmp()) == {'r': ('raw', at('a'), False, False, False, MIB)}


def test_drives_that_are_wrong():
    with images('a', 'b') as at:
        drive = f'if=none,id=d,file={at("a")}'
        for options, text in (
                ('if=none,id=d', 'A block device must be specified for "file"'),
                (f'id=d,file={at("a")}',
                 'only if=none is supported: the disk is a -device with drive=d'),
                (f'if=virtio,id=d,file={at("a")}',
                 'only if=none is supported: the disk is a -device with drive=d'),
                (f'if=none,file={at("a")}', "Parameter 'id' is missing"),
                (f'if=none,id=d,file={at("c")}',
                 f"Could not open '{at('c')}': No such file or directory"),
                ('if=none,id=d,file=/dev/null',
                 "'file' driver requires '/dev/null' to be a regular file"),
                ('if=none,id=d,file=foo:x', "Unknown protocol 'foo'"),
                (f'{drive},format=foo', "Unknown driver 'foo'"),
                (f'{drive},cache=foo', "Parameter 'cache' does not accept value 'foo'"),
                (f'{drive},cache=directsync', 'cache=directsync is not supported: use cache=none, '
                 'a guest flushes what has to be on the disk'),
                (f'{drive},aio=native', 'aio=native was specified, but it requires '
                 'cache.direct=on, which was not specified.'),
                (f'{drive},media=cdrom', "Parameter 'media' does not accept value 'cdrom'"),
                (f'{drive},readonly=on,read-only=on',
                 "'read-only' and its alias 'readonly' can't be used at the same time")):
            assert refused('-drive', options) == text, options
        assert refused('-drive', drive, '-drive', f'if=none,id=d,file={at("b")}') == \
            "Duplicate ID 'd' for drive"
        # -blockdev first, as in QEMU
        status, _, err = run(BINARY, *NONE, '-drive', drive, '-blockdev',
                             f'file,node-name=d,filename={at("b")}')
        assert status == 1 and "Device name 'd' conflicts with an existing node name" in err, err


def test_as_libvirt_writes_it():
    """Two nodes in JSON: the one above has the say where both may say something."""
    with images('a') as at:
        storage = {'driver': 'file', 'filename': at('a'), 'node-name': 'libvirt-1-storage',
                   'auto-read-only': True, 'discard': 'unmap', 'aio': 'native',
                   'cache': {'direct': True, 'no-flush': False}}
        for read_only in (False, True):
            above = {'node-name': 'libvirt-1-format', 'read-only': read_only, 'discard': 'unmap',
                     'cache': {'direct': True, 'no-flush': False}, 'driver': 'raw',
                     'file': 'libvirt-1-storage'}
            with none('-blockdev', json.dumps(storage), '-blockdev', json.dumps(above)) as r:
                assert nodes(r.qmp()) == {
                    'libvirt-1-storage': ('file', at('a'), False, True, False, MIB),
                    'libvirt-1-format': ('raw', at('a'), read_only, True, False, MIB)}
                assert r.end() == (0, '')


def test_nested_node_has_what_is_said_above():
    with images('a') as at:
        with none('-blockdev', 'driver=raw,node-name=r,read-only=on,cache.direct=on,'
                  f'cache.no-flush=on,file.driver=file,file.filename={at("a")},'
                  'file.cache.no-flush=off,file.node-name=f') as r:
            assert nodes(r.qmp()) == {'f': ('file', at('a'), True, True, False, MIB),
                                      'r': ('raw', at('a'), True, True, False, MIB)}


def test_raw_over_raw():
    with images('a') as at:
        with none('-blockdev', f'driver=raw,node-name=r,file.driver=raw,file.file.driver=file,'
                  f'file.file.filename={at("a")}') as r:
            q = r.qmp()
            assert [n[0] for n in nodes(q).values()] == ['file', 'raw', 'raw']
            q.command('blockdev-del', node_name='r')
            assert nodes(q) == {}


def test_drive_is_two_nodes():
    with images('a') as at:
        with none('-drive', f'if=none,id=d,file=file:{at("a")},readonly=on,cache=none,aio=native,'
                  'discard=unmap,file.locking=off,node-name=n') as r:
            q = r.qmp()
            assert nodes(q) == {'#block000': ('file', at('a'), True, True, False, MIB),
                                'n': ('raw', at('a'), True, True, False, MIB)}
            assert q.error('blockdev-del', node_name='n') == 'Node n is in use'
            assert q.error('blockdev-add', driver='file', node_name='d', filename=at('a')) == \
                'node-name=d is conflicting with a device id'


def test_cache_modes():
    with images('a') as at:
        for mode, direct, no_flush in (('writeback', False, False), ('none', True, False),
                                       ('unsafe', False, True), ('none,cache.direct=off', False, False),
                                       ('unsafe,cache.no-flush=off', False, False)):
            with none('-drive', f'if=none,id=d,node-name=n,file={at("a")},read-only=on,'
                      f'cache={mode}') as r:
                assert nodes(r.qmp())['n'][2:5] == (True, direct, no_flush), mode


def test_what_may_not_be_written_to():
    if os.geteuid() != 0:
        raise tap.Skip('only root can become somebody else')
    nobody = {'user': 65534, 'group': 65534, 'extra_groups': ()}
    with images('a') as at:
        os.chmod(os.path.dirname(at('a')), 0o755)
        os.chmod(at('a'), stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
        node = f'file,node-name=f,filename={at("a")}'
        status, _, err = run(BINARY, *NONE, '-blockdev', node, **nobody)
        assert status == 1 and f"Could not open '{at('a')}': Permission denied" in err, err
        # the raw node's own, where it has one
        auto = ('-blockdev', node + ',auto-read-only=on')
        err = run(BINARY, *NONE, *auto, '-blockdev', 'raw,node-name=r,file=f', **nobody)[2]
        assert f"file=f: Could not open '{at('a')}': Permission denied" in err, err
        # as in QEMU a drive is read-only then, too
        for args in (auto, (*auto, '-blockdev', 'raw,node-name=r,file=f,auto-read-only=on'),
                     (*auto, '-blockdev', 'raw,node-name=r,file=f,read-only=on'),
                     ('-drive', f'if=none,id=d,node-name=f,file={at("a")}')):
            err = run(BINARY, *NONE, *args, '-device', 'x', **nobody)[2]
            assert "-device x: 'x' is not a valid device model name" in err, err


# --- QMP

def test_add_and_delete():
    with images('a') as at, none() as r:
        q = r.qmp()
        q.command('blockdev-add', driver='file', node_name='f', filename=at('a'), discard='unmap')
        q.command('blockdev-add', driver='raw', node_name='r', file='f')
        assert q.error('blockdev-del', node_name='f') == 'Block device f is in use'
        q.command('blockdev-del', node_name='r')
        q.command('blockdev-del', node_name='f')
        assert q.error('blockdev-del', node_name='f') == \
            "Failed to find node with node-name='f'"
        assert not any(os.readlink(f'/proc/{r.process.pid}/fd/{fd}') == at('a')
                       for fd in os.listdir(f'/proc/{r.process.pid}/fd'))


def test_add_that_fails_leaves_nothing():
    with images('a') as at, none() as r:
        q = r.qmp()
        before = len(os.listdir(f'/proc/{r.process.pid}/fd'))
        below = {'driver': 'file', 'filename': at('a')}
        for args, text in (
                ({'driver': 'raw', 'node_name': '9', 'file': below}, "Invalid node-name: '9'"),
                ({'driver': 'raw', 'node_name': 'x', 'file': dict(below, **{'node-name': 'x'})},
                 "Duplicate nodes with node-name='x'"),
                ({'driver': 'raw', 'node_name': 'x', 'file': dict(below, **{'read-only': True})},
                 'Block node is read-only'),
                ({'driver': 'raw', 'file': below},
                 "'node-name' must be specified for the root node"),
                ({'driver': 'file', 'node_name': 'x', 'filename': at('a'), 'foo': 1},
                 "Parameter 'foo' is unexpected"),
                ({'driver': 'qcow2', 'node_name': 'x', 'file': dict(below, **{'x': 1})},
                 "Parameter 'file.x' is unexpected")):
            assert q.error('blockdev-add', **args) == text, args
        assert nodes(q) == {}
        assert len(os.listdir(f'/proc/{r.process.pid}/fd')) == before


def test_raw_is_over_the_image_not_its_name():
    with images('a') as at, none() as r:
        q = r.qmp()
        q.command('blockdev-add', driver='file', node_name='f', filename=at('a'))
        os.rename(at('a'), at('b'))
        with open(at('a'), 'wb') as f:
            f.truncate(3 * MIB)
        q.command('blockdev-add', driver='raw', node_name='r', file='f')
        assert nodes(q)['r'] == ('raw', at('a'), False, False, False, MIB)
        q.command('block_resize', node_name='r', size=2 * MIB)
        assert [os.stat(at(n)).st_size for n in 'ab'] == [3 * MIB, 2 * MIB]


def test_nested_node_goes_with_the_one_above():
    with images('a') as at, none() as r:
        q = r.qmp()
        q.command('blockdev-add', driver='raw', node_name='r',
                  file={'driver': 'file', 'filename': at('a'), 'node-name': 'f'})
        assert q.error('blockdev-del', node_name='f') == 'Node f is not owned by the monitor'
        assert q.error('blockdev-add', driver='raw', node_name='s', file='f') == \
            'Block device f is in use'
        q.command('blockdev-del', node_name='r')
        assert nodes(q) == {}


def test_nodes_are_limited():
    with images('a') as at, none() as r:
        q = r.qmp()
        for i in range(1024):
            q.command('blockdev-add', driver='file', node_name=f'n{i}', filename=at('a'))
        assert q.error('blockdev-add', driver='file', node_name='x', filename=at('a')) == \
            'there are 1024 block nodes already'


def test_resize():
    with images('a', 'b') as at:
        with none('-blockdev', f'file,node-name=f,filename={at("a")}', '-blockdev',
                  'raw,node-name=r,file=f', '-drive',
                  f'if=none,id=d,file={at("b")},readonly=on') as r:
            q = r.qmp()
            for name, size in (('f', 2 * MIB), ('r', 512), ('f', 0), ('r', 3 * MIB)):
                q.command('block_resize', node_name=name, size=size)
                assert os.stat(at('a')).st_size == size
                assert [n[5] for n in nodes(q).values()][:2] == [size, size]
            for args, text in (
                    ({'node_name': 'r', 'size': -1}, "Parameter 'size' expects a >0 size"),
                    ({'node_name': 'r', 'size': 1000}, 'The new size must be a multiple of 512'),
                    ({'device': 'd', 'size': 512}, 'Image is read-only'),
                    ({'device': 'x', 'node_name': 'y', 'size': 512},
                     "Cannot find device='x' nor node-name='y'"),
                    ({'size': 512}, "Cannot find device='' nor node-name=''"),
                    ({'node_name': 'd', 'size': 512}, "Cannot find device='' nor node-name='d'"),
                    ({'node_name': 'r', 'size': 'x'},
                     "Invalid parameter type for 'size', expected: integer"),
                    ({'node_name': 'r'}, "Parameter 'size' is missing")):
                assert q.error('block_resize', **args) == text, args
            assert os.stat(at('a')).st_size == 3 * MIB


def test_queries_without_a_device():
    with images('a', 'b') as at:
        with none() as r:
            q = r.qmp()
            for query in ('query-block', 'query-blockstats', 'query-named-block-nodes'):
                assert q.command(query) == [], query
        with none('-blockdev', f'file,node-name=f,filename={at("a")}', '-drive',
                  f'if=none,id=d,file={at("b")},readonly=on,node-name=n') as r:
            q = r.qmp()
            (block,) = q.command('query-block')
            inserted = block.pop('inserted')
            assert block == {'device': 'd', 'type': 'unknown', 'removable': True, 'locked': False}
            assert inserted in q.command('query-named-block-nodes', flat=True)
            assert inserted['image']['actual-size'] == 0
            (stats,) = q.command('query-blockstats')
            assert (stats['device'], stats['node-name']) == ('d', 'n')
            assert stats['stats'].pop('timed_stats') == [] and not any(stats['stats'].values())
            assert [s['node-name'] for s in q.command('query-blockstats', query_nodes=True)] == \
                ['f', '#block000', 'n']
            assert q.command('human-monitor-command', command_line='info block') == \
                f'd (n): {at("b")} (raw, read-only)\r\n' \
                '    Removable device: not locked, tray closed\r\n' \
                '    Cache mode:       writeback\r\n'


if __name__ == '__main__':
    tap.run(globals())
