# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scripts say and refuse, and what HACKING.md says of them."""

import contextlib
import errno
import importlib.util
import io
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
sys.path.insert(0, str(TOP / 'scripts' / 'lib'))
import device_table  # noqa: E402
import disk_table  # noqa: E402
import tap  # noqa: E402
from program import wait_for  # noqa: E402
import vif_lab  # noqa: E402
import vif_table as table  # noqa: E402

HACKING = ' '.join((TOP / 'HACKING.md').read_text().split())


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem.replace('-', '_'), path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def script(*argv):
    return subprocess.run([str(TOP / argv[0]), *argv[1:]], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


def sleeps(pid):
    """All threads of the process do."""
    stats = [(task / 'stat').read_text() for task in Path(f'/proc/{pid}/task').iterdir()]
    return all(stat.rsplit(')', 1)[1].split()[0] == 'S' for stat in stats)


def packages(*groups):
    done = script('scripts/deps', '--list', *groups)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_deps_groups():
    lines = (TOP / 'scripts' / 'packages.txt').read_text().splitlines()
    groups = {line.split()[0] for line in lines if line and line[0] != '#'}
    text = script('scripts/deps', '--help').stdout
    for group in groups:
        assert packages(group) == {l.split()[1] for l in lines if l.startswith(group + ' ')}
        assert re.search(rf'\b{group}\b', text), (group, text)
    assert packages('build', 'test') <= packages()


def test_deps_extra():
    """What compiles with clang, fuzzes and makes a bare Debian; only for who asks."""
    extra = packages('extra')
    assert {'clang', 'libclang-rt-14-dev', 'debootstrap'} <= extra
    assert not extra & packages()


def test_deps_of_the_readme():
    """"man -l" comes after "scripts/deps build test", and a bare Debian has no man."""
    assert 'man -l' in (TOP / 'README.md').read_text()
    assert 'man-db' in packages('build', 'test')


def test_deps_unknown_group():
    done = script('scripts/deps', '--list', 'nosuch')
    assert done.returncode == 2 and 'no such group' in done.stderr


def test_hacking_has_the_sizes():
    sizes = module(TOP / 'scripts' / 'check-sizes.py')
    files, functions, data = sizes.FILE_LIMITS, sizes.FUNCTION, sizes.DATA_PATH_FUNCTION
    text = (f'warns above {files[".c"][0]} lines of a source, {files[".h"][0]} of a header, '
            f'{functions[0]} of a function ({data[0]} on a data path) and refuses more than '
            f'{files[".c"][1]}, {files[".h"][1]}, {functions[1]} ({data[1]})')
    assert text in HACKING, text
    assert f'{sizes.LINE[0]} columns if it goes and {sizes.LINE[1]} at most' in HACKING
    assert f'ColumnLimit: {sizes.LINE[1]}\n' in (TOP / '.clang-format').read_text()


def test_hacking_has_the_places_of_globals():
    tokens = module(TOP / 'scripts' / 'check-tokens.py')
    rule = re.search(r'No mutable variables at file scope [^*]*', HACKING)[0]
    for place in tokens.GLOBAL_OK:
        if place not in tokens.TESTS:
            assert f'`{place.rstrip("*")}`' in rule, (place, rule)


def test_demo_refuses():
    for args, text in ((['--seconds', '0'], 'at least 1'), (['--seconds', '-3'], 'at least 1'),
                       (['--seconds', 'x'], 'invalid'), (['--queues', '0'], 'invalid choice'),
                       (['--queues', '33'], 'invalid choice'), (['--device', 'x'], 'invalid choice'),
                       (['--device', 'virtio', '--queues', '5'], '--queues: at most 4 with'),
                       (['--device', 'disk', '--queues', '9'], '--queues: at most 8 with')):
        done = subprocess.run([sys.executable, TOP / 'scripts' / 'lib' / 'demo.py', *args],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 2 and text in done.stderr, (args, done)


def refused_by_top(*argv):
    done = script('scripts/ringtap-top', *argv)
    assert done.returncode != 0 and done.stdout == '', done
    assert 'Traceback' not in done.stderr and 'Errno' not in done.stderr, done.stderr
    return done.stderr.splitlines()[-1]


def test_top_refuses():
    for option, value in (('-i', '0'), ('-i', '-1'), ('-i', 'nan'), ('-i', 'x'), ('-n', '-1')):
        assert f'argument {option}/' in refused_by_top(option, value, '/nonexistent')


def test_top_names_the_socket():
    with tempfile.TemporaryDirectory() as d, socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(f'{d}/deaf')
        assert refused_by_top(f'{d}/none') == f'ringtap-top: {d}/none: No such file or directory'
        assert refused_by_top(f'{d}/deaf') == f'ringtap-top: {d}/deaf: Connection refused'
        deaf.listen(1)
        assert refused_by_top(f'{d}/deaf') == (
            f'ringtap-top: {d}/deaf: no answer: another client may have this monitor; give '
            'ringtap one more -qmp')


def test_top_without_an_output():
    done = subprocess.run(['sh', '-c', f'exec {TOP}/scripts/ringtap-top /nonexistent >&-'],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == 'ringtap-top: standard output is closed\n', done.stderr


def nic_sample(when, stats, queues):
    counters = [{'name': name, 'value': value} for name, value in stats.items()]
    groups = [{'name': d, 'counters': counters} for d in table.DIRECTIONS]
    with mock.patch.object(device_table.time, 'monotonic', lambda: when):
        return device_table.Sample({'id': 'v', 'class': 'xen-net-device', 'state': 'connected',
                                    'queues': [{'groups': groups}] * queues})


def vif_sample(when, packets):
    return nic_sample(when, {'packets': packets, 'bytes': packets * 1500,
                             'batches': packets // 100 or 1, 'events-sent': packets,
                             'events-received': packets, 'drop-no-buffer': when}, 64)


def test_table_is_less_than_80_columns_wide():
    lines = table.rows(vif_sample(1, 60_000), vif_sample(0, 0))
    assert len(lines) == 2 + 64 + 1
    assert max(map(len, lines)) < 80, lines[-1]
    columns = [[i for i, c in enumerate(line) if c == '|'] for line in lines]
    assert all(c == columns[0] for c in columns), lines


def device_sample(when, value):
    return nic_sample(when, dict.fromkeys((*table.COUNTERS, 'drop-malformed'), value), 1)


def test_table_of_a_vif_among_devices():
    lines = device_table.lines(device_sample(1, 5), device_sample(0, 0))
    assert lines[:2] == table.HEAD.split('\n'), lines
    assert lines[2].split()[:3] == ['0', '|', '5'] and lines[2].split()[-1] == '5', lines


def disk_sample(when, n, rings):
    """Requests of 64 segments, as many of each kind."""
    values = {'requests': n, 'bytes': n << 18, 'segments': n * 64, 'indirect': n, 'failed': 0}
    groups = [{'name': g, 'counters': [{'name': name, 'value': v} for name, v in values.items()]}
              for g in ('read', 'write', 'flush')]
    with mock.patch.object(device_table.time, 'monotonic', lambda: when):
        return device_table.Sample({'id': 'd', 'class': 'xen-disk', 'state': 'connected',
                                    'queues': [{'groups': groups}] * rings})


def test_table_of_a_disk():
    lines = disk_table.rows(disk_sample(2, 1000, 8), disk_sample(0, 0, 0))
    assert len(lines) == 2 + 8 + 1
    assert max(map(len, lines)) < 80, lines[-1]
    columns = [[i for i, c in enumerate(line) if c == '|'] for line in lines]
    assert all(c == columns[0] for c in columns), lines
    words = lines[2].replace(',', '').split()
    assert words == ['0', '|', '500', '125.0', '|', '500', '125.0', '|', '64.0', '1000',
                     '500.0'], words
    assert lines[-1].replace(',', '').split()[:4] == ['all', '|', '4000', '1000.0'], lines
    nothing = disk_sample(1, 5, 1)
    assert disk_table.rows(nothing, nothing)[2].split()[-3:] == ['0.0', '0', '0.0']


def test_table_is_cut_to_the_terminal():
    out = io.StringIO()
    out.isatty = lambda: True
    with mock.patch.dict(os.environ, {'COLUMNS': '40', 'LINES': '24'}):
        table.Screen(out).show('title', ['x' * 80])
    assert out.getvalue() == 'title\n' + 'x' * 40 + '\n'


def test_table_for_a_terminal_behind_a_pipe():
    out = io.StringIO()
    screen = table.Screen(out, columns=40)
    screen.show('title', ['x' * 80])
    screen.show('title', ['y'])
    assert out.getvalue() == 'title\n' + 'x' * 40 + '\n\x1b[2A\x1b[Jtitle\ny\n'


def as_somebody_less(*argv):
    """Root without a right, or another user."""
    done = subprocess.run(['setpriv', *argv], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    if 'setpriv' in done.stderr:
        raise tap.Skip('not root')
    return done.stderr


def test_demo_names_the_missing_right():
    demo = (sys.executable, TOP / 'scripts' / 'lib' / 'demo.py')
    for missing in ('net_admin', 'sys_admin'):
        said = as_somebody_less(f'--bounding-set=-{missing}', f'--inh-caps=-{missing}', *demo)
        assert said.startswith(f'demo: CAP_{missing.upper()} is missing: '), said


def test_demo_as_a_user():
    demo = (sys.executable, TOP / 'scripts' / 'lib' / 'demo.py')
    if subprocess.run(['setpriv', '--reuid=65534', '--clear-groups', 'test', '-r', demo[1]],
                      check=False).returncode != 0:
        raise tap.Skip('another user may not read it, or we are none')
    said = as_somebody_less('--reuid=65534', '--clear-groups', *demo)
    assert said == ('demo: run this as root: it makes network namespaces and taps\n'), said


def test_demo_of_a_disk_as_a_user():
    """It needs no right, and goes on to where it finds no program."""
    demo = (sys.executable, TOP / 'scripts' / 'lib' / 'demo.py')
    if subprocess.run(['setpriv', '--reuid=65534', '--clear-groups', 'test', '-r', demo[1]],
                      check=False).returncode != 0:
        raise tap.Skip('another user may not read it, or we are none')
    said = as_somebody_less('--reuid=65534', '--clear-groups', *demo, '--device', 'disk',
                            '--build', '/nowhere')
    assert "'/nowhere/ringtap'" in said.splitlines()[-1], said


def test_demo_without_tun():
    """Its file is there, and no driver behind it, as where the module is not loaded."""
    opened = mock.patch.object(os, 'open', side_effect=OSError(errno.ENODEV, 'No such device'))
    rights = mock.patch.object(vif_lab, 'capabilities', return_value=1 << 12 | 1 << 21)
    with opened, rights, mock.patch.object(os, 'geteuid', return_value=0), \
            mock.patch.object(os.path, 'exists', return_value=True):
        try:
            vif_lab.need_root_and_tun()
            said = 'nothing'
        except vif_lab.LabError as error:
            said = str(error)
    assert said == ('/dev/net/tun: No such device: load its module (modprobe tun), or let this '
                    'container have the device'), said


def test_bench_as_a_user():
    if subprocess.run(['setpriv', '--reuid=65534', '--clear-groups', 'test', '-x',
                       TOP / 'scripts' / 'bench'], check=False).returncode != 0:
        raise tap.Skip('another user may not run it, or we are none')
    for what in ('net', 'idle'):
        said = as_somebody_less('--reuid=65534', '--clear-groups', TOP / 'scripts' / 'bench', what)
        assert said.startswith('bench: run this as root'), said


def test_bench_names_its_commands():
    """Its help has all that it takes, and the README, too."""
    usage = script('scripts/bench', 'nosuch')
    assert usage.returncode == 2
    text = script('scripts/bench', '--help').stdout
    for what in re.search(r'scripts/bench (\S+) ', usage.stderr)[1].split('|'):
        assert f'\nscripts/bench {what}' in f'\n{text}', what
        assert f'    scripts/bench {what} ' in (TOP / 'README.md').read_text(), what
    assert text.endswith('.\n') and 'set -eu' not in text, text


def test_bench_instructions_of_another_copy():
    """Its lines would not be counted, and the figures be the better for it."""
    sources = module(TOP / 'scripts' / 'lib' / 'bench_instructions.py').Sources()
    assert sources.stage(str(TOP / 'net' / 'headers.c'), 1) == 'headers.c'
    assert sources.stage('/usr/include/glib-2.0/glib.h', 1) is None
    assert sources.stage('./string/memcpy.c', 1) is None
    try:
        sources.stage('/elsewhere/net/headers.c', 1)
        said = 'nothing'
    except SystemExit as error:
        said = str(error)
    assert said.startswith('bench: the program has lines of /elsewhere/net/headers.c'), said


def test_bench_net_places_its_programs():
    """All threads of each on a processor of their own, or all on the first; or as they are."""
    net = module(TOP / 'scripts' / 'lib' / 'bench_net.py')
    usable = sorted(os.sched_getaffinity(0))
    child = ('import threading, time\n'
             'threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n'
             'print("ready", flush=True); time.sleep(60)')
    path = mock.Mock(processes=[subprocess.Popen([sys.executable, '-c', child], text=True,
                                                 stdout=subprocess.PIPE) for _ in range(2)])
    try:
        for process in path.processes:
            assert process.stdout.readline() == 'ready\n'
        for processors in (None, 1, 2):
            if processors == 2 and len(usable) < 2:
                raise tap.Skip('one processor only')
            net.place(path, processors)
            for number, process in enumerate(path.processes):
                want = {usable[number % processors]} if processors else set(usable)
                tasks = [int(task) for task in os.listdir(f'/proc/{process.pid}/task')]
                assert len(tasks) == 2
                assert all(os.sched_getaffinity(t) == want for t in tasks), (processors, number)
    finally:
        for process in path.processes:
            process.kill()
            process.communicate()


def test_bench_idle_counts_wake_ups():
    """A thread that sleeps on, one that wakes up now and then, one that came, one that spins."""
    idle = module(TOP / 'scripts' / 'lib' / 'bench_idle.py')
    child = ('import sys, threading, time\n'
             'threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n'
             'time.sleep(0.1); print("ready", flush=True); sys.stdin.readline()\n'
             'for _ in range(9): time.sleep(0.01)\n'
             'print("done", flush=True); sys.stdin.readline()')
    with subprocess.Popen([sys.executable, '-c', child], stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == 'ready\n'
        wait_for(lambda: sleeps(process.pid), 'its sleep')
        before = idle.threads(process)
        assert idle.wake_ups(before, idle.threads(process)) == {}
        process.stdin.write('go on\n')
        process.stdin.flush()
        assert process.stdout.readline() == 'done\n'
        wait_for(lambda: sleeps(process.pid), 'its sleep')
        after = idle.threads(process)
        process.stdin.write('end\n')
    found = idle.wake_ups(before, after)
    assert len(after) == 2 and [tid for tid, _ in found] == [process.pid], (after, found)
    assert 10 <= list(found.values())[0] < 1000, found
    ran = {1: ('a', 7, 100)}
    assert idle.wake_ups({}, ran) == {(1, 'a'): 7}
    assert idle.wake_ups({1: ('a', 7, 50)}, ran) == {(1, 'a'): 1}


def bench_growth(dearer, dearer_disks=1.0):
    """(status, lines) of a run in which the most queues cost so many times as much as one."""
    growth = module(TOP / 'scripts' / 'lib' / 'bench_growth.py')
    out = io.StringIO()

    def count(_build, bench, shape, _sources):
        assert bench.queues % (shape[0] * shape[1]) == 0
        if bench is growth.DISK:
            return {'read-4k': 1400.0 * (dearer_disks if shape == (8, 4) else 1)}
        return {'tx-66': 400.0, 'rx-66': 300.0 * (dearer if shape == (1, 64) else 1)}

    def usage(_program, queues):
        return {'memory-kb': 60 + 40 * queues, 'granted-pages': 420 * queues, 'fds': 2 + 6 * queues}

    with mock.patch.object(growth, 'count', count), mock.patch.object(growth, 'usage', usage), \
            mock.patch.object(sys, 'argv', ['growth', '--build', 'nowhere']), \
            contextlib.redirect_stdout(out):
        try:
            growth.main()
            status = None
        except SystemExit as end:
            status = end.code
    return status, out.getvalue().splitlines()


def test_bench_growth_tells_what_grows():
    """What a vif has once is not a queue's; one dearer kind of packet is enough to fail."""
    status, lines = bench_growth(1.0, 1.04)
    assert not status, lines
    assert lines[-2:] == ['growth instructions-64/1=1.00 memory-a-queue=1720 KB fds-a-queue=6',
                          'growth disk-instructions-4x8/1=1.04'], lines
    status, lines = bench_growth(1.1)
    assert status == 1 and ' instructions-64/1=1.10 ' in lines[-2], (status, lines)
    status, lines = bench_growth(1.0, 1.1)
    assert status == 1 and lines[-1].endswith('=1.10'), (status, lines)


def test_bench_growth_without_figures():
    """A program that fails, or that has no lines to be counted, is no figure."""
    growth = module(TOP / 'scripts' / 'lib' / 'bench_growth.py')
    for command in (['false'], ['sh', '-c', 'echo why >&2; exit 3']):
        try:
            growth.run(command)
            said = 'nothing'
        except growth.BenchError as error:
            said = str(error)
        assert said.startswith(f'{command[0]} failed ('), said
    assert said.endswith('why\n'), said


def said_with(files):
    """What the demo says first where only those files exist."""
    demo = module(TOP / 'scripts' / 'lib' / 'demo.py')
    out = io.StringIO()
    with mock.patch.object(os.path, 'exists', lambda path: path in files), \
            contextlib.redirect_stdout(out):
        demo.say_what_xen_can()
    return out.getvalue()


def test_demo_on_a_machine_with_xen():
    assert said_with([]) == ''
    for file in ('/dev/xen/evtchn', '/proc/xen/capabilities'):
        text = said_with([file])
        assert 'To serve a real guest' in text and 'ringtap -accel xen -xen-domid ID' in text
        assert '-device xen-net-device,netdev=n0' in text


tap.run(globals())
