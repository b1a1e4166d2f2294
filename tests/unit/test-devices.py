#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices of the real program, whatever their class. Usage: test-devices.py RINGTAP"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, wait_for
import tap

BINARY = os.path.abspath(sys.argv[1])
CLONE_NEWNET = 0x40000000
SLACK = 2  # seconds, for a busy machine: what is forbidden has no end
TAP = 'tap,script=no,downscript=no'


def host(*args):
    return Ringtap(BINARY, '-accel', 'xenemu,socket=@DIR@/xen', '-xen-domid', '5', *args)


def guest(back, domid, name, *args):
    return Ringtap(BINARY, '-accel', f'xenemu,connect={back.dir}/xen,domid={domid},ram=64M',
                   '-netdev', f'{TAP},id=n0,ifname={name}', '-device',
                   'xen-netfront,netdev=n0,id=front', *args)


def need_tap():
    if not os.access('/dev/net/tun', os.R_OK | os.W_OK):
        raise tap.Skip('no /dev/net/tun')
    if not need_tap.have:
        raise tap.Skip('no right to make a network namespace')


need_tap.have = os.geteuid() == 0 and ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0


def netdevs(*names):
    return [word for i, name in enumerate(names)
            for word in ('-netdev', f'{TAP},id=n{i},ifname={name}')]


@contextlib.contextmanager
def stopped(r):
    os.kill(r.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(r.process.pid, signal.SIGCONT)


def test_two_guests_with_the_same_idx():
    """One process serves the vif 0 of two guests, each connects to its own."""
    need_tap()
    with host(*netdevs('bk0', 'bk1', 'bk2'),
              '-device', 'xen-net-device,netdev=n0,id=a,idx=0',
              '-device', 'xen-net-device,netdev=n1,id=b,idx=0,frontend-id=6') as back:
        q = back.qmp()
        assert q.error('device_add', driver='xen-net-device', netdev='n2', idx=0,
                       frontend_id=6) == "idx 0 is in use by device 'b'"
        assert q.error('device_add', driver='xen-net-device', netdev='n2', idx=0) == \
            "idx 0 is in use by device 'a'"
        with guest(back, 6, 'fr6') as six:
            assert q.event('VIF_CONNECTED')['data']['device'] == 'b'
            with guest(back, 5, 'fr5') as five:
                assert q.event('VIF_CONNECTED')['data']['device'] == 'a'
                vifs = {v['id']: v for v in q.command('query-vif')}
                assert {n: (v['frontend-id'], v['idx'], v['state']) for n, v in vifs.items()} == {
                    'a': (5, 0, 'connected'), 'b': (6, 0, 'connected')}
                assert vifs['a']['mac'] != vifs['b']['mac']
                q.command('device_del', id='b')
                q.event('DEVICE_DELETED')
                assert [v['state'] for v in q.command('query-vif')] == ['connected']
                assert five.end()[0] == 0
            assert six.end()[0] == 0


def test_frontend_id_in_its_range():
    need_tap()
    with host(*netdevs('bk0')) as r:
        q = r.qmp()
        for number in (-2, 32752, 65535):
            assert q.error('device_add', driver='xen-net-device', netdev='n0',
                           frontend_id=number) == \
                'frontend-id must be in range [0, 32751], or -1', number
        q.command('device_add', driver='xen-net-device', netdev='n0', frontend_id=32751)
        assert q.command('query-vif')[0]['frontend-id'] == 32751


def test_grant_copy():
    need_tap()
    with host(*netdevs('bk0', 'bk1'), '-device',
              'xen-net-device,netdev=n0,id=a,grant-copy=hypercall') as back:
        q = back.qmp()
        assert q.error('device_add', driver='xen-net-device', netdev='n1',
                       grant_copy='privcmd') == \
            "Parameter 'grant-copy' does not accept value 'privcmd'"
        q.command('device_add', driver='xen-net-device', netdev='n1', grant_copy='ioctl')
        with guest(back, 5, 'fr5'):
            assert q.event('VIF_CONNECTED')['data']['device'] == 'a'


def counters(queue):
    return {g['name']: {c['name']: c['value'] for c in g['counters']} for g in queue['groups']}


def test_query_devices_is_as_query_vif():
    need_tap()
    with host(*netdevs('bk0'), '-device', 'xen-net-device,netdev=n0,id=a,mac=00:16:3e:00:00:01') \
            as back:
        q = back.qmp()
        with guest(back, 5, 'fr5') as front:
            q.event('VIF_CONNECTED')
            (vif,) = q.command('query-vif')
            (device,) = q.command('query-devices')
            queues = device.pop('queues')
            assert device == {'id': 'a', 'class': 'xen-net-device', 'bus': 'xen', 'guest': 5,
                              'idx': 0, 'address': '00:16:3e:00:00:01', 'state': 'connected',
                              'max-queues': 1}
            assert [queue['thread-id'] for queue in queues] == \
                [queue['thread-id'] for queue in vif['queues']]
            assert {d: list(c) for d, c in counters(queues[0]).items()} == {
                d: list(vif['queues'][0][d]) for d in ('tx', 'rx')}
            (device,) = front.qmp().command('query-devices')
            assert device['class'] == 'xen-netfront' and 'guest' not in device


def test_counters_stay_while_disconnected():
    need_tap()
    with host(*netdevs('bk0'), '-device', 'xen-net-device,netdev=n0,id=a') as back:
        q = back.qmp()
        assert q.command('query-vif')[0]['queues'] == []
        with guest(back, 5, 'fr5') as front:
            q.event('VIF_CONNECTED')
            p = front.qmp()
            wait_for(lambda: p.command('query-vif')[0]['state'] == 'connected', 'the front')
            p.command('device_del', id='front')
            q.event('VIF_DISCONNECTED')
            (vif,) = q.command('query-vif')
            assert vif['state'] != 'connected'
            (queue,) = vif['queues']
            assert set(queue) == {'queue', 'tx', 'rx'}
            assert queue['rx']['events-received'] + queue['tx']['events-received'] > 0
            (device,) = q.command('query-devices')
            assert 'thread-id' not in device['queues'][0]
            assert counters(device['queues'][0])['tx'] == queue['tx']


def test_last_reason_stays_while_disconnected():
    need_tap()
    if not shutil.which('xenstore-write'):
        raise tap.Skip('no xenstore-write')
    with host(*netdevs('bk0'), '-device', 'xen-net-device,netdev=n0,id=a') as back:
        q = back.qmp()
        with guest(back, 5, 'fr5', '-S') as front:
            front.qmp()  # the domain is there
            # it promises more queues than it was offered
            front_dir = '/local/domain/5/device/vif/0'
            for key, value in (('multi-queue-num-queues', '7'), ('state', '4')):
                subprocess.run(['xenstore-write', f'{front_dir}/{key}', value], check=True,
                               env={**os.environ, 'XENSTORED_PATH': f'{back.dir}/xen.xenstore'})
            reason = q.event('VIF_ERROR')['data']['reason']
            assert 'multi-queue-num-queues' in reason, reason
            for name in ('query-vif', 'query-devices'):
                (found,) = q.command(name)
                assert found['state'] != 'connected' and found['error'] == reason, found


@contextlib.contextmanager
def connected():
    """The program on both sides of a vif, and QMP of each: back, front, q, p."""
    need_tap()
    with host(*netdevs('bk0'), '-device', 'xen-net-device,netdev=n0,id=a') as back:
        q = back.qmp()
        with guest(back, 5, 'fr5') as front:
            p = front.qmp()
            q.event('VIF_CONNECTED')
            wait_for(lambda: p.command('query-vif')[0]['state'] == 'connected', 'the front')
            yield back, front, q, p


def test_ends_beside_a_host_that_stopped():
    """In three seconds, as promised, and what is asked meanwhile is answered."""
    with connected() as (back, front, _, p), stopped(back):
        start = time.monotonic()
        front.process.send_signal(signal.SIGTERM)
        p.event('SHUTDOWN')
        p.command('query-vif')
        assert front.end(None)[0] == 0
        assert time.monotonic() - start < 3 + SLACK


def test_outlives_a_host_that_stopped():
    """Its answers come late, and it is not taken for gone."""
    with connected() as (back, front, q, p):
        for _ in range(2):
            with stopped(back):
                p.command('device_del', id='front')
                p.event('DEVICE_DELETED')  # its ports were closed, and no answer has come
            wait_for(lambda: 'return' in p.execute('device_add', driver='xen-netfront',
                                                   netdev='n0', id='front'), 'XenStore')
            q.event('VIF_CONNECTED')
        assert front.end()[0] == 0


def test_second_signal_beside_a_host_that_stopped():
    with connected() as (back, front, _, p), stopped(back):
        front.process.send_signal(signal.SIGTERM)
        p.event('SHUTDOWN')
        p.command('query-vif')  # the loop has gone on
        start = time.monotonic()
        front.process.send_signal(signal.SIGTERM)
        assert front.end(None)[0] == 0
        assert time.monotonic() - start < SLACK


def test_toolstack_finds_no_state_after_the_end():
    node = '/local/domain/0/device-model/5/state'
    if not shutil.which('xenstore-watch'):
        raise tap.Skip('no xenstore-watch')
    with host('-xen-attach') as r:
        env = {**os.environ, 'XENSTORED_PATH': f'{r.dir}/xen.xenstore'}
        r.qmp()

        def running():
            return subprocess.run(['xenstore-read', node], env=env, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, check=False).stdout == b'running\n'

        wait_for(running, 'the state')
        with subprocess.Popen(['xenstore-watch', node], env=env, bufsize=0,
                              stdout=subprocess.PIPE) as watch:
            try:
                assert watch.stdout.readline().decode().strip() == node  # it is set up
                status = r.end()[0]
                # the emulated XenStore ends with us, its last word was that
                said = select.select([watch.stdout], [], [], 5)[0]
            finally:
                watch.kill()
            assert said and watch.stdout.readline().decode().strip() == node
            assert status == 0


def test_64_queues():
    """As many as a vif may have, in the program's own emulated Xen."""
    need_tap()
    with host('-netdev', f'{TAP},id=n0,ifname=bk0,queues=64',
              '-device', 'xen-net-device,netdev=n0,id=a') as back:
        q = back.qmp()
        with Ringtap(BINARY, '-accel', f'xenemu,connect={back.dir}/xen,domid=5',
                     '-netdev', f'{TAP},id=n0,ifname=fr5,queues=64', '-device',
                     'xen-netfront,netdev=n0,id=front'):
            assert q.event('VIF_CONNECTED')['data']['queues'] == 64


def test_classes():
    with Ringtap(BINARY, '-machine', 'none') as r:
        classes = {c['name']: c for c in r.qmp().command('query-device-classes')
                   if c['description'] != 'accepted, without effect'}
        assert {n: c.get('bus') for n, c in classes.items()} == {
            'xen-net-device': 'xen', 'xen-netfront': 'xen', 'xen-disk': 'xen', 'xen-cdrom': 'xen',
            'vhost-user-net': None, 'virtio-net-device': 'virtio-bus', 'virtio-net-pci': 'PCI'}
        disk = {'read', 'write', 'flush', 'discard', 'ring'}
        for name, c in classes.items():
            assert c['description']
            assert {x['group'] for x in c['counters']} == (
                disk if name in ('xen-disk', 'xen-cdrom') else {'tx', 'rx'})
            assert all(x['unit'] and x['help'] for x in c['counters'])
        assert {'group': 'rx', 'name': 'bytes', 'unit': 'bytes',
                'help': 'of these packets, Ethernet header included'} in \
            classes['xen-netfront']['counters']


def test_unplug_by_path():
    with Ringtap(BINARY, '-machine', 'none', '-device', 'VGA,id=v0', '-device', 'VGA') as r:
        q = r.qmp()
        for path in ('/machine/peripheral/#dev0', '/machine/peripheral-anon/v0', '/machine/v0',
                     '/machine/peripheral/v1', '/machine/peripheral/'):
            reply = q.execute('device_del', id=path)
            assert reply['error'] == {'class': 'DeviceNotFound',
                                      'desc': f"Device '{path}' not found"}
        for path in ('/machine/peripheral/v0', '/machine/peripheral-anon/#dev0'):
            q.command('device_del', id=path)
            assert q.event('DEVICE_DELETED')['data']['path'] == path


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
