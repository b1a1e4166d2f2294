#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What "ninja install" puts where: all that the manual names, and it runs from there.
Usage: test-install.py BUILD MESON..."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
import tap  # noqa: E402

BUILD, MESON = sys.argv[1], sys.argv[2:]
MANUAL = (TOP / 'docs' / 'ringtap.1.rst').read_text(encoding='utf-8')
PAGES = {f'{name}.{section}' for name, section in
         re.findall(r'\*\*(ringtap[\w-]*)\((\d)\)\*\*', MANUAL)} | {'ringtap.1'}


def installed(d):
    subprocess.run([*MESON, 'install', '-C', BUILD, '--no-rebuild', '--destdir', d],
                   stdout=subprocess.DEVNULL, check=True)
    return {path.name: path for path in Path(d).rglob('*') if path.is_file()}


def test_what_is_installed():
    with tempfile.TemporaryDirectory() as d:
        files = installed(d)
        assert {'ringtap', 'ringtap-top', 'device_table.py'} <= set(files), sorted(files)
        completions = [p for p in Path(d).rglob('bash-completion/completions/ringtap')]
        assert len(completions) == 1
        if not Path(BUILD, 'docs', 'ringtap.1').exists():
            raise tap.Skip('python3-docutils is not installed: no manual')
        assert len(PAGES) >= 4 and PAGES <= set(files), (PAGES, sorted(files))
        for page in PAGES:
            assert files[page].parent.name == 'man' + page[-1]


def test_back_end_is_known_to_vmms():
    """QEMU's docs/interop/vhost-user.json: it names the program where it will be."""
    with tempfile.TemporaryDirectory() as d:
        files = installed(d)
        path = files['50-ringtap.json']
        assert path.parts[-4:-1] == ('share', 'qemu', 'vhost-user'), path
        known = json.loads(path.read_text(encoding='utf-8'))
        assert set(known) == {'description', 'type', 'binary', 'features'}
        assert f'{d}{known["binary"]}' == str(files['ringtap'])
        said = subprocess.run([files['ringtap'], '--print-capabilities'], capture_output=True,
                              text=True, check=True).stdout
        assert json.loads(said) == {k: known[k] for k in ('type', 'features')}


def test_it_runs_from_there():
    """Without the environment and the directory of the source tree."""
    with tempfile.TemporaryDirectory() as d:
        files = installed(d)
        for argv, text in (([files['ringtap'], '-version'], 'ringtap version '),
                           ([files['ringtap-top'], '--help'], 'usage: ringtap-top')):
            done = subprocess.run(argv, cwd='/', env={'PATH': os.environ['PATH']}, timeout=60,
                                  capture_output=True, text=True, check=False)
            assert done.returncode == 0 and text in done.stdout, done
        for file in files.values():
            if file.suffix == '.py' or file.name == 'ringtap-top' or file.parent.name[:3] == 'man':
                assert str(TOP) not in file.read_text(encoding='utf-8'), file


def test_manual_names_nothing_of_the_source():
    for page in ('ringtap.1.rst', 'ringtap-top.1.rst', 'qmp.rst', 'vhost-user.rst'):
        text = (TOP / 'docs' / page).read_text(encoding='utf-8')
        named = re.findall(r'(?<![\w/])(?:docs|scripts|tests)/[\w./-]+', text)
        assert not named, (page, named)


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
