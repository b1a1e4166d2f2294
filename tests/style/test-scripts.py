# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scripts say and refuse, and what HACKING.md says of them."""

import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
sys.path.insert(0, str(TOP / 'scripts' / 'lib'))
import tap  # noqa: E402

HACKING = ' '.join((TOP / 'HACKING.md').read_text().split())


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem.replace('-', '_'), path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def script(*argv):
    return subprocess.run([str(TOP / argv[0]), *argv[1:]], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


def packages(*groups):
    done = script('scripts/deps', '--list', *groups)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_deps_groups():
    lines = (TOP / 'scripts' / 'packages.txt').read_text().splitlines()
    groups = {line.split()[0] for line in lines if line and line[0] != '#'}
    text = script('scripts/deps', '--help').stdout
    for group in groups:
        assert packages(group) == {l.split()[1] for l in lines if l.startswith(group + ' ')}
        assert re.search(rf'\b{group}\b', text), (group, text)
    assert packages('build', 'test') <= packages()


def test_deps_extra():
    """What compiles with clang, fuzzes and makes a bare Debian; only for who asks."""
    extra = packages('extra')
    assert {'clang', 'libclang-rt-14-dev', 'debootstrap'} <= extra
    assert not extra & packages()


def test_deps_of_the_readme():
    """"man -l" comes after "scripts/deps build test", and a bare Debian has no man."""
    assert 'man -l' in (TOP / 'README.md').read_text()
    assert 'man-db' in packages('build', 'test')


def test_deps_unknown_group():
    done = script('scripts/deps', '--list', 'nosuch')
    assert done.returncode == 2 and 'no such group' in done.stderr


def test_hacking_has_the_sizes():
    sizes = module(TOP / 'scripts' / 'check-sizes.py')
    files, functions, data = sizes.FILE_LIMITS, sizes.FUNCTION, sizes.DATA_PATH_FUNCTION
    text = (f'warns above {files[".c"][0]} lines of a source, {files[".h"][0]} of a header, '
            f'{functions[0]} of a function ({data[0]} on a data path) and refuses more than '
            f'{files[".c"][1]}, {files[".h"][1]}, {functions[1]} ({data[1]})')
    assert text in HACKING, text
    assert f'{sizes.LINE[0]} columns if it goes and {sizes.LINE[1]} at most' in HACKING
    assert f'ColumnLimit: {sizes.LINE[1]}\n' in (TOP / '.clang-format').read_text()


def test_hacking_has_the_places_of_globals():
    tokens = module(TOP / 'scripts' / 'check-tokens.py')
    rule = re.search(r'No mutable variables at file scope [^*]*', HACKING)[0]
    for place in tokens.GLOBAL_OK:
        if place not in tokens.TESTS:
            assert f'`{place.rstrip("*")}`' in rule, (place, rule)


def test_demo_refuses():
    for args, text in ((['--seconds', '0'], 'at least 1'), (['--seconds', '-3'], 'at least 1'),
                       (['--seconds', 'x'], 'invalid'), (['--queues', '0'], 'invalid choice'),
                       (['--queues', '33'], 'invalid choice')):
        done = subprocess.run([sys.executable, TOP / 'scripts' / 'lib' / 'demo.py', *args],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 2 and text in done.stderr, (args, done)


def said_with(files):
    """What the demo says first where only those files exist."""
    demo = module(TOP / 'scripts' / 'lib' / 'demo.py')
    out = io.StringIO()
    with mock.patch.object(os.path, 'exists', lambda path: path in files), \
            contextlib.redirect_stdout(out):
        demo.say_what_xen_can()
    return out.getvalue()


def test_demo_on_a_machine_with_xen():
    assert said_with([]) == ''
    for file in ('/dev/xen/evtchn', '/proc/xen/capabilities'):
        text = said_with([file])
        assert 'To serve a real guest' in text and 'ringtap -accel xen -xen-domid ID' in text
        assert '-device xen-net-device,netdev=n0' in text


tap.run(globals())
