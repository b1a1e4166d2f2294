#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The real program: help, errors, start, daemonize, signals. Usage: test-cli.py RINGTAP"""

import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import WAIT, Qmp, Ringtap, run, wait_for
import tap

BINARY = os.path.abspath(sys.argv[1])
UUID = 'b8e1d2c4-5a6f-4b7c-8d9e-0f1a2b3c4d5e'
NONE = ('-machine', 'none', '-nodefaults')


def assert_help(args, *texts):
    status, out, err = run(BINARY, *args)
    assert status == 0, (args, status, err)
    assert err == '', err
    for text in texts:
        assert text in out, (text, out)


def assert_refused(args, text):
    """The one line on stderr (hints may follow), exit 1, nothing on stdout."""
    status, out, err = run(BINARY, *args)
    assert status == 1, (args, status, err)
    assert out == '', out
    assert err.split('\n')[0] == 'ringtap: ' + text, (args, err)


def assert_listens(path, kind=socket.SOCK_STREAM):
    """Now, and not after a while: callers connect as soon as the parent has ended."""
    with socket.socket(socket.AF_UNIX, kind) as client:
        client.connect(path)


def cpu_ticks(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])


def sleeps(pid):
    """In the program itself, not in the child of Python that is to become it."""
    with open(f'/proc/{pid}/stat', encoding='ascii') as f:
        name, rest = f.read().split('(', 1)[1].rsplit(')', 1)
    return name == 'ringtap' and rest.split()[0] == 'S'


def files_of(directory):
    return sorted(os.listdir(directory))


def starved_client(r, path):
    """Connected to path; the program had no descriptor for it for a while."""
    used = len(os.listdir(f'/proc/{r.process.pid}/fd'))
    soft, hard = resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (3, hard))
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    time.sleep(0.1)
    before = cpu_ticks(r.process.pid)
    time.sleep(0.3)
    assert cpu_ticks(r.process.pid) - before < 10
    assert 'cannot accept a client: Too many open files' in r.process.stderr.readline()
    assert used == len(os.listdir(f'/proc/{r.process.pid}/fd'))
    resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    return client


# --- help

def test_help():
    for spelling in ('-help', '--help', '-h'):
        assert_help([spelling], 'usage: ringtap [options]', '-netdev tap,', '-daemonize')


def test_version():
    for spelling in ('-version', '--version'):
        status, out, _ = run(BINARY, spelling)
        assert status == 0 and out.startswith('ringtap version '), out


# the question, and what is in the answer
TOPICS = (
    (['-help'], ['usage: ringtap [options]']),
    (['-version'], ['ringtap version ']),
    (['-netdev', 'help'], ['Available netdev backend types:\nsocket\nstream\ndgram\ntap\n']),
    (['-netdev', 'tap,help'], ['tap options:\n', '  queues=<uint32>']),
    (['-netdev', 'tap,?'], ['tap options:']),
    # what is tried by itself is no value: see test_netdev_errors
    (['-netdev', 'tap,help'], ['on insists, off has none, tried if absent\n']),
    (['-blockdev', 'help'], ['Available blockdev drivers:\nfile\nhost_device\nnbd\nraw\nqcow2\n']),
    (['-blockdev', 'host_device,help'], ['host_device options:\n', '  filename=<str>',
                                         '  read-only=<bool>']),
    (['-blockdev', 'raw,help'], ['raw options:\n', '  file=<BlockdevRef>']),
    (['-drive', 'help'], ['drive options:\n', '  format=<str>']),
    (['-drive', 'if=none,help'], ['drive options:\n']),
    (['-device', 'help'], ['name "xen-net-device"', 'name "xen-netfront"']),
    (['-device', 'xen-net-device,help'], ['xen-net-device options:', '  netdev=<str>']),
    (['-device', 'xen-netfront,help'], ['xen-netfront options:', '  queues=<uint32>']),
    (['-device', 'xen-net-device,netdev=n0,help'], ['xen-net-device options:']),
    (['-object', 'help'], ['List of user creatable objects:\n  iothread\n', '\n  secret\n']),
    (['-object', 'iothread,help'], ['iothread options:', '  poll-max-ns=<size>']),
    (['-accel', 'help'], ['xen\nxenemu\nqtest\ntcg\nkvm\n']),
    (['-accel', 'xenemu,help'], ['  socket=<str>']),
    (['-machine', 'help'], ['Supported machines are:', 'xenpv']),
    (['-machine', 'xenpv,help'], ['xenpv-machine options:', '  accel=<str>']),
    (['-machine', 'none,?'], ['none-machine options:']),
    (['-M', 'help'], ['Supported machines are:', '(alias of pc-i440fx-10.0)']),
    (['-machine', 'pc,help'], ['pc-machine options:']),
    (['-machine', 'pc-i440fx-7.2,help'], ['pc-machine options:']),
    (['-machine', 'virt,help'], ['virt-machine options:']),
    (['-name', 'guest=a,help'], ['name options:\n', '  guest=<str>']),
    (['-msg', 'help'], ['msg options:\n', '  timestamp=<bool>']),
    (['-display', 'help'], ['Available display backend types:\nnone\n']),
    (['-chardev', 'help'], ['Available chardev backend types:\nnull\npty\nsocket\n']),
    (['-chardev', 'socket,help'], ['socket options:\n', '  wait=<bool>']),
    (['-mon', 'help'], ['mon options:\n', '  mode=<str>']),
    (['-mon', 'c,help'], ['mon options:\n']),
    (['-qmp', 'help'], ['unix:PATH[,server=on|off][,wait=on|off]']),
    (['-sandbox', 'help'], ['-sandbox has no effect']),
    (['-cpu', 'help'], ['-cpu has no effect']),
    (['-trace', '?'], ['-trace has no effect']),
    (['-smp', 'cpus=2,help'], ['smp options:\n', '  maxcpus=<uint64>']),
    (['-boot', 'help'], ['boot options:\n', '  menu=<bool>']),
)


def test_help_topics():
    for args, texts in TOPICS:
        assert_help(args, *texts)


def test_help_needs_nothing():
    """Not root, no tun, no Xen, no place to write."""
    hide = 'set -e; ! [ -d /dev/net ] || mount -t tmpfs none /dev/net; ! [ -e /dev/net/tun ]; '
    nobody = 'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'

    def as_nobody(*argv):
        return subprocess.run(['unshare', '--mount', 'sh', '-c', hide + nobody, 'sh', *argv],
                              env={'PATH': os.environ['PATH'], 'XDG_RUNTIME_DIR': '/nonexistent'},
                              cwd='/', capture_output=True, text=True, check=False)

    if as_nobody('true').returncode != 0:
        raise tap.Skip('cannot hide /dev/net and become another user')
    if as_nobody('test', '-x', BINARY).returncode != 0:
        raise tap.Skip('another user may not run the program')
    for args, texts in TOPICS:
        done = as_nobody(BINARY, *args)
        assert (done.returncode, done.stderr) == (0, ''), (args, done)
        for text in texts:
            assert text in done.stdout, (args, text, done.stdout)


def test_help_wins_over_other_options():
    assert_help(['-netdev', 'tap,id=n0,queues=x', '-device', 'help'], 'Network devices:')


# --- errors

def test_help_on_what_is_unknown():
    assert_refused(['-device', 'foo,help'],
                   "-device foo,help: 'foo' is not a valid device model name")
    assert_refused([*NONE, '-netdev', 'foo,help'],
                   "-netdev foo,help: Parameter 'type' does not accept value 'foo'")


def test_unknown_options():
    assert_refused(['-foo'], '-foo: invalid option')
    assert_refused(['--foo'], '--foo: invalid option')
    assert_refused(['foo'], 'foo: invalid option')
    assert_refused(['-'], '-: invalid option')
    assert_refused([''], ': invalid option')


def test_stray_word_says_where_it_comes_from():
    status, _, err = run(BINARY, '-netdev', 'tap,', 'id=n0')
    assert (status, err) == (1, "ringtap: id=n0: invalid option\nIt does not begin with '-': is "
                                "there a blank too many behind 'tap,'?\n"), err


def test_missing_argument():
    assert_refused(['-netdev'], '-netdev: requires an argument')


def test_machine_errors():
    status, _, err = run(BINARY, '-machine', 'foo')
    assert status == 1
    assert err == ('ringtap: -machine foo: unsupported machine type\n'
                   'Use -machine help to list supported machines\n'), err
    assert_refused(['-machine', 'none,foo=1'],
                   "-machine none,foo=1: Property 'none-machine.foo' not found")
    assert_refused(['-machine', 'xenpv,accel=hvf'],
                   '-machine xenpv,accel=hvf: invalid accelerator hvf')


def test_accel_errors():
    assert_refused(['-accel', 'foo'], '-accel foo: invalid accelerator foo')
    assert_refused(['-accel', 'xen,foo=1'], "-accel xen,foo=1: Invalid parameter 'foo'")
    assert_refused(['-accel', 'xenemu,socket=/a,connect=/b'],
                   '-accel xenemu,socket=/a,connect=/b: '
                   'socket= and connect= cannot be used together')
    assert_refused(['-accel', 'xenemu,domid=3'],
                   '-accel xenemu,domid=3: domid= and ram= are invalid without connect=')


def test_netdev_without_effect():
    for option, text in (('br=b7', 'br= has no effect without helper=, which is not supported: '
                          'have script= put the tap into b7'),
                         ('poll-us=50', 'poll-us= has no effect without vhost: see poll-max-ns of '
                          '-object iothread')):
        status, _, err = run(BINARY, *NONE, '-netdev', f'tap,id=a,{option},fd=foo')
        assert status == 1 and f'ringtap: warning: a: {text}\n' in err, err


def can_make_taps():
    return (os.access('/dev/net/tun', os.R_OK | os.W_OK) and
            subprocess.run(['unshare', '-rn', 'true'], check=False).returncode == 0)


def vhost_error(program, option):
    """What is wrong with a tap's vhost, without the beginning of the line."""
    arg = f'tap,id=a,ifname=vt0,script=no,downscript=no,{option}'
    p = subprocess.run(['unshare', '-rn', *program, '-netdev', arg], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    lines = [line.split(f'{arg}: ')[-1] for line in p.stderr.splitlines()]
    return p.returncode, lines


VHOST_REFUSED = (
    ('vhostforce=on,vhostfd=0', 'vhost-net requested but could not be initialized'),
    ('vhostfd=foo,vhostforce=on', "Invalid file descriptor number 'foo'"),
    ('vhost=off,vhostfd=0', 'vhostfd(s)= is not valid without vhost'),
    *(() if os.path.exists('/dev/vhost-net') else
      (('vhost=on,vhostforce=on', 'tap: open vhost char device failed: No such file or directory'),
       ('vhostforce=on', 'tap: open vhost char device failed: No such file or directory'))))


def test_vhost_refused():
    if not can_make_taps():
        raise tap.Skip('no right to make a tap')
    for option, text in VHOST_REFUSED:
        status, lines = vhost_error([BINARY, *NONE], option)
        assert status == 1 and lines[-1].startswith(text), (option, lines)
    for option in ('vhostfd=foo', 'vhostfd=99'):  # where QEMU 7.2 aborts
        status, lines = vhost_error([BINARY, *NONE], option)
        assert status == 1 and 'file descriptor' in lines[-1], (option, lines)


def test_vhost_refused_as_in_qemu():
    qemu = shutil.which('qemu-system-x86_64')
    if not qemu or not can_make_taps():
        raise tap.Skip('no qemu-system-x86_64, or no right to make a tap')
    for option, text in VHOST_REFUSED:
        status, lines = vhost_error([qemu, '-nodefaults', '-display', 'none', '-M', 'none', '-S'],
                                    option)
        assert status == 1 and lines[-1] == text, (option, lines)


def test_vhost_done_without():
    if not can_make_taps() or os.path.exists('/dev/vhost-net'):
        raise tap.Skip('no right to make a tap, or there is a vhost-net')
    for option, text in (
            ('vhost=on', 'tap: open vhost char device failed: No such file or directory'),
            ('vhostfd=0', 'vhost-net requested but could not be initialized')):
        status, lines = vhost_error([BINARY, *NONE, '-device', 'foo'], option)  # so it ends
        assert status == 1, lines
        assert any(f'warning: {text}' in line for line in lines), (option, lines)


def test_nic_and_net_help():
    assert_help(['-nic', 'help'], 'TYPE[,model=MODEL]')
    assert_help(['-net', 'help'], 'none: no NIC')


def test_netdev_errors():
    for arg, text in (
            ('tap', "Parameter 'id' is missing"),
            ('', "Parameter 'id' is missing"),
            ('id=a', "Parameter 'type' is missing"),
            ('foo,id=a', "Parameter 'type' does not accept value 'foo'"),
            ('user', "Parameter 'id' is missing"),
            ('user,id=a', "network backend 'user' is not compiled into this binary"),
            ('nic,id=a', "network backend 'nic' is not compiled into this binary"),
            ('{"type":"vhost-vdpa","id":"a","vhostdev":"c"}',
             "network backend 'vhost-vdpa' is not compiled into this binary"),
            ('{"type":"vhost-user","id":"a","chardev":"c"}', 'chardev "c" not found'),
            ('vhost-user,id=a', "Parameter 'chardev' is missing"),
            ('tap,id=a,foo=1', "Invalid parameter 'foo'"),
            ('tap,id=1a', "Parameter 'id' expects an identifier"),
            ('tap,id=a,queues=x', "Parameter 'queues' expects a uint64 value"),
            ('tap,id=a,vnet_hdr=auto', "Parameter 'vnet_hdr' expects 'on' or 'off'"),
            ('tap,id=a,fd=foo', "Invalid file descriptor number 'foo'"),
            ('tap,id=a,fds=foo:7', "Invalid file descriptor number 'foo'"),
            ('tap,id=a,fds=::', "Invalid file descriptor number ''"),
            ('tap,id=a,helper=/x', 'helper= is not supported: make the tap beforehand (ip tuntap '
             'add) and name it with ifname=, or pass its descriptor with fd='),
            ('tap,id=a,helper=/x,ifname=b', 'ifname=, script=, downscript=, vnet_hdr=, queues=, '
             'and vhostfds= are invalid with helper='),
            ('tap,id=a,fd=77,helper=/x', 'ifname=, script=, downscript=, vnet_hdr=, helper=, '
             'queues=, fds=, and vhostfds= are invalid with fd='),
            ('tap,id=a,fds=77:78,vhostfd=9', 'ifname=, script=, downscript=, vnet_hdr=, helper=, '
             'queues=, and vhostfd= are invalid with fds='),
            ('tap,id=a,vhostfds=1:2', "vhostfds= is invalid if fds= wasn't specified"),
            ('tap,id=a,fds=77:78,vhostfds=1:2:3',
             'The number of fds passed does not match the number of vhostfds passed'),
            ('tap,id=a,vhost=off,vhostfd=3', 'vhostfd(s)= is not valid without vhost'),
            ('tap,id=a,vhostfd=3,queues=2',
             'vhostfd= is for one queue, and there are 2: use fds= and vhostfds='),
            # a good one, so that the next fault is found
            ('tap,id=a,fds=77:78,vhostfds=1:2:', "a: Can't use file descriptor 77: "
             'Bad file descriptor'),
            ('tap,id=a,persist=on,fd=3', 'persist= is invalid with fd=, fds= and helper='),
            ('tap,id=a,persist=on', 'persist= is invalid without ifname='),
            ('tap,id=a,vhost=x', "Parameter 'vhost' expects 'on' or 'off'"),
            ('tap,id=a,poll-us=x', "Parameter 'poll-us' expects a uint64 value"),
            # what switches it off is no fault: the next one is found
            ('tap,id=a,vhost=off,vhostforce=off,poll-us=0,queues=0',
             "Parameter 'queues' expects a number of 1 to 256"),
            ('tap,id=a,vhost=off,vhostforce=on,fd=foo', "Invalid file descriptor number 'foo'"),
            ('{"type":"tap","id":"a","vhost":false,"fd":"foo"}',
             "Invalid file descriptor number 'foo'"),
            ('{"type":"tap"', 'JSON parse error, premature EOI'),
            ('{"type":"tap","id":1}', "Invalid parameter type for 'id', expected: string"),
            ('{"type":"tap","id":"a","bogus":1}', "Parameter 'bogus' is unexpected")):
        assert_refused([*NONE, '-netdev', arg], f'-netdev {arg}: {text}')


def test_device_errors():
    for arg, text in (
            ('foo', "'foo' is not a valid device model name"),
            ('', "Parameter 'driver' is missing"),
            ('foo,bus=x', "'foo' is not a valid device model name"),
            ('xen-net-device,bus=', "Bus '' not found"),
            ('xen-net-device,bus=pci.1,foo=1', "Bus 'pci.1' not found"),
            ('xen-netfront,bus=a/b', "Bus 'a' not found"),
            ('xen-net-device,bus=xen-bus.0', "Bus 'xen-bus.0' not found"),
            ('{"driver":"xen-net-device","bus":"x"}', "Bus 'x' not found"),
            ('xen-net-device,foo=1', "Property 'xen-net-device.foo' not found"),
            ('xen-net-device,netdev=n,mac=zz', "Property 'xen-net-device.mac' doesn't take value 'zz'"),
            ('xen-net-device,netdev=n', "No 'xen' bus found for device 'xen-net-device'"),
            ('{"driver":"xen-net-device","netdev":"n","idx":"x"}',
             "Invalid parameter type for 'idx', expected: integer")):
        assert_refused([*NONE, '-device', arg], f'-device {arg}: {text}')


def test_device_without_netdev():
    with tempfile.TemporaryDirectory() as d:
        accel = ['-accel', f'xenemu,socket={d}/xen']
        assert_refused([*accel, '-device', 'xen-net-device'],
                       "-device xen-net-device: Parameter 'netdev' is missing")
        for driver in ('xen-net-device', 'xen-netfront'):
            assert_refused([*accel, '-device', f'{driver},bus=xen-bus.0,netdev=n0'],
                           f"-device {driver},bus=xen-bus.0,netdev=n0: "
                           f"Property '{driver}.netdev' can't find value 'n0'")
        assert_refused([*accel, '-device', 'xen-net-device,netdev=n0'],
                       "-device xen-net-device,netdev=n0: "
                       "Property 'xen-net-device.netdev' can't find value 'n0'")
        assert files_of(d) == []


def test_object_errors():
    for arg, text in (
            ('iothread', "Parameter 'id' is missing"),
            ('rng-random,id=a,foo=1', "Invalid parameter 'foo'"),
            ('foo,id=a', "Parameter 'qom-type' does not accept value 'foo'"),
            ('id=a', "Parameter 'qom-type' is missing"),
            ('iothread,id=a,foo=1', "Invalid parameter 'foo'"),
            ('secret,id=a', "Parameter 'file' is missing"),
            ('secret,id=a,data=x', "Parameter 'file' is missing"),
            ('secret,id=a,file=x,format=y', "Parameter 'format' does not accept value 'y'")):
        assert_refused([*NONE, '-object', arg], f'-object {arg}: {text}')
    assert_refused([*NONE, '-object', 'iothread,id=a', '-object', 'iothread,id=a'],
                   "-object iothread,id=a: Duplicate ID 'a' for object")


def test_chardev_and_monitor_errors():
    for args, text in (
            (['-chardev', 'socket'], 'chardev: no id specified'),
            (['-chardev', 'foo,id=a'], "'foo' is not a valid char driver name"),
            (['-chardev', 'socket,id=a,path=/x,foo=1'], "Invalid parameter 'foo'"),
            (['-chardev', 'socket,id=a,path=/x,server=maybe'],
             "Parameter 'server' expects 'on' or 'off'"),
            (['-chardev', 'socket,id=a,path=/nonexistent/x'],
             "Failed to connect to '/nonexistent/x': No such file or directory"),
            (['-chardev', 'socket,id=a,path=/nonexistent/x,server=on'],
             'Failed to bind socket to /nonexistent/x: No such file or directory'),
            (['-chardev', 'socket,id=a,path=,server=on'], 'path= must not be empty'),
            (['-chardev', 'socket,id=a,fd=x'], 'Unable to parse FD number x'),
            (['-chardev', 'socket,id=a,fd=0'], "File descriptor '0' is not a socket"),
            (['-chardev', 'socket,id=a'], 'one of path=, fd= and port= must be given'),
            (['-chardev', 'socket,id=a,path=/x,fd=0'], 'one of path=, fd= and port= must be given'),
            (['-chardev', 'socket,id=a,path=/x,server=on,reconnect=1'],
             "'reconnect' option is incompatible with socket in server listen mode"),
            (['-chardev', 'socket,id=a,path=/x,server=on,reconnect-ms=0'],
             "'reconnect-ms' option is incompatible with socket in server listen mode"),
            (['-chardev', 'socket,id=a,fd=0,reconnect=1'],
             "'reconnect' option is incompatible with 'fd' address type"),
            (['-chardev', 'socket,id=a,path=/x,reconnect=1,reconnect-ms=5'],
             "'reconnect' and 'reconnect-ms' are mutually exclusive"),
            (['-chardev', 'socket,id=a,path=/x,reconnect=soon'],
             "Parameter 'reconnect' expects a uint64 value"),
            (['-chardev', 'socket,id=a,path=/x,wait=off'],
             "'wait' option is incompatible with socket in client connect mode"),
            (['-chardev', 'socket,id=a,path=/x,nowait'],
             "'wait' option is incompatible with socket in client connect mode"),
            (['-chardev', 'socket,id=a,path=/nonexistent/x,reconnect=0'],
             "Failed to connect to '/nonexistent/x': No such file or directory"),
            (['-mon', 'chardev=x'], "Parameter 'mode' does not accept value 'readline'"),
            (['-mon', 'chardev=x,mode=control'], 'chardev "x" not found'),
            (['-mon', 'mode=control'], "Parameter 'chardev' is missing"),
            (['-qmp', 'foo'], 'parse error: foo')):
        assert_refused([*NONE, *args], f'{args[0]} {args[1]}: {text}')


def test_errors_of_what_tests_are_told():
    for option, arg, text in (
            ('smp', 'cpus=foo', "Parameter 'cpus' expects a uint64 value"),
            ('smp', 'x', "Parameter 'cpus' expects a uint64 value"),
            ('smp', '2,cores=x', "Parameter 'cores' expects a uint64 value"),
            ('smp', '2,foo=1', "Invalid parameter 'foo'"),
            ('uuid', '123', 'failed to parse UUID string: wrong format'),
            ('uuid', '', 'failed to parse UUID string: wrong format'),
            ('boot', 'menu=x', "Parameter 'menu' expects 'on' or 'off'"),
            ('boot', 'foo=1', "Invalid parameter 'foo'"),
            ('boot', 'splash-time=65536',
             'splash-time is invalid,it should be a value between 0 and 65535'),
            ('boot', 'reboot-timeout=-2',
             'reboot timeout is invalid,it should be a value between -1 and 65535')):
        assert_refused([*NONE, f'-{option}', arg], f'-{option} {arg}: {text}')


def test_errors_of_what_has_no_effect():
    for option, arg, text in (
            ('sandbox', 'foo', "Parameter 'enable' expects 'on' or 'off'"),
            ('sandbox', 'on,foo=1', "Invalid parameter 'foo'")):
        assert_refused([*NONE, f'-{option}', arg], f'-{option} {arg}: {text}')


def test_warnings_of_what_has_no_effect():
    for option, arg, why in (('sandbox', 'on', 'there is no filter of system calls'),
                             ('monitor', 'stdio', 'monitors are QMP only, see -qmp'),
                             ('serial', 'pty', 'there are no serial ports'),
                             ('parallel', 'pty', 'there are no parallel ports'),
                             ('vnc', ':0', 'there is no display')):
        status, _, err = run(BINARY, *NONE, f'-{option}', arg, '-device', 'foo')
        assert status == 1
        assert err.split('\n')[0] == f'ringtap: warning: -{option} {arg} has no effect: {why}', err


def test_first_id_counts():
    """As in QEMU."""
    with Ringtap(BINARY, *NONE, '-object', 'iothread,id=a,id=b', '-chardev',
                 'socket,id=c,id=d,path=@DIR@/c,server=on,wait=off', '-mon', 'c,mode=control') as r:
        q = r.qmp()
        assert [t['id'] for t in q.command('query-iothreads')] == ['a']
        assert 'c' in [c['label'] for c in q.command('query-chardev')]
        assert r.end() == (0, '')


def test_other_errors():
    assert_refused(['-m', 'x'],
                   "-m x: Parameter 'size' expects a non-negative number below 2^64")
    assert_refused(['-msg', 'foo=on'], "-msg foo=on: Invalid parameter 'foo'")
    assert_refused(['-display', 'gtk'],
                   "-display gtk: Parameter 'type' does not accept value 'gtk'")
    assert_refused(['-xen-domid', 'x'], "-xen-domid x: not a valid domid: 'x'")
    assert_refused(['-xen-domid', '65535'], "-xen-domid 65535: not a valid domid: '65535'")
    assert_refused(['-D', '/nonexistent/x'],
                   'cannot open log file /nonexistent/x: No such file or directory')
    assert_refused([*NONE, '-pidfile', '/nonexistent/x'], "cannot create PID file: "
                   "Could not create '/nonexistent/x': No such file or directory")


def test_failure_half_way_leaves_nothing():
    with tempfile.TemporaryDirectory() as d:
        status, _, err = run(BINARY, '-accel', f'xenemu,socket={d}/xen', '-pidfile', f'{d}/pid',
                             '-qmp', f'unix:{d}/qmp,server=on,wait=off', '-object',
                             'iothread,id=io0', '-device', 'xen-net-device,netdev=none')
        assert status == 1, err
        assert files_of(d) == []


# --- a vhost-user back end, by QEMU's conventions

def test_capabilities():
    """Whatever else there is."""
    for args in (['--print-capabilities'], ['-print-capabilities'],
                 ['--socket-path=/nonexistent/x', '--fd=77', '--print-capabilities'],
                 ['--what', '--print-capabilities', '-netdev']):
        status, out, err = run(BINARY, *args)
        assert (status, err) == (0, ''), args
        assert json.loads(out) == {'type': 'net', 'features': []}


def test_back_end_errors():
    for args, text in (
            (['--socket-path=/x'], '--socket-path takes exactly one -netdev, not 0'),
            (['--socket-path', '/x'], '--socket-path takes exactly one -netdev, not 0'),
            (['--fd=3'], '--fd takes exactly one -netdev, not 0'),
            (['--socket-path'], '--socket-path: requires an argument'),
            (['--fd=3', '--socket-path=/x'],
             '--socket-path=/x: --socket-path and --fd cannot be used together'),
            (['--socket-path', '/x', '--fd', '3'],
             '--fd 3: --socket-path and --fd cannot be used together'),
            (['--fd=3', '-daemonize'], '-daemonize cannot be used with --socket-path and --fd: '
             'whoever starts a back-end program has it as a child'),
            # no other option is one word with its argument
            (['-netdev=tap'], '-netdev=tap: invalid option'),
            (['-S=on'], '-S=on: invalid option'),
            (['-=x'], '-=x: invalid option'),
            (['--socket-pathx=1'], '--socket-pathx=1: invalid option')):
        assert_refused(args, text)


# --- start

def test_callers_options_are_accepted():
    """What libvirt, libxl and libqtest add."""
    with Ringtap(BINARY, '-name', 'guest=mq,debug-threads=on', '-S', '-machine',
                 'none,usb=off,dump-guest-core=off,memory-backend=pc.ram', '-nodefaults',
                 '-no-user-config', '-nographic', '-no-shutdown', '-no-acpi', '-display', 'none',
                 '-vnc', 'none', '-serial', '/dev/null', '-parallel', '/dev/null', '-monitor',
                 '/dev/null', '-m', 'size=131072k', '-smp', '2,sockets=2', '-cpu', 'qemu64',
                 '-rtc', 'base=utc', '-boot', 'strict=on', '-uuid', UUID, '-sandbox', 'off',
                 '-overcommit', 'mem-lock=off', '-global', 'a.b=c', '-xen-domid', '9',
                 '-xen-attach', '-msg', 'timestamp=on') as r:
        q = r.qmp()
        assert q.command('query-name') == {'name': 'mq'}
        assert q.command('query-status')['status'] == 'prelaunch'
        assert r.end() == (0, '')


def test_guest_may_be_called_help():
    """As in QEMU: libxl gives the name alone."""
    with Ringtap(BINARY, *NONE, '-name', 'help') as r:
        assert r.qmp().command('query-name') == {'name': 'help'}
        assert r.end() == (0, '')


def test_libvirt_probe():
    with tempfile.TemporaryDirectory() as d:
        status, _, err = run(BINARY, '-S', '-no-user-config', '-nodefaults', '-nographic',
                             '-machine', 'none,accel=kvm:tcg', '-qmp',
                             f'unix:{d}/q,server=on,wait=off', '-pidfile', f'{d}/pid',
                             '-daemonize')
        assert (status, err) == (0, '')
        assert_listens(f'{d}/q')
        with open(f'{d}/pid', encoding='ascii') as f:
            pid = int(f.read())
        q = Qmp(f'{d}/q')
        assert q.command('query-version')['qemu']['major'] == 10
        q.command('quit')
        wait_for(lambda: not os.path.exists(f'/proc/{pid}'), 'the daemon to end')
        assert files_of(d) == []


def test_default_without_xen_says_so():
    if os.path.exists('/dev/xen/evtchn'):
        raise tap.Skip('there is a Xen here')
    with tempfile.TemporaryDirectory() as d:
        with Ringtap(BINARY, env={'XDG_RUNTIME_DIR': d}) as r:
            q = r.qmp()
            q.close()
            (made,) = files_of(d)
            assert os.stat(f'{d}/{made}').st_mode & 0o77 == 0
            status, err = r.end()
        assert status == 0
        assert err.startswith('ringtap: info: no Xen here, so it is emulated: domains attach at '
                              f'{d}/ringtap-'), err
        assert err.count('\n') == 1, err
        assert files_of(d) == []


def test_accel_xen_without_xen():
    if os.path.exists('/dev/xen/evtchn'):
        raise tap.Skip('there is a Xen here')
    status, _, err = run(BINARY, '-accel', 'xen')
    assert status == 1 and err == ('ringtap: no Xen here, or modprobe xen-evtchn is wanted: could '
                                   'not open /dev/xen/evtchn: No such file or directory\n'), err


def test_host_that_does_not_answer():
    """As a guest of it, we give up."""
    with tempfile.TemporaryDirectory() as d:
        deaf = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        deaf.bind(f'{d}/xen')
        deaf.listen(1)
        with Ringtap(BINARY, '-accel', f'xenemu,connect={d}/xen', qmp=False) as r:
            assert r.end(None) == (1, 'ringtap: could not attach to the emulated Xen host at '
                                      f'{d}/xen: the host does not answer\n')
        deaf.close()


def test_host_that_goes():
    """A guest of an emulated host ends with it, and says so."""
    with tempfile.TemporaryDirectory() as d:
        with Ringtap(BINARY, '-accel', f'xenemu,socket={d}/xen') as host:
            host.qmp().close()
            with Ringtap(BINARY, '-accel', f'xenemu,connect={d}/xen') as guest:
                q = guest.qmp()
                host.process.kill()
                assert q.event('SHUTDOWN')['data'] == {'guest': False, 'reason': 'host-error'}
                assert guest.end(None) == (1, f'ringtap: the Xen host at {d}/xen is gone\n')


def test_log_file():
    with tempfile.TemporaryDirectory() as d:
        with Ringtap(BINARY, '-accel', f'xenemu,socket={d}/xen', '-D', f'{d}/log', '-msg',
                     'timestamp=on', '-device', 'xen-net-device,netdev=n9') as r:
            status, err = r.end(None)
        with open(f'{d}/log', encoding='ascii') as f:
            log = f.read()
        assert status == 1
        # the operator reads the log, whoever started us reads stderr
        assert "can't find value 'n9'" in err, err
        assert "can't find value 'n9'" in log and 'Z ringtap: ' in log, log


def test_log_on_a_full_disk():
    """stderr hears of it once, and what the file does not take."""
    with Ringtap(BINARY, *NONE, '-D', '/dev/full', '-chardev', 'socket,id=c,path=@DIR@/c,server=on',
                 '-mon', 'c,mode=control', '-device', 'foo') as r:
        r.qmp().close()
        Qmp(f'{r.dir}/c', negotiate=False).close()
        status, err = r.end(None)
        assert status == 1
        lines = err.split('\n')
        assert lines[0] == 'ringtap: warning: cannot write to the log file: No space left on device'
        assert lines[1].startswith('ringtap: info: waiting for connection on: '), err
        assert err.count('cannot write') == 1 and 'foo' in lines[2], err
        assert lines[3:] == [''], err


# --- daemon, pidfile

def test_daemonize_failure_is_told():
    with tempfile.TemporaryDirectory() as d:
        status, out, err = run(BINARY, *NONE, '-daemonize', '-pidfile', f'{d}/pid', '-device',
                               'foo')
        assert status == 1 and out == ''
        assert err == "ringtap: -device foo: 'foo' is not a valid device model name\n", err
        assert files_of(d) == []  # at once: nothing is left of the child


def test_daemonize_relative_paths():
    with tempfile.TemporaryDirectory() as d:
        status, _, err = run(BINARY, '-accel', 'xenemu,socket=xen', '-daemonize', '-pidfile',
                             'pid', '-qmp', 'unix:qmp,server=on,wait=off', cwd=d)
        assert status == 0, err
        assert_listens(f'{d}/qmp')
        assert_listens(f'{d}/xen', socket.SOCK_SEQPACKET)
        assert_listens(f'{d}/xen.xenstore')
        q = Qmp(f'{d}/qmp')
        q.command('quit')
        wait_for(lambda: files_of(d) == [], 'the files to go')


def test_daemon_lets_go_of_stdio():
    with tempfile.TemporaryDirectory() as d:
        # communicate() returns only when nobody holds the pipes any more
        status, _, _ = run(BINARY, *NONE, '-daemonize', '-pidfile', f'{d}/pid')
        assert status == 0
        with open(f'{d}/pid', encoding='ascii') as f:
            pid = int(f.read())
        for fd in (0, 1, 2):
            assert os.readlink(f'/proc/{pid}/fd/{fd}') == '/dev/null'
        assert os.getsid(pid) != os.getsid(0)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: files_of(d) == [], 'the pidfile to go')


def test_started_without_stdio():
    """Nothing of ours gets the numbers, or a daemon would lose it."""
    with tempfile.TemporaryDirectory() as d:
        def shell(redirect, *args):
            return subprocess.run(['sh', '-c', f'exec "$0" "$@" {redirect}', BINARY, *args],
                                  timeout=WAIT, check=False).returncode

        for redirect in ('<&- >&- 2>&-', '<&- 2>&-', '>&-'):
            status = shell(redirect, *NONE, '-daemonize', '-pidfile', f'{d}/pid', '-qmp',
                           f'unix:{d}/q,server=on,wait=off')
            with open(f'{d}/pid', encoding='ascii') as f:
                pid = int(f.read())
            try:
                assert status == 0, (redirect, status)
                for fd in (0, 1, 2):
                    assert os.readlink(f'/proc/{pid}/fd/{fd}') == '/dev/null'
                q = Qmp(f'{d}/q')
                assert q.command('query-status')['running']
                q.close()
                os.kill(pid, signal.SIGTERM)
                wait_for(lambda: files_of(d) == [], 'the files to go')
            finally:
                if os.path.exists(f'{d}/pid'):
                    os.kill(pid, signal.SIGKILL)
        assert shell('>&-', '-help') == 1  # nobody got to read it


def test_pidfile_is_locked():
    with tempfile.TemporaryDirectory() as d:
        with Ringtap(BINARY, *NONE, '-pidfile', f'{d}/pid') as r:
            r.qmp().close()
            with open(f'{d}/pid', 'r+', encoding='ascii') as f:
                assert int(f.read()) == r.process.pid
                try:
                    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    raise AssertionError('it is not locked')
                except OSError:
                    pass
            status, _, err = run(BINARY, *NONE, '-pidfile', f'{d}/pid')
            assert status == 1 and 'Cannot lock pid file' in err, err
            assert files_of(d) == ['pid']
            assert r.end()[0] == 0
        assert files_of(d) == []


def test_pidfile_of_somebody_else_stays():
    with Ringtap(BINARY, *NONE, '-pidfile', '@DIR@/pid') as r:
        r.qmp().close()
        os.unlink(f'{r.dir}/pid')
        with open(f'{r.dir}/pid', 'w', encoding='ascii') as f:
            f.write('1\n')
        assert r.end()[0] == 0
        assert files_of(r.dir) == ['pid']


def test_stale_pidfile_is_reused():
    with tempfile.TemporaryDirectory() as d:
        with open(f'{d}/pid', 'w', encoding='ascii') as f:
            f.write('4194304000\nrubbish\n')
        with Ringtap(BINARY, *NONE, '-pidfile', f'{d}/pid') as r:
            r.qmp().close()
            with open(f'{d}/pid', encoding='ascii') as f:
                assert f.read() == f'{r.process.pid}\n'


# A device would be gone for everybody, were it taken for a file of ours.
def test_pidfile_that_is_no_file_stays():
    with tempfile.TemporaryDirectory() as d:
        os.mkfifo(f'{d}/pid')
        assert_refused([*NONE, '-pidfile', f'{d}/pid'], "cannot create PID file: "
                       f"'{d}/pid' is not a regular file")
        assert files_of(d) == ['pid']


def test_help_to_a_full_disk():
    with open('/dev/full', 'w', encoding='ascii') as full:
        r = subprocess.run([BINARY, '-version'], stdout=full, stderr=subprocess.PIPE,
                           text=True, timeout=WAIT, check=False)
    assert (r.returncode, r.stderr) == (
        1, 'ringtap: could not write to stdout: No space left on device\n')


# --- signals, sockets

def block_and_raise(number):
    """In the child, before exec: the signal is there before the program's first line is."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    os.kill(os.getpid(), number)


def test_signal_before_the_first_line():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with Ringtap(BINARY, *NONE, '-pidfile', '@DIR@/pid',
                     preexec_fn=lambda n=number: block_and_raise(n)) as r:
            assert r.end(None) == (0, ''), number
            assert files_of(r.dir) == []


def test_signal_while_the_log_is_opened():
    """Nobody reads the fifo yet: that is before the main loop has the signals."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with tempfile.TemporaryDirectory() as d:
            os.mkfifo(f'{d}/log')
            with Ringtap(BINARY, *NONE, '-D', f'{d}/log') as r:
                wait_for(lambda p=r.process.pid: sleeps(p), 'the open')
                assert r.end(number) == (0, ''), number
                assert files_of(r.dir) == []


def test_signal_to_the_parent_of_a_daemon():
    """Status 0 would say that it is up."""
    with tempfile.TemporaryDirectory() as d:
        with Ringtap(BINARY, *NONE, '-daemonize', '-chardev', f'socket,id=c,path={d}/c,server=on',
                     '-mon', 'c,mode=control', '-pidfile', f'{d}/pid', qmp=False) as r:
            wait_for(lambda: os.path.exists(f'{d}/c'), 'the socket')
            r.process.send_signal(signal.SIGTERM)
            assert r.process.wait(WAIT) == -signal.SIGTERM
            with open(f'{d}/pid', encoding='ascii') as f:
                os.kill(int(f.read()), signal.SIGTERM)
            wait_for(lambda: files_of(d) == [], 'the daemon to end')


def test_signals_end_it():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with Ringtap(BINARY, *NONE) as r:
            q = r.qmp()
            assert r.end(number) == (0, ''), number
            event = q.event('SHUTDOWN')
            assert event['data'] == {'guest': False, 'reason': 'host-signal'}
            assert q.line() == b''
            assert files_of(r.dir) == []


def test_signals_that_guests_could_provoke():
    """A client that has gone, and a file that may not be longer: both are errors of a call."""
    with Ringtap(BINARY, *NONE) as r:
        r.qmp()
        with open(f'/proc/{r.process.pid}/status', encoding='ascii') as f:
            ignored = int(f.read().split('SigIgn:')[1].split()[0], 16)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            assert ignored >> (number - 1) & 1, number


def test_second_instance_on_the_same_socket():
    with Ringtap(BINARY, *NONE) as r:
        r.qmp().close()
        status, _, err = run(BINARY, *NONE, '-qmp', f'unix:{r.qmp_path},server=on,wait=off')
        assert status == 1 and 'Address already in use' in err, err
        assert r.qmp().command('query-status')['running']


def test_stale_socket_is_replaced():
    with tempfile.TemporaryDirectory() as d:
        old = socket.socket(socket.AF_UNIX)
        old.bind(f'{d}/q')
        old.close()
        with Ringtap(BINARY, *NONE, '-qmp', f'unix:{d}/q,server=on,wait=off', qmp=False) as r:
            wait_for(lambda: os.path.exists(f'{d}/q'), 'the socket')
            assert Qmp(f'{d}/q').command('query-status')['running']
            assert r.end()[0] == 0
        assert files_of(d) == []


def test_no_file_is_replaced_by_a_socket():
    with tempfile.TemporaryDirectory() as d:
        with open(f'{d}/q', 'w', encoding='ascii') as f:
            f.write('precious')
        status, _, _ = run(BINARY, *NONE, '-qmp', f'unix:{d}/q,server=on,wait=off')
        assert status == 1
        with open(f'{d}/q', encoding='ascii') as f:
            assert f.read() == 'precious'


def test_wait_for_client():
    with tempfile.TemporaryDirectory() as d:
        with Ringtap(BINARY, *NONE, '-qmp', f'unix:{d}/q,server=on', '-device', 'foo',
                     qmp=False) as r:
            wait_for(lambda: os.path.exists(f'{d}/q'), 'the socket')
            assert r.process.poll() is None
            q = Qmp(f'{d}/q', negotiate=False)
            status, err = r.end(None)
            assert status == 1 and 'foo' in err
            q.close()


def test_signal_while_waiting_for_client():
    with tempfile.TemporaryDirectory() as d:
        with Ringtap(BINARY, *NONE, '-qmp', f'unix:{d}/q,server=on', qmp=False) as r:
            wait_for(lambda: os.path.exists(f'{d}/q'), 'the socket')
            assert r.process.stderr.readline().startswith('ringtap: info: waiting for connection')
            assert r.end()[0] == 0
        assert files_of(d) == []


def test_signal_while_waiting_for_qtest_client():
    with Ringtap(BINARY, *NONE, '-qtest', 'unix:@DIR@/s,server=on', '-device', 'foo',
                 qmp=False) as r:
        wait_for(lambda: os.path.exists(f'{r.dir}/s'), 'the socket')
        assert r.end() == (0, '')
        assert files_of(r.dir) == []


def test_wait_for_qtest_client():
    with Ringtap(BINARY, *NONE, '-qtest', 'unix:@DIR@/s,server=on', '-qtest-log', 'none',
                 '-device', 'foo', qmp=False) as r:
        wait_for(lambda: os.path.exists(f'{r.dir}/s'), 'the socket')
        time.sleep(0.1)
        assert r.process.poll() is None
        assert_listens(f'{r.dir}/s')
        status, err = r.end(None)
        assert status == 1 and 'foo' in err, err
        assert files_of(r.dir) == []


def test_end_while_waiting_for_client_is_no_failure():
    """The devices of the command line are not tried any more."""
    for end in ('signal', 'quit'):
        with tempfile.TemporaryDirectory() as d:
            with Ringtap(BINARY, *NONE, '-chardev', f'socket,id=c,path={d}/c,server=on', '-mon',
                         'c,mode=control', '-device', 'xen-net-device,netdev=n0') as r:
                q = r.qmp()
                if end == 'quit':
                    q.command('quit')
                status, err = r.end(None if end == 'quit' else signal.SIGTERM)
                assert status == 0, (end, err)
                assert err.count('\n') == 1, err
            assert files_of(d) == []


def test_cont_while_waiting_for_client():
    """It counts once everything is up."""
    with tempfile.TemporaryDirectory() as d:
        with Ringtap(BINARY, *NONE, '-S', '-chardev', f'socket,id=c,path={d}/c,server=on',
                     '-mon', 'c,mode=control') as r:
            q = r.qmp()
            q.command('cont')
            assert q.command('query-status')['status'] == 'prelaunch'
            Qmp(f'{d}/c').close()
            q.event('RESUME')
            assert q.command('query-status')['status'] == 'running'
            assert r.end() == (0, f'ringtap: info: waiting for connection on: '
                                  f'unix:{d}/c,server=on\n')


def test_second_signal_while_cleaning_up():
    """A client that does not read is waited for a moment; nothing else kills us then."""
    with Ringtap(BINARY, *NONE, '-pidfile', '@DIR@/pid') as r:
        q = r.qmp()
        q.sock.settimeout(0.2)
        try:
            while True:
                q.send('{"execute":"query-commands"}\n' * 10)
        except TimeoutError:
            pass
        r.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert r.end()[0] == 0
        assert files_of(r.dir) == []


def test_accept_that_fails_is_tried_again():
    """No descriptor is left for a client: no busy loop, and signals are served."""
    with Ringtap(BINARY, *NONE) as r:
        wait_for(lambda: os.path.exists(r.qmp_path), 'the socket')
        q = Qmp(sock=starved_client(r, r.qmp_path))
        assert q.command('query-status')['running']
        q.close()
        assert r.end() == (0, '')


def test_qtest_accept_that_fails_is_tried_again():
    with Ringtap(BINARY, *NONE, '-qtest', 'unix:@DIR@/s,server=on,wait=off', '-qtest-log',
                 'none') as r:
        q = r.qmp()
        client = starved_client(r, f'{r.dir}/s')
        client.settimeout(WAIT)
        client.sendall(b'endianness\n')
        assert client.recv(100) == b'OK little\n'
        client.close()
        q.close()
        assert r.end() == (0, '')
        assert files_of(r.dir) == []


def test_inherited_socket_is_made_to_listen():
    with tempfile.TemporaryDirectory() as d:
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(f'{d}/q')
        fd = bound.fileno()
        with Ringtap(BINARY, *NONE, '-chardev', f'socket,id=c,fd={fd},server=on,wait=off', '-mon',
                     'c,mode=control', qmp=False, pass_fds=[fd]) as r:
            assert Qmp(f'{d}/q').command('query-status')['running']
            assert r.end()[0] == 0
    ours, theirs = socket.socketpair()
    fd = theirs.fileno()
    arg = f'socket,id=c,fd={fd},server=on,wait=off'
    status, _, err = run(BINARY, *NONE, '-chardev', arg, pass_fds=[fd])
    assert status == 1
    assert err == (f'ringtap: -chardev {arg}: Failed to listen on socket: Invalid argument\n'), err
    ours.close()


def test_monitor_on_inherited_listener():
    """As libvirt passes it."""
    with tempfile.TemporaryDirectory() as d:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f'{d}/q')
        listener.listen(1)
        fd = listener.fileno()
        with Ringtap(BINARY, *NONE, '-chardev', f'socket,id=c0,fd={fd},server=on,wait=off',
                     '-mon', 'chardev=c0,id=monitor,mode=control', qmp=False,
                     pass_fds=[fd]) as r:
            assert Qmp(f'{d}/q').command('query-status')['running']
            assert Qmp(f'{d}/q').command('query-chardev')[0]['label'] == 'c0'
            assert r.end()[0] == 0


def test_monitor_that_connects():
    """As libqtest has it: the other side listens."""
    with tempfile.TemporaryDirectory() as d:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f'{d}/q')
        listener.listen(1)
        with Ringtap(BINARY, *NONE, '-chardev', f'socket,path={d}/q,id=char0', '-mon',
                     'chardev=char0,mode=control', qmp=False) as r:
            q = Qmp(sock=listener.accept()[0])
            assert q.command('query-status')['running']
            q.close()
            assert r.end()[0] == 0
        assert files_of(d) == ['q']


def test_monitor_that_connects_again():
    """The first time nobody is there: that is no error."""
    for reconnect in ('reconnect=1', 'reconnect-ms=20'):
        with Ringtap(BINARY, *NONE, '-chardev', f'socket,path=@DIR@/q,id=c,{reconnect}', '-mon',
                     'chardev=c,mode=control', qmp=False) as r:
            assert r.process.stderr.readline() == (
                'ringtap: warning: Unable to connect character device c: Failed to connect to '
                f"'{r.dir}/q': No such file or directory\n")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.settimeout(WAIT)
                listener.bind(f'{r.dir}/q')
                listener.listen(1)
                for _ in range(2):
                    q = Qmp(sock=listener.accept()[0])
                    assert q.command('query-status')['running']
                    q.close()
                    closed = time.monotonic()
                listener.accept()[0].close()
                assert time.monotonic() - closed > (0.9 if reconnect == 'reconnect=1' else 0.018)
            assert r.end() == (0, '')


def test_chardev_is_used_once():
    with tempfile.TemporaryDirectory() as d:
        assert_refused([*NONE, '-chardev', f'socket,id=c,path={d}/q,server=on,wait=off', '-mon',
                        'c,mode=control', '-mon', 'c,mode=control'],
                       "-mon c,mode=control: Device 'c' is in use")
        assert files_of(d) == []


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
