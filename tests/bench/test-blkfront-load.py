#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The load program of disks, against the real backend. Usage: test-blkfront-load.py RINGTAP LOAD"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, WAIT, wait_for
import tap

BINARY, LOAD = (os.path.abspath(argument) for argument in sys.argv[1:3])
MIB = 1 << 20
SIZE = 4 * MIB


class Disk:
    """A host with an image of zeros that the guest 1 has as xvda."""

    def __init__(self, directory, ringtap):
        self.ringtap = ringtap
        self.socket = f'{directory}/xen'
        self.image = f'{directory}/image'
        wait_for(lambda: os.path.exists(self.socket), 'the emulated Xen')

    def argv(self, *options):
        return [LOAD, '--domid', '1', *options, self.socket]

    def load(self, *options):
        """(exit status, what it found, what it complains of)."""
        done = subprocess.run(self.argv('--json', *options), stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=3 * WAIT, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


@contextlib.contextmanager
def disk(*device, read_only='off'):
    """With further properties of its device."""
    options = ','.join(['xen-disk,drive=d0,vdev=xvda,frontend-id=1,backend-type=vbd', *device])
    with tempfile.TemporaryDirectory(prefix='blkfront-load-') as directory:
        with open(f'{directory}/image', 'wb') as f:
            f.truncate(SIZE)
        with Ringtap(BINARY, '-accel', f'xenemu,socket={directory}/xen', '-blockdev',
                     f'file,node-name=d0,filename={directory}/image,read-only={read_only}',
                     '-device', options) as ringtap:
            yield Disk(directory, ringtap)
            status, err = ringtap.end()
            assert status == 0, (status, err)


def verified(found):
    return found['errors'] == 0 and found['mismatches'] == 0 and found['rounds'] > 0


def test_verify():
    with disk() as d:
        status, found, err = d.load('--mode', 'verify', '--count', '2')
        assert status == 0 and verified(found), (status, found, err)
        assert found['rounds'] == 2 and found['requests'] == 4 * SIZE // 4096, found
        with open(d.image, 'rb') as f:
            data = f.read(SIZE)
        # the first words of a sector: which it is, and the round
        assert data[512 * 77:512 * 77 + 16] == (77).to_bytes(8, 'little') + (2).to_bytes(
            8, 'little')


def test_indirect_rings_and_grants():
    for rings, order, indirect, persistent in ((1, 0, 256, 'on'), (4, 4, 256, 'off'),
                                               (2, 1, 32, 'on'), (1, 4, 0, 'off')):
        with disk('num-queues=4') as d:
            status, found, err = d.load('--mode', 'verify', '--count', '1', '--block', '1M',
                                        '--rings', str(rings), '--order', str(order),
                                        '--indirect', str(indirect), '--persistent', persistent)
            assert status == 0 and verified(found), (status, found, err)
            assert found['rings'] == rings and found['ring_order'] == order, found
            assert found['max_segments'] == max(indirect, 11), found
            assert found['persistent'] == (persistent == 'on'), found
            assert (found['indirect'] > 0) == (indirect > 0), found


def test_load():
    for mode in ('read', 'write', 'rw'):
        with disk() as d:
            status, found, err = d.load('--mode', mode, '--count', '3000', '--x86-32')
            assert status == 0, (mode, status, err)
            assert found['requests'] == 3000 and found['errors'] == 0, found
            assert found['requests_per_second'] > 0 and found['mib_per_second'] > 0, found


def requests(q):
    """That the device has done so far; 0: there is none."""
    return sum(counter['value'] for device in q.command('query-devices')
               for queue in device['queues'] for group in queue['groups']
               for counter in group['counters'] if counter['name'] == 'requests')


def another_backend(q, number):
    """With less, or with more, than the one before."""
    q.command('device_del', id='disk0')
    q.event('DEVICE_DELETED')
    options = ({'num-queues': 1, 'max-indirect-segments': 0, 'max-ring-page-order': 0}
               if number % 2 else {'num-queues': 4, 'max-indirect-segments': 64 << number % 3})
    q.command('device_add', driver='xen-disk', id='disk0', drive='d0', vdev='xvda',
              **{'frontend-id': 1, 'backend-type': 'vbd'}, **options)


def test_handover():
    """From backend to backend under load: nobody who waits for a request sees any of it."""
    with disk('id=disk0', 'num-queues=4') as d:
        with contextlib.closing(d.ringtap.qmp()) as q, subprocess.Popen(
                d.argv('--json', '--mode', 'verify', '--block', '640k', '--rings', '3', '--order',
                       '1', '--seconds', '300'),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True) as load:
            for number in range(6):
                wait_for(lambda: requests(q) > 200, 'requests')
                another_backend(q, number)
            wait_for(lambda: requests(q) > 200, 'requests')
            load.terminate()
            out, err = load.communicate(timeout=WAIT)
        assert load.returncode == 0, (load.returncode, err)
        found = json.loads(out)
        assert verified(found) and found['replayed'] > 0, found


def test_a_mismatch_is_found():
    """Somebody else writes to the image while it is compared."""
    with disk('share-rw=on') as d:
        with subprocess.Popen(d.argv('--mode', 'verify', '--count', '1000000', '--seconds', '60'),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as load:
            while load.poll() is None:
                with open(d.image, 'r+b') as f:
                    f.seek(MIB)
                    f.write(bytes(MIB))
            out, err = load.communicate()
        assert load.returncode == 1 and ' 0 errors' in out and ' 0 mismatches' not in out, out
        assert 'is sector 0, generation 0, not generation' in err, err


def test_errors_are_found():
    with disk(read_only='on') as d:
        status, found, _ = d.load('--mode', 'write', '--count', '10')
        assert status == 1 and found['errors'] > 0 and found['requests'] == 0, found
    with disk(read_only='on') as d:
        status, found, _ = d.load('--mode', 'read', '--count', '10')
        assert status == 0, found


def test_no_disk():
    with disk() as d:
        status, found, err = d.load('--vdev', 'xvdb', '--wait', '1')
        assert status == 1 and not found and 'there is no disk' in err, (status, err)


def test_options_that_are_wrong():
    for options in (['--mode', 'sing'], ['--block', '100'], ['--block', '0'], ['--block', '4kk'],
                    ['--rings', '0'], ['--rings', '65'], ['--order', '5'], ['--indirect', '4097'],
                    ['--persistent', 'maybe'], ['--vdev', 'nonsense'], ['--depth', '0'], ['x']):
        done = subprocess.run([LOAD, *options, '/nowhere'], capture_output=True, text=True,
                              timeout=WAIT, check=False)
        assert done.returncode == 2 and done.stderr.startswith('blkfront-load: '), (options, done)


if __name__ == '__main__':
    tap.run(globals())
