#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A persistent tap over the ends of the program: what keeps it, what ends it.
Usage: test-tap-persist.py RINGTAP"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, wait_for
import tap

BINARY = os.path.abspath(sys.argv[1])
TAP = 'tap,id=n0,ifname=vif9,queues=2,script=no,downscript=no,persist=on'


def sh(command):
    return subprocess.run(['sh', '-c', command], stderr=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=False)


def there():
    return sh('ip link show vif9').returncode == 0


def set_up():
    assert sh('ip link set vif9 master br0 up mtu 1400').returncode == 0


def is_set_up():
    return 'mtu 1400' in (text := sh('ip link show vif9 up').stdout) and 'master br0' in text


def start(*args, netdev=TAP):
    return Ringtap(BINARY, '-nodefaults', '-accel', 'xenemu,socket=@DIR@/xen', '-netdev', netdev,
                   '-device', 'xen-net-device,netdev=n0,id=vif0', *args)


def test_stays_over_a_restart():
    with start() as r:
        r.qmp()
        set_up()
        assert r.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert is_set_up()
    with start() as r:
        r.qmp()
        assert r.end()[0] == 0  # as systemctl restart does
    assert is_set_up()
    with start() as r:
        assert r.qmp().command('quit') == {}
        assert r.end(None)[0] == 0
    assert is_set_up()
    assert sh('ip link del vif9').returncode == 0


def test_new_one_stays_over_an_orderly_end():
    with start() as r:
        r.qmp()
        set_up()
        assert r.end()[0] == 0
    assert is_set_up()
    assert sh('ip link del vif9').returncode == 0


def test_made_again_goes_with_its_device():
    """What took the place of an interface that somebody deleted is ours, too."""
    with start() as r:
        qmp = r.qmp()
        assert sh('ip link del vif9').returncode == 0
        wait_for(lambda: 'error' in qmp.command('query-vif')[0], 'its end')
        assert sh('ip tuntap add vif9 mode tap multi_queue vnet_hdr').returncode == 0
        wait_for(lambda: 'error' not in qmp.command('query-vif')[0], 'the new one')
        assert qmp.command('device_del', id='vif0') == {}
        qmp.event('DEVICE_DELETED')
        assert there()
        assert r.end()[0] == 0
    assert not there()


def test_goes_with_its_device():
    with start() as r:
        qmp = r.qmp()
        set_up()
        assert qmp.command('device_del', id='vif0') == {}
        qmp.event('DEVICE_DELETED')
        assert is_set_up()
        assert r.end()[0] == 0
    assert not there()


def test_goes_with_its_netdev():
    with start() as r:
        qmp = r.qmp()
        assert qmp.command('device_del', id='vif0') == {}
        qmp.event('DEVICE_DELETED')
        assert qmp.command('netdev_del', id='n0') == {}
        assert not there()
        assert r.end()[0] == 0


def test_put_in_place_of_another_goes_with_its_netdev():
    with start(netdev=TAP.replace('persist=on', 'persist=off')) as r:
        qmp = r.qmp()
        assert sh('ip link del vif9').returncode == 0
        wait_for(lambda: 'error' in qmp.command('query-vif')[0], 'its end')
        assert qmp.command('netdev_del', id='n0') == {}
        assert qmp.command('netdev_add', type='tap', id='n0', ifname='vif9', queues=2, script='no',
                           downscript='no', persist=True) == {}
        assert qmp.command('device_del', id='vif0') == {}
        qmp.event('DEVICE_DELETED')
        assert there()
        assert qmp.command('netdev_del', id='n0') == {}
        assert not there()
        assert r.end()[0] == 0


def test_start_that_fails_changes_nothing():
    bad = ('-device', 'xen-net-device,netdev=n0')  # in use
    with start(*bad) as r:
        assert r.end(None)[0] == 1
    assert not there()
    assert sh('ip tuntap add vif9 mode tap multi_queue').returncode == 0
    set_up()
    with start(*bad) as r:
        assert r.end(None)[0] == 1
    assert is_set_up()
    assert sh('ip link del vif9').returncode == 0


if __name__ == '__main__':
    if os.environ.get('IN_NAMESPACE') != '1':
        user = [] if os.geteuid() == 0 else ['-r']
        probe = subprocess.run(['unshare', '-n', *user, 'sh', '-c', 'ip tuntap add t0 mode tap && '
                                'ip link add br0 type bridge'], stderr=subprocess.DEVNULL,
                               check=False)
        if probe.returncode != 0:
            print('1..0 # SKIP no tap and bridge in a network namespace can be had')
            sys.exit(0)
        os.environ['IN_NAMESPACE'] = '1'
        os.execvp('unshare', ['unshare', '-n', *user, sys.executable, *sys.argv])
    assert sh('ip link add br0 type bridge && ip link set br0 up').returncode == 0
    tempfile.tempdir = tempfile.mkdtemp(prefix='ringtap-persist-')
    try:
        tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
    finally:
        shutil.rmtree(tempfile.tempdir)
