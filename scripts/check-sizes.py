#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sizes of files and functions (HACKING.md): warns at the soft limit, fails at the hard
one; scripts/size-exceptions.txt lists what may be larger, with the reason."""

import re
import sys
from fnmatch import fnmatch
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / 'lib'))
import source  # noqa: E402

FILE_LIMITS = {'.c': (700, 1000), '.h': (200, 300)}
TEST_FILE = (1500, 2500)
FUNCTION = (60, 100)
# The loops that a packet goes through have to fit one screen.
DATA_PATH_FUNCTION = (45, 60)
DATA_PATH = ['block/nbd-conn.c', 'block/queue.c',
             'hw/block/xen-blk*.c', 'hw/net/*-tx.c', 'hw/net/*-rx.c', 'hw/virtio/virtq*.c',
             'net/pkt*.c']
PARAMETERS = (5, 8)
NESTING = (4, 6)
INCLUDES = (20, 25)
LINE = (80, 100)

START = re.compile(r'^\{\s*$')
END = re.compile(r'^\}\s*$')
EXCEPTION = re.compile(r'^(\S+)\s+(\S+)\s+(\d+)\s+(.+)$')


def is_test(path):
    return path.parts[0] == 'tests' or 'tests' in path.parts


def read_exceptions(root):
    """{(file, what): limit}: what is file, line, includes or a function's name."""
    found = {}
    path = root / 'scripts' / 'size-exceptions.txt'
    for line in path.read_text().splitlines() if path.exists() else []:
        match = EXCEPTION.match(line)
        if match and not line.startswith('#'):
            found[match[1], match[2]] = int(match[3])
    return found


def functions(lines):
    """Yields (name, parameters, first line, last line): our style puts braces in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if START.match(line):
            start = number
        elif END.match(line) and start:
            head = ''
            n = start - 1
            while n > 0 and lines[n - 1].strip() and not lines[n - 1].startswith(('}', '#')):
                head = lines[n - 1] + ' ' + head
                n -= 1
                if lines[n].strip() and not lines[n].startswith((' ', '\t', '{')):
                    break
            head = re.sub(r'\bG_GNUC_\w+(\s*\([^()]*\))?|__attribute__\s*\(\(.*?\)\)', '', head)
            match = re.search(r'(\w+)\s*\((.*)\)', head, re.S)
            if match:
                yield match[1], count_parameters(match[2]), start, number
            start = None


def count_parameters(text):
    depth = 0
    count = 1
    for char in text:
        depth += char in '(['
        depth -= char in ')]'
        count += char == ',' and depth == 0
    return 0 if text.strip() in ('', 'void') else count


def depth_of(body):
    """The deepest block; the braces of initialisers are none."""
    text = re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', '', '\n'.join(body),
                  flags=re.S)
    blocks = []
    deepest = 0
    for match in re.finditer(r'[{}]', text):
        if match[0] == '{':
            before = text[:match.start()].rstrip()
            blocks.append(before.endswith((')', 'else', 'do', ';', '}', ':')) or not before)
            deepest = max(deepest, sum(blocks))
        elif blocks:
            blocks.pop()
    return deepest


class Judge:
    """Compares with limits and collects what is over them."""

    def __init__(self, exceptions):
        self.exceptions = exceptions
        self.used = set()
        self.errors = []
        self.warnings = []

    def limit(self, path, what, value, limits, text):
        soft, hard = limits
        granted = self.exceptions.get((path.as_posix(), what))
        if granted is not None:
            self.used.add((path.as_posix(), what))
            soft, hard = granted, granted
        if value > hard:
            self.errors.append(f'{path}: {text}: {value}, at most {hard}')
        elif value > soft:
            self.warnings.append(f'{path}: {text}: {value}, better at most {soft}')


def check_file(judge, root, path):
    lines = (root / path).read_text(errors='replace').splitlines()
    test = is_test(path)
    judge.limit(path, 'file', len(lines), TEST_FILE if test else FILE_LIMITS[path.suffix],
                'lines')
    longest = max((len(l) for l in lines), default=0)
    judge.limit(path, 'line', longest, (LINE[1], LINE[1]), 'columns')
    own = sum(1 for l in lines if re.match(r'\s*#\s*include\s*"', l))
    judge.limit(path, 'includes', own, INCLUDES, 'headers of the project included')
    data_path = any(fnmatch(path.as_posix(), p) for p in DATA_PATH)
    limits = DATA_PATH_FUNCTION if data_path else FUNCTION
    for name, n_params, first, last in functions(lines):
        body = lines[first:last - 1]
        judge.limit(path, name, len(body), limits, f'{name}(): lines')
        judge.limit(path, f'{name}:nesting', depth_of(body), NESTING, f'{name}(): nesting')
        judge.limit(path, f'{name}:parameters', n_params, PARAMETERS,
                    f'{name}(): parameters')


def check(root):
    judge = Judge(read_exceptions(root))
    for path in source.c_files(root):
        check_file(judge, root, path)
    for path, what in sorted(set(judge.exceptions) - judge.used):
        judge.errors.append(f'scripts/size-exceptions.txt: nothing is there: {path} {what}')
    return judge.errors, judge.warnings


if __name__ == '__main__':
    source.main('check-sizes', __doc__, check)
