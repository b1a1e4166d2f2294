#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A type of devices that is a folder and a row in each table shows up everywhere.

Usage: test-toy.py RINGTAP-WITH-TOY"""

import os
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, run  # noqa: E402
import tap  # noqa: E402

BINARY = os.path.abspath(sys.argv[1])
NONE = ('-machine', 'none', '-nodefaults')
TOY = ('-device', 'toy,id=toy0,spring=spring0,speed=3')


def toys(*args):
    return Ringtap(BINARY, *NONE, *args)


def refused(device):
    status, _, err = run(BINARY, *NONE, '-device', device)
    assert status == 1, err
    return err


def counters(device):
    return {g['name']: {c['name']: c['value'] for c in g['counters']}
            for g in device['queues'][0]['groups']}


def test_help():
    out = run(BINARY, '-device', 'help')[1]
    assert 'Network devices:\nname "xen-net-device", bus xen,' in out
    assert '\nToy devices:\nname "toy", bus toybox, desc "a toy that runs down"\n' in out, out
    out = run(BINARY, '-device', 'toy,help')[1]
    assert out.startswith('toy options:\n')
    assert re.search(r'^  speed=<uint32> +- turns of .* \(default: 1\)$', out, re.M), out


def test_errors_of_its_options():
    assert "Property 'toy.sped' not found" in refused('toy,spring=spring0,sped=1')
    assert "Parameter 'spring' is missing" in refused('toy')
    assert "Property 'toy.spring' can't find value 'n0'" in refused('toy,spring=n0')
    assert 'speed must not be 0' in refused('toy,spring=spring0,speed=0')
    assert "Bus 'toybox.1' not found" in refused('toy,spring=spring0,bus=toybox.1')
    assert "Device 'xen-net-device' can't go on toybox bus" in \
        refused('xen-net-device,netdev=n0,bus=toybox.0')


def test_life():
    with toys(*TOY) as r:
        q = r.qmp()
        assert q.error('device_add', driver='toy', spring='spring0') == \
            "Property 'toy.spring' can't take value 'spring0', it's in use"
        q.command('device_add', driver='toy', id='toy1', spring='spring1', bus='toybox.0')
        assert q.event('DEVICE_CONNECTED')['data'] == {'device': 'toy1', 'queues': 1}
        q.command('device_del', id='toy1')
        assert q.event('DEVICE_DISCONNECTED')['data'] == {'device': 'toy1'}
        assert q.event('DEVICE_DELETED')['data']['device'] == 'toy1'
        q.command('device_add', driver='toy', id='toy1', spring='spring1')
        assert [p['name'] for p in q.command('qom-list', path='/machine/peripheral')] == \
            ['type', 'toy0', 'toy1']
        assert r.end()[0] == 0


def test_query():
    with toys(*TOY) as r:
        q = r.qmp()
        assert q.command('toy-wind', id='toy0', turns=5) == {'running': True}
        (device,) = q.command('query-devices')
        assert counters(device) == {'wound': {'turns': 5, 'stalls': 0},
                                    'run': {'turns': 15, 'stalls': 0}}
        del device['queues']
        assert device == {'id': 'toy0', 'class': 'toy', 'bus': 'toybox', 'state': 'running',
                          'max-queues': 1}
        assert q.command('query-vif') == []
        toy = [c for c in q.command('query-device-classes') if c['name'] == 'toy'][0]
        assert toy['counters'][0] == {'group': 'wound', 'name': 'turns', 'unit': 'turns',
                                      'help': 'made'}


def test_it_has_commands_of_its_own():
    with toys(*TOY) as r:
        q = r.qmp()
        assert 'toy-wind' in [c['name'] for c in q.command('query-commands')]
        assert [s for s in q.command('query-qmp-schema')
                if s['name'] == 'toy-wind' and s['meta-type'] == 'command']
        assert q.error('toy-wind', id='toy0', turns=-1).startswith("Parameter 'turns' expects")


def test_stop_and_cont():
    with toys(*TOY) as r:
        q = r.qmp()
        q.command('stop')
        q.event('STOP')
        assert q.command('toy-wind', id='toy0', turns=2) == {'running': False}
        (device,) = q.command('query-devices')
        assert device['state'] == 'stopped' and counters(device)['run']['turns'] == 0
        q.command('cont')
        (device,) = q.command('query-devices')
        assert device['state'] == 'running' and counters(device)['run']['turns'] == 6


def test_failure():
    with toys(*TOY) as r:
        q = r.qmp()
        q.command('toy-wind', id='toy0', turns=13)
        assert q.event('DEVICE_ERROR')['data'] == {'device': 'toy0',
                                                   'reason': 'the spring broke'}
        (device,) = q.command('query-devices')
        assert device['state'] == 'boxed' and device['error'] == 'the spring broke'
        assert counters(device)['wound']['stalls'] == 1  # shown although it is disconnected
        assert 'thread-id' not in device['queues'][0]
        assert 'toy0: the spring broke' in r.end()[1]


def test_ringtap_top():
    with toys(*TOY, '-qmp', 'unix:@DIR@/top,server=on,wait=off') as r:
        q = r.qmp()
        with subprocess.Popen([TOP / 'scripts' / 'ringtap-top', '-i', '0.2', '-n', '2',
                               f'{r.dir}/top'], stdout=subprocess.PIPE, text=True) as top:
            while top.poll() is None:
                q.command('toy-wind', id='toy0', turns=7)
            out = top.stdout.read()
    assert top.returncode == 0, out
    assert 'toy0: toy, running, 1 queue(s)' in out, out
    head = re.search(r'^ queue +group \| +turns/s +stalls/s$', out, re.M)
    assert head, out
    for group in ('wound', 'run'):
        rate = re.search(rf'^ +0 +{group} \| +([\d,]+) +0$', out, re.M)
        assert rate and int(rate[1].replace(',', '')) > 0, out


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
