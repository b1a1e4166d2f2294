# SPDX-License-Identifier: GPL-2.0-or-later
"""ringtap as a child process, and a QMP client, for tests in Python."""

import array
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

WAIT = 20  # seconds: much more than anything takes, also under a sanitizer


def wait_for(condition, what):
    """Returns the first true value of condition()."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f'gave up waiting for {what}')


class Qmp:
    """One connection. Events that come before a reply are kept in self.events."""

    def __init__(self, path=None, sock=None, negotiate=True):
        self.sock = sock
        if not sock:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(WAIT)
            wait_for(lambda: self._try_connect(path), path)
        self.sock.settimeout(WAIT)
        self.buffer = b''
        self.events = []
        self.greeting = self.receive()
        if negotiate:
            assert self.command('qmp_capabilities') == {}

    def _try_connect(self, path):
        try:
            self.sock.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def close(self):
        self.sock.close()

    def send(self, data, fds=()):
        if isinstance(data, str):
            data = data.encode()
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        self.sock.sendmsg([data], control)

    def line(self):
        """One line as it came; b'' at the end of the connection."""
        while b'\r\n' not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                return b''
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\r\n', 1)
        return line

    def receive(self):
        line = self.line()
        assert line, 'connection closed'
        return json.loads(line)

    def reply(self):
        while True:
            message = self.receive()
            if 'event' not in message:
                return message
            self.events.append(message)

    def execute(self, name, /, fds=(), **arguments):
        """The whole reply."""
        message = {'execute': name}
        if arguments:
            message['arguments'] = {k.replace('_', '-'): v for k, v in arguments.items()}
        self.send(json.dumps(message) + '\n', fds)
        return self.reply()

    def command(self, name, /, fds=(), **arguments):
        reply = self.execute(name, fds, **arguments)
        assert 'return' in reply, reply
        return reply['return']

    def error(self, name, /, fds=(), **arguments):
        """The text of an error that must come."""
        reply = self.execute(name, fds, **arguments)
        assert 'error' in reply, reply
        return reply['error']['desc']

    def event(self, name):
        """The next event of the name, from those kept or to come."""
        while True:
            for event in self.events:
                if event['event'] == name:
                    self.events.remove(event)
                    return event
            self.events.append(self.receive())


class Ringtap:
    """A running ringtap with a directory of its own and a QMP socket in it."""

    def __init__(self, binary, *args, qmp=True, **kwargs):
        self.dir = tempfile.mkdtemp(prefix='ringtap-test-')
        self.qmp_path = os.path.join(self.dir, 'qmp')
        argv = [binary, *[a.replace('@DIR@', self.dir) for a in args]]
        if qmp:
            argv += ['-qmp', f'unix:{self.qmp_path},server=on,wait=off']
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, **kwargs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        shutil.rmtree(self.dir)

    def qmp(self, **kwargs):
        return Qmp(self.qmp_path, **kwargs)

    def end(self, number=signal.SIGTERM):
        """(exit status, stderr) after the signal; None: without one."""
        if number is not None:
            self.process.send_signal(number)
        _, err = self.process.communicate(timeout=WAIT)
        return self.process.returncode, err


def run(binary, *args, **kwargs):
    """Runs ringtap to its end: (exit status, stdout, stderr)."""
    done = subprocess.run([binary, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=WAIT, check=False, **kwargs)
    return done.returncode, done.stdout, done.stderr
