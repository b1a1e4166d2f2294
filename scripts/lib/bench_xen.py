# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/bench xen: lines of tests/xen/run bench-net, and their results as JSON."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
RUN = 'tests/xen/run'

# Arguments of bench-net. A boot each, so that what fails costs one line and not all.
QUICK = ['qemu=yes tcp=yes udp=64,1400 rr=1 rounds=1']
FULL = [
    'qemu=yes tcp=yes sizes=64,1024,16384 rounds=1',
    'qemu=yes udp=64,1400 rounds=1',
    'qemu=yes rr=1,20,100 crr=1,20,100 rounds=1',
    'queues=1 vcpus=1 rounds=1',
    'queues=4 streams=4 vcpus=4 rounds=1',
    'queues=8 streams=8 vcpus=8 rounds=1',
    'tags=vlan rounds=1',
    'tags=vlan ipv6=yes rounds=1',
    'tags=qinq rounds=1',
]
TIME = '3600'

MACHINE = re.compile(r'Linux (\S+), Xen (\S+)$')
RESULT = re.compile(r'result (\S+) +(\S+) +(tx|rx) +(\S+) (\S+); dom0 (\S+) guest (\S+) ns/(\S+)$')


def parse(text, command, icount):
    """The results in what bench-net printed; ratio is ringtap's figure by this one."""
    machine = None
    records = []
    for line in text.splitlines():
        machine = MACHINE.search(line) or machine
        found = RESULT.match(line)
        if not found:
            continue
        if not machine:
            raise ValueError('results before a line that names Linux and Xen')
        backend, case, direction, value, unit, dom0, guest, each = found.groups()
        records.append({
            'command': command, 'kernel': machine[1], 'xen': machine[2], 'backend': backend,
            'case': case, 'direction': direction, 'value': float(value), 'unit': unit,
            'dom0': float(dom0), 'guest': float(guest),
            'cost': f'{"instructions" if icount else "ns of processor time"} a {each}'})
    ours = {(r['case'], r['direction']): r['value'] for r in records if r['backend'] == 'ringtap'}
    for record in records:
        record['ratio'] = round(ours[record['case'], record['direction']] / record['value'], 3)
    return records


def run(options, arguments):
    """One boot; what it prints is shown as it comes."""
    words = [RUN, 'bench-net', *options, '--', *arguments]
    print('bench: ' + ' '.join(words), flush=True)
    lines = []
    with subprocess.Popen([str(TOP / words[0]), *words[1:]], stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            print(line, end='', flush=True)
            lines.append(line)
    return process.returncode, ''.join(lines), ' '.join(words)


def main():
    parser = argparse.ArgumentParser(
        prog='scripts/bench xen',
        description='What a vif of ringtap, of Linux netback and of QEMU carries on a real Xen '
        'that QEMU emulates (tests/xen/run bench-net): TCP, UDP, round trips, by queues, sizes '
        'and tags. Each result is a line of JSON.')
    parser.add_argument('--quick', action='store_true', help='one boot instead of nine')
    parser.add_argument('--output', type=Path, default=Path('bench-xen.json'), metavar='FILE',
                        help='default: bench-xen.json')
    parser.add_argument('--append', action='store_true', help='to FILE, instead of a new one')
    parser.add_argument('--no-icount', action='store_true',
                        help='time of the host instead of instructions: nothing repeats')
    parser.add_argument('--kernel', default='6.1', help='6.1 or 6.12 (default 6.1)')
    parser.add_argument('arguments', nargs='*', metavar='ARGUMENT',
                        help='of one boot, after "--": see tests/xen/scenarios/bench-net/dom0.sh')
    args = parser.parse_args()
    lines = [' '.join(args.arguments)] if args.arguments else QUICK if args.quick else FULL
    options = [] if args.no_icount else ['--icount']
    if args.kernel != '6.1':
        options += ['--kernel', args.kernel]

    failed = n_records = 0
    try:
        out = args.output.open('a') # what stands there goes once there is something else
    except OSError as error:
        sys.exit(f'bench: {args.output}: {error.strerror}')
    with out:
        for line in lines:
            status, text, command = run([*options, '--time', TIME], line.split())
            records = parse(text, command.replace(f' --time {TIME}', ''), not args.no_icount)
            if status == 77:
                sys.exit(status)
            if status != 0 or not records:
                print(f'bench: no results, exit status {status}', file=sys.stderr)
                failed += 1
            if records and n_records == 0 and not args.append:
                out.truncate(0)
            for record in records:
                out.write(json.dumps(record) + '\n')
            out.flush()
            n_records += len(records)
    if n_records > 0:
        print(f'bench: {args.output}; scripts/bench plot {args.output} draws it')
    return 1 if failed else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('bench: interrupted')
