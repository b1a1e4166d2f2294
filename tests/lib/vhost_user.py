# SPDX-License-Identifier: GPL-2.0-or-later
"""As much of a vhost-user front end as to see that a back end is there: no rings, no memory."""

import socket
import struct

from program import WAIT, wait_for

GET_FEATURES, GET_PROTOCOL_FEATURES, GET_QUEUE_NUM = 1, 15, 17
VERSION, REPLY = 1, 4  # bits of a header's flags


class FrontEnd:
    """One connection: to a path, or a socket that is there."""

    def __init__(self, path=None, sock=None):
        self.sock = sock or socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WAIT)
        if not sock:
            wait_for(lambda: self._try_connect(path), path)

    def _try_connect(self, path):
        try:
            self.sock.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, request, flags=VERSION, payload=b''):
        self.sock.sendall(struct.pack('=III', request, flags, len(payload)) + payload)

    def ask(self, request):
        """The number that answers a request without payload."""
        self.send(request)
        answer = self.sock.recv(20, socket.MSG_WAITALL)
        assert len(answer) == 20, answer
        got, flags, size, value = struct.unpack('=IIIQ', answer)
        assert (got, flags, size) == (request, VERSION | REPLY, 8), answer
        return value

    def is_closed(self):
        """Waits for the end of the connection."""
        try:
            return self.sock.recv(1) == b''
        except ConnectionResetError:
            return True
