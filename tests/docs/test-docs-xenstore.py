# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/xenstore-keys.rst names the keys that the code uses, and no others."""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
import tap  # noqa: E402

# Calls whose literals are keys, and lists of keys (an initialiser in braces).
CALL = re.compile(r'\b(?:xen_store|xen_keys|xenbus_back|xenbus_front|blkback|back|front|nodes|keys|store|netback|netfront|attach|params)_(\w+)\s*\(')
LIST = re.compile(r'\bconst\s+char\s*\*\s*const\s+\w+\[\]\s*=\s*\{([^}]*)\}', re.S)
PATH = re.compile(r'(?:%s|%u(?=/device-model))/([a-z][a-z-]*)')
ROW = re.compile(r'\{\s*"((?:feature|request|multi-queue|max|sector|discard)-[a-z0-9-]+)",'
                 r'[^{}]*\}')
KEY = re.compile(r'^[a-z][a-z0-9-]*$')
LITERAL = re.compile(r'"((?:\\.|[^"\\])*)"')


def arguments(text, start):
    """The argument texts of a call whose opening parenthesis is before @start."""
    depth, begin, found = 0, start, []
    for i in range(start, len(text)):
        char = text[i]
        if char in '([{':
            depth += 1
        elif char in ')]}':
            if depth == 0:
                found.append(text[begin:i])
                return found
            depth -= 1
        elif char == ',' and depth == 0:
            found.append(text[begin:i])
            begin = i + 1
    return found


def keys_of(files):
    """The keys in those source files, a list of patterns."""
    found = set()
    for path in sorted(p for pattern in files for p in TOP.glob(pattern)):
        if path.name.endswith('-options.c'):
            continue
        text = re.sub(r'/\*.*?\*/', '', path.read_text(), flags=re.S)
        for match in CALL.finditer(text):
            args = arguments(text, match.end())
            # xen_store_printf(store, tx, dir, key, format, ...): the rest are values
            for arg in args[:4] if match[1] == 'printf' else args:
                found.update(k for k in LITERAL.findall(arg) if KEY.match(k))
        for match in LIST.finditer(text):
            found.update(k for k in LITERAL.findall(match[1]) if KEY.match(k))
        found.update(ROW.findall(text))
        for literal in LITERAL.findall(text):
            if 'XXXXXX' not in literal:  # a directory's
                found.update(PATH.findall(literal))
    return found


def documented(title):
    text = (TOP / 'docs' / 'xenstore-keys.rst').read_text()
    section = re.search(rf'^{title}\n=+\n(.*?)(?=^\w+\n=+\n|\Z)', text, re.M | re.S)[1]
    return {k for k in re.findall(r'``([a-z][a-z0-9-]*)``', section)}


def compare(files, title, least):
    code, doc = keys_of(files), documented(title)
    assert len(code) >= least, f'found only {sorted(code)} in the code'
    assert not code - doc, f'not in docs/xenstore-keys.rst: {sorted(code - doc)}'
    assert not doc - code, f'not in the code: {sorted(doc - code)}'


def test_netback_keys():
    compare(['hw/net/xen-netback*.c', 'hw/xen/xen-keys.c', 'hw/xen/xenbus-back*.c'], 'Netback', 16)


def test_blkback_keys():
    compare(['hw/block/xen-blkback-store.c', 'hw/xen/xen-keys*.c', 'hw/xen/xenbus-back*.c'], 'Blkback', 25)


def test_keys_of_attachment():
    compare(['hw/block/xen-vbd-params.c', 'hw/xen/xenbus-attach.c'], 'Attachment', 9)


def test_netfront_keys():
    compare(['hw/net/xen-netfront*.c', 'hw/xen/xenbus-front*.c'], 'Netfront', 16)


def test_keys_of_the_program():
    compare(['system/accel.c'], 'Program', 2)


tap.run(globals())
