#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's disk on images that others have: they work, and when those are killed the guest has
errors, and nothing that was not written. Usage: test-disk-images.py RINGTAP LOAD"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, WAIT, wait_for
import tap

BINARY, LOAD = (os.path.abspath(argument) for argument in sys.argv[1:3])
MIB = 1 << 20
SIZE = 4 * MIB


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise tap.Skip(f'no {program}')


def start(directory, *argv):
    """A server that listens at directory/nbd."""
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL)

    def listens():
        with open('/proc/net/unix', encoding='ascii') as f:
            return any(f'{directory}/nbd' in line and ' 00010000 ' in line for line in f)
    wait_for(listens, argv[0])
    return server


def child(ringtap):
    with open(f'/proc/{ringtap.process.pid}/task/{ringtap.process.pid}/children',
              encoding='ascii') as f:
        (pid,) = f.read().split()
    return int(pid)


@contextlib.contextmanager
def image(kind):
    """-blockdev of an image of this kind, and who has it, as killed by its second item."""
    with tempfile.TemporaryDirectory(prefix='disk-images-') as directory:
        if kind == 'qcow2':
            need('qemu-storage-daemon', 'qemu-img')
            subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', f'{directory}/image',
                            str(SIZE)], check=True)
            yield (directory, f'qcow2,node-name=d0,file.driver=file,file.filename={directory}/image',
                   lambda ringtap: os.kill(child(ringtap), signal.SIGKILL))
            return
        need(kind)
        with open(f'{directory}/image', 'wb') as f:
            f.truncate(SIZE)
        if kind == 'nbdkit':
            server = start(directory, 'nbdkit', '-f', '-U', f'{directory}/nbd', 'file',
                           f'{directory}/image')
        else:
            server = start(directory, 'qemu-nbd', '-t', '-f', 'raw', '-k', f'{directory}/nbd',
                           f'{directory}/image')
        try:
            yield (directory, f'nbd,node-name=d0,server.type=unix,server.path={directory}/nbd',
                   lambda _: server.kill())
        finally:
            server.kill()
            server.wait()


@contextlib.contextmanager
def disk(directory, blockdev):
    with Ringtap(BINARY, '-accel', f'xenemu,socket={directory}/xen', '-blockdev', blockdev,
                 '-device', 'xen-disk,drive=d0,vdev=xvda,frontend-id=1,backend-type=vbd,'
                 'num-queues=4', qmp=False) as ringtap:
        wait_for(lambda: os.path.exists(f'{directory}/xen'), 'the emulated Xen')
        yield ringtap


def argv(directory, *options):
    return [LOAD, '--domid', '1', '--json', *options, f'{directory}/xen']


def load(directory, *options):
    done = subprocess.run(argv(directory, *options), stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=3 * WAIT, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def works(kind):
    for options in (('--rings', '4', '--block', '4k'),
                    ('--rings', '2', '--block', '256k', '--indirect', '256', '--persistent', 'off'),
                    ('--rings', '1', '--block', '1M', '--indirect', '256', '--persistent', 'on')):
        with image(kind) as (directory, blockdev, _), disk(directory, blockdev) as ringtap:
            status, found, err = load(directory, '--mode', 'verify', '--count', '1', *options)
            assert status == 0, (options, status, found, err)
            assert found['errors'] == 0 and found['mismatches'] == 0 and found['rounds'] == 1, found
            status, said = ringtap.end()
            assert status == 0 and 'd0' not in said, said


def killed(kind):
    with image(kind) as (directory, blockdev, kill), disk(directory, blockdev) as ringtap:
        with subprocess.Popen(argv(directory, '--mode', 'verify', '--count', '1000000', '--seconds',
                                   '60', '--rings', '4'), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as under:
            time.sleep(0.5)
            assert under.poll() is None
            kill(ringtap)
            out, err = under.communicate(timeout=2 * WAIT)
        found = json.loads(out)
        assert under.returncode == 1 and found['errors'] > 0, (found, err)
        assert found['mismatches'] == 0, (found, err)
        status, said = ringtap.end()
        assert status == 0 and "block node 'd0': the connection to the image's server is lost: " \
            'all requests fail from now on' in said, said


def test_qcow2():
    works('qcow2')


def test_nbdkit():
    works('nbdkit')


def test_single_connection():
    works('qemu-nbd')


def test_qcow2_killed():
    killed('qcow2')


def test_nbdkit_killed():
    killed('nbdkit')


def test_single_connection_killed():
    killed('qemu-nbd')


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
