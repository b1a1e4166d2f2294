#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""-xen-attach of the real program: disks that a toolstack makes. Debian's xenstore-write plays
libxl, on an emulated Xen. Usage: test-attach.py RINGTAP"""

import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import Qmp, Ringtap, wait_for
import tap

BINARY = os.path.abspath(sys.argv[1])
MIB = 1 << 20
XVDA, XVDB, HDC = 51712, 51728, 5632
GONE = 'DEVICE_DELETED'


class Toolstack:
    """libxl, of one guest: the nodes of its disks, as it writes them."""

    def __init__(self, back, kind='qdisk'):
        self.env = {**os.environ, 'XENSTORED_PATH': f'{back.dir}/xen.xenstore'}
        self.kind = kind

    def run(self, tool, *args):
        return subprocess.run([tool, *args], env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False)

    def back(self, number):
        return f'/local/domain/0/backend/{self.kind}/5/{number}'

    def write(self, nodes):
        assert self.run('xenstore-write', *(x for n in nodes.items() for x in n)).returncode == 0

    def read(self, path):
        done = self.run('xenstore-read', path)
        return done.stdout.rstrip('\n') if done.returncode == 0 else None

    def state(self, number):
        return self.read(f'{self.back(number)}/state')

    def error(self, number):
        return self.read(f'/local/domain/0/error/backend/{self.kind}/5/{number}/error')

    def attach(self, number, params, **keys):
        be, fe = self.back(number), f'/local/domain/5/device/vbd/{number}'
        front = {'backend': be, 'backend-id': '0', 'state': '1', 'virtual-device': str(number),
                 'device-type': keys.get('device_type', 'disk')}
        back = {'frontend': fe, 'frontend-id': '5', 'online': '1', 'state': '1', 'removable': '0',
                'bootable': '1', 'dev': 'any', 'type': self.kind, 'mode': 'w',
                'device-type': 'disk', 'discard-enable': '1', 'params': params,
                **{k.replace('_', '-'): v for k, v in keys.items()}}
        self.write({**{f'{fe}/{k}': v for k, v in front.items()},
                    **{f'{be}/{k}': v for k, v in back.items()}})

    def detach(self, number):
        """As xl block-detach, of a frontend that does its part."""
        self.write({f'{self.back(number)}/online': '0', f'{self.back(number)}/state': '5'})
        self.write({f'/local/domain/5/device/vbd/{number}/state': '6'})
        wait_for(lambda: self.state(number) == '6', 'the backend to close')
        self.remove(number)

    def remove(self, number):
        for path in (self.back(number), f'/local/domain/5/device/vbd/{number}'):
            assert self.run('xenstore-rm', path).returncode == 0


@contextlib.contextmanager
def host(*args, kind='qdisk'):
    """The program as libxl starts it, with a guest; an image "a" of it, and its toolstack."""
    if not shutil.which('xenstore-write'):
        raise tap.Skip('no xenstore-write')
    with Ringtap(BINARY, '-accel', 'xenemu,socket=@DIR@/xen', '-xen-domid', '5', '-xen-attach',
                 '-nodefaults', *args) as r:
        q = r.qmp()
        with open(f'{r.dir}/a', 'wb') as f:
            f.truncate(MIB)
        with Ringtap(BINARY, '-accel', f'xenemu,connect={r.dir}/xen,domid=5,ram=16M') as domu:
            domu.qmp()
            yield r, q, Toolstack(r, kind)


def devices(q):
    return {d['id']: d['class'] for d in q.command('query-devices')}


def nodes(q):
    return q.command('query-named-block-nodes')


def wait_state(t, number, state):
    wait_for(lambda: t.state(number) == state, f'state {state}')


def said(r):
    """What it said on stderr."""
    status, err = r.end()
    assert status == 0
    return err


def test_comes_and_goes():
    with host() as (r, q, t):
        t.attach(XVDA, f'aio:{r.dir}/a')
        wait_state(t, XVDA, '2')
        assert devices(q) == {'xvda': 'xen-disk'}
        (block,) = q.command('query-block')
        assert (block['device'], block['qdev']) == ('xvda', 'xvda')
        # xentop finds the disk of a device by the image's name
        assert block['inserted']['file'] == f'{r.dir}/a'
        (stats,) = q.command('query-blockstats')
        assert stats['device'] == 'xvda'
        assert {'rd_bytes', 'wr_bytes', 'rd_operations', 'wr_operations'} <= set(stats['stats'])
        t.detach(XVDA)
        q.event(GONE)
        assert devices(q) == {} and nodes(q) == [] and q.command('query-block') == []
        assert not any(os.readlink(f'/proc/{r.process.pid}/fd/{fd}') == f'{r.dir}/a'
                       for fd in os.listdir(f'/proc/{r.process.pid}/fd'))
        t.attach(XVDA, f'aio:{r.dir}/a')
        wait_state(t, XVDA, '2')
        assert said(r) == ('ringtap: info: xvda: the guest or its toolstack took the device '
                           'away\n')


def libxl(name):
    """Of libxl's command line for a PV guest: a monitor."""
    return ('-chardev', f'socket,id={name},path=@DIR@/{name},server=on,wait=off',
            '-mon', f'chardev={name},mode=control')


def test_as_libxl_starts_it():
    with host('-no-shutdown', *libxl('libxl-cmd'), *libxl('libxenstat-cmd'), '-no-user-config',
              '-name', 'pv1', '-vnc', 'none', '-display', 'none', '-nographic', '-machine',
              'xenpv', '-m', '256') as (r, _, t):
        assert t.read('/local/domain/0/device-model/5/state') == 'running'
        q = Qmp(f'{r.dir}/libxl-cmd')
        assert {c['label'] for c in q.command('query-chardev')} >= {'libxl-cmd', 'libxenstat-cmd'}
        t.attach(XVDA, f'aio:{r.dir}/a')
        wait_state(t, XVDA, '2')
        assert Qmp(f'{r.dir}/libxenstat-cmd').command('query-blockstats')[0]['device'] == 'xvda'
        status, err = r.end(signal.SIGHUP)
        assert (status, err) == (0, '')


def test_as_libxl_starts_it_restricted():
    with host('-S', '-no-shutdown', *libxl('libxl-cmd'), '-no-user-config', '-name', 'pv1', '-vnc',
              'none', '-display', 'none', '-nographic', '-xen-domid-restrict', '-run-with',
              'chroot=/var/empty', '-chroot', '/var/empty', '-runas', 'nobody', '-machine',
              'xenpv', '-m', '256') as (r, _, t):
        q = Qmp(f'{r.dir}/libxl-cmd')
        assert q.command('query-status')['status'] == 'prelaunch'
        t.attach(XVDA, f'aio:{r.dir}/a')
        q.command('cont')
        wait_state(t, XVDA, '2')
        err = said(r).splitlines()
        assert len(err) == 4 and all('has no effect' in line for line in err), err


def test_as_devd_starts_it():
    with host('-name', 'domain-5', '-nographic', '-M', 'xenpv', '-monitor', '/dev/null', '-serial',
              '/dev/null', '-parallel', '/dev/null') as (r, _, t):
        t.attach(XVDA, f'aio:{r.dir}/a')
        wait_state(t, XVDA, '2')
        assert said(r) == ''


def test_two_disks():
    with host() as (r, q, t):
        shutil.copy(f'{r.dir}/a', f'{r.dir}/b,c')
        t.attach(XVDA, f'aio:{r.dir}/a')
        t.attach(XVDB, f'aio:{r.dir}/b,c')
        wait_state(t, XVDA, '2')
        wait_state(t, XVDB, '2')
        t.detach(XVDA)
        q.event(GONE)
        assert devices(q) == {'xvdb': 'xen-disk'}
        (stats,) = q.command('query-blockstats')
        assert stats['device'] == 'xvdb'


def test_what_the_toolstack_says():
    for keys, driver, read_only, direct in (
            ({}, 'xen-disk', False, False), ({'mode': 'r'}, 'xen-disk', True, False),
            ({'direct_io_safe': '1'}, 'xen-disk', False, True),
            ({'direct_io_safe': '0'}, 'xen-disk', False, False),
            ({'device_type': 'cdrom', 'mode': 'r'}, 'xen-cdrom', True, False)):
        with host() as (r, q, t):
            t.attach(XVDA, f'aio:{r.dir}/a', **keys)
            wait_for(lambda: t.state(XVDA) != '1', 'an answer')
            if direct and t.state(XVDA) == '6':
                raise tap.Skip('no O_DIRECT here')
            assert devices(q) == {'xvda': driver}
            inserted = q.command('query-block')[0]['inserted']
            assert (inserted['ro'], inserted['cache']['direct']) == (read_only, direct), keys


def test_discard():
    for enable, want in (('1', '1'), ('0', '0')):
        with host() as (r, _, t):
            t.attach(XVDA, f'aio:{r.dir}/a', discard_enable=enable)
            wait_state(t, XVDA, '2')
            assert t.read(f'{t.back(XVDA)}/feature-discard') == want


def test_not_one_that_is_there():
    """That a -device has, or that nobody of a toolstack made."""
    with host() as (r, q, t):
        q.command('blockdev-add', driver='file', node_name='n', filename=f'{r.dir}/a')
        q.command('device_add', driver='xen-disk', id='mine', drive='n', vdev='xvda')
        assert t.state(XVDA) == '2'
        assert devices(q) == {'mine': 'xen-disk'}
        shutil.copy(f'{r.dir}/a', f'{r.dir}/b')
        q.command('blockdev-add', driver='file', node_name='m', filename=f'{r.dir}/b')
        for vdev in ('xvda', str(XVDA)):
            assert q.error('device_add', driver='xen-disk', id='two', drive='m', vdev=vdev) == \
                "vdev xvda is in use by device 'mine'"
        q.command('blockdev-del', node_name='m')
        t.attach(XVDB, f'aio:{r.dir}/b')
        wait_state(t, XVDB, '2')
        assert devices(q) == {'mine': 'xen-disk', 'xvdb': 'xen-disk'}
        assert said(r) == ''


def test_that_cannot_be_served():
    """The guest does not wait for it, and the reason stands where people look."""
    for params, keys, reason in (
            ('foo:/x', {}, "xvda: the image's format 'foo' is not known"),
            ('aio:', {}, 'xvda: there is no image'), ('', {}, 'xvda: there is no image'),
            ('aio:', {'device_type': 'cdrom'}, 'xvda: a CD-ROM without a medium'),
            ('aio:/nowhere/x', {}, "Could not open '/nowhere/x': No such file or directory"),
            ('nowhere', {}, "Could not open 'nowhere': No such file or directory")):
        with host() as (r, q, t):
            t.attach(XVDA, params, **keys)
            wait_state(t, XVDA, '6')
            assert t.error(XVDA) == reason, (params, t.error(XVDA))
            assert devices(q) == {} and nodes(q) == []
            t.remove(XVDA)
            wait_for(lambda t=t: t.error(XVDA) is None, 'the reason to go')
            err = said(r)
            assert err == f'ringtap: {t.back(XVDA)} is not served: {reason}\n', err


def test_image_in_use():
    """Its lock keeps a second writer off, of this program or of another one."""
    with host() as (r, q, t):
        t.attach(XVDA, f'aio:{r.dir}/a')
        wait_state(t, XVDA, '2')
        t.attach(XVDB, f'aio:{r.dir}/a')
        wait_state(t, XVDB, '6')
        assert 'lock' in t.error(XVDB), t.error(XVDB)
        assert devices(q) == {'xvda': 'xen-disk'} and len(nodes(q)) == 2


def test_image_of_one_that_ends():
    """A ringtap that was killed has its image a little longer: that is waited for."""
    with host() as (r, q, t), open(f'{r.dir}/a', 'rb') as image:
        # QEMU's byte for "nobody else may write", for a time
        lock = struct.pack('hhqqi4x', fcntl.F_RDLCK, os.SEEK_SET, 201, 1, 0)
        fcntl.fcntl(image, fcntl.F_OFD_SETLK, lock)
        threading.Timer(0.3, image.close).start()
        t.attach(XVDA, f'aio:{r.dir}/a')
        wait_for(lambda: t.state(XVDA) != '1', 'an answer')
        assert t.state(XVDA) == '2', t.error(XVDA)


def test_readers_share_an_image():
    with host() as (r, q, t):
        t.attach(XVDA, f'aio:{r.dir}/a', mode='r')
        t.attach(XVDB, f'aio:{r.dir}/a', mode='r')
        wait_state(t, XVDA, '2')
        wait_state(t, XVDB, '2')
        assert set(devices(q)) == {'xvda', 'xvdb'}


def test_another_format():
    if not shutil.which('qemu-img') or not shutil.which('qemu-storage-daemon'):
        raise tap.Skip('no qemu-img, qemu-storage-daemon')
    with host() as (r, q, t):
        for name, prefix, fmt in (('q', 'qcow2', 'qcow2'), ('v', 'vhd', 'vpc')):
            subprocess.run(['qemu-img', 'create', '-q', '-f', fmt, f'{r.dir}/{name}', '8M'],
                           check=True)
            t.attach(XVDA, f'{prefix}:{r.dir}/{name}')
            wait_for(lambda: t.state(XVDA) != '1', 'an answer')
            assert t.state(XVDA) == '2', t.error(XVDA)
            assert q.command('query-block')[0]['inserted']['drv'] == fmt
            t.detach(XVDA)
            q.event(GONE)
            assert nodes(q) == []
        # never found out by looking at it
        t.attach(XVDA, f'aio:{r.dir}/q')
        wait_state(t, XVDA, '2')
        assert q.command('query-block')[0]['inserted']['drv'] == 'raw'


def test_prelaunch():
    """With -S it has the disk, but does not offer it."""
    with host('-S') as (r, q, t):
        t.attach(XVDA, f'aio:{r.dir}/a')
        wait_for(lambda: devices(q) == {'xvda': 'xen-disk'}, 'the disk')
        assert t.state(XVDA) == '1'
        assert t.read('/local/domain/0/device-model/5/state') is None
        q.command('cont')
        wait_state(t, XVDA, '2')
        assert t.read('/local/domain/0/device-model/5/state') == 'running'


def test_while_stopped():
    with host() as (r, q, t):
        q.command('stop')
        q.event('STOP')
        t.attach(XVDA, f'aio:{r.dir}/a')
        wait_for(lambda: devices(q) == {'xvda': 'xen-disk'}, 'the disk')
        assert t.state(XVDA) == '1'
        q.command('cont')
        wait_state(t, XVDA, '2')


def test_device_del():
    """It does not come again by itself."""
    with host() as (r, q, t):
        t.attach(XVDA, f'aio:{r.dir}/a')
        wait_state(t, XVDA, '2')
        q.command('device_del', id='xvda')
        q.event(GONE)
        assert t.state(XVDA) == '6'
        assert devices(q) == {} and nodes(q) == []


def test_the_end():
    """The toolstack's nodes are its own."""
    with host() as (r, _, t):
        t.attach(XVDA, f'aio:{r.dir}/a')
        wait_state(t, XVDA, '2')
        assert said(r) == ''


def test_vbd():
    """With a script, which is waited for."""
    with host(kind='vbd') as (r, q, t):
        t.attach(HDC, f'{r.dir}/a', script='/etc/xen/scripts/block', hotplug_status='')
        wait_state(t, HDC, '2')
        assert devices(q) == {'hdc': 'xen-disk'}
        t.detach(HDC)
        q.event(GONE)


def test_without_the_option():
    if not shutil.which('xenstore-write'):
        raise tap.Skip('no xenstore-write')
    with Ringtap(BINARY, '-accel', 'xenemu,socket=@DIR@/xen', '-xen-domid', '5') as r:
        q = r.qmp()
        t = Toolstack(r)
        with Ringtap(BINARY, '-accel', f'xenemu,connect={r.dir}/xen,domid=5,ram=16M') as domu:
            domu.qmp()
            t.attach(XVDA, 'aio:/nowhere')
            q.command('query-devices')
            q.command('query-devices')
            assert t.state(XVDA) == '1'


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
