# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts/bench virtio measures: a tap in a namespace, a back end of vhost-user before it, and
DPDK's testpmd as the driver, or a front end of our own; or the tap alone. A back end has one
processor, what drives it the other one, and what else runs on the machine little of both in the
while."""

import json
import os
import socket
import time
from pathlib import Path

from qmp_client import Qmp
from vif_lab import HOST_IF, LabError

BACK, CLIENT = 0, 1  # processors
TESTPMD = 'dpdk-testpmd'
MEMORY_MB = 256
POLL_S = 0.05


def pinned(processor, *argv):
    """Threads of the session and of the program go before all others."""
    return ['sh', '-c', '{ echo -20 >/proc/self/autogroup; } 2>/dev/null; '
            'exec nice -n -20 taskset -c "$0" "$@"', str(processor), *argv]


def testpmd(rundir, name, processor, vdevs, *options):
    """Its command line. Memory of 4 KB pages (--no-huge), in one file that can be shared: nothing
    has to be reserved, and both ends of each comparison have the same."""
    return ('env', f'RUNTIME_DIRECTORY={rundir}', TESTPMD,
            '--lcores', f'0@{processor},1@{processor}', '--no-huge', '-m', MEMORY_MB,
            '--no-pci', f'--file-prefix={name}', *(f'--vdev={v}' for v in vdevs), '--',
            '--total-num-mbufs=16384', '--stats-period=10000', *options)


class Telemetry:
    """Counters of a DPDK program's first port."""

    def __init__(self, rundir, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(10)
        self.socket.connect(f'{rundir}/dpdk/{name}/dpdk_telemetry.v2')
        self.size = json.loads(self.socket.recv(4096))['max_output_len']

    def received(self):
        self.socket.send(b'/ethdev/stats,0')
        return json.loads(self.socket.recv(self.size))['/ethdev/stats']['ipackets']

    def close(self):
        self.socket.close()


def machine_seconds():
    """Processor time that somebody had so far, other machines included."""
    fields = Path('/proc/stat').read_text().split('\n', 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf('SC_CLK_TCK')


# What tap-alone, testpmd as the client and our front end are told, by modes of a case.
ALONE = {'tx': 'tx', 'rx': 'rx', 'duplex': 'duplex', 'tso': 'tx'}
FORWARD = {'tx': 'txonly', 'rx': 'rxonly', 'duplex': 'flowgen', 'idle': 'rxonly'}
FRONT = {'tso': 'poll', 'woken': 'wait'}


class Arrangement:
    """Programs that run together. out: packets written to the tap so far. back: those
    that came out of it and reached the driver."""

    def __init__(self, lab, args, case):
        self.lab = lab
        self.args = args
        self.case = case
        self.others = []

    def start(self, name, processor, *argv):
        process = self.lab.start(name, pinned(processor, *argv), self.lab.host)
        self.others.append(process)
        return process

    def tool(self, name, processor, *argv):
        process = self.start(name, processor, self.args.build / 'tests/bench' / name, *argv)
        process.wait_ready()
        return process

    def interface(self):
        """[bytes, packets, ...] that were written to the tap, then 8 later, read from it."""
        for line in Path(f'/proc/{self.back.pid}/net/dev').read_text().splitlines():
            name, _, fields = line.partition(':')
            if name.strip() == HOST_IF:
                return list(map(int, fields.split()))
        return None

    def tap_up(self):
        self.back.wait_for('tap', self.interface)
        self.lab.link_up(self.lab.host, HOST_IF)
        self.tool('tap-sink', CLIENT, HOST_IF, 'bounce' if self.case.mode == 'duplex' else 'drop')

    def out(self):
        return self.interface()[1]

    def events(self):
        """To the driver and from it, so far; None: it does not count them."""

    def wait_for_packets(self):
        count = self.back_packets if self.case.mode == 'rx' else self.out
        before = count()
        self.client.wait_for('packets', lambda: count() > before + 1000)

    def close(self):
        for process in reversed(self.others):
            self.lab.stop(process)


class Alone(Arrangement):
    """Nothing but the tap. The other processor is as busy as with a driver that polls."""

    how = None

    def __init__(self, lab, args, case):
        super().__init__(lab, args, case)
        self.client = self.tool('processor', CLIENT, 'spin')
        self.back = self.tool('tap-alone', BACK, HOST_IF, ALONE[case.mode], self.how,
                              case.queues, case.size)
        self.tap_up()

    def back_packets(self):
        return self.interface()[9]


class Plain(Alone):
    how = 'plain'


class Uring(Alone):
    how = 'uring'


class Served(Arrangement):
    """A back end with a client."""

    telemetry = None

    def __init__(self, lab, args, case):
        super().__init__(lab, args, case)
        self.socket = lab.rundir / 'vhost'
        self.socket.unlink(missing_ok=True)
        self.back = self.start_back()
        self.tap_up()
        self.back.wait_for('socket', self.socket.exists)
        if case.mode in FRONT:
            self.client = self.tool('vhost-user-flood', CLIENT, self.socket, case.size,
                                    FRONT[case.mode])
        else:
            self.start_testpmd()
        if case.mode == 'rx':
            self.tool('tap-flood', BACK, HOST_IF, case.size)

    def start_testpmd(self):
        case = self.case
        self.client = self.start('client', CLIENT, *testpmd(
            self.lab.rundir, 'client', CLIENT,
            [f'net_virtio_user0,path={self.socket},queues={case.queues}'],
            f'--forward-mode={FORWARD[case.mode]}', f'--txpkts={case.size}',
            f'--rxq={case.queues}', f'--txq={case.queues}'))
        path = self.lab.rundir / 'dpdk/client/dpdk_telemetry.v2'
        self.client.wait_for('telemetry', path.exists)
        self.telemetry = self.client_telemetry()

    def client_telemetry(self):
        end = time.monotonic() + 10
        while True:
            try:
                telemetry = Telemetry(self.lab.rundir, 'client')
                telemetry.received()
                return telemetry
            except (OSError, KeyError, TypeError) as error:
                self.client.check()
                if time.monotonic() > end:
                    raise LabError(f'client: no telemetry: {error}') from error
                time.sleep(POLL_S)

    def back_packets(self):
        return self.telemetry.received() if self.telemetry else 0

    def close(self):
        if self.telemetry:
            self.telemetry.close()
        super().close()


class Dpdk(Served):
    """net_vhost and net_tap, and testpmd between them."""

    def start_back(self):
        queues = self.case.queues
        return self.start('dpdk', BACK, *testpmd(
            self.lab.rundir, 'dpdk', BACK,
            [f'net_vhost0,iface={self.socket},queues={queues}', f'net_tap0,iface={HOST_IF}'],
            f'--rxq={queues}', f'--txq={queues}'))


class Ringtap(Served):
    def start_back(self):
        monitor = self.lab.rundir / 'monitor'
        monitor.unlink(missing_ok=True)
        back = self.start(
            'ringtap', BACK, self.args.ringtap,
            '-chardev', f'socket,id=c0,path={self.socket},server=on,wait=off',
            '-netdev', f'tap,id=n0,ifname={HOST_IF},queues={self.case.queues},script=no,'
            'downscript=no',
            '-device', 'vhost-user-net,chardev=c0,netdev=n0,id=nic0',
            '-qmp', f'unix:{monitor},server=on,wait=off')
        back.wait_for('monitor', monitor.exists)
        self.monitor = Qmp(monitor)
        return back

    def events(self):
        device, = self.monitor.command('query-devices')
        return tuple(sum(counter['value'] for queue in device['queues']
                         for group in queue['groups'] for counter in group['counters']
                         if counter['name'] == name) for name in ('events-sent', 'events-received'))

    def close(self):
        self.monitor.close()
        super().close()


KINDS = {'ringtap': Ringtap, 'dpdk': Dpdk, 'plain': Plain, 'uring': Uring}
