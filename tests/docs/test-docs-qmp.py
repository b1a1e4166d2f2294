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


def members(path, table_name):
    """The names in a table of the source."""
    text = (TOP / path).read_text(encoding='utf-8')
    rows = re.search(rf'^static const \w+ {table_name}\[\] = \{{\n(.*?)^\}};', text, re.M | re.S)[1]
    return set(re.findall(r'^    (?:\[\w+\] = )?\{ "([\w-]+)",', rows, re.M))


def assert_same(documented, real):
    assert documented == real, f'not documented: {real - documented}, ' \
                               f'not there: {documented - real}'


def test_commands():
    with Ringtap(BINARY, '-machine', 'none') as r:
        real = {c['name'] for c in r.qmp().command('query-commands')}
    assert_same(table('command'), real)


def test_events():
    assert_same(table('event'), members('system/qmp-state.c', 'events') |
                members('system/qmp-device-events.c', 'events') |
                members('system/qmp-device-events.c', 'vif_events') | {'DEVICE_DELETED'})


def test_counters():
    assert_same(table('counter'), members('system/qmp-vif.c', 'dir_members'))
    with Ringtap(BINARY, '-machine', 'none') as r:
        for device in r.qmp().command('query-device-classes'):
            for group in ('tx', 'rx'):
                assert_same(table('counter'), {c['name'] for c in device['counters']
                                               if c['group'] == group})


def test_members_of_query_vif():
    assert_same(table('member'), members('system/qmp-vif.c', 'vif_members'))


def test_members_of_query_devices():
    assert_same(table('key'), members('system/qmp-query-devices.c', 'device_members'))


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
