#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Bash's completion of ringtap's command line offers what the program's help lists.
Usage: test-completion.py RINGTAP"""

import os
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
import tap  # noqa: E402

BINARY = str(Path(sys.argv[1]).resolve())
# What readline does: the line up to the cursor, and the command itself as first argument.
ASK = 'source "$1"; COMP_LINE=$3 COMP_POINT=${#3}; _ringtap "$2"; printf "%s\\n" "${COMPREPLY[@]}"'


def offered(line):
    done = subprocess.run(['bash', '-c', ASK, 'bash', TOP / 'scripts/completion/ringtap', BINARY,
                           f'ringtap {line}'], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=True)
    assert done.stderr == '', done.stderr
    return set(done.stdout.split())


def said(*args):
    return subprocess.run([BINARY, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, timeout=60, check=True).stdout


def properties(*args):
    return set(re.findall(r'^  ([\w.-]+)=<', said(*args), re.M))


def test_options():
    options = set(re.findall(r'^(-[\w-]+)', said('-help'), re.M))
    assert '-netdev' in options
    assert offered('-') == options
    assert offered('-no') == {o for o in options if o.startswith('-no')}


def test_names():
    blockdevs = set(said('-blockdev', 'help').split('\n')[1:]) - {''}
    assert blockdevs > {'file', 'host_device', 'nbd', 'raw', 'qcow2'}
    for option, names in (('netdev', {'socket', 'stream', 'dgram', 'tap', 'vhost-user'}),
                          ('chardev', {'socket', 'pty', 'null'}),
                          ('object', set(said('-object', 'help').split()[5:])),
                          ('machine', {'xenpv', 'none', 'pc', 'pc-i440fx-10.0',
                                       'virt', 'virt-10.0'}), ('accel', {'xen', 'xenemu', 'qtest', 'tcg', 'kvm'}),
                          ('blockdev', blockdevs)):
        assert offered(f'-{option} ') == names, (option, offered(f'-{option} '))
        for name in names:
            assert name in said(f'-{option}', 'help')
    devices = set(re.findall(r'name "([^"]+)"', said('-device', 'help')))
    assert offered('-device ') == devices
    assert offered('-device xen-netf') == {'xen-netfront'}


def test_properties():
    for option, name in (('netdev', 'tap'), ('device', 'xen-net-device'), ('accel', 'xenemu'),
                         ('device', 'xen-netfront'), ('object', 'iothread'), ('chardev', 'socket'),
                         ('blockdev', 'file'), ('blockdev', 'raw')):
        known = properties(f'-{option}', f'{name},help')
        assert known
        assert offered(f'-{option} {name},') == {f'{name},{p}=' for p in known}
    assert offered('-drive if=none,cache.') == {'none,cache.direct=', 'none,cache.no-flush='}
    assert offered('-mon ') == {f'{p}=' for p in properties('-mon', 'help')}


def test_property_behind_a_value():
    """Bash breaks words at "=": only what is behind the last one is replaced."""
    assert offered('-netdev tap,id=n0,que') == {'n0,queues='}
    assert offered('-netdev tap,id=n0') == set()


def test_files():
    assert offered(f'-D {TOP}/READ') == {f'{TOP}/README.md'}


def test_names_are_no_help():
    """"-name help" would start the program."""
    assert offered('-name ') == {o for o in offered('-name ') if o.startswith('-')}


if __name__ == '__main__':
    os.environ['LC_ALL'] = 'C'
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
