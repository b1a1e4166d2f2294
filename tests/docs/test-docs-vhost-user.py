#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The command lines of docs/vhost-user.rst do what it says, with the programs that are here.
Usage: test-docs-vhost-user.py RINGTAP"""

import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
from program import WAIT, Qmp, wait_for  # noqa: E402
from vhost_user import FrontEnd  # noqa: E402
import tap  # noqa: E402

BINARY = str(Path(sys.argv[1]).resolve())
TEXT = (TOP / 'docs' / 'vhost-user.rst').read_text(encoding='utf-8')
CLONE_NEWNET = 0x40000000


def blocks(name):
    """The literal blocks below ".. run: NAME", up to the next words at the margin."""
    below = re.search(rf'^\.\. run: {name}\n(.*?)(?=^(?!::)\S)', TEXT, re.M | re.S)[1]
    return [block for block in below.split('\n::\n') if block.strip()]


def words_of(block, directory):
    """A command line as the shell has it, with its sockets in @directory."""
    return shlex.split(block.replace('\\\n', ' ').replace('/run/', f'{directory}/'))


class Lab:
    """Processes in a directory and a network namespace of their own."""

    def __init__(self, name, *programs):
        missing = [p for p in programs if not shutil.which(p)]
        if missing:
            raise tap.Skip(f'{missing[0]} is not installed')
        if not os.access('/dev/net/tun', os.R_OK | os.W_OK):
            raise tap.Skip('no /dev/net/tun')
        if not Lab.have:
            raise tap.Skip('no right to make a network namespace')
        self.dir = tempfile.mkdtemp(prefix='ringtap-test-')
        self.socket = f'{self.dir}/nic.sock'
        self.lines = {}
        for block in blocks(name):
            words = words_of(block, self.dir)
            self.lines[words[0]] = words
        self.running = []

    have = os.geteuid() == 0 and ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.running:
            process.kill()
            process.wait()
        shutil.rmtree(self.dir)

    def start(self, words, **kwargs):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   **{'stdin': subprocess.DEVNULL, **kwargs})
        self.running.append(process)
        return process

    def end(self, process, number=signal.SIGTERM):
        self.running.remove(process)
        process.send_signal(number)
        return process.wait(WAIT)

    def ringtap(self):
        """The process, and its monitor."""
        path = f'{self.dir}/ringtap.qmp'
        process = self.start([BINARY, *self.lines['ringtap'][1:], '-qmp',
                              f'unix:{path},server=on,wait=off'])
        return process, Qmp(path)

    def qemu(self):
        """Stands still: its vhost-user asks the back end all the same. It is up when its monitor
        answers; a signal before that kills it."""
        path = f'{self.dir}/qemu.qmp'
        return self.start([*self.lines['qemu-system-x86_64'], '-nodefaults', '-display', 'none',
                           '-S', '-qmp', f'unix:{path},server=on,wait=off'])

    def qemu_queues(self):
        """How many the NIC has in QEMU, when it is there."""
        q = Qmp(f'{self.dir}/qemu.qmp')
        lines = q.command('human-monitor-command', command_line='info network')
        q.close()
        return len(re.findall(r'type=nic', lines))


def wait_for_state(q, state):
    wait_for(lambda: q.command('query-devices')[0]['state'] == state, state)


def test_qemu_connects():
    with Lab('listening', 'qemu-system-x86_64') as lab:
        ringtap, q = lab.ringtap()
        wait_for(lambda: os.path.exists(lab.socket), 'the socket')
        qemu = lab.qemu()
        wait_for_state(q, 'initialised')
        assert lab.qemu_queues() == 4
        lab.end(ringtap, signal.SIGKILL)
        ringtap, q = lab.ringtap()
        wait_for_state(q, 'initialised')
        assert lab.end(qemu) == 0
        wait_for_state(q, 'init-wait')
        assert lab.end(ringtap) == 0


def test_qemu_listens():
    with Lab('connecting', 'qemu-system-x86_64') as lab:
        ringtap, q = lab.ringtap()
        assert q.command('query-devices')[0]['state'] == 'init-wait'
        qemu = lab.qemu()
        wait_for_state(q, 'initialised')
        assert lab.qemu_queues() == 4
        lab.end(qemu, signal.SIGKILL)
        wait_for_state(q, 'init-wait')
        qemu = lab.qemu()
        wait_for_state(q, 'initialised')
        assert lab.qemu_queues() == 4
        lab.end(ringtap, signal.SIGKILL)
        ringtap, q = lab.ringtap()
        wait_for_state(q, 'initialised')
        assert lab.end(qemu) == 0
        assert lab.end(ringtap) == 0


def test_testpmd():
    with Lab('dpdk', 'dpdk-testpmd') as lab:
        if os.cpu_count() < 2:
            raise tap.Skip('testpmd wants two processors')
        lab.lines['ringtap'] = words_of(blocks('listening')[0], lab.dir)
        ringtap, q = lab.ringtap()
        wait_for(lambda: os.path.exists(lab.socket), 'the socket')
        testpmd = lab.start(lab.lines['dpdk-testpmd'], stdin=subprocess.PIPE)  # ends with it
        assert q.event('DEVICE_CONNECTED')['data']['queues'] == 4
        testpmd.stdin.close()
        assert testpmd.wait(WAIT) == 0
        wait_for_state(q, 'init-wait')
        assert lab.end(ringtap) == 0


def test_started_by_a_manager():
    with Lab('program') as lab:
        ringtap, _ = lab.ringtap()
        with FrontEnd(lab.socket) as front:
            assert front.pairs() == 4
        assert lab.end(ringtap) == 0


def test_libvirt():
    """It is XML, and has the socket and the queues of the other examples."""
    (text,) = blocks('libvirt')
    domain = xml.etree.ElementTree.fromstring(text.replace('...', ''))
    assert domain.find('memoryBacking/access').get('mode') == 'shared'
    nic = domain.find('devices/interface')
    assert nic.get('type') == 'vhostuser' and nic.find('model').get('type') == 'virtio'
    assert nic.find('source').attrib == {'type': 'unix', 'path': '/run/nic.sock', 'mode': 'client'}
    assert nic.find('driver').get('queues') == '4'


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
