# SPDX-License-Identifier: GPL-2.0-or-later
"""The same input to ringtap and to Debian's QEMU, where that is installed, and what both say."""

import os
import re
import shutil
import subprocess

import tap
from program import Ringtap

QEMU = 'qemu-system-x86_64'


def have_qemu():
    return shutil.which(QEMU) is not None


def need_qemu():
    if not have_qemu():
        raise tap.Skip(f'no {QEMU}')


def conversations(binary, talk, *args):
    """What talk(q), a list or the like, returns with ringtap and with QEMU at the other end."""
    need_qemu()
    said = []
    for program in (binary, QEMU):
        with Ringtap(program, '-machine', 'none', '-nodefaults', '-display', 'none', *args) as r:
            said.append(talk(r.qmp()))
    return said


def last_words(program, *args, **kwargs):
    """(exit status, the last line that begins with the program's name, without that) of a start
    that fails; QEMU warns in lines before. None: it runs."""
    try:
        done = subprocess.run([program, '-machine', 'none', '-nodefaults', '-display', 'none', *args],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, timeout=3, check=False, **kwargs)
    except subprocess.TimeoutExpired:
        return None
    name = re.escape(os.path.basename(program))
    lines = re.findall(rf'^{name}: (.*)', done.stderr, re.M)
    return done.returncode, lines[-1] if lines else done.stderr
