#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of a machine and its devices goes from one ringtap to another.

Usage: test-migrate.py RINGTAP-WITH-TOY"""

import os
import socket
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, run, wait_for  # noqa: E402
import tap  # noqa: E402

BINARY = os.path.abspath(sys.argv[1])
TOYS = ('-device', 'toy,id=toy0,spring=spring0,speed=3',
        '-device', 'toy,id=toy1,spring=spring1')


def machine(*args, name='none', toys=TOYS, **kwargs):
    r = Ringtap(BINARY, '-machine', name, '-nodefaults', *toys, *args, **kwargs)
    q = r.qmp()
    q.command('migrate-set-capabilities', capabilities=[{'capability': 'events', 'state': True}])
    return r, q


def turns(q, toy):
    device = [d for d in q.command('query-devices') if d['id'] == toy][0]
    return [c['value'] for g in device['queues'][0]['groups'] if g['name'] == 'wound'
            for c in g['counters'] if c['name'] == 'turns'][0]


def statuses(q, last):
    """Of MIGRATION, up to the one that is the last."""
    seen = []
    while not seen or seen[-1] != last:
        seen.append(q.event('MIGRATION')['data']['status'])
    return seen


def wind_while_stopped(q):
    """A state that the other side does not have by itself."""
    q.command('stop')
    q.event('STOP')
    q.command('toy-wind', id='toy0', turns=5)
    q.command('toy-wind', id='toy1', turns=2)


def moved(q, other):
    """What was to be seen of a whole one, and that the devices go on."""
    assert statuses(q, 'completed') == ['setup', 'active', 'completed']
    info = q.command('query-migrate')
    assert info['status'] == 'completed' and info['ram']['transferred'] > 0, info
    assert info['downtime'] == info['total-time'], info
    assert q.command('query-status') == {'status': 'postmigrate', 'running': False}
    assert statuses(other, 'completed')[-2:] == ['active', 'completed']
    other.event('RESUME')
    assert other.command('query-migrate') == {'status': 'completed'}
    assert other.command('query-status')['status'] == 'running'
    was_wound(other)


def was_wound(other):
    assert (turns(other, 'toy0'), turns(other, 'toy1')) == (5, 2)


def test_unix():
    r, q = machine()
    with r:
        target, other = machine('-incoming', 'unix:@DIR@/in')
        with target:
            assert other.command('query-status') == {'status': 'inmigrate', 'running': False}
            wind_while_stopped(q)
            q.command('migrate', uri=f'unix:{target.dir}/in', detach=True)
            moved(q, other)
            assert not os.path.exists(f'{target.dir}/in')
            assert target.end()[0] == 0
        assert r.end()[0] == 0


def test_file():
    r, q = machine()
    with r:
        wind_while_stopped(q)
        q.command('migrate', uri=f'file:{r.dir}/state')
        wait_for(lambda: q.command('query-migrate')['status'] == 'completed', 'the end')
        target, other = machine('-incoming', f'file:{r.dir}/state')
        with target:
            wait_for(lambda: other.command('query-status')['status'] == 'running', 'its state')
            was_wound(other)


def test_descriptors_of_a_file():
    """As libvirt has it saved: behind a header of its own, into a file that it opened."""
    with tempfile.NamedTemporaryFile() as f:
        f.write(b'a header')
        f.flush()
        out, back = os.open(f.name, os.O_WRONLY), os.open(f.name, os.O_RDONLY)
        uri = 'file:/dev/fdset/7,offset=4096'
        r, q = machine('-add-fd', f'fd={out},set=7', pass_fds=[out])
        with r:
            wind_while_stopped(q)
            q.command('migrate', uri=uri)
            wait_for(lambda: q.command('query-migrate')['status'] == 'completed', 'the end')
        assert Path(f.name).read_bytes().startswith(b'a header\0')
        target, other = machine('-add-fd', f'fd={back},set=7', '-incoming', uri, pass_fds=[back])
        with target:
            wait_for(lambda: other.command('query-status')['status'] == 'running', 'its state')
            was_wound(other)
        os.close(out)
        os.close(back)


def test_descriptors():
    r, q = machine()
    with r:
        target, other = machine('-incoming', 'defer')
        with target:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                q.command('getfd', fdname='m', fds=[ours.fileno()])
                other.command('getfd', fdname='m', fds=[theirs.fileno()])
            wind_while_stopped(q)
            assert q.error('migrate', uri='fd:n') == \
                "File descriptor named 'n' has not been found"
            other.command('migrate-incoming', uri='fd:m')
            q.command('migrate', uri='fd:m')
            moved(q, other)


def test_tcp():
    r, q = machine()
    with r:
        with socket.create_server(('127.0.0.1', 0)) as s:
            port = s.getsockname()[1]
        target, other = machine('-incoming', f'tcp:127.0.0.1:{port}')
        with target:
            wind_while_stopped(q)
            q.command('migrate', uri=f'tcp:127.0.0.1:{port}')
            moved(q, other)


def test_a_running_one():
    r, q = machine()
    with r:
        target, other = machine('-incoming', 'unix:@DIR@/in')
        with target:
            q.command('migrate', uri=f'unix:{target.dir}/in')
            q.event('STOP')
            statuses(q, 'completed')
            other.event('RESUME')
            # whoever was left may go on, as when the other one was given up
            assert q.error('migrate', uri='unix:/x') == \
                "Can't migrate the vm that was paused due to previous migration"
            q.command('cont')
            assert q.command('toy-wind', id='toy0', turns=1) == {'running': True}


def test_paused_ones():
    r, q = machine('-S')
    with r:
        target, other = machine('-S', '-incoming', 'unix:@DIR@/in')
        with target:
            q.command('migrate', uri=f'unix:{target.dir}/in')
            statuses(q, 'completed')
            statuses(other, 'completed')
            assert other.command('query-status')['status'] == 'paused'
            other.command('cont')
            assert other.command('query-status')['status'] == 'running'


def test_memory():
    args = ('-m', '16')
    r, q = machine('-qtest', 'unix:@DIR@/qtest,server=on,wait=off', *args, name='pc')
    with r:
        target, other = machine('-incoming', 'unix:@DIR@/in', '-qtest',
                                'unix:@DIR@/qtest,server=on,wait=off', *args, name='pc')
        with target:
            ours, theirs = qtest(r), qtest(target)
            assert say(ours, 'write 0xfff000 0x4 0x01020304') == 'OK'
            assert say(theirs, 'write 0x1000 0x4 0x05060708') == 'OK'  # it does not stay
            q.command('migrate', uri=f'unix:{target.dir}/in')
            statuses(other, 'completed')
            assert say(theirs, 'read 0xfff000 0x4') == 'OK 0x01020304'
            assert say(theirs, 'read 0x1000 0x4') == 'OK 0x00000000'
            assert q.command('query-migrate')['ram']['total'] == 16 << 20


def qtest(r):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(f'{r.dir}/qtest')
    return s.makefile('rw')


def say(s, line):
    s.write(line + '\n')
    s.flush()
    return s.readline().strip()


def fill(r):
    """More than a socket takes at once."""
    client = qtest(r)
    for at in range(0, 8 << 20, 1 << 20):
        assert say(client, f'memset {at} {1 << 20} 0x5a') == 'OK'


# --- what goes wrong leaves both as they were ---

def refused_by_target(source_args, target_args, text):
    """The target refuses, waits on, and takes another one."""
    r, q = machine(**source_args)
    with r:
        target, other = machine('-incoming', 'unix:@DIR@/in', **target_args)
        with target:
            q.command('migrate', uri=f'unix:{target.dir}/in')
            statuses(other, 'failed')
            info = other.command('query-migrate')
            assert info['error-desc'] == text, info
            assert other.command('query-status')['status'] == 'inmigrate'
            good, again = machine(**target_args)
            with good:
                other.command('migrate-incoming', uri=f'unix:{target.dir}/again')
                again.command('migrate', uri=f'unix:{target.dir}/again')
                statuses(other, 'completed')
            status, err = target.end()
            assert status == 0 and f'warning: migration: {text}\n' in err, err


def test_other_machine():
    refused_by_target({'name': 'none'}, {'name': 'xenpv'},
                      "Machine type received is 'none' and local is 'xenpv'")


def test_device_that_is_not_there():
    refused_by_target({}, {'toys': TOYS[:2]},
                      "Unknown savevm section or instance 'toy/toy1' 0. Make sure that your "
                      "current VM setup matches your saved VM setup, including any hotplugged devices")


def test_device_without_state():
    refused_by_target({'toys': TOYS[:2]}, {},
                      'State of 1 devices was received and there are 2 locally')


def test_nobody_there():
    r, q = machine()
    with r:
        assert q.error('migrate', uri='unix:/none') == \
            "Failed to connect to '/none': No such file or directory"
        assert q.error('migrate', uri='rdma:x') == 'unknown migration protocol: rdma:x'
        assert q.command('query-migrate') == {}
        assert q.command('query-status')['status'] == 'running'
        assert q.error('migrate-incoming', uri='unix:/x') == \
            "'-incoming' was not specified on the command line"


def test_peer_that_goes():
    """A disk that is full, or a process that ends: the guest goes on."""
    r, q = machine()
    with r:
        q.command('migrate', uri='file:/dev/full')
        assert statuses(q, 'failed') == ['setup', 'active', 'failed']
        q.event('RESUME')
        assert q.command('query-migrate')['error-desc'] == \
            'Unable to write to migration stream: No space left on device'
        assert q.command('query-status')['status'] == 'running'
        assert q.command('toy-wind', id='toy0', turns=1) == {'running': True}
        q.command('migrate', uri=f'file:{r.dir}/state')  # and another one goes well
        statuses(q, 'completed')


def test_cancel():
    """A peer that does not read is not waited for."""
    r, q = machine('-m', '16', '-qtest', 'unix:@DIR@/qtest,server=on,wait=off', name='pc')
    with r, socket.socket(socket.AF_UNIX) as s:
        fill(r)
        s.bind(f'{r.dir}/deaf')
        s.listen()
        q.command('migrate', uri=f'unix:{r.dir}/deaf')
        assert q.error('migrate', uri='unix:/x') == "There's a migration process in progress"
        assert q.error('device_add', driver='toy', spring='spring1') == \
            'device_add not allowed while migrating'
        assert q.error('device_del', id='toy0') == 'device_del not allowed while migrating'
        assert q.error('cont') == 'Migration is not finalized yet'
        time.sleep(0.1)  # it is likely to wait
        q.command('migrate_cancel')
        assert statuses(q, 'cancelled') == ['setup', 'active', 'cancelling', 'cancelled']
        q.event('RESUME')
        assert q.command('query-migrate')['status'] == 'cancelled'
        q.command('migrate_cancel')  # nothing is left of it


def test_quit_at_any_time():
    r, q = machine('-m', '16', '-qtest', 'unix:@DIR@/qtest,server=on,wait=off', name='pc')
    with r, socket.socket(socket.AF_UNIX) as s:
        fill(r)
        s.bind(f'{r.dir}/deaf')
        s.listen()
        q.command('migrate', uri=f'unix:{r.dir}/deaf')
        assert r.end()[0] == 0
    for uri in ('unix:@DIR@/in', 'defer'):
        r, q = machine('-incoming', uri)
        with r:
            assert r.end()[0] == 0


def test_quit_while_it_comes():
    r, q = machine('-incoming', 'unix:@DIR@/in')
    with r, socket.socket(socket.AF_UNIX) as s:
        s.connect(f'{r.dir}/in')
        assert statuses(q, 'active') == ['active']
        assert q.error('migrate-incoming', uri='unix:/x') == \
            'The incoming migration has already been started'
        assert q.error('migrate', uri='unix:/x') == "There's a migration process in progress"
        assert r.end()[0] == 0


def test_rubbish():
    """Nothing of it is believed, nothing is lost by it."""
    r, q = machine()
    with r:
        q.command('migrate', uri=f'file:{r.dir}/state')
        statuses(q, 'completed')
        whole = Path(r.dir, 'state').read_bytes()
    target, other = machine('-incoming', 'defer')
    with target:
        path = Path(target.dir, 'state')
        flipped = whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]
        for bad in (b'', b'QEMU', whole[:-1], whole[:40], flipped):
            path.write_bytes(bad)
            other.command('migrate-incoming', uri=f'file:{path}')
            statuses(other, 'failed')
            assert 'igration stream' in other.command('query-migrate')['error-desc']
        path.write_bytes(whole)
        other.command('migrate-incoming', uri=f'file:{path}')
        statuses(other, 'completed')
        other.event('RESUME')


def test_command_line():
    status, _, err = run(BINARY, '-machine', 'none', '-incoming', 'file:/none')
    assert (status, err) == (1, "ringtap: Could not open '/none': No such file or directory\n"), err
    status, _, err = run(BINARY, '-machine', 'none', '-incoming', 'nonsense')
    assert (status, err) == (1, 'ringtap: unknown migration protocol: nonsense\n'), err


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
