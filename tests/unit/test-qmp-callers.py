#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt and libqtest ask before anything else, and how it is answered.
Usage: test-qmp-callers.py RINGTAP"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'lib'))
# pylint: disable=wrong-import-position
from program import Ringtap, run
import tap

BINARY = os.path.abspath(sys.argv[1])


def none(*args):
    return Ringtap(BINARY, '-machine', 'none', *args)


def types(q, **arguments):
    return {t['name']: t for t in q.command('qom-list-types', **arguments)}


def test_types():
    with none() as r:
        q = r.qmp()
        every = types(q)
        assert every['tcg-accel'] == {'name': 'tcg-accel', 'parent': 'accel'}
        assert {'xen-net-device', 'none-machine', 'iothread', 'memory-backend-memfd'} <= set(every)
        assert 'device' not in every
        assert types(q, abstract=True)['object'] == {'name': 'object', 'abstract': True}


def test_types_that_implement_another():
    with none() as r:
        q = r.qmp()
        devices = set(types(q, implements='device'))
        assert devices == {c['name'] for c in q.command('query-device-classes')}
        assert set(types(q, implements='device', abstract=True)) == devices | {'device'}
        machines = {f"{m['name']}-machine" for m in q.command('query-machines')}
        assert set(types(q, implements='machine')) == machines
        assert types(q, implements='nosuch') == {}
        assert set(types(q, implements='object')) == set(types(q))


def test_properties_of_a_device():
    with none() as r:
        q = r.qmp()
        found = {p['name']: p for p in q.command('device-list-properties',
                                                 typename='xen-net-device')}
        assert found['netdev']['type'] == 'str' and found['netdev']['description']
        assert found['idx']['type'] == 'int32'
        assert 'id' not in found
        for name, text in (('nosuch', "Device 'nosuch' not found"),
                           ('iothread', "Parameter 'typename' expects a device type"),
                           ('device', "Parameter 'typename' expects a non-abstract device type")):
            assert q.error('device-list-properties', typename=name) == text
        reply = q.execute('device-list-properties', typename='nosuch')
        assert reply['error']['class'] == 'DeviceNotFound'


def test_properties_of_any_type():
    with none() as r:
        q = r.qmp()
        for name, wanted in (('memory-backend-file', {'mem-path', 'pmem', 'share'}),
                             ('memory-backend-memfd', {'hugetlb'}),
                             ('none-machine', {'accel', 'usb'}),
                             ('tcg-accel', set()), ('object', set())):
            found = {p['name'] for p in q.command('qom-list-properties', typename=name)}
            assert wanted <= found, name
        reply = q.execute('qom-list-properties', typename='nosuch')
        assert reply['error'] == {'class': 'DeviceNotFound', 'desc': "Class 'nosuch' not found"}


def test_command_line_options():
    with none() as r:
        q = r.qmp()
        lists = {o['option']: o['parameters'] for o in q.command('query-command-line-options')}
        assert {p['name']: p['type'] for p in lists['smp-opts']}['cpus'] == 'number'
        assert {p['name']: p['type'] for p in lists['msg']}['timestamp'] == 'boolean'
        assert lists['netdev'] == []
        assert q.command('query-command-line-options', option='name') == \
            [{'option': 'name', 'parameters': lists['name']}]
        assert q.error('query-command-line-options', option='x') == 'invalid option name: x'


def test_migration_is_asked_for_only():
    with none() as r:
        q = r.qmp()
        events = {'capability': 'events', 'state': True}
        assert q.command('query-migrate-capabilities') == [{**events, 'state': False}]
        assert q.command('migrate-set-capabilities', capabilities=[events]) == {}
        assert q.command('query-migrate-capabilities') == [events]
        assert q.error('migrate-set-capabilities',
                       capabilities=[{'capability': 'x', 'state': True}]).endswith(
                           "does not accept value 'x'")
        assert q.command('query-migrate') == {}
        assert q.command('migrate-set-parameters', downtime_limit=500) == {}
        parameters = {'max-bandwidth': 128 << 20, 'downtime-limit': 500, 'announce-initial': 50,
                      'announce-max': 550, 'announce-rounds': 5, 'announce-step': 100,
                      'local': False}
        assert q.command('query-migrate-parameters') == parameters
        for name, top, wrong in (('announce-initial', 100000, (100001,)),
                                 ('announce-max', 100000, (100001, 2**64 - 1)),
                                 ('announce-rounds', 1000, (1001,)),
                                 ('announce-step', 10000, (0, 10001))):
            for value in wrong:
                assert q.error('migrate-set-parameters', **{'downtime-limit': 1, name: value}) == \
                    f"Parameter '{name.replace('-', '_')}' expects a value between 0 and {top}"
            parameters[name] = top
            q.command('migrate-set-parameters', **{name: top})
            assert q.command('query-migrate-parameters') == parameters


def test_nothing_of_the_kind():
    with none() as r:
        q = r.qmp()
        for command in ('query-cpus-fast', 'query-jobs', 'query-tpm-models', 'query-tpm-types'):
            assert q.command(command) == []


def test_objects_without_effect():
    with none('-object', '{"qom-type":"memory-backend-ram","id":"pc.ram","size":134217728}',
              '-object', 'memory-backend-memfd,id=m0,size=1G,share=on,host-nodes=0') as r:
        q = r.qmp()
        assert q.error('object-add', qom_type='rng-random', id='m0').startswith('attempt to add')
        assert q.error('object-add', qom_type='iothread', id='m0').startswith('attempt to add')
        q.command('object-add', qom_type='rng-random', id='r0', filename='/dev/urandom')
        assert q.error('object-add', qom_type='rng-random', id='r1', nosuch=1) == \
            "Parameter 'nosuch' is unexpected"
        q.command('object-del', id='m0')
        q.command('object-add', qom_type='iothread', id='m0')


def test_devices_without_effect():
    with none('-device', 'virtio-balloon-pci,id=b0,bus=pci.0,addr=0x3', '-device',
              '{"driver":"usb-tablet","bus":"usb.0","port":"1"}') as r:
        q = r.qmp()
        q.command('device_add', driver='virtio-serial-pci', id='s0', bus='pci.0')
        found = {d['id']: (d['class'], d['state']) for d in q.command('query-devices')}
        assert found == {'b0': ('virtio-balloon-pci', 'inert'), '#dev0': ('usb-tablet', 'inert'),
                         's0': ('virtio-serial-pci', 'inert')}
        assert q.error('device_add', driver='VGA', nosuch=1) == "Property 'VGA.nosuch' not found"
        assert q.error('device_add', driver='VGA', id='s0') == "Duplicate device ID 's0'"
        q.command('device_del', id='s0')
        assert q.event('DEVICE_DELETED')['data']['device'] == 's0'
        _, err = r.end()
        assert err.count('has no effect') == 3, err
        assert 'info: b0 has no effect: virtio-balloon-pci is accepted, and nothing else\n' in err


def test_balloon():
    with none('-m', '64') as r:
        q = r.qmp()
        reply = q.execute('query-balloon')
        assert reply['error'] == {'class': 'DeviceNotActive',
                                  'desc': 'No balloon device has been activated'}
        q.command('device_add', driver='virtio-balloon-pci', id='b0')
        assert q.command('query-balloon') == {'actual': 64 << 20}
        assert q.error('balloon', value=0) == "Parameter 'target' expects a size"
        q.command('balloon', value=1 << 20)
        assert q.command('query-balloon') == {'actual': 1 << 20}


def test_terminal_that_nobody_uses():
    with none('-chardev', 'pty,id=p0', '-chardev', 'null,id=n0', '-device',
              'isa-serial,chardev=p0') as r:
        q = r.qmp()
        names = {c['label']: c['filename'] for c in q.command('query-chardev')}
        assert os.path.exists(names['p0'].removeprefix('pty:')) and names['n0'] == 'null'
        q.command('chardev-remove', id='p0')
    for args, text in ((['-chardev', 'null,id=n0', '-mon', 'n0,mode=control'], 'is no socket'),
                       (['-chardev', 'pty,id=a', '-chardev', 'pty,id=a'], 'Duplicate ID'),
                       (['-chardev', 'null,id=n0,foo=1'], "Invalid parameter 'foo'")):
        status, _, err = run(BINARY, '-machine', 'none', *args)
        assert status == 1 and text in err, err


def test_accelerators_of_processors():
    with none('-accel', 'tcg,thread=multi', '-accel', 'kvm', '-enable-kvm') as r:
        r.qmp()
        _, err = r.end()
        assert err == 'ringtap: info: accelerator tcg has no effect: there is no processor\n', err


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
