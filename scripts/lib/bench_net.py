# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/bench net: tap to tap through a vif, against a plain program between the taps."""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

from vif_lab import GUEST_IF, GUEST_IP, HOST_IF, HOST_IP, TOP, Lab, LabError, Vif

PORT = 5201
DIRECTIONS = ('tx', 'rx')
FRAME = 64


class Splice:
    """The floor: one process reads from each tap and writes to the other."""

    def __init__(self, lab, build, queues):
        self.lab = lab
        self.process = lab.start('splice', [
            build / 'tests/bench/tap-splice', lab.host, HOST_IF, lab.guest, GUEST_IF, queues])
        self.process.wait_ready()
        self.processes = [self.process]

    def close(self):
        self.lab.stop(self.process)


class RingtapVif(Vif):
    def __init__(self, lab, build, queues):
        super().__init__(lab, build / 'ringtap', queues)
        self.processes = [self.frontend, self.backend]


def place(path, processors):
    """Its programs are where the scheduler puts them, or all on one processor, or on one each.
    Returns the processor of the one that has the host's tap; None: it may be any."""
    if processors is None:
        return None
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < processors:
        raise LabError(f'--processors {processors}: {len(usable)} may be used')
    for number, process in enumerate(path.processes):
        for task in Path(f'/proc/{process.pid}/task').iterdir():
            os.sched_setaffinity(int(task.name), {usable[number % processors]})
    return usable[(len(path.processes) - 1) % processors]


def busy_seconds():
    """Processor time of the whole machine so far."""
    fields = Path('/proc/stat').read_text().split('\n', 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf('SC_CLK_TCK')


def packets_out(lab, direction):
    """Packets that have come out of the path: those that the far tap gave to its stack."""
    netns, ifname = ((lab.host, HOST_IF) if direction == 'tx' else (lab.guest, GUEST_IF))
    link = json.loads(lab.ip('-s', '-j', 'link', 'show', 'dev', ifname, netns=netns))[0]
    return link['stats64']['rx']['packets']


class Meter:
    """Runs the traffic programs over one path and counts its processor time."""

    def __init__(self, lab, traffic, path, beside=None):
        self.lab = lab
        self.traffic = traffic
        self.path = path
        self.beside = beside # the processor of who sends small packets to the guest

    def run(self, direction, *args):
        """Figures of one traffic run, with cpu and sleeps (of the path) and busy (of the
        machine)."""
        netns, address = ((self.lab.guest, HOST_IP) if direction == 'tx'
                          else (self.lab.host, GUEST_IP))
        mode, *rest = args
        where = []
        if self.beside is not None and (mode, direction) == ('udp', 'rx'):
            where = ['taskset', '-c', self.beside]
        cpu = -sum(p.cpu_seconds() for p in self.path.processes)
        out = -packets_out(self.lab, direction)
        busy = -busy_seconds()
        sleeps = -sum(p.sleeps() for p in self.path.processes)
        text = self.lab.run(netns, [*where, self.traffic, mode, address, PORT, *rest])
        figures = {k: float(v) for k, v in (word.split('=') for word in text.split())}
        figures['forwarded'] = out + packets_out(self.lab, direction)
        figures['cpu'] = cpu + sum(p.cpu_seconds() for p in self.path.processes)
        figures['busy'] = busy + busy_seconds()
        figures['sleeps'] = sleeps + sum(p.sleeps() for p in self.path.processes)
        for process in self.path.processes:
            process.check()
        return figures


def rate(value, ns):
    return value / (ns / 1e9) if ns else 0.0


def measure(meter, seconds, queues):
    """One path, once: {figure: value}."""
    values = {}
    meter.run('tx', 'stream', 1, queues)
    for direction in DIRECTIONS:
        f = meter.run(direction, 'stream', seconds, max(2, queues))
        values[f'{direction} Gbit/s'] = rate(f['bytes'], f['ns']) * 8 / 1e9
        values[f'{direction} cpu ns/KB'] = f['cpu'] * 1e9 / (f['bytes'] / 1000)
        values[f'{direction} all cpu ns/KB'] = f['busy'] * 1e9 / (f['bytes'] / 1000)
    for direction in DIRECTIONS:
        f = meter.run(direction, 'udp', seconds, queues, FRAME)
        values[f'{direction} 64 B kpps'] = f['forwarded'] / seconds / 1e3
        values[f'{direction} 64 B cpu ns/pkt'] = f['cpu'] * 1e9 / max(1, f['forwarded'])
        values[f'{direction} 64 B sleeps/1000'] = f['sleeps'] * 1e3 / max(1, f['forwarded'])
    f = meter.run('tx', 'rr', seconds)
    values['round trips/s'] = rate(f['rounds'], f['ns'])
    values['round trip p50 us'] = f['p50'] / 1e3
    values['round trip p99 us'] = f['p99'] / 1e3
    return values


def one_path(make, args, seconds, queues):
    with Lab('bench') as lab:
        path = make(lab, args.build, queues)
        processor = place(path, args.processors)
        lab.addresses()
        traffic = args.build / 'tests/bench/traffic'
        for netns in (lab.host, lab.guest):
            lab.start(f'serve-{netns}', [traffic, 'serve', PORT], netns).wait_ready()
        meter = Meter(lab, traffic, path, processor if args.beside else None)
        values = measure(meter, seconds, queues)
        path.close()
        return values


def median_ratio(results, queues, figure):
    """Of the rounds' ratios: what is compared was measured within the same minute."""
    return statistics.median(
        vif[figure] / splice[figure] if splice[figure] else 0.0
        for splice, vif in zip(results['splice', queues], results['vif', queues]))


def print_table(results, all_queues):
    figures = list(results['splice', all_queues[0]][0])
    head = f'{"":>22}'
    for queues in all_queues:
        head += f' | {"plain " + str(queues) + "q":>10} {"vif " + str(queues) + "q":>10} ' \
                f'{"ratio":>6}'
    print(head)
    for figure in figures:
        line = f'{figure:>22}'
        for queues in all_queues:
            plain, vif = (statistics.median(r[figure] for r in results[kind, queues])
                          for kind in ('splice', 'vif'))
            line += f' | {plain:10.4g} {vif:10.4g} ' \
                    f'{median_ratio(results, queues, figure):6.2f}'
        print(line)
    print('Medians of the rounds. tx: from the guest. cpu, sleeps: of the forwarding processes '
          '(plain: one,\nvif: two); all cpu: of the whole machine, both TCP stacks included.')


def main():
    parser = argparse.ArgumentParser(
        prog='scripts/bench net',
        description='TCP streams both ways, 64-byte UDP packets and round trips: through a '
        'vif (tap - netfront - netback - tap), and through a plain program between the same '
        'two taps, alternating. The last line has the ratios of the TCP streams.')
    parser.add_argument('--quick', action='store_true', help='one short round')
    parser.add_argument('--rounds', type=int, help='alternations (default 3; quick: 1)')
    parser.add_argument('--seconds', type=int, help='of each measurement (default 2; quick: 1)')
    parser.add_argument('--processors', type=int, choices=(1, 2), help='the forwarding programs '
                        'all on one processor, or those of the vif on one each (default: where '
                        'the scheduler puts them)')
    parser.add_argument('--beside', action='store_true', help='who sends the UDP packets to the '
                        'guest is on the processor of the program that reads them (with '
                        '--processors)')
    parser.add_argument('--build', type=Path, default=TOP / 'build-release',
                        help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.beside and args.processors is None:
        parser.error('--beside goes with --processors')
    rounds = args.rounds or (1 if args.quick else 3)
    seconds = args.seconds or (1 if args.quick else 2)

    all_queues = (1, 2)
    results = {(kind, q): [] for kind in ('splice', 'vif') for q in all_queues}
    start = time.monotonic()
    try:
        for number in range(rounds):
            for queues in all_queues:
                for kind, make in (('splice', Splice), ('vif', RingtapVif)):
                    print(f'round {number + 1} of {rounds}: {kind}, {queues} queue(s), '
                          f'{time.monotonic() - start:.0f} s', flush=True)
                    results[kind, queues].append(one_path(make, args, seconds, queues))
    except LabError as error:
        sys.exit(f'bench: {error}')
    except KeyboardInterrupt:
        sys.exit('bench: interrupted')
    print_table(results, all_queues)
    print('ratio ' + ' '.join(
        f'{d}{q}={median_ratio(results, q, f"{d} Gbit/s"):.2f}'
        for q in all_queues for d in DIRECTIONS))


if __name__ == '__main__':
    main()
