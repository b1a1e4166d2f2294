# SPDX-License-Identifier: GPL-2.0-or-later
"""As much of a vhost-user front end as to see that a back end is there, and has rings."""

import array
import os
import socket
import struct

from program import WAIT, wait_for

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM = 12, 13, 16, 17
MQ, RARP = 1 << 0, 1 << 2  # protocol features
VERSION, REPLY = 1, 4  # bits of a header's flags
VIRTIO_F_VERSION_1 = 1 << 32
RING_SIZE = 8
RING_BYTES = 4096  # of the memory for each ring: descriptors, then both rings


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

    def send(self, request, flags=VERSION, payload=b'', fd=None):
        control = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                          array.array('i', [fd]))]
        self.sock.sendmsg([struct.pack('=III', request, flags, len(payload)) + payload], control)

    def ask(self, request):
        """The number that answers a request without payload."""
        self.send(request)
        answer = self.sock.recv(20, socket.MSG_WAITALL)
        assert len(answer) == 20, answer
        got, flags, size, value = struct.unpack('=IIIQ', answer)
        assert (got, flags, size) == (request, VERSION | REPLY, 8), answer
        return value

    def pairs(self):
        """As QEMU asks, which has RARP: others count rings."""
        self.send(SET_PROTOCOL_FEATURES, payload=struct.pack('=Q', MQ | RARP))
        return self.ask(GET_QUEUE_NUM)

    def start_rings(self, count):
        """Empty split rings, as a driver's that is content with no feature."""
        memory = os.memfd_create('guest')
        size = count * RING_BYTES
        os.truncate(memory, size)
        self.send(SET_OWNER)
        self.send(SET_FEATURES, payload=struct.pack('=Q', VIRTIO_F_VERSION_1))
        self.send(SET_MEM_TABLE, payload=struct.pack('=IIQQQQ', 1, 0, 0, size, 0, 0), fd=memory)
        os.close(memory)
        for index in range(count):
            at = index * RING_BYTES
            call, kick = os.eventfd(0), os.eventfd(0)
            self.send(SET_VRING_NUM, payload=struct.pack('=II', index, RING_SIZE))
            self.send(SET_VRING_BASE, payload=struct.pack('=II', index, 0))
            self.send(SET_VRING_ADDR, payload=struct.pack('=IIQQQQ', index, 0, at, at + 2048,
                                                          at + 1024, 0))
            self.send(SET_VRING_CALL, payload=struct.pack('=Q', index), fd=call)
            self.send(SET_VRING_KICK, payload=struct.pack('=Q', index), fd=kick)
            os.close(call)
            os.close(kick)

    def stop_rings(self, count):
        for index in range(count):
            self.send(GET_VRING_BASE, payload=struct.pack('=II', index, 0))
            assert len(self.sock.recv(20, socket.MSG_WAITALL)) == 20

    def is_closed(self):
        """Waits for the end of the connection."""
        try:
            return self.sock.recv(1) == b''
        except ConnectionResetError:
            return True
