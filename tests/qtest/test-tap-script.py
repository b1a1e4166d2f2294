#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts of a tap that take their time, by QMP: who waits for them, and who does not.
Usage: test-tap-script.py RINGTAP"""

import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import WAIT, Qmp, Ringtap, wait_for
import tap

BINARY = os.path.abspath(sys.argv[1])
NAMESPACE = ['unshare', '-n'] if os.geteuid() == 0 else ['unshare', '-rn']


def script(r, name, text):
    path = os.path.join(r.dir, name)
    with open(path, 'w', encoding='ascii') as f:
        f.write(f'#!/bin/sh\n{text}\n')
    os.chmod(path, 0o755)
    return path


def waiting_script(r, name):
    """One that begins to wait once NAME.fifo is there, until it can be opened for writing."""
    return script(r, name, 'mkfifo $0.fifo; read status < $0.fifo; rm $0.fifo; exit $status')


def begun(path):
    wait_for(lambda: os.path.exists(path + '.fifo'), f'{path} to begin')


def let_go(path, status=0):
    with open(path + '.fifo', 'w', encoding='ascii') as f:
        f.write(f'{status}\n')


def start():
    # exec: the process id is ringtap's own
    r = Ringtap(NAMESPACE[0], *NAMESPACE[1:], BINARY, '-machine', 'none', '-nodefaults',
                '-qmp', 'unix:@DIR@/second,server=on,wait=off')
    r.process.stderr.reconfigure(errors='replace')
    return r


def netdev(path_up='no', path_down='no', ident='n0'):
    return {'type': 'tap', 'id': ident, 'ifname': f't-{ident}', 'script': path_up,
            'downscript': path_down}


def ask(qmp, command, **arguments):
    qmp.send(json.dumps({'execute': command, 'arguments': arguments}) + '\n')


def no_reply(qmp):
    qmp.sock.settimeout(0.2)
    try:
        qmp.reply()
    except TimeoutError:
        qmp.sock.settimeout(WAIT)
        return True
    return False


def test_netdev_add_waits_and_others_do_not():
    with start() as r:
        first, second = r.qmp(), Qmp(os.path.join(r.dir, 'second'))
        up = waiting_script(r, 'up')
        ask(first, 'netdev_add', **netdev(up))
        ask(first, 'query-status')
        begun(up)
        assert second.command('query-status')['status'] == 'running'
        assert second.error('netdev_add', **netdev()) == "Duplicate ID 'n0'"
        assert second.error('netdev_del', id='n0') == "Device 'n0' not found"
        assert second.command('netdev_add', **netdev(ident='n1')) == {}
        assert no_reply(first)
        let_go(up)
        assert first.reply() == {'return': {}}
        assert first.reply()['return']['status'] == 'running'  # in its turn
        assert second.command('netdev_del', id='n0') == {}
        assert r.end()[0] == 0


def test_netdev_add_fails_with_its_script():
    with start() as r:
        first = r.qmp()
        up = waiting_script(r, 'up')
        down = script(r, 'down', 'touch $0.ran')
        ask(first, 'netdev_add', **netdev(up, down))
        begun(up)
        let_go(up, 3)
        assert first.reply()['error']['desc'] == f'network script {up} failed with status 3'
        assert not os.path.exists(down + '.ran')
        assert first.command('netdev_add', **netdev()) == {}  # id and interface are free
        assert r.end()[0] == 0


def test_netdev_del_waits_and_others_do_not():
    with start() as r:
        first, second = r.qmp(), Qmp(os.path.join(r.dir, 'second'))
        down = waiting_script(r, 'down')
        assert first.command('netdev_add', **netdev('no', down)) == {}
        ask(first, 'netdev_del', id='n0')
        begun(down)
        assert second.error('netdev_add', **netdev()) == "Duplicate ID 'n0'"
        assert second.error('netdev_del', id='n0') == "Device 'n0' not found"
        assert no_reply(first)
        let_go(down, 1)  # it goes all the same
        assert first.reply() == {'return': {}}
        assert second.command('netdev_add', **netdev()) == {}
        status, err = r.end()
        assert status == 0 and f'n0: network script {down} failed with status 1' in err, err


def test_client_goes_meanwhile():
    with start() as r:
        first, second = r.qmp(), Qmp(os.path.join(r.dir, 'second'))
        up = waiting_script(r, 'up')
        ask(first, 'netdev_add', **netdev(up))
        begun(up)
        first.close()
        let_go(up)
        wait_for(lambda: 'return' in second.execute('netdev_del', id='n0'), 'n0 to be there')
        with_new = r.qmp()
        assert with_new.command('query-status')['status'] == 'running'
        assert r.end()[0] == 0


def test_end_meanwhile():
    with start() as r:
        up = script(r, 'up', 'mkfifo $0.fifo; sleep 60 & echo $! > $0.pid; wait')
        ask(r.qmp(), 'netdev_add', **netdev(up))
        wait_for(lambda: os.path.exists(up + '.pid') and os.path.getsize(up + '.pid'), up)
        with open(up + '.pid', encoding='ascii') as f:
            child = int(f.read())
        start_time = time.monotonic()
        assert r.end()[0] == 0
        assert time.monotonic() - start_time < 10
        wait_for(lambda: not os.path.exists(f'/proc/{child}/exe'), 'the end of what it started')


def test_end_waits_for_downscripts():
    with start() as r:
        first, second = r.qmp(), Qmp(os.path.join(r.dir, 'second'))
        downs = [waiting_script(r, f'down{i}') for i in range(2)]
        for i, down in enumerate(downs):
            assert first.command('netdev_add', **netdev('no', down, f'n{i}')) == {}
        r.process.send_signal(signal.SIGTERM)
        for down in downs:
            begun(down)  # at the same time
        assert second.command('query-status')['status'] == 'shutdown'
        for down in downs:
            let_go(down)
        assert r.end(None)[0] == 0


def test_second_signal_ends_at_once():
    with start() as r:
        down = script(r, 'down', 'touch $0.fifo; sleep 60')
        assert r.qmp().command('netdev_add', **netdev('no', down)) == {}
        r.process.send_signal(signal.SIGTERM)
        begun(down)
        start_time = time.monotonic()
        assert r.end()[0] == 0
        assert time.monotonic() - start_time < 10


if __name__ == '__main__':
    tests = {n: f for n, f in globals().items() if n.startswith('test_')}
    probe = subprocess.run([*NAMESPACE, 'sh', '-c', 'ip tuntap add t0 mode tap'],
                           stderr=subprocess.DEVNULL, check=False)
    if probe.returncode != 0:
        print('1..0 # SKIP no tap in a network namespace can be had')
    else:
        tap.run(tests)
