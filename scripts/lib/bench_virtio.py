# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/bench virtio: ringtap, DPDK's net_vhost with net_tap, and the tap alone."""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

from virtio_lab import BACK, CLIENT, KINDS, TESTPMD, machine_seconds, pinned
from vif_lab import TOP, Lab, LabError

SETTLE_S = 0.3
TRIES = 4             # of a measurement, until nobody else disturbs it
OTHERS = 0.1          # of a processor: more of somebody else's work disturbs
POLLING = 0.95        # of a processor, that a driver that polls gets at least
SLOWER = 1.12         # than the fastest calibration: another machine's work
LATE = 0.03           # of the time measured: so long may a look at the counters take

# The last two lines have it as NAME, the worst of those that have the same.
Case = namedtuple('Case', 'name mode size queues')
CASES = [Case('tx64', 'tx', 64, 1), Case('tx64', 'tx', 64, 2),
         Case('tx1500', 'tx', 1500, 1), Case('tx1500', 'tx', 1500, 2),
         Case('rx', 'rx', 64, 1), Case('duplex', 'duplex', 64, 1),
         Case('tso', 'tso', 61440, 1), Case('woken', 'woken', 64, 1), Case('idle', 'idle', 64, 1)]
ONLY = {'tso': ('ringtap', 'plain'), 'woken': ('ringtap',), 'idle': ('ringtap',)} # kinds
LEISURE = ('woken', 'idle') # modes in which nobody is in want of time: others do not disturb
BARS = {'tx64': 1.04, 'tx1500': 1.04, 'rx': 4, 'duplex': 2.5}
TSO_BAR = 1.15        # of what it takes to write such a frame, at most
WAY_BACK = 0.8        # duplex: packets that come back, of those that go out, at least
EVENTS = 1            # for 100 packets, less than
IDLE_PERCENT = 0.1    # of a processor, less than
IDLE_S = 2
LEGEND = """\
Medians of the rounds. out, back: packets written to the tap, and those read from it that reached
the driver, millions a second; cpu: of the back end, ns a packet; busy: the same in % of the time;
events: calls and kicks for 100 packets; of it: ringtap's rate by this one's, of tso the time.
plain, uring: the tap alone, by write() and read() or by io_uring. tso, woken: with a driver of our
own, that polls, or sleeps until it is called."""


class Calibration:
    """How fast the back end's processor is now, against the best that was seen."""

    def __init__(self, lab, build):
        self.lab = lab
        self.program = build / 'tests/bench/processor'
        self.best = min(self.measure() for _ in range(10))

    def measure(self):
        return float(self.lab.run(None, ['setsid', '-w', *pinned(
            f'{BACK},{CLIENT}', self.program, 'measure', BACK, CLIENT)]))

    def slow(self):
        now = self.measure()
        self.best = min(self.best, now)
        return now > SLOWER * self.best


class Sample:
    """Counters of an arrangement, at one time."""

    def __init__(self, path):
        start = time.monotonic()
        self.out = path.out()
        self.back = path.back_packets()
        self.events = path.events() if path.case.mode != 'idle' else None # to ask is work
        self.cpu = path.back.cpu_seconds()
        self.client_cpu = path.client.cpu_seconds()
        self.ours = sum(process.cpu_seconds() for process in path.others) + time.process_time()
        self.machine = machine_seconds()
        self.time = (start + time.monotonic()) / 2
        self.took = time.monotonic() - start


def figures(case, before, after):
    """Packets a microsecond both ways, and what one takes."""
    seconds = after.time - before.time
    out, back = after.out - before.out, after.back - before.back
    cpu = after.cpu - before.cpu
    packets = {'tx': out, 'rx': back}.get(case.mode, out + back)
    found = {'out': out / seconds / 1e6, 'back': back / seconds / 1e6,
             'cpu': cpu * 1e9 / max(1, packets), 'busy': 100 * cpu / seconds}
    if after.events is not None:
        found['sent'], found['received'] = (100 * (a - b) / max(1, packets)
                                            for a, b in zip(after.events, before.events))
    return found


def disturbed(before, after):
    """By whom, or ''."""
    seconds = after.time - before.time
    others = (after.machine - before.machine) - (after.ours - before.ours)
    if others > OTHERS * seconds:
        return f'others had {100 * others / seconds:.0f} % of a processor'
    if after.client_cpu - before.client_cpu < POLLING * seconds:
        return 'the driver had no processor for itself'
    if max(before.took, after.took) > LATE * seconds:
        return 'the counters came late'
    return ''


def measure_once(lab, args, kind, case, seconds):
    path = KINDS[kind](lab, args, case)
    try:
        if case.mode != 'idle':
            path.wait_for_packets()
        time.sleep(SETTLE_S)
        before = Sample(path)
        time.sleep(seconds)
        after = Sample(path)
        for process in path.others:
            process.check()
    finally:
        path.close()
    return figures(case, before, after), disturbed(before, after)


def measure(lab, args, calibration, kind, case):
    """Once, and again where somebody disturbs it: {figure: value}, with 'disturbed' by whom."""
    seconds = IDLE_S if case.mode == 'idle' else args.seconds
    for _ in range(args.tries):
        slow = calibration.slow()
        found, why = measure_once(lab, args, kind, case, seconds)
        if slow or calibration.slow():
            why = 'the processor is slow now'
        if case.mode in LEISURE:
            why = ''
        found['disturbed'] = why
        if not why:
            break
    return found


def value(case, found, way=None):
    return found[way or ('back' if case.mode == 'rx' else 'out')]


def ratios(case, ours, theirs):
    """Of a round; of both ways the worse one."""
    if case.mode == 'tso':
        return ours['cpu'] / theirs['cpu']
    ways = ('out', 'back') if case.mode == 'duplex' else (None,)
    return min(value(case, ours, way) / max(value(case, theirs, way), 1e-9) for way in ways)


def clean(*rounds):
    """Those measurements whose whole round nobody disturbed; all, if there is none."""
    kept = [r for r in zip(*rounds) if not any(found['disturbed'] for found in r)]
    return kept or list(zip(*rounds))


def median_ratio(case, results, kind):
    if ('ringtap', case) not in results or (kind, case) not in results:
        return None
    rounds = clean(results['ringtap', case], results[kind, case])
    return statistics.median(ratios(case, ours, theirs) for ours, theirs in rounds)


def of_dpdk(case, results):
    """Of frames to be segmented, which DPDK's has not: what one takes by what writing it takes."""
    return median_ratio(case, results, 'plain' if case.mode == 'tso' else 'dpdk')


def of_limit(case, results):
    """Of the faster way to the tap."""
    if case.mode == 'tso':
        return None
    found = [median_ratio(case, results, kind) for kind in ('plain', 'uring')]
    return min((r for r in found if r is not None), default=None)


def title(case):
    return f'{case.mode} {case.size} B, {case.queues} queue' + 's' * (case.queues > 1)


def median_of(results, figure):
    kept = [r[0] for r in clean(results)]
    return statistics.median(r[figure] for r in kept)


def print_table(results, cases, kinds):
    print(f'{"":<20} {"":<8} {"out":>7} {"back":>7} {"cpu":>7} {"busy":>6} {"events":>13}  of it')
    for case in cases:
        for kind in (k for k in kinds if (k, case) in results):
            found = results[kind, case]
            line = f'{title(case):<20} {kind:<8}'
            for figure, digits in (('out', 3), ('back', 3), ('cpu', 0), ('busy', 1)):
                line += f' {median_of(found, figure):{6 if figure == "busy" else 7}.{digits}f}'
            events = ' '.join(f'{median_of(found, f):6.3f}' for f in ('sent', 'received')
                              if f in found[0])
            ratio = median_ratio(case, results, kind) if kind != 'ringtap' else None
            print(f'{line} {events:>13}' + (f'  {ratio:.2f}' if ratio else ''))
    print(LEGEND)


def ratio_line(name, of, results, cases):
    words = {}
    for case in cases:
        ratio = of(case, results)
        if ratio is not None:
            words[case.name] = min(ratio, words.get(case.name, ratio))
    return ' '.join([name, *(f'{k}={v:.2f}' for k, v in words.items())])


def missed(results, cases):
    """What is below its bar, a line each."""
    for case in (c for c in cases if ('ringtap', c) in results):
        found = results['ringtap', case]
        ratio = of_dpdk(case, results)
        if case.mode == 'idle':
            if median_of(found, 'busy') >= IDLE_PERCENT:
                yield f'idle: {median_of(found, "busy"):.2f} % of a processor'
            continue
        if case.mode == 'tso' and ratio is not None and ratio > TSO_BAR:
            yield f'{title(case)}: {ratio:.2f} of writing it, and not {TSO_BAR}'
        if ratio is not None and ratio < BARS.get(case.name, 0):
            yield f'{title(case)}: {ratio:.2f} of DPDK\'s, and not {BARS[case.name]}'
        if median_of(found, 'sent') + median_of(found, 'received') >= EVENTS:
            yield f'{title(case)}: {EVENTS} event or more for 100 packets'
        if case.mode == 'duplex' and \
                min(r['back'] / r['out'] for r, in clean(found)) < WAY_BACK:
            yield f'{title(case)}: the way back is below {WAY_BACK} of the way out'


def arguments():
    parser = argparse.ArgumentParser(
        prog='scripts/bench virtio',
        description='vhost-user-net with a tap, driven by DPDK\'s testpmd: packets to the host, '
        'dropped behind the tap, packets to the guest, whose sender shares the back end\'s '
        'processor, and both, by a tap that gives back what it gets. The same with DPDK\'s own '
        'back end, net_vhost and net_tap, and by the tap alone. By a front end of our own: TCP '
        'frames of 60 KB (tso), against writing them, and a driver that sleeps (woken). The last '
        'two lines have ringtap\'s rates by DPDK\'s and by the tap\'s own, the worse of 1 and 2 '
        'queues and of both ways of duplex; tso is its time for a frame by that of writing it.')
    parser.add_argument('--quick', action='store_true', help='one short round')
    parser.add_argument('--rounds', type=int, metavar='N', help='default 3 (quick: 1)')
    parser.add_argument('--seconds', type=float, metavar='N',
                        help='of each measurement (default 0.5)')
    parser.add_argument('--tries', type=int, default=TRIES, metavar='N', help='of a measurement, '
                        f'if others have the processors as well (default {TRIES})')
    parser.add_argument('--cases', default='', metavar='NAME,...', help='of tx64, tx1500, rx, '
                        'duplex, tso, woken and idle (default: all)')
    parser.add_argument('--kinds', default=','.join(KINDS), metavar='NAME,...',
                        help='of ' + ', '.join(KINDS) + ' (default: all)')
    parser.add_argument('--ringtap', type=Path, metavar='FILE', help='default: this tree\'s, built '
                        'with --release')
    parser.add_argument('--output', type=Path, metavar='FILE', help='each measurement as a line of '
                        'JSON')
    parser.add_argument('--build', type=Path, default=TOP / 'build-release',
                        help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.ringtap = args.ringtap or args.build / 'ringtap'
    args.rounds = args.rounds or (1 if args.quick else 3)
    args.seconds = args.seconds or 0.5
    args.kinds = args.kinds.split(',')
    for kind in args.kinds:
        if kind not in KINDS:
            parser.error(f'--kinds: {kind}: no such one')
    wanted = args.cases.split(',') if args.cases else []
    for name in wanted:
        if name not in {case.name for case in CASES}:
            parser.error(f'--cases: {name}: no such one')
    args.cases = [case for case in CASES if not wanted or case.name in wanted]
    return args


def needed():
    """Raises a LabError if this machine can't."""
    if shutil.which(TESTPMD) is None:
        raise LabError(f'{TESTPMD} is missing: scripts/deps dpdk')
    if not {BACK, CLIENT} <= os.sched_getaffinity(0):
        raise LabError('two processors are needed')


def ahead_of_others():
    """The program sleeps but for a look at counters, which should not come late."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:
        pass


def run(args, record):
    results = {}
    start = time.monotonic()
    with Lab('virtio') as lab:
        ahead_of_others()
        calibration = Calibration(lab, args.build)
        for number in range(args.rounds):
            for case in args.cases:
                for kind in args.kinds:
                    if kind not in ONLY.get(case.mode, KINDS):
                        continue
                    print(f'round {number + 1} of {args.rounds}: {title(case)}, {kind}, '
                          f'{time.monotonic() - start:.0f} s', end='', flush=True)
                    found = measure(lab, args, calibration, kind, case)
                    print(f': {found["out"]:.3f} {found["back"]:.3f}, {found["cpu"]:.0f} ns'
                          + f' ({found["disturbed"]})' * bool(found['disturbed']), flush=True)
                    results.setdefault((kind, case), []).append(found)
                    record({'round': number + 1, 'kind': kind, **case._asdict(), **found})
    return results


def main():
    args = arguments()
    lines = []

    def record(found):
        lines.append(json.dumps({'kernel': platform.release(), **found}) + '\n')

    try:
        needed()
        results = run(args, record)
        if args.output:
            args.output.write_text(''.join(lines))
    except (LabError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f'bench: {error}')
    except KeyboardInterrupt:
        sys.exit('bench: interrupted')
    print_table(results, args.cases, args.kinds)
    for line in missed(results, args.cases):
        print('missed: ' + line)
    print(ratio_line('ratio', of_dpdk, results, args.cases))
    print(ratio_line('limit', of_limit, results, args.cases))


if __name__ == '__main__':
    main()
