#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each header compiles alone, and its guard is its path.

usage: check-headers.py COMPILER [FLAG...]; the flags are those of the build."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / 'lib'))
import source  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
INCLUDES = ['include', 'subprojects/xenemu/include', 'subprojects/xenemu']
# Tests of a module's inside see its private headers, as their executables do.
TEST_INCLUDES = ['block', 'hw/block', 'hw/net', 'hw/virtio', 'net', 'tests/lib']


def guard_of(path):
    parts = path.parts[1:] if path.parts[0] == 'include' else path.parts
    if path.parts[0] == 'subprojects':
        parts = path.parts[-1:]
    return re.sub(r'\W', '_', '_'.join(parts)).upper()


def check_header(compiler, path):
    text = (ROOT / path).read_text()
    guard = guard_of(path)
    if not re.search(rf'^#ifndef \w*{guard}$', text, re.M):
        return f'{path}: its guard should be {guard}'
    includes = INCLUDES + (TEST_INCLUDES if path.parts[0] == 'tests' else [])
    argv = [*compiler, *(f'-I{ROOT / d}' for d in includes), f'-I{(ROOT / path).parent}',
            '-fsyntax-only', '-Werror', '-x', 'c', '-']
    # Twice, so that the guard does its work.
    name = path.relative_to('include') if path.parts[0] == 'include' else path.name
    done = subprocess.run(argv, input=f'#include "{name}"\n#include "{name}"\n', text=True,
                          stderr=subprocess.PIPE, check=False)
    return None if done.returncode == 0 else f'{path} does not compile alone:\n{done.stderr}'


def main():
    headers = [p for p in source.c_files(ROOT) if p.suffix == '.h']
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda p: check_header(sys.argv[1:], p), headers)
    errors = [r for r in results if r]
    print(f'{len(headers)} headers')
    return source.report('check-headers', errors)


if __name__ == '__main__':
    sys.exit(main())
