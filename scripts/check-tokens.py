#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Words and habits that have no place in the tree, each with what to do instead."""

import re
import sys
from fnmatch import fnmatch
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / 'lib'))
import source  # noqa: E402

C = ['*.c', '*.h']
TESTS = ['tests/*', 'subprojects/xenemu/tests/*']
DATA_PATH = ['block/nbd-conn.c', 'block/queue.c',
             'hw/block/xen-blkback-copy.c', 'hw/block/xen-blkif.c', 'hw/net/*-tx.c',
             'hw/net/*-rx.c', 'hw/virtio/virtq.c', 'hw/virtio/virtq-packed.c',
             'hw/virtio/virtq-split.c', 'hw/virtio/virtq-track.c', 'hw/virtio/virtq-walk.c']

# pattern, files, files excepted, what to do instead
CODE_RULES = [
    (r'\b(strcpy|strcat|strncpy|strncat)\s*\(', C, [],
     'g_strlcpy(), g_strdup() or memcpy() with a length'),
    (r'\bv?sprintf\s*\(', C, [], 'snprintf() or g_strdup_printf()'),
    (r'\bgets\s*\(', C, [], 'fgets() or a GInputStream'),
    (r'\b(atoi|atol|atoll|atof)\s*\(', C, [],
     'qemu-style strict parsing: see util/, errors must be seen'),
    (r'\b(v?printf|puts|putchar|g_print|g_printerr|perror)\s*\(', C,
     ['system/*', 'util/log.c', *TESTS], 'modules return errors; system/ prints'),
    (r'\bv?fprintf\s*\(', C, ['system/*', 'qtest/qtest.c', 'util/log.c', *TESTS],
     'modules return errors; system/ prints'),
    (r'\b(usleep|sleep|nanosleep|g_usleep)\s*\(', C, TESTS,
     'wait for an event or a timer, not for time to pass'),
    (r'\b(exit|abort|_exit|g_error|err|errx)\s*\(', C, ['system/*', *TESTS],
     'only system/ ends the process'),
    (r'\bassert\s*\(', C, TESTS, 'g_assert(), which is not compiled out'),
    (r'\balloca\s*\(', C, [], 'the stack is bounded'),
    (r'\b(GError|g_autofree|g_autoptr|g_new0?|g_malloc0?|g_try_\w+|g_strdup\w*|malloc|calloc|'
     r'realloc)\b', DATA_PATH, [], 'no allocation, GError or string on a data path'),
    (r'\b(log_\w+|g_mutex_\w+|pthread_mutex_\w+|snprintf)\s*\(', DATA_PATH, [],
     'no log, lock or string on a data path'),
    (r'#\s*include\s*"\.\./', C, [], 'a shared header lives in include/'),
    (r'^\s*#\s*if\s+[01]\b', C, [], 'no dead code: git remembers it'),
]
# The same for whole lines, comments included.
LINE_RULES = [
    (r'\b(TODO|FIXME|XXX)\b(?!\(#\d+\))', ['*'],
     ['scripts/check-tokens.py', 'tests/style/*', 'HACKING.md'],
     'write TODO(#number of the issue), or do it'),
    (r'[ \t]+$', ['*'], ['COPYING', '*.bin', '*.patch'], 'blanks at the end of a line'),
    (r'\t', [*C, '*.py', '*.build', '*.md', '*.rst', '*.yml'], [], 'spaces, not tabs'),
    ('/' + r'work/', ['*'], [], 'a path of somebody\'s machine'),
    (r'//', C, [], '/* comments */ only'),
]
SPDX = re.compile(r'SPDX-License-Identifier: GPL-2\.0-or-later')
NEEDS_SPDX = ('.c', '.h', '.py', '.sh', '.build')
# Mutable state at file scope: only system/, the log, the clock and a signal handler have some.
GLOBAL = re.compile(r'^(?:static\s+)?(?!.*\b(?:const|typedef|extern|return)\b)'
                    r'(?:struct\s+|unsigned\s+|volatile\s+|_Thread_local\s+|__thread\s+)*'
                    r'\w+[\s*]+\w+(?:\[[^\]]*\])*\s*(?:=[^=].*|;)$')
GLOBAL_OK = ['system/*', 'util/log.c', 'util/clock.c', 'util/mem-fault.c', *TESTS]
BINARY = ('.bin', '.png', '.gz')


def matches(path, patterns):
    return any(fnmatch(path.as_posix(), p) for p in patterns)


def blank(match):
    """Comments and strings go, the lines and columns stay."""
    return re.sub(r'[^\n]', ' ', match[0])


def without_comments(text):
    text = re.sub(r'/\*.*?\*/', blank, text, flags=re.S)
    return re.sub(r'"(?:\\.|[^"\\\n])*"',
                  lambda m: m[0] if '../' in m[0] else '"' + blank(m)[1:-1] + '"', text)


def without_strings(text):
    """For the rule on comments: a URL in a string is none."""
    return re.sub(r'"(?:\\.|[^"\\\n])*"', blank,
                  re.sub(r'/\*.*?\*/', blank, text, flags=re.S))


def scan(path, text, rules):
    for pattern, files, excepted, advice in rules:
        if not matches(path, files) or matches(path, excepted):
            continue
        for match in re.finditer(pattern, text, re.M):
            line = text.count('\n', 0, match.start()) + 1
            yield f'{path}:{line}: {match[0].strip()[:40] or "blank"}: {advice}'


def check_globals(path, code):
    if path.suffix != '.c' or matches(path, GLOBAL_OK):
        return
    for number, line in enumerate(code.splitlines(), 1):
        if GLOBAL.match(line):
            yield f'{path}:{number}: {line.strip()[:50]}: no mutable file-scope variables'


def check_file(root, path):
    raw = (root / path).read_bytes()
    if path.suffix in BINARY or b'\0' in raw or path.name == 'COPYING' \
       or 'corpus' in path.parts:
        return
    text = raw.decode(errors='replace')
    if path.suffix in ('.c', '.h'):
        yield from scan(path, without_comments(text), CODE_RULES)
        yield from check_globals(path, without_comments(text))
    for rule in LINE_RULES:
        subject = without_strings(text) if rule[0] == '//' else text
        yield from scan(path, subject, [rule])
    script = text.startswith('#!')
    if (path.suffix in NEEDS_SPDX or script) and not SPDX.search(text[:1500]):
        yield f'{path}:1: no SPDX-License-Identifier: GPL-2.0-or-later'
    if text and not text.endswith('\n'):
        yield f'{path}: no newline at the end'


def check(root):
    errors = []
    for path in source.tree_files(root):
        errors.extend(check_file(root, path))
    return errors, []


if __name__ == '__main__':
    source.main('check-tokens', __doc__, check)
