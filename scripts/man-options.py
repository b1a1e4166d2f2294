#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints what the program says of its options into docs/ringtap.1.rst.

usage: man-options.py RINGTAP [--check]; --check only compares, for the test."""

import re
import subprocess
import sys
from pathlib import Path

DOC = Path(__file__).resolve().parents[1] / 'docs' / 'ringtap.1.rst'
# .. from: ARGUMENTS, and what stands between it and ".. end"
BLOCK = re.compile(r'^(\.\. from: ([^\n]+)\n).*?^(\.\. end\n)', re.M | re.S)


def said_by(ringtap, arguments):
    done = subprocess.run([ringtap, *arguments.split()], stdout=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit(f'man-options: ringtap {arguments}: exit status {done.returncode}')
    # How it was called and which version it is are not the manual's.
    lines = [l for l in done.stdout.splitlines()
             if not l.startswith(('ringtap version', 'usage: '))]
    text = '\n'.join(lines).strip('\n')
    return '\n'.join('    ' + l if l else '' for l in text.split('\n'))


def main():
    ringtap = sys.argv[1]
    old = DOC.read_text()
    new = BLOCK.sub(lambda m: f'{m[1]}\n::\n\n{said_by(ringtap, m[2])}\n\n{m[3]}', old)
    if '--check' in sys.argv[2:]:
        if old != new:
            sys.exit('docs/ringtap.1.rst is not as the program: run '
                     'scripts/man-options.py BUILD/ringtap and commit')
        print(f'{len(BLOCK.findall(old))} lists are as the program has them')
    elif old != new:
        DOC.write_text(new)
        print('docs/ringtap.1.rst is written anew')


if __name__ == '__main__':
    main()
