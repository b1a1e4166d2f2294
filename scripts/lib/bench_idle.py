# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/bench idle: what a connected vif without traffic costs: how often its threads wake up."""

import argparse
import sys
import time
from pathlib import Path

from vif_lab import HOST_IP, TOP, Lab, LabError, Vif

PORT = 5201
SETTLE_S = 1  # what followed the traffic, as a connection's end, is over by then


def threads(process):
    """{thread id: (name, how often it ran, ns that it ran for)}, of all threads of a process."""
    found = {}
    for task in Path(f'/proc/{process.pid}/task').iterdir():
        status = dict(line.split(':', 1) for line in (task / 'status').read_text().splitlines())
        switches = (int(status[f'{kind}_ctxt_switches']) for kind in ('voluntary', 'nonvoluntary'))
        stat = task / 'schedstat'
        ns = int(stat.read_text().split()[0]) if stat.exists() else 0
        found[int(task.name)] = status['Name'].strip(), sum(switches), ns
    return found


def wake_ups(before, after):
    """{(thread id, name): how often it woke up meanwhile}; one that is new or never slept, once."""
    found = {}
    for tid, (name, runs, ns) in after.items():
        _, old_runs, old_ns = before.get(tid, (name, 0, 0))
        if (runs, ns) != (old_runs, old_ns):
            found[tid, name] = max(1, runs - old_runs)
    return found


def some_traffic(lab, build):
    """It leaves timers and polling behind, if anything does."""
    traffic = build / 'tests/bench/traffic'
    server = lab.start('serve', [traffic, 'serve', PORT], lab.host)
    server.wait_ready()
    lab.run(lab.guest, [traffic, 'rr', HOST_IP, PORT, 1])
    lab.stop(server)


def measure(lab, build, queues, seconds):
    """Wake-ups in all, of backend and frontend; the threads that had some are printed."""
    vif = Vif(lab, build / 'ringtap', queues)
    processes = (vif.backend, vif.frontend)
    lab.addresses()
    some_traffic(lab, build)
    time.sleep(SETTLE_S)
    before = [threads(p) for p in processes]
    time.sleep(seconds)
    after = [threads(p) for p in processes]
    total = 0
    for process, old, new in zip(processes, before, after):
        process.check()
        found = wake_ups(old, new)
        total += sum(found.values())
        print(f'{process.name}: {len(new)} threads, {len(found)} of them woke up')
        for (tid, name), n in sorted(found.items()):
            print(f'    {name} ({tid}): {n} times')
    vif.close()
    return total


def main():
    parser = argparse.ArgumentParser(
        prog='scripts/bench idle',
        description='How often the threads of a connected vif wake up while there is no traffic, '
        'a second after some: of the ringtap that is its backend and of the one that is its '
        'frontend, with main loop, XenStore and the emulated Xen. The last line is "idle '
        'wake-ups=N"; 0 are expected, else the lines before name the threads, and the exit '
        'status is 1.')
    parser.add_argument('--queues', type=int, default=4, metavar='N', help='default 4')
    parser.add_argument('--seconds', type=float, default=4, metavar='N', help='default 4')
    parser.add_argument('--build', type=Path, default=TOP / 'build-release',
                        help=argparse.SUPPRESS)
    args = parser.parse_args()
    try:
        with Lab('idle') as lab:
            total = measure(lab, args.build, args.queues, args.seconds)
    except LabError as error:
        sys.exit(f'bench: {error}')
    except KeyboardInterrupt:
        sys.exit('bench: interrupted')
    print(f'idle wake-ups={total}')
    sys.exit(total > 0)


if __name__ == '__main__':
    main()
