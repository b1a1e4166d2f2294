# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/bench disk: a guest's disk on an emulated Xen against its image by fio."""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

from disk_lab import MIB, Disk, DiskLab
from vif_lab import TOP, LabError

SIZE = 256 * MIB

Case = namedtuple('Case', 'name op block depth')
CASES = [Case(f'{op}{block}{suffix}', op, block, depth)
         for block, depth, suffix in (('4k', 1, '-1'), ('4k', 32, ''), ('64k', 32, ''),
                                      ('1M', 32, ''))
         for op in ('read', 'write')]
# fio by itself; a guest that grants its own pages; one that copies to pages it has granted for good
KINDS = ('fio', 'granted', 'persistent')
BARS = {'read4k': 0.6, 'write4k': 0.6, 'read1M': 0.8, 'write1M': 0.8}


def by_fio(lab, case, args):
    argv = ['fio', '--name=disk', f'--filename={lab.image}', f'--size={lab.size}',
            f'--rw=rand{case.op}', f'--bs={case.block}', f'--iodepth={case.depth}',
            '--ioengine=io_uring', f'--direct={int(lab.direct)}', '--time_based',
            f'--runtime={args.seconds}', '--output-format=json']
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=args.seconds + 60, check=False)
    if done.returncode != 0:
        raise LabError(f'fio failed: {done.stderr.strip()}')
    # What it warns of stands before it.
    return json.loads(done.stdout[done.stdout.index('{'):])['jobs'][0][case.op]['iops']


def by_ringtap(lab, case, args, kind):
    disk = Disk(lab, args.build, args.rings)
    disk.load('--mode', case.op, '--block', case.block, '--depth', case.depth, '--seconds',
              args.seconds, '--rings', args.rings, '--order', args.order, '--persistent',
              'on' if kind == 'persistent' else 'off')
    found = disk.result(args.seconds + 60)
    if disk.close() != 0:
        raise LabError('the backend did not end well')
    return found['requests_per_second']


def measure(lab, case, args, kind):
    return by_fio(lab, case, args) if kind == 'fio' else by_ringtap(lab, case, args, kind)


def median_ratio(results, case, kind):
    """Of the rounds' ratios: what is compared was measured within the same minute."""
    return statistics.median(ours / max(fio, 1e-9) for ours, fio in
                             zip(results[kind, case], results['fio', case]))


def print_table(results, cases):
    print(f'{"requests/s":<12}' + ''.join(f' {kind:>12}' for kind in KINDS)
          + f' {"of fio":>14}')
    for case in cases:
        rates = [statistics.median(results[kind, case]) for kind in KINDS]
        print(f'{case.name:<12}' + ''.join(f' {rate:12,.0f}' for rate in rates)
              + ''.join(f' {median_ratio(results, case, kind):7.2f}' for kind in KINDS[1:]))
    print('Medians of the rounds; -1: one request at a time, else 32. granted: the guest grants '
          'the pages of\nits programs; persistent: it copies to pages that are granted once.')


def below_the_bar(results, cases, kind):
    return [f'{case.name} {median_ratio(results, case, kind):.2f} < {BARS[case.name]}'
            for case in cases
            if case.name in BARS and median_ratio(results, case, kind) < BARS[case.name]]


def report(results, cases):
    """Table, what is below its bar, and the line that others read."""
    print_table(results, cases)
    for kind in KINDS[1:]:
        for line in below_the_bar(results, cases, kind):
            print(f'below its bar: {kind} {line}')
    for kind in KINDS[1:]:
        print(f'{"ratio" if kind == "granted" else kind} ' + ' '.join(
            f'{case.name.lower()}={median_ratio(results, case, kind):.2f}' for case in cases))


def main():
    parser = argparse.ArgumentParser(
        prog='scripts/bench disk',
        description='Random reads and writes of a file: by fio with io_uring, and of a guest of '
        'an emulated Xen whose disk it is, alternating. The last lines have the ratios of the '
        'rates.')
    parser.add_argument('--quick', action='store_true', help='one short round')
    parser.add_argument('--rounds', type=int, help='alternations (default 3; quick: 1)')
    parser.add_argument('--seconds', type=int, help='of each measurement (default 2; quick: 1)')
    parser.add_argument('--rings', type=int, default=1, help='of the guest (default 1)')
    parser.add_argument('--order', type=int, default=0, help='2^N pages for a ring (default 0)')
    parser.add_argument('--case', action='append', choices=[c.name for c in CASES],
                        help='only this one, and others that are named')
    parser.add_argument('--directory', type=Path, default=Path('/dev/shm'),
                        help='of the file, 256 MiB (default: /dev/shm, to measure no device)')
    parser.add_argument('--build', type=Path, default=TOP / 'build-release',
                        help=argparse.SUPPRESS)
    args = parser.parse_args()
    rounds = args.rounds or (1 if args.quick else 3)
    args.seconds = args.seconds or (1 if args.quick else 2)
    cases = [c for c in CASES if not args.case or c.name in args.case]

    results = {(kind, case): [] for kind in KINDS for case in cases}
    start = time.monotonic()
    try:
        with DiskLab('bench', args.directory, SIZE) as lab:
            for number in range(rounds):
                for case in cases:
                    print(f'round {number + 1} of {rounds}: {case.name}, '
                          f'{time.monotonic() - start:.0f} s', flush=True)
                    for kind in KINDS:
                        results[kind, case].append(measure(lab, case, args, kind))
    except LabError as error:
        sys.exit(f'bench: {error}')
    except KeyboardInterrupt:
        sys.exit('bench: interrupted')
    report(results, cases)


if __name__ == '__main__':
    main()
