# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk of an emulated Xen: ringtap has its image, and blkfront-load is the guest. For the demo
and the benchmark; needs no rights. Everything is gone when the DiskLab is closed."""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from qmp_client import Qmp
from vif_lab import Lab, LabError

MIB = 1 << 20


class DiskLab(Lab):
    """As a Lab, without a network. The image is in @directory."""

    def __init__(self, name, directory, size):
        super().__init__(name)
        self.rundir = Path(tempfile.mkdtemp(prefix=f'ringtap-{name}.'))
        self.image = Path(directory) / f'ringtap-{name}.{os.getpid()}.img'
        self.size = size
        self.direct = False

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda n, frame: sys.exit(128 + n))
        try:
            self.make_image()
        except OSError as error:
            self.close()
            raise LabError(f'{self.image}: {error.strerror}') from error
        except BaseException:
            self.close()
            raise
        return self

    def make_image(self):
        """Full of data: what a hole costs is of no interest."""
        data = os.urandom(MIB)
        with open(self.image, 'xb') as f:
            for _ in range(self.size // MIB):
                f.write(data)
        try:
            os.close(os.open(self.image, os.O_RDWR | os.O_DIRECT))
            self.direct = True
        except OSError:
            pass  # this file system has no such thing

    def close(self):
        super().close()
        self.image.unlink(missing_ok=True)


class Disk:
    """One that waits for its guest."""

    def __init__(self, lab, build, rings):
        self.lab = lab
        self.build = build
        self.socket = lab.rundir / 'xenemu'
        # A monitor serves one client at a time: one is ours, one is for who watches.
        self.qmp_path = lab.rundir / 'backend.qmp'
        own_qmp = lab.rundir / 'own.qmp'
        self.backend = lab.start('backend', [
            build / 'ringtap', '-name', 'backend', '-accel', f'xenemu,socket={self.socket}',
            '-blockdev', f'file,node-name=image,filename={lab.image},'
            f'cache.direct={"on" if lab.direct else "off"}',
            '-device', 'xen-disk,id=disk0,drive=image,vdev=xvda,frontend-id=1,backend-type=vbd,'
            f'num-queues={rings}',
            '-qmp', f'unix:{own_qmp},server=on,wait=off',
            '-qmp', f'unix:{self.qmp_path},server=on,wait=off'])
        self.backend.wait_for('QMP socket', self.qmp_path.exists)
        self.qmp = Qmp(own_qmp)
        self.guest = None

    def load(self, *options):
        """Starts the guest; result() is what it found."""
        self.guest = self.lab.start('guest', [
            self.build / 'tests/bench/blkfront-load', '--domid', '1', '--json', *options,
            self.socket])

    def device(self):
        return self.qmp.command('query-devices')[0]

    def connected(self):
        devices = self.qmp.command('query-devices')
        return bool(devices) and devices[0]['state'] == 'connected'

    def result(self, timeout):
        status = self.guest.popen.wait(timeout)
        text = self.guest.log.read_text(errors='replace')
        if status != 0:
            raise LabError(f'the guest ended with status {status}:\n{text[-3000:]}')
        return json.loads(text.splitlines()[-1])

    def close(self):
        """The exit status of the backend."""
        if self.guest in self.lab.processes:
            self.lab.stop(self.guest)
        self.qmp.close()
        return self.lab.stop(self.backend)
