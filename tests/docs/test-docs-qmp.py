#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/qmp.rst has the commands, events, members and counters that query-qmp-schema shows, and
no others. Usage: test-docs-qmp.py RINGTAP [--write]: writes the part that is only a list."""

import re
import sys
import textwrap
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap  # noqa: E402
import tap  # noqa: E402

BINARY = str(Path(sys.argv[1]).resolve())
MANUAL = TOP / 'docs' / 'qmp.rst'
TEXT = MANUAL.read_text(encoding='utf-8')
LIST = re.compile(r'(?<=\n\.\. from: query-qmp-schema\n\n::\n\n).*', re.S)


def table(heading):
    """First words of the rows of the tables whose first column has the heading."""
    bodies = re.findall(rf'^=+ =+\n{heading} [^\n]*\n=+ =+\n(.*?)^=+ =+$', TEXT, re.M | re.S)
    assert bodies, heading
    return set(re.findall(r'^``([\w-]+)``', '\n'.join(bodies), re.M))


class Schema:
    """What query-qmp-schema says, by name."""

    def __init__(self):
        with Ringtap(BINARY, '-machine', 'none') as r:
            q = r.qmp()
            self.entries = q.command('query-qmp-schema')
            self.commands = {c['name'] for c in q.command('query-commands')}
        self.types = {e['name']: e for e in self.entries}
        assert len(self.types) == len(self.entries), 'a name twice'

    def names(self, meta):
        return {e['name'] for e in self.entries if e['meta-type'] == meta}

    def members(self, type_name, *path):
        """Names of the members of an object, or of the one that the path leads to."""
        entry = self.types[type_name]
        while entry['meta-type'] == 'array':
            entry = self.types[entry['element-type']]
        members = {m['name']: m['type'] for m in entry['members']}
        return self.members(members[path[0]], *path[1:]) if path else set(members)

    def show(self, name, around=()):
        entry = self.types[name]
        if name in around:
            return '{...}'  # one in the other, and so on
        around += (name,)
        if entry['meta-type'] == 'builtin':
            return name
        if entry['meta-type'] == 'array':
            return f"[{self.show(entry['element-type'], around)}]"
        if entry['meta-type'] == 'enum':
            return '|'.join(m['name'] for m in entry['members'])
        if entry['meta-type'] == 'alternate':
            return ' or '.join(self.show(m['type'], around) for m in entry['members'])
        parts = [f"{m['name']}{'?' if 'default' in m else ''}: {self.show(m['type'], around)}"
                 for m in entry['members']]
        parts += [f"if {entry['tag']} is {v['case']}: {self.show(v['type'], around)}"
                  for v in entry.get('variants', [])]
        return '{' + ', '.join(parts) + '}'

    def manual(self):
        """All commands and events, with what they take and give."""
        lines = []
        for e in self.entries:
            if e['meta-type'] in ('command', 'event'):
                lines.append(f"    {e['name']}")
                for arrow, key in (('->', 'arg-type'), ('<-', 'ret-type')):
                    text = self.show(e[key]) if key in e else '{}'
                    if text != '{}':
                        arrow = arrow if e['meta-type'] == 'command' else '<-'
                        lines += textwrap.wrap(f'      {arrow} {text}', 96, break_on_hyphens=False,
                                               subsequent_indent=' ' * 9)
        return '\n'.join(lines) + '\n'


SCHEMA = Schema()


def assert_same(documented, real):
    assert documented == real, f'not documented: {real - documented}, ' \
                               f'not there: {documented - real}'


def test_commands():
    assert_same(table('command'), SCHEMA.names('command'))
    assert SCHEMA.commands == SCHEMA.names('command')


def test_events():
    assert_same(table('event'), SCHEMA.names('event'))


def test_counters():
    for group in ('tx', 'rx'):
        assert_same(table('counter'), SCHEMA.members(SCHEMA.types['query-vif']['ret-type'],
                                                     'queues', group))
    with Ringtap(BINARY, '-machine', 'none') as r:
        for device in r.qmp().command('query-device-classes'):
            groups = {c['group'] for c in device['counters']}
            for group in groups:
                first = ('counter' if group in ('tx', 'rx') else
                         'of a ring' if group == 'ring' else 'of requests')
                assert_same(table(first), {c['name'] for c in device['counters']
                                           if c['group'] == group})


def test_members_of_query_vif():
    assert_same(table('member'), SCHEMA.members(SCHEMA.types['query-vif']['ret-type']))


def test_members_of_query_devices():
    assert_same(table('key'), SCHEMA.members(SCHEMA.types['query-devices']['ret-type']))


def test_arguments_and_results():
    assert LIST.search(TEXT)[0] == SCHEMA.manual(), 'run this with --write'


def test_each_type_is_there():
    """And is used: a client follows names from commands and events."""
    used = set()
    left = list(SCHEMA.names('command') | SCHEMA.names('event'))
    while left:
        name = left.pop()
        if name not in used:
            used.add(name)
            e = SCHEMA.types[name]
            left += [e[k] for k in ('arg-type', 'ret-type', 'element-type') if k in e]
            left += [m['type'] for m in e.get('members', []) if 'type' in m]
            left += [v['type'] for v in e.get('variants', [])]
    assert used == set(SCHEMA.types)


if __name__ == '__main__':
    if '--write' in sys.argv:
        MANUAL.write_text(LIST.sub(lambda _: SCHEMA.manual(), TEXT), encoding='utf-8')
    else:
        tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
