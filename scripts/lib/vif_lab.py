# SPDX-License-Identifier: GPL-2.0-or-later
"""Two network namespaces with a tap in each, and something between the taps: for the demo
and the benchmarks. Everything is named after our pid and gone when the Lab is closed."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qmp_client import Qmp

TOP = Path(__file__).resolve().parents[2]
HOST_IF = 'host0'
GUEST_IF = 'guest0'
HOST_IP = '10.117.0.1'
GUEST_IP = '10.117.0.2'
PR_SET_PDEATHSIG = 1


class LabError(Exception):
    """Something could not be set up; the text is for the user."""


def die_with_parent():
    """In the child, before exec: SIGTERM when we are killed without a chance to clean up."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def within(netns):
    """How a command line begins that runs there: "ip netns exec" would want a root that is a
    mount point, which it is not in a chroot."""
    return ('nsenter', f'--net=/run/netns/{netns}') if netns else ()


def capabilities():
    """The effective ones, a bit each."""
    status = Path('/proc/self/status').read_text()
    return int(status.split('CapEff:')[1].split()[0], 16)


def need_root_and_tun():
    if os.geteuid() != 0:
        raise LabError('run this as root: it makes network namespaces and taps')
    missing = [name for bit, name in ((12, 'CAP_NET_ADMIN'), (21, 'CAP_SYS_ADMIN'))
               if not capabilities() >> bit & 1]
    if missing:
        raise LabError(f'{" and ".join(missing)} is missing: it makes network namespaces and '
                       'taps. This is a container without it: run it outside, or give it '
                       + ' '.join(f'--cap-add={name[4:]}' for name in missing))
    if not os.path.exists('/dev/net/tun'):
        try:
            os.makedirs('/dev/net', exist_ok=True)
            os.mknod('/dev/net/tun', 0o20666, os.makedev(10, 200))
        except OSError:
            pass
    try:
        os.close(os.open('/dev/net/tun', os.O_RDWR))
    except OSError as error:
        raise LabError(f'/dev/net/tun: {error.strerror}: load its module (modprobe tun), or let '
                       'this container have the device') from error


class Process:
    """A program of ours in a namespace, with its output in a file."""

    def __init__(self, lab, name, argv, netns):
        self.name = name
        self.log = lab.rundir / f'{name}.log'
        full = [*within(netns), *map(str, argv)]
        with open(self.log, 'wb') as out:
            # A session of its own: a Ctrl-C is for us, and we end it in good order.
            self.popen = subprocess.Popen(full, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.STDOUT, start_new_session=True,
                                          preexec_fn=die_with_parent)
        self.pid = self.popen.pid

    def check(self):
        if self.popen.poll() is not None:
            raise LabError(f'{self.name} ended with status {self.popen.returncode}:\n'
                           + self.log.read_text(errors='replace')[-3000:])

    def wait_for(self, what, condition, timeout=15):
        end = time.monotonic() + timeout
        while not condition():
            self.check()
            if time.monotonic() > end:
                raise LabError(f'{self.name}: no {what} after {timeout} s:\n'
                               + self.log.read_text(errors='replace')[-3000:])
            time.sleep(0.02)

    def wait_ready(self):
        self.wait_for('"ready"', lambda: b'ready' in self.log.read_bytes())

    def cpu_seconds(self):
        """Processor time of all its threads so far."""
        total = 0
        for task in Path(f'/proc/{self.pid}/task').iterdir():
            try:
                total += int((task / 'schedstat').read_text().split()[0])
            except (OSError, IndexError):
                pass
        if total:
            return total / 1e9
        fields = Path(f'/proc/{self.pid}/stat').read_text().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def sleeps(self):
        """How often its threads have gone to sleep so far."""
        total = 0
        for task in Path(f'/proc/{self.pid}/task').iterdir():
            try:
                status = (task / 'status').read_text()
            except OSError:
                continue
            total += int(status.split('\nvoluntary_ctxt_switches:')[1].split()[0])
        return total

    def stop(self, timeout=8):
        """Its exit status; it is asked first, and killed when it does not listen."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
                return 'killed: it did not end on SIGTERM'
        return self.popen.returncode


class Lab:
    """with Lab('demo') as lab: lab.host and lab.guest are namespaces."""

    def __init__(self, name):
        base = '/run' if os.access('/run', os.W_OK) else tempfile.gettempdir()
        self.rundir = Path(base) / f'ringtap-{name}.{os.getpid()}'
        self.host = f'rt{os.getpid()}h'
        self.guest = f'rt{os.getpid()}g'
        self.namespaces = []
        self.processes = []

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda n, frame: sys.exit(128 + n))
        need_root_and_tun()
        self.rundir.mkdir(mode=0o700)
        try:
            for netns in (self.host, self.guest):
                self.ip('netns', 'add', netns)
                self.namespaces.append(netns)
                self.ip('link', 'set', 'lo', 'up', netns=netns)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def close(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for process in reversed(self.processes):
            process.stop()
        for netns in self.namespaces:
            subprocess.run(['ip', 'netns', 'del', netns], check=False)
        shutil.rmtree(self.rundir, ignore_errors=True)

    @staticmethod
    def ip(*args, netns=None):
        done = subprocess.run([*within(netns), 'ip', *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode != 0:
            raise LabError(f'ip {" ".join(args)}: {done.stderr.strip()}')
        return done.stdout

    def start(self, name, argv, netns=None):
        process = Process(self, name, argv, netns)
        self.processes.append(process)
        return process

    def stop(self, process):
        self.processes.remove(process)
        return process.stop()

    def run(self, netns, argv, timeout=60):
        """Output of a program in a namespace."""
        done = subprocess.run([*within(netns), *map(str, argv)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=timeout, check=False)
        if done.returncode != 0:
            raise LabError(f'{argv[0]} failed: {done.stderr.strip() or done.stdout.strip()}')
        return done.stdout

    def link_up(self, netns, ifname):
        """No packets that nobody asked for come with it."""
        # What sysctl does, which a bare Debian lacks; a kernel without IPv6 has no such file.
        off = f'/proc/sys/net/ipv6/conf/{ifname}/disable_ipv6'
        self.run(netns, ['sh', '-c', f'[ ! -e {off} ] || echo 1 >{off}'])
        self.ip('link', 'set', ifname, 'up', netns=netns)

    def addresses(self):
        """Both taps up, with an address each."""
        for netns, ifname, address in ((self.host, HOST_IF, HOST_IP),
                                       (self.guest, GUEST_IF, GUEST_IP)):
            self.ip('addr', 'add', f'{address}/24', 'dev', ifname, netns=netns)
            self.link_up(netns, ifname)


class Vif:
    """A vif between the two taps: one ringtap is its backend, another the frontend."""

    def __init__(self, lab, ringtap, queues):
        self.lab = lab
        self.socket = lab.rundir / 'xenemu'
        # A monitor serves one client at a time: one is ours, one is for who watches.
        self.qmp_path = lab.rundir / 'backend.qmp'
        own_qmp = lab.rundir / 'own.qmp'
        tap = 'queues={},script=no,downscript=no'.format(queues)
        self.backend = lab.start('backend', [
            ringtap, '-name', 'backend', '-accel', f'xenemu,socket={self.socket}',
            '-xen-domid', '1', '-netdev', f'tap,id=n0,ifname={HOST_IF},{tap}',
            '-device', 'xen-net-device,netdev=n0,mac=00:16:3e:00:00:01,id=vif0',
            '-qmp', f'unix:{own_qmp},server=on,wait=off',
            '-qmp', f'unix:{self.qmp_path},server=on,wait=off'], lab.host)
        self.backend.wait_for('QMP socket', self.qmp_path.exists)
        self.qmp = Qmp(own_qmp)
        self.frontend = lab.start('frontend', [
            ringtap, '-name', 'frontend', '-accel',
            f'xenemu,connect={self.socket},domid=1',
            '-netdev', f'tap,id=n0,ifname={GUEST_IF},{tap}',
            '-device', 'xen-netfront,netdev=n0,id=vif0',
            '-qmp', f'unix:{lab.rundir}/frontend.qmp,server=on,wait=off'], lab.guest)
        self.frontend.wait_for('connected vif', self.connected)

    def info(self):
        return self.qmp.command('query-vif')[0]

    def connected(self):
        return self.info()['state'] == 'connected'

    def close(self):
        """Asks the frontend first, as a guest that shuts down; the exit statuses."""
        front = self.lab.stop(self.frontend)
        self.qmp.close()
        return front, self.lab.stop(self.backend)
