#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/qmp.rst names the commands, events and counters that there are, and no others."""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap  # noqa: E402
import tap  # noqa: E402

BINARY = str(Path(sys.argv[1]).resolve())
TEXT = (TOP / 'docs' / 'qmp.rst').read_text(encoding='utf-8')


def table(heading):
    """First words of the rows of the table whose first column has the heading."""
    body = re.search(rf'^=+ =+\n{heading} [^\n]*\n=+ =+\n(.*?)^=+ =+$', TEXT, re.M | re.S).group(1)
    return set(re.findall(r'^``([\w-]+)``', body, re.M))


def literals(path, pattern):
    return set(re.findall(pattern, (TOP / path).read_text(encoding='utf-8')))


def assert_same(documented, real):
    assert documented == real, f'not documented: {real - documented}, ' \
                               f'not there: {documented - real}'


def test_commands():
    with Ringtap(BINARY, '-machine', 'none') as r:
        real = {c['name'] for c in r.qmp().command('query-commands')}
    assert_same(table('command'), real)


def test_events():
    assert_same(table('event'), literals('qmp/qmp.c', r'qmp_event\(q, "(\w+)"'))


def test_counters():
    assert_same(table('counter'),
                literals('qmp/queries.c', r'\{ "([\w-]+)", offsetof\(NetifDirStats'))


def test_members_of_query_vif():
    source = (TOP / 'qmp' / 'queries.c').read_text(encoding='utf-8')
    body = source[source.index('static void add_vif('):source.index('struct json_object *'
                                                                   'qmp_query_vif(')]
    real = set(re.findall(r'add(?:_str|_int)?\(o, "([\w-]+)"', body))
    assert_same(table('member'), real)


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
