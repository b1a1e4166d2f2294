# SPDX-License-Identifier: GPL-2.0-or-later
"""The work of scripts/check: builds, test suites, and one line of figures at the end.

Each result is one test as its program reports it (a TAP subtest, or a whole test
program where it speaks no TAP), so that a skip inside a program is seen and named.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
NOT_OF_THREADS = ('style', 'docs', 'starts')
# Of tests/xen, with their arguments.
XEN_SCENARIOS = [('net', []), ('netfront', ['4']), ('life', []), ('direct', []),
                 ('disk', []), ('disk-kill', ['kills=5']), ('disk-handover', [])]
# As the scenarios of tests/xen say it: "[ 12 s] ok: what was checked".
XEN_LINE = re.compile(r'^\[ *\d+ s\] (ok|FAILED|skipped): (.*?)\s*$', re.M)
TAP_LINE = re.compile(r'^(not )?ok\b\s*(\d+)?\s*-?\s*([^#]*?)\s*(?:#\s*(\w+)\S*\s*(.*))?$')


class Results:
    """What has been counted, and the names of what needs a word at the end."""

    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def fail(self, name, why):
        self.failed.append((name, why))

    def skip(self, name, why):
        self.skipped.append((name, why or 'no reason given'))

    def summary(self):
        for name, why in self.skipped:
            print(f'skipped: {name}: {why}')
        for name, why in self.failed:
            print(f'failed: {name}: {why}')
        print(f'{self.passed} passed, {len(self.failed)} failed, '
              f'{len(self.skipped)} skipped')
        return 1 if self.failed else 0


def step(text):
    print(f'== {text}', flush=True)


def run(name, argv, log, timeout, env=None):
    """Runs @argv with its output in @log; True, or False after saying so."""
    step(name)
    start = time.monotonic()
    status = None
    with open(log, 'wb') as out:
        try:
            status = subprocess.run(argv, cwd=TOP, stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=subprocess.STDOUT, timeout=timeout,
                                    env={**os.environ, **(env or {})}).returncode
        except subprocess.TimeoutExpired:
            status = f'none after {timeout} s'
        except FileNotFoundError as error:
            out.write(str(error).encode())
            status = 'not there'
    seconds = time.monotonic() - start
    print(f'   {"done" if status == 0 else f"exit status {status}"} '
          f'in {seconds:.0f} s', flush=True)
    return status


def tail(path, lines=40):
    text = Path(path).read_text(errors='replace').splitlines()
    for line in text[-lines:]:
        print(f'   | {line}')


def tap_results(text):
    """Yields (ok, name, directive, rest) for each TAP line of one program."""
    for line in text.splitlines():
        match = TAP_LINE.match(line)
        if match:
            not_ok, number, name, directive, rest = match.groups()
            yield not not_ok, name or number or '?', (directive or '').upper(), rest or ''


def last_words(test):
    """What a program said at its end: where it writes no TAP, that is its reason."""
    for stream in ('stderr', 'stdout'):
        lines = [l.strip() for l in (test.get(stream) or '').splitlines() if l.strip()]
        if lines:
            said = [l for l in lines if 'skip' in l.lower()]
            return (said or lines)[-1][:200]
    return ''


def count_test(results, prefix, test):
    """One line of meson's testlog.json: a program with its output."""
    name = test['name'].split(' / ')[-1].strip()
    full = f'{prefix}: {name}'
    outcome = test['result']
    failed_before = len(results.failed)
    subtests = list(tap_results(test.get('stdout') or ''))
    for ok, sub, directive, rest in subtests:
        if directive.startswith('SKIP'):
            results.skip(f'{full}: {sub}', rest)
        elif ok:
            results.passed += 1
        else:
            results.fail(f'{full}: {sub}', rest or 'not ok')
    if outcome in ('OK', 'EXPECTEDFAIL'):
        if not subtests:
            results.passed += 1
    elif outcome == 'SKIP':
        if not subtests:
            results.skip(full, last_words(test))
    elif len(results.failed) == failed_before:
        # Also a program that ended badly after its last "ok".
        results.fail(full, f'{outcome}: {last_words(test)}')


def count_log(results, prefix, builddir):
    log = builddir / 'meson-logs' / 'testlog.json'
    if not log.exists():
        results.fail(prefix, f'no {log.name}: meson ran no test')
        return
    for line in log.read_text().splitlines():
        test = json.loads(line)
        bad = len(results.failed)
        count_test(results, prefix, test)
        if len(results.failed) > bad:
            print(f'   FAILED {test["name"]} ({test["result"]})')
            for stream in ('stdout', 'stderr'):
                for out in (test.get(stream) or '').splitlines()[-60:]:
                    print(f'   | {out}')


def build(results, kind, options, root):
    """Configures and compiles one kind of build; its directory, or None."""
    builddir = root / kind
    log = root / f'{kind}.log'
    if run(f'configure {kind}', ['./configure', f'--builddir={builddir}', *options],
           log, 120) != 0:
        tail(log)
        results.fail(f'{kind}: configure', f'see {log}')
        return None
    if run(f'build {kind}', ['ninja', '-C', str(builddir)], log, 1200) != 0:
        tail(log)
        results.fail(f'{kind}: build', f'see {log}')
        return None
    return builddir


def meson_test(results, prefix, builddir, args, env, wrapper=()):
    log = builddir / 'check-test.log'
    (builddir / 'meson-logs' / 'testlog.json').unlink(missing_ok=True)
    run(f'test {prefix} {" ".join(args)}'.rstrip(),
        [*wrapper, 'meson', 'test', '-C', str(builddir), '--no-rebuild',
         '--timeout-multiplier', '4', '--print-errorlogs', *args],
        log, 1200, env)
    count_log(results, prefix, builddir)


def no_randomisation():
    """The thread sanitizer's shadow does not fit every kernel's random layout."""
    probe = subprocess.run(['setarch', '-R', 'true'], stderr=subprocess.DEVNULL,
                           check=False)
    return ('setarch', '-R') if probe.returncode == 0 else ()


def real_xen(results, scenario, arguments, release, root):
    log = root / f'xen-{scenario}.log'
    name = f'xen: {scenario}'
    ringtap = ['--ringtap', str(release / 'ringtap')] if release else []
    argv = ['tests/xen/run', scenario, *ringtap, '--', *arguments]
    status = run(f'real Xen: tests/xen/run {scenario}', argv, log, 900)
    text = log.read_text(errors='replace').replace('\r', '')
    failed_before = len(results.failed)
    for outcome, what in XEN_LINE.findall(text):
        if outcome == 'ok':
            results.passed += 1
        elif outcome == 'skipped':
            results.skip(f'{name}: {what}', 'by the scenario')
        else:
            results.fail(f'{name}: {what}', f'see {log}')
    if status == 77:
        results.skip(name, (text.strip().splitlines() or [''])[-1])
    elif status != 0:
        tail(log)
        if len(results.failed) == failed_before:
            results.fail(name, f'exit status {status}, see {log}')


def instructions(results, release, root):
    """What a packet costs, against what it did when that was last looked at, and with 64 queues;
    and what a disk's request does with 32 rings."""
    for what, *args in (('instructions', '--before', 'tests/bench/instructions.txt', '--limit', '3'),
                        ('growth',)):
        name = f'bench {what}'
        log = root / f'bench-{what}.log'
        if not shutil.which('valgrind'):
            results.skip(f'scripts: {name}', 'no valgrind')
            continue
        status = run(f'scripts/{name}',
                     [sys.executable, f'scripts/lib/bench_{what}.py', '--build', str(release),
                      *args], log, 600)
        if status == 0:
            results.passed += 1
            continue
        tail(log, 5)
        text = log.read_text(errors='replace').strip().splitlines() or ['']
        results.fail(f'scripts: {name}', text[-1])


def lacking_program(script):
    """What one of them would have to install first; None: nothing."""
    program, group = {'bench virtio': ('dpdk-testpmd', 'dpdk'),
                      'bench disk': ('fio', 'disk'),
                      'demo virtio': ('qemu-system-x86_64', 'vm')}.get(script, (None, None))
    if program and not shutil.which(program):
        return f'no {program} (scripts/deps {group})'
    return None


def user_scripts(results, release, root):
    """The demo and the benchmarks, as short as they go: they should not rot."""
    why = None
    if os.geteuid() != 0:
        why = 'needs root, for network namespaces and taps'
    elif not os.path.exists('/dev/net/tun'):
        why = 'no /dev/net/tun'
    for name, script, *args in (('demo', 'demo.py', '--seconds', '3'),
                                ('demo virtio', 'demo.py', '--device', 'virtio', '--seconds', '3'),
                                ('demo disk', 'demo.py', '--device', 'disk', '--seconds', '3'),
                                ('bench net', 'bench_net.py', '--quick'),
                                ('bench disk', 'bench_disk.py', '--quick'),
                                ('bench idle', 'bench_idle.py'),
                                ('bench virtio', 'bench_virtio.py', '--quick', '--tries', '1')):
        lacking = why or lacking_program(name)
        if lacking:
            results.skip(f'scripts: {name}', lacking)
            continue
        log = root / f'{name.replace(" ", "-")}.log'
        status = run(f'scripts/{name} {" ".join(args)}',
                     [sys.executable, f'scripts/lib/{script}', '--build', str(release), *args],
                     log, 300)
        if status == 0:
            results.passed += 1
        else:
            tail(log)
            results.fail(f'scripts: {name}', f'exit status {status}, see {log}')


def main():
    parser = argparse.ArgumentParser(
        prog='scripts/check', description='Builds and tests everything: ASan+UBSan with all '
        'tests and style checks, TSan with all tests of threads, a release build '
        'with the demo, the benchmark and the instructions of a packet, and the scenarios net, netfront, life and direct on a real Xen '
        'under software emulation.')
    parser.add_argument('--fast', action='store_true', help='leave out the real Xen')
    parser.add_argument('--clang', action='store_true', help='compile with clang')
    args = parser.parse_args()

    os.environ['PATH'] = '/usr/bin:/usr/sbin:' + os.environ.get('PATH', '')
    start = time.monotonic()
    results = Results()
    root = TOP / 'build-check'
    root.mkdir(exist_ok=True)
    clang = ['--clang'] if args.clang else []

    asan = build(results, 'asan', ['--asan', *clang], root)
    if asan:
        meson_test(results, 'asan', asan, [], {
            'ASAN_OPTIONS': 'detect_leaks=1:detect_stack_use_after_return=1',
            'UBSAN_OPTIONS': 'print_stacktrace=1', 'G_SLICE': 'always-malloc'})
    tsan = build(results, 'tsan', ['--tsan', *clang], root)
    if tsan:
        left_out = [arg for suite in NOT_OF_THREADS for arg in ('--no-suite', suite)]
        meson_test(results, 'tsan', tsan, left_out, {}, no_randomisation())
    release = build(results, 'release', ['--release', *clang], root)
    if release:
        user_scripts(results, release, root)
        instructions(results, release, root)
    if args.fast:
        for scenario, _ in XEN_SCENARIOS:
            results.skip(f'xen: {scenario}', 'left out by --fast')
    else:
        for scenario, arguments in XEN_SCENARIOS:
            real_xen(results, scenario, arguments, release, root)

    print(f'== {time.monotonic() - start:.0f} s in all, logs in {root.name}/', flush=True)
    return results.summary()


if __name__ == '__main__':
    sys.exit(main())
