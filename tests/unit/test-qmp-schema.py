#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""All of query-qmp-schema: it is well-formed, and each command keeps to it, whatever is wrong with
its arguments. Usage: test-qmp-schema.py RINGTAP"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap
import qemu
import tap

BINARY = os.path.abspath(sys.argv[1])
UNKNOWN = 'no-such-argument'
JSON_TYPES = {'string', 'number', 'int', 'boolean', 'null', 'object', 'array', 'value'}
KEYS = {  # by meta-type: what an entry has to have, and what it may have besides
    'builtin': ({'json-type'}, set()),
    'enum': ({'members', 'values'}, set()),
    'array': ({'element-type'}, set()),
    'object': ({'members'}, {'tag', 'variants'}),
    'alternate': ({'members'}, set()),
    'command': ({'arg-type', 'ret-type'}, {'allow-oob'}),
    'event': ({'arg-type'}, set()),
}
# A command that does what it is told to do without arguments would end the conversation.
ENDS = {'quit'}
# Arguments of a QEMU later than 7.2, or of ours alone; and a secret comes from a file only.
OURS = {('migrate-set-parameters', '', 'local'), ('netdev_add', 'tap', 'incoming-fds'),
        ('netdev_add', 'tap', 'local-migration-supported'),
        ('netdev_add', 'stream', 'reconnect'), ('netdev_add', 'stream', 'reconnect-ms'),
        ('object-add', 'memory-backend-file', 'offset'),
        ('object-add', 'memory-backend-file', 'rom'),
        ('netdev_add', 'tap', 'persist'), ('object-add', 'secret', 'file')}
# QEMU says it of a property, as a device's are not in the schema.
DRIVERS = {'device_add'}


class Schema:
    def __init__(self, q):
        self.entries = q.command('query-qmp-schema')
        self.types = {e['name']: e for e in self.entries}

    def of(self, meta):
        return [e for e in self.entries if e['meta-type'] == meta]

    def arguments(self, command):
        return self.types[command['arg-type']]['members']

    def value(self, name, depth=0):
        """A value of the type, the smallest one; nothing of the kind is there."""
        t = self.types[name]
        if t['meta-type'] == 'builtin':
            return {'string': 'nosuch', 'int': 1, 'number': 1, 'boolean': False,
                    'value': 'nosuch'}[t['json-type']]
        if t['meta-type'] == 'enum':
            return t['values'][0]
        if t['meta-type'] == 'array':
            return []
        if t['meta-type'] == 'alternate':
            return self.value(t['members'][-1]['type'], depth + 1)
        assert depth < 10, name
        return self.object(t, depth + 1)

    def object(self, t, depth=0):
        """With what it must have."""
        members = list(t['members'])
        for v in t.get('variants', []):
            tag = next(m for m in t['members'] if m['name'] == t['tag'])
            if v['case'] == self.value(tag['type']):
                members += self.types[v['type']]['members']
        return {m['name']: self.value(m['type'], depth) for m in members if 'default' not in m}

    def wrong(self, name):
        """A value of another type."""
        t = self.types[name]
        number = t['meta-type'] in ('enum', 'object', 'array', 'alternate') or \
            t.get('json-type') in ('string', 'boolean')
        return 1.5 if number else {'x': 1}


def none():
    return Ringtap(BINARY, '-machine', 'none')


def execute(q, name, arguments):
    """The error's text; None: it succeeded."""
    q.send(json.dumps({'execute': name, 'arguments': arguments, 'id': name}))
    reply = q.reply()
    assert reply['id'] == name
    if 'error' not in reply:
        return None
    assert set(reply['error']) == {'class', 'desc'} and reply['error']['desc'], reply
    assert '\n' not in reply['error']['desc']
    return reply['error']['desc']


# --- the schema itself

def test_entries():
    with none() as r:
        s = Schema(r.qmp())
        assert len(s.types) == len(s.entries), 'two of a name'
        for e in s.entries:
            required, optional = KEYS[e['meta-type']]
            keys = set(e) - {'name', 'meta-type', 'features'}
            assert required <= keys <= required | optional, e
            assert ('tag' in e) == ('variants' in e), e
            if e['meta-type'] == 'builtin':
                assert e['json-type'] in JSON_TYPES, e
            for names in (e.get('values', []), e.get('features', []),
                          [m['name'] for m in e.get('members', []) if 'name' in m],
                          [v['case'] for v in e.get('variants', [])]):
                assert len(set(names)) == len(names) and all(names), e
            if e['meta-type'] == 'enum':
                assert [m['name'] for m in e['members']] == e['values'] != [], e


def references(e):
    """Pairs of a type that the entry names, and what it may be; None: a value of any kind."""
    yield from ((e[key], ('object',)) for key in ('arg-type',) if key in e)
    yield from ((e[key], None) for key in ('ret-type', 'element-type') if key in e)
    if e['meta-type'] in ('object', 'alternate'):
        yield from ((m['type'], None) for m in e['members'])
    yield from ((v['type'], ('object',)) for v in e.get('variants', []))


def test_references():
    with none() as r:
        s = Schema(r.qmp())
        used = set()
        for e in s.entries:
            for name, kinds in references(e):
                kind = s.types[name]['meta-type']
                assert kind in kinds if kinds else kind not in ('command', 'event'), (e, name)
                used.add(name)
        named = {e['name'] for e in s.of('command') + s.of('event')}
        assert set(s.types) - used == named, 'types that nobody has'


def test_unions():
    with none() as r:
        s = Schema(r.qmp())
        for e in s.of('object'):
            if 'tag' in e:
                tags = [m for m in e['members'] if m['name'] == e['tag']]
                assert len(tags) == 1 and 'default' not in tags[0], e
                values = s.types[tags[0]['type']]['values']
                assert {v['case'] for v in e['variants']} <= set(values), e
                for v in e['variants']:
                    of_all = {m['name'] for m in e['members']}
                    of_one = {m['name'] for m in s.types[v['type']]['members']}
                    assert not of_all & of_one, (e, v)
        for e in s.of('alternate'):
            kinds = [s.types[m['type']] for m in e['members']]
            assert len({k.get('json-type', k['meta-type']) for k in kinds}) == len(kinds), e


def test_commands_are_those_of_query_commands():
    with none() as r:
        q = r.qmp()
        names = [c['name'] for c in q.command('query-commands')]
        assert sorted(names) == sorted(c['name'] for c in Schema(q).of('command'))


def shapes(s, command):
    """Of each argument, and of those of branches: whether it is optional, and its type."""
    t = s.types[command['arg-type']]
    for case, members in [('', t['members']), *((v['case'], s.types[v['type']]['members'])
                                                for v in t.get('variants', []))]:
        for m in members:
            of = s.types[m['type']]
            kind = 'string' if of['meta-type'] == 'enum' else of.get('json-type', of['meta-type'])
            yield (case, m['name']), ('default' in m, kind)


def accepts(ours, theirs):
    return theirs and ours[1] in (theirs[1], 'value') and (ours[0] or not theirs[0])


def test_commands_keep_to_qemus_schema():
    """What QEMU has, too, asks for no more than QEMU does, and calls values what QEMU does."""
    def talk(q):
        s = Schema(q)
        return {c['name']: dict(shapes(s, c)) for c in s.of('command')}

    ours, theirs = qemu.conversations(BINARY, talk)
    common = set(ours) & set(theirs)
    assert len(common) > 50
    wrong = [(name, arg, shape, theirs[name].get(arg)) for name in sorted(common)
             for arg, shape in ours[name].items()
             if (name, *arg) not in OURS and not accepts(shape, theirs[name].get(arg))]
    assert wrong == [], '\n'.join(map(str, wrong))


# --- what commands do

def test_without_arguments():
    with none() as r:
        q = r.qmp()
        s = Schema(q)
        for c in s.of('command'):
            missing = {f"Parameter '{m['name']}' is missing" for m in s.arguments(c)
                       if 'default' not in m}
            if c['name'] not in ENDS and c['name'] != 'qmp_capabilities':
                text = execute(q, c['name'], {})
                assert text in missing if missing else True, (c['name'], text)
        assert q.command('query-status')['running']


def test_unknown_argument():
    with none() as r:
        q = r.qmp()
        s = Schema(q)
        for c in s.of('command'):
            if c['name'] == 'qmp_capabilities':
                continue
            args = s.object(s.types[c['arg-type']])
            text = execute(q, c['name'], {**args, UNKNOWN: 1})
            expected = f"Parameter '{UNKNOWN}' is unexpected"
            assert text == expected or c['name'] in DRIVERS and 'valid device' in text, (
                c['name'], text)
        assert q.command('query-status')['running']


def cases(s, command):
    """Each argument, with others that are fine; those of each branch of a union, too."""
    t = s.types[command['arg-type']]
    for m in t['members']:
        if s.types[m['type']].get('json-type') != 'value' and command['name'] != 'qmp_capabilities':
            yield s.object(t), m
    for v in t.get('variants', []):
        branch = s.types[v['type']]
        for m in branch['members']:
            if s.types[m['type']].get('json-type') != 'value':
                yield {**s.object(t), t['tag']: v['case'], **s.object(branch)}, m


def test_arguments_of_another_type():
    with none() as r:
        q = r.qmp()
        s = Schema(q)
        n = 0
        for c in s.of('command'):
            for args, m in cases(s, c):
                text = execute(q, c['name'], {**args, m['name']: s.wrong(m['type'])})
                assert text and (f"'{m['name']}'" in text and 'expect' in text or
                                 c['name'] in DRIVERS and 'valid device' in text), (
                                     c['name'], args, m, text)
                n += 1
        assert n > 100
        assert q.command('query-status')['running']


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
