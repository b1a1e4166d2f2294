#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""-blockdev and -drive of the real program. Usage: test-blockdev.py RINGTAP"""

import contextlib
import os
import shutil
import stat
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import run
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


def refused(*args):
    status, out, err = run(BINARY, *NONE, *args)
    assert status == 1 and out == '', (args, status, out, err)
    prefix = f'ringtap: {args[-2]} {args[-1]}: '
    assert err.startswith(prefix), (args, err)
    return err[len(prefix):].split('\n')[0]


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


def test_other_formats_say_what_to_do():
    with images('a') as at:
        what = 'is not supported: have qemu-storage-daemon export it as a raw file (--export ' \
               'type=fuse), and use that'
        assert refused('-blockdev', f'qcow2,node-name=x,file.driver=file,file.filename={at("a")}') \
            == f'driver=qcow2 {what}'
        assert refused('-drive', f'if=none,id=d,format=vhdx,file={at("a")}') == f'format=vhdx {what}'
        assert refused('-drive', 'if=none,id=d,file=nbd:unix:/x') == f'file=nbd {what}'


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
        # as in QEMU a drive is read-only then, too
        for args in (('-blockdev', node + ',auto-read-only=on'),
                     ('-drive', f'if=none,id=d,node-name=f,file={at("a")}')):
            err = run(BINARY, *NONE, *args, '-device', 'x', **nobody)[2]
            assert "-device x: 'x' is not a valid device model name" in err, err


if __name__ == '__main__':
    tap.run(globals())
