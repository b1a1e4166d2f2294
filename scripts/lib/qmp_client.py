# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of ringtap's monitor, for the scripts."""

import json
import socket


class Qmp:
    """A QMP client: Qmp(path).command('query-vif')."""

    def __init__(self, path, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.file = self.socket.makefile('rw')
        self.read()
        self.command('qmp_capabilities')

    def read(self):
        line = self.file.readline()
        if not line:
            raise EOFError('the other end closed the QMP socket')
        return json.loads(line)

    def command(self, name, **arguments):
        self.file.write(json.dumps({'execute': name, **({'arguments': arguments}
                                                        if arguments else {})}) + '\n')
        self.file.flush()
        while True:
            answer = self.read()
            if 'return' in answer:
                return answer['return']
            if 'error' in answer:
                raise RuntimeError(f'{name}: {answer["error"].get("desc")}')

    def close(self):
        self.file.close()
        self.socket.close()
