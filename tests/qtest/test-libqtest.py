#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ringtap started as QEMU's libqtest does it, and its log. Usage: test-libqtest.py RINGTAP"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
# pylint: disable=wrong-import-position
from program import WAIT, Qmp  # noqa: E402
import tap  # noqa: E402

BINARY = os.path.abspath(sys.argv[1])
# What libqtest asks for in QTEST_QEMU_BINARY: "-system-", and the architecture at the end.
NAME = 'ringtap-system-x86_64'


class LibQtest:
    """The test's side: it listens, the program connects, first with qtest, then with QMP."""

    def __init__(self, directory, extra='', log='-qtest-log /dev/null'):
        self.stderr = ''
        listeners = []
        for name in ('sock', 'qmp'):
            listener = socket.socket(socket.AF_UNIX)
            listener.settimeout(WAIT)
            listener.bind(f'{directory}/{name}')
            listener.listen(1)
            listeners.append(listener)
        link = f'{directory}/{NAME}'
        os.symlink(BINARY, link)
        self.process = subprocess.Popen(
            ['sh', '-c', f'exec {link} -qtest unix:{directory}/sock {log} '
             f'-chardev socket,path={directory}/qmp,id=char0 -mon chardev=char0,mode=control '
             f'-display none -audio none {extra} -accel qtest'],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        # The order in which they are accepted is libqtest's.
        self.lines, self.monitor = [listener.accept()[0] for listener in listeners]
        self.lines.settimeout(WAIT)
        self.file = self.lines.makefile('rw')
        for listener in listeners:
            listener.close()

    def ask(self, line):
        self.file.write(line + '\n')
        self.file.flush()
        return self.file.readline().rstrip('\n')

    def end(self):
        """As qtest_quit(): the exit status."""
        self.process.send_signal(signal.SIGTERM)
        _, self.stderr = self.process.communicate(timeout=WAIT)
        self.file.close()
        self.lines.close()
        self.monitor.close()
        return self.process.returncode


@contextlib.contextmanager
def started(**kwargs):
    with tempfile.TemporaryDirectory() as directory:
        qts = LibQtest(directory, **kwargs)
        try:
            assert qts.ask('endianness') == 'OK little'
            yield qts, directory
        finally:
            if qts.process.poll() is None:
                qts.process.kill()
                qts.process.communicate()


def log_of(path):
    """Kind and text of each line; each has the time between the two."""
    with open(path, encoding='ascii') as f:
        lines = f.read().splitlines()
    found = [re.fullmatch(r'\[([IRS]) \+\d+\.\d{6}\] (.*)', line) for line in lines]
    assert all(found), lines
    return [match.groups() for match in found]


def test_started_by_libqtest():
    with started(extra='-m 64') as (qts, _):
        qmp = Qmp(sock=qts.monitor)
        assert qmp.command('query-status')['running']
        assert qts.ask('writel 0x100000 0x12345678') == 'OK'
        assert qts.ask('readw 0x100002') == 'OK 0x0000000000001234'
        now = int(qts.ask('clock_step 1000').split()[1])
        assert qts.ask(f'clock_set {now + 5}') == f'OK {now + 5}'
        assert qts.end() == 0
        assert qts.stderr == ''


def test_started_prelaunch():
    with started(extra='-S -nodefaults -machine none') as (qts, _):
        qmp = Qmp(sock=qts.monitor)
        assert qmp.command('query-status')['status'] == 'prelaunch'
        qmp.command('cont')
        assert qmp.event('RESUME')
        assert qts.end() == 0


def test_log_in_a_file():
    with tempfile.TemporaryDirectory() as d:
        with started(log=f'-qtest-log {d}/log') as (qts, _):
            qts.ask('nonsense')
            assert qts.end() == 0
            assert qts.stderr == ''
        log = log_of(f'{d}/log')
        assert log[:5] == [('I', 'OPENED'), ('R', 'endianness'), ('S', 'OK little'),
                           ('R', 'nonsense'), ('S', "FAIL Unknown command 'nonsense'")], log


def test_log_on_stderr_by_default():
    with started(log='') as (qts, directory):
        assert qts.end() == 0
        path = f'{directory}/stderr'
        with open(path, 'w', encoding='ascii') as f:
            f.write(qts.stderr)
        assert log_of(path)[:3] == [('I', 'OPENED'), ('R', 'endianness'), ('S', 'OK little')]


def test_log_none():
    with started(log='-qtest-log none') as (qts, directory):
        assert qts.end() == 0
        assert qts.stderr == ''
        assert 'none' not in os.listdir(directory) and not os.path.exists('none')


def test_log_that_cannot_be_opened():
    with tempfile.TemporaryDirectory() as d:
        done = subprocess.run([BINARY, '-accel', 'qtest', '-qtest', f'unix:{d}/s,server=on,wait=off',
                               '-qtest-log', f'{d}/no/log'], capture_output=True, text=True,
                              timeout=WAIT, check=False)
        assert done.returncode == 1
        assert done.stderr == (f'ringtap: cannot open qtest log {d}/no/log: '
                               'No such file or directory\n'), done.stderr


if __name__ == '__main__':
    tap.run({n: f for n, f in globals().items() if n.startswith('test_')})
