#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The real program with a vhost-user-net device, and as a back-end program by QEMU's
conventions. Usage: test-vhost-user-net.py RINGTAP"""

import ctypes
import os
import socket
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, run, wait_for  # noqa: E402
from vhost_user import GET_FEATURES, FrontEnd  # noqa: E402
import tap  # noqa: E402

BINARY = os.path.abspath(sys.argv[1])
CLONE_NEWNET = 0x40000000
TAP = 'tap,script=no,downscript=no'
NETDEV = ('-netdev', f'{TAP},id=n0,ifname=vu0,queues=2')
LISTEN = ('-chardev', 'socket,id=c0,path=@DIR@/c0,server=on,wait=off')
MAC = '52:54:00:12:34:56'
DEVICE = ('-device', f'vhost-user-net,id=nic0,chardev=c0,netdev=n0,mac={MAC}')


def need_tap():
    if not os.access('/dev/net/tun', os.R_OK | os.W_OK):
        raise tap.Skip('no /dev/net/tun')
    if not need_tap.have:
        raise tap.Skip('no right to make a network namespace')


need_tap.have = os.geteuid() == 0 and ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0


def nic(*args, **kwargs):
    need_tap()
    return Ringtap(BINARY, *NETDEV, *args, **kwargs)


def interfaces():
    return sorted(name for _, name in socket.if_nameindex())


def writable(fifo):
    """A descriptor, once somebody reads there."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def answers(front):
    return front.ask(GET_FEATURES) != 0


# --- the device

def test_its_state_is_the_vmms():
    with nic(*LISTEN, *DEVICE) as r:
        assert r.qmp().error('migrate', uri='unix:/x') == \
            "State blocked by non-migratable device 'nic0'"


def test_help_has_no_bus():
    out = run(BINARY, '-device', 'help')[1]
    assert '\nname "vhost-user-net", desc "' in out, out


def test_two_names_are_wanted():
    for device, text in (('', "Parameter 'netdev' is missing"),
                         (',netdev=n0', "Property 'vhost-user-net.netdev' can't find value 'n0'"),
                         (',bus=pci.0', "Bus 'pci.0' not found")):
        status, out, err = run(BINARY, '-device', f'vhost-user-net,chardev=c0{device}')
        assert (status, out) == (1, '')
        assert err == f'ringtap: -device vhost-user-net,chardev=c0{device}: {text}\n', err


def test_front_ends_come_and_go():
    with nic(*LISTEN, *DEVICE) as r:
        q = r.qmp()
        for _ in range(2):
            with FrontEnd(f'{r.dir}/c0') as front:
                assert front.pairs() == 2 and answers(front)
                (device,) = q.command('query-devices')
                assert device['state'] == 'initialised', device
        assert r.end() == (0, '')  # and there is no Xen
        assert os.listdir(r.dir) == [] and 'vu0' not in interfaces()


def test_liar_is_told_of_and_the_next_is_served():
    with nic(*LISTEN, *DEVICE) as r:
        q = r.qmp()
        with FrontEnd(f'{r.dir}/c0') as liar, FrontEnd(f'{r.dir}/c0') as front:
            liar.send(GET_FEATURES, flags=2)
            assert liar.is_closed()
            event = q.event('DEVICE_ERROR')['data']
            assert event['device'] == 'nic0' and event['reason'], event
            assert q.command('query-devices')[0]['error'] == event['reason']
            assert answers(front)
        status, err = r.end()
        assert status == 0 and f'warning: nic0: {event["reason"]}' in err, err


def test_as_any_nic():
    """What a vif has: its address and queues in queries, its link."""
    with nic(*LISTEN, *DEVICE) as r:
        q = r.qmp()
        (device,) = q.command('query-devices')
        assert device == {'id': 'nic0', 'class': 'vhost-user-net', 'address': MAC,
                          'state': 'init-wait', 'max-queues': 2, 'queues': []}
        assert q.command('query-vif') == []
        lines = q.command('human-monitor-command', command_line='info network').split('\r\n')
        assert lines[0] == f'nic0: index=0,type=nic,model=vhost-user-net,macaddr={MAC}'
        assert lines[1].startswith(' \\ n0: index=0,type=tap,ifname=vu0')
        assert lines[2] == 'nic0: index=1,type=nic,'
        assert lines[3].startswith(' \\ n0: index=1,type=tap,ifname=vu0')
        assert lines[4:] == ['']
        q.command('set_link', name='nic0', up=False)
        q.command('set_link', name='nic0', up=True)
        names = [p['type'] for p in q.command('qom-list', path='/machine/peripheral')]
        assert names == ['string', 'child<vhost-user-net>']


def test_rings_are_an_event():
    """One, with the number of pairs; their counters stay when they are gone."""
    with nic(*LISTEN, *DEVICE) as r:
        q = r.qmp()
        for end in ('reset', 'gone'):
            with FrontEnd(f'{r.dir}/c0') as front:
                front.start_rings(4)
                assert q.event('DEVICE_CONNECTED')['data'] == {'device': 'nic0', 'queues': 2}
                (device,) = q.command('query-devices')
                assert device['state'] == 'connected', device
                assert ['thread-id' in queue for queue in device['queues']] == [True, True]
                if end == 'reset':
                    front.stop_rings(4)
                    q.event('DEVICE_DISCONNECTED')
                    assert answers(front)
            if end == 'gone':
                q.event('DEVICE_DISCONNECTED')
            (device,) = q.command('query-devices')
            assert ['thread-id' in queue for queue in device['queues']] == [False, False]
            assert [g['name'] for g in device['queues'][1]['groups']] == ['tx', 'rx']
        assert not [e for e in q.events if e['event'].startswith('DEVICE_')], q.events
        assert r.end() == (0, 'ringtap: info: nic0: connected, 2 queues\n'
                              'ringtap: info: nic0: disconnected\n' * 2)


def test_rings_that_are_gone_at_once():
    """Nobody hears of the end of what nobody heard of."""
    with nic(*LISTEN, *DEVICE) as r:
        q = r.qmp()
        for _ in range(3):
            with FrontEnd(f'{r.dir}/c0') as front:
                front.start_rings(2)
            with FrontEnd(f'{r.dir}/c0') as front:
                assert answers(front)
        q.close()
        status, err = r.end()
        assert status == 0 and err.count(': connected') == err.count(': disconnected'), err


def test_ringtap_top():
    with nic(*LISTEN, *DEVICE) as r:
        r.qmp().close()
        out = subprocess.run([TOP / 'scripts' / 'ringtap-top', '-i', '0.1', '-n', '1', r.qmp_path],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
    assert out == 'nic0: vhost-user-net, init-wait, 0 queue(s)\n\n', out


def test_hotplug():
    with nic() as r:
        q = r.qmp()
        for _ in range(2):
            q.command('chardev-add', id='c1', backend={'type': 'socket', 'data': {
                'addr': {'type': 'unix', 'data': {'path': f'{r.dir}/c1'}}, 'wait': False}})
            q.command('netdev_add', type='tap', id='n1', ifname='vu1', script='no',
                      downscript='no')
            q.command('device_add', driver='vhost-user-net', id='nic1', chardev='c1', netdev='n1')
            with FrontEnd(f'{r.dir}/c1') as front:
                assert answers(front)
                q.command('device_del', id='nic1')
                assert q.event('DEVICE_DELETED')['data']['device'] == 'nic1'
                assert front.is_closed()
            q.command('chardev-remove', id='c1')
            q.command('netdev_del', id='n1')
        assert interfaces() == ['lo', 'vu0']


# --- QEMU's conventions for back-end programs

def test_socket_path():
    for option in (('--socket-path=@DIR@/s',), ('--socket-path', '@DIR@/s')):
        with nic(*option) as r:
            q = r.qmp()
            for _ in range(2):
                with FrontEnd(f'{r.dir}/s') as front:
                    assert front.pairs() == 2
            (chardev,) = [c for c in q.command('query-chardev') if c['label'][0] == '#']
            assert chardev['frontend-open'] and chardev['filename'].endswith('/s,server=on')
            with FrontEnd(f'{r.dir}/s') as front:
                assert answers(front)
                assert r.end() == (0, '')
                assert front.is_closed()
            assert os.listdir(r.dir) == [] and 'vu0' not in interfaces()


def test_fd_to_listen_at():
    with socket.socket(socket.AF_UNIX) as listener, nic(qmp=False) as r:
        listener.bind(f'{r.dir}/l')
        fd = listener.fileno()
        with Ringtap(BINARY, '-netdev', f'{TAP},id=n0,ifname=vu1', f'--fd={fd}', qmp=False,
                     pass_fds=[fd]) as other:
            for _ in range(2):
                with FrontEnd(f'{r.dir}/l') as front:
                    assert answers(front)
            assert other.end() == (0, '')


def test_fd_that_is_connected():
    """With the only front end there can be the program ends, too."""
    need_tap()
    ours, theirs = socket.socketpair()
    fd = theirs.fileno()
    with nic('--fd', str(fd), pass_fds=[fd]) as r:
        theirs.close()
        q = r.qmp()
        with FrontEnd(sock=ours) as front:
            assert answers(front)
        assert q.event('SHUTDOWN')['data'] == {'guest': True, 'reason': 'guest-shutdown'}
        assert r.end(None) == (0, '')
        assert 'vu0' not in interfaces()


def test_signal_with_a_front_end_is_in_no_hurry():
    """The end of the connection is none of the program, which is under way already: what
    a netdev has to do is done."""
    need_tap()
    ours, theirs = socket.socketpair()
    fd = theirs.fileno()
    with Ringtap(BINARY, '-netdev', 'tap,id=n0,ifname=vu0,script=no,downscript=@DIR@/down',
                 f'--fd={fd}', pass_fds=[fd]) as r:
        theirs.close()
        with open(f'{r.dir}/down', 'w', encoding='ascii') as f:
            f.write(f'#!/bin/sh\nread word <{r.dir}/go\necho $word >{r.dir}/done\n')
        os.chmod(f'{r.dir}/down', 0o755)
        os.mkfifo(f'{r.dir}/go')
        r.qmp().close()
        with FrontEnd(sock=ours) as front:
            assert answers(front)
            r.process.terminate()
            assert front.is_closed()
        go = wait_for(lambda: writable(f'{r.dir}/go'), 'the script')
        with open(go, 'w', encoding='ascii') as f:
            f.write('well\n')
        assert r.end(None) == (0, '')
        with open(f'{r.dir}/done', encoding='ascii') as f:
            assert f.read() == 'well\n'


def test_it_does_not_start_by_half():
    need_tap()
    for args, text in (
            (['--fd=99', *NETDEV], "--fd: File descriptor '99' is not a socket"),
            (['--fd=x', *NETDEV], '--fd: Unable to parse FD number x'),
            (['--fd=', *NETDEV], '--fd: Unable to parse FD number '),
            (['--socket-path=', *NETDEV], '--socket-path: path= must not be empty'),
            (['--socket-path=/nonexistent/x', *NETDEV], '--socket-path: Failed to bind socket to '
             '/nonexistent/x: No such file or directory'),
            (['--socket-path=/nonexistent/x', *NETDEV, '-netdev', f'{TAP},id=n1'],
             '--socket-path takes exactly one -netdev, not 2')):
        status, out, err = run(BINARY, *args)
        assert (status, out, err) == (1, '', f'ringtap: {text}\n'), (args, err)
        assert interfaces() == ['lo']


def test_netdev_is_the_programs():
    """Not another device's, too."""
    with nic('--socket-path=@DIR@/s', *LISTEN, *DEVICE, qmp=False) as r:
        status, err = r.end(None)
        assert status == 1 and "can't take value 'n0', it's in use" in err, err
        assert os.listdir(r.dir) == []


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
