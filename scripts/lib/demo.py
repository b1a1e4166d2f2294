# SPDX-License-Identifier: GPL-2.0-or-later
"""The work of scripts/demo: two namespaces, a vif between them, TCP over all its queues. Or a real
guest of tests/vm, whose virtio NIC is watched from here. Or a disk, and a guest that writes to it
and compares."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import disk_table
from device_table import Sample
from disk_lab import MIB, Disk, DiskLab
from qmp_client import Qmp
from vif_lab import GUEST_IP, HOST_IP, TOP, Lab, LabError, Vif
from vif_table import DIRECTIONS, Screen, delta, rows

PORT = 5201
# Each queue gets some streams, chosen by a hash, and iperf3 has 128 at most.
STREAMS_PER_QUEUE = 4
MAX_QUEUES = 128 // STREAMS_PER_QUEUE
VM_PROCESSORS = 4  # of the guest of tests/vm, and a queue pair for each
DISK_RINGS = 8
DISK_SIZE = 64 * MIB
NIC_NOTE = 'queue(s); tx: from the guest'


def say_what_xen_can():
    if os.path.exists('/dev/xen/evtchn') or os.path.exists('/proc/xen/capabilities'):
        print('This machine runs Xen. To serve a real guest, with xen-netback not loaded:\n'
              '    ringtap -accel xen -xen-domid ID \\\n'
              '        -netdev tap,id=n0,ifname=vifID.0,queues=4,script=no,downscript=no \\\n'
              '        -device xen-net-device,netdev=n0\n'
              'README.md says more. The demo goes on with an emulated one.')


class Traffic:
    """iperf3 both ways, with so many streams that each queue gets some."""

    def __init__(self, lab, queues, seconds):
        self.lab = lab
        streams = str(max(8, STREAMS_PER_QUEUE * queues))
        self.clients = []
        for number, direction in enumerate(DIRECTIONS):
            port = str(PORT + number)
            server = lab.start(f'iperf3-server-{direction}',
                               ['iperf3', '-s', '-p', port, '--forceflush'], lab.host)
            server.wait_for('listening iperf3',
                            lambda s=server: b'listening' in s.log.read_bytes())
            reverse = ['-R'] if direction == 'rx' else []
            self.clients.append(lab.start(
                f'iperf3-{direction}', ['iperf3', '-c', HOST_IP, '-p', port, '-P', streams,
                                        '-t', str(seconds + 30), *reverse], lab.guest))

    def stop(self):
        for client in self.clients:
            if client.popen.poll() is not None:
                client.check()
            self.lab.stop(client)


def show(qmp, seconds, processes=(), columns=None, note=NIC_NOTE, table=rows):
    """The table, once a second; the samples at the start and the end."""
    screen = Screen(columns=columns)
    first = last = Sample(qmp.command('query-devices')[0])
    end = first.time + seconds
    while time.monotonic() < end:
        time.sleep(max(0.0, min(1.0, end - time.monotonic())))
        now = Sample(qmp.command('query-devices')[0])
        screen.show(f'{now.time - first.time:4.0f} s of {seconds}: {now.title}, '
                    f'{len(now.queues)} {note}', table(now, last))
        last = now
        for process in processes:
            process.check()
    return first, last


def summary(first, last):
    """One line, and whether each queue carried packets both ways."""
    seconds = last.time - first.time
    gbits = {}
    busy = {}
    for direction in DIRECTIONS:
        deltas = [delta(last, first, q, direction) for q in range(len(last.queues))]
        gbits[direction] = sum(d['bytes'] for d in deltas) * 8 / seconds / 1e9
        busy[direction] = sum(1 for d in deltas if d['packets'] > 0)
    n = len(last.queues)
    print(f'demo: {seconds:.0f} s, guest to host {gbits["tx"]:.2f} Gbit/s on {busy["tx"]} of '
          f'{n} queues, host to guest {gbits["rx"]:.2f} Gbit/s on {busy["rx"]} of {n} queues',
          flush=True)
    return n > 0 and all(b == n for b in busy.values())


def run(lab, ringtap, args):
    print(f'two network namespaces, {lab.host} and {lab.guest}; the emulated Xen host is in '
          f'{lab.rundir}')
    vif = Vif(lab, ringtap, args.queues)
    lab.addresses()
    lab.run(lab.guest, ['ping', '-c', '1', '-W', '5', HOST_IP]) if have('ping') else None
    print(f'a vif with {vif.info()["queues"].__len__()} queues is connected: host {HOST_IP}, '
          f'guest {GUEST_IP}. While it runs, try:\n'
          f'    XENSTORED_PATH={vif.socket}.xenstore xenstore-ls -f\n'
          f'    scripts/ringtap-top {vif.qmp_path}', flush=True)
    traffic = Traffic(lab, args.queues, args.seconds)
    first, last = show(vif.qmp, args.seconds, lab.processes)
    traffic.stop()
    status = vif.close()
    good = summary(first, last)
    if len(last.queues) != args.queues:
        raise LabError(f'{len(last.queues)} queues, not {args.queues}')
    if not good:
        raise LabError('a queue carried nothing')
    if status != (0, 0):
        raise LabError(f'exit status of frontend and backend: {status}')


def disk_summary(first, last, found):
    """One line, and whether each ring was used and every sector right."""
    seconds = last.time - first.time
    deltas = [disk_table.ring_delta(last, first, ring) for ring in range(len(last.queues))]
    busy = sum(1 for d in deltas if d['read'] and d['written'])
    d = disk_table.total(deltas)
    print(f'demo: {seconds:.0f} s, {d["read bytes"] / seconds / MIB:.0f} MiB/s from the disk and '
          f'{d["written bytes"] / seconds / MIB:.0f} MiB/s to it on {busy} of {len(deltas)} rings; '
          f'{found["rounds"]} rounds compared, {found["mismatches"]} sectors wrong', flush=True)
    return (busy == len(deltas) and d['indirect'] > 0 and d['failed'] == 0
            and found['errors'] == 0 and found['mismatches'] == 0)


def run_disk(lab, args):
    print(f'an image of {DISK_SIZE // MIB} MiB, {lab.image}; the emulated Xen host is in '
          f'{lab.rundir}')
    disk = Disk(lab, args.build, args.queues)
    disk.load('--mode', 'verify', '--block', '256k', '--depth', 4 * args.queues, '--rings',
              args.queues, '--order', 1, '--seconds', args.seconds + 30)
    disk.guest.wait_for('connected disk', disk.connected)
    print(f'a disk with {len(disk.device()["queues"])} rings is connected; its guest writes to '
          'each sector which one it is, flushes,\nreads all of them and compares. While it runs, '
          f'try:\n    XENSTORED_PATH={disk.socket}.xenstore xenstore-ls -f\n'
          f'    scripts/ringtap-top {disk.qmp_path}', flush=True)
    first, last = show(disk.qmp, args.seconds, lab.processes, note='ring(s)',
                       table=disk_table.rows)
    guest = disk.guest
    status = lab.stop(guest), disk.close()
    if status != (0, 0):
        raise LabError(f'exit status of guest and backend: {status}\n'
                       + guest.log.read_text(errors='replace')[-3000:])
    if len(last.queues) != args.queues:
        raise LabError(f'{len(last.queues)} rings, not {args.queues}')
    if not disk_summary(first, last, json.loads(guest.log.read_text().splitlines()[-1])):
        raise LabError('a ring had nothing to do, or what was read is not what was written')


def run_virtio(args):
    """tests/vm has the guest, and the network around it: in our place."""
    argv = [TOP / 'tests' / 'vm' / 'run', 'demo', '--ringtap', args.build / 'ringtap', '--',
            f'seconds={args.seconds}', f'pairs={args.queues}']
    if sys.stdout.isatty():
        argv.append(f'columns={os.get_terminal_size(sys.stdout.fileno()).columns}')
    sys.stdout.flush()
    os.execv(argv[0], [str(word) for word in argv])


def watch(args):
    """The table of a ringtap that somebody else has started."""
    first, last = show(Qmp(args.watch), args.seconds, columns=args.columns)
    return summary(first, last) and len(last.queues) == args.queues


def have(program):
    return subprocess.run(['sh', '-c', f'command -v {program}'], stdout=subprocess.DEVNULL,
                          check=False).returncode == 0


def seconds(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError('at least 1')
    return number


def main():
    parser = argparse.ArgumentParser(prog='scripts/demo')
    parser.add_argument('--seconds', type=seconds, default=10, metavar='N')
    parser.add_argument('--queues', type=int, default=4, choices=range(1, MAX_QUEUES + 1),
                        metavar=f'1..{MAX_QUEUES}')
    parser.add_argument('--device', choices=('vif', 'virtio', 'disk'), default='vif')
    parser.add_argument('--watch', help=argparse.SUPPRESS)
    parser.add_argument('--columns', type=int, help=argparse.SUPPRESS)
    parser.add_argument('--build', type=Path, default=TOP / 'build-release',
                        help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.device == 'virtio' and args.queues > VM_PROCESSORS:
        parser.error(f'--queues: at most {VM_PROCESSORS} with --device virtio: its guest has so '
                     'many processors')
    if args.device == 'disk' and args.queues > DISK_RINGS:
        parser.error(f'--queues: at most {DISK_RINGS} with --device disk')
    if args.watch:
        sys.exit(0 if watch(args) else 1)
    if args.device == 'virtio':
        run_virtio(args)
    if args.device == 'vif':
        say_what_xen_can()
    try:
        if args.device == 'disk':
            with DiskLab('demo', '/dev/shm', DISK_SIZE) as lab:
                run_disk(lab, args)
        else:
            with Lab('demo') as lab:
                run(lab, args.build / 'ringtap', args)
    except LabError as error:
        sys.exit(f'demo: {error}')
    except KeyboardInterrupt:
        print('demo: interrupted, everything is taken down')
        sys.exit(130)


if __name__ == '__main__':
    main()
