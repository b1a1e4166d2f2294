#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual has each list of properties; files named anywhere are there."""

import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
sys.path.insert(0, str(TOP / 'scripts' / 'lib'))
import source  # noqa: E402
import tap  # noqa: E402

BINARY = str(Path(sys.argv[1]).resolve())
MANUAL = (TOP / 'docs' / 'ringtap.1.rst').read_text(encoding='utf-8')
# A file of ours, in prose or in a comment: docs/misc is Xen's, docs/interop QEMU's, a word in
# capitals stands for one.
NAMED = re.compile(r'(?<![\w./-])(?!docs/misc/|docs/interop/|\S*[A-Z]{3})((?:docs|scripts|tests|include)/[\w./-]*\w\.(?:rst|md|py|txt|h|c))\b')


def said(*args):
    return subprocess.run([BINARY, *args], stdout=subprocess.PIPE, text=True, check=True).stdout


def test_properties_of_each_kind():
    kinds = [('netdev', said('-netdev', 'help').split('\n')[1:]),
             # host_device has the same as file
             ('blockdev', [n for n in said('-blockdev', 'help').split('\n')[1:]
                           if n != 'host_device']),
             # there, those without effect are listed with their options
             ('device', re.findall(r'name "([^"]+)", (?!with )', said('-device', 'help'))),
             # the manual names the others
             ('object', [n for n in said('-object', 'help').split('\n')[1:]
                         if f'**{n.strip()}**' not in MANUAL]),
             # what processors would have
             ('accel', [n for n in said('-accel', 'help').split('\n')[1:]
                        if n not in ('tcg', 'kvm')]),
             # the others have the same ones
             ('machine', said('-machine', 'help').split('\n')[1:2])]
    for option, names in kinds:
        names = [name.split()[0] for name in names if name.strip()]
        assert names, option
        for name in names:
            if ' - ' in said(f'-{option}', f'{name},help'):
                block = f'.. from: -{option} {name},help\n'
                assert block in MANUAL, f'no "{block.strip()}" in docs/ringtap.1.rst'


def test_files_that_are_named_exist():
    missing = set()
    for path in source.tree_files(TOP):
        if path.suffix not in ('.c', '.h', '.md', '.rst', '.build', '.py', '.txt', '.yml', ''):
            continue
        if path.as_posix() in ('COPYING', 'tests/style/test-checks.py'):
            continue
        text = (TOP / path).read_text(encoding='utf-8', errors='replace')
        missing |= {f'{path}: {name}' for name in NAMED.findall(text)
                    if not (TOP / name).exists() and not (TOP / 'subprojects/xenemu' / name).exists()}
    assert not missing, sorted(missing)


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
